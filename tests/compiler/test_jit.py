"""jit as users meet it: arguments, containers, results, transforms around and inside it, errors."""

import functools

import numpy as np
import pytest

import adjoint as ad
from adjoint.core.errors import AdjointError, DTypeError, ShapeError
from tests.compiler.jitting import Data, Model, Pair, X, agree, same, wave

pytestmark = pytest.mark.usefixtures("no_disk_cache")

# Containers and arguments


@pytest.mark.parametrize(
    "f, arg",
    [
        (lambda p: Pair(p.b + p.a, p.a * 2), Pair(X, 2.0)),
        (lambda d: {"y": [d["a"] * 2, None, "name"], "z": (d["b"][0],), "t": True}, {"a": X, "b": [1.5]}),
        (lambda t: [t[0][1] - t[1], (), {}], ((X, X * 2), X)),
        (lambda x: None, X),
        (lambda x: ("a", x, 2.0, np.ones(3), x), X),
        (lambda x: x.shape, X),
        (lambda x: (x > 0).any(), X),
    ],
)
def test_containers(f, arg):
    agree(f, arg)


def test_dataclass():
    got = ad.jit(lambda p: Data(p.a * 2, p.b + p.a))(Data(X, 2.0))
    assert type(got) is Data
    same(got.a, X * 2)
    same(got.b, X + 2.0)


def test_order_of_keys_does_not_matter():
    f = ad.jit(lambda d: d["a"] - d["b"])
    for _ in range(2):
        same(f({"a": X, "b": X * 2}), -X)
        same(f({"b": X * 2, "a": X}), -X)


def test_keywords():
    f = ad.jit(lambda x, *, k=2.0, m=None: x * k if m is None else x * k + m)
    for _ in range(2):
        same(f(X), X * 2.0)
        same(f(X, k=3.0), X * 3.0)
        same(f(x=X), X * 2.0)
        same(f(k=3.0, x=X), X * 3.0)
        same(f(X, m=X, k=1.0), X + X)


def test_flags_strings_and_functions_are_compiled_in():
    f = lambda x, flag, name, g: g(x) if flag and name == "go" else x
    agree(f, X, True, "go", np.sin)
    agree(f, X, False, "go", np.sin)
    g = ad.jit(f)
    same(g(X, True, "go", np.sin), np.sin(X))
    same(g(X, True, "go", np.cos), np.cos(X))
    same(g(X, True, "stop", np.cos), X.copy())


def test_static_arguments():
    f = ad.jit(lambda x, n: x**n, static_argnums=1)
    for n in (1, 2, 3, 4, 5, 6, 2):
        same(f(X, n), X**n)
    assert len(f._entries) == 6
    f = ad.jit(lambda x, mode="plus": x if mode == "plus" else -x, static_argnames="mode")
    same(f(X, mode="minus"), -X)
    same(f(X), X.copy())
    with pytest.raises(DTypeError, match="cannot be hashed"):
        ad.jit(lambda x, n: x, static_argnums=1)(X, [1])


def test_static_numbers_of_other_types_are_others():
    f = ad.jit(lambda x, n: x * n if type(n) is int else x + n, static_argnums=1)
    same(f(X, 1), X * 1)
    same(f(X, 1.0), X + 1.0)
    same(f(X, 1), X * 1)


def test_ints_are_compiled_in_until_there_are_many():
    f = ad.jit(lambda x, n: x * n)
    for n in [*range(20), -3, 2**40, 2**62]:
        same(f(X, n), X * n)
    assert len(f._entries) == 5
    same(f(X, 2**70), X * 2**70)


def test_shapes_dtypes_and_weak_numbers_are_told_apart():
    f = ad.jit(lambda x, k: x * k)
    single = X.astype(np.float32)
    for args in [
        (X, 2.0),
        (single, 2.0),
        (single, np.float64(2.0)),
        (single, np.float32(2)),
        (X[:5], 2.0),
        (X, single),
        (X, 2),
    ] * 2:
        same(f(*args), args[0] * args[1])


