"""jit and the world around it: state of outside, side effects, pickles, threads, memory; the debug mode of compiled memory."""

import collections
import copy
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
from adjoint.compiler.program import Program
from adjoint.core.types import Array
from adjoint.traces.capture import capture
from tests.compiler.jitting import Model, Pair, X, agree, same, wave

pytestmark = pytest.mark.usefixtures("no_disk_cache")

# What is read from outside


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


TRANSFORMS = [
    ad.grad, ad.value_and_grad, ad.hessian, ad.jacobian, ad.jacfwd, ad.jacrev, ad.elementwise_grad,
    lambda f: ad.grad(lambda_free, 0, True), lambda f: ad.vmap(ad.grad(f), in_axes=0), lambda f: ad.jacobian(ad.grad(ad.jit(f))),
    lambda f: ad.vmap(ad.value_and_grad(f), out_axes=-1),
]  # fmt: skip


def lambda_free(x):
    return np.sum(x**3), x


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_compiled_transforms_are_pickled(transform):
    """Though a gradient is a function without a name of its own: it is made again."""
    x = X[:20].reshape(4, 5) if "vmap" in transform.__code__.co_names else X
    f = ad.jit(transform(wave))
    for again in (pickle.loads(pickle.dumps(f)), copy.deepcopy(f)):
        for a, b in zip(ad.tree.flatten(again(x))[0], ad.tree.flatten(f(x))[0], strict=True):
            same(a, b)


def test_a_wrapper_of_a_transform_is_not_taken_for_it():
    gradient = ad.grad(wave)

    @functools.wraps(gradient)
    def twice(x):
        return 2 * gradient(x)

    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(ad.jit(twice))


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
    from adjoint.compiler.native import kernel, plan

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
        take = kernel.Kernel.take
        m.setattr(kernel.Kernel, "take", lambda self, size: take(self, size - 8))
        assert wrong()
    with monkeypatch.context() as m:  # a buffer that is given back too early
        lifetimes = plan.Plan._lifetimes

        def early(self):
            lifetimes(self)
            self.ends = {k: max(i - 1, 0) for k, i in self.ends.items()}

        m.setattr(plan.Plan, "_lifetimes", early)
        assert wrong()


def test_other_threads_run_while_a_native_loop_does():
    import threading

    @ad.jit
    def long(x):
        while x < 1e8:
            x = x + 1.0
        return x

    long.compile(1.0)
    turns, done = [], threading.Event()

    def other():
        while not done.is_set():
            turns.append(1)
            done.wait(0.001)

    thread = threading.Thread(target=other)
    thread.start()
    before = len(turns)
    long(1.0)
    after = len(turns)
    done.set()
    thread.join()
    assert after - before > 3


def test_a_long_range_takes_no_table_of_its_counters():
    import tracemalloc

    def f(x):
        for i in range(3_000_000):
            x = x * 0.999999 + i * 1e-9
        return x

    tracemalloc.start()
    try:
        y = ad.jit(f)(1.0)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()
    x = 1.0
    for i in range(3_000_000):
        x = x * 0.999999 + i * 1e-9
    assert abs(y - x) < 1e-9 * x


def test_results_need_memory_of_their_own():
    f = ad.jit(lambda x: (x + 1, x * 2))
    x, o = np.ones(5), np.zeros(9)
    with pytest.raises(ad.core.errors.ShapeError, match="two arrays given as out= share memory"):
        f(x, out=(o[:5], o[:5]))
    with pytest.raises(ad.core.errors.ShapeError, match="share memory"):
        f(x, out=(o[:5], o[4:]))
    a, b = f(x, out=(o[:4].repeat(2)[:5], np.zeros(5)))
    assert (a == 2).all() and (b == 2).all()


def test_the_garbage_collector_is_as_it_was():
    import gc

    seen = []

    def f(x):
        seen.append(gc.isenabled())
        return x * 2.0

    def fails(x):
        raise KeyError("while it is captured")

    assert gc.isenabled()
    assert ad.jit(f)(3.0) == 6.0
    assert seen == [False] and gc.isenabled()  # off while a graph is made
    with pytest.raises(KeyError):
        ad.jit(fails)(3.0)
    assert gc.isenabled()
    gc.disable()
    try:
        ad.jit(f)(3.0)
        assert not gc.isenabled()
    finally:
        gc.enable()
