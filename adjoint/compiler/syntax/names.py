"""What a call in rewritten code goes to: NumPy's and Python's functions to ours, the user's to their copies.

`CALLS` is the table of replacements: function -> replacement. Functions of NumPy that our tables know need no row.
"""

import builtins
import functools
import math
import types

import numpy as np

from ...core import tensor as _tensor
from ...core.errors import ConcreteError, LeakError
from ...core.tensor import FUNCTIONS, UFUNCS, Tensor, is_tensor, peek, untracked
from ...core.types import typeof
from ..fence import refuse
from . import runtime as rt
from .copies import GENERATED, copy_function, is_library
from .frames import FRAMES, born
from .merge import Gap, use
from .source import NoSource

CALLS: dict = {}


def calls(*functions):
    """Register a replacement for these functions."""

    def register(f):
        for g in functions:
            CALLS[g] = f
        return f

    return register


def unknown(x):
    """Whether a value is a tensor that is not known."""
    return is_tensor(x) and not peek(x)[0]


# Resolving


_copies: dict = {}  # id of a function -> (it, its copy)
_dispatcher = type(np.sum)


def resolve(f):
    """What to call for f."""
    kind = type(f)
    if kind is types.FunctionType:
        code = f.__code__
        if id(code) in GENERATED:
            return f
        if is_library(code):
            return _library(f)
        return copied(f)
    if kind is types.MethodType:
        g = f.__func__
        if type(g) is types.FunctionType and id(g.__code__) not in GENERATED and not is_library(g.__code__):
            return types.MethodType(copied(g), f.__self__)
        return _tensor_method(f) if is_tensor(f.__self__) else _bound(f, f.__self__)
    if kind is types.BuiltinFunctionType:
        owner = f.__self__
        if owner is None or type(owner) is types.ModuleType:
            return _library(f)
        return _bound(f, owner)
    if kind is Gap:
        use(f)
    if isinstance(f, type):
        return _class(f)
    if kind is np.ufunc or kind is _dispatcher:
        return _library(f)
    if kind is functools.partial:
        return functools.partial(resolve(f.func), *f.args, **f.keywords)
    call = getattr(kind, "__call__", None)  # noqa: B004 - the class's own
    if type(call) is types.FunctionType and not is_library(call.__code__):
        return types.MethodType(copied(call), f)
    if kind is np.vectorize:
        return functools.partial(_vectorized, f)
    return _library(f)


def copied(f):
    """The copy of a user's function; the function itself where its text is not to be had."""
    row = _copies.get(id(f))
    if row is not None and row[0] is f:
        return row[1]
    try:
        g = copy_function(f, rt.Runtime)
    except NoSource as reason:
        return _unwilling(f, str(reason))
    if len(_copies) > 4096:
        _copies.clear()
    _copies[id(f)] = (f, g)
    return g


def _unwilling(f, reason):
    """A function without text: it runs as it is, and where that fails on an unknown value, the error says why."""

    @functools.wraps(f)
    def call(*args, **kwargs):
        try:
            return f(*args, **kwargs)
        except ConcreteError as error:
            if not getattr(error, "_adjoint_no_source", False):
                new = refuse("source", f"{f.__qualname__} is not rewritten: {reason}")
                new._adjoint_no_source = True
                raise new from error
            raise

    return call


def _class(cls):
    found = CALLS.get(cls)
    if found is not None:
        return found
    if type(cls) is type and cls.__new__ is object.__new__:
        init = cls.__init__
        if type(init) is types.FunctionType and not is_library(init.__code__):
            return functools.partial(_construct, cls, init)
    if issubclass(cls, BaseException):
        return cls
    return functools.partial(_made, cls)


def _construct(cls, init, *args, **kwargs):
    x = born(cls.__new__(cls))
    rt.fresh(x)
    resolve(init)(x, *args, **kwargs)
    return x


def _made(cls, *args, **kwargs):
    x = cls(*args, **kwargs)
    rt.fresh(x)
    return wrapped(born(x))


def wrapped(y):
    """An array that a library made, as a tensor that can be written into."""
    return untracked(y) if type(y) is np.ndarray and y.dtype.kind in "biufc" and rt.session.get() is not None else y


