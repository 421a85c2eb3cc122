"""What is made of decompositions of matrices, and what their derivatives ask about repeated values, for native code.

The ops of primitives/repeated have a quick answer where no value is repeated; here the formulas behind it are computed in any
case, in loops over the pairs of values: exact. Pseudoinverse and rank follow NumPy's own steps.
"""

import numpy as np

from ...core.op import shape as shape_of
from ...core.types import typeof
from ...primitives import repeated
from ...primitives.kinds import conj
from ...primitives.linalg import T, diagonal_of


def near(w):
    return repeated.near_pairs(w) if 0 not in shape_of(w) else None


def tiny(w):
    return np.absolute(w) <= repeated.tolerance(w) if 0 not in shape_of(w) else None


def settle(m, near):
    d = np.broadcast_to(diagonal_of(m), np.broadcast_shapes(shape_of(m), shape_of(near))[:-1])
    return _unless(repeated.mixed_rows(m, near), d)


def share(g, near):
    return _square(_unless(repeated.unequal_rows(g, near), g))


def _unless(rows, x):
    return np.where(rows, typeof(x).dtype.type(np.nan), x)


def _square(x):
    return np.where(np.eye(shape_of(x)[-1], dtype=bool), x[..., None, :], typeof(x).dtype.type(0))


def largest(v):
    return np.equal(np.arange(shape_of(v)[-2])[:, None], np.argmax(np.absolute(v), -2)[..., None, :])


def pinv(a, rtol=1e-15):
    if 0 in shape_of(a) or not isinstance(rtol, (int, float)):
        return None
    u, s, vh = np.linalg.svd(conj(a), full_matrices=False)
    large = s > rtol * np.max(s, axis=-1, keepdims=True)
    inverse = np.where(large, 1 / np.where(large, s, typeof(s).dtype.type(1)), typeof(s).dtype.type(0))
    return T(vh) @ (inverse[..., None] * T(u))


def adjugate(a):
    """Cofactors, of up to three rows; beyond, singular matrices need their singular vectors."""
    n = shape_of(a)[-1]
    if n > 3 or 0 in shape_of(a):
        return None
    entry = [[a[..., i, j] for j in range(n)] for i in range(n)]
    if n == 1:
        return np.ones_like(a)

    def minor(i, j):
        rows = [row[:j] + row[j + 1 :] for row in entry[:i] + entry[i + 1 :]]
        if n == 2:
            return rows[0][0] if (i + j) % 2 == 0 else -rows[0][0]
        (p, q), (r, s) = rows
        return p * s - q * r if (i + j) % 2 == 0 else q * r - p * s

    return np.stack([np.stack([minor(j, i) for j in range(n)], -1) for i in range(n)], -2)


def matrix_rank(a, rtol=None):
    shape = shape_of(a)
    if len(shape) < 2 or 0 in shape or not (rtol is None or isinstance(rtol, (int, float))):
        return None
    s = np.linalg.svdvals(a)
    rtol = max(shape[-2:]) * float(np.finfo(typeof(s).dtype).eps) if rtol is None else rtol
    return np.sum(s > np.max(s, axis=-1, keepdims=True) * rtol, axis=-1)


FACTORS = {
    "largest": largest,
    "adjugate": adjugate,
    "pinv": pinv,
    "matrix_rank": matrix_rank,
    "near": near,
    "tiny": tiny,
    "settle": settle,
    "share": share,
    "unequal": repeated.unequal_rows,
    "weigh": lambda g, near, w: _square(g),
    "sealed": lambda x, mask: np.copy(x),
    "doubtful": repeated.doubtful_rows,
}
