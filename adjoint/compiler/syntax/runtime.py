"""What rewritten code calls (as `_ad_`): loads, stores, calls, tests and control flow. Plain Python while nothing is unknown.

Each copy of a function has a Runtime of its own, which knows the function's globals and cells.
"""

import functools
import types

import numpy as np

from ...core.errors import ConcreteError, EscapeError
from ...core.tensor import FUNCTIONS, is_tensor, peek
from ...core.types import typeof
from ...primitives.checks import check_op
from ...primitives.control import _captured
from ...primitives.shape import python_number
from ...traces.capture import Capture
from ...traces.derive import zeros
from ..fence import FenceError, Resist, Unreachable, refuse
from . import baked, lists, loops, masked, staged
from .calls import calls, nested, unknown, wrapped
from .choices import Choice, by_cases
from .copies import RUNTIMES
from .frames import FRAMES, Frame, born, emit, reached
from .masked import Masked
from .maybe import MADE, Maybe, present, takes_numbers, within
from .merge import DEAD, Gap, read, use
from .names import called, resolve
from .operators import BINARY, INPLACE, checked, compare, select
from .outside import advance, changing, forget, outer, recorder, shadow, unknown_key
from .recursion import watched
from .sequences import SHORT, Backwards, Rows, UnknownRange, Zipped, sequence
from .staged import cells_of
from .texts import Catching, Managed, assert_, collecting, format_, print_, raising
from .truth import both, chain, decision, either, flag, not_, truth

LIMIT = 10_000  # ops that a loop which cannot be kept one may unroll into
TRIES = 2  # how often a loop of known length is tried as an op: its first step may bring the state to its types


# Captured work


def _capturing(cells, iterable=None):
    """Whether some variable that a loop changes or reads, or what it goes over, is captured."""
    values = [read(c) for c in cells.values()]
    while isinstance(iterable, Backwards):
        iterable = iterable.s
    for s in iterable.sequences if isinstance(iterable, Zipped) else [iterable]:
        values.append(s.x if isinstance(s, Rows) else s)
    return any(map(_captured, reached(values)))


def _captures(cells):
    """The captures that what a loop works on belongs to, to count its ops."""
    found = {}
    frames = FRAMES.get()
    if frames:
        found[id(frames[-1].trace)] = frames[-1].trace
    for x in reached([read(c) for c in cells.values()]):
        while is_tensor(x) and x.trace is not None:
            if type(x.trace) is Capture:
                found[id(x.trace)] = x.trace
            x = x.value
    return found.values()


class Unrolling:
    """Counts the ops that a loop of known length unrolls into."""

    def __init__(self, cells):
        self.cells = cells
        self.start: dict = {}
        self.trips = 0
        self.wait = 0  # how many trips there must be before it is asked again whether something is captured
        self.reason = None

    def look(self, cells, iterable=None):
        """Whether something is captured: asked at the first trips, and then ever more seldom, since it may cost as much as a step."""
        if self.trips < self.wait:
            return False
        found = _capturing(cells, iterable)
        if not found:
            self.wait = 2 * self.trips
        return found

    def step(self):
        self.trips += 1
        if self.trips & 15 or (self.reason is None and self.trips < 64):
            return
        n = 0
        for trace in _captures(self.cells):
            before = self.start.setdefault(id(trace), (trace, len(trace.lines)))[1]
            n += len(trace.lines) - before
        if n > LIMIT:
            reason = f" (it could not stay a loop: {self.reason})" if self.reason is not None else ""
            raise refuse("unrolled", f"after {self.trips} steps{reason}")


LEFT_OUT = object()  # what a term of a sum is that its test leaves out


# The methods that rewritten code calls


PASS_ON = (ConcreteError, EscapeError)


