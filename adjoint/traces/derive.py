"""Graphs derived from a graph: its jvp, its forward-with-residuals and backward, its batch. Each is made once and cached.

They come from running the graph under the traces there are, inside a Capture: nothing here differentiates.
"""

import numpy as np

from ..core.tensor import BIRTHS, is_tensor, make
from ..core.tuples import spread
from ..core.types import Array, Stack, StackValue, Tuple, typeof
from .batch import Batch, lane_info
from .capture import Capture, capture
from .forward import Dual
from .graph import Const, Graph, Var
from .reverse import Tape, walk


def strong(t):
    """A type without the weak mark: what tangents and cotangents have."""
    return Array(t.shape, t.dtype) if type(t) is Array else t


def floats(t):
    """Whether a value of this type has a derivative."""
    if type(t) is Tuple:
        return any(map(floats, t.elems))
    return floats(t.elem) if type(t) is Stack else t.dtype.kind in "fc"


def zeros(t):
    """Zeros of a type."""
    if type(t) is Tuple:
        return tuple(map(zeros, t.elems))
    if type(t) is Stack:
        return StackValue([], t.elem)
    return np.zeros(t.shape, t.dtype)[()]


def jvp_graph(graph, active):
    """(graph of values and tangents, which outputs have tangents). active: which inputs have tangents.

    Inputs: those of `graph`, then the tangents of the active ones. Outputs: those of `graph`, then the tangents there are.
    """
    key = ("jvp", active)
    if key not in graph.cache:
        out_active: list = []

        def run(*args):
            xs, ts = args[: len(active)], iter(args[len(active) :])
            trace = Dual()
            outs = graph.run(*[make(x, trace, next(ts)) if a else x for x, a in zip(xs, active, strict=True)])
            trace.close()
            mine = [is_tensor(y) and y.trace is trace for y in outs]
            out_active[:] = mine
            return [y.value if m else y for y, m in zip(outs, mine, strict=True)] + [
                y.info for y, m in zip(outs, mine, strict=True) if m
            ]

        types = [v.type for v in graph.inputs]
        tangents = [strong(t) for t, a in zip(types, active, strict=True) if a]
        derived = capture(run, *types, *tangents, name=f"jvp_{graph.name}")
        graph.cache[key] = derived, tuple(out_active)
    return graph.cache[key]


CHEAP: set = set()  # names of ops that cost no more than to save their result and load it; filled by primitives.branches


COMPARISONS = {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "max", "min"}
# names of ops that round nothing: what they make of a product is still one, or its negative, or a part of it
SAME = {
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "negative", "positive", "absolute", "maximum",
    "minimum", "where", "sign", "logical_and", "logical_or", "logical_not", "isnan", "reshape", "transpose",
    "broadcast_to", "astype", "getitem", "flip", "copy", "stop_gradient",
}  # fmt: skip
# names of ops whose result lies in memory, whatever is done with it: no addition is joined to them
APART = {
    "matmul", "sum", "max", "min", "cumsum", "concatenate", "stack", "pad", "roll", "scatter", "index_set", "index_add", "item",
}  # fmt: skip

STEPS = 12  # lines that make a residual again, at the most


def vjp_graphs(graph, wants, free=()):
    """(forward, backward, needs): the graph cut in two for reverse mode.

    forward: the inputs of `graph` -> its outputs, then the residuals. backward: one cotangent for each floating output,
    then the inputs numbered `needs`, then the residuals -> one cotangent for each wanted input.
    free: inputs that are there in the backward pass anyway, such as a loop's constants. What is cheap to compute again from
    these, or from less than itself, is no residual.
    """
    key = ("vjp", wants, tuple(free))
    if key not in graph.cache:
        graph.cache[key] = _vjp_graphs(graph, wants, free)
    return graph.cache[key]


