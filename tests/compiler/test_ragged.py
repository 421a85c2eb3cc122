"""Batches of loops whose lanes end at different steps, differentiated and compiled: ragged stacks in native code."""

import warnings

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.program import Program
from adjoint.core.op import bind
from adjoint.core.tuples import items
from adjoint.primitives.loops import scan_op, while_op
from adjoint.primitives.stack import masked, masks_of, spread_stack, sum_of, zeros_of
from adjoint.traces.capture import capture
from tests.compiler import guarded
from tests.compiler.random_control import program


def newton(a):
    """The square root of a, by Newton's method."""
    x = a
    while abs(x * x - a) > 1e-12 * a:
        x = 0.5 * (x + a / x)
    return x


def doubling(a):
    """The chapter's function, of the sign of its argument's sum."""
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    return b.sum() if b.sum() > 0 else 100 * b.sum()


def escape(c):
    x, n = c * 0.0, 0
    while x * x < 4.0 and n < 30:
        x = x * x + c
        n += 1
    return x * n


def bisection(a):
    low, high = 0.0 * a, a + 1.0
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        if middle * middle > a:
            high = middle
        else:
            low = middle
    return 0.5 * (low + high) * a


def adaptive(k):
    """y' = -k y, with steps as long as the error allows."""
    t, y, h = 0.0, 1.0, 0.1
    while t < 1.0:
        h = min(h, 1.0 - t)
        k1 = -k * y
        k2 = -k * (y + h * k1)
        e = abs(h * (k2 - k1)) / 2
        if e < 1e-2:
            t = t + h
            y = y + h * (k1 + k2) / 2
        h = h * min(2.0, max(0.3, 0.9 * (1e-2 / (e + 1e-12)) ** 0.5))
    return y


def counted(x):
    s = x * 0.0
    for i in range(40):
        s = s + np.sin(x * i) * x
        if s > 3.0:
            break
    return s


def nested(x):
    s = x * 1.0
    while s < 50.0:
        t = s
        while t * t < 100.0:
            t = t * t * 0.1 + t * 1.5
        s = s + t * x * 0.1
    return s


def nested_thrice(x):
    s = x
    while s < 20.0:
        t = s
        while t < 9.0:
            u = t
            while u < 4.0:
                u = u * 1.7 + np.sin(u)
            t = t + u * s * 0.3
        s = s + np.sqrt(t)
    return s


def loop_or_not(x):
    """A loop on one side of a choice, in a loop: a stack that the other side leaves empty."""
    k = 0
    while k < 5:
        if x < 1.0:
            y = x
            while y < 6.0:
                y = y * y + 1.1
            x = 0.3 * y
        else:
            x = np.sin(x) + 0.2
        k += 1
    return x


def vectors(v):
    """A state that is an array in each lane."""
    while np.sum(v * v) < 30.0:
        v = v * 1.3 + np.roll(v, 1) * 0.2
    return np.sum(np.sin(v))


LINE = np.array([0.5, 2.0, 60.0, 3.7, 0.9, 11.0, 0.6, 1e-2, 7.5])
BATCHES = {
    newton: LINE,
    doubling: np.array([[0.3, -1.2], [300.0, 5.0], [2000.0, 1.0], [1e-3, 1e-4], [-7.0, 6.5]]),
    escape: np.linspace(-3.0, 1.0, 11),
    bisection: LINE,
    adaptive: np.linspace(0.5, 20.0, 7),
    counted: np.array([0.05, 0.3, 1.0, 2.0, 4.0]),
    nested: LINE + 0.3,
    nested_thrice: LINE,
    loop_or_not: LINE,
    vectors: np.array([[0.1, 0.2, -0.3], [9.0, 0.0, 0.0], [1.0, 1.0, 1.0]]),
}
each = pytest.mark.parametrize("f", BATCHES, ids=lambda f: f.__name__)


def native(compiled):
    """That nothing of a compiled function is left to NumPy."""
    text = compiled.explain()
    assert "NumPy" not in text, text[-400:]
    return compiled


def lanes(f, xs):
    return np.array([f(x if x.ndim else x[()]) for x in xs])


@each
def test_gradients_are_those_of_the_lanes(f):
    xs = BATCHES[f]
    many = ad.jit(ad.vmap(ad.value_and_grad(f)))
    for _ in range(2):  # what the first call left in the buffers is not read by the second
        for batch in (xs, xs[::-1].copy()):
            y, g = many(batch)
            np.testing.assert_allclose(y, lanes(f, batch), rtol=1e-10)
            np.testing.assert_allclose(g, lanes(ad.grad(f), batch), rtol=1e-10, atol=1e-12)
    native(many)


