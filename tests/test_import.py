"""`import adjoint` is quick: what is seldom needed is loaded at first need, and then all of it is there.

Each test runs in a process of its own, because in this one everything is loaded.
"""

import subprocess
import sys

import pytest

HEAVY = ("scipy", "llvmlite", "matplotlib", "numpy.fft")
LATE = ("primitives.linalg", "primitives.decompose", "primitives.fft", "primitives.loops", "numpy.statistics",
        "transforms.check", "views.show", "ops", "scipy", "autograd")  # fmt: skip


def run(code):
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return out.stdout.split()


def test_what_import_loads():
    modules = run("import sys, adjoint; print(*sys.modules)")
    assert "adjoint.primitives.arithmetic" in modules
    for name in (*HEAVY, *(f"adjoint.{name}" for name in LATE)):
        assert name not in modules, name


@pytest.mark.parametrize(
    "code",
    [
        "g = ad.grad(lambda x: np.linalg.det(x))(np.eye(2)); assert (g == np.eye(2)).all()",
        "g = ad.grad(lambda x: np.interp(0.25, [0.0, 1.0], x))(np.ones(2)); assert (g == [0.75, 0.25]).all()",
        "g = ad.grad(lambda x: np.abs(np.fft.fft(x))[0])(np.ones(2)); assert (g == 1).all()",
        "g = ad.grad(lambda x: np.bitwise_count(np.astype(x, int)).sum() * x.sum())(np.ones(2)); assert (g == 2).all()",
        "from adjoint.core.op import OPS; assert OPS['svd'].name == 'svd' and 'svd' in OPS",
        "from adjoint import cond, while_loop, scan, check_grads, checkpoint; assert ad.cond is cond",
        "from adjoint.numpy import *; assert interp is ad.numpy.interp and cov is not np.cov",
        "assert {'cov', 'geomspace', 'fft', 'linalg', 'special'} <= set(dir(ad.numpy)); assert ad.numpy.cov is not np.cov",
        "ad.numpy.linalg; assert ad.numpy.cov is not np.cov and 'cov' in vars(ad.numpy)",
        "ad.grad(lambda x: np.linalg.det(x))(np.eye(2)); assert ad.numpy.cov is not np.cov",
        "from adjoint.numpy import linalg, fft; assert linalg.inv is not np.linalg.inv and fft.fft is not np.fft.fft",
    ],
)
def test_the_rest_comes_at_first_need(code):
    run(f"import numpy as np, adjoint as ad\n{code}")


def test_threads_that_need_it_at_the_same_time():
    run("""
import threading, numpy as np, adjoint as ad
calls = (lambda x: np.linalg.det(x), lambda x: np.cov(x).sum(), lambda x: np.fft.ifft2(x).real.sum(), lambda x: np.interp(0.5, x[0], x[1]))
found, start = [], threading.Barrier(8)
def work(f):
    start.wait()
    found.append(ad.grad(f)(np.array([[1.0, 2.0], [3.0, 5.0]])))
threads = [threading.Thread(target=work, args=(f,)) for f in calls * 2]
[t.start() for t in threads]; [t.join() for t in threads]
assert len(found) == 8
""")


def test_complete_loads_all():
    run("""
import adjoint as ad
from adjoint.core.op import OPS
from adjoint.core.tensor import FUNCTIONS, LATE, UFUNCS, complete
before, ufuncs = len(OPS), set(UFUNCS)
complete()
assert not LATE and len(OPS) > before
import importlib, pkgutil
n, m = len(OPS), len(FUNCTIONS)
for package in (ad.primitives, ad.transforms, ad.numpy):
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        if "scipy" not in module.name:
            importlib.import_module(module.name)
assert (len(OPS), len(FUNCTIONS)) == (n, m)
""")
