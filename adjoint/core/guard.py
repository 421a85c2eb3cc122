"""Protecting what a backward pass will read: a user's array that is recorded must not change before it is read.

A small array is copied. A large one is made read-only, itself and what it is a view of, until the graph that reads it is
gone; a write to it in the meantime is NumPy's own error. (Another view of the same memory, made before, stays writable:
NumPy keeps no list of them.)
"""

import weakref

import numpy as np

from .config import guarding

SMALL = 65536  # bytes


def protect(array):
    """A user's array as the backward pass shall see it: a copy when small, else locked until nobody needs it."""
    if not guarding():
        return array
    if array.nbytes <= SMALL:
        return array.copy()
    return _lock(array)


_units: weakref.WeakValueDictionary = weakref.WeakValueDictionary()  # by id


def unit_vectors(x):
    """x, noted to be the unit vectors that a matrix of derivatives begins with: its zeros are no numbers, but nothing at all."""
    _units[id(x)] = x
    return x


def are_unit_vectors(x):
    """Whether an array was noted so."""
    return _units.get(id(x)) is x


def frozen(x):
    """A read-only view of an array, for a user's function that must not write into it; anything else as it is."""
    if type(x) is not np.ndarray:
        return x
    x = x.view()
    x.flags.writeable = False
    return x


class _Hold:
    """Keeps an array, and what it is a view of, read-only while it lives."""

    __slots__ = ("arrays",)

    def __init__(self, array):
        self.arrays = []
        while isinstance(array, np.ndarray):
            count = _locks.get(id(array))
            if count is not None:
                count[0] += 1
                self.arrays.append(array)
            elif array.flags.writeable:
                _locks[id(array)] = [1, []]
                array.flags.writeable = False
                self.arrays.append(array)
            array = array.base

    def __del__(self):
        # bases first: a view may become writeable only after what it is a view of
        for array in reversed(self.arrays):
            count = _locks[id(array)]
            count[0] -= 1
            if not count[0]:
                _open(array)


def _open(array):
    """Make an array writeable again, and the views of it that waited for that; it waits itself for what it is a view of."""
    above = _locks.get(id(array.base))
    if above is not None:
        above[1].append(array)  # another hold still has the base: NumPy would refuse
        return
    _, waiting = _locks.pop(id(array))
    array.flags.writeable = True
    for view in waiting:
        if id(view) in _locks and not _locks[id(view)][0]:
            _open(view)


_locks: dict = {}  # id of a locked array -> [how many holds, views that wait for it to be writeable]


def _lock(array):
    if not array.flags.writeable and array.base is None and id(array) not in _locks:
        return array  # the user's own read-only array: nobody can write it
    hold = _Hold(array)
    if not hold.arrays:
        return array
    # A plain view whose base is an object that owns the hold: the hold lives as long as any view of this view.
    return np.asarray(_Buffer(array, hold))


class _Buffer:
    """Hands NumPy the array's memory through the array interface, with the hold as its owner."""

    __slots__ = ("__array_interface__", "array", "hold")

    def __init__(self, array, hold):
        self.array = array
        self.hold = hold
        self.__array_interface__ = array.__array_interface__
