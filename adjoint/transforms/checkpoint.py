"""Trade time for memory: do not keep what a function computes inside, run it again in the backward pass."""

import numpy as np

from ..core import tree
from ..core.derived import derive
from ..core.errors import EscapeError, MutationError, defined, rewriting, where
from ..core.guard import frozen
from ..core.op import Op, bind
from ..core.tensor import is_tensor, make, peek
from ..core.tuples import Parts, items, spread
from ..core.types import Tuple
from ..traces.batch import Batch
from ..traces.capture import capture
from ..traces.forward import Dual
from ..traces.reverse import Tape, walk
from .calling import call, loses, strip


def _same(a, b):
    return np.array_equal(a, b, equal_nan=True)


def _near(a, b):
    if _same(a, b):
        return True
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype.kind not in "fc":
        return False
    rtol = float(np.finfo(a.dtype).eps) ** 0.6  # 4e-10 for float64
    return np.allclose(a, b, rtol, rtol * np.max(np.abs(b[np.isfinite(b)]), initial=0), equal_nan=True)


def _check_same(f, outs, before):
    """Raise unless running f again gave the values of the first run; to rounding where it ran as its copy (math.sin is NumPy's there)."""
    same = _near if loses(f) else _same
    for a, b in zip(outs, before, strict=True):
        (known_a, a), (known_b, b) = peek(a), peek(b)
        if known_a and known_b and not same(a, b):
            raise MutationError(
                f"the checkpointed function {defined(f)} gave another value when it was run again for the backward pass{where()}: "
                "it reads something that has changed (an array, a random generator); pass that as an argument"
            )


def checkpoint(f):
    """f, remembering only its arguments for the backward pass: what it computes inside is computed again there.

    f takes and returns arrays, numbers or containers of them. Values and derivatives are those of f. Raises MutationError
    where the second run gives another value, as by an array that has changed or a random draw. In compiled code
    `jit(f, checkpoint="log")` does the like for the steps of each loop.

    >>> import numpy as np, adjoint as ad
    >>> ad.grad(ad.checkpoint(lambda x: np.sin(np.sin(x))))(0.0)
    1.0
    """

    def checkpointed(*args, **kwargs):
        copy_of = rewriting.get()
        g = None if copy_of is None else copy_of(f)  # kept: the backward pass runs it too
        leaves, structure = tree.flatten((args, kwargs))
        out_structure: list = []

        def run(*leaves):
            a, k = tree.unflatten(structure, leaves)
            outs, theirs = tree.flatten(
                call(f, a, k, [x for x in leaves if is_tensor(x)]) if copy_of is None else g(*a, **k)
            )
            out_structure[:] = [theirs]
            return tuple(outs)

        def evaluate(*leaves):
            top = max((x.trace.level for x in leaves if is_tensor(x) and x.trace is not None), default=-1)
            outs = run(*map(frozen, leaves))
            for y in outs:
                if is_tensor(y) and y.trace is not None and y.trace.level > top:
                    raise EscapeError(
                        f"the checkpointed function {defined(f)} uses a tensor that is being differentiated and is not its argument"
                        f"{where()}; pass it as an argument, so that its derivative is not lost"
                    )
            return tuple(y.value if is_tensor(y) and y.trace is None else y for y in outs)

        def vjp(wants, g, y, *leaves):
            tape = Tape()
            inputs = [tape.leaf(x) if w else frozen(x) for x, w in zip(leaves, wants, strict=True)]
            serials = [x.info[0] if w else None for x, w in zip(inputs, wants, strict=True)]
            outs = run(*inputs)
            tape.close()
            _check_same(f, outs, items(y))
            parts = g.parts if type(g) is Parts else items(g)
            seeds = []
            for y, e in zip(outs, parts, strict=True):
                _, node = strip(tape, y)
                if node is not None and e is not None:
                    seeds.append((node, e))
            found = walk(seeds, careful=True)
            return [found[k][1] if k in found else None for k in serials]

        def dual(ts, *leaves):
            trace = Dual()
            outs = run(*[make(x, trace, t) if t is not None else x for x, t in zip(leaves, ts, strict=True)])
            trace.close()
            pairs = [strip(trace, y) for y in outs]
            return tuple(v for v, _ in pairs), tuple(t for _, t in pairs)

        def batch(size, batched, *leaves):
            trace = Batch(size)
            outs = run(*[make(x, trace, None) if b else x for x, b in zip(leaves, batched, strict=True)])
            trace.close()
            return tuple(y.value if is_tensor(y) and y.trace is trace else spread(size, y) for y in outs)

        def type_rule(*types):
            return Tuple(v.type for v in capture(run, *types).outputs)

        op = Op("checkpoint", evaluate, kind="control", type=type_rule, vjp=vjp, dual=dual, batch=batch, register=False)
        outs = items(bind(op, *leaves))  # before out_structure is read: running f fills it
        return tree.unflatten(out_structure[0], outs)

    return derive(checkpointed, f, "checkpoint", checkpoint, f)
