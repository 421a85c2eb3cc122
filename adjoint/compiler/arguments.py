"""Arguments: one call's arguments taken apart: what is an input, what is compiled in, and the key of the signature."""

import numpy as np

from ..core import tree
from ..core.errors import DTypeError, where
from ..core.op import check_array
from ..core.tensor import is_tensor
from ..core.types import Array, typeof

STATIC_INTS = 4  # different values of a Python int argument that are compiled in; from then on it is an input


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
