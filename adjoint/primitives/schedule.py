"""Checkpoint schedules: loops whose backward pass keeps few states and runs stretches of the loop again.

Backward, a loop of T steps needs the state of each. Cut into stretches, and these into stretches again, only the states at
the cuts of the present stretch are kept: with a fan of k at each of L levels, T = k^L, k L states instead of T, and each step
runs at most L + 1 times. (The optimal schedule is binomial, Griewank & Walther, "revolve", ACM TOMS 26, 2000; equal
stretches need a few states more, and stay plain loops.) A stretch is a `call` whose graph is marked "checkpoint": it saves
its arguments alone.
"""

import functools
import math
from collections.abc import Callable
from contextvars import ContextVar

import numpy as np

from ..core.op import bind
from ..core.tuples import items
from ..core.types import Array, typeof
from ..traces.capture import capture
from .branches import call, call_op
from .loops import scan_op, while_op

SCHEDULE: ContextVar = ContextVar("schedule", default=None)  # None: every state is kept; "log"
FAN = 10  # about how many states a level keeps
LEVELS = 3  # of a loop of unknown length: beyond FAN**LEVELS steps one state more is kept each FAN**LEVELS steps


def loop(op, args, params, emit=None):
    """The outputs of a while_loop or scan, by the schedule that is in force. emit(op, args, params): other than `bind`."""
    if SCHEDULE.get() is not None:
        graph = (scan_graph if op is scan_op else while_graph)(**params, types=[typeof(x) for x in args])
        if graph is not None:
            op, params = call_op, {"graph": graph}
    return items(bind(op, *args, **params) if emit is None else emit(op, args, params))


def scan_graph(body, n, m, reverse, length, types):
    """A scan as a graph of nested ones, for arguments of these types; None where it stays one loop."""
    if length is None or length <= 2 * FAN or body.effect:
        return None
    if any(type(v.type) is not Array for v in body.outputs[n:]):
        return None
    size = _stretch(length)
    whole = length // size
    cut = whole * size
    carry, xs, constants = [v.type for v in body.inputs[:n]], types[n : n + m], types[n + m :]

    def stretch(steps):
        """That many steps, as a graph that is run again for its backward pass."""
        parts = [*carry, *(Array((steps, *t.shape[1:]), t.dtype) for t in xs), *constants]

        def run(*args):
            return items(bind(scan_op, *args, body=body, n=n, m=m, reverse=reverse, length=steps))

        graph = scan_graph(body, n, m, reverse, steps, parts) or capture(run, *parts, name="stretch")
        graph.cache["checkpoint"] = True
        return graph, parts

    inner, parts = stretch(size)
    outer = capture(lambda *args: call(inner, *args), *parts, name="stretches")
    last = stretch(length - cut)[0] if cut < length else None

    def run(*args):
        state, arrays, rest = args[:n], args[n : n + m], args[n + m :]

        def stretches(state):
            blocks = [np.reshape(x[:cut], (whole, size, *x.shape[1:])) for x in arrays]
            row = (*state, *blocks, *rest)
            out = items(bind(scan_op, *row, body=outer, n=n, m=m, reverse=reverse, length=whole))
            return out[:n], [np.reshape(y, (cut, *y.shape[2:])) for y in out[n:]]

        def remainder(state):
            out = call(last, *state, *(x[cut:] for x in arrays), *rest)
            return out[:n], out[n:]

        if last is None:
            state, ys = stretches(state)
            return [*state, *ys]
        if reverse:
            state, tail = remainder(state)
            state, head = stretches(state)
        else:
            state, head = stretches(state)
            state, tail = remainder(state)
        return [*state, *(np.concatenate([a, b]) for a, b in zip(head, tail, strict=True))]

    return capture(run, *types, name=body.name)


def _stretch(length):
    """How many steps a stretch has: a power, so that stretches within it leave no remainder, and little is left of the loop."""
    levels = max(2, round(math.log(length, FAN)))

    def price(k):
        """The states kept, and what makes the code longer: a part for each digit of what is left."""
        whole, left = divmod(length, k ** (levels - 1))
        parts = 0
        while left:
            left, digit = divmod(left, k)
            parts += digit != 0
        return (whole if whole else length) + (levels - 1) * k + FAN * parts

    return min(range(2, 2 * FAN), key=price) ** (levels - 1)


def while_graph(cond, body, n, types):
    """A while loop as a graph of nested ones, for arguments of these types; None where it stays one loop."""
    if body.effect or len(body.outputs) > n:
        return None
    c = len(cond.inputs) - n

    def once(*args):
        return body.run(*args[:n], *args[n + c :])

    step: Callable = once

    for _ in range(LEVELS):

        def at_most(*args, step=step):
            """A few steps, until the test fails."""

            def test(*xs):
                return [np.logical_and(cond.run(*xs[:n], *xs[n + 1 : n + 1 + c])[0], xs[n] < FAN)]

            def counted(*xs):
                return [*step(*xs[:n], *xs[n + 1 :]), xs[n] + 1]

            row = [*types[:n], _COUNTER, *types[n:]]
            loop = {
                "cond": capture(test, *row[: n + 1 + c], name="cond"),
                "body": capture(counted, *row, name="body"),
            }
            return items(bind(while_op, *args[:n], 0, *args[n : n + c], *args[n:], n=n + 1, **loop))[:n]

        graph = capture(at_most, *types, name="stretch")
        graph.cache["checkpoint"] = True

        step = functools.partial(call, graph)

    def run(*args):
        loop = capture(step, *types, name="stretches")
        return items(bind(while_op, *args[:n], *args[n : n + c], *args[n:], cond=cond, body=loop, n=n))

    return capture(run, *types, name=body.name)


_COUNTER = Array((), np.dtype(np.int64), True)
