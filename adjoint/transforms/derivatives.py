"""The functional transforms: grad, vjp, jvp, Jacobians, Hessians, vmap. Each runs the user's function once.

Nothing here knows a derivative: `grad` is a Tape around the call and a walk back, `jvp` a Dual, `vmap` a Batch,
`linearize` a Dual whose tangents are captured. They nest because the traces do.
"""

import functools

import numpy as np

from ..core import tree
from ..core.errors import DTypeError, ShapeError, defined, where
from ..core.op import check_array, is_plain
from ..core.op import shape as shape_of
from ..core.tensor import FUNCTIONS, Tensor, is_tensor, make, untracked
from ..core.tuples import spread
from ..core.types import typeof
from ..primitives.kinds import cast, zeros_like
from ..traces.batch import Batch
from ..traces.capture import Capture, capture
from ..traces.forward import Dual
from ..traces.graph import Graph
from ..traces.reverse import Tape
from .calling import Arguments, backprop, call, copied, like, own, result, strip, wants_tensors


def grad(f, argnums=0, has_aux=False):
    """The gradient of a function with a scalar result.

    f(*args, **kwargs) -> real scalar, shape (); with has_aux=True -> (scalar, anything else).
    argnums: which argument, by position or keyword, or a tuple of them; arguments may be floats, arrays, tensors or
    containers of them. Returns a function with f's arguments; its result has the shape, dtype and container of the
    argument (a tuple of them for a tuple of argnums), with has_aux=True the pair (gradient, aux).
    Raises DTypeError for integer arguments, ShapeError for a result that is no scalar.

    >>> import numpy as np, adjoint as ad
    >>> ad.grad(lambda x: np.sum(x ** 2))(np.array([1.0, 2.0]))
    array([2., 4.])
    >>> ad.grad(lambda w, b: w["a"] * b, argnums=(0, 1))({"a": 3.0}, 2.0)
    ({'a': 2.0}, 3.0)
    """
    return _gradient(f, argnums, "grad", has_aux)


def _gradient(f, argnums, name, has_aux=False):
    with_value = _value_and_grad(f, argnums, has_aux, name)

    def gradient(*args, **kwargs):
        y, g = with_value(*args, **kwargs)
        return (g, y[1]) if has_aux else g

    return _named(gradient, f, "gradient")


def value_and_grad(f, argnums=0, has_aux=False):
    """The value and the gradient of a function with a scalar result, in one run: (value, gradient).

    As `grad`; with has_aux=True the result is ((value, aux), gradient).

    >>> import adjoint as ad
    >>> ad.value_and_grad(lambda x: x * x * x)(2.0)
    (8.0, 12.0)
    """
    return _value_and_grad(f, argnums, has_aux, "value_and_grad")


def _value_and_grad(f, argnums, has_aux, name):

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
                    f"{name} with has_aux=True: {defined(f)} must return (result, aux), not {_what(y)}{where()}"
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

    return _named(value_and_gradient, f, "value and gradient")


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
            f"{name} needs a scalar result, but {defined(f)} returned {_what(y)}{where()}; {hint}"
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
        raise DTypeError(f"{name} needs a real scalar result, but {defined(f)} returned {_what(y)}{where()}")


def _what(y):
    if type(y) in (tuple, list, dict):
        return f"a {type(y).__name__} of {len(y)}"
    try:
        return f"{typeof(y)}"
    except TypeError:
        return repr(y)[:60]


def elementwise_grad(f, argnums=0):
    """The derivative of an elementwise function: each entry of the result with respect to its own input.

    f maps an array to an array of the same shape, entry by entry. Exact for such functions; for others it is the
    gradient of the sum of the result.

    >>> import numpy as np, adjoint as ad
    >>> ad.elementwise_grad(np.square)(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    def derivative(*args, **kwargs):
        return grad(lambda *a, **k: _sum(f(*a, **k)), argnums)(*args, **kwargs)

    return _named(derivative, f, "elementwise derivative")


def _sum(y):
    return y if shape_of(y) == () else FUNCTIONS[np.sum](y)


def vjp(f, *xs, has_aux=False):
    """The value of f and the function that pulls cotangents back: (y, pull).

    pull(g), with g like y (same container, shapes and kinds), returns a tuple: one cotangent an argument, that is
    g applied from the left to the Jacobian. pull can be kept, called many times, in any order and thread.
    With has_aux=True f returns (y, aux), and so does vjp: (y, pull, aux).

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
    values, nodes = _split(tape, outs)
    inputs = picked.leaves

    def pull(g):
        gs = tree.match(structure, g, "cotangent")
        seeds = [(n, _fit("cotangent", gi, v)) for n, gi, v in zip(nodes, gs, values, strict=True) if n is not None]
        cotangents = backprop(seeds)
        return picked.collect([like(x, cotangents.get(k)) for x, k in zip(inputs, serials, strict=True)])

    y = tree.unflatten(structure, [result(v, tensors) for v in copied(values)])
    return (y, pull, aux) if has_aux else (y, pull)


