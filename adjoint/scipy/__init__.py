"""SciPy's names, for differentiable code: `adjoint.scipy.special`, `.linalg`, `.stats`, `.optimize` and so on.

Each module, and SciPy with it, is imported when first asked for. What has no rule here is SciPy's own function, which
raises on a tensor that is being differentiated.

>>> import adjoint as ad
>>> from adjoint.scipy import stats
>>> ad.grad(stats.norm.logpdf)(0.5)
-0.5
"""

import importlib

MODULES = ("integrate", "interpolate", "linalg", "optimize", "signal", "sparse", "special", "stats")


def __getattr__(name):
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module 'adjoint.scipy' has no attribute {name!r}; it has {', '.join(MODULES)}")


def __dir__():
    return sorted({*globals(), *MODULES})
