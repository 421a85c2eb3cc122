"""SciPy's special functions. Loaded when the first of them meets a tensor, so SciPy itself is imported by the user.

Derivatives are written from other functions of the table, so that second derivatives follow, and so that they are as
accurate as the function in its tails. Formulas: NIST Digital Library of Mathematical Functions (dlmf.nist.gov), whose
numbers are given. Where an argument has no known derivative, asking for it is an error.
"""

import math

import numpy as np

from ..core.errors import MissingRuleError
from ..core.errors import where as at
from ..core.types import typeof
from . import elementary, special
from .activation import sigmoid
from .incomplete import betainc_shape, gammainc_shape, psi_step
from .kinds import elementwise, implements, nondiff
from .scipy_rows import S, complex_row, row, samples, unknown

_PI = math.pi
_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
_ROOT_TWO = math.sqrt(2)
_ROOT_TWO_PI = math.sqrt(2 * math.pi)


def _row(name, *partials, at=None):
    globals()[name] = row(name, *partials, at=at)


def _complex_row(name, slope, *order):
    globals()[name] = complex_row(name, slope, *order)


# What NumPy, or we, have under another name

for _name, _ours in {
    "expm1": elementary.expm1, "log1p": elementary.log1p, "exp2": elementary.exp2, "cbrt": elementary.cbrt,
    "expit": sigmoid, "log_expit": special.log_sigmoid, "logit": special.logit, "xlogy": special.xlogy,
    "xlog1py": special.xlog1py, "i0": special.i0,
}.items():  # fmt: skip
    implements(getattr(S, _name))(_ours)

# The error function (7.2) and the normal distribution

_row("erf", lambda _y, x: _TWO_OVER_ROOT_PI * np.exp(-x * x), at=((-2, 2),))
_row("erfc", lambda _y, x: -_TWO_OVER_ROOT_PI * np.exp(-x * x), at=((-2, 6),))
_row("erfi", lambda _y, x: _TWO_OVER_ROOT_PI * np.exp(x * x), at=((-2, 2),))
_row("erfinv", lambda y, _x: np.exp(y * y) / _TWO_OVER_ROOT_PI, at=((-0.9, 0.9),))
_row("erfcinv", lambda y, _x: -np.exp(y * y) / _TWO_OVER_ROOT_PI, at=((0.1, 1.9),))


def _dawsn_tail(x):
    # (1 + 3 z + 15 z^2 + 105 z^3 ...) z, z = 1 / (2 x^2): asymptotic, exact to rounding from x = 10 on
    z = 0.5 / np.square(np.where(np.abs(x) > 10, x, 10.0))
    y = 1.0
    for m in range(31, 1, -2):
        y = 1 + m * z * y
    return y * z


def _erfcx_slope(y, x):
    # 2 x y - 2 / sqrt(pi), which cancels to the right of 2.5. There it is -2 e^(x^2) times the first repeated integral of
    # erfc (7.18.9), whose ratio to erfc is a continued fraction of positive terms, by the recurrence 7.18.7.
    far = x > 2.5
    z = np.where(far, x, 2.5)
    ratio = 0.0
    for n in range(41, 1, -1):
        ratio = 1 / (2 * z + 2 * n * ratio)
    return np.where(far, -2 * y * ratio, 2 * x * y - _TWO_OVER_ROOT_PI)


# Far out 1 - 2 x y cancels; there the asymptotic series is differentiated instead (7.12.1).
_row("erfcx", _erfcx_slope, at=((-1, 20),))
_row("dawsn", lambda y, x: np.where(np.abs(x) > 10, -_dawsn_tail(x), 1 - 2 * x * y), at=((-20, 20),))
_complex_row("wofz", lambda y, z: _TWO_OVER_ROOT_PI * 1j - 2 * z * y)

_row("ndtr", lambda _y, x: np.exp(-0.5 * x * x) / _ROOT_TWO_PI, at=((-3, 3),))
_row("ndtri", lambda y, _p: _ROOT_TWO_PI * np.exp(0.5 * y * y), at=((0.1, 0.9),))


