"""Kernels and builtins for the tests of calls."""

import numpy as np

from adjoint.compiler.native import build, call, callback
from adjoint.compiler.native.spec import ArrayLeaf, Named, Record, ScalarLeaf, Spec


class Module:
    def __init__(self, functions=(), declarations=()):
        self.functions = dict(functions)
        self.declarations = dict(declarations)


def load(kernel, symbols=None, module=None):
    return build.load(build.assemble(module or Module(), kernel), symbols or {})


def copier(*sizes, code=0):
    """A kernel that copies input k to output k, for sizes in bytes."""
    lines = ["define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {"]
    for k, size in enumerate(sizes):
        lines += [
            f"  %i{k}.p = getelementptr ptr, ptr %ins, i64 {k}",
            f"  %i{k} = load ptr, ptr %i{k}.p",
            f"  %o{k}.p = getelementptr ptr, ptr %outs, i64 {k}",
            f"  %o{k} = load ptr, ptr %o{k}.p",
            f"  call void @llvm.memcpy.p0.p0.i64(ptr %o{k}, ptr %i{k}, i64 {size}, i1 false)",
        ]
    lines += [f"  ret i32 {code}", "}", "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"]
    return "\n".join(lines)


MISS = object()


def fallback(*args, **kwargs):
    fallback.last = (args, kwargs)
    return MISS


def copy_function(nodes, outputs=None, **more):
    """A builtin that gives back what it is given: args are `nodes`, outputs a tree with as many leaves."""
    leaves = [leaf for node in nodes for leaf in leaves_of(node)]
    loaded = load(copier(*[leaf.nbytes for leaf in leaves]))
    return call.make(
        loaded, Spec(args=tuple(nodes), outputs=tuple(nodes) if outputs is None else outputs, fallback=fallback, **more)
    )


def leaves_of(node):
    if isinstance(node, ArrayLeaf | ScalarLeaf):
        return [node]
    if isinstance(node, Named):
        node = node.items
    if isinstance(node, Record):
        node = node.fields
    if isinstance(node, dict):
        node = list(node.values())
    return [x for child in node for x in leaves_of(child)] if isinstance(node, tuple | list) else []


DTYPES = [np.dtype(c) for c in "?bBhHiIlLqQefdFD"]
VECTOR = ArrayLeaf((4,), float)
X = np.array([1.0, -2.0, 0.5, 1e300])


class Sub(np.ndarray):
    pass


class Tuple(tuple):
    pass


class List(list):
    pass


class Dict(dict):
    pass


class Float(float):
    pass


class Text(str):
    __slots__ = ()


class Quarrelsome:
    """Whoever compares it gets an error."""

    def __eq__(self, other):
        raise AssertionError("was compared")

    __hash__ = object.__hash__


def unaligned():
    return np.frombuffer(bytes(33), np.uint8)[1:].view(np.float64)


class Box:
    def __init__(self, value):
        self.value = value


def cell_of(value):
    return (lambda: value).__closure__[0]


def failing(code, on_error, **more):
    return call.make(
        load(copier(32, code=code)),
        Spec(args=(VECTOR,), outputs=(VECTOR, ScalarLeaf(float)), fallback=fallback, on_error=on_error, **more),
    )


def calling_back(function, ins, outs, leaves, hidden=(), outputs=(), release_gil=False, args=(), **more):
    """A kernel that calls `function` on (its inputs, its outputs), then copies its inputs `leaves` to its outputs."""
    back = callback.register_callback(function, ins, outs)
    copy = copier(*[leaf.nbytes for leaf in leaves]).replace("@kernel", "@copy")
    text = (
        copy
        + """
declare i32 @"ad.callback"(i64, ptr, ptr)
@"number" = external global i8
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
  %code = call i32 @"ad.callback"(i64 ptrtoint (ptr @"number" to i64), ptr %ins, ptr %outs)
  %bad = icmp ne i32 %code, 0
  br i1 %bad, label %stop, label %go
stop:
  ret i32 %code
go:
  %r = call i32 @copy(ptr %ins, ptr %outs, ptr %ws)
  ret i32 %r
}
"""
    )
    loaded = load(text, {**call.services(), "number": back.number})
    loaded.keep.append(back)
    return call.make(
        loaded,
        Spec(args=args, hidden=list(hidden), outputs=outputs, fallback=fallback, release_gil=release_gil, **more),
    )
