"""The rewriting of expressions: loads, calls, subscripts, decisions inside expressions, texts. See rewrite.py."""

import ast
import builtins
import types

RUNTIME = "_ad_"
PLAIN_CALLS = {"locals", "globals", "eval", "exec", "super", "vars"}  # they look at the frame they are called in
OPERATORS = {
    "Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**", "MatMult": "@",
    "LShift": "<<", "RShift": ">>", "BitOr": "|", "BitXor": "^", "BitAnd": "&",
    "Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!=",
    "In": "in", "NotIn": "not in", "Is": "is", "IsNot": "is not",
}  # fmt: skip
LOAD = ast.Load()
STORE = ast.Store()


def name(x):
    return ast.Name(x, LOAD)


def const(x):
    return ast.Constant(x)


def runtime(method, *args):
    return ast.Call(ast.Attribute(name(RUNTIME), method, LOAD), list(args), [])


def thunk(expr):
    return ast.Lambda(ast.arguments([], [], None, [], [], None, []), expr)


def binds_inside(expr):
    """Whether an expression cannot move into a lambda: it binds a name, or yields."""
    return any(isinstance(n, (ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await)) for n in ast.walk(expr))


def filtered_sum(node):
    """sum(e for x in xs if test): where the test is not known, 0 is added in place of what it would leave out. Whether it was such."""
    comprehension = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if type(comprehension) not in (ast.GeneratorExp, ast.ListComp):
        return False
    last = comprehension.generators[-1]
    if last.ifs and not last.is_async and not any(map(binds_inside, (comprehension.elt, *last.ifs))):
        test = last.ifs[0] if len(last.ifs) == 1 else ast.copy_location(ast.BoolOp(ast.And(), last.ifs), last.ifs[0])
        comprehension.elt = ast.copy_location(Kept(test, comprehension.elt), comprehension.elt)
        last.ifs = []
        return True
    return False


class Kept(ast.expr):
    """A term of a sum, and the test that says whether it is one. It does not outlive the rewriting."""

    _fields = ("test", "value")


class Names:
    """What names mean: local to a function of the copy, in a cell of the original, or global."""

    def __init__(self, free, globals_, class_name):
        self.free = frozenset(free)  # the cells of the original function
        self.globals = globals_
        self.class_name = class_name  # of the class the method stands in, for private names

    def is_module(self, x):
        return isinstance(self.globals.get(x), types.ModuleType)

    def is_builtin(self, x):
        return x not in self.globals and hasattr(builtins, x)

    def private(self, x):
        if self.class_name and x.startswith("__") and not x.endswith("__"):
            return f"_{self.class_name.lstrip('_')}{x}"
        return x


def is_plain_test(e):
    """Whether a test surely asks nothing of a value: constants, `is` (but of None, which a value may be), isinstance, callable."""
    kind = type(e)
    if kind is ast.Constant:
        return True
    if kind is ast.Compare:
        asked = any(type(c) is ast.Constant for c in (e.left, *e.comparators))
        return all(type(op) in (ast.Is, ast.IsNot) for op in e.ops) and not asked  # `x is False` is a question about x
    if kind is ast.Call and type(e.func) is ast.Name:
        return e.func.id in ("isinstance", "callable", "hasattr", "issubclass")
    if kind is ast.UnaryOp and type(e.op) is ast.Not:
        return is_plain_test(e.operand)
    if kind is ast.BoolOp:
        return all(map(is_plain_test, e.values))
    return False


