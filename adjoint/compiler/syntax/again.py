"""A function that lost a derivative on its way, once more as its rewritten copy.

`math.sin(x)`, `np.array([x, y])`, `a[i] = x` and, under vmap, `if x > 0` cannot carry a derivative when Python runs them as
they stand; the copy can (see `differentiable`). So a transform whose function met one of them runs the copy from the start.
What was done before that point is then done twice, at this first call: that is the same only if the function keeps to itself.
A Watch sees to it that it does. Where the copy draws random numbers that it did not seed, advances an iterator of outside,
changes what is outside, or reads what its text may have set there in the first run, its result is not used, and the error of the
plain run stands. An attribute that is set before it is read does not count. What only the first run may have changed, earlier.py tells.
"""

import dis
import functools
import operator
import random
import types

import numpy as np

from ...core.errors import ConcreteError, LeakError, MutationError
from ...core.tensor import is_tensor
from ..fence import FenceError
from . import Recorder, call_copy, earlier, recording
from .copies import is_library, rewritten
from .outside import Session
from .source import NoSource, codes

_GENERATORS = (random._inst, np.random.mtrand._rand)
_CONSTANT = (str, bytes, int, float, complex, tuple, frozenset, range, type, types.ModuleType, np.ndarray, np.generic)
_SETS = {
    "STORE_ATTR": "attr",
    "DELETE_ATTR": "attr",
    "STORE_GLOBAL": "global",
    "DELETE_GLOBAL": "global",
    "STORE_DEREF": "cell",
}


class Watch(Recorder):
    """What a run of a copy does to the outside: `did` says it in words, or is empty."""

    once = True

    def __init__(self):
        super().__init__()
        self.did = ""
        self.reads: dict = {}  # ("attr", "global" or "default", name), ("cell", id) of what was read before it was written here -> it
        self.kept: set = set()  # (id of an object, name) of attributes that were written before they were read
        self.functions: dict = {}  # those called: id of the code -> the function
        self.seeded: dict = {}  # random generators that were seeded here
        self.tensors: dict = {}  # untracked ones of outside: id -> (it, its value before)
        self.arguments: dict = {}  # (id of the code object, name of the parameter) -> what can be changed of what it was called with
        self.held: list = []  # (a list or dict among the arguments, what it held)

    def entered(self, f):
        self.functions[id(f.__code__)] = f

    def read(self, source, value):
        kind, at, *name = source
        if hasattr(type(value), "__next__"):
            self.did = self.did or f"it reads an iterator of outside, a {type(value).__name__}"
        if kind == "attr":
            self.asked(at, name[0], value)
        elif kind in ("global", "default"):
            self.note((kind, name[0]), value)
        elif kind == "cell":
            self.note((kind, id(at)), value)
        self.hold(value)
        return super().read(source, value)

    def asked(self, x, name, value=None):
        if (id(x), name) not in self.kept:
            self.note(("attr", name), value)

    def note(self, key, value):
        if _logs(value):
            return
        if not earlier.may(self.reads.get(key), None):
            self.reads[key] = value

    def hold(self, x):
        if is_tensor(x) and x.trace is None and id(x) not in self.tensors:
            self.tensors[id(x)] = x, np.array(x.value)

    def is_outer(self, x):
        return super().is_outer(x) or (isinstance(x, type) and not x.__module__.startswith("adjoint"))

    def effect(self, op, args, params):
        op.eval(*args, **params)

    def wrote(self, x, kind, name):
        if not self.is_outer(x):
            return
        alone = kind == "attr" and not isinstance(x, type) and not earlier.sets_by_code(x, name)
        if alone and ("attr", name) not in self.reads and ("attr", "__dict__") not in self.reads:
            self.kept.add((id(x), name))
        else:
            self.did = self.did or f"it changes a {type(x).__name__} of outside"

    def changed(self):
        """Whether a list or dict among the arguments holds other things than before."""
        for x, before in self.held:
            pairs = zip(x.items(), before.items(), strict=False) if isinstance(x, dict) else zip(x, before, strict=False)
            if len(x) != len(before) or any(a is not b and (type(a) is not tuple or any(map(operator.is_not, a, b))) for a, b in pairs):
                return f"it changes a {type(x).__name__} of outside"
        return ""

    def changed_before(self):
        """What was read that the first run may have changed, in words: by the texts of the functions that may have been called."""
        for x, value in self.tensors.values():
            if not _same(x.value, value):
                return f"it writes into a tensor of outside, of shape {value.shape}"
        objects = list(self._outer.values())
        functions = earlier.reachable(self.functions.values(), objects)
        for f in functions:
            if f.__name__ in earlier.MAKERS:
                continue
            for code in codes(f.__code__):
                for step in dis.get_instructions(code):
                    kind, name = _SETS.get(step.opname), step.argval
                    if kind == "cell" and name in f.__code__.co_freevars:
                        name = id(f.__closure__[f.__code__.co_freevars.index(name)])
                    if (kind, name) in self.reads:
                        return f"it reads {step.argval!r}, which it sets as well"
        return earlier.by_itself(objects) or earlier.changed(functions, self.reads, self.arguments)

    def may_draw(self, generator, name):
        generator = np.random.mtrand._rand if generator is None else generator
        if name == "seed":
            self.seeded[id(generator)] = generator
        elif id(generator) not in self.seeded and (self.is_outer(generator) or generator in _GENERATORS):
            self.did = self.did or "it draws random numbers"
        return True

    def called(self, x, name):
        if self.is_outer(x) and not isinstance(x, _CONSTANT) and not _logs(x):
            self.did = self.did or f"it calls {type(x).__name__}.{name}() of an object of outside"

    def given(self, x):
        """Arguments, with all that their containers hold, are outside."""
        if isinstance(x, np.ndarray) or is_tensor(x):
            self.hold(x)
            return
        if hasattr(type(x), "__next__"):
            self.did = self.did or f"it is given an iterator, a {type(x).__name__}"
        elif not self.is_outer(x):
            self.adopt(x)
            if isinstance(x, (list, dict)):
                self.held.append((x, x.copy()))
            for part in x.values() if isinstance(x, dict) else x if isinstance(x, (list, tuple)) else ():
                self.given(part)


