"""What one lane of a batch does not do, another may: the lane that does not must neither fail at it, nor go round a loop for ever."""

import numpy as np
import pytest

import adjoint as ad

TABLE = np.array([1.0, 2.0, 4.0])


def looked_up(x):
    if x < 3:
        return TABLE[int(x)] * x
    return x


def looked_up_in_a_list(x):
    if 0 <= x < 3:
        return [x, 2 * x, x**3][int(x)]
    return -x


def looked_up_in_a_loop(x):
    y, k = 0.0, 0
    while k < 2 and x < 3:
        y += TABLE[int(x)] * x
        x = x + 0.7
        k += 1
    return y


def looked_up_in_the_test(x):
    i = 0
    while i < 3 and TABLE[i] < x:
        i += 1
    return x * i


def written(x):
    if x < 3:
        b = np.zeros(3)
        b[int(x)] = x * x
        return b.sum()
    return x


def looped(x):
    if x > 0:
        while x < 1000:  # for ever, where x is negative
            x = x * 2
    return x


def looped_deeper(x):
    n = 0
    while n < 3:
        n += 1
        if x > 0:
            if x < 50:
                y = x
                while y < 10.1:
                    y = y + x
                x = y * 1.5
            else:
                for _ in range(int(x) % 4):
                    x = x - 1.0
    return x


def inverted(x):
    a = np.array([[x, 0.0], [1.0, x]])
    if x != 0:
        return np.linalg.inv(a).sum() + np.linalg.solve(a, np.ones(2)).sum()
    return 2.0 * x


def factored(x):
    a = np.array([[x, 0.1], [0.1, 1.0]])
    if x > 0.1:
        return np.linalg.cholesky(a).sum()
    return x


PROGRAMS = [f for f in list(globals().values()) if getattr(f, "__module__", None) == __name__]
LANES = np.array([1.2, 9.0, 2.5, -1.0, 0.0])


def lanes_of(f):
    return np.array([x for x in LANES if not (f in (looked_up, looked_up_in_a_loop, written) and x < 0)])


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_values(f):
    x = lanes_of(f)
    want = [f(float(e)) for e in x]
    assert np.allclose(ad.vmap(ad.differentiable(f))(x), want, rtol=1e-12)
    assert np.allclose(ad.jit(ad.vmap(f))(x), want, rtol=1e-12)


@pytest.mark.parametrize("f", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients(f):
    x = lanes_of(f)
    h = 1e-6
    want = [(f(float(e) + h) - f(float(e) - h)) / (2 * h) for e in x]
    if f in (inverted,):
        want[list(x).index(0.0)] = 2.0  # alone in its branch
    if f in (looked_up_in_a_list, looped, looped_deeper):  # 0 is where the branches meet
        x, want = x[:-1], want[:-1]
    one = ad.grad(ad.differentiable(f))
    assert np.allclose([one(float(e)) for e in x], want, rtol=1e-5)
    assert np.allclose(ad.vmap(one)(x), want, rtol=1e-5)
    assert np.allclose(ad.jit(ad.vmap(ad.grad(f)))(x), want, rtol=1e-5)
    assert np.allclose(ad.grad(lambda x: ad.vmap(ad.jit(f))(x).sum())(x), want, rtol=1e-5)


def test_what_is_taken_still_fails():
    for make in (lambda f: ad.vmap(ad.differentiable(f)), lambda f: ad.jit(ad.vmap(f))):
        with pytest.raises(IndexError, match="out of bounds"):
            make(lambda x: TABLE[int(x)] * x if x < 5 else x)(np.array([1.0, 4.0, 9.0]))
        with pytest.raises(np.linalg.LinAlgError):
            make(lambda x: np.linalg.inv(np.array([[x, 0.0], [0.0, 1.0]])).sum() if x < 5 else x)(np.array([0.0, 9.0]))
