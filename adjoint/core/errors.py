"""The errors, and where the user's code was. A message says what happened, where, and what to do.

AdjointError
    DTypeError        (TypeError)        a dtype or type without derivative
    ShapeError        (ValueError)       shapes that do not fit
    LeakError         (TypeError)        a conversion that would lose the derivative
    ConcreteError     (TypeError)        a Python decision on a value that is not known (captured or batched)
    EscapeError       (RuntimeError)     a tensor used after its transform ended
    UntrackedError    (RuntimeError)     backward or grad on a tensor that nothing was recorded for
    ReleasedError     (RuntimeError)     a backward pass over a graph already released
    MutationError     (ValueError)       a write that would make a recorded derivative wrong
    RuleError         (TypeError)        a derivative rule that returned something else than it must
    MissingRuleError  (NotImplementedError)  no derivative rule, or no support for an argument
    CheckError        (AssertionError)   a derivative that disagrees with finite differences
"""

import functools
import os
import sys
import warnings
from contextvars import ContextVar
from threading import get_ident

# While rewritten code runs: a function from a user's function to its copy (compiler.syntax), so that what a transform calls
# is rewritten too. It is here because messages ask it: they do not advise what is on already.
rewriting: ContextVar = ContextVar("adjoint_rewriting", default=None)

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# copy.deepcopy(x), functools.reduce(f, xs): the standard library's own frames, but not those of packages below it
_NOT_USERS = (
    _HERE,
    "<__array_function__",
    *(os.path.join(os.path.dirname(os.__file__), f) for f in ("copy.py", "functools.py")),
)
_OTHERS = (os.sep + "numpy" + os.sep, os.sep + "scipy" + os.sep)


class AdjointError(Exception):
    """The base of all errors of this package."""


class DTypeError(AdjointError, TypeError):
    """A dtype, or a type, that has no derivative."""


class ShapeError(AdjointError, ValueError):
    """Shapes that do not fit together."""


raised = [
    0,
    None,
    0,
]  # how many of the two errors below there were, (class, arguments) of the last, its thread: see `surfaced`


class _AskedError(AdjointError, TypeError):
    """Code that is not ours asked a tensor for what it cannot give; and may put an error of its own in the place of ours."""

    def __init__(self, *args):
        super().__init__(*args)
        raised[:] = raised[0] + 1, (type(self), args), get_ident()


class LeakError(_AskedError):
    """A conversion that would silently lose the derivative."""


class ConcreteError(_AskedError):
    """Python asked for the value of something that is not known: a captured or a batched tensor."""


class EscapeError(AdjointError, RuntimeError):
    """A tensor was used after the transform that made it had ended."""


class UntrackedError(AdjointError, RuntimeError):
    """Backward, or a gradient, asked of a tensor that nothing was recorded for."""


class ReleasedError(AdjointError, RuntimeError):
    """A backward pass over a graph that an earlier one released."""


class MutationError(AdjointError, ValueError):
    """A write that would make a recorded derivative wrong."""


class RuleError(AdjointError, TypeError):
    """A derivative rule returned something else than it must."""


class MissingRuleError(AdjointError, NotImplementedError):
    """There is no derivative rule for this, or an argument is not supported."""


def refused(what):
    """The error for an argument or an option without a derivative."""
    return MissingRuleError(f"{what}{where()}; use what has a derivative, or give the whole a rule, ad.custom_rule")


class CheckError(AdjointError, AssertionError):
    """A derivative disagrees with finite differences."""


def user_frame():
    """The innermost frame outside this package and NumPy, or None."""
    frame = sys._getframe(1)
    while frame is not None:
        if users_file(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None


@functools.lru_cache(4096)  # asked for some ten frames at each op that is captured
def users_file(name):
    """Whether a file is the user's."""
    return not name.startswith(_NOT_USERS) and not any(part in name for part in _OTHERS)


def in_scipy():
    """What of SciPy the user's line is in now, as `optimize.brentq` or `spatial.transform.Rotation.apply`; '' if nothing."""
    frame = sys._getframe(1)
    found = None
    while frame is not None:
        name = frame.f_code.co_filename
        if _OTHERS[1] in name and not name.startswith(_HERE):
            if found is None or not frame.f_globals["__name__"].startswith("scipy._"):  # a decorator's
                found = frame
        elif not name.startswith(_NOT_USERS) and _OTHERS[0] not in name:
            break
        frame = frame.f_back
    if found is None:
        return ""
    module = found.f_globals["__name__"].split(".")[1:]
    public = module[: next((i for i, part in enumerate(module) if part.startswith("_")), len(module))] or module[:1]
    name = getattr(found.f_code, "co_qualname", found.f_code.co_name).split(".<locals>")[0]
    for made in (".__init__", ".__new__", ".__call__"):
        name = name.removesuffix(made)
    return ".".join((*public, name))


def as_it_stands(what):
    """The advice to mark the function, where it is not marked or compiled already."""
    return "" if rewriting.get() else f"mark the function @ad.differentiable, in which {what} (ad.jit does the same); "


_names: dict = {}  # file -> what a message calls it; '' where it is not the user's


def user_line():
    """The user's line as `file.py:12`, or '' when there is none."""
    frame = sys._getframe(1)
    while frame is not None:  # as user_frame, with nothing called: it is asked at each op that is captured
        file = frame.f_code.co_filename
        name = _names.get(file)
        if name is None:
            if len(_names) >= 4096:
                _names.clear()
            name = _names[file] = os.path.basename(file) if users_file(file) else ""
        if name:
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


def where():
    """` (model.py:12)`, for the end of a sentence in a message; '' when no user's frame is found."""
    line = user_line()
    return f" ({line})" if line else ""


def surfaced(error, before):
    """What SciPy hid behind an error of its own: an error of ours, or one of the user's; None where nothing is hidden.

    before: `raised[0]` at the start of the call that failed.
    """
    chain: dict = {}
    last, broken = error, False
    while last is not None and id(last) not in chain:
        chain[id(last)] = root = last
        broken = broken or (type(last) is SystemError and "exception set" in str(last))
        last = last.__cause__ or last.__context__
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    hides = type(error).__module__ == "struct"  # which asks for a float, and says only that it got none
    if not (broken or hides) and (tb is None or not any(part in tb.tb_frame.f_code.co_filename for part in _OTHERS)):
        return None
    for e in chain.values():
        if isinstance(e, _AskedError):
            return e.with_traceback(error.__traceback__)
    if broken:  # C code went on after a callback had failed
        return root if root is not error else None
    if raised[0] == before:
        return None
    ours = raised[1][0](*raised[1][1])  # it was printed and forgotten, as by fsolve
    ours.__cause__ = error
    return ours.with_traceback(error.__traceback__)


def warn(message, category=RuntimeWarning):
    """Warn, at the user's line."""
    frame = user_frame()
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    names = frame.f_globals
    seen = names.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        message, category, frame.f_code.co_filename, frame.f_lineno, names.get("__name__", "<unknown>"), seen
    )


def defined(f):
    """`loss (model.py:12)`: the name of a function and where it is defined."""
    f = getattr(f, "__wrapped__", f)
    name = getattr(f, "__name__", type(f).__name__)
    code = getattr(f, "__code__", None)
    return f"{name} ({os.path.basename(code.co_filename)}:{code.co_firstlineno})" if code else name
