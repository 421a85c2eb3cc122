"""State outside the function: what is read of it, who is told, and containers that change."""

from contextvars import ContextVar

import numpy as np

from ...core.tensor import is_tensor, peek, untracked
from ...core.types import typeof
from ...traces.capture import Capture
from ..fence import Resist, refuse
from .frames import FRAMES, touch
from .merge import Gap, use
from .sequences import SHORT

recorder: ContextVar = ContextVar("adjoint_recorder", default=None)  # who is told of outer state that is read


class Session:
    """One outermost call of a copy: the arrays of outside that it has met, and their tensors."""

    def __init__(self):
        self.arrays: dict = {}
        self.rows: dict = {}  # id of a tensor -> (it, its info, the array that a loop made of all, which row it is)
        self.copies: dict = {}  # of functions that hold something: id -> (it, its copy)
        self.plain: dict = {}  # functions whose calls of themselves run as they are: id -> (it, why)
        self.looked: dict = {}  # id of such a function -> how often it was looked at
        self.choices: dict = {}  # ids of containers of which a staged branch chose one
        self.numbers: dict = {}  # (type, text) or (type, id of a function) -> (its number, it): see choices.py
        self.facts: dict = {}  # truth values that the program has checked: id -> (the tensor, True or False)
        self.implied: dict = {}  # what follows from truth values: id -> (the tensor, facts if it holds, facts if not)

    def tensor(self, a):
        row = self.arrays.get(id(a))
        if row is None:
            row = self.arrays[id(a)] = (a, untracked(a))
        return row[1]


session: ContextVar = ContextVar("adjoint_session", default=None)


def note_row(row, column, k):
    """Note that a tensor is a row of what a loop appended, so that np.array of all of them needs no joining."""
    now = session.get()
    if now is not None and is_tensor(row):
        now.rows[id(row)] = (row, row.info, column, k)
    return row


def joined(values):
    """np.stack(values), where most of them are rows of what a loop appended; else None."""
    now = session.get()
    if now is None or not now.rows or len(values) < SHORT:
        return None
    parts: list = []  # [column, first row, end], or a list of other values
    for v in values:
        row = now.rows.get(id(v))
        if row is None or row[0] is not v or v.info is not row[1]:
            if not parts or parts[-1][0] is not None:
                parts.append([None, []])
            parts[-1][1].append(v)
        elif parts and parts[-1][0] is row[2] and parts[-1][2] == row[3]:
            parts[-1][2] += 1
        else:
            parts.append([row[2], row[3], row[3] + 1])
    if len(parts) > len(values) // 4 or len({typeof(v).shape for v in values}) > 1:
        return None
    out = []
    for part in parts:
        if part[0] is None:
            out.append(np.stack(part[1]))
        else:
            column, start, end = part
            out.append((column if end - start == column.shape[0] else column[start:end]).copy())
    return np.concatenate(out) if len(out) > 1 else out[0]


def shadow(value, _owner=None):
    """A NumPy array of outside, as a tensor that can be written into: one and the same within one call."""
    if type(value) is not np.ndarray or value.dtype.kind not in "biufc":
        return value
    now = session.get()
    return value if now is None else now.tensor(value)


def outer(told, value, source):
    """A value read from outside: arrays become tensors, what is not an array is noted for whoever records."""
    if is_tensor(value) and value.trace is not None and type(value.trace) is Capture:
        return value
    if told is not None:
        return told.read(source, value)
    return shadow(value)


def fresh(x):
    """Note that an object was made by the function itself."""


def advance(it):
    """An iterator of outside that is advanced inside a staged body would be advanced once, not once a step."""
    for frame in FRAMES.get():
        if id(it) in frame.iterators:
            raise refuse("iterator", "an iterator made outside is advanced in a loop or branch", Resist)


def read_item(c, value, args):
    """What dict.get found."""
    told = recorder.get()
    if told is not None and told.is_outer(c) and args and args[0] in c:
        return outer(told, value, ("item", c, args[0], value))
    return shadow(value) if told is None else value


def forget(x, kind, name):
    told = recorder.get()
    if told is not None:
        told.wrote(x, kind, name)


# Containers


def unknown_key(key):
    for k in key if type(key) is tuple else (key,):
        if is_tensor(k):
            if not peek(k)[0]:
                raise refuse("key", "a dict is asked for a key")
        elif type(k) is Gap:
            use(k)


def choice(c):
    """Note that a container may be this one or another, by a decision that is not known."""
    now = session.get()
    if now is not None:
        now.choices[id(c)] = c


def changing(c):
    """A container is about to change: refuse where it is not known which one that is, note it inside a staged body."""
    now = session.get()
    if now is not None and id(c) in now.choices:
        raise refuse("alias", f"a {type(c).__name__} is changed that stands for one of two")
    if FRAMES.get():
        told = recorder.get()
        if told is not None and told.is_outer(c):
            raise refuse("outside", f"a {type(c).__name__} of outside is changed", Resist)
        writable(c)


def writable(c):
    """Note that a container is about to change inside a staged body."""
    if is_tensor(c):
        return
    if isinstance(c, np.ndarray):
        raise refuse("plain array", "an array is written", Resist)
    touch(c)
