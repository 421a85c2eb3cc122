"""Arithmetic: + - * / ** %, maximum and minimum, abs, where, clip, and the parts of complex numbers."""

import operator

import numpy as np

from ..core.errors import DTypeError
from ..core.errors import where as at
from ..core.op import bind
from ..core.tensor import Flat, Tensor, concrete, is_tensor, update
from ..core.types import typeof
from .kinds import (
    as_array,
    conj,
    elementwise,
    general,
    implements,
    linear,
    look,
    no_out,
    regular,
    select,
    strong_mul,
    weakly,
    zero_of,
)  # fmt: skip

add = elementwise("add", operator.add, 1, 1, ufunc=np.add, wrap_scalars=True)
subtract = elementwise("subtract", operator.sub, 1, -1, ufunc=np.subtract, wrap_scalars=True)
multiply = elementwise("multiply", operator.mul, lambda _y, _a, b: b, lambda _y, a, _b: a, ufunc=np.multiply, wrap_scalars=True,
                       pulls=(lambda g, node: g * node[5], lambda g, node: g * node[4]))  # fmt: skip
divide = elementwise("divide", operator.truediv, lambda _y, _a, b: 1 / b, lambda y, _a, b: -y / b, ufunc=np.divide, wrap_scalars=True,
                     domain=((-2, 2), (0.5, 2)), pulls=(lambda g, node: g / node[5], lambda g, node: -g * node[3] / node[5]))  # fmt: skip
negative = elementwise("negative", operator.neg, -1, ufunc=np.negative)
positive = elementwise("positive", operator.pos, 1, ufunc=np.positive)


def _power(a, b):
    y = a**b
    if type(y) is complex and type(a) is not complex and type(b) is not complex:
        raise DTypeError(
            f"{a} ** {b} of Python floats is complex{at()}; take the power of abs(x), or of a complex number"
        )
    return y


def _power_by_base(_y, a, b):
    # b a^(b-1), and exactly 0 for b = 0 (also at a = 0)
    if type(b) is int or type(b) is float:
        if b < 1:  # Python refuses 0.0 ** -0.5; NumPy's is inf
            return a * 0.0 if b == 0 else b * np.add(zero_of(a), a) ** (b - 1)
        return 2 * a if b == 2 else b * a ** (b - 1)
    # the mixed second derivative at b = 0 is 1 / a, so only 0^-1 is replaced
    return strong_mul(b, np.power(a, np.where(np.equal(b, 0) & np.equal(a, 0), 1.0, b - 1)))


def _power_by_exponent(y, a, b):
    # y log a; at a = 0 that is 0 for b > 0 (where y is 0), -inf else
    zero = np.equal(a, 0)
    a = np.where(zero, 1.0, a) if type(a) is not float else 1.0 if zero else a
    return np.where(zero, np.where(np.greater(b, 0), y, -np.inf), y * weakly(np.log, a))


def _power_back_base(g, node):
    y, a, b = node[3:6]
    if type(y) is np.ndarray and type(b) is np.ndarray and regular(y) and regular(a):
        return g * (y * b / a)  # no second power, where y was kept for the exponent's sake
    return g * _power_by_base(y, a, b)


def _power_back_exponent(g, node):
    y, a, b = node[3:6]
    return g * (y * np.log(a)) if regular(a) else g * _power_by_exponent(y, a, b)


power = elementwise("power", _power, _power_by_base, _power_by_exponent, ufunc=np.power, domain=((0.5, 2), (-2, 2)),
                    pulls=(_power_back_base, _power_back_exponent))  # fmt: skip


def _tie(g, a, b):
    # ties share equally; the choice selects g, so that an infinite g does not become 0 * inf
    r = select(a > b, g)
    equal = a == b
    if type(equal) is np.ndarray and not equal.any():
        return r
    return np.where(equal, g * 0.5, r)


maximum = elementwise("maximum", np.maximum, lambda g, _y, a, b: _tie(g, a, b), lambda g, _y, a, b: _tie(g, b, a))
minimum = elementwise("minimum", np.minimum, lambda g, _y, a, b: _tie(g, b, a), lambda g, _y, a, b: _tie(g, a, b))
fmax = elementwise("fmax", np.fmax, lambda g, _y, a, b: np.where(np.isnan(b), g, _tie(g, a, b)),
                   lambda g, _y, a, b: np.where(np.isnan(a), g, _tie(g, b, a)))  # fmt: skip
