"""Functions composed in adjoint.numpy: the value is NumPy's, the derivatives are those of differences, vmap is a loop."""

import warnings

import numpy as np
import pytest

import adjoint as ad
import adjoint.numpy as anp
from adjoint.core.errors import LeakError, MutationError

RNG = np.random.default_rng(7)
X = RNG.normal(size=6)
W = RNG.uniform(0.5, 2.0, 6)
M = RNG.normal(size=(3, 6))
XP = np.sort(RNG.normal(size=5))
FP = RNG.normal(size=5)
HOLES = np.where(RNG.uniform(size=(3, 6)) < 0.3, np.nan, M)
ANGLES = np.array([0.1, 3.0, 6.5, 3.2, -2.0])
nan0 = lambda f: lambda a: f(np.where(np.isnan(HOLES), np.nan, a))  # the holes stay, whatever a is
windows = np.lib.stride_tricks.sliding_window_view

# name -> (function of arrays, arguments, whether vmap over all arguments is legal)
CASES = {
    "interp": (np.interp, (X, XP, FP), True),
    "interp left right": (lambda x, xp, fp: np.interp(x, xp, fp, left=-1.0, right=fp[0] * 2), (3 * X, XP, FP), True),
    "interp period": (lambda x, xp, fp: np.interp(x, xp, fp, period=4.0), (3 * X, XP + 2.0, FP), True),
    "interp complex": (lambda x, fp: np.interp(x, XP, fp + 2j * fp), (X, FP), True),
    "interp scalar": (lambda x, fp: np.interp(x, XP, fp), (0.1, FP), True),
    "interp one": (lambda x, fp: np.interp(x, [0.5], fp), (X, FP[:1]), True),
    "unwrap": (np.unwrap, (ANGLES,), True),
    "unwrap axis": (lambda p: np.unwrap(p, axis=0, period=2.0), (3 * M,), True),
    "windows": (lambda x: windows(x, 3), (X,), True),
    "windows two axes": (lambda x: windows(x, (2, 3)), (M,), True),
    "windows axis": (lambda x: windows(x, 2, axis=0), (M,), True),
    "vander": (np.vander, (X,), True),
    "vander increasing": (lambda x: np.vander(x, 4, increasing=True), (X,), True),
    "polyval": (np.polyval, (FP, X), True),
    "polyadd": (np.polyadd, (FP, X), True),
    "polysub": (np.polysub, (X, FP), True),
    "polymul": (np.polymul, (X, FP), False),
    "polydiv": (lambda u, v: list(np.polydiv(u, v)), (X, FP[:3]), False),
    "polydiv short": (lambda u, v: list(np.polydiv(u, v)), (FP[:2], X), False),
    "polyder": (lambda p: np.polyder(p, 2), (X,), True),
    "polyint": (lambda p, k: np.polyint(p, 2, k), (X, W[:2]), True),
    "polyfit": (lambda x, y: np.polyfit(x, y, 2), (X, W), True),
    "polyfit two": (lambda x, y: np.polyfit(x, y.T, 2), (X, M), True),
    "polyfit weights": (lambda x, y, w: np.polyfit(x, y, 2, w=w), (X, M[0], W), True),
    "polyfit cov": (lambda x, y: list(np.polyfit(x, y, 2, cov=True)), (X, W), True),
    "poly": (np.poly, (X[:4],), True),
    "cov": (np.cov, (M,), True),
    "cov one": (lambda x: np.cov(x), (X,), True),
    "cov two": (lambda x, y: np.cov(x, y, bias=True), (X, W), True),
    "cov columns": (lambda x: np.cov(x, rowvar=False, ddof=0), (M,), True),
    "cov weights": (lambda x, w: np.cov(x, fweights=[1, 2, 1, 1, 3, 1], aweights=w), (M, W), True),
    "cov complex": (lambda x, y: np.cov(x + 1j * y), (M, M[::-1] ** 2), True),
    "corrcoef": (lambda x: np.corrcoef(x)[0, 1:], (M,), True),
    "nanmedian": (nan0(lambda a: np.nanmedian(a, axis=1)), (M,), True),
    "nanmedian all": (nan0(np.nanmedian), (M,), True),
    "nanmedian keepdims": (nan0(lambda a: np.nanmedian(a, axis=0, keepdims=True)), (M,), True),
    "nanquantile": (lambda a, q: nan0(lambda b: np.nanquantile(b, q, axis=1))(a), (M, np.array([0.21, 0.77])), True),
    "nanquantile scalar": (nan0(lambda a: np.nanquantile(a, 0.3)), (M,), True),
    "nanquantile weibull": (nan0(lambda a: np.nanquantile(a, 0.3, axis=1, method="weibull")), (M,), True),
    "nanquantile lower": (nan0(lambda a: np.nanquantile(a, 0.3, axis=1, method="lower", keepdims=True)), (M,), True),
    "nanpercentile": (nan0(lambda a: np.nanpercentile(a, [20, 55], axis=-1)), (M,), True),
    "bincount": (lambda w: np.bincount([0, 2, 2, 1, 0, 4], w, minlength=7), (W,), True),
    "histogram": (lambda w: np.histogram(X, 4, weights=w)[0], (W,), True),
    "histogram edges": (lambda a: np.histogram(a, 4)[1], (X,), False),
    "histogram density": (lambda a, w: list(np.histogram(a, 4, weights=w, density=True)), (X, W), False),
    "histogram_bin_edges": (lambda a: np.histogram_bin_edges(a, 3), (X,), False),
    "histogram2d": (lambda w: np.histogram2d(X, M[0], 3, weights=w)[0], (W,), True),
    "histogramdd": (lambda w: np.histogramdd(M.T, (2, 3, 2), weights=w, density=True)[0], (W,), True),
    "histogramdd edges": (lambda m: list(np.histogramdd(m.T, (2, 3, 2))[1]), (M,), False),
    "piecewise": (
        lambda x: np.piecewise(x, [x < -0.5, x > 0.5], [lambda v: v**2, np.sin, lambda v: 3 * v]),
        (X,),
        True,
    ),
    "piecewise number": (lambda x: np.piecewise(x, [x < 0.4], [-1.0, np.exp]), (X,), True),
    "apply_along_axis": (lambda m: np.apply_along_axis(lambda v: v[:2] * np.sum(v), 1, m), (M,), True),
    "apply_along_axis number": (lambda m: np.apply_along_axis(np.prod, 0, m), (M,), True),
    "apply_along_axis outer": (lambda m: np.apply_along_axis(lambda v: np.outer(v, v), 0, m), (M,), True),
    "apply_over_axes": (lambda m: np.apply_over_axes(np.sum, m, [0, 1]), (M,), True),
    "union1d": (np.union1d, (X, FP), False),
    "intersect1d": (lambda a: np.intersect1d(a, np.concatenate([a[:2], X * 9])), (X,), False),
    "setdiff1d": (lambda a: np.setdiff1d(a, X[:2] * 9), (X,), False),
    "setxor1d": (lambda a, b: np.setxor1d(a, b), (X, FP), False),
    "unique_values": (lambda a: np.sort(np.unique_values(a)), (X,), False),
    "trim_zeros": (lambda a: np.trim_zeros(np.concatenate([[0.0], a, [0.0, 0.0]])), (X,), False),
    "sort_complex": (np.sort_complex, (X,), True),
    "divmod": (lambda a, b: list(divmod(a, b)), (3 * X, W), True),
    "np.divmod": (lambda a, b: list(np.divmod(a, b)), (3 * X, W), True),
    "rdivmod": (lambda b: list(divmod(7.3, b)), (W,), True),
    "modf": (lambda x: list(np.modf(x)), (3 * X,), True),
    "frexp": (lambda x: np.frexp(x)[0], (np.array([0.3, -1.2, 3.1]),), True),
    "float_power": (np.float_power, (W, X), True),
    "fix": (np.fix, (3 * X,), True),
    "linalg.diagonal": (lambda m: np.linalg.diagonal(m, offset=1), (M,), True),
    "linalg.matrix_transpose": (np.linalg.matrix_transpose, (M,), True),
    "maximum.accumulate": (np.maximum.accumulate, (X,), True),
    "minimum.accumulate": (lambda m: np.minimum.accumulate(m, axis=1), (M,), True),
    "logaddexp.accumulate": (np.logaddexp.accumulate, (X,), True),
    "subtract.accumulate": (np.subtract.accumulate, (X,), True),
    "logaddexp.reduce": (lambda m: np.logaddexp.reduce(m, axis=1), (M,), True),
    "logaddexp.reduce all": (lambda m: np.logaddexp.reduce(m, axis=None, initial=0.5, keepdims=True), (M,), True),
    "hypot.reduce": (lambda m: np.hypot.reduce(m, axis=(0, 1)), (M,), True),
    "fmax.reduce": (lambda m: np.fmax.reduce(m, axis=0), (M,), True),
    "subtract.reduce": (np.subtract.reduce, (M,), True),
    "true_divide.reduce": (np.true_divide.reduce, (W,), True),
    "add.reduceat": (lambda x: np.add.reduceat(x, [0, 3, 1, 5]), (X,), True),
    "multiply.reduceat": (lambda m: np.multiply.reduceat(m, [0, 3], axis=1), (M,), True),
    "mod.outer": (np.fmod.outer, (3 * X, W), True),
    "sum where": (lambda m: np.sum(m, axis=1, where=M > 0), (M,), True),
    "mean where": (lambda m: np.mean(m, where=M > 0), (M,), True),
    "max where": (lambda m: np.max(m, where=M > 0, initial=0.0), (M,), True),
    "clip": (lambda x: x.clip(-0.5, 0.5), (X,), True),
    "round": (lambda x: x + x.round(1), (X,), True),
    "view": (lambda x: x.view() * 2, (X,), True),
}

