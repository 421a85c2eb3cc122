"""Indexing: x[index], its transpose `scatter`, and the functional writes `index_set` and `index_add`.

An index is split into a static skeleton, the op's param, and its integer arrays, the op's further arguments: x[:, i, 2]
is `getitem(x, i, index=(:, AT, 2))`. So index arrays can be captured and batched like any other value. A boolean mask
becomes the integer arrays of its nonzero entries.

The cotangent of an index is an `Entries`: it is added into the target's own buffer, so that n reads of one element
each cost n additions, not n dense arrays.
"""

import math

import numpy as np

from ..core.engines import eager
from ..core.errors import DTypeError, ShapeError
from ..core.errors import where as at
from ..core.op import Op, bind, explain
from ..core.tensor import Flat, Tensor, concrete, is_tensor, is_tracked, viewing
from ..core.tuples import Partial, spread
from ..core.types import Array, typeof
from ..traces import reverse
from .kinds import align, as_array, cast, unbroadcast
from .shape import shape_of

_ALL = slice(None)
_ndarray = np.ndarray
_new = object.__new__


class _At:
    """The place of an index array in a skeleton."""

    __slots__ = ()

    def __repr__(self):
        return "AT"

    def __reduce__(self):
        return "AT"


AT = _At()


# Skeletons


def _is_static(index):
    """Whether NumPy's index is its own skeleton: ints, slices of ints, None and Ellipsis."""
    for i in index if type(index) is tuple else (index,):
        kind = type(i)
        if kind is slice:
            for bound in (i.start, i.stop, i.step):
                if bound is not None and type(bound) is not int:
                    return False
        elif kind is not int and i is not None and i is not Ellipsis:
            return False
    return True


def _entry(i):
    """One entry of an index: int, slice, None, Ellipsis, a plain mask, or an integer array (plain or tracked)."""
    i = as_array(i)
    kind = type(i)
    if i is None or i is Ellipsis or kind is int:
        return i
    if kind is slice:
        return slice(*(None if b is None else b.__index__() for b in (i.start, i.stop, i.step)))
    while is_tensor(i) and i.trace is None:
        i = i.value
    try:
        t = typeof(i)
    except DTypeError:
        raise IndexError(
            f"only integers, slices, ..., None, integer and boolean arrays are indices, not {kind.__name__}{at()}"
        ) from None
    if t.dtype.kind == "b":
        return np.asarray(concrete(i, "indexing with a boolean mask (np.where(mask, x, y) needs no value)"))
    if t.dtype.kind not in "iu":
        if t.size or is_tensor(i):
            raise IndexError(f"arrays used as indices must be of integer (or boolean) type, not {t.dtype}{at()}")
        return i.astype(np.intp)  # an empty list
    return i if t.shape or is_tensor(i) else int(i)


def _consumes(i):
    # how many axes of x an entry stands for
    if i is None or i is Ellipsis:
        return 0
    return i.ndim if type(i) is _ndarray and i.dtype.kind == "b" else 1


def split(index, shape):
    """(skeleton, index arrays) of an index into an array of this shape."""
    entries = [_entry(i) for i in (index if type(index) is tuple else (index,))]
    skeleton: list = []
    arrays: list = []
    axis = 0
    for i in entries:
        if i is Ellipsis:
            axis += len(shape) - sum(map(_consumes, entries))
        if type(i) is _ndarray and i.dtype.kind == "b":
            if i.ndim == 0:
                raise IndexError(f"a boolean scalar among other indices is not supported{at()}")
            if not _fits(i.shape, shape[axis : axis + i.ndim]):
                raise IndexError(
                    f"boolean index did not match indexed array along axis {axis}: the mask has shape {i.shape}, "
                    f"the array {tuple(shape)}{at()}"
                )
            skeleton += [AT] * i.ndim
            arrays += i.nonzero()
        elif i is None or i is Ellipsis or type(i) is int or type(i) is slice:
            skeleton.append(i)
        else:
            skeleton.append(AT)
            arrays.append(i)
        axis += _consumes(i)
    return tuple(skeleton), arrays


def _fits(mask, shape):
    # a mask may have no entries where the array has some, as NumPy allows
    return len(mask) == len(shape) and all(m in (n, 0) for m, n in zip(mask, shape, strict=True))


def _is_flag(index):
    # x[True], x[x > 0] of a scalar: a mask without axes
    return type(index) is bool or (hasattr(index, "dtype") and index.dtype.kind == "b" and index.ndim == 0)