def rounding(line, products, loose):
    """Note whether the result of a line is a product, and whether computing it again may round it differently (ids).

    Compiled code computes `a * b + c` with one rounding or two, as it suits the rest of a loop.
    """
    sums = line.op.name in ("add", "subtract")
    if line.op.name in SAME:
        product = any(id(a) in products for a in line.args)
    else:
        product = not sums and line.op.name not in APART
    if product:
        products.add(id(line.out))
    if any(id(a) in loose or (sums and id(a) in products) for a in line.args):
        loose.add(id(line.out))


def _compared(lines, backward, residuals):
    """Residuals that are compared, and that might be rounded differently when they are made again.

    The derivative of v.max() asks where v == max(v), which must hold somewhere; and max(v) - v must not be negative.
    """
    compared: set = set()
    for line in (*reversed(backward), *reversed(lines)):
        if line.op.name in COMPARISONS or (id(line.out) in compared and line.op.name in CHEAP):
            compared |= {id(line.out), *map(id, line.args)}
    products: set = set()
    loose: set = set()
    for line in lines:
        rounding(line, products, loose)
    return compared & loose & set(residuals)


def _recomputed(lines, backward, residuals, free):
    """The lines that the backward pass runs again; `residuals` (by id) becomes what it must be given."""
    cheap = {id(line.out): line for line in lines if line.op.name in CHEAP and type(line.out.type) is Array}
    for k in _compared(lines, backward, residuals):
        cheap.pop(k, None)
    again = _from_sources(cheap, residuals, free)
    for k in reversed(list(cheap)):
        line = cheap[k]
        v = line.out
        if k not in residuals:
            continue
        new = {id(a): a for a in line.args if type(a) is Var and id(a) not in residuals and id(a) not in again}
        if any(type(a.type) is not Array for a in new.values()):
            continue
        if not new or sum(_bytes(a) for k, a in new.items() if k not in free) < _bytes(v):
            del residuals[k]
            residuals.update(new)
            again.add(k)
    return [line for line in lines if id(line.out) in again]


def _from_sources(cheap, residuals, free):
    """Residuals that can be made again, in a few cheap steps, of sources that take less room than they do together.

    Those of `x = x + h * (x[1:] - x[:-1])` are made of x. Returns the ids of what is made again.
    """
    sources: dict = {}  # id -> ({source}, {step}): what a value is made of, and by which lines

    def of(v):
        k = id(v)
        if k not in sources:
            line = cheap.get(k)
            found, steps = {k: v}, {k}
            if line is not None and all(type(a) is Const or type(a.type) is Array for a in line.args):
                found = {}
                for a in line.args:
                    if type(a) is Var:
                        more, some = of(a) if id(a) in cheap else ({id(a): a}, set())
                        found.update(more)
                        steps |= some
                if len(steps) > STEPS:
                    found, steps = {k: v}, set()
            sources[k] = found, steps
        return sources[k]

    for k in list(cheap):  # in order: no deep recursion
        of(cheap[k].out)
    again: set = set()
    for k in list(residuals):
        if k not in cheap or k not in residuals or k in sources[k][0]:
            continue
        wanted = sources[k][0]
        group = [
            r for r in residuals if r in cheap and r not in sources[r][0] and sources[r][0].keys() <= wanted.keys()
        ]
        room = sum(_bytes(v) for s, v in wanted.items() if s not in residuals and s not in free)
        if sum(_bytes(residuals[r]) for r in group) > room:
            for r in group:
                again |= sources[r][1]
                del residuals[r]
            residuals.update(wanted)
    return again - set(residuals)


def _bytes(v):
    return v.type.size * v.type.dtype.itemsize


