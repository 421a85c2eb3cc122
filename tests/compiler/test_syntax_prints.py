"""print and ad.debug in compiled code: when it runs, in order, once, and never in a backward pass."""

import numpy as np
import pytest

import adjoint as ad


def told(x):
    print("start", x)
    y = x
    while y < 10:
        y = y * 2
        print(f"y = {y:.2f}", end=";\n")
    if y > 12:
        print("big", np.sin(y))
    return y * x


def debugged(x):
    ad.debug("start {}", x)
    y = x
    while y < 10:
        y = y * 2
        ad.debug("y = {y:.2f};", y=y)
    if y > 12:
        ad.debug("big {}", np.sin(y))
    return y * x


MODES = {
    "jit": ad.jit,
    "grad": ad.grad,
    "grad of differentiable": lambda f: ad.grad(ad.differentiable(f)),
    "jit(grad)": lambda f: ad.jit(ad.grad(f)),
    "grad(jit)": lambda f: ad.grad(ad.jit(f)),
    "value_and_grad(jit)": lambda f: ad.value_and_grad(ad.jit(f)),
    "jit(hessian)": lambda f: ad.jit(ad.hessian(f)),
    "jit(grad(grad))": lambda f: ad.jit(ad.grad(ad.grad(f))),
    "grad(jit(grad))": lambda f: ad.grad(ad.jit(ad.grad(f))),
    "jvp": lambda f: lambda x: ad.jvp(ad.jit(f), (x,), (1.0,)),
    "jit(grad(checkpoint))": lambda f: ad.jit(ad.grad(ad.jit(f))),
}


@pytest.mark.parametrize("f", [told, debugged], ids=["print", "debug"])
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_once_and_in_order(f, mode, capsys):
    told(1.7)
    want = capsys.readouterr().out
    assert len(want.splitlines()) == 5
    g = mode(f)
    for _ in range(2):  # captured and compiled, then compiled alone
        g(1.7)
        assert capsys.readouterr().out == want
    g(6.0)
    told_now = capsys.readouterr().out
    f(6.0)
    assert told_now == capsys.readouterr().out


@pytest.mark.parametrize("f", [told, debugged], ids=["print", "debug"])
def test_each_lane_prints_what_it_comes_to(f, capsys):
    lanes = np.array([1.7, 6.0])
    want = []
    for x in lanes:
        told(float(x))
        want += capsys.readouterr().out.splitlines()
    for g in (ad.vmap(ad.jit(f)), ad.jit(ad.vmap(ad.grad(f))), ad.vmap(ad.differentiable(f))):
        g(lanes)
        assert sorted(capsys.readouterr().out.splitlines()) == sorted(want)


def test_debug_formats_arrays_and_known_values(capsys):
    def f(x, n):
        ad.debug("{0} of {n}: {1}", "sum", x.sum(), n=n)
        ad.debug("{x}", x=x * 2)
        ad.debug("no value")
        return x.sum()

    x = np.array([0.5, 1.5])
    f(x, 2)
    want = capsys.readouterr().out
    assert want == "sum of 2: 2.0\n[1. 3.]\nno value\n"
    for g in (ad.jit(f), ad.grad(f), ad.jit(ad.grad(f))):
        for _ in range(2):
            g(x, 2)
            assert capsys.readouterr().out == want


def test_a_checkpoint_decides_on_values():
    def f(x):
        y = ad.checkpoint(lambda t: t * t if t > 1 else -t)(x)
        while y < 10:
            y = ad.checkpoint(lambda t: t * 2)(y)
        return y

    for x in (0.5, 3.0):
        if x > 1:
            assert ad.jit(f)(x) == f(x)
            assert ad.jit(ad.grad(f))(x) == ad.grad(f)(x)
    filled = ad.checkpoint(lambda x: _filled(x))
    g = ad.differentiable(lambda x: filled(x) * x)
    assert ad.grad(g)(3.0) == ad.jit(ad.grad(g))(3.0) == 3 * 3.0**2


def _filled(x):
    a = np.zeros(2)
    a[0] = x
    return a[0] * x
