"""Branches: what one side of a branch alone reads is computed on that side, where it is work.

A value that `cond` closes over is computed before it, as ops go to the trace of their arguments, and so is what stands before
an `if` of the program. Here lines that nobody else reads move into the side that does. What may raise stays where it is.
"""

from typing import Any

from ...core.types import Array, Tuple
from ...traces.graph import Const, Graph, Line, Var
from .rewrite import COND, Builder, bodies, effectful, splice

WORTH = 12  # about how many operations must be spared: a choice between two numbers costs less than a branch that is guessed wrong
_MOVABLE = {"elementwise", "linear", "bilinear", "nondiff"}
_TOO = {"max", "min", "prod", "norm", "mean", "pack", "item", "cond"}
_AT_PLACES = {"getitem", "scatter", "index_set", "index_add"}  # may raise, if places are computed
_DEAR = {"divide", "sqrt", "power", "exp", "log", "sin", "cos", "tanh"}


def branches(graph: Graph) -> Graph:
    """The graph with lines moved into the branches that read them."""
    return _Mover().graph(graph)


class _Mover:
    def __init__(self):
        self.done: dict = {}  # id of a graph -> (the graph, what has become of it)
        self.effects: dict = {}

    def graph(self, graph):
        if id(graph) in self.done:
            return self.done[id(graph)][1]
        self.done[id(graph)] = graph, graph  # met again if the graph calls itself
        lines = [self.inside(line) for line in graph.lines]
        changed = any(new is not old for new, old in zip(lines, graph.lines, strict=True))
        if any(line.op is COND for line in lines):
            owners = self.owners(graph, lines)
            if any(owners):
                lines, changed = _moved(lines, owners), True
        if changed:
            new = Graph(graph.inputs, lines, graph.outputs, graph.structure, graph.hidden, graph.name)
            self.done[id(graph)] = graph, new
        return self.done[id(graph)][1]

    def inside(self, line):
        """The line with its bodies done."""
        new = {k: self.graph(g) for k, g in bodies(line)}
        if all(g is line.params[k] for k, g in new.items()):
            return line
        return Line(line.out, line.op, line.args, {**line.params, **new}, line.where)

    def owners(self, graph, lines):
        """For each line the (number of the branch, side) that it belongs to, or None."""
        readers: dict = {v: {None} for v in graph.outputs if type(v) is Var}
        owners: list = [None] * len(lines)
        work: dict = {}
        for k in range(len(lines) - 1, -1, -1):
            line = lines[k]
            owner: Any = None
            who = readers.get(line.out, {None})
            if len(who) == 1 and None not in who and self.movable(line):
                (owner,) = who
                work[owner] = work.get(owner, 0) + _work(line)
            owners[k] = owner
            for i, a in enumerate(line.args):
                if type(a) is Var:
                    side = _only_side(line, i - 1) if line.op is COND and i else None
                    readers.setdefault(a, set()).add((k, side) if side else owner)
        return [owner if owner and work[owner] >= WORTH else None for owner in owners]

    def movable(self, line):
        if effectful(line, self.effects) or not _plain(line.out.type):
            return False
        name = line.op.name
        computed = len(line.args) - (2 if name in ("index_set", "index_add") else 1)
        if name in _AT_PLACES and computed:
            return False
        return name in _TOO or line.op.kind in _MOVABLE


def _plain(t):
    return type(t) is Array or (type(t) is Tuple and all(map(_plain, t.elems)))


def _work(line):
    t = line.out.type
    size = sum(a.type.size for a in line.args if type(a.type) is Array) if type(t) is Array else 1
    return (4 if line.op.name in _DEAR else 1) * max(1, size // 4) if line.op.kind != "control" else WORTH


def _only_side(line, i):
    """The side of a branch that alone reads its i-th input; None if both do."""
    reads = [side for side in ("true", "false") if _reads(line.params[side], i)]
    return reads[0] if len(reads) == 1 else None


def _reads(graph, i):
    known = graph.cache.setdefault("reads", {})
    if i not in known:
        v = graph.inputs[i]
        known[i] = any(a is v for line in graph.lines for a in line.args) or any(o is v for o in graph.outputs)
    return known[i]


def _moved(lines, owners):
    """The lines that stay, with branches that hold those they own. What a branch owns stands before it."""
    inner: dict = {}
    out = []
    for k, (line, owner) in enumerate(zip(lines, owners, strict=True)):
        sides = [inner.get((k, side), []) for side in ("true", "false")]
        if any(sides):
            line = _filled(line, sides)
        if owner is None:
            out.append(line)
        else:
            inner.setdefault(owner, []).append(line)
    return out


def _filled(line, sides):
    """A branch that begins with these lines on its sides."""
    test, *args = line.args
    own = [{x.out for x in side} for side in sides]
    outside: dict = {}  # what is read from outside, in order
    for i, a in enumerate(args):
        if type(a) is Var and not any(a in made for made in own):
            outside[a] = _reads(line.params["true"], i) or _reads(line.params["false"], i) or outside.get(a, False)
    for side, made in zip(sides, own, strict=True):
        for x in side:
            outside.update((a, True) for a in x.args if type(a) is Var and a not in made)
    ins = [v for v, read in outside.items() if read]
    params = dict(line.params)
    for name, side in zip(("true", "false"), sides, strict=True):
        graph = line.params[name]
        b = Builder()
        env = {v: Var(v.type) for v in ins}
        inputs = list(env.values())
        for x in side:
            b.where = x.where
            y = Var(x.out.type)
            b.append(Line(y, x.op, [a if type(a) is Const else env[a] for a in x.args], x.params, x.where))
            env[x.out] = y
        outputs = splice(b, graph, [a if type(a) is Const else env.get(a) for a in args], b.append)
        params[name] = Graph(inputs, b.lines, outputs, graph.structure, (), graph.name)
    return Line(line.out, COND, [test, *ins], params, line.where)
