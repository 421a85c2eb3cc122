"""numpy.fft's names on arrays and tensors."""

from ...numpy import fft as _fft


def __getattr__(name):
    return getattr(_fft, name)


def __dir__():
    return dir(_fft)
