"""autograd.misc: flatten, optimizers, fixed points."""

from .flatten import flatten as flatten
