"""LLVM IR text written by arithmetic on Python values: `a * b + 1.0` emits two instructions.

A `Value` is one SSA value, a scalar or a vector of the builder's width. Nothing here carries fast-math flags: error-free
tricks must not be contracted, and where a fused multiply-add is wanted, `fma` says so. Knows LLVM's syntax; knows no
mathematics beyond error-free sums and products.
"""

import struct

BITS = {"double": "f64", "float": "f32", "i64": "i64", "i32": "i32", "i1": "i1", "i128": "i128"}
INTEGER = {"double": "i64", "float": "i32"}
REAL = {"i64": "double", "i32": "float"}
ATTRIBUTES = "nounwind willreturn memory(none)"


class Value:
    """One SSA value. Operators emit; comparisons are ordered, so false where an operand is NaN."""

    __slots__ = ("b", "kind", "text")

    def __init__(self, b, kind, text):
        self.b = b
        self.kind = kind
        self.text = text

    def _binary(self, real, integer, other, swap=False):
        op = real if self.kind in INTEGER else integer
        x, y = self.text, self.b.operand(self.kind, other)
        if swap:
            x, y = y, x
        return self.b.emit(self.kind, f"{op} {self.b.type(self.kind)} {x}, {y}")

    def __add__(self, other):
        return self._binary("fadd", "add", other)

    def __radd__(self, other):
        return self._binary("fadd", "add", other, swap=True)

    def __sub__(self, other):
        return self._binary("fsub", "sub", other)

    def __rsub__(self, other):
        return self._binary("fsub", "sub", other, swap=True)

    def __mul__(self, other):
        return self._binary("fmul", "mul", other)

    def __rmul__(self, other):
        return self._binary("fmul", "mul", other, swap=True)

    def __truediv__(self, other):
        return self._binary("fdiv", "udiv", other)

    def __rtruediv__(self, other):
        return self._binary("fdiv", "udiv", other, swap=True)

    def __mod__(self, other):
        return self._binary("frem", "urem", other)

    def __neg__(self):
        if self.kind in INTEGER:
            return self.b.emit(self.kind, f"fneg {self.b.type(self.kind)} {self.text}")
        return 0 - self

    def __and__(self, other):
        return self._binary("", "and", other)

    def __or__(self, other):
        return self._binary("", "or", other)

    def __xor__(self, other):
        return self._binary("", "xor", other)

    def __invert__(self):
        return self._binary("", "xor", True if self.kind == "i1" else -1)

    def __lshift__(self, other):
        return self._binary("", "shl", other)

    def __rshift__(self, other):
        """Logical: zeros come in."""
        return self._binary("", "lshr", other)

    def _compare(self, real, integer, other):
        op = f"fcmp {real}" if self.kind in INTEGER else f"icmp {integer}"
        text = f"{op} {self.b.type(self.kind)} {self.text}, {self.b.operand(self.kind, other)}"
        return self.b.emit("i1", text)

    def __lt__(self, other):
        return self._compare("olt", "slt", other)

    def __le__(self, other):
        return self._compare("ole", "sle", other)

    def __gt__(self, other):
        return self._compare("ogt", "sgt", other)

    def __ge__(self, other):
        return self._compare("oge", "sge", other)

    def equals(self, other):
        return self._compare("oeq", "eq", other)

    def differs(self, other):
        return self._compare("une", "ne", other)

    def isnan(self):
        return self._compare("uno", "", self)

    def bits(self):
        """The float's bits as an integer."""
        return self.cast("bitcast", INTEGER[self.kind])

    def real(self):
        """The integer's bits as a float."""
        return self.cast("bitcast", REAL[self.kind])

    def cast(self, op, kind):
        return self.b.emit(kind, f"{op} {self.b.type(self.kind)} {self.text} to {self.b.type(kind)}")


