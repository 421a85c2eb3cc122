"""Functions whose text is not to be had: what they read from outside is seen to change, or refused."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.fence import FenceError

TEXT = """
import numpy as np

w = np.array([1.0, 2.0])
rate = 3.0
table = {"a": 1.0}


class Model:
    def __init__(self):
        self.rate = 2.0


model = Model()


def helper(x):
    return rate * np.sum(w * x)


def twice(x):
    return helper(x) * 2


def closed(k):
    return lambda x: np.sum(k * x)


def looks_up(x):
    return table["a"] * x


def asks(x):
    return model.rate * x
"""


@pytest.fixture
def made():
    space: dict = {"__name__": "made"}
    exec(TEXT, space)
    return space


def test_globals_are_read_at_each_call(made):
    f, x = ad.jit(made["twice"]), np.ones(2)
    assert f(x) == 18.0
    made["w"][0] = 5.0
    assert f(x) == 42.0
    made["w"] = np.array([0.0, 1.0])
    assert f(x) == 6.0
    made["rate"] = 1.0
    assert f(x) == 2.0


def test_cells_are_read_at_each_call(made):
    k = np.array([2.0, 3.0])
    f = ad.jit(ad.grad(made["closed"](k)))
    assert f(np.ones(2)).tolist() == [2.0, 3.0]
    k[0] = 7.0
    assert f(np.ones(2)).tolist() == [7.0, 3.0]


@pytest.mark.parametrize("name, what", [("looks_up", "'table', a dict"), ("asks", "'model', a Model")])
def test_state_that_cannot_be_watched_is_refused(made, name, what):
    with pytest.raises(FenceError, match=what):
        ad.jit(made[name])(2.0)
