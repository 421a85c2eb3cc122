"""Small arrays that are filled and read entry by entry: the entries are followed, the values and derivatives are those of arrays."""

from collections import Counter

import numpy as np
import pytest

import adjoint as ad

rng = np.random.default_rng(31)


def ops(f, *args):
    return Counter(line.op.name for line in f.graph(*args).lines)


def by_complex_step(f, x):
    """The gradient of f, which is analytic: the imaginary part of f(x + ih) over h."""
    g = np.zeros(x.shape)
    for i in np.ndindex(x.shape):
        z = x.astype(complex)
        z[i] += 1e-30j
        g[i] = np.imag(f(z)) * 1e30
    return g


def lu(a):
    a = a.copy()
    n = len(a)
    total = 0.0
    for k in range(n):
        total = total + np.log(a[k, k])
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            for j in range(k + 1, n):
                a[i, j] -= a[i, k] * a[k, j]
    return total


def test_an_elimination_by_loops_touches_no_memory():
    a = rng.normal(size=(5, 5))
    a = a @ a.T + 5 * np.eye(5)
    f = ad.jit(ad.value_and_grad(lu))
    value, grad = f(a)
    assert np.allclose(value, np.linalg.slogdet(a)[1], rtol=1e-14)
    assert np.allclose(grad, np.linalg.inv(a).T, rtol=1e-12)
    made = ops(f, a)
    graph = f.graph(a)
    reads = sum(line.op.name == "getitem" and line.args[0] in graph.inputs for line in graph.lines)
    assert made["index_set"] == 0 and reads == a.size  # each entry is read once
    assert made["scatter"] + made["index_add"] == a.size  # and the gradient is written once


def whole_between(x):
    y = np.zeros(4, x.dtype)
    y[0] = x[0] * x[1]
    y[-1] = x[2]
    total = np.sum(y * y)  # wanted whole, and then written again
    y[1] = y[0] * y[3] + total
    y[0] = y[1] ** 2
    return np.sum(np.sin(y)) + y[1] * x[3] + np.sum(y[1:3])


def old_versions(x):
    y = x * 2.0
    before = y.copy()
    y[1] = x[0]
    y[2] = y[1] * before[1]
    before[0] = y[2]
    return np.sum(before * y) + before[1] * y[1]


def swapped(x):
    y = x.copy()
    y[0], y[3] = y[3], y[0]
    y[1] += y[0]
    y[1] += y[3] * y[1]
    return np.sum(y * np.arange(4.0)) + y[1]


def dense_beside(x):
    return np.sum(np.exp(x)) + x[0] * x[1] + x[1] * x[2] * x[2] + np.sum(x[1:] * x[:-1])


def unused(x):
    y = np.zeros(4, x.dtype)
    y[2] = x[1]
    y[2] = x[3] * x[3]
    return y[2] + y[1]


@pytest.mark.parametrize("f", [whole_between, old_versions, swapped, dense_beside, unused], ids=lambda f: f.__name__)
def test_entries_and_whole_arrays(f):
    x = rng.normal(size=4)
    value, grad = ad.jit(ad.value_and_grad(f))(x)
    assert np.allclose(value, f(x), rtol=1e-14)
    want = by_complex_step(f, x)
    assert np.allclose(grad, want, rtol=1e-12, atol=1e-14)
    curvature = ad.jit(ad.hessian(f))(x)
    h = 1e-6
    gradient = ad.grad(ad.differentiable(f))
    rows = [(gradient(x + h * e) - gradient(x - h * e)) / (2 * h) for e in np.eye(4)]
    assert np.allclose(curvature, rows, rtol=1e-6, atol=1e-6)


def test_the_array_itself_is_the_result():
    def f(x):
        y = np.zeros((2, 3))
        for i in range(2):
            for j in range(3):
                y[i, j] = x[j] * (i + 1)
        return y

    x = rng.normal(size=3)
    want = np.outer([1.0, 2.0], x)
    assert np.array_equal(ad.jit(f)(x), want)
    assert np.allclose(ad.jit(ad.jacobian(f))(x), [(i + 1) * np.eye(3) for i in range(2)], rtol=1e-15)


def test_in_the_body_of_a_loop():
    def f(x, n):
        y = x * 1.0
        i = 0
        while i < n:
            a = y[0]
            y[0] = y[1] * 0.5
            y[1] = np.sin(a)
            y[2] = y[2] + y[0]
            i = i + 1
        return np.sum(y * y)

    x = rng.normal(size=3)
    g = ad.jit(ad.grad(f))
    assert np.allclose(g(x, 7), by_complex_step(lambda z: f(z, 7), x), rtol=1e-12, atol=1e-15)


def test_values_become_the_dtype_of_the_array():
    def f(x):
        y = np.zeros(3, np.float32)
        y[0] = x[0]
        y[1] = 1
        return y[0] * 2.0, y[1] / 3, y

    x = np.array([0.1, 0.2])
    got, want = ad.jit(f)(x), f(x)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)

    def g(n):
        k = np.zeros(3, int)
        k[1] = n[0] * 2
        k[2] = k[1] + 7
        return k[2] // 2, k

    n = np.array([5, 6])
    assert ad.jit(g)(n)[0] == 8 and np.array_equal(ad.jit(g)(n)[1], [0, 10, 17])


def test_infinities_of_entries_that_were_overwritten_are_not_seen():
    def f(x):
        y = np.zeros(2)
        y[0] = np.sqrt(x[0])  # infinitely steep at 0
        y[0] = x[1]
        return y[0] * 3.0

    assert np.array_equal(ad.jit(ad.grad(f))(np.array([0.0, 2.0])), [0.0, 3.0])


def test_many_products_with_zero_cotangents():
    # as many as are decided by masks: a cotangent that is zero wins over infinity and NaN, one that is NaN stays
    def f(x):
        total = 0.0
        for i in range(6):
            for j in range(6):
                a = x[i] * x[j + 1]
                total = total + np.sqrt(np.where(a > 0, a, 4.0)) * a * a * np.cos(a)
        return total

    x = rng.normal(size=8)
    compiled, eager = ad.jit(ad.grad(f)), ad.grad(f)
    assert ops(compiled, x)["strong_mul"] >= 64
    assert np.allclose(compiled(x), eager(x), rtol=1e-12)
    assert np.allclose(compiled(x), by_complex_step(f, x), rtol=1e-12)
    for places, value in ((slice(0, 3), 0.0), (slice(2, 4), np.inf), (1, np.nan), (slice(0, 8), -0.0)):
        y = x.copy()
        y[places] = value
        with np.errstate(all="ignore"):
            got, want = compiled(y), eager(y)
        assert np.array_equal(np.isnan(got), np.isnan(want)) and np.array_equal(np.isinf(got), np.isinf(want))
        fine = np.isfinite(want)
        assert np.allclose(got[fine], want[fine], rtol=1e-12)
