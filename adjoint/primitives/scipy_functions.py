"""More of SciPy's special functions: elliptic, Airy, Kelvin, Struve, integrals of them, orthogonal polynomials, and functions
given with their derivative by a differential equation. Loaded with `scipy_special`.

Formulas: NIST Digital Library of Mathematical Functions (dlmf.nist.gov), whose numbers are given.
"""

import math

import numpy as np

from ..core.errors import MissingRuleError
from ..core.errors import where as at
from ..core.tensor import REFUSED
from ..core.types import typeof
from .incomplete import _evaluate, _half_line
from .kinds import elementwise, implements, nondiff
from .scipy_rows import S, complex_row, row, samples, several, unknown, weak

_PI = math.pi
_ROOT_PI = math.sqrt(_PI)
_ROOT_TWO = math.sqrt(2)


def _row(name, *partials, at=None, narrow=False):
    globals()[name] = row(name, *partials, at=at, narrow=narrow)


def _several(name, *slopes, **how):
    globals()[name] = several(name, *slopes, **how)


# Elliptic integrals in Carlson's symmetric form (19.16, 19.18.1) and in Legendre's by them (19.25.5, 19.25.9): no differences,
# so no cancellation at m = 0.


def _carlson(x, y, z, p, a, b, c, d):
    a, b, c, d = (int(np.asarray(v).flat[0]) / 2 for v in (a, b, c, d))

    def integral(x, y, z, p):
        unit = np.maximum(np.maximum(x, y), np.maximum(z, p if d else 0))
        rows = [(v / unit, -e) for v, e in ((x, a), (y, b), (z, c), (p, d)) if e]
        return unit ** (1 - a - b - c - d) * _half_line(
            lambda t: math.prod((t + v) ** e for v, e in rows), np.ones_like(x)
        )

    def proper(*row):
        return np.logical_and.reduce([(v > 0) | ((v == 0) & (e < 1)) for v, e in zip(row, (a, b, c, d), strict=True)])

    return _evaluate((x, y, z, p), integral, proper, lambda *row: np.zeros(row[0].shape, bool))


carlson = elementwise(
    "carlson_integral",
    _carlson,
    lambda _v, x, y, z, p, a, b, c, d: -a / 2 * carlson(x, y, z, p, a + 2, b, c, d),
    lambda _v, x, y, z, p, a, b, c, d: -b / 2 * carlson(x, y, z, p, a, b + 2, c, d),
    lambda _v, x, y, z, p, a, b, c, d: -c / 2 * carlson(x, y, z, p, a, b, c + 2, d),
    lambda _v, x, y, z, p, a, b, c, d: -d / 2 * carlson(x, y, z, p, a, b, c, d + 2),
    *(None,) * 4,
    sample=lambda rng: [((*(rng.uniform(0.3, 2, s) for _ in range(4)), 3, 1, 1, 2), {}) for s in ((3,), (2, 3))],
)
carlson.__doc__ = (
    "The integral of (t+x)^(-a/2) (t+y)^(-b/2) (t+z)^(-c/2) (t+p)^(-d/2) over t > 0, by the exp-sinh rule of `incomplete`: "
    "what Carlson's integrals become when they are differentiated twice."
)


def _real(name, x):
    # SciPy has no complex derivative functions to compose these of
    if typeof(x).dtype.kind == "c":
        raise MissingRuleError(f"scipy.special.{name} has no rule for complex numbers{at()}")
    return x


def _rc_by_y(v, x, y):
    # for y < 0, the principal value, from the other partial (19.18.11: homogeneous of degree -1/2)
    positive = np.greater(y, 0)
    z = np.where(positive, y, 1)
    by_x = (v - 1 / np.sqrt(x)) / (2 * np.where(positive, 1, y - x))
    return np.where(positive, -S.elliprd(x, z, z) / 3, -(v / 2 + x * by_x) / np.where(positive, 1, y))


def _rc_by_x(v, x, y):
    positive = np.greater(y, 0)
    z = np.where(positive, y, 1)
    return np.where(positive, -S.elliprd(z, z, x) / 6, (v - 1 / np.sqrt(x)) / (2 * np.where(positive, 1, y - x)))


