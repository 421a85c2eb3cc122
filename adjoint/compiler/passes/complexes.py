"""Complex numbers: a line on complex values becomes lines on their real and imaginary parts, which real loops compute.

Each complex value that a rule computes is known by its two parts; `paired` puts them together, in the one loop that makes
them, where something wants it whole: a result, a product by BLAS, LAPACK, a loop's state, an op without a rule here. Of a
value that comes whole the parts are views. Without readers either form vanishes (dead code).

The formulas are NumPy's, with its answers at zeros, infinities and NaN. A real operand counts as x + 0i, as for NumPy.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ...core.op import OPS, Op, bind
from ...core.op import shape as shape_of
from ...core.tensor import is_tensor
from ...core.types import Array, typeof
from ...primitives.shape import python_number
from ...traces.capture import Capture
from ...traces.graph import Const, Graph, Line
from ..rows import into
from .rewrite import is_number, once, pure, rebuild, splice

_REAL, _IMAG = OPS["real"], OPS["imag"]
FEW = 64  # multiplications up to which a product of matrices is one of real matrices


def _paired(x, y):
    z = np.empty(np.broadcast_shapes(np.shape(x), np.shape(y)), np.result_type(x, np.complex64))
    z.real, z.imag = x, y
    return z if z.ndim else z.item() if type(x) is float and type(y) is float else z[()]


def _paired_type(x, y):
    dtype = np.dtype(f"c{2 * x.dtype.itemsize}")
    return Array(np.broadcast_shapes(x.shape, y.shape), dtype, x.weak and y.weak)


paired = Op("paired", _paired, kind="elementwise", register=False, type=_paired_type)


class Pair(NamedTuple):
    """A complex number by its parts."""

    re: Any
    im: Any


def complexes(graph: Graph) -> Graph:
    """The graph with complex arithmetic done on parts."""

    def start(b):
        pairs: dict = {}

        def parts(v):
            if type(v) is Const:
                return Const(_contiguous(np.real(v.value))), Const(_contiguous(np.imag(v.value)))
            if v not in pairs:
                pairs[v] = b.emit(_REAL, [v]), b.emit(_IMAG, [v])
            return pairs[v]

        def step(line):
            if not (_complex(line.out.type) or any(_complex(a.type) for a in line.args)):
                return b.append(line)
            if line.op in (_REAL, _IMAG):
                return parts(line.args[0])[line.op is _IMAG]
            rule = RULES.get(line.op.name)
            made = _split(rule, line) if rule is not None and pure(line.op) else None
            if made is None:
                return b.append(line)
            args: list = []
            for a in line.args:
                if not is_number(a):
                    args += parts(a) if _complex(a.type) else [a]
            outs = splice(b, made, args, b.append)
            if not _complex(line.out.type):
                return outs[0]
            pairs[line.out] = outs
            return b.append(Line(line.out, paired, outs, {}, line.where))

        return step

    return rebuild(graph, start)


def _complex(t):
    return type(t) is Array and t.dtype.kind == "c" and t.dtype.itemsize <= 16


def _contiguous(x):
    return np.ascontiguousarray(x) if type(x) is np.ndarray and x.ndim else x


def _part(t):
    """The type of the parts of a complex type."""
    return Array(t.shape, np.dtype(f"f{t.dtype.itemsize // 2}"), t.weak)


_made: dict = {}  # as in `expand`


def _split(rule, line):
    """The graph of the parts of what the line gives, from the parts of what it takes; None if there is none."""
    return once(_made, line, lambda: _capture(rule, line))


def _capture(rule, line):
    out = line.out.type
    if type(out) is not Array or any(type(a.type) is not Array for a in line.args):
        return None
    trace = Capture()
    inputs: list = []

    def argument(a):
        if is_number(a):
            return Pair(np.real(a.value), np.imag(a.value)) if _complex(a.type) else a.value
        xs = [trace.input(t) for t in ([_part(a.type)] * 2 if _complex(a.type) else [a.type])]
        inputs.extend(x.info for x in xs)
        return Pair(*xs) if len(xs) == 2 else xs[0]

    try:
        with np.errstate(all="ignore"):
            y = rule(*map(argument, line.args), **line.params)
            if y is None or isinstance(y, Pair) != _complex(out):
                return None
            want = _part(out) if _complex(out) else out
            outputs = [trace.operand(_as(x, want)) for x in (y if _complex(out) else [y])]
    finally:
        trace.close()
    if any(v.type != want for v in outputs) or trace.hidden:
        return None
    lines = [Line(e.out, e.op, e.args, e.params) for e in trace.lines]
    return Graph(inputs, lines, outputs, None, (), line.op.name).prune()


def _as(x, t):
    """A part in the type that it must have."""
    have = typeof(x)
    if have.shape != t.shape:
        x = np.broadcast_to(x if have.dtype == t.dtype and not have.weak else _cast(x, t.dtype), t.shape)
    elif have.dtype != t.dtype or (have.weak and not t.weak):
        x = _cast(x, t.dtype)
    return python_number(x) if t.weak and not typeof(x).weak else x


def _cast(x, dtype):
    return x.astype(dtype) if hasattr(x, "astype") else dtype.type(x)


# Rules: functions of Pairs, real arrays and numbers

RULES: dict = {}

_rule = into(RULES)


def pair(x):
    return x if isinstance(x, Pair) else Pair(x, 0.0)


def _zero(x):
    """Zeros like x."""
    t = typeof(x)
    return np.broadcast_to(t.dtype.type(0), t.shape)


@_rule("add")
def add(a, b):
    a, b = pair(a), pair(b)
    return Pair(a.re + b.re, a.im + b.im)


@_rule("subtract")
def subtract(a, b):
    a, b = pair(a), pair(b)
    return Pair(a.re - b.re, a.im - b.im)


@_rule("multiply")
def multiply(a, b):
    a, b = pair(a), pair(b)
    return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


@_rule("square")
def square(z):
    return Pair(z.re * z.re - z.im * z.im, z.re * z.im + z.im * z.re)


@_rule("strong_mul")
def strong_mul(g, p):
    g = pair(g)
    y = multiply(g, p)
    zero = np.equal(g.re, 0) & np.equal(g.im, 0)
    return Pair(np.where(zero, 0.0, y.re), np.where(zero, 0.0, y.im))


@_rule("divide")
def divide(a, b):
    """By Smith's formula, as NumPy does: no overflow where the quotient has none. By 0: each part of a over 0."""
    a, b = pair(a), pair(b)
    x, y = np.absolute(b.re), np.absolute(b.im)
    wide = x >= y
    big, small = np.where(wide, b.re, b.im), np.where(wide, b.im, b.re)
    ratio = small / big
    scale = 1.0 / (big + small * ratio)
    # (a + bi) / (c + di): with the parts of the numerator in the order that belongs to the larger of c and d
    first, last = np.where(wide, a.re, a.im), np.where(wide, a.im, a.re)
    re = (first + last * ratio) * scale
    im = np.where(wide, last - first * ratio, first * ratio - last) * scale
    none = np.equal(x, 0) & np.equal(y, 0)
    return Pair(np.where(none, a.re / x, re), np.where(none, a.im / x, im))


