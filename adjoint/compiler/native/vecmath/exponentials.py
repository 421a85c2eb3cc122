"""exp, log and what is made of them: expm1, log1p, exp2, log2, log10, sigmoid, softplus, logaddexp, power.

Argument reduction by n log 2 [Cody and Waite 1980]; the logarithm's s = (m - 1) / (m + 1) as in fdlibm [Sun 1993]. Each
function takes the builder and values of one kind, "double" or "float", and returns a value of it.
"""

import math

from . import tables

NAN, INF = math.nan, math.inf


class Format:
    """What the algorithms must know of a float kind.

    `low` and `high`: exp is 0 below and infinite above. `ln2_hi`: so few bits that n * ln2_hi is exact for every exponent n.
    """

    def __init__(self, kind, mantissa, bias, low, high, ln2_hi, ln2_lo, tanh_one, minus_one):
        self.kind, self.mantissa, self.bias = kind, mantissa, bias
        self.low, self.high = low, high
        self.ln2_hi, self.ln2_lo = ln2_hi, ln2_lo
        self.tanh_one = tanh_one  # tanh rounds to 1 from here
        self.minus_one = minus_one  # expm1 rounds to -1 below
        self.shift = 1.5 * 2.0**mantissa  # x + shift - shift is x rounded to an integer, which stands in the low bits
        self.one = bias << mantissa
        self.integer_under = (bias + mantissa) << mantissa  # the bits of 2**mantissa
        self.tiny = 2.0 ** (1 - bias)  # the smallest normal number
        self.integer = {"double": "i64", "float": "i32"}[kind]
        self.sign = -(1 << (63 if kind == "double" else 31))
        # the bits of the least m in [sqrt(1/2), sqrt(2))
        self.sqrt_half = {"double": 0x3FE6A09E667F3BCD, "float": 0x3F3504F3}[kind]


FORMATS = {
    "double": Format(
        "double", 52, 1023, -746.0, 710.0, float.fromhex("0x1.62e42fefap-1"), float.fromhex("0x1.cf79abc9e3b39803p-40"), 22.0, -40.0
    ),
    "float": Format(
        "float", 23, 127, -104.5, 89.0, float.fromhex("0x1.62ep-1"), float.fromhex("0x1.0bfbe8e7bcd5ep-15"), 10.0, -20.0
    ),
}  # fmt: skip
LOG2E = 1.4426950408889634


def signed(b, y, x):
    """y >= 0 with the sign of x."""
    return (y.bits() | (x.bits() & FORMATS[x.kind].sign)).real()


# ---- e**x ----


def reduced(b, x, bias=0, low=None, exact=False):
    """(n, t, r, c): x (+ low) = n log 2 + r + c. n is a float; n + bias stands in the low bits of the integer t.

    c is the rounding of r, and None unless exact.
    """
    f = FORMATS[x.kind]
    t = b.fma(x, LOG2E, f.shift + bias)
    n = t - (f.shift + bias)
    high = b.fma(n, -f.ln2_hi, x)
    if low is None and not exact:
        return n, t.bits(), b.fma(n, -f.ln2_lo, high), None
    rest = n * f.ln2_lo
    if low is not None:
        rest = rest - low
    r = high - rest
    return n, t.bits(), r, (high - r) - rest if exact else None


def exp_fraction(b, r, c=None):
    """e**(r + c) - 1 for |r| up to half of log 2."""
    q = b.poly(r, tables.EXP[r.kind])
    if c is not None:
        return r + b.fma(r * r, q, c)
    return b.fma(r * r, q, r)


def scaled(b, y, t):
    """y * 2**n for any n that exp may meet; t holds n + 2 * bias. Two factors, so that only the last product rounds."""
    f = FORMATS[y.kind]
    half = t >> 1
    first = half << f.mantissa
    second = (t - half) << f.mantissa
    return (y * first.real()) * second.real()


def clamped(b, x, low, high):
    """x between low and high; NaN stays."""
    if low is not None:
        x = b.select(x < low, low, x)
    if high is not None:
        x = b.select(x > high, high, x)
    return x


def exp_parts(b, x, low=None, exact=False):
    """(y, t) with e**(x + low) = y * 2**n, for `scaled`."""
    _, t, r, c = reduced(b, x, 2 * FORMATS[x.kind].bias, low, exact)
    return 1.0 + exp_fraction(b, r, c), t


def exp(b, x):
    f = FORMATS[x.kind]
    return scaled(b, *exp_parts(b, clamped(b, x, f.low, f.high)))


def exp_of_negative(b, x, low=None):
    """e**(x + low) for x <= 0, a little closer than exp."""
    return scaled(b, *exp_parts(b, clamped(b, x, FORMATS[x.kind].low, None), low, exact=True))


