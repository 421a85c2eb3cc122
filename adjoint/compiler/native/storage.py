"""Where a value lives: Reg (in registers, small arrays whole), Mem (a strided view of memory), Stack; and the workspace.

Knows Code. Sizes and strides are in bytes, offsets inside a workspace too.
"""

import math

import numpy as np

from .code import half_dtype, supported

SMALL = 16  # elements of the largest array that is kept in registers
SMALL_BYTES = 128


def is_small(t):
    """Whether an array of this type is kept in registers."""
    if not t.shape:  # most, and asked for some ten times a line
        return supported(t.dtype)
    return supported(t.dtype) and t.size <= SMALL and t.size * t.dtype.itemsize <= SMALL_BYTES and t.size > 0


class Reg:
    """A small array in one register value, row by row."""

    __slots__ = ("shape", "value")

    def __init__(self, value, shape):
        self.value = value
        self.shape = shape

    @property
    def dtype(self):
        return self.value.dtype


class Mem:
    """A view of memory: address of the first element, dtype, shape, strides."""

    __slots__ = ("dtype", "ptr", "shape", "strides")

    def __init__(self, ptr, dtype, shape, strides=None):
        self.ptr = ptr
        self.dtype = dtype
        self.shape = tuple(shape)
        self.strides = contiguous_strides(dtype, shape) if strides is None else tuple(strides)

    @property
    def size(self):
        return math.prod(self.shape)

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    @property
    def contiguous(self):
        step = self.dtype.itemsize
        for n, s in zip(reversed(self.shape), reversed(self.strides)):
            if n != 1:
                if s != step:
                    return False
                step *= n
        return True


def half(code, mem, which):
    """The view of the real (0) or imaginary (1) parts of complex numbers in memory."""
    dtype = half_dtype(mem.dtype)
    return Mem(code.at(mem.ptr, which * dtype.itemsize), dtype, mem.shape, mem.strides)


class StackRef:
    """The steps that one run of a loop saved: records first .. first + count of a growable buffer.

    slot: offset in the workspace of (address, capacity in bytes, top in records). first, count: i64 values. offset, size: where
    in a record of how many bytes the value is. start: the address of the first step's value, where that has been computed.
    same: the number that all steps have, where that is known: then there is no buffer, and the stack only counts.
    masks: of a ragged stack, others, by their number of axes: of each step, which lanes it is a step of.
    """

    __slots__ = ("count", "elem", "first", "masks", "offset", "same", "size", "slot", "start")

    def __init__(self, slot, elem, first, count, offset, size, start=None, same=None, masks=None):
        self.slot = slot
        self.elem = elem
        self.first = first
        self.count = count
        self.offset = offset
        self.size = size
        self.start = start
        self.same = same
        self.masks = masks or {}

    def at(self, elem, first, count, masks=None):
        """Other steps in the same place."""
        return StackRef(self.slot, elem, first, count, self.offset, self.size, same=self.same, masks=masks)

    def masked(self, masks):
        """The same steps with other masks."""
        return StackRef(self.slot, self.elem, self.first, self.count, self.offset, self.size, self.start, self.same, masks)


def contiguous_strides(dtype, shape):
    out = []
    step = dtype.itemsize
    for n in reversed(shape):
        out.append(step)
        step *= n
    return tuple(reversed(out))


class Workspace:
    """Offsets in the workspace, given out and taken back while the code that uses them is emitted in order."""

    def __init__(self):
        self.size = 0
        self.free: list = []  # (offset, size), by offset
        self.slots: list = []  # growable buffers, to be freed with the workspace

    def take(self, size):
        size = max(64, (size + 63) & ~63)
        best = None
        for i, (_, n) in enumerate(self.free):
            if n >= size and (best is None or n < self.free[best][1]):
                best = i
        if best is not None:
            offset, n = self.free.pop(best)
            if n > size:
                self.give(offset + size, n - size)
            return offset
        if self.free and self.free[-1][0] + self.free[-1][1] == self.size:
            offset, n = self.free.pop()
            self.size = offset + size
            return offset
        offset, self.size = self.size, self.size + size
        return offset

    def give(self, offset, size):
        size = max(64, (size + 63) & ~63)
        at = 0
        while at < len(self.free) and self.free[at][0] < offset:
            at += 1
        self.free.insert(at, (offset, size))
        if at + 1 < len(self.free) and offset + size == self.free[at + 1][0]:
            self.free[at : at + 2] = [(offset, size + self.free[at + 1][1])]
        if at and self.free[at - 1][0] + self.free[at - 1][1] == self.free[at][0]:
            a, b = self.free[at - 1], self.free[at]
            self.free[at - 1 : at + 1] = [(a[0], a[1] + b[1])]

    def slot(self):
        """Room for the address, capacity and top of a growable buffer; never given back."""
        offset, self.size = self.size, self.size + 64
        self.slots.append(offset)
        return offset


def load_reg(code, mem):
    """A small array in memory as a Reg."""
    n = mem.size
    if mem.contiguous or n == 1:
        return Reg(code.load(mem.ptr, mem.dtype, n), mem.shape)
    parts = [code.load(code.at(mem.ptr, offset), mem.dtype) for offset in offsets(mem)]
    return Reg(code.join(parts), mem.shape)


def store_reg(code, reg, mem):
    """Write a small array into memory of the same shape."""
    if mem.contiguous or mem.size == 1:
        code.store(reg.value, mem.ptr)
        return
    for i, offset in enumerate(offsets(mem)):
        code.store(code.lane(reg.value, i), code.at(mem.ptr, offset))


def offsets(mem):
    """The byte offsets of a view's elements, row by row."""
    total = np.zeros((), np.int64)
    for n, s in zip(mem.shape, mem.strides):
        total = total[..., None] + np.arange(n) * s
    return [int(x) for x in total.reshape(-1)]


def aligned(mem, shape):
    """The strides by which a view is read as an array of this shape: broadcast."""
    extra = len(shape) - len(mem.shape)
    return (0,) * extra + tuple(0 if m == 1 and n != 1 else s for m, n, s in zip(mem.shape, shape[extra:], mem.strides))
