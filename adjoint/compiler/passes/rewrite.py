"""What the passes are made of: a graph is rebuilt line by line, the bodies of its control flow first.

Graphs, lines and variables are never changed, for they are cached and shared. A line whose arguments are others now is a
new line that sets the same variable; a graph in which nothing changes is given back itself.
"""

from operator import is_

import numpy as np

from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Const, Graph, Line, Var, infer

CALL, COND, WHILE, SCAN = (OPS[name] for name in ("call", "cond", "while_loop", "scan"))
PACK, ITEM = OPS["pack"], OPS["item"]
_BROADCASTING = OPS["strong_mul"].type.__code__  # the type rule of all ops that broadcast their arguments


def broadcasts(op):
    """Whether the op works entry by entry on arguments that are broadcast against each other."""
    return op.kind == "elementwise" or getattr(op.type, "__code__", None) is _BROADCASTING


class Builder:
    """A graph in the making. `defs` tells which line set a variable, `env` what stands for the variables replaced."""

    __slots__ = ("apply", "close", "defs", "env", "graph", "lines", "memo", "uses", "where")

    def __init__(self, graph=None):
        self.lines = []
        self.defs = {}
        self.env = {}
        self.graph = graph
        self.uses = None  # how often each variable is read: counted when first asked for
        self.memo = {}  # what rules want to remember about variables
        self.where = ""
        self.apply = self.emit
        self.close = None  # (outputs) -> what stands for them: called when all lines have been seen

    def read(self, v):
        """What stands for a variable or constant now."""
        return v if type(v) is Const else self.env.get(v, v)

    def append(self, line):
        self.lines.append(line)
        self.defs[line.out] = line
        return line.out

    def emit(self, op, args, params=None):
        """The variable of a new line."""
        params = params or {}
        return self.append(Line(Var(infer(op, [a.type for a in args], params)), op, args, params, self.where))

    def made_by(self, v, *ops):
        """The line that set v, if it is one of these ops."""
        line = None if type(v) is Const else self.defs.get(v)
        return line if line is not None and line.op in ops else None

    def once(self, v):
        """Whether v is read in one place only."""
        if self.uses is None:
            self.uses = {} if self.graph is None else count_uses(self.graph)
        return self.uses.get(v, 1) <= 1


def bodies(line):
    """The graphs among a line's parameters, by name."""
    return [(k, v) for k, v in line.params.items() if type(v) is Graph] if line.op.kind == "control" else []


def rebuild(graph, start, memo=None):
    """The graph that a pass makes of this one.

    start(builder) -> step; step(line) appends what takes the line's place and returns what stands for line.out. The line
    that step sees reads the new graph, and its bodies have been rebuilt. memo: of graphs rebuilt already, so that bodies
    that are shared stay so and a graph that calls itself ends up calling its new self.
    """
    memo = {} if memo is None else memo
    if id(graph) in memo:
        entry = memo[id(graph)]
        entry[2] = entry[2] or entry[3]  # met while it is being made: it calls itself
        return entry[1]
    new = Graph(graph.inputs, graph.lines, graph.outputs, graph.structure, graph.hidden, graph.name)
    memo[id(graph)] = entry = [graph, new, False, True]
    b = Builder(graph)
    step = start(b)
    env = b.env
    for line in graph.lines:
        changed = False
        args = line.args
        for a in args:
            if type(a) is Var and a in env:
                args = [env.get(v, v) if type(v) is Var else v for v in args]
                changed = True
                break
        params = line.params
        if line.op.kind == "control":
            new_bodies = {k: rebuild(g, start, memo) for k, g in bodies(line)}
            if any(params[k] is not g for k, g in new_bodies.items()):
                params = {**params, **new_bodies}
                changed = True
        if changed:
            line = Line(line.out, line.op, args, params, line.where)
        b.where = line.where
        out = step(line)
        if out is not line.out:
            env[line.out] = out
    outputs = [b.read(v) for v in graph.outputs]
    if b.close is not None:
        outputs = b.close(outputs)
    new.lines, new.outputs = b.lines, outputs
    entry[3] = False
    if not entry[2] and same_lines(new, graph) and all(map(is_, outputs, graph.outputs)):
        entry[1] = graph
        return graph
    return new


def same_lines(a, b):
    """Whether two graphs have the same lines, not only equal ones."""
    return len(a.lines) == len(b.lines) and all(map(is_, a.lines, b.lines))


def splice(b, graph, args, step):
    """Put the lines of a graph here, with these arguments for its inputs, and return its outputs.

    step as in `rebuild`: what is known of the arguments may simplify the lines.
    """
    env = dict(zip(graph.inputs, args, strict=True))
    where = b.where
    for line in graph.lines:
        b.where = line.where or where
        row = [a if type(a) is Const else env[a] for a in line.args]
        out = Var(line.out.type)
        env[line.out] = step(Line(out, line.op, row, line.params, b.where))
    b.where = where
    return [v if type(v) is Const else env[v] for v in graph.outputs]


