"""The table of what is emitted directly: filled by the files that know ops, read by `emit`."""

DIRECT: dict = {}  # op name -> function(emitter, line) -> value, or None: call NumPy back


def direct(*names):
    """Register what an op does directly."""

    def register(f):
        for name in names:
            DIRECT[name] = f
        return f

    return register
