"""Apart: the small matrices that a scan carries from step to step are numbers, each by itself.

A product of two matrices of 2 x 2 is eight products of numbers. In vectors of four numbers it is these as well, and the numbers
have to be brought from lane to lane before and after; where each step waits for the one before, that is half of the time. So
in a scan whose state is of such matrices and in whose steps entries meet other ones (products of matrices, sums, rows and columns),
the state, and what is made of it by arithmetic, are taken apart. What other ops want is put together for them.
"""

import numpy as np

from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Const, Graph, Line, Var
from .inline import item_of
from .rewrite import ITEM, PACK, SCAN, Builder, constant, rebuild

SIZE = 4  # entries of a matrix that is taken apart
MOST = 100  # lines on such matrices: each may become a dozen
ADD, MULTIPLY, GETITEM, STACK, RESHAPE = (OPS[n] for n in ("add", "multiply", "getitem", "stack", "reshape"))
ENTRYWISE = {OPS[n] for n in ("add", "subtract", "multiply", "divide", "negative", "strong_mul", "square")}
MIXING = {OPS[n] for n in ("matmul", "outer", "sum", "getitem", "scatter", "index_set", "transpose", "reshape", "broadcast_to")}


def apart(graph: Graph) -> Graph:
    """The graph with scans over numbers instead of small matrices."""

    def start(b):
        def step(line):
            if line.op is ITEM:
                return item_of(b, line) or b.append(line)
            return _scan(b, line) if line.op is SCAN and _worth(line) else b.append(line)

        return step

    return rebuild(graph, start)


def _small(t):
    return type(t) is Array and not t.weak and t.dtype.kind == "f" and t.shape != () and 0 < t.size <= SIZE


def _worth(line):
    """Whether small matrices are carried, and their entries meet: in products of two, and in sums, rows or columns."""
    body, n = line.params["body"], line.params["n"]
    if not any(_small(v.type) for v in body.inputs[:n]):
        return False
    small = [row for row in body.lines if any(_small(a.type) for a in row.args) and (_small(row.out.type) or _number(row.out.type))]
    mixing = [row for row in small if row.op in MIXING and (row.op is not GETITEM or row.out.type.shape)]
    return any(row.op.name in ("matmul", "outer") for row in mixing) and len(mixing) >= 2 and len(small) <= MOST


def _number(t):
    return type(t) is Array and not t.weak and t.dtype.kind == "f" and t.shape == ()


def _scan(b, line):
    p, args = line.params, line.args
    g, n = p["body"], p["n"]
    inner = _Body()
    inputs, given, places = [], [], []
    for v, a in zip(g.inputs[:n], args[:n], strict=True):
        places.append(len(inputs))
        if _small(v.type):
            numbers = _array(v.type.shape, lambda _, v=v: Var(Array((), v.type.dtype)))
            inner.parts[v] = numbers
            inputs += numbers.reshape(-1).tolist()
            given += [_entry(b, a, place) for place in np.ndindex(*v.type.shape)]
        else:
            inputs.append(v)
            given.append(a)
    places.append(len(inputs))
    for row in g.lines:
        inner.line(row)
    outs = []
    for v, out in zip(g.inputs[:n], g.outputs[:n], strict=True):
        outs += inner.entries(out).reshape(-1).tolist() if _small(v.type) else [inner.whole(out)]
    outs += [inner.whole(v) for v in g.outputs[n:]]
    body = Graph(inputs + g.inputs[n:], inner.b.lines, outs, g.structure, (), g.name).prune()
    t = b.emit(SCAN, given + args[n:], {**p, "body": body, "n": places[n]})

    def item(k):
        return b.emit(ITEM, [t], {"index": k})

    results = []
    for i, v in enumerate(g.inputs[:n]):
        numbers = [item(k) for k in range(places[i], places[i + 1])]
        results.append(_together(b, numbers, v.type.shape) if _small(v.type) else numbers[0])
    return b.emit(PACK, results + [item(places[n] + k) for k in range(len(g.outputs) - n)])


def _array(shape, make):
    out = np.empty(shape, object)
    for place in np.ndindex(*shape):
        out[place] = make(place)
    return out


def _value(x):
    """What is assigned: the thing itself, and not an array that holds it."""
    return x if x.shape else x[()]


def _entry(b, v, place):
    """One entry of an array."""
    if type(v) is Const:
        return Const(v.type.dtype.type(v.value[place]))
    number = constant(b, v)
    return b.emit(GETITEM, [v], {"index": place}) if number is None else Const(v.type.dtype.type(number))


