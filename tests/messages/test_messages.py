"""Every bad input gives an error of the right class that says what, where (the line of this file) and what to do."""

import functools
import sys
import threading
import time
from collections import namedtuple

import numpy as np
import pytest

import adjoint as ad
from adjoint.core import errors
from tests.messages.complains import X, clean, complains

# What cannot be differentiated


@pytest.mark.parametrize("transform", [ad.grad, ad.value_and_grad, ad.jacobian, ad.hessian, ad.jacfwd, ad.jacrev])
def test_integers(transform):
    with complains(errors.DTypeError, "x", "int64", ".astype(float)"):
        transform(lambda x: np.sum(x * x))(np.array([1, 2]))


def test_python_integer():
    with complains(errors.DTypeError, "x is a Python int", "float(...)"):
        ad.grad(lambda x: x * x)(3)


def test_booleans():
    with complains(errors.DTypeError, "bool", "convert"):
        ad.grad(lambda x: np.sum(x * 1.0))(np.array([True, False]))


def test_strings():
    with complains(errors.DTypeError, "'abc'"):
        ad.grad(lambda name, x: x)("abc", 1.0)
    with complains(errors.DTypeError, "names", "cannot be differentiated"):
        ad.grad(lambda names: 1.0)(np.array(["a", "b"]))


def test_none():
    with complains(errors.DTypeError, "None"):
        ad.grad(lambda x: 1.0)(None)


def test_objects():
    with complains(errors.DTypeError, "cannot be differentiated"):
        ad.grad(lambda x: 1.0)(object())


Point = namedtuple("Point", "x n")


@pytest.mark.parametrize(
    "params, path",
    [
        ({"w": X, "n": 3}, "params['n']"),
        ({"w": X, "layers": [X, np.arange(3)]}, "params['layers'][1]"),
        (Point(1.0, 2), "params.n"),
        ((1.0, [2.0, 3]), "params[1][1]"),
    ],
)
def test_integer_in_a_container_is_named_by_its_path(params, path):
    with complains(errors.DTypeError, path, "float"):
        ad.grad(lambda params: 1.0)(params)


@pytest.mark.parametrize(
    "call",
    [lambda: ad.vjp(np.sin, 1), lambda: ad.jvp(np.sin, (1,), (1.0,)), lambda: ad.linearize(np.sin, np.arange(3))],
)
def test_integers_to_other_transforms(call):
    with complains(errors.DTypeError, "int", "float"):
        call()


def test_attach_grad_to_integers():
    with complains(errors.DTypeError, "int64", "float"):
        ad.tensor([1, 2]).attach_grad()
    with complains(errors.DTypeError, "int64", "float"):
        ad.tensor([1, 2]).requires_grad_()


# Results that cannot be differentiated


def test_non_scalar_result():
    def loss(x):
        return x * 2

    with complains(errors.ShapeError, "scalar", "loss", "(3,)", "ad.vjp", "ad.jacobian", ".sum()"):
        ad.grad(loss)(X)


def test_size_one_is_no_scalar():
    with complains(errors.ShapeError, "scalar", "(1,)"):
        ad.grad(lambda x: x[:1])(X)


@pytest.mark.parametrize(
    "result, part",
    [(None, "no return statement"), ("text", "'text'"), ((1.0, 2.0), "tuple"), ({"a": 1.0}, "dict")],
)
def test_result_that_is_no_number(result, part):
    with complains(errors.DTypeError, "scalar", part):
        ad.grad(lambda x: result)(1.0)


def test_complex_result():
    with complains(errors.DTypeError, "real", "complex128", ".real"):
        ad.grad(lambda x: x * 1j)(1.0)


def test_has_aux_without_aux():
    with complains(errors.ShapeError, "has_aux", "(result, aux)"):
        ad.grad(lambda x: x, has_aux=True)(1.0)


# Arguments


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
def test_argnums_out_of_range(argnums):
    with complains(errors.ShapeError, "argnums", "2 positional arguments"):
        ad.grad(lambda x, y: x * y, argnums)(1.0, 2.0)


def test_argnums_of_a_missing_keyword():
    with complains(errors.ShapeError, "argnums", "'scale'"):
        ad.grad(lambda x, scale=1.0: x * scale, "scale")(1.0)


