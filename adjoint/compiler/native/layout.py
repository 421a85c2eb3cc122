"""Do the objects of this interpreter and this NumPy look as the glue believes? Every field that it reads directly is tried here."""

import ctypes
import functools
import sys
import sysconfig
import weakref

import numpy as np

from .glue import ALIGNED, CONTIGUOUS, FIELDS, WRITEABLE

NDARRAY, EMPTY = 2, 184  # in NumPy's table of C functions, whose order is fixed: the type ndarray, PyArray_Empty


@functools.cache
def numpy_table():
    """NumPy's table of C functions and types."""
    from numpy._core._multiarray_umath import _ARRAY_API

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ctypes.cast(pointer(_ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p * (EMPTY + 1))).contents


@functools.cache
def problem() -> str:
    """Why the glue must not be used here, or "" if it can be."""
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} does not lay out objects as CPython does"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this Python runs without the global lock that the glue relies on"
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return "not a 64-bit little-endian machine"
    try:
        for name, check in CHECKS.items():
            if not check():
                return f"unknown layout: {name}"
    except Exception as error:
        return f"unknown layout: {type(error).__name__}: {error}"
    return ""


def _word(x, offset, type=ctypes.c_uint64):
    """The word `offset` bytes behind the address of an object, or behind an address."""
    return type.from_address((x if isinstance(x, _Address) else id(x)) + offset).value


class _Address(int):
    pass


def _pointer(x, field):
    """The pointer in a field; LookupError if what is there cannot be one, rather than follow it."""
    value = _word(x, FIELDS[field])
    if value < 2**16 or value % 8:
        raise LookupError(f"no pointer where {field} should be")
    return _Address(value)


def _headers():
    return all(_word(x, FIELDS["type"]) == id(type(x)) for x in (1.5, (), [], {}, np.zeros(2), np.float32(1)))


def _reference_count():
    x = object()
    address = _Address(id(x))
    before = _word(address, 0, ctypes.c_uint32)
    more = [x, x, x]
    return (before, _word(address, 0, ctypes.c_uint32)) == (1, 1 + len(more))


def _tuples():
    x = ("a", "b", "c")
    return _word(x, FIELDS["size"]) == 3 and [_word(x, FIELDS["tuple"] + 8 * i) for i in range(3)] == [id(e) for e in x]


def _lists():
    x = ["a", "b"]
    x.append("c")
    items = _pointer(x, "list")
    return _word(x, FIELDS["size"]) == 3 and [_word(items, 8 * i) for i in range(3)] == [id(e) for e in x]


def _dicts():
    x = {"a": 1, "b": 2, "c": 3}
    before = _word(x, FIELDS["dict_used"])
    del x["b"]
    return (before, _word(x, FIELDS["dict_used"])) == (3, 2)


def _floats():
    z = complex(2.5, -3.5)
    parts = [_word(z, FIELDS["scalar"] + 8 * i, ctypes.c_double) for i in (0, 1)]
    return (
        _word(1.25, FIELDS["float"], ctypes.c_double) == 1.25
        and FIELDS["float"] == FIELDS["scalar"]
        and parts == [2.5, -3.5]
    )


def _cells():
    value = object()
    cell = (lambda: value).__closure__[0]
    return _word(cell, FIELDS["cell"]) == id(value)


def _capsules():
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return _word(new(0x1234567890, None, None), FIELDS["capsule"]) == 0x1234567890


def _arrays():
    good = CONTIGUOUS | ALIGNED | WRITEABLE
    for x in (np.zeros((2, 3, 5), np.float32), np.arange(7), np.ones(()), np.zeros((0, 4), complex)):
        dims = _pointer(x, "dims") if x.ndim else _Address(0)
        flags = _word(x, FIELDS["flags"], ctypes.c_uint32)
        if not (
            _word(x, FIELDS["data"]) == x.__array_interface__["data"][0]
            and _word(x, FIELDS["nd"], ctypes.c_int32) == x.ndim
            and tuple(_word(dims, 8 * i) for i in range(x.ndim)) == x.shape
            and _word(x, FIELDS["descr"]) == id(x.dtype)
            and flags & good == good
            and flags & 0xFFFF == x.flags.num & 0xFFFF
        ):
            return False
    x = np.zeros((3, 4))
    x.flags.writeable = False
    if _word(x.T, FIELDS["flags"], ctypes.c_uint32) & good != ALIGNED:
        return False
    unaligned = np.frombuffer(bytes(33), np.uint8)[1:].view(np.float64)
    return not _word(unaligned, FIELDS["flags"], ctypes.c_uint32) & ALIGNED


def _weak_references():
    x = np.zeros(3)
    before = _word(x, FIELDS["weakrefs"])
    r = weakref.ref(x)
    return before == 0 and _word(x, FIELDS["weakrefs"]) == id(r)


def _numpy_scalars():
    """They are made by _PyObject_New and filled behind their header."""
    new = ctypes.pythonapi["_PyObject_New"]
    new.restype, new.argtypes = ctypes.py_object, [ctypes.py_object]
    for char in "bBhHiIlLqQefdFD":
        value = np.arange(5).astype(char)[3:4]
        scalar = new(value.dtype.type)
        ctypes.memmove(id(scalar) + FIELDS["scalar"], value.__array_interface__["data"][0], value.itemsize)
        if (
            type(scalar) is not value.dtype.type
            or scalar != 3
            or ctypes.string_at(id(value[0]) + 16, value.itemsize) != value.tobytes()
        ):
            return False
    return ctypes.string_at(id(np.True_) + FIELDS["scalar"], 1) == b"\x01" and np.zeros(1, bool)[0] is np.False_


def _numpy_functions():
    table = numpy_table()
    if table[NDARRAY] != id(np.ndarray):
        return False
    empty = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_int, ctypes.c_void_p, ctypes.py_object, ctypes.c_int)(
        table[EMPTY]
    )
    dims, dtype = (ctypes.c_int64 * 2)(3, 4), np.dtype(np.float32)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(dtype))  # which PyArray_Empty takes
    x = empty(2, ctypes.addressof(dims), dtype, 0)
    return type(x) is np.ndarray and x.shape == (3, 4) and x.dtype is dtype and x.flags.c_contiguous and x.flags.owndata


CHECKS = {
    "headers": _headers,
    "reference counts": _reference_count,
    "tuples": _tuples,
    "lists": _lists,
    "dicts": _dicts,
    "floats": _floats,
    "cells": _cells,
    "capsules": _capsules,
    "arrays": _arrays,
    "weak references": _weak_references,
    "NumPy's scalars": _numpy_scalars,
    "NumPy's functions": _numpy_functions,
}
