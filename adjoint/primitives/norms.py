"""Norms, logsumexp and softmax: what needs care where it is 0, infinite, very large or very small."""

import numpy as np

from ..core.op import Op, bind, is_plain
from ..core.op import shape as shape_of
from ..core.types import Array, typeof
from .custom import stop_gradient
from .kinds import as_array, axes_from_end, conj, general, implements, strong_mul
from .reduce import as_dtype, batches, expand, kept, plan, real_dtype, reduced, reduces, samples

# Vector norms. The derivative of |x|_p is sign(x) (|x| / |x|_p)^(p-1), written as a ratio so that no power of x itself
# can overflow; it is 0 where the norm is 0.


def _norm(a, ord, axes, keepdims):
    a = np.asarray(a)
    with np.errstate(all="ignore"):
        y = _raw_norm(a, ord, axes, keepdims)
        low, high = _bounds(y.dtype, ord)
        if low < y < high if y.ndim == 0 else ((y > low) & (y < high)).all():
            return y
        # powers under- or overflow here, or there is nothing but zeros: measure in units of the largest entry
        unit = np.maximum.reduce(np.abs(a), axis=axes, keepdims=True, initial=0)
        unit = np.where((unit > 0) & (unit < np.inf), unit, 1).astype(y.dtype)
        scaled = _raw_norm(a / unit, ord, axes, True) * unit
        return scaled if keepdims else scaled.reshape(y.shape)[()]


_known: dict = {}


def _bounds(dtype, ord):
    """Between them the sum of powers is a normal number with all its digits."""
    if (dtype, ord) not in _known:
        info = np.finfo(dtype)
        root = 1 / abs(ord)
        _known[dtype, ord] = np.float64(info.tiny / info.eps) ** root, np.float64(info.max) ** root / 2
    return _known[dtype, ord]


def _raw_norm(a, ord, axes, keepdims):
    if ord == 2:
        if len(axes) == a.ndim and not keepdims:
            return np.linalg.norm(a)
        s = (np.conjugate(a) * a).real if a.dtype.kind == "c" else a * a
        return np.sqrt(np.add.reduce(s, axis=axes, keepdims=keepdims))
    return np.add.reduce(np.abs(a) ** ord, axis=axes, keepdims=keepdims) ** (1 / ord)


def _slope(y, a, ord, axes, keepdims):
    # the norm is flat at 0, to every order
    zero = np.equal(a, 0) if ord != 2 else None
    if type(y) is np.float64:
        if ord < 0 and not y:
            return a * 0  # one entry of 0, where it has a kink, makes it 0
        y = y or np.inf
    else:
        y = expand(y, shape_of(a), axes, keepdims)
        none = np.equal(y, 0)
        if ord < 0:
            zero = zero | none
        y = np.where(none, 1 if ord < 0 else np.inf, y)
    if ord == 2:
        return a / y
    size = np.absolute(np.where(zero, 1, a))
    sign = a / size if typeof(a).dtype.kind == "c" else np.sign(a)
    return np.where(zero, 0, sign * np.power(size / y, ord - 1))


def _norm_jvp(ts, y, a, ord, axes, keepdims):
    r = strong_mul(ts[0], conj(_slope(y, a, ord, axes, keepdims)))
    return np.sum(np.real(r) if typeof(r).dtype.kind == "c" else r, axis=axes, keepdims=keepdims)


def _norm_vjp(wants, g, y, a, ord, axes, keepdims):
    if ord == 2 and type(a) is np.ndarray and type(y) is np.float64 and 1e-100 < y < 1e100 and is_plain(g):
        return (a * (g / y),)  # one pass: nothing over- or underflows, and where y is finite, so is a
    return (strong_mul(expand(g, shape_of(a), axes, keepdims), _slope(y, a, ord, axes, keepdims)),)


_norm_op: Op = general(
    "norm",
    _norm,
    _norm_jvp,
    _norm_vjp,
    batch=batches(lambda: _norm_op),
    type=reduces(lambda a, axes, keepdims: _norm(a, 2.0, axes, keepdims)),
    sample=lambda rng: [*samples("c", ord=2.0)(rng), *samples("c", ord=3.0)(rng)],
)


