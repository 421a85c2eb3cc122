"""What was computed, as rows: by a function that is run once (`of_function`), behind a tensor (`of_tensor`), in a Graph
(`of_graph`). A row knows its value, its local partials and the total derivative of the result with respect to it.

Nothing here is on the way of an ordinary derivative: the recorder is a Tape that also notes each op and its line.
"""

import os

import numpy as np

from ..core import tree
from ..core.errors import ReleasedError, user_frame, where
from ..core.op import Op, Trace, bind, is_plain
from ..core.tensor import is_tensor, make, peek, untracked
from ..core.tuples import Partial, Parts
from ..core.types import Array, Stack, Tuple, typeof
from ..traces import reverse
from ..traces.graph import Const
from ..transforms.calling import call, strip
from . import trace
from .text import source


class _Unknown:
    def __repr__(self):
        return "?"


UNKNOWN = _Unknown()  # a value that nobody kept


class Row:
    """One input or one application of an op. args: pairs (index of a row or None, value)."""

    __slots__ = ("args", "file", "lineno", "name", "node", "op", "params", "total", "type", "value", "where")

    def __init__(self, op, name, args=(), params=None, type=None, value=UNKNOWN, node=None):
        self.op = op
        self.name = "multiply" if name == "strong_mul" else name  # the product that rules use
        self.args = args
        self.params = params or {}
        self.type = type
        self.value = value
        self.node = node
        self.total = None  # None: the result does not depend on this row
        self.file = self.where = ""
        self.lineno = 0

    @property
    def source(self):
        return source(self.file, self.lineno)

    @property
    def parents(self):
        """The rows among the arguments, each once."""
        return list(dict.fromkeys(i for i, _ in self.args if i is not None))


class Record:
    """All rows, oldest first, and which of them are the result."""

    __slots__ = ("again", "backward", "outputs", "read", "rows", "serials", "title", "what")

    def __init__(self, title, rows, outputs, what="", again=None):
        self.title = title
        self.rows = rows
        self.outputs = outputs
        self.what = what  # what the totals are derivatives of; '' where there are none
        self.again = again  # (f, args, kwargs), where a function was run
        self.serials = {row.node[0]: i for i, row in enumerate(rows) if row.node is not None}
        self.backward: dict = {}  # op name -> how often the backward pass applies it
        self.read = 0  # bytes of forward values that the backward pass reads
        if what:
            fill_totals(self)

    def partials(self, row):
        """{parent's index: partial derivative}, entry by entry; a text where it is a whole Jacobian."""
        if row.node is None or row.node[1] is None:
            return {}
        with np.errstate(all="ignore"):
            return {i: self._partial(row, i) for i in row.parents if self.rows[i].node is not None}

    def _partial(self, row, index):
        parent = self.rows[index]
        t, a = row.type, parent.type
        if type(t) is not Array or type(a) is not Array:
            return ""
        op, _, parents, y, args, params = opened(row.node)
        mine = [p is not None and self.serials.get(p[0]) == index for p in parents]
        if not any(mine):
            return ""
        complete = all(v is not UNKNOWN for _, v in row.args) and row.value is not UNKNOWN
        slope = t.shape == () and t.dtype.kind == "f" and a.dtype.kind == "c"  # of a real number in a complex plane
        if op.kind == "elementwise" or (a.shape == () and complete and (op.jvp or op.dual) and not slope):
            # every entry depends on one entry of the argument: the tangent along ones holds them all
            ts = [ones(a) if m else None for m in mine]
            if complete:
                y, args = row.value, [v for _, v in row.args]
            else:
                y = t if y is None else y
                args = [row_type(self.rows, r, v) if v is None else v for (r, _), v in zip(row.args, args, strict=True)]
            return op.dual(ts, *args, **params)[1] if op.dual else op.jvp(ts, y, *args, **params)
        if t.shape == () and t.dtype.kind == "f":
            back = op.vjp([p is not None for p in parents], ones(t), y, *args, **params)
            parts = [dense(e) for e, m in zip(back, mine, strict=False) if m and e is not None]
            return sum(parts[1:], parts[0]) if parts else 0.0
        return f"[{','.join(map(str, t.shape))}]x[{','.join(map(str, a.shape))}] Jacobian"


def row_type(rows, index, value):
    return rows[index].type if index is not None else value


def ones(t):
    """The cotangent 1 of a value of this type."""
    if t.weak:
        return t.dtype.type(1).item()
    return np.ones(t.shape, t.dtype) if t.shape else t.dtype.type(1)


def dense(g):
    return g.dense() if isinstance(g, Partial) else g


