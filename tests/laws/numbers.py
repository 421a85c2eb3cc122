"""Derivatives by the traces alone, and the numbers to compare them with.

A function here takes a list of arrays and returns a list of arrays, and so do its pullback and its pushforward: what is
true of first derivatives can be asked of second ones with the same words.
"""

import warnings

import numpy as np

from adjoint.core.tensor import is_tensor, make
from adjoint.core.types import typeof
from adjoint.traces.batch import Batch
from adjoint.traces.forward import Dual
from adjoint.traces.reverse import Tape, walk


def frozen(x):
    """A read-only copy of an array: a rule that writes into what it is given raises."""
    if type(x) is not np.ndarray:
        return x
    x = x.copy(order="K")
    x.flags.writeable = False
    return x


# Derivatives by the traces alone


def plain(x):
    """An untracked tensor's value; everything else as it is."""
    return x.value if is_tensor(x) and x.trace is None else x


def jvp(f, xs, ts):
    """(ys, tangents); None for an argument that is constant, and for a result that does not depend on any."""
    trace = Dual()
    ys = f([x if t is None else make(x, trace, t) for x, t in zip(xs, ts, strict=True)])
    trace.close()
    mine = [is_tensor(y) and y.trace is trace for y in ys]
    return [y.value if m else plain(y) for y, m in zip(ys, mine)], [y.info if m else None for y, m in zip(ys, mine)]


def vjp(f, xs, wants=None, seen=None):
    """(ys, pull); pull(gs, careful) gives the cotangents, None for what is not wanted or does not matter."""
    tape = Tape()
    wants = [True] * len(xs) if wants is None else wants
    leaves = [tape.leaf(x) if w else x for x, w in zip(xs, wants, strict=True)]
    ys = f(leaves)
    tape.close()
    if seen is not None:
        seen.update(y.info[1] for y in ys if is_tensor(y) and y.trace is tape)

    def pull(gs, careful=False):
        seeds = [(y.info, g) for y, g in zip(ys, gs, strict=True) if is_tensor(y) and y.trace is tape and g is not None]
        found = walk(seeds, careful=careful)
        return [found.get(x.info[0], (None, None))[1] if w else None for x, w in zip(leaves, wants)]

    return [y.value if is_tensor(y) and y.trace is tape else plain(y) for y in ys], pull


def vmap(f, xs, which, size):
    """f of every lane; the results have the lanes in front."""
    trace = Batch(size)
    ys = f([make(x, trace, None) if b else x for x, b in zip(xs, which, strict=True)])
    trace.close()
    ys = [y.value if is_tensor(y) and y.trace is trace else np.stack([plain(y)] * size) for y in ys]
    return [plain(y) for y in ys]


def pullback(f, n):
    """The function (xs, gs) -> cotangents of xs, for f of n arguments."""

    def back(row):
        xs, gs = row[:n], row[n:]
        _, pull = vjp(f, xs)
        return [or_zeros(c, x) for c, x in zip(pull(gs), xs)]

    return back


def pushforward(f, n):
    """The function (xs, ts) -> tangents of the results, for f of n arguments."""

    def push(row):
        ys, ts = jvp(f, row[:n], row[n:])
        return [or_zeros(t, y) for t, y in zip(ts, ys)]

    return push


def or_zeros(t, x):
    kind = typeof(x)
    return np.zeros(kind.shape, kind.dtype)[()] if t is None else t


# Numbers to compare with


def direction(rng, x):
    """A random tangent or cotangent for x: its shape and dtype."""
    kind = typeof(x)
    t = rng.normal(size=kind.shape)
    if kind.dtype.kind == "c":
        t = t + 1j * rng.normal(size=kind.shape)
    t = np.asarray(t).astype(kind.dtype)
    return frozen(t) if t.ndim else t.item() if kind.weak else t[()]


def moved(xs, ts, h):
    return [x if t is None else x + h * t for x, t in zip(xs, ts)]


class NoDifference(AssertionError):
    """The differences of a function do not settle: a kink or a pole is within the smallest step."""


def difference(f, xs, ts):
    """The directional derivative of f by central differences, extrapolated to step 0 (Richardson; error h^6).

    The steps shrink until two extrapolations agree: a kink nearby, or a large sixth derivative, shows as disagreement.
    """
    best, best_error = None, np.inf
    for h in (1e-2, 1e-3, 1e-4, 1e-5):
        rows = []
        for k in (1, 2, 4):
            up, down = f(moved(xs, ts, h / k)), f(moved(xs, ts, -h / k))
            rows.append([(np.asarray(a) - np.asarray(b)) / (2 * h / k) for a, b in zip(up, down, strict=True)])
        a, b, c = rows
        ab, bc = ([(4 * q - p) / 3 for p, q in zip(x, y)] for x, y in ((a, b), (b, c)))
        out = [(16 * q - p) / 15 for p, q in zip(ab, bc)]
        error = max((off(o, p, largest(o, y)) for o, p, y in zip(out, bc, up)), default=0.0)
        if not np.isnan(error) and error < best_error:
            best, best_error = out, error
        if best_error < 1e-9:
            break
    if best_error > 1e-5:
        raise NoDifference(f"the differences do not settle: the last two extrapolations disagree by {best_error:.1e}")
    return best


def complex_step(f, xs, ts):
    """The directional derivative of an analytic f, without cancellation; None where it takes no complex numbers."""
    h = 1e-30
    if any(typeof(x).dtype.kind == "c" for x in xs):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ys = f([x if t is None else np.asarray(x, complex) + 1j * h * np.asarray(t) for x, t in zip(xs, ts)])
    except Exception:
        return None
    if not all(np.asarray(y).dtype.kind == "c" for y in ys):
        return None
    return [np.imag(y) / h for y in ys]


def largest(*xs):
    return max((float(np.max(np.abs(x))) for x in xs if np.size(x)), default=0.0)


def off(a, b, scale):
    if not np.size(a):
        return 0.0
    gap = np.abs(np.subtract(a, b, dtype=np.result_type(a, b, float)))
    gap = np.where(np.equal(a, b), 0.0, gap)  # equal infinities
    return float(np.max(gap)) / (scale or 1.0)


def same(got, want, tol, what, *sizes):
    """Assert that two lists of arrays agree, relative to their own size and that of `sizes`, and have equal shapes."""
    assert len(got) == len(want), f"{what}: {len(got)} results, not {len(want)}"
    for i, (a, b) in enumerate(zip(got, want)):
        if a is None and b is None:
            continue
        a = 0.0 * np.asarray(b) if a is None else a
        b = 0.0 * np.asarray(a) if b is None else b
        assert np.shape(a) == np.shape(b), f"{what}: result {i} has shape {np.shape(a)}, not {np.shape(b)}"
        finite = np.isfinite(b)
        error = off(a, b, max(largest(np.where(finite, b, 0)), *map(largest, sizes), 0.0))
        assert error <= tol, f"{what}: result {i} is off by {error:.2e} of its size:\n{a!r}\nshould be\n{b!r}"


def inner(gs, ts):
    """Re sum conj(g) t, and the size of its terms."""
    total = size = 0.0
    for g, t in zip(gs, ts, strict=True):
        if g is not None and t is not None:
            total += float(np.sum(np.real(np.conjugate(g) * t)))
            size += float(np.linalg.norm(np.ravel(g)) * np.linalg.norm(np.ravel(t)))
    return total, size


def subsets(n):
    """Each argument alone, and all together."""
    alone = [[i == k for i in range(n)] for k in range(n)]
    return alone if n == 1 else [*alone, [True] * n]