def fill(index, arrays):
    """NumPy's index: the skeleton with its arrays in place."""
    if not arrays:
        return index
    rest = iter(arrays)
    return tuple([next(rest) if i is AT else i for i in index])


def _expand(index, ndim):
    """The skeleton with one entry an axis, None for a new one; an Ellipsis is left as an interruption of no length."""
    index = index if type(index) is tuple else (index,)
    missing = ndim - sum(i is not None and i is not Ellipsis for i in index)
    out: list = []
    for i in index if any(i is Ellipsis for i in index) else (*index, Ellipsis):
        out += [Ellipsis, *[_ALL] * missing] if i is Ellipsis else [i]
    return out


def layout(index, ranks, ndim):
    """Where NumPy puts the axes of index arrays of these ranks: (first of them in the result, how many).

    They stand where the first of them stood if they are neighbours, else in front; integers beside arrays are arrays.
    """
    count = max(ranks, default=0)
    if not count:
        return 0, 0
    first = None
    interrupted = False
    before = 0
    for i in _expand(index, ndim):
        if i is AT or type(i) is int:
            if first is None:
                first = before
            elif interrupted:
                return 0, count
        else:
            interrupted = first is not None
            before += i is not Ellipsis
    return first, count


def _batched(size, batched, arrays, index, ndim):
    """How to index a batched array of lane rank ndim: (skeleton, arrays, where the axes of the lanes' results are).

    `batched` tells of x and of each array. The last is a permutation: the result of the new index, transposed by it,
    is the lanes' results with the batch axis in front.
    """
    index = index if type(index) is tuple else (index,)
    ranks = [len(shape_of(a)) - b for a, b in zip(arrays, batched[1:], strict=True)]
    lane_first, lane_count = layout(index, ranks, ndim)
    plain_axes = sum(i is None or type(i) is slice for i in _expand(index, ndim))
    if any(batched[1:]):
        arrays = align(batched[1:], arrays)
        if batched[0]:
            arrays = [np.arange(size).reshape((size,) + (1,) * lane_count), *arrays]
            index = (AT, *index)
            ndim += 1
        first, count = layout(index, [len(shape_of(a)) for a in arrays], ndim)
        lead = [first]
        fancy = list(range(first + 1, first + count))
        rest = [i if i < first else i + count for i in range(plain_axes)]
    else:
        index = (_ALL, *index)
        first, count = layout(index, ranks, ndim + 1)
        fancy = list(range(first, first + count))
        lead, *rest = [i if i < first else i + count for i in range(plain_axes + 1)]
        lead = [lead]
    return index, arrays, (*lead, *rest[:lane_first], *fancy, *rest[lane_first:])


def _permute(x, axes):
    return x if axes == tuple(range(len(axes))) else np.transpose(x, axes)


def _result_shape(index, arrays, shape):
    """The shape of x[index] for types of x and of the arrays."""
    first, count = layout(index, [a.ndim for a in arrays], len(shape))
    plain = []
    axis = 0
    for i in _expand(index, len(shape)):
        if i is None:
            plain.append(1)
        elif i is not Ellipsis:
            n = shape[axis]
            if type(i) is slice:
                plain.append(len(range(*i.indices(n))))
            elif type(i) is int and not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for axis {axis} with size {n}")
            axis += 1
    if axis > len(shape):
        raise IndexError(f"too many indices for array: array is {len(shape)}-dimensional, but {axis} were indexed")
    return (*plain[:first], *np.broadcast_shapes(*(a.shape for a in arrays)), *plain[first:]) if count else tuple(plain)


# Adding into a buffer


def _positions(index, arrays, shape):
    """The positions in the flattened array of the entries that an index with arrays selects."""
    entries = _expand(index, len(shape))
    first, count = layout(index, [a.ndim for a in arrays], len(shape))
    rank = count + sum(i is None or type(i) is slice for i in entries)
    rest = iter(arrays)
    out = np.zeros((1,) * rank, np.intp)
    axis = plain = 0
    for i in entries:
        if i is None:
            plain += 1
        elif i is not Ellipsis:
            n = shape[axis]
            if type(i) is slice:
                place = plain if plain < first else plain + count
                part = np.arange(*i.indices(n)).reshape((-1,) + (1,) * (rank - place - 1))
                plain += 1
            elif type(i) is int:
                part = i if i >= 0 else i + n
            else:
                part = next(rest)
                part = np.where(part < 0, part + n, part).astype(np.intp)
                part = part.reshape(part.shape + (1,) * (rank - first - count))
            out = out + part * math.prod(shape[axis + 1 :])
            axis += 1
    return out


