"""Convolution and correlation of sequences: one op, linear in each of the two."""

import numpy as np

from ..core.op import bind
from ..core.op import shape as shape_of
from ..core.types import Array, typeof
from .kinds import as_array, bilinear, implements, unbroadcast


def _bounds(n, m, mode):
    """Which part of a full convolution of n and m entries a mode keeps."""
    short, long = min(n, m), max(n, m)
    if mode == "full":
        return 0, n + m - 1
    start = (short - 1) // 2 if mode == "same" else short - 1
    return start, start + (long if mode == "same" else long - short + 1)


def _convolve_back(g, a, v, mode):
    # y_k = sum_i a_i v_(k-i), so the cotangent of a is sum_k g_k conj(v_(k-i))
    n, m = a.shape[0], v.shape[0]
    start, stop = _bounds(n, m, mode)
    if mode != "full":
        g = np.concatenate([np.zeros(start, typeof(g).dtype), g, np.zeros(n + m - 1 - stop, typeof(g).dtype)])
    return unbroadcast(np.correlate(g, v, "valid"), a)


def _convolve_type(a, v, mode):
    start, stop = _bounds(a.shape[0], v.shape[0], mode)
    return Array((stop - start,), np.result_type(a.dtype, v.dtype))


def _convolve_batch(size, batched, a, v, mode):
    n, m = shape_of(a)[-1], shape_of(v)[-1]
    if m > n:
        return _convolve_batch(size, batched[::-1], v, a, mode)
    # the entries of a under each position of v, as a matrix
    side = np.zeros((*shape_of(a)[:-1], m - 1), typeof(a).dtype)
    under = np.arange(*_bounds(n, m, mode))[:, None] + np.arange(m)
    frames = np.concatenate([side, a, side], -1)[..., under]
    v = np.flip(v, -1)
    if not batched[1]:
        return np.matmul(frames, v)
    return np.matmul(frames, np.expand_dims(v, -1))[..., 0] if batched[0] else np.matmul(v, frames.T)


def _convolve_samples(rng):
    rows = [
        (tuple(rng.normal(size=n) for n in s), {"mode": mode})
        for mode in ("full", "same", "valid")
        for s in ((5, 3), (2, 4), (3, 3))
    ]
    a, v = (rng.normal(size=n) + 1j * rng.normal(size=n) for n in (4, 2))
    return [*rows, ((a, v), {"mode": "same"})]


_convolve = bilinear(
    "convolve",
    lambda a, v, mode: np.convolve(a, v, mode),
    _convolve_back,
    lambda g, a, v, mode: _convolve_back(g, v, a, mode),
    type=_convolve_type,
    batch=_convolve_batch,
    sample=_convolve_samples,
)

_MODES = {0: "valid", 1: "same", 2: "full", "v": "valid", "s": "same", "f": "full"}


@implements(np.convolve)
def convolve(a, v, mode="full"):
    """The convolution of two sequences. As `numpy.convolve`."""
    a, v = np.atleast_1d(as_array(a), as_array(v))
    mode = _MODES.get(mode, mode)
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    for x, name in ((a, "a"), (v, "v")):
        if len(shape_of(x)) != 1:
            raise ValueError("object too deep for desired array")
        if not shape_of(x)[0]:
            raise ValueError(f"{name} cannot be empty")
    return bind(_convolve, a, v, mode=mode)


@implements(np.correlate)
def correlate(a, v, mode="valid"):
    """The correlation sum_n a_(n+k) conj(v_n) of two sequences. As `numpy.correlate`."""
    a, v = np.atleast_1d(as_array(a), as_array(v))
    if shape_of(a)[0] >= shape_of(v)[0]:
        return convolve(a, np.conjugate(np.flip(v)), mode)
    return np.conjugate(np.flip(convolve(v, np.conjugate(np.flip(a)), mode)))
