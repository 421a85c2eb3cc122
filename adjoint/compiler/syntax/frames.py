"""Frames: one trial run of a staged body, from which everything is put back.

While a body is captured, the tensors it can see stand for variables of its own graph. The handles themselves are moved
there and back (`enter`, `restore`): so every name, list and attribute that holds a tensor sees the same one, and a write
through any of them is noticed. Lists, dicts and objects that the body changes are noted with what they held
(`touch`), and hold it again afterwards; what they would have held becomes a result of the staged op.
"""

import types
import weakref
from collections import deque
from contextvars import ContextVar

from ...core import tensor as _tensor
from ...core.derived import Derived
from ...core.errors import MutationError, where
from ...core.op import Op, Trace, bind
from ...core.tensor import Tensor, is_tensor, make, peek, set_class
from ...core.types import typeof
from ...traces.capture import Capture
from ...traces.graph import Var
from ..fence import refuse

FRAMES: ContextVar[tuple] = ContextVar("adjoint_frames", default=())


class Frame:
    """One trial run of a body."""

    __slots__ = ("born", "entered", "facts", "iterators", "kept", "places", "raised", "seen", "token", "trace")

    def __init__(self):
        self.trace = Capture()
        self.entered: dict = {}  # id of a handle -> (handle, its state, the tensor outside, its variable here)
        self.kept: list = []  # views of entered handles, with their state
        self.places: dict = {}  # id of a container -> (container, what it held)
        self.seen: list = []  # (container, what it held), of all that can be reached
        self.born: dict = {}  # ids of containers made in here
        self.iterators: dict = {}  # ids of iterators that come from outside
        self.raised: list = []  # exceptions that the user's raise statements made here
        self.facts: dict = {}  # truth values that are known in here: id -> (the tensor, True or False); see maybe.py

    def __enter__(self):
        self.token = FRAMES.set((*FRAMES.get(), self))
        watch(1)
        return self

    def __exit__(self, *_):
        watch(-1)
        FRAMES.reset(self.token)
        self.places.update({id(c): (c, held) for c, held in self.changed()})
        self.restore()

    def restore(self):
        for c, before in self.places.values():
            put_contents(c, before)
        for h, state in self.kept:
            _put(h, state)
        for h, state, _, _ in self.entered.values():
            _put(h, state)

    def enter(self, h, var=None):
        """Let a handle from outside stand for a variable of this body; `var`: which, else one more input."""
        if id(h) in self.entered or h.trace is self.trace:
            return
        link = getattr(h, "shares", None)
        if type(link) is tuple and var is None and link[1][0][0] is not chosen:
            root, path = link
            self.enter(root)
            self.kept.append((h, _state(h)))
            y = root
            for op, params in path:
                y = op(y, **params)
            _put(h, _state(y))
            return
        outside = make(h.value, h.trace, h.info)
        if var is None:
            var = Var(typeof(h))
            self.trace.hidden[id(outside)] = (outside, var)
        self.entered[id(h)] = (h, _state(h), outside, var)
        views = getattr(h, "shares", None)
        if type(views) is list:
            for ref in views:
                view = ref()
                if view is not None:
                    self.kept.append((view, _state(view)))
        _put(h, (Tensor, var.type, self.trace, var))

    def enter_all(self, values):
        """Enter every tensor of unknown value that can be reached from these values."""
        for x in values:
            if hasattr(type(x), "__next__"):
                self.iterators[id(x)] = x
        containers: list = []
        for h in reached(values, containers):
            if h.trace is not None and h.trace is not self.trace and not h.trace.ended and not peek(h)[0]:
                self.enter(h)
        self.seen += [(c, contents(c)) for c in containers]

    def changed(self):
        """The containers that code which is not rewritten has changed: special methods, heapq, a library."""
        for c, held in self.seen:
            if id(c) not in self.places and id(c) not in self.born and _differ(contents(c), held):
                yield c, held

    def notice(self):
        """Note what such code has changed, as `touch` does for the rest."""
        for c, held in list(self.changed()):
            if isinstance(c, deque):
                raise refuse("list", "a deque is changed in a branch or loop")
            self.places[id(c)] = (c, held)

    def is_outside(self, h):
        """Whether a tensor was there before this body ran."""
        if id(h) in self.entered:
            return True
        return (h.info if h.trace is None else h.trace.level) < self.trace.level

    def written(self):
        """The entered handles that the body wrote into."""
        return [row[0] for row in self.entered.values() if row[0].info is not row[3]]

    def operand(self, x):
        """The variable or constant for a value, in this body's graph."""
        if is_tensor(x) and x.trace is not None and x.trace is not self.trace and id(x) not in self.trace.hidden:
            outside = make(x.value, x.trace, x.info)
            for other, var in self.trace.hidden.values():
                if other.trace is x.trace and other.info is x.info and other.value is x.value:
                    return var
            self.trace.hidden[id(outside)] = (outside, Var(typeof(x)))
            return self.trace.hidden[id(outside)][1]
        return self.trace.operand(x)

    def process(self, op, args, params):
        return self.trace.process(op, [as_of(self, a) for a in args], params)


