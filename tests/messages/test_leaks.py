"""Writes, conversions and decisions that would lose a derivative: each an error that says where and what to do."""

import copy
import gc
import math
import pickle

import numpy as np
import pytest

import adjoint as ad
from adjoint.core import errors
from tests.messages.complains import X, complains

# Writes


def test_changing_a_small_array_after_it_was_recorded_changes_nothing():
    data = X.copy()
    x = ad.tensor(X).attach_grad()
    y = np.sum(x * data)
    data[:] = 7.0
    y.backward()
    assert np.array_equal(x.grad.numpy(), X)


def test_changing_a_large_array_after_it_was_recorded():
    data = np.ones(20_000)

    def f(x):
        y = np.sum(x * data)
        data[0] = 5.0
        return y

    with complains(errors.MutationError, "recorded", "copy"):
        ad.grad(f)(np.zeros(20_000))
    gc.collect()  # Python 3.13's contextlib leaves the error, and so the frame that holds the tape, in a cycle
    data[0] = 2.0  # writeable again
    assert data[0] == 2.0


def test_a_large_array_is_locked_until_backward():
    data = np.ones(20_000)
    x = ad.tensor(np.ones(20_000)).attach_grad()
    y = np.sum(x * data)
    with complains(ValueError, "read-only", line=False):
        data[0] = 5.0
    y.backward()
    data[0] = 5.0


@pytest.mark.parametrize("size", [3, 20_000])
@pytest.mark.parametrize("writer", ["base", "later view", "view of the recorded view"])
def test_writes_through_bases_and_views(size, writer):
    """Small arrays are copied, and large ones refuse the write. (A view of a large one made before is a documented gap.)"""
    base = np.ones(size + 1)
    w = base[1:]
    y, pull = ad.vjp(lambda x: np.sum(np.sin(x * w)), np.full(size, 0.3))
    target = {"base": base, "later view": base[:], "view of the recorded view": w[:2]}[writer]
    if size > 3:
        with complains(ValueError, "read-only", line=False):
            target[:] = 100.0
    else:
        target[:] = 100.0
    np.testing.assert_allclose(pull(1.0)[0], np.cos(0.3), rtol=1e-15)
    del y, pull
    base[:] = 2.0  # and views of it made from now on; one made meanwhile stays as it was made


@pytest.mark.parametrize("write", ["x[0] = 1.0", "x[0] += 1.0", "x += 1.0", "x *= 2.0"])
def test_writing_into_an_attached_tensor(write):
    """Elsewhere a write is differentiated (tests/primitives/test_write.py); here it would change what was recorded."""
    x = ad.tensor(X).attach_grad()
    with complains(errors.MutationError, "attached gradient", "with ad.no_grad():", line=False):
        exec(compile(write, __file__, "exec"), {"x": x})


def test_writing_a_tensor_into_an_array():
    def f(x):
        buffer = np.zeros(3)
        buffer[0] = x[0]
        return np.sum(buffer)

    with complains(errors.LeakError, "NumPy array", "@ad.differentiable", "adjoint.numpy"):
        ad.grad(f)(X)
    assert np.array_equal(ad.grad(ad.differentiable(f))(X), [1.0, 0.0, 0.0])


def test_the_way_out_is_named_where_it_is_not_taken_yet():
    import math

    def f(x):
        return math.sin(x)

    def g(x):
        return len(x.tobytes()) * x

    with complains(errors.LeakError, "@ad.differentiable", "stop_gradient"):
        ad.grad(f)(0.0)
    assert ad.grad(ad.differentiable(f))(0.0) == 1.0
    with complains(errors.LeakError, "stop_gradient") as told:
        ad.grad(ad.differentiable(g))(0.0)
    assert "@ad.differentiable" not in told.text


def test_a_list_of_numbers_in_place_of_an_array():
    with complains(errors.LeakError, "list of numbers", "pass np.array"):
        ad.grad(lambda x: np.sin(x).sum())([1.0, 2.0])


