"""scipy.stats' distributions: densities, distribution functions and quantiles with derivatives. See adjoint.scipy.

Each has SciPy's name, shape parameters, loc and scale: `norm.logpdf(x, loc, scale)`; `norm(loc, scale).logpdf(x)` too.
The logarithms are written out, and the rest from them, so that tails keep their digits. Outside the support a density
is 0, its logarithm -inf, and every derivative 0. Values are float64, as SciPy's.
"""

import math

import numpy as np
import scipy.special as S
import scipy.stats as _stats

from ..core.errors import refused
from ..core.op import Op, bind, is_plain
from ..core.op import shape as shape_of
from ..primitives import scipy_special as _rules  # noqa: F401  (fills the tables)
from ..primitives.kinds import as_array, general
from ..primitives.linalg import diagonal_of, mirror, solve_triangular

_HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)
_LOG_TWO = math.log(2.0)


def _given(x):
    """x as a float array or a tensor."""
    x = as_array(x)
    if is_plain(x):
        x = np.asarray(x)
        return x if x.dtype.kind in "f" else x.astype(np.float64)
    return x


def _log1m_exp(x):
    """log(1 - exp(x)) for x <= 0: near 0 by expm1, far from it by log1p."""
    near = np.greater(x, -_LOG_TWO)
    return np.where(near, np.log(-np.expm1(np.where(near, x, -1.0))), np.log1p(-np.exp(np.where(near, -1.0, x))))


def _log1p_square(u):
    """log(1 + u^2), also where u^2 overflows."""
    big = np.greater(np.abs(u), 1e8)
    return np.where(big, 2 * np.log(np.abs(np.where(big, u, 1.0))), np.log1p(np.square(np.where(big, 0.0, u))))


def _hidden(f):
    """NumPy's warnings about what a mask throws away are not shown."""

    def quiet(*args, **kwargs):
        with np.errstate(all="ignore"):
            return f(*args, **kwargs)

    quiet.__name__, quiet.__qualname__, quiet.__doc__ = f.__name__, f.__qualname__, f.__doc__
    return quiet


class _Frozen:
    """A distribution with its parameters: rv.logpdf(x)."""

    def __init__(self, distribution, args, kwargs):
        self._distribution, self._args, self._kwargs = distribution, args, kwargs

    def __getattr__(self, name):
        method = getattr(self._distribution, name)
        if name.startswith("_") or not callable(method):
            return method
        if name in ("mean", "std", "var", "median", "entropy", "support"):
            return lambda: method(*self._args, **self._kwargs)
        return lambda x, **kw: method(x, *self._args, **self._kwargs, **kw)


class _Distribution:
    """What distributions share: parameters by position or name, loc, and what has no rule, which is SciPy's own."""

    last: tuple = ("loc",)

    def __init__(self, name, shapes=()):
        self.name = name
        self._scipy = getattr(_stats, name)
        self.shapes = shapes
        self.__doc__ = f"scipy.stats.{name}, with derivatives; parameters: {', '.join((*shapes, *self.last))}."

    def __call__(self, *args, **kwargs):
        return _Frozen(self, args, kwargs)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._scipy, name)

    def __repr__(self):
        return f"<distribution {self.name}>"

    def _parameters(self, args, kwargs):
        names = (*self.shapes, *self.last)
        if len(args) > len(names):
            raise TypeError(f"{self.name} takes {', '.join(names)}, not {len(args)} parameters")
        found = dict(zip(names, args, strict=False))
        for k, v in kwargs.items():
            if k not in names or k in found:
                raise TypeError(f"{self.name} got {'a second' if k in found else 'an unexpected'} parameter {k!r}")
            found[k] = v
        missing = [n for n in self.shapes if n not in found]
        if missing:
            raise TypeError(f"{self.name} needs {', '.join(missing)}")
        loc = _given(found.get("loc", 0.0))
        return [_given(found[n]) for n in self.shapes], loc, _given(found.get("scale", 1.0))


