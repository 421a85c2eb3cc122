"""Rules for a function that has its own: accepted where they say the same, which is tried at a few points, else refused.

autograd has functions without a rule of one of the two modes, and programs add it: `defjvp(np.linalg.inv, ...)`. Here the
rule is there, and operators, methods and other functions use it as well; one that differs could not reach them all.
"""

import numpy as np

from ..core import tree
from ..core.errors import RuleError
from .differential_operators import make_jvp, make_vjp

_A, _B = np.array([[2.0, 0.3], [0.1, 1.5]]), np.array([[0.7, -0.4], [1.1, 0.6]])
_V = np.array([0.4, 1.7])
# By the number of rules: arguments for scalar functions (at 0 too, where many choose a value), of an order, of matrices.
_POINTS = {
    1: [(0.7,), (-0.4,), (0.0,), (3.2,), (_A,), (_V,)],
    2: [(0.7, 1.3), (-0.4, 0.6), (0.0, 0.0), (1.3, 1.3), (1, 0.7), (2, 3.2), (_A, _B), (_A, _V)],
    3: [(0.7, 0.3, 0.4), (0.3, 0.6, 1.2), (1.7, 0.5, 0.9), (_A, _B, _A)],
}


def check(fun, kind, maker, count=None):
    """RuleError unless the rules agree with the derivative that fun has. maker: of any arguments, as in `extend`."""
    name = getattr(fun, "__name__", fun)
    tried = 0
    for args in [args for n in ((count,) if count else _POINTS) for args in _POINTS.get(n, ())]:
        for k in range(len(args)):
            with np.errstate(all="ignore"):
                try:
                    ans = fun(*args)
                    seed = _seed(args[k] if kind == "jvp" else ans)
                    if kind == "jvp":
                        theirs = maker((k,), [seed], ans, list(args), {})
                    else:
                        theirs = maker((k,), ans, list(args), {})(seed)[0]
                    if theirs is None and isinstance(args[k], int):
                        continue  # an order, for which there is no derivative
                    operator = make_jvp(fun, k)(*args) if kind == "jvp" else make_vjp(fun, k)(*args)[0]
                    ours = operator(seed)[1] if kind == "jvp" else operator(seed)
                except Exception:  # no point of this function, or of the rule: its shapes, its domain
                    continue
            if not _same(ours, theirs):
                raise RuleError(
                    f"the {kind} rule for argument {k} of {name} differs from its derivative in adjoint at {args}, and would not reach "
                    f"every call of it; give the rule to a function of your own, my_{name} = primitive({name}), and call that"
                )
            tried += 1
    if not tried:
        raise RuleError(
            f"{name} is no primitive of yours, and has its derivative in adjoint; decorate a function with @primitive, or "
            f"drop the rule"
        )


def _seed(x):
    leaves, structure = tree.flatten(x)
    seeds = [np.asarray(0.3 + np.arange(np.size(v)).reshape(np.shape(v)) * 0.45)[()] for v in leaves]
    return tree.unflatten(structure, seeds)


def _same(ours, theirs):
    """Whether they agree wherever the user's rule gives a number: a formula that is nan at a pole wants no nan."""
    us = tree.flatten(ours)[0]
    if theirs is None:
        return not any(np.any(u) for u in us)
    ts = tree.flatten(theirs)[0]
    return len(us) == len(ts) and all(
        np.shape(u) == np.shape(t) and np.allclose(u, np.where(np.isfinite(t), t, u), 1e-8, 1e-10, equal_nan=True)
        for u, t in zip(us, ts, strict=True)
    )
