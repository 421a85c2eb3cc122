"""jit(checkpoint="log"): the same derivatives from few states of a loop."""

import pickle

import numpy as np
import pytest

import adjoint as ad

X = np.linspace(0.1, 1.0, 6)


def known(x, steps):
    for _ in range(steps):
        x = x + 0.1 * np.sin(x) * np.roll(x, 1)
    return np.sum(x * x)


def unknown(x):
    while np.sum(x * x) < 40:
        x = x * 1.001 + 0.001 * np.sin(x)
    return np.sum(x)


def rows(x, reverse=False):
    """A scan over rows, with results of each step."""
    a = np.outer(np.linspace(0.5, 1.5, 137), np.ones(6))
    last, ys = ad.scan(lambda c, row: (np.tanh(c + x * row), c * row), np.zeros(6), a, reverse=reverse)
    return np.sum(last) + np.sum(ys * ys)


def left(x, steps=150):
    for i in range(steps):
        x = np.sin(x) + x * i * 0.001
        if np.sum(x) > 12:
            break
    return np.sum(x)


def plain(f, *args, **kwargs):
    return ad.jit(ad.grad(f), **kwargs)(*args)


@pytest.mark.parametrize("steps", [0, 3, 20, 21, 100, 137, 1000, 1003])
def test_known_lengths(steps):
    got = ad.jit(ad.value_and_grad(known), static_argnums=1, checkpoint="log")(X, steps)
    want = ad.jit(ad.value_and_grad(known), static_argnums=1)(X, steps)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-12)
    np.testing.assert_allclose(got[1], want[1], rtol=1e-10)


@pytest.mark.parametrize(
    "f", [unknown, left, rows, lambda x: rows(x, reverse=True)], ids=["while", "break", "scan", "reverse scan"]
)
def test_loops(f):
    want = ad.jit(ad.grad(f))(X)
    np.testing.assert_allclose(ad.jit(ad.grad(f), checkpoint="log")(X), want, rtol=1e-10)
    np.testing.assert_allclose(ad.grad(ad.jit(f, checkpoint="log"))(X), want, rtol=1e-10)
    np.testing.assert_allclose(ad.jit(ad.vmap(ad.grad(f)), checkpoint="log")(np.stack([X, X / 2]))[0], want, rtol=1e-10)
    tangent = ad.jit(lambda x: ad.jvp(f, (x,), (np.ones(6),))[1], checkpoint="log")(X)
    np.testing.assert_allclose(tangent, np.sum(want), rtol=1e-10)


def test_second_order():
    def f(x):
        return np.sum(ad.grad(known)(x, 64) ** 2)

    np.testing.assert_allclose(ad.jit(ad.grad(f), checkpoint="log")(X), ad.jit(ad.grad(f))(X), rtol=1e-9)


def test_memory_grows_with_the_logarithm():
    def room(steps, **kwargs):
        f = ad.jit(ad.grad(known), static_argnums=1, **kwargs)
        text = f.explain(np.ones(1000), steps)
        return int(text.split("workspace: ")[1].split()[0])

    states = 8000
    all_of_them = room(1000)
    few, more = room(1000, checkpoint="log"), room(10_000, checkpoint="log")
    assert all_of_them > 1000 * states
    assert few < 63 * states  # 59 when the states of a stretch are given back as soon as it has run, 65 if not
    assert more - few < 25 * states


def test_prints_once(capsys):
    def f(x):
        for i in range(50):
            x = np.sin(x)
            if i == 30:
                print("here")
        return np.sum(x)

    plain(f, X, checkpoint="log")
    assert capsys.readouterr().out == "here\n"


def noted(x):
    return known(x, 30)


def test_pickles_with_its_option():
    f = pickle.loads(pickle.dumps(ad.jit(noted, checkpoint="log")))
    assert f._checkpoint == "log" and np.isfinite(f(X))


def test_other_options_are_refused():
    with pytest.raises(ValueError, match="checkpoint is 'sqrt'; there are None"):
        ad.jit(known, checkpoint="sqrt")