def test_old_signatures_go():
    f = ad.jit(lambda x: x * 2)
    for n in range(1, 140):
        same(f(np.ones(n)), np.full(n, 2.0))
    assert len(f._entries) == 128


@pytest.mark.parametrize("char", "?bBhHiIlLefdFD")
def test_dtypes(char):
    x = X.astype(char)
    agree(lambda x: x + x, x, tol=1e-2)
    agree(lambda x: x.sum(), x, tol=1e-2)
    agree(lambda x: np.where(x > 0, x, x[0]), x)


@pytest.mark.parametrize(
    "x",
    [2.0, 3, np.float64(2), np.float32(2), np.int32(2), np.array(2.0), np.array(2.0, np.float32), np.True_, 2 + 1j],
    ids=repr,
)
def test_numbers(x):
    agree(lambda x: (x * 2, x + x), x)


def test_layouts():
    a = np.arange(24.0).reshape(4, 6)
    f = ad.jit(lambda x: x * 2 + x.sum(0))
    read_only = a.copy()
    read_only.flags.writeable = False
    unaligned = np.frombuffer(bytes(1) + a.tobytes(), np.uint8)[1:].view(float).reshape(4, 6)
    repeated = np.lib.stride_tricks.as_strided(a, (4, 6), (0, 8))
    views = [
        a,
        np.asfortranarray(a),
        a[:, ::-1],
        a[::-1, ::-1],
        np.repeat(a, 2, 1)[:, ::2],
        a.astype(">f8"),
        repeated,
        unaligned,
        read_only,
    ]
    for x in views * 2:
        same(f(x), np.asarray(x * 2 + x.sum(0), float))


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_empty_arrays(shape):
    x = np.zeros(shape)
    agree(lambda x: (x * 2, x.sum(), x.sum(-1), x.T @ x), x)
    same(ad.jit(ad.grad(lambda x: np.sum(x * x)))(x), x)


def test_special_values():
    f = ad.jit(lambda x, k: x * k)
    for k in (np.nan, np.inf, -np.inf):
        np.testing.assert_array_equal(f(X, k), X * k)
    inverse = ad.jit(lambda x: 1 / x)
    with np.errstate(divide="ignore"):
        assert np.all(inverse(np.full(20, -0.0)) == -np.inf)


def test_tensor_in_tensor_out():
    f = ad.jit(lambda x: x * 2)
    t = ad.tensor(X)
    for _ in range(2):
        assert type(f(X)) is np.ndarray
        assert type(f(t)) is ad.Tensor
    t.attach_grad()
    ad.jit(wave)(t).backward()
    same(np.asarray(t.grad), ad.grad(wave)(X))


# Results


def test_results_are_the_callers():
    f = ad.jit(lambda x: (x, x, x * 2, np.ones(3)))
    x = X.copy()
    a, b, c, ones = f(x)
    for i, u in enumerate((a, b, c, ones, x)):
        for v in (a, b, c, ones, x)[i + 1 :]:
            assert not np.shares_memory(u, v)
    for u in (a, b, c, ones):
        u[:] = 99
    assert x[0] == X[0]
    same(f(x), (X, X, X * 2, np.ones(3)))


def test_no_result_is_reused_while_it_is_held():
    f = ad.jit(lambda x: x * 2)
    first = f(X)
    view, buffer = first[2:5], memoryview(f(X + 1))
    del first
    others = [f(X + i) for i in range(10)]
    row = np.asarray(f(X + 5))[::-1]
    more = [f(X - i) for i in range(10)]
    same(view, X[2:5] * 2)
    same(np.asarray(buffer), (X + 1) * 2)
    same(row.copy(), ((X + 5) * 2)[::-1].copy())
    for i, (a, b) in enumerate(zip(others, more)):
        same(a, (X + i) * 2)
        same(b, (X - i) * 2)


