"""erf, erfc, the logarithm of the gamma function and its derivative. In float64."""

import math

from . import tables
from .exponentials import (
    FORMATS,
    clamped,
    exp_fraction,
    exp_mild,
    log_fraction,
    log_reduced,
    log_sum,
    reduced,
    scaled,
    signed,
)

INF, NAN = math.inf, math.nan


def _ratio(b, x, table):
    p, q = table["double"]
    return b.poly(x, p) / b.poly(x, q)


# ---- the error function ----


def _erf_near(b, ax):
    """x + x q(x**2) for 0 <= x <= 1."""
    return b.fma(ax, b.poly(ax * ax, tables.ERF["double"]), ax)


def erf(b, x):
    """1 - e**(-x**2) p(x) / q(x) beyond 1."""
    ax = b.abs(x)
    a = clamped(b, ax, None, 6.0)
    far = 1.0 - exp_mild(b, -(a * a)) * _ratio(b, a, tables.ERFCX_MID)
    return signed(b, b.select(ax < 1.0, _erf_near(b, ax), far), x)


def erfc(b, x):
    """e**(-x**2) / sqrt(pi) / (x + 0.4375) (1 + p(x) / q(x)), the square in two parts; 1 - erf near 0."""
    ax = b.abs(x)
    a = clamped(b, ax, None, 27.5)
    square, rest = b.two_product(a, a)
    # e**(-x**2) / sqrt(pi): the factor goes into the last step of the exponential
    _, t, r, c = reduced(b, -square, 2 * FORMATS["double"].bias, -rest, exact=True)
    root, root_low = tables.ROOT_OF_PI_INVERSE
    y, y_low = b.fast_two_sum(b.constant("double", root), b.fma(exp_fraction(b, r, c), root, root_low))
    q, rest = b.quotient(y, y_low, *b.two_sum(a, b.constant("double", 0.4375)))
    far = scaled(b, q + b.fma(q, _ratio(b, a, tables.ERFC), rest), t)
    far = b.select(x < 0.0, 2.0 - far, far)
    near = 1.0 - signed(b, _erf_near(b, ax), x)
    return b.select(ax < 0.47, near, far)


# ---- the logarithm of the gamma function ----


def _log_and_rest(b, x):
    """log x and what its rounding lost, to about 2**-57, for 0 < x < inf."""
    form = FORMATS[x.kind]
    k, f = log_reduced(b, x)
    half_square, second = log_fraction(b, f)
    high, rest = b.fast_two_sum(k * form.ln2_hi, f)
    return b.fast_two_sum(high, rest - (half_square - b.fma(k, form.ln2_lo, second)))


def _lgamma_positive(b, x):
    """Right for x >= 0."""
    low = x < 0.65
    v = b.select(low, x + 1.0, clamped(b, x, None, 8.0))
    # (x - 1) (x - 2) 2 / (x + 2.4375) (1 + p / q), and the same of x + 1, of which log x is taken
    v_2 = v - 2.0
    first, second = b.select(low, x, v_2), b.select(low, x, v) - 1.0
    p, e = b.two_product(first, second)
    e = b.fma(b.select(low, 0.0, v - (v_2 + 2.0)), second, e)
    q, rest = b.quotient(p + p, e + e, v + 2.4375)
    near = q + b.fma(q, _ratio(b, v, tables.LGAMMA), rest)
    log, rest = _log_and_rest(b, clamped(b, x, 5e-324, 1e308))
    near = b.select(low, near - log, near)
    # (x - 1/2) (log x - 1) + ...
    half, log_1 = x - 0.5, log - 1.0
    p, e = b.two_product(half, log_1)
    e = b.select(x < 1e290, e, 0.0)
    inverse = 1.0 / x
    e = e + b.fma(
        inverse, b.poly(inverse * inverse, tables.LGAMMA_FAR["double"]), b.fma(half, rest, tables.STIRLING[0])
    )
    far = b.select(x < 2.5e305, p + e, p)
    y = b.select(x < 8.0, near, far)
    return b.select(x.equals(0.0), INF, y)


