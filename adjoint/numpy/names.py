"""From the tables of rules to names: what of a NumPy module has a function of ours."""

import types

import numpy as np

from ..core.tensor import FUNCTIONS, UFUNCS

_METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")


def ours(module):
    """{name: our function} for each function of a NumPy module that is in the tables, under all its names."""
    found = {}
    for name, f in vars(module).items():
        if not name.startswith("_") and callable(f) and not isinstance(f, type):
            mine = FUNCTIONS.get(f) or UFUNCS.get(f)
            if mine is not None:
                found[name] = mine
                if type(f) is np.ufunc and type(mine) is types.FunctionType:
                    for method in _METHODS:  # NumPy's own, which asks its arguments, and so finds ours
                        setattr(mine, method, getattr(f, method))
    return found
