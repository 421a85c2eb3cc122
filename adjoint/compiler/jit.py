"""jit: a function compiled for the kinds of its arguments: captured once, run as native code from then on.

A call with new dtypes, shapes, containers or static values captures the function again. The newest signature's builtin is
the instance's own `__call__`: a call that fits it never runs Python. What does not fit goes to `_dispatch`, which knows all
signatures. With an argument that is being differentiated, batched or captured, a call is one `call` op on that graph.
"""

import functools
import inspect
import sys
import threading
import types
import warnings

import numpy as np

from ..core import tree
from ..core.errors import DTypeError, ShapeError, defined, where
from ..core.op import check_array
from ..core.tensor import Tensor, is_tensor, is_tracked, untracked
from ..core.types import Array, typeof
from ..primitives.loops import call as call_graph
from ..primitives.schedule import SCHEDULE
from ..traces.capture import Capture
from ..traces.graph import Graph
from ..transforms.calling import Recipe, portable
from . import held, outer
from .held import Stale
from .program import Program, leaf_node, program

KEPT = 128  # signatures kept; the oldest goes first
_BUILTIN = type(len)
CHAIN = 4  # builtins that a call may try one after the other
STATIC_INTS = 4  # different values of a Python int argument that are compiled in; from then on it is an input


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

    def _call(self, *args, **kwargs):
        return self._dispatch(*args, **kwargs)

    __call__ = _call

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        return _Method(self, instance)

    def __reduce__(self):
        module = sys.modules.get(self.__module__)
        if functools.reduce(lambda x, name: getattr(x, name, None), self.__qualname__.split("."), module) is self:
            return self.__qualname__  # it stands in its module in the function's place
        return _restore, (portable(self.__wrapped__), self._static_nums, self._static_names, self._checkpoint)

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
        with self._lock:
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
            type(self).__call__ = Jit._call


def _callable_without(f):
    """Whether f can be called without arguments."""
    try:
        inspect.signature(f).bind()
    except (TypeError, ValueError):
        return False
    return True


def _restore(f, nums, names, checkpoint=None):
    f = f.make() if type(f) is Recipe else f
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


class Static:
    """An argument that is compiled in."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is Static and type(self.value) is type(other.value) and _equal(self.value, other.value)

    def __hash__(self):
        try:
            return hash(self.value)
        except TypeError:
            return id(self.value)


def _equal(a, b):
    if a is b:
        return True
    try:
        return bool(a == b)
    except Exception:  # what compares by rules of its own
        return False


class Call:
    """One call's arguments: leaves that are inputs, and a key of everything else."""

    __slots__ = ("args", "key", "kwargs", "leaves", "places", "structure", "tensors", "types")

    def __init__(self, f, args, kwargs):
        self.args = args
        self.kwargs = kwargs
        self.leaves: list = []  # the values of the inputs, plain or tracked
        self.types: list = []
        self.tensors = False
        names = tuple(sorted(kwargs))
        rows: list = []
        structures: list = []
        nums = {n % len(args) if -len(args) <= n < len(args) else n for n in f._static_nums} if args else set()
        for place, x in (*enumerate(args), *((name, kwargs[name]) for name in names)):
            if place in nums or place in f._static_names:
                structures.append(Static(_hashable(f, place, x)))
                continue
            leaves, structure = tree.flatten(x)
            kinds: list = []
            for i, leaf in enumerate(leaves):
                kinds.append(self._leaf(f, (place, i), leaf))
            structures.append((structure, tuple(kinds)))
            rows.append(structure)
        self.structure = structures
        self.places = (len(args), names)
        self.key = (len(args), names, tuple(structures))

    def _leaf(self, f, place, x):
        """The key of one leaf; an input is added to the leaves."""
        kind = type(x)
        if kind is int and place not in f._dynamic:
            seen = f._seen.setdefault(place, set())
            seen.add(x)
            if len(seen) <= STATIC_INTS:
                return Static(x)
            f._dynamic.add(place)
        if is_tensor(x):
            self.tensors = self.tensors or x.trace is None
            if x.trace is None:
                x = x.value
        elif kind is np.ndarray or isinstance(x, np.generic):
            if x.dtype.kind not in "biufc":
                return self._odd(x)
            if not x.dtype.isnative:
                x = x.astype(x.dtype.newbyteorder("="))
        elif isinstance(x, np.ndarray):
            check_array(x, " as an argument of a compiled function")
            x = np.asarray(x)
        elif isinstance(x, Array):
            pass  # a type stands for a value: compile() ahead of time
        elif kind not in (float, int, complex):
            return self._odd(x)
        t = typeof(x)
        if t.dtype.char in "gG":
            raise DTypeError(
                f"an array of dtype {t.dtype} is no argument of a compiled function{where()}: processors have no arithmetic for "
                "it; convert it, a.astype(float), or leave jit away"
            )
        if t.dtype.kind not in "biufc":
            return self._odd(x)
        if t.weak and kind is int and not -(2**63) <= x < 2**63:
            return Static(x)
        self.leaves.append(x)
        self.types.append(t)
        return t

    def _odd(self, x):
        if isinstance(x, (np.ndarray, np.generic)):
            check_array(np.asarray(x), " as an argument of a compiled function")
            raise DTypeError(
                f"an array of dtype {x.dtype} is no argument of a compiled function{where()}; name it static"
            )
        if hasattr(type(x), "__array__") and not isinstance(x, (str, bytes)):
            a = np.asarray(x)
            if a.dtype.kind in "biufc":
                self.leaves.append(a)
                self.types.append(typeof(a))
                return typeof(a)
        return Static(x)

    def objects(self):
        """The objects among the arguments: what they hold may change between calls."""
        for s in self.structure:
            if type(s) is Static:
                yield s.value
            else:
                yield from (k.value for k in s[1] if type(k) is Static)
                yield from _statics(s[0])

    def arguments(self, inputs):
        """(args, kwargs) with these in place of the inputs."""
        rest = iter(inputs)
        n, names = self.places
        values: list = []
        for place, s in zip((*range(n), *names), self.structure):
            if type(s) is Static:
                values.append(self.args[place] if type(place) is int else self.kwargs[place])
                continue
            structure, kinds = s
            values.append(tree.unflatten(structure, [k.value if type(k) is Static else next(rest) for k in kinds]))
        return values[:n], dict(zip(names, values[n:]))


