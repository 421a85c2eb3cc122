"""Random draws: from an explicit generator or seed, as constants without derivative.

A draw that depends on parameters is written as a function of one that does not: `mu + sigma * normal(rng, shape)` is
differentiable in mu and sigma (the reparameterised draw).
"""

import numpy as np

from ..core.tensor import untracked


def generator(rng):
    """A `numpy.random.Generator`, from one or from an integer seed."""
    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)


def normal(rng, size=None, dtype=np.float64):
    """Draws from the standard normal distribution."""
    return untracked(np.asarray(generator(rng).standard_normal(size, dtype=dtype)))


def uniform(rng, size=None, dtype=np.float64):
    """Draws from the uniform distribution on [0, 1)."""
    return untracked(np.asarray(generator(rng).random(size, dtype=dtype)))


def exponential(rng, size=None, dtype=np.float64):
    """Draws from the exponential distribution of mean 1."""
    return untracked(np.asarray(generator(rng).standard_exponential(size, dtype=dtype)))


def randint(rng, low, high=None, size=None):
    """Integers from low to high - 1, or from 0 to low - 1."""
    return untracked(np.asarray(generator(rng).integers(low, high, size)))


def permutation(rng, n):
    """The integers 0 to n - 1 in random order: an index that shuffles."""
    return untracked(generator(rng).permutation(int(n)))
