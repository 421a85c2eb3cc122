"""Soft edit distance by dynamic programming: d_ij = softmin(d_{i-1,j} + 1, d_{i,j-1} + 1, d_{i-1,j-1} + cost_ij), filled in place.

softmin(a, b, c) = -log(exp(-a) + exp(-b) + exp(-c)); gradient in the matrix of costs (as soft-DTW, Cuturi & Blondel, 2017).
"""

import numpy as np

from benchmarks.program import Program


def f(cost):
    n, m = cost.shape
    d = np.zeros((n + 1, m + 1))
    for i in range(n + 1):
        d[i, 0] = i
    for j in range(m + 1):
        d[0, j] = j
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            up, left, both = d[i - 1, j] + 1.0, d[i, j - 1] + 1.0, d[i - 1, j - 1] + cost[i - 1, j - 1]
            d[i, j] = -np.log(np.exp(-up) + np.exp(-left) + np.exp(-both))
    return d[n, m]


def in_complex(cost):
    """The same with complex storage, for the reference."""
    n, m = cost.shape
    d = np.zeros((n + 1, m + 1), cost.dtype)
    d[:, 0], d[0, :] = np.arange(n + 1), np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            terms = d[i - 1, j] + 1.0, d[i, j - 1] + 1.0, d[i - 1, j - 1] + cost[i - 1, j - 1]
            d[i, j] = -np.log(sum(np.exp(-t) for t in terms))
    return d[n, m]


def make(n):
    return (np.random.default_rng(23).uniform(0.0, 2.0, (n, n)),)


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(cost):
        n, m = cost.shape

        def row(above, args):
            first, costs = args

            def cell(left, args):
                up, corner, c = args
                new = -jnp.log(jnp.exp(-up - 1.0) + jnp.exp(-left - 1.0) + jnp.exp(-corner - c))
                return new, new

            _, new = jax.lax.scan(cell, first, (above[1:], above[:-1], costs))
            return jnp.concatenate([first[None], new]), None

        last, _ = jax.lax.scan(row, jnp.arange(m + 1.0), (jnp.arange(1.0, n + 1), cost))
        return last[m]

    return f


def by_lists(exp, log):
    """For libraries without writing in place: a list of lists."""

    def f(cost):
        n, m = cost.shape
        above = [float(j) for j in range(m + 1)]
        for i in range(1, n + 1):
            row = [float(i)]
            for j in range(1, m + 1):
                new = exp(-(above[j] + 1.0)) + exp(-(row[j - 1] + 1.0)) + exp(-(above[j - 1] + cost[i - 1, j - 1]))
                row.append(-log(new))
            above = row
        return above[m]

    return f


def for_autograd():
    import autograd.numpy as anp

    return by_lists(anp.exp, anp.log)


def for_torch():
    import torch

    def of(function):
        return lambda x: function(x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=torch.float64))

    return by_lists(of(torch.exp), of(torch.log))


PROGRAMS = [
    Program(
        "soft edit distance",
        f,
        make,
        sizes=(32,),
        quick=(8,),
        check_with=in_complex,
        native="edit_distance",
        rewrites={"jax": for_jax, "autograd": for_autograd, "torch": for_torch},
        too_long=("torch.compile",),
        unrolls=("torch",),
        casadi=lambda ca, cost: by_lists(ca.exp, ca.log)(cost),
    )
]
