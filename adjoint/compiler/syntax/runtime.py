"""What rewritten code calls (as `_ad_`): loads, calls, tests and control flow. Plain Python while nothing is unknown.

Each copy of a function has a Runtime of its own, which knows the function's globals. The module-level functions are
what its methods and staged.py share.
"""

import operator
import types
from contextvars import ContextVar

import numpy as np

from ...core.config import config  # noqa: F401
from ...core.errors import ConcreteError, EscapeError, ShapeError, where
from ...core.tensor import is_tensor, make, peek, untracked
from ...core.types import Array, typeof
from ...primitives.checks import Hole, check_op, fill, hole, show_op
from ...primitives.control import _captured
from ...traces.capture import Capture
from ..fence import FenceError, Resist, refuse
from . import staged
from .frames import FRAMES, Frame, born, emit, reached, touch
from .merge import DEAD, UNBOUND, Gap, Part, put, read, use
from .staged import cells_of

LIMIT = 10_000  # ops that a loop which cannot be kept one may unroll into
TRIES = 2  # how often a loop of known length is tried as an op: its first step may bring the state to its types
SHORT = 8  # trips of a loop that is unrolled without a second thought

recorder: ContextVar = ContextVar("adjoint_recorder", default=None)  # who is told of outer state that is read


# Truth


def truth(x):
    """True or False where the truth of x is known, else x itself, without axes."""
    kind = type(x)
    if kind is bool:
        return x
    if is_tensor(x):
        known, value = peek(x)
        if known:
            return bool(value)
        shape = x.shape
        if shape != ():
            if x.size != 1:
                raise ShapeError(
                    f"the truth of an array with more than one element is ambiguous{where()}: it has shape {shape}; use .any() or .all()"
                )
            x = np.reshape(x, ())
        return x
    if kind is Gap:
        use(x)
    if kind is list and x and type(x[0]) is Gap:
        use(x[0])
    return bool(x)


def _flag(x):
    """A captured scalar as a boolean one."""
    return x if typeof(x).dtype.kind == "b" else np.not_equal(x, 0)


def not_(x):
    t = truth(x)
    return (not t) if type(t) is bool else np.logical_not(t)


def both(*thunks):
    """The truth of a `and` chain."""
    return _chain(thunks, True)


def either(*thunks):
    """The truth of an `or` chain."""
    return _chain(thunks, False)


def _chain(thunks, stop_unless):
    t = stop_unless
    for i, f in enumerate(thunks):
        t = truth(f())
        if type(t) is bool:
            if t is not stop_unless:
                return t
            continue
        rest = thunks[i + 1 :]
        if not rest:
            return _flag(t)
        return _lazily(_flag(t), rest, stop_unless)
    return t


def _lazily(t, thunks, is_and):
    """t and the thunks, or t or the thunks, where t is not known: all are computed where that is harmless."""
    rest = lambda: _chain(thunks, is_and)
    cells = cells_of(*thunks)
    frame = Frame()
    with frame:
        frame.enter_all([read(c) for c in cells.values()])
        y = rest()
        operand = frame.operand(y) if is_tensor(y) else None
        changed = frame.written() or frame.places
    if operand is None and not frame.trace.lines:
        return t if y is is_and else y
    if not changed and all(map(_harmless, frame.trace.lines)):
        if operand is None:
            return t if y is is_and else y
        graph, hidden = staged._graph(frame, [], [operand], "rest")
        (y,) = graph.run(*map(staged._out, hidden))
        return (np.logical_and if is_and else np.logical_or)(t, y)
    known = lambda: is_and is False
    return staged.stage_if(t, rest if is_and else known, known if is_and else rest, cells, ((), (), (), ()))


_HARMLESS = ("elementwise", "linear", "bilinear", "nondiff", "reduce")


def _harmless(line):
    """Whether a line may run though the program would not have come to it."""
    if line.effect or line.op.kind not in _HARMLESS:
        return False
    return line.op.name != "getitem" or len(line.args) == 1


# Texts with values that are not known yet


class Collect:
    """While it is in force, formatting an unknown value leaves a hole, and keeps the value."""

    def __init__(self):
        self.values: list = []

    def hole(self, x, conversion, spec):
        self.values.append(x)
        return hole(len(self.values) - 1, conversion, spec)

    def place(self, x):
        if is_tensor(x) and not peek(x)[0]:
            self.values.append(x)
            return Hole(len(self.values) - 1, typeof(x))
        return x


_collect: ContextVar = ContextVar("adjoint_collect", default=None)


