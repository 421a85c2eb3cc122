"""jit: a function compiled for the kinds of its arguments: captured once, run as native code from then on.

A call with new dtypes, shapes, containers or static values captures the function again. The newest signature's builtin is
the instance's own `__call__`: a call that fits it never runs Python. What does not fit goes to `_dispatch`, which knows all
signatures. With an argument that is being differentiated, batched or captured, a call is one `call` op on that graph.
"""

import functools
import inspect
import threading

import numpy as np

from ..core import tree
from ..core.derived import standing
from ..core.errors import defined, where
from ..core.tensor import Tensor, untracked
from .arguments import Call
from .entry import Entry
from .held import Stale
from .program import collector_off

KEPT = 128  # signatures kept; the oldest goes first
_BUILTIN = type(len)


def jit(f=None, *, static_argnums=(), static_argnames=(), checkpoint=None):
    """f compiled to native code, its control flow included; the same values, within rounding.

    The first call with arguments of new dtypes, shapes or containers captures f and compiles it; later ones run the code
    alone. Arrays, floats and arrays that f reads from outside are inputs. Works on functions, methods and transforms:
    `jit(grad(f))`, `grad(jit(f))`, `vmap(jit(f))`. Needs llvmlite, without which NumPy runs what was captured.

    static_argnums, static_argnames: arguments that are compiled in as they are (they must be hashable); a new value compiles
    anew. Strings, booleans, None, functions and small sets of ints are so of themselves.

    checkpoint: "log" makes the backward pass of a loop of T steps keep about 10 log10 T of its states instead of all T, and run
    stretches of it again: each step at most log10 T times more.

    The result has besides: `out=`, arrays of the results' shapes and dtypes that they are written into; `f.explain(*args)`, what
    was made of it; `f.compile(*args)`, ahead of time; `f.graph(*args)` and `f.lower(*args)`, the graph and the code; `f.clear()`.

    Raises ConcreteError for what cannot be compiled, with your line and the way out; DTypeError for arguments or results that
    are no numbers; ShapeError for an `out=` that does not fit.

    >>> import numpy as np, adjoint as ad
    >>> f = ad.jit(ad.grad(lambda x: np.sum(np.sin(x) * x)))
    >>> f(np.array([0.0, 1.0]))
    array([0.        , 1.38177329])
    >>> g = np.empty(2)
    >>> f(np.array([0.0, 0.0]), out=g) is g
    True
    """
    if f is None:
        return functools.partial(
            jit, static_argnums=static_argnums, static_argnames=static_argnames, checkpoint=checkpoint
        )
    if isinstance(f, Jit):
        return f
    if not callable(f):
        raise TypeError(f"jit takes a function, not {f!r:.60}")
    if checkpoint not in (None, "log"):
        raise ValueError(f"jit: checkpoint is {checkpoint!r}; there are None (all states of a loop are kept) and 'log'")
    nums = (static_argnums,) if isinstance(static_argnums, int) else tuple(static_argnums)
    names = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    # a class of its own, so that its `__call__` can be the builtin itself
    return type("jit", (Jit,), {"__slots__": (), "__call__": Jit._call, "__module__": __name__})(
        f, nums, names, checkpoint
    )