pytestmark = pytest.mark.filterwarnings("ignore:numpy.fix is deprecated")  # from NumPy 2.5 on


def leaves(y):
    return list(y) if type(y) is list else [y]


def value(f, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return leaves(f(*args))


@pytest.mark.parametrize("name", CASES)
def test_value(name):
    f, args, _ = CASES[name]
    want = value(f, *args)
    got, _ = ad.vjp(f, *args)
    if name == "rdivmod":
        want = list(np.divmod(7.3, args[0]))
    for a, b in zip(leaves(got), want, strict=True):
        assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_derivatives(name):
    f, args, _ = CASES[name]
    second = "polyfit" not in name and "density" not in name
    ad.check_grads(f, *args, order=2, rtol=1e-5 if second else 1e-3)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_vmap(name):
    f, args, _ = CASES[name]
    lanes = [tuple(a * (1 + 0.001 * i) for a in args) for i in range(2)]
    got = leaves(ad.vmap(f)(*[np.stack(column) for column in zip(*lanes, strict=True)]))
    for i, lane in enumerate(lanes):
        want = leaves(f(*lane)) if name != "rdivmod" else list(np.divmod(7.3, lane[0]))
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a[i], b, rtol=1e-9, atol=1e-12)


def test_roots():
    p = np.array([0.0, 1.0, -6.0, 11.0, -6.0, 0.0])
    y, pull = ad.vjp(lambda q: np.sort(np.real(np.roots(q))), p)
    np.testing.assert_allclose(y, [0, 1, 2, 3], atol=1e-9)
    # dr/dp_k = -r^(n-k) / p'(r) [implicit function theorem], here for r = 3 and the constant of the cubic factor
    np.testing.assert_allclose(pull(np.array([0, 0, 0, 1.0]))[0][1:5], -np.array([27, 9, 3, 1]) / 2.0, rtol=1e-9)


