"""Sums in fused loops: of products by cotangents that may be zero, and of few terms, which are done side by side in blocks."""

import numpy as np
import pytest

import adjoint as ad

rng = np.random.default_rng(4)
X = rng.normal(size=(200, 10))
M = rng.normal(size=(5, 10))


def f(m, s, x, w):
    d = (x[:, None, :] - m) * np.exp(s)
    rows = np.sum(d * d * d, axis=2)
    return np.sum(np.where(w > 0, np.exp(-rows * rows), 0.0) * np.where(w > 0, w, 1.0))


def both(m, s, x, w):
    compiled = ad.jit(ad.grad(f, argnums=(0, 1)))
    with np.errstate(all="ignore"):
        got, want = compiled(m, s, x, w), ad.grad(f, argnums=(0, 1))(m, s, x, w)
    return compiled, got, want


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e200])
def test_what_was_not_chosen_gives_nothing(bad):
    w = np.where(np.arange(200)[:, None] == 17, 0.0, rng.uniform(0.5, 1.5, (200, 5)))
    x = X.copy()
    x[17] = bad  # its rows are not chosen: their cotangent is 0, and meets what is not finite
    _, got, _ = both(M, M, x, w)
    keep = np.arange(200) != 17
    want = ad.grad(f, argnums=(0, 1))(M, M, X[keep], w[keep])
    for g, v in zip(got, want, strict=True):
        np.testing.assert_allclose(g, v, rtol=1e-11, atol=1e-14)


def test_a_nan_that_is_one_stays():
    x = X.copy()
    x[3, 4] = np.nan
    _, got, want = both(M, M, x, np.ones((200, 5)))
    for g, v in zip(got, want, strict=True):
        np.testing.assert_allclose(g, v, rtol=1e-11, atol=1e-14)  # NaN in one column, numbers in the others
        assert np.isnan(g).any()


@pytest.mark.parametrize("n", [64, 96, 100, 1000, 1001])
def test_sums_of_few_terms_side_by_side(n):
    x = rng.normal(size=(n, 10))
    got = ad.jit(lambda x, m: np.sum((x[:, None, :] - m) ** 2 * 1.5, axis=2))(x, M)
    np.testing.assert_allclose(got, np.sum((x[:, None, :] - M) ** 2 * 1.5, axis=2), rtol=1e-13)
    a = rng.normal(size=(12, 5, n))
    np.testing.assert_allclose(ad.jit(lambda a: np.sum(a * a, axis=0))(a), np.sum(a * a, axis=0), rtol=1e-13)
    np.testing.assert_array_equal(ad.jit(lambda a: np.max(a * 2, axis=0))(a), np.max(a * 2, axis=0))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("m", [2, 3, 4, 5, 7, 8, 10, 13])
@pytest.mark.parametrize("n", [100, 1000, 1002])
def test_copies_in_another_order(n, m, dtype):
    x, c = rng.integers(-9, 9, (n, m)).astype(dtype), rng.integers(-9, 9, (6, m)).astype(dtype)

    def f(x, c):
        d = x[:, None, :] - c
        r = np.sum(d * d, axis=2)
        return r, np.sum(d * r[:, :, None], axis=0), np.sum(d * (r[:, :, None] + 1), axis=0)

    for got, want in zip(ad.jit(f)(x, c), f(x, c), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)  # whole numbers: exact


SHAPES = [((33, 2), -1), ((33, 3), -1), ((2, 33), 0), ((33,), 0), ((2,), 0), ((4, 5), -1), ((3, 40), -1), ((33, 17), -1),
          ((5, 5, 3), -1), ((5, 5, 3), (0,)), ((40, 2), 0), ((2, 40, 3), (0, 2))]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_the_sum_of_negative_zeros_is_zero(shape, axis, dtype):
    """NumPy's sums begin with 0.0; the passes rely on it, where they drop `+ 0.0`."""
    x = np.full(shape, -0.0, dtype)
    for f in (lambda x: np.sum(x, axis=axis), lambda x: np.sum(np.where(x > 0, x, -0.0), axis=axis) + 0.0):
        assert not np.signbit(f(x)).any()
        assert not np.signbit(ad.jit(f)(x)).any()
