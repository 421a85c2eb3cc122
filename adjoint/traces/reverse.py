"""Reverse mode: remember each application, then walk back with the ops' vjp rules.

A node is a list `[serial, pull, parents, y, *args]`. Serials fall as time goes, so a min-heap of the nodes reached pops
the youngest first: no topological sort, no recursion, no cycles. Nodes point at nodes, never at tensors, and nobody
changes one, but for `free`, which empties it. `parents` is the parent itself where only one argument is tracked (most
nodes), else a tuple aligned with the arguments. What the rule does not read is not kept: None on the fast path, its
type elsewhere.

Two ways to make a node. `Tape.process` takes any op, level and value. `unary` and `binary` make, from the same rule, the
entry that users call: they test for `Flat` (a tape, a plain real array inside) and do the same work in a third of the
time; for all else they call `bind`.

Zero cotangents are absolute: what nobody chose contributes 0, not 0 * inf. Fast pulls multiply plainly. Only where a
gradient so found holds a NaN is the walk repeated with the ops' own vjp rules, which select (see `strong_mul`).

Knows `Op` and `Tensor`; knows no particular op.
"""

import itertools
from contextvars import ContextVar
from heapq import heappop, heappush

import numpy as np

from ..core import config as _config
from ..core.errors import MissingRuleError, MutationError, ReleasedError, RuleError, user_line, where
from ..core.guard import protect
from ..core.op import Trace, bind, explain
from ..core.tensor import Flat, Tensor, is_tensor, untracked
from ..core.tuples import Partial
from ..core.types import Array, Stack, Tuple, typeof

_new = object.__new__
_ndarray = np.ndarray
_float64 = np.float64
_double = np.dtype(np.float64)
_array = np.array
_serials = itertools.count(0, -1)

SLOW = 0  # reasons why the fast path is off: no_grad blocks and debug levels in force, in any thread
observers: list = []  # called with (node, g, cotangents) at each step of a walk while debug is on: views.trace
paused: ContextVar[bool] = ContextVar("adjoint_no_grad", default=False)  # no_grad: imperative tapes alone read it


def slow_down(change):
    global SLOW
    SLOW += change


_config.on_change(lambda before, after: slow_down(bool(after["debug"]) - bool(before["debug"])))


class Write:
    """The way back of a write. It changes the cotangent in place, so the walk gives it one that is its own."""

    __slots__ = ("back",)

    def __init__(self, back):
        self.back = back

    def __call__(self, g, node):
        return self.back(_array(g, order="C"), node)

    def hand_over(self, node, grads, owned):
        """The cotangent goes on to the root: its node owns it from here on, unless others have sent there already."""
        parents = node[2]
        if node[6] is None or type(parents) is tuple:
            root = parents if type(parents) is list else parents[0]
            if root[0] not in grads:
                owned.add(root[0])


