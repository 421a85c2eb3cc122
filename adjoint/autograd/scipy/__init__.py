"""SciPy's names on arrays and tensors; each module is imported when first used."""

import importlib as _importlib


def __getattr__(name):
    if name in ("special", "linalg", "signal", "integrate", "stats"):
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
