"""Norms, logsumexp and softmax: what needs care where it is 0, infinite, very large or very small."""

import operator

import numpy as np

from ..core.op import bind, is_plain
from ..core.op import shape as shape_of
from ..core.types import Array, typeof
from .custom import stop_gradient
from .kinds import as_array, axes_from_end, conj, general, implements, strong_mul
from .reduce import as_dtype, batches, expand, kept, plan, real_dtype, reduces, samples

# Vector norms. The derivative of |x|_p is sign(x) (|x| / |x|_p)^(p-1), written as a ratio so that no power of x itself
# can overflow; it is 0 where the norm is 0.


def _norm(a, ord, axes, keepdims):
    a = np.asarray(a)
    with np.errstate(all="ignore"):
        y = _raw_norm(a, ord, axes, keepdims)
        info = np.finfo(y.dtype)
        low = (float(info.tiny) / float(info.eps)) ** (1 / abs(ord))
        high = float(info.max) ** (1 / abs(ord)) / 2
        if y.size and not ((y > low) & (y < high)).all():
            # powers under- or overflow here: measure in units of the largest entry
            unit = np.maximum.reduce(np.abs(a), axis=axes, keepdims=True, initial=0)
            unit = np.where((unit > 0) & (unit < np.inf), unit, 1).astype(y.dtype)
            scaled = _raw_norm(a / unit, ord, axes, True) * unit
            y = scaled if keepdims else scaled.reshape(y.shape)[()]
    return y


def _raw_norm(a, ord, axes, keepdims):
    if ord == 2:
        if len(axes) == a.ndim and not keepdims:
            return np.linalg.norm(a)
        s = np.conjugate(a) * a
        return np.sqrt(np.add.reduce(s.real, axis=axes, keepdims=keepdims))
    return np.add.reduce(np.abs(a) ** ord, axis=axes, keepdims=keepdims) ** (1 / ord)


def _slope(y, a, ord, axes, keepdims):
    y = expand(y, shape_of(a), axes, keepdims)
    y = np.where(np.equal(y, 0), 1, y)
    if ord == 2:
        return a / y
    zero = np.equal(a, 0)
    size = np.absolute(np.where(zero, 1, a))
    sign = a / size if typeof(a).dtype.kind == "c" else np.sign(a)
    return np.where(zero, 0, sign * np.power(size / y, ord - 1))


def _norm_jvp(ts, y, a, ord, axes, keepdims):
    r = strong_mul(ts[0], conj(_slope(y, a, ord, axes, keepdims)))
    return np.sum(np.real(r) if typeof(r).dtype.kind == "c" else r, axis=axes, keepdims=keepdims)


def _norm_vjp(wants, g, y, a, ord, axes, keepdims):
    return (strong_mul(expand(g, shape_of(a), axes, keepdims), _slope(y, a, ord, axes, keepdims)),)


_norm_op = general("norm", _norm, _norm_jvp, _norm_vjp, batch=batches(lambda: _norm_op),
                   type=reduces(lambda a, axes, keepdims: _norm(a, 2.0, axes, keepdims)),
                   sample=lambda rng: [*samples("c", ord=2.0)(rng), *samples("c", ord=3.0)(rng)])  # fmt: skip


@implements(np.linalg.norm)
def norm(x, ord=None, axis=None, keepdims=False):
    """The norm of a vector or matrix; its derivative is 0 where it is 0. As `numpy.linalg.norm`, but right at 1e200 too."""
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
            axis = (operator.index(axis),)
        except TypeError as error:
            raise TypeError("'axis' must be None, an integer or a tuple of integers") from error
    if len(axis) == 1:
        return _vector_norm(x, ord, axis, keepdims)
    if len(axis) == 2:
        return _matrix_norm(x, ord, axis, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


norm.op = _norm_op


def _vector_norm(x, ord, axis, keepdims):
    if ord == np.inf:
        return np.max(np.absolute(x), axis=axis, keepdims=keepdims)
    if ord == -np.inf:
        return np.min(np.absolute(x), axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum(np.not_equal(x, 0), axis=axis, keepdims=keepdims, dtype=real_dtype(x))
    if ord == 1:
        return np.sum(np.absolute(x), axis=axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    return bind(_norm_op, x, ord=2.0 if ord is None else float(ord), **plan(x, axis, keepdims))


def _matrix_norm(x, ord, axis, keepdims):
    n = len(shape_of(x))
    row, column = (axes_from_end(a, n)[0] for a in axis)
    if row == column:
        raise ValueError("Duplicate axes given.")
    if ord is None or ord in ("f", "fro"):
        return bind(_norm_op, x, ord=2.0, **plan(x, axis, keepdims))
    if ord == "nuc" or ord in (2, -2):
        s = np.linalg.svd(np.moveaxis(x, (row, column), (-2, -1)), compute_uv=False)
        y = {"nuc": np.sum, 2: np.max, -2: np.min}[ord](s, axis=-1)
    elif ord in (1, -1, np.inf, -np.inf):
        first, then = (row, column) if ord in (1, -1) else (column, row)
        sums = np.sum(np.absolute(x), axis=first, keepdims=True)
        y = (np.max if ord > 0 else np.min)(sums, axis=(first, then))
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


# log(sum(exp(a))): its slope is softmax(a), taken from a and not from the value, which has lost digits where it is large.


def _weights(a, axes):
    """softmax, where what is infinite ties: a row of -inf shares equally, and so do the +inf of a row."""
    top = np.max(a, axis=axes, keepdims=True)
    with np.errstate(invalid="ignore"):
        e = np.exp(np.where(np.equal(a, top), 0, a - top))
    return e / np.sum(e, axis=axes, keepdims=True)


def _logsumexp(a, axes, keepdims):
    a = np.asarray(a)
    if not a.size:
        return np.log(np.add.reduce(np.exp(a), axis=axes, keepdims=keepdims))
    top = np.maximum.reduce(a, axis=axes, keepdims=True)
    with np.errstate(invalid="ignore"):
        e = np.exp(np.where(a == top, 0, a - top))
    y = np.log(np.add.reduce(e, axis=axes, keepdims=True)) + top
    return y if keepdims else y.reshape(np.add.reduce(y, axis=axes).shape)[()]


def _logsumexp_jvp(ts, y, a, axes, keepdims):
    return np.sum(strong_mul(ts[0], _weights(stop_or(a), axes)), axis=axes, keepdims=keepdims)


def stop_or(a):
    return a


def _softmax(a, axes):
    e = np.exp(a - np.maximum.reduce(a, axis=axes, keepdims=True))
    return e / np.add.reduce(e, axis=axes, keepdims=True)
