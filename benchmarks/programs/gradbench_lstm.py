"""GradBench's lstm: loss of a network of layers with diagonal weights over a sequence of bits; gradients in all weights.

Each layer: F = sig(x wf + bf), I = sig(h wi + bi), O = sig(x wo + bo), G = tanh(h wg + bg), c <- c F + I G, h <- O tanh(c), which is
the next layer's x. y = x wout + bout, lse = log(2 + sum exp y) (the 2 is ADBench's), loss = -mean seq_{t+1} (y - lse).
Sizes: layers, characters; 14 bits.
"""

import numpy as np

from benchmarks.program import Program

BITS = 14


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def f(main, extra, state, seq):
    b = extra.shape[1]
    layers = len(main) // 2
    h = [state[2 * k] for k in range(layers)]
    c = [state[2 * k + 1] for k in range(layers)]
    total = 0.0
    for t in range(len(seq) - 1):
        x = seq[t] * extra[0]
        for k in range(layers):
            w, v = main[2 * k], main[2 * k + 1]
            forget = sigmoid(x * w[:b] + v[:b])
            ingate = sigmoid(h[k] * w[b : 2 * b] + v[b : 2 * b])
            outgate = sigmoid(x * w[2 * b : 3 * b] + v[2 * b : 3 * b])
            change = np.tanh(h[k] * w[3 * b :] + v[3 * b :])
            c[k] = c[k] * forget + ingate * change
            h[k] = outgate * np.tanh(c[k])
            x = h[k]
        y = x * extra[1] + extra[2]
        total = total + np.sum(seq[t + 1] * (y - np.log(2.0 + np.sum(np.exp(y)))))
    return -total / ((len(seq) - 1) * b)


def make(size):
    layers, characters = size
    rng = np.random.default_rng(41)
    return (
        rng.uniform(-1, 1, (2 * layers, 4 * BITS)),
        rng.uniform(-1, 1, (3, BITS)),
        rng.uniform(-1, 1, (2 * layers, BITS)),
        (rng.uniform(size=(characters, BITS)) < 0.5).astype(np.float64),
    )


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(main, extra, state, seq):
        b = extra.shape[1]
        layers = main.shape[0] // 2

        def step(carry, args):
            state, total = carry
            bits, following = args
            x, new = bits * extra[0], []
            for k in range(layers):
                w, v, h, c = main[2 * k], main[2 * k + 1], state[2 * k], state[2 * k + 1]
                forget = jax.nn.sigmoid(x * w[:b] + v[:b])
                ingate = jax.nn.sigmoid(h * w[b : 2 * b] + v[b : 2 * b])
                outgate = jax.nn.sigmoid(x * w[2 * b : 3 * b] + v[2 * b : 3 * b])
                change = jnp.tanh(h * w[3 * b :] + v[3 * b :])
                c = c * forget + ingate * change
                x = outgate * jnp.tanh(c)
                new += [x, c]
            y = x * extra[1] + extra[2]
            total = total + jnp.sum(following * (y - jnp.log(2.0 + jnp.sum(jnp.exp(y)))))
            return (jnp.stack(new), total), None

        (_, total), _ = jax.lax.scan(step, (state, 0.0), (seq[:-1], seq[1:]))
        return -total / ((seq.shape[0] - 1) * b)

    return f


PROGRAMS = [
    Program(
        "gradbench lstm",
        f,
        make,
        sizes=((2, 1024), (4, 4096), (6, 8192)),
        quick=((2, 128),),
        wrt=2,
        native="gradbench_lstm",
        dims=lambda size: [*size, BITS],
        rewrites={"jax": for_jax},
        unrolls=("jax", "torch"),
    )
]
