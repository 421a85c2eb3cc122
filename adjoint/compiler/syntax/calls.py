"""The table of what a call in rewritten code goes to, and what its rows are made of."""

import numpy as np

from ...core.tensor import is_tensor, peek, untracked
from ..rows import into
from .outside import session

CALLS: dict = {}  # function -> what is called in its place; NumPy's functions that our tables know need no row
HANDED: dict = {}  # function of CALLS -> where it is handed a function, by place or by name: what it calls is the user's copy

calls = into(CALLS)


def unknown(x):
    """Whether a value is a tensor that is not known."""
    return is_tensor(x) and not peek(x)[0]


def wrapped(y):
    """An array that a library made, as a tensor that can be written into."""
    return untracked(y) if type(y) is np.ndarray and y.dtype.kind in "biufc" and session.get() is not None else y


def nested(x):
    """Whether a list or tuple holds a tensor."""
    return any(is_tensor(e) or (type(e) in (list, tuple) and nested(e)) for e in x)
