"""Small functions, one construct of Python each, that decide on values: what source capture must stage, and get right.

`@construct(first, second, ...)` gives tuples of arguments (floating, to be differentiated) that take different ways
through the function. No word of adjoint in them. Options:

    eager     False where plain NumPy cannot differentiate it (a buffer filled in place): only the copy can
    vmap      False where it cannot be mapped
    grad      False where the result has no derivative, or is no scalar
"""

import bisect
import functools
import math
from collections.abc import Iterable, Sized
from dataclasses import dataclass

import numpy as np
from numpy import zeros

CONSTRUCTS: list = []


class Construct:
    def __init__(self, f, rows, eager, vmap, grad):
        self.f, self.rows, self.eager, self.vmap, self.grad = f, rows, eager, vmap, grad
        self.name = f.__name__


def construct(*rows, eager=True, vmap=True, grad=True):
    def register(f):
        CONSTRUCTS.append(Construct(f, [r if type(r) is tuple else (r,) for r in rows], eager, vmap, grad))
        return f

    return register


V = np.array
POSITIVE, NEGATIVE, MIXED = V([0.4, 1.1, 0.7]), V([-0.4, -1.1, -0.7]), V([0.4, -1.1, 0.7])


# if


@construct(2.0, -3.0)
def if_else(x):
    if x > 0:
        y = x * x
    else:
        y = -x
    return y


@construct(2.0, -3.0)
def if_alone(x):
    y = x * 3
    if x > 0:
        y = y * x
    return y


@construct(0.5, 1.5, 2.5, 3.5)
def elif_chain(x):
    if x < 1:
        y = x
    elif x < 2:
        y = x**2
    elif x < 3:
        y = x**3
    else:
        y = x**4
    return y * x


@construct((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0))
def nested_if(x, y):
    if x > 0:
        if y > 0:
            z = x * y * 2
        else:
            z = x - y * y
    else:
        if y > 0:
            z = np.sin(y)
        else:
            z = np.exp(x) * y
    return z + x


@construct(2.0, -3.0)
def if_with_two_names(x):
    a, b = 1.0, x
    if x > 0:
        a = x
        b = 2 * x
    else:
        b = a - x
    return a * b


@construct(2.0, -3.0)
def if_int_and_float(x):
    n = 1
    if x > 0:
        n = 2.5
    return n * x


@construct(2.0, -3.0)
def if_reads_only_its_own_name(x):
    if x > 0:
        t = x * x
        y = t + 1
    else:
        u = x - 1
        y = u * 2
    return y


@construct(2.0, -3.0)
def if_binds_on_one_path_a_name_nobody_reads(x):
    y = x
    if x > 0:
        k = 3
        y = y * k
    return y


@construct(2.0, -3.0)
def if_constant_branches(x):
    if x > 0:
        s = 1.0
    else:
        s = -1.0
    return s * x


@construct(2.0, -3.0)
def ternary(x):
    return x * x if x > 0 else np.exp(x)


@construct(0.5, 1.5, 2.5)
def ternary_chain(x):
    return x if x < 1 else x**2 if x < 2 else x**3


@construct((1.0, 2.0), (-1.0, 2.0), (1.0, -2.0))
def and_or_not(x, y):
    if x > 0 and y > 0:
        return x * y
    if not x > 0 or y > 5:
        return y - x
    return x**2


@construct(0.5, 1.5, -1.0)
def chained_comparison(x):
    if 0 < x < 1:
        return x * 10
    return x


@construct(3.0, 0.0)
def or_value(x):
    y = x or 2.0
    return y * y + x


@construct(3.0, 0.5)
def and_value(x):
    big = x > 1
    y = big and x < 10
    return x if y else -x


@construct((4.0, 2.0), (4.0, -3.0), (1.0, 4.0))
def short_circuit(x, y):
    if y != 0 and x / y > 1:
        return x / y
    return x


@construct(2.0, -3.0)
def none_until_bound(x):
    y = None
    if x > 0:
        y = x
    else:
        y = x * 2
    return y * y


@construct(V([1.0, 2.0]), V([-1.0, 0.5]))
def if_on_reduction(x):
    if x.sum() > 1 and (x > 0).all():
        return np.sum(x**2)
    return np.prod(x)


@construct(2.0, -3.0)
def if_inside_helper(x):
    return _relu_like(x) * _relu_like(x - 1) + x


def _relu_like(x):
    if x > 0:
        return x
    return 0.1 * x


