"""Regions: loops and branches with bodies: scan, while_loop, cond; and the stacks that a loop of unknown length leaves.

The state of a loop is in allocas (small arrays, which LLVM turns into registers) or in two buffers of which one is read while
the other is written (large arrays); a body that only writes into its state's own memory needs no second one.

A Stack is a growable buffer: its address, capacity and top are in the workspace, and stay there between calls. What an inner
loop saved is a range of its buffer; the outer loop's step saves where that range begins and how long it is.
"""

from ...core.types import Array, Stack, StackValue, Tuple
from ...traces.graph import Const
from .code import supported
from .emit import Emitter, direct
from .storage import Mem, Reg, StackRef, is_small, load_reg, store_reg

POLL = 1 << 14  # steps of a loop of unknown length between two looks whether the user wants to stop


class Cell:
    """A state that changes: where it is kept between steps. Small arrays and stacks in allocas, large arrays in buffers."""

    def __init__(self, emitter, t, spare=True):
        self.emitter = emitter
        self.type = t
        code = emitter.code
        if type(t) is Stack:
            self.first, self.count = code.alloca("i64"), code.alloca("i64")
            self.slot = None
        elif type(t) is Tuple:
            self.parts = [Cell(emitter, e, spare) for e in t.elems]
        elif is_small(t):
            self.mem = emitter.local(t.dtype, t.shape)
        else:
            self.here = code.alloca("ptr")
            self.there = code.alloca("ptr") if spare else None

    def begin(self, x):
        """Set it to a value before the loop."""
        emitter, code, t = self.emitter, self.emitter.code, self.type
        if type(t) is Stack:
            self.put(x)
        elif type(t) is Tuple:
            for part, e in zip(self.parts, x):
                part.begin(e)
        elif is_small(t):
            self.put(x)
        else:
            mem = emitter.scratch(t.dtype, t.shape, keep=True)
            emitter.copy(mem, x)
            code.do(f"store ptr {mem.ptr}, ptr {self.here}")
            if self.there:
                spare = emitter.scratch(t.dtype, t.shape, keep=True)
                code.do(f"store ptr {spare.ptr}, ptr {self.there}")

    def put(self, x):
        """Set a small one."""
        emitter, code = self.emitter, self.emitter.code
        if type(self.type) is Stack:
            self.slot = x.slot
            code.do(f"store i64 {x.first}, ptr {self.first}")
            code.do(f"store i64 {x.count}, ptr {self.count}")
        else:
            x = emitter.broadcast(emitter.reg(x), self.type.shape)
            store_reg(code, Reg(emitter.machine.cast(x.value, self.type.dtype), self.type.shape), self.mem)

    def get(self):
        """Its present value."""
        emitter, code, t = self.emitter, self.emitter.code, self.type
        if type(t) is Stack:
            first, count = (code.emit(f"load i64, ptr {p}") for p in (self.first, self.count))
            return StackRef(self.slot, t.elem, first, count)
        if type(t) is Tuple:
            return [part.get() for part in self.parts]
        if is_small(t):
            return load_reg(code, self.mem)
        return Mem(emitter.code.emit(f"load ptr, ptr {self.here}"), t.dtype, t.shape)

    def target(self):
        """Where the next value may be written, or None."""
        t = self.type
        if type(t) is not Array or is_small(t):
            return None
        return Mem(self.emitter.code.emit(f"load ptr, ptr {self.there}"), t.dtype, t.shape)

    def swap(self, here, there):
        code = self.emitter.code
        code.do(f"store ptr {there.ptr}, ptr {self.here}")
        code.do(f"store ptr {here.ptr}, ptr {self.there}")


def advance(emitter, cells, olds, targets, news):
    """Make a step's results the state: copies first, then swaps, since a result may be another one's old memory."""
    swaps = []
    small = []
    for cell, old, target, new in zip(cells, olds, targets, news):
        if type(cell.type) is Tuple:
            advance(emitter, cell.parts, old, [None] * len(old), new)
        elif target is None:
            small.append((cell, new if type(new) is StackRef else emitter.reg(new)))
        elif type(new) is Mem and new.ptr == old.ptr and new.contiguous:
            pass  # written in place
        else:
            if not (type(new) is Mem and new.ptr == target.ptr):
                emitter.copy(target, new)
            swaps.append((cell, old, target))
    for cell, new in small:
        cell.put(new)
    for cell, old, target in swaps:
        cell.swap(old, target)


# Stacks


