"""scipy.stats' distributions on arrays and tensors. As `adjoint.scipy.stats`, which is imported when first used."""

from ...mirror import mirror
from . import methods
from . import multivariate_normal as multivariate_normal

__getattr__, __dir__ = mirror(methods.stats)
