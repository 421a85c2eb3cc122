"""Indices: reading and writing parts of arrays: slices, computed places, scatter, writes in place.

A scalar index that is computed (`a[i]` in a loop) only moves an address. Every computed index is checked before memory is
touched: out of bounds, the kernel ends with the IndexError that NumPy raises.
"""

import itertools

import numpy as np

from ...primitives.index import AT, _expand, layout
from ...traces.graph import Var
from .code import INT, Value, supported
from .direct import all_small, among_zeros, on_diagonal, part, rearranged
from .nest import WIDTH_BYTES, Nest
from .storage import Mem, Reg, aligned
from .table import direct


def out_of_bounds(emitter, line):
    at = f" ({line.where})" if line.where else ""
    shape = line.args[0].type.shape if line.op.name != "scatter" else line.params["shape"]
    return emitter.kernel.module.error(IndexError(f"an index is out of bounds for an array of shape {tuple(shape)}{at}"))


def wrapped(machine, i, n):
    """(index with negative ones counted from the end and wrong ones made 0, whether it was wrong)."""
    i = machine.cast(i, INT)
    zero, size = machine.of(0, i), machine.of(n, i)
    negative = machine.test("icmp slt", i, zero)
    i = machine.select(negative, machine.add(i, size), i)
    bad = machine.test("icmp uge", i, size)
    return machine.select(bad, zero, i), bad


def numbers(arrays):
    """Whether all index arrays are single numbers: the index moves an address and no more."""
    return all(a.type.shape == () for a in arrays)


def moved(emitter, mem, index, arrays, line):
    """The view mem[index] where the index arrays are scalars."""
    code, machine = emitter.code, emitter.machine
    static = tuple(0 if i is AT else i for i in index) if type(index) is tuple else index
    rest = iter(arrays)
    offset = None
    axis = 0
    for i in _expand(index, len(mem.shape)):
        if i is AT:
            a = emitter.scalar(next(rest))
            place, bad = wrapped(machine, a, mem.shape[axis])
            code.fail_if(bad.name, out_of_bounds(emitter, line))
            step = code.times(place.name, mem.strides[axis])
            offset = step if offset is None else code.emit(f"add nsw i64 {offset}, {step}")
        if i is not None and i is not Ellipsis:
            axis += 1
    view = part(emitter, mem, static)
    return view if offset is None else Mem(code.at(view.ptr, offset), view.dtype, view.shape, view.strides)


def unpacked(line, mem, arrays, view=None):
    """How an index with arrays walks memory: (result shape, offset of the first element as a static view, strides an axis of
    the result with 0 where the arrays decide, for each array its (stride, length))."""
    index = line.params["index"]
    ranks = [len(a.type.shape) for a in arrays]
    entries = _expand(index, len(mem.shape))
    first, count = layout(index, ranks, len(mem.shape))
    plain: list = []
    places: list = []
    offset = axis = 0
    for i in entries:
        if i is None:
            plain.append((1, 0))
        elif i is not Ellipsis:
            n, s = mem.shape[axis], mem.strides[axis]
            if type(i) is slice:
                r = range(*i.indices(n))
                plain.append((len(r), r.step * s))
                offset += r.start * s if len(r) else 0
            elif type(i) is int:
                offset += (i % n if n else 0) * s
            else:
                places.append((s, n))
            axis += 1
    fancy = np.broadcast_shapes(*(a.type.shape for a in arrays))
    fancy = (1,) * (count - len(fancy)) + fancy
    shape = (*(n for n, _ in plain[:first]), *fancy, *(n for n, _ in plain[first:]))
    strides = (*(s for _, s in plain[:first]), *(0,) * count, *(s for _, s in plain[first:]))
    return shape, offset, strides, places, (first, count)


def placed(mem, first, count, rank):
    """An index array's memory with the axes of the result that it has, behind and before them axes of length 1."""
    before = first + count - len(mem.shape)
    after = rank - first - count
    shape = (*(1,) * before, *mem.shape, *(1,) * after)
    return Mem(mem.ptr, mem.dtype, shape, (*(0,) * before, *mem.strides, *(0,) * after))


