"""Containers: dict, list, tuple, namedtuple, dataclass and registered classes as trees of leaves.

`flatten(x) -> (leaves, structure)`, `unflatten(structure, leaves) -> x`. None, str, bool and callables are no leaves:
they stay in the structure. A dict keeps its own order.
"""

import functools

import numpy as np

from .errors import ShapeError

_REGISTERED: dict = {}  # class -> (children of x, x from data and children)


def register(cls, flatten, unflatten):
    """Make a class of your own a container.

    flatten(x) -> (children, data); unflatten(data, children) -> x. Returns the class.

    >>> import adjoint as ad
    >>> class Point:
    ...     def __init__(self, x, y):
    ...         self.x, self.y = x, y
    >>> _ = ad.tree.register(Point, lambda p: ((p.x, p.y), None), lambda data, xy: Point(*xy))
    >>> ad.grad(lambda p: p.x * p.y)(Point(2.0, 3.0)).x
    3.0
    """
    _REGISTERED[cls] = (flatten, unflatten)
    return cls


class Structure:
    """The shape of a container without its leaves: a node with children, a leaf, or a constant."""

    __slots__ = ("children", "data", "kind", "leaves")

    def __init__(self, kind, data=None, children=()):
        self.kind = kind  # "leaf", "static", or the class
        self.data = data
        self.children = children
        self.leaves = 1 if kind == "leaf" else sum(c.leaves for c in children)

    def __eq__(self, other):
        if not isinstance(other, Structure) or self.kind != other.kind or self.children != other.children:
            return False
        return self.data is other.data or bool(self.data == other.data)

    def __hash__(self):
        return hash((str(self.kind), self.children))

    def __repr__(self):
        if self.kind == "leaf":
            return "*"
        if self.kind == "static":
            return repr(self.data)
        return f"{self.kind.__name__}({', '.join(map(repr, self.children))})"

    def holds(self, kinds):
        """Whether there is a container of one of these classes in it."""
        return self.kind in kinds or any(c.holds(kinds) for c in self.children)


LEAF = Structure("leaf")


def flatten(x, is_leaf=None):
    """(leaves, structure) of a container; an array or number is its own only leaf.

    is_leaf(x) -> bool: what shall be a leaf though it is a container.

    >>> import adjoint as ad
    >>> leaves, structure = ad.tree.flatten({"w": 1.0, "more": [2.0, None]})
    >>> leaves
    [1.0, 2.0]
    >>> ad.tree.unflatten(structure, [3.0, 4.0])
    {'w': 3.0, 'more': [4.0, None]}
    """
    if type(x) is np.ndarray or type(x) is float:  # the common case, 1 us quicker
        return [x], LEAF
    leaves: list = []
    try:
        structure = _flatten(x, leaves, is_leaf)
    except RecursionError:
        raise ShapeError(
            f"a {type(x).__name__} holds itself, or is nested too deeply for a container of values"
        ) from None
    return leaves, structure


def _flatten(x, leaves, is_leaf):
    if is_leaf is not None and is_leaf(x):
        leaves.append(x)
        return LEAF
    kind = type(x)
    parts = _open(kind, x)
    if parts is not None:
        children, data = parts
        return Structure(kind, data, tuple(_flatten(c, leaves, is_leaf) for c in children))
    if x is None or kind is str or kind is bool or kind is bytes or (callable(x) and not hasattr(kind, "dtype")):
        return Structure("static", x)
    leaves.append(x)
    return LEAF


def _open(kind, x):
    """(children, data) of a container, None for anything else."""
    if kind is list:
        return x, None
    if kind is dict:
        return x.values(), tuple(x)
    if kind is tuple:
        return x, None
    if kind in _REGISTERED:
        return _REGISTERED[kind][0](x)
    if issubclass(kind, dict):
        return x.values(), tuple(x)
    if issubclass(kind, tuple):
        return x, None
    fields = getattr(kind, "__dataclass_fields__", None)  # without importing dataclasses: 1.5 ms
    if fields is not None:
        names = tuple(name for name, field in fields.items() if repr(field._field_type) == "_FIELD")  # no ClassVar
        return [getattr(x, name) for name in names], names
    return None


