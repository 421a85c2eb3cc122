"""Constants: what depends on nothing is computed now, and an array of equal entries is one number, repeated."""

import numpy as np

from ...core.op import OPS
from ...core.types import Array, typeof
from ...traces.graph import Const, Graph
from .rewrite import Builder, broadcasts, constant, pure, rebuild

_SMALL = 1024  # bytes a result may always have; a larger one only if its arguments are as large
_BROADCAST = OPS["broadcast_to"]
# Ops that are as glad of a number repeated as of an array, by which of their arguments.
_TAKES_REPEATED = {
    OPS[name]: places
    for names, places in (
        ("sum mean reshape transpose flip roll astype pad getitem scatter", (0,)),
        ("index_set outer", (0, 1)),
        ("concatenate stack scan while_loop", None),
    )
    for name in names.split()
}
_FOLDABLE = {"elementwise", "linear", "bilinear", "nondiff", "general"}


def fold(graph: Graph) -> Graph:
    """The graph without lines whose arguments are all constants."""

    def start(b):
        def step(line):
            c = folded(line)
            if c is not None:
                return c
            return b.append(repeat_numbers(b, line))

        return step

    return rebuild(graph, start)


def folded(line):
    """The value of a line as a constant, if it depends on constants alone and is no burden; else None."""
    op = line.op
    if (line.args and type(line.args[0]) is not Const) or op.kind not in _FOLDABLE or not pure(op):
        return None
    size = 0
    for a in line.args:
        if type(a) is not Const:
            return None
        if type(a.type) is Array:
            size += a.type.size * a.type.dtype.itemsize
    t = line.out.type
    if type(t) is not Array or t.size * t.dtype.itemsize > max(size, _SMALL):
        return None
    if op is _BROADCAST and t.size > 1:
        return None  # a number repeated takes less room as it is
    try:
        with np.errstate(all="ignore"):
            value = op.eval(*[a.value for a in line.args], **line.params)
    except Exception:  # it raises when it runs, then
        return None
    if type(value) is np.ndarray and value.ndim == 0:
        value = value[()]
    return Const(value) if typeof(value) == t else None


def repeat_numbers(b: Builder, line):
    """The line with its constant arrays of equal entries as numbers, which are broadcast where they must be."""
    op = line.op
    each = broadcasts(op)
    if not each and op not in _TAKES_REPEATED:
        return line
    places = None if each else _TAKES_REPEATED[op]
    args = None
    for i, a in enumerate(line.args):
        if type(a) is Const and type(a.value) is np.ndarray and a.value.size > 1 and (places is None or i in places):
            x = constant(b, a)
            if x is not None:
                args = args or list(line.args)
                args[i] = b.emit(_BROADCAST, [Const(x)], {"shape": a.type.shape})
    return line if args is None else type(line)(line.out, op, args, line.params, line.where)
