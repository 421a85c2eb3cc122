"""Calls of compiled functions reach their builtins at once, and go the usual way where the interpreter is not as expected."""

import copy
import gc
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.native import glue, instances

X = np.linspace(0.5, 2.0, 8)


def square(x, scale=1.0):
    return np.sum(x * x) * scale


def doubled(x, scale=1.0):
    return x * 2 * scale


def flagged(f):
    return bool(type(f).__flags__ & 1 << 11)


@pytest.fixture(params=["at once", "the usual way"])
def way(request, monkeypatch):
    if request.param == "the usual way":
        monkeypatch.setattr(instances, "possible", lambda: False)
    return request.param


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="a matter of CPython's types")
def test_types_are_as_expected_here():
    assert instances.possible()
    f = ad.jit(square)
    assert not flagged(f)
    f(X)
    assert flagged(f)
    f.clear()
    assert not flagged(f)
    f(X)
    assert flagged(f)


@pytest.mark.parametrize("wrong", [-8, 8])
@pytest.mark.parametrize("field", glue.TYPE_FIELDS)
def test_every_field_is_looked_at(field, wrong, monkeypatch):
    monkeypatch.setitem(glue.TYPE_FIELDS, field, glue.TYPE_FIELDS[field] + wrong)
    assert not instances.possible.__wrapped__()


def test_all_ways_to_call(way):
    f = ad.jit(doubled)
    want = 2 * X
    for _ in range(3):
        np.testing.assert_array_equal(f(X), want)
        np.testing.assert_array_equal(f(*[X]), want)
        np.testing.assert_array_equal(f(x=X), want)
        np.testing.assert_array_equal(f(**{"x": X}), want)
        np.testing.assert_array_equal(f(X, scale=2.0), 2 * want)
        np.testing.assert_array_equal(f(X, 2.0), 2 * want)
        np.testing.assert_array_equal(f.__call__(X), want)
        np.testing.assert_array_equal(type(f).__call__(X) if flagged(f) else f(X), want)
        np.testing.assert_array_equal(next(map(f, [X])), want)
        out = np.empty(8)
        assert f(X, out=out) is out
        np.testing.assert_array_equal(out, want)
        np.testing.assert_array_equal(f(X[::2]), want[::2])
        np.testing.assert_array_equal(f(X.astype(np.float32)), want.astype(np.float32))
    with pytest.raises(TypeError):
        f(X, 1.0, 2.0, 3.0)
    with pytest.raises(TypeError):
        f(X, shift=1.0)
    f.clear()
    np.testing.assert_array_equal(f(X), want)


def test_methods_and_copies(way):
    class Model:
        w = 3.0

        @ad.jit
        def loss(self, x):
            return np.sum(x * self.w)

    m = Model()
    assert m.loss(X) == m.loss(X) == pytest.approx(3 * X.sum(), rel=1e-15)
    f = ad.jit(square)
    f(X)
    for g in (copy.copy(f), copy.deepcopy(f), pickle.loads(pickle.dumps(f))):
        assert g(X) == g(X) == f(X)


def test_a_function_may_be_compiled_anew_while_it_runs(way, monkeypatch):
    """The call in progress holds what it runs on: here what it prints makes its code go."""
    results = []

    class Out:
        inside = False

        def write(self, text):
            if not self.inside:
                self.inside = True
                f.clear()
                gc.collect()
                results.append(f(np.ones(3)))
                f.clear()
                gc.collect()
                self.inside = False

        def flush(self):
            pass

    @ad.jit
    def f(x):
        y = np.sum(x * x)
        print(y)
        return np.sum(np.sort(x)) + y

    monkeypatch.setattr(sys, "stdout", Out())
    for n in (4, 5, 4):
        f(np.ones(n))
        assert f(np.ones(n)) == 2.0 * n
    assert results and set(results) == {6.0}


def test_functions_are_freed(way):
    before = []
    for k in range(30):
        f = ad.jit(lambda x, k=float(k): x * k)
        np.testing.assert_array_equal(f(X), X * k)
        np.testing.assert_array_equal(f(X), X * k)
        before.append(weakref.ref(f))
        del f
    gc.collect()
    assert not any(r() for r in before)


def test_many_threads_call_while_signatures_come_and_go(way):
    f = ad.jit(square)
    stop = threading.Event()
    wrong = []

    def run(n):
        x = np.ones(n)
        while not stop.is_set():
            if f(x) != n:
                wrong.append(n)

    threads = [threading.Thread(target=run, args=(n,)) for n in (2, 3, 4)]
    for t in threads:
        t.start()
    for _ in range(20):
        f.clear()
        f(X)
    stop.set()
    for t in threads:
        t.join()
    assert not wrong


def test_its_class_has_no_subclasses():
    with pytest.raises(TypeError, match="one instance"):
        type("more", (type(ad.jit(square)),), {})
