"""Derivatives of SciPy's special functions against mpmath, at ordinary and at extreme points; what is refused, and how."""

# ruff: noqa: E501 (a table)

import mpmath as mp
import numpy as np
import pytest
import scipy.special as S

import adjoint as ad
from adjoint.core.errors import MissingRuleError


def _legendre_inc(m, k):
    return mp.ellipf(m, k)


def _fresnel(i):
    return lambda x: (mp.fresnels, mp.fresnelc)[i](x)


def _wright(a, b, x):
    return mp.nsum(lambda k: x**k * mp.rgamma(k + 1) * mp.rgamma(a * k + b), [0, mp.inf])


def _rj(x, y, z, p):
    return mp.elliprj(x, y, z, p)


def _voigt(x, s, g):
    z = (x + 1j * g) / (s * mp.sqrt(2))
    return mp.re(mp.exp(-z * z) * mp.erfc(-1j * z)) / (s * mp.sqrt(2 * mp.pi))


def _gamma_cdf(a, b, x):
    return mp.gammainc(b, 0, a * x, regularized=True)


def _f_cdf(m, n, x):
    return mp.betainc(m / 2, n / 2, 0, m * x / (m * x + n), regularized=True)


def _kolmogorov(x):
    return 1 - mp.sqrt(2 * mp.pi) / x * mp.nsum(
        lambda k: mp.exp(-((2 * k - 1) ** 2) * mp.pi**2 / (8 * x * x)), [1, mp.inf]
    )


def _chndtr(x, v, c):
    return mp.nsum(lambda j: mp.exp(-c / 2) * (c / 2) ** j / mp.factorial(j) * mp.gammainc(v / 2 + j, 0, x / 2, regularized=True), [0, mp.inf])  # fmt: skip


