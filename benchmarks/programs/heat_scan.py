"""Heat on a square plate by `scan`: u <- u + c (sum of the four neighbours - 4 u) inside, the edge stands, T steps; value
sum(u^2) / 2; gradients in the first state and in c. The same with a Python loop is in heat_loop.py.

The adjoint of a step is the step itself (the stencil is symmetric); dc sums the cotangent times the Laplacian of each state.
"""

import numpy as np

import adjoint as ad
from benchmarks.program import Program


def laplacian(u):
    inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
    return np.pad(inside, ((1, 1), (1, 1)))


def diffuse(u, c, steps):
    u, _ = ad.scan(lambda u, _: (u + c * laplacian(u), None), u, length=steps)
    return 0.5 * np.sum(u * u)


def f_20(u, c):
    return diffuse(u, c, 20)


def f_100(u, c):
    return diffuse(u, c, 100)


def f_1000(u, c):
    return diffuse(u, c, 1000)


def make(n):
    return np.random.default_rng(13).uniform(0.0, 1.0, (n, n)), 0.2


def for_jax(steps):
    import jax
    import jax.numpy as jnp

    def f(u, c):
        def step(u, _):
            inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
            return u + c * jnp.pad(inside, 1), None

        u, _ = jax.lax.scan(step, u, None, length=steps)
        return 0.5 * jnp.sum(u * u)

    return f


def for_torch(steps):
    import torch

    def f(u, c):
        for _ in range(steps):
            inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
            u = u + c * torch.nn.functional.pad(inside, (1, 1, 1, 1))
        return 0.5 * torch.sum(u * u)

    return f


def for_autograd(steps):
    import autograd.numpy as anp

    def f(u, c):
        for _ in range(steps):
            inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
            u = u + c * anp.pad(inside, ((1, 1), (1, 1)), "constant")
        return 0.5 * anp.sum(u * u)

    return f


def program(f, steps, sizes, quick):
    return Program(
        f"heat by scan, {steps} steps",
        f,
        make,
        sizes=sizes,
        quick=quick,
        wrt=2,
        ours=True,
        rewrites={
            "jax": lambda: for_jax(steps),
            "torch": lambda: for_torch(steps),
            "autograd": lambda: for_autograd(steps),
        },
        too_long=("torch.compile",),
        native="heat",
        dims=lambda n: [n, steps],
    )


PROGRAMS = [
    program(f_20, 20, (), (32,)),
    program(f_100, 100, (128,), ()),
    program(f_1000, 1000, (128,), ()),
]
