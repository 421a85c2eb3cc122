"""Each ordinary program in each mode: eager gradients against differences, and every other mode against those."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.core.errors import UntrackedError
from tests.laws.harness import difference
from tests.programs.functions import PROGRAMS

every = pytest.mark.parametrize("p", PROGRAMS, ids=[p.name for p in PROGRAMS])


def scalar(p):
    """The program as a function of one number's worth: a vector result is weighed and summed."""

    def f(*args):
        y = p.f(*args)
        return y if np.ndim(y) == 0 else np.sum(y * np.cos(np.arange(y.size)).reshape(y.shape).astype(y.dtype))

    f.__name__ = p.name
    return f


def is_vector(p):
    return np.ndim(p.f(*p.args)) > 0


def vector_of(args):
    leaves, _ = ad.tree.flatten(args)
    return np.concatenate([np.ravel(x) for x in leaves])


def flat(p, f=None):
    """The program as a function of one vector, which holds all its arguments."""
    f = f or scalar(p)
    leaves, structure = ad.tree.flatten(p.args)
    sizes = [np.size(x) for x in leaves]
    shapes = [np.shape(x) for x in leaves]

    def g(v):
        parts, start = [], 0
        for n, shape in zip(sizes, shapes):
            parts.append(v[start] if shape == () else v[start : start + n].reshape(shape))
            start += n
        return f(*ad.tree.unflatten(structure, parts))

    return g


def argnums(p):
    return tuple(range(len(p.args)))


def gradient(p):
    """The eager gradient as one vector."""
    return vector_of(ad.grad(scalar(p), argnums=argnums(p))(*p.args))


def by_differences(f, x):
    """The Jacobian of f at the vector x, by differences: a column an entry of x."""
    columns = [difference(lambda row: [f(row[0])], [x], [e])[0] for e in np.eye(len(x))]
    return np.stack(columns, axis=-1)


def close(got, want, tol=1e-6):
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape
    size = max(1.0, float(np.max(np.abs(want), initial=0.0)))
    assert np.max(np.abs(got - want), initial=0.0) <= tol * size, f"\n{got}\nshould be\n{want}"


def weights(x):
    return np.sin(1.0 + np.arange(np.size(x))).reshape(np.shape(x))


@every
def test_gradient_is_the_difference(p):
    close(gradient(p), by_differences(flat(p), vector_of(p.args)))


@every
def test_container_shape_and_dtype(p):
    g = ad.grad(scalar(p), argnums=argnums(p))(*p.args)
    theirs, structure = ad.tree.flatten(g)
    ours, expected = ad.tree.flatten(p.args)
    assert structure == expected
    for x, d in zip(ours, theirs):
        assert type(d) is not ad.Tensor
        assert np.shape(d) == np.shape(x)
        assert np.asarray(d).dtype == np.asarray(x).dtype
        assert type(d) is type(x), f"the gradient of a {type(x).__name__} is a {type(d).__name__}"


@every
def test_value_and_grad(p):
    y, g = ad.value_and_grad(scalar(p), argnums=argnums(p))(*p.args)
    assert y == scalar(p)(*p.args)
    close(vector_of(g), gradient(p), 0)


@every
def test_jvp(p):
    t = ad.tree.map(lambda x: float(weights(x)) if np.ndim(x) == 0 else weights(x), p.args)
    y, dy = ad.jvp(scalar(p), p.args, t)
    assert y == scalar(p)(*p.args)
    close(dy, np.dot(gradient(p), vector_of(t)), 1e-12)


@every
def test_linearize(p):
    v = vector_of(p.args)
    y, push = ad.linearize(flat(p), v)
    close(push(weights(v)), np.dot(gradient(p), weights(v)), 1e-12)
    close(push(2 * weights(v)), 2 * np.dot(gradient(p), weights(v)), 1e-12)
    assert y == flat(p)(v)


@every
def test_vjp(p):
    y, pull = ad.vjp(p.f, *p.args)
    g = weights(y)[()] if np.ndim(y) else 1.0
    close(y, p.f(*p.args), 0)
    got = vector_of(pull(g))
    f = flat(p, p.f)
    want = by_differences(lambda v: np.sum(f(v) * g), vector_of(p.args))
    close(got, want)
    close(vector_of(pull(g)), got, 0)  # a second time


@pytest.mark.parametrize("p", [p for p in PROGRAMS if is_vector(p)], ids=[p.name for p in PROGRAMS if is_vector(p)])
def test_jacobian(p):
    f, v = flat(p, p.f), vector_of(p.args)
    want = by_differences(f, v)
    for jacobian in (ad.jacobian, ad.jacfwd, ad.jacrev):
        close(jacobian(f)(v), want)
    close(ad.jacfwd(f)(v), ad.jacrev(f)(v), 1e-11)


@every
def test_hessian(p):
    f, v = flat(p), vector_of(p.args)
    h = ad.hessian(f)(v)
    close(h, np.swapaxes(h, 0, 1), 1e-9)
    if p.smooth:
        close(h, by_differences(ad.grad(f), v), 1e-5)