@each
def test_second_derivatives(f):
    xs = BATCHES[f]

    def along(x):
        return ad.jvp(ad.grad(f), (x,), (x * 0 + 1.0,))[1]

    many = ad.jit(ad.vmap(along))
    np.testing.assert_allclose(many(xs), lanes(along, xs), rtol=1e-9, atol=1e-9)
    native(many)


@each
def test_hessians(f):
    """Their directions are a batch within that of the lanes."""
    xs = BATCHES[f]
    many = ad.jit(ad.vmap(ad.hessian(f)))
    want = lanes(ad.hessian(f), xs)
    np.testing.assert_allclose(many(xs), want, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(ad.vmap(ad.hessian(f))(xs), want, rtol=1e-9, atol=1e-9)
    native(many)


@each
def test_batches_of_batches(f):
    xs = np.stack([BATCHES[f], BATCHES[f][::-1]])
    g = ad.vmap(ad.vmap(ad.value_and_grad(f)))
    many = ad.jit(g)
    for y, dy in (many(xs), g(xs)):
        for k, row in enumerate(xs):
            np.testing.assert_allclose(y[k], lanes(f, row), rtol=1e-10)
            np.testing.assert_allclose(dy[k], lanes(ad.grad(f), row), rtol=1e-10, atol=1e-12)
    native(many)


def test_batches_of_batches_by_different_arguments():
    """Inside, only one argument is a batch; the loop's end is decided by both, by the outer one, or by the inner one."""

    def by_both(x, w):
        while x < 100.0:
            x = x * w + np.sin(w)
        return x

    def by_outer(x, w):
        y = w
        while x < 100.0:
            x = x * 1.5 + 0.1
            y = np.sin(y) * w + 0.01 * x
        return y

    def by_inner(x, w):
        y = x
        while w < 100.0:
            w = w * w + 0.3
            y = np.sin(y) * x + 0.01 * w
        return y

    xs, ws = np.array([0.5, 3.0, 200.0, 20.0]), np.array([1.7, 1.2, 2.5])
    for f in (by_both, by_outer, by_inner):
        g = ad.grad(f, (0, 1))
        want = np.moveaxis(np.array([[g(x, w) for w in ws] for x in xs]), 2, 0)
        both = ad.vmap(ad.vmap(g, (None, 0)), (0, None))
        many = ad.jit(both)
        np.testing.assert_allclose(many(xs, ws), want, rtol=1e-10)
        np.testing.assert_allclose(both(xs, ws), want, rtol=1e-10)
        native(many)
        total = ad.jit(ad.grad(lambda xs, ws, f=f: np.sum(ad.vmap(ad.vmap(f, (None, 0)), (0, None))(xs, ws)), (0, 1)))
        dx, dw = total(xs, ws)
        np.testing.assert_allclose(dx, want[0].sum(axis=1), rtol=1e-10)
        np.testing.assert_allclose(dw, want[1].sum(axis=0), rtol=1e-10)
        native(total)


def test_three_batches():
    xs = np.concatenate([LINE, LINE[:3] + 1]).reshape(2, 3, 2)
    g = ad.vmap(ad.vmap(ad.vmap(ad.grad(nested))))
    want = lanes(ad.grad(nested), xs.reshape(-1)).reshape(xs.shape)
    many = ad.jit(g)
    np.testing.assert_allclose(many(xs), want, rtol=1e-10)
    np.testing.assert_allclose(g(xs), want, rtol=1e-10)
    native(many)


@each
def test_the_batch_within_the_derivative(f):
    xs = BATCHES[f]
    total = ad.jit(ad.grad(lambda xs: np.sum(ad.vmap(f)(xs))))
    np.testing.assert_allclose(total(xs), lanes(ad.grad(f), xs), rtol=1e-10, atol=1e-12)
    native(total)


@each
def test_memory(f):
    """With poisoned workspaces and guarded zones, on memory between forbidden pages."""
    xs = BATCHES[f]
    graph = ad.graph(ad.vmap(ad.value_and_grad(f)))(xs)
    compiled = Program(graph, True).compile()
    assert compiled.native, compiled.notes
    got = guarded.call(compiled, [xs], np.random.default_rng(0))
    for a, b in zip(got, graph.run(xs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_mathematics():
    """Of the square root and of doubling, whose derivative is a power of two."""
    np.testing.assert_allclose(ad.jit(ad.vmap(ad.grad(newton)))(LINE), 0.5 / np.sqrt(LINE), rtol=1e-9)
    xs = BATCHES[doubling]
    norms = np.linalg.norm(xs * 2, axis=1)
    factors = 2.0 ** (1 + np.maximum(0, np.ceil(np.log2(1000 / norms)))) * np.where(xs.sum(axis=1) > 0, 1, 100)
    np.testing.assert_array_equal(ad.jit(ad.vmap(ad.grad(doubling)))(xs), np.repeat(factors[:, None], 2, axis=1))


def test_lanes_that_never_enter():
    many = native_after(ad.jit(ad.vmap(ad.grad(nested))), np.array([100.0, 0.5, 51.0]))
    np.testing.assert_array_equal(many(np.array([100.0, 200.0, 51.0])), np.ones(3))  # none does
    g = many(np.array([100.0, 0.5, 51.0]))
    assert g[0] == g[2] == 1.0
    np.testing.assert_allclose(g[1], ad.grad(nested)(0.5), rtol=1e-12)


def native_after(compiled, *args):
    compiled(*args)
    return native(compiled)


def test_one_lane_of_nan():
    """A loop that a NaN ends at once, and one in which a NaN arises: the other lanes do not notice."""

    def arising(x):
        while x < 10.0:
            x = x * 1.5 + 0.0 * np.sqrt(x + 0.1)
        return x

    xs = np.array([0.5, np.nan, 3.0, -0.2, 20.0])
    for f in (arising, newton):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given = xs if f is arising else np.abs(xs)
            g = native_after(ad.jit(ad.vmap(ad.grad(f))), given)(given)
            want = lanes(ad.grad(f), given)
        np.testing.assert_allclose(g, want, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(want), [False, False, False, False, False])


def test_a_lane_that_has_ended_is_not_differentiated_where_it_is_infinite():
    """Its frozen state would divide by zero: that step is none of it."""

    def f(x):
        while x > 1e-3:
            x = x - 0.25 if x > 0.3 else x * x * 0.0 + np.sqrt(x - 0.25) * 0.0
        return x * 3.0

    xs = np.array([1.25, 0.0, 0.8, 0.5])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = lanes(ad.grad(f), xs)
        many = ad.jit(ad.vmap(ad.grad(f)))
        np.testing.assert_array_equal(many(xs), want)
    assert want[1] == 3.0
    native(many)


@pytest.mark.parametrize("f", [newton, nested], ids=lambda f: f.__name__)
def test_float32(f):
    xs = (LINE + 0.3).astype(np.float32)
    g = ad.grad(f if f is nested else lambda a: ad.while_loop(lambda x: x < 100.0, lambda x: x * x + a, a))
    many = ad.jit(ad.vmap(g))
    got = many(xs)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, lanes(g, xs), rtol=2e-5)
    native(many)


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17, 1000, 70_001])
def test_numbers_of_lanes(n):
    xs = np.random.default_rng(n).uniform(0.3, 90.0, n)
    many = native_after(ad.jit(ad.vmap(ad.grad(newton))), xs)
    np.testing.assert_allclose(many(xs), 0.5 / np.sqrt(xs), rtol=1e-8)