class _Continuous(_Distribution):
    """A continuous distribution, from functions of the standardised variable and its shape parameters.

    inside: a point of the support for all parameters (or a function of them), which stands in for points outside.
    """

    last = ("loc", "scale")

    def __init__(self, name, shapes, logpdf, *, cdf=None, sf=None, logcdf=None, logsf=None, ppf=None, isf=None,
                 low=-np.inf, high=np.inf, inside=None, valid=None):  # fmt: skip
        super().__init__(name, shapes)
        self._logpdf, self._valid = logpdf, valid
        self._rules = {"cdf": cdf, "sf": sf, "logcdf": logcdf, "logsf": logsf, "ppf": ppf, "isf": isf}
        self._low, self._high, self._inside = low, high, inside

    def _placed(self, x, args, kwargs):
        shapes, loc, scale = self._parameters(args, kwargs)
        scale_ok = np.greater(scale, 0)
        ok = scale_ok
        if self._valid is not None:
            ok = ok & self._valid(*shapes)
        elif shapes:
            for s in shapes:
                ok = ok & np.greater(s, 0)
        return _given(x), shapes, loc, scale, ok

    def _ends(self, shapes):
        low, high = (e(*shapes) if callable(e) else e for e in (self._low, self._high))
        return low, high

    def _standard(self, x, args, kwargs):
        x, shapes, loc, scale, ok = self._placed(x, args, kwargs)
        z = (x - loc) / scale
        low, high = self._ends(shapes)
        under, over = np.less(z, low), np.greater(z, high)
        if self._inside is not None:
            inside = self._inside(*shapes) if callable(self._inside) else self._inside
            z = np.where(under | over, inside, z)
        return z, shapes, scale, ok, under, over

    @_hidden
    def logpdf(self, x, *args, **kwargs):
        """The logarithm of the density."""
        z, shapes, scale, ok, under, over = self._standard(x, args, kwargs)
        y = self._logpdf(z, *shapes) - np.log(scale)
        return np.where(ok, np.where(under | over, -np.inf, y), np.nan)[()]

    @_hidden
    def pdf(self, x, *args, **kwargs):
        """The density."""
        z, shapes, scale, ok, under, over = self._standard(x, args, kwargs)
        y = np.exp(self._logpdf(z, *shapes)) / scale
        return np.where(ok, np.where(under | over, 0.0, y), np.nan)[()]

    def _tail(self, name, x, args, kwargs, below, above):
        z, shapes, _, ok, under, over = self._standard(x, args, kwargs)
        y = self._rules[name](z, *shapes)
        return np.where(ok, np.where(under, below, np.where(over, above, y)), np.nan)[()]

    def _need(self, *names):
        for name in names:
            if self._rules[name] is not None:
                return name
        raise refused(f"{self.name}.{names[0]} has no derivative rule")

    @_hidden
    def cdf(self, x, *args, **kwargs):
        """The probability of at most x."""
        return self._tail(self._need("cdf"), x, args, kwargs, 0.0, 1.0)

    @_hidden
    def sf(self, x, *args, **kwargs):
        """The probability of more than x: 1 - cdf, accurate where it is small."""
        return self._tail(self._need("sf"), x, args, kwargs, 1.0, 0.0)

    @_hidden
    def logcdf(self, x, *args, **kwargs):
        """The logarithm of cdf."""
        if self._rules["logcdf"] is not None:
            return self._tail("logcdf", x, args, kwargs, -np.inf, 0.0)
        return _log_of(self.cdf(x, *args, **kwargs), self.sf(x, *args, **kwargs))

    @_hidden
    def logsf(self, x, *args, **kwargs):
        """The logarithm of sf."""
        if self._rules["logsf"] is not None:
            return self._tail("logsf", x, args, kwargs, 0.0, -np.inf)
        return _log_of(self.sf(x, *args, **kwargs), self.cdf(x, *args, **kwargs))

    def _quantile(self, name, q, args, kwargs):
        q, shapes, loc, scale, ok = self._placed(q, args, kwargs)
        low, high = self._ends(shapes)
        if name == "isf":
            low, high = high, low
        ok = ok & np.greater_equal(q, 0) & np.less_equal(q, 1)
        first, last = np.equal(q, 0), np.equal(q, 1)
        z = self._rules[name](np.where(ok & ~first & ~last, q, 0.5), *shapes)
        # loc + inf * scale: no derivative in scale is left, as wanted
        y = loc + scale * np.where(first | last, 0.0, z)
        end = np.where(first, low, high)
        far = np.where(np.isinf(end), end, loc + scale * np.where(np.isinf(end), 0.0, end))
        return np.where(ok, np.where(first | last, far, y), np.nan)[()]

    @_hidden
    def ppf(self, q, *args, **kwargs):
        """The quantile: x with cdf(x) = q."""
        return self._quantile(self._need("ppf"), q, args, kwargs)

    @_hidden
    def isf(self, q, *args, **kwargs):
        """x with sf(x) = q."""
        return self._quantile(self._need("isf"), q, args, kwargs)


