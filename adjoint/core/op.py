"""Op, Trace, bind: what is known of one primitive, who interprets it, and how the two meet.

Dispatch follows the data: `bind` gives an op to the youngest trace among its arguments, and where there is none, to
NumPy. There is no stack of traces and no current one: `x.attach_grad(); y.backward()` has no scope to hang one on.

    rule        signature                                       meaning
    eval        (*args, **params) -> y                          the value, on arrays
    type        (*types, **params) -> type                      shape and dtype of the value
    jvp         (ts, y, *args, **params) -> t                   tangent of y; an absent tangent is None
    vjp         (wants, g, y, *args, **params) -> tuple         one cotangent an argument; None where not wanted
    batch       (size, batched, *args, **params) -> y           batched arguments and result have the batch axis in front
    record      (wants, *args, **params) -> (y, saved)          for ops whose backward pass needs more than args and y:
                                                                its vjp is then (wants, g, saved, *args, **params)
    dual        (ts, *args, **params) -> (y, t)                 for ops that find value and tangent together
    sample      (rng) -> list of (args, params)                 where the laws test it

Arrays go by position, metadata by keyword. A parameter of a vjp rule whose name starts with `_` is not saved for the
backward pass: the rule receives its type (shape, dtype) in its place.
"""

import itertools

import numpy as np

from .errors import DTypeError, EscapeError, user_line, where
from .tensor import BIRTHS, FUNCTIONS, Flat, Tensor, complete, untracked
from .types import typeof


class _Ops(dict):
    def __missing__(self, name):
        complete()
        if name in self:
            return self[name]
        raise KeyError(name)


OPS = _Ops()  # name -> Op; those of families that are loaded late come when asked for by name, or with `complete`


class Op:
    """All that is known about one primitive. Create ops with the kinds in `primitives.kinds`."""

    __slots__ = (
        "batch",
        "dual",
        "effect",
        "eval",
        "jvp",
        "kind",
        "name",
        "reads",
        "record",
        "sample",
        "saves",
        "saves_rest",
        "type",
        "vjp",
    )

    def __init__(self, name, eval, *, kind, type=None, jvp=None, vjp=None, batch=None, record=None,
                 dual=None, sample=None, effect=False, saves=None, reads=None, register=True):  # fmt: skip
        self.name = name
        self.eval = eval
        self.kind = kind
        self.type = type
        self.jvp = jvp
        self.vjp = vjp
        self.batch = batch
        self.record = record
        self.dual = dual
        self.sample = sample
        self.effect = effect
        if saves is None:
            saves = saved_by(vjp, skip=2) if vjp is not None else ((), False)
        self.saves, self.saves_rest = saves
        self.reads = reads  # for each argument, what its cotangent alone reads of (y, *args): finer than saves
        if register:
            if name in OPS:
                raise ValueError(f"there is already an op named {name}")
            OPS[name] = self

    def __call__(self, *args, **params):
        return bind(self, *args, **params)

    def __repr__(self):
        return f"<op {self.name}>"


def saved_by(rule, skip):
    """Which values a rule reads, by its parameters' names: (flags for y and the first arguments, flag for the rest).

    >>> saved_by(lambda wants, g, _y, x: None, skip=2)
    ((False, True), True)
    """
    code = rule.__code__
    names = code.co_varnames[skip : code.co_argcount]
    rest = True
    if code.co_flags & 4:  # *args
        rest = not code.co_varnames[code.co_argcount + code.co_kwonlyargcount].startswith("_")
    return tuple(not name.startswith("_") for name in names), rest


STANDS: dict = {}  # class that stands for values, as of source capture -> (op, args, params), what to do for `bind`
_births = itertools.count(1)


class Trace:
    """One running interpretation of ops. Its level is its birth number: the youngest trace handles an op first."""

    __slots__ = ("ended", "level")

    def __init__(self):
        self.level = BIRTHS[0] = next(_births)
        self.ended = False

    def close(self):
        """End the interpretation: using its tensors from now on raises."""
        self.ended = True

    def process(self, op, args, params):
        """Interpret one op; at least one argument belongs to this trace."""
        raise NotImplementedError

    def typeof(self, tensor):
        """Shape and dtype of one of this trace's tensors, as its user sees it."""
        return typeof(tensor.value)

    def concrete(self, tensor, why):
        """The value one level down, for Python's decisions (`if`, `int`); raises ConcreteError where it is unknown."""
        return tensor.value

    def holds(self, tensor):
        """Whether converting the tensor to plain data would lose a derivative."""
        return True

    def write(self, tensor, index, value):
        """Do tensor[index] = value if this trace can, and return whether it did."""
        return False

    def __call__(self, *args, **kwargs):
        raise TypeError(
            f"x.trace() of a tensor{where()} is not the sum of its diagonal, as of an array; use np.trace(x)"
        )

    def escaped(self):
        raise EscapeError(
            f"a tensor was used after the transform that made it had ended{where()}; return it from the function "
            "(has_aux=True helps) or pass it through ad.stop_gradient before keeping it"
        )