def test_argnums_of_another_type():
    with complains(errors.DTypeError, "argnums", line=False):
        ad.grad(lambda x: x, 1.5)(1.0)


def test_tangents_that_do_not_match():
    with complains(errors.ShapeError, "tangent", "(3,)", "(2,)"):
        ad.jvp(np.sin, (X,), (np.ones(2),))
    with complains(errors.ShapeError, "1 arguments", "2 tangents"):
        ad.jvp(np.sin, (X,), (X, X))
    with complains(errors.DTypeError, "tuple"):
        ad.jvp(np.sin, X, X)
    with complains(errors.ShapeError, "tangent", line=False):
        ad.jvp(lambda d: d["a"], ({"a": 1.0},), ({"b": 1.0},))
    with complains(errors.DTypeError, "complex128", "float64"):
        ad.jvp(np.sin, (X,), (X * 1j,))


def test_cotangents_that_do_not_match():
    y, pull = ad.vjp(lambda x: (np.sin(x), {"a": x[0]}), X)
    with complains(errors.ShapeError, "cotangent", "(3,)", "(2,)"):
        pull((np.ones(2), {"a": 1.0}))
    with complains(errors.ShapeError, "cotangent", line=False):
        pull(np.ones(3))
    with complains(errors.DTypeError, "complex128", "float64"):
        pull((X * 1j, {"a": 1.0}))


def test_linear_function_on_wrong_tangents():
    _, push = ad.linearize(np.sin, X)
    with complains(errors.ShapeError, "tangent", "(3,)"):
        push(np.ones(4))
    with complains(errors.ShapeError, "2"):
        push(X, X)


def test_vmap_of_what_has_no_axis():
    with complains(errors.ShapeError, "vmap", "no axis"):
        ad.vmap(np.sin)(np.float64(1.0))
    with complains(errors.ShapeError, "vmap", "different lengths", "3 in argument 0, 2 in argument 1"):
        ad.vmap(np.add)(X, np.ones(2))
    with complains(errors.ShapeError, "vmap", "in_axes"):
        ad.vmap(np.sin, in_axes=(0, 0))(X)


def test_vmap_axes_that_are_not_there():
    """What has no such axis, its shape, and what is allowed."""
    first = lambda p: (p["w"], {"a": p["w"]})
    w = {"w": np.ones((3, 2))}
    with complains(errors.ShapeError, "in_axes is 2 for p['w']", "shape (3, 2)", "-2 to 1 are allowed"):
        ad.vmap(first, in_axes=2)(w)
    with complains(errors.ShapeError, "in_axes is {'b': 0} for p", "a dict of ['w']"):
        ad.vmap(first, in_axes=({"b": 0},))(w)
    for transform in (ad.vmap, lambda *args: ad.jit(ad.vmap(*args)), lambda *args: ad.grad(ad.vmap(*args))):
        with complains(
            errors.ShapeError, "out_axes is -3 for the result[1]['a']", "shape (2,) in each lane", "-2 to 1"
        ):
            transform(first, 0, (0, {"a": -3}))(w)
        with complains(errors.ShapeError, "out_axes is (0, 1, 2) for the result", "a tuple of 2"):
            transform(first, 0, (0, 1, 2))(w)
    with complains(errors.ShapeError, "out_axes is 5 for the result", "shape () in each lane", "-1 to 0"):
        ad.vmap(np.sin, out_axes=5)(X)


def test_broadcast_error_keeps_numpys_words_and_adds_the_line():
    def f(x):
        return np.sum(x * np.ones(2))

    with complains(ValueError, "could not be broadcast together", "multiply", "float64[3]", "float64[2]"):
        ad.grad(f)(X)
    with complains(ValueError, "could not be broadcast together", "(3,) (2,)"):
        ad.jvp(f, (X,), (X,))


def test_matmul_error_adds_the_line():
    with complains(ValueError, "matmul"):
        ad.grad(lambda x: np.sum(np.ones((2, 2)) @ x))(X)


def test_bad_axis_is_numpys_error():
    with complains(np.exceptions.AxisError, "axis 3", line=False):
        ad.grad(lambda x: np.sum(x, axis=3))(X)


