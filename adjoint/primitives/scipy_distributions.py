"""Distribution functions of scipy.special and their inverses in each argument. Loaded with `scipy_special`.

An inverse has its derivatives from the implicit function theorem: F(y, ...) stays what it is. The discrete ones count a whole
number of events, so have no derivative in it; their inverses (`bdtrik` ...) are of F's continuation by incomplete beta and
gamma functions. Formulas: NIST Digital Library of Mathematical Functions (dlmf.nist.gov).
"""

import math

import numpy as np

from ..core.tensor import REFUSED
from .incomplete import betainc_shape, gammainc_shape
from .scipy_rows import S, row, unknown
from .scipy_special import (
    _beta_density,
    _boxcox_by_power,
    _chi2_shape,
    _gamma_density,
    _student_density,
    _student_shape,
)

_PI = math.pi
_P = (0.2, 0.8)
_SHAPE = (0.5, 4)


def _row(name, *partials, at=None, narrow=False):
    globals()[name] = row(name, *partials, at=at, narrow=narrow)


# Gamma of rate a and shape b: P(b, a x); chi squared


def _gdtr_shape(a, b, x):
    return gammainc_shape(b, a * x, 1)


def _gdtr(name, sign):
    _row(name, lambda _y, a, b, x: sign * x * _gamma_density(b, a * x), lambda _y, a, b, x: sign * _gdtr_shape(a, b, x),
         lambda _y, a, b, x: sign * a * _gamma_density(b, a * x), at=((0.5, 2), _SHAPE, (0.3, 3)))  # fmt: skip


_gdtr("gdtr", 1)
_gdtr("gdtrc", -1)
_row("gdtrix", lambda x, a, b, _p: -x / a, lambda x, a, b, _p: -_gdtr_shape(a, b, x) / (a * _gamma_density(b, a * x)),
     lambda x, a, b, _p: 1 / (a * _gamma_density(b, a * x)), at=((0.5, 2), _SHAPE, _P))  # fmt: skip
_row("gdtria", lambda a, _p, b, x: 1 / (x * _gamma_density(b, a * x)),
     lambda a, _p, b, x: -_gdtr_shape(a, b, x) / (x * _gamma_density(b, a * x)), lambda a, _p, b, x: -a / x,
     at=(_P, _SHAPE, (0.5, 2)))  # fmt: skip
_row("gdtrib", lambda b, a, _p, x: -x * _gamma_density(b, a * x) / _gdtr_shape(a, b, x),
     lambda b, a, _p, x: 1 / _gdtr_shape(a, b, x), lambda b, a, _p, x: -a * _gamma_density(b, a * x) / _gdtr_shape(a, b, x),
     at=((0.5, 2), _P, (0.5, 2)))  # fmt: skip


def _chi2_density(v, x):
    return 0.5 * _gamma_density(0.5 * v, 0.5 * x)


_row("chdtri", lambda x, v, _p: -_chi2_shape(v, x) / _chi2_density(v, x), lambda x, v, _p: -1 / _chi2_density(v, x),
     at=((1, 6), _P))  # fmt: skip
_row("chdtriv", lambda v, _p, x: 1 / _chi2_shape(v, x), lambda v, _p, x: -_chi2_density(v, x) / _chi2_shape(v, x),
     at=(_P, (0.5, 4)))  # fmt: skip
_row("stdtridf", lambda v, _p, t: 1 / _student_shape(v, t), lambda v, _p, t: -_student_density(v, t) / _student_shape(v, t),
     at=((0.82, 0.84), (1.05, 1.15)))  # fmt: skip


# Noncentral chi squared, of v degrees of freedom and noncentrality c: dF/dc = -f(x; v + 2, c)


def _noncentral_density(x, v, c):
    # I of order v/2 - 1 by its scaled form (10.25.2); at c = 0 it is the central density
    central = np.equal(c, 0)
    d = np.where(central, 1, c)
    z = np.sqrt(d * x)
    scale = np.exp(-0.5 * np.square(np.sqrt(x) - np.sqrt(d)) + (0.25 * v - 0.5) * (np.log(x) - np.log(d)))
    return np.where(central, _chi2_density(v, x), 0.5 * scale * S.ive(0.5 * v - 1, z))


_row("chndtr", lambda _y, x, v, c: _noncentral_density(x, v, c), unknown("chndtr", "df", 3),
     lambda _y, x, v, c: -_noncentral_density(x, v + 2, c), at=((0.5, 4), 3, (0.3, 2)))  # fmt: skip
_row("chndtrix", lambda x, _p, v, c: 1 / _noncentral_density(x, v, c), unknown("chndtrix", "df", 3),
     lambda x, _p, v, c: _noncentral_density(x, v + 2, c) / _noncentral_density(x, v, c), at=(_P, 3, (0.3, 2)))  # fmt: skip
