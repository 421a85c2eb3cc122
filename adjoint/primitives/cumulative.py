"""Along an axis: running sums and products, differences, gradients and integrals of samples."""

import numpy as np

from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.tensor import UFUNC_METHODS, Tensor, is_tensor
from ..core.types import Array, typeof
from .kinds import as_array, axis_from_end, conj, general, implements, linear, no_out, strong_mul
from .reduce import as_dtype, batches, before, cut, kept

_NONE = np._NoValue


def _samples(*arrays):
    def sample(rng):
        rows = [
            ((rng.normal(size=shape),), {"axis": axis})
            for shape, axis in (((4,), -1), ((2, 3), -2), ((2, 3), -1), ((1,), -1))
        ]
        rows.append(((rng.normal(size=3) + 1j * rng.normal(size=3),), {"axis": -1}))
        return rows + [((np.array(a),), {"axis": -1}) for a in arrays]

    return sample


def _type(a, axis):
    return Array(a.shape, np.cumsum(np.ones(1, a.dtype)).dtype)


_cumsum: Op = linear(
    "cumsum",
    lambda a, axis: np.add.accumulate(a, axis),
    lambda g, _a, axis: np.flip(np.cumsum(np.flip(g, axis), axis), axis),
    type=_type,
    batch=batches(lambda: _cumsum),
    sample=_samples(),
)


# y_j = a_0 ... a_j. With l_i = a_0 ... a_{i-1}:
#   tangents    t_j = a_j t_{j-1} + l_j da_j
#   cotangents  da_i = l_i s_i,  s_i = g_i + a_{i+1} s_{i+1}
# No division, so zeros do no harm; and both are made of products, so the same holds of higher derivatives.


def _recur(a, b, axis):
    """s with s_j = a_j s_{j-1} + b_j along an axis, in log2(n) steps that double the reach (Hillis, Steele, 1986)."""
    n = shape_of(b)[axis]
    d = 1
    while d < n:
        head, tail, behind = cut(axis, None, d), cut(axis, d, None), cut(axis, None, -d)
        b = np.concatenate([b[head], b[tail] + strong_mul(b[behind], a[tail])], axis)
        a = np.concatenate([a[head], a[tail] * a[behind]], axis)
        d *= 2
    return b


def _cumprod_jvp(ts, y, a, axis):
    return _recur(a, strong_mul(ts[0], before(a, axis)), axis)


def _cumprod_vjp(wants, g, _y, a, axis):
    c = conj(a)
    reverse = np.flip(c, axis)
    one = np.ones(kept(shape_of(a), (axis,)), typeof(a).dtype)
    ahead = np.concatenate([one, reverse[cut(axis, None, -1)]], axis)
    return (strong_mul(np.flip(_recur(ahead, np.flip(g, axis), axis), axis), before(c, axis)),)


_cumprod: Op = general(
    "cumprod",
    lambda a, axis: np.multiply.accumulate(a, axis),
    _cumprod_jvp,
    _cumprod_vjp,
    type=_type,
    batch=batches(lambda: _cumprod),
    sample=_samples([2.0, 0.0, 3.0, 0.0, 1.5]),
)


def _running(name, op, a, axis, dtype, out):
    no_out(name, out)
    a = as_dtype(as_array(a), dtype)
    if axis is None:
        a = np.reshape(a, -1)
        axis = -1
    return as_dtype(bind(op, a, axis=axis_from_end(axis, len(shape_of(a)))), dtype)


@implements(np.cumsum)
def cumsum(a, axis=None, dtype=None, out=None):
    """Running sums along an axis, or of all entries. As `numpy.cumsum`."""
    return _running("cumsum", _cumsum, a, axis, dtype, out)


@implements(np.cumprod)
def cumprod(a, axis=None, dtype=None, out=None):
    """Running products along an axis, or of all entries; derivatives are right at zeros too. As `numpy.cumprod`."""
    return _running("cumprod", _cumprod, a, axis, dtype, out)


@implements(np.nancumsum)
def nancumsum(a, axis=None, dtype=None, out=None):
    """Running sums in which NaN counts as 0. As `numpy.nancumsum`."""
    a = as_array(a)
    return cumsum(np.where(np.isnan(a), 0, a), axis, dtype, out)


@implements(np.nancumprod)
def nancumprod(a, axis=None, dtype=None, out=None):
    """Running products in which NaN counts as 1. As `numpy.nancumprod`."""
    a = as_array(a)
    return cumprod(np.where(np.isnan(a), 1, a), axis, dtype, out)


def _cumulative(f, start):
    name = {"cumsum": "cumulative_sum", "cumprod": "cumulative_prod"}[f.__name__]

    def cumulative(x, /, *, axis=None, dtype=None, out=None, include_initial=False):
        x = as_array(x)
        n = len(shape_of(x))
        if axis is None:
            if n > 1:
                raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
            axis = -1
        x = np.reshape(x, 1) if n == 0 else x
        y = f(x, axis, dtype, out)
        if include_initial:
            first = np.full(kept(shape_of(y), (axis_from_end(axis, len(shape_of(y))),)), start, typeof(y).dtype)
            y = np.concatenate([first, y], axis)
        return y

    cumulative.__name__ = cumulative.__qualname__ = name
    cumulative.__doc__ = f"As `numpy.{name}`."
    if hasattr(np, name):  # NumPy 2.1
        implements(getattr(np, name))(cumulative)
    return cumulative


