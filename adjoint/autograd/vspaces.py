"""vspace(x): the space of the (co)tangents of a value, an array, a number or a container. As in autograd, complex numbers
are pairs of real ones: `size` counts both, `ones` is 1+1j, and the standard basis has 1 and 1j at each place.
"""

import math

import numpy as np

from ..core import tree
from ..core.types import typeof
from .boxes import array_class


class _Mappings(dict):
    """VSpace.mappings[cls] = ...: for classes of arrays nothing is to be done, others are refused."""

    def __setitem__(self, cls, maker):
        super().__setitem__(array_class(cls), VSpace)


class VSpace:
    """Zeros, ones, a basis and products for values like `value`; of containers, containers. shape, dtype: of an array."""

    mappings = _Mappings()

    @classmethod
    def register(cls, value_type, vspace_maker=None):
        """Nothing is to be done for a subclass of numpy.ndarray; other classes are refused."""
        cls.mappings[value_type] = vspace_maker

    def __init__(self, value):
        leaves, self._structure = tree.flatten(value)
        self._types = [typeof(leaf) for leaf in leaves]

    @property
    def _array(self):
        if len(self._types) != 1 or self._structure.kind != "leaf":
            raise AttributeError("shape and dtype are of the space of an array, and this is one of containers")
        return self._types[0]

    @property
    def shape(self):
        return self._array.shape

    @property
    def dtype(self):
        return self._array.dtype

    @property
    def ndim(self):
        return len(self._array.shape)

    @property
    def size(self):
        return sum(t.size * (2 if t.dtype.kind == "c" else 1) for t in self._types)

    @property
    def iscomplex(self):
        return any(t.dtype.kind == "c" for t in self._types)

    def _made(self, of_type):
        return tree.unflatten(self._structure, [of_type(t) for t in self._types])

    def zeros(self):
        return self._made(lambda t: np.zeros(t.shape, t.dtype))

    def ones(self):
        return self._made(lambda t: np.full(t.shape, 1 + 1j if t.dtype.kind == "c" else 1, t.dtype))

    def randn(self):
        """Normal draws from NumPy's global generator."""

        def draw(t):
            r = np.random.standard_normal(t.shape)
            return np.asarray(r + 1j * np.random.standard_normal(t.shape) if t.dtype.kind == "c" else r, t.dtype)

        return self._made(draw)

    def standard_basis(self):
        """The vectors with one 1 (or 1j), in the order of the leaves and of their entries."""
        for k, t in enumerate(self._types):
            for index in np.ndindex(*t.shape):
                for one in (1.0, 1.0j) if t.dtype.kind == "c" else (1.0,):
                    leaves = [np.zeros(u.shape, u.dtype) for u in self._types]
                    leaves[k][index] = one
                    yield tree.unflatten(self._structure, leaves)

    def add(self, x, y):
        return tree.map(lambda a, b: a + b, x, y)

    def mut_add(self, x, y):
        return y if x is None else self.add(x, y)

    def scalar_mul(self, x, a):
        return tree.map(lambda leaf: leaf * a, x)

    def inner_prod(self, x, y):
        """The real part of the sum of conj(x) * y."""
        pairs = zip(tree.flatten(x)[0], tree.flatten(y)[0], strict=True)
        return sum(np.real(np.sum(np.conj(a) * b)) for a, b in pairs)

    def covector(self, x):
        return tree.map(np.conj, x)

    def __eq__(self, other):
        return isinstance(other, VSpace) and self._key() == other._key()

    def __hash__(self):
        return hash(math.prod(t.size for t in self._types))

    def _key(self):
        return self._structure, [(t.shape, t.dtype) for t in self._types]

    def __repr__(self):
        return f"VSpace({', '.join(map(str, self._types))})"


def vspace(value):
    """The space of the (co)tangents of a value."""
    return VSpace(value)
