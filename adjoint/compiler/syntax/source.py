"""From a function to the syntax tree of its text, with the line numbers of the user's file."""

import ast
import inspect
import linecache
import os
import sys
import textwrap

from ...core.config import LOADED


class NoSource(Exception):
    """The text of a function is not to be had (exec, `python -c`, the plain prompt), or is ambiguous; says why."""


def find(code, globals_):
    """The FunctionDef or Lambda node of a code object. Raises NoSource."""
    lines = linecache.getlines(code.co_filename, globals_) or _command(code)
    if not lines:
        raise NoSource("Python did not keep its text (exec, python -c or the plain prompt)")
    if not 0 < code.co_firstlineno <= len(lines) or not _as_loaded(code, lines):
        raise NoSource("its text has changed since it was loaded")
    node = _lambda(code, lines) if code.co_name == "<lambda>" else _def(code, lines)
    if _parameters(node) != code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        raise NoSource("its text has changed since it was loaded")
    return node


def _as_loaded(code, lines):
    """Whether these lines say what was loaded: a file may have been edited in the meantime, and the copy would be of what it says now."""
    try:
        if os.stat(code.co_filename).st_mtime < LOADED:
            return True
        whole = compile("".join(lines), code.co_filename, "exec", dont_inherit=True)
    except OSError:  # no file: a cell of a notebook
        return True
    except SyntaxError:
        return False
    return code in codes(whole)


def _command(code):
    """The text of `python -c`, if the code is of it: what exec compiles bears the same name."""
    argv = sys.orig_argv
    if code.co_filename != "<string>" or "-c" not in argv[:-1]:
        return []
    text = argv[argv.index("-c") + 1]
    try:
        whole = compile(text, "<string>", "exec", dont_inherit=True)
    except SyntaxError:
        return []
    return text.splitlines(keepends=True) if code in codes(whole) else []


def codes(code):
    """A code object and those inside it."""
    yield code
    for x in code.co_consts:
        if type(x) is type(code):
            yield from codes(x)


def _parameters(node):
    a = node.args
    return tuple(p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs))


def _def(code, lines):
    block = "".join(inspect.getblock(lines[code.co_firstlineno - 1 :]))
    try:
        tree = ast.parse(textwrap.dedent(block))
    except SyntaxError:
        # text that goes further left than the def itself, as in a multi-line string
        tree = ast.parse("if 1:\n" + block) if block[:1].isspace() else None
        if tree is None:
            raise NoSource("its text could not be read") from None
        ast.increment_lineno(tree, -1)
        tree = tree.body[0]
    node = tree.body[0]
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or node.name != code.co_name:
        raise NoSource("its text has changed since it was loaded")
    ast.increment_lineno(node, code.co_firstlineno - 1)
    return node


_files: dict = {}  # file name -> (its lines, the lambdas in it)


def _lambda(code, lines):
    """The lambda whose place in the file covers the places of the code's instructions."""
    known = _files.get(code.co_filename)
    if known is None or known[0] is not lines:
        try:
            tree = ast.parse("".join(lines))
        except SyntaxError:
            raise NoSource("its text could not be read") from None
        _files[code.co_filename] = known = (lines, [n for n in ast.walk(tree) if isinstance(n, ast.Lambda)])
    here = [n for n in known[1] if n.lineno == code.co_firstlineno]
    if len(here) > 1:
        places = [p for p in code.co_positions() if None not in p]
        places = [p for p in places if p[3] > p[2] or p[1] > p[0]]
        here = [n for n in here if places and all(_covers(n.body, p) for p in places)]
        if len(here) > 1:  # a lambda in a lambda: the smallest that covers the code
            here = [n for n in here if not any(m is not n and _inside(m, n) for m in here)]
    if len(here) != 1:
        raise NoSource("several lambdas stand on its line; give each a line, or a name with def")
    return here[0]


def _covers(body, place):
    line, end_line, column, end_column = place
    return (body.lineno, body.col_offset) <= (line, column) and (end_line, end_column) <= (
        body.end_lineno,
        body.end_col_offset,
    )


def _inside(a, b):
    return (b.lineno, b.col_offset) <= (a.lineno, a.col_offset) and (a.end_lineno, a.end_col_offset) <= (
        b.end_lineno,
        b.end_col_offset,
    )
