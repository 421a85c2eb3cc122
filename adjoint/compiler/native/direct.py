"""Direct: what shapes, joins, tuples and running sums do, outside fused loops. Views cost nothing; small arrays are shuffled.
"""

import functools
import math

import numpy as np

from ...core.types import Array
from .code import register, supported
from .nest import WIDTH_BYTES, Nest
from .plan import REDUCTIONS
from .step import Reduction
from .storage import Mem, Reg, aligned, half, is_small
from .table import direct

FEW = 4  # arrays that are put between each other, from which on one loop does it for all


def dummy(mem):
    """An array with a view's shape and strides, whose memory must not be read: to ask NumPy what an index does."""
    return _dummy(mem.dtype, tuple(mem.shape), tuple(mem.strides))


@functools.lru_cache(256)  # as_strided takes longer than the question, and of one array there are many
def _dummy(dtype, shape, strides):
    return np.lib.stride_tricks.as_strided(np.zeros(1, dtype), shape, strides)


def address(a):
    return a.__array_interface__["data"][0]


def seen(emitter, mem, f):
    """The view f(array) of a view."""
    a = dummy(mem)
    b = f(a)
    return Mem(emitter.code.at(mem.ptr, address(b) - address(a) if b.size else 0), mem.dtype, b.shape, b.strides)


def part(emitter, mem, index):
    """The view mem[index] of integers, slices, None and Ellipsis."""
    index = index if type(index) is tuple else (index,)
    if not any(i is Ellipsis for i in index):
        index = (*index, ...)  # so that NumPy gives a view of a single element too
    return seen(emitter, mem, lambda a: a[index])


def rearranged(emitter, line):
    """A small array whose elements NumPy's function rearranges."""
    xs = [emitter.reg(a) for a in line.args]
    places, start = [], 0
    for x in xs:
        places.append(np.arange(start, start + x.value.width).reshape(x.shape))
        start += x.value.width
    out = line.out.type
    order = np.asarray(line.op.eval(*places, **line.params)).reshape(-1).tolist()
    values = [emitter.machine.cast(x.value, out.dtype) for x in xs]
    return Reg(emitter.code.shuffle(emitter.code.join(values), order), out.shape)


def all_small(line):
    return is_small(line.out.type) and all(is_small(a.type) for a in line.args)


# Views


@direct("transpose")
def transpose(emitter, line):
    if all_small(line):
        return rearranged(emitter, line)
    return seen(emitter, emitter.mem(line.args[0]), lambda a: np.transpose(a, line.params["axes"]))


@direct("flip")
def flip(emitter, line):
    if all_small(line):
        return rearranged(emitter, line)
    return seen(emitter, emitter.mem(line.args[0]), lambda a: np.flip(a, line.params["axes"]))


@direct("broadcast_to")
def broadcast_to(emitter, line):
    if all_small(line):
        return rearranged(emitter, line)
    return seen(emitter, emitter.mem(line.args[0]), lambda a: np.broadcast_to(a, line.params["shape"]))


@direct("reshape")
def reshape(emitter, line):
    x = emitter.read(line.args[0])
    shape = line.out.type.shape
    if type(x) is Reg:
        return Reg(x.value, shape)
    if x.contiguous or x.size == 0:
        return Mem(x.ptr, x.dtype, shape)
    try:
        return seen(emitter, x, lambda a: np.reshape(a, shape, copy=False))
    except (ValueError, TypeError):  # it needs a copy (TypeError: NumPy 2.0 has no copy=)
        fresh = emitter.scratch(x.dtype, x.shape, keep=True)
        emitter.copy(fresh, x)
        return Mem(fresh.ptr, x.dtype, shape)


@direct("real", "imag")
def part_of(emitter, line):
    """The parts of complex numbers, as they lie in memory."""
    x = emitter.mem(line.args[0])
    return half(emitter.code, x, line.op.name == "imag") if x.dtype.kind == "c" else x


@direct("paired")
def paired(emitter, line):
    """Complex numbers from their parts, where they are few."""
    out = line.out.type
    mem = emitter.buffer(line.out)
    if out.size:
        x, y = (emitter.broadcast(emitter.reg(a), out.shape).value for a in line.args)
        value = emitter.machine.apply("paired", out.dtype, [x, y], {})
        emitter.code.store(value, mem.ptr)
    return mem


@direct("astype", "copy", "positive", "conjugate", "stop_gradient")
def same(emitter, line):
    """What the loops do not do: large arrays of the same dtype, empty ones, dtypes that are not in registers."""
    x = emitter.mem(line.args[0])
    t = line.out.type
    if t.dtype != x.dtype or (line.op.name == "conjugate" and t.dtype.kind == "c"):
        return None
    fresh = emitter.buffer(line.out)
    emitter.copy(fresh, x)
    return fresh


# Tuples


@direct("pack")
def pack(emitter, line):
    return [emitter.read(a) for a in line.args]


@direct("item")
def item(emitter, line):
    x = emitter.read(line.args[0])[line.params["index"]]
    if type(line.out.type) is Array and is_small(line.out.type) and type(x) is Mem:
        return emitter.reg(x)
    return x


