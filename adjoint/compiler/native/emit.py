"""Emit: a graph as native code. Walks the steps of its Plan; small arrays stay in registers, large ones in memory.

What each op does directly is in `direct` (shapes, indices, joins), `products` (BLAS), `regions` (loops and branches); what
none of them knows is called back into NumPy.
"""

import functools
import math

import numpy as np

from ...core.types import Array, Tuple
from ...traces.derive import COMPARISONS
from ...traces.graph import Const, Var
from .build import host
from .code import BOOL, Value, element, half_dtype, supported
from .direct import part, pieces_of
from .indices import gather, out_of_bounds
from .machine import ELEMENTWISE, cost
from .nest import WIDTH_BYTES, Nest
from .plan import REDUCTIONS, Group, Plan
from .stacks import constant_stack
from .storage import Mem, Reg, aligned, half, is_small, load_reg, store_reg
from .table import DIRECT
from .watch import Watch

MASKED = 60  # operations of a loop up to which its vectors are narrow for the sake of masks
WITH_MASKS = {"strong_mul", "where", "maximum", "minimum", "clip", "sign", *COMPARISONS}
LONG, PARALLEL = 100, 6  # operations of a long loop, and how many of them go on at once
INLINE = 12  # calls of mathematical functions in one loop from which on they stay calls


def lower(kernel, suspects=()):
    """The text of a whole kernel. suspects: the outputs of which a NaN means that all is to be done again, by `ad.again`."""
    code, graph = kernel.code, kernel.graph
    inputs = []
    for i, v in enumerate(graph.inputs):
        ptr = code.emit(f"load ptr, ptr {code.at('%ins', 8 * i)}")
        inputs.append(kernel.input(ptr, v.type))
    targets = []
    for i, v in enumerate(graph.outputs):
        ptr = code.emit(f"load ptr, ptr {code.at('%outs', 8 * i)}")
        targets.append(Mem(ptr, v.type.dtype, v.type.shape))
    start = len(code.lines)
    for target in targets if kernel.guard else ():
        kernel.guard.poison(target.ptr, target.nbytes)
    emitter = Emitter(kernel, graph, inputs, targets)
    if suspects:
        emitter.watch = Watch(emitter, suspects)
    emitter.run()
    if suspects:
        _look(emitter, targets)
    if kernel.guard is not None:
        emitter.release()  # which looks at the zones
    body = code.lines[start:]
    del code.lines[start:]
    for slot in kernel.workspace.slots:  # stacks are empty
        code.do(f"store i64 0, ptr {code.at('%ws', slot + 16)}")
    code.lines += body
    return code.finish() + kernel.cleanup()


def _look(emitter, targets):
    """Call `ad.again` where an output that is watched holds a NaN."""
    code, kernel = emitter.code, emitter.kernel
    nan = emitter.watch.found()
    for k in emitter.watch.afterwards:
        nan = code.emit(f"or i1 {nan}, {emitter.holds_nan(targets[k])}")
    with code.when(nan):
        bad = code.emit(f"call i32 @ad.callback(i64 {kernel.number('ad.again')}, ptr %ins, ptr %outs)")
        code.fail_if(code.emit(f"icmp ne i32 {bad}, 0"), 1)


