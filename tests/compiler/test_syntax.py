"""Source capture: each construct of tests/programs/constructs.py in every mode, and what a corpus cannot see.

The value to meet is that of the plain function on plain NumPy; derivatives meet central differences of it.
"""

import functools
import math
import os
import subprocess
import sys
import traceback

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.fence import FenceError
from adjoint.compiler.syntax import Recorder, differentiable, recording, rewrite, staged
from adjoint.core import errors, tree
from adjoint.primitives.branches import cond_op
from adjoint.traces.capture import capture
from tests.compiler.random_control import program
from tests.programs.constructs import CONSTRUCTS


def graph_of(f, *args):
    g = capture(f, *args)
    return lambda *xs: tree.unflatten(g.structure, g.run(*tree.flatten(xs)[0]))


def slope(f, args, i, h=1e-6):
    """The gradient of f with respect to argument i, by central differences of the plain function."""
    leaves, structure = tree.flatten(args[i])
    out = []
    for n, leaf in enumerate(leaves):
        a = np.array(leaf, dtype=float)
        g = np.zeros(a.shape)
        for at in np.ndindex(*a.shape):
            ys = []
            for s in (h, -h):
                b = a.copy()
                b[at] += s
                row = [*leaves[:n], b if b.shape else float(b), *leaves[n + 1 :]]
                ys.append(f(*args[:i], tree.unflatten(structure, row), *args[i + 1 :]))
            g[at] = (ys[0] - ys[1]) / (2 * h)
        out.append(g)
    return tree.unflatten(structure, out)


def close(a, b, tol=1e-10):
    xs, ys = tree.flatten(a)[0], tree.flatten(b)[0]
    assert len(xs) == len(ys)
    for x, y in zip(xs, ys, strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=tol, atol=tol)


each = pytest.mark.parametrize("c", CONSTRUCTS, ids=lambda c: c.name)
differentiable_ones = pytest.mark.parametrize("c", [c for c in CONSTRUCTS if c.grad], ids=lambda c: c.name)


@each
def test_plain_python_stays_what_it_is(c):
    for args in c.rows:
        y, want = rewrite(c.f)(*args), c.f(*args)
        close(y, want, 1e-14)
        assert type(y) is type(want) or isinstance(want, (float, np.floating))


@each
def test_one_graph_takes_every_way(c):
    run = graph_of(rewrite(c.f), *c.rows[0])
    for args in c.rows:
        close(run(*args), c.f(*args))


@differentiable_ones
def test_gradients(c):
    f = rewrite(c.f)
    everything = tuple(range(len(c.rows[0])))
    graphs = graph_of(f, *c.rows[0]), graph_of(ad.grad(f, everything), *c.rows[0])
    for args in c.rows:
        want = tuple(slope(c.f, args, i) for i in everything)
        eager = ad.grad(f, everything)(*args)
        close(eager, want, 1e-4)
        close(ad.grad(graphs[0], everything)(*args), eager, 1e-9)
        close(graphs[1](*args), eager, 1e-9)
        t = tree.map(np.ones_like, args)
        jvp = ad.jvp(graphs[0], args, t)[1]
        close(jvp, sum(np.sum(g) for g in tree.flatten(eager)[0]), 1e-9)


@pytest.mark.parametrize("c", [c for c in CONSTRUCTS if c.vmap], ids=lambda c: c.name)
def test_vmap(c):
    batch = [np.stack(column) for column in zip(*c.rows, strict=True)]
    close(ad.vmap(rewrite(c.f))(*batch), np.stack([c.f(*args) for args in c.rows]))
    if c.grad:
        close(ad.vmap(ad.grad(rewrite(c.f)))(*batch), np.stack([ad.grad(rewrite(c.f))(*args) for args in c.rows]), 1e-9)


# Random programs


