"""Diagonals: matrices with entries on a few diagonals alone, as Jacobians of entrywise functions and stencils are, are kept as these.

`jacobian` pulls back the rows of the identity, `hessian` pushes them through slices first, and each entrywise rule multiplies
all of the matrix. Here such a product is one of vectors, and the matrix is made once, at the end. The strong zeros of
derivatives make that exact, but for the sign of the zeros beside the diagonals. A product of the unit vectors themselves with
a matrix is that matrix.
"""

import numpy as np

from ...core.guard import are_unit_vectors
from ...core.op import OPS, Op
from ...core.types import Array
from ...primitives.diagonal import _diagonal_type
from ...traces.graph import Const, Graph
from .rewrite import constant, rebuild
from .sums import box_of

_op = OPS.__getitem__
DIAGONAL, DIAGONAL_OF, STRONG, MULTIPLY = map(_op, ("diagonal_matrix", "diagonal", "strong_mul", "multiply"))
ADD, SUBTRACT, NEGATIVE, TRANSPOSE = map(_op, ("add", "subtract", "negative", "transpose"))
RESHAPE, SCATTER, WHERE, GETITEM, PAD, MATMUL = map(_op, ("reshape", "scatter", "where", "getitem", "pad", "matmul"))
LEAST = 17  # entries from which on a matrix is not held in registers, zeros and all: at 20 the diagonals take half of the time
MOST = 12  # diagonals
SPARSE = 2  # so many times as many entries as stand on the diagonals


def _banded(*vs, offsets, shape):
    y = np.zeros(shape, np.result_type(*vs))
    for v, k in zip(vs, offsets, strict=True):
        i = np.arange(len(v))
        y[i + max(-k, 0), i + max(k, 0)] = v
    return y


# Zeros with these diagonals, which are different ones
banded = Op(
    "banded", _banded, kind="linear", register=False,
    type=lambda *types, offsets, shape: Array(shape, np.result_type(*(t.dtype for t in types))),
)  # fmt: skip


def _diagonal_add(x, v, offset):
    return x + _banded(v, offsets=(offset,), shape=x.shape)


# A matrix with a vector added on one of its diagonals
diagonal_add = Op(
    "diagonal_add", _diagonal_add, kind="linear", register=False, type=lambda x, v, offset: Array(x.shape, x.dtype)
)


def diagonals(graph: Graph) -> Graph:
    """The graph with matrices that are zero beside a few diagonals computed as these."""
    return rebuild(graph, lambda b: _start(b, RULES))


def placed(graph: Graph) -> Graph:
    """The graph with diagonals that are added to a matrix added in place."""
    return rebuild(graph, lambda b: _start(b, PLACES))


def _start(b, rules):
    def step(line):
        rule = rules.get(line.op)
        if rule is not None and len(line.out.type.shape) == 2:
            value = rule(b, line)
            if value is not None and value.type == line.out.type:
                if all(_exact(b, a) for a in line.args if bands_of(b, a) is not None):
                    b.memo["exact", value] = True
                return value
        return b.append(line)

    return step


def _exact(b, v):
    """Whether the zeros beside a matrix' diagonals are those of derivatives: of products with the unit vectors."""
    return are_unit_vectors(v.value) if type(v) is Const else ("exact", v) in b.memo


def first(k):
    """Row and column where a diagonal begins."""
    return max(-k, 0), max(k, 0)


def length(k, shape):
    return _diagonal_type(Array(shape, np.dtype(float)), k).shape[0]


def bands_of(b, v):
    """{offset: diagonal} of a matrix that is known to be zero beside them; None of any other value."""
    t = v.type
    if type(t) is not Array or t.ndim != 2 or t.size < LEAST or t.dtype.kind != "f":
        return None
    if type(v) is Const:
        if v not in b.memo:
            b.memo[v] = _constant_bands(v.value)
        return b.memo[v]
    made = b.made_by(v, DIAGONAL, banded)
    if made is None:
        return None
    if made.op is DIAGONAL:
        return {made.params["offset"]: made.args[0]} if made.args[0].type.ndim == 1 else None
    return dict(zip(made.params["offsets"], made.args, strict=True))


