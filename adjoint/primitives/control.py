"""Control flow: cond, while_loop, scan.

While the test is known, they are plain Python: the branch is called, the loop runs. Where it is not (a captured or a
batched value), they become one op each (branches.py, loops.py), whose bodies are graphs; outer values that a body uses become its
inputs.
"""

import numpy as np

from ..core import tree
from ..core.errors import ShapeError, defined, where
from ..core.op import bind
from ..core.op import shape as shape_of
from ..core.tensor import is_tensor, peek
from ..core.tuples import items
from ..core.types import Array, typeof
from ..traces.capture import Capture, capture
from .branches import cond_op
from .loops import scan_op, while_op
from .schedule import loop

# What users call


def cond(test, true, false, *operands):
    """true(*operands) if the test holds, else false(*operands).

    test: a boolean scalar. While its value is known, this is Python's `if`; captured or batched it becomes one op. The
    two branches then must return the same container, shapes and dtypes, else it raises ShapeError.

    >>> import numpy as np, adjoint as ad
    >>> f = lambda x: ad.cond(x > 0, lambda x: x * x, lambda x: -x, x)
    >>> ad.vmap(ad.grad(f))(np.array([3.0, -3.0]))
    array([ 6., -1.])
    """
    if shape_of(test) != ():
        raise ShapeError(
            f"cond needs a scalar test, not one of shape {shape_of(test)}{where()}; use np.where to choose entry by entry"
        )
    holds = _known(test)
    if holds is None:
        return _staged_cond(test, true, false, operands)
    return true(*operands) if holds else false(*operands)


def while_loop(test, body, state):
    """Repeat state = body(state) while test(state) holds; the final state.

    state: an array, a number or a container of them; test(state) -> boolean scalar; body(state) -> the same container,
    shapes and dtypes. While the test's value is known, this is Python's `while`; captured or batched it becomes one op,
    differentiable in forward and reverse mode. Under vmap each lane stops when its own test fails. As an op it raises
    ShapeError for a body that changes the state's container or shapes.

    >>> import numpy as np, adjoint as ad
    >>> double = lambda a: ad.while_loop(lambda b: b < 1000.0, lambda b: b * 2, a)
    >>> ad.vmap(ad.grad(double))(np.array([1.0, 300.0]))
    array([1024.,    4.])
    """
    while True:
        holds = test(state)
        if shape_of(holds) != ():
            raise ShapeError(
                f"the test of while_loop has shape {shape_of(holds)}{where()}; reduce it with .any() or .all()"
            )
        go_on = _known(holds)
        if go_on is None:
            return _staged_while(test, body, state)
        if not go_on:
            return state
        state = body(state)


def scan(f, init, xs=None, length=None, reverse=False):
    """Carry a state along the leading axis of xs: (final carry, stacked results).

    f(carry, x) -> (carry, y), with x one slice of xs (a container of arrays; None with a given length). The carry keeps
    its container, shapes and dtypes. Eagerly this is a Python loop; captured it is one op. reverse: from the last slice to
    the first. Raises ShapeError for arrays in xs of different lengths, and as an op for a carry that changes its shapes.

    >>> import numpy as np, adjoint as ad
    >>> ad.scan(lambda c, x: (c + x, c * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    leaves, structure = tree.flatten(xs)
    lengths = {shape_of(x)[0] if shape_of(x) else None for x in leaves} | ({length} if length is not None else set())
    if len(lengths) != 1 or None in lengths:
        found = "the lengths " + ", ".join(sorted(map(str, lengths))) if lengths else "none of these"
        raise ShapeError(
            f"scan needs arrays in xs of one length along their leading axis, or length=; given are {found}{where()}"
        )
    n = lengths.pop()
    carry_leaves, carry_structure = tree.flatten(init)
    if n and any(_captured(x) for x in leaves + carry_leaves):
        return _staged_scan(f, carry_leaves, carry_structure, leaves, structure, n, reverse)
    carry = init
    ys: list = []
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, tree.unflatten(structure, [x[i] for x in leaves]))
        ys.append(tree.flatten(y))
    if not ys:
        return carry, None
    columns = zip(*(row for row, _ in (reversed(ys) if reverse else ys)), strict=True)
    return carry, tree.unflatten(ys[0][1], [np.stack(column) for column in columns])


def _known(test):
    """The truth of a test, None where its value is not known."""
    known, value = peek(test)
    return bool(value) if known else None


def _captured(x):
    while is_tensor(x) and x.trace is not None:
        if type(x.trace) is Capture:
            return True
        x = x.value
    return False


# Staging: from Python functions to ops on graphs


def _capture_parts(f, leaves, structure, name):
    """Capture f(container) on the types of these leaves."""
    return capture(lambda *xs: f(tree.unflatten(structure, xs)), *map(typeof, leaves), name=name)


def _staged_cond(test, true, false, operands):
    leaves, structure = tree.flatten(operands)
    graphs = [
        capture(lambda *xs, f=f: f(*tree.unflatten(structure, xs)), *map(typeof, leaves), name=name)
        for f, name in ((true, "true"), (false, "false"))
    ]
    a, b = graphs
    if a.structure != b.structure:
        raise ShapeError(f"the branches of cond return different containers: {a.structure} and {b.structure}{where()}")
    types = [_join(u.type, v.type, "the branches of cond return") for u, v in zip(a.outputs, b.outputs, strict=True)]
    hidden = {id(x): x for g in graphs for x in g.hidden}
    shared = list(hidden.values())
    true_graph, false_graph = (_with_inputs(g, len(leaves), shared, types) for g in graphs)
    y = bind(cond_op, test, *leaves, *shared, true=true_graph, false=false_graph)
    return tree.unflatten(a.structure, list(items(y)))


def _with_inputs(graph, n, shared, types):
    """The graph with the inputs (operands, shared) and outputs of these types."""
    places = [n + next(i for i, x in enumerate(shared) if x is h) for h in graph.hidden]

    def run(*xs):
        outs = graph.run(*xs[:n], *(xs[i] for i in places))
        return [to_type(y, t) for y, t in zip(outs, types, strict=True)]

    return capture(run, *(v.type for v in graph.inputs[:n]), *map(typeof, shared), name=graph.name)


def to_type(y, t):
    """y in this type: its dtype, and an array rather than a Python scalar."""
    if typeof(y) == t or type(t) is not Array:
        return y
    return np.astype(y, t.dtype) if is_tensor(y) else t.dtype.type(y) if t.shape == () else np.asarray(y, t.dtype)


def _join(a, b, what):
    """The common type of two values that must agree: a Python scalar takes the other's dtype."""
    if a == b:
        return a
    if type(a) is not Array or type(b) is not Array or a.shape != b.shape:
        raise ShapeError(f"{what} {a} and {b}{where()}; make their shapes the same")
    dtype = np.result_type(_sample(a), _sample(b))
    return Array(a.shape, dtype, a.weak and b.weak)


