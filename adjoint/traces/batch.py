"""vmap: a tensor stands for a whole batch; its value has one more axis, in front.

Most ops need no rule of their own: their axes are counted from the end. What has none is applied lane by lane.
Knows `stack` and `item along the first axis` by name, for that loop.
"""

from ..core.errors import ConcreteError
from ..core.op import OPS, Trace, bind
from ..core.tensor import BIRTHS, Flat, Tensor, make, unknown
from ..core.tuples import items, pack
from ..core.types import Array, Stack, Tuple, typeof


class Batch(Trace):
    """One batched evaluation of `size` lanes."""

    __slots__ = ("size",)

    def __init__(self, size):
        super().__init__()
        self.size = size

    def process(self, op, args, params):
        if self.ended:
            self.escaped()
        batched = []
        values = []
        for a in args:
            mine = (type(a) is Tensor or type(a) is Flat) and a.trace is self
            batched.append(mine)
            values.append(a.value if mine else a)
        if op.batch is not None:
            y = op.batch(self.size, batched, *values, **params)
        else:
            y = lanes(op, self.size, batched, values, params)
        return make(y, self, BIRTHS[0])  # the youngest trace when it was made: what may be written into it

    def typeof(self, tensor):
        return _lane_type(typeof(tensor.value))

    def concrete(self, tensor, why):
        raise ConcreteError(unknown(tensor, why))


def _lane_type(t):
    if type(t) is Tuple:
        return Tuple(map(_lane_type, t.elems))
    if type(t) is Stack:
        return Stack(_lane_type(t.elem))
    return Array(t.shape[1:], t.dtype)


def lanes(op, size, batched, values, params):
    """Apply an op to each lane and stack the results."""
    rows = [
        bind(op, *(lane(v, i) if b else v for b, v in zip(batched, values, strict=True)), **params) for i in range(size)
    ]
    return _stack(rows)


def lane(value, i):
    """One lane of a batched value."""
    if type(typeof(value)) is Tuple:
        return pack(*(lane(e, i) for e in items(value)))
    return bind(OPS["getitem"], value, index=i)


def _stack(rows):
    if type(typeof(rows[0])) is Tuple:
        return pack(*(_stack(column) for column in zip(*map(items, rows), strict=True)))
    return bind(OPS["stack"], *rows, axis=-1 - len(typeof(rows[0]).shape))
