"""Rosenbrock's valley: sum over i of 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2. Its gradient, Hessian, Hessian times a vector.

With t_i = x_{i+1} - x_i^2: dy/dx_i = -400 x_i t_i - 2 (1 - x_i) + 200 t_{i-1}; the Hessian is tridiagonal, with
1200 x_i^2 - 400 x_{i+1} + 2 (+ 200 but for i = 0) on the diagonal and -400 x_i beside it.
"""

import numpy as np

from benchmarks.program import Program


def f(x):
    a, b = x[:-1], x[1:]
    return np.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def make(n):
    return (np.random.default_rng(2).uniform(0.5, 1.5, n),)


def make_pair(n):
    rng = np.random.default_rng(2)
    return rng.uniform(0.5, 1.5, n), rng.normal(size=n)


def bands(x):
    """Diagonal and neighbour of the Hessian."""
    a, b = x[:-1], x[1:]
    diagonal = np.zeros_like(x)
    diagonal[:-1] = 1200 * a * a - 400 * b + 2
    diagonal[1:] += 200
    return diagonal, -400 * a


def hessian(x):
    diagonal, beside = bands(x)
    return np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)


def hessian_times(x, v):
    diagonal, beside = bands(x)
    y = diagonal * v
    y[:-1] += beside * v[1:]
    y[1:] += beside * v[:-1]
    return y


def by_hand():
    import numba

    @numba.njit(fastmath=True)
    def g(x):
        n = x.size
        y, out = 0.0, np.empty_like(x)
        last = 0.0
        for i in range(n - 1):
            t, u = x[i + 1] - x[i] * x[i], 1.0 - x[i]
            y += 100.0 * t * t + u * u
            out[i] = last - 400.0 * x[i] * t - 2.0 * u
            last = 200.0 * t
        out[n - 1] = last
        return y, out

    return g


def in_casadi(ca, x, v=None):
    a, b = x[:-1], x[1:]
    return ca.sum1(100 * (b - a * a) ** 2 + (1 - a) ** 2)


PROGRAMS = [
    Program("rosenbrock", f, make, sizes=(1000, 1000000), quick=(1000,), native="rosenbrock", numba=by_hand),
    Program(
        "hessian of rosenbrock",
        f,
        make,
        sizes=(10, 100),
        quick=(10,),
        transform="hessian",
        reference=hessian,
        native="rosenbrock_hessian",
        casadi=in_casadi,
    ),
    Program(
        "hessian times vector",
        f,
        make_pair,
        sizes=(100, 100000),
        quick=(100,),
        transform="hvp",
        reference=hessian_times,
        native="rosenbrock_hvp",
    ),
]
