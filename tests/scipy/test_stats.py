"""Distributions: SciPy's values, derivatives against differences, and against mpmath where numbers are extreme."""

import warnings

import mpmath
import numpy as np
import pytest
import scipy.stats

import adjoint as ad
from adjoint.scipy import stats

CONTINUOUS = {
    "norm": (), "t": (3.5,), "cauchy": (), "laplace": (), "logistic": (), "gumbel_r": (), "gumbel_l": (),
    "uniform": (), "beta": (2.5, 1.5), "expon": (), "gamma": (2.3,), "chi2": (3.2,), "invgamma": (2.2,),
    "lognorm": (0.7,), "pareto": (2.1,), "weibull_min": (1.7,), "rayleigh": (), "halfnorm": (),
}  # fmt: skip
DISCRETE = {"poisson": (2.3,), "binom": (5, 0.3), "bernoulli": (0.3,), "nbinom": (3.5, 0.4), "geom": (0.3,)}
METHODS = ("logpdf", "pdf", "cdf", "sf", "logcdf", "logsf", "ppf", "isf")
X = np.array([-30.0, -3.0, -1.1, -0.2, 0.1, 0.4, 0.55, 0.7, 0.9, 1.3, 2.0, 5.0, 20.0])
Q = np.array([0.0, 1e-12, 0.01, 0.3, 0.5, 0.8, 0.999, 1.0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_values(name, method):
    x = Q if method in ("ppf", "isf") else X
    for loc, scale in ((0.0, 1.0), (0.3, 1.7), (0.3, -1.0)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = getattr(getattr(scipy.stats, name), method)(x, *CONTINUOUS[name], loc, scale)
        got = getattr(getattr(stats, name), method)(x, *CONTINUOUS[name], loc=loc, scale=scale)
        rtol = 1e-3 if (name, method) == ("halfnorm", "ppf") else 1e-9  # SciPy's has lost digits at 1e-12
        np.testing.assert_allclose(got, want, rtol=rtol, atol=1e-300)
        assert got.shape == want.shape
        frozen = getattr(getattr(stats, name)(*CONTINUOUS[name], loc, scale), method)(x)
        np.testing.assert_array_equal(frozen, got)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_derivatives(name, method):
    """In the variable, loc and scale, and in the shapes where they have one."""
    f, shapes = getattr(getattr(stats, name), method), CONTINUOUS[name]
    x = np.array([0.2, 0.65]) if method in ("ppf", "isf") else np.array([0.85, 1.3])
    if name == "pareto" and method not in ("ppf", "isf"):
        x = x + 1.5
    loc, scale = 0.1, 1.6
    ad.check_grads(lambda x, loc, scale: f(x, *shapes, loc, scale), x, loc, scale, order=2, atol=1e-5)
    if shapes:
        ad.check_grads(lambda *s: f(x, *s, loc, scale), *shapes)


@pytest.mark.parametrize("method", METHODS[:6])
@pytest.mark.parametrize("name", CONTINUOUS)
def test_outside_the_support_every_derivative_is_zero(name, method):
    low, high = getattr(scipy.stats, name).support(*CONTINUOUS[name])
    f = getattr(getattr(stats, name), method)
    for x in ([low - 1.0] if np.isfinite(low) else []) + ([high + 1.0] if np.isfinite(high) else []):
        gs = ad.grad(lambda x, loc, scale: f(x, *CONTINUOUS[name], loc, scale), (0, 1, 2))(x, 0.0, 1.0)
        assert gs == (0.0, 0.0, 0.0)


def _mp(f, x):
    with mpmath.workdps(400):
        x = mpmath.mpf(x)
        h = x * mpmath.mpf(10) ** -60
        return float((f(x + h) - f(x - h)) / (2 * h))


_phi = lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2
_sig = lambda x: 1 / (1 + mpmath.exp(-x))
TAILS = [
    (stats.norm.logcdf, lambda x: mpmath.log(_phi(x)), (-200.0, -37.0, -5.0, 3.0, 9.0)),
    (stats.norm.logsf, lambda x: mpmath.log(_phi(-x)), (-9.0, 0.5, 37.0, 200.0)),
    (stats.norm.sf, lambda x: _phi(-x), (-9.0, 8.0, 30.0)),
    (stats.logistic.logpdf, lambda x: mpmath.log(_sig(x)) + mpmath.log(_sig(-x)), (-800.0, -1e-9, 40.0, 800.0)),
    (stats.logistic.logcdf, lambda x: mpmath.log(_sig(x)), (-800.0, 40.0, 300.0)),
    (stats.expon.logcdf, lambda x: mpmath.log(-mpmath.expm1(-x)), (1e-12, 1.0, 40.0)),
    (stats.gumbel_r.logsf, lambda x: mpmath.log(-mpmath.expm1(-mpmath.exp(-x))), (-2.0, 3.0, 50.0)),
    (stats.halfnorm.logsf, lambda x: mpmath.log(2 * _phi(-x)), (0.1, 30.0, 300.0)),
    (stats.cauchy.cdf, lambda x: mpmath.acot(-x) / mpmath.pi, (-1e10, -3.0)),
    (stats.cauchy.logpdf, lambda x: -mpmath.log(1 + x * x), (1e-9, 1e5, 1e12)),
    (stats.lognorm(0.5).logcdf, lambda x: mpmath.log(_phi(2 * mpmath.log(x))), (1e-8, 0.5)),
    (stats.laplace.logcdf, lambda x: mpmath.log(1 - mpmath.exp(-x) / 2), (1e-3, 40.0)),
]


@pytest.mark.parametrize("f, exact, points", TAILS)
def test_tails(f, exact, points):
    for x in points:
        want = _mp(exact, x)
        assert ad.grad(f)(x) == pytest.approx(want, rel=2e-13 * max(1, abs(x)), abs=0)
        assert ad.jvp(f, (x,), (1.0,))[1] == pytest.approx(want, rel=2e-13 * max(1, abs(x)), abs=0)


def test_students_logarithm_does_not_overflow():
    assert stats.t.logpdf(1e200, 2.0) == pytest.approx(-3 * 200 * np.log(10), rel=1e-12)
    assert ad.grad(stats.t.logpdf)(1e200, 2.0) == pytest.approx(-3e-200)


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    k = np.array([-1.0, 0.0, 1.0, 2.0, 2.5, 3.0, 5.0, 6.0])
    ours, theirs, shapes = getattr(stats, name), getattr(scipy.stats, name), DISCRETE[name]
    for method in ("logpmf", "pmf", "cdf", "sf", "logcdf", "logsf"):
        for loc in (0, 1):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                want = getattr(theirs, method)(k, *shapes, loc)
            np.testing.assert_allclose(getattr(ours, method)(k, *shapes, loc=loc), want, rtol=1e-9, atol=1e-15)
    inner = np.array([1.0, 2.0, 3.0]) if name != "bernoulli" else np.array([0.0, 1.0])
    last = shapes[-1]
    for method in ("logpmf", "pmf"):
        f = getattr(ours, method)
        ad.check_grads(lambda p, f=f: f(inner, *shapes[:-1], p), last, order=2)
    for method in ("cdf", "sf", "logsf"):
        f = getattr(ours, method)
        ad.check_grads(lambda p, f=f: f(inner[:1], *shapes[:-1], p), last)


def test_outcomes_that_cannot_happen():
    assert ad.grad(lambda p: stats.binom.logpmf(0, 4, p))(0.0) == -4.0
    assert ad.grad(lambda p: stats.bernoulli.pmf(2, p))(0.3) == 0.0
    assert ad.grad(lambda m: stats.poisson.logpmf(0, m))(0.0) == -1.0


def test_multivariate_normal():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 3))
    cov, mean, x = a @ a.T + np.eye(3), rng.normal(size=3), rng.normal(size=(4, 3))
    for c in (cov, np.diag(cov), 2.0):
        want = scipy.stats.multivariate_normal.logpdf(x, mean, c if np.ndim(c) != 1 else np.diag(c))
        np.testing.assert_allclose(stats.multivariate_normal.logpdf(x, mean, c), want)
        np.testing.assert_allclose(stats.multivariate_normal(mean, c).pdf(x), np.exp(want))
    assert stats.multivariate_normal.logpdf(0.5) == pytest.approx(scipy.stats.norm.logpdf(0.5))
    f = lambda x, mean, cov: stats.multivariate_normal.logpdf(x, mean, cov + cov.T)
    ad.check_grads(f, x, mean, cov, order=2)


def test_dirichlet():
    x, alpha = np.array([0.2, 0.3, 0.5]), np.array([1.5, 2.0, 0.7])
    assert stats.dirichlet.logpdf(x, alpha) == pytest.approx(scipy.stats.dirichlet.logpdf(x, alpha))
    assert stats.dirichlet.pdf(x[:2], alpha) == pytest.approx(scipy.stats.dirichlet.pdf(x[:2], alpha))
    ad.check_grads(lambda a: stats.dirichlet.logpdf(x, a), alpha, order=2)
    ad.check_grads(lambda x: stats.dirichlet.logpdf(x, alpha), x[:2])
    with pytest.raises(ValueError, match="add up to 1"):
        stats.dirichlet.logpdf(np.array([0.2, 0.3, 0.6]), alpha)


def test_a_fit():
    """The gradient of a likelihood is 0 at SciPy's own fit."""
    data = np.random.default_rng(1).gamma(2.0, 3.0, 200)
    a, _, scale = scipy.stats.gamma.fit(data, floc=0)
    g = ad.grad(lambda a, s: np.sum(stats.gamma.logpdf(data, a, scale=s)), (0, 1))(a, scale)
    np.testing.assert_allclose(g, 0, atol=1e-3)


def test_parameters_are_checked():
    with pytest.raises(TypeError, match="gamma needs a"):
        stats.gamma.logpdf(1.0)
    with pytest.raises(TypeError, match="unexpected parameter 'sigma'"):
        stats.norm.logpdf(1.0, sigma=1.0)
    assert stats.norm.rvs(size=2, random_state=0).shape == (2,)  # SciPy's own
