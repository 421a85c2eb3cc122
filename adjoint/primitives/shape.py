"""Shape: reshape, transpose, broadcast, flip, roll, casts, copies, and what is known of an array without its values.

Axes in params are negative, shapes are complete (no -1), so that a batch axis in front changes nothing but a shape.
"""

import math

import numpy as np

from ..core.errors import DTypeError, ShapeError
from ..core.errors import where as at
from ..core.op import Op, bind, explain
from ..core.op import shape as _shape_of
from ..core.tensor import Flat, Tensor, concrete, is_tensor, untracked, viewing
from ..core.tuples import SPREAD
from ..core.types import Array, typeof
from ..traces import reverse
from .kinds import as_array, axes_from_end, axis_from_end, cast, implements, linear, look, own, unbroadcast

_ndarray = np.ndarray
_new = object.__new__


def shape_of(x):
    """The shape of an array, number or tensor; quick for a tensor on one tape."""
    if type(x) is Flat:
        x = x.value
    return x.shape if type(x) is _ndarray else _shape_of(x)


def _quick(op, f, name, back):
    """The entry of an op of one array and one param, which makes its node by hand, as `reverse.unary` does.

    f(a, param) for an array a; back(g, shape of a, param) is the cotangent.
    """

    def pull(g, node):
        return back(g, node[4], node[5])

    class Rule:  # the op as the walks that use rules see it: what the node keeps are its arguments
        record = None
        eval = staticmethod(f)

        @staticmethod
        def vjp(wants, g, _y, shape, param):
            return back(g, shape, param), None

    Rule.name = op.name
    reverse.FAST[pull] = (Rule, (True, False))

    def entry(x, param):
        if type(x) is Flat and not reverse.SLOW:
            a = x.value
            if type(a) is _ndarray:
                try:
                    y = f(a, param)
                except Exception as error:
                    raise explain(error, op, (a,))
                t = _new(Flat)
                t.value = y
                t.trace = tape = x.trace
                t.info = [tape.next(), pull, x.info, None, a.shape, param]
                return viewing(x, t, op, {name: param})
        y = bind(op, x, **{name: param})
        return viewing(x, y, op, {name: param}) if is_tensor(x) else y

    return entry


def case(rng, *dims, **params):
    return ((rng.normal(size=dims),), params)


# Ops


_reshape = linear(
    "reshape",
    lambda x, shape: np.reshape(x, shape),
    lambda g, _x, shape: np.reshape(g, _x.shape),
    type=lambda x, shape: Array(shape, x.dtype),
    batch=lambda size, batched, x, shape: bind(_reshape, x, shape=(size, *shape)),
    sample=lambda rng: [case(rng, 2, 3, shape=(3, 2)), case(rng, shape=(1, 1)), case(rng, 4, shape=(2, 1, 2))],
)

_transpose = linear(
    "transpose",
    lambda x, axes: np.transpose(x, axes),
    lambda g, _x, axes: np.transpose(g, _inverse(axes)),
    type=lambda x, axes: Array(tuple(x.shape[i] for i in axes), x.dtype),
    batch=lambda size, batched, x, axes: bind(_transpose, x, axes=(-len(axes) - 1, *axes)),
    sample=lambda rng: [case(rng, 2, 3, axes=(-1, -2)), case(rng, 2, 3, 4, axes=(-2, -1, -3)), case(rng, axes=())],
)


_reshaped = _quick(_reshape, _ndarray.reshape, "shape", lambda g, shape, _: np.reshape(g, shape))


def _inverse(axes):
    n = len(axes)
    out = [0] * n
    for i, axis in enumerate(axes):
        out[axis + n] = i - n
    return tuple(out)


_transposed = _quick(_transpose, _ndarray.transpose, "axes", lambda g, _, axes: np.transpose(g, _inverse(axes)))


def _broadcast_batch(size, batched, x, shape):
    s = shape_of(x)
    x = np.reshape(x, (size, *(1,) * (len(shape) + 1 - len(s)), *s[1:]))
    return bind(_broadcast_to, x, shape=(size, *shape))


_broadcast_to = linear(
    "broadcast_to",
    lambda x, shape: np.broadcast_to(x, shape),
    lambda g, _x, shape: unbroadcast(g, _x),
    type=lambda x, shape: Array(shape, x.dtype),
    batch=_broadcast_batch,
    sample=lambda rng: [case(rng, 2, 1, shape=(4, 2, 3)), case(rng, shape=(2,)), case(rng, 3, shape=(3,))],
)

