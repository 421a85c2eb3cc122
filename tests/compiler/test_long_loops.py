"""A loop with very many lines is cut in several: the same numbers, and a time to compile that grows with the lines."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.native import plan
from tests.programs.functions import PROGRAMS

X = np.linspace(0.1, 1.0, 100)


def deep(x):
    for _ in range(7):
        y = np.sin(x) * x
        x = np.where(y > 0.3, y - np.max(y), np.tanh(x)) + np.sum(y) * 0.01 * np.exp(-x)
    return np.sum(x * x)


@pytest.mark.parametrize("longest", [1, 2, 5])
def test_cut_loops_give_the_same(monkeypatch, longest):
    want = ad.value_and_grad(deep)(X)
    monkeypatch.setattr(plan, "LONGEST", longest)
    monkeypatch.setattr(plan, "WHOLE", longest)
    f = ad.jit(ad.value_and_grad(deep))
    value, gradient = f(X)
    np.testing.assert_allclose(value, want[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, want[1], rtol=1e-12)
    assert f.explain().count("loop over [100]") > 60 // longest


def long(x):
    for _ in (0, 1, 2, 3, 4, 5, 6, 7):
        for _ in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9):
            x = np.tanh(np.sin(x) * 1.1) + 0.1 * np.cos(x) - 0.05 * x * x
    return np.sum(x)


def test_long_bodies_are_cut():
    f = ad.jit(ad.grad(long))
    np.testing.assert_allclose(f(X), ad.grad(long)(X), rtol=1e-9)
    loops = [row for row in f.explain().splitlines() if row.startswith("  loop over")]
    assert len(loops) > 1
    assert max(len(row.split(":")[1].split()) for row in loops) <= 2 * plan.WHOLE  # some lines are computed again


@pytest.mark.parametrize("p", PROGRAMS[::5], ids=[p.name for p in PROGRAMS[::5]])
def test_programs(monkeypatch, p):
    monkeypatch.setattr(plan, "LONGEST", 2)
    monkeypatch.setattr(plan, "WHOLE", 2)
    arguments = tuple(range(len(p.args)))

    def total(*args):
        return np.sum(p.f(*args))

    with np.errstate(all="ignore"):
        try:
            want = ad.grad(total, argnums=arguments)(*p.args)
            got = ad.jit(ad.grad(total, argnums=arguments))(*p.args)
        except ad.AdjointError:
            pytest.skip("its result is no array, or it is not compiled")
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
