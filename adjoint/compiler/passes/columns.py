"""Columns: long arrays with few columns that are read or put together column by column are computed as vectors, one a column.

Code that works on records, `camera[:, 3:6]`, `y[:, 0]`, `concatenate([c, x], axis=1)`, and its way back, which adds up the
cotangents of columns, would walk through memory once for each piece. As vectors all of it is one loop over the records, whose
values stay in registers. What somebody wants whole is put together at the end.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ...core.op import OPS
from ...core.types import Array
from ...primitives.index import AT, _expand
from ...traces.graph import Const, Graph, Var
from .cse import cse
from .dce import dce
from .rewrite import bodies, broadcasts, pure, rebuild
from .simplify import simplify

_op = OPS.__getitem__
GETITEM, SCATTER, SET, ADD, SUM, RESHAPE, BROADCAST, CONCATENATE, STACK = map(
    _op, ("getitem", "scatter", "index_set", "add", "sum", "reshape", "broadcast_to", "concatenate", "stack")
)
LONG, WIDE = 64, 16  # rows at the least, columns at the most
GAIN = 2  # columns read or put, at the least, beyond the arrays that are read from memory or wanted whole
MANY = 3000  # lines that the pass may make


def columns(graph: Graph) -> Graph:
    """The graph with such arrays computed column by column."""
    chosen: set = set()
    whole: set = set()
    _choose(graph, chosen, whole, set())
    if not chosen:
        return graph
    return cse(dce(simplify(rebuild(graph, lambda b: _Columns(b, chosen, whole).step))))


# Which arrays


class Use(NamedTuple):
    """What a line does with columns: the arguments that it takes as columns, and whether its result is an array of columns."""

    args: tuple
    many: bool
    pays: bool  # it reads or writes some of the columns


def _records(t):
    """(rows, columns) of a long array with few columns; None of any other."""
    if type(t) is not Array or t.ndim != 2 or t.weak or t.dtype.kind not in "fib":
        return None
    return t.shape if t.shape[0] >= LONG and t.shape[1] <= WIDE and 0 not in t.shape else None


def _span(index, shape):
    """The columns that an index stands for, of all rows: a range, or an int; None if it is another index."""
    entries = [i for i in _expand(index, len(shape)) if i is not Ellipsis]
    if len(entries) != 2 or type(entries[0]) is not slice or entries[0].indices(shape[0]) != (0, shape[0], 1):
        return None
    i = entries[1]
    if type(i) is int:
        return i % shape[1]
    return range(*i.indices(shape[1])) if type(i) is slice else None


def _use(line):
    """How a line works on columns; None if it does not."""
    op, args, params, t = line.op, line.args, line.params, line.out.type
    if not pure(op) or type(t) is not Array or any(type(a.type) is not Array for a in args):
        return None
    out = _records(t)
    if broadcasts(op):
        if out is None or t.dtype.kind not in "fib" or any(a.type.dtype.kind not in "fib" for a in args):
            return None
        long = tuple(a for a in args if a.type.ndim == 2 and a.type.shape[0] == out[0])
        return Use(long, True, False) if long else None
    if op is SUM:
        rows = _records(args[0].type) if args[0].type.dtype == t.dtype and params["axes"] == (-1,) else None
        return Use(args, params["keepdims"], False) if rows and rows[1] > 1 else None
    if op is GETITEM and len(args) == 1:
        if not _records(args[0].type) or _span(params["index"], args[0].type.shape) is None:
            return None
        return Use(args, t.ndim == 2, True)
    if op is GETITEM:  # whole rows, by their numbers
        rows = out and params["index"] == (AT,) and args[0].type.ndim == 2 and args[1].type.ndim == 1
        return Use((), True, False) if rows else None
    if op is RESHAPE:
        if out and out[1] == 1 and args[0].type.shape == (out[0],):
            return Use((), True, False)
        rows = _records(args[0].type)
        return Use(args, False, False) if rows and rows[1] == 1 and t.shape == rows[:1] else None
    if out is None:
        return None
    if op is BROADCAST:
        return Use(args, True, False) if args[0].type.shape == (out[0], 1) else None
    if op in (SCATTER, SET) and len(args) == (1 if op is SCATTER else 2):
        span = _span(params["index"], t.shape)
        v = args[-1]
        if span is None or v.type.ndim not in (1, 2) or v.type.shape[0] != out[0] or v.type.dtype != t.dtype:
            return None
        if v.type.shape[1:] != (() if type(span) is int else (len(span),)):
            return None
        return Use(tuple(a for a in args if a.type.ndim == 2), True, True)
    if op in (CONCATENATE, STACK) and params["axis"] == -1 and all(a.type.dtype == t.dtype for a in args):
        return Use(args if op is CONCATENATE else (), True, op is CONCATENATE)
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
        size[r] = size.get(r, 0) + (line.out.type.shape[1] if use.many else 1)
        of_computed = line.op is not GETITEM or (taken and taken[0] in computed)
        gain[r] = gain.get(r, 0) + (use.pays and of_computed)
        read |= {a for a in taken if type(a) is Var and a not in computed}
    for v in [*(v for v in wanted if v in computed), *read]:  # these are put together, or walked in steps
        if v.type.shape[1] > 1:
            gain[root(v)] = gain.get(root(v), 0) - 1
    good = {r for r, n in gain.items() if n >= GAIN and size.get(r, 0) <= MANY}
    chosen |= {v for v in computed if root(v) in good}
    whole |= {v for v in wanted if v in computed and root(v) in good}


# The columns


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
            return self.vector(row[0], v.type)
        if v in self.chosen and v not in self.whole:
            self.known[v] = row
            return v
        out = self.b.emit(STACK, [self.vector(x, v.type) for x in row], {"axis": -1})
        self.known[out] = row
        return out

    def vector(self, x, t):
        """A column as a vector of full length: it may be one number."""
        n = t.shape[:1]
        return x if x.type.shape == n else self.b.emit(BROADCAST, [x], {"shape": n})

    def take(self, v):
        """The columns of an array."""
        n, k = v.type.shape
        if type(v) is Const:
            return [Const(np.ascontiguousarray(v.value[:, j])) for j in range(k)]
        if v not in self.known:
            self.known[v] = [self.b.emit(GETITEM, [v], {"index": (slice(None), j)}) for j in range(k)]
        return self.known[v]

    def entry(self, a, j, rows):
        """What an argument of an entrywise line gives to column j."""
        shape = a.type.shape
        if len(shape) == 2 and shape[0] == rows:
            row = self.take(a)
            return row[j if len(row) > 1 else 0]
        if a.type.size == 1 and not shape:
            return a
        index = (0,) * (len(shape) - 1) + (j if shape[-1] > 1 else 0,)
        return Const(a.value[index]) if type(a) is Const else self.b.emit(GETITEM, [a], {"index": index})

    def columns_of(self, line):
        op, args, params, t = line.op, line.args, line.params, line.out.type
        b = self.b
        if broadcasts(op):
            n, k = t.shape
            return [b.emit(op, [self.entry(a, j, n) for a in args], params) for j in range(k)]
        if op is SUM:
            total = None
            for x in self.take(args[0]):
                total = x if total is None else b.emit(ADD, [total, x])
            return [total]
        if op is GETITEM and len(args) == 1:
            span = _span(params["index"], args[0].type.shape)
            row = self.take(args[0])
            return [row[span]] if type(span) is int else [row[j] for j in span]
        if op is GETITEM:
            return [b.emit(GETITEM, args, {"index": (AT, j)}) for j in range(t.shape[1])]
        if op is RESHAPE:
            return [args[0]] if t.ndim == 2 else self.take(args[0])
        if op is BROADCAST:
            return self.take(args[0]) * t.shape[1]
        if op is CONCATENATE:
            return [x for a in args for x in self.take(a)]
        if op is STACK:
            return list(args)
        span = _span(params["index"], t.shape)
        row = [Const(t.dtype.type(0))] * t.shape[1] if op is SCATTER else list(self.take(args[0]))
        new = [args[-1]] if type(span) is int else self.take(args[-1])
        for j, x in zip([span] if type(span) is int else span, new, strict=True):
            row[j] = x
        return row