def _nested(x):
    """Whether a list or tuple holds a tensor."""
    return any(is_tensor(e) or (type(e) in (list, tuple) and _nested(e)) for e in x)


def _library(f):
    """A function of NumPy, SciPy, the standard library or this package."""
    try:
        found = CALLS.get(f)
    except TypeError:  # cannot be hashed
        return f
    if found is not None:
        return found
    module = getattr(f, "__module__", None) or ""
    if type(f) is np.ufunc or module.startswith(("numpy", "scipy")):
        return functools.partial(_call_numpy, f)
    if module.startswith("adjoint"):
        return f
    if module in ("random",):
        return functools.partial(_random, f)
    return f


def _call_numpy(f, *args, **kwargs):
    ours = FUNCTIONS.get(f) or UFUNCS.get(f)
    if ours is None and type(f) is np.ufunc:
        for load in _tensor.LAZY:
            load()
        ours = UFUNCS.get(f)
    for a in (*args, *kwargs.values()):
        if type(a) in (list, tuple) and _nested(a):
            if ours is not None:
                return ours(*args, **kwargs)
            break
        if type(a) is Gap:
            use(a)
    return wrapped(f(*args, **kwargs))


def _random(f, *args, **kwargs):
    if FRAMES.get() or rt.recorder.get() is not None:
        raise refuse("random", f"{getattr(f, '__name__', 'a random draw')}() is called")
    return wrapped(f(*args, **kwargs))


_READS = {
    dict: {"get", "keys", "values", "items", "copy", "fromkeys"},
    list: {"index", "count", "copy"},
    set: {
        "union",
        "intersection",
        "difference",
        "issubset",
        "issuperset",
        "copy",
        "isdisjoint",
        "symmetric_difference",
    },
}
_ARRAY_WRITES = {"fill", "sort", "put", "itemset", "resize", "partition", "byteswap", "setfield", "setflags"}


def _bound(f, owner):
    """A method of a builtin object: what changes a list or dict is noted, a key must be known."""
    kind = type(owner)
    if isinstance(owner, (list, dict, set)):
        base = next(k for k in _READS if isinstance(owner, k))
        name = f.__name__
        if name.startswith("__") and name != "__setitem__":
            return f

        def call(*args, **kwargs):
            if base is not list and args:
                rt.unknown_key(args[0]) if base is dict else None
            if name not in _READS[base]:
                rt.changing(owner)
                rt.forget(owner, "item", None)
            elif base is list and owner and type(owner[0]) is Gap:
                use(owner[0])
            y = f(*args, **kwargs)
            return rt.read_item(owner, y, args) if base is dict and name == "get" else y

        return call
    if isinstance(owner, str):
        if f.__name__ in ("format", "join"):
            return functools.partial(_text, f)
        return f
    module = kind.__module__ or ""
    if kind is np.ndarray:
        if f.__name__ in _ARRAY_WRITES and FRAMES.get():
            raise refuse("plain array", "an array is written")
        return functools.partial(_wrap_result, f)
    if module.startswith(("numpy.random", "random", "_random")):
        return functools.partial(_random, f)
    return f


def _wrap_result(f, *args, **kwargs):
    return wrapped(f(*args, **kwargs))


def _text(f, *args, **kwargs):
    for a in (*args, *kwargs.values()):
        for x in a if type(a) in (list, tuple) else (a,):
            if unknown(x):
                raise refuse("text", "a text is made of a value that is not known")
    return f(*args, **kwargs)


# Methods of tensors that would lose what is not known


def _tensor_method(f):
    return _METHODS.get(f.__func__.__name__, lambda f: f)(f)


def _item(f):
    def item(*args):
        x = f.__self__
        if _safe(x):
            return f(*args)
        if args:
            return x[args[0] if len(args) == 1 else args] if x.ndim > 1 or len(args) > 1 else np.reshape(x, -1)[args[0]]
        return np.reshape(x, ())

    return item


def _safe(x):
    """Whether a tensor may be turned into plain numbers: nobody differentiates it, and it is known."""
    return x.trace is None


