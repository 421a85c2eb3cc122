"""Choosing, sets, applying along axes, and the questions that only values can answer. Compositions without rules."""

import numpy as np

from ..core.errors import LeakError
from ..core.errors import where as at
from ..core.op import is_plain
from ..core.op import shape as shape_of
from ..core.tensor import FUNCTIONS, REFUSED, UFUNCS, concrete, is_tensor, peek
from ..core.types import typeof
from ..primitives.compare import _by_value
from ..primitives.index import index_set
from ..primitives.kinds import as_array, axis_from_end, implements, no_out, nondiff
from ..primitives.take import take


@implements(np.piecewise)
def piecewise(x, condlist, funclist, *args, **kw):
    """Functions of x, each where its condition holds; the last one elsewhere. As `numpy.piecewise`."""
    x = as_array(x)
    if is_plain(x) and isinstance(x, np.ndarray) and type(x) is not np.ndarray:  # a matrix, a masked array
        return np.piecewise(x, condlist, funclist, *args, **kw)
    if is_plain(x) and type(condlist) not in (list, tuple) and is_plain(condlist) and all(map(callable, funclist)):
        return np.piecewise(x, condlist, funclist, *args, **kw)
    if np.isscalar(condlist) or (
        not is_tensor(condlist[0]) and not isinstance(condlist[0], (list, np.ndarray)) and shape_of(x)
    ):
        condlist = [condlist]
    conditions = [np.astype(as_array(c) if is_tensor(c) else np.asarray(c), bool) for c in condlist]
    if len(funclist) == len(conditions) + 1:
        rest = conditions[0]
        for c in conditions[1:]:
            rest = rest | c
        conditions.append(~rest)
    elif len(funclist) != len(conditions):
        n = len(conditions)
        raise ValueError(f"with {n} condition(s), either {n} or {n + 1} functions are expected")
    y = np.zeros(shape_of(x), typeof(x).dtype)
    for condition, f in zip(conditions, funclist, strict=True):
        known, where = peek(condition)
        if not callable(f):
            y = np.where(condition, f, y)
        elif not known:
            y = np.where(condition, f(x, *args, **kw), y)
        elif np.any(where):
            y = index_set(y, np.asarray(where), f(x[np.asarray(where)], *args, **kw))
    return y


@implements(np.apply_along_axis)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """func1d of each line of arr, as an array. As `numpy.apply_along_axis`."""
    arr = as_array(arr)
    if is_plain(arr) and type(arr) is not np.ndarray:  # a matrix, a masked array
        return np.apply_along_axis(func1d, axis, arr, *args, **kwargs)
    axis = axis_from_end(axis, len(shape_of(arr)))
    moved = np.moveaxis(arr, axis, -1)
    outer = shape_of(moved)[:-1]
    if 0 in outer:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    results = [as_array(func1d(moved[i], *args, **kwargs)) for i in np.ndindex(*outer)]
    inner = shape_of(results[0])
    y = np.reshape(np.stack(results), (*outer, *inner))
    k = len(outer) + axis + 1  # where the line's own axis was
    return np.moveaxis(y, range(len(outer), len(outer) + len(inner)), range(k, k + len(inner)))


@implements(np.apply_over_axes)
def apply_over_axes(func, a, axes):
    """func(a, axis) for one axis after the other. As `numpy.apply_over_axes`."""
    y = as_array(a)
    rank = len(shape_of(y))
    for axis in axes if np.iterable(axes) else (axes,):
        axis = axis + rank if axis < 0 else axis
        r = func(y, axis)
        if len(shape_of(r)) != rank:
            r = np.expand_dims(r, axis)
            if len(shape_of(r)) != rank:
                raise ValueError("function is not returning an array of the correct shape")
        y = r
    return y


# Sets: which elements stay is decided by their values; each that stays keeps its derivative


def _known(x, name):
    return np.asarray(concrete(x, name)) if is_tensor(x) else np.asarray(x)


def _flat(x):
    return np.reshape(as_array(x), -1)


@implements(np.union1d)
def union1d(ar1, ar2):
    """The distinct elements of both. As `numpy.union1d`."""
    return np.unique(np.concatenate([_flat(ar1), _flat(ar2)]))


