"""numpy.fft's names on arrays and tensors."""

from ...numpy import fft as _fft


def __getattr__(name):
    if name.startswith("__"):  # NumPy's __path__ would make this module a package
        raise AttributeError(name)
    return getattr(_fft, name)


def __dir__():
    return dir(_fft)
