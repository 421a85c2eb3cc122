"""Recursion: what the data end becomes a loop, what Python's structures end runs as it stands.

The value to meet is that of the plain function; derivatives meet central differences of it.
"""

import math
import sys

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.fence import FenceError
from tests.compiler.random_recursion import program
from tests.compiler.test_syntax import close, slope

CASES: list = []


def case(*rows):
    def register(f):
        CASES.append((f, [r if type(r) is tuple else (r,) for r in rows]))
        return f

    return register


@case(0.4, 3.7, 40.0)
def linear(x):
    if x < 1.0:
        return x * x
    return 1.0 + x * linear(x / 2)


@case(0.4, 3.7, 40.0)
def tail(x, total=0.0):
    if x < 1.0:
        return total + x
    return tail(x / 3, total + np.sin(x))


@case((0.3, 0.9), (2.37, 0.51), (7.13, 0.61))
def tree(x, r):
    if x > 1.0:
        return tree(r * x - 0.1, r) * x + tree(x - 1.0, r)
    return np.exp(-x)


@case(2.0, 30.0, 60.0)
def four_ways(x):
    if x < 3:
        return x**2
    elif x < 20:
        return four_ways(x - 2.5) + 0.5 * four_ways(x / 2) * x
    elif x < 50:
        y = four_ways(x / 3)
        if y > 5.0:
            return y - four_ways(x / 7)
        return y
    return np.log(four_ways(x / 4) ** 2 + 1.0)


@case(95.5, 101.0, 88.2)
def mc_carthy(x):
    if x > 100:
        return x - 10
    return mc_carthy(mc_carthy(x + 11))


@case((1.1, 0.9), (0.3, 5.0))
def two_results(x, y):
    if y < 1.0:
        return x * y, y
    a, b = two_results(x * 1.1, y / 2)
    return a + b * x, b + a


def first_of_two(x, y):
    a, b = two_results(x, y)
    return a * b


CASES[-1] = (first_of_two, CASES[-1][1])


@case(np.array([0.2, 0.1]), np.array([2.0, -3.0]), np.array([5.0, 4.0]))
def vectors(v):
    def norm(v):
        return np.sqrt(np.sum(v * v))

    def go(v, w):
        if norm(v) < 1.0:
            return np.stack([v, w * 2])
        inner = go(v / 2, w + v)
        return inner * np.array([1.5, 0.5]) + v

    return np.sum(go(v, v * 0) ** 2)


@case((0.3, 2.0), (9.0, 1.5))
def a_variable_of_outside(x, c):
    k = c * c

    def go(y):
        return y if y < 1.0 else k * go(y / c) + 1.0

    return go(x) * k


class Cell:
    def __init__(self, scale):
        self.scale = scale

    def split(self, x):
        if x < 1.0:
            return x * self.scale
        return self.split(x / 2) + self.scale * self.split(x / 3)


@case((0.3, 2.0), (9.0, 1.5))
def a_method(x, s):
    return Cell(s).split(x)


def even(x):
    return 1.0 * x if x < 1 else odd(x - 1) * 2


def odd(x):
    return 3.0 * x if x < 1 else even(x - 1) + x


@case(0.5, 4.3, 7.7)
def in_turns(x):
    return even(x)


@case(0.5, 5.0, 9.0)
def a_count_that_starts_known(x, depth=0):
    if x < 1.0 or depth == 5:
        return x * depth
    return a_count_that_starts_known(x / 2, depth + 1) + x


@case(0.51, 5.3, 91.0)
def in_a_loop(x):
    total = 0.0
    while x > 0.5:
        total = total + linear(x)
        x = x / 4
    return total


@case(0.53, 5.1, 12.7)
def a_short_loop_of_calls(x):
    if x < 1.0:
        return x
    total = 0.0
    for k in range(1, 3):
        total += a_short_loop_of_calls(x / (k + 1)) * k
    return total


@case((2.13, 0.51), (2.13, -0.51))
def a_nested_tuple(x, s):
    def total(node, x):
        if type(node) is float:
            return node * x if x > s else node - x
        y = total(node[0], x * 0.5)
        return y + total(node[1], x + y) if y > s else total(node[1], x)

    return total(((1.0, 2.0), (3.0, (4.0, 5.0))), x)


@case((4.3, 1.1), (9.1, 2.3))
def the_base_says_more_later(x, y):
    if x < 1:
        return 0, y
    n, z = the_base_says_more_later(x / 2, y * x)
    return n + x, z + n


def of_both(x, y):
    a, b = the_base_says_more_later(x, y)
    return a * b


CASES[-1] = (of_both, CASES[-1][1])


