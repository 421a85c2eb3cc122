"""Functions given to solvers and integrators that read parameters from outside, as people write them: SciPy's own names in
marked functions, ours in plain code."""

import functools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize

import adjoint as ad
from adjoint.core.closures import lifted, reads_tensors
from adjoint.scipy import integrate, optimize

P = np.array([1.3, 0.7])


def root_of_cubic(p):
    """The root s of s**3 + a s = b, and its derivatives: (-s, 1) / (3 s**2 + a)."""
    a, b = p
    s = np.roots([1.0, 0.0, a, -b])
    s = s[np.abs(s.imag) < 1e-12].real[0]
    return s, np.array([-s, 1.0]) / (3 * s * s + a)


def area(p):  # (1 - cos(a)) b / a
    return scipy.integrate.quad(lambda t: math.sin(p[0] * t) * p[1], 0, 1)[0]


def area_slope(p):
    a, b = p
    return np.array([b * (np.sin(a) / a - (1 - np.cos(a)) / a**2), (1 - np.cos(a)) / a])


def nested(p):  # (a**2 / 3 + b): a function that calls another one, a list, a default, a partial
    row = [p[0], 1.0]

    def line(t):
        return row[0] * t

    def square(shift, t, k=p[1]):
        return line(t) ** 2 + k + shift

    return scipy.integrate.quad(functools.partial(square, 0.0), 0, 1)[0]


def bracketed(p):
    return scipy.optimize.brentq(lambda s: s**3 + p[0] * s - p[1], 0.0, 2.0, xtol=1e-13)


def by_newton(p):
    return scipy.optimize.newton(lambda s: s**3 + p[0] * s - p[1], 1.0, tol=1e-13)


def by_root(p):
    return scipy.optimize.root(lambda s: s**3 + p[0] * s - p[1], np.ones(1)).x[0]


def by_minimum(p):  # of a bowl with its lowest point at (a + b, a b)
    return scipy.optimize.minimize(lambda w: (w[0] - p[0] - p[1]) ** 2 + (w[1] - p[0] * p[1]) ** 2, np.zeros(2)).x.sum()


def fitted(p):
    return scipy.optimize.least_squares(lambda w: np.stack([w[0] - p[0], w[0] - p[1] ** 2]), np.ones(1)).x[0]


def decay(p):  # b / a + (1 - b / a) exp(-a)
    return scipy.integrate.solve_ivp(lambda t, y: p[1] - p[0] * y, (0.0, 1.0), [1.0], rtol=1e-9, atol=1e-9).y[0, -1]


def decay_by_odeint(p):
    return scipy.integrate.odeint(lambda y, t: p[1] - p[0] * y, 1.0, [0.0, 1.0], rtol=1e-9, atol=1e-9)[-1, 0]


def decay_slope(p):
    a, b = p
    e = np.exp(-a)
    return np.array([-b / a**2 * (1 - e) - (1 - b / a) * e, (1 - e) / a])


CASES = {
    area: area_slope(P),
    nested: np.array([2 * P[0] / 3, 1.0]),
    bracketed: root_of_cubic(P)[1],
    by_newton: root_of_cubic(P)[1],
    by_root: root_of_cubic(P)[1],
    by_minimum: np.array([1 + P[1], 1 + P[0]]),
    fitted: np.array([0.5, P[1]]),
    decay: decay_slope(P),
    decay_by_odeint: decay_slope(P),
}


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_gradients_in_what_a_closure_reads(f):
    np.testing.assert_allclose(ad.grad(ad.differentiable(f))(P), CASES[f], rtol=1e-6)
    if f in (decay, decay_by_odeint):  # the steps depend on values
        return
    np.testing.assert_allclose(ad.jit(ad.grad(f))(P), CASES[f], rtol=1e-6)
    np.testing.assert_allclose(ad.vmap(ad.grad(ad.differentiable(f)))(np.stack([P, P]))[1], CASES[f], rtol=1e-6)


def test_second_derivatives():
    s, slope = root_of_cubic(P)
    h = 1e-5
    want = [(root_of_cubic(P + h * e)[1] - root_of_cubic(P - h * e)[1]) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(ad.hessian(ad.differentiable(bracketed))(P), want, rtol=1e-6)


def test_our_names_in_plain_code():
    f = lambda p: integrate.quad(lambda t: np.sin(p[0] * t) * p[1], 0, 1)[0]
    np.testing.assert_allclose(ad.grad(f)(P), area_slope(P), rtol=1e-9)
    g = lambda p: optimize.brentq(lambda s: s**3 + p[0] * s - p[1], 0.0, 2.0)
    np.testing.assert_allclose(ad.grad(g)(P), root_of_cubic(P)[1], rtol=1e-9)


def test_args_and_closures_together():
    f = lambda p: integrate.quad(lambda t, b: np.sin(p[0] * t) * b, 0, 1, args=(p[1],))[0]
    np.testing.assert_allclose(ad.grad(f)(P), area_slope(P), rtol=1e-9)


def test_a_function_that_reads_itself():
    def f(p):
        def power(t, n=3):
            return p[0] if n == 0 else t * power(t, n - 1)

        return integrate.quad(power, 0, 1)[0]

    np.testing.assert_allclose(ad.grad(f)(P), [0.25, 0.0], rtol=1e-9)


def test_what_reads_nothing_is_the_same_object():
    f = lambda x: x + P[0]
    assert lifted((1.0,), f, None) == ((1.0,), f, None) and not reads_tensors(f)
