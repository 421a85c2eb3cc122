"""The inverse trigonometric functions."""

import math

from . import tables
from .exponentials import FORMATS, signed


def _arcsine_near(b, z):
    """(arcsin x / x - 1) for z = x**2 <= 1/4."""
    return z * b.poly(z, tables.ARCSIN[z.kind])


def _root(b, ax):
    """(s, rest): s + rest = arcsin(s), s = sqrt((1 - |x|) / 2), for |x| >= 1/2."""
    z = (1.0 - ax) * 0.5
    s = b.sqrt(z)
    p, e = b.two_product(s, s)
    lost = b.select(s > 0.0, ((z - p) - e) / (s + s), 0.0)  # what the rounded root lacks
    return s, b.fma(s, _arcsine_near(b, z), lost)


def arcsin(b, x):
    """pi/2 - 2 arcsin sqrt((1 - x) / 2) beyond 1/2."""
    high, low, _ = tables.HALF_PI
    ax = b.abs(x)
    near = b.fma(ax, _arcsine_near(b, ax * ax), ax)
    s, rest = _root(b, ax)
    far = (high - (s + s)) - ((rest + rest) - low)
    return signed(b, b.select(ax < 0.5, near, far), x)


def arccos(b, x):
    high, low, _ = tables.HALF_PI
    ax = b.abs(x)
    near = high - (x - b.fma(-x, _arcsine_near(b, ax * ax), low))
    s, rest = _root(b, ax)
    right = s + rest
    left = high - (s + (rest - low))
    far = b.select(x < 0.0, left, right)
    return b.select(ax < 0.5, near, far + far)


def _arctangent(b, y, x, bases, turn=None):
    """The angle of (x, y), both >= 0: a base (0, pi/4 or pi/2, as pairs) and arctan t with |t| <= 1/2.

    turn: where set, t counts backwards.
    """
    steep, middle = y > x + x, y + y >= x
    top = b.select(steep, -x, b.select(middle, y - x, y))  # y - x is exact there
    bottom = b.select(steep, y, b.select(middle, y + x, x))
    t = top / bottom
    if turn is not None:
        t = (t.bits() ^ turn).real()
    z = t * t
    small = t * (z * b.poly(z, tables.ARCTAN[t.kind]))
    (flat_high, flat_low), (middle_high, middle_low), (steep_high, steep_low) = bases
    high = b.select(steep, steep_high, b.select(middle, middle_high, flat_high))
    low = b.select(steep, steep_low, b.select(middle, middle_low, flat_low))
    return high + (t + (small + low))


def arctan(b, x):
    zero = (b.constant(x.kind, 0.0),) * 2
    high, low, _ = tables.HALF_PI
    quarter = (b.constant(x.kind, v) for v in tables.QUARTER_PI)
    steep = (b.constant(x.kind, high), b.constant(x.kind, low))
    return signed(b, _arctangent(b, b.abs(x), b.constant(x.kind, 1.0), (zero, tuple(quarter), steep)), x)


def arctan2(b, y, x):
    """The angle of (x, y), as C's atan2: signed zeros and infinities included."""
    form = FORMATS[x.kind]
    ay, ax = b.abs(y), b.abs(x)
    largest = b.select(ay > ax, ay, ax)
    # sums must not overflow, and 0 / 0 and inf / inf have an angle
    shrink = b.choose(x.kind, largest > 2.0 ** (form.bias - 1), 0.25, 1.0)
    ay, ax = ay * shrink, ax * shrink
    both = ay.equals(math.inf) & ax.equals(math.inf)
    ay, ax = b.select(both, 1.0, ay), b.select(both, 1.0, ax)
    ax = b.select(largest.equals(0.0), 1.0, ax)
    left = x.bits() < 0
    high, low, _ = tables.HALF_PI
    pair = lambda there, here: tuple(b.choose(x.kind, left, p, q) for p, q in zip(there, here))
    bases = (
        pair(tables.PI, (0.0, 0.0)),
        pair(tables.THREE_QUARTERS_PI, tables.QUARTER_PI),
        tuple(b.constant(x.kind, v) for v in (high, low)),
    )
    return signed(b, _arctangent(b, ay, ax, bases, x.bits() & form.sign), y)