@implements(np.intersect1d)
def intersect1d(ar1, ar2, assume_unique=False, return_indices=False):
    """The elements in both; the derivative goes to those of ar1. As `numpy.intersect1d`."""
    a, b = _flat(ar1), _flat(ar2)
    _, i, j = np.intersect1d(_known(a, "np.intersect1d"), _known(b, "np.intersect1d"), assume_unique, True)
    y = take(a, i)
    return (y, i, j) if return_indices else y


@implements(np.setdiff1d)
def setdiff1d(ar1, ar2, assume_unique=False):
    """The elements of ar1 that are not in ar2. As `numpy.setdiff1d`."""
    a = _flat(ar1) if assume_unique else np.unique(as_array(ar1))
    return a[~np.isin(_known(a, "np.setdiff1d"), _known(_flat(ar2), "np.setdiff1d"))]


@implements(np.setxor1d)
def setxor1d(ar1, ar2, assume_unique=False):
    """The elements in one of the two. As `numpy.setxor1d`."""
    a, b = (_flat(x) if assume_unique else np.unique(as_array(x)) for x in (ar1, ar2))
    known, other = _known(a, "np.setxor1d"), _known(b, "np.setxor1d")
    return np.sort(np.concatenate([a[~np.isin(known, other)], b[~np.isin(other, known)]]))


@implements(np.unique_values)
def unique_values(x):
    """The distinct elements, in ascending order. As `numpy.unique_values`."""
    return np.unique(x, equal_nan=False)


def _unique_several(name, *which):
    f = getattr(np, name)

    def several(x):
        y = np.unique(x, True, True, True, equal_nan=False)
        return type(f(np.zeros(1)))(*(y[i] for i in which))

    several.__name__ = several.__qualname__ = name
    several.__doc__ = f"The distinct elements and their places or counts. As `numpy.{name}`."
    implements(f)(several)


_unique_several("unique_all", 0, 1, 2, 3)
_unique_several("unique_counts", 0, 3)
_unique_several("unique_inverse", 0, 2)


@implements(np.trim_zeros)
def trim_zeros(filt, trim="fb", axis=None):
    """filt without its leading and trailing zeros. As `numpy.trim_zeros`."""
    filt = as_array(filt)
    known = _known(filt, "np.trim_zeros")
    if is_plain(filt):
        return np.trim_zeros(filt, trim, axis)
    ends = np.argwhere(known)
    trim = trim.lower()
    rank = known.ndim
    axes = range(rank) if axis is None else [a % rank for a in (axis if np.iterable(axis) else (axis,))]
    cuts = [slice(None)] * rank
    for a in axes:
        if len(ends):
            start = int(ends[:, a].min()) if "f" in trim else 0
            stop = int(ends[:, a].max()) + 1 if "b" in trim else known.shape[a]
        else:
            start, stop = (0, 0) if trim else (0, known.shape[a])
        cuts[a] = slice(start, stop)
    return filt[tuple(cuts)]


@implements(np.sort_complex)
def sort_complex(a):
    """a in ascending order of real parts, then imaginary ones, as complex numbers. As `numpy.sort_complex`."""
    b = np.sort(as_array(a))
    return b if typeof(b).dtype.kind == "c" else np.astype(b, np.complex128)


# Ufuncs with two results, and kin


@implements(np.divmod)
def divmod(x, y, /):
    """(floor_divide(x, y), mod(x, y)). As `numpy.divmod`."""
    return np.floor_divide(x, y), np.mod(x, y)


@implements(np.modf)
def modf(x, /):
    """The fractional part, of derivative one, and the integral part. As `numpy.modf`."""
    whole = np.trunc(x)
    return np.copysign(np.where(np.isinf(x), 0.0 * np.asarray(1, typeof(whole).dtype), x - whole), x), whole


_exponent = nondiff("frexp_exponent", lambda x: np.frexp(x)[1])


