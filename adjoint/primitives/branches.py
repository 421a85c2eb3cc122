"""The ops `call` and `cond`, with their rules, and what the rules of all ops with graphs share. See loops.py for the others."""

import numpy as np

from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.tuples import Parts, items, pack
from ..core.types import Array, Stack, Tuple, typeof
from ..traces.capture import capture
from ..traces.derive import CHEAP, batch_graph, floats, jvp_graph, strong, vjp_graphs, whole_vjp, zeros
from .checks import careful, guarded

CHEAP |= {
    "add", "subtract", "multiply", "negative", "positive", "square", "maximum", "minimum", "absolute", "where", "sign", "less",
    "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not", "isnan",
    "reshape", "transpose", "broadcast_to", "astype", "getitem", "flip",
}  # fmt: skip


def call(graph, *args):
    """The outputs of a graph for these arguments, as one op: a tuple."""
    return items(bind(call_op, *args, graph=graph))


# call


def active_tangents(ts, args):
    """(which have tangents, the tangents that are there)."""
    active = tuple(t is not None for t in ts)
    return active, [t for t in ts if t is not None]


def scatter(flags, values):
    rest = iter(values)
    return [next(rest) if f else None for f in flags]


def _call_dual(ts, *args, graph):
    active, tangents = active_tangents(ts, args)
    derived, out_active = jvp_graph(graph, active)
    _inherit(derived, graph)
    out = items(bind(call_op, *args, *tangents, graph=derived))
    n = len(graph.outputs)
    return pack(*out[:n]), tuple(scatter(out_active, out[n:]))


def _call_record(wants, *args, graph):
    forward, backward, needs = vjp_graphs(graph, wants, range(len(args)))
    stacks = "compile" in graph.cache and any(type(v.type) is not Array for v in forward.outputs)
    if stacks or "checkpoint" in graph.cache:
        # run again for the backward pass: as asked for, and where compiled code keeps the steps of a loop in its own memory
        y = bind(call_op, *args, graph=graph)
        return y, (_inherit(whole_vjp(graph.silent(), wants), graph), list(args))
    _inherit(forward, graph)
    _inherit(backward, graph)
    out = items(bind(call_op, *args, graph=forward))
    n = len(graph.outputs)
    return pack(*out[:n]), (backward, [args[i] for i in needs] + list(out[n:]))


def _inherit(derived, graph):
    """What is derived from a compiled graph is compiled; from one that is run again (schedule.py), run again."""
    for key in ("compile", "checkpoint"):
        if key in graph.cache:
            derived.cache[key] = graph.cache[key]
    return derived


def cotangents_of(g, types):
    """One cotangent for each floating output, zeros where there is none."""
    parts = g.parts if type(g) is Parts else items(g)
    return [zeros(strong(t)) if e is None else e for e, t in zip(parts, types, strict=True) if floats(t)]


def _call_vjp(wants, g, saved, *_args, graph):
    backward, residuals = saved
    gs = cotangents_of(g, [v.type for v in graph.outputs])
    return scatter(wants, items(bind(call_op, *gs, *residuals, graph=backward)))


def _call_batch(size, batched, *args, graph):
    # a stack among the arguments may be ragged, of which its type within a lane says nothing
    types = tuple(map(typeof, args)) if any(type(v.type) is Stack for v in graph.inputs) else None
    derived, _ = batch_graph(graph, size, tuple(batched), all_out=True, types=types)
    return bind(call_op, *args, graph=_inherit(derived, graph))


COMPILED: list = []  # run(graph, args) of compiled graphs, filled by compiler.program


def _call_eval(*args, graph):
    if COMPILED and graph.cache.get("compile"):
        return COMPILED[0](graph, args)
    return tuple(graph.run(*args))


call_op = Op(
    "call",
    _call_eval,
    kind="control",
    type=lambda *types, graph: Tuple(v.type for v in graph.outputs),
    vjp=_call_vjp,
    record=_call_record,
    dual=_call_dual,
    batch=_call_batch,
)


# cond


def _cond_eval(test, *args, true, false, sides=None):
    return tuple((true if test else false).run(*args))


def _cond_type(test, *types, true, false, sides=None):
    # a stack that the other branch fills in is empty there, and may be ragged here
    sides = sides or (None,) * len(true.outputs)
    return Tuple(b.type if side == 1 else a.type for a, b, side in zip(true.outputs, false.outputs, sides, strict=True))


def _cond_dual(ts, test, *args, true, false, sides=None):
    active, tangents = active_tangents(ts[1:], args)
    (a, a_active), (b, b_active) = jvp_graph(true, active), jvp_graph(false, active)
    out_active = tuple(x or y for x, y in zip(a_active, b_active, strict=True))
    n = len(true.outputs)
    a, b = (_fill(g, n, own, out_active) for g, own in ((a, a_active), (b, b_active)))
    if sides is not None:
        sides = (*sides, *(s for s, o in zip(sides, out_active, strict=True) if o))
    out = items(bind(cond_op, test, *args, *tangents, true=a, false=b, sides=sides))
    return pack(*out[:n]), tuple(scatter(out_active, out[n:]))


