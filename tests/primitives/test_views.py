"""What NumPy views and what it copies: a write into an array is seen in each of its views, and in no copy; in every mode.

Each function is run by NumPy itself, and must give the same everywhere: after a write into the array, and after one into
what was made of it. A write may be refused; it may not be lost.
"""

import numpy as np
import pytest

import adjoint as ad

windows = np.lib.stride_tricks.sliding_window_view

MADE = {
    # views
    "squeeze": lambda a: np.squeeze(a[None]),
    "swapaxes": lambda a: np.swapaxes(a, 0, 1),
    "moveaxis": lambda a: np.moveaxis(a, 0, 1),
    "split": lambda a: np.split(a, 3)[0],
    "array_split": lambda a: np.array_split(a, 2, axis=1)[0],
    "ravel": lambda a: np.ravel(a),
    "reshape": lambda a: a.reshape(1, 9),
    "atleast_3d": lambda a: np.atleast_3d(a),
    "broadcast_to": lambda a: np.broadcast_to(a, (2, 3, 3)),
    "rot90": lambda a: np.rot90(a),
    "rot90 by nothing": lambda a: np.rot90(a, 0),
    "rot90 twice": lambda a: np.rot90(a, 2),
    "flipud": lambda a: np.flipud(a),
    "diag": lambda a: np.diag(a),
    "diagonal": lambda a: np.diagonal(a[None], 0, 1, 2),
    "part of a diagonal": lambda a: np.diagonal(a).reshape(3, 1),
    "real": lambda a: np.real(a),
    "meshgrid, views": lambda a: np.meshgrid(a[0], a[1], copy=False)[1],
    "nan_to_num, in place": lambda a: np.nan_to_num(a, copy=False),
    "conj of a real array": lambda a: a.conj(),
    "einsum, the same": lambda a: np.einsum("ij->ij", a),
    "einsum, transposed": lambda a: np.einsum("ij->ji", a),
    "einsum, diagonal": lambda a: np.einsum("ii->i", a),
    "einsum, dots": lambda a: np.einsum("...ij->j...i", a[None]),
    "einsum, lists": lambda a: np.einsum(a, [0, 0], [0]),
    "einsum, diagonals of many": lambda a: np.einsum("kii->ik", a[None]),
    "einsum, three times": lambda a: np.einsum("iij->ji", np.broadcast_to(a, (3, 3, 3))),
    "windows": lambda a: windows(a, 2, axis=0),
    "windows of one": lambda a: windows(a, (1, 1)),
    "windows of none": lambda a: windows(a, (), ()),
    "one of the windows": lambda a: windows(a, (2, 2))[0, 0],
    # copies
    "ravel of a.T": lambda a: a.T.ravel(),
    "reshape of a.T": lambda a: a.T.reshape(1, 9),
    "ravel of a part": lambda a: a[:, :2].ravel(),
    "ravel of rows": lambda a: a[:2].ravel(),
    "ravel of some rows": lambda a: a[::2].ravel(),
    "ravel, flipped": lambda a: a[::-1].ravel(),
    "ravel by columns": lambda a: a.ravel(order="F"),
    "reshape of what is spread": lambda a: np.broadcast_to(a, (2, 3, 3)).reshape(-1),
    "tile": lambda a: np.tile(a, 2),
    "tile by one": lambda a: np.tile(a, 1),
    "tile in front": lambda a: np.tile(a, (2, 1, 1)),
    "repeat": lambda a: np.repeat(a, 2, 0),
    "repeat by one": lambda a: np.repeat(a, 1, 0),
    "meshgrid": lambda a: np.meshgrid(a[0], a[1])[0],
    "meshgrid, sparse": lambda a: np.meshgrid(a[0], a[1], sparse=True)[0],
    "nan_to_num": lambda a: np.nan_to_num(a),
    "conjugate": lambda a: np.conjugate(a),
    "take": lambda a: a.take([0], 0),
    "roll": lambda a: np.roll(a, 0),
    "positive": lambda a: +a,
    "concatenate": lambda a: np.concatenate([a]),
}
MODES = {
    "reverse": lambda f: lambda x: ad.value_and_grad(f)(x)[0],
    "forward": lambda f: lambda x: ad.jvp(f, (x,), (x,))[0],
    "batch": lambda f: lambda x: ad.vmap(f)(x[None])[0],
    "batch of gradients": lambda f: lambda x: ad.vmap(ad.value_and_grad(f))(x[None])[0][0],
    "captured": lambda f: lambda x: ad.graph(f)(x).run(x)[0],
    "rewritten": lambda f: lambda x: ad.value_and_grad(ad.differentiable(f))(x)[0],
}
A = np.arange(1.0, 10.0).reshape(3, 3)


def _weighed(w):
    return np.sum(w * np.arange(1.0, w.size + 1).reshape(w.shape))


@pytest.mark.filterwarnings("ignore:Numpy has detected")
@pytest.mark.parametrize("make", [pytest.param(f, id=name) for name, f in MADE.items()])
def test_writes_are_seen_where_numpy_shows_them(make):
    def into_the_array(x):
        a = x * 1.0
        w = make(a)
        a[0, 0] = 7 * a[1, 1]
        a[2, 1] = 4.0
        return _weighed(w) + np.sum(a * x)

    def into_what_was_made(x):
        a = x * 1.0
        w = make(a)
        w[...] = 5 * a[1, 1] + np.arange(w.size).reshape(w.shape)
        return _weighed(w) + np.sum(a * x)

    seen = into_the_array(A)
    for name, mode in MODES.items():
        np.testing.assert_allclose(mode(into_the_array)(A), seen, rtol=1e-14, err_msg=name)
    try:
        seen = into_what_was_made(A)
    except ValueError:  # NumPy's view is read-only
        seen = None
    for name, mode in MODES.items():
        try:
            got = mode(into_what_was_made)(A)
        except (ad.AdjointError, ValueError):
            continue
        assert seen is not None, name
        np.testing.assert_allclose(got, seen, rtol=1e-14, err_msg=name)


def test_a_diagonal_of_einsum_may_be_written():
    """NumPy's way to set a diagonal; the derivative of what it covers is zero."""

    def f(x):
        a = x * 1.0
        np.einsum("ii->i", a)[:] = x[0] ** 2
        return np.sum(a**2)

    want = 2 * A * (1 - np.eye(3))
    want[0] += 4 * A[0] ** 3
    for g in (ad.grad(f), ad.jit(ad.grad(f)), ad.grad(ad.differentiable(f))):
        np.testing.assert_allclose(g(A), want, rtol=1e-14)


def test_complex_parts_that_are_no_numbers_are_replaced():
    z = np.array([complex(np.nan, 1), complex(2, np.inf)])
    with np.errstate(invalid="ignore"):
        y = ad.jvp(np.nan_to_num, (z,), (np.ones(2) + 0j,))[0]
    np.testing.assert_array_equal(y, np.nan_to_num(z))
