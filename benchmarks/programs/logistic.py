"""Logistic regression: mean over i of log(1 + exp(z_i)) - y_i z_i, with z = X w; the gradient in w is X^T (sigmoid(z) - y) / n.

Data from a normal distribution, labels 0 or 1.
"""

import numpy as np

from benchmarks.program import Program


def f(w, data, labels):
    z = data @ w
    return np.mean(np.logaddexp(0.0, z) - labels * z)


def make(size):
    n, d = size
    rng = np.random.default_rng(1)
    data = rng.normal(size=(n, d))
    w = rng.normal(size=d) / np.sqrt(d)
    labels = (rng.uniform(size=n) < 1 / (1 + np.exp(-data @ rng.normal(size=d)))).astype(np.float64)
    return w, data, labels


PROGRAMS = [
    Program(
        "logistic regression",
        f,
        make,
        sizes=((1000, 20), (100000, 100)),
        quick=((1000, 20),),
        dtypes=("float64", "float32"),
        native="logistic",
        dims=list,
        check="longdouble",
    )
]