def _split(trace, outs):
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

    xs, ts: tuples of arguments and of tangents of the same shapes. y and t have the same container and shapes.

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
    values, derivatives, structure = _forward(f, picked, tangents)
    tensors = wants_tensors(picked.leaves)
    both = own([*values, *derivatives], [*picked.leaves, *tangents])
    values, derivatives = both[: len(values)], both[len(values) :]
    y = tree.unflatten(structure, [result(v, tensors) for v in values])
    t = tree.unflatten(
        structure,
        [
            like(v, d) if is_plain(v) and is_plain(d) else result(d, tensors)
            for v, d in zip(values, derivatives, strict=True)
        ],
    )
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


def _forward(f, picked, tangents):
    """Run f once with tangents: (values, tangents with zeros filled in, structure) of the result."""
    trace = Dual()
    try:
        y = picked.call(f, [make(_own(x), trace, t) for x, t in zip(picked.leaves, tangents, strict=True)])
        outs, structure = tree.flatten(y)
        values, ts = _split(trace, outs)
    finally:
        trace.close()
    return values, [zeros_like(v) if t is None else t for v, t in zip(values, ts, strict=True)], structure


def _own(x):
    return x.value if type(x) is Tensor and x.trace is None else x


def linearize(f, *xs):
    """The value of f and its derivative at xs as a linear function: (y, jvp_fn).

    jvp_fn(*ts) is the directional derivative along ts. f runs once; each call runs the recorded linear part alone.

    >>> import numpy as np, adjoint as ad
    >>> y, push = ad.linearize(np.sin, np.array([0.0, np.pi]))
    >>> push(np.array([1.0, 1.0]))
    array([ 1., -1.])
    """
    picked = Arguments("linearize", f, tuple(range(len(xs))), xs, {})
    values, graph, structure = _linear_part(f, picked)
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
        return tree.unflatten(
            structure, [result(like(v, t), tensors) if is_plain(v, t) else t for v, t in zip(values, out, strict=True)]
        )

    return tree.unflatten(structure, [result(v, tensors) for v in copied(values)]), push


def _linear_part(f, picked):
    """Run f once with captured tangents: (values, Graph of the tangents alone, structure)."""
    trace = Capture()
    inputs = [trace.input(typeof(x)) for x in picked.leaves]
    variables = [t.info for t in inputs]
    values, ts, structure = _forward(f, picked, inputs)
    outputs = [trace.operand(t) for t in ts]
    trace.close()
    hidden = list(trace.hidden.values())
    variables += [v for _, v in hidden]
    return values, Graph(variables, trace.lines, outputs, None, [x for x, _ in hidden], "linear").prune(), structure


def jacobian(f, argnums=0, mode="auto"):
    """The matrix of partial derivatives: shape of the result followed by the shape of the argument.

    f maps arrays to an array (or a container of them: then the result is that container, of Jacobians in the
    argument's container). mode: "rev" runs backward once for all results, "fwd" forward once for all inputs; "auto"
    takes the cheaper by the shapes.

    >>> import numpy as np, adjoint as ad
    >>> ad.jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]) @ x)(np.ones(2))
    array([[1., 2.],
           [3., 4.],
           [5., 6.]])
    """
    if mode not in ("auto", "fwd", "rev"):
        raise ValueError(f"the mode of jacobian is 'auto', 'fwd' or 'rev', not {mode!r}")
    return _jacobian(f, argnums, mode, "jacobian", f)


