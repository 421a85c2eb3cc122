"""From a loaded kernel to a Python callable: `make(loaded, spec)` gives a CPython builtin that costs a tenth of a microsecond.

`Spec` says what the kernel expects and what it makes, as trees of tuples, lists and dicts (the very types, nothing derived from
them) over leaves. The builtin tests its arguments against it before it touches their memory. Whatever does not fit, it hands to the
Python function `fallback`, arguments and keywords as they are. Knows the layout of CPython's and NumPy's objects (glue.py lists
what it relies on, `available` checks it); knows nothing of graphs.
"""

import atexit
import ctypes
import functools
import sys
from types import CellType

import numpy as np

from . import build, cache, callback, glue, glue_call, layout
from .slowcall import SlowCall
from .spec import (
    ArrayLeaf,
    Equal,
    Made,
    Named,
    Record,
    Same,
    ScalarLeaf,
    Spec,
    comparable,
    native,
    result_leaves,
)

_PYTHON_SCALARS = {float: glue.OUT_FLOAT, int: glue.OUT_INT, bool: glue.OUT_BOOL, complex: glue.OUT_COMPLEX}
_SOURCES = {
    "global": glue.GLOBAL,
    "cell": glue.CELL,
    "attr": glue.ATTR,
    "item": glue.ITEM,
    "ref": glue.REF,
    "absent": glue.ABSENT,
}


@functools.cache
def pyapi() -> dict[str, int]:
    """The C functions that the glue calls: name -> address."""
    addresses = {}
    for name in glue.C_API:
        if name != "PyArray_Empty":
            addresses[name] = _address(getattr(ctypes.pythonapi, name))
    addresses["PyArray_Empty"] = int(layout.numpy_table()[layout.EMPTY] or 0)
    return addresses


def _address(function) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@functools.cache
def _glue():
    """The glue, compiled and connected. Where it is kept on disk, it is worth 0.1 s to save 20 ns a call; else it takes 20 ms."""
    effort = (0, 0) if cache.folder() is None else (0, 1)
    loaded = build.load(build.assemble(_Plain(), glue_call.text()), pyapi(), effort=effort)
    for i, kind in enumerate(comparable):
        _poke(loaded.address("comparable") + 8 * i, id(kind))
    _poke(loaded.address("handler"), id(callback.handle))
    loaded.keep.append(callback.handle)
    return loaded


def _poke(address, word):
    ctypes.c_uint64.from_address(address).value = word


@functools.cache
def services() -> dict[str, int]:
    """What kernels may call (name -> address): ad.poll, ad.callback, ad.grow, ad.free. They take the GIL themselves.

    i32 @ad.poll()                     nonzero: Ctrl-C; stop and return nonzero
    i32 @ad.callback(i64, ptr, ptr)    nonzero: the Python function raised; stop and return nonzero (callback.py)
    ptr @ad.grow(ptr, i64)             realloc: null on failure
    void @ad.free(ptr)
    """
    return {
        "ad.poll": _glue().address("ad.poll"),
        "ad.callback": _glue().address("ad.callback"),
        "ad.grow": pyapi()["PyMem_RawRealloc"],
        "ad.free": pyapi()["PyMem_RawFree"],
    }


class _Plain:
    functions: dict = {}
    declarations: dict = {}


class _Methods(ctypes.Structure):
    """PyMethodDef."""

    _fields_ = [
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    ]  # fmt: skip


_FASTCALL_KEYWORDS = 0x80 | 0x02


