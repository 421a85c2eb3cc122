"""scipy.special's names on arrays and tensors. As `adjoint.scipy.special`."""

from ...primitives.scipy_special import polygamma as polygamma
from ...scipy import special as _special


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_special, name)


def __dir__():
    return dir(_special)
