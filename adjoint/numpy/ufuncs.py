"""The ufuncs' methods: reduce, accumulate, reduceat, outer, at. Composed from the ufunc itself, where no op does it.

Loaded after everything that gives a ufunc its rule.
"""

import math

import numpy as np

from ..core.errors import MutationError
from ..core.errors import where as at
from ..core.op import shape as shape_of
from ..core.tensor import UFUNC_METHODS, UFUNCS, is_tensor, update
from ..core.types import typeof
from ..primitives.index import index_add
from ..primitives.kinds import as_array, axes_from_end, axis_from_end, no_out

_ORDERLESS = (
    np.add, np.multiply, np.maximum, np.minimum, np.fmax, np.fmin, np.logaddexp, np.logaddexp2, np.hypot,
    np.logical_and, np.logical_or, np.logical_xor, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.gcd, np.lcm,
)  # fmt: skip


def _cast(a, dtype):
    a = as_array(a)
    return a if dtype is None else np.astype(a, np.dtype(dtype))


def _halved(f, a):
    """f over the first axis, in about log2(n) calls."""
    n = shape_of(a)[0]
    while n > 1:
        half = n // 2
        rest = a[2 * half :]
        a = f(a[:half], a[half : 2 * half])
        if n % 2:
            a = np.concatenate([a, rest])
        n = shape_of(a)[0]
    return a[0]


def _in_turn(f, a):
    y = a[0]
    for i in range(1, shape_of(a)[0]):
        y = f(y, a[i])
    return y


def _reduce(ufunc):
    """ufunc.reduce: along any axes where the order does not matter, else along one."""

    def reduce(array, axis=0, dtype=None, out=None, keepdims=False, initial=None, where=True):
        no_out(f"{ufunc.__name__}.reduce", None if out == (None,) else out)
        a = _cast(array, dtype)
        f = UFUNCS[ufunc]
        shape = shape_of(a)
        axes = axes_from_end(axis, len(shape))
        if ufunc not in _ORDERLESS and len(axes) > 1:
            raise ValueError(
                f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be specified"
            )
        if where is not True:
            start = ufunc.identity if initial is None else initial
            if start is None or ufunc not in _ORDERLESS:
                raise ValueError(
                    f"reduction operation '{ufunc.__name__}' does not have an identity, so to use a where mask one "
                    "has to specify 'initial'"
                )
            a = np.where(where, a, np.asarray(start, typeof(a).dtype))
        kept = [n for i, n in enumerate(shape) if i - len(shape) not in axes]
        if keepdims:
            full = [1 if i - len(shape) in axes else n for i, n in enumerate(shape)]
        n = math.prod(shape[i] for i in axes)
        a = np.reshape(np.moveaxis(a, axes, range(len(axes))), (n, *kept)) if axes else a[None]
        if initial is not None:
            a = np.concatenate([np.broadcast_to(np.asarray(initial, typeof(a).dtype), (1, *kept)), a])
        if not shape_of(a)[0]:
            if ufunc.identity is None:
                raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
            y = np.full(kept, ufunc.identity, typeof(a).dtype)
        else:
            y = (_halved if ufunc in _ORDERLESS else _in_turn)(f, a)
        return np.reshape(y, full) if keepdims else y

    return reduce


def _accumulate(ufunc):
    """ufunc.accumulate: by doubling where the operation is associative, else one after the other."""

    def accumulate(array, axis=0, dtype=None, out=None):
        no_out(f"{ufunc.__name__}.accumulate", None if out == (None,) else out)
        a = _cast(array, dtype)
        f = UFUNCS[ufunc]
        axis = axis_from_end(axis, len(shape_of(a)))
        a = np.moveaxis(a, axis, 0)
        n = shape_of(a)[0]
        if ufunc in _ORDERLESS:
            k = 1
            while k < n:
                a = np.concatenate([a[:k], f(a[:-k], a[k:])])
                k *= 2
        elif n:
            parts = [a[0]]
            for i in range(1, n):
                parts.append(f(parts[-1], a[i]))
            a = np.stack(parts)
        return np.moveaxis(a, 0, axis)

    return accumulate


def _reduceat(ufunc):
    """ufunc.reduceat: one reduction a segment."""

    def reduceat(array, indices, axis=0, dtype=None, out=None):
        no_out(f"{ufunc.__name__}.reduceat", None if out == (None,) else out)
        a = _cast(array, dtype)
        axis = axis_from_end(axis, len(shape_of(a)))
        a = np.moveaxis(a, axis, 0)
        n = shape_of(a)[0]
        starts = list(map(int, indices))
        for i in starts:
            if not 0 <= i < n:
                raise IndexError(f"index {i} out-of-bounds in {ufunc.__name__}.reduceat [0, {n})")
        reduce = UFUNC_METHODS[ufunc, "reduce"]
        ends = [*starts[1:], n]
        parts = [reduce(a[i:j], 0) if i < j else a[i] for i, j in zip(starts, ends, strict=True)]
        return np.moveaxis(np.stack(parts), 0, axis)

    return reduceat


def _outer(ufunc):
    """ufunc.outer: each of a with each of b."""

    def outer(a, b, /):
        a, b = as_array(a), as_array(b)
        return UFUNCS[ufunc](np.reshape(a, (*shape_of(a), *(1,) * len(shape_of(b)))), b)

    return outer


def _at(ufunc):
    """ufunc.at: it writes; into a tensor, adding and subtracting work."""

    def write(a, indices, b=None):
        if is_tensor(a) and b is not None and ufunc in (np.add, np.subtract):
            b = as_array(b)
            update(a, index_add(a, indices, b if ufunc is np.add else np.negative(b)))
            return
        raise MutationError(
            f"np.{ufunc.__name__}.at writes into its first argument, which "
            + ("has no derivative rule" if is_tensor(a) else "is a NumPy array and would lose the derivative")
            + f"{at()}; np.add.at(t, i, v) of a tensor t works (ad.numpy.zeros makes one), and t[i] = v"
        )

    return write


def _install():
    makers = {"reduce": _reduce, "accumulate": _accumulate, "reduceat": _reduceat, "outer": _outer, "at": _at}
    for ufunc in UFUNCS:
        if ufunc.nin == 1:
            UFUNC_METHODS.setdefault((ufunc, "at"), _at(ufunc))
        elif ufunc.signature is None and ufunc.nin == 2 and ufunc.nout == 1:
            for method, make in makers.items():
                UFUNC_METHODS.setdefault((ufunc, method), make(ufunc))


_install()
