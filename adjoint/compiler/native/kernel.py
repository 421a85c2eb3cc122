"""Kernel: one compilation, the function under construction and all that its parts share: code, workspace, constants, callbacks."""

import numpy as np

from .code import Code, Module
from .guard import GUARD, Guard
from .machine import Machine
from .storage import Mem, Workspace, is_small, load_reg

# choices outside loops, as of products that are nothing where the cotangent is zero, from which on they are made without jumps
MANY = 64
CHOICES = {"strong_mul", "where", "maximum", "minimum", "clip", "sign"}


class Kernel:
    """One compilation: the function under construction and all that its parts share."""

    def __init__(self, graph, fma=True, checks=False, x86=False):
        self.module = Module(fma)
        self.code = Code(self.module)
        self.machine = Machine(self.code)
        self.x86 = x86
        self.workspace = Workspace()
        self.graph = graph
        self.notes: list = []  # what explain() says of the code: one line a step
        self.callbacks: list = []  # (symbol, function, input types, output types)
        self.constants: dict = {}
        self.work = 0  # about how many operations a run does, loops of unknown length counted once
        self.inner: dict = {}  # (slot, offset) of a stack of stacks -> one like those that are its steps
        self.guard = Guard(self.code) if checks else None

    def masked(self, graph):
        """Whether the choices in a graph that no loop repeats are made by masks.

        Jumps are foreseen, and quicker than masks where one line waits for the other, as from step to step of a loop. Of hundreds of
        lines outside loops they make hundreds of blocks, over which values stay in registers: LLVM takes several times as long.
        """
        return self.x86 and sum(line.op.name in CHOICES for line in graph.lines) >= MANY

    def number(self, symbol):
        """The number of a callback, of which `symbol` becomes the address."""
        self.module.declare(symbol, f"@{symbol} = external global i8")
        self.external("ad.callback", "i32 {}(i64, ptr, ptr)")
        return f"ptrtoint (ptr @{symbol} to i64)"

    def cleanup(self):
        """The function that frees what a workspace holds beyond itself."""
        if not self.workspace.slots:
            return ""
        self.external("ad.free", "void {}(ptr)")
        text = ["", "define void @kernel.free(ptr %ws) {"]
        for i, slot in enumerate(self.workspace.slots):
            text += [f"  %p{i} = getelementptr i8, ptr %ws, i64 {slot}", f"  %b{i} = load ptr, ptr %p{i}",
                     f"  call void @ad.free(ptr %b{i})"]  # fmt: skip
        return "\n".join([*text, "  ret void", "}"])

    def take(self, size):
        """An offset in the workspace with room for this many bytes."""
        if self.guard is None:
            return self.workspace.take(size)
        offset = self.workspace.take(size + GUARD)
        self.guard.taken(self.code.at("%ws", offset), size)
        return offset

    def give(self, offset, size):
        """Give room back, when what reads it has been emitted."""
        if self.guard is not None:
            self.guard.given(self.code.at("%ws", offset), size)
            size += GUARD
        self.workspace.give(offset, size)

    def input(self, ptr, t):
        mem = Mem(ptr, t.dtype, t.shape)
        return load_reg(self.code, mem) if is_small(t) else mem

    def note(self, text):
        self.notes.append(text)

    def constant(self, array):
        """A Mem for an array that is bound when the code is linked."""
        array = np.ascontiguousarray(array) if array.ndim else array
        key = id(array)
        if key not in self.constants:
            symbol = f"ad.const.{len(self.constants)}"
            self.module.keep.append(array)
            self.module.symbols[symbol] = array.ctypes.data
            self.module.declare(symbol, f"@{symbol} = external global i8")
            self.constants[key] = f"@{symbol}"
        return self.constants[key]

    def external(self, symbol, signature):
        """A function of the runtime (`ad.poll`, `ad.grow`, ...), declared."""
        return self.module.declare(symbol, f"declare {signature.format('@' + symbol)}")
