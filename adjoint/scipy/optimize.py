"""scipy.optimize's names, fed with exact derivatives, and solutions that are differentiable in `args`.

Where nothing is being differentiated, SciPy's solver runs with our Jacobians and Hessians, and its result is returned.
Where something in `args` is, the solver runs on the values, a few Newton steps sharpen its answer, and the solution
x(p) of r(x, p) = 0 gets the derivative of the implicit function theorem, dx = -(dr/dx)^-1 dr/dp dp, to any order. A
solution that is not one (the solver failed, the Jacobian is singular) is an error, not a wrong derivative.
"""

import numpy as np
import scipy.optimize as _optimize

from ..core import tree
from ..core.errors import AdjointError, refused, where
from ..core.op import shape as shape_of
from ..core.tensor import is_tensor
from ..primitives.custom import custom_rule, stop_gradient
from ..primitives.kinds import as_array
from ..transforms import derivatives
from ..transforms.calling import callbacks


class SolutionError(AdjointError, ArithmeticError):
    """A solver's answer has no derivative: it is no solution, or the equations do not determine it."""


def implicit(solve, residual, args, like=None):
    """x = solve(*args) as a function of args, which satisfies residual(x, *args) == 0, with its derivative.

    solve gets plain values. args: a tuple, of containers too. residual returns as many numbers as x has. like: an array of
    the shape of x, which jit must know beforehand; without it jit calls solve on ones.

    >>> import adjoint as ad
    >>> root_of = lambda p: implicit(np.sqrt, lambda x, p: x * x - p, (p,))
    >>> ad.grad(root_of)(4.0), ad.grad(ad.grad(root_of))(4.0)
    (0.25, -0.03125)
    """
    leaves, structure = tree.flatten(args)
    live = [i for i, leaf in enumerate(leaves) if is_tensor(leaf) and leaf.trace is not None]
    if not live:
        return solve(*args)

    def full(live_leaves):
        out = list(leaves)
        for i, leaf in zip(live, live_leaves, strict=True):
            out[i] = leaf
        return tree.unflatten(structure, out)

    def solution(*ps):
        return np.asarray(solve(*full(ps)), dtype=np.float64)[()]

    def back(g, x, *ps):
        n = int(np.prod(shape_of(x), dtype=int))
        jac = np.reshape(derivatives.jacobian(lambda v: residual(v, *full(ps)))(x), (n, n))
        w = np.linalg.solve(np.swapaxes(jac, 0, 1), np.reshape(g, (n,)))
        r, pull = derivatives.vjp(lambda *qs: residual(x, *full(qs)), *ps)
        return tuple(pull(np.reshape(-w, shape_of(r)))) if len(ps) > 1 else pull(np.reshape(-w, shape_of(r)))

    shaped = None if like is None else lambda *_: np.zeros(shape_of(like))[()]
    return custom_rule(solution, vjp=back, like=shaped)(*[leaves[i] for i in live])


def plain(x, why):
    """The value of a tensor; an error where it is unknown or differs from lane to lane (under jit, under vmap)."""
    while is_tensor(x):
        x = x.value if x.trace is None else x.trace.concrete(x, why)
    return x


def _tracked(args):
    return any(is_tensor(leaf) and leaf.trace is not None for leaf in tree.flatten(args)[0])


def _tuple(args):
    return args if isinstance(args, tuple) else (args,)


def _sharpened(residual, x, args, free=None):
    """x after Newton steps on residual(x, *args) == 0 in its free entries; an error where that leads nowhere."""
    x = np.array(x, dtype=np.float64)
    free = np.ones(x.size, bool) if free is None else free.ravel()
    f = lambda v: np.asarray(residual(v, *args)).ravel()[free]
    for _ in range(8):
        jac = np.reshape(derivatives.jacobian(lambda v: residual(v, *args))(x), (x.size, x.size))[np.ix_(free, free)]
        try:
            step = np.linalg.solve(jac, f(x))
        except np.linalg.LinAlgError:
            raise SolutionError(f"the Jacobian is singular at the solution: it has no derivative{where()}")
        if not np.all(np.isfinite(step)):
            raise SolutionError(f"the equations are not finite at the solution: it has no derivative{where()}")
        flat = x.ravel().copy()
        flat[free] -= step
        size = np.abs(step).max(initial=0) / max(np.abs(x).max(initial=0), 1e-6)
        if size < 1e-13:
            return x[()]
        nearer = np.reshape(flat, x.shape)
        if size < 1e-6 and np.abs(f(nearer)).max(initial=0) >= np.abs(f(x)).max(initial=0):
            return x[()]  # rounding is all that is left
        x = nearer
    if size > 1e-6:
        raise SolutionError(f"the solver's answer is no solution, Newton's steps do not settle{where()}")
    return x[()]


