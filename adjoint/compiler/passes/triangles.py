"""Triangles: what is known of matrices around a Cholesky decomposition, zeros and symmetry, is made use of.

A factor's derivative solves with it twice, in full: but where only its diagonal was read, as for log det, what is solved for is
diagonal, and the result is an inverse times its transpose. And a symmetric matrix that is decomposed already is not decomposed
once more to solve with it. What is skipped is multiplied by zero; results differ by rounding.
"""

import numpy as np

from ...core.op import OPS, Op
from ...core.types import Array
from ...primitives.linalg import _triangular
from ...traces.graph import Const, Graph, Var
from .rewrite import broadcasts, constant, pure, rebuild

_op = OPS.__getitem__
CHOLESKY, SOLVE, TRIANGULAR, MATMUL = map(_op, ("cholesky", "solve", "solve_triangular", "matmul"))
TRANSPOSE, RESHAPE, BROADCAST, WHERE = map(_op, ("transpose", "reshape", "broadcast_to", "where"))
DIAGONAL, DIAGONAL_OF, STRONG, MULTIPLY, NEGATIVE = map(
    _op, ("diagonal_matrix", "diagonal", "strong_mul", "multiply", "negative")
)
ADD, SUBTRACT, DIVIDE, SUM, MAXIMUM, MINIMUM = map(_op, ("add", "subtract", "divide", "sum", "maximum", "minimum"))
_EVEN = {_op("square"), _op("absolute")}
LEAST = 8  # rows from which on a matrix is not better done whole
_LARGEST = 1 << 22  # entries of a matrix whose zeros are noted one by one
_FLIP = {"axes": (-1, -2)}


# The inverse of a triangular matrix whose other triangle is zero, and the product of such a matrix with any other
inv_triangular = Op(
    "inv_triangular", lambda a, lower: _triangular(a, np.eye(len(a), dtype=a.dtype), lower), kind="general", register=False,
    type=lambda a, lower: a,
)  # fmt: skip
triangular_product = Op(
    "triangular_product", lambda a, b, lower: a @ b, kind="bilinear", register=False,
    type=lambda a, b, lower: Array(b.shape, b.dtype),
)  # fmt: skip


def triangles(graph: Graph) -> Graph:
    """The graph in which what is known of the matrices around a Cholesky decomposition saves work."""
    if not any(line.op is CHOLESKY for line in graph.lines):
        return graph
    return rebuild(graph, _start)


def _start(b):
    rules = {MATMUL: _matmul, TRIANGULAR: _solve_triangular, SOLVE: _solve, TRANSPOSE: _transpose}

    def step(line):
        rule = rules.get(line.op)
        if rule is not None and line.out.type.ndim == 2 and line.out.type.dtype.kind == "f":
            value = rule(b, line)
            if value is not None and value.type == line.out.type:
                return value
        if line.op is CHOLESKY:
            b.memo["factor", line.args[0]] = line.out
        return b.append(line)

    return step


def _matmul(b, line):
    """A factor times a diagonal matrix: its columns, or rows, are scaled."""
    x, y = line.args
    if _is_factor(b, x) and is_diagonal(b, y):
        return b.emit(STRONG, [x, _diagonal(b, y)])
    if _is_factor(b, y) and is_diagonal(b, x):
        return b.emit(STRONG, [y, _column(b, _diagonal(b, x))])
    return None


def _column(b, d):
    return b.emit(RESHAPE, [d], {"shape": (d.type.size, 1)})


def _is_factor(b, v):
    """Whether v is what a Cholesky decomposition gave, or the transpose of that: its other triangle holds zeros."""
    if v.type.ndim != 2:
        return False
    return b.made_by(_untransposed(b, v)[0], CHOLESKY) is not None


def _untransposed(b, v):
    """(what v is the transpose of, True), or (v, False)."""
    flip = False
    line = b.made_by(v, TRANSPOSE)
    while line is not None and line.params["axes"] == (-1, -2):
        v, flip = line.args[0], not flip
        line = b.made_by(v, TRANSPOSE)
    return v, flip


