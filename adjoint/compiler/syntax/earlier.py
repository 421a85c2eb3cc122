"""What a run before this one may have changed of what a copy reads: told from the texts of the functions that it may have called.

A function is run again as its copy after a first run that broke off. A flag, a cache or a list of outside that the first run has
changed may lead the second one another way, though the second one changes nothing itself. What was there before is not known, so
texts are asked: what they may change (an entry, by a method such as `append`, in place) against what the copy has read. Texts say
more than was done; then a function is not run again that could have been. What they cannot say: who else holds the same object
under a name that is passed around, and what code without text does.
"""

import ast
import collections
import dis
import functools
import types

import numpy as np

from ...core.tensor import is_tensor
from .copies import is_library
from .source import NoSource, codes, find


def _names(text):
    return frozenset(text.split())


_METHODS = _names(
    "append appendleft add update setdefault pop popleft popitem clear extend extendleft insert remove discard sort reverse fill put "
    "resize partition itemset rotate subtract move_to_end difference_update intersection_update symmetric_difference_update "
    "__setitem__ __delitem__ write"
)
_FIRST = _names(  # functions that change their first argument
    "copyto put place putmask fill_diagonal at shuffle heappush heappop heapify heapreplace heappushpop insort insort_left "
    "insort_right delattr setattr __setattr__ __delattr__ __iadd__ __imul__"
)
_PARTS = _names("get setdefault values items view reshape ravel iter enumerate zip reversed getattr")  # give parts of it
_EVERY = _names("vars globals")
MAKERS = _names("__init__ __new__ __post_init__")  # what they set belongs to an object that is new
_SEEN = MAKERS | _names(  # special methods that are told otherwise, or are no part of a run
    "__call__ __setattr__ __delattr__ __setitem__ __delitem__ __del__ __setstate__ __set__ __init_subclass__ __set_name__ __iadd__ "
    "__isub__ __imul__ __itruediv__ __ifloordiv__ __imod__ __ipow__ __imatmul__ __iand__ __ior__ __ixor__"
)
_FIXED = (
    str, bytes, int, float, complex, bool, tuple, frozenset, range, type(None), np.generic, np.ufunc, np.dtype, slice,
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType, type, functools.partial,
)  # fmt: skip
_CACHE = type(functools.cache(abs))
_PLAIN = (list, dict, set, collections.deque, bytearray, np.ndarray)


