"""The builtin in front of a kernel: what it keeps between calls, callbacks, life and death, threads, unknown layouts."""

import gc
import signal
import sys
import threading
import time
import tracemalloc
import weakref
from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from adjoint.compiler.native import build, call, layout, slowcall
from adjoint.compiler.native.spec import ArrayLeaf, Equal, Made, Named, Record, Same, ScalarLeaf, Spec

from .calling import (
    MISS,
    VECTOR,
    Box,
    X,
    calling_back,
    copier,
    copy_function,
    failing,
    fallback,
    load,
)

# --- what it keeps ---


def test_results_are_pooled_unless_somebody_holds_them():
    f = copy_function([VECTOR], VECTOR)
    y = f(X)
    address = y.ctypes.data
    z = f(X + 1)
    assert z.ctypes.data != address and np.array_equal(y, X) and np.array_equal(z, X + 1)
    view = y[1:]
    del y
    w = f(X + 2)
    assert np.array_equal(view, X[1:]) and np.array_equal(w, X + 2)
    del view, w, z
    seen = {id(f(X)) for _ in range(100)}
    assert len(seen) <= 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda y: setattr(y, "shape", (2, 2)), lambda y: y.setflags(write=False),
        lambda y: setattr(y, "dtype", np.int64), lambda y: setattr(y, "shape", (4, 1)),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_pooled_array_whose_form_was_changed_is_not_used_again(spoil):
    f = copy_function([VECTOR], VECTOR)
    for _ in range(4):
        y = f(X)
        assert y.shape == (4,) and y.dtype == float and y.flags.writeable and np.array_equal(y, X)
        spoil(y)
        del y


def test_a_weak_reference_keeps_an_array_out_of_the_pool():
    f = copy_function([VECTOR], VECTOR)
    r = weakref.ref(f(X))
    for _ in range(3):
        f(X + 1)
    assert r() is None or np.array_equal(r(), X)


def test_a_result_as_the_next_argument():
    f = copy_function([VECTOR], VECTOR)
    y = X
    for _ in range(10):
        y = f(f(y))
    assert np.array_equal(y, X)


def test_without_a_pool_every_result_is_new():
    f = copy_function([VECTOR], VECTOR, pool=False)
    r = weakref.ref(f(X))
    assert r() is None


def test_release_gives_the_arrays_back():
    f = copy_function([ArrayLeaf((100_000,), float)], ArrayLeaf((100_000,), float))
    x = np.ones(100_000)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        f(x), f(x)
        assert tracemalloc.get_traced_memory()[0] - before > 800_000
        call.release(f)
        assert tracemalloc.get_traced_memory()[0] - before < 10_000
        assert np.array_equal(f(x), x)
    finally:
        tracemalloc.stop()


# --- workspace ---


COUNT = """
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
  %n = load i64, ptr %ws
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %ws
  %o = load ptr, ptr %outs
  store i64 %n1, ptr %o
  %p.p = getelementptr ptr, ptr %outs, i64 1
  %p = load ptr, ptr %p.p
  %a = ptrtoint ptr %ws to i64
  store i64 %a, ptr %p
  ret i32 0
}
"""


def test_the_workspace_is_zero_at_first_aligned_and_kept():
    for size in (8, 100, 70_000):
        f = call.make(load(COUNT), Spec(outputs=(ScalarLeaf(int), ScalarLeaf(int)), fallback=fallback, workspace=size))
        calls = [f() for _ in range(5)]
        assert [n for n, _ in calls] == [1, 2, 3, 4, 5]
        assert len({a for _, a in calls}) == 1 and calls[0][1] % 64 == 0
        call.release(f)
        assert f()[0] == 1


GROW = """
declare ptr @"ad.grow"(ptr, i64)
declare void @"ad.free"(ptr)
@freed = global i64 0
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
  %old = load ptr, ptr %ws
  %new = call ptr @"ad.grow"(ptr %old, i64 1000)
  store ptr %new, ptr %ws
  store i64 5, ptr %new
  ret i32 0
}
define void @kernel.free(ptr %ws) {
  %buffer = load ptr, ptr %ws
  call void @"ad.free"(ptr %buffer)
  %n = load i64, ptr @freed
  %n1 = add i64 %n, 1
  store i64 %n1, ptr @freed
  ret void
}
"""


