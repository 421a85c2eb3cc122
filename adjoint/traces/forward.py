"""Forward mode: a tensor carries its tangent. Knows no particular op."""

from ..core.op import Trace, bind
from ..core.tensor import Flat, Tensor, make, untracked
from .graph import silenced


def level(x):
    """The level of the trace that sees a value; -1 of a plain one."""
    return x.trace.level if (type(x) is Tensor or type(x) is Flat) and x.trace is not None else -1


class Dual(Trace):
    """One forward pass; `info` of its tensors is the tangent. An absent tangent is None, and then there is no tensor."""

    __slots__ = ()

    def process(self, op, args, params):
        if self.ended:
            self.escaped()
        primals = []
        ts = []
        for a in args:
            mine = (type(a) is Tensor or type(a) is Flat) and a.trace is self
            primals.append(a.value if mine else a)
            ts.append(a.info if mine else None)
        if op.dual is not None:
            if max(map(level, ts)) > max(map(level, primals)):
                # linearize captures tangents; values are no part of that
                y = bind(op, *primals, **params)
                _, t = op.dual(ts, *primals, **silenced(params))
            else:
                y, t = op.dual(ts, *primals, **params)
        else:
            y = bind(op, *primals, **params)
            t = None if op.jvp is None else op.jvp(ts, y, *primals, **params)
        if t is None or (type(t) is tuple and all(e is None for e in t)):
            return untracked(y)
        return make(y, self, t)
