"""einsum as transposes, matrix products and sums: products go to BLAS, the rest fuses with its neighbours."""

import math

import numpy as np

from ...core.op import shape as shape_of
from ...core.types import typeof


def einsum(*args, subscripts, optimize=False):
    """The same up to the order of sums; None for whole numbers and for axes of length 1 that stand for longer ones."""
    inputs, out = subscripts.split("->")
    specs = inputs.split(",")
    sizes: dict = {}
    for spec, a in zip(specs, args, strict=True):
        if typeof(a).dtype.kind not in "fc" or typeof(a).weak:
            return None
        for c, n in zip(spec, shape_of(a), strict=True):
            if sizes.setdefault(c, n) != n:
                return None
    if 0 in sizes.values() or len(set(out)) < len(out):
        return None
    operands = []
    for spec, a in zip(specs, args, strict=True):
        spec, a = _diagonals(spec, a)
        operands.append((spec, a))
    for chosen in _order(subscripts, args):
        parts = [operands[i] for i in chosen]
        operands = [o for i, o in enumerate(operands) if i not in chosen]
        while len(parts) > 1:
            (s, a), (t, b), *parts = parts
            needed = set(out).union(*(u for u, _ in parts), *(u for u, _ in operands))
            parts.insert(0, _pair(s, a, t, b, needed, sizes))
        operands.append(parts[0])
    ((spec, a),) = operands
    spec, a = _summed(spec, a, set(out))
    return _arranged(spec, a, out)


def _order(subscripts, args):
    """Which operands are multiplied at each step (taken out of the row; the product goes to its end)."""
    if len(args) <= 2:
        return [tuple(range(len(args)))]
    empty = [np.broadcast_to(0.0, shape_of(a)) for a in args]
    return [tuple(step) for step in np.einsum_path(subscripts, *empty, optimize="greedy")[0][1:]]


def _diagonals(spec, a):
    """A letter twice in one operand is its diagonal."""
    while len(set(spec)) < len(spec):
        c = next(c for c in spec if spec.count(c) > 1)
        i = spec.index(c)
        j = spec.index(c, i + 1)
        a = np.diagonal(a, 0, i, j)
        spec = spec[:i] + spec[i + 1 : j] + spec[j + 1 :] + c
    return spec, a


def _summed(spec, a, needed):
    """Without the axes that nobody else has."""
    axes = tuple(i for i, c in enumerate(spec) if c not in needed)
    if not axes:
        return spec, a
    return "".join(c for c in spec if c in needed), np.sum(a, axis=axes)


def _arranged(spec, a, want):
    """With the axes in this order; axes it does not have, of length 1."""
    have = [c for c in want if c in spec]
    if "".join(have) != spec:
        a = np.transpose(a, [spec.index(c) for c in have])
    if len(have) < len(want):
        s = dict(zip(have, shape_of(a), strict=True))
        a = np.reshape(a, [s.get(c, 1) for c in want])
    return a


def _pair(s, a, t, b, needed, sizes):
    """The product of two operands, summed over the letters that nobody else needs."""
    s, a = _summed(s, a, needed | set(t))
    t, b = _summed(t, b, needed | set(s))
    both = [c for c in s if c in t]
    batch = [c for c in both if c in needed]
    inner = [c for c in both if c not in needed]
    left = [c for c in s if c not in t]
    right = [c for c in t if c not in s]
    if not inner or not (left or right):  # no matrix product: entry by entry
        letters = "".join(batch + left + right + inner)
        y = _arranged(s, a, letters) * _arranged(t, b, letters)
        if inner:
            y = np.sum(y, axis=tuple(range(-len(inner), 0)))
        return "".join(batch + left + right), y
    lead = [sizes[c] for c in batch]

    def matrix(spec, x, rows, columns):
        x = _arranged(spec, x, "".join(batch + rows + columns))
        parts = [[math.prod(sizes[c] for c in g)] for g in (rows, columns) if g or batch]
        return np.reshape(x, [*lead, *(n for p in parts for n in p)])

    y = np.matmul(matrix(s, a, left, inner), matrix(t, b, inner, right))
    letters = batch + left + right
    return "".join(letters), np.reshape(y, [sizes[c] for c in letters])