def _fill(graph, n, own, wanted):
    """A jvp graph with zeros as the tangents that the other branch has and this one lacks."""
    if own == wanted:
        return graph
    types = [v.type for v in graph.outputs[:n]]

    def run(*xs):
        outs = graph.run(*xs)
        have = iter(outs[n:])
        return outs[:n] + [
            next(have) if o else zeros(strong(t)) for o, w, t in zip(own, wanted, types, strict=True) if w
        ]

    return capture(run, *(v.type for v in graph.inputs), name=graph.name)


def _cond_record(wants, test, *args, true, false, sides=None):
    fa, ba, na = vjp_graphs(true, wants[1:], range(len(args)))
    fb, bb, nb = vjp_graphs(false, wants[1:], range(len(args)))
    n = len(true.outputs)
    ra, rb = [v.type for v in fa.outputs[n:]], [v.type for v in fb.outputs[n:]]
    types = [v.type for v in fa.inputs]

    def forward_true(*xs):
        outs = fa.run(*xs)
        return outs + [zeros(t) for t in rb]

    def forward_false(*xs):
        outs = fb.run(*xs)
        return outs[:n] + [zeros(t) for t in ra] + outs[n:]

    graphs = capture(forward_true, *types, name="true"), capture(forward_false, *types, name="false")
    new_sides = (*(sides or (None,) * n), *(0 for _ in ra), *(1 for _ in rb))
    out = items(bind(cond_op, test, *args, true=graphs[0], false=graphs[1], sides=new_sides))
    gtypes = [strong(v.type) for v in true.outputs if floats(v.type)]
    ng, nx = len(gtypes), len(args)

    def backward_true(*xs):
        gs, inputs, residuals = xs[:ng], xs[ng : ng + nx], xs[ng + nx :]
        return ba.run(*gs, *(inputs[i] for i in na), *residuals[: len(ra)])

    def backward_false(*xs):
        gs, inputs, residuals = xs[:ng], xs[ng : ng + nx], xs[ng + nx :]
        return bb.run(*gs, *(inputs[i] for i in nb), *residuals[len(ra) :])

    back_types = [*gtypes, *types, *ra, *rb]
    graphs = [capture(f, *back_types, name=f.__name__) for f in (backward_true, backward_false)]
    absent = tuple(map(all, zip(ba.cache["absent"], bb.cache["absent"], strict=True)))
    return pack(*out[:n]), (graphs, test, args, out[n:], absent)


def _cond_vjp(wants, g, saved, *_args, true, false, sides=None):
    (a, b), test, args, residuals, absent = saved
    gs = cotangents_of(g, [v.type for v in true.outputs])
    out = items(bind(cond_op, test, *gs, *args, *residuals, true=a, false=b))
    return [None, *scatter(wants[1:], [None if e else y for y, e in zip(out, absent, strict=True)])]


def _cond_batch(size, batched, test, *args, true, false, sides=None):
    flags = tuple(batched[1:])
    types = tuple(map(typeof, args))
    for_true, for_false = args, args
    if batched[0] and (
        careful(true) or careful(false)
    ):  # a lane does not print, raise or loop for the side it does not take
        true, false = guarded(true), guarded(false)
        for_true, for_false = (*args, test), (*args, np.logical_not(test))
        flags, types = (*flags, True), (*types, typeof(test))
    a, _ = batch_graph(true, size, flags, all_out=True, types=types)
    b, _ = batch_graph(false, size, flags, all_out=True, types=types)
    if not batched[0]:
        return bind(cond_op, test, *args, true=a, false=b, sides=sides)
    with np.errstate(all="ignore"):  # each lane warns of the side that it does not take
        ys = list(zip(items(bind(call_op, *for_true, graph=a)), items(bind(call_op, *for_false, graph=b)), strict=True))
    sides = sides or (None,) * len(true.outputs)
    return pack(*(choose(test, x, y) if side is None else (x, y)[side] for (x, y), side in zip(ys, sides, strict=True)))


def choose(test, x, y):
    """where(test, x, y) with one test a lane."""
    rank = len(shape_of(x)) - 1
    return np.where(np.reshape(test, shape_of(test) + (1,) * rank) if rank else test, x, y)


cond_op = Op(
    "cond",
    _cond_eval,
    kind="control",
    type=_cond_type,
    vjp=_cond_vjp,
    record=_cond_record,
    dual=_cond_dual,
    batch=_cond_batch,
)
