"""Writing into tensors: `t[index] = v`, `t += v`, through views too.

A tensor is a handle: nodes never point at it. A write makes a new node (the tensor with v at the index) and the handle
moves on to it; what was computed before keeps the node it read. On plain arrays the memory is written in place where
nobody else needs the old values, which the array's reference count tells: a saved residual, or a NumPy view, holds a
reference. Else it is copied, once.

A view knows its root and the ops that lead from it. A write through a view is a write into the root; after a write all
living views of the root are derived from it anew, so that reading costs nothing.

The way back of a write sets the cotangent to 0 at the index, in place where the walk owns it: n writes cost n writes.
"""

import math
import sys

import numpy as np

from ..core.errors import DTypeError, MutationError
from ..core.errors import where as at
from ..core.tensor import WRITE, Flat, Tensor, concrete, is_tensor, is_tracked, make, set_class
from ..core.types import Array, typeof
from ..traces import reverse
from ..traces.batch import Batch
from ..traces.reverse import FAST, Tape, Write, paused
from .index import _is_flag, _is_static, fill, getitem, index_set, split
from .kinds import as_array, cast, unbroadcast

_ndarray = np.ndarray


def setitem(t, index, v):
    """t[index] = v."""
    if type(index) is int and type(v) is Flat and type(t) is Flat and _write_one(t, index, v):
        return
    v = as_array(v)
    link = getattr(t, "shares", None)
    root, path = link if type(link) is tuple else (t, ())
    while is_tensor(index) and index.trace is None:
        index = index.value
    if root.trace is None and not is_tracked(v):
        _write_untracked(root, path, index, v.value if is_tensor(v) else v)
        return
    if root.trace is not None and root.trace.write(root, index if not path else None, v):
        return
    _check(root, v)
    if _plain(root, v):
        _write_plain(root, path, index, v)
    else:
        old = make(root.value, root.trace, root.info)
        set_class(old, type(root))
        _assign(root, _set_through(old, path, index, v))
    _refresh(root)


_KEPT = {float: typeof(0.0), np.float64: typeof(np.float64(0))}


def _write_one(t, index, v):
    """One element of a vector, the common case, in a third of the time; whether it was one."""
    kept = _KEPT.get(type(v.value))
    node = t.info
    if (
        kept is None
        or node[1] is None
        or reverse.SLOW
        or v.trace is not t.trace
        or getattr(t, "shares", None) is not None
    ):
        return False
    if _alone(t) > _ALONE:
        return False
    a = t.value
    if a.ndim != 1 or a.base is not None or not a.flags.writeable:
        return False
    serial = t.trace.next()
    a[index] = v.value
    t.info = [serial, _write_both, (node, v.info), None, (), index, kept, Array(a.shape, a.dtype)]
    return True


def update(t, result):
    """t op= v, where `result` is t op v; returns what the name is bound to."""
    shape = t.shape
    view = type(getattr(t, "shares", None)) is tuple  # x[0, ...] is one, and a[...] += v goes through it
    if not shape and not view and (type(t.value) is not _ndarray or t.value.ndim):  # a lane of a batch is a scalar too
        if t.trace is None or not t.trace.write(t, ..., result):
            return result  # a scalar: Python binds the name anew
        return t
    if np.shape(result) != shape:
        raise ValueError(
            f"non-broadcastable output operand with shape {shape} doesn't match the broadcast shape {np.shape(result)}"
        )
    have, new = t.dtype, typeof(result).dtype
    if not np.can_cast(new, have, "same_kind"):
        raise TypeError(
            f"cannot cast the result of an in-place operator from {new} to {have} with casting rule 'same_kind'{at()}"
        )
    setitem(t, ..., result)
    return t


def _write_untracked(root, path, index, v):
    if type(root.value) is not _ndarray:
        root.value = np.array(root.value)  # NumPy's scalars cannot be written into; a tensor can
    elif not root.value.flags.writeable:
        root.value = root.value.copy()  # locked for a backward pass that will read it
        _refresh(root)
    w = root.value
    for op, params in path:
        w = op.eval(w, **params)
    w[_numpy_index(index, w.shape)] = v


