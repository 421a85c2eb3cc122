"""As accurate as the function: the error of a value and of a gradient, in units of its own conditioning.

The numbers to compare with come from mpmath, in 120 digits, at the very floating-point numbers that the function is given. One
unit is what a change of each input by one rounding would make of the result:

    value      eps (|y|   + sum_j |x_j dy/dx_j|)
    gradient   eps (|g_i| + sum_j |x_j dg_i/dx_j|),  g_i = dy/dx_i

and a few smallest subnormal numbers, where the result is one. A rule that cancels, overflows or underflows on the way is off by
many units somewhere; a good one stays within a few everywhere.
"""

import math
import warnings

import mpmath
import numpy as np
import pytest
from mpmath import mp

import adjoint as ad
from adjoint import ops
from adjoint.scipy import special, stats

EPS = 2.0**-52
SMALLEST = 2.0**-1074
DIGITS = 800
STEP = mpmath.mpf(10) ** -30


def exact(f, xs):
    """(value, gradient, matrix of second derivatives) of f, a function of a list of mpmath's numbers."""
    xs = [mpmath.mpf(float(x)) for x in xs]
    scale = max((abs(x) for x in xs if x), default=mpmath.mpf(1))
    hs = [(abs(x) or scale) * STEP for x in xs]
    n = len(xs)

    def at(*moves):
        row = list(xs)
        for i, k in moves:
            row[i] += k * hs[i]
        return f(row)

    y = at()
    # two and four steps: the error of a difference is that of the fourth power of the step
    g = [(8 * (at((i, 1)) - at((i, -1))) - (at((i, 2)) - at((i, -2)))) / (12 * hs[i]) for i in range(n)]
    second = [[mpmath.mpf(0)] * n for _ in range(n)]
    for i in range(n):
        second[i][i] = (at((i, 1)) - 2 * y + at((i, -1))) / hs[i] ** 2
        for j in range(i):
            cross = at((i, 1), (j, 1)) - at((i, 1), (j, -1)) - at((i, -1), (j, 1)) + at((i, -1), (j, -1))
            second[i][j] = second[j][i] = cross / (4 * hs[i] * hs[j])
    return y, g, second


def units(got, want, conditioning):
    """The error of a number in units of its conditioning; an overflow is none where the true number overflows."""
    got = float(got)
    if math.isinf(got) and abs(want) > mpmath.mpf(2) ** 1023:
        return 0.0
    if not math.isfinite(got):
        return math.inf
    unit = EPS * (abs(want) + conditioning) + 4 * SMALLEST
    return float(abs(mpmath.mpf(got) - want) / unit)


def errors(f, mf, xs):
    """(units of the value, of the gradient by reverse mode, of the gradient by forward mode) at a point."""
    xs = np.array(xs, float)
    # differences of 1 + 1e-300: as many digits as the numbers are apart
    sizes = [abs(math.log10(abs(x))) for x in xs if x]
    with mp.workdps(DIGITS + 2 * int(max(sizes, default=0))):
        y, g, second = exact(mf, xs)
        xs_ = [mpmath.mpf(float(x)) for x in xs]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            value, back = ad.value_and_grad(f)(xs)
            along = [ad.jvp(f, (xs,), (e,))[1] for e in np.eye(len(xs))]
        size = sum((abs(x * d) for x, d in zip(xs_, g)), mpmath.mpf(0))
        sizes = [sum((abs(x * d) for x, d in zip(xs_, row)), mpmath.mpf(0)) for row in second]
        return (
            units(value, y, size),
            max(units(a, b, c) for a, b, c in zip(back, g, sizes)),
            max(units(a, b, c) for a, b, c in zip(along, g, sizes)),
        )


# One row a function: ours, of an array; mpmath's, of a list; points; and how many units are allowed (default 4).


def one(f):
    """A function of one number, for an array of one."""
    return lambda x: np.reshape(f(x), ())


