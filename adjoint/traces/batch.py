"""vmap: a tensor stands for a whole batch; its value has one more axis, in front.

Most ops need no rule of their own: their axes are counted from the end. What has none is applied lane by lane.
Knows `stack` and `item along the first axis` by name, for that loop.
"""

import numpy as np

from ..core.errors import ConcreteError
from ..core.op import OPS, Trace, bind
from ..core.tensor import BIRTHS, Flat, Tensor, make, unknown
from ..core.tuples import items, pack
from ..core.types import Array, Stack, Tuple, typeof
from .graph import Graph, infer


class Lane(int):
    """The `info` of a value whose lanes are numbers of Python's, or tuples with such: its birth, and the type of a lane.

    The batch itself is an array, which does not know that it must give way to float32.
    """

    def __new__(cls, birth, type):
        self = super().__new__(cls, birth)
        self.type = type
        return self


def lane_info(birth, t):
    """The `info` of a batched value with lanes of type t."""
    return Lane(birth, t) if _has_numbers(t) else birth


def _has_numbers(t):
    return any(map(_has_numbers, t.elems)) if type(t) is Tuple else type(t) is Array and t.weak


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
        numbers = False
        for a in args:
            mine = (type(a) is Tensor or type(a) is Flat) and a.trace is self
            batched.append(mine)
            values.append(a.value if mine else a)
            numbers = numbers or (mine and type(a.info) is Lane)
        lane = None
        if numbers or params:
            if numbers or "weak" in params or any(type(p) is Graph for p in params.values()):
                lane = self.lane_type(op, args, params)
            if numbers and getattr(op.type, "broadcasts", False):
                values = _promoted(args, values, [typeof(a) for a in args], lane)
        if op.batch is not None:
            y = op.batch(self.size, batched, *values, **params)
        else:
            y = lanes(op, self.size, batched, values, params)
        birth = BIRTHS[0]  # the youngest trace when it was made: what may be written into it
        if lane is None:
            return make(y, self, birth)
        if type(lane) is Array and typeof(y).dtype != lane.dtype:
            y = bind(OPS["astype"], y, dtype=lane.dtype)
        return make(y, self, lane_info(birth, lane))

    def lane_type(self, op, args, params):
        """The type of op(*args) in a lane, where numbers of Python's take part; None if it is not to be had."""
        try:
            return infer(op, [typeof(a) for a in args], params)
        except Exception:  # the op itself will say what is wrong
            return None

    def typeof(self, tensor):
        return tensor.info.type if type(tensor.info) is Lane else _lane_type(typeof(tensor.value))

    def concrete(self, tensor, why):
        raise ConcreteError(unknown(tensor, why))


def _lane_type(t):
    if type(t) is Tuple:
        return Tuple(map(_lane_type, t.elems))
    if type(t) is Stack:
        return Stack(_lane_type(t.elem), tuple(r - 1 for r in t.ragged if r > 1))
    return Array(t.shape[1:], t.dtype)


def _promoted(args, values, types, lane):
    """Batches of Python's numbers in the dtype that a number of Python's takes beside the other arguments."""
    dtype = np.result_type(*(t.dtype.type(1).item() if t.weak else t.dtype for t in types))
    if lane is not None and lane.weak and lane.dtype.kind != "b":
        dtype = lane.dtype  # True + True is 2
    elif dtype.kind in "iub":
        return values  # the result is cast: int64 compares 300 with an int8
    return [
        bind(OPS["astype"], v, dtype=dtype)
        if t.weak and type(getattr(a, "info", None)) is Lane and typeof(v).dtype != dtype
        else v
        for a, v, t in zip(args, values, types, strict=True)
    ]


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
