"""Steps: what the steps of a scan of known length do without each other is done for all of them at once.

* `a[t]`, where t counts the steps, is read as the scan goes along a.
* `w @ x` of what a scan reads at its step, and a matrix that stays: one product of two matrices before the scan.
* A matrix to which each step adds an outer product, and which no step reads: one product of two matrices after the scan. Such
  are the gradients of all matrices that a recurrence multiplies by.
* Numbers that cost much (`log`, a quotient) and are made of what the scan reads, or are made for a sum or a result alone: in
  vectors, before or after the scan.

The sums are taken in another order. What it costs is memory: a row a step for each value that goes over the border.
"""

import numpy as np

from ...core.op import OPS
from ...core.types import Array
from ...primitives.index import AT
from ...traces.graph import Const, Graph, Var
from .inline import item_of
from .rewrite import ITEM, PACK, SCAN, broadcasts, count_uses, pure, rebuild

ADD, SUBTRACT, MULTIPLY, MATMUL = (OPS[n] for n in ("add", "subtract", "multiply", "matmul"))
RESHAPE, TRANSPOSE, SUM, OUTER, GETITEM = (OPS[n] for n in ("reshape", "transpose", "sum", "outer", "getitem"))

SHORTEST = 8  # steps from which on it is worth while
LARGEST = 1 << 20  # bytes of the rows that one value makes, if the scan reads and writes no more than that anyway
OUTER_AXIS = 4  # entries of the shorter side of an outer product that is better added up by a product of matrices
_DEAR = {
    "exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh", "expm1",
    "log1p", "exp2", "log2", "log10", "cbrt", "erf", "erfc", "sigmoid", "softplus", "digamma", "gammaln", "power",
}  # fmt: skip
_SLOW = {"divide", "sqrt", "reciprocal"}  # dear enough to be done in vectors where their arguments are read anyway


def steps(graph: Graph) -> Graph:
    """The graph with scans that do less a step."""

    def start(b):
        def step(line):
            if line.op is ITEM:
                return item_of(b, line) or b.append(line)
            length = line.params.get("length")
            if line.op is SCAN and type(length) is int and length >= SHORTEST:
                return _Scan(b, line).result()
            return b.append(line)

        return step

    return rebuild(graph, start)


def _plain(t):
    return type(t) is Array and not t.weak and t.dtype.kind == "f"


