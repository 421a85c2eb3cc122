"""The rewritten copy of a function: made once for each code object, with the function's own cells, globals and defaults."""

import ast
import os
import sysconfig
import types

from .expressions import RUNTIME, Names
from .rewrite import Function
from .source import NoSource, find

_HERE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))) + os.sep
_LIBRARIES = tuple(
    {
        os.path.abspath(p) + os.sep
        for p in (
            os.path.join(_HERE, "adjoint"),
            sysconfig.get_path("stdlib"),
            sysconfig.get_path("platstdlib"),
            sysconfig.get_path("purelib"),
            sysconfig.get_path("platlib"),
            os.path.dirname(os.__file__),
        )
        if p
    }
)

_codes: dict = {}  # id of a user's code object -> (it, (rewritten code, names of its cells) or the reason why not)
GENERATED: set = set()  # ids of code objects made here, which _kept keeps alive


def is_library(code):
    """Whether a code object belongs to the standard library, an installed package or this one: not rewritten."""
    file = code.co_filename
    if file.startswith("<") and not file.startswith(("<ipython", "<doctest", "<stdin")):
        return file.startswith("<frozen") or file == "<__array_function__ internals>"
    path = os.path.abspath(file)
    return path.startswith(_LIBRARIES) or f"{os.sep}site-packages{os.sep}" in path


def rewritten(code, globals_, qualname):
    """(code, names of its cells) of the copy; raises NoSource."""
    known = _codes.get(id(code))  # by identity: equal code may come from another file, with other globals
    if known is None:
        try:
            known = code, _rewrite(code, globals_, qualname)
        except NoSource as reason:
            known = code, reason.with_traceback(None)  # its frames hold all that was being captured
        _codes[id(code)] = known
    if isinstance(known[1], NoSource):
        raise NoSource(*known[1].args)
    return known[1]


def text(f):
    """The rewritten Python of a plain function, to be read; raises NoSource."""
    return ast.unparse(ast.fix_missing_locations(_tree(f.__code__, f.__globals__, f.__qualname__))).replace(
        "def _ad_user(", f"def {f.__name__}(", 1
    )


def _tree(code, globals_, qualname):
    """The rewritten function, as a syntax tree."""
    import copy

    node = copy.deepcopy(find(code, globals_))
    parts = qualname.split(".")
    class_name = parts[-2] if len(parts) > 1 and parts[-2] != "<locals>" else None
    free = code.co_freevars
    rewriter = Function(Names(free, globals_, class_name))
    if isinstance(node, ast.Lambda):
        node = rewriter.lambda_(node)
        node.args.defaults, node.args.kw_defaults = [], [None] * len(node.args.kwonlyargs)
        return node
    node = rewriter.function(node)
    node.decorator_list, node.returns = [], None
    rewriter.defaults(node.args)
    node.args.defaults = []
    node.args.kw_defaults = [None] * len(node.args.kwonlyargs)
    node.name = "_ad_user"  # not its own: a name it calls itself by belongs to the outside
    return node


def _rewrite(code, globals_, qualname):
    node = _tree(code, globals_, qualname)
    body = ast.copy_location(ast.Return(node), node) if isinstance(node, ast.Lambda) else node
    free = code.co_freevars
    cells = (*free, RUNTIME) if RUNTIME not in free else free
    factory = ast.FunctionDef(
        "_ad_factory",
        ast.arguments([], [ast.arg(x) for x in cells], None, [], [], None, []),
        [body],
        [],
        None,
        type_params=[],
    )
    ast.copy_location(factory, node)
    tree = ast.fix_missing_locations(ast.Module([factory], []))
    made = compile(tree, code.co_filename, "exec", dont_inherit=True, flags=code.co_flags & _FUTURE)
    outer = next(c for c in made.co_consts if isinstance(c, types.CodeType))
    inner = next(c for c in outer.co_consts if isinstance(c, types.CodeType) and c.co_name in ("_ad_user", "<lambda>"))
    inner = _renamed(inner, code.co_name, code.co_qualname, code.co_firstlineno)
    return inner, inner.co_freevars


_FUTURE = 0x1000000  # from __future__ import annotations


def _renamed(code, user_name, qualname, first, between=".<locals>"):
    """The generated functions inside carry the user's name, so that tracebacks read as the user's text does."""
    new = {}
    if first is not None:
        new.update(co_firstlineno=first)
    elif not code.co_name.startswith("_ad_"):  # a function of the user's inside
        user_name = code.co_name
        qualname = f"{qualname}{between}.{user_name}"
    between = ".<locals>" if code.co_flags & 2 else ""  # else the body of a class
    consts = [
        _renamed(c, user_name, qualname, None, between) if isinstance(c, types.CodeType) else c for c in code.co_consts
    ]
    code = code.replace(co_name=user_name, co_qualname=qualname, co_consts=tuple(consts), **new)
    GENERATED.add(id(code))
    _kept.append(code)
    return code


_kept: list = []


RUNTIMES: list = []  # the class of what the text of a copy calls, which runtime.py defines: it needs copies itself


def copy_function(f):
    """The copy of a plain function; raises NoSource."""
    code, cells = rewritten(f.__code__, f.__globals__, f.__qualname__)
    own = dict(zip(f.__code__.co_freevars, f.__closure__ or (), strict=True))
    own[RUNTIME] = types.CellType(RUNTIMES[0](f))
    g = types.FunctionType(code, f.__globals__, f.__name__, f.__defaults__, tuple(own[x] for x in cells))
    g.__kwdefaults__ = f.__kwdefaults__
    g.__qualname__ = f.__qualname__
    g.__dict__.update(f.__dict__)
    g.__doc__ = f.__doc__
    g.__module__ = f.__module__
    return g
