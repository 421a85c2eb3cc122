"""Tensor: a value, and the trace that sees it, if any. Knows no op: operators and methods are installed by higher folders.

`info` belongs to the trace: a node (Tape), a tangent (Dual), a variable (Capture). A tensor without trace is untracked:
it converts to NumPy freely. A tracked one refuses every conversion that would lose its derivative.
"""

import sys
import weakref
from _thread import RLock

import numpy as np

from .errors import (
    ConcreteError,
    DTypeError,
    LeakError,
    MissingRuleError,
    MutationError,
    as_it_stands,
    in_scipy,
    raised,
    rewriting,
    user_frame,
    where,
)
from .types import TYPEOF, Array, native, typeof

UFUNCS: dict = {}  # NumPy's ufunc -> our function
FUNCTIONS: dict = {}  # NumPy's function -> our function
UFUNC_METHODS: dict = {}  # (ufunc, method) -> our function, as (np.add, "reduce") -> sum
LATE: list = []  # what fills these tables at first need, for a quick import: see `complete`
LAZY: list = []  # called without arguments when a ufunc has no rule: each may fill UFUNCS
REFUSED: dict = {}  # NumPy's function -> why there is no derivative, and what to do


_loading = RLock()


def complete():
    """Load what is loaded at first need. From then on the tables are whole: tests and listings call it first."""
    with _loading:  # another thread waits until all is there
        while LATE:
            LATE.pop(0)()


