"""A recurrent network as a Python loop: h <- tanh(W h + U x_t + b) over a sequence of 100, value sum(h^2); gradients in W, U, b."""

import numpy as np

from benchmarks.program import Program


def f(w, u, b, xs):
    h = np.zeros(len(b))
    for x in xs:
        h = np.tanh(w @ h + u @ x + b)
    return np.sum(h * h)


def make(size):
    steps, hidden, inputs = size
    rng = np.random.default_rng(20)
    return (
        rng.normal(size=(hidden, hidden)) / np.sqrt(hidden),
        rng.normal(size=(hidden, inputs)) / np.sqrt(inputs),
        0.1 * rng.normal(size=hidden),
        rng.normal(size=(steps, inputs)),
    )


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(w, u, b, xs):
        h, _ = jax.lax.scan(lambda h, z: (jnp.tanh(w @ h + z), None), jnp.zeros_like(b), xs @ u.T + b)
        return jnp.sum(h * h)

    return f


def for_torch():
    """The library's own recurrent network."""
    import torch

    def f(w, u, b, xs):
        zeros = torch.zeros_like(b)
        h, _ = torch.rnn_tanh(xs[:, None], zeros[None, None], [u, w, b, zeros], True, 1, 0.0, False, False, False)
        return torch.sum(h[-1] ** 2)

    return f


PROGRAMS = [
    Program(
        "RNN",
        f,
        make,
        sizes=((100, 32, 16), (100, 128, 16)),
        quick=((100, 32, 16),),
        wrt=3,
        native="rnn",
        dims=list,
        rewrites={"jax": for_jax, "torch eager": for_torch},
        unrolls=("jax", "torch"),
    )
]
