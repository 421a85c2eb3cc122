"""Gaussian process: minus the log marginal likelihood of n points in 3 dimensions, squared exponential kernel; gradients in the
logarithms of length, amplitude and noise (Rasmussen & Williams, 2006, eq. 2.30 and 5.9).

K = a^2 exp(-|x_i - x_j|^2 / (2 l^2)) + s^2 I, value y^T K^-1 y / 2 + log det(K) / 2 + n log(2 pi) / 2; the derivative in a
parameter is tr((K^-1 - b b^T) dK) / 2 with b = K^-1 y.
"""

import numpy as np

from benchmarks.program import Program


def f(theta, x, y):
    length, amplitude, noise = np.exp(theta)
    difference = x[:, None, :] - x[None, :, :]
    squares = np.sum(difference * difference, axis=2)
    k = amplitude**2 * np.exp(-0.5 * squares / length**2) + noise**2 * np.eye(len(y))
    low = np.linalg.cholesky(k)
    b = np.linalg.solve(k, y)
    return 0.5 * (y @ b) + np.sum(np.log(np.diag(low))) + 0.5 * len(y) * np.log(2 * np.pi)


def make(n):
    rng = np.random.default_rng(9)
    x = rng.uniform(0.0, 3.0, (n, 3))
    return np.log(np.array([0.8, 1.3, 0.2])), x, np.sin(x.sum(1)) + 0.2 * rng.normal(size=n)


def for_torch():
    import torch

    def f(theta, x, y):
        length, amplitude, noise = torch.exp(theta)
        difference = x[:, None, :] - x[None, :, :]
        squares = torch.sum(difference * difference, dim=2)
        k = amplitude**2 * torch.exp(-0.5 * squares / length**2) + noise**2 * torch.eye(len(y), dtype=y.dtype)
        low = torch.linalg.cholesky(k)
        b = torch.cholesky_solve(y[:, None], low)[:, 0]
        return 0.5 * (y @ b) + torch.sum(torch.log(torch.diag(low))) + 0.5 * len(y) * np.log(2 * np.pi)

    return f


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(theta, x, y):
        length, amplitude, noise = jnp.exp(theta)
        difference = x[:, None, :] - x[None, :, :]
        squares = jnp.sum(difference * difference, axis=2)
        k = amplitude**2 * jnp.exp(-0.5 * squares / length**2) + noise**2 * jnp.eye(len(y))
        low = jnp.linalg.cholesky(k)
        b = jax.scipy.linalg.cho_solve((low, True), y)
        return 0.5 * (y @ b) + jnp.sum(jnp.log(jnp.diag(low))) + 0.5 * len(y) * jnp.log(2 * jnp.pi)

    return f


PROGRAMS = [
    Program(
        "GP marginal likelihood",
        f,
        make,
        sizes=(50, 200),
        quick=(50,),
        check="difference",
        rewrites={"torch": for_torch, "jax": for_jax},
        native="gp",
        blas=True,
    )
]
