"""Program: a graph of plain arrays as a callable: passes, then native code; without llvmlite, the graph run by NumPy.

`program(graph)` is made once a graph and kept in its cache. It takes the leaves that the graph's inputs stand for and
returns the list of outputs, as `Graph.run` does.
"""

import contextlib
import functools
import gc
import threading
import time

import numpy as np

from ..core.errors import warn
from ..core.types import Array
from ..primitives import branches
from . import passes
from .passes.plain import plain

LOOKED_AT = 4096  # entries of results, up to which looking for a NaN among them costs little beside any work that made them
LARGEST = 20_000  # lines, those of bodies included, up to which a graph is compiled: LLVM needs about 0.3 ms a line
_lock = threading.RLock()
_SCALARS = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


@contextlib.contextmanager
def collector_off():
    """Without the garbage collector: a graph is many objects, none of which is garbage yet, and in a process with large libraries
    the collector takes longer to find that out, again and again, than the passes."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Program:
    """One graph, compiled when it is first called.

    run(*leaves) -> list of outputs. notes: what was emitted, a line a step. seconds: what compiling took, by stage.
    checks: the code looks for wrong uses of its own memory (native/guard.py). plain: products may be plain ones where a NaN tells
    that they must not be (passes/plain.py): then `_Again` runs.
    """

    def __init__(self, graph, checks=False, plain=True):
        self.graph = graph
        self.checks = checks
        self.plain = plain
        self.seconds: dict = {}
        self.notes: list = []
        self.text = ""
        self.workspace = 0
        self._call = None
        self._errors: list = []
        self.optimized = None
        self.loaded = None

    def __call__(self, *leaves):
        if self._call is None:
            self.compile()
        return self._call(*leaves)

    @property
    def native(self):
        """Whether it runs as native code."""
        return self.loaded is not None

    def compile(self):
        """Make the code now."""
        with _lock, collector_off():
            if self._call is not None:
                return self
            reason = unavailable()
            if reason or not _plain(self.graph):
                self._call = self._interpret
                return self
            start = time.perf_counter()
            lines = passes.size(self.graph)
            if lines <= 2 * LARGEST:
                self.optimized = passes.run(self.graph)
                lines = passes.size(self.optimized)
            self.seconds["passes"] = time.perf_counter() - start
            if lines > LARGEST:
                return self._too_large(lines)
            graph = self.optimized
            try:
                self._emit(graph)
            except NotImplementedError as error:
                self.notes.append(f"run by NumPy, line by line: {error}")
                self._call = self._interpret
                return self
            from .native import call

            spec = call.Spec(
                args=tuple(leaf_node(v.type) for v in graph.inputs),
                outputs=[leaf_node(v.type) for v in graph.outputs],
                fallback=self._coerce,
                **self.common(),
            )
            self._call = call.make(self.loaded, spec)
            strict = call.Spec(args=spec.args, outputs=spec.outputs, fallback=_mismatch, **self.common())
            self._strict = call.make(self.loaded, strict)
            return self

    def _too_large(self, lines):
        """Loops unrolled, or a recursion laid out: to compile it would take minutes."""
        self.optimized = None
        self.notes.append(f"run by NumPy, line by line: {lines} lines are more than the {LARGEST} that are compiled")
        warn(
            f"{self.graph.name} is captured as {lines} lines, more than the {LARGEST} that are compiled, and is run by NumPy: a loop "
            "was unrolled or a recursion laid out; write it as a loop whose state keeps its shapes, or with ad.while_loop or ad.scan"
        )
        self._call = self._interpret
        return self

    def common(self):
        """What every builtin on this kernel has in common."""
        return {
            "on_error": self._raise,
            "workspace": self.workspace,
            "frees": self.frees,
            "release_gil": self.release_gil,
            "name": self.graph.name,
        }

    def _emit(self, graph):
        from .native import build, call, callback
        from .native.lowering import Kernel, lower  # not from emit: without lowering, most ops are called back

        start = time.perf_counter()
        host = build.host()
        found = plain(graph) if self.plain else None
        suspects: list = []
        if found is not None and _looks_pay(*found):
            graph, suspects = found
        kernel = Kernel(graph, host.fma, self.checks, "+sse4.1" in host.features)
        text = lower(kernel, suspects)
        module = kernel.module
        ir = build.assemble(module, text)
        self.seconds["emission"] = time.perf_counter() - start
        start = time.perf_counter()
        symbols = {**call.services(), **module.symbols}
        if "ad.parallel" in module.declarations:
            from .native import pool

            symbols["ad.parallel"] = pool.address()
        keep = [*module.keep]
        for symbol, function, ins, outs in kernel.callbacks:
            back = callback.register_callback(lambda arrays, f=function: f(*arrays), ins, outs)
            keep.append(back)
            symbols[symbol] = back.number
        if suspects:
            types = ([v.type for v in vs] for vs in (graph.inputs, graph.outputs))
            back = callback.register_callback(_Again(self.graph, self.checks), *types)
            keep.append(back)
            symbols["ad.again"] = back.number
            kernel.note("products do not select; where a result is NaN, all is done again with products that do")
        self.loaded = build.load(ir, symbols)
        self.loaded.keep += keep
        self.seconds["LLVM"] = time.perf_counter() - start
        self.text = "\n\n".join([text, *(f for name, f in module.functions.items() if name.startswith("piece."))])
        self.notes += kernel.notes
        self.workspace = kernel.workspace.size
        self.frees = bool(kernel.workspace.slots)
        # with the lock released other threads run on; taking it back costs 0.05 us, more when others want it
        self.release_gil = kernel.work > 20_000
        self._errors = module.errors

    def _raise(self, code):
        from .native.code import FIRST_ERROR
        from .native.guard import OVERRUN

        if code == 3:
            raise MemoryError(f"{self.graph.name}: no memory for what a compiled loop saves")
        if code == OVERRUN:
            raise SystemError(f"{self.graph.name}: compiled code wrote beyond a buffer, a fault of adjoint's compiler")
        if code >= FIRST_ERROR:
            error = self._errors[code - FIRST_ERROR]
            raise error() if callable(error) else type(error)(*error.args)

    def _coerce(self, *leaves):
        """Arguments of other kinds or layouts, as the kernel takes them."""
        return self._strict(*[coerce(x, v.type) for x, v in zip(leaves, self.graph.inputs, strict=True)])

    def _interpret(self, *leaves):
        with np.errstate(all="ignore"):
            return [_as_output(y, v.type) for y, v in zip(self.graph.run(*leaves), self.graph.outputs)]


class _Again:
    """What a kernel calls whose plain products have given a NaN: the program with those that select, compiled the first time."""

    def __init__(self, graph, checks):
        self.graph = graph
        self.checks = checks
        self.program: Program | None = None

    def __call__(self, leaves):
        if self.program is None:
            self.program = Program(self.graph, self.checks, plain=False)
        return self.program(*leaves)


def _looks_pay(graph, suspects):
    """Whether to look for NaN among these outputs costs little beside the work: they are small, or there are loops."""
    from .native.watch import afterwards

    return afterwards(graph, suspects) <= LOOKED_AT or any(line.op.name in ("scan", "while_loop") for line in graph.lines)


def program(graph) -> Program:
    """The program of a graph, made once."""
    p = graph.cache.get("program")
    if p is None:
        p = graph.cache["program"] = Program(graph)
    return p


def _mismatch(*leaves):
    raise TypeError("the arguments do not fit what was compiled")


def _plain(graph):
    """Whether inputs and outputs are arrays and numbers: a kernel has no others."""
    return all(type(v.type) is Array for v in (*graph.inputs, *graph.outputs))


def leaf_node(t):
    """The node of a kernel's argument or result of this type."""
    from .native import call

    if t.weak:
        return call.ScalarLeaf(_SCALARS[t.dtype.kind])
    if t.shape == ():
        return call.ScalarLeaf(t.dtype.type)
    return call.ArrayLeaf(t.shape, t.dtype)


