"""Threads: large loops are cut in pieces, results do not depend on who computes them, and nothing hangs."""

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad
from adjoint.compiler.native import pieces, pool
from tests.compiler.compiled_laws import LARGE, on_large

ROOT = Path(__file__).parent.parent.parent
posix = pytest.mark.skipif(os.name != "posix", reason="threads are POSIX'")


@pytest.fixture(autouse=True)
def one_thread_after(no_disk_cache):
    yield
    ad.config.set(threads=1)


def flat(y):
    return np.concatenate([np.ravel(v) for v in ad.tree.flatten(y)[0]])


N = 2_000_003  # with a rest
SHAPES = {
    "one axis": (N,),
    "without a rest": (1_000_000,),
    "rows": (3001, 512),
    "few columns": (400_001, 5),
    "few rows": (5, 400_001),
}
PROGRAMS = {
    "entry by entry": lambda x: np.exp(-x * x) * np.sin(3 * x) + np.tanh(x),
    "sum": lambda x: np.sum(np.exp(x) * 2.5),
    "mean and largest": lambda x: (np.mean(np.sin(x)), np.max(x), np.min(np.cos(x))),
    "tests": lambda x: (np.any(np.exp(x) > 1e9), np.all(np.tanh(x) < 2)),
    "along rows": lambda x: np.sum(np.exp(x), -1),
    "along columns": lambda x: np.sum(np.exp(x) * 1.5, 0),
    "a scalar from outside": lambda x: np.exp(x * x.ravel()[0]) * np.sum(x),
    "gradient": ad.value_and_grad(lambda x: np.sum(np.tanh(x) ** 2)),
    "complex": lambda x: np.sum(np.abs(np.exp(1j * x))),
    "single precision": lambda x: np.sum(np.exp(x.astype(np.float32)), -1),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", PROGRAMS)
def test_results_do_not_depend_on_threads(name, shape):
    f, x = PROGRAMS[name], np.random.default_rng(0).normal(size=SHAPES[shape])
    h = ad.jit(f)
    results = []
    for threads in (1, 2, 3, 1):
        with ad.config(threads=threads):
            results.append(flat(h(x)).copy())
    assert all(np.array_equal(y, results[0]) for y in results)
    rough = name == "single precision"
    assert np.allclose(results[0], flat(f(x)), rtol=1e-5 if rough else 1e-12, atol=1e-5 if rough else 1e-11)


@pytest.fixture
def small_pieces(monkeypatch):
    """Even short loops are cut."""
    for name, value in {"GRAIN": 32, "LEAST": 2, "UNIT": 8}.items():
        monkeypatch.setattr(pieces, name, value)


@pytest.mark.parametrize("name", LARGE)
def test_laws_in_pieces(name, small_pieces):
    with ad.config(threads=2):
        text = on_large(name).compare().text
    assert "call void @ad.parallel" in text or name in ("cumsum", "getitem")  # which are no loops that are cut


@pytest.mark.parametrize("axis", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), None])
def test_sums_over_any_axes_in_pieces(axis, small_pieces):
    x = np.random.default_rng(4).normal(size=(8, 19, 5))
    f = lambda x: (
        np.sum(np.sin(x), axis),
        np.max(x, axis, keepdims=True),
        np.sum(x[:, ::-2] * 2, axis),
        np.prod(x, axis),
    )
    h = ad.jit(f)
    with ad.config(threads=2):
        assert all(np.allclose(a, b, rtol=1e-12, atol=1e-13) for a, b in zip(h(x), f(x), strict=True))
    assert "call void @ad.parallel" in h.lower(x)


def test_large_loops_are_cut_and_small_ones_not():
    h = ad.jit(lambda x: np.sum(np.exp(x)))
    assert "call void @ad.parallel" in h.lower(np.zeros(N))
    assert "ad.parallel" not in h.lower(np.zeros(1000))


