"""Operations with rules of the user's: primitive, defvjp, defjvp and their relatives, as in autograd.extend.

A vjp maker gets (ans, *args, **kwargs) and returns g -> cotangent, without conjugation. The function runs on plain
values. Where only one of the two kinds of rules is given, the other is its transpose.
"""

import functools

import numpy as np

from ..core import tree
from ..core.errors import MissingRuleError, RuleError, warn, where
from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.tensor import is_tensor, peek
from ..core.tuples import items
from ..core.types import Tuple, typeof
from ..primitives.custom import _dense, _transposed_jvp, _transposed_vjp
from ..primitives.kinds import cast, zeros_like
from .agreement import check as check_agreement
from .boxes import Box as Box
from .differential_operators import conjugated
from .vspaces import VSpace as VSpace
from .vspaces import vspace as vspace


def primitive(f):
    """f as one operation. Its derivative is what defvjp or defjvp say; without them differentiation raises."""
    rules: dict = {}

    @functools.wraps(f)
    def call(*args, **kwargs):
        leaves, structure = tree.flatten(args)
        if not any(is_tensor(x) for x in leaves):
            return f(*args, **kwargs)
        return _bind(f, call, rules, leaves, structure, kwargs)

    call.rules = rules
    return call


def _bind(f, call, rules, leaves, structure, kwargs):
    name = getattr(f, "__name__", "f")
    out: list = []

    def evaluate(*leaves):
        values, found = tree.flatten(f(*tree.unflatten(structure, leaves), **kwargs))
        out[:] = [found]
        return values[0] if len(values) == 1 else tuple(values)

    def opened(y):
        many = type(typeof(y)) is Tuple
        return tree.unflatten(out[0], list(items(y)) if many else [y])

    def by_argument(flags):
        at = 0
        for i, child in enumerate(structure.children):
            yield i, child, flags[at : at + child.leaves]
            at += child.leaves

    def vjp(wants, g, y, *leaves):
        args, ans = tree.unflatten(structure, leaves), opened(y)
        g = conjugated(tree.unflatten(out[0], _dense(g, y)))
        wanted = [i for i, _, w in by_argument(wants) if any(w)]
        back = dict(zip(wanted, rules["vjp"](tuple(wanted), ans, args, kwargs)(g), strict=True))
        result: list = []
        for i, child, w in by_argument(wants):
            c = back.get(i)
            if c is None:
                result += [None] * len(w)
            else:
                result += tree.match(child, conjugated(c), f"cotangent that the vjp rule of {name} returns")
        return [c if c is None else _fitted(name, c, x) for c, x in zip(result, leaves, strict=True)]

    def jvp(ts, y, *leaves):
        args, ans = tree.unflatten(structure, leaves), opened(y)
        full = [zeros_like(x) if t is None else t for t, x in zip(ts, leaves, strict=True)]
        moving = [i for i, _, t in by_argument(ts) if any(e is not None for e in t)]
        at = {i: tree.unflatten(child, t) for i, child, t in by_argument(full)}
        t = rules["jvp"](tuple(moving), [at[i] for i in moving], ans, args, kwargs)
        ys = tree.flatten(ans)[0]
        outs = [zeros_like(v) for v in ys] if t is None else tree.match(out[0], t, f"tangent of {name}")
        outs = [_fitted(name, o, v) for o, v in zip(outs, ys, strict=True)]
        return outs[0] if len(outs) == 1 else tuple(outs)

    def linear(*_):
        raise MissingRuleError(
            f"the primitive {name} is declared linear by itself, which says nothing of its transpose{where()}; "
            "give it a vjp rule with defvjp"
        )

    def missing(*_):
        raise MissingRuleError(
            f"the primitive {name} has no derivative rule{where()}; give it one with defvjp or defjvp"
        )

    has_vjp, has_jvp = "vjp" in rules, "jvp" in rules
    op = Op(
        f"primitive_{name}",
        evaluate,
        kind="general",
        jvp=jvp if has_jvp else _transposed_vjp(vjp) if has_vjp else missing,
        vjp=vjp if has_vjp else linear if rules.get("linear") else _transposed_jvp(jvp) if has_jvp else missing,
        register=False,
        saves=((True,) * (len(leaves) + 1), True),
    )
    return opened(bind(op, *leaves))


def _fitted(name, c, x):
    """A (co)tangent in the dtype of its value; a rule that forgot to sum over broadcast axes is an error."""
    t = typeof(x)
    if t.dtype.kind in "iub":  # indices beside the result: nobody reads their derivative, whatever a rule says
        return zeros_like(x)
    if shape_of(c) != t.shape:
        raise RuleError(f"a rule of {name} returned shape {shape_of(c)} for a value of shape {t.shape}{where()}")
    return c if typeof(c).dtype == t.dtype else cast(c if is_tensor(c) else np.asarray(c), t.dtype)


