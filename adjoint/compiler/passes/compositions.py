"""What ops are made of, for native code: COMPOSITIONS maps the name of an op to a function of its arguments and params.

The function is run under a Capture. Arguments that are known numbers come as they are. It returns None where the op stays
as it is. Each says how far it may be from the op's own value; "exact" means bit for bit.
"""

import math

import numpy as np

from ...core.op import OPS, bind
from ...core.op import shape as shape_of
from ...core.tensor import is_tensor
from ...core.types import Array, typeof
from ...primitives.control import cond
from .einsum import einsum
from .factors import FACTORS

COMPOSITIONS: dict = {"einsum": einsum, **FACTORS}


def _is(*names):
    """Register a composition for these ops, for arguments that are single or double precision real numbers."""
    return _register(names, "f")


def _register(names, kinds):
    def register(f):
        def checked(*args, **params):
            dtypes = [t.dtype for t in map(typeof, args) if type(t) is Array]
            if len(dtypes) < len(args) or any(d.kind not in kinds or d == np.float16 for d in dtypes):
                return None
            return f(*args, **params)

        for name in names:
            COMPOSITIONS[name] = checked
        return f

    return register


def _op(name, *args, **params):
    return bind(OPS[name], *args, **params)


def _count(shape, axes):
    return math.prod(shape[a] for a in axes)


# Powers and products


@_register(["square"], "fciu")
def square(x):
    return x * x  # exact


@_is("reciprocal")
def reciprocal(x):
    return 1 / x  # exact


MOST_FACTORS = 8, 4  # of x and of 1 / x: more would be more than a few units in the last place off


@_register(["power"], "fiu")
def power(x, p):
    """Whole powers by products, of a half and of one and a half by roots; 0.5 ulp a factor, 1 to 2 for the roots."""
    if is_tensor(p) or not isinstance(p, (int, float, np.integer, np.floating)) or isinstance(p, bool):
        return None
    t = typeof(x)
    if t.dtype.kind == "f" and not isinstance(p, (int, float)) and np.result_type(t.dtype, type(p)) != t.dtype:
        return None
    if p == int(p) if math.isfinite(p) else False:
        n = int(p)
        if not 1 <= abs(n) <= MOST_FACTORS[n < 0] or (
            t.dtype.kind != "f" and (n < 1 or isinstance(p, (float, np.floating)))
        ):
            return None
        # 1 / x first: x * x may overflow where its inverse is still a number
        return _product(x if n > 0 else 1 / x, abs(n))
    if t.dtype.kind != "f" or abs(p) not in (0.5, 1.5):
        return None
    if p == 0.5 and t.shape:
        return np.sqrt(x)  # as NumPy does for arrays; for numbers it takes pow, which differs at -0.0 and -inf
    root = np.sqrt(x) + 0.0
    root = np.where(np.equal(x, -np.inf), np.inf, root)
    if p == 0.5:
        return root
    if p == -0.5:
        return 1 / root
    return np.absolute(x) * root if p > 0 else (1 / np.absolute(x)) * (1 / root)


def _product(x, n):
    """x^n by repeated squaring."""
    y = None
    while True:
        if n & 1:
            y = x if y is None else y * x
        n >>= 1
        if not n:
            return y
        x = x * x


@_register(["outer"], "fciu")
def outer(a, b):
    """Exact."""
    return np.reshape(a, (*shape_of(a), *(1,) * len(shape_of(b)))) * b


# Means and norms


@_register(["mean"], "fciub")
def mean(a, axes=None, keepdims=False):
    """Exact up to the order of the sum."""
    s = shape_of(a)
    axes = tuple(range(-len(s), 0)) if axes is None else axes
    n = _count(s, axes)
    if not n:
        return None
    if typeof(a).dtype.kind not in "fc":
        a = a.astype(np.float64)
    return np.sum(a, axis=axes, keepdims=keepdims) / n


