"""Order: sort, partition, argsort, argmax, searchsorted, unique, and the order statistics median and quantile.

Sorting is taking: the values at the places that argsort finds, so its derivative puts each cotangent back at its place.
Places themselves have no derivative. Of tied values each keeps its own place (a stable order).
"""

import math

import numpy as np

from ..core.errors import MissingRuleError, MutationError
from ..core.errors import where as at
from ..core.op import Op, bind, is_plain
from ..core.tensor import Tensor, concrete, is_tensor, peek, untracked
from ..core.types import Array, typeof
from .kinds import as_array, axes_from_end, axis_from_end, implements, no_out
from .shape import shape_of
from .take import take, take_along_axis

_INTP = np.dtype(np.intp)


def _case(rng, *dims, **params):
    return ((rng.normal(size=dims),), params)


# Places


def _order(name, f, **defaults):
    # an op that gives places along one axis, of the shape of its argument
    op = Op(
        name,
        f,
        kind="nondiff",
        type=lambda x, **params: Array(x.shape, _INTP),
        batch=lambda size, batched, x, **params: bind(op, x, **params),
        sample=lambda rng: [_case(rng, 4, axis=-1, **defaults), _case(rng, 3, 4, axis=-2, **defaults)],
    )
    return op


def _stable(x, axis):
    """The places that sort x in a stable order. NumPy's quick order is that too where no two elements are equal."""
    if x.size > 1000 and x.dtype.kind == "f":
        places = np.argsort(x, axis)
        sorted_ = np.moveaxis(x[places] if x.ndim == 1 else np.take_along_axis(x, places, axis), axis, -1)
        if (sorted_[..., 1:] > sorted_[..., :-1]).all():  # a NaN is greater than nothing
            return places
    return np.argsort(x, axis, kind="stable")


_argsort = _order("argsort", _stable)
_argpartition = _order("argpartition", lambda x, axis, kth: np.argpartition(x, kth, axis), kth=1)


def _extreme(name, f):
    def type(x, axis):
        s = list(x.shape)
        del s[axis]
        return Array(tuple(s), _INTP)

    op = Op(
        name,
        f,
        kind="nondiff",
        type=type,
        batch=lambda size, batched, x, axis: bind(op, x, axis=axis),
        sample=lambda rng: [_case(rng, 4, axis=-1), _case(rng, 3, 4, axis=-2)],
    )

    def extreme(a, axis=None, out=None, *, keepdims=False):
        no_out(name, out)
        a = as_array(a)
        n = len(shape_of(a))
        if axis is None:
            y = bind(op, np.ravel(a), axis=-1)
            return np.reshape(y, (1,) * n) if keepdims else y
        axis = axis_from_end(axis, n)
        y = bind(op, a, axis=axis)
        return np.expand_dims(y, axis) if keepdims else y

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = f"The place of the first such element, along an axis or in the flattened a. As `numpy.{name}`."
    return implements(getattr(np, name))(extreme)


argmax = _extreme("argmax", lambda x, axis: np.argmax(x, axis))
argmin = _extreme("argmin", lambda x, axis: np.argmin(x, axis))
nanargmax = _extreme("nanargmax", lambda x, axis: np.nanargmax(x, axis))
nanargmin = _extreme("nanargmin", lambda x, axis: np.nanargmin(x, axis))


def _line(a, axis):
    """(array, negative axis) for a function whose axis=None means the flattened array."""
    if axis is None:
        return np.ravel(a), -1
    a = as_array(a)
    return a, axis_from_end(axis, len(shape_of(a)))


def _no_order(name, order):
    if order is not None:
        raise MissingRuleError(f"{name}(..., order=) is for structured arrays; a tensor holds numbers{at()}")


@implements(np.argsort)
def argsort(a, axis=-1, kind=None, order=None, *, stable=None, descending=False):
    """The places that sort a, in a stable order; `descending` as in the array API standard. As `numpy.argsort`."""
    _no_order("argsort", order)
    a, axis = _line(a, axis)
    if not descending:
        return bind(_argsort, a, axis=axis)
    # of equal elements the first stays first: the turned lines are sorted, and their places turned back
    return shape_of(a)[axis] - 1 - np.flip(bind(_argsort, np.flip(a, axis), axis=axis), axis)


@implements(np.argpartition)
def argpartition(a, kth, axis=-1, kind="introselect", order=None):
    """The places that partition a. As `numpy.argpartition`."""
    _no_order("argpartition", order)
    a, axis = _line(a, axis)
    return bind(_argpartition, a, axis=axis, kth=kth)


