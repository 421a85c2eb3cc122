"""The square root by Newton's iteration, until it stands; derivative 1 / (2 sqrt a) by going back through the steps."""

import numpy as np

from benchmarks.program import Program


def f(a):
    x = 1.0
    while abs(x * x - a) > 1e-12 * a:
        x = 0.5 * (x + a / x)
    return x


def closed(a):
    return np.sqrt(a), 0.5 / np.sqrt(a)


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(a):
        def step(x, _):
            return jnp.where(jnp.abs(x * x - a) > 1e-12 * a, 0.5 * (x + a / x), x), None

        return jax.lax.scan(step, jnp.ones_like(a), None, length=20)[0]

    return f


def in_casadi(ca, a):
    """No data-dependent loop: 12 steps, enough for this a."""
    x = 1.0
    for _ in range(12):
        x = 0.5 * (x + a / x)
    return x


PROGRAMS = [
    Program(
        "Newton's square root",
        f,
        lambda size: (float(size),),
        sizes=(1234.5,),
        quick=(1234.5,),
        reference=closed,
        native="newton",
        dims=lambda size: [],
        rewrites={"jax": for_jax},
        casadi=in_casadi,
        rtol=1e-6,
    )
]
