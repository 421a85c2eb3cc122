"""Distributions as modules, so that `import adjoint.autograd.scipy.stats.norm as norm` works as in autograd."""

from ...mirror import mirror


def stats():
    """`adjoint.scipy.stats`, which imports scipy.stats, when first used."""
    from ....scipy import stats

    return stats


def of(name):
    """(__getattr__, __dir__) of a module that has the methods of this distribution."""
    return mirror(lambda: getattr(stats(), name))