def _solve_triangular(b, line):
    """A factor's inverse, where the other side is diagonal; that times a diagonal times its transpose, where it is half of it."""
    a, x = line.args
    n, lower = a.type.shape[-1], line.params["lower"]
    if x.type.shape != (n, n) or n < LEAST or not _is_factor(b, a) or a.type != x.type:
        return None
    turned = b.made_by(x, TRANSPOSE)
    known = b.memo.get(("scaled", turned.args[0])) if turned is not None and turned.params == _FLIP else None
    if known is not None and known[:2] == (a, lower):
        _, _, inverse, d = known
        right = b.emit(STRONG, [b.emit(TRANSPOSE, [inverse], _FLIP), _column(b, d)])
        out = b.emit(triangular_product, [inverse, right], {"lower": lower})
        b.memo["symmetric", out] = True
        return out
    if not is_diagonal(b, x):
        return None
    d = _diagonal(b, x)
    inverse = b.memo.get(("inverse", a, lower)) or b.emit(inv_triangular, [a], {"lower": lower})
    b.memo["inverse", a, lower] = inverse
    out = b.emit(STRONG, [inverse, d])
    b.memo["scaled", out] = (a, lower, inverse, d)
    return out


def _transpose(b, line):
    """What is symmetric but for rounding is its transpose."""
    return line.args[0] if line.params == _FLIP and ("symmetric", line.args[0]) in b.memo else None


def _solve(b, line):
    """Two triangular solutions, where the matrix is symmetric and its Cholesky factor is at hand."""
    a, x = line.args
    a, _ = _untransposed(b, a)
    factor = b.memo.get(("factor", a)) if type(a) is Var else None
    if factor is None or a.type.ndim != 2 or a.type.dtype != x.type.dtype or parity(b, a, -2, -1) != 1:
        return None
    y = b.emit(TRIANGULAR, [factor, x], {"lower": True})
    return b.emit(TRIANGULAR, [b.emit(TRANSPOSE, [factor], _FLIP), y], {"lower": False})


# Zeros


def _zeros(b, v):
    """Where a matrix is known to be zero, as an array of bools; None where nothing is known."""
    t = v.type
    if constant(b, v) == 0:
        return np.ones(t.shape, bool)
    if t.ndim != 2 or t.size > _LARGEST:
        return None
    if type(v) is Const:
        return v.value == 0
    key = "zeros", v
    if key not in b.memo:
        line = b.defs.get(v)
        rule = None if line is None else _ZEROS.get(line.op)
        b.memo[key] = None if rule is None else rule(b, line)
    return b.memo[key]


def is_diagonal(b, v):
    """Whether a square matrix is known to be zero beside its diagonal."""
    n, m = v.type.shape if v.type.ndim == 2 else (0, 1)
    if n != m or n < LEAST:
        return False
    zeros = _zeros(b, v)
    return zeros is not None and bool(zeros[~np.eye(n, dtype=bool)].all())


def _zeros_of_where(b, line):
    test, *sides = line.args
    if type(test) is not Const:
        return None
    shape = line.out.type.shape
    none = np.zeros(shape, bool)
    zeros = [np.broadcast_to(none if z is None else z, shape) for z in (_zeros(b, x) for x in sides)]
    return np.where(test.value, *zeros)


def _zeros_of_first(b, line):
    x = line.args[0]
    return _zeros(b, x) if x.type.shape == line.out.type.shape else None


def _zeros_of_scaled(b, line):
    for x, y in (line.args, line.args[::-1]):
        c = constant(b, y)
        if c is not None and np.isfinite(c) and x.type.shape == line.out.type.shape:
            return _zeros(b, x)
    return None


def _zeros_of_transpose(b, line):
    zeros = _zeros(b, line.args[0]) if line.params["axes"] == (-1, -2) else None
    return None if zeros is None else zeros.T


_ZEROS = {
    CHOLESKY: lambda b, line: ~np.tri(line.out.type.shape[0], dtype=bool),
    DIAGONAL: lambda b, line: ~DIAGONAL.eval(np.ones(line.args[0].type.shape, bool), **line.params),
    TRANSPOSE: _zeros_of_transpose,
    WHERE: _zeros_of_where,
    STRONG: _zeros_of_first,
    NEGATIVE: _zeros_of_first,
    MULTIPLY: _zeros_of_scaled,
}


