"""Heat on a square plate as a Python loop that writes in place; the mathematics is that of heat_scan.py."""

import numpy as np

from benchmarks.program import Program

from . import heat_scan


def diffuse(u0, c, steps):
    u = np.copy(u0)
    for _ in range(steps):
        u[1:-1, 1:-1] += c * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1])
    return 0.5 * np.sum(u * u)


def f_20(u, c):
    return diffuse(u, c, 20)


def f_100(u, c):
    return diffuse(u, c, 100)


def f_1000(u, c):
    return diffuse(u, c, 1000)


def program(f, steps, sizes, quick):
    def without_writing():
        """autograd has no writing in place."""
        return heat_scan.for_autograd(steps)

    return Program(
        f"heat, {steps} steps",
        f,
        lambda n: heat_scan.make(n),
        sizes=sizes,
        quick=quick,
        wrt=2,
        native="heat",
        dims=lambda n: [n, steps],
        rewrites={"jax": lambda: heat_scan.for_jax(steps), "autograd": without_writing},
        unrolls=("torch",),
    )


PROGRAMS = [
    program(f_20, 20, (), (32,)),
    program(f_100, 100, (128,), ()),
    program(f_1000, 1000, (128,), ()),
]