# Reductions of small arrays


@direct(*REDUCTIONS)
def reduction(emitter, line):
    """A reduction in registers: the elements that belong together are joined pairwise."""
    t, out = line.args[0].type, line.out.type
    if not is_small(t) or not supported(out.dtype):
        return _empty(emitter, line) if t.size == 0 else None
    code, machine = emitter.code, emitter.machine
    kind = REDUCTIONS[line.op.name]
    x = emitter.reg(line.args[0]).value
    x = machine.truth(x) if kind.startswith("logical") else machine.cast(x, out.dtype)
    axes = line.params.get("axes")
    n = len(t.shape)
    axes = tuple(range(n)) if axes is None else tuple(a % n for a in axes)
    kept = [i for i in range(n) if i not in axes]
    places = np.transpose(np.arange(t.size).reshape(t.shape), (*kept, *axes)).reshape(out.size, -1)
    r = Reduction(kind, out.dtype, [], None)
    parts = [code.shuffle(x, column.tolist()) for column in places.T]
    if out.size == 1 and len(parts) > 3:  # one result: fold the vector in half, again and again
        total = code.shuffle(x, places[0].tolist())
        rest = None
        while total.width > 1:
            if total.width % 2:
                last = code.lane(total, total.width - 1)
                rest = last if rest is None else r.join(machine, rest, last)
                total = code.shuffle(total, range(total.width - 1))
            half = total.width // 2
            total = r.join(machine, code.shuffle(total, range(half)), code.shuffle(total, range(half, total.width)))
        return Reg(r.from_zero(machine, code, total if rest is None else r.join(machine, total, rest)), out.shape)
    while len(parts) > 1:
        parts = [r.join(machine, a, b) for a, b in zip(parts[::2], parts[1::2])] + parts[len(parts) & ~1 :]
    return Reg(r.from_zero(machine, code, parts[0]), out.shape)


def _empty(emitter, line):
    kind = REDUCTIONS[line.op.name]
    if kind in ("maximum", "minimum") or not supported(line.out.type.dtype):
        return None
    x = emitter.code.constant(0 if kind == "add" else kind != "logical_or", line.out.type.dtype, 1)
    if is_small(line.out.type):
        return emitter.broadcast(Reg(x, ()), line.out.type.shape)
    mem = emitter.buffer(line.out)
    emitter.fill(mem, x)
    return mem


# Joining


@direct("concatenate", "stack", "pad", "roll")
def joined(emitter, line):
    if all_small(line):
        if line.op.name == "pad":
            return _small_pad(emitter, line)
        return rearranged(emitter, line)
    out_mem = emitter.buffer(line.out)
    if line.op.name == "pad":
        emitter.fill_any(out_mem)
    apart: list = []  # what is put between others: (where, what), element by element, in one loop
    for source, place, index in pieces_of(line):
        if id(source) in emitter.placed and emitter.plan.joins[id(source)][0] is line:
            continue  # it has been written there
        target = part(emitter, out_mem, place)
        x = emitter.read(source)
        if index is not None:
            x = part(emitter, emitter.mem(x), index)
        if line.op.name == "stack" and line.params["axis"] == -1 and type(x) is Mem and x.dtype == target.dtype and supported(x.dtype):
            apart.append((target, x))
        else:
            emitter.copy(target, x)
    if len(apart) < FEW:
        for target, x in apart:
            emitter.copy(target, x)
    else:
        nest = Nest(emitter.code, apart[0][0].shape)
        ways = [(nest.access(t, t.strides, False), nest.access(x, aligned(x, t.shape))) for t, x in apart]

        def body(get):
            for t, x in ways:
                get.store(t, get.load(x))

        nest.run(body, WIDTH_BYTES)
    return out_mem


def _small_pad(emitter, line):
    return among_zeros(emitter, emitter.reg(line.args[0]), lambda x: np.pad(x, line.params["width"]))


def among_zeros(emitter, x, f):
    """A small array put among zeros, as f puts an array of integers."""
    zero = emitter.code.constant(0, x.dtype, 1)
    order = f(np.arange(1, x.value.width + 1).reshape(x.shape))
    return Reg(emitter.code.shuffle(emitter.code.join([zero, x.value]), order.reshape(-1).tolist()), order.shape)


def pieces_of(line):
    """(argument, where it goes in the result, which part of it) of ops that put arrays side by side."""
    name, params = line.op.name, line.params
    n = len(line.out.type.shape)
    if name == "pad":
        x = line.args[0].type.shape
        yield line.args[0], tuple(slice(b, b + m) for (b, _), m in zip(params["width"], x)), None
    elif name == "roll":
        shape = line.out.type.shape
        cuts: list = [((), ())]
        shifts = {a % n: 0 for a in params["axes"]}
        for s, a in zip(params["shift"], params["axes"]):
            shifts[a % n] += s
        for i, m in enumerate(shape):
            s = shifts.get(i, 0) % m if m else 0
            halves = [(slice(0, s), slice(m - s, m)), (slice(s, m), slice(0, m - s))] if s else [(slice(None), slice(None))]
            cuts = [((*p, a), (*q, b)) for p, q in cuts for a, b in halves]
        for place, index in cuts:
            yield line.args[0], place, index
    else:
        axis = params["axis"] + n
        start = 0
        for a in line.args:
            before = (slice(None),) * axis
            if name == "stack":
                yield a, (*before, start), None
                start += 1
            else:
                m = a.type.shape[axis]
                yield a, (*before, slice(start, start + m)), None
                start += m


