"""A root of x^3 + a x - b by bisection, with one step of Newton's method at the end, through which the derivative flows.

The halves that bisection chooses are constants; the last step x - F / F' at a root has the derivative of the implicit
function, dx/da = -x / (3 x^2 + a), dx/db = 1 / (3 x^2 + a).
"""

import numpy as np

from benchmarks.program import Program


def f(p):
    a, b = p
    low, high = 0.0, 10.0
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if middle**3 + a * middle - b > 0:
            high = middle
        else:
            low = middle
    x = 0.5 * (low + high)
    return x - (x**3 + a * x - b) / (3 * x**2 + a)


def closed(p):
    a, b = p
    x = f(p)
    return x, np.array([-x, 1.0]) / (3 * x * x + a)


def make(n):
    return (np.array([2.0, 7.0]),)


def for_jax():
    """The loop has constants only: while_loop works, since nothing is differentiated through it."""
    import jax
    import jax.numpy as jnp

    def f(p):
        a, b = p
        ca, cb = jax.lax.stop_gradient(a), jax.lax.stop_gradient(b)

        def body(state):
            low, high = state
            middle = 0.5 * (low + high)
            above = middle**3 + ca * middle - cb > 0
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        low, high = jax.lax.while_loop(lambda s: s[1] - s[0] > 1e-9, body, (0.0, 10.0))
        x = 0.5 * (low + high)
        return x - (x**3 + a * x - b) / (3 * x**2 + a)

    return f


PROGRAMS = [
    Program(
        "bisection",
        f,
        make,
        sizes=(1,),
        quick=(1,),
        native="bisection",
        reference=closed,
        rewrites={"jax": for_jax},
    )
]
