"""Elementary functions of one and two real or complex variables. Derivatives are written from the input, or from a
complementary quantity, so that they are as accurate as the function in its tails.
"""

import math

import numpy as np

from ..core.tensor import UFUNCS
from ..core.types import typeof
from .activation import sigmoid
from .kinds import elementwise, regular, zero_of


def _inverse(x):
    # of a Python float, or a tensor of one, Python's own division by zero is an error and not infinity
    return np.reciprocal(x) if isinstance(x, float) and not isinstance(x, np.float64) else 1 / x


def _divided_by(f):
    # one division where the partial, an inverse, takes a division and a product; Python's own, by zero, is an error
    def back(g, node):
        d = f(node[4])
        return np.divide(g, d) if type(d) is float else g / d

    return back


exp = elementwise("exp", np.exp, lambda y, _x: y, pulls=(lambda g, node: g * node[3], None))
exp2 = elementwise("exp2", np.exp2, lambda y, _x: y * math.log(2.0))


def _expm1_back(g, node):
    y, x = node[3:5]
    # exp(x) is y + 1, but where that cancels
    return g * (y + 1) if type(y) is np.ndarray and y.size and y.min() > -0.5 else g * np.exp(x)


expm1 = elementwise("expm1", np.expm1, lambda y, x: np.exp(x), pulls=(_expm1_back, None))
log = elementwise(
    "log",
    np.log,
    lambda _y, x: _inverse(x),
    domain=((0.2, 3),),
    pulls=(lambda g, node: np.divide(g, node[4]) if type(g) is float else g / node[4], None),
)
log2 = elementwise("log2", np.log2, lambda _y, x: _inverse(x * math.log(2.0)), domain=((0.2, 3),))
log10 = elementwise("log10", np.log10, lambda _y, x: _inverse(x * math.log(10.0)), domain=((0.2, 3),))
log1p = elementwise(
    "log1p",
    np.log1p,
    lambda _y, x: _inverse(1 + x),
    domain=((-0.5, 3),),
    pulls=(_divided_by(lambda x: 1 + x), None),
)
sqrt = elementwise("sqrt", np.sqrt, lambda y, _x: 0.5 / y, domain=((0.2, 3),))
cbrt = elementwise("cbrt", np.cbrt, lambda y, _x: 1 / (3 * y * y), domain=((0.2, 3),))
square = elementwise("square", np.square, lambda _y, x: 2 * x)
reciprocal = elementwise("reciprocal", np.reciprocal, lambda y, _x: -y * y, domain=((0.5, 2),))


def _sech2(_y, x):
    # clipped where it has long been 0 and cosh is still a number, lest its derivatives be 0 * inf
    dtype = typeof(x).dtype
    if dtype.kind == "f":
        bound = 0.62 * np.finfo(dtype).maxexp  # 0.9 log(largest number)
        x = np.clip(x, -bound, bound)
    return np.square(1 / np.cosh(x))


def _tanh_back(g, node):
    # sech^2 from cosh, accurate in the tails where 1 - y^2 cancels. Divided twice: from |x| = 356 on cosh^2 overflows,
    # where its inverse is still a number
    y, x = node[3:5]
    if type(y) is np.ndarray and y.size and y.min() > -0.7 and y.max() < 0.7:
        return g * ((1 - y) * (1 + y))  # as accurate as that here, and no function at all
    c = np.cosh(x)
    return g / c / c


def _root_one_plus_square(x):
    # x * x overflows from 1e154 on, and hypot does not
    return np.sqrt(1 + x * x) if typeof(x).dtype.kind == "c" else np.hypot(1, x)