class Tape(Trace):
    """One recording. `next` hands out serials; a closed tape has one that raises."""

    __slots__ = ("imperative", "lines", "next", "start")

    def __init__(self, imperative=False):
        Trace.__init__(self)
        self.next = _serials.__next__
        self.start = self.next()
        self.imperative = imperative
        self.lines = {} if SLOW and _config.config.debug else None  # serial -> the user's line, for `show`
        if imperative:
            self.level = 0

    def leaf(self, value, owner=None):
        """A tensor to differentiate with respect to; `owner` is kept in its node."""
        kind = type(value)
        if kind is _ndarray:
            value = protect(value) if value.shape else value[()]  # a scalar, as NumPy computes with it
            flat = value.dtype.kind == "f"
        else:
            flat = kind is float or issubclass(kind, np.floating)
        t = _new(Flat if flat else Tensor)
        t.value = value
        t.trace = self
        t.info = [self.next(), None, None, owner]
        return t

    def process(self, op, args, params):
        if self.imperative and paused.get():
            return untracked(bind(op, *[a.value if is_tensor(a) and a.trace is self else a for a in args], **params))
        serial = self.next()
        values = []
        parents = []
        for a in args:
            if (type(a) is Flat or type(a) is Tensor) and a.trace is self:
                values.append(a.value)
                parents.append(a.info)
            else:
                values.append(a)
                parents.append(None)
        if op.record is not None:
            y, saved = op.record(tuple(p is not None for p in parents), *values, **params)
        else:
            y = saved = bind(op, *values, **params)
        if op.vjp is None or not carries(y):
            return untracked(y)
        keep = op.saves if op.reads is None else tuple(map(any, zip(*(r for r, p in zip(op.reads, parents) if p))))
        rest = op.saves_rest
        kept = []
        for i, v in enumerate(values, 1):
            if not (keep[i] if i < len(keep) else rest):
                v = typeof(v)
            elif parents[i - 1] is None and type(v) is _ndarray:
                v = protect(v)
            kept.append(v)
        node = [
            serial,
            general,
            tuple(parents),
            saved if keep[0] or op.record is not None else typeof(saved),
            kept,
            op,
            params,
        ]
        if self.lines is not None:
            self.lines[serial] = (op, user_line(), y)
        return self.wrap(y, node)

    def wrap(self, y, node):
        kind = type(y)
        flat = (kind is _ndarray and y.dtype.kind == "f") or kind is float or issubclass(kind, np.floating)
        t = _new(Flat if flat and kind is not Tensor and kind is not Flat else Tensor)
        t.value = y
        t.trace = self
        t.info = node
        return t

    def holds(self, tensor):
        node = tensor.info
        return not (node[1] is released or (self.imperative and paused.get()))

    def write(self, tensor, index, value):
        leaf = tensor.info[1] is None and tensor.info[3] is not None
        if not (self.imperative and leaf):
            return False
        if not paused.get():
            raise MutationError(
                f"writing into a tensor with an attached gradient{where()} would change what was recorded; update it without "
                "recording:\n    with ad.no_grad():\n        w -= 0.1 * w.grad"
            )
        if index is None:
            raise MutationError(
                f"a write through a view of a tensor with an attached gradient{where()}; write x[i, j] = v into it itself"
            )
        # new values, so that what was recorded keeps the old ones
        new = np.array(tensor.value)
        new[index] = value.value if is_tensor(value) else value
        new.flags.writeable = False
        tensor.value = new[()]
        return True

    def close(self):
        """End the recording: what still is used of it raises. Pulling back stays possible."""
        self.ended = True
        self.next = _escaped  # a function, no method of self: that would be a cycle


def _escaped():
    BASE.escaped()


def carries(y):
    """Whether a value can carry a derivative: it holds real or complex floating numbers."""
    kind = type(y)
    if kind is _ndarray:
        return y.dtype.kind in "fc"
    t = typeof(y)
    if type(t) is Array:
        return t.dtype.kind in "fc"
    return any(_carries(e) for e in t.elems) if hasattr(t, "elems") else True


def _carries(t):
    return t.dtype.kind in "fc" if type(t) is Array else True


BASE = Tape(imperative=True)  # the tape of attach_grad on concrete values


# Walking back


def walk(seeds, careful=False, create=None):
    """Pull cotangents back from `seeds`, pairs (node, g). Returns {serial: (leaf node, g)}.

    careful: use the ops' vjp rules, which select; fast pulls multiply. create: the tape of these nodes, to record the
    walk itself on it.
    """
    heap: list = []
    grads: dict = {}
    leaves: dict = {}
    owned = set()  # serials whose cotangent is our own array: further ones are added in place
    watch = observers if SLOW else None
    by_rule = careful or create is not None
    for node, g in seeds:
        k = node[0]
        if k not in grads:
            grads[k] = g
            heappush(heap, node)
        else:
            _add(grads, owned, k, g)
    while heap:
        node = heappop(heap)
        k = node[0]
        g = grads.pop(k)
        while True:  # along a chain, where the next node is sure to be the youngest, the heap is not asked
            pull = node[1]
            if type(g) is not _ndarray and isinstance(g, Partial):
                g = g.dense()
                owned.add(k)
            if pull is None:
                leaves[k] = (node, g)
                if watch:
                    _report(watch, node, g, None)
                break
            if by_rule and (create is not None or pull in FAST):
                r = _pull_by_rule(g, node, create)
            elif type(pull) is Write:
                if k not in owned or type(g) is not _ndarray or not g.flags.c_contiguous:
                    g = _array(g, order="C")
                r = pull.back(g, node)
                pull.hand_over(node, grads, owned)
            else:
                r = pull(g, node)
            if watch:
                _report(watch, node, g, r)
            parents = node[2]
            if type(parents) is list:
                if r is None:
                    break
                k = parents[0]
                if k in grads:
                    _add(grads, owned, k, r)
                elif heap and heap[0][0] < k:
                    grads[k] = r
                    heappush(heap, parents)
                else:
                    node = parents
                    g = r
                    continue
            else:
                for p, e in zip(parents, r):
                    if p is not None and e is not None:
                        q = p[0]
                        if q not in grads:
                            grads[q] = e
                            heappush(heap, p)
                        else:
                            _add(grads, owned, q, e)
            break
    return leaves