def _together(b, numbers, shape):
    x = b.emit(STACK, list(numbers), {"axis": -1})
    return x if x.type.shape == shape else b.emit(RESHAPE, [x], {"shape": shape})


class _Body:
    """A body in the making, in which small matrices are known by their entries."""

    def __init__(self):
        self.b = Builder()
        self.parts: dict = {}  # variable -> an array of its entries
        self.made: dict = {}  # variable -> the matrix put together of its entries
        self.numbers: dict = {}  # variable -> what stands for it

    def whole(self, v):
        """A value as other ops take it."""
        if type(v) is Const or v not in self.parts:
            return self.numbers.get(v, v)
        if v not in self.made:
            self.made[v] = _together(self.b, self.parts[v].reshape(-1).tolist(), v.type.shape)
        return self.made[v]

    def entries(self, v):
        """The entries of a number or a small matrix."""
        if v.type.shape == ():
            out = np.empty((), object)
            out[()] = self.numbers.get(v, v)
            return out
        if v not in self.parts:
            self.parts[v] = _array(v.type.shape, lambda place: _entry(self.b, v, place))
            if type(v) is Var:
                self.made[v] = v
        return self.parts[v]

    def line(self, line):
        self.b.where = line.where
        out = line.out
        if self.known(line):
            found = self.rule(line)
            if found is not None:
                assert found.shape == out.type.shape
                if found.shape:
                    self.parts[out] = found
                else:
                    self.numbers[out] = found[()]
                return
        self.b.append(Line(out, line.op, [self.whole(a) for a in line.args], line.params, line.where))

    def known(self, line):
        """Whether a line makes numbers of numbers, of which some are known by themselves."""
        t = line.out.type
        if not (_small(t) or _number(t)) or not any(a in self.parts for a in line.args):
            return False
        return all(
            type(a.type) is Array
            and (a.type.shape == () or _small(a.type))
            and (a.type.dtype == t.dtype or (type(a) is Const and a.type.weak))
            for a in line.args
        )

    def rule(self, line):
        """The entries of what a line makes; None where there is no rule."""
        op, p, name = line.op, line.params, line.op.name
        if op in ENTRYWISE:
            rows = np.broadcast_arrays(*map(self.entries, line.args))
            return _array(line.out.type.shape, lambda place: self.b.emit(op, [r[place] for r in rows], p))
        if op not in MIXING or (name in ("matmul", "outer") and len(line.args) != 2):
            return None
        return getattr(self, name)(line, p, *map(self.entries, line.args))

    def product(self, x, y):
        return self.b.emit(MULTIPLY, [x, y])

    def matmul(self, line, p, x, y):
        shape = line.out.type.shape
        x, y = x.reshape(-1, x.shape[-1]), y.reshape(y.shape[0], -1)

        def dot(place):
            i, k = divmod(place, y.shape[1])
            return self.sum_of([self.product(a, c) for a, c in zip(x[i], y[:, k], strict=True)])

        return _array((len(x) * y.shape[1],), lambda place: dot(place[0])).reshape(shape)

    def outer(self, line, p, x, y):
        x, y = x.reshape(-1), y.reshape(-1)
        return _array((len(x), len(y)), lambda place: self.product(x[place[0]], y[place[1]]))

    def getitem(self, line, p, x):
        out = np.empty(line.out.type.shape, object)
        out[...] = x[p["index"]]
        return out

    def scatter(self, line, p, x):
        zero = Const(line.out.type.dtype.type(0))
        out = _array(p["shape"], lambda _: zero)
        out[p["index"]] = _value(x)
        return out

    def index_set(self, line, p, x, v):
        out = x.copy()
        out[p["index"]] = _value(v)
        return out

    def transpose(self, line, p, x):
        return np.transpose(x, p["axes"])

    def reshape(self, line, p, x):
        return np.reshape(x, p["shape"])

    def broadcast_to(self, line, p, x):
        return np.broadcast_to(x, p["shape"])

    def sum_of(self, terms):
        total = terms[0]
        for x in terms[1:]:
            total = self.b.emit(ADD, [total, x])
        return total

    def sum(self, line, p, x):
        axes = p["axes"]
        axes = tuple(range(x.ndim)) if axes is None else tuple(a % x.ndim for a in axes)
        kept = [a for a in range(x.ndim) if a not in axes]
        rows = np.transpose(x, [*kept, *axes]).reshape(*(x.shape[a] for a in kept), -1)
        return _array(rows.shape[:-1], lambda place: self.sum_of(rows[place].tolist())).reshape(line.out.type.shape)
