"""Small products: matrices with few entries to be multiplied are multiplied in loops, not by BLAS.

BLAS copies its operands into blocks first, which takes longer than a product with two or three columns; and where there are
many small matrices it is called for each. Written as products and sums entry by entry, they share loops with what is around.
"""

from ...core.op import OPS
from ...traces.graph import Graph
from .rewrite import rebuild

MATMUL, MULTIPLY, ADD, SUM, GETITEM, RESHAPE = (
    OPS[n] for n in ("matmul", "multiply", "add", "sum", "getitem", "reshape")
)
FEW = 8  # terms of a sum, and rows or columns, that are few: measured, loops take 0.05 to 0.9 of the time of BLAS
SQUARE = 4  # rows and columns of a result each of whose entries is a long sum
TINY = 64  # multiplications that are done in registers, if there are no more


def small_products(graph: Graph) -> Graph:
    """The graph with products of small matrices as sums of products."""

    def start(b):
        def step(line):
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
