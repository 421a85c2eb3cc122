"""Arrays put together from pieces: r_, c_, full, make_diagonal; and what rules ask of an array: metadata."""

import numpy as np

from ...core.op import shape as shape_of
from ...core.tensor import FUNCTIONS, is_tensor
from ...core.tree import flatten
from ...core.types import typeof


class _Pieces:
    """numpy.r_ or numpy.c_. With tensors among the pieces: joined along the last axis (c_) or the first (r_)."""

    def __init__(self, plain, axis, ndmin):
        self.plain, self.axis, self.ndmin = plain, axis, ndmin

    def __getitem__(self, key):
        parts = key if type(key) is tuple else (key,)
        if not any(map(is_tensor, flatten(parts)[0])):
            return self.plain[key]
        if type(parts[0]) is str:
            raise NotImplementedError("r_ and c_ with an axis string and tensors; use np.concatenate or np.stack")
        return np.concatenate([self._piece(p) for p in parts], axis=self.axis)

    def _piece(self, p):
        if type(p) is slice:
            p = self.plain[p]
        p = FUNCTIONS[np.asarray](p)
        s = shape_of(p)
        if self.ndmin == 2 and len(s) < 2:  # c_ stands vectors up as columns
            return np.reshape(p, (-1, 1))
        return np.reshape(p, (1,)) if s == () else p


r_ = _Pieces(np.r_, 0, 1)
c_ = _Pieces(np.c_, -1, 2)


def full(shape, fill_value, dtype=None, order="C"):
    """As `numpy.full`; the value may be a tensor."""
    if not is_tensor(fill_value):
        return np.full(shape, fill_value, dtype, order)
    y = np.broadcast_to(fill_value, shape)
    return y if dtype is None else np.astype(y, np.dtype(dtype))


def make_diagonal(D, offset=0, axis1=0, axis2=1):
    """Matrices with D's last axis on the diagonal; as in autograd, for offset=0, axis1=-1, axis2=-2."""
    if (offset, axis1, axis2) != (0, -1, -2):
        raise NotImplementedError("make_diagonal puts a last axis on a main diagonal: offset=0, axis1=-1, axis2=-2")
    return np.where(np.eye(shape_of(D)[-1], dtype=bool), np.expand_dims(D, -1), 0.0)


def metadata(x):
    """(shape, ndim, dtype, whether it is complex), which is what rules keep of an argument to undo its broadcasting."""
    t = typeof(x)
    return t.shape, len(t.shape), t.dtype, t.dtype.kind == "c"
