"""What a staged program does beside computing: `check` raises the user's own exception, `show` prints.

Both have an effect: they stay in a graph though nobody reads their result, in order, once for each time the program
would have done it. Their first argument says whether they do it. So a batch, in which one lane goes where another
does not, can leave it to the lanes that go there: `guarded`.
"""

import numpy as np

from ..core.op import OPS, Op, bind
from ..core.tensor import is_tensor, peek
from ..core.types import Array
from ..traces.graph import Const, Graph, Line, Var, infer

_FLAG = Array((), np.dtype(bool))


def _check_eval(bad, *values, make):
    if np.any(bad):
        raise make(*values)
    return np.False_


def _check_batch(size, batched, bad, *values, make):
    # the first lane that fails speaks; where none does, nobody reads its values
    if batched[0]:
        lane = np.argmax(bad)
        values = [v[lane] if b else v for v, b in zip(values, batched[1:], strict=True)]
        bad = np.any(bad)
    else:
        values = [v[0] if b else v for v, b in zip(values, batched[1:], strict=True)]
    done = bind(check_op, bad, *values, make=make)
    return np.broadcast_to(done, (size,)) if is_tensor(done) else np.full(size, done)


check_op = Op(
    "check",
    _check_eval,
    kind="control",
    type=lambda bad, *types, make: _FLAG,
    batch=_check_batch,
    effect=True,
)


class Again:
    """Makes an exception again, each time that it is raised."""

    def __init__(self, error):
        self.kind, self.args = type(error), error.args

    def __call__(self):
        return self.kind(*self.args)


def _show_eval(when, *values, show):
    if when:
        show(*values)
    return np.False_


show_op = Op("show", _show_eval, kind="control", type=lambda when, *types, show: _FLAG, effect=True)


# The ops that may fail on values that the program would not have come to: the first of their arguments that is an index, or the matrix
_INDEXED = {"getitem": 1, "scatter": 1, "index_set": 2}
_MATRICES = ("cholesky", "inv", "solve")
_BODIES = ("call", "cond", "scan", "while_loop")  # what they call gets the last of their arguments last


def careful(graph):
    """Whether a lane of a batch that does not take this way must be kept from it: it prints, raises, may index what is not there, may
    meet a matrix that cannot be inverted, or go round a loop for ever."""
    if "careful" not in graph.cache:
        graph.cache["careful"] = any(map(_careful_line, graph.lines))
    return graph.cache["careful"]


def _careful_line(line):
    name = line.op.name
    if line.effect or name == "while_loop" or name in _MATRICES:
        return True
    if name in _INDEXED:
        return any(map(_is_index, line.args[_INDEXED[name] :]))
    return name in _BODIES and any(type(p) is Graph and careful(p) for p in line.params.values())


def _is_index(x):
    return type(x) is Var and x.type.dtype.kind in "iu"


def guarded(graph):
    """The graph with one more input, which says whether it is taken: if not, it has no effects, indexes with 0, inverts the identity,
    and goes round no loop of unknown length."""
    if "guarded" not in graph.cache:
        mask = Var(_FLAG)
        lines: list = []

        def line(op, *args):
            out = Var(infer(OPS[op], [a.type for a in args], {}))
            lines.append(Line(out, OPS[op], list(args), {}, before.where))
            return out

        for before in graph.lines:
            op, args, params = before.op, list(before.args), before.params
            if op.effect:
                args[0] = line("logical_and", args[0], mask)
            elif op.name in _INDEXED:
                k = _INDEXED[op.name]
                args[k:] = [line("where", mask, a, Const(0)) if _is_index(a) else a for a in args[k:]]
            elif op.name in _MATRICES and type(args[0]) is Var:
                t = args[0].type
                args[0] = line("where", mask, args[0], Const(np.eye(t.shape[-1], dtype=t.dtype)))
            elif op.name == "while_loop":
                args.insert(len(params["cond"].inputs), mask)
                params = {**params, "cond": _entered(params["cond"])}
                if careful(params["body"]):
                    args.append(mask)
                    params["body"] = guarded(params["body"])
            elif before.effect or _careful_line(before):
                args.append(mask)
                params = {k: guarded(p) if type(p) is Graph else p for k, p in params.items()}
            lines.append(Line(before.out, op, args, params, before.where))
        graph.cache["guarded"] = Graph([*graph.inputs, mask], lines, graph.outputs, graph.structure, (), graph.name)
    return graph.cache["guarded"]


def _entered(test):
    """The test of a loop with one more input, which says whether it is taken: if not, it fails."""
    inner = guarded(test)
    out = Var(_FLAG)
    line = Line(out, OPS["logical_and"], [inner.inputs[-1], inner.outputs[0]], {})
    return Graph(inner.inputs, [*inner.lines, line], [out], test.structure, (), test.name)


def debug(text, *values, **named):
    """Print text.format(*values, **named), also from compiled code and under every transform: when it runs, in order.

    values: arrays, numbers or tensors. Differentiated code prints in its forward pass alone; under vmap each lane prints.

    >>> import adjoint as ad
    >>> @ad.jit
    ... def f(x):
    ...     while x < 10.0:
    ...         x = x * x
    ...         ad.debug("x is {:.1f}", x)
    ...     return x
    >>> ad.grad(f)(2.0)
    x is 4.0
    x is 16.0
    32.0
    """
    printer, row = debugging(text, values, named)
    if row:
        bind(show_op, np.True_, *row, show=printer)
    else:
        printer()


def debugging(text, values, named):
    """(what prints, the values that it is to be given): what is known stands in it already."""
    row: list = []

    def place(x):
        known, value = peek(x) if is_tensor(x) else (True, x)
        if known:
            return value
        row.append(x)
        return Hole(len(row) - 1, None)

    return Debug(text, tuple(map(place, values)), {k: place(x) for k, x in named.items()}), row


class Debug:
    """Prints when the values are known."""

    def __init__(self, text, places, named):
        self.text, self.places, self.named = text, places, named

    def __call__(self, *values):
        def shown(x):
            x = values[x.number] if type(x) is Hole else x
            return x[()] if isinstance(x, np.ndarray) and not x.ndim else x

        print(self.text.format(*map(shown, self.places), **{k: shown(x) for k, x in self.named.items()}))


class Hole:
    """The place of a value in the arguments of an exception or a print."""

    __slots__ = ("number", "type")

    def __init__(self, number, type):
        self.number = number
        self.type = type


def hole(n, conversion=-1, spec=""):
    """The place of the n-th value inside a text: its conversion and format are applied when the value is known."""
    return f"\0{n},{conversion},{spec}\0"


def fill(x, values):
    """x (a text, a Hole, a tuple of them) with the values in its places."""
    if type(x) is str and "\0" in x:
        pieces = x.split("\0")
        for i in range(1, len(pieces), 2):
            n, conversion, spec = pieces[i].split(",", 2)
            pieces[i] = _format(values[int(n)], int(conversion), spec)
        return "".join(pieces)
    if type(x) is tuple:
        return tuple([fill(e, values) for e in x])
    return values[x.number] if type(x) is Hole else x


OPTIONS = -2  # in the place of a conversion: the value is a number, and the format the texts that it chooses from


def _format(v, conversion, spec):
    if conversion == OPTIONS:
        import ast

        return ast.literal_eval(spec).get(int(v), "")
    if conversion != -1:
        v = {97: ascii, 114: repr, 115: str}[conversion](v)
    try:
        return format(v, spec)
    except TypeError:
        return str(v)  # a value that never gets known
