"""Pieces: a large loop nest becomes a function of a part of its outermost axis, called for each part by a pool of threads.

How a nest is cut depends on its size alone, not on the number of threads, and reductions over the axis that is cut leave a
partial result a piece, joined in order: so results do not depend on it either. The function gets what the nest reads from
outside (addresses, scalars) through a block of memory, its context.
"""

import math
from typing import NamedTuple

from .storage import Mem

GRAIN = 1 << 18  # operations in a piece, at the least: 20 to 50 us
LEAST, MOST = 8, 64  # pieces; a smaller nest is not cut
UNIT = 64  # a piece of a single axis is a multiple of this many elements
WHOLE = 16  # a piece of as many times so many elements ends with a whole vector
PARTIAL = 1 << 19  # bytes of all partial results together


class Cut(NamedTuple):
    """`number` pieces of `size` steps each of the outermost axis, and `rest` steps, which the caller does."""

    number: int
    size: int
    rest: int


def cut(nest, work):
    """How an arranged nest is cut, or None."""
    n = nest.shape[0]
    grains = math.prod(nest.shape) * max(work, 4) // GRAIN
    if grains < LEAST or n < 2:
        return None
    unit = 1 if len(nest.shape) > 1 else max(UNIT, WHOLE) if nest.shifted else UNIT
    most = min(MOST, int(grains), n)
    # without a rest, if that can be had: else the code of the nest stands there twice
    size = next((n // k for k in range(most, most // 4, -1) if n % (k * unit) == 0), -(-n // (most * unit)) * unit)
    count, rest = divmod(n, size)
    partial = sum(r.target.mem.nbytes for r in nest.reductions if r.axes[0])
    if count < 2 or partial * (count + 1) > PARTIAL or not all(r.target.mem.contiguous for r in nest.reductions):
        return None
    return Cut(count, size, rest)


def emit(nest, how, once, filled, scalars, scratch):
    """Emit the nest cut so. once(): emits the nest as its axes, accesses and reductions then are. filled: the reductions that
    are joined in memory, which is to be set to their identity. scalars: Values from outside."""
    code = nest.code
    n = nest.shape[0]
    partials = {}
    for r in nest.reductions:
        if r.axes[0]:
            m = r.target.mem
            partials[id(r)] = scratch(m.dtype, (how.number + (how.rest > 0), *m.shape))
    places = {id(r.target): partials[id(r)] for r in nest.reductions if id(r) in partials}
    for s in nest.shifted:
        s.ending = type(s.target)(scratch(s.dtype, (how.number, s.reach)), [0], False)
        nest.accesses.append(s.ending)
        places[id(s.ending)] = s.ending.mem
    own = [a.mem for a in nest.accesses]
    memory = [places.get(id(a), a.mem) for a in nest.accesses]
    steps = [places[id(a)].strides[0] if id(a) in places else a.strides[0] * how.size for a in nest.accesses]

    for r in filled:
        nest.fill(r, partials.get(id(r), r.target.mem))

    # the context
    slots = 8 * len(nest.accesses)
    context = code.alloca(f"[{slots + 16 * len(scalars)} x i8]", 16)
    for i, mem in enumerate(memory):
        code.do(f"store ptr {mem.ptr}, ptr {code.at(context, 8 * i)}")
    for i, x in enumerate(scalars):
        code.store(x, code.at(context, slots + 16 * i))

    # the function
    outside = code.entry, code.lines
    code.entry, code.lines = [], []
    names = [x.name for x in scalars]
    nest.shape[0] = how.size
    for i, (a, m, step) in enumerate(zip(nest.accesses, own, steps)):
        ptr = code.emit(f"load ptr, ptr {code.at('%context', 8 * i)}")
        a.mem = Mem(code.at(ptr, code.times("%piece", step)), m.dtype, m.shape, m.strides)
    for i, x in enumerate(scalars):
        x.name = code.load(code.at("%context", slots + 16 * i), x.dtype).name
    once()
    symbol = f"piece.{code.count}"
    head = f"define internal void @{symbol}(ptr %context, i64 %piece) {{"
    text = [head, "entry:", *code.entry, "  br label %start", "start:", *code.lines, "  ret void", "}"]
    code.module.functions[symbol] = "\n".join(text)
    code.entry, code.lines = outside
    for x, name in zip(scalars, names):
        x.name = name

    code.module.declare("ad.parallel", "declare void @ad.parallel(ptr, ptr, i64)")
    code.do(f"call void @ad.parallel(ptr @{symbol}, ptr {context}, i64 {how.number})")
    endings = [s.ending for s in nest.shifted]
    if how.rest:
        for s in nest.shifted:
            s.ending = None
        nest.shape[0] = how.rest
        for a, m, mem, step in zip(nest.accesses, own, memory, steps):
            a.mem = Mem(code.at(mem.ptr, step * how.number), m.dtype, m.shape, m.strides)
        once()
    nest.shape[0] = n
    for a, m in zip(nest.accesses, own):
        a.mem = m
    for r in nest.reductions:
        if id(r) in partials:
            _join(nest, r, partials[id(r)])
    for s, ending in zip(nest.shifted, endings):
        _add_endings(nest, s, ending.mem, how)


def _join(nest, r, partial):
    """Reduce the partial results into the target."""
    joined = type(nest)(nest.code, partial.shape)
    source = joined.access(partial, partial.strides)
    first = [True] + [False] * (len(partial.shape) - 1)
    target = joined.reduction(r.kind, r.dtype, first, r.target.mem, [0, *r.target.mem.strides])
    joined.run(lambda get: get.reduce(target, get.load(source)), r.dtype.itemsize)


def _add_endings(nest, s, endings, how):
    """Add what reaches beyond each piece to where the next one begins; behind the last there is nothing yet."""
    code, target = nest.code, s.target.mem
    step = target.strides[0]
    count = how.number if how.rest else how.number - 1
    over = (count, s.reach)
    joined = type(nest)(code, over)
    source = joined.access(Mem(endings.ptr, endings.dtype, over), endings.strides)
    place = joined.access(Mem(code.at(target.ptr, how.size * step), target.dtype, over), (how.size * step, step), False)
    joined.run(lambda get: get.store(place, joined.machine.add(get.load(place), get.load(source))), s.dtype.itemsize)
    if not how.rest:
        last = code.load(code.at(endings.ptr, count * endings.strides[0]), s.dtype, s.reach)
        code.store(last, code.at(target.ptr, how.number * how.size * step))
