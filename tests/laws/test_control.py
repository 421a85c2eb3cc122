"""cond, while_loop, scan, checkpoint and custom rules under the laws: whole functions instead of ops with a sample."""

import numpy as np
import pytest

import adjoint as ad
from tests.laws import harness
from tests.laws.harness import (
    capture,
    check_batch,
    check_jvp,
    check_transpose,
    direction,
    plain,
    pullback,
    pushforward,
    seeded,
    vjp,
)

X = np.array([0.7, -0.4, 1.3])


def cond_on_value(xs):
    x, y = xs
    return [ad.cond(np.sum(x) > 1, lambda x, y: x * y, lambda x, y: np.sin(x) - 3 * y, x, y)]


def cond_other_side(xs):
    x, y = xs
    return [ad.cond(np.sum(x) > 100, lambda x, y: x * y, lambda x, y: np.sin(x) - 3 * y, x, y)]


def cond_closure(xs):
    """What the branches close over is differentiated too."""
    x, y = xs
    return [ad.cond(np.sum(x) > 1, lambda u: u * y, lambda u: u + y, x)]


def loop(xs):
    (x,) = xs
    return [ad.while_loop(lambda s: np.sum(s * s) < 50, lambda s: s * 1.5 + np.sin(s), x)]


def loop_closure(xs):
    x, y = xs
    return [ad.while_loop(lambda s: np.sum(s * s) < 50, lambda s: s * 1.5 + y * x, x)]


def loop_of_containers(xs):
    x, y = xs
    step = lambda s: {"n": s["n"] + 1, "v": s["v"] * y + np.cos(s["v"])}
    return [ad.while_loop(lambda s: s["n"] < 4, step, {"n": 0, "v": x})["v"]]


def loop_that_never_runs(xs):
    (x,) = xs
    return [ad.while_loop(lambda s: np.sum(s) < -100, lambda s: s * 2, x * x)]


def scanned(xs):
    x, y = xs
    carry, ys = ad.scan(lambda c, row: (np.tanh(c + row), c * row), y, np.stack([x, 2 * x, x * x, x - 1]))
    return [carry, ys]


def scanned_closure(xs):
    x, y = xs
    carry, ys = ad.scan(lambda c, row: (c * x + row, np.sum(c)), y, np.arange(12.0).reshape(4, 3) / 10)
    return [carry, ys]


def nested(xs):
    """A loop in a scan, a choice in the loop."""
    x, y = xs

    def body(c, row):
        grow = lambda s: ad.cond(s[0] > 0, lambda s: s * 1.7, lambda s: s * 2 - y, s)
        c = ad.while_loop(lambda s: np.sum(s * s) < 3, grow, c + row)
        return np.tanh(c), c

    carry, ys = ad.scan(body, y, np.stack([x, x / 2]))
    return [carry, np.sum(ys, axis=0)]


def loop_in_a_loop(xs):
    x, y = xs

    def outer(s):
        k, v = s
        v = ad.while_loop(lambda v: np.sum(v * v) < 10.0, lambda v: v * 1.6 + np.sin(v) * np.tanh(y), v)
        return k + 1, v / 3

    return [ad.while_loop(lambda s: s[0] < 3, outer, (0, x))[1]]


def scan_in_a_loop(xs):
    x, y = xs

    def outer(s):
        k, v = s
        carry, ys = ad.scan(lambda c, row: (c * 0.5 + row, c * y), v, np.stack([x, np.cos(x)]))
        return k + 1, carry * 1.9 + ys[1]

    return [ad.while_loop(lambda s: (s[0] < 5) & (np.sum(s[1] * s[1]) < 9.0), outer, (0, x))[1]]


def reversed_scan(xs):
    x, y = xs
    carry, ys = ad.scan(lambda c, row: (np.sin(c * row), c + row), y, np.stack([x, 2 * x, -x]), reverse=True)
    return [carry, ys]


def checkpointed(xs):
    x, y = xs
    return [ad.checkpoint(lambda x, y: np.tanh(x * y) * np.exp(y))(x, y)]


_cube = ad.custom_rule(lambda x, y: x**3 * y, vjp=lambda g, out, x, y: (g * 3 * x**2 * y, g * x**3))
_cube_forward = ad.custom_rule(lambda x, y: x**3 * y, jvp=lambda ts, out, x, y: ts[0] * 3 * x**2 * y + ts[1] * x**3)


def custom_vjp(xs):
    return [_cube(*xs)]


def custom_jvp(xs):
    return [_cube_forward(*xs)]


FUNCTIONS = [
    cond_on_value, cond_other_side, cond_closure, loop, loop_closure, loop_of_containers, loop_that_never_runs,
    scanned, scanned_closure, nested, loop_in_a_loop, scan_in_a_loop,
    reversed_scan, checkpointed, custom_vjp, custom_jvp,
]  # fmt: skip
every = pytest.mark.parametrize("f", FUNCTIONS, ids=[f.__name__ for f in FUNCTIONS])


def arguments(f):
    return [X] if f in (loop, loop_that_never_runs) else [X, np.array([0.5, 0.9, -0.3])]


@every
def test_jvp(f):
    check_jvp(f, arguments(f), seeded(f.__name__), f.__name__)


@every
def test_transpose(f):
    check_transpose(f, arguments(f), seeded(f.__name__), f.__name__)


def values(f, xs):
    return [plain(y) for y in f(xs)]


@every
def test_second_order(f):
    xs, rng = arguments(f), seeded(f.__name__)
    gs = [direction(rng, y) for y in values(f, xs)]
    ts = [direction(rng, x) for x in xs]
    for g, row in ((pullback(f, len(xs)), xs + gs), (pushforward(f, len(xs)), xs + ts)):
        check_jvp(g, row, rng, f.__name__, alone=False)
        check_transpose(g, row, rng, f.__name__, alone=False)


