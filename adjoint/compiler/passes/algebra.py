"""Rules for ops that work entry by entry. A rule (builder, line) returns what the line is equal to, or None.

Where the result has another type than the line, `simplify` drops it. Names: x, y variables or constants; c a number known.
"""

import math

import numpy as np

from ...core.config import config
from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Const, Var
from .rewrite import constant, fit, number

_op = OPS.__getitem__
ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATIVE = map(_op, ("add", "subtract", "multiply", "divide", "negative"))
WHERE, EQUAL, NOT_EQUAL, NOT, ISINF = map(_op, ("where", "equal", "not_equal", "logical_not", "isinf"))
STRONG, ASTYPE, SCATTER, SOFTPLUS = map(_op, ("strong_mul", "astype", "scatter", "softplus"))


def _real(v):
    return v.type.dtype.kind in "fiub"


def _float(v):
    return v.type.dtype.kind == "f"


def both_ways(line):
    """The two arguments in either order."""
    x, y = line.args
    return (x, y), (y, x)


def _zero(c, negative):
    """Whether a known number is the zero of this sign; that of integers is +0."""
    return c is not None and c == 0 and (np.signbit(c) if isinstance(c, (float, np.floating)) else False) == negative


# The sign of zero


def never_minus_zero(b, v, depth=8):
    """Whether no entry of v can be -0.0."""
    if v.type.dtype.kind not in "fc":
        return True
    if v.type.dtype.kind == "c":
        return False
    if type(v) is Const:
        value = np.asarray(v.value)
        return not bool(((value == 0) & np.signbit(value)).any())
    key = ("sign", v)
    if key not in b.memo:
        line = b.defs.get(v)
        b.memo[key] = line is not None and depth > 0 and _positive_zero(b, line, depth - 1)
    return b.memo[key]


def _positive_zero(b, line, depth):
    name, args = line.op.name, line.args
    if OPS.get(name) is not line.op:
        return False
    if name in _NONNEGATIVE:
        return True
    if name == "multiply":
        return args[0] is args[1]
    if name == "add":  # -0.0 is the sum of two of them only; a scatter may come to be added in place, where a -0.0 stays
        return any(b.made_by(a, SCATTER) is None and never_minus_zero(b, a, depth) for a in args)
    if name == "subtract":
        return never_minus_zero(b, args[0], depth)
    if name == "astype":
        return args[0].type.dtype.kind in "iub"
    if name == "scatter":
        return len(args) > 1 or never_minus_zero(b, args[0], depth)  # with index arrays: added to zeros
    if name == "where":
        args = args[1:]
    elif name == "getitem":
        args = args[:1]
    elif name not in _PASS_ON:
        return False
    return all(never_minus_zero(b, a, depth) for a in args)


_NONNEGATIVE = {"exp", "exp2", "cosh", "square", "absolute", "fabs", "sigmoid", "sum", "softmax"}
_PASS_ON = {
    "broadcast_to", "reshape", "transpose", "copy", "flip", "roll", "concatenate", "stack", "pad", "maximum", "minimum",
}  # fmt: skip


# Sums


def add(b, line):
    t = line.out.type
    for x, y in both_ways(line):
        c = constant(b, y)
        if c is not None and _real(x) and (_zero(c, True) or (_zero(c, False) and never_minus_zero(b, x))):
            return fit(b, x, t)
    for x, y in both_ways(line):
        n = b.made_by(y, NEGATIVE)
        if n is not None and _same_negative(y, t):
            return b.apply(SUBTRACT, [x, n.args[0]])
    # zeros + (v scattered into zeros): the zero is added to v, lest a -0.0 stay
    for x, y in both_ways(line):
        s = b.made_by(y, SCATTER)
        if s is not None and _zero(constant(b, x), False) and _float(x) and y.type == t:
            v = b.apply(ADD, [s.args[0], number(0, t)])
            return b.apply(SCATTER, [v, *s.args[1:]], s.params)
    return None


def subtract(b, line):
    x, y = line.args
    c = constant(b, y)
    if _zero(c, False) and not (isinstance(c, (complex, np.complexfloating))):
        return fit(b, x, line.out.type)
    if _zero(constant(b, x), True) and _float(x) and _float(y):
        return fit(b, b.apply(NEGATIVE, [y]), line.out.type)
    n = b.made_by(y, NEGATIVE)
    return b.apply(ADD, [x, n.args[0]]) if n is not None and _same_negative(y, line.out.type) else None


