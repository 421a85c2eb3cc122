"""Python's builtins, and `math`, on values that may not be known. On plain values each is Python's own."""

import cmath
import functools
import math

import numpy as np

from ...core import tree
from ...core.tensor import Tensor, is_tensor, peek
from ...core.types import typeof
from ...primitives.index import getitem
from ...primitives.shape import python_number
from ..fence import refuse
from .calls import CALLS, HANDED, calls, unknown
from .frames import born
from .merge import Gap, flatten, is_value, use
from .outside import advance, recorder
from .sequences import SHORT, Backwards, Numbers, UnknownRange, Zipped, sequence
from .texts import format_, print_
from .truth import both, decision, either, flag, truth


def _number(cast):
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
        return python_number(x, cast)

    return convert


CALLS[float] = _number(float)
CALLS[int] = _number(int)


@calls(bool)
def _bool(*args):
    t = truth(*args) if args and is_tensor(args[0]) else bool(*args)
    return python_number(flag(t), bool) if is_tensor(t) else t


@calls(complex)
def _complex(real=0, imag=None):
    if is_tensor(real) or is_tensor(imag):
        return real * (1.0 + 0.0j) if imag is None else real + imag * 1j
    return complex(real) if imag is None else complex(real, imag)


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
            return issubclass(t.dtype.type, cls) or cls is Tensor or (type(cls) is tuple and Tensor in cls)
    return isinstance(x, cls)


@calls(hasattr)
def _hasattr(x, name):
    if is_tensor(x) and not getattr(typeof(x), "shape", True) and name in ("__len__", "__iter__"):
        return False  # NumPy's scalars have no length
    if (told := recorder.get()) is not None:
        told.asked(x, name)
    return hasattr(x, name)


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
    print_(*args, **kwargs)


@calls(range)
def _range(*args):
    if not any(map(unknown, args)):
        return range(*args)
    start, stop, step = (0, *args, 1) if len(args) == 1 else (*args, 1) if len(args) == 2 else args
    return UnknownRange(start, stop, step)


@calls(enumerate)
def _enumerate(x, start=0):
    s = sequence(x)
    if s is None or unknown(start):
        return enumerate(x, start)
    return Zipped([Numbers(range(start, start + len(s))), s])


@calls(zip)
def _zip(*xs, strict=False):
    row = [sequence(x) for x in xs]
    if not row or any(s is None for s in row) or (strict and len({len(s) for s in row}) > 1):
        return zip(*xs, strict=strict)
    return Zipped(row)


@calls(reversed)
def _reversed(x):
    s = sequence(x)
    return reversed(x) if s is None else Backwards(s)


def _either(t, a, b):
    """np.where(t, a, b), which of two of Python's numbers is one."""
    y = np.where(t, a, b)
    weak = all(getattr(typeof(x), "weak", False) for x in (a, b))
    return python_number(y) if weak and is_tensor(y) else y


def _extreme(python, better):
    def pick(*args, **kwargs):
        values = list(args[0]) if len(args) == 1 else list(args)
        key = kwargs.get("key")
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
            best, top = _either(t, v, best), _either(t, k, top)
        return best

    return pick


CALLS[min] = _extreme(min, lambda a, b: a < b)
CALLS[max] = _extreme(max, lambda a, b: a > b)


@calls(sum)
def _sum(x, /, start=0):
    if is_tensor(x) and x.shape and len(x) > SHORT and unknown(x):
        return np.sum(x, axis=0) + start
    return sum(x, start)


@calls(sorted)
def _sorted(x, *, key=None, reverse=False):
    if unknown(x) and key is None and x.ndim == 1:
        y = np.sort(x)
        return list(y[::-1] if reverse else y)
    values = list(x)
    if key is None and len(values) > 1 and any(map(unknown, values)):
        y = np.sort(np.stack(values))
        return list(y[::-1] if reverse else y)
    keys = [key(v) for v in values] if key is not None else values
    if any(map(unknown, keys)):
        return born(_by_unknown_keys(values, keys, reverse))
    order = sorted(range(len(values)), key=keys.__getitem__, reverse=reverse)
    return born([values[i] for i in order])