def _tolist(f):
    x = f.__self__
    if _safe(x):
        return f

    def lists(y):
        return [lists(e) for e in y] if y.ndim > 1 else list(y) if y.ndim else y

    return lambda: lists(x)


_METHODS = {"item": _item, "tolist": _tolist}


# Python's own


def _number(cast, dtype):
    def convert(x=0, *args):
        if not is_tensor(x) or args:
            return cast(x, *args)
        known, value = peek(x)
        if x.size != 1:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        if cast is not float and known:
            return cast(value)
        if x.trace is None:
            return cast(value)
        x = np.reshape(x, ()) if x.shape else x
        if cast is bool:
            return np.not_equal(x, 0)
        t = typeof(x)
        return x if t.dtype == dtype else np.astype(x, dtype)

    return convert


CALLS[float] = _number(float, np.dtype(np.float64))
CALLS[int] = _number(int, np.dtype(np.int64))
CALLS[bool] = lambda *a: rt.truth(*a) if a and is_tensor(a[0]) else bool(*a)


@calls(len)
def _len(x):
    if type(x) is list and x and type(x[0]) is Gap:
        use(x[0])
    return len(x)


@calls(isinstance)
def _isinstance(x, cls):
    if type(x) is Gap:
        use(x)
    if is_tensor(x):
        t = typeof(x)
        if getattr(t, "weak", False):
            return issubclass(t.dtype.type(1).item().__class__, cls)
        if not getattr(t, "shape", True):
            return isinstance(x, cls) or issubclass(t.dtype.type, cls)
    return isinstance(x, cls)


@calls(type)
def _type(x, *args):
    if args:
        return type(x, *args)
    if is_tensor(x):
        t = typeof(x)
        return type(t.dtype.type(1).item()) if t.weak else np.ndarray if t.shape else t.dtype.type
    return type(x)


@calls(print)
def _print(*args, **kwargs):
    rt.print_(*args, **kwargs)


@calls(range)
def _range(*args):
    if not any(map(unknown, args)):
        return range(*args)
    start, stop, step = (0, *args, 1) if len(args) == 1 else (*args, 1) if len(args) == 2 else args
    return rt.UnknownRange(start, stop, step)


@calls(enumerate)
def _enumerate(x, start=0):
    s = rt.sequence(x)
    if s is None or unknown(start):
        return enumerate(x, start)
    return rt.Zipped([rt.Numbers(range(start, start + len(s))), s])


@calls(zip)
def _zip(*xs, strict=False):
    row = [rt.sequence(x) for x in xs]
    if not row or any(s is None for s in row) or (strict and len({len(s) for s in row}) > 1):
        return zip(*xs, strict=strict)
    return rt.Zipped(row)


@calls(reversed)
def _reversed(x):
    s = rt.sequence(x)
    return reversed(x) if s is None else rt.Backwards(s)


def _extreme(python, better):
    def pick(*args, **kwargs):
        values = list(args[0]) if len(args) == 1 else list(args)
        key = kwargs.get("key")
        if key is not None:
            kwargs["key"] = key = resolve(key)
        keys = [key(v) for v in values] if key is not None else values
        if not values or not any(map(unknown, keys)):
            return python(values, **kwargs)
        best, top = values[0], keys[0]
        for v, k in zip(values[1:], keys[1:], strict=True):
            # Python keeps the first of equals
            t = better(k, top)
            if type(t) is bool:
                best, top = (v, k) if t else (best, top)
                continue
            best, top = np.where(t, v, best), np.where(t, k, top)
        return best

    return pick


CALLS[min] = _extreme(min, lambda a, b: a < b)
CALLS[max] = _extreme(max, lambda a, b: a > b)


@calls(sum)
def _sum(x, /, start=0):
    if is_tensor(x) and x.shape and len(x) > rt.SHORT and unknown(x):
        return np.sum(x, axis=0) + start
    return sum(x, start)


@calls(sorted)
def _sorted(x, *, key=None, reverse=False):
    if key is not None:
        key = resolve(key)
    if unknown(x) and key is None and x.ndim == 1:
        y = np.sort(x)
        return list(y[::-1] if reverse else y)
    values = list(x)
    if key is None and len(values) > 1 and any(map(unknown, values)):
        y = np.sort(np.stack(values))
        return list(y[::-1] if reverse else y)
    return born(sorted(values, key=key, reverse=reverse))