def _same_negative(y, t):
    """Whether -y is the same in this type: of a uint8, or of the smallest int8, it is not in a larger one."""
    return _float(y) or y.type.dtype == t.dtype


# Products

_SIGNED = (int, float, np.float64, np.float32)  # numbers that have a negative; the whole number 0 has none


def multiply(b, line):
    t = line.out.type
    for x, y in both_ways(line):
        c = constant(b, y)
        if c is None or not _real(x):
            continue
        if c == 1:
            return fit(b, x, t)
        if c == -1 and _float(x) and t.dtype == x.type.dtype:
            return fit(b, b.apply(NEGATIVE, [x]), t)
        n = b.made_by(x, NEGATIVE)
        if (
            n is not None
            and _float(x)
            and type(y) is Const
            and type(y.value) in _SIGNED
            and (c != 0 or type(c) is not int)
        ):
            return b.apply(MULTIPLY, [n.args[0], Const(-y.value)])
        twice = _twice(b, x, c, t)
        if twice is not None:
            return twice
    return _signs(b, line, MULTIPLY)


def _twice(b, x, c, t):
    """A number times a power of two times another number: the first product is exact, and may overflow only if the second does."""
    made = b.made_by(x, MULTIPLY) if t.dtype.kind == "f" and x.type == t and not t.weak else None
    if made is None or not 1 <= abs(c) < math.inf:
        return None
    for z, k in both_ways(made):
        d = constant(b, k)
        if d is None or z.type != t or type(z) is Const or not 1 <= abs(d) < math.inf or abs(math.frexp(d)[0]) != 0.5:
            continue
        product = t.dtype.type(float(t.dtype.type(c)) * float(d))
        if np.isfinite(product):
            return b.apply(MULTIPLY, [z, Const(product)])
    return None


def _signs(b, line, op):
    """Signs of factors go out of a product, where they meet other signs."""
    x, y = line.args
    if not (_float(x) and _float(y)):
        return None
    m, n = b.made_by(x, NEGATIVE), b.made_by(y, NEGATIVE)
    if m is not None and n is not None:
        return b.apply(op, [m.args[0], n.args[0]])
    if m is not None and b.once(x):
        return b.apply(NEGATIVE, [b.apply(op, [m.args[0], y])])
    if n is not None and b.once(y):
        return b.apply(NEGATIVE, [b.apply(op, [x, n.args[0]])])
    return None


def divide(b, line):
    x, y = line.args
    t = line.out.type
    c = constant(b, y)
    if c is not None and t.dtype.kind == "f" and _real(x) and isinstance(c, (int, float, np.number)):
        if c == 1:
            return fit(b, x, t)
        mantissa, exponent = math.frexp(c)
        if abs(mantissa) == 0.5 and abs(exponent) < (
            1000 if t.dtype == np.float64 else 100 if t.dtype == np.float32 else 0
        ):
            # by a power of two: to multiply by its inverse is exact
            inverse = 1.0 / float(c)
            return b.apply(MULTIPLY, [x, Const(inverse) if y.type.weak else Const(y.type.dtype.type(inverse))])
    return _signs(b, line, DIVIDE)


def strong_mul(b, line):
    """A product in which 0 * inf is 0 is a plain one where there is no 0 on the left, or no infinity on the right, or never both.

    Never both: of x * (x * y - z), as squares of differences leave behind, the second factor is no zero where x is infinite or NaN.
    """
    g, p = line.args
    plain = config.ieee or (type(g) is Const and _all(b, g, np.bool_))
    if plain or never_special(b, p) or special_where(b, g, p):
        return b.apply(MULTIPLY, [g, p])
    made = b.made_by(g, WHERE)
    if made is None or line.out.type.weak:
        return None
    # where nothing was chosen, nothing comes of it: (a where c, else 0) p is (a p where c, else 0)
    c, *sides = made.args
    for i, x in enumerate(sides):
        if _zero(constant(b, sides[1 - i]), False) and (type(x) is Const or b.once(g)) and x.type.dtype == g.type.dtype:
            x = number(x.value, x.type) if type(x) is Const and x.type.weak else x
            product = b.apply(STRONG, [x, p])
            sides = [number(0, product.type)] * 2
            sides[i] = product
            return b.apply(WHERE, [c, *sides])
    return None


