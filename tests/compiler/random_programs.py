"""Random programs of arrays: a list of steps whose values are known as they are drawn, so that a step that NumPy refuses is drawn anew.

Two kinds. `exact`: every number is a whole one of moderate size (or NaN, or an infinity), so that no rounding happens, whatever
the order of operations, and results must be equal to the last bit; functions of mathematics are followed by a rounding to whole
numbers. `smooth`: rounding happens, and the program can be differentiated.
"""

import math

import numpy as np

import adjoint as ad
from adjoint.core.types import typeof
from tests.compiler.random_parts import Control, Indices, Refused, run

FLOATS = {"float64": 0.6, "float32": 0.2}
OTHERS = {"int64": 0.1, "int32": 0.03, "bool": 0.05, "uint8": 0.01, "int8": 0.01}
SIDES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 19, 31, 33, 64, 65, 100, 257, 1003, 2000]
LARGEST = 4000  # elements of an array
WHOLE = 1 << 20  # the largest whole number: sums of their squares need not be exact, but are looked at
MATH = [
    "exp",
    "log",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sqrt",
    "arctan",
    "expm1",
    "log1p",
    "cbrt",
    "sinh",
    "cosh",
    "arcsinh",
    "exp2",
    "log2",
]
SMOOTH = ["sin", "cos", "tanh", "arctan", "arcsinh", "square", "negative", "expm1", "exp"]


class Step:
    __slots__ = ("args", "f", "text")

    def __init__(self, f, args, text):
        self.f = f
        self.args = args
        self.text = text


class Program:
    """inputs: their values. steps: run in order. outputs: places of values. want: the outputs' values."""

    def __init__(self, inputs, steps, outputs, values, smooth):
        self.inputs = inputs
        self.steps = steps
        self.outputs = outputs
        self.want = [values[i] for i in outputs]
        self.smooth = smooth

    def __call__(self, *inputs):
        values = run(self.steps, inputs)
        return [values[i] for i in self.outputs]

    def __str__(self):
        rows = [f"  v{i} = {describe(x)}" for i, x in enumerate(self.inputs)]
        n = len(self.inputs)
        rows += [f"  v{n + i} = {s.text}({', '.join(f'v{a}' for a in s.args)})" for i, s in enumerate(self.steps)]
        return "\n".join([*rows, f"  return {', '.join(f'v{i}' for i in self.outputs)}"])


def describe(x):
    t = typeof(x)
    return f"{t} {np.asarray(x).reshape(-1)[:6].tolist()}"


def draw(rng, smooth=False):
    """One random program."""
    return Drawing(rng, smooth).program(int(rng.integers(2, 14)))