def test_rows_and_columns():
    f = lambda a: anp.r_[a, 1.0, 2:4] @ anp.r_[0:3, a * 2]
    assert anp.r_[X, 1.0].shape == (7,)
    ad.check_grads(f, X[:3], order=2)
    ad.check_grads(lambda a: anp.c_[a, a * a], X, order=2)
    np.testing.assert_array_equal(np.asarray(anp.c_[X, W]), np.c_[X, W])


def test_at_writes_into_tensors_only():
    def f(x):
        a = anp.zeros(3)
        np.add.at(a, [0, 2, 0], x)
        np.subtract.at(a, [1], x[:1])
        return a * a

    ad.check_grads(f, X[:3], order=2)
    with ad.config(rewrite=False), pytest.raises(MutationError, match="add.at writes"):
        ad.grad(lambda x: np.add.at(np.zeros(3), [0], x))(1.0)
    with pytest.raises(MutationError, match="multiply.at writes"):
        ad.grad(lambda x: np.multiply.at(x * 1.0, [0], 2.0))(X)


@pytest.mark.parametrize("name", ["tobytes", "tofile", "dump", "dumps", "byteswap"])
def test_bytes_leak(name):
    with pytest.raises(LeakError, match=name):
        ad.grad(lambda x: getattr(x, name)())(X)


