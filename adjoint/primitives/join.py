"""Joining and taking apart: concatenate, stack, block, array of tensors, split, pad, tile, insert, delete.

Knows the ops of `shape` and plain indexing. What rearranges in a way too odd for a rule of its own finds the positions
by NumPy's function on integers, and then takes the elements there.
"""

import math
from itertools import pairwise

import numpy as np

from ..core.errors import MissingRuleError, ShapeError
from ..core.errors import where as at
from ..core.op import Op, bind
from ..core.tensor import concrete, is_tensor
from ..core.tuples import spread
from ..core.types import Array, typeof
from .kinds import as_array, axis_from_end, cast, implements, linear, no_out, own
from .shape import (
    as_shape,
    astype,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_to,
    case,
    copy,
    moveaxis,
    ravel,
    reshape,
    shape_of,
)

_ALL = slice(None)

# Ops. The cotangent of each part is a piece of g, in the part's own dtype.


def _concatenate_vjp(wants, g, _y, *_xs, axis):
    before = (_ALL,) * (len(_y.shape) + axis)
    out = []
    start = 0
    for want, x in zip(wants, _xs, strict=True):
        stop = start + x.shape[axis]
        out.append(cast(g[(*before, slice(start, stop))], x.dtype) if want else None)
        start = stop
    return tuple(out)


def _concatenate_type(*types, axis):
    s = list(types[0].shape)
    s[axis] = sum(t.shape[axis] for t in types)
    return Array(tuple(s), np.result_type(*(t.dtype for t in types)))


def _join_jvp(op):
    def jvp(ts, y, *xs, axis):
        dtype = typeof(y).dtype
        row = [np.zeros(shape_of(x), dtype) if t is None else t for t, x in zip(ts, xs, strict=True)]
        return bind(op, *row, axis=axis)

    return jvp


def _join_batch(op):
    def batch(size, batched, *xs, axis):
        return bind(op, *(x if b else spread(size, x) for b, x in zip(batched, xs, strict=True)), axis=axis)

    return batch


_concatenate = Op(
    "concatenate",
    lambda *xs, axis: np.concatenate(xs, axis),
    kind="linear",
    type=_concatenate_type,
    vjp=_concatenate_vjp,
    sample=lambda rng: [
        ((rng.normal(size=(2, 1)), rng.normal(size=(2, 3))), {"axis": -1}),
        ((rng.normal(size=(1, 2)), rng.normal(size=(2, 2)), rng.normal(size=(1, 2))), {"axis": -2}),
        ((rng.normal(size=2),), {"axis": -1}),
    ],
)


def _stack_vjp(wants, g, _y, *_xs, axis):
    before = (_ALL,) * (len(_y.shape) + axis)
    rows = enumerate(zip(wants, _xs, strict=True))
    return tuple(cast(g[(*before, i)], x.dtype) if want else None for i, (want, x) in rows)


def _stack_type(*types, axis):
    s = list(types[0].shape)
    s.insert(len(s) + 1 + axis, len(types))
    return Array(tuple(s), np.result_type(*(t.dtype for t in types)))


