"""NumPy's names on arrays and tensors: `import adjoint.autograd.numpy as np`.

As `adjoint.numpy`, but what is made of plain values (`zeros`, `arange`, `array` ...) is a plain array, as in autograd.
"""

import functools as _functools

import numpy as _np

from ... import numpy as _anp
from ...core import tree as _tree
from ...core.tensor import is_tensor as _is_tensor
from . import fft, linalg, random
from .pieces import c_ as c_
from .pieces import full as full
from .pieces import make_diagonal as make_diagonal
from .pieces import r_ as r_

__version__ = _np.__version__


def _plain_or_ours(plain, ours):
    @_functools.wraps(ours)
    def f(*args, **kwargs):
        for x in args:
            if _is_tensor(x) or (type(x) in (list, tuple) and any(map(_is_tensor, _tree.flatten(x)[0]))):
                return ours(*args, **kwargs)
        return (ours if any(map(_is_tensor, kwargs.values())) else plain)(*args, **kwargs)

    return f


def where(condition, *args, **kwargs):
    """As `numpy.where`, with keywords too; the choice between Python's numbers or lists is one of them."""
    xy = [*args, *(kwargs[name] for name in ("x", "y") if name in kwargs)]
    y = _anp.where(condition, *xy)
    plain = len(xy) == 2 and not any(isinstance(a, _np.generic) or hasattr(a, "dtype") for a in (condition, *xy))
    return y.tolist() if plain and type(y) is _np.ndarray else y


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    value = getattr(_np, name) if not hasattr(_anp, name) else getattr(_anp, name)
    plain = getattr(_np, name, None)
    if plain is not None and value is not plain and callable(value):
        value = _plain_or_ours(plain, value)
    globals()[name] = value
    return value


def __dir__():
    return dir(_anp)
