"""Arrays of few columns are computed column by column where columns are read and written: the same values and derivatives."""

import sys

import numpy as np
import pytest

import adjoint as ad

rng = np.random.default_rng(12)
N = 100
X = rng.normal(size=(N, 5))
W = rng.normal(size=N) ** 2 + 0.5
TABLE = rng.normal(size=(7, 4))
WHICH = rng.integers(-7, 7, N)


def cross(x, w):
    a, b = x[:, :3] * w[:, None], np.sin(x[:, 2:])
    rows = [a[:, (i + 1) % 3] * b[:, (i + 2) % 3] - a[:, (i + 2) % 3] * b[:, (i + 1) % 3] for i in range(3)]
    return np.stack(rows, axis=1)


def lengths(x, w):
    y = x / np.sqrt(np.sum(x * x, axis=1, keepdims=True))
    return y[:, 0] * y[:, 1] + np.sum(y[:, 1:4] * w[:, None], axis=1) * y[:, -1]


def chosen(x, w):
    y = np.where(x > 0, x * np.array([1.0, 2.0, 3.0, 4.0, 5.0]), -x)
    return np.where((w > 1)[:, None], y[:, :2], y[:, 2:4] * y[:, 4:])


def table(x, w):
    rows = TABLE[WHICH] * w[:, None]
    return rows[:, 0] * rows[:, 3] + rows[:, 1:3].sum(1)


def joined(x, w):
    y = np.concatenate([np.exp(x[:, 1:3]), w[:, None], x[:, :1] * 2], axis=1)
    return y[:, ::-1] * y[:, 1:2], np.cumsum(y, axis=0)


def put(x, w):
    y = np.zeros((N, 4))
    y[:, 1] = w * x[:, 0]
    y[:, 2:] = x[:, :2] * y[:, 1:2]
    return y * y[:, 3:] + 1


def rows_too(x, w):
    y = x * w[:, None]
    z = y[:, 0] * y[:, 1] + y[:, 2]
    return z[::2], y[3], y[10:20, 1]


def a_loop(x, w):
    y = x * 0.5
    for _ in range(20):
        y = np.stack([y[:, 1] * 0.9, y[:, 2] - y[:, 0], np.tanh(y[:, 0]) * w, y[:, 4], y[:, 3]], axis=1)
    return y


def pairs(x, w):
    x, w = x[:8, :3], w[:8]
    d = x[None, :, :] - x[:, None, :]
    near = np.sum(d * d, axis=2) + 0.01
    return np.sum((w / (near * np.sqrt(near)))[:, :, None] * d, axis=1), near


def pairs_stepping(x, w):
    x, w = x[:7, 1:4] * 0.5, w[:7]
    v = 0.1 * x
    for _ in range(40):
        d = x[None, :, :] - x[:, None, :]
        v = v + 0.01 * np.sum((w / (np.sum(d * d, axis=2) + 0.1))[:, :, None] * d, axis=1)
        x = x + 0.01 * v
    return x, v


def blocks(x, w):
    y = np.sin(x[:96, :4]).reshape(2, 4, 12, 4) * w[:12, None]
    unit = y / np.sqrt(np.sum(y * y, axis=-1, keepdims=True) + 0.1)
    turned = np.stack([unit[..., 1], -unit[..., 0], unit[..., 3] * 2, y[..., 2]], axis=-1)
    return (
        turned,
        np.sum(turned, axis=(0, 2)),
        np.sum(turned[..., 1:3] * y[..., :1], axis=(1, 3)),
        np.sum(unit, axis=(0, 1, 2)),
    )


PROGRAMS = [cross, lengths, chosen, table, joined, put, rows_too, a_loop, pairs, pairs_stepping, blocks]


def total(f, weights=(0.3, 1.7)):
    def g(x, w):
        out = f(x, w)
        out = out if isinstance(out, tuple) else (out,)
        return sum(np.sum(np.sin(y + k)) for k, y in enumerate(out))

    return g


@pytest.mark.parametrize("always", [False, True])
@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_values_and_derivatives(f, always, monkeypatch):
    if always:  # not only where it pays
        monkeypatch.setattr(sys.modules["adjoint.compiler.passes.columns"], "GAIN", -100)
    differentiable = ad.differentiable(f) if f is put else f
    want = f(X, W)
    got = ad.jit(f)(X, W)
    for y, v in zip(got if type(got) is tuple else (got,), want if type(want) is tuple else (want,), strict=True):
        assert y.dtype == v.dtype and y.shape == v.shape
        np.testing.assert_allclose(y, v, rtol=1e-12, atol=1e-14)
    want = ad.grad(total(differentiable), argnums=(0, 1))(X, W)
    for y, v in zip(ad.jit(ad.grad(total(f), argnums=(0, 1)))(X, W), want, strict=True):
        np.testing.assert_allclose(y, v, rtol=1e-10, atol=1e-12)
    d = np.sin(np.arange(X.size)).reshape(X.shape)
    t = ad.jit(lambda x, w: ad.jvp(lambda x: total(f)(x, w), (x,), (d,))[1])(X, W)
    np.testing.assert_allclose(t, np.sum(want[0] * d), rtol=1e-9)


