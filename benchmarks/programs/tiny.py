"""A tiny function: y = 2 x.x of four elements, dy/dx = 4 x. What is measured is the call.

The chapter's first example. By hand in NumPy the gradient is one operation, `4 * x`, which is listed as a row.
"""

import numpy as np

from benchmarks.program import Program


def f(x):
    return 2 * np.dot(x, x)


def make(n):
    return (np.arange(float(n)) + 0.5,)


def by_hand():
    """numba's: value and gradient, the output allocated as a user would."""
    import numba

    @numba.njit
    def g(x):
        y, out = 0.0, np.empty_like(x)
        for i in range(x.size):
            y += 2 * x[i] * x[i]
            out[i] = 4 * x[i]
        return y, out

    return g


PROGRAMS = [
    Program(
        "tiny",
        f,
        make,
        sizes=(4,),
        quick=(4,),
        native="tiny",
        numba=by_hand,
        casadi=lambda ca, x: 2 * ca.dot(x, x),
        kernels={"NumPy, by hand": lambda: lambda x: (2 * np.dot(x, x), 4 * x)},
    )
]