sin = elementwise("sin", np.sin, lambda _y, x: np.cos(x), pulls=(lambda g, node: g * np.cos(node[4]), None))
cos = elementwise("cos", np.cos, lambda _y, x: -np.sin(x))
tan = elementwise("tan", np.tan, lambda y, _x: 1 + y * y, domain=((-1, 1),))
arcsin = elementwise("arcsin", np.arcsin, lambda _y, x: 1 / np.sqrt((1 - x) * (1 + x)), domain=((-0.9, 0.9),))
arccos = elementwise("arccos", np.arccos, lambda _y, x: -1 / np.sqrt((1 - x) * (1 + x)), domain=((-0.9, 0.9),))
arctan = elementwise("arctan", np.arctan, lambda _y, x: 1 / (1 + x * x), pulls=(_divided_by(lambda x: 1 + x * x), None))
sinh = elementwise("sinh", np.sinh, lambda _y, x: np.cosh(x))
cosh = elementwise("cosh", np.cosh, lambda _y, x: np.sinh(x))
tanh = elementwise("tanh", np.tanh, _sech2, pulls=(_tanh_back, None))
arcsinh = elementwise("arcsinh", np.arcsinh, lambda _y, x: 1 / _root_one_plus_square(x))
arccosh = elementwise("arccosh", np.arccosh, lambda _y, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)), domain=((1.5, 3),))
arctanh = elementwise("arctanh", np.arctanh, lambda _y, x: _inverse((1 - x) * (1 + x)), domain=((-0.9, 0.9),))
deg2rad = elementwise("deg2rad", np.deg2rad, np.pi / 180)
rad2deg = elementwise("rad2deg", np.rad2deg, 180 / np.pi)


def _over(a, y):
    # a / y, and 0 where y is 0, to every order
    zero = np.equal(y, 0)
    return np.where(zero, zero_of(y), a / np.where(zero, 1, y))


def _hypot_back(at):
    def back(g, node):
        y, a = node[3], node[at]
        return g * (a / y) if type(a) is np.ndarray and regular(y) else g * _over(a, y)

    return back


hypot = elementwise("hypot", np.hypot, lambda y, a, _b: _over(a, y), lambda y, _a, b: _over(b, y),
                    pulls=(_hypot_back(4), _hypot_back(5)))  # fmt: skip


def _arctan2_back(sign):
    def back(g, node):
        a, b = node[4:6]
        if type(a) is np.ndarray and type(b) is np.ndarray:
            square = a * a + b * b
            if regular(square):  # nothing over- or underflows
                return g * (b if sign > 0 else -a) / square
        h = np.hypot(a, b)
        return g * _over(_over(b, h), h) if sign > 0 else g * -_over(_over(a, h), h)

    return back


# (x/h)/h with h = hypot(x, y): no overflow at 1e200, no underflow at 1e-200
arctan2 = elementwise("arctan2", np.arctan2, lambda _y, a, b: _over(_over(b, np.hypot(a, b)), np.hypot(a, b)),
                      lambda _y, a, b: -_over(_over(a, np.hypot(a, b)), np.hypot(a, b)),
                      pulls=(_arctan2_back(1), _arctan2_back(-1)))  # fmt: skip


def _share(a, b):
    # e^a / (e^a + e^b) from the difference; equal infinities share equally
    return sigmoid(np.where(np.equal(a, b) & np.isinf(a), 0.0, a - b))


def _share2(a, b):
    return 1 / (1 + np.exp2(np.where(np.equal(a, b) & np.isinf(a), 0.0, b - a)))


def _share_back(first, second):
    def back(g, node):
        d = node[second] - node[first]
        if type(d) is np.ndarray and d.size and d.max() < 80:  # far from where exp overflows, in float32 too
            return g / (1 + np.exp(d))
        return g * _share(node[first], node[second])

    return back


logaddexp = elementwise("logaddexp", np.logaddexp, lambda _y, a, b: _share(a, b), lambda _y, a, b: _share(b, a),
                        pulls=(_share_back(4, 5), _share_back(5, 4)))  # fmt: skip
logaddexp2 = elementwise("logaddexp2", np.logaddexp2, lambda _y, a, b: _share2(a, b), lambda _y, a, b: _share2(b, a))
ldexp = elementwise("ldexp", np.ldexp, lambda g, _y, _x, n: np.ldexp(g, n), None,
                    sample=lambda rng: [((rng.normal(size=3), rng.integers(-3, 3, 3)), {}), ((rng.normal(size=3), 2), {})])  # fmt: skip
copysign = elementwise(
    "copysign", np.copysign, lambda g, _y, a, b: np.where(np.signbit(a) == np.signbit(b), g, -g), None
)
nextafter = elementwise("nextafter", np.nextafter, 1, None)  # the next number moves along with x
heaviside = elementwise("heaviside", np.heaviside, None, lambda g, _y, x, _h: np.where(np.equal(x, 0), g, 0))

# NumPy has two ufuncs of each
UFUNCS[np.degrees] = rad2deg
UFUNCS[np.radians] = deg2rad