@pytest.mark.parametrize("seed", range(40))
def test_random_control_flow(seed):
    f, text = program(seed)
    copy = rewrite(f)
    rows = np.random.default_rng(seed).uniform(-1.5, 1.5, (8, 2))
    run = graph_of(copy, 1.0, 1.0)
    want = np.array([f(float(x), float(y)) for x, y in rows])
    for (x, y), w in zip(rows, want, strict=True):
        assert math.isclose(copy(float(x), float(y)), w, rel_tol=1e-12, abs_tol=1e-12), text
        assert math.isclose(run(float(x), float(y)), w, rel_tol=1e-9, abs_tol=1e-9), text
    if seed % 5 == 0:
        close(ad.vmap(copy)(rows[:, 0], rows[:, 1]), want, 1e-9)
        x, y = map(float, rows[0])
        close(ad.grad(run, (0, 1))(x, y), ad.grad(copy, (0, 1))(x, y), 1e-8)


def test_a_branch_taken_wrongly_is_noticed(monkeypatch):
    """The corpus has branches that really differ: with the two sides exchanged, most of what has an `if` fails."""
    emit = staged.emit

    def exchanged(op, args, params):
        if op is cond_op:
            params = {**params, "true": params["false"], "false": params["true"]}
        return emit(op, args, params)

    monkeypatch.setattr(staged, "emit", exchanged)
    chosen = [
        c for c in CONSTRUCTS if c.name in ("if_else", "early_returns", "ternary", "short_circuit", "return_in_while")
    ]
    for c in chosen:
        with pytest.raises((AssertionError, FenceError)):
            test_one_graph_takes_every_way(c)


def test_a_name_held_dead_that_is_read_is_noticed(monkeypatch):
    """With nothing live, every name that a branch binds is dropped: programs fail, or give NaN, and none another number.

    (Integers have no NaN: where one of them was dropped, as in while_continue, the result may be any.)
    """
    stage = staged.stage_if
    monkeypatch.setattr(
        staged, "stage_if", lambda t, a, b, cells, spec, line="": stage(t, a, b, cells, (spec[0], (), *spec[2:]), line)
    )
    failed = 0
    for c in CONSTRUCTS:
        try:
            run = graph_of(rewrite(c.f), *c.rows[0])
            ys = [run(*args) for args in c.rows]
        except FenceError:
            failed += 1
            continue
        for args, y in zip(c.rows, ys, strict=True):
            for a, b in zip(tree.flatten(y)[0], tree.flatten(c.f(*args))[0], strict=True):
                a, b = np.asarray(a), np.asarray(b)
                failed += bool(np.any(np.isnan(a)))
                assert c.name == "while_continue" or np.allclose(a, b) or np.any(np.isnan(a)), c.name
    assert failed > 20


# What is staged, and how often a body is run


def ops_of(g):
    return [line.op.name for line in g.lines]


def captured_ops(f, *args):
    return ops_of(capture(rewrite(f), *args))


def test_a_long_loop_is_one_op_and_a_short_one_is_unrolled():
    def loop(x, n):
        for i in range(n):
            x = x * 0.5 + i
        return x

    assert captured_ops(lambda x: loop(x, 1000), 1.0) == ["scan", "item"]
    assert captured_ops(lambda x: loop(x, 3), 1.0) == ["multiply", "add"] * 3
    assert len(captured_ops(lambda x: loop(x, 100_000), 1.0)) == 2


def test_a_scalar_that_becomes_an_array_costs_one_step_before_the_loop():
    def f(x):
        total = 0.0
        for i in range(100):
            total = total + x * i
        return total.sum()

    g = capture(rewrite(f), np.ones(3))
    assert ops_of(g).count("scan") == 1
    assert len(g.lines) < 8
    np.testing.assert_allclose(g.run(np.arange(3.0))[0], f(np.arange(3.0)))


def test_loops_in_loops_stay_loops():
    def f(a):
        n = 12
        c = np.zeros((n, n))
        for i in range(n):
            for j in range(n):
                s = 0.0
                for k in range(n):
                    s += a[i, k] * a[k, j]
                c[i, j] = s
        return c

    a = np.random.default_rng(0).normal(size=(12, 12))
    g = capture(rewrite(f), a)
    assert ops_of(g) == ["scan", "item"]
    np.testing.assert_allclose(g.run(a)[0], a @ a)