def _give(fun, kind, maker, count=None, linear=False):
    """A primitive's rule; one for a function of NumPy's or SciPy's, which has its derivative, must agree with that.

    count: of arguments. A rule for a function of the user's that is no primitive is not used, as in autograd: with a warning.
    """
    rules = getattr(fun, "rules", None)
    if type(rules) is not dict:
        if (getattr(fun, "__module__", None) or "numpy").split(".")[0] in ("adjoint", "numpy", "scipy"):
            check_agreement(fun, kind, maker, count)
        else:
            warn(
                f"the {kind} rule of {getattr(fun, '__name__', fun)} is not used, as that is no primitive; decorate it with @primitive",
                UserWarning,
            )
    elif kind == "jvp":
        rules.update(jvp=maker, linear=linear)
    else:
        rules["vjp"] = maker


def defvjp_argnums(fun, vjpmaker, *, _count=None):
    """vjpmaker(argnums, ans, args, kwargs) returns g -> one cotangent for each of argnums."""
    _give(fun, "vjp", vjpmaker, _count)


def defvjp_argnum(fun, vjpmaker, *, _count=None):
    """vjpmaker(argnum, ans, args, kwargs) returns g -> the cotangent of that argument."""

    def maker(argnums, ans, args, kwargs):
        pulls = [vjpmaker(k, ans, args, kwargs) for k in argnums]
        return lambda g: [pull(g) for pull in pulls]

    defvjp_argnums(fun, maker, _count=_count)


def defvjp(fun, *vjpmakers, argnums=None):
    """One vjp maker an argument, (ans, *args, **kwargs) -> (g -> cotangent); None where there is no derivative."""
    makers = dict(zip(range(len(vjpmakers)) if argnums is None else argnums, vjpmakers, strict=False))

    def maker(argnum, ans, args, kwargs):
        if argnum not in makers:
            raise MissingRuleError(f"no vjp rule of {getattr(fun, '__name__', fun)} for argument {argnum}")
        rule = makers[argnum]
        return (lambda g: None) if rule is None else rule(ans, *args, **kwargs)

    defvjp_argnum(fun, maker, _count=max(makers, default=-1) + 1)


def defjvp_argnums(fun, jvpmaker, *, _count=None, _linear=False):
    """jvpmaker(argnums, ts, ans, args, kwargs) returns the tangent of the result."""
    _give(fun, "jvp", jvpmaker, _count, _linear)


def defjvp_argnum(fun, jvpmaker, *, _count=None, _linear=False):
    """jvpmaker(argnum, t, ans, args, kwargs) returns what the tangent of that argument adds."""

    def maker(argnums, ts, ans, args, kwargs):
        parts = [jvpmaker(k, t, ans, args, kwargs) for k, t in zip(argnums, ts, strict=True)]
        parts = [p for p in parts if p is not None]
        return functools.reduce(lambda a, b: tree.map(np.add, a, b), parts) if parts else None

    defjvp_argnums(fun, maker, _count=_count, _linear=_linear)


def defjvp(fun, *jvps, argnums=None):
    """One rule an argument, (t, ans, *args, **kwargs) -> tangent; "same" for a function linear in it; None for zero."""
    rules = dict(zip(range(len(jvps)) if argnums is None else argnums, jvps, strict=False))

    def maker(argnum, t, ans, args, kwargs):
        if argnum not in rules:
            raise MissingRuleError(f"no jvp rule of {getattr(fun, '__name__', fun)} for argument {argnum}")
        rule = rules[argnum]
        if isinstance(rule, str) and rule == "same":
            return fun(*args[:argnum], t, *args[argnum + 1 :], **kwargs)
        return None if rule is None else rule(t, ans, *args, **kwargs)

    same = any(isinstance(rule, str) and rule == "same" for rule in jvps)
    defjvp_argnum(fun, maker, _count=max(rules, default=-1) + 1, _linear=same)


def def_linear(fun):
    """Declare a function linear in each of its arguments."""
    defjvp_argnum(fun, lambda k, t, ans, args, kwargs: fun(*args[:k], t, *args[k + 1 :], **kwargs), _linear=True)


def notrace_primitive(f):
    """f on plain values: no derivative flows through it."""

    def value(x):
        return peek(x)[1] if is_tensor(x) else x

    @functools.wraps(f)
    def call(*args, **kwargs):
        return f(*tree.map(value, args), **tree.map(value, kwargs))

    return call