def test_memory_that_hangs_off_a_workspace_is_freed_with_it():
    import ctypes

    loaded = load(GROW, call.services())
    freed = ctypes.c_int64.from_address(loaded.address("freed"))
    f = call.make(loaded, Spec(outputs=(), fallback=fallback, workspace=8, frees=True))
    f(), f()
    assert freed.value == 0
    call.release(f)
    assert freed.value == 1
    f()
    del f
    gc.collect()
    assert freed.value == 2


# --- callbacks ---


@pytest.mark.parametrize("release_gil", [False, True])
def test_a_callback_computes_with_numpy(release_gil):
    leaves = [VECTOR, ArrayLeaf((2, 2), np.float32)]
    outs = [ArrayLeaf((), float), ArrayLeaf((2, 2), np.float32)]
    kept = []

    def function(ins):
        kept.extend(ins)
        return np.float64(ins[0].sum()), ins[1].T

    f = calling_back(
        function, leaves, outs, [], release_gil=release_gil, args=tuple(leaves), outputs=(ScalarLeaf(float), outs[1])
    )
    m = np.array([[1, 2], [3, 4]], np.float32)
    s, t = f(X, m)
    assert s == X.sum() and np.array_equal(t, m.T)
    f(X * 2, m)
    assert np.array_equal(kept[0], X) and np.array_equal(kept[2], X * 2)  # copies: they outlive the call


@pytest.mark.parametrize("release_gil", [False, True])
def test_a_callbacks_exception_comes_out_of_the_call(release_gil):
    def function(ins):
        raise KeyError("mine")

    f = calling_back(function, [VECTOR], [], [], release_gil=release_gil, args=(VECTOR,))
    for _ in range(3):
        with pytest.raises(KeyError, match="mine"):
            f(X)


@pytest.mark.parametrize("result", [[], [1.0], [np.zeros(3)], [np.zeros(4, np.float32)], [np.zeros(4), 1]])
def test_a_callback_with_a_wrong_result(result):
    f = calling_back(lambda ins: result, [], [VECTOR], [], outputs=VECTOR)
    with pytest.raises(TypeError, match="returned"):
        f()


def test_a_call_within_a_call_has_its_own_workspace_and_arrays():
    inner = []
    deeper = iter(range(1, 6))

    def function(ins):
        k = next(deeper, None)
        if k is not None:
            inner.append((k, f(X + k)))
        return []

    f = calling_back(function, [], [], [VECTOR], args=(VECTOR,), outputs=VECTOR, workspace=64)
    assert np.array_equal(f(X), X)
    assert [k for k, _ in inner] == [5, 4, 3, 2, 1] and all(np.array_equal(y, X + k) for k, y in inner)


def test_a_function_called_back_lives_as_long_as_the_builtin():
    def function(ins):
        return []

    r = weakref.ref(function)
    f = calling_back(function, [], [], [])
    del function
    gc.collect()
    assert r() is not None and f() == ()
    del f
    gc.collect()
    assert r() is None