class Builder:
    """The body of one function. `fma`: the CPU has fused multiply-add."""

    def __init__(self, width, fma):
        self.width = width
        self.fma_native = fma
        self.lines = []
        self.declarations = {}
        self.functions = {}  # what the body calls: symbol -> definition
        self.block = "entry"
        self._count = 0
        self._constants = {}
        self._types = {}

    # ---- text ----

    def type(self, kind):
        found = self._types.get(kind)
        if found is None:
            found = self._types[kind] = kind if self.width == 1 else f"<{self.width} x {kind}>"
        return found

    def operand(self, kind, x):
        """The text of a value, or of a Python number as a constant of that kind in every lane."""
        if isinstance(x, Value):
            return x.text
        key = (kind, x, str(x))  # str: 0.0 and -0.0 are equal
        found = self._constants.get(key)
        if found is None:
            found = scalar(kind, x)
            if self.width != 1:
                found = f"splat ({kind} {found})"
            self._constants[key] = found
        return found

    def constant(self, kind, x):
        return Value(self, kind, self.operand(kind, x))

    def name(self):
        self._count += 1
        return f"%v{self._count}"

    def emit(self, kind, text):
        name = self.name()
        self.lines.append(f"  {name} = {text}")
        return Value(self, kind, name)

    def label(self, block):
        self.lines.append(f"{block}:")
        self.block = block

    # ---- calls ----

    def intrinsic(self, name, kind, *args):
        suffix = BITS[kind] if self.width == 1 else f"v{self.width}{BITS[kind]}"
        symbol, t = f"llvm.{name}.{suffix}", self.type(kind)
        if symbol not in self.declarations:
            self.declarations[symbol] = f"declare {t} @{symbol}({', '.join([t] * len(args))})"
        given = ", ".join(f"{t} {self.operand(kind, a)}" for a in args)
        return self.emit(kind, f"call {t} @{symbol}({given})")

    def fma(self, x, y, z):
        """x * y + z, with one rounding where the CPU can."""
        if not self.fma_native:
            return x * y + z
        kind = next(v.kind for v in (x, y, z) if isinstance(v, Value))
        return self.intrinsic("fma", kind, x, y, z)

    def abs(self, x):
        return self.intrinsic("fabs", x.kind, x)

    def sqrt(self, x):
        return self.intrinsic("sqrt", x.kind, x)

    def copysign(self, x, sign):
        return self.intrinsic("copysign", sign.kind, x, sign)

    def select(self, mask, x, y):
        kind = next(v.kind for v in (x, y) if isinstance(v, Value))
        return self.choose(kind, mask, x, y)

    def choose(self, kind, mask, x, y):
        """As select, for two constants."""
        t = self.type(kind)
        return self.emit(
            kind,
            f"select {self.type('i1')} {mask.text}, {t} {self.operand(kind, x)}, {t} {self.operand(kind, y)}",
        )

    # ---- branches ----

    def any(self, mask):
        """i1: is any lane set? As text, since it is a scalar."""
        if self.width == 1:
            return mask.text
        packed = self.emit("", f"bitcast <{self.width} x i1> {mask.text} to i{self.width}")
        return self.emit("", f"icmp ne i{self.width} {packed.text}, 0").text

    def where_any(self, mask, values, rare):
        """`values`, or where any lane of mask is set what rare() makes in a branch of its own."""
        self._count += 1
        taken, joined, before = f"rare{self._count}", f"join{self._count}", self.block
        self.lines.append(f"  br i1 {self.any(mask)}, label %{taken}, label %{joined}")
        self.label(taken)
        changed = rare()
        after = self.block
        self.lines.append(f"  br label %{joined}")
        self.label(joined)
        return [
            self.emit(x.kind, f"phi {self.type(x.kind)} [ {x.text}, %{before} ], [ {y.text}, %{after} ]")
            for x, y in zip(values, changed, strict=True)
        ]

    # ---- polynomials, error-free sums and products ----

    def horner(self, x, coefficients):
        """c[0] + c[1] x + ...: the fewest operations, the longest wait."""
        *rest, total = coefficients
        if rest and not isinstance(total, Value):
            total = self.constant(x.kind, total)
        for c in reversed(rest):
            total = self.fma(total, x, c)
        return total

    def poly(self, x, coefficients):
        """c[0] + c[1] x + ... as two half-length chains in x * x, which run side by side."""
        if len(coefficients) < 6:
            return self.horner(x, coefficients)
        x2 = x * x
        even, odd = self.horner(x2, coefficients[0::2]), self.horner(x2, coefficients[1::2])
        return self.fma(odd, x, even)

    def two_sum(self, x, y):
        """(s, e) with s + e == x + y exactly."""
        s = x + y
        t = s - x
        return s, (x - (s - t)) + (y - t)

    def fast_two_sum(self, x, y):
        """The same where |x| >= |y|, or x is 0."""
        s = x + y
        return s, (x - s) + y

    def two_product(self, x, y):
        """(p, e) with p + e == x * y exactly, nothing overflowing or subnormal."""
        p = x * y
        if self.fma_native:
            return p, self.fma(x, y, -p)
        xh, xl = self.split(x)
        yh, yl = self.split(y)
        return p, ((xh * yh - p) + xh * yl + xl * yh) + xl * yl

    def quotient(self, top, top_low, bottom, bottom_low=None):
        """(q, e) with q + e = (top + top_low) / (bottom + bottom_low) to almost twice the precision, by one division."""
        inverse = 1.0 / bottom
        q = top * inverse
        p, e = self.two_product(q, bottom)
        left = ((top - p) - e) + top_low
        if bottom_low is not None:
            left = self.fma(-q, bottom_low, left)
        return q, left * inverse

    def split(self, x):
        """(high, low) halves of x, whose products are exact [Veltkamp 1968, Dekker 1971]."""
        kind = x.kind if isinstance(x, Value) else "double"
        factor = 134217729.0 if kind == "double" else 4097.0
        t = x * factor
        high = t - (t - x)
        return high, x - high


def scalar(kind, x):
    """A Python number as LLVM writes a constant of that kind."""
    if kind == "i1":
        return "true" if x else "false"
    if kind == "float":
        x = struct.unpack("f", struct.pack("f", x))[0] if abs(x) < 3.5e38 else x
    if kind in INTEGER:
        return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"
    return str(x)


def function(symbol, kind, width, arity, fma, inline, body):
    """(definition, declarations, functions it calls) of an internal function from `arity` values to one.

    body(builder, *values) writes it and returns the result.
    """
    b = Builder(width, fma)
    t = b.type(kind)
    result = body(b, *(Value(b, kind, f"%x{i}") for i in range(arity)))
    params = ", ".join(f"{t} %x{i}" for i in range(arity))
    how = "alwaysinline" if inline else "noinline"
    lines = [f"define internal {t} @{symbol}({params}) {ATTRIBUTES} {how} {{", "entry:", *b.lines]
    lines += [f"  ret {t} {result.text}", "}"]
    return "\n".join(lines), b.declarations, b.functions
