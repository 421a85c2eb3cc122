"""The table of what is emitted directly: filled by the files that know ops, read by `emit`."""

from ..rows import into

DIRECT: dict = {}  # op name -> function(emitter, line) -> value, or None: call NumPy back

direct = into(DIRECT)