def _all(b, c, test):
    key = (test, c)
    if key not in b.memo:
        b.memo[key] = bool(np.all(test(c.value)))
    return b.memo[key]


def never_special(b, v, depth=8):
    """Whether no entry of v can be infinite or NaN: integers, and what is chosen or copied from finite constants."""
    if v.type.dtype.kind in "iub":
        return True
    if type(v) is Const:
        return _all(b, v, np.isfinite)
    line = b.defs.get(v)
    if line is None or not depth or OPS.get(line.op.name) is not line.op:
        return False
    name = line.op.name
    if name in ("where", "getitem", "scatter"):
        args = line.args[1:] if name == "where" else line.args[:1]
        if name == "scatter" and len(line.args) > 1:  # repeated entries add up
            return False
    elif name in (
        "broadcast_to",
        "reshape",
        "transpose",
        "copy",
        "flip",
        "roll",
        "concatenate",
        "stack",
        "pad",
        "negative",
        "sign",
    ):
        args = line.args
    elif name == "astype":
        return line.args[0].type.dtype.kind in "iub" and v.type.dtype.itemsize >= 4
    else:
        return False
    return all(never_special(b, a, depth - 1) for a in args)


_SPECIAL_MOST = 24  # values that are looked at: of loops that are laid out all are made of all, and each product asks
_SPECIAL_IF_ANY = {OPS[name] for name in ("multiply", "add", "subtract")}  # inf * 0 and inf - inf are NaN
_SPECIAL_IF_FIRST = {
    OPS[name] for name in ("negative", "absolute", "square", "sqrt", "divide", "sin", "cos", "log", "strong_mul")
}
_SPECIAL_ONLY_IF = {"negative", "absolute", "sin", "cos", "tanh", "arctan"}


def special_where(b, v, p, depth=8):
    """Whether each entry of v is infinite or NaN where that of p, of the same shape, is."""
    if type(v) is not Var or type(p) is not Var or not (_float(v) and _float(p)):
        return False
    source = b.defs.get(p)
    while source is not None and source.op.name in _SPECIAL_ONLY_IF and OPS.get(source.op.name) is source.op:
        (p,) = source.args
        source = b.defs.get(p)
    if type(p) is not Var:
        return False
    shape, dtype = p.type.shape, p.type.dtype
    row = [v] if v.type.shape == shape and v.type.dtype == dtype else []
    seen = set(row)
    defs = b.defs
    while row and depth >= 0 and len(seen) <= _SPECIAL_MOST:
        if p in row:
            return True
        depth -= 1
        below: list = []
        for x in row:
            line = defs.get(x)
            if line is not None and line.op in _SPECIAL_IF_ANY:
                below += line.args
            elif line is not None and line.op in _SPECIAL_IF_FIRST:
                below.append(line.args[0])
        row = []
        for x in below:
            t = x.type
            if x not in seen and t.shape == shape and (t.dtype is dtype or t.dtype == dtype) and type(x) is Var:
                seen.add(x)
                row.append(x)
    return False


def logaddexp(b, line):
    """log(1 + e**x) takes less, and shares its exponential with the sigmoid that is its derivative."""
    for x, y in both_ways(line):
        c = constant(b, y)
        if c is not None and c == 0 and _float(x) and x.type.dtype == line.out.type.dtype:
            return fit(b, b.apply(SOFTPLUS, [x]), line.out.type)
    return None


def power(b, line):
    x, y = line.args
    c = constant(b, y)
    if c is None or not _real(x):
        return None
    if c == 1:
        return fit(b, x, line.out.type)
    if c == 0:
        return fit(b, number(1, line.out.type), line.out.type)
    return None


# Signs


def negative(b, line):
    (x,) = line.args
    n = b.made_by(x, NEGATIVE)
    return None if n is None else n.args[0]  # but -(x - y) is not y - x: the zeros differ in sign


def even(b, line):
    """A function of |x|."""
    n = b.made_by(line.args[0], NEGATIVE)
    return None if n is None or not _float(n.args[0]) else b.apply(line.op, [n.args[0]], line.params)


def same(b, line):
    """The value itself."""
    return line.args[0]


def twice(b, line):
    """f(f(x)) = x."""
    n = b.made_by(line.args[0], line.op)
    return None if n is None or n.params != line.params else n.args[0]


