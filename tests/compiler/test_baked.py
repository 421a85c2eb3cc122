"""What compiled code would keep though it changes: the clock and the environment are warned of, defaults are looked at again."""

import datetime
import os
import time
import uuid
import warnings

import numpy as np
import pytest

import adjoint as ad

os.environ.setdefault("ADJOINT_TEST", "abc")
ASKING = {
    "time.perf_counter": lambda x: x * time.perf_counter(),
    "time.time": lambda x: x * time.time(),
    "os.environ": lambda x: x * len(os.environ["ADJOINT_TEST"]),
    "os.environ.get": lambda x: x * len(os.environ.get("ADJOINT_TEST", "")),
    "os.getenv": lambda x: x * len(os.getenv("ADJOINT_TEST", "")),
    "datetime.now": lambda x: x * datetime.datetime.now().year,
    "uuid.uuid4": lambda x: x * len(str(uuid.uuid4())),
}


@pytest.mark.parametrize(("name", "f"), ASKING.items())
def test_a_compiled_function_that_asks_for_what_changes_says_so_once(name, f):
    g = ad.jit(lambda x: f(x) + f(2 * x))
    with pytest.warns(RuntimeWarning, match=rf"{name}.*\(test_baked.py:\d+\).*pass it as an argument") as told:
        g(1.0)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g(1.0)
        ad.grad(f)(1.0)  # not compiled: asked each time


@pytest.mark.parametrize("text", ["x * time.time()", "x if os.environ else 2 * x"])
def test_a_function_without_text_says_so_too(text):
    space: dict = {}
    exec(f"import time, os\ndef f(x):\n return {text}", space)
    with pytest.warns(RuntimeWarning, match=r"is read once.*pass it as an argument"):
        ad.jit(space["f"])(1.0)


@pytest.mark.parametrize("text", ["x * np.random.rand()", "x * random.random()", "x * draw()"])
def test_draws_of_a_function_without_text_are_refused_too(text):
    space = {"np": np}
    exec(f"import random\nfrom random import random as draw\ndef f(x):\n return {text}", space)
    with pytest.raises(ad.errors.ConcreteError, match="the draw would be made once"):
        ad.jit(space["f"])(1.0)


def scaled(x, n=2, *, k=3.0):
    return x * n + k


def test_new_defaults_compile_anew():
    def outside(x):
        return scaled(x) * 2

    f, g = ad.jit(scaled), ad.jit(outside)
    before = scaled.__defaults__, scaled.__kwdefaults__
    try:
        assert (f(1.0), g(1.0), f(1.0, 4)) == (5.0, 10.0, 7.0)
        scaled.__defaults__ = (5,)
        assert (f(1.0), g(1.0), f(1.0, 4)) == (8.0, 16.0, 7.0)
        scaled.__kwdefaults__ = {"k": 1.0}
        assert (f(1.0), g(1.0), f(1.0, 4)) == (6.0, 12.0, 5.0)
        scaled.__kwdefaults__["k"] = 0.0
        assert (f(1.0), g(1.0), f(1.0, 4, k=2.0)) == (5.0, 10.0, 6.0)
    finally:
        scaled.__defaults__, scaled.__kwdefaults__ = before