def test_what_a_loop_appends_is_one_array():
    def f(x):
        out = [x]
        for _ in range(50):
            out.append(np.sin(out[0]) * x)
            x = np.sin(x)
        return np.array(out)

    def g(x):
        out = []
        for _ in range(50):
            x = np.sin(x)
            out.append(x)
        return np.array(out)

    graph = capture(rewrite(g), 0.7)
    assert "scan" in ops_of(graph) and len(graph.lines) <= 4
    np.testing.assert_allclose(graph.run(0.3)[0], g(0.3))
    np.testing.assert_allclose(capture(rewrite(f), 0.7).run(0.3)[0], f(0.3))  # read while it grows: unrolled


def test_nested_ifs_are_traced_once_each(monkeypatch):
    def f(x):
        if x > 0:
            x = x + 1
            if x > 1:
                x = x * 2
                if x > 2:
                    x = x - 3
                    if x > 3:
                        x = x * x
                        if x > 4:
                            x = x + 5
                            if x > 5:
                                x = -x
        return x

    frames = []

    class Counted(staged.Frame):
        def __init__(self):
            super().__init__()
            frames.append(self)

    monkeypatch.setattr(staged, "Frame", Counted)
    run = graph_of(rewrite(f), 1.0)
    assert len(frames) == 12
    assert [run(v) for v in (-1.0, 0.1, 2.5, 9.0)] == [f(v) for v in (-1.0, 0.1, 2.5, 9.0)]


def test_a_test_that_is_known_stages_nothing():
    def f(x, n):
        y = x
        while n > 0:
            if n % 2:
                y = y * x
            n -= 1
        return y

    assert captured_ops(lambda x: f(x, 4), 2.0) == ["multiply"] * 2


# Python's integers


@pytest.mark.parametrize("n", [10, 40])
def test_integers_do_not_overflow(n):
    def factorial(x):
        k = 1
        total = 0.0
        for i in range(1, n):
            k = k * i
            total = total + (k % 7) * x
        return total

    def powers(x):
        total = 0.0
        for i in range(n + 30):
            total = total + x * (2**i % 11)
        return total

    for f in (factorial, powers):
        assert capture(rewrite(f), 1.0).run(3.0)[0] == f(3.0)


def test_counters_and_resets_stay_in_the_loop():
    def f(x):
        k, m = 0, 5
        for i in range(100):
            k += 2
            m = (m * 3 + i) % 17
            if x > i:
                k = 0
            x = x + k * m * 0.001
        return x

    g = capture(rewrite(f), 1.0)
    assert "scan" in ops_of(g)
    for x in (-1.0, 20.5, 99.0):
        assert math.isclose(g.run(x)[0], f(x))


def test_float32_stays_float32():
    def f(x):
        s = x * 0
        for i in range(20):
            s = s + x * (i + 1)
        return s

    for x in (np.float32(1.5), np.ones(3, np.float32)):
        y = capture(rewrite(f), x).run(x)[0]
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y, f(x))


# Aliases


def test_an_alias_from_before_a_loop_keeps_its_value():
    def f(x):
        first = x
        while x < 100:
            x = x * first
        return x + first

    run = graph_of(rewrite(f), 1.5)
    assert [run(v) for v in (1.5, 7.0, 200.0)] == [f(v) for v in (1.5, 7.0, 200.0)]


def test_an_alias_sees_what_a_loop_writes():
    def f(x):
        a = np.array([x, 1.0])
        b = a
        while a[0] < 50:
            a += 1.0
        return a.sum() + 10 * b.sum()

    run = graph_of(rewrite(f), 1.5)
    assert [run(v) for v in (1.5, 60.0)] == [f(v) for v in (1.5, 60.0)]


