"""The laws that every op obeys, as functions of one case that raise AssertionError.

A case is one sample of one op. `case.function()` takes a list of arrays and returns a list of arrays, and so do its
pullback and its pushforward: the laws of second order are those of first order, asked of the pullback.

    jvp         the tangent is the directional difference (and the complex step, where the op's eval is analytic)
    transpose   <g, J t> = <J^T g, t>, for each argument alone and all: plain walk, careful walk, fast entries
    batch       a batch is a loop: of the value, of the pullback, of the pushforward
    captured    a captured op, its gradient, and its captured gradient are the eager ones; the graph verifies
    second      the pullback and the pushforward obey `jvp` and `transpose` themselves
    create      a recorded walk (create_graph) gives the second derivatives of nested tapes
    types       inferred type = type of the value; tangents have their value's type, cotangents their argument's
    single      float32 in, float32 out, and the float64 derivative within single precision
    layout      read-only, Fortran ordered and negatively strided arguments change nothing
    complex     an op that takes complex numbers differentiates them right, or refuses to
    untracked   an op without derivative gives untracked results, equal to its eval's

A law returns nothing, or a text that says why it cannot be asked of this case.
"""

import importlib
import pkgutil
import warnings
import zlib

import numpy as np

import adjoint
from adjoint.core.errors import AdjointError, MissingRuleError
from adjoint.core.op import Op, bind
from adjoint.core.tensor import is_tensor, is_tracked, make
from adjoint.core.tuples import items
from adjoint.core.types import Array, Tuple, typeof
from adjoint.traces import reverse
from adjoint.traces.capture import capture
from adjoint.traces.forward import Dual
from adjoint.traces.graph import infer
from adjoint.traces.reverse import Tape, walk
from tests.laws.numbers import (
    complex_step,
    difference,
    direction,
    frozen,
    inner,
    jvp,
    largest,
    off,
    or_zeros,
    plain,
    pullback,
    pushforward,
    same,
    subsets,
    vjp,
    vmap,
)

for _package in (adjoint.primitives, adjoint.transforms):  # so that every op is registered
    for _module in pkgutil.iter_modules(_package.__path__, _package.__name__ + "."):
        importlib.import_module(_module.name)


def _entries():
    """The functions users call, by their op's name: those of elementwise ops have a fast path of their own."""
    found: dict = {}
    for name, module in sorted(importlib.sys.modules.items()):
        if name.startswith("adjoint.primitives"):
            for f in list(vars(module).values()):
                op = None if is_tensor(f) or isinstance(f, type) else getattr(f, "op", None)
                if type(op) is Op and callable(f):
                    found.setdefault(op.name, f)
    return found


ENTRIES = _entries()


def _total(f):
    return lambda a, axes, keepdims: f(a) if len(axes) == np.ndim(a) and not keepdims else f(a, axes, keepdims=keepdims)


# Fast ways back that are reached through functions with other parameters than their ops have.
WITH_PARAMS = {
    "sum": _total(np.sum),
    "mean": _total(np.mean),
    "getitem": lambda x, index: x[index],
    "reshape": lambda x, shape: np.reshape(x, shape),
    "transpose": lambda x, axes: np.transpose(x, axes),
}
ENTRIES |= {**WITH_PARAMS, "matmul": np.matmul}
ROUNDING = 1e-15  # Python's complex arithmetic is not NumPy's to the last bit


def seeded(*key):
    return np.random.default_rng([zlib.crc32(str(k).encode()) for k in key])


# Cases


def carries(x):
    """Whether a value is an array or number that can be differentiated."""
    try:
        kind = typeof(x)
    except TypeError:
        return False
    return type(kind) is Array and kind.dtype.kind in "fc"


def is_array(x):
    try:
        kind = typeof(x)
    except TypeError:
        return False
    return type(kind) is Array and not kind.weak


