"""Decompositions in native code are LAPACK's, as NumPy's are: values, vectors with their signs, errors."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad
from adjoint.scipy.linalg import solve_triangular

DTYPES = [(np.float64, 1e-12), (np.float32, 1e-6), (np.complex128, 1e-12), (np.complex64, 1e-6)]
SQUARE = [(1, 1), (3, 3), (40, 40), (2, 3, 5, 5)]
OBLONG = [(3, 5), (5, 3), (2, 4, 3), (20, 60), (1, 4)]
OF_SQUARE = {
    "eigh": np.linalg.eigh,
    "eigh of the upper triangle": lambda a: np.linalg.eigh(a, "U"),
    "eigvalsh": lambda a: (np.linalg.eigvalsh(a),),
}
OF_ANY = {
    "qr": np.linalg.qr,
    "svd": np.linalg.svd,
    "thin svd": lambda a: np.linalg.svd(a, full_matrices=False),
    "svdvals": lambda a: (np.linalg.svdvals(a),),
}


def matrix(shape, dtype):
    rng = np.random.default_rng(len(shape) + shape[-1])
    return (
        (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
        if np.dtype(dtype).kind == "c"
        else rng.normal(size=shape).astype(dtype)
    )


@pytest.mark.parametrize("dtype, room", DTYPES, ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("name", [*OF_SQUARE, *OF_ANY])
def test_factors_are_numpys(name, dtype, room, no_disk_cache):
    f = OF_SQUARE.get(name) or OF_ANY[name]
    for shape in SQUARE + (OBLONG if name in OF_ANY else []):
        a = matrix(shape, dtype)
        h = ad.jit(lambda a: tuple(f(a)))
        for got, want in zip(h(a), f(a), strict=True):
            assert got.dtype == want.dtype and got.shape == want.shape
            assert np.abs(got - want).max() <= room * np.abs(want).max(), (shape, got, want)
        assert "called back" not in h.explain(a)


ELIMINATION = {
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": lambda a: tuple(np.linalg.slogdet(a)),
    "cholesky": lambda a: np.linalg.cholesky(a @ np.conj(np.swapaxes(a, -1, -2)) + np.eye(a.shape[-1], dtype=a.dtype)),
    "solve": lambda a: np.linalg.solve(a, a[..., :2] * 2),
    "solve triangular": lambda a: solve_triangular(a[(0,) * (a.ndim - 2)], a[(0,) * (a.ndim - 2)][0], lower=True),
}


@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32, np.complex64])
@pytest.mark.parametrize("name", ELIMINATION)
def test_elimination(name, dtype, no_disk_cache):
    f = ELIMINATION[name]
    for shape in SQUARE if name != "solve triangular" else SQUARE[:2]:
        a = matrix(shape, dtype)
        h = ad.jit(f)
        got, want = h(a), f(a)
        for x, y in zip(*((z if type(z) is tuple else (z,)) for z in (got, want)), strict=True):
            x, y = np.asarray(x), np.asarray(y)
            assert x.dtype == y.dtype and x.shape == y.shape
            room = np.finfo(dtype).eps * np.linalg.cond(a.astype(complex)).max() * 64
            assert np.abs(x - y).max() <= room * np.abs(y).max(), (shape, x, y)
        assert "called back" not in h.explain(a)


@pytest.mark.parametrize("dtype", [float, complex])
def test_singular(dtype, no_disk_cache):
    a = np.array([[1, 2], [2, 4]], dtype)
    sign, log = ad.jit(lambda a: tuple(np.linalg.slogdet(a)))(a)
    assert sign == 0 and log == -np.inf and ad.jit(np.linalg.det)(a) == 0
    with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
        ad.jit(np.linalg.inv)(a)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        ad.jit(np.linalg.cholesky)(-a)


def test_of_integers(no_disk_cache):
    a = np.array([[2, 1], [1, 3]])
    assert np.allclose(ad.jit(np.linalg.eigvalsh)(a), np.linalg.eigvalsh(a), rtol=1e-14)


@pytest.mark.parametrize("f", [np.linalg.eigvalsh, np.linalg.svdvals, lambda a: np.linalg.svd(a)[0]])
def test_no_convergence_is_numpys_error(f, no_disk_cache):
    a = np.full((4, 4), np.nan)
    with pytest.raises(np.linalg.LinAlgError) as numpys:
        f(a)
    with pytest.raises(np.linalg.LinAlgError) as ours:
        ad.jit(f)(a)
    assert str(ours.value) == str(numpys.value)


def test_one_bad_matrix_of_a_stack(no_disk_cache):
    a = np.stack([np.eye(3)] * 4)
    h = ad.jit(np.linalg.eigvalsh)
    assert np.array_equal(h(a), np.ones((4, 3)))
    a[2] = np.nan
    with pytest.raises(np.linalg.LinAlgError):
        h(a)
    assert np.array_equal(h(np.stack([np.eye(3)] * 4)), np.ones((4, 3)))  # and it works on


def test_gradient_of_values_and_vectors(no_disk_cache):
    rng = np.random.default_rng(3)
    a, c = rng.normal(size=(6, 6)), rng.normal(size=(6, 6))

    def f(a):
        w, v = np.linalg.eigh(a @ a.T)
        u, s, _ = np.linalg.svd(a)
        return (v[0] ** 2 @ np.log(w)) + (np.abs(u) * c).sum() + (np.linalg.qr(a)[1] ** 2 * c).sum() + s @ s

    assert np.allclose(ad.jit(ad.grad(f))(a), ad.grad(f)(a), rtol=1e-9, atol=1e-9)
