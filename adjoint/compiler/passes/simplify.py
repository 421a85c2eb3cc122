"""Simplify: rules that replace a line by less, in exact arithmetic of floating-point numbers.

NaN, infinities and the sign of zero keep their meaning: `x * 1` is x, `x * 0` is not 0, and `x + 0.0` is x only where x is
known not to be -0.0. A rule sees a line whose arguments are simplified already, and what it makes is simplified in turn.
The rules are in `algebra` (entry by entry), `rearrange` (shapes and indices) and `thresholds` (comparisons with a number).
"""

from ...core.op import OPS
from ...traces.graph import Const, Graph, Line, Var, infer
from . import algebra, rearrange, thresholds
from .fold import folded, repeat_numbers
from .inline import item_of, taken
from .rewrite import COND, ITEM, PACK, broadcasts, rebuild, splice

RULES: dict = {}
for _table in (algebra.RULES, rearrange.RULES, thresholds.RULES):
    for _name, _rules in _table.items():
        RULES.setdefault(OPS[_name], []).extend(_rules)

_BROADCAST, _RESHAPE = OPS["broadcast_to"], OPS["reshape"]


REACH = 4  # how many lines up a rule is expected to look


def simplify(graph: Graph, seen: dict | None = None) -> Graph:
    """The graph with all rules applied.

    seen: lines that were left as they stand before, of this graph or what it was made of; the dict is filled for the next time.
    """
    seen = {} if seen is None else seen
    return rebuild(graph, lambda b: _again(b, _start(b), seen))


def _again(b, rules, seen):
    """The step that does not ask all rules once more of a line that they have left as it stands.

    Unless one of the lines just above it is new, or a value that it reads was read by others too, and is not any more.
    """
    near: dict = {}  # variable -> how many lines above the next new one is, where that is less than REACH

    def step(line):
        d = min([near.get(a, REACH) for a in line.args], default=REACH)
        alone = [b.once(a) for a in line.args]
        known = seen.get(id(line))
        if known is not None and d >= REACH and known[1] == alone:
            return b.append(line)
        before = len(b.lines)
        out = rules(line)
        if len(b.lines) == before + 1 and b.lines[-1] is line:
            if known is None:
                d = -1
            seen[id(line)] = line, alone
            if d + 1 < REACH:
                near[out] = d + 1
        else:
            near.update((made.out, 0) for made in b.lines[before:])
            near[out] = 0
        return out

    return step


def _start(b):
    def apply(op, args, params=None):
        params = params or {}
        return step(Line(Var(infer(op, [a.type for a in args], params)), op, args, params, b.where))

    def step(line):
        op = line.op
        if op is ITEM:
            return item_of(b, line) or b.append(line)
        if op is COND:
            branch = taken(line)
            if branch is not None:
                return b.emit(PACK, splice(b, branch, line.args[1:], step))
        value = folded(line)
        if value is not None:
            return value
        t = line.out.type
        for rule in RULES.get(op, ()):
            value = rule(b, line)
            if value is not None and value.type == t:
                return value
        if broadcasts(op):
            line = repeat_numbers(b, line)
            value = without_broadcasts(b, line)
            if value is not None:
                return value
        return b.append(line)

    b.apply = apply
    return step


def without_broadcasts(b, line):
    """The line on arguments that are not broadcast beforehand, as the op broadcasts by itself; None if none is.

    Where the result is smaller then, it is computed small and broadcast after.
    """
    args = None
    for i, a in enumerate(line.args):
        small = _unspread(b, a)
        if small is not None:
            args = args or list(line.args)
            args[i] = small
    if args is None:
        return None
    t = line.out.type
    if len(args) == 1 and b.made_by(line.args[0], _RESHAPE):
        return None
    y = b.apply(line.op, args, line.params)
    if y.type == t:
        return y
    return b.apply(_BROADCAST, [y], {"shape": t.shape}) if y.type.dtype == t.dtype else None


def _unspread(b, v):
    """What v is a broadcast of (or of what it only adds axes of length 1 to), in v's dtype; None if it is none."""
    line = b.made_by(v, _BROADCAST, _RESHAPE)
    if line is None:
        return None
    (x,) = line.args
    t = x.type
    if line.op is _RESHAPE:  # only leading axes of length 1
        extra = v.type.ndim - t.ndim
        if extra <= 0 or v.type.shape != (1,) * extra + tuple(t.shape):
            return None
    if t.weak:  # an array without axes, that its dtype may count
        return Const(t.dtype.type(x.value)) if type(x) is Const else None
    return _unspread(b, x) or x
