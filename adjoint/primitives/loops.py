"""The ops of control flow: call, cond, while_loop, scan, with their rules. Users meet them through control.py.

    op           arguments                          result
    call         *args; graph                       tuple of outputs
    cond         test, *args; true, false           tuple of outputs
    while_loop   *state, *constants; cond, body     tuple: final state, then one Stack for each further output of body
    scan         *carry, *xs, *constants; body      tuple: final carry, then one array (or Stack) for each further output

The rules run graphs derived from the bodies (traces.derive). Going backward, a loop of unknown length is a scan over the
Stacks that its forward run left, so that the set is closed: second order needs nothing new.
"""

import numpy as np

from ..core.errors import ShapeError, where
from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.tuples import Parts, items, pack, spread
from ..core.types import Array, Stack, StackValue, Tuple, typeof
from ..traces.capture import capture
from ..traces.derive import CHEAP, batch_graph, floats, jvp_graph, lift, strong, vjp_graphs, whole_vjp, zeros
from .checks import careful, guarded
from .kinds import zeros_like
from .stack import masked, masks_of, zeros_of

CHEAP |= {
    "add", "subtract", "multiply", "negative", "positive", "square", "maximum", "minimum", "absolute", "where", "sign", "less",
    "less_equal", "greater", "greater_equal", "equal", "not_equal", "logical_and", "logical_or", "logical_not", "isnan",
    "reshape", "transpose", "broadcast_to", "astype", "getitem", "flip",
}  # fmt: skip


def call(graph, *args):
    """The outputs of a graph for these arguments, as one op: a tuple."""
    return items(bind(call_op, *args, graph=graph))


# call


def _tangents(ts, args):
    """(which have tangents, the tangents that are there)."""
    active = tuple(t is not None for t in ts)
    return active, [t for t in ts if t is not None]


def _scatter(flags, values):
    rest = iter(values)
    return [next(rest) if f else None for f in flags]


def _call_dual(ts, *args, graph):
    active, tangents = _tangents(ts, args)
    derived, out_active = jvp_graph(graph, active)
    _inherit(derived, graph)
    out = items(bind(call_op, *args, *tangents, graph=derived))
    n = len(graph.outputs)
    return pack(*out[:n]), tuple(_scatter(out_active, out[n:]))


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
    return _scatter(wants, items(bind(call_op, *gs, *residuals, graph=backward)))


def _call_batch(size, batched, *args, graph):
    derived, _ = batch_graph(graph, size, tuple(batched), all_out=True)
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
    active, tangents = _tangents(ts[1:], args)
    (a, a_active), (b, b_active) = jvp_graph(true, active), jvp_graph(false, active)
    out_active = tuple(x or y for x, y in zip(a_active, b_active, strict=True))
    n = len(true.outputs)
    a, b = (_fill(g, n, own, out_active) for g, own in ((a, a_active), (b, b_active)))
    if sides is not None:
        sides = (*sides, *(s for s, o in zip(sides, out_active, strict=True) if o))
    out = items(bind(cond_op, test, *args, *tangents, true=a, false=b, sides=sides))
    return pack(*out[:n]), tuple(_scatter(out_active, out[n:]))


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
    return [None, *_scatter(wants[1:], [None if e else y for y, e in zip(out, absent, strict=True)])]


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


# while_loop


def _split(args, cond, n):
    c = len(cond.inputs) - n
    return args[:n], args[n : n + c], args[n + c :]


def _keeps_state(body, n):
    """Raise unless a step gives the state in the shapes and dtypes that it takes: compiled code has room for no others."""
    for v, w in zip(body.inputs[:n], body.outputs, strict=False):
        a, b = v.type, w.type
        if type(a) is Array and (type(b) is not Array or (a.shape, a.dtype) != (b.shape, b.dtype)):
            raise ShapeError(f"a step of the loop {body.name} makes {b} of its state {a}{where()}")


