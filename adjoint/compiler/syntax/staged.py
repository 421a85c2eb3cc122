"""`if` as an op, where its test is not known: run each branch once in a Frame, and bring together what they leave.

What a branch reads of outside becomes inputs; names, containers and tensors that it changes become results.
"""

import numpy as np

from ...core.errors import AdjointError, user_line
from ...core.tensor import is_tensor
from ...core.tuples import items
from ...core.types import typeof
from ...primitives.branches import cond_op
from ...primitives.checks import Again, check_op, guarded
from ...traces.graph import Graph, Var
from ..fence import FenceError, Unreachable, refuse
from .frames import FRAMES, Frame, as_of, assign, contents, emit, link, put_contents
from .maybe import Maybe, aligned, facts, known_from_here, narrowed
from .merge import DEAD, UNBOUND, Gap, Outputs, Part, finish, flatten, merge, put, read
from .outside import choice
from .texts import fenced

RET = "_ad_ret"


def cells_of(*functions):
    """The variables that these functions share with the one around them: name -> cell."""
    cells: dict = {}
    for f in functions:
        if f is not None:
            cells.update(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
    cells.pop("_ad_", None)
    return cells


class Impossible:
    """Makes the exception for a path that cannot be taken; it is raised if it is taken all the same."""

    def __init__(self, error):
        self.error = error

    def __call__(self):
        return self.error


_KINDS = (LookupError, ZeroDivisionError, OverflowError)


def by_python(error):
    """Whether it is what Python raises where code goes wrong that is right on other paths: the program raises it if it comes there."""
    text = str(error)
    unbound = isinstance(error, NameError) and ("free variable" in text or "local variable" in text)  # no name of nothing at all
    if isinstance(error, AdjointError) or not (unbound or isinstance(error, _KINDS) or text == "math domain error"):
        return False
    fenced(error, 0)
    return True


# if


class Side:
    """What one branch leaves."""

    def __init__(self, cells, run, spec, test, holds, before):
        names, live, targets, go = spec
        self.frame = frame = Frame()
        frame.facts = facts(test, holds)
        self.raised = None
        with frame:
            frame.enter_all([read(c) for c in cells.values()])
            try:
                self.value = run() if run is not None else None
                frame.notice()
            except Exception as error:
                self.raised = next((r for r in frame.raised if r[0] is error), None)
                if isinstance(error, Unreachable):
                    self.raised = (error, Impossible(error), [])
                if self.raised is None and by_python(error):
                    self.raised = (error, Again(error), [])
                if self.raised is None:
                    raise
                return
            finally:
                after = {n: read(c) for n, c in cells.items()}
                for n, c in cells.items():
                    put(c, before[n])
            # which names are read again depends on the jump that this branch ended with
            flags = [f for f, _ in targets]
            taken = [f for f in flags if f not in go and f in after and after[f] is True and before[f] is not True]
            open_ = [f for f in flags if f not in go and is_tensor(after.get(f)) and after[f] is not before[f]]
            if go and not holds:
                taken = list(go)
            alive: set = set() if taken else set(live)
            for f, t in targets:
                if f in taken or f in open_:
                    alive |= set(t)
            self.parts = {
                n: Part(narrowed(after[n]) if n in alive or n.startswith("_ad_") else DEAD, frame)
                for n in names
                if n in after
            }
            self.result = Part(narrowed(self.value), frame)
            self.handles = {id(h): h for h in frame.written()}
            self.tops = {key: frame.operand(h) for key, h in self.handles.items()}
            self.places = {}
            for key, (c, _) in frame.places.items():
                self.places[key] = contents(c)
            self.inside = {(key, k): Part(v, frame) for key, held in self.places.items() for k, v in entries(held)}

    def top(self, h):
        """What this branch leaves in a tensor: its own writing, or what was there."""
        if id(h) in self.tops:
            return self.tops[id(h)]
        row = self.frame.entered.get(id(h))
        return row[3] if row is not None else self.frame.operand(h)


def entries(held):
    if isinstance(held, list):
        return enumerate(held)
    if isinstance(held, set):
        return [(x, x) for x in held]
    return held.items()


def stage_if(test, true, false, cells, spec, line=""):
    """if test: true() else: false(), as one op. Returns what the branch that is taken returns."""
    before = {n: read(c) for n, c in cells.items()}
    sides = []
    for run, holds in ((true, True), (false, False)):
        sides.append(Side(cells, run, spec, test, holds, before))
    a, b = sides
    if a.raised is not None and b.raised is not None:
        raise _either_raised(test, a, b)
    if a.raised is not None or b.raised is not None:
        first = a.raised is not None
        _check_raise(test, a if first else b, first)
        known_from_here(test, not first)
        other = false if first else true
        return other() if other is not None else None
    for n in a.parts:
        a.parts[n], b.parts[n] = aligned(a.parts[n], b.parts[n])
    a.result, b.result = aligned(a.result, b.result)
    outputs = Outputs((a.frame, b.frame))
    where_ = line or user_line()
    paths = (f"where the test holds ({where_})", f"where the test fails ({where_})")
    merged = {n: merge(a.parts[n], b.parts[n], outputs, _name(n), paths) for n in a.parts}
    value = merge(a.result, b.result, outputs, "the value", paths)
    handles = {**a.handles, **b.handles}
    tops = {key: _pair(outputs, a.top(h), b.top(h)) for key, h in handles.items()}
    places = {key: row[0] for side in sides for key, row in side.frame.places.items()}
    held = {key: _merge_places(c, a, b, outputs, paths) for key, c in places.items()}
    results = _emit_cond(test, a, b, outputs) if outputs.rows or _effects(a, b) else ()
    for n, v in merged.items():
        put(cells[n], y := finish(v, results))
        _note_choice(y, a.parts[n], b.parts[n], (a.frame, b.frame))
    for key, h in handles.items():
        assign(h, results[tops[key]])
    for key, c in places.items():
        _put_held(c, held[key], results)
    value = finish(value, results)
    _note_choice(value, a.result, b.result, (a.frame, b.frame))
    for side in sides:
        side.frame.trace.close()  # a value that has left a branch in another way is an error from now on
    if type(value) is Gap and value is not UNBOUND and value is not DEAD:
        raise FenceError(value.reason)
    return value


def _note_choice(y, a, b, frames):
    """Where a merged value is one of two things of outside, a later change of either must not go unseen."""
    if a.value is b.value or type(y) is Gap:
        return
    leaves = flatten(y)[0]
    if len(leaves) == len(a.leaves) == len(b.leaves):
        for leaf, p, q in zip(leaves, a.leaves, b.leaves, strict=True):
            if is_tensor(leaf) and p is not q and leaf.shape and getattr(leaf, "shares", None) is None:
                link(leaf, [h for h, frame in zip((p, q), frames, strict=True) if is_tensor(h) and frame.is_outside(h)])
    for value, frame in zip((a.value, b.value), frames, strict=True):
        mutable = type(value) in _MUTABLE or hasattr(type(value), "__dataclass_fields__")
        if mutable and id(value) not in frame.born:
            choice(value)
            choice(y._ad_value if type(y) is Maybe else y)


_MUTABLE = (list, dict, set)


def _name(n):
    return "the function's result" if n == RET else "a jump" if n.startswith("_ad_") else n


def _pair(outputs, p, q):
    return outputs.pair(p, q, p.type)


def _effects(a, b):
    return any(line.effect for side in (a, b) for line in side.frame.trace.lines)


def _merge_places(c, a, b, outputs, paths):
    """{key: merged value} of a container that a branch changed."""
    now = contents(c)
    sides = []
    for side in (a, b):
        held = side.places.get(id(c))
        sides.append(now if held is None else held)
    if isinstance(c, (list, set)) and len(sides[0]) != len(sides[1]):
        raise refuse(
            "list", f"a {type(c).__name__} has {len(sides[0])} items {paths[0]} and {len(sides[1])} {paths[1]}"
        )
    out = {}
    keys = dict.fromkeys([k for held in sides for k, _ in entries(held)])
    for k in keys:
        parts = []
        for side, held in zip((a, b), sides, strict=True):
            part = side.inside.get((id(c), k))
            if part is None:
                part = Part(dict(entries(held)).get(k, UNBOUND), side.frame)
            parts.append(part)
        what = f"item {k}" if isinstance(c, (list, dict)) else f".{k}"
        out[k] = merge(*aligned(*parts), outputs, what, paths)
    return out


def _put_held(c, held, results):
    values = {k: finish(v, results) for k, v in held.items()}
    for v in values.values():
        if type(v) is Gap and isinstance(c, (list, dict)):
            raise refuse("container", f"a {type(c).__name__}: {v.reason}")
    put_contents(c, list(values.values()) if isinstance(c, list) else set(values) if isinstance(c, set) else values)


def _message(side, taken):
    """The values that the exception of a branch needs, out here: computed again where it computed them.

    What the branch checks and prints before it raises is done too, where the branch is taken.
    """
    operands = side.raised[2]
    graph, hidden = graph_of(side.frame, [], [side.frame.operand(x) for x in operands], "message")
    frames = FRAMES.get()
    here = (lambda x: as_of(frames[-1], x)) if frames else (lambda x: x)
    return guarded(graph).run(*[here(outside(x)) for x in hidden], here(taken))


class _Either:
    """Makes the exception of one of two branches; the first value says which."""

    def __init__(self, first, second, count):
        self.first, self.second, self.count = first, second, count

    def __call__(self, test, *values):
        return self.first(*values[: self.count]) if test else self.second(*values[self.count :])


def _either_raised(test, a, b):
    """The exception of an `if` both branches of which raise."""
    error, make_b, _ = b.raised
    values = _message(a, test)
    make_error = _Either(a.raised[1], make_b, len(values))
    frames = FRAMES.get()
    if frames:
        frames[-1].raised.append((error, make_error, [test, *values, *_message(b, np.logical_not(test))]))
    return error


def _check_raise(test, side, when):
    """Let the program raise what this side raised, where the test says so."""
    taken = test if when else np.logical_not(test)
    emit(check_op, [taken, *_message(side, taken)], {"make": side.raised[1]})


def outside(x):
    return x.value if is_tensor(x) and x.trace is None else x


def graph_of(frame, inputs, outputs, name):
    """(graph, what its further inputs stand for outside)."""
    hidden = list(frame.trace.hidden.values())
    frame.trace.close()
    graph = Graph([*inputs, *(v for _, v in hidden)], frame.trace.lines, outputs, None, (), name).prune()
    return graph, [x for x, _ in hidden]


def _key(x):
    return (id(x.trace), id(x.info), id(x.value)) if x.trace is not None else id(x.value)


def _emit_cond(test, a, b, outputs):
    """Bind the op."""
    shared, graphs = paired((a.frame, b.frame), outputs.rows)
    y = emit(cond_op, [test, *map(outside, shared)], {"true": graphs[0], "false": graphs[1]})
    return items(y)


def paired(frames, rows):
    """(what two branches read of outside, their graphs with inputs for that); rows: pairs of outputs."""
    shared: dict = {}
    for frame in frames:
        for x, _ in frame.trace.hidden.values():
            shared.setdefault(_key(x), x)
    graphs = []
    for i, (frame, name) in enumerate(zip(frames, ("true", "false"), strict=True)):
        mine: dict = {}
        lines = frame.trace.lines
        for x, v in frame.trace.hidden.values():
            mine.setdefault(_key(x), []).append(v)
        inputs = []
        renamed = {}
        for key, x in shared.items():
            own = mine.get(key) or [Var(typeof(x))]
            inputs.append(own[0])
            for v in own[1:]:
                renamed[id(v)] = own[0]
        outs = [row[i] for row in rows]
        if renamed:
            for line in lines:
                line.args = [renamed.get(id(v), v) for v in line.args]
            outs = [renamed.get(id(v), v) for v in outs]
        frame.trace.close()
        graphs.append(Graph(inputs, lines, outs, None, (), name).prune())
    return list(shared.values()), graphs
