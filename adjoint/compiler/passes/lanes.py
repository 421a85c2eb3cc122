"""Lanes: a dear function that is asked of several numbers, none of which waits for another one's result, is asked of a vector of them.

exp of four numbers in one vector takes as long as exp of one. A step that evaluates the same integrand twice has such numbers, and a
table that is filled by loops that are laid out has them in every antidiagonal. Which function of which number waits for how many
others tells what may go together; the lines between are moved to where they are needed, and every number comes out as before.
"""

from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Graph, Line, Var
from .rewrite import bodies, broadcasts, pure

DEAR = {
    OPS[name]
    for name in (
        "exp", "log", "sin", "cos", "tan", "tanh", "sinh", "cosh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh",
        "expm1", "log1p", "exp2", "log2", "log10", "cbrt", "erf", "erfc", "sigmoid", "softplus", "gammaln",
    )
    if name in OPS
}  # fmt: skip
GETITEM, STACK = OPS["getitem"], OPS["stack"]
WRITES = ("index_set", "index_add", "diagonal_add")
MOST = 64  # bytes of a vector: a register at the widest


def lanes(graph: Graph) -> Graph:
    """The graph with dear functions of numbers asked of vectors."""
    return _lanes(graph, {})


def _lanes(graph, memo):
    if id(graph) in memo:
        return memo[id(graph)][1]
    new = Graph(graph.inputs, graph.lines, graph.outputs, graph.structure, graph.hidden, graph.name)
    memo[id(graph)] = graph, new  # met again if the graph calls itself
    lines, run = [], []
    written = {line.args[0] for line in graph.lines if line.op.name in WRITES}
    owned = set(graph.inputs)

    def end():
        lines.extend(_packed(run) if sum(row.op in DEAR for row in run) > 1 else run)
        run.clear()

    for line in graph.lines:
        if _movable(line, owned, written):
            run.append(line)
            continue
        end()
        inner = {k: _lanes(g, memo) for k, g in bodies(line)}
        if any(line.params[k] is not g for k, g in inner.items()):
            line = Line(line.out, line.op, line.args, {**line.params, **inner}, line.where)
        lines.append(line)
    end()
    if len(lines) == len(graph.lines) and all(a is b for a, b in zip(lines, graph.lines, strict=True)):
        memo[id(graph)] = graph, graph
        return graph
    new.lines = lines
    return new


def _movable(line, inputs, written):
    """Whether a line makes a number of numbers, or reads one of an array that is the same all the time."""
    t = line.out.type
    if type(t) is not Array or t.shape or not pure(line.op):
        return False
    if line.op is GETITEM:
        x = line.args[0]
        return x in inputs and x not in written and all(a.type.shape == () for a in line.args[1:])
    return broadcasts(line.op) and all(type(a.type) is Array and not a.type.shape for a in line.args)


def _packs(line):
    t = line.out.type
    return line.op in DEAR and not t.weak and t.dtype.char in "fd" and line.args[0].type == t and type(line.args[0]) is Var


def _packed(run):
    """The lines in an order in which those that go together meet, and these as lines on vectors."""
    waits: dict = {}  # variable -> how many dear functions, one after the other, it waits for
    groups: dict = {}
    defs = {}
    for line in run:
        level = max((waits.get(a, 0) for a in line.args if type(a) is Var), default=0)
        defs[line.out] = line
        if _packs(line):
            groups.setdefault((level, line.op.name, line.out.type), []).append(line)
            level += 1
        waits[line.out] = level
    if all(len(rows) == 1 for rows in groups.values()):
        return run
    out, done = [], set()

    def need(v):
        todo = [v]
        while todo:
            v = todo[-1]
            if v in done or v not in defs:
                todo.pop()
                continue
            rest = [a for a in defs[v].args if type(a) is Var and a in defs and a not in done]
            if rest:
                todo.extend(rest)
            else:
                todo.pop()
                done.add(v)
                out.append(defs[v])

    for key in sorted(groups, key=lambda key: key[0]):
        rows = groups[key]
        room = MOST // key[2].dtype.itemsize
        count = -(-len(rows) // room)
        for k in range(count):  # as even as may be
            part = rows[k * len(rows) // count : (k + 1) * len(rows) // count]
            for line in part:
                need(line.args[0])
            if len(part) == 1:
                need(part[0].out)
                continue
            out.extend(_vector(part))
            done.update(line.out for line in part)
    for line in run:
        need(line.out)
    return out


def _vector(part):
    """The lines that ask a function of a vector, for those that ask it of numbers."""
    first = part[0]
    t = first.out.type
    given = [line.args[0] for line in part]
    given += given[-1:] * ((1 << (len(given) - 1).bit_length()) - len(given))  # the other lanes are there anyway
    vector = Array((len(given),), t.dtype)
    x, y = Var(vector), Var(vector)
    yield Line(x, STACK, given, {"axis": 0}, first.where)
    yield Line(y, first.op, [x], first.params, first.where)
    for k, line in enumerate(part):
        yield Line(line.out, GETITEM, [y], {"index": k}, line.where)
