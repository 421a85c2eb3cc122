"""jit as users meet it: arguments, containers, results, outer state, transforms around and inside it, bad input, threads, memory."""

import collections
import copy
import dataclasses
import functools
import gc
import inspect
import pickle
import threading
import tracemalloc
import warnings
import weakref

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.native import cache
from adjoint.compiler.program import Program
from adjoint.core.errors import AdjointError, DTypeError, ShapeError
from adjoint.core.types import Array
from adjoint.traces.capture import capture

X = np.array([0.3, -1.2, 0.7] * 7)
X.flags.writeable = False


@pytest.fixture(autouse=True)
def no_disk_cache(monkeypatch):
    monkeypatch.setattr(cache, "folder", lambda: None)


def same(got, want, tol=1e-12):
    """Equal containers, classes, dtypes and shapes; numbers within rounding."""
    ours, structure = ad.tree.flatten(got)
    theirs, expected = ad.tree.flatten(want)
    assert structure == expected
    for a, b in zip(ours, theirs):
        assert type(a) is type(b), f"a {type(a).__name__}, not a {type(b).__name__}"
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def agree(f, *args, tol=1e-12, calls=3, **kwargs):
    """jit(f) gives what f gives, at the first call and at later ones."""
    g = ad.jit(f)
    for _ in range(calls):
        same(g(*args, **kwargs), f(*args, **kwargs), tol)
    return g


def wave(x):
    return np.sum(np.sin(x) * x)


# Containers and arguments

Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Data:
    a: object
    b: object


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


# What is read from outside


class Model:
    def __init__(self, k):
        self.k = k
        self.w = np.arange(21.0)

    @ad.jit
    def loss(self, x):
        return self.scaled(np.sum(self.w * x))

    def scaled(self, y):
        return y * self.k

    def plain(self, x):
        return np.sum(self.w * x) * self.k

    def __call__(self, x):
        return np.tanh(self.w * x) * self.k


def test_methods_see_their_object_change():
    m, n = Model(2.0), Model(3.0)
    steps = [
        lambda: None, lambda: setattr(m, "w", m.w * 2), lambda: m.w.__setitem__(0, 50.0), lambda: setattr(m, "k", 7.0),
        lambda: setattr(n, "k", 1.0), lambda: setattr(m, "w", np.ones(1)), lambda: setattr(m, "w", np.ones(21)),
    ]  # fmt: skip
    bound, called = ad.jit(m.plain), ad.jit(m)
    for change in steps:
        change()
        for _ in range(2):
            for o in (m, n):
                same(o.loss(X), o.plain(X))
            same(bound(X), m.plain(X))
            same(called(X), m(X))
        same(ad.grad(m.loss)(X), ad.grad(m.plain)(X))


def test_closures_and_defaults():
    w, k = np.arange(21.0), 2.0
    f = lambda x: np.sum(w * x) * k
    g = ad.jit(f)
    same(g(X), f(X))
    w[3] = 100
    same(g(X), f(X))
    k = 5.0
    same(g(X), f(X))
    w = np.ones(21)
    same(g(X), f(X))
    w = np.ones((2, 21))
    same(g(X), f(X))
    default = np.ones(21)

    def h(x, w=default):
        return x * w

    g = ad.jit(h)
    same(g(X), X * 1.0)
    default[:] = 4
    same(g(X), X * 4.0)


def for_each(s, x):
    for w in s:
        x = x * w
    return x


def for_items(s, x):
    for v in s.values():
        x = x * v
    return x


def unpacked(s, x):
    a, b, *c = s
    return x * a * b + len(c)


def through_layers(s, x):
    for layer in s.layers:
        x = layer.w * x + layer.b
    return x


def network():
    s = type("Network", (), {})()
    s.layers = [type("Layer", (), {})() for _ in range(2)]
    for layer in s.layers:
        layer.w, layer.b = np.full(21, 2.0), 1.0
    return s


