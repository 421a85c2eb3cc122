"""scipy.linalg, signal, sparse: the ops here under the laws of all ops, the rest against SciPy and differences."""

import numpy as np
import pytest
import scipy.interpolate
import scipy.linalg
import scipy.signal
import scipy.sparse

import adjoint as ad
from adjoint.core.errors import MissingRuleError
from adjoint.core.op import OPS
from adjoint.scipy import interpolate, linalg, signal, sparse, stats  # noqa: F401  (their ops)
from tests.laws.harness import applies, obeys

MINE = ("expm", "logm", "sqrtm", "solve_sylvester", "recursive_filter", "sparse_matmul", "sparse_solve", "interval",
        "log_sech")  # fmt: skip
rng = np.random.default_rng(0)
A = rng.normal(size=(3, 3))
S = A @ A.T + np.eye(3)
B = rng.normal(size=(3, 2))


@pytest.mark.parametrize("name, law", [(n, w) for n in MINE for w, reason in applies(OPS[n]).items() if not reason])
def test_laws(name, law):
    assert obeys(OPS[name], law)


@pytest.mark.parametrize("b", [B, B[:, 0]])
def test_solving(b):
    for lower in (False, True):
        for trans in (0, 1, 2, "N", "T", "C"):
            for unit in (False, True):
                f = lambda a, b: linalg.solve_triangular(a, b, trans, lower, unit)  # noqa: B023
                np.testing.assert_allclose(f(S, b), scipy.linalg.solve_triangular(S, b, trans, lower, unit))
                ad.check_grads(f, S, b, order=2)
        f = lambda a, b: linalg.cho_solve(linalg.cho_factor(a, lower), b)  # noqa: B023
        np.testing.assert_allclose(f(S, b), np.linalg.solve(S, b))
        ad.check_grads(f, S, b, order=2)
        c = linalg.cholesky(S, lower)
        np.testing.assert_allclose(c, scipy.linalg.cholesky(S, lower))
        np.testing.assert_allclose(linalg.solve(np.triu(S), b, assume_a="sym"), np.linalg.solve(S, b))
    ad.check_grads(lambda a, b: linalg.solve(a, b, transposed=True), A, b)


def test_complex_cholesky_solves():
    a = A + 1j * rng.normal(size=(3, 3))
    a = a @ a.conj().T + np.eye(3)
    for lower in (False, True):
        f = lambda a: linalg.cho_solve(linalg.cho_factor(a, lower), B + 0j)  # noqa: B023
        np.testing.assert_allclose(f(a), np.linalg.solve(a, B))
        ad.check_grads(f, a)


@pytest.mark.parametrize("name", ["expm", "logm", "sqrtm"])
def test_functions_of_matrices(name):
    f, theirs = getattr(linalg, name), getattr(scipy.linalg, name)
    np.testing.assert_allclose(ad.vjp(f, S)[0], theirs(S), rtol=1e-12)
    np.testing.assert_array_equal(f(S), theirs(S))
    ad.check_grads(f, S, order=2, atol=1e-5)
    ad.check_grads(f, S + 0.3j * A)
    t, g = rng.normal(size=(2, 3, 3))
    inner = np.sum(ad.vjp(f, S)[1](g) * t)
    assert inner == pytest.approx(np.sum(g * ad.jvp(f, (S,), (t,))[1]), rel=1e-11)
    if name == "expm":
        np.testing.assert_allclose(ad.jvp(f, (S,), (t,))[1], scipy.linalg.expm_frechet(S, t)[1], rtol=1e-10)
    else:
        with pytest.raises(ValueError, match="pass it as a complex one"):
            ad.vjp(f, -S)