def _by_unknown_keys(values, keys, reverse):
    """Values of one kind in the order of their keys, numbers that are not known; equal ones stay in their order."""
    rows = [flatten(v) for v in values]
    structure = rows[0][1]
    fits = all(s == structure for _, s in rows) and not any(np.ndim(k) for k in keys)
    columns = list(zip(*(leaves for leaves, _ in rows), strict=True)) if fits else []
    if not columns or not all(all(map(is_value, c)) and len({typeof(x).shape for x in c}) == 1 for c in columns):
        raise refuse(
            "key", "things that are not numbers or arrays of one shape are sorted by a value that is not known"
        )
    k = np.stack(keys)
    order = np.argsort(-k if reverse else k, kind="stable")
    stacked = [getitem(np.stack(c), order) for c in columns]
    return [tree.unflatten(structure, [c[i] for c in stacked]) for i in range(len(values))]


@calls(all)
def _all(x):
    return both(*[(lambda e=e: e) for e in _elements(x)])


@calls(any)
def _any(x):
    return either(*[(lambda e=e: e) for e in _elements(x)])


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
        return python_number(y, int if digits is None else float) if digits is None or typeof(x).weak else y
    return round(x) if digits is None else round(x, digits)


@calls(next)
def _next(it, *default):
    advance(it)
    return next(it, *default)


@calls(map)
def _map(f, *xs):
    return map(f, *xs)


@calls(filter)
def _filter(f, xs):
    return filter(lambda x: decision(f(x) if f is not None else x, "list", "filter leaves out what a value that is not known says"), xs)


@calls(functools.reduce)
def _reduce(f, *args):
    return functools.reduce(f, *args)


@calls(str)
def _str(*args, **kwargs):
    if args and unknown(args[0]):
        return format_(args[0], 115)
    return str(*args, **kwargs)


@calls(repr)
def _repr(x):
    return format_(x, 114) if unknown(x) else repr(x)


@calls(format)
def _format(x, spec=""):
    return format_(x, -1, spec)


@calls(list)
def _list(x=()):
    if type(x) is list and x and type(x[0]) is Gap:
        use(x[0])
    return born(list(x))


@calls(slice)
def _slice(*args):
    return slice(*args)


for _kind in (tuple, frozenset, bytes, object, super, property, staticmethod, classmethod, memoryview):
    CALLS[_kind] = _kind
CALLS[callable] = CALLS.get(callable, callable)


HANDED.update({map: 0, filter: 0, functools.reduce: 0, min: "key", max: "key", sorted: "key"})


# math


def _math(python, name):
    def call(*args):
        if any(map(is_tensor, args)):
            if all(not is_tensor(a) or a.trace is None for a in args):
                return python(*[float(a) if is_tensor(a) else a for a in args])
            with np.errstate(all="ignore"):  # Python raises, or is silent
                y = getattr(np, name)(*args)
            _as_python(python, y, args)
            return y
        return python(*args)

    return call


def _as_python(python, y, args):
    """Raise as Python's function does, where a value that is known is NaN or infinite: ValueError, OverflowError."""
    known, value = peek(y)
    if known and type(value) in (float, np.float64) and not math.isfinite(value):
        python(*[float(peek(a)[1]) if is_tensor(a) else a for a in args])


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
    with np.errstate(all="ignore"):
        y = np.log(x)
        y = y / np.log(*base) if base else y
    _as_python(math.log, y, (x, *base))
    return y


def _integer(python, f):
    def call(x):
        if not is_tensor(x):
            return python(x)
        known, value = peek(x)
        return python(value) if known else python_number(f(x), int)

    return call


for _python, _name in ((math.floor, "floor"), (math.ceil, "ceil"), (math.trunc, "trunc")):
    CALLS[_python] = _integer(_python, getattr(np, _name))


def _cmath(python, f):
    def call(x, *args):
        if not is_tensor(x) or x.trace is None:
            return python(complex(x) if is_tensor(x) else x, *args)
        y = f(x + 0j)
        return y / cmath.log(*args) if args else y  # the base of a logarithm

    return call


_CMATH = {
    "exp": np.exp, "log": np.log, "log10": np.log10, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "phase": np.angle, "polar": lambda z: (np.absolute(z), np.angle(z)),
}  # fmt: skip
for _name, _f in _CMATH.items():
    CALLS[getattr(cmath, _name)] = _cmath(getattr(cmath, _name), _f)


@calls(cmath.rect)
def _rect(r, phi):
    return r * np.exp(1j * phi) if is_tensor(r) or is_tensor(phi) else cmath.rect(r, phi)


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

        y = getattr(scipy.special, {"lgamma": "gammaln"}.get(name, name))(x)
        _as_python(getattr(math, name), y, (x,))
        return y

    return call


for _name in ("erf", "erfc", "gamma", "lgamma"):
    CALLS[getattr(math, _name)] = _special(_name)
