"""numpy.random: no derivative flows through."""

import numpy.random as _random


def __getattr__(name):
    return getattr(_random, name)


def __dir__():
    return dir(_random)
