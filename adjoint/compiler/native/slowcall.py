"""A call of a kernel through ctypes, for interpreters whose objects the glue does not know (free-threaded builds). Slower, as right.

The same nodes as call.py, tested in Python. `out=` is left to the fallback.
"""

import ctypes
import threading

import numpy as np

from .spec import ArrayLeaf, Equal, Made, Named, Record, Same, ScalarLeaf, comparable

_MISSING = object()


class SlowCall:
    """What `call.make` returns where no builtin can be made. Like a builtin, it does not bind as a method."""

    def __init__(self, loaded, spec, leaves):
        self.spec = spec
        self.loaded = loaded
        self.leaves = leaves  # of the results
        # PYFUNCTYPE keeps the GIL, and raises what a callback has raised
        self.kernel = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
            loaded.address("kernel")
        )
        self.frees = None
        if spec.frees:
            self.frees = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(loaded.address("kernel.free"))
        self.spaces: list = []  # workspaces that no call is using
        self.lock = threading.Lock()

    def __call__(self, *args, **kwargs):
        ins: list = []
        if not self._fits(args, kwargs, ins):
            return self.spec.fallback(*args, **kwargs)
        outs = [np.empty(leaf.shape, leaf.dtype) for leaf in self.leaves]
        space = self._space()
        code = -1
        try:
            code = self.kernel(_pointers(ins), _pointers(outs), space.address if space else None)
        finally:
            if space is not None and code == 0:
                with self.lock:
                    self.spaces.append(space)
        if code:
            if self.spec.on_error is not None:
                self.spec.on_error(code)
            raise RuntimeError("a compiled kernel failed, and its error handler did not raise")
        return _build(self.spec.outputs, iter(outs))

    def _fits(self, args, kwargs, ins):
        spec = self.spec
        if len(args) != len(spec.args) or kwargs.keys() != spec.kwargs.keys():
            return False
        for node, value in zip(spec.args, args):
            if not _match(node, value, ins):
                return False
        for name, node in spec.kwargs.items():
            if not _match(node, kwargs[name], ins):
                return False
        for (kind, *operands), node in [*spec.guards, *spec.hidden]:
            value = _fetch(kind, operands)
            if kind == "absent":
                if value is not _MISSING:
                    return False
            elif value is _MISSING or not _match(node, value, ins):
                return False
        return True

    def _space(self):
        if not self.spec.workspace:
            return None
        with self.lock:
            if self.spaces:
                return self.spaces.pop()
        return _Space(self.spec.workspace, self.frees, self.loaded)


class _Space:
    """A workspace: zeros, 64-byte aligned."""

    def __init__(self, size, frees, loaded):
        self.memory = np.zeros(size + 64, np.uint8)
        self.address = (self.memory.ctypes.data + 63) & ~63
        self.frees = frees
        self.loaded = loaded  # whose code `frees` is

    def __del__(self):
        if self.frees is not None:
            self.frees(self.address)


def _pointers(arrays):
    return (ctypes.c_void_p * max(len(arrays), 1))(*[a.ctypes.data for a in arrays])


def _fetch(kind, operands):
    try:
        if kind == "ref":
            return operands[0]
        if kind == "cell":
            return operands[0].cell_contents
        if kind == "attr":
            return getattr(*operands)
        return operands[0][operands[1]]  # global, item, absent
    except Exception:
        return _MISSING


def _match(node, value, ins):
    """Whether a value is what a node expects; the kernel's inputs in it are appended to `ins`."""
    if isinstance(node, ArrayLeaf):
        good = (
            type(value) is np.ndarray
            and value.dtype is node.dtype
            and value.shape == node.shape
            and value.flags.c_contiguous
            and value.flags.aligned
        )
        if good:
            ins.append(value)
        return good
    if isinstance(node, ScalarLeaf):
        if type(value) is not node.type or (node.type is int and not -(2**63) <= value < 2**63):
            return False
        ins.append(np.array(value, node.dtype))
        return True
    if isinstance(node, Same):
        return value is node.value
    if isinstance(node, Equal):
        return value is node.value or (
            type(value) is type(node.value) and type(value) in comparable and value == node.value
        )
    if isinstance(node, Named | Record):
        if type(value) is not node.cls:
            return False
        if isinstance(node, Named):
            return len(value) == len(node.items) and all(_match(n, v, ins) for n, v in zip(node.items, value))
        values = [_fetch("attr", (value, name)) for name in node.fields]
        return all(_match(n, v, ins) for n, v in zip(node.fields.values(), values))
    if type(value) is not type(node) or len(value) != len(node):
        return False
    if type(node) is dict:
        for have, want in zip(value, node):
            if have is not want and not (type(have) is type(want) and type(have) in comparable and have == want):
                return False
        value, node = list(value.values()), list(node.values())
    return all(_match(n, v, ins) for n, v in zip(node, value))


def _build(node, outs):
    if isinstance(node, ArrayLeaf):
        return next(outs)
    if isinstance(node, ScalarLeaf):
        value = next(outs)
        return value[()] if issubclass(node.type, np.generic) else node.type(value.item())
    if isinstance(node, Same):
        return node.value
    if isinstance(node, Made):
        return node.maker(tuple(_build(child, outs) for child in node.items))
    if type(node) is dict:
        return {key: _build(child, outs) for key, child in node.items()}
    return type(node)(_build(child, outs) for child in node)
