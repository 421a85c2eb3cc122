"""What a compiled kernel expects and makes: `Spec`, trees of tuples, lists and dicts over leaves. Data alone."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

comparable = (
    str,
    int,
    bytes,
)  # types whose values are compared by `==`: that costs little and runs no code of a user's


@dataclass(frozen=True)
class ArrayLeaf:
    """An ndarray of exactly this shape and dtype, C-contiguous and aligned."""

    shape: tuple
    dtype: Any

    def __post_init__(self):
        object.__setattr__(self, "dtype", np.dtype(self.dtype))
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def nbytes(self):
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize


@dataclass(frozen=True)
class ScalarLeaf:
    """A Python number (`type` is float, int, bool or complex) or a NumPy scalar (`type` is np.float64, ...)."""

    type: type

    @property
    def dtype(self):
        return np.dtype(self.type)

    @property
    def nbytes(self):
        return self.dtype.itemsize

    shape = ()


@dataclass(frozen=True)
class Same:
    """This very object: a static argument, a guard, a constant result."""

    value: Any


@dataclass(frozen=True)
class Equal:
    """An equal object of the same type, where comparing costs little and runs nobody's code (str, int, bytes); else as Same."""

    value: Any


@dataclass(frozen=True)
class Named:
    """An argument of exactly this class, which is derived from tuple, with these items."""

    cls: type
    items: tuple


@dataclass(frozen=True)
class Record:
    """An argument of exactly this class, with these attributes (getting them must run nobody's code)."""

    cls: type
    fields: dict


@dataclass(frozen=True)
class Made:
    """A result: what a callable makes of a tuple. Such a result cannot be written into what `out=` gives."""

    maker: Any
    items: tuple


@dataclass
class Spec:
    """What a compiled kernel expects and makes. A node is a leaf, Same, Equal, or a tuple, list or dict of nodes; an argument may be
    Named or a Record, a result Made.

    The kernel's inputs are the leaves of `args`, then of `kwargs`, then of `hidden`, in order; its outputs the leaves of `outputs`.
    A source is ("global", dict, name), ("cell", cell), ("attr", object, name), ("item", container, key) or ("ref", object).
    """

    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    outputs: Any = ()  # a node; Same(x) gives x itself
    fallback: Any = (
        None  # called with the arguments of a call that does not fit; must not call the same builtin with them again
    )
    on_error: Any = None  # called with the kernel's nonzero result; is to raise
    hidden: list = field(default_factory=list)  # (source, node): inputs read at each call
    guards: list = field(
        default_factory=list
    )  # (source, Same(x) or Equal(x)); ("absent", dict, name), None: no such name
    workspace: int = 0  # bytes
    release_gil: bool = False
    out: bool = True  # whether calls may pass `out=`
    pool: bool = True  # whether result arrays that nobody holds any more are used again
    frees: bool = False  # the module defines @kernel.free(ptr), to be called before a workspace goes
    name: str = "compiled"
    doc: str = ""
    keep: tuple = ()  # objects to keep alive with the builtin


def native(dtype):
    """A dtype that kernels take; TypeError for others."""
    if dtype.char not in "?bBhHiIlLqQefdFD" or not dtype.isnative:
        raise TypeError(f"compiled code does not take the dtype {dtype}")
    return dtype


def result_leaves(node) -> list:
    """The leaves of a tree of results, in order."""
    if isinstance(node, ArrayLeaf | ScalarLeaf):
        native(node.dtype)
        return [node]
    if isinstance(node, Same):
        return []
    if type(node) is dict:
        node = list(node.values())
    if isinstance(node, Made):
        node = node.items
    if type(node) is tuple or type(node) is list:
        return [leaf for child in node for leaf in result_leaves(child)]
    raise TypeError(f"no node of a result: {node!r}")