def _statics(structure):
    if structure.kind == "static":
        yield structure.data
    for child in structure.children:
        yield from _statics(child)


def _hashable(f, place, x):
    try:
        hash(x)
    except TypeError:
        raise DTypeError(
            f"{f!r}: the static argument {place!r} is a {type(x).__name__}, which cannot be hashed{where()}; pass a tuple, or "
            "leave it out of static_argnums"
        ) from None
    return x


class Entry:
    """One signature: the graph, its program, and what the graph reads from outside."""

    def __init__(self, f, call):
        self.f = f
        self.call = call
        trace = Capture()
        recorder = outer.Recorder(trace)
        inputs = [trace.input(t) for t in call.types]
        variables = [x.info for x in inputs]
        for x in call.objects():
            recorder.argument(x)
        token = SCHEDULE.set(f._checkpoint)
        try:
            args, kwargs = call.arguments(inputs)
            result = recorder.run(f.__wrapped__, args, kwargs)
            outs, self.structure = tree.flatten(result)
            outputs = [self._operand(trace, y) for y in outs]
        finally:
            SCHEDULE.reset(token)
            trace.close()
        for what, tensors in (("an argument", zip(inputs, variables)), ("an array of outside", recorder.tensors)):
            if any(x.info is not v for x, v in tensors):
                warnings.warn(
                    f"{f!r} writes into {what}{where()}: compiled, it works on a copy, and the array of the caller stays as it is; "
                    "return the array instead",
                    RuntimeWarning,
                    stacklevel=2,
                )
        reads, self.guards = recorder.finish()
        self.reads = [(source, part) for source, part, _ in reads]
        variables += [v for _, _, more in reads for v in more]
        hidden = list(trace.hidden.values())
        self.hidden = [x for x, _ in hidden]
        variables += [v for _, v in hidden]
        name = getattr(f.__wrapped__, "__name__", "f").replace("<lambda>", "f")
        self.graph = Graph(variables, trace.lines, outputs, self.structure, self.hidden, name).prune()
        self.graph.cache["compile"] = True
        self.kept = not self.hidden  # a tracked value of a closure that nobody saw being read: good for this call alone

    def _operand(self, trace, y):
        try:
            return trace.operand(y)
        except TypeError:
            raise DTypeError(
                f"{self.f!r} returns a {type(y).__name__}, which is no array, number or container of them{where()}"
            ) from None

    @property
    def program(self) -> Program:
        return program(self.graph)

    def valid(self):
        """Whether what the function read from outside is still the same."""
        return all(outer.same(source, value) for source, value in self.guards)

    def run(self, call, out=None):
        leaves = list(call.leaves)
        for source, part in self.reads:
            held.take(part, outer.read(source), leaves)
        leaves += self.hidden
        if any(is_tracked(x) for x in leaves):
            ys = list(call_graph(self.graph, *leaves))
        elif out is not None:
            return self._into(leaves, out, call)
        else:
            ys = self.program(*leaves)
        if call.tensors:
            ys = [untracked(y) for y in ys]
        return tree.unflatten(self.structure, ys)

    def _into(self, leaves, out, call):
        """Write the results into the caller's arrays."""
        buffers = tree.match(self.structure, out, "container of out=")
        for b, v in zip(buffers, self.graph.outputs):
            b = b.value if is_tensor(b) and b.trace is None else b
            if type(b) is not np.ndarray or b.dtype != v.type.dtype or b.shape != v.type.shape:
                raise ShapeError(
                    f"{self.f!r}: out= needs an array of {v.type.dtype}{list(v.type.shape)}, not "
                    f"{f'{b.dtype}{list(b.shape)}' if isinstance(b, np.ndarray) else type(b).__name__}{where()}"
                )
            if not b.flags.writeable:
                raise ShapeError(f"{self.f!r}: the array given as out= is read-only{where()}")
        given = [b.value if is_tensor(b) else b for b in buffers]
        for i, b in enumerate(given):
            if any(np.shares_memory(b, other) for other in given[:i]):
                raise ShapeError(
                    f"{self.f!r}: two arrays given as out= share memory{where()}; each result needs one of its own"
                )
        ys = self.program(*leaves)
        ys = [np.array(y) for y in ys] if len(ys) > 1 else ys
        for b, y in zip(buffers, ys):
            (b.value if is_tensor(b) else b)[...] = y
        return out

    # The builtin

    def install(self, f):
        """Make calls of this signature reach the kernel without Python."""
        p = self.program.compile()
        if not p.native or not all(part.native for _, part in self.reads if type(part) is held.Opened):
            return
        from .native import call

        args = self._nodes()
        outs = None if args is None else _output(self.structure, [v.type for v in self.graph.outputs])
        if args is None or outs is None:
            return
        before = type(f).__call__
        # a call that does not fit goes to the builtins before, of which there are few: some are of what no longer holds
        f._chain = f._chain % CHAIN + 1
        fallback = before if type(before) is _BUILTIN and f._chain > 1 else f._lean
        n, names = self.call.places
        guards = [(source, call.Same(value)) for source, value in self.guards]
        spec = call.Spec(
            args=tuple(args[:n]), kwargs=dict(zip(names, args[n:])), outputs=outs, fallback=fallback,
            guards=guards, hidden=[(source, held.node(part)) for source, part in self.reads], out=not _holds_made(outs),
            **p.common(),
        )  # fmt: skip
        type(f).__call__ = call.make(p.loaded, spec)

    def _nodes(self):
        from .native import call

        nodes = []
        for s in self.call.structure:
            if type(s) is Static:
                nodes.append(call.Equal(s.value))
                continue
            structure, kinds = s
            leaves = iter(zip(kinds, tree.flatten(self._argument(len(nodes)))[0]))
            node = _argument_node(structure, leaves)
            if node is None:
                return None
            nodes.append(node)
        return nodes

    def _argument(self, i):
        n, names = self.call.places
        return self.call.args[i] if i < n else self.call.kwargs[names[i - n]]


