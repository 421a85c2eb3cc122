"""Many choices between scalars outside loops are made by masks and not by jumps: the same numbers, to the last bit."""

import platform

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.native import build, kernel

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.5, -3.0, np.inf, -np.inf, np.nan, 1e-310])


def program(seed, lines):
    """A function of scalars that chooses again and again; sums and signs alone besides, which nobody rounds in another way."""
    rng = np.random.default_rng(seed)
    rows = [(rng.integers(9), *rng.integers(0, 5 + i, 4)) for i in range(lines)]

    def f(a, b, c, d, e):
        known = [a, b, c, d, e]
        for how, i, j, k, m in rows:
            x, y, z, w = (known[n] for n in (i, j, k, m))
            if how == 0:
                x = np.where(x > y, z, w)
            elif how == 1:
                x = np.where(x == y, z, 0.0)
            elif how == 2:
                x = np.where(np.isnan(x), 1.0, y)
            elif how == 3:
                x = np.maximum(x, y)
            elif how == 4:
                x = np.minimum(x, y)
            elif how == 5:
                x = np.sign(x)
            elif how == 6:
                x = np.clip(x, -1.5, 2.0)
            elif how == 7:
                x = x + y
            else:
                x = np.where((x < y) & (z >= w), -z, w)
            known.append(x)
        return known[-12:]

    return f


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("inside", [False, True])
def test_choices(monkeypatch, seed, inside):
    straight = program(seed, 160)

    def branched(a, b, c, d, e):
        return straight(a, b, c, d, e) if a + 1 != 7.0 else [b] * 12

    f = branched if inside else straight
    compiled = ad.jit(f)
    compiled(*map(np.float64, range(5)))
    monkeypatch.setattr(kernel, "MANY", 10**6)
    jumping = ad.jit(f)
    rng = np.random.default_rng(100 + seed)
    for _ in range(20):
        args = [np.float64(x) for x in rng.choice(SPECIAL, 5)]
        with np.errstate(all="ignore"):
            want = f(*args)  # NumPy's maximum of 0.0 and -0.0 is either
        got = compiled(*args)
        np.testing.assert_array_equal(got, want, err_msg=str(args))
        np.testing.assert_array_equal(np.signbit(got), np.signbit(jumping(*args)))
    names = [line.op.name for line in compiled.graph().lines]
    masks = "blendv" in compiled.lower()
    assert "blendv" not in jumping.lower()
    if not inside and sum(name in kernel.CHOICES for name in names) >= 64 and platform.machine() == "x86_64":
        assert masks


def test_huge_code_is_made_in_haste(monkeypatch):
    f, args = program(11, 160), np.arange(5.0)
    want = ad.jit(f)(*args)
    efforts = []
    compile_object = build.compile_object
    monkeypatch.setattr(
        build, "compile_object", lambda text, effort: efforts.append(effort) or compile_object(text, effort)
    )
    monkeypatch.setattr(build, "HUGE", (200, build.HUGE[1]))
    monkeypatch.setattr(build.cache, "get", lambda key: None)
    np.testing.assert_array_equal(ad.jit(f)(*args), want)
    assert efforts == [(1, 0)]


def test_choices_in_loops_stay_jumps():
    def f(x):
        y = x
        while y < 100.0:
            for _ in (0,) * 80:
                y = np.where(y > 50.0, y + 1.0, np.maximum(y, x) + 0.5)
        return y

    compiled = ad.jit(f)
    assert compiled(1.0) == f(1.0)
    assert "blendv" not in compiled.lower()


def test_derivatives_of_choices():
    def f(x, y):
        for k in range(40):
            x, y = np.where(x > y, x * 0.9 + y * 0.1, y - x * 0.2), np.maximum(x - 0.3 * k, y) * 0.99
        return x * y

    args = (0.7, 0.4)
    got = ad.jit(ad.hessian(lambda z: f(z[0], z[1])))(np.array(args))
    g = ad.jit(ad.grad(f, argnums=(0, 1)))(*args)
    np.testing.assert_allclose(g, ad.grad(f, argnums=(0, 1))(*args), rtol=1e-12)
    steps = 1e-6
    for k in range(2):
        up, down = list(args), list(args)
        up[k] += steps
        down[k] -= steps
        slope = (np.array(ad.grad(f, argnums=(0, 1))(*up)) - np.array(ad.grad(f, argnums=(0, 1))(*down))) / (2 * steps)
        np.testing.assert_allclose(got[k], slope, rtol=1e-5, atol=1e-8)
