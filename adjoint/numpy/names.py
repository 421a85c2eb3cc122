"""From the tables of rules to names: what of a NumPy module has a function of ours."""

from ..core.tensor import FUNCTIONS, UFUNCS


def ours(module):
    """{name: our function} for each function of a NumPy module that is in the tables, under all its names."""
    found = {}
    for name, f in vars(module).items():
        if not name.startswith("_") and callable(f) and not isinstance(f, type):
            mine = FUNCTIONS.get(f) or UFUNCS.get(f)
            if mine is not None:
                found[name] = mine
    return found
