"""Ops that change how a function is differentiated: stop_gradient and custom_rule."""

import numpy as np

from ..core import tree
from ..core.derived import derive
from ..core.errors import AdjointError, EscapeError, RuleError, defined, where
from ..core.guard import frozen
from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.tensor import is_tensor, untracked
from ..core.tuples import Parts, items
from ..core.types import Tuple, typeof
from ..traces.graph import stand_in
from ..traces.reverse import Tape, walk
from .kinds import cast, zeros_like

# a recording may read the same memory: the constant is read-only, and a write into it as a tensor copies it
_stop = Op("stop_gradient", frozen, kind="nondiff", type=lambda x: x, batch=lambda size, batched, x: bind(_stop, x),
           sample=lambda rng: [((rng.normal(size=3),), {})])  # fmt: skip


def stop_gradient(x):
    """The same values as a constant: no derivative flows through. Containers pass leaf by leaf.

    >>> import adjoint as ad
    >>> ad.grad(lambda x: ad.stop_gradient(x * x) * x)(3.0)
    9.0
    """
    leaves, structure = tree.flatten(x)
    return tree.unflatten(structure, [_constant(leaf) if is_tensor(leaf) else leaf for leaf in leaves])


def _constant(x):
    return untracked(x.value) if x.trace is None else bind(_stop, x)


def custom_rule(f, jvp=None, vjp=None, batch=None, like=None):
    """f with a derivative rule of your own. One of jvp and vjp suffices if it is written with np or adjoint functions.

    jvp(ts, y, *args) -> tangent of y; ts has one tangent an argument, zeros where an argument is constant.
    vjp(g, y, *args) -> one cotangent an argument (a tuple; the cotangent itself for a single argument), in the shapes of
    the arguments; None for an argument without derivative. batch(*args): f of arguments with a leading batch axis each
    (default: f itself is mapped). f takes arrays, numbers or containers of them, and returns one or a tuple of them.
    like(*args) -> arrays of the shapes and dtypes that f returns: under jit these must be known before f can run. Without
    it f is called once on ones, which not every function bears: a solver may find no solution there.
    Raises RuleError where a rule returns the wrong shapes or number.

    >>> import numpy as np, adjoint as ad
    >>> cube = ad.custom_rule(lambda x: x ** 3, vjp=lambda g, y, x: g * 3 * x ** 2)
    >>> ad.grad(cube)(2.0), ad.grad(ad.grad(cube))(2.0), ad.jvp(cube, (2.0,), (1.0,))[1]
    (12.0, 12.0, 12.0)
    """
    if jvp is None and vjp is None:
        raise RuleError(f"custom_rule of {defined(f)} needs a jvp or a vjp")
    name = getattr(f, "__name__", "f")

    def call(*args, **kwargs):
        leaves, structure = tree.flatten(args)
        structures: list = []

        def evaluate(*leaves):
            y = f(*tree.unflatten(structure, list(map(frozen, leaves))), **kwargs)
            outs, out_structure = tree.flatten(y)
            structures[:] = [out_structure]
            outs = [_own_value(name, o, leaves) for o in outs]
            return outs[0] if len(outs) == 1 else tuple(outs)

        def kind(*types):
            ones = list(map(stand_in, types))
            with np.errstate(all="ignore"):
                if like is not None:
                    outs, out_structure = tree.flatten(like(*tree.unflatten(structure, ones)))
                    structures[:] = [out_structure]
                    return typeof(outs[0] if len(outs) == 1 else tuple(outs))
                try:
                    return typeof(evaluate(*ones))
                except AdjointError:
                    raise
                except Exception as error:
                    raise RuleError(
                        f"what {defined(f)}, a function with a custom rule, returns must be known before it runs, under jit{where()}; it "
                        f"was called on ones to see it, and raised {type(error).__name__}: {error}; say what it returns: "
                        "custom_rule(..., like=lambda x: x) for a result of the shape and dtype of x"
                    ) from error

        def user_vjp(wants, g, y, *leaves):
            gy = tree.unflatten(structures[0], _dense(g, y)) if structures else g
            yy = tree.unflatten(structures[0], [y] if type(typeof(y)) is not Tuple else list(items(y)))
            back = vjp(gy, yy, *tree.unflatten(structure, leaves))
            return _check_cotangents(name, back, args, structure, leaves)

        def user_jvp(ts, y, *leaves):
            full = [zeros_like(a) if t is None else t for t, a in zip(ts, leaves, strict=True)]
            yy = tree.unflatten(structures[0], [y] if type(typeof(y)) is not Tuple else list(items(y)))
            t = jvp(tree.unflatten(structure, full), yy, *tree.unflatten(structure, leaves))
            outs = tree.match(structures[0], t, "tangent that the jvp rule returns")
            ys = [y] if len(outs) == 1 else items(y)
            for o, v in zip(outs, ys, strict=True):
                if shape_of(o) != shape_of(v):
                    raise RuleError(
                        f"the jvp rule of {name} returned a tangent of shape {shape_of(o)} for a value of shape {shape_of(v)}{where()}"
                    )
            return outs[0] if len(outs) == 1 else tuple(outs)

        def mapped(size, batched, *leaves):
            def front(x, b):
                return x if b else np.broadcast_to(x, (size, *shape_of(x)))

            y = batch(*tree.unflatten(structure, [front(x, b) for x, b in zip(leaves, batched, strict=True)]))
            outs, structures[:] = tree.flatten(y)[0], [tree.flatten(y)[1]]
            return outs[0] if len(outs) == 1 else tuple(outs)

        op = Op(
            f"custom_{name}",
            evaluate,
            kind="general",
            jvp=user_jvp if jvp is not None else _transposed_vjp(user_vjp),
            vjp=user_vjp if vjp is not None else _transposed_jvp(user_jvp),
            batch=None if batch is None else mapped,
            register=False,
            type=kind,
            saves=((True,) * (len(leaves) + 1), True),
        )
        y = bind(op, *leaves)
        if not structures:
            raise RuleError(f"custom_rule of {name}: the function was not evaluated")
        n = structures[0].leaves
        return tree.unflatten(structures[0], [y] if n == 1 else list(items(y)))

    return derive(call, f, "custom rule", custom_rule, f, jvp, vjp, batch, like)