def _near(x, start):
    """Sharpening must not have wandered off to another solution."""
    start = np.asarray(start, dtype=np.float64)
    if np.abs(x - start).max(initial=0) > 1e-2 * max(1.0, np.abs(start).max(initial=0)):
        raise SolutionError(f"the solver stopped at {start!r:.60}, but the nearest solution is {x!r:.60}{where()}")
    return x


def _converged(result):
    """The solver's x; where it reports failure, sharpening decides whether x is a solution all the same."""
    if not np.all(np.isfinite(result.x)):
        raise SolutionError(f"the solver failed: {result.message}{where()}")
    return result.x


def _gradient(fun):
    return derivatives.grad(lambda x, *args: _scalar(fun(x, *args)))


def _scalar(y):
    return np.reshape(y, ()) if shape_of(y) in ((1,), (1, 1)) else y


_WITH_JAC = {
    "cg", "bfgs", "newton-cg", "l-bfgs-b", "tnc", "slsqp", "dogleg", "trust-ncg", "trust-krylov", "trust-exact",
    "trust-constr", None,
}  # fmt: skip
_WITH_HESS = {"dogleg", "trust-exact"}
_WITH_HESSP = {"newton-cg", "trust-ncg", "trust-krylov", "trust-constr"}


def _plain_minimize(fun, x0, args, method, jac, hess, hessp, rest):
    name = method.lower() if isinstance(method, str) else method
    gradient = _gradient(fun)
    if jac is None and not callable(name) and name in _WITH_JAC:
        if hess is None and hessp is None:
            if name in _WITH_HESS:
                hess = derivatives.hessian(lambda x, *a: _scalar(fun(x, *a)))
            elif name in _WITH_HESSP:
                hessp = lambda x, v, *a: derivatives.jvp(lambda y: gradient(y, *a), (x,), (np.asarray(v, float),))[1]

        def both(x, *a):
            y, g = derivatives.value_and_grad(lambda y: _scalar(fun(y, *a)))(x)
            return float(y), np.asarray(g)

        return _optimize.minimize(both, x0, args, method, jac=True, hess=hess, hessp=hessp, **rest)
    return _optimize.minimize(fun, x0, args, method, jac=jac, hess=hess, hessp=hessp, **rest)


def minimize(fun, x0, args=(), method=None, jac=None, hess=None, hessp=None, bounds=None, constraints=(), tol=None,
             callback=None, options=None):  # fmt: skip
    """The minimum of fun(x, *args), found with exact derivatives. As `scipy.optimize.minimize`; returns its result.

    jac=None means our gradient (and Hessian, for the methods that use one); fun must be written in NumPy. Where `args`
    is being differentiated so is `result.x` (and `result.fun`); entries at a bound stay there. Constraints: not then.

    >>> import adjoint as ad
    >>> solution = lambda p: minimize(lambda x, p: np.sum((x - p) ** 4 + (x - p) ** 2), np.zeros(2), args=(p,)).x
    >>> ad.jacobian(solution)(np.array([1.0, 2.0])).round(8) + 0
    array([[1., 0.],
           [0., 1.]])
    """
    args, fun, jac, hess, hessp = callbacks(_tuple(args), fun, jac, hess, hessp)
    rest = {"bounds": bounds, "constraints": constraints, "tol": tol, "callback": callback, "options": options}
    if not _tracked(args):
        return _plain_minimize(fun, _start(x0), args, method, jac, hess, hessp, rest)
    if constraints not in ((), [], None):
        raise refused("minimize with constraints has no derivative in args")
    value = (lambda x, *a: fun(x, *a)[0]) if jac is True else fun
    gradient = _gradient(value)
    found: list = []

    def solve(*plain):
        found[:] = [_plain_minimize(fun, _start(x0), plain, method, jac, hess, hessp, rest)]
        x = np.asarray(_converged(found[0]))
        return _near(_sharpened(gradient, x, plain, _free(x, bounds)), x)

    x = implicit(solve, _held(gradient, bounds), args, _start(x0))
    result = _optimize.OptimizeResult(found[0] if found else {})  # captured, nothing was solved yet
    for stale in ("jac", "hess", "hess_inv", "grad"):
        result.pop(stale, None)
    result.x, result.fun = x, value(x, *args)
    return result


