"""Every setting: its name, default, environment variable and meaning. `with ad.config(debug=4): ...` changes some for a while.

Values live in a ContextVar, so that threads and async tasks do not disturb each other. Code that must react at once
(the fast path of reverse mode) registers a listener instead of asking at each operation.
"""

import os
import time
from contextvars import ContextVar

LOADED = time.time()  # a file that was written later may say something else than what was loaded of it

SETTINGS = {
    # name: (default, environment variable, meaning)
    "debug": (
        0,
        "ADJOINT_DEBUG",
        "the ladder: 1 ops with the user's line, 2 shapes and dtypes, 3 values, 4 backward steps and buffers, "
        "5 captured graphs, 6 passes, 7 generated code",
    ),
    "guard": (
        True,
        "ADJOINT_GUARD",
        "protect arrays that a backward pass will read: copy them when small (64 KiB), else make them read-only until then",
    ),
    "ieee": (
        False,
        "ADJOINT_IEEE",
        "derivatives follow IEEE arithmetic: a zero cotangent times an infinite partial is NaN, not 0",
    ),
    "rewrite": (
        True,
        "ADJOINT_REWRITE",
        "a function that loses a derivative (math.sin, np.array([x, y]), a[i] = x) is run again as a copy that does not, as if it "
        "were marked @ad.differentiable; off: the error says where",
    ),
    "threads": (
        1,
        "ADJOINT_THREADS",
        "how many threads work on a large compiled loop, in the whole process; results do not depend on it",
    ),
    "cache": (
        "on",
        "ADJOINT_CACHE",
        "compiled code is kept on disk for the next process: on (in the user's cache folder), off, or a folder",
    ),
}

_changed: ContextVar[dict] = ContextVar("adjoint_config", default={})  # noqa: B039 - never written: `with` makes new ones
_listeners: list = []


def _from_environment():
    values = {}
    for name, (default, variable, _) in SETTINGS.items():
        text = os.environ.get(variable)
        if text is None:
            values[name] = default
            continue
        if isinstance(default, str):
            values[name] = text
            continue
        try:
            values[name] = type(default)(int(text))
        except ValueError:
            raise ValueError(f"the environment variable {variable}={text!r} must be a whole number ({name})") from None
    return values


_base = _from_environment()


class Config:
    """The settings in force. Read `ad.config.debug`; change with `with ad.config(debug=2): ...` or `ad.config.set(debug=2)`.

    >>> import adjoint as ad
    >>> with ad.config(guard=False):
    ...     ad.config.guard
    False
    >>> ad.config.guard
    True
    """

    def __getattr__(self, name):
        if name not in SETTINGS:
            raise AttributeError(f"there is no setting {name!r}; the settings are {', '.join(SETTINGS)}")
        return _changed.get().get(name, _base[name])

    def __call__(self, **changes):
        return _Changes(_checked(changes))

    def set(self, **changes):
        """Change settings for good, in every thread."""
        before = dict(_base)
        _base.update(_checked(changes))
        for listen in _listeners:
            listen(before, _base)

    def __repr__(self):
        return "\n".join(f"{name} = {getattr(self, name)!r:6} {row[1]:15} {row[2]}" for name, row in SETTINGS.items())


def _checked(changes):
    for name, value in changes.items():
        if name not in SETTINGS:
            raise TypeError(f"there is no setting {name!r}; the settings are {', '.join(SETTINGS)}")
        changes[name] = type(SETTINGS[name][0])(value)
    return changes


class _Changes:
    """One `with config(...)` block."""

    def __init__(self, changes):
        self.changes = changes
        self.tokens = []

    def __enter__(self):
        before = _changed.get()
        after = {**before, **self.changes}
        self.tokens.append((_changed.set(after), before, after))
        for listen in _listeners:
            listen({**_base, **before}, {**_base, **after})
        return config

    def __exit__(self, *_):
        token, before, after = self.tokens.pop()
        _changed.reset(token)
        for listen in _listeners:
            listen({**_base, **after}, {**_base, **before})


def guarding():
    """config.guard, quickly: it is asked for each array that is recorded."""
    return _changed.get().get("guard", _base["guard"])


def on_change(listen):
    """Call `listen(before, after)` with two dicts of settings whenever some change."""
    _listeners.append(listen)
    listen({name: row[0] for name, row in SETTINGS.items()}, _base)


config = Config()