@calls(all)
def _all(x):
    return rt.both(*[(lambda e=e: e) for e in _elements(x)])


@calls(any)
def _any(x):
    return rt.either(*[(lambda e=e: e) for e in _elements(x)])


def _elements(x):
    if is_tensor(x) and unknown(x) and x.ndim == 1:
        return [x]
    return x


CALLS[all] = lambda x: np.all(x) if is_tensor(x) and x.ndim == 1 and unknown(x) else _all(x)
CALLS[any] = lambda x: np.any(x) if is_tensor(x) and x.ndim == 1 and unknown(x) else _any(x)


@calls(abs)
def _abs(x):
    return abs(x)


@calls(round)
def _round(x, digits=None):
    if unknown(x):
        y = np.round(x, digits or 0)
        return y if digits is not None else np.astype(y, np.int64)
    return round(x) if digits is None else round(x, digits)


@calls(next)
def _next(it, *default):
    rt.advance(it)
    return next(it, *default)


@calls(map)
def _map(f, *xs):
    return map(resolve(f), *xs)


@calls(filter)
def _filter(f, xs):
    return filter(f if f is None else resolve(f), xs)


@calls(functools.reduce)
def _reduce(f, *args):
    return functools.reduce(resolve(f), *args)


@calls(str)
def _str(*args, **kwargs):
    if args and unknown(args[0]):
        return rt.format_(args[0], 115)
    return str(*args, **kwargs)


@calls(repr)
def _repr(x):
    return rt.format_(x, 114) if unknown(x) else repr(x)


@calls(format)
def _format(x, spec=""):
    return rt.format_(x, -1, spec)


@calls(getattr)
def _getattr(x, name, *default):
    if default and not hasattr(x, name):
        return default[0]
    return rt.Runtime.attr(x, name)


@calls(setattr)
def _setattr(x, name, value):
    rt.Runtime.setattr(x, name, value)


@calls(list)
def _list(x=()):
    if type(x) is list and x and type(x[0]) is Gap:
        use(x[0])
    return born(list(x))


@calls(slice)
def _slice(*args):
    return slice(*args)


for _kind in (tuple, frozenset, complex, bytes, object, super, property, staticmethod, classmethod, memoryview):
    CALLS[_kind] = _kind
CALLS[callable] = CALLS.get(callable, callable)


# math


def _math(python, name):
    def call(*args):
        if any(map(is_tensor, args)):
            if all(not is_tensor(a) or a.trace is None for a in args):
                return python(*[float(a) if is_tensor(a) else a for a in args])
            return getattr(np, name)(*args)
        return python(*args)

    return call


_SAME = "sin cos tan sinh cosh tanh sqrt exp exp2 expm1 log2 log10 log1p hypot degrees radians fabs fmod copysign isnan isinf isfinite cbrt"
_OTHER = {
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
    "atan2": "arctan2", "pow": "power",
}  # fmt: skip
for _name in _SAME.split():
    if hasattr(math, _name):
        CALLS[getattr(math, _name)] = _math(getattr(math, _name), _name)
for _name, _np in _OTHER.items():
    CALLS[getattr(math, _name)] = _math(getattr(math, _name), _np)


@calls(math.log)
def _log(x, *base):
    if not is_tensor(x) and not any(map(is_tensor, base)):
        return math.log(x, *base)
    y = np.log(x)
    return y / np.log(*base) if base else y


def _integer(python, f):
    def call(x):
        if not is_tensor(x):
            return python(x)
        known, value = peek(x)
        return python(value) if known else np.astype(f(x), np.int64)

    return call


for _python, _name in ((math.floor, "floor"), (math.ceil, "ceil"), (math.trunc, "trunc")):
    CALLS[_python] = _integer(_python, getattr(np, _name))


@calls(math.fsum)
def _fsum(xs):
    xs = list(xs)
    return sum(xs, 0.0) if any(map(is_tensor, xs)) else math.fsum(xs)


@calls(math.prod)
def _prod(xs, *, start=1):
    for x in xs:
        start = start * x
    return start


