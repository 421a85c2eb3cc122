"""What a for statement goes over, when its n-th item can be had for an n that is not known."""

import numpy as np

from ...core.tensor import is_tensor
from ...core.types import Array, typeof
from ...primitives.index import getitem
from ..fence import refuse

SHORT = 8  # trips of a loop that is unrolled without a second thought
COUNTER = Array((), np.dtype(np.int64), True)  # the type of what counts the steps of a loop: a Python integer


class Sequence:
    """What a for statement goes over, when its n-th item can be had for an n that is not known."""

    def __iter__(self):
        return (self.at(k) for k in range(len(self)))

    def __next__(self):
        if not hasattr(self, "rest"):
            self.rest = iter(self)
        return next(self.rest)

    def element(self, part):
        t = typeof(part)
        return Array(t.shape[1:], t.dtype)


class Numbers(Sequence):
    """A range of known length."""

    def __init__(self, r):
        self.range = r

    def __len__(self):
        return len(self.range)

    def at(self, k):
        if type(k) is int:
            return self.range[k]
        r = self.range
        y = k if r.step == 1 else k * r.step
        return y if r.start == 0 else y + r.start

    def parts(self, start):
        r = self.range[start:]
        return [np.arange(r.start, r.stop, r.step, dtype=np.int64)]

    def item(self, slices):
        return slices[0]

    def element(self, part):
        return COUNTER


class Rows(Sequence):
    """The rows of an array or tensor."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return self.x.shape[0]

    def __iter__(self):
        return iter(self.x)

    def at(self, k):
        return getitem(self.x, k) if not is_tensor(self.x) else self.x[k]

    def parts(self, start):
        return [self.x[start:] if start else self.x]

    def item(self, slices):
        return slices[0]


class Listed(Sequence):
    """A list of numbers of one type, or of arrays of one shape and dtype."""

    def __init__(self, values, table, weak):
        self.values, self.table, self.weak = values, table, weak

    def __len__(self):
        return len(self.values)

    def at(self, k):
        return self.values[k] if type(k) is int else getitem(self.table, k)

    def parts(self, start):
        return [self.table[start:]]

    def item(self, slices):
        return slices[0]

    def element(self, part):
        t = typeof(part)
        return Array(t.shape[1:], t.dtype, self.weak)


class Zipped(Sequence):
    """zip and enumerate."""

    def __init__(self, sequences):
        self.sequences = sequences

    def __len__(self):
        return min(map(len, self.sequences))

    def at(self, k):
        return tuple(s.at(k) for s in self.sequences)

    def parts(self, start):
        n = len(self) - start
        self.counts = []
        out = []
        for s in self.sequences:
            rows = s.parts(start)
            self.counts.append((s, len(rows)))
            out += [(s, r if r.shape[0] == n else r[:n]) for r in rows]
        self.owners = {id(r): s for s, r in out}
        return [r for _, r in out]

    def item(self, slices):
        out = []
        at = 0
        for s, count in self.counts:
            out.append(s.item(slices[at : at + count]))
            at += count
        return tuple(out)

    def element(self, part):
        return self.owners[id(part)].element(part)


class Backwards(Sequence):
    """reversed."""

    def __init__(self, s):
        self.s = s

    def __len__(self):
        return len(self.s)

    def at(self, k):
        return self.s.at(len(self.s) - 1 - k)

    def parts(self, start):
        n = len(self)
        self.rows = [(np.flip(r[: n - start], 0), r) for r in self.s.parts(0)]
        return [r for r, _ in self.rows]

    def item(self, slices):
        return self.s.item(slices)

    def element(self, part):
        return self.s.element(part)


class UnknownRange:
    """range with bounds that are not known."""

    def __init__(self, start, stop, step):
        self.start, self.stop, self.step = start, stop, step

    def count(self):
        width = self.stop - self.start
        if type(self.step) is int and self.step == 1:
            n = width
        else:
            # as Python counts: (width + step - sign) // step
            n = -((-width) // self.step)
        return n

    def at(self, k):
        return self.start + (k if type(self.step) is int and self.step == 1 else k * self.step)

    def __iter__(self):
        raise refuse("iteration", "range() of a value that is not known is gone through outside a for statement")

    def __len__(self):
        raise refuse("iteration", "len(range()) of a value that is not known")


def sequence(x):
    """The Sequence for something iterable, or None."""
    if isinstance(x, Sequence):
        return x
    kind = type(x)
    if kind is range:
        return Numbers(x)
    if is_tensor(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "biufc"):
        return Rows(x) if x.shape else None
    if kind in (list, tuple) and len(x) > SHORT:
        first = type(x[0])
        if first in (int, float) and all(type(e) is first for e in x):
            return Listed(x, np.array(x), True) if first is float or max(map(abs, x)) < 2**53 else None
        if (
            first is np.ndarray
            and x[0].dtype.kind in "biuf"
            and all(type(e) is first and e.shape == x[0].shape and e.dtype == x[0].dtype for e in x)
        ):
            return Listed(x, np.stack(x), False)
    return None
