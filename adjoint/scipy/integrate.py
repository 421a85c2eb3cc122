"""scipy.integrate's names. See adjoint.scipy: sums over samples, integrals, and differential equations."""

import itertools

import numpy as np
import scipy.integrate as _integrate

from ..core import tree
from ..core.errors import refused
from ..core.op import shape as shape_of
from ..core.tensor import is_tensor, peek
from ..core.types import typeof
from ..numpy.names import front
from ..primitives.custom import custom_rule
from ..primitives.kinds import as_array
from ..transforms import derivatives
from ..transforms.calling import callbacks
from .optimize import plain


def trapezoid(y, x=None, dx=1.0, axis=-1):
    """The integral over an axis by the trapezoidal rule. As `scipy.integrate.trapezoid`."""
    return np.trapezoid(y, x, dx, axis)


def cumulative_trapezoid(y, x=None, dx=1.0, axis=-1, initial=None):
    """The running integral over an axis by the trapezoidal rule. As `scipy.integrate.cumulative_trapezoid`.

    >>> cumulative_trapezoid([0.0, 2.0, 4.0], initial=0)
    array([0., 1., 4.])
    """
    y, h = _columns(y, x, dx, axis)
    out = np.cumsum(h * (y[..., 1:] + y[..., :-1]) * 0.5, axis=-1)
    if initial is not None:
        if initial != 0:
            raise ValueError("`initial` must be `None` or `0`.")
        out = np.concatenate([np.zeros((*shape_of(out)[:-1], 1), typeof(out).dtype), out], -1)
    return np.moveaxis(out, -1, axis)


def _columns(y, x, dx, axis):
    """y with its axis at the end, and the steps."""
    y = np.moveaxis(as_array(y), axis, -1)
    n = shape_of(y)[-1]
    if x is None:
        return y, dx * np.ones(n - 1)
    x = as_array(x)
    x = x if len(shape_of(x)) == 1 else np.moveaxis(x, axis, -1)
    if shape_of(x)[-1] != n:
        raise ValueError("If given, length of `x` along axis must be the same as `y`.")
    return y, np.diff(x, axis=-1)


def simpson(y, x=None, *, dx=1.0, axis=-1):
    """The integral over an axis by Simpson's rule; with an even number of points the last interval is integrated by
    the parabola through the last three (Cartwright 2017). As `scipy.integrate.simpson`; in x too.

    >>> float(simpson([0.0, 1.0, 4.0]))  # x^2 from 0 to 2: 8 / 3
    2.6666666666666665
    """
    y, h = _columns(y, x, dx, axis)
    n = shape_of(y)[-1]
    if n < 3:
        return np.sum(h * (y[..., 1:] + y[..., :-1]), axis=-1) * 0.5
    pairs = (n - 1) // 2 * 2
    a, b = h[..., 0:pairs:2], h[..., 1:pairs:2]
    s = a + b
    left, mid, right = y[..., 0:pairs:2], y[..., 1:pairs:2], y[..., 2 : pairs + 1 : 2]
    total = np.sum(s * (left * (2 - b / a) + mid * (s * s / (a * b)) + right * (2 - a / b)), axis=-1) / 6
    if pairs < n - 1:
        a, b = h[..., -2], h[..., -1]
        total = (
            total
            + y[..., -1] * (2 * b * b + 3 * a * b) / (6 * (a + b))
            + y[..., -2] * (b * b + 3 * a * b) / (6 * a)
            - y[..., -3] * b**3 / (6 * a * (a + b))
        )
    return total


# Integrals of functions


