"""Step: one vector of a nest's innermost axis, and what its body reads and writes: accesses, reductions, shifted sums."""

import numpy as np

from .code import INDEX, Value, lanes


class Access:
    """Memory that the body reads or writes, with one stride an axis of the space."""

    __slots__ = ("depth", "dtype", "mem", "movable", "pointers", "reads", "shared", "splat", "strides")

    def __init__(self, mem, strides, reads):
        self.mem = mem
        self.reads = reads
        self.movable = False  # it may be read from a copy in another order
        self.shared = None  # f(dtype, shape, key, fill): memory of such a copy, filled once for all loops that read it
        self.dtype = mem.dtype
        self.strides = list(strides)
        self.pointers: list = []  # the address at the start of each level of the nest
        self.splat = None  # what it reads, where that is the same along the innermost axis: loaded once


class Reduction:
    """A running reduction: partial results in `width` lanes, flushed into an exact pair from time to time.

    kind: add, multiply, maximum, minimum, logical_and, logical_or, bitwise_or. A sum adds BLOCK vectors, then joins that partial sum to
    a total by Knuth's two-sum, which keeps what the addition lost (Knuth, TAOCP 2, 4.2.2): the error does not grow with n.
    A sum of at most SHORT vectors is as accurate without.
    """

    def __init__(self, kind, dtype, axes, target):
        self.kind = kind
        self.dtype = dtype
        self.axes = axes  # which axes of the space are reduced: a list of bools
        self.target = target  # an Access, strides 0 along the reduced axes
        self.accumulators: list = []
        self.widths: list = []  # of the accumulators
        self.total = None
        self.totals: list = []  # of long columns, one an accumulator
        self.exact = False  # a sum with an exact pair
        self.joined = False  # in memory, at each step
        self.column = False  # it keeps the innermost axis, and registers hold a whole row of it

    def identity(self):
        if self.kind == "add":
            return -0.0 if self.dtype.kind == "f" else 0  # what changes no sum: `from_zero` makes 0.0 of a sum of such
        if self.kind == "multiply":
            return 1
        if self.kind == "bitwise_or":
            return 0
        if self.kind == "logical_and":
            return True
        if self.kind == "logical_or":
            return False
        if self.dtype.kind == "b":
            return self.kind == "minimum"
        if self.dtype.kind == "f":
            return -np.inf if self.kind == "maximum" else np.inf
        info = np.iinfo(self.dtype)
        return info.min if self.kind == "maximum" else info.max

    def from_zero(self, machine, code, x):
        """What was joined without the identity, as if it had begun with it: of a sum, 0.0 in the place of -0.0."""
        if self.kind != "add" or self.dtype.kind != "f":
            return x
        return machine.binary("fadd", x, code.constant(0.0, self.dtype, x.width))

    def join(self, machine, a, b):
        if self.kind == "add" and a.dtype.kind == "f":
            return machine.binary("fadd reassoc contract", a, b)
        if self.kind == "multiply" and a.dtype.kind == "f":
            return machine.binary("fmul reassoc nsz contract", a, b)
        if self.kind in ("maximum", "minimum") and a.dtype.kind == "f":
            # b is the new value: taken when it is beyond a or NaN; a NaN in a stays
            test = "ogt" if self.kind == "maximum" else "olt"
            take = machine._or(machine.test(f"fcmp {test}", b, a), machine.isnan(b))
            return machine.select(take, b, a)
        return getattr(machine, self.kind)(a, b)


class Shifted:
    """A sum of values of the body, each put some elements further on. The ends of vectors wait in registers for the next one."""

    def __init__(self, target, dtype, shifts):
        self.target = target
        self.dtype = dtype
        self.reach = max(shifts)
        self.carried: dict = dict.fromkeys(k for k in shifts if k)  # how far on -> the register with the last vector of the terms
        self.ending = None  # an Access: where a piece of the nest leaves what reaches beyond it


def two_sum(machine, a, b):
    """(s, e) with s = a + b rounded and s + e = a + b."""

    def op(text, x, y):
        return machine.binary(text, x, y)

    s = op("fadd", a, b)
    bb = op("fsub", s, a)
    e = op("fadd", op("fsub", a, op("fsub", s, bb)), op("fsub", b, bb))
    return s, e


