"""if, while and for as ops, where their test is not known: run each body once in a Frame, and bring together what it leaves.

A branch is run once, a loop's body until its state keeps its types (twice, mostly). What a body reads of outside
becomes inputs; names, containers and tensors that it changes become results.
"""

import numpy as np

from ...core.errors import ShapeError, user_line, where
from ...core.tensor import is_tensor, make, untracked
from ...core.tuples import items
from ...core.types import Array, typeof
from ...primitives.checks import check_op, guarded
from ...primitives.control import to_type
from ...primitives.index import getitem
from ...primitives.loops import cond_op, scan_op, while_op
from ...traces.derive import zeros
from ...traces.graph import Const, Graph, Var
from ..fence import FenceError, Resist, refuse
from . import ints
from .frames import FRAMES, Frame, as_of, assign, contents, emit, link, lose, put_contents
from .merge import (
    DEAD,
    UNBOUND,
    Gap,
    Merged,
    Outputs,
    Part,
    cast,
    finish,
    flatten,
    is_value,
    join,
    merge,
    put,
    read,
    said,
    same,
    tree,
)

COUNTER = Array((), np.dtype(np.int64), True)
FLAG = Array((), np.dtype(bool))
RET = "_ad_ret"


def cells_of(*functions):
    """The variables that these functions share with the one around them: name -> cell."""
    cells: dict = {}
    for f in functions:
        if f is not None:
            cells.update(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
    cells.pop("_ad_", None)
    return cells


# if


class Side:
    """What one branch leaves."""

    def __init__(self, cells, run, spec, holds, before):
        names, live, targets, go = spec
        self.frame = frame = Frame()
        self.raised = None
        with frame:
            frame.enter_all([read(c) for c in cells.values()])
            try:
                self.value = run() if run is not None else None
            except Exception as error:
                self.raised = next((r for r in frame.raised if r[0] is error), None)
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
                n: Part(after[n] if n in alive or n.startswith("_ad_") else DEAD, frame) for n in names if n in after
            }
            self.result = Part(self.value, frame)
            self.handles = {id(h): h for h in frame.written()}
            self.tops = {key: frame.operand(h) for key, h in self.handles.items()}
            self.places = {}
            for key, (c, _) in frame.places.items():
                self.places[key] = contents(c)
            self.inside = {(key, k): Part(v, frame) for key, held in self.places.items() for k, v in _entries(held)}

    def top(self, h):
        """What this branch leaves in a tensor: its own writing, or what was there."""
        if id(h) in self.tops:
            return self.tops[id(h)]
        row = self.frame.entered.get(id(h))
        return row[3] if row is not None else self.frame.operand(h)


def _entries(held):
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
        sides.append(Side(cells, run, spec, holds, before))
    a, b = sides
    if a.raised is not None and b.raised is not None:
        raise _either_raised(test, a, b)
    if a.raised is not None or b.raised is not None:
        first = a.raised is not None
        _check_raise(test, a if first else b, first)
        other = false if first else true
        return other() if other is not None else None
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
    if type(value) is Gap and value not in (UNBOUND, DEAD) and value is not DEAD:
        raise FenceError(value.reason)
    return value


def _note_choice(y, a, b, frames):
    """Where a merged value is one of two things of outside, a later change of either must not go unseen."""
    from .runtime import choice

    if a.value is b.value or type(y) is Gap:
        return
    leaves = flatten(y)[0]
    if len(leaves) == len(a.leaves) == len(b.leaves):
        for leaf, p, q in zip(leaves, a.leaves, b.leaves, strict=True):
            if is_tensor(leaf) and p is not q and leaf.shape and getattr(leaf, "shares", None) is None:
                link(leaf, [h for h, frame in zip((p, q), frames, strict=True) if is_tensor(h) and frame.is_outside(h)])
    for value, frame in zip((a.value, b.value), frames, strict=True):
        if (type(value) in _MUTABLE or hasattr(type(value), "__dataclass_fields__")) and id(value) not in frame.born:
            choice(value)
            choice(y)


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
    keys = dict.fromkeys([k for held in sides for k, _ in _entries(held)])
    for k in keys:
        parts = []
        for side, held in zip((a, b), sides, strict=True):
            part = side.inside.get((id(c), k))
            if part is None:
                entries = dict(_entries(held))
                part = Part(entries[k], side.frame) if k in entries else Part(UNBOUND, side.frame)
            parts.append(part)
        what = f"item {k}" if isinstance(c, (list, dict)) else f".{k}"
        out[k] = merge(*parts, outputs, what, paths)
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
    graph, hidden = _graph(side.frame, [], [side.frame.operand(x) for x in operands], "message")
    frames = FRAMES.get()
    here = (lambda x: as_of(frames[-1], x)) if frames else (lambda x: x)
    return guarded(graph).run(*[here(_out(x)) for x in hidden], here(taken))


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


