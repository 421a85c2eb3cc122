"""adjoint."""
__version__ = "0.1.0"
from .core.tensor import Tensor
from .primitives import arithmetic, compare, elementary