def _hazard(x):
    # density over distribution: for negative x by erfcx, where both would underflow
    below = (2 / _ROOT_TWO_PI) / S.erfcx(np.minimum(x, 0) * (-1 / _ROOT_TWO))
    above = np.maximum(x, 0)
    return np.where(x > 0, np.exp(-0.5 * above * above) / (_ROOT_TWO_PI * S.ndtr(above)), below)


_row("log_ndtr", lambda _y, x: _hazard(x), at=((-20, 3),))
_row("ndtri_exp", lambda y, _x: 1 / _hazard(y), at=((-9, -0.1),))


def _owens_t_by_a(_y, h, a):
    b = 1 + a * a
    return np.exp(-0.5 * h * h * b) / (2 * _PI * b)


_row("owens_t", lambda _y, h, a: -np.exp(-0.5 * h * h) * S.erf(a * h / _ROOT_TWO) / (2 * _ROOT_TWO_PI), _owens_t_by_a)

# Gamma and beta (5.2, 5.9, 5.12)


def _polygamma(n, x):
    return S.polygamma(n, x).astype(np.result_type(np.asarray(x).dtype, np.float32), copy=False)[()]


polygamma = elementwise(
    "polygamma", _polygamma, None, lambda _y, n, x: polygamma(n + 1, x), sample=samples(1, (0.3, 3))
)
implements(S.polygamma)(polygamma)
_row("psi", lambda _y, x: polygamma(1, x))
_row("gammaln", lambda _y, x: S.psi(x))
_row("loggamma", lambda _y, x: S.psi(x))
_row("gamma", lambda y, x: y * S.psi(x))
gammasgn = nondiff("gammasgn", S.gammasgn, sample=samples((-2.5, 2.5)))


def _rgamma_slope(y, x):
    # at the zeros 0, -1, -2 .. the derivative is (-1)^n n!
    pole = np.less_equal(x, 0) & np.equal(x, np.floor(x))
    n = np.where(pole, -x, 0)
    flat = np.where(n % 2 == 0, 1, -1) * S.gamma(n + 1)
    return np.where(pole, flat, -y * S.psi(np.where(pole, 1, x)))


_row("rgamma", _rgamma_slope)
_row("poch", lambda y, z, m: y * (S.psi(z + m) - S.psi(z)), lambda y, z, m: y * S.psi(z + m))


def _psi_less(a, b):
    # psi(a) - psi(a + b), which cancels for large a
    positive = np.greater(a, 0) & np.greater(a + b, 0)
    return np.where(
        positive, -psi_step(np.where(positive, a, 1.0), np.where(positive, b, 1.0)), S.psi(a) - S.psi(a + b)
    )


_row("beta", lambda y, a, b: y * _psi_less(a, b), lambda y, a, b: y * _psi_less(b, a))
_row("betaln", lambda _y, a, b: _psi_less(a, b), lambda _y, a, b: _psi_less(b, a))
_row("binom", lambda y, n, k: y * (S.psi(n + 1) - S.psi(n - k + 1)),
     lambda y, n, k: y * (S.psi(n - k + 1) - S.psi(k + 1)), at=((2.1, 4), (0.3, 1.9)))  # fmt: skip

# Incomplete gamma and beta (8.8.13, 8.17.20), and the distributions made of them; in their shapes: see `incomplete`


def _gamma_density(a, x):
    return np.exp(S.xlogy(a - 1, x) - x - S.gammaln(a))


def _beta_density(a, b, x):
    return np.exp(S.xlogy(a - 1, x) + S.xlog1py(b - 1, -x) - S.betaln(a, b))


def _shape_of_inverse(y, a):
    # P(a, y) stays the same
    return -gammainc_shape(a, y, 1) / _gamma_density(a, y)


_SHAPES = (0.5, 4)
_row(
    "gammainc", lambda _y, a, x: gammainc_shape(a, x, 1), lambda _y, a, x: _gamma_density(a, x), at=(_SHAPES, (0.3, 4))
)
_row(
    "gammaincc",
    lambda _y, a, x: -gammainc_shape(a, x, 1),
    lambda _y, a, x: -_gamma_density(a, x),
    at=(_SHAPES, (0.3, 4)),
)
_row("gammaincinv", lambda y, a, _p: _shape_of_inverse(y, a), lambda y, a, _p: 1 / _gamma_density(a, y),
     at=(_SHAPES, (0.1, 0.9)))  # fmt: skip
