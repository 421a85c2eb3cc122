"""Compiled = eager, for one op at a time: its value, pullback, pushforward and batch on its samples, all in one kernel.

`Sheet` collects questions (a graph and arguments for it), puts them into one graph and compares what compiled code and NumPy
make of it. `on_samples` and `on_vectors` fill a sheet for an op, `on_large` for a family.
"""

import numpy as np

from adjoint.compiler.native.machine import ELEMENTWISE
from adjoint.compiler.program import Program
from adjoint.core.op import bind
from adjoint.core.types import Array, typeof
from adjoint.primitives.index import index_add, index_set
from adjoint.traces.capture import capture
from adjoint.traces.derive import batch_graph, floats, jvp_graph, whole_vjp
from tests.laws.harness import carries, direction, lanes_of, opened, samples, seeded

# Ops whose results are equal to the last bit: one correctly rounded operation, a choice, or a rearrangement.
EXACT = {
    "add", "subtract", "multiply", "divide", "negative", "positive", "square", "reciprocal", "sqrt", "absolute", "fabs",
    "maximum", "minimum", "fmax", "fmin", "clip", "where", "relu", "copysign", "heaviside", "conjugate", "real", "imag",
    "reshape", "transpose", "broadcast_to", "flip", "roll", "astype", "copy", "diagonal", "diagonal_matrix", "getitem",
    "index_set", "concatenate", "stack", "pad", "max", "min", "strong_mul", "fmod", "remainder", "floor_divide",
}  # fmt: skip
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0]
ULPS = 8  # of functions of mathematics, theirs and ours together
# where SciPy or NumPy is further off than that from the true value, or the result is the difference of larger numbers
ROUGH = {"erfc": 64, "gammaln": 4096, "loggamma": 4096, "logaddexp": 256, "logaddexp2": 4096}
SLACK = 1e-12  # of sums, products and derivatives, of the largest entry
SINGLE = 1e-5  # the same in float32
_TINY = np.finfo(float).smallest_subnormal
UNLIKE = {"gammaln": (-np.inf, _TINY), "loggamma": (_TINY,)}  # SciPy gives -inf and inf; the limits are inf and 744.4


class Sheet:
    """Questions to one kernel. tolerance: 0 equal, an int so many ulp of each entry, a float of the largest entry."""

    def __init__(self):
        self.rows: list = []  # (what, graph, arguments, tolerance)

    def ask(self, what, graph, args, tolerance):
        self.rows.append((what, graph, list(args), tolerance))

    def graph(self):
        def together(*xs):
            rest = list(xs)
            out = []
            for _, graph, args, _ in self.rows:
                out.append(graph.run(*rest[: len(args)]))
                del rest[: len(args)]
            return out

        return capture(together, *[a for _, _, args, _ in self.rows for a in args])

    def compare(self, args=None, compiled=None):
        """Raise AssertionError where compiled code differs; returns the Program."""
        args = [a for _, _, row, _ in self.rows for a in row] if args is None else args
        p = compiled or Program(self.graph()).compile()
        assert p.native, p.notes
        got = p(*args)
        with np.errstate(all="ignore"):
            want = p.graph.run(*args)
        place = 0
        for what, graph, _, tolerance in self.rows:
            for i, v in enumerate(graph.outputs):
                if type(v.type) is Array:
                    wrong = difference(got[place], want[place], tolerance)
                    assert not wrong, f"{what}, result {i}: {wrong}"
                place += 1
        return p


