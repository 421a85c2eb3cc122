"""What arrays may look like: each function gives NumPy's value and the derivative of the plain array, or a clear error.

Singular and degenerate matrices: test_degenerate. Special values: the laws, test_accuracy.
"""

import warnings

import numpy as np
import pytest

import adjoint as ad
from adjoint.core.errors import AdjointError, DTypeError

A = np.array([[2.0, 0.3, 0.1], [0.2, 1.5, 0.4], [0.1, 0.2, 1.2]])
FUNCTIONS = {
    "sum": np.sum,
    "exp": lambda x: np.exp(x).sum(),
    "x * x": lambda x: (x * x).sum(),
    "max": np.max,
    "ptp": np.ptp,
    "var": np.var,
    "prod": np.prod,
    "norm": np.linalg.norm,
    "median": np.median,
    "sort": lambda x: (np.sort(x) * np.arange(3.0)).sum(),
    "cumsum": lambda x: (np.cumsum(x) * np.arange(9.0)).sum(),
    "matmul": lambda x: (x @ x).sum(),
    "einsum": lambda x: np.einsum("ij,ji->", x, x),
    "x[1:]": lambda x: (x[1:] * 3).sum(),
    "where": lambda x: np.where(x > 0.3, x * x, 0).sum(),
    "reshape": lambda x: (x.reshape(-1) * np.arange(9.0)).sum(),
    "concatenate": lambda x: (np.concatenate([x, x * x]) * np.arange(3.0)).sum(),
    "inv": lambda x: np.linalg.inv(x).sum(),
    "det": np.linalg.det,
    "fft": lambda x: np.abs(np.fft.fft(x)).sum(),
    "clip": lambda x: np.clip(x, 0.25, 1.3).sum(),
    "pad": lambda x: (np.pad(x, 1) * np.arange(5.0)).sum(),
    "logaddexp": lambda x: np.logaddexp(x, 0.5).sum(),
}


class Sub(np.ndarray):
    pass


def _strided():
    out = np.zeros((6, 9))
    out[::2, ::3] = A
    return out[::2, ::3]


def _read_only():
    out = A.copy()
    out.flags.writeable = False
    return out


LAYOUTS = {
    "Fortran": np.asfortranarray(A),
    "negative strides": A[::-1, ::-1].copy()[::-1, ::-1],
    "steps": _strided(),
    "read-only": _read_only(),
    "byte-swapped": A.astype(A.dtype.newbyteorder()),
    "subclass": A.view(Sub),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_layout(name, layout):
    f, x = FUNCTIONS[name], LAYOUTS[layout]
    y, g = ad.value_and_grad(f)(x)
    assert np.allclose(y, f(A), rtol=1e-13) and np.allclose(g, ad.grad(f)(A), rtol=1e-12, atol=1e-14)
    assert type(g) is np.ndarray and g.dtype == x.dtype.newbyteorder("=")
    assert np.array_equal(x, A)  # nobody wrote into it
    assert np.allclose(ad.jvp(f, (x,), (A,))[1], np.sum(g * A))


@pytest.mark.parametrize(
    "x, says",
    [
        (A.astype(object), "object"),
        (np.zeros(3, [("a", float)]), "cannot be differentiated"),
        (np.ma.masked_array(A, A > 1.4), "mask would be lost"),
        (A > 1, "astype"),
        (A.astype(int), "astype"),
        (np.array(["a"]), "cannot be differentiated"),
        (np.array(["2020-01-01"], "M8[D]"), "cannot be differentiated"),
    ],
    ids=["object", "structured", "masked", "bool", "int", "str", "date"],
)
def test_refused(x, says):
    for f in FUNCTIONS.values():
        with pytest.raises(DTypeError, match=says):
            ad.grad(f)(x)


def test_matrix_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        x = np.matrix(A)
    for f in FUNCTIONS.values():
        with pytest.raises(DTypeError, match="matrix product"):
            ad.grad(f)(x)


EMPTY = {
    "sum": 0.0,
    "exp": 0.0,
    "x * x": 0.0,
    "prod": 1.0,
    "norm": 0.0,
    "x[1:]": 0.0,
    "where": 0.0,
    "clip": 0.0,
    "logaddexp": 0.0,
}


@pytest.mark.parametrize("name", EMPTY)
def test_empty(name):
    y, g = ad.value_and_grad(FUNCTIONS[name])(np.zeros((0, 3)))
    assert y == EMPTY[name] == FUNCTIONS[name](np.zeros((0, 3)))
    assert g.shape == (0, 3)


ZERO_D = {"sum": 1.0, "exp": np.exp(0.7), "x * x": 1.4, "max": 1.0, "ptp": 0.0, "var": 0.0, "prod": 1.0, "norm": 1.0, "median": 1.0,
          "where": 1.4, "clip": 1.0}  # fmt: skip


@pytest.mark.parametrize("name", ZERO_D)
def test_zero_d(name):
    assert ad.grad(FUNCTIONS[name])(np.array(0.7)) == pytest.approx(ZERO_D[name], rel=1e-15)


def test_pad_of_no_axes():
    assert ad.grad(lambda x: np.pad(x, 1) * 3)(np.array(0.7)) == 3.0


class _Labelled:
    """Stands for the labelled arrays of other libraries: known by the module of its class."""

    __module__ = "pandas.core"
    shape, dtype, ndim = (3,), np.dtype(float), 1

    def __array__(self, dtype=None, copy=None):
        return np.arange(3.0)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return ufunc(*(np.asarray(x) if isinstance(x, _Labelled) else x for x in inputs))


class _Holder(_Labelled):
    __module__ = "xarray.core"


def test_labelled_arrays():
    x = np.array([0.5, 0.6, 0.7])
    with pytest.raises(DTypeError, match=r"_Labelled of pandas as x .*to_numpy"):
        ad.grad(lambda x: x.sum())(_Labelled())
    for f in (lambda x: x * _Labelled(), lambda x: np.maximum(x, _Labelled()), lambda x: x < _Labelled()):
        with pytest.raises(DTypeError, match="aligned by its labels"):
            ad.grad(lambda x, f=f: f(x).sum())(x)
    # where NumPy forgets the labels, so do we
    assert np.array_equal(ad.grad(lambda x: np.dot(x, _Labelled()))(x), [0, 1, 2])
    assert np.array_equal(ad.grad(lambda x: (np.concatenate([_Labelled(), x]) * np.arange(6)).sum())(x), [3, 4, 5])
    # what takes tensors into its arrays is given them
    assert np.array_equal(ad.grad(lambda x: (x * _Holder()).sum())(x), [0, 1, 2])


@pytest.mark.parametrize("store", [lambda a, x: a.__setitem__(0, x), np.copyto, lambda a, x: np.add(a, x, out=a)])
@pytest.mark.parametrize("a", [np.zeros(3), np.ma.zeros(3)], ids=["plain", "masked"])
def test_storing_is_refused(a, store):
    with pytest.raises(AdjointError):
        ad.grad(lambda x: (store(a, x), x)[1])(0.5)
    assert not a.any()


def test_whole_numbers_are_constants():
    def f(x):
        a = np.zeros(2, int)
        a[0] = x  # int(x), as NumPy's
        return x * a[0]

    assert ad.value_and_grad(f)(2.5) == (5.0, 2.0)


def test_object_array_keeps_the_tensor():
    def f(x):
        a = np.zeros(2, object)
        a[0] = x
        return a[0] * a[0]

    assert ad.grad(f)(3.0) == 6.0
