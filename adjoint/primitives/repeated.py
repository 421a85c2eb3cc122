"""Repeated eigenvalues and singular values: what of a derivative is there, and what would be lost.

Vectors of equal values may turn among each other. Let m be the change of the matrix in the basis of its vectors, and B
the block of one repeated value. In the block m splits the values by its own eigenvalues, which the rules do not look
for: they read its diagonal. That is the derivative where the block of m is a multiple of 1, or where the result weighs
the values of the block alike. Everything here is linear with a NaN where neither is so:

    settle(m, near)     diagonal of m;    NaN where the block is no multiple of 1
    share(g, near)      diagonal matrix;  NaN where the g of a block are not equal; the transpose of `settle`
    weigh(g, near, w)   diagonal matrix, without question: the subgradient of results of values alone. Its own
                        derivative is that of `settle` and `share`. w: the values, whose tangents come from `settle`

A cotangent z of the vectors along themselves must be Hermitian in the block, or the result depends on how the vectors
were chosen. If it depends on vectors and values, as v f(w) v^H does, then z is 2 f(w) c and the cotangent of w is
f'(w) diag(c), where f'(w) c is the derivative: `doubtful` asks whether c is diagonal, or f'(w) is 0.
"""

import numpy as np

from ..core.op import bind
from ..core.tuples import spread
from ..core.types import Array
from .kinds import general, nondiff
from .linalg import columns, diagonal_matrix, diagonal_of, on_diagonal


def tolerance(w):
    """What rounding makes of values of this size, with room to spare: of a repeated value it makes several that differ
    by a few eps, and a derivative divided by such a difference would be noise."""
    return 32 * w.shape[-1] * np.finfo(w.dtype).eps * np.max(np.abs(w), -1, keepdims=True, initial=0)


def near_pairs(w):
    """Which pairs agree within rounding."""
    return np.abs(w[..., None, :] - w[..., :, None]) <= tolerance(w)[..., None]


def native(op):
    """An op without derivative whose arguments all count their axes from the end."""
    op.batch = lambda size, batched, *args, **params: bind(op, *args, **params)
    return op


def _rows(rng):
    return [((np.array([1.0, 1.0, 2.0, 0.0]),), {}), ((rng.normal(size=(2, 3)),), {})]


near = native(nondiff("near", near_pairs, elementwise=False, batch=None, sample=_rows).op)
tiny = native(nondiff("tiny", lambda w: np.abs(w) <= tolerance(w), elementwise=False, sample=_rows).op)


def _repeats(near):
    """Whether any value is repeated at all: most matrices are done with this."""
    return near.size > 0 and np.count_nonzero(near) > near.size // near.shape[-1]


def _others(near):
    return near & ~np.eye(near.shape[-1], dtype=bool)


def _largest(x, near):
    """For each row, the largest number of its block."""
    return np.max(np.where(near, x[..., None, :], 0), -1, initial=0)


def _any(x, near):
    return np.any(near & x[..., None, :], -1)


def _eps(x):
    return np.finfo(x.dtype).eps if x.dtype.kind in "fc" else np.finfo(np.float64).eps


def _slack(size, whole, near):
    # equal: in half the digits within a block, and in nearly all of them against everything
    finite = np.where(np.isfinite(whole), whole, 0)
    return _eps(size) ** 0.5 * _largest(size, near) + 100 * _eps(size) * np.max(finite, -1, keepdims=True, initial=0)


def _unequal_value(g, near):
    if not _repeats(near):
        return np.zeros(np.broadcast_shapes(g.shape, near.shape[:-1]), bool)
    return unequal_rows(g, near)


def unequal_rows(g, near):
    """The rows in whose block the numbers g differ."""
    size = np.abs(g)
    apart = np.abs(g[..., None, :] - g[..., :, None])
    return _any(np.any(near & ~(apart <= _slack(size, size, near)[..., None]), -1), near)


def _mixed_value(m, near):
    if not _repeats(near):
        return np.zeros(np.broadcast_shapes(m.shape, near.shape)[:-1], bool)
    return mixed_rows(m, near)


def mixed_rows(m, near):
    """The rows in whose block m is no multiple of 1."""
    size = np.abs(m)
    row = np.max(size, -1, initial=0)
    slack = _slack(np.max(np.where(near, size, 0), -1, initial=0), row, near)
    off = np.any(_others(near) & ~(size <= slack[..., None]), -1)
    d = diagonal_of(m)
    apart = np.abs(d[..., None, :] - d[..., :, None])
    return _any(off | np.any(near & ~(apart <= slack[..., None]), -1), near)


def _settle_value(m, near):
    y = np.broadcast_to(diagonal_of(m), np.broadcast_shapes(m.shape, near.shape)[:-1])
    return np.where(_mixed_value(m, near), m.dtype.type(np.nan), y)


