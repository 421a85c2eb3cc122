"""Reductions: sum, mean, prod, max, min, var, std, all, any, and those that skip NaN.

Ops take `axes`, a tuple counted from the end, and `keepdims`. What NumPy offers beyond that (dtype, initial, where) is
composed: cast before, join after, select before. What an op did not choose contributes exactly nothing: cotangents are
selected with `np.where` or multiplied by `strong_mul`. Norms are in `norms`, running sums in `cumulative`.
"""

import builtins
import math

import numpy as np

from ..core.op import Op, bind, is_plain
from ..core.op import shape as shape_of
from ..core.tensor import FUNCTIONS, UFUNC_METHODS, Flat, Tensor, is_tensor, peek
from ..core.types import Array, typeof
from ..traces import reverse
from .kinds import (
    as_array,
    axes_from_end,
    conj,
    general,
    implements,
    linear,
    no_out,
    nondiff,
    regular,
    select,
    strong_mul,
)  # fmt: skip

_NONE = np._NoValue
_new = object.__new__
_ndarray = np.ndarray
_float64 = np.float64


# What reductions are made of


def kept(shape, axes):
    """The shape with 1 in place of the axes that are reduced."""
    n = len(shape)
    return (1,) * n if axes is None else tuple([1 if i - n in axes else s for i, s in enumerate(shape)])


def reduced(shape, axes, keepdims):
    """The shape of the result."""
    n = len(shape)
    if keepdims:
        return kept(shape, axes)
    return () if axes is None else tuple([s for i, s in enumerate(shape) if i - n not in axes])


def count(shape, axes):
    """How many entries go into one result."""
    return math.prod(shape) if axes is None else math.prod([shape[i] for i in axes])


def expand(g, shape, axes, keepdims):
    """g, of the reduced shape, so that it broadcasts against `shape`."""
    if keepdims or not axes or len(axes) == len(shape):
        return g  # shape () broadcasts as it is
    return np.reshape(g, kept(shape, axes))


def spread(g, shape, axes, keepdims):
    """g, of the reduced shape, repeated over the axes that were reduced: a view."""
    if type(g) is _float64:  # as broadcast_to, in a tenth of its time
        return _ndarray(shape, _float64, g, 0, (0,) * len(shape)) if shape else g
    g = expand(g, shape, axes, keepdims)
    return g if shape_of(g) == shape else np.broadcast_to(g, shape)


def reduces(f):
    """The type rule of a reduction whose dtype depends on that of its argument alone."""
    known: dict = {}

    def rule(a, axes=None, keepdims=False, **_):
        if a.dtype not in known:
            known[a.dtype] = f(np.ones(1, a.dtype), axes=(-1,), keepdims=False).dtype
        return Array(reduced(a.shape, axes, keepdims), known[a.dtype])

    return rule


def batches(op):
    """The batch rule of an op of one argument whose axes are counted from the end; `op` is called to get it."""
    return lambda size, batched, a, **params: bind(op(), a, **params)


def samples(*dtypes, **more):
    """Samples of a reduction: all axes, one axis, kept or not; real, and complex for a 'c' among the dtypes."""
    cases = [
        ((), (), False),
        ((4,), (-1,), False),
        ((2, 3), (-2, -1), True),
        ((2, 3), (-1,), True),
        ((2, 3), (-2,), False),
    ]

    def sample(rng):
        rows = []
        for kind in ("f", *dtypes):
            for shape, axes, keepdims in cases:
                x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind == "c" else 0)
                rows.append(((np.asarray(x)[()],), {"axes": axes, "keepdims": keepdims, **more}))
        return rows

    return sample


def real_dtype(x):
    """The real floating dtype that goes with x, in the machine's own byte order: what reductions take as dtype=."""
    dtype = typeof(x).dtype.newbyteorder("=")
    return np.zeros(0, dtype).real.dtype if dtype.kind in "fc" else np.dtype(np.float64)


