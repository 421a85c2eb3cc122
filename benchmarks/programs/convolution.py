"""A convolution layer: 28 x 28 images, 8 filters of 5 x 5, max(., 0), mean of squares; gradients in images and filters.

Written in NumPy as one product of all patches with the filters.
"""

import numpy as np

from benchmarks.program import Program

K, OUT = 5, 24


def f(w, x):
    patches = np.stack([x[:, i : i + OUT, j : j + OUT] for i in range(K) for j in range(K)], axis=-1)
    z = np.maximum(patches @ w, 0.0)
    return np.mean(z * z)


def make(batch):
    rng = np.random.default_rng(10)
    return rng.normal(size=(K * K, 8)) / K, rng.normal(size=(batch, 28, 28))


def for_torch():
    import torch

    def f(w, x):
        filters = w.T.reshape(8, 1, K, K)
        z = torch.relu(torch.nn.functional.conv2d(x[:, None], filters))
        return torch.mean(z * z)

    return f


def for_jax():
    import jax
    import jax.numpy as jnp

    def f(w, x):
        filters = w.T.reshape(8, 1, K, K)
        z = jax.lax.conv(x[:, None], filters, (1, 1), "VALID")
        return jnp.mean(jnp.maximum(z, 0.0) ** 2)

    return f


PROGRAMS = [
    Program(
        "convolution",
        f,
        make,
        sizes=(32,),
        quick=(4,),
        wrt=2,
        dtypes=("float32", "float64"),
        check="longdouble",
        rewrites={"torch": for_torch, "jax": for_jax},
        native="convolution",
        blas=True,
    )
]
