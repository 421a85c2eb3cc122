"""What a staged program does beside computing: `check` raises the user's own exception, `show` prints.

Both have an effect: they stay in a graph though nobody reads their result, in order, once for each time the program
would have done it. Their first argument says whether they do it. So a batch, in which one lane goes where another
does not, can leave it to the lanes that go there: `guarded`.
"""

import numpy as np

from ..core.op import OPS, Op, bind
from ..core.tensor import is_tensor, peek
from ..core.types import Array
from ..traces.graph import Graph, Line, Var

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


def _show_eval(when, *values, show):
    if when:
        show(*values)
    return np.False_


show_op = Op("show", _show_eval, kind="control", type=lambda when, *types, show: _FLAG, effect=True)


def guarded(graph):
    """The graph with one more input, which says whether its effects take place."""
    if "guarded" not in graph.cache:
        mask = Var(_FLAG)
        lines = []
        for line in graph.lines:
            args, params = line.args, line.params
            if line.op.effect:
                both = Var(_FLAG)
                lines.append(Line(both, OPS["logical_and"], [args[0], mask], {}, line.where))
                args = [both, *args[1:]]
            elif line.effect:
                args = [*args, mask]
                # the test of a loop has no effect, and does not see its body's constants
                params = {k: guarded(p) if type(p) is Graph and k != "cond" else p for k, p in params.items()}
            lines.append(Line(line.out, line.op, args, params, line.where))
        graph.cache["guarded"] = Graph([*graph.inputs, mask], lines, graph.outputs, graph.structure, (), graph.name)
    return graph.cache["guarded"]


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


def _format(v, conversion, spec):
    if conversion != -1:
        v = {97: ascii, 114: repr, 115: str}[conversion](v)
    try:
        return format(v, spec)
    except TypeError:
        return str(v)  # a value that never gets known