def exp_mild(b, x):
    """e**x where neither it nor 1 / it leaves the normal numbers."""
    f = FORMATS[x.kind]
    _, t, r, _ = reduced(b, x)
    return ((1.0 + exp_fraction(b, r)).bits() + (t << f.mantissa)).real()


def exp2(b, x):
    f = FORMATS[x.kind]
    x = clamped(b, x, -1080.0, 1025.0)
    shift = f.shift + 2 * f.bias
    t = x + shift
    r = x - (t - shift)
    return scaled(b, b.fma(r, b.poly(r, tables.EXP2[x.kind]), 1.0), t.bits())


def expm1(b, x):
    """2**n (e**r - 1) + (2**n - 1), the first exactly a multiple: no cancellation."""
    f = FORMATS[x.kind]
    z = clamped(b, x, f.minus_one, f.high)
    n, t, r, c = reduced(b, z, exact=True)
    p = exp_fraction(b, r, c)
    top = n > float(f.bias)  # 2**n would overflow, the result may not
    s = ((t << f.mantissa) + b.choose(f.integer, top, f.one - (1 << f.mantissa), f.one)).real()
    y = b.fma(s, p, s - 1.0) * b.choose(x.kind, top, 2.0, 1.0)
    return b.select(x.equals(0.0), x, y)  # -0.0 stays


def sigmoid(b, x):
    """1 / (1 + e**-x), as e**x / (1 + e**x) for x < 0: neither overflows."""
    e = exp_of_negative(b, -b.abs(x))
    return b.select(x < 0.0, e, 1.0) / (1.0 + e)


# ---- logarithms ----


def log_reduced(b, x):
    """(k, f, bits of m, exponent bits) with x = 2**k m, m = 1 + f in [sqrt(1/2), sqrt(2)), for 0 < x < inf. f is exact."""
    f = FORMATS[x.kind]
    subnormal = x < f.tiny
    lift = f.mantissa + 2
    bits = b.select(subnormal, x * 2.0**lift, x).bits()
    shifted = bits + (f.one - f.sqrt_half)
    m = ((shifted & ((1 << f.mantissa) - 1)) + f.sqrt_half).real()
    # an integer under the exponent of 2**mantissa is that number plus the integer
    big = 2.0**f.mantissa
    exponent = ((shifted >> f.mantissa) | f.integer_under).real()
    k = exponent - b.choose(x.kind, subnormal, big + f.bias + lift, big + f.bias)
    return k, m - 1.0


def log_fraction(b, f):
    """(half f**2, s (half f**2 + R)): log(1 + f) = f - (the first - the second)."""
    s = f / (2.0 + f)
    z = s * s
    rest = z * b.poly(z, tables.LOG[f.kind])
    half_square = (0.5 * f) * f
    return half_square, s * (half_square + rest)


def log_sum(b, k, f, low=None):
    """k log 2 + log(1 + f) + low."""
    form = FORMATS[f.kind]
    half_square, second = log_fraction(b, f)
    tail = b.fma(k, form.ln2_lo, second if low is None else second + low)
    return b.fma(k, form.ln2_hi, f - (half_square - tail))


def log_ends(b, x, y):
    """y, or what a logarithm is for x <= 0, infinity and NaN."""
    special = b.select(x.equals(0.0), -INF, b.select(x > 0.0, x, NAN))
    return b.select((x > 0.0) & (x < INF), y, special)


def log(b, x):
    return log_ends(b, x, log_sum(b, *log_reduced(b, x)))


def log1p(b, x, more=None):
    """log(1 + x). `more`: where this mask is set, log(x) + log 2 (what inverse hyperbolic functions are far out)."""
    form = FORMATS[x.kind]
    u = 1.0 + x
    if more is not None:
        u = b.select(more, x, u)
    # what the sum has lost: exact, one of the two by the size of x
    lost = b.select(x > 1.0, 1.0 - (u - x), x - (u - 1.0))
    k, f0 = log_reduced(b, u)
    down = (form.one - ((k + form.shift).bits() << form.mantissa)).real()  # 2**-k
    lost = b.select(x < 2.0 ** (form.mantissa + 4), lost * down, 0.0)  # far out 2**-k may be none
    f = f0 + lost
    low = (f0 - f) + lost
    if more is not None:
        k = b.select(more, k + 1.0, k)
    y = log_ends(b, u, log_sum(b, k, f, low))
    return b.select(b.abs(x) < form.tiny, x, y)  # -0.0 stays


def softplus(b, x):
    """log(1 + e**x)."""
    tail = log1p(b, exp_of_negative(b, -b.abs(x)))
    return b.select(x > 0.0, x, b.select(x.isnan(), x, 0.0)) + tail


