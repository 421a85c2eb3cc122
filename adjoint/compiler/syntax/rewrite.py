"""The rewriting of one function's syntax tree: control flow and calls become calls of the runtime (`_ad_`, runtime.py).

    if test: A                  def _ad_t1(): nonlocal y; A
    else: B                     def _ad_f1(): nonlocal y; B
                                _ad_c1 = _ad_.test(test)
                                if _ad_c1 is True: _ad_t1()
                                elif _ad_c1 is False: _ad_f1()
                                else: _ad_.if_(_ad_c1, _ad_t1, _ad_f1, ('y',), ...)

Bodies are functions over the user's own variables (cells): while a test is known, they simply run, and what the user's
closures see stays true; where it is not, the runtime reads, replaces and merges the cells' contents.

Jumps become flags (`return` -> _ad_done, `break` -> _ad_brk1, `continue` -> _ad_cont1). Behind a branch that surely jumps, the
rest of the block moves into the other branch; behind one that may jump, it is guarded by `if _ad_.go(flags)`.
"""

import ast
import copy

from .expressions import (
    LOAD,
    OPERATORS,
    RUNTIME,
    STORE,
    Expressions,
    binds_inside,
    const,
    is_plain_test,
    name,
    runtime,
    thunk,
)
from .flow import (
    FUNCTIONS,
    Liveness,
    always_jumps,
    bound,
    captured,
    declared,
    falls_through,
    is_generator,
    jumps,
)

DONE, RET = "_ad_done", "_ad_ret"


class Loop:
    """A loop being rewritten: its flags and where its jumps arrive."""

    def __init__(self, number, head, after):
        self.brk, self.cont = f"_ad_brk{number}", f"_ad_cont{number}"
        self.head, self.after = head, after


