"""Columns: long arrays with few columns that are read or put together column by column are computed as vectors, one a column.

Code that works on records, `camera[:, 3:6]`, `y[:, 0]`, `concatenate([c, x], axis=1)`, and its way back, which adds up the
cotangents of columns, would walk through memory once for each piece. As vectors all of it is one loop over the records, whose
values stay in registers. What somebody wants whole is put together at the end.

The same goes for arrays of more axes whose last one is short, such as the differences of all pairs of points: a sum over that axis
is a few additions then, and no loop of its own that all others have to wait for.
"""

import math
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...core.op import OPS
from ...core.types import Array
from ...primitives.index import AT, _expand
from ...traces.graph import Const, Graph, Line, Var
from .algebra import never_minus_zero
from .cse import cse
from .dce import dce
from .inline import item_of
from .rewrite import ITEM, PACK, SCAN, Builder, bodies, broadcasts, pure, rebuild
from .simplify import simplify

_op = OPS.__getitem__
GETITEM, SCATTER, SET, ADD, SUM, RESHAPE, BROADCAST, CONCATENATE, STACK = map(
    _op, ("getitem", "scatter", "index_set", "add", "sum", "reshape", "broadcast_to", "concatenate", "stack")
)
LONG, WIDE = 64, 16  # rows at the least, columns at the most
NARROW, REGISTERS = 4, 16  # of arrays with more axes: columns at the most, and entries that a column has more of
GAIN = 2  # columns read or put, at the least, beyond the arrays that are read from memory or wanted whole
MANY = 3000  # lines that the pass may make


def columns(graph: Graph) -> Graph:
    """The graph with such arrays computed column by column."""
    chosen: set = set()
    whole: set = set()
    _choose(graph, chosen, whole, set())
    if not chosen:
        return graph
    return rebuild(cse(dce(simplify(rebuild(graph, lambda b: _Columns(b, chosen, whole).step)))), _carrying)


# Which arrays


class Use(NamedTuple):
    """What a line does with columns: the arguments that it takes as columns, and whether its result is an array of columns."""

    args: tuple
    many: bool
    pays: bool  # it reads or writes some of the columns


def _records(t):
    """Whether an array has few columns, of which each is long, or is one of many axes; or is itself what such are made of."""
    if type(t) is not Array or t.ndim < 2 or t.weak or t.dtype.kind not in "fib" or 0 in t.shape:
        return False
    return _long(t) or t.shape[-1] <= NARROW


def _long(t):
    """Whether an array is a reason to compute columns: two axes and many rows, or more axes, each column too large for registers."""
    if t.ndim == 2:
        return t.shape[0] >= LONG and t.shape[1] <= WIDE
    return t.shape[-1] <= NARROW and math.prod(t.shape[:-1]) > REGISTERS


def _span(index, shape):
    """The columns that an index stands for, of all rows: a range, or an int; None if it is another index."""
    entries = [i for i in _expand(index, len(shape)) if i is not Ellipsis]
    if len(entries) != len(shape) or any(type(i) is not slice or i.indices(n) != (0, n, 1) for i, n in zip(entries[:-1], shape)):
        return None
    i = entries[-1]
    if type(i) is int:
        return i % shape[-1]
    return range(*i.indices(shape[-1])) if type(i) is slice else None