class _Writer:
    """Writes the block: words, of which some are places in the block itself and become addresses at the end."""

    def __init__(self):
        self.words: list = []
        self.places: list = []  # indices of words that hold an index into `words`
        self.fetched = 0  # how many attributes are got, and held, at a call
        self.objects: list = []  # whatever the block points to

    def object(self, x):
        self.objects.append(x)
        return id(x)

    def append(self, words):
        """Put `words` at the end; the index of the first."""
        at = len(self.words)
        self.words += words
        return at

    def point(self, index, place):
        """The word at `index` is to be the address of the word at `place`."""
        self.words[index] = place
        self.places.append(index)

    def program(self, node, leaves, held=False):
        """The words that describe an expected argument; its leaves are appended to `leaves`."""
        if isinstance(node, ArrayLeaf):
            native(node.dtype)
            leaves.append((node, held))
            return [glue.ARRAY, id(np.ndarray), self.object(node.dtype), len(node.shape), *node.shape]
        if isinstance(node, ScalarLeaf):
            leaves.append((node, held and node.type not in (int, bool)))
            if node.type is int:
                return [glue.INT, id(int)]
            if node.type is bool:
                return [glue.BOOL, id(bool), id(True)]
            if node.type not in _PYTHON_SCALARS:
                native(node.dtype)
            return [glue.SCALAR, id(node.type)]
        if isinstance(node, Same):
            return [glue.SAME, self.object(node.value)]
        if isinstance(node, Equal):
            return [glue.EQUAL if type(node.value) in comparable else glue.SAME, self.object(node.value)]
        if type(node) is tuple or type(node) is list:
            words = [glue.TUPLE if type(node) is tuple else glue.LIST, id(type(node)), len(node)]
            for child in node:
                words += self.program(child, leaves, held or type(node) is list)
            return words
        if isinstance(node, Named):
            words = [glue.TUPLE, self.object(node.cls), len(node.items)]
            for child in node.items:
                words += self.program(child, leaves, held)
            return words
        if isinstance(node, Record):
            words = [glue.RECORD, self.object(node.cls), len(node.fields)]
            self.fetched += len(node.fields)
            for name, child in node.fields.items():
                words += [self.object(sys.intern(name)), *self.program(child, leaves)]
            return words
        if type(node) is dict:
            words = [glue.DICT, id(dict), len(node)]
            for key, child in node.items():
                words += [self.object(key), *self.program(child, leaves, True)]
            return words
        raise TypeError(f"no node of an argument: {node!r}")

    def tree(self, node, leaves):
        """The words that describe the results; their leaves are appended to `leaves`."""
        if isinstance(node, ArrayLeaf | ScalarLeaf):
            leaves.append(node)
            return [glue.LEAF]
        if isinstance(node, Same):
            return [glue.CONST, self.object(node.value)]
        if type(node) is tuple or type(node) is list:
            words = [glue.TUPLE if type(node) is tuple else glue.LIST, len(node)]
            for child in node:
                words += self.tree(child, leaves)
            return words
        if isinstance(node, Made):
            return [glue.MADE, self.object(node.maker), *self.tree(node.items, leaves)]
        if type(node) is dict:
            words = [glue.DICT, len(node)]
            for key, child in node.items():
                words += [self.object(key), *self.tree(child, leaves)]
            return words
        raise TypeError(f"no node of a result: {node!r}")

    def leaf(self, node):
        """The row of a result's leaf, and the places in it that are to point at its dimensions."""
        dtype = native(node.dtype)
        row = dict.fromkeys(glue.LEAF_FIELDS, 0)
        row.update(descr=self.object(dtype), nbytes=node.nbytes, nd=len(node.shape), kind=glue.OUT_ARRAY)
        if isinstance(node, ScalarLeaf):
            row.update(kind=_PYTHON_SCALARS.get(node.type, glue.OUT_NUMPY), type=id(node.type))
            if dtype.kind == "b":
                no, yes = (False, True) if node.type is bool else (np.False_, np.True_)
                row.update(kind=glue.OUT_BOOL, type=self.object(no), other=self.object(yes))
        return list(row.values())