class Text:
    """The text of one function: which names may stand for what is outside of it."""

    def __init__(self, f):
        self.f = f
        self.code = f.__code__
        self.node = find(self.code, f.__globals__)
        self.nodes = list(ast.walk(self.node))
        a = self.node.args
        self.parameters = [p.arg for p in (*a.posonlyargs, *a.args)]
        self.names = {*self.parameters, *(p.arg for p in (*a.kwonlyargs, a.vararg, a.kwarg) if p)}
        self.cells = dict(zip(self.code.co_freevars, f.__closure__ or (), strict=True))
        self.sources: dict = collections.defaultdict(list)  # local name -> the expressions that it is bound to
        self.anew: dict = collections.defaultdict(list)  # local name -> (first, last line) of where it is bound whatever happens
        for node in self.node.body if isinstance(self.node.body, list) else ():
            for target in node.targets if isinstance(node, ast.Assign) else ():
                for t in target.elts if isinstance(target, (ast.Tuple, ast.List)) else [target]:
                    if isinstance(t, ast.Name):
                        self.anew[t.id].append((node.lineno, node.end_lineno))
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._bind(target, node.value)
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value:
                self._bind(node.target, node.value)
            elif isinstance(node, (ast.For, ast.comprehension)):
                self._bind(node.target, _part(node.iter))
            elif isinstance(node, ast.withitem) and node.optional_vars:
                self._bind(node.optional_vars, node.context_expr)

    def _bind(self, target, value):
        if isinstance(target, ast.Name):
            self.sources[target.id].append(value)
        elif isinstance(target, ast.Starred):
            self._bind(target.value, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            same = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            for t, v in zip(target.elts, value.elts if same else [_part(value)] * len(target.elts), strict=True):
                self._bind(t, v)

    def held(self, e, seen=None):
        """Keys of what an expression may stand for; ("part", key) of what it may be a part of."""
        seen = set() if seen is None else seen
        if isinstance(e, ast.Name):
            if e.id in self.cells:
                return {("cell", id(self.cells[e.id]))}
            if e.id not in self.names and e.id not in self.sources:
                return {("global", e.id)}
            since = max((first for first, last in self.anew[e.id] if last < e.lineno), default=0)  # what was before is forgotten
            if (e.id, since) in seen:
                return set()
            seen.add((e.id, since))
            found = {("parameter", id(self.code), e.id)} if e.id in self.names and not since else set()
            return found.union(*(self.held(v, seen) for v in self.sources[e.id] if v.lineno >= since))
        if isinstance(e, ast.Attribute):
            return {("attr", e.attr)} | (self.held(e.value, seen) if e.attr in ("T", "flat", "real") else set())
        if isinstance(e, ast.Subscript):
            return {k if k[0] == "part" else ("part", k) for k in self.held(e.value, seen)}
        if isinstance(e, ast.Starred):
            return self.held(e.value, seen)
        if isinstance(e, ast.NamedExpr):
            return self.held(e.value, seen)
        if isinstance(e, ast.IfExp):
            return self.held(e.body, seen) | self.held(e.orelse, seen)
        if isinstance(e, ast.BoolOp):
            return set().union(*(self.held(v, seen) for v in e.values))
        if isinstance(e, ast.Call):
            name = _called(e)
            if name in _EVERY:
                return {("every", name)}
            if name in _PARTS:
                parts = [e.func.value] if isinstance(e.func, ast.Attribute) else list(e.args)
                if name == "getattr" and len(e.args) > 1 and isinstance(e.args[1], ast.Constant):
                    return {("attr", e.args[1].value)}
                return set().union(*(self.held(_part(v), seen) for v in parts))
        return set()

    def changes(self):
        """(key, name of the method or None) of what the text changes."""
        for node in self.nodes:
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, (ast.Store, ast.Del)):
                yield from ((key, None) for key in self.held(node.value))
            elif isinstance(node, ast.AugAssign) and isinstance(node.target, (ast.Name, ast.Attribute)):
                yield from ((key, None) for key in self.held(node.target))
            elif isinstance(node, ast.Call):
                name = _called(node)
                if isinstance(node.func, ast.Attribute):
                    yield from ((key, name) for key in self.held(node.func.value))
                if name in ("setattr", "delattr", "__setattr__", "__delattr__") and len(node.args) > 1:
                    said = node.args[1]
                    yield ("attr", said.value) if isinstance(said, ast.Constant) else ("every", name), ""
                elif name in _FIRST and node.args:
                    yield from ((key, None) for key in self.held(node.args[0]))
                for k in node.keywords:
                    if k.arg == "out":
                        yield from ((key, None) for key in self.held(k.value))

    def calls(self):
        """(name, arguments, keywords) of each call."""
        for node in self.nodes:
            if isinstance(node, ast.Call):
                yield _called(node), node.args, node.keywords


def _part(e):
    """An expression for some part of another one."""
    return ast.copy_location(ast.Subscript(e, ast.Constant(0), ast.Load()), e)


def _called(e):
    return e.func.attr if isinstance(e.func, ast.Attribute) else e.func.id if isinstance(e.func, ast.Name) else ""


def users(f):
    return type(f) is types.FunctionType and not is_library(f.__code__)


def reachable(functions, objects):
    """The functions of the user's that these may call: by a global name, a cell, or as a method of one of the objects."""
    classes = {c for x in objects for c in (x if isinstance(x, type) else type(x)).__mro__}
    found: dict = {}
    todo = list(functions)
    while todo:
        f = todo.pop()
        if isinstance(f, (staticmethod, classmethod, types.MethodType)):
            f = f.__func__
        elif isinstance(f, property):
            todo += [g for g in (f.fget, f.fset) if g]
            continue
        elif isinstance(f, type):
            classes.add(f)
            continue
        elif type(f) is _CACHE:
            f = f.__wrapped__
        if not users(f) or id(f.__code__) in found:
            continue
        found[id(f.__code__)] = f
        todo += [c.cell_contents for c in f.__closure__ or () if _is_filled(c)]
        for code in codes(f.__code__):
            for name in code.co_names:
                todo.append(f.__globals__.get(name))
                todo += [vars(c)[name] for c in classes if name in vars(c)]
    return list(found.values())


