"""Passes over a captured graph, before native code is made of it: each is a function Graph -> Graph in a file of its own.

`run` applies those of PASSES that a level asks for, in order, and leaves a record of each with the result.
"""

import sys
import time
from typing import NamedTuple

from ...core.config import config
from ...core.op import OPS
from ...traces.graph import Graph
from .apart import apart
from .branches import branches
from .chains import chains
from .columns import columns
from .complexes import complexes
from .cse import cse
from .dce import dce
from .diagonals import diagonals, placed
from .elements import elements
from .expand import expand
from .fold import fold
from .inline import inline
from .lanes import lanes
from .loops import loops
from .rewrite import COND, SCAN, WHILE, bodies
from .shifts import shifts
from .simplify import simplify
from .small import small_products
from .steps import steps
from .sums import sums
from .triangles import triangles

# (name, pass, from which level on it is applied)
PASSES = (
    ("inline", inline, 0),
    ("dead code", dce, 0),
    ("elements", elements, 2),
    ("common subexpressions", cse, 1),
    ("constants", fold, 1),
    ("expand", expand, 0),
    ("complex numbers", complexes, 2),
    ("simplify", simplify, 1),
    ("dead code", dce, 1),
    ("loops", loops, 1),
    ("shifts", shifts, 2),
    ("chains of products", chains, 2),
    ("diagonals", diagonals, 2),
    ("triangles", triangles, 2),
    ("small products", small_products, 2),
    ("simplify", simplify, 1),
    ("common subexpressions", cse, 1),
    ("columns", columns, 2),
    ("apart", apart, 2),
    ("steps", steps, 2),
    ("sums of scatters", sums, 2),
    ("simplify", simplify, 1),
    ("sums of scatters", sums, 2),
    ("diagonals in place", placed, 2),
    ("branches", branches, 2),
    ("dead code", dce, 0),
    ("lanes", lanes, 2),
)

# Of passes that leave every other graph as it is: ops, of which there must be one. To walk a graph for nothing takes a microsecond a line
NEEDS = {
    loops: {SCAN, WHILE, COND},
    apart: {SCAN},
    steps: {SCAN},
    branches: {COND},
    shifts: {OPS["max"]},
    chains: {OPS["matmul"]},
    small_products: {OPS["matmul"]},
}


class Record(NamedTuple):
    """What one pass did."""

    name: str
    before: Graph
    after: Graph
    lines_before: int
    lines_after: int
    seconds: float


def run(graph: Graph, level: int = 2) -> Graph:
    """The graph after the passes of this level: 0 what code generation needs, 1 all that keep every bit, 2 all."""
    records = []
    sizes: dict = {}
    done: dict = {}  # pass -> the graph that it has left
    ops: dict = {}
    seen: dict = {}  # lines that `simplify` has left as they stand
    for name, apply, least in PASSES:
        if level < least or done.get(apply) is graph:
            continue
        if apply in NEEDS and NEEDS[apply].isdisjoint(_ops(graph, ops)):
            continue
        start = time.perf_counter()
        after = simplify(graph, seen) if apply is simplify else apply(graph)
        seconds = time.perf_counter() - start
        records.append(Record(name, graph, after, _size(graph, sizes), _size(after, sizes), seconds))
        graph = done[apply] = after
    if config.debug >= 6:
        for r in records:
            print(
                f"pass {r.name}: {r.lines_before} -> {r.lines_after} lines, {r.seconds * 1e3:.2f} ms", file=sys.stderr
            )
            if r.after is not r.before:
                print("    " + str(r.after).replace("\n", "\n    "), file=sys.stderr)
    if records and graph is records[0].before:
        graph = Graph(graph.inputs, graph.lines, graph.outputs, graph.structure, graph.hidden, graph.name)
    graph.cache["passes"] = tuple(records)
    return graph


def _ops(graph, known):
    """The ops of a graph, those of bodies included. known: of graphs, by id."""
    if id(graph) not in known:
        found: set = set()
        known[id(graph)] = graph, found  # met again if it calls itself
        found |= {line.op for line in graph.lines}
        for line in graph.lines:
            for _, g in bodies(line):
                found |= _ops(g, known)
    return known[id(graph)][1]


def _size(graph, sizes):
    if id(graph) not in sizes:
        sizes[id(graph)] = graph, size(graph)
    return sizes[id(graph)][1]


def records(graph: Graph) -> tuple:
    """What the passes did that made this graph: for `explain`."""
    return graph.cache.get("passes", ())


def size(graph: Graph, seen=None) -> int:
    """The number of lines, those of bodies included."""
    seen = set() if seen is None else seen
    if id(graph) in seen:
        return 0
    seen.add(id(graph))
    return len(graph.lines) + sum(size(g, seen) for line in graph.lines for _, g in bodies(line))
