"""What programs ask of autograd's boxes: whether a value is being differentiated, and the value inside (`x._value`)."""

import numpy as np

from ..core.tensor import Flat, Tensor, concrete, is_tracked
from ..traces.forward import Dual
from ..traces.reverse import Tape


def array_class(cls):
    """The class, if it is one of arrays or numbers, which are differentiated without being registered."""
    if not (isinstance(cls, type) and issubclass(cls, (np.ndarray, np.number, float, complex))):
        raise TypeError(
            f"{cls!r} is no class of arrays; make it a container of arrays with "
            "adjoint.tree.register(cls, flatten, unflatten)"
        )
    return cls


class _Boxes(type):
    """isinstance(x, Box) and type(x) == Box hold for the tensors of a function that is being differentiated."""

    def __instancecheck__(cls, x):
        return is_tracked(x)

    def __eq__(cls, other):
        return other is cls or other is Tensor or other is Flat

    __hash__ = type.__hash__


class Box(metaclass=_Boxes):
    """The class of values that are being differentiated, for isinstance; it has no instances of its own."""

    @classmethod
    def register(cls, value_type):
        """Nothing is to be done for a subclass of numpy.ndarray; other classes are refused."""
        array_class(value_type)


class ArrayBox(Box):
    """As `Box`: arrays and numbers."""


def inside(x):
    """x._value of a tensor, one level down: a tensor where an outer derivative is being taken, else read-only or a number."""
    value = x.value if type(x.trace) in (Tape, Dual) else concrete(x, "._value")
    if type(value) is np.ndarray:  # the recording may read this memory
        value = value.view()
        value.flags.writeable = False
    return value


Tensor._value = property(inside)  # type: ignore[attr-defined]
