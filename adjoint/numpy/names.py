"""From the tables of rules to names: what of a NumPy module has a function of ours.

A name of ours is NumPy's own function wherever no tensor is among the arguments: with all its keywords (out=, where=,
casting= ...), subclasses, dtypes and errors. A call of NumPy's function finds out the same by NumPy's protocols, which do
not look into lists.
"""

import functools
import types

import numpy as np

from ..core.tensor import FUNCTIONS, UFUNCS, Flat, Tensor, deliver
from ..primitives.kinds import as_array

_METHODS = ("reduce", "accumulate", "reduceat", "outer", "at")
_FACTS = ("nin", "nout", "nargs", "ntypes", "types", "identity", "signature", "resolve_dtypes")
_MAKERS = (
    np.empty_like,
    np.zeros_like,
    np.ones_like,
    np.full_like,
    np.linspace,
    np.geomspace,
    np.logspace,
)  # tensors, always
_CALLERS = (np.apply_along_axis, np.piecewise)  # what they call may return tensors
_MORE = {"descending"}  # keywords that NumPy has not, and the array API standard has


def ours(module):
    """{name: our function} for each function of a NumPy module that is in the tables, under all its names."""
    found = {}
    for name, f in vars(module).items():
        if not name.startswith("_") and callable(f) and not isinstance(f, type):
            mine = FUNCTIONS.get(f) or UFUNCS.get(f)
            if mine is not None:
                found[name] = mine if f in _MAKERS else _ufunc(f, mine) if type(f) is np.ufunc else front(f, mine)
    return found


def stand_before(namespace, module, but=()):
    """In the globals of a module of ours: each function that `module` has too becomes a front of it, but those named."""
    for name, mine in list(namespace.items()):
        theirs = getattr(module, name, None)
        if (
            type(mine) is types.FunctionType
            and name not in but
            and name[0] != "_"
            and callable(theirs)
            and theirs is not mine
        ):
            namespace[name] = (_ufunc if type(theirs) is np.ufunc else front)(theirs, mine)


_made: dict = {}  # so that two names of one function stay one function


def front(theirs, mine):
    """mine where a tensor is among the arguments, else theirs: the function of another library, for which mine stands."""
    if theirs in _made:
        return _made[theirs]
    calls = theirs in _CALLERS

    @functools.wraps(mine)
    def call(*args, **kwargs):
        for a in args:
            kind = type(a)
            if kind is Flat or kind is Tensor:
                break
        else:
            if not (
                calls
                or _any_tensor(args)
                or (kwargs and (_any_tensor(kwargs.values()) or not _MORE.isdisjoint(kwargs)))
            ):
                return theirs(*args, **kwargs)
        return deliver(mine, args, kwargs) if "out" in kwargs else mine(*args, **kwargs)

    _made[theirs] = call
    return call


def _ufunc(theirs, mine):
    if theirs in _made:
        return _made[theirs]

    def rest(args, kwargs):
        if _any_tensor(args):
            args = map(as_array, args)  # NumPy asks tensors, and finds `mine`; it does not look into lists
        return theirs(*args, **kwargs)

    def one(x, /, *more, **kwargs):
        if (type(x) is Flat or type(x) is Tensor) and not more and not kwargs:
            return mine(x)
        return rest((x, *more), kwargs)

    def two(x1, x2, /, *more, **kwargs):
        if (
            (type(x1) is Flat or type(x2) is Flat or type(x1) is Tensor or type(x2) is Tensor)
            and not more
            and not kwargs
        ):
            return mine(x1, x2)
        return rest((x1, x2, *more), kwargs)

    def many(*args, **kwargs):
        if kwargs or len(args) != theirs.nin or not _any_tensor(args):
            return rest(args, kwargs)
        return mine(*args)

    call = functools.wraps(mine)(one if theirs.nin == 1 else two if theirs.nin == 2 else many)
    if type(mine) is types.FunctionType:
        for name in _METHODS + _FACTS:  # the methods are NumPy's own, which ask their arguments, and so find ours
            setattr(call, name, getattr(theirs, name))
    _made[theirs] = call
    return call


def _any_tensor(xs):
    """Whether one of them is a tensor, or a list that holds one."""
    for x in xs:
        kind = type(x)
        if kind is Flat or kind is Tensor:
            return True
        if (kind is list or kind is tuple) and _any_tensor(x):
            return True
    return False
