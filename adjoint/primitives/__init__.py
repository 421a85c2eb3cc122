"""The ops, one file a family: each file holds all there is to know about its ops. `kinds` derives what can be derived."""

from . import (
    arithmetic,
    compare,
    control,
    custom,
    elementary,
)

import importlib as _i
for _m in "shape join index reduce sort contract linalg decompose special fft random".split():
    try:
        _i.import_module(f"adjoint.primitives.{_m}")
    except ImportError as _e:
        print("still missing:", _m, _e)
