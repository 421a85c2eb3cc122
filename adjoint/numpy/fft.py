"""numpy.fft's names. See adjoint.numpy."""

import numpy.fft as _fft

from .names import ours

globals().update(ours(_fft))


def __getattr__(name):
    return getattr(_fft, name)
