"""Jacobians of entrywise functions are computed as diagonals: the same matrices as eagerly, without a matrix on the way."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import passes
from adjoint.compiler.passes.diagonals import diagonals
from adjoint.traces.capture import capture

N = 12
X = np.linspace(-1.5, 2.0, N)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-320, 1e308, 2.0, 0.5, 3.0])
MATRIX = np.random.default_rng(5).normal(size=(N, N))
ENTRYWISE = {
    "products": lambda x: np.sin(x) * np.exp(x) - 3 * x,
    "division": lambda x: x / (1 + x * x),
    "kinks": lambda x: np.maximum(x, 0) + np.abs(x) * np.where(x > 1, x, 2.0),
    "powers": lambda x: x**3 - x**2 * np.sqrt(np.abs(x)),
    "constants": lambda x: np.arange(1.0, N + 1) * x * x,
    "times a number of it": lambda x: x * x[0] + np.log1p(x * x),
    "slices": lambda x: x[:-2] * x[1:-1] ** 2 * np.sin(x[2:]),
    "differences": lambda x: (x[1:] - x[:-1]) ** 2,
    "a slice": lambda x: np.exp(x[1:]),
    "a slice of a product": lambda x: (x * x)[2:-1] * (3.0 * x)[1:-2],
    "a slice of a slice": lambda x: np.sin(x[1:])[::-1][:-1] + x[2:],
    "two kinds": lambda x: np.where(x[1:] > 0, x[1:] ** 2, x[:-1] - x[1:]),
    "a product by a matrix": lambda x: MATRIX @ (x * np.sin(x)),
    "of a product by a matrix": lambda x: np.tanh(MATRIX @ x) * np.cos(x),
    "between products": lambda x: MATRIX @ np.exp(-((MATRIX.T @ x) ** 2)),
    "not entrywise": lambda x: np.cumsum(x) * np.sum(x),
}


@pytest.mark.parametrize("point", [X, SPECIAL], ids=["ordinary", "special"])
@pytest.mark.parametrize("name", ENTRYWISE)
def test_jacobians_are_those_of_eager_mode(name, point):
    f = ENTRYWISE[name]
    with np.errstate(all="ignore"):
        want = ad.jacobian(f)(point)
        got = ad.jit(ad.jacobian(f))(point)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", list(ENTRYWISE)[:5])
def test_no_matrix_is_computed_with(name):
    graph = passes.run(capture(ad.jacobian(ENTRYWISE[name]), X))
    large = [line.op.name for line in graph.lines if getattr(line.out.type, "shape", None) == (N, N)]
    assert large == ["diagonal_matrix"], graph


def test_bands_are_slices_of_one_matrix():
    f = ad.jit(ad.jacobian(ENTRYWISE["slices"]))
    large = [line.op.name for line in f.graph(X).lines if line.out.type.size >= N * N // 2]
    assert large == ["banded"]


def test_the_hessian_of_a_sum_of_terms_is_a_diagonal():
    def f(x):
        return np.sum(np.sin(x) * x**3)

    np.testing.assert_allclose(ad.jit(ad.hessian(f))(X), ad.hessian(f)(X), rtol=1e-12)
    np.testing.assert_allclose(np.diag(ad.jit(ad.hessian(f))(X)), 6 * X**2 * np.cos(X) + (6 * X - X**3) * np.sin(X), rtol=1e-12)
    assert [line.op.name for line in ad.jit(ad.hessian(f)).graph(X).lines if line.out.type.size == N * N] == ["diagonal_matrix"]


@pytest.mark.parametrize("off", [1, N, N * N - 2])
def test_a_matrix_with_one_entry_beside_its_diagonal_is_no_diagonal(off):
    matrix = np.eye(N)
    matrix.reshape(-1)[off] = 1e-300
    graph = diagonals(capture(lambda x: ad.numpy.multiply(matrix, x) * 1.0, X))
    assert "diagonal_matrix" not in [line.op.name for line in graph.lines]


def test_rows_and_columns_are_told_apart():
    a = np.linspace(1.0, 2.0, N)[:, None]
    seeds = np.eye(N)

    def rows(x):
        _, pull = ad.vjp(lambda y: np.sin(y * x), np.ones((N, N)))
        return pull(seeds)

    for x in (a, a.T, a[:, 0]):
        np.testing.assert_allclose(ad.jit(rows)(x), rows(x), rtol=1e-12)


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    return np.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def test_the_hessian_of_a_chain_is_three_diagonals():
    want = np.diag(np.r_[1200 * X[:-1] ** 2 - 400 * X[1:] + 2, 0] + np.r_[0, np.full(N - 1, 200.0)])
    want += np.diag(-400 * X[:-1], 1) + np.diag(-400 * X[:-1], -1)
    f = ad.jit(ad.hessian(rosenbrock))
    np.testing.assert_allclose(f(X), want, rtol=1e-14)
    assert [line.op.name for line in f.graph(X).lines if line.out.type.size >= N * (N - 1)] == ["banded"]


@pytest.mark.parametrize("n", [2, 5, 7, 8, 9, 17, 40, 130])
def test_hessians_of_a_chain_of_any_length(n):
    x = np.random.default_rng(n).normal(size=n)
    np.testing.assert_allclose(ad.jit(ad.hessian(rosenbrock))(x), ad.hessian(rosenbrock)(x), rtol=1e-13)


def test_boxes_cut_out_of_diagonals():
    """Every box, rows and columns alike, of a matrix of two diagonals, and put into zeros again."""
    small = X[:8]

    def f(x, rows, columns):
        m = ad.numpy.diag(x) + ad.numpy.diag(x[1:] * 2, 1)
        return ad.numpy.pad(m[rows, columns], ((2, 1), (0, 3))).T

    for rows in (slice(0, 7), slice(1, 8), slice(0, 8)):
        for columns in (slice(0, 6), slice(1, 8), slice(2, 8), slice(0, 8)):
            got = ad.jit(lambda x: f(x, rows, columns))(small)  # noqa: B023
            dense = (np.diag(small) + np.diag(small[1:] * 2, 1))[rows, columns]
            np.testing.assert_array_equal(got, np.pad(dense, ((2, 1), (0, 3))).T)


def test_unit_vectors_times_a_matrix_are_that_matrix():
    f = ad.jit(ad.jacobian(lambda x: np.tanh(MATRIX @ x)))
    np.testing.assert_allclose(f(X), (1 - np.tanh(MATRIX @ X) ** 2)[:, None] * MATRIX, rtol=1e-9)
    products = [line.args[0].type.shape for line in f.graph(X).lines if line.op.name == "matmul"]
    assert products == [(N, N)]  # that of the function alone


def test_an_identity_of_the_users_is_numbers():
    """Zero times infinity is NaN there."""
    x = np.full((8, 8), np.inf)
    got = ad.jit(lambda x: np.eye(8) @ x)(x)
    assert np.isnan(got).all()


@pytest.mark.parametrize("shape", [(3, 5), (40, 9), (9, 40), (70, 70)])
def test_what_is_computed_and_then_transposed_is_written_where_it_goes(shape):
    rng = np.random.default_rng(8)
    x, v = rng.normal(size=shape), rng.normal(size=shape[1])

    def f(x, v):
        y = np.sin(x) * v
        return y.T, y.sum(), (y * 2)[:, 1:].T, np.transpose((x + v).reshape(1, *shape), (1, 2, 0)), y

    for got, want in zip(ad.jit(f)(x, v), f(x, v), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-14)
