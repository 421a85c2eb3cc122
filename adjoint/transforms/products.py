"""Gradients and products with the Jacobian: grad, vjp, jvp, linearize. Each runs the user's function once.

Nothing here knows a derivative: `grad` is a Tape around the call and a walk back, `jvp` a Dual, `linearize` a Dual whose
tangents are captured. They nest because the traces do.
"""

import numpy as np

from ..core import tree
from ..core.errors import DTypeError, ShapeError, defined, where
from ..core.op import is_plain
from ..core.op import shape as shape_of
from ..core.tensor import FUNCTIONS, Tensor, is_tensor, make, untracked
from ..core.types import typeof
from ..primitives.kinds import cast, zeros_like
from ..traces.capture import Capture
from ..traces.forward import Dual
from ..traces.graph import Graph
from ..traces.reverse import Tape
from .calling import (
    Arguments,
    backprop,
    call,
    copied,
    described,
    like,
    named,
    own,
    result,
    strip,
    wants_tensors,
    without_handle,
)  # fmt: skip


def grad(f, argnums=0, has_aux=False):
    """The gradient of a function with a scalar result.

    f(*args, **kwargs) -> real scalar, shape (); with has_aux=True -> (scalar, anything else).
    argnums: which argument, by position or keyword, or a tuple of them; arguments may be floats, arrays, tensors or
    containers of them. Returns a function with f's arguments; its result has the shape, dtype and container of the
    argument (a tuple of them for a tuple of argnums), with has_aux=True the pair (gradient, aux).
    Of a complex argument it is dL/dx + i dL/dy, which points uphill; of one that f does not use, zeros. f runs once; the
    first time a second time, as its rewritten copy, where it lost the derivative on the way (`math.sin(x)`, `a[i] = x`).
    Raises DTypeError for integer arguments and complex results, ShapeError for a result that is no scalar, LeakError where
    the derivative is lost and the copy cannot be called in f's place.

    >>> import numpy as np, adjoint as ad
    >>> ad.grad(lambda x: np.sum(x ** 2))(np.array([1.0, 2.0]))
    array([2., 4.])
    >>> ad.grad(lambda w, b: w["a"] * b, argnums=(0, 1))({"a": 3.0}, 2.0)
    ({'a': 2.0}, 3.0)
    """
    return gradient_of(f, argnums, "grad", has_aux)


def gradient_of(f, argnums, name, has_aux=False):
    with_value = _recorded(f, argnums, has_aux, name)

    def gradient(*args, **kwargs):
        y, g = with_value(*args, **kwargs)
        return (g, y[1]) if has_aux else g

    return named(gradient, f, "gradient", gradient_of, f, argnums, name, has_aux)


def value_and_grad(f, argnums=0, has_aux=False):
    """The value and the gradient of a function with a scalar result, in one run: (value, gradient).

    As `grad`, with its arguments and errors; with has_aux=True the result is ((value, aux), gradient).

    >>> import adjoint as ad
    >>> ad.value_and_grad(lambda x: x * x * x)(2.0)
    (8.0, 12.0)
    """
    return _value_and_grad(f, argnums, has_aux, "value_and_grad")


def _value_and_grad(f, argnums, has_aux, name):
    run = _recorded(f, argnums, has_aux, name)
    return named(run, f, "value and gradient", _value_and_grad, f, argnums, has_aux, name)


def _recorded(f, argnums, has_aux, name):
    def value_and_gradient(*args, **kwargs):
        picked = Arguments(name, f, argnums, args, kwargs)
        tape = Tape()
        inputs = picked.leaves
        leaves = [tape.leaf(x) for x in inputs]
        serials = [t.info[0] for t in leaves]  # now: f may write into its arguments
        try:
            y = picked.call(f, leaves)
        finally:
            tape.close()
        tensors = wants_tensors(inputs)
        aux = None
        if has_aux:
            if type(y) is not tuple or len(y) != 2:
                raise ShapeError(
                    f"{name} with has_aux=True: {defined(f)} must return (result, aux), not {described(y)}{where()}"
                )
            y, aux = y
            aux = tree.map(lambda leaf: result(strip(tape, leaf)[0], tensors), aux)
        value, node = strip(tape, y)
        _check_scalar(name, f, value)
        if node is None:
            cotangents = {}
        else:
            cotangents = backprop([(node, _one(value))])
        g = picked.collect([like(x, cotangents.get(k)) for x, k in zip(inputs, serials, strict=True)])
        value = result(value, tensors)
        return ((value, aux) if has_aux else value), g

    return value_and_gradient


_ONE = np.float64(1)