def _out(x):
    return x.value if is_tensor(x) and x.trace is None else x


def _graph(frame, inputs, outputs, name):
    """(graph, what its further inputs stand for outside)."""
    hidden = list(frame.trace.hidden.values())
    frame.trace.close()
    graph = Graph([*inputs, *(v for _, v in hidden)], frame.trace.lines, outputs, None, (), name).prune()
    return graph, [x for x, _ in hidden]


def _key(x):
    return (id(x.trace), id(x.info), id(x.value)) if x.trace is not None else id(x.value)


def _emit_cond(test, a, b, outputs):
    """Bind the op; the two graphs get the same inputs."""
    shared: dict = {}
    for side in (a, b):
        for x, _ in side.frame.trace.hidden.values():
            shared.setdefault(_key(x), x)
    graphs = []
    for i, (side, name) in enumerate(((a, "true"), (b, "false"))):
        mine: dict = {}
        lines = side.frame.trace.lines
        for x, v in side.frame.trace.hidden.values():
            mine.setdefault(_key(x), []).append(v)
        inputs = []
        renamed = {}
        for key, x in shared.items():
            own = mine.get(key) or [Var(typeof(x))]
            inputs.append(own[0])
            for v in own[1:]:
                renamed[id(v)] = own[0]
        outs = [row[i] for row in outputs.rows]
        if renamed:
            for line in lines:
                line.args = [renamed.get(id(v), v) for v in line.args]
            outs = [renamed.get(id(v), v) for v in outs]
        side.frame.trace.close()
        graphs.append(Graph(inputs, lines, outs, None, (), name).prune())
    y = emit(cond_op, [test, *map(_out, shared.values())], {"true": graphs[0], "false": graphs[1]})
    return items(y)


# Loops


class Slot:
    """One thing that a loop carries: a name, or an entry of a container it changes."""

    __slots__ = ("fill", "known", "start", "wanted", "what")

    def __init__(self, what, start):
        self.what = what
        self.start = start  # the value before the loop
        self.fill = None  # what stands for a value that is not there yet
        self.wanted: dict = {}  # leaf -> its type in the loop, where it differs from that of the start
        self.known: set = set()  # leaves that stay the Python number they are

    @property
    def value(self):
        return self.start if self.fill is None else self.fill