def test_a_function_of_scipy_that_makes_arrays():
    import scipy.linalg

    with complains(errors.LeakError, "adjoint.scipy"):
        ad.grad(lambda x: scipy.linalg.cho_factor(np.eye(3) * x)[0].sum())(X)
    with complains(errors.ConcreteError, "adjoint.scipy"):
        ad.jit(lambda x: scipy.linalg.hessenberg(np.eye(3) * x).sum())(X)


def test_in_place_operator_on_an_array():
    def f(x):
        total = np.zeros(3)
        total += x
        return np.sum(total)

    with complains(errors.MutationError, "a = a + x"):
        ad.grad(f)(X)


def test_out():
    with complains(errors.MutationError, "out="):
        ad.grad(lambda x: np.sum(np.add(x, x, out=np.zeros(3))))(X)
    with complains(errors.MutationError, "out="):
        ad.grad(lambda x: np.sum(x, out=np.zeros(())))(X)


# Conversions that would lose the derivative

LEAKS = {
    "float()": float,
    "complex()": complex,
    "math module": math.sin,
    ".item()": lambda x: x.item(),
    ".tolist()": lambda x: x.tolist(),
    ".numpy()": lambda x: x.numpy(),
    "np.asarray()": np.asarray,
    "np.array()": lambda x: np.array(x, dtype=float),
    "copy.deepcopy()": copy.deepcopy,
    "pickling": pickle.dumps,
}


def test_deep_copies_within_a_transform_are_differentiated():
    class State:
        def __init__(self, x):
            self.x, self.kept = x, [x * x]

    def f(x):
        a = State(x)
        b = copy.deepcopy(a)
        b.x[0] = 5.0  # a copy of its own
        return np.sum(b.x * a.x) + np.sum(b.kept[0])

    x = np.array([1.0, 2.0])
    want = [5.0 + 2 * 1.0, 2 * 2.0 + 2 * 2.0]
    for call in (ad.grad(f), ad.jit(ad.grad(f)), ad.grad(ad.jit(f)), ad.jacfwd(f)):
        np.testing.assert_array_equal(call(x), want)
    np.testing.assert_array_equal(ad.vmap(ad.grad(f))(x[None]), [want])


@pytest.mark.parametrize("way", LEAKS)
@pytest.mark.parametrize("transform", ["grad", "jvp", "imperative"])
def test_leaks(way, transform):
    if way == "copy.deepcopy()" and transform != "imperative":
        pytest.skip("a deep copy within a transform is a step of the computation")

    def f(x):
        return LEAKS[way](x * x)

    with complains(errors.LeakError, way.rstrip("()"), "lose its derivative", "stop_gradient"):
        if transform == "grad":
            ad.grad(f)(2.0)
        elif transform == "jvp":
            ad.jvp(f, (2.0,), (1.0,))
        else:
            f(ad.tensor(2.0).attach_grad())


def test_what_nobody_differentiates_converts_freely():
    x = ad.tensor(2.0).attach_grad()
    y = x * x
    y.backward()
    assert float(y) == 4.0 and y.item() == 4.0
    with ad.no_grad():
        assert math.sqrt(x * x) == 2.0
    assert float(ad.tensor(3.0)) == 3.0
    assert float(ad.stop_gradient(x)) == 2.0
    assert ad.grad(lambda x: x * float(ad.stop_gradient(x)))(3.0) == 3.0


def test_decisions_on_known_values_work():
    def f(x):
        assert x > 1 and bool(x < 3) and round(x) == 2 and int(x) == 2
        return x * (2 if x == 2 else 3)

    assert ad.grad(f)(2.0) == 2.0
    assert ad.grad(lambda x: x * [5.0, 7.0][x > 1])(2.0) == 7.0
    assert ad.grad(lambda x: x[int(x[0])])(X).tolist() == [0.0, 1.0, 0.0]


def test_a_function_without_rule():
    with complains(errors.MissingRuleError, "numpy", "custom_rule"):
        ad.grad(lambda x: np.sum(np.isnat(x)))(X)
    halve = np.frompyfunc(lambda v: v / 2, 1, 1)
    with complains(errors.MissingRuleError, "lambda"):
        ad.grad(lambda x: np.sum(halve(x)))(X)


