"""What programs written for autograd ask beyond its documented names; each test is the smallest program that showed it."""

import numpy
import pytest

import adjoint.autograd.numpy as np
from adjoint.autograd import differential_operators, grad, jacobian, make_jvp, value_and_grad
from adjoint.autograd.builtins import DictBox
from adjoint.autograd.core import make_vjp
from adjoint.autograd.extend import Box, VSpace, defjvp, defvjp, primitive, vspace
from adjoint.autograd.numpy.numpy_boxes import ArrayBox
from adjoint.autograd.numpy.numpy_vjps import replace_zero, unbroadcast_f
from adjoint.autograd.numpy.numpy_wrapper import wrap_namespace
from adjoint.autograd.scipy import linalg as spla
from adjoint.autograd.scipy import special
from adjoint.autograd.tracer import getval, isbox
from adjoint.autograd.wrap_util import wraps
from adjoint.core.errors import AdjointError

close = numpy.testing.assert_allclose
X = numpy.array([0.3, -1.2])


def test_numpys_any_and_all_do_not_hide_pythons():
    for name in ("any", "all", "max", "min", "sum", "abs", "round"):
        getattr(np, name)(numpy.array([1.0, 2.0]))  # from here on names of the module
    close(np.zeros(2), [0.0, 0.0])
    assert np.any(numpy.array([False, True])) and not np.all([True, False])
    close(grad(lambda x: np.sum(np.where(np.any(x > 0), x, 0.0)))(X), [1.0, 1.0])


def test_distributions_are_modules():
    import adjoint.autograd.scipy.stats.gamma as gamma
    import adjoint.autograd.scipy.stats.norm as norm
    import adjoint.autograd.scipy.stats.t  # noqa: F401
    from adjoint.autograd.scipy.stats import beta, chi2, dirichlet, poisson  # noqa: F401

    close(grad(norm.logpdf)(0.7), -0.7)
    close(grad(gamma.logpdf)(0.5, 3.0), 2 / 0.5 - 1)


def test_star_import():
    names: dict = {}
    exec("from adjoint.autograd.numpy import *", names)
    assert names["tanh"](0.0) == 0.0 and names["linalg"].norm(numpy.ones(4)) == 2.0


def test_arrays_of_any_iterable_are_joined():
    parts = {"a": X, "b": 2 * X}
    for join in (np.concatenate, np.hstack):
        close(join(parts.values()), [0.3, -1.2, 0.6, -2.4])
        close(grad(lambda x, join=join: np.sum(join(x * k for k in (1, 2))))(X), [3.0, 3.0])
    close(np.stack(x for x in (X, X)), [X, X])


def test_arrays_of_objects_with_tensors_are_arrays_of_their_numbers():
    def f(x):
        objects = np.array([2.0, x[0] * x[1], 1.0], dtype=object).ravel()
        return np.sum(np.array(objects, dtype=float) ** 2)

    close(grad(f)(X), [2 * X[0] * X[1] ** 2, 2 * X[0] ** 2 * X[1]])
    assert np.array([1.0, "a"], dtype=object).dtype == object


# Boxes


def test_boxes():
    seen = []

    def f(x, params):
        assert isinstance(x, ArrayBox) and isinstance(x, Box) and isbox(x) and type(x) == ArrayBox  # noqa: E721
        assert not isinstance(params["w"], Box) and not isinstance(x._value, Box) and isinstance(params, DictBox)
        seen.append(x._value)
        return np.sum(x**3) * params["w"]

    close(grad(f)(X, {"w": 2.0}), 6 * X**2)
    close(seen[0], X)
    assert not isinstance(X, ArrayBox)
    with pytest.raises(ValueError, match="read-only"):
        seen[0][0] = 1.0


def test_the_value_inside_is_one_level_down():
    def f(x):
        return x**2 * getval(x) + x**2 * x._value  # as a function of x: of x alone in x**2

    assert grad(f)(3.0) == 2 * 2 * 3.0 * 3.0
    # of the outer derivative's level, x._value is still a tensor: d/dx (2 * 2 x x) = 8 x, and not 4 x
    assert grad(grad(lambda x: 2 * x**2 * x._value))(3.0) == 2 * 2 * 2 * 3.0


def test_classes_of_arrays_need_no_registration():
    class Weights(numpy.ndarray):
        pass

    VSpace.register(Weights, lambda x: None)
    VSpace.mappings[Weights] = lambda x: None
    ArrayBox.register(Weights)
    close(grad(lambda w: np.sum(w**2))(X.view(Weights)), 2 * X)
    with pytest.raises(TypeError, match="tree.register"):
        ArrayBox.register(dict)
    with pytest.raises(TypeError, match="tree.register"):
        VSpace.mappings[set] = lambda x: None


# Spaces of values


