"""Regions: loops and branches with bodies: scan, while_loop, cond. The stacks that a loop of unknown length leaves are in `stacks`.

The state of a loop is in allocas (small arrays, which LLVM turns into registers) or in two buffers of which one is read while
the other is written (large arrays); a body that only writes into its state's own memory needs no second one.
"""


import numpy as np

from ...core.types import Array, Stack, Tuple
from ...primitives.stack import mask_type, spread_step, sum_of, sum_step, zeros_of
from ...traces.capture import capture
from ...traces.graph import Const
from .code import supported
from .stacks import POLL, Filled, Pushed, get_step, look, masks_of, numbers, put_step, room, started
from .storage import Mem, Reg, StackRef, is_small, load_reg, store_reg
from .table import direct


class Cell:
    """A state that changes: where it is kept between steps. Small arrays and stacks in allocas, large arrays in buffers."""

    def __init__(self, emitter, t, keep=True, spare=True):
        self.emitter = emitter
        self.type = t
        self.keep = keep  # how long its buffers are needed
        code = emitter.code
        if type(t) is Stack:
            self.first, self.count = code.alloca("i64"), code.alloca("i64")
            self.like = None  # a stack in the same buffer
            self.masks = {r: Cell(emitter, Stack(mask_type(t.elem, r))) for r in t.ragged}
        elif type(t) is Tuple:
            self.parts = [Cell(emitter, e, keep and True, spare) for e in t.elems]
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
            mem = emitter.scratch(t.dtype, t.shape, self.keep)
            emitter.copy(mem, x)
            code.do(f"store ptr {mem.ptr}, ptr {self.here}")
            if self.there:
                spare = emitter.scratch(t.dtype, t.shape, self.keep)
                code.do(f"store ptr {spare.ptr}, ptr {self.there}")

    def put(self, x):
        """Set a small one."""
        emitter, code = self.emitter, self.emitter.code
        if type(self.type) is Stack:
            self.like = x
            code.do(f"store i64 {x.first}, ptr {self.first}")
            code.do(f"store i64 {x.count}, ptr {self.count}")
            for r, part in masks_of(emitter, x, self.masks).items():
                self.masks[r].put(part)
        else:
            x = emitter.broadcast(emitter.reg(x), self.type.shape)
            store_reg(code, Reg(emitter.machine.cast(x.value, self.type.dtype), self.type.shape), self.mem)

    def get(self):
        """Its present value."""
        emitter, code, t = self.emitter, self.emitter.code, self.type
        if type(t) is Stack:
            first, count = (code.emit(f"load i64, ptr {p}") for p in (self.first, self.count))
            return self.like.at(t.elem, first, count, {r: part.get() for r, part in self.masks.items()})
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


def body_of(emitter, graph, inputs, targets=None, mutable=(), again=True):
    """Emit a body, of a loop if it is done again; its results. The stacks that it fills and does not return are empty again after it."""
    kernel, code = emitter.kernel, emitter.code
    before = len(kernel.workspace.slots)
    place = len(code.lines)
    inner = emitter.within(graph, inputs, targets, mutable, again)
    outs = inner.run()
    fresh = kernel.workspace.slots[before:]
    escaped = set()
    left = [x for x in outs if type(x) is StackRef]
    while left:
        x = left.pop()
        escaped.add(x.slot)
        left += [y for y in (*x.masks.values(), kernel.inner.get((x.slot, x.offset))) if y is not None]
    passing = [slot for slot in fresh if slot not in escaped]
    if passing:
        saved = []
        tail = code.lines[place:]
        del code.lines[place:]
        for slot in passing:
            saved.append(code.emit(f"load i64, ptr {code.at('%ws', slot + 16)}"))
        code.lines += tail
    return inner, outs, [(slot, top) for slot, top in zip(passing, saved)] if passing else []


