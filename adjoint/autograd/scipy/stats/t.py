"""scipy.stats.t's methods, as a module."""

from .methods import of

__getattr__, __dir__ = of("t")
