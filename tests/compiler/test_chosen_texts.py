"""Texts and functions that data choose: compared, looked up, called, printed, raised and returned; each as in plain Python."""

import math

import numpy as np
import pytest

import adjoint as ad
from tests.compiler.points import alike, batches_agree, gradients_agree, said

# Each program takes a float; at each point it gives a float, a text, None, a tuple of these, or raises.


def regime(re):
    return "laminar" if re < 1 else "turbulent"


def friction(x):
    kind = regime(x)
    if kind == "laminar":
        return 64 / x
    return 0.3 * abs(x) ** -0.25


def three_ways(x):
    if x < 0:
        kind = "a"
    elif x < 1:
        kind = "b"
    else:
        kind = "c"
    if kind == "a":
        y = x * x
    elif kind in ("b", "never"):
        y = math.sin(x)
    else:
        y = math.exp(-x)
    return y if kind != "b" else y * 3


def dispatched(x, method=None):
    if method is None:
        method = "high" if x > 1 else "low" if x > 0 else "none"
    if method == "high":
        return math.log(x)
    elif method == "low":
        return x**3
    else:
        raise ValueError(f"no method {method!r} for {x:.2f}")


def raised_as_it_is(x):
    kind = "big" if x > 1 else "small"
    if x < 0:
        raise KeyError(kind)
    return x


def in_a_dict(x):
    scale = {"laminar": 2.0, "turbulent": 5.0}
    return scale[regime(x)] * x


def in_a_dict_of_functions(x):
    f = {"laminar": math.sin, "turbulent": math.exp}[regime(x)]
    return f(x / 10)


def double(x):
    return 2 * x


def square(x):
    return x * x


def function_chosen(x):
    f = double if x > 1 else square
    return f(x + 1) + f(1.0)


def lambda_chosen(x):
    f = (lambda t: t**3) if x > 0 else (lambda t: -t)
    return f(x)


def library_function_chosen(x):
    f = math.cos if x > 0.5 else math.sin
    return f(x) * x


def numpy_function_chosen(x):
    f = np.tanh if x > 0.5 else np.arctan
    return f(x) * x


def with_a_number(x):
    return x * x, regime(x)


def text_alone(x):
    return regime(x)


def text_or_none(x):
    if x < 0:
        return None
    return regime(x)


def number_and_text_used(x):
    y, kind = with_a_number(x)
    return y * (2 if kind == "laminar" else 3)


def state_of_a_loop(x):
    state, total = "up", 0.0
    for _ in range(30):
        if state == "up":
            x = x + 0.31
            if x > 2:
                state = "down"
        else:
            x = x * 0.8
            if x < 0.5:
                state = "up"
        total += x * x
    return total if state == "up" else -total


def state_of_a_while(x):
    state, n = "start", 0
    while state != "done" and n < 50:
        n += 1
        x = 0.9 * x + 0.05
        if abs(x) < 0.8:
            state = "near"
        if state == "near" and n > 5:
            state = "done"
    return x * n


def compared_with_another(x):
    a, b = regime(x), regime(x - 1)
    return x * 2 if a == b else x


def part_of_a_text(x):
    return x if "lam" in regime(x) else 2 * x


def method_of_a_text(x):
    return x if regime(x).upper().startswith("T") else 2 * x


def text_or_default(x):
    kind = "" if x < 0 else "given"
    return 3 * x if (kind or "default") == "default" else x


def truth_of_a_text(x):
    kind = "" if x < 0 else "given"
    return 3 * x if kind else x


def in_a_set(x):
    return x if regime(x) in {"laminar", "other"} else -x


def passed_to_a_function(x):
    def area(shape, s):
        if shape == "circle":
            return math.pi * s * s
        if shape == "square":
            return s * s
        raise ValueError("what is " + "that")

    return area("circle" if x > 0 else "square", x)


PROGRAMS = [
    f
    for f in list(globals().values())
    if getattr(f, "__module__", None) == __name__ and f not in (regime, double, square)
]
POINTS = [-2.3, -0.4, 0.31, 0.77, 1.4, 2.6]
NUMBERS = [f for f in PROGRAMS if isinstance(f(0.77), float)]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_value(f):
    g = ad.jit(f)
    for x in POINTS:
        for _ in range(2):  # captured, then by the builtin
            assert alike(said(g, x), said(f, x)), (x, said(g, x), said(f, x))


@pytest.mark.parametrize("f", NUMBERS, ids=lambda f: f.__name__)
def test_gradient(f):
    gradients_agree(f, POINTS)


@pytest.mark.parametrize("f", NUMBERS, ids=lambda f: f.__name__)
def test_batch(f):
    batches_agree(f, POINTS)


def test_the_corpus_is_large():
    assert len(PROGRAMS) >= 23 and len(NUMBERS) >= 20


def test_messages():
    g = ad.jit(dispatched)
    with pytest.raises(ValueError, match=r"^no method 'none' for -0\.50$"):
        g(-0.5)
    with pytest.raises(KeyError, match="small"):
        ad.jit(raised_as_it_is)(-0.5)


def test_printed(capsys):
    @ad.jit
    def f(x):
        print("it is", regime(x), f"({regime(x):>10})")
        return x

    f(0.5)
    f(2.0)
    assert capsys.readouterr().out == "it is laminar (   laminar)\nit is turbulent ( turbulent)\n"


def test_refused():
    def key(x):
        d = {}
        d[regime(x)] = x
        return d["laminar"]

    def text(x):
        return len(regime(x)) * x + len(f"{regime(x)}!")

    for f in (key, text):
        with pytest.raises(ad.errors.ConcreteError):
            ad.jit(f)(1.0)
    with pytest.raises(ad.errors.ConcreteError, match="not the same for all"):
        ad.vmap(ad.differentiable(text_alone))(np.array([0.5, 2.0]))