def gather(emitter, line, nest, inside):
    """x[index] inside a fused loop: a function (get, known values, flag) -> vector. inside: what this loop computes."""
    code, machine = emitter.code, emitter.machine
    mem = emitter.mem(line.args[0])
    arrays = line.args[1:]
    shape, offset, strides, places, (first, count) = unpacked(line, mem, arrays)
    kept = [i for i, n in enumerate(shape) if n != 1]
    access = nest.access(Mem(code.at(mem.ptr, offset), mem.dtype, (), ()), [strides[i] for i in kept])
    access.reads = False  # its address is computed: it is not loaded ahead
    sources: list = []
    for a in arrays:
        if type(a) is Var and id(a) in inside:
            sources.append(None)
        elif a.type.shape == ():
            sources.append(emitter.scalar(a))
        else:
            m = placed(emitter.mem(a), first, count, len(shape))
            walked = aligned(m, shape)
            sources.append(nest.access(m, [walked[i] for i in kept]))

    def load(get, known, flag):
        total = None
        for a, source, (stride, n) in zip(arrays, sources, places):
            i = known[id(a)] if source is None else code.splat(source, get.width) if type(source) is Value else get.load(source)
            i, bad = wrapped(machine, i, n)
            bad = get.alive(bad)  # what stands in the lanes behind the last element is no index
            wrong = code.emit(f"call i1 @{_any(code, bad)}({bad})") if bad.width > 1 else bad.name
            old = code.emit(f"load i1, ptr {flag}")
            wrong = code.emit(f"or i1 {old}, {wrong}")
            code.do(f"store i1 {wrong}, ptr {flag}")
            part = machine.multiply(i, machine.of(stride, i))
            total = part if total is None else machine.add(total, part)
        return get.gather(access, total)

    return load


def _any(code, bad):
    return code.intrinsic("vector.reduce.or", bad.type, f"i1 @{{}}({bad.type})")


@direct("getitem")
def getitem(emitter, line):
    x, *arrays = line.args
    index = line.params["index"]
    if not arrays:
        if all_small(line) and type(emitter.read(x)) is not Mem:
            return rearranged(emitter, line)
        return part(emitter, emitter.mem(x), index)
    if numbers(arrays):
        return moved(emitter, emitter.mem(x), index, arrays, line)
    if line.out.type.size == 0:
        return emitter.buffer(line.out)
    if not supported(x.type.dtype):
        return None
    # few elements: one after the other
    target = emitter.buffer(line.out)
    mem = emitter.mem(x)

    def each(code, source, place):
        code.store(code.load(source, mem.dtype), place)

    walk(emitter, line, mem, arrays, target, each)
    return target


def walk(emitter, line, mem, arrays, other, each):
    """each(code, address in mem, address in other) for the elements of mem[index] in NumPy's order; other has its shape."""
    code, machine = emitter.code, emitter.machine
    shape, offset, strides, places, (first, count) = unpacked(line, mem, arrays)
    index_mems = []
    for a in arrays:
        m = placed(emitter.mem(a), first, count, len(shape))
        index_mems.append(Mem(m.ptr, m.dtype, shape, aligned(m, shape)))
    other_strides = aligned(other, shape)
    base = code.at(mem.ptr, offset)

    def level(k, src, dst, positions):
        if k == len(shape):
            here = src
            for p, m, (stride, n) in zip(positions, index_mems, places):
                i, bad = wrapped(machine, code.load(p, m.dtype), n)
                code.fail_if(bad.name, out_of_bounds(emitter, line))
                here = code.at(here, code.times(i.name, stride))
            each(code, here, dst)
            return
        with code.loop(0, shape[k]) as i:
            level(k + 1, code.at(src, code.times(i, strides[k])), code.at(dst, code.times(i, other_strides[k])),
                  [code.at(p, code.times(i, m.strides[k])) for p, m in zip(positions, index_mems)])  # fmt: skip

    level(0, base, other.ptr, [m.ptr for m in index_mems])


