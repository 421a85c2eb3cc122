"""A function that lost a derivative on its way, once more as its rewritten copy.

`math.sin(x)`, `np.array([x, y])`, `a[i] = x` and, under vmap, `if x > 0` cannot carry a derivative when Python runs them as
they stand; the copy can (see `differentiable`). So a transform whose function met one of them runs the copy from the start.
What was done before that point is then done twice, at this first call: that is the same only if the function keeps to itself.
A Watch sees to it that it does. Where the copy draws random numbers that it did not seed, advances an iterator of outside,
changes what is outside, or reads what its text may have set there in the first run, its result is not used, and the error of the
plain run stands. An attribute that is set before it is read does not count. (What it cannot see: an entry of a list or dict of
outside that only the first run has changed.)
"""

import dis
import functools
import random
import types

import numpy as np

from ...core.tensor import is_tensor
from ..fence import FenceError
from . import Recorder, call_copy, recording
from .copies import is_library, rewritten
from .outside import Session
from .source import NoSource

_GENERATORS = (random._inst, np.random.mtrand._rand)
_CONSTANT = (str, bytes, int, float, complex, tuple, frozenset, range, type, types.ModuleType, np.ndarray, np.generic)
_SETS = {
    "STORE_ATTR": "attr",
    "DELETE_ATTR": "attr",
    "STORE_GLOBAL": "global",
    "DELETE_GLOBAL": "global",
    "STORE_DEREF": "cell",
}
_MAKERS = {"__init__", "__new__", "__post_init__"}  # what they set belongs to an object that is new


class Watch(Recorder):
    """What a run of a copy does to the outside: `did` says it in words, or is empty."""

    def __init__(self):
        super().__init__()
        self.did = ""
        self.reads: set = set()  # ("attr" or "global", name), ("cell", id) of what was read before it was written here
        self.kept: set = set()  # (id of an object, name) of attributes that were written before they were read
        self.functions: dict = {}  # those called: id of the code -> the function
        self.seeded: dict = {}  # random generators that were seeded here

    def entered(self, f):
        self.functions[id(f.__code__)] = f

    def read(self, source, value):
        kind, at, *name = source
        if hasattr(type(value), "__next__"):
            self.did = self.did or f"it reads an iterator of outside, a {type(value).__name__}"
        if kind == "attr":
            self.asked(at, name[0])
        elif kind == "global":
            self.reads.add((kind, name[0]))
        elif kind == "cell":
            self.reads.add((kind, id(at)))
        return super().read(source, value)

    def asked(self, x, name):
        if (id(x), name) not in self.kept:
            self.reads.add(("attr", name))

    def effect(self, op, args, params):
        op.eval(*args, **params)

    def wrote(self, x, kind, name):
        if not self.is_outer(x):
            return
        if kind == "attr" and ("attr", name) not in self.reads and ("attr", "__dict__") not in self.reads:
            self.kept.add((id(x), name))
        else:
            self.did = self.did or f"it changes a {type(x).__name__} of outside"

    def reads_what_it_sets(self):
        """Whether something was read that the text of a function which was called sets: the first run may have done so."""
        for f in self.functions.values():
            if f.__name__ in _MAKERS:
                continue
            for code in _codes(f.__code__):
                for step in dis.get_instructions(code):
                    kind, name = _SETS.get(step.opname), step.argval
                    if kind == "cell" and name in f.__code__.co_freevars:
                        name = id(f.__closure__[f.__code__.co_freevars.index(name)])
                    if (kind, name) in self.reads:
                        return f"it reads {step.argval!r}, which it sets as well"
        return ""

    def may_draw(self, generator, name):
        generator = np.random.mtrand._rand if generator is None else generator
        if name == "seed":
            self.seeded[id(generator)] = generator
        elif id(generator) not in self.seeded and (self.is_outer(generator) or generator in _GENERATORS):
            self.did = self.did or "it draws random numbers"
        return True

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


def _codes(code):
    yield code
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            yield from _codes(c)


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
    did = told.did or now.changed() or told.reads_what_it_sets()
    return (False, did) if did else (True, y)
