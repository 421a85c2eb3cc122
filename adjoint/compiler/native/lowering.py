"""Lowering: everything that fills the table of what is emitted directly. Import it before a Kernel is compiled."""

from . import direct, indices, lapack, products, regions

__all__ = ["direct", "indices", "lapack", "products", "regions"]
