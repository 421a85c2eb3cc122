"""What is put side by side is written where it goes by the loop that computes it: the same arrays, whoever else reads the parts."""

import numpy as np
import pytest

import adjoint as ad

rng = np.random.default_rng(11)
X = rng.normal(size=(100, 3))
Y = rng.normal(size=100)


def shared(x, y):
    a = y * 2
    b = np.exp(a)
    return np.stack([a, b], axis=1), np.sum(a * b), np.cumsum(a)


def twice(x, y):
    a = y * 2
    s = np.stack([a, a], axis=1)
    return np.concatenate([s, s * 2], axis=1), a


def nested(x, y):
    parts = [np.concatenate([x * k, y[:, None] * k, x + k * y[:, None]], axis=1) for k in (2, 3)]
    return (np.stack(parts, axis=1),)


def written(x, y):
    a = np.sin(y)
    joined = np.concatenate([a, y])
    b = np.concatenate([joined[:3] * 2, joined[3:] + 1])
    return joined, b * b


def a_loop(x, y):
    for _ in range(30):
        y = np.concatenate([np.sin(y[:50]) * 1.5, np.cos(y[50:])])
    return (y,)


def mixed(x, y):
    return np.concatenate([y.astype(np.float32) * np.float32(2), y * 3]), np.stack([y > 0, y < 1])


def flat(x, y):
    return (np.concatenate([np.stack([y * 2, y * 3], axis=1).reshape(-1), y * 4, np.zeros(5)]),)


@pytest.mark.parametrize("f", [shared, twice, nested, written, a_loop, mixed, flat], ids=lambda f: f.__name__)
def test_joined_arrays(f):
    compiled = ad.jit(f)
    for k in (1.0, -2.0):
        for got, want in zip(compiled(k * X, k * Y), f(k * X, k * Y), strict=True):
            assert got.dtype == want.dtype
            np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gradients_of_joined_arrays(axis):
    w = rng.normal(size=(100, 2) if axis else (2, 100))

    def f(y):
        return np.sum(w * np.tanh(np.stack([y * y, np.sin(y)], axis=axis)))

    np.testing.assert_allclose(ad.jit(ad.grad(f))(Y), ad.grad(f)(Y), rtol=1e-12)


def read_after_the_join(x):
    y = np.where(x > 0, 1.0, -1.0)
    z = np.concatenate([y, np.where(x < 0.5, 2.0, 3.0)])
    z[:-9] = z[9:]  # into a copy, as it reads what it writes: where z was, another array may be by now
    return np.maximum(z, 2.0), z, y[147]


def read_after_a_write(x):
    y = np.sin(x)
    z = np.concatenate([y, x * 2.0])
    z[:200] = 7.0
    return z, y[147], y * 3.0


def part_that_is_returned(x):
    y = np.where(x > 0, x, 0.5)
    z = np.concatenate([x, y, x * 3.0])
    return y.reshape(6, 43), np.cumsum(np.concatenate([z, np.tanh(x)]))


@pytest.mark.parametrize("f", [read_after_the_join, read_after_a_write, part_that_is_returned])
def test_parts_that_others_read(f):
    x = np.random.default_rng(3).normal(size=258)
    for a, b in zip(ad.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