class Case:
    """One op on one sample. `active`: its floating arguments; `arrays`: all that can be batched."""

    __slots__ = ("active", "args", "arrays", "entry", "label", "op", "params")

    def __init__(self, op, args, params, label="", entry=None):
        self.op = op
        self.args = [frozen(a) for a in args]
        self.params = params
        self.label = label
        self.entry = entry
        self.active = [i for i, a in enumerate(self.args) if carries(a)]
        self.arrays = [i for i, a in enumerate(self.args) if is_array(a)]

    def __repr__(self):
        args = ", ".join(map(_describe, self.args))
        params = "".join(f", {k}={v!r}" for k, v in self.params.items())
        return f"{self.label}{self.op.name}({args}{params})"

    @property
    def xs(self):
        return [self.args[i] for i in self.active]

    def function(self, indices=None, floats=True, fast=False):
        """The op as a function of some arguments, a list, to the arrays of its result, a list."""
        indices = self.active if indices is None else indices
        entry = self.entry if fast else None

        def f(xs):
            args = list(self.args)
            for i, x in zip(indices, xs, strict=True):
                args[i] = x
            y = bind(self.op, *args, **self.params) if entry is None else entry(*args, **self.params)
            return [e for e in opened(y) if carries(e)] if floats else opened(y)

        return f

    def cast(self, change):
        """The same case with each floating argument changed."""
        return Case(self.op, [change(a) if carries(a) else a for a in self.args], self.params, self.label, self.entry)


def _describe(x):
    try:
        return repr(typeof(x))
    except TypeError:
        return repr(x)


def opened(y):
    """The arrays of a result: tuples, and tuples in tuples, opened."""
    if type(typeof(y)) is Tuple:
        return [e for part in items(y) for e in opened(part)]
    return [y]


def samples(op, key=0):
    """The op's samples as cases."""
    fast = ENTRIES.get(op.name)
    if not any(o.name == op.name for o, _ in reverse.FAST.values()):
        fast = None
    out = []
    for i, (args, params) in enumerate(op.sample(seeded(op.name, key))):
        alone = len(args) == 1 if op.name in WITH_PARAMS else not params
        out.append(Case(op, args, params, f"sample {i}: ", fast if alone else None))
    if fast is not None and op.kind == "elementwise":
        out += [Case(op, args, {}, "scalar: ", fast) for args in _with_scalars(out)]
    return out


def _with_scalars(cases):
    """The first sample of two arrays of one shape, with a Python number in place of either."""
    for case in cases:
        if len(case.active) == len(case.args) == 2 and all(type(a) is np.ndarray and a.size for a in case.args):
            a, b = case.args
            if a.shape == b.shape and a.dtype == b.dtype == np.float64:
                return [(a, float(b.flat[0])), (float(a.flat[0]), b)]
    return []


# The laws


def check_jvp(f, xs, rng, what, alone=True):
    ts = [direction(rng, x) for x in xs]
    values = [np.asarray(y) for y in f(xs)]
    for wants in subsets(len(xs)) if alone else [[True] * len(xs)]:
        some = [t if w else None for t, w in zip(ts, wants)]
        ys, dys = jvp(f, xs, some)
        same(ys, values, ROUNDING, f"value of {what} in forward mode")
        want = difference(f, xs, some)
        same(dys, want, 1e-6, f"jvp of {what}, arguments {wants}, against differences", *values)
        exact = complex_step(f, xs, some)
        if exact is not None and all(off(e, w, largest(w, *values)) < 1e-6 for e, w in zip(exact, want)):
            same(dys, exact, 1e-9, f"jvp of {what}, arguments {wants}, against the complex step")


def check_transpose(f, xs, rng, what, alone=True, others=(), seen=None):
    """others: the same function by other entries, whose walks must give the same cotangents."""
    ts = [direction(rng, x) for x in xs]
    for wants in subsets(len(xs)) if alone else [[True] * len(xs)]:
        ys, dys = jvp(f, xs, [t if w else None for t, w in zip(ts, wants)])
        gs = [direction(rng, y) for y in ys]
        left, left_size = inner(gs, dys)
        for route, h in (("", f), *others):
            values, pull = vjp(h, xs, wants, seen)
            same(values, ys, ROUNDING, f"value of {what} in reverse mode{route}")
            for careful in (False, True):
                cs = pull(gs, careful)
                right, right_size = inner(cs, ts)
                gap = abs(left - right) / (left_size + right_size or 1.0)
                name = f"{what}, arguments {wants}{route}{', careful walk' if careful else ''}"
                assert gap <= 1e-10, f"vjp is not the transpose of jvp: {name}: <g, J t> {left!r}, <J^T g, t> {right!r}"


def law_jvp(case, rng):
    check_jvp(case.function(), case.xs, rng, case)


def law_transpose(case, rng, seen=None):
    others = [(", fast entry", case.function(fast=True))] if case.entry is not None else []
    check_transpose(case.function(), case.xs, rng, case, others=others, seen=seen)