fmin = elementwise("fmin", np.fmin, lambda g, _y, a, b: np.where(np.isnan(b), g, _tie(g, b, a)),
                   lambda g, _y, a, b: np.where(np.isnan(a), g, _tie(g, a, b)))  # fmt: skip
remainder = elementwise("remainder", operator.mod, 1, lambda _y, a, b: -np.floor_divide(a, b), ufunc=np.remainder,
                        domain=((-2, 2), (2.5, 3)))  # fmt: skip
fmod = elementwise("fmod", np.fmod, 1, lambda _y, a, b: -np.trunc(a / b), domain=((-2, 2), (2.5, 3)))

# |x| is flat at 0. The plain way back of the real case multiplies by the sign.
_abs_real = elementwise("absolute", operator.abs, lambda g, _y, x: np.where(x > 0, g, np.where(x < 0, -g, 0)), ufunc=np.absolute,
                        pulls=(lambda g, y, x: g * np.sign(x), None))  # fmt: skip


def _complex_normal(rng):
    return [((rng.normal(size=3) + 1j * rng.normal(size=3),), {})]


def _unit(z):
    # z / |z|, and 0 at 0
    r = np.absolute(z)
    return z / np.where(r == 0, 1.0, r)


_abs_complex = general(
    "absolute_complex",
    np.absolute,
    jvp=lambda ts, y, z: np.real(np.conjugate(_unit(z)) * ts[0]),
    vjp=lambda wants, g, _y, z: (g * _unit(z),),
    batch=lambda size, batched, z: bind(_abs_complex, z),
    sample=_complex_normal,
)

# Parts of complex numbers. Cotangents point uphill: that of z is dL/dx + i dL/dy.
_real = linear(
    "real", np.real, lambda g, _z: g + 0j, batch=lambda size, batched, z: bind(_real, z), sample=_complex_normal
)
_imag = linear(
    "imag", np.imag, lambda g, _z: g * 1j, batch=lambda size, batched, z: bind(_imag, z), sample=_complex_normal
)
_conjugate = linear("conjugate", np.conjugate, lambda g, _z: np.conjugate(g), batch=lambda size, batched, z: bind(_conjugate, z),
                    sample=_complex_normal)  # fmt: skip
_angle = general(
    "angle",
    np.angle,
    jvp=lambda ts, y, z: np.imag(np.conjugate(z) * ts[0]) / np.real(z * np.conjugate(z)),
    vjp=lambda wants, g, _y, z: (g * 1j * z / np.real(z * np.conjugate(z)),),
    batch=lambda size, batched, z: bind(_angle, z),
    sample=_complex_normal,
)


def is_complex(x):
    return typeof(x).dtype.kind == "c"


@implements(np.absolute)
def absolute(x, /):
    """|x|, elementwise; the derivative at 0 is 0. As `numpy.absolute`."""
    if type(x) is Flat or not is_complex(x):
        return _abs_real(x)
    return bind(_abs_complex, x)


absolute.op = _abs_real.op
fabs = elementwise("fabs", np.fabs, lambda g, _y, x: np.where(x > 0, g, np.where(x < 0, -g, 0)))


@implements(np.real)
def real(val):
    """The real part; a real array is returned as it is. As `numpy.real`."""
    val = as_array(val)
    return look(_real, val) if is_complex(val) else val


@implements(np.imag)
def imag(val):
    """The imaginary part. As `numpy.imag`."""
    val = as_array(val)
    return look(_imag, val) if is_complex(val) else val * 0


@implements(np.conjugate)
def conjugate(x, /):
    """The complex conjugate; of a real array a copy. As `numpy.conjugate`."""
    return bind(_conjugate, x) if is_complex(x) else np.copy(x) if is_tensor(x) else x


@implements(np.angle)
def angle(z, deg=False):
    """The argument of a complex number. As `numpy.angle`."""
    z = as_array(z)
    y = bind(_angle, z) if is_complex(z) else np.where(z < 0, np.pi, 0.0)
    return y * (180 / np.pi) if deg else y


# Choosing. What was not chosen contributes exactly nothing.