def _own_value(name, y, args):
    """A result of f on the values of its arguments; one that is still tracked comes from a closure."""
    if is_tensor(y):
        if y.trace is None:
            return y.value
        levels = [a.trace.level for a in args if is_tensor(a) and a.trace is not None]
        if y.trace.level > max(levels, default=-1):
            raise EscapeError(
                f"{name}, a function with a custom rule, uses a tensor that is being differentiated and is not its argument{where()}; "
                "pass it as an argument, so that the rule can see it"
            )
    return y


def _dense(g, y):
    """The cotangents of the results, zeros where there are none."""
    if type(g) is Parts:
        return [zeros_like(t) if e is None else e for e, t in zip(g.parts, typeof(y).elems, strict=True)]
    return [g] if type(typeof(y)) is not Tuple else list(items(g))


def _check_cotangents(name, back, args, structure, leaves):
    if back is None and args:  # it would read as "no argument has a derivative", and be a gradient of zeros
        raise RuleError(
            f"the vjp rule of {name} returned None{where()}; it has no return statement? "
            "Where no argument has a derivative, return a tuple of None"
        )
    if len(args) == 1 and not (type(back) is tuple and len(back) == 1):
        back = (back,)
    if type(back) not in (tuple, list) or len(back) != len(args):
        raise RuleError(
            f"the vjp rule of {name} must return {len(args)} cotangents, one an argument, not {back!r:.80}{where()}"
        )
    out = []
    at = 0
    for child, g in zip(structure.children, back, strict=True):
        n = child.leaves
        gs = [None] * n if g is None else tree.match(child, g, f"cotangent that the vjp rule of {name} returns")
        for gi, a in zip(gs, leaves[at : at + n], strict=True):
            if gi is not None:
                kind = typeof(a)
                if shape_of(gi) != kind.shape:
                    raise RuleError(
                        f"the vjp rule of {name} returned a cotangent of shape {shape_of(gi)} "
                        f"for an argument of shape {kind.shape}{where()}"
                    )
                gi = gi if typeof(gi).dtype == kind.dtype else cast(gi if is_tensor(gi) else np.asarray(gi), kind.dtype)
            out.append(gi)
        at += n
    return tuple(out)


def _transposed_jvp(jvp):
    """The vjp that belongs to a jvp: its transpose as a linear function of the tangents."""

    def vjp(wants, g, y, *args):
        tape = Tape()
        ts = [tape.leaf(zeros_like(a)[()]) if w else None for w, a in zip(wants, args, strict=True)]
        serials = [x.info[0] if w else None for w, x in zip(wants, ts, strict=True)]
        t = jvp(ts, y, *args)
        tape.close()
        seeds = _seeds(tape, t, g)
        found = walk(seeds, careful=True)
        return tuple(found[k][1] if k in found else None for k in serials)

    return vjp


def _seeds(tape, t, g):
    if type(t) is tuple:
        parts = g.parts if type(g) is Parts else items(g)
        return [s for e, ge in zip(t, parts, strict=True) if ge is not None for s in _seeds(tape, e, ge)]
    return [(t.info, g)] if is_tensor(t) and t.trace is tape else []


def _transposed_vjp(vjp):
    """The jvp that belongs to a vjp: its transpose as a linear function of the cotangent."""

    def jvp(ts, y, *args):
        tape = Tape()
        many = type(typeof(y)) is Tuple
        zeros = [tape.leaf(zeros_like(e)[()]) for e in (items(y) if many else (y,))]
        serials = [z.info[0] for z in zeros]
        back = vjp([t is not None for t in ts], Parts(zeros) if many else zeros[0], y, *args)
        tape.close()
        seeds = [
            (b.info, t) for b, t in zip(back, ts, strict=True) if t is not None and is_tensor(b) and b.trace is tape
        ]
        found = walk(seeds, careful=True)
        out = [found[k][1] if k in found else None for k in serials]
        return tuple(out) if many else out[0]

    return jvp