def _log_of(p, other):
    """log(p), by log1p(-other) where p = 1 - other is nearer to 1."""
    small, zero = np.less(p, 0.5), np.equal(p, 0)
    far = np.where(zero, -np.inf, np.log(np.where(small & ~zero, p, 1.0)))
    return np.where(small, far, np.where(np.isnan(p), np.nan, np.log1p(-np.where(small, 0.0, other))))[()]


class _Discrete(_Distribution):
    """A distribution on integers, from functions of k and its parameters."""

    def __init__(self, name, shapes, logpmf, *, cdf=None, sf=None, high=np.inf, low=0, valid):
        super().__init__(name, shapes)
        self._logpmf, self._cdf, self._sf, self._low, self._high, self._valid = logpmf, cdf, sf, low, high, valid

    def _standard(self, k, args, kwargs):
        shapes, loc, _ = self._parameters(args, kwargs)
        k = _given(k) - loc
        high = self._high(*shapes) if callable(self._high) else self._high
        return k, shapes, high, self._valid(*shapes)

    @_hidden
    def logpmf(self, k, *args, **kwargs):
        """The logarithm of the probability of k."""
        k, shapes, high, ok = self._standard(k, args, kwargs)
        there = np.greater_equal(k, self._low) & np.less_equal(k, high) & np.equal(np.floor(k), k)
        y = self._logpmf(np.where(there, k, float(self._low)), *shapes)
        return np.where(ok, np.where(there, y, -np.inf), np.nan)[()]

    @_hidden
    def pmf(self, k, *args, **kwargs):
        """The probability of k."""
        return np.exp(self.logpmf(k, *args, **kwargs))

    def _sum(self, f, name, k, args, kwargs, below, above):
        if f is None:
            raise refused(f"{self.name}.{name} has no derivative rule")
        k, shapes, high, ok = self._standard(k, args, kwargs)
        k = np.floor(k)
        under, over = np.less(k, self._low), np.greater_equal(k, high)
        y = f(np.where(under | over, float(self._low), k), *shapes)
        return np.where(ok, np.where(under, below, np.where(over, above, y)), np.nan)[()]

    @_hidden
    def cdf(self, k, *args, **kwargs):
        """The probability of at most k."""
        return self._sum(self._cdf, "cdf", k, args, kwargs, 0.0, 1.0)

    @_hidden
    def sf(self, k, *args, **kwargs):
        """The probability of more than k."""
        return self._sum(self._sf, "sf", k, args, kwargs, 1.0, 0.0)

    def logcdf(self, k, *args, **kwargs):
        """The logarithm of cdf."""
        return _log_of(self.cdf(k, *args, **kwargs), self.sf(k, *args, **kwargs))

    def logsf(self, k, *args, **kwargs):
        """The logarithm of sf."""
        return _log_of(self.sf(k, *args, **kwargs), self.cdf(k, *args, **kwargs))


# On the line

