"""What a function's statements bind and read, and which names are live where: who will be read again.

A branch or a loop that is staged must bring its names together. Only names that are read later have to agree; liveness,
computed on the user's own statements with their real jumps, tells which.
"""

import ast

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bound(nodes):
    """The names that statements or expressions bind in their own scope."""
    found: set = set()
    for node in nodes if isinstance(nodes, list) else [nodes]:
        _bound(node, found)
    return found


def _bound(node, found):
    kind = type(node)
    if kind is ast.Name:
        if type(node.ctx) is not ast.Load:
            found.add(node.id)
        return
    if kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
        found.add(node.name)
        for e in (*node.decorator_list, *(_defaults(node.args) if kind is not ast.ClassDef else node.bases)):
            _bound(e, found)
        return
    if kind is ast.Lambda:
        for e in _defaults(node.args):
            _bound(e, found)
        return
    if kind in COMPREHENSIONS:  # its targets are its own; what := binds is ours
        found.update(n.target.id for n in ast.walk(node) if type(n) is ast.NamedExpr)
        return
    if kind in (ast.Import, ast.ImportFrom):
        found.update((a.asname or a.name.partition(".")[0]) for a in node.names)
        return
    if kind is ast.ExceptHandler and node.name:
        found.add(node.name)
    if kind in (ast.MatchAs, ast.MatchStar) and node.name:
        found.add(node.name)
    if kind is ast.MatchMapping and node.rest:
        found.add(node.rest)
    for child in ast.iter_child_nodes(node):
        _bound(child, found)


def _defaults(args):
    return [e for e in (*args.defaults, *args.kw_defaults) if e is not None]


def read(node):
    """The names that an expression or statement may read, those inside nested functions included."""
    if node is None:
        return set()
    if isinstance(node, list):
        return set().union(*map(read, node)) if node else set()
    return {n.id for n in ast.walk(node) if type(n) is ast.Name and type(n.ctx) is not ast.Store}


def own_nodes(body):
    """All nodes of a function's own scope: nested functions and classes are yielded but not entered."""
    todo = list(body)
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            continue
        todo.extend(ast.iter_child_nodes(node))


def captured(body):
    """The names that nested functions, classes and generator expressions refer to: they may be read at any time."""
    names: set = set()
    for node in own_nodes(body):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.GeneratorExp)):
            names |= {n.id for n in ast.walk(node) if type(n) is ast.Name}
            names |= {x for n in ast.walk(node) if type(n) is ast.Nonlocal for x in n.names}
    return names


def declared(body, kind):
    """The names in the `global` or `nonlocal` statements of a scope."""
    return {x for n in own_nodes(body) if type(n) is kind for x in n.names}


def is_generator(body):
    return any(isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for n in own_nodes(body))