def test_space_of_an_array():
    space = vspace(numpy.ones((2, 3)))
    assert (space.shape, space.size, space.ndim, space.dtype, space.iscomplex) == ((2, 3), 6, 2, float, False)
    close(space.zeros(), numpy.zeros((2, 3)))
    close(space.ones(), numpy.ones((2, 3)))
    basis = list(space.standard_basis())
    close(numpy.reshape(basis, (6, 6)), numpy.eye(6))
    assert space.randn().shape == (2, 3)
    close(space.inner_prod(basis[1], space.add(basis[1], space.scalar_mul(basis[1], 2.0))), 3.0)
    assert space == vspace(numpy.zeros((2, 3))) and space != vspace(numpy.zeros(3)) and vspace(1.0).shape == ()


def test_space_of_complex_numbers_has_two_directions_each():
    space = vspace(numpy.array([1j, 2.0]))
    assert space.size == 4 and space.iscomplex
    close(list(space.standard_basis()), [[1, 0], [1j, 0], [0, 1], [0, 1j]])
    close(space.ones(), [1 + 1j, 1 + 1j])
    close(space.covector(numpy.array([1j, 2.0])), [-1j, 2.0])


def test_space_of_a_container():
    space = vspace({"a": 1.0, "b": X})
    assert space.size == 3 and space.zeros()["b"].shape == (2,)
    close([v["a"] for v in space.standard_basis()], [1, 0, 0])
    with pytest.raises(AttributeError, match="of an array"):
        space.shape


def test_operators_by_the_names_of_autograds_modules():
    assert differential_operators.unary_to_nary(lambda f, x: f(x) + 1)(lambda x, y: x * y, 1)(2.0, 3.0) == 7.0
    vjp, y = differential_operators._make_vjp(np.sin, 0.5)
    close([y, vjp(2.0)], [numpy.sin(0.5), 2 * numpy.cos(0.5)])
    close(differential_operators._make_jvp(np.sin, 0.5)(2.0), (numpy.sin(0.5), 2 * numpy.cos(0.5)))
    assert differential_operators.vspace(y).size == 1


def test_jacobian_written_with_a_space():
    def f(x):
        return np.array([x[0] * x[1], np.sin(x[0])])

    vjp, y = make_vjp(f, X)
    rows = [vjp(e) for e in vspace(y).standard_basis()]
    close(rows, [[X[1], X[0]], [numpy.cos(X[0]), 0.0]])


# Rules


def test_unbroadcast():
    a, b = numpy.ones((3, 1)), numpy.full((2, 3, 4), 2.0)

    @primitive
    def times(a, b):
        return a * b

    defvjp(
        times,
        lambda ans, a, b: unbroadcast_f(a, lambda g: g * b),
        lambda ans, a, b: unbroadcast_f(b, lambda g: g * a),
    )
    close(grad(lambda a: np.sum(times(a, b)))(a), numpy.full((3, 1), 2.0 * 8))
    close(grad(lambda b: np.sum(times(a, b)))(b), numpy.ones((2, 3, 4)))
    assert unbroadcast_f(1.0, lambda g: g * (1 + 2j))(1.0) == 1.0  # the real part, for a real argument
    close(replace_zero(numpy.array([0.0, 2.0]), 1.0), [1.0, 2.0])


def test_a_rule_that_says_the_same_as_ours_is_accepted():
    defjvp(np.linalg.inv, lambda t, ans, x: -np.dot(np.dot(ans, t), ans))
    defjvp(special.gammaln, lambda t, ans, x: t * special.psi(x))
    defjvp(special.polygamma, None, lambda t, ans, n, x: t * special.polygamma(n + 1, x))
    defjvp(special.gammasgn, None)
    defvjp(np.sin, lambda ans, x: lambda g: g * np.cos(x))
    close(make_jvp(np.linalg.inv)(numpy.diag([2.0, 4.0]))(numpy.eye(2))[1], numpy.diag([-1 / 4, -1 / 16]))


def test_a_rule_that_says_something_else_is_refused():
    with pytest.raises(AdjointError, match=r"vjp rule for argument 0 of sign differs .*primitive\(sign\)"):
        defvjp(np.sign, lambda ans, x: lambda g: g)  # "straight through"
    with pytest.raises(AdjointError, match="differs"):
        defvjp(np.sqrt, lambda ans, x: lambda g: g * 0.5 * np.where(x == 0, 1e-30, x) ** -0.5)  # at 0
    with pytest.raises(AdjointError, match="jvp rule for argument 1 of multiply differs"):
        defjvp(np.multiply, lambda t, ans, x, y: t * y, lambda t, ans, x, y: t * y)
    with pytest.raises(AdjointError, match="no primitive"):
        defvjp(np.sin, lambda ans, x: lambda g: undefined * g)  # noqa: F821


def test_a_rule_for_no_primitive_is_not_used_with_a_warning():
    def f(x):
        return x**3

    with pytest.warns(UserWarning, match="vjp rule of f is not used"):
        defvjp(f, lambda ans, x: lambda g: 100 * g)
    assert grad(f)(2.0) == 12.0


