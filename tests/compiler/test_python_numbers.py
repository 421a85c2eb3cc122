"""Python's numbers made of values that are not known: int(x), float(x), bool(x), not x, x.item() are as weak as Python's.

Each function is run by Python and NumPy as it is, and must give the same number, class and dtype.
"""

import math

import numpy as np
import pytest

import adjoint as ad

X = np.array([2.5, 0.0, 3.0])
X32 = X.astype(np.float32)
ON_ARRAYS = {
    "int": lambda x: int(x[0]),
    "int times an array": lambda x: x * int(x[0]),
    "float times an array": lambda x: x * float(x[0]),
    "float": lambda x: float(x[0]),
    "bool": lambda x: bool(x[0]) + bool(x[1]),
    "not": lambda x: (not x[0]) + (not x[1]),
    "not times an array": lambda x: x * (not x[1]),
    "item": lambda x: x[0].item() * x,
    "tolist": lambda x: x.tolist()[2] * x,
    "round": lambda x: round(float(x[0])) * x,
    "floor": lambda x: math.floor(x[0]) * x,
    "floor alone": lambda x: math.floor(x[0]),
    "of a comparison": lambda x: int(x[0] > 1) * x,
    "quotient": lambda x: int(x[0]) / 2,
    "whole quotient": lambda x: int(x[0]) // 2 + int(x[2]) % 2,
    "power": lambda x: 2 ** int(x[0]),
    "classes": lambda x: isinstance(int(x[0]), int) and isinstance(float(x[0]), float) and isinstance(not x[0], bool),
    "type": lambda x: x * (type(int(x[0])) is int),
    "max": lambda x: max(int(x[0]), int(x[2])),
    "max times an array": lambda x: x * max(float(x[0]), 1.0),
    "rounded": lambda x: round(float(x[0]), 1) * x,
    "and": lambda x: ((not x[1]) and (not x[0])) * x,
    "inverted": lambda x: ~int(x[0]),
    "sum": lambda x: sum([int(v) for v in x]) * x,
    "NumPy's": lambda x: x * np.int64(x[0]) + np.float64(x[2]),
    "of NumPy's dtype": lambda x: np.int16(x[0]),
}
ON_NUMBERS = {
    "not": lambda a, b: (not a) + (not b),
    "truths": lambda a, b: (a > 0) + (b > 0),
    "NumPy's truths": lambda a, b: (np.float64(a) > 0) + (np.float64(b) > 0),
    "int": lambda a, b: np.ones(3, np.int8) * int(a) + int(b),
    "float32": lambda a, b: np.float32(a) * b,
}


def _same(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert type(got) is type(want)
    assert getattr(got, "dtype", None) == getattr(want, "dtype", None)


LANES = {
    **{name: f for name, f in ON_ARRAYS.items() if name != "classes"},
    "cond": lambda x: ad.cond(x[0] > 1, lambda: 2.0, lambda: 3.0) * x,
    "while": lambda x: ad.while_loop(lambda b: b * x[2] < 10.0, lambda b: b * 2, 1.0) * x,
    "scan": lambda x: ad.scan(lambda c, v: (c * 2 + int(v > 1), c), 1, x)[0] * x,
    "branch": lambda x: (2.0 if x[0] > 1 else 3.0) * x,
    "loop": lambda x: _halved(x) * x,
    "int8": lambda x: np.ones(3, np.int8) * int(x[0]),
    "comparison with int8": lambda x: np.ones(3, np.int8) < int(x[0]) * 1000,
    "power of an array": lambda x: x ** int(x[0]),
    "two numbers": lambda x: (int(x[0]) + float(x[2])) * x,
    "where": lambda x: np.where(x > 1, x, float(x[0])),
    "maximum": lambda x: np.maximum(x, float(x[0])),
    "in an array": lambda x: np.array([float(x[0]), x[1]]) * x[:2],
    "index": lambda x: x[int(x[0] > 1)] * float(x[0]),
    "gradient": lambda x: ad.grad(lambda v: np.sum(float(v[0]) * v))(x),
}


def _halved(x):
    n = 1.0
    while n * x[2] > 1.0:
        n = n / 2
    return n


@pytest.mark.parametrize(
    "mode",
    [
        lambda f: ad.vmap(ad.differentiable(f)),
        lambda f: ad.vmap(ad.jit(f)),
        lambda f: ad.jit(ad.vmap(f)),
    ],
    ids=["vmap", "vmap of jit", "jit of vmap"],
)
@pytest.mark.parametrize("x", [X, X32], ids=["float64", "float32"])
@pytest.mark.parametrize("name", LANES)
def test_lanes(name, x, mode):
    """A lane's numbers are as weak as one alone is: the batch of the results has the dtype of their stack."""
    f = ad.differentiable(LANES[name])
    lanes = np.stack([x, x[::-1] + 1])
    want = np.stack([f(lane) for lane in lanes])
    got = mode(LANES[name])(lanes)
    np.testing.assert_allclose(got, want, rtol=1e-6)
    assert got.dtype == want.dtype


@pytest.mark.parametrize("mode", [ad.jit, ad.differentiable])
@pytest.mark.parametrize("x", [X, X32], ids=["float64", "float32"])
@pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in ON_ARRAYS.items()])
def test_numbers_made_of_arrays(f, x, mode):
    _same(mode(f)(x), f(x))


@pytest.mark.parametrize("a", [0.0, 1.5])
@pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in ON_NUMBERS.items()])
def test_numbers_made_of_numbers(f, a):
    _same(ad.jit(f)(a, 2.0), f(a, 2.0))


def test_ints_counted_in_long_loops_keep_them_loops():
    """How much a step adds is bounded, so that the loop need not be unrolled to be right."""

    def f(x):
        n = h = 0
        for i in range(len(x)):
            n += int(x[i] > 0)
            if not x[i] > 1:
                n = n + 1
            h = (h * 31 + int(x[i] * 100)) % 1000003
        return n * 1000003 + h

    x = np.random.default_rng(0).normal(size=20_000)
    g = ad.jit(f)
    _same(g(x), f(x))
    assert len(g.graph().lines) < 50


def test_floats_have_derivatives():
    f = lambda x: float(x[0]) ** 2 * x[2].item() + int(x[0])
    want = [2 * 2.5 * 3, 0, 2.5**2]
    for x in (X, X32):
        for g in (ad.jit(ad.grad(f)), ad.grad(ad.jit(f)), ad.grad(ad.differentiable(f))):
            y = g(x)
            np.testing.assert_allclose(y, want, rtol=1e-6)
            assert y.dtype == x.dtype
        np.testing.assert_allclose(ad.jvp(ad.differentiable(f), (x,), (np.ones_like(x),))[1], sum(want), rtol=1e-6)


TOO_LARGE = {
    "power": lambda x: 2 ** int(x) * 1.0,
    "power in place": lambda x: _raised(int(x)),
    "shift": lambda x: (1 << int(x)) * 1.0,
    "shift in place": lambda x: _shifted(int(x)),
}


def _raised(n):
    y = 2
    y **= n
    return y * 1.0


def _shifted(n):
    y = -1
    y <<= n
    return y * 1.0


@pytest.mark.parametrize("f", TOO_LARGE.values(), ids=TOO_LARGE)
def test_integers_that_outgrow_64_bits(f):
    compiled = ad.jit(f)
    for x in (0.0, 5.0, 61.0):
        _same(compiled(x), f(x))
    for x in (64.0, 70.0, 200.0, -1.0):
        with pytest.raises((OverflowError, ValueError), match="integer|negative shift"):
            compiled(x)
    _same(compiled(3.0), f(3.0))