def _variance(a, axes, keepdims, ddof):
    n = _count(shape_of(a), axes)
    if not n:
        return None
    if typeof(a).dtype.kind not in "fc":
        a = a.astype(np.float64)
    d = a - np.sum(a, axis=axes, keepdims=True) / n
    if typeof(d).dtype.kind == "c":
        x, y = np.real(d), np.imag(d)
        d = x * x + y * y
    else:
        d = d * d
    return np.sum(d, axis=axes, keepdims=keepdims) / max(n - ddof, 0)


@_register(["var"], "fciub")
def var(a, axes, keepdims, ddof):
    """In two passes, as NumPy does."""
    return _variance(a, axes, keepdims, ddof)


@_register(["std"], "fciub")
def std(a, axes, keepdims, ddof):
    v = _variance(a, axes, keepdims, ddof)
    return None if v is None else np.sqrt(v)


@_register(["norm"], "fc")
def norm(a, ord, axes, keepdims):
    """The root of the sum of squares; in units of the largest entry only where that sum overflows or has lost digits."""
    if not _count(shape_of(a), axes):
        return None
    if typeof(a).dtype.kind == "c":
        if ord != 2:
            return None
        re, im = np.real(a), np.imag(a)
        powers = lambda u: (re / u) * (re / u) + (im / u) * (im / u) if u is not None else re * re + im * im
    elif ord == 2:
        powers = lambda u: (a / u) * (a / u) if u is not None else a * a
    else:
        powers = lambda u: np.power(np.absolute(a / u if u is not None else a), ord)

    def root(u, keep):
        s = np.sum(powers(u), axis=axes, keepdims=keep)
        return np.sqrt(s) if ord == 2 else np.power(s, 1 / ord)

    def scaled():
        top = np.max(np.absolute(a), axis=axes, keepdims=True)
        unit = np.where((top > 0) & (top < np.inf), top, typeof(top).dtype.type(1))
        r = root(unit, True) * unit
        return r if keepdims else np.reshape(r, shape_of(y))

    if _count(shape_of(a), axes) == 1:
        return np.sum(np.absolute(a), axis=axes, keepdims=keepdims)
    y = root(None, keepdims)
    info = np.finfo(typeof(y).dtype)
    low, high = (float(v) ** (1 / abs(ord)) for v in (info.tiny / info.eps, info.max))
    fine = (y > low) & (y < high / 2)
    return cond(np.all(fine) if shape_of(y) else fine, lambda: y, scaled)


# Exponentials and logarithms


def _below_top(a, axes, ties):
    top = np.max(a, axis=axes, keepdims=True)
    d = a - top
    if ties:  # infinities that are the largest tie at 1
        d = np.where(np.equal(a, top) & np.isinf(top), typeof(d).dtype.type(0), d)
    return np.exp(d), top


@_is("softmax")
def softmax(a, axes, ties):
    """Exact up to the order of the sum, and exp."""
    if not math.prod(shape_of(a)):
        return None
    e, _ = _below_top(a, axes, ties)
    return e / np.sum(e, axis=axes, keepdims=True)


@_is("log_softmax")
def log_softmax(a, axes):
    """Exact up to the order of the sum, and exp and log."""
    if not math.prod(shape_of(a)):
        return None
    top = np.max(a, axis=axes, keepdims=True)
    number = typeof(a).dtype.type
    d = a - np.where(np.isfinite(top), top, number(0))
    e = np.exp(d)
    largest = np.equal(e, 1)
    count = np.sum(np.where(largest, number(1), number(0)), axis=axes, keepdims=True)
    rest = np.sum(np.where(largest, number(0), e), axis=axes, keepdims=True)
    return d - np.where(np.equal(count, 1), np.log1p(rest), np.log(count + rest))  # little is not lost beside a 1


@_is("logsumexp")
def logsumexp(a, axes, keepdims):
    """Exact up to the order of the sum, and exp and log."""
    if not math.prod(shape_of(a)):
        return None
    e, top = _below_top(a, axes, True)
    y = np.log(np.sum(e, axis=axes, keepdims=True)) + top
    return (
        y
        if keepdims
        else np.reshape(y, tuple(n for i, n in enumerate(shape_of(a), -len(shape_of(a))) if i not in axes))
    )


