"""What a call in rewritten code goes to: NumPy's and Python's functions to ours, the user's to their copies."""

import functools
import types

import numpy as np

from ...core import tensor as _tensor
from ...core import tree
from ...core.closures import reads_tensors
from ...core.errors import ConcreteError, raised, surfaced
from ...core.tensor import FUNCTIONS, UFUNCS, is_tensor
from ...primitives.shape import python_number
from ..fence import refuse
from . import baked, lists
from .calls import CALLS, HANDED, nested, unknown, wrapped
from .choices import Choice
from .copies import GENERATED, copy_function, is_library
from .frames import FRAMES, born
from .maybe import Maybe, present
from .merge import Gap, use
from .numpys import vectorized
from .outside import changing, forget, fresh, read_item, recorder, session, unknown_key
from .recursion import watched
from .source import NoSource
from .textless import told_copy

from . import python  # noqa: F401  isort: skip  (fills the table, as numpys does)


# Resolving


_copies: dict = {}  # id of a function -> (it, its copy); of one that holds nothing, and so can be kept for good
_dispatcher = type(np.sum)
_SINGLE = functools.singledispatch(abs).__code__  # type: ignore[attr-defined]
_CACHE = type(functools.cache(abs))


def resolve(f):
    """What to call for f."""
    kind = type(f)
    if kind is types.FunctionType:
        code = f.__code__
        if id(code) in GENERATED:
            return f
        if is_library(code):
            return functools.partial(_dispatched, f) if code is _SINGLE else _library(f)
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
    if kind is Maybe:
        return resolve(present(f))
    if kind is Choice:
        return f
    if isinstance(f, type):
        return _class(f)
    if kind is np.ufunc or kind is _dispatcher:
        return _library(f)
    if kind is _CACHE:
        return functools.partial(_remembered, f)
    if kind is functools.partial:
        return functools.partial(resolve(f.func), *f.args, **f.keywords)
    inside = getattr(kind, "_adjoint_inside", None)
    if inside is not None:
        f = inside(f) or f
        if type(f) is not kind:
            return resolve(f)
    call = getattr(kind, "__call__", None)  # noqa: B004 - the class's own
    if type(call) is types.FunctionType and not is_library(call.__code__):
        return types.MethodType(copied(call), f)
    if kind is np.vectorize:
        return functools.partial(vectorized, f, resolve(f.pyfunc))
    return _library(f)


def called(f, /, *args, **kwargs):
    return watched(resolve(f))(*args, **kwargs)


def copied(f):
    """The copy of a user's function; the function itself where its text is not to be had."""
    if (told := recorder.get()) is not None:
        told.entered(f)
    holds = f.__closure__ or f.__defaults__ or f.__kwdefaults__  # arrays it may be, of a function made anew in each step
    now = session.get() if holds else None
    copies = _copies if not holds else now.copies if now is not None else {}
    row = copies.get(id(f))
    if row is not None and row[0] is f:
        g = row[1]
        if getattr(g, "__defaults__", None) is f.__defaults__ and g.__kwdefaults__ is f.__kwdefaults__:
            return g
    try:
        g = copy_function(f)
    except NoSource as reason:
        return _unwilling(f, str(reason))
    if len(copies) > 4096:
        copies.clear()
    copies[id(f)] = (f, g)
    return g


def _unwilling(f, reason):
    """A function without text: it runs as it is, and where that fails on an unknown value, the error says why."""

    @functools.wraps(f)
    def call(*args, **kwargs):
        if any(type(x) is Maybe for x in (*args, *kwargs.values())) and not _keeps(f, args):
            raise refuse("maybe", f"{f.__qualname__}, which is not rewritten ({reason}), is given a value that may be None")
        told = recorder.get()
        g = told_copy(f, told, resolve)
        try:
            return g(*args, **kwargs)
        except ConcreteError as error:
            if not getattr(error, "construct", ""):
                raise refuse("source", f"{f.__qualname__} is not rewritten: {reason}") from error
            raise

    return call


def _keeps(f, args):
    """Whether a function does nothing with its arguments but keep them, as the __init__ of a dataclass does."""
    cls = type(args[0]) if args else None
    return f.__name__ == "__init__" and hasattr(cls, "__dataclass_fields__") and not hasattr(cls, "__post_init__")


def _class(cls):
    if cls in CALLS:
        return _row(cls)
    if type(cls) is type and cls.__new__ is object.__new__:
        init = cls.__init__
        if type(init) is types.FunctionType and not is_library(init.__code__):
            return functools.partial(_construct, cls, init)
    if issubclass(cls, BaseException):
        return cls
    if cls.__module__.startswith("scipy."):
        return functools.partial(_call_scipy, cls)
    return functools.partial(_made, cls)


def _construct(cls, init, /, *args, **kwargs):
    x = born(cls.__new__(cls))
    fresh(x)
    resolve(init)(x, *args, **kwargs)
    return x


def _made(cls, /, *args, **kwargs):
    x = cls(*args, **kwargs)
    fresh(x)
    return wrapped(born(x))


def _dispatched(f, /, *args, **kwargs):
    """A call of a function of functools.singledispatch: what it chooses is the user's."""
    return resolve(f.dispatch(args[0].__class__))(*args, **kwargs) if args else f(*args, **kwargs)


