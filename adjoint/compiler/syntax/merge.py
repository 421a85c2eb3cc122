"""Values that are not there, and how what two paths leave behind becomes one."""

import numpy as np

from ...core import tree
from ...core.errors import DTypeError, ShapeError
from ...core.tensor import is_tensor, make, untracked
from ...core.types import Array, typeof
from ...primitives.control import _join, to_type
from ...traces.derive import zeros
from ...traces.graph import Const
from ..fence import FenceError, Unreachable


class Gap:
    """What a name stands for where it has no value that can be told: any use raises, with the reason."""

    def __init__(self, reason):
        object.__setattr__(self, "reason", reason)

    def __repr__(self):
        return f"<no value: {self.reason}>"


def use(gap, *_, **__):
    raise (Unreachable if gap is DEAD else FenceError)(object.__getattribute__(gap, "reason"))


_USES = """
    getattr setattr call iter len getitem setitem contains bool float int complex index add radd sub
    rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul rmatmul neg pos abs
    eq ne lt le gt ge hash str format array array_ufunc array_function round and or xor lshift
    rshift invert enter exit next delitem
"""
for _name in _USES.split():
    setattr(Gap, f"__{_name}__", use)


def _asked(gap, name):
    if name.startswith("__") and name.endswith("__"):  # Python's own questions, such as whether it wraps something
        raise AttributeError(name)
    use(gap)


Gap.__getattr__ = _asked  # type: ignore[attr-defined]

UNBOUND = Gap("the name is not bound")
DEAD = Gap(
    "a path was taken that source capture held to be impossible"
)  # on the path taken, nothing reads the name again


def read(cell):
    try:
        return cell.cell_contents
    except ValueError:
        return UNBOUND


def put(cell, value):
    if value is UNBOUND:
        if read(cell) is not UNBOUND:
            del cell.cell_contents
    else:
        cell.cell_contents = value


_NUMBERS = (bool, int, float, complex)


def is_value(x):
    """Whether a leaf is a number, an array or a tensor: what an op can take and give."""
    kind = type(x)
    if kind in _NUMBERS or isinstance(x, np.generic):
        return kind is not np.str_
    return is_tensor(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "biufc")


def flatten(x):
    """(leaves, structure), where truth values are leaves too."""
    return tree.flatten(x, is_leaf=lambda e: type(e) is bool or type(e) is Gap)


def same(a, b):
    """Whether two leaves are one thing: the same object, or equal Python numbers."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if is_tensor(a) or isinstance(a, np.ndarray) or type(a) is Gap:
        return False
    if type(a) in _NUMBERS or isinstance(a, np.generic):
        return repr(a) == repr(b)  # tells -0.0 from 0.0, and finds nan equal to nan
    try:
        return bool(a == b)
    except Exception:
        return False


def describe(x):
    if type(x) is Gap:
        return "nothing"
    if is_value(x):
        return repr(typeof(x))
    return repr(x)[:60] if x is None or type(x) in (str, bytes) else f"a {type(x).__name__}"


def join(a, b):
    """The common type of two leaves; truth values become NumPy's, which containers count as leaves."""
    t = _join(a, b, "")
    return Array((), t.dtype) if type(t) is Array and t.dtype.kind == "b" and t.weak else t


class Part:
    """What one path leaves in one place: leaves, their container, and for values the operands in the path's own graph."""

    __slots__ = ("leaves", "operands", "structure", "value")

    def __init__(self, value, frame):
        self.value = value
        if type(value) is Gap:
            self.leaves, self.structure, self.operands = [], None, []
            return
        self.leaves, self.structure = flatten(value)
        self.operands = [frame.operand(x) if is_value(x) else None for x in self.leaves]


class Outputs:
    """The outputs of two paths that are to become one."""

    def __init__(self, frames):
        self.frames = frames
        self.rows: list = []  # pairs of operands
        self.results: tuple = ()

    def pair(self, a, b, t):
        """One more output: a on the one path, b on the other, both brought to the type t."""
        self.rows.append([cast(frame, x, t) for frame, x in zip(self.frames, (a, b), strict=True)])
        return len(self.rows) - 1


