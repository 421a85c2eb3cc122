"""numpy.linalg's names. See adjoint.numpy."""

import numpy.linalg as _linalg

from ..core.tensor import complete
from .names import ours

complete()
globals().update(ours(_linalg))


def __getattr__(name):
    return getattr(_linalg, name)
