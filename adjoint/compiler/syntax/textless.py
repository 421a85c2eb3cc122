"""A function without text (exec, `python -c`, the plain prompt): it cannot be rewritten, but what it reads from outside can be
told. It runs with globals and cells of its own, in which arrays are what the recorder gives for them.
"""

import types

import numpy as np

from ...core.tensor import is_tensor
from ..fence import refuse
from . import baked
from .copies import is_library
from .outside import outer

_MUTABLE = (list, dict, set, bytearray)


def names_of(code):
    """The names of globals that a code object and those inside it may read."""
    found = set(code.co_names)
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            found |= names_of(x)
    return found


def told_copy(f, told, resolve):
    """f with globals and cells of its own, whose values were told to the recorder."""
    globals_ = dict(f.__globals__)
    used = names_of(f.__code__)

    def seen(value, source, name):
        kind = type(value)
        if kind is types.ModuleType:
            baked.in_names(told, value, name, used)
            return value
        if isinstance(value, _MUTABLE) or _users(kind):
            raise refuse(
                "unseen state",
                f"{f.__qualname__}, whose text is not to be had, reads {name!r}, a {kind.__name__} of outside",
            )
        got = outer(told, value, source)
        return resolve(value) if kind is types.FunctionType and not is_library(value.__code__) else got

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


def _users(kind):
    """Whether values of this class are objects of the user's, whose attributes may change unseen."""
    if kind.__module__ == "builtins" or issubclass(kind, (type, np.generic, np.ndarray)) or kind is types.FunctionType:
        return False
    init = kind.__dict__.get("__init__")
    code = getattr(init, "__code__", None)
    return code is not None and not is_library(code) and not is_tensor(kind)
