"""scipy.stats.dirichlet's methods, as a module."""

from .methods import of

__getattr__, __dir__ = of("dirichlet")
