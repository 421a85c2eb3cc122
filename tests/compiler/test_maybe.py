"""Values that may be None, by a decision on data: returned, kept in a variable, asked for, used; and what is said where there is None."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import adjoint as ad
from tests.compiler.points import BATCHED, alike, batches_agree, gradients_agree, said
from tests.compiler.random_control import program

# Each program takes a float; at each point it gives a float, None, a tuple of these, or raises.


def returns_none(x):
    if x < 0:
        return None
    return x * math.sqrt(x)


def falls_off(x):
    if x > 0:
        return x * x


def none_in_a_loop(x):
    for k in range(40):
        if x * k > 10:
            return x / k
    return None


def none_from_while(x):
    n = 0
    while abs(x) > 0.1:
        x = x * 0.7 - 0.01
        n += 1
        if n > 6:
            return None
    return math.sin(x)


def pair_or_none(x):
    d = 4 * x - 1
    if d < 0:
        return None
    return 0.5 - math.sqrt(d), 0.5 + math.sqrt(d)


def pair_of_nones(x):
    d = 4 * x - 1
    if d < 0:
        return None, None
    return -math.sqrt(d), math.sqrt(d)


def mixed_pair(x):
    if x < 0:
        return None, x
    if x < 1:
        return x, None
    return x, x * x


def asked(x):
    r = returns_none(x)
    if r is None:
        return -x
    return r + 1


def asked_not(x):
    r = returns_none(x)
    if r is not None:
        return r + 1
    return -x


def replaced(x):
    r = returns_none(x)
    if r is None:
        r = 3.0 * x
    return r * 2


def unpacked(x):
    roots = pair_or_none(x)
    if roots is None:
        return 0.0
    low, high = roots
    return low * high + roots[1]


def both_needed(x):
    a, b = returns_none(x), returns_none(x - 1)
    if a is not None and b is not None:
        return a * b
    return x


def either_missing(x):
    a, b = returns_none(x), returns_none(x - 1)
    if a is None or b is None:
        return x
    return a * b


def conditional_expression(x):
    r = returns_none(x)
    return x if r is None else r


def truthy(x):
    r = returns_none(x)
    if not r:
        return x + 1
    return r


def or_default(x):
    return (returns_none(x) or 5.0) * x


def best_of(x):
    best = None
    for k in range(30):
        y = (x - 0.13 * k) ** 2 + 0.01 * k
        if best is None or y < best:
            best = y
    return best


def best_where(x):
    best, where = None, None
    for k in range(30):
        y = math.cos(x + k) * x
        if best is None or best < y:
            best, where = y, k
    return best * where


def previous(x):
    last, total = None, 0.0
    for k in range(25):
        y = math.sin(x * k)
        if last is not None:
            total += (y - last) ** 2
        last = y
    return total


def found_in_loop(x):
    found = None
    for k in range(1, 50):
        if found is None and x * k > 8:
            found = x * k * k
    return found


def found_or_raise(x):
    found = None
    for k in range(1, 20):
        if x * k > 8:
            found = x * k
            break
    if found is None:
        raise ValueError("nothing there")
    return found**2


def found_by_while(x):
    hit, t = None, 0.0
    while t < 3 and hit is None:
        if x * t > 2:
            hit = t * x * x
        t += 0.25
    return hit


def used_without_asking(x):
    return returns_none(x) + 1.0


def used_by_a_function(x):
    return math.exp(returns_none(x))


def used_by_numpy(x):
    return np.maximum(returns_none(x), 0.5) + np.array([returns_none(x), 1.0]).sum()


def passed_on(x):
    def twice(y):
        if y is None:
            return 1.0
        return 2 * y

    return twice(returns_none(x)) * x


def kept_in_list(x):
    hits = [returns_none(x - k) for k in range(3)]
    total = 0.0
    for h in hits:
        if h is not None:
            total += h
    return total + sum(h for h in hits if h is not None)


def kept_in_dict(x):
    d = {"root": None}
    if x > 0:
        d["root"] = math.sqrt(x)
    return -1.0 if d["root"] is None else d["root"]


@dataclass
class Hit:
    t: object = None
    n: object = None


def kept_in_object(x):
    hit = Hit()
    for k in range(12):
        t = x - k
        if t > 0 and (hit.t is None or t < hit.t):
            hit.t = t
            hit.n = t * k
    if hit.t is None:
        return -x
    return hit.t * hit.n


def array_or_none(x):
    a = None
    if x > 1:
        a = np.array([x, x * x])
    if a is None:
        return x
    a[0] = a[1] * 2
    return a.sum()


def text_or_none(x):
    kind = None
    if x > 1:
        kind = "big"
    if kind == "big":
        return x * x
    return x


def equal_to_none(x):
    r = returns_none(x)
    if r == None:  # noqa: E711
        return x
    return r


def nested_tests(x):
    a = returns_none(x)
    b = None
    if a is not None:
        if a > 2:
            b = a * 2
        elif a > 1:
            b = a * 3
    return x if b is None else b


def negated_test(x):
    a = returns_none(x)
    if not (a is None):  # noqa: E714
        return a * 2
    return x


def asserted(x):
    a = returns_none(x)
    assert a is not None, "must be there"
    return a * a


def chained(x):
    a = returns_none(x)
    if a is None:
        return None
    b = returns_none(a - 1)
    if b is None:
        return None
    return a * b


def bracket(x):
    f = lambda t: t**3 - x
    low = high = None
    for k in range(-20, 20):
        t = k / 4
        if f(t) < 0:
            low = t
        elif high is None:
            high = t
    if low is None or high is None:
        return None
    for _ in range(60):
        mid = (low + high) / 2
        if f(mid) < 0:
            low = mid
        else:
            high = mid
    mid = (low + high) / 2
    return mid - f(mid) / (3 * mid**2)


PROGRAMS = [
    f for f in list(globals().values()) if getattr(f, "__module__", None) == __name__ and callable(f) and f is not Hit
]
POINTS = [-2.3, -0.4, 0.31, 0.77, 1.4, 2.6, 12.2]


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_value(f):
    g = ad.jit(f)
    for x in POINTS:
        for _ in range(2):  # captured, then by the builtin
            assert alike(said(g, x), said(f, x)), (x, said(g, x), said(f, x))


@pytest.mark.parametrize("f", [f for f in PROGRAMS if "pair" not in f.__name__], ids=lambda f: f.__name__)
def test_gradient(f):
    gradients_agree(f, POINTS)


@pytest.mark.parametrize(
    "f", [f for f in PROGRAMS if "pair" not in f.__name__ and f.__name__ != "used_by_numpy"], ids=lambda f: f.__name__
)
def test_batch(f):
    """Lanes that all give a number are mapped; where one gives None, that is an error."""
    good = batches_agree(f, POINTS)
    if len(good) < len(POINTS):
        for make in BATCHED:
            with pytest.raises(Exception):
                make(f)(np.array(POINTS))


def test_the_corpus_is_large():
    assert len(PROGRAMS) >= 37


def test_messages():
    with pytest.raises(ad.errors.DTypeError, match=r"needs a number, but returns_none .* returned None on the path"):
        ad.jit(ad.grad(returns_none))(-1.0)
    with pytest.raises(TypeError, match="there was None"):
        ad.jit(used_without_asking)(-1.0)


def test_no_check_where_a_test_has_told():
    """What is asked for needs no check in the branch: the graph of such a function has no effects."""
    for f in (asked, asked_not, replaced, both_needed, either_missing, best_of, previous):
        assert "check" not in str(ad.jit(f).graph(1.0)), f.__name__


def test_refused():
    def text(x):
        return len(f"{returns_none(x)}") * x

    def compared(x):
        return x if returns_none(x) is returns_none(x + 1) else 0.0

    for f in (text, compared):
        with pytest.raises(ad.errors.ConcreteError, match="None"):
            ad.jit(f)(1.0)


def test_caught():
    def f(x):
        try:
            return returns_none(x) + 1
        except TypeError:
            return 0.0

    with pytest.raises(ad.errors.ConcreteError, match="inside a try that catches it"):
        ad.jit(f)(1.0)


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed):
    check_random(seed)


def check_random(seed):
    """A random program with variables that may be None: compiled as in plain Python, and its gradient as that of plain Python."""
    f, text = program(seed, optional=True)
    g, slopes = ad.jit(f), ad.jit(ad.grad(f, (0, 1)))
    rows = np.random.default_rng(seed).uniform(-1.5, 1.5, (8, 2))
    if seed % 4 == 0:
        want = np.array([f(float(x), float(y)) for x, y in rows])
        for lanes in (ad.vmap(ad.differentiable(f)), ad.jit(ad.vmap(f))):
            assert np.allclose(lanes(rows[:, 0], rows[:, 1]), want, rtol=1e-9, atol=1e-9), text
        want = np.array([ad.grad(ad.differentiable(f))(float(x), float(y)) for x, y in rows])
        assert np.allclose(ad.jit(ad.vmap(ad.grad(f)))(rows[:, 0], rows[:, 1]), want, rtol=1e-7, atol=1e-7), text
    for x, y in rows.tolist():
        assert math.isclose(g(x, y), f(x, y), rel_tol=1e-9, abs_tol=1e-9), text
        assert np.allclose(slopes(x, y), ad.grad(ad.differentiable(f), (0, 1))(x, y), rtol=1e-7, atol=1e-7), text
