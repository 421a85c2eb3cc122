"""numpy.random: no derivative flows through."""

import numpy.random as _random

from ..mirror import mirror

__getattr__, __dir__ = mirror(lambda: _random)