def _is_filled(cell):
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def changed(functions, reads, given):
    """What a function may have changed that was read, in words; '' if nothing.

    reads: {("global", name), ("cell", id), ("attr", name) or ("default", name): the value}; given: (id of a code object,
    name of a parameter) -> the argument.
    """
    texts: list = []
    calls = collections.defaultdict(list)  # name of what is called -> (text, arguments, keywords)
    for f in functions:
        try:
            texts.append(Text(f))
        except NoSource:  # told by what runs it as it is
            continue
        for called, *row in texts[-1].calls():
            calls[called].append((texts[-1], *row))
    by_code = {id(t.code): t for t in texts}
    done: set = set()
    todo = [(key, name, t) for t in texts for key, name in t.changes()]
    while todo:
        key, name, t = todo.pop()
        if (key, name) in done:
            continue
        done.add((key, name))
        part = key[0] == "part"
        if part:
            key = key[1]
        if key[0] == "every":
            return f"it sets what {key[1]}() names"
        if key[0] == "parameter":
            _, code, at = key
            if any(may(x, name, part) for x in (reads.get(("default", at)), given.get((code, at)))):
                return f"it may have changed {at!r} already"
            f = by_code[code]
            for u, args, keywords in calls[f.code.co_name]:
                for e in _arguments(f, at, args, keywords):
                    todo += [(("part", k) if part and k[0] != "part" else k, name, u) for k in u.held(e)]
        elif (name == "" and key in reads) or may(reads.get(key), name, part):
            return f"it reads {_name(key, t)!r}, which it may have changed already"
    return ""


def _arguments(f, at, args, keywords):
    """The expressions that a call may give for a parameter; of a method, the first may not be written."""
    if at in f.parameters:
        place = f.parameters.index(at)
        yield from (args[i] for i in (place, place - 1) if 0 <= i < len(args))
    yield from (k.value for k in keywords if k.arg == at)


def _name(key, t):
    if key[0] == "cell":
        return next((n for n, c in t.cells.items() if id(c) == key[1]), "a variable")
    return key[1]


def may(value, method, part=False, depth=0):
    """Whether a value, or some part of it, can be changed: by this method, by its name; None: by an entry or in place."""
    if part and isinstance(value, (list, tuple, dict, set, frozenset)) and depth < 8:
        return any(may(x, method, depth=depth) or may(x, method, True, depth + 1) for x in _within(value))
    if isinstance(value, _FIXED) or is_tensor(value):
        return False
    if method is None or method == "" or method in _METHODS:
        return True
    # any method of what is neither a container nor of a class of the user's, whose text is read as well
    return not isinstance(value, _PLAIN) and not _is_users(type(value))


def _within(container):
    return container.values() if isinstance(container, dict) else container


def _is_users(cls):
    return any(users(v) for c in cls.__mro__ for v in vars(c).values())


def by_itself(objects):
    """A special method or descriptor of the user's, of one of these objects, that changes something where it is not seen: in words."""
    for x in objects:
        if isinstance(x, type):
            continue
        for cls in type(x).__mro__:
            for name, f in vars(cls).items():
                if not users(f):
                    f = getattr(type(f), "__get__", None)
                elif not name.startswith("__") or name in _SEEN:
                    continue
                if users(f) and _sets(f.__code__):
                    return f"it uses a {type(x).__name__} of outside, whose {name} may change something"
    return ""


def sets_by_code(x, name):
    """Whether setting this attribute runs code of the user's: __setattr__, a property, a descriptor."""
    cls = type(x)
    if users(getattr(cls, "__setattr__", None)):
        return True
    found = getattr(cls, name, None)
    return type(found) is property or users(getattr(type(found), "__set__", None))


def _sets(code):
    return any(
        step.opname in ("STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR", "STORE_GLOBAL")
        or (step.opname in ("LOAD_METHOD", "LOAD_ATTR") and step.argval in _METHODS)
        for c in codes(code)
        for step in dis.get_instructions(c)
    )