def format_(x, conversion=-1, spec=""):
    """An f-string's `{x!r:spec}`."""
    if is_tensor(x) and not peek(x)[0]:
        collect = _collect.get()
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


def raising(thunk):
    """The exception of a `raise` statement."""
    collect = Collect()
    token = _collect.set(collect)
    try:
        error = thunk()
    finally:
        _collect.reset(token)
    if isinstance(error, type):
        error = error()
    frames = FRAMES.get()
    if isinstance(error, Exception):
        places = tuple(map(collect.place, error.args))
        make_error = Raiser(error, places)
        if frames:
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
    token = _collect.set(collect)
    try:
        e = error()
    finally:
        _collect.reset(token)
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
        token = _collect.set(collect)
        try:
            args = args()
        finally:
            _collect.reset(token)
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


# Sequences a for statement goes over


class Sequence:
    """What a for statement goes over, when its n-th item can be had for an n that is not known."""

    def __iter__(self):
        return (self.at(k) for k in range(len(self)))

    def __next__(self):
        if not hasattr(self, "rest"):
            self.rest = iter(self)
        return next(self.rest)

    def element(self, part):
        t = typeof(part)
        return Array(t.shape[1:], t.dtype)


class Numbers(Sequence):
    """A range of known length."""

    def __init__(self, r):
        self.range = r

    def __len__(self):
        return len(self.range)

    def at(self, k):
        if type(k) is int:
            return self.range[k]
        r = self.range
        y = k if r.step == 1 else k * r.step
        return y if r.start == 0 else y + r.start

    def parts(self, start):
        r = self.range[start:]
        return [np.arange(r.start, r.stop, r.step, dtype=np.int64)]

    def item(self, slices):
        return slices[0]

    def element(self, part):
        return staged.COUNTER


class Rows(Sequence):
    """The rows of an array or tensor."""

    def __init__(self, x):
        self.x = x

    def __len__(self):
        return self.x.shape[0]

    def __iter__(self):
        return iter(self.x)

    def at(self, k):
        return staged.getitem(self.x, k) if not is_tensor(self.x) else self.x[k]

    def parts(self, start):
        return [self.x[start:] if start else self.x]

    def item(self, slices):
        return slices[0]


class Listed(Sequence):
    """A list of numbers of one type, or of arrays of one shape and dtype."""

    def __init__(self, values, table, weak):
        self.values, self.table, self.weak = values, table, weak

    def __len__(self):
        return len(self.values)

    def at(self, k):
        return self.values[k] if type(k) is int else staged.getitem(self.table, k)

    def parts(self, start):
        return [self.table[start:]]

    def item(self, slices):
        return slices[0]

    def element(self, part):
        t = typeof(part)
        return Array(t.shape[1:], t.dtype, self.weak)


class Zipped(Sequence):
    """zip and enumerate."""

    def __init__(self, sequences):
        self.sequences = sequences

    def __len__(self):
        return min(map(len, self.sequences))

    def at(self, k):
        return tuple(s.at(k) for s in self.sequences)

    def parts(self, start):
        n = len(self) - start
        self.counts = []
        out = []
        for s in self.sequences:
            rows = s.parts(start)
            self.counts.append((s, len(rows)))
            out += [(s, r if r.shape[0] == n else r[:n]) for r in rows]
        self.owners = {id(r): s for s, r in out}
        return [r for _, r in out]

    def item(self, slices):
        out = []
        at = 0
        for s, count in self.counts:
            out.append(s.item(slices[at : at + count]))
            at += count
        return tuple(out)

    def element(self, part):
        return self.owners[id(part)].element(part)


class Backwards(Sequence):
    """reversed."""

    def __init__(self, s):
        self.s = s

    def __len__(self):
        return len(self.s)

    def at(self, k):
        return self.s.at(len(self.s) - 1 - k)

    def parts(self, start):
        n = len(self)
        self.rows = [(np.flip(r[: n - start], 0), r) for r in self.s.parts(0)]
        return [r for r, _ in self.rows]

    def item(self, slices):
        return self.s.item(slices)

    def element(self, part):
        return self.s.element(part)


