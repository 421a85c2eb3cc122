"""Chains: products of several matrices are bracketed so that they take the fewest multiplications.

`(A @ B) @ v` becomes `A @ (B @ v)`. A column `v[:, None]` is multiplied as a vector, and a column by a row entry by entry,
so that the latter fuses with what is done to it. The result is the same up to rounding, so a chain is bracketed anew only
where that is clearly cheaper.
"""

from ...core.op import OPS
from ...traces.graph import Graph
from .rewrite import rebuild

MATMUL, MULTIPLY, RESHAPE = OPS["matmul"], OPS["multiply"], OPS["reshape"]
_LONGEST = 16  # operands of one chain: the search takes their number cubed
_CLEARLY = 0.75  # of the multiplications, at most


def chains(graph: Graph) -> Graph:
    """The graph with its products of matrices in the best order."""

    def start(b):
        operands: dict = {}  # the result of a product -> (its chain of operands, multiplications so far)

        def step(line):
            if line.op is not MATMUL or any(a.type.ndim > 2 for a in line.args):
                return b.append(line)
            row = []
            price = _multiplications(line.args)
            for place, a in enumerate(line.args):
                chain, before = operands.get(a, ((a,), 0))
                # a vector in the middle is a column for one neighbour and a row for the other: no chain
                inner = chain[0] if place else chain[-1]
                if len(chain) > 1 and b.once(a) and inner.type.ndim == 2:
                    row += chain
                    price += before
                else:
                    row.append(a)
            same = all(a.type.dtype == line.out.type.dtype for a in row)
            if same and 2 < len(row) <= _LONGEST:
                best, split = _best(row)
                if best <= _CLEARLY * price:
                    out = _bracketed(b, row, split, 0, len(row) - 1)
                    operands[out] = row, best
                    return out
                operands[line.out] = row, price
            elif same:
                operands[line.out] = line.args, _multiplications(line.args)
            return _thin(b, line) or b.append(line)

        return step

    return rebuild(graph, start)


def _sizes(row):
    """The lengths of the axes between the operands, the two ends included."""
    first, last = row[0].type.shape, row[-1].type.shape
    return [first[0] if len(first) == 2 else 1, *(a.type.shape[-1] for a in row[:-1]), last[1] if len(last) == 2 else 1]


def _multiplications(args):
    p, q, r = _sizes(args)
    return p * q * r


def _best(row):
    """(the fewest multiplications of a chain, where each of its parts is split): the classical dynamic program."""
    n = len(row)
    s = _sizes(row)
    cost = [[0] * n for _ in row]
    split: dict = {}
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            ways = [(cost[i][k] + cost[k + 1][j] + s[i] * s[k + 1] * s[j + 1], k) for k in range(i, j)]
            cost[i][j], split[i, j] = min(ways)
    return cost[0][n - 1], split


def _bracketed(b, row, split, i, j):
    if i == j:
        return row[i]
    k = split[i, j]
    return b.emit(MATMUL, [_bracketed(b, row, split, i, k), _bracketed(b, row, split, k + 1, j)])


def _thin(b, line):
    """A product with a column or a row that was made of a vector, or of a column and a row; None if it is neither."""
    x, y = line.args
    t = line.out.type
    if x.type.ndim < 2 or y.type.ndim < 2 or t.dtype.kind not in "fc" or not t.size:
        return None
    if x.type.shape[1] == 1:
        return b.emit(MULTIPLY, [x, y])
    args = [x, y]
    for i, v in enumerate((x, y)):  # a row on the left, a column on the right
        made = b.made_by(v, RESHAPE)
        if v.type.shape[i] == 1 and made is not None and made.args[0].type.ndim == 1:
            args[i] = made.args[0]
    if args == [x, y]:
        return None
    return b.emit(RESHAPE, [b.emit(MATMUL, args)], {"shape": t.shape})
