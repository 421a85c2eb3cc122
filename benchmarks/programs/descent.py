"""Gradient descent differentiated through its own inner gradient: 100 steps on a logistic loss with weight decay, then the loss
on other data; gradients in the logarithms of the step and of the decay.

w <- w - rate (X^T (sigmoid(X w) - y) / n + 2 decay w); going back takes a Hessian times a vector a step.
"""

import numpy as np

from adjoint import grad
from benchmarks.program import Program

STEPS = 100


def loss(w, decay, data, labels):
    z = data @ w
    return np.mean(np.logaddexp(0.0, z) - labels * z) + decay * np.sum(w * w)


def f(theta, data, labels, other, other_labels):
    rate, decay = np.exp(theta[0]), np.exp(theta[1])
    w = np.zeros(data.shape[1])
    for _ in range(STEPS):
        w = w - rate * grad(loss)(w, decay, data, labels)
    return loss(w, 0.0, other, other_labels)


def plain(theta, data, labels, other, other_labels):
    """The inner gradient written out, for the reference."""
    rate, decay = np.exp(theta[0]), np.exp(theta[1])
    w = np.zeros(data.shape[1], theta.dtype)
    for _ in range(STEPS):
        slope = data.T @ (1 / (1 + np.exp(-(data @ w))) - labels) / len(labels)
        w = w - rate * (slope + 2 * decay * w)
    z = other @ w
    return np.mean(np.log(1 + np.exp(z)) - other_labels * z)


def make(size):
    n, d = size
    rng = np.random.default_rng(26)
    true = rng.normal(size=d)
    data, other = rng.normal(size=(n, d)), rng.normal(size=(n, d))
    labels, other_labels = (
        (rng.uniform(size=n) < 1 / (1 + np.exp(-x @ true))).astype(np.float64) for x in (data, other)
    )
    return np.log(np.array([0.5, 0.01])), data, labels, other, other_labels


def for_jax():
    import jax
    import jax.numpy as jnp

    def loss(w, decay, data, labels):
        z = data @ w
        return jnp.mean(jnp.logaddexp(0.0, z) - labels * z) + decay * jnp.sum(w * w)

    def f(theta, data, labels, other, other_labels):
        rate, decay = jnp.exp(theta[0]), jnp.exp(theta[1])
        start = jnp.zeros(data.shape[1])
        step = lambda w, _: (w - rate * jax.grad(loss)(w, decay, data, labels), None)
        w, _ = jax.lax.scan(step, start, None, length=STEPS)
        return loss(w, 0.0, other, other_labels)

    return f


PROGRAMS = [
    Program(
        "descent through descent",
        f,
        make,
        sizes=((50, 5),),
        quick=((50, 5),),
        check_with=plain,
        native="descent",
        dims=list,
        rewrites={"jax": for_jax},
        unrolls=("jax", "torch"),
    )
]
