"""What the array API standard asks of `adjoint.numpy` beyond NumPy's names. Its whole suite is run by hand: docs/array-api.md."""

import os
import subprocess
import sys

import numpy as np
import pytest

import adjoint as ad
import adjoint.numpy as anp
from adjoint.core.tensor import is_tensor


def test_a_tensor_knows_its_namespace():
    x = anp.asarray([1.0, 2.0])
    assert x.__array_namespace__() is anp
    assert anp.__array_api_version__ >= "2024.12"
    info = anp.__array_namespace_info__()
    assert info.devices() == ("cpu",) and info.default_device() == "cpu"
    assert info.default_dtypes()["real floating"] == np.float64
    assert info.dtypes(kind="real floating") == {"float32": np.float32, "float64": np.float64}
    assert set(info.dtypes(kind=("bool", "unsigned integer"))) == {"bool", "uint8", "uint16", "uint32", "uint64"}
    with pytest.raises(ValueError, match="unsupported kind"):
        info.dtypes(kind="quaternion")


def test_creation_gives_tensors_that_can_be_written_into():
    def f(x):
        a = anp.array([1.0, 2.0, 3.0])
        a[1] = x
        b = anp.asarray([[0.0, 0.0]])
        b[0, 1] = x * x
        return (a * a).sum() + b.sum()

    assert is_tensor(anp.asarray(3)) and is_tensor(anp.array([1])) and is_tensor(anp.asanyarray(np.ones(2)))
    assert ad.grad(f)(5.0) == 4 * 5.0


def test_asarray_of_a_tensor_is_the_tensor():
    x = anp.ones(3)
    assert anp.asarray(x) is x and anp.asarray(x, copy=True) is not x
    assert anp.asarray(x, dtype=anp.float32).dtype == np.float32
    with pytest.raises(ValueError, match="copy=False"):
        anp.asarray(x, dtype=anp.float32, copy=False)
    with pytest.raises(ValueError, match="'cpu'"):
        anp.asarray([1.0], device="gpu")


def test_asarray_passes_derivatives():
    f = lambda x: anp.sum(anp.asarray([x[0], x[1] * x[1]], dtype=anp.float64))
    np.testing.assert_array_equal(ad.grad(f)(np.array([2.0, 3.0])), [1.0, 6.0])


def test_limits_are_python_numbers():
    info = anp.finfo(anp.ones(1, dtype=anp.float32))
    assert type(info.eps) is float and info.eps == 2.0**-23 and info.bits == 32 and info.dtype == np.float32
    assert type(anp.iinfo(anp.int8).max) is int and anp.iinfo(np.int8(1).dtype).min == -128
    assert info.tiny == np.finfo(np.float32).tiny  # NumPy's further fields


def test_descending_order_is_stable_and_differentiable():
    x = np.array([1.0, 3.0, 2.0, 3.0])
    assert list(np.asarray(anp.argsort(anp.asarray(x), descending=True))) == [1, 3, 2, 0]
    g = ad.grad(lambda x: anp.sum(anp.sort(x, descending=True) * np.array([1.0, 2.0, 3.0, 4.0])))(x)
    np.testing.assert_array_equal(g, [4.0, 1.0, 3.0, 2.0])


def test_small_integers_add_up_in_the_dtype_asked_for():
    x = anp.asarray([200, 100], dtype=anp.uint8)
    for f in (anp.sum, anp.prod, anp.cumulative_sum, anp.cumulative_prod):
        y = f(x, dtype=anp.uint8)
        assert y.dtype == np.uint8, f.__name__
    assert int(anp.sum(x, dtype=anp.uint8)) == 300 % 256


def test_vecdot_refuses_lengths_that_would_broadcast():
    with pytest.raises(ValueError, match="lengths 1 and 3"):
        anp.vecdot(anp.ones(1), anp.ones(3))
    a = np.arange(6.0).reshape(3, 2)
    got = ad.grad(lambda a: anp.vecdot(a, np.ones(3), axis=0).sum())(a)
    np.testing.assert_array_equal(got, np.ones((3, 2)))


def test_masks_without_entries_as_numpy():
    x = np.ones((1, 3))
    assert ad.grad(lambda x: x[np.zeros((0, 3), bool)].sum() + x.sum())(x).tolist() == [[1.0] * 3]


