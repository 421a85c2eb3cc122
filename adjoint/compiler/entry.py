"""Entry: one signature of a compiled function: captured, made a program, and installed as a builtin that knows its arguments."""

import inspect
import types

import numpy as np

from ..core import tree
from ..core.errors import DTypeError, ShapeError, warn, where
from ..core.tensor import is_tensor, is_tracked, untracked
from ..primitives.branches import call as call_graph
from ..primitives.schedule import SCHEDULE
from ..traces.capture import Capture
from ..traces.graph import Graph
from . import held, outer, syntax
from .arguments import Static
from .program import Program, leaf_node, program

_BUILTIN = type(len)
CHAIN = 4  # builtins that a call may try one after the other


class Entry:
    """One signature: the graph, its program, and what the graph reads from outside."""

    def __init__(self, f, call):
        self.f = f
        self.call = call
        trace = Capture()
        recorder = outer.Recorder(trace)
        inputs = [trace.input(t) for t in call.types]
        variables = [x.info for x in inputs]
        for x in call.objects():
            recorder.argument(x)
        token = SCHEDULE.set(f._checkpoint)
        try:
            args, kwargs = call.arguments(inputs)
            result = recorder.run(f.__wrapped__, args, kwargs)
            outs, self.structure = tree.flatten(result)
            self.maybe = self.structure.holds(syntax.STAND_INS)
            outputs = [self._operand(trace, y) for y in outs]
        finally:
            SCHEDULE.reset(token)
            trace.close()
        for what, tensors in (("an argument", zip(inputs, variables)), ("an array of outside", recorder.tensors)):
            if any(x.info is not v for x, v in tensors):
                warn(
                    f"{f!r} writes into {what}{where()}: compiled, it works on a copy, and the array of the caller stays as it is; "
                    "return the array instead"
                )
        reads, self.guards = recorder.finish()
        self.reads = [(source, part) for source, part, _ in reads]
        variables += [v for _, _, more in reads for v in more]
        hidden = list(trace.hidden.values())
        self.hidden = [x for x, _ in hidden]
        variables += [v for _, v in hidden]
        name = getattr(f.__wrapped__, "__name__", "f").replace("<lambda>", "f")
        self.graph = Graph(variables, trace.lines, outputs, self.structure, self.hidden, name).prune()
        self.graph.cache["compile"] = True
        self.kept = not self.hidden  # a tracked value of a closure that nobody saw being read: good for this call alone

    def _operand(self, trace, y):
        try:
            return trace.operand(y)
        except TypeError:
            raise DTypeError(
                f"{self.f!r} returns a {type(y).__name__}, which is no array, number or container of them{where()}"
            ) from None

    @property
    def program(self) -> Program:
        return program(self.graph)

    def valid(self):
        """Whether what the function read from outside is still the same."""
        return all(outer.same(source, value) for source, value in self.guards)

    def run(self, call, out=None):
        leaves = list(call.leaves)
        for source, part in self.reads:
            held.take(part, outer.read(source), leaves)
        leaves += self.hidden
        if any(is_tracked(x) for x in leaves):
            ys = list(call_graph(self.graph, *leaves))
        elif out is not None:
            return self._into(leaves, out, call)
        else:
            ys = self.program(*leaves)
        if call.tensors:
            ys = [untracked(y) for y in ys]
        y = tree.unflatten(self.structure, ys)
        return syntax.settled(y, syntax.session.get() is not None) if self.maybe else y

    def _into(self, leaves, out, call):
        """Write the results into the caller's arrays."""
        buffers = tree.match(self.structure, out, "container of out=")
        buffers = [b.value if is_tensor(b) and b.trace is None else b for b in buffers]
        for b, v in zip(buffers, self.graph.outputs):
            if type(b) is not np.ndarray or b.dtype != v.type.dtype or b.shape != v.type.shape:
                raise ShapeError(
                    f"{self.f!r}: out= needs an array of {v.type.dtype}{list(v.type.shape)}, not "
                    f"{f'{b.dtype}{list(b.shape)}' if isinstance(b, np.ndarray) else type(b).__name__}{where()}"
                )
            if not b.flags.writeable:
                raise ShapeError(f"{self.f!r}: the array given as out= is read-only{where()}")
        for i, b in enumerate(buffers):
            if any(np.shares_memory(b, other) for other in buffers[:i]):
                raise ShapeError(
                    f"{self.f!r}: two arrays given as out= share memory{where()}; each result needs one of its own"
                )
        ys = self.program(*leaves)
        ys = [np.array(y) for y in ys] if len(ys) > 1 else ys
        for b, y in zip(buffers, ys):
            b[...] = y
        return out

    # The builtin

    def install(self, f):
        """Make calls of this signature reach the kernel without Python."""
        p = self.program.compile()
        if not p.native or not all(part.native for _, part in self.reads if type(part) is held.Opened):
            return
        from .native import call, instances

        args = self._nodes()
        outs = None if args is None else _output(self.structure, [v.type for v in self.graph.outputs])
        if args is None or outs is None:
            return
        before = type(f).__call__
        # a call that does not fit goes to the builtins before, of which there are few: some are of what no longer holds
        f._chain = f._chain % CHAIN + 1
        fallback = before if type(before) is _BUILTIN and f._chain > 1 else f._lean
        n, names = self.call.places
        guards = [(source, call.Same(value)) for source, value in self.guards]
        spec = call.Spec(
            args=tuple(args[:n]), kwargs=dict(zip(names, args[n:])), outputs=outs, fallback=fallback,
            guards=guards, hidden=[(source, held.node(part)) for source, part in self.reads], out=not _holds_made(outs),
            **p.common(),
        )  # fmt: skip
        instances.attach(f, call.make(p.loaded, spec))

    def _nodes(self):
        from .native import call

        nodes = []
        for s in self.call.structure:
            if type(s) is Static:
                nodes.append(call.Equal(s.value))
                continue
            structure, kinds = s
            leaves = iter(zip(kinds, tree.flatten(self._argument(len(nodes)))[0]))
            node = _argument_node(structure, leaves)
            if node is None:
                return None
            nodes.append(node)
        return nodes

    def _argument(self, i):
        n, names = self.call.places
        return self.call.args[i] if i < n else self.call.kwargs[names[i - n]]


