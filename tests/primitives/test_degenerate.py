"""Repeated eigenvalues and singular values: a derivative is right there, or NaN."""

import numpy as np
import pytest

import adjoint as ad

rng = np.random.default_rng(7)


def hermitian(n, factor=0):
    x = rng.normal(size=(n, n)) + factor * rng.normal(size=(n, n))
    return (x + x.conj().T) / 2


def rotation(n, factor=0):
    return np.linalg.qr(rng.normal(size=(n, n)) + factor * rng.normal(size=(n, n)))[0]


def with_values(w, factor=0):
    q = rotation(len(w), factor)
    x = (q * np.array(w)) @ q.conj().T
    return (x + x.conj().T) / 2


def full(g):
    """The gradient of one triangle as that of a Hermitian matrix."""
    return (g + g.conj().T) / 2


def close(got, want):
    np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-9)


def is_nan(x):
    assert np.isnan(x).any(), x


def along(f, x, t, h=1e-5):
    return (f(x + h * t) - f(x - h * t)) / (2 * h)


REPEATED = {
    "identity": np.eye(3),
    "diagonal": np.diag([1.0, 1.0, 3.0]),
    "turned": with_values([1.0, 1.0, 3.0]),
    "complex": with_values([1.0, 1.0, 3.0], 1j),
    "zero": np.zeros((2, 2)),
}
PAIRS = [pytest.param(REPEATED[k], id=k) for k in ("diagonal", "turned", "complex")]


def spectral(f):
    def g(a):
        w, v = np.linalg.eigh(a)
        return (v * f(w)) @ np.conj(v).T

    return g


def dot(c, x):
    return np.sum(np.real(np.conj(c) * x))


# What is there


@pytest.mark.parametrize("a", [pytest.param(a, id=k) for k, a in REPEATED.items()])
def test_results_of_all_values(a):
    n = len(a)
    close(ad.grad(lambda a: np.linalg.eigh(a)[0].sum())(a), np.eye(n))
    close(ad.grad(lambda a: np.linalg.eigvalsh(a).sum())(a), np.eye(n))
    b = a + 2 * np.eye(n)
    want = np.linalg.inv(b)
    for f in (lambda a: np.log(np.linalg.eigh(a)[0]).sum(), lambda a: np.log(np.linalg.eigvalsh(a)).sum()):
        close(full(ad.grad(f)(b)), want)
    t = hermitian(n)
    close(ad.jvp(lambda a: np.log(np.linalg.eigvalsh(a)).sum(), (b,), (t + 0 * b,))[1], np.trace(want @ t).real)


@pytest.mark.parametrize("a", PAIRS)
def test_projector_on_the_space_of_a_repeated_value(a):
    c, t = hermitian(3, 1j if a.dtype.kind == "c" else 0), hermitian(3, 1j if a.dtype.kind == "c" else 0)

    def f(a):
        v = np.linalg.eigh(a)[1][:, :2]
        return dot(c, v @ np.conj(v).T)

    want = along(f, a, t)
    np.testing.assert_allclose(dot(ad.grad(f)(a), t), want, rtol=1e-6)
    np.testing.assert_allclose(ad.jvp(f, (a,), (t,))[1], want, rtol=1e-6)


@pytest.mark.parametrize("a", PAIRS)
def test_other_values_and_vectors_are_untouched(a):
    t = hermitian(3, 1j if a.dtype.kind == "c" else 0)

    def f(a):
        w, v = np.linalg.eigh(a)
        return w[2] ** 2 + np.abs(v[0, 2]) ** 2 * w[2]

    want = along(f, a, t)
    np.testing.assert_allclose(dot(ad.grad(f)(a), t), want, rtol=1e-6)
    np.testing.assert_allclose(ad.jvp(f, (a,), (t,))[1], want, rtol=1e-6)


@pytest.mark.parametrize("a", [pytest.param(a, id=k) for k, a in REPEATED.items()])
def test_traces_of_functions(a):
    # the cotangent is a multiple of 1: nothing is lost
    f = lambda a: np.trace(np.real(spectral(np.exp)(a)))
    close(full(ad.grad(f)(a)), spectral(np.exp)(a))


def test_flat_functions_of_a_matrix():
    # f' = 0 at the repeated value
    close(ad.grad(lambda a: dot(hermitian(3), spectral(np.cos)(a)))(np.zeros((3, 3))), np.zeros((3, 3)))


