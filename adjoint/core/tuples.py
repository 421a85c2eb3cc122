"""Tuples as values: `pack` and `item`, so that every op has one result and every node one output; and cotangents that
are not yet an array.

A Partial stands for a cotangent that touches a part of its target only: one element of a tuple, some entries of an
array. The backward pass adds many of them into one buffer instead of making each one dense.
"""

from .op import Op, bind
from .tensor import is_tensor
from .types import Tuple, typeof


class Partial:
    """A cotangent that is zero but for a part. `into(buffer)` adds it to a dense one and returns the sum."""

    __slots__ = ()
    __array_ufunc__ = None  # so that `array + partial` arrives in __radd__

    def dense(self):
        raise NotImplementedError

    def into(self, buffer):
        """buffer + self. The buffer is the backward pass's own and may be changed in place."""
        raise NotImplementedError

    def __add__(self, other):
        return other.into(self.dense()) if isinstance(other, Partial) else self.into(other * 1)

    def __radd__(self, other):
        return self.into(other * 1)  # a copy: the other cotangent may be somebody else's

    def __iadd__(self, other):
        return self + other


class Parts(Partial):
    """The cotangent of a tuple: one an element, None where there is none."""

    __slots__ = ("parts",)

    def __init__(self, parts):
        self.parts = tuple(parts)

    def dense(self):
        return self

    def into(self, buffer):
        return Parts(
            b if a is None else a if b is None else a + b for a, b in zip(buffer.parts, self.parts, strict=True)
        )

    def __add__(self, other):
        return other.into(self)

    __radd__ = __add__


def items(x):
    """The elements of a tuple, or of a tensor that holds one."""
    if is_tensor(x):
        if x.trace is None and type(x.value) is tuple:
            return tuple(x.value)
        return tuple(item(x, i) for i in range(len(typeof(x).elems)))
    return tuple(x)


def pack(*xs):
    """A tuple as one value."""
    return bind(_pack, *xs)


def item(x, index):
    """One element of a tuple."""
    return bind(_item, x, index=index)


_pack = Op(
    "pack",
    lambda *xs: xs,
    kind="tuple",
    type=lambda *types: Tuple(types),
    jvp=lambda ts, y, *xs: tuple(ts),
    vjp=lambda wants, g, _y, *_xs: tuple(e if w else None for w, e in zip(wants, _parts(g, len(wants)), strict=True)),
    batch=lambda size, batched, *xs: bind(
        _pack, *(x if b else spread(size, x) for b, x in zip(batched, xs, strict=True))
    ),
)

_item = Op(
    "item",
    lambda x, index: x[index],
    kind="tuple",
    type=lambda x, index: x.elems[index],
    jvp=lambda ts, y, x, index: items(ts[0])[index],
    vjp=lambda wants, g, _y, _x, index: (Parts(g if i == index else None for i in range(len(_x.elems))),),
    batch=lambda size, batched, x, index: bind(_item, x, index=index),
)


def _parts(g, n):
    return g.parts if type(g) is Parts else items(g)


def spread(size, x):
    """x repeated along a new leading axis: how a batch sees what is not mapped."""
    kind = type(typeof(x))
    if kind is Tuple:
        return pack(*(spread(size, e) for e in items(x)))
    return SPREAD[kind](size, x)


SPREAD: dict = {}  # type of value -> how it is repeated; filled by primitives.shape and primitives.stack
