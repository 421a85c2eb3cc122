"""The ops, one file a family: each file holds all there is to know about its ops. `kinds` derives what can be derived."""

import importlib

from ..core.tensor import LATE
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


LATE.append(_load)
