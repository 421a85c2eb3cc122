"""Heat on a square plate by `scan`: u <- u + c (sum of the four neighbours - 4 u) inside, 0 outside, T steps; value
sum(u^2) / 2; gradients in the first state and in c. The same with a Python loop is in heat_loop.py.

The adjoint of a step is the step itself (the stencil is symmetric); dc sums the cotangent times the Laplacian of each state.
"""

import numpy as np

import adjoint as ad
from benchmarks.program import Program


def laplacian(u):
    inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
    return np.pad(inside, ((1, 1), (1, 1)))


def f(u, c, steps):
    u, _ = ad.scan(lambda u, _: (u + c * laplacian(u), None), u, length=len(steps))
    return 0.5 * np.sum(u * u)


def make(size):
    n, steps = size
    return np.random.default_rng(13).uniform(0.0, 1.0, (n, n)), 0.2, np.zeros(steps)


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(u, c, steps):
        def step(u, _):
            inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
            return u + c * jnp.pad(inside, 1), None

        u, _ = jax.lax.scan(step, u, None, length=steps.shape[0])
        return 0.5 * jnp.sum(u * u)

    return f


def for_torch():
    import torch

    def f(u, c, steps):
        for _ in range(steps.shape[0]):
            inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
            u = u + c * torch.nn.functional.pad(inside, (1, 1, 1, 1))
        return 0.5 * torch.sum(u * u)

    return f


def for_autograd():
    import autograd.numpy as anp

    def f(u, c, steps):
        for _ in range(len(steps)):
            inside = u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4.0 * u[1:-1, 1:-1]
            u = u + c * anp.pad(inside, ((1, 1), (1, 1)), "constant")
        return 0.5 * anp.sum(u * u)

    return f


PROGRAMS = [
    Program(
        "heat by scan",
        f,
        make,
        sizes=((128, 100), (128, 1000)),
        quick=((32, 20),),
        wrt=2,
        ours=True,
        rewrites={"jax": for_jax, "torch": for_torch, "autograd": for_autograd},
        too_long=("torch.compile",),
        native="heat",
        dims=list,
    )
]
