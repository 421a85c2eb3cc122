"""sinh, cosh, tanh and their inverses."""

from . import tables
from .exponentials import FORMATS, clamped, exp_mild


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
    return (y.bits() | (x.bits() & form.sign)).real()
