"""scipy.interpolate's names. See adjoint.scipy: interp1d (linear) and CubicSpline.

Which interval a point falls into is decided on its value; the rest is arithmetic, so that knots, values and points all
have derivatives. At a knot the derivative in the point is that of the interval on its right (linear).
"""

import math

import numpy as np
import scipy.interpolate as _interpolate

from ..core.errors import refused
from ..core.op import Op, bind, is_plain
from ..core.op import shape as shape_of
from ..core.tuples import items
from ..core.types import Tuple, typeof
from ..primitives.kinds import as_array, axis_from_end, nondiff

_interval = nondiff(
    "interval", lambda p, x: np.clip(np.searchsorted(x, p, "right") - 1, 0, len(x) - 2), elementwise=False, batch=None,
    sample=lambda rng: [((rng.uniform(0, 3, 4), np.arange(4.0)), {})],
).op  # fmt: skip


def _prepared(x, y, axis):
    x, y = as_array(x), as_array(y)
    axis = axis_from_end(axis, len(shape_of(y)))
    front = axis + len(shape_of(y))
    y = np.moveaxis(y, axis, 0)
    if len(shape_of(x)) != 1 or shape_of(x)[0] != shape_of(y)[0]:
        raise ValueError("x and y arrays must be equal in length along interpolation axis.")
    if typeof(y).dtype.kind not in "fc":
        y = y.astype(np.float64)
    return x, y, front


def _trailing(p, y):
    """p with an axis for each of y's own."""
    return np.reshape(p, (*shape_of(p), *(1,) * (len(shape_of(y)) - 1)))


def _to_axis(out, rank, axis):
    """The axes of the points, which are in front, where the interpolation axis was."""
    return np.moveaxis(out, range(rank), range(axis, axis + rank)) if axis and rank else out


_DEGREES = {"linear": 1, "slinear": 1, 1: 1, "quadratic": 2, 2: 2, "cubic": 3, 3: 3}


class interp1d:
    """Interpolation between points (x, y) along an axis. As `scipy.interpolate.interp1d` with kind="linear", "quadratic" or
    "cubic"; splines have derivatives in y and in the points where they are asked.

    >>> import adjoint as ad
    >>> ad.grad(lambda p: interp1d([0.0, 1.0, 3.0], [0.0, 2.0, 3.0])(p))(2.0)
    0.5
    """

    def __new__(cls, x, y, kind="linear", *args, **kwargs):
        """SciPy's own for other kinds, as long as nobody differentiates the points."""
        if kind in _DEGREES or not is_plain(x, y, as_array(x), as_array(y)):
            return super().__new__(cls)
        return _interpolate.interp1d(x, y, kind, *args, **kwargs)

    def __init__(self, x, y, kind="linear", axis=-1, copy=True, bounds_error=None, fill_value=np.nan,
                 assume_sorted=False):  # fmt: skip
        if kind not in _DEGREES:
            raise refused(f"interp1d has derivatives for the kinds linear, quadratic and cubic, not {kind!r}")
        self.x, self._y, self.axis = _prepared(x, y, axis)
        if not assume_sorted:
            order = np.argsort(self.x, kind="stable")
            self.x, self._y = self.x[order], self._y[order]
        self._pieces = None
        if _DEGREES[kind] > 1:  # a spline is linear in y
            starts, powers = items(bind(_powers, self.x, degree=_DEGREES[kind]))
            self._pieces = starts, np.tensordot(powers, self._y, axes=1)
        self.extrapolate = isinstance(fill_value, str) and fill_value == "extrapolate"
        self.fill_value = fill_value
        self.bounds_error = (not self.extrapolate and fill_value is np.nan) if bounds_error is None else bounds_error

    def __call__(self, x):
        p = as_array(x)
        if self._pieces is None:
            i = bind(_interval, p, self.x)
            x0, x1, y0, y1 = self.x[i], self.x[i + 1], self._y[i], self._y[i + 1]
            w = _trailing((p - x0) / (x1 - x0), self._y)
            out = y0 + w * (y1 - y0)
        else:
            starts, powers = self._pieces
            i = bind(_interval, p, starts)
            t = _trailing(p - starts[i], self._y)
            out = powers[-1, i]
            for k in range(shape_of(powers)[0] - 2, -1, -1):
                out = out * t + powers[k, i]
        if not self.extrapolate:
            low, high = np.less(p, self.x[0]), np.greater(p, self.x[-1])
            if self.bounds_error and np.any(low | high):
                raise ValueError("A value in x_new is outside the interpolation range.")
            fill = self.fill_value if type(self.fill_value) is tuple else (self.fill_value,) * 2
            out = np.where(_trailing(low, self._y), fill[0], np.where(_trailing(high, self._y), fill[1], out))
        return _to_axis(out, len(shape_of(p)), self.axis)


def _unit_powers(x, degree):
    """(where the pieces of a spline through points at x begin and end, the coefficients of their powers for unit vectors y)."""
    units = _interpolate.make_interp_spline(x, np.eye(len(x)), k=degree)
    starts = np.unique(units.t)
    return starts, np.stack([units(starts[:-1], nu=k) / math.factorial(k) for k in range(degree + 1)])


def _no_slope(*args, **kwargs):
    raise refused("interp1d by splines has no derivative in x, where the points are")


