"""log(sum(exp(x))), computed as m + log(sum(exp(x - m))) with m = max x; its gradient is softmax(x).

One array, as in GradBench's lse, but with the max differentiated like all else (its parts cancel).
"""

import numpy as np

from benchmarks.program import Program


def f(x):
    m = np.max(x)
    return m + np.log(np.sum(np.exp(x - m)))


def make(n):
    return (np.random.default_rng(3).uniform(0.0, 1.0, n),)


PROGRAMS = [
    Program(
        "logsumexp",
        f,
        make,
        sizes=(1000, 1000000),
        quick=(1000,),
        dtypes=("float64", "float32"),
        native="logsumexp",
    )
]
