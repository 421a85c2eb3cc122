"""Statistics: cov, corrcoef, quantiles without NaN, histograms and bincount (differentiable in their weights)."""

import math

import numpy as np

from ..core.op import is_plain
from ..core.op import shape as shape_of
from ..core.tensor import concrete, is_tensor, untracked
from ..core.types import typeof
from ..primitives.index import index_add
from ..primitives.kinds import as_array, implements, no_out
from ..primitives.reduce import as_dtype
from ..primitives.sort import _METHODS, _as_places, _keep, check_quantile
from ..primitives.sort import axes_from_end as _axes
from ..primitives.take import take


@implements(np.cov)
def cov(m, y=None, rowvar=True, bias=False, ddof=None, fweights=None, aweights=None, *, dtype=None):
    """The covariance matrix of variables (rows); differentiable in m, y and aweights. As `numpy.cov`."""
    m, y, aweights = as_array(m), as_array(y), as_array(aweights)
    if is_plain(m, y, fweights, aweights):
        return np.cov(m, y, rowvar, bias, ddof, fweights, aweights, dtype=dtype)
    if len(shape_of(m)) > 2 or (y is not None and len(shape_of(y)) > 2):
        raise ValueError("m and y have more than 2 dimensions")

    def rows(a):
        line = len(shape_of(a)) < 2
        a = np.atleast_2d(a)
        return a if rowvar or line else np.matrix_transpose(a)

    x = rows(m)
    if y is not None:
        x = np.concatenate([x, rows(y)])
    x = np.astype(x, np.result_type(typeof(x).dtype, np.float64) if dtype is None else dtype)
    ddof = (0 if bias else 1) if ddof is None else ddof
    w = None
    if fweights is not None:
        w = np.asarray(concrete(as_array(fweights), "fweights of np.cov"), float)
        if (w != np.around(w)).any():
            raise TypeError("fweights must be integer")
        if (w < 0).any():
            raise ValueError("fweights cannot be negative")
    if aweights is not None:
        w = aweights if w is None else w * aweights
    if w is None:
        total = shape_of(x)[1]
        mean = np.mean(x, axis=1, keepdims=True)
    else:
        if shape_of(w) != shape_of(x)[1:]:
            raise RuntimeError("incompatible numbers of samples and weights")
        total = np.sum(w)
        mean = np.sum(x * w, axis=1, keepdims=True) / total
    if w is None or ddof == 0 or aweights is None:
        fact = total - ddof
    else:
        fact = total - ddof * np.sum(w * aweights) / total
    x = x - mean
    right = x if w is None else x * w
    if typeof(right).dtype.kind == "c":
        right = np.conjugate(right)
    y = np.squeeze((x @ right.T) * (1.0 / fact if w is not None else np.true_divide(1, max(fact, 0))))
    return as_dtype(y, typeof(x).dtype)


