"""Held: lists, dicts and tuples of outside that a compiled function reads: what they hold is looked at again at every call.

`Opened` describes one container as it was when the function was captured. Its arrays are inputs of the compiled code; its
length, its keys and everything else in it must be what it was, or the function is captured anew.
"""

import collections
import copy

import numpy as np

from ..core.tensor import is_tensor
from ..core.types import Array, typeof
from .program import leaf_node


class Stale(Exception):
    """What was compiled no longer fits what the function reads from outside."""


class Opened:
    """One container. parts: for each entry an Array type (an input), a Kept, or an Opened."""

    __slots__ = ("container", "keys", "kind", "parts")

    def __init__(self, container, parts):
        self.container = container
        self.kind = type(container)
        self.keys = tuple(container) if isinstance(container, dict) else None
        self.parts = parts

    def leaves(self, x, out):
        """Append the arrays that x holds to `out`; Stale if x holds something else than it did."""
        if type(x) is not self.kind or len(x) != len(self.parts) or (self.keys is not None and tuple(x) != self.keys):
            raise Stale
        for part, e in zip(self.parts, entries(x)):
            take(part, e, out)

    @property
    def inputs(self):
        return sum(1 if type(p) is Array else p.inputs for p in self.parts)

    @property
    def native(self):
        """Whether the builtin can look at it."""
        return self.kind in (list, dict, tuple) and all(p.native for p in self.parts if type(p) is not Array)

    def node(self):
        """The same for the builtin."""
        nodes = [_node(p) for p in self.parts]
        return dict(zip(self.keys, nodes)) if self.keys is not None else self.kind(nodes)

    def settle(self, changed):
        """Do not look at what is in lists and dicts that the function changes itself (their ids)."""
        self.parts = [
            Kept(p.container) if type(p) is Opened and not p.inputs and id(p.container) in changed else p
            for p in self.parts
        ]
        for p in self.parts:
            if type(p) is Opened:
                p.settle(changed)

    def __str__(self):
        return f"a {self.kind.__name__} of {len(self.parts)}"


class Kept:
    """An entry that must be this very object."""

    __slots__ = ("value",)
    inputs = 0
    native = True

    def __init__(self, value):
        self.value = value


def entries(x):
    return x.values() if isinstance(x, dict) else x


def take(part, x, out):
    """Append the arrays of x, a value that `part` describes."""
    if type(part) is Opened:
        part.leaves(x, out)
    elif type(part) is Kept:
        if x is not part.value:
            raise Stale
    else:
        x = x.value if is_tensor(x) and x.trace is None else x
        try:
            same = typeof(x) == part
        except TypeError:
            same = False
        if not same:
            raise Stale
        out.append(x)


def _node(part):
    from .native import call

    return part.node() if type(part) is Opened else call.Same(part.value) if type(part) is Kept else leaf_node(part)


def node(part):
    """What the builtin is to expect of a source."""
    return _node(part)


def is_array(x):
    """Whether a value is an array (or a tensor) that can be an input."""
    if type(x) is not np.ndarray and not is_tensor(x):
        return False
    t = typeof(x)
    return type(t) is Array and t.dtype.kind in "biufc" and t.dtype.isnative


def is_container(x):
    return isinstance(x, (list, dict, set, frozenset, collections.deque)) or type(x) is tuple


def rebuilt(x, values):
    """A container like x with these entries."""
    if isinstance(x, dict):
        new = copy.copy(x)
        for key, value in zip(x, values):
            new[key] = value
        return new
    if type(x) in (list, tuple):
        return type(x)(values)
    if isinstance(x, collections.deque):
        return type(x)(values, x.maxlen)
    if isinstance(x, list):
        new = copy.copy(x)
        new[:] = values
        return new
    return x  # sets hold no arrays
