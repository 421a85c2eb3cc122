"""Texts with values that are not known yet: exceptions, assertions and prints inside what is staged."""

import contextlib
from contextvars import ContextVar

import numpy as np

from ...core.errors import ConcreteError, EscapeError
from ...core.tensor import is_tensor, peek
from ...core.types import typeof
from ...primitives.checks import OPTIONS, Hole, check_op, debug, debugging, fill, hole, show_op
from ..fence import refuse
from .calls import calls
from .choices import Choice, texts
from .frames import FRAMES, emit
from .maybe import Maybe, narrowed
from .merge import Gap, use
from .outside import recorder
from .truth import not_, truth


class Collect:
    """While it is in force, formatting an unknown value leaves a hole, and keeps the value."""

    def __init__(self):
        self.values: list = []

    def hole(self, x, conversion, spec):
        self.values.append(x)
        return hole(len(self.values) - 1, conversion, spec)

    def option(self, c, form):
        """The place of a text that is not known: the texts of all that it may be, of which the number chooses one."""
        number, forms = texts(c, form)
        return self.hole(number, OPTIONS, repr(forms))

    def place(self, x):
        x = told(x)
        if type(x) is Choice:
            return self.option(x, str)
        if is_tensor(x) and not peek(x)[0]:
            self.values.append(x)
            return Hole(len(self.values) - 1, typeof(x))
        return x


def told(x):
    """What a text is made of: it must be known whether there is None."""
    x = narrowed(x)
    if type(x) is Maybe:
        raise refuse("maybe", "a text is made of a value that may be None")
    return x


collecting: ContextVar = ContextVar("adjointcollecting", default=None)


def format_(x, conversion=-1, spec=""):
    """An f-string's `{x!r:spec}`."""
    x = told(x)
    if type(x) is Choice:
        collect = collecting.get()
        if collect is None:
            raise refuse("text", "a text is made of one that is not known")
        return collect.option(x, lambda o: format_(o, conversion, spec))
    if is_tensor(x) and not peek(x)[0]:
        collect = collecting.get()
        if collect is None:
            raise refuse("text", "a text is made of a value that is not known")
        return collect.hole(x, conversion, spec)
    if type(x) is Gap:
        use(x)
    if conversion != -1:
        x = {97: ascii, 114: repr, 115: str}[conversion](x)
    return format(x, spec)


class Raiser:
    """Makes the user's exception from the values that its message needs."""

    def __init__(self, error, places):
        self.kind, self.places, self.error = type(error), places, error

    def __call__(self, *values):
        try:
            return self.kind(*fill(self.places, values))
        except Exception:
            return self.error  # its class takes other arguments than it keeps

    def __repr__(self):
        return f"{self.kind.__name__}{self.places!r}"


# The user's try statements that are running: (how many frames there were at its start, what its handlers catch)
_catchers: ContextVar[tuple] = ContextVar("adjoint_catchers", default=())


class Catching:
    """Around the body of a try statement; `kinds` makes the tuple of what its handlers catch."""

    def __init__(self, kinds):
        self.kinds = kinds

    def __enter__(self):
        self.before = _catchers.get()
        _catchers.set((*self.before, (len(FRAMES.get()), self.kinds)))

    def __exit__(self, *_):
        _catchers.set(self.before)


class Managed:
    """Around a context manager: what capture refuses it cannot suppress; what it does suppress is noted as caught."""

    def __init__(self, manager):
        self.manager = manager
        self.catching = (
            Catching(lambda: manager._exceptions) if type(manager) is contextlib.suppress else contextlib.nullcontext()
        )

    def __enter__(self):
        y = self.manager.__enter__()
        self.catching.__enter__()
        return y

    def __exit__(self, kind, error, traceback):
        self.catching.__exit__(kind, error, traceback)
        swallowed = self.manager.__exit__(kind, error, traceback)
        return swallowed and not isinstance(error, (ConcreteError, EscapeError))


def _fence(error, depth):
    """Refuse an exception that a handler outside of the branch would catch: `depth` frames are inside of the branch."""
    for born, kinds in reversed(_catchers.get()):
        if isinstance(error, kinds()):
            if born < depth:
                raise refuse("caught", f"{type(error).__name__} is raised in a branch, inside a try that catches it")
            return


def fenced(error, more=1):
    """Refuse an exception that the user's own handlers would catch; more: 1 for a check, which is a branch of its own."""
    _fence(error, len(FRAMES.get()) + more)


def raising(thunk):
    """The exception of a `raise` statement."""
    collect = Collect()
    token = collecting.set(collect)
    try:
        error = thunk()
    finally:
        collecting.reset(token)
    if isinstance(error, type):
        error = error()
    frames = FRAMES.get()
    if isinstance(error, Exception):
        places = tuple(map(collect.place, error.args))
        make_error = Raiser(error, places)
        if frames:
            _fence(error, len(frames))
            frames[-1].raised.append((error, make_error, collect.values))
        elif collect.values:
            return make_error(*collect.values)
    return error


def assert_(t, message):
    t = truth(t)
    if t is True:
        return
    error = lambda: AssertionError(*(() if message is None else (message(),)))
    if t is False:
        raise raising(error)
    collect = Collect()
    token = collecting.set(collect)
    try:
        e = error()
    finally:
        collecting.reset(token)
    _fence(e, len(FRAMES.get()) + 1)
    make_error = Raiser(e, tuple(map(collect.place, e.args)))
    emit(check_op, [not_(t), *collect.values], {"make": make_error})


class Printer:
    """Prints when the values are known."""

    def __init__(self, places, keywords):
        self.places, self.keywords = places, keywords

    def __call__(self, *values):
        print(*fill(self.places, values), **self.keywords)


def print_(args, **keywords):
    """Python's print of what a thunk gives; inside what is staged, an op."""
    collect = Collect()
    if callable(args):
        token = collecting.set(collect)
        try:
            args = args()
        finally:
            collecting.reset(token)
    places = tuple(map(collect.place, args))
    told = recorder.get()
    if not collect.values and not FRAMES.get() and told is None:
        print(*args, **keywords)
        return
    show = Printer(places, keywords)
    if FRAMES.get() or collect.values:
        emit(show_op, [np.True_, *collect.values], {"show": show})
    else:
        told.effect(show_op, [np.True_], {"show": show})


@calls(debug)
def _debug(text, *values, **named):
    """ad.debug; inside what is staged, and where what is compiled must print at each run, an op."""
    told = recorder.get()
    if not FRAMES.get() and told is None:
        debug(text, *values, **named)
        return
    for x in (*values, *named.values()):
        if type(x) is Gap:
            use(x)
    printer, row = debugging(text, values, named)
    if FRAMES.get() or row:
        emit(show_op, [np.True_, *row], {"show": printer})
    else:
        told.effect(show_op, [np.True_], {"show": printer})