def _while_eval(*args, cond, body, n):
    state, cond_constants, constants = _split(args, cond, n)
    stacks: list = [[] for _ in body.outputs[n:]]
    while bool(cond.run(*state, *cond_constants)[0]):
        out = body.run(*state, *constants)
        state = out[:n]
        for stack, y in zip(stacks, out[n:], strict=True):
            stack.append(y)
    return (*state, *(StackValue(s, v.type) for s, v in zip(stacks, body.outputs[n:], strict=True)))


def _while_type(*types, cond, body, n):
    _keeps_state(body, n)
    return Tuple([v.type for v in body.outputs[:n]] + [Stack(v.type) for v in body.outputs[n:]])


def _while_dual(ts, *args, cond, body, n):
    state, cond_constants, constants = _split(args, cond, n)
    tc = ts[len(args) - len(constants) :]
    active, derived, out_active = _activity(body, [t is not None for t in ts[:n]], [t is not None for t in tc], n)
    k = sum(active)
    tangents = [zeros_like(x) if t is None else t for x, t, a in zip(state, ts[:n], active, strict=True) if a]

    # the derived body takes (state, constants, state tangents, constant tangents): put the state tangents behind the state
    def new_body(*xs):
        s, d, c, dc = xs[:n], xs[n : n + k], xs[n + k : n + k + len(constants)], xs[n + k + len(constants) :]
        outs = derived.run(*s, *c, *d, *dc)
        return _order_tangents(outs, n, len(body.outputs), active, out_active)

    def new_cond(*xs):
        return cond.run(*xs[:n], *xs[n + k :])

    types = [v.type for v in body.inputs]
    dtypes = [strong(t) for t, a in zip(types, active, strict=False) if a]
    ctypes = types[n:]
    dctypes = [strong(t) for t, t_given in zip(ctypes, tc, strict=True) if t_given is not None]
    body_graph = capture(new_body, *types[:n], *dtypes, *ctypes, *dctypes, name="jvp_body")
    cond_graph = capture(new_cond, *types[:n], *dtypes, *(v.type for v in cond.inputs[n:]), name="cond")
    out = items(
        bind(while_op, *state, *tangents, *cond_constants, *constants, *[t for t in tc if t is not None],
             cond=cond_graph, body=body_graph, n=n + k)
    )  # fmt: skip
    m = len(body.outputs) - n
    y = pack(*out[:n], *out[n + k : n + k + m])
    emitted = _scatter(out_active[n:], out[n + k + m :])
    return y, tuple(_scatter(active, out[n : n + k]) + emitted)


def _activity(body, active, constants, n, xs=()):
    """Which parts of a loop's state have tangents, given those at the start: grow until the body adds none."""
    while True:
        derived, out_active = jvp_graph(body, (*active, *xs, *constants))
        grown = [a or o for a, o in zip(active, out_active, strict=False)]
        if grown == active:
            return active, derived, out_active
        active = grown


def _order_tangents(outs, n, total, active, out_active):
    """From (state, emitted, tangents there are) to (state, tangents of the active state, emitted, tangents of emitted)."""
    tangents = _scatter(out_active, outs[total:])
    state = [zeros_like(x) if t is None else t for x, t, a in zip(outs, tangents, active, strict=False) if a]
    return outs[:n] + state + outs[n:total] + [t for t in tangents[n:] if t is not None]


def _while_record(wants, *args, cond, body, n):
    state, _, constants = _split(args, cond, n)
    c = len(args) - len(constants)
    state_wants = tuple(floats(v.type) for v in body.inputs[:n])
    constant_wants = tuple(w and floats(v.type) for w, v in zip(wants[c:], body.inputs[n:], strict=True))
    forward, backward, needs = vjp_graphs(body, state_wants + constant_wants, range(n, len(body.inputs)))
    total = len(body.outputs)
    state_needs = [i for i in needs if i < n]

    def new_body(*xs):
        outs = forward.run(*xs)
        # at least one stack, which tells the way back how many steps there were
        return outs[:total] + [xs[i] for i in state_needs] + (outs[total:] or [0.0])

    graph = capture(new_body, *(v.type for v in body.inputs), name="body")
    out = items(bind(while_op, *args, cond=cond, body=graph, n=n))
    saved = (backward, needs, state_wants, constant_wants, constants, out[n:total], out[total:])
    return pack(*out[:total]), saved


