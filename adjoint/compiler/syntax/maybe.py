"""Values that may be None, by a decision that is not known: `return None` on one path and a number on another; `best = None` before a loop.

A Maybe is a value, and a truth value that says whether there is None in its place. `x is None` asks that one; whatever else is
done with it takes the value, after a check that raises at run time where there is None, as Python would. What a test says of it
(`if x is not None:`) holds in the branch, and needs no check there. Out of compiled code comes None, or the value.
"""

import operator

import numpy as np

from ...core import tree
from ...core.errors import DTypeError, defined
from ...core.op import STANDS, bind
from ...core.tensor import is_tensor, peek
from ...core.types import typeof
from ...primitives.checks import Again, check_op
from ...traces.graph import Const, Var
from ..fence import refuse
from .choices import Choice, known, may_be_chosen, number_of
from .frames import CONTAINERS, FRAMES, emit
from .merge import Part, flatten, is_value, nobody_reads
from .outside import session

MADE: list = []  # not empty once there is any: until then nobody needs to look for them


class Maybe:
    """None where `_ad_absent` holds, else `_ad_value`. The names of its slots are not to be those of a user's attributes."""

    __slots__ = ("_ad_absent", "_ad_value")

    def __init__(self, absent, value):
        if not MADE:
            MADE.append(True)
        object.__setattr__(self, "_ad_absent", absent)
        object.__setattr__(self, "_ad_value", value)

    def __repr__(self):
        return f"<None, or {self._ad_value!r}>"

    def __getattr__(self, name):
        if name.startswith("__") and name.endswith("__"):  # Python's own questions, such as whether it wraps something
            raise AttributeError(name)
        return getattr(present(self), name)

    def __setattr__(self, name, value):
        setattr(present(self), name, value)

    def __bool__(self):
        raise refuse("maybe", "Python itself asks for the truth of a value that may be None")

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other):
        return equal(self, other)

    def __ne__(self, other):
        return negated(equal(self, other))

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        return getattr(ufunc, method)(*map(present, inputs), **kwargs)

    def __array_function__(self, f, types, args, kwargs):
        return f(*within(args), **within(kwargs))

    @staticmethod
    def _adjoint_made(structure):
        """What makes None or the value, of compiled code's results."""
        return lambda row: None if row[0] else row[1]

    def __array__(self, *_, **__):
        raise refuse("maybe", "an array is made of a value that may be None")


def _operators():
    two = "add sub mul truediv floordiv mod pow matmul lshift rshift and or xor"
    for name in two.split():
        op = getattr(operator, f"__{name}__")
        yield f"__{name}__", lambda a, b, op=op: op(present(a), present(b))
        yield f"__r{name}__", lambda a, b, op=op: op(present(b), present(a))
    for name in ["lt", "le", "gt", "ge", "getitem", "contains"]:
        op = getattr(operator, f"__{name}__")
        yield f"__{name}__", lambda a, b, op=op: op(present(a), present(b))
    for name, op in {
        "neg": operator.neg, "pos": operator.pos, "abs": operator.abs, "invert": operator.invert, "len": len, "iter": iter,
        "float": float, "int": int, "complex": complex, "index": operator.index, "round": round,
    }.items():  # fmt: skip
        yield f"__{name}__", lambda a, op=op: op(present(a))
    yield "__call__", lambda a, *args, **kwargs: present(a)(*args, **kwargs)
    yield "__setitem__", lambda a, key, v: operator.setitem(present(a), present(key), v)


for _name, _f in _operators():
    setattr(Maybe, _name, _f)

STAND_INS = (Maybe, Choice)
STANDS[Maybe] = lambda op, args, params: bind(op, *within(args), **params)
CONTAINERS[Maybe] = lambda m: (m._ad_absent, m._ad_value)
tree.register(Maybe, lambda m: ((m._ad_absent, m._ad_value), None), lambda _, row: Maybe(*row))


# What is known of it


