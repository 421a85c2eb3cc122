"""Each ordinary program compiled: its value and its gradient, `jit(grad)` and `grad(jit)`, as native code."""


import pytest

import adjoint as ad
from adjoint.compiler.fence import FenceError
from adjoint.core.errors import AdjointError
from tests.programs.functions import PROGRAMS
from tests.programs.test_programs import argnums, close, gradient, scalar, vector_of

TOO_LARGE = {"adaptive_quadrature"}
every = pytest.mark.parametrize("p", PROGRAMS, ids=[p.name for p in PROGRAMS])


def compiled(f, p):
    """f compiled, or a skip that says why it is refused; what is compiled must be native."""
    g = ad.jit(f)
    if p.name in TOO_LARGE:
        pytest.skip("a recursion of depth 8, laid out: it is run by NumPy, with a warning")
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
        if p.name in TOO_LARGE:
            continue
        try:
            ad.jit(scalar(p)).compile(*p.args)
        except AdjointError:
            refused.append(p.name)
    assert len(refused) <= len(PROGRAMS) // 5, refused


def test_what_is_too_large_is_run_by_numpy_and_says_so():
    (p,) = [p for p in PROGRAMS if p.name in TOO_LARGE]
    f = scalar(p)
    with pytest.warns(RuntimeWarning, match="more than the 20000 that are compiled, and is run by NumPy"):
        y = ad.jit(f)(*p.args)
    close(y, f(*p.args), 1e-12)