def quad(func, a, b, args=(), full_output=0, epsabs=1.49e-8, epsrel=1.49e-8, limit=50, points=None, weight=None,
         wvar=None, wopts=None, maxp1=50, limlst=50, complex_func=False):  # fmt: skip
    """(the integral of func(x, *args) from a to b, an estimate of its error). As `scipy.integrate.quad`.

    Differentiable in a, b (func at the limits) and args (the integral of the derivative, by `scipy.integrate.quad_vec`
    to the same tolerances), to any order, and in what func's closure reads. func returns a real number.

    >>> import adjoint as ad
    >>> round(ad.grad(lambda p: quad(lambda x, p: np.exp(-p * x), 0, np.inf, args=(p,))[0])(2.0), 10)
    -0.25
    """
    args, func = callbacks(args if isinstance(args, tuple) else (args,), func)
    leaves, structure = tree.flatten(args)
    live = [i for i, leaf in enumerate(leaves) if is_tensor(leaf) and leaf.trace is not None]
    if not live and not any(is_tensor(v) and v.trace is not None for v in (a, b)):
        return _integrate.quad(func, a, b, args, full_output, epsabs, epsrel, limit, points, weight, wvar, wopts, maxp1,
                               limlst, complex_func)  # fmt: skip
    if weight is not None or complex_func or full_output:
        raise refused("quad has no derivative with weight, complex_func or full_output")
    error: list = []

    def full(ps):
        out = list(leaves)
        for i, p in zip(live, ps, strict=True):
            out[i] = p
        return tree.unflatten(structure, out)

    def value(a, b, *ps):
        y, e = _integrate.quad(func, a, b, full(ps), 0, epsabs, epsrel, limit, points)
        error[:] = [e]
        return y

    integrand = lambda x, *ps: func(x, *full(ps))
    # func may be infinite at a limit, which is not asked where nobody wants its derivative
    limits = [is_tensor(v) and v.trace is not None for v in (a, b)]
    options = {"epsabs": epsabs, "epsrel": epsrel, "limit": limit, "points": points, "limits": limits}
    rule = custom_rule(value, vjp=_under_the_integral(integrand, options), like=lambda *_: 0.0)
    y = rule(a, b, *[leaves[i] for i in live])
    return y, error[0] if error else np.nan  # captured, nothing was integrated yet


def _under_the_integral(f, options):
    """The vjp of the integral of f(x, *ps) over x from a to b: by its limits and under the sign."""

    def back(g, _y, a, b, *ps):
        def at(x, sign):
            finite = np.isfinite(x)
            if not peek(finite)[0]:
                return sign * np.where(finite, np.sum(g * f(np.where(finite, x, 0.0), *ps)), 0.0)
            return sign * np.sum(g * f(x, *ps)) if finite else None

        limits = tuple(at(*row) if w else None for row, w in zip(((a, -1.0), (b, 1.0)), options["limits"], strict=True))
        if not ps:
            return limits
        shapes = [shape_of(p) for p in ps]

        def slope(x, g, *ps):
            gs = derivatives.vjp(lambda *qs: f(x, *qs), *ps)[1](g)
            gs = gs if len(ps) > 1 else (gs[0] if isinstance(gs, tuple) else gs,)
            return np.concatenate([np.reshape(gi, (-1,)) for gi in gs])

        flat = _quad_vec(slope, a, b, (g, *ps), options)
        out, start = [], 0
        for s in shapes:
            n = int(np.prod(s, dtype=int))
            out.append(np.reshape(flat[start : start + n], s))
            start += n
        return (*limits, *out)

    return back


def _quad_vec(f, a, b, ps, options):
    def value(a, b, *ps):
        points = options["points"]
        y, e, info = _integrate.quad_vec(
            lambda x: np.asarray(f(float(x), *ps)), float(a), float(b), epsabs=min(options["epsabs"], 1e-10),
            epsrel=min(options["epsrel"], 1e-10), norm="max", limit=max(10 * options["limit"], 500), points=points,
            full_output=True,
        )  # fmt: skip
        if info.status not in (0, 2):  # 2: rounding errors are all that is left
            raise ArithmeticError(f"the derivative's integral does not converge (error {e:.2g}): {info.message}")
        return y

    size = sum(int(np.prod(shape_of(p), dtype=int)) for p in ps[1:])
    return custom_rule(value, vjp=_under_the_integral(f, options), like=lambda *_: np.zeros(size))(a, b, *ps)