def _use(line):
    """How a line works on columns; None if it does not."""
    op, args, params, t = line.op, line.args, line.params, line.out.type
    if not pure(op) or type(t) is not Array or any(type(a.type) is not Array for a in args):
        return None
    out = _records(t)
    if broadcasts(op):
        if not out or any(a.type.dtype.kind not in "fib" for a in args):
            return None
        taken = tuple(a for a in args if _records(a.type))
        long = any(a.type.ndim == t.ndim and a.type.shape[0] == t.shape[0] for a in taken)
        spread = t.ndim > 2 and t.shape[-1] > 1 and any(a.type.shape == (*t.shape[:-1], 1) for a in args)
        return Use(taken, True, spread) if long or t.ndim > 2 else None
    if op is SUM:
        x = args[0].type
        if not _records(x) or x.shape[-1] == 1 or x.dtype != t.dtype or params["axes"] is None:
            return None
        if -1 in params["axes"] and params["keepdims"] and not out:
            return None
        return Use(args, out and (-1 not in params["axes"] or params["keepdims"]), x.ndim > 2 and params["axes"] == (-1,))
    if op is GETITEM and len(args) == 1:
        if not _records(args[0].type) or _span(params["index"], args[0].type.shape) is None or t.size == 0:
            return None
        return Use(args, t.ndim == args[0].type.ndim, True)
    if op is GETITEM:  # whole rows, by their numbers
        rows = out and t.ndim == 2 and params["index"] == (AT,) and args[0].type.ndim == 2 and args[1].type.ndim == 1
        return Use((), True, False) if rows else None
    if op is RESHAPE:
        x = args[0].type
        if out and t.shape == (*x.shape, 1):
            return Use((), True, False)
        if _records(x) and x.shape == (*t.shape, 1):
            return Use(args, False, False)
        return Use(args, True, False) if out and _records(x) and x.shape[-1] == t.shape[-1] and t.shape[-1] > 1 else None
    if not out:
        return None
    if op is BROADCAST:
        return Use(args, True, False) if _records(args[0].type) and args[0].type.ndim == t.ndim else None
    if op in (SCATTER, SET) and len(args) == (1 if op is SCATTER else 2):
        span = _span(params["index"], t.shape)
        v = args[-1]
        if span is None or v.type.dtype != t.dtype or v.type.shape != (*t.shape[:-1], *(() if type(span) is int else (len(span),))):
            return None
        taken = args if type(span) is not int else args[:-1]
        return Use(tuple(taken), True, True) if all(_records(a.type) for a in taken) else None
    if op in (CONCATENATE, STACK) and params["axis"] == -1 and all(a.type.dtype == t.dtype for a in args):
        if op is STACK:
            return Use((), True, False)
        return Use(args, True, True) if all(_records(a.type) for a in args) else None
    return None


def _choose(graph, chosen, whole, seen):
    """Note the arrays to be computed as columns, and which of them somebody wants whole, here and in the bodies."""
    if id(graph) in seen:
        return
    seen.add(id(graph))
    for line in graph.lines:
        for _, g in bodies(line):
            _choose(g, chosen, whole, seen)
    uses = {line.out: _use(line) for line in graph.lines}
    if not any(u is not None and u.pays for u in uses.values()):
        return
    parent: dict = {}

    def root(v):
        while parent.setdefault(v, v) is not v:
            parent[v] = v = parent[parent[v]]
        return v

    for line in graph.lines:
        use = uses[line.out]
        group = [] if use is None else [a for a in use.args if type(a) is Var] + [line.out] * use.many
        for a, b in pairwise(group):
            parent[root(a)] = root(b)
    computed = {v for v, u in uses.items() if u is not None and u.many}
    large = {root(v) for v in computed if _long(v.type)}
    wanted = {v for v in graph.outputs if type(v) is Var}
    gain: dict = {}
    size: dict = {}
    read: set = set()
    for line in graph.lines:
        use = uses[line.out]
        taken = () if use is None else use.args
        wanted |= {a for a in line.args if type(a) is Var and not any(a is x for x in taken)}
        if use is None or not (use.many or taken):
            continue
        r = root(line.out if use.many else next(a for a in taken if type(a) is Var))
        size[r] = size.get(r, 0) + (line.out.type.shape[-1] if use.many else 1)
        of_computed = line.op is not GETITEM or (taken and taken[0] in computed)
        gain[r] = gain.get(r, 0) + (use.pays and of_computed)
        read |= {a for a in taken if type(a) is Var and a not in computed}
    for v in [*(v for v in wanted if v in computed), *read]:  # these are put together, or walked in steps
        if v.type.shape[-1] > 1 and _long(v.type):
            gain[root(v)] = gain.get(root(v), 0) - 1
    good = {r for r, n in gain.items() if n >= GAIN and size.get(r, 0) <= MANY and r in large}
    chosen |= {v for v in computed if root(v) in good}
    whole |= {v for v in wanted if v in computed and root(v) in good}