def _bytes(t):
    """The room of one step."""
    if type(t) is Stack:
        return 16
    return max(1, t.size) * t.dtype.itemsize


def stack_top(emitter, slot):
    return emitter.code.emit(f"load i64, ptr {emitter.code.at('%ws', slot + 16)}")


def grown(emitter, slot, old, need):
    """A larger buffer with the same contents: (its address, its capacity), noted in the workspace at once."""
    code = emitter.code
    emitter.kernel.external("ad.grow", "ptr {}(ptr, i64)")
    wanted = code.emit(f"add i64 {code.times(need, 2)}, 4096")
    new = code.emit(f"call ptr @ad.grow(ptr {old}, i64 {wanted})")
    code.fail_if(code.emit(f"icmp eq ptr {new}, null"), 3)
    code.do(f"store ptr {new}, ptr {code.at('%ws', slot)}")
    code.do(f"store i64 {wanted}, ptr {code.at('%ws', slot + 8)}")
    return new, wanted


def put_step(emitter, ptr, t, x):
    """Store one step's value."""
    code = emitter.code
    if type(t) is Stack:
        code.do(f"store i64 {x.first}, ptr {ptr}")
        code.do(f"store i64 {x.count}, ptr {code.at(ptr, 8)}")
        return
    mem = Mem(ptr, t.dtype, t.shape)
    if type(x) is Mem and x.ptr == ptr:
        return
    if is_small(t):
        x = emitter.broadcast(emitter.reg(x), t.shape)
        store_reg(code, Reg(emitter.machine.cast(x.value, t.dtype), t.shape), mem)
    else:
        emitter.copy(mem, x)


def get_step(emitter, stack, i, inner=None):
    """The value of step i, an i64 value, of a stack."""
    code, t = emitter.code, stack.elem
    base = code.emit(f"load ptr, ptr {code.at('%ws', stack.slot)}")
    place = code.emit(f"add nsw i64 {stack.first}, {i}")
    ptr = code.at(base, code.times(place, _bytes(t)))
    if type(t) is Stack:
        first, count = code.emit(f"load i64, ptr {ptr}"), code.emit(f"load i64, ptr {code.at(ptr, 8)}")
        return StackRef(emitter.kernel.inner[stack.slot], t.elem, first, count)
    mem = Mem(ptr, t.dtype, t.shape)
    return load_reg(code, mem) if is_small(t) else mem


def constant_stack(emitter, x):
    """A constant stack: only an empty one can stand in a graph."""
    if not isinstance(x, StackValue) or x.items:
        raise NotImplementedError(f"a constant {type(x).__name__} has no native code")
    return StackRef(emitter.kernel.workspace.slot(), x.elem, "0", "0")


class Pushed:
    """The stacks that a loop fills: one a further output of its body.

    Address, capacity and top are in allocas while the loop runs (it alone pushes here), and in the workspace afterwards.
    """

    def __init__(self, emitter, types):
        self.emitter = emitter
        self.types = types
        code = emitter.code
        self.slots = [emitter.kernel.workspace.slot() for _ in types]
        self.count = code.alloca("i64")
        code.do(f"store i64 0, ptr {self.count}")
        self.own = []  # allocas of address, capacity, top
        self.firsts = []
        for slot in self.slots:
            places = (code.alloca("ptr"), code.alloca("i64"), code.alloca("i64"))
            for k, (place, kind) in enumerate(zip(places, ("ptr", "i64", "i64"))):
                x = code.emit(f"load {kind}, ptr {code.at('%ws', slot + 8 * k)}")
                code.do(f"store {kind} {x}, ptr {place}")
            self.firsts.append(x)
            self.own.append(places)

    def places(self):
        """For each large array the memory of this step's value, so that the body writes there."""
        code = self.emitter.code
        out = []
        for slot, own, t in zip(self.slots, self.own, self.types):
            address, capacity, top = own
            size = _bytes(t)
            n = code.emit(f"load i64, ptr {top}")
            need = code.times(code.emit(f"add nsw i64 {n}, 1"), size)
            room = code.emit(f"load i64, ptr {capacity}")
            full = code.emit(f"icmp sgt i64 {need}, {room}")
            with code.when(full):
                old = code.emit(f"load ptr, ptr {address}")
                new, wanted = grown(self.emitter, slot, old, need)
                code.do(f"store ptr {new}, ptr {address}")
                code.do(f"store i64 {wanted}, ptr {capacity}")
            base = code.emit(f"load ptr, ptr {address}")
            ptr = code.at(base, code.times(n, size))
            code.do(f"store i64 {code.emit(f'add nsw i64 {n}, 1')}, ptr {top}")
            out.append(ptr)
        n = code.emit(f"load i64, ptr {self.count}")
        code.do(f"store i64 {code.emit(f'add nsw i64 {n}, 1')}, ptr {self.count}")
        return out

    def targets(self, places):
        return [
            Mem(p, t.dtype, t.shape) if type(t) is Array and not is_small(t) else None
            for p, t in zip(places, self.types)
        ]

    def push(self, emitter, places, values):
        for slot, t, ptr, x in zip(self.slots, self.types, places, values):
            put_step(emitter, ptr, t, x)
            if type(t) is Stack:
                emitter.kernel.inner[slot] = x.slot

    def results(self):
        code = self.emitter.code
        for slot, (_, _, top) in zip(self.slots, self.own):
            code.do(f"store i64 {code.emit(f'load i64, ptr {top}')}, ptr {code.at('%ws', slot + 16)}")
        count = code.emit(f"load i64, ptr {self.count}")
        return [StackRef(slot, t, first, count) for slot, t, first in zip(self.slots, self.types, self.firsts)]