@_rule("reciprocal")
def reciprocal(z):
    wide = np.absolute(z.re) >= np.absolute(z.im)
    big, small = np.where(wide, z.re, z.im), np.where(wide, z.im, z.re)
    ratio = small / big
    scale = big + small * ratio
    return Pair(np.where(wide, 1.0, ratio) / scale, -(np.where(wide, ratio, 1.0) / scale))


@_rule("negative")
def negative(z):
    return Pair(-z.re, -z.im)


@_rule("conjugate")
def conjugate(z):
    return Pair(z.re, -z.im)


@_rule("positive", "copy", "stop_gradient")
def same(z):
    return z


@_rule("astype")
def astype(z, dtype, weak=False):
    dtype = np.dtype(dtype)
    if dtype.kind == "c":
        part = np.dtype(f"f{dtype.itemsize // 2}")
        if isinstance(z, Pair):
            return Pair(_cast(z.re, part), _cast(z.im, part))
        x = _cast(z, part)
        return Pair(x, _zero(x))
    if dtype.kind == "b":
        return np.not_equal(z.re, 0) | np.not_equal(z.im, 0)
    return _cast(z.re, dtype)


@_rule("absolute_complex", "absolute")
def absolute(z):
    return np.hypot(z.re, z.im)


@_rule("angle")
def angle(z):
    return np.arctan2(z.im, z.re)