def law_batch(case, rng, size=3):
    rows = lanes_of(case, size)
    stacked = [np.stack(column) for column in zip(*rows)]
    f = case.function(case.arrays, floats=False)
    for which in subsets(len(stacked)):
        check_batch(f, stacked, rows[0], which, f"{case}")
    if case.active and differentiable(case.op):
        places = [case.arrays.index(i) for i in case.active if i in case.arrays]
        if len(places) < len(case.active):
            return  # a Python scalar among them: it has no lanes
        g = case.function()
        xs = [stacked[p] for p in places]
        one = [rows[0][p] for p in places]
        fixed = {i: rows[0][p] for p, i in enumerate(case.arrays) if i not in case.active}
        lane_case = Case(case.op, [fixed.get(i, a) for i, a in enumerate(case.args)], case.params)
        g = lane_case.function()
        gs = [np.stack([direction(rng, y) for _ in range(size)]) for y in g(one)]
        ts = [np.stack([direction(rng, x) for _ in range(size)]) for x in one]
        n = len(xs)
        back, push = pullback(g, n), pushforward(g, n)
        check_batch(back, xs + gs, None, [True] * (n + len(gs)), f"pullback of {case}")
        check_batch(back, xs + gs, one + [q[0] for q in gs], [True] * n + [False] * len(gs), f"pullback of {case}")
        check_batch(push, xs + ts, None, [True] * (2 * n), f"pushforward of {case}")


def check_batch(f, stacked, one, which, what):
    size = len(stacked[0])
    xs = [s if b else o for s, o, b in zip(stacked, one or stacked, which)]
    got = vmap(f, xs, which, size)
    rows = [[plain(y) for y in f([x[i] if b else x for x, b in zip(xs, which)])] for i in range(size)]
    want = [np.stack(column) for column in zip(*rows)]
    what = f"batch of {what}, arguments {which}"
    same(got, want, 1e-10, what)
    same_dtypes(got, want, what)


def same_dtypes(got, want, what):
    for a, b in zip(got, want, strict=True):
        a, b = np.asarray(a).dtype, np.asarray(b).dtype
        assert a == b, f"{what}: dtype {a}, not {b}"


def lanes_of(case, size):
    """The array arguments of `size` lanes: other draws of the same sample where they fit, else copies scaled down."""
    own = [np.asarray(case.args[i]) for i in case.arrays]
    rows = [own]
    place = int(case.label.split()[1].rstrip(":")) if case.label.startswith("sample") else None
    for k in range(1, size):
        row = None
        if place is not None:
            args, params = case.op.sample(seeded(case.op.name, "lane", k))[place]
            row = [np.asarray(args[i]) for i in case.arrays] if len(args) == len(case.args) else None
            if row and (repr(params) != repr(case.params) or any(a.shape != b.shape for a, b in zip(row, own))):
                row = None
            row = row and [a.astype(b.dtype) for a, b in zip(row, own)]
        rows.append(row or [a * (1 - k / 16) if a.dtype.kind in "fc" else a for a in own])
    return rows


def law_captured(case, rng):
    f = case.function(case.arrays, floats=False)
    xs = [case.args[i] for i in case.arrays]
    graph = capture(lambda *row: f(list(row)), *xs).verify()
    want = [plain(y) for y in f(xs)]
    _exactly(graph.run(*xs), want, f"captured {case}")
    if not case.active or not differentiable(case.op):
        return
    f, xs = case.function(), case.xs
    graph = capture(lambda *row: f(list(row)), *xs).verify()
    ys, pull = vjp(f, xs)
    gs = [direction(rng, y) for y in ys]
    want = [or_zeros(c, x) for c, x in zip(pull(gs), xs)]
    _, pull = vjp(lambda row: graph.run(*row), xs)
    _exactly([or_zeros(c, x) for c, x in zip(pull(gs), xs)], want, f"gradient of captured {case}")
    back = pullback(f, len(xs))
    graph = capture(lambda *row: back(list(row)), *xs, *gs).verify()
    _exactly(graph.run(*xs, *gs), want, f"captured gradient of {case}")
    push = pushforward(f, len(xs))
    ts = [direction(rng, x) for x in xs]
    graph = capture(lambda *row: push(list(row)), *xs, *ts).verify()
    _exactly(graph.run(*xs, *ts), [plain(t) for t in push(xs + ts)], f"captured tangent of {case}")


def _exactly(got, want, what):
    got = [plain(y) for y in got]
    same(got, want, 1e-14, what)
    same_dtypes(got, want, what)