def as_dtype(a, dtype):
    """a in this dtype; None: as it is."""
    if dtype is None or typeof(a).dtype == dtype:
        return a
    return FUNCTIONS[np.astype](a, np.dtype(dtype)) if is_tensor(a) else np.asarray(a, dtype)


_plans: dict = {}


def plan(a, axis, keepdims):
    """The parameters of an op for these arguments of a user."""
    n = a.value.ndim if type(a) is Flat and type(a.value) is _ndarray else len(shape_of(a))
    try:
        return _plans[axis, n, keepdims]
    except (KeyError, TypeError):
        if not n and type(axis) is int and axis in (0, -1):
            axis = ()  # NumPy lets a number have this one axis
        params = {"axes": axes_from_end(axis, n), "keepdims": keepdims is not _NONE and bool(keepdims)}
        if axis is None or type(axis) is int:
            _plans[axis, n, keepdims] = params
        return params


def squared(d):
    """|d|^2"""
    return np.real(d * np.conjugate(d)) if typeof(d).dtype.kind == "c" else d * d


def _everywhere(where):
    return where is True or where is _NONE


# Sum and mean


def _sum(a, axes=None, keepdims=False):
    return np.add.reduce(a, axis=axes, keepdims=keepdims)


def _mean(a, axes=None, keepdims=False):
    if type(a) is not _ndarray or a.dtype.char not in "dfD" or not a.size:
        return np.mean(a, axis=axes, keepdims=keepdims)  # float16 is summed in float32; warns of empty slices
    return np.add.reduce(a, axis=axes, keepdims=keepdims) / count(a.shape, axes)


def _mean_back(g, shape, axes=None, keepdims=False):
    return spread(g / builtins.max(count(shape, axes), 1), shape, axes, keepdims)


_sum_op: Op = linear(
    "sum",
    _sum,
    lambda g, _a, axes=None, keepdims=False: spread(g, _a.shape, axes, keepdims),
    type=reduces(_sum),
    batch=batches(lambda: _sum_op),
    sample=samples("c"),
)
_mean_op: Op = linear(
    "mean",
    _mean,
    lambda g, _a, axes=None, keepdims=False: _mean_back(g, _a.shape, axes, keepdims),
    type=reduces(_mean),
    batch=batches(lambda: _mean_op),
    sample=samples("c"),
)


def _total(op, f, back):
    """The entry for all axes of a tensor on one tape: it ends every loss, so its node is made by hand."""

    def pull(g, node):
        return back(g, node[4].shape)

    reverse.FAST[pull] = (op, (True,))

    def entry(x):
        a = x.value
        if type(a) is not _ndarray:
            return bind(op, x, axes=(), keepdims=False)
        y = f(a)
        t = _new(Flat)
        t.value = y
        t.trace = tape = x.trace
        t.info = [tape.next(), pull, x.info, None, Array(a.shape, a.dtype)]
        return t

    return entry


_sum_total = _total(_sum_op, lambda a: np.add.reduce(a, None), lambda g, shape: spread(g, shape, None, False))
_mean_total = _total(_mean_op, _mean, _mean_back)


@implements(np.sum)
def sum(a, axis=None, dtype=None, out=None, keepdims=False, initial=_NONE, where=True):
    """The sum over the given axes (all of them by default). As `numpy.sum`."""
    if (
        type(a) is Flat
        and axis is dtype is out is None
        and keepdims is False
        and initial is _NONE
        and where is True
        and not reverse.SLOW
    ):
        return _sum_total(a)
    no_out("sum", out)
    a = as_dtype(as_array(a), dtype)
    if not _everywhere(where):
        a = np.where(where, a, 0)
    y = as_dtype(bind(_sum_op, a, **plan(a, axis, keepdims)), dtype)  # small integers add up as large ones
    return y if initial is _NONE or initial is None else y + initial


