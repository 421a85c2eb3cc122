"""Functions that take plain values to NumPy's and tensors to ours. A file of its own: beside NumPy's any, Python's is hidden."""

import functools

import numpy as np

from ... import numpy as anp
from ...core import tree
from ...core.tensor import is_tensor
from ...primitives.custom import stop_gradient

JOINING = ("column_stack", "concat", "concatenate", "dstack", "hstack", "row_stack", "stack", "vstack")


def plain_or_ours(plain, ours):
    """A function that is `ours` where an argument is a tensor, or a list that has one, and NumPy's `plain` elsewhere."""

    @functools.wraps(ours)
    def f(*args, **kwargs):
        for x in args:
            if is_tensor(x) or (type(x) in (list, tuple) and any(map(is_tensor, tree.flatten(x)[0]))):
                return ours(*args, **kwargs)
        return (ours if any(map(is_tensor, kwargs.values())) else plain)(*args, **kwargs)

    return f


def array(a, dtype=None, *args, **kwargs):
    """As `numpy.array`; with tensors inside, an array of objects is the array of their numbers, as in autograd."""
    if dtype in (object, "O", "object") and not is_tensor(a) and any(map(is_tensor, tree.flatten(a)[0])):
        dtype = None
    return _array(a, dtype, *args, **kwargs)


_array = plain_or_ours(np.array, anp.array)


def of_any_iterable(join):
    """A joining function that takes what a generator or a dict's values() give, too, as autograd's do."""

    @functools.wraps(join)
    def f(arrays, *args, **kwargs):
        if not (isinstance(arrays, (list, tuple)) or hasattr(arrays, "dtype")):
            arrays = list(arrays)
        return join(arrays, *args, **kwargs)

    return f


def where(condition, *args, **kwargs):
    """As `numpy.where`, with keywords too; the choice between Python's numbers or lists is one of them."""
    xy = [*args, *(kwargs[name] for name in ("x", "y") if name in kwargs)]
    y = anp.where(condition, *xy)
    plain = len(xy) == 2 and not any(isinstance(a, np.generic) or hasattr(a, "dtype") for a in (condition, *xy))
    return y.tolist() if plain and type(y) is np.ndarray else y


def clip(a, a_min=None, a_max=None, *args, **kwargs):
    """As `numpy.clip`; as in autograd, what is at a bound is held by it and has derivative zero (`adjoint.numpy.clip`: one)."""
    y = anp.clip(a, a_min, a_max, *args, **kwargs)
    if not is_tensor(a) or is_tensor(a_min) or is_tensor(a_max) or args or kwargs:
        return y
    held = False
    for bound in (a_min, a_max):
        if bound is not None:
            held = held | np.equal(stop_gradient(y), bound)
    return anp.where(held, stop_gradient(y), a)
