"""First-order optimizers over nested parameters: each step calls grad(x, i) and, if given, callback(x, i, g) before it."""

import functools

import numpy as np

from .flatten import flatten


def _over_vectors(steps):
    """steps(gradient of vectors, x, ...) yields vectors; the optimizer takes and returns what the user has."""

    @functools.wraps(steps)
    def optimize(grad, x0, callback=None, *args, **kwargs):
        x, unflatten = flatten(x0)

        def gradient(x, i):
            g = grad(unflatten(x), i)
            if callback:
                callback(unflatten(x), i, g)
            return flatten(g)[0]

        return unflatten(steps(gradient, x, None, *args, **kwargs))

    return optimize


@_over_vectors
def sgd(grad, x, callback=None, num_iters=200, step_size=0.1, mass=0.9):
    """Gradient descent with momentum: v is the mean of the gradients, the latest weighted by 1 - mass."""
    v = np.zeros_like(x)
    for i in range(num_iters):
        v = mass * v - (1 - mass) * grad(x, i)
        x = x + step_size * v
    return x


@_over_vectors
def rmsprop(grad, x, callback=None, num_iters=100, step_size=0.1, gamma=0.9, eps=1e-8):
    """Steps divided by the root of a running mean of the squared gradient (Tieleman and Hinton 2012)."""
    square = np.ones_like(x)
    for i in range(num_iters):
        g = grad(x, i)
        square = gamma * square + (1 - gamma) * g * g
        x = x - step_size * g / (np.sqrt(square) + eps)
    return x


@_over_vectors
def adam(grad, x, callback=None, num_iters=100, step_size=0.001, b1=0.9, b2=0.999, eps=1e-8):
    """Adam (Kingma and Ba 2015, algorithm 1): running means of gradient and square, corrected for their start at 0."""
    m, v = np.zeros_like(x), np.zeros_like(x)
    for i in range(num_iters):
        g = grad(x, i)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g * g
        x = x - step_size * (m / (1 - b1 ** (i + 1))) / (np.sqrt(v / (1 - b2 ** (i + 1))) + eps)
    return x
