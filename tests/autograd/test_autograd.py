"""adjoint.autograd: HIPS autograd's names, argument orders and complex convention."""

import subprocess
import sys

import numpy
import pytest

import adjoint as ad
import adjoint.autograd.numpy as np
import adjoint.autograd.numpy.random as npr
from adjoint.autograd import (
    deriv,
    differential_operators,
    elementwise_grad,
    grad,
    grad_and_aux,
    grad_named,
    hessian,
    hessian_vector_product,
    holomorphic_grad,
    jacobian,
    make_ggnvp,
    make_hvp,
    make_jvp,
    make_jvp_reversemode,
    make_vjp,
    multigrad_dict,
    tensor_jacobian_product,
    value_and_grad,
)
from adjoint.autograd.builtins import isinstance as ag_isinstance
from adjoint.autograd.builtins import type as ag_type
from adjoint.autograd.extend import (
    def_linear,
    defjvp,
    defjvp_argnum,
    defvjp,
    defvjp_argnum,
    defvjp_argnums,
    notrace_primitive,
    primitive,
)
from adjoint.autograd.misc.fixed_points import fixed_point
from adjoint.autograd.misc.flatten import flatten, flatten_func
from adjoint.autograd.misc.optimizers import adam, rmsprop, sgd
from adjoint.autograd.test_util import check_equivalent, check_grads, combo_check
from adjoint.core.errors import AdjointError

close = numpy.testing.assert_allclose
A = numpy.array([[2.0, 1.0], [0.5, 3.0]])
X = numpy.array([0.3, -1.2])
V = numpy.array([1.0, 2.0])


def test_is_imported_only_when_asked_for():
    code = "import sys, adjoint; assert not any('adjoint.autograd' in m for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Operators


def test_argnum_is_an_index_or_a_tuple():
    def f(x, y):
        return x * y * y

    assert grad(f)(2.0, 3.0) == 9.0
    assert grad(f, argnum=1)(2.0, 3.0) == 12.0
    assert grad(f, (1, 0))(2.0, 3.0) == (12.0, 9.0)
    assert grad(f, -1)(2.0, 3.0) == 12.0
    assert grad(f, 1).__name__ == "grad_of_f_wrt_argnum_1"


def test_permissive_where_it_is_harmless():
    assert grad(lambda x: x * x)(numpy.array([3.0])) == numpy.array([6.0])  # a result of size 1
    close(grad(lambda x: np.sum(x * x))(numpy.array([1, 2])), [2.0, 4.0])  # integers
    assert grad(lambda x: 1.0)(()) == ()


def test_refuses_results_of_other_sizes():
    with pytest.raises(TypeError, match="jacobian"):
        grad(lambda x: x * x)(X)
    with pytest.raises(TypeError, match="holomorphic_grad"):
        grad(lambda z: z * z)(1j)
    with pytest.raises(TypeError, match="real result"):
        elementwise_grad(lambda z: z * z)(1j)


def test_values_and_aux():
    assert value_and_grad(lambda x: x**3)(2.0) == (8.0, 12.0)
    assert grad_and_aux(lambda x: (x * x, {"twice": 2 * x}))(3.0) == (6.0, {"twice": 6.0})


def test_products():
    def f(x):
        return np.sin(A @ x)

    def loss(x):
        return np.sum(f(x) ** 2)

    J, H = ad.jacobian(f)(X), ad.hessian(loss)(X)
    vjp, y = make_vjp(f)(X)
    close(y, f(X))
    close(vjp(V), V @ J)
    close(make_jvp(f)(X)(V)[1], J @ V)
    close(make_jvp_reversemode(f)(X)(V), J @ V)
    close(jacobian(f)(X), J)
    close(hessian(loss)(X), H)
    close(make_hvp(loss)(X)[0](V), H @ V)
    close(hessian_vector_product(loss)(X, V), H @ V)
    close(tensor_jacobian_product(f)(X, V), V @ J)
    close(make_ggnvp(f)(X)(V), J.T @ J @ V)
    close(deriv(np.tanh)(0.5), 1 - numpy.tanh(0.5) ** 2)
    close(elementwise_grad(elementwise_grad(np.sin))(X), -numpy.sin(X))


def test_by_name():
    def f(a, b, scale=2.0):
        return a * b**2 * scale

    assert grad_named(f, "b")(1.0, 3.0) == 12.0
    assert multigrad_dict(f)(1.0, 3.0) == {"a": 18.0, "b": 12.0, "scale": 9.0}