def _constant_bands(x):
    if SPARSE * np.count_nonzero(x) > x.size:
        return None
    rows, columns = np.nonzero(x)
    offsets = np.unique(columns - rows).tolist() or [0]
    if not _few(offsets, x.shape):
        return None
    return {k: Const(np.diagonal(x, k).copy()) for k in offsets}


def _few(offsets, shape):
    return len(offsets) <= MOST and SPARSE * sum(length(k, shape) for k in offsets) <= shape[0] * shape[1]


def _matrix(b, bands, shape):
    """The matrix with these diagonals; None if they are too many to be kept apart."""
    shape = tuple(shape)
    if not bands or not _few(bands, shape):
        return None
    if len(bands) == 1:
        ((k, d),) = bands.items()
        return b.emit(DIAGONAL, [d], {"offset": k, "shape": shape})
    return b.emit(banded, list(bands.values()), {"offsets": tuple(bands), "shape": shape})


def _zero(t):
    return Const(t.dtype.type(0))


def _part(b, x, start, stop):
    """x[start:stop] of a vector."""
    if (start, stop) == (0, x.type.shape[0]):
        return x
    if type(x) is Const:
        return Const(x.value[start:stop].copy())
    return b.emit(GETITEM, [x], {"index": slice(start, stop, None)})


def _along(b, x, k, shape):
    """What stands on a diagonal of x, broadcast to this shape: a vector or a number; None if it is not found."""
    have = x.type.shape
    if x.type.size == 1:
        return x if have == () else b.emit(RESHAPE, [x], {"shape": ()})
    (row, column), n = first(k), length(k, shape)
    if have in ((shape[1],), (1, shape[1])):
        x = x if x.type.ndim == 1 else b.emit(RESHAPE, [x], {"shape": (shape[1],)})
        return _part(b, x, column, column + n)
    if have == (shape[0], 1):
        return _part(b, b.emit(RESHAPE, [x], {"shape": (shape[0],)}), row, row + n)
    if have != shape:
        return None
    bands = bands_of(b, x)
    if bands is not None:
        return bands.get(k) or _zero(x.type)
    return b.emit(DIAGONAL_OF, [x], {"offset": k})


def strong_mul(b, line):
    """A cotangent of zero stays zero, whatever it meets: only the diagonals are left."""
    g, x = line.args
    bands = bands_of(b, g)
    if bands is None or g.type.shape != line.out.type.shape:
        return None
    out = {}
    for k, d in bands.items():
        c = _along(b, x, k, g.type.shape)
        if c is None:
            return None
        out[k] = b.emit(STRONG, [d, c])
    return _matrix(b, out, g.type.shape)


def multiply(b, line):
    for g, x in (line.args, line.args[::-1]):
        bands, c = bands_of(b, g), constant(b, x)
        if bands is not None and g.type.shape == line.out.type.shape and c is not None and np.isfinite(c):
            c = Const(g.type.dtype.type(c))
            return _matrix(b, {k: b.emit(MULTIPLY, [d, c]) for k, d in bands.items()}, g.type.shape)
    return None


def add(b, line):
    x, y = (bands_of(b, a) for a in line.args)
    if x is None or y is None or line.args[0].type.shape != line.args[1].type.shape:
        return None
    zero = _zero(line.out.type)
    offsets = [*x, *(k for k in y if k not in x)]
    return _matrix(b, {k: b.emit(line.op, [x.get(k, zero), y.get(k, zero)]) for k in offsets}, line.out.type.shape)


def negative(b, line):
    bands = bands_of(b, line.args[0])
    return bands and _matrix(b, {k: b.emit(NEGATIVE, [d]) for k, d in bands.items()}, line.out.type.shape)