# Differential equations: SciPy chooses the steps on the values, and the same steps are taken again with tensors. The
# result is SciPy's to rounding, and the derivative that of the numerical solution with these steps held in proportion
# to the interval: exact for it, and as near to the true solution's as the tolerances say.


def _step(method, fun, t, y, h, f0, args):
    """One explicit Runge-Kutta step: (y at t + h, the stages)."""
    stages = [f0]
    for row, c in zip(method.A[1:], method.C[1:], strict=True):
        dy = None
        for w, k in zip(row, stages):
            if w:
                dy = w * k if dy is None else dy + w * k
        stages.append(_value(fun(t + float(c) * h, y + h * dy, *args)))
    dy = None
    for w, k in zip(method.B, stages, strict=True):
        if w:
            dy = float(w) * k if dy is None else dy + float(w) * k
    return y + h * dy, stages


def _value(f):
    return as_array(f)


_METHODS = {"RK45": _integrate.RK45, "RK23": _integrate.RK23, "DOP853": _integrate.DOP853}


def _plain(x):
    return plain(x, "to choose the steps")


def _tracked(x):
    return any(is_tensor(leaf) and leaf.trace is not None for leaf in tree.flatten(x)[0])


def solve_ivp(fun, t_span, y0, method="RK45", t_eval=None, dense_output=False, events=None, vectorized=False, args=None,
              **options):  # fmt: skip
    """The solution of dy/dt = fun(t, y, *args) from y0. As `scipy.integrate.solve_ivp`; returns its result.

    Where y0, args, t_span or t_eval are being differentiated: methods RK45, RK23 and DOP853, on SciPy's own steps, so
    the values are SciPy's; the derivative is that of this numerical solution, accurate like it (choose rtol and atol
    for both). Implicit methods, events and dense_output are refused then; DOP853 with t_eval restarts at each point.

    >>> import adjoint as ad
    >>> end = lambda k: solve_ivp(lambda t, y, k: -k * y, (0.0, 1.0), [1.0], args=(k,), rtol=1e-8, atol=1e-8).y[0, -1]
    >>> bool(abs(ad.grad(end)(2.0) + np.exp(-2.0)) < 1e-7)
    True
    """
    args, fun = callbacks(() if args is None else tuple(args), fun)
    if not _tracked((list(t_span), y0, args, t_eval)):
        y0 = _plain(y0)
        return _integrate.solve_ivp(fun, t_span, y0, method, t_eval, dense_output, events, vectorized, args or None,
                                    **options)  # fmt: skip
    name = next((n for n, m in _METHODS.items() if method in (n, m)), None)
    if name is None or dense_output or events is not None or vectorized:
        raise refused(
            "solve_ivp has derivatives for the methods RK45, RK23 and DOP853, without dense_output, events, vectorized"
        )
    plain_args = tree.map(_plain, args)
    t0, t1 = t_span
    y0 = _floats(as_array(y0))
    options = {k: tree.map(_plain, v) for k, v in options.items()}
    rhs = lambda t, y, *a: np.asarray(_plain(as_array(fun(t, y, *a))))
    solver = lambda a, b, y: _integrate.solve_ivp(rhs, (a, b), y, name, args=plain_args or None, **options)
    rk = _METHODS[name]
    found = _integrate.solve_ivp(rhs, (float(_plain(t0)), float(_plain(t1))), np.asarray(_plain(y0)), name,
                                 args=plain_args or None, **options)  # fmt: skip
    if not found.success:
        raise ArithmeticError(f"solve_ivp failed: {found.message}")
    if t_eval is None:
        ts, ys = _along(rk, fun, t0, t1, y0, found.t, args)
    elif name == "DOP853":
        ts, ys = [], []
        y, t = y0, t0
        for target in as_array(t_eval):
            if float(_plain(target)) != float(_plain(t)):
                steps = solver(float(_plain(t)), float(_plain(target)), np.asarray(_plain(y)))
                y = _along(rk, fun, t, target, y, steps.t, args)[1][-1]
            t = target
            ts.append(t)
            ys.append(y)
    else:
        ts, ys = t_eval, _between(rk, fun, t0, t1, y0, found.t, args, as_array(t_eval))
    result = _integrate._ivp.ivp.OdeResult(found)
    result.t = as_array(t_eval) if t_eval is not None else np.stack(ts)
    result.y = np.stack(ys, -1)
    return result


