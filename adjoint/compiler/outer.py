"""Outer: what a compiled function reads from outside its arguments: globals, closure cells, attributes, items.

Compiled code would not see that they change. So, while a function is captured, the rewritten copy of its source tells each
such read to the Recorder in force: an array becomes a hidden input, read anew at every call; a number, string, function or
other immutable value becomes a guard: when it is no longer the very object, the function is captured anew.
"""

from contextvars import ContextVar

import numpy as np

from ..core.tensor import is_tensor
from ..core.types import typeof

CURRENT: ContextVar = ContextVar("adjoint_recorder", default=None)


class Recorder:
    """What one capture reads from outside. `read(source, value)` gives what the captured function is to see."""

    def __init__(self, trace):
        self.trace = trace
        self.inputs: list = []  # (source, type)
        self.variables: list = []  # (source, tensor, variable)
        self.guards: list = []  # (source, value)
        self._known: dict = {}

    def __enter__(self):
        self._token = CURRENT.set(self)
        return self

    def __exit__(self, *_):
        CURRENT.reset(self._token)

    def run(self, f, args, kwargs):
        """f in its rewritten form, on captured arguments."""
        return f(*args, **kwargs)

    def read(self, source, value):
        key = (source[0], *(x if isinstance(x, (str, int)) else id(x) for x in source[1:]))
        if key in self._known:
            return self._known[key]
        if type(value) is np.ndarray or is_tensor(value):
            t = typeof(value)
            if t.dtype.kind in "biufc":
                tensor = self.trace.input(t)
                self.inputs.append((source, t))
                self.variables.append((source, tensor, tensor.info))
                self._known[key] = tensor
                return tensor
        self._known[key] = value
        self.guards.append((source, value))
        return value


def read(source):
    """The present value of a source."""
    kind, where, *name = source
    if kind == "global":
        return where[name[0]]
    if kind == "cell":
        return where.cell_contents
    if kind == "attr":
        return getattr(where, name[0])
    if kind == "item":
        return where[name[0]]
    return where


def same(source, value):
    """Whether a source still holds this object."""
    try:
        return read(source) is value
    except (KeyError, AttributeError, IndexError, ValueError):
        return False
