"""Shape derivatives of the incomplete gamma and beta functions, and of the distributions made of them, against mpmath."""

import mpmath
import numpy as np
import pytest
from mpmath import mp

import adjoint as ad
from adjoint.primitives.incomplete import betainc_shape, gammainc_shape, psi_step
from adjoint.scipy import special, stats

GAMMA = [(1e-8, 1.0), (1e-3, 1e-5), (0.01, 0.3), (0.3, 1e-8), (0.3, 2.0), (1.0, 0.2), (1.0, 5.0), (2.5, 30.0), (5.0, 1e-30),
         (10.0, 9.4), (10.0, 9.6), (100.0, 60.0), (100.0, 100.0), (100.0, 150.0)]  # fmt: skip
BETA = [(0.5, 0.5, 0.3), (2.0, 3.0, 0.1), (2.0, 3.0, 0.9), (0.01, 0.01, 0.5), (1e-3, 5.0, 1e-5), (0.5, 20.0, 1e-10),
        (50.0, 0.5, 0.9), (50.0, 0.5, 0.9999), (100.0, 100.0, 0.45), (3.0, 0.3, 1e-30), (0.3, 0.3, 1 - 1e-12)]  # fmt: skip


def m_gamma(a, x):
    return mpmath.gammainc(a, 0, x, regularized=True)


def m_beta(a, b, x):
    return mpmath.betainc(a, b, 0, x, regularized=True)


def slope(f, args, orders):
    with mp.workdps(60):
        return float(mpmath.diff(f, tuple(map(mpmath.mpf, args)), orders))


def close(got, want, rtol):
    assert abs(got - want) <= rtol * abs(want), f"{got!r} is off {want!r} by {abs(got - want) / abs(want):.1e}"


@pytest.mark.parametrize("a, x", GAMMA)
def test_gamma(a, x):
    want = slope(m_gamma, (a, x), (1, 0))
    close(gammainc_shape(a, x, 1), want, 2e-13)
    close(ad.grad(special.gammainc)(a, x), want, 2e-13)
    close(ad.jvp(lambda a: special.gammaincc(a, x), (a,), (1.0,))[1], -want, 2e-13)


@pytest.mark.parametrize("a, x", [(1000.0, 1000.0), (1000.0, 1100.0), (1e4, 1e4)])
def test_gamma_of_large_shapes(a, x):
    """The density is known to eps times a."""
    close(gammainc_shape(a, x, 1), slope(m_gamma, (a, x), (1, 0)), 1e-14 * a)


@pytest.mark.parametrize("a, b, x", BETA)
def test_beta(a, b, x):
    by_a, by_b = ad.grad(special.betainc, argnums=(0, 1))(a, b, x)
    close(by_a, slope(m_beta, (a, b, x), (1, 0, 0)), 2e-13)
    close(by_b, slope(m_beta, (a, b, x), (0, 1, 0)), 2e-13)


@pytest.mark.parametrize("a, x", [(0.3, 2.0), (1.0, 0.2), (10.0, 9.4), (10.0, 14.0)])
def test_second_and_third_derivatives_of_gamma(a, x):
    f = special.gammainc
    close(ad.hessian(lambda p: f(p[0], p[1]))(np.array([a, x]))[0, 1], slope(m_gamma, (a, x), (1, 1)), 1e-12)
    close(ad.grad(ad.grad(f))(a, x), slope(m_gamma, (a, x), (2, 0)), 1e-10)
    close(ad.grad(ad.grad(ad.grad(f)))(a, x), slope(m_gamma, (a, x), (3, 0)), 1e-9)
    close(ad.grad(ad.grad(ad.grad(f), 1))(a, x), slope(m_gamma, (a, x), (2, 1)), 1e-10)


@pytest.mark.parametrize("a, b, x", [(0.5, 0.5, 0.3), (2.0, 3.0, 0.2), (7.0, 1.5, 0.8)])
def test_second_derivatives_of_beta(a, b, x):
    h = ad.hessian(lambda p: special.betainc(p[0], p[1], p[2]))(np.array([a, b, x]))
    for i in range(3):
        for j in range(3):
            if (i, j) != (2, 2):
                want = slope(m_beta, (a, b, x), tuple((k == i) + (k == j) for k in range(3)))
                assert abs(h[i, j] - want) <= 1e-10 * np.max(np.abs(h))


