"""Recursion whose end the data decide, as a loop with a stack of its own.

A function that calls itself behind a decision that is not known is captured once, on stand-ins for its arguments, with a line
`again` for each call of itself (Region). Then it is cut at these lines (Machine): what follows a call, up to the next one or to
the end, is a *site*, a graph of the call's results and of what it still needs from before. A step of the loop runs the function's
head, or one site; it ends with a return, or with a call, for which it writes down the site to go on with and the values that
site needs. These are rows of arrays as long as the deepest recursion that Python allows. A call whose result is returned as it is
needs no row. What comes out is one `while_loop`: every transform, and native code, have nothing to learn.
"""

import functools
import inspect
import sys
import types
from contextvars import ContextVar

import numpy as np

from ...core import tree
from ...core.errors import ShapeError, user_line
from ...core.op import Op, bind
from ...core.tuples import items
from ...core.types import Array, Tuple, typeof
from ...primitives.branches import cond_op
from ...primitives.checks import check_op
from ...primitives.control import _captured, cond, to_type
from ...primitives.index import getitem, index_set
from ...primitives.loops import while_op
from ...traces.capture import capture
from ...traces.derive import floats, strong, zeros
from ...traces.graph import Const, Graph
from ..fence import FenceError, Resist, Unfinished, refuse
from .copies import GENERATED
from .frames import FRAMES, Frame, emit
from .merge import Gap, Part, cast, flatten, is_value, join, read, said, same
from .outside import recorder, session
from .source import codes
from .staged import graph_of, outside, paired

DEEPEST = 24  # how deep a recursion goes behind decisions that are not known, where it cannot become a loop
LOOKS = 8  # how often a function is captured to see whether it calls itself
MOST_SITES = 64  # calls of itself, counted once for each way that leads to them
MOST_BYTES = 1 << 26  # of all rows together


def _again(*_, region):
    raise FenceError(f"{region.name} calls itself outside the loop that it was made")


again = Op(
    "again",
    _again,
    kind="control",
    type=lambda *types, region: Tuple(region.returned_types()),
    effect=True,  # the call may print, and raise: it is kept though nobody reads what it returns
    register=False,
)


class Widen(FenceError):
    """A call with arguments of other types than were taken for granted: the function is captured anew, for both."""


# Which calls are watched


_chain: ContextVar[tuple] = ContextVar("adjoint_chain", default=())  # (function, how many frames there were) of calls
_regions: ContextVar[tuple] = ContextVar("adjoint_regions", default=())  # functions being captured


def watched(g):
    """What to call for a copy: where a call may turn out to be a recursion that the data end, that is looked at."""
    f = g.__func__ if type(g) is types.MethodType else g
    if type(f) is not types.FunctionType or id(f.__code__) not in GENERATED:
        return g
    if FRAMES.get() or (recorder.get() is not None and _names_itself(f, g is not f)):
        return functools.partial(_enter, g, f)
    return g


def _names_itself(f, method):
    """Whether a function's text may call it by its own name."""
    code = f.__code__
    name = code.co_name
    if not any(name in (*c.co_names, *c.co_freevars) for c in codes(code)):
        return False
    if method:
        return True  # or the method of that name of another object
    other = f.__globals__.get(name)
    if name in code.co_freevars:
        other = read(f.__closure__[code.co_freevars.index(name)])
    while type(other) is not types.FunctionType and hasattr(other, "__wrapped__"):
        other = other.__wrapped__
    own = getattr(other, "__code__", None)
    return own is not None and (own.co_filename, own.co_firstlineno) == (code.co_filename, code.co_firstlineno)


