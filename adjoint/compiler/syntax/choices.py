"""Texts and functions that data choose: `regime = "laminar" if re < 2300 else "turbulent"`, and then `if regime == "laminar":`.

A Choice is a number that is not known, and what each number stands for. `==` and `in` ask the number; a call, a key of a dict or a
method of the text is done for each of them, and the number chooses among what comes out.
"""

import types

import numpy as np

from ...core import tree
from ...core.tensor import is_tensor, peek
from ..fence import refuse
from .frames import CONTAINERS
from .outside import session


class Choice:
    """One of its options, ((number, what it stands for), ...), by a number that is not known."""

    __slots__ = ("_ad_number", "_ad_options")

    def __init__(self, number, options):
        self._ad_number = number
        self._ad_options = options

    def __repr__(self):
        return f"<one of {[o for _, o in self._ad_options]}>"

    def __eq__(self, other):
        return equal(self, other)

    def __ne__(self, other):
        from .truth import not_

        return not_(equal(self, other))

    def __hash__(self):
        raise refuse("key", "a text that is not known is a key")

    def __bool__(self):
        raise refuse("choice", "Python itself asks for the truth of a text that is not known")

    def __call__(self, *args, **kwargs):
        from .names import called

        return by_cases(self, lambda f: called(f, *args, **kwargs))

    def __len__(self):
        raise refuse("choice", "the length of a text that is not known is asked for")

    def __iter__(self):
        raise refuse("choice", "a loop goes over a text that is not known")

    def __contains__(self, part):
        raise refuse("choice", "`in` looks into a text that is not known")

    @staticmethod
    def _adjoint_made(structure):
        """What makes the option of a number, of compiled code's results."""
        options = dict(structure.data)
        return lambda row: options[int(row[0])]


CONTAINERS[Choice] = lambda c: (c._ad_number,)
tree.register(Choice, lambda c: ((c._ad_number,), c._ad_options), lambda options, row: Choice(row[0], options))


def may_be_chosen(x):
    """Whether it is a text, or a function that holds no values of the branch that it was made in."""
    if type(x) in (str, bytes, types.BuiltinFunctionType, np.ufunc):
        return True
    return type(x) is types.FunctionType and x.__closure__ is None and x.__defaults__ is None and x.__kwdefaults__ is None


def number_of(x):
    """The number that a text or function has in this program."""
    numbers = session.get().numbers
    key = (type(x), x if type(x) in (str, bytes) else id(x))
    return numbers.setdefault(key, (len(numbers), x))[0]


def known(c):
    """(the option,) where the number is known."""
    n = c._ad_number
    if is_tensor(n):
        there, n = peek(n)
        if not there:
            return None
    return (dict(c._ad_options)[int(n)],)


def is_option(c, n):
    """Whether the number is this one."""
    return np.equal(c._ad_number, n)


def equal(c, other):
    if type(other) is Choice:
        return np.equal(c._ad_number, other._ad_number)
    for n, o in c._ad_options:
        if o is other or (type(o) in (str, bytes) and o == other):
            return is_option(c, n)
    return False


def truth_of(c):
    """The truth of one of its options: known where all have the same."""
    from .truth import either

    truths = [bool(o) for _, o in c._ad_options]
    if all(truths) or not any(truths):
        return truths[0]
    return either(*[(lambda n=n: is_option(c, n)) for n, o in c._ad_options if o])


def by_cases(c, f):
    """f of the option: staged for each."""
    from .staged import cells_of, stage_if

    def rest(i):
        n, o = c._ad_options[i]
        if i + 1 == len(c._ad_options):
            return f(o)
        true, false = (lambda: f(o)), (lambda: rest(i + 1))
        return stage_if(is_option(c, n), true, false, cells_of(true, false), ((), (), (), ()))

    return rest(0)


def texts(c, form):
    """The number, and the text of each option, for an exception or a print."""
    return c._ad_number, {n: form(o) for n, o in c._ad_options}