@_rule("where")
def where(c, a, b):
    if isinstance(c, Pair):
        c = np.not_equal(c.re, 0) | np.not_equal(c.im, 0)
    a, b = pair(a), pair(b)
    return Pair(np.where(c, a.re, b.re), np.where(c, a.im, b.im))


@_rule("equal")
def equal(a, b):
    a, b = pair(a), pair(b)
    return np.equal(a.re, b.re) & np.equal(a.im, b.im)


@_rule("not_equal")
def not_equal(a, b):
    a, b = pair(a), pair(b)
    return np.not_equal(a.re, b.re) | np.not_equal(a.im, b.im)


@_rule("isnan")
def isnan(z):
    return np.isnan(z.re) | np.isnan(z.im)


@_rule("isinf")
def isinf(z):
    return np.isinf(z.re) | np.isinf(z.im)


@_rule("isfinite")
def isfinite(z):
    return np.isfinite(z.re) & np.isfinite(z.im)


# Functions. Special values: ISO C, annex G.6


@_rule("exp")
def exp(z):
    x, y = z
    _, top = _range(x)
    far = x > top  # exp(x) overflows, and its product with a cosine need not
    r = np.exp(np.where(far, x - top, x))
    c, s = np.cos(y), np.sin(y)
    up = np.where(far, math.exp(top), 1.0)
    re, im = r * c * up, r * s * up
    gone = np.equal(x, -np.inf)
    re = np.where(gone & ~np.isfinite(y), 0.0, np.where(np.equal(x, np.inf) & ~np.isfinite(y), x, re))
    return Pair(re, np.where(np.equal(y, 0), y, np.where(gone & ~np.isfinite(y), 0.0, im)))


def _range(x):
    """(a number whose square is normal, one whose exponential is finite) in the precision of x."""
    return (1e-17, 80.0) if typeof(x).dtype == np.float32 else (1e-150, 700.0)


@_rule("log")
def log(z):
    x, y = z
    return Pair(_log_size(x, y), np.arctan2(y, x))


def _log_size(x, y):
    # near 1 from the distance to 1; half as large where the size overflows
    a, b = np.absolute(x), np.absolute(y)
    large, small = np.maximum(a, b), np.minimum(a, b)
    unit = np.where(large > _top(x) / 4, 0.25, 1.0)
    size = np.hypot(x * unit, y * unit)
    near = (size > 0.5) & (size < 2) & (large < 2)
    close = 0.5 * np.log1p((large - 1) * (large + 1) + small * small)
    return np.where(near, close, np.log(size) - np.log(unit))


def _top(x):
    return float(np.finfo(typeof(x).dtype).max)


@_rule("log2")
def log2(z):
    return _scaled(log(z), 1 / math.log(2))


@_rule("log10")
def log10(z):
    return _scaled(log(z), 1 / math.log(10))


def _scaled(z, c):
    return Pair(z.re * c, z.im * c)


@_rule("log1p")
def log1p(z):
    return Pair(np.log(np.hypot(z.re + 1, z.im)), np.arctan2(z.im, z.re + 1))


@_rule("expm1")
def expm1(z):
    a = np.sin(z.im / 2)
    return Pair(np.expm1(z.re) * np.cos(z.im) - 2 * a * a, np.exp(z.re) * np.sin(z.im))


