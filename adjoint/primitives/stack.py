"""Stacks: what a loop of unknown length saves, one value a step. See control.py."""

import numpy as np

from ..core.op import Op, bind
from ..core.tuples import SPREAD
from ..core.types import Array, Stack, StackValue
from ..traces.derive import lift
from ..traces.reverse import STACKS


def zeros_of(stack):
    """A stack of zeros as long as this one."""
    return bind(_zeros, stack)


def sum_of(a, b):
    """Two stacks of as many steps, added step by step."""
    return bind(_add, a, b)


def masked(stack, masks):
    """A batch of stacks whose lane i has the steps where masks holds."""
    return bind(_masked, stack, masks)


def masks_of(stack):
    """The masks of a ragged stack, as a stack."""
    return bind(_masks, stack)


def spread_stack(size, stack):
    """A stack whose steps are repeated along a new leading axis."""
    return bind(_spread, stack, size=size)


def _zeros_like(x):
    return StackValue([_zeros_like(e) for e in x.items], x.elem, x.masks) if type(x) is StackValue else np.zeros_like(x)


def _spread_steps(s, size):
    steps = [
        _spread_steps(x, size) if type(x) is StackValue else np.broadcast_to(x, (size, *np.shape(x))) for x in s.items
    ]
    return StackValue(steps, lift(s.elem, size), s.masks)


_spread = Op(
    "stack_spread",
    _spread_steps,
    kind="control",
    type=lambda s, size: lift(s, size),
    jvp=lambda ts, y, s, size: bind(_spread, ts[0], size=size),
    vjp=lambda wants, g, _y, _s, size: (bind(_sum_lanes, g),),
)
_sum_lanes = Op(
    "stack_sum_lanes",
    lambda s: StackValue([np.sum(x, axis=0) for x in s.items], Array(s.elem.shape[1:], s.elem.dtype)),
    kind="control",
    type=lambda s: Stack(Array(s.elem.shape[1:], s.elem.dtype)),
    jvp=lambda ts, y, s: bind(_sum_lanes, ts[0]),
    vjp=lambda wants, g, _y, _s: (bind(_spread, g, size=_s.elem.shape[0]),),
)
_zeros = Op(
    "stack_zeros",
    _zeros_like,
    kind="control",
    type=lambda s: s,
    batch=lambda size, batched, s: bind(_zeros, s),
)
_masked = Op(
    "stack_masked",
    lambda s, masks: StackValue(s.items, s.elem, masks.items),
    kind="control",
    type=lambda s, masks: Stack(s.elem, True),
    jvp=lambda ts, y, s, masks: None if ts[0] is None else bind(_masked, ts[0], masks),
    vjp=lambda wants, g, _y, _s, masks: (bind(_unmasked, g), None),
)
_unmasked = Op(
    "stack_unmasked",
    lambda s: StackValue(s.items, s.elem),
    kind="control",
    type=lambda s: Stack(s.elem),
    jvp=lambda ts, y, s: bind(_unmasked, ts[0]),
    vjp=lambda wants, g, _y, s: (bind(_masked, g, bind(_masks, s)),),
)


def mask_type(t):
    """The type of a step's mask, of a ragged stack with elements of type t."""
    while type(t) is Stack:  # what an inner loop saved
        t = t.elem
    return Array(t.shape[:1], np.dtype(bool))


_masks = Op(
    "stack_masks",
    lambda s: StackValue(s.masks, mask_type(s.elem)),
    kind="control",
    type=lambda s: Stack(mask_type(s.elem)),
)
_add = Op(
    "stack_add",
    lambda a, b: a + b,
    kind="control",
    type=lambda a, b: a,
    jvp=lambda ts, y, a, b: ts[1] if ts[0] is None else ts[0] if ts[1] is None else bind(_add, ts[0], ts[1]),
    vjp=lambda wants, g, _y, _a, _b: (g, g),
    batch=lambda size, batched, a, b: bind(
        _add, *(x if f else spread_stack(size, x) for x, f in zip((a, b), batched, strict=True))
    ),
)
SPREAD[Stack] = spread_stack
STACKS.append(sum_of)
