"""What the steps of a scan do without each other is done for all of them at once."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.passes import run
from adjoint.compiler.passes.steps import SHORTEST, steps
from adjoint.core.types import Array
from adjoint.primitives.loops import scan_op
from adjoint.traces.capture import capture

T = 12
MATRIX = Array((6, 5), np.dtype(float))


def bodies(graph):
    """The names of the ops in the bodies of the scans of a graph, and those beside them."""
    inside, outside = [], []
    for line in graph.lines:
        outside.append(line.op.name)
        if line.op.name == "scan":
            inside.append([row.op.name for row in line.params["body"].lines])
    return inside, outside


def check(f, *args, rtol=1e-13):
    """Capture a function of arrays, and compare what the pass makes of it with what it does."""
    graph = capture(f, *(Array(np.shape(a), np.asarray(a).dtype) for a in args), name="f")
    new = steps(graph)
    new.verify()
    for a, b in zip(graph.run(*args), new.run(*args), strict=True):
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(b, a, rtol=rtol)
    return graph, new


def recurrent(w, u, b, xs):
    h = np.zeros(6)
    for t in range(T):
        h = np.tanh(w @ h + u @ xs[t] + b)
    return np.sum(h * h)


def recurrent_gradient(w, u, b, xs):
    """By hand."""
    hs = [np.zeros(6)]
    for t in range(T):
        hs.append(np.tanh(w @ hs[t] + u @ xs[t] + b))
    gw, gu, gb, g = np.zeros_like(w), np.zeros_like(u), np.zeros_like(b), 2 * hs[T]
    for t in reversed(range(T)):
        z = g * (1 - hs[t + 1] ** 2)
        gw, gu, gb, g = gw + np.outer(z, hs[t]), gu + np.outer(z, xs[t]), gb + z, w.T @ z
    return gw, gu, gb


def test_a_recurrent_network():
    rng = np.random.default_rng(0)
    args = 0.3 * rng.normal(size=(6, 6)), rng.normal(size=(6, 5)), rng.normal(size=6), rng.normal(size=(T, 5))
    f = ad.jit(ad.grad(recurrent, argnums=(0, 1, 2)))
    for got, want in zip(f(*args), recurrent_gradient(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    text = f.explain(*args)
    forward, backward = (part.split("return")[0] for part in text.split("= scan(")[1:])
    assert forward.count("matmul") == 1  # w @ h; u @ x is one product before
    assert (
        backward.count("matmul") == 1 and "float64[6,6] = add" not in backward
    )  # w.T @ z; the outer products are behind
    assert text.count("= matmul(") == 5


@pytest.mark.parametrize("reverse", [False, True])
def test_outer_products_added_and_subtracted(reverse):
    def f(acc, us, vs):
        def body(s, u, v):
            z = np.sin(u)
            return [s - np.reshape(z, (6, 1)) * v, z]

        graph = capture(body, MATRIX, Array((6,), np.dtype(float)), Array((5,), np.dtype(float)), name="body")
        from adjoint.core.op import bind
        from adjoint.core.tuples import items

        return items(bind(scan_op, acc, us, vs, body=graph, n=1, m=2, reverse=reverse, length=T))

    rng = np.random.default_rng(1)
    acc, us, vs = rng.normal(size=(6, 5)), rng.normal(size=(T, 6)), rng.normal(size=(T, 5))
    _, new = check(f, acc, us, vs, rtol=1e-12)
    inside, outside = bodies(new)
    assert inside == [["sin"]] and "matmul" in outside
    np.testing.assert_allclose(new.run(acc, us, vs)[0], acc - np.sin(us).T @ vs, rtol=1e-12)


def scanned(body, n, length, *types, reverse=False):
    """A function that runs a scan over this body."""
    from adjoint.core.op import bind
    from adjoint.core.tuples import items

    graph = capture(body, *types, name="body")

    def f(*args):
        m = sum(np.ndim(a) == len(t.shape) + 1 for a, t in zip(args, types, strict=True))
        return list(items(bind(scan_op, *args, body=graph, n=n, m=m, reverse=reverse, length=length)))

    return f


NUMBER = Array((), np.dtype(float))


@pytest.mark.parametrize("reverse", [False, True])
def test_dear_numbers(reverse):
    def body(s, total, x, c):
        slope = 1.0 / np.exp(c * x)  # of what is read: before
        s = s * slope + x
        loss = np.log(s * s + 1.0) * x  # for the sum and a row: behind
        return [s, total - 0.5 * loss, loss, s]

    f = scanned(body, 2, T, NUMBER, NUMBER, NUMBER, NUMBER, reverse=reverse)
    rng = np.random.default_rng(2)
    _, new = check(f, np.float64(0.5), np.float64(2.0), rng.uniform(0.5, 1.5, T), np.float64(0.3))
    (inside,), outside = bodies(new)
    assert inside == ["multiply", "add"]
    assert {"exp", "divide", "log", "sum"} <= set(outside)


def test_a_sum_that_a_step_reads_stays():
    def body(s, x):
        s = s + np.log(x)
        return [s, np.sin(s)]

    f = scanned(body, 1, T, NUMBER, NUMBER)
    _, new = check(f, np.float64(0.5), np.linspace(1.0, 2.0, T))
    (inside,), _ = bodies(new)
    assert "add" in inside and "log" not in inside


def test_a_matrix_that_a_step_reads_stays():
    def body(s, u, v):
        s = s + np.reshape(u, (6, 1)) * v
        return [s, s @ v]

    f = scanned(body, 1, T, MATRIX, Array((6,), np.dtype(float)), Array((5,), np.dtype(float)))
    rng = np.random.default_rng(3)
    graph, new = check(f, rng.normal(size=(6, 5)), rng.normal(size=(T, 6)), rng.normal(size=(T, 5)))
    assert new is graph


def test_numbers_of_python_and_of_other_dtypes_stay():
    single = Array((), np.dtype(np.float32))

    def body(s, n, x):
        return [s + np.log(x) * n, n + 1]

    f = scanned(body, 2, T, single, Array((), np.dtype(np.int64), True), single)
    graph = capture(f, single, Array((), np.dtype(np.int64), True), Array((T,), np.dtype(np.float32)), name="f")
    new = steps(graph)
    new.verify()
    args = np.float32(0.5), 1, np.linspace(1, 2, T, dtype=np.float32)
    got, want = new.run(*args), graph.run(*args)
    assert got[0].dtype == np.float32 and got[1] == want[1]
    np.testing.assert_allclose(got[0], want[0], rtol=1e-6)


def test_short_scans_and_what_takes_much_memory_stay():
    def body(s, u, v):
        return [s + np.reshape(u, (6, 1)) * v]

    f = scanned(body, 1, SHORTEST - 1, MATRIX, Array((6,), np.dtype(float)), Array((5,), np.dtype(float)))
    rng = np.random.default_rng(4)
    graph, new = check(
        f, rng.normal(size=(6, 5)), rng.normal(size=(SHORTEST - 1, 6)), rng.normal(size=(SHORTEST - 1, 5))
    )
    assert new is graph

    def wide(s, x, w):
        return [s + np.sum(w @ x)]

    row, steps_ = 4, 200_000
    f = scanned(wide, 1, steps_, NUMBER, Array((row,), np.dtype(float)), Array((64, row), np.dtype(float)))
    graph = capture(f, NUMBER, Array((steps_, row), np.dtype(float)), Array((64, row), np.dtype(float)), name="f")
    assert steps(graph) is graph  # 100 MB for what is read in 6


def test_infinities_and_nan_go_where_they_went():
    def body(s, x):
        y = np.log(x)
        return [s + y, y]

    f = scanned(body, 1, T, NUMBER, NUMBER)
    xs = np.linspace(1.0, 2.0, T)
    xs[3], xs[7] = 0.0, -1.0
    graph = capture(f, NUMBER, Array((T,), np.dtype(float)), name="f")
    new = steps(graph)
    with np.errstate(all="ignore"):
        want = [np.log(x) for x in xs]
        total, ys = new.run(np.float64(1.0), xs)
    assert new is not graph and np.isnan(total)
    np.testing.assert_array_equal(ys, want)


def test_the_whole_way():
    """The log-likelihood of a filter, derivatives of both orders, against the complex step."""

    def f(theta, ys):
        m, p, total = 0.0, 1.0, 0.0
        for y in ys:
            p = p + np.exp(theta[0])
            s = p + np.exp(theta[1])
            e = y - m
            total = total - 0.5 * (np.log(2 * np.pi * s) + e * e / s)
            m = m + p / s * e
            p = p - p * p / s
        return total

    theta, ys = np.array([-1.0, -2.0]), np.sin(np.arange(30.0))
    y, g = ad.jit(ad.value_and_grad(f))(theta, ys)
    np.testing.assert_allclose(y, f(theta, ys), rtol=1e-13)
    steps_ = [f(theta + 1e-30j * np.eye(2)[k], ys).imag / 1e-30 for k in range(2)]
    np.testing.assert_allclose(g, steps_, rtol=1e-11)
    h = ad.jit(ad.hessian(f))(theta, ys)
    np.testing.assert_allclose(h, ad.hessian(f)(theta, ys), rtol=1e-9)


def test_passes_leave_nothing_of_it_unused():
    def f(xs, u):
        s = np.zeros(4)
        for x in xs:
            s = np.tanh(s + u @ x)
        return np.sum(s)

    graph = capture(
        lambda xs, u: [ad.grad(f, argnums=1)(xs, u)],
        Array((20, 3), np.dtype(float)),
        Array((4, 3), np.dtype(float)),
        name="f",
    )
    assert run(graph) is not None