def _share_value(g, near):
    return _diagonal(np.where(_unequal_value(g, near), g.dtype.type(np.nan), g))


def _diagonal(x):
    return np.where(np.eye(x.shape[-1], dtype=bool), x[..., None, :], x.dtype.type(0))


def _together(op):
    def batch(size, batched, *args):
        return bind(op(), *(a if b else spread(size, a) for b, a in zip(batched, args, strict=True)))

    return batch


_apart = np.eye(3, dtype=bool)
settle_op = general(
    "settle",
    _settle_value,
    jvp=lambda ts, y, m, near: None if ts[0] is None else bind(settle_op, ts[0], near),
    vjp=lambda wants, g, _y, _m, near: (bind(share_op, g, near), None),
    batch=_together(lambda: settle_op),
    type=lambda m, near: Array(m.shape[:-1], m.dtype),
    sample=lambda rng: [((rng.normal(size=(3, 3)), _apart), {})],
)
share_op = general(
    "share",
    _share_value,
    jvp=lambda ts, y, g, near: None if ts[0] is None else bind(share_op, ts[0], near),
    vjp=lambda wants, g, _y, _g, near: (bind(settle_op, g, near), None),
    batch=_together(lambda: share_op),
    type=lambda g, near: Array((*g.shape, g.shape[-1]), g.dtype),
    sample=lambda rng: [((rng.normal(size=3), _apart), {})],
)
unequal = native(
    nondiff("unequal", _unequal_value, elementwise=False, sample=lambda rng: [((rng.normal(size=3), _apart), {})]).op
)


def _weigh_jvp(ts, y, g, near, w):
    if ts[0] is None:
        return None
    return diagonal_matrix(ts[0] if ts[2] is None else np.where(np.isnan(ts[2]), np.nan, ts[0]))


weigh_op = general(
    "weigh",
    lambda g, near, w: _diagonal(g),
    _weigh_jvp,
    vjp=lambda wants, g, _y, _g, near, _w: (bind(settle_op, g, near), None, None),
    batch=_together(lambda: weigh_op),
    type=lambda g, near, w: Array((*g.shape, g.shape[-1]), g.dtype),
    sample=lambda rng: [((rng.normal(size=3), _apart, rng.normal(size=3)), {})],
)
# x, without a derivative in the columns of the mask
sealed = general(
    "sealed",
    lambda x, mask: x,
    jvp=lambda ts, y, x, mask: None if ts[0] is None else np.where(columns(mask), np.nan, ts[0]),
    vjp=lambda wants, g, _y, _x, mask: (np.where(columns(mask), np.nan, g), None),
    batch=_together(lambda: sealed),
    type=lambda x, mask: x,
    sample=lambda rng: [((rng.normal(size=(2, 3)), np.zeros(3, bool)), {})],
)


def _doubtful_value(z, size, g, near, loose, values):
    if not loose.any():
        return np.zeros(np.broadcast_shapes(z.shape, near.shape)[:-1], bool)
    return doubtful_rows(z, size, g, near, loose, values)


def doubtful_rows(z, size, g, near, loose, values):
    """What `doubtful` tells, of arrays and of tensors."""
    slack = _eps(size) ** 0.5 * _largest(size, near)[..., None]
    zh = np.conjugate(np.swapaxes(z, -1, -2))
    bad = np.any(loose & ~(np.abs(z - zh) <= 2 * slack), -1)
    if values:
        even = np.abs(z + zh) > 2 * slack
        off = _any(np.any(even & _others(near), -1), near)
        diagonal = _any(diagonal_of(even), near)
        weight = np.abs(g)
        weight = _any(~(weight <= 100 * _eps(g) * np.max(weight, -1, keepdims=True, initial=0)), near)
        lost = np.where(weight, off | ~diagonal, off & ~diagonal)
        bad = bad | (lost & np.any(loose, -1))
    return _any(bad, near)


_doubtful = native(
    nondiff(
        "doubtful",
        _doubtful_value,
        elementwise=False,
        sample=lambda rng: [
            ((rng.normal(size=(3, 3)), rng.uniform(1, 2, 3), rng.normal(size=3), _apart, _apart), {"values": True})
        ],
    ).op
)


def doubtful(z, size, g, near, loose=None):
    """The rows in whose block a derivative would be lost. z: the vectors' cotangent along themselves; size: how large
    that cotangent is, for each vector; g: the cotangent of the values, or None; loose: the pairs of vectors that may
    turn against each other, if not those of equal values."""
    if loose is None:
        loose = near & ~on_diagonal(near)
    return bind(_doubtful, z, size, np.zeros(1) if g is None else g, near, loose, values=g is not None)