cumulative_sum = _cumulative(cumsum, 0)
cumulative_prod = _cumulative(cumprod, 1)


# Differences and integrals of samples


@implements(np.diff)
def diff(a, n=1, axis=-1, prepend=_NONE, append=_NONE):
    """The n-th differences along an axis. As `numpy.diff`."""
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    a = as_array(a)
    shape = shape_of(a)
    if not shape:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = axis_from_end(axis, len(shape))
    ends = []
    for end in (prepend, a, append):
        if end is not _NONE:
            end = as_array(end)
            ends.append(np.broadcast_to(end, kept(shape, (axis,))) if shape_of(end) == () else end)
    if len(ends) > 1:
        a = np.concatenate(ends, axis)
    minus = np.not_equal if typeof(a).dtype.kind == "b" else np.subtract
    for _ in range(n):
        a = minus(a[cut(axis, 1, None)], a[cut(axis, None, -1)])
    return a


@implements(np.ediff1d)
def ediff1d(ary, to_end=None, to_begin=None):
    """The differences of consecutive entries. As `numpy.ediff1d`."""
    ary = as_array(ary)
    dtype = typeof(ary).dtype
    ends = []
    for name, end in (("to_begin", to_begin), ("to_end", to_end)):
        if end is not None:
            end = np.reshape(end if is_tensor(end) else np.asanyarray(as_array(end)), -1)
            if not np.can_cast(typeof(end).dtype, dtype, casting="same_kind"):
                raise TypeError(f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule.")
            end = as_dtype(end, dtype)
        ends.append(end)
    d = diff(np.reshape(ary, -1))
    parts = [p for p in (ends[0], d, ends[1]) if p is not None]
    return d if len(parts) == 1 else np.concatenate(parts)


@implements(np.trapezoid)
def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral of samples along an axis by the trapezoidal rule. As `numpy.trapezoid`."""
    y = as_array(y)
    axis = axis_from_end(axis, len(shape_of(y)))
    d = dx
    if x is not None:
        x = as_array(x)
        d = diff(x) if len(shape_of(x)) == 1 else diff(x, axis=axis)
        if len(shape_of(x)) == 1:
            d = np.reshape(d, (*shape_of(d), *(1,) * (-axis - 1)))
    return np.sum(d * (y[cut(axis, 1, None)] + y[cut(axis, None, -1)]) / 2.0, axis=axis)


@implements(np.gradient)
def gradient(f, *varargs, axis=None, edge_order=1):
    """The derivative of samples by central differences, one array an axis. As `numpy.gradient`."""
    f = as_array(f)
    shape = shape_of(f)
    if typeof(f).dtype.kind in "iub":
        f = as_dtype(f, np.float64)
    single = axis is not None and not isinstance(axis, tuple)
    given = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [axis_from_end(a, len(shape)) for a in given]
    steps = varargs or (1.0,)
    if len(steps) == 1 and shape_of(as_array(steps[0])) == ():
        steps = steps * len(axes)
    if len(steps) != len(axes):
        raise TypeError("invalid number of arguments")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    out = [_gradient(f, as_array(h), a, edge_order) for h, a in zip(steps, axes, strict=True)]
    return out[0] if single or len(out) == 1 else tuple(out)


def _gradient(f, h, axis, edge_order):
    n = shape_of(f)[axis]
    if n < edge_order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, "
            "at least (edge_order + 1) elements are required."
        )
    if len(shape_of(h)) > 1:
        raise ValueError("distances must be either scalars or 1d")
    if shape_of(h) and shape_of(h)[0] != n:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")

    def at(i):
        return f[cut(axis, i, i + 1 or None)]

    column = (-1, *(1,) * (-axis - 1))
    steps = np.diff(h) if shape_of(h) else None  # unequal steps
    if steps is None:
        inner = (f[cut(axis, 2, None)] - f[cut(axis, None, -2)]) / (2.0 * h)
    else:
        p, q = np.reshape(steps[:-1], column), np.reshape(steps[1:], column)
        inner = (
            (-q / (p * (p + q))) * f[cut(axis, None, -2)]
            + ((q - p) / (p * q)) * f[cut(axis, 1, -1)]
            + (p / (q * (p + q))) * f[cut(axis, 2, None)]
        )
    ends = []
    for sign, i, j, k in ((1, 0, 1, 2), (-1, -1, -2, -3)):
        p = h if steps is None else steps[i]
        if edge_order == 1:
            ends.append((at(j) - at(i)) * sign / p)
        else:
            q = h if steps is None else steps[j]
            first, second, third = -(2.0 * p + q) / (p * (p + q)), (p + q) / (p * q), -p / (q * (p + q))
            ends.append(sign * (first * at(i) + second * at(j) + third * at(k)))
    return np.concatenate([ends[0], inner, ends[1]], axis)


def _method(f):
    def method(array, axis=0, dtype=None, out=None):
        return f(array, axis, dtype, None if out == (None,) else out)

    return method


def _install():
    UFUNC_METHODS[np.add, "accumulate"] = _method(cumsum)
    UFUNC_METHODS[np.multiply, "accumulate"] = _method(cumprod)
    Tensor.cumsum = cumsum
    Tensor.cumprod = cumprod


_install()