POLL = """
declare i32 @"ad.poll"()
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
entry:
  br label %loop
loop:
  %code = call i32 @"ad.poll"()
  %go = icmp eq i32 %code, 0
  br i1 %go, label %loop, label %stop
stop:
  ret i32 1
}
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")
@pytest.mark.parametrize("release_gil", [False, True])
def test_ctrl_c_ends_a_kernel_that_polls(release_gil):
    f = call.make(load(POLL, call.services()), Spec(outputs=(), fallback=fallback, release_gil=release_gil))

    def stop(*_):
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            f()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


# --- life and death ---


def test_the_builtin_keeps_its_code_and_its_objects_and_lets_them_go():
    marker = Box(1)
    r = weakref.ref(marker)
    f = call.make(load(copier(32)), Spec(args=(VECTOR,), outputs=(VECTOR, Same(marker)), fallback=fallback))
    handle, block = int(f.__self__[2]), int(f.__self__[-1])
    del marker
    gc.collect()
    assert f(X)[1] is r()
    assert handle in build._live and block in call._live_blocks
    y = f(X)[0]
    del f
    assert r() is None
    assert handle not in build._live and block not in call._live_blocks
    assert np.array_equal(y, X)


def test_garbage_cycles_through_the_builtin_are_collected():
    class Function:
        def miss(self, *args):
            return MISS

    o = Function()
    o.call = call.make(load(copier(32)), Spec(args=(VECTOR,), outputs=VECTOR, fallback=o.miss))
    handle = int(o.call.__self__[2])
    assert o.call(1) is MISS
    r = weakref.ref(o)
    del o
    gc.collect()
    assert r() is None and handle not in build._live


def test_a_finalizer_in_a_garbage_cycle_may_still_call():
    results = []

    class Function:
        def miss(self, *args):
            return MISS

        def __del__(self):
            results.append((self.call(X).copy(), self.call(1)))

    o = Function()
    o.call = call.make(load(copier(32)), Spec(args=(VECTOR,), outputs=VECTOR, fallback=o.miss))
    del o
    gc.collect()
    assert np.array_equal(results[0][0], X) and results[0][1] is MISS


def test_a_builtin_that_dies_during_its_own_call():
    functions = {}

    def function(ins):
        functions.clear()
        gc.collect()
        return []

    functions["f"] = calling_back(function, [], [], [VECTOR], args=(VECTOR,), outputs=VECTOR, workspace=64)
    assert np.array_equal(functions["f"](X), X)


def test_an_instance_whose_class_has_the_builtin_as_call():
    kind = type("Jit", (), {"explain": lambda self: "yes"})
    kind.__call__ = copy_function([VECTOR], VECTOR)
    f = kind()
    assert np.array_equal(f(X), X) and f(1) is MISS and f.explain() == "yes"
    assert fallback.last == ((1,), {})  # not bound: no self
    kind.__call__ = copy_function([ScalarLeaf(float)], ScalarLeaf(float))
    assert f(2.0) == 2.0 and f(X) is MISS


def test_builtins_can_be_chained():
    """One signature's fallback may be the builtin of another."""
    first = copy_function([ScalarLeaf(float)], ScalarLeaf(float))
    second = call.make(load(copier(32)), Spec(args=(VECTOR,), outputs=VECTOR, fallback=first))
    assert np.array_equal(second(X), X) and second(2.0) == 2.0 and second("x") is MISS


def test_reference_counts_are_flat_over_many_calls():
    node = ({"w": VECTOR}, [ScalarLeaf(float)], ScalarLeaf(np.float64), ScalarLeaf(int))
    w = X.copy()
    box = {"w": w}
    hidden = [(("global", box, "w"), VECTOR)]
    f = call.make(
        load(copier(32, 8, 8, 8, 32)),
        Spec(
            args=(node,), hidden=hidden, outputs=(node, {"h": VECTOR, "c": Same(box)}), fallback=fallback, workspace=64
        ),
    )
    g = failing(3, None, workspace=64)
    args = (box, [1.25], np.float64(2.5), 10**6)
    objects = [
        w,
        w.dtype,
        box,
        args,
        args[1],
        args[1][0],
        args[2],
        args[3],
        node,
        None,
        np.ndarray,
        float,
        np.float64,
        fallback,
        True,
    ]

    def rounds(n):
        for _ in range(n):
            f(args)
            f(1)
            try:
                g(w)
            except RuntimeError:
                pass
        fallback.last = None

    rounds(10)
    before = [sys.getrefcount(o) for o in objects]
    rounds(20_000)
    after = [sys.getrefcount(o) for o in objects]
    assert [b - a for a, b in zip(before, after)] == [0] * len(objects) or all(
        abs(b - a) < 50 for a, b in zip(before, after)
    )


