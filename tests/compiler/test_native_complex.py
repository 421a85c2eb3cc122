"""Complex numbers in native code: NumPy's values, at zeros, infinities and NaN too, and nothing is called back."""

import cmath

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad
from adjoint.compiler.passes.complexes import complexes
from adjoint.compiler.program import Program
from adjoint.traces.capture import capture
from adjoint.traces.derive import whole_vjp

DTYPES = [np.complex128, np.complex64]
ONE = """exp log sqrt square reciprocal negative conjugate absolute angle real imag sin cos tan sinh cosh tanh log1p expm1 log2
log10 isnan isinf isfinite"""
ONE = {name: getattr(np, name) for name in ONE.split()}
TWO = {f.__name__: f for f in (np.add, np.subtract, np.multiply, np.divide, np.equal, np.not_equal, np.power)}
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 1e-30]
ARRAYS = {
    "sum": lambda x: x.sum(0),
    "sum of all": np.sum,
    "mean": lambda x: x.mean(1),
    "var": np.var,
    "norm": np.linalg.norm,
    "prod": lambda x: x.prod(1),
    "prod, kept": lambda x: x.prod(0, keepdims=True),
    "prod of all": np.prod,
    "cumsum": lambda x: np.cumsum(x, 0),
    "views": lambda x: x.T[::2, ::-1],
    "concatenate": lambda x: np.concatenate([x, x.real]),
    "stack": lambda x: np.stack([x, x * 2]),
    "gather": lambda x: x[np.array([1, 2, -1])],
    "where": lambda x: np.where(x.real > 0, x, 1),
    "powers": lambda x: x**2 + x**3 + x**-2 + x**0.5 + x**0,
    "scalars": lambda x: 2j * x + 1 - x[2, 3],
    "one number": lambda x: x[2, 3] * x[0, 0],
    "narrower": lambda x: x.astype(np.complex64),
    "wider": lambda x: x.real.astype(complex),
    "trace": np.trace,
    "outer": lambda x: np.outer(x[0], x[1]),
    "matmul": lambda x: x.conj() @ x.T,
    "matmul with real": lambda x: x @ x.real.T + x.real @ x.T,
    "matmul with vectors": lambda x: x @ x[0] + x.T[:7].T[:, :7] @ x[:, 1],
    "dot": lambda x: x[0] @ x[1],
    "small matmul": lambda x: x[:2, :2] @ x[:2, :2],
    "stack of matmuls": lambda x: np.stack([x, x]) @ np.stack([x.T, x.T]),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "eigh": lambda x: np.linalg.eigvalsh(x[:, :7] @ x[:, :7].conj().T),
}


@pytest.fixture(autouse=True)
def _no_disk_cache(no_disk_cache):
    pass


def numbers(rng, n, dtype):
    return (rng.normal(size=n) + 1j * rng.normal(size=n)).astype(dtype)


def equal(f, *xs, ulps=16):
    h = ad.jit(f)
    with np.errstate(all="ignore"):
        got, want = np.asarray(h(*xs)), np.asarray(f(*xs))
    assert got.dtype == want.dtype and got.shape == want.shape
    assert close(got, want, ulps).all(), (got[~close(got, want, ulps)][:3], want[~close(got, want, ulps)][:3])
    assert "called back" not in h.explain(*xs)


def close(a, b, ulps):
    if b.dtype.kind == "b":
        return a == b
    eps = np.finfo(b.dtype).eps
    fine = np.isfinite(a) & np.isfinite(b)
    with np.errstate(all="ignore"):
        return (a == b) | ((a != a) & (b != b)) | (fine & (np.abs(a - b) <= ulps * eps * np.abs(b)))