@construct(2.0, -2.0)
def static_and_dynamic_tests(x, scale=None):
    if scale is None:
        scale = 3.0
    if isinstance(scale, float) and scale > 1:
        x = x * scale
    if x > 0:
        x = x + 1
    return x * x


# return


@construct(0.5, 1.5, 2.5)
def early_returns(x):
    if x < 1:
        return x
    y = x * x
    if x < 2:
        return y
    return y * x


@construct(2.0, -3.0)
def return_in_else(x):
    if x > 0:
        y = x + 1
    else:
        return x * 4
    return y * y


@construct((1.0, 1.0), (1.0, -1.0), (-1.0, 1.0))
def return_in_nested_if(x, y):
    if x > 0:
        if y > 0:
            return x * y
        z = x - y
    else:
        z = x * 3
    return z * z


@construct(1.3, 40.0, 200.0)
def return_in_while(x):
    k = 1.0
    while x < 100:
        x = x * 2 + k
        if x > 50:
            return x * 10
        k = k + 1
    return x


@construct(0.3, 2.1, -5.2)
def return_in_for(x):
    for i in range(20):
        x = x + 0.5
        if x > 3:
            return x * i
    return -x


@construct((2.0, 1.5), (-2.0, 1.2))
def return_tuple(x, y):
    if x > 0:
        a, b = _pair(x, y)
    else:
        a, b = _pair(y, x)
    return a * b


def _pair(x, y):
    if x > 1:
        return x * y, x
    return y, x - y


@construct(2.0, -3.0)
def return_from_with(x):
    with np.errstate(all="ignore"):
        if x > 0:
            return np.log(x)
        y = x * x
    return y


@construct(2.0, -3.0)
def return_from_try(x):
    try:
        if x > 0:
            return x * 2
        y = x * x
    except ZeroDivisionError:
        y = 0.0
    return y


# while


@construct(1.1, 7.0, 2000.0)
def while_simple(x):
    while x < 1000:
        x = x * 2
    return x


