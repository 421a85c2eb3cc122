"""vmap: a function of one lane, run on all lanes at once by a Batch."""

import numpy as np

from ..core import tree
from ..core.errors import DTypeError, ShapeError, defined, where
from ..core.op import check_array
from ..core.op import shape as shape_of
from ..core.tensor import is_tensor, make
from ..core.tuples import spread
from ..core.types import native, typeof
from ..traces.batch import Batch
from .calling import call, described, label, named, own, result, wants_tensors, without_handle


def vmap(f, in_axes=0, out_axes=0):
    """Map f over an axis of its arguments, all lanes at once.

    in_axes: the axis of each argument that is mapped: an int for all, or a tuple with one entry an argument (an int,
    None for an argument that is the same in every lane, or a container of these). out_axes: where the mapped axis goes
    in the result: an int, or a container of them. Inside, f sees one lane. A function that decides on a mapped value
    (`if x > 0`) is called again as its rewritten copy, in which each lane goes its way; where that cannot be, ConcreteError
    names the way out. Raises ShapeError where the mapped axes differ in length or are not there.

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
        flat_axes = [
            a
            for i, (axis, arg) in enumerate(zip(axes, args, strict=True))
            for a in _each(f, "in_axes", axis, arg, label(f, i))
        ]
        for x in leaves:
            if type(x) is not np.ndarray and isinstance(x, np.ndarray) and not is_tensor(x):
                check_array(x)
        size = _mapped_size(f, args, leaves, flat_axes)
        trace = Batch(size)
        inputs = [
            x if a is None else batched(trace, _to_front(without_handle(x), a))
            for x, a in zip(leaves, flat_axes, strict=True)
        ]
        try:
            y = call(f, tree.unflatten(structure, inputs), kwargs, [x for x in inputs if is_tensor(x)])
            outs, out_structure = tree.flatten(y)
            for out in outs:
                check_output(f, out)
            placed = _each(f, "out_axes", out_axes, y, "the result")
            values = [
                _placed(f, trace, strip_escaped(trace, out), a, lambda i=i: tree.paths(y, "the result")[i])
                for i, (out, a) in enumerate(zip(outs, placed, strict=True))
            ]
        finally:
            trace.close()
        tensors = wants_tensors(leaves)
        return tree.unflatten(out_structure, [result(v, tensors) for v in own(values, leaves)])

    return named(mapped, f, "vmap", vmap, f, in_axes, out_axes)


def _placed(f, trace, x, axis, path):
    if axis is None:
        if is_tensor(x) and x.trace is trace:
            raise ShapeError(
                f"vmap of {defined(f)}: out_axes is None for {path()}, which differs from lane to lane{where()}"
            )
        return x
    x = unbatched(trace, x, trace.size)
    if axis == 0:
        return x
    n = len(shape_of(x))
    if not -n <= axis < n:
        raise ShapeError(
            f"vmap of {defined(f)}: out_axes is {axis} for {path()}, which has shape {shape_of(x)[1:]} in each lane{where()}; "
            f"with the mapped axis it has {n}: {-n} to {n - 1} are allowed"
        )
    return np.moveaxis(x, 0, axis)


def strip_escaped(trace, x):
    if is_tensor(x) and x.trace is not None and x.trace is not trace:
        if x.trace.ended:
            x.trace.escaped()
        if x.trace.level > trace.level:  # of y.attach_grad() in there
            return strip_escaped(trace, x.trace.concrete(x, "the result"))
    return x


def check_output(f, y):
    try:
        typeof(y)
    except TypeError:
        raise DTypeError(
            f"vmap of {defined(f)}: the result holds {described(y)}, which is no array or number{where()}"
        ) from None


def _to_front(x, axis):
    x = native(x) if type(x) is np.ndarray else x
    return x if axis == 0 else np.moveaxis(x, axis, 0)


def _each(f, which, axes, x, name):
    """One axis a leaf of x, from in_axes or out_axes: an axis given for a container holds for all its leaves."""
    if axes is None or isinstance(axes, (int, np.integer)):
        return [axes] * len(tree.flatten(x)[0])
    if isinstance(axes, dict) and isinstance(x, dict) and set(axes) == set(x):
        parts = [(axes[k], x[k], f"{name}[{k!r}]") for k in x]
    elif isinstance(axes, (tuple, list)) and isinstance(x, (tuple, list)) and len(axes) == len(x):
        parts = [(a, e, f"{name}[{i}]") for i, (a, e) in enumerate(zip(axes, x, strict=True))]
    else:
        what = f"a dict of {list(x)}" if isinstance(x, dict) else described(x)
        raise ShapeError(
            f"vmap of {defined(f)}: {which} is {axes!r} for {name}, and does not fit {what:.200}{where()}; "
            "give an int, None, or a container of them with the same keys or length"
        )
    return [a for part in parts for a in _each(f, which, *part)]


def _mapped_size(f, args, leaves, axes):
    def name(n):
        return [p for i, arg in enumerate(args) for p in tree.paths(arg, label(f, i))][n]

    sizes: dict = {}  # length of a mapped axis -> the first leaf that has it
    for n, (x, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        shape = shape_of(x)
        if not -len(shape) <= axis < len(shape):
            allowed = f"{-len(shape)} to {len(shape) - 1} are allowed, " if shape else ""
            raise ShapeError(
                f"vmap of {defined(f)}: in_axes is {axis} for {name(n)}, which has shape {shape} and no axis {axis}{where()}; "
                f"{allowed}None is for what is the same in every lane"
            )
        sizes.setdefault(shape[axis], n)
    if not sizes:
        raise ShapeError(f"vmap of {defined(f)}: no argument is mapped{where()}")
    if len(sizes) > 1:
        found = ", ".join(f"{size} in {name(n)}" for size, n in sizes.items())
        raise ShapeError(f"vmap of {defined(f)}: the mapped axes have different lengths{where()}: {found}")
    return next(iter(sizes))


def batched(trace, value):
    return make(value, trace, None)


def unbatched(trace, x, size):
    """The batch behind a value that a Batch made, or one repeated."""
    if is_tensor(x) and x.trace is trace:
        return x.value
    return spread(size, x)