class Loop:
    """The capture of one loop."""

    def __init__(self, cells, spec, body, test=None):
        state, self.head, self.normal, self.flags, self.bound, self.rebinds = spec
        self.cells = cells
        self.body = body  # called with the further inputs of a step
        self.test = test  # () -> the test, or None
        self.before = {n: read(c) for n, c in cells.items()}
        self.slots = {n: Slot(n, self.before[n]) for n in state if n not in self.flags}
        self.handles: dict = {}  # id -> tensor that the body writes into
        self.places: dict = {}  # id -> container whose entries are carried
        self.grown: dict = {}  # id -> list that the body appends to
        self.lost: list = []  # tensors that are written, and whose names then stand for others
        self.same_handle: dict = {}  # (slot, leaf) -> the tensor that stays the one it is, written in place

    def put_state(self, frame):
        """Let names, containers and handles stand for fresh inputs of the frame. Returns [(key, leaf number, leaf, variable)]."""
        rows = []
        self.fresh = {}
        for key, slot in self.slots.items():
            if type(slot.value) is Gap:
                value = slot.value
            else:
                leaves, structure = flatten(slot.value)
                new = []
                for k, leaf in enumerate(leaves):
                    if is_value(leaf) and k not in slot.known:
                        x = frame.trace.input(slot.wanted.get(k) or typeof(leaf))
                        rows.append((key, k, leaf, x.info))
                        if is_tensor(leaf) and x.value.shape:
                            self.fresh[id(x)] = (x, leaf, x.info)
                        new.append(x)
                    else:
                        new.append(leaf)
                value = tree.unflatten(structure, new)
            if type(key) is tuple:
                self.held[key[0]][key[1]] = value
            else:
                put(self.cells[key], value)
        return rows

    def enter(self, frame):
        """Everything the body can see is put into the frame."""
        self.held = {key: dict(_entries(contents(c))) for key, c in self.places.items()}
        for c in (*self.places.values(), *self.grown.values()):
            frame.places[id(c)] = (c, contents(c))
        rows = self.put_state(frame)
        for key, c in self.places.items():
            h = self.held[key]
            put_contents(c, list(h.values()) if isinstance(c, list) else h)
        for c in self.grown.values():
            put_contents(c, [_GROWING])
        variables = []
        for h in self.handles.values():
            v = Var(typeof(h))
            variables.append(v)
            frame.enter(h, v)
        for f in self.flags:
            put(self.cells[f], False)
        frame.enter_all([read(c) for n, c in self.cells.items() if n not in self.slots])
        return rows, variables

    def leave(self):
        for n, c in self.cells.items():
            put(c, self.before[n])

    def capture(self, elements):
        """Run the body in frames until its state keeps its types. elements: types of the further inputs of a step."""
        for _ in range(12):
            frame = Frame()
            try:
                with frame:
                    rows, variables = self.enter(frame)
                    extra = [frame.trace.input(t) for t in elements]
                    self.body(*extra)
                    done = self.collect(frame, rows, variables, [x.info for x in extra])
            finally:
                self.leave()
            if done is not None:
                return done
        raise Resist(f"a loop changes the types of its state at every step{where()}")

    def collect(self, frame, rows, variables, extra):
        """The captured step, or None if it must be run again with other types."""
        again = False
        for h in frame.written():
            if id(h) not in self.handles:
                self.handles[id(h)] = h
                again = True
        for key, (c, held) in list(frame.places.items()):
            if key not in self.places and key not in self.grown:
                again |= self.place(c, held)
        aliased = [x for x, leaf, var in self.fresh.values() if x.info is not var and id(leaf) in frame.entered]
        if aliased:
            raise refuse(
                "alias",
                "an array is written in a loop that binds its name anew, and is read under another name",
                Resist,
            )
        parts = {}
        for key, slot in self.slots.items():
            value = self.now(key)
            parts[key] = part = Part(value, frame)
            again |= self.settle(slot, part)
        if again:
            return None
        outs, types = [], []
        for key, k, _, var in rows:
            outs.append(cast(frame, parts[key].operands[k], var.type))
            types.append(var.type)
        tops = [frame.operand(h) for h in self.handles.values()]
        for h, top in zip(self.handles.values(), tops, strict=True):
            if top.type != typeof(make(frame.entered[id(h)][3].type, frame.trace, None)):
                raise Resist(f"a tensor written in a loop changes its type{where()}")
        flags = {f: read(self.cells[f]) for f in self.flags}
        flags = {f: (frame.operand(v) if is_tensor(v) else v) for f, v in flags.items()}
        # a flag takes part where a step may set it, or may have set it already
        flags = {f: v for f, v in flags.items() if v is not False or self.before[f] is not False}
        new = []
        for c in self.grown.values():
            held = contents(c)
            if not held or held[0] is not _GROWING or _GROWING in held[1:]:
                raise refuse("list", "a list that a loop appends to is changed in another way too", Resist)
            part = Part(held[1:], frame)
            if any(p is None for p in part.operands):
                raise refuse("list", "a list gets items that are no numbers or arrays", Resist)
            new.append(part)
        self.lost, self.same_handle, self.rewritten = [], {}, {}
        for x, leaf, var in self.fresh.values():
            if x.info is not var:
                self.rewritten[id(x)] = leaf
                self.lost.append(leaf)
        for key, part in parts.items():
            for k, leaf in enumerate(part.leaves):
                if id(leaf) in self.rewritten:
                    self.lost = [h for h in self.lost if h is not self.rewritten[id(leaf)]]
                    self.same_handle[(key, k)] = self.rewritten[id(leaf)]
        return Step(frame, rows, variables, extra, outs, tops, flags, new, parts)

    def place(self, c, held):
        """A container that the body changed: how is it to be carried? Returns whether the body must run again."""
        now = contents(c)
        if isinstance(c, list) and len(now) > len(held) and all(x is y for x, y in zip(held, now, strict=False)):
            self.grown[id(c)] = c
            return True
        if (
            isinstance(c, set)
            or len(now) != len(held)
            or [k for k, _ in _entries(now)] != [k for k, _ in _entries(held)]
        ):
            if isinstance(c, set) and now == held:
                return False
            construct = "list" if isinstance(c, list) else "container"
            raise refuse(construct, f"a loop changes which items a {type(c).__name__} has", Resist)
        before = dict(_entries(held))
        changed = [k for k, v in _entries(now) if v is not before[k]]
        if not changed:
            return False
        self.places[id(c)] = c
        for k, v in _entries(held):
            what = f"item {k!r}" if isinstance(c, (list, dict)) else f".{k}"
            self.slots[id(c), k] = Slot(what, v)
        return True

    def now(self, key):
        if type(key) is tuple:
            return dict(_entries(contents(self.places[key[0]])))[key[1]]
        return read(self.cells[key])

    def settle(self, slot, part):
        """Compare what a step leaves with what it was given. Returns whether the step must run again."""
        value = part.value
        if type(value) is Gap:
            if type(slot.value) is Gap:
                return False
            if value is UNBOUND or value is DEAD:
                raise Resist(
                    f"{slot.what} has no value at the end of a step of the loop{where()}; give it one on every path"
                )
            raise Resist(value.reason)
        if type(slot.value) is Gap:
            leaves = [zeros(p.type) if p is not None else x for x, p in zip(part.leaves, part.operands, strict=True)]
            leaves = [
                x.item() if p is not None and p.type.weak else x for x, p in zip(leaves, part.operands, strict=True)
            ]
            slot.fill = tree.unflatten(part.structure, leaves)
            return True
        leaves, structure = flatten(slot.value)
        if structure != part.structure:
            raise Resist(
                f"{slot.what} is {said(slot.value)} before a step of the loop and {said(value)} behind it{where()}; "
                "give it a value of the final kind before the loop"
            )
        again = False
        for k, (x, y, p) in enumerate(zip(leaves, part.leaves, part.operands, strict=True)):
            if p is None or not is_value(x):
                if not same(x, y):
                    raise Resist(
                        f"{slot.what} is {said(x)} before a step of the loop and {said(y)} behind it{where()}; "
                        "give it a value of the final kind before the loop"
                    )
                continue
            if k in slot.known:
                if not same(x, y):
                    slot.known.discard(k)
                    slot.wanted.setdefault(k, typeof(x))
                    again = True
                continue
            if type(p) is Const and not is_tensor(x) and same(x, y) and k not in slot.wanted:
                slot.known.add(k)
                again = True
                continue
            have = slot.wanted.get(k) or typeof(x)
            try:
                t = join(have, p.type)
            except ShapeError:
                raise Resist(
                    f"{slot.what} is {have} before a step of the loop and {p.type} behind it{where()}; "
                    "give it a value of the final shape before the loop"
                ) from None
            if t != have:
                slot.wanted[k] = t
                again = True
        return again

    def capture_test(self, step, counter, limit):
        """The graph of the test, on the same state: go on while it holds and no flag is set."""
        from .runtime import both, not_

        frame = Frame()
        try:
            with frame:
                rows, variables = self.enter(frame)
                flags = {f: frame.trace.input(FLAG) for f in step.flags}
                k = frame.trace.input(COUNTER) if counter else None
                parts = [(lambda x=x: not_(x)) for x in flags.values()]
                if counter:
                    parts.append(lambda: k < limit)
                if self.test is not None:
                    parts.append(self.test)
                go = both(*parts)
                out = frame.operand(go if is_tensor(go) else bool(go))
                if frame.written() or any(
                    contents(c) != held
                    for c, held in frame.places.values()
                    if id(c) not in self.places and id(c) not in self.grown
                ):
                    raise refuse("alias", "the test of a loop changes something")
        finally:
            self.leave()
        if out.type.shape != ():
            raise ShapeError(f"the test of a loop has shape {out.type.shape}{where()}; reduce it with .any() or .all()")
        inputs = [v for *_, v in rows] + variables + [x.info for x in flags.values()] + ([k.info] if counter else [])
        return _graph(frame, inputs, [out], "cond")

    def finish(self, step, results, flags, grown=()):
        """Put what the loop leaves into names, containers and handles."""
        leaves: dict = {}
        given = iter(results)
        for key, k, _, _ in step.rows:
            leaves[key, k] = next(given)
        handles = [(h, next(given)) for h in self.handles.values()]
        for key, slot in self.slots.items():
            if type(slot.value) is Gap:
                value = slot.value
            else:
                start, structure = flatten(slot.value)
                new = []
                for k, x in enumerate(start):
                    y = leaves.get((key, k), x)
                    h = self.same_handle.get((key, k))
                    if h is not None:
                        assign(h, y)
                        y = h
                    elif isinstance(y, np.ndarray) and y.ndim and y is not x:
                        y = untracked(y)
                    new.append(y)
                value = tree.unflatten(structure, new)
            if type(key) is tuple:
                c = self.places[key[0]]
                held = contents(c)
                if isinstance(c, list):
                    held[key[1]] = value
                else:
                    held = {**held, key[1]: value}
                put_contents(c, held)
            else:
                put(self.cells[key], value)
        for h, y in handles:
            assign(h, y)
        for h in self.lost:
            lose(h)
        for f, v in flags.items():
            put(self.cells[f], v)
        for c, items_ in zip(self.grown.values(), grown, strict=True):
            list.extend(c, items_)