# Imperative use


def test_backward_twice():
    x = ad.tensor(X).attach_grad()
    y = np.sum(x * x)
    y.backward()
    with complains(errors.ReleasedError, "released", "retain_graph=True"):
        y.backward()


def test_backward_twice_with_retain_graph():
    x = ad.tensor(X).requires_grad_()
    y = np.sum(x * x)
    y.backward(retain_graph=True)
    y.backward()
    assert np.array_equal(x.grad.numpy(), 4 * X)


def test_backward_on_what_needs_no_gradient():
    with complains(errors.AdjointError, "attach_grad"):
        ad.tensor(1.0).backward()
    with ad.no_grad():
        y = ad.tensor(1.0).attach_grad() * 2
    with complains(errors.AdjointError, "attach_grad"):
        y.backward()


def test_backward_of_a_vector():
    x = ad.tensor(X).attach_grad()
    with complains(errors.ShapeError, "(3,)", "gradient=", ".sum()"):
        (x * 2).backward()
    with complains(errors.ShapeError, "(2,)", "(3,)"):
        (x * 2).backward(gradient=np.ones(2))
    for wrong in (np.ones(3) * 1j, ad.tensor(np.ones(3) * 1j)):  # whose imaginary part would be dropped
        with complains(errors.DTypeError, "complex128", "float64"):
            (x * 2).backward(gradient=wrong)
    for right in ([1.0, 2.0, 3.0], np.array([1, 2, 3]), ad.tensor(np.array([1, 2, 3], np.float32))):
        (x * 2).backward(gradient=right)
        assert x.grad.dtype == np.float64 and np.array_equal(x.grad.numpy(), [2.0, 4.0, 6.0])


def test_backward_inside_a_transform():
    def f(x):
        y = x * x
        y.backward()
        return y

    with complains(errors.AdjointError, "backward", "ad.grad"):
        ad.grad(f)(1.0)


def test_grad_of_what_was_never_attached():
    with complains(errors.AdjointError, "attach_grad"):
        ad.tensor(X).grad


def test_writing_into_an_attached_leaf():
    x = ad.tensor(X).attach_grad()
    with complains(errors.MutationError, "no_grad"):
        x -= 0.1
    with complains(errors.MutationError, "no_grad"):
        x[0] = 1.0


# Custom rules


def test_custom_rule_without_rules():
    with complains(errors.RuleError, "jvp", "vjp", line=False):
        ad.custom_rule(np.sin)


def test_custom_rule_of_the_wrong_shape():
    bad = ad.custom_rule(lambda x: x * 2, vjp=lambda g, y, x: np.sum(g) * 2)
    with complains(errors.RuleError, "vjp", "shape ()", "(3,)", line=False):
        ad.grad(lambda x: np.sum(bad(x)))(X)


def test_custom_rule_of_a_solver_under_jit():
    from scipy.optimize import brentq

    solve = lambda p: brentq(lambda t: t**3 - p, 5.0, 10.0)  # no root there for p = 1
    slope = lambda g, y, p: g / (3 * y**2)
    root = ad.custom_rule(solve, vjp=slope)
    assert ad.grad(root)(216.0) == pytest.approx(1 / 108)
    with complains(errors.RuleError, "under jit", "on ones", "different signs", "like="):
        ad.jit(root)(216.0)
    known = ad.custom_rule(solve, vjp=slope, like=lambda p: p)
    assert ad.jit(ad.grad(known))(216.0) == pytest.approx(1 / 108)
    assert ad.jit(ad.grad(ad.grad(known)))(216.0) == pytest.approx(-2 / 9 * 216.0 ** (-5 / 3))


def test_custom_rule_without_a_return_statement():
    for n in (1, 2):  # None would read as "no argument has a derivative": zeros
        bad = ad.custom_rule(lambda *xs: sum(xs), vjp=lambda g, y, *xs: None)
        with complains(errors.RuleError, "return statement", line=False):
            ad.grad(lambda x, n=n, bad=bad: np.sum(bad(*[x] * n)))(X)
    none = ad.custom_rule(lambda x: x * 2, vjp=lambda g, y, x: (None,))
    assert np.array_equal(ad.grad(lambda x: np.sum(none(x) * x))(X), 2 * X)


