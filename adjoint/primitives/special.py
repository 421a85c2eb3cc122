"""Special functions that need NumPy alone: sinc and i0 with all their derivatives, the family of the logistic function.

SciPy's are in `scipy_special`, which is filled when the first of them meets a tensor.
"""

import math

import numpy as np

from .activation import sigmoid
from .kinds import elementwise, implements, select, weakly

# sinc and i0 are integrals of cos and exp over an interval, and so are all their derivatives: one op serves every
# order. The order is an argument without derivative.


def _orders(rng):
    return [((3 * rng.normal(size=3), k), {}) for k in range(3)]


def _nodes(n):
    """Gauss's nodes and weights for an integral over [0, 1]."""
    if n not in _rules:
        x, w = np.polynomial.legendre.leggauss(n)
        _rules[n] = (x + 1) / 2, w / 2
    return _rules[n]


_rules: dict = {}
_WAVES = (np.sin, np.cos, lambda u: -np.sin(u), lambda u: -np.cos(u))


def _sine_quotient(u, k):
    """The k-th derivative of sin(u) / u.

    Small u: the integral of t^k cos(u t + k pi / 2) over [0, 1]. Large u: from u f = sin u, differentiated k times,
    upwards in k: each step multiplies errors by k / u.
    """
    u = np.asarray(u)
    kind = u.dtype if u.dtype.kind in "fc" else np.dtype(np.float64)
    u = u.astype(np.result_type(kind, np.float64))
    small = np.abs(u) < k + 4
    y = np.empty_like(u)
    v = u[~small]
    f = np.sin(v) / v
    for n in range(1, k + 1):
        f = (_WAVES[n % 4](v) - n * f) / v
    y[~small] = f
    v = u[small]
    wave = _WAVES[(k + 1) % 4]
    f = np.zeros_like(v)
    for t, w in zip(*_nodes(16 + k), strict=True):
        f += w * t**k * wave(v * t)
    y[small] = f
    return y.astype(kind)[()]


sine_quotient = elementwise("sine_quotient", _sine_quotient, lambda _y, u, k: sine_quotient(u, k + 1), None,
                            sample=_orders)  # fmt: skip


def _sinc_slope(y, x):
    """(cos(pi x) - y) / x, and below pi |x| = 1, where that cancels, the series of the quotient's derivative."""
    u = math.pi * x
    slope = np.cos(u)
    slope -= y
    slope /= x
    near = np.flatnonzero(np.abs(u) < 1)
    if near.size:
        v = u.flat[near]
        s = v * v
        p = np.zeros_like(v)
        for n in range(10, 0, -1):  # sum of (-1)^n 2 n v^(2 n - 1) / (2 n + 1)!
            p *= s
            p += (-1) ** n * 2 * n / math.factorial(2 * n + 1)
        slope.flat[near] = math.pi * v * p
    return slope


def _sinc_back(g, node):
    y, x = node[3:5]
    if type(x) is np.ndarray and x.dtype == np.float64:
        return g * _sinc_slope(y, x)
    return g * (math.pi * sine_quotient(math.pi * x, 1))


sinc = elementwise("sinc", np.sinc, lambda y, x: math.pi * sine_quotient(math.pi * x, 1), pulls=(_sinc_back, None))
implements(np.sinc)(sinc)


def _bessel_i0(x, k):
    """The k-th derivative of I0(x): (2 / pi) times the integral of cos(t)^k cosh(x cos t), or sinh for odd k, over
    [0, pi / 2], by the trapezoidal rule, which converges geometrically on periodic functions.
    """
    x = np.asarray(x)
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    kind = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    x = x.astype(np.result_type(kind, np.float64))
    finite = np.abs(x[np.isfinite(x)])
    n = 16 + k + int(5 * math.sqrt(min(np.max(finite, initial=0), 800)))
    wave = np.sinh if k % 2 else np.cosh
    y = np.zeros_like(x)
    for j in range(n):  # at t = pi / 2 the integrand is 0, but for k = 0
        c = math.cos(0.5 * math.pi * j / n)
        y += (0.5 if j == 0 else 1.0) * c**k * wave(x * c)
    if k == 0:
        y += 0.5
    return (y / n).astype(kind)[()]


def _i0(x):
    return np.i0(x)[()]


bessel_i0 = elementwise("bessel_i0", _bessel_i0, lambda _y, x, k: bessel_i0(x, k + 1), None, sample=_orders)
i0 = elementwise("i0", _i0, lambda _y, x: bessel_i0(x, 1), ufunc=np.i0)
implements(np.i0)(i0)


# The logistic function, its logarithm and its inverse. Each derivative is written so that nothing cancels in a tail.

softplus = elementwise("softplus", lambda x: np.logaddexp(x, 0), lambda _y, x: sigmoid(x))
log_sigmoid = elementwise("log_sigmoid", lambda x: -np.logaddexp(-x, 0), lambda _y, x: sigmoid(-x))
relu = elementwise("relu", lambda x: np.maximum(x, 0), lambda g, _y, x: select(x > 0, g))


def _logit(p):
    # near 1/2, where log(p / (1 - p)) would lose digits, 2 p - 1 is exact
    p = np.asarray(p)
    with np.errstate(all="ignore"):
        return np.where(np.abs(p - 0.5) < 0.25, 2 * np.arctanh(2 * p - 1), np.log(p / (1 - p)))[()]


logit = elementwise("logit", _logit, lambda _y, p: 1 / (p * (1 - p)), domain=((0.1, 0.9),))


def _times_log(log):
    def f(x, y):
        with np.errstate(all="ignore"):
            return np.where(np.equal(x, 0) & ~np.isnan(y), 0, x * weakly(log, y))[()]

    return f


def _ratio(x, y):
    # x / y, and 0 for x = 0
    zero = np.equal(x, 0)
    return np.where(zero, 0, x / np.where(zero, 1, y))


xlogy = elementwise("xlogy", _times_log(np.log), lambda _v, _x, y: weakly(np.log, y), lambda _v, x, y: _ratio(x, y),
                    domain=((-2, 2), (0.2, 3)))  # fmt: skip
xlog1py = elementwise("xlog1py", _times_log(np.log1p), lambda _v, _x, y: weakly(np.log1p, y),
                      lambda _v, x, y: _ratio(x, 1 + y), domain=((-2, 2), (-0.5, 3)))  # fmt: skip