_row("gammainccinv", lambda y, a, _p: _shape_of_inverse(y, a), lambda y, a, _p: -1 / _gamma_density(a, y),
     at=(_SHAPES, (0.1, 0.9)))  # fmt: skip


def _betainc(name, sign):
    _row(name, lambda _y, a, b, x: sign * betainc_shape(a, b, x, 1, 0), lambda _y, a, b, x: sign * betainc_shape(a, b, x, 0, 1),
         lambda _y, a, b, x: sign * _beta_density(a, b, x), at=(_SHAPES, _SHAPES, (0.1, 0.9)))  # fmt: skip


def _betaincinv(name, sign):
    _row(name, lambda y, a, b, _p: -betainc_shape(a, b, y, 1, 0) / _beta_density(a, b, y),
         lambda y, a, b, _p: -betainc_shape(a, b, y, 0, 1) / _beta_density(a, b, y),
         lambda y, a, b, _p: sign / _beta_density(a, b, y), at=(_SHAPES, _SHAPES, (0.1, 0.9)))  # fmt: skip


_betainc("betainc", 1)
_betainc("betaincc", -1)
_betaincinv("betaincinv", 1)
_betaincinv("betainccinv", -1)


def _chi2_shape(v, x):
    return 0.5 * gammainc_shape(0.5 * v, 0.5 * x, 1)


_row(
    "chdtr",
    lambda _y, v, x: _chi2_shape(v, x),
    lambda _y, v, x: 0.5 * _gamma_density(0.5 * v, 0.5 * x),
    at=((1, 6), (0.3, 4)),
)
_row(
    "chdtrc",
    lambda _y, v, x: -_chi2_shape(v, x),
    lambda _y, v, x: -0.5 * _gamma_density(0.5 * v, 0.5 * x),
    at=((1, 6), (0.3, 4)),
)
_row("pdtr", unknown("pdtr", "k", 2), lambda _y, k, m: -_gamma_density(np.floor(k) + 1, m), at=(2, (0.3, 4)))
_row("pdtrc", unknown("pdtrc", "k", 2), lambda _y, k, m: _gamma_density(np.floor(k) + 1, m), at=(2, (0.3, 4)))


def _student_density(v, t):
    return np.exp(-0.5 * (v + 1) * np.log1p(t * t / v) - S.betaln(0.5, 0.5 * v)) / np.sqrt(v)


def _student_shape(v, t):
    # for t > 0 the distribution is 1 - I_x(v/2, 1/2) / 2 with x = v / (v + t^2); there v acts as a shape, and through x, which
    # is the density times t / (2 v)
    square = np.maximum(t * t, np.finfo(float).tiny)
    by_shape = 0.25 * betainc_shape(0.5 * v, 0.5, v / (v + square), 1, 0)
    return -np.sign(t) * by_shape - 0.5 * t / v * _student_density(v, t)


_row("stdtr", lambda _y, v, t: _student_shape(v, t), lambda _y, v, t: _student_density(v, t), at=((1, 6), (0.2, 2)))
_row("stdtrit", lambda y, v, _p: -_student_shape(v, y) / _student_density(v, y), lambda y, v, _p: 1 / _student_density(v, y),
     at=((1, 6), (0.6, 0.9)))  # fmt: skip

# Entropies and losses


def _log_ratio(x, y):
    # log(x / y) where x / y might over- or underflow
    return np.log(x) - np.log(y)


_row("entr", lambda _y, x: -np.log(x) - 1)
_row("rel_entr", lambda _v, x, y: _log_ratio(x, y) + 1, lambda _v, x, y: -x / y)
_row("kl_div", lambda _v, x, y: _log_ratio(x, y), lambda _v, x, y: 1 - x / y)
_row("huber", lambda _y, d, r: np.maximum(np.abs(r) - d, 0), lambda _y, d, r: np.clip(r, -d, d), at=((0.5, 1), (-3, 3)))


def _pseudo_huber_by_delta(_y, d, r):
    # d (s - 1)^2 / s with s = sqrt(1 + (r / d)^2), and s - 1 = (r / d)^2 / (s + 1)
    u = np.square(r / d)
    s = np.sqrt(1 + u)
    return d * np.square(u / (s + 1)) / s