def unflatten(structure, leaves):
    """The container of this structure with these leaves, the inverse of `flatten`. ShapeError unless there are as many."""
    if structure is LEAF and len(leaves) == 1:
        return leaves[0]
    rest = iter(leaves)
    x = _unflatten(structure, rest)
    if next(rest, rest) is not rest:
        raise ShapeError(f"more leaves than the {structure.leaves} of {structure}")
    return x


def _unflatten(structure, leaves):
    kind = structure.kind
    if kind == "leaf":
        try:
            return next(leaves)
        except StopIteration:
            raise ShapeError("fewer leaves than the container has places") from None
    if kind == "static":
        return structure.data
    children = [_unflatten(c, leaves) for c in structure.children]
    if kind is list:
        return children
    if kind is tuple:
        return tuple(children)
    if kind in _REGISTERED:
        return _REGISTERED[kind][1](structure.data, children)
    if issubclass(kind, dict):
        return _as_dict(kind, structure.data, children)
    if issubclass(kind, tuple):
        return kind(*children)  # a namedtuple
    return _as_dataclass(kind, structure.data, children)


def _as_dict(kind, keys, children):
    if kind is dict:
        return dict(zip(keys, children, strict=True))
    try:
        return kind(zip(keys, children, strict=True))
    except TypeError:  # a defaultdict: its first argument is the factory
        x = kind()
        x.update(zip(keys, children, strict=True))
        return x


def maker(structure):
    """What makes a named tuple or a dataclass of this structure from a tuple of its values (or a class that says how, by
    `_adjoint_made`); None for other containers."""
    kind = structure.kind
    if hasattr(kind, "_adjoint_made"):
        return kind._adjoint_made(structure)
    if kind in _REGISTERED or not isinstance(kind, type) or kind is tuple:
        return None
    if issubclass(kind, tuple):
        if kind.__bases__ == (tuple,) and hasattr(kind, "_fields"):
            return functools.partial(tuple.__new__, kind)
        return lambda values: kind(*values)
    if hasattr(kind, "__dataclass_fields__") and not issubclass(kind, dict):
        names = structure.data
        if kind.__dictoffset__ and not any(
            name in vars(c) and hasattr(vars(c)[name], "__set__") for c in kind.__mro__ for name in names
        ):
            return functools.partial(_with_dict, kind, names)
        return lambda values: _as_dataclass(kind, names, values)
    return None


def _with_dict(kind, names, values):
    x = object.__new__(kind)
    x.__dict__.update(zip(names, values))
    return x


def _as_dataclass(kind, names, children):
    x = object.__new__(kind)
    for name, child in zip(names, children, strict=True):
        object.__setattr__(x, name, child)
    return x


def map(f, x, *others):
    """f of every leaf, in a container of the same structure; with others, f(leaf, other's leaf, ...).

    Raises ShapeError for containers of different structures.

    >>> import adjoint as ad
    >>> ad.tree.map(lambda w, g: w - 0.5 * g, {"w": 1.0, "b": 2.0}, {"w": 4.0, "b": 0.0})
    {'w': -1.0, 'b': 2.0}
    """
    leaves, structure = flatten(x)
    rows = [leaves, *(match(structure, other) for other in others)]
    return unflatten(structure, [f(*row) for row in zip(*rows, strict=True)])


def match(structure, other, what="container"):
    """The leaves of another container, which must have the same structure."""
    leaves, theirs = flatten(other)
    if theirs != structure:
        raise ShapeError(f"the {what} must have the structure {structure}, not {theirs}")
    return leaves


def paths(x, name):
    """The path of each leaf, for messages: params['w'], params.bias[0]."""
    out: list = []
    _paths(x, name, out)
    return out


def _paths(x, name, out):
    kind = type(x)
    parts = _open(kind, x)
    if parts is None:
        if flatten(x)[0]:
            out.append(name)
        return
    children, data = parts
    for i, child in enumerate(children):
        if issubclass(kind, dict):
            _paths(child, f"{name}[{data[i]!r}]", out)
        elif hasattr(kind, "_fields"):
            _paths(child, f"{name}.{kind._fields[i]}", out)
        elif hasattr(kind, "__dataclass_fields__"):
            _paths(child, f"{name}.{data[i]}", out)
        else:
            _paths(child, f"{name}[{i}]", out)