class Expressions(ast.NodeTransformer):
    """Rewrites the expressions of one function."""

    names: "Names"
    outer: "Expressions | None" = None  # the function around this one
    first: "str | None" = None  # its first parameter

    def __init__(self):
        self.locals: set = set()
        self.globals: set = set()

    def is_local(self, x):
        """Whether a name belongs to a function of the copy."""
        f = self
        while f is not None:
            if x in f.globals:
                return False
            if x in f.locals or x in f.comprehension:
                return True
            f = f.outer
        return False

    comprehension: frozenset = frozenset()

    def test(self, e):
        """An expression of which only the truth is asked."""
        if type(e) is ast.BoolOp and not any(map(binds_inside, e.values[1:])):
            kind = "both" if type(e.op) is ast.And else "either"
            return ast.copy_location(runtime(kind, *self.operands(e.values, self.test)), e)
        if type(e) is ast.UnaryOp and type(e.op) is ast.Not:
            return ast.copy_location(runtime("not_", self.test(e.operand)), e)
        return self.visit(e)

    def visit(self, node):
        new = super().visit(node)
        if isinstance(new, ast.AST) and isinstance(node, ast.expr) and not hasattr(new, "lineno"):
            ast.copy_location(new, node)
        return new

    def visit_Name(self, node):
        if type(node.ctx) is not ast.Load or node.id.startswith("_ad_") or self.is_local(node.id):
            return node
        x = node.id
        if x in self.names.free and not self._declared_global(x):
            return runtime("c", node, const(x))
        if self.names.is_builtin(x) or self.names.is_module(x):
            return node
        return runtime("g", node, const(x))

    def _declared_global(self, x):
        f = self
        while f is not None:
            if x in f.globals:
                return True
            f = f.outer
        return False

    def visit_Attribute(self, node):
        base = node.value
        if type(base) is ast.Name and not self.is_local(base.id) and self.names.is_module(base.id):
            return node
        if type(base) is ast.Attribute and self._is_module_path(base):
            return node
        return runtime("attr", self.visit(base), const(self.names.private(node.attr)))

    def _is_module_path(self, node):
        path = []
        while type(node) is ast.Attribute:
            path.append(node.attr)
            node = node.value
        if type(node) is not ast.Name or self.is_local(node.id):
            return False
        x = self.names.globals.get(node.id)
        for part in reversed(path):
            if not isinstance(x, types.ModuleType):
                return False
            x = getattr(x, part, None)
        return isinstance(x, types.ModuleType)

    def visit_Call(self, node):
        f = node.func
        if type(f) is ast.Name and f.id in PLAIN_CALLS and not self.is_local(f.id):
            if f.id == "locals" and not node.args and not self.comprehension:
                mine = sorted(self.owner().locals)
                return runtime("locals_", const(tuple(mine)), *(thunk(name(x)) for x in mine))
            if f.id == "super" and not node.args and self.owner().first:
                node.args = [name("__class__"), name(self.owner().first)]
            return node
        if type(f) is ast.Name and f.id == "print" and self.names.is_builtin("print") and not self.is_local("print"):
            # its texts may have holes for values that are not known yet
            args = ast.Tuple([self.visit(a) for a in node.args], LOAD)
            for k in node.keywords:
                k.value = self.visit(k.value)
            plain = any(map(binds_inside, node.args))
            return ast.Call(
                ast.Attribute(name(RUNTIME), "print_", LOAD), [args if plain else thunk(args)], node.keywords
            )
        summed = False
        if type(f) is ast.Name and f.id == "sum" and self.names.is_builtin("sum") and not self.is_local("sum"):
            summed = filtered_sum(node)
        node.func = ast.copy_location(runtime("fn", self.visit(f)), f)
        node.args = [self.visit(a) for a in node.args]
        if summed:
            node.args = [ast.copy_location(runtime("terms", *node.args), node)]
        for k in node.keywords:
            k.value = self.visit(k.value)
        return node

    def owner(self):
        f = self
        while f.outer is not None and f.first is None:
            f = f.outer
        return f

    def index(self, node):
        """The index of a subscript as an expression: a:b becomes slice(a, b)."""
        if type(node) is ast.Slice:
            parts = [self.visit(p) if p is not None else const(None) for p in (node.lower, node.upper, node.step)]
            return ast.copy_location(runtime("slice", *parts), node)
        if type(node) is ast.Tuple:
            return ast.copy_location(ast.Tuple([self.index(e) for e in node.elts], LOAD), node)
        return self.visit(node)

    def visit_Subscript(self, node):
        return runtime("item", self.visit(node.value), self.index(node.slice))

    def visit_IfExp(self, node):
        if is_plain_test(node.test) or binds_inside(node.body) or binds_inside(node.orelse):
            node.test = self.test(node.test)
            node.body, node.orelse = self.visit(node.body), self.visit(node.orelse)
            return node
        return runtime("ifexp", self.test(node.test), thunk(self.visit(node.body)), thunk(self.visit(node.orelse)))

    def visit_BoolOp(self, node):
        if any(map(binds_inside, node.values[1:])):
            *first, last = map(self.visit, node.values)
            node.values = [*(runtime("decided", v) for v in first), last]
            return node
        kind = "and_" if type(node.op) is ast.And else "or_"
        return runtime(kind, *self.operands(node.values, self.visit))

    @staticmethod
    def operands(values, visit):
        """Of `and` and `or`: each is computed when it is its turn, the first at once, so that it may bind a name."""
        first, *rest = values
        one = runtime("held", visit(first)) if binds_inside(first) else thunk(visit(first))
        return [one, *(thunk(visit(v)) for v in rest)]

    def visit_UnaryOp(self, node):
        if type(node.op) is ast.Not:
            return runtime("negation", self.test(node.operand))
        return self.generic_visit(node)

    def visit_Compare(self, node):
        ops = [OPERATORS[type(op).__name__] for op in node.ops]
        if len(ops) == 1:
            if ops[0] in ("<", "<=", ">", ">=", "==", "!="):
                return self.generic_visit(node)
            return runtime("compare", const(ops[0]), self.visit(node.left), self.visit(node.comparators[0]))
        if any(map(binds_inside, node.comparators)):
            return self.generic_visit(node)
        rest = [thunk(self.visit(c)) for c in node.comparators]
        return runtime("chain", const(tuple(ops)), self.visit(node.left), *rest)

    def visit_BinOp(self, node):
        if type(node.op) is ast.Mod and (
            type(node.left) is ast.JoinedStr or (type(node.left) is ast.Constant and type(node.left.value) is str)
        ):
            return runtime("percent", self.visit(node.left), self.visit(node.right))
        if type(node.op) is ast.LShift or (
            type(node.op) in (ast.FloorDiv, ast.Mod) and type(node.right) is not ast.Constant
        ):
            op = const(OPERATORS[type(node.op).__name__])
            return runtime("divided", op, self.visit(node.left), self.visit(node.right))
        return self.generic_visit(node)

    def visit_FormattedValue(self, node):
        spec = node.format_spec
        text = runtime(
            "format",
            self.visit(node.value),
            const(node.conversion),
            self.visit(spec) if spec is not None else const(""),
        )
        return ast.copy_location(ast.FormattedValue(text, -1, None), node)

    def visit_Lambda(self, node):
        self.defaults(node.args)
        return type(self)(self.names, self).lambda_(node)

    def visit_Kept(self, node):
        return runtime("kept", thunk(self.test(node.test)), thunk(self.visit(node.value)))

    def visit_NamedExpr(self, node):
        node.value = self.visit(node.value)
        return node

    def display(self, node):
        return runtime("born", self.generic_visit(node))

    def visit_List(self, node):
        return self.display(node) if type(node.ctx) is ast.Load else self.generic_visit(node)

    visit_Dict = visit_Set = display

    def comprehend(self, node):
        before = self.comprehension
        node.generators[0].iter = self.visit(node.generators[0].iter)  # evaluated outside
        self.comprehension = before | {n.id for g in node.generators for n in ast.walk(g.target) if type(n) is ast.Name}
        for i, g in enumerate(node.generators):
            if i:
                g.iter = self.visit(g.iter)
            g.ifs = [ast.copy_location(runtime("filter", self.test(e)), e) for e in g.ifs]
        for field in ("elt", "key", "value"):
            if hasattr(node, field):
                setattr(node, field, self.visit(getattr(node, field)))
        self.comprehension = before
        return node

    visit_GeneratorExp = comprehend

    def visit_ListComp(self, node):
        return runtime("born", self.comprehend(node))

    visit_SetComp = visit_DictComp = visit_ListComp

    def visit_Await(self, node):
        return self.generic_visit(node)