class Tensor:
    """A NumPy-like array that can be differentiated.

    data: an array, number or nested list (copied); dtype: as in NumPy. Python floats give float64.

    >>> from adjoint import Tensor
    >>> Tensor([0.0, 1.0])
    Tensor(shape=[2], dtype=Float64, value= [ 0.00000000e+00,  1.00000000e+00])
    """

    __slots__ = ("__weakref__", "gradient", "info", "shares", "trace", "value")

    def __init__(self, data, dtype=None):
        if type(data) is Tensor or type(data) is Flat:
            if data.trace is not None:
                raise LeakError(
                    f"Tensor(x) of a tensor that is being differentiated would lose its derivative{where()}; use x itself, "
                    "or ad.stop_gradient(x) if no derivative is wanted"
                )
            data = data.value
        if hasattr(type(data), "mask"):
            raise DTypeError(
                f"a tensor of a masked array{where()} would lose the mask; fill it first, data.filled(0.0)"
            )
        self.value = native(np.array(data, dtype=dtype))
        self.trace = None
        self.info = BIRTHS[0]
        if self.value.dtype.kind not in "biufc":
            raise LeakError(
                f"a tensor holds numbers, not {self.value.dtype}: {data!r:.100}; to join tensors use ad.numpy.stack or ad.numpy.array"
            )

    # What it looks like

    @property  # type: ignore[misc]
    def __class__(self):
        # isinstance(t, np.ndarray) holds, so that code which asks takes its array branch; for a scalar, isinstance(t, float)
        # and np.floating hold, as they do for NumPy's scalars and Python's floats; type(t) stays honest.
        v = self.value
        while type(v) is Flat or type(v) is Tensor:
            v = v.value
        if type(v) is float or (type(v) is Array and v.weak and v.dtype.kind == "f"):
            return float
        if isinstance(v, np.generic):
            return type(v)
        if type(v) is np.ndarray and not v.ndim:
            return np.ndarray
        t = typeof(self)
        return t.dtype.type if type(t) is Array and not t.shape else np.ndarray  # in one lane of a batch, not in all

    @property
    def shape(self):
        return typeof(self).shape

    @property
    def dtype(self):
        return typeof(self).dtype

    @property
    def ndim(self):
        return len(typeof(self).shape)

    @property
    def size(self):
        return typeof(self).size

    @property
    def itemsize(self):
        return self.dtype.itemsize

    @property
    def nbytes(self):
        return self.size * self.itemsize

    @property
    def device(self):
        return "cpu"

    def __len__(self):
        shape = self.shape
        if not shape:
            raise TypeError("len() of a tensor of shape ()")
        return shape[0]

    def __iter__(self):
        if not self.shape:
            raise TypeError("iteration over a tensor of shape ()")
        return (self[i] for i in range(self.shape[0]))

    def __repr__(self):
        return _tensor_repr(self)

    def __str__(self):
        known, value = peek(self)
        return str(value) if known else repr(self)

    def __format__(self, spec):
        known, value = peek(self)
        if not spec:
            return str(self)
        if not known:
            raise ConcreteError(unknown(self, f"format(x, {spec!r})"))
        return format(value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value, spec)

    # Python's decisions on values: they work while the value is known

    def __bool__(self):
        return bool(concrete(self, "if, while, and, or, bool()"))

    def __int__(self):
        return int(concrete(self, "int()"))

    def __index__(self):
        value = concrete(self, "an index")
        if typeof(value).dtype.kind not in "iub":
            raise TypeError(f"a tensor of dtype {typeof(value).dtype} is no index")
        return value.__index__()

    def __round__(self, digits=None):
        value = concrete(self, "round()")
        return round(np.asarray(value).item()) if digits is None else UFUNC_METHODS["round"](self, digits)

    __hash__ = object.__hash__

    # Conversions: they lose the derivative, so they are for untracked tensors only

    def __float__(self):
        return float(release(self, "float() or a function of the math module"))

    def __complex__(self):
        return complex(release(self, "complex()"))

    def item(self, *args):
        """The value as a Python number, as `numpy.ndarray.item`."""
        return np.asarray(release(self, ".item()")).item(*args)

    def tolist(self):
        """The values as nested lists, as `numpy.ndarray.tolist`."""
        return np.asarray(release(self, ".tolist()")).tolist()

    def numpy(self):
        """A copy of the values as a NumPy array."""
        return np.array(release(self, ".numpy()"))

    asnumpy = numpy

    def __array__(self, dtype=None, copy=None):
        value = release(self, "np.asarray(), np.array(), or storing it in a NumPy array (a[i] = x)")
        array = np.asarray(value, dtype=dtype)
        return array.copy() if copy and array is value else array

    def __copy__(self):
        return _copy(self)

    def __deepcopy__(self, memo):
        if self.trace is not None and not _recorded(self.trace):
            return FUNCTIONS[np.copy](self)  # within a transform, one more step of the computation
        value = release(self, "copy.deepcopy()")
        return _copy(self) if self.trace is None else Tensor(value)

    def __reduce__(self):
        return Tensor, (np.asarray(release(self, "pickling")),)

    # Writes: they arrive with in-place support

    def __setitem__(self, index, value):
        WRITE[0](self, index, value)

    # NumPy's protocols: plain `np.` calls on tensors arrive here

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        if method == "__call__":
            if not kwargs:
                f = UFUNCS.get(ufunc)
                if f is not None:
                    return f(*inputs)
            return _ufunc_call(ufunc, inputs, kwargs)
        f = UFUNC_METHODS.get((ufunc, method))
        if f is None and LATE:
            complete()
            f = UFUNC_METHODS.get((ufunc, method))
        if f is None:
            raise MissingRuleError(
                f"np.{ufunc.__name__}.{method} of a tensor has no derivative rule{where()}; use the function it stands for "
                "(np.sum for np.add.reduce, np.cumsum for np.add.accumulate)"
            )
        return deliver(f, inputs, kwargs) if kwargs else f(*inputs)

    def __array_function__(self, func, types, args, kwargs):
        f = FUNCTIONS.get(func)
        if f is None:
            complete()
            f = FUNCTIONS.get(func)
            if f is None:
                return _refuse(func, args, kwargs)
        return deliver(f, args, kwargs) if "out" in kwargs else f(*args, **kwargs)


class Flat(Tensor):
    """A tensor on a Tape with a plain real floating array or scalar inside: the one test of the fast path."""

    __slots__ = ()
    __init__ = object.__init__  # Flat() makes an empty one, in two thirds of the time of object.__new__(Flat)


_new = object.__new__
set_class = object.__dict__["__class__"].__set__  # Tensor.__class__ is a property without setter


def make(value, trace, info):
    """A tensor of a trace."""
    t = _new(Tensor)
    t.value = value
    t.trace = trace
    t.info = info
    return t


def untracked(value):
    """A tensor without trace around a value; a tensor is returned as it is."""
    if type(value) is Tensor or type(value) is Flat:
        return value
    return make(value, None, BIRTHS[0])


def is_tensor(x):
    return type(x) is Tensor or type(x) is Flat


def is_tracked(x):
    return (type(x) is Tensor or type(x) is Flat) and x.trace is not None


def _typeof(t):
    return typeof(t.value) if t.trace is None else t.trace.typeof(t)


