"""autograd.numpy.numpy_wrapper: the names of `adjoint.autograd.numpy`, and what makes primitives of a module's functions."""

import types

import numpy as np

from ..extend import notrace_primitive, primitive


def wrap_namespace(old, new):
    """Put the functions of one namespace into another as primitives without rules; types and numbers as they are."""
    functions = (np.ufunc, types.FunctionType, types.BuiltinFunctionType, type(np.sum))
    for name, value in old.items():
        if isinstance(value, functions):
            whole = name in ("isfinite", "isinf", "isnan", "sign", "floor", "ceil", "argmax", "argmin", "argsort")
            new[name] = notrace_primitive(value) if whole else primitive(value)
        elif isinstance(value, (type, int, float, complex, str)) and not name.startswith("__"):
            new[name] = value


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    from .. import numpy as names

    return getattr(names, name)
