"""scipy.special's names. See adjoint.scipy; the rules are in adjoint.primitives.scipy_special."""

import numpy as np
import scipy.special as _special

from ..core.op import Op, bind, is_plain
from ..core.op import shape as shape_of
from ..core.tensor import FUNCTIONS, UFUNCS
from ..core.types import Array, typeof
from ..primitives import scipy_special as _rules  # noqa: F401  (fills the tables)
from ..primitives.activation import sigmoid
from ..primitives.custom import stop_gradient
from ..primitives.kinds import as_array, axes_from_end, broadcast_like, general, strong_mul
from ..primitives.special import softplus as softplus

for _name in dir(_special):
    _f = getattr(_special, _name)
    if not _name.startswith("_") and callable(_f) and not isinstance(_f, type):
        _ours = FUNCTIONS.get(_f) or UFUNCS.get(_f)
        if _ours is not None:
            globals()[_name] = _ours

gammaln = UFUNCS[_special.gammaln]
expit = sigmoid


def _float(x):
    """x as an array of floats or a tensor."""
    x = as_array(x)
    if is_plain(x):
        x = np.asarray(x)
    return x if typeof(x).dtype.kind in "fc" else x.astype(np.float64)


def _logsumexp_value(a, axis):
    # the largest terms are counted, the others enter through log1p: right where the result is near the largest, or 0
    with np.errstate(all="ignore"):
        if a.dtype.kind == "c":
            top = np.max(a.real, axis=axis, keepdims=True)
            top = np.where(np.isfinite(top), top, 0)
            return np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
        top = np.max(a, axis=axis, keepdims=True)
        largest = a == top
        n = np.sum(largest, axis=axis, keepdims=True).astype(a.dtype)
        rest = np.sum(np.where(largest, 0, np.exp(a - np.where(np.isfinite(top), top, 0))), axis=axis, keepdims=True)
        y = np.log1p(rest / n) + np.log(n) + top
    return np.where(np.isinf(top), top, y).astype(a.dtype, copy=False)


def _weights(y, a):
    # exp(a - y): y exceeds every a, so nothing overflows
    if typeof(a).dtype.kind == "c":
        return np.exp(a - y)
    e = np.exp(a - np.where(np.isinf(y), 0, y))
    return np.where(np.equal(y, np.inf), np.where(np.equal(a, np.inf), typeof(y).dtype.type(1), 0), e)


def _logsumexp_type(a, axis):
    keep = [1 if i - len(a.shape) in axis else n for i, n in enumerate(a.shape)]
    return Array(tuple(keep), a.dtype)


def _logsumexp_jvp(ts, y, a, axis):
    return broadcast_like(np.sum(strong_mul(ts[0], _weights(y, a)), axis=axis, keepdims=True), y)


def _logsumexp_vjp(wants, g, y, a, axis):
    w = _weights(y, a)
    return (strong_mul(g, np.conjugate(w) if typeof(a).dtype.kind == "c" else w),)


def _logsumexp_samples(rng):
    return [((rng.normal(size=s),), {"axis": axis}) for s, axis in (((3,), (-1,)), ((2, 3), (-2,)), ((2, 3), (-2, -1)))]


_logsumexp: Op = general("logsumexp", _logsumexp_value, _logsumexp_jvp, _logsumexp_vjp, type=_logsumexp_type,
                         batch=lambda size, batched, a, axis: bind(_logsumexp, a, axis=axis),
                         sample=_logsumexp_samples)  # fmt: skip


def logsumexp(a, axis=None, b=None, keepdims=False, return_sign=False):
    """log(sum(b * exp(a))) over axes, without overflow; its derivative is the softmax. As `scipy.special.logsumexp`.

    >>> import numpy as np, adjoint as ad
    >>> ad.grad(logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    a = _float(a)
    if b is None and not return_sign:
        axes = axes_from_end(axis, len(shape_of(a)))
        if not axes:
            return a
        y = bind(_logsumexp, a, axis=axes)
        return y if keepdims else np.squeeze(y, axis=axes)[()]
    b = 1.0 if b is None else as_array(b)
    a = np.where(np.equal(b, 0), typeof(a).dtype.type(-np.inf), a)  # a term that counts 0 times
    top = stop_gradient(np.max(np.real(a), axis=axis, keepdims=True))
    top = np.where(np.isfinite(top), top, 0)
    total = np.sum(b * np.exp(a - top), axis=axis, keepdims=True)
    nothing = np.equal(total, 0)
    sign = np.sign(total)
    size = np.abs(total) if return_sign else np.where(np.less(np.real(total), 0), np.nan, total)
    y = np.where(nothing, -np.inf, np.log(np.where(nothing, 1, size)) + top)
    if not keepdims:
        y, sign = np.squeeze(y, axis=axis), np.squeeze(sign, axis=axis)
    return (y, sign) if return_sign else y


def log_softmax(x, axis=None):
    """The logarithm of softmax, accurate where softmax underflows. As `scipy.special.log_softmax`.

    >>> log_softmax([0.0, 1000.0])
    array([-1000.,     0.])
    """
    x = _float(x)
    if not shape_of(x):
        return x - x
    return x - logsumexp(x, axis=axis, keepdims=True)


def softmax(x, axis=None):
    """exp(x) divided by its sum over axes. As `scipy.special.softmax`.

    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    return np.exp(log_softmax(x, axis=axis))


def multigammaln(a, d):
    """The logarithm of the multivariate gamma function of dimension d. As `scipy.special.multigammaln`."""
    if np.ndim(d) != 0 or int(d) != d or d < 1:
        raise ValueError("d should be a positive integer (dimension)")
    d = int(d)
    if np.any(np.less_equal(a, 0.5 * (d - 1))):
        raise ValueError(f"condition a ({a:f}) > 0.5 * (d-1) ({0.5 * (d - 1):f}) not met")
    y = d * (d - 1) * 0.25 * float(np.log(np.pi))
    for j in range(d):
        y = y + _special.gammaln(a - 0.5 * j)
    return y


def __getattr__(name):
    return getattr(_special, name)


def __dir__():
    return sorted({*globals(), *dir(_special)})
