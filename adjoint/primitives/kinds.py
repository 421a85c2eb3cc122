"""The five kinds of ops: say what is new, derive the rest.

| kind          | the author writes                                          | derived                                   |
|---------------|------------------------------------------------------------|-------------------------------------------|
| `elementwise` | value, one partial per argument, a native one-liner        | jvp, vjp with broadcasting undone, batch, type |
| `linear`      | value, transpose                                           | jvp (itself), vjp                         |
| `bilinear`    | value, left and right transpose                            | jvp, vjp                                  |
| `nondiff`     | value                                                      | all else                                  |
| `general`     | jvp and vjp in full, with the formula and its source       | batch lane by lane, type by a stand-in    |

Rules call `np.*`: it costs nothing on arrays and dispatches on tensors. A rule must be linear in t or g, and never
branch on it.
"""

import operator
from typing import Any

import numpy as np

from ..core.config import config
from ..core.errors import MutationError, where
from ..core.op import Op, bind, is_plain
from ..core.op import shape as shape_of
from ..core.tensor import FUNCTIONS, UFUNCS, is_tensor, viewing
from ..core.types import Array, Tuple, typeof
from ..traces.reverse import binary, unary


def elementwise(name, f, *partials, ufunc=None, domain=None, type=None, pulls=(None, None), sample=None,
                wrap_scalars=False):  # fmt: skip
    """Define an elementwise op; returns the function users call.

    partials: one an argument:
      `(y, *args) -> dy/darg`, a partial derivative; a parameter whose name starts with `_` is not saved;
      `(g, y, *args) -> array`, first parameter named g: the whole map, linear in g, for rules that select (real only);
      a number: a constant partial; None: no derivative in this argument.
    ufunc: NumPy's function that this op stands for (default: f itself). domain: one interval (lo, hi) an argument,
    where the laws test it. wrap_scalars: the rules may be given an array without axes for a Python number, which is
    quicker. pulls: cheaper ways to pull back on the fast path, `(g, y, *args) -> cotangent` or `(g, node) -> cotangent`.
    """
    arity = len(partials)
    rules = [_Partial(p, arity) for p in partials]
    saves = (tuple(map(any, zip(*(r.reads for r in rules), strict=True))), False)

    def jvp(ts, y, *args):
        t = None
        for ti, rule in zip(ts, rules, strict=True):
            if ti is not None and rule.f is not None:
                part = rule(ti, y, args)
                t = part if t is None else t + part
        return None if t is None else broadcast_like(t, y)

    def vjp(wants, g, y, *args):
        out = []
        for want, rule, a in zip(wants, rules, args, strict=True):
            out.append(unbroadcast(rule(g, y, args, transpose=True), a) if want and rule.f is not None else None)
        return tuple(out)

    def batch(size, batched, *args):
        return bind(op, *align(batched, args))

    op = Op(name, f, kind="elementwise", type=type or _elementwise_type(f), jvp=jvp, vjp=vjp, batch=batch,
            saves=saves, reads=tuple(r.reads for r in rules),
            sample=sample or _elementwise_samples(domain or ((-2.0, 2.0),) * arity))  # fmt: skip
    if arity == 1:
        entry = unary(op, f, rules[0].reads, rules[0].pull(pulls[0]))
    elif arity == 2:
        entry = binary(
            op,
            f,
            [r.reads for r in rules],
            [r.pull(own) for own, r in zip(pulls, rules, strict=True)],
            wrap_scalars,
            unbroadcast,
        )
    else:
        entry = _entry(op)
    return _public(entry, op, ufunc if ufunc is not None else f)


