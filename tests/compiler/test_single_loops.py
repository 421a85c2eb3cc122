"""Loops over float32 with Python's numbers beside it: counters, powers of a float, tables of constants.

A Python number leaves float32 as it is. In the backward pass and in a batch it is an entry of an array, which in NumPy's
rules would make float64 of it: state that grows between two steps, for which compiled code has no room.
"""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad
from adjoint.core.errors import ShapeError
from adjoint.primitives.loops import scan_op
from adjoint.traces.capture import capture

N = 70


def counter(x):
    v = x * 1
    for i in range(12):
        v = np.sin(v) + 0.1 * i * x
    return np.sum(v)


def number(x):
    v, s = x * 1, 1.0
    for i in range(12):
        s = s * 0.9 + 0.01 * s * s
        v = np.sin(v * s) * s + x / (i + 1)
    return np.sum(v) * s


def until(x):
    v, k = x * 1, 0
    while np.sum(np.abs(v)) > 0.5 and k < 30:
        v = np.sin(v) * 0.9**k * x
        k += 1
    return np.sum(v)


def nested(x):
    v = x * 1
    for i in range(15):
        for j in range(11):
            v = np.sin(v) + 0.01 * i * j * x * (1.0 / (j + 1))
    return np.sum(v)


def branches(x):
    v, t = x * 1, 2.0
    for i in range(25):
        if v[0] > 0.1:
            t = t * 0.95
            v = np.sin(v) * t
        else:
            v = v + 0.003 * t * i
    return np.sum(v) + 0 * t


PROGRAMS = [counter, number, until, nested, branches]
X = np.random.default_rng(1).uniform(0.2, 1, (3, N))
MODES = {
    "value": (ad.jit, lambda f: f, False),
    "jit of grad": (lambda f: ad.jit(ad.grad(f)), ad.grad, False),
    "grad of jit": (lambda f: ad.grad(ad.jit(f)), ad.grad, False),
    "by stretches": (lambda f: ad.jit(ad.grad(f), checkpoint="log"), ad.grad, False),
    "hvp": (lambda f: ad.jit(lambda x: ad.hvp(f)(x, x)), lambda f: lambda x: ad.hvp(f)(x, x), False),
    "vmap of jit": (lambda f: ad.vmap(ad.jit(f)), lambda f: f, True),
    "vmap of grad": (lambda f: ad.jit(ad.vmap(ad.grad(f))), ad.grad, True),
    "vmap of grad of jit": (lambda f: ad.vmap(ad.grad(ad.jit(f))), ad.grad, True),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("f", PROGRAMS)
def test_as_in_double_precision(f, mode):
    compiled, plain, batch = MODES[mode]
    h = plain(f)  # Python's control flow, in float64
    want = np.stack([h(x) for x in X]) if batch else h(X[0])
    got = compiled(f)(np.asarray(X if batch else X[0], np.float32))
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=2e-4)


def test_state_that_grows_is_refused():
    body = capture(lambda s: [s * np.ones(N)], np.ones(N, np.float32), name="body")
    with pytest.raises(ShapeError, match="float64.*float32"):
        ad.graph(lambda x: ad.core.op.bind(scan_op, x, body=body, n=1, m=0, reverse=False, length=3)[0])(
            np.ones(N, np.float32)
        )