def _while_vjp(wants, g, saved, *_args, cond, body, n):
    backward, needs, state_wants, constant_wants, constants, emitted, residuals = saved
    parts = g.parts if type(g) is Parts else items(g)
    types = [v.type for v in body.outputs]
    gs = cotangents_of(parts[:n], types[:n])
    g_emitted = [
        zeros_of(s) if e is None else e for e, s, t in zip(parts[n:], emitted, types[n:], strict=True) if floats(t)
    ]
    back = _reverse_scan(
        backward, needs, n, sum(state_wants), constant_wants, constants, gs, g_emitted, residuals, body, None
    )
    k = sum(state_wants)
    cotangents = _scatter(state_wants, back[:k])
    own = _scatter(constant_wants, back[k : k + sum(constant_wants)])
    row = cotangents + [None] * (len(_args) - n - len(own)) + own
    return [e if w else None for e, w in zip(row, wants, strict=True)]


def _reverse_scan(
    backward,
    needs,
    n,
    k,
    constant_wants,
    constants,
    gs,
    g_ys,
    residuals,
    body,
    length,
    m=0,
    x_wants=(),
    forward_reverse=False,
):
    """Walk a loop back: carry the cotangents of the state and of the constants over the residuals of its steps.

    n: size of the forward carry, m: number of its xs; needs counts carry, then xs, then constants.
    """
    nx = sum(x_wants)
    # what no step has a cotangent of is not added up, so that a loop that only decides is not walked back at all
    reached = [not absent for absent in backward.cache["absent"][k + nx :]]
    accumulators = [zeros(strong(v.type)) for v, w in zip(body.inputs[n + m :], constant_wants, strict=True) if w]
    accumulators = [x for x, r in zip(accumulators, reached, strict=True) if r]
    in_steps = [i for i in needs if i < n + m]
    in_constants = [i for i in needs if i >= n + m]

    def step(*xs):
        at = 0

        def take(count):
            nonlocal at
            at += count
            return xs[at - count : at]

        g_state, acc, g_y, step_residuals, own = (
            take(k), take(len(accumulators)), take(len(g_ys)), take(len(residuals)), take(len(in_constants)),
        )  # fmt: skip
        stepwise = iter(step_residuals)
        inputs = [next(stepwise) for _ in in_steps] + list(own)
        given = [*g_state, *g_y, *inputs]
        out = backward.run(*given, *list(stepwise)[: len(backward.inputs) - len(given)])
        g_in, g_x, g_c = out[:k], out[k : k + nx], [g for g, r in zip(out[k + nx :], reached, strict=True) if r]
        return [*g_in, *(a + c for a, c in zip(acc, g_c, strict=True)), *g_x]

    used = [constants[i - n - m] for i in in_constants]
    # what each residual is in the body: a Python number there, such as a counter, leaves float32 as it is here too
    at = len(gs) + len(g_ys)
    read = [
        v.type for v in backward.inputs[at : at + len(in_steps)] + backward.inputs[at + len(in_steps) + len(used) :]
    ]
    read += [None] * (len(residuals) - len(read))
    types = [
        *map(_strong_type, gs),
        *map(_strong_type, accumulators),
        *map(_element, g_ys),
        *(t if _is_weak(t) else _element(x) for x, t in zip(residuals, read, strict=True)),
        *map(typeof, used),
    ]
    graph = capture(step, *types, name="backward_body")
    carry = [*gs, *accumulators]
    xs = [*g_ys, *residuals]
    y = items(
        bind(
            scan_op, *carry, *xs, *used, body=graph, n=len(carry), m=len(xs), reverse=not forward_reverse, length=length
        )
    )
    return [*y[:k], *_scatter(reached, y[k : len(carry)]), *y[len(carry) :]]


def _element(x):
    """The type of one step of what a scan reads."""
    t = typeof(x)
    return t.elem if type(t) is Stack else Array(t.shape[1:], t.dtype)


def _strong_type(x):
    return strong(typeof(x))