@implements(np.frexp)
def frexp(x, /):
    """Mantissa, differentiable, and exponent of each number. As `numpy.frexp`."""
    e = _exponent(x)
    half = -(e // 2)  # in two steps: 2**-e itself may overflow
    return np.ldexp(np.ldexp(x, half), -e - half), e


@implements(np.float_power)
def float_power(x1, x2, /):
    """x1**x2 in float64 at least. As `numpy.float_power`."""

    def wide(x):
        x = as_array(x)
        kind = typeof(x)
        return (
            x
            if kind.weak and kind.dtype.kind in "fc"
            else np.astype(x if is_tensor(x) else np.asarray(x), np.result_type(kind.dtype, np.float64))
        )

    return np.power(wide(x1), wide(x2))


@implements(np.fix)
def fix(x, out=None):
    """x rounded to the integer nearer to zero; no derivative. As `numpy.fix`."""
    no_out("fix", out)
    return np.trunc(x)


if np.bitwise_count not in UFUNCS:
    nondiff("bitwise_count", np.bitwise_count, integers=True)


@implements(np.linalg.diagonal)
def _linalg_diagonal(x, /, *, offset=0):
    """The diagonals of the matrices in the last two axes. As `numpy.linalg.diagonal`."""
    return np.diagonal(x, offset, -2, -1)


@implements(np.linalg.matrix_transpose)
def _linalg_matrix_transpose(x, /):
    """The last two axes exchanged. As `numpy.linalg.matrix_transpose`."""
    return np.matrix_transpose(x)


# Questions: of shapes, dtypes or integer values


@implements(np.einsum_path)
def einsum_path(*operands, optimize="greedy", einsum_call=False):
    """The order in which einsum would contract; it depends on shapes alone. As `numpy.einsum_path`."""
    shapes = [np.broadcast_to(np.zeros(()), shape_of(x)) if is_tensor(x) else x for x in operands]
    return np.einsum_path(*shapes, optimize=optimize, einsum_call=einsum_call)


for _f in (
    np.ix_, np.ravel_multi_index, np.unravel_index, np.packbits, np.unpackbits, np.common_type, np.min_scalar_type,
    np.tril_indices_from, np.triu_indices_from, np.diag_indices_from,
):  # fmt: skip
    if _f not in FUNCTIONS:
        _by_value(_f)


# What would lose a derivative, with the way out


def _leaks(f, what):
    def refuse(*args, **kwargs):
        from ..core.tensor import _plain

        try:
            return f(*_plain(args), **_plain(kwargs))
        except LeakError:
            raise LeakError(
                f"np.{f.__name__} {what} a tensor that is being differentiated and would lose its derivative{at()}; "
                "return it with has_aux=True, or pass ad.stop_gradient(x)"
            ) from None

    refuse.__name__ = f.__name__
    refuse.__doc__ = f"As `numpy.{f.__name__}`, of tensors that nobody differentiates."
    implements(f)(refuse)
    REFUSED[f] = f"it {what} values, which have no derivative; pass ad.stop_gradient(x)"


for _save in (np.save, np.savez, np.savez_compressed, np.savetxt):
    _leaks(_save, "writes to a file")
for _date in (np.isnat, np.busday_count, np.busday_offset, np.is_busday, np.datetime_as_string):
    REFUSED[_date] = "it is about dates, and a tensor holds numbers; there is nothing to differentiate"


# Questions about values that are not known, captured or batched: the answers are not known either.
# (What answers with one of Python's own two bools, as allclose, is answered in rewritten code alone, where `is` can wait.)


def _isclose(a, b, rtol=1e-05, atol=1e-08, equal_nan=False):
    a, b = as_array(a), as_array(b)
    b = b * 1.0  # the smallest integer has no absolute value, and bools have no difference
    with np.errstate(invalid="ignore"):
        near = (np.abs(a - b) <= atol + rtol * np.abs(b)) & np.isfinite(b) | (a == b)
    return near | (np.isnan(a) & np.isnan(b)) if equal_nan else near


def _isin(element, test_elements, assume_unique=False, invert=False, *, kind=None):
    found = np.any(np.expand_dims(as_array(element), -1) == np.reshape(as_array(test_elements), -1), axis=-1)
    return ~found if invert else found


_ASKED: dict = {
    np.isclose: _isclose, np.isin: _isin,
    np.isposinf: lambda x, out=None: x == np.inf,
    np.isneginf: lambda x, out=None: x == -np.inf,
    np.isreal: lambda x: np.imag(x) == 0 if typeof(x).dtype.kind == "c" else np.ones(shape_of(x), bool),
    np.iscomplex: lambda x: np.imag(x) != 0 if typeof(x).dtype.kind == "c" else np.zeros(shape_of(x), bool),
}  # fmt: skip
for _asked, _otherwise in _ASKED.items():
    _by_value(_asked, _otherwise)