def opened(node):
    """(op, flags of the tracked arguments, their nodes, y, arguments, params) of a node of either layout."""
    _, pull, parents, y = node[:4]
    if pull is reverse.general:
        args, op, params = node[4:7]
        parents = list(parents)
    else:
        op, wants = reverse.FAST[pull]
        args, params = node[4:], {}
        if type(op) is not Op:  # a node made by hand, which keeps other things than arguments
            op = _stand_in(op)
        parents = [parents if w else None for w in wants] if type(parents) is list else list(parents)
    return op, [p is not None for p in parents], parents, y, args, params


def _stand_in(rule):
    """An Op that pulls back as the rule does; its value is `rule.eval(x, *what the node keeps)`, if there is one."""
    if rule not in _stand_ins:
        _stand_ins[rule] = Op(rule.name, getattr(rule, "eval", None), kind="quick", vjp=rule.vjp, register=False)
    return _stand_ins[rule]


_stand_ins: dict = {}


# Totals and costs: one walk back that keeps what the ordinary walk throws away


class Counter(Trace):
    """Counts the ops that are applied to its tensors, which behave as their values do; notes which of them are read."""

    __slots__ = ("counts", "read")

    def __init__(self):
        super().__init__()
        self.counts = {}  # op name -> how often
        self.read = set()  # ids of tensors

    def process(self, op, args, params):
        self.read.update(map(id, args))
        y = bind(op, *[a.value if is_tensor(a) and a.trace is self else a for a in args], **params)
        if op.kind != "tuple":
            name = "multiply" if op.name == "strong_mul" else op.name
            self.counts[name] = self.counts.get(name, 0) + 1
        return make(y, self, None)

    def concrete(self, tensor, why):
        self.read.add(id(tensor))
        return tensor.value

    def holds(self, tensor):
        return False

    def wrap(self, x, made=None):
        """A value that counts; numbers that are part of the program, such as the 2 in x ** 2, stay as they are.

        made: {id of the tensor: x} is filled.
        """
        if type(x) is tuple:
            return tuple(self.wrap(e, made) for e in x)
        if type(x) is Parts:
            return Parts(self.wrap(e, made) for e in x.parts)
        if not isinstance(x, (np.ndarray, np.generic, float)) and not is_tensor(x):
            return x
        t = make(x, self, None)
        if made is not None:
            made[id(t)] = (x, t)
        return t


def fill_totals(record):
    """The derivative of the result (of the sum of its entries) with respect to each row, and what finding it costs."""
    rows = record.rows
    found = {i: ones(rows[i].type) for i in record.outputs if rows[i].node is not None}
    kept = {}
    with np.errstate(all="ignore"):
        for i in range(len(rows) - 1, -1, -1):
            row = rows[i]
            if i not in found:
                continue
            g = row.total = dense(found[i])
            if row.node[1] is None:
                continue
            op, wants, parents, y, args, params = opened(row.node)
            back = op.vjp(wants, g, y, *args, **params)
            for x in _count(record.backward, op, wants, g, y, args, params):
                kept[id(x)] = x
            for p, e in zip(parents, back, strict=False):
                if p is None or e is None:
                    continue
                j = record.serials[p[0]]
                if j in found:
                    found[j] = found[j] + e
                    record.backward["add"] = record.backward.get("add", 0) + 1
                else:
                    found[j] = e
    record.read = sum(np.asarray(x).nbytes for x in kept.values())


def _count(counts, op, wants, g, y, args, params):
    """Apply a vjp rule once more, on values that count what is done with them. Returns the forward values it reads."""
    counter = Counter()
    made: dict = {}
    try:
        op.vjp(wants, counter.wrap(g), *[counter.wrap(v, made) for v in (y, *args)], **params)
        made = {k: v for k, v in made.items() if k in counter.read}
    except Exception:  # a rule that wants plain arrays counts as one operation that reads all
        counter.counts = {op.name: 1}
    for name, n in counter.counts.items():
        counts[name] = counts.get(name, 0) + n
    return [v for v, _ in made.values() if is_plain(v)]


# A function, run once


class Recorder(reverse.Tape):
    """A Tape that notes each op, its arguments, its value and the user's line."""

    __slots__ = ("events",)

    def __init__(self):
        super().__init__()
        self.events = []

    def process(self, op, args, params):
        noted = [self._now(a) for a in args]  # now: a later write moves a tensor on to another node
        y = super().process(op, args, params)
        frame = user_frame()
        line = (frame.f_code.co_filename, frame.f_lineno) if frame else ("", 0)
        self.events.append((op, noted, params, self._now(y), line))
        return y

    def _now(self, x):
        """(node, value) of an argument or a result; the node is None where this tape does not follow it."""
        if is_tensor(x) and (x.trace is self or x.trace is None):
            return (x.info if x.trace is self else None), x.value
        return None, x