def _numpy_index(index, shape):
    """The index with plain arrays and numbers alone."""
    if _is_static(index) or type(index) is _ndarray:
        return index
    if _is_flag(index):
        return bool(concrete(index, "writing through a boolean"))
    skeleton, arrays = split(index, shape)
    return fill(skeleton, [concrete(a, "an index") for a in arrays])


def _check(root, v):
    """Raise where the write would lose a derivative."""
    if root.trace is not None and root.trace.ended:
        root.trace.escaped()
    if type(root.trace) is Tape and root.trace.imperative and paused.get():
        raise MutationError(
            f"a write under no_grad into a tensor that was recorded{at()}; write into y.detach(), or outside no_grad"
        )
    if not is_tracked(v):
        return
    of, to = typeof(v).dtype, root.dtype
    if of.kind in "fc" and to.kind not in ("c" if of.kind == "c" else "fc"):
        raise DTypeError(
            f"writing a {of} that is being differentiated into a tensor of dtype {to} would lose its derivative{at()}; "
            f"make the tensor {of}, as with dtype=float"
        )
    trace = v.trace
    if root.trace is None:
        born = root.info if type(root.info) is int else 0
        older = born < trace.level
    elif root.trace.level < trace.level:
        # its node or variable tells when it was made; serials fall as time goes
        if type(root.trace) is Tape:
            older = not (type(trace) is Tape and root.info[0] < trace.start)
        else:
            born = root.info if type(root.trace) is Batch else getattr(root.info, "birth", 0)
            older = (born or 0) < trace.level
    else:
        older = False
    if older:
        raise MutationError(
            f"a tensor made outside is written inside a transform{at()}: the derivative would leak out of it; make the tensor "
            "inside the function, or return the value instead of storing it"
        )


def _plain(root, v):
    """Whether all is plain arrays on one tape."""
    if type(root.value) is not _ndarray or (is_tracked(v) and type(v) is not Flat):
        return False
    if root.trace is None:
        return type(v.trace) is Tape
    # a recorder, a subclass of Tape, notes what it is asked to process: for it the write is an op
    return type(root) is Flat and type(root.trace) is Tape and (not is_tracked(v) or v.trace is root.trace)


def _write_plain(root, path, index, v):
    tape = v.trace if is_tracked(v) else root.trace
    if not _is_ours(root):
        root.value = root.value.copy()
    w = root.value
    for op, params in path:
        w = op.eval(w, **params)
    index = _numpy_index(index, w.shape)
    given = v.value if is_tensor(v) else v
    w[index] = given
    if is_tracked(v):
        kept = typeof(given)
        parents, pull = (v.info, _write_v) if root.trace is None else ((root.info, v.info), _write_both)
    else:
        kept = None
        parents, pull = root.info, _write_root
    if root.trace is None:
        if root.value.dtype.kind not in "f":
            set_class(root, Tensor)
        else:
            set_class(root, Flat)
        root.trace = tape
    root.info = [tape.next(), pull, parents, None, path, index, kept, Array(root.value.shape, root.value.dtype)]


def _alone(t):
    return sys.getrefcount(t.value)


_ALONE = _alone(make(np.zeros(1), None, None))


def _is_ours(root):
    """Whether nobody but the handle and its living views refers to the memory."""
    count = _alone(root)
    if root.value.base is not None or not root.value.flags.writeable:
        return False
    for view in _living(root):
        if type(view.value) is _ndarray and view.value.base is root.value:
            count -= 1
            if _alone(view) > _ALONE:
                return False
    return count <= _ALONE


def _living(root):
    views = getattr(root, "shares", None)
    if type(views) is not list:
        return ()
    alive = [view for view in (ref() for ref in views) if view is not None]
    if len(alive) < len(views):
        views[:] = [ref for ref in views if ref() is not None]
    return alive


def _refresh(root):
    """Derive the living views of a root anew."""
    for view in _living(root):
        y = root
        for op, params in view.shares[1]:
            y = op(y, **params)
        _assign(view, y)


def _assign(t, new):
    """Make a handle stand for another tensor."""
    set_class(t, type(new))
    t.value, t.trace, t.info = new.value, new.trace, new.info


