"""Rows that are no longer than a few vectors: sums along them and across them in one loop, and vectors of which a part is there."""

import numpy as np
import pytest

import adjoint as ad

SHAPES = [(5, 5), (3, 7), (7, 9), (33, 17), (300, 6), (700, 31), (2, 40), (4, 5, 6), (6, 300, 5), (3, 2, 4, 9)]


def reductions(x, y):
    z = x * y + 1
    n = x.ndim
    return (
        np.sum(z, axis=n - 1),
        np.sum(z * x, axis=n - 2),
        np.max(z, axis=0),
        np.min(z - x, axis=n - 1),
        np.sum(z, axis=(n - 2, n - 1)),
        np.sum(y + x, axis=tuple(range(n - 1))),
        np.any(z > x, axis=n - 2),
        z,
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_reductions_in_both_directions(shape, dtype):
    rng = np.random.default_rng(3)
    x, y = (rng.integers(-9, 10, shape).astype(dtype) for _ in range(2))  # whole numbers: sums are exact in any order
    if dtype != "int64":
        y.flat[[0, y.size // 2, y.size - 1]] = [np.inf, np.nan, -0.0]
    with np.errstate(all="ignore"):
        for got, want in zip(ad.jit(reductions)(x, y), reductions(x, y), strict=True):
            assert got.dtype == want.dtype
            np.testing.assert_array_equal(got, want)


def test_a_sum_of_negative_zeros_is_zero_as_numpys():
    x = np.full((6, 5), -0.0)
    for got in ad.jit(lambda x: (np.sum(x, 0), np.sum(x * 1.0, 1)))(x):
        assert not got.any() and not np.signbit(got).any()


def test_long_columns_beside_row_sums_are_summed_exactly_enough():
    rng = np.random.default_rng(4)
    x = rng.uniform(0, 1, (3000, 5))
    down, across = ad.jit(lambda x: (np.sum(x * x, axis=0), np.sum(x * x, axis=1)))(x)
    want = np.sum(x.astype(np.longdouble) ** 2, axis=0)
    np.testing.assert_allclose(down, want.astype(float), rtol=4e-15)
    np.testing.assert_allclose(across, np.sum(x * x, axis=1), rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bool", "int32", "complex128"])
@pytest.mark.parametrize("n", [3, 5, 6, 7, 11, 13, 23])
def test_nothing_is_written_beside_a_row(n, dtype):
    """Into every second row of a larger array: what lies between stays."""
    rows = (np.arange(4 * n).reshape(4, n) % 3).astype(dtype)

    def f(rows):
        out = np.ones((9, n + 2), dtype)
        out[1::2, 1:-1] = rows + rows
        return out

    want = np.ones((9, n + 2), dtype)
    want[1::2, 1:-1] = rows + rows
    np.testing.assert_array_equal(ad.jit(f)(rows), want)
