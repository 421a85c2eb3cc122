"""What changes from call to call and is no argument: the clock, the environment. Compiled code would keep what it was: a warning says so.

Random draws are refused (names.py).
"""

import functools
import os
import time

from .outside import recorder

CLOCK, ENVIRONMENT, DRAW, INPUT = "the clock", "the environment", "a random draw", "what is typed"
Environment = type(os.environ)

_CLOCKS = (
    "time", "time_ns", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "process_time_ns", "thread_time",
    "thread_time_ns", "localtime", "gmtime", "ctime", "asctime",
)  # fmt: skip
_FUNCTIONS = {getattr(time, name): (f"time.{name}()", CLOCK) for name in _CLOCKS if hasattr(time, name)}
_FUNCTIONS |= {
    os.getenv: ("os.getenv()", ENVIRONMENT),
    os.getcwd: ("os.getcwd()", ENVIRONMENT),
    os.urandom: ("os.urandom()", DRAW),
    input: ("input()", INPUT),
}
_BY_MODULE = {"uuid": ("uuid1", "uuid4"), "secrets": ("token_bytes", "token_hex", "randbelow", "choice")}


def _telling(f, what, kind):
    def call(*args, **kwargs):
        told = recorder.get()
        if told is not None:
            told.baked(what, kind)
        return f(*args, **kwargs)

    return functools.wraps(f)(call)


def noted(f, module):
    """f, or where it asks for what changes, a function that says so."""
    try:
        row = _FUNCTIONS.get(f)
    except TypeError:  # cannot be hashed
        return f
    if row is None and module in _BY_MODULE and f.__name__ in _BY_MODULE[module]:
        row = f"{module}.{f.__name__}()", DRAW
    return f if row is None else _telling(f, *row)


def noted_method(f, owner):
    """The same for a method of a library's object."""
    name = getattr(f, "__name__", "")
    if type(owner) is Environment and name in ("get", "copy", "items", "keys", "values"):
        return _telling(f, f"os.environ.{name}()", ENVIRONMENT)
    if isinstance(owner, type) and owner.__module__ == "datetime" and name in ("now", "today", "utcnow"):
        return _telling(f, f"{owner.__name__}.{name}()", CLOCK)
    return f
