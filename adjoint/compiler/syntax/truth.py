"""The truth of values that may not be known: `not`, `and` and `or` chains, of which only the truth is asked."""

import numpy as np

from ...core.errors import ShapeError, where
from ...core.tensor import is_tensor, peek
from ...core.types import typeof
from ..fence import Unfinished, refuse
from .choices import Choice, truth_of
from .frames import Frame
from .maybe import Maybe, absent, facts, implies
from .merge import Gap, read, use


def truth(x):
    """True or False where the truth of x is known, else x itself, without axes."""
    kind = type(x)
    if kind is bool:
        return x
    if is_tensor(x):
        known, value = peek(x)
        if known:
            return bool(value)
        shape = x.shape
        if shape != ():
            if x.size != 1:
                raise ShapeError(
                    f"the truth of an array with more than one element is ambiguous{where()}: it has shape {shape}; use .any() or .all()"
                )
            x = np.reshape(x, ())
        agreed = _agreed(x)
        return x if agreed is None else agreed
    if kind is Maybe:
        return both(lambda: not_(absent(x)), lambda: x._ad_value)
    if kind is Choice:
        return truth_of(x)
    if kind is Gap:
        use(x)
    if kind is list and x and type(x[0]) is Gap:
        use(x[0])
    return bool(x)


def _agreed(x):
    """The truth that all lanes of a batch share, where they are known: then there is one way to go. Else None."""
    while is_tensor(x):
        x = x.value
    if not isinstance(x, np.ndarray) or not x.size:
        return None
    return True if x.all() else None if x.any() else False


def decision(test, construct, what):
    """The truth of a test on which Python itself decides: it must be known."""
    t = truth(test)
    if type(t) is not bool:
        raise refuse(construct, what)
    return t


def flag(x):
    """A captured scalar as a boolean one."""
    return x if typeof(x).dtype.kind == "b" else np.not_equal(x, 0)


def not_(x):
    t = truth(x)
    return (not t) if type(t) is bool else implies(np.logical_not(t), facts(t, False), facts(t, True))


def both(*thunks):
    """The truth of a `and` chain."""
    return chain(thunks, True)


def either(*thunks):
    """The truth of an `or` chain."""
    return chain(thunks, False)


def chain(thunks, stop_unless):
    t = stop_unless
    for i, f in enumerate(thunks):
        t = truth(f())
        if type(t) is bool:
            if t is not stop_unless:
                return t
            continue
        rest = thunks[i + 1 :]
        if not rest:
            return flag(t)
        return _lazily(flag(t), rest, stop_unless)
    return t


def _lazily(t, thunks, is_and):
    """t and the thunks, or t or the thunks, where t is not known: all are computed where that is harmless."""
    from . import staged

    rest = lambda: chain(thunks, is_and)
    known = lambda: is_and is False
    cells = staged.cells_of(*thunks)
    frame = Frame()
    frame.facts = facts(t, is_and)
    with frame:
        frame.enter_all([read(c) for c in cells.values()])
        try:
            y = rest()
        except Unfinished:  # a path that tells nothing yet
            return staged.stage_if(t, *((rest, known) if is_and else (known, rest)), cells, ((), (), (), ()))
        operand = frame.operand(y) if is_tensor(y) else None
        follows = {**facts(t, is_and), **(facts(y, is_and) if is_tensor(y) else {})}
        frame.notice()
        changed = frame.written() or frame.places
    if operand is None and not frame.trace.lines:
        return t if y is is_and else y
    if not changed and all(map(_harmless, frame.trace.lines)):
        if operand is None:
            return t if y is is_and else y
        graph, hidden = staged.graph_of(frame, [], [operand], "rest")
        (y,) = graph.run(*map(staged.outside, hidden))
        y = (np.logical_and if is_and else np.logical_or)(t, y)
        return implies(y, *((follows, {}) if is_and else ({}, follows)))
    y = staged.stage_if(t, *((rest, known) if is_and else (known, rest)), cells, ((), (), (), ()))
    return implies(y, *((follows, {}) if is_and else ({}, follows))) if is_tensor(y) else y


_HARMLESS = ("elementwise", "linear", "bilinear", "nondiff", "reduce")


def _harmless(line):
    """Whether a line may run though the program would not have come to it."""
    if line.effect or line.op.kind not in _HARMLESS:
        return False
    return line.op.name != "getitem" or len(line.args) == 1
