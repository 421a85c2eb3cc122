"""Arrays that are put between each other (stack along the last axis), and sums of what is read so: in one loop for all."""

import numpy as np
import pytest

import adjoint as ad

rng = np.random.default_rng(12)


@pytest.mark.parametrize("count", [2, 3, 4, 7])
@pytest.mark.parametrize("shape", [(20,), (5, 9), (3, 1, 11), (1, 17)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_stack_along_the_last_axis(count, shape, dtype):
    big = rng.integers(-9, 9, (count, *[n + 2 for n in shape])).astype(dtype)
    parts = [tuple(slice(k % 3, k % 3 + n) for n in shape) for k in range(count)]

    def f(big):
        return np.stack([big[k][p] for k, p in enumerate(parts)], axis=-1)

    got = ad.jit(f)(big)
    assert got.dtype == big.dtype and np.array_equal(got, f(big))


def test_stack_of_broadcast_transposed_and_reversed_arrays():
    def f(a, b):
        return np.stack([a, a.T, np.broadcast_to(b, a.shape), a[::-1], np.full(a.shape, 2.5)], axis=-1)

    a, b = rng.normal(size=(12, 12)), rng.normal(size=12)
    assert np.array_equal(ad.jit(f)(a, b), f(a, b))
    w = rng.normal(size=(12, 12, 5))
    got = ad.jit(ad.grad(lambda a, b: np.sum(w * f(a, b)), argnums=(0, 1)))(a, b)
    assert np.allclose(got[0], w[..., 0] + w[..., 1].T + w[::-1, :, 3], rtol=1e-14)
    assert np.allclose(got[1], w[..., 2].sum(0), rtol=1e-13)


@pytest.mark.parametrize("k", [2, 3])
def test_windows_and_their_sums(k):
    x, w = rng.integers(-9, 9, (3, 14, 13)).astype(float), rng.integers(-9, 9, (k * k,)).astype(float)
    n, m = 14 - k + 1, 13 - k + 1

    def f(x):
        rows = np.stack([x[:, i : i + n, j : j + m] for i in range(k) for j in range(k)], axis=-1)
        return np.sum((rows @ w) ** 2) / 2

    want = np.zeros_like(x)
    y = sum(w[i * k + j] * x[:, i : i + n, j : j + m] for i in range(k) for j in range(k))
    for i in range(k):
        for j in range(k):
            want[:, i : i + n, j : j + m] += w[i * k + j] * y
    assert np.array_equal(ad.jit(ad.grad(f))(x), want)  # integers: every sum is exact
