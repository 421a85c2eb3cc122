"""Log-likelihood of a Gaussian mixture with diagonal covariances, mean over n points in d dimensions, k components.

l_ik = log softmax(alpha)_k - sum_j [ ((x_ij - mu_kj) exp(-s_kj))^2 / 2 + s_kj ], value mean_i log sum_k exp l_ik; gradients
in alpha, mu, s. With r_ik = softmax_k(l_i.): d/dmu_kj = mean r_ik (x_ij - mu_kj) exp(-2 s_kj).
"""

import numpy as np

from benchmarks.program import Program


def logsumexp(x, axis):
    m = np.max(x, axis=axis, keepdims=True)
    return np.sum(m, axis=axis) + np.log(np.sum(np.exp(x - m), axis=axis))


def f(alpha, mu, s, x):
    scaled = (x[:, None, :] - mu) * np.exp(-s)
    inner = alpha - logsumexp(alpha, 0) - 0.5 * np.sum(scaled * scaled, axis=2) - np.sum(s, axis=1)
    return np.mean(logsumexp(inner, 1))


def make(size):
    n, d, k = size
    rng = np.random.default_rng(5)
    return rng.normal(size=k), rng.normal(size=(k, d)), 0.3 * rng.normal(size=(k, d)), rng.normal(size=(n, d))


PROGRAMS = [
    Program(
        "gaussian mixture",
        f,
        make,
        sizes=((1000, 10, 5), (10000, 10, 25)),
        quick=((1000, 10, 5),),
        wrt=3,
        native="mixture",
        dims=list,
    )
]
