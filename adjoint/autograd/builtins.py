"""Python's names that autograd replaces. Containers of tensors are Python's own here; types look through a tensor."""

from builtins import dict as dict
from builtins import isinstance as _isinstance
from builtins import list as list
from builtins import tuple as tuple
from builtins import type as _type

from ..core.tensor import is_tensor, peek

DictBox, ListBox, TupleBox = dict, list, tuple


def _inside(x):
    return peek(x)[1] if is_tensor(x) else x


def isinstance(x, cls):
    """Whether x, or the value inside the tensor x, is an instance of cls."""
    return _isinstance(_inside(x), cls)


def type(x):
    """The class of x, or of the value inside the tensor x."""
    return _type(_inside(x))