def _while_batch(size, batched, *args, cond, body, n):
    state, cond_constants, constants = _split(args, cond, n)
    c = len(cond_constants)
    cond_flags, flags = tuple(batched[n : n + c]), tuple(batched[n + c :])
    carried = tuple(batched[:n])
    while True:
        _, out = batch_graph(body, size, carried + flags)
        _, tested = batch_graph(cond, size, carried + cond_flags)
        grown = (True,) * n if tested[0] else tuple(a or b for a, b in zip(carried, out, strict=False))
        if grown == carried:
            break
        carried = grown
    state = [x if b else spread(size, x) if now else x for x, b, now in zip(state, batched, carried, strict=False)]
    test_graph, (test_batched,) = batch_graph(cond, size, carried + cond_flags)
    body_graph, _ = batch_graph(body, size, carried + flags, all_out=True)
    if not test_batched:
        body_graph, _ = batch_graph(body, size, carried + flags)
        flags_out = batch_graph(body, size, carried + flags)[1]
        keep = _spread_outputs(body_graph, carried, flags_out, size)
        out = items(bind(while_op, *state, *cond_constants, *constants, cond=test_graph, body=keep, n=n))
        return pack(*(y if b else spread(size, y) for y, b in zip(out[:n], carried, strict=True)), *out[n:])

    # One test a lane: go on while any holds; a lane that has stopped keeps its state, and its steps are masked
    masks_body = careful(body)
    if masks_body:  # and a lane that has stopped does not print, raise or loop
        body_graph, _ = batch_graph(guarded(body), size, (*carried, *flags, True), all_out=True)
    m = len(body.outputs) - n

    def any_lane(*xs):
        return [np.any(test_graph.run(*xs)[0])]

    def step(*xs):
        s, cc, bc = xs[:n], xs[n : n + c], xs[n + c :]
        alive = test_graph.run(*s, *cc)[0]
        out = body_graph.run(*s, *bc, *[alive] * masks_body)
        return [choose(alive, new, old) for new, old in zip(out, s, strict=False)] + out[n:] + [alive] * bool(m)

    types = [lift(v.type, size) for v in body.inputs[:n]]
    cond_types = [lift(v.type, size) if b else v.type for v, b in zip(cond.inputs[n:], cond_flags, strict=True)]
    body_types = [lift(v.type, size) if b else v.type for v, b in zip(body.inputs[n:], flags, strict=True)]
    out = items(
        bind(while_op, *state, *cond_constants, *cond_constants, *constants, n=n,
             cond=capture(any_lane, *types, *cond_types, name="cond"), body=capture(step, *types, *cond_types, *body_types, name="body"))
    )  # fmt: skip
    stacks = [masked(s, out[-1]) for s in out[n:-1]] if m else []
    return pack(*out[:n], *stacks)


def _spread_outputs(graph, carried, flags, size):
    """The body of a batched loop with a batch for each part of the state that is one, and for all that it emits."""
    wanted = [*carried, *(True for _ in flags[len(carried) :])]
    if not any(w and not b for w, b in zip(wanted, flags, strict=True)):
        return graph

    def run(*xs):
        ys = zip(graph.run(*xs), flags, wanted, strict=True)
        return [spread(size, y) if w and not b else y for y, b, w in ys]

    return capture(run, *(v.type for v in graph.inputs), name=graph.name)


while_op = Op(
    "while_loop",
    _while_eval,
    kind="control",
    type=_while_type,
    vjp=_while_vjp,
    record=_while_record,
    dual=_while_dual,
    batch=_while_batch,
)


# scan


def _is_weak(t):
    return type(t) is Array and t.weak