def _of_pi(b, ax):
    """(sin pi f, what its rounding lost, cos pi f, what its rounding lost), up to signs; f = |x| - its nearest integer."""
    whole = (ax + 2.0**52) - 2.0**52
    f = b.abs(b.select(ax < 2.0**52, ax - whole, 0.0))
    swap = f > 0.25
    high, low = tables.PI
    r, e = b.two_product(b.select(swap, 0.5 - f, f), b.constant("double", high))
    e = b.fma(r, low / high, e)
    z = r * r
    s, s_low = b.fast_two_sum(r, b.fma(r * z, b.poly(z, tables.SIN["double"]), e))
    c_small = b.fma(z, b.fma(z, b.poly(z, tables.COS["double"]), -0.5), -(r * e))
    c, c_low = b.fast_two_sum(b.constant("double", 1.0), c_small)
    return b.select(swap, c, s), b.select(swap, c_low, s_low), b.select(swap, s, c), b.select(swap, s_low, c_low)


def lgamma(b, x):
    """log |gamma(x)|. For x < 0 by reflection: there the error is small beside the terms, not always beside their difference,
    which has zeros.
    """
    ax = b.abs(x)
    y = _lgamma_positive(b, ax)
    negative = x < 0.0

    def rare():
        # log pi - log |x sin(pi x)| - log gamma(|x|). The product underflows where log gamma(|x|) alone is right.
        sine, sine_low, _, _ = _of_pi(b, ax)
        held = clamped(b, ax, 1e-30, None)
        p, e = b.two_product(held, sine)
        log, rest = _log_and_rest(b, p)
        rest = rest + b.fma(held, sine_low, e) / p
        high, low = tables.LOG_PI
        difference, lost = b.two_sum(b.constant("double", high), -log)
        reflected = (difference - y) + (lost + (low - rest))
        reflected = b.select(ax < 1e-30, y, reflected)
        reflected = b.select(sine.equals(0.0) & (ax > 0.5), INF, reflected)
        return [b.select(negative, reflected, y)]

    (y,) = b.where_any(negative, [y], rare)
    return b.select(ax < INF, y, b.select(x.isnan(), x, INF))


# ---- its derivative ----


def _digamma_positive(b, x):
    """Right for x > 0."""
    low = x < 0.69
    v = b.select(low, x + 1.0, clamped(b, x, None, 10.0))
    zero, zero_low = tables.DIGAMMA_ZERO
    p, e = b.two_product(v - zero, b.constant("double", 2.5))
    q, rest = b.quotient(p, e - 2.5 * zero_low, v + 1.0)
    near = q + b.fma(q + rest, _ratio(b, v, tables.DIGAMMA), rest)  # the rest counts where q is near 0
    inverse = 1.0 / x
    near = b.select(low, near - inverse, near)
    log = log_sum(b, *log_reduced(b, clamped(b, x, 1.0, None)))
    z = inverse * inverse
    far = log - b.fma(z, b.poly(z, tables.DIGAMMA_FAR["double"]), 0.5 * inverse)
    y = b.select(x < 10.0, near, far)
    return b.select(x < INF, y, x)


def digamma(b, x):
    """The logarithmic derivative of gamma. For x < 0 by reflection, whose zeros keep an absolute error only."""
    negative = x.bits() < 0
    ax = b.abs(x)
    y = _digamma_positive(b, ax)

    def rare():
        # digamma(1 - x) - pi cot(pi x)
        y1 = _digamma_positive(b, 1.0 + ax)
        sine, sine_low, cosine, cosine_low = _of_pi(b, ax)
        q, rest = b.quotient(cosine, cosine_low, sine, sine_low)
        high, low = tables.PI
        p, e = b.two_product(q, b.constant("double", high))
        e = b.fma(q, low, b.fma(rest, high, e))
        # the cotangent has the sign of x - its nearest integer
        whole = (ax + 2.0**52) - 2.0**52
        sign = b.select(ax < 2.0**52, ax - whole, 0.0).bits() & FORMATS["double"].sign
        p, e = (p.bits() ^ sign).real(), (e.bits() ^ sign).real()
        total, lost = b.two_sum(p, y1)
        reflected = b.select(ax > 1e-20, total + (lost + e), 1.0 / ax)
        reflected = b.select(sine.equals(0.0) & (ax > 0.0), NAN, reflected)
        reflected = b.select(ax.equals(0.0), INF, reflected)
        return [b.select(negative, b.select(x.isnan() | ax.equals(INF), NAN, reflected), y)]

    (y,) = b.where_any(negative, [y], rare)
    return b.select((x.bits()).equals(0), -INF, y)
