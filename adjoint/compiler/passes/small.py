"""Small products: matrices with few entries to be multiplied are multiplied in loops, not by BLAS.

BLAS copies its operands into blocks first, which takes longer than a product with two or three columns; and where there are
many small matrices it is called for each. Written as products and sums entry by entry, they share loops with what is around.

So do products of a vector and a matrix that a scan reads in each step, if one side of it is short: its long rows (or columns, which
are brought in order once, before the scan) are multiplied by numbers and added, or multiplied by the vector and summed.
"""

from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Graph, Line, Var
from .rewrite import SCAN, Builder, rebuild

MATMUL, MULTIPLY, ADD, SUM, GETITEM, RESHAPE, STACK, TRANSPOSE = (
    OPS[n] for n in ("matmul", "multiply", "add", "sum", "getitem", "reshape", "stack", "transpose")
)
FEW = 8  # terms of a sum, and rows or columns, that are few: measured, loops take 0.05 to 0.9 of the time of BLAS
SQUARE = 4  # rows and columns of a result each of whose entries is a long sum
TINY = 64  # multiplications that are done in registers, if there are no more
LONG = range(17, 16385)  # entries of the long side of a matrix that a scan reads: fewer are in registers, more are not copied


def small_products(graph: Graph) -> Graph:
    """The graph with products of small matrices as sums of products."""

    def start(b):
        def step(line):
            if line.op is SCAN:
                line = _scan(b, line)
            return (line.op is MATMUL and _product(b, line)) or b.append(line)

        return step

    return rebuild(graph, start)


def _product(b, line):
    x, y = line.args
    p, q, t = x.type.shape, y.type.shape, line.out.type
    if len(p) < 2 or len(q) < 2 or 0 in (*p, *q) or t.dtype.kind != "f":
        return None
    if x.type.dtype != t.dtype or y.type.dtype != t.dtype:
        return None
    (m, k), n = p[-2:], q[-1]
    if len(p) == len(q) == 2 and m * k * n <= TINY:
        return None
    if k <= FEW and min(m, n) <= FEW:
        total = None
        for j in range(k):
            column = x if k == 1 else b.emit(GETITEM, [x], {"index": (..., slice(j, j + 1))})
            row = y if k == 1 else b.emit(GETITEM, [y], {"index": (..., slice(j, j + 1), slice(None))})
            term = b.emit(MULTIPLY, [column, row])
            total = term if total is None else b.emit(ADD, [total, term])
        return total
    if max(m, n) <= SQUARE and min(m, n) > 1:
        column = b.emit(RESHAPE, [x], {"shape": (*p, 1)})
        row = b.emit(RESHAPE, [y], {"shape": (*q[:-2], 1, *q[-2:])})
        return b.emit(SUM, [b.emit(MULTIPLY, [column, row])], {"axes": (-2,), "keepdims": False})
    return None


# A vector and a matrix, in the steps of a scan


def _scan(b, line):
    """The scan with its products of vectors and constant matrices as sums; the scan itself where there are none."""
    body, first = line.params["body"], line.params["n"] + line.params["m"]
    constants = {v: v for v in body.inputs[first:]}  # a matrix, or its transpose -> the matrix
    rows: dict = {}  # a matrix -> the input that has its long vectors one behind the other
    for row in body.lines:
        if row.op is TRANSPOSE and row.args[0] in constants and row.out.type.ndim == 2:
            constants[row.out] = constants[row.args[0]]
        a = _matrix(row, constants)
        if a is not None and a not in rows:
            rows[a] = Var(Array((a.type.size,), a.type.dtype))
    if not rows:
        return line
    inner = Builder()
    for row in body.lines:
        inner.where = row.where
        a = _matrix(row, constants)
        row = row if not inner.env else Line(row.out, row.op, [inner.read(v) for v in row.args], row.params, row.where)
        if a is None:
            inner.append(row)
        else:
            inner.env[row.out] = _with_rows(inner, row, rows[a], min(a.type.shape))
    outside = dict(zip(body.inputs[first:], line.args[first:], strict=True))
    given = [*line.args, *(_rows_of(b, outside[a]) for a in rows)]
    outs = [inner.read(v) for v in body.outputs]
    body = Graph([*body.inputs, *rows.values()], inner.lines, outs, body.structure, (), body.name)
    return Line(line.out, SCAN, given, {**line.params, "body": body}, line.where)


def _matrix(line, constants):
    """The constant matrix with a short side that a line multiplies by a vector, from either side; None if it is another line."""
    if line.op is not MATMUL:
        return None
    x, y = line.args
    a, v = (x, y) if x.type.ndim == 2 else (y, x)
    if a not in constants or a.type.ndim != 2 or v.type.ndim != 1 or a.type.dtype.kind != "f":
        return None
    short, long = sorted(a.type.shape)
    few = 0 < short <= FEW and long in LONG and short * long > TINY
    return constants[a] if few and a.type.dtype == v.type.dtype else None


def _rows_of(b, a):
    """The long vectors of a matrix, each in one piece, one behind the other: that is how it is, or how it is copied."""
    m, n = a.type.shape
    a = a if m < n else b.emit(TRANSPOSE, [a], {"axes": (-1, -2)})
    return b.emit(RESHAPE, [a], {"shape": (m * n,)})


def _with_rows(b, line, rows, k):
    """A product of a vector and a matrix, by the matrix' k long vectors."""
    x, y = line.args
    v = y if x.type.ndim == 2 else x
    n = rows.type.size // k
    vectors = [b.emit(GETITEM, [rows], {"index": (slice(i * n, (i + 1) * n),)}) for i in range(k)]
    if v.type.shape == (k,):
        total = None
        for i, x in enumerate(vectors):
            term = b.emit(MULTIPLY, [x, b.emit(GETITEM, [v], {"index": (i,)})])
            total = term if total is None else b.emit(ADD, [total, term])
        return total
    sums = [b.emit(SUM, [b.emit(MULTIPLY, [x, v])], {"axes": (-1,), "keepdims": False}) for x in vectors]
    return b.emit(STACK, sums, {"axis": -1})
