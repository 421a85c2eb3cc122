"""Lists of Python, asked with what is not known: the item at such a place, the place of such a value, bisection."""

import bisect

import numpy as np

from ...core import tree
from ...core.tensor import is_tensor
from ...core.types import typeof
from ...primitives.checks import check_op
from ...primitives.index import getitem
from ...primitives.shape import python_number
from ..fence import refuse
from .calls import calls, nested, unknown
from .frames import emit
from .merge import flatten, is_value, same
from .truth import flag, truth

_PYTHON = (int, float)


def choose(values, i):
    """values[i] for a place that is not known: the things at all places stand in arrays, of which one row is taken."""
    if not values:
        raise IndexError("list index out of range")
    if typeof(i).dtype.kind == "b":
        if not typeof(i).weak:
            raise TypeError("list indices must be integers or slices, not numpy.bool")
        i = i * 1  # (a, b)[x > 0], of Python's numbers
    rows = [flatten(v) for v in values]
    structure = rows[0][1]
    if any(s != structure for _, s in rows):
        raise refuse("choice", "a list is asked for the item at a place that is not known, and its items differ in kind")
    return tree.unflatten(structure, [_chosen(column, i) for column in zip(*(leaves for leaves, _ in rows), strict=True)])


def _chosen(column, i):
    if all(same(x, column[0]) for x in column[1:]):
        return column[0]
    if not all(map(is_value, column)) or len({typeof(x).shape for x in column}) > 1:
        raise refuse("choice", "a list is asked for the item at a place that is not known, and its items differ in kind")
    types = [typeof(x) for x in column]
    y = getitem(np.stack(column), i)
    return python_number(y) if all(t.weak for t in types) and types[0].dtype.kind != "b" else y


def _is_asked(values, x):
    return unknown(x) or any(map(unknown, values))


def _flags(values, x):
    return np.stack([_equal(e, x) for e in values])


def _equal(e, x):
    t = truth(e == x)  # of an array of one number too
    return flag(t) if is_tensor(t) else np.bool_(t)


def index(values, x, *bounds):
    """values.index(x)."""
    if bounds or not values or not _is_asked(values, x):
        return values.index(x, *bounds)
    found = _flags(values, x)
    emit(check_op, [~np.any(found)], {"make": _missing})
    return python_number(np.argmax(found), int)


def _missing():
    return ValueError("the value is not in the list")


def count(values, x):
    """values.count(x)."""
    return python_number(np.sum(_flags(values, x)), int) if values and _is_asked(values, x) else values.count(x)


METHODS = {"index": index, "count": count}


def _bisection(f, side):
    def search(a, x, lo=0, hi=None, *, key=None):
        row = a if is_tensor(a) or isinstance(a, np.ndarray) else list(a)
        asked = _is_asked([row] if is_tensor(row) else row, x) or (type(row) is list and nested(row))
        if key is not None or lo != 0 or hi is not None or not asked:
            return f(a, x, lo, hi, key=key)
        values = row if is_tensor(row) or isinstance(row, np.ndarray) else np.stack(row)
        return python_number(np.searchsorted(values, x, side=side), int)

    return search


calls(bisect.bisect_left)(_bisection(bisect.bisect_left, "left"))
calls(bisect.bisect_right)(_bisection(bisect.bisect_right, "right"))  # bisect.bisect is the same
