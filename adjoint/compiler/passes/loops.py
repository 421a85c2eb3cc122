"""Loops: what does not change from step to step is known to the body, or computed before the loop.

* A constant argument becomes a constant of the body; a number repeated is repeated inside.
* State that no step changes, and an array along which a scan reads the same again and again, become plain arguments.
* Arguments given twice are given once; results that are known without the loop (what it reads, what never changes) are
  taken from there.
* Lines that depend on such arguments alone are computed once. A loop may run no step at all, so that only lines that can
  neither fail nor take long leave a `while`.
"""

from ...core.op import OPS
from ...core.types import Array, Stack, Tuple
from ...traces.graph import Const, Graph, Line, Var
from .inline import item_of
from .rewrite import COND, ITEM, PACK, SCAN, WHILE, broadcasts, const_key, effectful, fit, pure, rebuild

BROADCAST, RESHAPE = OPS["broadcast_to"], OPS["reshape"]
# Computed where they are read, if nothing else is: they cost nothing there.
_VIEWS = {OPS[n] for n in ("reshape", "transpose", "broadcast_to", "getitem", "flip", "astype", "copy", "pack")}
_TOTAL = {
    "prod",
    "max",
    "min",
    "var",
    "std",
    "norm",
    "softmax",
    "logsumexp",
    "einsum",
    "all",
    "any",
    "cumprod",
}  # never fail
_TOTAL_ON_NUMBERS = {
    "add",
    "subtract",
    "multiply",
    "negative",
    "absolute",
    "less",
    "greater",
    "less_equal",
    "greater_equal",
}


def loops(graph: Graph) -> Graph:
    """The graph with bodies that know what does not change."""

    def start(b):
        def step(line):
            op = line.op
            if op is ITEM:
                return item_of(b, line) or b.append(line)
            change = {SCAN: _scan, WHILE: _while, COND: _cond}.get(op)
            return b.append(line) if change is None else change(b, line)

        return step

    return rebuild(graph, start)


class _Body:
    """A body whose inputs are being changed: what stands for them, lines in front, and the inputs and arguments it keeps."""

    def __init__(self, b, graph):
        self.b = b
        self.graph = graph
        self.env: dict = {}
        self.front: list = []
        self.inputs: list = []
        self.args: list = []
        self.given: dict = {}  # argument -> the input that has it already
        self.fixed: set = set()  # inputs and variables that are the same at each step
        self.changed = False

    def take(self, v, a):
        """Keep an input that may change from step to step."""
        self.inputs.append(v)
        self.args.append(a)

    def constant(self, v, a):
        """Settle an input that is the same at each step."""
        if type(a) is Const:
            c = fit(self.b, a, v.type)
            if c is not None:
                self.env[v] = c
                self.changed = True
                return
        same = self.given.get(a)
        if same is not None and same.type == v.type:
            self.env[v] = same
            self.changed = True
            return
        made = self.b.made_by(a, BROADCAST)
        if made is not None and a.type == v.type and made.args[0].type.size < a.type.size:
            self.repeat(v, made.args[0])
            return
        self.given[a] = v
        self.fixed.add(v)
        self.take(v, a)

    def repeat(self, v, x):
        """The input v is x broadcast, which is done inside."""
        inner = Var(x.type)
        self.constant(inner, x)
        out = Var(v.type)
        self.front.append(Line(out, BROADCAST, [self.read(inner)], {"shape": v.type.shape}, self.b.where))
        self.fixed.add(out)
        self.env[v] = out
        self.changed = True

    def read(self, v):
        return v if type(v) is Const else self.env.get(v, v)

    def lines(self):
        out = list(self.front)
        for line in self.graph.lines:
            args = [self.read(a) for a in line.args]
            same = all(x is y for x, y in zip(args, line.args, strict=True))
            out.append(line if same else Line(line.out, line.op, args, line.params, line.where))
        return out

    def finish(self, outputs, sure):
        """The new body, after lines that never change have gone to the builder. sure: the loop runs at least one step."""
        lines = self.lines()
        lines = self.hoist(lines, outputs, sure)
        if not self.changed and len(outputs) == len(self.graph.outputs):
            return self.graph
        return Graph(self.inputs, lines, outputs, self.graph.structure, (), self.graph.name)

    def hoist(self, lines, outputs, sure):
        effects: dict = {}
        fixed = set(self.fixed)
        made = {line.out: line for line in self.front}
        wanted = []
        for line in lines:
            if all(type(a) is Const or a in fixed for a in line.args) and _may_leave(line, sure, effects):
                fixed.add(line.out)
                made[line.out] = line
                if line.op not in _VIEWS and _worth(line) and any(type(a) is Var for a in line.args):
                    wanted.append(line)
        if not wanted:
            return lines
        b = self.b
        outside = dict(zip(self.inputs, self.args, strict=True))

        def move(v):
            todo = [v]
            while todo:
                v = todo[-1]
                if type(v) is Const or v in outside:
                    todo.pop()
                    continue
                line = made[v]
                rest = [a for a in line.args if type(a) is Var and a not in outside]
                if rest:
                    todo += rest
                    continue
                args = [a if type(a) is Const else outside[a] for a in line.args]
                outside[v] = b.append(Line(Var(v.type), line.op, args, line.params, line.where))
                todo.pop()

        gone = set()
        for line in wanted:
            move(line.out)
            gone.add(line.out)
        left = [line for line in lines if line.out not in gone]
        used = {a for line in left for a in line.args} | set(outputs)
        for line in wanted:
            if line.out in used:
                self.take(line.out, outside[line.out])
        self.changed = True
        return left