def _jacobian(f, argnums, mode, name, user):
    def jacobian_of_f(*args, **kwargs):
        picked = Arguments(name, user, argnums, args, kwargs)
        inputs = picked.leaves
        if mode == "rev":
            tape = Tape()
            leaves = [tape.leaf(x) for x in inputs]
            serials = [t.info[0] for t in leaves]
            try:
                outs, structure = tree.flatten(picked.call(f, leaves))
                values, nodes = _split(tape, outs)
            finally:
                tape.close()
            blocks = _pull_all(values, nodes, serials, inputs)
        elif mode == "fwd":
            blocks, values, structure = _push_all(f, picked)
        else:
            values, graph, structure = _linear_part(f, picked)
            blocks = _from_linear(graph, values, inputs)
        tensors = wants_tensors(inputs)
        blocks = own([b for row in blocks for b in row], inputs)
        blocks = [blocks[i : i + len(inputs)] for i in range(0, len(blocks), len(inputs))]
        rows = [picked.collect([result(b, tensors) for b in row]) for row in blocks]
        return tree.unflatten(structure, rows)

    return _named(jacobian_of_f, user, name)


def jacfwd(f, argnums=0):
    """The Jacobian by forward mode: cheap for few inputs. As `jacobian` with mode="fwd".

    >>> import numpy as np, adjoint as ad
    >>> ad.jacfwd(lambda t: np.stack([np.exp(t), np.sin(t)]))(0.0)
    array([1., 1.])
    """
    return _jacobian(f, argnums, "fwd", "jacfwd", f)


def jacrev(f, argnums=0):
    """The Jacobian by reverse mode: cheap for few results. As `jacobian` with mode="rev".

    >>> import numpy as np, adjoint as ad
    >>> ad.jacrev(lambda x: np.sum(x * x, keepdims=True))(np.array([1.0, 2.0]))
    array([[2., 4.]])
    """
    return _jacobian(f, argnums, "rev", "jacrev", f)


def _unit_vectors(x):
    """The unit vectors of x, as a batch; of a complex x, then i times each."""
    kind = typeof(x)
    e = np.eye(kind.size, dtype=kind.dtype)
    e = np.concatenate([e, 1j * e]) if kind.dtype.kind == "c" else e
    return e.reshape(len(e), *kind.shape)


def _batched(trace, value):
    return make(value, trace, None)


def _unbatched(trace, x, size):
    """The batch behind a value that a Batch made, or one repeated."""
    if is_tensor(x) and x.trace is trace:
        return x.value
    return spread(size, x)


def _pull_all(values, nodes, serials, inputs):
    """All rows of the Jacobian at once: one batched walk for each result."""
    blocks = []
    for value, node in zip(values, nodes, strict=True):
        out = typeof(value)
        units = _unit_vectors(value)
        trace = Batch(len(units))
        cotangents = backprop([] if node is None else [(node, _batched(trace, units))])
        trace.close()
        row = []
        for k, x in zip(serials, inputs, strict=True):
            kind = typeof(x)
            g = cotangents.get(k)
            full = out.shape + kind.shape
            dtype = np.result_type(out.dtype, kind.dtype) if out.dtype.kind == "c" else kind.dtype
            if g is None:
                row.append(np.zeros(full, dtype))
                continue
            g = _unbatched(trace, g, len(units))
            if out.dtype.kind == "c":
                g, gi = g[: out.size], g[out.size :]
                # of a real x: Re J from 1, Im J from i; of a complex one the transpose is the conjugate
                g = np.conjugate(_holomorphic(g, gi)) if kind.dtype.kind == "c" else g + 1j * gi
            row.append(np.reshape(cast(g, dtype), full))
        blocks.append(row)
    return blocks


def _holomorphic(a, b):
    """The derivative along 1, given that along i too: i times it where the function is holomorphic, else an error."""
    if is_plain(a, b) and not np.allclose(b, 1j * a, rtol=1e-5, atol=1e-8, equal_nan=True):
        raise DTypeError(
            f"jacobian of a function from complex to complex that is not holomorphic{where()}: no complex matrix is its derivative; "
            "take real and imaginary parts, or use ad.jvp and ad.vjp"
        )
    return a


def _unit_tangents(inputs):
    """All unit vectors of the inputs together, as one batch: (its size, one array an input)."""
    blocks = [_unit_vectors(x) for x in inputs]
    n = sum(map(len, blocks))
    tangents = []
    at = 0
    for block in blocks:
        t = np.zeros((n, *block.shape[1:]), block.dtype)
        t[at : at + len(block)] = block
        at += len(block)
        tangents.append(t)
    return n, tangents


