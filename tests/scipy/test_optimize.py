"""Optimisation: SciPy's answers with exact derivatives, and derivatives of the answers."""

import numpy as np
import pytest
import scipy.optimize

import adjoint as ad
from adjoint.scipy import optimize

METHODS = ("Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "COBYLA", "SLSQP", "trust-constr",
           "dogleg", "trust-ncg", "trust-exact", "trust-krylov", None)  # fmt: skip


def bowl(x, p):
    return np.sum(np.cosh(x - p)) + 0.5 * np.sum(x * x) + 0.1 * (x[0] - x[1]) ** 2


def rosen(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs(method):
    result = optimize.minimize(bowl, [0.3, -0.2], args=(np.array([1.0, 2.0]),), method=method)
    want = scipy.optimize.minimize(bowl, [0.3, -0.2], args=(np.array([1.0, 2.0]),), tol=1e-12)
    np.testing.assert_allclose(result.x, want.x, atol=2e-3)


def test_derivatives_are_exact():
    """Fewer evaluations than by differences, and nearer."""
    calls = []

    def counted(x):
        calls.append(1)
        return rosen(x)

    ours = optimize.minimize(counted, np.zeros(4), method="BFGS")
    mine = len(calls)
    theirs = scipy.optimize.minimize(counted, np.zeros(4), method="BFGS")
    assert mine < (len(calls) - mine) / 3
    assert np.abs(ours.x - 1).max() <= np.abs(theirs.x - 1).max()
    assert ours.success


def test_minimize_in_its_parameters():
    p = np.array([1.0, 2.0])
    want = ad.jacobian(lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,)).x)(p)
    for method in ("trust-exact", "L-BFGS-B", "Nelder-Mead"):
        f = lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,), method=method).x  # noqa: B023
        np.testing.assert_allclose(ad.jacobian(f)(p), want, rtol=1e-10)
    ad.check_grads(lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,)).x, p, order=2)
    # the envelope theorem: the value's derivative is the direct one
    g = ad.grad(lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,)).fun)(p)
    x = optimize.minimize(bowl, np.zeros(2), args=(p,), tol=1e-12).x
    np.testing.assert_allclose(g, -np.sinh(x - p), rtol=1e-6)


def test_bounds_hold():
    p = np.array([1.0, 2.0])
    for bounds in ([(None, 0.2), (0.0, None)], scipy.optimize.Bounds([-np.inf, 0.0], [0.2, np.inf])):
        f = lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,), bounds=bounds).x  # noqa: B023
        jac = ad.jacobian(f)(p)
        assert jac[0].tolist() == [0.0, 0.0] and jac[1, 1] > 0.1
        ad.check_grads(f, p)


def test_root():
    fun = lambda x, a, b: np.stack([a * x[0] ** 2 - x[1] - 1, x[0] + np.exp(x[1]) - b["b"]])
    a, b = 1.5, {"b": 3.0}
    for method in ("hybr", "lm", "krylov"):
        f = lambda a, b: optimize.root(fun, [1.0, 1.0], args=(a, b), method=method).x  # noqa: B023
        np.testing.assert_allclose(f(a, b), scipy.optimize.root(fun, [1.0, 1.0], args=(a, b)).x, atol=1e-5)
        ad.check_grads(f, a, b, eps=1e-3)
    ad.check_grads(lambda a, b: optimize.root(fun, [1.0, 1.0], args=(a, b)).x, a, b, order=2)


def test_scalar_roots():
    f = lambda x, p: x**3 + x - p
    for g in (
        lambda p: optimize.brentq(f, 0.0, 5.0, args=(p,)),
        lambda p: optimize.bisect(f, 0.0, 5.0, args=(p,)),
        lambda p: optimize.newton(f, 1.0, args=(p,)),
    ):
        assert g(10.0) == pytest.approx(2.0)
        assert ad.grad(g)(10.0) == pytest.approx(1 / 13, rel=1e-14)
        assert ad.grad(ad.grad(g))(10.0) == pytest.approx(-12 / 13**3, rel=1e-12)


def test_fixed_point():
    f = lambda x, p: np.cos(p * x)
    p = np.array([0.9, 1.1])
    solve = lambda p: optimize.fixed_point(f, np.array([0.7, 0.7]), args=(p,))
    np.testing.assert_allclose(solve(p), np.cos(p * solve(p)))
    ad.check_grads(solve, p, order=2)