def body_of(emitter, graph, inputs, targets=None, mutable=()):
    """Emit a body; its results. The stacks that it fills and does not return are empty again after it."""
    kernel, code = emitter.kernel, emitter.code
    before = len(kernel.workspace.slots)
    place = len(code.lines)
    inner = Emitter(kernel, graph, inputs, targets, mutable)
    outs = inner.run()
    fresh = kernel.workspace.slots[before:]
    escaped = set()
    for x in outs:
        while type(x) is StackRef and x.slot not in escaped:
            escaped.add(x.slot)
            x = StackRef(kernel.inner[x.slot], None, None, None) if x.slot in kernel.inner else None
    passing = [slot for slot in fresh if slot not in escaped]
    if passing:
        saved = []
        tail = code.lines[place:]
        del code.lines[place:]
        for slot in passing:
            saved.append(stack_top(emitter, slot))
        code.lines += tail
    return inner, outs, [(slot, top) for slot, top in zip(passing, saved)] if passing else []


def saved(types):
    """What a loop keeps of each step for the way back, in words."""
    if not types:
        return ""
    return f"; each step saves {sum(map(_bytes, types))} bytes ({', '.join(map(str, types))})"


def restore(emitter, tops):
    for slot, top in tops:
        emitter.code.do(f"store i64 {top}, ptr {emitter.code.at('%ws', slot + 16)}")


# while_loop


@direct("while_loop")
def while_loop(emitter, line):
    cond, body, n = (line.params[k] for k in ("cond", "body", "n"))
    code = emitter.code
    c = len(cond.inputs) - n
    state = [emitter.read(a) for a in line.args[:n]]
    cond_constants = [emitter.read(a) for a in line.args[n : n + c]]
    constants = [emitter.read(a) for a in line.args[n + c :]]
    cells = _cells(emitter, body, state, n)
    pushed = Pushed(emitter, [v.type for v in body.outputs[n:]])
    poll = code.alloca("i64")
    code.do(f"store i64 {POLL}, ptr {poll}")
    head, inside, end = code.block("while"), code.block("do"), code.block("done")
    code.jump(head)
    code.label(head)
    now = [cell.get() for cell in cells]
    test_emitter, (test,), tops = body_of(emitter, cond, [*now, *cond_constants])
    go_on = emitter.machine.truth(emitter.reg(test).value)
    restore(emitter, tops)
    test_emitter.release()
    code.branch(go_on.name, inside, end)
    code.label(inside)
    _poll(emitter, poll)
    now = [cell.get() for cell in cells]
    targets = [cell.target() for cell in cells]
    places = pushed.places()
    inner, outs, tops = body_of(emitter, body, [*now, *constants], [*targets, *pushed.targets(places)], body.inputs[:n])
    pushed.push(inner, places, outs[n:])
    advance(inner, cells, now, targets, outs[:n])
    inner.release()
    restore(emitter, tops)
    code.jump(head)
    code.label(end)
    emitter.kernel.note(f"while loop: state {_types(body, n)}{saved(pushed.types)}")
    return [*(cell.get() for cell in cells), *pushed.results()]


def _cells(emitter, body, state, n):
    cells = []
    for v, x in zip(body.inputs[:n], state):
        cell = Cell(emitter, v.type)
        cell.begin(x)
        cells.append(cell)
    return cells


