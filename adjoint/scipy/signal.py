"""scipy.signal's names. See adjoint.scipy: convolutions of any number of axes, and recursive filters."""

import numpy as np
import scipy.signal as _signal

from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.types import Array, typeof
from ..numpy.names import stand_before
from ..primitives.kinds import as_array, axes_from_end, broadcast_like, conj, general, unbroadcast


def _kept(n, m, mode):
    """Which part of a full convolution of n and m entries SciPy's mode keeps: "same" is the middle, as long as n."""
    if mode == "full":
        return 0, n + m - 1
    if mode == "same":
        return (m - 1) // 2, (m - 1) // 2 + n
    if mode == "valid":
        return min(n, m) - 1, max(n, m)
    raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")


def convolve(in1, in2, mode="full", method="auto"):
    """The convolution of two arrays with the same number of axes. As `scipy.signal.convolve`.

    >>> convolve([1.0, 2.0, 3.0], [0.0, 1.0, 0.5], mode="same")
    array([1. , 2.5, 4. ])
    """
    a, v = as_array(in1), as_array(in2)
    if len(shape_of(a)) != len(shape_of(v)):
        raise ValueError("in1 and in2 should have the same dimensionality")
    if not shape_of(a):
        return a * v
    if len(shape_of(a)) == 1 and method != "fft" and shape_of(a)[0] and shape_of(v)[0]:
        start, stop = _kept(shape_of(a)[0], shape_of(v)[0], mode)
        if mode == "valid":
            return np.convolve(a, v, "valid")
        return np.convolve(a, v)[start:stop]
    return fftconvolve(a, v, mode)


def correlate(in1, in2, mode="full", method="auto"):
    """The cross-correlation sum_k in1_(k+n) conj(in2_k). As `scipy.signal.correlate`."""
    a, v = as_array(in1), as_array(in2)
    if mode == "valid" and all(n < m for n, m in zip(shape_of(a), shape_of(v))):
        return np.flip(conj(correlate(v, a, mode, method)))
    return convolve(a, conj(np.flip(v)), mode, method)


def fftconvolve(in1, in2, mode="full", axes=None):
    """The convolution of two arrays by fast Fourier transforms over axes. As `scipy.signal.fftconvolve`.

    >>> fftconvolve(np.ones((2, 2)), np.ones((2, 2)), mode="valid").round(12).tolist()
    [[4.0]]
    """
    a, v = as_array(in1), as_array(in2)
    sa, sv = shape_of(a), shape_of(v)
    if len(sa) != len(sv):
        raise ValueError("in1 and in2 should have the same dimensionality")
    if not sa:
        return a * v
    axes = axes_from_end(axes, len(sa))
    if mode == "valid" and not (all(sa[i] >= sv[i] for i in axes) or all(sv[i] >= sa[i] for i in axes)):
        raise ValueError("for 'valid' mode, one must be at least as large as the other in every dimension")
    kind = np.result_type(typeof(a).dtype, typeof(v).dtype)
    full = [sa[i] + sv[i] - 1 for i in axes]
    if kind.kind == "c":
        y = np.fft.ifftn(np.fft.fftn(a, full, axes) * np.fft.fftn(v, full, axes), full, axes)
    else:
        y = np.fft.irfftn(np.fft.rfftn(a, full, axes) * np.fft.rfftn(v, full, axes), full, axes)
    at = [slice(None)] * len(sa)
    for i in axes:
        at[i] = slice(*_kept(sa[i], sv[i], mode))
    y = y[tuple(at)]
    return y.astype(kind) if kind.kind in "fc" and typeof(y).dtype != kind else y


# Recursive filters: y_n = u_n - sum_k a_k y_(n-k), k = 1 .. K, along the last axis. `a` holds a_1 .. a_K.


def _recur_value(a, u):
    return _signal.lfilter(np.ones(1, a.dtype), np.concatenate([np.ones(1, a.dtype), a]), u, axis=-1)