def _sample(t):
    return t.dtype.type(1).item() if t.weak else t.dtype


def _staged_while(test, body, state):
    leaves, structure = tree.flatten(state)
    leaves, body_graph = _fixed_point(body, leaves, structure, "while_loop", lambda out: out)
    cond_graph = _capture_parts(test, leaves, structure, "cond")
    if len(cond_graph.outputs) != 1 or cond_graph.outputs[0].type.shape != ():
        raise ShapeError(f"the test of while_loop must return one boolean scalar{where()}")
    args = [*leaves, *cond_graph.hidden, *body_graph.hidden]
    return tree.unflatten(
        structure, list(loop(while_op, args, {"cond": cond_graph, "body": body_graph, "n": len(leaves)}))
    )


def _staged_scan(f, carry, carry_structure, xs, xs_structure, length, reverse):
    n = len(carry)
    ys_structure: list = []
    elements = [typeof(x) for x in xs]
    elements = [Array(t.shape[1:], t.dtype) for t in elements]

    def step(state, *x):
        new, y = f(state, tree.unflatten(xs_structure, x))
        outs, ys = tree.flatten(y)
        ys_structure[:] = [ys]
        return new, outs

    carry, body = _fixed_point(step, carry, carry_structure, "scan", lambda out: out[0], elements)
    params = {"body": body, "n": n, "m": len(xs), "reverse": reverse, "length": length}
    y = loop(scan_op, [*carry, *xs, *body.hidden], params)
    return tree.unflatten(carry_structure, list(y[:n])), tree.unflatten(ys_structure[0], list(y[n:]))


def _fixed_point(body, leaves, structure, name, state_of, more=None):
    """Capture a loop's body, widening the initial state (Python scalars, dtypes) until the body keeps its types."""
    for _ in range(4):

        def run(*xs, leaves=leaves):
            out = body(tree.unflatten(structure, xs[: len(leaves)]), *xs[len(leaves) :])
            new, theirs = tree.flatten(state_of(out))
            if theirs != structure:
                raise ShapeError(
                    f"the body of {name} ({defined(body)}) returns {theirs} for a state {structure}{where()}"
                )
            return [*new, *(out[1] if more is not None else ())]

        graph = capture(run, *map(typeof, leaves), *(more or ()), name="body")
        wanted = [
            _join(
                typeof(x), v.type, f"the body of {name} must keep the state's shapes; before and after a step they are"
            )
            for x, v in zip(leaves, graph.outputs, strict=False)
        ]
        if all(v.type == t == typeof(x) for x, v, t in zip(leaves, graph.outputs, wanted, strict=False)):
            return leaves, graph
        if all(typeof(x) == t for x, t in zip(leaves, wanted, strict=True)):
            # the body narrows: cast its results
            def cast_run(*xs, graph=graph, wanted=wanted, leaves=leaves):
                outs = graph.run(*xs)
                return [to_type(y, t) for y, t in zip(outs, wanted, strict=False)] + outs[len(leaves) :]

            hidden = graph.hidden
            graph = capture(cast_run, *(v.type for v in graph.inputs), name="body")
            graph.hidden = hidden
            return leaves, graph
        leaves = [to_type(x, Array(t.shape, t.dtype)) for x, t in zip(leaves, wanted, strict=True)]
    raise ShapeError(f"the body of {name} changes the types of its state at every step{where()}")
