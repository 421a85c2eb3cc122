"""x[mask] with a mask that is not known: what reduces, writes or treats entry by entry works; the rest is refused.

The value to meet is that of the plain function; derivatives meet central differences of it.
"""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.fence import FenceError
from tests.compiler.test_syntax import close, slope

X = np.array([0.5, -1.1, 2.3, -3.2, 0.9, 0.25])
Y = np.array([-0.7, -1.6, 0.3, 1.2, -0.4, 2.1])
CASES: list = []


def case(f):
    CASES.append(f)
    return f


@case
def summed(x):
    return np.sum(x[x > 0] ** 2)


@case
def mean_of_some(x):
    m = x > 0
    return x[m].mean() * np.mean(np.exp(x[~m]))


@case
def extremes(x):
    return x[x < 1].max() * x[x > 0].min() + max(x[x > -2]) - np.min(x[x < 2])


@case
def spread(x):
    m = x > -2
    return x[m].std() + np.var(x[m], ddof=1) * x[x > 0].var()


@case
def product(x):
    return np.prod(x[np.abs(x) > 0.6]) + np.prod(x[x > 0] * 2)


@case
def written(x):
    y = x * 2
    y[x > 0] = 7.0
    return np.sum(y * x)


@case
def written_with_a_value(x):
    y = x * 2
    y[x > 0] = x[1] * x[2]
    return np.sum(y * x)


@case
def changed_in_place(x):
    y = x.copy()
    y[x > 0] += x[0]
    y[x < -1] *= 3
    y[y > 2] /= 2
    return np.sum(y * x)


@case
def two_sides(x):
    y = np.zeros(x.size)
    m = x > 0
    y[m] = np.log(x[m])
    y[~m] = np.sqrt(-x[~m]) ** 3
    return np.sum(y)


@case
def the_mask_made_anew(x):
    y = np.zeros_like(x)
    y[x > 0] = np.sin(x[x > 0])
    return y @ x


@case
def from_another(x):
    y = np.cos(x)
    m = np.logical_and(x > 0, y > 0.5)
    return np.dot(x[m], y[m]) + x[m] @ x[m] + np.linalg.norm(x[m] - 0.5)


@case
def counted(x):
    m = x > 0
    return x[m].sum() / len(x[m]) + x[m].size * x[0] + np.sum(x) * m.sum() / x[m].shape[0]


@case
def mask_of_a_mask(x):
    p = x[x > 0]
    return np.sum(p[p < 1] ** 3) + np.sum(np.where(p > 1, p * p, -p))


@case
def rows(x):
    a = np.stack([x, x * x, np.sin(x)], axis=1)
    chosen = a[a[:, 0] > 0]
    centre = chosen.mean(axis=0)
    return np.sum((chosen - centre) ** 2) + chosen[:, 1].sum() + np.sum(chosen.sum(axis=1) ** 2)


@case
def rows_written(x):
    a = np.outer(x, x)
    a[x < 0] = 1.5
    a[x > 2] *= x
    a[x > 0.8, 0] = 0.0
    return np.sum(a * x)


@case
def a_matrix_clipped(x):
    a = np.outer(x, x + 1)
    a[a < 0] = 0
    a[a > 3] = np.log(a[a > 3]) + 3
    return np.sum(a**2)


@case
def places(x):
    i = np.where(x > 0)
    j = np.nonzero(x < 0)[0]
    y = x * 1.0
    y[i] = 2.0 * x[0]
    return x[i].sum() * x[j].mean() + y @ x + np.sum(x[::-1][j])


@case
def the_first_one(x):
    k = np.flatnonzero(x > 0.7)
    return x[x < 0][0] * x[k[0]] + x[x > 0][-1]


@case
def by_functions(x):
    y = np.zeros_like(x)
    np.putmask(y, x > 0, x**2)
    return np.extract(x > 0, x).sum() * np.compress(x < 0, x).sum() + y.sum()


@case
def weighted(x):
    m = x > 0
    w = np.exp(x[m]) / np.sum(np.exp(x[m]))
    return np.sum(w * x[m]) - np.log(np.sum(np.exp(x[m] - x[m].max())))


@case
def in_a_loop(x):
    total = 0.0
    while total < 10:
        total = total + x[x > 0].sum() + 0.5
        x = x * 1.1
    return total * x[x < 0].sum()


