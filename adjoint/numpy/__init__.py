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

import numpy as _np

from .. import primitives
from ..core.tensor import FUNCTIONS, untracked
from . import create, interpolate, methods, polynomials, selection, special, standard, statistics

from . import fft, linalg  # isort: skip  (after the tables)
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
round = FUNCTIONS[_np.round]  # NumPy's aliases of Python's names
__array_api_version__ = standard.API_VERSION

_CREATE = (
    "zeros", "ones", "full", "empty", "arange", "logspace", "geomspace", "eye", "identity", "tri", "indices", "vander",
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


def __getattr__(name):
    """Constants, dtypes and the functions without a rule: NumPy's own."""
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return getattr(_np, name)
    except AttributeError:
        raise AttributeError(f"module 'adjoint.numpy' has no attribute {name!r}, nor has numpy") from None


def __dir__():
    return sorted(set(globals()) | set(_np.__all__))