@pytest.mark.parametrize("name", ["put", "resize", "setfield", "setflags", "getfield"])
def test_writing_methods_are_refused(name):
    with pytest.raises(MutationError, match=name):
        ad.grad(lambda x: getattr(x, name)(1))(X)
    with pytest.raises(MutationError, match="view"):
        ad.grad(lambda x: x.view(np.int64))(X)


def test_every_public_name_of_ndarray_is_there():
    missing = [
        n for n in dir(np.ndarray) if not n.startswith("_") and n not in dir(ad.Tensor) and n not in ("data", "ctypes")
    ]
    assert not missing


def test_namespace_and_layout():
    t = ad.tensor(M)
    assert t.__array_namespace__() is anp
    assert t.strides == M.strides and t.flags.c_contiguous and t.base is None
    assert t.to_device("cpu") is t
    assert not hasattr(t, "data")
    assert M[0, 0] in t and 99.0 not in t


def test_saving_refuses_what_is_differentiated(tmp_path):
    with pytest.raises(LeakError, match="writes to a file"):
        ad.grad(lambda x: np.save(tmp_path / "x.npy", x))(X)
    np.save(tmp_path / "x.npy", ad.tensor(X))
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), X)


@pytest.mark.parametrize(
    "name", ["polyadd", "polymul", "polydiv", "polyder", "bincount", "cov", "nanmedian", "union1d"]
)
def test_arrays_in_arrays_out(name):
    args = (np.array([1, 2]), np.array([3, 1]))[: 1 if name in ("polyder", "bincount", "cov", "nanmedian") else 2]
    got, want = getattr(anp, name)(*args), getattr(np, name)(*args)
    for a, b in zip(got, want, strict=True) if type(want) is tuple else [(got, want)]:
        assert type(a) is type(b)
        np.testing.assert_array_equal(a, b)


def test_float32_has_numpys_dtypes():
    x = X.astype(np.float32)
    for f in (
        np.unwrap, np.nanmedian, lambda v: np.nanpercentile(v, 30), np.vander, np.maximum.accumulate, np.cov,
        lambda v: np.interp(v, v * 1, v), lambda v: np.polyfit(v, v * v, 1), lambda v: np.polyval(v, 0.5),
    ):  # fmt: skip
        y, pull = ad.vjp(f, x)
        assert np.asarray(y).dtype == np.asarray(f(x)).dtype
        assert pull(np.ones_like(y))[0].dtype == np.float32
