"""The rest of ndarray's methods on tensors, and of the ufuncs' methods: accumulate, reduce, reduceat, outer, at."""

import numpy as np

from ..core.errors import LeakError, MutationError
from ..core.errors import where as at
from ..core.op import shape as shape_of
from ..core.tensor import UFUNC_METHODS, UFUNCS, Tensor, is_tensor, peek, release, update
from ..core.types import typeof
from ..primitives.index import index_add
from ..primitives.kinds import as_array, axes_from_end, axis_from_end, no_out

# Tensor: what reads


def _clip(x, min=None, max=None, out=None, **kwargs):
    """As `numpy.ndarray.clip`."""
    return np.clip(x, min, max, out, **kwargs)


def _round(x, decimals=0, out=None):
    """As `numpy.ndarray.round`."""
    return np.round(x, decimals, out)


def _view(x, *args, **kwargs):
    """As `numpy.ndarray.view`, without a new dtype."""
    wanted = args + tuple(kwargs.values())
    if all(w in (np.ndarray, typeof(x).dtype) for w in wanted):
        return x[...]
    raise MutationError(
        f"x.view({', '.join(map(repr, wanted))}) reads the bytes of a tensor as another type, which has no derivative{at()}; "
        "use x.astype(dtype), or np.real(x) and np.imag(x) for the parts of complex numbers"
    )


def _layout(x):
    known, value = peek(x)
    return np.asarray(value) if known else np.broadcast_to(np.zeros((), typeof(x).dtype), shape_of(x))


def _namespace(x, /, *, api_version=None):
    """The namespace of this array, `adjoint.numpy`: the array API standard's entry."""
    from .. import numpy

    return numpy


def _to_device(x, device, /, *, stream=None):
    """The tensor itself, on the one device there is."""
    if device != "cpu" or stream is not None:
        raise ValueError(f"tensors live on the device 'cpu', without streams; not {device!r}, {stream!r}")
    return x


def _dlpack(x, *, stream=None, max_version=None, dl_device=None, copy=None):
    """The memory of a tensor that nobody differentiates, for another library. As `numpy.ndarray.__dlpack__`."""
    value = np.asarray(release(x, "__dlpack__()"))
    return value.__dlpack__(stream=stream, max_version=max_version, dl_device=dl_device, copy=copy)


def _contains(x, value):
    return bool(np.any(np.equal(x, value)))


# What leaks, and what writes


def _leaking(name):
    def method(x, *args, **kwargs):
        return getattr(np.asarray(release(x, f".{name}()")), name)(*args, **kwargs)

    method.__doc__ = f"As `numpy.ndarray.{name}`, of a tensor that nobody differentiates."
    return method


def _refusing(name, way):
    what = "reads" if name == "getfield" else "writes into"

    def method(x, *args, **kwargs):
        raise MutationError(f"x.{name}(...) {what} the memory of a tensor{at()}; {way}")

    method.__doc__ = f"Refused: {way}."
    return method


def _absent(name, way):
    def get(x):
        raise AttributeError(f"a tensor has no .{name}: it is no piece of memory; {way}")

    return property(get, doc=f"Refused: {way}.")


def _fill(x, value):
    """x[...] = value. As `numpy.ndarray.fill`."""
    x[...] = value


def _methods():
    found = {
        "clip": _clip,
        "round": _round,
        "view": _view,
        "fill": _fill,
        "to_device": _to_device,
        "__array_namespace__": _namespace,
        "__contains__": _contains,
        "__rdivmod__": lambda b, a: np.divmod(a, b),
        "flags": property(lambda x: _layout(x).flags, doc="The memory layout of the value."),
        "strides": property(lambda x: _layout(x).strides, doc="The memory layout of the value."),
        "base": property(lambda x: None, doc="None: a tensor owns its value, as far as its user sees."),
        "__dlpack__": _dlpack,
        "__dlpack_device__": lambda x: (1, 0),
        "put": _refusing("put", "write x[indices] = values"),
        "resize": _refusing("resize", "use np.resize(x, shape), which returns the result"),
        "setfield": _refusing("setfield", "write x[...] = values"),
        "setflags": _refusing("setflags", "tensors are always writable"),
        "getfield": _refusing("getfield", "use x.astype(dtype)"),
        "data": _absent("data", "use x itself, or x.numpy() for a copy of the values"),
        "ctypes": _absent("ctypes", "use x.numpy().ctypes for a copy of the values"),
    }
    for name in ("tobytes", "tofile", "dump", "dumps", "byteswap"):
        found[name] = _leaking(name)
    for name, f in {
        "and": np.bitwise_and,
        "or": np.bitwise_or,
        "xor": np.bitwise_xor,
        "lshift": np.left_shift,
        "rshift": np.right_shift,
        "floordiv": np.floor_divide,
    }.items():
        found[f"__i{name}__"] = lambda a, b, f=f: update(a, f(a, b))
    return found


# Methods of ufuncs

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
            raise ValueError(f"reduction operation '{ufunc.__name__}' is not reorderable, so at most one axis may be specified")
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
        a = np.reshape(np.moveaxis(a, axes, range(len(axes))), (-1, *kept)) if axes else a[None]
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
    for name, f in _methods().items():
        if name not in vars(Tensor) or (name == "__contains__"):
            if getattr(f, "__name__", "").startswith("_") or getattr(f, "__name__", "") in ("<lambda>", "method"):
                f.__name__ = name
                f.__qualname__ = f"Tensor.{name}"
            setattr(Tensor, name, f)
    for ufunc in UFUNCS:
        if getattr(ufunc, "signature", None) is not None or ufunc.nin != 2 or ufunc.nout != 1:
            continue
        for method, make in {
            "reduce": _reduce,
            "accumulate": _accumulate,
            "reduceat": _reduceat,
            "outer": _outer,
            "at": _at,
        }.items():
            UFUNC_METHODS.setdefault((ufunc, method), make(ufunc))
    for ufunc in UFUNCS:
        if ufunc.nin == 1:
            UFUNC_METHODS.setdefault((ufunc, "at"), _at(ufunc))


_install()


# np.r_ and np.c_ build arrays by indexing, where NumPy asks nobody: these join tensors


class _Rows:
    """r_[a, b, 1, 2:5]: join along the first axis. As `numpy.r_`, without its strings."""

    def __getitem__(self, key):
        return np.concatenate([self._part(k) for k in (key if type(key) is tuple else (key,))])

    def _part(self, k):
        if isinstance(k, str):
            raise LeakError(f"strings such as {k!r} in r_ and c_ are not supported for tensors{at()}; use np.stack")
        if type(k) is slice:
            if isinstance(k.step, complex):
                return np.linspace(k.start, k.stop, int(abs(k.step)))
            return np.arange(0 if k.start is None else k.start, k.stop, 1 if k.step is None else k.step)
        return np.atleast_1d(as_array(k))


class _Columns(_Rows):
    """c_[a, b]: join as columns. As `numpy.c_`, without its strings."""

    def __getitem__(self, key):
        parts = [self._part(k) for k in (key if type(key) is tuple else (key,))]
        return np.concatenate([p if len(shape_of(p)) > 1 else np.reshape(p, (-1, 1)) for p in parts], axis=-1)


r_, c_ = _Rows(), _Columns()
