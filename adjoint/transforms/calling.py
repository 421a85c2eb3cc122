"""Between the user's values and a trace: pick the arguments, make leaves, call the function, hand back what comes out.

What goes out has the kind that came in: Python floats, NumPy scalars, arrays, tensors; in the user's containers.
"""

import functools
import os
from threading import get_ident

import numpy as np

from ..core import tree
from ..core.closures import lifted
from ..core.config import config
from ..core.derived import derive
from ..core.errors import (
    AdjointError,
    ConcreteError,
    DTypeError,
    LeakError,
    MutationError,
    ShapeError,
    defined,
    raised,
    rewriting,
    surfaced,
    users_file,
    warn,
    where,
)
from ..core.op import check_array, labels
from ..core.tensor import Tensor, is_tensor, set_class, untracked
from ..core.types import Array, native, typeof
from ..primitives.kinds import as_array, cast, zeros_like
from ..primitives.shape import python_number
from ..traces.forward import Dual
from ..traces.reverse import walk


class Arguments:
    """The arguments of one call, some of them picked for differentiation.

    argnums: an int, a keyword, or a tuple of them. `leaves` are the picked arguments' arrays and numbers, flat.
    """

    __slots__ = ("args", "keys", "kwargs", "leaves", "single", "structures")

    def __init__(self, name, f, argnums, args, kwargs):
        self.single = type(argnums) is not tuple and type(argnums) is not list
        self.args = args
        self.kwargs = kwargs
        self.keys = []
        self.structures = []
        self.leaves = []
        for key in (argnums,) if self.single else argnums:
            arg, key = self._argument(name, f, key)
            if key in self.keys:
                raise DTypeError(
                    f"{name} of {defined(f)}: argnums {argnums!r} names argument {label(f, key)} twice{where()}"
                )
            self.keys.append(key)
            kind = type(arg)
            if kind is float or (kind is np.ndarray and arg.dtype.kind == "f" and arg.dtype.isnative):  # most of them
                self.structures.append(tree.LEAF)
                self.leaves.append(arg)
                continue
            leaves, structure = tree.flatten(arg)
            for i, leaf in enumerate(leaves):
                check_input(name, leaf, lambda arg=arg, key=key, i=i: tree.paths(arg, label(f, key))[i])
            if not leaves:
                raise DTypeError(
                    f"{name} of {defined(f)}: argument {label(f, key)} is {arg!r:.60} and holds nothing to differentiate{where()}; "
                    "pass floating-point numbers or arrays"
                )
            self.structures.append(structure)
            self.leaves += [native(np.asarray(x)) if _is_array(x) else x for x in leaves]

    def _argument(self, name, f, key):
        if isinstance(key, str):
            if key not in self.kwargs:
                raise ShapeError(
                    f"{name} of {defined(f)}: argnums names {key!r}, but the call has no such keyword{where()}"
                )
            return self.kwargs[key], key
        try:
            index = key.__index__()
        except AttributeError:
            raise DTypeError(f"{name}: argnums must be an int, a keyword, or a tuple of them, not {key!r}") from None
        n = len(self.args)
        if not -n <= index < n:
            raise ShapeError(
                f"{name} of {defined(f)}: argnums is {index}, but the call has {n} positional argument{'s' * (n != 1)}{where()}; "
                "argnums counts from 0, and names keywords by a string"
            )
        return self.args[index], index % n

    def call(self, f, tensors):
        """f with the picked leaves replaced."""
        args = list(self.args)
        kwargs = self.kwargs and dict(self.kwargs)
        at = 0
        for key, structure in zip(self.keys, self.structures, strict=True):
            if structure is tree.LEAF:
                value = tensors[at]
                at += 1
            else:
                value = tree.unflatten(structure, tensors[at : at + structure.leaves])
                at += structure.leaves
            if isinstance(key, str):
                kwargs[key] = value
            else:
                args[key] = value
        return call(f, args, kwargs, tensors)

    def collect(self, values):
        """Flat values as the picked arguments are: one container, or a tuple of them."""
        if self.single and self.structures[0] is tree.LEAF:
            return values[0]
        out = []
        at = 0
        for structure in self.structures:
            out.append(tree.unflatten(structure, values[at : at + structure.leaves]))
            at += structure.leaves
        return out[0] if self.single else tuple(out)


