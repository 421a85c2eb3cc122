"""Capture: record ops as lines of a Graph, without values. Outer values that the function closes over become inputs."""

import numpy as np

from ..core import tree
from ..core.errors import ConcreteError, user_line
from ..core.guard import are_unit_vectors, protect, unit_vectors
from ..core.op import Trace, explain
from ..core.tensor import Flat, Tensor, make, unknown
from ..core.types import typeof
from .graph import Const, Graph, Line, Var, infer

observers: list = []  # called with each Graph that is captured, while debug is on: views.trace


class Capture(Trace):
    """One capture. `value` of its tensors is their type, `info` their variable."""

    __slots__ = ("hidden", "lines")

    def __init__(self):
        super().__init__()
        self.lines = []
        self.hidden = {}  # id of a tensor of another trace -> (the tensor, its variable)

    def input(self, type):
        return make(type, self, Var(type))

    def process(self, op, args, params):
        if self.ended:
            self.escaped()
        row = [self.operand(a) for a in args]
        types = [v.type for v in row]
        try:
            out = Var(infer(op, types, params))
        except Exception as error:
            raise explain(error, op, types)
        self.lines.append(Line(out, op, row, params, user_line()))
        return make(out.type, self, out)

    def operand(self, x):
        """The variable or constant that stands for a value here."""
        if type(x) is Tensor or type(x) is Flat:
            if x.trace is self:
                return x.info
            if x.trace is not None:
                if x.trace.ended:
                    x.trace.escaped()
                if x.trace.level > self.level:  # of y.attach_grad() in here: the value that it was given is ours
                    return self.operand(x.trace.concrete(x, "the result"))
                if id(x) not in self.hidden:
                    self.hidden[id(x)] = (x, Var(typeof(x)))
                return self.hidden[id(x)][1]
            x = x.value
        if type(x) is np.ndarray:
            kept = protect(x)
            return Const(unit_vectors(kept) if are_unit_vectors(x) else kept)
        return Const(x)

    def typeof(self, tensor):
        return tensor.value

    def concrete(self, tensor, why):
        raise ConcreteError(unknown(tensor, why))


def capture(f, *args, name=None):
    """Run f on captured stand-ins for `args` (values, tensors or types; containers of them) and return the Graph."""
    trace = Capture()
    leaves, structure = tree.flatten(args)
    inputs = [trace.input(typeof(leaf)) for leaf in leaves]
    variables = [t.info for t in inputs]  # now: f may write into its arguments
    try:
        result = f(*tree.unflatten(structure, inputs))
        outs, out_structure = tree.flatten(result)
        outputs = [trace.operand(y) for y in outs]
    finally:
        trace.close()
    hidden = list(trace.hidden.values())
    variables += [v for _, v in hidden]
    name = name or getattr(f, "__name__", "f").replace("<lambda>", "f")
    graph = Graph(variables, trace.lines, outputs, out_structure, [x for x, _ in hidden], name).prune()
    for observe in observers:
        observe(graph)
    return graph