def test_a_result_as_the_next_argument():
    f = ad.jit(lambda x: x[::-1] * 1.5 + np.sum(x))
    y = z = X.copy()
    for _ in range(50):
        y, z = f(y), z[::-1] * 1.5 + np.sum(z)
    np.testing.assert_allclose(y, z, rtol=1e-10)


def test_out():
    f = ad.jit(lambda x: x * 2)
    out = np.empty(21)
    for _ in range(2):
        assert f(X, out=out) is out
        same(out, X * 2)
    column = np.empty((21, 2))[:, 0]
    f(X, out=column)
    same(column.copy(), X * 2)
    tree = {"a": np.empty(21), "b": np.empty(())}
    g = ad.jit(lambda x, k=1.0: {"a": x * k, "b": x.sum()})
    for k in (2.0, 3.0):
        g(X, k=k, out=tree)
        same(tree["a"], X * k)
        np.testing.assert_allclose(tree["b"], X.sum())


def test_out_that_overlaps_an_input():
    f = ad.jit(lambda x: x[::-1] * 2)
    for _ in range(2):
        y = X.copy()
        f(y, out=y)
        same(y, X[::-1] * 2)
    g = ad.jit(lambda x: (x * 2, x * 3))
    for _ in range(2):
        y = X.copy()
        _, b = g(y, out=(y, np.empty(21)))
        same(b, X * 3)
        same(y, X * 2)
    long = np.concatenate([X, X[:3]])
    want = X[::-1] * 2
    f(long[:21], out=long[3:])
    same(long[3:].copy(), want)


def test_bad_out():
    f = ad.jit(lambda x: x * 2)
    locked = np.empty(21)
    locked.flags.writeable = False
    for _ in range(2):
        for out in (np.empty(20), np.empty(21, np.float32), [0.0] * 21, np.empty((21, 1)), locked):
            with pytest.raises(ShapeError):
                f(X, out=out)


# Transforms around and inside

LANES = np.stack([X, X * 2])


@pytest.mark.parametrize(
    "compiled, eager",
    [
        (lambda: ad.jit(ad.grad(wave))(X), lambda: ad.grad(wave)(X)),
        (lambda: ad.grad(ad.jit(wave))(X), lambda: ad.grad(wave)(X)),
        (lambda: ad.jit(ad.value_and_grad(wave))(X), lambda: ad.value_and_grad(wave)(X)),
        (lambda: ad.value_and_grad(ad.jit(wave))(X), lambda: ad.value_and_grad(wave)(X)),
        (lambda: ad.vmap(ad.jit(wave))(LANES), lambda: ad.vmap(wave)(LANES)),
        (lambda: ad.jit(ad.vmap(ad.grad(wave)))(LANES), lambda: ad.vmap(ad.grad(wave))(LANES)),
        (lambda: ad.vmap(ad.jit(ad.grad(wave)))(LANES), lambda: ad.vmap(ad.grad(wave))(LANES)),
        (lambda: ad.grad(lambda x: np.sum(ad.vmap(ad.jit(wave))(x)))(LANES), lambda: ad.vmap(ad.grad(wave))(LANES)),
        (lambda: ad.hessian(ad.jit(wave))(X), lambda: ad.hessian(wave)(X)),
        (lambda: ad.jit(ad.hessian(wave))(X), lambda: ad.hessian(wave)(X)),
        (lambda: ad.hvp(ad.jit(wave))(X, X), lambda: ad.hvp(wave)(X, X)),
        (lambda: ad.jit(ad.hvp(wave))(X, X), lambda: ad.hvp(wave)(X, X)),
        (lambda: ad.jacobian(ad.jit(np.sin))(X), lambda: ad.jacobian(np.sin)(X)),
        (lambda: ad.jit(ad.jacfwd(np.tanh))(X), lambda: ad.jacobian(np.tanh)(X)),
        (lambda: ad.jvp(ad.jit(wave), (X,), (X,)), lambda: ad.jvp(wave, (X,), (X,))),
        (lambda: ad.jit(lambda x: ad.jvp(wave, (x,), (x,)))(X), lambda: ad.jvp(wave, (X,), (X,))),
        (lambda: ad.vjp(ad.jit(np.square), X)[1](X)[0], lambda: 2 * X * X),
        (lambda: ad.linearize(ad.jit(wave), X)[1](X), lambda: ad.jvp(wave, (X,), (X,))[1]),
        (lambda: ad.linearize(ad.jit(wave), X)[0], lambda: wave(X)),
        (lambda: ad.jit(ad.jit(wave))(X), lambda: wave(X)),
        (lambda: ad.jit(lambda x: ad.jit(wave)(x) * 2)(X), lambda: wave(X) * 2),
        (lambda: ad.grad(ad.jit(lambda x: ad.jit(wave)(x) * 2))(X), lambda: 2 * ad.grad(wave)(X)),
        (lambda: ad.jit(ad.grad(ad.jit(wave)))(X), lambda: ad.grad(wave)(X)),
        (lambda: ad.grad(lambda x: np.sum(ad.jit(ad.grad(wave))(x)))(X), lambda: np.sum(ad.hessian(wave)(X), 0)),
        (lambda: ad.grad(ad.checkpoint(ad.jit(wave)))(X), lambda: ad.grad(wave)(X)),
        (lambda: ad.jit(ad.grad(ad.checkpoint(wave)))(X), lambda: ad.grad(wave)(X)),
        (lambda: ad.vmap(ad.jit(lambda x, y: x * y), in_axes=(0, None))(X, 3.0), lambda: X * 3.0),
        (lambda: ad.grad(ad.jit(lambda x, p: x**p), argnums=(0, 1))(2.0, 3.0), lambda: (12.0, float(np.log(2.0) * 8))),
    ],
)
def test_transforms(compiled, eager):
    same(compiled(), eager(), 1e-11)