def _joined(y):
    """The equations as an array, where they are a tuple of numbers."""
    return as_array(y) if type(y) is tuple else y


def _start(x0):
    if is_tensor(x0):  # a solution does not depend on where the search began
        x0 = plain(x0, "to start the search there")
    return np.atleast_1d(np.asarray(x0, dtype=np.float64))


def _limits(bounds, x):
    if isinstance(bounds, _optimize.Bounds):
        low, high = bounds.lb, bounds.ub
    else:
        low = np.array([-np.inf if b[0] is None else b[0] for b in bounds])
        high = np.array([np.inf if b[1] is None else b[1] for b in bounds])
    return np.broadcast_to(low, shape_of(x)), np.broadcast_to(high, shape_of(x))


def _free(x, bounds):
    if bounds is None:
        return None
    low, high = _limits(bounds, x)
    return np.greater(x, low) & np.less(x, high)


def _held(gradient, bounds):
    """The equations of a minimum: the gradient is 0, or x is at its bound."""
    if bounds is None:
        return gradient

    def residual(x, *args):
        held = stop_gradient(x)
        return np.where(_free(held, bounds), gradient(x, *args), x - held)

    return residual


def root(fun, x0, args=(), method="hybr", jac=None, tol=None, callback=None, options=None):
    """x with fun(x, *args) == 0, by our Jacobian. As `scipy.optimize.root`; result.x is differentiable in args.

    >>> import adjoint as ad
    >>> ad.grad(lambda p: root(lambda x, p: x ** 3 - p, 1.0, args=(p,)).x[0])(8.0)
    0.08333333333333333
    """
    args, fun, jac = callbacks(_tuple(args), fun, jac)
    start = _start(x0)
    flat = lambda x, *a: np.reshape(_joined(fun(x, *a)), shape_of(x))
    exact = derivatives.jacobian(flat) if jac is None and method in ("hybr", "lm") else jac
    found: list = []

    def solve(*plain):
        found[:] = [_optimize.root(flat, start, plain, method, exact, tol, callback, options)]
        return found[0].x

    if not _tracked(args):
        solve(*args)
        return found[0]
    sharp = lambda *plain: _near(_sharpened(flat, solve(*plain), plain), found[0].x)
    x = implicit(sharp, flat, args, start)
    result = _optimize.OptimizeResult(found[0] if found else {})
    for stale in ("fjac", "r", "qtf", "cov_x", "ipvt"):
        result.pop(stale, None)
    result.x, result.fun = x, _joined(fun(x, *args))
    return result


def fsolve(func, x0, args=(), fprime=None, full_output=False, col_deriv=False, xtol=1.49012e-8, maxfev=0, band=None,
           epsfcn=None, factor=100, diag=None):  # fmt: skip
    """x with func(x, *args) == 0, by our Jacobian. As `scipy.optimize.fsolve`; differentiable in args.

    >>> import adjoint as ad
    >>> ad.grad(lambda p: fsolve(lambda x: [x[0] ** 3 - p], [1.0])[0])(8.0)
    0.08333333333333333
    """
    if full_output or col_deriv:
        raise NotImplementedError("fsolve has no derivative with full_output or col_deriv; see root")
    options = {"xtol": xtol, "maxfev": maxfev, "band": band, "eps": epsfcn, "factor": factor, "diag": diag}
    return root(func, np.atleast_1d(x0), args, jac=fprime, options=options).x


def fixed_point(func, x0, args=(), xtol=1e-8, maxiter=500, method="del2"):
    """x with func(x, *args) == x. As `scipy.optimize.fixed_point`; differentiable in args.

    >>> import adjoint as ad
    >>> babylon = lambda x, p: (x + p / x) / 2
    >>> round(ad.grad(lambda p: fixed_point(babylon, 1.0, args=(p,)))(4.0), 12)
    0.25
    """
    args, func = callbacks(_tuple(args), func)
    residual = lambda x, *a: x - func(x, *a)

    def solve(*plain):
        start = _start(x0) if shape_of(x0) else float(_start(x0)[0])
        return _optimize.fixed_point(func, start, plain, xtol, maxiter, method)

    if not _tracked(args):
        return solve(*args)

    def sharp(*plain):
        x = solve(*plain)
        return _near(_sharpened(residual, x, plain), x)

    return implicit(sharp, residual, args, x0)


