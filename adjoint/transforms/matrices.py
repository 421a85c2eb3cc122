"""Matrices of derivatives: Jacobians, Hessians, and the Hessian times a vector. All rows or all columns come from one
batched pass over one run of the function.
"""

import numpy as np

from ..core import tree
from ..core.errors import DTypeError, ShapeError, where
from ..core.guard import unit_vectors
from ..core.op import is_plain
from ..core.types import typeof
from ..primitives.kinds import cast, zeros_like
from ..primitives.shape import python_number
from ..traces.batch import Batch
from ..traces.reverse import Tape
from .calling import Arguments, backprop, named, own, result, wants_tensors
from .mapping import batched, unbatched
from .products import forward, grad, gradient_of, jvp, linear_part, split


def jacobian(f, argnums=0, mode="auto"):
    """The matrix of partial derivatives: shape of the result followed by the shape of the argument.

    f maps arrays to an array (or a container of them: then the result is that container, of Jacobians in the
    argument's container). mode: "rev" runs backward once for all results, "fwd" forward once for all inputs; "auto"
    takes the cheaper by the shapes. f runs once. Raises DTypeError for integer arguments, ValueError for another mode.

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
                values, nodes = split(tape, outs)
            finally:
                tape.close()
            blocks = _pull_all(values, nodes, serials, inputs)
        elif mode == "fwd":
            blocks, values, structure = _push_all(f, picked)
        else:
            values, graph, structure = linear_part(f, picked)
            blocks = _from_linear(graph, values, inputs)
        tensors = wants_tensors(inputs)
        blocks = own([b for row in blocks for b in row], inputs)
        blocks = [blocks[i : i + len(inputs)] for i in range(0, len(blocks), len(inputs))]
        rows = [picked.collect([result(b, tensors) for b in row]) for row in blocks]
        return tree.unflatten(structure, rows)

    return named(jacobian_of_f, user, name, _jacobian, f, argnums, mode, name, user)


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
    return unit_vectors(e.reshape(len(e), *kind.shape))


def _pull_all(values, nodes, serials, inputs):
    """All rows of the Jacobian at once: one batched walk for each result."""
    blocks = []
    for value, node in zip(values, nodes, strict=True):
        out = typeof(value)
        units = _unit_vectors(value)
        trace = Batch(len(units))
        cotangents = backprop([] if node is None else [(node, batched(trace, units))])
        trace.close()
        row = []
        for k, x in zip(serials, inputs, strict=True):
            kind = typeof(x)
            g = cotangents.get(k)
            if g is None:
                row.append(_block(np.zeros(out.shape + kind.shape), out, kind))
                continue
            g = unbatched(trace, g, len(units))
            if out.dtype.kind == "c":
                g, gi = g[: out.size], g[out.size :]
                # of a real x: Re J from 1, Im J from i; of a complex one the transpose is the conjugate
                g = np.conjugate(_holomorphic(g, gi)) if kind.dtype.kind == "c" else g + 1j * gi
            row.append(_block(g, out, kind))
        blocks.append(row)
    return blocks


def _block(part, out, kind):
    """One block of a Jacobian from its entries: its shape, and the input's dtype, whichever way it was computed."""
    dtype = np.result_type(out.dtype, kind.dtype) if out.dtype.kind == "c" else kind.dtype
    block = np.reshape(cast(part, dtype), out.shape + kind.shape)
    if block.shape:
        return block
    return python_number(block) if out.weak and kind.weak else block[()]


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
    if len(blocks) == 1:
        return n, blocks
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
    values, ts, structure = forward(f, picked, [batched(trace, t) for t in tangents])
    columns = [unbatched(trace, t, n) for t in ts]
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
            row.append(_block(np.moveaxis(part, 0, -1), out, kind))
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
        _, nodes = split(tape, outs)
        return _pull_all(values, nodes, [t.info[0] for t in leaves], inputs)
    trace = Batch(n)
    columns = [unbatched(trace, t, n) for t in graph.run(*(batched(trace, t) for t in tangents), *graph.hidden)]
    trace.close()
    return _columns(columns, values, inputs)


def hessian(f, argnums=0):
    """The matrix of second derivatives of a scalar function: shape of the argument twice. f runs once.

    Of a container it is that container, in each place the container of the blocks. Raises ShapeError for a result that is
    no scalar, DTypeError for integer arguments.

    >>> import numpy as np, adjoint as ad
    >>> ad.hessian(lambda x: x[0] * x[1] ** 2)(np.array([1.0, 2.0]))
    array([[0., 4.],
           [4., 2.]])
    """
    return _jacobian(gradient_of(f, argnums, "hessian"), argnums, "fwd", "hessian", f)


def hvp(f, argnums=0):
    """The Hessian of a scalar function times a vector, without the Hessian: hvp(f)(x, v). Costs a few gradients.

    With more arguments: hvp(f, argnums)(*args, v), v like the argument that argnums names; so is the result. Raises
    ShapeError for a v of another shape, and for a result of f that is no scalar.

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

    return named(hessian_vector_product, f, "Hessian-vector product", hvp, f, argnums)