class Function(Expressions):
    """Rewrites one function (its own scope); nested functions get a Function of their own."""

    def __init__(self, names, outer=None):
        super().__init__()
        self.names = names
        self.outer = outer  # the Function around this one
        self.count = 0
        self.level = 0  # how many generated functions deep the current statement goes
        self.loops: list = []
        self.assigned: set = set()  # names bound by the block being rewritten, flags included
        self.flagged = False  # whether some return became a flag
        self.returns = 0  # how many
        self.first = None

    # A function

    def function(self, node):
        """The rewritten FunctionDef; the node is consumed."""
        a = node.args
        parameters = [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
        parameters += [p.arg for p in (a.vararg, a.kwarg) if p is not None]
        self.first = parameters[0] if parameters else None
        body = node.body
        self.globals = declared(body, ast.Global)
        nonlocals = declared(body, ast.Nonlocal)
        self.locals = (bound(body) | set(parameters)) - self.globals - nonlocals
        self.nonlocals = nonlocals
        if is_generator(body) or type(node) is ast.AsyncFunctionDef:
            node.body = self.plain_body(body)  # its control flow stays Python's own
            return node
        has_values = any(type(n) is ast.Return and n.value is not None for s in body for n in _own(s))
        if has_values and falls_through(body):
            body.append(ast.copy_location(ast.Return(const(None)), body[-1]))
        self.live = Liveness(body, captured(body) | self.globals | nonlocals)
        self.compound = set()
        new = self.block(body, self.live.always)
        head = []
        if new and _is_docstring(new[0]):
            head.append(new.pop(0))
        for p in (*a.posonlyargs, *a.args)[len(a.posonlyargs) + len(a.args) - len(a.defaults) :] + tuple(
            p for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True) if d is not None
        ):
            if self.outer is None:
                head.append(ast.Assign([ast.Name(p.arg, STORE)], runtime("default", name(p.arg), const(p.arg))))
        if self.compound:
            # names that only generated functions bind are locals of this one
            hidden = sorted(self.compound - self.globals - nonlocals)
            if hidden:
                head.append(ast.If(const(False), [ast.Assign([ast.Name(x, STORE) for x in hidden], const(None))], []))
        if self.flagged:
            head.append(ast.Assign([ast.Name(DONE, STORE)], const(False)))
            head.append(ast.Assign([ast.Name(RET, STORE)], ast.Attribute(name(RUNTIME), "DEAD", LOAD)))
            new.append(ast.copy_location(ast.Return(runtime("result", name(RET))), body[-1]))
        for s in head:
            ast.copy_location(s, node)
        node.body = head + new or [ast.Pass()]
        return node

    def plain_body(self, body):
        out = []
        for s in body:
            r = self.visit_inside(s) if _blocks_of(s) else self.simple(s)
            out += r if isinstance(r, list) else [r]
        return out

    def visit_inside(self, s):
        """A statement whose control flow stays as it is."""
        for field, value in ast.iter_fields(s):
            if isinstance(value, list):
                if value and isinstance(value[0], ast.stmt):
                    value = self.plain_body(value)
                else:
                    value = [self.visit(v) if isinstance(v, ast.expr) else self.visit_inside(v) for v in value]
                setattr(s, field, value)
            elif isinstance(value, ast.expr):
                value = self.visit(value)
                setattr(s, field, runtime("generated", value) if field == "test" and type(s) in (ast.If, ast.While) else value)
        return s

    def lambda_(self, node):
        a = node.args
        self.locals = {p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)}
        self.locals |= {p.arg for p in (a.vararg, a.kwarg) if p is not None}
        self.first = a.args[0].arg if a.args else None
        self.nonlocals = set()
        node.body = self.visit(node.body)
        return node

    # Blocks and jumps

    def block(self, body, live):
        """The statements for a block at whose end the names `live` are read again."""
        out = []
        for i, s in enumerate(body):
            rest = body[i + 1 :]
            kind = type(s)
            if kind in (ast.Return, ast.Break, ast.Continue):
                return out + self.jump(s)
            if kind is ast.If:
                plain = is_plain_test(s.test)
                first, second = always_jumps(s.body), always_jumps(s.orelse)
                found = jumps(s.body) | jumps(s.orelse)
                before = self.returns
                if rest and (first or second) and not (plain and not self.level):
                    if first and second:
                        rest = []
                    elif first:
                        s = ast.copy_location(ast.If(s.test, s.body, s.orelse + rest), s)
                    else:
                        s = ast.copy_location(ast.If(s.test, s.body + rest, s.orelse), s)
                    return out + self.if_(s, live, plain)
                out += self.if_(s, self.live.after[s] if rest else live, plain)
                if plain and not self.level and self.returns == before:
                    found.discard("return")  # each is a real one
                flags = self.flags(found)
            elif kind in (ast.While, ast.For):
                flags = self.flags(jumps([s]))
                out += self.loop(s, live if not rest else self.live.after[s])
            elif kind in (ast.With, ast.Try) or kind.__name__ in ("TryStar", "Match"):
                found, before = jumps([s]), self.returns
                out += getattr(self, "block_" + kind.__name__)(s, self.live.after[s] if rest else live)
                if not self.level and self.returns == before:
                    found.discard("return")
                flags = self.flags(found)
            else:
                r = self.simple(s)
                out += r if isinstance(r, list) else [r]
                continue
            if flags and rest:
                return out + self.guard(flags, rest, live, s)
        return out

    def flags(self, found):
        """The flags that these jumps set here: (flag, names live where it arrives)."""
        out = []
        if "return" in found:
            out.append((DONE, self.live.always))
        if self.loops:
            loop = self.loops[-1]
            if "break" in found:
                out.append((loop.brk, loop.after))
            if "continue" in found:
                out.append((loop.cont, loop.head))
        return out

    def jump(self, s):
        kind = type(s)
        if kind is ast.Return and not self.level:
            value = self.returned(s.value) if s.value is not None else None
            return [ast.copy_location(ast.Return(value), s)]
        if kind is ast.Return:
            self.flagged = True
            self.returns += 1
            value = self.visit(s.value) if s.value is not None else const(None)
            pairs = [(RET, value), (DONE, const(True))]
        else:
            loop = self.loops[-1]
            pairs = [(loop.brk if kind is ast.Break else loop.cont, const(True))]
        self.assigned.update(x for x, _ in pairs)
        return [ast.copy_location(ast.Assign([ast.Name(x, STORE)], v), s) for x, v in pairs]

    def returned(self, e):
        """The value of a real return: a name may stand for no value."""
        if type(e) is ast.Tuple:
            e.elts = [x if type(x) is ast.Starred else self.returned(x) for x in e.elts]
            return self.visit(e) if any(type(x) is ast.Starred for x in e.elts) else e
        new = self.visit(e)
        return ast.copy_location(runtime("value", new), e) if type(e) is ast.Name and self.level == 0 else new

    def inside(self, body, live):
        """A block that becomes a generated function: (its statements, the names it binds)."""
        before, self.assigned = self.assigned, bound(body) - self.globals
        self.level += 1
        new = self.block(body, live)
        self.level -= 1
        mine, self.assigned = self.assigned, before
        self.assigned |= mine
        self.compound |= mine
        return new, mine

    def define(self, label, body, mine, s, argument=None):
        """A generated function over the user's variables."""
        head = [ast.Nonlocal(sorted(mine))] if mine else []
        if self.globals:
            head.append(ast.Global(sorted(self.globals)))
        args = ast.arguments([], [ast.arg(argument)] if argument else [], None, [], [], None, [])
        f = ast.FunctionDef(label, args, head + body or [ast.Pass()], [], None, type_params=[])
        return ast.copy_location(f, s)

    def if_(self, s, live, plain=False):
        if plain:
            test = self.test(s.test)
            body = self.block(s.body, live) or [ast.Pass()]
            orelse = self.block(s.orelse, live)
            return [ast.copy_location(ast.If(test, body, orelse), s)]
        test = self.test(s.test)
        targets = self.flags(jumps(s.body) | jumps(s.orelse))
        return self.choice(s, test, s.body, s.orelse, live, targets, ())

    def guard(self, flags, rest, live, s):
        """if none of the flags is set: rest"""
        at = rest[0]
        test = runtime("go", *(name(f) for f, _ in flags))
        if any(f == DONE for f, _ in flags):
            self.flagged = True
        targets = {f: t for f, t in (*flags, *self.flags(jumps(rest)))}
        return self.choice(at, test, rest, [], live, list(targets.items()), tuple(f for f, _ in flags))

    def choice(self, s, test, body, orelse, live, targets, go):
        self.count += 1
        n = self.count
        true, mine_t = self.inside(body, live)
        false, mine_f = self.inside(orelse, live)
        mine = mine_t | mine_f
        names = tuple(sorted(x for x in mine if x in live or x.startswith("_ad_") or any(x in t for _, t in targets)))
        spec = (
            names,
            tuple(sorted(live & mine)),
            tuple((f, tuple(sorted(t & mine))) for f, t in targets),
            go,
        )
        c = f"_ad_c{n}"
        call = lambda f: ast.Expr(ast.Call(name(f), [], []))
        t_name, f_name = f"_ad_t{n}", f"_ad_f{n}"
        staged = ast.Expr(runtime("if_", name(c), name(t_name), name(f_name) if false else const(None), const(spec)))
        out = [self.define(t_name, true, mine_t, s)]
        if false:
            out.append(self.define(f_name, false, mine_f, s))
        out.append(ast.Assign([ast.Name(c, STORE)], runtime("test", test)))
        is_ = lambda v: ast.Compare(name(c), [ast.Is()], [const(v)])
        last = ast.If(is_(False), [call(f_name) if false else ast.Pass()], [staged])
        out.append(ast.If(is_(True), [call(t_name)], [last]))
        return [ast.copy_location(x, s) for x in out]

    def loop(self, s, after):
        self.count += 1
        n = self.count
        normal = self.live.normal[s]
        loop = Loop(n, self.live.head[s], after)
        found = jumps(s.body)
        has_break, returns = "break" in found, "return" in found
        is_for = type(s) is ast.For
        out = []
        if has_break:
            out.append(ast.Assign([ast.Name(loop.brk, STORE)], const(False)))
            self.assigned.add(loop.brk)
            self.compound.add(loop.brk)
        head: list = []
        body = s.body
        rebinds = False
        if is_for:
            first = self.visit(s.iter)
            target = ast.Assign([s.target], name(f"_ad_item{n}"))
            ast.copy_location(target, s.target)
            body = [target, *body]
            self.live.after[target] = loop.head
        else:
            rebinds = bool(bound(s.test))
            bindings, test = bound(s.test) - self.globals, self.test(s.test)
            first = name(f"_ad_w{n}")
            head_t = [ast.Return(test)]
            for x in head_t:
                ast.copy_location(x, s.test)
            out.append(self.define(f"_ad_w{n}", head_t, bindings, s))
            self.assigned |= bindings
            self.compound |= bindings
        if "continue" in found:
            head.append(ast.copy_location(ast.Assign([ast.Name(loop.cont, STORE)], const(False)), s))
        self.loops.append(loop)
        new, mine = self.inside(body, loop.head)
        self.loops.pop()
        if "continue" in found:
            mine.add(loop.cont)
            self.compound.add(loop.cont)
        if not is_for:
            mine = mine | bindings
        flags = ([loop.brk] if has_break else []) + ([DONE] if returns else [])
        if returns:
            self.flagged = True
        alive = loop.head | after | normal
        state = tuple(sorted(x for x in mine if (x in alive or x in (RET, *flags)) and x != loop.cont))
        spec = (
            state,
            tuple(sorted(loop.head & mine)),
            tuple(sorted(normal & mine)),
            tuple(flags),
            tuple(sorted(mine)),
            rebinds,
        )
        out.append(self.define(f"_ad_b{n}", head + new, mine, s, f"_ad_item{n}" if is_for else None))
        out.append(ast.Expr(runtime("for_" if is_for else "while_", first, name(f"_ad_b{n}"), const(spec))))
        if s.orelse:
            if flags:
                targets = [(loop.brk, after)] * has_break + [(DONE, self.live.always)] * returns
                out += self.guard(targets, s.orelse, after, s)
            else:
                out += self.block(s.orelse, after)
        return [ast.copy_location(x, s) if not hasattr(x, "lineno") else x for x in out]

    # Statements with blocks that stay Python's own

    def block_With(self, s, live):
        after = []
        for item in s.items:
            item.context_expr = ast.copy_location(runtime("managed", self.visit(item.context_expr)), item.context_expr)
            if item.optional_vars is not None:
                item.optional_vars, more = self.targets(item.optional_vars)
                after += more
        s.body = after + self.block(s.body, live) or [ast.Pass()]
        return [s]

    def block_Try(self, s, live):
        handlers = [ast.ExceptHandler(ast.Attribute(name(RUNTIME), "PASS_ON", LOAD), None, [ast.Raise(None, None)])]
        found, before = jumps(s.body), self.returns
        s.body = self.block(s.body, live)
        if not self.level and self.returns == before:
            found.discard("return")
        flags = self.flags(found)
        for h in s.handlers:
            if h.type is not None:
                h.type = self.visit(h.type)
            h.body = self.block(h.body, live)
            if h.name:
                self.assigned.add(h.name)
        if s.orelse:
            s.orelse = self.guard(flags, s.orelse, live, s) if flags else self.block(s.orelse, live)
        s.finalbody = self.block(s.finalbody, live)
        if s.handlers and type(s) is ast.Try:
            if not any(isinstance(n, (ast.Yield, ast.YieldFrom, ast.Await)) for part in s.body for n in ast.walk(part)):
                kinds = [copy.deepcopy(h.type) if h.type is not None else name("BaseException") for h in s.handlers]
                around = ast.withitem(runtime("catching", thunk(ast.Tuple(kinds, LOAD))), None)
                s.body = [ast.copy_location(ast.With([around], s.body or [ast.Pass()]), s)]
            s.handlers = [ast.copy_location(h, s) for h in handlers] + s.handlers
        for part in (s.body, *(h.body for h in s.handlers)):
            if not part:
                part.append(ast.copy_location(ast.Pass(), s))
        return [s]

    block_TryStar = block_Try

    def block_Match(self, s, live):
        s.subject = runtime("subject", self.visit(s.subject))
        for case in s.cases:
            if case.guard is not None:
                case.guard = runtime("guarded", self.test(case.guard))
            case.body = self.block(case.body, live) or [ast.copy_location(ast.Pass(), s)]
        return [s]

    # Simple statements

    def simple(self, s):
        method = getattr(self, "simple_" + type(s).__name__, None)
        if method is not None:
            r = method(s)
            return [ast.copy_location(x, s) if not hasattr(x, "lineno") else x for x in r] if type(r) is list else r
        return self.generic_visit(s)

    def simple_Assign(self, s):
        value = self.visit(s.value)
        stores = [x for t in s.targets for e in _leaves(t) for x in self.stored(e)]
        if len(s.targets) == 1 and type(s.targets[0]) is ast.Name:
            s.value = value
            return [*stores, s]
        if len(s.targets) == 1 and type(s.targets[0]) in (ast.Subscript, ast.Attribute):
            temp, out = self.temp(value)
            return [*out, *self.store(s.targets[0], temp)]
        if all(type(e) is ast.Name for t in s.targets for e in _leaves(t)):
            s.value = value
            return [*stores, s]
        temp, out = self.temp(value)
        for t in s.targets:
            t, more = self.targets(t)
            stores += [ast.Assign([t], temp), *more]
        return out + stores

    def stored(self, target):
        """The check before a name that belongs to the outside is bound."""
        if type(target) is not ast.Name:
            return []
        if target.id in self.globals:
            return [ast.Expr(runtime("global_store", const(target.id)))]
        if target.id in self.nonlocals and not self.is_local(target.id):
            return [ast.Expr(runtime("cell_store", const(target.id)))]
        return []

    def temp(self, value):
        self.count += 1
        x = f"_ad_v{self.count}"
        return name(x), [ast.Assign([ast.Name(x, STORE)], value)]

    def targets(self, t):
        """A target whose items and attributes are replaced by names, and the stores to do behind it."""
        kind = type(t)
        if kind in (ast.Tuple, ast.List):
            parts = [self.targets(e) for e in t.elts]
            return ast.copy_location(kind([p for p, _ in parts], STORE), t), [x for _, more in parts for x in more]
        if kind is ast.Starred:
            inner, more = self.targets(t.value)
            return ast.copy_location(ast.Starred(inner, STORE), t), more
        if kind is ast.Name:
            return t, []
        self.count += 1
        x = f"_ad_v{self.count}"
        return ast.copy_location(ast.Name(x, STORE), t), self.store(t, name(x))

    def store(self, t, value):
        if type(t) is ast.Name:
            return [ast.copy_location(ast.Assign([t], value), t)]
        if type(t) is ast.Attribute:
            call = runtime("setattr", self.visit(t.value), const(self.names.private(t.attr)), value)
        elif type(t) is ast.Subscript:
            call = runtime("setitem", self.visit(t.value), self.index(t.slice), value)
        else:
            t, more = self.targets(t)
            return [ast.copy_location(ast.Assign([t], value), t), *more]
        return [ast.copy_location(ast.Expr(call), t)]

    def simple_AnnAssign(self, s):
        if s.value is None:
            return ast.copy_location(ast.Pass(), s)
        return self.simple_Assign(ast.copy_location(ast.Assign([s.target], s.value), s))

    def simple_AugAssign(self, s):
        op = const(OPERATORS[type(s.op).__name__])
        value = self.visit(s.value)
        t = s.target
        if type(t) is ast.Name:
            have = self.visit(ast.copy_location(ast.Name(t.id, LOAD), t))
            new = ast.copy_location(ast.Assign([t], runtime("aug", op, have, value)), s)
            return [*self.stored(t), new]
        if type(t) is ast.Attribute:
            return [ast.Expr(runtime("aug_attr", op, self.visit(t.value), const(self.names.private(t.attr)), value))]
        return [ast.Expr(runtime("aug_item", op, self.visit(t.value), self.index(t.slice), value))]

    def simple_Delete(self, s):
        out = []
        for t in s.targets:
            if type(t) is ast.Name:
                out.append(ast.Delete([t]))
            elif type(t) is ast.Attribute:
                out.append(ast.Expr(runtime("delattr", self.visit(t.value), const(self.names.private(t.attr)))))
            elif type(t) is ast.Subscript:
                out.append(ast.Expr(runtime("delitem", self.visit(t.value), self.index(t.slice))))
            else:
                out += self.simple_Delete(ast.Delete(t.elts))
        return out

    def simple_Assert(self, s):
        message = thunk(self.visit(s.msg)) if s.msg is not None and not binds_inside(s.msg) else const(None)
        new = ast.If(name("__debug__"), [ast.Expr(runtime("assert_", self.test(s.test), message))], [])
        return ast.copy_location(new, s)

    def simple_Raise(self, s):
        if s.exc is None:
            return s
        if binds_inside(s.exc):
            return self.generic_visit(s)
        cause = self.visit(s.cause) if s.cause is not None else None
        return ast.copy_location(ast.Raise(runtime("raising", thunk(self.visit(s.exc))), cause), s)

    def simple_Global(self, s):
        return s

    simple_Nonlocal = simple_Import = simple_ImportFrom = simple_Pass = simple_Global

    def simple_FunctionDef(self, s):
        s.decorator_list = [self.visit(d) for d in s.decorator_list]
        self.defaults(s.args)
        s.returns = None
        return Function(self.names, self).function(s)

    simple_AsyncFunctionDef = simple_FunctionDef

    def simple_ClassDef(self, s):
        return s  # classes defined inside a function stay as they are

    def defaults(self, args):
        args.defaults = [self.visit(e) for e in args.defaults]
        args.kw_defaults = [e and self.visit(e) for e in args.kw_defaults]
        for p in (*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg):
            if p is not None:
                p.annotation = None


def _own(s):
    """The nodes of a statement, nested functions not entered."""
    todo = [s]
    while todo:
        node = todo.pop()
        yield node
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            todo.extend(ast.iter_child_nodes(node))


def _blocks_of(s):
    return isinstance(s, (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try)) or type(
        s
    ).__name__ in ("TryStar", "Match")


def _is_docstring(s):
    return type(s) is ast.Expr and type(s.value) is ast.Constant and type(s.value.value) is str


def _leaves(t):
    if type(t) in (ast.Tuple, ast.List):
        return [x for e in t.elts for x in _leaves(e)]
    return _leaves(t.value) if type(t) is ast.Starred else [t]
