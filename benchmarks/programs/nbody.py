"""Five bodies under gravity (softened), 200 steps of the symplectic Euler method; gradients in positions, speeds and masses."""

import numpy as np

from benchmarks.program import Program

STEPS, H = 200, 0.01


def accelerations(x, m):
    d = x[None, :, :] - x[:, None, :]
    r2 = np.sum(d * d, axis=2) + 0.01
    return np.sum((m / (r2 * np.sqrt(r2)))[:, :, None] * d, axis=1)


def f(x, v, m):
    for _ in range(STEPS):
        v = v + H * accelerations(x, m)
        x = x + H * v
    return np.sum(x * x)


def make(n):
    rng = np.random.default_rng(24)
    return rng.normal(size=(n, 3)), 0.3 * rng.normal(size=(n, 3)), rng.uniform(0.5, 1.5, n)


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(x, v, m):
        def step(state, _):
            x, v = state
            d = x[None, :, :] - x[:, None, :]
            r2 = jnp.sum(d * d, axis=2) + 0.01
            v = v + H * jnp.sum((m / (r2 * jnp.sqrt(r2)))[:, :, None] * d, axis=1)
            return (x + H * v, v), None

        (x, _), _ = jax.lax.scan(step, (x, v), None, length=STEPS)
        return jnp.sum(x * x)

    return f


PROGRAMS = [
    Program(
        "n-body",
        f,
        make,
        sizes=(5,),
        quick=(5,),
        wrt=3,
        native="nbody",
        dims=lambda n: [n, STEPS],
        rewrites={"jax": for_jax},
        unrolls=("jax", "torch"),
    )
]