@pytest.mark.parametrize("f", [cross, lengths], ids=lambda f: f.__name__)
def test_one_loop_is_left(f):
    lines = ad.jit(f).graph(X, W).lines
    shapes = [line.out.type.shape for line in lines if line.op.name not in ("stack", "getitem", "reshape")]
    assert all(len(s) <= 1 for s in shapes), lines


def test_sums_over_a_short_axis_share_the_loop_of_all_pairs():
    body = next(line.params["body"] for line in ad.jit(pairs_stepping).graph(X, W).lines if line.op.name == "scan")
    assert not any(line.out.type.shape == (7, 7, 3) for line in body.lines), body
    assert [v.type.shape for v in body.outputs] == [(7,)] * 6


@pytest.mark.parametrize("n", [3, 7, 20, 100])
def test_state_of_records_is_carried_by_columns(n):
    """Of constants, of what is swapped from step to step, and beside results that keep the whole."""

    def f(x, w):
        def step(s, _):
            a, b, c = s
            d = a[None, :, :] * b[:, None, :]
            r = np.sum(np.cos(d) * w[: len(a), None, None], axis=2)
            new = np.sum(np.sin(d) * r[:, :, None], axis=0) / len(a)
            return (b, a + 0.1 * new, c[:, ::-1] + new), (a, new, b[:, 1])

        start = x[:n, :3], np.linspace(0, 1, 3 * n).reshape(n, 3), np.zeros((n, 3))
        return ad.scan(step, start, length=9)

    with np.errstate(all="ignore"):
        want = f(X, W)
        for y, v in zip(ad.tree.flatten(ad.jit(f)(X, W))[0], ad.tree.flatten(want)[0], strict=True):
            np.testing.assert_allclose(y, v, rtol=1e-11, atol=1e-12)
    g = lambda x, w: sum(np.sum(np.sin(y)) for y in ad.tree.flatten(f(x, w))[0])
    for y, v in zip(ad.jit(ad.grad(g, argnums=(0, 1)))(X, W), ad.grad(g, argnums=(0, 1))(X, W), strict=True):
        np.testing.assert_allclose(y, v, rtol=1e-9, atol=1e-11)


def test_special_numbers_in_records_of_pairs():
    x = X[:8, :3].copy()
    x[:4, 0] = [np.nan, np.inf, -np.inf, -0.0]
    x[5:] = -0.0

    def f(x):
        d = x[None, :, :] * x[:, None, :]
        s = np.sum(d, axis=-1)
        return d * s[..., None], np.sum(d, axis=0), s

    with np.errstate(all="ignore"):
        for got, want in zip(ad.jit(f)(x), f(x), strict=True):
            assert np.array_equal(np.isnan(got), np.isnan(want))
            np.testing.assert_allclose(got, want, rtol=1e-14)
            assert np.array_equal(np.signbit(got)[~np.isnan(want)], np.signbit(want)[~np.isnan(want)])

        def g(x):
            d = x[None, :, :] * x[:, None, :]
            return np.sum(np.where(d[..., 0] > 0, np.sum(np.sqrt(abs(d)), axis=-1), 0.0))

        np.testing.assert_allclose(ad.jit(ad.grad(g))(x), ad.grad(g)(x), rtol=1e-12)


def test_special_numbers_and_signs_of_zero():
    x = X.copy()
    x[:6, 0] = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-320]

    def f(x):
        y = x * 1.0
        return np.stack([y[:, 0] * 2, y[:, 1], -y[:, 0]], axis=1)

    got, want = ad.jit(f)(x), f(x)
    assert np.array_equal(got, want, equal_nan=True) and np.array_equal(np.signbit(got), np.signbit(want))

    def g(x):
        y = x * 1.0
        return np.sum(np.where(y[:, 1] > 0, y[:, 0], 0.0) + y[:, 2] * y[:, 3])

    got, want = ad.jit(ad.grad(g))(x), ad.grad(g)(x)
    np.testing.assert_array_equal(got, want)


def test_an_index_out_of_bounds_is_an_error():
    f = ad.jit(lambda w, which: table_at(w, which))

    def table_at(w, which):
        rows = TABLE[which] * w[:, None]
        return rows[:, 0] * rows[:, 3] + rows[:, 1]

    f(W, WHICH)
    with pytest.raises(IndexError):
        f(W, np.where(np.arange(N) == 50, 7, WHICH))
