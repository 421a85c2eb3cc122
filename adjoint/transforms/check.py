"""Check derivatives against differences of values: for users' functions, custom rules and ops."""

import numpy as np

from ..core import tree
from ..core.errors import CheckError, defined
from ..core.op import shape as shape_of
from ..core.tensor import is_tensor
from ..core.types import typeof
from .calling import call, check_input
from .derivatives import jvp, vjp


def check_grads(f, *args, order=1, modes=("fwd", "rev"), atol=None, rtol=None, eps=None, seed=0):
    """Compare the derivatives of f at args with differences of its values; CheckError where they disagree.

    f maps floating-point arrays, numbers or containers of them to the same. In a random direction t with a random
    cotangent g: forward mode gives J t, which must equal the central difference of f along t (Richardson's
    extrapolation of two steps); reverse mode gives g J, and <g J, t> must equal <g, J t>. order=2 checks the
    derivatives of these derivatives too, and so on. rtol: relative tolerance (1e-6 in float64, 1e-2 in float32).

    >>> import numpy as np, adjoint as ad
    >>> ad.check_grads(lambda x: np.sin(x) * x, np.array([0.3, -1.2]), order=2)
    >>> wrong = ad.custom_rule(np.sin, vjp=lambda g, y, x: g * np.sin(x))
    >>> ad.check_grads(wrong, 0.5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    adjoint.core.errors.CheckError: forward mode of ...
    """
    leaves, structure = tree.flatten(args)
    for i, leaf in enumerate(leaves):
        check_input("check_grads", leaf, lambda i=i: f"input {i}")
    rng = np.random.default_rng(seed)
    single = any(typeof(x).dtype.itemsize <= (8 if typeof(x).dtype.kind == "c" else 4) for x in leaves)
    rtol = rtol if rtol is not None else 1e-2 if single else 1e-6
    atol = atol if atol is not None else rtol
    eps = eps if eps is not None else 1e-2 if single else 1e-3

    def flat(*xs):
        return tree.flatten(call(f, tree.unflatten(structure, xs), {}, [x for x in xs if is_tensor(x)]))[0]

    _check(flat, leaves, order, modes, atol, rtol, eps, rng, defined(f))


def _check(f, xs, order, modes, atol, rtol, eps, rng, name):
    ts = [_random_like(rng, x) for x in xs]
    expected = _difference(f, xs, ts, eps)
    y = f(*xs)
    gs = [_random_like(rng, v) for v in y]
    if "fwd" in modes:
        got = jvp(f, tuple(xs), tuple(ts))[1]
        _compare(f"forward mode of {name}, order {order}", got, expected, atol, rtol)
    if "rev" in modes:
        cotangents = vjp(f, *xs)[1](gs)
        for x, c in zip(xs, cotangents, strict=True):
            if shape_of(x) != shape_of(c) or typeof(x).dtype != typeof(c).dtype:
                raise CheckError(f"reverse mode of {name}: the cotangent of {typeof(x)} is {typeof(c)}")
        _compare(f"reverse mode of {name}, order {order}", [_inner(cotangents, ts)], [_inner(gs, expected)], atol, rtol)
    if order > 1:
        if "fwd" in modes:
            _check(lambda *a: jvp(f, a, tuple(ts))[1], xs, order - 1, modes, atol, rtol, eps, rng, name)
        if "rev" in modes:
            _check(lambda *a: list(vjp(f, *a)[1](gs)), xs, order - 1, modes, atol, rtol, eps, rng, name)


def _random_like(rng, x):
    t = typeof(x)
    r = rng.normal(size=t.shape)
    if t.dtype.kind == "c":
        r = r + 1j * rng.normal(size=t.shape)
    return np.asarray(r).astype(t.dtype)[()]


def _difference(f, xs, ts, eps):
    def central(h):
        up = f(*[_moved(x, t, h) for x, t in zip(xs, ts, strict=True)])
        down = f(*[_moved(x, t, -h) for x, t in zip(xs, ts, strict=True)])
        return [(np.asarray(a) - np.asarray(b)) / (2 * h) for a, b in zip(up, down, strict=True)]

    # Richardson: the errors of steps h and h/2 are as 4 to 1
    return [(4 * b - a) / 3 for a, b in zip(central(eps), central(eps / 2), strict=True)]


def _moved(x, t, h):
    return np.asarray(x + h * t).astype(typeof(x).dtype)[()]


def _inner(a, b):
    return sum(float(np.sum(np.real(np.conjugate(np.asarray(u)) * np.asarray(v)))) for u, v in zip(a, b, strict=True))


def _compare(what, got, expected, atol, rtol):
    for a, b in zip(got, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
        wrong = ~(np.abs(a - b) <= atol + rtol * scale)
        if wrong.any():
            i = tuple(int(k) for k in np.argwhere(wrong)[0])
            raise CheckError(
                f"{what}: the derivative is {a[i]:.10g} and differences give {b[i]:.10g} at {i or 'the value'} "
                f"({int(wrong.sum())} of {wrong.size} entries differ by more than {atol:g} + {rtol:g} * {scale:.3g})"
            )