class UnknownRange:
    """range with bounds that are not known."""

    def __init__(self, start, stop, step):
        self.start, self.stop, self.step = start, stop, step

    def count(self):
        width = self.stop - self.start
        if type(self.step) is int and self.step == 1:
            n = width
        else:
            # as Python counts: (width + step - sign) // step
            n = -((-width) // self.step)
        return n

    def at(self, k):
        return self.start + (k if type(self.step) is int and self.step == 1 else k * self.step)

    def __iter__(self):
        raise refuse("iteration", "range() of a value that is not known is gone through outside a for statement")

    def __len__(self):
        raise refuse("iteration", "len(range()) of a value that is not known")


def sequence(x):
    """The Sequence for something iterable, or None."""
    if isinstance(x, Sequence):
        return x
    kind = type(x)
    if kind is range:
        return Numbers(x)
    if is_tensor(x) or (isinstance(x, np.ndarray) and x.dtype.kind in "biufc"):
        return Rows(x) if x.shape else None
    if kind in (list, tuple) and len(x) > SHORT:
        first = type(x[0])
        if first in (int, float) and all(type(e) is first for e in x):
            return Listed(x, np.array(x), True) if first is float or max(map(abs, x)) < 2**53 else None
        if (
            first is np.ndarray
            and x[0].dtype.kind in "biuf"
            and all(type(e) is first and e.shape == x[0].shape and e.dtype == x[0].dtype for e in x)
        ):
            return Listed(x, np.stack(x), False)
    return None


# Captured work


def _capturing(cells, names):
    """Whether some variable a loop changes or reads is captured."""
    values = [read(c) for c in cells.values()]
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
        self.reason = None

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
    assert_ = staticmethod(assert_)
    format = staticmethod(format_)
    born = staticmethod(born)

    def __init__(self, f):
        self.globals = f.__globals__
        self.function = f
        self.cells = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))

    def __repr__(self):
        return f"<runtime of {self.function.__qualname__}>"

    # Control flow

    @staticmethod
    def go(*flags):
        """Whether none of the flags is set."""
        t = either(*[(lambda f=f: f) for f in flags])
        return not_(t)

    @staticmethod
    def if_(test, true, false, spec):
        cells = cells_of(true, false)
        _deepen(true)
        try:
            staged.stage_if(_flag(test), true, false, cells, spec)
        except Resist as reason:
            raise FenceError(*reason.args) from None
        finally:
            _surface(true)

    @staticmethod
    def ifexp(test, true, false):
        t = truth(test)
        if type(t) is bool:
            return true() if t else false()
        return staged.stage_if(_flag(t), true, false, cells_of(true, false), ((), (), (), ()))

    @staticmethod
    def and_(*thunks):
        return _select(thunks, True)

    @staticmethod
    def or_(*thunks):
        return _select(thunks, False)

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
            return _chain(((lambda: known), *more), True)

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
                    staged.stage_while(cells, test, body, spec)
                except Resist as reason:
                    raise FenceError(*reason.args) from None
                return
            if unrolling.trips >= SHORT and tries and _capturing(cells, spec[0]):
                tries -= 1
                try:
                    staged.stage_while(cells, test, body, spec, trial=True)
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
                staged.stage_count(cells, iterable.count(), iterable.at, body, spec)
            except Resist as reason:
                raise FenceError(*reason.args) from None
            return
        if type(iterable) is Gap:
            use(iterable)
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
            if tries and n - k > SHORT and _capturing(cells, spec[0]):
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
        staged.stage_for(cells, known, k, body, spec)

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
        if cls is types.ModuleType or is_tensor(x):
            return getattr(x, name)
        found = getattr(cls, name, None) if not isinstance(x, type) else None
        if type(found) is property and type(found.fget) is types.FunctionType:
            return resolve(found.fget)(x)
        value = getattr(x, name)
        told = recorder.get()
        if (told is None and type(value) is not np.ndarray) or type(value) in _BOUND:
            return value
        if isinstance(x, np.ndarray) or (told is not None and not told.is_outer(x)):
            return value
        return outer(told, value, ("attr", x, name, value))

    @staticmethod
    def item(c, key):
        told = recorder.get()
        if type(c) is dict or isinstance(c, dict):
            unknown_key(key)
        value = c[key]
        if told is None or not isinstance(c, (dict, list)) or not told.is_outer(c):
            return value if told is not None or type(value) is not np.ndarray or is_tensor(c) else shadow(value, c)
        return outer(told, value, ("item", c, key, value))

    slice = staticmethod(slice)

    # Stores

    @staticmethod
    def setattr(x, name, value):
        changing(x)
        forget(x, "attr", name)
        setattr(x, name, value)

    @staticmethod
    def delattr(x, name):
        changing(x)
        delattr(x, name)

    @staticmethod
    def setitem(c, key, value):
        if isinstance(c, dict):
            unknown_key(key)
        changing(c)
        forget(c, "item", key)
        c[key] = value

    @staticmethod
    def delitem(c, key):
        if isinstance(c, dict):
            unknown_key(key)
        changing(c)
        del c[key]

    def global_store(self, name):
        if FRAMES.get() or recorder.get() is not None:
            raise refuse("global", f"the global {name} is bound")

    def cell_store(self, name):
        if FRAMES.get() or recorder.get() is not None:
            raise refuse("cell", f"{name} is bound through nonlocal")

    @staticmethod
    def aug(op, x, value):
        if type(x) in (np.ndarray, list, dict, set):
            changing(x)
        return INPLACE[op](x, value)

    def aug_attr(self, op, x, name, value):
        self.setattr(x, name, self.aug(op, self.attr(x, name), value))

    def aug_item(self, op, c, key, value):
        self.setitem(c, key, self.aug(op, self.item(c, key), value))

    # Expressions

    @staticmethod
    def compare(op, a, b):
        return compare(op, a, b)

    @staticmethod
    def percent(text, values):
        row = values if type(values) is tuple else (values,)
        if any(is_tensor(v) and not peek(v)[0] for v in row):
            collect = _collect.get()
            if collect is None:
                raise refuse("text", "a text is made of a value that is not known")
            row = tuple(collect.hole(v, -1, "") if is_tensor(v) and not peek(v)[0] else v for v in row)
            import re

            text = re.sub(r"%[-+ #0-9.]*[diouxXeEfFgGcrsa]", "%s", text)
            return text % row
        return text % values

    def fn(self, f):
        return resolve(f)


