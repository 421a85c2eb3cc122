"""NumPy's names on arrays and tensors: `import adjoint.autograd.numpy as np`.

As `adjoint.numpy`, but what is made of plain values (`zeros`, `arange`, `array` ...) is a plain array, as in autograd.
"""

import numpy as _np

from ... import numpy as _anp
from . import choices as _choices
from . import fft, linalg, numpy_boxes, numpy_vjps, numpy_vspaces, numpy_wrapper, random
from .choices import array as array
from .choices import clip as clip
from .choices import where as where
from .pieces import c_ as c_
from .pieces import full as full
from .pieces import make_diagonal as make_diagonal
from .pieces import metadata as metadata
from .pieces import r_ as r_

__version__ = _np.__version__
__all__ = [*(name for name in _np.__all__ if name[0] != "_"), "make_diagonal"]  # `from adjoint.autograd.numpy import *`


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    value = getattr(_np, name) if not hasattr(_anp, name) else getattr(_anp, name)
    plain = getattr(_np, name, None)
    if plain is not None and value is not plain and callable(value):
        value = _choices.plain_or_ours(plain, value)
    if name in _choices.JOINING:
        value = _choices.of_any_iterable(value)
    globals()[name] = value
    return value


def __dir__():
    return dir(_anp)
