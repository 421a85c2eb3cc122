"""What NumPy's own tests, called with tensors, found: values, dtypes and derivatives at the edges of what functions take."""

import numpy as np
import pytest

import adjoint as ad
import adjoint.numpy as anp
from adjoint.core.errors import LeakError, MissingRuleError, MutationError

rng = np.random.default_rng(0)
X = rng.normal(size=(4, 5))


def value(f, *xs):
    """f of tensors that are being differentiated."""
    return ad.vjp(f, *xs)[0]


def agrees(f, *xs, **tolerance):
    """The value is NumPy's, in its dtype; the derivative that of differences."""
    want = f(*xs)
    got = value(f, *xs)
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    ad.check_grads(f, *xs, **tolerance)


@pytest.mark.parametrize("mode", ["maximum", "minimum", "mean", "median"])
def test_pad_by_a_statistic(mode):
    agrees(lambda x: np.pad(x, ((2, 3), (1, 0)), mode), X)
    agrees(lambda x: np.pad(x, 2, mode, stat_length=((2, 3), (1, 9))), X)


def test_pad_by_a_ramp():
    agrees(lambda x, end: np.pad(x, ((2, 3), (0, 4)), "linear_ramp", end_values=((1.0, 2.0), (3.0, 4.0))), X, X)
    ends = lambda e: np.pad(np.ones(2) * e[0], 2, "linear_ramp", end_values=e[1])
    np.testing.assert_allclose(ad.jacobian(ends)(np.array([1.0, 0.0]))[:, 1], [1, 0.5, 0, 0, 0.5, 1])
    assert value(lambda x: np.pad(x, ((3, 3), (0, 0), (1, 1)), "mean"), np.zeros((2, 0, 2))).shape == (8, 0, 4)
    with pytest.raises(ValueError, match="empty axis 0"):
        ad.vjp(lambda x: np.pad(x, 4, "linear_ramp"), np.zeros(0))
    assert value(lambda x: np.pad(x, 3, "constant"), np.float64(2.0)) == 2.0  # a number has no border


@pytest.mark.parametrize("q", [40, 40.0, [10, 90.0]])
@pytest.mark.parametrize("name", ["percentile", "nanpercentile"])
def test_percentiles_keep_float32(name, q):
    x = X.astype(np.float32)
    want = getattr(np, name)(x, q, axis=1)
    got = value(lambda x: getattr(np, name)(x, q, axis=1), x)
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-5)


def test_quantiles_of_what_has_none():
    for f in (np.quantile, np.nanquantile):
        with pytest.raises(TypeError, match="real numbers"):
            ad.vjp(lambda x: f(x, 0.5), X + 1j)  # noqa: B023
        with pytest.raises(ValueError, match="range"):
            ad.vjp(lambda q: f(X, q), np.array([0.5, np.nan]))  # noqa: B023
    assert np.isnan(value(lambda x: np.nanmedian(x, axis=0), np.zeros((0, 3)))).tolist() == [True] * 3
    assert np.isnan(value(lambda x: np.nanpercentile(x, [40, 20]), np.zeros((0, 3)))).tolist() == [True] * 2


def test_tensors_in_places_that_ask_for_numbers():
    for f in (np.quantile, np.nanquantile):
        with pytest.raises(MissingRuleError, match="weights="):
            ad.vjp(lambda w: f(np.ones(3), 0.5, weights=w, method="inverted_cdf"), np.ones(3))  # noqa: B023
    with pytest.raises(ValueError, match="must be 1d"):
        ad.vjp(lambda e: np.histogram(np.ones(3), bins=e)[0], np.ones((2, 2)))


def test_cov_in_float32():
    assert value(lambda x: np.cov(x, dtype=np.float32), X).dtype == np.float32
    assert value(np.corrcoef, X.astype(np.float32)).dtype == np.corrcoef(X.astype(np.float32)).dtype


