"""Outer: what a compiled function reads from outside its arguments: globals, closure cells, attributes, items.

Compiled code would not see that they change. So, while a function is captured, the rewritten copy of its source tells each
such read to the Recorder in force: an array becomes a hidden input, read anew at every call; anything else becomes a guard:
when it is no longer the very object, the function is captured anew. Parts of lists, dicts and objects that are reached from
outside are told in their turn.
"""

import types
import warnings

import numpy as np

from ..core.errors import where
from ..core.tensor import is_tensor
from ..core.types import typeof
from . import syntax


class Recorder(syntax.Recorder):
    """What one capture reads from outside."""

    def __init__(self, trace):
        super().__init__()
        self.trace = trace
        self.inputs: list = []  # (source, type, variable)
        self.guards: list = []  # (source, value)
        self._known: dict = {}
        self._said: set = set()

    def run(self, f, args, kwargs):
        """f in its rewritten form, on captured arguments."""
        with syntax.recording(self):
            return syntax.rewrite(f)(*args, **kwargs)

    def argument(self, x):
        """An argument that is compiled in: if it is an object, what is read of it is told."""
        if x is not None and not isinstance(x, _IMMUTABLE):
            self.adopt(x)

    def read(self, source, value):
        """What the captured function is to see for something that it reads from outside."""
        *source, _ = source
        source = ("ref", value) if source[0] == "default" else tuple(source)
        key = (source[0], *map(_name, source[1:]))
        if key in self._written:
            return value
        if key not in self._known:
            self._known[key] = self._seen(source, value)
        return self._known[key][1]

    def _seen(self, source, value):
        # kept with the value itself, so that its id stays taken
        if type(value) is np.ndarray or is_tensor(value):
            t = typeof(value)
            if t.dtype.kind in "biufc" and t.dtype.isnative:
                tensor = self.trace.input(t)
                self.inputs.append((source, t, tensor.info))
                return value, tensor
        self.guards.append((source, value))
        return value, super().read(source, value)

    def wrote(self, x, kind, name):
        """The function changes an object or a container of outside: that happens now, once, and not when it runs."""
        self._written.add((kind, id(x), _name(name)))
        if self.is_outer(x) and id(x) not in self._said:
            self._said.add(id(x))
            warnings.warn(
                f"a compiled function changes a {type(x).__name__} of outside ({kind} {name!r}){where()}: this happens once, when "
                "it is compiled, not at each call; return the value instead",
                RuntimeWarning,
                stacklevel=2,
            )

    def effect(self, op, args, params):
        """A print: part of what is compiled."""
        self.trace.process(op, tuple(args), params)


_IMMUTABLE = (str, bytes, bool, int, float, complex, np.generic, type, types.FunctionType, types.BuiltinFunctionType)


def _name(x):
    """What stands for an object in a key: names and numbers themselves, slices as text, anything else its identity."""
    return x if isinstance(x, (str, int)) else repr(x) if isinstance(x, (slice, tuple)) else id(x)


def read(source):
    """The present value of a source."""
    kind, holder, *name = source
    if kind in ("global", "item"):
        return holder[name[0]]
    if kind == "cell":
        return holder.cell_contents
    if kind == "attr":
        return getattr(holder, name[0])
    return holder


def same(source, value):
    """Whether a source still holds this object."""
    try:
        return read(source) is value
    except (KeyError, AttributeError, IndexError, ValueError):
        return False