_flip = linear(
    "flip",
    lambda x, axes: np.flip(x, axes),
    lambda g, _x, axes: np.flip(g, axes),
    type=lambda x, axes: Array(x.shape, x.dtype),
    batch=lambda size, batched, x, axes: bind(_flip, x, axes=axes),
    sample=lambda rng: [case(rng, 2, 3, axes=(-2, -1)), case(rng, 3, axes=(-1,)), case(rng, 2, 3, axes=())],
)

_roll = linear(
    "roll",
    lambda x, shift, axes: np.roll(x, shift, axes),
    lambda g, _x, shift, axes: np.roll(g, tuple(-s for s in shift), axes),
    type=lambda x, shift, axes: Array(x.shape, x.dtype),
    batch=lambda size, batched, x, shift, axes: bind(_roll, x, shift=shift, axes=axes),
    sample=lambda rng: [case(rng, 5, shift=(2,), axes=(-1,)), case(rng, 2, 3, shift=(1, -2), axes=(-2, -1))],
)

# Casting to integers or booleans ends the derivative. weak: to a number of Python's, which takes the dtype of what it meets.


def _astype_eval(x, dtype, weak=False):
    y = np.asarray(x).astype(dtype)
    if y.ndim:
        return y
    return y.item() if weak else y if isinstance(x, np.ndarray) else y[()]


_astype = Op(
    "astype",
    _astype_eval,
    kind="linear",
    type=lambda x, dtype, weak=False: Array(x.shape, dtype, weak and not x.shape),
    jvp=lambda ts, y, x, dtype, weak=False: cast(ts[0], dtype) if dtype.kind in "fc" else None,
    vjp=lambda wants, g, _y, _x, dtype, weak=False: (cast(g, _x.dtype) if dtype.kind in "fc" else None,),
    batch=lambda size, batched, x, dtype, weak=False: bind(_astype, x, dtype=dtype),
    sample=lambda rng: [case(rng, 3, dtype=np.dtype(np.float64)), case(rng, 3, dtype=np.dtype(np.complex128))],
)

_copy = linear(
    "copy",
    lambda x: x.copy() if isinstance(x, np.ndarray) else x,
    lambda g, _x: g,
    type=lambda x: x,
    batch=lambda size, batched, x: bind(_copy, x),
    sample=lambda rng: [case(rng, 2, 3)],
)
_copied = reverse.unary(_copy, _copy.eval, (False, False), lambda g, node: g)
_copied.op = _copy

# What is known without values


@implements(np.shape)
def shape(a):
    """The shape, a tuple of ints. As `numpy.shape`."""
    return shape_of(as_array(a))


@implements(np.ndim)
def ndim(a):
    """The number of axes. As `numpy.ndim`."""
    return len(shape(a))


@implements(np.size)
def size(a, axis=None):
    """The number of elements, or the length of some axes. As `numpy.size`."""
    s = shape(a)
    return math.prod(s) if axis is None else math.prod(s[i] for i in axes_from_end(axis, len(s)))


def _as_type(x):
    # a dtype, or for a Python scalar inside a tensor the scalar itself: it is weak
    if not is_tensor(x):
        return x
    t = typeof(x)
    return t.dtype.type(0).item() if t.weak else t.dtype


@implements(np.result_type)
def result_type(*arrays_and_dtypes):
    """The dtype that these promote to. As `numpy.result_type`."""
    return np.result_type(*map(_as_type, arrays_and_dtypes))


@implements(np.can_cast)
def can_cast(from_, to, casting="safe"):
    """Whether a cast follows the casting rule. As `numpy.can_cast`."""
    return np.can_cast(typeof(from_).dtype if is_tensor(from_) else from_, to, casting)


@implements(np.iscomplexobj)
def iscomplexobj(x):
    """Whether the dtype is complex. As `numpy.iscomplexobj`."""
    return typeof(x).dtype.kind == "c" if is_tensor(x) else np.iscomplexobj(x)


@implements(np.isrealobj)
def isrealobj(x):
    """Whether the dtype is not complex. As `numpy.isrealobj`."""
    return not iscomplexobj(x)


def _like(a, dtype, shape):
    t = typeof(as_array(a))
    s = t.shape if shape is None else as_shape(shape)
    return s, t.dtype if dtype is None else np.dtype(dtype)