class Step:
    """A captured step of a loop."""

    def __init__(self, frame, rows, variables, extra, outs, tops, flags, new, parts):
        self.frame, self.rows, self.variables, self.extra = frame, rows, variables, extra
        self.outs, self.tops, self.flags, self.new, self.parts = outs, tops, flags, new, parts


_GROWING = Gap("a list is read in the loop that appends to it; what it holds is not known there")


def stage_while(cells, test, body, spec, trial=False):
    """while test: body, as one op. trial: the loop could be unrolled, and must not compute anything else as an op."""
    if spec[-1]:  # the test binds names: they belong to the step that it lets in, and behind the loop to the last test

        def run():
            test()
            body()

    else:
        run = body
    loop = Loop(cells, spec, run, test)
    step = loop.capture([])
    _run_while(loop, step, None, trial)
    if spec[-1]:
        test()
    _unfill(loop)


def _unfill(loop):
    """What a loop that may not run at all binds for the first time has no value behind it."""
    for key, slot in loop.slots.items():
        if type(key) is str and slot.fill is not None and slot.start is UNBOUND and key in loop.normal:
            put(
                loop.cells[key],
                Gap(
                    f"{key} is bound in the loop alone, which may not run at all ({user_line()}); give it a value before"
                ),
            )


def _check_integers(graph, step, trips, counters):
    start = [leaf for _, _, leaf, _ in step.rows]
    try:
        ints.check(graph, [*start, *(None for _ in step.variables)], trips, counters)
    except ints.Outgrown:
        raise refuse("integer", "a loop of known length", Resist) from None