@case(0.53, 3.1, 12.7)
def behind_and_or(x):
    return x if x < 1 or (x < 2 and behind_and_or(x / 2) > 0.7) else behind_and_or(x / 2) * x


each = pytest.mark.parametrize("f, rows", CASES, ids=lambda v: getattr(v, "__name__", ""))


@each
def test_values(f, rows):
    g = ad.jit(f)
    for args in rows:
        close(g(*args), f(*args), 1e-12)


@each
def test_gradients(f, rows):
    n = len(rows[0])
    nums = tuple(range(n))
    compiled = ad.jit(ad.grad(f, argnums=nums))
    through = ad.grad(ad.jit(f), argnums=nums)
    for args in rows:
        want = tuple(slope(f, args, i) for i in range(n))
        eager = ad.grad(f, argnums=nums)(*args)
        close(eager, want, 2e-5)
        close(compiled(*args), eager, 1e-10)
        close(through(*args), eager, 1e-10)


@each
def test_lanes(f, rows):
    lanes = [np.stack([np.asarray(r[i]) for r in rows]) for i in range(len(rows[0]))]
    close(ad.vmap(ad.jit(f))(*lanes), np.stack([f(*r) for r in rows]), 1e-12)
    want = np.stack([ad.grad(f)(*r) for r in rows])
    close(ad.jit(ad.vmap(ad.grad(f)))(*lanes), want, 1e-10)


@each
def test_second_order(f, rows):
    for args in rows[-1:]:
        h = ad.hessian(f)(*args)
        close(ad.jit(ad.hessian(f))(*args), h, 1e-8)
        close(ad.hessian(ad.jit(f))(*args), h, 1e-8)


def test_it_is_one_loop():
    graph = ad.jit(tree).graph(2.3, 0.5)
    assert [line.op.name for line in graph.lines].count("while_loop") == 1
    assert len(graph.lines) < 12


def test_a_result_that_is_returned_as_it_is_needs_no_stack():
    (line,) = [line for line in ad.jit(tail).graph(3.7).lines if line.op.name == "while_loop"]
    assert all(v.type.shape == () for v in line.params["body"].outputs)
    f = ad.jit(lambda x: tail(x, 0.0))
    assert np.isfinite(f(1e300))  # more than 600 calls deep
    assert np.isfinite(ad.jit(lambda x: count(x, 1.0))(1e5))  # deeper than Python goes


def count(x, y):
    return y if x < 0 else count(x - 1, y + 1e-3 * x)


def test_too_deep_is_an_error_that_names_the_line():
    def down(x):
        return x if x < 0 else 1.0 + down(x - 1)

    g = ad.jit(down)
    assert g(500.5) == pytest.approx(501 - 0.5)
    for f in (g, ad.jit(ad.grad(down))):
        words = (
            rf"down, called at .*test_syntax_recursion.py:\d+, calls itself more than {sys.getrecursionlimit()} times"
        )
        with pytest.raises(RecursionError, match=words):
            f(1e6)
    assert g(2.5) == pytest.approx(3 - 0.5)


def test_what_has_no_end_is_refused():
    def endless(x):
        return endless(x + 1) + (1.0 if x > 0 else 2.0)

    def both(x):
        return both(x / 2) if x > 1 else both(x * 2) + 1

    for f in (endless, both):
        with pytest.raises((FenceError, RecursionError)):
            ad.jit(f)(1.0)


def test_what_it_changes_outside_is_refused():
    def filled(x):
        seen = []

        def go(y):
            seen.append(y)
            return y if y < 1 else go(y / 2) * 2

        return go(x) + len(seen)

    with pytest.raises(FenceError, match="changes outside of itself"):
        ad.jit(filled)(5.0)

    def written(x):
        a = np.zeros(3)

        def go(y, k):
            if y > 1:
                a[k % 3] = y
                return go(y / 2, k + 1)
            return y

        return go(x, 0) + a.sum()

    with pytest.raises(FenceError):
        ad.jit(written)(5.0)


def test_its_own_checks_come_when_the_program_comes_to_them():
    def go(x):
        assert x < 50, f"{x} is too much"
        if x < 1:
            return x
        y = go(x / 2)
        if y > 0.9:
            raise ValueError("no")
        return y * 0.9

    g = ad.jit(go)
    assert g(1.2) == pytest.approx(go(1.2))
    with pytest.raises(AssertionError, match="80.0 is too much"):
        g(80.0)
    with pytest.raises(ValueError, match="no"):
        g(1.9)
    close(ad.vmap(g)(np.array([0.2, 1.2])), np.array([go(0.2), go(1.2)]))
    with pytest.raises(AssertionError, match="60.0 is too much"):
        ad.vmap(g)(np.array([0.2, 60.0]))