def _add_at(buffer, index, arrays, v):
    """buffer[index] += v in place, adding every one of repeated entries."""
    if (
        not buffer.flags.c_contiguous
        or np.size(v) < 64
        or (buffer.ndim == 1 and np.ndim(arrays[0]) == 1 and buffer.dtype != np.float32)
    ):
        if len(arrays) == 1 and 0 < np.ndim(v) < np.ndim(
            arrays[0]
        ):  # NumPy 2.4 reads beyond v here (np.add.at without its axes)
            v = np.reshape(v, (1,) * (np.ndim(arrays[0]) - np.ndim(v)) + np.shape(v))
        np.add.at(buffer, fill(index, arrays), v)
    else:
        # np.add.at is 2 to 6 times faster on flat positions than on several indices
        places = _positions(index, arrays, buffer.shape)
        v = np.broadcast_to(v, places.shape).reshape(-1)
        places = places.reshape(-1)
        if buffer.dtype == np.float32 and buffer.size <= 4 * v.size:
            # float32 accumulates in float64
            buffer += np.bincount(places, v, buffer.size).reshape(buffer.shape).astype(np.float32)
        else:
            np.add.at(buffer.reshape(-1), places, v)


class Entries(Partial):
    """The cotangent of x from x[index]: g at those entries, zero elsewhere."""

    __slots__ = ("arrays", "dtype", "g", "index", "shape")

    def __init__(self, shape, dtype, index, arrays, g):
        self.shape = shape
        self.dtype = dtype
        self.index = index
        self.arrays = arrays
        self.g = g

    def dense(self):
        out = np.zeros(self.shape, self.dtype)
        if self.arrays:
            _add_at(out, self.index, self.arrays, self.g)
        else:
            out[self.index] = self.g
        return out

    def into(self, buffer):
        if type(buffer) is not _ndarray:
            return buffer + self.dense()  # a tensor or a scalar
        if self.arrays:
            _add_at(buffer, self.index, self.arrays, self.g)
        else:
            buffer[self.index] += self.g
        return buffer


# Ops


def _getitem_eval(x, *arrays, index):
    if type(x) is not _ndarray and not isinstance(x, np.generic):
        x = np.asarray(x)
    return x[fill(index, arrays)]


def _getitem_vjp(wants, g, _y, _x, *arrays, index):
    if not wants[0]:
        return (None,) * (1 + len(arrays))
    if eager(g, *arrays):
        r = Entries(_x.shape, _x.dtype, index, arrays, g)
    else:
        r = bind(_scatter, g, *arrays, index=index, shape=_x.shape)
    return (r, *(None,) * len(arrays))


def _getitem_batch(size, batched, x, *arrays, index):
    ndim = len(shape_of(x)) - batched[0]
    index, arrays, order = _batched(size, batched, arrays, index, ndim)
    return _permute(bind(_getitem, x, *arrays, index=index), order)


def _index_samples(rng):
    i = np.array([2, 0, 2])
    return [
        ((rng.normal(size=3),), {"index": 1}),
        ((rng.normal(size=(3, 4)),), {"index": (_ALL, None, slice(3, 0, -2))}),
        ((rng.normal(size=(3, 4)),), {"index": (Ellipsis, -1)}),
        ((rng.normal(size=1)[0],), {"index": ()}),
        ((rng.normal(size=4), i), {"index": (AT,)}),
        ((rng.normal(size=(2, 3, 4)), i), {"index": (_ALL, AT, slice(1, 3))}),
        ((rng.normal(size=(3, 2, 4)), i, i[:, None]), {"index": (AT, _ALL, AT)}),
        ((rng.normal(size=(3, 2, 4)), i), {"index": (0, _ALL, AT)}),
        ((rng.normal(size=(3, 2, 4)), np.array([[0, 1], [1, 1]])), {"index": (Ellipsis, AT, 1)}),
        ((rng.normal(size=(3, 4)), np.array(2)), {"index": (AT,)}),
    ]