def _push_all(f, picked):
    """All columns of the Jacobian at once: one batched forward pass."""
    n, tangents = _unit_tangents(picked.leaves)
    trace = Batch(n)
    values, ts, structure = _forward(f, picked, [_batched(trace, t) for t in tangents])
    columns = [_unbatched(trace, t, n) for t in ts]
    trace.close()
    return _columns(columns, values, picked.leaves), values, structure


def _columns(columns, values, inputs):
    blocks = []
    for column, value in zip(columns, values, strict=True):
        row = []
        at = 0
        out = typeof(value)
        for x in inputs:
            kind = typeof(x)
            part = column[at : at + kind.size]
            at += kind.size
            if kind.dtype.kind == "c":
                along_i = column[at : at + kind.size]
                at += kind.size
                part = _holomorphic(part, along_i) if out.dtype.kind == "c" else part + 1j * along_i
            row.append(np.reshape(np.moveaxis(part, 0, -1), out.shape + kind.shape))
        blocks.append(row)
    return blocks


def _from_linear(graph, values, inputs):
    """The Jacobian from the linear part: forward or backward through it, whichever has fewer lanes."""
    n, tangents = _unit_tangents(inputs)
    if sum(typeof(v).size for v in values) < n:
        tape = Tape()
        leaves = [tape.leaf(zeros_like(x)[()]) for x in inputs]
        outs = graph.run(*leaves, *graph.hidden)
        tape.close()
        _, nodes = _split(tape, outs)
        return _pull_all(values, nodes, [t.info[0] for t in leaves], inputs)
    trace = Batch(n)
    columns = [_unbatched(trace, t, n) for t in graph.run(*(_batched(trace, t) for t in tangents), *graph.hidden)]
    trace.close()
    return _columns(columns, values, inputs)


def hessian(f, argnums=0):
    """The matrix of second derivatives of a scalar function: shape of the argument twice. f runs once.

    >>> import numpy as np, adjoint as ad
    >>> ad.hessian(lambda x: x[0] * x[1] ** 2)(np.array([1.0, 2.0]))
    array([[0., 4.],
           [4., 2.]])
    """
    return _jacobian(_gradient(f, argnums, "hessian"), argnums, "fwd", "hessian", f)


def hvp(f, argnums=0):
    """The Hessian of a scalar function times a vector, without the Hessian: hvp(f)(x, v). Costs a few gradients.

    With more arguments: hvp(f, argnums)(*args, v), v like the argument that argnums names.

    >>> import numpy as np, adjoint as ad
    >>> ad.hvp(lambda x: np.sum(x ** 3))(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """

    def hessian_vector_product(*args, **kwargs):
        if len(args) < 2:
            raise ShapeError(f"hvp(f)(x, v) takes the point and the vector{where()}")
        *args, v = args
        if type(argnums) is not int:
            raise DTypeError("hvp takes one argument number")

        def gradient(x):
            row = list(args)
            row[argnums] = x
            return grad(f, argnums)(*row, **kwargs)

        return jvp(gradient, (args[argnums],), (v,))[1]

    return _named(hessian_vector_product, f, "Hessian-vector product")


