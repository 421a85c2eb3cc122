"""What transforms return are functions as others are: named, documented, bound as methods, copied, pickled, sent to a pool."""

import concurrent.futures
import copy
import inspect
import multiprocessing
import pickle

import numpy as np
import pytest

import adjoint as ad

X = np.array([[1.0, 2.0], [3.0, 4.0]])


def loss(x, scale=2.0):
    """What it costs."""
    return scale * np.sum(x**2)


def with_aux(x):
    return np.sum(x**2), x


def pull(g, y, x, scale=2.0):
    return g * 2 * scale * x


TRANSFORMS = {
    "grad": ad.grad,
    "has_aux": lambda f: ad.grad(with_aux, has_aux=True),
    "value_and_grad": ad.value_and_grad,
    "jacobian": ad.jacobian,
    "jacfwd": ad.jacfwd,
    "jacrev": ad.jacrev,
    "hessian": ad.hessian,
    "elementwise_grad": ad.elementwise_grad,
    "vmap": lambda f: ad.vmap(f, in_axes=1),
    "checkpoint": ad.checkpoint,
    "differentiable": ad.differentiable,
    "custom_rule": lambda f: ad.custom_rule(f, vjp=pull),
    "nested": lambda f: ad.vmap(ad.grad(ad.checkpoint(ad.differentiable(f)))),
    "of jit": lambda f: ad.vmap(ad.grad(ad.jit(f))),
    "jit of it": lambda f: ad.jit(ad.vmap(ad.grad(f))),
}
every = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


def same(got, want):
    for a, b in zip(ad.tree.flatten(got)[0], ad.tree.flatten(want)[0], strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_copies_and_pickles(transform):
    f = transform(loss)
    for again in (pickle.loads(pickle.dumps(f)), copy.copy(f), copy.deepcopy(f)):
        same(again(X), f(X))


@pytest.mark.parametrize("name", [n for n in TRANSFORMS if n != "has_aux"])
def test_names_and_signatures(name):
    f = TRANSFORMS[name](loss)
    assert f.__name__ == f.__qualname__ == "loss"
    assert f.__module__ == __name__
    assert "What it costs." in f.__doc__
    assert list(inspect.signature(f).parameters) == ["x", "scale"]
    assert "loss" in repr(f)
    assert inspect.unwrap(f) is loss


@ad.grad
def slope(x):
    return np.sum(x**3)


@ad.differentiable
def marked(x):
    return np.sum(x**3)


@pytest.mark.parametrize("f", [slope, marked])
def test_a_decorated_function_is_pickled_by_its_name(f):
    assert pickle.loads(pickle.dumps(f)) is f
    assert copy.deepcopy(f) is f


def test_a_function_without_a_name_is_not():
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(ad.grad(lambda x: x * x))


class Model:
    def __init__(self, w):
        self.w = w

    def cost(self, x):
        return np.sum(self.w * x**2)

    slope = ad.grad(cost, argnums=1)
    marked = ad.differentiable(cost)


def test_methods():
    m = Model(3.0)
    same(m.slope(X), 6 * X)
    same(ad.jit(m.slope)(X), 6 * X)
    same(ad.grad(m.marked)(X), 6 * X)
    same(pickle.loads(pickle.dumps(ad.grad(m.cost)))(X), 6 * X)


def test_compiled_code_that_calls_one_of_outside():
    gradient = ad.grad(loss)
    compiled = ad.jit(lambda x: np.sum(gradient(x) * slope(x)))
    for _ in range(2):
        np.testing.assert_allclose(compiled(X), np.sum(4 * X * 3 * X**2), rtol=1e-14)


def test_compiled_loops_that_change_what_it_closes_over():
    def f(x):
        w = x * 1.0
        cost = lambda v: np.sum(v * w)
        gradient = ad.grad(cost)
        while np.sum(w) < 100.0:
            w = w + gradient(x)
        return np.sum(w)

    np.testing.assert_allclose(ad.jit(f)(np.ones(3)), f(np.ones(3)))
    np.testing.assert_allclose(ad.jit(ad.grad(f))(np.ones(3)), ad.grad(f)(np.ones(3)))


def test_a_pool():
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        (got,) = pool.map(ad.grad(loss), [X])
    same(got, 4 * X)
