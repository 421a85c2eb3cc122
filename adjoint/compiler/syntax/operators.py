"""Operators on values that may not be known: comparisons, `is` and `in`, `and` and `or` as values, what Python's integers refuse."""

import operator

import numpy as np

from ...core.tensor import is_tensor, peek
from ...core.types import Array, typeof
from ...primitives.checks import check_op
from ...primitives.shape import python_number
from ..fence import refuse
from . import staged
from .choices import Choice, by_cases
from .choices import equal as same_choice
from .frames import Frame, emit
from .maybe import STAND_INS, Maybe, absent
from .merge import Gap, read, use
from .outside import unknown_key
from .staged import cells_of
from .truth import both, chain, either, flag, not_, truth

COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
INPLACE = {
    "+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "//": operator.ifloordiv,
    "%": operator.imod, "**": operator.ipow, "@": operator.imatmul, "<<": operator.ilshift, ">>": operator.irshift,
    "|": operator.ior, "^": operator.ixor, "&": operator.iand,
}  # fmt: skip
BINARY = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "|": operator.or_, "^": operator.xor, "&": operator.and_, "<<": operator.lshift,
}  # fmt: skip


def checked(a, b, op):
    """Python's integers raise where they are divided by 0; NumPy's give 0. And shifted ones may outgrow 64 bits."""
    if op == "<<":
        if _is_integer(a) and _is_integer(b) and (is_tensor(a) or is_tensor(b)):
            size = abs(a) * 2.0**b
            emit(check_op, [np.logical_or(np.less(b, 0), np.greater_equal(size, 2.0**63))], {"make": _outgrown})
    elif _is_integer(a) and _is_integer(b) and not (type(b) is int and (b or type(a) is int)):
        emit(check_op, [np.equal(b, 0)], {"make": _division_by_zero})


def _is_integer(x):
    return type(x) is int or (is_tensor(x) and (t := typeof(x)).weak and t.dtype.kind == "i")


def _division_by_zero():
    return ZeroDivisionError("integer division or modulo by zero")


def _outgrown():
    return OverflowError("a shifted integer is no integer of 64 bits, which compiled code computes with")


_TRUTH = Array((), np.dtype(bool), True)  # one of Python's two, not of NumPy's


def compare(op, a, b):
    if op in COMPARE:
        return COMPARE[op](a, b)
    for x in (a, b):
        if type(x) is Gap:
            use(x)
    if type(a) is Choice or type(b) is Choice:
        return chosen(op, a, b)
    if op == "is" or op == "is not":
        for x, y in ((a, b), (b, a)):
            if type(x) is Maybe:
                if y is not None:
                    raise refuse("maybe", "a value that may be None is asked whether it is another object")
                return absent(x) if op == "is" else not_(absent(x))
        for x, y in ((a, b), (b, a)):
            if type(y) is bool and is_tensor(x) and typeof(x) == _TRUTH and not peek(x)[0]:  # np.allclose(a, b) is False
                return x if y is (op == "is") else not_(x)
        return (a is b) is (op == "is")
    if isinstance(b, (dict, set, frozenset)):
        unknown_key(a)
        found = a in b
    elif isinstance(b, (list, tuple)) and any(is_tensor(e) and not peek(e)[0] for e in (a, *b)):
        found = either(*[(lambda e=e: e is a or e == a) for e in b])
    elif type(b) is range and is_tensor(a) and not peek(a)[0]:
        r = b
        inside = both(lambda: a >= min(r[0], r[-1]), lambda: a <= max(r[0], r[-1])) if r else False
        found = both(lambda: inside, lambda: (a - r.start) % r.step == 0) if r else False
    else:
        found = a in b
    return found if op == "in" else not_(found)


def _is_truth(thunks, is_and):
    """Whether what a chain gives is True or False: then it is the truth of the chain; `x > 0 or y` may be y."""
    frame = Frame()
    try:
        with frame:
            frame.enter_all([read(c) for c in cells_of(*thunks).values()])
            y = select(thunks, is_and)
    except Exception:  # the branch itself will tell
        return False
    return type(y) in (bool, np.bool_) or (is_tensor(y) and typeof(y).dtype.kind == "b")


def select(thunks, is_and):
    """a and b, a or b, as values."""
    for i, f in enumerate(thunks):
        x = f()
        if i + 1 == len(thunks):
            return x
        t = truth(x)
        if type(t) is bool:
            if t is not is_and:
                return x
            continue
        more = thunks[i + 1 :]
        if type(x) not in STAND_INS and typeof(x).dtype.kind == "b" and _is_truth(more, is_and):
            y = chain((lambda x=x: x, *more), is_and)
            return python_number(y, bool) if is_tensor(y) and typeof(x).weak else y
        rest = lambda more=more: select(more, is_and)
        keep = lambda x=x: x
        cells = cells_of(*more)
        true, false = (rest, keep) if is_and else (keep, rest)
        return staged.stage_if(flag(t), true, false, cells, ((), (), (), ()))
    return is_and


def chosen(op, a, b):
    """`is` and `in`, of texts that are not known."""
    if op == "is" or op == "is not":
        found = same_choice(a, b) if type(a) is Choice else same_choice(b, a)
    elif type(b) is Choice:
        found = by_cases(b, lambda o: compare("in", a, o))
    elif isinstance(b, str):
        found = by_cases(a, lambda o: o in b)
    else:
        found = either(*[(lambda e=e: a == e) for e in b])
    return found if op == "is" or op == "in" else not_(found)
