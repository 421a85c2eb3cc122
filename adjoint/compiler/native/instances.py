"""A call of an instance reaches its builtin at once, by CPython's vectorcall protocol (PEP 590).

Where a class has `__call__`, `f(x)` makes a tuple of the arguments and looks the method up: 40 ns, half of a small call. A type with
the flag HAVE_VECTORCALL says instead, by an offset from the instance, where the address of a C function lies. Python has no way to
say so of a class, so both are written into the type here, after a look whether its fields are where they are believed to be. The
offset leads to a cell beside the instance, so the class must have this one instance. Where that cannot be, calls go the usual way.
"""

import ctypes
import functools
import types

from . import call, layout
from .glue import TYPE_FIELDS

_HAVE_VECTORCALL = 1 << 11
_BUILTIN = type(len)


def attach(f, builtin):
    """Make `builtin` the `__call__` of the class of f, its only instance, and let calls reach it at once."""
    kind = type(f)
    direct = type(builtin) is _BUILTIN and possible()
    if direct:
        cell = kind.__dict__.get("_cell") or _new_cell(f)
        # before the builtin in the class goes: somebody may call at any moment
        cell[0], cell[1] = call.instance_entry(), id(builtin.__self__)
    kind.__call__ = builtin  # from Python 3.12 on that takes the flag away
    if direct:
        _flag(kind, True)


def detach(f, function):
    """Make a Python function the `__call__` of the class of f."""
    kind = type(f)
    if "_cell" in kind.__dict__:
        _flag(kind, False)
    kind.__call__ = function


def _new_cell(f):
    """Room for the C function and what it is to be given, as long as the class lives; the class' offset leads there."""
    kind = type(f)
    kind._cell = cell = (ctypes.c_uint64 * 2)()
    _type_word(kind, "vectorcall").value = ctypes.addressof(cell) - id(f)
    return cell


def _type_word(kind, field):
    return ctypes.c_int64.from_address(id(kind) + TYPE_FIELDS[field])


def _flag(kind, on):
    word = _type_word(kind, "flags")
    word.value = word.value | _HAVE_VECTORCALL if on else word.value & ~_HAVE_VECTORCALL


@functools.cache
def possible():
    """Whether types look here as they are believed to; tried with a class of one instance."""
    if layout.problem():
        return False

    class Plain:
        __slots__ = ()

        def __call__(self, *args):
            return args

    for kind in (int, list, functools.partial, types.FunctionType, _BUILTIN, Plain):
        here = [_type_word(kind, field).value for field in ("size", "item", "flags", "dict")]
        if here != [kind.__basicsize__, kind.__itemsize__, kind.__flags__, kind.__dictoffset__]:
            return False
        offset = _type_word(kind, "vectorcall").value
        inside = 16 <= offset <= kind.__basicsize__ - 8 and offset % 8 == 0
        if not (inside if kind.__flags__ & _HAVE_VECTORCALL else offset == 0):
            return False
    f = Plain()
    signature = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_void_p)
    answer = signature(lambda self, args, count, names: (self is f, count & ~(1 << 63), names))
    cell = _new_cell(f)
    cell[0] = ctypes.cast(answer, ctypes.c_void_p).value
    _flag(Plain, True)
    found = f(1, 2)
    _flag(Plain, False)
    return found == (True, 2, None) and f(1, 2) == (1, 2)