def test_a_view_from_before_a_branch_is_written_through():
    def f(x):
        a = np.zeros((3, 3))
        row, column = a[1], a.T[2]
        k = 0
        while x < 10:
            row[k % 3] = x
            column[k % 3] += 2.0
            x = x * 1.5
            k += 1
        return (a * np.arange(9.0).reshape(3, 3)).sum()

    run = graph_of(rewrite(f), 1.5)
    assert [run(v) for v in (1.5, 0.1, 20.0)] == [f(v) for v in (1.5, 0.1, 20.0)]


def test_a_write_to_one_of_two_arrays_is_refused():
    def through_the_choice(x):
        a, c = np.array([x, 1.0]), np.array([2 * x, 5.0])
        b = a if x > 0 else c
        b[0] = 7.0
        return a[0] + c[0]

    def behind_the_choice(x):
        a = np.array([x, 1.0])
        best = a
        if x > 0:
            best = a * 2
        a[0] = 9.0
        return best.sum()

    def written_and_rebound(x):
        a = np.array([x, 1.0])
        b = a
        while a[0] < 50:
            a += 1.0
            a = a * 2
        return a.sum() + b.sum()

    def of_two_lists(x):
        p, q = [x], [2 * x]
        r = p if x > 0 else q
        r.append(x)
        return sum(p)

    for f in (through_the_choice, behind_the_choice, written_and_rebound, of_two_lists):
        with pytest.raises(ad.AdjointError, match="copy"):
            capture(rewrite(f), 1.0)


def test_draws_iterators_and_keys_in_a_loop():
    def draws(x):
        rng = np.random.default_rng(3)
        for _ in range(12):
            x = x + x * rng.normal()
        return x

    def iterator(x):
        it = iter(range(12))
        for _ in range(12):
            x = x * 0.5 + next(it)
        return x

    def keys(x):
        d = {i: float(i) for i in range(12)} | {f"w{i}": 2.0 for i in range(12)}
        for i in range(12):
            x = x * 0.5 + d.get(i, 100.0)
            if f"w{i}" in d and str(i) != "3" and "%d" % i != "5":  # noqa: UP031
                x = x + 1
        return x

    for f in (draws, iterator, keys):
        assert math.isclose(capture(rewrite(f), 1.0).run(1.7)[0], f(1.7))


# Functions of every kind


class Base:
    def __init__(self, k):
        self.k = k
        self.__secret = 2.0

    def f(self, x):
        if x > 0:
            return x * self.k * self.__secret
        return x - self.k

    @classmethod
    def make(cls, k):
        return cls(k)

    @staticmethod
    def s(x):
        return x * 3 if x > 1 else x


class Derived(Base):
    def f(self, x):
        y = super().f(x)
        if y > 1:
            y = y + super().s(x)
        return y

    def __call__(self, x):
        return x if x > 0 else -2 * x


def test_methods_super_private_names_and_callable_objects():
    d = Derived(3.0)

    def f(x):
        return d.f(x) + d.s(x) + Derived.make(2.0).f(x) + d(x)

    run = graph_of(rewrite(f), 1.5)
    assert [run(v) for v in (1.5, 0.2, -1.0)] == [f(v) for v in (1.5, 0.2, -1.0)]
    for g in (d.f, d):
        run = graph_of(rewrite(g), 1.5)
        assert [run(v) for v in (1.5, 0.2, -1.0)] == [g(v) for v in (1.5, 0.2, -1.0)]


def test_lambdas_on_one_line():
    f, g = (lambda x: x * 2 if x > 0 else x), (lambda x: x * 3 if x > 0 else -x)
    h = lambda x: (lambda y: y * 5 if y > 0 else y)(x) if x < 10 else 0.0
    for k in (f, g, h):
        run = graph_of(rewrite(k), 1.0)
        assert [run(v) for v in (1.0, -1.0, 11.0)] == [k(v) for v in (1.0, -1.0, 11.0)]


