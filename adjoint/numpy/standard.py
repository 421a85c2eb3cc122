"""What the Python array API standard (data-apis.org/array-api, version 2025.12) asks of a namespace beyond NumPy's names.

`__array_namespace_info__`, and functions whose signature or result differs from NumPy's: arrays are made as tensors,
the limits of a dtype are Python numbers, frequencies take a dtype. They are names of `adjoint.numpy` only: NumPy's own
functions dispatch to the rules, not to them.
"""

import numpy as np

from ..core.errors import where as at
from ..core.tensor import FUNCTIONS, is_tensor, untracked
from ..core.types import typeof

API_VERSION = "2025.12"


# Making arrays: always tensors


def asarray(a, dtype=None, order=None, *, device=None, copy=None, like=None):
    """a as a tensor; a tensor is returned as it is, unless dtype or copy ask for another. As `numpy.asarray`.

    >>> import adjoint.numpy as anp
    >>> anp.asarray([1.0, 2.0])
    Tensor(shape=[2], dtype=Float64, value= [ 1.00000000e+00,  2.00000000e+00])
    """
    on_cpu(device)
    if copy is False and is_tensor(a) and dtype is not None and typeof(a).dtype != np.dtype(dtype):
        raise ValueError(f"asarray(copy=False) cannot change the dtype of a tensor to {np.dtype(dtype)}{at()}")
    return untracked(FUNCTIONS[np.asarray](a, dtype, order, copy=copy))


def array(object, dtype=None, *, copy=True, order="K", subok=False, ndmin=0, like=None):
    """A tensor from numbers, arrays, tensors and nested lists of them; derivatives pass. As `numpy.array`."""
    return untracked(FUNCTIONS[np.array](object, dtype, copy=copy, order=order, subok=subok, ndmin=ndmin, like=like))


def from_dlpack(x, /, *, device=None, copy=None):
    """A tensor that shares, or copies, the memory of another library's array. As `numpy.from_dlpack`."""
    return untracked(np.from_dlpack(x, device=device, copy=copy))


def on_cpu(device):
    """Raise for a device that does not exist."""
    if device not in (None, "cpu"):
        raise ValueError(f"tensors live on the device 'cpu', not on {device!r}{at()}")


def fftfreq(n, d=1.0, *, dtype=None, device=None):
    """The frequencies of a transform of length n. As `numpy.fft.fftfreq`, with a dtype."""
    on_cpu(device)
    return _frequencies(np.fft.fftfreq(n, d), dtype)


def rfftfreq(n, d=1.0, *, dtype=None, device=None):
    """The frequencies of a real transform of length n. As `numpy.fft.rfftfreq`, with a dtype."""
    on_cpu(device)
    return _frequencies(np.fft.rfftfreq(n, d), dtype)


def _frequencies(x, dtype):
    return untracked(x if dtype is None else x.astype(dtype))


# The limits of dtypes, as Python numbers


def _dtype(type, /):
    return typeof(type).dtype if is_tensor(type) else type.dtype if isinstance(type, np.ndarray) else np.dtype(type)


class finfo:
    """The limits of a floating dtype, of a dtype or an array, as Python floats. As `numpy.finfo`."""

    def __init__(self, type, /):
        info = np.finfo(_dtype(type))
        self._info = info
        self.bits = int(info.bits)
        self.dtype = info.dtype
        for name in ("eps", "max", "min", "smallest_normal"):
            setattr(self, name, float(getattr(info, name)))

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._info, name)  # NumPy's further fields, as they are

    def __repr__(self):
        return repr(self._info)


class iinfo:
    """The limits of an integer dtype, of a dtype or an array. As `numpy.iinfo`."""

    def __init__(self, type, /):
        info = np.iinfo(_dtype(type))
        self.bits, self.max, self.min, self.dtype = info.bits, int(info.max), int(info.min), info.dtype

    def __repr__(self):
        return repr(np.iinfo(self.dtype))


# What there is


_KINDS = {
    "bool": ("bool",),
    "signed integer": ("int8", "int16", "int32", "int64"),
    "unsigned integer": ("uint8", "uint16", "uint32", "uint64"),
    "real floating": ("float32", "float64"),
    "complex floating": ("complex64", "complex128"),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


class Info:
    """What this namespace can do: the object that `__array_namespace_info__()` returns."""

    __module__ = "adjoint.numpy"

    def capabilities(self):
        """Which optional parts of the standard there are."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self):
        """The device of new arrays."""
        return "cpu"

    def devices(self):
        """All devices."""
        return ("cpu",)

    def default_dtypes(self, *, device=None):
        """The dtype of new arrays, by kind of number."""
        on_cpu(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.intp),
            "indexing": np.dtype(np.intp),
        }

    def dtypes(self, *, device=None, kind=None):
        """{name: dtype}, of some kinds or of all."""
        on_cpu(device)
        kinds = ("bool", "numeric") if kind is None else kind if isinstance(kind, tuple) else (kind,)
        for k in kinds:
            if k not in _KINDS:
                raise ValueError(f"unsupported kind: {k!r}; the kinds are {', '.join(_KINDS)}")
        return {name: np.dtype(name) for k in kinds for name in _KINDS[k]}


def __array_namespace_info__():
    """What this namespace can do: devices, dtypes, capabilities.

    >>> import adjoint.numpy as anp
    >>> anp.__array_namespace_info__().default_dtypes()["real floating"]
    dtype('float64')
    """
    return Info()