def _floats(y):
    return y if typeof(y).dtype.kind in "fc" else y.astype(np.float64)


def _times(t0, t1, steps):
    """SciPy's steps as fractions of the interval, which may be a tensor; its ends are exact."""
    if not (_tracked((t0,)) or _tracked((t1,))):
        return [float(t) for t in steps]
    fractions = (steps - steps[0]) / (steps[-1] - steps[0])
    return [t0, *(t0 + (t1 - t0) * float(w) for w in fractions[1:-1]), t1]


def _along(rk, fun, t0, t1, y, steps, args, visit=None):
    times = _times(t0, t1, steps)
    ys = [y]
    for t, t_next in itertools.pairwise(times):
        f0 = _value(fun(t, y, *args))
        y_old = y
        y, stages = _step(rk, fun, t, y, t_next - t, f0, args)
        if visit is not None:
            visit(t, t_next, y_old, y, stages)
        ys.append(y)
    return times, ys


def _between(rk, fun, t0, t1, y0, steps, args, t_eval):
    """The solution at given times, by the polynomial that belongs to each step."""
    plain = np.asarray(_plain(t_eval), dtype=float)
    sign = 1.0 if steps[-1] >= steps[0] else -1.0
    if np.any(sign * plain < sign * steps[0]) or np.any(sign * plain > sign * steps[-1]):
        raise ValueError("Values in `t_eval` are not within `t_span`.")
    which = np.clip(np.searchsorted(sign * steps, sign * plain, "left") - 1, 0, len(steps) - 2)
    kept: list = []
    _along(rk, fun, t0, t1, y0, steps, args, lambda *step: kept.append(step))
    out = []
    for j, i in enumerate(which):
        t, t_next, y, y_next, stages = kept[i]
        h = t_next - t
        x = (t_eval[j] - t) / h
        stages = [*stages, _value(fun(t_next, y_next, *args))]
        dy = 0.0
        for row, k in zip(rk.P, stages, strict=True):
            weight = 0.0
            for c in row[::-1]:
                weight = (weight + float(c)) * x
            dy = dy + weight * k
        out.append(y + h * dy)
    return out


def odeint(func, y0, t, args=(), *, tfirst=False, rtol=None, atol=None, **options):
    """The solution of dy/dt = func(y, t, *args) at the times t, a row each. As `scipy.integrate.odeint`.

    Where y0, t or args are being differentiated, by DOP853 to the same tolerances in place of LSODA, restarted at each
    time: values and derivatives agree with odeint's to the tolerances. It has no place for stiff problems.

    >>> import adjoint as ad
    >>> slope = ad.grad(lambda y0: odeint(lambda y, t: -y, y0, [0.0, 1.0])[1, 0])(1.0)
    >>> bool(abs(slope - np.exp(-1)) < 1e-7)
    True
    """
    args, func = callbacks(args if isinstance(args, tuple) else (args,), func)
    if not _tracked((y0, t, args)):
        return _integrate.odeint(func, y0, t, args, tfirst=tfirst, rtol=rtol, atol=atol, **options)
    fun = func if tfirst else lambda t, y, *a: func(y, t, *a)
    t = as_array(t)
    y0 = np.atleast_1d(_floats(as_array(y0)))
    rtol, atol = (1.49012e-8 if tol is None else tol for tol in (rtol, atol))
    result = solve_ivp(fun, (t[0], t[-1]), y0, "DOP853", t, args=args, rtol=rtol, atol=atol)
    return np.swapaxes(result.y, 0, 1)


# quad, solve_ivp and odeint look for themselves: what they call may read tensors
trapezoid = front(_integrate.trapezoid, trapezoid)
cumulative_trapezoid = front(_integrate.cumulative_trapezoid, cumulative_trapezoid)
simpson = front(_integrate.simpson, simpson)


def __getattr__(name):
    return getattr(_integrate, name)