_row(
    "elliprc", lambda v, x, y: _rc_by_x(v, _real("elliprc", x), y), lambda v, x, y: _rc_by_y(v, _real("elliprc", x), y)
)
_row("elliprf", lambda _v, x, y, z: -S.elliprd(y, z, _real("elliprf", x)) / 6,
     lambda _v, x, y, z: -S.elliprd(x, z, _real("elliprf", y)) / 6,
     lambda _v, x, y, z: -S.elliprd(x, y, _real("elliprf", z)) / 6)  # fmt: skip
_row("elliprd", lambda _v, x, y, z: -0.75 * carlson(_real("elliprd", x), y, z, 1.0, 3, 1, 3, 0),
     lambda _v, x, y, z: -0.75 * carlson(x, _real("elliprd", y), z, 1.0, 1, 3, 3, 0),
     lambda _v, x, y, z: -2.25 * carlson(x, y, _real("elliprd", z), 1.0, 1, 1, 5, 0))  # fmt: skip
_row("elliprg", lambda _v, x, y, z: 0.25 * (S.elliprf(x, y, z) - _real("elliprg", x) * S.elliprd(y, z, x) / 3),
     lambda _v, x, y, z: 0.25 * (S.elliprf(x, y, z) - _real("elliprg", y) * S.elliprd(x, z, y) / 3),
     lambda _v, x, y, z: 0.25 * (S.elliprf(x, y, z) - _real("elliprg", z) * S.elliprd(x, y, z) / 3))  # fmt: skip
_row("elliprj", lambda _v, x, y, z, p: -0.75 * carlson(_real("elliprj", x), y, z, p, 3, 1, 1, 2),
     lambda _v, x, y, z, p: -0.75 * carlson(x, _real("elliprj", y), z, p, 1, 3, 1, 2),
     lambda _v, x, y, z, p: -0.75 * carlson(x, y, _real("elliprj", z), p, 1, 1, 3, 2),
     lambda _v, x, y, z, p: -1.5 * carlson(x, y, z, _real("elliprj", p), 1, 1, 1, 4))  # fmt: skip


def _agm_by(m, a, b):
    # 1/M(a, b) = 2/pi RF(0, a^2, b^2) (19.22.1)
    return 2 / (3 * _PI) * m * m * np.abs(a) * S.elliprd(0.0, b * b, a * a)


_row("agm", _agm_by, lambda m, a, b: _agm_by(m, b, a))


def _turns(p):
    # the amplitude is a whole number of half turns and a rest in [-pi/2, pi/2]
    n = np.round(p / _PI)
    return n, p - n * _PI


def _f_by_m(p, m):
    # half the integral of sin^2 / (1 - m sin^2)^(3/2)
    n, rest = _turns(p)
    s, c = np.sin(rest), np.cos(rest)
    whole = S.elliprd(0.0, 1.0, 1 - m) / 3 * n
    return whole + s**3 * S.elliprd(c * c, 1.0, 1 - m * s * s) / 6


def _e_by_m(p, m):
    # minus half the integral of sin^2 / sqrt(1 - m sin^2)
    n, rest = _turns(p)
    s, c = np.sin(rest), np.cos(rest)
    return -(S.elliprd(0.0, 1 - m, 1.0) / 3 * n) - s**3 * S.elliprd(c * c, 1 - m * s * s, 1.0) / 6


def _ellip_root(p, m):
    return np.sqrt(1 - m * np.square(np.sin(p)))


_row("ellipkinc", lambda _y, p, m: 1 / _ellip_root(p, m), lambda _y, p, m: _f_by_m(p, m), at=((0.1, 4), (-0.5, 0.9)))
_row("ellipeinc", lambda _y, p, m: _ellip_root(p, m), lambda _y, p, m: _e_by_m(p, m), at=((0.1, 4), (-0.5, 0.9)))


# Jacobi's functions are made of the amplitude (22.16.1), whose derivative in m follows from F(ph, m) = u


_amplitude = weak(lambda u, m: S.ellipj(u, m)[3])