def _report(watch, node, g, r):
    for observe in watch:
        observe(node, g, r)


def _add(grads, owned, k, g):
    """Add one more cotangent; in place where the sum is our own."""
    v = grads[k]
    if k in owned and type(v) is _ndarray and (isinstance(g, Partial) or (type(g) is _ndarray and g.dtype is v.dtype)):
        if type(g) is _ndarray:
            v += g
        else:
            grads[k] = g.into(v)
    else:
        if isinstance(g, Partial):
            grads[k] = g + v  # it knows how to join a tensor
        elif type(v) is Tensor and type(typeof(v)) is Stack:
            grads[k] = STACKS[0](v, g)
        else:
            grads[k] = v + g
        owned.add(k)


STACKS: list = []  # how two stacks are added, filled by primitives.stack


def released(g, node):
    raise ReleasedError(
        f"backward a second time over a graph that was already released{where()}; pass retain_graph=True to the first backward, "
        "or compute the result again"
    )


_RELEASED = (released, None)  # what is left of a released node, behind its serial


def free(seeds):
    """Release the nodes below `seeds`: their arrays go, and a second walk over them raises."""
    todo = [node for node, _ in seeds]
    while todo:
        node = todo.pop()
        parents = node[2]
        while parents is not None:  # neither a leaf nor released before
            node[1:] = _RELEASED
            if type(parents) is not list:
                todo += [p for p in parents if p is not None]
                break
            node = parents
            parents = node[2]


# One node of any op


def general(g, node):
    """Pull through a node made by `Tape.process`, by the op's vjp rule."""
    _, _, parents, y, args, op, params = node
    wants = [p is not None for p in parents]
    r = op.vjp(wants, g, y, *args, **params)
    if len(r) != len(parents):
        raise RuleError(f"the vjp rule of {op.name} returned {len(r)} cotangents for {len(parents)} arguments")
    return r


FAST: dict = {}  # fast pull -> (op, which arguments are tracked)


def _pull_by_rule(g, node, tape):
    """Pull through any node by the op's vjp rule; with a tape, the saved values are tensors of their nodes again."""
    pull = node[1]
    if pull is released:
        released(g, node)
    parents, y = node[2:4]
    if pull is general:
        args, op, params = node[4:]
        wants = [p is not None for p in parents]
    else:
        op, wants = FAST[pull]
        args = node[4:]
        params = {}
    if tape is not None:
        if op.record is not None:
            raise MissingRuleError(
                f"create_graph=True through {op.name} is not supported; use ad.grad of ad.grad for second derivatives"
            )
        row = [parents] * len(wants) if type(parents) is list else parents
        args = [_tracked(tape, a, p) if w else a for a, p, w in zip(args, row, wants, strict=True)]
        y = _tracked(tape, y, node)
    r = op.vjp(wants, g, y, *args, **params)
    return next(e for e, w in zip(r, wants, strict=True) if w) if type(parents) is list else r


def _tracked(tape, value, node):
    if value is None or isinstance(value, (Array, Tuple)) or not carries(value):
        return value
    return tape.wrap(value, node)


# The entries users call, for the common case: one tape over plain real arrays, one or two arguments


def unary(op, f, reads, pull):
    """The entry of an op with one argument. reads: whether (y, x) are kept; pull(g, node) -> cotangent, where node[3] is
    y and node[4] x, as far as they are kept."""
    keep_y, keep_x = reads
    FAST[pull] = (op, (True,))

    def entry(x, /):
        if type(x) is Flat and not SLOW:
            a = x.value
            try:
                y = f(a)
            except Exception as error:
                raise explain(error, op, (a,))
            t = Flat()
            t.value = y
            t.trace = tape = x.trace
            t.info = [tape.next(), pull, x.info, y if keep_y else None, a if keep_x else None]
            return t
        return bind(op, x)

    return entry


