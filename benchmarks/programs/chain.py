"""A chain of elementwise functions and a sum: sum of exp(-x^2) sin(3x) + tanh(x) log(1 + x^2)."""

import numpy as np

from benchmarks.program import Program


def f(x):
    return np.sum(np.exp(-x * x) * np.sin(3.0 * x) + np.tanh(x) * np.log(1.0 + x * x))


def make(n):
    return (np.random.default_rng(6).normal(size=n),)


def by_hand():
    import numba

    @numba.njit(fastmath=True)
    def g(x):
        y, out = 0.0, np.empty_like(x)
        for i in range(x.size):
            a = x[i]
            e, s, c, t, q = np.exp(-a * a), np.sin(3 * a), np.cos(3 * a), np.tanh(a), 1 + a * a
            el = np.log(q)
            y += e * s + t * el
            out[i] = e * (3 * c - 2 * a * s) + (1 - t * t) * el + 2 * a * t / q
        return y, out

    return g


PROGRAMS = [
    Program(
        "elementwise chain",
        f,
        make,
        sizes=(1000, 1000000, 10000000),
        quick=(1000,),
        dtypes=("float64", "float32"),
        native="chain",
        numba=by_hand,
    )
]
