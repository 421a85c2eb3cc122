"""Elements: small arrays that are written and read entry by entry, at places that are known, are values and not memory.

`a[2, 1] = v` makes a new array of the old one, and `a[2, 1]` after it is v. Loops that are laid out leave hundreds of these, and
their ways back as many arrays of zeros with one entry each, which are added. Here an array is known as another one with some of
its entries replaced: reads give the entries, sums add them, and the array itself is made where something wants it whole. Rounding
may change, since the terms of a sum are added in another order; zeros are not added.
"""

from ...core.op import OPS
from ...core.types import Array
from ...traces.graph import Const, Graph, Line
from .rewrite import constant, fit, rebuild
from .sums import index_add

_GET, _SET, _SCATTER, _ADD = (OPS[name] for name in ("getitem", "index_set", "scatter", "add"))
SIZE = 256  # entries of an array that is taken apart: what is known of them is copied at each write
TERMS = 16  # entries that an array of zeros may have for a sum to be one of entries: else the sum of whole arrays costs less


class Known:
    """An array as `base`, or zeros, with the entries at some places replaced.

    values: the entries that are known, by place. fresh: the places, in order, where base does not have them yet.
    """

    __slots__ = ("base", "fresh", "values")

    def __init__(self, base, values, fresh):
        self.base = base
        self.values = values
        self.fresh = fresh


def elements(graph: Graph) -> Graph:
    """The graph with reads and writes of single entries followed."""
    return rebuild(graph, _start)


def _place(index, shape):
    """The entry that an index without arrays stands for, as a tuple of ints; None if it is not one entry."""
    index = index if type(index) is tuple else (index,)
    if len(index) != len(shape) or not all(type(i) is int for i in index):
        return None
    return tuple(i + n if i < 0 else i for i, n in zip(index, shape))


def _start(b):
    known: dict = {}  # variable -> Known
    reads: dict = {}  # (variable, place) -> its entry

    def of(v):
        """What is known of an array: at least that it is itself."""
        return known.get(v) or Known(v, {}, {})

    def entry(k, place, t):
        """One entry of an array."""
        if place in k.values:
            return k.values[place]
        if k.base is None:
            return Const(t.dtype.type(0))
        number = constant(b, k.base)
        if number is not None:
            return Const(t.dtype.type(number))
        if (k.base, place) not in reads:
            reads[k.base, place] = b.emit(_GET, [k.base], {"index": place})
        return reads[k.base, place]

    def whole(v):
        """The array itself, where something wants it."""
        k = known.get(v)
        if k is None or not (k.fresh or k.base is None):
            return v if k is None else k.base
        x, t = k.base, v.type
        places = list(k.fresh)
        if x is None:
            # zeros everywhere else: entries are added, which `sums` knows how to join to others
            places = [p for p in places if not _zero(k.values[p])] or places[:1]
            first = places.pop(0)
            x = b.emit(_SCATTER, [k.values[first]], {"index": first, "shape": t.shape})
        op = _SET if k.base is not None else index_add
        for p in places:
            x = b.emit(op, [x, k.values[p]], {"index": p})
        known[v] = known[x] = Known(x, k.values, {})
        b.env[v] = x
        return x

    def write(line):
        x, v = line.args
        place = _place(line.params["index"], x.type.shape)
        value = fit(b, v, Array((), x.type.dtype)) if place is not None and v.type.shape == () else None
        if value is None:
            return None
        k = of(x)
        return Known(k.base, {**k.values, place: value}, {**k.fresh, place: None})

    def scattered(line):
        place = _place(line.params["index"], line.out.type.shape)
        (v,) = line.args
        if place is None or v.type != Array((), line.out.type.dtype):
            return None
        return Known(None, {place: v}, {place: None})

    def term(v):
        """What is known of an array that is added: zeros have no entries of their own."""
        if v in known:
            return known[v]
        number = constant(b, v)
        return Known(None, {}, {}) if number is not None and not number else None

    def added(line):
        if not any(v in known for v in line.args) or any(v.type != line.out.type for v in line.args):
            return None
        a, c = (term(v) for v in line.args)
        if a is None or c is None:
            return None
        if c.base is not None or len(c.values) > len(a.values):
            a, c = c, a
        if c.base is not None or len(c.values) > TERMS or (a.base is not None and any(p not in a.values for p in c.values)):
            return None
        values = dict(a.values)
        for place, y in c.values.items():
            x = values.get(place)
            if x is None or _zero(x):
                values[place] = y
            elif not _zero(y):
                values[place] = b.emit(_ADD, [x, y])
        return Known(a.base, values, a.fresh | c.fresh)

    rules = {_SET: (2, write), _SCATTER: (1, scattered), _ADD: (2, added)}

    def step(line):
        t = line.out.type
        if line.op is _GET and len(line.args) == 1 and type(line.args[0]) is not Const and t.shape == ():
            x = line.args[0]
            place = _place(line.params["index"], x.type.shape)
            if place is not None and (x in known or x.type.size <= SIZE):
                if x not in known and (x, place) not in reads:
                    reads[x, place] = b.append(line)  # as it stands
                return entry(of(x), place, t)
        count, rule = rules.get(line.op, (0, None))
        if count == len(line.args) and type(t) is Array and t.shape and t.size <= SIZE:
            k = rule(line)
            if k is not None:
                known[line.out] = k
                return line.out
        if any(a in known for a in line.args):
            line = Line(line.out, line.op, [whole(a) for a in line.args], line.params, line.where)
        return b.append(line)

    b.close = lambda outputs: [whole(v) for v in outputs]
    return step


def _zero(v):
    return type(v) is Const and not v.value