def _same(a, before):
    return np.array_equal(a, before, equal_nan=before.dtype.kind in "fc")


def _logs(x):
    """Whether it is one of `logging`'s: its lines are told twice, as what is printed."""
    return type(x).__module__ == "logging"


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
            if t.trace is not None or not _same(a, before):
                return f"it writes into an array of outside, of shape {a.shape}"
        return ""


def again(f, args, kwargs):
    """(whether the copy of f did nothing beside computing its result; that result, or in words what else it did)."""
    told, now = Watch(), _Kept()
    for x in (*args, *kwargs.values()):
        told.given(x)
    user, first = f, args
    while type(user) is functools.partial:
        for x in (*user.args, *user.keywords.values()):
            told.given(x)
        first = (*user.args, *first)
        user = user.func
    if not hasattr(user, "__code__"):
        told.adopt(user)
        first = (user, *first)
        user = type(user).__call__
    elif isinstance(user, types.MethodType):
        first = (user.__self__, *first)
    if is_library(user.__code__):
        return False, ""
    for name, x in (*zip(user.__code__.co_varnames, first, strict=False), *kwargs.items()):
        told.arguments[id(user.__code__), name] = x
    textless = ""
    try:
        rewritten(user.__code__, user.__globals__, user.__qualname__)
    except NoSource as reason:
        textless = f"{user.__qualname__} cannot be rewritten: {reason}"
    try:
        with recording(told):
            y = call_copy(f, args, kwargs, now)
    except FenceError as error:
        if error.construct in ("random", "global", "cell", "source", "unseen state"):
            return False, textless or str(error)
        raise
    except (LeakError, ConcreteError, MutationError):
        if textless:
            return False, textless
        raise
    did = told.did or now.changed() or told.changed() or told.changed_before()
    return (False, did) if did else (True, y)