def test_decompositions():
    for lower in (True, False):
        w, v = linalg.eigh(S, lower=lower)
        np.testing.assert_allclose(w, scipy.linalg.eigh(S)[0])
        np.testing.assert_allclose(v * w @ v.T, S, atol=1e-12)
        ad.check_grads(lambda a: linalg.eigvalsh(a, lower=lower), S)  # noqa: B023
    np.testing.assert_allclose(linalg.svd(B, compute_uv=False), scipy.linalg.svdvals(B))
    assert [x.shape for x in linalg.svd(B)] == [x.shape for x in scipy.linalg.svd(B)]
    np.testing.assert_allclose(linalg.pinv(B), scipy.linalg.pinv(B))
    ad.check_grads(linalg.pinv, B)
    ad.check_grads(linalg.svdvals, B)
    ad.check_grads(lambda a: linalg.det(linalg.inv(a)) + linalg.norm(a), S)
    np.testing.assert_allclose(linalg.eigvalsh(S, subset_by_index=(0, 1)), scipy.linalg.eigvalsh(S)[:2])  # SciPy's own
    with pytest.raises(MissingRuleError, match="subset_by_index"):
        ad.grad(lambda a: linalg.eigvalsh(a, subset_by_index=(0, 1)).sum())(S)


def test_matrix_equations():
    np.testing.assert_allclose(linalg.solve_sylvester(S, S[:2, :2], B), scipy.linalg.solve_sylvester(S, S[:2, :2], B))
    ad.check_grads(linalg.solve_sylvester, S, S[:2, :2], B, order=2)
    for name in ("solve_continuous_lyapunov", "solve_discrete_lyapunov"):
        f, theirs = getattr(linalg, name), getattr(scipy.linalg, name)
        for a in (S, 0.1 * A, S + 1j * A):
            np.testing.assert_allclose(f(a, A), theirs(a, A), rtol=1e-7, atol=1e-10)
        ad.check_grads(f, 0.3 * S, A, order=2)


def test_special_matrices():
    c, r = np.array([1.0, 2.0, 3.0]), np.array([9.0, 5.0])
    for name, args in (("toeplitz", (c, r)), ("toeplitz", (c,)), ("hankel", (c, r)), ("hankel", (c,)),
                       ("circulant", (c,)), ("block_diag", (A, B, 2.0, c))):  # fmt: skip
        np.testing.assert_array_equal(getattr(linalg, name)(*args), getattr(scipy.linalg, name)(*args))
        ad.check_grads(getattr(linalg, name), *args)
    np.testing.assert_array_equal(linalg.toeplitz(1j * c), scipy.linalg.toeplitz(1j * c))


def test_convolutions():
    for sa, sv in (((5,), (3,)), ((3,), (5,)), ((4, 5), (2, 3)), ((2, 3), (2, 3))):
        a, v = rng.normal(size=sa), rng.normal(size=sv)
        for mode in ("full", "same", "valid"):
            for name in ("convolve", "fftconvolve", "correlate"):
                f, theirs = getattr(signal, name), getattr(scipy.signal, name)
                np.testing.assert_allclose(f(a, v, mode), theirs(a, v, mode), atol=1e-12)
                np.testing.assert_allclose(f(1j * a, v, mode), theirs(1j * a, v, mode), atol=1e-12)
                ad.check_grads(lambda a, v: f(a, v, mode), a, v)  # noqa: B023
    assert signal.fftconvolve(np.ones(3, np.float32), np.ones(2, np.float32)).dtype == np.float32


def test_filters():
    x = rng.normal(size=(2, 7))
    for b, a in (([0.5, 1.0, -0.3], [2.0, 0.4]), ([1.0], [1.0, -0.5, 0.2]), ([1.0, 2.0], [2.0]), ([0.3], [1.0])):
        b, a = np.array(b), np.array(a)
        for axis in (0, 1, -1):
            np.testing.assert_allclose(signal.lfilter(b, a, x, axis), scipy.signal.lfilter(b, a, x, axis))
        ad.check_grads(signal.lfilter, b, a, x, order=2)
        n = max(len(a), len(b)) - 1
        zi = rng.normal(size=(2, n))
        for ours, theirs in zip(signal.lfilter(b, a, x, zi=zi), scipy.signal.lfilter(b, a, x, zi=zi), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)
        if n:
            ad.check_grads(lambda b, a, x, zi: signal.lfilter(b, a, x, zi=zi), b, a, x, zi)


