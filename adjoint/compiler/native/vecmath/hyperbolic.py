"""sinh, cosh, tanh and their inverses."""

import math

from . import tables
from .exponentials import FORMATS, clamped, exp_mild, log1p, reduced, signed


def tanh(b, x):
    """1 - 2 / (e**2|x| + 1), or x + x**3 p / q near 0: one quotient serves both."""
    form = FORMATS[x.kind]
    ax = b.abs(x)
    e = exp_mild(b, clamped(b, ax + ax, None, 2 * form.tanh_one))
    z = ax * ax
    p, q = tables.TANH[x.kind]
    near = ax < 0.625
    top = b.select(near, (ax * z) * b.horner(z, p), -2.0)
    bottom = b.select(near, b.horner(z, q), e + 1.0)
    y = b.select(near, ax, 1.0) + top / bottom
    return signed(b, y, x)


def _halves(b, ax):
    """(a, b, s, c) with sinh |x| = 2 (a (1 + c) + b s) and cosh |x| = 2 (b (1 + c) + a s): the addition theorem for
    |x| = n log 2 + r, s = sinh r and 1 + c = cosh r. Nothing cancels, nothing is divided; the 2 is for what would overflow.
    """
    form = FORMATS[ax.kind]
    _, t, r, rest = reduced(b, clamped(b, ax, None, 710.6), exact=True)
    z = r * r
    s = r + b.fma(r * z, b.poly(z, tables.SINH[ax.kind]), rest)
    c = b.fma(z, b.poly(z, tables.COSH[ax.kind]), r * rest)
    n = t << form.mantissa
    quarter = (form.bias - 2) << form.mantissa
    up = (n + quarter).real()
    down = b.select(ax > 40.0, 0.0, (quarter - n).real())
    return up - down, up + down, s, c


def sinh(b, x):
    ax = b.abs(x)
    sines, cosines, s, c = _halves(b, ax)
    y = 2.0 * (sines + b.fma(cosines, s, sines * c))
    return signed(b, b.select(ax < 1e-9, ax, y), x)  # subnormal numbers have no halves


def cosh(b, x):
    sines, cosines, s, c = _halves(b, b.abs(x))
    return 2.0 * (cosines + b.fma(sines, s, cosines * c))


_FAR = 2.0**60  # from here on 1 + x is x, and the functions are log(2 x)


def arcsinh(b, x):
    """log1p(x + x**2 / (1 + sqrt(1 + x**2)))."""
    ax = b.abs(x)
    z = ax * ax
    t = ax + z / (1.0 + b.sqrt(1.0 + z))
    far = ax > _FAR
    return signed(b, log1p(b, b.select(far, ax, t), far), x)


def arccosh(b, x):
    """log1p(t + sqrt(t (t + 2))), t = x - 1."""
    t = x - 1.0
    far = x > _FAR
    y = log1p(b, b.select(far, x, t + b.sqrt(b.fma(t, t, t + t))), far)
    return b.select(x < 1.0, math.nan, y)


def arctanh(b, x):
    """log1p(2 x / (1 - x)) / 2."""
    ax = b.abs(x)
    return signed(b, 0.5 * log1p(b, (ax + ax) / (1.0 - ax)), x)