@implements(np.mean)
def mean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    """The mean over the given axes. As `numpy.mean`."""
    if type(a) is Flat and axis is dtype is out is None and keepdims is False and where is True and not reverse.SLOW:
        return _mean_total(a)
    no_out("mean", out)
    a = as_dtype(as_array(a), dtype)
    if not _everywhere(where):
        total = np.sum(np.where(where, a, 0), axis=axis, keepdims=keepdims)
        return total / np.sum(np.broadcast_to(where, shape_of(a)), axis=axis, keepdims=keepdims, dtype=real_dtype(a))
    return bind(_mean_op, a, **plan(a, axis, keepdims))


# Products


def _others(a, axes):
    """For each entry the product of all others along the axes: by two running products, so that zeros do no harm."""
    shape = shape_of(a)
    dtype = typeof(a).dtype
    if not count(shape, None) or not axes:
        return np.ones(shape, dtype)
    if len(axes) > 1:
        last = tuple(range(-len(axes), 0))
        moved = np.moveaxis(a, axes, last)
        have = shape_of(moved)
        flat = np.reshape(moved, (*have[: -len(axes)], count(shape, axes)))
        return np.moveaxis(np.reshape(_others(flat, (-1,)), have), last, axes)
    (axis,) = axes
    return before(a, axis) * np.flip(before(np.flip(a, axis), axis), axis)


def before(a, axis):
    """For each entry the product of those before it along an axis."""
    shape = shape_of(a)
    one = np.ones(kept(shape, (axis,)), typeof(a).dtype)
    return np.cumprod(np.concatenate([one, a[cut(axis, None, -1)]], axis), axis)


def cut(axis, *bounds):
    """The index x[..., bounds[0]:bounds[1], ...] of one axis, counted from the end."""
    return (..., slice(*bounds), *(slice(None),) * (-axis - 1))


def _prod_jvp(ts, y, a, axes, keepdims):
    return np.sum(strong_mul(ts[0], _others(a, axes)), axis=axes, keepdims=keepdims)


def _prod_vjp(wants, g, y, a, axes, keepdims):
    if is_plain(y, a) and typeof(a).dtype.kind == "f" and regular(np.abs(y)):
        # no zeros, and nothing under- or overflowed: the product of the others is y / a
        return (expand(g, shape_of(a), axes, keepdims) * (expand(y, shape_of(a), axes, keepdims) / a),)
    return (strong_mul(expand(g, shape_of(a), axes, keepdims), conj(_others(a, axes))),)


def _prod(a, axes, keepdims):
    return np.multiply.reduce(a, axis=axes, keepdims=keepdims)


_prod_op: Op = general(
    "prod",
    _prod,
    _prod_jvp,
    _prod_vjp,
    type=reduces(_prod),
    batch=batches(lambda: _prod_op),
    sample=lambda rng: [*samples("c")(rng), ((np.array([2.0, 0.0, 3.0]),), {"axes": (-1,), "keepdims": False})],
)


@implements(np.prod)
def prod(a, axis=None, dtype=None, out=None, keepdims=False, initial=_NONE, where=True):
    """The product over the given axes; its derivatives are right at zeros too. As `numpy.prod`."""
    no_out("prod", out)
    a = as_dtype(as_array(a), dtype)
    if not _everywhere(where):
        a = np.where(where, a, 1)
    y = as_dtype(bind(_prod_op, a, **plan(a, axis, keepdims)), dtype)
    return y if initial is _NONE or initial is None else y * initial


# Maximum and minimum: ties share equally


def _chosen(y, a, axes, keepdims):
    """Which entries are the extremum (where there are NaNs, they are), and how many."""
    y = expand(y, shape_of(a), axes, keepdims)
    chosen = np.equal(a, y)
    if not is_plain(y) or np.isnan(y).any():
        chosen = np.where(np.isnan(y), np.isnan(a), chosen)
    return chosen, np.sum(chosen, axis=axes, keepdims=keepdims, dtype=real_dtype(a))


