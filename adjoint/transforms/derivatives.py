"""The functional transforms by name: each is in the file of its subject, and `graph`, which captures, is here."""

from ..traces.capture import capture
from .calling import named
from .mapping import vmap
from .matrices import hessian, hvp, jacfwd, jacobian, jacrev
from .products import elementwise_grad, grad, jvp, linearize, value_and_grad, vjp

__all__ = [
    "elementwise_grad", "grad", "graph", "hessian", "hvp", "jacfwd", "jacobian", "jacrev", "jvp", "linearize",
    "value_and_grad", "vjp", "vmap",
]  # fmt: skip


def graph(f):
    """Capture a function as a Graph: graph(f)(*args) runs f on stand-ins and returns typed lines `v = op(args)`.

    args: arrays, numbers or containers of them, of which only shapes and dtypes are used. The graph prints as text, and
    `g.run(*leaves)` runs it. Raises ConcreteError where f asks for a value, as `if x > 0` does; `jit(f).graph(*args)` gives the
    graph of such functions.

    >>> import numpy as np, adjoint as ad
    >>> print(ad.graph(lambda x: np.sin(x) * 2)(1.0))  # doctest: +ELLIPSIS
    f(%0: weak float64[]):
      %1: float64[] = sin(%0)...
      %2: float64[] = multiply(%1, 2)...
      return %2
    """

    def captured(*args):
        return capture(f, *args)

    return named(captured, f, "graph", graph, f)