def _run_while(loop, step, count, trial=False):
    if loop.grown:
        raise refuse(
            "list", "a list is appended to in a loop of unknown length", Resist if count is not None else FenceError
        )
    flags = step.flags
    counter = count is not None
    cond, cond_hidden = loop.capture_test(step, counter, count)
    frame = step.frame
    flag_vars = [Var(FLAG) for _ in flags]
    outs = [*step.outs, *step.tops]
    outs += [cast(frame, v if not isinstance(v, bool) else Const(v), FLAG) for v in flags.values()]
    inputs = [*(v for *_, v in step.rows), *step.variables, *flag_vars]
    start = [
        *_starts(step),
        *(_out(h) for h in _outside(loop, frame)),
        *(_out(to_type(loop.before[f], FLAG)) for f in flags),
    ]
    if counter:
        k = step.extra[0]
        inputs.append(k)
        outs.append(frame.operand(make(k.type, frame.trace, k) + 1))
        start.append(0)
    body, hidden = _graph(frame, inputs, outs, "body")
    if trial or type(count) is int:
        known = [None] * len(flags) + [(0, count or 2**31)] * counter
        _check_integers(body, step, count or 2**31, known)
    y = items(
        emit(
            while_op,
            [*start, *map(_out, cond_hidden), *map(_out, hidden)],
            {"cond": cond, "body": body, "n": len(inputs)},
        )
    )
    n = len(step.outs) + len(step.tops)
    loop.finish(step, y[:n], dict(zip(flags, y[n : n + len(flags)], strict=True)))


