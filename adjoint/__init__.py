"""adjoint: derivatives of ordinary Python and NumPy code. Exact, quick, and never silently wrong.

>>> import numpy as np
>>> import adjoint as ad
>>> ad.grad(lambda x: np.sum(np.sin(x)))(np.array([0.0, np.pi]))
array([ 1., -1.])
"""

__version__ = "0.1.0"

from . import core, numpy, primitives, traces, transforms
from .core import tree as tree
from .core.config import config as config
from .core.errors import AdjointError as AdjointError
from .core.tensor import Tensor as Tensor
from .primitives.custom import custom_rule as custom_rule
from .primitives.custom import stop_gradient as stop_gradient
from .transforms.derivatives import elementwise_grad as elementwise_grad
from .transforms.derivatives import grad as grad
from .transforms.derivatives import graph as graph
from .transforms.derivatives import hessian as hessian
from .transforms.derivatives import hvp as hvp
from .transforms.derivatives import jacfwd as jacfwd
from .transforms.derivatives import jacobian as jacobian
from .transforms.derivatives import jacrev as jacrev
from .transforms.derivatives import jvp as jvp
from .transforms.derivatives import linearize as linearize
from .transforms.derivatives import value_and_grad as value_and_grad
from .transforms.derivatives import vjp as vjp
from .transforms.derivatives import vmap as vmap
from .transforms.imperative import no_grad as no_grad
from .transforms.imperative import tensor as tensor
from .views import trace as _trace  # the debug ladder listens from the start

__all__ = [
    "grad", "value_and_grad", "elementwise_grad", "vjp", "jvp", "linearize", "jacobian", "jacfwd", "jacrev", "hessian",
    "hvp", "vmap", "jit", "differentiable", "graph", "checkpoint", "custom_rule", "stop_gradient", "cond", "while_loop",
    "scan", "check_grads", "Tensor", "tensor", "no_grad", "config", "tree", "AdjointError", "debug", "show", "plot", "blame",
    "numpy", "ops",
]  # fmt: skip

_LAZY = {
    "cond": "primitives.control",
    "while_loop": "primitives.control",
    "scan": "primitives.control",
    "checkpoint": "transforms.checkpoint",
    "check_grads": "transforms.check",
    "show": "views.show",
    "plot": "views.plot",
    "blame": "views.nan",
    "jit": "compiler.jit",
    "differentiable": "compiler.syntax",
    "debug": "primitives.checks",
}  # name -> where it is; looked up when first used
TYPE_CHECKING = False  # type checkers take it as true
if TYPE_CHECKING:
    from .compiler.syntax import differentiable as differentiable
    from .primitives.checks import debug as debug
    from .primitives.control import cond as cond
    from .primitives.control import scan as scan
    from .primitives.control import while_loop as while_loop
    from .transforms.check import check_grads as check_grads
    from .transforms.checkpoint import checkpoint as checkpoint
    from .views.nan import blame as blame
    from .views.plot import plot as plot
    from .views.show import show as show
_DTYPES = (  # as NumPy's, for code that writes adjoint.float32
    "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)  # fmt: skip


def _ours_in_scipy(f):
    from .scipy.names import ours

    return ours(f)


def _call_copy(*args):
    from .compiler.syntax import call_copy

    return call_copy(*args)


def _again(*args):
    from .compiler.syntax.again import again

    return again(*args)


core.tensor.SCIPY.append(_ours_in_scipy)
transforms.calling.COPIES += [_call_copy, _again]


def __getattr__(name):
    import importlib

    if name in _LAZY:
        globals()[name] = f = getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
        return f
    if name in ("ops", "scipy", "views", "errors"):
        return importlib.import_module(f"{__name__}.{name}" if name != "errors" else f"{__name__}.core.errors")
    if name in _DTYPES:
        import numpy as np

        return getattr(np, name)
    raise AttributeError(f"module 'adjoint' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_LAZY, *_DTYPES, "ops", "scipy"})
