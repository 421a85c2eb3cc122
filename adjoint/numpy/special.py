"""scipy.special's names, where the array API standard expects an extension of that name: SciPy looks for `xp.special`.

SciPy is imported with the first name that is asked for.
"""

import importlib

from ..core.tensor import FUNCTIONS, UFUNCS


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    f = getattr(importlib.import_module("scipy.special"), name)
    raw = getattr(f, "__wrapped__", f)  # with SCIPY_ARRAY_API=1 SciPy's ufuncs hide behind functions that ask us
    importlib.import_module("adjoint.primitives.scipy_special")  # fills the tables
    return next((table[g] for table in (FUNCTIONS, UFUNCS) for g in (f, raw) if g in table), raw)
