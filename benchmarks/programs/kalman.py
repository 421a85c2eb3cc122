"""Log-likelihood of 200 observations by a Kalman filter: position and speed, noise on both; gradients in the logarithms of the
two variances.

m <- F m, P <- F P F^T + q C; s = P_00 + r, e = y - m_0; -(log(2 pi s) + e^2 / s) / 2 is added; then m += P_0 e / s,
P -= P_0 P_0^T / s.
"""

import numpy as np

from benchmarks.program import Program

DT = 0.1


def f(theta, ys):
    q, r = np.exp(theta[0]), np.exp(theta[1])
    move = np.array([[1.0, DT], [0.0, 1.0]])
    noise = np.array([[DT**3 / 3, DT**2 / 2], [DT**2 / 2, DT]])
    m, p = np.zeros(2), np.eye(2)
    total = 0.0
    for y in ys:
        m = move @ m
        p = move @ p @ move.T + q * noise
        s = p[0, 0] + r
        e = y - m[0]
        total = total - 0.5 * (np.log(2 * np.pi * s) + e * e / s)
        gain = p[:, 0] / s
        m = m + gain * e
        p = p - np.outer(gain, p[0])
    return total


def make(steps):
    rng = np.random.default_rng(22)
    t = DT * np.arange(steps)
    return np.array([-1.0, -2.0]), np.sin(t) + 0.3 * rng.normal(size=steps)


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(theta, ys):
        q, r = jnp.exp(theta[0]), jnp.exp(theta[1])
        move = jnp.array([[1.0, DT], [0.0, 1.0]])
        noise = jnp.array([[DT**3 / 3, DT**2 / 2], [DT**2 / 2, DT]])

        def step(state, y):
            m, p, total = state
            m = move @ m
            p = move @ p @ move.T + q * noise
            s = p[0, 0] + r
            e = y - m[0]
            total = total - 0.5 * (jnp.log(2 * jnp.pi * s) + e * e / s)
            gain = p[:, 0] / s
            return (m + gain * e, p - jnp.outer(gain, p[0]), total), None

        return jax.lax.scan(step, (jnp.zeros(2), jnp.eye(2), 0.0), ys)[0][2]

    return f


def in_casadi(ca, theta, ys):
    q, r = ca.exp(theta[0]), ca.exp(theta[1])
    move = ca.DM([[1.0, DT], [0.0, 1.0]])
    noise = ca.DM([[DT**3 / 3, DT**2 / 2], [DT**2 / 2, DT]])
    m, p, total = ca.SX.zeros(2), ca.SX.eye(2), 0.0
    for k in range(ys.shape[0]):
        m = move @ m
        p = move @ p @ move.T + q * noise
        s = p[0, 0] + r
        e = ys[k] - m[0]
        total = total - 0.5 * (ca.log(2 * np.pi * s) + e * e / s)
        gain = p[:, 0] / s
        m = m + gain * e
        p = p - gain @ p[0, :]
    return total


PROGRAMS = [
    Program(
        "Kalman filter",
        f,
        make,
        sizes=(200,),
        quick=(200,),
        native="kalman",
        rewrites={"jax": for_jax},
        unrolls=("jax", "torch"),
        casadi=in_casadi,
    )
]