def _poll(emitter, counter):
    code = emitter.code
    emitter.kernel.external("ad.poll", "i32 {}()")
    left = code.emit(f"load i64, ptr {counter}")
    left = code.emit(f"sub nsw i64 {left}, 1")
    code.do(f"store i64 {left}, ptr {counter}")
    with code.when(code.emit(f"icmp eq i64 {left}, 0")):
        code.do(f"store i64 {POLL}, ptr {counter}")
        code.fail_if(code.emit(f"icmp ne i32 {code.emit('call i32 @ad.poll()')}, 0"), 2)


def _types(body, n):
    return "(" + ", ".join(str(v.type) for v in body.inputs[:n]) + ")"


# scan


@direct("scan")
def scan(emitter, line):
    body, n, m, reverse, length = (line.params[k] for k in ("body", "n", "m", "reverse", "length"))
    code = emitter.code
    carry = [emitter.read(a) for a in line.args[:n]]
    xs = [emitter.read(a) for a in line.args[n : n + m]]
    constants = [emitter.read(a) for a in line.args[n + m :]]
    stacked = length is None
    count = xs[0].count if stacked else length
    cells = _cells(emitter, body, carry, n)
    more = [v.type for v in body.outputs[n:]]
    xs = [x if type(x) is StackRef else emitter.mem(x) for x in xs]
    # results: arrays of known length, or stacks; of a scan over a stack they are read backwards or forwards alike
    outs_type = line.out.type.elems[n:]
    arrays = [emitter.scratch(t.dtype, t.shape, keep=True) if type(t) is Array else None for t in outs_type]
    stacks = [k for k, a in enumerate(arrays) if a is None]
    pushed = _Placed(emitter, [more[k] for k in stacks], count) if stacks else None
    poll = code.alloca("i64")
    code.do(f"store i64 {POLL}, ptr {poll}")
    with code.loop(0, count, 1, down=reverse) as i:
        if stacked or length > POLL:
            _poll(emitter, poll)
        now = [cell.get() for cell in cells]
        step_xs = [_step(emitter, x, i, v.type) for x, v in zip(xs, body.inputs[n : n + m])]
        targets = [cell.target() for cell in cells]
        places = []
        for k, t in enumerate(more):
            a = arrays[k]
            if a is not None and not is_small(t):
                places.append(Mem(code.at(a.ptr, code.times(i, a.strides[0])), t.dtype, t.shape))
            else:
                places.append(None)
        inner, outs, tops = body_of(emitter, body, [*now, *step_xs, *constants], [*targets, *places], body.inputs[:n])
        for k, (t, x) in enumerate(zip(more, outs[n:])):
            a = arrays[k]
            if a is not None:
                put_step(inner, places[k].ptr if places[k] else code.at(a.ptr, code.times(i, a.strides[0])), t, x)
        if pushed is not None:
            pushed.put(inner, i, [outs[n + k] for k in stacks])
        advance(inner, cells, now, targets, outs[:n])
        inner.release()
        restore(emitter, tops)
    emitter.kernel.note(f"scan of {'the steps saved' if stacked else length}: state {_types(body, n)}")
    rest = iter(pushed.results() if pushed else ())
    return [*(cell.get() for cell in cells), *(next(rest) if a is None else a for a in arrays)]


def _step(emitter, x, i, t):
    """Step i of what a scan reads."""
    if type(x) is StackRef:
        return get_step(emitter, x, i)
    code = emitter.code
    part = Mem(code.at(x.ptr, code.times(i, x.strides[0])), x.dtype, x.shape[1:], x.strides[1:])
    return load_reg(code, part) if is_small(t) else part


class _Placed:
    """Stacks of a known count: filled in any order."""

    def __init__(self, emitter, types, count):
        self.emitter = emitter
        self.types = types
        self.count = count
        code = emitter.code
        self.slots = [emitter.kernel.workspace.slot() for _ in types]
        self.firsts = []
        for slot, t in zip(self.slots, types):
            top = stack_top(emitter, slot)
            self.firsts.append(top)
            after = code.emit(f"add nsw i64 {top}, {count}")
            need = code.times(after, _bytes(t))
            capacity = code.emit(f"load i64, ptr {code.at('%ws', slot + 8)}")
            full = code.emit(f"icmp sgt i64 {need}, {capacity}")
            with code.when(full):
                grown(emitter, slot, code.emit(f"load ptr, ptr {code.at('%ws', slot)}"), need)
            code.do(f"store i64 {after}, ptr {code.at('%ws', slot + 16)}")

    def put(self, emitter, i, values):
        code = emitter.code
        for slot, t, first, x in zip(self.slots, self.types, self.firsts, values):
            base = code.emit(f"load ptr, ptr {code.at('%ws', slot)}")
            place = code.emit(f"add nsw i64 {first}, {i}")
            put_step(emitter, code.at(base, code.times(place, _bytes(t))), t, x)
            if type(t) is Stack:
                emitter.kernel.inner[slot] = x.slot

    def results(self):
        return [StackRef(s, t, f, str(self.count)) for s, t, f in zip(self.slots, self.types, self.firsts)]


