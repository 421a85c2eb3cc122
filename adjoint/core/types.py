"""Types of values: `Array(shape, dtype, weak)`, `Tuple(elems)`, `Stack(elem)`, and `typeof`.

A Python scalar is weak: it takes the dtype of what it meets (NumPy's promotion since 2.0). A Stack is what a loop of
unknown length saves, step by step.
"""

import math

import numpy as np

from .errors import DTypeError


class Array:
    """Shape and dtype of an array or scalar; `weak` marks a Python scalar."""

    __slots__ = ("dtype", "shape", "weak")

    def __init__(self, shape, dtype, weak=False):
        self.shape = shape
        self.dtype = dtype
        self.weak = weak

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return math.prod(self.shape)

    def __eq__(self, other):
        return type(other) is Array and (self.shape, self.dtype, self.weak) == (other.shape, other.dtype, other.weak)

    def __hash__(self):
        return hash((self.shape, self.dtype, self.weak))

    def __repr__(self):
        return f"{'weak ' if self.weak else ''}{self.dtype}[{','.join(map(str, self.shape))}]"


class Tuple:
    """The type of a tuple: one type an element."""

    __slots__ = ("elems",)

    def __init__(self, elems):
        self.elems = tuple(elems)

    def __eq__(self, other):
        return type(other) is Tuple and self.elems == other.elems

    def __hash__(self):
        return hash(("Tuple", self.elems))

    def __repr__(self):
        return f"({', '.join(map(repr, self.elems))})"


class Stack:
    """The type of a stack of values, all of type `elem`; its length is known at run time only.

    ragged: of a batch whose lanes have different lengths, which carries a mask for each step: the masks' number of axes, which
    lead those of the values. (1,): one batch; (2,): lanes that are batches of that kind; (1, 2): both.
    """

    __slots__ = ("elem", "ragged")

    def __init__(self, elem, ragged=()):
        self.elem = elem
        self.ragged = ragged

    def __eq__(self, other):
        return type(other) is Stack and (self.elem, self.ragged) == (other.elem, other.ragged)

    def __hash__(self):
        return hash(("Stack", self.elem, self.ragged))

    def __repr__(self):
        return f"{'ragged ' if self.ragged else ''}Stack[{self.elem}]"


class StackValue:
    """A stack at run time: the values of the steps, and their type. masks: of a ragged one, {number of axes: a mask a step}."""

    __slots__ = ("elem", "items", "masks")

    def __init__(self, items, elem, masks=None):
        self.items = items
        self.elem = elem
        self.masks = masks or {}

    def __add__(self, other):
        return StackValue([a + b for a, b in zip(self.items, other.items, strict=True)], self.elem, self.masks)


_SCALARS = {
    bool: Array((), np.dtype(bool), True),
    int: Array((), np.dtype(np.int64), True),
    float: Array((), np.dtype(np.float64), True),
    complex: Array((), np.dtype(np.complex128), True),
}
TYPEOF: dict = {
    StackValue: lambda s: Stack(s.elem, tuple(sorted(s.masks)))
}  # further classes of values, registered by their modules


def typeof(x):
    """The type of a value: array, scalar, tuple, tensor or stack."""
    kind = type(x)
    if kind is np.ndarray:
        return Array(x.shape, x.dtype)
    rule = TYPEOF.get(kind)
    if rule is not None:
        return rule(x)
    if kind in _SCALARS:
        return _SCALARS[kind]
    if issubclass(kind, np.generic):
        return Array(x.shape, x.dtype)
    if kind is tuple:
        return Tuple(typeof(e) for e in x)
    if kind is Array or kind is Tuple or kind is Stack:
        return x
    if hasattr(kind, "__array_function__") or hasattr(kind, "__array__"):
        return Array(x.shape, x.dtype)
    raise DTypeError(f"{kind.__name__} is no array, number or tensor: {x!r}"[:300])


def native(x):
    """An array in the machine's byte order, which all that NumPy computes is in."""
    return x if x.dtype.isnative else x.astype(x.dtype.newbyteorder("="))


def is_float(dtype):
    """Real or complex floating: what can carry a derivative."""
    return dtype.kind in "fc"
