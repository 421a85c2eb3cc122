"""A function without text (exec, a script on standard input, the plain prompt): it cannot be rewritten, but it can run with globals and
cells of its own. In these, what it reads from outside is told: arrays are what the recorder gives for them. And the functions of
NumPy, `math` and the user are those that a copy calls, so that `math.sin(x)` and `np.zeros(n)` carry derivatives; its `if`, `while` and
`float(x)` stay Python's own.
"""

import dis
import types

import numpy as np

from ...core.tensor import is_tensor
from ..fence import refuse
from . import baked
from .copies import is_library
from .outside import outer
from .source import codes

_MUTABLE = (list, dict, set, bytearray)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, type(np.sum))
_STILL = (str, bytes, int, float, complex, frozenset, range, type, type(None), np.generic, np.ndarray, np.ufunc, *_FUNCTIONS)


class Names:
    """A module, as a function without text sees it."""

    __slots__ = ("_ad_module", "_ad_seen")

    def __init__(self, module, seen):
        object.__setattr__(self, "_ad_module", module)
        object.__setattr__(self, "_ad_seen", seen)

    def __getattr__(self, name):
        value = getattr(self._ad_module, name)
        return self._ad_seen(value, ("attr", self._ad_module, name, value), name)

    def __setattr__(self, name, value):
        raise refuse("outside", f"{self._ad_module.__name__}.{name} is set")


def stores(code, free):
    """A global, or a variable of a function outside, that a code object or those inside it bind: '' if there is none."""
    for c in codes(code):
        for step in dis.get_instructions(c):
            if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL") or (step.opname == "STORE_DEREF" and step.argval in free):
                return step.argval
    return ""


def names_of(code):
    """The names of globals that a code object and those inside it may read."""
    return {name for c in codes(code) for name in c.co_names}


def told_copy(f, told, resolve):
    """f with globals and cells of its own, whose values were told to the recorder, if there is one."""
    bound = stores(f.__code__, f.__code__.co_freevars)
    if bound:
        if told is None:
            return f
        raise refuse("unseen state", f"{f.__qualname__}, whose text is not to be had, binds {bound!r}, a variable of outside")
    globals_ = dict(f.__globals__)
    used = names_of(f.__code__)

    def seen(value, source, name):
        kind = type(value)
        if kind is types.ModuleType:
            return Names(value, seen)
        if told is not None and kind is baked.Environment:
            told.baked(name, baked.ENVIRONMENT)
        if told is not None and (isinstance(value, _MUTABLE) or _users(kind) or (told.once and not _still(value))):
            raise refuse(
                "unseen state",
                f"{f.__qualname__}, whose text is not to be had, reads {name!r}, a {kind.__name__} of outside",
            )
        function = callable(value) and not isinstance(value, (type, np.ufunc)) and not is_tensor(value)
        return resolve(value) if function else outer(told, value, source)

    for name in used:
        if name in f.__globals__:
            value = f.__globals__[name]
            globals_[name] = seen(value, ("global", f.__globals__, name, value), name)
    cells = []
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # not bound yet
            cells.append(cell)
            continue
        cells.append(types.CellType(seen(value, ("cell", cell, value), name)))
    g = types.FunctionType(f.__code__, globals_, f.__name__, f.__defaults__, tuple(cells))
    g.__kwdefaults__ = f.__kwdefaults__
    return g


def _still(x):
    """Whether a value of outside cannot act: it is a constant, an array or a function."""
    return isinstance(x, _STILL) or (type(x) is tuple and all(map(_still, x)))


def _users(kind):
    """Whether values of this class are objects of the user's, whose attributes may change unseen."""
    if kind.__module__ == "builtins" or issubclass(kind, (type, np.generic, np.ndarray)) or kind is types.FunctionType:
        return False
    init = kind.__dict__.get("__init__")
    code = getattr(init, "__code__", None)
    return code is not None and not is_library(code) and not is_tensor(kind)
