"""x[mask] where the mask is not known: nobody knows how many entries it has, but much can be said of them.

A Masked stands for the entries of `values` where `mask` holds, in their order. What treats each entry alone gives another Masked;
what reduces them is a reduction of all values, with something harmless where the mask does not hold; `a[mask] = x[mask]` is
`np.where`. What asks for the number of entries as a shape is refused, with the way out.
"""

import numpy as np

from ...core import tree
from ...core.errors import where as at
from ...core.op import STANDS, bind
from ...core.tensor import is_tensor, make, peek
from ...core.types import typeof
from ...primitives.checks import check_op
from ...primitives.index import getitem as part_of
from ...traces.batch import Batch
from ...traces.capture import Capture
from ...traces.graph import Const
from ..fence import refuse
from . import python  # noqa: F401  (its rows are replaced here)
from .calls import CALLS, calls, unknown, wrapped
from .frames import CONTAINERS, emit


class Masked:
    """The entries of values (its leading axes those of the mask) where the mask holds."""

    __slots__ = ("axis", "mask", "values")

    def __init__(self, values, mask, axis=None):
        self.values = values
        self.mask = mask
        self.axis = axis  # of places: along which axis of the mask; None for anything else

    # What is known of it

    @property
    def ndim(self):
        return 1 + np.ndim(self.values) - self.mask.ndim

    @property
    def rest(self):
        """Its shape behind the first axis."""
        return tuple(np.shape(self.values)[self.mask.ndim :])

    @property
    def shape(self):
        return (count(self.mask), *self.rest)

    @property
    def size(self):
        n = count(self.mask)
        for k in self.rest:
            n = n * k
        return n

    @property
    def dtype(self):
        return typeof(self.values).dtype

    def astype(self, dtype, **_):
        return Masked(np.astype(self.values, np.dtype(dtype)), self.mask)

    def copy(self):
        return Masked(self.values, self.mask, self.axis)

    # NumPy

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        name = getattr(ufunc, "__name__", "")
        if method == "reduce" and name in _REDUCE:
            return FUNCTIONS[_REDUCE[name]](*inputs, **kwargs)
        if name == "matmul" and method == "__call__":
            return _dot(*inputs)
        if method != "__call__" or kwargs or ufunc.signature is not None:
            raise _refused(f"np.{name} takes")
        return elementwise(ufunc, *inputs)

    def __array_function__(self, f, types, args, kwargs):
        ours = FUNCTIONS.get(f)
        if ours is None:
            raise _refused(f"np.{getattr(f, '__name__', f)} is given")
        return ours(*args, **kwargs)

    def __array__(self, *_, **__):
        raise _refused("an array is made of")

    def __len__(self):
        raise _refused("len() asks the length of")

    def __iter__(self):
        raise _refused("a loop goes over")

    def __bool__(self):
        raise _refused("the truth is asked of")

    __float__ = __int__ = __complex__ = __bool__

    def __contains__(self, x):
        raise _refused("`in` looks into")

    def __getitem__(self, key):
        if type(key) is Masked and key.dtype.kind == "b" and same(key.mask, self.mask):
            if key.ndim != 1:
                raise _refused("an array with axes is the mask of")
            return Masked(self.values, np.logical_and(self.mask, key.values))
        if type(key) is int and key in (0, -1):
            return _end(self, key)
        if key is Ellipsis or (type(key) is slice and key == slice(None)):
            return self.copy()
        if type(key) is tuple and key and _basic(key[1:]) and key[0] in (slice(None), Ellipsis):
            before = (slice(None),) * self.mask.ndim if key[0] is not Ellipsis else (Ellipsis,)
            if not (key[0] is Ellipsis and len(key) - 1 > len(self.rest)):
                return Masked(self.values[(*before, *key[1:])], self.mask)
        raise _refused("an index is applied to")

    def __matmul__(self, other):
        return _dot(self, other)

    def __rmatmul__(self, other):
        return _dot(other, self)

    def __eq__(self, other):  # as NumPy's: entry by entry
        return np.equal(self, other)

    def __ne__(self, other):
        return np.not_equal(self, other)

    __hash__ = None  # type: ignore[assignment]


