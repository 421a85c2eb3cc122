"""autograd.numpy.numpy_vspaces: one class serves real and complex arrays."""

from ..vspaces import VSpace as ArrayVSpace
from ..vspaces import VSpace as ComplexArrayVSpace

__all__ = ["ArrayVSpace", "ComplexArrayVSpace"]
