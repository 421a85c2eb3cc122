"""numpy.linalg's names. See adjoint.numpy."""

import numpy.linalg as _linalg

from .names import ours

globals().update(ours(_linalg))


def __getattr__(name):
    return getattr(_linalg, name)