class Emitter:
    """One graph, emitted at the present place of the kernel.

    inputs: a value for each input. targets: for each output the Mem to put it in, or None to leave it where it is.
    again: it is within a loop.
    """

    def __init__(self, kernel, graph, inputs, targets=None, mutable=(), again=False):
        self.kernel = kernel
        self.code = kernel.code
        self.machine = kernel.machine
        self.graph = graph
        self.env = {id(v): x for v, x in zip(graph.inputs, inputs)}
        self.targets = targets or [None] * len(graph.outputs)
        self.mutable = mutable
        self.again = again
        self.plan = Plan(graph, self.native, mutable)
        self.buffers: dict = {}  # root variable -> [(offset, size) in the workspace]
        self.copies: dict = {}  # (variable, shape and strides) -> a copy of it in another order
        self.temporary: list = []  # taken for the present step
        self.factors: dict = {}  # a matrix -> its LU, where several lines want it
        self.storage: dict = {}  # root variable -> Mem chosen beforehand
        self.watch = None  # a Watch, where loops look for NaN
        self.placed: set = set()  # variables that were computed in their place in a join: others have places of their own
        for v, target in zip(graph.outputs, self.targets):
            root, mem = self.root(v, target) if target is not None and type(v) is Var else (None, None)
            if root is not None and id(root) not in self.storage and id(root) not in self.env:
                self.storage[id(root)] = mem

    def within(self, graph, inputs, targets=None, mutable=(), again=False):
        """What emits a body of one of the lines. again: the body of a loop."""
        return Emitter(self.kernel, graph, inputs, targets, mutable, again or self.again)

    def run(self):
        """Emit all steps; the values of the outputs."""
        machine = self.machine
        outside, machine.masks = machine.masks, not self.again and self.kernel.masked(self.graph)
        for i, step in enumerate(self.plan.steps):
            if type(step) is Group:
                self.group(step)
            else:
                self.env[id(step.out)] = self.line(step)
            while self.temporary:
                self.kernel.give(*self.temporary.pop())
            for k in self.plan.dying.get(i, ()):
                self.give(k)
        machine.masks = outside
        outs = [self.read(v) for v in self.graph.outputs]
        return [
            x if self.stays(k, v) else self.finish(x, target)
            for k, (v, x, target) in enumerate(zip(self.graph.outputs, outs, self.targets))
        ]

    def stays(self, k, v):
        """Whether output k is the k-th of the inputs that may be overwritten, written in place: it is not moved."""
        return type(v) is Var and k < len(self.mutable) and self.plan.base(v) is self.mutable[k]

    def finish(self, x, target):
        """An output where it is wanted."""
        if target is None or (type(x) is Mem and x.ptr == target.ptr):
            return x
        if type(x) is Reg and x.value.width == 1:
            self.fill(target, x.value)
        elif type(x) is Reg:
            store_reg(self.code, Reg(self.machine.cast(x.value, target.dtype), target.shape), target)
        elif target.size:
            self.copy(target, x)
        return target

    def release(self):
        """Give back the buffers that outputs still held: when a body's results have been taken away."""
        for k in list(self.buffers):
            self.give(k)

    def give(self, k):
        """Give back what a root variable had in the workspace."""
        for buffer in self.buffers.pop(k, ()):
            self.kernel.give(*buffer)

    def root(self, v, mem):
        """The variable whose storage can be that of an output, and the output's memory as that variable is laid out in it.

        It is the output itself, or where a chain of writes in place began, or what a loop computes and is transposed then.
        """
        plan = self.plan
        while True:
            line = plan.line_of.get(id(v))
            if line is None:
                return None, None  # an input
            view = plan.is_view(line) and id(v) not in plan.space  # what a loop computes has memory of its own
            if id(v) in plan.in_place:
                v = line.args[0]
            elif view and line.op.name == "reshape" and type(line.args[0]) is Var and mem.contiguous:
                v = line.args[0]
                mem = Mem(mem.ptr, mem.dtype, v.type.shape)
            elif view and line.op.name == "transpose" and type(line.args[0]) is Var:
                v = line.args[0]
                order = np.argsort([a % len(mem.shape) for a in line.params["axes"]])
                mem = Mem(mem.ptr, mem.dtype, v.type.shape, [mem.strides[i] for i in order])
            elif view or not (mem.contiguous or id(v) in plan.space):
                return None, None
            else:
                return v, mem

    # Values

    def native(self, line):
        """Whether the machine does this elementwise line."""
        if line.op.name not in ELEMENTWISE or type(line.out.type) is not Array:
            return False
        types = [a.type for a in line.args]
        if line.op.name == "paired":
            return not is_small(Array(line.out.type.shape, types[0].dtype))
        if not all(type(t) is Array and supported(t.dtype) for t in (*types, line.out.type)):
            return False
        return self.machine.can(line.op.name, types, line.out.type)

    def read(self, v):
        """The value of a variable or constant."""
        if type(v) is not Const:
            return self.env[id(v)]
        if id(v) not in self.env:
            self.env[id(v)] = self.constant(v.value)
        return self.env[id(v)]

    def constant(self, x):
        if type(x) is tuple:
            return [self.constant(e) for e in x]
        if not isinstance(x, (np.ndarray, np.generic, int, float, bool, complex)):
            return constant_stack(self, x)
        a = np.asarray(x)
        if a.dtype == object:  # a Python int beyond 64 bits: a float is added to it, or NumPy had refused
            a = np.asarray(float(x))
        t = Array(a.shape, a.dtype)
        if is_small(t):
            return Reg(self.code.vector(a.reshape(-1).tolist() if a.dtype.kind != "f" else a.reshape(-1), a.dtype), a.shape)
        if a.size and not any(s for s, n in zip(a.strides, a.shape) if n != 1):
            one = a[(0,) * a.ndim]
            if supported(a.dtype):
                return Reg(self.code.constant(one, a.dtype, 1), a.shape)  # one number, for any shape
            return Mem(self.kernel.constant(np.asarray(one)), a.dtype, a.shape, (0,) * a.ndim)
        return Mem(self.kernel.constant(a), a.dtype, a.shape)

    def reg(self, v):
        """A small value in registers."""
        x = self.read(v) if type(v) in (Var, Const) else v
        return load_reg(self.code, x) if type(x) is Mem else x

    def mem(self, v):
        """A value in memory: registers are put into an alloca."""
        x = self.read(v) if type(v) in (Var, Const) else v
        if type(x) is Reg:
            if x.value.width == 1:
                mem = self.local(x.dtype, ())
                store_reg(self.code, x, mem)
                return Mem(mem.ptr, x.dtype, x.shape, (0,) * len(x.shape))
            mem = self.local(x.dtype, x.shape)
            store_reg(self.code, x, mem)
            return mem
        return x

    def scalar(self, v):
        """A value of size 1 as one element."""
        return self.reg(v).value

    def local(self, dtype, shape):
        """Room for a small array, in the function's own frame."""
        n = math.prod(shape)
        byte = "i8" if dtype.kind == "b" or not supported(dtype) else None
        kind = f"[{n * (dtype.itemsize if byte else 1)} x {byte or element(dtype)}]"
        return Mem(self.code.alloca(kind, 64), dtype, shape)

    def buffer(self, v):
        """Memory for a variable: of the function's frame if small, the target of an output, or a place in the workspace
        until its last use."""
        t = v.type
        if is_small(t):
            return self.local(t.dtype, t.shape)
        root = self.plan.base(v)
        if id(v) in self.plan.joins and id(root) not in self.storage:
            self.storage[id(root)] = self.place(*self.plan.joins[id(v)])
            self.placed.add(id(v))
        if id(root) in self.storage:
            mem = self.storage[id(root)]
            return Mem(mem.ptr, t.dtype, t.shape, mem.strides if mem.shape == t.shape else None)
        size = t.size * t.dtype.itemsize
        offset = self.kernel.take(size)
        self.buffers.setdefault(id(root), []).append((offset, size))
        strides = self.plan.strides(v)
        return Mem(self.code.at("%ws", offset), t.dtype, t.shape, strides)

    def place(self, line, k):
        """The memory of a join's k-th argument in its result, which is begun before its other arguments are there."""
        whole = self.buffer(line.out)
        root = self.plan.base(line.out)
        self.storage.setdefault(id(root), Mem(whole.ptr, whole.dtype, root.type.shape, whole.strides))
        return part(self, whole, [place for _, place, _ in pieces_of(line)][k])

    def scratch(self, dtype, shape, keep=False):
        """Memory for the present step; keep: for the rest of this graph (True), or as long as what `holder` says is needed."""
        size = math.prod(shape) * dtype.itemsize
        offset = self.kernel.take(size)
        if keep is False:
            self.temporary.append((offset, size))
        else:
            self.buffers.setdefault(object() if keep is True else keep, []).append((offset, size))
        return Mem(self.code.at("%ws", offset), dtype, shape)

    def copied(self, v, dtype, shape, key, fill):
        """Memory with what a variable holds in another order: where several loops want it so, it stays as long as they do."""
        key = id(v), *key
        if key in self.copies:
            return self.copies[key]
        shared = sum(type(step) is Group and any(a is v for a in self.plan.reads(step)) for step in self.plan.steps) > 1
        mem = self.scratch(dtype, shape, id(self.plan.base(v)) if shared else False)
        fill(mem)
        if shared:
            self.copies[key] = mem
        return mem

    def holder(self, line, k):
        """How long the k-th of a line's results is needed, for `scratch`: as long as the one variable that takes it."""
        users = self.plan.users.get(id(line.out), ())
        if id(line.out) in self.plan.outputs or any(u.op.name != "item" for u in users):
            return True
        takers = [u.out for u in users if u.params["index"] == k]
        if not takers:
            return False
        return id(takers[0]) if len(takers) == 1 and type(takers[0].type) is Array else True

    def flat(self, v):
        """A value as contiguous memory."""
        mem = self.mem(v)
        if mem.contiguous or mem.size == 1:
            return mem
        fresh = self.scratch(mem.dtype, mem.shape)
        self.copy(fresh, mem)
        return fresh

    # Moving memory

    def copy(self, target, source):
        """target[...] = source, which may have fewer axes, or axes of length 1."""
        if target.size == 0:
            return
        if type(source) is Reg:
            if source.value.width == 1:
                self.fill(target, source.value)
                return
            if source.shape == target.shape and source.dtype == target.dtype:
                store_reg(self.code, source, target)
                return
            source = self.mem(source)
        if target.contiguous and source.contiguous and source.size == target.size and source.dtype == target.dtype:
            if source.ptr != target.ptr:
                self.code.copy(target.ptr, source.ptr, target.nbytes)
            return
        if not supported(target.dtype) or not supported(source.dtype):
            self._copy_odd(target, source)
            return
        nest = Nest(self.code, target.shape)
        a = nest.access(source, aligned(source, target.shape))
        b = nest.access(target, target.strides, False)
        nest.run(lambda get: get.store(b, self.machine.cast(get.load(a), target.dtype)), max(source.dtype.itemsize, target.dtype.itemsize))

    def _copy_odd(self, target, source):
        # complex numbers as pairs of real ones, the like as bytes
        strides = aligned(source, target.shape)
        if target.dtype.kind == "c" and source.dtype.kind in "fiub":
            source = Mem(source.ptr, source.dtype, target.shape, strides)
            self.copy(half(self.code, target, 0), source)
            self.fill(half(self.code, target, 1), self.code.constant(0, half_dtype(target.dtype), 1))
            return
        if target.dtype.kind == source.dtype.kind == "c":
            into, out_of = half_dtype(target.dtype), half_dtype(source.dtype)
        elif target.dtype == source.dtype:
            into = out_of = np.dtype(np.int64) if target.dtype.itemsize % 8 == 0 else np.dtype(np.int8)
        else:
            raise NotImplementedError(f"a copy of {source.dtype} into {target.dtype}")
        k = target.dtype.itemsize // into.itemsize
        self.copy(
            Mem(target.ptr, into, (*target.shape, k), (*target.strides, into.itemsize)),
            Mem(source.ptr, out_of, (*target.shape, k), (*strides, out_of.itemsize)),
        )

    def fill_any(self, target):
        """target[...] = 0, of any dtype."""
        if target.contiguous:
            self.code.clear(target.ptr, target.nbytes)
        else:
            self.fill(target, self.code.constant(0, target.dtype, 1))

    def fill(self, target, x):
        """target[...] = one number, a Value."""
        if target.size == 0:
            return
        x = self.machine.cast(x, target.dtype)
        if target.contiguous and x.name in ("0x0000000000000000", "0", "false"):
            self.code.clear(target.ptr, target.nbytes)
            return
        nest = Nest(self.code, target.shape)
        b = nest.access(target, target.strides, False)
        nest.run(lambda get: get.store(b, self.code.splat(x, get.width)), target.dtype.itemsize)

    def holds_nan(self, mem):
        """Whether a floating-point array holds a NaN: an i1."""
        code, machine = self.code, self.machine
        if mem.size == 0:
            return "false"
        if is_small(Array(mem.shape, mem.dtype)):
            nans = machine.isnan(load_reg(code, mem).value)
            if nans.width == 1:
                return nans.name
            return code.emit(f"icmp ne i{nans.width} {code.emit(f'bitcast {nans} to i{nans.width}')}, 0")
        nest = Nest(code, mem.shape)
        a = nest.access(mem, mem.strides)
        found = self.local(BOOL, ())
        r = nest.reduction("logical_or", BOOL, [True] * len(mem.shape), found, [0] * len(mem.shape))
        nest.run(lambda get: get.reduce(r, machine.isnan(get.load(a))), mem.dtype.itemsize)
        return code.load(found.ptr, BOOL).name

    def accumulate(self, target, source):
        """target[...] += source."""
        if target.size == 0:
            return
        if type(source) is Reg:
            source = self.mem(source)
        nest = Nest(self.code, target.shape)
        a = nest.access(source, aligned(source, target.shape))
        b = nest.access(target, target.strides, False)

        def body(get):
            get.store(b, self.machine.add(get.load(b), self.machine.cast(get.load(a), target.dtype)))

        nest.run(body, target.dtype.itemsize)

    # Lines

    def line(self, line):
        """One line done directly; its value."""
        name = line.op.name
        out = line.out.type
        if type(out) is Array and is_small(out) and self.native(line):
            return self.small(line)
        f = DIRECT.get(name)
        x = f(self, line) if f is not None else None
        if x is None:
            x = self.call_back(line)
        if type(x) is Mem and is_small(out) and line.op.name != "item":
            x = load_reg(self.code, x)  # at once: memory may change
        return x

    def small(self, line):
        """An elementwise line on registers."""
        out = line.out.type
        values = [self.broadcast(self.reg(a), out.shape).value for a in line.args]
        return Reg(self.machine.apply(line.op.name, out.dtype, values, line.params), out.shape)

    def broadcast(self, reg, shape):
        if reg.shape == tuple(shape):
            return reg
        if reg.value.width == 1:
            return Reg(self.code.splat(reg.value, math.prod(shape)), tuple(shape))
        places = np.broadcast_to(np.arange(reg.value.width).reshape(reg.shape), shape)
        return Reg(self.code.shuffle(reg.value, places.reshape(-1).tolist()), tuple(shape))

    def call_back(self, line):
        """An op that has no native code: NumPy's, on views of our memory."""
        types = [a.type for a in line.args]
        outs = list(line.out.type.elems) if type(line.out.type) is Tuple else [line.out.type]
        if not all(type(t) is Array for t in (*types, *outs)):
            raise NotImplementedError(f"{line.op.name} of {types} has no native code")
        code, kernel = self.code, self.kernel
        ins = code.alloca(f"[{max(1, len(types))} x ptr]")
        for i, a in enumerate(line.args):
            code.do(f"store ptr {self.flat(a).ptr}, ptr {code.at(ins, 8 * i)}")
        results = code.alloca(f"[{len(outs)} x ptr]")
        memory = []
        for i, t in enumerate(outs):
            if len(outs) == 1 and type(line.out.type) is Array:
                mem = self.buffer(line.out)
            else:
                mem = self.local(t.dtype, t.shape) if t.size * t.dtype.itemsize <= 256 else self.scratch(t.dtype, t.shape, keep=True)
            memory.append(mem)
            code.do(f"store ptr {mem.ptr}, ptr {code.at(results, 8 * i)}")
        op, params = line.op, line.params
        many = type(line.out.type) is Tuple

        def run(*args):
            with np.errstate(all="ignore"):
                y = op.eval(*args, **params)
            return y if many else (y,)

        symbol = f"ad.call.{len(kernel.callbacks)}"
        kernel.callbacks.append((symbol, run, types, outs))
        kernel.note(f"{line.op.name}: called back into NumPy")
        bad = code.emit(f"call i32 @ad.callback(i64 {kernel.number(symbol)}, ptr {ins}, ptr {results})")
        code.fail_if(code.emit(f"icmp ne i32 {bad}, 0"), 1)
        return memory if many else memory[0]

    # Fused loops

    def group(self, group):
        """One loop for all lines of a group."""
        code, machine, plan = self.code, self.machine, self.plan
        own = {id(line.out) for line in group.lines}
        order = self._evaluation(group, own)
        nest = Nest(code, group.space)
        nest.repeatable = True
        inside = {id(line.out) for line in order}
        sources: dict = {}  # (variable, shape as seen) -> Access or Value
        flags: list = []  # raised by gathers out of bounds
        gathers: dict = {}
        for line in order:
            if plan.gathers(line):
                gathers[id(line.out)] = gather(self, line, nest, inside)
                continue
            own_shape = not plan.space[id(line.out)] or plan.alias(line)  # it is walked by its argument's axes
            shape = line.args[0].type.shape if own_shape else line.out.type.shape
            for a in line.args:
                key = (id(a), squeezed_layout(a.type.shape, shape))
                if key not in sources and not (type(a) is Var and id(a) in inside):
                    x = self.read(a)
                    if type(x) is Reg and x.value.width == 1:
                        sources[key] = x.value
                    else:
                        mem = self.mem(x)
                        strides = aligned(mem, shape)
                        sources[key] = nest.access(mem, [s for s, n in zip(strides, shape) if n != 1])
                        sources[key].movable = True
                        sources[key].shared = functools.partial(self.copied, a) if type(a) is Var else None
        stores = []
        for v in group.stores:
            mem = self.buffer(v)
            self.env[id(v)] = mem
            stores.append((v, nest.access(mem, [s for s, n in zip(mem.strides, mem.shape) if n != 1], False)))
        reductions = {}
        for line in order:
            if plan.is_reduction(line):
                reductions[id(line.out)] = (line, *self._reduction(line, nest))
        sums = {id(v): self._shifted_sum(plan.line_of[id(v)], nest) for v in group.sums}
        watched = None if self.watch is None else self.watch.begin(self, group, nest)
        calls = sum(cost(line.op.name) >= 12 for line in order)
        self.machine.inline = calls <= INLINE
        if gathers:
            flags.append(code.alloca("i1"))
            code.do(f"store i1 false, ptr {flags[0]}")

        def body(get):
            known: dict = {}

            def value(a, shape):
                if type(a) is Var and id(a) in known:
                    return known[id(a)]
                x = sources[id(a), squeezed_layout(a.type.shape, shape)]
                return code.splat(x, get.width) if type(x) is Value else get.load(x)

            for line in order:
                out = line.out
                if id(out) in reductions:
                    _, r, _ = reductions[id(out)]
                    x = value(line.args[0], line.args[0].type.shape)
                    x = machine.truth(x) if r.dtype.kind == "b" else machine.cast(x, r.dtype)
                    get.reduce(r, x)
                    continue
                if id(out) in sums:
                    s, shifts = sums[id(out)]
                    parts: dict = {}
                    for a, k in zip(line.args, shifts):
                        x = machine.cast(value(a, a.type.shape), s.dtype)
                        parts[k] = machine.add(parts[k], x) if k in parts else x
                    get.shift(s, parts)
                    continue
                shape = out.type.shape
                if id(out) in gathers:
                    known[id(out)] = gathers[id(out)](get, known, flags[0])
                elif plan.alias(line):
                    known[id(out)] = value(line.args[0], line.args[0].type.shape)
                else:
                    known[id(out)] = machine.apply(line.op.name, out.type.dtype, [value(a, shape) for a in line.args], line.params)
            for v, access in stores:
                get.store(access, known[id(v)])
            if watched is not None:
                self.watch.look(get, watched, known, machine)

        dtypes = [line.out.type.dtype for line in order if not plan.is_reduction(line)]
        sizes = [d.itemsize // 2 if d.kind == "c" else d.itemsize for d in dtypes]
        sizes += [r.dtype.itemsize for _, r, _ in reductions.values()]
        work = sum(cost(line.op.name) for line in order)
        self.kernel.work += int(work * math.prod(group.space))
        widest = max([s for s in sizes if s > 1], default=1)
        narrow = host().width_bits // 8
        masks = sum(line.op.name in WITH_MASKS for line in order)
        if masks > 1 and work <= MASKED and all(s.reach * widest <= narrow for s in nest.shifted):
            # masks of more lanes than a register has are packed and unpacked at every use, unless the CPU has registers for masks
            nest.bytes = min(nest.bytes, narrow)
            nest.doubled = narrow < WIDTH_BYTES
        elif self._enough(order, work):
            nest.bytes = min(nest.bytes, narrow)
        scalars = None if gathers else [x for x in sources.values() if type(x) is Value and x.name.startswith("%")]
        nest.run(body, widest, work, self.scratch, scalars)
        self.machine.inline = False
        for line, _, mem in reductions.values():
            self.env[id(line.out)] = load_reg(code, mem) if is_small(line.out.type) else mem
        if flags:
            code.fail_if(code.emit(f"load i1, ptr {flags[0]}"), out_of_bounds(self, next(x for x in order if plan.gathers(x))))
        names = " ".join(line.op.name for line in order)
        self.kernel.note(f"loop over {list(group.space)}: {names}")

    @staticmethod
    def _enough(order, work):
        """Whether vectors of one register keep the CPU busy, in a loop whose code is long: half as much code, and fewer spills.

        Two registers a vector hide how long one operation waits for the other. Where a step has many that do not wait, that gains
        nothing: GradBench's ba, a loop of 460 lines, takes 0.8 of the time, and of the time to compile.
        """
        if work < LONG:
            return False
        path: dict = {}  # how long it takes to a line's result, where nothing else waits
        for line in order:
            path[id(line.out)] = cost(line.op.name) + max([path.get(id(a), 0) for a in line.args], default=0)
        return work >= PARALLEL * max(path.values())

    def _evaluation(self, group, own):
        """The lines to evaluate in this loop, in order: the group's own, and those computed again."""
        plan = self.plan
        order: list = []
        done: set = set()

        def visit(line):
            stack = [(line, iter(line.args))]
            done.add(id(line.out))
            while stack:
                top, args = stack[-1]
                for a in args:
                    if type(a) is Var and id(a) not in done and self._inside(a, own, top):
                        done.add(id(a))
                        below = plan.line_of[id(a)]
                        stack.append((below, iter(below.args)))
                        break
                else:
                    order.append(top)
                    stack.pop()

        for line in group.lines:
            if id(line.out) not in done:
                visit(line)
        return order

    def _inside(self, a, own, user):
        if id(a) in own:
            return not (self.plan.gathers(user) and user.args[0] is a)
        return bool(self.plan.space.get(id(a))) and id(a) not in self.plan.stored

    def _reduction(self, line, nest):
        t, out = line.args[0].type, line.out.type
        axes = line.params.get("axes")
        n = len(t.shape)
        reduced = [axes is None or i - n in axes for i in range(n)]
        target = self.buffer(line.out)
        kept = iter(target.strides[len(target.strides) - sum(not r for r in reduced) :] if not line.params.get("keepdims") else ())
        if line.params.get("keepdims"):
            strides = [0 if r else s for r, s in zip(reduced, target.strides)]
        else:
            strides = [0 if r else next(kept) for r in reduced]
        keep = [i for i, m in enumerate(t.shape) if m != 1]
        dtype = out.dtype
        r = nest.reduction(REDUCTIONS[line.op.name], dtype, [reduced[i] for i in keep],
                           target, [strides[i] for i in keep])  # fmt: skip
        return r, target

    def _shifted_sum(self, line, nest):
        """A sum of shifted terms that is written in a loop over them, and how far on each term goes."""
        t = line.out.type
        self.env[id(line.out)] = mem = self.buffer(line.out)
        starts = [first for ((first, _),) in line.params["boxes"]]
        first, last = min(starts), max(starts) + line.args[0].type.shape[0]
        step = t.dtype.itemsize
        for start, stop in ((0, first), (last, t.shape[0])):
            if start < stop:
                self.code.clear(self.code.at(mem.ptr, start * step), (stop - start) * step)
        shifts = [start - first for start in starts]
        target = Mem(self.code.at(mem.ptr, first * step), t.dtype, (last - first,))
        return nest.shifted_sum(target, t.dtype, shifts), shifts


def squeezed_layout(have, shape):
    """Which axes of a shape, those of length 1 left away, an array broadcast to it has."""
    extra = len(shape) - len(have)
    return tuple(i >= extra and have[i - extra] != 1 for i, n in enumerate(shape) if n != 1)
