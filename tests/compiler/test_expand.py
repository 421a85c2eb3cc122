"""Compositions have the values of the ops they replace: NumPy's and SciPy's, special values included."""

import itertools
import sys

import numpy as np
import pytest
import scipy.special  # so that SciPy's ops are there

import adjoint as ad
from adjoint.compiler import passes
from adjoint.compiler.passes import compositions
from adjoint.compiler.passes.compositions import COMPOSITIONS
from adjoint.compiler.passes.dce import dce
from adjoint.compiler.passes.expand import expand
from adjoint.compiler.passes.factors import FACTORS
from adjoint.core.op import OPS, bind
from adjoint.primitives import scipy_special  # noqa: F401
from adjoint.traces.capture import capture
from tests.compiler.test_passes import PROGRAMS, assert_same_bits, names, run
from tests.laws.harness import seeded

assert scipy.special

SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    0.5,
    np.inf,
    -np.inf,
    np.nan,
    5e-324,
    -5e-324,
    1e-310,
    1e-160,
    1e-150,
    1e150,
    1e160,
    -1e160,
    1e300,
    -1e300,
]
GRID = np.array(
    SPECIAL + list(np.random.default_rng(3).normal(size=200)) + list(np.random.default_rng(4).normal(size=100) * 30)
)
POSITIVE = np.abs(GRID)


def ulps(got, want):
    """The largest distance in units in the last place; NaN and infinities must be where they are wanted."""
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype)
    if got.dtype.kind == "c":
        return max(ulps(got.real, want.real), ulps(got.imag, want.imag))
    assert np.array_equal(np.isnan(got), np.isnan(want)), (got, want)
    assert np.array_equal(np.isinf(got), np.isinf(want)), (got, want)
    number = np.isfinite(want)
    assert np.array_equal(got[~number], want[~number], equal_nan=True)
    if got.dtype.kind != "f":
        assert np.array_equal(got, want)
        return 0
    return float(np.max(np.abs(got[number] - want[number]) / np.spacing(np.abs(want[number])), initial=0))


def expanded(name, *args, **params):
    """(value by the composition, value by the op). Arrays are inputs, numbers are known."""
    op = OPS[name]
    arrays = [a for a in args if isinstance(a, np.ndarray)]

    def f(*xs):
        rest = iter(xs)
        return bind(op, *(next(rest) if isinstance(a, np.ndarray) else a for a in args), **params)

    graph = capture(f, *arrays)
    new = dce(expand(graph)).verify()
    assert name not in names(new), f"{name} was not expanded"
    return run(new, *arrays)[0], run(graph, *arrays)[0]


ELEMENTWISE = {  # op -> (grids of the arguments, how many ulp are allowed, whether the signs of zeros agree)
    "square": ([GRID], 0, True),
    "reciprocal": ([GRID], 0, True),
    "log_sigmoid": ([GRID], 0, True),
    "logit": ([np.concatenate([GRID, np.linspace(0, 1, 101)])], 0, True),
    "xlogy": ([GRID, GRID], 0, False),
    "xlog1py": ([GRID, GRID], 0, False),
    "logaddexp2": ([GRID, GRID], 2, False),
    "sinc": ([GRID], 0, True),
    "ndtr": ([GRID], 4, True),
    "entr": ([GRID], 1, False),
    "rel_entr": ([GRID, GRID], 2, False),
    "huber": ([GRID, GRID], 1, False),
    "stop_gradient": ([GRID], 0, True),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    grids, most, signs = ELEMENTWISE[name]
    args = [np.array(column) for column in zip(*itertools.product(*grids), strict=True)]
    got, want = expanded(name, *args)
    assert ulps(got, want) <= most
    if signs:
        assert np.array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(want)[~np.isnan(want)])
    single = [a.astype(np.float32) for a in args]
    with np.errstate(all="ignore"):
        got, want = expanded(name, *single)
    assert got.dtype == want.dtype == np.float32


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5, 6, 7, 8, -1, -2, -3, -4, 2.0, 3.0, -2.0, 0.5, -0.5, 1.5, -1.5])
def test_power(p):
    """Against the exact power; NaN, infinities and signed zeros as NumPy's pow."""
    most = {0.5: 0.51, -0.5: 1.51, 1.5: 1.51, -1.5: 2.6}.get(
        p, max(abs(p) / 2 + 0.01, 0.51) + (abs(p) / 2 if p < 0 else 0)
    )
    got, _ = expanded("power", GRID, p)
    with np.errstate(all="ignore"):
        exact = np.power(GRID.astype(np.longdouble), np.longdouble(p))
        want = np.power(GRID, np.full_like(GRID, p))
    if p == 0.5:
        odd = np.signbit(GRID) & ((GRID == 0) | np.isinf(GRID))  # NumPy's a ** 0.5 is sqrt
        want = np.where(odd, np.sqrt(GRID), want)
    assert np.array_equal(np.isnan(got), np.isnan(want)) and np.array_equal(np.isinf(got), np.isinf(want))
    number = ~np.isnan(want)
    assert np.array_equal(np.signbit(got)[number], np.signbit(want)[number])
    normal = np.isfinite(want) & (np.abs(want) > 1e-290)
    off = np.abs(got[normal].astype(np.longdouble) - exact[normal]) / np.spacing(np.abs(want[normal]))
    assert off.max() <= most
    tiny = np.isfinite(want) & ~normal
    assert np.all(np.abs(got[tiny] - want[tiny]) <= 4 * np.maximum(np.spacing(np.abs(want[tiny])), 5e-324))


