"""Calls of native code, where a missing check would go unseen elsewhere: each test stands for a fault planted in the glue."""

import weakref

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from adjoint.compiler.native import call
from adjoint.compiler.native.spec import ArrayLeaf, Equal, Same, ScalarLeaf, Spec

from .calling import MISS, VECTOR, Quarrelsome, X, copier, copy_function, fallback, load

NUMBER = ScalarLeaf(float)


@pytest.mark.parametrize("kind", [tuple, list])
def test_lengths_of_containers(kind):
    f = copy_function([kind([NUMBER, NUMBER])])
    assert f(kind([1.0, 2.0])) == (kind([1.0, 2.0]),)
    for other in ([], [1.0], [1.0, 2.0, 3.0]):
        assert f(kind(other)) is MISS


def test_static_bytes():
    f = call.make(load(copier()), Spec(args=(Equal(b"ab"),), outputs=(), fallback=fallback))
    assert f(b"".join([b"a", b"b"])) == () and f(b"ac") is MISS and f("ab") is MISS and f(bytearray(b"ab")) is MISS


def test_keys_with_an_equality_of_their_own_are_known_by_identity():
    key = Quarrelsome()
    f = copy_function([{key: NUMBER}])
    assert f({key: 1.0}) == ({key: 1.0},)
    assert f({Quarrelsome(): 1.0}) is MISS


class Clash:
    """A key that lies where `w` lies, and raises when it is compared."""

    def __hash__(self):
        return hash("w")

    def __eq__(self, other):
        raise ValueError("was compared")


def test_a_look_up_that_raises_is_a_miss_and_leaves_no_error():
    namespace = {Clash(): 1.0}
    f = call.make(
        load(copier(8)), Spec(hidden=[(("global", namespace, "w"), NUMBER)], outputs=NUMBER, fallback=fallback)
    )
    g = call.make(load(copier()), Spec(guards=[(("absent", namespace, "w"), None)], outputs=(), fallback=fallback))
    assert f() is MISS and g() is MISS


def test_the_value_of_a_keyword_is_tested():
    f = call.make(
        load(copier(8, 8)), Spec(kwargs={"a": NUMBER, "b": NUMBER}, outputs=(NUMBER, NUMBER), fallback=fallback)
    )
    assert f(a=1.0, b=2.0) == (1.0, 2.0)
    assert f(a="x", b=2.0) is MISS and f(a=1.0, b=2) is MISS and f(b=2.0, a=None) is MISS


def test_a_pooled_array_that_was_resized_is_not_used_again():
    f = copy_function([VECTOR], VECTOR)
    for n in (3, 5, 4):
        y = f(X)
        assert y.shape == (4,) and np.array_equal(y, X)
        y.resize((n,), refcheck=False)
        del y


def test_arrays_that_leave_the_pool_are_freed():
    f = copy_function([VECTOR], VECTOR)
    results = [f(X + i) for i in range(10)]
    dead = []
    watched = [weakref.ref(y, dead.append) for y in results]
    assert all(np.array_equal(y, X + i) for i, y in enumerate(results))
    del results
    assert len(dead) == len(watched) - 2  # the two that are kept


@pytest.mark.parametrize(
    "wrong", [[np.zeros(4)], (), (np.zeros(4), np.zeros(4)), {"a": np.zeros(4)}, None, 1.0, np.zeros(4)], ids=range(7)
)
def test_out_has_the_containers_of_the_result(wrong):
    made = {"t": (VECTOR,), "l": [VECTOR], "d": {"a": VECTOR}, "c": Same("k")}
    f = copy_function([VECTOR, VECTOR, VECTOR], made)

    def good():
        return {"t": (np.zeros(4),), "l": [np.zeros(4)], "d": {"a": np.zeros(4)}, "c": "k"}

    for constant in ("k", None):
        out = {**good(), "c": constant}
        assert f(X, X, X, out=out) is out and np.array_equal(out["l"][0], X)
    assert f(X, X, X, out={**good(), "c": "other"}) is MISS
    for place in ("t", "l", "d"):
        if type(wrong) is not type(made[place]) or len(wrong) != 1:
            assert f(X, X, X, out={**good(), place: wrong}) is MISS
    assert f(X, X, X, out={**good(), "e": None}) is MISS
    assert f(X, X, X, out={**good(), "d": {"b": np.zeros(4)}}) is MISS
    assert f(X, X, X, out={**good(), "d": {"a": np.zeros(4), "b": np.zeros(4)}}) is MISS
    assert f(X, X, X, out={**good(), "d": {}}) is MISS


@pytest.mark.parametrize("shape", [(2,), (4,), (2, 2, 1), (), (4, 1), (1, 4)])
def test_out_of_another_rank(shape):
    f = copy_function([ArrayLeaf((2, 2), float)], ArrayLeaf((2, 2), float))
    assert f(np.ones((2, 2)), out=np.zeros(shape)) is MISS


def test_empty_arrays_share_no_memory():
    empty = ArrayLeaf((0,), float)
    f = copy_function([empty, VECTOR], (empty, VECTOR))
    long = np.arange(8.0)
    inside = np.ndarray((0,), float, buffer=long, offset=16)  # its address lies within the other array
    assert f(inside, X, out=(inside, long[:4])) is not MISS and np.array_equal(long[:4], X)
    g = copy_function([VECTOR, empty], (VECTOR, empty))
    assert g(X, inside, out=(long[:4], inside)) is not MISS


def failing_allocations(f, args):
    """Call f with the k-th allocation failing, k = 0, 1, ..., until none is left to fail; how many failed."""
    testcapi = pytest.importorskip("_testcapi")
    failed = 0
    for k in range(200):
        testcapi.set_nomemory(k, k + 1)
        try:
            f(*args)
            error = None
        except MemoryError:
            error = MemoryError
        finally:
            testcapi.remove_mem_hooks()
        if error is None and k > 60:
            break
        failed += error is not None
    return failed


def test_every_allocation_may_fail():
    node = ({"w": VECTOR, "k": [NUMBER, ScalarLeaf(np.float64)]}, ScalarLeaf(complex), ScalarLeaf(int), [NUMBER] * 60)
    f = copy_function([node], node, pool=False, workspace=100)
    args = (({"w": X, "k": [1.5, np.float64(2.5)]}, 1j, 10**9, [0.5] * 60),)
    f(*args)
    call.release(f)
    assert failing_allocations(f, args) > 5
    (w, z, n, many) = f(*args)
    assert np.array_equal(w["w"], X) and w["k"] == [1.5, 2.5] and (z, n, many) == (1j, 10**9, [0.5] * 60)
