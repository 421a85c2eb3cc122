"""erf, erfc, the logarithm of the gamma function and its derivative."""

from . import tables
from .exponentials import FORMATS, clamped, exp_mild


def erf(b, x):
    """x + x q(x**2) up to 1, then 1 - e**(-x**2) p(x) / q(x)."""
    ax = b.abs(x)
    z = ax * ax
    near = b.fma(ax, b.poly(z, tables.ERF["double"]), ax)
    a = clamped(b, ax, None, 6.0)
    p, q = tables.ERFCX_MID["double"]
    far = 1.0 - exp_mild(b, -(a * a)) * b.poly(a, p) / b.poly(a, q)
    y = b.select(ax < 1.0, near, far)
    return (y.bits() | (x.bits() & FORMATS["double"].sign)).real()