def vmap(f, in_axes=0, out_axes=0):
    """Map f over an axis of its arguments, all lanes at once.

    in_axes: the axis of each argument that is mapped: an int for all, or a tuple with one entry an argument (an int,
    None for an argument that is the same in every lane, or a container of these). out_axes: where the mapped axis goes
    in the result. Inside, f sees one lane. A decision on a mapped value (`if x > 0`) raises: use ad.cond, np.where.

    >>> import numpy as np, adjoint as ad
    >>> ad.vmap(ad.grad(lambda x: np.sum(x ** 2)))(np.arange(6.0).reshape(3, 2))  # per-sample gradients
    array([[ 0.,  2.],
           [ 4.,  6.],
           [ 8., 10.]])
    """

    def mapped(*args, **kwargs):
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ShapeError(
                f"vmap of {defined(f)}: in_axes has {len(axes)} entries for {len(args)} arguments{where()}"
            )
        leaves, structure = tree.flatten(args)
        flat_axes = _broadcast_prefix(axes, args)
        for x in leaves:
            if type(x) is not np.ndarray and isinstance(x, np.ndarray) and not is_tensor(x):
                check_array(x)
        size = _mapped_size(f, args, leaves, flat_axes)
        trace = Batch(size)
        inputs = [
            x if a is None else _batched(trace, _to_front(_own(x), a)) for x, a in zip(leaves, flat_axes, strict=True)
        ]
        try:
            y = call(f, tree.unflatten(structure, inputs), kwargs)
            outs, out_structure = tree.flatten(y)
            for out in outs:
                check_output(f, out)
            placed = _broadcast_prefix(out_axes, y)
            values = [_placed(f, trace, strip_escaped(trace, out), a) for out, a in zip(outs, placed, strict=True)]
        finally:
            trace.close()
        tensors = wants_tensors(leaves)
        return tree.unflatten(out_structure, [result(v, tensors) for v in own(values, leaves)])

    return _named(mapped, f, "vmap")


def _placed(f, trace, x, axis):
    if axis is None:
        if is_tensor(x) and x.trace is trace:
            raise ShapeError(
                f"vmap of {defined(f)}: out_axes is None for a result that differs from lane to lane{where()}"
            )
        return x
    x = _unbatched(trace, x, trace.size)
    return x if axis == 0 else np.moveaxis(x, 0, axis)


def strip_escaped(trace, x):
    if is_tensor(x) and x.trace is not None and x.trace is not trace and x.trace.ended:
        x.trace.escaped()
    return x


def check_output(f, y):
    try:
        typeof(y)
    except TypeError:
        raise DTypeError(
            f"vmap of {defined(f)}: the result holds {_what(y)}, which is no array or number{where()}"
        ) from None


def _to_front(x, axis):
    if isinstance(x, (int, float, complex)) and is_plain(x):
        raise ShapeError(f"vmap over a Python number{where()}; give it in_axes=None")
    return x if axis == 0 else np.moveaxis(x, axis, 0)


def _broadcast_prefix(axes, args):
    """One axis a leaf: an axis given for a container holds for all its leaves."""
    if axes is None or isinstance(axes, (int, np.integer)):
        return [axes] * len(tree.flatten(args)[0])
    if isinstance(axes, dict) and isinstance(args, dict) and set(axes) == set(args):
        parts = [(axes[k], args[k]) for k in args]
    elif isinstance(axes, (tuple, list)) and isinstance(args, (tuple, list)) and len(axes) == len(args):
        parts = list(zip(axes, args, strict=True))
    else:
        raise ShapeError(
            f"vmap: in_axes or out_axes {axes!r} does not fit {args if isinstance(args, dict) else type(args).__name__!s:.80}{where()}; "
            "give an int, None, or a container of them with the same keys or length"
        )
    return [a for axis, arg in parts for a in _broadcast_prefix(axis, arg)]


def _mapped_size(f, args, leaves, axes):
    sizes = {}
    for n, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        shape = shape_of(x)
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"vmap of {defined(f)}: input {n} has shape {shape} and no axis {axis}{where()}; give it in_axes=None?"
            )
        sizes.setdefault(shape[axis], n)
    if len(sizes) != 1:
        what = "no argument is mapped" if not sizes else f"the mapped axes have different sizes: {sorted(sizes)}"
        raise ShapeError(f"vmap of {defined(f)}: {what}{where()}")
    return next(iter(sizes))


def graph(f):
    """Capture a function as a Graph: graph(f)(*args) runs f on stand-ins and returns typed lines `v = op(args)`.

    >>> import numpy as np, adjoint as ad
    >>> print(ad.graph(lambda x: np.sin(x) * 2)(1.0))  # doctest: +ELLIPSIS
    f(%0: weak float64[]):
      %1: float64[] = sin(%0)...
      %2: float64[] = multiply(%1, 2)...
      return %2
    """

    def captured(*args):
        return capture(f, *args)

    return _named(captured, f, "graph")


def _named(wrapper, f, what):
    try:
        functools.update_wrapper(wrapper, f)
    except (AttributeError, TypeError):
        pass
    wrapper.__doc__ = f"The {what} of {getattr(f, '__name__', f)}.\n\n{getattr(f, '__doc__', None) or ''}"
    return wrapper