def difference(got, want, tolerance):
    """ "" if two results agree, else how they do not."""
    if type(got) is not type(want) and not (np.ndim(want) == 0 and not isinstance(got, np.ndarray)):
        return f"a {type(got).__name__}, not a {type(want).__name__}"
    a, b = np.asarray(got), np.asarray(want)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{list(a.shape)}, not {b.dtype}{list(b.shape)}"
    with np.errstate(all="ignore"):
        same = (a == b) | ((a != a) & (b != b))
        if a.dtype.kind in "fc" and tolerance:
            finite = np.isfinite(a) & np.isfinite(b)
            eps = np.finfo(a.dtype).eps
            if type(tolerance) is int:
                room = tolerance * eps * np.abs(b) + tolerance * np.finfo(a.dtype).smallest_subnormal
            else:
                room = tolerance * max(1e-300, np.max(np.abs(b[finite]), initial=0.0))
            same = same | (finite & (np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)) <= room))
    if np.all(same):
        return ""
    at = tuple(np.argwhere(~same)[0])
    return f"{np.sum(~same)} of {a.size} differ, first at {list(map(int, at))}: {a[at]!r}, not {b[at]!r}"


def tolerance_of(op):
    if op.name in EXACT or op.kind == "nondiff":
        return 0
    return ROUGH.get(op.name, ULPS) if op.kind == "elementwise" else SLACK


# Samples


ORDERS = {"gammainc_shape", "betainc_shape"}  # their ints say which derivative it is: they are known when it is compiled


def is_leaf(x):
    try:
        t = typeof(x)
    except TypeError:
        return False
    return type(t) is Array and t.dtype.kind in "biufc"


def parts_of(case, rng, sheet, again=False):
    """Ask for a case's value, pullback, pushforward and batch; again: the first two, in another precision."""
    op = case.op
    places = [i for i, a in enumerate(case.args) if is_leaf(a) and not (op.name in ORDERS and type(a) is int)]

    def f(*xs):
        args = list(case.args)
        for i, x in zip(places, xs):
            args[i] = x
        return opened(bind(op, *args, **case.params))

    xs = [case.args[i] for i in places]
    graph = capture(f, *xs)
    if not all(type(v.type) is Array for v in graph.outputs):
        return
    exact = tolerance_of(op)
    if again and type(exact) is float:
        exact = SINGLE
    sheet.ask(f"value of {case}", graph, xs, exact)
    wants = tuple(floats(v.type) for v in graph.inputs)
    if any(wants) and any(floats(v.type) for v in graph.outputs) and (op.vjp or op.jvp or op.dual):
        gs = [direction(rng, v) for v in map(stand_in, (v.type for v in graph.outputs)) if carries(v)]
        sheet.ask(f"pullback of {case}", whole_vjp(graph, wants), [*gs, *xs], SINGLE if again else SLACK)
        if again:
            return
        ts = [direction(rng, x) for x, w in zip(xs, wants) if w]
        sheet.ask(f"pushforward of {case}", jvp_graph(graph, wants)[0], [*xs, *ts], SLACK)
    if places == case.arrays and xs and not again:
        lanes = [np.stack(column) for column in zip(*lanes_of(case, 3))]
        sheet.ask(f"batch of {case}", batch_graph(graph, 3, (True,) * len(lanes))[0], lanes, exact)


def stand_in(t):
    return np.ones(t.shape, t.dtype)[()] if not t.weak else t.dtype.type(1).item()


def on_samples(op):
    """The sheet of an op on its samples, and on their floats in float32 where `on_vectors` does not ask that."""
    sheet, rng = Sheet(), seeded(op.name, "compiled")
    with np.errstate(all="ignore"):
        for case in samples(op):
            parts_of(case, rng, sheet)
            if case.active and op.name not in ELEMENTWISE:
                parts_of(case.cast(narrow), rng, sheet, again=True)
    return sheet


def narrow(x):
    if type(x) in (float, complex):
        return x
    x = np.asarray(x)
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float32)[()]


# Elementwise ops on longer arrays


def bounds(op):
    """(lo, hi) of each argument over the samples; None where it is not a number of a floating kind."""
    columns = zip(*(case.args for case in samples(op) if len(case.args) == len(samples(op)[0].args)))
    out = []
    for column in columns:
        values = np.concatenate([np.ravel(np.asarray(x)) for x in column])
        out.append((values.dtype, values.min(), values.max()))
    return out


