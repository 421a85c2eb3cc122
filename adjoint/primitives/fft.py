"""Discrete Fourier transforms. All are linear; lengths `n=` and `s=` are made by cutting or appending zeros first.

Transposes are those of the real inner product: the adjoint of a complex transform is the inverse one with the scale of
its own direction. A real transform leaves out half of the spectrum, so its adjoint counts the other half twice.
"""

import operator

import numpy as np
import numpy.fft

from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.types import Array, typeof
from .kinds import as_array, axis_from_end, cast, implements, linear, no_out
from .reduce import cut

_fft = np.fft
_ADJOINT = {
    "backward": "forward",
    "ortho": "ortho",
    "forward": "backward",
}  # the norm with which the inverse is the adjoint
_COMPLEX: dict = {}
_REAL: dict = {}


def _complex(dtype):
    if dtype not in _COMPLEX:
        _COMPLEX[dtype] = _fft.fft(np.ones(1, dtype)).dtype
    return _COMPLEX[dtype]


def _real(dtype):
    if dtype not in _REAL:
        _REAL[dtype] = _fft.irfft(np.ones(2, dtype)).dtype
    return _REAL[dtype]


def _resized(shape, axis, n):
    shape = list(shape)
    shape[axis] = n
    return tuple(shape)


def _both_halves(n, axis, dtype):
    """How often each entry of half a spectrum stands in the whole of n: 1 at frequency 0 and at n / 2, else 2."""
    c = np.full(n // 2 + 1, 2, dtype)
    c[0] = 1
    if n % 2 == 0:
        c[-1] = 1
    return c.reshape(-1, *(1,) * (-axis - 1))


def _sample(shapes, real=False, **params):
    def sample(rng):
        rows = []
        for shape, own in shapes:
            for norm in ("backward", "ortho", "forward"):
                x = rng.normal(size=shape)
                rows.append(((x if real else x + 1j * rng.normal(size=shape),), {**own, **params, "norm": norm}))
        return rows

    return sample


def _complex_transform(name, f, inverse):
    op = linear(
        name,
        lambda x, axes, norm: f(x, axes=axes, norm=norm),
        lambda g, _x, axes, norm: cast(inverse(g, axes=axes, norm=_ADJOINT[norm]), _x.dtype),
        type=lambda x, axes, norm: Array(x.shape, _complex(x.dtype)),
        batch=lambda size, batched, x, axes, norm: bind(op, x, axes=axes, norm=norm),
        sample=lambda rng: (
            _sample([((4,), {"axes": (-1,)}), ((2, 3), {"axes": (-2, -1)})])(rng)
            + _sample([((3,), {"axes": (-1,)})], real=True)(rng)
        ),
    )
    return op


_fftn = _complex_transform("fftn", _fft.fftn, lambda g, axes, norm: np.fft.ifftn(g, axes=axes, norm=norm))
_ifftn = _complex_transform("ifftn", _fft.ifftn, lambda g, axes, norm: np.fft.fftn(g, axes=axes, norm=norm))


def _rfft_back(g, _x, axis, norm):
    n = _x.shape[axis]
    g = g / _both_halves(n, axis, _x.dtype)
    return np.fft.irfft(g, n, axis, _ADJOINT[norm])


def _irfft_back(g, _x, n, axis, norm):
    return cast(np.fft.rfft(g, n, axis, _ADJOINT[norm]) * _both_halves(n, axis, typeof(g).dtype), _x.dtype)


_rfft: Op = linear(
    "rfft",
    lambda x, axis, norm: _fft.rfft(x, None, axis, norm),
    _rfft_back,
    type=lambda x, axis, norm: Array(_resized(x.shape, axis, x.shape[axis] // 2 + 1), _complex(x.dtype)),
    batch=lambda size, batched, x, axis, norm: bind(_rfft, x, axis=axis, norm=norm),
    sample=_sample([((4,), {"axis": -1}), ((5,), {"axis": -1}), ((3, 2), {"axis": -2})], real=True),
)

_irfft: Op = linear(
    "irfft",
    lambda x, n, axis, norm: _fft.irfft(x, n, axis, norm),
    _irfft_back,
    type=lambda x, n, axis, norm: Array(_resized(x.shape, axis, n), _real(x.dtype)),
    batch=lambda size, batched, x, n, axis, norm: bind(_irfft, x, n=n, axis=axis, norm=norm),
    sample=_sample([((3,), {"axis": -1, "n": 4}), ((3,), {"axis": -1, "n": 5}), ((2, 2), {"axis": -2, "n": 3})]),
)


# What users call


def _norm(norm):
    if norm is None:
        return "backward"
    if norm not in _ADJOINT:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm


def _length(x, n, axis):
    """x with n entries along an axis: cut, or followed by zeros."""
    have = shape_of(x)[axis]
    if n is None or n == -1:
        n = have
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    if n < have:
        return x[cut(axis, None, n)]
    if n > have:
        return np.concatenate([x, np.zeros(_resized(shape_of(x), axis, n - have), typeof(x).dtype)], axis)
    return x


def _axes(x, s, axes):
    """Lengths (None: as it is) and axes of a transform of several axes."""
    ndim = len(shape_of(x))
    if axes is None:
        axes = range(-ndim if s is None else -len(s), 0)
    axes = [axis_from_end(a, ndim) for a in axes]
    s = [None] * len(axes) if s is None else [None if n is None else operator.index(n) for n in s]
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return s, axes


def _many(op, a, s, axes, norm):
    a = as_array(a)
    s, axes = _axes(a, s, axes)
    if len(set(axes)) < len(axes):  # an axis twice: one after the other, the last one first
        for n, axis in list(zip(s, axes, strict=True))[::-1]:
            a = bind(op, _length(a, n, axis), axes=(axis,), norm=_norm(norm))
        return a
    for n, axis in zip(s, axes, strict=True):
        a = _length(a, n, axis)
    return bind(op, a, axes=tuple(axes), norm=_norm(norm)) if axes else a


def _real_input(a):
    a = as_array(a)
    if typeof(a).dtype.kind == "c":
        raise TypeError(f"a real transform takes a real array, not {typeof(a).dtype}; use fft, or .real")
    return a


@implements(_fft.fft)
def fft(a, n=None, axis=-1, norm=None, out=None):
    """The discrete Fourier transform along an axis. As `numpy.fft.fft`."""
    no_out("fft", out)
    return _many(_fftn, a, (n,), (axis,), norm)


@implements(_fft.ifft)
def ifft(a, n=None, axis=-1, norm=None, out=None):
    """The inverse of `fft`. As `numpy.fft.ifft`."""
    no_out("ifft", out)
    return _many(_ifftn, a, (n,), (axis,), norm)


@implements(_fft.fftn)
def fftn(a, s=None, axes=None, norm=None, out=None):
    """The discrete Fourier transform along several axes. As `numpy.fft.fftn`."""
    no_out("fftn", out)
    return _many(_fftn, a, s, axes, norm)


@implements(_fft.ifftn)
def ifftn(a, s=None, axes=None, norm=None, out=None):
    """The inverse of `fftn`. As `numpy.fft.ifftn`."""
    no_out("ifftn", out)
    return _many(_ifftn, a, s, axes, norm)


@implements(_fft.fft2)
def fft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """The discrete Fourier transform along two axes. As `numpy.fft.fft2`."""
    return fftn(a, s, axes, norm, out)


@implements(_fft.ifft2)
def ifft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """The inverse of `fft2`. As `numpy.fft.ifft2`."""
    return ifftn(a, s, axes, norm, out)


@implements(_fft.rfft)
def rfft(a, n=None, axis=-1, norm=None, out=None):
    """The transform of a real array: the frequencies that are not negative. As `numpy.fft.rfft`."""
    no_out("rfft", out)
    a = _real_input(a)
    axis = axis_from_end(axis, len(shape_of(a)))
    return bind(_rfft, _length(a, n, axis), axis=axis, norm=_norm(norm))


@implements(_fft.irfft)
def irfft(a, n=None, axis=-1, norm=None, out=None):
    """The inverse of `rfft`; the result has n entries (by default an even number). As `numpy.fft.irfft`."""
    no_out("irfft", out)
    a = as_array(a)
    axis = axis_from_end(axis, len(shape_of(a)))
    n = 2 * (shape_of(a)[axis] - 1) if n is None or n == -1 else operator.index(n)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return bind(_irfft, _length(a, n // 2 + 1, axis), n=n, axis=axis, norm=_norm(norm))


@implements(_fft.rfftn)
def rfftn(a, s=None, axes=None, norm=None, out=None):
    """`rfft` along the last of the axes, then `fft` along the others. As `numpy.fft.rfftn`."""
    no_out("rfftn", out)
    a = _real_input(a)
    s, axes = _axes(a, s, axes)
    return _many(_fftn, rfft(a, s[-1], axes[-1], norm), s[:-1], axes[:-1], norm)


@implements(_fft.irfftn)
def irfftn(a, s=None, axes=None, norm=None, out=None):
    """The inverse of `rfftn`. As `numpy.fft.irfftn`."""
    no_out("irfftn", out)
    a = as_array(a)
    s, axes = _axes(a, s, axes)
    return irfft(_many(_ifftn, a, s[:-1], axes[:-1], norm), s[-1], axes[-1], norm)


@implements(_fft.rfft2)
def rfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """`rfftn` along two axes. As `numpy.fft.rfft2`."""
    return rfftn(a, s, axes, norm, out)


@implements(_fft.irfft2)
def irfft2(a, s=None, axes=(-2, -1), norm=None, out=None):
    """The inverse of `rfft2`. As `numpy.fft.irfft2`."""
    return irfftn(a, s, axes, norm, out)


@implements(_fft.hfft)
def hfft(a, n=None, axis=-1, norm=None, out=None):
    """The transform of a signal with Hermitian symmetry, of which half is given: real. As `numpy.fft.hfft`."""
    return irfft(np.conjugate(as_array(a)), n, axis, _ADJOINT[_norm(norm)], out)


@implements(_fft.ihfft)
def ihfft(a, n=None, axis=-1, norm=None, out=None):
    """The inverse of `hfft`. As `numpy.fft.ihfft`."""
    return np.conjugate(rfft(a, n, axis, _ADJOINT[_norm(norm)], out))


def _shift(x, axes, sign):
    x = as_array(x)
    shape = shape_of(x)
    axes = range(len(shape)) if axes is None else axes if isinstance(axes, (tuple, list)) else (axes,)
    return np.roll(x, tuple(shape[a] // 2 if sign > 0 else -(shape[a] // 2) for a in axes), tuple(axes))


@implements(_fft.fftshift)
def fftshift(x, axes=None):
    """Frequency 0 moved to the middle. As `numpy.fft.fftshift`."""
    return _shift(x, axes, 1)


@implements(_fft.ifftshift)
def ifftshift(x, axes=None):
    """The inverse of `fftshift`. As `numpy.fft.ifftshift`."""
    return _shift(x, axes, -1)


fftfreq = _fft.fftfreq
rfftfreq = _fft.rfftfreq