_where = elementwise(
    "where",
    np.where,
    None,
    lambda g, _y, c, _a, _b: select(c, g),
    lambda g, _y, c, _a, _b: select(np.logical_not(c), g),
    sample=lambda rng: [
        ((rng.normal(size=3) > 0, rng.normal(size=3), rng.normal(size=3)), {}),
        ((rng.normal(size=(2, 1)) > 0, rng.normal(size=3), rng.normal()), {}),
    ],
)


@implements(np.where)
def where(condition, x=None, y=None, /):
    """x where the condition holds, else y; the derivative selects likewise. As `numpy.where`."""
    if x is None and y is None:
        return np.nonzero(condition)
    if x is None or y is None:
        raise ValueError("either both or neither of x and y should be given")
    return _where(as_array(condition), as_array(x), as_array(y))


_clip = elementwise(
    "clip",
    np.clip,
    lambda g, _y, x, lo, hi: select((x >= lo) & (x <= hi), g),
    lambda g, _y, x, lo, hi: select((x < lo) & (lo <= hi), g),
    lambda g, _y, x, lo, hi: select((x > hi) | (lo > hi), g),
    domain=((-2, 2), (-1, -0.5), (0.5, 1)),
)


@implements(np.clip)
def clip(a, min=None, max=None, out=None, *, a_min=None, a_max=None):
    """a limited to [min, max]; the derivative passes inside and at the bounds. As `numpy.clip`."""
    no_out("clip", out)
    lo = a_min if min is None else min
    hi = a_max if max is None else max
    a = as_array(a)
    kind = typeof(a).dtype.kind
    if lo is None and hi is None:
        return positive(a)
    if kind not in "f" and (lo is None or hi is None):
        return maximum(a, lo) if hi is None else minimum(a, hi)
    return _clip(a, -np.inf if lo is None else as_array(lo), np.inf if hi is None else as_array(hi))


@implements(np.real_if_close)
def real_if_close(a, tol=100):
    """A complex array whose imaginary parts are all rounding, as a real one. As `numpy.real_if_close`."""
    a = as_array(a)
    if is_complex(a) and not np.iscomplexobj(np.real_if_close(concrete(a, "real_if_close"), tol)):
        return real(a)
    return a


@implements(np.nan_to_num)
def nan_to_num(x, copy=True, nan=0.0, posinf=None, neginf=None):
    """x with NaN and infinities replaced; replaced entries have derivative 0. As `numpy.nan_to_num`."""
    x = as_array(x)
    if not copy:
        if not is_tensor(x):
            return np.nan_to_num(x, False, nan, posinf, neginf)
        x[...] = nan_to_num(x, True, nan, posinf, neginf)
        return x
    dtype = typeof(x).dtype
    if dtype.kind == "c":
        re, im = (nan_to_num(part, True, nan, posinf, neginf) for part in (np.real(x), np.imag(x)))
        return re + 1j * im
    if dtype.kind != "f":
        return np.copy(x)
    info = np.finfo(dtype)
    y = where(np.isnan(x), nan, x)  # each by what x was: nan=inf stays infinite
    y = where(np.equal(x, np.inf), info.max if posinf is None else posinf, y)
    return where(np.equal(x, -np.inf), info.min if neginf is None else neginf, y)


def _set_real(z, v):
    z[...] = v + 1j * imag(z) if is_complex(z) else v


def _set_imag(z, v):
    if not is_complex(z):
        raise TypeError("array does not have imaginary part to set")
    z[...] = real(z) + 1j * as_array(v)


# Python's operators are the entries themselves


def _install():
    for name, f in {
        "add": add, "sub": subtract, "mul": multiply, "truediv": divide, "pow": power, "mod": remainder,
    }.items():  # fmt: skip
        setattr(Tensor, f"__{name}__", f)
        setattr(Tensor, f"__r{name}__", f if name in ("add", "mul") else _reflected(f))
        setattr(Tensor, f"__i{name}__", _in_place(f))
    Tensor.__neg__ = negative
    Tensor.__pos__ = positive
    Tensor.__abs__ = absolute
    Tensor.real = property(real, _set_real)
    Tensor.imag = property(imag, _set_imag)
    Tensor.conj = Tensor.conjugate = conj  # of a real array, the array itself


def _reflected(f):
    def reflected(b, a):
        return f(a, b)

    return reflected


def _in_place(f):
    def in_place(a, b):
        return update(a, f(a, b))

    return in_place


_install()