def test_memory_is_flat_over_a_million_calls():
    resource = pytest.importorskip("resource")
    node = (VECTOR, ScalarLeaf(float), [ScalarLeaf(np.float64)], ScalarLeaf(np.bool))
    f = copy_function([node], node, workspace=100)
    value = (X, 1e10, [np.float64(3.5)], np.True_)
    for _ in range(1000):
        f(value)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    keep = None
    for _ in range(1_000_000):
        keep = f(value)
    assert keep[1] == 1e10 and keep[2] == [3.5] and keep[3] is np.True_
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4000  # KiB


def test_memory_is_flat_over_many_builtins():
    """Each with its own code, workspace and arrays, 0.5 MB each."""
    resource = pytest.importorskip("resource")
    leaf = ArrayLeaf((20_000,), float)
    x = np.ones(20_000)

    def rounds(n):
        for _ in range(n):
            f = copy_function([leaf], leaf, workspace=200_000)
            keep = [f(x), f(x)]
            assert np.array_equal(keep[1], x)

    rounds(10)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rounds(100)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # KiB; 50 MB if nothing were freed


# --- threads ---


@pytest.mark.parametrize("release_gil", [False, True])
def test_many_threads_at_once(release_gil):
    n = 20_000
    leaf = ArrayLeaf((n,), float)
    # the workspace is written first, then read: two calls in one workspace would mix their numbers
    kernel = (
        copier(8 * n).replace("@kernel", "@copy")
        + """
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
  %here = alloca ptr
  store ptr %ws, ptr %here
  %a = call i32 @copy(ptr %ins, ptr %here, ptr null)
  %b = call i32 @copy(ptr %here, ptr %outs, ptr null)
  ret i32 0
}"""
    )
    f = call.make(
        load(kernel), Spec(args=(leaf,), outputs=leaf, fallback=fallback, workspace=8 * n, release_gil=release_gil)
    )
    wrong = []

    def work(k):
        x = np.full(n, float(k))
        for i in range(300):
            y = f(x)
            if y[0] != k or y[-1] != k or (i % 20 == 0 and not np.array_equal(x, y)):
                wrong.append(k)
            if i % 50 == 0 and f(k) is not MISS:
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_the_gil_is_released():
    """Another thread runs while a kernel waits for a word in memory."""
    kernel = """
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
entry:
  %a = load ptr, ptr %ins
  br label %loop
loop:
  %x = load atomic i64, ptr %a acquire, align 8
  %wait = icmp eq i64 %x, 0
  br i1 %wait, label %loop, label %done
done:
  ret i32 0
}"""
    f = call.make(
        load(kernel),
        Spec(args=(ArrayLeaf((1,), np.int64),), outputs=Same("went on"), fallback=fallback, release_gil=True),
    )
    word = np.zeros(1, np.int64)

    def write():
        time.sleep(0.05)
        word[0] = 1

    t = threading.Thread(target=write)
    t.start()
    assert f(word) == "went on"
    t.join()


def test_compiling_in_many_threads():
    wrong = []

    def work(k):
        try:
            for i in range(10):
                f = copy_function([ArrayLeaf((k + 1,), float), ScalarLeaf(float)])
                y, s = f(np.full(k + 1, float(i)), float(k))
                assert s == k and np.array_equal(y, np.full(k + 1, float(i)))
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


# --- where the layout of objects is unknown ---


def test_every_layout_check_can_fail(monkeypatch):
    """Plant a wrong offset for each field; some check must see it."""
    for name in layout.FIELDS:
        for wrong in (-8, 8):
            with monkeypatch.context() as m:
                m.setitem(layout.FIELDS, name, layout.FIELDS[name] + wrong)
                layout.problem.cache_clear()
                assert layout.problem() and not call.available(), f"{name} {wrong:+}"
    layout.problem.cache_clear()
    assert call.available()