def logaddexp(b, x, y):
    """log(e**x + e**y)."""
    top, bottom = b.select(x > y, x, y), b.select(x > y, y, x)
    gap, low = b.two_sum(bottom, -top)
    gap = b.select(x.equals(y), 0.0, gap)  # equal infinities too
    low = b.select((gap < 0.0) & (gap > FORMATS[x.kind].low), low, 0.0)
    return top + log1p(b, exp_of_negative(b, gap, low))


def _log_in_base(b, x, inverse, exponent):
    """k * exponent + log(m) * inverse: each given as (high, low), the high parts short enough for exact products."""
    k, f = log_reduced(b, x)
    half_square, second = log_fraction(b, f)
    high = ((f - half_square).bits() & -(1 << 32)).real()
    low = ((f - high) - half_square) + second
    value, rest = high * inverse[0], b.fma(low + high, inverse[1], low * inverse[0])
    whole = k * exponent[0]
    total = whole + value
    rest = rest + b.fma(k, exponent[1], (whole - total) + value)
    return log_ends(b, x, total + rest)


def log2(b, x):
    return _log_in_base(b, x, tables.LOG2_E, (1.0, 0.0))


def log10(b, x):
    return _log_in_base(b, x, tables.LOG10_E, tables.LOG10_2)


# ---- powers ----


def log_pair(b, x):
    """(high, low): log x to about 2**-66 of itself, for 0 < x < inf."""
    form = FORMATS[x.kind]
    k, f = log_reduced(b, x)
    # s = f / (2 + f)
    g = 2.0 + f
    g_low = f - (g - 2.0)
    inverse = 1.0 / g
    s = f * inverse
    p, e = b.two_product(s, g)
    s_low = (((f - p) - e) - s * g_low) * inverse
    # t = z / 3 + z**2 (1/5 + z / 7 ...), z = s**2
    z, z_low = b.two_product(s, s)
    z_low = b.fma(s + s, s_low, z_low)
    third, third_low = 1 / 3, 1.850371707708594e-17
    t, t_low = b.two_product(z, b.constant(x.kind, third))
    t_low = b.fma(z, third_low, b.fma(z_low, third, t_low))
    t, rest = b.fast_two_sum(t, (z * z) * b.poly(z, tables.LOG_TAIL[x.kind]))
    t_low = t_low + rest
    # log m = 2 s (1 + t)
    v, v_low = b.two_product(s, t)
    w, w_low = b.fast_two_sum(s, v)
    w_low = w_low + b.fma(s, t_low, v_low) + b.fma(s_low, t, s_low)
    high, low = b.fast_two_sum(k * form.ln2_hi, w + w)
    return high, low + b.fma(k, form.ln2_lo, w_low + w_low)


def power_ends(b, x, y, magnitude):
    """x**y from |x|**y, right where 0 < |x| < inf: signs, zeros, infinities and NaN as C's pow."""
    size = b.abs(y)
    # below 2**52, adding it leaves the integer in the low bits; from 2**53 on all are even
    held = b.select(size < 2.0**52, size + 2.0**52, size)
    whole = b.select(size < 2.0**52, held - 2.0**52, size).equals(size)
    odd = whole & (held.bits() & 1).differs(0) & (size < 2.0**53)
    ax = b.abs(x)
    at_zero, at_infinity = b.choose(x.kind, y < 0.0, INF, 0.0), b.choose(x.kind, y < 0.0, 0.0, INF)
    value = b.select(ax.equals(0.0), at_zero, b.select(ax.equals(INF), at_infinity, magnitude))
    negative = x.bits() < 0
    value = b.select(negative & odd, -value, value)
    bad = (x < 0.0) & ~whole & (x > -INF)
    bad = bad | x.isnan() | y.isnan()
    value = b.select(bad, NAN, value)
    return b.select(y.equals(0.0) | x.equals(1.0), 1.0, value)


def power(b, x, y):
    """exp(y log |x|) with the product in two parts, to about 2**-64."""
    high, low = log_pair(b, b.abs(x))
    y_held = clamped(b, y, -(2.0**64), 2.0**64)  # beyond, the result is 0, 1 or infinite already
    p, e = b.two_product(y_held, high)
    e = b.fma(y_held, low, e)
    f = FORMATS[x.kind]
    inside = (p > f.low) & (p < f.high)
    return power_ends(
        b, x, y, scaled(b, *exp_parts(b, clamped(b, p, f.low, f.high), b.select(inside, e, 0.0), exact=True))
    )


def power_short(b, x, y):
    """The same, to about 2**-44: enough for what is rounded to float32 after."""
    f = FORMATS[x.kind]
    product = clamped(b, clamped(b, y, -(2.0**64), 2.0**64) * log_sum(b, *log_reduced(b, b.abs(x))), f.low, f.high)
    return power_ends(b, x, y, scaled(b, *exp_parts(b, product)))
