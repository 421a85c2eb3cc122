"""numpy.fft's names on arrays and tensors."""

from ...numpy import fft as _fft
from ..mirror import mirror

__getattr__, __dir__ = mirror(lambda: _fft)