def test_forward_along_multiples_of_one():
    w, t = ad.jvp(lambda a: np.linalg.eigh(a)[0], (np.eye(3),), (2 * np.eye(3),))
    close(t, [2.0, 2, 2])
    close(ad.jvp(spectral(np.exp), (np.eye(3),), (2 * np.eye(3),))[1], 2 * np.e * np.eye(3))


def test_single_precision_and_stacks():
    a = np.stack([np.eye(2), np.diag([1.0, 2.0])]).astype(np.float32)
    g = ad.grad(lambda a: np.linalg.eigh(a)[0][:, 0].sum())(a)
    assert g.dtype == np.float32
    is_nan(g[0])
    close(g[1], np.diag([1.0, 0.0]))
    g = ad.vmap(ad.grad(lambda a: np.linalg.eigh(a)[0][0]))(a)
    is_nan(g[0])
    close(g[1], np.diag([1.0, 0.0]))


def test_captured_and_mapped_alike():
    stack = np.stack([np.diag([1.0, 1.0, 3.0]), np.diag([1.0, 2.0, 3.0]), np.eye(3)])
    for f in (*LOST.values(), lambda a: np.log(np.linalg.eigvalsh(a)).sum(), lambda a: np.linalg.svd(a)[1][0]):
        g = ad.grad(f)
        want = np.stack([g(a) for a in stack])
        close(ad.vmap(g)(stack), want)
        graph = ad.graph(g)(stack[1])
        close(np.stack([graph.run(a) for a in stack]).reshape(want.shape), want)
        h = ad.hessian(f)
        close(ad.vmap(h)(stack), np.stack([h(a) for a in stack]))


# What is lost


C = rng.normal(size=(3, 3))
LOST = {
    "function of a matrix": lambda a: dot(C, spectral(np.exp)(a)),
    "one element of it": lambda a: spectral(np.exp)(a)[0, 1].real,
    "its sum, where it is 0": lambda a: np.sum(spectral(np.log)(a)).real,
    "a single value": lambda a: np.linalg.eigh(a)[0][0],
    "weighed values": lambda a: dot(np.arange(3), np.linalg.eigh(a)[0]),
}


@pytest.mark.parametrize("name", LOST)
@pytest.mark.parametrize("a", [np.eye(3), np.diag([1.0, 1.0, 3.0]), REPEATED["turned"]], ids=str)
def test_nan_in_reverse(name, a):
    is_nan(ad.grad(LOST[name])(a))


def test_nan_for_one_of_the_vectors():
    a = REPEATED["turned"]
    is_nan(ad.grad(lambda a: dot(C[0], np.linalg.eigh(a)[1][:, 0]) ** 2)(a))
    is_nan(ad.grad(lambda a: np.abs(np.linalg.eigh(a)[1][:, 0] @ C[0]) ** 2)(REPEATED["complex"]))


@pytest.mark.parametrize("name", LOST)
def test_nan_in_forward(name):
    t = hermitian(3)
    for a in (np.eye(3), np.diag([1.0, 1.0, 3.0]), REPEATED["turned"]):
        is_nan(ad.jvp(LOST[name], (a,), (t,))[1])


def test_jacobian_of_a_function_has_no_wrong_number():
    n = 2
    got = ad.jacobian(spectral(np.exp))(np.eye(n))
    want = np.zeros((n, n, n, n))
    for i in range(n):
        for j in range(n):
            # of the lower triangle, from which eigh reads both
            want[i, j, max(i, j), min(i, j)] += np.e
    ok = ~np.isnan(got)
    close(got[ok], want[ok])
    assert not ok.all()


# Values alone


def test_subgradients_of_values_alone():
    g = ad.grad(lambda a: np.linalg.eigvalsh(a)[-1])(np.eye(3))
    assert np.isfinite(g).all() and np.isclose(np.trace(g), 1)
    assert (np.linalg.eigvalsh(full(g)) >= -1e-12).all()
    g = ad.grad(lambda a: np.linalg.svd(a, compute_uv=False)[0])(np.eye(3))
    assert np.isfinite(g).all() and np.isclose(np.trace(g), 1)
    close(ad.grad(lambda a: np.linalg.svdvals(a).sum())(np.zeros((2, 3))), np.zeros((2, 3)))


