"""Lotka and Volterra's equations by the classical Runge-Kutta method, 1,000 steps; gradients in 4 rates and 2 first values.

x' = a x - b x y, y' = d x y - c y, step 0.01, value x + y at the end. Plain scalar code in a Python loop.
"""

import numpy as np

from benchmarks.program import Program

STEPS, H = 1000, 0.01


def slope(a, b, c, d, x, y):
    return a * x - b * x * y, d * x * y - c * y


def f(p):
    a, b, c, d, x, y = p
    for _ in range(STEPS):
        k1, l1 = slope(a, b, c, d, x, y)
        k2, l2 = slope(a, b, c, d, x + 0.5 * H * k1, y + 0.5 * H * l1)
        k3, l3 = slope(a, b, c, d, x + 0.5 * H * k2, y + 0.5 * H * l2)
        k4, l4 = slope(a, b, c, d, x + H * k3, y + H * l3)
        x = x + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        y = y + H / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
    return x + y


def make(steps):
    return (np.array([1.5, 1.0, 3.0, 1.0, 1.0, 1.0]),)


def for_jax():
    import jax

    def f(p):
        a, b, c, d, x, y = p

        def step(state, _):
            x, y = state
            k1, l1 = slope(a, b, c, d, x, y)
            k2, l2 = slope(a, b, c, d, x + 0.5 * H * k1, y + 0.5 * H * l1)
            k3, l3 = slope(a, b, c, d, x + 0.5 * H * k2, y + 0.5 * H * l2)
            k4, l4 = slope(a, b, c, d, x + H * k3, y + H * l3)
            return (x + H / 6 * (k1 + 2 * k2 + 2 * k3 + k4), y + H / 6 * (l1 + 2 * l2 + 2 * l3 + l4)), None

        (x, y), _ = jax.lax.scan(step, (x, y), None, length=STEPS)
        return x + y

    return f


def in_casadi(ca, p):
    return f(ca.vertsplit(p))


PROGRAMS = [
    Program(
        "Runge-Kutta",
        f,
        make,
        sizes=(STEPS,),
        quick=(STEPS,),
        native="runge_kutta",
        rewrites={"jax": for_jax},
        unrolls=("jax", "torch"),
        casadi=in_casadi,
    )
]
