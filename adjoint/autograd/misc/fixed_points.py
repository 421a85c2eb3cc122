"""Fixed points, differentiated by the implicit function theorem."""

from ...core import tree
from ..differential_operators import filled, pullback
from ..extend import defvjp, primitive


@primitive
def fixed_point(f, a, x0, distance, tol):
    """x with f(a)(x) = x, by iteration from x0 until distance(new, old) <= tol. Differentiable in a."""
    step = f(a)
    old, new = x0, step(x0)
    while distance(new, old) > tol:
        old, new = new, step(new)
    return new


def _adjoint_step(params):
    """u -> g + u df/dx, whose fixed point is the cotangent of the right-hand side f(a)(x)."""
    f, a, x, g = params
    pull, _ = pullback(f(a), x)
    return lambda u: tree.map(lambda p, q: p + q, pull(u), g)


def _vjp(ans, f, a, x0, distance, tol):
    pull, _ = pullback(lambda a: f(a)(ans), a)
    return lambda g: pull(fixed_point(_adjoint_step, (f, a, ans, g), filled(x0, 0.0), distance, tol))


defvjp(fixed_point, None, _vjp, None, None, None)