def test_a_rule_may_say_anything_of_indices():
    @primitive
    def nonzero(x):
        (at,) = numpy.nonzero(x)
        return x[at], numpy.stack([at, at])

    defjvp(nonzero, lambda t, ans, x: (t[ans[1][0]], numpy.zeros(1)))
    x = numpy.array([0.0, 2.0, 3.0])
    y, t = make_jvp(lambda x: nonzero(x)[0] ** 2)(x)(numpy.array([1.0, 10.0, 100.0]))
    close(y, [4.0, 9.0])
    close(t, [40.0, 600.0])
    close(grad(lambda x: np.sum(nonzero(x)[0] ** 2))(x), [0.0, 4.0, 6.0])


def test_functions_without_a_rule_take_one():
    bands = numpy.array([[4.0, 5.0, 6.0], [1.0, 2.0, 0.0]])  # a diagonal, and the one below it

    def loss(bands):
        return np.sum(spla.cholesky_banded(bands, lower=True)[0])

    with pytest.raises(NotImplementedError, match="no derivative rule"):
        grad(loss)(bands)

    def rule(ans, ab, lower=True):
        def dense(ab):
            return np.diag(ab[0]) + np.diag(ab[1, :-1], -1) + np.diag(ab[1, :-1], 1)

        def banded(c):
            return np.stack([np.diag(c), np.append(np.diag(c, -1), 0.0)])

        return lambda g: make_vjp(lambda ab: banded(np.linalg.cholesky(dense(ab))), ab)[0](g)

    defvjp(spla.cholesky_banded, rule)
    h = 1e-6
    expected = [
        [(loss(bands + h * e) - loss(bands - h * e)) / (2 * h) for e in numpy.eye(6)[k : k + 3].reshape(3, 2, 3)]
        for k in (0, 3)
    ]
    close(grad(loss)(bands), expected, atol=1e-8)


def test_wrapped_namespaces_take_rules():
    import math

    new: dict = {}
    wrap_namespace({"sinh": numpy.sinh, "sign": numpy.sign, "pi": math.pi}, new)
    defvjp(new["sinh"], lambda ans, x: lambda g: g * np.cosh(x))
    close(grad(new["sinh"])(0.5), math.cosh(0.5))
    assert new["pi"] == math.pi and grad(lambda x: x * new["sign"](x))(2.0) == 1.0


def test_wraps():
    @wraps(numpy.sin, namestr="grad_of_{fun}_{k}", docstr="of {fun}", k=3)
    def f():
        pass

    assert f.__name__ == "grad_of_sin_3" and f.__doc__ == "of sin"


# Conventions in which autograd and adjoint differ: here autograd's hold


def test_cholesky_has_a_symmetric_gradient():
    a = numpy.array([[2.0, 0.6], [0.6, 3.0]])

    def log_det(a):
        return 2 * np.sum(np.log(np.diag(np.linalg.cholesky(a))))

    close(grad(log_det)(a), numpy.linalg.inv(a))  # d log det = tr(inv(a) da), for symmetric da
    t = numpy.array([[1.0, 0.5], [0.5, -1.0]])
    close(make_jvp(log_det)(a)(t)[1], numpy.sum(numpy.linalg.inv(a) * t))
    z = numpy.array([[2.0, 0.6j], [-0.6j, 3.0]])
    close(grad(lambda z: np.real(log_det(z)))(z), numpy.linalg.inv(z).T)  # no conjugate: L = Re tr(g^T dz)
    close(jacobian(log_det)(a), numpy.linalg.inv(a))


def test_a_covariance_has_a_symmetric_gradient():
    from adjoint.autograd.scipy.stats import multivariate_normal as mvn

    x, cov = numpy.array([0.5, -1.0]), numpy.array([[2.0, 0.6], [0.6, 3.0]])
    inverse = numpy.linalg.inv(cov)
    u = inverse @ x
    expected = 0.5 * (numpy.outer(u, u) - inverse)
    value, g = value_and_grad(lambda c: mvn.logpdf(x, numpy.zeros(2), c))(cov)
    close(g, expected)
    close(grad(lambda c: mvn.pdf(x, numpy.zeros(2), c))(cov), numpy.exp(value) * expected)
    close(grad(lambda c: mvn.logpdf(x, cov=c))(cov), expected)


def test_clip_holds_what_is_at_a_bound():
    x = numpy.array([-1.0, -0.5, 0.0, 1.0, 2.0])
    close(grad(lambda x: np.sum(np.clip(x, -0.5, 1.0)))(x), [0, 0, 1, 0, 0])
    close(grad(lambda x: np.sum(np.clip(x, 0.0, None)))(x), [0, 0, 0, 1, 1])
    close(grad(lambda x: np.sum(np.clip(x, a_min=None, a_max=1.0) ** 2))(x), [-2, -1, 0, 0, 0])
    close(grad(lambda lo: np.sum(np.clip(x, lo, 1.0)))(-0.5), 1.0)  # by a bound, which autograd does not do
    close(np.clip(x, -0.5, 1.0), numpy.clip(x, -0.5, 1.0))
