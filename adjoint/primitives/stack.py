"""Stacks: what a loop of unknown length saves, one value a step. See control.py."""

import numpy as np

from ..core.op import Op, bind
from ..core.types import TYPEOF, Array, Stack


class StackValue:
    """A stack at run time: the values of the steps, and their type. masks: for a batch whose lanes stop at different steps."""

    __slots__ = ("elem", "items", "masks")

    def __init__(self, items, elem, masks=None):
        self.items = items
        self.elem = elem
        self.masks = masks

    def __add__(self, other):
        return StackValue([a + b for a, b in zip(self.items, other.items, strict=True)], self.elem, self.masks)


TYPEOF[StackValue] = lambda s: Stack(s.elem, s.masks is not None)


def zeros_of(stack):
    """A stack of zeros as long as this one."""
    return bind(_zeros, stack)


def masked(stack, masks):
    """A batch of stacks whose lane i has the steps where masks holds."""
    return bind(_masked, stack, masks)


def masks_of(stack):
    """The masks of a ragged stack, as a stack."""
    return bind(_masks, stack)


_zeros = Op(
    "stack_zeros",
    lambda s: StackValue([np.zeros_like(x) for x in s.items], s.elem, s.masks),
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
_masks = Op(
    "stack_masks",
    lambda s: StackValue(s.masks, Array(s.elem.shape[:1], np.dtype(bool))),
    kind="control",
    type=lambda s: Stack(Array(s.elem.shape[:1], np.dtype(bool))),
)
