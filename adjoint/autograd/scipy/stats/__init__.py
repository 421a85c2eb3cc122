"""scipy.stats' distributions on arrays and tensors. As `adjoint.scipy.stats`, which is imported when first used."""

from . import multivariate_normal as multivariate_normal


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    from ....scipy import stats

    return getattr(stats, name)