CUBE = lambda x: x * x * x
OF_NUMBERS = {
    "grad": (ad.grad(CUBE), 12.0),
    "value_and_grad": (ad.value_and_grad(CUBE), (8.0, 12.0)),
    "of NumPy's numbers": (ad.grad(lambda x: np.square(x) * x), 12.0),
    "constant": (ad.grad(lambda x: 3.0 * x), 3.0),
    "not used": (ad.grad(lambda x: 3.0), 0.0),
    "grad of grad": (ad.grad(ad.grad(CUBE)), 12.0),
    "hessian": (ad.hessian(CUBE), 12.0),
    "jacfwd": (ad.jacfwd(CUBE), 12.0),
    "jacrev": (ad.jacrev(CUBE), 12.0),
    "jvp": (lambda x: ad.jvp(CUBE, (x,), (1.0,)), (8.0, 12.0)),
    "vjp": (lambda x: ad.vjp(CUBE, x)[1](1.0), (12.0,)),
    "linearize": (lambda x: ad.linearize(CUBE, x)[1](1.0), 12.0),
    "container": (lambda x: ad.grad(lambda p: p["a"] * p["b"])({"a": x, "b": 3.0}), {"a": 3.0, "b": 2.0}),
    "complex": (lambda x: ad.grad(lambda z: abs(z) ** 2)(x + 1j), 4.0 + 2.0j),
    "no wider than float32": (lambda x: np.float32(2) * ad.grad(CUBE)(x), np.float32(24)),
    "in a loop": (lambda x: ad.while_loop(lambda y: y < 100.0, lambda y: ad.grad(CUBE)(y), x), 432.0),
}


@pytest.mark.parametrize("f, want", OF_NUMBERS.values(), ids=OF_NUMBERS)
def test_derivatives_of_python_numbers(f, want):
    """They are Python's numbers, compiled too."""
    same(f(2.0), want)
    same(ad.jit(f)(2.0), want)


