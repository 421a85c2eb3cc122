"""Inline: a call becomes the lines of its graph, and tuples that were packed are read through.

A graph that calls itself stays a call. A choice whose test is known becomes the branch that it takes.
"""

from ...traces.graph import Const, Graph
from .rewrite import CALL, COND, ITEM, PACK, rebuild, splice


def inline(graph: Graph) -> Graph:
    """The graph without calls, but for those of graphs that contain themselves."""
    recursive = _recursive(graph)
    memo: dict = {}

    def stays(g):
        return any(i in memo and memo[i][1] is g for i in recursive)

    def start(b):
        def step(line):
            op = line.op
            if op is ITEM:
                return item_of(b, line) or b.append(line)
            if op is CALL:
                g = line.params["graph"]
                if not stays(g) and fits(g, line.args):
                    return b.emit(PACK, splice(b, g, line.args, step))
            elif op is COND:
                branch = taken(line)
                if branch is not None:
                    return b.emit(PACK, splice(b, branch, line.args[1:], step))
            return b.append(line)

        return step

    return rebuild(graph, start, memo)


def fits(graph, args):
    """Whether these arguments have the types of the graph's inputs."""
    return all(a.type == v.type for a, v in zip(args, graph.inputs, strict=True))


def item_of(b, line):
    """The element that an `item` line takes out of a tuple whose elements are known; else None."""
    (x,) = line.args
    index = line.params["index"]
    if type(x) is Const:
        return Const(x.value[index]) if type(x.value) is tuple else None
    made = b.made_by(x, PACK)
    return None if made is None else made.args[index]


def taken(line):
    """The branch that a cond takes, if its test is known and the branch alone has the types of the whole; else None."""
    test = line.args[0]
    if type(test) is not Const:
        return None
    branch = line.params["true" if test.value else "false"]
    same = all(v.type == t for v, t in zip(branch.outputs, line.out.type.elems, strict=True))
    return branch if same and fits(branch, line.args[1:]) else None


def _recursive(graph):
    """The ids of all graphs that are reached from themselves (Tarjan's strongly connected components, by stack)."""
    order: dict = {}
    low: dict = {}
    stack: list = []
    on: set = set()
    found: set = set()

    def inner(g):
        return [v for line in g.lines if line.op.kind == "control" for v in line.params.values() if type(v) is Graph]

    def enter(g):
        order[id(g)] = low[id(g)] = len(order)
        stack.append(g)
        on.add(id(g))
        work.append((g, iter(inner(g))))

    work: list = []
    enter(graph)
    while work:
        g, rest = work[-1]
        for h in rest:
            if id(h) not in order:
                enter(h)
                break
            if h is g:
                found.add(id(g))
            if id(h) in on:
                low[id(g)] = min(low[id(g)], order[id(h)])
        else:
            work.pop()
            if work:
                above = work[-1][0]
                low[id(above)] = min(low[id(above)], low[id(g)])
            if low[id(g)] == order[id(g)]:
                group = []
                while not group or group[-1] is not g:
                    group.append(stack.pop())
                    on.discard(id(group[-1]))
                if len(group) > 1:
                    found.update(map(id, group))
    return found