def of_function(f, args, kwargs):
    """Run f once, and the Record of it. Floating-point numbers and arrays among the arguments are its inputs."""
    rows, outputs, real, error = run(f, args, kwargs)
    if error is not None:
        raise error
    title = getattr(f, "__name__", type(f).__name__)
    return Record(title, rows, outputs, _what(rows, outputs) if real else "", (f, args, kwargs))


def run(f, args, kwargs):
    """Run f once on recorded inputs: (rows, which of them are results, whether those are real, the error f raised)."""
    tape = Recorder()
    inputs = []
    names = []

    def leaf(x):
        if is_tensor(x) and x.trace is None:
            x = x.value
        if not floating(x):
            return x
        inputs.append(tape.leaf(x))
        return inputs[-1]

    replaced = []
    for name, x in [*zip(_names(f, len(args)), args, strict=True), *kwargs.items()]:
        paths = iter(tree.paths(x, name))

        def named(x, paths=paths):
            path = next(paths)
            n = len(inputs)
            y = leaf(x)
            names.extend([path] * (len(inputs) - n))
            return y

        replaced.append(tree.map(named, x))
    starts = [(t.value, t.info) for t in inputs]  # now: f may write into its arguments
    result = error = None
    reverse.slow_down(1)  # the fast path does not ask `process`
    try:
        result = call(f, replaced[: len(args)], dict(zip(kwargs, replaced[len(args) :], strict=True)))
    except Exception as e:
        error = e
    finally:
        reverse.slow_down(-1)
        tape.close()
    rows = [
        Row(None, name, type=typeof(value), value=value, node=node)
        for name, (value, node) in zip(names, starts, strict=True)
    ]
    index = _add_events(rows, tape)
    outputs = []
    real = True
    for y in tree.flatten(result)[0] if error is None else ():
        value, node = strip(tape, y)
        if node is not None:
            outputs.append(index[node[0]])
            real = real and type(rows[outputs[-1]].type) is Array and rows[outputs[-1]].type.dtype.kind == "f"
    return rows, list(dict.fromkeys(outputs)), real, error


def _add_events(rows, tape):
    """A row for each op that the recorder noted: {serial of a node: index of its row}."""
    index = {row.node[0]: i for i, row in enumerate(rows)}
    plain = {}  # id of an array without derivative -> row
    for op, args, params, (node, value), (file, lineno) in tape.events:
        row_args = [(plain.get(id(a)) if n is None else index[n[0]], a) for n, a in args]
        row = Row(op, op.name, row_args, params, typeof(value), value, node)
        row.file, row.lineno = file, lineno
        row.where = f"{os.path.basename(file)}:{lineno}" if file else ""
        if node is not None:
            index[node[0]] = len(rows)
        elif type(value) in (np.ndarray, np.float64):
            plain[id(value)] = len(rows)
        rows.append(row)
    tape.events = []  # they hold tensors, which hold the tape
    return index


def floating(x):
    """Whether a value can be differentiated; objects of other kinds pass through functions as they are."""
    try:
        return typeof(x).dtype.kind in "fc"
    except (TypeError, AttributeError):
        return False


def _what(rows, outputs):
    """What the totals are derivatives of."""
    if not outputs:
        return ""
    one = f"%{outputs[0]}" if len(outputs) == 1 else "the results"
    return one if len(outputs) == 1 and rows[outputs[0]].type.shape == () else f"the sum of {one}"


