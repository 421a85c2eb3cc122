"""Ranges between bounds that may be tensors: arange, linspace and its kin."""

import numpy as np

from ..core.op import is_plain
from ..core.op import shape as shape_of
from ..core.tensor import concrete, untracked
from ..core.types import typeof
from ..primitives.kinds import as_array, implements


@implements(np.arange)
def arange(start, stop=None, step=1, dtype=None, *, device=None, like=None):
    """Evenly spaced values from start to below stop, as many as these have now; differentiable in start and step. As `numpy.arange`."""
    if stop is None:
        start, stop = 0, start
    if is_plain(start, stop, step):
        return untracked(np.arange(start, stop, step, dtype))
    known = [concrete(x, "to count the values of arange") for x in (start, stop, step)]
    whole = np.arange(*known, dtype=dtype)
    delta = (start + step) - start  # so NumPy steps, to the last bit
    return np.astype(start + np.arange(whole.size) * delta, whole.dtype)


@implements(np.linspace)
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0, *, device=None):
    """num evenly spaced values from start to stop. As `numpy.linspace`."""
    if is_plain(start, stop):
        y = np.linspace(start, stop, num, endpoint, retstep, dtype, axis)
        return (untracked(y[0]), y[1]) if retstep else untracked(y)
    start, stop = as_array(start), as_array(stop)
    rank = max(len(shape_of(start)), len(shape_of(stop)))
    kind = np.result_type(
        *(np.float64 if t.weak or t.dtype.kind in "iub" else t.dtype for t in (typeof(start), typeof(stop)))
    )
    parts = num - 1 if endpoint else num
    # weights instead of steps, so that the last value is stop itself
    w = np.reshape(np.arange(num, dtype=kind) / max(parts, 1), (num, *(1,) * rank))
    y = start * (1 - w) + stop * w
    if axis:
        y = np.moveaxis(y, 0, axis)
    if dtype is not None:
        y = np.astype(y, np.dtype(dtype))
    step = (stop - start) / parts if parts else np.nan
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(start, stop, num=50, endpoint=True, base=10.0, dtype=None, axis=0):
    """num values from base**start to base**stop, evenly spaced on a log scale. As `numpy.logspace`."""
    y = np.power(base, linspace(start, stop, num, endpoint))
    if axis:
        y = np.moveaxis(y, 0, axis)
    return y if dtype is None else np.astype(y, np.dtype(dtype))


@implements(np.geomspace)
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """num values from start to stop in geometric progression. As `numpy.geomspace`."""
    if is_plain(start, stop):
        return untracked(np.geomspace(start, stop, num, endpoint, dtype, axis))
    y = start * np.exp(linspace(np.log(start) * 0, np.log(stop / start), num, endpoint))
    if axis:
        y = np.moveaxis(y, 0, axis)
    return y if dtype is None else np.astype(y, np.dtype(dtype))
