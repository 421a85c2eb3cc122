"""scipy.stats.multivariate_normal's methods, as a module. As in autograd, gradients by the covariance are symmetric."""

import numpy as np

from ....core.op import shape as shape_of
from ....core.tensor import is_tensor
from ...numpy.linalg import both_triangles
from .methods import of, stats


def entropy(mean=None, cov=1):
    """Half the log determinant of 2 pi e cov: it does not depend on the mean."""
    cov = np.reshape(cov, (1, 1)) if np.ndim(cov) == 0 else np.diag(cov) if np.ndim(cov) == 1 else cov
    return 0.5 * (shape_of(cov)[-1] * np.log(2 * np.pi * np.e) + np.linalg.slogdet(cov)[1])


def _symmetric(name, x, mean, cov, settings):
    cov = both_triangles(cov) if is_tensor(cov) and len(shape_of(cov)) == 2 else cov
    return getattr(stats().multivariate_normal, name)(x, mean, cov, **settings)


def pdf(x, mean=None, cov=1, **settings):
    """The density at the points x[..., :]."""
    return _symmetric("pdf", x, mean, cov, settings)


def logpdf(x, mean=None, cov=1, **settings):
    """The logarithm of the density at the points x[..., :]."""
    return _symmetric("logpdf", x, mean, cov, settings)


__getattr__, __dir__ = of("multivariate_normal")