ORDERS = {
    "reverse twice": lambda f: ad.jacrev(ad.grad(f)),
    "forward over reverse": lambda f: ad.jacfwd(ad.grad(f)),
    "forward twice": lambda f: ad.jacfwd(ad.jacfwd(f)),
    "reverse over forward": lambda f: ad.jacrev(ad.jacfwd(f)),
}
MATRICES = {"identity": np.eye(2), "diagonal": np.diag([1.0, 1.0, 3.0]), "zero": np.zeros((2, 2))}
SMOOTH = {  # of values; the function of the matrix
    "square": (lambda w: np.sum(w**2), lambda x: np.sum(x * x)),
    "shifted": (lambda w: np.sum((w - 1) ** 2), lambda x: np.sum((x - np.eye(len(x))) ** 2)),
    "sum": (np.sum, np.trace),
}


def symmetric(a):
    return (a + a.T) / 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("place", MATRICES)
@pytest.mark.parametrize("values", [np.linalg.eigvalsh, lambda a: np.linalg.eigh(a)[0]], ids=["eigvalsh", "eigh"])
def test_second_derivatives_are_right_or_nan(order, name, place, values):
    f, whole = SMOOTH[name]
    a = MATRICES[place]
    got = ORDERS[order](lambda a: f(values(symmetric(a))))(a)
    want = ad.hessian(lambda a: whole(symmetric(a)))(a)
    ok = ~np.isnan(got)
    close(got[ok], want[ok])
    if name == "sum" and order in ("reverse twice", "forward over reverse"):
        assert ok.all()
    if name != "sum":
        assert not ok.all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ("svdvals", "svd"))
def test_second_derivatives_of_singular_values_are_right_or_nan(order, name):
    values = np.linalg.svdvals if name == "svdvals" else lambda a: np.linalg.svd(a, full_matrices=False)[1]
    for a in (np.eye(2), np.array([[2.0, 0], [0, 2], [0, 0]]), np.diag([1.0, 0.0]), np.ones((2, 2))):
        got = ORDERS[order](lambda a: np.sum(values(a) ** 2))(a)
        want = 2 * np.eye(a.size).reshape(a.shape * 2)
        ok = ~np.isnan(got)
        close(got[ok], want[ok])


@pytest.mark.parametrize("order", ORDERS)
def test_second_derivative_of_the_largest_value_is_nan(order):
    is_nan(ORDERS[order](lambda a: np.linalg.eigvalsh(symmetric(a))[-1])(np.eye(2)))


def test_where_values_differ_second_derivatives_are_right():
    a = np.diag([1.0, 1.0, 3.0]) + 0.1 * symmetric(C)
    for order in ORDERS.values():
        got = order(lambda a: np.sum(np.linalg.eigvalsh(symmetric(a)) ** 3))(a)
        want = ad.hessian(lambda a: np.trace(np.linalg.matrix_power(symmetric(a), 3)))(a)
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


# Matrices that are not Hermitian


def test_eig():
    a = np.diag([1.0, 1.0, 3.0]) + np.outer([0, 0, 1], [0.5, 0.2, 0])
    for x in (np.eye(3), a):
        close(ad.grad(lambda a: np.real(np.sum(np.log(np.linalg.eigvals(a)))))(x), np.linalg.inv(x).T)
        k = np.argmin(np.linalg.eigvals(x).real)
        is_nan(ad.grad(lambda a: np.real(np.linalg.eig(a)[0])[k])(x))  # noqa: B023
        is_nan(ad.jvp(lambda a: np.real(np.linalg.eigvals(a)), (x,), (C,))[1])
        is_nan(ad.grad(lambda a: np.real(np.sum(np.linalg.eig(a)[1][:, k])))(x))  # noqa: B023

        def exp(a):
            w, v = np.linalg.eig(a)
            return np.real(np.sum(C * np.real((v * np.exp(w)) @ np.linalg.inv(v))))

        is_nan(ad.grad(exp)(x))
        is_nan(ad.jvp(exp, (x,), (C,))[1])
    # the value that is not repeated
    k = np.argmax(np.linalg.eigvals(a).real)
    t = rng.normal(size=(3, 3))
    f = lambda a: np.real(np.linalg.eig(a)[0])[k]
    np.testing.assert_allclose(np.sum(ad.grad(f)(a) * t), along(f, a, t), rtol=1e-6)


# Singular values


def thin(f):
    def g(a):
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        return (u * f(s)) @ vh

    return g


