"""A function that lost a derivative on its way, once more as its rewritten copy.

`math.sin(x)`, `np.array([x, y])`, `a[i] = x` and, under vmap, `if x > 0` cannot carry a derivative when Python runs them as
they stand; the copy can (see `differentiable`). So a transform whose function met one of them runs the copy from the start.
What was done before that point is then done twice, at this first call: that is the same only if the function keeps to itself.
A Watch sees to it that it does: where the copy draws random numbers, changes what is outside or advances an iterator from there,
its result is not used, and the error of the plain run stands.
"""

import functools
import types

import numpy as np

from ...core.tensor import is_tensor
from ..fence import FenceError
from . import Recorder, call_copy, recording
from .copies import is_library, rewritten
from .outside import Session
from .source import NoSource

_CONSTANT = (str, bytes, int, float, complex, tuple, frozenset, range, type, types.ModuleType, np.ndarray, np.generic)


class Watch(Recorder):
    """What a run of a copy does to the outside: `did` says it in words, or is empty."""

    def __init__(self):
        super().__init__()
        self.did = ""

    def read(self, source, value):
        if hasattr(type(value), "__next__"):
            self.did = self.did or f"it reads an iterator of outside, a {type(value).__name__}"
        return super().read(source, value)

    def effect(self, op, args, params):
        op.eval(*args, **params)

    def wrote(self, x, kind, name):
        if self.is_outer(x):
            self.did = self.did or f"it changes a {type(x).__name__} of outside"

    def called(self, x, name):
        if self.is_outer(x) and not isinstance(x, _CONSTANT):
            self.did = self.did or f"it calls {type(x).__name__}.{name}() of an object of outside"

    def given(self, x):
        """Arguments, with all that their containers hold, are outside."""
        if isinstance(x, np.ndarray) or is_tensor(x):
            return
        if hasattr(type(x), "__next__"):
            self.did = self.did or f"it is given an iterator, a {type(x).__name__}"
        elif not self.is_outer(x):
            self.adopt(x)
            for part in x.values() if isinstance(x, dict) else x if isinstance(x, (list, tuple)) else ():
                self.given(part)


class _Kept(Session):
    """A session that can tell whether the arrays of outside are what they were."""

    def __init__(self):
        super().__init__()
        self.before: dict = {}

    def tensor(self, a):
        if id(a) not in self.arrays:
            self.before[id(a)] = a.copy()
        return super().tensor(a)

    def changed(self):
        for a, t in self.arrays.values():
            before = self.before[id(a)]
            if t.trace is not None or not np.array_equal(a, before, equal_nan=a.dtype.kind in "fc"):
                return f"it writes into an array of outside, of shape {a.shape}"
        return ""


def again(f, args, kwargs):
    """(whether the copy of f did nothing beside computing its result; that result, or in words what else it did)."""
    told, now = Watch(), _Kept()
    for x in (*args, *kwargs.values()):
        told.given(x)
    user = f
    while type(user) is functools.partial:
        for x in (*user.args, *user.keywords.values()):
            told.given(x)
        user = user.func
    if not hasattr(user, "__code__"):
        told.adopt(user)
        user = type(user).__call__
    if is_library(user.__code__):
        return False, ""
    try:
        rewritten(user.__code__, user.__globals__, user.__qualname__)
    except NoSource as reason:
        return False, f"{user.__qualname__} has none: {reason}"
    try:
        with recording(told):
            y = call_copy(f, args, kwargs, now)
    except FenceError as error:
        if error.construct in ("random", "global", "cell", "source"):
            return False, str(error)
        raise
    did = told.did or now.changed()
    return (False, did) if did else (True, y)
