"""What a differentiable function can do, found by doing it: its derivative in each mode and dtype at one point, and how far off.

The function is made a number, the sum of its floating results times fixed weights. Its slope along two directions is compared
with the complex step, where NumPy's own function is analytic, else with central differences extrapolated to step 0, which are
themselves good to about 1e-10.
"""

import warnings
from typing import NamedTuple

import numpy as np

from ..core.errors import AdjointError
from ..core.tensor import is_tensor
from ..core.tuples import items
from ..traces.capture import capture
from ..transforms.derivatives import grad, jvp, vmap

MODES = ("reverse", "forward", "batch", "second")
_TOLERANCE = 1e-6  # what counts as working; the error itself is in the table


class Measured(NamedTuple):
    """by: 'rule', or the ops it is composed of. modes: those of MODES that work. error: of the gradient, relative; NaN: unknown.

    step: whether the complex step was the measure.
    """

    by: str
    modes: tuple
    dtypes: tuple
    error: float
    step: bool


def measure(call, v, m):
    """What `call(v, m)` can do, v and m being float64 arrays."""
    rng = np.random.default_rng(0)
    directions = [(rng.normal(size=v.shape), rng.normal(size=m.shape)) for _ in range(2)]
    f = number(call)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wants = [difference(f, v, m, *t) for t in directions]
        steps = [_complex_step(call, v, m, *t) for t in directions]
        step = all(s is not None and abs(s - w) <= 1e-5 * (1 + abs(w)) for s, w in zip(steps, wants, strict=True))
        wants = steps if step else wants
        dtypes, modes = [], []
        back = _try(lambda: grad(f, argnums=(0, 1))(v, m))
        gots = [None if back is None else _dot(back, t) for t in directions]
        size = max(1e-300, *map(abs, wants), 1e-3)
        error = np.nan if back is None else max(abs(g - w) for g, w in zip(gots, wants, strict=True)) / size
        if error <= _TOLERANCE:
            modes.append("reverse")
            dtypes.append("float64")
        ts = [_try(lambda t=t: jvp(f, (v, m), t)[1]) for t in directions]
        if all(t is not None and abs(t - w) <= _TOLERANCE * size for t, w in zip(ts, wants, strict=True)):
            modes.append("forward")
        if _try(lambda: _batched(f, v, m, back)):
            modes.append("batch")
        if _try(lambda: _second(f, v, m, *directions[0])):
            modes.append("second")
        if _try(lambda: _single(f, v, m, back)):
            dtypes.append("float32")
        dtypes += _complex(call, v, m, *directions[0])
    return Measured(_by(call, v, m), tuple(modes), tuple(dtypes), error, step)


def _try(f):
    try:
        return f()
    except Exception:  # whatever is raised: it does not work
        return None


def number(call, real=True):
    """The function as one number: its floating results, times weights that depend on their places alone. real: of complex
    ones, the sum of both parts."""

    def total(y):
        if isinstance(y, (tuple, list)) or (is_tensor(y) and type(y.value) is tuple):
            return sum(((k + 1) * total(e) for k, e in enumerate(items(y) if is_tensor(y) else y)), 0.0)
        kind = getattr(getattr(y, "dtype", None), "kind", "f" if type(y) in (float, complex) else "")
        if kind not in ("f", "c"):
            return 0.0
        n = int(np.prod(np.shape(y)))
        w = (
            np.cos(np.arange(1.0, n + 1))
            .reshape(np.shape(y))
            .astype(np.real(np.zeros(1, y.dtype)).dtype if hasattr(y, "dtype") else float)
        )
        return np.sum(w * (np.real(y) + np.imag(y) if real and kind == "c" else y))

    return lambda v, m: total(call(v, m))


def difference(f, v, m, tv, tm):
    """The slope along (tv, tm) by central differences, extrapolated; of several steps the one that settles best, and NaN if
    none does."""
    best, gap = np.nan, np.inf
    for h in (1e-2, 2e-3, 4e-4):
        a, b, c = ((f(v + s * tv, m + s * tm) - f(v - s * tv, m - s * tm)) / (2 * s) for s in (h, h / 2, h / 4))
        first, second = (4 * b - a) / 3, (4 * c - b) / 3
        y = (16 * second - first) / 15
        if abs(y - second) < gap:
            best, gap = y, abs(y - second)
    return np.real(best) if gap <= 1e-4 * (1 + abs(best)) else np.nan


def _complex_step(call, v, m, tv, tm):
    f, h = number(call, real=False), 1e-25
    if np.iscomplexobj(_try(lambda: f(v, m))):
        return None
    y = _try(lambda: f(v + 1j * h * tv, m + 1j * h * tm))
    return np.imag(y) / h if y is not None and np.iscomplexobj(y) and np.isfinite(y) else None


def _dot(g, t):
    return float(sum(np.sum(a * b) for a, b in zip(g, t, strict=True)))


def _batched(f, v, m, back):
    lanes = [1.0, 1.01]
    rows = vmap(grad(f, argnums=(0, 1)))(np.stack([v * s for s in lanes]), np.stack([m * s for s in lanes]))
    want = grad(f, argnums=(0, 1))(v * lanes[1], m * lanes[1])
    return all(
        np.allclose(r[0], b, rtol=1e-9, atol=1e-12) and np.allclose(r[1], w, rtol=1e-9, atol=1e-12)
        for r, b, w in zip(rows, back, want, strict=True)
    )


def _second(f, v, m, tv, tm):
    slope = lambda v, m: _sum_products(grad(f, argnums=(0, 1))(v, m), (tv, tm))
    got = _dot(grad(slope, argnums=(0, 1))(v, m), (tv, tm))
    want = difference(lambda v, m: float(slope(v, m)), v, m, tv, tm)
    return abs(got - want) <= 1e-5 * max(1.0, abs(want))


def _sum_products(g, t):
    return np.sum(g[0] * t[0]) + np.sum(g[1] * t[1])


def _single(f, v, m, back):
    g = grad(f, argnums=(0, 1))(v.astype(np.float32), m.astype(np.float32))
    size = max(1e-3, *(np.max(np.abs(b)) for b in back))
    return all(a.dtype == np.float32 and np.max(np.abs(a - b)) <= 1e-3 * size for a, b in zip(g, back, strict=True))


def _complex(call, v, m, tv, tm):
    """['complex'] if it differentiates complex arguments, right; ['complex refused'] if it says that it does not; [] if
    NumPy's own function takes none."""
    f = number(call)
    v, m = v + 0.1j * np.cos(v), m + 0.1j * np.cos(m)
    want = _try(lambda: difference(f, v, m, tv, tm))
    if want is None or not np.isfinite(want):
        return []
    try:
        g = grad(f, argnums=(0, 1))(v, m)
    except (AdjointError, TypeError):
        return ["complex refused"]
    except Exception:
        return []
    got = float(sum(np.sum(np.real(a) * t) for a, t in zip(g, (tv, tm), strict=True)))
    return ["complex"] if abs(got - want) <= 1e-5 * max(1.0, abs(want)) else ["complex WRONG"]


def _by(call, v, m):
    """'rule' if one op does it, else the ops that carry its derivative; '' where it cannot be captured."""
    graph = _try(lambda: capture(call, v, m))
    if graph is None:
        return "by the values"
    names = [line.op.name for line in graph.lines if line.op.kind not in ("nondiff", "tuple")]
    names = list(dict.fromkeys(names))
    if len(names) == 1:
        return "rule"
    return ", ".join(names[:4]) + (" ..." if len(names) > 4 else "") if names else "views"