def test_singular_values_right():
    q = rotation(3)
    for a in (np.eye(3), 2 * q, np.diag([2.0, 2.0, 5.0]) @ q):
        want = np.linalg.inv(a).T
        close(ad.grad(lambda a: np.log(np.linalg.svd(a)[1]).sum())(a), want)
        close(ad.grad(lambda a: np.log(np.linalg.svdvals(a)).sum())(a), want)
        # the space of the repeated value; the polar factor does not see s at all
        t = rng.normal(size=(3, 3))

        def polar(a):
            u, _, vh = np.linalg.svd(a)
            return np.sum(C * (u @ vh))

        want = along(polar, a, t)
        np.testing.assert_allclose(np.sum(ad.grad(polar)(a) * t), want, rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(ad.jvp(polar, (a,), (t,))[1], want, rtol=1e-6, atol=1e-8)
    a = rotation(4)[:, :3] @ np.diag([2.0, 2.0, 5.0]) @ q
    def f(a):
        vh = np.linalg.svd(a)[2][1:]
        return np.sum(C * (vh.T @ vh))

    t = rng.normal(size=a.shape)
    np.testing.assert_allclose(np.sum(ad.grad(f)(a) * t), along(f, a, t), rtol=1e-6, atol=1e-8)


def test_singular_value_zero_once():
    # a square real matrix with one singular value 0: u f(s) v^H for odd f is smooth there
    for a in (np.diag([2.0, 1.0, 0.0]), rotation(3) @ np.diag([2.0, 1.0, 0.0]) @ rotation(3)):
        close(ad.grad(lambda a: np.sum(C * thin(lambda s: 1.0 * s)(a)))(a), C)
        t = rng.normal(size=(3, 3))
        close(ad.jvp(thin(lambda s: 1.0 * s), (a,), (t,))[1], t)


def singular(m, n, factor=0):
    x, y = (rng.normal(size=(k, 1)) + factor * rng.normal(size=(k, 1)) for k in (m, n))
    return x @ y.conj().T


SINGULAR = {
    "identity": np.eye(3),
    "turned": 2 * rotation(3),
    "zero": np.zeros((2, 3)),
    "tall": singular(4, 2),
    "wide": singular(2, 4),
    "rank one": singular(3, 3),
    "complex, rank one": singular(2, 2, 1j),
    "complex": 2 * rotation(2, 1j),
}


@pytest.mark.parametrize("f", [lambda s: 1.0 * s, np.sinh], ids=["s", "sinh"])
@pytest.mark.parametrize("place", SINGULAR)
def test_functions_of_singular_values_are_right_or_nan(place, f):
    a = SINGULAR[place]
    c = rng.normal(size=a.shape)
    g = ad.grad(lambda a: dot(c, thin(f)(a)))(a)
    t = rng.normal(size=a.shape) + (1j * rng.normal(size=a.shape) if a.dtype.kind == "c" else 0)
    want = along(thin(f), a, t, 1e-4)
    if not np.isnan(g).any():
        np.testing.assert_allclose(dot(g, t), dot(c, want), rtol=1e-5)
    got = ad.jvp(thin(f), (a,), (t,))[1]
    assert np.isnan(got).any() or np.allclose(got, want, rtol=1e-5)
    if place in ("identity", "turned", "tall", "zero", "complex"):
        is_nan(g)
        is_nan(got)


def test_single_singular_values_and_vectors_are_nan():
    for a in (np.eye(3), 2 * rotation(3), np.diag([2.0, 2.0, 5.0]) @ rotation(3)):
        is_nan(ad.grad(lambda a: np.linalg.svd(a)[1][-1])(a))
        is_nan(ad.jvp(lambda a: np.linalg.svd(a)[1], (a,), (C,))[1])
    is_nan(ad.grad(lambda a: np.linalg.svd(a)[0][0, 0] ** 2)(2 * rotation(3)))
    # the further columns of full u are any basis of what is left
    is_nan(ad.grad(lambda a: np.linalg.svd(a)[0][0, 2] ** 2)(rng.normal(size=(4, 2))))


@pytest.mark.parametrize("f", [np.median, np.nanmedian])
def test_medians_of_no_lines(f):
    x = np.zeros((3, 0))
    y, pull = ad.vjp(lambda x: f(x, axis=0), x)
    assert y.shape == (0,)
    assert pull(np.zeros(0))[0].shape == (3, 0)