def test_the_copy_shares_cells_defaults_and_name():
    total = 1.0

    def f(x, k=2.0, *, j=3.0):
        """Doc."""
        return x * k * j * total if x > 0 else x

    g = rewrite(f)
    assert (g.__name__, g.__doc__, g.__wrapped__) == ("f", "Doc.", f)
    assert g(2.0) == 12.0
    total = 5.0
    assert g(2.0) == 60.0 == f(2.0)
    assert g(2.0, 1.0, j=1.0) == 10.0


def test_transforms_inside_rewrite_what_they_differentiate():
    def inner(x):
        a = np.zeros(3)
        if x > 0:
            a[1] = x * x
        else:
            a[2] = x**3
        return a.sum()

    def f(x):
        return 2 * ad.grad(inner)(x)

    run = graph_of(rewrite(f), 1.5)
    assert [run(v) for v in (1.5, -1.5)] == [6.0, 13.5]
    assert [rewrite(f)(v) for v in (1.5, -1.5)] == [6.0, 13.5]


def test_errors_name_the_users_line():
    def f(x):
        if x > 0:
            y = x * 2
            return y + undefined_name  # noqa: F821
        return x

    with pytest.raises(NameError) as caught:
        capture(rewrite(f), 1.0)
    frames = traceback.extract_tb(caught.value.__traceback__)
    mine = [frame for frame in frames if frame.filename == __file__]
    assert mine[-1].lineno == f.__code__.co_firstlineno + 3
    assert mine[-1].name == "f"


def test_graph_lines_name_the_users_line():
    def f(x):
        while x < 10:
            x = x * 2
        return x

    g = capture(rewrite(f), 1.0)
    body = next(line for line in g.lines if line.op.name == "while_loop").params["body"]
    assert body.lines[0].where == f"test_syntax.py:{f.__code__.co_firstlineno + 2}"


# Buffers


GLOBAL_BUFFER = np.zeros(4)


def test_buffers_of_outside():
    def closure():
        b = np.zeros(3)

        def f(x):
            b[1] = x * x
            return b.sum() + b[0]

        return f

    def default(x, d=np.ones(2)):  # noqa: B008
        d[0] = x
        return d.sum() * x

    def of_a_module(x):
        GLOBAL_BUFFER[1] = x
        c = GLOBAL_BUFFER
        return c.sum() * x

    def argument(x, b):
        b[1] = x * 2
        return b.sum()

    assert ad.grad(rewrite(closure()))(3.0) == 6.0
    assert ad.grad(rewrite(default))(3.0) == 7.0
    assert ad.grad(rewrite(of_a_module))(3.0) == 6.0
    assert ad.grad(rewrite(argument))(3.0, np.zeros(3)) == 2.0
    assert GLOBAL_BUFFER.sum() == 0.0


def test_differentiable_is_a_decorator():
    @differentiable
    def f(x):
        a = np.zeros(3)
        a[0] = x
        for i in range(1, 3):
            a[i] = a[i - 1] * x if x > 1 else a[i - 1]
        return a

    y = f(2.0)
    assert type(y) is np.ndarray and y.tolist() == [2.0, 4.0, 8.0]
    np.testing.assert_allclose(ad.jacobian(f)(2.0), [1.0, 4.0, 12.0])
    np.testing.assert_allclose(ad.vmap(f)(np.array([0.5, 2.0])), [[0.5] * 3, [2.0, 4.0, 8.0]])


# Effects


def test_prints_and_checks_come_when_the_program_comes_to_them(capsys):
    def f(x):
        k = 0
        while x < 10:
            x = x * 2
            k += 1
            if k > 2:
                print("step", k, f"x = {x:.1f}", sep=":")
        if x > 50:
            raise KeyError("far", x)
        assert x != 16, f"got {x}"
        return x

    g = capture(rewrite(f), 1.1)
    capsys.readouterr()
    assert g.run(1.5)[0] == 12.0
    assert capsys.readouterr().out == "step:3:x = 12.0\n"
    g.run(9.0)
    assert capsys.readouterr().out == ""
    with pytest.raises(KeyError) as caught:
        g.run(60.0)
    assert caught.value.args == ("far", 60.0)
    with pytest.raises(AssertionError, match=r"got 16\.0"):
        g.run(8.0)
    assert ad.grad(lambda x: g.run(x)[0])(1.5) == 8.0
    capsys.readouterr()
    np.testing.assert_allclose(ad.vmap(rewrite(f))(np.array([1.5, 9.0])), [12.0, 18.0])
    assert capsys.readouterr().out == "step:3:x = 12.0\n"
    with pytest.raises(KeyError):
        ad.vmap(rewrite(f))(np.array([1.5, 60.0]))


