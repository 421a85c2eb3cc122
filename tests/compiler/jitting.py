"""What the tests of jit share."""

import collections
import dataclasses

import numpy as np

import adjoint as ad

X = np.array([0.3, -1.2, 0.7] * 7)
X.flags.writeable = False


def same(got, want, tol=1e-12):
    """Equal containers, classes, dtypes and shapes; numbers within rounding."""
    ours, structure = ad.tree.flatten(got)
    theirs, expected = ad.tree.flatten(want)
    assert structure == expected
    for a, b in zip(ours, theirs):
        assert type(a) is type(b), f"a {type(a).__name__}, not a {type(b).__name__}"
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)


def agree(f, *args, tol=1e-12, calls=3, **kwargs):
    """jit(f) gives what f gives, at the first call and at later ones."""
    g = ad.jit(f)
    for _ in range(calls):
        same(g(*args, **kwargs), f(*args, **kwargs), tol)
    return g


def wave(x):
    return np.sum(np.sin(x) * x)


Pair = collections.namedtuple("Pair", "a b")


@dataclasses.dataclass
class Data:
    a: object
    b: object


class Model:
    def __init__(self, k):
        self.k = k
        self.w = np.arange(21.0)

    @ad.jit
    def loss(self, x):
        return self.scaled(np.sum(self.w * x))

    def scaled(self, y):
        return y * self.k

    def plain(self, x):
        return np.sum(self.w * x) * self.k

    def __call__(self, x):
        return np.tanh(self.w * x) * self.k