def _worth(line):
    """Whether a line is better computed once and kept than at each step: not if it only makes much out of little."""
    t = line.out.type
    if type(t) is not Array or not broadcasts(line.op):
        return True
    return t.size <= 64 or t.size <= max(a.type.size for a in line.args)


def _may_leave(line, sure, effects):
    op = line.op
    if effectful(line, effects) or not (pure(op) or op.kind == "control"):
        return False
    if sure:
        return True
    if op.kind == "control" or type(line.out.type) is not Array:
        return False
    if broadcasts(op):
        if line.out.type.weak:  # Python's numbers: they divide by zero with an error
            return op.name in _TOTAL_ON_NUMBERS
        return line.out.type.dtype.kind in "fcb" or op.name != "power"
    if op.kind in ("linear", "bilinear"):
        return op.name not in ("getitem", "scatter", "index_set") or all(
            a.type.dtype.kind not in "iu" for a in line.args[1:]
        )
    return op.name in _TOTAL


def _item(b, t, i):
    return b.append(Line(Var(t.type.elems[i]), ITEM, [t], {"index": i}, b.where))


def _scan(b, line):
    p = line.params
    graph, n, m, length = p["body"], p["n"], p["m"], p["length"]
    args = line.args
    body = _Body(b, graph)
    known = _unchanged(graph, args, n)  # which results are known without the loop
    state = [i for i in range(n) if i not in known]
    for i in state:
        body.take(graph.inputs[i], args[i])
    xs: list = []  # which arrays are read step by step
    first: dict = {}
    short: dict = {}
    for i in range(n, n + m):
        v, a = graph.inputs[i], args[i]
        plain = length is not None and type(v.type) is Array and not v.type.weak
        one = _same_each_step(b, a) if plain else None
        if one is not None:
            short[v] = one
        elif _key(a) in first:
            body.env[v] = first[_key(a)]
        else:
            first[_key(a)] = v
            xs.append(i)
            body.take(v, a)
    body.changed = len(state) < n or len(xs) < m
    for i in known:
        body.constant(graph.inputs[i], args[i])
    for v, one in short.items():
        if one.type == v.type:
            body.constant(v, one)
        else:
            body.repeat(v, one)
    for i in range(n + m, len(graph.inputs)):
        body.constant(graph.inputs[i], args[i])
    repeated = {row.out: row.args[0] for row in graph.lines if row.op is BROADCAST and type(row.args[0]) is Const}
    for i in range(n, len(graph.outputs)):
        out = graph.outputs[i]
        value = _known_stack(b, body, repeated.get(out, out), line.out.type.elems[i], xs, args)
        if value is not None:
            known[i] = value
    outputs, places = _outputs(body, state, [i for i in range(n, len(graph.outputs)) if i not in known])
    new = body.finish(outputs, length is not None and length > 0)
    params = {**p, "body": new, "n": len(state), "m": len(xs)}
    return _replaced(b, line, body.args, params, known, places)


def _outputs(body, state, more):
    """(the outputs of the new body, old number -> new one): those of the state, then the others, equal ones once."""
    outputs = [body.read(body.graph.outputs[i]) for i in state]
    places = {i: k for k, i in enumerate(state)}
    emitted: dict = {}
    for i in more:
        v = body.read(body.graph.outputs[i])
        if v not in emitted:
            emitted[v] = len(outputs)
            outputs.append(v)
        places[i] = emitted[v]
    return outputs, places