norm = _Continuous(
    "norm", (), lambda z: -0.5 * z * z - _HALF_LOG_TAU, cdf=lambda z: S.ndtr(z), sf=lambda z: S.ndtr(-z),
    logcdf=lambda z: S.log_ndtr(z), logsf=lambda z: S.log_ndtr(-z), ppf=lambda q: S.ndtri(q),
    isf=lambda q: -S.ndtri(q),
)  # fmt: skip
t = _Continuous(
    "t", ("df",),
    lambda z, v: -0.5 * (v + 1) * _log1p_square(z / np.sqrt(v)) - S.betaln(0.5 * v, 0.5) - 0.5 * np.log(v),
    cdf=lambda z, v: S.stdtr(v, z), sf=lambda z, v: S.stdtr(v, -z), ppf=lambda q, v: S.stdtrit(v, q),
    isf=lambda q, v: -S.stdtrit(v, q),
)  # fmt: skip
cauchy = _Continuous(
    "cauchy", (), lambda z: -math.log(math.pi) - _log1p_square(z),
    cdf=lambda z: np.arctan2(1.0, -z) / math.pi, sf=lambda z: np.arctan2(1.0, z) / math.pi,
    ppf=lambda q: _cauchy_quantile(q), isf=lambda q: -_cauchy_quantile(q),
)  # fmt: skip


def _cauchy_quantile(q):
    middle = np.less(np.abs(q - 0.5), 0.25)
    return np.where(middle, np.tan(math.pi * (np.where(middle, q, 0.5) - 0.5)),
                    -1 / np.tan(math.pi * np.where(middle, 0.25, q)))  # fmt: skip


laplace = _Continuous(
    "laplace", (), lambda z: -np.abs(z) - _LOG_TWO,
    cdf=lambda z: _laplace_tail(z), sf=lambda z: _laplace_tail(-z),
    logcdf=lambda z: _laplace_log_tail(z), logsf=lambda z: _laplace_log_tail(-z),
    ppf=lambda q: _laplace_quantile(q), isf=lambda q: -_laplace_quantile(q),
)  # fmt: skip


def _laplace_tail(z):
    far = 0.5 * np.exp(-np.abs(z))
    return np.where(np.less(z, 0), far, 1 - far)


def _laplace_log_tail(z):
    below = np.less(z, 0)
    return np.where(below, z - _LOG_TWO, np.log1p(-0.5 * np.exp(-np.where(below, 0.0, z))))


def _laplace_quantile(q):
    below = np.less(q, 0.5)
    return np.where(below, np.log(2 * np.where(below, q, 0.5)), -np.log(2 * (1 - np.where(below, 0.5, q))))


# log(sech(x)): its slope is -tanh(x), which the sum of two logarithms would round to nothing near 0
def _log_sech_value(x):
    if np.iscomplexobj(x):
        raise TypeError("log_sech takes real numbers")
    x = np.abs(x)
    return _LOG_TWO - x - np.log1p(np.exp(-2 * x))


_log_sech: Op = general(
    "log_sech", _log_sech_value, lambda ts, _y, x: -ts[0] * np.tanh(x), lambda wants, g, _y, x: (-g * np.tanh(x),),
    batch=lambda size, batched, x: bind(_log_sech, x), type=lambda x: x,
    sample=lambda rng: [((rng.normal(size=3),), {})],
)  # fmt: skip

