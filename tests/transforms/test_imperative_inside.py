"""Tensors with an attached gradient, made inside a function that is itself differentiated or batched."""

import numpy as np

import adjoint as ad

X = np.array([1.0, 2.0, 3.0])


def attached(x):
    y = x * 2
    y.attach_grad()
    return (y * y).sum()


def walked(x):
    y = x * 2
    y.attach_grad()
    (y * y).sum().backward()
    return (y.grad * x).sum()


def test_the_result_of_an_attached_tensor_is_differentiated_on():
    for f in (attached, walked):
        np.testing.assert_array_equal(ad.grad(f)(X), 8 * X)
        np.testing.assert_array_equal(ad.jvp(f, (X,), (X,))[1], 8 * X @ X)
        np.testing.assert_array_equal(ad.vmap(f)(np.stack([X, 2 * X])), [4 * X @ X, 16 * X @ X])
        np.testing.assert_array_equal(ad.vmap(ad.grad(f))(np.stack([X, 2 * X])), [8 * X, 16 * X])
        np.testing.assert_array_equal(ad.graph(f)(X).run(2 * X), [16 * X @ X])
        np.testing.assert_array_equal(ad.graph(ad.grad(f))(X).run(2 * X), [16 * X])
