"""Writing into tensors: the value is that of the same text run by NumPy, the derivative that of differences.

Each program takes the namespace it works with, so that NumPy itself, with its own views and aliases, is the reference.
"""

import tracemalloc

import numpy as np
import pytest

import adjoint as ad
import adjoint.numpy as anp
from adjoint.primitives.index import index_add

X = np.array([0.3, -1.2, 0.7])
A = np.random.default_rng(0).normal(size=(3, 4))


def fill(np, x):
    a = np.zeros(3)
    for i in range(3):
        a[i] = x[i] ** 2
    a[1] = a[0] * a[2]
    return np.sum(a * a)


def overwrite_what_was_used(np, x):
    y = x * 2
    before = np.sum(y * y)
    y[0] = x[1]
    y[1:] = y[:-1] * 3
    return before + np.sum(y**3)


def rows(np, a):
    a = a * 1.0
    row = a[0]
    row[1] = a[2, 2] ** 2
    a[1][2] = row[1] * 2
    before = np.sum(a**2)
    row[:] = row[::-1] * 1.5
    return before + np.sum(np.sin(a))


def reshaped_and_transposed(np, a):
    a = a * 1.0
    a.reshape(-1)[3] = a[0, 0] * a[1, 1]
    a.T[2] = a[:, 0]
    return np.sum(a**3)


def alias(np, x):
    a = x * 1
    b = a
    b += 1
    a *= 2
    a -= b / 3
    a /= 1.5
    return np.sum(a * b)


def augmented_views(np, a):
    a = a * 1
    v = a[1]
    v += a[0]
    v *= 2
    w = v[1:3]
    w -= 1
    return np.sum(a**2)


def masks_and_arrays(np, x):
    a = x * x
    a[x < 0] = 0.0
    a[[0, 0, 2]] = x * 2
    a[...] = a * x
    return np.sum(a**2)


def swap(np, x):
    a = x * 1
    a[0], a[2] = a[2] * 2, a[0]
    return np.sum(a * np.array([0.0, 1.0, 2.0]))


def residuals(np, x):
    a = x * 1
    y = a * a
    a[0] = 5.0
    z = a * a
    a[1] = x[0]
    return np.sum(y) + np.sum(z * a)


def views_read_later(np, a):
    a = a * 1
    v = a[:, 1]
    before = np.sum(v * v)
    a[0, 1] = a[2, 3]
    a[2] = 0.0
    return before + np.sum(v**3)


def overlap(np, x):
    a = x * x
    a[1:] = a[:-1]
    a[:-1] += a[1:]
    return np.sum(a * x)


def write_the_argument(np, x):
    y = x
    y[1] = y[0] * 4
    return np.sum(x * y)


def broadcast(np, a):
    b = np.zeros((3, 4))
    b[:] = a[0]
    b[:, 1:2] = a[:, :1]
    b[1] += 2.0
    return np.sum(b**2)


def recurrence(np, x):
    a = np.zeros((5, 3))
    a[0] = x
    for i in range(4):
        a[i + 1] = np.sin(a[i]) * x + a[i - 1]
    return np.sum(a[-1] * a[2])


def entries_are_copies(np, x):
    a = x * 1
    first, last = a[0], a[-1]
    a[0], a[-1] = a[-1] * 2, a[0]
    a[1] = 7.0 * first
    return np.sum(a * a) * last + first**3


def views_without_axes(np, x):
    a = x * 1
    v, w = a[0, ...], a[1:2].reshape(())
    v += 7.0 * x[1]
    w[...] = x[2] ** 2 * v
    return np.sum(a**2)


def flipped(np, x):
    a = x * 1
    b = np.flip(a)
    a[0] = x[2] * 3
    b[0] = x[1] ** 2
    return np.sum(a * b * x)


def spread_and_diagonal(np, a):
    a = a * 1.0
    row, d = np.broadcast_to(a[0], (2, 4)), np.diagonal(a)
    a[0] = a[1] ** 2
    a[2, 2] = row[1, 1]
    return np.sum(row) * np.sum(d**2)


VECTORS = [
    fill, overwrite_what_was_used, alias, masks_and_arrays, swap, residuals, overlap, write_the_argument, recurrence,
    entries_are_copies, views_without_axes, flipped,
]  # fmt: skip
MATRICES = [rows, reshaped_and_transposed, augmented_views, views_read_later, broadcast, spread_and_diagonal]
CASES = [pytest.param(f, x, id=f.__name__) for group, x in ((VECTORS, X), (MATRICES, A)) for f in group]


@pytest.mark.parametrize("f, x", CASES)
def test_value_is_numpys_and_derivatives_are_right(f, x):
    value = ad.value_and_grad(lambda x: f(anp, x))(x)[0]
    np.testing.assert_allclose(value, f(np, x.copy()), rtol=1e-13)
    ad.check_grads(lambda x: f(anp, x), x, order=2)


