"""The chapter's namespace: dtypes, the functions that are composed here, and their derivatives."""

import numpy as np
import pytest

import adjoint as ad
from adjoint import ops
from adjoint.core.tensor import is_tensor

F, I = np.float32, np.int64
LOGITS = np.array([[0.3, -1.2, 2.0], [0.5, 0.1, -0.4]])


@pytest.mark.parametrize(
    "make, dtype, value",
    [
        (lambda: ops.arange(4.0), F, [0, 1, 2, 3]),
        (lambda: ops.arange(4), I, [0, 1, 2, 3]),
        (lambda: ops.arange(4, dtype=ad.float32), F, [0, 1, 2, 3]),
        (lambda: ops.arange(1, 4), I, [1, 2, 3]),
        (lambda: ops.arange(1, 2, 0.25), F, [1, 1.25, 1.5, 1.75]),
        (lambda: ops.arange(ops.tensor(3)), I, [0, 1, 2]),
        (lambda: ops.linspace(0, 1, 3), F, [0, 0.5, 1]),
        (lambda: ops.zeros(2), F, [0, 0]),
        (lambda: ops.zeros((1, 2), dtype=ad.int32), np.int32, [[0, 0]]),
        (lambda: ops.ones(1, 2), F, [[1, 1]]),
        (lambda: ops.full((2,), 7), I, [7, 7]),
        (lambda: ops.full(2, 0.5), F, [0.5, 0.5]),
        (lambda: ops.eye(2), F, [[1, 0], [0, 1]]),
        (lambda: ops.zeros_like([1.0]), F, [0]),
        (lambda: ops.ones_like(np.arange(2)), I, [1, 1]),
        (lambda: ops.full_like(np.ones(2), 3), np.float64, [3, 3]),
        (lambda: ops.tensor([1.0, 2.0]), F, [1, 2]),
        (lambda: ops.tensor([1, 2]), I, [1, 2]),
        (lambda: ops.tensor(1.5), F, 1.5),
        (lambda: ops.tensor([True]), np.bool_, [True]),
        (lambda: ops.tensor(1j), np.complex64, 1j),
        (lambda: ops.tensor(np.ones(2)), np.float64, [1, 1]),
        (lambda: ops.tensor([1, 2], dtype=ad.float64), np.float64, [1, 2]),
        (lambda: ops.sin(0.0), F, 0),
        (lambda: ops.sum([1.0, 2.0]), F, 3),
        (lambda: ops.mean(np.ones(2)), np.float64, 1),
        (lambda: ops.maximum(ops.arange(3.0), 1.5), F, [1.5, 1.5, 2]),
        (lambda: ops.add(np.float64(1), 1.0), np.float64, 2),
        (lambda: ops.mul(ops.arange(2), 0.5), np.float64, [0, 0.5]),
        (lambda: ops.where([True, False], [1.0, 2.0], 0), F, [1, 0]),
        (lambda: ops.concat([ops.ones(1), [2.0]]), F, [1, 2]),
        (lambda: ops.stack([ops.ones(2), ops.zeros(2)]), F, [[1, 1], [0, 0]]),
        (lambda: ops.argmax([1.0, 5.0, 2.0]), I, 1),
        (lambda: ops.matmul(ops.eye(2), [1.0, 2.0]), F, [1, 2]),
        (lambda: ops.one_hot([2, 0], 3), F, [[0, 0, 1], [1, 0, 0]]),
        (lambda: ops.one_hot(1, 3, 5, 2), I, [2, 5, 2]),
        (lambda: ops.one_hot([0, 1], 3, axis=0), F, [[1, 0], [0, 1], [0, 0]]),
        (lambda: ops.one_hot([7], 2), F, [[0, 0]]),
        (lambda: ops.sum(np.ones((2, 3)), dim=1, keepdim=True), np.float64, [[3], [3]]),
        (lambda: ops.transpose([[1.0, 2.0]]), F, [[1], [2]]),
    ],
)  # fmt: skip
def test_value_and_dtype(make, dtype, value):
    y = make()
    assert is_tensor(y) and y.trace is None
    assert y.dtype == dtype
    assert y.shape == np.shape(value)
    assert np.array_equal(y.numpy(), value)


def test_a_tensor_is_a_copy():
    a = np.ones(2)
    x = ops.tensor(a)
    a[0] = 5
    assert x.tolist() == [1, 1]


def test_random_numbers():
    ops.manual_seed(1)
    first = [ops.randn(2, 3), ops.rand((4,)), ops.randint(0, 5, (100,))]
    ops.manual_seed(1)
    again = [ops.randn((2, 3)), ops.rand(4), ops.randint(0, 5, (100,))]
    for a, b in zip(first, again):
        assert np.array_equal(a.numpy(), b.numpy())
    assert [x.dtype for x in first] == [F, F, I]
    assert ops.randn(()).shape == ops.rand(()).shape == ()
    assert set(first[2].tolist()) == set(range(5))
    assert all(0 <= v < 1 for v in ops.rand(1000).tolist())


@pytest.mark.parametrize("dim", [None, 0, -1])
def test_norm_of_a_number_is_its_absolute_value(dim):
    assert float(ops.norm(-3e30, dim=dim)) == float(F(3e30))  # the square would overflow
    assert float(ops.norm(ops.tensor(-2.0), dim=dim)) == 2
    assert ad.grad(lambda x: ops.norm(x, dim=dim))(-2.0) == -1
    assert ad.grad(lambda x: ops.norm(x, dim=dim))(0.0) == 0