def absent(m):
    """Whether there is None in its place: True, False, or a truth value that is not known."""
    t = m._ad_absent
    if not is_tensor(t):
        return bool(t)
    for facts in _known():
        if id(t) in facts:
            return facts[id(t)][1]
    known, value = peek(t)
    return bool(value) if known else t


def _known():
    """What is held to be so, here: of the bodies that are being captured, and of the program."""
    now = session.get()
    return [frame.facts for frame in reversed(FRAMES.get())] + ([now.facts] if now is not None else [])


def facts(test, holds):
    """What follows from a test that is not known, where it holds, or does not: {id: (truth value, whether it holds)}."""
    now = session.get()
    row = now.implied.get(id(test)) if now is not None else None
    return {id(test): (test, holds), **(row[1 if holds else 2] if row is not None else {})}


def implies(test, if_true, if_false):
    """Note what follows from a truth value made of others: of `a and b` both, of `not a` the contrary of a."""
    now = session.get()
    if now is not None:
        now.implied[id(test)] = (test, if_true, if_false)
    return test


def present(x):
    """The value: where there may be None in its place, the program sees to it that there is not."""
    if type(x) is not Maybe:
        return x
    t = absent(x)
    if t is False:
        return present(x._ad_value)
    from .texts import fenced, raising

    error = raising(lambda: TypeError("a number or an object was needed, and there was None"))
    if t is True:
        raise error
    fenced(error)
    emit(check_op, [t], {"make": Again(error)})
    known_from_here(t, False)
    return present(x._ad_value)


def known_from_here(test, value):
    """From here on, a test is known: where it was otherwise, the program has ended."""
    known = _known()
    if known:
        known[0].update(facts(test, value))


def within(args):
    """Arguments, those in lists and tuples too, with their values in the places of what may be None."""
    kind = type(args)
    if kind is Maybe:
        return present(args)
    if kind is dict:
        return {k: within(v) for k, v in args.items()}
    if (kind is list or kind is tuple) and any(type(x) in (Maybe, list, tuple) for x in args):
        return kind(map(within, args))
    return args


_NUMERIC = ("numpy", "scipy", "math", "cmath")
_PYTHONS = {abs, round, pow, divmod, min, max, sum, float, int, complex, len, sorted, range}


def takes_numbers(f):
    """Whether a function that is called takes numbers and arrays alone: what may be None is a number then, or Python would raise."""
    kind = type(f)
    if kind is np.ufunc:
        return True
    if is_tensor(getattr(f, "__self__", None)):
        return True
    try:
        return f in _PYTHONS or (getattr(f, "__module__", None) or "").startswith(_NUMERIC)
    except TypeError:  # cannot be hashed
        return False


def narrowed(x):
    """None, or the value, where it is known here which of the two; the text that is chosen, where it is known."""
    if type(x) is Maybe:
        t = absent(x)
        return None if t is True else narrowed(x._ad_value) if t is False else x
    if type(x) is Choice:
        option = known(x)
        return x if option is None else option[0]
    return x


def equal(a, b):
    """a == b, either of which may be None."""
    from .truth import both, not_

    if type(a) is not Maybe:
        a, b = b, a
    if b is None:
        return absent(a)
    if np.shape(a._ad_value) or np.shape(b._ad_value if type(b) is Maybe else b):
        return present(a) == present(b)
    if type(b) is Maybe:
        raise refuse("maybe", "two values that both may be None are compared")
    return both(lambda: not_(absent(a)), lambda: a._ad_value == b)


def negated(t):
    from .truth import not_

    return not_(t)


# How it arises


def aligned(a, b):
    """Two Parts, with a Maybe in each where one holds None and the other does not, or one is a Maybe; themselves where nothing fits."""
    if a.structure is None or b.structure is None or a.structure == b.structure:
        return a, b
    rows = [iter(zip(part.leaves, part.operands, strict=True)) for part in (a, b)]
    out: tuple = ([], [])
    try:
        structure = _align((a.structure, b.structure), rows, out)
    except _MisfitError:
        return a, b
    return tuple(_part(part.value, structure, row) for part, row in zip((a, b), out, strict=True))