_powers = Op(
    "spline_powers", _unit_powers, kind="general", jvp=_no_slope, vjp=_no_slope, saves=((False, False), False), register=False,
    type=lambda x, degree: Tuple(tuple(map(typeof, _unit_powers(np.arange(float(x.shape[0])), degree)))),
)  # fmt: skip


class CubicSpline:
    """The cubic spline through points (x, y) along an axis. As `scipy.interpolate.CubicSpline`.

    bc_type: "not-a-knot", "natural", "clamped", "periodic" is not supported, or a pair of these or of (order, value).

    >>> import adjoint as ad
    >>> ad.grad(lambda y1: CubicSpline([0.0, 1.0, 2.0], np.stack([0.0, y1, 0.0]))(0.5))(1.0)
    0.75
    """

    def __new__(cls, x, y, axis=0, bc_type="not-a-knot", extrapolate=None):
        """SciPy's own for a periodic spline, as long as nobody differentiates the points."""
        periodic = (isinstance(bc_type, str) and bc_type == "periodic") or extrapolate == "periodic"
        if not periodic or not is_plain(x, y, as_array(x), as_array(y)):
            return super().__new__(cls)
        return _interpolate.CubicSpline(x, y, axis, bc_type, extrapolate)

    def __init__(self, x, y, axis=0, bc_type="not-a-knot", extrapolate=None):
        self.x, self._y, self.axis = _prepared(x, y, axis)
        if shape_of(self.x)[0] < 2:
            raise ValueError("`x` must contain at least 2 elements.")
        if np.any(np.diff(self.x) <= 0):
            raise ValueError("`x` must be strictly increasing sequence.")
        if isinstance(bc_type, str):
            if bc_type == "periodic" or extrapolate == "periodic":
                raise refused("CubicSpline has no derivative rule for periodic splines")
            bc_type = (bc_type, bc_type)
        self.extrapolate = True if extrapolate is None else extrapolate
        self._slopes = _slopes(self.x, self._y, bc_type)

    def __call__(self, x, nu=0, extrapolate=None):
        p = as_array(x)
        i = bind(_interval, p, self.x)
        x0, h = self.x[i], self.x[i + 1] - self.x[i]
        t, h = _trailing((p - x0) / h, self._y), _trailing(h, self._y)
        y0, y1 = self._y[i], self._y[i + 1]
        d0, d1 = h * self._slopes[i], h * self._slopes[i + 1]
        rise = y1 - y0
        c2, c3 = 3 * rise - 2 * d0 - d1, d0 + d1 - 2 * rise
        if nu == 0:
            out = y0 + t * (d0 + t * (c2 + t * c3))
        elif nu == 1:
            out = (d0 + t * (2 * c2 + 3 * t * c3)) / h
        elif nu == 2:
            out = (2 * c2 + 6 * t * c3) / h**2
        elif nu == 3:
            out = 6 * c3 / h**3 + 0 * t
        else:
            raise ValueError(f"nu must be 0, 1, 2 or 3, not {nu}")
        if not (self.extrapolate if extrapolate is None else extrapolate):
            outside = np.less(p, self.x[0]) | np.greater(p, self.x[-1])
            out = np.where(_trailing(outside, self._y), np.nan, out)
        return _to_axis(out, len(shape_of(p)), self.axis)


def _slopes(x, y, bc):
    """The derivatives at the knots: second derivatives agree at the inner ones, two equations close the system."""
    n = shape_of(x)[0]
    h = np.diff(x)
    slope = np.diff(y, axis=0) / _trailing(h, y)
    if n == 2:
        bc = tuple((1, slope[0]) if e == "not-a-knot" else e for e in bc)
    if n == 3 and bc == ("not-a-knot", "not-a-knot"):  # one parabola
        curve = (slope[1] - slope[0]) / (x[2] - x[0])
        return np.stack([slope[0] - curve * h[0], slope[0] + curve * h[0], slope[1] + curve * h[1]])
    rows, right = [], []

    def row(entries, value):
        rows.append(np.stack([entries.get(j, 0.0) for j in range(n)]))
        right.append(value)

    def end(e, first):
        i, step, s = (0, 1, slope[0]) if first else (n - 1, -1, slope[-1])
        h0 = h[0] if first else h[-1]
        if e == "not-a-knot":  # one cubic on the two intervals at this end
            h1 = h[1] if first else h[-2]
            t = slope[1] if first else slope[-2]
            d = h0 + h1
            row({i: h1, i + step: d}, ((h0 + 2 * d) * h1 * s + h0 * h0 * t) / d)
            return
        if e in ("natural", "clamped"):
            e = (2 if e == "natural" else 1, 0.0)
        if not isinstance(e, tuple) or e[0] not in (1, 2):
            raise ValueError(f"bc_type={e!r} is not allowed.")
        order, value = e
        if order == 1:
            row({i: 1.0}, value + 0 * y[0])
        else:
            sign = 1 if first else -1
            row({i: 2.0, i + step: 1.0}, 3 * s - sign * 0.5 * value * h0)

    end(bc[0], True)
    for i in range(1, n - 1):
        row({i - 1: h[i], i: 2 * (h[i - 1] + h[i]), i + 1: h[i - 1]}, 3 * (h[i] * slope[i - 1] + h[i - 1] * slope[i]))
    end(bc[1], False)
    right = np.stack(right)
    flat = np.linalg.solve(np.stack(rows), np.reshape(right, (n, -1)))
    return np.reshape(flat, shape_of(right))


def __getattr__(name):
    return getattr(_interpolate, name)
