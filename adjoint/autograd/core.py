"""autograd.core: its two operators, which take the point beside the function, and the names it shares with `extend`."""

from . import differential_operators as _operators
from .extend import Box as Box
from .extend import VSpace as VSpace
from .extend import def_linear as def_linear
from .extend import defjvp as defjvp
from .extend import defjvp_argnum as defjvp_argnum
from .extend import defjvp_argnums as defjvp_argnums
from .extend import defvjp as defvjp
from .extend import defvjp_argnum as defvjp_argnum
from .extend import defvjp_argnums as defvjp_argnums
from .extend import primitive as primitive
from .extend import vspace as vspace
from .tracer import getval as getval
from .tracer import isbox as isbox


def make_vjp(fun, x):
    """(vjp, fun(x)): of one argument."""
    return _operators.make_vjp(fun)(x)


def make_jvp(fun, x):
    """A function of a tangent g, that gives (fun(x), the tangent of the result): of one argument."""
    return _operators.make_jvp(fun)(x)