_row("chndtrinc", lambda c, x, v, _p: _noncentral_density(x, v, c) / _noncentral_density(x, v + 2, c),
     unknown("chndtrinc", "df", 3), lambda c, x, v, _p: -1 / _noncentral_density(x, v + 2, c),
     at=((3, 4), 3, (0.2, 0.4)))  # fmt: skip

# Beta inverses, and Fisher's F of m and n degrees of freedom: I_w(m/2, n/2) at w = m x / (m x + n)

_row("btdtria", lambda a, _p, b, x: 1 / betainc_shape(a, b, x, 1, 0),
     lambda a, _p, b, x: -betainc_shape(a, b, x, 0, 1) / betainc_shape(a, b, x, 1, 0),
     lambda a, _p, b, x: -_beta_density(a, b, x) / betainc_shape(a, b, x, 1, 0), at=(_P, _SHAPE, _P))  # fmt: skip
_row("btdtrib", lambda b, a, _p, x: -betainc_shape(a, b, x, 1, 0) / betainc_shape(a, b, x, 0, 1),
     lambda b, a, _p, x: 1 / betainc_shape(a, b, x, 0, 1),
     lambda b, a, _p, x: -_beta_density(a, b, x) / betainc_shape(a, b, x, 0, 1), at=(_SHAPE, _P, _P))  # fmt: skip


def _f_density(m, n, x):
    a, b, total = 0.5 * m, 0.5 * n, m * x + n
    return np.exp(S.xlogy(a - 1, x) + a * np.log(m / total) + b * np.log(n / total) - S.betaln(a, b))


def _f_by_m(m, n, x):
    # m x is what w depends on: through it m acts as x does, times x / m
    return 0.5 * betainc_shape(0.5 * m, 0.5 * n, m * x / (m * x + n), 1, 0) + x / m * _f_density(m, n, x)


def _f_by_n(m, n, x):
    return 0.5 * betainc_shape(0.5 * m, 0.5 * n, m * x / (m * x + n), 0, 1) - x / n * _f_density(m, n, x)


def _fdtr(name, sign):
    _row(name, lambda _y, m, n, x: sign * _f_by_m(m, n, x), lambda _y, m, n, x: sign * _f_by_n(m, n, x),
         lambda _y, m, n, x: sign * _f_density(m, n, x), at=((1, 6), (1, 6), (0.3, 3)))  # fmt: skip


_fdtr("fdtr", 1)
_fdtr("fdtrc", -1)
_row("fdtri", lambda x, m, n, _p: -_f_by_m(m, n, x) / _f_density(m, n, x), lambda x, m, n, _p: -_f_by_n(m, n, x) / _f_density(m, n, x),
     lambda x, m, n, _p: 1 / _f_density(m, n, x), at=((1, 6), (1, 6), _P))  # fmt: skip
_row("fdtridfd", lambda n, m, _p, x: -_f_by_m(m, n, x) / _f_by_n(m, n, x), lambda n, m, _p, x: 1 / _f_by_n(m, n, x),
     lambda n, m, _p, x: -_f_density(m, n, x) / _f_by_n(m, n, x), at=((2, 2.2), (0.5, 0.52), (0.9, 1)))  # fmt: skip

# Binomial, of at most k events in n: I_(1-p)(n - k, k + 1) (8.17.5). Negative binomial: I_p(n, k + 1). Poisson: Q(k + 1, m).


def _whole(name, argument, arity):
    return unknown(name, f"{argument} (a whole number)", arity)


def _binomial_density(k, n, p):
    return _beta_density(n - np.floor(k), np.floor(k) + 1, 1 - p)


def _waiting_density(k, n, p):
    return _beta_density(n, np.floor(k) + 1, p)


def _discrete(name, sign, density):
    _row(
        name,
        _whole(name, "k", 3),
        _whole(name, "n", 3),
        lambda _y, k, n, p: sign * density(k, n, p),
        at=(3, 5, _P),
        narrow=True,
    )
    return density


_discrete("bdtr", -1, _binomial_density)
_discrete("bdtrc", 1, _binomial_density)
_discrete("nbdtr", 1, _waiting_density)
_discrete("nbdtrc", -1, _waiting_density)
_row("bdtri", _whole("bdtri", "k", 3), _whole("bdtri", "n", 3), lambda p, k, n, _y: -1 / _binomial_density(k, n, p),
     at=(3, 8, _P), narrow=True)  # fmt: skip
_row("nbdtri", _whole("nbdtri", "k", 3), _whole("nbdtri", "n", 3), lambda p, k, n, _y: 1 / _waiting_density(k, n, p),
     at=(3, 8, _P), narrow=True)  # fmt: skip
_row(
    "pdtri", _whole("pdtri", "k", 2), lambda m, k, _y: -1 / _gamma_density(np.floor(k) + 1, m), at=(2, _P), narrow=True
)


def _binomial_by_k(k, n, p):
    q = 1 - p
    return betainc_shape(n - k, k + 1, q, 0, 1) - betainc_shape(n - k, k + 1, q, 1, 0)