@implements(np.corrcoef)
def corrcoef(x, y=None, rowvar=True, *, dtype=None):
    """The correlation coefficients of variables (rows). As `numpy.corrcoef`."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not shape_of(c):
        return c / c
    s = np.sqrt(np.real(np.diagonal(c)))
    c = c / s[:, None] / s[None, :]
    if typeof(c).dtype.kind == "c":
        return np.clip(np.real(c), -1, 1) + 1j * np.clip(np.imag(c), -1, 1)
    return np.clip(c, -1, 1)


# Order statistics of what is not NaN: sorted lines have their NaNs last, and each line its own count


def _counted_lines(a, axis):
    rank = len(shape_of(a))
    axes = _axes(axis, rank)
    a = np.moveaxis(a, axes, range(-len(axes), 0))
    lead, line = shape_of(a)[: rank - len(axes)], shape_of(a)[rank - len(axes) :]
    lines = np.sort(np.reshape(a, (*lead, math.prod(line))), axis=-1)
    if 0 in line:  # of nothing it is NaN
        lines = np.full((*lead, 1), np.nan, np.result_type(typeof(lines).dtype, np.float16))
    n = np.sum(np.isfinite(lines) | np.isinf(lines), axis=-1)
    return lines, n, axes, rank


def _at(lines, places):
    return np.take_along_axis(lines, places, axis=-1)


@implements(np.nanmedian)
def nanmedian(a, axis=None, out=None, overwrite_input=False, keepdims=False):
    """The median of what is not NaN. As `numpy.nanmedian`."""
    no_out("nanmedian", out)
    a = as_array(a)
    if is_plain(a):
        return np.nanmedian(a, axis, keepdims=keepdims)
    lines, n, axes, rank = _counted_lines(a, axis)
    n = np.maximum(n, 1)[..., None]
    y = ((_at(lines, (n - 1) // 2) + _at(lines, n // 2)) / 2)[..., 0]
    return _keep(y, axes, rank) if keepdims else y


@implements(np.nanquantile)
def nanquantile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """The q-th quantiles of what is not NaN; differentiable in a and q. As `numpy.nanquantile`."""
    no_out("nanquantile", out)
    a, q, weights = as_array(a), as_array(q), as_array(weights)
    if is_plain(a, q, weights):
        return np.nanquantile(a, q, axis, method=method, keepdims=keepdims, weights=weights)
    check_quantile("nanquantile", a, q, method, weights)
    lines, n, axes, rank = _counted_lines(a, axis)
    dtype = typeof(lines).dtype
    k = len(shape_of(q))
    flat = np.reshape(q, -1)
    if typeof(q).weak and dtype.kind == "f":
        flat = np.astype(flat, dtype)
    n = np.astype(np.maximum(n, 1)[..., None], typeof(flat).dtype if typeof(flat).dtype.kind == "f" else np.float64)
    alpha, beta = _METHODS[method]
    if alpha == 1:
        place = (n - 1) * flat
    else:
        place = np.minimum(np.maximum(n * flat + (alpha + flat * (1 - alpha - beta)) - 1, 0), n - 1)
    whole = {"lower": np.floor, "higher": np.ceil, "nearest": np.round}.get(method)
    if whole:
        y = _at(lines, _as_places(whole(place)))
    else:
        below = np.floor(place)
        t = place - below
        if method == "midpoint":
            t = np.where(np.equal(t, 0), t, np.asarray(0.5, typeof(t).dtype))
        lo, hi = _at(lines, _as_places(below)), _at(lines, _as_places(np.minimum(below + 1, n - 1)))
        y = np.where(np.greater_equal(t, 0.5), hi - (hi - lo) * (1 - t), lo + (hi - lo) * t)
    y = np.reshape(np.moveaxis(y, -1, 0), (*shape_of(q), *shape_of(y)[:-1]))
    return _keep(y, axes, rank, k) if keepdims else y


@implements(np.nanpercentile)
def nanpercentile(a, q, axis=None, out=None, overwrite_input=False, method="linear", keepdims=False, *, weights=None):
    """The q-th percentiles of what is not NaN; q is in percent. As `numpy.nanpercentile`."""
    a = as_array(a)
    kind = typeof(a).dtype
    q = np.true_divide(as_array(q), kind.type(100) if kind.kind == "f" else 100)
    return nanquantile(a, q, axis, out, overwrite_input, method, keepdims, weights=weights)


# Counting: bins are found from the values; the derivative goes to the weights, and to the edges where they move


@implements(np.bincount)
def bincount(x, /, weights=None, minlength=0):
    """How often each number occurs, or the sum of its weights; differentiable in these. As `numpy.bincount`."""
    tensor = is_tensor(x)
    x = np.asarray(concrete(as_array(x), "np.bincount")) if is_tensor(x) or len(x) else np.zeros(0, int)
    weights = as_array(weights)
    if is_plain(weights):
        y = np.bincount(x, weights, minlength)
        return untracked(y) if tensor else y
    if shape_of(weights) != x.shape:
        raise ValueError("The weights and list don't have the same length.")
    n = len(np.bincount(x, minlength=minlength))
    dtype = np.float64 if typeof(weights).dtype.kind != "c" else weights.dtype
    return index_add(np.zeros(n, dtype), x, weights)


def _values(x, name):
    return np.asarray(concrete(x, name)) if is_tensor(x) else x


def _edges(a, bins, range, weights, name):
    """(edges to return, their values): edges that follow from the data's ends keep their derivative."""
    if np.ndim(_values(bins, name)) == 1:
        return bins, np.asarray(_values(bins, name))
    low, high = (None, None) if range is None else range
    plain = None if range is None else (_values(low, name), _values(high, name))
    given = np.asarray(_values(weights, name)) if isinstance(bins, str) and weights is not None else None
    values = np.histogram_bin_edges(np.asarray(_values(a, name)), _values(bins, name), plain, given)
    if is_plain(a, low, high):
        return values, values
    if range is None:
        a = np.reshape(a, -1)
        low, high = (np.min(a), np.max(a)) if shape_of(a)[0] else (0.0, 1.0)
    if _values(low, name) == _values(high, name):
        low, high = low - 0.5, high + 0.5
    return np.astype(np.linspace(low, high, len(values)), values.dtype), values


