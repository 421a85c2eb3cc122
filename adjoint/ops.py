"""The chapter's namespace, `import adjoint.ops as ops`: functions of tensors under the names deep learning books use.

What NumPy makes float64 starts as float32 here: Python floats, nested lists, `arange(4.0)`, `randn`. Integers stay
integers, and an array or tensor that is passed in keeps its dtype. Results are tensors. A reduction takes its axis as
`axis` or as `dim`, and `keepdims` or `keepdim`.
"""

import numpy as np

from .core.errors import DTypeError, MissingRuleError, ShapeError
from .core.errors import where as _at
from .core.op import is_plain
from .core.op import shape as _shape
from .core.tensor import FUNCTIONS, UFUNCS, concrete, is_tensor, untracked
from .core.types import typeof
from .primitives.activation import sigmoid as _sigmoid
from .primitives.custom import stop_gradient as _stop
from .primitives.kinds import strong_mul
from .primitives.special import relu as _relu
from .primitives.special import softplus as _softplus

_SINGLE = {np.dtype(np.float64): np.dtype(np.float32), np.dtype(np.complex128): np.dtype(np.complex64)}


def _known(x):
    """The plain value of a size, bound or axis, which may be a tensor."""
    if type(x) in (tuple, list):
        return type(x)(_known(e) for e in x)
    return concrete(x, "a size or bound") if is_tensor(x) else x


def _single(array, dtype=None):
    """A new array as a tensor, in the asked dtype; else in single precision."""
    array = np.asarray(array)
    return untracked(array.astype(_SINGLE.get(array.dtype, array.dtype) if dtype is None else dtype, copy=False))


def _as(x):
    """x as a tensor: tensors and arrays keep their dtype, Python floats and lists become float32."""
    if is_tensor(x):
        return x
    if isinstance(x, (np.ndarray, np.generic)):
        return untracked(x)
    if type(x) in (list, tuple) and not all(is_plain(e) for e in _leaves(x)):
        return FUNCTIONS[np.array](x)
    return _single(x)


def _leaves(x):
    for e in x:
        if type(e) in (list, tuple):
            yield from _leaves(e)
        else:
            yield e


def _pair(a, b):
    """Two operands as tensors; a Python scalar beside a tensor or array stays one, and so does not set the dtype."""
    weak_a, weak_b = type(a) in (bool, int, float), type(b) in (bool, int, float)
    return (a if weak_a and not weak_b else _as(a)), (b if weak_b and not weak_a else _as(b))


def _one(axis, dim):
    if axis is not None and dim is not None:
        raise TypeError("give axis or dim, not both: they mean the same")
    return _known(dim if axis is None else axis)


# Making tensors


def tensor(data, dtype=None):
    """A tensor holding a copy of the data: Python floats give float32, a NumPy array keeps its dtype.

    >>> from adjoint import ops
    >>> ops.tensor([1.0, 2.0])
    Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00,  2.00000000e+00])
    """
    x = _as(data)
    return np.astype(x, dtype or typeof(x).dtype)


def arange(start=0, end=None, step=1, *, dtype=None):
    """Numbers from start (0 if one bound is given) up to, and without, end. Float bounds give float32.

    >>> from adjoint import ops
    >>> ops.arange(4.0)
    Tensor(shape=[4], dtype=Float32, value= [ 0.00000000e+00,  1.00000000e+00,  2.00000000e+00,  3.00000000e+00])
    """
    if end is None:
        start, end = type(start)(0) if isinstance(start, (int, float)) else 0, start
    return _single(np.arange(_known(start), _known(end), _known(step)), dtype)


def linspace(start, end, steps, *, dtype=None):
    """`steps` equidistant numbers from start to end, both included; float32."""
    return _single(np.linspace(_known(start), _known(end), _known(steps)), dtype)


def zeros(*size, dtype=np.float32):
    """Zeros: zeros(2, 3) or zeros((2, 3))."""
    return untracked(np.zeros(_size(size), dtype))


def ones(*size, dtype=np.float32):
    """Ones: ones(2, 3) or ones((2, 3))."""
    return untracked(np.ones(_size(size), dtype))


def full(size, fill_value, *, dtype=None):
    """A tensor of this size, filled with one value; a float gives float32."""
    return _single(np.full(_known(size), _known(fill_value)), dtype)


def eye(n, m=None, dtype=np.float32):
    """The identity matrix, n by n or n by m."""
    return untracked(np.eye(_known(n), _known(m), dtype=dtype))


def zeros_like(x, *, dtype=None):
    """Zeros in the shape and dtype of x."""
    return untracked(np.zeros(_shape(x), dtype or typeof(_as(x)).dtype))


