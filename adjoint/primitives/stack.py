"""Stacks: what a loop of unknown length saves, one value a step. See control.py."""

import numpy as np

from ..core.op import Op, bind
from ..core.tuples import SPREAD
from ..core.types import Array, Stack, StackValue, typeof
from ..traces.reverse import STACKS


def zeros_of(stack):
    """A stack of zeros as long as this one."""
    return bind(_zeros, stack)


def sum_of(a, b):
    """Two stacks of as many steps, added step by step."""
    return bind(_add, a, b)


def masked(stack, masks, rank=1):
    """A batch of stacks whose lane i has the steps where masks holds. rank: the masks' number of axes, of which batches within are."""
    return bind(_masked, stack, masks, rank=rank)


def masks_of(stack, rank=1):
    """The masks of a ragged stack, as a stack."""
    return bind(_masks, stack, rank=rank)


def spread_stack(size, stack, axis=0):
    """A stack whose steps are repeated along a new axis, in front of axis number `axis`."""
    return bind(_spread, stack, size=size, axis=axis)


def spread_step(x, size, axis):
    """One step's value, repeated along a new axis: an array, or what an inner loop saved."""
    t = typeof(x)
    if type(t) is Stack:
        return spread_stack(size, x, axis)
    return np.broadcast_to(np.expand_dims(x, axis), (*t.shape[:axis], size, *t.shape[axis:]))


def mask_type(t, rank):
    """The type of a step's mask, of a ragged stack with elements of type t."""
    while type(t) is Stack:  # what an inner loop saved
        t = t.elem
    return Array(t.shape[:rank], np.dtype(bool))


def _zeros_like(x):
    return StackValue([_zeros_like(e) for e in x.items], x.elem, x.masks) if type(x) is StackValue else np.zeros_like(x)


def _widened(t, size, axis):
    """The type of a step, or of a stack, that is repeated along a new axis; masks that have the axes around it get it too."""
    if type(t) is Stack:
        return Stack(_widened(t.elem, size, axis), tuple(r + (r > axis) for r in t.ragged))
    return Array((*t.shape[:axis], size, *t.shape[axis:]), t.dtype)


def _spread_steps(s, size, axis):
    masks = {
        r + 1 if r > axis else r: [spread_step(m, size, axis) for m in ms] if r > axis else ms
        for r, ms in s.masks.items()
    }
    return StackValue([spread_step(x, size, axis) for x in s.items], _widened(s.elem, size, axis), masks)


def _size(t, axis):
    while type(t) is Stack:
        t = t.elem
    return t.shape[axis]


def _summed(t, axis):
    if type(t) is Stack:
        return Stack(_summed(t.elem, axis))
    return Array((*t.shape[:axis], *t.shape[axis + 1 :]), t.dtype)


def sum_step(x, axis):
    """One step's value, summed over an axis."""
    return bind(_sum_lanes, x, axis=axis) if type(typeof(x)) is Stack else np.sum(x, axis=axis)


def _without(ragged, rank):
    return {r: m for r, m in ragged.items() if r != rank}


_spread = Op(
    "stack_spread",
    _spread_steps,
    kind="control",
    type=_widened,
    jvp=lambda ts, y, s, size, axis: spread_stack(size, ts[0], axis),
    vjp=lambda wants, g, _y, _s, size, axis: (bind(_sum_lanes, g, axis=axis),),
    batch=lambda size_, batched, s, size, axis: spread_stack(size, s, axis + 1),
)
_sum_lanes = Op(
    "stack_sum_lanes",  # the transpose of the one above: masks say nothing of cotangents, whose loop has the masks of its own
    lambda s, axis: StackValue([sum_step(x, axis) for x in s.items], _summed(s.elem, axis)),
    kind="control",
    type=_summed,
    jvp=lambda ts, y, s, axis: bind(_sum_lanes, ts[0], axis=axis),
    vjp=lambda wants, g, _y, _s, axis: (spread_stack(_size(typeof(_s), axis), g, axis),),
    batch=lambda size, batched, s, axis: bind(_sum_lanes, s, axis=axis + 1),
)
_zeros = Op(
    "stack_zeros",
    _zeros_like,
    kind="control",
    type=lambda s: s,
    batch=lambda size, batched, s: bind(_zeros, s),
)


def _both(size, batched, a, b):
    """Two stacks of one batch, of which at least one is batched."""
    return [x if f else spread_stack(size, x) for x, f in zip((a, b), batched, strict=True)]


_masked = Op(
    "stack_masked",
    lambda s, masks, rank: StackValue(s.items, s.elem, {**masks.masks, **s.masks, rank: masks.items}),
    kind="control",
    type=lambda s, masks, rank: Stack(s.elem, tuple(sorted({*masks.ragged, *s.ragged, rank}))),
    jvp=lambda ts, y, s, masks, rank: None if ts[0] is None else masked(ts[0], masks, rank),
    vjp=lambda wants, g, _y, _s, masks, rank: (bind(_unmasked, g, rank=rank), None),
    batch=lambda size, batched, s, masks, rank: bind(_masked, *_both(size, batched, s, masks), rank=rank + 1),
)
_unmasked = Op(
    "stack_unmasked",
    lambda s, rank: StackValue(s.items, s.elem, _without(s.masks, rank)),
    kind="control",
    type=lambda s, rank: Stack(s.elem, tuple(r for r in s.ragged if r != rank)),
    jvp=lambda ts, y, s, rank: bind(_unmasked, ts[0], rank=rank),
    vjp=lambda wants, g, _y, s, rank: (masked(g, masks_of(s, rank), rank) if rank in typeof(s).ragged else g,),
    batch=lambda size, batched, s, rank: bind(_unmasked, s, rank=rank + 1),
)
_masks = Op(
    "stack_masks",
    lambda s, rank: StackValue(s.masks[rank], mask_type(s.elem, rank), {r: m for r, m in s.masks.items() if r < rank}),
    kind="control",
    type=lambda s, rank: Stack(mask_type(s.elem, rank), tuple(r for r in s.ragged if r < rank)),
    batch=lambda size, batched, s, rank: masks_of(s, rank + 1),
)
_add = Op(
    "stack_add",
    lambda a, b: a + b,
    kind="control",
    type=lambda a, b: a,
    jvp=lambda ts, y, a, b: ts[1] if ts[0] is None else ts[0] if ts[1] is None else bind(_add, ts[0], ts[1]),
    vjp=lambda wants, g, _y, _a, _b: (g, g),
    batch=lambda size, batched, a, b: bind(_add, *_both(size, batched, a, b)),
)
SPREAD[Stack] = spread_stack
STACKS.append(sum_of)