def _scan_eval(*args, body, n, m, reverse, length):
    carry, xs, constants = args[:n], args[n : n + m], args[n + m :]
    stacked = length is None
    steps = len(xs[0].items) if stacked else length
    # a Python number in the body, such as a counter, is one here too
    xs = [
        x.tolist() if _is_weak(v.type) and type(x) is np.ndarray else x
        for x, v in zip(xs, body.inputs[n : n + m], strict=True)
    ]
    columns: list = [[None] * steps for _ in body.outputs[n:]]
    for i in reversed(range(steps)) if reverse else range(steps):
        out = body.run(*carry, *[x.items[i] if type(x) is StackValue else x[i] for x in xs], *constants)
        carry = out[:n]
        for column, y in zip(columns, out[n:], strict=True):
            column[i] = y
    ys = []
    for c, v in zip(columns, body.outputs[n:], strict=True):
        if stacked or type(v.type) is not Array:  # what an inner loop saved has no length to stack it by
            ys.append(StackValue(c, v.type))
        else:
            ys.append(np.stack(c) if c else zeros(_stacked(v.type, 0)))
    return (*carry, *ys)


def _stacked(t, length):
    return Array((length, *t.shape), t.dtype) if type(t) is Array else Stack(t)


def _scan_type(*types, body, n, m, reverse, length):
    _keeps_state(body, n)
    outs = [v.type for v in body.outputs]
    return Tuple(outs[:n] + [Stack(t) if length is None else _stacked(t, length) for t in outs[n:]])


def _scan_dual(ts, *args, body, n, m, reverse, length):
    carry, xs, constants = args[:n], args[n : n + m], args[n + m :]
    x_active = [t is not None for t in ts[n : n + m]]
    c_active = [t is not None for t in ts[n + m :]]
    active, derived, out_active = _activity(body, [t is not None for t in ts[:n]], c_active, n, x_active)
    k, mx = sum(active), sum(x_active)
    tangents = [zeros_like(x) if t is None else t for x, t, a in zip(carry, ts, active, strict=False) if a]

    def new_body(*args):
        s, d, x, dx, rest = (
            args[:n],
            args[n : n + k],
            args[n + k : n + k + m],
            args[n + k + m : n + k + m + mx],
            args[n + k + m + mx :],
        )
        c, dc = rest[: len(constants)], rest[len(constants) :]
        outs = derived.run(*s, *x, *c, *d, *dx, *dc)
        return _order_tangents(outs, n, len(body.outputs), active, out_active)

    types = [v.type for v in body.inputs]
    row = [
        *types[:n],
        *_chosen(types, active),
        *types[n : n + m],
        *_chosen(types[n:], x_active),
        *types[n + m :],
        *_chosen(types[n + m :], c_active),
    ]
    graph = capture(new_body, *row, name="jvp_body")
    out = items(
        bind(scan_op, *carry, *tangents, *xs, *(t for t in ts[n : n + m] if t is not None),
             *constants, *(t for t in ts[n + m :] if t is not None),
             body=graph, n=n + k, m=m + mx, reverse=reverse, length=length)
    )  # fmt: skip
    e = len(body.outputs) - n
    y = pack(*out[:n], *out[n + k : n + k + e])
    return y, tuple(_scatter(active, out[n : n + k]) + _scatter(out_active[n:], out[n + k + e :]))


def _chosen(types, flags):
    return [strong(t) for t, f in zip(types, flags, strict=False) if f]


def _scan_record(wants, *args, body, n, m, reverse, length):
    constants = args[n + m :]
    carry_wants = tuple(floats(v.type) for v in body.inputs[:n])
    rest_wants = tuple(w and floats(v.type) for w, v in zip(wants[n:], body.inputs[n:], strict=True))
    forward, backward, needs = vjp_graphs(body, carry_wants + rest_wants, range(n, len(body.inputs)))
    total = len(body.outputs)
    step_needs = [i for i in needs if i < n]

    def new_body(*xs):
        outs = forward.run(*xs)
        return outs[:total] + [xs[i] for i in step_needs] + outs[total:]

    graph = capture(new_body, *(v.type for v in body.inputs), name="body")
    out = items(bind(scan_op, *args, body=graph, n=n, m=m, reverse=reverse, length=length))
    k = len(step_needs)
    xs_needed = [args[i] for i in needs if n <= i < n + m]
    residuals = [*out[total : total + k], *xs_needed, *out[total + k :]]
    if length is None and not residuals:
        residuals = [args[n]]  # a stack, which tells the way back how many steps there were
    return pack(*out[:total]), (backward, needs, carry_wants, rest_wants, constants, out[n:total], residuals)