_getitem = Op(
    "getitem",
    _getitem_eval,
    kind="linear",
    type=lambda x, *arrays, index: Array(_result_shape(index, arrays, x.shape), x.dtype),
    jvp=lambda ts, y, x, *arrays, index: None if ts[0] is None else bind(_getitem, ts[0], *arrays, index=index),
    vjp=_getitem_vjp,
    batch=_getitem_batch,
    sample=_index_samples,
)

# Zeros of a shape with v added at the index: the transpose of getitem.


def _scatter_eval(v, *arrays, index, shape):
    return Entries(shape, typeof(v).dtype, index, arrays, v).dense()


def _scatter_vjp(wants, g, _y, _v, *arrays, index, shape):
    r = unbroadcast(bind(_getitem, g, *arrays, index=index), _v) if wants[0] else None
    return (r, *(None,) * len(arrays))


def _full(size, batched, v, rank, order):
    # v with all axes of the lanes' result, and its batch axis where the batched index puts it
    s = shape_of(v)
    lane = tuple(s[batched:])
    v = np.reshape(v, (size if batched else 1, *(1,) * (rank - len(lane)), *lane))
    return _permute(v, tuple(np.argsort(order).tolist()))


def _scatter_batch(size, batched, v, *arrays, index, shape):
    index, arrays, order = _batched(size, (True, *batched[1:]), arrays, index, len(shape))
    v = _full(size, batched[0], v, len(order) - 1, order)
    return bind(_scatter, v, *arrays, index=index, shape=(size, *shape))


def _scatter_samples(rng):
    out = []
    for (x, *arrays), params in _index_samples(rng):
        v = np.asarray(x)[fill(params["index"], arrays)]
        out.append(((v, *arrays), {**params, "shape": np.shape(x)}))
    return out


_scatter = Op(
    "scatter",
    _scatter_eval,
    kind="linear",
    type=lambda v, *arrays, index, shape: Array(shape, v.dtype),
    jvp=lambda ts, y, v, *arrays, index, shape: (
        None if ts[0] is None else bind(_scatter, ts[0], *arrays, index=index, shape=shape)
    ),
    vjp=_scatter_vjp,
    batch=_scatter_batch,
    sample=_scatter_samples,
)

# x with v written at the index, in the dtype of x. Of entries written twice the last one stays.


def _index_set_eval(x, v, *arrays, index):
    y = np.array(x)
    y[fill(index, arrays)] = v
    return y


def _index_set_jvp(ts, y, x, v, *arrays, index):
    t = np.zeros(shape_of(y), typeof(y).dtype) if ts[0] is None else ts[0]
    return bind(_index_set, t, typeof(y).dtype.type(0) if ts[1] is None else ts[1], *arrays, index=index)


def _index_set_vjp(wants, g, _y, _x, _v, *arrays, index):
    gx = gv = None
    if wants[0]:
        gx = cast(bind(_index_set, g, typeof(g).dtype.type(0), *arrays, index=index), _x.dtype)
    if wants[1]:
        gv = bind(_getitem, g, *arrays, index=index)
        if any(a.shape for a in map(typeof, arrays)):
            gv = np.where(_stays(_y.shape, shape_of(gv), arrays, index), gv, typeof(gv).dtype.type(0))
        gv = unbroadcast(gv, _v)
    return (gx, gv, *(None,) * len(arrays))


def _stays(shape, written, arrays, index):
    # which of the entries written are still there: each writes its number, and looks whether it finds it
    number = np.arange(math.prod(written)).reshape(written)
    left = bind(_index_set, np.zeros(shape, number.dtype), number, *arrays, index=index)
    return np.equal(bind(_getitem, left, *arrays, index=index), number)


def _index_set_batch(size, batched, x, v, *arrays, index):
    if not batched[0]:
        x = spread(size, x)
    ndim = len(shape_of(x)) - 1
    index, arrays, order = _batched(size, (True, *batched[2:]), arrays, index, ndim)
    v = _full(size, batched[1], v, len(order) - 1, order)
    return bind(_index_set, x, v, *arrays, index=index)


def _index_set_samples(rng):
    out = []
    for (x, *arrays), params in _index_samples(rng):
        y = np.asarray(x)[fill(params["index"], arrays)]
        out.append(((x, rng.normal(size=y.shape)[()], *arrays), params))
        if y.ndim > 1:
            out.append(((x, rng.normal(size=y.shape[1:])[()], *arrays), params))
    return out


