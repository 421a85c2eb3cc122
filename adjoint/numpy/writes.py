"""NumPy's functions that write into their first argument: copyto, put, place, putmask, put_along_axis, fill_diagonal.

Into a tensor they are writes as `t[index] = v` is one. A NumPy array cannot take what is being differentiated.
"""

import functools

import numpy as np

from ..core.errors import ConcreteError, LeakError, MutationError, as_it_stands
from ..core.errors import where as at
from ..core.op import shape as shape_of
from ..core.tensor import _plain, concrete, is_tensor
from ..core.types import typeof
from ..primitives.kinds import as_array, axis_from_end, implements


def _writes(theirs):
    """Make f(t, ...) NumPy's function for a tensor t; into an array it writes values that nobody differentiates."""

    def register(f):
        first = f.__code__.co_varnames[0]

        @functools.wraps(f)
        def write(*args, **kwargs):
            if is_tensor(args[0] if args else kwargs[first]):
                f(*args, **kwargs)
                return
            try:
                args, kwargs = _plain(args), _plain(kwargs)
            except (LeakError, ConcreteError):
                raise MutationError(
                    f"np.{theirs.__name__} would write what is being differentiated into a NumPy array{at()}, which would lose its "
                    f"derivative; {as_it_stands('it works as it stands')}or make the array with adjoint.numpy (zeros, empty ...)"
                ) from None
            theirs(*args, **kwargs)

        implements(theirs)(write)
        return write

    return register


def _values(v, n):
    """The first n of v, from its beginning again where it is shorter."""
    v = np.reshape(as_array(v), -1)
    return v if shape_of(v)[0] in (n, 1) else np.resize(v, n)


@_writes(np.copyto)
def copyto(dst, src, casting="same_kind", where=True):
    """dst[...] = src, where the mask holds. As `numpy.copyto`."""
    src = as_array(src)
    kind = typeof(src)
    if not kind.weak and not np.can_cast(kind.dtype, dst.dtype, casting):
        raise TypeError(f"Cannot cast array data from {kind.dtype} to {dst.dtype} according to the rule '{casting}'")
    dst[...] = src if where is True else np.where(where, src, dst)


@_writes(np.putmask)
def putmask(a, mask, values):
    """a with values where the mask holds: the one at the same place, if these are repeated. As `numpy.putmask`."""
    values = _values(values, a.size)
    a[...] = np.where(
        np.reshape(as_array(mask), a.shape), np.reshape(values, a.shape if a.size == values.size else ()), a
    )


@_writes(np.place)
def place(arr, mask, vals):
    """The entries chosen by the mask become the first of vals, as many as these are. As `numpy.place`."""
    mask = np.reshape(np.asarray(concrete(as_array(mask), "the mask of np.place"), bool), arr.shape)
    n = np.count_nonzero(mask)
    if n and not shape_of(np.reshape(as_array(vals), -1))[0]:
        raise ValueError("Cannot insert from an empty array!")
    if n:
        arr[mask] = _values(vals, n)


@_writes(np.put)
def put(a, ind, v, mode="raise"):
    """a.flat[ind] = v. As `numpy.put`."""
    ind = np.reshape(np.asarray(concrete(as_array(ind), "the index of np.put")), -1)
    ind = np.take(np.arange(a.size), ind, mode=mode)
    if ind.size:
        a[np.unravel_index(ind, a.shape)] = _values(v, ind.size)


@_writes(np.put_along_axis)
def put_along_axis(arr, indices, values, axis):
    """arr with values at the indices along an axis: the inverse of take_along_axis. As `numpy.put_along_axis`."""
    if axis is None:
        arr = arr.reshape(-1)
        axis = 0
    n = len(arr.shape)
    if len(shape_of(indices)) != n:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    axis = axis_from_end(axis, n) + n
    grid = [np.arange(m).reshape([-1 if i == k else 1 for i in range(n)]) for k, m in enumerate(arr.shape)]
    grid[axis] = indices
    arr[tuple(grid)] = values


@_writes(np.fill_diagonal)
def fill_diagonal(a, val, wrap=False):
    """The diagonal of a becomes val, repeated as needed. As `numpy.fill_diagonal`."""
    shape = a.shape
    if len(shape) < 2:
        raise ValueError("array must be at least 2-d")
    end = None
    if len(shape) == 2:
        step = shape[1] + 1
        end = None if wrap else shape[1] * shape[1]
    else:
        if len(set(shape)) > 1:
            raise ValueError("All dimensions of input must be of equal length")
        step = 1 + int(np.cumprod(shape[:-1]).sum())
    places = np.arange(a.size)[:end:step]
    if places.size:
        a[np.unravel_index(places, shape)] = _values(val, places.size)