def _diagonal(b, v):
    """The diagonal of a square matrix, computed as a vector where what it is made of allows that."""
    n = v.type.shape[0]
    if type(v) is Const:
        return Const(np.diagonal(v.value).copy())
    line = b.made_by(v, DIAGONAL, TRANSPOSE, WHERE, STRONG, NEGATIVE, MULTIPLY)
    if line is None:
        return b.emit(DIAGONAL_OF, [v], {"offset": 0})
    if line.op is DIAGONAL:
        return line.args[0]
    if line.op is TRANSPOSE:
        return _diagonal(b, line.args[0])
    parts = []
    for a in line.args:
        t = a.type
        if t.shape == (n, n):
            a = _diagonal(b, a)
        elif t.shape == (n, 1):
            a = b.emit(RESHAPE, [a], {"shape": (n,)})
        elif t.shape not in ((), (n,)):
            return b.emit(DIAGONAL_OF, [v], {"offset": 0})
        parts.append(a)
    if line.op is WHERE and type(parts[0]) is Const and len(set(np.ravel(parts[0].value).tolist())) == 1:
        chosen = parts[1 if np.ravel(parts[0].value)[0] else 2]
        if chosen.type.shape == (n,) and chosen.type.dtype == v.type.dtype:
            return chosen
    return b.emit(line.op, parts)


# Symmetry


def parity(b, v, p, q, depth=40):
    """1 where exchanging two axes, counted from the end, gives the array itself; -1 its negative; 0: not known."""
    t = v.type
    if all(t.ndim < -i or t.shape[i] == 1 for i in (p, q)):
        return 1
    if type(v) is Const:
        if t.ndim < -p or t.ndim < -q or t.size > _LARGEST:
            return 0
        return int(np.array_equal(v.value, np.swapaxes(v.value, p, q)))
    key = "parity", v, p, q
    if key not in b.memo:
        line = b.defs.get(v)
        b.memo[key] = _parity(b, line, p, q, depth - 1) if line is not None and depth and pure(line.op) else 0
    return b.memo[key]


def _parity(b, line, p, q, depth):
    op, args, params = line.op, line.args, line.params
    if op in (ADD, MULTIPLY, MAXIMUM, MINIMUM, SUBTRACT) and _exchanged(b, *args, p, q):
        return -1 if op is SUBTRACT else 1
    if op is MATMUL and (p, q) == (-2, -1) and line.out.type.ndim == 2:  # x x^T
        made = b.made_by(args[1], TRANSPOSE), b.made_by(args[0], TRANSPOSE)
        return int(any(m is not None and m.params == _FLIP and m.args[0] is a for m, a in zip(made, args, strict=True)))
    if op is SUM:
        n = args[0].type.ndim
        reduced = sorted((range(-n, 0) if params["axes"] is None else params["axes"]), reverse=True)
        if not params["keepdims"]:
            for i in reduced:  # an axis that is taken away moves those before it
                p, q = (k - (k <= i) for k in (p, q))
        return 0 if {p, q} & set(reduced) else parity(b, args[0], p, q, depth)
    if op is BROADCAST:
        return parity(b, args[0], p, q, depth)
    if not broadcasts(op):
        return 0
    signs = [parity(b, a, p, q, depth) for a in args]
    if op in (MULTIPLY, DIVIDE, STRONG):
        return 1 if signs[0] and args[0] is args[1] else signs[0] * signs[1]
    if op in _EVEN:
        return abs(signs[0])
    if op in (ADD, SUBTRACT, NEGATIVE) and set(signs) == {-1}:
        return -1
    return int(all(s == 1 for s in signs))


def _exchanged(b, x, y, p, q):
    """Whether y is x with two axes exchanged: the same array, with axes of length 1 in other places."""
    (source, places), (other, others) = _source(b, x), _source(b, y)
    return source is other and tuple({p: q, q: p}.get(i, i) for i in places) == others


def _source(b, v):
    """(the array that v shows, the places, counted from the end, of its axes in v)."""
    line = b.made_by(v, RESHAPE, BROADCAST)
    places = tuple(i for i in range(-v.type.ndim, 0) if v.type.shape[i] != 1)
    if line is not None:
        (x,) = line.args
        inner = tuple(n for n in x.type.shape if n != 1)
        if inner == tuple(n for n in v.type.shape if n != 1) and inner == x.type.shape:
            return x, places
    return v, places
