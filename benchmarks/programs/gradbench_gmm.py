"""GradBench's gmm: log posterior of a Gaussian mixture with full covariances; gradients in alpha, mu, q, l.

Q_k is lower triangular with diagonal exp(q_k), filled column by column from l_k. beta_ik = alpha_k + sum_j q_kj -
|Q_k (x_i - mu_k)|^2 / 2; F = -N D/2 log(2 pi) - N LSE(alpha) + sum_i LSE_k(beta_i.) + W, with Wishart's prior W of m = 0, gamma = 1.
Data and sizes (D, K) as GradBench's, N = 1000.
"""

from math import lgamma, log, pi

import numpy as np

from benchmarks.program import Program

N = 1000


def logsumexp(x, axis):
    m = np.max(x, axis=axis, keepdims=True)
    return np.sum(m, axis=axis) + np.log(np.sum(np.exp(x - m), axis=axis))


def prior(k, d):
    """The part of W that no parameter changes."""
    n = d + 1
    gamma = 0.25 * d * (d - 1) * log(pi) + sum(lgamma(0.5 * (n + 1 - j)) for j in range(1, d + 1))
    return k * (-0.5 * n * d * log(2.0) - gamma)


def f(alpha, mu, q, l, x, where):
    k, d = mu.shape
    exp_q = np.exp(q)
    entries = np.concatenate([exp_q, l, np.zeros((k, 1))], axis=1)
    big_q = entries[:, where]  # (k, d, d)
    moved = np.matmul(x, np.swapaxes(big_q, 1, 2)) - np.matmul(big_q, mu[:, :, None])[:, None, :, 0]  # (k, n, d)
    beta = alpha[:, None] + np.sum(q, axis=1)[:, None] - 0.5 * np.sum(moved * moved, axis=2)
    data = np.sum(logsumexp(beta, 0)) - len(x) * logsumexp(alpha, 0)
    penalty = 0.5 * (np.sum(exp_q * exp_q) + np.sum(l * l))
    return data - penalty + prior(k, d) - 0.5 * len(x) * d * log(2 * pi)


def where_in(d):
    """(d, d): which of exp(q_k), l_k, 0 stands there."""
    where = np.full((d, d), d + d * (d - 1) // 2)
    where[np.arange(d), np.arange(d)] = np.arange(d)
    place = d
    for j in range(d):
        for i in range(j + 1, d):
            where[i, j] = place
            place += 1
    return where


def make(size):
    d, k = size
    rng = np.random.default_rng(31337)
    x = rng.normal(0, 1, (N, d))
    alpha, mu, q = rng.normal(0, 1, k), rng.uniform(0, 1, (k, d)), rng.normal(0, 1, (k, d))
    return alpha, mu, q, rng.normal(0, 1, (k, d * (d - 1) // 2)), x, where_in(d)


PROGRAMS = [
    Program(
        "gradbench gmm",
        f,
        make,
        sizes=((2, 5), (20, 25), (64, 100)),
        quick=((2, 5),),
        wrt=4,
        native="gradbench_gmm",
        dims=lambda size: [N, *size],
    )
]