amplitude = elementwise(
    "jacobi_amplitude",
    _amplitude,
    lambda p, _u, m: _ellip_root(p, m),
    lambda p, _u, m: -_ellip_root(p, m) * _f_by_m(p, m),
    sample=samples((0.1, 4), (0.1, 0.9)),
)


@implements(S.ellipj)
def ellipj(u, m):
    """Jacobi's elliptic functions sn, cn, dn and the amplitude. As `scipy.special.ellipj`."""
    p = amplitude(u, m)
    return np.sin(p), np.cos(p), _ellip_root(p, m), p


# Airy functions (9.2.1), and those scaled by exp(2/3 x^(3/2))


def _root(x):
    return np.sqrt(np.where(np.greater(x, 0), x, 0))


_several(
    "airy", lambda y, x: y[1], lambda y, x: x * y[0], lambda y, x: y[3], lambda y, x: x * y[2], at=(-3, 2), real=False
)
_several(
    "airye",
    lambda y, x: y[1] + _root(x) * y[0],
    lambda y, x: x * y[0] + _root(x) * y[1],
    lambda y, x: y[3] - _root(x) * y[2],
    lambda y, x: x * y[2] - _root(x) * y[3],
)
_several("itairy", lambda y, x: S.airy(x)[0], lambda y, x: S.airy(x)[2], lambda y, x: S.airy(-x)[0],
         lambda y, x: S.airy(-x)[2])  # fmt: skip

# Kelvin functions (10.61): ber + i bei is a solution w of w'' = i w - w' / x. At 0 the quotients have limits.


def _over(y, x, limit):
    zero = np.equal(x, 0)
    return np.where(zero, limit, y / np.where(zero, 1, x))


_row("ber", lambda _y, x: S.berp(x), at=((-3, 3),))
_row("bei", lambda _y, x: S.beip(x), at=((-3, 3),))
_row("ker", lambda _y, x: S.kerp(x))
_row("kei", lambda _y, x: S.keip(x))
_row("berp", lambda y, x: -S.bei(x) - _over(y, x, 0), at=((-3, 3),))
_row("beip", lambda y, x: S.ber(x) - _over(y, x, 0.5), at=((-3, 3),))
_row("kerp", lambda y, x: -S.kei(x) - y / x)
_row("keip", lambda y, x: S.ker(x) - y / x)
_several("kelvin", lambda y, x: y[2], lambda y, x: y[3], lambda y, x: 1j * y[0] - _over(y[2], x, 0.5j),
         lambda y, x: 1j * y[1] - y[3] / x)  # fmt: skip

# Struve functions (11.4.25, 11.4.27), scaled Bessel functions (10.6.1), integrals of Bessel and Struve functions


def _between(v, x):
    return (x / 2) ** v * S.rgamma(v + 1.5) / _ROOT_PI


_row("struve", unknown("struve", "v", 2), lambda _y, v, x: 0.5 * (S.struve(v - 1, x) - S.struve(v + 1, x) + _between(v, x)),
     at=(1, (0.3, 4)))  # fmt: skip
_row("modstruve", unknown("modstruve", "v", 2),
     lambda _y, v, x: 0.5 * (S.modstruve(v - 1, x) + S.modstruve(v + 1, x) + _between(v, x)), at=(1, (0.3, 4)))  # fmt: skip
_row("itstruve0", lambda _y, x: S.struve(0, x))
_row("itmodstruve0", lambda _y, x: S.modstruve(0, x))
_row("it2struve0", lambda _y, x: -S.struve(0, x) / x)
_row(
    "jve",
    unknown("jve", "v", 2),
    lambda _y, v, x: 0.5 * (S.jve(v - 1, _real("jve", x)) - S.jve(v + 1, x)),
    at=(2, (0.3, 4)),
)
_row(
    "yve",
    unknown("yve", "v", 2),
    lambda _y, v, x: 0.5 * (S.yve(v - 1, _real("yve", x)) - S.yve(v + 1, x)),
    at=(2, (0.3, 4)),
)
hankel1e = complex_row("hankel1e", lambda y, v, x: 0.5 * (S.hankel1e(v - 1, x) - S.hankel1e(v + 1, x)) - 1j * y, 2)
hankel2e = complex_row("hankel2e", lambda y, v, x: 0.5 * (S.hankel2e(v - 1, x) - S.hankel2e(v + 1, x)) + 1j * y, 2)