def make(loaded: build.Loaded, spec: Spec):
    """A builtin that calls `@kernel` of `loaded` as `spec` says. It keeps the code and everything it needs alive."""
    leaves = result_leaves(spec.outputs)
    if not available():
        return SlowCall(loaded, spec, leaves)
    writer = _Writer()
    header = writer.append([0] * len(glue.BLOCK))
    at = {name: i for i, name in enumerate(glue.BLOCK)}
    ins: list = []
    outs: list = []

    words = []
    for node in spec.args:
        words += writer.program(node, ins)
    writer.point(at["args"], writer.append(words))
    rows = []
    for name, node in spec.kwargs.items():
        rows.append((writer.object(sys.intern(name)), writer.append(writer.program(node, ins))))
    first_hidden = len(ins)
    table = writer.append([0] * (2 * len(rows)))
    for i, (name, place) in enumerate(rows):
        writer.words[table + 2 * i] = name
        writer.point(table + 2 * i + 1, place)
    writer.point(at["kw"], table)

    words = []
    hidden = [*spec.guards, *spec.hidden]
    for source, node in hidden:
        kind, operands = _source(*source)
        words.append(kind)
        words += [writer.object(x) for x in operands] + [0] * (2 - len(operands))
        if kind != glue.ABSENT:
            words += writer.program(node, ins)
    writer.point(at["hidden"], writer.append(words))
    writer.point(at["in_bytes"], writer.append([n.nbytes if isinstance(n, ArrayLeaf) else 0 for n, _ in ins]))

    writer.point(at["tree"], writer.append(writer.tree(spec.outputs, outs)))
    leaves = writer.append([])
    for node in outs:
        writer.append(writer.leaf(node))
    for i, node in enumerate(outs):
        dims = writer.append(list(node.shape) or [0])
        writer.point(leaves + i * glue.LEAF_WORDS + glue.LEAF_FIELDS.index("dims"), dims)
    writer.point(at["leaves"], leaves)

    n_holds = len(hidden) + writer.fetched + sum(held for _, held in ins)
    n_ins, n_outs = len(ins), len(outs)
    n_holds += (2 * n_ins + n_holds + 2 * n_outs) % 2  # results of 16 bytes are aligned
    for name, value in {
        "kernel": loaded.address("kernel"),
        "fallback": writer.object(spec.fallback),
        "on_error": 0 if spec.on_error is None else writer.object(spec.on_error),
        "n_args": len(spec.args),
        "n_kw": len(rows),
        "n_hidden": len(hidden),
        "first_hidden": first_hidden,
        "n_ins": n_ins,
        "n_outs": n_outs,
        "out_name": writer.object(sys.intern("out")) if spec.out and "out" not in spec.kwargs else 0,
        "ws_size": spec.workspace,
        "ws_free": loaded.address("kernel.free") if spec.frees else 0,
        "release_gil": spec.release_gil,
        "n_holds": n_holds,
        "scratch": 8 * (2 * n_ins + n_holds + 4 * n_outs),
        "error": id(RuntimeError),
        "message": _MESSAGE_AT,
        "exception": id(Exception),
        "none": id(None),
        "ndarray": id(np.ndarray),
        "tuple_type": id(tuple),
        "list_type": id(list),
        "dict_type": id(dict),
        "pooling": spec.pool,
    }.items():
        writer.words[header + at[name]] = int(value)
    block = _Block.of(writer, loaded)
    return _builtin(block, loaded, spec, writer.objects)


def _source(kind, *operands):
    """The glue's number of a kind of source, and its operands, which must be what the C API takes."""
    types = {
        "global": (dict, str),
        "absent": (dict, str),
        "cell": (CellType,),
        "attr": (object, str),
        "item": (object, object),
    }
    types["ref"] = (object,)
    if kind not in types or len(operands) != len(types[kind]) or not all(map(isinstance, operands, types[kind])):
        raise TypeError(f"no source: {kind!r} with {operands!r:.200}")
    return _SOURCES[kind], operands


_MESSAGE = ctypes.create_string_buffer(b"a compiled kernel failed, and its error handler did not raise")
_MESSAGE_AT = ctypes.addressof(_MESSAGE)
_live_blocks: dict | None = {}  # address of a block -> its memory and what `destroy` may call


class _Block(int):
    """The address of a block, whose memory goes with it. Like build._Handle it is none of the garbage collector's business."""

    __slots__ = ()

    @classmethod
    def of(cls, writer, loaded):
        memory = (ctypes.c_uint64 * len(writer.words))(*writer.words)
        base = ctypes.addressof(memory)
        for index in writer.places:
            memory[index] = base + 8 * writer.words[index]
        if _live_blocks is not None:
            _live_blocks[base] = (memory, loaded.handle)
        return cls(base)

    def __del__(self):
        live = _live_blocks
        if live is not None and int(self) in live:
            _destroy()(int(self))
            del live[int(self)]


