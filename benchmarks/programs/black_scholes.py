"""Prices of European calls after Black and Scholes (1973), summed; gradients in spot, volatility and time: the Greeks.

d1 = (log(s/k) + (r + v^2/2) t) / (v sqrt t), d2 = d1 - v sqrt t, price = s N(d1) - k exp(-r t) N(d2). By hand:
delta = N(d1), vega = s n(d1) sqrt t, d/dt = s n(d1) v / (2 sqrt t) + r k exp(-r t) N(d2).
"""

import numpy as np
from scipy import special

from benchmarks.program import Program


def normal_cdf(x):
    return 0.5 * (1.0 + special.erf(x * 0.7071067811865476))


def f(s, v, t, k, r):
    root = v * np.sqrt(t)
    d1 = (np.log(s / k) + (r + 0.5 * v * v) * t) / root
    return np.sum(s * normal_cdf(d1) - k * np.exp(-r * t) * normal_cdf(d1 - root))


def make(n):
    rng = np.random.default_rng(7)
    return (
        rng.uniform(80.0, 120.0, n),
        rng.uniform(0.1, 0.5, n),
        rng.uniform(0.2, 2.0, n),
        rng.uniform(80.0, 120.0, n),
        0.03,
    )


PROGRAMS = [
    Program(
        "Black-Scholes",
        f,
        make,
        sizes=(1000, 100000, 1000000, 10000000),
        quick=(1000,),
        wrt=3,
        dtypes=("float64", "float32"),
        native="black_scholes",
    )
]