def test_containers_and_types():
    def f(params):
        assert ag_isinstance(params, dict) and ag_isinstance(params["w"], numpy.ndarray)
        assert ag_type(params["w"]) is numpy.ndarray and ag_type(params["b"]) is float
        return np.sum(params["w"]) * params["b"]

    g = grad(f)({"w": X, "b": 2.0})
    close(g["w"], [2.0, 2.0])
    close(g["b"], X.sum())


# Complex numbers


def test_the_gradient_is_the_conjugate_of_ours():
    z = 1.0 + 2.0j
    assert ad.grad(lambda z: np.abs(z) ** 2)(z) == 2 * z  # uphill
    assert grad(lambda z: np.abs(z) ** 2)(z) == 2 * z.conjugate()
    assert grad(lambda z: np.real(z))(z) == 1
    assert grad(lambda z: np.imag(z))(z) == -1j


def test_holomorphic_functions():
    z = numpy.array([1.0 + 2.0j, -0.5j])
    close(holomorphic_grad(np.exp)(z[0]), numpy.exp(z[0]))
    close(jacobian(np.exp)(z), numpy.diag(numpy.exp(z)))
    close(make_vjp(np.exp)(z)[0](numpy.ones(2) + 0j), numpy.exp(z))
    close(jacobian(lambda x: x * 1j)(X), numpy.eye(2) * 1j)  # real to complex
    check_grads(lambda z: np.exp(z) * np.conj(z))(z)


# Primitives


def test_defvjp_and_defjvp():
    @primitive
    def scaled_sine(x, factor, name="none"):
        assert type(x) is numpy.ndarray  # plain values
        return factor * numpy.sin(x)

    defvjp(
        scaled_sine,
        lambda ans, x, factor, name="none": lambda g: g * factor * np.cos(x),
        lambda ans, x, factor, name="none": lambda g: np.sum(g * np.sin(x)),
    )
    check_grads(scaled_sine, (0, 1))(X, 2.0, name="plain")  # forward mode is the transpose
    close(jacobian(lambda x: scaled_sine(x, 2.0))(X), numpy.diag(2 * numpy.cos(X)))
    defjvp(scaled_sine, lambda t, ans, x, factor, name="none": t * factor * np.cos(x), "same")
    close(make_jvp(scaled_sine, 1)(X, 2.0)(3.0)[1], 3 * numpy.sin(X))


def test_forward_rule_alone():
    @primitive
    def double(x):
        return 2 * x

    def_linear(double)
    check_grads(double, modes=["fwd"])(X)
    with pytest.raises(NotImplementedError, match="linear"):
        make_vjp(double)(X)[0](V)

    @primitive
    def product(x, y):
        return x * y

    defjvp_argnum(product, lambda argnum, t, ans, args, kwargs: t * args[1 - argnum])
    check_grads(product, (0, 1))(X, V)


def test_rules_by_number():
    @primitive
    def product(*factors):
        return numpy.prod(factors)

    defvjp_argnum(product, lambda argnum, ans, args, kwargs: lambda g: g * ans / args[argnum])
    close(grad(product, (0, 2))(2.0, 3.0, 5.0), (15.0, 6.0))
    defvjp_argnums(product, lambda argnums, ans, args, kwargs: lambda g: [g * ans / args[k] for k in argnums])
    close(grad(product, (0, 2))(2.0, 3.0, 5.0), (15.0, 6.0))


def test_rules_of_complex_functions_are_not_conjugated():
    @primitive
    def times_i(z):
        return z * 1j

    defvjp(times_i, lambda ans, z: lambda g: g * 1j)
    check_grads(times_i)(numpy.array([1.0 + 2.0j, 3.0 + 0j]))
    assert holomorphic_grad(times_i)(2.0 + 0j) == 1j


def test_missing_and_wrong_rules_are_errors():
    @primitive
    def f(x):
        return x * 2

    with pytest.raises(NotImplementedError, match="the primitive f has no derivative rule"):
        grad(f)(1.0)
    defvjp(f, lambda ans, x: lambda g: np.ones(3) * g)
    with pytest.raises(TypeError, match="shape"):
        grad(f)(1.0)
    with pytest.raises(AdjointError, match="differs from its derivative"):
        defvjp(np.sin, lambda ans, x: lambda g: g)
    defvjp(f, None)
    assert grad(f)(1.0) == 0.0
    defvjp(f, lambda ans, x: lambda g: g * 2.001)
    with pytest.raises(AssertionError, match="VJP"):
        check_grads(f, modes=["rev"])(1.0)