def _remembered(f, /, *args, **kwargs):
    """A call of a function of functools.cache: a value that is not known is no key, and the result belongs to this program."""
    if any(map(is_tensor, tree.flatten((args, kwargs))[0])):
        return resolve(f.__wrapped__)(*args, **kwargs)
    return f(*args, **kwargs)


def _library(f):
    """A function of NumPy, SciPy, the standard library or this package."""
    try:
        if f in CALLS:
            return _row(f)
    except TypeError:  # cannot be hashed
        return f
    module = getattr(f, "__module__", None) or ""
    if f is np.random.seed:
        return functools.partial(_random, f)
    if type(f) is np.ufunc or module.startswith("numpy"):
        return functools.partial(_call_numpy, f)
    if module.startswith("scipy"):
        return functools.partial(_call_scipy, f)
    if module.startswith("adjoint"):
        return f
    if module in ("random",):
        return functools.partial(_random, f)
    return baked.noted(f, module)


def _row(f):
    """The row of CALLS, which is handed the copy of a function that it is to call."""
    found = CALLS[f]
    if f not in HANDED:
        return found
    at = HANDED[f]

    def call(*args, **kwargs):
        if type(at) is int:
            args = [resolve(a) if i == at and a is not None else a for i, a in enumerate(args)]
        elif kwargs.get(at) is not None:
            kwargs[at] = resolve(kwargs[at])
        return found(*args, **kwargs)

    return call


def _call_numpy(f, /, *args, **kwargs):
    ours = FUNCTIONS.get(f) or UFUNCS.get(f)
    if ours is None and type(f) is np.ufunc:
        for load in _tensor.LAZY:
            load()
        ours = UFUNCS.get(f)
    for a in (*args, *kwargs.values()):
        if type(a) in (list, tuple) and nested(a):
            if type(f) is np.ufunc:
                args = tuple(FUNCTIONS[np.array](x) if type(x) in (list, tuple) and nested(x) else x for x in args)
            elif ours is not None:
                return ours(*args, **kwargs)
            break
        if type(a) is Gap:
            use(a)
    if ours is not None and type(f) is not np.ufunc:
        args, out = _out_of(f, args, kwargs)
        if out is not None:
            out[...] = ours(*args, **kwargs)
            return out
    return wrapped(f(*args, **kwargs))


def _out_of(f, args, kwargs):
    """What remains of the arguments without an out= that is a tensor, and that: the copy's own buffers are."""
    if f is np.clip and len(args) == 4 and is_tensor(args[3]):
        return args[:3], args[3]
    return args, kwargs.pop("out") if is_tensor(kwargs.get("out")) else None


def _call_scipy(f, /, *args, **kwargs):
    """SciPy's own function, or ours where it is given a tensor."""
    given = any(map(is_tensor, tree.flatten((args, kwargs))[0])) or any(map(reads_tensors, (*args, *kwargs.values())))
    ours = _tensor.SCIPY[0](f) if given else None
    before = raised[0]
    try:
        return _call_numpy(f, *args, **kwargs) if ours is None else ours(*args, **kwargs)
    except Exception as error:
        hidden = surfaced(error, before)
        if hidden is None:
            raise
    try:
        raise hidden
    finally:
        del hidden  # it holds this frame


def _random(f, /, *args, **kwargs):
    told = recorder.get()
    if FRAMES.get() or (told is not None and not told.may_draw(getattr(f, "__self__", None), f.__name__)):
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
                unknown_key(args[0]) if base is dict else None
            if name not in _READS[base]:
                changing(owner)
                forget(owner, "item", None)
            elif base is list and owner and type(owner[0]) is Gap:
                use(owner[0])
            if base is list and name in lists.METHODS:
                return lists.METHODS[name](owner, *args)
            if base is list and name == "sort":
                owner[:] = resolve(sorted)(owner, **kwargs)
                return None
            y = f(*args, **kwargs)
            return read_item(owner, y, args) if base is dict and name == "get" else y

        return call
    if isinstance(owner, tuple) and f.__name__ in lists.METHODS:
        return functools.partial(lists.METHODS[f.__name__], owner)
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
    if module.startswith("scipy.stats") and f.__name__ != "rvs":
        return functools.partial(_call_scipy, f)
    told = recorder.get()
    if told is not None:
        told.called(owner, f.__name__)
    return baked.noted_method(f, owner)


def _wrap_result(f, /, *args, **kwargs):
    return wrapped(f(*args, **kwargs))


def _text(f, /, *args, **kwargs):
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
            x = x[args[0] if len(args) == 1 else args] if x.ndim > 1 or len(args) > 1 else np.reshape(x, -1)[args[0]]
        return python_number(x)

    return item


def _safe(x):
    """Whether a tensor may be turned into plain numbers: nobody differentiates it, and it is known."""
    return x.trace is None


def _tolist(f):
    x = f.__self__
    if _safe(x):
        return f

    def lists(y):
        return [lists(e) for e in y] if y.ndim else python_number(y)

    return lambda: lists(x)


_METHODS = {"item": _item, "tolist": _tolist}
