"""Sums of shifted vectors, as slices leave them behind, are written in the loop that computes their terms."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.native import pieces

PROGRAMS = {
    "a chain": (lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2), 1),
    "three points": (lambda x: np.sum(np.sin(x[:-2] - 2 * x[1:-1] + x[2:])), 2),
    "far apart": (lambda x: np.sum(x[8:] * x[:-8] ** 2), 8),
    "too far apart": (lambda x: np.sum(x[9:] * x[:-9] ** 2), 9),
    "inside": (lambda x: np.sum(x[3:-2] * np.exp(x[2:-3])), 1),
    "twice in one place": (lambda x: np.sum(x[1:] * x[:-1]) + np.sum(np.cos(x[1:]) * x[:-1]), 1),
    "kinks": (lambda x: np.sum(np.maximum(x[1:], x[:-1]) * np.abs(x[1:] - x[:-1])), 1),
    "and elsewhere": (lambda x: np.sum(x[1:] * x[:-1]) * x[3] + x[-1] ** 2, 1),
}


def chain(x):
    """The gradient of the first program, in closed form."""
    t = x[1:] - x[:-1] ** 2
    return np.r_[-400 * x[:-1] * t - 2 * (1 - x[:-1]), 0] + np.r_[0, 200 * t]


@pytest.mark.parametrize("n", [*range(17, 50), 63, 64, 65, 66, 255, 256, 257, 1000, 70000])
def test_of_any_length(n):
    x = np.random.default_rng(n).normal(size=n)
    y, g = ad.jit(ad.value_and_grad(PROGRAMS["a chain"][0]))(x)
    np.testing.assert_allclose(g, chain(x), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(y, PROGRAMS["a chain"][0](x), rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_and_second_derivatives_are_those_of_eager_mode(name, dtype):
    f, _ = PROGRAMS[name]
    rtol = 1e-12 if dtype is np.float64 else 1e-4
    for n in (19, 24, 33, 100, 131):
        rng = np.random.default_rng(n)
        x, v = rng.normal(size=n).astype(dtype), rng.normal(size=n).astype(dtype)
        for g, args in ((ad.grad(f), (x,)), (ad.hvp(f), (x, v))):
            got, want = ad.jit(g)(*args), g(*args)
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * np.abs(want).max())


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_sum_is_a_part_of_the_loop(name):
    f, reach = PROGRAMS[name]
    notes = [line for line in ad.jit(ad.grad(f)).explain(np.ones(100)).splitlines() if " loop over [" in line]
    assert any("scatter_sum" in line for line in notes) == (reach <= 8)


def test_nan_and_infinity_stay_where_they_are():
    """What is not finite at one place is in the neighbours' gradients, and nowhere else."""
    f = PROGRAMS["three points"][0]
    for n in (18, 40, 101):
        for place in (0, 1, 7, 8, n - 2, n - 1):
            for special in (np.nan, np.inf):
                x = np.linspace(0.0, 1.0, n)
                x[place] = special
                with np.errstate(all="ignore"):
                    want = np.isnan(ad.grad(f)(x))
                np.testing.assert_array_equal(np.isnan(ad.jit(ad.grad(f))(x)), want)
                assert want[max(place - 2, 0) : place + 3].all() and want.sum() <= 5


def test_minus_zero_where_one_term_is_left():
    """-0.0 and nothing else is -0.0, or +0.0 as in NumPy, which adds it to zeros; never another number."""
    x = np.zeros(40)
    g = ad.jit(ad.grad(lambda x: np.sum(-(x[1:] * x[:-1]))))(x)
    assert not g.any()


@pytest.fixture
def small_pieces(monkeypatch):
    """Even short loops are cut."""
    for name, value in {"GRAIN": 32, "LEAST": 2, "UNIT": 8}.items():
        monkeypatch.setattr(pieces, name, value)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [33, 34, 35, 48, 49, 50, 51, 64, 65, 66, 100, 145, 146, 147, 1000])
@pytest.mark.parametrize("name", [k for k in PROGRAMS if k != "too far apart"])
def test_in_pieces(name, n, dtype, small_pieces):
    """What reaches beyond a piece is added to the next; with a rest behind the last one and without."""
    f, _ = PROGRAMS[name]
    x = np.random.default_rng(n).normal(size=n).astype(dtype)
    g = ad.jit(ad.grad(f))
    want = ad.grad(f)(x)
    rtol = 1e-12 if dtype is np.float64 else 1e-4
    results = []
    for threads in (1, 2):
        with ad.config(threads=threads):
            results.append(np.array(g(x)))
        np.testing.assert_allclose(results[-1], want, rtol=rtol, atol=rtol * np.abs(want).max())
    np.testing.assert_array_equal(*results)
    if n >= 64:
        assert "call void @ad.parallel" in g.lower(x)


@pytest.mark.parametrize("n", [1 << 18, (1 << 18) + 1, 300001, 300065])
def test_of_large_vectors(n):
    x = np.random.default_rng(n).normal(size=n)
    y, g = ad.jit(ad.value_and_grad(PROGRAMS["a chain"][0]))(x)
    np.testing.assert_allclose(g, chain(x), rtol=1e-12, atol=1e-11)
    np.testing.assert_allclose(y, PROGRAMS["a chain"][0](x), rtol=1e-13)
