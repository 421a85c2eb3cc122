"""Rules for products: where the zeros of derivatives need no care, and numbers that meet."""

import itertools

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import passes
from adjoint.traces.capture import capture

SPECIAL = [0.0, -0.0, 1.0, -2.0, 0.5, np.inf, -np.inf, np.nan]  # no overflow: a fused product has none where a plain one has


def names(f, *args):
    return [line.op.name for line in passes.run(capture(f, *args)).lines]


SQUARES = {
    "a line": (lambda w, x, y: np.sum((w * x - y) ** 2), True),
    "a parabola": (lambda w, x, y: np.sum((y - w * w * x) ** 2), True),
    "a wave": (lambda w, x, y: np.sum((np.sin(w) * x + y) ** 2), True),
    "a quotient": (lambda w, x, y: np.sum((w / x - y) ** 2), False),  # of inf there is nothing left in 1 / inf
    "a limit": (lambda w, x, y: np.sum((np.tanh(w) * y) ** 2 * x), False),
}


@pytest.mark.parametrize("name", SQUARES)
def test_squares_of_differences_need_no_masks(name):
    f, plain = SQUARES[name]
    rows = np.array(list(itertools.product(SPECIAL, repeat=3))).T
    g = ad.grad(f, argnums=(0, 1, 2))
    assert ("strong_mul" not in names(g, *rows)) == plain
    with np.errstate(all="ignore"):
        want = [g(*(np.array([v]) for v in row)) for row in rows.T]  # each alone: the sum of all is NaN
    got = ad.jit(g)(*rows)
    for k in range(3):
        np.testing.assert_allclose(got[k], [w[k][0] for w in want], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("numbers", [(2.0, 100.0), (4, 3.0), (1.0, 7.5), (2.0, -3.0), (64.0, 1e30)])
def test_a_power_of_two_and_a_number_are_one_number(numbers, dtype):
    a, b = numbers
    info = np.finfo(dtype)
    bits = np.random.default_rng(0).integers(
        0, 2 ** (8 * info.dtype.itemsize) - 1, 4000, dtype=f"u{info.dtype.itemsize}"
    )
    x = np.r_[bits.view(dtype), np.array([info.tiny, info.smallest_subnormal, info.max, -0.0, np.inf, np.nan], dtype)]

    def f(x):
        return (x * a) * b

    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ad.jit(f)(x), f(x))
    assert names(f, x).count("multiply") == 1


@pytest.mark.parametrize("numbers", [(3.0, 100.0), (0.5, 3.0), (2.0, 0.3), (2.0, np.inf), (2.0**600, 2.0**600)])
def test_other_numbers_are_multiplied_one_by_one(numbers):
    a, b = numbers
    x = np.array([1.0, 0.0, 1e-320, 5e-324, 1e308, np.inf, *np.linspace(0.1, 3.0, 30)])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(ad.jit(lambda x: (x * a) * b)(x), (x * a) * b)
