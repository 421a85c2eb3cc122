"""NumPy's names, for differentiable code: `import adjoint.numpy as np`.

Functions take and return tensors where tensors come in, arrays where arrays do. Creation functions (`zeros`, `arange`,
`linspace` ...) return untracked tensors. What has no rule here is NumPy's own function, which raises on a tensor that
is being differentiated.

>>> import adjoint as ad, adjoint.numpy as anp
>>> anp.zeros(2)
Tensor(shape=[2], dtype=Float64, value= [ 0.00000000e+00,  0.00000000e+00])
>>> ad.grad(lambda x: anp.sum(anp.sin(x)))(0.0)
1.0
"""

import functools
import importlib

import numpy as _np

from .. import primitives
from ..core.tensor import FUNCTIONS, LATE, complete, untracked
from . import methods, standard
from .methods import c_ as c_
from .methods import r_ as r_
from .names import ours

globals().update(ours(_np))

# where the standard's name differs from NumPy's
array = standard.array
asarray = asanyarray = standard.asarray
finfo, iinfo = standard.finfo, standard.iinfo
from_dlpack = standard.from_dlpack
__array_namespace_info__ = standard.__array_namespace_info__
__array_api_version__ = standard.API_VERSION

_CREATE = (
    "zeros", "ones", "full", "empty", "eye", "identity", "tri", "indices", "vander",
    "fromfunction", "hamming", "hanning", "bartlett", "blackman", "kaiser",
)  # fmt: skip


def _creator(f):
    @functools.wraps(f)
    def created(*args, **kwargs):
        return untracked(f(*args, **kwargs))

    return created


for _name in _CREATE:
    if _name not in globals():
        globals()[_name] = _creator(getattr(_np, _name))


# Loaded at first need: modules of their own, and compositions, which fill the tables

_MODULES = ("fft", "linalg", "special")
_LATE = ("create", "interpolate", "polynomials", "selection", "statistics", "ufuncs", "writes")


def _load():
    for name in _LATE:
        importlib.import_module(f"{__name__}.{name}")
    for name, f in ours(_np).items():  # here, as it may be something else that asks first
        globals().setdefault(name, f)


LATE.append(_load)


def __getattr__(name):
    """What is loaded at first need; and constants, dtypes and the functions without a rule: NumPy's own."""
    if name == "__all__":  # from adjoint.numpy import *
        return [n for n in _np.__all__ if not n.startswith("_")]
    if name.startswith("__"):
        raise AttributeError(name)
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if LATE:
        complete()
        if name in globals():
            return globals()[name]
    try:
        return getattr(_np, name)
    except AttributeError:
        raise AttributeError(f"module 'adjoint.numpy' has no attribute {name!r}, nor has numpy") from None


def __dir__():
    return sorted(set(globals()) | set(_np.__all__) | set(_MODULES))
