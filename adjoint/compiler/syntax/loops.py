"""while and for as ops, where their test is not known or their length is not small.

A loop's body is run in frames until its state keeps its types, mostly once or twice.
"""

import numpy as np

from ...core import tree
from ...core.errors import ShapeError, user_line, where
from ...core.tensor import is_tensor, make, untracked
from ...core.types import Array, typeof
from ...primitives.checks import check_op
from ...primitives.control import to_type
from ...primitives.index import getitem
from ...primitives.loops import scan_op, while_op
from ...primitives.schedule import loop as scheduled
from ...traces.derive import zeros
from ...traces.graph import Const, Var
from ..fence import FenceError, Resist, Unreachable, refuse
from . import ints
from .frames import Frame, assign, contents, emit, lose, put_contents
from .maybe import narrowed, started
from .merge import DEAD, UNBOUND, Gap, Part, cast, flatten, is_value, join, put, read, said, same
from .outside import note_row
from .sequences import COUNTER, Numbers
from .staged import Impossible, entries, graph_of, outside
from .truth import both, not_

LONG = 1 << 20  # steps up to which the counters of a range are a table, as the other things that a loop goes over
FLAG = Array((), np.dtype(bool))


class Slot:
    """One thing that a loop carries: a name, or an entry of a container it changes."""

    __slots__ = ("fill", "known", "start", "wanted", "what")

    def __init__(self, what, start):
        self.what = what
        self.start = start  # the value before the loop
        self.fill = UNBOUND  # what stands for a value that is not there yet
        self.wanted: dict = {}  # leaf -> its type in the loop, where it differs from that of the start
        self.known: set = set()  # leaves that stay the Python number they are

    @property
    def value(self):
        return self.start if self.fill is UNBOUND else self.fill


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
        self.fresh, self.given = {}, {}
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
                value = self.given[key] = tree.unflatten(structure, new)
            if type(key) is tuple:
                self.held[key[0]][key[1]] = value
            else:
                put(self.cells[key], value)
        return rows

    def enter(self, frame):
        """Everything the body can see is put into the frame."""
        self.held = {key: dict(entries(contents(c))) for key, c in self.places.items()}
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
        # an object that a name of the state stands for is no leaf of it, but the body may change what the object holds
        objects = [x for value in self.given.values() for x in flatten(value)[0] if not is_value(x)]
        frame.enter_all([*(read(c) for n, c in self.cells.items() if n not in self.slots), *objects])
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
        frame.notice()
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
        left = False
        for key, slot in self.slots.items():
            value = self.now(key)
            if value is DEAD and key in self.given:
                value = self.given[key]  # every path has left the loop: it may stay what it was
                left = True
            parts[key] = part = Part(value, frame)
            again |= self.settle(slot, part)
        if again:
            return None
        if left:
            self.check_left(frame)
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
            if not held or held[0] is not _GROWING or any(x is _GROWING for x in held[1:]):
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

    def check_left(self, frame):
        """Let the program see to it that no step ends but by leaving the loop."""
        stays = both(*[(lambda f=f: not_(read(self.cells[f]))) for f in self.flags])
        if stays is not False:
            error = Unreachable(object.__getattribute__(DEAD, "reason"))
            frame.process(check_op, [stays], {"make": Impossible(error)})

    def place(self, c, held):
        """A container that the body changed: how is it to be carried? Returns whether the body must run again."""
        now = contents(c)
        if isinstance(c, list) and len(now) > len(held) and all(x is y for x, y in zip(held, now, strict=False)):
            self.grown[id(c)] = c
            return True
        if isinstance(c, set) or len(now) != len(held) or [k for k, _ in entries(now)] != [k for k, _ in entries(held)]:
            if isinstance(c, set) and now == held:
                return False
            construct = "list" if isinstance(c, list) else "container"
            raise refuse(construct, f"a loop changes which items a {type(c).__name__} has", Resist)
        before = dict(entries(held))
        changed = [k for k, v in entries(now) if v is not before[k]]
        if not changed:
            return False
        self.places[id(c)] = c
        for k, v in entries(held):
            what = f"item {k!r}" if isinstance(c, (list, dict)) else f".{k}"
            self.slots[id(c), k] = Slot(what, v)
        return True

    def now(self, key):
        if type(key) is tuple:
            return dict(entries(contents(self.places[key[0]])))[key[1]]
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
        if structure != part.structure and (start := started(slot.value, slot.wanted, part)) is not None:
            leaves, new = flatten(start)
            if new != structure:  # from here on it is a value that may be None
                slot.start, slot.fill = (start, UNBOUND) if slot.fill is UNBOUND else (slot.start, start)
                slot.wanted, slot.known = {}, set()
                return True
        elif structure != part.structure:
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
                frame.notice()
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
        return graph_of(frame, inputs, [out], "cond")

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
            value = narrowed(value)
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
        if type(key) is str and slot.fill is not UNBOUND and slot.start is UNBOUND and key in loop.normal:
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
        *(outside(h) for h in _outside(loop, frame)),
        *(outside(to_type(loop.before[f], FLAG)) for f in flags),
    ]
    if counter:
        k = step.extra[0]
        inputs.append(k)
        outs.append(frame.operand(make(k.type, frame.trace, k) + 1))
        start.append(0)
    body, hidden = graph_of(frame, inputs, outs, "body")
    if trial or type(count) is int:
        known = [None] * len(flags) + [(0, count or 2**31)] * counter
        _check_integers(body, step, count or 2**31, known)
    args = [*start, *map(outside, cond_hidden), *map(outside, hidden)]
    y = scheduled(while_op, args, {"cond": cond, "body": body, "n": len(inputs)}, emit)
    n = len(step.outs) + len(step.tops)
    loop.finish(step, y[:n], dict(zip(flags, y[n : n + len(flags)], strict=True)))