class Runtime:
    """The `_ad_` of one function."""

    DEAD = DEAD
    PASS_ON = PASS_ON
    print_ = staticmethod(print_)
    test = staticmethod(truth)
    not_ = staticmethod(not_)
    both = staticmethod(both)
    either = staticmethod(either)
    raising = staticmethod(raising)
    catching = staticmethod(Catching)
    managed = staticmethod(Managed)
    assert_ = staticmethod(assert_)
    format = staticmethod(format_)
    born = staticmethod(born)

    def __init__(self, f):
        self.globals = f.__globals__
        self.function = f
        self.cells = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))

    def __repr__(self):
        return f"<runtime of {self.function.__qualname__}>"

    @staticmethod
    def decided(x):
        """A part of `and` or `or` behind which a name is bound: whether that happens must be known."""
        if type(truth(x)) is not bool:
            raise refuse(
                "binding", "a name is bound in the second part of `and` or `or`, after a value that is not known"
            )
        return x

    @staticmethod
    def held(x):
        return lambda: x

    @staticmethod
    def negation(x):
        """`not x` as a value: True or False, which count as numbers."""
        t = not_(x)
        return t if type(t) is bool else python_number(t, bool)

    # Control flow

    @staticmethod
    def go(*flags):
        """Whether none of the flags is set."""
        t = either(*[(lambda f=f: f) for f in flags])
        return not_(t)

    @staticmethod
    def if_(test, true, false, spec):
        cells = cells_of(true, false)
        try:
            staged.stage_if(flag(test), true, false, cells, spec)
        except Resist as reason:
            raise FenceError(*reason.args) from None

    @staticmethod
    def ifexp(test, true, false):
        t = truth(test)
        if type(t) is bool:
            return true() if t else false()
        return staged.stage_if(flag(t), true, false, cells_of(true, false), ((), (), (), ()))

    @staticmethod
    def filter(test):
        """The test of a comprehension."""
        return decision(test, "list", "a comprehension leaves out what a value that is not known says")

    @staticmethod
    def kept(test, value):
        """A term of sum(value for ... if test), 0 where the test fails."""
        t = truth(test())
        if type(t) is bool:
            return value() if t else LEFT_OUT
        cells = cells_of(value)
        frame = Frame()
        with frame:
            frame.enter_all([read(c) for c in cells.values()])
            y = value()
            zero = zeros(typeof(y)) if is_tensor(y) and y.shape else 0
        return staged.stage_if(flag(t), value, lambda: zero, cells, ((), (), (), ()))

    @staticmethod
    def terms(values):
        return (x for x in values if x is not LEFT_OUT)

    @staticmethod
    def and_(*thunks):
        return select(thunks, True)

    @staticmethod
    def or_(*thunks):
        return select(thunks, False)

    @staticmethod
    def chain(ops, left, *thunks):
        """a < b < c."""

        def rest(left, i):
            right = thunks[i]()
            t = compare(ops[i], left, right)
            if i + 1 == len(thunks):
                return t
            known = truth(t)
            if known is False:
                return t
            if known is True:
                return rest(right, i + 1)
            more = (lambda: truth(rest(right, i + 1)),)
            return chain(((lambda: known), *more), True)

        return rest(left, 0)

    def while_(self, test, body, spec):
        cells = cells_of(test, body)
        flags = spec[3]
        unrolling = Unrolling(cells)
        tries = TRIES
        while True:
            go = both(*[(lambda f=f: not_(read(cells[f]))) for f in flags], test)
            if go is False:
                return
            if go is not True:
                try:
                    loops.stage_while(cells, test, body, spec)
                except Resist as reason:
                    raise FenceError(*reason.args) from None
                except Unreachable as reason:  # the first step has always left the loop
                    emit(check_op, [go], {"make": staged.Impossible(reason)})
                return
            if tries and unrolling.trips >= SHORT // 2 and unrolling.look(cells):
                tries -= 1
                try:
                    loops.stage_while(cells, test, body, spec, trial=True)
                    return
                except Exception as reason:
                    unrolling.reason = reason
            body()
            unrolling.step()

    def for_(self, iterable, body, spec):
        cells = cells_of(body)
        flags = spec[3]
        if type(iterable) is UnknownRange:
            try:
                loops.stage_count(cells, iterable.count(), iterable.at, body, spec)
            except Resist as reason:
                raise FenceError(*reason.args) from None
            return
        if type(iterable) is Gap:
            use(iterable)
        iterable = present(iterable)
        advance(iterable)
        known = sequence(iterable)
        unrolling = Unrolling(cells)
        if known is None:
            if type(iterable) is list and iterable and type(iterable[0]) is Gap:
                use(iterable[0])
            for item in iterable:
                if not self._round(cells, flags, lambda item=item: body(item), spec):
                    return
                unrolling.step()
            return
        n = len(known)
        tries = TRIES
        items = iter(iterable)
        for k in range(n):
            if tries and n - k > SHORT and unrolling.look(cells, iterable):
                tries -= 1
                try:
                    self._stage_rest(cells, flags, known, k, body, spec)
                    return
                except Exception as reason:
                    unrolling.reason = reason
            item = next(items)
            if not self._round(cells, flags, lambda item=item: body(item), spec):
                return
            unrolling.step()

    @staticmethod
    def _stage_rest(cells, flags, known, k, body, spec):
        for f in flags:
            if read(cells[f]) is not False:
                raise Resist("the loop may have been left already")
        loops.stage_for(cells, known, k, body, spec)

    def _round(self, cells, flags, run, spec):
        """One step of a loop that is unrolled; whether to go on."""
        go = True
        for f in flags:
            t = truth(read(cells[f]))
            if t is True:
                return False
            if t is not False:
                go = self.go(*[read(cells[f]) for f in flags])
                break
        if go is True:
            run()
        else:
            state, _head, _, flags, bound, _ = spec
            names = tuple(bound)
            staged.stage_if(go, run, None, cells, (names, state, (), ()))
        return True

    @staticmethod
    def value(x):
        """What a return statement returns: something that there is."""
        if type(x) is Gap:
            use(x)
        return x

    @staticmethod
    def result(x):
        """What a function returns whose returns became flags."""
        if x is DEAD:
            return None
        if type(x) is Gap:
            use(x)
        return x

    @staticmethod
    def subject(x):
        if is_tensor(x) and not peek(x)[0]:
            raise refuse("match", "match on a value that is not known")
        return x

    @staticmethod
    def guarded(test):
        """The guard of a case."""
        return decision(test, "match", "the guard of a case is a value that is not known")

    @staticmethod
    def generated(test):
        """The test of an `if` or `while` that stays Python's."""
        return decision(test, "generator", "a generator decides on a value that is not known")

    @staticmethod
    def locals_(names, *thunks):
        """locals(): the body that asks may be a function of its own here."""
        found = {}
        for x, f in zip(names, thunks, strict=True):
            try:
                value = f()
            except NameError:  # not bound yet
                continue
            if type(value) is not Gap:
                found[x] = value
        return born(found)

    # Loads

    def g(self, value, name):
        told = recorder.get()
        if told is None and type(value) is not np.ndarray:
            return value
        if name not in self.globals:
            return value
        return outer(told, value, ("global", self.globals, name, value))

    def c(self, value, name):
        told = recorder.get()
        if told is None and type(value) is not np.ndarray:
            return value
        return outer(told, value, ("cell", self.cells.get(name), value))

    def default(self, value, name):
        """A parameter that has a default: when it was not passed, its value is state of the function."""
        if type(value) is not np.ndarray and recorder.get() is None:
            return value
        f = self.function
        code = f.__code__
        place = code.co_varnames.index(name)
        if place < code.co_argcount:
            given = (f.__defaults__ or ())[place - code.co_argcount]
        else:
            given = (f.__kwdefaults__ or {}).get(name)
        return outer(recorder.get(), value, ("default", f, name, value)) if value is given else value

    @staticmethod
    def attr(x, name):
        cls = type(x)
        if cls is Maybe:
            x = present(x)
            cls = type(x)
        if cls is Choice:
            return lambda *args: by_cases(x, lambda o: called(getattr(o, name), *args))
        if cls is types.ModuleType or is_tensor(x):
            return getattr(x, name)
        found = getattr(cls, name, None) if not isinstance(x, type) else None
        if type(found) is property and type(found.fget) is types.FunctionType:
            return resolve(found.fget)(x)
        if type(found) is functools.cached_property and name not in vars(x):
            Runtime.setattr(x, name, resolve(found.func)(x))
        value = getattr(x, name)
        told = recorder.get()
        if (told is None and type(value) is not np.ndarray) or type(value) in _BOUND:
            return value
        if isinstance(x, np.ndarray) or (told is not None and not told.is_outer(x)):
            return value
        return outer(told, value, ("attr", x, name, value))

    @staticmethod
    def item(c, key):
        c, key = present(c), present(key)
        if is_tensor(c):  # first: isinstance asks a tensor for its class, three times here
            chosen = masked.getitem(c, key) if type(key) is not int else None
            return c[key] if chosen is None else chosen
        if type(key) is Choice:
            return by_cases(key, lambda o: Runtime.item(c, o))
        told = recorder.get()
        if type(c) is dict or isinstance(c, dict):
            unknown_key(key)
        if type(c) is np.ndarray and type(key) is not int:
            chosen = masked.getitem(c, key)
            if chosen is not None:
                return chosen
        if is_tensor(key) and isinstance(c, (list, tuple)) and unknown(key):
            return lists.choose([Runtime.item(c, i) for i in range(len(c))], key)
        if c is np.c_ or c is np.r_:
            parts = key if type(key) is tuple else (key,)
            return FUNCTIONS[c](key) if nested(parts) else wrapped(c[key])
        value = c[key]
        if told is not None and type(c) is baked.Environment:
            told.baked(f"os.environ[{key!r}]", baked.ENVIRONMENT)
        if told is None or not isinstance(c, (dict, list)) or not told.is_outer(c):
            return value if told is not None or type(value) is not np.ndarray else shadow(value, c)
        return outer(told, value, ("item", c, key, value))

    slice = staticmethod(slice)

    # Stores

    @staticmethod
    def setattr(x, name, value):
        x = present(x)
        changing(x)
        forget(x, "attr", name)
        setattr(x, name, value)

    @staticmethod
    def delattr(x, name):
        changing(x)
        forget(x, "attr", name)
        delattr(x, name)

    @staticmethod
    def setitem(c, key, value):
        c, key = present(c), present(key)
        if is_tensor(c) or type(c) is np.ndarray:
            value = present(value)
        if not is_tensor(c) and isinstance(c, dict):
            unknown_key(key)
        changing(c)
        forget(c, "item", key)
        if is_tensor(c) and type(key) is not int and masked.setitem(c, key, value):
            return
        if type(c) is Masked:
            raise refuse("mask", "an entry is set of those where a mask holds")
        c[key] = value

    @staticmethod
    def delitem(c, key):
        if isinstance(c, dict):
            unknown_key(key)
        changing(c)
        forget(c, "item", key)
        del c[key]

    def global_store(self, name):
        if FRAMES.get() or recorder.get() is not None:
            raise refuse("global", f"the global {name} is bound")

    def cell_store(self, name):
        if FRAMES.get() or recorder.get() is not None:
            raise refuse("cell", f"{name} is bound through nonlocal")

    @staticmethod
    def aug(op, x, value):
        x, value = present(x), present(value)
        if type(x) in (np.ndarray, list, dict, set):
            changing(x)
            forget(x, "item", None)
        if type(x) is Masked:
            raise refuse("mask in place", "those entries are changed in place where a mask holds")
        if op in ("//", "%", "<<"):
            checked(x, value, op)
        return INPLACE[op](x, value)

    def aug_attr(self, op, x, name, value):
        x = present(x)
        self.setattr(x, name, self.aug(op, self.attr(x, name), value))

    def aug_item(self, op, c, key, value):
        c = present(c)
        old = self.item(c, key)
        # entries that a mask chose are a copy, which nobody else has
        self.setitem(c, key, BINARY[op](old, value) if type(old) is Masked else self.aug(op, old, value))

    # Expressions

    @staticmethod
    def compare(op, a, b):
        return compare(op, a, b)

    @staticmethod
    def percent(text, values):
        row = values if type(values) is tuple else (values,)
        if any(is_tensor(v) and not peek(v)[0] for v in row):
            collect = collecting.get()
            if collect is None:
                raise refuse("text", "a text is made of a value that is not known")
            row = tuple(collect.hole(v, -1, "") if is_tensor(v) and not peek(v)[0] else v for v in row)
            import re

            text = re.sub(r"%[-+ #0-9.]*[diouxXeEfFgGcrsa]", "%s", text)
            return text % row
        return text % values

    @staticmethod
    def divided(op, a, b):
        checked(a, b, op)
        return BINARY[op](a, b)

    def fn(self, f):
        g = watched(resolve(f))
        return functools.partial(_given, g) if MADE and takes_numbers(f) else g


def _given(g, /, *args, **kwargs):
    return g(*within(args), **within(kwargs))


RUNTIMES.append(Runtime)


@calls(getattr)
def _getattr(x, name, *default):
    return default[0] if default and not hasattr(x, name) else Runtime.attr(x, name)


@calls(setattr)
def _setattr(x, name, value):
    Runtime.setattr(x, name, value)


_BOUND = {types.BuiltinFunctionType, types.MethodType, types.FunctionType, types.ModuleType, type}