def count_uses(graph):
    """How often each variable is read, by lines and as an output."""
    uses: dict = {}
    for line in graph.lines:
        for a in line.args:
            uses[a] = uses.get(a, 0) + 1
    for v in graph.outputs:
        uses[v] = uses.get(v, 0) + 1
    return uses


def effectful(line, memo):
    """Whether a line, or one in its bodies, must run even if nobody reads its result. memo: of graphs, by id."""
    if line.op.effect:
        return True
    for _, g in bodies(line):
        if id(g) not in memo:
            memo[id(g)] = False  # a graph that calls itself: the other lines decide
            memo[id(g)] = any(effectful(inner, memo) for inner in g.lines)
        if memo[id(g)]:
            return True
    return False


def pure(op):
    """Whether the op is one of the library's own, whose value depends on its arguments alone."""
    return not op.effect and OPS.get(op.name) is op


# Constants


def uniform(value):
    """Whether all entries of an array are the same, bit for bit."""
    if not value.size or value.dtype.hasobject:
        return False
    if not any(n > 1 and s for n, s in zip(value.shape, value.strides, strict=True)):
        return True
    first = value.reshape(-1)[:1] if value.flags.c_contiguous else value.flat[:1]
    last = value[(-1,) * value.ndim]
    if first.tobytes() != last.tobytes():
        return False
    rows = np.ascontiguousarray(value).reshape(-1).view(np.uint8).reshape(value.size, value.itemsize)
    return bool((rows == rows[0]).all())


def constant(b, v):
    """The number that a variable or constant stands for in all its entries, if that is known; else None."""
    while type(v) is Var:
        line = b.defs.get(v)
        if line is None or line.op not in _KEEP_ENTRIES:
            return None
        v = line.args[0]
    value = v.value
    if type(value) is not np.ndarray:
        return value if type(v.type) is Array else None
    known = b.memo.get(v)
    if known is None:
        known = b.memo[v] = (value[(0,) * value.ndim] if uniform(value) else None,)
    return known[0]


_KEEP_ENTRIES = {OPS[name] for name in ("broadcast_to", "reshape", "copy")}


def number(x, t):
    """A number as a constant of the dtype of t, without axes."""
    return Const(t.dtype.type(x))


def fit(b, v, t):
    """v in the type t, by broadcasting; None where it has another dtype or t is that of a Python number."""
    if v.type == t:
        return v
    if type(v.type) is not Array or v.type.dtype != t.dtype or t.weak:
        return None
    if v.type.shape == t.shape:  # a Python number: as an array without axes
        return number(v.value, t) if type(v) is Const else b.emit(_ASTYPE, [v], {"dtype": t.dtype})
    return b.apply(_BROADCAST, [v], {"shape": t.shape})


_BROADCAST, _ASTYPE = OPS["broadcast_to"], OPS["astype"]


# Keys: two constants or parameters with the same key are interchangeable


def const_key(value, memo):
    """What a constant is known by: NaN is NaN, -0.0 is not 0.0, 1 is not 1.0 nor True."""
    kind = type(value)
    if kind is int or kind is bool:
        return kind, value
    if kind is float or kind is complex or isinstance(value, np.generic):
        return kind, np.asarray(value).tobytes()
    if kind is np.ndarray and not value.dtype.hasobject:
        known = memo.get(id(value))
        if known is None:
            bits = value.tobytes() if value.nbytes <= 65536 else id(value)
            known = memo[id(value)] = (value, (kind, value.dtype.str, value.shape, bits))
        return known[1]
    if kind is tuple:
        return kind, *(const_key(e, memo) for e in value)
    return id(value)


def is_number(a):
    """Whether an argument is a constant number, which is not an input of what is made for its line."""
    return type(a) is Const and not isinstance(a.value, (np.ndarray, tuple))


def once(table, line, make):
    """make(), remembered in `table` for lines of the same op, types, numbers and parameters."""
    memo: dict = {}
    key = (
        line.op,
        *(const_key(a.value, memo) if is_number(a) else a.type for a in line.args),
        *((k, param_key(v, memo)) for k, v in line.params.items()),
    )
    if key not in table:
        if len(table) >= _LIMIT:
            table.clear()
        table[key] = make()
    return table[key]


_LIMIT = 2000


def param_key(value, memo):
    """What a parameter is known by: graphs and what cannot be compared, by identity."""
    kind = type(value)
    if kind is tuple or kind is list:
        return kind, *(param_key(e, memo) for e in value)
    if kind is slice:
        return kind, value.start, value.stop, value.step
    if kind is dict:
        return kind, *((k, param_key(e, memo)) for k, e in sorted(value.items(), key=lambda row: str(row[0])))
    if kind is str or value is None:
        return kind, value
    if isinstance(value, np.dtype):
        return kind, value.str
    return const_key(value, memo)