def test_interp_between_infinite_points():
    ends = np.array([-np.inf, np.inf])
    assert value(lambda y: np.interp(0.5, ends, y), np.array([10.0, 10.0])) == 10.0
    assert ad.jit(lambda p, y: np.interp(0.5, p, y))(ends, np.array([10.0, 10.0])) == 10.0
    assert np.isnan(value(lambda x: np.interp(x, ends, np.array([10.0, 10.0])), np.nan))


def test_nan_to_num_replaces_each_by_what_it_was():
    x = np.array([-np.inf, np.nan, np.inf, 1.0])
    assert value(lambda x: np.nan_to_num(x, nan=np.inf, posinf=9.0, neginf=7.0), x).tolist() == [7.0, np.inf, 9.0, 1.0]


def test_ediff1d_has_the_dtype_of_its_argument():
    x = np.arange(3, dtype=np.float32)
    assert value(lambda x: np.ediff1d(x, to_begin=np.ones(2)), x).dtype == np.float32
    agrees(lambda x, e: np.ediff1d(x, to_begin=e, to_end=2.0), X, X[0])
    with pytest.raises(TypeError, match="to_end"):
        ad.vjp(lambda e: np.ediff1d(np.arange(3), to_end=e), np.ones(1))


def test_transforms_along_one_axis_twice():
    agrees(lambda x: np.fft.fftn(x, axes=(0, 0, 1), s=(7, 9, 4)).real, X)
    agrees(lambda x: np.fft.rfftn(x, axes=(0, 0, 1), s=(7, 9, 4)).imag, X)


def test_norms_of_negative_order():
    agrees(lambda x: np.linalg.norm(x, -1, axis=1), np.abs(X) + 1)
    # near an entry of 0 the norm is |that entry|, whatever the others are
    assert ad.grad(lambda x: np.linalg.norm(x, -1))(np.array([1.0, 0.0, 1.0])).tolist() == [0.0, 0.0, 0.0]
    g = ad.grad(lambda x: np.linalg.norm(x, -2, axis=0).sum())(np.array([[1.0, 0.0], [1.0, 3.0]]))
    np.testing.assert_allclose(g, [[8**-0.5, 0.0], [8**-0.5, 0.0]])  # (1 / a^2 + 1 / b^2)^(-1/2) at a = b = 1


def test_norms_of_nothing():
    assert value(lambda x: np.linalg.matrix_norm(x, ord=2), np.zeros((0, 2))) == 0.0
    assert value(lambda x: np.linalg.vector_norm(x, ord=np.inf), np.zeros(0)) == 0.0


@pytest.mark.parametrize("p", [None, 1, -1, 2, "fro", np.inf])
def test_condition_of_singular_matrices(p):
    agrees(lambda a: np.linalg.cond(a, p), X[:, :4])
    stack = np.stack([np.zeros((2, 2)), np.diag([1.0, 2.0])])
    want = np.linalg.cond(stack, p)
    assert value(lambda a: np.linalg.cond(a, p), stack).tolist() == want.tolist()
    assert ad.grad(lambda a: np.linalg.cond(a, p)[1])(stack)[0].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_lstsq_gives_numpys_rank_and_error():
    assert value(lambda b: np.linalg.lstsq(X[:, :2], b)[0], X[:, 0]).shape == (2,)
    ranks = []
    ad.vjp(lambda b: ranks.append(np.linalg.lstsq(X[:, :2], b)[2]) or b, X[:, 0])
    assert ranks[0].dtype == np.int32
    with pytest.raises(np.linalg.LinAlgError, match="Incompatible dimensions"):
        ad.vjp(lambda b: np.linalg.lstsq(X[:, :2], b)[0], np.ones(5))


def test_numbers_have_one_axis_to_be_reduced():
    for f in (np.sum, np.prod, np.max, np.min):
        assert value(lambda x: f(x, axis=0), np.float32(2.5)) == 2.5  # noqa: B023
    with pytest.raises(TypeError, match="integer"):
        ad.vjp(lambda x: np.min(x, 0.5), X)