def _select(thunks, is_and):
    """a and b, a or b, as values."""
    for i, f in enumerate(thunks):
        x = f()
        if i + 1 == len(thunks):
            return x
        t = truth(x)
        if type(t) is bool:
            if t is not is_and:
                return x
            continue
        more = thunks[i + 1 :]
        if typeof(x).dtype.kind == "b":
            return _chain((lambda x=x: x, *more), is_and)
        rest = lambda more=more: _select(more, is_and)
        keep = lambda x=x: x
        cells = cells_of(*more)
        true, false = (rest, keep) if is_and else (keep, rest)
        return staged.stage_if(_flag(t), true, false, cells, ((), (), (), ()))
    return is_and


COMPARE = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
INPLACE = {
    "+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "//": operator.ifloordiv,
    "%": operator.imod, "**": operator.ipow, "@": operator.imatmul, "<<": operator.ilshift, ">>": operator.irshift,
    "|": operator.ior, "^": operator.ixor, "&": operator.iand,
}  # fmt: skip


def compare(op, a, b):
    if op in COMPARE:
        return COMPARE[op](a, b)
    for x in (a, b):
        if type(x) is Gap:
            use(x)
    if op == "is" or op == "is not":
        return (a is b) is (op == "is")
    if isinstance(b, (dict, set, frozenset)):
        unknown_key(a)
        found = a in b
    elif isinstance(b, (list, tuple)) and any(is_tensor(e) and not peek(e)[0] for e in (a, *b)):
        found = either(*[(lambda e=e: e is a or e == a) for e in b])
    elif type(b) is range and is_tensor(a) and not peek(a)[0]:
        r = b
        inside = both(lambda: a >= min(r[0], r[-1]), lambda: a <= max(r[0], r[-1])) if r else False
        found = both(lambda: inside, lambda: (a - r.start) % r.step == 0) if r else False
    else:
        found = a in b
    return found if op == "in" else not_(found)


_BOUND = {types.BuiltinFunctionType, types.MethodType, types.FunctionType, types.ModuleType, type}


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


# State outside the function


class Session:
    """One outermost call of a copy: the arrays of outside that it has met, and their tensors."""

    def __init__(self):
        self.arrays: dict = {}
        self.choices: dict = {}  # ids of containers of which a staged branch chose one

    def tensor(self, a):
        row = self.arrays.get(id(a))
        if row is None:
            row = self.arrays[id(a)] = (a, untracked(a))
        return row[1]


session: ContextVar = ContextVar("adjoint_session", default=None)


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


# Recursion


_depth: ContextVar = ContextVar("adjoint_depth", default={})  # noqa: B039 - never written: each change makes a new one
DEEPEST = 24  # how many times one branch may be entered inside itself while it is captured


def _deepen(f):
    now = _depth.get()
    n = now.get(f.__code__, 0) + 1
    if n > DEEPEST:
        raise refuse("recursion", f"{f.__code__.co_name} calls itself")
    _depth.set({**now, f.__code__: n})


def _surface(f):
    now = dict(_depth.get())
    now[f.__code__] = now.get(f.__code__, 1) - 1
    _depth.set(now)


from .names import resolve  # noqa: E402  (it needs what is above)

__all__ = ["UNBOUND", "FenceError", "Part", "Runtime", "make", "put", "recorder", "session"]
