"""The chapter's function: double until the norm is 1000, then a branch. How often it doubles, the data decide.

Piecewise linear: the gradient is f(a) / a, a power of two (times 100 on the other branch).
"""

import numpy as np

from benchmarks.program import Program


def f(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    return b.sum() if b.sum() > 0 else 100 * b.sum()


def make(n):
    return (np.array([0.3, -1.2, 0.4, 0.9])[:n] if n else np.array(0.37),)


def for_jax():
    """while_loop has no reverse mode: a scan of 32 steps, those after the last doubling masked."""
    import jax
    import jax.numpy as jnp

    def f(a):
        def step(b, _):
            return jnp.where(jnp.linalg.norm(b) < 1000, b * 2, b), None

        b, _ = jax.lax.scan(step, a * 2, None, length=32)
        s = jnp.sum(b)
        return jnp.where(s > 0, s, 100 * s)

    return f


def by_hand():
    import numba

    @numba.njit
    def g(a):
        b, scale = a * 2, 2.0
        while np.sqrt(np.sum(b * b)) < 1000:
            b *= 2
            scale *= 2
        s = np.sum(b)
        if not s > 0:
            s, scale = 100 * s, 100 * scale
        return s, np.full_like(a, scale)

    return g


PROGRAMS = [
    Program(
        "the chapter's f",
        f,
        make,
        sizes=(0, 4),
        quick=(0, 4),
        native="chapter",
        rewrites={"jax": for_jax},
        numba=by_hand,
    )
]