def test_custom_rule_with_the_wrong_number_of_cotangents():
    bad = ad.custom_rule(lambda x, y: x * y, vjp=lambda g, out, x, y: (g * y,))
    with complains(errors.RuleError, "2 cotangents", line=False):
        ad.grad(lambda x: bad(x, x))(1.0)


def test_custom_jvp_of_the_wrong_shape():
    bad = ad.custom_rule(lambda x: x * 2, jvp=lambda ts, y, x: np.sum(ts[0]))
    with complains(errors.RuleError, "jvp", "()", "(3,)", line=False):
        ad.jvp(bad, (X,), (X,))


def test_custom_rule_on_a_closure():
    def f(x):
        inner = ad.custom_rule(lambda z: z * x, vjp=lambda g, y, z: g)
        return inner(2.0 * x)

    with complains(errors.EscapeError, "pass it as an argument"):
        ad.grad(f)(1.0)


def test_checkpoint_of_a_closure():
    with complains(errors.EscapeError, "pass it as an argument"):
        ad.grad(lambda x: ad.checkpoint(lambda z: z * x)(2.0 * x))(1.0)


# Errors of the user's own


class Mine(Exception):
    pass


def raises_inside(x):
    y = np.sin(x) * 2
    raise Mine("something of the user's")
    return y


RUNS = {
    "grad": lambda: ad.grad(raises_inside)(1.0),
    "jvp": lambda: ad.jvp(raises_inside, (1.0,), (1.0,)),
    "vjp": lambda: ad.vjp(raises_inside, 1.0),
    "jacobian": lambda: ad.jacobian(raises_inside)(X),
    "hessian": lambda: ad.hessian(raises_inside)(X),
    "vmap": lambda: ad.vmap(raises_inside)(X),
    "graph": lambda: ad.graph(raises_inside)(1.0),
    "linearize": lambda: ad.linearize(raises_inside, X),
    "no_grad": lambda: ad.no_grad()(raises_inside)(ad.tensor(1.0)),
    "nested": lambda: ad.vmap(ad.grad(ad.grad(raises_inside)))(X),
}


@pytest.mark.parametrize("name", RUNS)
def test_the_users_error_passes_unchanged(name):
    with pytest.raises(Mine, match="something of the user's"):
        RUNS[name]()
    clean()


def test_errors_in_threads_leave_nothing_behind():
    problems = []

    def work(name):
        try:
            for _ in range(20):
                try:
                    RUNS[name]()
                except Mine:
                    clean()
        except BaseException as error:  # pragma: no cover
            problems.append((name, error))

    threads = [threading.Thread(target=work, args=(name,)) for name in RUNS]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not problems, problems


def test_value_errors_of_the_user_pass_unchanged():
    def f(x):
        raise ValueError("negative temperature")

    with pytest.raises(ValueError, match="^negative temperature$"):
        ad.grad(f)(1.0)


def test_numpys_own_errors_keep_their_class():
    with complains(np.linalg.LinAlgError, "Singular matrix", line=False):
        ad.grad(lambda a: np.sum(np.linalg.inv(a)))(np.zeros((2, 2)))


# Settings


def test_unknown_setting():
    with complains(TypeError, "guard", "debug", line=False):
        ad.config(speed=3)
    with complains(AttributeError, "guard", line=False):
        ad.config.speed


def test_every_error_is_of_the_package_and_of_pythons_family():
    families = {
        TypeError: ("DTypeError", "LeakError", "ConcreteError", "RuleError"),
        ValueError: ("ShapeError", "MutationError"),
        RuntimeError: ("EscapeError", "ReleasedError"),
        NotImplementedError: ("MissingRuleError",),
        AssertionError: ("CheckError",),
    }
    for family, name in [(family, name) for family, names in families.items() for name in names]:
        cls = getattr(errors, name)
        assert issubclass(cls, errors.AdjointError) and issubclass(cls, family) and cls.__doc__
        assert name in sys.modules["adjoint.core.errors"].__doc__