class Liveness:
    """after[s]: the names live behind a statement; head[s]: at the head of a loop; normal[s]: where a loop ends by
    itself (before its else); target[s]: where a jump arrives."""

    def __init__(self, body, always=()):
        self.after: dict = {}
        self.head: dict = {}
        self.normal: dict = {}
        self.target: dict = {}
        self.always = frozenset(always)
        self._block(body, self.always, None, None, frozenset())

    def _block(self, body, out, brk, cont, exc):
        for s in reversed(body):
            out = frozenset(out | exc)
            self.after[s] = out
            out = frozenset(self._statement(s, out, brk, cont, exc) | self.always)
        return out

    def _statement(self, s, out, brk, cont, exc):
        kind = type(s)
        if kind is ast.If:
            return read(s.test) | self._block(s.body, out, brk, cont, exc) | self._block(s.orelse, out, brk, cont, exc)
        if kind is ast.While:
            normal = self.normal[s] = self._block(s.orelse, out, brk, cont, exc)
            if type(s.test) is ast.Constant and s.test.value:
                normal = self.normal[s] = self.always  # it ends by break or return alone
            head = frozenset(read(s.test) | normal)
            while True:
                new = head | self._block(s.body, head, out, head, exc)
                if new == head:
                    self.head[s] = head
                    return head
                head = new
        if kind in (ast.For, ast.AsyncFor):
            normal = self.normal[s] = self._block(s.orelse, out, brk, cont, exc)
            head = normal
            targets = bound(s.target)
            while True:
                new = head | (self._block(s.body, head, out, head, exc) - targets) | read(s.target)
                if new == head:
                    self.head[s] = head
                    return head | read(s.iter)
                head = new
        if kind is ast.Return:
            self.target[s] = self.always
            return read(s.value) | exc
        if kind is ast.Break:
            self.target[s] = brk
            return brk
        if kind is ast.Continue:
            self.target[s] = cont
            return cont
        if kind is ast.Raise:
            return read(s.exc) | read(s.cause) | exc
        if kind in (ast.With, ast.AsyncWith):
            inside = self._block(s.body, out, brk, cont, exc)
            for item in reversed(s.items):
                inside = (inside - (bound(item.optional_vars) if item.optional_vars else set())) | read(
                    item.context_expr
                )
            return inside
        if kind is ast.Try or kind.__name__ == "TryStar":
            final = self._block(s.finalbody, out, brk, cont, exc)
            if s.finalbody:
                brk, cont = (None if t is None else t | final for t in (brk, cont))
            caught = frozenset(exc | final)
            for h in s.handlers:
                caught |= (self._block(h.body, final, brk, cont, exc | final) - {h.name}) | read(h.type)
            orelse = self._block(s.orelse, final, brk, cont, exc | final)
            return self._block(s.body, orelse, brk, cont, caught) | caught
        if kind.__name__ == "Match":
            live = set(out)
            for case in s.cases:
                inside = self._block(case.body, out, brk, cont, exc) | read(case.guard)
                live |= (inside - bound(case.pattern)) | read(case.pattern)
            return live | read(s.subject)
        if kind is ast.AugAssign:
            return out | read(s.value) | ({s.target.id} if type(s.target) is ast.Name else read(s.target))
        if kind is ast.Assign:
            return (out - set().union(*(_plain_targets(t) for t in s.targets))) | read(s)
        if kind is ast.AnnAssign and s.value is None:
            return out
        if kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
            return (out - {s.name}) | read(s)
        if kind is ast.AnnAssign:
            return (out - _plain_targets(s.target)) | read(s)
        return out | read(s)


def _plain_targets(t):
    if type(t) is ast.Name:
        return {t.id}
    if type(t) in (ast.Tuple, ast.List):
        return set().union(*map(_plain_targets, t.elts)) if t.elts else set()
    return _plain_targets(t.value) if type(t) is ast.Starred else set()


# Jumps


def jumps(body, loops=True):
    """How a block may be left by return, break, continue: {"return": ..., ...} of those that occur, for the block's
    own level; `loops`: whether break and continue count (inside an inner loop they are the loop's own)."""
    found: set = set()
    for s in body:
        kind = type(s)
        if kind is ast.Return:
            found.add("return")
        elif kind in (ast.Break, ast.Continue):
            if loops:
                found.add("break" if kind is ast.Break else "continue")
        elif kind in (ast.While, ast.For):
            found |= jumps(s.body, False) | jumps(s.orelse, loops)
        elif isinstance(s, (*FUNCTIONS, ast.ClassDef)):
            pass
        else:
            for part in _blocks(s):
                found |= jumps(part, loops)
        if always_jumps([s]):
            break  # what follows is never reached
    return found


def _blocks(s):
    """The blocks inside a statement."""
    if type(s).__name__ == "Match":
        return [case.body for case in s.cases]
    parts = [getattr(s, field, None) for field in ("body", "orelse", "finalbody")]
    return [p for p in parts if p] + [h.body for h in getattr(s, "handlers", ())]


def always_jumps(body):
    """Whether a block is surely left by return, break or continue."""
    for s in body:
        kind = type(s)
        if kind in (ast.Return, ast.Break, ast.Continue):
            return True
        if kind is ast.If and s.orelse and always_jumps(s.body) and always_jumps(s.orelse):
            return True
        if kind is ast.With and always_jumps(s.body):
            return True
    return False


def falls_through(body):
    """Whether the end of a block may be reached (a raise ends it too)."""
    for s in body:
        kind = type(s)
        if kind in (ast.Return, ast.Break, ast.Continue, ast.Raise):
            return False
        if kind is ast.If and s.orelse and not falls_through(s.body) and not falls_through(s.orelse):
            return False
        if kind is ast.While and type(s.test) is ast.Constant and s.test.value and "break" not in jumps(s.body):
            return False
        if kind is ast.With and not falls_through(s.body):
            return False
    return True