class _Partial:
    """One partial of an elementwise op: what it reads, and how it acts on a tangent or a cotangent."""

    __slots__ = ("f", "reads", "selects")

    def __init__(self, f, arity):
        self.f = f
        names = f.__code__.co_varnames[: f.__code__.co_argcount] if callable(f) else ()
        self.selects = names[:1] == ("g",)
        names = names[self.selects :]
        if callable(f) and len(names) != arity + 1:
            raise TypeError(f"a partial takes y and the {arity} arguments, not {names}")
        self.reads = tuple(not name.startswith("_") for name in names) or (False,) * (arity + 1)

    def __call__(self, g, y, args, transpose=False):
        f = self.f
        if self.selects:
            return f(g, y, *args)
        if not callable(f):
            return g if f == 1 else -g if f == -1 else g * f
        p = f(y, *args)
        return strong_mul(g, conj(p) if transpose else p)

    def pull(self, own=None):
        """The plain way back on the fast path, `(g, node) -> cotangent`; node[3:] are y and the arguments.

        own: a cheaper one of the op's, `(g, y, *args)` or `(g, node)`.
        """
        f = own or self.f
        two = len(self.reads) == 3
        if f is None:
            return lambda g, node: None
        if not callable(f):
            return (lambda g, node: g) if f == 1 else (lambda g, node: -g) if f == -1 else (lambda g, node: g * f)
        if own is not None and own.__code__.co_argcount == 2:
            return own  # the quickest: one call
        if own is not None or self.selects:
            return (
                (lambda g, node: f(g, node[3], node[4], node[5])) if two else (lambda g, node: f(g, node[3], node[4]))
            )
        return (lambda g, node: g * f(node[3], node[4], node[5])) if two else (lambda g, node: g * f(node[3], node[4]))


def nondiff(name, f, ufunc=None, elementwise=True, sample=None, batch=None, type=None, integers=False):
    """Define an op without derivative: comparisons, rounding, indices. Returns the function users call.

    integers: it takes whole numbers only (for the laws).
    """
    if elementwise:
        type = type or _elementwise_type(f)
        sample = sample or _elementwise_samples(((1, 9),) * getattr(ufunc or f, "nin", 1), integers)

        def batch(size, batched, *args, **params):
            return bind(op, *align(batched, args), **params)

    op = Op(name, f, kind="nondiff", type=type, batch=batch, sample=sample)
    return _public(_entry(op, getattr(ufunc or f, "nin", None)), op, ufunc if ufunc is not None else f)


def linear(name, f, transpose, *, batch=None, type=None, sample=None):
    """Define an op that is linear in all its array arguments together. Returns the op.

    f(*args, **params). transpose(g, *types, **params) -> one cotangent (one argument) or a tuple of them.
    """

    def jvp(ts, y, *args, **params):
        if all(t is None for t in ts):
            return None
        return bind(op, *(zeros_like(a) if t is None else t for t, a in zip(ts, args, strict=True)), **params)

    def vjp(wants, g, _y, *_args, **params):
        r = transpose(g, *_args, **params)
        return (r,) if len(_args) == 1 and not isinstance(r, tuple) else r

    op = Op(name, f, kind="linear", type=type, jvp=jvp, vjp=vjp, batch=batch, sample=sample)
    return op


def bilinear(name, f, left, right, *, batch=None, type=None, sample=None):
    """Define an op of two arguments that is linear in each. Returns the op.

    left(g, a, b, **params) is the cotangent of a (it may read the type of a only), right that of b (and the type of b).
    """

    def jvp(ts, y, a, b, **params):
        t = None
        if ts[0] is not None:
            t = bind(op, ts[0], b, **params)
        if ts[1] is not None:
            s = bind(op, a, ts[1], **params)
            t = s if t is None else t + s
        return t

    def vjp(wants, g, _y, a, b, **params):
        return (left(g, a, b, **params) if wants[0] else None, right(g, a, b, **params) if wants[1] else None)

    reads = ((False, False, True), (False, True, False))
    op = Op(name, f, kind="bilinear", type=type, jvp=jvp, vjp=vjp, batch=batch, sample=sample, reads=reads)
    return op


