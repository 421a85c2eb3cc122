"""One value is one number: what is compared is not computed twice, with other roundings.

`a * b + c` is rounded once where it becomes a fused multiply-add, and twice where a * b is wanted besides. So a cheap value
that a loop computes again, or that a backward pass makes again, may differ in its last bit from what its maximum was taken of.
"""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad

N = 1000


def values(key, dtype=np.float64):
    return np.random.default_rng(key).normal(size=(3, N)).astype(dtype)


def test_the_largest_is_there():
    @ad.jit
    def count(a, b, c):
        p = a * b
        v = p + c
        m = np.max(v)
        return np.sum(v == m), np.sum(v >= m), np.sum(v > m), np.sum(p * m)

    for key in range(20):
        a, b, c = values(key)
        assert [int(n) for n in count(a, b, c)[:3]] == [1, 1, 0]


def test_nothing_is_larger_than_the_largest():
    @ad.jit
    def root(a, b, c):
        p = a * b
        v = p + c
        m = np.max(v)
        return np.sum(np.sqrt(m - v)), np.sum(p * m)

    assert all(np.isfinite(root(*values(key))[0]) for key in range(20))


def largest(a, b, c):
    p = a * b
    return np.sum(p * np.max(p + c))


def marked(a, b, c):
    p = a * b
    v = p + c
    return np.sum(np.where(v == np.max(v), v * v, 0.0)) + np.sum(np.square(p) * c)


def in_a_loop(a, b, c):
    total = 0.0
    for _ in range(20):
        p = a * b
        v = p + c
        a = a * 0.9 + 0.01 * np.max(v) * c
        total = total + np.sum(p * np.max(v))
    return total


@pytest.mark.parametrize("how", ["jit of grad", "grad of jit"])
@pytest.mark.parametrize("f", [largest, marked, in_a_loop])
def test_its_derivative_is_not_lost(f, how):
    wanted = ad.grad(f, argnums=(0, 1, 2))
    compiled = ad.jit(wanted) if how == "jit of grad" else ad.grad(ad.jit(f), argnums=(0, 1, 2))
    for key in range(20):
        xs = values(key)
        for g, want in zip(compiled(*xs), wanted(*xs), strict=True):
            np.testing.assert_allclose(g, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exponentials_of_short_rows(dtype):
    """Each row's maximum has a derivative of its own, found where the row equals it."""
    weights = np.cos(np.arange(600.0).reshape(200, 3))

    def f(x):
        v = x * 1.0
        for i in range(3):
            v = 0.7 * np.sin(v) + 0.1 * i * x
        return np.sum(np.exp(v - np.max(v, axis=-1, keepdims=True)) * weights)

    x = np.random.default_rng(0).uniform(-1.5, 1.5, (200, 3)).astype(dtype)
    np.testing.assert_allclose(ad.grad(ad.jit(f))(x), ad.grad(f)(x), atol=1e-5 if dtype is np.float32 else 1e-12)