def label(f, key):
    """What the user calls an argument, given by its place or as a keyword."""
    while hasattr(f, "__wrapped__"):  # a transform of a function: the user's names are the function's
        f = f.__wrapped__
    code = getattr(f, "__code__", None)
    if isinstance(key, str):
        return key
    return code.co_varnames[key] if code and key < code.co_argcount else f"argument {key}"


def check_input(name, x, path):
    """Raise unless x can be differentiated: floating, and a number at all. `path()` names it."""
    kind = type(x)
    if kind is float or (kind is np.ndarray and x.dtype.kind in "fc"):
        return
    if kind is not np.ndarray and (_is_array(x) or labels(kind)):
        check_array(x, f" as {path()}")
    try:
        dtype = typeof(x).dtype
    except (TypeError, AttributeError):
        raise DTypeError(
            f"{name}: {path()} is a {kind.__name__}, which cannot be differentiated{where()}; "
            "pass numbers, arrays or containers of them, or choose another argument with argnums"
        ) from None
    if dtype.kind in "fc":
        return
    if dtype.kind in "iub":
        way = f"{path()} = float(...)" if kind in (int, bool) else f"{path()}.astype(float)"
        raise DTypeError(
            f"{name}: {path()} is {'a Python ' + kind.__name__ if kind in (int, bool) else 'an array of ' + str(dtype)}, "
            f"and derivatives are with respect to floating-point numbers{where()}; "
            f"convert it, {way}, or choose another argument with argnums"
        )
    raise DTypeError(
        f"{name}: {path()} has dtype {dtype}, which cannot be differentiated{where()}; convert it to float"
    )


_FILL = (
    "mark the function @ad.differentiable, in which a[i] = x works as it stands (ad.jit does the same); make the array with "
    "adjoint.numpy (import adjoint.numpy as np); or join the parts with np.stack or np.concatenate"
)


_LOSSES = (LeakError, ConcreteError, MutationError)
COPIES: list = []  # call_copy and again of compiler.syntax, which comes later and puts them in
_losing: dict = {}  # id of a code object -> it, of functions that lose a derivative as they stand: they run as copies at once


def call(f, args, kwargs, leaves=None):
    """f(*args, **kwargs); where f loses a derivative as it stands, its copy in its place, which may not (config.rewrite).

    leaves: the tensors among the arguments, where they may be in containers.
    """
    copy_of = rewriting.get()
    if copy_of is not None:
        return _worded(copy_of(f), args, kwargs)
    if _losing and id(_code(f)) in _losing and config.rewrite:
        return _worded(COPIES[0], (f, args, kwargs), {})
    # what f writes into its arguments before it breaks off is undone for the copy (and what is held here, is not written in place)
    states = _states(filter(is_tensor, args) if leaves is None else leaves)
    before = raised[0]
    try:
        y = _worded(f, args, kwargs)
    except _LOSSES as error:
        ours = error
    else:
        return y if raised[0] == before or raised[2] != get_ident() else _swallowed(f, args, kwargs, states, y, before)
    try:  # here: within the handler, what was lost would become the context of what the copy raises
        code = _code(f)
        if config.rewrite and code is not None:
            _restore(states)
            done, y = _worded(COPIES[1], (f, args, kwargs), {})
            if done:
                _losing[id(code)] = code
                raised[0] = before  # for a transform further out, nothing was lost
                return y
            if y:
                ours.add_note(f"it was not called again as a copy that keeps the derivative: {y}")
        if any(
            type(a) is list and a and all(is_tensor(x) and not x.shape for x in a) for a in (*args, *kwargs.values())
        ):
            ours.add_note(
                "an argument is a list of numbers, which is a container here, and no array: pass np.array(...)"
            )
        raise ours
    finally:
        del ours  # it holds this frame


def loses(f):
    """Whether f is known to lose a derivative as it stands: it is called as its copy."""
    return id(_code(f)) in _losing


def _states(tensors):
    return [(x, type(x), x.value, x.trace, x.info) for x in tensors]


def _restore(states):
    for x, kind, value, trace, info in states:
        if trace is not None and x.info is not info:
            set_class(x, kind)
            x.value, x.trace, x.info = value, trace, info


