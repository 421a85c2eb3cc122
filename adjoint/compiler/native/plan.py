"""Plan: in which steps the lines of a graph run, and what each array is stored in.

A step is one line done directly (a small array in registers, a view, a product by BLAS, a loop, a call back), or one Group:
elementwise lines and reductions that share an iteration space, fused into one loop. Lines get levels: a value that a loop
makes is there for other lines of the same loop at once, for everything else one level later. So the forward and the
backward pass of `sum(f(x))` are one loop.
"""

from ...core.types import Array
from ...traces.derive import COMPARISONS, rounding
from ...traces.graph import Const, Var
from .code import supported
from .machine import cost
from .storage import contiguous_strides, is_small

REDUCTIONS = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum", "all": "logical_and", "any": "logical_or"}
WRITES = {"index_set", "index_add", "diagonal_add"}
COPIES = {"concatenate", "stack", "scatter"} | WRITES  # read their values by loops
VIEWS = {"reshape", "transpose", "broadcast_to", "getitem", "flip", "real", "imag"}
MOVED = 32  # lines that are moved, at the most, so that one write can be done in place
SHORT_AXIS, LONG_AXIS = 32, 64  # what only loops read is stored with a long axis innermost rather than a short one
REACH = 8  # elements that a sum in a loop may shift its terms
WHOLE, LONGEST = 800, 200  # lines up to which a loop is left in one, as values go through memory else; lines of the parts of a longer one
RECOMPUTE = 4  # a value that costs less than this many additions is computed again rather than stored and loaded


class Group:
    """Lines fused into one loop over `space`, at one level."""

    __slots__ = ("level", "lines", "space", "stores", "sums")

    def __init__(self, space, level):
        self.space = space
        self.level = level
        self.lines: list = []
        self.stores: list = []  # variables that others read from memory
        self.sums: list = []  # results of sums of shifted terms


def squeezed(shape):
    return tuple(n for n in shape if n != 1)


def moved_strides(t, axis):
    """The strides of an array of this type that is stored with `axis` innermost."""
    order = [i for i in range(len(t.shape)) if i != axis] + [axis]
    inner = contiguous_strides(t.dtype, [t.shape[i] for i in order])
    return tuple(inner[order.index(i)] for i in range(len(order)))


def has_effect(line):
    """Whether a line, or a body of it, prints, checks or draws: such lines keep their order."""
    return line.op.effect or any(getattr(v, "effect", False) for v in line.params.values())