def test_powers_of_numbers_and_integers():
    for x in (0.0, -0.0, np.inf, -np.inf, 4.0, -2.5, np.nan):
        for p in (0.5, -0.5, 1.5, -1.5, 3):
            graph = capture(lambda x, p=p: x**p, np.float64(x))
            with np.errstate(all="ignore"):
                want = [np.float64(x) ** p]
            assert_same_bits(run(dce(expand(graph)).verify(), np.float64(x)), want, f"{x} ** {p}")
    n = np.array([3, -4, 2**40])
    assert np.array_equal(expanded("power", n, 3)[0], n**3)
    graph = capture(lambda n: np.power(n, 3.0), n)
    assert expand(graph) is graph  # whole numbers to a power of floats are floats
    graph = capture(lambda x: x**9 + x**2.5 + 2**x, GRID)
    assert names(expand(graph)).count("power") == 3
    single = capture(lambda x: x ** np.float64(2), GRID.astype(np.float32))
    assert expand(single).verify().outputs[0].type.dtype == np.float64


REDUCTIONS = [
    ("mean", {}),
    ("var", {"ddof": 0}),
    ("var", {"ddof": 1}),
    ("std", {"ddof": 0}),
    ("norm", {"ord": 2.0}),
    ("norm", {"ord": 3.0}),
    ("logsumexp", {}),
]


@pytest.mark.parametrize("name, more", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["f8", "f4", "c16", "i8"])
def test_reductions(name, more, dtype):
    rng = seeded(name, dtype)
    cases = [((7,), (-1,), 0), ((3, 5), (-2, -1), 1), ((3, 5), (-1,), 0), ((2, 3, 4), (-3, -1), 1), ((1, 1), (-1,), 0)]
    for shape, axes, keepdims in cases:
        x = rng.normal(size=shape) * 3
        x = (x + 1j * rng.normal(size=shape) if dtype == "c16" else x).astype(dtype)
        only_real = name == "logsumexp" or more.get("ord") == 3.0
        if (dtype == "c16" and only_real) or (dtype == "i8" and name in ("logsumexp", "norm")):
            continue
        got, want = expanded(name, x, axes=axes, keepdims=bool(keepdims), **more)
        assert ulps(got, want) <= 8, (name, shape, axes)


@pytest.mark.parametrize("scale", [0.0, -0.0, 1e-320, 1e-200, 1e-160, 1.0, 1e150, 1e160, 1e300, np.inf, np.nan])
def test_norm_at_all_scales(scale):
    for x in (np.array([3.0, -4.0]) * scale, np.array([[3.0, 4.0], [1e-3, 2e-3]]) * scale, np.array([1.0, scale, 0.0])):
        for ord in (2.0, 3.0, 1.5):
            for axes in ((-1,), tuple(range(-x.ndim, 0))):
                got, want = expanded("norm", x, ord=ord, axes=axes, keepdims=False)
                assert ulps(got, want) <= 8