def saved(types):
    """What a loop keeps of each step for the way back, in words."""
    if not types:
        return ""
    return f"; each step saves {sum(map(room, types))} bytes ({', '.join(map(str, types))})"


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
    cells = _cells(emitter, line, body, state)
    pushed = Pushed(emitter, [v.type for v in body.outputs[n:]], numbers(body.outputs[n:]))
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
    now = [cell.get() for cell in cells]
    targets = [cell.target() for cell in cells]
    places = pushed.step()
    inner, outs, tops = body_of(emitter, body, [*now, *constants], [*targets, *pushed.targets(places)], body.inputs[:n])
    pushed.put(inner, places, outs[n:])
    advance(inner, cells, now, targets, outs[:n])
    inner.release()
    restore(emitter, tops)
    code.jump(head)
    code.label(end)
    emitter.kernel.note(f"while loop: state {_types(body, n)}{saved([t for t, place in zip(pushed.types, pushed.places) if place])}")
    return [*(cell.get() for cell in cells), *pushed.results()]


def _cells(emitter, line, body, state):
    cells = []
    for k, (v, x) in enumerate(zip(body.inputs, state)):
        cell = Cell(emitter, v.type, emitter.holder(line, k))
        cell.begin(x)
        cells.append(cell)
    return cells


def _poll(emitter, i):
    """Look once in POLL steps of a loop whether the user wants to stop."""
    code = emitter.code
    part = code.emit(f"and i64 {i}, {POLL - 1}")
    with code.when(code.emit(f"icmp eq i64 {part}, {POLL - 1}")):
        look(emitter)


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
    cells = _cells(emitter, line, body, carry)
    more = [v.type for v in body.outputs[n:]]
    xs = [started(emitter, x) if type(x) is StackRef else emitter.mem(x) for x in xs]
    # results: arrays of known length, or stacks; of a scan over a stack they are read backwards or forwards alike
    outs_type = line.out.type.elems[n:]
    arrays = [
        emitter.scratch(t.dtype, t.shape, emitter.holder(line, n + k)) if type(t) is Array else None for k, t in enumerate(outs_type)
    ]
    stacks = [k for k, a in enumerate(arrays) if a is None]
    filled = Filled(emitter, [more[k] for k in stacks], count, numbers(body.outputs[n + k] for k in stacks)) if stacks else None
    with code.loop(0, count, 1, down=reverse) as i:
        if stacked or length > POLL:
            _poll(emitter, i)
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
        if filled is not None:
            filled.put(inner, filled.at(i), [outs[n + k] for k in stacks])
        advance(inner, cells, now, targets, outs[:n])
        inner.release()
        restore(emitter, tops)
    emitter.kernel.note(f"scan of {'the steps saved' if stacked else length}: state {_types(body, n)}")
    rest = iter(filled.results() if filled else ())
    return [*(cell.get() for cell in cells), *(next(rest) if a is None else a for a in arrays)]


def _step(emitter, x, i, t):
    """Step i of what a scan reads."""
    if type(x) is StackRef:
        return get_step(emitter, x, i)
    code = emitter.code
    part = Mem(code.at(x.ptr, code.times(i, x.strides[0])), x.dtype, x.shape[1:], x.strides[1:])
    return load_reg(code, part) if is_small(t) else part


# cond


@direct("cond")
def cond(emitter, line):
    code = emitter.code
    true, false = line.params["true"], line.params["false"]
    args = [emitter.read(a) for a in line.args[1:]]
    test = emitter.machine.truth(emitter.scalar(line.args[0]))
    types = line.out.type.elems
    cells = []
    for k, t in enumerate(types):
        cell = Cell(emitter, t, spare=False)
        if type(t) is Array and not is_small(t):
            mem = emitter.scratch(t.dtype, t.shape, emitter.holder(line, k))
            code.do(f"store ptr {mem.ptr}, ptr {cell.here}")
            cell.fixed = mem
        cells.append(cell)
    yes, no, end = code.block("true"), code.block("false"), code.block("join")
    code.branch(test.name, yes, no)
    likes: list = [None] * len(cells)
    for label, graph in ((yes, true), (no, false)):
        code.label(label)
        targets = [cell.fixed if hasattr(cell, "fixed") else None for cell in cells]
        inner, outs, tops = body_of(emitter, graph, args, targets, again=False)
        for k, (cell, x, target) in enumerate(zip(cells, outs, targets)):
            if type(cell.type) is Stack:
                likes[k] = _filled(graph.outputs[k], x, likes[k])
                cell.put(x)
            elif target is None:
                cell.put(x)
            elif not (type(x) is Mem and x.ptr == target.ptr):
                inner.copy(target, x)
        inner.release()
        restore(emitter, tops)
        code.jump(end)
    code.label(end)
    for cell, like in zip(cells, likes):
        if type(cell.type) is Stack:
            cell.like = like
            for r, part in masks_of(emitter, like, cell.masks).items():
                cell.masks[r].like = part
    emitter.kernel.note(f"branch: {len(true.lines)} lines or {len(false.lines)}")
    return [cell.get() for cell in cells]