class Step:
    """One vector of the innermost axis: what the body of a nest reads and writes through."""

    __slots__ = ("mask", "nest", "offset", "skip", "u", "width")

    def __init__(self, nest, offset, width, mask, u, skip=None):
        self.nest = nest
        self.offset = offset
        self.width = width
        self.mask = mask
        self.u = u
        self.skip = skip  # so many lanes were done before: an int, or an i64 value

    def pointer(self, a):
        return self.nest.code.at(a.pointers[-1], self.nest.code.times(self.offset, a.strides[-1]))

    def load(self, a):
        code, stride = self.nest.code, a.strides[-1]
        if stride == 0:
            if a.splat is not None:
                return code.shuffle(a.splat, range(self.width))
            return code.splat(code.load(a.pointers[-1], a.dtype), self.width)
        if stride == a.dtype.itemsize or self.width == 1:
            return code.load(self.pointer(a), a.dtype, self.width, self.mask)
        count = self.mask or self.width
        if stride == -a.dtype.itemsize:
            ptr = code.at(self.pointer(a), stride * (count - 1))
            x = code.load(ptr, a.dtype, self.width, self.mask)
            return code.shuffle(x, [*range(count - 1, -1, -1), *[-1] * (self.width - count)])
        ptr = self.pointer(a)
        if stride == 2 * a.dtype.itemsize and self.mask is None:  # one part of complex numbers: two vectors hold them all
            last = self.width - 1  # the second one ends at the last element, so that nothing behind it is touched
            halves = [code.load(code.at(ptr, i * a.dtype.itemsize), a.dtype, self.width) for i in (0, last)]
            return code.shuffle(code.join(halves), [k if k < self.width else k + 1 for k in range(0, 2 * self.width, 2)])
        parts = [code.load(code.at(ptr, i * stride), a.dtype) for i in range(count)]
        parts += [parts[-1]] * (self.width - count)
        return code.join(parts)

    def store(self, a, x):
        code, stride = self.nest.code, a.strides[-1]
        pair = 2 if a.dtype.kind == "c" else 1  # of a complex number x holds both parts, one behind the other
        if stride == a.dtype.itemsize or self.width == 1:
            code.store(x, self.pointer(a), self.mask and pair * self.mask)
            return
        if pair == 2:
            for i in range(self.mask or self.width):
                code.store(code.shuffle(x, [2 * i, 2 * i + 1]), code.at(self.pointer(a), i * stride))
            return
        ptr = self.pointer(a)
        for i in range(self.mask or self.width):
            code.store(code.lane(x, i), code.at(ptr, i * stride))

    def shift(self, s, parts):
        """Write a sum of shifted terms: parts, how far on -> vector. -0.0 stands where there is nothing: it changes no sum."""
        n = self.mask
        if n is not None and n < self.width:
            nothing = self.nest.code.constant(-0.0, s.dtype, self.width)
            parts = {k: self.nest.machine.select(lanes(self.width, n), x, nothing) for k, x in parts.items()}
            n = min(n + s.reach, self.width)
        self.place(s, parts, n)

    def place(self, s, parts, n=None, ending=None):
        code, w = self.nest.code, self.width
        total = None
        for k, x in parts.items():
            if k:
                before = code.load_register(s.carried[k], s.dtype, w)
                code.store_register(x, s.carried[k])
                x = code.shuffle(code.join([before, x]), range(w - k, 2 * w - k))
            total = x if total is None else self.nest.machine.add(total, x)
        code.store(total, self.pointer(s.target) if ending is None else ending.pointers[-1], n or self.mask)

    def gather(self, a, offsets):
        """Elements of a, at byte offsets (an i64 vector) from where it stands."""
        code, stride = self.nest.code, a.strides[-1]
        count = self.mask or self.width
        ptr = self.pointer(a)
        parts = [code.load(code.at(code.at(ptr, i * stride), code.lane(offsets, i).name), a.dtype) for i in range(count)]
        parts += [parts[-1]] * (self.width - count)
        return code.join(parts)

    def fresh(self):
        """The lanes that have not been done before."""
        code, w = self.nest.code, self.width
        if type(self.skip) is int:
            return lanes(w, w, self.skip)
        place = code.vector(np.arange(w), INDEX)
        first = Value(code.emit(f"trunc i64 {self.skip} to i32"), INDEX, 1)
        return self.nest.machine.test("icmp sge", place, code.splat(first, w))

    def alive(self, test):
        """A test, false in the lanes behind the last element."""
        partly = self.mask is not None and self.mask < self.width
        return self.nest.machine._and(test, lanes(self.width, self.mask)) if partly else test

    def reduce(self, r, x):
        """Join a vector of values to a reduction."""
        nest = self.nest
        code, machine = nest.code, nest.machine
        if self.skip is not None:
            x = machine.select(self.fresh(), x, nest._identity(r, self.width))
        if r.joined:
            old = self.load(r.target)
            self.store(r.target, r.join(machine, old, x))
            return
        if self.mask is not None and self.mask < self.width and not r.column:
            x = machine.select(lanes(self.width, self.mask), x, nest._identity(r, self.width))
        acc, width = r.accumulators[self.u], r.widths[self.u]
        if self.width < width:
            x = code.join([x, nest._identity(r, width - self.width)])
        code.store_register(r.join(machine, code.load_register(acc, r.dtype, width), x), acc)