_index_set = Op(
    "index_set",
    _index_set_eval,
    kind="linear",
    type=lambda x, v, *arrays, index: Array(x.shape, x.dtype),
    jvp=_index_set_jvp,
    vjp=_index_set_vjp,
    batch=_index_set_batch,
    sample=_index_set_samples,
)


# Indexing


def getitem(x, index):
    """x[index]: as NumPy's, with index arrays and masks; repeated entries add up in the derivative."""
    if type(index) is _ndarray and index.ndim and index.dtype.kind in "iu":
        return bind(_getitem, x, index, index=(AT,))
    if _is_static(index):
        return bind(_getitem, x, index=index)
    if _is_flag(index):
        chosen = concrete(index, "indexing with a boolean")
        return getitem(bind(_getitem, x, index=None), slice(0, int(chosen)))
    index, arrays = split(index, shape_of(x))
    return bind(_getitem, x, *arrays, index=index)


def _pull(g, node):
    _, _, _, _, shape, dtype, index = node
    if type(g) is Tensor or type(g) is Flat:
        return bind(_scatter, g, index=index, shape=shape)
    return Entries(shape, dtype, index, (), g)


class _Read:
    """The op of the nodes that `_tensor_getitem` makes, for walks that want rules: its arguments are what they keep."""

    name = "getitem"
    record = None
    eval = staticmethod(lambda x, _dtype, index: x[index])

    @staticmethod
    def vjp(wants, g, _y, shape, dtype, index):
        return (_pull(g, (0, None, None, None, shape, dtype, index)), None, None)


reverse.FAST[_pull] = (_Read, (True, False, False))


def _tensor_getitem(x, index):
    """x[index]. As `numpy.ndarray.__getitem__`; slices are views."""
    if type(x) is Flat and not reverse.SLOW:
        a = x.value
        if type(a) is _ndarray and (type(index) is int or _is_static(index)):
            try:
                y = a[index]
            except Exception as error:
                raise explain(error, _getitem, (a,))
            t = _new(Flat)
            t.value = y
            t.trace = tape = x.trace
            t.info = [tape.next(), _pull, x.info, None, a.shape, a.dtype, index]
            return viewing(x, t, _getitem, {"index": index}) if type(y) is _ndarray else t
    y = getitem(x, index)
    if _is_static(index) and is_tensor(y):
        return viewing(x, y, _getitem, {"index": index})
    return y


def _for_write(x, index, v, name):
    """(x, v, skeleton, arrays) with v of no more axes than x[index] has; checks shapes and dtypes."""
    x, v = as_array(x), as_array(v)
    index, arrays = split(index, shape_of(x))
    have = shape_of(v)
    want = _result_shape(index, [typeof(a) for a in arrays], shape_of(x))
    while len(have) > len(want) and have[0] == 1:
        have = have[1:]
    if len(have) > len(want) or any(n not in (1, m) for n, m in zip(have[::-1], want[::-1])):
        raise ShapeError(f"could not broadcast input array from shape {shape_of(v)} into shape {want}{at()}")
    to, of = typeof(x).dtype, typeof(v).dtype
    if is_tracked(v) and of.kind in "fc" and to.kind not in ("c" if of.kind == "c" else "fc"):
        raise DTypeError(
            f"{name} of a {of} into an array of dtype {to} would lose its derivative{at()}; make the array {of}"
        )
    return x, v if have == shape_of(v) else np.reshape(v, have), index, arrays


def index_set(x, index, v):
    """x with x[index] = v, as a new array; v is broadcast. Of entries written twice the last one stays."""
    if _is_flag(index):
        return index_set(x, Ellipsis, v) if concrete(index, "writing through a boolean") else x
    x, v, index, arrays = _for_write(x, index, v, "index_set")
    return bind(_index_set, x, v, *arrays, index=index)


def index_add(x, index, v):
    """x with v added at the index, as a new array; v is broadcast, repeated entries add up."""
    if _is_flag(index):
        return x + v if concrete(index, "writing through a boolean") else x
    x, v, index, arrays = _for_write(x, index, v, "index_add")
    v = v if typeof(v).dtype == typeof(x).dtype else np.astype(v if is_tensor(v) else np.asarray(v), typeof(x).dtype)
    return x + bind(_scatter, v, *arrays, index=index, shape=tuple(shape_of(x)))


def _install():
    Tensor.__getitem__ = _tensor_getitem


_install()