def test_scalars_are_written_in_place():
    x = anp.sum(anp.ones(3))
    x[...] = 7.0
    assert float(x) == 7.0
    y = anp.sum(anp.asarray([1, 2]))
    y //= 2
    assert int(y) == 1


def test_clip_takes_both_names_of_its_bounds():
    x = np.array([-2.0, 0.5, 2.0])
    for bounds in ({"min": -1, "max": 1}, {"a_min": -1, "a_max": 1}):
        assert ad.grad(lambda x: anp.clip(x, **bounds).sum())(x).tolist() == [0.0, 1.0, 0.0]  # noqa: B023


def test_complete_qr_of_what_nobody_differentiates():
    a = np.arange(6.0).reshape(3, 2)
    q, r = anp.linalg.qr(anp.asarray(a), mode="complete")
    assert q.shape == (3, 3) and r.shape == (3, 2)
    np.testing.assert_allclose(np.asarray(q @ r), a, atol=1e-14)


PLAIN = """
import numpy as np, adjoint as ad, scipy.special as S, scipy.stats
x = np.array([0.3, 0.5])
assert np.allclose(ad.grad(lambda x: np.sum(S.gammaln(x)))(x), S.digamma(x))
"""
DISPATCHED = """
assert np.allclose(ad.grad(lambda x: np.sum(S.polygamma(1, x)))(x), S.polygamma(2, x))
assert np.allclose(ad.grad(lambda x: S.logsumexp(x))(x), S.softmax(x))
assert np.allclose(ad.grad(lambda x: scipy.stats.gmean(x))(x), scipy.stats.gmean(x) / x / 2)
"""


@pytest.mark.parametrize("switch, code", [("", PLAIN), ("1", PLAIN + DISPATCHED)])
def test_scipy_dispatches_to_us(switch, code):
    """SCIPY_ARRAY_API must be set before SciPy is first imported: hence a process of its own."""
    run = [sys.executable, "-c", code + "print('fine')"]
    out = subprocess.run(run, env={**os.environ, "SCIPY_ARRAY_API": switch}, capture_output=True, text=True)
    assert out.stdout == "fine\n", out.stderr


def test_special_is_an_extension():
    np.testing.assert_allclose(ad.grad(lambda x: anp.special.erf(x))(0.0), 2 / np.sqrt(np.pi))
    assert not hasattr(anp.special, "no_such_function")


def test_ufuncs_have_their_methods():
    x = np.array([1.0, 2.0, 3.0])
    assert ad.grad(lambda x: anp.logaddexp.reduce(x))(x).sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(ad.grad(lambda x: anp.multiply.outer(x, x).sum())(x), 2 * x.sum() * np.ones(3))
    np.testing.assert_array_equal(anp.maximum.accumulate(x[::-1]), [3.0, 3.0, 3.0])

    def scattered(x):
        a = anp.zeros(2)
        anp.add.at(a, [0, 0, 1], x)
        return (a**2).sum()

    np.testing.assert_array_equal(ad.grad(scattered)(x), [6.0, 6.0, 6.0])


def test_a_tensor_that_nobody_differentiates_may_be_added_into_an_array():
    a = np.ones(3)
    a += anp.ones(3)
    np.add(anp.ones(3), a, out=a, where=np.array([True, False, True]))
    assert type(a) is np.ndarray
    np.testing.assert_array_equal(a, [3.0, 2.0, 3.0])


def test_arange_between_tensors():
    """Entry k is start + k step, and there are as many as NumPy makes."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b, s = rng.normal(), rng.normal() * 5, rng.uniform(0.05, 1)
        y, pull = ad.vjp(lambda a, b, s: anp.arange(a, b, s), a, b, s)
        np.testing.assert_array_equal(y, np.arange(a, b, s))
        n = y.size
        np.testing.assert_allclose([float(g) for g in pull(np.ones(n))], [n, 0, n * (n - 1) / 2], rtol=1e-12)
    assert ad.grad(lambda x: np.arange(0, x, 0.5).sum() * x)(3.2) == 10.5
    assert anp.arange(3.0, dtype=np.float32).dtype == np.float32 and anp.arange(1, 7, 2).dtype == np.arange(1).dtype
    with pytest.raises(ad.errors.ConcreteError, match="to count the values of arange"):
        ad.vmap(lambda x: anp.arange(x).sum())(np.array([2.0, 3.0]))