# Writing


def _write(emitter, line, target, v, arrays, add):
    """target[index] = v, or += v."""
    code, machine = emitter.code, emitter.machine
    index = line.params["index"]
    if numbers(arrays):
        place = moved(emitter, target, index, arrays, line) if arrays else part(emitter, target, index)
        if place.size == 1 and supported(target.dtype) and v.type.size == 1:
            x = machine.cast(emitter.scalar(v), target.dtype)
            code.store(machine.add(code.load(place.ptr, place.dtype), x) if add else x, place.ptr)
        elif add:
            emitter.accumulate(place, emitter.read(v))
        else:
            emitter.copy(place, emitter.read(v))
        return
    source = emitter.mem(v)

    def each(code, place, value):
        x = machine.cast(code.load(value, source.dtype), target.dtype)
        code.store(machine.add(code.load(place, target.dtype), x) if add else x, place)

    walk(emitter, line, target, arrays, source, each)


def _started(emitter, line):
    """The memory of a write's result, holding the first argument: that itself where nobody reads it any more."""
    x, out = line.args[0], line.out
    if id(out) in emitter.plan.in_place:
        return emitter.mem(x)
    mem = emitter.buffer(out)
    emitter.copy(mem, emitter.read(x))
    return mem


@direct("index_set", "index_add")
def index_write(emitter, line):
    _, v, *arrays = line.args
    t = line.out.type
    if not supported(t.dtype):
        return None
    target = _started(emitter, line)
    if v.type.size and t.size:
        _write(emitter, line, target, v, arrays, line.op.name == "index_add")
    return target


@direct("scatter")
def scatter(emitter, line):
    v, *arrays = line.args
    t = line.out.type
    if not supported(t.dtype):
        return None
    if not arrays and all_small(line):
        return among_zeros(emitter, emitter.reg(v), lambda x: line.op.eval(x, **line.params))
    target = emitter.buffer(line.out)
    emitter.fill(target, emitter.code.constant(0, t.dtype, 1))
    if v.type.size and t.size:
        _write(emitter, line, target, v, arrays, bool(arrays) and not numbers(arrays))
    return target




# Sums of scatters


@direct("scatter_sum")
def scatter_sum(emitter, line):
    """The box where all is regular is one vector loop; the frame around it is done element by element."""
    t = line.out.type
    if not supported(t.dtype):
        return None
    if all_small(line):
        return _small_sum(emitter, line)
    whole = tuple((0, n) for n in t.shape)
    boxes = [whole if box is None else box for box in line.params["boxes"]]
    core = []  # on each axis the longest stretch on which the terms that reach into it are the same
    for axis, n in enumerate(t.shape):
        edges = sorted({0, n, *(e for box in boxes for e in box[axis])})
        core.append(max(itertools.pairwise(edges), key=lambda e: e[1] - e[0]) if len(edges) > 1 else (0, n))
    target = emitter.buffer(line.out)
    terms = [(_boxed(emitter.mem(a), box), box) for a, box in zip(line.args, boxes)]
    here = []
    for mem, box in terms:
        if all(lo <= a and b <= hi for (a, b), (lo, hi) in zip(core, box)):
            here.append(part(emitter, mem, tuple(slice(a - lo, b - lo) for (a, b), (lo, _) in zip(core, box))))
    _sum_into(emitter, part(emitter, target, tuple(slice(*e) for e in core)), here)
    for axis, (lo, hi) in enumerate(core):
        for stretch in ((0, lo), (hi, t.shape[axis])):
            if stretch[0] < stretch[1]:
                _frame(emitter, target, terms, (*core[:axis], stretch, *whole[axis + 1 :]))
    return target


