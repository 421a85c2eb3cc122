"""scipy.stats.multivariate_normal's methods, as a module."""

import numpy as np

from ....core.op import shape as shape_of


def entropy(mean=None, cov=1):
    """Half the log determinant of 2 pi e cov: it does not depend on the mean."""
    cov = np.reshape(cov, (1, 1)) if np.ndim(cov) == 0 else np.diag(cov) if np.ndim(cov) == 1 else cov
    return 0.5 * (shape_of(cov)[-1] * np.log(2 * np.pi * np.e) + np.linalg.slogdet(cov)[1])


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    from ....scipy import stats

    return getattr(stats.multivariate_normal, name)
