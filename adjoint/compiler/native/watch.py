"""Watch: whether a result holds a NaN is seen by the loop that computes it, while its vectors are in registers.

To look for it afterwards takes another walk through memory, which costs as much as the plain products save (see passes/plain.py)
where results are large. Knows which variables a result is made of, and the body of a loop; the emitter asks.
"""

import math

import numpy as np

from ...traces.graph import Const, Var
from .code import Value, register

JOINS = {"stack", "concatenate", "reshape", "transpose", "flip"}  # each entry of the result is one of an argument's
FEWEST = 256  # entries of a result that is watched: a smaller one is looked at afterwards
BITS = {4: np.dtype(np.int32), 8: np.dtype(np.int64)}


def parts(v, line_of, computed):
    """The variables that loops compute of which a result is put together; None if something else is in it, of which it is not known.

    line_of: by id of a variable. computed(v): whether a loop stores it. Inputs are not watched: no product has made their NaN.
    """
    out: list = []
    stack = [v]
    while stack:
        v = stack.pop()
        line = None if type(v) is Const else line_of.get(id(v))
        if line is None:
            continue
        if computed(v):
            out.append(v)
        elif line.op.name in JOINS:
            stack += line.args
        else:
            return None
    return out


def afterwards(graph, suspects):
    """How many entries have to be looked at afterwards."""
    line_of = {id(line.out): line for line in graph.lines}
    entrywise = {id(line.out) for line in graph.lines if line.op.kind == "elementwise" or line.op.name == "multiply"}
    rest = 0
    for k in suspects:
        v = graph.outputs[k]
        if v.type.size < FEWEST or parts(v, line_of, lambda v: id(v) in entrywise) is None:
            rest += v.type.size
    return rest


class Watch:
    """Which variables the loops of one graph watch, and where they note a NaN."""

    def __init__(self, emitter, suspects):
        plan, code = emitter.plan, emitter.code
        self.flags: list = []  # memory with a number that is not 0 where there was a NaN
        self.of: set = set()  # ids of the variables
        self.afterwards: list = []  # outputs to be looked at when all is done
        fit = {id(v) for step in plan.steps for v in getattr(step, "stores", ()) if self.fits(plan, step)}
        for k in suspects:
            v = emitter.graph.outputs[k]
            row = None
            if type(v) is Var and v.type.size >= FEWEST:
                row = parts(v, plan.line_of, lambda v: id(v) in fit)
            if row is None:
                self.afterwards.append(k)
            else:
                self.of |= {id(x) for x in row}
        self.code = code

    @staticmethod
    def fits(plan, group):
        """Whether a loop can watch: sums that keep an axis are laid out in ways of their own."""
        if math.prod(group.space) < FEWEST or group.sums:
            return False
        return all(line.out.type.size == 1 for line in group.lines if not plan.space[id(line.out)])

    def begin(self, emitter, group, nest):
        """What a loop watches: a reduction, and the variables; None if nothing."""
        row = [v for v in group.stores if id(v) in self.of and v.type.dtype.kind == "f"]
        if not row:
            return None
        dtype = BITS[max(v.type.dtype.itemsize for v in row)]
        mem = emitter.local(dtype, ())
        self.flags.append(mem)
        n = len(group.space)
        return nest.reduction("bitwise_or", dtype, [True] * n, mem, [0] * n), row

    def look(self, get, watched, known, machine):
        """Note the NaN of one vector: two at a time, as one comparison tells whether either is."""
        r, row = watched
        found = None
        kinds: dict = {}
        for v in row:
            kinds.setdefault(v.type.dtype, []).append(known[id(v)])
        for xs in kinds.values():
            for a, b in zip(xs[::2], xs[1::2] + [xs[-1]] * (len(xs) % 2)):
                t = machine.test("fcmp uno", a, b)
                found = t if found is None else machine._or(found, t)
        bits = Value(self.code.emit(f"sext {found} to {register(r.dtype, found.width)}"), r.dtype, found.width)
        get.reduce(r, bits)

    def found(self):
        """Whether one of the loops has seen a NaN: an i1."""
        nan = "false"
        for mem in self.flags:
            x = self.code.load(mem.ptr, mem.dtype)
            nan = self.code.emit(f"or i1 {nan}, {self.code.emit(f'icmp ne {x}, 0')}")
        return nan
