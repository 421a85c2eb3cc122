"""What functions read from outside, in their closures and defaults: the tensors among it are found, and made arguments.

A solver or an integrator is given a function, and the derivative is wanted with respect to what is in its `args`. As people
write it, `quad(lambda t: np.sin(a * t), 0, 1)`, the parameter stands in the closure.
"""

import functools
import types

from .tensor import is_tracked


def lifted(args, *functions):
    """(args, *functions), with the tensors that the functions read from outside as further arguments behind args.

    >>> lifted((1.0,), abs)
    ((1.0,), <built-in function abs>)
    """
    found: dict = {}  # id of a tensor -> it
    seen: set = set()
    for f in functions:
        _find(f, found, seen)
    if not found:
        return (args, *functions)
    return ((*args, *found.values()), *(_further(f, tuple(found)) if callable(f) else f for f in functions))


def reads_tensors(f):
    """Whether a function reads tensors that are being differentiated or captured from outside."""
    found: dict = {}
    _find(f, found, set())
    return bool(found)


def _further(f, places):
    """f as a function of the tensors too, which are its last arguments."""
    last: list = [None, None]

    def g(*args, **kwargs):
        n = len(args) - len(places)
        values = args[n:]
        if last[0] is None or any(a is not b for a, b in zip(last[0], values, strict=True)):
            last[:] = values, _with(f, dict(zip(places, values, strict=True)), {})
        return last[1](*args[:n], **kwargs)

    return functools.wraps(f)(g) if hasattr(f, "__name__") else g


def _outside(f):
    """What a function can read without a global name: the contents of its cells, its defaults, what a partial holds."""
    if type(f) is functools.partial:
        return [f.func, *f.args, *f.keywords.values()]
    if type(f) is types.MethodType:
        return [f.__func__]
    if type(f) is not types.FunctionType:
        return []
    return [*map(_content, f.__closure__ or ()), *(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]


def _content(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not bound yet
        return None


def _find(x, found, seen):
    if is_tracked(x):
        found[id(x)] = x
    elif type(x) in (types.FunctionType, types.MethodType, functools.partial):
        if id(x) not in seen:
            seen.add(id(x))
            for y in _outside(x):
                _find(y, found, seen)
    elif type(x) in (list, tuple, dict) and id(x) not in seen:
        seen.add(id(x))
        for y in x.values() if type(x) is dict else x:
            _find(y, found, seen)


def _with(x, values, memo):
    """x reading other values in place of the tensors; the same object where it reads none of them."""
    if id(x) in values:
        return values[id(x)]
    kind = type(x)
    if kind in (list, tuple, dict):
        old = list(x.values() if kind is dict else x)
        new = [_with(y, values, memo) for y in old]
        if all(a is b for a, b in zip(old, new, strict=True)):
            return x
        return dict(zip(x, new, strict=True)) if kind is dict else kind(new)
    if kind is functools.partial:
        parts = [_with(y, values, memo) for y in (x.func, *x.args)]
        return kind(*parts, **{k: _with(y, values, memo) for k, y in x.keywords.items()})
    if kind is types.MethodType:
        return kind(_with(x.__func__, values, memo), x.__self__)
    if kind is not types.FunctionType:
        return x
    if id(x) in memo:  # it reads itself
        return memo[id(x)]
    if not reads_tensors(x):
        return x
    cells = [types.CellType() for _ in x.__closure__ or ()]
    f = memo[id(x)] = types.FunctionType(x.__code__, x.__globals__, x.__name__, None, tuple(cells))
    f.__dict__.update(x.__dict__)
    f.__qualname__ = x.__qualname__
    f.__defaults__ = x.__defaults__ and tuple(_with(y, values, memo) for y in x.__defaults__)
    f.__kwdefaults__ = x.__kwdefaults__ and {k: _with(y, values, memo) for k, y in x.__kwdefaults__.items()}
    for cell, old in zip(cells, x.__closure__ or (), strict=True):
        try:
            content = old.cell_contents
        except ValueError:
            continue
        cell.cell_contents = _with(content, values, memo)
    return f