def _argument_node(structure, leaves):
    from .native import call

    kind = structure.kind
    if kind == "leaf":
        t, x = next(leaves)
        if type(t) is Static:
            return call.Equal(t.value)
        return call.ArrayLeaf(t.shape, t.dtype) if type(x) is np.ndarray else leaf_node(t)
    if kind == "static":
        return call.Equal(structure.data)
    children = [_argument_node(c, leaves) for c in structure.children]
    if any(c is None for c in children):
        return None
    built = _built(kind, structure, children)
    if built is None and tree.maker(structure) is not None:
        if issubclass(kind, tuple):
            return call.Named(kind, tuple(children))
        if _plain_attributes(kind, structure.data):
            return call.Record(kind, dict(zip(structure.data, children)))
    return built


def _plain_attributes(cls, names):
    """Whether getting these attributes of an object runs no code of a user's."""
    if cls.__getattribute__ is not object.__getattribute__ or hasattr(cls, "__getattr__"):
        return False
    return not any(
        hasattr(type(x), "__get__") and type(x) is not types.MemberDescriptorType
        for x in (inspect.getattr_static(cls, name, None) for name in names)
    )


def _built(kind, structure, children):
    if kind is tuple:
        return tuple(children)
    if kind is list:
        return children
    if kind is dict:
        return dict(zip(structure.data, children))
    return None


def _output(structure, types):
    rest = iter(types)

    def node(s):
        from .native import call

        if s.kind == "leaf":
            return leaf_node(next(rest))
        if s.kind == "static":
            return call.Same(s.data)
        children = [node(c) for c in s.children]
        if any(c is None for c in children):
            return None
        built, maker = _built(s.kind, s, children), tree.maker(s)
        return call.Made(maker, tuple(children)) if built is None and maker is not None else built

    return node(structure)


def _holds_made(node):
    from .native import call

    if isinstance(node, call.Made):
        return True
    row = node.values() if type(node) is dict else node if type(node) in (tuple, list) else ()
    return any(map(_holds_made, row))