def test_the_first_exception_is_the_one_raised():
    def f(x):
        if x < 0:
            if x < -5:
                raise KeyError("very")
            raise ValueError(f"negative: {x:.2f}")
        return x

    g = capture(rewrite(f), 1.0)
    assert g.run(2.0) == [2.0]
    with pytest.raises(ValueError, match=r"negative: -1\.00"):
        g.run(-1.0)
    with pytest.raises(KeyError):
        g.run(-6.0)


# Values of decisions

VALUES = [
    lambda x, y: (x > 0 or y) * 2.0,
    lambda x, y: (x > 0 and y) * 2.0,
    lambda x, y: (x or y > 0) + (x > 0 or y > 0 or x + y),
    lambda x, y: bool(x) * y + bool(y) + x * bool(x > 1),
    lambda x, y: abs(complex(x, y)) + complex(x).real,
    lambda x, y: (not x or y) * 1.0,
]


@pytest.mark.parametrize("f", VALUES)
def test_values_of_decisions(f):
    g = capture(rewrite(f), 1.0, 1.0)
    for x in [(2.0, 3.0), (-2.0, 3.0), (2.0, -3.0), (-2.0, -3.0), (0.0, 3.0), (2.0, 0.0)]:
        np.testing.assert_allclose(g.run(*x)[0], f(*x), rtol=1e-15)