def _filled(v, x, before):
    """Of a stack that one branch fills and the other leaves empty, the one that is filled."""
    return x if type(v) is not Const or before is None else before


# Stacks as values


@direct("stack_masked")
def stack_masked(emitter, line):
    """The steps of one stack, with another one as their masks: nothing is moved."""
    s, masks = (emitter.read(v) for v in line.args)
    return s.masked({**masks.masks, **s.masks, line.params["rank"]: masks.masked({})})


@direct("stack_unmasked")
def stack_unmasked(emitter, line):
    s = emitter.read(line.args[0])
    return s.masked({r: m for r, m in s.masks.items() if r != line.params["rank"]})


@direct("stack_masks")
def stack_masks(emitter, line):
    s, rank = emitter.read(line.args[0]), line.params["rank"]
    masks = masks_of(emitter, s, line.args[0].type.ragged)
    return masks[rank].masked({r: m for r, m in masks.items() if r < rank})


@direct("stack_zeros")
def stack_zeros(emitter, line):
    """A stack of zeros as long as another."""
    s = emitter.read(line.args[0])
    t = s.elem
    if type(t) is Stack:
        return _each_step(emitter, zeros_of, t, s)
    return _each_step(emitter, lambda _: np.zeros(t.shape, t.dtype), t, s)


@direct("stack_add")
def stack_add(emitter, line):
    """Two stacks of as many steps, added step by step."""
    a, b = (emitter.read(v) for v in line.args)
    t, code = a.elem, emitter.code
    if type(t) is Stack:
        return _each_step(emitter, sum_of, t, a, b)
    if not supported(t.dtype):
        raise NotImplementedError(f"sums of stacks of {t} have no native code")
    a, b = started(emitter, a), started(emitter, b)
    filled = Filled(emitter, [t], a.count, [None])
    with code.loop(0, a.count) as i:
        x, y = get_step(emitter, a, i), get_step(emitter, b, i)
        if is_small(t):
            z = Reg(emitter.machine.add(x.value, emitter.machine.cast(y.value, t.dtype)), t.shape)
            filled.put(emitter, filled.at(i), [z])
        else:
            (place,) = filled.at(i)
            filled.put(emitter, [place], [x])
            emitter.accumulate(Mem(place, t.dtype, t.shape), y)
    return filled.results()[0].masked(a.masks)


@direct("stack_spread")
def stack_spread(emitter, line):
    """A stack whose steps are repeated along a new axis, and those of its masks that have the axes around it."""
    s, size, axis = emitter.read(line.args[0]), line.params["size"], line.params["axis"]

    def wide(x):
        return spread_step(x, size, axis)

    masks = {r: m for r, m in s.masks.items() if r <= axis}
    for r, m in s.masks.items():
        if r > axis:
            masks[r + 1] = _each_step(emitter, wide, mask_type(line.out.type.elem, r + 1), m)
    return _each_step(emitter, wide, line.out.type.elem, s).masked(masks)


@direct("stack_sum_lanes")
def stack_sum_lanes(emitter, line):
    s, axis = emitter.read(line.args[0]), line.params["axis"]
    return _each_step(emitter, lambda x: sum_step(x, axis), line.out.type.elem, s).masked({})


def _each_step(emitter, f, t, *stacks):
    """The stack of f(step, ...), of type t, for each step of stacks of one length; the masks of the first."""
    graph = capture(f, *(s.elem for s in stacks), name="step")
    filled = Filled(emitter, [t], stacks[0].count, numbers(graph.outputs))
    if not filled.buffers:
        return filled.results()[0].masked(stacks[0].masks)
    stacks = [started(emitter, s) for s in stacks]
    with emitter.code.loop(0, stacks[0].count) as i:
        inner, outs, tops = body_of(emitter, graph, [get_step(emitter, s, i) for s in stacks])
        filled.put(inner, filled.at(i), outs)
        inner.release()
        restore(emitter, tops)
    return filled.results()[0].masked(stacks[0].masks)


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
