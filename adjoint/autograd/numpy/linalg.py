"""numpy.linalg's names on arrays and tensors."""

from ...numpy import linalg as _linalg


def __getattr__(name):
    return getattr(_linalg, name)


def __dir__():
    return dir(_linalg)