def _bracketed(name):
    solver = getattr(_optimize, name)

    def scalar_root(f, a, b, args=(), **options):
        args, f = callbacks(_tuple(args), f)
        if not _tracked(args):
            return solver(f, a, b, args=args, **options)
        if options.pop("full_output", False):
            raise refused(f"{name} with full_output has no derivative in args")

        def sharp(*plain):
            x = solver(f, a, b, args=plain, **options)
            return _near(_sharpened(f, x, plain), x)

        return implicit(sharp, f, args, 0.0)

    scalar_root.__name__ = scalar_root.__qualname__ = name
    scalar_root.__doc__ = (
        f"x between a and b with f(x, *args) == 0. As `scipy.optimize.{name}`; differentiable in args."
    )
    return scalar_root


brentq, brenth, bisect, ridder, toms748 = map(_bracketed, ("brentq", "brenth", "bisect", "ridder", "toms748"))


def newton(func, x0, fprime=None, args=(), tol=1.48e-08, maxiter=50, fprime2=None, **options):
    """x with func(x, *args) == 0 by Newton's method, with our derivative. As `scipy.optimize.newton`; in args too."""
    args, func, fprime, fprime2 = callbacks(_tuple(args), func, fprime, fprime2)
    slope = fprime or (lambda x, *a: derivatives.elementwise_grad(lambda y: func(y, *a))(x))

    def solve(*plain):
        return _optimize.newton(func, np.asarray(x0, dtype=np.float64)[()], slope, plain, tol, maxiter, fprime2,
                                **options)  # fmt: skip

    if not _tracked(args):
        return solve(*args)

    def sharp(*plain):
        x = solve(*plain)
        return _near(_sharpened(func, x, plain), x)

    return implicit(sharp, func, args, x0)


def least_squares(fun, x0, jac=None, bounds=(-np.inf, np.inf), method="trf", *, loss="linear", args=(), kwargs=None,
                  **options):  # fmt: skip
    """The minimum of sum(fun(x, *args) ** 2) / 2, by our Jacobian. As `scipy.optimize.least_squares`.

    result.x is differentiable in args (with loss="linear"); entries at a bound stay there.

    >>> import adjoint as ad
    >>> t = np.array([0.0, 1.0, 2.0])
    >>> fit = lambda y: least_squares(lambda x, y: x[0] + x[1] * t - y, [0.0, 0.0], args=(y,)).x
    >>> ad.jacobian(fit)(np.array([1.0, 2.0, 4.0]))[1].round(9)
    array([-0.5, -0. ,  0.5])
    """
    (args, fun, jac), kwargs = callbacks(_tuple(args), fun, jac), kwargs or {}
    f = lambda x, *a: np.ravel(_joined(fun(x, *a, **kwargs)))
    exact = derivatives.jacobian(f) if jac is None else jac
    found: list = []

    def solve(*plain):
        found[:] = [_optimize.least_squares(f, _start(x0), exact, bounds, method, loss=loss, args=plain, **options)]
        return found[0].x

    if not _tracked((args, kwargs)):
        solve(*args)
        return found[0]
    if loss != "linear" or _tracked((kwargs,)):
        raise refused("least_squares has derivatives in args, with loss='linear'")
    gradient = _gradient(lambda x, *a: 0.5 * np.sum(np.square(f(x, *a))))
    box = bounds if isinstance(bounds, _optimize.Bounds) else _optimize.Bounds(*bounds)

    def sharp(*plain):
        x = solve(*plain)
        # the interior methods stop just short of a bound
        low, high = _limits(box, x)
        at = found[0].active_mask
        x = np.where(at < 0, low, np.where(at > 0, high, x))
        return _near(_sharpened(gradient, x, plain, _free(x, box)), x)

    x = implicit(sharp, _held(gradient, box), args, _start(x0))
    result = _optimize.OptimizeResult(found[0] if found else {})
    for stale in ("jac", "grad"):
        result.pop(stale, None)
    result.x, result.fun = x, f(x, *args)
    result.cost = 0.5 * np.sum(np.square(result.fun))
    return result


def __getattr__(name):
    return getattr(_optimize, name)