@_is("log_sigmoid")
def log_sigmoid(x):
    return -_op("softplus", -x)  # exact


@_is("logit")
def logit(p):
    """Exact."""
    return np.where(np.absolute(p - 0.5) < 0.25, 2 * np.arctanh(2 * p - 1), np.log(p / (1 - p)))


@_is("xlogy")
def xlogy(x, y):
    return _times(x, y, np.log(y))


@_is("xlog1py")
def xlog1py(x, y):
    return _times(x, y, np.log1p(y))


def _times(x, y, log):
    """Exact."""
    return np.where(np.equal(x, 0) & np.logical_not(np.isnan(y)), 0, x * log)


@_is("logaddexp2")
def logaddexp2(a, b):
    """1 ulp."""
    tail = np.log1p(np.exp2(-np.absolute(a - b))) * (1 / math.log(2))
    return np.where(np.equal(a, b), a + 1, np.maximum(a, b) + tail)


@_is("sinc")
def sinc(x):
    """Exact, and sin."""
    y = math.pi * x
    y = np.where(np.equal(y, 0), np.finfo(typeof(x).dtype).eps.item(), y)
    return np.sin(y) / y


# Rounding, constants


@_register(["round"], "fiu")
def round(a, decimals=0):
    """Exact."""
    if typeof(a).dtype.kind != "f":
        return +a if decimals >= 0 else None
    if decimals == 0:
        return np.rint(a)
    unit = 10.0 ** abs(decimals)
    return np.rint(a * unit) / unit if decimals > 0 else np.rint(a / unit) * unit


def stop_gradient(x):
    """The value itself: there is nothing to differentiate any more."""
    return x


COMPOSITIONS["stop_gradient"] = stop_gradient


# Order


def lexsort(*keys, axis):
    """By the first key, then, keeping the order of what is equal, by each of the others; exact."""
    order = np.argsort(keys[0], axis)
    for k in keys[1:]:
        order = np.take_along_axis(order, np.argsort(np.take_along_axis(k, order, axis), axis), axis)
    return order


COMPOSITIONS["lexsort"] = lexsort


# SciPy's


@_is("ndtr")
def ndtr(x):
    """The normal distribution from the error functions; 2 ulp."""
    z = x * math.sqrt(0.5)
    tail = 0.5 * _op("erfc", np.absolute(z))
    far = np.where(z > 0, 1 - tail, tail)
    return np.where(np.absolute(z) < 1, 0.5 + 0.5 * _op("erf", z), far)


@_is("entr")
def entr(x):
    """Exact, and log."""
    number = typeof(x).dtype.type
    y = np.where(np.equal(x, 0), number(0), number(-np.inf))
    return np.where(np.isnan(x), x, np.where(x > 0, -x * np.log(x), y))


@_is("rel_entr")
def rel_entr(x, y):
    """x log(x / y), near x = y by log1p, and by a difference of logarithms where the quotient is no normal number; 2 ulp."""
    number = np.result_type(*(t.dtype for t in map(typeof, (x, y)))).type
    r = x / y
    near = (r > 0.5) & (r < 2)
    normal = (r > np.finfo(number).tiny.item()) & (r < np.inf)
    log = np.where(normal, np.log(r), np.log(x) - np.log(y))
    value = x * np.where(near, np.log1p((x - y) / y), log)
    value = np.where((x > 0) & (y > 0), value, np.where(np.equal(x, 0) & (y >= 0), number(0), number(np.inf)))
    return np.where(np.isnan(x) | np.isnan(y), number(np.nan), value)


@_is("huber")
def huber(delta, r):
    """1 ulp."""
    size = np.absolute(r)
    value = np.where(size <= delta, 0.5 * r * r, delta * (size - 0.5 * delta))
    return np.where(delta < 0, np.inf, value)
