"""Nest: a loop over an iteration space, vectorised along its innermost axis. Knows Code, Mem and how to reduce accurately.

The space is the list of axes longer than 1. Accesses (loads, stores, gathers) have a stride an axis; neighbouring axes that
every access walks alike become one. The body is emitted once for whole vectors, and once, masked, for what is left over.
"""

import math

from . import pieces
from .code import register
from .machine import Machine
from .step import Access, Reduction, Shifted, Step, two_sum
from .turn import transposable, transpose

WIDTH_BYTES = 64  # a vector of the body: 8 float64 are two AVX2 registers, or one of AVX-512
BLOCK = 64  # vector additions between two flushes of an accumulator: as accurate as a pairwise sum, see `Reduction`
REPEATED = 4  # times that an element is read from which on a copy in the right order pays
COLUMNS, COLUMN_WORK = 4, 60  # vectors of a row whose column sums stay in registers, and operations of the whole row
STRETCH = 256  # rows of long columns that are summed before they are added to the total: so many roundings go into one number at most
TERMS = 64  # of sums that are done side by side, in blocks
HEAVY = 24  # operations from which on a loop's body stands in the code once: the last vector does elements again
SHORT = 16  # vectors of a sum that needs no exact pair: what NumPy's pairwise sum adds up in one lane before it splits