@_rule("sqrt")
def sqrt(z):
    """W. Kahan, "Branch cuts for complex elementary functions" (1987)."""
    x, y = z
    unit = np.where(np.maximum(np.absolute(x), np.absolute(y)) > _top(x) / 4, 0.25, 1.0)
    size = np.hypot(x * unit, y * unit)
    t = np.sqrt((np.absolute(x) * unit + size) * 0.5)
    up = np.where(unit < 1, 2.0, 1.0)
    other = np.absolute(y) * unit / (2 * t)
    right = np.greater_equal(x, 0)
    re = np.where(right, t, other) * up
    im = np.copysign(np.where(right, other, t) * up, y)
    zero = np.equal(x, 0) & np.equal(y, 0)
    re, im = np.where(zero, 0.0, re), np.where(zero, y, im)
    # infinities
    left, no_y = np.equal(x, -np.inf), np.isnan(y)
    re = np.where(np.equal(x, np.inf), x, np.where(left, np.where(no_y, y, 0.0), re))
    im = np.where(np.equal(x, np.inf), np.where(no_y, y, np.copysign(0.0, y)), im)
    im = np.where(left, np.copysign(np.inf, y), im)
    tall = np.isinf(y)
    return Pair(np.where(tall, np.inf, re), np.where(tall, y, im))


def _product(a, b):
    # a b, where 0 in b wins over what is not finite in a
    return np.where(np.equal(b, 0), b * np.copysign(1.0, a), a * b)


@_rule("sinh")
def sinh(z):
    x, y = z
    re = np.where(np.isinf(x) & ~np.isfinite(y), np.inf, _product(np.cos(y), np.sinh(x)))
    return Pair(re, _product(np.cosh(x), np.sin(y)))


@_rule("cosh")
def cosh(z):
    x, y = z
    re = np.where(np.isinf(x) & ~np.isfinite(y), np.inf, np.cosh(x) * np.cos(y))
    flat = np.equal(x, 0) | np.equal(y, 0)
    return Pair(re, np.where(flat, np.copysign(0.0, x) * np.copysign(1.0, y), np.sinh(x) * np.sin(y)))


@_rule("tanh")
def tanh(z):
    """W. Kahan, as above."""
    x, y = z
    t, s = np.tan(y), np.sinh(x)
    beta = 1 + t * t
    rho = np.sqrt(1 + s * s)
    steep = np.isinf(t)
    below = 1 + beta * s * s
    re = np.where(steep, rho / s, beta * rho * s / below)
    im = np.where(steep, 1 / t, t / below)
    far = np.absolute(x) > 22
    e = np.exp(-np.absolute(x))
    turn = np.where(np.isfinite(y), np.sin(y) * np.cos(y), 0.0)
    re, im = np.where(far, np.copysign(1.0, x), re), np.where(far, 4 * turn * e * e, im)
    return Pair(np.where(np.equal(x, 0), x, re), np.where(np.isnan(x) & np.equal(y, 0), y, im))


@_rule("sin")
def sin(z):
    y = sinh(Pair(-z.im, z.re))
    return Pair(y.im, -y.re)


@_rule("cos")
def cos(z):
    return cosh(Pair(-z.im, z.re))


@_rule("tan")
def tan(z):
    y = tanh(Pair(-z.im, z.re))
    return Pair(y.im, -y.re)


@_rule("power")
def power(a, b):
    """Small whole powers, where they are known, by products; others by exp and log. As NumPy does."""
    n = _whole(b)
    if n == 0:
        a = pair(a)
        return Pair(_zero(a.re) + 1.0, _zero(a.re))
    if n is not None:
        y = _by_products(pair(a), abs(n))
        return divide(1.0, y) if n < 0 else y
    a, b = pair(a), pair(b)
    y = exp(multiply(b, log(Pair(a.re, a.im + _zero(a.re) if type(a.im) is float else a.im))))
    real = np.equal(b.im, 0)
    one = real & np.equal(b.re, 1)
    re, im = np.where(one, a.re, y.re), np.where(one, a.im, y.im)
    of_zero = np.equal(a.re, 0) & np.equal(a.im, 0)
    at_zero = np.where(np.greater(b.re, 0), 0.0, np.nan)
    re, im = np.where(of_zero, at_zero, re), np.where(of_zero, at_zero, im)
    to_zero = real & np.equal(b.re, 0)
    return Pair(np.where(to_zero, 1.0, re), np.where(to_zero, 0.0, im))