def where(b, line):
    """A choice between matrices that are both zero beside diagonals, made entry by entry, or row by row."""
    test, *xs = line.args
    shape = line.out.type.shape
    sides = []
    for x in xs:
        bands = bands_of(b, x) if x.type.shape == shape else None
        if bands is None:
            c = constant(b, x)
            if c is None or c != 0:
                return None
            bands = {}
        sides.append(bands)
    out = {}
    zero = _zero(line.out.type)
    for k in dict.fromkeys([*sides[0], *sides[1]]):
        chosen = _along(b, test, k, shape)
        if chosen is None:
            return None
        out[k] = b.emit(WHERE, [chosen, *(bands.get(k, zero) for bands in sides)])
    return _matrix(b, out, shape)


def transpose(b, line):
    bands = bands_of(b, line.args[0])
    if bands is None:
        return None
    if line.params["axes"] != (-1, -2):
        return line.args[0]
    return _matrix(b, {-k: d for k, d in bands.items()}, line.out.type.shape)


def getitem(b, line):
    """A box cut out of a matrix."""
    bands = bands_of(b, line.args[0]) if len(line.args) == 1 else None
    if bands is None:
        return None
    box = box_of(line.params["index"], line.args[0].type.shape, line.out.type.shape)
    if box is None:
        return None
    (top, bottom), (left, right) = box
    out = {}
    for k, d in bands.items():
        row, column = first(k)
        start = max(0, top - row, left - column)
        stop = min(d.type.shape[0], bottom - row, right - column)
        if start < stop:
            out[k + top - left] = _part(b, d, start, stop)
    out = out or {0: Const(np.zeros(length(0, line.out.type.shape), line.out.type.dtype))}
    return _matrix(b, out, line.out.type.shape)


def scatter(b, line):
    """A matrix put into zeros."""
    if len(line.args) > 1:
        return None
    x = line.args[0]
    return _inside(b, line, box_of(line.params["index"], line.params["shape"], x.type.shape) if x.type.ndim == 2 else None)


def pad(b, line):
    return _inside(b, line, [(w, 0) for w, _ in line.params["width"]])


def _inside(b, line, box):
    bands = None if box is None else bands_of(b, line.args[0])
    if bands is None:
        return None
    shape = line.out.type.shape
    (top, _), (left, _) = box
    out = {}
    for k, d in bands.items():
        new = k + left - top
        start, n = first(k)[0] + top - first(new)[0], d.type.shape[0]
        if n != length(new, shape):
            d = b.emit(SCATTER, [d], {"index": slice(start, start + n, None), "shape": (length(new, shape),)})
        out[new] = d
    return _matrix(b, out, shape)


def matmul(b, line):
    """A diagonal that began as the unit vectors, times a matrix: what lies before or behind a product by a constant matrix."""
    g, x = line.args
    bands = bands_of(b, g)
    square = g.type.ndim == 2 and g.type.shape[0] == g.type.shape[1]
    if bands is None or list(bands) != [0] or not square or x.type.ndim != 2 or not _exact(b, g):
        return None
    (d,) = bands.values()
    if type(d) is Const and np.all(d.value == 1):
        return x
    return b.emit(STRONG, [b.emit(RESHAPE, [d], {"shape": (d.type.shape[0], 1)}), x])


def added(b, line):
    """A matrix plus a few diagonals: they are added where they are."""
    for x, y in (line.args, line.args[::-1]):
        bands = bands_of(b, y) if b.once(y) and type(y) is not Const else None
        if bands is not None and x.type == line.out.type and type(x) is not Const:
            for k, d in bands.items():
                x = b.emit(diagonal_add, [x, d], {"offset": k})
            return x
    return None


RULES = {
    STRONG: strong_mul,
    MULTIPLY: multiply,
    ADD: add,
    SUBTRACT: add,
    NEGATIVE: negative,
    WHERE: where,
    TRANSPOSE: transpose,
    GETITEM: getitem,
    SCATTER: scatter,
    PAD: pad,
    MATMUL: matmul,
}
PLACES = {ADD: added}
