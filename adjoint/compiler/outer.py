"""Outer: what a compiled function reads from outside its arguments: globals, closure cells, attributes, items.

Compiled code would not see that they change. So, while a function is captured, the rewritten copy of its source tells each
such read to the Recorder in force: an array becomes a hidden input, read anew at every call, and so do the arrays in lists,
dicts and tuples (held.py); anything else becomes a guard: when it is no longer the very object, the function is captured
anew. Attributes of objects that are reached from outside are told in their turn.
"""

import types

import numpy as np

from ..core.errors import warn, where
from ..core.types import typeof
from . import syntax
from .held import Kept, Opened, entries, is_array, is_container, rebuilt


class Recorder(syntax.Recorder):
    """What one capture reads from outside."""

    def __init__(self, trace):
        super().__init__()
        self.trace = trace
        self.inputs: list = []  # (source, type or Opened, variables)
        self.tensors: list = []  # (tensor, its variable) of each array read
        self.guards: list = []  # (source, value)
        self._known: dict = {}
        self._copies: dict = {}  # of containers, with inputs in place of arrays: id -> the copy
        self._changed: dict = {}  # id -> a container or object that the function changes
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
        if source[0] == "default":
            self._defaults(*source[1:])
        source = ("ref", value) if source[0] == "default" else tuple(source)
        key = (source[0], *map(_name, source[1:]))
        if key in self._written:
            return value
        if len(source) > 2 and id(source[1]) in self._copies:  # a part of what has been looked at
            if is_container(value):
                self._copies[id(value)] = value
                self.adopt(value)
            return value
        if key not in self._known:
            self._known[key] = self._seen(source, value)
        return self._known[key][1]

    def _defaults(self, f, name):
        """A default value is read of f: it may be given others."""
        values = f.__kwdefaults__
        if values and name in values:
            guards = [(("attr", f, "__kwdefaults__"), values), (("item", values, name), values[name])]
        else:
            guards = [(("attr", f, "__defaults__"), f.__defaults__)]
        for source, value in guards:
            key = (source[0], id(source[1]), source[2])
            if key not in self._known:
                self._known[key] = value, value
                self.guards.append((source, value))

    def _seen(self, source, value):
        # kept with the value itself, so that its id stays taken
        if id(value) in self._copies:
            return value, value
        if is_array(value) or is_container(value):
            variables: list = []
            seen, part = self._taken(value, variables, ())
            self.inputs.append((source, part, variables))
            return value, seen
        self.guards.append((source, value))
        return value, self._part_of(value)

    def _part_of(self, x):
        """What the function sees for anything else than arrays and their containers."""
        if isinstance(x, tuple):  # a named tuple: it holds what it holds for ever
            values = [self.read(("ref", e, e), e) for e in x]
            if any(a is not b for a, b in zip(values, x)):
                return type(x)._make(values) if hasattr(x, "_make") else x
        return super().read(("ref", x, x), x)

    def _taken(self, x, variables, above):
        """(what the function sees for x, how it is looked at again); variables: those of the arrays in x."""
        if is_array(x):
            tensor = self.trace.input(typeof(x))
            variables.append(tensor.info)
            self.tensors.append((tensor, tensor.info))
            return tensor, typeof(x)
        if not is_container(x) or id(x) in above:
            return self._part_of(x), Kept(x)
        rows = [self._taken(e, variables, (*above, id(x))) for e in entries(x)]
        seen = x
        if any(a is not b for (a, _), b in zip(rows, entries(x))):
            seen = rebuilt(x, [a for a, _ in rows])
            self._copies[id(seen)] = seen
        self.adopt(seen)
        return seen, Opened(x, [part for _, part in rows])

    def finish(self):
        """(inputs, guards), without those on the contents of containers that the function changes."""
        inputs = []
        for source, part, variables in self.inputs:
            if type(part) is Opened:
                if not variables and id(part.container) in self._changed:
                    self.guards.append((source, part.container))
                    continue
                part.settle(self._changed)
            inputs.append((source, part, variables))
        return inputs, self.guards

    def wrote(self, x, kind, name):
        """The function changes an object or a container of outside: that happens now, once, and not when it runs."""
        self._written.add((kind, id(x), _name(name)))
        self._changed[id(x)] = x
        if self.is_outer(x) and id(x) not in self._said:
            self._said.add(id(x))
            warn(
                f"a compiled function changes a {type(x).__name__} of outside ({kind} {name!r}){where()}: this happens once, when "
                "it is compiled, not at each call; return the value instead"
            )

    def baked(self, what, kind):
        """The function asks for the time, or for a variable of the environment: that happens now, once."""
        if what not in self._said:
            self._said.add(what)
            warn(
                f"a compiled function calls {what}{where()}: {kind} is read once, when it is compiled, and stays the same at each "
                "call; read it outside, and pass it as an argument"
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
