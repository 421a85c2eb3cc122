"""A network with one hidden layer, mean cross-entropy over a batch: gradients in both matrices and both offsets.

z1 = x W1 + b1, h = max(z1, 0), z2 = h W2 + b2, value mean_i (log sum_j exp z2_ij - z2_i,label). Five matrix products
carry the work.
"""

import numpy as np

from benchmarks.program import Program


def f(w1, b1, w2, b2, x, onehot):
    h = np.maximum(x @ w1 + b1, 0.0)
    z = h @ w2 + b2
    m = np.max(z, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(z - m), axis=1)) - np.sum((z - m) * onehot, axis=1))


def make(size):
    batch, d, hidden, classes = size
    rng = np.random.default_rng(8)
    return (
        rng.normal(size=(d, hidden)) / np.sqrt(d),
        0.1 * rng.normal(size=hidden),
        rng.normal(size=(hidden, classes)) / np.sqrt(hidden),
        0.1 * rng.normal(size=classes),
        rng.normal(size=(batch, d)),
        np.eye(classes)[rng.integers(0, classes, batch)],
    )


PROGRAMS = [
    Program(
        "MLP",
        f,
        make,
        sizes=((256, 64, 128, 10), (256, 784, 256, 10)),
        quick=((256, 64, 128, 10),),
        wrt=4,
        dtypes=("float64", "float32"),
        native="mlp",
        dims=list,
        blas=True,
    )
]
