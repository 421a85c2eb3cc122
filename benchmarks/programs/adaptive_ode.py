"""Van der Pol's oscillator by Heun's method with the step chosen on the way (Heun and Euler embedded); gradients in mu, x0, v0.

x' = v, v' = mu (1 - x^2) v - x to t = 10. A step is kept when its error is under the tolerance; the next is scaled by
0.9 / sqrt(error), within 0.2 and 2. The derivative is that of the program: it flows through the step sizes too.
"""

import numpy as np

from benchmarks.program import Program

END, TOLERANCE = 10.0, 1e-4


def f(p):
    mu, x, v = p
    t, h = 0.0, 0.01
    while t < END:
        if t + h > END:
            h = END - t
        k1 = mu * (1.0 - x * x) * v - x
        xe, ve = x + h * v, v + h * k1
        k2 = mu * (1.0 - xe * xe) * ve - xe
        ex, ev = 0.5 * h * (ve - v), 0.5 * h * (k2 - k1)
        error = np.sqrt(ex * ex + ev * ev) / TOLERANCE
        if error < 1.0:
            t, x, v = t + h, x + 0.5 * h * (v + ve), v + 0.5 * h * (k1 + k2)
        h = h * min(2.0, max(0.2, 0.9 / np.sqrt(error)))
    return x * x + v * v


def make(n):
    return (np.array([1.5, 1.0, 0.5]),)


def for_jax():
    """A scan of 2,000 steps (about 1,250 are needed), masked at the end."""
    import jax
    import jax.numpy as jnp

    def f(p):
        mu, x, v = p

        def step(state, _):
            t, h, x, v = state
            going = t < END
            h = jnp.where(t + h > END, jnp.where(going, END - t, h), h)
            k1 = mu * (1.0 - x * x) * v - x
            xe, ve = x + h * v, v + h * k1
            k2 = mu * (1.0 - xe * xe) * ve - xe
            ex, ev = 0.5 * h * (ve - v), 0.5 * h * (k2 - k1)
            error = jnp.sqrt(ex * ex + ev * ev) / TOLERANCE
            keep = (error < 1.0) & going
            t = jnp.where(keep, t + h, t)
            x, v = jnp.where(keep, x + 0.5 * h * (v + ve), x), jnp.where(keep, v + 0.5 * h * (k1 + k2), v)
            h = jnp.where(going, h * jnp.clip(0.9 / jnp.sqrt(error), 0.2, 2.0), h)
            return (t, h, x, v), None

        (_, _, x, v), _ = jax.lax.scan(step, (0.0, 0.01, x, v), None, length=2000)
        return x * x + v * v

    return f


PROGRAMS = [
    Program(
        "adaptive ODE",
        f,
        make,
        sizes=(1,),
        quick=(1,),
        native="adaptive",
        rewrites={"jax": for_jax},
        rtol=1e-6,
    )
]
