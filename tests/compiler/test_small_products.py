"""Products of matrices with few rows and columns are loops: the same results as NumPy's, for every way in which axes are broadcast."""

import numpy as np
import pytest

import adjoint as ad

rng = np.random.default_rng(8)
SHAPES = [
    ((100, 3), (3, 3), True),
    ((3, 3), (3, 100), True),
    ((50, 8), (8, 8), True),
    ((50, 9), (9, 9), False),
    ((3, 200), (200, 4), True),
    ((3, 200), (200, 5), False),
    ((40, 2, 2), (40, 2, 2), True),
    ((40, 2, 3), (40, 3, 1), True),
    ((40, 1, 3), (3, 2), True),
    ((7, 1, 4, 4), (5, 4, 4), True),
    ((30, 3, 50), (30, 50, 3), True),
    ((1, 100), (100, 4), False),
    ((100, 1), (1, 100), False),
    ((3, 3), (3, 3), None),  # in registers
]


@pytest.mark.parametrize("a, b, loops", SHAPES, ids=str)
def test_products_and_their_derivatives(a, b, loops):
    a, b = rng.integers(-9, 9, a).astype(float), rng.integers(-9, 9, b).astype(float)  # so that every sum is exact
    f = ad.jit(np.matmul)
    assert np.array_equal(f(a, b), a @ b) and f(a, b).dtype == np.float64
    if loops is not None:
        names = [line.op.name for line in f.graph(a, b).lines]
        assert loops == ("matmul" not in names and "multiply" in names) or (1 in a.shape[-2:] and not loops)
    w = rng.integers(-9, 9, (a @ b).shape).astype(float)
    got = ad.jit(ad.grad(lambda a, b: np.sum(w * (a @ b)), argnums=(0, 1)))(a, b)
    want = w @ np.swapaxes(b, -1, -2), np.swapaxes(a, -1, -2) @ w
    for g, v, x in zip(got, want, (a, b), strict=True):
        while v.ndim > x.ndim:
            v = v.sum(0)
        v = v.sum(tuple(i for i, n in enumerate(x.shape) if n == 1 and v.shape[i] != 1), keepdims=True)
        assert g.shape == x.shape and np.array_equal(g, v)


def test_special_numbers_and_other_precisions():
    a, b = rng.normal(size=(20, 3)), rng.normal(size=(3, 3))
    a[3, 1], a[4, 0], b[1, 1] = np.nan, np.inf, 0.0
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(ad.jit(np.matmul)(a, b), a @ b, rtol=1e-13)
    single = ad.jit(np.matmul)(a.astype(np.float32), b.astype(np.float32))
    assert single.dtype == np.float32
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(single, a @ b, rtol=1e-5)


def test_a_long_sum_is_as_accurate_as_numpys():
    a, b = rng.normal(size=(3, 10**5)) + 10.0, np.ones((10**5, 2))
    exact = np.array([[np.longdouble(row).sum()] * 2 for row in a.astype(np.longdouble)])
    numpys = np.max(np.abs(a @ b - exact)) + np.spacing(1e6)
    assert np.max(np.abs(ad.jit(np.matmul)(a, b) - exact)) <= 2 * numpys
    long = np.ascontiguousarray(a.T)  # NumPy adds rows up one by one: 10 times the error
    assert np.max(np.abs(ad.jit(lambda x: np.sum(x, axis=0))(long) - exact[:, 0])) <= 2 * numpys


def test_in_the_body_of_a_loop():
    def f(x, m):
        for i in range(30):
            x = np.tanh(x @ m) + 0.1 * i
        return np.sum(x)

    x, m = rng.normal(size=(20, 3)), rng.normal(size=(3, 3)) * 0.3
    for g, want in zip(ad.jit(ad.grad(f, argnums=(0, 1)))(x, m), ad.grad(f, argnums=(0, 1))(x, m), strict=True):
        np.testing.assert_allclose(g, want, rtol=1e-10, atol=1e-13)


def steps(a, w, rounds=40):
    for _ in range(rounds):
        r = np.tanh(a @ w) - 0.25
        w = w - 0.1 * (r @ a) - 0.01 * (a.T @ r)
    return w, a.T @ (a @ w)


@pytest.mark.parametrize(
    "shape", [(50, 5), (17, 8), (100, 1), (3, 40), (1, 30), (300, 2), (9, 9), (40, 9), (17, 3)], ids=str
)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_vector_and_a_matrix_with_a_short_side_in_a_loop(shape, dtype):
    a, w = (0.3 * rng.normal(size=shape)).astype(dtype), rng.normal(size=shape[1]).astype(dtype)
    loose = 1e-11 if dtype == "float64" else 2e-4
    for got, want in zip(ad.jit(steps)(a, w), steps(a, w), strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, want, rtol=loose, atol=loose)
    f = lambda a, w: np.sum(np.sin(steps(a, w)[0]))
    for got, want in zip(ad.jit(ad.grad(f, argnums=(0, 1)))(a, w), ad.grad(f, argnums=(0, 1))(a, w), strict=True):
        np.testing.assert_allclose(got, want, rtol=10 * loose, atol=10 * loose)
    scans = [line for line in ad.jit(steps).graph(a, w).lines if line.op.name == "scan"]
    products = [line.op.name for scan in scans for line in scan.params["body"].lines].count("matmul")
    assert scans
    if 1 not in shape:
        assert (products == 0) == (min(shape) <= 8 and max(shape) > 16 and min(shape) * max(shape) > 64)


def test_special_numbers_in_a_matrix_that_a_loop_reads():
    a, w = 0.3 * rng.normal(size=(50, 3)), rng.normal(size=3)
    a[7, 1], a[20, 2] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        for got, want in zip(ad.jit(lambda a, w: steps(a, w, 20))(a, w), steps(a, w, 20), strict=True):
            np.testing.assert_array_equal(np.isnan(got), np.isnan(want))


def test_a_matrix_in_both_orders_and_as_a_view():
    big, w = 0.2 * rng.normal(size=(60, 12)), rng.normal(size=4)

    def f(big, w):
        a = big[::2, 1:9:2]
        for _ in range(30):
            w = np.tanh((a @ w) @ a) + a.T @ np.cos(a @ w)
        return w

    np.testing.assert_allclose(ad.jit(f)(big, w), f(big, w), rtol=1e-10)
    np.testing.assert_allclose(ad.jit(ad.jacobian(f))(big, w), ad.jacobian(f)(big, w), rtol=1e-8, atol=1e-10)
