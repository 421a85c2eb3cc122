"""Rules for ops that move entries: chains of them become one or none, and a number repeated stays one in any order.

A rule (builder, line) returns what the line is equal to, or None.
"""

import math

import numpy as np

from ...core.op import OPS
from ...traces.graph import Const

_op = OPS.__getitem__
ADD, ASTYPE, BROADCAST, RESHAPE, TRANSPOSE = map(_op, ("add", "astype", "broadcast_to", "reshape", "transpose"))
GETITEM, STACK, CONCATENATE, INDEX_SET = map(_op, ("getitem", "stack", "concatenate", "index_set"))


def repeated(b, line):
    """One number repeated is that number repeated, whatever order its entries are brought into."""
    if any(len(line.args) > 1 and a is not line.args[0] for a in line.args):
        return None
    x = line.args[0]
    made = b.made_by(x, BROADCAST)
    if made is None or made.args[0].type.ndim:
        return None
    return b.apply(BROADCAST, [made.args[0]], {"shape": line.out.type.shape})


def unchanged(b, line):
    """The value itself, where the type is the same: for ops that then do nothing."""
    x = line.args[0]
    return x if x.type == line.out.type else None


def reshape(b, line):
    x = line.args[0]
    made = b.made_by(x, RESHAPE)
    if made is not None:
        return b.apply(RESHAPE, made.args, line.params)
    return None


def broadcast_to(b, line):
    x = line.args[0]
    made = b.made_by(x, BROADCAST)
    if made is None:
        made = b.made_by(x, RESHAPE)
        if made is not None:  # leading axes of length 1, which the broadcast makes anyhow
            (y,) = made.args
            extra = x.type.ndim - y.type.ndim
            if y.type.weak or extra <= 0 or x.type.shape != (1,) * extra + tuple(y.type.shape):
                return None
    return None if made is None else b.apply(BROADCAST, made.args, line.params)


def astype(b, line):
    """A cast of a cast is one cast, where the first lost nothing."""
    made = b.made_by(line.args[0], ASTYPE)
    if made is None:
        return None
    (x,) = made.args
    first, second = made.params["dtype"], line.params["dtype"]
    if not _lossless(x.type.dtype, first) or (second.kind not in "fc" and second != x.type.dtype):
        return None
    if x.type.dtype == second and not x.type.weak:
        return x
    return b.apply(ASTYPE, [x], line.params)


def _lossless(a, b):
    """Whether each value of dtype a is one of dtype b."""
    if a.kind == "b":
        return b.kind in "iufc"
    if a.kind == b.kind:
        return b.itemsize >= a.itemsize
    return a.kind in "iu" and b.kind == "f" and a.itemsize * 8 <= np.finfo(b).nmant + 1


def transpose(b, line):
    x = line.args[0]
    axes = line.params["axes"]
    n = len(axes)
    if axes == tuple(range(-n, 0)):
        return unchanged(b, line)
    long = [a for a in axes if x.type.shape[a] != 1]
    if long == sorted(long):  # only axes of length 1 move
        return b.apply(RESHAPE, [x], {"shape": line.out.type.shape})
    made = b.made_by(x, TRANSPOSE)
    if made is not None:
        first = made.params["axes"]
        return b.apply(TRANSPOSE, made.args, {"axes": tuple(first[a] for a in axes)})
    return None


def flip(b, line):
    x = line.args[0]
    axes = line.params["axes"]
    if all(x.type.shape[a] == 1 for a in axes):
        return unchanged(b, line)
    made = b.made_by(x, line.op)
    if made is not None:
        both = tuple(sorted(set(axes) ^ set(made.params["axes"])))
        return b.apply(line.op, made.args, {"axes": both})
    return None


def roll(b, line):
    shape = line.args[0].type.shape
    pairs = zip(line.params["shift"], line.params["axes"], strict=True)
    return unchanged(b, line) if all(not shape[a] or s % shape[a] == 0 for s, a in pairs) else None


def pad(b, line):
    return unchanged(b, line) if all(w == (0, 0) for w in line.params["width"]) else None