def _set_through(x, path, index, v):
    """x with v written at the index of what the path leads to, as a new tensor."""
    if not path:
        return index_set(x, index, v)
    (op, params), *rest = path
    inner = _set_through(op(x, **params), rest, index, v)
    if op.name == "getitem":
        return index_set(x, params["index"], inner)
    if op.name == "reshape":
        return np.reshape(inner, x.shape)
    if op.name == "flip":
        return np.flip(inner, params["axes"])
    if op.name == "transpose":
        axes = params["axes"]
        return np.transpose(inner, tuple(int(i) for i in np.argsort([a % len(axes) for a in axes])))
    if op.name == "einsum":
        spec, out = params["subscripts"].split("->")
        if len(spec) == len(out):
            return np.einsum(f"{out}->{spec}", inner)
        # a letter twice: a diagonal
        places = [np.arange(x.shape[k]).reshape([-1 if c == o else 1 for o in out]) for k, c in enumerate(spec)]
        return index_set(x, tuple(places), inner)
    way = _WAYS.get(op.name, "write into the array itself")
    raise MutationError(f"a write through the view that {op.name} makes is not supported{at()}; {way}")


_WAYS = {
    "real": "write both parts, z[i] = v + 1j * z.imag[i]",
    "imag": "write both parts, z[i] = z.real[i] + 1j * v",
}


# The way back


def _zero(g, node):
    """(cotangent of v, or None); g, which is ours, becomes the cotangent of the root."""
    path, index, kept = node[4:7]
    if type(index) is int and not path and g.ndim == 1:
        gv = g[index]
        g[index] = 0
        return gv if kept is None or kept.dtype == g.dtype else cast(gv, kept.dtype)
    w = g
    for op, params in path:
        w = op.eval(w, **params)
    gv = None
    if kept is not None:
        gv = w[index]
        if type(gv) is _ndarray and gv.base is not None:
            gv = gv.copy()
        gv = _of_v(gv, w.shape, index, kept)
    w[index] = 0
    return gv


def _of_v(gv, shape, index, kept):
    """The cotangent of v from that of the entries written, of an array of this shape."""
    if _has_arrays(index) and kept.shape:
        # of entries written twice the last one stays: each writes its number, and looks whether it finds it
        have = np.shape(gv)
        number = np.arange(math.prod(have)).reshape(have)
        left = np.zeros(shape, np.intp)
        left[index] = number
        gv = np.where(left[index] == number, gv, 0)
    return unbroadcast(_drop_axes(gv, kept), kept)


def _drop_axes(gv, kept):
    # NumPy lets v have more axes than x[index], if they are of length 1
    extra = len(kept.shape) - np.ndim(gv)
    return np.reshape(gv, (1,) * extra + np.shape(gv)) if extra > 0 else gv


def _has_arrays(index):
    for i in index if type(index) is tuple else (index,):
        if type(i) is _ndarray and i.dtype.kind != "b":
            return True
    return False


def _back_root(g, node):
    _zero(g, node)
    return g


def _back_v(g, node):
    return _zero(g, node)


def _back_both(g, node):
    gv = _zero(g, node)
    return g, gv


class _Rule:
    """The op of a write's node, for walks by rule: its arguments are what the node keeps."""

    name = "setitem"
    record = None
    kind = "linear"

    def __init__(self, root, v):
        self.root = root
        self.v = v

    def vjp(self, wants, g, _y, path, index, kept, whole):
        inner = g
        for op, params in path:
            inner = op(inner, **params)
        out = []
        if self.root:
            out.append(cast(_set_through(g, path, index, 0.0), whole.dtype))
        if self.v:
            out.append(_of_v(getitem(inner, index), np.shape(inner), index, kept))
        out += [None] * (4 - len(out))
        return tuple(out)


_write_root, _write_v, _write_both = Write(_back_root), Write(_back_v), Write(_back_both)
FAST[_write_root] = (_Rule(True, False), (True, False, False, False))
FAST[_write_v] = (_Rule(False, True), (True, False, False, False))
FAST[_write_both] = (_Rule(True, True), (True, True, False, False))
WRITE[:] = [setitem, update]
