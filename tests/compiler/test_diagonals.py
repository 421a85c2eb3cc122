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
    assert large == ["scatter", "index_add", "index_add", "reshape"]


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
