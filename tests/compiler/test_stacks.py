"""Loops whose steps all leave the same number for their way back: it only counts the steps, and takes no memory."""

import numpy as np
import pytest

import adjoint as ad


def doubling(x, c):
    """Linear steps."""
    while abs(x) < c:
        x = x * 2
    return x * x


def nested(x, c):
    """A loop of linear steps in a loop: how often the inner one runs differs from step to step."""
    k = 0
    while k < 4:
        y = x
        while abs(y) < c + k:
            y = y * 3
        x = np.sin(y) * 0.5 + 0.1
        k += 1
    return x


def chosen(x, c):
    """Loops of linear steps on both sides of a choice, in a loop."""
    for _ in range(12):
        if x > 0.2:
            while x < c:
                x = x * 2 + 1
            x = x - c
        else:
            while x > -c:
                x = x * 3 - 2
            x = np.cos(x) + x * 0.01
    return x


def counted(x, c):
    """Linear steps, in a loop that ends early."""
    n = 0
    for _ in range(50):
        x = x * 1.5
        n += 1
        if abs(x) > c:
            break
    return x * n


@pytest.mark.parametrize("f", [doubling, nested, chosen, counted])
def test_linear_steps(f):
    g = ad.grad(f, argnums=(0, 1))
    compiled = ad.jit(g)
    many = ad.jit(ad.vmap(ad.grad(f), in_axes=(0, None)))
    xs = np.array([0.3, -0.7, 1.3, 5.0, 0.01, -1e-3])
    for x in xs:
        for got, want in zip(compiled(x, 7.0), g(x, 7.0), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9)
    if f is chosen:
        return  # a batch runs both sides of the choice, of which one does not end
    second = ad.jit(ad.hessian(f))
    for x in xs[:2]:
        np.testing.assert_allclose(second(x, 7.0), ad.hessian(f)(x, 7.0), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(many(xs, 7.0), [ad.grad(f)(x, 7.0) for x in xs], rtol=1e-9)


def test_nothing_is_saved_but_the_count():
    g = ad.jit(ad.grad(doubling))
    g(0.3, 1000.0)
    notes = next(iter(g._entries.values())).program.notes
    assert any("while loop" in note for note in notes)
    assert not any("saves" in note for note in notes)


@pytest.mark.parametrize("shape", [(3,), (5, 8)])
def test_nothing_is_saved_of_arrays_that_are_one_number(shape):
    """A batch of such loops saves which lanes go on; a step's array that is the same number everywhere is not kept."""

    def f(x):
        while np.sum(x) < 1000.0:
            x = x * 2.0
        return np.sum(x * x)

    xs = np.random.default_rng(0).uniform(0.1, 2.0, (20, *shape))
    many = ad.jit(ad.vmap(ad.grad(f)))
    want = [2 * x * 4.0 ** np.ceil(np.log2(1000 / x.sum())) for x in xs]
    np.testing.assert_allclose(many(xs), want, rtol=1e-12)
    notes = next(iter(many._entries.values())).program.notes
    assert [note for note in notes if "saves" in note] == [n for n in notes if "saves 20 bytes (bool[20])" in n]
    assert any("while loop" in note for note in notes)


def test_more_steps_than_looks():
    def f(x):
        n = 0
        while n < 50_000:
            x = x * 1.00001
            n += 1
        return x

    np.testing.assert_allclose(ad.jit(ad.grad(f))(2.0), 1.00001**50_000, rtol=1e-10)