@pytest.mark.parametrize("f, x", [c for c in CASES if c.id != "masks_and_arrays"])  # a mask needs its value
def test_batched_and_captured(f, x):
    g = ad.grad(lambda x: f(anp, x))
    np.testing.assert_allclose(ad.vmap(g)(np.stack([x, 2 * x])), np.stack([g(x), g(2 * x)]), rtol=1e-12)
    values = ad.vmap(lambda x: f(anp, x))(np.stack([x, 2 * x]))
    np.testing.assert_allclose(values, [f(np, x.copy()), f(np, 2 * x)], rtol=1e-12)
    graph = ad.graph(lambda x: f(anp, x))(x)
    np.testing.assert_allclose(graph.run(2 * x)[0], f(np, 2 * x), rtol=1e-12)


@pytest.mark.parametrize("f, x", CASES)
def test_imperative(f, x):
    t = ad.tensor(x).attach_grad()
    f(anp, t * 1.0).backward()
    np.testing.assert_allclose(np.asarray(t.grad), ad.grad(lambda x: f(anp, x * 1.0))(x), rtol=1e-12)


def test_the_callers_array_is_not_written():
    x = X.copy()
    ad.grad(lambda x: write_the_argument(anp, x))(x)
    assert (x == X).all()


def test_out_of_a_ufunc():
    def f(x):
        a = anp.zeros(3)
        b = a
        np.multiply(x, x, out=a)
        np.add(a, x, out=a)
        return np.sum(b**2)

    np.testing.assert_allclose(ad.grad(f)(X), 2 * (X**2 + X) * (2 * X + 1))


def test_many_writes_copy_nothing():
    """20,000 writes into 160 kB: one copy each would allocate 3 GB over time and peak far above the array."""

    def f(x):
        a = anp.zeros(20_000)
        for i in range(20_000):
            a[i] = x
        return np.sum(a)

    tracemalloc.start()
    assert ad.grad(f)(2.0) == 20_000.0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 1000  # nodes and handles; each copy kept would be 160 kB


def test_a_saved_value_is_not_overwritten():
    a = anp.zeros(3)

    def f(x):
        a = anp.zeros(3)
        a[:] = x
        y = a * a  # saves a
        a[:] = 100.0
        return np.sum(y)

    np.testing.assert_allclose(ad.grad(f)(X), 2 * X)
    assert a.trace is None


def test_what_would_lose_a_derivative_raises():
    outside = anp.zeros(3)

    def leaks(x):
        outside[0] = x[0]
        return np.sum(x)

    with pytest.raises(ad.AdjointError, match=r"made outside is written inside a transform \(test_write.py:\d+\)"):
        ad.grad(leaks)(X)

    def writes_a_part(x):
        z = x + 2j
        z.real[0] = x[1]
        return np.sum(np.abs(z))

    with pytest.raises(ad.AdjointError, match=r"view that real makes.*\(test_write.py:\d+\); write both parts"):
        ad.jvp(writes_a_part, (X,), (X,))

    def truncates(x):
        a = anp.zeros(3, dtype=int)
        a[0] = x[0]
        return np.sum(x)

    with pytest.raises(ad.AdjointError, match="int64 would lose its derivative"):
        ad.grad(truncates)(X)

    def wrong_shape(x):
        a = x * 1
        a[:2] = x
        return np.sum(a)

    with pytest.raises(ValueError, match="could not broadcast"):
        ad.grad(wrong_shape)(X)

    def grows(x):
        a = x * 1
        a += np.ones((2, 3))
        return np.sum(a)

    with pytest.raises(ValueError, match="non-broadcastable output"):
        ad.grad(grows)(X)


def test_wrong_way_back_is_noticed(monkeypatch):
    """Planted: the way back of a write that forgets to clear the entry written."""
    from adjoint.primitives import write

    monkeypatch.setattr(write._write_both, "back", lambda g, node: (g, g[node[5]] * 1.0))
    with pytest.raises(ad.core.errors.CheckError):
        ad.check_grads(lambda x: swap(anp, x), X, modes=("rev",))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_added_numbers_of_fewer_axes_than_their_index(dtype):
    """np.add.at of NumPy 2.4 reads beyond such numbers: the results held whatever lay behind them."""
    i = np.array([[-4, -3, -3, -8], [-7, 2, 1, 5], [3, -8, 5, 3]])
    v = np.array([1, 2, 3, 4], dtype)
    want = np.zeros(8, dtype)
    for row in i:
        for k, x in zip(row, v):
            want[k] += x
    assert np.array_equal(index_add(np.zeros(8, dtype), i, v), want)
    x = ad.numpy.zeros(8, dtype=dtype)
    np.add.at(x, i, v)
    assert np.array_equal(np.asarray(x), want)