class _MisfitError(Exception):
    pass


def _align(nodes, rows, out):
    s, t = nodes
    if s == t:
        for row, done in zip(rows, out, strict=True):
            done += [next(row) for _ in range(s.leaves)]
        return s
    none = [n.kind == "static" and n.data is None for n in nodes]
    if any(none) or any(n.kind is Maybe for n in nodes):
        for n, row, done, is_none in zip(nodes, rows, out, none, strict=True):
            done.append(next(row) if n.kind is Maybe else (is_none, Const(is_none)))
        inner = [n.children[1] if n.kind is Maybe else n for n in nodes]
        if any(none):
            i = none.index(False)
            more = [next(rows[i]) for _ in range(inner[i].leaves)]
            out[i].extend(more)
            out[1 - i].extend(_stand_in(*x) for x in more)
            return _structure(inner[i])
        return _structure(_align(inner, rows, out))
    if all(n.kind is Choice or (n.kind == "static" and may_be_chosen(n.data)) for n in nodes):
        options: dict = {}
        for n, row, done in zip(nodes, rows, out, strict=True):
            mine = n.data if n.kind is Choice else ((number_of(n.data), n.data),)
            options.update(mine)
            done.append(next(row) if n.kind is Choice else (mine[0][0], Const(mine[0][0])))
        return tree.Structure(Choice, tuple(sorted(options.items(), key=lambda o: o[0])), (tree.LEAF,))
    if s.kind == t.kind and s.data == t.data and s.children and len(s.children) == len(t.children):
        children = tuple(_align(pair, rows, out) for pair in zip(s.children, t.children, strict=True))
        return tree.Structure(s.kind, s.data, children)
    raise _MisfitError


def _structure(inner):
    return tree.Structure(Maybe, None, (tree.LEAF, inner))


def _stand_in(leaf, operand):
    """What stands where there is None for a leaf of the value: nobody reads it."""
    if operand is None:
        return leaf, None
    x = nobody_reads(operand.type)
    x = x.item() if getattr(operand.type, "weak", False) else x
    return x, Const(x)


def _part(value, structure, row):
    part = Part.__new__(Part)
    part.value, part.structure = value, structure
    part.leaves, part.operands = [x for x, _ in row], [p for _, p in row]
    return part


def started(value, types, part):
    """What a loop starts with, aligned to the Part that a step leaves, which is aligned to it; None if they do not fit."""
    leaves, structure = flatten(value)
    row = [(x, Var(types.get(k) or typeof(x)) if is_value(x) else None) for k, x in enumerate(leaves)]
    mine, other = aligned(_part(value, structure, row), part)
    if mine.structure != other.structure:
        return None
    part.leaves, part.operands, part.structure = other.leaves, other.operands, other.structure
    return tree.unflatten(mine.structure, mine.leaves)


# How it leaves compiled code


def settled(x, keep):
    """A result with None, or the value, for each Maybe; keep: whether those that are not known may stay, else there must be a value."""
    leaves, structure = tree.flatten(x, is_leaf=lambda e: type(e) in STAND_INS and e is not x)
    if type(x) in STAND_INS:
        y = narrowed(x)
        if y is x and type(x) is Choice and not keep:
            raise refuse("choice", "the result is a text that is not the same for all")
        return y if y is not x else x if keep else settled(returned(x), keep)
    if not any(type(e) in STAND_INS for e in leaves):
        return x
    return tree.unflatten(structure, [settled(e, keep) for e in leaves])


def returned(x, f=None):
    """What a transform takes for the value of a function that may return None: there it is an error."""
    if type(x) is not Maybe:
        return x
    t = absent(x)
    if t is True:
        return None  # the transform itself says what it needs
    if t is not False:
        name = "the function" if f is None else defined(f)
        error = DTypeError(f"a transform (grad, vmap ...) needs a number, but {name} returned None on the path that it took")
        emit(check_op, [t], {"make": Again(error)})
        known_from_here(t, False)
    return returned(x._ad_value)