def concatenate(b, line):
    args = [a for a in line.args if a.type.size]
    if args and len(args) < len(line.args) and all(a.type.dtype == line.out.type.dtype for a in line.args):
        return b.apply(CONCATENATE, args, line.params)
    return unchanged(b, line) if len(args) == 1 else None


def stack(b, line):
    if len(line.args) == 1:
        return _reshaped(b, line.args[0], line.out.type)
    return None


def _reshaped(b, x, t):
    if x.type.dtype != t.dtype:
        return None
    if x.type == t:
        return x
    return b.apply(RESHAPE, [x], {"shape": t.shape})


# Reductions of axes of length 1


def short_sum(b, line):
    """A sum of one term each: that term, but a sum is never -0.0."""
    x = line.args[0]
    if _few(line) and x.type.dtype == line.out.type.dtype and x.type.dtype.kind in "fiu":
        y = _reshaped(b, x, line.out.type)
        return b.apply(ADD, [y, Const(x.type.dtype.type(0))]) if x.type.dtype.kind == "f" else y
    return None


def short_choice(b, line):
    """A product, maximum or minimum of one entry each."""
    x = line.args[0]
    return _reshaped(b, x, line.out.type) if _few(line) else None


def _few(line):
    shape = line.args[0].type.shape
    return math.prod(shape) > 0 and all(shape[a] == 1 for a in line.params["axes"])


def without_kept_axes(b, line):
    """A reduction that keeps its axes is one that does not, reshaped: then it may be found twice, and the axes vanish."""
    p = line.params
    if not p.get("keepdims") or not p["axes"]:
        return None
    return b.apply(RESHAPE, [b.apply(line.op, line.args, {**p, "keepdims": False})], {"shape": line.out.type.shape})


# Indexing


def getitem(b, line):
    x = line.args[0]
    if len(line.args) > 1:
        return None
    t = line.out.type
    index = line.params["index"]
    index = index if type(index) is tuple else (index,)
    plain = _slices(index, x.type.ndim)
    if plain is not None and all(_whole(i, n) for i, n in zip(plain, x.type.shape, strict=False)):
        return unchanged(b, line)
    if _only_ones(index, x.type.shape):
        return _reshaped(b, x, t)
    made = b.made_by(x, STACK)
    if made is not None and made.params["axis"] == -x.type.ndim and index and type(index[0]) is int:
        return _rest(b, made.args[index[0]], index[1:], t)
    made = b.made_by(x, CONCATENATE)
    if made is not None and made.params["axis"] == -x.type.ndim and index:
        return _part(b, made, index, t)
    made = b.made_by(x, GETITEM)
    if made is not None and len(made.args) == 1:
        return _composed(b, made, index, t)
    return None


def _covers(index, shape):
    """Whether an index without arrays selects everything, in its order."""
    index = index if type(index) is tuple else (index,)
    plain = _slices(index, len(shape))
    return plain is not None and all(_whole(i, n) for i, n in zip(plain, shape, strict=False))


def index_set(b, line):
    """Writes that change nothing, or all, or what the next one writes over."""
    if len(line.args) > 2:
        return None
    x, v = line.args
    index = line.params["index"]
    if _covers(index, x.type.shape):
        if v.type == line.out.type:
            return v
        if v.type.dtype == line.out.type.dtype and not v.type.weak:
            return b.emit(BROADCAST, [v], {"shape": x.type.shape})
    made = b.made_by(v, GETITEM)
    if made is not None and made.args == [x] and made.params["index"] == index:
        return x if x.type == line.out.type else None
    made = b.made_by(x, INDEX_SET)
    if made is not None and len(made.args) == 2 and made.params["index"] == index and made.args[0].type == x.type:
        return b.emit(INDEX_SET, [made.args[0], v], line.params)
    return None


def written(b, line):
    """What was just written there."""
    if len(line.args) > 1:
        return None
    made = b.made_by(line.args[0], INDEX_SET)
    if made is not None and len(made.args) == 2 and made.params["index"] == line.params["index"]:
        v = made.args[1]
        return v if v.type == line.out.type else None
    return None