def as_of(frame, x):
    if is_tensor(x) and x.trace is not None and x.trace is not frame.trace:
        var = frame.operand(x)
        return make(var.type, frame.trace, var)
    return x


def _state(h):
    return type(h), h.value, h.trace, h.info


def _put(h, state):
    if type(h) is not state[0]:
        set_class(h, state[0])
    h.value, h.trace, h.info = state[1:]


def assign(h, y):
    """Let a handle stand for y from now on, and its living views for what they look at in it."""
    from ...primitives.write import _refresh

    if is_tensor(y):
        _put(h, _state(y))
    else:
        _put(h, (Tensor, y, None, _tensor.BIRTHS[0]))
    _refresh(h)


class Lost(Trace):
    """The trace of a tensor whose later writes cannot be told: reading it raises."""

    def escaped(self):
        raise MutationError(
            f"an array that a staged loop writes in place, and then binds anew, is read under another name{where()}; "
            "copy it before the loop, b = a.copy()"
        )

    def typeof(self, tensor):
        self.escaped()

    def concrete(self, tensor, why):
        self.escaped()

    def process(self, op, args, params):
        self.escaped()


def lose(h):
    """Make a handle unreadable."""
    lost = Lost()
    lost.close()
    _put(h, (Tensor, h.value, lost, None))


def _chosen(*_, **__):
    raise MutationError(
        f"an array is written while a name may stand for it or for another one, by a decision that is not known{where()}; "
        "copy it, b = a.copy()"
    )


chosen = Op("chosen", _chosen, kind="control", type=_chosen, register=False)


def link(y, roots):
    """y is one of these tensors, by a decision that is not known: a write into one of them, or into y, raises."""
    for h in roots:
        above = getattr(h, "shares", None)
        root = above[0] if type(above) is tuple else h
        y.shares = (root, ((chosen, {}),))
        views = getattr(root, "shares", None)
        if views is None:
            root.shares = views = []
        if type(views) is list:
            views.append(weakref.ref(y))


def emit(op, args, params):
    """Apply an op of control flow, or one with an effect: inside the innermost body, if there is one."""
    frames = FRAMES.get()
    if not frames:
        return bind(op, *args, **params)
    inner = frames[-1]
    level = inner.trace.level
    if any(is_tensor(a) and a.trace is not None and a.trace.level > level for a in args):
        return bind(op, *args, **params)  # a transform that began inside the body sees it first
    return inner.process(op, args, params)


# What can be reached


