"""scipy.integrate's names on arrays and tensors. As `adjoint.scipy.integrate`."""

from ...scipy import integrate as _integrate


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_integrate, name)


def __dir__():
    return dir(_integrate)