ENTRYWISE = {
    "sin": np.sin,
    "itself": lambda x: x,
    "float32": lambda x: np.sin(x).astype(np.float32),
    "float64": lambda x: x * np.float64(2.0),
    "a column": lambda x: x.reshape(-1, 1) ** 2,
    "constant": lambda x: np.ones(3),
    "complex": lambda x: x * 1j,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n", [7, 8, 9, 49])
@pytest.mark.parametrize("f", ENTRYWISE.values(), ids=ENTRYWISE)
def test_jacobians_of_few_and_many_rows(f, n, dtype):
    """However it is computed, a Jacobian has its shape and the dtype of the input (complex where the result is)."""
    x = np.linspace(0.1, 1.0, n).astype(dtype)
    want = np.stack([np.imag(f(x + 1e-30j * e)) * 1e30 for e in np.eye(n)], -1) if f is np.sin else None
    shape = (*np.shape(f(x)), n)
    kind = np.result_type(dtype, np.complex64) if np.iscomplexobj(f(x)) else np.dtype(dtype)
    for mode in ("auto", "fwd", "rev"):
        for jacobian in (ad.jacobian(f, mode=mode), ad.jit(ad.jacobian(f, mode=mode))):
            y = jacobian(x)
            assert (type(y), y.shape, y.dtype) == (np.ndarray, shape, kind)
            if want is not None:
                np.testing.assert_allclose(y, want, rtol=1e-6 if dtype is np.float32 else 1e-14)


def test_python_numbers():
    power = lambda x, p: x**p
    np.testing.assert_allclose(ad.jit(ad.grad(power, argnums=(0, 1)))(2.0, 3.0), (12.0, np.log(2.0) * 8))
    np.testing.assert_allclose(ad.hessian(ad.jit(lambda x: x**3))(2.0), 12.0)


def test_third_order():
    f = lambda x: np.sum(np.sin(x) ** 3)
    third = lambda f: ad.grad(lambda x: np.sum(ad.grad(lambda y: np.sum(ad.grad(f)(y)))(x)))
    want = 6 * np.cos(X) ** 3 - 21 * np.sin(X) ** 2 * np.cos(X)
    same(ad.jit(third(f))(X), want, 1e-11)
    same(third(ad.jit(f))(X), want, 1e-11)


def double(a):
    return ad.while_loop(lambda b: np.linalg.norm(b) < 1000, lambda b: b * 2, a)


def horner(x):
    last, rows = ad.scan(lambda c, v: (c * v + 1, c), 1.0, x)
    return last + np.sum(rows)


def either(x):
    return np.sum(ad.cond(np.sum(x) > 0, np.sin, np.cos, x))


def plain_python(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    return np.sum(b) if np.sum(b) > 0 else 100 * np.sum(b)


@pytest.mark.parametrize("f", [lambda x: np.sum(double(x)), horner, either, plain_python])
@pytest.mark.parametrize("sign", [1, -1])
def test_control_flow(f, sign):
    x = sign * X[:6]
    g = ad.jit(f)
    for _ in range(2):
        same(g(x), f(x))
    same(ad.jit(ad.grad(f))(x), ad.grad(f)(x))
    same(ad.grad(g)(x), ad.grad(f)(x))
    same(ad.jit(ad.hessian(f))(x), ad.hessian(f)(x), 1e-9)
    same(ad.hessian(g)(x), ad.hessian(f)(x), 1e-9)
    if f is not plain_python:
        lanes = np.stack([x, -x, x / 3])
        same(ad.jit(ad.vmap(f))(lanes), ad.vmap(f)(lanes))
        same(ad.vmap(g)(lanes), ad.vmap(f)(lanes))
        same(ad.jit(ad.vmap(ad.grad(f)))(lanes), ad.vmap(ad.grad(f))(lanes), 1e-10)


def test_a_scalar_that_nobody_chose_has_no_part():
    f = ad.jit(ad.grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))))
    same(f(np.array([0.0, 4.0])), np.array([0.0, 0.25]))