@calls(math.dist)
def _dist(p, q):
    if any(map(is_tensor, (p, q, *p, *q))):
        return np.sqrt(sum((a - b) ** 2 for a, b in zip(p, q, strict=True)))
    return math.dist(p, q)


@calls(math.isclose)
def _isclose(a, b, *, rel_tol=1e-09, abs_tol=0.0):
    if not any(map(unknown, (a, b))):
        return math.isclose(*(peek(x)[1] for x in (a, b)), rel_tol=rel_tol, abs_tol=abs_tol)
    near = abs(a - b) <= np.maximum(rel_tol * np.maximum(abs(a), abs(b)), abs_tol)
    return np.logical_or(np.equal(a, b), near)


def _special(name):
    def call(x):
        if not is_tensor(x) or x.trace is None:
            return getattr(math, name)(x)
        import scipy.special

        return getattr(scipy.special, {"lgamma": "gammaln"}.get(name, name))(x)

    return call


for _name in ("erf", "erfc", "gamma", "lgamma"):
    CALLS[getattr(math, _name)] = _special(_name)


# NumPy, where our tables are silent or NumPy would lose a tensor


def _ours(f):
    """An array function that takes nested lists of tensors."""
    g = FUNCTIONS.get(f)

    def call(*args, **kwargs):
        x = args[0] if args else kwargs.get("object")
        if is_tensor(x) or (type(x) in (list, tuple) and _nested(x)):
            return g(*args, **kwargs)
        if type(x) is list and x and type(x[0]) is Gap:
            use(x[0])
        return wrapped(f(*args, **kwargs))

    return call


for _f in (np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray):
    if _f in FUNCTIONS:
        CALLS[_f] = _ours(_f)


@calls(np.full)
def _full(shape, fill_value, dtype=None, **kwargs):
    if not is_tensor(fill_value):
        return wrapped(np.full(shape, fill_value, dtype, **kwargs))
    y = np.broadcast_to(fill_value, shape) * 1
    return y if dtype is None else np.astype(y, np.dtype(dtype))


@calls(np.copyto)
def _copyto(dst, src, casting="same_kind", where=True):
    if is_tensor(dst) or is_tensor(src):
        dst[...] = src if where is True else np.where(where, src, dst)
    else:
        np.copyto(dst, src, casting, where)


@calls(np.fill_diagonal)
def _fill_diagonal(a, val, wrap=False):
    if not is_tensor(a) or wrap or a.ndim != 2:
        np.fill_diagonal(a, val, wrap)
        return
    i = np.arange(min(a.shape))
    a[i, i] = val


@calls(np.put)
def _put(a, ind, v, mode="raise"):
    if is_tensor(a):
        a.reshape(-1)[ind] = v
    else:
        np.put(a, ind, v, mode)


@calls(np.fromiter)
def _fromiter(xs, dtype, count=-1, **kwargs):
    xs = list(xs)[: None if count < 0 else count]
    if any(map(is_tensor, xs)):
        return FUNCTIONS[np.array](xs)
    return wrapped(np.fromiter(xs, dtype, **kwargs))


@calls(np.vectorize)
def _vectorize(f, *args, **kwargs):
    v = np.vectorize(f, *args, **kwargs)
    return functools.partial(_vectorized, v)


def _vectorized(v, *args, **kwargs):
    if not any(map(is_tensor, args)) or kwargs or v.signature:
        return wrapped(v(*args, **kwargs))
    f = resolve(v.pyfunc)
    row = np.broadcast_arrays(*args) if len(args) > 1 else args
    shape = row[0].shape
    flat = [np.reshape(a, -1) for a in row]
    ys = [f(*[a[i] for a in flat]) for i in range(flat[0].shape[0])]
    if type(ys[0]) is tuple:
        return tuple(np.reshape(np.stack(column), shape) for column in zip(*ys, strict=True))
    return np.reshape(np.stack(ys), shape)


@calls(np.float64)
def _float64(x=0.0):
    return CALLS[float](x) if is_tensor(x) else np.float64(x)


@calls(np.isscalar)
def _isscalar(x):
    return not x.shape if is_tensor(x) else np.isscalar(x)


_ = (builtins, LeakError, Tensor)
