"""Values, types and lines of code in a few characters, as tables, boxes and the debug ladder show them."""

import numpy as np

from ..core.tensor import is_tensor, peek
from ..core.tuples import Partial, Parts
from ..core.types import Array, typeof


def brief(x, limit=34):
    """A value on one line of at most `limit` characters; `?` where it is not known."""
    if isinstance(x, Partial):  # a cotangent that is zero but for a part
        x = x.dense()
        if type(x) is Parts:
            return cut(f"({', '.join('-' if e is None else brief(e, limit) for e in x.parts)})", limit)
    if is_tensor(x):
        known, x = peek(x)
        if not known:
            return "?"
    if type(x) is tuple:
        return cut(f"({', '.join(brief(e, limit) for e in x)})", limit)
    if isinstance(x, (np.ndarray, np.generic)) and x.ndim == 0:
        x = x.item()
    if type(x) is float:
        return _float(x)
    if type(x) is complex:
        return f"{_float(x.real)}{'+' if x.imag >= 0 or x.imag != x.imag else '-'}{_float(abs(x.imag))}j"
    if not isinstance(x, np.ndarray):
        return cut(repr(x), limit)
    if x.size > 1 and uniform(x):
        return brief(x.reshape(-1)[0]) + " each"
    for items, digits in ((8, 4), (8, 2), (3, 4), (3, 2)):
        text = np.array2string(x, precision=digits, threshold=items, edgeitems=1, max_line_width=1000)
        text = " ".join(text.split()).replace("[ ", "[").replace(" ]", "]")
        if len(text) <= limit:
            return text
    return text[: limit - 4].rpartition(" ")[0].removesuffix(" ...") + " ..."


def _float(x):
    text = f"{x:.5g}"
    return text if any(c in text for c in ".en") else text + ".0"


def uniform(x):
    """Whether all entries of an array are the same number."""
    first = x.reshape(-1)[0]
    return bool((x == first).all()) or bool(first != first and (x != x).all())


def cut(text, limit):
    return text if len(text) <= limit else text[: limit - 3] + "..."


def kind(t):
    """A type in a few characters: `float64[3,4]`, and `float` for a Python float."""
    if t is None:
        return "?"
    if type(t) is Array and t.weak:
        return {"f": "float", "i": "int", "c": "complex", "b": "bool"}[t.dtype.kind]
    return repr(t)


def kind_of(x):
    """The type of a value in a few characters."""
    try:
        return kind(typeof(x))
    except TypeError:
        return type(x).__name__


def not_finite(x):
    """x, or the element of a tuple, in which there is a NaN or an infinity; None where all is finite or unknown."""
    if isinstance(x, Partial):
        x = x.dense()
    if is_tensor(x):
        known, x = peek(x)
        if not known:
            return None
    if type(x) in (tuple, Parts):
        parts = (not_finite(e) for e in (x if type(x) is tuple else x.parts))
        return next((e for e in parts if e is not None), None)
    if type(x) is float or type(x) is complex or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc"):
        return None if np.isfinite(x).all() else x
    return None


def source(filename, lineno):
    """The text of a line of code, '' where it cannot be found."""
    import linecache

    return linecache.getline(filename, lineno).strip() if filename else ""


def columns(text):
    """How many columns of a fixed-width font a text takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