def test_what_is_compiled():
    for f in (np.sin, functools.partial(lambda a, x: a * x, 2.0), np.linalg.norm, abs, Model(2.0)):
        agree(f, X)
    assert ad.jit(ad.jit(wave)) is not None
    with pytest.raises(TypeError, match="jit takes a function"):
        ad.jit(3)


def test_recursion():
    def power(x, n):
        return 1.0 if n == 0 else x * power(x, n - 1)

    assert ad.jit(power, static_argnums=1)(2.0, 5) == 32.0


# Errors


def test_the_functions_own_errors_come_out():
    def bad(x):
        raise ValueError("mine")

    f = ad.jit(bad)
    for _ in range(2):
        with pytest.raises(ValueError, match="mine"):
            f(X)
    fails = [True]

    def sometimes(x):
        if fails[0]:
            raise KeyError("no")
        return x * 2

    g = ad.jit(sometimes)
    with pytest.raises(KeyError):
        g(X)
    fails[0] = False
    same(g(X), X * 2)


@pytest.mark.parametrize(
    "f, args, error",
    [
        (lambda x: x @ np.ones(3), (X,), ValueError),
        (lambda x, y: x + y, (X, np.ones(4)), ValueError),
        (lambda x: x[30], (X,), IndexError),
        (lambda x, i: x[i], (X, np.int64(30)), IndexError),
        (lambda x, i: x[i], (X, np.int64(-22)), IndexError),
        (lambda x, i: x[i], (X, np.array([0, 21] * 20)), IndexError),
        (lambda x, i: x[i], (X, np.array([0, 21])), IndexError),
        (np.linalg.cholesky, (-np.eye(20),), np.linalg.LinAlgError),
        (np.linalg.inv, (np.zeros((20, 20)),), np.linalg.LinAlgError),
        (lambda x: x.dtype, (X,), DTypeError),
        (lambda x: x, (np.array([1, None], object),), DTypeError),
        (lambda x: x, (np.array(["a"]),), DTypeError),
        (lambda x: x, (np.array([1], "M8[s]"),), DTypeError),
        (lambda x: x, (np.ma.array([1.0, 2.0]),), DTypeError),
        (lambda x: x, (), TypeError),
        (lambda x: x, (X, X), TypeError),
    ],
)
def test_errors(f, args, error):
    g = ad.jit(f)
    for _ in range(2):
        with pytest.raises(error):
            g(*args)


def test_an_error_in_one_call_leaves_the_next_alone():
    f = ad.jit(lambda x, i: np.cumsum(x)[i] * 2)
    for _ in range(3):
        same(f(X, np.int64(3)), np.cumsum(X)[3] * 2)
        with pytest.raises(IndexError, match="out of bounds"):
            f(X, np.int64(21))
        with pytest.raises(TypeError):
            f(X)
    same(f(X, np.int64(-21)), X[0] * 2)


def test_draws_are_refused():
    with pytest.raises(AdjointError, match="the draw would be made once"):
        ad.jit(lambda x: x + np.random.default_rng(0).normal(size=21))(X)


def test_index_lanes_behind_the_end():
    """Regression: where the number of elements is no multiple of a vector's, the rest was taken for indices."""
    i = np.arange(30, 49)
    agree(lambda x, i: x[i - 30] * 2, X, i)
    agree(lambda x, i: x[i + 2], X, np.arange(-2, 17))


def test_an_array_written_with_its_own_part():
    """Regression: the write was done in place, though what it reads was the same memory."""

    def f(x):
        y = np.sin(x)
        y[:] = y[::-1]
        y[1:] = y[:-1]
        y[::2] = y[10:]
        return y

    agree(f, X)


def test_long_doubles_are_refused():
    with pytest.raises(DTypeError, match=r"no argument of a compiled function \(test_jit.py:\d+\).*astype\(float\)"):
        ad.jit(np.sum)(np.ones(2, np.longdouble))
