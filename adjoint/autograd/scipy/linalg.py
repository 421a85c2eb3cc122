"""scipy.linalg's names on arrays and tensors. As `adjoint.scipy.linalg`, and solve_banded; others are primitives without rule."""

import types

import numpy as np

from ...core.op import shape as shape_of
from ...scipy import linalg as _linalg
from ..extend import defvjp, primitive


@primitive
def solve_banded(l_and_u, ab, b):
    """x with A x = b for a banded A, in `scipy.linalg.solve_banded`'s storage: ab[u + i - j, j] = A[i, j]."""
    from scipy.linalg import solve_banded

    return solve_banded(l_and_u, ab, b)


def _entries(l_and_u, n):
    """(row of ab, column, row of A, whether the entry is in A) of each place of ab."""
    low, up = l_and_u
    k, j = np.indices((low + up + 1, n))
    i = j + k - up
    return k, j, i, (i >= 0) & (i < n)


def _transposed(l_and_u, ab):
    """The storage of A': A'[j, i] = A[i, j], so its row for offset j - i is A's row for offset i - j."""
    low, up = l_and_u
    n = shape_of(ab)[1]
    k, j, i, _ = _entries((up, low), n)  # the place of A'[i, j], that is A[j, i] = ab[up + j - i, i]
    inside = (i >= 0) & (i < n)
    return np.where(inside, ab[up + j - i, np.where(inside, i, 0)], 0.0)


def _back(l_and_u, ab, g):
    low, up = l_and_u
    return solve_banded((up, low), _transposed(l_and_u, ab), g)


def _by_matrix(ans, l_and_u, ab, b):
    _, j, i, inside = _entries(l_and_u, shape_of(ab)[1])
    i = np.where(inside, i, 0)

    def pull(g):  # A x = b: dA enters as -dA x
        h = _back(l_and_u, ab, g)
        product = h[i] * ans[j]
        product = product if np.ndim(ans) == 1 else np.sum(product, axis=-1)
        return np.where(inside, -product, 0.0)

    return pull


defvjp(solve_banded, None, _by_matrix, lambda ans, l_and_u, ab, b: lambda g: _back(l_and_u, ab, g))


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    value = getattr(_linalg, name)
    import scipy.linalg

    if isinstance(value, types.FunctionType) and value is getattr(scipy.linalg, name, None):
        value = globals()[name] = primitive(value)  # one object, as defvjp gives it the rule
    return value


def __dir__():
    return [*dir(_linalg), "solve_banded"]
