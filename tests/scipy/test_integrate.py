"""Integrals and differential equations: SciPy's values, derivatives against differences and closed forms."""

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.special

import adjoint as ad
from adjoint.core.errors import MissingRuleError
from adjoint.scipy import integrate, special

rng = np.random.default_rng(0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("name", ["trapezoid", "simpson", "cumulative_trapezoid"])
def test_samples(name, n):
    f, theirs = getattr(integrate, name), getattr(scipy.integrate, name)
    y, x = rng.normal(size=(2, n)), np.sort(rng.normal(size=n))
    for yy, axis in ((y, -1), (y.T, 0)):
        np.testing.assert_allclose(f(yy, x, axis=axis), theirs(yy, x, axis=axis))
        np.testing.assert_allclose(f(yy, dx=0.3, axis=axis), theirs(yy, dx=0.3, axis=axis))
    if n > 1:
        ad.check_grads(f, y, np.arange(n) + 0.2 * x, order=2)


def test_quad():
    f = lambda x, p, q: np.exp(-p * x) * np.sin(q["q"] * x)
    value = lambda a, b, p, q: integrate.quad(f, a, b, args=(p, {"q": q}))[0]
    assert value(0.1, 2.0, 0.5, 1.5) == scipy.integrate.quad(f, 0.1, 2.0, args=(0.5, {"q": 1.5}))[0]
    ad.check_grads(value, 0.1, 2.0, 0.5, 1.5, order=2)
    # over the half line: q / (p^2 + q^2)
    half = lambda p, q: value(0.0, np.inf, p, q)
    np.testing.assert_allclose(ad.grad(half, (0, 1))(0.5, 1.5), (-1.5 / 6.25, (0.25 - 2.25) / 6.25), rtol=1e-9)
    weights = np.array([0.5, -1.0, 2.0])
    poly = lambda w: integrate.quad(lambda x, w: w[0] + w[1] * x + w[2] * x * x, 0, 1, args=(w,))[0]
    np.testing.assert_allclose(ad.grad(poly)(weights), [1, 1 / 2, 1 / 3])
    y, e = integrate.quad(np.sin, 0, 1)
    assert type(y) is float and e < 1e-8
    with pytest.raises(NotImplementedError, match="weight"):
        ad.grad(lambda b: integrate.quad(np.sin, 0, b, weight="cos", wvar=1.0)[0])(1.0)


def test_a_limit_that_is_infinite_has_no_derivative():
    assert ad.grad(lambda b: integrate.quad(lambda x: np.exp(-x), 0, b)[0])(np.inf) == 0.0


def oscillator(t, y, k, c):
    return np.stack([y[1], -k * y[0] - c * y[1] + 0.1 * t])


@pytest.mark.parametrize("method", ["RK45", "RK23", "DOP853"])
def test_solve_ivp(method):
    y0, k, c = np.array([1.0, 0.3]), 2.0, 0.2
    times = np.array([0.0, 0.4, 1.1, 2.0])
    tol = {"rtol": 1e-8, "atol": 1e-8}
    for t_eval in (None, times):
        kw = {"method": method, "t_eval": t_eval, **tol}
        want = scipy.integrate.solve_ivp(oscillator, (0.0, 2.0), y0, args=(k, c), **kw)
        path = lambda y0, *p: integrate.solve_ivp(oscillator, (0.0, 2.0), y0, args=p, **kw).y  # noqa: B023
        y, pull = ad.vjp(path, y0, k, c)
        np.testing.assert_allclose(y, want.y, rtol=1e-12 if t_eval is None or method != "DOP853" else 1e-6)
        np.testing.assert_array_equal(integrate.solve_ivp(oscillator, (0.0, 2.0), y0, args=(k, c), **kw).y, want.y)
    end = lambda y0, k, c, t0, t1: integrate.solve_ivp(oscillator, (t0, t1), y0, method, args=(k, c), **tol).y[:, -1]
    ad.check_grads(end, y0, k, c, 0.1, 2.0, atol=1e-5)
    # at the end, the slope is the right hand side
    y1 = end(y0, k, c, 0.1, 2.0)
    np.testing.assert_allclose(
        ad.jacobian(lambda t1: end(y0, k, c, 0.1, t1))(2.0), oscillator(2.0, y1, k, c), rtol=1e-6
    )
    path = lambda y0, k, t: integrate.solve_ivp(oscillator, (0.0, 2.0), y0, method, t, args=(k, c), **tol).y
    ad.check_grads(path, y0, k, times[1:3], atol=1e-5)


def test_backwards_in_time_and_second_order():
    f = lambda y0: integrate.solve_ivp(lambda t, y: -y * y, (1.0, 0.0), y0, rtol=1e-9, atol=1e-9).y[0, -1]
    # y' = -y^2: y(0) = y1 / (1 - y1)
    y1 = np.array([0.5])
    np.testing.assert_allclose(ad.grad(f)(y1), 4.0, rtol=1e-6)
    np.testing.assert_allclose(ad.hessian(f)(y1), 16.0, rtol=1e-5)


def test_lanes_would_need_steps_of_their_own():
    f = lambda k: integrate.solve_ivp(lambda t, y, k: -k * y, (0, 1), [1.0, 2.0], args=(k,)).y[0, -1]
    with pytest.raises(ad.AdjointError):
        ad.vmap(f)(np.array([1.0, 2.0]))


def test_what_solve_ivp_refuses():
    for kw in ({"method": "BDF"}, {"dense_output": True}, {"events": lambda t, y, k: y[0]}):
        with pytest.raises(NotImplementedError, match="RK45, RK23 and DOP853"):
            ad.grad(lambda k: integrate.solve_ivp(lambda t, y, k: -k * y, (0, 1), [1.0], args=(k,), **kw).y[0, -1])(1.0)  # noqa: B023


def test_odeint():
    f = lambda y, t, k: np.stack([y[1], -k * y[0]])
    y0, t = np.array([1.0, 0.3]), np.array([0.0, 0.5, 2.0])
    want = scipy.integrate.odeint(f, y0, t, args=(2.0,))
    np.testing.assert_array_equal(integrate.odeint(f, y0, t, args=(2.0,)), want)
    y, _ = ad.vjp(lambda y0: integrate.odeint(f, y0, t, args=(2.0,)), y0)
    np.testing.assert_allclose(y, want, atol=1e-6)
    ad.check_grads(lambda y0, k: integrate.odeint(f, y0, t, args=(k,)), y0, 2.0, atol=1e-5)


# scipy.special's names


def test_special_names():
    assert special.erf is not scipy.special.erf and special.legendre is scipy.special.legendre
    x = np.array([0.3, 1.2])
    for name in ("erf", "gammaln", "digamma", "expit", "xlogy", "entr", "j0", "sinc", "polygamma", "logit", "erfcx"):
        f, theirs = getattr(special, name), getattr(scipy.special, name)
        args = (1, x) if name == "polygamma" else (x, x) if name == "xlogy" else (0.5 * x,)
        np.testing.assert_allclose(f(*args), theirs(*args), rtol=1e-14)
        if name != "polygamma":
            ad.check_grads(f, *args)
    with pytest.raises(MissingRuleError):
        ad.grad(lambda v: special.jv(v, 1.0))(0.5)


def test_logsumexp_and_softmax():
    a = rng.normal(size=(2, 3)) * 100
    b = np.array([1.0, -0.3, 2.0])
    for axis in (None, 0, 1, (0, 1)):
        for keepdims in (False, True):
            for f, g in ((special.logsumexp, scipy.special.logsumexp),):
                np.testing.assert_allclose(f(a, axis, keepdims=keepdims), g(a, axis, keepdims=keepdims))
                got, want = f(a, axis, b, keepdims, True), g(a, axis, b, keepdims, True)
                for u, v in zip(got, want, strict=True):
                    np.testing.assert_allclose(u, v)
        np.testing.assert_allclose(special.softmax(a, axis), scipy.special.softmax(a, axis))
        # near 0 SciPy loses digits, and ours does not: tests/laws/test_accuracy.py
        np.testing.assert_allclose(special.log_softmax(a, axis), scipy.special.log_softmax(a, axis), atol=1e-14)
    ad.check_grads(lambda a, b: special.logsumexp(a, 1, b, return_sign=True)[0], a / 100, b, order=2)
    ad.check_grads(lambda a: special.multigammaln(a, 3), 4.0, order=2)
    assert special.multigammaln(4.0, 3) == pytest.approx(scipy.special.multigammaln(4.0, 3))


def _of_math(x, w, c):
    return math.sqrt(c + x * x) * math.sin(w * x)


def test_the_integrand_may_use_the_math_module():
    """At its limits too, where the way back calls it on tensors."""

    def f(a):
        return scipy.integrate.quad(_of_math, 0.1 * a, a, args=(2 * a, a))[0]

    h = 1e-5
    want = (f(1.3 + h) - f(1.3 - h)) / (2 * h)
    for make in (
        ad.grad,
        lambda f: ad.grad(ad.differentiable(f)),
        lambda f: ad.jit(ad.grad(f)),
        lambda f: ad.grad(ad.jit(f)),
    ):
        assert np.isclose(make(f)(1.3), want, rtol=1e-7)


def test_an_integrand_that_is_infinite_at_a_limit():
    """The integral of r / sqrt(x) from 0 to 1 is 2 r; at 0, whose derivative nobody asks for, Python would divide by zero."""

    def f(r):
        return scipy.integrate.quad(lambda x, r: r / math.sqrt(x), 0.0, 1.0, args=(r,))[0]

    for make in (
        ad.grad,
        lambda f: ad.grad(ad.differentiable(f)),
        lambda f: ad.jit(ad.grad(f)),
        lambda f: ad.grad(ad.jit(f)),
    ):
        assert np.isclose(make(f)(1.3), 2.0, rtol=1e-9)


def test_no_integral_is_tried_on_ones_under_jit():
    """The integral of 1 / (r - x) from 0 to 1 is log(r / (r - 1)); for r = 1 it is infinite."""
    f = lambda r: scipy.integrate.quad(lambda x, r: 1 / (r - x), 0.0, 1.0, args=(r,))[0]
    assert np.isclose(ad.jit(ad.grad(f))(3.0), 1 / 3 - 1 / 2, rtol=1e-9)
    assert np.isclose(ad.jit(ad.grad(ad.grad(f)))(3.0), 1 / 4 - 1 / 9, rtol=1e-8)
