"""The ops of loops: while_loop and scan, with their rules. Users meet them, as `call` and `cond` (branches.py), through control.py.

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
from ..core.tuples import Parts, items, pack, spread
from ..core.types import Array, Stack, StackValue, Tuple, typeof
from ..traces.capture import capture
from ..traces.derive import batch_graph, floats, jvp_graph, lift, strong, vjp_graphs, zeros
from .branches import choose, cotangents_of, scatter
from .checks import careful, guarded
from .kinds import zeros_like
from .stack import masked, masks_of, zeros_of

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
    emitted = scatter(out_active[n:], out[n + k + m :])
    return y, tuple(scatter(active, out[n : n + k]) + emitted)


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
    tangents = scatter(out_active, outs[total:])
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
    cotangents = scatter(state_wants, back[:k])
    own = scatter(constant_wants, back[k : k + sum(constant_wants)])
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
    return [*y[:k], *scatter(reached, y[k : len(carry)]), *y[len(carry) :]]


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
    return y, tuple(scatter(active, out[n : n + k]) + scatter(out_active[n:], out[n + k + e :]))


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
    row = scatter(carry_wants, back[:k]) + scatter(x_wants, back[k + nc :]) + scatter(constant_wants, back[k : k + nc])
    return [e if w else None for e, w in zip(row, wants, strict=True)]


def _scan_batch(size, batched, *args, body, n, m, reverse, length):
    carry, xs, constants = args[:n], args[n : n + m], args[n + m :]
    carried, x_flags, c_flags = tuple(batched[:n]), tuple(batched[n : n + m]), tuple(batched[n + m :])
    ragged = next(
        (x for x, b in zip(xs, x_flags, strict=True) if b and type(typeof(x)) is Stack and 1 in typeof(x).ragged), None
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