def test_sparse():
    m = scipy.sparse.csc_matrix(np.where(np.abs(S) > 1, S, 0) + 3 * np.eye(3))
    for x in (B, B[:, 0], B + 1j):
        np.testing.assert_allclose(sparse.matmul(m, x), m.toarray() @ x)
        np.testing.assert_allclose(sparse.spsolve(m, x), np.linalg.solve(m.toarray(), x))
        ad.check_grads(lambda x: sparse.matmul(m, x), x)
        ad.check_grads(lambda x: sparse.spsolve(m, x), x)
    np.testing.assert_allclose(ad.jacobian(lambda x: sparse.matvec(m, x))(B[:, 0]), m.toarray())
    np.testing.assert_allclose(ad.jacfwd(lambda x: sparse.spsolve(m, x))(B[:, 0]), np.linalg.inv(m.toarray()))
    with pytest.raises(ValueError, match="does not fit"):
        sparse.matmul(m, np.ones(2))
    with pytest.raises(TypeError, match="must be a sparse matrix"):
        sparse.matmul(S, np.ones(3))


def test_precision():
    m = scipy.sparse.csr_array(S.astype(np.float32))
    y, pull = ad.vjp(lambda x: sparse.matmul(m, x), np.ones(3, np.float32))
    assert y.dtype == pull(y)[0].dtype == np.float32
    assert ad.vjp(lambda x: sparse.matmul(m.astype(float), x), np.ones(3, np.float32))[1](S[0])[0].dtype == np.float32


def test_complex_sparse():
    m = scipy.sparse.csr_array(S + 1j * A)
    for f in (sparse.matmul, sparse.spsolve):
        ad.check_grads(lambda x: f(m, x), B + 0.5j)  # noqa: B023


def test_interpolation():
    x, y = np.array([0.0, 0.7, 1.5, 2.0, 3.1]), rng.normal(size=(2, 5, 3))
    p = np.array([[0.2, 0.7], [2.6, 3.1]])
    for axis, yy in ((1, y), (-2, y), (0, y[0]), (0, y[0, :, 0])):
        ours, theirs = interpolate.interp1d(x, yy, axis=axis), scipy.interpolate.interp1d(x, yy, axis=axis)
        np.testing.assert_allclose(ours(p), theirs(p))
        np.testing.assert_allclose(ours(0.3), theirs(0.3))
        for bc in ("not-a-knot", "natural", "clamped", ((1, 0.5), (2, -0.3))):
            if bc == ((1, 0.5), (2, -0.3)) and yy.ndim > 1:
                continue
            ours, theirs = interpolate.CubicSpline(x, yy, axis, bc), scipy.interpolate.CubicSpline(x, yy, axis, bc)
            for nu in range(4):
                np.testing.assert_allclose(ours(p - 0.01, nu), theirs(p - 0.01, nu), atol=1e-11)
            assert np.isnan(ours(5.0, extrapolate=False)).all()
            np.testing.assert_allclose(ours(5.0), theirs(5.0))
    for n in (2, 3, 4):
        for bc in ("not-a-knot", "natural", "clamped"):
            ours, theirs = (m.CubicSpline(x[:n], y[0, :n], bc_type=bc) for m in (interpolate, scipy.interpolate))
            np.testing.assert_allclose(ours(p), theirs(p), atol=1e-12)
    p = p.ravel() - 0.03
    ad.check_grads(lambda x, y, p: interpolate.CubicSpline(x, y, axis=1)(p), x, y, p, order=2, atol=1e-4)
    ad.check_grads(lambda x, y, p: interpolate.interp1d(x, y, axis=1)(p), x, y, p, order=2, atol=1e-4)