@implements(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of a vector or matrix; its derivative at 0 is 0. As `numpy.linalg.norm`, and right at 1e200 too."""
    x = as_array(x)
    if typeof(x).dtype.kind not in "fc":
        x = as_dtype(x, np.float64)
    n = len(shape_of(x))
    if axis is None:
        if ord is None or (n == 2 and ord in ("f", "fro")) or (n == 1 and ord == 2):
            return bind(_norm_op, x, ord=2.0, axes=tuple(range(-n, 0)), keepdims=bool(keepdims))
        axis = tuple(range(n))
    elif not isinstance(axis, tuple):
        try:
            axis = (int(axis),)
        except Exception as error:
            raise TypeError("'axis' must be None, an integer or a tuple of integers") from error
    if len(axis) == 1:
        return _vector_norm(x, ord, axis, keepdims)
    if len(axis) == 2:
        return _matrix_norm(x, ord, axis, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


norm.op = _norm_op


def _vector_norm(x, ord, axis, keepdims):
    if ord == np.inf:
        return _largest(np.absolute(x), axis, keepdims)
    if ord == -np.inf:
        return np.min(np.absolute(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0), axis=axis, keepdims=keepdims, dtype=real_dtype(x))
    if ord == 1:
        return np.sum(np.absolute(x), axis=axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    return bind(_norm_op, x, ord=2.0 if ord is None else float(ord), **plan(x, axis, keepdims))


def _largest(sizes, axis, keepdims=False):
    """The largest of numbers that are not negative: 0 where there is none."""
    return np.max(sizes, axis=axis, keepdims=keepdims, **({"initial": 0} if 0 in shape_of(sizes) else {}))


def _matrix_norm(x, ord, axis, keepdims):
    n = len(shape_of(x))
    row, column = (axes_from_end(a, n)[0] for a in axis)
    if row == column:
        raise ValueError("Duplicate axes given.")
    if ord is None or ord in ("f", "fro"):
        return bind(_norm_op, x, ord=2.0, **plan(x, axis, keepdims))
    if ord == "nuc" or ord in (2, -2):
        s = np.linalg.svd(np.moveaxis(x, (row, column), (-2, -1)), compute_uv=False)
        y = _largest(s, -1) if ord == 2 else (np.sum if ord == "nuc" else np.min)(s, axis=-1)
    elif ord in (1, -1, np.inf, -np.inf):
        first, then = (row, column) if ord in (1, -1) else (column, row)
        sums = np.sum(np.absolute(x), axis=first, keepdims=True)
        y = _largest(sums, (first, then)) if ord > 0 else np.min(sums, axis=(first, then))
    else:
        raise ValueError("Invalid norm order for matrices.")
    return np.reshape(y, kept(shape_of(x), (row, column))) if keepdims else y


@implements(np.linalg.vector_norm)
def vector_norm(x, /, *, axis=None, keepdims=False, ord=2):
    """The norm of the entries along the given axes (of all of them by default). As `numpy.linalg.vector_norm`."""
    x = as_array(x)
    n = len(shape_of(x))
    axes = axes_from_end(axis, n)
    if len(axes) == 1:
        return norm(x, ord, axes[0], keepdims)
    rest = tuple(i for i in range(-n, 0) if i not in axes)
    shape = shape_of(x)
    flat = np.reshape(np.transpose(x, (*axes, *rest)), (-1, *(shape[i] for i in rest)))
    y = norm(flat, ord, 0)
    return np.reshape(y, kept(shape, axes)) if keepdims else y


@implements(np.linalg.matrix_norm)
def matrix_norm(x, /, *, keepdims=False, ord="fro"):
    """The norm of the matrices in the last two axes. As `numpy.linalg.matrix_norm`."""
    return norm(as_array(x), ord, (-2, -1), keepdims)


# log(sum(exp(a))): its slope is softmax(a), taken from a and not from the value, which has lost digits if it is large.


def _exp_below_top(a, axes, ties):
    """exp(a - max), and the max. With ties, infinities that are the max tie at 1 (else they give NaN, as in SciPy)."""
    top = np.maximum.reduce(a, axis=axes, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        d = a - top
        if ties and not np.isfinite(top).all():
            d = np.where(np.equal(a, top) & np.isinf(top), 0, d).astype(d.dtype)
        return np.exp(d), top


def _softmax(a, axes, ties):
    a = np.asarray(a)
    if not a.size:
        return np.exp(a)
    e, _ = _exp_below_top(a, axes, ties)
    return (e / np.add.reduce(e, axis=axes, keepdims=True))[()]


def _softmax_map(g, y, axes):
    # y (g - <g, y>) does not see a constant added to g, so g is shifted first: then nothing cancels in the tails.
    h = g - np.sum(g * y, axis=axes, keepdims=True)
    return y * (h - np.sum(h * y, axis=axes, keepdims=True))


_softmax_op: Op = general(
    "softmax",
    _softmax,
    lambda ts, y, a, axes, ties: _softmax_map(ts[0], y, axes),
    lambda wants, g, y, _a, axes, ties: (_softmax_map(g, conj(y), axes),),
    type=lambda a, axes, ties: Array(a.shape, np.exp(np.ones(1, a.dtype)).dtype),
    batch=batches(lambda: _softmax_op),
    sample=lambda rng: [
        ((rng.normal(size=s),), {"axes": axes, "ties": False})
        for s, axes in (((3,), (-1,)), ((2, 3), (-2,)), ((2, 3), (-2, -1)))
    ],
)


def _log_total(e, axes):
    """log of the sum of e, numbers in [0, 1] of which the largest is 1; those far below 1 are not lost beside it."""
    total = np.add.reduce(e, axis=axes, keepdims=True)
    y = np.log(total)
    if (total < 2).any():  # one 1, and little else: log1p of the rest
        largest = e == 1
        n = np.add.reduce(largest, axis=axes, keepdims=True, dtype=total.dtype)
        rest = np.add.reduce(np.where(largest, 0, e), axis=axes, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.where(n == 1, np.log1p(rest), y)
    return y


def _logsumexp(a, axes, keepdims):
    a = np.asarray(a)
    if not a.size:
        return np.log(np.add.reduce(np.exp(a), axis=axes, keepdims=keepdims))
    e, top = _exp_below_top(a, axes, True)
    y = _log_total(e, axes) + top
    return (y if keepdims else y.reshape(reduced(a.shape, axes, False)))[()]


def _logsumexp_jvp(ts, y, a, axes, keepdims):
    return np.sum(strong_mul(ts[0], bind(_softmax_op, a, axes=axes, ties=True)), axis=axes, keepdims=keepdims)


def _logsumexp_vjp(wants, g, _y, a, axes, keepdims):
    return (strong_mul(expand(g, shape_of(a), axes, keepdims), conj(bind(_softmax_op, a, axes=axes, ties=True))),)


_logsumexp_op: Op = general(
    "logsumexp",
    _logsumexp,
    _logsumexp_jvp,
    _logsumexp_vjp,
    type=reduces(_logsumexp),
    batch=batches(lambda: _logsumexp_op),
    sample=samples(),
)


def logsumexp(a, axis=None, b=None, keepdims=False):
    """log(sum(b * exp(a))) over the given axes, without overflow; the derivative in a is softmax(a) for b = 1.

    Infinite entries that are the largest share equally: the derivative of a row of -inf is 1 / n each.
    """
    a = as_array(a)
    params = plan(a, axis, keepdims)
    if b is None:
        return bind(_logsumexp_op, a, **params)
    b = as_array(b)
    a, b = np.broadcast_arrays(a, b)
    params = plan(a, axis, keepdims)
    top = np.max(stop_gradient(np.where(np.equal(b, 0), -np.inf, a)), axis=params["axes"], keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    # b selects: where it is 0, exp(a) may be infinite and still counts as nothing
    y = np.log(np.sum(strong_mul(b, np.exp(a - top)), axis=params["axes"], keepdims=keepdims))
    return y + (top if keepdims else np.reshape(top, reduced(shape_of(a), **params)))


def softmax(x, axis=None):
    """exp(x) / sum(exp(x)) over the given axes (default: all), without overflow. As `scipy.special.softmax`."""
    x = as_array(x)
    return bind(_softmax_op, x, axes=plan(x, axis, True)["axes"], ties=False)


# log(softmax(a)): where it is close to 0, so is its slope, 1 - softmax. Both come from the other entries, and not by
# subtraction from 1: nothing changes if the same is added to all entries, so the largest may count as fixed.


def _log_softmax(a, axes):
    a = np.asarray(a)
    if a.dtype.kind == "c":
        raise TypeError("log_softmax of complex numbers has no largest entry")
    if not a.size:
        return np.exp(a)
    top = np.maximum.reduce(a, axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(a.dtype)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        d = a - top
        return (d - _log_total(np.exp(d), axes))[()]


def _top_share(y, axes):
    """Which entry is the largest; equal ones share."""
    top = np.equal(y, np.max(y, axis=axes, keepdims=True))
    return top / np.sum(top, axis=axes, keepdims=True, dtype=typeof(y).dtype)


def _log_softmax_jvp(ts, y, a, axes):
    h = ts[0] - np.sum(_top_share(y, axes) * ts[0], axis=axes, keepdims=True)
    return h - np.sum(np.exp(y) * h, axis=axes, keepdims=True)


def _log_softmax_vjp(wants, g, y, _a, axes):
    c = g - strong_mul(np.sum(g, axis=axes, keepdims=True), np.exp(y))
    return (c - _top_share(y, axes) * np.sum(c, axis=axes, keepdims=True),)


_log_softmax_op: Op = general(
    "log_softmax",
    _log_softmax,
    _log_softmax_jvp,
    _log_softmax_vjp,
    type=lambda a, axes: Array(a.shape, np.exp(np.ones(1, a.dtype)).dtype),
    batch=batches(lambda: _log_softmax_op),
    sample=lambda rng: [
        ((rng.normal(size=s),), {"axes": axes}) for s, axes in (((3,), (-1,)), ((2, 3), (-2,)), ((2, 3), (-2, -1)))
    ],
)


def log_softmax(x, axis=None):
    """log(softmax(x)), exact where softmax underflows or is close to 1. As `scipy.special.log_softmax`."""
    x = as_array(x)
    if typeof(x).dtype.kind == "c":
        return x - logsumexp(x, axis, keepdims=True)
    return bind(_log_softmax_op, x, axes=plan(x, axis, True)["axes"])
