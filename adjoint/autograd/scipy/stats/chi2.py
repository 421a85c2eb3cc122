"""scipy.stats.chi2's methods, as a module."""

from .methods import of

__getattr__, __dir__ = of("chi2")
