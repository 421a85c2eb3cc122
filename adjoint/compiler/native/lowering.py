"""Lowering: the Kernel, and `lower`, which makes its text, with the table of what is emitted directly filled.

Whoever compiles takes both from here.
"""

from . import decompositions, direct, indices, lapack, products, regions, sorting
from .emit import lower
from .kernel import Kernel

__all__ = ["Kernel", "decompositions", "direct", "indices", "lapack", "lower", "products", "regions", "sorting"]