def law_second(case, rng):
    f, xs = case.function(), case.xs
    n = len(xs)
    gs = [direction(rng, y) for y in f(xs)]
    ts = [direction(rng, x) for x in xs]
    back, push = pullback(f, n), pushforward(f, n)
    check_jvp(back, xs + gs, rng, f"the pullback of {case}", alone=False)
    check_transpose(back, xs + gs, rng, f"the pullback of {case}", alone=False)
    check_jvp(push, xs + ts, rng, f"the pushforward of {case}", alone=False)
    check_transpose(push, xs + ts, rng, f"the pushforward of {case}", alone=False)
    if case.entry is not None:
        fast = pullback(case.function(fast=True), n)
        check_transpose(fast, xs + gs, rng, f"the pullback of the entry of {case}", alone=False)


def law_create(case, rng):
    xs = case.xs
    for fast in (False, True) if case.entry is not None else (False,):
        f = case.function(fast=fast)
        tape = Tape()
        leaves = [tape.leaf(x) for x in xs]
        ys = f(leaves)
        gs = [direction(rng, y) for y in ys]
        hs = [direction(rng, x) for x in xs]
        seeds = [(y.info, g) for y, g in zip(ys, gs) if is_tracked(y)]
        try:
            found = walk(seeds, create=tape)
        except MissingRuleError:
            assert case.op.record is not None, f"{case} refuses create_graph, though it has no rule `record`"
            return "its rule `record` keeps what create_graph cannot track"
        cs = [found.get(x.info[0], (None, None))[1] for x in leaves]
        again = walk([(c.info, h) for c, h in zip(cs, hs) if is_tracked(c)])
        got = [again.get(x.info[0], (None, None))[1] for x in leaves]
        back = pullback(case.function(), len(xs))
        _, pull = vjp(lambda row: back(row + gs), xs)  # noqa: B023
        same(got, pull(hs), 1e-10, f"create_graph through {case}", *gs)


def law_types(case, rng):
    args = case.args
    y = bind(case.op, *args, **case.params)
    kinds = []
    for a in args:
        try:
            kinds.append(typeof(a))
        except TypeError:
            kinds.append(a)
    inferred = infer(case.op, kinds, case.params)
    assert inferred == typeof(y), f"{case} is inferred as {inferred}, and is {typeof(y)}"
    if not case.active or not differentiable(case.op):
        return
    f, xs = case.function(), case.xs
    ts = [direction(rng, x) for x in xs]
    for wants in subsets(len(xs)):
        ys, dys = jvp(f, xs, [t if w else None for t, w in zip(ts, wants)])
        for v, t in zip(ys, dys):
            _same_type(t, v, f"tangent of {case}, arguments {wants}")
        ys, pull = vjp(f, xs, wants)
        gs = [direction(rng, v) for v in ys]
        for careful in (False, True):
            for c, x in zip(pull(gs, careful), xs):
                _same_type(c, x, f"cotangent of {case}, arguments {wants}")
        if case.entry is not None:
            for c, x in zip(vjp(case.function(fast=True), xs, wants)[1](gs), xs):
                _same_type(c, x, f"cotangent of the entry of {case}, arguments {wants}")


def _same_type(t, x, what):
    if t is None:
        return
    a, b = typeof(t), typeof(x)
    assert a.shape == b.shape, f"{what}: shape {a.shape}, not {b.shape}"
    assert a.dtype == b.dtype, f"{what}: dtype {a.dtype}, not {b.dtype}"


def law_single(case, rng):
    low = case.cast(_single)
    small = [y for y in map(plain, low.function()(low.xs))]
    for y in small:
        kind = typeof(y)
        narrow = kind.dtype.name in ("float32", "complex64")
        assert narrow or kind.weak or "dtype" in case.params, f"{case} in float32 gives {kind.dtype}"
    law_types(low, rng)
    f = case.function()
    gs = [direction(rng, y) for y in small]
    got = pullback(low.function(), len(low.xs))(low.xs + gs)
    wide = [g.astype(np.result_type(g.dtype, np.float64)) if hasattr(g, "astype") else g for g in gs]
    # the float64 derivative at the very numbers that float32 was given
    same_point = [np.asarray(x, typeof(y).dtype)[()] for x, y in zip(low.xs, case.xs)]
    want = pullback(f, len(low.xs))(same_point + wide)
    same([np.asarray(plain(g), np.complex128) for g in got], [np.asarray(plain(w), np.complex128) for w in want], 2e-3,
         f"gradient of {case} in float32", *gs)  # fmt: skip


def _single(x):
    if type(x) is float or type(x) is complex:
        return x
    dtype = np.complex64 if np.asarray(x).dtype.kind == "c" else np.float32
    return np.asarray(x).astype(dtype)[()]


