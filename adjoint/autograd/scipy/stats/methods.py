"""Distributions as modules, so that `import adjoint.autograd.scipy.stats.norm as norm` works as in autograd."""


def of(name):
    """(__getattr__, __dir__) of a module that has the methods of this distribution of `adjoint.scipy.stats`."""

    def distribution():
        from ....scipy import stats  # imports scipy.stats, when first used

        return getattr(stats, name)

    def get(attribute):
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return getattr(distribution(), attribute)

    return get, lambda: dir(distribution())