def m1(f):
    return lambda xs: f(xs[0])


def m_logsumexp(xs):
    top = max(xs)
    return top + mp.log(mp.fsum(mp.exp(x - top) for x in xs))


def m_prod(xs):
    return mp.fprod(xs)


def m_var(xs):
    mean = mp.fsum(xs) / len(xs)
    return mp.fsum((x - mean) ** 2 for x in xs) / len(xs)


W = (0.5, -1.25, 2.0, 0.75, 3.5)


def m_cumprod(xs):
    return mp.fsum(w * mp.fprod(xs[: i + 1]) for i, w in enumerate(W[: len(xs)]))


def m_norm(p):
    return lambda xs: mp.root(mp.fsum(abs(x) ** p for x in xs), p)


def m_sinc(x):
    return mp.sin(mp.pi * x) / (mp.pi * x) if x else mpmath.mpf(1)


def m_softplus(x):
    return mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x))


def m_log_ndtr(x):
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2) if x < 0 else mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2)


TINY = [1e-300, -1e-300, 1e-20, -1e-9]
ORDINARY = [0.3, -0.4, 1.0, 2.5]
ROWS = {
    # ours, mpmath's, points, units allowed
    "log1p": (one(np.log1p), m1(mp.log1p), [*TINY, *ORDINARY, -1 + 1e-15, 1e300], 4),
    "expm1": (one(np.expm1), m1(mp.expm1), [*TINY, *ORDINARY, -50.0, 700.0, -800.0], 4),
    "exp": (one(np.exp), m1(mp.exp), [*TINY, *ORDINARY, -700.0, 700.0], 4),
    "log": (one(np.log), m1(mp.log), [1e-310, 1e-20, 0.3, 1 + 1e-15, 2.0, 1e300], 4),
    "log2": (one(np.log2), m1(lambda x: mp.log(x) / mp.log(2)), [1e-310, 0.3, 1 + 1e-15, 1e300], 4),
    "log10": (one(np.log10), m1(mp.log10), [1e-310, 0.3, 1 + 1e-15, 1e300], 4),
    "sqrt": (one(np.sqrt), m1(mp.sqrt), [1e-310, 0.3, 2.0, 1e300], 4),
    "cbrt": (one(np.cbrt), m1(mp.cbrt), [1e-300, 0.3, 2.0, 1e300], 4),
    "square": (one(np.square), m1(lambda x: x * x), [1e-170, 0.3, -2.0, 1e150], 4),
    "reciprocal": (one(np.reciprocal), m1(lambda x: 1 / x), [1e-150, 0.3, -2.0, 1e150, 1e200], 4),
    "sin": (one(np.sin), m1(mp.sin), [*TINY, *ORDINARY, 3.1415926, 1e5], 4),
    "cos": (one(np.cos), m1(mp.cos), [*TINY, *ORDINARY, 1.5707963, 1e5], 4),
    "tan": (one(np.tan), m1(mp.tan), [*TINY, *ORDINARY, 1.5707963, 1e5], 6),
    "arcsin": (one(np.arcsin), m1(mp.asin), [*TINY, 0.3, -0.5, 1 - 1e-15, -1 + 1e-10], 4),
    "arccos": (one(np.arccos), m1(mp.acos), [*TINY, 0.3, -0.5, 1 - 1e-15, -1 + 1e-10], 4),
    "arctan": (one(np.arctan), m1(mp.atan), [*TINY, *ORDINARY, 1e10, 1e170, -1e300], 4),
    "sinh": (one(np.sinh), m1(mp.sinh), [*TINY, *ORDINARY, 700.0], 4),
    "cosh": (one(np.cosh), m1(mp.cosh), [*TINY, *ORDINARY, 700.0], 4),
    "tanh": (one(np.tanh), m1(mp.tanh), [*TINY, *ORDINARY, 19.0, -25.0, 100.0, 350.0, 371.0, 800.0], 4),
    "arcsinh": (one(np.arcsinh), m1(mp.asinh), [*TINY, *ORDINARY, 1e10, 1e200], 4),
    "arccosh": (one(np.arccosh), m1(mp.acosh), [1 + 1e-15, 1.5, 10.0, 1e10, 1e200], 4),
    "arctanh": (one(np.arctanh), m1(mp.atanh), [*TINY, 0.3, -0.5, 1 - 1e-15, -1 + 1e-10], 4),
    "softplus": (one(ops.softplus), m1(m_softplus), [*TINY, *ORDINARY, -40.0, 40.0, -700.0, 800.0], 4),
    "logaddexp": (lambda x: np.logaddexp(x[0], x[1]), m_logsumexp,
                  [(0.3, -0.4), (-700.0, -701.0), (800.0, 0.0), (0.0, 40.0), (1e-300, 0.0), (-1e5, -1e5)], 4),
    "logaddexp2": (lambda x: np.logaddexp2(x[0], x[1]), lambda xs: mp.log(2 ** xs[0] + 2 ** xs[1], 2),
                   [(0.3, -0.4), (-700.0, -701.0), (0.0, 40.0)], 4),
    "sigmoid": (one(ops.sigmoid), m1(lambda x: 1 / (1 + mp.exp(-x))), [*TINY, *ORDINARY, -40.0, 40.0, -700.0, 700.0], 4),
    "log_sigmoid": (one(special.log_expit), m1(lambda x: -m_softplus(-x)), [*TINY, *ORDINARY, -40.0, 40.0, 700.0], 4),
    "logit": (one(special.logit), m1(lambda x: mp.log(x / (1 - x))), [1e-300, 0.3, 0.5, 0.5 + 1e-10, 1 - 1e-15], 4),
    "logsumexp": (special.logsumexp, m_logsumexp,
                  [(0.3, -0.4, 1.0), (1000.0, 1001.0, 0.0), (-1e4, -1e4 + 1, -1e4), (0.0, -700.0), (1e-300, 1e-9)], 4),
    "softmax": (lambda x: special.softmax(x)[0], lambda xs: 1 / mp.fsum(mp.exp(x - xs[0]) for x in xs),
                [(0.3, -0.4, 1.0), (40.0, 0.0, 0.0), (-40.0, 0.0), (-700.0, 0.0), (1000.0, 999.0)], 6),
    "log_softmax": (lambda x: special.log_softmax(x)[0], lambda xs: -mp.log(mp.fsum(mp.exp(x - xs[0]) for x in xs)),
                      [(0.3, -0.4, 1.0), (40.0, 0.0, 0.0), (-40.0, 0.0), (-1000.0, 0.0)], 4),
    "sinc": (one(np.sinc), m1(m_sinc), [0.0, 1e-300, 1e-20, 1e-8, 1e-3, 0.3, 0.5, 1.0, 1.43, 2.5, 10.3, 1e5 + 0.3], 8),
    "hypot": (lambda x: np.hypot(x[0], x[1]), m_norm(2),
              [(3.0, -4.0), (3e200, 4e200), (1e-200, 2e-200), (1.0, 1e-20), (0.0, 2.0), (1e-300, 2e-300)], 4),
    "arctan2": (lambda x: np.arctan2(x[0], x[1]), lambda xs: mp.atan2(*xs),
                [(3.0, -4.0), (3e200, 4e200), (1e-150, 2e-150), (1.0, 1e-20), (1e-20, -1.0)], 4),
    "norm": (np.linalg.norm, m_norm(2),
             [(3.0, -4.0, 1.0), (3e200, 4e200, 1.0), (1e-200, 2e-200), (1.0, 1e-20), (0.0, 2.0), (1e-300, 3e-300)], 4),
    "norm3": (lambda x: np.linalg.norm(x, 3), m_norm(3),
              [(3.0, -4.0, 1.0), (3e200, 4e200), (1e-200, 2e-200), (1.0, 1e-20)], 8),
    "var": (np.var, m_var, [(1.0, 2.0, 4.5), (1e8 + 1, 1e8 + 2, 1e8 + 4.5), (1e-150, 2e-150, -1e-150),
                            (1e150, 2e150, -1e150), (1.0, 1.0 + 1e-15, 1.0)], 4),
    "std": (np.std, lambda xs: mp.sqrt(m_var(xs)), [(1.0, 2.0, 4.5), (1e8 + 1, 1e8 + 2, 1e8 + 4.5), (1e-150, 2e-150),
                                                    (1e150, 2e150, -1e150)], 4),
    "prod": (np.prod, m_prod, [(2.0, -0.5, 3.0), (2.0, 0.0, 3.0), (0.0, 0.0, 3.0), (1e-200, 1e200, 3.0),
                               (1e-150, 1e-150, 1e150, 1e150)], 4),
    "cumprod": (lambda x: np.sum(np.array(W[: len(x)]) * np.cumprod(x)), m_cumprod,
                [(2.0, -0.5, 3.0), (2.0, 0.0, 3.0, 4.0), (0.0, 0.0, 3.0), (1e-200, 1e200, 3.0)], 8),
    "power": (lambda x: x[0] ** x[1], lambda xs: xs[0] ** xs[1],
              [(0.3, 2.5), (1e-100, 2.5), (1e100, -2.5), (1 + 1e-10, 1e8), (2.0, 1e-300)], 4),
    "cube": (one(lambda x: x**3), m1(lambda x: x**3), [1e-100, 0.3, -2.0, 1e100], 4),
    "xlogy": (lambda x: special.xlogy(x[0], x[1]), lambda xs: xs[0] * mp.log(xs[1]), [(0.3, 2.0), (1e-300, 1e-300)], 4),
    "xlog1py": (lambda x: special.xlog1py(x[0], x[1]), lambda xs: xs[0] * mp.log1p(xs[1]), [(0.3, 2.0), (2.0, 1e-300)], 4),
    "erf": (one(special.erf), m1(mp.erf), [*TINY, *ORDINARY, 5.0, 20.0], 4),
    "erfc": (one(special.erfc), m1(mp.erfc), [*TINY, *ORDINARY, 5.0, 10.0, 26.0, -6.0], 4),
    "erfcx": (one(special.erfcx), m1(lambda x: mp.exp(x * x) * mp.erfc(x)), [*TINY, *ORDINARY, 2.4, 2.6, 4.0, 10.0, 50.0, 1e4, -20.0], 6),
    "ndtr": (one(special.ndtr), m1(mp.ncdf), [*TINY, *ORDINARY, -5.0, -37.0, 8.0], 4),
    "log_ndtr": (one(special.log_ndtr), m1(m_log_ndtr), [*TINY, *ORDINARY, -5.0, -40.0, -1e3, 8.0, 30.0], 6),
    "norm.logcdf": (one(stats.norm.logcdf), m1(m_log_ndtr), [*ORDINARY, -5.0, -40.0, -1e3, 8.0], 6),
    "norm.logsf": (one(stats.norm.logsf), m1(lambda x: m_log_ndtr(-x)), [*ORDINARY, 5.0, 40.0, 1e3, -8.0], 6),
    "norm.sf": (one(stats.norm.sf), m1(lambda x: mp.ncdf(-x)), [*ORDINARY, 5.0, 37.0, -8.0], 4),
    "norm.logpdf": (one(stats.norm.logpdf), m1(lambda x: -x * x / 2 - mp.log(2 * mp.pi) / 2), [*ORDINARY, 1e10, 1e150], 4),
    "gammaln": (one(special.gammaln), m1(lambda x: mp.re(mp.loggamma(x))), [0.3, 1 + 1e-10, 2.5, 50.0, 1e10], 8),
    "gamma": (one(special.gamma), m1(mp.gamma), [1e-100, 0.3, 2.5, 20.0, 170.0, -0.5], 8),
    "betaln": (lambda x: special.betaln(x[0], x[1]), lambda xs: mp.log(mp.beta(*xs)), [(0.3, 2.5), (20.0, 30.0), (1e2, 0.5)], 40),
    "mean": (np.mean, lambda xs: mp.fsum(xs) / len(xs), [(1.0, 2.0, 4.5), (1e300, -1e300, 1.0)], 4),
    "det": (lambda x: np.linalg.det(x.reshape(2, 2)), lambda xs: xs[0] * xs[3] - xs[1] * xs[2],
            [(1.0, 2.0, 3.0, 5.0), (1.0, 2.0, 2.0, 4.0), (1e100, 0.0, 0.0, 1e-100)], 4),
    "expit chain": (one(lambda x: np.log(1 + np.exp(-np.abs(x)))), m1(lambda x: mp.log1p(mp.exp(-abs(x)))), [0.3, -2.0], 8),
}  # fmt: skip