def _enter(g, f, /, *args, **kwargs):
    if g is not f:
        args = (g.__self__, *args)
    args, kwargs = _complete(f, args, kwargs)
    for region in reversed(_regions.get()):
        if region.f is f:
            y = region.again(args, kwargs)
            if y is not region:
                return y
            return _run(f, args, kwargs)  # of another kind, such as the branch of a nested list
    now = session.get()
    above = [depth for other, depth in _chain.get() if other is f]
    frames = len(FRAMES.get())
    # not inside another one: a method that calls the method of that name of a part would be captured over and over
    first = not above and not _regions.get() and recorder.get() is not None and _names_itself(f, g is not f)
    looks = now is not None and id(f) not in now.plain and (first or (above and above[-1] < frames))
    if looks and (frames or any(map(_captured, flatten((args, kwargs))[0]))):
        try:
            y = _stage(f, args, kwargs)
        except Exception as reason:
            now.plain[id(f)] = (f, reason)
        else:
            if y is not None:
                return y[0]
            # for these counts and structures it does not; for the next ones it may
            now.looked[id(f)] = now.looked.get(id(f), 0) + 1
            if now.looked[id(f)] == LOOKS:
                now.plain[id(f)] = (f, None)
    return _run(f, args, kwargs)


def _complete(f, args, kwargs):
    """The arguments as the parameters stand, defaults included: calls written in different ways are alike."""
    try:
        bound = inspect.signature(f, follow_wrapped=False).bind(*args, **kwargs)
    except TypeError:
        return args, kwargs  # the call itself says what is wrong
    bound.apply_defaults()
    return bound.args, bound.kwargs


def _run(f, args, kwargs):
    """The call as it stands."""
    frames = len(FRAMES.get())
    above = {depth for other, depth in _chain.get() if other is f and depth < frames}
    if len(above) > DEEPEST:
        reason = session.get().plain.get(id(f), (f, None))[1]
        if isinstance(reason, FenceError):
            raise FenceError(*reason.args) from None
        why = f" (as a loop: {type(reason).__name__}: {reason})" if reason is not None else ""
        raise refuse("recursion", f"{f.__qualname__} calls itself{why}")
    token = _chain.set((*_chain.get(), (f, frames)))
    try:
        return f(*args, **kwargs)
    finally:
        _chain.reset(token)


def _stage(f, args, kwargs):
    """(what f returns,) by a loop; None if it does not call itself behind a decision that is not known."""
    region = Region(f, args, kwargs)
    graph = hidden = None
    for _ in range(16):
        done = region.capture()
        if done is not None:
            graph, hidden = done
            break
    else:
        raise Resist(f"{region.name} changes the types of its arguments or results at every call of itself")
    if not _calls(graph):
        return None
    machine = Machine(region, graph)
    return (machine.run(hidden),)


# Capturing the function once


