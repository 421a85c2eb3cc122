"""Small matrices that a scan carries are numbers, each by itself."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.passes.apart import apart
from adjoint.core.op import bind
from adjoint.core.tuples import items
from adjoint.core.types import Array
from adjoint.primitives.loops import scan_op
from adjoint.traces.capture import capture

T = 9


def array(*shape, dtype=np.float64):
    return Array(shape, np.dtype(dtype))


def check(body, n, *types, changes=True, dtype=np.float64):
    """Run a scan over a body of arrays of these types, the last of which is read, and what the pass makes of it."""
    graph = capture(body, *types, name="body")

    def f(*args):
        return list(items(bind(scan_op, *args, body=graph, n=n, m=1, reverse=False, length=T)))

    rows = [*types[:n], Array((T, *types[n].shape), types[n].dtype), *types[n + 1 :]]
    whole = capture(f, *rows, name="f")
    new = apart(whole)
    new.verify()
    assert (new is not whole) == changes
    rng = np.random.default_rng(3)
    args = [rng.normal(size=t.shape).astype(t.dtype) for t in rows]
    for a, b in zip(new.run(*args), whole.run(*args), strict=True):
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(
            a, b, rtol=1e-12 if dtype == np.float64 else 1e-4, atol=1e-12 if dtype == np.float64 else 1e-4
        )
    return next(line for line in new.lines if line.op is scan_op)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_all_that_has_a_rule(dtype):
    def body(p, v, x, w):
        q = w @ p @ w.T + 0.1 * np.outer(v, x)  # products of two matrices
        u = q @ v / 7 + x @ q - w[:, 0]  # with vectors, columns
        s = v @ u + np.sum(q) + q[1, 0]
        q = q.copy()
        q[0, 1] = s
        q[1] = u * 0.5
        r = np.sum(q, axis=0) + np.sum(q, axis=1, keepdims=True)[:, 0] - x
        p = 0.1 * (q - np.reshape(r, (2, 1)) * np.reshape(u, (1, 2))) / (1 + s * s)
        return [p, np.broadcast_to(0.1 * s, (2,)) - 0.1 * np.flip(u) / (1 + s * s), q, np.sin(r)]

    line = check(
        body,
        2,
        array(2, 2, dtype=dtype),
        array(2, dtype=dtype),
        array(2, dtype=dtype),
        array(2, 2, dtype=dtype),
        dtype=dtype,
    )
    graph = line.params["body"]
    assert line.params["n"] == 6 and all(v.type.shape == () for v in graph.inputs[:6])
    assert not any(row.op.name in ("matmul", "outer", "sum") for row in graph.lines)


def test_a_column():
    def column(v, x, w):
        y = w @ v * 0.3
        return [y + np.sum(y, axis=0, keepdims=True) * 0.1 + x, np.transpose(y)]

    check(column, 1, array(2, 1), array(2, 1), array(2, 2))


def test_what_stays():
    # no products: vectors do as well
    check(lambda v, x: [v * x + np.sin(v)], 1, array(4), array(4), changes=False)
    # larger ones
    check(lambda v, x, w: [w @ v * 0.1 + x, np.sum(v)], 1, array(5), array(5), array(5, 5), changes=False)
    # integers
    integers = Array((2, 2), np.dtype(np.int64))
    graph = capture(lambda a, x: [a @ a + x, np.sum(a)], integers, integers, name="body")
    whole = capture(
        lambda a, xs: list(items(bind(scan_op, a, xs, body=graph, n=1, m=1, reverse=False, length=3))),
        integers, Array((3, 2, 2), np.dtype(np.int64)), name="f",
    )  # fmt: skip
    assert apart(whole) is whole


def test_infinities_and_nan_go_where_they_went():
    def body(p, x, w):
        return [w @ p + np.sum(x), np.sum(p, axis=0)]

    graph = capture(body, array(2, 2), array(), array(2, 2), name="body")

    def f(p, xs, w):
        return list(items(bind(scan_op, p, xs, w, body=graph, n=1, m=1, reverse=False, length=3)))

    whole = capture(f, array(2, 2), array(3), array(2, 2), name="f")
    args = np.array([[np.inf, 1.0], [2.0, np.nan]]), np.ones(3), np.array([[0.0, 1.0], [1.0, 0.0]])
    with np.errstate(all="ignore"):
        got, want = apart(whole).run(*args), whole.run(*args)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_filter_with_derivatives():
    move = np.array([[1.0, 0.1], [0.0, 1.0]])

    def f(theta, ys):
        m, p, total = np.zeros(2), np.eye(2), 0.0
        for y in ys:
            m = move @ m
            p = move @ p @ move.T + np.exp(theta[0]) * np.eye(2)
            s = p[0, 0] + np.exp(theta[1])
            e = y - m[0]
            total = total - 0.5 * (np.log(2 * np.pi * s) + e * e / s)
            m = m + p[:, 0] / s * e
            p = p - np.outer(p[:, 0] / s, p[0])
        return total

    theta, ys = np.array([-1.0, -2.0]), np.sin(np.arange(30.0))
    compiled = ad.jit(ad.value_and_grad(f))
    y, g = compiled(theta, ys)
    np.testing.assert_allclose(y, f(theta, ys), rtol=1e-13)
    slopes = []
    for k in range(2):

        def along(theta, ys):
            m, p, total = np.zeros(2, complex), np.eye(2, dtype=complex), 0.0
            for y in ys:
                m, p = move @ m, move @ p @ move.T + np.exp(theta[0]) * np.eye(2)
                s, e = p[0, 0] + np.exp(theta[1]), y - m[0]
                total = total - 0.5 * (np.log(2 * np.pi * s) + e * e / s)
                m, p = m + p[:, 0] / s * e, p - np.outer(p[:, 0] / s, p[0])
            return total

        slopes.append(along(theta + 1e-30j * np.eye(2)[k], ys).imag / 1e-30)
    np.testing.assert_allclose(g, slopes, rtol=1e-11)
    assert "apart" in compiled.explain(theta, ys)
    hessian = ad.jit(ad.hessian(f))(theta, ys)
    np.testing.assert_allclose(hessian, ad.hessian(f)(theta, ys), rtol=1e-9)