def reached(values, containers=None):
    """The tensors in values, through containers, objects and closures; containers: a list that gets what can be changed."""
    seen: set = set()
    found: list = []
    containers = [] if containers is None else containers
    todo = [(v, 0) for v in values]
    while todo:
        x, depth = todo.pop()
        kind = type(x)
        if is_tensor(x):
            if id(x) not in seen:
                seen.add(id(x))
                found.append(x)
            continue
        if kind in _ATOMS or depth > 6 or id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, (list, set, deque, dict)):
            containers.append(x)
        if isinstance(x, (list, tuple, set, frozenset, deque)):
            todo += [(e, depth + 1) for e in x]
        elif isinstance(x, dict):
            todo += [(e, depth + 1) for e in x.values()]
        elif kind is types.FunctionType:
            todo += [(c.cell_contents, depth + 2) for c in x.__closure__ or () if _filled(c)]
        elif kind is types.MethodType:
            todo.append((x.__self__, depth + 1))
        elif kind in CONTAINERS:
            todo += [(e, depth + 1) for e in CONTAINERS[kind](x)]
        elif isinstance(x, (type, types.ModuleType)) or kind.__module__.startswith(_OURS):
            continue
        elif (held := _attributes(x)) is not None:
            containers.append(x)
            todo += [(e, depth + 1) for e in held.values()]
    return found


def _attributes(x):
    if type(getattr(x, "__dict__", None)) is not dict and not any(map(_slots, type(x).__mro__)):
        return None
    return contents(x)


# classes of ours whose instances hold tensors -> what they hold
CONTAINERS: dict = {Derived: lambda f: f.args_of_maker}
_OURS = ("adjoint.", "numpy", "scipy")
_ATOMS = {int, float, complex, bool, str, bytes, type(None), type, types.ModuleType, types.BuiltinFunctionType, range}


def _filled(cell):
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False


# Containers that a body changes


def touch(c):
    """Note what a container holds, before it is changed."""
    for frame in reversed(FRAMES.get()):
        if id(c) in frame.born:
            return
        if id(c) not in frame.places:
            frame.places[id(c)] = (c, contents(c))


def born(c):
    """Note that a container is made inside the innermost body: nobody outside sees it change."""
    frames = FRAMES.get()
    if frames:
        frames[-1].born[id(c)] = c
    return c


def contents(c):
    if isinstance(c, (list, deque)):
        return list(c)
    if isinstance(c, dict):
        return dict(c)
    if isinstance(c, set):
        return set(c)
    held = dict(vars(c)) if hasattr(c, "__dict__") else {}
    for cls in type(c).__mro__:
        for x in _slots(cls):
            if x not in ("__dict__", "__weakref__") and hasattr(c, x):
                held[x] = getattr(c, x)
    return held


def _differ(now, held):
    if type(now) is set:
        return now != held
    pairs = zip(now, held) if type(now) is list else ((now[k], held.get(k, held)) for k in now)
    return len(now) != len(held) or any(a is not b for a, b in pairs)


def _slots(cls):
    s = cls.__dict__.get("__slots__", ())
    return (s,) if isinstance(s, str) else s


def put_contents(c, held):
    if isinstance(c, list):
        list.__setitem__(c, slice(None), held)
    elif isinstance(c, dict):
        dict.clear(c)
        dict.update(c, held)
    elif isinstance(c, set):
        c.clear()
        c.update(held)
    elif isinstance(c, deque):
        c.clear()
        c.extend(held)
    else:
        now = contents(c)
        for x in now:
            if x not in held:
                object.__delattr__(c, x)
        for x, v in held.items():
            if x not in now or now[x] is not v:
                object.__setattr__(c, x, v)


# Writes into tensors while a body is captured


_watchers = 0
_plain_write: list = []


def watch(change):
    """Let writes into tensors pass through here while any body is captured."""
    global _watchers
    _watchers += change
    if change > 0 and _watchers == 1:
        _plain_write[:] = _tensor.WRITE
        _tensor.WRITE[:] = [_setitem, _update]
    elif not _watchers:
        _tensor.WRITE[:] = _plain_write


def _inside(t):
    frames = FRAMES.get()
    for frame in frames:
        # each body around sees the write: from the outermost to the innermost, as they were entered
        if (t.info if t.trace is None else t.trace.level) < frame.trace.level:
            link = getattr(t, "shares", None)
            frame.enter(link[0] if type(link) is tuple else t)
            if type(link) is tuple:
                frame.enter(t)


def _setitem(t, index, v):
    _inside(t)
    _plain_write[0](t, index, v)


def _update(t, result):
    if t.shape or t.trace is None:
        _inside(t)
    return _plain_write[1](t, result)