def test_ufunc_methods_without_rule():
    with complains(errors.MissingRuleError, "np.divmod.outer"):
        ad.grad(lambda x: np.sum(np.divmod.outer(x, x)[1]))(X)


# Values that are not known

DECISIONS = {
    "if": lambda x: x if x > 0 else -x,
    "while": lambda x: [None for _ in iter(lambda: bool(x < 0), True)],
    "int()": lambda x: int(x),
    "an index": lambda x: [1, 2, 3][x],
    "round()": lambda x: round(x),
}


@pytest.mark.parametrize("way", DECISIONS)
@pytest.mark.parametrize("transform", ["vmap", "graph"])
def test_decision_on_an_unknown_value(way, transform):
    f = DECISIONS[way]
    advice = (
        ("x[i + np.arange(n)]", "np.stack", "np.where")
        if way == "an index"
        else ("ad.cond", "ad.while_loop", "np.where")
    )
    with complains(errors.ConcreteError, way, *advice):
        if transform == "vmap":
            ad.vmap(f)(X)
        else:
            ad.graph(f)(2.0)


@pytest.mark.parametrize("transform", ["vmap", "graph"])
@pytest.mark.parametrize("way", [float, math.sin, np.asarray])
def test_conversion_of_an_unknown_value(way, transform):
    with complains(errors.ConcreteError, "not known"):
        if transform == "vmap":
            ad.vmap(way)(X)
        else:
            ad.graph(way)(2.0)


# Tensors that outlive their transform


def kept_by(transform, *args):
    kept = []

    def f(x):
        kept.append(x * 1.0)
        return x * x

    transform(f, *args)
    return kept[0]


ENDED = {
    "grad": lambda: kept_by(lambda f: ad.grad(f)(2.0)),
    "jvp": lambda: kept_by(lambda f: ad.jvp(f, (2.0,), (1.0,))),
    "vmap": lambda: kept_by(lambda f: ad.vmap(f)(X)),
    "graph": lambda: kept_by(lambda f: ad.graph(f)(2.0)),
    "vjp": lambda: kept_by(lambda f: ad.vjp(f, 2.0)),
}


@pytest.mark.parametrize("name", ENDED)
def test_a_tensor_that_outlived_its_transform(name):
    old = ENDED[name]()
    for use in (lambda: old * 2, lambda: np.sin(old), lambda: np.sum(old)):
        with complains(errors.EscapeError, "after the transform", "has_aux"):
            use()


@pytest.mark.parametrize("name", ENDED)
def test_an_old_tensor_in_a_new_transform(name):
    old = ENDED[name]()
    with complains(errors.EscapeError, "after the transform"):
        ad.grad(lambda x: np.sum(x * old))(1.0)
    with complains(errors.EscapeError, "after the transform"):
        ad.grad(lambda x: old)(1.0)


def test_scipy_without_a_rule():
    import scipy.interpolate
    import scipy.ndimage
    from scipy.spatial.transform import Rotation

    x = np.arange(5.0)
    for f, name in (
        (lambda v: Rotation.from_rotvec(v[:3]).as_matrix().sum(), "scipy.spatial.transform.Rotation.from_rotvec"),
        (lambda v: scipy.ndimage.gaussian_filter(v, 1.0).sum(), "scipy.ndimage.gaussian_filter"),
        (lambda v: scipy.interpolate.splev(1.5, scipy.interpolate.splrep(x, v)), "scipy.interpolate.splrep"),
        (lambda v: scipy.interpolate.PchipInterpolator(x, v)(1.5), "scipy.interpolate.PchipInterpolator"),
    ):
        for transform in (ad.grad, lambda f: ad.jit(ad.grad(f))):
            with complains(errors.AdjointError, name, "custom_rule"):
                transform(f)(x)
    with complains(errors.LeakError, "adjoint.scipy.interpolate.CubicSpline"):
        ad.grad(lambda v: scipy.interpolate.CubicSpline(x, v)(1.5))(x)