def test_ends_and_what_is_outside():
    with np.errstate(all="ignore"):
        assert gammainc_shape(np.array([1.0, 2.0]), np.array([0.0, np.inf]), 1).tolist() == [0.0, 0.0]
        assert betainc_shape(2.0, 3.0, np.array([0.0, 1.0]), 1, 0).tolist() == [0.0, 0.0]
        assert np.isnan(gammainc_shape(np.array([-1.0, 0.0, np.nan, 1.0]), np.array([1.0, 1.0, 1.0, -1.0]), 1)).all()
        assert np.isnan(betainc_shape(1.0, 1.0, np.array([-0.1, 1.1, np.nan]), 0, 1)).all()


def test_dtype_and_shape():
    g = ad.grad(lambda a: np.sum(special.gammainc(a, np.float32([[0.5], [1.0]]))))(np.float32([1.0, 2.0]))
    assert g.dtype == np.float32 and g.shape == (2,)
    assert gammainc_shape(np.ones((0, 2)), 1.0, 1).shape == (0, 2)


@pytest.mark.parametrize(
    "a, b", [(1.0, 0.5), (100.0, 0.5), (1e6, 1e-3), (1e-3, 2.0), (0.5, 1e8), (1e-10, 1e-10), (5.0, -4.9)]
)
def test_steps_of_digamma(a, b):
    with mp.workdps(50):
        want = float(mpmath.psi(0, mpmath.mpf(a) + mpmath.mpf(b)) - mpmath.psi(0, mpmath.mpf(a)))
    close(psi_step(a, b), want, 1e-15 if b > 0 else 1e-13)


def inverse(f, guess):
    return lambda *args: mpmath.findroot(lambda x: f(*args[:-1], x) - args[-1], guess)


@pytest.mark.parametrize(
    "f, mf, args",
    [
        (special.gammaincinv, inverse(m_gamma, 2.0), (2.5, 0.4)),
        (special.gammainccinv, inverse(lambda a, x: 1 - m_gamma(a, x), 2.0), (2.5, 0.4)),
        (special.betaincinv, inverse(m_beta, 0.4), (2.0, 3.0, 0.4)),
        (special.betainccinv, inverse(lambda a, b, x: 1 - m_beta(a, b, x), 0.4), (2.0, 3.0, 0.4)),
        (special.chdtr, lambda v, x: m_gamma(v / 2, x / 2), (3.5, 2.0)),
        (special.chdtrc, lambda v, x: 1 - m_gamma(v / 2, x / 2), (3.5, 2.0)),
        (special.stdtr, lambda v, t: m_student(v, t), (3.5, 1.2)),
        (special.stdtr, lambda v, t: m_student(v, t), (3.5, -0.7)),
        (special.stdtr, lambda v, t: m_student(v, t), (200.0, 2.5)),
        (special.stdtrit, inverse(lambda v, t: m_student(v, t), 0.5), (3.5, 0.7)),
    ],
)
def test_what_is_made_of_them(f, mf, args):
    for k, got in enumerate(ad.grad(f, argnums=tuple(range(len(args))))(*args)):
        close(got, slope(mf, args, tuple(int(i == k) for i in range(len(args)))), 1e-12)


def m_student(v, t):
    tail = m_beta(v / 2, mpmath.mpf(1) / 2, v / (v + t * t)) / 2
    return 1 - tail if t > 0 else tail


@pytest.mark.parametrize(
    "d, x, shapes, mf",
    [
        ("gamma", 1.5, (2.5,), m_gamma),
        ("chi2", 1.5, (2.5,), lambda v, x: m_gamma(v / 2, x / 2)),
        ("beta", 0.3, (2.0, 3.5), m_beta),
        ("t", 1.2, (4.0,), m_student),
    ],
)
def test_distributions_in_their_shapes(d, x, shapes, mf):
    d = getattr(stats, d)
    args = (*shapes, x)
    for k in range(len(shapes)):
        want = slope(mf, args, tuple(int(i == k) for i in range(len(args))))
        close(ad.grad(lambda *s: d.cdf(x, *s), argnums=k)(*shapes), want, 1e-11)
        close(ad.grad(lambda *s: d.sf(x, *s), argnums=k)(*shapes), -want, 1e-11)
