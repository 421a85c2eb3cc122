"""Functions that SciPy's names call back may use `math` and return lists, as SciPy's own users write them."""

import math

import numpy as np
import pytest

import adjoint as ad
from adjoint.scipy import integrate, optimize


def test_minimum():
    for method in ("BFGS", "trust-exact", "trust-ncg"):
        x = optimize.minimize(lambda x: math.exp(x[0] ** 2) + (x[1] - 1) ** 2, [1.0, 0.0], method=method).x
        np.testing.assert_allclose(x, [0.0, 1.0], atol=1e-5)


def test_roots():
    dottie = 0.7390851332151607  # cos x = x
    assert optimize.root(lambda x: [math.cos(x[0]) - x[0]], [0.5]).x == pytest.approx([dottie], rel=1e-12)
    assert optimize.newton(lambda x: math.cos(x) - x, 0.5) == pytest.approx(dottie, rel=1e-12)
    slope = ad.grad(lambda a: optimize.root(lambda x, a: [math.cos(x[0]) - a * x[0]], [0.5], args=(a,)).x[0])(1.0)
    assert slope == pytest.approx(-dottie / (math.sin(dottie) + 1.0), rel=1e-9)
    log = lambda a: optimize.brentq(lambda x, a: math.exp(x) - a, -1.0, 3.0, args=(a,))
    assert ad.grad(log)(2.0) == pytest.approx(0.5, rel=1e-9)
    np.testing.assert_allclose(ad.vmap(ad.grad(log))(np.array([2.0, 4.0])), [0.5, 0.25], rtol=1e-9)


def test_least_squares():
    fit = optimize.least_squares(lambda x: [x[0] - math.cos(x[1]), x[1] - 0.3], [0.0, 0.0]).x
    np.testing.assert_allclose(fit, [math.cos(0.3), 0.3], rtol=1e-9)


def test_integrals():
    # d/da of (1 - exp(-a)) / a
    want = math.exp(-2.0) / 2 - (1 - math.exp(-2.0)) / 4
    assert ad.grad(lambda a: integrate.quad(lambda t: math.exp(-a * t), 0, 1)[0])(2.0) == pytest.approx(want, rel=1e-9)
    assert ad.grad(lambda a: integrate.quad(lambda t, a: math.exp(-a * t), 0, 1, args=(a,))[0])(2.0) == pytest.approx(
        want, rel=1e-9
    )
    decay = lambda k: integrate.solve_ivp(
        lambda t, y: [-k * y[0], math.sin(y[1])], (0, 1), [1.0, 0.5], rtol=1e-9, atol=1e-11
    ).y[0, -1]
    assert ad.grad(decay)(1.0) == pytest.approx(-math.exp(-1.0), rel=1e-6)
