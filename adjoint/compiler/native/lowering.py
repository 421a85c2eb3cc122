"""Lowering: the Kernel, with the table of what is emitted directly filled. Whoever compiles takes it from here."""

from . import decompositions, direct, indices, lapack, products, regions, sorting
from .emit import Kernel

__all__ = ["Kernel", "decompositions", "direct", "indices", "lapack", "products", "regions", "sorting"]