def test_sums_in_pieces_are_as_accurate_as_numpys():
    rng = np.random.default_rng(1)
    x = rng.normal(size=N) * 10.0 ** rng.integers(-8, 8, N)
    exact = float(np.sum(x.astype(np.longdouble)))
    assert abs(ad.jit(lambda x: np.sum(x * 1.0))(x) - exact) <= max(abs(np.sum(x) - exact), 1e-16 * np.abs(x).max())


# The pool itself: pieces written in Python show who computes them


PIECE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)


def parallel(piece, n):
    ctypes.CFUNCTYPE(None, PIECE, ctypes.c_void_p, ctypes.c_int64)(pool.address())(piece, None, n)


@posix
def test_another_thread_helps():
    ad.config.set(threads=2)
    meet = threading.Barrier(2, timeout=60)
    seen = []

    @PIECE
    def piece(_, i):
        meet.wait()  # passes only if two threads are here
        seen.append((i, threading.get_ident()))

    parallel(piece, 2)
    assert sorted(i for i, _ in seen) == [0, 1] and len({who for _, who in seen}) == 2


def test_with_one_thread_the_caller_does_all():
    ad.config.set(threads=1)
    seen = []
    parallel(PIECE(lambda _, i: seen.append((i, threading.get_ident()))), 5)
    assert seen == [(i, threading.get_ident()) for i in range(5)]


def test_each_piece_once_from_many_callers():
    ad.config.set(threads=3)
    counts = np.zeros((8, 200), int)

    def caller(k):
        for _ in range(20):

            @PIECE
            def piece(_, i):
                counts[k, i] += 1

            parallel(piece, 200)

    callers = [threading.Thread(target=caller, args=(k,)) for k in range(8)]
    for t in callers:
        t.start()
    for t in callers:
        t.join(timeout=120)
        assert not t.is_alive()
    assert (counts == 20).all()


def test_kernels_in_many_threads():
    ad.config.set(threads=2)
    x = np.random.default_rng(2).normal(size=N)
    h = ad.jit(lambda x, k: np.sum(np.exp(x * k)))
    want = [float(h(x, k)) for k in (0.1, 0.2, 0.3)]
    wrong = []

    def caller(i):
        for _ in range(5):
            if h(x, (0.1, 0.2, 0.3)[i]) != want[i]:
                wrong.append(i)

    callers = [threading.Thread(target=caller, args=(i,)) for i in range(3)]
    for t in callers:
        t.start()
    for t in callers:
        t.join(timeout=120)
        assert not t.is_alive()
    assert not wrong


FORK = """
import os, signal, sys, threading, time
import numpy as np
import adjoint as ad

ad.config.set(threads=3)
x = np.linspace(0, 1, 3_000_000)
h = ad.jit(lambda x: np.sum(np.exp(x)))
want = h(x)
stop = []
busy = threading.Thread(target=lambda: [h(x) for _ in iter(lambda: not stop, False)], daemon=True)
busy.start()  # so that some forks happen while the pool is at work, its mutex locked perhaps
for k in range(8):
    child = os.fork()
    if not child:
        signal.alarm(60)
        ok = h(x) == want
        ad.config.set(threads=2)  # and a pool of its own
        ok = ok and h(x) == want and ad.jit(lambda x: np.sum(np.sin(x) * np.exp(x)))(x) > 0
        os._exit(0 if ok else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0, status
stop.append(1)
assert h(x) == want
print("done")
"""


def script(text, **environment):
    return subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=240, cwd=ROOT,
        env={**os.environ, "ADJOINT_CACHE": "off", **environment},
    )  # fmt: skip


@posix
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_process_does_not_hang():
    done = script(FORK)
    assert done.stdout == "done\n", done.stderr


def test_the_process_ends():
    text = "import numpy as np, adjoint as ad; print(ad.jit(lambda x: np.sum(np.exp(x)))(np.zeros(3_000_000)))"
    done = script(text, ADJOINT_THREADS="4")
    assert done.stdout == "3000000.0\n" and done.returncode == 0, done.stderr
