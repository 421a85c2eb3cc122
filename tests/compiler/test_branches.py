"""What one side of a branch alone reads is computed there."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import passes
from adjoint.traces.capture import capture

X = np.linspace(0.5, 2.0, 24)


def heavy(x):
    return np.sum(np.exp(np.sin(x)) / (1 + x * x))


def before(x, flag):
    y = heavy(x)
    return y if flag > 0 else flag


def both(x, flag):
    y = heavy(x)
    return y + 1.0 if flag > 0 else y * 2.0


def nested(x, flag):
    y = heavy(x)
    z = np.sum(np.log(x) * np.sqrt(x))
    if flag > 0:
        return y if flag > 1 else z * flag
    return z if flag > -1 else flag


def chained(x, flag):
    """The second branch' test and value come from the first."""
    y = heavy(x)
    a = y if flag > 0 else flag * 2
    z = np.sum(np.cosh(x) * a)
    return z if a > 1 else a


def closes_over(x, flag):
    return ad.cond(flag > 0, lambda: heavy(x), lambda: np.sum(x))


def used_outside(x, flag):
    y = heavy(x)
    return (y if flag > 0 else flag) + y


PROGRAMS = [before, both, nested, chained, closes_over, used_outside]


def lines_of(f, *args):
    """The names of the ops that are always done, and of those in branches."""
    graph = passes.run(capture(ad.differentiable(f), *args))
    inner: set = set()

    def walk(g):
        for line in g.lines:
            inner.add(line.op.name)
            for k in ("true", "false"):
                if k in line.params:
                    walk(line.params[k])

    for line in graph.lines:
        if line.op.name == "cond":
            walk(line.params["true"])
            walk(line.params["false"])
    return {line.op.name for line in graph.lines}, inner


@pytest.mark.parametrize("flag", [2.0, 0.5, -0.5, -2.0])
@pytest.mark.parametrize("f", PROGRAMS)
def test_values_and_derivatives(f, flag):
    args = X, np.float64(flag)
    for g in (ad.differentiable(f), ad.grad(ad.differentiable(f)), ad.hessian(ad.differentiable(f))):
        np.testing.assert_allclose(ad.jit(g)(*args), g(*args), rtol=1e-11, atol=1e-13)
    both = np.array([flag, -flag])
    mapped = ad.vmap(ad.differentiable(f), in_axes=(None, 0))
    np.testing.assert_allclose(ad.jit(mapped)(X, both), [f(X, b) for b in both], rtol=1e-12)


@pytest.mark.parametrize("f", [before, nested, closes_over])
def test_what_one_side_reads_is_done_there(f):
    always, inside = lines_of(f, X, np.float64(1.0))
    assert "exp" in inside and "exp" not in always


@pytest.mark.parametrize("f", [both, used_outside])
def test_what_others_read_too_stays(f):
    always, inside = lines_of(f, X, np.float64(1.0))
    assert "exp" in always and "exp" not in inside


def test_a_norm_is_scaled_only_where_it_must():
    always, inside = lines_of(np.linalg.norm, X)
    assert "divide" in inside and "divide" not in always
    f = ad.jit(np.linalg.norm)
    for scale in (1.0, 1e-300, 1e300):
        np.testing.assert_allclose(f(X * scale), np.sqrt(np.sum(X * X)) * scale, rtol=1e-14)


def test_what_may_raise_is_done_where_the_program_says():
    def f(x, i, flag):
        y = x[i] * x[i + 1] / x[i + 2] * np.exp(x[i])
        return y if flag > 0 else flag

    with pytest.raises(IndexError):
        ad.jit(f)(X, 100, np.float64(-1.0))


def test_a_little_work_is_not_worth_a_branch():
    def f(x, flag):
        y = x * x
        return y if flag > 0 else flag

    always, inside = lines_of(f, np.float64(2.0), np.float64(1.0))
    assert "multiply" in always and "multiply" not in inside
