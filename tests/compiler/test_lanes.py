"""What numbers are asked of dear functions side by side goes through vectors; what no result is made of is dropped, choice by choice."""

import numpy as np

import adjoint as ad
from adjoint.compiler import passes
from adjoint.compiler.program import program


def optimized(f, *args):
    return passes.run(ad.graph(f)(*args))


def asked(graph, name):
    """The sizes of what the function of this name is asked of, here and in bodies."""
    out = []
    for line in graph.lines:
        if line.op.name == name:
            out.append(line.args[0].type.size)
        for _, g in passes.bodies(line):
            out += asked(g, name)
    return out


def same(f, *args):
    """Compiled as by NumPy, NaN and infinities at their places."""
    with np.errstate(all="ignore"):
        want = np.asarray(f(*args))
    got = np.asarray(ad.jit(f)(*args))
    np.testing.assert_array_equal(np.isfinite(got), np.isfinite(want))
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_two_of_a_step_are_one_vector():
    def f(x):
        return np.exp(x[0]) * np.sin(x[1]) + np.exp(2.0 * x[2]) * np.sin(x[3] + 1.0)

    graph = optimized(f, np.ones(4))
    assert asked(graph, "exp") == asked(graph, "sin") == [2]
    same(f, np.array([0.3, -0.4, 0.5, 2.0]))


def test_one_that_waits_for_another_does_not_go_with_it():
    def f(x):
        return np.exp(np.exp(x[0]) - 1.0)

    assert asked(optimized(f, np.ones(2)), "exp") == [1, 1]


def test_antidiagonals_of_a_table():
    """Entry (i, j) waits for i + j others: a table of 4 by 4 takes seven vectors."""

    def f(x):
        d = [[x[i] if j == 0 else x[j] if i == 0 else None for j in range(5)] for i in range(5)]
        for i in range(1, 5):
            for j in range(1, 5):
                d[i][j] = np.tanh(d[i - 1][j] - d[i][j - 1] * 0.5)
        return d[4][4]

    graph = optimized(f, np.ones(5))
    assert asked(graph, "tanh") == [1, 2, 4, 4, 4, 2, 1]  # three in a vector of four
    same(f, np.array([0.1, 0.9, -0.3, 0.5, 1.1]))
    g = ad.grad(f)
    x = np.array([0.1, 0.9, -0.3, 0.5, 1.1])
    np.testing.assert_allclose(ad.jit(g)(x), g(x), rtol=1e-13)


def test_more_than_a_vector_holds():
    def f(x):
        return sum(np.log(x[k] + k) for k in range(19))

    assert asked(optimized(f, np.ones(19)), "log") == [8, 8, 8]
    assert asked(optimized(f, np.ones(19, np.float32)), "log") == [16, 16]
    same(f, np.linspace(0.1, 2.0, 19))


def test_one_lane_does_not_disturb_another():
    """Infinities, NaN and signed zeros, and arguments of sin that are so large that all lanes take the long way."""

    def f(x):
        return np.stack(
            [1.0 / np.sin(x[0]), np.sin(x[1]), np.sin(x[2]), np.exp(x[3]), np.exp(x[4]), np.log(x[5]), np.log(x[6])]
        )

    same(f, np.array([-0.0, 1e300, 0.5, -np.inf, 800.0, 0.0, np.nan]))
    same(f, np.array([0.0, np.inf, 1e22, np.nan, -800.0, -1.0, np.inf]))


def test_reads_of_what_is_written_stay_where_they_are():
    def f(x):
        a = np.zeros(300)
        a[:] = x
        u = np.exp(a[3])
        a[3:250] *= 2.0
        return u + np.exp(a[3]) + np.exp(a[260])

    f = ad.differentiable(f)
    x = np.linspace(0.0, 1.0, 300)
    want = np.exp(x[3]) + np.exp(2 * x[3]) + np.exp(x[260])
    np.testing.assert_allclose(ad.jit(f)(x), want, rtol=1e-14)


def test_checks_keep_their_order():
    def f(x):
        u = np.exp(x[0])
        if u > 2:
            raise ValueError("first")
        v = np.exp(x[1])
        if v > 2:
            raise KeyError("second")
        return u + v

    g = ad.jit(f)
    assert g(np.zeros(2)) == 2.0
    for x, error in (([1.0, 1.0], ValueError), ([0.0, 1.0], KeyError)):
        try:
            g(np.array(x))
        except error:
            continue
        raise AssertionError(error)


def test_what_leads_to_no_result_is_dropped_through_a_choice():
    """The bounds of a bisection have no derivative, though they go through the same choice as what has one."""

    def f(p):
        low, high, y = 0.0, 4.0, p
        for _ in range(20):
            middle = 0.5 * (low + high)
            if middle * middle < 2.0:
                low, y = middle, y * p
            else:
                high, y = middle, np.sin(y)
        return y

    graph = program(ad.graph(ad.grad(ad.differentiable(f)))(0.7)).graph
    after = passes.run(graph)
    scans = [line for line in after.lines if line.op.name == "scan"]
    assert len(scans) == 2
    assert scans[1].params["n"] <= 2  # the cotangents of y, and of p
    np.testing.assert_allclose(ad.jit(ad.grad(f))(0.7), ad.grad(f)(0.7), rtol=1e-12)


def test_a_loop_that_only_decides_is_not_walked_back():
    def f(p):
        a, b = p
        low, high = 0.0, 10.0
        while high - low > 1e-9:
            middle = 0.5 * (low + high)
            if middle**3 + a * middle - b > 0:
                high = middle
            else:
                low = middle
        x = 0.5 * (low + high)
        return x - (x**3 + a * x - b) / (3 * x**2 + a)

    g = ad.jit(ad.grad(f))
    p = np.array([2.0, 7.0])
    x = f(p)
    np.testing.assert_allclose(g(p), np.array([-x, 1.0]) / (3 * x * x + 2.0), rtol=1e-8)  # bisection ends there
    np.testing.assert_allclose(g(p), ad.grad(f)(p), rtol=1e-12)
    after = passes.run(ad.graph(ad.grad(ad.differentiable(f)))(p))
    names = [line.op.name for line in after.lines]
    assert "while_loop" in names
    assert "scan" not in names
    np.testing.assert_array_equal(ad.jit(ad.vmap(ad.grad(f)))(np.stack([p, 2 * p]))[0], g(p))
    np.testing.assert_allclose(ad.jit(ad.jacobian(ad.grad(f)))(p), ad.jacobian(ad.grad(f))(p), rtol=1e-12)