def _extremum(name, ufunc, worst):
    def value(a, axes, keepdims):
        return ufunc.reduce(a, axis=axes, keepdims=keepdims)

    def jvp(ts, y, a, axes, keepdims):
        chosen, n = _chosen(y, a, axes, keepdims)
        return np.sum(np.where(chosen, ts[0], 0), axis=axes, keepdims=keepdims) / n

    def vjp(wants, g, y, a, axes, keepdims):
        chosen, n = _chosen(y, a, axes, keepdims)
        return (select(chosen, spread(g / n, shape_of(a), axes, keepdims)),)

    op = general(name, value, jvp, vjp, type=reduces(value), batch=batches(lambda: op), sample=samples())

    def extremum(a, axis=None, out=None, keepdims=False, initial=_NONE, where=True):
        no_out(name, out)
        a = as_array(a)
        if not _everywhere(where):
            if initial is _NONE:
                raise ValueError(
                    f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one has "
                    "to specify 'initial'"
                )
            a = np.where(where, a, worst if typeof(a).dtype.kind == "f" else initial)
        params = plan(a, axis, keepdims)
        if initial is _NONE:
            return bind(op, a, **params)
        if not count(shape_of(a), params["axes"]):  # nothing to choose from
            return np.broadcast_to(as_dtype(as_array(initial), typeof(a).dtype), reduced(shape_of(a), **params))
        return ufunc(bind(op, a, **params), initial)

    extremum.__name__ = extremum.__qualname__ = name
    extremum.__doc__ = f"The {ufunc.__name__} over the given axes; ties share the derivative. As `numpy.{name}`."
    extremum.op = op
    return extremum


max = amax = implements(np.max, np.amax)(_extremum("max", np.maximum, -np.inf))
min = amin = implements(np.min, np.amin)(_extremum("min", np.minimum, np.inf))


@implements(np.ptp)
def ptp(a, axis=None, out=None, keepdims=False):
    """The range of values, max - min, over the given axes. As `numpy.ptp`."""
    no_out("ptp", out)
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


# Variance. Both rules are written from the deviations, so they are as accurate as the value.


def _scale(a, axes, ddof):
    n = count(shape_of(a), axes) - ddof
    return 1 / n if n > 0 else np.nan


def _deviation(a, axes):
    return a - (_mean if is_plain(a) else np.mean)(a, axes, keepdims=True)


def _along(u, t, axes, keepdims):
    """Re <u, t> over the axes."""
    r = strong_mul(t, conj(u))
    return np.sum(np.real(r) if typeof(r).dtype.kind == "c" else r, axis=axes, keepdims=keepdims)


def _var_jvp(ts, y, a, axes, keepdims, ddof):
    return _along(_deviation(a, axes), ts[0], axes, keepdims) * (2 * _scale(a, axes, ddof))


def _var_vjp(wants, g, _y, a, axes, keepdims, ddof):
    return (strong_mul(expand(g, shape_of(a), axes, keepdims) * (2 * _scale(a, axes, ddof)), _deviation(a, axes)),)


def _std_slope(y, a, axes, keepdims):
    # single deviations over the standard deviation; flat, to every order, where that is 0
    y = expand(y, shape_of(a), axes, keepdims)
    return _deviation(a, axes) / np.where(np.equal(y, 0), np.inf, y)


def _std_jvp(ts, y, a, axes, keepdims, ddof):
    return _along(_std_slope(y, a, axes, keepdims), ts[0], axes, keepdims) * _scale(a, axes, ddof)


def _std_vjp(wants, g, y, a, axes, keepdims, ddof):
    return (
        strong_mul(expand(g, shape_of(a), axes, keepdims) * _scale(a, axes, ddof), _std_slope(y, a, axes, keepdims)),
    )