TYPEOF[Tensor] = TYPEOF[Flat] = _typeof


def concrete(x, why):
    """The plain value behind a tensor, through every trace; ConcreteError where it is not known."""
    while type(x) is Tensor or type(x) is Flat:
        x = x.value if x.trace is None else x.trace.concrete(x, why)
    return x


def release(x, why):
    """The plain value of a tensor that nobody differentiates; LeakError for one that is being differentiated."""
    while type(x) is Tensor or type(x) is Flat:
        trace = x.trace
        if trace is None:
            x = x.value
            continue
        below = trace.concrete(x, why)
        if trace.holds(x):
            raise LeakError(
                f"{why} on a tensor that is being differentiated would lose its derivative{where()}; "
                + (
                    f"x.detach() is the value alone: {_DETACHED.get(why, 'use it in its place')}; "
                    if _recorded(trace)
                    else ""
                )
                + _way_out()
            )
        x = below
        if type(x) is np.ndarray:  # other recordings, or the attached tensor itself, may read this memory
            x = x.view()
            x.flags.writeable = False
    return x


_DETACHED = {".item()": "x.detach().item()", ".numpy()": "x.detach().numpy()", ".tolist()": "x.detach().tolist()"}


def _of_scipy(path):
    """The function or class that is at the beginning of a dotted name, or None."""
    for i in range(len(path) - 1, 0, -1):
        module = sys.modules.get(".".join(("scipy", *path[:i])))
        if module is not None:
            return getattr(module, path[i], None)
    return None


def _recorded(trace):
    """Whether a trace is the tape of `attach_grad`, on which a program may look at values between two steps."""
    return getattr(trace, "imperative", False)


def _way_out():
    name = in_scipy()
    if name:
        theirs = _of_scipy(name.split("."))
        if theirs is None:
            return (
                "SciPy asks for plain numbers here: use a function of adjoint.scipy, which takes tensors, or give this one a rule, "
                "ad.custom_rule"
            )
        if SCIPY[0](theirs) is not None:
            return f"scipy.{name} asks for plain numbers: call adjoint.scipy.{name}, which takes tensors"
        return (
            f"scipy.{name} asks for plain numbers, and there is none in adjoint.scipy: give it a rule, ad.custom_rule"
        )
    return (
        "use the tensor itself (operators, methods and np functions work on it; ad.numpy.stack or ad.numpy.array join tensors); "
        + as_it_stands("np.array([x, y]), a[i] = x and the math module's functions work as they stand")
        + "or ad.stop_gradient(x) if no derivative is wanted"
    )


def peek(x):
    """(known, value) for printing: the plain value behind a tensor, if it is known."""
    before = raised[:]
    try:
        return True, concrete(x, "printing")
    except ConcreteError:
        raised[:] = before  # nobody's code was refused anything
        return False, None


def unknown(tensor, why):
    """The message for a Python decision on a value that is not known."""
    what = (
        f"{why} needs the value of a tensor that is not known here{where()}: {typeof(tensor)} is captured or batched; "
    )
    if in_scipy():
        return f"{what}{_way_out()}"
    if why == "an index":
        return (
            f"{what}it cannot bound a slice, nor choose from a list: write x[i + np.arange(n)] for x[i:i + n], np.stack([a, b])[i] for "
            "[a, b][i], np.where(c, b, a) for [a, b][c]; or make the value an argument that is not mapped"
        )
    inside = _class_inside()
    if inside:
        return (
            f"{what}it is decided in a method of {inside}, a class that is defined inside of a function, which is not rewritten; define "
            "the class outside of the function"
        )
    return (
        f"{what}use ad.cond, ad.while_loop, ad.scan or np.where in its place; "
        + as_it_stands("if, while, np.array([x, y]) and a[i] = x work as they stand")
        + "or make the value an argument that is not mapped"
    )


def _class_inside():
    """In rewritten code: the name of the class whose method decides now, if it was made as the code ran, and so as it stands."""
    frame = user_frame() if rewriting.get() else None
    if frame is None or "_ad_" in frame.f_code.co_freevars:
        return ""
    path = getattr(frame.f_code, "co_qualname", "").split(".")  # f.<locals>.Name.method
    return path[-2] if path[-3:-2] == ["<locals>"] else ""