class Region:
    """A function that is being captured, for arguments of certain types."""

    def __init__(self, f, args, kwargs):
        self.f = f
        self.name = f.__qualname__
        self.leaves, self.structure = flatten((args, kwargs))
        # Python's ints and truth values stay what they are, until a call changes them
        self.types = [strong(typeof(x)) if is_value(x) and type(x) not in (int, bool) else None for x in self.leaves]
        self.numbers = [type(x) in (int, bool, float, complex) for x in self.leaves]
        self.returns: list | None = None  # of each leaf of the result its type, or (what it is,)
        self.result_structure = None
        self.stale = False
        self.line = user_line()

    def inputs(self):
        return [t for t in self.types if t is not None]

    def returned_types(self):
        return [t for t in self.returns or () if type(t) is not tuple]

    def capture(self):
        """(graph, what its further inputs stand for), or None if types had to be widened."""
        self.stale = False
        frame = Frame()
        token = _regions.set((*_regions.get(), self))
        try:
            with frame:
                given = [None if t is None else frame.trace.input(t) for t in self.types]
                variables = [(x, x.info) for x in given if x is not None]
                row = [x if t is None else y for x, y, t in zip(self.leaves, given, self.types, strict=True)]
                args, kwargs = tree.unflatten(self.structure, row)
                frame.enter_all([self.f, *(x for x, t in zip(self.leaves, self.types, strict=True) if t is None)])
                try:
                    value = self.f(*args, **kwargs)
                except Widen:
                    return None
                except Unfinished as error:
                    if not any(row[0] is error for row in frame.raised):
                        raise Resist(f"{self.name} calls itself in a loop whose steps are not known") from None
                    raise refuse("endless", f"{self.name} calls itself on every path") from None
                if self.stale:
                    return None
                frame.notice()
                if frame.written() or frame.places or any(x.info is not v for x, v in variables):
                    raise refuse("recursive write", f"{self.name} calls itself", Resist)
                part = Part(value, frame)
                if type(value) is Gap or not self.settle(part):
                    return None
                outs = [
                    cast(frame, p, t) for p, t in zip(part.operands, self.returns, strict=True) if type(t) is not tuple
                ]
        finally:
            _regions.reset(token)
        return graph_of(frame, [v for _, v in variables], outs, self.name)

    def settle(self, part):
        """Compare what the function returns with what its calls of itself were held to return; whether it is the same."""
        types_ = [(x,) if p is None else strong(p.type) for x, p in zip(part.leaves, part.operands, strict=True)]
        if self.returns is None:
            self.returns, self.result_structure = types_, part.structure
            return False
        if part.structure != self.result_structure:
            raise Resist(f"{self.name} returns {said(part.value)} on one path, and something else on another")
        new = []
        for a, b in zip(self.returns, types_, strict=True):
            if type(a) is tuple or type(b) is tuple:
                if type(a) is not type(b) or not same(a[0], b[0]):
                    raise Resist(f"{self.name} returns {said(part.value)} on one path, and something else on another")
                new.append(a)
            else:
                new.append(join(a, b))
        same_types = new == self.returns
        self.returns = new
        return same_types

    def again(self, args, kwargs):
        """What a call of the function inside itself returns; the region itself if the call is of another kind."""
        if self.stale:
            raise Widen("")
        leaves, structure = flatten((args, kwargs))
        if structure != self.structure:
            return self
        wanted = list(self.types)
        for k, (x, y, t) in enumerate(zip(self.leaves, leaves, self.types, strict=True)):
            if t is None:
                if same(x, y):
                    continue
                if not (self.numbers[k] and is_value(y) and not np.shape(y)):
                    return self
                wanted[k] = strong(join(typeof(x), typeof(y)))
            elif not is_value(y):
                return self
            else:
                try:
                    wanted[k] = strong(join(t, strong(typeof(y))))
                except ShapeError:
                    return self
        if wanted != self.types:
            self.types = wanted
            self.stale = True
            raise Widen(f"{self.name} calls itself with arguments of other types")
        frame = FRAMES.get()[-1]
        if self.returns is None:
            error = Unfinished(f"{self.name} calls itself")
            frame.raised.append((error, lambda: error, []))
            raise error
        row = [to_type(y, t) for y, t in zip(leaves, wanted, strict=True) if t is not None]
        y = iter(items(frame.process(again, row, {"region": self})))
        return tree.unflatten(self.result_structure, [t[0] if type(t) is tuple else next(y) for t in self.returns])


def _calls(graph):
    """Whether a graph holds a call of the function itself."""
    return any(_line_calls(line) for line in graph.lines)


def _line_calls(line):
    return line.op is again or any(type(p) is Graph and _calls(p) for p in line.params.values())


# Cutting it at its calls


class Return:
    def __init__(self, values):
        self.values = values


class Call:
    def __init__(self, args, site):
        self.args = args
        self.site = site  # None: its result is returned as it is


class Branch:
    def __init__(self, test, sides):
        self.test = test
        self.sides = sides  # two pairs (frame, how it ends)


class Site:
    """What follows a call."""

    def __init__(self, frame, results, end):
        self.frame, self.results, self.end = frame, results, end
        self.saved: list = []  # what it needs from before the call
        self.slots: list = []  # in which rows these are


def _read(env, v):
    return v.value if type(v) is Const else env[id(v)]