@construct(V([0.3, -1.2]), V([0.9, 1.2]))
def while_norm(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    return b.sum() if b.sum() > 0 else 100 * b.sum()


@construct(2.7, 9.0)
def while_newton(a):
    x = 1.0
    while abs(x * x - a) > 1e-13:
        x = 0.5 * (x + a / x)
    return x


@construct(1.1, 7.0, 2000.0)
def while_counter(x):
    n = 0
    while x < 1000:
        x = x * 2
        n += 1
    return x * n


@construct(1.1, 7.0, 40.0)
def while_true_break(x):
    while True:
        x = x * 1.7
        if x > 30:
            break
    return x


@construct(1.1, 7.0)
def while_break_in_the_middle(x):
    k = 0
    y = x
    while k < 30:
        y = y * x
        if y > 100:
            break
        y = y + 1
        k += 1
    return y * x


@construct(1.1, 3.0)
def while_continue(x):
    k = 0
    total = 0.0
    while k < 12:
        k += 1
        if x * k < 5:
            continue
        total = total + x * k
    return total


@construct(1.5, 20.0, 1e-9)
def while_else(x):
    k = 0
    while k < 10:
        x = x * 2
        k += 1
        if x > 50:
            break
    else:
        x = x - 100
    return x * x


@construct((1.5, 2.0), (0.3, 5.0))
def while_nested(x, y):
    total = 0.0
    while x < 50:
        z = y
        while z < x * 4:
            z = z * 1.9
            total = total + z
        x = x * 2.1
    return total + x


@construct((90.0, 42.0), (13.0, 5.0), grad=False)
def while_euclid(a, b):
    while b > 0.5:
        a, b = b, a % b
    return a


@construct(2.0, 31.0)
def while_with_if(x):
    steps = 0
    while x > 1.5 and steps < 40:
        if x > 10:
            x = x / 3
        else:
            x = x - 0.7
        steps += 1
    return x * x + steps


@construct(0.5, 3.0)
def while_bisection(x):
    lo, hi = 0.0, x + 2
    while hi - lo > 1e-3:
        middle = (lo + hi) / 2
        if middle**3 > x:
            hi = middle
        else:
            lo = middle
    return (lo + hi) / 2 * x


@construct(1.3, 8.0)
def while_walrus(x):
    while (y := x * x) < 100:
        x = x + y / 10
    return x * y


@construct(30.0, 2.0)
def while_known_count(x):
    i = 0
    while i < 25:
        x = x * 0.9 + i
        i += 1
    return x


# for


@construct(0.5, 1.5)
def for_range_short(x):
    for i in range(4):
        x = x * x + i
    return x


@construct(0.9, 1.01)
def for_range_long(x):
    for i in range(50):
        x = x * 0.95 + 0.01 * i
    return x


@construct(0.9, -1.1)
def for_range_with_if(x):
    total = 0.0
    for i in range(2, 40, 3):
        if x * i > 3:
            total += x / i
        else:
            total -= x * i
    return total


@construct((0.9, 3.4), (0.2, 7.9), vmap=False)
def for_range_of_unknown(x, n):
    total = x
    for i in range(int(n)):
        total = total * x + i
    return total


@construct(MIXED, np.linspace(-1, 2, 3))
def for_array_short(x):
    total = 0.0
    for v in x:
        if v > 0:
            total += v * v
    return total


@construct(np.linspace(-1, 2, 14), np.linspace(1, -3, 14))
def for_array_long(x):
    total = 0.0
    for v in x:
        if v > 0:
            total += v * v
        else:
            total -= np.sin(v)
    return total


@construct(np.linspace(-1, 2, 14), np.linspace(1, -3, 14))
def for_enumerate(x):
    total = 0.0
    for i, v in enumerate(x):
        if v > 0:
            total += v * i
    return total


@construct((np.linspace(-1, 2, 14), np.linspace(0, 1, 14)), (np.linspace(3, -2, 14), np.linspace(2, 1, 14)))
def for_zip(x, y):
    total = 0.0
    for a, b in zip(x, y):
        total = total + (a * b if a > b else a - b)
    return total


@construct(np.linspace(-1, 2, 14), np.linspace(1, -3, 14))
def for_reversed(x):
    h = 0.1
    for v in reversed(x):
        h = h * v + 1
    return h


@construct(0.3, 1.4)
def for_horner_over_list(x):
    y = 0.0
    for c in [1.0, -2.0, 0.5, 0.25, 1.5, -0.75, 2.0, 0.1, 0.2, 0.3, -0.4]:
        y = y * x + c
    return y


@construct(np.linspace(-1, 2, 12), np.linspace(1, -3, 12))
def for_index(x):
    total = 0.0
    for i in range(len(x) - 1):
        total = total + x[i] * x[i + 1] * (i + 1)
    return total


@construct(np.arange(24.0).reshape(12, 2) / 10, -np.arange(24.0).reshape(12, 2) / 7)
def for_rows(x):
    h = np.array([0.1, -0.1])
    for row in x:
        h = np.tanh(h + row)
    return h.sum()


@construct(1.5, 20.0, 1e-9)
def for_break_else(x):
    for i in range(30):
        x = x * 1.5 + 0.0 * i
        if x > 10:
            break
    else:
        x = x - 100
    return x + i


@construct(0.7, 2.0)
def for_continue(x):
    total = 0.0
    for i in range(20):
        if i * x < 5:
            continue
        total = total + x * i
    return total


@construct((0.7, 1.1), (2.0, 0.3))
def for_nested(x, y):
    total = 0.0
    for i in range(12):
        for j in range(10):
            total = total + x * i - y * j * x
    return total


@construct({"a": 0.5, "b": 2.0, "c": -1.0}, {"a": -0.5, "b": 0.1, "c": 1.0}, vmap=False)
def for_dict_items(p):
    total = 0.0
    for name, v in p.items():
        if v > 0:
            total = total + v * len(name)
        else:
            total = total - v
    return total * p["a"]


@construct(0.3, 1.7)
def for_fibonacci(x):
    a, b = 0.0, x
    for _ in range(15):
        a, b = b, a + b * 0.5
    return a * b


@construct((0.3, 0.2), (1.7, -0.4))
def for_target_is_a_tuple(x, y):
    for i, (a, b) in enumerate([(x, y), (y, x), (x, x)]):
        if a > b:
            x = x + a * i
        else:
            y = y - b
    return x * y


@construct(0.3, 1.7)
def for_state_changes_type(x):
    total = 0
    best = None
    for i in range(12):
        total = total + x * i
        best = total if best is None else max(best, total)
    return best


@construct(0.3, 1.7)
def for_scalar_becomes_vector(x):
    total = 0.0
    for i in range(12):
        total = total + np.array([x, x * i])
    return total.sum()


# buffers, lists, dicts, objects


@construct(0.3, 1.7, eager=False)
def buffer_filled(x):
    a = np.zeros(5)
    for i in range(5):
        a[i] = x**i
    return a.sum()


@construct(0.3, 1.7, eager=False)
def buffer_filled_in_a_long_loop(x):
    a = np.zeros(20)
    a[0] = x
    for i in range(1, 20):
        a[i] = a[i - 1] * 0.9 + x
    return (a * a).sum()


@construct(0.3, -1.7, eager=False)
def buffer_written_in_a_branch(x):
    a = np.ones(3)
    b = a
    if x > 0:
        a[1] = x
    else:
        b[2] = x * x
    return (a * b).sum() * x


@construct(0.3, 1.7, eager=False)
def buffer_with_augmented_assignment(x):
    a = np.zeros(3)
    for i in range(3):
        a[i] += x * i
        a += x
        a[:2] *= 2
    return a.sum()


@construct(0.3, 1.7, eager=False)
def buffer_through_a_view(x):
    a = zeros((3, 2))
    row = a[1]
    if x > 1:
        row[0] = x
    else:
        row[1] = 2 * x
    a.T[0] += x
    return (a * np.arange(6.0).reshape(3, 2)).sum()


@construct(0.3, 1.7, eager=False)
def buffer_written_by_a_helper(x):
    a = np.zeros(20)
    for i in range(20):
        _store(a, i, x * i)
    return a[3] * a[7]


def _store(a, i, v):
    a[i] = v


@construct(np.linspace(-1, 2, 12), np.linspace(1, -3, 12), eager=False)
def buffer_cumulative(x):
    out = np.empty_like(x)
    total = 0.0
    for i, v in enumerate(x):
        total = total + v if v > 0 else total - v
        out[i] = total
    return out.sum()


@construct(0.4, 1.3, eager=False)
def array_of_values(x):
    m = np.array([[x, 1.0], [0.0, x * x]])
    if m[0, 0] > 1:
        return np.linalg.det(m)
    return m.sum()


@construct(0.4, 1.3, eager=False)
def array_swap(x):
    a = np.array([x, 2 * x, 3.0])
    if x > 1:
        a[0], a[2] = a[2], a[0]
    return a[0] * a[1]


@construct(0.4, 1.3)
def list_appended_in_a_long_loop(x):
    out = []
    for i in range(15):
        x = np.sin(x) + 0.1 * i
        out.append(x)
    return np.stack(out).sum() + out[3]


@construct(0.4, 1.3)
def list_appended_and_read(x):
    out = [x]
    for _ in range(5):
        out.append(out[-1] * x)
    return sum(out)


@construct(0.4, -1.3)
def list_appended_on_both_paths(x):
    out = []
    if x > 0:
        out.append(x)
    else:
        out.append(x * x)
    return out[0] * 2


@construct(0.4, 1.3)
def list_item_assigned(x):
    a = [0.0, x, 2.0]
    for _ in range(12):
        a[0] = a[0] + a[1] * 0.5
    if a[0] > 3:
        a[2] = x
    return a[0] * a[2]


@construct(0.4, 1.3)
def dict_state(x):
    d = {"a": 0.0, "b": x}
    for i in range(12):
        d["a"] = d["a"] + d["b"] * i
        if d["a"] > 5:
            d["b"] = d["b"] * 0.5
    return d["a"] * d["b"]


class _Accumulator:
    def __init__(self, rate):
        self.rate = rate
        self.total = 0.0
        self.buffer = np.zeros(3)

    def add(self, x):
        if x > 1:
            self.total = self.total + x * self.rate
        else:
            self.total = self.total - x
        return self

    @property
    def mean(self):
        if self.total > 3:
            return self.total / 3
        return self.total

    def __call__(self, x):
        self.buffer[1] = x
        return self.buffer.sum()


@construct(0.4, 1.3)
def object_state(x):
    acc = _Accumulator(2.0)
    for i in range(14):
        acc.add(x * i)
    return acc.mean * x


@construct(0.4, 1.3, eager=False)
def object_with_a_buffer(x):
    acc = _Accumulator(x)
    return acc(x) * acc.rate


@dataclass
class _Point:
    x: float
    y: float

    def flip(self):
        if self.x > self.y:
            return _Point(self.y, self.x)
        return self


@construct((0.4, 1.3), (2.0, 1.0))
def dataclass_method(x, y):
    p = _Point(x, y).flip()
    return p.x * 2 + p.y * x


# functions


@construct(0.4, -1.3)
def closure_over_a_local(x):
    k = 2.0

    def inner(v):
        if v > 0:
            return v * k
        return v - x

    k = 3.0
    return inner(x) + inner(-x)


@construct(0.4, -1.3)
def nonlocal_counter(x):
    total = 0.0

    def add(v):
        nonlocal total
        if v > 0:
            total = total + v
        else:
            total = total - 2 * v

    add(x)
    add(x * 3 - 1)
    return total


@functools.singledispatch
def _by_class(x):
    return x * x if x > 0 else x


@_by_class.register(np.ndarray)
def _(x):
    return np.sum(x) * 2 if x[0] > 0 else x[0]


@_by_class.register(list)
def _(x):
    return x[0] * x[1] if x[0] > 0 else x[1]


@functools.lru_cache
def _remembered(x, n):
    return x * n if x > 0 else -x


@construct(POSITIVE, NEGATIVE, MIXED)
def functions_of_functools(v):
    scaled = functools.partial(lambda k, x: k * x if x > 0 else x, 3.0)
    s = _by_class(v) + _by_class([v[0], v[1]]) + _remembered(v[2], 2) + _remembered(2, 3) + scaled(v[1])
    return s + functools.reduce(lambda a, b: a * b if a > b else a + b, [v[0], v[1], v[2]])


class _Base:
    def __init__(self, w):
        self.w = w

    def cost(self, x):
        return self.w * x if x > 0 else x * x

    @classmethod
    def made(cls, w):
        return cls(w) if cls is not _Base else None

    @property
    def double(self):
        return 2 * self.w

    @staticmethod
    def square(x):
        return x * x if x > 1 else x


class _Derived(_Base):
    def cost(self, x):
        if x > 1:
            return super().cost(x) * 2
        return super(_Derived, self).cost(x) + len(__class__.__name__)  # noqa: UP008


@construct(POSITIVE, NEGATIVE)
def classes_and_what_is_above(v):
    m = _Derived.made(v[1])
    return m.cost(v[0]) + m.double * m.cost(v[2]) + _Derived.square(v[1])


def _doubled(v):
    for x in v:
        yield 2 * x


def _delegated(v):
    yield from _doubled(v)
    i = 0
    while i < 2:
        yield v[i] * v[i + 1]
        i += 1


@construct(POSITIVE, NEGATIVE)
def generators(v):
    s = sum(_delegated(v)) + sum(x * x for x in _doubled(v) if x > 0.5)
    return s if s > 1 else s * s


SCALE = 1.5


@construct(POSITIVE, NEGATIVE)
def names_as_text(v):
    y = v * 2
    space = {}
    exec("z = y * y", {"y": y}, space)
    s = np.sum(locals()["y"] * space["z"]) * globals()["SCALE"] * len(f"{v.shape=}")
    return s if s > 0 else eval("s * s", {"s": s})


@construct(POSITIVE, NEGATIVE)
def patterns(v):
    s = 0.0
    for p in (("scale", 2), {"shift": 3.0}, [v[0], v[1]], "none"):
        match p:
            case ("scale", n) if n > 1:
                s = s + n * v[0] if v[0] > 0 else s
            case {"shift": by}:
                s = s + by * v[1]
            case [first, *rest] if len(rest) == 1:
                s = s * first if first > 0 else s + rest[0]
            case str():
                s = s * 2
    return s


@construct(POSITIVE, NEGATIVE)
def what_happens_finally(v):
    log = []
    try:
        if v[0] > 0:
            return np.sum(v * v)
        y = np.sum(v)
    finally:
        log.append(1)
    first, *others = v
    return y * first + sum([*others, first])


@construct(0.4, -1.3)
def lambda_with_a_ternary(x):
    f = lambda v: v * v if v > 0 else -v
    return f(x) + f(x - 1)


@construct(MIXED, POSITIVE, NEGATIVE)
def map_and_filter(x):
    return sum(map(_relu_like, x)) + max(map(lambda v: v * v, x))


@construct(0.4, -1.3)
def partial_and_reduce(x):
    f = functools.partial(_scaled, scale=2.0)
    return functools.reduce(lambda a, b: a * b if a > b else a + b, [f(x), x, f(x - 1)])


def _scaled(x, scale=1.0):
    if x > 0:
        return x * scale
    return x / scale


@construct(0.4, -1.3)
def decorated_helper(x):
    return _logged(x) * 2


def _decorate(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*args) + 1

    return wrapper


@_decorate
def _logged(x):
    if x > 0:
        return x * x
    return x


@construct(0.4, 1.3)
def recursion_of_known_depth(x):
    return _power(x, 9)


def _power(x, n):
    if n == 0:
        return 1.0
    half = _power(x, n // 2)
    return half * half * (x if n % 2 else 1.0)


@construct(0.4, 1.3)
def default_and_keyword_arguments(x):
    return _scaled(x, scale=3.0) + _scaled(x) + _star(x, 2.0, x, k=x)


def _star(*args, **kwargs):
    total = 0.0
    for a in args:
        total = total + a if a > 1 else total - a
    return total * kwargs["k"]


# builtins, math


@construct((0.4, 1.3), (2.0, -1.0))
def min_max_abs(x, y):
    return min(x, y) * 2 + max(x, y, 0.5) + abs(x - y)


@construct(MIXED, NEGATIVE)
def sorted_and_sum(x):
    s = sorted(x)
    return s[0] * 3 + s[-1] + sum(x)


@construct(0.4, 1.3)
def math_functions(x):
    y = math.sin(x) * math.exp(x) + math.sqrt(x) + math.log(x) + math.pow(x, 2) + math.atan2(x, 2.0)
    if math.floor(x) > 0:
        y = y * math.pi
    return float(y)


@construct(0.4, 1.3, 2.9)
def int_and_round(x):
    n = int(x)
    return x * n + round(x) * x


@construct(MIXED, POSITIVE)
def any_all_comprehension(x):
    if all(v > 0 for v in x):
        return sum([v * v for v in x])
    if any([v > 5 for v in x]):
        return x[0]
    return x[1]


@construct(MIXED, POSITIVE)
def comprehension_with_ternary(x):
    return sum(v * 2 if v > 0 else -v for v in x) + len([v for v in x])


@construct(0.4, 1.3)
def item_and_float(x):
    y = np.asarray(x * 2)
    return float(y.item()) * x


@construct(V([0.4, 1.3]), V([2.0, -0.3]))
def isinstance_array(x):
    if isinstance(x, np.ndarray) and x.ndim == 1:
        return x.sum() if x[0] > 1 else x.prod()
    return x


# checks


@construct(0.4, 1.3)
def raise_that_does_not_fire(x):
    if x < 0:
        raise ValueError(f"negative: {x:.3f}")
    return np.sqrt(x)


@construct(0.4, 1.3)
def assert_that_holds(x):
    assert x > 0, "positive"
    return np.log(x) if x < 1 else x


@construct(0.4, 1.3)
def try_that_does_not_fire(x):
    try:
        y = 1 / x
        if y > 1:
            y = y * y
    except ZeroDivisionError:
        y = 0.0
    finally:
        z = 2.0
    return y * z


@construct(0.4, 1.3)
def raise_in_a_loop(x):
    k = 0
    while x < 100:
        x = x * 2
        k += 1
        if k > 1000:
            raise RuntimeError("too many steps")
    return x


@construct(0.4, 1.3)
def del_and_aug(x):
    t = x
    t *= 2
    t -= 1
    if t > 0:
        u = t
        del t
        t = u * 3
    return t * x


@construct(MIXED, POSITIVE, NEGATIVE)
def sum_of_some(v):
    return sum(x * x for x in v if x > 0 if x < 1) + sum([2.0 * x for x in v if x < -0.5])


@construct(MIXED, POSITIVE, NEGATIVE)
def sum_of_some_arrays(v):
    rows = [v * k for k in (0.5, -1.0, 2.0)]
    return np.sum(sum(np.log(r * r) for r in rows if r[0] > 0.3))


@construct((0.3, -1.2, 2.0), (1.5, 0.2, -0.7))
def sorted_by_a_key(a, b, c):
    row = sorted([(a, 1.0), (b, 2.0), (c, 3.0)], key=lambda p: p[0] ** 2, reverse=True)
    points = [np.stack([a, b]), np.stack([b, c]), np.stack([c, a])]
    points.sort(key=np.sum)
    return row[0][0] * row[1][1] + points[0][0] * points[2][1]


@construct((2.0, 0.7), (-3.0, 1.3))
def a_buffer_made_of_a_value(x, c):
    a = c * np.zeros(3)
    a[1] = x
    a += x * c
    a[a > 1] = 2.0
    return np.sum(a * a)


@construct(MIXED, POSITIVE, NEGATIVE)
def names_bound_in_a_test(v):
    i = 0
    while (y := v[i]) < 0.6 and i < 2:
        i += 1
    s = y * y
    if (z := 2 * y) > 1 or z < -1:
        s = s + z
    return ((w := s * v[0]) > 0 and w) + s


@construct((1.3, -0.4), (2.0, 0.9))
def parts_of_complex_numbers(a, b):
    z = np.zeros(2, dtype=complex)
    z.real = np.stack([a, b])
    z.imag = a * b
    return np.sum(np.abs(z * z))


@construct(V([[2.0, 1.0], [1.0, 3.0]]), V([[2.0, 1.0], [1.5, 3.0]]))
def closeness_as_one_of_two_objects(a):
    if np.allclose(a, a.T, atol=0.1) is False:
        return np.sum(a)
    return np.sum(a * a)


@construct(V([[2.3, 1.2], [1.2, 3.2]]), V([[2.3, 1.2], [1.5, 3.2]]), V([[1.2, 2.3], [2.3, 5.2]]))
def questions_about_closeness(a):
    if not np.allclose(a, a.T, atol=0.1) or not np.array_equal(a, a + 0):
        return np.sum(a)
    b = np.floor(a)
    if np.isin(b[0, 0], [1.0, 7.0]):
        return np.sum(a**3)
    return np.sum(np.where(np.isclose(b, 1.0), 5 * a, a * a)) + np.array_equiv(b[0], b) * a[1, 1]


@construct(POSITIVE, NEGATIVE)
def what_a_scalar_is(v):
    x = v[0] if isinstance(v, np.ndarray) else v
    if isinstance(x, np.ndarray) or hasattr(x, "__len__") or not isinstance(x, (float, np.floating)):
        x = x[0] * 100
    if isinstance(x * x, (Iterable, Sized)):
        x = x * 100
    return x * x if x > 0 else -x


@construct(POSITIVE, NEGATIVE)
def columns_and_rows_joined(v):
    a = np.c_[np.ones(3), v, v * v]
    b = np.r_[v, 1.0, 0:2]
    s = np.sum(a @ np.r_[v[0], 0.5, 2.0]) + np.sum(b * b)
    return s if v[1] > 0 else s * s


@construct(POSITIVE, NEGATIVE)
def lists_meet_arrays(v):
    row = [v[0], v[1] * v[2], 2.0]
    y = (row - np.array([1.0, 2.0, 3.0])) * row
    y += row
    y *= np.exp([v[0], v[1] - v[2], 0.5]) + np.maximum(row, (v[1], 0.5, v[2]))[np.argmax(np.abs([v[0], v[1]]))]
    return np.sum(y) if v[0] > 0 else np.sum(y * y)


@construct(V([0.3, 1.2, 0.7]), V([2.3, 0.2, 1.7]), V([0.6, 0.6, 1.4]))
def items_at_places_that_depend(v):
    rows = [(v[0], "a"), (v[1] * 2, "a"), (v[2] * v[0], "a")]
    y, _ = rows[int(v[0])]
    return y * (1.0, 2.5)[int(v[1])] + [v, 2 * v][int(v[2])].sum()


@construct(V([0.3, 1.2, 0.7]), V([2.3, 0.2, 1.7]), V([2.6, 0.9, 0.4]))
def places_of_values(v):
    row = [v[0], v[1], v[2]]
    i = row.index(min(row))
    return v[i - 1] * v[i] + row.count(row[0]) * v[1]


KNOTS = [0.0, 0.5, 1.0, 2.0]


@construct(0.3, 0.6, 1.3)
def bisection_in_a_list(x):
    slopes = [1.0, -2.0, 0.5]
    i = bisect.bisect(KNOTS, x) - 1
    return slopes[i] * (x - KNOTS[i]) ** 2 + bisect.bisect_left(KNOTS, x) * x


@construct(MIXED, POSITIVE, NEGATIVE, eager=False)
def results_written_where_a_mask_holds(v):
    y = np.zeros(3)
    np.divide(1.0, v, out=y, where=v > 0.5)
    z = v * 2
    np.clip(z, -1.0, 1.5, z)
    w = np.full_like(v, v[0])
    w[1] = y[1]
    return np.sum(np.multiply(z, y, out=z)) + np.sum(w * v)