class Jit:
    """A compiled function; made by `jit`."""

    __slots__ = (
        "__dict__", "__weakref__", "_capturing", "_chain", "_checkpoint", "_dynamic", "_entries", "_lock", "_seen",
        "_static_names", "_static_nums",
    )  # fmt: skip

    def __init__(self, f, nums, names, checkpoint=None):
        self.__wrapped__ = f
        self._static_nums = nums
        self._static_names = names
        self._checkpoint = checkpoint
        self._entries: dict = {}
        self._seen: dict = {}  # place of an int argument -> the values seen there
        self._dynamic: set = set()  # places of ints that are inputs
        self._chain = 0
        self._capturing = 0  # the thread that is capturing the function, or 0
        self._lock = threading.RLock()
        for name in ("__name__", "__qualname__", "__doc__", "__module__"):
            try:
                object.__setattr__(self, name, getattr(f, name))
            except AttributeError:
                pass

    def __init_subclass__(cls):
        if Jit not in cls.__bases__:
            raise TypeError("the class of a compiled function has one instance and no subclasses")

    def _call(self, *args, **kwargs):
        return self._dispatch(*args, **kwargs)

    __call__ = _call

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return _Method(self, instance)

    def __reduce__(self):
        return standing(self) or (
            _restore, (self.__wrapped__, self._static_nums, self._static_names, self._checkpoint)
        )  # fmt: skip

    def __repr__(self):
        return f"<jit of {defined(self.__wrapped__)}>"

    # Calls

    def _lean(self, *args, **kwargs):
        """A call that no builtin took: where only the form of its arrays is another (spread in memory, tensors), once more."""
        fixed, other, tensors = [], False, False
        for x in args:
            if type(x) is Tensor and x.trace is None:
                x, other, tensors = x.value, True, True
            if type(x) is np.ndarray and not x.flags.c_contiguous:
                x, other = x.copy(), True
            fixed.append(x)
        call = type(self).__call__
        if not other or type(call) is not _BUILTIN or "out" in kwargs:
            return self._dispatch(*args, **kwargs)
        y = call(*fixed, **kwargs)
        if not tensors:
            return y
        if isinstance(y, (np.ndarray, np.generic, float)):
            return untracked(y)
        leaves, structure = tree.flatten(y)
        return tree.unflatten(structure, [untracked(x) for x in leaves])

    def _dispatch(self, *args, out=None, **kwargs):
        for _ in range(8):
            call = self._read(args, kwargs)
            entry = self._entries.get(call.key)
            if entry is None or not entry.valid():
                entry = self._make(call)
            try:
                return entry.run(call, out)
            except Stale:
                self._entries.pop(call.key, None)
        raise RuntimeError(f"{self!r}: what the function reads from outside changes while it is called{where()}")

    def _read(self, args, kwargs):
        """The arguments of one call, taken apart."""
        return Call(self, args, kwargs)

    def _make(self, call):
        with self._lock, collector_off():
            entry = self._entries.get(call.key)
            if entry is not None and entry.valid():
                return entry
            before, self._capturing = self._capturing, threading.get_ident()
            try:
                entry = Entry(self, call)
            finally:
                self._capturing = before
            if entry.kept:
                while len(self._entries) >= KEPT:
                    del self._entries[next(iter(self._entries))]
                self._entries[call.key] = entry
                entry.install(self)
            return entry

    def _adjoint_inside(self):
        """The function itself, while this thread captures it: what calls itself is one program, not one compiled a call."""
        return self.__wrapped__ if self._capturing == threading.get_ident() else None

    # Looking in

    def _entry(self, args, kwargs):
        if not args and not kwargs and self._entries and not _callable_without(self.__wrapped__):
            return next(reversed(self._entries.values()))  # the last signature that was compiled
        call = self._read(args, kwargs)
        entry = self._entries.get(call.key)
        return entry if entry is not None and entry.valid() else self._make(call)

    def compile(self, *args, **kwargs):
        """Compile for arguments like these (arrays, or types `Array(shape, dtype)`), without calling; returns self."""
        self._entry(args, kwargs).program.compile()
        return self

    def lower(self, *args, **kwargs):
        """The generated code for arguments like these (none: for the last that were new): LLVM IR, as text."""
        p = self._entry(args, kwargs).program.compile()
        return p.text or "; not native: " + "; ".join(p.notes)

    def graph(self, *args, **kwargs):
        """The graph for arguments like these (none: for the last that were new), as the passes leave it."""
        p = self._entry(args, kwargs).program.compile()
        return p.optimized if p.optimized is not None else p.graph

    def explain(self, *args, **kwargs):
        """What was made of the function for arguments like these (none: for the last that were new), as text.

        The rewritten Python, the passes, the graph with its loops, the native code with what loops save at each step and what is called
        back, memory and time.

        >>> import numpy as np, adjoint as ad
        >>> f = ad.jit(lambda x: np.sum(x * x))
        >>> y = f(np.ones(100))
        >>> "loop over [100]: multiply sum" in f.explain()
        True
        """
        from .explain import explain

        return explain(self, self._entry(args, kwargs))

    def clear(self):
        """Forget every compiled signature."""
        with self._lock:
            self._entries.clear()
            if type(type(self).__call__) is _BUILTIN:
                from .native import instances

                instances.detach(self, Jit._call)
            else:
                type(self).__call__ = Jit._call


def _callable_without(f):
    """Whether f can be called without arguments."""
    try:
        inspect.signature(f).bind()
    except (TypeError, ValueError):
        return False
    return True


def _restore(f, nums, names, checkpoint=None):
    return jit(f, static_argnums=nums, static_argnames=names, checkpoint=checkpoint)


class _Method:
    """A compiled function bound to an object: the object is its first argument, static unless it is a container."""

    __slots__ = ("__self__", "__wrapped__")

    def __init__(self, f, instance):
        self.__wrapped__ = f
        self.__self__ = instance

    def __call__(self, *args, **kwargs):
        return self.__wrapped__(self.__self__, *args, **kwargs)

    def __reduce__(self):
        return _Method, (self.__wrapped__, self.__self__)

    def __getattr__(self, name):
        f = getattr(self.__wrapped__, name)
        if name in ("explain", "lower", "compile", "graph"):
            return functools.partial(f, self.__self__)
        return f