LIST = lambda: [np.full(21, 2.0), np.full(21, 3.0)]
DICT = lambda: {"a": np.full(21, 2.0), "b": np.full(21, 3.0)}
ON_LISTS = [
    lambda s: s.__setitem__(0, np.full(21, 7.0)),
    lambda s: s[0].__setitem__(slice(None), 11.0),
    lambda s: s.append(np.full(21, 5.0)),
    lambda s: s.__setitem__(1, 2.5),
    lambda s: s.pop(),
]
ON_DICTS = [
    lambda s: s.__setitem__("a", np.full(21, 7.0)),
    lambda s: s["a"].__setitem__(slice(None), 11.0),
    lambda s: s.__setitem__("c", np.full(21, 5.0)),
    lambda s: s.pop("c"),
]
ON_NETWORKS = [
    lambda s: setattr(s.layers[1], "w", np.full(21, 9.0)),
    lambda s: s.layers[0].w.__setitem__(slice(None), 4.0),
    lambda s: setattr(s.layers[0], "b", 3.0),
    lambda s: s.layers.append(s.layers[0]),
]


@pytest.mark.parametrize(
    "make, f, changes",
    [
        pytest.param(LIST, for_each, ON_LISTS, id="for"),
        pytest.param(LIST, lambda s, x: x * sum(s), ON_LISTS, id="sum"),
        pytest.param(LIST, lambda s, x: x * np.sum([np.sum(w) for w in s]), ON_LISTS, id="comprehension"),
        pytest.param(LIST, lambda s, x: sum(w * b * x for w, b in zip(s, s)), ON_LISTS, id="zip"),
        pytest.param(LIST, lambda s, x: sum(w * (i + 1) * x for i, w in enumerate(s)), ON_LISTS, id="enumerate"),
        pytest.param(LIST, unpacked, ON_LISTS[:4], id="unpacked"),
        pytest.param(LIST, lambda s, x: np.stack(s).sum(0) * x, ON_LISTS[:3], id="stack"),
        pytest.param(LIST, lambda s, x: x * len(s), ON_LISTS, id="len"),
        pytest.param(LIST, lambda s, x: x * s[-1] * s[0], ON_LISTS, id="subscripts"),
        pytest.param(LIST, lambda s, x: x * sum(s[:]), ON_LISTS, id="slice"),
        pytest.param(lambda: [1, 2], lambda s, x: x * (3 if 5 in s else 2), [lambda s: s.append(5)], id="in"),
        pytest.param(lambda: {1, 2}, lambda s, x: x * (3 if 5 in s else 2), [lambda s: s.add(5)], id="set"),
        pytest.param(lambda: tuple(LIST()), for_each, ON_LISTS[1:2], id="tuple"),
        pytest.param(lambda: Pair(*LIST()), for_each, ON_LISTS[1:2], id="namedtuple"),
        pytest.param(lambda: [(w, 2.0) for w in LIST()], lambda s, x: sum(w * k * x for w, k in s),
                     [lambda s: s.__setitem__(0, (np.ones(21), 2.0)), lambda s: s.__setitem__(0, (np.ones(21), 3.0))], id="list of tuples"),
        pytest.param(lambda: collections.deque(LIST()), for_each, ON_LISTS[:3], id="deque"),
        pytest.param(DICT, for_items, ON_DICTS, id="values"),
        pytest.param(DICT, lambda s, x: sum(v * x * len(k) for k, v in s.items()), ON_DICTS, id="items"),
        pytest.param(DICT, lambda s, x: x * s.get("a") * s.get("c", 1.0), ON_DICTS, id="get"),
        pytest.param(DICT, lambda s, x: x * (2 if "c" in s else 1), ON_DICTS, id="in dict"),
        pytest.param(DICT, lambda s, x: ad.tree.map(lambda w: w * x, s), ON_DICTS, id="tree.map"),
        pytest.param(lambda: collections.OrderedDict(DICT()), for_items, ON_DICTS, id="OrderedDict"),
        pytest.param(lambda: {"net": [LIST()]}, lambda s, x: for_each(s["net"][0], x),
                     [lambda s: ON_LISTS[0](s["net"][0]), lambda s: s["net"].__setitem__(0, [np.ones(21)])], id="nested"),
        pytest.param(network, through_layers, ON_NETWORKS, id="layers"),
    ],
)  # fmt: skip
def test_containers_of_outside_are_looked_at_again(make, f, changes):
    s = make()
    g = ad.jit(lambda x: f(s, x))
    for change in [lambda s: None, *changes]:
        change(s)
        for _ in range(2):
            same(g(X), f(s, X))


