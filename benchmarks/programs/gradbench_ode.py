"""GradBench's ode: y' = F(x, y) with F_0 = x_0, F_i = x_i y_{i-1}, y(0) = 0, to t = 2 by the Runge-Kutta method; the gradient of the
last component in x.

That component is 0, and so is the gradient, for every size that GradBench has (n > 4 steps): what is measured is the work.
"""

import numpy as np

from benchmarks.program import Program


def slope(x, y):
    return np.concatenate([x[:1], x[1:] * y[:-1]])


def solve_all(x, steps):
    """All components of y(2)."""
    y = np.zeros(len(x))
    h = 2.0 / steps
    for _ in range(steps):
        k1 = slope(x, y)
        k2 = slope(x, y + 0.5 * h * k1)
        k3 = slope(x, y + 0.5 * h * k2)
        k4 = slope(x, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


def solve(x, steps):
    return solve_all(x, steps)[len(x) - 1]


def f_1(x):
    return solve(x, 1)


def f_10(x):
    return solve(x, 10)


def f_100(x):
    return solve(x, 100)


def make(n):
    return (np.random.default_rng(31337).uniform(0, 1, n),)


def for_jax(steps):
    import jax
    import jax.numpy as jnp

    def f(x):
        h = 2.0 / steps

        def slope(y):
            return jnp.concatenate([x[:1], x[1:] * y[:-1]])

        def step(y, _):
            k1 = slope(y)
            k2 = slope(y + 0.5 * h * k1)
            k3 = slope(y + 0.5 * h * k2)
            k4 = slope(y + h * k3)
            return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

        y, _ = jax.lax.scan(step, jnp.zeros_like(x), None, length=steps)
        return y[-1]

    return f


def program(f, n, steps, quick=False):
    return Program(
        f"gradbench ode, {steps} steps",
        f,
        make,
        sizes=(n,),
        quick=(n,) if quick else (),
        native="gradbench_ode",
        dims=lambda n: [n, steps],
        rewrites={"jax": lambda: for_jax(steps)},
        unrolls=("jax", "torch") if steps > 1 else (),
    )


PROGRAMS = [program(f_1, 1000, 1, quick=True), program(f_10, 10000, 10), program(f_100, 100000, 100)]