def _binomial_by_n(k, n, p):
    return betainc_shape(n - k, k + 1, 1 - p, 1, 0)


def _binomial_by_p(k, n, p):
    return -_beta_density(n - k, k + 1, 1 - p)


def _waiting_by_k(k, n, p):
    return betainc_shape(n, k + 1, p, 0, 1)


def _waiting_by_n(k, n, p):
    return betainc_shape(n, k + 1, p, 1, 0)


def _waiting_by_p(k, n, p):
    return _beta_density(n, k + 1, p)


def _inverses(name, by_k, by_n, by_p, n, p):
    """The inverses in k and in n of a probability with these derivatives."""
    _row(name + "k", lambda k, _y, n, p: 1 / by_k(k, n, p), lambda k, _y, n, p: -by_n(k, n, p) / by_k(k, n, p),
         lambda k, _y, n, p: -by_p(k, n, p) / by_k(k, n, p), at=((0.4, 0.7), n, p))  # fmt: skip
    _row(name + "n", lambda n, k, _y, p: -by_k(k, n, p) / by_n(k, n, p), lambda n, k, _y, p: 1 / by_n(k, n, p),
         lambda n, k, _y, p: -by_p(k, n, p) / by_n(k, n, p), at=((2, 4), (0.3, 0.7), (0.3, 0.6)))  # fmt: skip


_inverses("bdtri", _binomial_by_k, _binomial_by_n, _binomial_by_p, (6, 9), (0.3, 0.6))
_inverses("nbdtri", _waiting_by_k, _waiting_by_n, _waiting_by_p, (3, 5), (0.3, 0.5))
_row("pdtrik", lambda k, _p, m: -1 / gammainc_shape(k + 1, m, 1), lambda k, _p, m: -_gamma_density(k + 1, m) / gammainc_shape(k + 1, m, 1),
     at=((0.4, 0.7), (2, 4)))  # fmt: skip

# The normal distribution: mean and deviation from a value and its probability; Tukey's lambda, Kolmogorov's distribution


def _ndtri_slope(p):
    return math.sqrt(2 * _PI) * np.exp(0.5 * np.square(S.ndtri(p)))


_row(
    "nrdtrimn", lambda _m, p, s, x: -s * _ndtri_slope(p), lambda _m, p, s, x: -S.ndtri(p), 1, at=(_P, (0.5, 2), (-1, 1))
)
_row("nrdtrisd", lambda _s, m, p, x: -1 / S.ndtri(p), lambda s, m, p, x: -s * _ndtri_slope(p) / S.ndtri(p),
     lambda _s, m, p, x: 1 / S.ndtri(p), at=((-1, 0), (0.6, 0.8), (0.5, 1)))  # fmt: skip


def _tukey_density(y, r):
    return 1 / (y ** (r - 1) + (1 - y) ** (r - 1))


def _tukey_by_shape(y, _x, r):
    # the quantile is boxcox(y, r) - boxcox(1 - y, r)
    by = _boxcox_by_power(np.log(y), r) - _boxcox_by_power(np.log1p(-y), r)
    return -by * _tukey_density(y, r)


_row("tklmbda", lambda y, _x, r: _tukey_density(y, r), _tukey_by_shape, at=((-0.8, 0.8), (-0.8, 0.8)))


def _kolmogorov_slope(x):
    # minus the density: 8 x sum (-1)^k k^2 exp(-2 k^2 x^2), and below 1 the same by the theta function's other series (20.7.32)
    high, low = np.maximum(x, 0.8), np.clip(x, 0.03, 0.8)
    above = 8 * high * sum((-1) ** k * k * k * np.exp(-2.0 * k * k * high * high) for k in range(6, 0, -1))
    z = 1 / (low * low)
    below = 0.0
    for k in range(9, 0, -2):
        c = k * k * _PI * _PI / 8 * z
        below = below + np.exp(-c) * (2 * c - 1)
    return np.where(x < 0.8, np.where(x > 0.03, -math.sqrt(2 * _PI) * z * below, 0), above)


_row("kolmogorov", lambda _y, x: _kolmogorov_slope(x), at=((0.4, 1.6),))
_row("kolmogi", lambda x, _p: 1 / _kolmogorov_slope(x), at=(_P,))

for _name in (
    "ncfdtr",
    "ncfdtri",
    "ncfdtridfd",
    "ncfdtridfn",
    "ncfdtrinc",
    "nctdtr",
    "nctdtridf",
    "nctdtrinc",
    "nctdtrit",
):
    REFUSED[getattr(S, _name)] = "a noncentral t or F distribution has derivatives by infinite series only"
REFUSED[S.chndtridf] = "the derivative in the degrees of freedom has no closed form"
for _name in ("smirnov", "smirnovi"):
    REFUSED[getattr(S, _name)] = "it is a sum over the sample's points, whose number changes with d, so it has kinks"