def _spread_of(name, f, jvp, vjp):
    op = general(
        name,
        lambda a, axes, keepdims, ddof: f(a, axis=axes, ddof=ddof, keepdims=keepdims),
        jvp,
        vjp,
        batch=batches(lambda: op),
        type=reduces(lambda a, axes, keepdims: f(a)),
        sample=samples("c", ddof=0),
    )
    return op


_var_op = _spread_of("var", np.var, _var_jvp, _var_vjp)
_std_op = _spread_of("std", np.std, _std_jvp, _std_vjp)


def _masked(a, axis, keep, mean=_NONE):
    """Deviations from the mean of the entries kept, 0 for the others, and how many are kept (with the axes)."""
    n = np.sum(np.broadcast_to(keep, shape_of(a)), axis=axis, keepdims=True, dtype=real_dtype(a))
    if mean is _NONE:
        mean = np.sum(np.where(keep, a, 0), axis=axis, keepdims=True) / n
    return np.where(keep, a - mean, 0), n


def _variance(name, a, axis, dtype, out, ddof, keepdims, where, mean, correction):
    no_out(name, out)
    a = as_array(a)
    if name.startswith("nan"):
        _inexact(a, dtype)
    a = as_dtype(a, dtype)
    params = plan(a, axis, keepdims)
    if correction is not _NONE:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    root = name.endswith("std")
    if _everywhere(where) and mean is _NONE and not name.startswith("nan"):
        return bind(_std_op if root else _var_op, a, ddof=ddof, **params)
    keep = np.logical_not(np.isnan(a)) if name.startswith("nan") else np.True_
    d, n = _masked(a, axis, keep if _everywhere(where) else np.logical_and(keep, where), mean)
    n = np.reshape(n, reduced(shape_of(a), **params)) - ddof
    if root:  # the norm knows its slope at 0
        return bind(FUNCTIONS[np.linalg.norm].op, d, ord=2.0, **params) / np.sqrt(n)
    return np.sum(squared(d), axis=axis, keepdims=params["keepdims"]) / np.maximum(n, 0)


@implements(np.var)
def var(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=_NONE, correction=_NONE):
    """The variance over the given axes. As `numpy.var`."""
    return _variance("var", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


@implements(np.std)
def std(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=_NONE, correction=_NONE):
    """The standard deviation over the given axes; its derivative is 0 where it is 0. As `numpy.std`."""
    return _variance("std", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


@implements(np.average)
def average(a, axis=None, weights=None, returned=False, *, keepdims=False):
    """The weighted mean over the given axes. As `numpy.average`."""
    a = as_array(a)
    shape = shape_of(a)
    if weights is None:
        y = mean(a, axis, keepdims=keepdims)
        total = np.full(shape_of(y), count(shape, plan(a, axis, False)["axes"]), real_dtype(a))[()]
    else:
        weights = as_array(weights)
        if shape_of(weights) != shape:
            if axis is None:
                raise TypeError("Axis must be specified when shapes of a and weights differ.")
            order = [i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,))]
            if shape_of(weights) != tuple(shape[i] for i in order):
                raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
            weights = np.transpose(weights, np.argsort(order))
            weights = np.reshape(weights, [n if i in order else 1 for i, n in enumerate(shape)])
        total = np.sum(
            np.broadcast_to(weights, shape),
            axis=axis,
            keepdims=keepdims,
            dtype=np.result_type(a, weights, real_dtype(a)),
        )
        known, value = peek(total)
        if known and np.any(np.equal(value, 0)):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        y = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
    return (y, total) if returned else y


# All and any


def _logical(name, ufunc):
    def value(a, axes, keepdims):
        return ufunc.reduce(a, axis=axes, keepdims=keepdims, dtype=np.bool_)

    op = nondiff(name, value, elementwise=False, batch=batches(lambda: op), type=reduces(value), sample=samples()).op

    def test(a, axis=None, out=None, keepdims=False, *, where=True):
        no_out(name, out)
        a = as_array(a)
        if not _everywhere(where):
            a = np.where(where, np.not_equal(a, 0), ufunc.identity)
        return bind(op, a, **plan(a, axis, keepdims))

    test.__name__ = test.__qualname__ = name
    test.__doc__ = f"Whether {name} of the entries over the given axes are nonzero; no derivative. As `numpy.{name}`."
    test.op = op
    return test


