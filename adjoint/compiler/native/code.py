"""Code: the text of one LLVM function as it grows. Knows LLVM's syntax and NumPy's dtypes; knows no op and no graph.

Everything that changes (loop counters, accumulators, states) lives in an alloca of the entry block; LLVM's SROA turns
these into registers and phis, so that emission need not know about dominance.
"""

import contextlib
import functools

import numpy as np

# Register types. A bool is i1 in a register and a byte in memory.
_TYPES = {
    "float64": "double", "float32": "float", "bool": "i1", "int64": "i64", "int32": "i32", "int16": "i16", "int8": "i8",
    "uint64": "i64", "uint32": "i32", "uint16": "i16", "uint8": "i8",
}  # fmt: skip
_BY_DTYPE = {np.dtype(name): kind for name, kind in _TYPES.items()}
BOOL = np.dtype(bool)
INT = np.dtype(np.int64)
INDEX = np.dtype(np.int32)
DOUBLE = np.dtype(np.float64)


@functools.lru_cache(256)  # asked for some ten times a line, and a dtype's name is made anew each time
def supported(dtype):
    """Whether values of this dtype can live in registers."""
    return dtype.name in _TYPES and dtype.isnative


def half_dtype(dtype):
    """The dtype of the real and the imaginary part of complex numbers."""
    return np.dtype(f"f{dtype.itemsize // 2}")


def element(dtype):
    """The register type of one element."""
    return _BY_DTYPE[dtype]


def register(dtype, width):
    """The register type of `width` elements; one element is a scalar."""
    return element(dtype) if width == 1 else f"<{width} x {element(dtype)}>"


class Module:
    """What the functions of one compilation share: helper functions, declarations, and what is bound at link time.

    symbols: external names -> addresses, or objects from which the linker makes them. keep: what must outlive the code.
    """

    def __init__(self, fma=True):
        self.fma = fma
        self.functions: dict = {}
        self.declarations: dict = {}
        self.symbols: dict = {}
        self.keep: list = []
        self.errors: list = []  # code of an error - FIRST_ERROR -> exception to raise

    def declare(self, symbol, text):
        self.declarations.setdefault(symbol, text)
        return symbol

    def error(self, exception):
        """The result code by which the kernel asks for this exception."""
        self.errors.append(exception)
        return FIRST_ERROR + len(self.errors) - 1


FIRST_ERROR = 16  # smaller codes: 1 a callback raised, 2 interrupted, 3 no memory


class Value:
    """An SSA value: `width` elements of a dtype."""

    __slots__ = ("dtype", "name", "width")

    def __init__(self, name, dtype, width):
        self.name = name
        self.dtype = dtype
        self.width = width

    @property
    def type(self):
        return register(self.dtype, self.width)

    def __str__(self):
        return f"{self.type} {self.name}"


def literal(x, dtype):
    """The text of one element of this dtype."""
    if dtype.kind == "b":
        return "true" if x else "false"
    if dtype.kind in "iu":
        half = 1 << (8 * dtype.itemsize - 1)  # LLVM's integers have no sign: the bits as those of a signed number
        return str((int(x) + half) % (2 * half) - half)
    bits = np.array(x, dtype).astype(np.float64).view(np.uint64)  # LLVM writes a float by its value as a double
    return f"0x{int(bits):016X}"