def grid(dtype):
    z = np.empty(len(SPECIAL) ** 2, complex)
    z.real, z.imag = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    return z.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_number(name, dtype):
    rng = np.random.default_rng(0)
    for n in (5, 1003):
        equal(ONE[name], numbers(rng, n, dtype))
    equal(ONE[name], numbers(rng, (11, 6), dtype).T[:, ::-2])
    equal(ONE[name], grid(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_numbers(name, dtype):
    f, rng = TWO[name], np.random.default_rng(1)
    for n in (5, 1003):
        x, y = numbers(rng, n, dtype), numbers(rng, n, dtype)
        equal(f, x, y)
        equal(f, x, y[0])
        equal(lambda x: f(x, 2.5), x)
        equal(f, x, y.real.copy())
        equal(f, x.real.copy(), y)
    a, b = (v.ravel() for v in np.meshgrid(grid(dtype), grid(dtype)))
    if name == "power":  # of what is not finite NumPy gives what its C library does
        keep = np.isfinite(a) & np.isfinite(b) & (np.abs(a) > 1e-20)
        a, b = a[keep], b[keep]
    equal(f, a, b)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_parts_of_special_values(name):
    """Each part for itself: NaN, infinite, negative zero where NumPy's is."""
    a, b = (v.ravel() for v in np.meshgrid(grid(complex), grid(complex)))
    with np.errstate(all="ignore"):
        got, want = ad.jit(TWO[name])(a, b), TWO[name](a, b)
    for x, y in ((got.real, want.real), (got.imag, want.imag)):
        assert np.array_equal(np.isnan(x), np.isnan(y)) and np.array_equal(np.isinf(x), np.isinf(y))
        infinite = np.isinf(y)
        assert np.array_equal(x[infinite], y[infinite])


def test_logarithm_near_one_and_of_the_largest():
    z = np.array([1 + 1e-9j, 1 - 1e-12 + 1e-7j, 0.6 + 0.8j, 1.2e308 + 1.2e308j, 1e-310 + 1e-310j])
    want = np.array([cmath.log(v) for v in z])
    assert np.allclose(ad.jit(np.log)(z), want, rtol=1e-14, atol=0)


def test_exponential_that_overflows_by_itself():
    z = np.array([710 + 1.57j, 709.9 + 3.1j, -745 + 1j])
    got = ad.jit(np.exp)(z)
    with np.errstate(all="ignore"):
        want = np.exp(z)
    assert np.allclose(got.real, want.real, rtol=1e-13, atol=0) and np.allclose(got.imag, want.imag, rtol=1e-13, atol=0)
    assert np.isfinite(got[0].real) and np.isinf(got[0].imag)


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    x = numbers(np.random.default_rng(2), (7, 9), complex)
    equal(ARRAYS[name], x, ulps=256)


@pytest.mark.parametrize("size", [3, 50])
def test_gradients(size):
    rng = np.random.default_rng(3)
    z, w, r = numbers(rng, size, complex), numbers(rng, (size, size), complex), rng.normal(size=size)

    def f(z, w, r):
        y = w @ (z * np.exp(1j * r)) / (1 + np.abs(z))
        return np.sum(np.abs(np.sin(y)) ** 2 + np.log(np.abs(y))) + np.real(np.sum(np.sqrt(z) * y[::-1]))

    for got, want in zip(ad.jit(ad.grad(f, (0, 1, 2)))(z, w, r), ad.grad(f, (0, 1, 2))(z, w, r), strict=True):
        assert np.allclose(got, want, rtol=1e-11)


def test_states_of_loops():
    def f(z, n):
        y = z
        for _ in range(n):
            y = y * y + z
        return np.abs(y).sum()

    z = np.array([0.1 + 0.2j, -0.3 + 0.1j])
    h = ad.jit(lambda z, n: f(z, n))
    for n in (1, 2, 3, 4, 5, 6, 7):
        assert np.isclose(h(z, n), f(z, n), rtol=1e-14)
    assert np.allclose(ad.jit(ad.grad(f), static_argnums=1)(z, 4), ad.grad(f)(z, 4), rtol=1e-12)


def test_python_numbers_stay_so():
    y = ad.jit(lambda z: z * z + 1)(1 + 2j)
    assert type(y) is complex and y == (1 + 2j) ** 2 + 1


def test_python_numbers_with_arrays_are_arrays():
    x = np.random.default_rng(6).normal(size=(7, 9))
    equal(lambda x: np.imag(3j - x) + np.abs(np.log(3j - x + 3)), x)
    assert not capture(lambda x: 3j - x, x).outputs[0].type.weak


def test_other_graphs_stay():
    graph = capture(lambda x: np.sum(np.exp(x)), np.ones(3))
    assert complexes(graph) is graph
    graph = capture(lambda z: z * z, np.ones(3, np.clongdouble))
    assert complexes(graph) is graph


def test_empty():
    z = np.zeros((0, 3), complex)
    assert ad.jit(lambda z: z * 2j)(z).shape == (0, 3)
    assert ad.jit(np.sum)(z) == 0
    assert ad.jit(lambda z: z.T @ z)(z).tolist() == [[0j] * 3] * 3


# Random programs


_ROWS: list = [
    np.exp, np.sin, np.cos, np.tanh, np.sqrt, lambda z: np.log(z + 3), np.conjugate, np.negative, lambda z: z * 1j, lambda z: z**2,
    lambda z: 1 / (z + 5), np.real, np.imag, np.abs, np.angle, lambda z: z[::-1], lambda z: z.T, lambda z: z.sum(0),
    lambda z: z.sum(-1, keepdims=True), lambda z: z.reshape(-1), lambda z: np.cumsum(z, -1), lambda z: np.where(np.real(z) > 0, z, 1j * z),
    lambda z: z.mean(), lambda z: np.concatenate([z, z * 2]), lambda z: np.roll(z, 1, -1), lambda z: z[..., 0], lambda z: 3j - z,
    lambda z: np.prod(z, 0), lambda z: z + 2.5,
]  # fmt: skip
_PAIRS: list = [
    np.add, np.subtract, np.multiply, lambda a, b: a / (b + 4), lambda a, b: a @ b.T, lambda a, b: np.where(np.abs(a) > np.abs(b), a, b),
    lambda a, b: np.stack([a, b]), lambda a, b: np.sum(a * np.conj(b)),
]  # fmt: skip


def program(rng):
    """A function of three arrays: steps that take what earlier ones made; a step whose shapes do not fit is left away."""
    steps = []
    for _ in range(rng.integers(4, 12)):
        table = _ROWS if rng.random() < 0.6 else _PAIRS
        steps.append((table[rng.integers(len(table))], rng.random(2 if table is _PAIRS else 1)))

    def f(*xs):
        values = list(xs)
        for step, places in steps:
            try:
                y = step(*(values[int(p * len(values))] for p in places))
            except (ValueError, IndexError, TypeError):
                continue
            if np.size(y) < 20_000:
                values.append(y)
        return values[3:][-3:]

    return f


@pytest.mark.parametrize("seed", range(20))
def test_random_programs(seed):
    """With the zones around its memory looked at; the pullback too."""
    rng = np.random.default_rng(seed)
    f = program(rng)
    shapes = [(7, 9), (7, 9), (9, 7), (40,), (3, 3)]
    xs = [numbers(rng, shapes[i], complex) for i in rng.integers(0, 5, 3)]
    xs = [x if rng.random() < 0.75 else x.real.copy() for x in xs]
    graph = capture(f, *xs)
    asked = [(graph, xs)]
    if all(v.type.dtype.kind in "fc" for v in graph.outputs):
        gs = [numbers(rng, v.type.shape, complex).real.astype(v.type.dtype)[()] for v in graph.outputs]
        asked.append((whole_vjp(graph, (True, True, True)), [*gs, *xs]))
    for g, args in asked:
        with np.errstate(all="ignore"):
            want = g.run(*args)
        p = Program(g, checks=True).compile()
        assert p.native, p.notes
        for a, b in zip(p(*args), want, strict=True):
            a, b = np.asarray(a), np.asarray(b)
            assert a.dtype == b.dtype and a.shape == b.shape
            size = np.max(np.abs(b), initial=0.0)
            if np.isfinite(size) and size < 1e100:
                assert np.abs(a - b).max(initial=0.0) <= 1e-9 * size