def cast(frame, operand, t):
    """An operand in this type, in the graph of this frame."""
    if operand.type == t:
        return operand
    x = operand.value if type(operand) is Const else make(operand.type, frame.trace, operand)
    y = to_type(x, t)
    return frame.operand(y)


def nobody_reads(t):
    """What stands for a name on a path behind which it is not read again. Should it be read all the same, it is no number."""
    return zeros(t) + t.dtype.type(np.nan) if t.dtype.kind in "fc" else zeros(t)


class Out:
    """The place of an output in what is merged."""

    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


def merge(a, b, outputs, what, paths):
    """One value for two Parts: what both leave as it is, Outs for what differs, a Gap where they do not fit."""
    if a.value is b.value:
        return a.value
    for mine, other, swap in ((a, b, False), (b, a, True)):
        if mine.value is DEAD:
            if type(other.value) is Gap:
                return other.value
            leaves = []
            for x, operand in zip(other.leaves, other.operands, strict=True):
                if operand is None or (not is_tensor(x) and not isinstance(x, np.ndarray)):
                    leaves.append(x)  # known: the same on the path that does not read it
                else:
                    t = join(operand.type, operand.type)
                    stand_in = Const(nobody_reads(t)) if type(t) is Array else None
                    if stand_in is None:
                        return Gap(f"{what} cannot be told")
                    leaves.append(Out(outputs.pair(*((operand, stand_in) if swap else (stand_in, operand)), t)))
            return _rebuild(other.structure, leaves)
    for mine, path in ((a, paths[0]), (b, paths[1])):
        if type(mine.value) is Gap:
            if mine.value is UNBOUND:
                return Gap(f"{what} has no value {path}; give it one before")
            return mine.value
    if a.structure != b.structure:
        return Gap(_misfit(what, paths, a, b))
    leaves = []
    for x, y, p, q in zip(a.leaves, b.leaves, a.operands, b.operands, strict=True):
        if same(x, y):
            leaves.append(x)
        elif type(x) is Gap or type(y) is Gap:
            leaves.append(x if type(x) is Gap else y)
        elif p is None or q is None:
            return Gap(
                f"{what} is {describe(x)} {paths[0]} and {describe(y)} {paths[1]}; "
                "give it values of one type and shape on both paths"
            )
        else:
            try:
                t = join(p.type, q.type)
            except (ShapeError, DTypeError):
                return Gap(
                    f"{what} is {p.type} {paths[0]} and {q.type} {paths[1]}; "
                    "give it values of one type and shape on both paths"
                )
            leaves.append(Out(outputs.pair(p, q, t)))
    return _rebuild(a.structure, leaves)


def _misfit(what, paths, a, b):
    if len(a.leaves) == len(b.leaves) == 1 and (is_value(a.leaves[0]) or is_value(b.leaves[0])):
        return (
            f"{what} is {describe(a.value)} {paths[0]} and {describe(b.value)} {paths[1]}; "
            "give it values of one type and shape on both paths"
        )
    return (
        f"{what} is {said(a.value)} {paths[0]} and {said(b.value)} {paths[1]}; "
        "give it the same kind of value on both paths"
    )


def said(x):
    if x is None or is_value(x) or type(x) is str:
        return describe(x)
    if type(x) is tuple and len(x) <= 4:
        return f"({', '.join(map(said, x))})"
    if isinstance(x, (list, tuple, dict)):
        return f"a {type(x).__name__} of {len(x)}"
    return f"a {type(x).__name__}"


class Merged:
    """A container some of whose leaves are outputs not yet there."""

    __slots__ = ("leaves", "structure")

    def __init__(self, structure, leaves):
        self.structure, self.leaves = structure, leaves


def _rebuild(structure, leaves):
    return Merged(structure, leaves)


def finish(x, results):
    """A merged value with the outputs put in."""
    if type(x) is not Merged:
        return x
    return tree.unflatten(x.structure, [untracked_free(results[e.number]) if type(e) is Out else e for e in x.leaves])


def untracked_free(y):
    return untracked(y) if isinstance(y, np.ndarray) and y.ndim else y