@direct("diagonal")
def diagonal(emitter, line):
    x = emitter.mem(line.args[0])
    if is_small(line.args[0].type) and is_small(line.out.type):
        return rearranged(emitter, line)
    try:
        view = seen(emitter, x, lambda a: line.op.eval(a, **line.params))
    except Exception:  # not a view in this form
        return None
    fresh = emitter.buffer(line.out)
    emitter.copy(fresh, view)
    return fresh


# Along one axis


def lines(mem, axis):
    """(view with the axis last, the axis' length)."""
    axis %= len(mem.shape)
    order = [*(i for i in range(len(mem.shape)) if i != axis), axis]
    return Mem(mem.ptr, mem.dtype, [mem.shape[i] for i in order], [mem.strides[i] for i in order])


def each_line(emitter, mems, lead, f):
    """f of the addresses of each place of the leading axes."""
    code = emitter.code

    def level(k, ptrs):
        if k == len(lead):
            f(ptrs)
            return
        with code.loop(0, lead[k]) as i:
            level(k + 1, [code.at(p, code.times(i, m.strides[k])) for p, m in zip(ptrs, mems)])

    level(0, [m.ptr for m in mems])


# Running sums and products

# Lines of at least LONG contiguous numbers are walked one by one, others side by side, and so are few: additions of one line
# wait for each other
LONG, FEW = 64, 8


@direct("cumsum", "cumprod")
def cumulative(emitter, line):
    t, out = line.args[0].type, line.out.type
    if not supported(t.dtype) or not supported(out.dtype) or out.size == 0 or len(line.args) != 1:
        return None
    axis = line.params.get("axis")
    if axis is None or (len(line.params) > 1 and line.params.get("reverse")):
        return None
    code, machine = emitter.code, emitter.machine
    x = emitter.mem(line.args[0])
    y = emitter.buffer(line.out)
    axis %= len(out.shape)
    n = out.shape[axis]
    rest = tuple(m for i, m in enumerate(out.shape) if i != axis)

    def without(mem, shift):
        strides = tuple(s for i, s in enumerate(mem.strides) if i != axis)
        return Mem(code.at(mem.ptr, code.times(shift, mem.strides[axis])), mem.dtype, rest, strides)

    op = machine.add if line.op.name == "cumsum" else machine.multiply
    neighbours = all(abs(m.strides[axis]) == m.dtype.itemsize for m in (x, y))
    if math.prod(rest) == 1 or (neighbours and n >= LONG and math.prod(rest) > FEW):
        total = code.alloca(register(out.dtype, 1))
        zero = -0.0 if out.dtype.kind == "f" else 0
        start = code.constant(zero if line.op.name == "cumsum" else 1, out.dtype, 1)
        a, b = lines(x, axis), lines(y, axis)

        def each(ptrs):
            code.store_register(start, total)
            with code.loop(0, n) as i:
                p, q = (code.at(ptr, code.times(i, m.strides[-1])) for ptr, m in zip(ptrs, (a, b)))
                s = op(code.load_register(total, out.dtype, 1), machine.cast(code.load(p, x.dtype), out.dtype))
                code.store_register(s, total)
                code.store(s, q)

        each_line(emitter, [a, b], rest, each)
        return y
    emitter.copy(without(y, 0), without(x, 0))
    with code.loop(1, n) as i:
        before = code.emit(f"sub nsw i64 {i}, 1")
        nest = Nest(code, rest)
        a, b, c = without(y, before), without(x, i), without(y, i)
        a, b, c = nest.access(a, a.strides), nest.access(b, b.strides), nest.access(c, c.strides, False)
        nest.run(
            lambda get: get.store(c, op(get.load(a), machine.cast(get.load(b), out.dtype))), max(x.dtype.itemsize, out.dtype.itemsize)
        )
    return y


@direct("diagonal_matrix", "banded")
def banded(emitter, line):
    """Zeros with some diagonals."""
    out = line.out.type
    offsets = line.params["offsets"] if line.op.name == "banded" else (line.params["offset"],)
    if len(out.shape) != 2 or not supported(out.dtype) or out.size == 0:
        return None
    mem = emitter.buffer(line.out)
    emitter.fill_any(mem)
    for v, k in zip(line.args, offsets):
        emitter.copy(on_diagonal(emitter, mem, k, v.type.shape[0]), emitter.read(v))
    return mem


def on_diagonal(emitter, mem, k, n):
    """The view of the n entries of a matrix that stand on its k-th diagonal."""
    start = max(k, 0) * mem.strides[1] + max(-k, 0) * mem.strides[0]
    return Mem(emitter.code.at(mem.ptr, start), mem.dtype, (n,), (sum(mem.strides),))