def ones_like(x, *, dtype=None):
    """Ones in the shape and dtype of x."""
    return untracked(np.ones(_shape(x), dtype or typeof(_as(x)).dtype))


def full_like(x, fill_value, *, dtype=None):
    """One value in the shape and dtype of x."""
    return untracked(np.full(_shape(x), _known(fill_value), dtype or typeof(_as(x)).dtype))


def _size(size):
    return _known(size[0]) if len(size) == 1 else _known(size)


# Random tensors, from one generator


_generator: list = []  # made at the first draw: importing numpy.random takes time


def _random():
    if not _generator:
        manual_seed(None)
    return _generator[0]


def manual_seed(seed):
    """Start the generator behind randn, rand and randint anew: the same seed, the same numbers.

    >>> from adjoint import ops
    >>> ops.manual_seed(1); a = ops.randn(3)
    >>> ops.manual_seed(1); bool((a == ops.randn(3)).all())
    True
    """
    _generator[:] = [np.random.default_rng(seed)]


def randn(*size, dtype=np.float32):
    """Standard normal numbers: randn(2, 3) or randn((2, 3)); randn(()) is one number."""
    return untracked(np.asarray(_random().standard_normal(_size(size)), dtype))


def rand(*size, dtype=np.float32):
    """Numbers equally likely in [0, 1): rand(2, 3) or rand((2, 3))."""
    kind = np.float32 if dtype == np.float32 else np.float64
    return untracked(np.asarray(_random().random(_size(size), kind), dtype))


def randint(low, high, size, *, dtype=np.int64):
    """Integers equally likely in [low, high)."""
    return untracked(np.asarray(_random().integers(_known(low), _known(high), _known(size)), dtype))


# Elementwise


def _unary(f):
    entry = UFUNCS.get(f, f)

    def op(x):
        return entry(_as(x))

    return _named(op, f)


def _binary(f):
    entry = UFUNCS.get(f, f)

    def op(x, y):
        return entry(*_pair(x, y))

    return _named(op, f)


def _named(op, f):
    op.__name__ = op.__qualname__ = f.__name__
    op.__doc__ = f"As `numpy.{f.__name__}`, elementwise, on tensors."
    return op


exp = _unary(np.exp)
expm1 = _unary(np.expm1)
log = _unary(np.log)
log2 = _unary(np.log2)
log1p = _unary(np.log1p)
sqrt = _unary(np.sqrt)
square = _unary(np.square)
reciprocal = _unary(np.reciprocal)
sin = _unary(np.sin)
cos = _unary(np.cos)
tan = _unary(np.tan)
asin = _unary(np.arcsin)
acos = _unary(np.arccos)
atan = _unary(np.arctan)
sinh = _unary(np.sinh)
cosh = _unary(np.cosh)
tanh = _unary(np.tanh)
abs = _unary(np.absolute)
sign = _unary(np.sign)
floor = _unary(np.floor)
ceil = _unary(np.ceil)
neg = _unary(np.negative)
isnan = _unary(np.isnan)
isfinite = _unary(np.isfinite)
logical_not = _unary(np.logical_not)

add = _binary(np.add)
sub = _binary(np.subtract)
mul = _binary(np.multiply)
div = _binary(np.divide)
pow = _binary(np.power)
maximum = _binary(np.maximum)
minimum = _binary(np.minimum)
atan2 = _binary(np.arctan2)
equal = _binary(np.equal)
not_equal = _binary(np.not_equal)
less = _binary(np.less)
less_equal = _binary(np.less_equal)
greater = _binary(np.greater)
greater_equal = _binary(np.greater_equal)
logical_and = _binary(np.logical_and)
logical_or = _binary(np.logical_or)


def clamp(x, min=None, max=None):
    """x limited to [min, max]; the derivative passes inside and at the bounds."""
    return np.clip(_as(x), min, max)


def where(condition, x, y):
    """x where the condition holds, else y. What is not chosen contributes nothing to the derivative."""
    return np.where(_as(condition), *_pair(x, y))


select = where


def stop_gradient(x):
    """The same values as a constant: no derivative flows through.

    >>> import adjoint
    >>> from adjoint import ops
    >>> adjoint.grad(lambda x: ops.stop_gradient(x * x) * x)(3.0)
    9.0
    """
    return _stop(x)


# Sums and products


def sum(x, axis=None, keepdims=False, *, dim=None, keepdim=False, dtype=None):
    """The sum over one axis, several, or all."""
    return np.sum(_as(x), axis=_one(axis, dim), keepdims=keepdims or keepdim, dtype=dtype)