all = implements(np.all)(_logical("all", np.logical_and))
any = implements(np.any)(_logical("any", np.logical_or))


# Without NaN: entries that are NaN get derivative 0


def _skip(a, fill):
    a = as_array(a)
    return np.where(np.isnan(a), fill, a) if typeof(a).dtype.kind in "fc" else a


@implements(np.nansum)
def nansum(a, axis=None, dtype=None, out=None, keepdims=False, initial=_NONE, where=True):
    """The sum of what is not NaN. As `numpy.nansum`."""
    return sum(_skip(a, 0), axis, dtype, out, keepdims, initial, where)


@implements(np.nanprod)
def nanprod(a, axis=None, dtype=None, out=None, keepdims=False, initial=_NONE, where=True):
    """The product of what is not NaN. As `numpy.nanprod`."""
    return prod(_skip(a, 1), axis, dtype, out, keepdims, initial, where)


def _inexact(a, dtype):
    if dtype is not None and typeof(a).dtype.kind in "fc" and np.dtype(dtype).kind not in "fc":
        raise TypeError("If a is inexact, then dtype must be inexact")


@implements(np.nanmean)
def nanmean(a, axis=None, dtype=None, out=None, keepdims=False, *, where=True):
    """The mean of what is not NaN. As `numpy.nanmean`."""
    a = as_array(a)
    _inexact(a, dtype)
    keep = np.logical_not(np.isnan(a))
    return mean(a, axis, dtype, out, keepdims, where=keep if _everywhere(where) else np.logical_and(keep, where))


def _nan_extremum(f, worst):
    name = f"nan{f.__name__}"

    def extremum(a, axis=None, out=None, keepdims=False, initial=_NONE, where=True):
        a = as_array(a)
        y = f(_skip(a, worst), axis, out, keepdims, initial, where)
        if typeof(a).dtype.kind not in "fc" or initial is not _NONE:
            return y
        return np.where(np.all(np.isnan(a), axis=axis, keepdims=keepdims), np.nan, y)

    extremum.__name__ = extremum.__qualname__ = name
    extremum.__doc__ = f"The {f.__name__} of what is not NaN; NaN where nothing is. As `numpy.{name}`."
    return implements(getattr(np, name))(extremum)


nanmax = _nan_extremum(max, -np.inf)
nanmin = _nan_extremum(min, np.inf)


@implements(np.nanvar)
def nanvar(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=_NONE, correction=_NONE):
    """The variance of what is not NaN. As `numpy.nanvar`."""
    return _variance("nanvar", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


@implements(np.nanstd)
def nanstd(a, axis=None, dtype=None, out=None, ddof=0, keepdims=False, *, where=True, mean=_NONE, correction=_NONE):
    """The standard deviation of what is not NaN; its derivative is 0 where it is 0. As `numpy.nanstd`."""
    return _variance("nanstd", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


# np.add.reduce(x) and its like; methods


def _method(f):
    def method(array, axis=0, dtype=None, out=None, **kwargs):
        no_out(f.__name__, None if out == (None,) else out)
        return f(as_dtype(as_array(array), dtype), axis, **kwargs)

    return method


def _install():
    for ufunc, f in {
        np.add: sum,
        np.multiply: prod,
        np.maximum: max,
        np.minimum: min,
        np.logical_and: all,
        np.logical_or: any,
    }.items():
        UFUNC_METHODS[ufunc, "reduce"] = _method(f)
    for f in (sum, prod, max, min, mean, var, std, all, any, ptp):
        setattr(Tensor, f.__name__, f)


_install()