class Nest:
    """One loop nest. Add accesses and reductions, then `run(body)`."""

    def __init__(self, code, shape):
        self.code = code
        self.machine = Machine(code)
        self.axes = [i for i, n in enumerate(shape) if n != 1]
        self.shape = [shape[i] for i in self.axes]
        self.accesses: list = []
        self.reductions: list = []
        self.shifted: list = []
        self.columns = False  # the innermost axis is short, and reductions keep it: each lane has its own results, in registers
        self.bytes = WIDTH_BYTES
        self.doubled = False  # two vectors a step, as each is narrower than usual
        self.repeatable = False  # an element may be computed twice: nothing is read that is written here

    def access(self, mem, strides, reads=True):
        """An access with one stride for each axis of the full shape. reads: it is only read."""
        a = Access(mem, [strides[i] for i in self.axes], reads)
        self.accesses.append(a)
        return a

    def reduction(self, kind, dtype, axes, target, strides):
        """A reduction over the axes (of the full shape) where `axes` holds, into target."""
        r = Reduction(kind, dtype, [axes[i] for i in self.axes], self.access(target, strides, False))
        self.reductions.append(r)
        return r

    def shifted_sum(self, target, dtype, shifts):
        """A sum of shifted terms, written to a vector. The nest has one axis then."""
        s = Shifted(self.access(target, target.strides, False), dtype, shifts)
        self.shifted.append(s)
        return s

    # Order and merge axes

    def _arrange(self, itemsize, work, scratch):
        n = len(self.shape)
        if n > 1:
            best = self._innermost(itemsize, work, scratch is not None)
            order = [i for i in range(n) if i != best] + [best]
            self._permute(order)
            self._keep_columns(itemsize, work)
            for a in self.accesses if scratch is not None else ():
                if self._repeated(a, n - 1):
                    self._pack(a, scratch)
        i = len(self.shape) - 2
        while i >= 0:
            inner = self.shape[i + 1]
            if all(a.strides[i] == a.strides[i + 1] * inner for a in self.accesses) and all(
                r.axes[i] == r.axes[i + 1] for r in self.reductions
            ):
                self.shape[i : i + 2] = [self.shape[i] * inner]
                for a in self.accesses:
                    del a.strides[i]
                for r in self.reductions:
                    del r.axes[i]
            i -= 1
        if not self.shape:
            self.shape = [1]
            for a in self.accesses:
                a.strides = [0]
            for r in self.reductions:
                r.axes = [True]
        self._in_blocks(itemsize, work)

    def _in_blocks(self, itemsize, work):
        """Sums of few terms each, side by side: a long row is walked in blocks whose sums stay in registers.

        The terms' rows come from the first cache then, and no sum is loaded and stored at each term.
        """
        n, depth = self.shape[-1], len(self.shape)
        if self.columns or depth < 2 or not self.reductions or self.shifted:
            return
        axes = self.reductions[0].axes
        terms = math.prod(m for m, reduced in zip(self.shape, axes) if reduced)
        if axes[-1] or any(r.axes != axes for r in self.reductions) or not REPEATED <= terms <= TERMS:
            return
        if any(abs(a.strides[-1]) not in (0, a.dtype.itemsize) for a in self.accesses):
            return
        width = self._width(n, itemsize)
        fits = [k * width for k in range(COLUMNS, 0, -1) if n % (k * width) == 0 and k * work <= COLUMN_WORK]
        if not fits or n <= fits[0]:
            return
        self.shape = [n // fits[0], *self.shape[:-1], fits[0]]
        for a in self.accesses:
            a.strides = [a.strides[-1] * fits[0], *a.strides]
        for r in self.reductions:
            r.axes = [False, *r.axes]
        self._keep_columns(itemsize, work)

    def _keep_columns(self, itemsize, work):
        """Sums down the columns of short rows: the axes that are reduced go next to the innermost, so that registers hold the sums.

        A masked store that the next step loads again would cost ten times the addition. Where other sums are along the rows,
        the axes stay where they are.
        """
        n = self.shape[-1]
        width = self._width(n, itemsize)
        kept = [r for r in self.reductions if not r.axes[-1]]
        if not kept or self.shifted or not all(any(r.axes) for r in self.reductions):
            return
        vectors = -(-n // width)
        if vectors > COLUMNS or (vectors > 1 and vectors * work > COLUMN_WORK):
            return
        axes = kept[0].axes  # the others are joined in memory, unless they reduce the same
        places = range(len(axes))
        if len(kept) == len(self.reductions):
            self._permute([i for i in places[:-1] if not axes[i]] + [i for i in places if axes[i]] + [places[-1]])
        self.columns = len(kept) == len(self.reductions) or any(r.axes[-2] for r in kept)

    def _width(self, n, itemsize):
        n = max([n, *(s.reach for s in self.shifted)])  # what reaches over a vector ends in the next one
        return max(1, min(self.bytes // max(1, itemsize), 1 << (n - 1).bit_length()))

    def _innermost(self, itemsize, work, packs):
        """The axis to be walked innermost, in vectors; the others keep their order."""

        # usually the one that most accesses walk element by element
        def score(i):
            return sum((a.strides[i] == a.dtype.itemsize) - 2 * (abs(a.strides[i]) > a.dtype.itemsize) for a in self.accesses)

        n = len(self.shape)
        usual = max(range(n), key=lambda i: (score(i), i))
        total = math.prod(self.shape)

        def price(i):
            """About what the nest costs, in additions of a vector."""
            m = self.shape[i]
            width = self._width(m, itemsize)
            vector, row = float(work), 4.0
            for a in self.accesses:
                if a.strides[i] == 0:
                    vector += 0.25
                elif abs(a.strides[i]) == a.dtype.itemsize or (packs and self._repeated(a, i)):
                    vector += 1
                else:
                    vector += 1.5 * width
            for r in self.reductions:
                if r.axes[i]:
                    row += 12  # its lanes are joined
                else:
                    vector += 1  # it is joined in memory
            return total // m * (-(-m // width) * vector * width * itemsize / 32 + row)

        best = min(range(n), key=price)
        return best if price(best) < 0.7 * price(usual) else usual

    def _repeated(self, a, i):
        """Whether an access jumps along axis i and reads each element often enough for a copy in the right order."""
        if not a.movable or abs(a.strides[i]) <= a.dtype.itemsize:
            return False
        return math.prod(n for n, s in zip(self.shape, a.strides) if s == 0) >= REPEATED

    def _pack(self, a, scratch):
        """Read from a copy in which the innermost axis is contiguous."""
        axes = [i for i, s in enumerate(a.strides) if s]
        shape = [self.shape[i] for i in axes]
        strides = [a.strides[i] for i in axes]

        def fill(mem):
            if transposable(shape, strides, a.dtype):
                transpose(self.code, a.mem.ptr, mem.ptr, shape, strides, a.dtype)
                return
            nest = Nest(self.code, shape)
            source = nest.access(a.mem, strides)
            target = nest.access(mem, mem.strides, False)
            nest.run(lambda get: get.store(target, get.load(source)), a.dtype.itemsize)

        if a.shared is not None:
            mem = a.shared(a.dtype, shape, (*shape, *strides), fill)
        else:
            mem = scratch(a.dtype, shape)
            fill(mem)
        a.mem = mem
        a.strides = [0] * len(a.strides)
        for i, s in zip(axes, mem.strides):
            a.strides[i] = s

    def _permute(self, order):
        self.shape = [self.shape[i] for i in order]
        for a in self.accesses:
            a.strides = [a.strides[i] for i in order]
        for r in self.reductions:
            r.axes = [r.axes[i] for i in order]

    # Run

    def run(self, body, itemsize=8, work=10, scratch=None, scalars=None):
        """Emit the nest. body(get) evaluates one vector; get is a `Step`. work: about how many operations it is.

        scratch(dtype, shape): memory for copies of what is read again and again in an unsuitable order. scalars: the Values from
        outside that the body reads, if it reads nothing else but through accesses: then a large nest is cut in pieces.
        """
        if 0 in self.shape:
            for r in self.reductions:
                self.fill(r, r.target.mem)
            return
        self._arrange(itemsize, work, scratch)
        how = None if scalars is None else pieces.cut(self, work)
        self.depth = len(self.shape)
        filled = []  # memory that reductions are joined in
        for r in self.reductions:
            # the trailing reduced axes are summed in registers; beyond them results are joined in memory
            r.column = self.columns and not r.axes[-1]
            r.level = self.depth - r.column
            while r.level and r.axes[r.level - 1]:
                r.level -= 1
            r.whole = not any(r.axes[: r.level])
            r.joined = r.level == self.depth - r.column
            if not r.whole or r.joined:
                filled.append(r)
        if how is None:
            for r in filled:
                self.fill(r, r.target.mem)
            self._emit(body, itemsize, work)
        else:
            pieces.emit(self, how, lambda: self._emit(body, itemsize, work), filled, scalars, scratch)

    def _emit(self, body, itemsize, work):
        n = self.shape[-1]
        width = self._width(n, itemsize)
        self.width = width
        code = self.code
        unroll = 4 if work <= 8 and self.reductions and n >= 16 * width else 1
        if unroll == 1 and self.doubled and n >= 4 * width:
            unroll = 2
        for r in self.reductions:
            if not r.joined:
                short = r.column or math.prod(self.shape[r.level :]) <= SHORT * width
                r.exact = r.kind == "add" and r.dtype.kind == "f" and not short
                r.widths = [step.width if r.column else width for step in self._steps()] if self.columns else [width] * unroll
                r.accumulators = [code.alloca(register(r.dtype, w)) for w in r.widths]
                kind = register(r.dtype, width)
                r.total = (code.alloca(kind), code.alloca(kind)) if r.exact else None
                long = r.column and r.kind == "add" and r.dtype.kind == "f" and self.depth > 1 and self.shape[-2] > STRETCH
                r.totals = [code.alloca(register(r.dtype, w)) for w in r.widths] if long and r.axes[-2] else []
                # an accumulator is flushed when it has joined about BLOCK vectors
                r.flush = self.depth - 1
                while r.flush > r.level and math.prod(self.shape[r.flush :]) < BLOCK * width:
                    r.flush -= 1
        for a in self.accesses:
            a.pointers = [a.mem.ptr]
            a.splat = None
            a.depth = max((i + 1 for i, s in enumerate(a.strides) if s), default=0)
        self.repeatable = self.repeatable and work >= HEAVY and not self.shifted
        self._level(0, body, unroll)

    def fill(self, r, mem):
        """Set memory that a reduction is joined in to its identity."""
        fill = Nest(self.code, mem.shape)
        target = fill.access(mem, mem.strides, False)
        x = r.identity() if r.kind != "add" else 0
        fill.run(lambda get: get.store(target, self.code.constant(x, r.dtype, get.width)), r.dtype.itemsize)

    def _level(self, k, body, unroll):
        code = self.code
        for a in self.accesses:
            if a.reads and a.depth == k and a.strides[-1] == 0:
                a.splat = code.splat(code.load(a.pointers[-1], a.dtype), self.width)
        starting = [r for r in self.reductions if r.level == k and not r.joined]
        for r in starting:
            for acc, w in zip(r.accumulators + r.totals, r.widths * 2):
                code.store_register(self._identity(r, w), acc)
            if r.exact:
                code.store_register(code.constant(-0.0, r.dtype, self.width), r.total[0])
                code.store_register(code.constant(0.0, r.dtype, self.width), r.total[1])
        if k == self.depth - 1:
            self._inner(body, unroll)
        else:
            long = [r for r in self.reductions if r.totals and not r.joined] if k == self.depth - 2 else []
            n = self.shape[k]
            if long:
                with code.loop(0, n, STRETCH) as start:
                    stop = code.emit(f"add nsw i64 {start}, {STRETCH}")
                    self._steps_of(k, start, code.smaller(stop, n) if n % STRETCH else stop, body, unroll)
                    for r in long:
                        self._add_up(r)
            else:
                self._steps_of(k, 0, n, body, unroll)
        for r in starting:
            self._finish(r)

    def _steps_of(self, k, start, stop, body, unroll):
        code = self.code
        with code.loop(start, stop) as i:
            for a in self.accesses:
                a.pointers.append(code.at(a.pointers[-1], code.times(i, a.strides[k])))
            self._level(k + 1, body, unroll)
            for a in self.accesses:
                a.pointers.pop()
            for r in self.reductions:
                if r.exact and r.level <= k and r.flush == k + 1:
                    self._flush(r)

    def _add_up(self, r):
        """Add a stretch of columns to their totals."""
        code = self.code
        for acc, total, w in zip(r.accumulators, r.totals, r.widths):
            parts = (code.load_register(p, r.dtype, w) for p in (total, acc))
            code.store_register(r.join(self.machine, *parts), total)
            code.store_register(self._identity(r, w), acc)

    def _identity(self, r, width):
        return self.code.constant(r.identity(), r.dtype, width)

    def _flush(self, r):
        """Join the accumulators of a sum to its exact total."""
        code, machine = self.code, self.machine
        x = self._joined(r)
        hi, lo = (code.load_register(p, r.dtype, self.width) for p in r.total)
        s, e = two_sum(machine, hi, x)
        code.store_register(s, r.total[0])
        code.store_register(machine.binary("fadd", lo, e), r.total[1])
        for acc in r.accumulators:
            code.store_register(self._identity(r, self.width), acc)

    def _joined(self, r):
        code = self.code
        xs = [code.load_register(acc, r.dtype, self.width) for acc in r.accumulators]
        while len(xs) > 1:
            odd = xs[len(xs) // 2 * 2 :]
            xs = [r.join(self.machine, a, b) for a, b in zip(xs[::2], xs[1::2])] + odd
        return xs[0]

    def _finish(self, r):
        """Reduce the lanes to one number and store it, or join it to what is there."""
        code, machine = self.code, self.machine
        if r.column:
            for step, acc in zip(self._steps(), r.totals or r.accumulators):
                x = code.load_register(acc, r.dtype, step.width)
                step.store(r.target, r.from_zero(machine, code, x) if r.whole else r.join(machine, step.load(r.target), x))
            return
        if r.exact:
            self._flush(r)
            hi, lo = (code.load_register(p, r.dtype, self.width) for p in r.total)
            x = self._sum_lanes(hi, lo)
        else:
            x = self._joined(r)
            while x.width > 1:
                half = x.width // 2
                x = r.join(machine, code.shuffle(x, range(half)), code.shuffle(x, range(half, x.width)))
        ptr = r.target.pointers[-1]
        code.store(r.from_zero(machine, code, x) if r.whole else r.join(machine, code.load(ptr, r.dtype), x), ptr)

    def _sum_lanes(self, hi, lo):
        # hi is finite or lo is meaningless (inf - inf): then it is left away
        code, machine = self.code, self.machine
        while hi.width > 1:
            half = hi.width // 2
            a, b = code.shuffle(hi, range(half)), code.shuffle(hi, range(half, hi.width))
            hi, e = two_sum(machine, a, b)
            low = machine.binary("fadd", code.shuffle(lo, range(half)), code.shuffle(lo, range(half, lo.width)))
            lo = machine.binary("fadd", low, e)
        total = machine.binary("fadd", hi, lo)
        fine = machine.isfinite(hi)
        return machine.select(fine, total, hi)

    def _steps(self):
        """The vectors of a row that is done without a loop."""
        n, w = self.shape[-1], self.width
        return [Step(self, u * w, w, None, u) for u in range(n // w)] + ([self._last(n // w * w, n // w)] if n % w else [])

    def _last(self, done, u):
        """What is left of a row, in a vector that is no wider than need be."""
        rest = self.shape[-1] - done
        width = min(self.width, 1 << (rest - 1).bit_length())
        return Step(self, done, width, rest if rest < width else None, u)

    def _inner(self, body, unroll):
        if self.columns:
            for step in self._steps():
                body(step)
            return
        for s in self.shifted:
            for k in s.carried:
                s.carried[k] = self.code.alloca(register(s.dtype, self.width))
                self.code.store_register(self.code.constant(-0.0, s.dtype, self.width), s.carried[k])
        self._vectors(body, unroll)
        n, w = self.shape[-1], self.width
        done = -(-n // w) * w
        for s in self.shifted:
            if n + s.reach > done:
                nothing = dict.fromkeys(s.carried, self.code.constant(-0.0, s.dtype, w))
                Step(self, done, w, n + s.reach - done, 0).place(s, nothing, ending=s.ending)

    def _vectors(self, body, unroll):
        code, n, w = self.code, self.shape[-1], self.width
        step = w * unroll
        main = n // step * step
        if self.repeatable and unroll == 1 and n > w:
            main = -(-n // w) * w  # the last vector begins earlier, and does some elements again: the body stands there once
        blocked = [r for r in self.reductions if r.exact and not r.joined and r.flush == self.depth - 1]

        def unrolled(i):
            for u in range(unroll):
                at = i if u == 0 else i + u * w if type(i) is int else code.emit(f"add nsw i64 {i}, {u * w}")
                body(self._ending(at, u) if main > n else Step(self, at, w, None, u))

        if main:
            size = BLOCK * w // step * step
            if blocked and main > size:
                # in blocks, so that sums stay short
                with code.loop(0, main, size) as start:
                    stop = code.emit(f"add nsw i64 {start}, {size}")
                    with code.loop(start, code.smaller(stop, main) if main % size else stop, step) as i:
                        unrolled(i)
                    for r in blocked:
                        self._flush(r)
            elif main == step:
                unrolled(0)
            else:
                with code.loop(0, main, step) as i:
                    unrolled(i)
        if main >= n:
            return
        full = (n - main) // w * w
        if self.repeatable and n > w:
            if full and n - main > w:
                with code.loop(main, -(-n // w) * w, w) as i:
                    body(self._ending(i, 0))
            else:
                body(self._ending(main, 0))
            return
        if full == w:
            body(Step(self, main, w, None, 0))
        elif full:
            with code.loop(main, main + full, w) as i:
                body(Step(self, i, w, None, 0))
        if main + full < n:
            body(Step(self, main + full, w, n - main - full, 0) if self.shifted else self._last(main + full, 0))

    def _ending(self, i, u):
        """The vector at i; the one that would reach beyond the end begins earlier, and passes over what has been done."""
        n, w = self.shape[-1], self.width
        if type(i) is int:
            at = min(i, n - w)
            return Step(self, at, w, None, u, i - at or None)
        if n % w == 0:
            return Step(self, i, w, None, u)
        at = self.code.smaller(i, n - w)
        return Step(self, at, w, None, u, self.code.emit(f"sub nsw i64 {i}, {at}"))