def _starts(step):
    return [outside(to_type(leaf, var.type)) for _, _, leaf, var in step.rows]


def _outside(loop, frame):
    return [frame.entered[id(h)][2] for h in loop.handles.values()]


def stage_for(cells, sequence, start, body, spec):
    """for item in sequence[start:]: body(item), as one op: a scan, or a while where it may break."""
    n = len(sequence) - start
    if n <= LONG or not isinstance(sequence, Numbers):
        parts = sequence.parts(start)

        def run(*slices):
            body(sequence.item(slices))

        loop = Loop(cells, spec, run)
        step = loop.capture([sequence.element(p) for p in parts])
        if not step.flags:
            _run_scan(loop, step, parts, n)
            return
    # it may break, or a table of its counters is too large: a while loop that counts
    loop = Loop(cells, spec, lambda k: body(sequence.at(start + k)))
    step = loop.capture([COUNTER])
    _run_while(loop, step, n)


def _run_scan(loop, step, parts, n):
    frame = step.frame
    carry = [*(v for *_, v in step.rows), *step.variables]
    outs = [*step.outs, *step.tops, *(p for part in step.new for p in part.operands)]
    body, hidden = graph_of(frame, [*carry, *step.extra], outs, "body")
    counters = [
        (int(p.min()), int(p.max())) if v.type == COUNTER else None for p, v in zip(parts, step.extra, strict=True)
    ]
    _check_integers(body, step, n, counters)
    start = [*_starts(step), *(outside(h) for h in _outside(loop, frame))]
    args = [*start, *map(outside, parts), *map(outside, hidden)]
    params = {"body": body, "n": len(carry), "m": len(parts), "reverse": False, "length": n}
    y = scheduled(scan_op, args, params, emit)
    rest = list(y[len(carry) :])
    grown = []
    for part in step.new:
        columns, rest = rest[: len(part.leaves)], rest[len(part.leaves) :]
        row = []
        for k in range(n):
            row += tree.unflatten(part.structure, [note_row(getitem(c, k), c, k) for c in columns])
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