@implements(np.zeros_like)
def zeros_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """Zeros with the shape and dtype of a; untracked. As `numpy.zeros_like`."""
    return untracked(np.zeros(*_like(a, dtype, shape)))


@implements(np.ones_like)
def ones_like(a, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """Ones with the shape and dtype of a; untracked. As `numpy.ones_like`."""
    return untracked(np.ones(*_like(a, dtype, shape)))


@implements(np.empty_like)
def empty_like(prototype, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """An array with the shape and dtype of the prototype, filled with zeros; untracked. As `numpy.empty_like`."""
    return zeros_like(prototype, dtype, order, subok, shape)


@implements(np.full_like)
def full_like(a, fill_value, dtype=None, order="K", subok=True, shape=None, *, device=None):
    """fill_value with the shape and dtype of a; it may be a tensor, and is differentiated. As `numpy.full_like`."""
    s, dtype = _like(a, dtype, shape)
    if is_tensor(fill_value):
        return _copied(broadcast_to(astype(fill_value, dtype), s))  # an array of its own, which may be written
    return untracked(np.full(s, fill_value, dtype))


# Rearranging


def as_shape(shape):
    if type(shape) is tuple and all(type(n) is int for n in shape):
        return shape
    try:
        return (shape.__index__(),)
    except (AttributeError, TypeError):
        return tuple(n.__index__() for n in shape)


def _resolve(shape, have):
    """A complete shape: -1 replaced by what is left."""
    want = as_shape(shape)
    count = math.prod(have)
    if -1 not in want and math.prod(want) == count and min(want, default=0) >= 0:
        return want
    known = math.prod(n for n in want if n != -1)
    if want.count(-1) > 1:
        raise ShapeError(f"can only specify one unknown dimension, not shape {want}{at()}")
    full = tuple(count // known if n == -1 and known else n for n in want)
    if math.prod(full) != count or min(full, default=0) < 0:
        raise ShapeError(f"cannot reshape array of size {count} and shape {tuple(have)} into shape {want}{at()}")
    return full


@implements(np.reshape)
def reshape(a, /, shape, order="C", *, copy=None):
    """a in another shape. As `numpy.reshape`; order "K" and "A" only of one axis or none."""
    a = as_array(a)
    if order in ("A", "K") and len(shape_of(a)) > 1:
        raise ShapeError(
            f"order={order!r} follows the memory of an array, and a tensor has no memory order{at()}; say order='C' or order='F'"
        )
    shape = _resolve(shape, shape_of(a))
    if order == "F":
        return transpose(_reshaped(transpose(a), shape[::-1]))
    return _reshaped(a, shape)


@implements(np.ravel)
def ravel(a, order="C"):
    """a as one axis. As `numpy.ravel`; order "K" and "A" only of one axis or none."""
    a = as_array(a)
    return a if is_tensor(a) and len(shape_of(a)) == 1 else reshape(a, -1, order)


@implements(np.transpose)
def transpose(a, axes=None):
    """a with its axes permuted, by default reversed. As `numpy.transpose`."""
    a = as_array(a)
    n = len(shape_of(a))
    if axes is None:
        return _transposed(a, tuple(range(-1, -n - 1, -1)))
    axes = tuple(axis_from_end(i, n) for i in axes)
    if sorted(axes) != list(range(-n, 0)):
        raise ShapeError(f"axes don't match array of {n} axes: {axes}{at()}")
    return _transposed(a, axes)


permute_dims = transpose


@implements(np.matrix_transpose)
def matrix_transpose(x, /):
    """x with its last two axes swapped. As `numpy.matrix_transpose`."""
    if ndim(x) < 2:
        raise ShapeError(f"matrix_transpose needs at least two axes, not shape {shape(x)}{at()}")
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a, axis1, axis2):
    """a with two axes exchanged. As `numpy.swapaxes`."""
    a = as_array(a)
    n = len(shape_of(a))
    i, j = axis_from_end(axis1, n), axis_from_end(axis2, n)
    order = list(range(-n, 0))
    order[i], order[j] = order[j], order[i]
    return _transposed(a, tuple(order))


@implements(np.moveaxis)
def moveaxis(a, source, destination):
    """a with some axes at other places, the others in their order. As `numpy.moveaxis`."""
    a = as_array(a)
    n = len(shape_of(a))
    source, destination = ([axis_from_end(i, n) for i in (x if np.iterable(x) else [x])] for x in (source, destination))
    if len(source) != len(destination):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    if len(set(source)) < len(source) or len(set(destination)) < len(destination):
        raise ValueError("repeated axis in moveaxis")
    order = [i for i in range(-n, 0) if i not in source]
    for d, s in sorted(zip(destination, source, strict=True)):
        order.insert(d + n, s)
    return _transposed(a, tuple(order))


@implements(np.rollaxis)
def rollaxis(a, axis, start=0):
    """a with one axis rolled back to before `start`. As `numpy.rollaxis`."""
    n = ndim(a)
    axis = axis_from_end(axis, n) + n
    if not -n <= start <= n:
        raise np.exceptions.AxisError(start, n + 1)
    start += n if start < 0 else 0
    return moveaxis(a, axis, start - (axis < start))


@implements(np.expand_dims)
def expand_dims(a, axis):
    """a with axes of length 1 inserted. As `numpy.expand_dims`."""
    a = as_array(a)
    s = shape_of(a)
    n = len(s) + (len(axis) if isinstance(axis, (tuple, list)) else 1)
    new = axes_from_end(axis, n)
    rest = iter(s)
    return _reshaped(a, tuple(1 if i in new else next(rest) for i in range(-n, 0)))


@implements(np.squeeze)
def squeeze(a, axis=None):
    """a without (some of) its axes of length 1. As `numpy.squeeze`."""
    a = as_array(a)
    s = shape_of(a)
    axes = [i - len(s) for i, n in enumerate(s) if n == 1] if axis is None else axes_from_end(axis, len(s))
    if any(s[i] != 1 for i in axes):
        raise ShapeError(
            f"cannot select an axis to squeeze out which has size not equal to one: axis {axis} of shape {s}{at()}"
        )
    return _reshaped(a, tuple(n for i, n in enumerate(s, -len(s)) if i not in axes))


@implements(np.broadcast_to)
def broadcast_to(array, shape, subok=False):
    """array repeated along new axes and axes of length 1. As `numpy.broadcast_to`."""
    array = as_array(array)
    s = shape_of(array)
    shape = as_shape(shape)
    if len(s) > len(shape) or any(n not in (1, m) for n, m in zip(s[::-1], shape[::-1])):
        raise ShapeError(f"an array of shape {tuple(s)} cannot be broadcast to shape {shape}{at()}")
    return look(_broadcast_to, array, shape=shape)


SPREAD[Array] = lambda size, x: broadcast_to(x, (size, *shape_of(x)))


@implements(np.broadcast_arrays)
def broadcast_arrays(*args, subok=False):
    """All arguments broadcast to one shape, as a tuple. As `numpy.broadcast_arrays`."""
    args = [as_array(a) for a in args]
    s = np.broadcast_shapes(*map(shape_of, args))
    return tuple(a if shape_of(a) == s else broadcast_to(a, s) for a in args)


def _at_least(n, arys, f):
    out = tuple(x if len(shape_of(x)) >= n else reshape(x, f(shape_of(x))) for x in map(as_array, arys))
    return out[0] if len(out) == 1 else out


@implements(np.atleast_1d)
def atleast_1d(*arys):
    """Each with at least one axis. As `numpy.atleast_1d`."""
    return _at_least(1, arys, lambda s: (1,))


@implements(np.atleast_2d)
def atleast_2d(*arys):
    """Each with at least two axes; new ones in front. As `numpy.atleast_2d`."""
    return _at_least(2, arys, lambda s: (1,) * (2 - len(s)) + tuple(s))


@implements(np.atleast_3d)
def atleast_3d(*arys):
    """Each with at least three axes. As `numpy.atleast_3d`."""
    return _at_least(3, arys, lambda s: (1, 1, 1) if len(s) == 0 else (1, *s, 1) if len(s) == 1 else (*s, 1))


@implements(np.flip)
def flip(m, axis=None):
    """m with the order along some axes reversed. As `numpy.flip`."""
    m = as_array(m)
    return look(_flip, m, axes=axes_from_end(axis, len(shape_of(m))))


@implements(np.fliplr)
def fliplr(m):
    """m with its second axis reversed. As `numpy.fliplr`."""
    return flip(m, 1)


@implements(np.flipud)
def flipud(m):
    """m with its first axis reversed. As `numpy.flipud`."""
    return flip(m, 0)


@implements(np.rot90)
def rot90(m, k=1, axes=(0, 1)):
    """m rotated by k right angles in the plane of two axes. As `numpy.rot90`."""
    n = ndim(m)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    i, j = (axis_from_end(axis, n) for axis in axes)
    if i == j:
        raise ValueError("Axes must be different.")
    if k % 4 == 0:
        return as_array(m)[...]
    if k % 4 == 2:
        return flip(m, (i, j))
    return swapaxes(flip(m, j), i, j) if k % 4 == 1 else flip(swapaxes(m, i, j), j)


@implements(np.roll)
def roll(a, shift, axis=None):
    """a with its elements shifted along axes, the last ones coming first. As `numpy.roll`."""
    a = as_array(a)
    if axis is None:
        return reshape(roll(ravel(a), shift, 0), shape_of(a))
    if type(axis) is int and type(shift) is int:
        return bind(_roll, a, shift=(shift,), axes=(axis_from_end(axis, len(shape_of(a))),))
    shifts: dict = {}
    for s, i in zip(*(np.atleast_1d(v).tolist() for v in np.broadcast_arrays(shift, axis)), strict=True):
        i = axis_from_end(i, len(shape_of(a)))
        shifts[i] = shifts.get(i, 0) + s
    return bind(_roll, a, shift=tuple(shifts.values()), axes=tuple(shifts))


@implements(np.repeat)
def repeat(a, repeats, axis=None):
    """Each element repeated, along an axis or of the flattened array. As `numpy.repeat`."""
    a = ravel(a) if axis is None else as_array(a)
    s = tuple(shape_of(a))
    i = axis_from_end(0 if axis is None else axis, len(s)) + len(s)
    repeats = np.asarray(concrete(repeats, "repeats="))
    if repeats.size != 1:
        return np.take(a, np.repeat(np.arange(s[i]), repeats), axis=i)
    n = repeats.item()
    x = broadcast_to(reshape(a, (*s[: i + 1], 1, *s[i + 1 :])), (*s[: i + 1], n, *s[i + 1 :]))
    return own(reshape(x, (*s[:i], s[i] * n, *s[i + 1 :])), a)


# Casts and copies


@implements(np.astype)
def astype(x, dtype, /, *, copy=True, device=None):
    """x in another dtype; an integer or boolean result has no derivative. As `numpy.astype`."""
    dtype = np.dtype(dtype)
    if dtype.kind not in "biufc":
        raise DTypeError(f"a tensor holds numbers, not {dtype}{at()}")
    x = as_array(x)
    if typeof(x) == Array(shape_of(x), dtype):
        return _copied(x) if copy else x
    return bind(_astype, x, dtype=dtype)


def python_number(x, kind=None):
    """float(x), int(x) or bool(x) of a tensor of one number, as a tensor that is as weak as Python's number is.

    kind: float, int, bool or complex; None: that of its dtype, as `item` gives.
    """
    x = np.reshape(x, ()) if shape_of(x) else x
    kind = type(typeof(x).dtype.type(0).item()) if kind is None else kind
    t = Array((), np.dtype(kind), True)
    return x if typeof(x) == t else bind(_astype, x, dtype=t.dtype, weak=True)


@implements(np.copy)
def copy(a, order="K", subok=False):
    """A copy of a. As `numpy.copy`."""
    return _copied(as_array(a))


# Methods and properties


def _install():
    def method(name):
        def install(f):
            f.__name__ = name
            f.__qualname__ = f"Tensor.{name}"
            f.__doc__ = f.__doc__ or f"As `numpy.ndarray.{name}`."
            setattr(Tensor, name, f)

        return install

    def several(args):
        return args[0] if len(args) == 1 else args

    method("reshape")(lambda x, *shape, order="C", copy=None: reshape(x, several(shape), order))
    method("ravel")(lambda x, order="C": ravel(x, order))
    method("flatten")(lambda x, order="C": copy(reshape(x, -1, order)))
    method("transpose")(lambda x, *axes: transpose(x, several(axes) if axes else None))
    method("swapaxes")(lambda x, axis1, axis2: swapaxes(x, axis1, axis2))
    method("squeeze")(lambda x, axis=None: squeeze(x, axis))
    method("astype")(lambda x, dtype, order="K", casting="unsafe", subok=True, copy=True: astype(x, dtype, copy=copy))
    method("copy")(lambda x, order="C": copy(x))
    method("repeat")(lambda x, repeats, axis=None: repeat(x, repeats, axis))
    Tensor.T = property(transpose)
    Tensor.mT = property(matrix_transpose)
    Tensor.flat = property(lambda x: reshape(x, -1), doc="The elements in order, to read: x.flat[i], for e in x.flat.")


_install()