CONTAINERS[Masked] = lambda m: (m.values, m.mask)
tree.register(Masked, lambda m: ((m.values, m.mask), m.axis), lambda axis, row: Masked(row[0], row[1], axis))

for _name, _f in {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
}.items():  # fmt: skip
    setattr(Masked, f"__{_name}__", lambda self, other, f=_f: f(self, other))
    setattr(Masked, f"__r{_name}__", lambda self, other, f=_f: f(other, self))
for _name, _f in {"lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal}.items():
    setattr(Masked, f"__{_name}__", lambda self, other, f=_f: f(self, other))
for _name, _g in {"neg": np.negative, "pos": np.positive, "abs": np.absolute, "invert": np.invert}.items():
    setattr(Masked, f"__{_name}__", lambda self, f=_g: f(self))


def _refused(what):
    return refuse("mask", f"{what} the entries where a mask holds")


def count(mask):
    """How many entries there are: a number that is not known."""
    return np.sum(mask)


# Masks


def is_mask(key):
    """Whether an index is a mask that is not known."""
    return is_tensor(key) and typeof(key).dtype.kind == "b" and typeof(key).shape != () and not peek(key)[0]


def _basic(key):
    return all(k is None or k is Ellipsis or type(k) in (int, slice) for k in key)


def _snapshot(x):
    """x as it is now, whatever is written into it later."""
    return make(x.value, x.trace, x.info) if is_tensor(x) else x.copy() if isinstance(x, np.ndarray) else x


def same(a, b):
    """Whether two masks are surely the same: one value, or made of the same values in the same way."""
    if a is b:
        return True
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and not (is_tensor(a) or is_tensor(b)):
        return np.array_equal(a, b)
    if not (is_tensor(a) and is_tensor(b)) or a.trace is None or b.trace is None:
        return False
    if a.trace is not b.trace:
        return False
    if type(a.trace) is not Capture:
        return (type(a.trace) is Batch or a.info is b.info) and same(a.value, b.value)
    return _same_variables(a.trace, a.info, b.info, 8)


def _same_variables(trace, a, b, depth):
    if a is b:
        return True
    if type(a) is Const or type(b) is Const:
        return type(a) is type(b) and a.type == b.type and np.array_equal(a.value, b.value)
    if not depth:
        return False
    outside = {id(v): x for x, v in trace.hidden.values()}
    if id(a) in outside and id(b) in outside:
        return same(outside[id(a)], outside[id(b)])
    made = {id(line.out): line for line in trace.lines if line.out is a or line.out is b}
    p, q = made.get(id(a)), made.get(id(b))
    if p is None or q is None or p.op is not q.op or p.effect or len(p.args) != len(q.args):
        return False
    if p.params != q.params:
        return False
    return all(_same_variables(trace, x, y, depth - 1) for x, y in zip(p.args, q.args, strict=True))


# Reading and writing


def getitem(x, key):
    """x[key], where the key is a mask that is not known, alone or in front of other parts; None for any other key."""
    if type(key) is Masked:
        return _at_places(x, (key,))
    if type(key) is tuple and key and any(type(k) is Masked for k in key):
        return _at_places(x, key)
    if is_mask(key):
        return _chosen(x, key)
    if type(key) is tuple and key and is_mask(key[0]) and _basic(key[1:]):
        return _chosen(x[(*(slice(None),) * key[0].ndim, *key[1:])], key[0])
    return None


def _chosen(x, mask):
    shape, k = np.shape(x), mask.ndim
    if tuple(mask.shape) != tuple(shape[:k]):
        raise IndexError(f"a mask of shape {mask.shape} does not fit an array of shape {shape}{at()}")
    return Masked(_snapshot(x), _snapshot(mask))


def _at_places(x, key):
    """x at the places that np.where or np.nonzero found."""
    if not all(type(k) is Masked and k.dtype.kind in "iu" and k.ndim == 1 for k in key):
        raise _refused("an index is made of")
    mask = key[0].mask
    if not all(same(k.mask, mask) for k in key):
        raise _refused("an index is made of two kinds of")
    if _are_coordinates(x, key):
        return Masked(_snapshot(x), mask)
    return Masked(x[tuple(np.where(k.mask, k.values, 0) for k in key)], mask)


def _are_coordinates(x, key):
    mask = key[0].mask
    return [k.axis for k in key] == list(range(mask.ndim)) and tuple(np.shape(x)[: mask.ndim]) == tuple(mask.shape)


def setitem(x, key, value):
    """x[key] = value for such a key; whether it was one."""
    if type(key) is Masked or (type(key) is tuple and key and all(type(k) is Masked for k in key)):
        row = key if type(key) is tuple else (key,)
        if not (all(same(k.mask, row[0].mask) for k in row) and _are_coordinates(x, row)):
            raise _refused("places that are computed are written by")
        mask, part, index = row[0].mask, x, Ellipsis
    elif is_mask(key):
        mask, part, index = key, x, Ellipsis
    elif type(key) is tuple and key and is_mask(key[0]) and _basic(key[1:]):
        mask = key[0]
        index = (*(slice(None),) * mask.ndim, *key[1:])
        part = x[index]
    else:
        if type(value) is Masked:
            raise _refused("a part of known size is set to")
        return False
    shape, k = tuple(np.shape(part)), mask.ndim
    if tuple(mask.shape) != shape[:k]:
        raise IndexError(f"a mask of shape {mask.shape} does not fit an array of shape {shape}{at()}")
    if type(value) is Masked:
        if not same(value.mask, mask):
            raise refuse(
                "mask", "the entries where one mask holds are written where another one holds, or the same made anew"
            )
        if value.ndim - 1 != len(shape) - k:
            raise _refused("rows are set to")
        value = value.values
    elif np.ndim(value) > len(shape) - k and np.shape(value)[0] != 1:
        raise _refused("an array of a certain length is written into")
    holds = np.reshape(mask, (*mask.shape, *(1,) * (len(shape) - k)))
    dtype = typeof(x).dtype
    if typeof(value).dtype != dtype:
        value = np.astype(value, dtype) if is_tensor(value) else np.asarray(value, dtype)
    x[index] = np.where(holds, value, part)
    return True


def _end(m, key):
    """The first or the last entry."""
    n = m.mask.ndim
    mask = np.reshape(m.mask, -1)
    k = np.argmax(mask if key == 0 else np.flip(mask))
    k = k if key == 0 else mask.shape[0] - 1 - k
    _none_raises(m, IndexError, f"index {key} is out of bounds for axis 0 with size 0")
    return part_of(np.reshape(m.values, (mask.shape[0], *np.shape(m.values)[n:])), k)


class _Raise:
    def __init__(self, kind, text):
        self.kind, self.text = kind, text

    def __call__(self, *_):
        return self.kind(self.text)


def _none_raises(m, kind, text):
    """Let the program raise where no entry is chosen."""
    none = np.logical_not(np.any(m.mask))
    emit(check_op, [none], {"make": _Raise(kind, text)})


# Entry by entry


def elementwise(f, *inputs, **kwargs):
    """f of each entry; the others are numbers, fit what is behind the first axis, or are chosen by the same mask."""
    masks = [x for x in inputs if type(x) is Masked]
    first = masks[0]
    row = []
    for x in inputs:
        if type(x) is Masked:
            if not same(x.mask, first.mask):
                raise refuse("mask", "entries chosen by two masks, or by the same made anew, are brought together")
            if x.ndim != first.ndim:
                raise _refused("rows are brought together with")
            row.append(x.values)
        elif np.ndim(x) >= first.ndim:
            raise _refused("an array of a certain length meets")
        else:
            row.append(x)
    with np.errstate(all="ignore"):  # of the entries that are not chosen nobody need be warned
        return Masked(f(*row, **kwargs), first.mask)


def _bound(op, args, params):
    """What `bind` does with an op that is given entries where a mask holds beside tensors."""
    if op.kind not in ("elementwise", "nondiff"):
        raise _refused(f"{op.name} takes")
    return elementwise(lambda *row: bind(op, *row, **params), *args)


STANDS[Masked] = _bound


# Reductions


def _spread(m, fill):
    """All values, with `fill` where the mask does not hold."""
    holds = np.reshape(m.mask, (*m.mask.shape, *(1,) * (m.ndim - 1)))
    return np.where(holds, m.values, fill)


def _axes(m, axis):
    """(axes of the values, whether the chosen axis is among them)."""
    n = m.mask.ndim
    if axis is None:
        return tuple(range(np.ndim(m.values))), True
    row = axis if type(axis) is tuple else (axis,)
    row = [a % m.ndim for a in row]
    found = [*(range(n) if 0 in row else ()), *(n + a - 1 for a in row if a)]
    return tuple(found), 0 in row


def _reduction(f, fill, empty=None):
    def reduce(m, axis=None, **kwargs):
        if type(m) is not Masked or {k: v for k, v in kwargs.items() if v is not None and v is not False}:
            raise _refused(f"np.{f.__name__} with other options is applied to")
        axes, over = _axes(m, axis)
        if not over:
            return Masked(f(m.values, axis=axes), m.mask)
        if empty is not None:
            _none_raises(m, ValueError, empty)
        return f(_spread(m, fill(m.dtype)), axis=axes)

    return reduce


def _lowest(dtype):
    return False if dtype.kind == "b" else np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _highest(dtype):
    return True if dtype.kind == "b" else np.iinfo(dtype).max if dtype.kind in "iu" else np.inf


_EMPTY = "zero-size array to reduction operation {} which has no identity"
_sum = _reduction(np.sum, lambda dtype: dtype.type(0))


def _number(m, axis):
    """How many values a reduction over these axes takes."""
    axes, _ = _axes(m, axis)
    n = count(m.mask)
    for a in axes:
        if a >= m.mask.ndim:
            n = n * np.shape(m.values)[a]
    return n


def _mean(m, axis=None, **kwargs):
    if not _axes(m, axis)[1]:
        return Masked(np.mean(m.values, axis=_axes(m, axis)[0]), m.mask)
    total = _sum(m, axis, **kwargs)
    return total / _like(_number(m, axis), total)


def _like(n, x):
    """A count in the dtype of what it divides."""
    t = typeof(x)
    return np.astype(n, t.dtype) if t.dtype.kind in "fc" else n


def _var(m, axis=None, dtype=None, out=None, ddof=0, **kwargs):
    if dtype is not None or out is not None:
        raise _refused("np.var with other options is applied to")
    if not _axes(m, axis)[1]:
        return Masked(np.var(m.values, axis=_axes(m, axis)[0], ddof=ddof), m.mask)
    if axis not in (None, 0) or (axis is None and m.ndim > 1):
        raise _refused("np.var over several axes is applied to")
    total = _sum(np.square(np.absolute(m - _mean(m, axis, **kwargs))), axis)
    return total / _like(_number(m, axis) - ddof, total)


def _std(m, axis=None, dtype=None, out=None, ddof=0, **kwargs):
    return np.sqrt(_var(m, axis, dtype, out, ddof, **kwargs))


def _dot(a, b):
    if type(a) is Masked and type(b) is Masked and a.ndim == b.ndim == 1:
        return _sum(a * b)
    if type(a) is Masked and type(b) is not Masked and a.ndim == 2 and np.ndim(b) in (1, 2):
        return Masked(np.matmul(a.values, b), a.mask)  # each row by itself
    raise _refused("a product of arrays takes")


def _norm(m, ord=None, axis=None, keepdims=False):
    if ord in (None, 2) and axis in (None, 0) and m.ndim == 1 and not keepdims:
        return np.linalg.norm(np.reshape(_spread(m, m.dtype.type(0)), -1))
    raise _refused("such a norm is taken of")


def _count_nonzero(m, axis=None, **kwargs):
    return _sum(np.not_equal(m, 0), axis, **kwargs)


def _pointwise(f):
    return lambda *args, **kwargs: elementwise(f, *args, **kwargs)


FUNCTIONS: dict = {
    np.sum: _sum,
    np.prod: _reduction(np.prod, lambda dtype: dtype.type(1)),
    np.max: _reduction(np.max, _lowest, _EMPTY.format("maximum")),
    np.min: _reduction(np.min, _highest, _EMPTY.format("minimum")),
    np.any: _reduction(np.any, lambda dtype: dtype.type(0)),
    np.all: _reduction(np.all, lambda dtype: dtype.type(1)),
    np.mean: _mean,
    np.average: _mean,
    np.var: _var,
    np.std: _std,
    np.dot: _dot,
    np.inner: _dot,
    np.vdot: _dot,
    np.linalg.norm: _norm,
    np.count_nonzero: _count_nonzero,
    np.size: lambda m, axis=None: m.size if axis is None else m.shape[axis],
    np.ndim: lambda m: m.ndim,
    np.shape: lambda m: m.shape,
    np.copy: lambda m, *_, **__: m.copy(),
    np.where: _pointwise(np.where),
    np.clip: _pointwise(np.clip),
    np.round: _pointwise(np.round),
    np.nan_to_num: _pointwise(np.nan_to_num),
    np.real: _pointwise(np.real),
    np.imag: _pointwise(np.imag),
    np.sinc: _pointwise(np.sinc),
}
for _like_f in (np.zeros_like, np.ones_like):
    FUNCTIONS[_like_f] = lambda m, *args, f=_like_f, **kwargs: Masked(f(m.values, *args, **kwargs), m.mask)
_REDUCE = {
    "add": np.sum, "multiply": np.prod, "maximum": np.max, "minimum": np.min, "logical_and": np.all, "logical_or": np.any,
}  # fmt: skip
for _name in ("sum", "prod", "max", "min", "any", "all", "mean", "var", "std", "dot", "clip", "round"):
    setattr(Masked, _name, FUNCTIONS[getattr(np, _name)])


# NumPy's functions that choose


def _found(mask):
    """np.nonzero of a mask that is not known."""
    if typeof(mask).dtype.kind != "b":
        mask = np.not_equal(mask, 0)
    grids = np.indices(mask.shape)
    return tuple(Masked(grids[k], _snapshot(mask), k) for k in range(mask.ndim))


@calls(np.where)
def _where(condition, *values, **kwargs):
    if not values and not kwargs and is_tensor(condition) and condition.ndim and unknown(condition):
        return _found(condition)
    return wrapped(np.where(condition, *values, **kwargs))


@calls(np.nonzero)
def _nonzero(x):
    return _found(x) if unknown(x) and x.ndim else np.nonzero(x)


@calls(np.flatnonzero)
def _flatnonzero(x):
    return _found(np.reshape(x, -1))[0] if unknown(x) else np.flatnonzero(x)


@calls(np.extract)
def _extract(condition, x):
    if unknown(condition):
        mask = np.not_equal(condition, 0) if typeof(condition).dtype.kind != "b" else condition
        return _chosen(np.reshape(x, -1), np.reshape(mask, -1))
    return wrapped(np.extract(condition, x))


@calls(np.compress)
def _compress(condition, x, axis=None, out=None):
    if unknown(condition) and out is None and (axis == 0 or (axis is None and np.ndim(x) == 1)):
        return _chosen(x, condition)
    return wrapped(np.compress(condition, x, axis, out))


@calls(np.putmask)
def _putmask(a, mask, values):
    if is_tensor(a) and np.shape(mask) == np.shape(a) and (np.ndim(values) == 0 or np.shape(values) == np.shape(a)):
        a[...] = np.where(mask, np.astype(values, a.dtype) if is_tensor(values) else np.asarray(values, a.dtype), a)
    else:
        np.putmask(a, mask, values)


def _builtin(f, ours):
    plain = CALLS.get(f, f)

    def call(x, *args, **kwargs):
        return ours(x) if type(x) is Masked and not args and not kwargs else plain(x, *args, **kwargs)

    CALLS[f] = call


_builtin(sum, lambda m: np.sum(m, axis=0))
_builtin(min, lambda m: np.min(m))
_builtin(max, lambda m: np.max(m))
_builtin(len, lambda m: count(m.mask))