class Code:
    """One function under construction."""

    def __init__(self, module):
        self.module = module
        self.entry: list = []  # allocas
        self.lines: list = []
        self.count = 0
        self.failures = False

    # Text

    def fresh(self, prefix="v"):
        self.count += 1
        return f"%{prefix}{self.count}"

    def emit(self, text):
        """%new = text"""
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        return name

    def do(self, text):
        self.lines.append("  " + text)

    def value(self, text, dtype, width):
        return Value(self.emit(text), dtype, width)

    def finish(self, name="kernel"):
        """The text of the function `i32 name(ptr %ins, ptr %outs, ptr %ws)`."""
        text = [f"define i32 @{name}(ptr %ins, ptr %outs, ptr %ws) {{", "entry:", *self.entry, "  br label %start", "start:"]
        text += [*self.lines, "  ret i32 0"]
        if self.failures:
            text += ["failed:", "  %failure = load i32, ptr %error", "  ret i32 %failure"]
        return "\n".join([*text, "}"])

    # Blocks

    def block(self, prefix="b"):
        return self.fresh(prefix)[1:]

    def label(self, name):
        self.lines.append(f"{name}:")

    def jump(self, name):
        self.do(f"br label %{name}")

    def branch(self, test, yes, no, weights=""):
        self.do(f"br i1 {test}, label %{yes}, label %{no}{weights}")

    def fail_if(self, test, code):
        """Leave the kernel with this code (a number or an i32 value) if test, an i1, holds."""
        if not self.failures:
            self.failures = True
            self.entry.append("  %error = alloca i32")
        bad, good = self.block("bad"), self.block("good")
        self.branch(test, bad, good)
        self.label(bad)
        self.do(f"store i32 {code}, ptr %error")
        self.jump("failed")
        self.label(good)

    @contextlib.contextmanager
    def when(self, test):
        """Emit what is inside for test, an i1, alone."""
        yes, after = self.block("then"), self.block("after")
        self.branch(test, yes, after)
        self.label(yes)
        yield
        self.jump(after)
        self.label(after)

    def smaller(self, i, n):
        """The smaller of an i64 value and a number."""
        return self.emit(f"select i1 {self.emit(f'icmp slt i64 {i}, {n}')}, i64 {i}, i64 {n}")

    @contextlib.contextmanager
    def loop(self, start, stop, step=1, down=False):
        """`for (i = start; i < stop; i += step)`, or down from stop - step to start; bounds are ints or i64 values."""
        counter = self.alloca("i64")
        head, body, end = self.block("head"), self.block("body"), self.block("end")
        first, last = (start, stop) if not down else (stop, start)
        self.do(f"store i64 {first}, ptr {counter}")
        self.jump(head)
        self.label(head)
        i = self.emit(f"load i64, ptr {counter}")
        if down:
            test = self.emit(f"icmp sgt i64 {i}, {last}")
        else:
            test = self.emit(f"icmp slt i64 {i}, {last}")
        self.branch(test, body, end)
        self.label(body)
        if down:
            i = self.emit(f"sub nsw i64 {i}, {step}")
            yield i
            self.do(f"store i64 {i}, ptr {counter}")
        else:
            yield i
            after = self.emit(f"add nsw i64 {i}, {step}")
            self.do(f"store i64 {after}, ptr {counter}")
        self.jump(head)
        self.label(end)

    # Memory

    def alloca(self, type, align=None):
        name = self.fresh("m")
        self.entry.append(f"  {name} = alloca {type}" + (f", align {align}" if align else ""))
        return name

    def at(self, ptr, offset):
        """ptr moved by bytes: an int or an i64 value."""
        return ptr if offset == 0 else self.emit(f"getelementptr i8, ptr {ptr}, i64 {offset}")

    def times(self, i, n):
        """i * n for an i64 value or int i and an int n."""
        if type(i) is int:
            return i * n
        return i if n == 1 else 0 if n == 0 else self.emit(f"mul nsw i64 {i}, {n}")

    def load(self, ptr, dtype, width=1, mask=None):
        """`width` neighbouring elements; with a mask (the number of elements wanted), zeros for the others."""
        b = dtype.kind == "b"
        kind = register(np.dtype(np.uint8) if b else dtype, width)
        if mask is None or mask == width:
            name = self.emit(f"load {kind}, ptr {ptr}, align {dtype.itemsize}")
        else:
            part = register(np.dtype(np.uint8) if b else dtype, mask)
            name = self.emit(f"load {part}, ptr {ptr}, align {dtype.itemsize}")
            if mask == 1:
                name = self.emit(f"insertelement {kind} zeroinitializer, {part} {name}, i64 0")
            else:
                places = ", ".join(f"i32 {min(i, mask)}" for i in range(width))
                name = self.emit(f"shufflevector {part} {name}, {part} zeroinitializer, <{width} x i32> <{places}>")
        if b:
            zero = "0" if width == 1 else "zeroinitializer"
            name = self.emit(f"icmp ne {kind} {name}, {zero}")
        return Value(name, dtype, width)

    def store(self, value, ptr, mask=None):
        if value.dtype.kind == "b":
            kind = register(np.dtype(np.uint8), value.width)
            value = Value(self.emit(f"zext {value} to {kind}"), np.dtype(np.uint8), value.width)
        size, width = value.dtype.itemsize, value.width
        if mask is None or mask == width:
            self.do(f"store {value}, ptr {ptr}, align {size}")
        else:
            part = self.lane(value, 0) if mask == 1 else self.shuffle(value, range(mask))
            self.do(f"store {part}, ptr {ptr}, align {size}")

    def load_register(self, slot, dtype, width):
        """What an alloca of a register type holds."""
        return self.value(f"load {register(dtype, width)}, ptr {slot}", dtype, width)

    def store_register(self, value, slot):
        self.do(f"store {value}, ptr {slot}")

    def copy(self, target, source, size):
        """memcpy of a number of bytes."""
        f = self.module.declare("llvm.memcpy.p0.p0.i64", "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        self.do(f"call void @{f}(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    def clear(self, target, size):
        """Fill bytes with zero."""
        f = self.module.declare("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        self.do(f"call void @{f}(ptr {target}, i8 0, i64 {size}, i1 false)")

    def intrinsic(self, name, kind, signature, suffix=""):
        """The full name of an overloaded intrinsic for a register type, declared."""
        symbol = f"llvm.{name}.{mangled(kind)}{suffix}"
        return self.module.declare(symbol, "declare " + signature.format(symbol))

    # Vectors

    def constant(self, x, dtype, width):
        """One number, in every lane."""
        text = literal(x, dtype)
        if width > 1:
            text = "<" + ", ".join([f"{element(dtype)} {text}"] * width) + ">"
        return Value(text, dtype, width)

    def vector(self, xs, dtype):
        """A constant vector of these numbers."""
        xs = list(xs)
        if len(xs) == 1:
            return self.constant(xs[0], dtype, 1)
        return Value("<" + ", ".join(f"{element(dtype)} {literal(x, dtype)}" for x in xs) + ">", dtype, len(xs))

    def splat(self, x, width):
        """A scalar in every lane."""
        if width == 1 or x.width == width:
            return x
        kind = register(x.dtype, width)
        one = self.emit(f"insertelement {kind} poison, {x}, i64 0")
        return self.value(f"shufflevector {kind} {one}, {kind} poison, <{width} x i32> zeroinitializer", x.dtype, width)

    def lane(self, x, i):
        """One element of a vector."""
        return x if x.width == 1 else self.value(f"extractelement {x}, i64 {i}", x.dtype, 1)

    def insert(self, x, scalar, i):
        return self.value(f"insertelement {x}, {scalar}, i64 {i}", x.dtype, x.width) if x.width > 1 else scalar

    def shuffle(self, x, places):
        """The elements of x at these places (-1: any)."""
        n = len(places)
        if x.width == n and all(p in (i, -1) for i, p in enumerate(places)):
            return x
        if n == 1:
            return self.lane(x, places[0])
        if x.width == 1:
            return self.splat(x, n)
        if all(p == places[0] for p in places):
            return self.splat(self.lane(x, places[0]), n)
        mask = ", ".join("i32 poison" if p < 0 else f"i32 {p}" for p in places)
        return self.value(f"shufflevector {x}, {x.type} poison, <{n} x i32> <{mask}>", x.dtype, n)

    def join(self, xs):
        """The elements of several values, one behind the other."""
        if len(xs) == 1:
            return xs[0]
        if all(x.width == 1 for x in xs):
            kind = register(xs[0].dtype, len(xs))
            out = Value("poison", xs[0].dtype, len(xs))
            for i, x in enumerate(xs):
                out = self.value(f"insertelement {kind} {out.name}, {x}, i64 {i}", x.dtype, len(xs))
            return out
        a, b = (xs if len(xs) == 2 else (self.join(xs[: len(xs) // 2]), self.join(xs[len(xs) // 2 :])))
        n, m = a.width, b.width
        wide = max(n, m)
        a = self.shuffle(a, [*range(n), *[-1] * (wide - n)])
        b = self.shuffle(b, [*range(m), *[-1] * (wide - m)])
        if wide == 1:
            return self.join([a, b])
        mask = ", ".join(f"i32 {p}" for p in [*range(n), *range(wide, wide + m)])
        return self.value(f"shufflevector {a}, {b}, <{n + m} x i32> <{mask}>", a.dtype, n + m)


def lanes(width, end, first=0):
    """The mask with the lanes from `first` to before `end` on."""
    on = ", ".join(f"i1 {'true' if first <= i < end else 'false'}" for i in range(width))
    return Value(f"<{on}>", BOOL, width)


def mangled(kind):
    """A register type as it stands in the name of an intrinsic."""
    if kind.startswith("<"):
        n, _, e = kind[1:-1].split()
        return f"v{n}{mangled(e)}"
    return {"double": "f64", "float": "f32"}.get(kind, kind)
