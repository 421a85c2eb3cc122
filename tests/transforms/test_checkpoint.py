"""What checkpoint alone must see to: a second run that differs from the first."""

import numpy as np
import pytest

import adjoint as ad


def test_something_changed_between_the_runs():
    c = np.ones(2)
    y, pull = ad.vjp(ad.checkpoint(lambda x: (x * x * c).sum()), np.array([1.0, 2.0]))
    assert pull(1.0)[0].tolist() == [2.0, 4.0]
    c[0] = 9.0
    with pytest.raises(ad.AdjointError, match="gave another value when it was run again"):
        pull(1.0)


def test_a_generator_in_the_function():
    rng = np.random.default_rng(0)
    with pytest.raises(ad.AdjointError, match="random generator"):
        ad.grad(ad.checkpoint(lambda x: x * rng.normal()))(2.0)


def test_isinstance_tells_floats_from_arrays():
    def f(x):
        return x * 2 if isinstance(x, float) and not isinstance(x, np.ndarray) else (x * 3).sum()

    assert ad.grad(f)(1.0) == 2.0
    assert ad.grad(ad.grad(lambda x: x * f(x)))(1.0) == 4.0
    assert ad.grad(f)(np.ones(2)).tolist() == [3.0, 3.0]