def _scan_vjp(wants, g, saved, *_args, body, n, m, reverse, length):
    backward, needs, carry_wants, rest_wants, constants, ys, residuals = saved
    parts = g.parts if type(g) is Parts else items(g)
    types = [v.type for v in body.outputs]
    gs = cotangents_of(parts[:n], types[:n])
    g_ys = [
        (zeros_of(y) if length is None or type(t) is not Array else zeros(_stacked(t, length))) if e is None else e
        for e, y, t in zip(parts[n:], ys, types[n:], strict=True)
        if floats(t)
    ]
    k = sum(carry_wants)
    x_wants, constant_wants = rest_wants[:m], rest_wants[m:]
    back = _reverse_scan(
        backward,
        needs,
        n,
        k,
        constant_wants,
        constants,
        gs,
        g_ys,
        residuals,
        body,
        length,
        m,
        x_wants,
        forward_reverse=reverse,
    )
    nc = sum(constant_wants)
    row = (
        _scatter(carry_wants, back[:k]) + _scatter(x_wants, back[k + nc :]) + _scatter(constant_wants, back[k : k + nc])
    )
    return [e if w else None for e, w in zip(row, wants, strict=True)]


def _scan_batch(size, batched, *args, body, n, m, reverse, length):
    carry, xs, constants = args[:n], args[n : n + m], args[n + m :]
    carried, x_flags, c_flags = tuple(batched[:n]), tuple(batched[n : n + m]), tuple(batched[n + m :])
    ragged = next(
        (x for x, b in zip(xs, x_flags, strict=True) if b and type(typeof(x)) is Stack and typeof(x).ragged), None
    )
    arrays = length is not None
    xs = [np.moveaxis(x, 1, 0) if b and type(typeof(x)) is Array else x for x, b in zip(xs, x_flags, strict=True)]
    own = [v.type for v in body.inputs[n : n + m]]
    each = (t if _is_weak(t) and not b else _element(x) for x, b, t in zip(xs, x_flags, own, strict=True))
    rest = (*each, *map(typeof, constants))

    def types_of(carried):
        return (*(lift(v.type, size) if b else v.type for v, b in zip(body.inputs, carried, strict=False)), *rest)

    while True:
        _, out = batch_graph(body, size, carried + x_flags + c_flags, types=types_of(carried))
        grown = (True,) * n if ragged is not None else tuple(a or b for a, b in zip(carried, out, strict=False))
        if grown == carried:
            break
        carried = grown
    carry = [x if b else spread(size, x) if now else x for x, b, now in zip(carry, batched, carried, strict=False)]
    derived, flags = batch_graph(body, size, carried + x_flags + c_flags, types=types_of(carried))
    derived = _spread_outputs(derived, carried, flags, size)
    types = [v.type for v in derived.inputs]
    if ragged is not None:

        def step(*args):
            s, alive, rest = args[:n], args[n], args[n + 1 :]
            out = derived.run(*s, *rest)
            return [choose(alive, new, old) for new, old in zip(out, s, strict=False)] + out[n:]

        masks = masks_of(ragged)
        derived = capture(step, *types[:n], typeof(masks).elem, *types[n:], name="body")
        xs = [masks, *xs]
    out = items(bind(scan_op, *carry, *xs, *constants, body=derived, n=n, m=len(xs), reverse=reverse, length=length))
    ys = out[n:]
    if arrays:
        ys = [np.moveaxis(y, 0, 1) if type(typeof(y)) is Array else y for y in ys]
    elif ragged is not None:
        ys = [masked(y, xs[0]) for y in ys]
    return pack(*(y if b else spread(size, y) for y, b in zip(out[:n], carried, strict=True)), *ys)


scan_op = Op(
    "scan",
    _scan_eval,
    kind="control",
    type=_scan_type,
    vjp=_scan_vjp,
    record=_scan_record,
    dual=_scan_dual,
    batch=_scan_batch,
)