def test_softmax():
    rows = np.array(
        [
            [1.0, 2.0, 3.0],
            [1e3, -1e3, 0.0],
            [-np.inf, 0.0, 1.0],
            [np.inf, 1.0, np.inf],
            [-np.inf] * 3,
            [np.nan, 0.0, 1.0],
        ]
    )
    for ties in (False, True):
        got, want = expanded("softmax", rows, axes=(-1,), ties=ties)
        assert ulps(got, want) == 0
    got, want = expanded("logsumexp", rows, axes=(-1,), keepdims=False)
    assert ulps(got, want) <= 1
    assert got[4] == -np.inf and got[3] == np.inf


def test_round():
    for d in (0, 1, 3, -1, -2):
        got, want = expanded(
            "round", np.concatenate([GRID, [0.5, 1.5, 2.5, 0.05, 0.15, 15.0, 25.0, 12345.678]]), decimals=d
        )
        assert ulps(got, want) == 0
    assert np.array_equal(*expanded("round", np.arange(5), decimals=2))


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk->ki", (2, 3), (3, 4)),
    ("ij,kj->ik", (2, 3), (4, 3)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("bij,jk->bik", (5, 2, 3), (3, 4)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("i,i->", (4,), (4,)),
    ("i,j->ji", (4,), (3,)),
    ("ij,j->i", (2, 3), (3,)),
    ("j,ij->i", (3,), (2, 3)),
    ("ijk,lkj->il", (2, 3, 4), (5, 4, 3)),
    ("bhid,bhjd->bhij", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("bi,bij->bj", (2, 3), (2, 3, 4)),
    ("ij,k->k", (2, 3), (4,)),
    ("ij->ji", (2, 3)),
    ("ij->j", (2, 3)),
    ("ij->", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii->", (3, 3)),
    ("iij,j->i", (2, 2, 3), (3,)),
    (",i->i", (), (3,)),
    ("i,ij,j->", (2,), (2, 3), (3,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
    ("ai,bi,ci->abc", (2, 5), (3, 5), (4, 5)),
    ("i,j,k->jik", (2,), (3,), (2,)),
]


@pytest.mark.parametrize("subscripts, shapes", [(s, shapes) for s, *shapes in EINSUMS], ids=[e[0] for e in EINSUMS])
def test_einsum(subscripts, shapes):
    """Whole numbers as floats: sums in any order are exact."""
    rng = seeded(subscripts)
    for shift in (0, 1j):
        args = [
            np.asarray(rng.integers(-4, 5, s) + shift * rng.integers(-4, 5, s), dtype=complex if shift else float)
            for s in shapes
        ]
        got, want = expanded("einsum", *args, subscripts=subscripts, optimize=False)
        assert got.shape == want.shape and np.array_equal(got, want)


def test_einsum_that_stays():
    for subscripts, a, b in [
        ("ij,ij->j", np.ones((1, 3)), np.ones((2, 3))),
        ("ij,jk->ik", np.ones((2, 3), int), np.ones((3, 2), int)),
    ]:
        graph = capture(lambda a, b, s=subscripts: np.einsum(s, a, b), a, b)
        assert expand(graph) is graph


def test_other_shapes():
    a, b = np.arange(3.0), np.arange(4.0) - 1
    assert np.array_equal(*expanded("outer", a, b))


@pytest.mark.parametrize("axis", [0, -1])
def test_lexsort(axis):
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 3, (3, 5, 7)), rng.integers(0, 2, (3, 5, 7)), np.round(rng.normal(size=(3, 5, 7)))
    assert np.array_equal(*expanded("lexsort", *keys, axis=axis - 3 if axis == 0 else axis))


def test_log_softmax():
    for row in ([1.0, 2.0, 3.0], [0.0, -50.0, -800.0], [0.0, 0.0, -40.0], [np.inf, 1.0, 0.0], [-np.inf] * 3, [np.nan, 0.0, 1.0]):
        got, want = expanded("log_softmax", np.array(row), axes=(-1,))
        assert ulps(got, want) <= 4, row


def _blocks(rng, near):
    # numbers that agree in each block, up to rounding, in half of the cases
    x = rng.normal(size=near.shape[-1]) * (1 + 1e-16)
    return np.where(rng.random() < 0.5, x, x[np.argmax(near, -1)])


@pytest.mark.parametrize("trial", range(8))
def test_factors(trial):
    """With and without repeated values."""
    rng = np.random.default_rng(trial)
    w = np.array([[0.0, 1.0, 1.0, 2.0, 2.0, 2.0], [0.0, 0.0, 1.0, 3.0, 4.0, 5.0]])[trial % 2] * (1 + 1e-16 * rng.normal(size=6))
    near = bind(OPS["near"], w)
    g = _blocks(rng, near)
    m = rng.normal(size=(6, 6)) if trial % 3 else np.where(np.eye(6, dtype=bool), g, np.where(near, 0.0, 1.0))
    m = m + 1j * m.T if trial > 5 else m
    z = m + m.T if trial % 2 else m
    loose = near & ~np.eye(6, dtype=bool)
    assert np.array_equal(*expanded("near", w)) and np.array_equal(*expanded("tiny", w))
    assert np.array_equal(*expanded("settle", m, near), equal_nan=True)
    assert np.array_equal(*expanded("share", g, near), equal_nan=True)
    assert np.array_equal(*expanded("unequal", g, near))
    assert np.array_equal(*expanded("weigh", g, near, w)) and np.array_equal(*expanded("sealed", m, near[0]))
    assert np.array_equal(*expanded("largest", m))
    for values in (True, False):
        size = np.abs(z).sum(-2)
        assert np.array_equal(*expanded("doubtful", z, size, g, near, loose, values=values))


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (2, 5, 5)])
def test_pinv_and_rank(shape):
    rng = np.random.default_rng(5)
    a = rng.normal(size=shape)
    a[..., 0, :] = a[..., 1, :]  # not of full rank
    for b in (a, a + 1j * a[..., ::-1]):
        for more in ({}, {"rtol": 0.3}):
            got, want = expanded("pinv", b, **more)
            assert np.abs(got - want).max() <= 1e-12 * np.abs(want).max()
            assert np.array_equal(*expanded("matrix_rank", b, **more))


def test_what_is_covered():
    tested = {*ELEMENTWISE, *FACTORS, *(name for name, _ in REDUCTIONS)}
    tested |= {"power", "softmax", "round", "einsum", "outer", "lexsort", "log_softmax"}
    assert set(COMPOSITIONS) == tested


def test_half_precision_stays():
    graph = capture(lambda x: np.mean(x) + np.sum(np.square(x)), np.ones(3, np.float16))
    assert expand(graph) is graph


@pytest.mark.parametrize(
    "p", [p for p in PROGRAMS if not p.branches and p.name != "finite_differences"], ids=lambda p: p.name
)
def test_programs(p):
    """All passes at the highest level: gradients to the last few digits."""
    argnums = tuple(range(len(p.args)))
    grad = lambda *a: ad.grad(lambda *a: np.sum(p.f(*a)), argnums=argnums)(*a)
    flat = ad.tree.flatten(p.args)[0]
    for f in (p.f, grad):
        graph = capture(f, *p.args)
        new = passes.run(graph).verify()
        for a, b in zip(run(new, *flat), run(graph, *flat), strict=True):
            assert np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype
            assert np.allclose(a, b, rtol=1e-12, atol=1e-13), p.name


def test_wrong_compositions_are_seen(monkeypatch):
    monkeypatch.setattr(sys.modules["adjoint.compiler.passes.expand"], "_made", {})
    monkeypatch.setitem(COMPOSITIONS, "xlogy", compositions._is("planted")(lambda x, y: x * np.log(y)))
    with pytest.raises(AssertionError):
        test_elementwise("xlogy")
    monkeypatch.delitem(COMPOSITIONS, "planted")
    monkeypatch.setitem(
        COMPOSITIONS, "norm", lambda a, ord, axes, keepdims: np.sqrt(np.sum(a * a, axis=axes, keepdims=keepdims))
    )
    with pytest.raises(AssertionError):
        test_norm_at_all_scales(1e-200)
