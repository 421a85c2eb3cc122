"""Expand: ops that are better emitted as several simpler ones become these. What becomes of them is in `compositions`.

The values are NumPy's up to a few units in the last place, with the same NaNs and infinities.

Not expanded, as the code of one op is the better one: `strong_mul` (a product and a selection; `simplify` makes it a plain
product where it can), sigmoid, softplus, clip, relu, where, stack, concatenate, diagonal, prod, cumsum, cumprod.
"""

import numpy as np

from ...traces.capture import Capture
from ...traces.graph import Graph, Line
from .compositions import COMPOSITIONS
from .rewrite import is_number, once, pure, rebuild, splice

_made: dict = {}  # (op, types and numbers, params) -> the graph, or None


def expand(graph: Graph) -> Graph:
    """The graph with compositions in place of the ops that have one."""

    def start(b):
        def step(line):
            compose = COMPOSITIONS.get(line.op.name)
            if compose is None or not pure(line.op):
                return b.append(line)
            made = composition(compose, line)
            if made is None:
                return b.append(line)
            return splice(b, made, [a for a in line.args if not is_number(a)], step)[0]

        return step

    return rebuild(graph, start)


def composition(compose, line):
    """The graph that computes what the line does, of those of its arguments that are no numbers; None if there is none."""
    return once(_made, line, lambda: _compose(compose, line))


def _compose(compose, line):
    trace = Capture()
    xs = [a.value if is_number(a) else trace.input(a.type) for a in line.args]
    inputs = [x.info for x, a in zip(xs, line.args, strict=True) if not is_number(a)]
    try:
        with np.errstate(all="ignore"):
            y = compose(*xs, **line.params)
        if y is None:
            return None
        output = trace.operand(y)
    finally:
        trace.close()
    if output.type != line.out.type or trace.hidden:
        return None
    lines = [Line(e.out, e.op, e.args, e.params) for e in trace.lines]
    return Graph(inputs, lines, [output], None, (), line.op.name).prune()
