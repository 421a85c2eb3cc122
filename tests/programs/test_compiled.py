"""Each ordinary program compiled: its value and its gradient, `jit(grad)` and `grad(jit)`, as native code."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.fence import FenceError
from adjoint.core.errors import AdjointError
from tests.programs.functions import PROGRAMS
from tests.programs.test_programs import argnums, close, gradient, scalar, vector_of

every = pytest.mark.parametrize("p", PROGRAMS, ids=[p.name for p in PROGRAMS])


def compiled(f, p):
    """f compiled, or a skip that says why it is refused; what is compiled must be native."""
    g = ad.jit(f)
    try:
        g.compile(*p.args)
    except (FenceError, AdjointError) as refusal:
        pytest.skip(f"refused: {type(refusal).__name__}: {str(refusal)[:120]}")
    assert not g.lower(*p.args).startswith("; not native"), g.explain(*p.args)
    return g


@every
def test_value(p):
    f = scalar(p)
    close(compiled(f, p)(*p.args), f(*p.args), 1e-12)


@every
def test_gradient_compiled(p):
    g = compiled(ad.grad(scalar(p), argnums=argnums(p)), p)
    want = gradient(p)
    close(vector_of(g(*p.args)), want, 1e-11)
    close(vector_of(g(*p.args)), want, 1e-11)  # a second time: memory that was left


@every
def test_gradient_of_compiled(p):
    f = compiled(scalar(p), p)
    close(vector_of(ad.grad(f, argnums=argnums(p))(*p.args)), gradient(p), 1e-11)


def test_few_are_refused():
    """Most ordinary programs compile as they stand."""
    refused = []
    for p in PROGRAMS:
        try:
            ad.jit(scalar(p)).compile(*p.args)
        except AdjointError:
            refused.append(p.name)
    assert len(refused) <= len(PROGRAMS) // 5, refused


def test_what_is_too_large_is_run_by_numpy_and_says_so():
    def halves(v):  # a recursion that Python ends is laid out
        if v.shape[0] == 1:
            y = v[0]
            for _ in range(8):
                y = np.sin(y) * y
            return y
        middle = v.shape[0] // 2
        a, b = halves(v[:middle]), halves(v[middle:])
        return a * np.cos(b) + b

    x = np.linspace(-1.0, 1.0, 1024)
    with pytest.warns(RuntimeWarning, match="more than the 20000 that are compiled, and is run by NumPy"):
        y = ad.jit(halves)(x)
    close(y, halves(x), 1e-12)
