"""A bouncing ball: 1,000 steps of free fall with an event, the impact, inside a step; gradients in g, restitution, first height
and speed.

Where the height would be under 0, the time since the impact is height / speed; from there it moves on with the speed turned and
reduced.
"""

import numpy as np

from benchmarks.program import Program

STEPS, H = 1000, 0.005


def f(p):
    g, restitution, y, v = p
    for _ in range(STEPS):
        v = v - H * g
        y = y + H * v
        if y < 0:
            since = y / v
            v = -restitution * v
            y = v * since
    return y + 0.1 * v * v


def make(steps):
    return (np.array([9.81, 0.8, 1.0, 0.3]),)


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(p):
        g, restitution, y, v = p

        def step(state, _):
            y, v = state
            v = v - H * g
            y = y + H * v
            hit = y < 0
            since = jnp.where(hit, y / jnp.where(hit, v, 1.0), 0.0)
            v = jnp.where(hit, -restitution * v, v)
            return (jnp.where(hit, v * since, y), v), None

        (y, v), _ = jax.lax.scan(step, (y, v), None, length=STEPS)
        return y + 0.1 * v * v

    return f


def in_casadi(ca, p):
    g, restitution, y, v = ca.vertsplit(p)
    for _ in range(STEPS):
        v = v - H * g
        y = y + H * v
        hit = y < 0
        since = ca.if_else(hit, y / v, 0)
        v = ca.if_else(hit, -restitution * v, v)
        y = ca.if_else(hit, v * since, y)
    return y + 0.1 * v * v


PROGRAMS = [
    Program(
        "bouncing ball",
        f,
        make,
        sizes=(STEPS,),
        quick=(STEPS,),
        native="bouncing",
        rewrites={"jax": for_jax},
        casadi=in_casadi,
    )
]
