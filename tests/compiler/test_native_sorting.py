"""Sorting in native code: NumPy's places for every dtype and axis, ties in order, NaN last, zeros of both signs equal."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad

DTYPES = [np.float64, np.float32, np.int64, np.int32, np.uint64, np.int8, np.bool_]
LENGTHS = [1, 2, 7, 8, 9, 16, 17, 100, 1023, 1500]  # around that of the runs sorted by insertion; the longest by bytes


@pytest.fixture(autouse=True)
def _no_disk_cache(no_disk_cache):
    pass


def numbers(n, dtype):
    x = np.random.default_rng(n).normal(size=n) * 3
    if np.dtype(dtype).kind == "f":
        x = np.round(x, 1)
        if n > 8:
            x[[1, 3, 5, 6, 7, -1]] = np.inf, np.nan, -0.0, 0.0, -np.inf, np.nan
    elif dtype is np.uint64:
        return np.abs(x * 1e18).astype(dtype) * np.uint64(4)  # beyond what int64 holds
    return x.astype(dtype)


def equal(f, *xs):
    h = ad.jit(f)
    got, want = h(*xs), f(*xs)
    assert np.array_equal(got, want, equal_nan=np.asarray(want).dtype.kind == "f"), (got, want)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    assert "called back" not in h.explain(*xs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_lines_of_all_lengths(dtype):
    for n in LENGTHS:
        x = numbers(n, dtype)
        equal(lambda x: np.argsort(x, kind="stable"), x)
        equal(np.sort, x)
        for f in (np.argmax, np.argmin, np.nanargmax, np.nanargmin):
            equal(f, x)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_searchsorted(dtype, side):
    for n in LENGTHS:
        x = numbers(n, dtype)
        equal(lambda a, v: np.searchsorted(a, v, side), np.sort(x), x[:, None])
    equal(lambda a, v: np.searchsorted(a, v, side), np.arange(5), np.array([2.5, 2.0, -1.0, 9.0]))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_axes(axis):
    x = np.round(np.random.default_rng(axis).normal(size=(3, 4, 11)), 1)
    for f in (
        lambda x: np.argsort(x, axis, kind="stable"),
        lambda x: np.sort(x[::2, :, ::-1], axis),
        lambda x: np.argmax(x, axis),
        lambda x: np.argmin(x.T, axis),
        lambda x: np.median(x, axis),
    ):
        equal(f, x)


def test_sorted_reversed_and_random_lines():
    rng = np.random.default_rng(1)
    for n in (33, 500, 4096):
        for x in (np.arange(n), np.arange(n)[::-1].copy(), np.zeros(n), rng.permutation(n), rng.integers(0, 4, n)):
            equal(lambda x: np.argsort(x, kind="stable"), x * 1.0)


def test_lines_of_nan_alone():
    for f in (np.nanargmax, np.nanargmin):
        with pytest.raises(ValueError, match="All-NaN slice encountered"):
            ad.jit(f)(np.full((2, 3), np.nan), axis=1)


def test_gradients_of_order_statistics():
    x, c = np.random.default_rng(2).normal(size=(6, 9)), np.random.default_rng(3).normal(size=(6, 9))

    def f(x):
        return (np.sort(x, 0) * c).sum() + np.median(x, 1) @ c[:, 0] + np.quantile(x, 0.3) + np.partition(x, 4, 1)[0, 4]

    assert np.allclose(ad.jit(ad.grad(f))(x), ad.grad(f)(x), rtol=1e-13)


@pytest.mark.parametrize("f", [np.cumsum, np.cumprod])
@pytest.mark.parametrize("shape", [(200,), (3, 100), (20, 100), (100, 20), (5, 20, 70)])
def test_running_sums_along_any_axis(f, shape):
    x = np.random.default_rng(5).uniform(0.5, 1.5, size=shape)
    for axis in range(len(shape)):
        for view in (lambda x: x, lambda x: x[..., ::-1], lambda x: x.T):
            h = ad.jit(lambda x, a=axis, view=view: f(view(x), a))
            assert np.allclose(h(x), f(view(x), axis), rtol=1e-13)
            assert "called back" not in h.explain(x)
    assert np.array_equal(ad.jit(lambda x: f(x, -1))((x * 4).astype(int)), f((x * 4).astype(int), -1))