def _one_less(x, sign):
    # (1 - J0(x)) / x, and (I0(x) - 1) / x with sign 1: by their series (10.2.2, 10.25.2) where the difference cancels
    close = np.abs(x) < 1
    q = np.square(np.where(close, x, 0) / 2)
    total = 0.0
    for k in range(10, 0, -1):
        total = (1 + sign * total) * q / (k * k)
    far = np.where(close, 1, x)
    value = S.i0(far) - 1 if sign > 0 else 1 - S.j0(far)
    return np.where(close, total / np.where(np.equal(x, 0), 1, np.where(close, x, 1)), value / far)


_several("itj0y0", lambda y, x: S.j0(x), lambda y, x: S.y0(x))
_several("iti0k0", lambda y, x: S.i0(x), lambda y, x: S.k0(x))
_several("it2j0y0", lambda y, x: _one_less(x, -1), lambda y, x: -S.y0(x) / x)
_several("it2i0k0", lambda y, x: _one_less(x, 1), lambda y, x: -S.k0(x) / x)
_row("besselpoly", lambda y, a, p, v: (S.jv(v, 2 * a) - (p + 1) * y) / a, unknown("besselpoly", "lmb", 3),
     unknown("besselpoly", "nu", 3), at=((0.3, 2), 1, 2))  # fmt: skip

# Sine, cosine and Fresnel integrals (6.2, 7.2)


def _sinhc(x):
    # sinh(x) / x
    zero = np.equal(x, 0)
    return np.where(zero, 1, np.sinh(x) / np.where(zero, 1, x))


def _angle(x):
    return 0.5 * _PI * x * x


_several("sici", lambda y, x: np.sinc(x / _PI), lambda y, x: np.cos(x) / x, real=False)
_several("shichi", lambda y, x: _sinhc(x), lambda y, x: np.cosh(x) / x, real=False)
_several("fresnel", lambda y, x: np.sin(_angle(x)), lambda y, x: np.cos(_angle(x)), at=(-2, 2), real=False)
for _name, _i in {"modfresnelp": 1j, "modfresnelm": -1j}.items():
    _several(_name, lambda y, x, i=_i: -np.exp(i * x * x),
             lambda y, x, i=_i: -2 * i * x * y[1] - np.exp(-i * _PI / 4) / _ROOT_PI, at=(0.3, 2))  # fmt: skip

# Zeta functions: of Hurwitz' in q (25.11.17). Riemann's has no closed derivative.

hurwitz_zeta = row(
    "hurwitz_zeta", unknown("zeta", "x", 2), lambda _y, s, q: -s * S._zeta(s + 1, q), at=(3, (0.3, 3)), f=S._zeta
)


@implements(S.zeta)
def zeta(x, q=None, out=None):
    """The zeta functions of Riemann (q=None) and Hurwitz, differentiable in q. As `scipy.special.zeta`."""
    return S._riemann_zeta(x) if q is None else hurwitz_zeta(x, q)


# Wright's Bessel function, a power series in x over Gamma(a k + b) (10.46.1), and the Voigt profile, the real part of w(z) (7.19)

_row("wright_bessel", unknown("wright_bessel", "a", 3), unknown("wright_bessel", "b", 3),
     lambda _y, a, b, x: S.wright_bessel(a, a + b, x), at=(1, 2, (0.3, 2)))  # fmt: skip
_row("log_wright_bessel", unknown("log_wright_bessel", "a", 3), unknown("log_wright_bessel", "b", 3),
     lambda y, a, b, x: np.exp(S.log_wright_bessel(a, a + b, x) - y), at=(1, 2, (0.3, 2)))  # fmt: skip


def _voigt(x, sigma, gamma):
    """w'(z) / (sigma sqrt(2 pi)), and z = (x + i gamma) / (sigma sqrt 2)."""
    z = (x + 1j * gamma) / (sigma * _ROOT_TWO)
    return faddeeva_slope(z) / (sigma * _ROOT_TWO * _ROOT_PI), z