class TestThroughCtypes:
    @pytest.fixture(autouse=True)
    def no_builtins(self, monkeypatch):
        monkeypatch.setattr(call, "available", lambda: False)

    def test_a_tree(self):
        node = {"a": VECTOR, "b": [ScalarLeaf(float), (ScalarLeaf(int), ScalarLeaf(np.float32))], "c": ScalarLeaf(bool)}
        f = copy_function([node], (node, Same("x")))
        assert type(f) is slowcall.SlowCall
        value = {"a": X, "b": [1.5, (7, np.float32(2))], "c": True}
        y, x = f(value)
        assert x == "x" and np.array_equal(y["a"], X) and y["b"] == value["b"] and y["c"] is True
        assert type(y["b"][1][1]) is np.float32 and type(y["b"][0]) is float and type(y["b"][1][0]) is int
        for other in [
            {**value, "a": X[::2]},
            {**value, "b": (1.5, (7, 2.0))},
            {**value, "c": 1},
            {"b": value["b"], "a": X, "c": True},
        ]:
            assert f(other) is MISS
        assert f({**value, "b": [1.5, (2**70, np.float32(1))]}) is MISS

    def test_records(self):
        Pair = namedtuple("Pair", "a b")
        number = ScalarLeaf(float)
        node = (Named(Pair, (VECTOR, number)), Record(SimpleNamespace, {"u": number, "v": Same("x")}))
        result = (
            Made(lambda row: Pair(*row), (VECTOR, number)),
            Made(lambda row: SimpleNamespace(u=row[0]), (number,)),
        )
        f = copy_function([node], result)
        p, q = f((Pair(X, 1.5), SimpleNamespace(u=2.5, v="x")))
        assert type(p) is Pair and np.array_equal(p.a, X) and p.b == 1.5 and q == SimpleNamespace(u=2.5)
        good = SimpleNamespace(u=2.5, v="x")
        for other in [
            ((X, 1.5), good),
            (Pair(X[::2], 1.5), good),
            (Pair(X, 1.5), SimpleNamespace(u=2.5)),
            (Pair(X, 1.5), {"u": 2.5}),
        ]:
            assert f(other) is MISS

    def test_keywords_hidden_inputs_and_guards(self):
        namespace = {"w": 2.0, "g": "fast"}
        leaf = ScalarLeaf(float)
        spec = Spec(
            args=(Equal("s"), leaf), kwargs={"k": leaf}, outputs=[leaf, leaf, leaf], fallback=fallback,
            hidden=[(("global", namespace, "w"), leaf)],
            guards=[(("global", namespace, "g"), Equal("fast")), (("absent", namespace, "q"), None)],
        )  # fmt: skip
        f = call.make(load(copier(8, 8, 8)), spec)
        assert f("s", 1.0, k=3.0) == [1.0, 3.0, 2.0]
        assert f("t", 1.0, k=3.0) is MISS and f("s", 1.0) is MISS
        namespace["g"] = "slow"
        assert f("s", 1.0, k=3.0) is MISS
        namespace.update(g="fast", q=1)
        assert f("s", 1.0, k=3.0) is MISS

    def test_workspace_and_errors(self):
        f = call.make(load(COUNT), Spec(outputs=(ScalarLeaf(int), ScalarLeaf(int)), fallback=fallback, workspace=100))
        assert [f()[0] for _ in range(3)] == [1, 2, 3] and f()[1] % 64 == 0
        with pytest.raises(RuntimeError, match="kernel failed"):
            failing(3, None)(X)

    def test_a_callbacks_exception(self):
        def function(ins):
            raise KeyError("mine")

        f = calling_back(function, [VECTOR], [], [], args=(VECTOR,))
        with pytest.raises(KeyError, match="mine"):
            f(X)

    def test_it_does_not_bind(self):
        kind = type("Jit", (), {"__call__": copy_function([VECTOR], VECTOR)})
        assert np.array_equal(kind()(X), X)

    def test_freed_memory(self):
        import ctypes

        loaded = load(GROW, call.services())
        freed = ctypes.c_int64.from_address(loaded.address("freed"))
        f = call.make(loaded, Spec(outputs=(), fallback=fallback, workspace=8, frees=True))
        f(), f()
        del f
        assert freed.value == 1