class _Scan:
    """One scan: its state, what it reads, what stays, its lines and its rows; the lines that go are in `gone`."""

    def __init__(self, b, line):
        p = line.params
        g, n, m = p["body"], p["n"], p["m"]
        self.b, self.line, self.graph = b, line, g
        self.length = p["length"]
        self.state = list(zip(g.inputs[:n], line.args[:n], g.outputs[:n], strict=True))
        self.reads = dict(zip(g.inputs[n : n + m], line.args[n : n + m], strict=True))  # also what has been done before the scan
        self.stays = dict(zip(g.inputs[n + m :], line.args[n + m :], strict=True))
        self.rows: dict = {}  # what further values the steps give -> its number among them
        self.n, self.m = n, m
        self.uses = count_uses(g)
        self.made = {row.out: row for row in g.lines}
        self.gone: set = set()
        self.sums: dict = {}  # number of a state -> (the line, an outer product or None) of each thing that is added to it
        self.behind: list = []  # lines that are done after the scan
        rows = [a.type for a in line.args[n : n + m]] + list(line.out.type.elems[n:])
        self.room = max(LARGEST, sum(t.size * t.dtype.itemsize for t in rows if type(t) is Array))

    def result(self):
        self.lookups()
        self.products()
        self.numbers_before()
        self.matrices()
        self.numbers_behind()
        return self.rebuilt() if self.gone else self.b.append(self.line)

    def fits(self, t):
        return self.length * t.size * t.dtype.itemsize <= self.room

    # Before the scan

    def lookups(self):
        """`a[t]`, where t counts the steps, is what a scan over a reads."""
        for line in self.graph.lines:
            if line.op is not GETITEM or line.params["index"] != (AT,) or type(line.args[1]) is Const:
                continue
            a, t = line.args
            ts = self.reads.get(t)
            if a not in self.stays or type(ts) is not Const or np.ndim(ts.value) != 1 or ts.value.dtype.kind not in "iu":
                continue
            start, stop = int(ts.value[0]), int(ts.value[0]) + self.length
            if start < 0 or stop > a.type.shape[0] or not np.array_equal(ts.value, np.arange(start, stop)):
                continue
            rows = self.stays[a]
            if stop - start < a.type.shape[0]:
                self.b.where = line.where
                rows = self.b.emit(GETITEM, [rows], {"index": slice(start, stop, None)})
            self.reads[line.out] = rows
            self.gone.add(line)

    def products(self):
        """Matrices that stay, times vectors that are read."""
        for line in self.graph.lines:
            if line.op is not MATMUL or not _plain(line.out.type) or not self.fits(line.out.type):
                continue
            a, x = line.args
            if x in self.reads and a in self.stays and x.type.ndim == 1 and a.type.ndim <= 2:
                a = self.stays[a]
                a = a if a.type.ndim == 1 else self.b.emit(TRANSPOSE, [a], {"axes": (1, 0)})
                self.before(line, MATMUL, [self.reads[x], a])
            elif a in self.reads and x in self.stays and a.type.ndim == 1 and x.type.ndim <= 2:
                self.before(line, MATMUL, [self.reads[a], self.stays[x]])

    def before(self, line, op, args, params=None):
        self.b.where = line.where
        self.reads[line.out] = self.b.emit(op, args, params)
        self.gone.add(line)

    def number(self, line):
        """Whether a line makes one number of numbers, by an op of our own that works entry by entry."""
        t = line.out.type
        if not (_plain(t) and t.shape == () and broadcasts(line.op) and pure(line.op)):
            return False
        changing = [a for a in line.args if type(a) is Var and a not in self.stays]
        return bool(changing) and all(type(a.type) is Array and a.type.shape == () and (type(a) is Const or a.type == t) for a in line.args)

    def numbers_before(self):
        """Numbers that cost much, made of what is read and what stays."""
        free = {}  # number -> whether something dear is in it
        for line in self.graph.lines:
            if not self.number(line):
                continue
            inner = [a for a in line.args if type(a) is Var and a not in self.stays]
            if inner and all(a in free or (a in self.reads and _plain(a.type)) for a in inner):
                dear = line.op.name in _DEAR or line.op.name in _SLOW
                free[line.out] = dear or any(free.get(a) for a in inner)
        done: dict = {}

        def whole(v):
            if type(v) is Const:
                return v
            for table in (self.reads, self.stays, done):
                if v in table:
                    return table[v]
            line = self.made[v]
            self.b.where = line.where
            done[v] = self.b.emit(line.op, [whole(a) for a in line.args], line.params)
            return done[v]

        for v, dear in free.items():
            if dear and self.fits(v.type):
                line = self.made[v]
                self.before(line, line.op, [whole(a) for a in line.args], line.params)

    # After the scan

    def chain(self, i):
        """The lines that add to state i what no step reads, as [(line, what is added, is it subtracted)]; None if it is read."""
        v, _, out = self.state[i]
        if not _plain(v.type) or type(out) is not Var or out is v:
            return None
        found = []
        while v is not out:
            if self.uses.get(v, 0) != 1:
                return None
            line = next((row for row in self.users(v)), None)
            if line is None or line.op not in (ADD, SUBTRACT) or line.out.type != v.type:
                return None
            if line.args[0] is v:
                f = line.args[1]
            elif line.op is ADD:
                f = line.args[0]
            else:
                return None
            if f is v or type(f) is not Var or f.type != v.type:
                return None
            found.append((line, f, line.op is SUBTRACT))
            v = line.out
        return found if self.uses.get(out, 0) == 1 else None

    def users(self, v):
        return [row for row in self.graph.lines if row not in self.gone and any(a is v for a in row.args)]

    def matrices(self):
        """Sums of outer products."""
        for i, (v, _, _) in enumerate(self.state):
            if type(v.type) is not Array or v.type.ndim != 2 or min(v.type.shape) < OUTER_AXIS:
                continue
            found = self.chain(i)
            if not found:
                continue
            pairs = [self.outer(f) for _, f, _ in found]
            if all(pairs):
                self.sums[i] = [(pair, minus) for pair, (_, _, minus) in zip(pairs, found, strict=True)]
                for line, f, _ in found:
                    self.gone |= {line, self.made[f]}

    def outer(self, f):
        """The two vectors whose outer product f is, if nobody else reads it."""
        line = self.made.get(f)
        if line is None or line in self.gone or self.uses.get(f, 0) != 1:
            return None
        m, k = f.type.shape
        if line.op is OUTER:
            pair = line.args
        elif line.op is MULTIPLY:
            a, x = line.args
            if a.type.shape != (m, 1):
                a, x = x, a
            if a.type.shape != (m, 1) or x.type.shape not in ((k,), (1, k)):
                return None
            pair = [self.flat(a), self.flat(x)]
        else:
            return None
        return pair if all(type(x) is Var and x.type.dtype == f.type.dtype and self.fits(x.type) for x in pair) else None

    def flat(self, v):
        """The vector of which v is a row or a column, where it is one."""
        line = self.made.get(v)
        return line.args[0] if line is not None and line.op is RESHAPE and line.args[0].type.ndim == 1 else v

    def numbers_behind(self):
        """Numbers that cost much, made for sums or rows alone."""
        chains = {}
        for i, (v, _, _) in enumerate(self.state):
            if i not in self.sums and type(v.type) is Array and v.type.shape == ():
                found = self.chain(i)
                if found and not any(f in self.stays for _, f, _ in found):
                    chains[i] = found
        adds = {line for found in chains.values() for line, _, _ in found}
        last = {id(v) for v in self.graph.outputs[: self.n]}
        moved: list = []
        inside = set(adds)
        users: dict = {}
        for line in self.graph.lines:
            for a in line.args:
                users.setdefault(a, []).append(line)
        for line in reversed(self.graph.lines):
            if line in self.gone or line in inside or id(line.out) in last or not self.number(line):
                continue
            if all(u in inside for u in users.get(line.out, ())):
                inside.add(line)
                moved.append(line)
        chains = {i: found for i, found in chains.items() if any(self.made.get(f) in inside for _, f, _ in found)}
        if not any(line.op.name in _DEAR for line in moved):
            return
        # what would have to be given to the lines behind: no more than a few rows
        needed = {a for line in moved for a in line.args} | {f for found in chains.values() for _, f, _ in found}
        given = [a for a in needed if type(a) is Var and self.made.get(a) not in inside and a not in self.stays]
        if len(given) > 4 or any(not _plain(a.type) or not self.fits(a.type) for a in given):
            return
        for i, found in chains.items():
            self.sums[i] = [(f, minus) for _, f, minus in found]
            self.gone |= {line for line, _, _ in found}
        kept = {line for line in adds if line not in self.gone}
        wanted_by_kept = {a for line in kept for a in line.args}
        self.behind = [line for line in reversed(moved) if line.out not in wanted_by_kept]
        self.gone |= set(self.behind)

    # What comes of it

    def row(self, v):
        """Have the steps give v: its number among the rows."""
        return self.rows.setdefault(v, len(self.rows))

    def rebuilt(self):
        b, g, n = self.b, self.graph, self.n
        state = [i for i in range(n) if i not in self.sums]
        outs = [g.outputs[i] for i in state]
        late = {line.out for line in self.behind}
        for v in g.outputs[n:]:
            if v not in late:
                self.row(v)
        outside: dict = {}  # variable of the body -> the array of its values at all steps

        def ask(v):
            if type(v) is Var and v not in late and v not in self.reads and v not in self.stays:
                self.row(v)

        for line in self.behind:
            for a in line.args:
                ask(a)
        for terms in self.sums.values():
            for what, _ in terms:
                for v in what if type(what) is list or type(what) is tuple else [what]:
                    ask(v)
        lines = [line for line in g.lines if line not in self.gone]
        used = {a for line in lines for a in line.args} | set(outs) | set(self.rows)
        reads = [v for v in self.reads if v in used]
        inputs = [self.state[i][0] for i in state] + reads + list(self.stays)
        body = Graph(inputs, lines, outs + list(self.rows), g.structure, (), g.name).prune()
        args = [self.state[i][1] for i in state] + [self.reads[v] for v in reads] + list(self.stays.values())
        b.where = self.line.where
        t = b.emit(SCAN, args, {**self.line.params, "body": body, "n": len(state), "m": len(reads)})

        def item(k):
            return b.emit(ITEM, [t], {"index": k})

        def whole(v):
            if type(v) is Const:
                return v
            if v in self.stays:
                return self.stays[v]
            if v not in outside:
                outside[v] = self.reads[v] if v in self.reads else item(len(state) + self.rows[v])
            return outside[v]

        for line in self.behind:
            b.where = line.where
            outside[line.out] = b.emit(line.op, [whole(a) for a in line.args], line.params)
        b.where = self.line.where
        results = []
        for i in range(n):
            if i in self.sums:
                results.append(self.total(self.state[i][1], self.sums[i], whole))
            else:
                results.append(item(state.index(i)))
        for v, kind in zip(g.outputs[n:], self.line.out.type.elems[n:], strict=True):
            results.append(outside[v] if v in late else item(len(state) + self.rows[v]))
            assert results[-1].type == kind
        return b.emit(PACK, results)

    def total(self, first, terms, whole):
        """A state after the scan: what it was before, and what all the steps add."""
        b = self.b
        for what, minus in terms:
            if type(what) is list or type(what) is tuple:
                u, v = (self.rows_of(whole(x)) for x in what)
                y = b.emit(MATMUL, [b.emit(TRANSPOSE, [u], {"axes": (1, 0)}), v])
            else:
                y = b.emit(SUM, [whole(what)], {"axes": (-1,), "keepdims": False})
            first = b.emit(SUBTRACT if minus else ADD, [first, y])
        return first

    def rows_of(self, x):
        """Vectors of all steps, as a matrix."""
        size = x.type.size // self.length
        return x if x.type.ndim == 2 else self.b.emit(RESHAPE, [x], {"shape": (self.length, size)})