def _turned(x):
    return x[(slice(None, None, -1),) * x.ndim]


LAYOUTS = {
    "Fortran": lambda x: np.asarray(x, order="F"),
    "negative strides": lambda x: _turned(np.ascontiguousarray(_turned(x))),
    "gaps": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
}


def law_layout(case, rng):
    f, xs = case.function(), case.xs
    ys = f(xs)
    gs = [direction(rng, y) for y in ys]
    want = pullback(f, len(xs))(xs + gs) if differentiable(case.op) else []
    for name, lay in LAYOUTS.items():
        other = [lay(x) if type(x) is np.ndarray and x.ndim else x for x in xs]
        same(f(other), ys, 1e-12, f"{case} with {name}")
        if want:
            turned = [lay(g) if type(g) is np.ndarray and g.ndim else g for g in gs]
            for route in (False, True) if case.entry is not None else (False,):
                got = pullback(case.function(fast=route), len(xs))(other + turned)
                same(got, want, 1e-12, f"gradient of {case} with {name}")


def law_complex(case, rng):
    turned = case.cast(lambda x: x + 0.3j * direction(rng, x))
    public = getattr(np, case.op.name, None)
    if isinstance(public, np.ufunc) and not case.params:  # as users call it: another op may serve complex numbers
        f = lambda xs: [e for e in [public(*_fill(turned, xs))] if carries(e)]
    else:
        f = turned.function()
    try:
        values = f(turned.xs)
    except Exception:
        return "its eval takes no complex numbers"
    if not all(np.all(np.isfinite(plain(y))) for y in values) or not values:
        return "it gives no finite number there"
    try:
        vjp(f, turned.xs)[1]([direction(rng, y) for y in values])
        jvp(f, turned.xs, [direction(rng, x) for x in turned.xs])
    except (AdjointError, TypeError):
        return "it refuses to differentiate complex numbers"
    check_jvp(f, turned.xs, rng, f"complex {turned}")
    check_transpose(f, turned.xs, rng, f"complex {turned}")
    return None


def _fill(case, xs):
    args = list(case.args)
    for i, x in zip(case.active, xs, strict=True):
        args[i] = x
    return args


def law_untracked(case, rng):
    f = case.function(case.arrays, floats=False)
    xs = [case.args[i] for i in case.arrays]
    want = [plain(y) for y in f(xs)]
    tape = Tape()
    for fast in (False, True):
        h = case.function(case.arrays, floats=False, fast=fast)
        ys = h([tape.leaf(x) if carries(x) else x for x in xs])
        assert not any(is_tracked(y) for y in ys), f"{case} gives a tracked tensor on a tape"
        same([plain(y) for y in ys], want, 0.0, f"value of {case} on a tape")
    trace = Dual()
    ys = f([make(x, trace, direction(rng, x)) if carries(x) else x for x in xs])
    assert not any(is_tracked(y) for y in ys), f"{case} gives a tracked tensor in forward mode"
    same([plain(y) for y in ys], want, 0.0, f"value of {case} in forward mode")


def differentiable(op):
    return op.jvp is not None or op.vjp is not None or op.dual is not None


LAWS = {
    "jvp": law_jvp,
    "transpose": law_transpose,
    "batch": law_batch,
    "captured": law_captured,
    "second": law_second,
    "create": law_create,
    "types": law_types,
    "single": law_single,
    "layout": law_layout,
    "complex": law_complex,
    "untracked": law_untracked,
}
WITHOUT_DERIVATIVE = ("batch", "captured", "types", "untracked")  # the laws of ops that have none
DERIVATIVE = tuple(name for name in LAWS if name != "untracked")


def applies(op):
    """{law: ''} for the laws an op is under, {law: reason} for the others."""
    floats = any(case.active for case in samples(op))
    out = {}
    for name in LAWS:
        if name not in (DERIVATIVE if differentiable(op) else WITHOUT_DERIVATIVE):
            out[name] = "it has a derivative" if differentiable(op) else "it has no derivative"
        elif not floats and name not in WITHOUT_DERIVATIVE:
            out[name] = "none of its samples has a floating argument"
        else:
            out[name] = ""
    return out


def obeys(op, law, key=0, cases=None):
    """Check one law on every sample of an op. Returns one text a case: '' where it was checked, else why it was not."""
    reasons = []
    for case in samples(op, key) if cases is None else cases:
        if (law in WITHOUT_DERIVATIVE and case.arrays) or case.active:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                reasons.append(LAWS[law](case, seeded(op.name, law, key, case.label)) or "")
    return reasons