logistic = _Continuous(
    "logistic", (), lambda z: 2 * bind(_log_sech, 0.5 * z) - 2 * _LOG_TWO,
    cdf=lambda z: S.expit(z), sf=lambda z: S.expit(-z),
    logcdf=lambda z: S.log_expit(z), logsf=lambda z: S.log_expit(-z), ppf=lambda q: S.logit(q),
    isf=lambda q: -S.logit(q),
)  # fmt: skip
gumbel_r = _Continuous(
    "gumbel_r", (), lambda z: -z - np.exp(-z), cdf=lambda z: np.exp(-np.exp(-z)), sf=lambda z: -np.expm1(-np.exp(-z)),
    logcdf=lambda z: -np.exp(-z), logsf=lambda z: _log1m_exp(-np.exp(-z)), ppf=lambda q: -np.log(-np.log(q)),
    isf=lambda q: -np.log(-np.log1p(-q)),
)  # fmt: skip
gumbel_l = _Continuous(
    "gumbel_l", (), lambda z: z - np.exp(z), cdf=lambda z: -np.expm1(-np.exp(z)), sf=lambda z: np.exp(-np.exp(z)),
    logcdf=lambda z: _log1m_exp(-np.exp(z)), logsf=lambda z: -np.exp(z), ppf=lambda q: np.log(-np.log1p(-q)),
    isf=lambda q: np.log(-np.log(q)),
)  # fmt: skip

# On intervals

uniform = _Continuous(
    "uniform", (), lambda z: 0.0 * z, cdf=lambda z: z, sf=lambda z: 1 - z, logcdf=lambda z: np.log(z),
    logsf=lambda z: np.log1p(-z), ppf=lambda q: q, isf=lambda q: 1 - q, low=0.0, high=1.0, inside=0.5,
)  # fmt: skip
beta = _Continuous(
    "beta", ("a", "b"), lambda z, a, b: S.xlogy(a - 1, z) + S.xlog1py(b - 1, -z) - S.betaln(a, b),
    cdf=lambda z, a, b: S.betainc(a, b, z), sf=lambda z, a, b: S.betaincc(a, b, z),
    ppf=lambda q, a, b: S.betaincinv(a, b, q), isf=lambda q, a, b: S.betainccinv(a, b, q),
    low=0.0, high=1.0, inside=0.5,
)  # fmt: skip

# On the positive half line

