"""Inputs and constants with rules of their own are refused, or taken for what they are; never with a wrong derivative."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.core.errors import ConcreteError, DTypeError, ShapeError

X = np.array([[1.0, 5.0], [2.0, 3.0]])
OBJECTS = X.astype(object)
MASKED = np.ma.masked_array(X, mask=X > 2)
MATRIX = X.view(np.matrix)


@pytest.mark.parametrize("constant", [OBJECTS, MASKED, MATRIX], ids=["object", "masked", "matrix"])
@pytest.mark.parametrize(
    "mode",
    [
        lambda f: ad.grad(f)(X),
        lambda f: ad.jvp(f, (X,), (X,)),
        lambda f: ad.vmap(f)(X[None]),
        lambda f: ad.graph(f)(X),
        lambda f: f(ad.tensor(X).attach_grad()).backward(),
    ],
    ids=["grad", "jvp", "vmap", "graph", "backward"],
)
def test_constants_that_are_no_plain_arrays(constant, mode):
    with pytest.raises(DTypeError, match="test_inputs.py:"):
        mode(lambda x: np.sum(np.multiply(x, constant)))


@pytest.mark.parametrize("transform", [ad.grad, ad.jacobian, ad.vmap, lambda f: lambda x: ad.vjp(f, x)])
@pytest.mark.parametrize("x", [MASKED, MATRIX], ids=["masked", "matrix"])
def test_inputs_that_are_no_plain_arrays(transform, x):
    with pytest.raises(DTypeError, match="not supported"):
        transform(np.sum)(x)


def test_a_tensor_of_a_masked_array():
    with pytest.raises(DTypeError, match="mask"):
        ad.tensor(MASKED)


def test_other_subclasses_give_plain_gradients():
    class Mine(np.ndarray):
        pass

    g = ad.grad(lambda x: np.sum(x * x))(X.view(Mine))
    assert type(g) is np.ndarray
    assert (g == 2 * X).all()


def test_lists_and_tuples_meet_tensors_as_arrays():
    for c in ([1.0, 2.0], (1.0, 2.0)):
        assert (ad.grad(lambda x, c=c: np.sum(c * x))(X) == np.array(c)).all()
        assert (ad.vmap(lambda x, c=c: x * c)(X) == X * np.array(c)).all()
    assert (ad.grad(lambda x: np.sum(x * [x[0, 0], 2.0]))(X) == [[4.0, 2.0], [1.0, 2.0]]).all()


def test_an_argument_named_twice():
    with pytest.raises(DTypeError, match="names argument a twice"):
        ad.grad(lambda a, b: a * b, argnums=(0, -2))(2.0, 3.0)


@pytest.mark.parametrize("order", ["A", "K"])
def test_memory_order_is_refused(order):
    x = np.asfortranarray(X)
    for f in (lambda x: x.ravel(order), lambda x: np.ravel(x, order), lambda x: x.reshape(4, order=order)):
        with pytest.raises(ShapeError, match="say order='C'"):
            ad.jacobian(f)(x)
    assert (ad.jacobian(lambda x: x[0].ravel(order))(x)[:, 0] == np.eye(2)).all()


def test_roots_at_zero_of_a_python_float():
    # Python's 0.0 ** -0.5 raises
    assert ad.grad(lambda x: x**0.5)(0.0) == np.inf
    assert ad.grad(lambda x: x**1.5)(0.0) == 0.0
    assert ad.grad(ad.grad(lambda x: x**1.5))(0.0) == np.inf
    assert ad.grad(ad.grad(lambda x: x**0.5))(0.0) == -np.inf
    assert ad.jvp(lambda x: x**0.5, (0.0,), (1.0,))[1] == np.inf


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("kind", ["f4", "f8", "c16"])
def test_byte_order(kind, order):
    """What is computed is in the machine's byte order, as in NumPy, compiled or not."""
    x = np.arange(1.0, 4.0).astype(order + kind)
    f = lambda x: np.sum(abs(x) ** 2)
    for transform in (ad.grad, ad.elementwise_grad, lambda f: ad.vmap(ad.grad(lambda v: abs(v) ** 2))):
        for g in (transform(f)(x), ad.jit(transform(f))(x), transform(ad.jit(f))(x)):
            assert g.dtype == np.dtype(kind)
            np.testing.assert_allclose(g, 2 * x, rtol=1e-6)
    y, pull = ad.vjp(lambda x: x[1:], x)
    np.testing.assert_array_equal(y, x[1:])
    for a in (y, *pull(x[1:]), *ad.jvp(lambda x: x[1:], (x,), (x,)), ad.jacobian(lambda x: x[1:])(x), ad.vmap(abs)(x)):
        assert a.dtype.isnative
    t = ad.tensor(x).attach_grad()
    f(t).backward()
    assert t.dtype == t.grad.dtype == np.dtype(kind)
    np.testing.assert_allclose(t.grad.numpy(), 2 * x, rtol=1e-6)
    assert x.dtype == np.dtype(order + kind)


def test_vmap_axes():
    double = ad.vmap(lambda p: p["a"] * p["b"], in_axes=({"a": 0},))
    with pytest.raises(ShapeError, match="does not fit"):
        double({"a": X, "b": 2.0})
    assert (ad.vmap(np.negative, in_axes=np.int64(0))(X) == -X).all()
    assert ad.vmap(lambda x: (x, 3.0), out_axes=(0, None))(X)[1] == 3.0
    with pytest.raises(ShapeError, match="differs from lane to lane"):
        ad.vmap(lambda x: x, out_axes=None)(X)


def test_storing_a_batched_tensor_in_an_array():
    def f(x):
        a = np.zeros(2)
        a[0] = np.sum(x)
        return a

    with ad.config(rewrite=False), pytest.raises(ConcreteError, match="stored in a NumPy array"):
        ad.vmap(f)(X)
    assert (ad.vmap(f)(X) == [f(x) for x in X]).all()  # as its copy


def test_trace_as_a_method():
    with pytest.raises(TypeError, match=r"np\.trace"):
        ad.grad(lambda x: x.trace())(X)