@case
def in_a_branch(x):
    y = x[x > 0]
    z = y * y if np.sum(x) > 0 else np.exp(y)
    return z.sum()


@case
def asked(x):
    m = x > 1
    return x[m].sum() if len(x[m]) > 0 and np.any(x[m] > 2) else x.sum()


@case
def winsorised(x):
    y = x.copy()
    low, high = x.mean() - x.std(), x.mean() + x.std()
    y[y < low] = low
    y[y > high] = high
    return np.sum(y**2)


each = pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)


@each
def test_values(f):
    g = ad.jit(f)
    for x in (X, Y):
        close(g(x), f(x), 1e-12)


@each
def test_gradients(f):
    compiled, through = ad.jit(ad.grad(f)), ad.grad(ad.jit(f))
    for x in (X, Y):
        want = slope(f, (x,), 0)
        close(compiled(x), want, 1e-5)
        close(through(x), compiled(x), 1e-11)


@each
def test_as_eager_code_under_every_transform(f):
    g = ad.differentiable(f)
    lanes = np.stack([X, Y])
    close(ad.vmap(g)(lanes), np.stack([f(X), f(Y)]), 1e-12)
    want = np.stack([ad.jit(ad.grad(f))(X), ad.jit(ad.grad(f))(Y)])
    close(ad.vmap(ad.grad(g))(lanes), want, 1e-10)
    close(ad.grad(g)(X), want[0], 1e-11)
    close(ad.jit(ad.hessian(f))(X), ad.hessian(g)(X), 1e-8)


def test_nothing_chosen():
    none = np.full(3, -1.0)
    f = ad.jit(lambda x: np.sum(x[x > 0]) + np.prod(x[x > 0]))
    assert f(none) == 1.0
    assert np.array_equal(ad.grad(f)(none), np.zeros(3))
    with pytest.raises(ValueError, match="zero-size array"):
        ad.jit(lambda x: x[x > 0].max())(none)
    with pytest.raises(IndexError, match="index 0 is out of bounds"):
        ad.jit(lambda x: x[x > 0][0])(none)
    assert np.isnan(ad.jit(lambda x: x[x > 0].mean())(none))


def test_what_was_chosen_is_a_copy():
    def f(x):
        y = x * 2
        m = y > 0
        z = y[m]
        y[m] = 0.0
        m[0] = False
        return np.sum(z) + np.sum(y) + np.sum(x[m])

    close(ad.jit(f)(X), f(X))


def test_single_precision_and_integers():
    x = X.astype(np.float32)
    for f in (summed, mean_of_some, spread, extremes, counted):
        y = ad.jit(f)(x)
        assert y.dtype == f(x).dtype
        close(y, f(x), 1e-5)
    n = np.array([3, -1, 4, -1, 5])
    g = lambda n: n[n > 0].max() * 10 + n[n > 0].sum() + n[n < 0].min()
    assert ad.jit(g)(n) == g(n)


REFUSED = [
    (lambda x: x[x > 0], "returns the entries"),
    (lambda x: np.sort(x[x > 0]).sum(), "np.sort is given"),
    (lambda x: np.sum(x[x > 0] * x[:3]), "of a certain length"),
    (lambda x: np.sum(x[x > 0] + x[x > 1]), "two masks"),
    (lambda x: [float(v) for v in x[x > 0]], "a loop goes over"),
    (lambda x: np.array(x[x > 0])[1], "is made of|is given"),
    (lambda x: x[x > 0][1:].sum(), "an index"),
    (lambda x: (np.outer(x, x)[x > 0] * x[x > 0]).sum(), "rows are brought together"),
    (lambda x: np.zeros(len(x[x > 0])).sum(), "known|len"),
]


@pytest.mark.parametrize("f, words", REFUSED)
def test_refused(f, words):
    with pytest.raises((ad.AdjointError, TypeError), match=words):
        ad.jit(f)(X)


def test_refused_writes():
    def more(x):
        y = x * 1.0
        y[x > 0] = x[x > 1]
        return y.sum()

    def array(x):
        y = x * 1.0
        y[x > 0] = np.array([1.0, 2.0, 3.0, 4.0])
        return y.sum()

    def alias(x):
        y = x[x > 0]
        y += 1
        return y.sum()

    for f, words in ((more, "another one"), (array, "written into"), (alias, "y = y")):
        with pytest.raises(FenceError, match=words):
            ad.jit(f)(X)