def _place(x):
    return id(x.trace), id(x.info), id(x.value)


def _operands(frame):
    return [x for x, _ in frame.trace.hidden.values()]


class Machine:
    """The loop that a captured function becomes."""

    def __init__(self, region, graph):
        self.region = region
        self.sites: list = []
        self.calls: list = []
        n = len(region.inputs())
        self.head = Frame()
        self.args = [self.head.trace.input(v.type) for v in graph.inputs[:n]]
        self.fixed = [self.head.trace.input(v.type) for v in graph.inputs[n:]]
        given = {id(v): x for v, x in zip(graph.inputs, [*self.args, *self.fixed], strict=True)}
        self.end = self.follow(
            self.head, graph.lines, given, lambda frame, env: Return([_read(env, v) for v in graph.outputs])
        )
        # an argument that every call passes on as it came is no state
        self.moving = [any(row[k] is not x for row in self.calls) for k, x in enumerate(self.args)]
        still = [x for x, m in zip(self.args, self.moving, strict=True) if not m]
        self.constants = [*still, *self.fixed]
        self.constant_ids = {id(x.info): k for k, x in enumerate(self.constants)}
        self.touch(self.head, self.end)
        self.slots = self.lay_out()
        _check_numbers(region, graph, self.sites)

    def follow(self, frame, lines, env, onward):
        """How a step goes on along these lines, and ends. onward(frame, env): what follows behind them."""
        env = dict(env)
        for i, line in enumerate(lines):
            rest = lines[i + 1 :]
            if line.op is again:
                return self.call(frame, [_read(env, a) for a in line.args], line, rest, env, onward)
            if _line_calls(line):
                if line.op.name != "cond":
                    raise Resist(f"{self.region.name} calls itself in a loop whose steps are not known")
                test, *xs = [_read(env, a) for a in line.args]
                sides = []
                for graph in (line.params["true"], line.params["false"]):
                    inner = Frame()

                    def behind(frame, inside, graph=graph, line=line, rest=rest):
                        outs = tuple(_read(inside, v) for v in graph.outputs)
                        return self.follow(frame, rest, {**env, id(line.out): outs}, onward)

                    given = {id(v): x for v, x in zip(graph.inputs, xs, strict=True)}
                    sides.append((inner, self.follow(inner, graph.lines, given, behind)))
                return Branch(test, sides)
            args = [_read(env, a) for a in line.args]
            if line.op.name == "item" and type(args[0]) is tuple:
                env[id(line.out)] = args[0][line.params["index"]]
                continue
            env[id(line.out)] = frame.process(line.op, args, line.params)
            frame.trace.lines[-1].where = line.where
        return onward(frame, env)

    def call(self, frame, args, line, rest, env, onward):
        self.calls.append(args)
        inner = Frame()
        results = tuple(inner.trace.input(t) for t in line.out.type.elems)
        end = self.follow(inner, rest, {**env, id(line.out): results}, onward)
        if (
            type(end) is Return
            and not any(row.effect for row in inner.trace.lines)
            and all(x is y for x, y in zip(end.values, results, strict=True))
        ):
            return Call(args, None)
        site = Site(inner, results, end)
        self.sites.append(site)
        if len(self.sites) > MOST_SITES:
            raise Resist(f"{self.region.name} calls itself in more than {MOST_SITES} places")
        return Call(args, site)

    def touch(self, frame, end):
        """Let each frame know what the ends of its steps need, those inside first."""
        if type(end) is Return:
            need = end.values
        elif type(end) is Call:
            need = [x for x, moves in zip(end.args, self.moving, strict=True) if moves]
            if end.site is not None:
                site = end.site
                self.touch(site.frame, site.end)
                site.saved = [x for x in _operands(site.frame) if id(x.info) not in self.constant_ids]
                need += site.saved
        else:
            need = [end.test]
            for inner, its in end.sides:
                self.touch(inner, its)
                need += _operands(inner)
        for x in need:
            frame.operand(x)

    def lay_out(self):
        """The types of the rows that hold what is saved; sites share them, but for numbers that may have derivatives.

        Where one site leaves the bounds of an interval and another a result in the same row, nobody can tell that the bounds have none.
        """
        slots: list = []
        for site in self.sites:
            free = [k for k, t in enumerate(slots) if t.shape or not floats(t)]
            site.slots = []
            for x in site.saved:
                t = strong(typeof(x))
                k = next((k for k in free if slots[k] == t), None)
                if k is None:
                    slots.append(t)
                    k = len(slots) - 1
                else:
                    free.remove(k)
                site.slots.append(k)
        return slots

    def emit(self, frame, end):
        """The outputs of a step that ends so: what to do (0: return, 1: call, 1 + k: call and go on with site k), then arguments,
        results, rows."""
        arg_types = [t for t, m in zip(self.region.inputs(), self.moving, strict=True) if m]
        ret_types = self.region.returned_types()
        action, args, values = 0, None, None
        rows = [Const(zeros(t)) for t in self.slots]
        if type(end) is Branch:
            sides = [self.emit(inner, its) for inner, its in end.sides]
            shared, graphs = paired([inner for inner, _ in end.sides], list(zip(*sides, strict=True)))
            params = {"true": graphs[0], "false": graphs[1]}
            return [frame.operand(y) for y in items(frame.process(cond_op, [end.test, *shared], params))]
        if type(end) is Return:
            values = end.values
        else:
            args = [x for x, m in zip(end.args, self.moving, strict=True) if m]
            action = 1
            if end.site is not None:
                action = 2 + self.sites.index(end.site)
                for x, k in zip(end.site.saved, end.site.slots, strict=True):
                    rows[k] = cast(frame, frame.operand(x), self.slots[k])
        out = [Const(action)]
        for given, types_ in ((args, arg_types), (values, ret_types)):
            out += (
                [Const(zeros(t)) for t in types_]
                if given is None
                else [cast(frame, frame.operand(x), t) for x, t in zip(given, types_, strict=True)]
            )
        return out + rows

    def run(self, hidden):
        """The results: the loop, run for the arguments of the first call."""
        region, depth = self.region, self.depth()
        a, r = sum(self.moving), len(region.returned_types())
        graphs, picks = [], []
        outs = self.emit(self.head, self.end)
        moving = [x.info for x, m in zip(self.args, self.moving, strict=True) if m]
        self.head.trace.close()
        graphs.append(
            Graph([*moving, *(x.info for x in self.constants)], self.head.trace.lines, outs, None, (), "head")
        )
        picks.append(lambda args, rets, tops, fixed: [*args, *fixed])
        for site in self.sites:
            outs = self.emit(site.frame, site.end)
            inputs, places = [x.info for x in site.results], []
            slots = {_place(x): k for x, k in zip(site.saved, site.slots, strict=True)}
            for x, v in site.frame.trace.hidden.values():
                inputs.append(v)
                k = self.constant_ids.get(id(x.info))
                places.append((0, slots[_place(x)]) if k is None else (1, k))
            site.frame.trace.close()
            graphs.append(Graph(inputs, site.frame.trace.lines, outs, None, (), "site"))
            picks.append(
                lambda args, rets, tops, fixed, places=places: [*rets, *((tops, fixed)[i][k] for i, k in places)]
            )
        graphs = [g.prune() for g in graphs]
        links = len(self.sites) > 1
        make_error = TooDeep(region, depth)

        def step(*xs):
            pc, sp, *xs = xs
            args, xs = xs[:a], xs[a:]
            rets, xs = xs[:r], xs[r:]
            way, xs = xs[:links], xs[links:]
            rows, fixed = xs[: len(self.slots)], xs[len(self.slots) :]
            tops = [getitem(s, sp) for s in rows]

            def dispatch(i, xs):
                if i + 1 == len(graphs):
                    return go(i, xs)
                return cond(pc_of(xs) == i, lambda *xs: go(i, xs), lambda *xs: dispatch(i + 1, xs), *xs)

            pc_of = lambda xs: xs[0]

            def go(i, xs):
                _, *xs = xs
                return tuple(
                    graphs[i].run(
                        *picks[i](xs[:a], xs[a : a + r], xs[a + r : a + r + len(tops)], xs[a + r + len(tops) :])
                    )
                )

            action, *out = dispatch(0, (pc, *args, *rets, *tops, *fixed))
            args, rets, new = out[:a], out[a : a + r], out[a + r :]
            calls, returns = action >= 2, action == 0
            if self.sites:
                bind(check_op, np.logical_and(calls, sp >= depth - 1), make=make_error)
            back = np.maximum(sp - 1, 0)
            then = getitem(way[0], back) if links else 1 if self.sites else 0
            pc = np.where(returns, then, 0)
            rows = [index_set(s, sp, v) for s, v in zip(rows, new, strict=True)]
            way = [index_set(way[0], sp, action - 1)] if links else []
            sp = np.where(calls, sp + 1, np.where(returns, sp - 1, sp))
            return (pc, sp, *args, *rets, *way, *rows)

        place = Array((), np.dtype(np.int64))
        arg_types = [v.type for v in graphs[0].inputs[:a]]
        row_types = [Array((depth, *t.shape), t.dtype) for t in self.slots]
        way_types = [Array((depth,), place.dtype)] * links
        state = [place, place, *arg_types, *region.returned_types(), *way_types, *row_types]
        n = len(state)
        body = capture(step, *state, *map(typeof, self.constants), name=region.name)
        goes_on = capture(lambda pc, sp, *_: sp >= 0, *state, name="cond")
        given = [outside(to_type(x, t)) for x, t in zip(region.leaves, region.types, strict=True) if t is not None]
        start = [np.int64(0), np.int64(0)]
        start += [x for x, m in zip(given, self.moving, strict=True) if m]
        start += [zeros(t) for t in state[len(start) :]]
        still = [x for x, m in zip(given, self.moving, strict=True) if not m]
        y = items(
            emit(
                while_op,
                [*start, *still, *map(outside, hidden)],
                {"cond": goes_on, "body": body, "n": n},
            )
        )
        rets = iter(y[2 + a : 2 + a + r])
        return tree.unflatten(
            region.result_structure, [t[0] if type(t) is tuple else next(rets) for t in region.returns]
        )

    def depth(self):
        """How deep the recursion may go: as deep as Python's, but for large values."""
        size = sum(max(t.size, 1) * t.dtype.itemsize for t in self.slots)
        return max(64, min(sys.getrecursionlimit(), MOST_BYTES // max(size, 1)))


class TooDeep:
    """Makes the exception of a recursion that goes too deep."""

    def __init__(self, region, depth):
        self.region, self.depth = region, depth

    def __call__(self, *_):
        return RecursionError(
            f"{self.region.name}, called at {self.region.line}, calls itself more than {self.depth} times deep; let it end sooner, "
            "or allow more with sys.setrecursionlimit before it is compiled"
        )


def _check_numbers(region, graph, sites):
    """Python's numbers are held as NumPy's here, which would make float32 float64: refuse that."""
    weak = any(t is not None and n for t, n in zip(region.types, region.numbers, strict=True)) or any(
        typeof(x).weak for site in sites for x in site.saved if type(typeof(x)) is Array
    )
    if weak and _single(graph):
        raise Resist(f"{region.name} calls itself with Python numbers among values of single precision")


def _single(graph):
    return any(v.type.dtype.char in "efF" for v in graph.inputs if type(v.type) is Array) or any(
        (type(line.out.type) is Array and line.out.type.dtype.char in "efF")
        or any(type(p) is Graph and _single(p) for p in line.params.values())
        for line in graph.lines
    )