def _names(f, n):
    """The names of f's first n parameters."""
    code = getattr(f, "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code else []
    if getattr(f, "__self__", None) is not None:
        names = names[1:]
    if n == 1 and not names:
        return ["x"]
    return [*names[:n], *(f"x{i}" for i in range(len(names), n))]


# A tensor: what its nodes still know


def of_tensor(x):
    """The Record of the graph behind a tensor. Values that were not kept are computed again from those that were."""
    rows = behind(x, "show")
    last = len(rows) - 1
    kind = rows[last].type
    real = rows[last].node is not None and type(kind) is Array and kind.dtype.kind == "f"
    return Record("tensor", rows, [last], _what(rows, [last]) if real else "")


def behind(x, name):
    """The rows of the graph behind a tensor, which is the last of them. name: the view that asks, for its error."""
    if x.trace is None or not isinstance(x.trace, reverse.Tape):
        label = "constant" if x.trace is None else f"a tensor of a {type(x.trace).__name__}"
        return [Row(None, label, type=typeof(x), value=x)]
    nodes = _below(x.info, name)
    lines = x.trace.lines if x.trace.lines is not None else trace.recent
    values = _known_values(nodes, lines)
    values[x.info[0]] = x.value
    labels = _labels(x.trace)
    index: dict = {}
    rows: list = []
    for node in nodes:
        k = node[0]
        if node[1] is None:
            value = values.get(k, UNKNOWN)
            row = Row(None, labels.get(k, f"x{len(rows)}"), type=_type(value), value=value, node=node)
        else:
            op, _, parents, y, args, params = opened(node)
            row_args = [
                (None, a if known(a) else UNKNOWN) if p is None else (index[p[0]], values.get(p[0], UNKNOWN))
                for p, a in zip(parents, args, strict=True)
            ]
            complete = all(v is not UNKNOWN and is_plain(v) for _, v in row_args)
            if k not in values and complete and op.eval is not None and not op.effect:
                with np.errstate(all="ignore"):
                    values[k] = op.eval(*[v for _, v in row_args], **params)
            value = values.get(k, UNKNOWN)
            kind = _type(value) or (y if isinstance(y, (Array, Tuple, Stack)) else None)
            if kind is None and node[1] is not reverse.general and op.kind == "elementwise":
                kind = rows[next(i for i, _ in row_args if i is not None)].type  # the fast path keeps shape and dtype
            row = Row(op, op.name, row_args, params, kind, value, node)
            row.where = lines[k][1] if k in lines else ""
        index[k] = len(rows)
        rows.append(row)
    return rows


def _below(node, name):
    """All nodes that a node depends on, itself included, oldest first."""
    seen = {}
    todo = [node]
    while todo:
        node = todo.pop()
        if node[0] in seen:
            continue
        if node[1] is reverse.released:
            raise ReleasedError(
                f"{name} of a graph that backward has released{where()}; call ad.{name}(y) before y.backward(), "
                "or pass retain_graph=True to it"
            )
        seen[node[0]] = node
        if node[1] is not None:
            todo.extend(p for p in opened(node)[2] if p is not None)
    return [seen[k] for k in sorted(seen, reverse=True)]  # serials fall


def known(x):
    """Whether what a node holds is a value, not its type and not nothing."""
    return x is not None and not isinstance(x, (Array, Tuple, Stack))


def _known_values(nodes, lines):
    values = {}
    for node in nodes:
        k = node[0]
        if node[1] is None:
            tensor = node[3].tensor() if hasattr(node[3], "tensor") else None
            if tensor is not None and tensor.info is node:
                values.setdefault(k, tensor.value)
            continue
        op, _, parents, y, args, _ = opened(node)
        if k in lines:
            values[k] = lines[k][2]
        elif known(y) and op.record is None:
            values[k] = y
        for p, a in zip(parents, args, strict=True):
            if p is not None and known(a) and op.kind != "quick":
                values[p[0]] = a  # what was recorded counts, not what the leaf holds now
    return values


def _type(value):
    return None if value is UNKNOWN else typeof(value)


def _labels(tape):
    """{serial: name} of the tensors in the caller's variables."""
    frame = user_frame()
    found = {}
    if frame is not None:
        for name, v in [*frame.f_globals.items(), *frame.f_locals.items()]:
            if is_tensor(v) and v.trace is tape and not name.startswith("_"):
                found[v.info[0]] = name
    return found


# A captured Graph: types, no values


def of_graph(graph):
    index = {}
    rows = []
    for v in graph.inputs:
        index[id(v)] = len(rows)
        rows.append(Row(None, "input", type=v.type))
    for line in graph.lines:
        args = [(None, a.value) if type(a) is Const else (index[id(a)], UNKNOWN) for a in line.args]
        index[id(line.out)] = len(rows)
        row = Row(line.op, line.op.name, args, line.params, line.out.type)
        row.where = line.where
        rows.append(row)
    return Record(graph.name, rows, list(dict.fromkeys(index[id(v)] for v in graph.outputs if type(v) is not Const)))


# What derivatives cost


def count(f):
    """count(f)(*args) runs f and returns ({op: how often it was applied}, f's result): what f costs, in operations.

    f may be a derivative: count(ad.grad(f))(x). Operations on constants are not counted.

    >>> import numpy as np, adjoint as ad
    >>> from adjoint.views.record import count
    >>> count(lambda x: np.sin(x) * x + x)(2.0)[0]
    {'sin': 1, 'multiply': 1, 'add': 1}
    """

    def counted(*args, **kwargs):
        trace = Counter()

        def wrap(x):
            if is_tensor(x) and x.trace is None:
                x = x.value
            return trace.wrap(x) if floating(x) else x

        y = f(*tree.map(wrap, args), **tree.map(wrap, kwargs))
        trace.close()
        return trace.counts, tree.map(lambda leaf: untracked(peek(leaf)[1]) if is_tensor(leaf) else leaf, y)

    return counted