def numbers(rng, bound, shape):
    dtype, lo, hi = bound
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        return rng.integers(lo, int(hi) + 1, shape).astype(dtype)
    return rng.uniform(lo, hi, shape).astype(dtype)


def on_vectors(op):
    """The sheet of an elementwise op on vectors (body, masked tail, blocks), strided, broadcast and scalar arguments, specials."""
    sheet, rng = Sheet(), seeded(op.name, "vectors")
    params = samples(op)[0].params
    rows = bounds(op)
    exact = tolerance_of(op)
    f = lambda *xs: bind(op, *xs, **params)
    one = lambda g: lambda *xs: [g(*xs)]
    floating = all(d.kind == "f" for d, _, _ in rows)
    for n in (19, 1003):
        xs = [numbers(rng, r, n) for r in rows]
        sheet.ask(f"{op.name} of {n}", capture(one(f), *xs), xs, exact)
    xs = [numbers(rng, r, 1003) for r in rows]
    graph = capture(one(f), *xs)
    if floating and op.vjp is not None:
        gs = [rng.normal(size=1003)]
        sheet.ask(f"pullback of {op.name}", whole_vjp(graph, (True,) * len(xs)), [*gs, *xs], SLACK)
    # every second element, backwards, transposed
    xs = [numbers(rng, r, (11, 6)) for r in rows]
    views = (lambda x: x[::2, ::-1], lambda x: x.T, lambda x: x[3:, 2])
    for k, view in enumerate(views):
        sheet.ask(f"{op.name} of view {k}", capture(lambda *xs, view=view: [f(*map(view, xs))], *xs), xs, exact)
    # broadcast both ways, and a number for one argument
    shapes = [(5, 1, 19), (4, 1), (5, 4, 19)]
    for k in range(len(rows)):
        xs = [numbers(rng, r, shapes[(i + k) % 3]) for i, r in enumerate(rows)]
        sheet.ask(f"{op.name} broadcast {k}", capture(one(f), *xs), xs, exact)
        xs = [numbers(rng, r, 21) if i != k else numbers(rng, r, ())[()] for i, r in enumerate(rows)]
        sheet.ask(f"{op.name} with a number {k}", capture(one(f), *xs), xs, exact)
    if floating:
        for dtype in (np.float64, np.float32):
            info = np.finfo(dtype)
            values = [*SPECIAL, info.max, info.tiny, info.smallest_subnormal] if len(rows) < 3 else SPECIAL[:7]
            values = np.array([v for v in values if v not in UNLIKE.get(op.name, ())], dtype)
            grid = [np.ravel(x) for x in np.meshgrid(*[values] * len(rows))]
            sheet.ask(f"{op.name} of special values, {values.dtype}", capture(one(f), *grid), grid, exact)
            xs = [numbers(rng, r, 37).astype(dtype) for r in rows]
            sheet.ask(f"{op.name} of 37 {values.dtype}", capture(one(f), *xs), xs, exact)
    return sheet


# What has loops of its own: reductions, indices, joins, products on arrays that do not fit into registers


def _reductions(name):
    f = getattr(np, name)
    rows = {(1003,): [None], (7, 37): [0, 1, None], (37, 7): [0, 1], (3, 5, 19): [(0, 2), 1, (1, 2), -1]}
    for shape, axes in rows.items():
        for axis in axes:
            yield shape, lambda x, axis=axis: f(x, axis=axis, keepdims=axis == 1)
    yield (37, 7), lambda x: f(x.T, axis=0)
    yield (37, 7), lambda x: f(x[::2, ::-1], axis=1)


