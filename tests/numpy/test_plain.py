"""The functions of adjoint.numpy and adjoint.scipy on plain arrays: NumPy's and SciPy's own, with all that these take."""

import types

import numpy as np
import pytest
import scipy.linalg
import scipy.signal

import adjoint as ad
import adjoint.numpy as anp
from adjoint.core.errors import MutationError
from adjoint.core.tensor import is_tensor
from adjoint.scipy import linalg, signal, special

A = np.arange(6.0).reshape(2, 3)


def test_keywords_of_ufuncs():
    out = A.copy()
    assert anp.add(A, 1, out=out, where=A > 2) is out
    assert out.tolist() == [[0, 1, 2], [4, 5, 6]]
    assert anp.sqrt(A, dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError, match="casting"):
        anp.add(A, 1, out=np.zeros(A.shape, int), casting="no")
    assert (anp.add.nin, anp.sin.nout, anp.multiply.identity) == (2, 1, 1)
    assert special.betainc(2.0, 3.0, np.array([0.5]), out=np.zeros(1)).tolist() == [
        0.6875
    ]  # I_x(2, 3) = 6x^2 - 8x^3 + 3x^4


@pytest.mark.parametrize("name", ["sum", "mean", "max", "median", "std", "argmax", "cumsum", "nanmax", "round"])
def test_out_of_functions(name):
    want = getattr(np, name)(A)
    out = np.empty(np.shape(want), np.asarray(want).dtype)
    assert getattr(anp, name)(A, out=out) is out
    assert out.tolist() == np.asarray(want).tolist()


def test_subclasses_and_objects():
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
    assert type(anp.sum(matrix, axis=1)) is np.matrix
    assert type(anp.apply_along_axis(lambda r: r, 1, matrix)) is np.matrix
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    assert anp.sum(masked) == 4.0
    assert anp.round(masked, 1)[1] is np.ma.masked
    assert anp.sum(np.array([1, 2**70], object)) == 2**70 + 1
    records = np.array([(2, 1.0), (1, 2.0)], [("n", int), ("x", float)])
    assert anp.sort(records, order="n")["n"].tolist() == [1, 2]
    assert anp.unique(np.array(["b", "a", "b"])).tolist() == ["a", "b"]


def test_questions_give_arrays():
    for name in ("flatnonzero", "argwhere", "isreal", "iscomplex", "isposinf", "isneginf"):
        assert type(getattr(anp, name)(A)) is np.ndarray


def test_lists_that_hold_tensors_are_seen():
    assert ad.grad(lambda x: anp.sum([x, 2.0 * x, 3.0]))(1.0) == 3.0
    assert ad.grad(lambda x: anp.sum(anp.sin([[x], [1.0]])))(0.0) == 1.0
    assert (
        ad.grad(lambda x: anp.sum(anp.apply_along_axis(lambda r: r * x, 0, A)))(1.0) == 15.0
    )  # a closure holds the tensor


def test_out_that_is_a_tensor():
    def f(x):
        total, place, rows = anp.zeros(3), anp.zeros(()), anp.zeros((2, 3))
        np.sum(x, axis=0, out=total)  # d/dx of its squares: 2 (x[0] + x[1])
        np.add(np.sum(total * total), 1.0, out=place)
        np.add(x[0], 0.0, out=rows)  # broadcast into out, as NumPy does
        np.add.reduce(rows, 0, out=total)
        return place + np.sum(total)  # and 2 for each entry of the first row

    want = 2 * (A[0] + A[1]) + np.array([[2.0], [0.0]])
    np.testing.assert_allclose(ad.grad(f)(A), want)
    np.testing.assert_allclose(ad.jit(ad.grad(f))(A), want)


def test_out_that_is_an_array():
    out = np.zeros(3)
    assert np.sum(ad.tensor(A), axis=0, out=out) is out
    assert out.tolist() == [3.0, 5.0, 7.0]
    with pytest.raises(MutationError, match=r"sum\(\.\.\., out=\).*ad.numpy.zeros"):
        np.sum(ad.tensor(A).attach_grad(), axis=0, out=np.zeros(3))
    with pytest.raises(ValueError, match=r"out= of shape \(2,\)"):
        ad.grad(lambda x: np.sum(x, axis=0, out=anp.zeros(2)).sum())(A)
    with pytest.raises(TypeError, match="same_kind"):
        ad.grad(lambda x: np.sum(x, axis=0, out=anp.zeros(3, int)).sum())(A)


def test_names_stay_functions():
    assert isinstance(anp.sum, types.FunctionType) and anp.sum.__name__ == "sum"
    assert anp.absolute is anp.abs and anp.amax.__doc__
    assert is_tensor(anp.zeros_like(A))  # makers make tensors, which can be written into


def test_scipys_own():
    S = A.T @ A + np.eye(3)
    w, v = linalg.eigh(S, b=2 * np.eye(3))
    np.testing.assert_allclose(w, np.linalg.eigvalsh(S) / 2)
    for f in (linalg.eigh, linalg.eig, linalg.svd):  # vectors have the same signs with and without a tape
        for x, y in zip(f(S), ad.vjp(lambda a, f=f: tuple(f(a)), S)[0], strict=True):
            assert np.array_equal(x, y)
    assert linalg.det(S.astype(np.float32)) == scipy.linalg.det(S.astype(np.float32))
    with pytest.raises(ValueError, match="infs or NaNs"):
        linalg.inv(np.full((2, 2), np.nan))
    x = np.arange(5.0)
    assert signal.lfilter([1.0], [1.0, 0.5], x, zi=[1.0])[1] == scipy.signal.lfilter([1.0], [1.0, 0.5], x, zi=[1.0])[1]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("structure", ["diagonal", "tridiagonal", "upper triangular", "lower triangular", "sym", "pos"])
def test_what_solve_does_not_read_has_no_derivative(structure, transposed):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 4)) + 4 * np.eye(4), rng.normal(size=4)
    a = a @ a.T if structure == "pos" else a
    options = {"assume_a": structure, "transposed": transposed}
    y, pull = ad.vjp(lambda a: linalg.solve(a, b, **options), a)
    np.testing.assert_allclose(y, scipy.linalg.solve(a, b, **options))
    h, step = 1e-6, rng.normal(size=(4, 4))
    slope = (scipy.linalg.solve(a + h * step, b, **options) - scipy.linalg.solve(a - h * step, b, **options)) / (2 * h)
    np.testing.assert_allclose((pull(np.ones(4))[0] * step).sum(), slope.sum(), rtol=1e-6)