@implements(np.lexsort)
def lexsort(keys, axis=-1):
    """The places that sort by several keys, the last one first. As `numpy.lexsort`."""
    keys = list(map(as_array, keys))
    axis = axis_from_end(axis, len(shape_of(keys[0])))
    return bind(_lexsort, *keys, axis=axis)


_lexsort = Op(
    "lexsort",
    lambda *keys, axis: np.lexsort(keys, axis),
    kind="nondiff",
    type=lambda *keys, axis: Array(keys[0].shape, _INTP),
    sample=lambda rng: [((rng.integers(0, 3, 5), rng.normal(size=5)), {"axis": -1})],
)

_searchsorted = Op(
    "searchsorted",
    lambda a, v, *sorter, side: np.searchsorted(a, v, side, *sorter),
    kind="nondiff",
    type=lambda a, v, *sorter, side: Array(v.shape, _INTP),
    sample=lambda rng: [((np.sort(rng.normal(size=5)), rng.normal(size=(2, 3))), {"side": "left"})],
)


@implements(np.searchsorted)
def searchsorted(a, v, side="left", sorter=None):
    """Where each v would be inserted into the sorted a; no derivative. As `numpy.searchsorted`."""
    return bind(_searchsorted, as_array(a), as_array(v), *([] if sorter is None else [sorter]), side=side)


@implements(np.digitize)
def digitize(x, bins, right=False):
    """The number of the bin that each x falls into; needs the bins' values; no derivative. As `numpy.digitize`."""
    bins = np.asarray(concrete(as_array(bins), "np.digitize"))
    if bins.ndim != 1:
        raise ValueError("object of too small depth for desired array" if bins.ndim == 0 else "bins must be 1-d")
    steps = np.diff(bins)
    if (steps >= 0).all():
        return searchsorted(bins, x, "left" if right else "right")
    if (steps <= 0).all():
        return len(bins) - searchsorted(bins[::-1], x, "right" if right else "left")
    raise ValueError("bins must be monotonically increasing or decreasing")


# Values


@implements(np.sort)
def sort(a, axis=-1, kind=None, order=None, *, stable=None, descending=False):
    """a in ascending order along an axis; `descending` as in the array API standard. As `numpy.sort`."""
    _no_order("sort", order)
    a, axis = _line(a, axis)
    if descending:
        return take_along_axis(a, argsort(a, axis, descending=True), axis)
    return np.sort(a, axis, kind=kind, stable=stable) if is_plain(a) else take_along_axis(a, argsort(a, axis), axis)


@implements(np.partition)
def partition(a, kth, axis=-1, kind="introselect", order=None):
    """a with the kth element of each line where sorting would put it. As `numpy.partition`."""
    _no_order("partition", order)
    a, axis = _line(a, axis)
    return np.partition(a, kth, axis) if is_plain(a) else take_along_axis(a, argpartition(a, kth, axis), axis)


@implements(np.unique)
def unique(ar, return_index=False, return_inverse=False, return_counts=False, axis=None, *, equal_nan=True, **kwargs):
    """The distinct elements; the derivative of each goes to its first place. Needs the values. As `numpy.unique`."""
    ar = as_array(ar)
    known = np.asarray(concrete(ar, "np.unique"))
    _, index, inverse, counts = np.unique(known, True, True, True, axis, equal_nan=equal_nan, **kwargs)
    y = take(ar, index, axis)
    asked = ((index, return_index), (inverse, return_inverse), (counts, return_counts))
    extra = [untracked(e) for e, wanted in asked if wanted]
    return (y, *extra) if extra else y


# Order statistics. NumPy's own functions do for plain arrays; else the lines are sorted.


def _sorted_lines(a, axis):
    """The sorted lines along some axes as the last axis, with NaN wherever a line has one; (lines, axes, rank)."""
    rank = len(shape_of(a))
    axes = axes_from_end(axis, rank)
    a = np.moveaxis(a, axes, range(-len(axes), 0))
    s = shape_of(a)
    lead = s[: rank - len(axes)]
    lines = sort(np.reshape(a, (*lead, math.prod(s[len(lead) :]))))  # not -1, which is no length where there is no line
    if typeof(lines).dtype.kind in "fc":
        lines = np.where(np.isnan(lines[..., -1:]), np.nan, lines)  # NaN sorts last
    return lines, axes, rank


def _keep(y, axes, rank, lead=0):
    # the axes that were reduced, as axes of length 1 behind `lead` new ones
    s = shape_of(y)
    rest = iter(s[lead:])
    return np.reshape(y, (*s[:lead], *(1 if i in axes else next(rest) for i in range(-rank, 0))))