def _starts(step):
    return [_out(to_type(leaf, var.type)) for _, _, leaf, var in step.rows]


def _outside(loop, frame):
    return [frame.entered[id(h)][2] for h in loop.handles.values()]


def stage_for(cells, sequence, start, body, spec, first_flags=None):
    """for item in sequence[start:]: body(item), as one op: a scan, or a while where it may break."""
    n = len(sequence) - start
    parts = sequence.parts(start)

    def run(*slices):
        body(sequence.item(slices))

    loop = Loop(cells, spec, run)
    step = loop.capture([sequence.element(p) for p in parts])
    if not step.flags:
        _run_scan(loop, step, parts, n)
        return
    # it may break: a while loop that counts
    loop = Loop(cells, spec, lambda k: body(sequence.at(start + k)))
    step = loop.capture([COUNTER])
    _run_while(loop, step, n)


def _run_scan(loop, step, parts, n):
    frame = step.frame
    carry = [*(v for *_, v in step.rows), *step.variables]
    outs = [*step.outs, *step.tops, *(p for part in step.new for p in part.operands)]
    body, hidden = _graph(frame, [*carry, *step.extra], outs, "body")
    counters = [
        (int(p.min()), int(p.max())) if v.type == COUNTER else None for p, v in zip(parts, step.extra, strict=True)
    ]
    _check_integers(body, step, n, counters)
    start = [*_starts(step), *(_out(h) for h in _outside(loop, frame))]
    y = items(
        emit(
            scan_op,
            [*start, *map(_out, parts), *map(_out, hidden)],
            {"body": body, "n": len(carry), "m": len(parts), "reverse": False, "length": n},
        )
    )
    rest = list(y[len(carry) :])
    grown = []
    for part in step.new:
        columns, rest = rest[: len(part.leaves)], rest[len(part.leaves) :]
        row = []
        for k in range(n):
            row += tree.unflatten(part.structure, [getitem(c, k) for c in columns])
        grown.append(row)
    loop.finish(step, y[: len(carry)], {}, grown)


def stage_count(cells, count, at, body, spec):
    """for k in range(count): body(at(k)), where the count is not known."""
    loop = Loop(cells, spec, lambda k: body(at(k)))
    step = loop.capture([COUNTER])
    if loop.grown:
        raise refuse("list", "a list is appended to in a loop of unknown length")
    _run_while(loop, step, count)
    _unfill(loop)


__all__ = ["Merged", "stage_count", "stage_for", "stage_if", "stage_while"]
