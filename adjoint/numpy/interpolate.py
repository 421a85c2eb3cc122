"""Functions of samples on a line: interp, unwrap, sliding windows. Compositions: they have no rules of their own."""

import math

import numpy as np

from ..core.errors import MutationError, where
from ..core.op import is_plain
from ..core.op import shape as shape_of
from ..core.tensor import Composed, is_tensor, linked, peek
from ..core.types import typeof
from ..primitives.kinds import as_array, axes_from_end, axis_from_end, implements
from ..primitives.take import take


@implements(np.interp)
def interp(x, xp, fp, left=None, right=None, period=None):
    """Piecewise linear interpolation; derivatives in x (the slope; to the right at a knot), xp and fp. As `numpy.interp`."""
    x, xp, fp, left, right = map(as_array, (x, xp, fp, left, right))
    if is_plain(x, xp, fp, left, right, period):
        return np.interp(x, xp, fp, left, right, period)
    x, xp = _wide(x), _wide(xp)  # NumPy's interp computes in float64
    fp = _wide(fp)
    if len(shape_of(xp)) != 1 or len(shape_of(fp)) != 1:
        raise ValueError("Data points must be 1-D sequences")
    n = shape_of(xp)[0]
    if n != shape_of(fp)[0]:
        raise ValueError("fp and xp are not of the same length.")
    if n == 0:
        raise ValueError("array of sample points is empty")
    if period is not None:
        period = abs(period)
        x, xp = x % period, xp % period
        order = np.argsort(xp)
        xp, fp = take(xp, order), take(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        n += 2
        left = right = None
    left = fp[0] if left is None else left
    right = fp[-1] if right is None else right
    if n == 1:
        y = np.where(np.isnan(x), x, fp[0])
    else:
        i = np.clip(np.searchsorted(xp, x, "right") - 1, 0, n - 2)
        x0, f0 = take(xp, i), take(fp, i)
        if n <= math.prod(shape_of(x)):  # as NumPy does: the slopes first
            slope = take((fp[1:] - fp[:-1]) / (xp[1:] - xp[:-1]), i)
        else:
            slope = (take(fp, i + 1) - f0) / (take(xp, i + 1) - x0)
        y = slope * (x - x0) + f0
        known, knots = peek(xp)
        if (
            not known or np.isinf(knots).any()
        ):  # from the other end of the piece, and flat between two equal values, as NumPy
            x1, f1 = take(xp, i + 1), take(fp, i + 1)
            y = np.where(np.isnan(y), slope * (x - x1) + f1, y)
            y = np.where(np.isnan(y) & np.equal(f0, f1) & ~np.isnan(x), f0, y)
    return np.where(np.less(x, xp[0]), left, np.where(np.greater(x, xp[-1]), right, y))


def _wide(x):
    kind = typeof(x).dtype
    return (
        x
        if kind.itemsize >= 8 and kind.kind in "fc"
        else np.astype(x if is_tensor(x) else np.asarray(x), np.complex128 if kind.kind == "c" else np.float64)
    )


@implements(np.unwrap)
def unwrap(p, discont=None, axis=-1, *, period=6.283185307179586):
    """p with multiples of the period added so that it jumps nowhere; the derivative is one. As `numpy.unwrap`."""
    p = as_array(p)
    if is_plain(p, period):
        return np.unwrap(p, discont, axis, period=period)
    axis = axis_from_end(axis, len(shape_of(p)))
    d = np.diff(p, axis=axis)
    discont = period / 2 if discont is None else discont
    low, high = -period / 2, period / 2
    mod = np.mod(d - low, period) + low
    mod = np.where(np.equal(mod, low) & np.greater(d, 0), high, mod)
    fix = np.where(np.less(np.abs(d), discont), 0.0, mod - d)  # whole periods: the derivatives of mod and d cancel
    first, rest = np.split(p, [1], axis)
    return np.concatenate([first, rest + np.cumsum(fix, axis=axis)], axis)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(x, window_shape, axis=None, *, subok=False, writeable=False):
    """All windows of x along axes, as new last axes. As NumPy's function; a write into them is refused."""
    x = as_array(x)
    if is_plain(x):
        return np.lib.stride_tricks.sliding_window_view(x, window_shape, axis, subok=subok, writeable=writeable)
    if writeable:
        raise MutationError(f"sliding_window_view(x, writeable=True) of a tensor{where()}: write into x itself")
    y = _windows(x, window_shape, axis)
    return linked(x, x[...] if y is x else y, _WINDOWS, {"window_shape": window_shape, "axis": axis})


def _windows(x, window_shape, axis):
    sizes = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    rank = len(shape_of(x))
    if axis is None:
        axes = tuple(range(rank))
    else:
        axes = tuple(axes_from_end(a, rank)[0] + rank for a in (axis if np.iterable(axis) else (axis,)))
    if len(sizes) != len(axes):
        raise ValueError(f"window_shape and axis must have one entry each; got {sizes} and {axes}")
    for size, a in zip(sizes, axes, strict=True):
        if size < 0:
            raise ValueError("window shape cannot contain negative values")
        n = shape_of(x)[a]
        if size > n:
            raise ValueError("window shape cannot be larger than input array shape")
        places = np.arange(n - size + 1)[:, None] + np.arange(size)
        x = np.moveaxis(take(x, places, axis=a), a + 1, -1)
    return x


_WINDOWS = Composed("sliding_window_view", _windows, np.lib.stride_tricks.sliding_window_view)
