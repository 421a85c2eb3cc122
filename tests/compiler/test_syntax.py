"""Source capture: each construct of tests/programs/constructs.py in every mode, and what a corpus cannot see.

The value to meet is that of the plain function on plain NumPy; derivatives are met by complex-step-free central
differences of it.
"""

import numpy as np
import pytest

import adjoint as ad
from adjoint.compiler.syntax import rewrite
from adjoint.core import tree
from adjoint.traces.capture import capture
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