def test_prints_come_in_order(capsys):
    def go(x):
        print("in", float(x))
        y = x if x < 1 else go(x / 2) + 1
        print("out", float(y))
        return y

    go(3.0)
    want = capsys.readouterr().out
    f = ad.jit(go)
    f(3.0)
    assert capsys.readouterr().out == want
    ad.jit(ad.grad(go))(3.0)
    assert capsys.readouterr().out == want


def test_single_precision_stays_single():
    x = np.float32(9.0)
    f = ad.jit(linear)
    assert f(x).dtype == np.float32
    assert f(x) == pytest.approx(linear(x), rel=1e-6)
    y, g = ad.jit(ad.value_and_grad(linear))(x)
    assert y.dtype == g.dtype == np.float32


def test_python_ends_what_is_known():
    """Depths that Python knows need no stack: lists, counts, shapes."""

    def total(xs):
        return 0.0 if not xs else xs[0] * (2 if xs[0] > 0 else 3) + total(xs[1:])

    xs = [1.0, -2.0, 3.0]
    assert ad.jit(total)(xs) == total(xs)

    def halves(v):
        if v.shape[0] == 1:
            return v[0]
        m = v.shape[0] // 2
        a, b = halves(v[:m]), halves(v[m:])
        return a * b if a > b else a - b

    v = np.linspace(-1.0, 2.0, 8)
    close(ad.jit(halves)(v), halves(v))
    close(ad.jit(ad.grad(halves))(v), ad.grad(halves)(v))


def test_a_grad_in_a_staged_loop_sees_its_own_branches():
    def f(x):
        y = x
        while y < 10:
            y = y * ad.grad(lambda t: t * t if t > 0 else -t)(y)
        return y

    assert ad.jit(f)(1.5) == f(1.5) == 2 * 1.5**3 * 6
    for g in (ad.jit(ad.grad(f)), ad.grad(ad.jit(f))):
        close(g(1.5), ad.grad(f)(1.5))


@pytest.mark.parametrize("seed", range(40))
def test_random_recursion(seed):
    f, text = program(seed)
    g = ad.graph(ad.differentiable(f))(1.0, 1.0, 3.3)
    rows = np.random.default_rng(seed).uniform(-1.2, 1.2, (4, 2))
    for (x, y), fuel in zip(rows, (0.5, 2.2, 3.3, 4.1), strict=True):
        args = float(x), float(y), fuel
        assert math.isclose(f(*args), g.run(*args)[0], rel_tol=1e-9, abs_tol=1e-9), text
        if seed % 5 == 0:
            want = ad.grad(f, (0, 1, 2))(*args)
            close(ad.grad(lambda *args: g.run(*args)[0], (0, 1, 2))(*args), want, 1e-9)
    if seed % 5 == 1:
        compiled = ad.jit(ad.grad(f, (0, 1)))
        for (x, y), fuel in zip(rows, (0.5, 2.2, 3.3, 4.1), strict=True):
            close(compiled(float(x), float(y), fuel), ad.grad(f, (0, 1))(float(x), float(y), fuel), 1e-8)


def test_what_it_prints_and_checks_is_done_though_nobody_reads_what_it_returns(capsys):
    def down(x):
        print("at", float(x))
        assert x > -2.5, "too low"
        if x > 1:
            down(x / 2)
            down(x - 3)

    f = lambda x: (down(x), x * x)[1]
    f(5.0)
    want = capsys.readouterr().out
    assert len(want.splitlines()) == 9
    for g in (ad.jit(f), ad.jit(ad.grad(f)), ad.grad(ad.jit(f))):
        g(5.0)
        assert capsys.readouterr().out == want
    with pytest.raises(AssertionError, match="too low"):
        ad.jit(f)(-3.0)


@ad.jit
def factorial(n):
    return 1 if n <= 1 else n * factorial(n - 1)


@ad.jit
def powers(x, n):
    return np.ones_like(x) if n == 0 else x * powers(x, n - 1)


def test_a_compiled_function_that_calls_itself_is_one_program():
    """The ints of inner calls are none that the caller has passed: they do not use up the ones that are compiled in."""
    for n in (5, 6, 7, 8, 9, 20, 12):
        assert factorial(n) == math.factorial(n)
    assert len(factorial._entries) == 5
    x = np.array([1.0, 2.0])
    for n in (8, 3, 30):
        close(powers(x, n), x**n, 1e-12)
    close(ad.grad(lambda x: powers(x, 3).sum())(x), 3 * x**2, 1e-12)
    close(ad.jit(ad.grad(lambda x: powers(x, 4).sum()))(x), 4 * x**3, 1e-12)