def coerce(x, t):
    """A value as a kernel takes it: contiguous, aligned, in its dtype; a number as its scalar class."""
    if t.weak:
        return _SCALARS[t.dtype.kind](x)
    if t.shape == ():
        return t.dtype.type(x)
    a = np.require(np.asarray(x), t.dtype, ["C", "A"])
    if type(a) is not np.ndarray:
        a = a.view(np.ndarray)
    if a.shape != t.shape:
        raise TypeError(f"an array of shape {a.shape} where the compiled function takes {t.shape}")
    return a if a.dtype is t.dtype else a.view(t.dtype)


def _as_output(y, t):
    if type(t) is not Array:
        return y
    if t.weak:
        return _SCALARS[t.dtype.kind](y)
    return np.asarray(y)[()] if t.shape == () else np.array(y)


@functools.cache
def unavailable() -> str:
    """Why there is no native code here, or "" if there is. Says so once, as a warning."""
    try:
        import llvmlite  # noqa: F401
    except ImportError:
        reason = "llvmlite is not installed (pip install 'adjoint[jit]')"
    else:
        from .native import call

        reason = call.self_test()
    if reason:
        warn(f"ad.jit runs its graphs by NumPy, without native code: {reason}")
    return reason


def _run(graph, args):
    """What evaluates a `call` op whose graph was compiled: hooked into primitives.branches."""
    return tuple(program(graph)(*args))


branches.COMPILED.append(_run)