# Choices


def where(b, line):
    c, x, y = line.args
    t = line.out.type
    test = constant(b, c)
    if test is not None:
        return _as(b, x if test else y, t)
    if x is y or _equal(b, x, y):
        return _as(b, x, t)
    n = b.made_by(c, NOT)
    if n is not None and n.args[0].type.dtype.kind == "b":
        return b.apply(WHERE, [n.args[0], y, x])
    inner = b.made_by(x, WHERE)
    if inner is not None and inner.args[0] is c and inner.args[1].type.dtype == x.type.dtype:
        return b.apply(WHERE, [c, inner.args[1], y])
    inner = b.made_by(y, WHERE)
    if inner is not None and inner.args[0] is c and inner.args[2].type.dtype == y.type.dtype:
        return b.apply(WHERE, [c, x, inner.args[2]])
    return None


def _equal(b, x, y):
    """Whether two numbers known are the same, bit for bit."""
    if type(x) is Var and type(y) is Var:
        return False
    c, d = constant(b, x), constant(b, y)
    return c is not None and d is not None and x.type == y.type and np.asarray(c).tobytes() == np.asarray(d).tobytes()


def _as(b, v, t):
    """v converted and broadcast to the type t."""
    if type(v.type) is not Array or t.weak:
        return v
    if v.type.dtype != t.dtype:
        v = b.apply(ASTYPE, [v], {"dtype": t.dtype})
    return fit(b, v, t)


def extremum(b, line):
    x, y = line.args
    if x is y:
        return x
    worst = -math.inf if line.op.name == "maximum" else math.inf
    for x, y in both_ways(line):
        c = constant(b, y)
        if c is not None and _float(x) and isinstance(c, (float, np.floating)) and c == worst:
            return fit(b, x, line.out.type)
    return None


def clip(b, line):
    x, lo, hi = line.args
    if _float(x) and constant(b, lo) == -math.inf and constant(b, hi) == math.inf:
        return fit(b, x, line.out.type)
    return None


# Tests


def equality(b, line):
    for x, y in both_ways(line):  # -x = 0 as x = 0
        n = b.made_by(x, NEGATIVE)
        c = constant(b, y)
        if n is not None and c is not None and c == 0:
            return b.apply(line.op, [n.args[0], y])
    return None


def logical_not(b, line):
    (x,) = line.args
    e = b.made_by(x, EQUAL, NOT_EQUAL, NOT)
    if e is None:
        return None
    if e.op is NOT:
        return e.args[0] if e.args[0].type.dtype.kind == "b" else None
    return b.apply(NOT_EQUAL if e.op is EQUAL else EQUAL, e.args)


def conjunction(b, line):
    """Of truth values: with True or with itself the other one; with False, False. What is a finite number is not inf."""
    for x, y in both_ways(line):
        e, inf = b.made_by(x, EQUAL), b.made_by(y, ISINF)
        if e is None or inf is None:
            continue
        for u, v in both_ways(e):
            c = constant(b, v)
            if u is inf.args[0] and c is not None and np.isfinite(c):
                return fit(b, number(False, line.out.type), line.out.type)
    return _logic(b, line, True)


def disjunction(b, line):
    return _logic(b, line, False)


def _logic(b, line, neutral):
    x, y = line.args
    t = line.out.type
    if not (x.type.dtype.kind == y.type.dtype.kind == "b"):
        return None
    if x is y:
        return fit(b, x, t)
    for x, y in both_ways(line):
        c = constant(b, y)
        if c is not None:
            return fit(b, x, t) if bool(c) == neutral else fit(b, number(not neutral, t), t)
    return None


RULES = {
    "add": [add],
    "subtract": [subtract],
    "multiply": [multiply],
    "divide": [divide],
    "strong_mul": [strong_mul],
    "power": [power],
    "logaddexp": [logaddexp],
    "negative": [negative],
    "positive": [same],
    "copy": [same],
    "conjugate": [twice],
    "absolute": [even],
    "fabs": [even],
    "square": [even],
    "where": [where],
    "maximum": [extremum],
    "minimum": [extremum],
    "clip": [clip],
    "equal": [equality],
    "not_equal": [equality],
    "logical_not": [logical_not],
    "logical_and": [conjunction],
    "bitwise_and": [conjunction],
    "logical_or": [disjunction],
    "bitwise_or": [disjunction],
}
