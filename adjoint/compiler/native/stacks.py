"""Stacks: what the steps of a loop of unknown length leave for its way back, in growable buffers.

The small values of a step lie side by side, as one record; each large array has a buffer of its own. The address, capacity and
top of a buffer are in the workspace, and stay there between calls. What one run of a loop saved is a range of its buffers:
where an outer loop saves that, its step keeps where the range begins and how long it is. A ragged stack, of lanes that end at
different steps, is several ranges: that of its steps and those of their masks.
"""

import numpy as np

from ...core.types import Array, Stack, StackValue
from ...primitives.stack import mask_type
from ...traces.graph import Const
from .code import supported
from .storage import Mem, Reg, StackRef, is_small, load_reg, store_reg

POLL = 1 << 14  # steps of a loop of unknown length between two looks whether the user wants to stop


def room(t):
    """The bytes of one step's value."""
    if type(t) is Stack:
        return 16 * (1 + len(t.ragged))
    return max(1, t.size) * t.dtype.itemsize


def _alignment(t):
    return 8 if type(t) is Stack else t.dtype.itemsize


class _Buffer:
    """A growable buffer that one loop fills, a record a step: its slot in the workspace, and the bytes of a record."""

    def __init__(self, emitter, size):
        code = emitter.code
        self.slot = emitter.kernel.workspace.slot()
        self.size = size
        self.first = code.emit(f"load i64, ptr {code.at('%ws', self.slot + 16)}")

    def capacity(self, code):
        return code.emit(f"load i64, ptr {code.at('%ws', self.slot + 8)}")

    def begin(self, code):
        """The address of the loop's first record."""
        base = code.emit(f"load ptr, ptr {code.at('%ws', self.slot)}")
        return code.at(base, code.times(self.first, self.size))

    def reserve(self, emitter, count):
        """Have room for so many records of this loop."""
        code = emitter.code
        need = code.times(code.emit(f"add nsw i64 {self.first}, {count}"), self.size)
        with code.when(code.emit(f"icmp sgt i64 {need}, {self.capacity(code)}")):
            emitter.kernel.external("ad.grow", "ptr {}(ptr, i64)")
            old = code.emit(f"load ptr, ptr {code.at('%ws', self.slot)}")
            wanted = code.emit(f"add i64 {code.times(need, 2)}, 4096")
            new = code.emit(f"call ptr @ad.grow(ptr {old}, i64 {wanted})")
            code.fail_if(code.emit(f"icmp eq ptr {new}, null"), 3)
            code.do(f"store ptr {new}, ptr {code.at('%ws', self.slot)}")
            code.do(f"store i64 {wanted}, ptr {code.at('%ws', self.slot + 8)}")

    def close(self, code, count):
        """Note the new top."""
        top = code.emit(f"add nsw i64 {self.first}, {count}")
        code.do(f"store i64 {top}, ptr {code.at('%ws', self.slot + 16)}")