def test_notrace_primitive():
    seen = []
    look = notrace_primitive(seen.append)

    def f(x):
        look(x)
        return x * x

    assert grad(f)(3.0) == 6.0
    assert seen == [3.0] and type(seen[0]) is float


# misc


def test_flatten():
    value = {"b": [numpy.ones((2, 2)), 3.0], "a": (numpy.zeros(2),)}
    vector, unflatten = flatten(value)
    close(vector, [0, 0, 1, 1, 1, 1, 3])  # in the order of the keys
    check_equivalent(unflatten(vector)["b"], value["b"])
    close(grad(lambda v: np.sum(flatten(v)[0] ** 2))(value)["b"][0], 2 * numpy.ones((2, 2)))
    assert flatten(())[0].shape == (0,)
    f, _, x = flatten_func(lambda v: {"s": v["a"] * 2}, {"a": X})
    close(f(x), 2 * X)


@pytest.mark.parametrize(
    "optimizer, settings", [(sgd, {}), (rmsprop, {"step_size": 0.01}), (adam, {"step_size": 0.05})]
)
def test_optimizers(optimizer, settings):
    seen = []

    def loss(params, i):
        return np.sum((params["w"] - V) ** 2) + params["b"] ** 2

    end = optimizer(grad(loss), {"w": X, "b": 1.0}, lambda p, i, g: seen.append(i), num_iters=400, **settings)
    close(end["w"], V, atol=0.02)
    close(end["b"], 0, atol=0.02)
    assert seen == list(range(400))


def test_fixed_point():
    def root(a):  # Newton's iteration for the square root
        return fixed_point(lambda a: lambda x: 0.5 * (x + a / x), a, 1.0, lambda x, y: np.abs(x - y), 1e-12)

    assert root(2.0) == pytest.approx(2**0.5)
    assert grad(root)(2.0) == pytest.approx(0.5 / 2**0.5)
    assert grad(grad(root))(2.0) == pytest.approx(-0.25 / 2**1.5, rel=1e-6)


# NumPy and SciPy


def test_what_is_made_of_plain_values_is_plain():
    for a in (
        np.zeros(2),
        np.array([1.0, 2.0]),
        np.linspace(0, 1, 3),
        np.where([True], 1.0, X),
        npr.randn(2),
        np.eye(2),
    ):
        assert type(a) is numpy.ndarray
    assert np.where(True, 3.0, 4.0) == 3.0 and type(np.where(True, 3.0, 4.0)) is float
    assert np.float64 is numpy.float64 and np.__version__ == numpy.__version__


def test_pieces():
    close(grad(lambda x: np.sum(np.array([x, x * x])))(3.0), 7.0)
    combo_check(lambda x: np.c_[x, V, x * x], modes=["fwd", "rev"])([X])
    combo_check(lambda x: np.r_[x, 1.0, V, 1:3], modes=["fwd", "rev"])([X])
    combo_check(lambda x: np.full((2, 2), x))([X])
    combo_check(lambda x: np.make_diagonal(x, axis1=-1, axis2=-2))([X, A])


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_convolve_with_axes(mode):
    from scipy.signal import convolve as plain

    from adjoint.autograd.scipy.signal import convolve

    rng = numpy.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 3, 2))
    y = convolve(a, b, axes=([1], [1]), dot_axes=([2], [0]), mode=mode)
    expected = sum(plain(a[1, :, k], b[k, :, 0], mode) for k in range(3))
    close(y[1, 0], expected)
    check_grads(lambda a, b: convolve(a, b, ([1], [1]), ([2], [0]), mode), (0, 1), order=1)(a, b)


def test_scipy_names():
    from adjoint.autograd.scipy import linalg, special, stats
    from adjoint.autograd.scipy.stats import multivariate_normal as mvn

    assert grad(stats.norm.logpdf)(0.5) == -0.5
    check_grads(special.polygamma, 1, modes=["rev"])(0, 1.3)
    ab = numpy.array([[0.0, 0.3, 0.2, 0.1], [3.0, 4.0, 5.0, 4.0], [0.5, 0.4, 0.2, 0.0], [0.1, 0.1, 0.0, 0.0]])
    check_grads(linalg.solve_banded, (1, 2))((2, 1), ab, numpy.arange(4.0))
    close(grad(lambda c: mvn.entropy(cov=c))(A), 0.5 * numpy.linalg.inv(A).T)


def test_every_name_of_the_operators_has_a_docstring():
    for name in ("make_vjp", "make_jvp", "jacobian", "hessian", "make_hvp", "value_and_grad", "multigrad_dict"):
        assert getattr(differential_operators, name).__doc__
