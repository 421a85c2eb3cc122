"""Diagonals: matrices with entries on one diagonal alone, as the Jacobian of entrywise functions is, are kept as that diagonal.

`jacobian` pulls back the rows of the identity, and each entrywise rule multiplies all of it. Here such a product is one of
vectors, and the matrix is made once, at the end. The strong zeros of derivatives make that exact, but for the sign of the
zeros beside the diagonal.
"""

import numpy as np

from ...core.op import OPS
from ...traces.graph import Const, Graph
from .rewrite import constant, rebuild
from .sums import box_of, index_add, scatter_sum

_op = OPS.__getitem__
DIAGONAL, DIAGONAL_OF, STRONG, MULTIPLY = map(_op, ("diagonal_matrix", "diagonal", "strong_mul", "multiply"))
ADD, SUBTRACT, NEGATIVE, TRANSPOSE = map(_op, ("add", "subtract", "negative", "transpose"))
RESHAPE, SCATTER, WHERE = map(_op, ("reshape", "scatter", "where"))
LEAST = 8  # rows from which on a matrix is not better held in registers, zeros and all


def diagonals(graph: Graph) -> Graph:
    """The graph with matrices that are zero beside the diagonal computed as their diagonals."""
    return rebuild(graph, lambda b: _start(b, RULES))


def placed(graph: Graph) -> Graph:
    """The graph with diagonals that are put into a larger matrix put there as slices."""
    return rebuild(graph, lambda b: _start(b, PLACES))


def _start(b, rules):
    def step(line):
        rule = rules.get(line.op)
        if rule is not None and len(line.out.type.shape) == 2:
            value = rule(b, line)
            if value is not None and value.type == line.out.type:
                return value
        return b.append(line)

    return step


def diagonal_of(b, v):
    """The diagonal of a square matrix that is known to be zero beside it; None of any other value."""
    t = v.type
    if len(t.shape) != 2 or t.shape[0] != t.shape[1] or t.shape[0] < LEAST or t.dtype.kind != "f":
        return None
    if type(v) is not Const:
        made = b.made_by(v, DIAGONAL)
        return made.args[0] if made is not None and made.params["offset"] == 0 else None
    if v not in b.memo:
        d = np.diagonal(v.value)
        b.memo[v] = Const(d.copy()) if np.count_nonzero(v.value) == np.count_nonzero(d) else None
    return b.memo[v]


def _matrix(b, d):
    n = d.type.shape[0]
    return b.emit(DIAGONAL, [d], {"offset": 0, "shape": (n, n)})


def _along(b, x, n):
    """What stands on the diagonal of x broadcast to n rows and columns."""
    shape = x.type.shape
    if shape in ((), (1,), (n,)):
        return x
    if shape == (n, n):
        return b.emit(DIAGONAL_OF, [x], {"offset": 0})
    return b.emit(RESHAPE, [x], {"shape": (max(shape),)}) if len(shape) == 2 and x.type.size == max(shape) else None


def strong_mul(b, line):
    """A cotangent of zero stays zero, whatever it meets: only the diagonal is left."""
    g, x = line.args
    d = diagonal_of(b, g)
    if d is None:
        return None
    x = _along(b, x, d.type.shape[0])
    return None if x is None else _matrix(b, b.emit(STRONG, [d, x]))


def multiply(b, line):
    for g, x in (line.args, line.args[::-1]):
        d, c = diagonal_of(b, g), constant(b, x)
        if d is not None and c is not None and np.isfinite(c):
            return _matrix(b, b.emit(MULTIPLY, [d, Const(g.type.dtype.type(c))]))
    return None


def add(b, line):
    ds = [diagonal_of(b, a) for a in line.args]
    return None if None in ds else _matrix(b, b.emit(line.op, ds))


def negative(b, line):
    d = diagonal_of(b, line.args[0])
    return None if d is None else _matrix(b, b.emit(NEGATIVE, [d]))


def where(b, line):
    """A choice that an entry of the vector makes, between matrices that are both zero beside the diagonal."""
    test, *xs = line.args
    ds = [diagonal_of(b, x) for x in xs]
    n = next((d.type.shape[0] for d in ds if d is not None), None)
    for i, x in enumerate(xs):
        c = constant(b, x) if ds[i] is None else None
        if c is not None and c == 0:
            ds[i] = Const(line.out.type.dtype.type(0))
    test = None if n is None or None in ds else _along(b, test, n)
    return None if test is None else _matrix(b, b.emit(WHERE, [test, *ds]))


def transpose(b, line):
    return line.args[0] if diagonal_of(b, line.args[0]) is not None else None


def scatter(b, line):
    if len(line.args) > 1:
        return None
    box = box_of(line.params["index"], line.params["shape"], line.args[0].type.shape)
    return None if box is None else _placed(b, line.args, [box], line.params["shape"])


def sum_of_scatters(b, line):
    boxes = line.params["boxes"]
    return None if None in boxes else _placed(b, line.args, boxes, line.params["shape"])


def _placed(b, args, boxes, shape):
    """Diagonals added into zeros: each is a slice with a step, of the matrix row by row."""
    ds = [diagonal_of(b, a) for a in args]
    if None in ds:
        return None
    _, m = shape
    total = None
    for d, ((row, _), (column, _)) in zip(ds, boxes, strict=True):
        start = row * m + column
        index = slice(start, start + (d.type.shape[0] - 1) * (m + 1) + 1, m + 1)
        if total is None:
            total = b.emit(SCATTER, [d], {"index": index, "shape": (shape[0] * m,)})
        else:
            total = b.emit(index_add, [total, d], {"index": index})
    return b.emit(RESHAPE, [total], {"shape": tuple(shape)})


RULES = {
    STRONG: strong_mul,
    MULTIPLY: multiply,
    ADD: add,
    SUBTRACT: add,
    NEGATIVE: negative,
    WHERE: where,
    TRANSPOSE: transpose,
}
PLACES = {SCATTER: scatter, scatter_sum: sum_of_scatters}