def test_objects_in_arguments():
    m = Model(2.0)
    f = ad.jit(lambda models, x: models["first"][0](x))
    for change in (
        lambda: None,
        lambda: setattr(m, "w", m.w * 3),
        lambda: setattr(m, "k", 5.0),
        lambda: m.w.__setitem__(1, 9.0),
    ):
        change()
        for _ in range(2):
            same(f({"first": [m]}, X), m(X))


SCALE = 1.0


def test_a_global_that_changes_at_every_call():
    global SCALE
    f = ad.jit(lambda x: x * SCALE)
    for i in range(40):
        SCALE = float(i)
        same(f(X), X * SCALE)
    assert len(f._entries) == 1
    links, link = 0, type(f).__call__
    while type(link) is type(len) and links < 100:  # a builtin's fallback: the one before
        link = next((x for x in gc.get_referents(link.__self__[4]) if type(x) is type(len) and x is not len), None)
        links += 1
    assert links < 10


# Side effects


def test_side_effects_happen_once_and_are_said():
    calls = []

    def f(x):
        calls.append(1)
        return x * 2

    g = ad.jit(f)
    with pytest.warns(RuntimeWarning, match="changes a list of outside"):
        same(g(X), X * 2)
    same(g(X), X * 2)
    same(g(X), X * 2)
    assert len(calls) == 1


def write_first(x):
    x[0] = 5.0
    return np.sum(x)


def write_all(x):
    x += 1
    return np.sum(x)


@pytest.mark.parametrize("f", [write_first, write_all])
def test_a_write_into_an_argument_is_said(f):
    x = X.copy()
    g = ad.jit(f)
    with pytest.warns(RuntimeWarning, match="writes into an argument"):
        got = g(x)
    same(x, X)
    same(got, f(X.copy()))


def test_a_write_into_an_array_of_outside_is_said():
    w = np.ones(21)

    def f(x):
        w[0] = 3.0
        return np.sum(x * w)

    with pytest.warns(RuntimeWarning, match="writes into an array of outside"):
        got = ad.jit(f)(X)
    assert w[0] == 1.0
    same(got, f(X))


def test_writes_into_own_arrays_are_not_said():
    def f(x):
        y = x.copy()
        y[0] = 3.0
        a = np.zeros(21)
        for i in range(21):
            a[i] = y[i] * i
        a[3:] += a[:-3]
        a[::2] = a[1::2].sum()
        return a

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agree(f, X)
        same(ad.jit(ad.grad(lambda x: np.sum(f(x))))(X), ad.grad(ad.jit(lambda x: np.sum(f(x))))(X))


def test_prints_go_on(capsys):
    def f(x):
        print("sum", np.sum(x))
        return x * 2

    g = ad.jit(f)
    for _ in range(3):
        g(np.ones(20))
    assert capsys.readouterr().out == "sum 20.0\n" * 3


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


# Copies, pickles, threads, memory


@ad.jit
def decorated(x):
    """What it does."""
    return x * 2


def thrice(x):
    return x * 3


def test_names_and_signature():
    assert decorated.__name__ == "decorated" and decorated.__doc__ == "What it does."
    assert list(inspect.signature(decorated).parameters) == ["x"]
    assert "decorated" in repr(decorated)


def test_pickles_and_copies():
    for f in (decorated, ad.jit(thrice), ad.jit(np.sin), Model(2.0).loss):
        f(X)
        for again in (pickle.loads(pickle.dumps(f)), copy.copy(f), copy.deepcopy(f)):
            same(again(X), f(X))
    assert pickle.loads(pickle.dumps(decorated)) is decorated
    static = pickle.loads(pickle.dumps(ad.jit(np.power, static_argnums=1)))
    assert static._static_nums == (1,)


def test_ahead_of_time():
    f = ad.jit(wave)
    assert f.compile(Array((7,), np.dtype(float))) is f
    assert len(f._entries) == 1
    same(f(X[:7]), wave(X[:7]))
    assert len(f._entries) == 1
    assert "define i32 @kernel" in f.lower(X)
    assert "loop over [21]" in f.explain(X)
    assert f.graph(X).lines[0].op.name == "sin"
    f.clear()
    same(f(X), wave(X))