_row("pseudo_huber", _pseudo_huber_by_delta, lambda _y, d, r: r / np.sqrt(1 + np.square(r / d)), at=((0.5, 1), (-3, 3)))

# Powers: (x^a - 1) / a and its relatives. exprel is hyp1f1(1, 2, x), and hyp1f1(2, 3, x) / 2 its derivative.


def _exprel_slope(x):
    return 0.5 * S.hyp1f1(2, 3, x)


def _boxcox_by_power(log, p):
    return np.square(log) * _exprel_slope(p * log)


_row("exprel", lambda _y, x: _exprel_slope(x), at=((-2, 2),))
_row("exp10", lambda y, _x: y * math.log(10), at=((-2, 2),))
_row("cosm1", lambda _y, x: -np.sin(x), at=((-2, 2),))
_row("powm1", lambda _y, x, p: p * x ** (p - 1), lambda _y, x, p: np.log(x) * x**p)
_row("boxcox", lambda _y, x, p: x ** (p - 1), lambda _y, x, p: _boxcox_by_power(np.log(x), p), at=((0.3, 3), (-1, 1)))
_row("boxcox1p", lambda _y, x, p: np.exp((p - 1) * np.log1p(x)), lambda _y, x, p: _boxcox_by_power(np.log1p(x), p),
     at=((-0.5, 2), (-1, 1)))  # fmt: skip
_row("inv_boxcox", lambda x, _y, p: x ** (1 - p), lambda x, _y, p: -(x ** (1 - p)) * _boxcox_by_power(np.log(x), p),
     at=((-0.4, 0.9), (-1, 1)))  # fmt: skip
_row("inv_boxcox1p", lambda x, _y, p: (1 + x) ** (1 - p),
     lambda x, _y, p: -((1 + x) ** (1 - p)) * _boxcox_by_power(np.log1p(x), p), at=((-0.4, 0.9), (-1, 1)))  # fmt: skip
for _name, _slope in {
    "sindg": lambda _y, x: S.cosdg(x) * (_PI / 180), "cosdg": lambda _y, x: S.sindg(x) * (-_PI / 180),
    "tandg": lambda y, _x: (1 + y * y) * (_PI / 180), "cotdg": lambda y, _x: (1 + y * y) * (-_PI / 180),
}.items():  # fmt: skip
    _row(_name, _slope, at=((20, 70),))

# Bessel functions (10.6, 10.29), in the variable


def _sign(name, x):
    if typeof(x).dtype.kind == "c":
        raise MissingRuleError(f"scipy.special.{name} has no complex derivative{at()}: it scales by a real part")
    return np.sign(x)


def _bessel(name, slope, order=2):
    _row(name, unknown(name, "v", 2), slope, at=(order, (0.3, 4)))


_row("j0", lambda _y, x: -S.j1(x), at=((-4, 4),))
_row("j1", lambda _y, x: 0.5 * (S.j0(x) - S.jv(2, x)), at=((-4, 4),))
_row("y0", lambda _y, x: -S.y1(x))
_row("y1", lambda _y, x: 0.5 * (S.y0(x) - S.yn(2, x)))
_row("i1", lambda _y, x: 0.5 * (S.i0(x) + S.iv(2, x)), at=((-4, 4),))
_row("i0e", lambda y, x: S.i1e(x) - np.sign(x) * y, at=((-4, 4),))
_row("i1e", lambda y, x: 0.5 * (S.i0e(x) + S.ive(2, x)) - np.sign(x) * y, at=((-4, 4),))
_row("k0", lambda _y, x: -S.k1(x))
_row("k1", lambda _y, x: -0.5 * (S.k0(x) + S.kn(2, x)))
_row("k0e", lambda y, x: y - S.k1e(x))
_row("k1e", lambda y, x: y - 0.5 * (S.k0e(x) + S.kve(2, x)))
_bessel("jv", lambda _y, v, x: 0.5 * (S.jv(v - 1, x) - S.jv(v + 1, x)))
_bessel("yv", lambda _y, v, x: 0.5 * (S.yv(v - 1, x) - S.yv(v + 1, x)))
_bessel("yn", lambda _y, n, x: 0.5 * (S.yn(n - 1, x) - S.yn(n + 1, x)))
_bessel("iv", lambda _y, v, x: 0.5 * (S.iv(v - 1, x) + S.iv(v + 1, x)))
_bessel("kv", lambda _y, v, x: -0.5 * (S.kv(v - 1, x) + S.kv(v + 1, x)))
_bessel("kn", lambda _y, n, x: -0.5 * (S.kn(np.abs(n - 1), x) + S.kn(n + 1, x)))
_bessel("ive", lambda y, v, x: 0.5 * (S.ive(v - 1, x) + S.ive(v + 1, x)) - _sign("ive", x) * y)
_bessel("kve", lambda y, v, x: y - 0.5 * (S.kve(v - 1, x) + S.kve(v + 1, x)))
_complex_row("hankel1", lambda _y, v, x: 0.5 * (S.hankel1(v - 1, x) - S.hankel1(v + 1, x)), 2)
_complex_row("hankel2", lambda _y, v, x: 0.5 * (S.hankel2(v - 1, x) - S.hankel2(v + 1, x)), 2)