def _lay_out(emitter, types, same):
    """(buffers, for each type (its buffer, its offset in the record), or None where all steps have the same number)."""
    places: list = [None] * len(types)
    together = [k for k, t in enumerate(types) if same[k] is None and (type(t) is Stack or is_small(t))]
    together.sort(key=lambda k: -_alignment(types[k]))  # so that each is aligned
    buffers = []
    if together:
        at = 0
        offsets = {}
        for k in together:
            offsets[k] = at
            at += room(types[k])
        widest = _alignment(types[together[0]])
        buffers.append(_Buffer(emitter, -(-at // widest) * widest))
        for k in together:
            places[k] = (buffers[0], offsets[k])
    for k, t in enumerate(types):
        if places[k] is None and same[k] is None:
            buffers.append(_Buffer(emitter, room(t)))
            places[k] = (buffers[-1], 0)
    return buffers, places


def put_step(emitter, ptr, t, x):
    """Store one step's value."""
    code = emitter.code
    if type(t) is Stack:
        for k, part in enumerate((x, *masks_of(emitter, x, t.ragged).values())):
            code.do(f"store i64 {part.first}, ptr {code.at(ptr, 16 * k)}")
            code.do(f"store i64 {part.count}, ptr {code.at(ptr, 16 * k + 8)}")
        return
    mem = Mem(ptr, t.dtype, t.shape)
    if type(x) is Mem and x.ptr == ptr:
        return
    if is_small(t):
        x = emitter.broadcast(emitter.reg(x), t.shape)
        store_reg(code, Reg(emitter.machine.cast(x.value, t.dtype), t.shape), mem)
    else:
        emitter.copy(mem, x)


def started(emitter, x):
    """The same stack, with the address of its first step: of use as long as nobody pushes into its buffer."""
    if x.same is not None:
        return x
    code = emitter.code
    base = code.emit(f"load ptr, ptr {code.at('%ws', x.slot)}")
    start = code.at(code.at(base, code.times(x.first, x.size)), x.offset)
    return StackRef(x.slot, x.elem, x.first, x.count, x.offset, x.size, start, masks=x.masks)


def get_step(emitter, stack, i):
    """The value of step i, an i64 value, of a stack that is started."""
    code, t = emitter.code, stack.elem
    if stack.same is not None:
        return emitter.constant(np.broadcast_to(np.asarray(stack.same, t.dtype), t.shape))
    ptr = code.at(stack.start, code.times(i, stack.size))
    if type(t) is Stack:
        like = emitter.kernel.inner[stack.slot, stack.offset]
        found = [code.emit(f"load i64, ptr {code.at(ptr, 8 * k)}") for k in range(room(t) // 8)]
        masks = {r: like.masks[r].at(like.masks[r].elem, *found[2 + 2 * k : 4 + 2 * k]) for k, r in enumerate(t.ragged)}
        return like.at(t.elem, *found[:2], masks)
    mem = Mem(ptr, t.dtype, t.shape)
    return load_reg(code, mem) if is_small(t) else mem


def constant_stack(emitter, x):
    """A constant stack: only an empty one can stand in a graph."""
    if not isinstance(x, StackValue) or x.items:
        raise NotImplementedError(f"a constant {type(x).__name__} has no native code")
    return empty(emitter, x.elem)


def empty(emitter, elem):
    """A stack of no steps."""
    return StackRef(emitter.kernel.workspace.slot(), elem, "0", "0", 0, room(elem))


def masks_of(emitter, x, ragged):
    """The masks of a ragged stack: none of a step where it is empty, as is a stack that another branch fills."""
    return {r: x.masks.get(r) or empty(emitter, mask_type(x.elem, r)) for r in ragged}


def numbers(outputs):
    """Of what a body gives each step, the numbers that are known, also those that fill an array: they need no memory."""
    return [_number(v.value, v.type) if type(v) is Const and type(v.type) is Array else None for v in outputs]


def _number(value, t):
    """The number that all entries of a constant are, bit for bit; None if there is none, or no code for it."""
    entries = np.asarray(value)
    if entries.dtype != t.dtype or not supported(t.dtype) or not entries.size:  # as a Python integer beyond 64 bits
        return None
    first = entries.reshape(-1)[0]
    return first if np.broadcast_to(first, entries.shape).tobytes() == entries.tobytes() else None


class Filled:
    """The stacks that a loop fills, one value each a step: of a known count, in any order, unless `Pushed`."""

    def __init__(self, emitter, types, count, same):
        self.emitter = emitter
        self.types = types
        self.same = same
        self.count = count
        code = emitter.code
        self.buffers, self.places = _lay_out(emitter, types, same)
        self.starts = {}
        for b in self.buffers:
            b.reserve(emitter, count)
            b.close(code, count)
            self.starts[b] = b.begin(code)

    def at(self, i):
        """Where the values of step i are to be."""
        code = self.emitter.code
        records = {b: code.at(start, code.times(i, b.size)) for b, start in self.starts.items()}
        return [place and code.at(records[place[0]], place[1]) for place in self.places]

    def put(self, emitter, places, values):
        for place, t, ptr, x in zip(self.places, self.types, places, values):
            if place is None:
                continue
            put_step(emitter, ptr, t, x)
            if type(t) is Stack:
                emitter.kernel.inner[place[0].slot, place[1]] = x.masked(masks_of(emitter, x, t.ragged))

    def results(self):
        return self.refs(self.count)

    def refs(self, count):
        out = []
        for t, place, same in zip(self.types, self.places, self.same):
            if place is None:
                out.append(StackRef(None, t, "0", str(count), 0, 0, same=same))
            else:
                b, offset = place
                out.append(StackRef(b.slot, t, b.first, str(count), offset, b.size))
        return out


class Pushed(Filled):
    """The stacks that a loop fills that does not know how many steps it takes.

    A step asks one thing, whether it is step number `limit`: there the buffers end, or the user may want to stop.
    """

    def __init__(self, emitter, types, same):
        self.emitter = emitter
        self.types = types
        self.same = same
        code = emitter.code
        self.buffers, self.places = _lay_out(emitter, types, same)
        self.steps, self.limit = code.alloca("i64"), code.alloca("i64")
        code.do(f"store i64 0, ptr {self.steps}")
        self.own = {b: code.alloca("ptr") for b in self.buffers}
        self._enter(str(POLL))

    def _enter(self, limit):
        """Note where the buffers begin, and up to which step they have room."""
        code = self.emitter.code
        for b, place in self.own.items():
            code.do(f"store ptr {b.begin(code)}, ptr {place}")
            records = code.emit(f"udiv i64 {b.capacity(code)}, {b.size}")
            left = code.emit(f"sub nsw i64 {records}, {b.first}")
            limit = code.emit(f"select i1 {code.emit(f'icmp slt i64 {left}, {limit}')}, i64 {left}, i64 {limit}")
        code.do(f"store i64 {limit}, ptr {self.limit}")

    def step(self):
        """Begin a step: where its values are to be; the body writes large arrays there at once."""
        code = self.emitter.code
        n = code.emit(f"load i64, ptr {self.steps}")
        after = code.emit(f"add nsw i64 {n}, 1")
        with code.when(code.emit(f"icmp sge i64 {n}, {code.emit(f'load i64, ptr {self.limit}')}")):
            look(self.emitter)
            for b in self.buffers:
                b.reserve(self.emitter, after)
            self._enter(code.emit(f"add nsw i64 {n}, {POLL}"))
        code.do(f"store i64 {after}, ptr {self.steps}")
        self.starts = {b: code.emit(f"load ptr, ptr {place}") for b, place in self.own.items()}
        return self.at(n)

    def targets(self, places):
        return [
            Mem(p, t.dtype, t.shape) if p is not None and type(t) is Array and not is_small(t) else None
            for p, t in zip(places, self.types)
        ]

    def results(self):
        code = self.emitter.code
        count = code.emit(f"load i64, ptr {self.steps}")
        for b in self.buffers:
            b.close(code, count)
        return self.refs(count)


def look(emitter):
    """Stop if the user wants to."""
    code = emitter.code
    emitter.kernel.external("ad.poll", "i32 {}()")
    code.fail_if(code.emit(f"icmp ne i32 {code.emit('call i32 @ad.poll()')}, 0"), 2)
