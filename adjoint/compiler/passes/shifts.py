"""Shifts: a maximum that is subtracted for safety, as in `m = max(x); m + log(sum(exp(x - m)))`, gets no derivative.

logsumexp, softmax and log-softmax do not depend on the shift, so the cotangent of m is zero. Reverse mode computes it all
the same, as a difference of equal numbers, and spreads it over the places of the maximum: more work than the rest of the way
back. Here it is written as a polynomial in what the graph computes, with s = sum(exp(x - m)) as one of its letters; where all
of its terms cancel, it is a zero. That changes rounding only: if s is no number, the whole row is NaN without it.
"""

import math
from fractions import Fraction

import numpy as np

from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Const, Graph
from .rewrite import constant, number, rebuild

_op = OPS.__getitem__
ADD, SUBTRACT, NEGATIVE, MULTIPLY, STRONG, DIVIDE = map(
    _op, ("add", "subtract", "negative", "multiply", "strong_mul", "divide")
)
EXP, MAX, SUM, RESHAPE, ASTYPE, WHERE, BROADCAST = map(
    _op, ("exp", "max", "sum", "reshape", "astype", "where", "broadcast_to")
)
DEPTH, TERMS = 30, 24  # of what is looked at, at the most


def shifts(graph: Graph) -> Graph:
    """The graph without cotangents of maxima that cancel."""
    return rebuild(graph, _start)


def _start(b):
    rows: dict = {}  # the sum of exponentials -> Row
    zeros: set = set()  # values found to be zero

    def step(line):
        if line.op is SUM:
            row = _row(b, line)
            if row is not None:
                rows[line.out] = row
        if rows and line.op is DIVIDE and _counts(b, line.args[1]):
            if any(row.cancels(line.args[0]) for row in rows.values()):
                zeros.add(line.out)
        elif zeros and line.op is WHERE and line.args[1] in zeros and constant(b, line.args[2]) == 0:
            zeros.add(line.out)
        elif zeros and line.op is ADD:
            for x, zero in (line.args, line.args[::-1]):
                if zero in zeros and x.type == line.out.type:
                    return x
        if line.out in zeros:
            return b.emit(BROADCAST, [number(0, line.out.type)], {"shape": line.out.type.shape})
        return b.append(line)

    def noted(line):
        out = step(line)
        if line.out in zeros:
            zeros.add(out)
        return out

    return noted


def _row(b, line):
    """What is known of sum(exp(x - max(x))) over the same axes; None of any other sum."""
    (e,) = line.args
    axes = line.params["axes"]
    made = b.made_by(e, EXP)
    made = made and b.made_by(made.args[0], SUBTRACT)
    if not made or not axes or line.params.get("keepdims"):
        return None
    x, m = made.args
    top = b.made_by(_plain(b, m), MAX)
    if top is None or top.args[0] is not x or top.params["axes"] != axes or x.type != e.type:
        return None
    kept = tuple(1 if i - len(x.type.shape) in axes else n for i, n in enumerate(x.type.shape))
    return Row(b, x.type.shape, axes, kept, e, line.out) if m.type.size == 1 or _padded(m.type.shape, kept) else None


def _padded(shape, kept):
    """Whether an array of this shape is broadcast as one with the axes kept."""
    return (1,) * (len(kept) - len(shape)) + tuple(shape) == kept


def _plain(b, v):
    """A value without the reshapes that only move axes of length 1."""
    line = b.made_by(v, RESHAPE)
    while line is not None and _long(line.args[0].type.shape) == _long(v.type.shape):
        v = line.args[0]
        line = b.made_by(v, RESHAPE)
    return v


def _long(shape):
    return tuple(n for n in shape if n != 1)


def _counts(b, v):
    """Whether v is a number of places: the sum of a mask."""
    made = b.made_by(_plain(b, v), SUM)
    made = made and b.made_by(made.args[0], ASTYPE)
    return made is not None and made.args[0].type.dtype.kind == "b"


class Beyond(Exception):
    """More than is looked at."""


def _letter(v, along=False):
    """The polynomial of one letter, which is (along) the same all along a row."""
    row, entry = ({(v, 1)}, ()) if along else ((), {(v, 1)})
    return {(frozenset(row), frozenset(entry)): Fraction(1)}


