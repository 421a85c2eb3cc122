"""The rest of ndarray's methods on tensors; and `r_` and `c_`."""

import numpy as np

from ..core.errors import LeakError, MutationError
from ..core.errors import where as at
from ..core.op import shape as shape_of
from ..core.tensor import FUNCTIONS, Tensor, peek, release, update
from ..core.types import typeof
from ..primitives.kinds import as_array

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
        "data": _absent(
            "data",
            "use x itself, x.detach() for the values without a derivative, x.numpy() for a copy of them, and "
            "`with ad.no_grad(): x -= ...` to change them",
        ),
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


def _install():
    for name, f in _methods().items():
        if name not in vars(Tensor) or (name == "__contains__"):
            if isinstance(f, property):
                pass  # from Python 3.13 on it has a name too, which cannot be set
            elif getattr(f, "__name__", "").startswith("_") or getattr(f, "__name__", "") in ("<lambda>", "method"):
                f.__name__ = name
                f.__qualname__ = f"Tensor.{name}"
            setattr(Tensor, name, f)


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
FUNCTIONS[np.r_], FUNCTIONS[np.c_] = r_.__getitem__, c_.__getitem__  # for rewritten code, which asks at each index
