"""Matrix factorisations written as loops, as in a textbook, in place: log det by LU, and log det / 2 by Cholesky.

d log det A / dA = A^-T. The Cholesky loop reads the lower triangle only, and so is its gradient: A^-1 there, half of it on the
diagonal, 0 above.
"""

import numpy as np

from benchmarks.program import Program


def lu(a):
    a = np.copy(a)
    n = len(a)
    total = 0.0
    for k in range(n):
        total = total + np.log(a[k, k])
        for i in range(k + 1, n):
            a[i, k] = a[i, k] / a[k, k]
            for j in range(k + 1, n):
                a[i, j] -= a[i, k] * a[k, j]
    return total


def cholesky(a):
    n = len(a)
    low = np.zeros((n, n))
    total = 0.0
    for i in range(n):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s = s - low[i, k] * low[j, k]
            if i == j:
                low[i, i] = np.sqrt(s)
                total = total + np.log(low[i, i])
            else:
                low[i, j] = s / low[j, j]
    return total


def make(n):
    a = np.random.default_rng(25).normal(size=(n, n)) / np.sqrt(n)
    return (a @ a.T + np.eye(n),)


def lu_closed(a):
    return np.linalg.slogdet(a)[1], np.linalg.inv(a).T


def cholesky_closed(a):
    inverse = np.linalg.inv(a)
    return 0.5 * np.linalg.slogdet(a)[1], np.tril(inverse) - 0.5 * np.diag(np.diag(inverse))


def lu_for_jax():
    """The same elimination, a column at a time: fori_loop with known bounds is differentiable."""
    import jax
    import jax.numpy as jnp

    def f(a):
        n = a.shape[0]
        index = jnp.arange(n)

        def step(state, k):
            a, total = state
            pivot = a[k, k]
            factors = jnp.where(index > k, a[:, k] / pivot, 0.0)
            return (a - jnp.outer(factors, jnp.where(index > k, a[k], 0.0)), total + jnp.log(pivot)), None

        (_, total), _ = jax.lax.scan(step, (a, 0.0), index)
        return total

    return f


def cholesky_for_jax():
    import jax
    import jax.numpy as jnp

    def f(a):
        n = a.shape[0]
        index = jnp.arange(n)

        def step(state, k):
            a, total = state
            pivot = jnp.sqrt(a[k, k])
            column = jnp.where(index > k, a[:, k] / pivot, 0.0)
            return (a - jnp.outer(column, column), total + jnp.log(pivot)), None

        (_, total), _ = jax.lax.scan(step, (jnp.tril(a), 0.0), index)
        return total

    return f


def in_casadi(which):
    def build(ca, a):
        n = a.shape[0]
        rows = [[a[i, j] for j in range(n)] for i in range(n)]
        total = 0.0
        if which == "lu":
            for k in range(n):
                total = total + ca.log(rows[k][k])
                for i in range(k + 1, n):
                    rows[i][k] = rows[i][k] / rows[k][k]
                    for j in range(k + 1, n):
                        rows[i][j] = rows[i][j] - rows[i][k] * rows[k][j]
            return total
        low = [[None] * n for _ in range(n)]
        for i in range(n):
            for j in range(i + 1):
                s = rows[i][j]
                for k in range(j):
                    s = s - low[i][k] * low[j][k]
                low[i][j] = ca.sqrt(s) if i == j else s / low[j][j]
            total = total + ca.log(low[i][i])
        return total

    return build


PROGRAMS = [
    Program(
        "LU by loops",
        lu,
        make,
        sizes=(16, 32),
        quick=(8,),
        reference=lu_closed,
        native="lu",
        rewrites={"jax": lu_for_jax},
        unrolls=("torch",),
        casadi=in_casadi("lu"),
    ),
    Program(
        "Cholesky by loops",
        cholesky,
        make,
        sizes=(16, 32),
        quick=(8,),
        reference=cholesky_closed,
        native="cholesky",
        rewrites={"jax": cholesky_for_jax},
        unrolls=("torch",),
        casadi=in_casadi("cholesky"),
    ),
]
