"""NumPy's functions where our tables are silent, or where NumPy would lose a tensor: in lists, in buffers, in callbacks."""

import numpy as np

from ...core.errors import ConcreteError
from ...core.tensor import FUNCTIONS, complete, is_tensor
from ...primitives.kinds import as_array
from ...primitives.shape import python_number
from ..fence import refuse
from .calls import CALLS, calls, nested, unknown, wrapped
from .merge import Gap, use
from .outside import joined


def _ours(f):
    """An array function that takes nested lists of tensors."""
    g = FUNCTIONS.get(f)

    def call(*args, **kwargs):
        x = args[0] if args else kwargs.get("object")
        if type(x) is list and len(args) == 1 and not kwargs:
            y = joined(x)
            if y is not None:
                return y
        if is_tensor(x) or (type(x) in (list, tuple) and nested(x)):
            return g(*args, **kwargs)
        if type(x) is list and x and type(x[0]) is Gap:
            use(x[0])
        return wrapped(f(*args, **kwargs))

    return call


for _f in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray, np.stack):
    if _f in FUNCTIONS:
        CALLS[_f] = _ours(_f)


@calls(np.full)
def _full(shape, fill_value, dtype=None, **kwargs):
    if not is_tensor(fill_value):
        return wrapped(np.full(shape, fill_value, dtype, **kwargs))
    y = np.broadcast_to(fill_value, shape) * 1
    return y if dtype is None else np.astype(y, np.dtype(dtype))


def _sized(f):
    """A function that makes an array, of a size which must be known."""

    def call(*args, **kwargs):
        for x in (*args[:3], *(kwargs.get(k) for k in ("shape", "N", "M", "n", "start", "stop", "step"))):
            if any(map(unknown, x if type(x) in (tuple, list) else (x,))):
                raise refuse("size", f"np.{f.__name__} makes an array whose shape depends on a value that is not known")
        ours = None
        if any(map(is_tensor, (*args, *kwargs.values()))):
            complete()
            ours = FUNCTIONS.get(f)
        return wrapped(f(*args, **kwargs)) if ours is None else ours(*args, **kwargs)

    return call


for _name in ("zeros", "ones", "empty", "eye", "identity", "arange"):
    CALLS[getattr(np, _name)] = _sized(getattr(np, _name))


@calls(np.fromiter)
def _fromiter(xs, dtype, count=-1, **kwargs):
    xs = list(xs)[: None if count < 0 else count]
    if any(map(is_tensor, xs)):
        return FUNCTIONS[np.array](xs)
    return wrapped(np.fromiter(xs, dtype, **kwargs))


def vectorized(v, f, /, *args, **kwargs):
    """A call of an np.vectorize object, whose function's copy is f."""
    if not any(map(is_tensor, args)) or kwargs or v.signature:
        return wrapped(v(*args, **kwargs))
    row = np.broadcast_arrays(*args) if len(args) > 1 else args
    shape = row[0].shape
    flat = [np.reshape(a, -1) for a in row]
    ys = [f(*[a[i] for a in flat]) for i in range(flat[0].shape[0])]
    if type(ys[0]) is tuple:
        return tuple(np.reshape(np.stack(column), shape) for column in zip(*ys, strict=True))
    return np.reshape(np.stack(ys), shape)


def _scalar(kind):
    """np.float64(x), np.int32(x), ...: of NumPy's dtype, where float(x) and int(x) are as weak as Python's numbers."""

    def call(*args, **kwargs):
        return np.astype(args[0], kind) if len(args) == 1 and is_tensor(args[0]) else kind(*args, **kwargs)

    return call


for _kind in {np.dtype(c).type for c in "?bBhHiIlLqQefdFD"}:
    CALLS[_kind] = _scalar(_kind)


@calls(np.isscalar)
def _isscalar(x):
    return not x.shape if is_tensor(x) else np.isscalar(x)


# What answers with one of Python's own two bools; where the values are not known, with one that is not known yet


def _asked(f):
    def register(otherwise):
        def call(*args, **kwargs):
            try:
                return f(*args, **kwargs)
            except ConcreteError:
                return otherwise(*args, **kwargs)

        CALLS[f] = call
        return otherwise

    return register


@_asked(np.allclose)
def _allclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    return python_number(np.all(np.isclose(as_array(a), as_array(b), rtol, atol, equal_nan)), bool)


@_asked(np.array_equal)
def _array_equal(a1, a2, equal_nan=False):
    a, b = as_array(a1), as_array(a2)
    if np.shape(a) != np.shape(b):
        return False
    same = a == b
    if equal_nan:
        same = same | ((a != a) & (b != b))
    return python_number(np.all(same), bool)


@_asked(np.array_equiv)
def _array_equiv(a1, a2):
    a, b = as_array(a1), as_array(a2)
    try:
        np.broadcast_shapes(np.shape(a), np.shape(b))
    except ValueError:
        return False
    return python_number(np.all(a == b), bool)
