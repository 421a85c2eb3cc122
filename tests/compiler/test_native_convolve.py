"""Convolutions in native code, of real and complex sequences of all lengths, and their gradients."""

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import adjoint as ad


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("lengths", [(1000, 5), (5, 1000), (64, 64), (300, 200), (40, 1), (2, 3)])
def test_convolve(lengths, mode, no_disk_cache):
    rng = np.random.default_rng(0)
    a, v = (rng.normal(size=n) for n in lengths)
    f = lambda a, v: np.convolve(a, v, mode)
    for xs in ((a, v), (a + 1j * a[::-1], v), (a.astype(np.float32), v.astype(np.float32)), ((a * 9).astype(int), (v * 9).astype(int))):
        h = ad.jit(f)
        got, want = h(*xs), f(*xs)
        room = 1e-5 if want.dtype == np.float32 else 1e-13
        assert got.dtype == want.dtype and got.shape == want.shape
        assert np.abs(got - want).max() <= room * np.abs(want).max()
        assert "called back" not in h.explain(*xs)
    loss = lambda a, v: np.sum(np.sin(f(a, v))) + np.sum(np.correlate(a, v, mode) ** 2)
    for got, want in zip(ad.jit(ad.grad(loss, (0, 1)))(a, v), ad.grad(loss, (0, 1))(a, v), strict=True):
        assert np.allclose(got, want, rtol=1e-10, atol=1e-10)
