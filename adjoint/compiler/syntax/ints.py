"""Whether the Python integers of a loop stay within 64 bits, when the loop becomes an op.

Python's integers grow without bound, those of a graph do not. A loop of known length, which could be unrolled, is kept a
loop only where intervals show that no integer it computes outgrows them. (In a loop of unknown length they are 64 bits.)
"""

import numpy as np

from ...core.types import Array
from ...traces.graph import Const, Graph

MOST = 2**62
COMMON = (-(2**31), 2**31)  # what is assumed of an integer that an outer loop counts


def _is_int(t):
    return type(t) is Array and t.weak and t.dtype.kind == "i"


class Outgrown(Exception):
    """An integer may leave 64 bits."""


def check(graph, start, trips, counters=()):
    """Raise Outgrown where an integer of a loop's body may outgrow 64 bits.

    start: for the first inputs, the state, the integer it starts with, or None; trips: how many steps there are;
    counters: intervals of the inputs behind the state.
    """
    intervals = {}
    made = {id(line.out): line for line in graph.lines}
    for v, first, out in zip(graph.inputs, start, graph.outputs, strict=False):
        if not _is_int(v.type):
            continue
        if type(first) is not int:
            intervals[id(v)] = COMMON
            continue
        step = _step(made, out, v)
        if step is None:
            intervals[id(v)] = None
            continue
        (lo, hi), fixed = step
        low, high = min([first, *fixed]), max([first, *fixed])
        intervals[id(v)] = (low + min(lo, 0) * trips, high + max(hi, 0) * trips)
    for v, interval in zip(graph.inputs[len(start) :], counters, strict=False):
        intervals[id(v)] = interval
    _walk(graph, intervals)


def _step(made, operand, v):
    """How a step changes the integer v: ((least, greatest increment), values it may be set to), or None."""
    if operand is v:
        return (0, 0), ()
    if type(operand) is Const:
        return ((0, 0), (operand.value,)) if type(operand.value) is int else None
    line = made.get(id(operand))
    if line is None:
        return None
    name = line.op.name
    if name in ("add", "subtract"):
        a, b = line.args
        if name == "add" and type(a) is Const:
            a, b = b, a
        if name == "add" and _converted(made, a) is not None:
            a, b = b, a
        by = (b.value, b.value) if type(b) is Const and type(b.value) is int else _converted(made, b)
        if by is not None:
            step = _step(made, a, v)
            if step is not None and not step[1]:
                lo, hi = by if name == "add" else (-by[1], -by[0])
                return (step[0][0] + lo, step[0][1] + hi), ()
        return None
    if name == "remainder" and type(line.args[1]) is Const and type(line.args[1].value) is int:
        m = line.args[1].value
        return (0, 0), (min(m, 0), max(m, 0))
    if name == "item":
        return _of_branch(made, line, v)
    return None


def _converted(made, operand):
    """The interval of int(x), or None for anything else: of a float it is assumed."""
    line = None if type(operand) is Const else made.get(id(operand))
    if line is None or line.op.name != "astype":
        return None
    dtype = line.args[0].type.dtype
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind in "iu" and dtype.itemsize < 4:
        info = np.iinfo(dtype)
        return int(info.min), int(info.max)
    return COMMON


def _of_branch(made, line, v):
    """A step through a branch: what either side does."""
    branch = made.get(id(line.args[0]))
    if branch is None or branch.op.name != "cond":
        return None
    k = line.params["index"]
    steps = []
    for graph in (branch.params["true"], branch.params["false"]):
        inside = next((w for w, a in zip(graph.inputs, branch.args[1:], strict=True) if a is v), None)
        steps.append(_step({id(x.out): x for x in graph.lines}, graph.outputs[k], inside))
    if None in steps:
        return None
    (a, fixed_a), (b, fixed_b) = steps
    return (min(a[0], b[0]), max(a[1], b[1])), (*fixed_a, *fixed_b)


def _walk(graph, intervals):
    for line in graph.lines:
        for p in line.params.values():
            if type(p) is Graph:
                # the arguments of the inner graph are those of the op, in their order, for cond alone
                inner = {}
                if line.op.name == "cond":
                    inner = {
                        id(w): _interval(a, intervals)
                        for w, a in zip(p.inputs, line.args[1:], strict=True)
                        if _is_int(w.type)
                    }
                    _walk(p, inner)
        if not _is_int(line.out.type):
            continue
        rule = _RULES.get(line.op.name)
        if rule is None:
            converted = _converted({id(line.out): line}, line.out)
            intervals[id(line.out)] = COMMON if line.op.name == "item" else converted
            continue
        row = [_interval(a, intervals) for a in line.args]
        if None in row:
            raise Outgrown
        low, high = rule(*row)
        if low < -MOST or high > MOST:
            raise Outgrown
        intervals[id(line.out)] = (low, high)


def _interval(v, intervals):
    if type(v) is Const:
        return (int(v.value), int(v.value)) if type(v.value) in (int, bool) else None
    return intervals.get(id(v), COMMON)


def _corners(f):
    def rule(a, b):
        row = [f(x, y) for x in a for y in b]
        return min(row), max(row)

    return rule


def _power(a, b):
    if b[0] < 0 or b[1] > 64:
        raise Outgrown
    row = [x**y for x in a for y in b]
    top = max(map(abs, row))
    return -top if a[0] < 0 else 0, top


def _absolute(a):
    return 0, max(map(abs, a))


def _remainder(a, b):
    return min(b[0], 0), max(b[1], 0)


def _divide(a, b):
    top = max(map(abs, a))
    return -top, top


def _either(a, b):
    return min(a[0], b[0]), max(a[1], b[1])


_RULES = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "subtract": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "multiply": _corners(lambda x, y: x * y),
    "negative": lambda a: (-a[1], -a[0]),
    "positive": lambda a: a,
    "absolute": _absolute,
    "floor_divide": _divide,
    "remainder": _remainder,
    "power": _power,
    "minimum": _either,
    "maximum": _either,
    "where": lambda t, a, b: _either(a, b),
    "square": lambda a: (0, max(map(abs, a)) ** 2),
}
