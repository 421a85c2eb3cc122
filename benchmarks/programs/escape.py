"""Escape time of z <- z^2 + c, made smooth: n + 1 - log2(log|z|) at the step n where |z| passes 1000; gradients in c."""

import numpy as np

from benchmarks.program import Program


def f(p):
    cr, ci = p
    x, y = 0.0, 0.0
    n = 0
    while x * x + y * y < 1e6 and n < 1000:
        x, y = x * x - y * y + cr, 2.0 * x * y + ci
        n += 1
    return n + 1.0 - np.log2(0.5 * np.log(x * x + y * y))


def make(n):
    return (np.array([-0.7445, 0.1085]),)


def for_jax():
    """A scan of 400 steps (347 are needed), masked after the escape."""
    import jax
    import jax.numpy as jnp

    def f(p):
        cr, ci = p

        def step(state, _):
            x, y, n = state
            inside = x * x + y * y < 1e6
            x, y = jnp.where(inside, x * x - y * y + cr, x), jnp.where(inside, 2.0 * x * y + ci, y)
            return (x, y, n + inside), None

        (x, y, n), _ = jax.lax.scan(step, (0.0, 0.0, 0), None, length=400)
        return n + 1.0 - jnp.log2(0.5 * jnp.log(x * x + y * y))

    return f


PROGRAMS = [
    Program(
        "escape time",
        f,
        make,
        sizes=(1,),
        quick=(1,),
        native="escape",
        rewrites={"jax": for_jax},
        rtol=1e-6,
    )
]