def _swallowed(f, args, kwargs, states, y, before):
    """What f gives as a copy, in the place of y, on the way to which it caught an error about a lost derivative."""
    code, told = _code(f), raised[1]
    if not config.rewrite or code is None:
        return y
    now = _states(x for x, *_ in states)
    _restore(states)
    try:
        done, other = _worded(COPIES[1], (f, args, kwargs), {})
    except AdjointError as error:
        done, other = False, str(error)
    raised[0] = before
    if done:
        _losing[id(code)] = code
        return other
    _restore(now)
    if other:
        warn(
            f"{defined(f)} caught an error about a lost derivative, and what it did then is differentiated: {told[1][0]} ({other})"
        )
    return y


def callbacks(args, *functions):
    """`lifted`, for functions that a library calls back: each is called as a transform calls its function, and gives arrays for lists."""
    return lifted(args, *[functools.partial(_called, f) if callable(f) else f for f in functions])


def _called(f, /, *args, **kwargs):
    y = call(f, args, kwargs)
    return as_array(y) if type(y) is list else y


def _worded(f, args, kwargs):
    """f(*args, **kwargs), with NumPy's and SciPy's errors about tensors put in words of ours."""
    before = raised[0]
    try:
        return f(*args, **kwargs)
    except AdjointError:
        raise
    except Exception as error:
        ours = _in_our_words(error, before)
        if ours is None:
            raise
    try:
        raise ours  # here: within the handler, what hid it would become its context
    finally:
        del ours  # it holds this frame


def _code(f):
    """The code of a plain function, a method, a partial or an object that is called; None where Python has none."""
    while type(f) is functools.partial:
        f = f.func
    code = getattr(f, "__code__", None)
    return code if code is not None else getattr(getattr(type(f), "__call__", None), "__code__", None)  # noqa: B004


def _in_our_words(error, before):
    """What to raise in the place of an error of NumPy's or SciPy's about a tensor; None for any other."""
    hidden = surfaced(error, before)
    if hidden is not None or not isinstance(error, (ValueError, TypeError)):
        return hidden
    cause = error.__cause__ or error.__context__
    line = _line(error)
    if isinstance(cause, LeakError):
        ours = LeakError(
            f"a tensor that is being differentiated was stored in a NumPy array, which would lose its derivative{line}; {_FILL}"
        )
    elif isinstance(cause, ConcreteError):
        ours = ConcreteError(
            f"a tensor whose value is not known here (batched or captured) was stored in a NumPy array{line}; {_FILL}"
        )
    elif "read-only" in str(error):
        ours = MutationError(
            f"an array was changed after it had been recorded for the backward pass{line}; write into a copy of it "
            "(or turn the guard off with ad.config(guard=False), if you know that it is not read again)"
        )
    else:
        return None
    ours.__cause__ = error
    return ours.with_traceback(error.__traceback__)


def _line(error):
    """The innermost line of the traceback that is neither ours nor NumPy's."""
    tb = error.__traceback__
    found = None
    while tb is not None:
        if users_file(tb.tb_frame.f_code.co_filename):
            found = tb
        tb = tb.tb_next
    return f" ({os.path.basename(found.tb_frame.f_code.co_filename)}:{found.tb_lineno})" if found else ""


def strip(trace, x):
    """x without this trace: (value one level down, info or None). Raises for a tensor whose transform has ended."""
    if is_tensor(x) and x.trace is not None:
        if x.trace is trace:
            return x.value, x.info
        if x.trace.ended:
            x.trace.escaped()
        if x.trace.level > trace.level:  # of y.attach_grad() in there: the value that it was given knows the trace
            return strip(trace, x.trace.concrete(x, "the result"))
    return x, None


def like(x, g):
    """A gradient as its input x is: Python float, NumPy scalar, array or tensor; x's dtype; owned by the caller."""
    kind = type(x)
    if kind is np.ndarray and type(g) is np.ndarray:
        return g if g.dtype is x.dtype else cast(g, x.dtype)
    if type(g) is np.float64:
        if kind is float:
            return g.item()
        if kind is np.ndarray and x.dtype is g.dtype:
            return np.array(g)
    if g is None:
        g = zeros_like(x)
    t = typeof(x)
    if is_tensor(g):
        g = g if typeof(g).dtype == t.dtype else cast(g, t.dtype)
        return python_number(g) if t.weak else g  # of a Python float that is captured, batched or recorded further out
    if is_tensor(x):
        g = cast(np.asarray(g), t.dtype)
        return untracked(g.item() if t.weak else g)
    if kind is float:
        return float(g.real) if isinstance(g, (complex, np.complexfloating)) else float(g)
    if kind is complex:
        return complex(g)
    if kind is np.ndarray:
        return cast(np.asarray(g), t.dtype)
    return kind(cast(np.asarray(g), t.dtype)[()])