class Row:
    """Polynomials in the entries of rows of x. A polynomial: {monomial: coefficient}; a monomial: (factors that are the same
    all along a row, factors that are not), each a frozenset of (letter, power)."""

    def __init__(self, b, shape, axes, kept, e, s):
        self.b = b
        self.shape = shape
        self.axes = axes
        self.kept = kept
        self.reduced = tuple(n for i, n in enumerate(shape) if i - len(shape) not in axes)
        self.e = e
        self.s = s

    def cancels(self, v):
        """Whether a value of each row is zero, whatever the entries."""
        if type(v) is Const or v.type.shape not in (self.reduced, self.kept):
            return False
        try:
            poly = self.of_row(v, 0)
        except Beyond:
            return False
        return len(poly) == 0

    def of_row(self, v, depth):
        """The polynomial of a value that each row has one of."""
        v = _plain(self.b, v)
        c = constant(self.b, v)
        if c is not None:
            return _number(c)
        line = self.b.defs.get(v) if v is not self.s else None
        if line is not None and line.op is SUM and line.params["axes"] == self.axes and line.args[0].type.shape == self.shape:
            return self.added_up(self.of_entry(line.args[0], depth + 1))
        if line is not None and all(self.one_a_row(a) for a in line.args):
            found = self.composed(line, self.of_row, depth)
            if found is not None:
                return found
        return _letter(v, along=True)

    def of_entry(self, v, depth):
        """The polynomial of a value that each entry has one of."""
        if self.one_a_row(v, along=True):
            return self.of_row(v, depth)
        line = self.b.defs.get(v)
        if v is not self.e and line is not None and v.type.shape == self.shape:
            found = self.composed(line, self.of_entry, depth)
            if found is not None:
                return found
        return _letter(v)

    def one_a_row(self, v, along=False):
        """Whether a value is the same all along a row; along: as it is broadcast against x."""
        t = v.type
        if type(t) is not Array or t.dtype.kind != "f":
            return type(v) is Const and type(t) is Array and t.size == 1
        return t.size == 1 or _padded(t.shape, self.kept) or (not along and t.shape == self.reduced)

    def composed(self, line, of, depth):
        """By sums and products, of the polynomials of the arguments."""
        if depth > DEPTH:
            raise Beyond
        op, args = line.op, line.args
        if op is NEGATIVE:
            return _times(of(args[0], depth + 1), _number(-1))
        if op is ADD or op is SUBTRACT:
            x, y = (of(a, depth + 1) for a in args)
            return _plus(x, y if op is ADD else _times(y, _number(-1)))
        if op is MULTIPLY or op is STRONG:
            return _times(of(args[0], depth + 1), of(args[1], depth + 1))
        if op is DIVIDE and self.one_a_row(args[1], along=of == self.of_entry):
            y = self.of_row(args[1], depth + 1)
            if len(y) == 1:
                ((row, entry), c), = y.items()
                if c and not entry:
                    inverse = {(frozenset((k, -n) for k, n in row), entry): 1 / c}
                    return _times(of(args[0], depth + 1), inverse)
        return None

    def known(self, entry):
        """The sum of a constant array along rows, if it is the same in all."""
        if len(entry) != 1:
            return None
        ((v, power),) = entry
        if type(v) is not Const or power != 1 or v.type.shape != self.shape:
            return None
        total = np.sum(v.value, axis=self.axes)
        return Fraction(float(total.flat[0])) if np.isfinite(total).all() and (total == total.flat[0]).all() else None

    def added_up(self, poly):
        """The sum along rows: what is the same in a row stays outside; the exponentials add up to s."""
        out: dict = {}
        for (row, entry), c in poly.items():
            total = self.known(entry)
            if not entry:
                c *= math.prod(self.shape) // max(1, math.prod(self.reduced))
                letter = frozenset()
            elif total is not None:
                letter = frozenset()
                c *= total
            elif entry == {(self.e, 1)}:
                letter = frozenset({(self.s, 1)})
            else:
                letter = frozenset({(("sum", entry), 1)})
            out = _plus(out, _times({(row, frozenset()): c}, {(letter, frozenset()): Fraction(1)}))
        return out


def _number(c):
    if not np.isfinite(c) or np.iscomplexobj(c):
        raise Beyond
    return {(frozenset(), frozenset()): Fraction(float(c))} if c else {}


def _plus(a, b):
    out = dict(a)
    for k, c in b.items():
        c += out.get(k, 0)
        if c:
            out[k] = c
        else:
            out.pop(k, None)
    if len(out) > TERMS:
        raise Beyond
    return out


def _times(a, b):
    out: dict = {}
    for (row, entry), c in a.items():
        for (row2, entry2), d in b.items():
            out = _plus(out, {(_merged(row, row2), _merged(entry, entry2)): c * d})
    return out


def _merged(a, b):
    powers = dict(a)
    for k, n in b:
        powers[k] = powers.get(k, 0) + n
    return frozenset((k, n) for k, n in powers.items() if n)
