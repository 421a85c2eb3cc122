"""Kernels alone: our native code and C++ by hand, both run many times by the same C loop, without Python in between.

A call from Python costs 0.1 us (our builtin) to 0.4 us (ctypes). Beside a program of a microsecond that is a good part
of the figure, so that small programs are compared twice: call with call, and kernel with kernel.
"""

import ctypes
import time
from statistics import median

import numpy as np

from . import native

TURN = 0.002  # seconds of one turn
SMALL = 2e-5  # seconds: where C++ is quicker than this, kernels are timed too


class Kernel:
    """The native code of a jit for these arguments, with inputs, outputs and workspace prepared. Raises if there is none."""

    def __init__(self, g, args):
        from adjoint.compiler import held, outer, program
        from adjoint.compiler.native.slowcall import _Space

        call = g._read(args, {})
        entry = g._entries[call.key]
        compiled = entry.program
        if not compiled.native:
            raise LookupError("no native code")
        leaves = list(call.leaves)
        for source, part in entry.reads:
            held.take(part, outer.read(source), leaves)
        leaves += entry.hidden
        kinds = [v.type for v in entry.graph.inputs]
        self.ins = [np.asarray(program.coerce(x, t), t.dtype) for x, t in zip(leaves, kinds, strict=True)]
        self.outs = [np.empty(v.type.shape, v.type.dtype) for v in entry.graph.outputs]
        free = None
        if compiled.frees:
            free = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(compiled.loaded.address("kernel.free"))
        self.space = _Space(compiled.workspace, free, compiled.loaded) if compiled.workspace else None
        self.code = ctypes.c_void_p(compiled.loaded.address("kernel"))
        self.pointers = [(ctypes.c_void_p * max(len(a), 1))(*[x.ctypes.data for x in a]) for a in (self.ins, self.outs)]
        # i32 kernel(inputs, outputs, workspace) is called as the functions by hand are; its result is left where it is
        self.repeat = native.library("C++ -O3").repeat
        self.repeat.restype = None

    def inside(self, times):
        space = ctypes.c_void_p(self.space.address if self.space else 0)
        self.repeat(self.code, *self.pointers, space, ctypes.c_int64(times))


def race(calls, rounds):
    """{name: seconds a call of each round}: the `inside` of each in turns."""
    counts = {}
    for name, inside in calls.items():
        n = 16
        while True:
            start = time.process_time()
            inside(n)
            if time.process_time() - start > TURN:
                break
            n *= 2
        counts[name] = n
    out = {name: [] for name in calls}
    order = list(calls)
    for _ in range(rounds):
        order.append(order.pop(0))
        for name in order:
            start = time.process_time()
            calls[name](counts[name])
            out[name].append((time.process_time() - start) / counts[name])
    return out


def compare(ready, times, ours, theirs, rounds):
    """{row: seconds a call of each round} of the rows' kernels alone, where one of `theirs` is quick; else empty.

    Ours is left out where it cannot be had without its call.
    """
    quick = [row for row in theirs if row in times and median(times[row][0]) < SMALL]
    if not quick:
        return {}
    calls = {row: ready[row].inside for row in quick}
    if ours in ready:
        kernel = ready[ours].kernel()
        if kernel is not None:
            calls[ours] = kernel.inside
    return race(calls, rounds)
