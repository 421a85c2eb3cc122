"""Machine: elementwise ops as instructions on registers. The methods of `Machine` bear the names of our ops.

Each takes the result's dtype and the arguments' Values, all of one width, and returns a Value; `cast` is what NumPy's
promotion did before. An op that has no method here is elementwise no more: it is called back into NumPy.
"""

import numpy as np

from . import vecmath
from .code import BOOL, DOUBLE, INT, Value, element, half_dtype, mangled, register

FAST = "contract"  # a * b + c may become one fma; NaN, infinities and signed zeros keep their meaning
_COMPARE = {  # op -> (floating, signed, unsigned)
    "less": ("olt", "slt", "ult"), "less_equal": ("ole", "sle", "ule"), "greater": ("ogt", "sgt", "ugt"),
    "greater_equal": ("oge", "sge", "uge"), "equal": ("oeq", "eq", "eq"), "not_equal": ("une", "ne", "ne"),
}  # fmt: skip
_MATH = {  # our op -> the name in vecmath
    name: name
    for name in (
        "exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh",
        "arctanh", "expm1", "log1p", "exp2", "log2", "log10", "cbrt", "erf", "erfc", "sigmoid", "softplus",
        "digamma", "arctan2", "hypot", "fmod", "logaddexp",
    )
} | {"gammaln": "lgamma", "expit": "sigmoid", "psi": "digamma"}  # fmt: skip
_COST = {"divide": 4, "sqrt": 5, "power": 25, "getitem": 6, "remainder": 20, "floor_divide": 20, "where": 1, "astype": 0.5, "loggamma": 12}


def cost(name):
    """About how many additions an op costs."""
    return 12 if name in _MATH else _COST.get(name, 1)