class Drawing(Indices, Control):
    """The values so far, and the steps that made them."""

    def __init__(self, rng, smooth, inputs=None, inside=False):
        self.rng = rng
        self.smooth = smooth
        self.inside = inside  # in the body of a loop: no loops there but few, and values that differ from step to step
        self.wide = "float32" if smooth and rng.random() < 0.2 else "float64"
        self.values = list(inputs) if inputs is not None else self.inputs()
        self.n_inputs = len(self.values)
        self.steps: list = []

    # Inputs

    def shape(self):
        rng = self.rng
        rank = rng.choice([0, 1, 2, 3, 4], p=[0.12, 0.45, 0.28, 0.1, 0.05])
        shape: tuple = ()
        limit = int(rng.choice([8, 40, 300, 2000]))
        for _ in range(rank):
            sides = [s for s in SIDES if s * math.prod(shape) <= limit] or [1]
            side = int(rng.choice(sides))
            shape = (*shape, side if side or rng.random() < 0.15 else 3)
        return tuple(int(s) for s in rng.permutation(shape)) if shape else ()

    def array(self, shape, dtype):
        rng = self.rng
        if self.smooth:
            return np.asarray(rng.uniform(-2, 2, shape)).astype(dtype)[()]
        kind = np.dtype(dtype).kind
        if kind == "b":
            return (rng.random(shape) < 0.5)[()] if shape else np.bool_(rng.random() < 0.5)
        x = rng.integers(0 if kind == "u" else -9, 10, shape)
        if kind == "i" and rng.random() < 0.3:
            x = x + 40
        x = np.asarray(x).astype(dtype)
        if kind == "f" and rng.random() < 0.2:
            special = rng.random(shape) < 0.15
            x = np.where(special, rng.choice([np.nan, np.inf, -np.inf, -0.0, 0.0], shape), x).astype(dtype)
        return x[()]

    def dtype(self):
        if self.smooth:
            return self.wide
        table = {**FLOATS, **OTHERS}
        return str(self.rng.choice(list(table), p=list(table.values())))

    def inputs(self):
        rng = self.rng
        shape = self.shape()
        out = []
        for _ in range(int(rng.integers(1, 5))):
            if rng.random() < 0.4:
                shape = self.shape()
            out.append(self.array(shape, self.dtype()))
        if rng.random() < 0.3:
            out.append(float(rng.integers(-3, 4)) if self.smooth or rng.random() < 0.6 else int(rng.integers(-3, 4)))
        out.append(np.int64(rng.integers(0, 6)))  # a number that is good for counting and indexing
        return out

    # Steps

    def program(self, length):
        self.grow(length)
        rng = self.rng
        made = range(self.n_inputs, len(self.values))
        if self.smooth:
            made = [i for i in made if typeof(self.values[i]).dtype.kind == "f"]
        outputs = [made[-1]] if len(made) else []
        while len(outputs) < 1 + rng.integers(0, 4):
            outputs.append(
                int(rng.integers(0 if rng.random() < 0.1 or not len(made) else self.n_inputs, len(self.values)))
            )
        if self.smooth:
            outputs = [i for i in outputs if typeof(self.values[i]).dtype.kind == "f"] or [0]
        return Program(self.values[: self.n_inputs], self.steps, outputs, self.values, self.smooth)

    def grow(self, length):
        kinds = self.SMOOTH if self.smooth else self.EXACT
        names, weights = list(kinds), np.array(list(kinds.values()), float)
        if self.inside:
            weights = np.where([n in ("loop", "branch") for n in names], weights * 0.3, weights)
        tries = 0
        while length > 0 and tries < 200:
            tries += 1
            name = str(self.rng.choice(names, p=weights / weights.sum()))
            try:
                with np.errstate(all="ignore"):
                    length -= self.attempt(getattr(self, name))
            except (
                Refused,
                ValueError,
                TypeError,
                IndexError,
                OverflowError,
                ZeroDivisionError,
                np.exceptions.AxisError,
            ):
                continue

    def attempt(self, rule):
        f, args, text = rule()
        x = f(*[self.values[i] for i in args])
        self.check(x)
        self.values.append(x)
        self.steps.append(Step(f, args, text))
        return 1

    def check(self, x):
        t = typeof(x)
        if t.size > LARGEST or t.dtype.name not in {**FLOATS, **OTHERS}:
            raise Refused
        if t.dtype.kind == "f":
            a = np.asarray(x)
            finite = np.where(np.isfinite(a), a, 0)
            if np.max(np.abs(finite), initial=0) > (1e3 if self.smooth else WHOLE):
                raise Refused
            if not self.smooth and np.any(finite != np.rint(finite)):
                raise Refused
            if self.smooth and not np.all(np.isfinite(a)):
                raise Refused

    def pick(self, test=lambda t: True):
        """The place of a value, rather a young one."""
        n = len(self.values)
        places = [i for i in range(n) if test(typeof(self.values[i]))]
        if not places:
            raise Refused
        weights = np.array([1.0 + 3.0 * (i >= n - 4) for i in places])
        return int(self.rng.choice(places, p=weights / weights.sum()))

    def type(self, i):
        return typeof(self.values[i])

    def partner(self, i, kinds="fiub"):
        """A value that broadcasts with this one."""
        shape = self.type(i).shape

        def fits(t):
            try:
                return math.prod(np.broadcast_shapes(shape, t.shape)) <= LARGEST and t.dtype.kind in kinds
            except ValueError:
                return False

        return self.pick(fits)

    def whole(self, i, f):
        """Refuse sums that might be inexact: those of the magnitudes are too large."""
        x = np.asarray(self.values[i])
        if x.dtype.kind == "f":
            finite = np.where(np.isfinite(x), np.abs(x), 0).astype(np.float64)
            if np.max(np.abs(f(finite)), initial=0) > WHOLE:
                raise Refused

    # Elementwise

    def binary(self):
        name = str(self.rng.choice(["add", "subtract", "multiply", "maximum", "minimum"] * 3
                                   + ["fmax", "fmin", "floor_divide", "remainder", "copysign"]))  # fmt: skip
        i = self.pick()
        j = self.partner(i)
        if name == "copysign":
            return lambda a, b: np.copysign(a, np.where(np.isnan(b), 1, b + 0.0)), (i, j), name
        if name in ("floor_divide", "remainder"):
            return lambda a, b: getattr(np, name)(a, b * b + 1), (i, j), f"{name} by b*b+1"
        return getattr(np, name), (i, j), name

    def literal(self):
        """An op with a number that stands in the program."""
        i = self.pick()
        k = self.rng.choice([-2, -1, 0, 1, 2, 3])
        k = float(k) if self.rng.random() < 0.5 else int(k)
        name = str(self.rng.choice(["add", "multiply", "subtract", "maximum"]))
        if self.rng.random() < 0.3:
            return lambda a: getattr(np, name)(k, a), (i,), f"{name} {k!r},"
        return lambda a: getattr(np, name)(a, k), (i,), f"{name} {k!r}"

    def unary(self):
        name = str(
            self.rng.choice(["negative", "square", "absolute", "sign", "floor", "rint", "trunc", "positive", "copy"])
        )
        return getattr(np, name), (self.pick(),), name

    def compare(self):
        name = str(self.rng.choice(["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"]))
        if self.rng.random() < 0.2:
            return self.threshold(name)
        i = self.pick()
        return getattr(np, name), (i, self.partner(i)), name

    def threshold(self, name):
        """A root or a norm against a number: which side it is on does not depend on roundings."""
        i = self.pick(lambda t: t.dtype.kind == "f")
        f, k, before = getattr(np, name), int(self.rng.integers(0, 12)), self.rng.random() < 0.3
        root = int(self.rng.integers(3))

        def g(x):
            y = (lambda: np.sqrt(x), lambda: np.sqrt(x * x + abs(x)), lambda: np.linalg.norm(np.reshape(x, -1)))[root]()
            return f(k, y) if before else f(y, k)

        return g, (i,), f"{name} of a root and {k}"

    def logic(self):
        name = str(
            self.rng.choice(["logical_and", "logical_or", "logical_xor", "logical_not", "isnan", "isinf", "isfinite"])
        )
        i = self.pick()
        if name[:2] == "is" or name == "logical_not":
            return getattr(np, name), (i,), name
        return getattr(np, name), (i, self.partner(i)), name

    def bits(self):
        name = str(self.rng.choice(["bitwise_and", "bitwise_or", "bitwise_xor", "invert"]))
        i = self.pick(lambda t: t.dtype.kind in "iub" and not t.weak)
        return getattr(np, name), (i,) if name == "invert" else (i, self.partner(i, "iub")), name

    def where(self):
        c = self.pick(lambda t: t.dtype.kind == "b") if not self.smooth else self.pick()
        i = self.partner(c)
        j = self.partner(i)
        if self.smooth:
            return lambda c, a, b: np.where(c > 0.5, a, b), (c, i, j), "where > 0.5"
        return np.where, (c, i, j), "where"

    def clip(self):
        a, b = sorted(int(k) for k in self.rng.integers(-5, 6, 2))
        return lambda x: np.clip(x, a, b), (self.pick(),), f"clip {a} {b}"

    def mathematics(self):
        name = str(self.rng.choice(MATH))
        i = self.pick(lambda t: t.dtype.kind == "f")
        if self.inside and self.type(i).dtype != np.float64:
            raise Refused
        f = getattr(np, name)
        y = f(self.values[i]) * 7.3
        fraction = np.abs(np.where(np.isfinite(y), y, 0) % 1 - 0.5)
        near = 1e-3 if typeof(y).dtype == np.float32 else 1e-8
        if np.max(np.abs(np.where(np.isfinite(y), y, 0)), initial=0) > 300 or np.min(fraction, initial=1) < near:
            raise Refused
        return lambda x: np.rint(f(x) * 7.3), (i,), f"rint 7.3 {name}"

    def quotient(self):
        i = self.pick()
        j = self.partner(i)
        return lambda a, b: np.floor(np.divide(a, b + 0.0)), (i, j), "floor of divide"

    def cast(self):
        to = self.dtype()
        i = self.pick(lambda t: not t.weak)
        x = np.asarray(self.values[i])
        fits = np.all(np.isfinite(x)) and np.all(np.abs(x) <= 100) and not (np.dtype(to).kind == "u" and np.any(x < 0))
        if x.dtype.kind == "f" and np.dtype(to).kind in "iu" and (self.inside or not fits):
            raise Refused
        return lambda x: ad.numpy.astype(x, to), (i,), f"astype {to}"

    def smooth_unary(self):
        name = str(self.rng.choice(SMOOTH))
        return getattr(np, name), (self.pick(lambda t: t.dtype.kind == "f"),), name

    def smooth_binary(self):
        i = self.pick(lambda t: t.dtype.kind == "f")
        j = self.partner(i, "f")
        name = str(self.rng.choice(["add", "subtract", "multiply", "multiply", "divide", "hypot"]))
        if name == "divide":
            return lambda a, b: a / (b * b + 0.5), (i, j), "divide by b*b+0.5"
        if name == "hypot":
            return lambda a, b: np.sqrt(a * a + b * b + 0.1), (i, j), "sqrt of a*a+b*b+0.1"
        return getattr(np, name), (i, j), name

    def largest(self):
        """What is largest along an axis: it is equal to one of its entries, whatever roundings there were."""
        i = self.pick(lambda t: t.dtype.kind == "f" and t.size > 0)
        axis = (
            None
            if self.rng.random() < 0.5 or not self.type(i).shape
            else int(self.rng.integers(len(self.type(i).shape)))
        )
        f = getattr(np, str(self.rng.choice(["max", "min"])))
        if self.rng.random() < 0.5:
            return (
                lambda x: np.where(x == f(x, axis=axis, keepdims=axis is not None), x, 0.5),
                (i,),
                f"where largest {axis}",
            )
        return lambda x: x * f(x, axis=axis, keepdims=axis is not None), (i,), f"times largest {axis}"

    # Shapes

    def shaped(self):
        rng = self.rng
        i = self.pick(lambda t: t.shape != () or rng.random() < 0.1)
        t = self.type(i)
        n = len(t.shape)
        what = str(
            rng.choice(
                ["reshape", "transpose", "flip", "roll", "broadcast", "expand", "squeeze", "pad", "ravel", "repeat"]
            )
        )
        axis = int(rng.integers(0, max(n, 1)))
        if what == "reshape":
            shape = self.factors(t.size)
            return lambda x: np.reshape(x, shape), (i,), f"reshape {shape}"
        if what == "transpose":
            axes = tuple(int(a) for a in rng.permutation(n))
            return lambda x: np.transpose(x, axes), (i,), f"transpose {axes}"
        if n == 0 and what in ("roll", "repeat"):
            raise Refused
        if what == "flip":
            axes = tuple(a for a in range(n) if rng.random() < 0.6) or None
            return lambda x: np.flip(x, axes), (i,), f"flip {axes}"
        if what == "roll":
            k = int(rng.integers(-5, 6))
            return lambda x: np.roll(x, k, axis), (i,), f"roll {k} {axis}"
        if what == "broadcast":
            shape = tuple(int(rng.integers(1, 4)) if s == 1 else s for s in t.shape)
            shape = (*(int(k) for k in rng.integers(1, 4, int(rng.integers(0, 2)))), *shape)
            return lambda x: np.broadcast_to(x, shape), (i,), f"broadcast_to {shape}"
        if what == "expand":
            return lambda x: np.expand_dims(x, axis), (i,), f"expand_dims {axis}"
        if what == "squeeze":
            return np.squeeze, (i,), "squeeze"
        if what == "pad":
            width = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (n, 2)))
            return lambda x: np.pad(x, width), (i,), f"pad {width}"
        if what == "repeat":
            return lambda x: np.repeat(x, 2, axis), (i,), f"repeat {axis}"
        return np.ravel, (i,), "ravel"

    def factors(self, n):
        shape = []
        while n > 1 and len(shape) < 4:
            parts = [k for k in range(2, n + 1) if n % k == 0]
            k = int(self.rng.choice(parts)) if len(shape) < 3 else n
            shape.append(k)
            n //= k
        shape = [*shape, n] if n != 1 else shape
        for _ in range(int(self.rng.integers(0, 2))):
            shape.insert(int(self.rng.integers(0, len(shape) + 1)), 1)
        return tuple(shape)

    def joined(self):
        rng = self.rng
        i = self.pick(lambda t: t.shape != ())
        shape = self.type(i).shape
        axis = int(rng.integers(0, len(shape)))
        others = lambda t: t.shape[:axis] + t.shape[axis + 1 :]
        fits = lambda t: len(t.shape) == len(shape) and others(t) == others(self.type(i)) and not t.weak
        same = lambda t: t.shape == shape and not t.weak
        stack = rng.random() < 0.4
        places = (i, *(self.pick(same if stack else fits) for _ in range(int(rng.integers(1, 3)))))
        if stack:
            axis = int(rng.integers(0, len(shape) + 1))
            return lambda *xs: np.stack(xs, axis), places, f"stack {axis}"
        return lambda *xs: np.concatenate(xs, axis), places, f"concatenate {axis}"

    # Reductions and products

    def reduction(self):
        rng = self.rng
        names = ["sum"] * 4 + (
            ["mean"] if self.smooth else ["max", "min", "max", "min", "all", "any", "argmax", "prod"]
        )
        name = str(rng.choice(names))
        i = self.pick(lambda t: t.shape != () or rng.random() < 0.1)
        n = len(self.type(i).shape)
        keep = bool(rng.random() < 0.4)
        axis = None if rng.random() < 0.3 else tuple(a for a in range(n) if rng.random() < 0.5)
        if name == "argmax":
            axis = int(rng.integers(0, n)) if n else None
        if name == "sum":
            self.whole(i, np.sum)
        if name == "prod":
            self.whole(i, lambda a: np.prod(np.maximum(a, 1)))
        f = getattr(np, name)
        return lambda x: f(x, axis=axis, keepdims=keep), (i,), f"{name} {axis}{' keepdims' * keep}"

    def running(self):
        i = self.pick(lambda t: t.shape != ())
        axis = int(self.rng.integers(0, len(self.type(i).shape)))
        if self.rng.random() < 0.75 or self.smooth:
            self.whole(i, np.sum)
            return lambda x: np.cumsum(x, axis), (i,), f"cumsum {axis}"
        self.whole(i, lambda a: np.prod(np.maximum(a, 1)))
        return lambda x: np.cumprod(x, axis), (i,), f"cumprod {axis}"

    def product(self):
        i = self.pick(lambda t: t.shape != () and t.dtype.kind in ("f" if self.smooth else "fi"))
        k = self.type(i).shape[-1]
        fits = lambda t: (
            t.shape != () and (t.shape[-2] if len(t.shape) > 1 else t.shape[0]) == k and t.dtype.kind in "fi"
        )
        j = self.pick(lambda t: fits(t) and (t.dtype.kind == "f" or not self.smooth))
        a, b = (np.nan_to_num(np.abs(np.asarray(self.values[p], np.float64)), posinf=0) for p in (i, j))
        if not self.smooth and (np.max(a, initial=0) * np.max(b, initial=0) * max(k, 1)) > WHOLE:
            raise Refused
        if any(not np.all(np.isfinite(np.asarray(self.values[p], float))) for p in (i, j)):
            raise Refused  # BLAS may leave zeros times NaN away
        return np.matmul, (i, j), "matmul"

    def definite(self):
        """A positive definite matrix: its factor, the logarithm of its determinant, what is solved with it."""
        i = self.pick(
            lambda t: t.dtype.kind == "f" and len(t.shape) == 2 and 0 < t.shape[0] <= 40 and 0 < t.shape[1] <= 40
        )
        n, m = self.type(i).shape
        what = str(self.rng.choice(["factor", "log det", "solve", "likelihood", "by hand"]))
        columns = int(self.rng.integers(0, m))
        add = np.eye(n).astype(self.type(i).dtype) * 2

        def f(x):
            a = x @ x.T / m + add
            b = x[:, :columns] if columns else x[:, 0]
            if what == "solve":
                return np.linalg.solve(a, b)
            c = np.linalg.cholesky(a)
            if what == "factor":
                return c
            det = 2 * np.sum(np.log(np.diagonal(c)))
            if what == "log det":
                return det
            if what == "likelihood":
                return det + np.sum(b * np.linalg.solve(a, b))
            return det + np.sum(np.linalg.solve(c, b) ** 2)

        return f, (i,), f"{what} of {columns} columns, definite"

    def numbers(self):
        """Functions of single entries, and of what was made of them: what waits for nothing else may be done side by side."""
        rng, smooth = self.rng, self.smooth
        i = self.pick(lambda t: t.dtype.kind == "f" and t.size > 0 and not t.weak)
        t = self.type(i)
        if self.inside and not smooth and t.dtype != np.float64:
            raise Refused
        count = int(rng.integers(2, 20))
        places = [tuple(int(rng.integers(n)) for n in t.shape) for _ in range(count)]
        names = rng.choice(
            ["sin", "cos", "tanh", "exp", "arctan"] if smooth else ["exp", "log", "sin", "cos", "tanh"], 2
        )
        plan = [
            (int(rng.integers(count)), str(rng.choice(names)), int(rng.integers(count)), int(rng.integers(count)))
            for _ in range(int(rng.integers(2, 24)))
        ]
        fractions = []

        def f(x):
            row = [x[p] for p in places]
            for k, name, a, b in plan:
                new = getattr(np, name)(0.3 * row[a] if smooth else row[a])
                if smooth:
                    row[k] = new * 0.5 + 0.25 * row[b]
                else:
                    fractions.append(new)
                    row[k] = np.minimum(np.maximum(np.rint(new * 7.3), -20), 20) - row[b] * (k % 2)
            return np.stack(row) if len(row) % 2 else sum(row[1:], row[0])

        f(self.values[i])
        y = np.asarray(fractions, float) * 7.3
        near = 1e-3 if t.dtype == np.float32 else 1e-8
        if y.size and np.min(np.abs(np.where(np.isfinite(y), y, 0) % 1 - 0.5)) < near:
            raise Refused
        return f, (i,), f"numbers at {places}: {plan}"

    def records(self):
        """Records of few numbers, one axis for all of them, or one more for all pairs: their columns, lengths and sums."""
        rng = self.rng
        i = self.pick(lambda t: t.shape != () and t.dtype.kind in ("f" if self.smooth else "fi") and t.size <= 1000)
        shape = self.type(i).shape
        k = int(rng.integers(1, 5))
        pairs = len(shape) >= 2 and shape[-1] <= 4 and shape[-2] * math.prod(shape) <= LARGEST
        names = ["scaled", "divided", "column", "part", "turned", "chosen", "doubled"]
        steps = [(str(rng.choice(names)), int(rng.integers(0, 8))) for _ in range(int(rng.integers(1, 5)))]
        end = str(rng.choice(["whole", "whole", "rows", "length", "column", "all"]))
        met = [0.0]  # the largest number on the way

        def meet(y):
            if type(y) is np.ndarray:
                met[0] = max(met[0], np.max(np.abs(y[np.isfinite(y)]), initial=0))

        def f(x):
            d = x[..., None, :, :] - x[..., :, None, :] if pairs else np.stack([x, -x, x + 1, x * 2][:k], -1)
            for what, a in steps:
                m = d.shape[-1]
                length = np.sum(d if a % 2 else d * d, axis=-1, keepdims=a > 3)
                length = length if a > 3 else length[..., None]
                meet(d)
                meet(length)
                if what == "scaled":
                    d = d * length
                elif what == "divided":
                    d = d / (1 + abs(length)) if self.smooth else d - length
                elif what == "column":
                    d = d * d[..., a % m, None] + d[..., :1]
                elif what == "part":
                    d = d[..., a % m :]
                elif what == "turned":
                    d = np.concatenate([d[..., a % m :], d[..., : a % m]], axis=-1)
                elif what == "chosen":
                    d = np.where(length > 0, d, d[..., -1:])
                else:
                    d = d + d
            meet(d)
            if end == "rows":
                return np.sum(d, axis=-2)
            if end == "length":
                return np.sum(d, axis=-1)
            if end == "column":
                return d[..., -1] - d[..., 0]
            return np.sum(d, axis=(-2, -1)) if end == "all" else d

        self.whole(i, lambda a: f(a + 1) if a.size else a)
        f(np.asarray(self.values[i]))
        if not self.smooth and met[0] > WHOLE:
            raise Refused
        return f, (i,), f"records of {'pairs' if pairs else k}: {steps} {end}"

    def iterated(self):
        """A scan that multiplies its state by a matrix with a short side, and by it again from the other side."""
        rng, smooth = self.rng, self.smooth
        i = self.pick(lambda t: t.dtype.kind == "f" and t.shape != () and 0 < t.size <= 1200 and not t.weak)
        shape = self.type(i).shape
        if not np.all(np.isfinite(np.asarray(self.values[i]))) or (len(shape) > 1 and min(shape[-2:]) > 8):
            raise Refused
        k, turned, length, kept = (int(n) for n in rng.integers((1, 0, 2, 0), (9, 2, 9, 2)))

        def f(x):
            a = x.reshape(-1, x.shape[-1]) if x.ndim > 1 else np.stack([x, -x, x + 1, x * 2, x, x - 1, x, x][:k], -1)
            a = a.T if turned else a

            def step(w, _):
                far = a @ w
                far = np.tanh(0.1 * far) if smooth else np.sign(far + 1)
                new = far @ a
                new = np.tanh(0.1 * new) if smooth else np.sign(new) - w
                return new, (far if kept else np.sum(far))

            return ad.scan(step, np.ones(a.shape[1], x.dtype), length=length)[kept]

        if not smooth:
            self.whole(i, lambda a: (a + 1) * 64.0 * a.size)
        return f, (i,), f"iterated: {k} columns{', turned' * turned}, {length} steps, {kept}"

    def sorted(self):
        i = self.pick(lambda t: t.shape != ())
        return lambda x: np.sort(x, axis=-1), (i,), "sort"

    EXACT = {
        "binary": 6, "literal": 3, "unary": 3, "compare": 2, "logic": 1, "bits": 0.7, "where": 2, "clip": 1, "mathematics": 2,
        "quotient": 1, "cast": 1.5, "shaped": 5, "joined": 2, "getitem": 3, "setitem": 2, "overlapping": 0.5, "reduction": 4,
        "running": 1, "product": 1.5, "sorted": 0.2, "loop": 0.8, "branch": 0.5,
        "numbers": 0.7, "records": 1.5, "iterated": 0.7,
    }  # fmt: skip
    SMOOTH = {
        "smooth_unary": 5, "smooth_binary": 6, "literal": 2, "where": 1, "shaped": 4, "joined": 1.5, "getitem": 2.5,
        "setitem": 1.5, "reduction": 3, "running": 1, "product": 2, "loop": 1, "branch": 0.5, "largest": 1.5,
        "definite": 1, "numbers": 0.8, "records": 1.5, "iterated": 1,
    }  # fmt: skip
