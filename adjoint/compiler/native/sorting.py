"""Sorting: argsort, argmax and argmin, searchsorted: places along one axis.

Numbers of every real dtype are turned into 64-bit integers of the same order first, NaN last and -0 equal to 0, so that one
sort does for all. It moves keys and places together, from one memory into the other and back, and is stable. Short lines
are merged: runs of RUN are sorted by insertion, then joined pairwise; two that are in order already are copied. Long lines are
dealt out by one byte of the keys after the other, the last one first; a byte that all keys have in common is passed over.
"""

import math

import numpy as np

from .code import INT, Value, register, supported
from .direct import each_line, lines
from .nest import Nest
from .storage import Mem
from .table import direct

RUN = 8
LANES = 8  # of the search for the largest
LONG = 1024  # from this length on bytes are quicker than merging
_FIRST, _LAST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def ordered(machine, x, nan=_LAST):
    """Numbers as signed integers of 64 bits in the same order, NaN as a given one."""
    dtype = x.dtype
    if dtype.kind == "f":
        x = machine.cast(x, np.dtype(np.float64))
        unordered = machine.isnan(x)
        x = machine.binary("fadd", x, machine.of(0.0, x))  # -0 becomes 0
        bits = machine.text(f"bitcast {x} to {register(INT, x.width)}", INT, x.width)
        negative = machine.binary("ashr", bits, machine.of(63, bits))
        bits = machine.binary("xor", bits, machine.binary("lshr", negative, machine.of(1, bits)))
        return machine.select(unordered, machine.of(nan, bits), bits)
    x = machine.cast(x, INT)
    return machine.binary("xor", x, machine.of(-(2**63), x)) if dtype == np.uint64 else x


