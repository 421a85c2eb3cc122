"""Containers as vectors."""

import numpy as np

from ...core import tree
from ...core.types import typeof


def flatten(value):
    """(vector, unflatten) of a nesting of tuples, lists and dicts of arrays and numbers; dicts in the order of their keys."""
    value = _sorted(value)
    leaves, structure = tree.flatten(value)
    kinds = [typeof(x) for x in leaves]
    vector = np.concatenate([np.ravel(x) for x in leaves]) if leaves else np.zeros(0)

    def unflatten(vector):
        out, at = [], 0
        for t in kinds:
            out.append(np.reshape(vector[at : at + t.size], t.shape) if t.shape != () else vector[at])
            at += t.size
        return tree.unflatten(structure, out)

    return vector, unflatten


def _sorted(x):
    if type(x) is dict:
        return {k: _sorted(x[k]) for k in sorted(x)}
    return type(x)(map(_sorted, x)) if type(x) in (list, tuple) else x


def flatten_func(func, example):
    """(f on vectors, unflatten, the example as a vector) of a function from a container to such a container."""
    vector, unflatten = flatten(example)
    return (lambda v, *args: flatten(func(unflatten(v), *args))[0]), unflatten, vector
