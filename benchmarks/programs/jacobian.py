"""Jacobians of a layer tanh(A x) * sin(x), dense, and of x_{i-1} x_i^2 sin(x_{i+1}), which is banded but stored dense.

The layer: J_ij = (1 - t_i^2) A_ij sin x_i + delta_ij t_i cos x_i with t = tanh(A x).
"""

import numpy as np

from benchmarks.program import Program


def layer(x, a):
    return np.tanh(a @ x) * np.sin(x)


def make_layer(n):
    rng = np.random.default_rng(11)
    return rng.normal(size=n), 0.2 * rng.normal(size=(n, n))


def layer_jacobian(x, a):
    t = np.tanh(a @ x)
    return ((1 - t * t) * np.sin(x))[:, None] * a + np.diag(t * np.cos(x))


def banded(x):
    return x[:-2] * x[1:-1] ** 2 * np.sin(x[2:])


def make_banded(n):
    return (np.random.default_rng(12).uniform(0.5, 1.5, n),)


def banded_jacobian(x):
    out = np.zeros((len(x) - 2, len(x)))
    i = np.arange(len(x) - 2)
    out[i, i] = x[1:-1] ** 2 * np.sin(x[2:])
    out[i, i + 1] = 2 * x[:-2] * x[1:-1] * np.sin(x[2:])
    out[i, i + 2] = x[:-2] * x[1:-1] ** 2 * np.cos(x[2:])
    return out


PROGRAMS = [
    Program(
        "Jacobian of a layer",
        layer,
        make_layer,
        sizes=(20, 200),
        quick=(20,),
        transform="jacobian",
        reference=layer_jacobian,
        native="jacobian_layer",
    ),
    Program(
        "Jacobian, banded",
        banded,
        make_banded,
        sizes=(1000,),
        quick=(100,),
        transform="jacobian",
        reference=banded_jacobian,
        native="jacobian_banded",
    ),
]