def faddeeva_slope(z):
    """w'(z) = 2i/sqrt(pi) - 2 z w(z) in the upper half-plane; far out, where that cancels, by the asymptotic series (7.12.1)."""
    far = np.abs(z) > 8
    near = 2j / _ROOT_PI - 2 * z * S.wofz(np.where(far, 1j, z))
    q = 0.5 / np.square(np.where(far, z, 8))
    total = 1.0
    for k in range(20, 0, -1):  # 1 + 3 q (1 + 5 q (1 + ...)): (2k+1)!! q^k
        total = 1 + (2 * k + 1) * q * total
    return np.where(far, -2j / _ROOT_PI * q * total, near)


_row("voigt_profile", lambda _y, x, s, g: np.real(_voigt(x, s, g)[0]) / (s * _ROOT_TWO),
     lambda y, x, s, g: -(y + np.real(math.prod(_voigt(x, s, g)))) / s,
     lambda _y, x, s, g: -np.imag(_voigt(x, s, g)[0]) / (s * _ROOT_TWO))  # fmt: skip

# Orthogonal polynomials (18.9.15, 18.9.21-27): derivatives are polynomials of one degree less


def _polynomial(name, slope, *parameters, at=(3, 1, 2)):
    """Of degree n, parameters and x. slope(n, *parameters, x) is asked for n > 0 only."""

    def by_x(_y, n, *rest):
        if type(n) is int:
            return slope(n, *rest) if n else 0 * rest[-1]
        constant = np.equal(n, 0)
        return np.where(constant, 0, slope(np.where(constant, 1, n), *rest))

    arity = 2 + len(parameters)
    by = {
        2: lambda y, n, x: by_x(y, n, x),
        3: lambda y, n, a, x: by_x(y, n, a, x),
        4: lambda y, n, a, b, x: by_x(y, n, a, b, x),
    }
    names = ("n", *parameters)
    _row(
        name,
        *(unknown(name, a, arity) for a in names),
        by[arity],
        at=at[: arity - 1] + ((-0.9, 0.9),),
        narrow=True,
    )


_polynomial("eval_chebyt", lambda n, x: n * S.eval_chebyu(n - 1, x))
_polynomial("eval_chebyu", lambda n, x: 2 * S.eval_gegenbauer(n - 1, 2, x))
_polynomial("eval_chebyc", lambda n, x: n * S.eval_chebyu(n - 1, x / 2))
_polynomial("eval_chebys", lambda n, x: S.eval_gegenbauer(n - 1, 2, x / 2))
_polynomial("eval_sh_chebyt", lambda n, x: 2 * n * S.eval_sh_chebyu(n - 1, x))
_polynomial("eval_sh_chebyu", lambda n, x: 4 * S.eval_gegenbauer(n - 1, 2, 2 * x - 1))
_polynomial("eval_legendre", lambda n, x: S.eval_gegenbauer(n - 1, 1.5, x))
_polynomial("eval_sh_legendre", lambda n, x: 2 * S.eval_gegenbauer(n - 1, 1.5, 2 * x - 1))
_polynomial("eval_hermite", lambda n, x: 2 * n * S.eval_hermite(n - 1, x))
_polynomial("eval_hermitenorm", lambda n, x: n * S.eval_hermitenorm(n - 1, x))
_polynomial("eval_laguerre", lambda n, x: -S.eval_genlaguerre(n - 1, 1, x))
_polynomial("eval_genlaguerre", lambda n, a, x: -S.eval_genlaguerre(n - 1, a + 1, x), "alpha")
_polynomial("eval_gegenbauer", lambda n, a, x: 2 * a * S.eval_gegenbauer(n - 1, a + 1, x), "alpha")
_polynomial(
    "eval_jacobi", lambda n, a, b, x: 0.5 * (n + a + b + 1) * S.eval_jacobi(n - 1, a + 1, b + 1, x), "alpha", "beta"
)
_polynomial("eval_sh_jacobi", lambda n, p, q, x: n * S.eval_sh_jacobi(n - 1, p + 2, q + 1, x), "p", "q", at=(3, 3, 2))
_row("lpmv", unknown("lpmv", "m", 3), unknown("lpmv", "v", 3),
     lambda y, m, v, x: (v * x * y - (v + m) * S.lpmv(m, v - 1, x)) / (x * x - 1), at=(1, 3, (-0.8, 0.8)))  # fmt: skip

