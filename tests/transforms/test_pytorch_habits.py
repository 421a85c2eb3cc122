"""What those who come from PyTorch write: requires_grad=True, zero_(), a loop that trains, values read in between."""

import numpy as np
import pytest

import adjoint as ad


def test_requires_grad_is_an_argument():
    x = ad.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    assert x.requires_grad and x.grad is None and x.dtype == np.float32
    assert not ad.tensor([1.0]).requires_grad
    for k in (1, 2):  # gradients add up
        (x * x).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), 2 * k * np.array([1.0, 2.0]))
    with pytest.raises(ad.AdjointError, match="int64"):
        ad.tensor([1, 2], requires_grad=True)


@pytest.mark.parametrize("data", [[1.0, 2.0], 3.0])
def test_zero_in_place(data):
    x = ad.tensor(data, requires_grad=True)
    (x * x).sum().backward()
    g = x.grad
    assert x.grad.zero_() is g
    np.testing.assert_array_equal(x.grad.numpy(), np.zeros(np.shape(data)))
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * np.array(data))


@pytest.mark.parametrize(
    "clear", [lambda x: x.grad.zero_(), lambda x: x.zero_grad(), lambda x: setattr(x, "grad", None)]
)
def test_a_loop_that_trains(clear):
    x, losses = ad.tensor([1.0, 2.0], requires_grad=True), []
    for _ in range(3):
        loss = (x * x).sum()
        losses.append(loss.detach().item())
        loss.backward()
        with ad.no_grad():
            x -= 0.1 * x.grad
        clear(x)
    np.testing.assert_allclose(x.detach().numpy(), 0.8**3 * np.array([1.0, 2.0]), rtol=1e-15)
    np.testing.assert_allclose(losses, 5 * 0.64 ** np.arange(3), rtol=1e-15)
