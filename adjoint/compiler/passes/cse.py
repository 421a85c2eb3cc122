"""Common subexpressions: of lines that compute the same from the same, the first stays."""

from ...core.op import OPS
from ...traces.graph import Const, Graph, Var
from .rewrite import const_key, effectful, param_key, rebuild

# Whose arguments may be swapped: not maximum and minimum, which tell 0.0 from -0.0 by their places.
_SYMMETRIC = {
    OPS[name]
    for name in (
        "add", "multiply", "equal", "not_equal", "logical_and", "logical_or", "logical_xor",
        "bitwise_and", "bitwise_or", "bitwise_xor",
    )
}  # fmt: skip


def cse(graph: Graph) -> Graph:
    """The graph in which nothing is computed twice."""
    constants: dict = {}
    effects: dict = {}
    shapes: dict = {}  # what a body computes -> the first graph that does

    def start(b):
        seen: dict = {}

        def step(line):
            op, params = line.op, line.params
            if op.kind == "control":
                if effectful(line, effects):
                    return b.append(line)
                params = {k: _first(v, shapes, constants) if type(v) is Graph else v for k, v in params.items()}
            elif op.effect:
                return b.append(line)
            args = [const_key(a.value, constants) if type(a) is Const else a for a in line.args]
            if op in _SYMMETRIC and type(line.args[0]) is Var and type(line.args[1]) is Var:
                args.sort(key=id)
            key = (op, *args, *((k, param_key(v, constants)) for k, v in params.items()))
            try:
                known = seen.get(key)
            except TypeError:  # a parameter that cannot be hashed
                return b.append(line)
            if known is not None and known.type == line.out.type:
                return known
            seen[key] = line.out
            return b.append(line)

        return step

    return rebuild(graph, start)


def _first(graph, shapes, constants):
    """The first graph that is the same as this one, line by line."""
    if id(graph) in shapes:
        return shapes[id(graph)][1]
    names = {v: n for n, v in enumerate(graph.inputs)}
    shapes[id(graph)] = (graph, graph)  # if it meets itself

    def name(v):
        return const_key(v.value, constants) if type(v) is Const else names.setdefault(v, len(names))

    rows: list = [tuple(v.type for v in graph.inputs)]
    for line in graph.lines:
        params = [
            (k, id(_first(v, shapes, constants)) if type(v) is Graph else param_key(v, constants))
            for k, v in line.params.items()
        ]
        rows.append((line.op, *map(name, line.args), *params, name(line.out)))
    rows.append(tuple(map(name, graph.outputs)))
    rows.append(tuple(v.type for v in graph.outputs))
    try:
        first = shapes.setdefault(tuple(rows), graph)
    except TypeError:
        first = graph
    shapes[id(graph)] = (graph, first)
    return first
