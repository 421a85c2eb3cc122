"""Products that sum: matmul, dot, tensordot, einsum, outer, convolve, and their like.

Four ops, linear in each operand: matmul, einsum, outer and convolve. The rest is composed from them. A cotangent of one
operand is a product of the cotangent of the result with the conjugates of the others.
"""

import operator

import numpy as np

from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.tensor import UFUNC_METHODS, Tensor, update
from ..core.types import Array, typeof
from ..traces.reverse import binary
from .kinds import as_array, axes_from_end, axis_from_end, bilinear, cast, conj, general, implements, no_out, unbroadcast

# matmul: operands of one and more axes


def _solid(g):
    """g as BLAS can take it: the cotangent that a sum sends back is one number repeated by strides of 0."""
    return np.ascontiguousarray(g) if type(g) is np.ndarray and 0 in g.strides else g


def _swap(x):
    return x.T if len(x.shape) == 2 else np.swapaxes(x, -1, -2)


def _column(x):
    return np.reshape(x, (*x.shape, 1))


def _row(x):
    return np.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def _left(g, a, b):
    """The cotangent of a, of which only the type is read: g b^H."""
    n, m = len(a.shape), len(b.shape)
    b = conj(b)
    g = _solid(g)
    if n == 1 and m == 1:
        return unbroadcast(g * b, a)
    if m == 1:
        return unbroadcast(_column(g) * b, a)
    if n == 1:
        return unbroadcast((b @ _column(g))[..., 0], a)
    if n == 2 and m > 2:  # one product instead of many and a sum
        axes = (*range(m - 2), m - 1)
        return unbroadcast(np.tensordot(g, b, (axes, axes)), a)
    return unbroadcast(g @ _swap(b), a)


def _right(g, a, b):
    """The cotangent of b, of which only the type is read: a^H g."""
    n, m = len(a.shape), len(b.shape)
    a = conj(a)
    g = _solid(g)
    if n == 1 and m == 1:
        return unbroadcast(a * g, b)
    if n == 1:
        return unbroadcast(_column(a) * _row(g), b)
    if m == 1 and n == 2:
        return unbroadcast(g @ a, b)
    if m == 1:
        axes = tuple(range(n - 1))
        return unbroadcast(np.tensordot(g, a, (axes, axes)), b)
    if m == 2 and n > 2:
        axes = tuple(range(n - 1))
        return unbroadcast(np.tensordot(a, g, (axes, axes)), b)
    return unbroadcast(_swap(a) @ g, b)


def _matmul_type(a, b):
    x, y = a.shape, b.shape
    if not x or not y or x[-1] != y[max(-2, -len(y))]:
        np.matmul(np.empty(x), np.empty(y))  # raises NumPy's error
    lead = np.broadcast_shapes(x[:-2], y[:-2])
    dtype = np.matmul(np.ones((1, 1), a.dtype), np.ones((1, 1), b.dtype)).dtype
    return Array((*lead, *x[-2:-1], *(y[-1:] if len(y) > 1 else ())), dtype)


def _matmul_batch(size, batched, a, b):
    p, q = shape_of(a), shape_of(b)
    n, m = len(p) - batched[0], len(q) - batched[1]  # axes of a lane
    if not batched[1]:
        if m == 1 or n == 1:  # a lane that is a vector is a row of the batch
            return a @ b if n == 1 and m <= 2 else _row(a) @ b if n == 1 else a @ b
        if m == 2:  # one large product
            return np.reshape(np.reshape(a, (-1, p[-1])) @ b, (*p[:-1], q[-1])) if 0 not in p else a @ b
        return _lead(a, n, m) @ b
    if not batched[0]:
        if m == 1:
            return b @ a if n == 1 else b @ _swap(a) if n == 2 else np.matmul(a, _column(_lead(b, 1, n - 1)))[..., 0]
        if n == 1:
            return np.matmul(a, b)
        if n == 2 and 0 not in q:  # one large product, of the lanes side by side
            wide = np.reshape(np.moveaxis(b, -2, 0), (q[-2], -1))
            return np.moveaxis(np.reshape(a @ wide, (p[0], *q[:-2], q[-1])), 0, -2)
        return a @ _lead(b, m, n)
    if n == 1:
        a, n = _row(a), 2
        y = _matmul_batch(size, batched, a, b)
        return y[..., 0, :] if m > 1 else y[..., 0]
    if m == 1:
        return np.matmul(_lead(a, n, 2), _column(_lead(b, 1, n - 1)))[..., 0]
    rank = max(n, m)
    return _lead(a, n, rank) @ _lead(b, m, rank)


def _lead(x, have, want):
    """A batch whose lanes have `have` axes, with more of length 1 behind the batch axis, up to `want`."""
    s = shape_of(x)
    return x if have >= want else np.reshape(x, (s[0], *(1,) * (want - have), *s[1:]))


def _normal(rng, *shapes):
    return tuple(rng.normal(size=s) for s in shapes)


def _matmul_samples(rng):
    shapes = [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((2, 2, 3), (3, 2)), ((2, 3), (2, 3, 2)), ((2, 2, 3), (3,)),
              ((3,), (2, 3, 2)), ((2, 1, 2, 3), (2, 3, 2)), ((3, 3), (3, 3))]  # fmt: skip
    rows = [(_normal(rng, *s), {}) for s in shapes]
    a, b, c, d = _normal(rng, (2, 3), (2, 3), (3, 2), (3, 2))
    return rows + [((a + 1j * b, c + 1j * d), {}), ((a, c + 1j * d), {})]


_matmul = bilinear("matmul", operator.matmul, _left, _right, type=_matmul_type, batch=_matmul_batch, sample=_matmul_samples)
# Operands of equal shapes (vectors, square matrices) take the short way; each rule then knows both types from one.
matmul = binary(_matmul, operator.matmul, ((False, False, True), (False, True, False)),
                (lambda g, y, a, b: _left(g, b, b), lambda g, y, a, b: _right(g, a, a)))  # fmt: skip
