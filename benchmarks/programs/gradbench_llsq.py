"""GradBench's llsq: the polynomial of 128 coefficients nearest to sign(t) on n points, y(x) = sum (s_i - sum_j x_j t_i^j)^2 / 2.

The powers of t are computed inside, by a running product.
"""

import numpy as np

from benchmarks.program import Program


def squares(x, n):
    t = -1.0 + 2.0 * np.arange(n) / (n - 1)
    rest = np.sign(t)
    power = np.ones(n)
    for j in range(len(x)):
        rest = rest - x[j] * power
        power = power * t
    return 0.5 * np.sum(rest * rest)


def f_16(x):
    return squares(x, 16)


def f_1024(x):
    return squares(x, 1024)


def f_16392(x):
    return squares(x, 16392)


def make(m):
    return (np.random.default_rng(31337).uniform(0, 1, m),)


def for_jax(n):
    import jax
    import jax.numpy as jnp

    def f(x):
        t = -1.0 + 2.0 * jnp.arange(n) / (n - 1)

        def step(state, coefficient):
            rest, power = state
            return (rest - coefficient * power, power * t), None

        (rest, _), _ = jax.lax.scan(step, (jnp.sign(t), jnp.ones(n)), x)
        return 0.5 * jnp.sum(rest * rest)

    return f


def for_torch(n):
    import torch

    def f(x):
        t = -1.0 + 2.0 * torch.arange(n, dtype=torch.float64) / (n - 1)
        rest = torch.sign(t)
        power = torch.ones(n, dtype=torch.float64)
        for j in range(x.shape[0]):
            rest = rest - x[j] * power
            power = power * t
        return 0.5 * torch.sum(rest * rest)

    return f


def program(f, n, quick):
    return Program(
        f"gradbench llsq, {n} points",
        f,
        make,
        sizes=(128,),
        quick=(128,) if quick else (),
        native="gradbench_llsq",
        dims=lambda m: [m, n],
        rewrites={"jax": lambda: for_jax(n), "torch": lambda: for_torch(n)},
        unrolls=("jax", "torch"),
        too_long=("torch.compile",),
    )


PROGRAMS = [program(f_16, 16, True), program(f_1024, 1024, False), program(f_16392, 16392, False)]