def _one(y):
    """1 in the dtype of y."""
    if type(y) is np.float64:
        return _ONE
    return 1.0 if type(y) is float else typeof(y).dtype.type(1)


def _check_scalar(name, f, y):
    if type(y) is np.float64 or type(y) is float:
        return
    try:
        kind = typeof(y)
        shape = kind.shape
    except (TypeError, AttributeError):
        hint = "it has no return statement?" if y is None else "return a number"
        raise DTypeError(
            f"{name} needs a scalar result, but {defined(f)} returned {described(y)}{where()}; {hint}"
        ) from None
    if shape != ():
        raise ShapeError(
            f"{name} needs a scalar result, but {defined(f)} returned shape {shape}{where()}; "
            "reduce it, for instance with .sum(), or use ad.vjp or ad.jacobian"
        )
    if kind.dtype.kind == "c":
        raise DTypeError(
            f"{name} needs a real result, but {defined(f)} returned {kind.dtype}{where()}; take .real, .imag or abs of it, "
            "or use ad.vjp, ad.jvp or ad.jacobian"
        )
    if kind.dtype.kind not in "fiub":
        raise DTypeError(f"{name} needs a real scalar result, but {defined(f)} returned {described(y)}{where()}")


def elementwise_grad(f, argnums=0):
    """The derivative of an elementwise function: each entry of the result with respect to its own input.

    f maps an array to an array of the same shape, entry by entry. Exact for such functions; for others it is the
    gradient of the sum of the result.

    >>> import numpy as np, adjoint as ad
    >>> ad.elementwise_grad(np.square)(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    def derivative(*args, **kwargs):
        return grad(lambda *a, **k: _sum(call(f, a, k)), argnums)(*args, **kwargs)

    return named(derivative, f, "elementwise derivative", elementwise_grad, f, argnums)


def _sum(y):
    return y if shape_of(y) == () else FUNCTIONS[np.sum](y)


def vjp(f, *xs, has_aux=False):
    """The value of f and the function that pulls cotangents back: (y, pull).

    pull(g), with g like y (same container, shapes and kinds), returns a tuple: one cotangent an argument, that is
    g applied from the left to the Jacobian. pull can be kept, called many times, in any order and thread.
    With has_aux=True f returns (y, aux), and so does vjp: (y, pull, aux). f runs once.
    Raises DTypeError for integer arguments; pull raises ShapeError for a g that is not like y.

    >>> import numpy as np, adjoint as ad
    >>> y, pull = ad.vjp(np.sin, np.array([0.0, np.pi]))
    >>> pull(np.ones(2))
    (array([ 1., -1.]),)
    """
    picked = Arguments("vjp", f, tuple(range(len(xs))), xs, {})
    tape = Tape()
    leaves = [tape.leaf(x) for x in picked.leaves]
    serials = [t.info[0] for t in leaves]
    try:
        y = picked.call(f, leaves)
    finally:
        tape.close()
    tensors = wants_tensors(picked.leaves)
    aux = None
    if has_aux:
        y, aux = y
        aux = tree.map(lambda leaf: result(copied([strip(tape, leaf)[0]])[0], tensors), aux)
    outs, structure = tree.flatten(y)
    values, nodes = split(tape, outs)
    inputs = picked.leaves

    def pull(g):
        gs = tree.match(structure, g, "cotangent")
        seeds = [(n, _fit("cotangent", gi, v)) for n, gi, v in zip(nodes, gs, values, strict=True) if n is not None]
        cotangents = backprop(seeds)
        return picked.collect([like(x, cotangents.get(k)) for x, k in zip(inputs, serials, strict=True)])

    y = tree.unflatten(structure, [result(v, tensors) for v in copied(values)])
    return (y, pull, aux) if has_aux else (y, pull)


def split(trace, outs):
    values, infos = [], []
    for out in outs:
        value, info = strip(trace, out)
        values.append(value)
        infos.append(info)
    return values, infos


def _fit(what, g, y):
    """A tangent or cotangent given by the user, checked against the value it belongs to, in its dtype."""
    if type(g) is Tensor and g.trace is None:
        g = g.value
    kind = typeof(y)
    have = shape_of(g)
    if have != kind.shape:
        raise ShapeError(f"the {what} must have shape {kind.shape}, as the value it belongs to, not {have}{where()}")
    given = typeof(g).dtype
    if given.kind not in "fciub" or (given.kind == "c" and kind.dtype.kind == "f"):
        raise DTypeError(f"the {what} of a value of dtype {kind.dtype} cannot have dtype {given}{where()}")
    if is_plain(g):
        if type(g) is np.ndarray:
            return g if g.dtype == kind.dtype else g.astype(kind.dtype)
        return kind.dtype.type(g)
    return g if given == kind.dtype else cast(g, kind.dtype)


def jvp(f, xs, ts):
    """The value of f and its directional derivative along ts: (y, t), in one forward pass.

    xs, ts: tuples of arguments and of tangents of the same containers and shapes. y and t have the same container and shapes.
    Raises DTypeError for integer arguments, ShapeError for tangents that are not like their arguments.

    >>> import adjoint as ad
    >>> ad.jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 0.0))
    (12.0, 4.0)
    """
    _check_pair("jvp", xs, ts)
    picked = Arguments("jvp", f, tuple(range(len(xs))), tuple(xs), {})
    tangents = [
        _fit("tangent", t, x)
        for structure, t_arg, x_leaves in _by_argument(picked, ts)
        for t, x in zip(tree.match(structure, t_arg, "tangent"), x_leaves, strict=True)
    ]
    values, derivatives, structure = forward(f, picked, tangents)
    tensors = wants_tensors(picked.leaves)
    both = own([*values, *derivatives], [*picked.leaves, *tangents])
    values, derivatives = both[: len(values)], both[len(values) :]
    y = tree.unflatten(structure, [result(v, tensors) for v in values])
    t = tree.unflatten(structure, [result(like(v, d), tensors) for v, d in zip(values, derivatives, strict=True)])
    return y, (tree.map(untracked, t) if tensors else t)


def _check_pair(name, xs, ts):
    for what, group in (("arguments", xs), ("tangents", ts)):
        if not isinstance(group, (tuple, list)) or is_tensor(group):
            raise DTypeError(f"{name} takes the {what} as a tuple{where()}: ad.{name}(f, (x,), (t,))")
    if len(xs) != len(ts):
        raise ShapeError(
            f"{name} got {len(xs)} arguments and {len(ts)} tangents{where()}; give one tangent an argument"
        )


def _by_argument(picked, ts):
    at = 0
    for structure, t in zip(picked.structures, ts, strict=True):
        yield structure, t, picked.leaves[at : at + structure.leaves]
        at += structure.leaves


def forward(f, picked, tangents):
    """Run f once with tangents: (values, tangents with zeros filled in, structure) of the result."""
    trace = Dual()
    try:
        y = picked.call(f, [make(without_handle(x), trace, t) for x, t in zip(picked.leaves, tangents, strict=True)])
        outs, structure = tree.flatten(y)
        values, ts = split(trace, outs)
    finally:
        trace.close()
    return values, [zeros_like(v) if t is None else t for v, t in zip(values, ts, strict=True)], structure


def linearize(f, *xs):
    """The value of f and its derivative at xs as a linear function: (y, jvp_fn).

    jvp_fn(*ts) is the directional derivative along ts, each like its argument. f runs once; each call runs the recorded
    linear part alone. Errors as those of `jvp`.

    >>> import numpy as np, adjoint as ad
    >>> y, push = ad.linearize(np.sin, np.array([0.0, np.pi]))
    >>> push(np.array([1.0, 1.0]))
    array([ 1., -1.])
    """
    picked = Arguments("linearize", f, tuple(range(len(xs))), xs, {})
    values, graph, structure = linear_part(f, picked)
    tensors = wants_tensors(picked.leaves)

    def push(*ts):
        if len(ts) != len(xs):
            raise ShapeError(f"the linear function takes {len(xs)} tangents, not {len(ts)}{where()}")
        flat = [
            _fit("tangent", t, x)
            for s, t_arg, x_leaves in _by_argument(picked, ts)
            for t, x in zip(tree.match(s, t_arg, "tangent"), x_leaves, strict=True)
        ]
        out = own(graph.run(*flat, *graph.hidden), [*flat, *graph.hidden])
        return tree.unflatten(structure, [result(like(v, t), tensors) for v, t in zip(values, out, strict=True)])

    return tree.unflatten(structure, [result(v, tensors) for v in copied(values)]), push


def linear_part(f, picked):
    """Run f once with captured tangents: (values, Graph of the tangents alone, structure)."""
    trace = Capture()
    inputs = [trace.input(typeof(x)) for x in picked.leaves]
    variables = [t.info for t in inputs]
    values, ts, structure = forward(f, picked, inputs)
    outputs = [trace.operand(t) for t in ts]
    trace.close()
    hidden = list(trace.hidden.values())
    variables += [v for _, v in hidden]
    return values, Graph(variables, trace.lines, outputs, None, [x for x, _ in hidden], "linear").prune(), structure
