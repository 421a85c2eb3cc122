"""autograd.numpy.numpy_boxes: the class that programs ask isinstance with."""

from ..boxes import ArrayBox as ArrayBox
from ..boxes import Box as Box
