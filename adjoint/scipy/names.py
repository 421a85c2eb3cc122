"""From SciPy's functions to ours of the same name. Loads a module of ours only for a function of SciPy's that it may have."""

import importlib
import types

from . import MODULES

_found: dict = {}  # id of a function of SciPy -> (it, ours or None)


def ours(f):
    """Our function for one of SciPy's, or for a method of one of its distributions; None where there is none."""
    if type(f) is types.MethodType:  # norm.logpdf
        owner, module = f.__self__, type(f.__self__).__module__
        name = getattr(owner, "name", None)
        if name is None and module.startswith(
            "scipy.stats"
        ):  # multivariate_normal.logpdf: these do not know their names
            name = next((k for k, v in vars(importlib.import_module("scipy.stats")).items() if v is owner), None)
        return getattr(_named(module, name, owner), f.__name__, None)
    row = _found.get(id(f))
    if row is None:
        row = _found[id(f)] = (f, _named(getattr(f, "__module__", None) or "", getattr(f, "__name__", None), f))
    return row[1]


def _named(module, name, f):
    parts = module.split(".")
    if parts[0] != "scipy" or len(parts) < 2 or parts[1] not in MODULES or not isinstance(name, str):
        return None
    theirs = importlib.import_module(f"scipy.{parts[1]}")
    if getattr(theirs, name, None) is not f:
        return None
    mine = getattr(importlib.import_module(f"{__package__}.{parts[1]}"), name, None)
    return None if mine is f else mine
