"""The public names: there, listed, documented; and every example in a docstring of the package runs."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

import adjoint as ad

PUBLIC = [
    "grad", "value_and_grad", "vjp", "jvp", "linearize", "jacobian", "jacfwd", "jacrev", "hessian", "hvp", "vmap",
    "elementwise_grad", "stop_gradient", "checkpoint", "custom_rule", "cond", "while_loop", "scan", "check_grads",
    "graph", "jit", "differentiable", "tensor", "Tensor", "no_grad", "config", "show", "plot", "blame", "tree",
]  # fmt: skip

MODULES = sorted(m.name for m in pkgutil.walk_packages(ad.__path__, "adjoint.") if not m.name.endswith("__main__"))


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name(name):
    assert hasattr(ad, name)
    f = getattr(ad, name)
    assert inspect.getdoc(f), f"ad.{name} has no docstring"


def test_all_lists_the_public_names():
    assert set(PUBLIC) <= set(ad.__all__)
    assert len(set(ad.__all__)) == len(ad.__all__)
    for name in ad.__all__:
        assert hasattr(ad, name)


@pytest.mark.parametrize("name", PUBLIC)
def test_public_functions_have_an_example(name):
    f = getattr(ad, name)
    if inspect.isfunction(f):
        assert ">>> " in inspect.getdoc(f), f"the docstring of ad.{name} has no example"


def test_adjoint_numpy_has_numpys_signatures():
    """A function of ours takes NumPy's parameters in NumPy's order with NumPy's defaults; it may take fewer."""
    import adjoint.numpy as anp

    different = []
    for name in [name for name in dir(anp) if not name.startswith("_")]:
        ours, theirs = getattr(anp, name), getattr(np, name, None)
        skip = theirs is None or isinstance(theirs, (np.ufunc, type)) or not inspect.isfunction(ours)
        skip = skip or name == "clip"  # the array API standard calls its bounds min and max; a_min and a_max work too
        skip = skip or name == "arange"  # NumPy takes start= by name and dtype by place, which its own signature denies
        if skip:
            continue
        assert inspect.getdoc(ours), f"adjoint.numpy.{name} has no docstring"
        try:
            a, b = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
        except ValueError:  # written in C, without a signature
            continue
        positional = lambda s: [p.name for p in s.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        known = [p for p in a if p in b and np._NoValue not in (a[p].default, b[p].default)]
        defaults = all(repr(a[p].default) == repr(b[p].default) for p in known)
        if positional(a) != positional(b)[: len(positional(a))] or not defaults:
            different.append(f"{name}{inspect.signature(ours)} is not {name}{inspect.signature(theirs)}")
    assert not different, "\n" + "\n".join(different)


@pytest.mark.parametrize("name", MODULES)
def test_doctests(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module)
    assert result.failed == 0


def test_doctests_are_many():
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = [t for name in ["adjoint", *MODULES] for t in finder.find(importlib.import_module(name))]
    assert sum(len(t.examples) for t in tests) > 30


@pytest.mark.parametrize("name", ["adjoint", *MODULES])
def test_every_module_says_what_it_is(name):
    assert inspect.getdoc(importlib.import_module(name)), f"{name} has no docstring"