class Machine:
    """Elementwise ops, emitted into a Code."""

    def __init__(self, code):
        self.code = code
        self.inline = False
        self.masks = False  # choices between scalars are made by masks, not by jumps

    def can(self, name, types, out):
        """Whether an op on these element types is done in registers."""
        if name in _MATH or name == "power":
            return out.dtype.kind == "f" and vecmath.supported(_MATH.get(name, name))
        if name in _COMPARE:
            return True
        if not hasattr(Machine, name):
            return False
        if name in ("floor_divide", "remainder") and out.dtype.kind == "f":
            return vecmath.supported("fmod")
        if name in ("left_shift", "right_shift", "bitwise_count"):
            return all(t.dtype.kind in "iu" for t in types)
        return name not in _FLOAT_ONLY or all(t.dtype.kind == "f" for t in types)

    def apply(self, name, out, values, params):
        """The op of this name on values of one width."""
        if name in _MATH:
            return self.math(_MATH[name], *[self.cast(v, out) for v in values])
        if name in _COMPARE:
            return self.compare(name, *values)
        method = getattr(self, name)
        if name == "paired":
            return self.paired(*[self.cast(v, half_dtype(out)) for v in values])
        if name in _TESTS or name == "bitwise_count":
            return method(*values)
        if name == "where":
            return self.where(values[0], self.cast(values[1], out), self.cast(values[2], out))
        if name in ("astype", "stop_gradient", "copy"):
            return self.cast(values[0], out)
        if name == "clip" and out.kind in "iu":  # a bound may be a Python int that the dtype does not hold
            values = [self.saturated(v, out) for v in values]
        return method(*[self.cast(v, out) for v in values])

    # What everything is made of

    def text(self, text, dtype, width):
        return self.code.value(text, dtype, width)

    def of(self, x, like):
        """A number in the dtype and width of a value."""
        return self.code.constant(x, like.dtype, like.width)

    def binary(self, text, a, b):
        return self.text(f"{text} {a}, {b.name}", a.dtype, a.width)

    def test(self, text, a, b):
        return self.text(f"{text} {a}, {b.name}", BOOL, a.width)

    def select(self, c, a, b):
        if self.masks and a.width == 1 and a.dtype == DOUBLE and c.name.startswith("%"):
            return self._blend(c, a, b)
        return self.text(f"select {c}, {a}, {b}", a.dtype, a.width)

    def call(self, name, *xs):
        """An overloaded intrinsic of arguments and result of one type."""
        kind = xs[0].type
        f = self.code.intrinsic(name, kind, f"{kind} @{{}}({', '.join([kind] * len(xs))})")
        return self.text(f"call {kind} @{f}({', '.join(map(str, xs))})", xs[0].dtype, xs[0].width)

    def math(self, name, *xs):
        """A function of vecmath; odd widths are padded to the next power of two."""
        n = xs[0].width
        wide = 1 << (n - 1).bit_length()
        if wide > 16:
            halves = [self.math(name, *[self.code.shuffle(x, range(a, b)) for x in xs]) for a, b in ((0, n // 2), (n // 2, n))]
            return self.code.join(halves)
        if wide != n:
            xs = [self.code.shuffle(x, [*range(n), *[0] * (wide - n)]) for x in xs]
        kind = element(xs[0].dtype)
        f = vecmath.request(self.code.module, name, kind, wide, self.inline)
        y = self.text(f"call {xs[0].type} @{f}({', '.join(map(str, xs))})", xs[0].dtype, wide)
        return self.code.shuffle(y, range(n)) if wide != n else y

    def cast(self, x, dtype):
        a = x.dtype
        if a == dtype:
            return x
        to = register(dtype, x.width)
        if dtype.kind == "b":
            return self.truth(x)
        if a.kind == "b":
            return self.text(f"{'uitofp' if dtype.kind == 'f' else 'zext'} {x} to {to}", dtype, x.width)
        if a.kind == "f" and dtype.kind == "f":
            return self.text(f"{'fpext' if dtype.itemsize > a.itemsize else 'fptrunc'} {x} to {to}", dtype, x.width)
        if a.kind == "f":
            # NumPy's conversion of what does not fit is C's, undefined; saturating is one of its results
            name = "fptosi.sat" if dtype.kind == "i" else "fptoui.sat"
            wide = register(INT if dtype.kind == "i" else np.dtype(np.uint64), x.width)
            symbol = f"llvm.{name}.{mangled(wide)}.{mangled(x.type)}"
            self.code.module.declare(symbol, f"declare {wide} @{symbol}({x.type})")
            y = self.text(f"call {wide} @{symbol}({x})", INT if dtype.kind == "i" else np.dtype(np.uint64), x.width)
            return self.cast(y, dtype)
        if dtype.kind == "f":
            return self.text(f"{'sitofp' if a.kind == 'i' else 'uitofp'} {x} to {to}", dtype, x.width)
        if a.itemsize == dtype.itemsize:
            return Value(x.name, dtype, x.width)
        grow = "sext" if a.kind == "i" else "zext"
        return self.text(f"{grow if dtype.itemsize > a.itemsize else 'trunc'} {x} to {to}", dtype, x.width)

    def saturated(self, x, dtype):
        """An integer, no smaller and no larger than a dtype can hold."""
        if x.dtype == dtype or x.dtype.kind not in "iu":
            return x
        have, room = np.iinfo(x.dtype), np.iinfo(dtype)
        x = self.maximum(x, self.of(room.min, x)) if room.min > have.min else x
        return self.minimum(x, self.of(room.max, x)) if room.max < have.max else x

    def truth(self, x):
        if x.dtype.kind == "b":
            return x
        zero = self.of(0, x)
        return self.test("fcmp une" if x.dtype.kind == "f" else "icmp ne", x, zero)

    def compare(self, name, a, b):
        dtype = np.result_type(a.dtype, b.dtype)
        a, b = self.cast(a, dtype), self.cast(b, dtype)
        f, s, u = _COMPARE[name]
        kind = dtype.kind
        return self.test(f"fcmp {f}" if kind == "f" else f"icmp {s if kind == 'i' else u}", a, b)

    # Arithmetic

    def _arithmetic(self, floating, integer, a, b):
        if a.dtype.kind == "f":
            return self.binary(f"{floating} {FAST}", a, b)
        return self.binary(integer, a, b)

    def add(self, a, b):
        return self.binary("or", a, b) if a.dtype.kind == "b" else self._arithmetic("fadd", "add", a, b)

    def subtract(self, a, b):
        return self._arithmetic("fsub", "sub", a, b)

    def multiply(self, a, b):
        return self.binary("and", a, b) if a.dtype.kind == "b" else self._arithmetic("fmul", "mul", a, b)

    def divide(self, a, b):
        return self.binary(f"fdiv {FAST}", a, b)

    def negative(self, x):
        if x.dtype.kind == "f":
            return self.text(f"fneg {x}", x.dtype, x.width)
        return self.binary("sub", self.of(0, x), x)

    def positive(self, x):
        return x

    def conjugate(self, x):
        return x

    real = positive

    def stop_gradient(self, x):
        return x

    def astype(self, x):
        return x

    copy = astype

    def square(self, x):
        return self.multiply(x, x)

    def reciprocal(self, x):
        return self.divide(self.of(1, x), x)

    def sqrt(self, x):
        return self.call("sqrt", x)

    def absolute(self, x):
        if x.dtype.kind == "f":
            return self.call("fabs", x)
        if x.dtype.kind == "i":
            return self.select(self.test("icmp slt", x, self.of(0, x)), self.negative(x), x)
        return x

    fabs = absolute

    def maximum(self, a, b):
        if a.dtype.kind == "f":
            take = self._or(self.test("fcmp oge", a, b), self.isnan(a))
        else:
            take = self.compare("greater_equal", a, b)
        return self.select(take, a, b)

    def minimum(self, a, b):
        if a.dtype.kind == "f":
            take = self._or(self.test("fcmp ole", a, b), self.isnan(a))
        else:
            take = self.compare("less_equal", a, b)
        return self.select(take, a, b)

    def fmax(self, a, b):
        return self.select(self._or(self.compare("greater_equal", a, b), self.isnan(b)), a, b)

    def fmin(self, a, b):
        return self.select(self._or(self.compare("less_equal", a, b), self.isnan(b)), a, b)

    def clip(self, x, lo, hi):
        return self.minimum(self.maximum(x, lo), hi)

    def where(self, c, a, b):
        return self.select(self.truth(c), a, b)

    def sign(self, x):
        if x.dtype.kind == "b":
            return x
        zero, one = self.of(0, x), self.of(1, x)
        y = self.select(self.compare("greater", x, zero), one, x if x.dtype.kind == "f" else zero)
        if x.dtype.kind == "u":
            return y
        y = self.select(self.compare("less", x, zero), self.of(-1, x), y)
        return self.select(self.compare("equal", x, zero), zero, y)

    def copysign(self, a, b):
        return self.call("copysign", a, b)

    def heaviside(self, x, h):
        y = self.select(self.compare("greater", x, self.of(0, x)), self.of(1, x), self.of(0, x))
        y = self.select(self.compare("equal", x, self.of(0, x)), h, y)
        return self.select(self.isnan(x), x, y)

    def relu(self, x):
        # x where it is positive or NaN
        return self.select(self.test("fcmp ole", x, self.of(0, x)), self.of(0, x), x)

    def deg2rad(self, x):
        return self.multiply(x, self.of(np.pi / 180, x))

    def rad2deg(self, x):
        return self.multiply(x, self.of(180 / np.pi, x))

    def strong_mul(self, g, p):
        # g * p, and 0 where g is 0, whatever p is
        if self.masks and g.width == 1 and g.dtype == p.dtype and g.dtype.itemsize == 8 and g.name.startswith("%"):
            return self._unless_zero(g, self.multiply(g, p))
        return self.select(self.compare("equal", g, self.of(0, g)), self.of(0, g), self.multiply(g, p))

    def _unless_zero(self, g, x):
        # LLVM makes a jump of a scalar select whose test others ask for too, as one cotangent is a factor many times. This is a mask.
        f = "llvm.x86.sse2.cmp.sd"
        self.code.module.declare(f, f"declare <2 x double> @{f}(<2 x double>, <2 x double>, i8)")
        emit = self.code.emit
        pair = emit(f"insertelement <2 x double> zeroinitializer, {g}, i64 0")
        pair = emit(f"call <2 x double> @{f}(<2 x double> {pair}, <2 x double> zeroinitializer, i8 4)")  # 4: not equal, or NaN
        mask = emit(f"extractelement <2 x double> {pair}, i64 0")
        bits = emit(f"and i64 {emit(f'bitcast double {mask} to i64')}, {emit(f'bitcast {x} to i64')}")
        return self.text(f"bitcast i64 {bits} to double", x.dtype, 1)

    def _blend(self, c, a, b):
        # as above, where the test is any: a scalar select is a jump, unless nobody else asks for its test
        f = "llvm.x86.sse41.blendvpd"
        pair = "<2 x double>"
        self.code.module.declare(f, f"declare {pair} @{f}({pair}, {pair}, {pair})")
        emit = self.code.emit
        mask = emit(f"bitcast i64 {emit(f'sext {c} to i64')} to double")
        b, a, mask = (emit(f"insertelement {pair} zeroinitializer, double {x}, i64 0") for x in (b.name, a.name, mask))
        pair = emit(f"call {pair} @{f}({pair} {b}, {pair} {a}, {pair} {mask})")
        return self.text(f"extractelement <2 x double> {pair}, i64 0", DOUBLE, 1)

    def loggamma(self, x):
        # of a complex function: no real number left of 0, where gammaln is log |gamma|
        return self.select(self.test("fcmp olt", x, self.of(0, x)), self.of(np.nan, x), self.math("lgamma", x))

    def power(self, a, b):
        return self.math("power", a, b)

    def remainder(self, a, b):
        if a.dtype.kind != "f":
            return self._divided(a, b)[1]
        r = self.math("fmod", a, b)
        zero = self.of(0, r)
        wrong = self._and(self.compare("not_equal", r, zero), self._differ(r, b))
        r = self.select(wrong, self.add(r, b), r)
        return self.select(self.compare("equal", r, zero), self.copysign(zero, b), r)

    def floor_divide(self, a, b):
        if a.dtype.kind != "f":
            return self._divided(a, b)[0]
        r = self.math("fmod", a, b)
        q = self.divide(self.subtract(a, r), b)
        wrong = self._and(self.compare("not_equal", r, self.of(0, r)), self._differ(r, b))
        q = self.select(wrong, self.subtract(q, self.of(1, q)), q)
        f = self.floor(q)
        f = self.select(self.compare("greater", self.subtract(q, f), self.of(0.5, q)), self.add(f, self.of(1, f)), f)
        f = self.select(self.compare("equal", q, self.of(0, q)), self.copysign(self.of(0, q), self.divide(a, b)), f)
        return self.select(self.compare("equal", b, self.of(0, b)), self.divide(a, b), f)

    def _divided(self, a, b):
        # Python's floor division and remainder; by zero both are 0, as NumPy's. The divisor -1 is taken apart, since the
        # smallest number divided by it overflows
        if a.dtype.kind == "b":
            a, b = self.cast(a, np.dtype(np.int8)), self.cast(b, np.dtype(np.int8))
        zero, one = self.of(0, a), self.of(1, a)
        by_zero = self.compare("equal", b, zero)
        if a.dtype.kind == "u":
            d = self.select(by_zero, one, b)
            q, r = self.binary("udiv", a, d), self.binary("urem", a, d)
        else:
            minus = self.compare("equal", b, self.of(-1, b))
            d = self.select(self._or(by_zero, minus), one, b)
            q, r = self.binary("sdiv", a, d), self.binary("srem", a, d)
            wrong = self._and(self.compare("not_equal", r, zero), self._differ(r, b))
            q = self.select(wrong, self.subtract(q, one), q)
            r = self.select(wrong, self.add(r, b), r)
            q, r = self.select(minus, self.negative(a), q), self.select(minus, zero, r)
        return self.select(by_zero, zero, q), self.select(by_zero, zero, r)

    def _differ(self, a, b):
        zero = self.of(0, a)
        return self._xor(self.compare("less", a, zero), self.compare("less", b, zero))

    # Rounding and tests

    def _rounding(self, name, x):
        return x if x.dtype.kind != "f" else self.call(name, x)

    def floor(self, x):
        return self._rounding("floor", x)

    def ceil(self, x):
        return self._rounding("ceil", x)

    def trunc(self, x):
        return self._rounding("trunc", x)

    def rint(self, x):
        return self._rounding("roundeven", x)

    def isnan(self, x):
        if x.dtype.kind != "f":
            return self.code.constant(False, BOOL, x.width)
        return self.test("fcmp uno", x, x)

    def isinf(self, x):
        if x.dtype.kind != "f":
            return self.code.constant(False, BOOL, x.width)
        return self.test("fcmp oeq", self.absolute(x), self.of(np.inf, x))

    def isfinite(self, x):
        if x.dtype.kind != "f":
            return self.code.constant(True, BOOL, x.width)
        return self.test("fcmp olt", self.absolute(x), self.of(np.inf, x))

    def paired(self, x, y):
        """Real and imaginary parts as complex numbers lie in memory: in turn, in a vector of twice the width."""
        places = [i for k in range(x.width) for i in (k, k + x.width)]
        return self.code.shuffle(self.code.join([x, y]), places)

    def signbit(self, x):
        if x.dtype.kind != "f":
            return self.compare("less", x, self.of(0, x))
        whole = np.dtype(np.int64 if x.dtype == DOUBLE else np.int32)
        bits = self.text(f"bitcast {x} to {register(whole, x.width)}", whole, x.width)
        return self.test("icmp slt", bits, self.of(0, bits))

    # Logic and bits

    def _and(self, a, b):
        return self.binary("and", a, b)

    def _or(self, a, b):
        return self.binary("or", a, b)

    def _xor(self, a, b):
        return self.binary("xor", a, b)

    def logical_and(self, a, b):
        return self._and(self.truth(a), self.truth(b))

    def logical_or(self, a, b):
        return self._or(self.truth(a), self.truth(b))

    def logical_xor(self, a, b):
        return self._xor(self.truth(a), self.truth(b))

    def logical_not(self, x):
        x = self.truth(x)
        return self._xor(x, self.of(True, x))

    bitwise_and, bitwise_or, bitwise_xor = _and, _or, _xor

    def left_shift(self, x, n):
        inside = self.test("icmp ult", n, self.of(8 * n.dtype.itemsize, n))  # else, negative ones too: all is shifted out
        y = self.binary("shl", x, self.select(inside, n, self.of(0, n)))
        return self.select(inside, y, self.of(0, x))

    def right_shift(self, x, n):
        most = self.of(8 * n.dtype.itemsize - 1, n)
        inside = self.test("icmp ule", n, most)
        y = self.binary("ashr" if x.dtype.kind == "i" else "lshr", x, self.select(inside, n, most))
        return y if x.dtype.kind == "i" else self.select(inside, y, self.of(0, x))

    def bitwise_count(self, x):
        y = self.call("ctpop", self.absolute(x))
        return self.cast(y, np.dtype(np.uint8))

    def invert(self, x):
        return self._xor(x, self.of(True if x.dtype.kind == "b" else -1, x))


_TESTS = {"isnan", "isinf", "isfinite", "signbit", "logical_and", "logical_or", "logical_xor", "logical_not"}
_FLOAT_ONLY = {"copysign", "heaviside", "relu", "strong_mul", "deg2rad", "rad2deg", "reciprocal", "fmax", "fmin", "loggamma"}
ELEMENTWISE = {
    *_MATH, *_COMPARE, "power", "add", "subtract", "multiply", "divide", "negative", "positive", "conjugate", "real",
    "stop_gradient", "astype", "copy", "square", "reciprocal", "sqrt", "absolute", "fabs", "maximum", "minimum", "fmax",
    "fmin", "loggamma", "clip", "where", "sign", "copysign", "heaviside", "relu", "deg2rad", "rad2deg", "strong_mul", "remainder",
    "paired", "floor_divide", "floor", "ceil", "trunc", "rint", *_TESTS, "bitwise_and", "bitwise_or", "bitwise_xor", "invert",
    "left_shift", "right_shift", "bitwise_count",
}  # fmt: skip