# ours, mpmath's, the places that are differentiated, points, relative error allowed
ROWS = {
    "ellipkinc": (S.ellipkinc, _legendre_inc, (0, 1), [(0.7, 0.5), (0.7, 1e-12), (0.3, -40.0), (1.5, 0.99), (5.0, 0.4), (-0.9, 0.2)], 1e-11),
    "ellipeinc": (S.ellipeinc, mp.ellipe, (0, 1), [(0.7, 0.5), (0.7, 1e-12), (0.3, -40.0), (1.5, 0.99), (5.0, 0.4), (-0.9, 0.2)], 1e-11),
    "elliprf": (S.elliprf, mp.elliprf, (0, 1, 2), [(1.0, 2.0, 3.0), (1e-8, 1.0, 1e8), (0.5, 0.5, 0.5)], 1e-12),
    "elliprd": (S.elliprd, mp.elliprd, (0, 1, 2), [(1.0, 2.0, 3.0), (0.5, 0.5, 0.5), (0.01, 1.0, 30.0)], 1e-10),
    "elliprg": (S.elliprg, mp.elliprg, (0, 1, 2), [(1.0, 2.0, 3.0), (0.5, 0.5, 0.5), (0.01, 1.0, 30.0)], 1e-11),
    "elliprj": (S.elliprj, _rj, (0, 1, 2, 3), [(1.0, 2.0, 3.0, 0.7), (0.5, 0.5, 0.5, 0.5), (0.01, 1.0, 30.0, 2.0)], 1e-10),
    "elliprc": (S.elliprc, mp.elliprc, (0, 1), [(1.0, 2.0), (2.0, 1.0), (3.0, 3.0), (1.0, -2.0)], 1e-11),
    "agm": (S.agm, mp.agm, (0, 1), [(1.0, 2.0), (1.0, 1.0), (1e-6, 1e6)], 1e-11),
    "ellipj sn": (lambda u, m: S.ellipj(u, m)[0], lambda u, m: mp.ellipfun("sn", u, m=m), (0, 1), [(0.8, 0.5), (3.3, 0.2), (0.8, 1e-9)], 1e-9),
    "ellipj dn": (lambda u, m: S.ellipj(u, m)[2], lambda u, m: mp.ellipfun("dn", u, m=m), (0, 1), [(0.8, 0.5), (3.3, 0.2)], 1e-9),
    "airy ai": (lambda x: S.airy(x)[0], mp.airyai, (0,), [(0.5,), (-7.0,), (9.0,)], 1e-11),
    "airy bi'": (lambda x: S.airy(x)[3], lambda x: mp.airybi(x, derivative=1), (0,), [(0.5,), (-7.0,), (9.0,)], 1e-11),
    "ber": (S.ber, lambda x: mp.ber(0, x), (0,), [(0.5,), (5.0,)], 1e-10),
    "beip": (S.beip, lambda x: mp.diff(lambda y: mp.bei(0, y), x), (0,), [(0.5,), (5.0,)], 1e-10),
    "kei": (S.kei, lambda x: mp.kei(0, x), (0,), [(0.5,), (5.0,)], 1e-10),
    "struve": (lambda x: S.struve(1.5, x), lambda x: mp.struveh(1.5, x), (0,), [(0.5,), (10.0,)], 1e-11),
    "modstruve": (lambda x: S.modstruve(0, x), lambda x: mp.struvel(0, x), (0,), [(0.5,), (10.0,)], 1e-11),
    "it2j0y0": (lambda x: S.it2j0y0(x)[0], lambda x: mp.quad(lambda t: (1 - mp.besselj(0, t)) / t, [0, x]), (0,), [(1e-6,), (0.7,), (3.0,)], 1e-12),
    "it2i0k0": (lambda x: S.it2i0k0(x)[0], lambda x: mp.quad(lambda t: (mp.besseli(0, t) - 1) / t, [0, x]), (0,), [(1e-6,), (0.7,), (3.0,)], 1e-12),
    "sici": (lambda x: S.sici(x)[1], mp.ci, (0,), [(0.5,), (30.0,)], 1e-11),
    "shichi": (lambda x: S.shichi(x)[0], mp.shi, (0,), [(0.5,), (9.0,)], 1e-12),
    "fresnel s": (lambda x: S.fresnel(x)[0], _fresnel(0), (0,), [(0.5,), (2.5,)], 1e-11),
    "fresnel c": (lambda x: S.fresnel(x)[1], _fresnel(1), (0,), [(0.5,), (2.5,)], 1e-11),
    "zeta": (lambda q: S.zeta(3.5, q), lambda q: mp.zeta(3.5, q), (0,), [(0.5,), (20.0,)], 1e-12),
    "wright_bessel": (lambda x: S.wright_bessel(1.0, 2.5, x), lambda x: _wright(1.0, 2.5, x), (0,), [(0.5,), (4.0,)], 1e-11),
    "voigt_profile": (S.voigt_profile, _voigt, (0, 1, 2), [(0.5, 1.0, 0.3), (20.0, 1.0, 0.3), (300.0, 2.0, 1e-3), (5.5, 1.0, 0.5)], 1e-9),
    "wofz": (lambda x: np.real(S.wofz(x + 0.5j)), lambda x: mp.re(mp.exp(-((x + 0.5j) ** 2)) * mp.erfc(-1j * (x + 0.5j))), (0,), [(0.5,), (100.0,)], 1e-11),
    "chebyt": (lambda x: S.eval_chebyt(7, x), lambda x: mp.chebyt(7, x), (0,), [(0.3,), (1.0,), (-1.0,)], 1e-12),
    "chebyu": (lambda x: S.eval_chebyu(7, x), lambda x: mp.chebyu(7, x), (0,), [(0.3,), (1.0,), (-1.0,)], 1e-12),
    "legendre": (lambda x: S.eval_legendre(9, x), lambda x: mp.legendre(9, x), (0,), [(0.3,), (1.0,), (-1.0,)], 1e-12),
    "jacobi": (lambda x: S.eval_jacobi(5, 0.5, 1.5, x), lambda x: mp.jacobi(5, 0.5, 1.5, x), (0,), [(0.3,), (-0.9,)], 1e-12),
    "hermite": (lambda x: S.eval_hermite(6, x), lambda x: mp.hermite(6, x), (0,), [(0.3,), (8.0,)], 1e-12),
    "genlaguerre": (lambda x: S.eval_genlaguerre(6, 0.5, x), lambda x: mp.laguerre(6, 0.5, x), (0,), [(0.3,), (8.0,)], 1e-11),
    "pbdv": (lambda x: S.pbdv(1.5, x)[1], lambda x: mp.diff(lambda y: mp.pcfd(1.5, y), x), (0,), [(0.3,), (-2.0,)], 1e-10),
    "gdtr": (S.gdtr, _gamma_cdf, (0, 1, 2), [(2.0, 3.0, 1.2), (1e-3, 0.5, 2.0), (1.0, 2.0, 30.0)], 1e-9),
    "fdtr": (S.fdtr, _f_cdf, (0, 1, 2), [(3.0, 5.0, 1.2), (1.0, 2.0, 1e-4), (6.0, 4.0, 50.0)], 1e-9),
    "bdtr": (lambda p: S.bdtr(3, 8, p), lambda p: mp.fsum(mp.binomial(8, j) * p**j * (1 - p) ** (8 - j) for j in range(4)), (0,), [(0.4,), (1e-4,)], 1e-10),
    "nbdtr": (lambda p: S.nbdtr(3, 5, p), lambda p: mp.fsum(mp.binomial(4 + j, j) * p**5 * (1 - p) ** j for j in range(4)), (0,), [(0.4,), (1e-4,)], 1e-10),
    "kolmogorov": (S.kolmogorov, _kolmogorov, (0,), [(0.3,), (0.79,), (0.81,), (2.5,)], 1e-11),
    "chndtr": (lambda x, c: S.chndtr(x, 3.0, c), lambda x, c: _chndtr(x, 3.0, c), (0, 1), [(2.0, 1.5), (9.0, 4.0)], 1e-10),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_against_mpmath(name):
    f, exact, places, points, tol = ROWS[name]
    for point in points:
        got = ad.grad(f, argnums=places)(*point)
        with mp.workdps(40):
            at = tuple(map(mp.mpf, point))
            for i, g in zip(places, got, strict=True):
                order = tuple(int(k == i) for k in range(len(at)))
                want = float(mp.re(mp.diff(exact, at, order, relative=True)))
                assert g == pytest.approx(want, rel=tol, abs=1e-250), (point, i)


INVERSES = {  # the inverse, its place in the function, the function: differentiated, their product is 1
    "chdtri": (lambda p: S.chdtri(3.0, p), lambda x: S.chdtrc(3.0, x), 0.4),
    "gdtrix": (lambda p: S.gdtrix(2.0, 3.0, p), lambda x: S.gdtr(2.0, 3.0, x), 0.4),
    "gdtria": (lambda p: S.gdtria(p, 3.0, 1.2), lambda a: S.gdtr(a, 3.0, 1.2), 0.4),
    "gdtrib": (lambda p: S.gdtrib(2.0, p, 1.2), lambda b: S.gdtr(2.0, b, 1.2), 0.4),
    "fdtri": (lambda p: S.fdtri(2.0, 3.0, p), lambda x: S.fdtr(2.0, 3.0, x), 0.4),
    "fdtridfd": (lambda p: S.fdtridfd(2.0, p, 0.9), lambda n: S.fdtr(2.0, n, 0.9), 0.51),
    "btdtria": (lambda p: S.btdtria(p, 2.0, 0.3), lambda a: S.betainc(a, 2.0, 0.3), 0.4),
    "btdtrib": (lambda p: S.btdtrib(2.0, p, 0.3), lambda b: S.betainc(2.0, b, 0.3), 0.4),
    "bdtri": (lambda y: S.bdtri(3, 8, y), lambda p: S.bdtr(3, 8, p), 0.4),
    "nbdtri": (lambda y: S.nbdtri(3, 8, y), lambda p: S.nbdtr(3, 8, p), 0.4),
    "pdtri": (lambda y: S.pdtri(2, y), lambda m: S.pdtr(2, m), 0.4),
    "pdtrik": (lambda p: S.pdtrik(p, 3.0), lambda k: S.gammaincc(k + 1, 3.0), 0.5),
    "bdtrik": (lambda y: S.bdtrik(y, 8.0, 0.4), lambda k: S.betainc(8.0 - k, k + 1, 0.6), 0.5),
    "nbdtrin": (lambda y: S.nbdtrin(3.0, y, 0.4), lambda n: S.betainc(n, 4.0, 0.4), 0.5),
    "kolmogi": (S.kolmogi, S.kolmogorov, 0.3),
    "chndtrix": (lambda p: S.chndtrix(p, 3.0, 1.0), lambda x: S.chndtr(x, 3.0, 1.0), 0.4),
    "nrdtrisd": (lambda p: S.nrdtrisd(0.0, p, 1.0), lambda s: S.ndtr(1.0 / s), 0.7),
}


@pytest.mark.parametrize("name", INVERSES)
def test_inverses(name):
    inverse, f, p = INVERSES[name]
    y, slope = ad.value_and_grad(inverse)(p)
    assert f(y) == pytest.approx(p, rel=1e-9)
    assert slope * ad.grad(f)(float(y)) == pytest.approx(1.0, rel=1e-8)


def test_at_zero_degree_and_at_the_origin():
    for f in (S.eval_chebyt, S.eval_legendre, S.eval_hermite, S.eval_hermitenorm, S.eval_laguerre):
        assert ad.grad(lambda x, f=f: f(0, x))(0.3) == 0.0
    degrees = np.arange(4)
    assert np.allclose(
        ad.grad(lambda x: S.eval_legendre(degrees, x).sum())(0.5), 0 + 1 + 3 * 0.5 + 1.5 * (5 * 0.25 - 1)
    )
    assert ad.grad(S.beip)(0.0) == 0.5
    assert ad.grad(lambda x: S.chndtr(x, 3.0, 0.0))(2.0) == ad.grad(lambda x: S.chdtr(3.0, x))(2.0)


@pytest.mark.parametrize(
    "f, says",
    [
        (S.zetac, "no closed form"),
        (lambda x: S.zeta(x), "no closed form"),
        (lambda x: S.nctdtr(3.0, x, 1.0), "infinite series"),
        (lambda x: S.smirnov(3, x), "kinks"),
        (lambda x: S.mathieu_a(2, x), "argument q"),
        (lambda x: S.pro_cv(1, 2, x), "argument c"),
        (lambda x: S.pro_rad2(1, 2, 1.0, x)[0], "few digits"),
        (lambda x: S.struve(x, 1.0), "argument v"),
        (lambda x: S.bdtrc(x, 5, 0.5), "whole number"),
    ],
)
def test_refused(f, says):
    with pytest.raises(MissingRuleError, match=says):
        ad.grad(f)(1.5)


def test_inside_compiled_code():
    f = lambda x: S.airy(x)[0] * S.eval_legendre(3, x) + S.ellipkinc(x, 0.3) + S.sici(x)[0]
    assert ad.jit(ad.grad(f))(0.6) == pytest.approx(ad.grad(f)(0.6), rel=1e-13)
    assert np.allclose(ad.vmap(ad.grad(f))(np.array([0.2, 0.6])), [ad.grad(f)(0.2), ad.grad(f)(0.6)])