def run_threads(*jobs):
    errors = []

    def guarded(job):
        try:
            job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors, errors


def test_threads_that_call():
    f = ad.jit(lambda x, k: np.cumsum(np.sin(x) * k) + np.sort(x))
    x = np.random.default_rng(0).normal(size=20000)

    def job(k):
        for i in range(20):
            y = x * (k + i)
            np.testing.assert_allclose(f(y, float(k)), np.cumsum(np.sin(y) * k) + np.sort(y), rtol=1e-9, atol=1e-9)

    run_threads(*[functools.partial(job, k) for k in range(4)])


def test_threads_that_compile():
    f = ad.jit(lambda x: np.sin(x).sum() * x)

    def job(k):
        for n in range(3, 9):
            x = np.arange(float(n)) + k
            same(f(x), np.sin(x).sum() * x)

    run_threads(*[functools.partial(job, k) for k in range(4)])


def test_a_call_within_a_call():
    """A kernel that calls NumPy back while another thread runs the same kernel has its own workspace."""
    f = ad.jit(lambda x: np.sort(np.cumsum(x)) + np.cumsum(np.sort(x)))
    xs = [np.random.default_rng(k).normal(size=300) for k in range(4)]
    want = [np.sort(np.cumsum(x)) + np.cumsum(np.sort(x)) for x in xs]

    def job(k):
        for _ in range(200):
            np.testing.assert_allclose(f(xs[k]), want[k], rtol=1e-9, atol=1e-12)

    run_threads(*[functools.partial(job, k) for k in range(4)])


def test_memory_stays_flat():
    f = ad.jit(ad.value_and_grad(wave))
    g = ad.jit(lambda x: ad.while_loop(lambda b: np.sum(b) < 1000, lambda b: b * 2, x))
    h = ad.jit(lambda d: {"a": d["x"] * 2, "b": [np.sum(d["x"])]})
    y = np.abs(X)

    def run(times):
        for _ in range(times):
            f(X)
            g(y)
            h({"x": X})

    run(200)
    gc.collect()
    tracemalloc.start()
    run(200)
    before = tracemalloc.get_traced_memory()[0]
    run(35_000)
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert after - before < 2000


def test_functions_go():
    f = ad.jit(lambda x: x * 2)
    f(X)
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


# The debug mode of compiled memory


def busy(x):
    y = np.sin(x)
    z = np.cumsum(y)
    w = z[::-1] + np.sum(y)
    c, rows = ad.scan(lambda c, v: (c * 0.5 + v, np.cumsum(c)), w, length=None, xs=np.stack([y, z]))
    return np.concatenate([w, z]), np.sort(w), c, rows


def test_checked_memory_gives_the_same():
    x = np.linspace(-2, 2, 50)
    graph = capture(busy, x)
    for checks in (False, True):
        for _ in range(2):
            got = Program(graph, checks)(x)
            for a, b in zip(got, graph.run(x)):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_checked_memory_sees_planted_faults(monkeypatch):
    from adjoint.compiler.native import emit, plan

    x = np.linspace(-2, 2, 50)
    graph = capture(busy, x)
    want = graph.run(x)

    def wrong(checks=True):
        try:
            got = Program(graph, checks)(x)
        except SystemError as error:
            assert "beyond a buffer" in str(error)
            return True
        return not all(np.allclose(a, b) for a, b in zip(got, want))

    assert not wrong()
    with monkeypatch.context() as m:  # a buffer that is too small
        take = emit.Kernel.take
        m.setattr(emit.Kernel, "take", lambda self, size: take(self, size - 8))
        assert wrong()
    with monkeypatch.context() as m:  # a buffer that is given back too early
        lifetimes = plan.Plan._lifetimes

        def early(self):
            lifetimes(self)
            dying, self.dying = self.dying, {}
            for i, roots in dying.items():
                self.dying.setdefault(max(i - 1, 0), []).extend(roots)

        m.setattr(plan.Plan, "_lifetimes", early)
        assert wrong()