def _replaced(b, line, args, params, known, places):
    """The line with these, and a tuple of its results as they were: `known` ones, and those at new places."""
    types = line.out.type.elems
    if len(args) == len(line.args) and all(params[k] is v or params[k] == v for k, v in line.params.items()):
        return b.append(line)
    elems = {k: types[i] for i, k in places.items()}
    if len(elems) == len(types):
        return b.append(Line(line.out, line.op, args, params, line.where))
    t = b.append(Line(Var(Tuple(elems[k] for k in range(len(elems)))), line.op, args, params, line.where))
    return b.emit(PACK, [known[i] if i in known else _item(b, t, places[i]) for i in range(len(types))])


def _key(a):
    return const_key(a.value, {}) if type(a) is Const else a


def _unchanged(graph, args, n):
    """Which states no step changes, and what they are."""
    pairs = zip(range(n), graph.inputs, graph.outputs, args, strict=False)
    return {i: a for i, v, out, a in pairs if out is v and a.type == v.type}


def _same_each_step(b, a):
    """The one step that an array along which nothing changes repeats; None if there is no such thing."""
    made = b.made_by(a, BROADCAST)
    if made is None or type(a.type) is not Array or not a.type.ndim:
        return None
    (x,) = made.args
    if x.type.weak or x.type.size == 0 or a.type.size == 0:
        return None
    if x.type.ndim < a.type.ndim:
        return x
    if x.type.shape[0] != 1:
        return None
    return b.emit(RESHAPE, [x], {"shape": x.type.shape[1:]})


def _known_stack(b, body, out, t, xs, args):
    """What a scan puts together, if it is known without: an array that it reads, or one value again and again."""
    v = body.read(out)
    for i in xs:
        if v is body.graph.inputs[i]:
            return args[i] if args[i].type == t else None
    if type(t) is Stack or not t.shape[0]:
        return None
    if type(v) is Const:
        x = v
    elif v in body.fixed and v in body.inputs:
        x = body.args[body.inputs.index(v)]
    else:
        return None
    return b.emit(BROADCAST, [x], {"shape": t.shape}) if x.type.dtype == t.dtype else None


def _while(b, line):
    p = line.params
    test, graph, n = p["cond"], p["body"], p["n"]
    args = line.args
    c = len(test.inputs) - n
    body, asked = _Body(b, graph), _Body(b, test)
    known = _unchanged(graph, args, n)
    state = [i for i in range(n) if i not in known]
    if not state:  # a loop that never ends, or never begins
        return b.append(line)
    for i in state:
        body.take(graph.inputs[i], args[i])
        asked.take(test.inputs[i], args[i])
    for i, a in known.items():
        body.changed = asked.changed = True
        body.constant(graph.inputs[i], a)
        asked.constant(test.inputs[i], a)
    for i in range(n, n + c):
        asked.constant(test.inputs[i], args[i])
    for i in range(n, len(graph.inputs)):
        body.constant(graph.inputs[i], args[i + c])
    outputs, places = _outputs(body, state, range(n, len(graph.outputs)))
    new_test = asked.finish([asked.read(test.outputs[0])], False)
    new_body = body.finish(outputs, False)
    k = len(state)
    row = [*body.args[:k], *asked.args[k:], *body.args[k:]]
    return _replaced(b, line, row, {**p, "cond": new_test, "body": new_body, "n": k}, known, places)


def _cond(b, line):
    """Constants are known to both branches; arguments given twice are given once."""
    p = line.params
    args = line.args[1:]
    sides = {k: _Body(b, p[k]) for k in ("true", "false")}
    seen: dict = {}
    kept = []
    for i, a in enumerate(args):
        types = {p[k].inputs[i].type for k in sides}
        if type(a) is Const and types == {a.type}:
            for k, body in sides.items():
                body.env[p[k].inputs[i]] = a
                body.changed = True
        elif type(a) is Var and a in seen and types == {a.type}:
            for k, body in sides.items():
                body.env[p[k].inputs[i]] = p[k].inputs[seen[a]]
                body.changed = True
        else:
            seen.setdefault(a, i)
            kept.append(i)
    if len(kept) == len(args):
        return b.append(line)
    params = dict(p)
    for k, body in sides.items():
        inputs = [p[k].inputs[i] for i in kept]
        outputs = [body.read(v) for v in p[k].outputs]
        params[k] = Graph(inputs, body.lines(), outputs, p[k].structure, (), p[k].name)
    return b.append(Line(line.out, COND, [line.args[0], *(args[i] for i in kept)], params, line.where))