def test_check_grads_names_what_is_wrong():
    wrong = ad.custom_rule(lambda x: x * x, vjp=lambda g, y, x: g * x)
    with complains(errors.CheckError, line=False) as caught:
        ad.check_grads(wrong, 3.0)
    assert "3" in caught.text and "6" in caught.text
    ad.check_grads(lambda x: x * x, 3.0)


def test_shapes_that_do_not_broadcast_in_a_captured_function():
    for transform in (ad.graph, ad.jit):
        with complains(ValueError, "shape mismatch", "in add(float64[2], float64[3])"):
            transform(lambda x: x + np.ones(3))(np.ones(2))


def test_indices_that_are_not_known_say_what_to_write():
    chosen = lambda x, i: [x, 2 * x][i]
    for f in (lambda x, i: x[i : i + 2], lambda x, i: x[:i], chosen):
        for call in (lambda: ad.jit(f)(X, np.int64(1)), lambda: ad.vmap(f)(np.stack([X, X]), np.array([0, 1]))):  # noqa: B023
            if f is chosen and "jit" in call.__code__.co_names:
                assert (call() == 2 * X).all()  # rewritten code can wait
                continue
            with complains(ad.AdjointError, "x[i + np.arange(n)]", "np.where(c, b, a)"):
                call()
    assert (ad.jit(lambda x, i: x[i + np.arange(2)])(X, np.int64(1)) == X[1:]).all()


def test_a_class_that_is_defined_inside():
    def f(x):
        class Local:
            def method(self, x):
                if x[0] > 0:
                    return x * 2
                return x

        return Local().method(x)

    with complains(ad.AdjointError, "a method of Local", "define the class outside"):
        ad.jit(f)(X)


def test_values_of_recorded_tensors():
    for look, way in (
        (lambda y: y.item(), "x.detach().item()"),
        (lambda y: y.numpy(), "x.detach().numpy()"),
        (float, "x.detach()"),
    ):
        y = np.sum(ad.tensor([1.0, 2.0], requires_grad=True) ** 2)
        with complains(errors.LeakError, way):
            look(y)
        assert look(y.detach()) == 5.0
    with complains(AttributeError, "x.detach()", "ad.no_grad()", line=False):
        y.data


def test_a_name_bound_behind_what_is_not_known():
    def f(x):
        i = 0
        while x[i] > 1 and (y := x[i]) < 5:
            i += 1
            x = x * y
        return x

    with complains(ad.AdjointError, "a name is bound", "bind it in a statement of its own"):
        ad.jit(f)(X)


# Warnings


def _without_llvmlite(monkeypatch):
    from adjoint.compiler import program

    monkeypatch.setattr(program, "unavailable", functools.cache(program.unavailable.__wrapped__))
    monkeypatch.setitem(sys.modules, "llvmlite", None)


def _small_programs_alone(monkeypatch):
    from adjoint.compiler import program

    monkeypatch.setattr(program, "LARGEST", 1)


SEEN: list = []


def changes(x):
    SEEN.append(1)
    return x * 2


def writes(x):
    x[0] = 1.0
    return x * 2


WARNINGS = {
    "llvmlite": (_without_llvmlite, lambda: ad.jit(np.sin)(X), "llvmlite is not installed"),
    "large": (_small_programs_alone, lambda: ad.jit(lambda x: np.sin(x) * np.cos(x) + np.exp(x))(X), "run by NumPy"),
    "outside": (None, lambda: ad.jit(changes)(X), "changes a list of outside"),
    "argument": (None, lambda: ad.jit(writes)(X.copy()), "writes into an argument"),
    "time": (None, lambda: ad.jit(lambda x: x * time.time())(X), "is read once"),
}


@pytest.mark.parametrize("prepare, run, text", WARNINGS.values(), ids=WARNINGS)
def test_warnings_are_of_the_users_line(prepare, run, text, monkeypatch):
    if prepare:
        prepare(monkeypatch)
    with pytest.warns(match=text) as told:
        run()
    code = {f.__code__.co_firstlineno for f in (run, changes, writes)}
    for w in told:
        assert w.filename == __file__
        assert any(first <= w.lineno <= first + 2 for first in code)
