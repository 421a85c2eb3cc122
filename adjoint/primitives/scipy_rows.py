"""How SciPy's special functions become ops: rows of a name, the partials, and where the laws test it.

Knows no particular function; the rows are in `scipy_special`, `scipy_functions` and `scipy_distributions`.
"""

import numpy as np
import scipy.special

from ..core.errors import MissingRuleError, where
from ..core.op import bind
from ..core.tensor import UFUNCS
from ..core.tuples import Parts, items
from ..core.types import Array, Tuple, typeof
from .kinds import align, broadcast_like, conj, elementwise, general, implements, strong_mul, unbroadcast


class _Names:
    """scipy.special's functions, as ufuncs: with SCIPY_ARRAY_API=1 they hide behind functions that would ask us again."""

    def __getattr__(self, name):
        f = getattr(scipy.special if hasattr(scipy.special, name) else scipy.special._ufuncs, name)
        if isinstance(getattr(f, "__wrapped__", None), np.ufunc):
            f = f.__wrapped__
        setattr(self, name, f)  # found without this method the next time
        return f


S = _Names()


def samples(*columns):
    """Samples: a range (lo, hi) draws an argument, another number stands for itself."""

    def sample(rng):
        def draw(c, shape):
            return np.asarray(rng.uniform(*c, shape))[()] if type(c) is tuple else c

        return [(tuple(draw(c, shape) for c in columns), {}) for shape in ((), (3,), (2, 3))]

    return sample


def row(name, *partials, at=None, narrow=False, f=None):
    """The op of the SciPy function of this name; returns what users call. at: where the laws test it, for each argument.

    f: the ufunc, if it has another name. narrow: SciPy computes in double alone, or by another and slower way in single:
    the result is narrowed if the floats it was given are float32. None if the SciPy that is installed is older than the function.
    """
    at = at or ((0.3, 2.0),) * len(partials)
    f = f or getattr(S, name, None)
    if f is None:
        return None
    g = _narrowed(f) if narrow else f if f.nin == 1 else weak(f)
    pulls = [_in_kind(p) for p in partials]
    return elementwise(name, g, *partials, ufunc=f, sample=samples(*at), pulls=pulls)


def weak(f):
    """f with Python's numbers as weak as NumPy takes them: SciPy's tables of types would make float32 float64."""

    def with_weak(*args):
        if any(type(a) is float or type(a) is int for a in args):
            kinds = [a.dtype for a in args if isinstance(a, (np.ndarray, np.generic))]
            if kinds and np.result_type(*kinds) in (np.float32, np.complex64):
                args = [np.float32(a) if type(a) is float or type(a) is int else a for a in args]
        return f(*args)

    return with_weak


def _narrowed(f):
    def narrowed(*args):
        kinds = [getattr(a, "dtype", None) for a in args]
        floats = [k for k in kinds if k is not None and k.kind == "f"]
        if not floats or np.result_type(*floats) != np.float32:
            return f(*args)
        y = f(*(np.float64(a) if k == np.float32 else a for a, k in zip(args, kinds, strict=True)))
        return y.astype(np.float32)[()]

    return narrowed


def _by_double(f):
    def wide(*args):
        narrow = getattr(args[-1], "dtype", None) == np.float32
        ys = f(*args[:-1], np.float64(args[-1]))
        return tuple(y.astype(np.float32)[()] for y in ys) if narrow else ys

    return wide


def _in_kind(partial):
    """The way back on the fast path, in the cotangent's own precision."""

    def pull(g, *row):
        r = g * partial(*row)
        return r if type(g) is float or r.dtype is g.dtype else r.astype(g.dtype)

    return pull


def complex_row(name, slope, *order):
    """An op of a function that is complex for real numbers too, in its last argument."""

    def jvp(ts, y, *args):
        _refuse_order(name, ts[:-1])
        return strong_mul(ts[-1], slope(y, *args))

    def vjp(wants, g, y, *args):
        _refuse_order(name, [w or None for w in wants[:-1]])
        return (*(None for _ in order), unbroadcast(strong_mul(g, np.conjugate(slope(y, *args))), args[-1]))

    def sample(rng):
        return [((*order, rng.normal(size=s) + 1j * rng.normal(size=s)), {}) for s in ((3,), (2, 3))]

    def batch(size, batched, *args):
        return bind(op, *align(batched, args))

    op = general(name, getattr(S, name), jvp, vjp, batch=batch, sample=sample)
    return implements(getattr(S, name))(op)


def _refuse_order(name, ts):
    if any(t is not None for t in ts):
        raise MissingRuleError(f"scipy.special.{name} has no derivative rule for its order{where()}")


def parts(g):
    """The cotangents of a tuple's elements, None where there is none."""
    return g.parts if type(g) is Parts else items(g)


def several(name, *slopes, order=(), at=(0.3, 2.0), real=True, wide=False):
    """An op of several results; the function users call gives a tuple. Differentiated in its last argument.

    slopes: one a result, `(ys, *args) -> derivative of that result`. order: what stands in the samples for the arguments
    before. real: complex numbers are refused. wide: SciPy's single precision gives NaN or does not
    end; it computes in double.
    """
    ufunc = getattr(S, name)
    f = _by_double(ufunc) if wide else ufunc

    def known(ts, args):
        _refuse_order(name, ts[:-1])
        if real and typeof(args[-1]).dtype.kind == "c":
            raise MissingRuleError(f"scipy.special.{name} has no rule for complex numbers{where()}")

    def jvp(ts, ys, *args):
        known(ts, args)
        ys = items(ys)
        return tuple(broadcast_like(strong_mul(ts[-1], s(ys, *args)), y) for s, y in zip(slopes, ys, strict=True))

    def vjp(wants, g, ys, *args):
        known([w or None for w in wants], args)
        ys, total = items(ys), None
        for part, s in zip(parts(g), slopes, strict=True):
            if part is not None:
                r = unbroadcast(strong_mul(part, conj(s(ys, *args))), args[-1])
                total = r if total is None else total + r
        return (*(None for _ in args[:-1]), total)

    def type_rule(*types):
        with np.errstate(all="ignore"):
            row = f(*(t.dtype.type(1).item() if t.weak else t.dtype.type(1) for t in types))
        shape = np.broadcast_shapes(*(t.shape for t in types))
        return Tuple(tuple(Array(shape, y.dtype) for y in row))

    def batch(size, batched, *args):
        return bind(op, *align(batched, args))

    op = general(name, f, jvp, vjp, type=type_rule, batch=batch, sample=samples(*order, at))

    def public(*args):
        return items(bind(op, *args))

    public.__name__ = public.__qualname__ = name
    public.op = op
    UFUNCS[ufunc] = public
    return public


def unknown(name, argument, arity):
    """The partial of an argument for which no derivative is known."""

    def refuse():
        raise MissingRuleError(f"scipy.special.{name} has no derivative rule for its argument {argument}{where()}")

    return {
        2: lambda _y, _a, _b: refuse(),
        3: lambda _y, _a, _b, _c: refuse(),
        4: lambda _y, _a, _b, _c, _d: refuse(),
    }[arity]
