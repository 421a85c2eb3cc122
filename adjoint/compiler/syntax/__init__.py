"""Source capture: a rewritten copy of the user's function, in which control flow can be staged.

    rewrite(f)          the copy, to be called like f
    differentiable(f)   the decorator: calls of f go to the copy, also eagerly
    recording(r)        a context in which reads of outer state go to a Recorder

Everything that is called runs as a copy too, but for libraries. The copy is plain Python as long as every test is known.
"""

import types
from contextlib import contextmanager

import numpy as np

from ...core import tree
from ...core.derived import derive
from ...core.errors import raised, rewriting
from ...core.tensor import is_tensor
from ..fence import refuse
from .copies import GENERATED, is_library
from .masked import Masked
from .maybe import STAND_INS, returned, settled
from .merge import Gap, use
from .names import copied, resolve
from .outside import Session, recorder, session, shadow
from .recursion import watched

from . import runtime  # isort: skip  (the class that copies are made with)


class Recorder:
    """Who is told what a function reads of outside. Derive from it; `read` and `effect` are for the deriver to fill."""

    once = False  # whether what runs must not act on the outside at all

    def __init__(self):
        self._outer: dict = {}
        self._written: set = set()

    def read(self, source, value):
        """Called for each read of outer state; returns what the function is to get for the value.

        source: ("global", dict, name, value), ("cell", cell, value), ("attr", object, name, value),
        ("item", container, key, value) or ("default", function, name, value).
        """
        if not isinstance(value, (np.ndarray, np.generic)):
            self.adopt(value)
        return shadow(value)

    def effect(self, op, args, params):
        """Called for a print that no captured value takes part in."""

    def adopt(self, x):
        """Treat x (a list, a dict, an object) as state of outside: reads of its parts are told."""
        self._outer[id(x)] = x

    def is_outer(self, x):
        return id(x) in self._outer

    def baked(self, what, kind):
        """Called when the function asks for something that changes from call to call, such as the time."""

    def wrote(self, x, kind, name):
        """Called when the function changes a container or an object."""

    def entered(self, f):
        """Called with each function of the user's of which a copy is taken, most often to be called."""

    def may_draw(self, generator, name):
        """Whether a random number may be drawn: what is captured would keep it for ever."""
        return False

    def asked(self, x, name):
        """Called where the function asks whether an object has an attribute."""

    def called(self, x, name):
        """Called for a method of a builtin object that is no list, dict or set, and may change it."""


@contextmanager
def recording(told):
    """Tell `told` of reads of outer state, within."""
    token = recorder.set(told)
    try:
        yield told
    finally:
        recorder.reset(token)


def copy_of(f):
    """The copy to call for f while rewriting is on: of users' functions; anything else is returned as it is."""
    g = watched(resolve(f))

    def run(*args, **kwargs):
        # a checkpoint runs it again in the backward pass, when the call that asked for it may be over
        return call_copy(f, args, kwargs) if session.get() is None else returned(g(*args, **kwargs), f)

    return run


def rewrite(f):
    """A copy of f in which control flow on unknown values is staged; it is called like f.

    >>> import numpy as np, adjoint as ad
    >>> from adjoint.compiler.syntax import rewrite
    >>> rewrite(abs)(-2)
    2
    """
    if getattr(f, "__adjoint_copy__", False):
        return f

    def run(*args, **kwargs):
        return call_copy(f, args, kwargs)

    made = derive(run, f, "differentiable copy", rewrite, f)
    made.__adjoint_copy__ = True
    return made


def differentiable(f):
    """Mark a function: it is called as a copy, in which buffers can be filled and control flow can be staged.

    `a = np.zeros(n)` then `a[i] = x`, `np.array([x, y])` and the math module's functions work in it, and in the functions of
    yours that it calls, under every transform; `if`, `while` and `for` work under vmap too. Numbers and plain arrays in give
    plain results, more slowly than the function itself. `jit` needs no mark. What cannot be staged raises ConcreteError
    with the way out; a function whose text Python did not keep (the plain prompt, exec) is one such thing.

    >>> import math, numpy as np, adjoint as ad
    >>> @ad.differentiable
    ... def f(x):
    ...     a = np.zeros(2)
    ...     a[0] = math.sin(x)
    ...     a[1] = x * a[0]
    ...     return a.sum()
    >>> ad.grad(f)(0.0)
    1.0
    """
    return rewrite(f)


def call_copy(f, args, kwargs, now=None):
    """The copy of f, called; `now`: a session to use, where none is open."""
    if session.get() is not None:
        told = recorder.get()
        if told is not None:
            _adopt(told, f)
        return watched(resolve(f))(*args, **kwargs)
    leaves, _ = tree.flatten((args, kwargs))
    tensors = any(map(is_tensor, leaves))
    now = now or Session()
    token, token2 = session.set(now), rewriting.set(copy_of)
    try:
        args = [now.tensor(a) if type(a) is np.ndarray and a.dtype.kind in "biufc" else a for a in args]
        told, before = recorder.get(), raised[0]
        if told is not None:
            _adopt(told, f)
        y = watched(resolve(f))(*args, **kwargs)
        raised[0] = before  # what it tried in vain, as to keep a loop one, is nobody's business
        return y if type(y) is float else _result(y, tensors)
    finally:
        session.reset(token)
        rewriting.reset(token2)


def _adopt(told, f):
    if isinstance(f, types.MethodType):
        told.adopt(f.__self__)
    elif not isinstance(f, types.FunctionType) and not isinstance(f, type):
        told.adopt(f)


def _result(y, tensors):
    """What goes out: arrays again, where nobody works with tensors."""
    if any(type(x) is Masked for x in tree.flatten(y, is_leaf=lambda e: type(e) is Masked)[0]):
        raise refuse("mask", "the function returns the entries where a mask holds")
    y = settled(y, recorder.get() is not None)
    leaves, structure = tree.flatten(y)
    out = []
    for x in leaves:
        if type(x) is Gap:
            use(x)
        out.append(x.value if not tensors and is_tensor(x) and x.trace is None else x)
    return tree.unflatten(structure, out) if any(a is not b for a, b in zip(leaves, out, strict=True)) else y


__all__ = [
    "GENERATED", "STAND_INS", "Recorder", "call_copy", "copied", "differentiable", "is_library", "recorder", "recording", "rewrite",
    "session", "settled",
]  # fmt: skip
