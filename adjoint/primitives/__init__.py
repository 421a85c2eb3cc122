"""The ops, one file a family: each file holds all there is to know about its ops. `kinds` derives what can be derived."""

import importlib
import sys

from ..core.tensor import LATE, LAZY
from . import (
    activation,
    arithmetic,
    compare,
    contract,
    cumulative,
    custom,
    diagonal,
    elementary,
    index,
    join,
    norms,
    reduce,
    shape,
    sort,
    special,
    stack,
    take,
    write,
)


def _load():
    """The other families, a third of the package: at first need. SciPy's have switches of their own."""
    import pkgutil  # a millisecond that only this needs

    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("scipy_"):
            importlib.import_module(f"{__name__}.{module.name}")


def _load_scipy():
    """SciPy's special functions get their rules, if SciPy is there: when a ufunc without rule meets a tensor."""
    if "scipy.special" in sys.modules:
        from . import scipy_distributions, scipy_functions, scipy_special


LAZY.append(_load_scipy)
LATE.append(_load)
