"""Cheaper ways back, which large plain arrays take where nothing is extreme: they say what the rules say, which forward mode reads."""

import numpy as np
import pytest

import adjoint as ad
from adjoint import ops
from adjoint.primitives.kinds import regular, select

N = 400
EXTREME = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, 1e300, -1e300, 1e-200, 2.0, -2.0])


def data(kind, dtype, seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.2, 3.0, N) if kind == "positive" else rng.normal(size=N)
    if kind == "ties":
        x = np.round(x)
    if kind == "extreme":
        x[: len(EXTREME) * 8] = np.repeat(EXTREME, 8) if seed == 1 else np.tile(EXTREME, 8)
    with np.errstate(over="ignore"):
        return x.astype(dtype)


ONE = [np.sinc, np.expm1, np.abs, ops.relu, np.log, np.log1p, np.arcsinh, np.tanh, lambda x: np.clip(x, -0.5, 0.7),
       lambda x: np.where(x > 0.3, x, 2 * x), lambda x: np.sinc(x / 100)]  # fmt: skip
TWO = [
    np.maximum,
    np.minimum,
    np.arctan2,
    np.logaddexp,
    np.power,
    np.hypot,
    np.fmax,
    lambda x, y: np.where(x > y, x, y),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", ["positive", "normal", "ties", "extreme"])
@pytest.mark.parametrize("f", [*ONE, *TWO])
def test_the_quick_way_back_is_the_rule(f, kind, dtype):
    xs = [data(kind, dtype, seed) for seed in (range(1, 2) if f in ONE else range(1, 3))]
    g = data("normal", dtype, 3)
    g[::7] = 0
    tol = 1e-14 if dtype is np.float64 else 1e-5
    with np.errstate(all="ignore"):
        _, pull = ad.vjp(f, *xs)
        for i, got in enumerate(pull(g)):
            one = [g if i == j else np.zeros_like(x) for j, x in enumerate(xs)]
            want = ad.jvp(f, xs, one)[1]  # elementwise: the Jacobian is diagonal
            assert got.dtype == dtype
            # the slope of sinc crosses 0, where the rounding of pi x counts
            least = 2e-15 if f is np.sinc else 1e-300 if dtype is np.float64 else 1e-40
            np.testing.assert_allclose(got, want, rtol=tol, atol=least)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_products_and_extrema(axis, dtype):
    rng = np.random.default_rng(0)
    near = (1 + 0.01 * rng.normal(size=(20, 30))).astype(dtype)
    zeros = near.copy()
    zeros[3, 4] = zeros[5, 6] = zeros[5, 7] = 0
    far = near * 1e30 if dtype is np.float64 else near * 1e3
    for x in (near, -near, zeros, far):
        for f in (np.prod, np.max, np.min):
            g = rng.normal(size=np.shape(f(x, axis=axis))).astype(dtype)[()]
            with np.errstate(all="ignore"):
                y, pull = ad.vjp(lambda x, f=f: f(x, axis=axis), x)
                t = rng.normal(size=x.shape).astype(dtype)
                (c,) = pull(g)
                left, right = np.sum(g * ad.jvp(lambda x, f=f: f(x, axis=axis), (x,), (t,))[1]), np.sum(c * t)
            if np.isfinite(left):
                size = np.sum(np.abs(c * t)) + 1e-300
                assert abs(left - right) <= (1e-12 if dtype is np.float64 else 1e-3) * size


def test_select_is_where():
    rng = np.random.default_rng(0)
    g = np.resize(EXTREME, 300)
    for dtype in (np.float64, np.float32, np.float16, np.complex128):
        with np.errstate(over="ignore"):
            h = g.astype(dtype)
        mask = rng.normal(size=300) > 0
        for a, m in (
            (h, mask),
            (h[::2], mask[::2]),
            (np.broadcast_to(h[2], 300), mask),
            (h[:0], mask[:0]),
            (h[1], mask[1]),
        ):
            got, want = select(m, a), np.where(m, a, 0)
            assert np.array_equal(got, want, equal_nan=True) and got.dtype == want.dtype
            if dtype is not np.complex128:
                assert np.array_equal(np.signbit(got), np.signbit(want))


def test_regular():
    assert regular(np.array([1.0, 1e300])) and regular(np.float64(2.0)) and regular(np.float32([1e-30]))
    for x in (np.array([1.0, 0.0]), np.array([1.0, np.inf]), np.array([np.nan, 1.0]), np.array([1.0, 1e-310]),
              np.array([-1.0]), np.array([]), np.float64(np.nan), 1.0, np.array([1 + 1j]), np.float32([1e-37])):  # fmt: skip
        assert not regular(x)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_the_quick_order_is_the_stable_one(axis):
    rng = np.random.default_rng(0)
    for x in (
        rng.normal(size=(60, 40)),
        np.round(rng.normal(size=(60, 40)), 1),
        np.full((60, 40), np.nan),
        np.zeros((60, 40)),
    ):
        x.flat[5:9] = np.nan
        got = ad.jvp(lambda x: np.argsort(x, axis=axis), (x,), (x,))[0]
        assert np.array_equal(got, np.argsort(x, axis=axis, kind="stable"))
        assert np.array_equal(
            ad.jvp(lambda x: np.argsort(x), (np.sort(x.ravel()),), (x.ravel(),))[0], np.arange(x.size)
        )


@pytest.mark.parametrize("n", [100, 9_999, 10_000, 100_000])
def test_a_nan_is_found_among_many(n):
    x = np.ones(n)
    x[n // 2] = 0.0
    g = ad.grad(lambda x: np.where(x > 0, np.sqrt(x), 0.0).sum())(x)
    assert g[n // 2] == 0.0 and np.isfinite(g).all()
    x[:2] = 1e-320, 0.0  # infinities of both signs are no NaN
    h = ad.grad(lambda x: np.sum(np.sqrt(x) * np.where(np.arange(n) == 0, -1e200, 1.0)))(x)
    assert h[0] == -np.inf and h[1] == np.inf