# cond


@direct("cond")
def cond(emitter, line):
    code = emitter.code
    true, false = line.params["true"], line.params["false"]
    args = [emitter.read(a) for a in line.args[1:]]
    test = emitter.machine.truth(emitter.scalar(line.args[0]))
    types = line.out.type.elems
    cells = []
    for t in types:
        cell = Cell(emitter, t, spare=False)
        if type(t) is Array and not is_small(t):
            mem = emitter.scratch(t.dtype, t.shape, keep=True)
            code.do(f"store ptr {mem.ptr}, ptr {cell.here}")
            cell.fixed = mem
        cells.append(cell)
    yes, no, end = code.block("true"), code.block("false"), code.block("join")
    code.branch(test.name, yes, no)
    slots: list = [None] * len(cells)
    for label, graph in ((yes, true), (no, false)):
        code.label(label)
        targets = [cell.fixed if hasattr(cell, "fixed") else None for cell in cells]
        inner, outs, tops = body_of(emitter, graph, args, targets)
        for k, (cell, x, target) in enumerate(zip(cells, outs, targets)):
            if type(cell.type) is Stack:
                slots[k] = _filled(graph.outputs[k], x, slots[k])
                cell.put(x)
            elif target is None:
                cell.put(x)
            elif not (type(x) is Mem and x.ptr == target.ptr):
                inner.copy(target, x)
        inner.release()
        restore(emitter, tops)
        code.jump(end)
    code.label(end)
    for cell, slot in zip(cells, slots):
        if type(cell.type) is Stack:
            cell.slot = slot
    emitter.kernel.note(f"branch: {len(true.lines)} lines or {len(false.lines)}")
    return [cell.get() for cell in cells]


def _filled(v, x, slot):
    """The buffer of a stack that one branch fills and the other leaves empty."""
    return slot if type(v) is Const and slot is not None else x.slot if type(v) is not Const or slot is None else slot


# Stacks as values


@direct("stack_zeros")
def stack_zeros(emitter, line):
    """A stack of zeros as long as another."""
    s = emitter.read(line.args[0])
    code = emitter.code
    if type(s.elem) is Stack:
        raise NotImplementedError("zeros of a stack of stacks have no native code")
    placed = _Placed(emitter, [s.elem], s.count)
    t = s.elem
    with code.loop(0, s.count) as i:
        zero = Reg(code.constant(0, t.dtype, 1), t.shape)
        if is_small(t):
            zero = emitter.broadcast(Reg(zero.value, ()), t.shape)
        placed.put(emitter, i, [zero])
    return placed.results()[0]


@direct("stack_add")
def stack_add(emitter, line):
    """Two stacks of as many steps, added step by step."""
    a, b = (emitter.read(v) for v in line.args)
    t, code = a.elem, emitter.code
    if type(t) is not Array or not supported(t.dtype):
        raise NotImplementedError("sums of stacks of stacks have no native code")
    placed = _Placed(emitter, [t], a.count)
    with code.loop(0, a.count) as i:
        x, y = get_step(emitter, a, i), get_step(emitter, b, i)
        if is_small(t):
            z = Reg(emitter.machine.add(x.value, emitter.machine.cast(y.value, t.dtype)), t.shape)
            placed.put(emitter, i, [z])
        else:
            placed.put(emitter, i, [x])
            emitter.accumulate(get_step(emitter, placed.results()[0], i), y)
    return placed.results()[0]


# Effects


@direct("check", "show")
def effect(emitter, line):
    """A check or a print: Python is called where its first argument says so, and only then."""
    for a in line.args:
        emitter.read(a)  # constants are made here, not inside the branch
    when = emitter.machine.truth(emitter.scalar(line.args[0]))
    with emitter.code.when(when.name):
        emitter.call_back(line)
    return Reg(emitter.code.constant(False, line.out.type.dtype, 1), ())
