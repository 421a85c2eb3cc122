"""Dead code: lines nobody reads, and of loops and choices the results, states, inputs and steps' outputs nobody reads.

One walk up the graph: a loop is met after all that reads it, so that what its readers drop (the residuals of a way back
that is not walked) is not even made. Lines with effects stay.
"""

from ...core.types import Stack, Tuple
from ...traces.graph import Graph, Line, Var
from .rewrite import COND, ITEM, SCAN, WHILE, effectful, same_lines


def dce(graph: Graph) -> Graph:
    """The graph without what nobody reads. Its inputs and outputs stay."""
    return _Pruner().prune(graph, tuple(range(len(graph.outputs))))


class _Pruner:
    def __init__(self):
        self.done = {}  # (id of a graph, the outputs that are kept) -> (the graph, the pruned one)
        self.effects = {}
        self.known = {}  # id of a graph or line -> (it, what each of its outputs is made of)

    def prune(self, graph, keep):
        """The graph with these of its outputs and no dead lines, and with all its inputs."""
        key = (id(graph), keep)
        if key in self.done:
            return self.done[key][1]
        outputs = [graph.outputs[i] for i in keep]
        new = Graph(graph.inputs, graph.lines, outputs, graph.structure, graph.hidden, graph.name)
        self.done[key] = graph, new  # met again if the graph calls itself
        wanted = {v for v in outputs if type(v) is Var}
        parts: dict = {}  # tuple -> which of its elements are read
        lines = []
        for line in reversed(graph.lines):
            out = line.out
            if out not in wanted and out not in parts and not effectful(line, self.effects):
                continue
            op = line.op
            if op is ITEM and type(line.args[0]) is Var:
                parts.setdefault(line.args[0], set()).add(line.params["index"])
                lines.append((line, out, None))
                continue
            kept = None
            if op is SCAN or op is WHILE or op is COND:
                n = len(out.type.elems)
                reads = range(n) if out in wanted else sorted(parts.get(out, ()))
                line, kept = self.shrink(line, set(reads))
                kept = None if len(kept) == n else kept
            elif op.kind == "control":
                line = self.inside(line)
            wanted.update([a for a in line.args if type(a) is Var])
            lines.append((line, out, kept))
        new.lines = _renumber(reversed(lines))
        if len(keep) == len(graph.outputs) and same_lines(new, graph):
            self.done[key] = graph, graph
            return graph
        return new

    def inside(self, line):
        """The line with its bodies pruned, their outputs all kept."""
        params = dict(line.params)
        for k, g in line.params.items():
            if type(g) is Graph:
                params[k] = self.prune(g, tuple(range(len(g.outputs))))
        if all(params[k] is v for k, v in line.params.items()):
            return line
        return Line(line.out, line.op, line.args, params, line.where)

    def shrink(self, line, reads):
        """(the line without dead state, outputs and inputs, which of its results it still has)."""
        how = {SCAN: self.scan, WHILE: self.loop, COND: self.cond}[line.op]
        kept = list(range(len(line.out.type.elems)))
        while True:
            smaller, left = how(line, {i for i, k in enumerate(kept) if k in reads})
            if smaller is line:
                return line, kept
            kept = [kept[i] for i in left]
            # what an inner loop has lost may leave more of this one dead
            again = len(smaller.args) < len(line.args) or len(left) < len(line.out.type.elems)
            line = smaller
            if not again:
                return line, kept

    def scan(self, line, reads):
        p = line.params
        body, n, m = p["body"], p["n"], p["m"]
        live = _Live(body, self)
        for i in reads:
            live.output(i)
        state = live.states(n, {i for i in reads if i < n})
        outs = state + [i for i in range(n, len(body.outputs)) if i in reads]
        xs = [i for i in range(n, n + m) if i in live.inputs]
        if p["length"] is None and not xs:  # the stack tells how many steps there are
            xs = [min(range(n, n + m), key=lambda i: _bytes(body.inputs[i].type))]
        rest = [i for i in range(n + m, len(body.inputs)) if i in live.inputs]
        ins = [*state, *xs, *rest]
        new = self.body(body, outs, ins)
        params = {**p, "body": new, "n": len(state), "m": len(xs)}
        return self.smaller(line, [line.args[i] for i in ins], params, outs), outs

    def loop(self, line, reads):
        p = line.params
        test, body, n = p["cond"], p["body"], p["n"]
        c = len(test.inputs) - n
        tested = _Live(test, self)
        tested.output(0)
        live = _Live(body, self)
        for i in reads:
            live.output(i)
        state = live.states(n, {i for i in reads if i < n} | {i for i in tested.inputs if i < n})
        outs = state + [i for i in range(n, len(body.outputs)) if i in reads]
        own = [i for i in range(n, n + c) if i in tested.inputs]
        rest = [i for i in range(n, len(body.inputs)) if i in live.inputs]
        params = {
            **p,
            "cond": self.body(test, [0], state + own),
            "body": self.body(body, outs, state + rest),
            "n": len(state),
        }
        return self.smaller(line, [line.args[i] for i in [*state, *own, *(i + c for i in rest)]], params, outs), outs

    def cond(self, line, reads):
        p = line.params
        outs = sorted(reads)
        used: set = set()
        for side in ("true", "false"):
            live = _Live(p[side], self)
            for i in outs:
                live.output(i)
            used |= live.inputs
        ins = sorted(used)
        params = {**p, **{side: self.body(p[side], outs, ins) for side in ("true", "false")}}
        if p.get("sides") is not None:
            params["sides"] = tuple(p["sides"][i] for i in outs)
        return self.smaller(line, [line.args[0], *(line.args[i + 1] for i in ins)], params, outs), outs

    def read_by(self, line):
        """For each result of a loop or choice without effects, which arguments it is made of, as a list of numbers.

        A recursion as a loop carries all that any of its steps needs, most of it through one choice: what of that is dead is seen
        only where its results are told apart.
        """
        if id(line) not in self.known:
            p = line.params
            if line.op is COND:
                rows = [1 | (a | b) << 1 for a, b in zip(self.inputs_of(p["true"]), self.inputs_of(p["false"]), strict=True)]
            else:
                n, inner = p["n"], self.inputs_of(p["body"])
                base = c = 0
                if line.op is WHILE:
                    c = len(p["cond"].inputs) - n
                    base = self.inputs_of(p["cond"])[0]
                state = (1 << n) - 1
                inner = [m & state | (m & ~state) << c for m in inner]  # behind the state come the constants of the test
                rows = [_closed(m | base | (1 << k if k < n else 0), inner, n) for k, m in enumerate(inner)]
                if line.op is SCAN and p["length"] is None:
                    stacks = ((1 << p["m"]) - 1) << n  # one of these tells how many steps there are
                    rows = [m if m & stacks else m | stacks for m in rows]
            self.known[id(line)] = line, [_bits(m) for m in rows]
        return self.known[id(line)][1]

    def inputs_of(self, graph):
        """For each output of a graph, which inputs it is made of: bit i stands for input i."""
        if id(graph) not in self.known:
            self.known[id(graph)] = graph, [(1 << len(graph.inputs)) - 1] * len(graph.outputs)  # met again if it calls itself
            masks = {v: 1 << i for i, v in enumerate(graph.inputs)}
            whole = {}
            for line in graph.lines:
                if line.op is ITEM and line.args[0] in whole:
                    given = whole[line.args[0]]
                    args = [given.args[i] for i in self.read_by(given)[line.params["index"]]]
                else:
                    args = line.args
                    if line.op in (COND, SCAN, WHILE):
                        whole[line.out] = line
                m = 0
                for a in args:
                    m |= masks.get(a, 0)
                masks[line.out] = m
            self.known[id(graph)] = graph, [masks.get(v, 0) for v in graph.outputs]
        return self.known[id(graph)][1]

    def body(self, graph, outs, ins):
        """The graph with these outputs and inputs alone."""
        new = self.prune(graph, tuple(outs))
        if len(ins) == len(new.inputs):
            return new
        key = (id(new), "inputs", tuple(ins))
        if key not in self.done:
            inputs = [new.inputs[i] for i in ins]
            self.done[key] = new, Graph(inputs, new.lines, new.outputs, new.structure, (), new.name)
        return self.done[key][1]

    def smaller(self, line, args, params, outs):
        """The line with these; itself if nothing has changed."""
        if len(args) == len(line.args) and all(params[k] is v or params[k] == v for k, v in line.params.items()):
            return line
        t = line.out.type
        out = line.out if len(outs) == len(t.elems) else Var(Tuple(t.elems[i] for i in outs))
        return Line(out, line.op, args, params, line.where)