def mean(x, axis=None, keepdims=False, *, dim=None, keepdim=False):
    """The mean over one axis, several, or all."""
    return np.mean(_as(x), axis=_one(axis, dim), keepdims=keepdims or keepdim)


def prod(x, axis=None, keepdims=False, *, dim=None, keepdim=False):
    """The product over one axis, several, or all."""
    return np.prod(_as(x), axis=_one(axis, dim), keepdims=keepdims or keepdim)


def var(x, axis=None, ddof=0, keepdims=False, *, dim=None, keepdim=False):
    """The variance: the mean squared distance from the mean, with n - ddof below."""
    return np.var(_as(x), axis=_one(axis, dim), ddof=ddof, keepdims=keepdims or keepdim)


def std(x, axis=None, ddof=0, keepdims=False, *, dim=None, keepdim=False):
    """The standard deviation: the square root of `var`; its derivative at 0 is 0."""
    return np.std(_as(x), axis=_one(axis, dim), ddof=ddof, keepdims=keepdims or keepdim)


def amax(x, axis=None, keepdims=False, *, dim=None, keepdim=False):
    """The largest entry; where several are, they share the derivative."""
    return np.max(_as(x), axis=_one(axis, dim), keepdims=keepdims or keepdim)


def amin(x, axis=None, keepdims=False, *, dim=None, keepdim=False):
    """The smallest entry; where several are, they share the derivative."""
    return np.min(_as(x), axis=_one(axis, dim), keepdims=keepdims or keepdim)


def argmax(x, axis=None, keepdims=False, *, dim=None, keepdim=False):
    """Where the largest entry is: an int64 tensor, without derivative."""
    return np.argmax(_as(x), axis=_one(axis, dim), keepdims=keepdims or keepdim)


def argmin(x, axis=None, keepdims=False, *, dim=None, keepdim=False):
    """Where the smallest entry is: an int64 tensor, without derivative."""
    return np.argmin(_as(x), axis=_one(axis, dim), keepdims=keepdims or keepdim)


def cumsum(x, axis=None, *, dim=None):
    """Running sums along an axis."""
    return np.cumsum(_as(x), axis=_one(axis, dim))


def norm(x, ord=None, dim=None, keepdim=False, *, axis=None):
    """The norm of all entries of x, of each vector along `dim` (an int), or of each matrix (`dim` a pair).

    As `numpy.linalg.norm`; the norm of a number is its absolute value, with dim=0 too. The derivative at zero is 0.

    >>> from adjoint import ops
    >>> ops.norm(ops.tensor([3.0, 4.0])), ops.norm(-2.0, dim=0)
    (Tensor(shape=[], dtype=Float32, value= 5), Tensor(shape=[], dtype=Float32, value= 2))
    """
    x = _as(x)
    dim = _one(axis, dim)
    if _shape(x) == () and dim in (None, 0, -1) and not isinstance(ord, str):
        return np.absolute(x) if ord != 0 else np.astype(x != 0, typeof(np.absolute(x)).dtype)
    return np.linalg.norm(x, ord=ord, axis=dim, keepdims=keepdim)


def dot(x, y):
    """The dot product of two vectors; of matrices, their product. As `numpy.dot`."""
    return np.dot(_as(x), _as(y))


def matmul(x, y):
    """The matrix product, over the last two axes. As `x @ y`."""
    return np.matmul(_as(x), _as(y))


def einsum(equation, *operands):
    """Products and sums of products in index notation. As `numpy.einsum`."""
    return np.einsum(equation, *map(_as, operands))


# Shapes


def reshape(x, shape):
    """The same entries in another shape; one length may be -1."""
    return np.reshape(_as(x), _known(shape))


def transpose(x, axes=None):
    """x with its axes in another order; reversed where none is given."""
    return np.transpose(_as(x), _known(axes))


def expand_dims(x, axis):
    """x with a new axis of length 1."""
    return np.expand_dims(_as(x), _known(axis))


def squeeze(x, axis=None):
    """x without its axes of length 1, or without these."""
    return np.squeeze(_as(x), _known(axis))


def broadcast_to(x, shape):
    """x repeated to fill a larger shape."""
    return np.broadcast_to(_as(x), _known(shape))


def concat(tensors, axis=0):
    """Tensors joined along an axis they have."""
    return np.concatenate([_as(x) for x in tensors], axis=_known(axis))


cat = concat


def stack(tensors, axis=0):
    """Tensors joined along a new axis."""
    return np.stack([_as(x) for x in tensors], axis=_known(axis))