# Hypergeometric functions (13.3.15, 13.3.22, 15.5.1, 16.3.1), in the variable

_row("hyp0f1", unknown("hyp0f1", "v", 2), lambda _y, b, z: S.hyp0f1(b + 1, z) / b, at=(2, (-2, 2)))
_row("hyp1f1", unknown("hyp1f1", "a", 3), unknown("hyp1f1", "b", 3),
     lambda _y, a, b, z: S.hyp1f1(a + 1, b + 1, z) * (a / b), at=(1, 2, (-2, 2)))  # fmt: skip
_row("hyperu", unknown("hyperu", "a", 3), unknown("hyperu", "b", 3),
     lambda _y, a, b, x: -a * S.hyperu(a + 1, b + 1, x), at=(1, 2, (0.3, 3)))  # fmt: skip
_row("hyp2f1", unknown("hyp2f1", "a", 4), unknown("hyp2f1", "b", 4), unknown("hyp2f1", "c", 4),
     lambda _y, a, b, c, z: S.hyp2f1(a + 1, b + 1, c + 1, z) * (a * b / c), at=(1, 2, 4, (-0.7, 0.7)))  # fmt: skip

# Exponential integrals, dilogarithm, elliptic integrals (6.2, 8.19.13, 25.12, 19.4)

_row("exp1", lambda _y, x: -np.exp(-x) / x)
_row("expi", lambda _y, x: np.exp(x) / x)


def _expn_slope(_y, n, x):
    return -np.where(np.equal(n, 0), np.exp(-x) * (x + 1) / (x * x), S.expn(np.maximum(n - 1, 0), x))


_row("expn", unknown("expn", "n", 2), _expn_slope, at=(2, (0.3, 3)))


# Where two terms cancel, a hypergeometric function says the same.


def _spence_slope(z):
    h = z - 1
    close = np.abs(h) < 0.5
    return np.where(close, -S.hyp2f1(1, 1, 2, np.where(close, -h, 0)), -np.log(z) / np.where(close, 1, h))


def _ellipk_slope(k, m):
    close = np.abs(m) < 0.1
    n = np.where(close, 0.5, m)
    far = (S.ellipe(n) / (1 - n) - np.where(close, 0, k)) / (2 * n)
    return np.where(close, _PI / 8 * S.hyp2f1(1.5, 1.5, 2, np.where(close, m, 0)), far)


def _ellipe_slope(e, m):
    close = np.abs(m) < 0.1
    n = np.where(close, 0.5, m)
    far = (np.where(close, 0, e) - S.ellipk(n)) / (2 * n)
    return np.where(close, -_PI / 8 * S.hyp2f1(0.5, 1.5, 2, np.where(close, m, 0)), far)


_row("spence", lambda _y, z: _spence_slope(z))
_row("ellipk", _ellipk_slope, at=((-0.5, 0.9),))
_row("ellipe", _ellipe_slope, at=((-0.5, 0.9),))
_row("ellipkm1", lambda k, p: -_ellipk_slope(k, 1 - p), at=((0.1, 1.5),))


_row("wrightomega", lambda y, _z: y / (1 + y), at=((-2, 2),))