class _Live:
    """What a graph needs of its inputs, for the outputs asked for so far and its effects."""

    def __init__(self, graph, pruner):
        self.graph = graph
        self.pruner = pruner
        self.defs = {line.out: line for line in graph.lines}
        self.places = {v: i for i, v in enumerate(graph.inputs)}
        self.inputs = set()  # the numbers of those needed
        self.seen = set()
        for line in graph.lines:
            if effectful(line, pruner.effects):
                self.want(line.out)

    def output(self, i):
        self.want(self.graph.outputs[i])

    def want(self, v):
        todo = [v]
        while todo:
            v = todo.pop()
            if type(v) is not Var or v in self.seen:
                continue
            self.seen.add(v)
            if v in self.places:
                self.inputs.add(self.places[v])
                continue
            line = self.defs[v]
            if line.op is ITEM and line.args[0] in self.defs:
                whole = self.defs[line.args[0]]
                if whole.op in (COND, SCAN, WHILE) and whole.out not in self.seen:
                    todo.extend(whole.args[i] for i in self.pruner.read_by(whole)[line.params["index"]])
                    continue
            todo.extend(line.args)

    def states(self, n, live):
        """Which of the n states of a loop are needed, if these are: with each its next value, and what that reads."""
        while True:
            for i in live:
                self.output(i)
            grown = live | {i for i in self.inputs if i < n}
            if grown == live:
                return sorted(live)
            live = grown


def _closed(mask, inner, n):
    """The arguments of a loop that those of `mask` are made of in any number of steps."""
    seen = 0
    while True:
        new = mask & ((1 << n) - 1) & ~seen
        if not new:
            return mask
        seen |= new
        for i in _bits(new):
            mask |= inner[i]


def _bits(mask):
    """The places of the ones of a number."""
    out = []
    while mask:
        low = mask & -mask
        out.append(low.bit_length() - 1)
        mask ^= low
    return out


def _renumber(rows):
    """The lines, with `item` of tuples that have lost elements counting those that are left.

    rows: (line, the variable it set before, which results are left or None for all).
    """
    changed: dict = {}  # old tuple -> (new one, {old index: new index})
    lines = []
    for line, out, kept in rows:
        if kept is not None:
            changed[out] = line.out, {k: i for i, k in enumerate(kept)}
        elif line.op is ITEM and line.args[0] in changed:
            x, places = changed[line.args[0]]
            line = Line(line.out, ITEM, [x], {"index": places[line.params["index"]]}, line.where)
        lines.append(line)
    return lines


def _bytes(t):
    return _bytes(t.elem) if type(t) is Stack else sum(map(_bytes, t.elems)) if type(t) is Tuple else t.size
