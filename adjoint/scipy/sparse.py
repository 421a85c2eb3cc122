"""Products and solutions with constant matrices of scipy.sparse; tensors are the dense side. See adjoint.scipy."""

import numpy as np
import scipy.sparse as _sparse
import scipy.sparse.linalg as _sparse_linalg

from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.types import Array
from ..primitives.kinds import as_array, linear, unbroadcast


class _Constant:
    """A sparse matrix as a parameter of an op, with its conjugate transpose and its factors, made when first used."""

    __slots__ = ("_factors", "_transposed", "matrix")

    def __init__(self, matrix, transposed=None):
        self.matrix = matrix
        self._transposed = transposed
        self._factors = None

    @property
    def H(self):
        if self._transposed is None:
            self._transposed = _Constant(self.matrix.conj().T.tocsr(), self)
        return self._transposed

    def solve(self, b):
        kind = np.result_type(b.dtype, self.matrix.dtype)
        if self._factors is None:  # in double precision, whatever the right hand side
            double = np.result_type(self.matrix.dtype, np.float64)
            self._factors = _sparse_linalg.splu(self.matrix.tocsc().astype(double))
        if b.dtype.kind == "c" and self.matrix.dtype.kind != "c":
            x = self._factors.solve(b.real.astype(np.float64)) + 1j * self._factors.solve(b.imag.astype(np.float64))
        else:
            x = self._factors.solve(b.astype(np.result_type(b.dtype, self.matrix.dtype, np.float64)))
        return x.astype(kind if kind.kind in "fc" else np.float64)

    def __repr__(self):
        return f"<sparse {self.matrix.shape[0]} x {self.matrix.shape[1]}, {self.matrix.nnz} entries>"


def _type(x, a):
    return Array((a.matrix.shape[0], *x.shape[1:]), np.result_type(x.dtype, a.matrix.dtype))


def _columns(op):
    """vmap: the lanes are further columns of one dense matrix."""

    def batch(size, batched, x, a):
        shape = shape_of(x)
        flat = np.reshape(np.swapaxes(x, 0, 1), (shape[1], -1))
        y = np.reshape(bind(op(), flat, a=a), (a.matrix.shape[0], size, *shape[2:]))
        return np.swapaxes(y, 0, 1)

    return batch


def _samples(rng):
    a = _Constant(_sparse.csr_array(np.array([[2, 0, 1], [0, 3, 0], [0.5, 0, 4]], np.float32)))
    return [((rng.normal(size=s),), {"a": a}) for s in ((3,), (3, 2))]


_matmul: Op = linear("sparse_matmul", lambda x, a: np.asarray(a.matrix @ x),
                     lambda g, x, a: unbroadcast(bind(_matmul, g, a=a.H), x),
                     batch=_columns(lambda: _matmul), type=_type, sample=_samples)  # fmt: skip
_solve: Op = linear("sparse_solve", lambda x, a: a.solve(np.asarray(x)),
                    lambda g, x, a: unbroadcast(bind(_solve, g, a=a.H), x),
                    batch=_columns(lambda: _solve), type=_type, sample=_samples)  # fmt: skip


def matmul(A, x):
    """A @ x for a constant sparse matrix A and a dense vector or matrix x.

    >>> import scipy.sparse, adjoint as ad
    >>> A = scipy.sparse.csr_array([[0.0, 2.0], [3.0, 0.0]])
    >>> ad.grad(lambda x: matmul(A, x).sum())(np.array([1.0, 1.0]))
    array([3., 2.])
    """
    return bind(_matmul, as_array(x), a=_constant(A, x))


matvec = matmul


def spsolve(A, b):
    """x of A @ x = b for a constant sparse matrix A and a dense b; one factorisation serves a matrix of columns.

    >>> import scipy.sparse
    >>> spsolve(scipy.sparse.csr_array([[2.0, 0.0], [0.0, 4.0]]), np.array([2.0, 2.0]))
    array([1. , 0.5])
    """
    b = as_array(b)
    a = _constant(A, b)
    if a.matrix.shape[0] != a.matrix.shape[1]:
        raise ValueError(f"matrix must be square (has shape {a.matrix.shape})")
    return bind(_solve, b, a=a)


def _constant(A, x):
    if not _sparse.issparse(A):
        raise TypeError(f"A must be a sparse matrix of scipy.sparse, not {type(A).__name__}")
    if len(shape_of(x)) not in (1, 2) or shape_of(x)[0] != A.shape[1]:
        raise ValueError(f"a sparse matrix of shape {A.shape} does not fit an array of shape {tuple(shape_of(x))}")
    return _Constant(A.tocsr())


def __getattr__(name):
    return getattr(_sparse, name)
