"""Diagonals and triangles of matrices: diagonal, diag, diagflat, tril, triu."""

import numpy as np

from ..core.errors import ShapeError
from ..core.errors import where as at
from ..core.op import bind
from ..core.tensor import Tensor
from ..core.types import Array, typeof
from .kinds import as_array, axis_from_end, implements, linear, look
from .shape import case, moveaxis, ravel, shape_of

# The diagonals of the last two axes, and their transpose: a matrix that is zero off its diagonal.


def _put_diagonal(x, offset, shape):
    x = np.asarray(x)
    out = np.zeros(x.shape[:-1] + shape, x.dtype)
    i = np.arange(x.shape[-1])
    out[..., i + max(-offset, 0), i + max(offset, 0)] = x
    return out


def _diagonal_type(x, offset):
    rows, columns = x.shape[-2:]
    n = max(min(rows - max(-offset, 0), columns - max(offset, 0)), 0)
    return Array((*x.shape[:-2], n), x.dtype)


_diagonal = linear(
    "diagonal",
    lambda x, offset: np.diagonal(x, offset, -2, -1),
    lambda g, _x, offset: bind(_diagonal_matrix, g, offset=offset, shape=_x.shape[-2:]),
    type=_diagonal_type,
    batch=lambda size, batched, x, offset: bind(_diagonal, x, offset=offset),
    sample=lambda rng: [case(rng, 3, 3, offset=0), case(rng, 2, 4, offset=1), case(rng, 2, 3, 2, offset=-1)],
)

_diagonal_matrix = linear(
    "diagonal_matrix",
    _put_diagonal,
    lambda g, _x, offset, shape: np.diagonal(g, offset, -2, -1),
    type=lambda x, offset, shape: Array((*x.shape[:-1], *shape), x.dtype),
    batch=lambda size, batched, x, offset, shape: bind(_diagonal_matrix, x, offset=offset, shape=shape),
    sample=lambda rng: [case(rng, 3, offset=0, shape=(3, 3)), case(rng, 2, 2, offset=-1, shape=(3, 2))],
)


# What users call


@implements(np.diagonal)
def diagonal(a, offset=0, axis1=0, axis2=1):
    """The diagonals of the matrices in two axes, as the last axis. As `numpy.diagonal`."""
    a = as_array(a)
    n = len(shape_of(a))
    if n < 2:
        raise ShapeError(f"diag requires an array of at least two dimensions, not shape {shape_of(a)}{at()}")
    axes = axis_from_end(axis1, n), axis_from_end(axis2, n)
    return look(_diagonal, a if axes == (-2, -1) else moveaxis(a, axes, (-2, -1)), offset=offset.__index__())


@implements(np.diag)
def diag(v, k=0):
    """The matrix with this diagonal, or the diagonal of this matrix. As `numpy.diag`."""
    v = as_array(v)
    s = shape_of(v)
    if len(s) == 1:
        return bind(_diagonal_matrix, v, offset=k.__index__(), shape=(s[0] + abs(k),) * 2)
    if len(s) != 2:
        raise ShapeError(f"Input must be 1- or 2-d, not of shape {tuple(s)}{at()}")
    return diagonal(v, k)


@implements(np.diagflat)
def diagflat(v, k=0):
    """The matrix whose diagonal is the flattened v. As `numpy.diagflat`."""
    return diag(ravel(v), k)


@implements(np.tril)
def tril(m, k=0):
    """m with zeros above the k-th diagonal. As `numpy.tril`."""
    m = as_array(m)
    return np.where(np.tri(*shape_of(m)[-2:], k=k, dtype=bool), m, np.zeros(1, typeof(m).dtype))


@implements(np.triu)
def triu(m, k=0):
    """m with zeros below the k-th diagonal. As `numpy.triu`."""
    m = as_array(m)
    return np.where(np.tri(*shape_of(m)[-2:], k=k - 1, dtype=bool), np.zeros(1, typeof(m).dtype), m)


def _install():
    Tensor.diagonal = lambda x, offset=0, axis1=0, axis2=1: diagonal(x, offset, axis1, axis2)


_install()