@implements(np.histogram_bin_edges)
def histogram_bin_edges(a, bins=10, range=None, weights=None):
    """The edges of a histogram; they follow the least and the greatest of a. As `numpy.histogram_bin_edges`."""
    return _edges(as_array(a), as_array(bins), range, as_array(weights), "np.histogram_bin_edges")[0]


def _places(a, edges):
    # the last bin has both its ends
    return np.where(a == edges[-1], len(edges) - 2, np.searchsorted(edges, a, "right") - 1)


@implements(np.histogram)
def histogram(a, bins=10, range=None, density=None, weights=None):
    """Counts, or sums of weights, in bins; differentiable in the weights and in the edges. As `numpy.histogram`."""
    a, bins, weights = as_array(a), as_array(bins), as_array(weights)
    edges, values = _edges(a, bins, range, weights, "np.histogram")
    known = np.reshape(np.asarray(_values(a, "np.histogram")), -1)
    if is_plain(weights):
        n = np.histogram(known, values, weights=None if weights is None else np.reshape(weights, -1))[0]
    else:
        if shape_of(weights) != shape_of(a):
            raise ValueError("weights should have the same shape as a.")
        inside = np.flatnonzero((known >= values[0]) & (known <= values[-1]))
        n = index_add(
            np.zeros(len(values) - 1, typeof(weights).dtype),
            _places(known[inside], values),
            take(np.reshape(weights, -1), inside),
        )
    if density:
        n = n / np.diff(edges) / np.sum(n)
    return n, edges


@implements(np.histogramdd)
def histogramdd(sample, bins=10, range=None, density=None, weights=None):
    """Counts, or sums of weights, in boxes; differentiable in the weights and in the edges. As `numpy.histogramdd`."""
    name = "np.histogramdd"
    columns = sample if type(sample) in (list, tuple) else None
    if columns is None:
        sample = np.atleast_2d(as_array(sample)) if len(shape_of(sample)) != 1 else np.reshape(sample, (-1, 1))
        columns = [sample[:, i] for i in np.arange(shape_of(sample)[1])]
    columns = list(map(as_array, columns))
    d = len(columns)
    weights = as_array(weights)
    bins = list(bins) if np.iterable(bins) else [bins] * d
    if len(bins) != d:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    ranges = [None] * d if range is None else list(range)
    if len(ranges) != d:
        raise ValueError("range argument must have one entry per dimension")
    both = [_edges(c, as_array(b), r, None, name) for c, b, r in zip(columns, bins, ranges, strict=True)]
    values = [v for _, v in both]
    known = [np.asarray(_values(c, name)) for c in columns]
    inside = np.ones(len(known[0]), bool)
    for c, v in zip(known, values, strict=True):
        inside &= (c >= v[0]) & (c <= v[-1])
    inside = np.flatnonzero(inside)
    shape = tuple(len(v) - 1 for v in values)
    place = tuple(_places(c[inside], v) for c, v in zip(known, values, strict=True))
    w = np.ones(len(known[0])) if weights is None else weights
    n = index_add(np.zeros(shape, np.result_type(typeof(w).dtype, float)), place, take(w, inside))
    if density:
        total = np.sum(n)
        for i, (e, _) in enumerate(both):
            n = n / np.reshape(np.diff(e), (-1, *(1,) * (d - i - 1)))
        n = n / total
    return n, tuple(e for e, _ in both)


@implements(np.histogram2d)
def histogram2d(x, y, bins=10, range=None, density=None, weights=None):
    """Counts, or sums of weights, in rectangles. As `numpy.histogram2d`."""
    x, y = as_array(x), as_array(y)
    if shape_of(x) != shape_of(y):
        raise ValueError("x and y must have the same length.")
    if np.iterable(bins) and len(bins) not in (1, 2):
        bins = [bins, bins]
    n, edges = histogramdd([x, y], bins, range, density, weights)
    return n, edges[0], edges[1]
