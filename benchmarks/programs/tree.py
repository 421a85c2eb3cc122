"""Recursion whose end the data decide: adaptive Simpson quadrature of exp(-a x) sin(b x) over [0, 4]; gradients in a and b.

An interval is halved while the two halves differ from the whole by more than 1e-9 (Lyness, 1969, with his correction by 1/15).
"""

import numpy as np

from benchmarks.program import Program

TOLERANCE = 1e-9


def integrand(a, b, x):
    return np.exp(-a * x) * np.sin(b * x)


def simpson(a, b, low, high, at_low, at_middle, at_high):
    middle = 0.5 * (low + high)
    at_left = integrand(a, b, 0.5 * (low + middle))
    at_right = integrand(a, b, 0.5 * (middle + high))
    whole = (high - low) / 6 * (at_low + 4 * at_middle + at_high)
    left = (middle - low) / 6 * (at_low + 4 * at_left + at_middle)
    right = (high - middle) / 6 * (at_middle + 4 * at_right + at_high)
    error = left + right - whole
    if abs(error) < TOLERANCE:
        return left + right + error / 15
    return simpson(a, b, low, middle, at_low, at_left, at_middle) + simpson(
        a, b, middle, high, at_middle, at_right, at_high
    )


def f(p):
    a, b = p
    low, high = 0.0, 4.0
    return simpson(a, b, low, high, integrand(a, b, low), integrand(a, b, 2.0), integrand(a, b, high))


def make(n):
    return (np.array([0.7, 3.0]),)


PROGRAMS = [
    Program(
        "tree recursion",
        f,
        make,
        sizes=(1,),
        quick=(1,),
        native="tree",
        rtol=1e-6,
    )
]