def _copy(t):
    c = _new(type(t))
    c.value, c.trace, c.info = t.value, t.trace, t.info
    if t.trace is None and type(t.value) is np.ndarray:
        c.value = t.value.copy()
    return c


SCIPY: list = []  # a function of SciPy -> ours of the same name, or None; filled by the package
WRITE: list = []  # (t[index] = v, t op= v), filled by primitives.write
BIRTHS = [0]  # how many traces were born: an untracked tensor keeps the number it saw


def update(t, result):
    """What `t += v` means: a write; for a scalar, binding the name anew, as in Python."""
    return WRITE[1](t, result)


def _is_entry(op, params):
    """Whether y = x[index] of shape () is an entry, which NumPy copies; x[0, ...] is a view."""
    index = params.get("index")
    return op.name == "getitem" and not any(i is Ellipsis for i in (index if type(index) is tuple else (index,)))


class Composed:
    """A view in NumPy that here is made by several ops: it stands in the path of a view as an op does."""

    __slots__ = ("call", "eval", "name")

    def __init__(self, name, call, eval):
        self.name = name
        self.call = call
        self.eval = eval  # NumPy's own, on an array

    def __call__(self, x, **params):
        return self.call(x, **params)


def viewing(x, y, op, params):
    """Note that y = op(x, **params) looks at the memory of x, so that a write into one is seen in the other."""
    value = y.value
    if type(value) is np.ndarray:
        if value.base is None:
            return y
        if type(y) is not Flat and value.ndim and not y.shape and _is_entry(op, params):
            return y  # one entry of each lane of a batch: a scalar, and so a copy too
    elif (not is_tensor(value) and not isinstance(value, Array)) or (not y.shape and _is_entry(op, params)):
        return y  # a scalar is a copy, as in NumPy
    if getattr(y, "shares", None) is not None:
        return y
    link = getattr(x, "shares", None)
    root, path = link if type(link) is tuple else (x, ())
    if type(value) is not np.ndarray:
        if op.name == "reshape" and path and _copies(root, path, params):
            return y
    elif (
        type(root.value) is np.ndarray
        and not np.may_share_memory(root.value, value)
        and not any(type(o) is Composed for o, _ in path)
    ):
        return y
    return linked(x, y, op, params)


def linked(x, y, op, params):
    """Note that y = op(x, **params) follows the writes into x, whatever memory it has."""
    link = getattr(x, "shares", None)
    root, path = link if type(link) is tuple else (x, ())
    y.shares = (root, (*path, (op, params)))
    views = getattr(root, "shares", None)
    if views is None:
        root.shares = views = []
    elif len(views) >= 32 and not len(views) & 31:
        views[:] = [ref for ref in views if ref() is not None]
    views.append(weakref.ref(y))
    return y


def _copies(root, path, params):
    """Whether NumPy copies when it reshapes what the path leads to, for a value that is not there to be looked at."""
    a = np.empty(root.shape, root.dtype)
    for op, more in path:
        if op.name == "chosen":  # one of two arrays, by a decision that is not known: any write is refused
            return False
        a = op.eval(a, **more)
    return not np.may_share_memory(a, np.reshape(a, params["shape"]))


def _ufunc_call(ufunc, inputs, kwargs):
    """The rare ufunc calls: with keywords, or of a ufunc without a rule."""
    out = kwargs.pop("out", None)
    if out is not None and len(out) == 1 and is_tensor(out[0]):
        chosen, casting = kwargs.pop("where", True), kwargs.pop("casting", "same_kind")
        inputs = [FUNCTIONS[np.array](x) if type(x) in (list, tuple) else x for x in inputs]
        result = _ufunc_call(ufunc, inputs, kwargs)
        if chosen is not True:  # what is not chosen stays as it is
            result = FUNCTIONS[np.where](chosen, result, out[0])
        if typeof(result).shape != out[0].shape:
            result = FUNCTIONS[np.broadcast_to](result, out[0].shape)
        return put_into(out[0], result, casting)
    if out is not None and any(o is not None for o in out):
        if not any(map(is_tracked, inputs)):  # into an array: the values
            return ufunc(*(x.value if is_tensor(x) else x for x in inputs), out=out, **kwargs)
        raise MutationError(
            f"np.{ufunc.__name__}(..., out=) or an in-place operator would write a tensor that is being differentiated into a NumPy "
            f"array and lose its derivative{where()}; write a = a + x instead of a += x, and leave out= away"
        )
    if kwargs.pop("where", True) is not True:
        raise MissingRuleError(
            f"np.{ufunc.__name__}(..., where=) of a tensor needs an out= that is a tensor too{where()}; use np.where"
        )
    dtype = kwargs.pop("dtype", None)
    for harmless in ("casting", "order", "subok"):
        kwargs.pop(harmless, None)
    if ufunc not in UFUNCS:
        complete()
        for fill in LAZY:
            fill()
    f = UFUNCS.get(ufunc)
    if f is None or (kwargs and not (ufunc is np.vecdot and list(kwargs) == ["axis"])):
        return _refuse(ufunc, inputs, kwargs, f"{', '.join(kwargs)}= is not supported" if f is not None else None)
    if dtype is not None:
        inputs = [FUNCTIONS[np.astype](x, dtype) if is_tensor(x) else np.asarray(x, dtype) for x in inputs]
    return f(*inputs, **kwargs)