expon = _Continuous(
    "expon", (), lambda z: -z, cdf=lambda z: -np.expm1(-z), sf=lambda z: np.exp(-z), logcdf=lambda z: _log1m_exp(-z),
    logsf=lambda z: -z, ppf=lambda q: -np.log1p(-q), isf=lambda q: -np.log(q), low=0.0, inside=1.0,
)  # fmt: skip
gamma = _Continuous(
    "gamma", ("a",), lambda z, a: S.xlogy(a - 1, z) - z - S.gammaln(a),
    cdf=lambda z, a: S.gammainc(a, z), sf=lambda z, a: S.gammaincc(a, z),
    ppf=lambda q, a: S.gammaincinv(a, q), isf=lambda q, a: S.gammainccinv(a, q), low=0.0, inside=1.0,
)  # fmt: skip
chi2 = _Continuous(
    "chi2", ("df",), lambda z, v: S.xlogy(0.5 * v - 1, 0.5 * z) - 0.5 * z - S.gammaln(0.5 * v) - _LOG_TWO,
    cdf=lambda z, v: S.gammainc(0.5 * v, 0.5 * z), sf=lambda z, v: S.gammaincc(0.5 * v, 0.5 * z),
    ppf=lambda q, v: 2 * S.gammaincinv(0.5 * v, q), isf=lambda q, v: 2 * S.gammainccinv(0.5 * v, q),
    low=0.0, inside=1.0,
)  # fmt: skip
invgamma = _Continuous(
    "invgamma", ("a",), lambda z, a: -(a + 1) * np.log(z) - 1 / z - S.gammaln(a),
    cdf=lambda z, a: S.gammaincc(a, 1 / z), sf=lambda z, a: S.gammainc(a, 1 / z),
    ppf=lambda q, a: 1 / S.gammainccinv(a, q), isf=lambda q, a: 1 / S.gammaincinv(a, q), low=0.0, inside=1.0,
)  # fmt: skip
lognorm = _Continuous(
    "lognorm", ("s",), lambda z, s: -0.5 * np.square(np.log(z) / s) - np.log(s * z) - _HALF_LOG_TAU,
    cdf=lambda z, s: S.ndtr(np.log(z) / s), sf=lambda z, s: S.ndtr(-np.log(z) / s),
    logcdf=lambda z, s: S.log_ndtr(np.log(z) / s), logsf=lambda z, s: S.log_ndtr(-np.log(z) / s),
    ppf=lambda q, s: np.exp(s * S.ndtri(q)), isf=lambda q, s: np.exp(-s * S.ndtri(q)), low=0.0, inside=1.0,
)  # fmt: skip
pareto = _Continuous(
    "pareto", ("b",), lambda z, b: np.log(b) - (b + 1) * np.log(z), cdf=lambda z, b: -np.expm1(-b * np.log(z)),
    sf=lambda z, b: np.exp(-b * np.log(z)), logcdf=lambda z, b: _log1m_exp(-b * np.log(z)),
    logsf=lambda z, b: -b * np.log(z), ppf=lambda q, b: np.exp(-np.log1p(-q) / b),
    isf=lambda q, b: np.exp(-np.log(q) / b), low=1.0, inside=2.0,
)  # fmt: skip
weibull_min = _Continuous(
    "weibull_min", ("c",), lambda z, c: np.log(c) + S.xlogy(c - 1, z) - z**c, cdf=lambda z, c: -np.expm1(-(z**c)),
    sf=lambda z, c: np.exp(-(z**c)), logcdf=lambda z, c: _log1m_exp(-(z**c)), logsf=lambda z, c: -(z**c),
    ppf=lambda q, c: (-np.log1p(-q)) ** (1 / c), isf=lambda q, c: (-np.log(q)) ** (1 / c), low=0.0, inside=1.0,
)  # fmt: skip
rayleigh = _Continuous(
    "rayleigh", (), lambda z: np.log(z) - 0.5 * z * z, cdf=lambda z: -np.expm1(-0.5 * z * z),
    sf=lambda z: np.exp(-0.5 * z * z), logcdf=lambda z: _log1m_exp(-0.5 * z * z), logsf=lambda z: -0.5 * z * z,
    ppf=lambda q: np.sqrt(-2 * np.log1p(-q)), isf=lambda q: np.sqrt(-2 * np.log(q)), low=0.0, inside=1.0,
)  # fmt: skip
halfnorm = _Continuous(
    "halfnorm", (), lambda z: _LOG_TWO - 0.5 * z * z - _HALF_LOG_TAU, cdf=lambda z: S.erf(z / math.sqrt(2)),
    sf=lambda z: S.erfc(z / math.sqrt(2)), logsf=lambda z: _LOG_TWO + S.log_ndtr(-z),
    ppf=lambda q: math.sqrt(2) * S.erfinv(q), isf=lambda q: -S.ndtri(0.5 * q), low=0.0, inside=1.0,
)  # fmt: skip

# On integers

poisson = _Discrete(
    "poisson", ("mu",), lambda k, m: S.xlogy(k, m) - m - S.gammaln(k + 1), cdf=lambda k, m: S.pdtr(k, m),
    sf=lambda k, m: S.pdtrc(k, m), valid=lambda m: np.greater_equal(m, 0),
)  # fmt: skip
binom = _Discrete(
    "binom", ("n", "p"),
    lambda k, n, p: -np.log1p(n) - S.betaln(n - k + 1, k + 1) + S.xlogy(k, p) + S.xlog1py(n - k, -p),
    cdf=lambda k, n, p: S.betaincc(k + 1, n - k, p), sf=lambda k, n, p: S.betainc(k + 1, n - k, p),
    high=lambda n, p: n,
    valid=lambda n, p: np.greater_equal(n, 0) & np.greater_equal(p, 0) & np.less_equal(p, 1),
)  # fmt: skip
bernoulli = _Discrete(
    "bernoulli", ("p",), lambda k, p: S.xlogy(k, p) + S.xlog1py(1 - k, -p), cdf=lambda k, p: 1 - p + 0 * k,
    sf=lambda k, p: p + 0 * k, high=1, valid=lambda p: np.greater_equal(p, 0) & np.less_equal(p, 1),
)  # fmt: skip
nbinom = _Discrete(
    "nbinom", ("n", "p"),
    lambda k, n, p: S.gammaln(n + k) - S.gammaln(n) - S.gammaln(k + 1) + S.xlogy(n, p) + S.xlog1py(k, -p),
    cdf=lambda k, n, p: S.betainc(n, k + 1, p), sf=lambda k, n, p: S.betaincc(n, k + 1, p),
    valid=lambda n, p: np.greater(n, 0) & np.greater(p, 0) & np.less_equal(p, 1),
)  # fmt: skip
geom = _Discrete(
    "geom", ("p",), lambda k, p: S.xlog1py(k - 1, -p) + np.log(p), cdf=lambda k, p: -np.expm1(k * np.log1p(-p)),
    sf=lambda k, p: np.exp(k * np.log1p(-p)), low=1, valid=lambda p: np.greater(p, 0) & np.less_equal(p, 1),
)  # fmt: skip

