"""Graph: typed lines `v = op(args)`. It runs by calling `bind`, so it can be differentiated, mapped and captured again."""

import numpy as np

from ..core.errors import ShapeError
from ..core.op import bind
from ..core.tensor import BIRTHS, is_tensor
from ..core.types import Array, typeof


class Var:
    """One value of a graph: an input or the result of a line. birth: the youngest trace when it was made."""

    __slots__ = ("birth", "type")

    def __init__(self, type):
        self.type = type
        self.birth = BIRTHS[0]


class Const:
    """A value known when the graph was captured."""

    __slots__ = ("type", "value")

    def __init__(self, value):
        self.value = value
        self.type = typeof(value)


class Line:
    """out = op(*args, **params), written by the user at `where`."""

    __slots__ = ("args", "op", "out", "params", "where")

    def __init__(self, out, op, args, params, where=""):
        self.out = out
        self.op = op
        self.args = args
        self.params = params
        self.where = where

    @property
    def effect(self):
        """Whether the line does something beside giving its value (a print, a check), itself or in a graph of its own."""
        return self.op.effect or any(type(p) is Graph and p.effect for p in self.params.values())


class Graph:
    """A captured function.

    inputs: variables, the last `len(hidden)` of which stand for values the function closed over (`hidden` holds them
    where the graph was captured). outputs: variables and constants, leaves of the result, whose container is `structure`.
    """

    __slots__ = ("cache", "hidden", "inputs", "lines", "name", "outputs", "structure")

    def __init__(self, inputs, lines, outputs, structure=None, hidden=(), name="f"):
        self.inputs = inputs
        self.lines = lines
        self.outputs = outputs
        self.structure = structure
        self.hidden = tuple(hidden)
        self.name = name
        self.cache: dict = {}  # graphs derived from this one, by transform

    def run(self, *args):
        """The outputs, as a list, for these inputs: arrays or tensors of any trace."""
        if len(args) != len(self.inputs):
            raise ShapeError(f"graph {self.name} takes {len(self.inputs)} inputs, not {len(args)}")
        values = {id(v): a for v, a in zip(self.inputs, args, strict=True)}

        def read(v):
            return v.value if type(v) is Const else values[id(v)]

        for line in self.lines:
            values[id(line.out)] = bind(line.op, *[read(a) for a in line.args], **line.params)
        return [read(v) for v in self.outputs]

    @property
    def effect(self):
        """Whether running the graph does something beside giving values."""
        if "effect" not in self.cache:
            self.cache["effect"] = any(line.effect for line in self.lines)
        return self.cache["effect"]

    def prune(self):
        """The same graph without the lines nobody reads (lines with effects stay)."""
        wanted = {id(v) for v in self.outputs}
        lines = []
        for line in reversed(self.lines):
            if id(line.out) in wanted or line.effect:
                lines.append(line)
                wanted.update(id(a) for a in line.args)
        return Graph(self.inputs, lines[::-1], self.outputs, self.structure, self.hidden, self.name)

    def silent(self):
        """The graph without its effects: what runs it a second time neither prints nor raises again."""
        if not self.effect:
            return self
        if "silent" not in self.cache:
            lines = [
                Line(line.out, line.op, line.args, silenced(line.params), line.where)
                for line in self.lines
                if not line.op.effect
            ]
            self.cache["silent"] = Graph(self.inputs, lines, self.outputs, self.structure, (), self.name).prune()
        return self.cache["silent"]

    def verify(self):
        """Raise unless each variable is set once, before it is read, with the type its op gives it."""
        known = {id(v) for v in self.inputs}
        for n, line in enumerate(self.lines):
            for a in line.args:
                if type(a) is Var and id(a) not in known:
                    raise ShapeError(f"line {n} of graph {self.name} reads a value that is not set: {line.op.name}")
            if id(line.out) in known:
                raise ShapeError(f"line {n} of graph {self.name} sets a value twice: {line.op.name}")
            expected = infer(line.op, [a.type for a in line.args], line.params)
            if expected != line.out.type:
                raise ShapeError(f"line {n} of graph {self.name}: {line.op.name} gives {expected}, not {line.out.type}")
            known.add(id(line.out))
        for v in self.outputs:
            if type(v) is Var and id(v) not in known:
                raise ShapeError(f"graph {self.name} returns a value that is not set")
        return self

    def __str__(self):
        names: dict = {}

        def name(v):
            if type(v) is Const:
                value = v.value
                return f"{value!r}" if np.ndim(value) == 0 and not is_tensor(value) else f"<{v.type}>"
            return names.setdefault(id(v), f"%{len(names)}")

        head = ", ".join(f"{name(v)}: {v.type}" for v in self.inputs)
        out = [f"{self.name}({head}):"]
        for line in self.lines:
            args = [name(a) for a in line.args]
            args += [f"{k}={_short(v)}" for k, v in line.params.items() if not isinstance(v, Graph)]
            text = f"  {name(line.out)}: {line.out.type} = {line.op.name}({', '.join(args)})"
            out.append(f"{text:60} # {line.where}" if line.where else text)
            for k, v in line.params.items():
                if isinstance(v, Graph):
                    out.append(f"    {k} = " + str(v).replace("\n", "\n    "))
        out.append(f"  return {', '.join(map(name, self.outputs))}")
        return "\n".join(out)

    __repr__ = __str__


def _short(value):
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


_inferred: dict = {}


def infer(op, types, params):
    """The type of op(*types): by its rule, else by evaluating it once on stand-ins."""
    if op.type is not None:
        return op.type(*types, **params)
    try:
        key = (op, tuple(types), tuple(sorted(params.items())))
        if key not in _inferred:
            _inferred[key] = _evaluate(op, types, params)
        return _inferred[key]
    except TypeError:  # params that cannot be hashed
        return _evaluate(op, types, params)


def _evaluate(op, types, params):
    with np.errstate(all="ignore"):
        return typeof(op.eval(*map(stand_in, types), **params))


def stand_in(t):
    """A harmless value of this type."""
    if type(t) is not Array:
        return tuple(map(stand_in, t.elems))
    if t.weak:
        return t.dtype.type(1).item()
    x = np.ones(t.shape, t.dtype)
    if x.ndim >= 2 and x.shape[-1] == x.shape[-2]:
        x = x * np.eye(x.shape[-1], dtype=t.dtype)  # regular, for linear algebra
    return x if x.ndim else x[()]


def silenced(params):
    """The parameters of an op, with bodies that have no effects."""
    return {k: p.silent() if type(p) is Graph else p for k, p in params.items()}