@implements(np.median)
def median(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The middle value, or the mean of the two middle ones, along axes. As `numpy.median`."""
    no_out("median", out)
    a = as_array(a)
    if is_plain(a):
        return np.median(a, axis, keepdims=keepdims)
    lines, axes, rank = _sorted_lines(a, axis)
    n = shape_of(lines)[-1]
    y = (lines[..., (n - 1) // 2] + lines[..., n // 2]) / 2 if n else np.mean(lines, axis=-1)
    return _keep(y, axes, rank) if keepdims else y


# The place of the quantile q among n sorted values is n q + a + q (1 - a - b) - 1.  [Hyndman & Fan 1996, their 4 to 9]
_METHODS = {
    "linear": (1, 1),
    "lower": (1, 1),
    "higher": (1, 1),
    "nearest": (1, 1),
    "midpoint": (1, 1),
    "interpolated_inverted_cdf": (0, 1),
    "hazen": (0.5, 0.5),
    "weibull": (0, 0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}


def check_quantile(name, a, q, method, weights):
    """Raise for what a quantile of a tensor cannot be asked."""
    if typeof(a).dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    if weights is not None or method not in _METHODS:
        what = f"method={method!r}" if weights is None else "weights="
        raise MissingRuleError(
            f"{name}(..., {what}) of a tensor is not supported{at()}; the methods are {', '.join(_METHODS)}"
        )
    known, places = peek(q)
    if known and not np.all(np.greater_equal(places, 0) & np.less_equal(places, 1)):
        raise ValueError("Quantiles must be in the range [0, 1]")


@implements(np.quantile)
def quantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """The q-th quantiles along axes, between the sorted values; differentiable in a, and in q. As `numpy.quantile`."""
    no_out("quantile", out)
    a, q, weights = as_array(a), as_array(q), as_array(weights)
    if is_plain(a, q, weights):
        return np.quantile(a, q, axis, method=method, keepdims=keepdims, weights=weights)
    check_quantile("quantile", a, q, method, weights)
    lines, axes, rank = _sorted_lines(a, axis)
    n = shape_of(lines)[-1]
    dtype = typeof(lines).dtype
    if (type(q) is float or type(q) is int) and dtype.kind == "f":
        q = dtype.type(q)  # as NumPy: a Python number does not widen float32
    alpha, beta = _METHODS[method]
    place = (n - 1) * q if alpha == 1 else np.clip(n * q + (alpha + q * (1 - alpha - beta)) - 1, 0, n - 1)
    whole = {"lower": np.floor, "higher": np.ceil, "nearest": np.round}.get(method)
    y = take(lines, _as_places(whole(place)), -1) if whole else _between(lines, place, n, method == "midpoint")
    k = len(shape_of(q))
    y = np.moveaxis(y, range(-k, 0), range(k)) if k else y
    return _keep(y, axes, rank, k) if keepdims else y


def _as_places(x):
    return np.astype(x if is_tensor(x) else np.asarray(x), _INTP)


def _between(lines, place, n, middle):
    below = np.floor(place)
    t = place - below
    if middle:
        t = np.where(np.equal(t, 0), t, np.asarray(0.5, typeof(t).dtype))
    i = _as_places(below)
    lo, hi = take(lines, i, -1), take(lines, np.minimum(i + 1, n - 1), -1)
    step = hi - lo
    # from the nearer end, as NumPy does: monotonic in t
    return np.where(np.greater_equal(t, 0.5), hi - step * (1 - t), lo + step * t)


@implements(np.percentile)
def percentile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """The q-th percentiles along axes; q is in percent. As `numpy.percentile`."""
    a = as_array(a)
    kind = typeof(a).dtype
    q = np.true_divide(
        as_array(q), kind.type(100) if kind.kind == "f" else 100
    )  # a Python number stays float32 beside one
    return quantile(a, q, axis, out, overwrite_input, method, keepdims, weights=weights)


def _sort_in_place(x, *args, **kwargs):
    raise MutationError(f"x.sort() writes into a tensor{at()}; use np.sort(x), which returns the sorted values")


def _install():
    Tensor.sort = Tensor.partition = _sort_in_place
    Tensor.argsort = lambda x, axis=-1, kind=None, order=None, *, stable=None: argsort(x, axis, kind, order)
    Tensor.argpartition = lambda x, kth, axis=-1, kind="introselect", order=None: argpartition(x, kth, axis)
    Tensor.searchsorted = lambda x, v, side="left", sorter=None: searchsorted(x, v, side, sorter)
    Tensor.argmax = lambda x, axis=None, out=None, *, keepdims=False: argmax(x, axis, out, keepdims=keepdims)
    Tensor.argmin = lambda x, axis=None, out=None, *, keepdims=False: argmin(x, axis, out, keepdims=keepdims)


_install()
