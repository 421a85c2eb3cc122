"""Named tuples and dataclasses through the builtin, and arrays of other forms: as arguments, as results, in each other.

What fits must not come by Python's way: `_dispatch` is made to raise once a function is compiled.
"""

import dataclasses
import gc
import sys
import weakref
from collections import namedtuple
from typing import NamedTuple

import numpy as np
import pytest

import adjoint as ad

Pair = namedtuple("Pair", "a b")
X = np.arange(6.0)


class Typed(NamedTuple):
    a: np.ndarray
    b: float = 2.0


class Derived(Pair):
    """With a __dict__ behind its items."""


@dataclasses.dataclass
class Data:
    a: object
    b: object


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: object
    b: object


@dataclasses.dataclass
class Guarded:
    """Whose attribute is code of the user's."""

    a: object
    b: object

    def __getattribute__(self, name):
        if name == "b":
            Guarded.asked += 1
        return object.__getattribute__(self, name)


Guarded.asked = 0
KINDS = [Pair, Typed, Derived, Data, Frozen]


def compiled(f, *args):
    """f compiled for these arguments; calls that Python must look at raise from now on."""
    g = ad.jit(f)
    g(*args)

    def refuse(*args, **kwargs):
        raise AssertionError("a call went by Python's way")

    g._dispatch = refuse
    return g


@pytest.mark.parametrize("kind", KINDS)
def test_records_go_in_and_out(kind):
    f = compiled(lambda p: kind(p.a * p.b, p.b + 1.0), kind(X, 2.0))
    for k in (3.0, -1.0):
        y = f(kind(X + k, k))
        assert type(y) is kind and type(y.b) is float and y.b == k + 1
        np.testing.assert_array_equal(y.a, (X + k) * k)


@pytest.mark.parametrize("outer", KINDS)
@pytest.mark.parametrize("inner", KINDS)
def test_records_in_records_and_containers(outer, inner):
    make = lambda k: (outer([inner(X * k, k)], {"u": inner(k, "name"), "v": X}), k)
    f = compiled(lambda p, k: {"w": [outer(p.a[0].a * k, inner(p.b["u"].a, p.b["v"] + p.a[0].b))]}, *make(2.0))
    (y,) = f(*make(3.0))["w"]
    assert type(y) is outer and type(y.b) is inner and y.b.a == 3.0
    np.testing.assert_array_equal(y.a, X * 9)
    np.testing.assert_array_equal(y.b.b, X + 3)


@pytest.mark.parametrize("kind", [*KINDS, Guarded])
def test_gradients_of_records(kind):
    f = ad.jit(ad.grad(lambda p: np.sum(p.a**2) * p.b))
    for k in (2.0, 3.0):
        g = f(kind(X, k))
        assert type(g) is kind
        np.testing.assert_allclose(g.a, 2 * k * X)
        assert g.b == np.sum(X**2)


def test_what_does_not_fit_is_compiled_anew():
    f = ad.jit(lambda p: p.a * p.b)
    for p in (
        Pair(X, 2.0),
        Typed(X, 2.0),
        Data(X, 2.0),
        Frozen(X, 2.0),
        Pair(X[:3], 2.0),
        Data(X, 3),
        Data(X, X),
        Derived(X, 2.0),
    ):
        for _ in range(2):
            np.testing.assert_array_equal(f(p), p.a * p.b)
    broken = Data(X, 2.0)
    del broken.b
    with pytest.raises(AttributeError):
        f(broken)
    assert f(Pair(1.0, 2.0)) == 2.0


def test_attributes_that_are_code_are_asked_each_time():
    f = ad.jit(lambda p: p.a * p.b)
    p = Guarded(X, 2.0)
    f(p)
    before = Guarded.asked
    f(p)
    assert Guarded.asked > before


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_held_longer_than_the_call(kind):
    f = compiled(lambda p, q: kind(p.a + q.a, p.b), kind(X, 2.0), kind(X, 1.0))
    a, p = X + 1, kind(X, 2.5)
    f(p, kind(a, 1.0))
    gc.collect()
    before = sys.getrefcount(a), sys.getrefcount(p), sys.getrefcount(kind)
    for _ in range(100):
        y = f(p, kind(a, 1.0))
    del y
    gc.collect()
    assert (sys.getrefcount(a), sys.getrefcount(p)) == before[:2]
    assert abs(sys.getrefcount(kind) - before[2]) < 10
    f._dispatch = lambda *args: None  # a miss behind some that fit gives back what it holds
    for _ in range(100):
        f(kind(a, 1.0), kind(a, "other"))
        f(kind(a, 1.0), None)
    assert sys.getrefcount(a) == before[0]


def test_a_result_whose_class_raises():
    @dataclasses.dataclass
    class Picky:
        a: object

        def __setattr__(self, name, value):
            raise ValueError("no")

    class Counted(namedtuple("Counted", "a")):
        def __new__(cls, a):
            if type(a) is np.ndarray and a[0] > 5:
                raise ValueError("too large")
            return super().__new__(cls, a)

    f = ad.jit(lambda x: Counted(x * 2))
    f(X)
    for _ in range(3):
        with pytest.raises(ValueError, match="too large"):
            f(X + 3)
        assert f(X).a[1] == 2.0


def test_out_of_records():
    f = ad.jit(lambda x: Pair(x * 2, x + 1))
    f(X)
    out = Pair(np.zeros(6), np.zeros(6))
    assert f(X, out=out) is out
    np.testing.assert_array_equal(out.a, 2 * X)
    np.testing.assert_array_equal(out.b, X + 1)


@pytest.mark.parametrize("make", [lambda x: np.repeat(x, 2)[::2], lambda x: x[::-1].copy()[::-1], ad.tensor])
def test_arrays_of_other_forms_take_a_short_way(make):
    f = compiled(lambda x, k: (x * k, np.sum(x)), X, 2.0)
    y, s = f(make(X + 1), 3.0)
    assert (type(y) is ad.Tensor) == (make is ad.tensor)
    np.testing.assert_array_equal(np.asarray(y), (X + 1) * 3)
    assert np.asarray(s) == np.sum(X + 1)


def test_tensors_and_types_first():
    f = compiled(lambda x: x * 2, ad.tensor(X))
    assert type(f(ad.tensor(X))) is ad.Tensor and type(f(X)) is np.ndarray
    g = ad.jit(lambda a: np.sin(a))
    g.compile(ad.core.types.Array((6,), np.dtype(float)))
    g._dispatch = None
    np.testing.assert_allclose(g(X), np.sin(X), rtol=1e-15)
    x = ad.tensor(X, requires_grad=True)
    h = ad.jit(lambda x: np.sum(x * x))
    assert h(X) == 55.0
    h(x).backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * X)


def test_code_goes_with_the_function():
    f = compiled(lambda p: Data(p.a * 2, p.b), Data(X, 1.0))
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None