def bind(op, *args, **params):
    """Apply an op: by the youngest trace among the arguments, else by NumPy."""
    top = None
    plain = True
    for a in args:
        if type(a) is Flat or type(a) is Tensor:
            trace = a.trace
            if trace is None:
                plain = False
            elif top is None or trace.level > top.level:
                top = trace
    if not plain:
        args = tuple([a.value if type(a) is Tensor and a.trace is None else a for a in args])
    if top is not None:
        for i, a in enumerate(args):
            kind = type(a)
            if kind is Flat or kind is Tensor or kind is float:
                continue
            if kind is not np.ndarray and kind in STANDS:
                return STANDS[kind](op, args, params)
            if (kind is list or kind is tuple) and op.kind == "elementwise":
                args = (*args[:i], FUNCTIONS[np.array](a), *args[i + 1 :])
            elif isinstance(a, np.ndarray) and (kind is not np.ndarray or a.dtype.hasobject):
                check_array(a, f" in {op.name}")
            elif kind is not np.ndarray and labels(kind):
                if op.kind not in ("elementwise", "nondiff"):  # as NumPy does, which forgets the labels there
                    args = (*args[:i], np.asarray(a), *args[i + 1 :])
                elif labels(kind) == "xarray" and isinstance(getattr(np, op.name, None), np.ufunc):
                    return a.__array_ufunc__(getattr(np, op.name), "__call__", *args)  # its arrays may hold tensors
                else:
                    check_array(a, f" in {op.name}")
        return top.process(op, args, params)
    try:
        y = op.eval(*args, **params)
    except Exception as error:
        if not plain and op.kind == "elementwise" and any(type(a) is list or type(a) is tuple for a in args):
            joined = [FUNCTIONS[np.array](a) if type(a) is list or type(a) is tuple else a for a in args]
            if any(type(a) is Flat or type(a) is Tensor for a in joined):  # lists that hold tensors
                return bind(op, *joined, **params)
        raise explain(error, op, args)
    if _observers:
        for observe in _observers:
            observe(op, args, params, y)
    return y if plain else untracked(y)


def labels(kind):
    """The library of a class of arrays that are aligned by labels: 'pandas', 'xarray', or ''."""
    name = kind.__module__.partition(".")[0]
    return name if name in ("pandas", "xarray") else ""


def check_array(a, what=""):
    """Raise for an array that computes by rules of its own (objects, masks, labels, `*` as matrix product): a derivative
    by the rules of plain arrays would be wrong."""
    kind = type(a)
    if labels(kind):
        raise DTypeError(
            f"a {kind.__name__} of {labels(kind)}{what}{where()} is aligned by its labels, which derivatives do not follow; "
            "pass its values, a.to_numpy()"
        )
    if a.dtype.hasobject:
        raise DTypeError(
            f"an array of dtype {a.dtype}{what}{where()} holds Python objects, which have no derivative; "
            "convert it, a.astype(float)"
        )
    if kind is not np.ndarray:
        if issubclass(kind, np.matrix):
            raise DTypeError(
                f"a numpy.matrix{what}{where()}, whose * is a matrix product, is not supported; use np.asarray(a) and @"
            )
        if hasattr(kind, "mask"):
            raise DTypeError(
                f"a masked array{what}{where()} is not supported: its mask would be lost; "
                "use np.where(mask, 0, x), or the where= argument of sum, mean, max ..."
            )


def explain(error, op, args):
    """Add to an error which op failed, on what, and where the user called it."""
    if not getattr(error, "_adjoint_explained", False):
        try:
            what = ", ".join(map(_describe, args))
            line = user_line()
            error.add_note(f"in {op.name}({what}){' at ' + line if line else ''}")
            error._adjoint_explained = True
        except (AttributeError, TypeError):
            pass  # an exception class that takes no attributes
    return error


def _describe(x):
    try:
        return repr(typeof(x))
    except TypeError:
        return type(x).__name__


_observers: list = []  # called with (op, args, params, value) of each op that NumPy evaluates in `bind`: views.trace


def is_plain(*args):
    """Whether no argument is a tensor: value-dependent short cuts and in-place writes ask this first."""
    for a in args:  # a plain loop is twice as fast as any()
        if type(a) is Flat or type(a) is Tensor:
            return False
    return True


def shape(x):
    """The shape of an array, number, tensor or type."""
    try:
        return x.shape
    except AttributeError:
        return np.shape(x)