CASES = [(name, x) for name, row in ROWS.items() for x in row[2]]


@pytest.mark.parametrize("name, x", CASES, ids=[f"{name}-{x}" for name, x in CASES])
def test_as_accurate_as_the_function(name, x):
    f, mf, _, allowed = ROWS[name]
    value, back, along = errors(f, mf, x if isinstance(x, tuple) else (x,))
    assert value <= allowed, f"the value is off by {value:.3g} units"
    assert back <= allowed, f"the gradient is off by {back:.3g} units"
    assert along <= allowed, f"the tangent is off by {along:.3g} units"


# Planted faults: rules that are right in exact arithmetic, and that a careless author would write


def wrong(f, rule):
    return ad.custom_rule(f, jvp=rule)


FAULTS = {
    "tanh": (25.0, one(wrong(np.tanh, lambda ts, y, x: ts[0] * (1 - y * y)))),
    "expm1": (-50.0, one(wrong(np.expm1, lambda ts, y, x: ts[0] * (y + 1)))),
    "sigmoid": (40.0, one(wrong(ops.sigmoid, lambda ts, y, x: ts[0] * y * (1 - y)))),
    "softplus": (-40.0, one(wrong(ops.softplus, lambda ts, y, x: ts[0] * (1 - np.exp(-y))))),
    "arcsinh": (1e200, one(wrong(np.arcsinh, lambda ts, y, x: ts[0] / np.sqrt(1 + x * x)))),
    "sinc": (1e-3, one(wrong(np.sinc, lambda ts, y, x: ts[0] * (np.cos(np.pi * x) - y) / x))),
    "log_ndtr": (-40.0, one(wrong(special.log_ndtr, lambda ts, y, x: ts[0] * np.exp(-x * x / 2 - y) / (2 * np.pi) ** 0.5))),
    "erfcx": (50.0, one(wrong(special.erfcx, lambda ts, y, x: ts[0] * (2 * x * y - 2 / np.pi**0.5)))),
    "hypot": ((1e-200, 2e-200), lambda x: np.sqrt(x[0] ** 2 + x[1] ** 2)),
    "norm": ((3e200, 4e200), lambda x: np.sqrt(np.sum(x * x))),
    "prod": ((2.0, 0.0, 3.0), wrong(np.prod, lambda ts, y, x: np.sum(ts[0] * y / x))),
    "var": ((1e8 + 1, 1e8 + 2, 1e8 + 4.5), lambda x: np.mean(x * x) - np.mean(x) ** 2),
    "logsumexp": ((1000.0, 1001.0, 0.0), lambda x: np.log(np.sum(np.exp(x)))),
    "log_softmax": ((40.0, 0.0, 0.0), lambda x: x[0] - special.logsumexp(x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_the_law_sees_planted_faults(name):
    x, f = FAULTS[name]
    _, mf, _, allowed = ROWS[name]
    value, back, along = errors(f, mf, x if isinstance(x, tuple) else (x,))
    assert max(value, back) > 20 * allowed and max(value, along) > 20 * allowed


# Large reductions: the sums that undo broadcasting, and those of products with matrices. One unit is eps of the float
# times the sum of the sizes of the terms; of n terms added one after the other the error is up to n units.


def sums_to(dtype, n=200_000):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(n, 2)) + 3.0).astype(dtype)
    return x, [(math.fsum(column), math.fsum(np.abs(column))) for column in x.astype(float).T]


@pytest.mark.parametrize("dtype, allowed", [(np.float64, 4.0), (np.float32, 1.0)])
@pytest.mark.parametrize(
    "f",
    [
        lambda b, x: np.sum(x * b),  # (n, 2) and (2,)
        lambda b, x: np.sum(np.multiply(x, b[None, :])),
        lambda b, x: np.mean(x * b) * x.size,
        lambda b, x: np.sum(x * np.broadcast_to(b, x.shape)),
    ],
)
def test_sums_that_undo_broadcasting(f, dtype, allowed):
    x, want = sums_to(dtype)
    g = ad.grad(f)(np.ones(2, dtype), x)
    assert g.dtype == dtype
    for got, (total, size) in zip(g.astype(float), want, strict=True):
        assert abs(got - total) <= allowed * np.finfo(dtype).eps * size


@pytest.mark.parametrize("dtype, allowed", [(np.float64, 2.0), (np.float32, 1.0)])
def test_the_sum_of_a_scalar_against_many(dtype, allowed):
    x, _ = sums_to(dtype)
    g = ad.grad(lambda b: np.sum(x * b))(dtype(1.0))
    total, size = math.fsum(x.astype(float).ravel()), math.fsum(np.abs(x.astype(float)).ravel())
    assert abs(float(g) - total) <= allowed * np.finfo(dtype).eps * size


@pytest.mark.parametrize("f", [np.sum, np.mean, np.var, np.linalg.norm, special.logsumexp])
def test_gradients_of_large_reductions(f):
    rng = np.random.default_rng(1)
    x = rng.normal(size=100_000) + 1e3
    mean = math.fsum(x) / x.size
    want = {
        np.sum: np.ones(x.size),
        np.mean: np.full(x.size, 1 / x.size),
        np.var: 2 * (x - mean) / x.size,
        np.linalg.norm: x / math.sqrt(math.fsum(x * x)),
        special.logsumexp: np.exp(x - x.max()) / math.fsum(np.exp(x - x.max())),
    }[f]
    # var: one unit more is that of the mean, which the entries are measured from
    unit = EPS * (np.abs(want) + (2e3 / x.size if f is np.var else 0))
    assert np.all(np.abs(ad.grad(f)(x) - want) <= 4 * unit)


def test_float32_stays_accurate_in_float32():
    x = np.float32([-40.0, -9.0, 0.3, 9.0, 40.0])
    for f, want in (
        (ops.softplus, 1 / (1 + np.exp(-x.astype(float)))),
        (np.tanh, 1 / np.cosh(x.astype(float)) ** 2),
        (np.expm1, np.exp(x.astype(float))),
        (special.log_ndtr, np.exp(stats.norm.logpdf(x.astype(float)) - stats.norm.logcdf(x.astype(float)))),
    ):
        g = ad.elementwise_grad(f)(x)
        assert g.dtype == np.float32
        with np.errstate(all="ignore"):
            unit = 2.0**-23 * (1 + np.abs(x)) * np.abs(want) + 1e-44
        assert np.all(np.abs(g - want) <= 4 * unit), f


def test_adding_row_by_row_would_be_seen():
    x, want = sums_to(np.float64)
    got = np.add.reduce(x, 0)
    assert max(abs(a - total) / size for a, (total, size) in zip(got, want, strict=True)) > 20 * EPS
