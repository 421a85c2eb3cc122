"""What is known of the matrices around a Cholesky decomposition: inverses where its diagonal alone was read, its factor for solving."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler import passes
from adjoint.compiler.passes.rewrite import rebuild
from adjoint.compiler.passes.triangles import parity
from adjoint.traces.capture import capture

N = 12
rng = np.random.default_rng(3)
X = rng.normal(size=(N, 3))
Y = rng.normal(size=N)
A = rng.normal(size=(N, N))
K = A @ A.T + N * np.eye(N)


def names(f, *args):
    return [line.op.name for line in f.graph(*args).lines]


def distances(x):
    d = x[:, None, :] - x[None, :, :]
    return np.sum(d * d, axis=2)


def by_products(x):
    s = np.sum(x * x, axis=1)
    return s[:, None] + s[None, :] - 2 * (x @ x.T)


KERNELS = {
    "distances": lambda x: np.exp(-0.5 * distances(x)) + 0.1 * np.eye(N),
    "distances by products": lambda x: np.exp(-0.5 * by_products(x)) + 0.1 * np.eye(N),
    "rational": lambda x: 1 / (1 + distances(x)) + np.eye(N) * 0.2,
    "products": lambda x: x @ x.T + np.eye(N),
    "first axis": lambda x: np.exp(-np.abs(x[:, 0][:, None] - x[:, 0])) + 0.1 * np.eye(N),
    "larger ones": lambda x: np.maximum(x[:, 0][:, None], x[:, 0]) + 3.0 * N * np.eye(N),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_symmetric_matrix_is_decomposed_once(name):
    def f(x, y):
        k = KERNELS[name](x)
        low = np.linalg.cholesky(k)
        return y @ np.linalg.solve(k, y) / 2 + np.sum(np.log(np.diag(low)))

    compiled = ad.jit(ad.value_and_grad(f, argnums=(0, 1)))
    (value, (gx, gy)), (want, (wx, wy)) = compiled(X, Y), ad.value_and_grad(f, argnums=(0, 1))(X, Y)
    np.testing.assert_allclose(value, want, rtol=1e-11)
    np.testing.assert_allclose(gx, wx, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(gy, wy, rtol=1e-9, atol=1e-11)
    found = names(compiled, X, Y)
    assert "solve" not in found and found.count("cholesky") == 1 and found.count("inv_triangular") == 1, found


@pytest.mark.parametrize("where", ["given", "of two arrays", "scaled in rows", "with another sign"])
def test_what_is_not_known_to_be_symmetric_is_solved_with_as_it_is(where):
    x, w = X[:, 0], np.linspace(1.0, 2.0, N)
    make = {
        "given": lambda k, w: k,
        "of two arrays": lambda k, w: np.exp(-np.abs(x[:, None] - w)) + N * np.eye(N),
        "scaled in rows": lambda k, w: w[:, None] * np.exp(-((x[:, None] - x) ** 2)) + N * np.eye(N),
        "with another sign": lambda k, w: (w[:, None] - w) + N * np.eye(N),
    }[where]

    def f(k, w):
        k = make(k, w)
        return np.sum(np.linalg.solve(k, np.ones(N)) * np.diag(np.linalg.cholesky(k)))

    k = np.tril(K) + 0.1 * np.triu(A, 1)  # cholesky reads one triangle of it
    compiled = ad.jit(ad.grad(f, argnums=(0, 1)))
    for g, want in zip(compiled(k, w), ad.grad(f, argnums=(0, 1))(k, w), strict=True):
        np.testing.assert_allclose(g, want, rtol=1e-9, atol=1e-13)
    assert "solve" in names(compiled, k, w)


def test_parity_of_axes():
    def f(x):
        d = x[:, None] - x
        return d, d * d, d * np.abs(d), np.sin(d), d + d * 2.0, d + 1.0, np.sum(x, axis=0), d[::-1], d * x

    graph = passes.run(capture(f, X[:, 0]))

    def start(b):
        def step(line):
            out = b.append(line)
            found[out] = parity(b, out, -2, -1)
            return out

        return step

    found: dict = {}
    rebuild(graph, start)
    assert [found[v] for v in graph.outputs] == [-1, 1, -1, 0, -1, 0, 1, 0, 0]


def test_the_gradient_of_log_det_is_an_inverse():
    def f(k):
        return np.sum(np.log(np.diag(np.linalg.cholesky(k))))

    compiled = ad.jit(ad.grad(f))
    inverse = np.linalg.inv(K)
    np.testing.assert_allclose(compiled(K), np.tril(inverse) - np.diag(np.diag(inverse)) / 2, rtol=1e-10)
    found = names(compiled, K)
    assert "solve_triangular" not in found and found.count("triangular_product") == 1 and "matmul" not in found
    np.testing.assert_allclose(ad.jit(ad.hessian(f))(K), ad.hessian(f)(K), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ad.jit(ad.vmap(ad.grad(f)))(np.stack([K, 2 * K]))[1], compiled(2 * K), rtol=1e-10)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        compiled(-K)


def test_weights_of_the_diagonal_have_any_sign():
    w = np.linspace(-1.0, 1.0, N)

    def f(k):
        return np.sum(np.diag(np.linalg.cholesky(k)) * w)

    np.testing.assert_allclose(ad.jit(ad.grad(f))(K), ad.grad(f)(K), rtol=1e-10, atol=1e-14)
    single = K.astype(np.float32)
    np.testing.assert_allclose(ad.jit(ad.grad(f))(single), ad.grad(f)(K), rtol=1e-4, atol=1e-6)


def test_other_readers_of_a_factor():
    def whole(k):
        return np.sum(np.sin(np.linalg.cholesky(k)))

    def both(k):
        low = np.linalg.cholesky(k)
        return np.sum(np.log(np.diag(low))) + low[3, 1]

    for f in (whole, both):
        np.testing.assert_allclose(ad.jit(ad.grad(f))(K), ad.grad(f)(K), rtol=1e-9, atol=1e-13)