def _is_array(x):
    return isinstance(x, np.ndarray) and not is_tensor(x)


def own(values, held=()):
    """Plain arrays as they go out: the caller may write into each, and changes neither another one nor those `held`."""
    seen = {id(_root(x)) for x in held}
    out = []
    for x in values:
        if type(x) is np.ndarray:
            root = _root(x)
            if id(root) in seen or type(root) is not np.ndarray or not x.flags.writeable:
                x = root = x.copy()
            seen.add(id(root))
        out.append(x)
    return out


def copied(values):
    """Values as they go out while a recording still reads them: the caller may write into his own."""
    return [x.copy() if type(x) is np.ndarray else x for x in values]


def _root(x):
    """What holds the memory of an array."""
    if is_tensor(x) and x.trace is None:
        x = x.value
    while type(x) is np.ndarray and x.base is not None:
        x = x.base
    return x


def result(x, as_tensor):
    """A value as it goes out: tensors for users of tensors, plain values for others."""
    if is_tensor(x):
        return x if x.trace is not None or as_tensor else x.value
    return untracked(x) if as_tensor and isinstance(x, (np.ndarray, np.generic, float, int, complex)) else x


def wants_tensors(leaves):
    """Whether the user works with tensors: they get tensors back."""
    for leaf in leaves:
        if is_tensor(leaf):
            return True
    return False


def backprop(seeds):
    """Walk back from `seeds`, pairs (node, cotangent): {serial: cotangent} at the leaves. See `pull_back`."""
    return {k: g for k, (_, g) in pull_back(seeds).items()}


def pull_back(seeds):
    """Walk back from `seeds`, pairs (node, cotangent): {serial: (node, cotangent)} at the leaves.

    The walk multiplies plainly. Where that gave a NaN (0 * inf), the walk is repeated with rules that select.
    """
    for _, g in seeds:
        if is_tensor(g):
            return walk(seeds, careful=True)
    with np.errstate(all="ignore"):
        leaves = walk(seeds)
        for _, g in leaves.values():
            if _has_nan(g):
                if not config.ieee:
                    leaves = walk(seeds, careful=True)
                break
    held = {id(g) for _, g in seeds}
    for k, (node, g) in leaves.items():
        if type(g) is np.ndarray:
            # the caller owns what it gets: not the seed, no view, and each leaf its own
            if id(g) in held or g.base is not None or not g.flags.writeable:
                g = g.copy()
                leaves[k] = (node, g)
            held.add(id(g))
    return leaves


def _has_nan(g):
    if type(g) is np.float64:
        return g != g
    if type(g) is np.ndarray:
        if g.dtype.kind == "f" and g.flags.c_contiguous:
            r = g.reshape(-1)
            # BLAS divides long vectors among its threads, which takes longer than the sum where others use the cores
            s = r.dot(r) if r.size < 10_000 else np.add.reduce(r)
            return s != s and bool(np.isnan(r).any())
        return bool(np.isnan(g).any())
    if is_tensor(g):  # one transform further out: what it sees
        return _has_nan(g.value) or (type(g.trace) is Dual and g.info is not None and _has_nan(g.info))
    return type(g) is not Array and bool(g != g)


def named(run, f, what, maker, *args):
    """`run` with f's name and signature, and a docstring that says what it is of f. maker(*args) makes it again."""
    doc = f"The {what} of {getattr(f, '__name__', f)}.\n\n{getattr(f, '__doc__', None) or ''}"
    return derive(run, f, what, maker, *args, doc=doc)


def described(y):
    """What a function returned, in a few words for a message."""
    if type(y) in (tuple, list, dict):
        return f"a {type(y).__name__} of {len(y)}"
    try:
        return f"{typeof(y)}"
    except TypeError:
        return repr(y)[:60]


def without_handle(x):
    """The value in an untracked tensor; all else as it is."""
    return x.value if type(x) is Tensor and x.trace is None else x