def binary(op, f, reads, pulls, wrap_scalars=False, fit=None):
    """The entry of an op with two arguments. reads: for each of the two pulls, whether (y, a, b) are kept;
    pulls: the two, `(g, node) -> cotangent`, where node[3:6] are y, a and b, as far as they are kept. wrap_scalars:
    a Python number that meets a float64 array becomes an array without axes, with which NumPy is 0.2 us quicker.
    fit(g, value or type): undoes broadcasting and casting; without it, arguments of different shapes go to `bind`."""
    pull_a, pull_b = pulls
    (ay, aa, ab), (by, ba, bb) = reads
    both_y, both_a, both_b = ay or by, aa or ba, ab or bb

    def pull_both(g, node):
        return pull_a(g, node), pull_b(g, node)

    FAST[pull_a] = (op, (True, False))
    FAST[pull_b] = (op, (False, True))
    FAST[pull_both] = (op, (True, True))

    def fit_a(g, node):
        g = pull_a(g, node)
        return None if g is None else fit(g, node[4])

    def fit_b(g, node):
        g = pull_b(g, node)
        return None if g is None else fit(g, node[5])

    def fit_both(g, node):
        return fit_a(g, node), fit_b(g, node)

    if fit is not None:
        FAST[fit_both] = (op, (True, True))
        FAST[fit_a] = (op, (True, False))
        FAST[fit_b] = (op, (False, True))

    def mixed(a, b):
        """Arguments of different shapes or dtypes. What is not kept leaves its type, for `fit`."""
        if type(a) is not Flat:
            if fit is None or a.dtype.kind not in "fiub":
                return bind(op, a, b)
            tape, pull, parents, (keep_y, keep_x, keep_z) = b.trace, fit_b, b.info, (by, ba, bb)
            x, z = protect(a) if ba else a, b.value
        elif type(b) is not Flat:
            if fit is None or b.dtype.kind not in "fiub":
                return bind(op, a, b)
            tape, pull, parents, (keep_y, keep_x, keep_z) = a.trace, fit_a, a.info, (ay, aa, ab)
            x, z = a.value, protect(b) if ab else b
        else:
            if fit is None or a.trace is not b.trace:
                return bind(op, a, b)
            tape, pull, parents, (keep_y, keep_x, keep_z) = (
                a.trace,
                fit_both,
                (a.info, b.info),
                (both_y, both_a, both_b),
            )
            x, z = a.value, b.value
        try:
            y = f(x, z)
        except Exception as error:
            raise explain(error, op, (x, z))
        if type(y) is not _ndarray or y.dtype.kind != "f":
            return bind(op, a, b)
        t = Flat()
        t.value = y
        t.trace = tape
        y = y if keep_y else None
        t.info = [tape.next(), pull, parents, y, x if keep_x else typeof(x), z if keep_z else typeof(z)]
        return t

    def entry(a, b, /):
        if SLOW:
            return bind(op, a, b)
        if type(a) is Flat:
            x = a.value
            if type(b) is Flat:
                tape = a.trace
                z = b.value
                if tape is not b.trace or (
                    (type(x) is _ndarray or type(z) is _ndarray)
                    and (
                        type(x) is not _ndarray
                        or type(z) is not _ndarray
                        or x.shape != z.shape
                        or x.dtype is not z.dtype
                    )
                ):
                    return mixed(a, b)
                try:
                    y = f(x, z)
                except Exception as error:
                    raise explain(error, op, (x, z))
                t = Flat()
                t.value = y
                t.trace = tape
                t.info = [
                    tape.next(),
                    pull_both,
                    (a.info, b.info),
                    y if both_y else None,
                    x if both_a else None,
                    z if both_b else None,
                ]
                return t
            kind = type(b)
            if kind is float or kind is int:
                z = _array(b, _double) if wrap_scalars and type(x) is _ndarray and x.dtype is _double else b
            elif kind is _ndarray:
                if type(x) is not _ndarray or b.dtype is not x.dtype or b.shape != x.shape:
                    return mixed(a, b)
                z = protect(b) if ab else b
            elif kind is _float64 and (type(x) is _float64 or type(x) is float or x.dtype == _float64):
                z = b
            else:
                return bind(op, a, b)
            try:
                y = f(x, z)
            except Exception as error:
                raise explain(error, op, (x, z))
            t = Flat()
            t.value = y
            t.trace = tape = a.trace
            t.info = [tape.next(), pull_a, a.info, y if ay else None, x if aa else None, z if ab else None]
            return t
        if type(b) is Flat:
            z = b.value
            kind = type(a)
            if kind is float or kind is int:
                x = _array(a, _double) if wrap_scalars and type(z) is _ndarray and z.dtype is _double else a
            elif kind is _ndarray:
                if type(z) is not _ndarray or a.dtype is not z.dtype or a.shape != z.shape:
                    return mixed(a, b)
                x = protect(a) if ba else a
            elif kind is _float64 and (type(z) is _float64 or type(z) is float or z.dtype == _float64):
                x = a
            else:
                return bind(op, a, b)
            try:
                y = f(x, z)
            except Exception as error:
                raise explain(error, op, (x, z))
            t = Flat()
            t.value = y
            t.trace = tape = b.trace
            t.info = [tape.next(), pull_b, b.info, y if by else None, x if ba else None, z if bb else None]
            return t
        return bind(op, a, b)

    return entry