def general(name, f, jvp, vjp, *, batch=None, type=None, sample=None, record=None, dual=None):
    """Define an op by its full rules; see `core.op` for their signatures. Returns the op."""
    return Op(
        name,
        f,
        kind="general",
        type=type,
        jvp=jvp,
        vjp=vjp,
        batch=batch,
        sample=sample,
        record=record,
        dual=dual,
    )


def look(op, x, **params):
    """op(x) where it is a view of x in NumPy: a write into one is seen in the other."""
    y = bind(op, x, **params)
    return viewing(x, y, op, params) if is_tensor(y) and is_tensor(x) else y


def own(y, x):
    """y, or a copy of it where it is x itself or looks at other memory: for what NumPy always copies."""
    if is_tensor(y):
        looks = y is x or type(getattr(y, "shares", None)) is tuple
    else:
        looks = type(x) is np.ndarray and type(y) is np.ndarray and np.may_share_memory(x, y)
    return np.copy(y) if looks else y


def implements(*functions):
    """Register a function of ours for NumPy's functions of the same signature: `np.f(tensor)` then arrives in it."""

    def register(ours):
        for f in functions:
            (UFUNCS if isinstance(f, np.ufunc) else FUNCTIONS)[f] = ours
        return ours

    return register


def _public(entry, op, ufunc):
    entry.__name__ = entry.__qualname__ = op.name
    entry.op = op
    doc = getattr(ufunc, "__doc__", None) or ""
    entry.__doc__ = f"{op.name}: elementwise, as NumPy's or SciPy's function of this name.\n\n{doc}" if doc else None
    if isinstance(ufunc, np.ufunc):
        UFUNCS[ufunc] = entry
    return entry


def _entry(op, arity=None):
    def one(x, /):
        return bind(op, x)

    def two(x1, x2, /):
        return bind(op, x1, x2)

    def any_number(*args):
        return bind(op, *args)

    entry: Any = one if arity == 1 else two if arity == 2 else any_number
    return entry


def no_out(name, out):
    """Refuse an `out=` argument."""
    if out is not None:
        raise MutationError(f"{name}(..., out=) is not supported for tensors{where()}; use the result that is returned")


# What the derived rules are made of


def _strong_mul(g, p):
    r = g * p
    if config.ieee:
        return r
    if np.ndim(r) == 0:
        return r if r == r or g != 0 else zero_of(r)
    if np.isnan(r).any():
        r = np.where(g == 0, zero_of(r), r)
    return r


_BITS: Any = {np.dtype(np.float64): np.int64, np.dtype(np.float32): np.int32}


def select(mask, g):
    """g where the mask holds, and exactly 0 elsewhere, even where g is infinite or NaN: np.where(mask, g, 0).

    np.where branches at each entry, which costs seven times a multiplication if the mask is irregular. So of plain arrays the
    bits are multiplied: by all ones, or by zero.
    """
    if (
        type(g) is np.ndarray
        and type(mask) is np.ndarray
        and g.shape == mask.shape
        and g.size > 64
        and g.dtype in _BITS
    ):
        bits = _BITS[g.dtype]
        ones = np.negative(mask.view(np.int8)).astype(bits)
        ones &= g.view(bits)
        return ones.view(g.dtype)
    return np.where(mask, g, 0)


def regular(x):
    """Whether all entries of a plain float array are positive normal numbers with all their digits, and finite."""
    if not isinstance(x, (np.ndarray, np.floating)) or not is_plain(x) or x.dtype not in _BITS or not x.size:
        return False
    low, high = _normal[x.dtype]
    return bool(low < x.min() and x.max() < high)  # a NaN is in neither


_normal = {d: (np.finfo(d).tiny / np.finfo(d).eps, np.finfo(d).max) for d in _BITS}


def zero_of(x):
    """A zero of this dtype."""
    return typeof(x).dtype.type(0)


def _strong_vjp(wants, g, _y, a, p):
    return (
        unbroadcast(strong_mul(g, conj(p)), a) if wants[0] else None,
        unbroadcast(strong_mul(g, conj(a)), p) if wants[1] else None,
    )