# Of vectors


class _Multivariate(_Distribution):
    def __init__(self, name, shapes, logpdf):
        super().__init__(name, shapes)
        self._logpdf = logpdf

    def logpdf(self, x, *args, **kwargs):
        """The logarithm of the density of vectors in the last axis."""
        return self._logpdf(_given(x), *args, **kwargs)

    def pdf(self, x, *args, **kwargs):
        """The density of vectors in the last axis."""
        return np.exp(self.logpdf(x, *args, **kwargs))


def _normal_logpdf(x, mean=None, cov=1.0, allow_singular=False):
    if allow_singular:
        raise refused("multivariate_normal with allow_singular has no derivative rule")
    mean = None if mean is None else _given(mean)
    cov = _given(cov)
    shape = shape_of(cov)
    n = shape[0] if shape else (shape_of(mean) or (1,))[0] if mean is not None else 1
    if len(shape) == 0:
        cov = cov * np.eye(n)
    elif len(shape) == 1:
        cov = np.where(np.eye(n, dtype=bool), cov, 0.0)
    if len(shape_of(x)) == 0 or (len(shape_of(x)) == 1 and n == 1):
        x = x[..., None]
    d = x if mean is None else x - mean
    low = np.linalg.cholesky(mirror(cov))
    rows = np.reshape(d, (-1, n))
    w = solve_triangular(low, np.swapaxes(rows, 0, 1), lower=True)
    y = -0.5 * np.sum(w * w, axis=0) - np.sum(np.log(diagonal_of(low))) - n * _HALF_LOG_TAU
    return np.reshape(y, shape_of(d)[:-1])[()]


def _dirichlet_logpdf(x, alpha):
    """x: (k,) or (k, n), on the simplex; as in SciPy the last entry may be left out."""
    alpha = _given(alpha)
    k = shape_of(alpha)[0]
    if shape_of(x)[0] == k - 1:
        x = np.concatenate([x, 1 - np.sum(x, axis=0, keepdims=True)])
    if shape_of(x)[0] != k:
        raise ValueError(f"x must have {k} or {k - 1} entries along its first axis, not {shape_of(x)[0]}")
    if np.any(np.less(x, 0)) or np.any(np.greater(np.abs(np.sum(x, axis=0) - 1), 1e-9)):
        raise ValueError("the entries of x must not be negative and must add up to 1")
    powers = np.reshape(alpha - 1, (k, *(1,) * (len(shape_of(x)) - 1)))
    constant = S.gammaln(np.sum(alpha)) - np.sum(S.gammaln(alpha))
    return constant + np.sum(S.xlogy(powers, x), axis=0)


multivariate_normal = _Multivariate("multivariate_normal", ("mean", "cov"), _normal_logpdf)
dirichlet = _Multivariate("dirichlet", ("alpha",), _dirichlet_logpdf)


def __getattr__(name):
    return getattr(_stats, name)


def __dir__():
    return sorted({*globals(), *dir(_stats)})