@pytest.mark.parametrize(
    "args", [{}, {"dim": 0}, {"dim": 1, "keepdim": True}, {"ord": 1, "dim": 1}, {"ord": np.inf, "dim": 0}, {"axis": 1}]
)
def test_norm(args):
    names = {"dim": "axis", "keepdim": "keepdims"}
    want = np.linalg.norm(LOGITS, **{names.get(k, k): v for k, v in args.items()})
    assert np.allclose(ops.norm(LOGITS, **args).numpy(), want)
    ad.check_grads(lambda x: ops.norm(x, **args), LOGITS)


def test_norm_at_zero_is_flat():
    assert ad.grad(ops.norm)(np.zeros(3)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "f",
    [
        ops.relu, ops.sigmoid, ops.softplus, ops.tanh, ops.softmax, ops.log_softmax, ops.logsumexp, ops.std, ops.var,
        ops.prod, ops.cumsum, ops.amax, lambda x: ops.softmax(x, axis=0), lambda x: ops.clamp(x, -1, 1),
        lambda x: ops.cross_entropy(x, [2, 0]), lambda x: ops.cross_entropy(x, [2, 0], "none"),
        lambda x: ops.cross_entropy(x, [[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]], "sum"),
    ],
)  # fmt: skip
def test_derivatives(f):
    ad.check_grads(f, LOGITS, order=2)
    assert np.allclose(ad.vmap(f)(np.stack([LOGITS, -LOGITS]))[1], np.asarray(f(-LOGITS)))
    assert ad.grad(lambda x: ops.sum(f(x)))(LOGITS.astype(F)).dtype == F


def test_sigmoid_in_the_tails():
    x = np.array([-700.0, -40.0, 40.0])
    assert np.allclose(ops.sigmoid(x).numpy(), [np.exp(-700), np.exp(-40), 1], rtol=1e-15, atol=0)
    assert np.allclose(ad.elementwise_grad(ops.sigmoid)(x), np.exp(-np.abs(x)), rtol=1e-15, atol=0)
    with np.errstate(over="raise", invalid="raise"):
        ops.sigmoid(np.array([-1e4, 1e4]))


def test_softmax_of_large_and_infinite_scores():
    assert np.allclose(ops.softmax([1000.0, 1000.0]).numpy(), 0.5)
    assert ops.log_softmax([0.0, -np.inf]).tolist() == [0, -np.inf]
    assert np.allclose(ops.logsumexp(np.array([1000.0, 1000.0])).numpy(), 1000 + np.log(2))


def test_cross_entropy_by_its_definition():
    p = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
    want = -np.log(p[[0, 1], [2, 0]])
    labels = np.array([2, 0])
    assert np.allclose(ops.cross_entropy(LOGITS, labels, "none").numpy(), want)
    assert np.allclose(ops.cross_entropy(LOGITS, labels).numpy(), want.mean())
    assert np.allclose(ops.cross_entropy(LOGITS, np.eye(3)[labels]).numpy(), want.mean())
    assert np.allclose(ops.cross_entropy(LOGITS[0], 2).numpy(), want[0])
    assert np.allclose(ad.grad(lambda x: ops.cross_entropy(x, labels))(LOGITS), (p - np.eye(3)[labels]) / 2)
    losses = ops.cross_entropy(np.stack([LOGITS, LOGITS], -1), np.stack([labels, labels], -1), "none")  # (N, C, 2)
    assert np.allclose(losses.numpy(), np.stack([want, want], -1))


def test_cross_entropy_of_impossible_classes():
    x = np.array([[0.0, -np.inf, 1.0]])
    for labels in ([0], [[1.0, 0.0, 0.0]]):
        value, g = ad.value_and_grad(lambda x, labels=labels: ops.cross_entropy(x, labels))(x)
        assert np.isfinite(value)
        assert np.isfinite(g).all() and g[0, 1] == 0


def test_cross_entropy_over_a_batch_of_labels():
    losses = ad.vmap(ops.cross_entropy)(LOGITS, np.array([2, 0]))
    assert np.allclose(losses, ops.cross_entropy(LOGITS, [2, 0], "none").numpy())


@pytest.mark.parametrize(
    "call, error, part",
    [
        (lambda: ops.cross_entropy(LOGITS, [2, 3]), ad.AdjointError, "3 is outside of 0 ... 2"),
        (lambda: ops.cross_entropy(LOGITS, [2, -100]), ad.AdjointError, "-100 is outside"),
        (lambda: ops.cross_entropy(LOGITS, [2]), ValueError, "(2,)"),
        (lambda: ops.cross_entropy(LOGITS, [[0.5, 0.5]]), ValueError, "(2, 3)"),
        (lambda: ops.cross_entropy(1.0, 0), ValueError, "axis of classes"),
        (lambda: ops.cross_entropy(LOGITS, [2, 0], "avg"), ValueError, "'mean', 'sum' or 'none'"),
        (lambda: ops.one_hot([0.5], 2), TypeError, "integer indices"),
        (lambda: ops.sum(LOGITS, 0, dim=1), TypeError, "axis or dim"),
    ],
)
def test_errors(call, error, part):
    with pytest.raises(error) as caught:
        call()
    assert part in str(caught.value)


def test_lists_that_hold_tensors():
    g = ad.grad(lambda x: ops.sum(ops.tensor([x, 2 * x])))(3.0)
    assert g == 3.0


def test_relu_at_zero_and_nan():
    assert ad.grad(ops.relu)(0.0) == 0
    assert np.isnan(float(ops.relu(np.nan)))


def test_stop_gradient_of_an_untracked_tensor():
    assert ops.stop_gradient(ops.arange(2.0)).tolist() == [0, 1]