@every
def test_reverse_over_reverse(p):
    f, v = flat(p), vector_of(p.args)
    w = weights(v)
    twice = ad.grad(lambda v: np.sum(ad.grad(f)(v) * w))(v)
    close(twice, ad.hvp(f)(v, w), 1e-9)
    forward = ad.jvp(lambda v: ad.jvp(f, (v,), (w,))[1], (v,), (w,))[1]
    close(forward, np.dot(twice, w), 1e-9)


@every
def test_hvp(p):
    f, v = flat(p), vector_of(p.args)
    close(ad.hvp(f)(v, weights(v)), ad.hessian(f)(v) @ weights(v), 1e-9)


STRAIGHT = [p for p in PROGRAMS if not p.branches]
straight = pytest.mark.parametrize("p", STRAIGHT, ids=[p.name for p in STRAIGHT])
# Boolean masks pick a number of entries that only values tell.
KNOWN_SHAPES = [p for p in STRAIGHT if p.name != "finite_differences"]
known_shapes = pytest.mark.parametrize("p", KNOWN_SHAPES, ids=[p.name for p in KNOWN_SHAPES])


@known_shapes
def test_vmap_of_grad(p):
    f, v = flat(p), vector_of(p.args)
    lanes = np.stack([v, v * 1.01 + 0.002, v * 0.98])
    close(ad.vmap(f)(lanes), np.stack([f(lane) for lane in lanes]), 1e-12)
    close(ad.vmap(ad.grad(f))(lanes), np.stack([ad.grad(f)(lane) for lane in lanes]), 1e-10)


@known_shapes
def test_grad_of_vmap(p):
    f, v = flat(p), vector_of(p.args)
    lanes = np.stack([v, v * 1.01 + 0.002, v * 0.98])
    got = ad.grad(lambda lanes: np.sum(ad.vmap(f)(lanes) * np.array([1.0, 2.0, -1.0])))(lanes)
    close(got, np.stack([k * ad.grad(f)(lane) for k, lane in zip((1.0, 2.0, -1.0), lanes)]), 1e-10)


@known_shapes
def test_captured(p):
    f, v = flat(p), vector_of(p.args)
    graph = ad.graph(f)(v).verify()
    close(graph.run(v)[0], f(v), 1e-14)
    close(ad.grad(lambda v: graph.run(v)[0])(v), gradient(p), 1e-12)
    graph = ad.graph(ad.grad(f))(v).verify()
    close(graph.run(v)[0], gradient(p), 1e-12)


@every
def test_imperative(p):
    leaves, structure = ad.tree.flatten(p.args)
    tensors = [ad.tensor(x) for x in leaves]
    for t in tensors:
        t.attach_grad()
    y = scalar(p)(*ad.tree.unflatten(structure, tensors))
    y.backward()
    for t, d in zip(tensors, ad.tree.flatten(ad.grad(scalar(p), argnums=argnums(p))(*p.args))[0]):
        close(t.grad, d, 1e-12)


@every
def test_imperative_second_order(p):
    f, v = flat(p), vector_of(p.args)
    x = ad.tensor(v).requires_grad_()
    f(x).backward(create_graph=True)
    first = x.grad
    close(first.detach(), gradient(p), 1e-12)
    w = weights(v)
    x.zero_grad()
    try:
        np.sum(first * w).backward()
    except UntrackedError:  # the gradient of a linear program is a constant
        assert not np.any(ad.hessian(f)(v))
        return
    close(x.grad, ad.hvp(f)(v, w), 1e-9)


@every
def test_checkpoint(p):
    g = ad.grad(ad.checkpoint(scalar(p)), argnums=argnums(p))(*p.args)
    close(vector_of(g), gradient(p), 1e-13)


@every
def test_single_precision(p):
    low = ad.tree.map(lambda x: np.asarray(x, np.float32)[()] if not isinstance(x, float) else x, p.args)
    y, g = ad.value_and_grad(scalar(p), argnums=argnums(p))(*low)
    value = scalar(p)(*low)
    assert np.asarray(y).dtype == np.asarray(value).dtype
    for x, d in zip(ad.tree.flatten(low)[0], ad.tree.flatten(g)[0]):
        assert np.asarray(d).dtype == np.asarray(x).dtype
    if p.single is not None:
        close(vector_of(g), gradient(p), p.single)


@every
def test_runs_once(p):
    calls = []

    def counted(*args):
        calls.append(1)
        return scalar(p)(*args)

    def count(run):
        calls.clear()
        run()
        return len(calls)

    t = ad.tree.map(lambda x: float(weights(x)) if np.ndim(x) == 0 else weights(x), p.args)
    assert count(lambda: ad.grad(counted)(*p.args)) == 1
    assert count(lambda: ad.value_and_grad(counted)(*p.args)) == 1
    assert count(lambda: ad.jvp(counted, p.args, t)) == 1
    assert count(lambda: ad.vjp(counted, *p.args)[1](1.0)) == 1
    assert count(lambda: ad.jacobian(counted)(*p.args)) == 1
    v = vector_of(p.args)
    assert count(lambda: ad.hessian(flat(p, counted))(v)) == 1


def test_the_corpus_is_large_and_its_branches_are_taken():
    assert len(PROGRAMS) >= 30
    assert len({p.name for p in PROGRAMS}) == len(PROGRAMS)
    assert sum(p.branches for p in PROGRAMS) >= 7
