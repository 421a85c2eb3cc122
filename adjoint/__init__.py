"""adjoint: derivatives of ordinary Python and NumPy code."""

__version__ = "0.1.0"

from .core import tree
from .core.config import config
from .core.tensor import Tensor
from .primitives import arithmetic, compare, elementary
from .primitives.custom import custom_rule, stop_gradient
from .transforms.derivatives import elementwise_grad, grad, graph, hessian, hvp, jacfwd, jacobian, jacrev, jvp, linearize, value_and_grad, vjp, vmap
from .transforms.imperative import no_grad, tensor
