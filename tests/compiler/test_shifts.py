"""A maximum that is subtracted for safety gets no derivative in compiled code, where that is zero, and its own where it is not."""

import numpy as np
import pytest

import adjoint as ad

X = np.random.default_rng(0).normal(size=(20, 7))
W = np.random.default_rng(1).normal(size=(20, 7))
LABELS = np.arange(20) % 7


def special():
    """Rows with ties, NaN and infinities."""
    x = X.copy()
    x[1, 0], x[2], x[3], x[5, 0] = np.nan, np.inf, -np.inf, np.inf
    x[4, :2] = 3.0
    x[6, 3], x[7] = -np.inf, 0.0
    return x


def top(x, axis=1):
    return np.max(x, axis=axis, keepdims=True)


def logsumexp(x, axis=1):
    m = top(x, axis)
    return np.sum(m, axis=axis) + np.log(np.sum(np.exp(x - m), axis=axis))


def softmax(x):
    e = np.exp(x - top(x))
    return e / np.sum(e, axis=1, keepdims=True)


def log_softmax(x):
    z = x - top(x)
    return z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))


CANCEL = {
    "logsumexp": lambda x: np.sum(logsumexp(x)),
    "weighted": lambda x: np.sum(logsumexp(x) * W[:, 0]),
    "squared": lambda x: np.sum(logsumexp(x) ** 2),
    "columns": lambda x: np.sum(np.sin(logsumexp(x, 0))),
    "one row": lambda x: logsumexp(x[:1])[0],
    "mean": lambda x: np.mean(logsumexp(0.5 * x - x**2)),
    "softmax": lambda x: np.sum(W * softmax(x)),
    "softmax squared": lambda x: np.sum(softmax(x) ** 2),
    "log softmax": lambda x: np.sum(W * log_softmax(x)),
    "cross entropy": lambda x: -np.mean(log_softmax(x)[np.arange(20), LABELS]),
}
STAY = {
    "no shift back": lambda x: np.sum(np.log(np.sum(np.exp(x - top(x)), axis=1))),
    "exponentials": lambda x: np.sum(np.exp(x - top(x))),
    "used elsewhere": lambda x: np.sum(logsumexp(x) * np.max(x, axis=1)),
    "half of it": lambda x: np.sum(0.5 * top(x)[:, 0] + np.log(np.sum(np.exp(x - top(x)), axis=1))),
    "another sum": lambda x: np.sum(top(x)[:, 0] + np.log(np.sum(np.exp(x - top(x))[:, 1:], axis=1))),
    "the other axis": lambda x: np.sum(top(x)[:, 0] + np.log(np.sum(np.exp(x - top(x, 0)), axis=1))),
}


@pytest.mark.parametrize("name", [*CANCEL, *STAY])
def test_gradients_are_those_of_eager_mode(name):
    f = {**CANCEL, **STAY}[name]
    g = ad.jit(ad.grad(f))
    np.testing.assert_allclose(g(X), ad.grad(f)(X), rtol=1e-11, atol=1e-14)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(g(special()), ad.grad(f)(special()), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("name", CANCEL)
def test_places_of_the_maximum_are_not_looked_for(name):
    assert "equal" not in [line.op.name for line in ad.jit(ad.grad(CANCEL[name])).graph(X).lines]


@pytest.mark.parametrize("name", STAY)
def test_other_derivatives_of_a_maximum_stay(name):
    assert "equal" in [line.op.name for line in ad.jit(ad.grad(STAY[name])).graph(X).lines]


def test_second_order():
    f = CANCEL["weighted"]
    v = W[::-1].copy()
    np.testing.assert_allclose(ad.jit(ad.hvp(f))(X, v), ad.hvp(f)(X, v), rtol=1e-10, atol=1e-13)