# What neural networks use


def relu(x):
    """x where it is positive, else 0; the derivative at 0 is 0.

    >>> import numpy as np, adjoint
    >>> from adjoint import ops
    >>> adjoint.grad(lambda x: ops.relu(x).sum())(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """
    return _relu(_as(x))


def sigmoid(x):
    """1 / (1 + exp(-x)), accurate in both tails, and so is its derivative."""
    return _sigmoid(_as(x))


def softplus(x):
    """log(1 + exp(x)), a smooth relu, without overflow."""
    return _softplus(_as(x))


def softmax(x, axis=-1):
    """exp(x) divided by its sum along an axis: positive numbers that add up to 1."""
    e = np.exp(_shifted(_as(x), axis))
    return e / np.sum(e, axis=axis, keepdims=True)


def log_softmax(x, axis=-1):
    """The logarithm of softmax, without its underflow."""
    z = _shifted(_as(x), axis)
    return z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))


def logsumexp(x, axis=-1, keepdims=False):
    """log(sum(exp(x))) along an axis, without overflow."""
    x = _as(x)
    top = _top(x, axis)
    y = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return y if keepdims else np.squeeze(y, axis)


def _shifted(x, axis):
    # softmax is the same for x - c, whatever c: the largest exponent becomes 0, and c needs no derivative
    return x - _top(x, axis)


def _top(x, axis):
    top = np.max(_stop(x), axis=axis, keepdims=True)
    return np.where(np.isfinite(top), top, 0)


def one_hot(indices, depth, on_value=1.0, off_value=0.0, axis=-1):
    """`on_value` at each index along a new axis of length `depth`, `off_value` elsewhere.

    An index outside of 0 ... depth - 1 gives `off_value` everywhere.

    >>> from adjoint import ops
    >>> print(ops.one_hot([2, 0], 3))
    [[0. 0. 1.]
     [1. 0. 0.]]
    """
    indices = _as(indices)
    if typeof(indices).dtype.kind not in "iu":
        raise DTypeError(f"one_hot takes integer indices, not {typeof(indices).dtype}{_at()}")
    depth = _known(depth)
    rank = len(_shape(indices)) + 1
    axis = axis % rank
    steps = np.arange(depth).reshape((depth,) + (1,) * (rank - 1 - axis))
    return np.where(np.equal(np.expand_dims(indices, axis), steps), _as(on_value), _as(off_value))


def cross_entropy(logits, labels, reduction="mean"):
    """The cross entropy of softmax(logits) against labels: a scalar, or one loss a sample with reduction="none".

    logits: (C,), (N, C) or (N, C, ...), one unnormalised score a class. labels: class indices, in the shape of logits
    without C, or probabilities in the shape of logits. reduction: "mean", "sum" or "none".

    >>> from adjoint import ops
    >>> ops.cross_entropy([[0.0, 0.0]], [1])
    Tensor(shape=[], dtype=Float32, value= 0.69314718)
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"the reduction of cross_entropy is 'mean', 'sum' or 'none', not {reduction!r}")
    logits, labels = _as(logits), _as(labels)
    shape, axis = _shape(logits), min(len(_shape(logits)) - 1, 1)
    if axis < 0:
        raise ShapeError(f"cross_entropy needs logits with an axis of classes, not a scalar{_at()}")
    scores, have = log_softmax(logits, axis), _shape(labels)
    if typeof(labels).dtype.kind in "iu":
        want = shape[:axis] + shape[axis + 1 :]
        if have != want:
            raise ShapeError(f"cross_entropy: class indices have shape {want} for logits of {shape}, not {have}{_at()}")
        _check_classes(labels, shape[axis])
        # the sum selects one entry: the others may be -inf
        chosen = one_hot(labels, shape[axis], True, False, axis)
        losses = -np.sum(np.where(chosen, scores, 0), axis=axis)
    else:
        if have != shape:
            raise ShapeError(f"cross_entropy: probabilities have the shape of the logits, {shape}, not {have}{_at()}")
        losses = -np.sum(strong_mul(labels, scores), axis=axis)
    return losses if reduction == "none" else np.sum(losses) if reduction == "sum" else np.mean(losses)


def _check_classes(labels, n):
    if labels.trace is None and labels.size:
        low, high = int(np.min(labels.value)), int(np.max(labels.value))
        if low < 0 or high >= n:
            raise MissingRuleError(
                f"cross_entropy: the class index {low if low < 0 else high} is outside of 0 ... {n - 1}{_at()}; "
                "to leave samples out, select them before, or use reduction='none' and a mask"
            )