def test_many_steps():
    """More than the buffers have room for at first, and more than a loop takes between two looks at the user's wishes."""

    def f(x, c):
        y = x
        while y < c:
            y = y + 1e-3 * np.sin(y) ** 2 + 2e-3
        return y

    xs = np.array([0.1, 50.0, 3.0, 80.0])
    many = native_after(ad.jit(ad.vmap(ad.grad(f), in_axes=(0, None))), xs, 1.0)
    for c in (1.0, 60.0, 4.0):
        np.testing.assert_allclose(many(xs, c), [ad.jit(ad.grad(f))(x, c) for x in xs], rtol=1e-8)


def test_constants_that_all_lanes_share():
    def f(x, w):
        while x < 10.0:
            x = x * w + np.sin(w)
        return x

    xs = np.array([0.5, 3.0, 20.0])
    many = ad.jit(ad.vmap(ad.grad(f, (0, 1)), in_axes=(0, None)))
    want = np.array([ad.grad(f, (0, 1))(x, 1.7) for x in xs]).T
    np.testing.assert_allclose(many(xs, 1.7), want, rtol=1e-12)
    native(many)


# What the rules of stacks ask for seldom, by itself


def saved(x):
    """(the final state, a stack of the squares, a ragged stack of it, its masks) of a loop over three lanes."""
    t = np.zeros(3)
    test = capture(lambda s: np.any(s < 50.0), t, name="cond")
    body = capture(lambda s: [np.where(s < 50.0, s * 2.0, s), s * s, s < 50.0], t, name="body")
    y, s, m = items(bind(while_op, x, cond=test, body=body, n=1))
    return y, s, masked(s, m), m