def _small_sum(emitter, line):
    """The same in registers."""
    machine, t = emitter.machine, line.out.type
    total = None
    for a, box in zip(line.args, line.params["boxes"]):
        x = emitter.reg(a)
        if box is not None:
            place = tuple(slice(*e) for e in box)

            def put(i, place=place):
                y = np.zeros(t.shape, int)
                y[place] = i.reshape(y[place].shape)
                return y

            x = among_zeros(emitter, x, put)
        x = machine.cast(x.value, t.dtype)
        total = x if total is None else machine.add(total, x)
    return Reg(total, t.shape)


@direct("diagonal_add")
def diagonal_add(emitter, line):
    """The matrix is changed where it stands, if nobody else reads it."""
    v = line.args[1]
    if not supported(line.out.type.dtype):
        return None
    target = _started(emitter, line)
    emitter.accumulate(on_diagonal(emitter, target, line.params["offset"], v.type.shape[0]), emitter.read(v))
    return target


def _frame(emitter, target, terms, slab):
    """The sum at each element of a slab, of the terms whose box it is in. What is outside reads a zero instead."""
    code, machine = emitter.code, emitter.machine
    terms = [(m, box) for m, box in terms if all(a < hi and lo < b for (a, b), (lo, hi) in zip(slab, box))]
    zero = emitter.local(target.dtype, ())
    code.store(code.constant(0, target.dtype, 1), zero.ptr)

    def element(place):
        total = code.constant(0, target.dtype, 1)
        for m, box in terms:
            inside, offset = None, 0
            for i, (a, b), (lo, hi), stride in zip(place, slab, box, m.strides):
                tests = ([f"icmp sge i64 {i}, {lo}"] if a < lo else []) + ([f"icmp slt i64 {i}, {hi}"] if b > hi else [])
                for test in map(code.emit, tests):
                    inside = test if inside is None else code.emit(f"and i1 {inside}, {test}")
                step = code.times(code.emit(f"sub nsw i64 {i}, {lo}"), stride)
                offset = step if offset == 0 else code.emit(f"add nsw i64 {offset}, {step}")
            ptr = code.at(m.ptr, offset)
            if inside is not None:
                ptr = code.emit(f"select i1 {inside}, ptr {ptr}, ptr {zero.ptr}")
            total = machine.add(total, machine.cast(code.load(ptr, m.dtype), target.dtype))
        out = target.ptr
        for i, stride in zip(place, target.strides):
            out = code.at(out, code.times(i, stride))
        code.store(total, out)

    def level(place):
        if len(place) == len(slab):
            element(place)
            return
        with code.loop(*slab[len(place)]) as i:
            level([*place, i])

    level([])


def _boxed(mem, box):
    """A term with the axes of the result: those that an integer took away stand again, with length 1."""
    shape = tuple(b - a for a, b in box)
    if mem.shape == shape:
        return mem
    if 0 in shape:
        return Mem(mem.ptr, mem.dtype, shape)
    kept = iter(zip([n for n in mem.shape if n != 1], [s for n, s in zip(mem.shape, mem.strides) if n != 1]))
    strides = tuple(next(kept)[1] if n != 1 else 0 for n in shape)
    return Mem(mem.ptr, mem.dtype, shape, strides)


def _sum_into(emitter, place, terms):
    machine = emitter.machine
    if not terms:
        emitter.fill(place, emitter.code.constant(0, place.dtype, 1))
        return
    nest = Nest(emitter.code, place.shape)
    sources = [nest.access(m, m.strides) for m in terms]
    out = nest.access(place, place.strides, False)

    def body(get):
        total = None
        for a in sources:
            x = machine.cast(get.load(a), place.dtype)
            total = x if total is None else machine.add(total, x)
        get.store(out, total)

    # to put vectors together of elements that are apart costs as much as to do these one by one, and is a page of code a term
    apart = [m for m in terms if min((abs(s) for s, n in zip(m.strides, m.shape) if n > 1 and s), default=0) > m.dtype.itemsize]
    nest.run(body, WIDTH_BYTES if len(apart) > max(3, len(terms) // 2) else place.dtype.itemsize)