def _delayed(y, k):
    """y, k steps later, from zeros."""
    n = shape_of(y)[-1]
    zeros = np.zeros((*shape_of(y)[:-1], min(k, n)), typeof(y).dtype)
    return np.concatenate([zeros, y[..., : max(n - k, 0)]], -1) if k else y


def _recur_jvp(ts, y, a, _u):
    t = ts[1]
    if ts[0] is not None:
        for k in range(shape_of(a)[0]):
            part = ts[0][k] * _delayed(y, k + 1)
            t = -part if t is None else t - part
    return broadcast_like(bind(_recur, a, t), y)


def _recur_vjp(wants, g, y, a, _u):
    w = np.flip(bind(_recur, conj(a), np.flip(g, -1)), -1)
    ga = None
    if wants[0]:
        ga = unbroadcast(np.stack([-np.sum(w * conj(_delayed(y, k + 1))) for k in range(shape_of(a)[0])]), a)
    return ga, unbroadcast(w, _u) if wants[1] else None


def _recur_batch(size, batched, a, u):
    if not batched[0]:
        return bind(_recur, a, u)
    return np.stack([bind(_recur, a[i], u[i] if batched[1] else u) for i in range(size)])


def _recur_samples(rng):
    return [((0.5 * rng.normal(size=k), rng.normal(size=s)), {}) for k, s in ((1, (4,)), (2, (5,)), (2, (2, 4)))]


_recur: Op = general("recursive_filter", _recur_value, _recur_jvp, _recur_vjp, batch=_recur_batch,
                     type=lambda a, u: Array(u.shape, np.result_type(a.dtype, u.dtype)),
                     sample=_recur_samples)  # fmt: skip


def lfilter(b, a, x, axis=-1, zi=None):
    """x filtered along an axis by the rational transfer function b / a. As `scipy.signal.lfilter`.

    Differentiable in b, a, x and zi.

    >>> lfilter([1.0], [1.0, -0.5], [1.0, 0.0, 0.0])
    array([1.  , 0.5 , 0.25])
    """
    b, a, x = (np.atleast_1d(as_array(v)) for v in (b, a, x))
    b, a = b / a[0], a / a[0]
    x = np.moveaxis(x, axis, -1)
    if typeof(x).dtype.kind not in "fc":
        x = x.astype(np.float64)
    n, order = shape_of(x)[-1], max(shape_of(a)[0], shape_of(b)[0]) - 1
    u = b[0] * x
    for k in range(1, shape_of(b)[0]):
        u = u + b[k] * _delayed(x, k)
    if zi is not None:  # what the delays hold is added to the first inputs
        zi = np.moveaxis(as_array(zi), axis, -1)
        if shape_of(zi)[-1] != order:
            raise ValueError(f"zi must have {order} entries along the axis, not {shape_of(zi)[-1]}")
        if n < order:
            raise ValueError(f"with zi, x must have at least {order} entries along the axis")
        u = u + np.concatenate([zi, np.zeros((*shape_of(zi)[:-1], n - order), typeof(zi).dtype)], -1)
    y = bind(_recur, a[1:], u) if shape_of(a)[0] > 1 else u
    if zi is None:
        return np.moveaxis(y, -1, axis)
    # the delays afterwards, in direct form II transposed: z_j = sum_(k > j) b_k x_(n - 1 - (k - 1 - j)) - a_k y_(...)
    left = []
    for j in range(order):
        z = 0.0
        for k in range(j + 1, order + 1):
            at = n - (k - j)
            if k < shape_of(b)[0]:
                z = z + b[k] * x[..., at]
            if k < shape_of(a)[0]:
                z = z - a[k] * y[..., at]
        left.append(z)
    left = np.stack(left, -1) if left else np.zeros((*shape_of(x)[:-1], 0))
    return np.moveaxis(y, -1, axis), np.moveaxis(left, -1, axis)


stand_before(globals(), _signal)


def __getattr__(name):
    return getattr(_signal, name)
