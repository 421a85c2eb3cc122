"""Comparisons of roots and of choices with numbers: decided as before, to the last bit, without the root."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import passes

COMPARE = {"less": np.less, "less_equal": np.less_equal, "greater": np.greater, "greater_equal": np.greater_equal}


def names(graph):
    out = []
    for line in graph.lines:
        out.append(line.op.name)
        for _, g in passes.bodies(line):
            out += names(g)
    return out


def around(d, steps=6):
    """A number and its neighbours."""
    out = [d]
    for towards in (np.inf, 0.0):
        x = d
        for _ in range(steps):
            x = np.nextafter(x, d.dtype.type(towards))
            out.append(x)
    return out


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("op", COMPARE)
def test_roots_at_their_thresholds(op, dtype):
    f = COMPARE[op]
    rng = np.random.default_rng(5)
    for c in [1.0, 2.0, 1000.0, *np.exp(rng.uniform(-20, 20, 12))]:
        c = float(dtype(c))

        def root(x, c=c):
            return f(np.sqrt(x * x), c) if op in ("less", "less_equal") else f(np.sqrt(x), c)

        def turned(x, c=c):
            return f(c, np.sqrt(x)) if op in ("less", "less_equal") else f(c, np.sqrt(x * x))

        x = [*around(dtype(c)), *around(dtype(c) * dtype(c)), 0.0, -0.0, -1.0, -np.inf, np.inf, np.nan, 1e-30, 1e30]
        x = np.array(x, dtype)
        for g in (root, turned):
            assert "sqrt" not in names(passes.run(ad.graph(g)(x)))
            with np.errstate(all="ignore"):
                want = g(x)
            np.testing.assert_array_equal(ad.jit(g)(x), want)


def test_a_root_that_may_be_of_a_negative_number_stays():
    x = np.array([-4.0, -0.0, 0.5, 9.0, np.nan])
    f = lambda x: np.sqrt(x) < 2.0
    assert "sqrt" in names(passes.run(ad.graph(f)(x)))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ad.jit(f)(x), f(x))


def test_thresholds_out_of_range_stay():
    for c in (1e-200, 1e200, -1.0, 0.0, np.inf, np.nan):
        f = lambda x, c=c: np.sqrt(x * x) < c
        x = np.array([0.0, 1e-200, 1.0, 1e200, np.inf, np.nan])
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(ad.jit(f)(x), f(x))


@pytest.mark.parametrize("size", [1, 3, 4, 50])
def test_a_norm_that_only_decides_takes_no_root_on_its_usual_way(size):
    def f(a):
        b = a * 2
        while np.linalg.norm(b) < 1000:
            b = b * 2
        return b.sum()

    g = ad.jit(ad.value_and_grad(f))
    rng = np.random.default_rng(size)
    base = rng.normal(size=size)
    for scale in (1.0, 1e-3, 1e-160, 1e-250, 1e160, 1e300, np.inf, np.nan):
        a = base * scale
        with np.errstate(all="ignore"):
            want = ad.value_and_grad(f)(a)
            got = g(a)
        np.testing.assert_allclose(got[0], want[0], rtol=1e-13)
        np.testing.assert_array_equal(got[1], want[1])


def test_a_choice_that_is_compared_gives_its_value_too():
    def f(x, y):
        z = x if x * y > 0 else y * np.exp(x)
        return (z, 1.0 if z < 2 else 0.0)

    g = ad.jit(f)
    for x, y in ((1.0, 2.0), (3.0, 1.0), (-1.0, 9.0), (-0.1, 1.0), (np.nan, 1.0)):
        np.testing.assert_allclose(g(x, y), f(x, y), rtol=1e-15)


def test_a_choice_that_is_only_compared():
    def f(x, y):
        z = x if x * y > 0 else y * np.exp(x)
        return x * y if z >= 2 else x - y

    g = ad.jit(f)
    for x in (1.0, 2.0, 3.0, -1.0, -0.1, np.nan):
        for y in (2.0, 1.0, 9.0, -1.0):
            np.testing.assert_allclose(g(x, y), f(x, y), rtol=1e-15)
