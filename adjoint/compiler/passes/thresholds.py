"""Rules for comparisons with a number: a square root, or a choice, that only a comparison reads is not waited for.

`while norm(b) < 1000` asks whether a root is smaller than a number: it is, exactly where what it is the root of is smaller than
another number, which is found here by trying. A root takes as long as a step of many a loop.
"""

import numpy as np

from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Const, Graph, Line, Var, infer
from .rewrite import COND, ITEM, constant

LESS, LESS_EQUAL, GREATER, GREATER_EQUAL = (OPS[n] for n in ("less", "less_equal", "greater", "greater_equal"))
SQRT = OPS["sqrt"]
_TURNED = {LESS: GREATER, LESS_EQUAL: GREATER_EQUAL, GREATER: LESS, GREATER_EQUAL: LESS_EQUAL}
_KEEP = {OPS[n] for n in ("reshape", "broadcast_to", "transpose", "getitem", "sum", "copy", "sqrt", "max")}


def _with_number(b, line):
    """(the op, x, c) of a comparison x < c of a value with a number; None if it is none."""
    op = line.op
    x, y = line.args
    if constant(b, x) is not None:
        op, x, y = _TURNED[op], y, x
    c = constant(b, y)
    if c is None or constant(b, x) is not None or type(c) not in (int, float, np.float64, np.float32):
        return None
    return op, x, c


def root(b, line):
    """sqrt(x) < c is x < d, with the smallest d of which the root is not smaller than c; the other comparisons likewise."""
    found = _with_number(b, line)
    if found is None:
        return None
    op, y, c = found
    r = b.made_by(y, SQRT)
    if r is None or y.type.dtype.char not in "fd":
        return None
    (x,) = r.args
    kind = y.type.dtype.type
    if x.type.dtype != y.type.dtype or np.result_type(y.type.dtype, type(c) if type(c) not in (int, float) else kind) != y.type.dtype:
        return None
    if float(kind(c)) != float(c) or not c > 0 or (op in (LESS, LESS_EQUAL) and not never_negative(b, x)):
        return None  # of a negative number the root is NaN, which is not smaller
    limits = np.finfo(kind)
    with np.errstate(over="ignore", under="ignore"):
        d = kind(c) * kind(c)
    if not 4 * limits.tiny < d < limits.max / 4:
        return None
    below = op in (LESS, GREATER_EQUAL)  # whether the threshold is the first root that is not smaller, or the last that is not larger
    inside = (lambda d: np.sqrt(d) >= c) if below else (lambda d: np.sqrt(d) <= c)
    towards, away = (kind(0), kind(np.inf)) if below else (kind(np.inf), kind(0))
    while not inside(d):
        d = np.nextafter(d, away)
    while inside(np.nextafter(d, towards)):
        d = np.nextafter(d, towards)
    return b.apply(op, [x, Const(d)])


def never_negative(b, v, depth=8):
    """Whether no entry of v is smaller than zero."""
    if type(v) is Const:
        return not bool((np.asarray(v.value) < 0).any())
    line = b.defs.get(v)
    if line is None or depth == 0 or OPS.get(line.op.name) is not line.op:
        return False
    name, args = line.op.name, line.args
    if name in ("square", "absolute", "exp"):
        return True
    if name == "multiply" and args[0] is args[1]:
        return True
    if name in ("multiply", "add", "maximum"):
        return all(never_negative(b, a, depth - 1) for a in args)
    return line.op in _KEEP and never_negative(b, args[0], depth - 1)


def choice(b, line):
    """The comparison of what a choice gives, of which one side gives what was there before, is made before and inside."""
    found = _with_number(b, line)
    if found is None:
        return None
    op, y, c = found
    item = b.made_by(y, ITEM)
    cond = None if item is None else b.made_by(item.args[0], COND)
    if cond is None or len(cond.out.type.elems) != 1 or not (b.once(y) and b.once(cond.out)):
        return None
    p = cond.params
    sides = [p["true"], p["false"]]
    if p.get("sides") not in (None, (None,)) or any(g.outputs[0].type != y.type for g in sides):
        return None
    number = Const(c)
    told = infer(op, [y.type, number.type], {})
    if type(told) is not Array or told != line.out.type or not any(g.outputs[0] in g.inputs for g in sides):
        return None
    args = list(cond.args)
    given = []  # (which side, the input that tells)
    for k, g in enumerate(sides):
        if g.outputs[0] in g.inputs:
            args.append(b.apply(op, [cond.args[1 + g.inputs.index(g.outputs[0])], number]))
            given.append((k, Var(told)))
    inputs = [v for _, v in given]
    new = []
    for k, g in enumerate(sides):
        own = next((v for side, v in given if side == k), None)
        fresh = [v if v is own else Var(told) for v in inputs]  # no variable is set in two graphs
        lines = list(g.lines)
        if own is None:
            own = Var(told)
            lines.append(Line(own, op, [g.outputs[0], number], {}, line.where))
        new.append(Graph([*g.inputs, *fresh], lines, [own], None, (), g.name))
    t = b.emit(COND, args, {**p, "true": new[0], "false": new[1]})
    return b.emit(ITEM, [t], {"index": 0})


RULES = {name: [root, choice] for name in ("less", "less_equal", "greater", "greater_equal")}