_stack = Op(
    "stack",
    lambda *xs, axis: np.stack(xs, axis),
    kind="linear",
    type=_stack_type,
    vjp=_stack_vjp,
    sample=lambda rng: [
        (tuple(rng.normal(size=3)), {"axis": -1}),
        ((rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {"axis": -2}),
        ((rng.normal(size=3),), {"axis": -1}),
    ],
)

for _op in (_concatenate, _stack):
    _op.jvp = _join_jvp(_op)
    _op.batch = _join_batch(_op)


_pad = linear(
    "pad",
    lambda x, width: np.pad(x, width) if np.ndim(x) else np.array(x),
    lambda g, _x, width: g[tuple(slice(b, b + n) for (b, _), n in zip(width, _x.shape, strict=True))],
    type=lambda x, width: Array(tuple(b + n + a for (b, a), n in zip(width, x.shape, strict=True)), x.dtype),
    batch=lambda size, batched, x, width: bind(_pad, x, width=((0, 0), *width)),
    sample=lambda rng: [case(rng, 3, width=((1, 2),)), case(rng, 2, 2, width=((0, 1), (2, 0)))],
)


# Joining


def _arrays(arrays):
    arrays = [as_array(a) for a in arrays]
    if not arrays:
        raise ValueError("need at least one array to join")
    return arrays


def _in(dtype, arrays):
    return arrays if dtype is None else [astype(a, dtype) if is_tensor(a) else np.asarray(a, dtype) for a in arrays]


@implements(np.concatenate)
def concatenate(arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """Arrays joined along an axis that they have. As `numpy.concatenate`."""
    no_out("concatenate", out)
    arrays = _in(dtype, _arrays(arrays))
    if axis is None:
        arrays = [ravel(a) for a in arrays]
        axis = 0
    shapes = [tuple(shape_of(a)) for a in arrays]
    n = len(shapes[0])
    if n == 0:
        raise ShapeError(f"zero-dimensional arrays cannot be concatenated{at()}; use stack")
    axis = axis_from_end(axis, n)
    if len({s[: n + axis] + (0,) + s[n + axis + 1 :] for s in shapes}) > 1 or any(len(s) != n for s in shapes):
        raise ShapeError(
            f"all the input array dimensions except for the concatenation axis must match exactly, not {shapes}{at()}"
        )
    return bind(_concatenate, *arrays, axis=axis)


concat = concatenate


@implements(np.stack)
def stack(arrays, axis=0, out=None, *, dtype=None, casting="same_kind"):
    """Arrays of one shape joined along a new axis. As `numpy.stack`."""
    no_out("stack", out)
    arrays = _in(dtype, _arrays(arrays))
    s = shape_of(arrays[0])
    for a in arrays:
        if shape_of(a) != s:
            raise ShapeError(f"all input arrays must have the same shape, not {s} and {shape_of(a)}{at()}")
    return bind(_stack, *arrays, axis=axis_from_end(axis, len(s) + 1))


def _each(f, arrays):
    return [f(a) for a in arrays]


@implements(np.vstack)
def vstack(tup, *, dtype=None, casting="same_kind"):
    """Arrays joined as rows. As `numpy.vstack`."""
    return concatenate(_each(atleast_2d, tup), 0, dtype=dtype)


@implements(np.hstack)
def hstack(tup, *, dtype=None, casting="same_kind"):
    """Arrays joined along the second axis, vectors along the first. As `numpy.hstack`."""
    rows = _arrays(_each(atleast_1d, tup))
    return concatenate(rows, 0 if len(shape_of(rows[0])) == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup):
    """Arrays joined along the third axis. As `numpy.dstack`."""
    return concatenate(_each(atleast_3d, tup), 2)


@implements(np.column_stack)
def column_stack(tup):
    """Vectors as columns, and matrices, joined along the second axis. As `numpy.column_stack`."""
    return concatenate([reshape(a, (-1, 1)) if len(shape_of(a)) < 2 else a for a in _arrays(tup)], 1)


@implements(np.append)
def append(arr, values, axis=None):
    """arr with values at the end of an axis, or both flattened. As `numpy.append`."""
    return concatenate([arr, values], axis)


@implements(np.block)
def block(arrays):
    """An array from nested lists of blocks. As `numpy.block`."""
    depths: set = set()
    ranks: list = []

    def look(x, depth):
        if type(x) is list:
            if not x:
                raise ValueError("List at arrays cannot be empty")
            for e in x:
                look(e, depth + 1)
        else:
            depths.add(depth)
            ranks.append(len(shape_of(as_array(x))))

    look(arrays, 0)
    if len(depths) > 1:
        raise ValueError(f"List depths are mismatched: {sorted(depths)}")
    deepest = depths.pop()
    rank = max(deepest, *ranks)

    def join(x, axis):
        if type(x) is list:
            return concatenate([join(e, axis + 1) for e in x], axis)
        x = as_array(x)
        s = shape_of(x)
        return copy(x) if len(s) == rank else reshape(x, (1,) * (rank - len(s)) + tuple(s))

    return join(arrays, -deepest)


@implements(np.array)
def array(object, dtype=None, *, copy=True, order="K", subok=False, ndmin=0, like=None):
    """An array from numbers, arrays, tensors and nested lists of them; derivatives pass. As `numpy.array`."""
    if not _holds_tensor(object):
        return np.array(object, dtype, copy=copy, order=order, ndmin=ndmin)
    y = object if is_tensor(object) else _join(object)
    if dtype is not None:
        y = astype(y, dtype, copy=False)
    n = len(shape_of(y))
    if n < ndmin:
        y = reshape(y, (1,) * (ndmin - n) + tuple(shape_of(y)))
    return _copied(y) if copy and y is object else y


@implements(np.asarray, np.asanyarray)
def asarray(a, dtype=None, order=None, *, device=None, copy=None, like=None):
    """a as an array, without a copy where it is one. As `numpy.asarray`."""
    if not _holds_tensor(a):
        return np.asarray(a, dtype, order, copy=copy)
    return array(a, dtype, copy=bool(copy))


@implements(np.ascontiguousarray)
def ascontiguousarray(a, dtype=None, *, like=None):
    """a as an array of one or more axes. As `numpy.ascontiguousarray`."""
    return atleast_1d(asarray(a, dtype)) if _holds_tensor(a) else np.ascontiguousarray(a, dtype)


_copied = copy  # `array` has a parameter of that name


def _holds_tensor(x):
    if type(x) is list or type(x) is tuple:
        return any(map(_holds_tensor, x))
    return is_tensor(x)


def _join(x):
    """Nested lists as one stack of all leaves where they are regular, else as a stack of stacks."""
    outer = []
    level = [x]
    while level and all(type(e) is list or type(e) is tuple for e in level):
        outer.append(len(level[0]))
        if any(len(e) != outer[-1] for e in level):
            lengths = sorted({len(e) for e in level})
            raise ShapeError(f"the parts of an array must have one shape{at()}, not lists of length {lengths}")
        level = [e for row in level for e in row]
    if not any(type(e) is list or type(e) is tuple for e in level):
        y = stack(level)
        return y if len(outer) == 1 else reshape(y, (*outer, *shape_of(y)[1:]))
    return stack([_join(e) if _holds_tensor(e) else as_array(e) for e in x])


# Taking apart


@implements(np.array_split)
def array_split(ary, indices_or_sections, axis=0):
    """A list of pieces along an axis, of about equal length. As `numpy.array_split`."""
    ary = as_array(ary)
    s = shape_of(ary)
    axis = axis_from_end(axis, len(s)) + len(s)
    if np.iterable(indices_or_sections):
        ends = [i.__index__() for i in indices_or_sections]
        bounds = [0, *ends, s[axis]]
    else:
        n = indices_or_sections.__index__()
        if n <= 0:
            raise ValueError("number sections must be larger than 0.")
        short, longer = divmod(s[axis], n)
        bounds = [i * short + min(i, longer) for i in range(n + 1)]
    return [ary[(*(_ALL,) * axis, slice(i, j))] for i, j in pairwise(bounds)]


@implements(np.split)
def split(ary, indices_or_sections, axis=0):
    """A list of pieces along an axis, of equal length or cut at indices. As `numpy.split`."""
    ary = as_array(ary)
    if not np.iterable(indices_or_sections) and shape_of(ary)[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return array_split(ary, indices_or_sections, axis)


def _split_along(name, axis, rank):
    def f(ary, indices_or_sections):
        n = len(shape_of(as_array(ary)))
        if n < rank:
            raise ValueError(f"{name} only works on arrays of {rank} or more dimensions")
        return split(ary, indices_or_sections, 0 if name == "hsplit" and n == 1 else axis)

    f.__name__ = f.__qualname__ = name
    f.__doc__ = f"A list of pieces along axis {axis}. As `numpy.{name}`."
    return implements(getattr(np, name))(f)


hsplit = _split_along("hsplit", 1, 1)
vsplit = _split_along("vsplit", 0, 2)
dsplit = _split_along("dsplit", 2, 3)


def unstack(x, /, *, axis=0):
    """A tuple of the arrays along an axis. As `numpy.unstack`."""
    return tuple(moveaxis(x, axis, 0))


if hasattr(np, "unstack"):  # NumPy 2.1
    implements(np.unstack)(unstack)


# Padding and repeating


def _pairs(x, n, what):
    """(before, after) for each of n axes."""
    if isinstance(x, dict):
        rows = [(0, 0)] * n
        for axis, pair in x.items():
            rows[axis] = pair if np.iterable(pair) else (pair, pair)
        x = rows
    x = np.asarray(x)
    if what == "pad_width" and x.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    if what == "pad_width" and x.size and x.min() < 0:
        raise ValueError("index can't contain negative values")
    return tuple(map(tuple, np.broadcast_to(x, (n, 2)).tolist()))


@implements(np.pad)
def pad(array, pad_width, mode="constant", **kwargs):
    """array with a border: constant, edge, reflect, symmetric or wrap. As `numpy.pad`."""
    x = as_array(array)
    s = shape_of(x)
    width = _pairs(pad_width, len(s), "pad_width")
    if not s:
        return copy(x)
    if mode == "empty" or (mode == "constant" and not kwargs):
        return bind(_pad, x, width=width)
    if mode == "constant" and set(kwargs) == {"constant_values"}:
        return _pad_constant(x, width, kwargs["constant_values"])
    if mode in _PADDED_BY:
        return _pad_statistic(x, width, mode, **kwargs)
    if mode not in ("edge", "reflect", "symmetric", "wrap") or kwargs.get("reflect_type", "even") != "even":
        what = ", ".join([repr(mode), *(f"{k}={v!r}" for k, v in kwargs.items())])
        raise MissingRuleError(
            f"np.pad(mode={what}) of a tensor is not supported{at()}; the modes are constant, edge, reflect (even), "
            "symmetric, wrap, maximum, minimum, mean, median and linear_ramp"
        )
    for axis, (pair, n) in enumerate(zip(width, s, strict=True)):
        if pair != (0, 0):
            x = np.take(x, np.pad(np.arange(n), pair, mode), axis=axis)
    return x


def _ramp(edge, n, end_value):
    """n values from end_value towards edge, which is not among them."""
    return np.linspace(end_value, edge, n, endpoint=False, dtype=typeof(edge).dtype)


_PADDED_BY = {"maximum": np.max, "minimum": np.min, "mean": np.mean, "median": np.median, "linear_ramp": None}


def _pad_statistic(x, width, mode, stat_length=None, end_values=0):
    """Axis after axis: a border of one statistic of the entries nearest to it, or a ramp from the edge to end_values."""
    dtype = typeof(x).dtype
    f = _PADDED_BY[mode]
    lengths = None if stat_length is None else _pairs(stat_length, len(width), "stat_length")
    ends = end_values if is_tensor(end_values) or _holds_tensor(end_values) else np.asarray(end_values)
    ends = broadcast_to(as_array(ends), (len(width), 2))
    for axis, pair in enumerate(width):
        n = shape_of(x)[axis]
        if pair == (0, 0):
            continue
        if not n:
            raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'")
        border = []
        for side, more in enumerate(pair):
            near = 1 if f is None else n if lengths is None else min(lengths[axis][side], n)
            part = x[(*(_ALL,) * axis, slice(n - near, n) if side else slice(near))]
            if f is None:
                part = moveaxis(_ramp(np.take(part, 0, axis=axis), more, ends[axis, side]), 0, axis)
                part = np.flip(part, axis) if side else part
            elif more:
                part = f(part, axis=axis, keepdims=True)
                part = np.rint(part) if dtype.kind in "iu" else part
            have = shape_of(part)
            border.append(
                broadcast_to(part, (*have[:axis], more, *have[axis + 1 :]))
                if more
                else part[(*(_ALL,) * axis, slice(0))]
            )
        x = concatenate([border[0], x, border[1]], axis, dtype=dtype, casting="unsafe")
    return x


def _pad_constant(x, width, values):
    s = shape_of(x)
    dtype = typeof(x).dtype
    if not is_tensor(values) and not _holds_tensor(values) and np.size(values) == 1:
        values = np.asarray(values).reshape(())
    if np.ndim(values) == 0:
        inside = np.pad(np.ones(s, bool), width)
        return np.where(inside, bind(_pad, x, width=width), astype(values, dtype))
    values = broadcast_to(values, (len(s), 2))
    for axis, pair in enumerate(width):
        s = shape_of(x)
        ends = [broadcast_to(values[axis, i], (*s[:axis], pair[i], *s[axis + 1 :])) for i in (0, 1)]
        x = concatenate([ends[0], x, ends[1]], axis, dtype=dtype)
    return x


@implements(np.tile)
def tile(A, reps):
    """A repeated as a whole along each axis. As `numpy.tile`."""
    A = as_array(A)
    s, reps = tuple(shape_of(A)), as_shape(reps)
    n = max(len(s), len(reps))
    s, reps = (1,) * (n - len(s)) + s, (1,) * (n - len(reps)) + reps
    pairs = list(zip(reps, s, strict=True))
    x = broadcast_to(reshape(A, [m for d in s for m in (1, d)]), [m for pair in pairs for m in pair])
    return own(reshape(x, [r * d for r, d in pairs]), A)


@implements(np.meshgrid)
def meshgrid(*xi, copy=True, sparse=False, indexing="xy"):
    """Coordinate matrices from coordinate vectors, as a tuple. As `numpy.meshgrid`."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    n = len(xi)
    order = [1, 0, *range(2, n)] if indexing == "xy" and n > 1 else range(n)
    out = [reshape(x, [-1 if i == j else 1 for j in range(n)]) for i, x in zip(order, xi)]
    if not sparse and out:
        s = np.broadcast_shapes(*map(shape_of, out))
        out = [broadcast_to(x, s) for x in out]
    return tuple(own(y, x) for x, y in zip(xi, out)) if copy else tuple(out)


# By positions


@implements(np.delete)
def delete(arr, obj, axis=None):
    """arr without some of its slices. As `numpy.delete`."""
    arr = ravel(arr) if axis is None else as_array(arr)
    s = shape_of(arr)
    axis = axis_from_end(0 if axis is None else axis, len(s))
    if not isinstance(obj, slice):
        obj = np.asarray(concrete(obj, "obj="))
    return np.take(arr, np.delete(np.arange(s[axis]), obj), axis=axis)


@implements(np.insert)
def insert(arr, obj, values, axis=None):
    """arr with values inserted before some positions. As `numpy.insert`."""
    arr, values = as_array(arr), as_array(values)
    s, v = shape_of(arr), shape_of(values)
    size = math.prod(s)
    obj = obj if isinstance(obj, slice) else concrete(obj, "obj=")
    positions = np.insert(np.arange(size).reshape(s), obj, size + np.arange(math.prod(v)).reshape(v), axis)
    return np.take(concatenate([ravel(arr), ravel(values)], dtype=typeof(arr).dtype), positions)


@implements(np.resize)
def resize(a, new_shape):
    """The elements of a in a new shape, repeated as needed. As `numpy.resize`."""
    a = as_array(a)
    n = math.prod(shape_of(a))
    return np.take(a, np.resize(np.arange(n), new_shape)) if n else np.resize(np.zeros(0, typeof(a).dtype), new_shape)
