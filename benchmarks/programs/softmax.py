"""Softmax of each row, weighted: sum of p * w with p = exp(z) / sum(exp(z)), z = x - max(x). With s = sum_j p_j w_j of a
row the gradient is p * (w - s).
"""

import numpy as np

from benchmarks.program import Program


def f(x, w):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    p = e / np.sum(e, axis=1, keepdims=True)
    return np.sum(p * w)


def make(size):
    rng = np.random.default_rng(4)
    return rng.normal(size=size), rng.normal(size=size)


PROGRAMS = [
    Program(
        "softmax",
        f,
        make,
        sizes=((64, 10), (1000, 1000)),
        quick=((64, 10),),
        native="softmax",
        dims=list,
    )
]