def scatter(b, line):
    """Zeros of which every place is filled."""
    if len(line.args) > 1:
        return None
    (v,) = line.args
    made = b.made_by(v, BROADCAST)
    number = made.args[0] if made is not None else v
    if type(number) is Const and np.ndim(number.value) == 0 and number.value == 0:
        zero = line.out.type.dtype.type(0)
        return b.emit(BROADCAST, [Const(zero)], {"shape": line.params["shape"]})
    index = line.params["index"]
    index = index if type(index) is tuple else (index,)
    if _only_ones(index, line.params["shape"]) and v.type.size == line.out.type.size:
        return _reshaped(b, v, line.out.type)
    return None


def _slices(index, ndim):
    """The index as slices, one an axis, if it consists of slices and Ellipsis alone; else None."""
    if any(type(i) is not slice and i is not Ellipsis for i in index):
        return None
    missing = ndim - sum(i is not Ellipsis for i in index)
    out: list = []
    for i in index:
        out += [slice(None)] * missing if i is Ellipsis else [i]
    return out


def _only_ones(index, shape):
    """Whether an index adds and takes axes of length 1 alone, beside whole ones."""
    axis = 0
    after = sum(i is not None and i is not Ellipsis for i in index)
    for i in index:
        if i is None:
            continue
        if i is Ellipsis:
            axis = len(shape) - after
            continue
        after -= 1
        if not (shape[axis] == 1 if type(i) is int else _whole(i, shape[axis])):
            return False
        axis += 1
    return True


def _whole(i, n):
    return i.indices(n) == (0, n, 1)


def _rest(b, x, index, t):
    """x[index], in the dtype of t."""
    if x.type.dtype != t.dtype or x.type.weak:
        x = b.apply(ASTYPE, [x], {"dtype": t.dtype})
    return b.apply(GETITEM, [x], {"index": index}) if index else x


def _part(b, made, index, t):
    """An entry or a range along the first axis, of arrays that were joined there: of the one that has it."""
    first = index[0]
    n = sum(a.type.shape[0] for a in made.args)
    if type(first) is int:
        start = first if first >= 0 else first + n
        stop, step = start + 1, 1
    elif type(first) is slice:
        start, stop, step = first.indices(n)
    else:
        return None
    if step != 1 or stop <= start:
        return None
    for a in made.args:
        size = a.type.shape[0]
        if 0 <= start < size:
            if stop > size:
                return None
            new = start if type(first) is int else slice(start, stop, None)
            return _rest(b, a, (new, *index[1:]), t)
        start, stop = start - size, stop - size
    return None


def _composed(b, made, index, t):
    """x[first][index] as one index, where the first is slices of step 1 and integers of leading axes."""
    first = made.params["index"]
    first = first if type(first) is tuple else (first,)
    (x,) = made.args
    if any(type(i) is not int and type(i) is not slice for i in first):
        return None
    if any(type(i) is not int and type(i) is not slice for i in index):
        return None
    out: list = []
    rest = list(index)
    for i, n in zip(first, x.type.shape, strict=False):
        if type(i) is int or not rest:
            out.append(i)
            continue
        start, stop, step = i.indices(n)
        if step != 1:
            return None
        inner = rest.pop(0)
        size = max(stop - start, 0)
        if type(inner) is int:
            out.append(start + (inner if inner >= 0 else inner + size))
        else:
            s, e, k = inner.indices(size)
            if k < 1:
                return None
            out.append(slice(start + s, start + max(e, s), k))
    return b.apply(GETITEM, [x], {"index": (*out, *rest)})


RULES = {
    "reshape": [unchanged, reshape, repeated],
    "broadcast_to": [unchanged, broadcast_to],
    "astype": [unchanged, astype],
    "transpose": [transpose, repeated],
    "flip": [flip, repeated],
    "roll": [roll, repeated],
    "pad": [pad],
    "concatenate": [concatenate],
    "stack": [stack],
    "getitem": [getitem, written, repeated],
    "index_set": [index_set],
    "scatter": [scatter],
    "sum": [short_sum, without_kept_axes],
    "prod": [short_choice, without_kept_axes],
    "max": [short_choice, without_kept_axes],
    "min": [short_choice, without_kept_axes],
    "all": [without_kept_axes],
    "any": [without_kept_axes],
}