def deliver(f, args, kwargs):
    """f(*args, **kwargs), written into out= where that is given: a tensor, or an array where no derivative would be lost."""
    out = kwargs.get("out")
    if type(out) is tuple:  # of a ufunc's method
        out = out[0]
    if out is None:
        return f(*args, **kwargs)
    y = f(*args, **{k: v for k, v in kwargs.items() if k != "out"})
    if is_tensor(out):
        return put_into(out, y)
    if is_tracked(y):
        raise MutationError(
            f"{getattr(f, '__name__', 'a function')}(..., out=) would write a tensor that is being differentiated into a NumPy array "
            f"and lose its derivative{where()}; use the result that is returned, or make out a tensor (ad.numpy.zeros)"
        )
    np.copyto(out, y.value if is_tensor(y) else y, casting="same_kind")
    return out


def put_into(out, y, casting="same_kind"):
    """out[...] = y for a tensor that is given as out=; returns it."""
    if typeof(y).shape != out.shape:
        raise ValueError(f"out= of shape {out.shape} for a result of shape {typeof(y).shape}{where()}")
    if not np.can_cast(typeof(y).dtype, out.dtype, casting):
        raise TypeError(
            f"cannot cast a result of {typeof(y).dtype} to out= of {out.dtype} with casting rule {casting!r}{where()}"
        )
    WRITE[0](out, ..., y)
    return out


def _refuse(func, args, kwargs, reason=None):
    """A NumPy function without a rule: right on untracked tensors, an error on tracked ones."""
    module = getattr(func, "__module__", None) or ("numpy" if hasattr(np, func.__name__) else "scipy.special")
    name = f"{'numpy' if module.startswith('numpy._') else module}.{func.__name__}"
    try:
        plain_args, plain_kwargs = _plain(args), _plain(kwargs)
    except (LeakError, ConcreteError):
        reason = reason or REFUSED.get(func, "it has no derivative rule here")
        raise MissingRuleError(
            f"{name} of a tensor that is being differentiated, captured or batched: {reason}{where()}; "
            "compose it from functions that have one (`adjoint ops` lists them), or give it one with ad.custom_rule"
        ) from None
    y = func(*plain_args, **plain_kwargs)
    return untracked(y) if isinstance(y, (np.ndarray, np.generic)) else y


def _plain(x):
    if is_tensor(x):
        return release(x, "a function without derivative rule")
    if type(x) in (list, tuple):
        return type(x)(_plain(e) for e in x)
    if type(x) is dict:
        return {k: _plain(v) for k, v in x.items()}
    return x


# The chapter's repr

_NAMES = {"bool": "Bool", "uint8": "UInt8", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64"}


def _tensor_repr(t):
    kind = typeof(t)
    if type(kind) is not Array:
        return f"Tensor({kind})"
    head = f"Tensor(shape={list(kind.shape)}, dtype={_NAMES.get(str(kind.dtype), str(kind.dtype).capitalize())}"
    known, value = peek(t)
    if not known:
        return f"{head}, value= ?)"
    value = np.asarray(value)
    if value.ndim == 0:
        return f"{head}, value= {value:.8g})" if kind.dtype.kind == "f" else f"{head}, value= {value})"
    text = np.array2string(
        value, separator=", ", formatter={"float_kind": "{: .8e}".format} if kind.dtype.kind == "f" else None
    )
    return f"{head}, value={' ' if value.ndim == 1 else chr(10)}{text})"
