"""Taking and choosing elements: take, take_along_axis, compress, choose, select; finding them: nonzero, argwhere ...

All is composed from indexing and `where`.
"""

import numpy as np

from ..core.tensor import Tensor, concrete, untracked
from ..core.types import typeof
from .index import getitem
from .kinds import as_array, axis_from_end, implements, no_out
from .shape import shape_of

_ALL = slice(None)

# Taking along an axis


def _indices(indices, n, mode):
    indices = as_array(indices)
    if mode == "wrap":
        return np.remainder(indices, n)
    if mode == "clip":
        return np.clip(indices, 0, n - 1)
    if mode != "raise":
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    return indices


@implements(np.take)
def take(a, indices, axis=None, out=None, mode="raise"):
    """The elements of a at these places of an axis, or of the flattened a. As `numpy.take`."""
    no_out("take", out)
    a = np.ravel(a) if axis is None else as_array(a)
    s = shape_of(a)
    axis = axis_from_end(0 if axis is None else axis, len(s))
    indices = _indices(indices, s[axis], mode)
    if typeof(indices).dtype.kind == "b":
        indices = np.astype(np.asarray(indices), np.intp)
    return getitem(a, (*(_ALL,) * (len(s) + axis), indices))


def _along(shape, indices, axis):
    # the index arrays of take_along_axis
    n = len(shape)
    if len(shape_of(indices)) != n:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    axis = axis_from_end(axis, n) + n
    return tuple(indices if i == axis else np.arange(m).reshape((m,) + (1,) * (n - i - 1)) for i, m in enumerate(shape))


@implements(np.take_along_axis)
def take_along_axis(arr, indices, axis=-1):
    """The elements of arr at places given for each line along an axis. As `numpy.take_along_axis`."""
    arr, indices = as_array(arr), as_array(indices)
    if axis is None:
        arr, axis = np.ravel(arr), 0
    return getitem(arr, _along(shape_of(arr), indices, axis))


@implements(np.compress)
def compress(condition, a, axis=None, out=None):
    """The slices of a where a vector of conditions holds. As `numpy.compress`."""
    no_out("compress", out)
    condition = np.asarray(concrete(condition, "np.compress"), bool)
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(a, condition.nonzero()[0], axis)


@implements(np.extract)
def extract(condition, arr):
    """The elements of arr where the condition holds, as a vector. As `numpy.extract`."""
    return take(arr, np.asarray(concrete(condition, "np.extract"), bool).ravel().nonzero()[0])


@implements(np.choose)
def choose(a, choices, out=None, mode="raise"):
    """Element by element, the choice whose number a gives. As `numpy.choose`."""
    no_out("choose", out)
    a = as_array(a)
    n = len(choices)
    a, *choices = np.broadcast_arrays(_indices(a, n, mode), *map(as_array, choices))
    return take_along_axis(np.stack(choices), np.expand_dims(a, 0), 0)[0]


@implements(np.select)
def select(condlist, choicelist, default=0):
    """Element by element, the first choice whose condition holds. As `numpy.select`."""
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ValueError("select needs as many conditions as choices, and at least one")
    dtype = np.result_type(*choicelist, default)
    y = default
    for condition, choice in zip(condlist[::-1], choicelist[::-1], strict=True):
        y = np.where(condition, choice, y)
    return y if typeof(y).dtype == dtype else np.astype(y, dtype)


# Where and how many: no derivative, and no rule under vmap and jit, because the shape depends on the values


@implements(np.nonzero)
def nonzero(a):
    """The indices of the entries that are not zero, one array an axis; needs the values. As `numpy.nonzero`."""
    return tuple(map(untracked, np.nonzero(concrete(as_array(a), "np.nonzero"))))


@implements(np.argwhere)
def argwhere(a):
    """The indices of the entries that are not zero, as rows; needs the values. As `numpy.argwhere`."""
    return untracked(np.argwhere(concrete(as_array(a), "np.argwhere")))


@implements(np.flatnonzero)
def flatnonzero(a):
    """The places of the entries that are not zero in the flattened a; needs the values. As `numpy.flatnonzero`."""
    return untracked(np.flatnonzero(concrete(as_array(a), "np.flatnonzero")))


@implements(np.count_nonzero)
def count_nonzero(a, axis=None, *, keepdims=False):
    """How many entries are not zero. As `numpy.count_nonzero`."""
    return np.sum(np.not_equal(as_array(a), 0), axis=axis, keepdims=keepdims)


def _install():
    Tensor.take = lambda x, indices, axis=None, out=None, mode="raise": take(x, indices, axis, out, mode)
    Tensor.compress = lambda x, condition, axis=None, out=None: compress(condition, x, axis, out)
    Tensor.choose = lambda x, choices, out=None, mode="raise": choose(x, choices, out, mode)
    Tensor.nonzero = nonzero


_install()
