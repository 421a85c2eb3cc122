"""scipy.signal's names on arrays and tensors, and autograd's convolve, which takes axes."""

import numpy as np

from ...core.op import shape as shape_of
from ...scipy import signal as _signal
from ..mirror import mirror


def convolve(A, B, axes=None, dot_axes=None, mode="full"):
    """Convolution along pairs of axes, with sums of products along others and all pairs along the rest.

    axes, dot_axes: (axes of A, axes of B). The result has A's other axes, B's other axes, then the convolved ones.
    mode: "full", "valid" or "same" (as A); without axes, along all of them.
    """
    if mode not in ("full", "valid", "same"):
        raise ValueError(f"the mode of convolve is 'full', 'valid' or 'same', not {mode!r}")
    every = list(range(np.ndim(A)))
    axes_a, axes_b = axes if axes is not None else (every, every)
    dot_a, dot_b = dot_axes if dot_axes is not None else ((), ())
    rest_a = [i for i in range(np.ndim(A)) if i not in (*axes_a, *dot_a)]
    rest_b = [i for i in range(np.ndim(B)) if i not in (*axes_b, *dot_b)]
    # as matrices of signals: (others, summed, convolved...)
    a = _arranged(A, rest_a, dot_a, axes_a)
    b = _arranged(B, rest_b, dot_b, axes_b)
    n, m = shape_of(a)[2:], shape_of(b)[2:]
    out = [i + j - 1 for i, j in zip(n, m, strict=True)]
    # out[k] = sum_j a[k - j] b[j]: a sum over the positions j of the shorter one, shifted
    if mode == "valid":
        if not (all(i >= j for i, j in zip(n, m, strict=True)) or all(i <= j for i, j in zip(n, m, strict=True))):
            raise ValueError("convolve: with mode='valid' one array must be larger along all convolved axes")
        keep = [slice(min(i, j) - 1, max(i, j)) for i, j in zip(n, m, strict=True)]
    else:
        keep = [
            slice((j - 1) // 2, (j - 1) // 2 + i) if mode == "same" else slice(None) for i, j in zip(n, m, strict=True)
        ]
    starts = [range(s)[k].start for s, k in zip(out, keep, strict=True)]
    sizes = [len(range(s)[k]) for s, k in zip(out, keep, strict=True)]
    swap = np.prod(m, dtype=int) > np.prod(n, dtype=int)
    if swap:
        a, b, n, m = b, a, m, n
    padded = np.pad(a, [(0, 0), (0, 0), *((j - 1, j - 1) for j in m)])
    y = None
    for at in np.ndindex(*m):
        window = tuple(
            slice(s + j - 1 - k, s + j - 1 - k + size) for s, j, k, size in zip(starts, m, at, sizes, strict=True)
        )
        part = np.tensordot(b[(slice(None), slice(None), *at)], padded[(slice(None), slice(None), *window)], ([1], [1]))
        y = part if y is None else y + part  # (others of b, others of a, convolved...)
    if not swap:
        y = np.swapaxes(y, 0, 1)
    shapes = [shape_of(A)[i] for i in rest_a] + [shape_of(B)[i] for i in rest_b]
    return np.reshape(y, (*shapes, *sizes))


def _arranged(x, rest, dot, conv):
    s = shape_of(x)
    x = np.transpose(x, (*rest, *dot, *conv))
    sizes = [int(np.prod([s[i] for i in group], dtype=int)) for group in (rest, dot)]
    return np.reshape(x, (*sizes, *(s[i] for i in conv)))


__getattr__, __dir__ = mirror(lambda: _signal, "convolve")