class Plan:
    """The steps of one graph. `native(line)`: whether the machine does an elementwise line in registers.

    mutable: inputs that the graph owns and may overwrite, such as the state of a loop.
    """

    def __init__(self, graph, native, mutable=()):
        self.graph = graph
        self.native = native
        self.level: dict = {id(v): 0 for v in graph.inputs}
        self.space: dict = {}  # variables that a loop computes -> iteration space; () for reductions
        self.line_of: dict = {id(line.out): line for line in graph.lines}
        self.users: dict = {}
        for line in graph.lines:
            for a in line.args:
                self.users.setdefault(id(a), []).append(line)
        self.outputs = {id(v) for v in graph.outputs if type(v) is Var}
        self._levels()
        self._sink()
        self._cut()
        self._stores()
        self.steps = self._order()
        self.mutable = {id(v) for v in mutable}
        self._lifetimes()
        self._joins()
        self.dying: dict = {}  # step -> roots that nobody reads after it
        for k, i in self.ends.items():
            self.dying.setdefault(i, []).append(k)

    # What is done where

    def is_map(self, line):
        """An elementwise line that belongs in a loop."""
        t = line.out.type
        if type(t) is not Array or is_small(t) or t.size == 0:
            return False
        return self.native(line) or self.alias(line) or self.gathers(line)

    def alias(self, line):
        """A reshape or broadcast that only adds or takes axes of length 1, of a value that a loop computes."""
        if line.op.name not in ("reshape", "broadcast_to") or id(line.args[0]) not in self.space:
            return False
        a = line.args[0].type
        return squeezed(a.shape) == squeezed(line.out.type.shape) == self.space[id(line.args[0])]

    def gathers(self, line):
        """x[i, j] with arrays for indices: a load at computed places."""
        return line.op.name == "getitem" and any(a.type.shape for a in line.args[1:]) and supported(line.args[0].type.dtype)

    def is_reduction(self, line):
        if line.op.name not in REDUCTIONS:
            return False
        t = line.args[0].type
        return not is_small(t) and t.size > 0 and supported(t.dtype) and supported(line.out.type.dtype)

    def is_shifted_sum(self, line):
        """A sum of vectors that a loop computes, each put a few elements further on: the loop holds back what reaches over a vector."""
        t = line.out.type
        if line.op.name != "scatter_sum" or len(t.shape) != 1 or is_small(t) or t.dtype.kind != "f":
            return False
        shape = line.args[0].type.shape
        boxes = line.params["boxes"]
        if None in boxes or not all(type(a) is Var and a.type.shape == shape and supported(a.type.dtype) for a in line.args):
            return False
        starts = [first for ((first, _),) in boxes]
        near = max(starts) - min(starts) <= REACH <= shape[0]
        return near and shape != t.shape and any(self.space.get(id(a)) == shape for a in line.args)

    def by_argument(self, line):
        """Whether a line is in the loop over its first argument's axes."""
        return self.is_reduction(line) or self.is_shifted_sum(line)

    def ready(self, a, space=None):
        """From which level on a value can be read, in a loop over `space` or (None) directly."""
        if type(a) is Const:
            return 0
        level = self.level[id(a)]
        if id(a) in self.space and (space is None or self.space[id(a)] != space or space == ()):
            return level + 1
        return level

    def _levels(self):
        effects = 0
        for line in self.graph.lines:
            out = line.out
            if self.is_map(line):
                space = squeezed(out.type.shape)
                args = line.args
                level = max((self.ready(a, space) for a in args), default=0)
                if self.gathers(line):  # its array is read anywhere
                    level = max(level, self.ready(args[0]))
                self.space[id(out)] = space
            elif self.by_argument(line):
                space = squeezed(line.args[0].type.shape)
                level = max(self.ready(a, space) for a in line.args)
                self.space[id(out)] = ()
            else:
                level = max((self.ready(a) for a in line.args), default=0)
                if has_effect(line):
                    level = effects = max(level, effects)
            self.level[id(out)] = level

    def same_loop(self, line, v):
        """Whether `line`, a user of v, can be in v's loop."""
        space = self.space[id(v)]
        if id(line.out) not in self.space:
            return False
        if self.gathers(line) and line.args[0] is v:
            return False
        if not self.space[id(line.out)]:
            return squeezed(line.args[0].type.shape) == space
        return self.space[id(line.out)] == space

    def _sink(self):
        """Move what only later loops over the same space read into the first of these: it need not be stored."""
        for line in reversed(self.graph.lines):
            v = line.out
            space = self.space.get(id(v))
            if not space or id(v) in self.outputs:
                continue
            users = self.users.get(id(v), ())
            if users and all(self.same_loop(u, v) for u in users):
                first = min(self.level[id(u.out)] for u in users)
                self.level[id(v)] = max(self.level[id(v)], first)

    def _cut(self):
        """Which of the loops over a space, at its level, a line is in: one after the other, where one would be longer than WHOLE.

        What LLVM takes grows faster than the body of a loop: 4,400 lines in eleven loops take 0.7 to 0.9 of the time in one.
        """
        self.turn: dict = {}
        loops: dict = {}
        for line in self.graph.lines:
            v = line.out
            if id(v) in self.space:
                key = self.level[id(v)], self.space[id(v)] or squeezed(line.args[0].type.shape)
                loops.setdefault(key, []).append(v)
        for values in loops.values():
            longest = LONGEST if len(values) > WHOLE else WHOLE
            self.turn.update((id(v), n // longest) for n, v in enumerate(values))

    def when(self, v):
        """When a loop's value is computed."""
        return self.level[id(v)], self.turn[id(v)]

    def _stores(self):
        """Which loop values go to memory; the others that later loops want are computed again.

        `a * b + c` may be rounded once in one loop and twice in another, where a * b has other users too. So what a
        comparison is made of is not computed again if that might change it: `v == max(v)` must hold somewhere, and
        `max(v) - v` must not be negative.
        """
        self.stored: set = set()
        again: dict = {}  # what computing a value again costs
        compared = self._compared()
        products: set = set()
        loose: set = set()  # values that may be rounded differently when they are computed again
        for line in self.graph.lines:
            v = line.out
            if not self.space.get(id(v)):
                continue
            price = cost(line.op.name) + sum(again.get(id(a), 0.5) for a in line.args)
            rounding(line, products, loose)
            later = False
            must = id(v) in self.outputs
            for u in self.users.get(id(v), ()):
                if not self.same_loop(u, v):
                    must = True
                elif self.when(u.out) > self.when(v):
                    later = True
            if must or (later and (price > RECOMPUTE or (id(v) in loose and id(v) in compared))):
                self.stored.add(id(v))
                loose.discard(id(v))
                price = 0.5
            again[id(v)] = price

    def _compared(self):
        """Comparisons in loops, maxima, and what they are made of at so little cost that it might be computed again."""
        out: set = set()
        for line in reversed(self.graph.lines):
            if id(line.out) in self.space and (line.op.name in COMPARISONS or id(line.out) in out):
                out.add(id(line.out))
                if cost(line.op.name) <= RECOMPUTE:
                    out |= {id(a) for a in line.args}
        return out

    def _order(self):
        groups: dict = {}
        direct: dict = {}
        for line in self.graph.lines:
            v = line.out
            level = self.level[id(v)]
            if id(v) in self.space:
                space = self.space[id(v)] or squeezed(line.args[0].type.shape)
                key = space, self.turn[id(v)]
                group = groups.setdefault(level, {}).setdefault(key, Group(space, level))
                group.lines.append(line)
                if id(v) in self.stored:
                    group.stores.append(v)
                elif not self.space[id(v)] and self.is_shifted_sum(line):
                    group.sums.append(v)
            else:
                direct.setdefault(level, []).append(line)
        steps: list = []
        for level in sorted({*groups, *direct}):
            steps += self._reads_first(direct.get(level, []))
            steps += groups.get(level, {}).values()
        return steps

    def _reads_first(self, lines):
        """The lines of one level, with readers of an array before the line that writes into it, where nothing forbids that.

        Only then can the write be done in place: `g[i] = 0` after `v = g[i]`, however the program put them.
        """
        if not any(map(self.writes, lines)):
            return lines
        place = {id(line.out): i for i, line in enumerate(lines)}
        readers: dict = {}
        for line in lines:
            for a in line.args:
                readers.setdefault(id(a), []).append(line)
        out: list = []
        done: set = set()

        def needed(line, writer):
            """What must come first for `line`, itself included, as places; None if it cannot precede the writer."""
            wanted = {place[id(line.out)]}
            stack = [line]
            while stack:
                now = stack.pop()
                if now is writer or has_effect(now) or self.writes(now) or len(wanted) > MOVED:
                    return None
                for a in now.args:
                    i = place.get(id(a))
                    if i is not None and i not in done and i not in wanted:
                        wanted.add(i)
                        stack.append(lines[i])
            return wanted

        for k, line in enumerate(lines):
            if k in done:
                continue
            if self.writes(line):
                for reader in readers.get(id(line.args[0]), ()):
                    if reader is not line and place[id(reader.out)] not in done:
                        first = needed(reader, line)
                        if first is not None:
                            out += [lines[i] for i in sorted(first)]
                            done |= first
            out.append(line)
            done.add(k)
        return out

    def strides(self, v):
        """How a loop's value is laid out in memory: None for row by row."""
        t = v.type
        shape = squeezed(t.shape)
        if id(v) not in self.space or len(shape) < 2:
            return None
        m, n = shape[-1], max(shape)
        if m > SHORT_AXIS or n < LONG_AXIS or n < 4 * m:
            return None
        return moved_strides(t, t.shape.index(n)) if self.only_loops_read(v) else None

    def only_loops_read(self, v):
        """Whether loops alone, which walk memory in any order, read a variable, views of it, and what is written into it."""
        if id(v) in self.outputs:
            return False
        return all(id(u.out) in self.space or self._walks(u, v) for u in self.users.get(id(v), ()))

    def _walks(self, u, v):
        name = u.op.name
        if id(u.out) in self.in_place and u.args[0] is v:
            return self.only_loops_read(u.out)
        if name in COPIES and not any(getattr(a.type, "shape", ()) for a in self.index_of(u)):
            return name not in WRITES or u.args[0] is not v
        return self.is_view(u) and name != "reshape" and self.only_loops_read(u.out)

    @staticmethod
    def index_of(line):
        """The index arrays of a write."""
        return line.args[2:] if line.op.name in WRITES else line.args[1:] if line.op.name == "scatter" else ()

    # Lifetimes

    def reads(self, step):
        """The variables that a step reads from outside, as stored or made by other steps."""
        if type(step) is not Group:
            return [a for a in step.args if type(a) is Var]
        out = []
        seen = set()
        own = {id(line.out) for line in step.lines}
        stack = [a for line in step.lines for a in line.args]
        while stack:
            a = stack.pop()
            if type(a) is not Var or id(a) in seen:
                continue
            seen.add(id(a))
            if id(a) in own:
                continue
            if self.space.get(id(a)) and id(a) not in self.stored:
                stack += self.line_of[id(a)].args  # computed again
            else:
                out.append(a)
        return out

    def made(self, step):
        return step.stores + step.sums if type(step) is Group else [step.out]

    def _lifetimes(self):
        root: dict = {}  # a view -> whose memory it shows

        def of(v):
            while id(v) in root:
                v = root[id(v)]
            return v

        reads = [self.reads(step) for step in self.steps]
        last: dict = {}  # root -> the last step that reads it
        for i, step in enumerate(self.steps):
            for a in reads[i]:
                last[id(of(a))] = i
            if type(step) is not Group and self.is_view(step):
                root[id(step.out)] = step.args[0]
        end = len(self.steps)
        for v in self.graph.outputs:
            if type(v) is Var:
                last[id(of(v))] = end
        owned = set(self.mutable)
        self.in_place: set = set()  # steps that write into the memory of their first argument
        joined = dict(root)  # as root, and a result written in place shows its argument's memory
        for i, step in enumerate(self.steps):
            if type(step) is Group:
                owned |= {id(v) for v in self.made(step)}
                continue
            if self.is_view(step):
                continue
            if self.writes(step):
                x = step.args[0]
                apart = all(of(a) is not x for a in step.args[1:])  # y[1:] = y[:-1] must not read what it has written
                if type(x) is Var and id(x) in owned and id(x) not in root and last.get(id(x)) == i and apart:
                    self.in_place.add(id(step.out))
                    joined[id(step.out)] = x
            if step.op.name == "item" or (type(step.out.type) is Array and not is_small(step.out.type)):
                owned.add(id(step.out))

        def base(v):
            first = v
            while id(v) in joined:
                v = joined[id(v)]
            if first is not v:
                joined[id(first)] = v  # a chain of writes in place is walked once
            return v

        self.base = base
        ends: dict = {}
        for i, step in enumerate(self.steps):
            for a in reads[i]:
                ends[id(base(a))] = i
            for v in self.made(step):
                ends[id(base(v))] = max(i, ends.get(id(base(v)), i))
        for v in self.graph.outputs:
            if type(v) is Var:
                ends[id(base(v))] = end
        self.ends = ends  # root -> the last step that reads it

    def _joins(self):
        """Which values are parts of a larger array and are written there: by the loop that computes them, or as part of another join.

        What others read too is not put where its elements are no neighbours.
        """
        self.joins: dict = {}  # value -> (the line that puts it beside others, which of its arguments it is)
        changed = {id(line.args[0]) for line in self.graph.lines if id(line.out) in self.in_place}
        for line in self.graph.lines:
            t = line.out.type
            if line.op.name not in ("stack", "concatenate") or is_small(t) or id(line.out) in self.space:
                continue
            inner = line.op.name == "concatenate" or line.params["axis"] != -1
            for k, a in enumerate(line.args):
                if type(a) is not Var or id(a) in self.joins or id(a) in self.outputs or id(a) in changed or id(a) in self.mutable:
                    continue
                if a.type.dtype != t.dtype or is_small(a.type) or sum(b is a for b in line.args) > 1 or self.base(a) is not a:
                    continue
                made = self.line_of.get(id(a))
                joined = made is not None and made.op.name in ("stack", "concatenate")
                if (joined or self.space.get(id(a))) and (inner or len(self.users[id(a)]) == 1):
                    self.joins[id(a)] = line, k
        for k, (line, _) in list(self.joins.items()):
            if len(self.users[k]) > 1 and self._changes(line, changed):
                del self.joins[k]  # somebody may read it after that
        for k, (line, _) in self.joins.items():  # the whole lives as long as its parts
            while id(line.out) in self.joins:
                line, _ = self.joins[id(line.out)]
            whole = id(self.base(line.out))
            self.ends[whole] = max(self.ends[whole], self.ends[k])

    def _changes(self, join, changed):
        """Whether the result of a join, or what it is itself a part of, is written to in place."""
        while id(join.out) not in changed:
            if id(join.out) not in self.joins:
                return False
            join, _ = self.joins[id(join.out)]
        return True

    def is_view(self, line):
        """A line whose result shows its argument's memory."""
        if type(line.out.type) is not Array or is_small(line.out.type) or line.op.name not in VIEWS:
            return False
        if line.op.name in ("real", "imag"):
            return line.args[0].type.dtype.kind == "c"
        return line.op.name != "getitem" or not any(a.type.shape for a in line.args[1:])

    def writes(self, line):
        """A line whose result is its first argument with a part changed."""
        return line.op.name in WRITES and not is_small(line.out.type)
