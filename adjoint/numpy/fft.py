"""numpy.fft's names. See adjoint.numpy."""

import numpy.fft as _fft

from ..core.tensor import complete
from .names import ours
from .standard import fftfreq, rfftfreq

complete()
globals().update(ours(_fft), fftfreq=fftfreq, rfftfreq=rfftfreq)


def __getattr__(name):
    return getattr(_fft, name)
