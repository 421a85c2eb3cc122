"""numpy.random: no derivative flows through."""

import numpy.random as _random


def __getattr__(name):
    if name.startswith("__"):  # NumPy's __path__ would make this module a package
        raise AttributeError(name)
    return getattr(_random, name)


def __dir__():
    return dir(_random)