# The columns


def _read(b, v):
    """The columns of an array, read from it."""
    if type(v) is Const:
        return [Const(np.ascontiguousarray(v.value[..., j])) for j in range(v.type.shape[-1])]
    return [b.emit(GETITEM, [v], {"index": (..., j)}) for j in range(v.type.shape[-1])]


class _Columns:
    """One graph being rebuilt: the columns of what is known by them."""

    def __init__(self, b, chosen, whole):
        self.b = b
        self.chosen = chosen
        self.whole = whole
        self.known: dict = {}

    def step(self, line):
        use = _use(line)
        v = line.out
        if use is None or not (v in self.chosen or any(a in self.known for a in use.args if type(a) is Var)):
            return self.b.append(line)
        row = self.columns_of(line)
        if not use.many:
            return self.full(row[0], v.type.shape)
        if v in self.chosen and v not in self.whole:
            self.known[v] = row
            return v
        out = self.b.emit(STACK, [self.full(x, v.type.shape[:-1]) for x in row], {"axis": -1})
        self.known[out] = row
        return out

    def full(self, x, shape):
        """A column in full length: it may be one number, or shorter along other axes."""
        return x if x.type.shape == shape else self.b.emit(BROADCAST, [x], {"shape": shape})

    def take(self, v):
        """The columns of an array."""
        if type(v) is Const or v not in self.known:
            row = _read(self.b, v)
            if type(v) is Const:
                return row
            self.known[v] = row
        return self.known[v]

    def entry(self, a, j):
        """What an argument of an entrywise line gives to column j."""
        shape = a.type.shape
        if not shape:
            return a
        if len(shape) > 1:
            row = self.take(a)
            return row[j if len(row) > 1 else 0]
        index = (j if shape[-1] > 1 else 0,)
        return Const(a.value[index]) if type(a) is Const else self.b.emit(GETITEM, [a], {"index": index})

    def columns_of(self, line):
        op, args, params, t = line.op, line.args, line.params, line.out.type
        b = self.b
        if broadcasts(op):
            return [b.emit(op, [self.entry(a, j) for a in args], params) for j in range(t.shape[-1])]
        if op is SUM:
            return self.sums(line)
        if op is GETITEM and len(args) == 1:
            span = _span(params["index"], args[0].type.shape)
            row = self.take(args[0])
            return [row[span]] if type(span) is int else [row[j] for j in span]
        if op is GETITEM:
            return [b.emit(GETITEM, args, {"index": (AT, j)}) for j in range(t.shape[1])]
        if op is RESHAPE:
            if t.shape[:-1] == args[0].type.shape:
                return [args[0]]
            row = self.take(args[0])
            if t.shape == args[0].type.shape[:-1]:
                return row
            return [b.emit(RESHAPE, [self.full(x, args[0].type.shape[:-1])], {"shape": t.shape[:-1]}) for x in row]
        if op is BROADCAST:
            row = [self.full(x, t.shape[:-1]) for x in self.take(args[0])]
            return row * (t.shape[-1] // len(row))
        if op is CONCATENATE:
            return [x for a in args for x in self.take(a)]
        if op is STACK:
            return list(args)
        span = _span(params["index"], t.shape)
        row = [Const(t.dtype.type(0))] * t.shape[-1] if op is SCATTER else list(self.take(args[0]))
        new = [args[-1]] if type(span) is int else self.take(args[-1])
        for j, x in zip([span] if type(span) is int else span, new, strict=True):
            row[j] = x
        return row

    def sums(self, line):
        """Of the columns, together or each by itself."""
        b, x, params, t = self.b, line.args[0], line.params, line.out.type
        row = self.take(x)
        axes = tuple(a + 1 for a in params["axes"] if a != -1)  # of a column
        if -1 in params["axes"]:
            kind = t.dtype.kind
            total = None if kind not in "fc" or any(never_minus_zero(b, y) for y in row) else Const(t.dtype.type(0))  # sums start at 0
            for y in row:
                total = y if total is None else b.emit(ADD, [total, y])
            row = [total]
        if axes:
            row = [b.emit(SUM, [self.full(y, x.type.shape[:-1])], {**params, "axes": axes}) for y in row]
        if -1 in params["axes"] or _records(t):
            return row
        return [b.emit(STACK, row, {"axis": -1})]


# The state of scans


def _carrying(b):
    """Scans whose state is read and put together by columns carry the columns."""

    def step(line):
        if line.op is ITEM:
            return item_of(b, line) or b.append(line)
        places = _by_columns(line) if line.op is SCAN else ()
        return _carry(b, line, places) if places else b.append(line)

    return step


def _by_columns(line):
    """Which arrays of the state are only read by columns, and put together of such at each step."""
    body, n = line.params["body"], line.params["n"]
    made = {row.out: row for row in body.lines}
    others = {a for row in body.lines for a in row.args if not _column(row, a)}
    out = []
    for i, (v, new) in enumerate(zip(body.inputs[:n], body.outputs[:n])):
        stack = made.get(new)
        if _records(v.type) and v.type.shape[-1] <= NARROW and v not in others and stack is not None and stack.op is STACK:
            out += [i] * (stack.params["axis"] == -1)
    return out


def _column(line, a):
    """The number of the column of a that a line reads, as a tuple; None if it does something else."""
    if line.op is not GETITEM or len(line.args) > 1 or not _records(a.type):
        return None
    j = _span(line.params["index"], a.type.shape)
    return (j,) if type(j) is int else None


def _carry(b, line, places):
    p, args = line.params, line.args
    g, n = p["body"], p["n"]
    made = {row.out: row for row in g.lines}
    inner = Builder()
    inputs, given, outs, where = [], [], [], []
    row_of: dict = {}  # an array of the state -> its columns
    for i, (v, a) in enumerate(zip(g.inputs[:n], args[:n], strict=True)):
        where.append(len(inputs))
        if i not in places:
            inputs.append(v)
            given.append(a)
            continue
        k = v.type.shape[-1]
        row_of[v] = [Var(Array(v.type.shape[:-1], v.type.dtype)) for _ in range(k)]
        inputs += row_of[v]
        given += _read(b, a)
    where.append(len(inputs))
    for row in g.lines:
        if row.args and row.args[0] in row_of:
            inner.env[row.out] = row_of[row.args[0]][_column(row, row.args[0])[0]]
        else:
            inner.append(Line(row.out, row.op, [inner.read(x) for x in row.args], row.params, row.where))
    for i, v in enumerate(g.outputs):
        if i in places:
            outs += [inner.read(x) for x in made[v].args]
        else:
            outs.append(inner.emit(STACK, row_of[v], {"axis": -1}) if v in row_of else inner.read(v))
    body = Graph(inputs + g.inputs[n:], inner.lines, outs, g.structure, (), g.name).prune()
    t = b.emit(SCAN, given + args[n:], {**p, "body": body, "n": where[n]})
    results = []
    for i in range(n):
        row = [b.emit(ITEM, [t], {"index": j}) for j in range(where[i], where[i + 1])]
        results.append(b.emit(STACK, row, {"axis": -1}) if i in places else row[0])
    return b.emit(PACK, results + [b.emit(ITEM, [t], {"index": where[n] + j}) for j in range(len(g.outputs) - n)])
