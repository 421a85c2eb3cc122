"""An LSTM (Hochreiter & Schmidhuber, 1997; with forget gates) as a Python loop over a sequence of 100; gradients in W, U, b.

z = W h + U x_t + b in four parts i, f, o, g; c <- sigmoid(f) c + sigmoid(i) tanh(g); h <- sigmoid(o) tanh(c); value sum(h^2).
"""

import numpy as np

from benchmarks.program import Program


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def f(w, u, b, xs):
    n = len(b) // 4
    h, c = np.zeros(n), np.zeros(n)
    for x in xs:
        z = w @ h + u @ x + b
        c = sigmoid(z[n : 2 * n]) * c + sigmoid(z[:n]) * np.tanh(z[3 * n :])
        h = sigmoid(z[2 * n : 3 * n]) * np.tanh(c)
    return np.sum(h * h)


def make(size):
    steps, hidden, inputs = size
    rng = np.random.default_rng(21)
    return (
        rng.normal(size=(4 * hidden, hidden)) / np.sqrt(hidden),
        rng.normal(size=(4 * hidden, inputs)) / np.sqrt(inputs),
        0.1 * rng.normal(size=4 * hidden),
        rng.normal(size=(steps, inputs)),
    )


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(w, u, b, xs):
        n = b.shape[0] // 4

        def step(state, z):
            h, c = state
            z = z + w @ h
            gates = jax.nn.sigmoid(z[: 3 * n])
            c = gates[n : 2 * n] * c + gates[:n] * jnp.tanh(z[3 * n :])
            return (gates[2 * n :] * jnp.tanh(c), c), None

        (h, _), _ = jax.lax.scan(step, (jnp.zeros(n), jnp.zeros(n)), xs @ u.T + b)
        return jnp.sum(h * h)

    return f


def for_torch():
    """The library's own LSTM, whose gates come in the order i, f, g, o."""
    import torch

    def f(w, u, b, xs):
        n = b.shape[0] // 4
        order = torch.cat([torch.arange(2 * n), torch.arange(3 * n, 4 * n), torch.arange(2 * n, 3 * n)])
        start = torch.zeros(1, 1, n, dtype=b.dtype)
        weights = [u[order], w[order], b[order], torch.zeros_like(b)]
        h, _, _ = torch.lstm(xs[:, None], (start, start), weights, True, 1, 0.0, False, False, False)
        return torch.sum(h[-1] ** 2)

    return f


PROGRAMS = [
    Program(
        "LSTM",
        f,
        make,
        sizes=((100, 32, 16), (100, 128, 16)),
        quick=((100, 32, 16),),
        wrt=3,
        native="lstm",
        dims=list,
        rewrites={"jax": for_jax, "torch eager": for_torch},
        unrolls=("jax", "torch"),
    )
]