def _vjp_graphs(graph, wants, free):
    trace = Capture()
    xs = [trace.input(v.type) for v in graph.inputs]
    tape = Tape()
    leaves = [tape.leaf(x) if w else x for x, w in zip(xs, wants, strict=True)]
    outs = graph.run(*leaves)
    tape.close()
    values = [y.value if is_tensor(y) and y.trace is tape else y for y in outs]
    outputs = [trace.operand(v) for v in values]
    cut = len(trace.lines)
    gs = [trace.input(strong(typeof(v))) for v in values if floats(typeof(v))]
    gs_left = iter(gs)
    seeds = []
    for y, v in zip(outs, values, strict=True):
        if floats(typeof(v)):
            g = next(gs_left)
            if is_tensor(y) and y.trace is tape:
                seeds.append((y.info, g))
    found = walk(seeds, careful=True)
    cotangents = []
    absent = []
    for leaf, x, w in zip(leaves, xs, wants, strict=True):
        if w:
            g = found.get(leaf.info[0])
            absent.append(g is None)
            cotangents.append(trace.operand(zeros(strong(x.value)) if g is None else g[1]))
    trace.close()
    forward_lines, backward_lines = trace.lines[:cut], trace.lines[cut:]
    backward = Graph([], backward_lines, cotangents).prune()
    made = {id(line.out) for line in backward.lines} | {id(g.info) for g in gs}
    residuals: dict = {}
    for v in [a for line in backward.lines for a in line.args] + cotangents:
        if type(v) is Var and id(v) not in made:
            residuals[id(v)] = v
    inputs = [x.info for x in xs]
    again = _recomputed(forward_lines, backward.lines, residuals, {id(inputs[i]) for i in free})
    backward.lines = again + backward.lines
    needs = [i for i, v in enumerate(inputs) if id(v) in residuals]
    saved = [v for v in residuals.values() if not any(v is i for i in inputs)]
    forward = Graph(inputs, forward_lines, outputs + saved, None, (), f"forward_{graph.name}").prune()
    backward.inputs = [g.info for g in gs] + [inputs[i] for i in needs] + saved
    backward.name = f"backward_{graph.name}"
    backward.cache["absent"] = tuple(absent)  # wanted inputs that no output is made of: their cotangents are zeros, whatever comes in
    return forward, backward, tuple(needs)


def whole_vjp(graph, wants):
    """Forward and backward in one graph: one cotangent for each floating output, then the inputs -> cotangents wanted."""
    key = ("whole vjp", wants)
    if key not in graph.cache:
        forward, backward, needs = vjp_graphs(graph, wants)
        n = len(graph.outputs)
        seeds = sum(floats(v.type) for v in graph.outputs)

        def run(*args):
            gs, xs = args[:seeds], args[seeds:]
            return backward.run(*gs, *(xs[i] for i in needs), *forward.run(*xs)[n:])

        types = [strong(v.type) for v in graph.outputs if floats(v.type)] + [v.type for v in graph.inputs]
        graph.cache[key] = capture(run, *types, name=f"vjp_{graph.name}")
    return graph.cache[key]


def batch_graph(graph, size, batched, all_out=False, types=None):
    """(graph over batches, which outputs are batched). all_out: repeat the unbatched ones, so that all are.

    types: those of the batched inputs, where a stack among them may be ragged.
    """
    key = ("batch", size, batched, all_out, types)
    if key not in graph.cache:
        flags: list = []

        def run(*args):
            trace = Batch(size)
            info = [lane_info(BIRTHS[0], v.type) for v in graph.inputs]
            outs = graph.run(*[make(x, trace, i) if b else x for x, b, i in zip(args, batched, info, strict=True)])
            trace.close()
            mine = [is_tensor(y) and y.trace is trace for y in outs]
            flags[:] = [m or all_out for m in mine]
            return [y.value if m else spread(size, y) if all_out else y for y, m in zip(outs, mine, strict=True)]

        if types is None:
            types = [lift(v.type, size) if b else v.type for v, b in zip(graph.inputs, batched, strict=True)]
        derived = capture(run, *types, name=f"batch_{graph.name}")
        graph.cache[key] = derived, tuple(flags)
    return graph.cache[key]


def lift(t, size):
    """The type of a batch of this type."""
    if type(t) is Tuple:
        return Tuple(lift(e, size) for e in t.elems)
    if type(t) is Stack:
        return Stack(lift(t.elem, size), tuple(r + 1 for r in t.ragged))
    return Array((size, *t.shape), t.dtype)