def test_integers_divided_by_zero_raise_as_pythons_do():
    def divided(n, m):
        k = n // m
        n %= m
        return k + n

    def by_the_step(n, m):
        return sum(n // (i - m) for i in range(3))

    def gcd(a, b):
        while b:
            a, b = b, a % b
        return a

    for f in (divided, by_the_step):
        g = capture(rewrite(f), 7, 3)
        assert g.run(17, 5)[0] == f(17, 5)
        with pytest.raises(ZeroDivisionError):
            g.run(17, 0)
    assert capture(rewrite(gcd), 7, 3).run(12, 18) == [6]
    np.testing.assert_array_equal(ad.vmap(rewrite(gcd))(np.array([12, 18]), np.array([8, 12])), [4, 6])


# What changes through code that is not rewritten


class Tally:
    """Its special methods run as they are."""

    __slots__ = ("count", "total")

    def __init__(self):
        self.count, self.total = 0, 0.0

    def __iadd__(self, x):
        self.count += 1
        self.total = self.total + x * self.count
        return self

    def __setitem__(self, key, x):
        self.total = self.total + key * x


def special_methods(x):
    tally = Tally()
    for v in x:
        if v > 0:
            tally += v
        else:
            tally[3] = v
    return tally.total * tally.count


def special_methods_in_a_loop(x):
    tally = Tally()
    while tally.total < 20:
        tally += x[2] ** 2
    return tally.total + tally.count * x[1]


def class_of_a_function(x):
    class Hist:
        def __init__(self):
            self.values = []

        def add(self, v):
            self.values.append(v)
            self.last = v * 2

    hist = Hist()
    for v in x:
        if v > 0:
            hist.add(v)
        else:
            hist.add(v**3)
    return sum(hist.values) * hist.last


def changed_by_a_library(x):
    import heapq

    heap = [0.5, 2.0, 3.0]
    if x[0] > 0:
        heapq.heapreplace(heap, 2.5)
    else:
        heapq.heapreplace(heap, 7.0)
    return heap[0] * x[0] + heap[2] * x[1]


@pytest.mark.parametrize("f", [special_methods, special_methods_in_a_loop, class_of_a_function, changed_by_a_library])
def test_what_changes_through_code_that_is_not_rewritten(f):
    x = np.array([1.0, -2.0, 3.0])
    g = capture(rewrite(f), x)
    for y in (x, -x[[1, 0, 2]], np.array([-1.0, 0.5, 2.0])):
        np.testing.assert_allclose(g.run(y)[0], f(y), rtol=1e-13)
        np.testing.assert_allclose(ad.grad(lambda x: g.run(x)[0])(y), ad.grad(f)(y), rtol=1e-13)
        np.testing.assert_allclose(capture(ad.grad(rewrite(f)), x).run(y)[0], ad.grad(f)(y), rtol=1e-13)


_KEPT = [0.0]


def test_a_value_that_leaves_a_branch_unseen_is_an_error():
    def f(x):
        if x > 0:
            functools.partial(list.__setitem__, _KEPT, 0)(x * 2)
            y = x
        else:
            y = x
        return y + _KEPT[0]

    for g in (rewrite(f), ad.grad(rewrite(f))):
        with pytest.raises(errors.EscapeError, match=r"test_syntax.py:\d+"):
            capture(g, 1.0)
        _KEPT[0] = 0.0


# Recorders


def test_a_recorder_is_told_of_what_is_read_outside():
    told = []

    class Told(Recorder):
        def read(self, source, value):
            told.append((source[0], source[-2], value))
            return super().read(source, value)

    weights = np.ones(2)
    settings = {"rate": 0.5, "deep": [1.0, 2.0]}
    base = Base(3.0)

    def f(x, scale=4.0):
        own = {"a": 1.0}
        return (x * weights).sum() * settings["rate"] * settings["deep"][1] * base.k * own["a"] * scale * OUTER

    with recording(Told()):
        assert rewrite(f)(1.0) == f(1.0)
    kinds = [(kind, where if isinstance(where, (str, int)) else None) for kind, where, _ in told]
    assert ("global", "OUTER") in kinds
    assert ("item", "rate") in kinds and ("item", "deep") in kinds and ("item", 1) in kinds
    assert ("attr", "k") in kinds and ("default", "scale") in kinds
    assert [v for k, _, v in told if k == "cell" and v is weights]
    assert not any(where == "a" for _, where in kinds)


OUTER = 2.0


def newton_with_an_early_return(a, most=100_000):
    x = 2.0
    for _ in range(most):
        last = x
        x = x - (x * x - a) / (2 * x)
        if abs(x - last) < 1e-12:
            return x
    return x


def test_lanes_that_agree_go_one_way():
    rows = np.array([2.0, 3.3, 900.0])  # the last one needs more steps than the others
    f = ad.vmap(ad.grad(rewrite(newton_with_an_early_return)))
    np.testing.assert_allclose(f(rows), 0.5 / np.sqrt(rows), rtol=1e-9)
    taken = []

    def way(x):
        if x > 0:
            taken.append("up")
            return x * x
        taken.append("down")
        return -x

    g = ad.vmap(ad.differentiable(way))
    np.testing.assert_array_equal(g(np.array([1.0, 3.0])), [1.0, 9.0])
    assert taken == ["up"]
    parted = ad.vmap(ad.differentiable(lambda x: x * x if x > 0 else -x))
    np.testing.assert_array_equal(parted(np.array([1.0, -3.0])), [1.0, 3.0])


LATE = """
import numpy as np
import adjoint as ad

def f(x):
    assert np.allclose(x, x) and np.array_equal(x, x)
    return np.sum(np.c_[x, x])

assert ad.jit(f)(np.ones(3)) == 6.0
"""


def test_the_first_question_of_a_process_finds_what_is_loaded_late(tmp_path):
    file = tmp_path / "first.py"
    file.write_text(LATE)
    subprocess.run(
        [sys.executable, str(file)], check=True, cwd=os.getcwd(), env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
