"""Values cut off from a recording share its memory, but nobody can change the recording through them."""

import copy

import numpy as np
import pytest

import adjoint as ad
from adjoint.core.errors import MutationError


@pytest.mark.parametrize("n", [3, 20000])
def test_writing_into_what_was_cut_off(n):
    def through_numpy(x):
        y = np.exp(x)
        p = np.asarray(ad.stop_gradient(y))
        p /= p.sum()
        return np.sum(y * p)

    def as_tensor(x):
        y = np.exp(x)
        p = ad.stop_gradient(y)
        p /= p.sum()
        return np.sum(y * p)

    with ad.config(rewrite=False), pytest.raises(MutationError, match="write into a copy"):
        ad.grad(through_numpy)(np.zeros(n))
    assert np.allclose(ad.grad(through_numpy)(np.zeros(n)), 1 / n)  # as its copy
    assert np.allclose(ad.grad(as_tensor)(np.zeros(n)), 1 / n)

    x = ad.tensor(np.zeros(n)).attach_grad()
    y = np.exp(x)
    y.detach()[:] = 70.0
    with ad.no_grad(), pytest.raises(ValueError, match="read-only"):
        np.asarray(y)[:] = 70.0
    with ad.no_grad(), pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[:] = 70.0
    y.sum().backward()
    assert (np.asarray(x.grad) == 1.0).all()


@pytest.mark.parametrize("mode", ["write", "add"])
@pytest.mark.parametrize("n", [3, 20000])
def test_a_gradient_used_as_a_constant(mode, n):
    x = ad.tensor(np.ones(n)).attach_grad(mode)
    y = ad.tensor(np.ones(n)).attach_grad()
    (x * x * x).sum().backward()
    buffer = x.grad
    loss = (x.grad * y).sum()
    (x * 2).sum().backward()  # while loss still reads the old gradient
    loss.backward()
    assert x.grad is buffer
    assert (np.asarray(x.grad) == (2.0 if mode == "write" else 5.0)).all()
    assert (np.asarray(y.grad) == 3.0).all()


def test_copies_of_a_parameter():
    x = ad.tensor([1.0, 2.0]).attach_grad()
    same = copy.copy(x)
    (same * same).sum().backward()
    assert same.grad is x.grad
    with ad.no_grad():
        other = copy.deepcopy(x)
    other.attach_grad()
    (other * 3).sum().backward()
    assert np.asarray(other.grad).tolist() == [3.0, 3.0]
    assert np.asarray(x.grad).tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "second",
    [
        ad.hessian,
        lambda f: ad.jacrev(ad.grad(f)),
        lambda f: ad.jacfwd(ad.jacfwd(f)),
        lambda f: ad.jacobian(ad.grad(f)),
    ],
)
def test_what_was_not_chosen_is_zero_to_second_order(second):
    h = second(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)))
    assert h(np.array([0.0, 4.0])).tolist() == [[0.0, 0.0], [0.0, -0.03125]]


@pytest.mark.parametrize("x", [-1e5, -800.0, -400.0, 400.0, 800.0, 1e200])
@pytest.mark.parametrize("f", [np.tanh, lambda x: np.logaddexp(x, 0.0)], ids=["tanh", "logaddexp"])
def test_second_derivatives_in_the_far_tails(f, x):
    assert abs(ad.grad(ad.grad(f))(x)) < 1e-170
    assert abs(ad.hessian(f)(x)) < 1e-170  # forward over reverse: no 0 * inf
    assert abs(ad.jacfwd(ad.jacfwd(f))(x)) < 1e-170


@pytest.mark.parametrize("second", [ad.hessian, lambda f: ad.jacrev(ad.grad(f)), lambda f: ad.jacfwd(ad.jacfwd(f))])
def test_second_derivatives_of_powers_and_hypot(second):
    power = second(lambda v: v[0] ** v[1])
    log2 = np.log(2.0)
    assert np.allclose(power(np.array([2.0, 0.0])), [[0.0, 0.5], [0.5, log2**2]])
    assert np.allclose(power(np.array([0.0, 2.0])), [[2.0, 0.0], [0.0, 0.0]])
    assert (second(lambda v: np.hypot(v[0], v[1]))(np.zeros(2)) == 0).all()


@pytest.mark.parametrize(
    "f, x, want",
    [(np.log, 0.0, np.inf), (np.log2, 0.0, np.inf), (np.log10, 0.0, np.inf), (np.log1p, -1.0, np.inf), (np.arctanh, 1.0, np.inf)],
)  # fmt: skip
def test_poles_at_python_floats_are_infinite(f, x, want):
    """Python's own division by zero raises; the derivative of np.log at 0.0 is NumPy's infinity."""
    with np.errstate(all="ignore"):
        assert ad.grad(f)(x) == want
        assert ad.jvp(f, (x,), (1.0,))[1] == want
        assert not np.isfinite(ad.grad(ad.grad(f))(x))
        assert ad.grad(lambda x: np.maximum(f(x), 9.0) + x)(-abs(x)) == 1.0