def _argument_node(structure, leaves):
    from .native import call

    kind = structure.kind
    if kind == "leaf":
        t, x = next(leaves)
        if type(t) is Static:
            return call.Equal(t.value)
        return call.ArrayLeaf(t.shape, t.dtype) if type(x) is np.ndarray else leaf_node(t)
    if kind == "static":
        return call.Equal(structure.data)
    children = [_argument_node(c, leaves) for c in structure.children]
    if any(c is None for c in children):
        return None
    built = _built(kind, structure, children)
    if built is None and tree.maker(structure) is not None:
        if issubclass(kind, tuple):
            return call.Named(kind, tuple(children))
        if _plain_attributes(kind, structure.data):
            return call.Record(kind, dict(zip(structure.data, children)))
    return built


def _plain_attributes(cls, names):
    """Whether getting these attributes of an object runs no code of a user's."""
    if cls.__getattribute__ is not object.__getattribute__ or hasattr(cls, "__getattr__"):
        return False
    return not any(
        hasattr(type(x), "__get__") and type(x) is not types.MemberDescriptorType
        for x in (inspect.getattr_static(cls, name, None) for name in names)
    )


def _built(kind, structure, children):
    if kind is tuple:
        return tuple(children)
    if kind is list:
        return children
    if kind is dict:
        return dict(zip(structure.data, children))
    return None


def _output(structure, types):
    rest = iter(types)

    def node(s):
        from .native import call

        if s.kind == "leaf":
            return leaf_node(next(rest))
        if s.kind == "static":
            return call.Same(s.data)
        children = [node(c) for c in s.children]
        if any(c is None for c in children):
            return None
        built, maker = _built(s.kind, s, children), tree.maker(s)
        return call.Made(maker, tuple(children)) if built is None and maker is not None else built

    return node(structure)


def _holds_made(node):
    from .native import call

    if isinstance(node, call.Made):
        return True
    row = node.values() if type(node) is dict else node if type(node) in (tuple, list) else ()
    return any(map(_holds_made, row))