def test_geomspace_along_another_axis():
    agrees(lambda a, b: np.geomspace(a, b, 4, axis=-1), np.array([1.0, 2.0]), np.array([3.0, 5.0]))
    agrees(lambda a, b: np.logspace(a, b, 4, axis=1), np.array([1.0, 2.0]), np.array([0.5, 1.5]))


def test_outer_of_linalg_takes_vectors():
    with pytest.raises(ValueError, match="one-dimensional"):
        ad.vjp(lambda x: np.linalg.outer(x, x[0]), X)
    agrees(lambda x: np.linalg.outer(x[0], x[1]), X)


def test_nextafter_moves_with_its_argument():
    assert ad.grad(lambda x: np.nextafter(x, 9.0) ** 2)(3.0) == 2 * np.nextafter(3.0, 9.0)
    assert ad.grad(lambda b: np.nextafter(3.0, b))(9.0) == 0.0


def test_keywords_that_change_nothing_and_those_that_do():
    assert ad.grad(lambda x: np.sin(x, casting="same_kind", order="K", subok=True))(0.0) == 1.0
    with pytest.raises(MissingRuleError, match="signature= is not supported"):
        ad.grad(lambda x: np.sin(x, signature="d->d"))(0.0)
    assert value(lambda x: np.true_divide.reduce(x, axis=1), np.zeros((0, 5))).shape == (0,)


# Functions that write into their first argument

PLACES = np.array([[0, 2], [1, 0], [2, 1], [0, 1]])
MASK = np.arange(12).reshape(4, 3) % 3 == 0
WRITES = {
    "copyto": lambda a, v: np.copyto(a, v[0]),
    "copyto where": lambda a, v: np.copyto(a, v[1] * 2, where=MASK),
    "putmask": lambda a, v: np.putmask(a, MASK, v),
    "place": lambda a, v: np.place(a, MASK, v),
    "put": lambda a, v: np.put(a, [3, -1, 5], v),
    "put wrap": lambda a, v: np.put(a, [3, -1, 50], v, mode="wrap"),
    "put clip": lambda a, v: np.put(a, [3, -1, 50], v, mode="clip"),
    "put_along_axis": lambda a, v: np.put_along_axis(a, PLACES, v, 1),
    "put_along_axis of all": lambda a, v: np.put_along_axis(a, np.array([3, 5]), v, None),
    "fill_diagonal": lambda a, v: np.fill_diagonal(a, v),
    "fill_diagonal wrap": lambda a, v: np.fill_diagonal(a, v, wrap=True),
    "fill_diagonal of a number": lambda a, v: np.fill_diagonal(a, v[0]),
}


@pytest.mark.parametrize("name", WRITES)
def test_functions_that_write(name):
    start, v = np.arange(12.0).reshape(4, 3), np.array([0.3, -1.2])
    want = start.copy()
    WRITES[name](want, v)

    def f(v):
        a = anp.array(start)
        WRITES[name](a, v)
        return a * 1.0

    np.testing.assert_array_equal(value(f, v), want)
    ad.check_grads(f, v)
    if name != "place":  # how many it takes depends on the mask, which jit does not know
        np.testing.assert_allclose(ad.jit(ad.jacobian(f))(v), ad.jacobian(f)(v))
    refusal = LeakError if "diagonal" in name else MutationError  # NumPy's fill_diagonal asks its first argument alone
    with pytest.raises(refusal, match=r"NumPy array.*(adjoint|ad)\.numpy"):
        WRITES[name](start.copy(), ad.tensor(v).attach_grad())


def test_write_into_an_array_that_nobody_differentiates():
    a = np.zeros(3)
    anp.put(a, [0], ad.tensor([2.0]))
    np.copyto(a[1:], ad.tensor([3.0, 4.0]))
    assert a.tolist() == [2.0, 3.0, 4.0]