@atexit.register
def _keep_all():
    """Free nothing any more while the interpreter goes down: somebody may still call. See build._keep_all."""
    global _live_blocks
    for kept in (_live_blocks, _MESSAGE, callback.handle):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    _live_blocks = None


@functools.cache
def _destroy():
    return ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(_glue().address("destroy"))


def _builtin(block, loaded, spec, objects):
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    new_builtin = ctypes.pythonapi.PyCFunction_NewEx
    new_builtin.restype, new_builtin.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.py_object, ctypes.py_object]
    methods = _Methods(spec.name.encode(), _glue().address("call"), _FASTCALL_KEYWORDS, spec.doc.encode() or None)
    capsule = new_capsule(int(block), None, None)
    # a tuple, since the garbage collector sees through one but never empties it: the builtin can be called as long as it is there
    owner = (capsule, methods, loaded.handle, tuple(loaded.keep), tuple(objects), spec.keep, block)
    return new_builtin(ctypes.addressof(methods), owner, spec.name)


def instance_entry() -> int:
    """The address of the C function that an instance is called by, see instances.py."""
    return _glue().address("call.instance")


def release(builtin) -> None:
    """Give back the arrays and the workspace that a builtin keeps between calls. It can be called again."""
    _destroy()(int(builtin.__self__[-1]))


def available() -> bool:
    """Whether builtins can be made on this interpreter; else `make` gives a callable that goes through ctypes."""
    return not layout.problem()


_SELF_TEST = """
define i32 @kernel(ptr %ins, ptr %outs, ptr %ws) {
entry:
  %a = load ptr, ptr %ins
  %b.p = getelementptr ptr, ptr %ins, i64 1
  %b = load ptr, ptr %b.p
  %o = load ptr, ptr %outs
  %s.p = getelementptr ptr, ptr %outs, i64 1
  %s = load ptr, ptr %s.p
  %k = load double, ptr %b
  %k1 = insertelement <4 x double> poison, double %k, i64 0
  %k4 = shufflevector <4 x double> %k1, <4 x double> poison, <4 x i32> zeroinitializer
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%i1, %loop]
  %sum = phi <4 x double> [zeroinitializer, %entry], [%sum1, %loop]
  %a.i = getelementptr double, ptr %a, i64 %i
  %x = load <4 x double>, ptr %a.i, align 8
  %y = call contract <4 x double> @llvm.fmuladd.v4f64(<4 x double> %x, <4 x double> %k4, <4 x double> %x)
  %o.i = getelementptr double, ptr %o, i64 %i
  store <4 x double> %y, ptr %o.i, align 8
  %sum1 = fadd <4 x double> %sum, %y
  %i1 = add i64 %i, 4
  %left = icmp slt i64 %i1, 32
  br i1 %left, label %loop, label %done
done:
  %total = call reassoc double @llvm.vector.reduce.fadd.v4f64(double -0.0, <4 x double> %sum1)
  store double %total, ptr %s
  ret i32 0
}
declare <4 x double> @llvm.fmuladd.v4f64(<4 x double>, <4 x double>, <4 x double>)
declare double @llvm.vector.reduce.fadd.v4f64(double, <4 x double>)
"""


@functools.cache
def self_test() -> str:
    """Compile a small kernel, call it, check its numbers: "" if all is well on this machine, else what is not."""
    try:
        loaded = build.load(build.assemble(_Plain(), _SELF_TEST))
        other: list = []
        spec = Spec(
            args=(ArrayLeaf((32,), float), ScalarLeaf(float)),
            outputs=(ArrayLeaf((32,), float), ScalarLeaf(np.float64)),
            fallback=lambda *args: other.append(args),
        )
        f = make(loaded, spec)
        x = np.arange(32.0)
        for k in (0.5, 2.0):  # whole and half numbers: no rounding, so the comparison is exact
            y, total = f(x, k)
            if not np.array_equal(y, x * (k + 1)) or total != x.sum() * (k + 1) or type(total) is not np.float64:
                return f"a kernel gave {y} and {total} for {x} and {k}"
        f(x[::2], 1.0)
        if len(other) != 1:
            return "a call that does not fit did not reach the fallback"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""