@every
def test_batch(f):
    xs = arguments(f)
    stacked = [np.stack([x, x * 1.4, x - 0.8]) for x in xs]  # the lanes take other branches and other numbers of steps
    for which in harness.subsets(len(xs)):
        check_batch(f, stacked, xs, which, f.__name__)
    gs = [np.stack([direction(seeded(f.__name__, i), y) for i in range(3)]) for y in values(f, xs)]
    check_batch(pullback(f, len(xs)), stacked + gs, None, [True] * (len(xs) + len(gs)), f.__name__)
    ts = [np.stack([direction(seeded(f.__name__, i), x) for i in range(3)]) for x in xs]
    check_batch(pushforward(f, len(xs)), stacked + ts, None, [True] * (2 * len(xs)), f.__name__)


@every
def test_captured(f):
    xs, rng = arguments(f), seeded(f.__name__)
    graph = capture(lambda *row: f(list(row)), *xs).verify()
    harness.same(graph.run(*xs), values(f, xs), 1e-14, f.__name__)
    other = [x + 0.8 for x in xs]  # the same graph takes the other branch
    harness.same(graph.run(*other), values(f, other), 1e-14, f.__name__)
    for point in (xs, other):
        gs = [direction(rng, y) for y in values(f, point)]
        want = vjp(f, point)[1](gs)
        harness.same(vjp(lambda row: graph.run(*row), point)[1](gs), want, 1e-12, f"gradient of captured {f.__name__}")
        back = pullback(f, len(xs))
        captured = capture(lambda *row: back(list(row)), *xs, *gs).verify()  # noqa: B023
        harness.same(captured.run(*point, *gs), want, 1e-12, f"captured gradient of {f.__name__}")


@every
def test_captured_batch(f):
    xs = arguments(f)
    stacked = [np.stack([x, x * 1.4, x - 0.8]) for x in xs]
    graph = capture(lambda *row: f(list(row)), *xs)
    check_batch(lambda row: graph.run(*row), stacked, xs, [True] * len(xs), f"captured {f.__name__}")


@every
def test_batch_of_linearize(f):
    """The value does not wait for the tangents, where a test is not known too."""
    n = len(arguments(f))

    def linearized(row):
        y, push = ad.linearize(lambda *xs: f(list(xs)), *row[:n])
        return [*y, *push(*row[n:])]

    stacked = [np.stack([x, x * 1.4, x - 0.8]) for x in arguments(f)]
    check_batch(linearized, stacked + stacked, None, [True] * (2 * n), f.__name__)


def test_cond_selects_safely():
    """Under vmap both sides run; what is not chosen contributes no NaN, in value and in derivative."""
    f = lambda x: ad.cond(x > 0, lambda x: np.sqrt(x), lambda x: 0.0 * x, x)
    x = np.array([4.0, -1.0, 0.0])
    assert ad.vmap(f)(x).tolist() == [2.0, 0.0, 0.0]
    assert ad.vmap(ad.grad(f))(x).tolist() == [0.25, 0.0, 0.0]


def test_long_loops_need_no_recursion():
    f = lambda x: ad.while_loop(lambda s: s[0] < 20_000, lambda s: (s[0] + 1, s[1] * 0.9999 + 0.0001), (0, x))[1]
    assert np.isclose(ad.grad(f)(2.0), 0.9999**20_000)


def test_stop_gradient():
    assert ad.grad(lambda x: ad.stop_gradient(x) * x)(3.0) == 3.0
    assert ad.jvp(lambda x: ad.stop_gradient(x) * x, (3.0,), (1.0,)) == (9.0, 3.0)
    assert ad.grad(lambda x: ad.stop_gradient(x))(3.0) == 0.0
    assert ad.grad(lambda x: np.sum(ad.stop_gradient({"a": x})["a"] * x))(X).tolist() == X.tolist()


def test_no_perturbation_confusion():
    """d/dx of x d/dy (x + y): the inner derivative is 1, whatever x is (Siskind and Pearlmutter, 2005)."""
    for inner in (ad.grad, lambda f: lambda y: ad.jvp(f, (y,), (1.0,))[1]):
        for outer in (ad.grad, lambda f: lambda x: ad.jvp(f, (x,), (1.0,))[1]):
            assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0  # noqa: B023


def test_every_pair_of_modes():
    f = lambda x: np.sum(np.tanh(x) * x**2)
    rev, fwd = ad.grad(f), lambda x: ad.jvp(f, (x,), (np.ones(3),))[1]
    h = ad.hessian(f)(X)
    tol = {"rtol": 0, "atol": 1e-12}
    assert np.allclose(ad.jacrev(rev)(X), h, **tol)
    assert np.allclose(ad.jacfwd(rev)(X), h, **tol)
    assert np.allclose(ad.grad(fwd)(X), h @ np.ones(3), **tol)
    assert np.allclose(ad.jvp(fwd, (X,), (np.ones(3),))[1], np.ones(3) @ h @ np.ones(3), **tol)
    lanes = np.stack([X, 2 * X])
    assert np.allclose(ad.vmap(ad.hessian(f))(lanes), np.stack([ad.hessian(f)(v) for v in lanes]), **tol)
    mixed = ad.grad(lambda x: fwd(x) ** 2)
    assert np.allclose(ad.vmap(mixed)(lanes), np.stack([mixed(v) for v in lanes]), **tol)
    third = ad.grad(ad.grad(ad.grad(lambda x: x**5 / 60)))
    assert np.isclose(third(2.0), 4.0)
