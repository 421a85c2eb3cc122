"""numpy.linalg's names on arrays and tensors, and autograd's convention for cholesky."""

import functools

import numpy as np

from ...core.op import shape as shape_of
from ...core.tensor import is_tensor
from ...numpy import linalg as _linalg
from ..extend import defjvp, defvjp, primitive
from ..mirror import mirror


def _hermitian(g):
    return 0.5 * (g + np.conj(np.swapaxes(g, -1, -2)))


@primitive
def both_triangles(a):
    """a matrix (or a stack), whose derivative is that along Hermitian matrices: half in either triangle."""
    return a


defvjp(both_triangles, lambda ans, a: _hermitian)
defjvp(both_triangles, lambda t, ans, a: _hermitian(t))


@functools.wraps(_linalg.cholesky)
def cholesky(a, *args, **kwargs):
    """As `numpy.linalg.cholesky`, which reads one triangle; the gradient is symmetric, as in autograd."""
    matrices = is_tensor(a) and len(shape_of(a)) >= 2
    return _linalg.cholesky(both_triangles(a) if matrices else a, *args, **kwargs)


__getattr__, __dir__ = mirror(lambda: _linalg)
