"""Derived: the function that a transform makes of another one, with the other's name, documentation and signature.

A function inside of a function has no name under which a second process could find it, and Python refuses to pickle it. A
Derived knows how it was made, and is made again there: results of transforms go to the workers of a pool as functions do.
"""

import functools
import sys
import types

from .errors import defined


class Derived(functools.partial):
    """Called like the function it is made of, also as a method. (A partial, as that is called without a frame of Python's.)"""

    __slots__ = ("args_of_maker", "maker", "what")

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)

    def __reduce__(self):
        return standing(self) or (self.maker, self.args_of_maker)

    def __repr__(self):
        return f"<{self.what} of {defined(self)}>"


def derive(run, f, what, maker, *args, doc=None):
    """`run` as what the transform `what` makes of f; maker(*args), of a module and of what can be pickled, makes it again."""
    made = Derived(run)
    made.maker, made.args_of_maker, made.what = maker, args, what
    try:
        functools.update_wrapper(made, f)
    except (AttributeError, TypeError):  # f's attributes are no dict
        made.__wrapped__ = f
    made.__doc__ = getattr(f, "__doc__", None) if doc is None else doc
    return made


def standing(x):
    """The name of a function-like object that stands in its module where its name says, as a decorated function does."""
    name = getattr(x, "__qualname__", None)
    module = sys.modules.get(getattr(x, "__module__", None) or "")
    if not name or functools.reduce(lambda m, part: getattr(m, part, None), name.split("."), module) is not x:
        return None
    return name
