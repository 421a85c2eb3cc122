"""Plain products: a product need not select where a NaN would come out.

`strong_mul(g, p)` is g * p, but 0 where g is 0, whatever p is: beside each product of a backward pass a comparison and a
selection, and no fused multiply-add. A plain product differs from it in one case, 0 times infinity or NaN, and then it is NaN.
So code with plain products is right unless one of its results is NaN, if no NaN is lost on the way: if each op gives, entry by
entry, NaN for NaN, or what does not depend on it. The kernel looks at its results (large ones in the loops that make them:
native/watch.py), and where one is NaN all is done again with the products as they were. Without compiling, `grad` does the same
(traces/reverse.py).

Products that reach a comparison, a decision, an integer, or an op of which that is not known, stay as they are.
"""

from ...core.op import OPS
from ...core.types import Array, Stack, Tuple
from ...traces.graph import Graph, Line, Var
from .rewrite import COND, ITEM, PACK, SCAN, WHILE, bodies

STRONG, MULTIPLY = OPS["strong_mul"], OPS["multiply"]
# Ops that give NaN for NaN, in each entry that depends on it. Of `where` the test is looked at apart: it is no float.
HEARD = {
    "add", "subtract", "multiply", "divide", "strong_mul", "negative", "positive", "square", "reciprocal", "sqrt", "absolute", "fabs",
    "where", "maximum", "minimum", "exp", "log", "sin", "cos", "tanh", "power", "sum", "matmul", "outer", "reshape", "transpose",
    "broadcast_to", "flip", "roll", "astype", "copy", "diagonal", "diagonal_matrix", "getitem", "scatter", "scatter_sum", "index_set",
    "index_add", "concatenate", "stack", "pad", "cumsum", "stack_add",
}  # fmt: skip


def plain(graph):
    """(the graph with plain products, the numbers of the outputs that may be NaN for it), or None if nothing is gained."""
    if _acts(graph):
        return None  # it would print twice
    exact = frozenset(k for k, v in enumerate(graph.outputs) if not _real(v.type))
    new, _ = _without(graph, exact, {})
    return None if new is graph else (new, _reached(graph, new))


def _acts(graph):
    """Whether it does something that must not be done twice: a check may be made again."""
    return any(
        (line.op.effect and line.op.name != "check") or any(_acts(g) for _, g in bodies(line)) for line in graph.lines
    )


def _real(t):
    while type(t) is Stack:
        t = t.elem
    return type(t) is Array and t.dtype.kind == "f"


def _floats(t):
    """Whether a NaN can be in a value of this type."""
    while type(t) is Stack:
        t = t.elem
    return type(t) is Tuple or t.dtype.kind in "fc"


def _heard(line):
    """Whether a NaN among the arguments of a line is in its result."""
    floats = [a.type for a in line.args if _floats(a.type)]
    if not floats:
        return True
    return line.op.name in HEARD and all(map(_real, floats)) and _real(line.out.type)


def _without(graph, wanted, memo):
    """(the graph with plain products where only outputs that are not among `wanted` hear of them, the inputs that must be exact)."""
    key = id(graph), wanted
    if key not in memo:
        memo[key] = _Walk(graph, wanted, memo).result()
    return memo[key]


class _Walk:
    """One graph, from its end to its beginning: which variables must be exact, as something may hang on them that is no float."""

    def __init__(self, graph, wanted, memo):
        self.graph = graph
        self.memo = memo
        self.exact: set = set()
        self.parts: dict = {}  # a tuple -> which of its parts must be exact
        for k in wanted:
            self.mark(graph.outputs[k])

    def mark(self, v):
        if type(v) is not Var:
            return
        if type(v.type) is Tuple:
            self.parts[v] = set(range(len(v.type.elems)))
        else:
            self.exact.add(v)

    def result(self):
        lines = [self.line(line) for line in reversed(self.graph.lines)][::-1]
        graph = self.graph
        if any(a is not b for a, b in zip(lines, graph.lines, strict=True)):
            graph = Graph(graph.inputs, lines, graph.outputs, graph.structure, graph.hidden, graph.name)
        return graph, {i for i, v in enumerate(graph.inputs) if v in self.exact or self.parts.get(v)}

    def line(self, line):
        """What takes the line's place."""
        op, out, args = line.op, line.out, line.args
        if op is ITEM:
            if (out in self.exact or self.parts.get(out)) and type(args[0]) is Var:
                self.parts.setdefault(args[0], set()).add(line.params["index"])
        elif op is PACK:
            for i in self.parts.get(out, ()):
                self.mark(args[i])
        elif op is SCAN:
            return self.scan(line)
        elif op is WHILE:
            return self.loop(line)
        elif op is COND:
            return self.cond(line)
        elif op.name == "stack_zeros":
            pass  # it asks how long a stack is
        elif out in self.exact or not _heard(line):
            for a in args:
                self.mark(a)
        elif op is STRONG:
            return Line(out, MULTIPLY, args, {}, line.where)
        return line

    def body(self, graph, wanted, n):
        """(the new body of a loop, the inputs of it that must be exact): what must be in one step must be in the one before."""
        while True:
            new, need = _without(graph, frozenset(wanted), self.memo)
            grown = wanted | {i for i in need if i < n}
            if grown == wanted:
                return new, need | {i for i in wanted if i < n}
            wanted = grown

    def scan(self, line):
        new, need = self.body(line.params["body"], set(self.parts.get(line.out, ())), line.params["n"])
        for i in need:
            self.mark(line.args[i])
        return _with(line, body=new)

    def loop(self, line):
        test, n = line.params["cond"], line.params["n"]
        c = len(test.inputs) - n
        _, asked = _without(test, frozenset([0]), self.memo)
        wanted = set(self.parts.get(line.out, ())) | {i for i in asked if i < n}
        new, need = self.body(line.params["body"], wanted, n)
        for i in asked:
            self.mark(line.args[i])
        for i in need:
            self.mark(line.args[i if i < n else i + c])
        return _with(line, body=new)

    def cond(self, line):
        wanted = frozenset(self.parts.get(line.out, ()))
        sides = {k: _without(line.params[k], wanted, self.memo) for k in ("true", "false")}
        self.mark(line.args[0])
        for i in sides["true"][1] | sides["false"][1]:
            self.mark(line.args[1 + i])
        return _with(line, **{k: g for k, (g, _) in sides.items()})


def _with(line, **graphs):
    if all(line.params[k] is g for k, g in graphs.items()):
        return line
    return Line(line.out, line.op, line.args, {**line.params, **graphs}, line.where)


def _reached(old, new):
    """The outputs that a changed line leads to."""
    reached: set = set()
    for a, b in zip(old.lines, new.lines, strict=True):
        if a is not b or any(v in reached for v in b.args if type(v) is Var):
            reached.add(b.out)
    return [k for k, v in enumerate(new.outputs) if type(v) is Var and v in reached and _real(v.type)]