# Characteristic values: ops, since the equations below read them in captured code too, but without a closed derivative

for _name, _arguments in {"mathieu_a": "mq", "mathieu_b": "mq", "pro_cv": "mnc", "obl_cv": "mnc"}.items():
    _row(_name, *(unknown(_name, a, len(_arguments)) for a in _arguments))
    globals()[_name].op.sample = None  # there is no derivative that the laws could test


# Solutions of a differential equation of second order, given with their derivative: it says the second one.
# Parabolic cylinder functions (12.2.2, 12.14.1), Mathieu's (28.2.1, 28.20.1), spheroidal wave functions (30.2.1)


def _equation(name, second, order, at=(0.3, 2.0), scale=1.0, wide=False):
    """second(y, slope, *args): the second derivative in the variable, which is `scale` times the argument."""
    slopes = (lambda y, *args: y[1] * scale, lambda y, *args: second(*y, *args) * scale)
    _several(name, *slopes, order=order, at=at, wide=wide)


_equation("pbdv", lambda y, _p, v, x: (x * x / 4 - v - 0.5) * y, (1,), (-2, 2), wide=True)
_equation("pbvv", lambda y, _p, v, x: (x * x / 4 - v - 0.5) * y, (1,), (-2, 2), wide=True)
_equation("pbwa", lambda y, _p, a, x: (a - x * x / 4) * y, (1,), (-2, 2), wide=True)
_DEGREE = _PI / 180


def _mathieu(name, value):
    _equation(
        f"mathieu_{name}",
        lambda y, _p, m, q, x: (2 * q * np.cos(2 * _DEGREE * x) - value(m, q)) * y,
        (2, 1),
        (20, 70),
        _DEGREE,
        wide=True,
    )
    for kind in "12":
        _equation(
            f"mathieu_mod{name}{kind}",
            lambda y, _p, m, q, x: (value(m, q) - 2 * q * np.cosh(2 * x)) * y,
            (2, 1),
            (0.3, 1),
            wide=True,
        )


_mathieu("cem", S.mathieu_a)
_mathieu("sem", S.mathieu_b)


def _pro(y, p, m, n, c, value, x):
    return (2 * x * p - (value - c * c * x * x - m * m / (1 - x * x)) * y) / (1 - x * x)


def _obl(y, p, m, n, c, value, x):
    return (2 * x * p - (value + c * c * x * x - m * m / (1 - x * x)) * y) / (1 - x * x)


def _obl_radial(y, p, m, n, c, value, x):
    return ((value - c * c * x * x - m * m / (1 + x * x)) * y - 2 * x * p) / (1 + x * x)


for _name, _second, _value, _at in (
    ("pro_ang1", _pro, S.pro_cv, (-0.7, 0.7)),
    ("pro_rad1", _pro, S.pro_cv, (1.3, 2.0)),
    ("obl_ang1", _obl, S.obl_cv, (-0.7, 0.7)),
    ("obl_rad1", _obl_radial, S.obl_cv, (0.3, 2.0)),
):
    _equation(
        _name,
        lambda y, p, m, n, c, x, second=_second, value=_value: second(y, p, m, n, c, value(m, n, c), x),
        (1, 2, 1),
        _at,
        wide=True,
    )

# Without derivative by nature, linear, or refused

round = nondiff("special_round", S.round, ufunc=S.round, sample=samples((-2.5, 2.5)))
_row("radian", _DEGREE, _DEGREE / 60, _DEGREE / 3600)

for _name in ("pro_rad2", "pro_rad2_cv", "obl_rad2", "obl_rad2_cv"):
    REFUSED[getattr(S, _name)] = "SciPy gives its values to a few digits only, and its slopes to fewer"
for _name in ("pro_ang1", "pro_rad1", "obl_ang1", "obl_rad1"):
    REFUSED[getattr(S, f"{_name}_cv")] = f"use {_name}, which finds the characteristic value itself"
REFUSED[S.zetac] = REFUSED[S._riemann_zeta] = "the derivative of Riemann's zeta function has no closed form"
