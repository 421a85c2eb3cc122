"""SciPy's own functions in functions of the user's: under jit and ad.differentiable they are ours where ours are needed."""

import subprocess
import sys

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize
import scipy.signal
import scipy.special
import scipy.stats
from scipy.special import logsumexp

import adjoint as ad

X = np.array([0.5, 1.2, 0.8])


def special(x):
    return logsumexp(x) + scipy.special.softmax(x)[0] * scipy.special.log_softmax(x)[1]


def matrices(x):
    a = np.outer(x, x) + np.eye(3)
    return (
        scipy.linalg.cho_solve(scipy.linalg.cho_factor(a), x) @ x
        + scipy.linalg.expm(a / 9).sum()
        + scipy.linalg.svdvals(a).sum()
    )


def distributions(x):
    y = scipy.stats.norm.logpdf(x, 0, x[0]).sum() + scipy.stats.gamma.logpdf(x, 2.0).sum()
    return y + scipy.stats.norm.ppf(0.9) * x[1]  # of no tensor: SciPy's own


def rules(x):
    return scipy.integrate.simpson(x**2, dx=0.5) + scipy.signal.convolve(x, x)[1]


def spline(x):
    return scipy.interpolate.CubicSpline(np.arange(3.0), x)(0.5) ** 2


def solved(x):
    return scipy.optimize.brentq(lambda z, a: z**3 - a, 0.0, 3.0, args=(x[0],)) * x[1]


@pytest.mark.parametrize("f", [special, matrices, distributions, rules, spline, solved])
def test_scipys_names(f):
    marked = ad.differentiable(f)
    np.testing.assert_allclose(marked(X), f(X), rtol=1e-12)
    h, t = 1e-6, np.array([0.3, 0.5, 0.7])
    slope = (f(X + h * t) - f(X - h * t)) / (2 * h)
    np.testing.assert_allclose(ad.grad(marked)(X) @ t, slope, rtol=1e-7)


def test_compiled():
    pytest.importorskip("llvmlite")
    for f in (special, distributions):
        np.testing.assert_allclose(ad.jit(f)(X), f(X), rtol=1e-12)
        np.testing.assert_allclose(ad.jit(ad.grad(f))(X), ad.grad(ad.differentiable(f))(X), rtol=1e-12)


def test_a_rule_that_is_loaded_late_is_found():
    code = "import adjoint.scipy.linalg as l, numpy as np; print(l.svdvals(np.eye(2)).sum())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "2.0\n"