def _strong_jvp(ts, y, a, p):
    t = None
    if ts[0] is not None:
        t = strong_mul(ts[0], p)
    if ts[1] is not None:
        s = strong_mul(ts[1], a)
        if not config.ieee:  # a cotangent of 0 stays 0, whatever the tangent of what it meets
            s = np.where(np.equal(a, 0), zero_of(s), s)
        t = s if t is None else t + s
    return None if t is None else broadcast_like(t, y)


def _strong_eval(g, p):
    with np.errstate(all="ignore"):
        return _strong_mul(g, p)


def unbroadcast(g, like):
    """Undo broadcasting: sum g over the axes that `like` (a value, a type or None: nothing to undo) does not have; its dtype."""
    if like is None:
        return g
    if type(g) is np.ndarray and (type(like) is np.ndarray or type(like) is Array):  # as below, quicker
        if g.shape != like.shape:
            g = _sum_to(g, g.shape, like.shape)
        return g if g.dtype == like.dtype else cast(g, like.dtype)
    kind = typeof(like)
    gk = typeof(g)
    if gk.shape != kind.shape:
        g = _sum_to(g, gk.shape, kind.shape)
    if gk.dtype != kind.dtype:
        g = cast(g, kind.dtype)
    return g


def _sum_to(g, have, want):
    extra = len(have) - len(want)
    axes = tuple(range(extra)) + tuple(i + extra for i, n in enumerate(want) if n == 1 and have[i + extra] != 1)
    if is_plain(g) and g.dtype == np.float32:
        # float32 accumulates in float64
        return np.add.reduce(g, axes, dtype=np.float64).astype(np.float32).reshape(want)
    if type(g) is np.ndarray and g.size > 1024 and axes == tuple(range(len(axes))) and g.flags.c_contiguous:
        # NumPy adds rows one after the other; in blocks of 256 rows the error stays that of a short sum
        row = g.shape[len(axes) :]
        rows = g.reshape(-1, *row)
        n = len(rows) // 256 * 256
        if row and n > 1024:
            s = np.add.reduce(np.add.reduce(rows[:n].reshape(256, n // 256, *row), 0), 0)
            return (s + np.add.reduce(rows[n:], 0) if n < len(rows) else s).reshape(want)
    if type(g) is np.ndarray:  # as below, without NumPy's Python layer
        s = sum_short(g) if axes == (g.ndim - 1,) and g.size > 1024 and g.shape[-1] <= 8 else np.add.reduce(g, axes)
        return s if len(axes) == extra else s.reshape(want)
    if extra and len(axes) == extra:
        return np.sum(g, axis=axes)
    return np.reshape(np.sum(g, axis=axes), want)


def sum_short(g):
    """The sum over a last axis of few entries, in their order: NumPy starts anew at each row, 3 to 20 times slower."""
    s = g[..., 0] + g[..., 1] if g.shape[-1] > 1 else g[..., 0].copy()
    for k in range(2, g.shape[-1]):
        s += g[..., k]
    return s


def broadcast_like(t, y):
    """t broadcast to the shape of y, in its dtype."""
    want = typeof(y)
    have = typeof(t)
    if have.shape != want.shape:
        t = np.broadcast_to(t, want.shape)
    return t if have.dtype == want.dtype else cast(t, want.dtype)


def conj(p):
    """The complex conjugate; real values are returned as they are."""
    if type(p) is int or type(p) is float or typeof(p).dtype.kind != "c":
        return p
    return np.conjugate(p)


def weakly(f, a):
    """f(a), a Python number where a is one: NumPy's float64 would widen the float32 arrays it meets."""
    y = f(a)
    return y.item() if type(a) is float or type(a) is int else y


def cast(x, dtype):
    """x in this dtype, for cotangents: a real one takes the real part."""
    if dtype.kind == "f" and typeof(x).dtype.kind == "c":
        x = np.real(x)
    if typeof(x).dtype == dtype:
        return x
    return x.astype(dtype) if hasattr(x, "astype") else dtype.type(x)  # a cotangent of Python's numbers is one


def zeros_like(x):
    """Zeros with the shape and dtype of a value or type, as a plain array."""
    kind = typeof(x)
    if type(kind) is Tuple:
        return tuple(map(zeros_like, kind.elems))
    return np.zeros(kind.shape, kind.dtype)


def align(batched, args):
    """Batched arguments with axes inserted behind the batch axis, so that they broadcast as their lanes would."""
    ranks = [len(shape_of(a)) - b for a, b in zip(args, batched, strict=True)]
    rank = max(ranks)
    out = []
    for a, b, r in zip(args, batched, ranks, strict=True):
        if b and r < rank:
            s = shape_of(a)
            a = np.reshape(a, (s[0],) + (1,) * (rank - r) + tuple(s[1:]))
        out.append(a)
    return out


def axes_from_end(axis, ndim):
    """Axes as a sorted tuple of negative numbers, so that a batch axis in front changes nothing. None: all."""
    if axis is None:
        return tuple(range(-ndim, 0))
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    out = []
    for a in axes:
        a = operator.index(a)
        if not -ndim <= a < ndim:
            raise np.exceptions.AxisError(a, ndim)
        out.append(a - ndim if a >= 0 else a)
    if len(set(out)) != len(out):
        raise ValueError("duplicate value in 'axis'")
    return tuple(sorted(out))


def axis_from_end(axis, ndim):
    """One axis as a negative number."""
    return axes_from_end(operator.index(axis), ndim)[0]


def as_array(x):
    """x, with lists and tuples made arrays: of tensors, a stacked tensor."""
    if type(x) is list or type(x) is tuple:
        return FUNCTIONS[np.array](x)
    return x


def _elementwise_type(f):
    known: dict = {}

    def type_rule(*types, **params):
        key = (*((t.dtype, t.weak) for t in types), *params.items())
        if key not in known:
            with np.errstate(all="ignore"):
                known[key] = typeof(
                    f(*(t.dtype.type(1).item() if t.weak else t.dtype.type(1) for t in types), **params)
                )
        y = known[key]
        shape = types[0].shape if types else ()
        for t in types:
            if t.shape != shape:  # NumPy takes longer to find that there is nothing to broadcast than all the rest
                shape = np.broadcast_shapes(*(t.shape for t in types))
                break
        return Array(
            shape, y.dtype, y.weak and not shape
        )  # 1j + np.float64(1) is Python's number, 1j + an array an array

    type_rule.broadcasts = True  # the arguments, against each other: traces.batch asks
    return type_rule


def _elementwise_samples(domain, integers=False):
    shapes = {1: [((),), ((3,),), ((2, 3),)], 2: [((), ()), ((3,), (3,)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (2,))]}

    def sample(rng):
        n = len(domain)
        draw = rng.integers if integers else rng.uniform
        rows = shapes.get(n, [((),) * n, ((3,),) * n, ((2, 3),) + ((3,),) * (n - 1)])
        return [
            (tuple(np.asarray(draw(lo, hi, s))[()] for (lo, hi), s in zip(domain, row, strict=True)), {})
            for row in rows
        ]

    return sample


_strong_op = Op(
    "strong_mul",
    _strong_eval,
    kind="bilinear",
    type=_elementwise_type(lambda a, b: a * b),
    jvp=_strong_jvp,
    vjp=_strong_vjp,
    batch=lambda size, batched, g, p: bind(_strong_op, *align(batched, (g, p))),
    sample=_elementwise_samples(((-2.0, 2.0), (-2.0, 2.0))),
)


def strong_mul(g, p):
    """g * p, but 0 wherever g is 0, even if p is infinite or NaN: what nobody chose contributes nothing.

    It is an op of its own because of second derivatives: in g it stays linear with slope p at g = 0 too, which a
    `where(g == 0, 0, g * p)` would forget.
    """
    return bind(_strong_op, g, p)
