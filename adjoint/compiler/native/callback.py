"""Python functions that compiled code calls back, on the kernel's own memory. Knows NumPy; knows nothing of ops.

A kernel calls `i32 @ad.callback(i64 number, ptr ins, ptr outs)`. The number of a callback differs from process to process, so it is
no literal in IR text, which would be cached on disk: declare `@name = external global i8`, write `ptrtoint (ptr @name to i64)`, and
give `load` the number as the "address" of the symbol.
"""

import ctypes
import itertools
import weakref
from typing import Any

import numpy as np

_numbers = itertools.count(1)
_registered: "weakref.WeakValueDictionary[int, Callback]" = weakref.WeakValueDictionary()


class Callback:
    """A function of a list of arrays that returns a sequence of arrays. It can be called as long as this object lives.

    `ins` and `outs` are types with `shape`, `dtype` and perhaps `weak` (then a Python scalar is handed over). borrow: hand over
    read-only arrays in the kernel's memory itself, for functions that are known to keep none of them; else copies.
    """

    __slots__ = ("__weakref__", "borrow", "function", "ins", "number", "outs")

    def __init__(self, function, ins, outs, borrow):
        self.function = function
        self.ins = [(t.shape, np.dtype(t.dtype), getattr(t, "weak", False)) for t in ins]
        self.outs = [(t.shape, np.dtype(t.dtype)) for t in outs]
        self.borrow = borrow
        self.number = next(_numbers)

    def __call__(self, ins: int, outs: int) -> None:
        """Run the function on the memory that the two C arrays of pointers describe."""
        values: list[Any] = []
        for i, (shape, dtype, weak) in enumerate(self.ins):
            value = _view(ins, i, shape, dtype)
            if weak:
                values.append(value.item())
            elif shape == ():
                values.append(value[()])
            elif self.borrow:
                value.flags.writeable = False
                values.append(value)
            else:
                values.append(value.copy())
        results = self.function(values)
        if len(results) != len(self.outs):
            raise TypeError(f"{_name(self.function)} returned {len(results)} results; {len(self.outs)} are expected")
        for i, (result, (shape, dtype)) in enumerate(zip(results, self.outs)):
            result = np.asarray(result)
            if result.shape != shape or result.dtype != dtype:
                if dtype.kind == "i" and not shape and result.dtype.kind in "Of":  # 2 ** 70, or 2 ** -1
                    raise OverflowError(f"{result} is no integer of 64 bits, which compiled code computes with: make it a float, float(n)")
                raise TypeError(
                    f"{_name(self.function)} returned {result.dtype}{list(result.shape)} as result {i}; "
                    f"it was compiled for {dtype}{list(shape)}"
                )
            _view(outs, i, shape, dtype)[...] = result


def register_callback(function, ins, outs, borrow: bool = False) -> Callback:
    """Let kernels call `function(list of arrays) -> sequence of arrays`. Its number is `.number`; put it into `loaded.keep`."""
    callback = Callback(function, ins, outs, borrow)
    _registered[callback.number] = callback
    return callback


def handle(number: int, ins: int, outs: int) -> None:
    """What the glue calls for a kernel. An exception ends the kernel and comes out of the compiled call."""
    callback = _registered.get(number)
    if callback is None:
        raise RuntimeError("a compiled kernel outlived a Python function that it calls")
    callback(ins, outs)


def _view(pointers, i, shape, dtype):
    """The array at the i-th of the pointers that lie at the address `pointers`."""
    address = ctypes.c_void_p.from_address(pointers + 8 * i).value
    size = dtype.itemsize
    for n in shape:
        size *= n
    if not size:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=(ctypes.c_char * size).from_address(address))


def _name(function):
    return getattr(function, "__qualname__", repr(function))
