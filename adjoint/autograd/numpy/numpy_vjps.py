"""autograd.numpy.numpy_vjps: what rules of the user's call to undo broadcasting."""

import numpy as np

from .pieces import metadata


def unbroadcast(x, target_meta, broadcast_idx=0):
    """A cotangent x summed to the shape of what was broadcast, and its real part for a real one. target_meta: `metadata`."""
    shape, ndim, _, is_complex = target_meta
    while np.ndim(x) > ndim:
        x = np.sum(x, axis=broadcast_idx)
    for axis, size in enumerate(shape):
        if size == 1 and np.shape(x)[axis] != 1:
            x = np.sum(x, axis=axis, keepdims=True)
    return np.real(x) if np.iscomplexobj(x) and not is_complex else x


def replace_zero(x, value):
    """x with its zeros replaced."""
    return np.where(x, x, value)


def unbroadcast_f(target, f):
    """g -> f(g) summed to the shape of target."""
    meta = metadata(target)
    return lambda g: unbroadcast(f(g), meta)