def test_linear_interpolation_outside():
    f = interpolate.interp1d([0.0, 1.0], [2.0, 4.0], bounds_error=False, fill_value=(0.0, 9.0))
    assert f(np.array([-1.0, 0.5, 2.0])).tolist() == [0.0, 3.0, 9.0]
    assert ad.grad(lambda x: np.sum(f(x)))(np.array([-1.0, 0.5, 2.0])).tolist() == [0.0, 2.0, 0.0]
    f = interpolate.interp1d([1.0, 0.0], [4.0, 2.0], fill_value="extrapolate")
    assert ad.value_and_grad(f)(2.0) == (6.0, 2.0)
    with pytest.raises(ValueError, match="outside the interpolation range"):
        interpolate.interp1d([0.0, 1.0], [2.0, 4.0])(2.0)
    x, y = np.arange(4.0), np.array([1.0, 3.0, 2.0, 5.0])
    assert interpolate.interp1d(x, y, kind="next")(1.5) == 2.0
    with pytest.raises(MissingRuleError, match=r"linear.*custom_rule"):
        ad.grad(lambda y: interpolate.interp1d(x, y, kind="next")(1.5))(y)
    with pytest.raises(MissingRuleError, match="no derivative in x"):
        ad.grad(lambda x: interpolate.interp1d(x, y, kind="cubic")(1.5))(x)


@pytest.mark.parametrize("kind", ["quadratic", "cubic", 2, 3])
def test_interpolation_by_splines(kind):
    x = np.array([0.0, 0.5, 1.5, 2.0, 3.5, 4.0])
    y, p = rng.normal(size=(2, 6)), rng.uniform(0, 4, size=(3, 2))
    want = scipy.interpolate.interp1d(x, y, kind=kind)
    np.testing.assert_allclose(interpolate.interp1d(x, y, kind=kind)(p), want(p), atol=1e-12)
    np.testing.assert_allclose(interpolate.interp1d(x[::-1], y[:, ::-1], kind=kind)(x), y, atol=1e-12)  # sorted first
    ad.check_grads(lambda y, p: interpolate.interp1d(x, y, kind=kind)(p), y, p, order=2)
    f = lambda p: interpolate.interp1d(x, y[0], kind=kind, fill_value="extrapolate")(p)
    outside = scipy.interpolate.interp1d(x, y[0], kind=kind, fill_value="extrapolate")
    np.testing.assert_allclose(f(np.array([-0.5, 5.0])), outside(np.array([-0.5, 5.0])), atol=1e-12)
    np.testing.assert_allclose(ad.jit(ad.grad(f))(1.2), ad.grad(f)(1.2), rtol=1e-12)


def test_eigenvalues_of_general_matrices():
    for a in (np.array([[2.0, 1.0], [0.5, 3.0]]), np.array([[0.2, -1.0], [1.5, 0.4]])):
        w, v = linalg.eig(a)
        want, vectors = scipy.linalg.eig(a)
        np.testing.assert_allclose(w, want)
        np.testing.assert_allclose(linalg.eigvals(a), scipy.linalg.eigvals(a))
        assert w.dtype == want.dtype and v.dtype == vectors.dtype
        # the trace of a^3 is the sum of the cubes, and its gradient 3 (a^2).T
        cubes = lambda a: np.sum(linalg.eigvals(a) ** 3).real
        np.testing.assert_allclose(ad.grad(cubes)(a), 3 * (a @ a).T, rtol=1e-10)
        np.testing.assert_allclose(ad.jit(ad.grad(cubes))(a), 3 * (a @ a).T, rtol=1e-10)
        np.testing.assert_allclose(ad.grad(lambda a: np.sum(linalg.eig(a)[0] ** 3).real)(a), 3 * (a @ a).T, rtol=1e-10)
    assert len(linalg.eig(a, left=True)) == 3
    with pytest.raises(MissingRuleError, match="left"):
        ad.grad(lambda a: linalg.eig(a, left=True)[0].real.sum())(a)