def _whole(b):
    """An exponent as a whole number, if it is one that is known. (A tensor says of itself that it is a float.)"""
    if isinstance(b, Pair):
        b = b.re if type(b.im) is not np.ndarray and not is_tensor(b.im) and b.im == 0 else None
    if is_tensor(b) or type(b) is bool or not isinstance(b, (int, float, np.integer, np.floating)):
        return None
    return int(b) if abs(b) < 100 and b == int(b) else None


def _by_products(z, n):
    y = None
    while True:
        if n & 1:
            y = z if y is None else multiply(y, z)
        n >>= 1
        if not n:
            return y
        z = multiply(z, z)


# Shapes, indices, sums: the same for both parts


def _each(name, many=1):
    """A rule for an op that treats the parts of its first arguments (many; None: of all) alike."""
    op = OPS[name]

    def rule(*args, **params):
        k = len(args) if many is None else many
        if not isinstance(args[0], Pair) and many is not None and k > 1:
            return None  # complex numbers into a real array
        rows = [(a.re, a.im) if isinstance(a, Pair) else (a, _zero(a)) for a in args[:k]]
        return Pair(*(bind(op, *part, *args[k:], **params) for part in zip(*rows, strict=True)))

    RULES[name] = rule


for _name in (
    "reshape", "transpose", "broadcast_to", "flip", "roll", "getitem", "pad", "diagonal", "diagonal_matrix", "sum", "cumsum",
    "scatter",
):  # fmt: skip
    _each(_name)
_each("index_set", 2)
_each("concatenate", None)
_each("stack", None)


@_rule("prod")
def prod(z, axes, keepdims):
    """Halves are multiplied until one number is left of each line."""
    shape = shape_of(z.re)
    n = len(shape)
    axes = tuple(range(n)) if axes is None else tuple(a % n for a in axes)
    kept = [i for i in range(n) if i not in axes]
    lines = tuple(shape[i] for i in kept)
    turned = [np.reshape(np.transpose(x, (*axes, *kept)), (-1, *lines)) for x in z]
    z, rest = Pair(*turned), None
    if not shape_of(z.re)[0]:
        return None
    while (m := shape_of(z.re)[0]) > 1:
        if m % 2:
            last = Pair(z.re[-1], z.im[-1])
            rest = last if rest is None else multiply(rest, last)
        z = multiply(Pair(z.re[: m // 2], z.im[: m // 2]), Pair(z.re[m // 2 : m // 2 * 2], z.im[m // 2 : m // 2 * 2]))
    z = Pair(z.re[0], z.im[0])
    z = z if rest is None else multiply(z, rest)
    return (
        Pair(*(np.reshape(x, tuple(1 if i in axes else k for i, k in enumerate(shape))) for x in z)) if keepdims else z
    )


@_rule("all")
def all_(z, axes=None, keepdims=False):
    return np.all(np.not_equal(z.re, 0) | np.not_equal(z.im, 0), axis=axes, keepdims=keepdims)


@_rule("any")
def any_(z, axes=None, keepdims=False):
    return np.any(np.not_equal(z.re, 0) | np.not_equal(z.im, 0), axis=axes, keepdims=keepdims)


@_rule("convolve")
def convolve(a, v, mode):
    a, v = (x if isinstance(x, Pair) else Pair(x, _zero(x)) for x in (a, v))
    return Pair(
        np.convolve(a.re, v.re, mode) - np.convolve(a.im, v.im, mode),
        np.convolve(a.re, v.im, mode) + np.convolve(a.im, v.re, mode),
    )


@_rule("matmul")
def matmul(a, b):
    """Small products by real ones; others are BLAS' (native/products.py)."""
    a, b = pair(a), pair(b)
    p, q = shape_of(a.re), shape_of(b.re)
    if math.prod(p) * (q[-1] if len(q) > 1 else 1) > FEW and len(p) > 1 and len(q) > 1:
        return None
    real = lambda x: isinstance(x, float)
    rr = a.re @ b.re
    if real(a.im):
        return Pair(rr, a.re @ b.im)
    if real(b.im):
        return Pair(rr, a.im @ b.re)
    return Pair(rr - a.im @ b.im, a.re @ b.im + a.im @ b.re)
