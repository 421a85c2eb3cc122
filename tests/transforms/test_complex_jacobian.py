"""Jacobians with complex numbers: one matrix in every mode, or an error where no matrix is the derivative."""

import numpy as np
import pytest

import adjoint as ad

X = np.array([1.0, -2.0])
Z = np.array([1 + 2j, 0.5 - 1j])
MODES = ["fwd", "rev", "auto"]


@pytest.mark.parametrize("mode", MODES)
def test_one_matrix_in_every_mode(mode):
    matrix = np.array([[1j, 2.0], [3.0, 1 - 1j]])
    np.testing.assert_allclose(ad.jacobian(lambda x: matrix @ x, mode=mode)(X), matrix)
    np.testing.assert_allclose(ad.jacobian(lambda z: matrix @ z**2, mode=mode)(Z), matrix * (2 * Z))
    # of a real result the row is the gradient, which points uphill
    np.testing.assert_allclose(ad.jacobian(lambda z: np.abs(z) ** 2, mode=mode)(Z), np.diag(2 * Z))


@pytest.mark.parametrize("mode", MODES)
def test_not_holomorphic(mode):
    with pytest.raises(ad.AdjointError, match="not holomorphic"):
        ad.jacobian(np.conj, mode=mode)(Z)


def test_two_holds_on_one_array():
    """Two graphs hold views of one large array; whichever goes first, all is writeable in the end."""
    for first in (0, 1):
        base = np.ones((2, 20_000))
        pulls = [ad.vjp(lambda x, row=row: np.sum(x * row), np.ones(20_000))[1] for row in base]
        assert not base.flags.writeable
        del pulls[first]
        del pulls[:]
        assert base.flags.writeable
        base[0, 0] = 2.0