def walked(s, shape):
    """A sum over the steps of a stack, and the last of them."""
    body = capture(lambda c, last, e: [c * 1.01 + e, e], np.zeros(shape), np.zeros(shape), np.zeros(shape), name="body")
    return items(bind(scan_op, np.zeros(shape), np.zeros(shape), s, body=body, n=2, m=1, reverse=False, length=None))


def compare(f, *args):
    graph = capture(f, *args).verify()
    for checks in (False, True):
        compiled = Program(graph, checks).compile()
        assert compiled.native, compiled.notes
        for a, b in zip(guarded.call(compiled, args, np.random.default_rng(1)), graph.run(*args), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-13)
    return graph.run(*args)


X = np.array([1.0, 9.0, 70.0])


def test_masks_come_back():
    def f(x):
        _, _, r, m = saved(x)
        count = capture(lambda c, e: [c + e], np.zeros(3), np.ones(3, bool), name="body")
        out = [bind(scan_op, np.zeros(3), k, body=count, n=1, m=1, reverse=True, length=None) for k in (masks_of(r), m)]
        return [items(y)[0] for y in out]

    a, b = compare(f, X)
    np.testing.assert_array_equal(a, [6, 3, 0])
    np.testing.assert_array_equal(b, [6, 3, 0])


def test_zeros_sums_and_repetitions():
    def f(x):
        _, s, r, _ = saved(x)
        return [
            *walked(zeros_of(r), 3),
            *walked(sum_of(r, r), 3),
            *walked(spread_stack(2, s), (2, 3)),
            *walked(spread_stack(20, s), (20, 3)),
        ]

    out = compare(f, X)
    np.testing.assert_array_equal(out[0], 0)
    np.testing.assert_array_equal(out[3], 2 * X * X * [4.0**5, 4.0**3, 1.0])
    np.testing.assert_array_equal(out[7], np.tile(out[5][0], (20, 1)))


def test_stacks_of_ragged_stacks():
    """What an outer loop keeps of an inner one: steps and masks both."""

    def step(k, x):
        y, _, r, _ = saved(x)
        return [k + 1.0, y * 0.2, r]

    add = capture(lambda c, e, m: [c + np.where(m, e, 0.0)], np.zeros(3), np.zeros(3), np.ones(3, bool), name="add")

    def inner(c, r):
        return [*items(bind(scan_op, c, r, masks_of(r), body=add, n=1, m=2, reverse=True, length=None))]

    def f(x):
        body = capture(step, 0.0, x, name="body")
        test = capture(lambda k, x: k < 4.0, np.float64(0), x, name="cond")
        _, y, stack = items(bind(while_op, np.float64(0), x, cond=test, body=body, n=2))
        walk = capture(inner, np.zeros(3), body.outputs[2].type, name="walk")
        return [y] + [
            items(bind(scan_op, np.zeros(3), s, body=walk, n=1, m=1, reverse=True, length=None))[0]
            for s in (stack, sum_of(stack, stack), zeros_of(stack))
        ]

    y, once, twice, none = compare(f, X)
    want, x = np.zeros(3), X
    for _ in range(4):
        x = x.copy()
        while np.any(x < 50.0):
            want += np.where(x < 50.0, x * x, 0.0)
            x = np.where(x < 50.0, x * 2, x)
        x = x * 0.2
    np.testing.assert_allclose(y, x)
    np.testing.assert_allclose(once, want)
    np.testing.assert_allclose(twice, 2 * want)
    np.testing.assert_array_equal(none, 0)


# Random programs


@pytest.mark.parametrize("seed", range(100, 112))
def test_random_control_flow(seed):
    f, text = program(seed)
    g = ad.grad(f, (0, 1))
    x, y = np.random.default_rng(seed).uniform(-1.5, 1.5, (2, 3 if seed % 3 else 21))
    many = ad.jit(ad.vmap(g))
    with np.errstate(all="ignore"):
        want = np.array([g(*map(float, row)) for row in zip(x, y, strict=True)]).T
        np.testing.assert_allclose(many(x, y), want, rtol=1e-8, atol=1e-9, err_msg=text)
    native(many)
