"""Shifts and counts of bits in native code: NumPy's answers for every whole dtype, for shifts that are too far or negative."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint8])
@pytest.mark.parametrize("length", [3, 40])
def test_bits(dtype, length, no_disk_cache):
    info = np.iinfo(dtype)
    x = np.array([1, 5, info.min, info.max, 0, 3, 100, info.max // 3], dtype)
    x, n = (np.resize(a, length) for a in (x, np.array([0, 1, 3, 7, 8, 9, 63, 2, 31, 33, 15], dtype)))
    for f, args in ((np.left_shift, (x, n)), (np.right_shift, (x, n)), (np.bitwise_count, (x,))):
        h = ad.jit(f)
        got, want = h(*args), f(*args)
        assert np.array_equal(got, want) and got.dtype == want.dtype
        assert "called back" not in h.explain(*args)


def test_negative_shifts(no_disk_cache):
    x, n = np.arange(40) - 20, np.full(40, -1)
    assert np.array_equal(ad.jit(np.left_shift)(x, n), np.left_shift(x, n))
    assert np.array_equal(ad.jit(np.right_shift)(x, n), np.right_shift(x, n))