def test_least_squares():
    rng = np.random.default_rng(0)
    t = np.linspace(0, 2, 20)
    y = 2 * np.exp(-0.7 * t) + 0.05 * rng.normal(size=20)
    r = lambda x, y: x[0] * np.exp(-x[1] * t) - y
    for method in ("trf", "dogbox", "lm"):
        f = lambda y: optimize.least_squares(r, [1.0, 1.0], args=(y,), method=method).x  # noqa: B023
        np.testing.assert_allclose(f(y), scipy.optimize.least_squares(r, [1.0, 1.0], args=(y,)).x, rtol=1e-5)
        ad.check_grads(f, y)
    f = lambda y: optimize.least_squares(r, [1.0, 1.0], args=(y,), bounds=([0, 0], [1.5, 5])).x
    ad.check_grads(f, y)
    assert ad.jacobian(f)(y)[0].tolist() == [0.0] * 20
    with pytest.raises(NotImplementedError, match="loss='linear'"):
        ad.jacobian(lambda y: optimize.least_squares(r, [1.0, 1.0], args=(y,), loss="soft_l1").x)(y)


def test_what_has_no_derivative_is_an_error():
    with pytest.raises(optimize.SolutionError, match="singular"):  # every x is a minimum
        ad.jacobian(lambda p: optimize.minimize(lambda x, p: p * np.sum(0 * x), [1.0], args=(p,)).x)(1.0)
    with pytest.raises(optimize.SolutionError):  # there is no root
        ad.jacobian(lambda p: optimize.root(lambda x, p: x * x + p, [1.0], args=(p,)).x)(1.0)
    with pytest.raises(NotImplementedError, match="constraints"):
        c = {"type": "eq", "fun": lambda x: x[0] - 1}
        ad.jacobian(lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,), constraints=[c]).x)(np.ones(2))


def test_a_parameter_from_an_object_is_an_error():
    class Bowl:
        def __init__(self, p):
            self.p = p

        def value(self, x):
            return np.sum((x - self.p) ** 2)

    with pytest.raises(ad.AdjointError):  # only what closures and defaults hold can be made an argument
        ad.grad(lambda p: optimize.minimize(Bowl(p).value, np.zeros(2)).x.sum())(2.0)


def test_mapped():
    f = lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,)).x
    ps = np.array([[1.0, 2.0], [0.3, -0.4]])
    np.testing.assert_allclose(ad.vmap(f)(ps), np.stack([f(p) for p in ps]), atol=1e-6)
    np.testing.assert_allclose(ad.vmap(ad.jacobian(f))(ps), np.stack([ad.jacobian(f)(p) for p in ps]), rtol=1e-6)


def test_the_start_does_not_matter():
    f = lambda p: optimize.minimize(bowl, p * 0.1, args=(p,)).x.sum()
    g = lambda p: optimize.minimize(bowl, np.zeros(2), args=(p,)).x.sum()
    p = np.array([1.0, 2.0])
    np.testing.assert_allclose(ad.grad(f)(p), ad.grad(g)(p), rtol=1e-9)


def test_a_gradient_of_the_users():
    both = lambda x, p: (bowl(x, p), ad.grad(bowl)(x, p))
    f = lambda p: optimize.minimize(both, np.zeros(2), args=(p,), jac=True).x
    ad.check_grads(lambda p: f(p), np.array([1.0, 2.0]), atol=1e-4)


def test_solvers_are_not_tried_on_ones_under_jit():
    root = lambda p: optimize.brentq(lambda t: t**3 - p, 5.0, 10.0)  # for p = 1 there is none
    both = lambda p: optimize.root(lambda t: t**3 - p, np.array([6.0, 7.0])).x[0]
    for f in (root, both):
        np.testing.assert_allclose(ad.jit(ad.grad(f))(216.0), 1 / 108, rtol=1e-9)
        np.testing.assert_allclose(ad.jit(ad.grad(ad.grad(f)))(216.0), -2 / 9 * 216.0 ** (-5 / 3), rtol=1e-8)
    told = lambda p: sorted(optimize.minimize(lambda t: np.sum((t - p) ** 2), np.zeros(2)))
    x = lambda p: optimize.minimize(lambda t: np.sum((t - p) ** 2), np.zeros(2)).x.sum()
    assert ad.jit(x)(3.0) == pytest.approx(6.0)
    assert ad.jit(told)(3.0) == ["fun", "x"]  # what a solver tells beside is not known before it ran


def test_fsolve():
    """The unknowns of two equations that give a tuple; by the implicit function theorem x + y = a, x y = a^2 / 8."""

    def f(a):
        x, y = optimize.fsolve(lambda v: (v[0] + v[1] - a, v[0] * v[1] - a * a / 8), [1.0, 0.2])
        return x * y * y

    want = 3 * f(1.3) / 1.3  # f(a) = f(1) a^3
    for make in (ad.grad, lambda f: ad.jit(ad.grad(f)), lambda f: ad.grad(ad.jit(f))):
        assert np.isclose(make(f)(1.3), want, rtol=1e-9)
    with pytest.raises(NotImplementedError, match="full_output"):
        optimize.fsolve(lambda x: x * x - 2, 1.0, full_output=True)