@direct("argsort")
def argsort(emitter, line):
    t = line.args[0].type
    if not supported(t.dtype) or t.size == 0:
        return None
    code, machine = emitter.code, emitter.machine
    symbol, text = ("ad.sort.bytes", _BYTES) if t.shape[line.params["axis"]] >= LONG else ("ad.sort.merge", _MERGE)
    emitter.kernel.module.functions[symbol] = text
    emitter.kernel.module.declare("llvm.memset.p0.i64", "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
    emitter.kernel.module.declare("llvm.memcpy.p0.p0.i64", "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
    y = emitter.buffer(line.out)
    axis = line.params["axis"]
    a, b = lines(emitter.mem(line.args[0]), axis), lines(y, axis)
    n = a.shape[-1]
    work = emitter.scratch(INT, (4, n))
    keys, places, *spare = (Mem(code.at(work.ptr, 8 * n * i), INT, (n,)) for i in range(4))

    def each(ptrs):
        nest = Nest(code, (n,))
        source = nest.access(Mem(ptrs[0], a.dtype, (n,), a.strides[-1:]), a.strides[-1:])
        target = nest.access(keys, keys.strides, False)
        nest.run(lambda get: get.store(target, ordered(machine, get.load(source))))
        memory = ", ".join(f"ptr {m.ptr}" for m in (keys, places, *spare))
        code.do(f"call void @{symbol}({memory}, i64 {n})")
        emitter.copy(Mem(ptrs[1], INT, (n,), b.strides[-1:]), places)

    emitter.kernel.note(f"argsort {list(t.shape)}")
    emitter.kernel.work += int(4 * t.size * max(1, math.log2(n)))
    each_line(emitter, [a, b], a.shape[:-1], each)
    return y


@direct("argmax", "argmin", "nanargmax", "nanargmin")
def extreme(emitter, line):
    """The largest key of each lane and its place, then of the lanes: of equal ones the first. The smallest is the largest of
    the keys turned around; NaN is larger than all, or where it is passed over smaller than all."""
    t = line.args[0].type
    if not supported(t.dtype) or t.size == 0:
        return None
    code, machine = emitter.code, emitter.machine
    name = line.op.name
    y = emitter.buffer(line.out)
    a = lines(emitter.mem(line.args[0]), line.params["axis"])
    skip = t.dtype.kind == "f" and name.startswith("nan")
    turn = name.endswith("min")
    n, stride = a.shape[-1], a.strides[-1]
    width = LANES if stride == t.dtype.itemsize and n >= 2 * LANES else 1
    missing = emitter.kernel.module.error(ValueError("All-NaN slice encountered")) if skip else None
    nan = _FIRST if skip != turn else _LAST  # it is turned around too

    def keys(ptr, w):
        k = ordered(machine, code.load(ptr, t.dtype, w), nan)
        return machine.invert(k) if turn else k

    def walk(ptr, start, stop, best, place, w):
        """Steps of w lanes; the best so far and its place are in allocas."""
        with code.loop(start, stop, w) as i:
            k = keys(code.at(ptr, code.times(i, stride)), w)
            here = machine.add(code.splat(Value(i, INT, 1), w), code.vector(range(w), INT))
            take = machine.compare("greater", k, code.load_register(best, INT, w))
            for slot, new in ((best, k), (place, here)):
                code.store_register(machine.select(take, new, code.load_register(slot, INT, w)), slot)

    best, place = code.alloca("i64"), code.alloca("i64")
    wide = [code.alloca(register(INT, width)) for _ in range(2)] if width > 1 else []

    def each(ptrs):
        ptr = ptrs[0]
        if not wide:
            code.store_register(keys(ptr, 1), best)
            code.do(f"store i64 0, ptr {place}")
            walk(ptr, 1, n, best, place, 1)
        else:
            code.store_register(keys(ptr, width), wide[0])
            code.store_register(code.vector(range(width), INT), wide[1])
            whole = n // width * width
            walk(ptr, width, whole, *wide, width)
            ks, places = (code.load_register(slot, INT, width) for slot in wide)
            k, p = code.lane(ks, 0), code.lane(places, 0)
            for lane in range(1, width):
                other, q = code.lane(ks, lane), code.lane(places, lane)
                tie = machine._and(machine.compare("equal", other, k), machine.compare("less", q, p))
                take = machine._or(machine.compare("greater", other, k), tie)
                k, p = machine.select(take, other, k), machine.select(take, q, p)
            code.store_register(k, best)
            code.store_register(p, place)
            walk(ptr, whole, n, best, place, 1)
        if skip:
            k = code.load_register(best, INT, 1)
            code.fail_if(machine.compare("equal", k, machine.of(_FIRST, k)).name, missing)
        code.store(code.load_register(place, INT, 1), ptrs[1])

    emitter.kernel.work += 2 * t.size
    each_line(emitter, [a, y], a.shape[:-1], each)
    return y


@direct("searchsorted")
def searchsorted(emitter, line):
    """By halving: of the places that are left, the lower half goes where what is sought is beyond its end."""
    a, v, *sorter = line.args
    dtype = np.result_type(a.type.dtype, v.type.dtype)
    if sorter or not all(map(supported, (a.type.dtype, v.type.dtype, dtype))) or 0 in (a.type.size, v.type.size):
        return None
    code, machine = emitter.code, emitter.machine
    y = emitter.buffer(line.out)
    row, sought = emitter.mem(a), emitter.mem(v)
    n = a.type.size
    low, count = code.alloca("i64"), code.alloca("i64")

    def before(x, z):  # x comes before z
        less = machine.compare("less", x, z)
        if dtype.kind != "f":
            return less
        return machine._or(less, machine._and(machine.compare("equal", x, x), machine.isnan(z)))  # NaN is last

    def each(ptrs):
        x = machine.cast(code.load(ptrs[0], sought.dtype), dtype)
        code.do(f"store i64 0, ptr {low}")
        code.do(f"store i64 {n}, ptr {count}")
        with code.loop(0, n.bit_length()):
            lo, left = code.emit(f"load i64, ptr {low}"), code.emit(f"load i64, ptr {count}")
            half = code.emit(f"lshr i64 {left}, 1")
            middle = code.emit(f"add nsw i64 {lo}, {half}")
            inside = code.emit(f"icmp ne i64 {left}, 0")
            safe = code.emit(f"select i1 {inside}, i64 {middle}, i64 0")
            z = machine.cast(code.load(code.at(row.ptr, code.times(safe, row.strides[0])), row.dtype), dtype)
            if line.params["side"] == "left":
                on = before(z, x).name
            else:
                on = code.emit(f"xor i1 {before(x, z).name}, true")
            on = code.emit(f"and i1 {on}, {inside}")
            after = code.emit(f"add nsw i64 {middle}, 1")
            rest = code.emit(f"sub nsw i64 {code.emit(f'sub nsw i64 {left}, {half}')}, 1")
            code.do(f"store i64 {code.emit(f'select i1 {on}, i64 {after}, i64 {lo}')}, ptr {low}")
            code.do(f"store i64 {code.emit(f'select i1 {on}, i64 {rest}, i64 {half}')}, ptr {count}")
        code.store(code.load_register(low, INT, 1), ptrs[1])

    emitter.kernel.work += 4 * v.type.size * n.bit_length()
    each_line(emitter, [sought, y], sought.shape, each)
    return y


# the end of a sort: its places are %b, and wanted in %places
_FINISH = """finish:
  %home = icmp eq ptr %b, %places
  br i1 %home, label %done, label %fetch
fetch:
  %all = shl i64 %n, 3
  call void @llvm.memcpy.p0.p0.i64(ptr %places, ptr %b, i64 %all, i1 false)
  br label %done
done:
  ret void
"""

# Sorts n keys and puts their places beside them; two spare memories of the same size.
_MERGE = f"""define internal void @ad.sort.merge(ptr %keys, ptr %places, ptr %keys2, ptr %places2, i64 %n) noinline {{
entry:
  br label %runs

runs:                                     ; each run of {RUN} by insertion
  %lo = phi i64 [ 0, %entry ], [ %hi, %run.end ]
  %more = icmp slt i64 %lo, %n
  br i1 %more, label %run, label %merging
run:
  %lo8 = add nsw i64 %lo, {RUN}
  %whole = icmp slt i64 %lo8, %n
  %hi = select i1 %whole, i64 %lo8, i64 %n
  br label %next
next:
  %i = phi i64 [ %lo, %run ], [ %i1, %put ]
  %in = icmp slt i64 %i, %hi
  br i1 %in, label %take, label %run.end
take:
  %pk = getelementptr i64, ptr %keys, i64 %i
  %k = load i64, ptr %pk
  br label %down
down:
  %j = phi i64 [ %i, %take ], [ %j1, %move ]
  %first = icmp sle i64 %j, %lo
  br i1 %first, label %put, label %look
look:
  %j1 = sub nsw i64 %j, 1
  %pj = getelementptr i64, ptr %keys, i64 %j1
  %kj = load i64, ptr %pj
  %above = icmp sgt i64 %kj, %k
  br i1 %above, label %move, label %put
move:
  %pt = getelementptr i64, ptr %keys, i64 %j
  store i64 %kj, ptr %pt
  %qj = getelementptr i64, ptr %places, i64 %j1
  %pl = load i64, ptr %qj
  %qt = getelementptr i64, ptr %places, i64 %j
  store i64 %pl, ptr %qt
  br label %down
put:
  %pp = getelementptr i64, ptr %keys, i64 %j
  store i64 %k, ptr %pp
  %qp = getelementptr i64, ptr %places, i64 %j
  store i64 %i, ptr %qp
  %i1 = add nsw i64 %i, 1
  br label %next
run.end:
  br label %runs

merging:                                  ; runs of `size` from (a, b) into (c, d), which then change roles
  %size = phi i64 [ {RUN}, %runs ], [ %size2, %pass.end ]
  %a = phi ptr [ %keys, %runs ], [ %c, %pass.end ]
  %b = phi ptr [ %places, %runs ], [ %d, %pass.end ]
  %c = phi ptr [ %keys2, %runs ], [ %a, %pass.end ]
  %d = phi ptr [ %places2, %runs ], [ %b, %pass.end ]
  %again = icmp slt i64 %size, %n
  br i1 %again, label %pairs, label %finish
pairs:
  %start = phi i64 [ 0, %merging ], [ %stop, %pair.end ]
  %pair.more = icmp slt i64 %start, %n
  br i1 %pair.more, label %pair, label %pass.end
pair:
  %mid0 = add nsw i64 %start, %size
  %mid.in = icmp slt i64 %mid0, %n
  %mid = select i1 %mid.in, i64 %mid0, i64 %n
  %stop0 = add nsw i64 %mid, %size
  %stop.in = icmp slt i64 %stop0, %n
  %stop = select i1 %stop.in, i64 %stop0, i64 %n
  br i1 %mid.in, label %touch, label %rest
touch:                                    ; already in order?
  %midless = sub nsw i64 %mid, 1
  %pe = getelementptr i64, ptr %a, i64 %midless
  %pf = getelementptr i64, ptr %a, i64 %mid
  %e = load i64, ptr %pe
  %f = load i64, ptr %pf
  %fine = icmp sle i64 %e, %f
  br i1 %fine, label %rest, label %merge
merge:
  %x = phi i64 [ %start, %touch ], [ %x1, %merge.more ]
  %y = phi i64 [ %mid, %touch ], [ %y1, %merge.more ]
  %z = phi i64 [ %start, %touch ], [ %z1, %merge.more ]
  %px = getelementptr i64, ptr %a, i64 %x
  %py = getelementptr i64, ptr %a, i64 %y
  %kx = load i64, ptr %px
  %ky = load i64, ptr %py
  %right = icmp slt i64 %ky, %kx
  %kz = select i1 %right, i64 %ky, i64 %kx
  %from = select i1 %right, i64 %y, i64 %x
  %pb = getelementptr i64, ptr %b, i64 %from
  %bz = load i64, ptr %pb
  %pz = getelementptr i64, ptr %c, i64 %z
  %qz = getelementptr i64, ptr %d, i64 %z
  store i64 %kz, ptr %pz
  store i64 %bz, ptr %qz
  %step = zext i1 %right to i64
  %y1 = add nsw i64 %y, %step
  %stay = xor i64 %step, 1
  %x1 = add nsw i64 %x, %stay
  %z1 = add nsw i64 %z, 1
  br label %merge.more
merge.more:
  %left.on = icmp slt i64 %x1, %mid
  %right.on = icmp slt i64 %y1, %stop
  %both = and i1 %left.on, %right.on
  br i1 %both, label %merge, label %tails
tails:                                    ; one of them is empty
  br i1 %left.on, label %left, label %rest
left:
  br label %rest
rest:
  %r = phi i64 [ %start, %pair ], [ %start, %touch ], [ %y1, %tails ], [ %x1, %left ]
  %r.stop = phi i64 [ %stop, %pair ], [ %stop, %touch ], [ %stop, %tails ], [ %mid, %left ]
  %t = phi i64 [ %start, %pair ], [ %start, %touch ], [ %z1, %tails ], [ %z1, %left ]
  %count = sub nsw i64 %r.stop, %r
  %bytes = shl i64 %count, 3
  %sa = getelementptr i64, ptr %a, i64 %r
  %sb = getelementptr i64, ptr %b, i64 %r
  %sc = getelementptr i64, ptr %c, i64 %t
  %sd = getelementptr i64, ptr %d, i64 %t
  call void @llvm.memcpy.p0.p0.i64(ptr %sc, ptr %sa, i64 %bytes, i1 false)
  call void @llvm.memcpy.p0.p0.i64(ptr %sd, ptr %sb, i64 %bytes, i1 false)
  br label %pair.end
pair.end:
  br label %pairs
pass.end:
  %size2 = shl i64 %size, 1
  br label %merging

{_FINISH}}}"""


def _count_bytes():
    """Count each of the eight bytes of a key %k."""
    lines = []
    for b in range(8):
        lines += [
            f"  %s{b} = lshr i64 %k, {8 * b}",
            f"  %digit{b} = and i64 %s{b}, 255",
            f"  %p{b} = getelementptr i64, ptr %counts, i64 {256 * b}",
            f"  %q{b} = getelementptr i64, ptr %p{b}, i64 %digit{b}",
            f"  %n{b} = load i64, ptr %q{b}",
            f"  %m{b} = add i64 %n{b}, 1",
            f"  store i64 %m{b}, ptr %q{b}",
        ]
    return "\n".join(lines)


_BYTES = f"""define internal void @ad.sort.bytes(ptr %keys, ptr %places, ptr %keys2, ptr %places2, i64 %n) noinline {{
entry:
  %counts = alloca [2048 x i64], align 64
  call void @llvm.memset.p0.i64(ptr %counts, i8 0, i64 16384, i1 false)
  br label %counting
counting:
  %i = phi i64 [ 0, %entry ], [ %i1, %counting ]
  %pk = getelementptr i64, ptr %keys, i64 %i
  %signed = load i64, ptr %pk
  %k = xor i64 %signed, {-(2**63)}          ; in the order of unsigned numbers
  store i64 %k, ptr %pk
  %pp = getelementptr i64, ptr %places, i64 %i
  store i64 %i, ptr %pp
{_count_bytes()}
  %i1 = add nsw i64 %i, 1
  %more = icmp slt i64 %i1, %n
  br i1 %more, label %counting, label %bytes

bytes:                                    ; from (a, b) into (c, d), which then change roles
  %byte = phi i64 [ 0, %counting ], [ %byte1, %next ]
  %a = phi ptr [ %keys, %counting ], [ %a1, %next ]
  %b = phi ptr [ %places, %counting ], [ %b1, %next ]
  %c = phi ptr [ %keys2, %counting ], [ %c1, %next ]
  %d = phi ptr [ %places2, %counting ], [ %d1, %next ]
  %on = icmp slt i64 %byte, 8
  br i1 %on, label %look, label %finish
look:
  %shift = shl i64 %byte, 3
  %at = shl i64 %byte, 8
  %row = getelementptr i64, ptr %counts, i64 %at
  %first = load i64, ptr %a
  %f1 = lshr i64 %first, %shift
  %f2 = and i64 %f1, 255
  %pf = getelementptr i64, ptr %row, i64 %f2
  %same = load i64, ptr %pf
  %common = icmp eq i64 %same, %n
  br i1 %common, label %next, label %places.of
places.of:                                ; counts become the places where each byte's keys begin
  %v = phi i64 [ 0, %look ], [ %v1, %places.of ]
  %sum = phi i64 [ 0, %look ], [ %sum1, %places.of ]
  %pv = getelementptr i64, ptr %row, i64 %v
  %nv = load i64, ptr %pv
  store i64 %sum, ptr %pv
  %sum1 = add i64 %sum, %nv
  %v1 = add nsw i64 %v, 1
  %left = icmp slt i64 %v1, 256
  br i1 %left, label %places.of, label %deal
deal:
  %j = phi i64 [ 0, %places.of ], [ %j1, %deal ]
  %pa = getelementptr i64, ptr %a, i64 %j
  %pb = getelementptr i64, ptr %b, i64 %j
  %ka = load i64, ptr %pa
  %kb = load i64, ptr %pb
  %g1 = lshr i64 %ka, %shift
  %g2 = and i64 %g1, 255
  %pg = getelementptr i64, ptr %row, i64 %g2
  %to = load i64, ptr %pg
  %to1 = add i64 %to, 1
  store i64 %to1, ptr %pg
  %pc = getelementptr i64, ptr %c, i64 %to
  %pd = getelementptr i64, ptr %d, i64 %to
  store i64 %ka, ptr %pc
  store i64 %kb, ptr %pd
  %j1 = add nsw i64 %j, 1
  %rest = icmp slt i64 %j1, %n
  br i1 %rest, label %deal, label %next
next:
  %a1 = phi ptr [ %a, %look ], [ %c, %deal ]
  %b1 = phi ptr [ %b, %look ], [ %d, %deal ]
  %c1 = phi ptr [ %c, %look ], [ %a, %deal ]
  %d1 = phi ptr [ %d, %look ], [ %b, %deal ]
  %byte1 = add nsw i64 %byte, 1
  br label %bytes

{_FINISH}}}"""
