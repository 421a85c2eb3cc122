"""Derivatives against differences of values, with autograd's names. `adjoint.check_grads` is the more exact one."""

import itertools

import numpy as np

from ..core import tree
from ..core.types import typeof
from .differential_operators import floating, make_jvp, make_vjp, nary

TOL = RTOL = EPS = 1e-6


def scalar_close(a, b):
    """Whether two numbers agree to 1e-6, absolutely or relatively."""
    return abs(a - b) < TOL or abs(a - b) / abs(a + b) < RTOL


def _random(x):
    def draw(leaf):
        t = typeof(leaf)
        r = np.random.normal(size=t.shape)
        if t.dtype.kind == "c":
            r = r + 1j * np.random.normal(size=t.shape)
        return np.asarray(r, t.dtype if t.dtype.kind in "fc" else float)[()]

    return tree.map(draw, x)


def _inner(a, b):
    """The real part of the plain product: what a vjp without conjugation preserves."""
    rows = zip(tree.flatten(a)[0], tree.flatten(b)[0], strict=True)
    return sum(float(np.real(np.sum(np.asarray(u) * np.asarray(v)))) for u, v in rows)


def _difference(f, x, t):
    up = f(tree.map(lambda a, b: a + EPS / 2 * b, x, t))
    down = f(tree.map(lambda a, b: a - EPS / 2 * b, x, t))
    return tree.map(lambda a, b: (np.asarray(a) - np.asarray(b)) / EPS, up, down)


def check_vjp(f, x):
    """Reverse mode of a function of one argument against a difference."""
    vjp, y = make_vjp(f)(x)
    t, g = _random(x), _random(y)
    pulled = vjp(g)
    _same_kind(x, pulled)
    exact, numeric = _inner(pulled, t), _inner(g, _difference(f, x, t))
    name = getattr(f, "__name__", "f")
    assert scalar_close(exact, numeric), (
        f"Derivative (VJP) check of {name} failed at {x}: {exact} by the rules, {numeric} by differences"
    )


def check_jvp(f, x):
    """Forward mode of a function of one argument against a difference."""
    t = _random(x)
    y, exact = make_jvp(f)(x)(t)
    numeric = _difference(f, x, t)
    _same_kind(y, exact)
    g = _random(y)
    a, b = _inner(g, exact), _inner(g, numeric)
    name = getattr(f, "__name__", "f")
    assert scalar_close(a, b), f"Derivative (JVP) check of {name} failed at {x}: {a} by the rules, {b} by differences"


def _same_kind(x, y):
    xs, ys = tree.flatten(x)[0], tree.flatten(y)[0]
    same = len(xs) == len(ys) and all(
        typeof(a).shape == typeof(b).shape and (typeof(a).dtype.kind == "c") == (typeof(b).dtype.kind == "c")
        for a, b in zip(xs, ys, strict=True)
    )
    assert same, f"different kinds: {xs} and {ys}"


def check_equivalent(x, y):
    """Whether two containers have the same structure and the same numbers."""
    _same_kind(x, y)
    v = _random(x)
    assert scalar_close(_inner(x, v), _inner(y, v)), f"different values: {x} and {y}"


@nary
def check_grads(f, x, modes=("fwd", "rev"), order=2):
    """check_grads(f, argnum, modes, order)(*args): AssertionError where derivatives disagree with differences."""
    modes = ("fwd", "rev") if modes is None else modes
    assert all(mode in ("fwd", "rev") for mode in modes)
    x = floating(x)
    name = getattr(f, "__name__", "f")
    for mode in modes:
        (check_jvp if mode == "fwd" else check_vjp)(f, x)
        if order > 1:
            v = _random(x if mode == "fwd" else f(x))

            def derivative(x, v, mode=mode):
                return make_jvp(f)(x)(v)[1] if mode == "fwd" else make_vjp(f)(x)[0](v)

            derivative.__name__ = f"{'jvp' if mode == 'fwd' else 'vjp'}_{name}"
            check_grads(derivative, (0, 1), modes, order=order - 1)(x, v)


def combo_check(fun, *args, **kwargs):
    """combo_check(f, argnum)(choices, ..., key=choices): check_grads of each combination of the choices."""

    def check(*choices, **named):
        for row in itertools.product(*choices):
            for values in itertools.product(*named.values()):
                check_grads(fun, *args, **kwargs)(*row, **dict(zip(named, values, strict=True)))

    return check