_I, _J = np.array([3, -1, 0, -40, 39, 7, 7, -2, 5] * 3), np.array([[0, -1], [6, -7]])
_INDICES = [
    lambda x: x[_I], lambda x: x[:, _J], lambda x: x[_I, -2], lambda x: x[_I[:4, None, None], _J], lambda x: x[5:30:3, ::-2],
    lambda x: x[-1:2:-4], lambda x: x[_I, None, 1:5], lambda x: x[..., 3], lambda x: x[np.argmax(x[:, 0])],
]  # fmt: skip
_WRITES = [_I, (_I, -2), (slice(3, 30, 4),), (_I[0],), (..., 2)]
_JOINS = [
    lambda x: np.concatenate([x, x[::2], x[:1] + 1]), lambda x: np.concatenate([x[:, :3], x.T[:5].T], 1),
    lambda x: np.stack([x, x * 2], 1), lambda x: np.roll(x, (3, -2), (0, 1)), lambda x: np.pad(x, ((1, 2), (0, 3))),
    lambda x: np.repeat(x, 3, 0), lambda x: np.diagonal(x, 2), lambda x: np.reshape(x.T, (14, 20)),
    lambda x: np.flip(x, 0) + x, lambda x: np.broadcast_to(x[:, None], (40, 3, 7)) * 2,
]  # fmt: skip
_PRODUCTS = [
    lambda x: x @ x.T, lambda x: x.T @ x, lambda x: x[:, 0] @ x, lambda x: x @ x[3], lambda x: x[::2, ::3] @ x.T[::3],
    lambda x: x[:, 1] @ x[:, 2], lambda x: np.reshape(x, (4, 10, 7)) @ x[:7],
    lambda x: np.reshape(x, (4, 10, 7)) @ np.reshape(x, (4, 7, 10)), lambda x: np.outer(x[0], x[1]),
]  # fmt: skip
_ON_TABLE = {
    "getitem": _INDICES,
    "index_add": [lambda x, i=i: index_add(x, i, np.sum(x[i]) + x[i]) for i in _WRITES],
    "index_set": [lambda x, i=i: index_set(x * 2, i, np.sin(x[i])) for i in (_I[:6], (_I[:6], -2), *_WRITES[2:])],
    "cumsum": [lambda x, a=a: np.cumsum(x, a) for a in (0, 1, None)],
    "cumprod": [lambda x, a=a: np.cumprod(x, a) for a in (0, 1)],
    "join": _JOINS,
    "matmul": _PRODUCTS,
}
_LARGE = {
    **{
        name: lambda name=name: _reductions(name) for name in ("sum", "prod", "max", "min", "mean", "var", "all", "any")
    },
    **{name: lambda rows=rows: (((40, 7), f) for f in rows) for name, rows in _ON_TABLE.items()},
}
LARGE = sorted(_LARGE)


def on_large(name):
    """The sheet of a family on large arrays: values, in several dtypes where that matters; pullbacks and pushforwards."""
    sheet, rng = Sheet(), seeded(name, "large")
    dtypes = [np.float64]
    if name in ("sum", "prod", "max", "min", "getitem"):
        dtypes += [np.float32, np.int64]
    if name in ("all", "any"):
        dtypes = [np.float64, np.bool_]
    for k, (shape, f) in enumerate(_LARGE[name]()):
        x = rng.normal(size=shape) * (0.1 if name == "prod" else 1) + (name == "prod")
        for dtype in dtypes:
            y = (x > 1).astype(dtype) if dtype is np.bool_ else (x * (3 if dtype is np.int64 else 1)).astype(dtype)
            graph = capture(lambda y, f=f: [f(y)], y)
            equal = dtype in (np.int64, np.bool_) or name in ("max", "min", "getitem", "join")
            exact = 0 if equal else SLACK if dtype is np.float64 else SINGLE
            sheet.ask(f"{name} {k} of {y.dtype}{list(shape)}", graph, [y], exact)
            if dtype is np.float64 and name not in ("all", "any"):
                g = rng.normal(size=graph.outputs[0].type.shape)
                sheet.ask(f"pullback of {name} {k}", whole_vjp(graph, (True,)), [g, y], SLACK)
                sheet.ask(
                    f"pushforward of {name} {k}", jvp_graph(graph, (True,))[0], [y, rng.normal(size=shape)], SLACK
                )
    return sheet
