"""Which array library owns a value. NumPy carries them: rules call `np.*`, and other engines answer through NumPy's own
protocols. What they lack goes through tables here, found by type; no engine is imported that is not already loaded.
"""

import numpy as np

from .op import is_plain


def eager(*xs):
    """Whether all values are NumPy's own and known: value-dependent short cuts and in-place writes ask this first."""
    for x in xs:
        kind = type(x)
        if (
            kind is not np.ndarray
            and kind is not float
            and (not is_plain(x) or not isinstance(x, (np.generic, int, float, complex)))
        ):
            return False
    return True
