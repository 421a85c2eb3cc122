"""autograd.wrap_util: operators of functions of one argument made operators of functions of many."""

from .differential_operators import nary as unary_to_nary  # noqa: F401
