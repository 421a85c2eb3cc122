"""Products that sum: matmul, dot, tensordot, einsum, outer, and their like.

Three ops, linear in each operand: matmul, einsum and outer. The rest is composed from them. A cotangent of one operand
is a product of the cotangent of the result with the conjugates of the others.
"""

import math
import operator

import numpy as np

from ..core.errors import ShapeError
from ..core.errors import where as at
from ..core.op import Op, bind
from ..core.op import shape as shape_of
from ..core.tensor import UFUNC_METHODS, Tensor, update
from ..core.types import Array, typeof
from ..traces.reverse import binary
from .kinds import as_array, axes_from_end, axis_from_end, bilinear, conj, implements, look, no_out, unbroadcast
from .reduce import as_dtype

# matmul: operands of one and more axes


def _solid(g):
    """g as BLAS can take it: the cotangent that a sum sends back is one number repeated by strides of 0."""
    return np.ascontiguousarray(g) if type(g) is np.ndarray and 0 in g.strides else g


def _conj(x):
    return x if type(x) is np.ndarray and x.dtype.kind == "f" else conj(x)


def _fitted(r, a):
    """A cotangent in the shape and dtype of its argument."""
    return r if r.shape == a.shape and r.dtype == a.dtype else unbroadcast(r, a)


def _swap(x):
    return x.T if len(x.shape) == 2 else np.swapaxes(x, -1, -2)


def _column(x):
    return x[..., None] if type(x) is np.ndarray else np.reshape(x, (*x.shape, 1))


def _row(x):
    return np.reshape(x, (*x.shape[:-1], 1, x.shape[-1]))


def _left(g, a, b):
    """The cotangent of a, of which only the type is read: g b^H. Without a, its shape is that of b (see `_short`)."""
    a = b if a is None else a
    n, m = len(a.shape), len(b.shape)
    b = _conj(b)
    g = _solid(g)
    if n == 1 and m == 1:
        return _fitted(g * b, a)
    if m == 1:
        return _fitted(_column(g) * b, a)
    if n == 1:
        return _fitted((b @ _column(g))[..., 0], a)
    if n == 2 and m > 2:  # one product instead of many and a sum
        axes = (*range(m - 2), m - 1)
        return _fitted(np.tensordot(g, b, (axes, axes)), a)
    return _fitted(g @ _swap(b), a)


def _right(g, a, b):
    """The cotangent of b, of which only the type is read: a^H g."""
    b = a if b is None else b
    n, m = len(a.shape), len(b.shape)
    a = _conj(a)
    g = _solid(g)
    if n == 1 and m == 1:
        return _fitted(a * g, b)
    if n == 1:
        return _fitted(_column(a) * _row(g), b)
    if m == 1 and n == 2:
        return _fitted(g @ a, b)
    if m == 1:
        axes = tuple(range(n - 1))
        return _fitted(np.tensordot(g, a, (axes, axes)), b)
    if m == 2 and n > 2:
        axes = tuple(range(n - 1))
        return _fitted(np.tensordot(a, g, (axes, axes)), b)
    return _fitted(_swap(a) @ g, b)


def _matmul_type(a, b):
    x, y = a.shape, b.shape
    if not x or not y or x[-1] != y[max(-2, -len(y))]:
        np.matmul(np.empty(x), np.empty(y))  # raises NumPy's error
    lead = np.broadcast_shapes(x[:-2], y[:-2])
    dtype = np.matmul(np.ones((1, 1), a.dtype), np.ones((1, 1), b.dtype)).dtype
    return Array((*lead, *x[-2:-1], *(y[-1:] if len(y) > 1 else ())), dtype)


def _matmul_batch(size, batched, a, b):
    p, q = shape_of(a), shape_of(b)
    n, m = len(p) - batched[0], len(q) - batched[1]  # axes of a lane
    if not batched[1]:
        if m == 1 or n == 1:  # a lane that is a vector is a row of the batch
            return a @ b if m <= 2 else (_lead(_row(a), 2, m) @ b)[..., 0, :]
        if m == 2:  # one large product
            return np.reshape(np.reshape(a, (-1, p[-1])) @ b, (*p[:-1], q[-1])) if 0 not in p else a @ b
        return _lead(a, n, m) @ b
    if not batched[0]:
        if m == 1:
            return b @ a if n == 1 else b @ _swap(a) if n == 2 else np.matmul(a, _column(_lead(b, 1, n - 1)))[..., 0]
        if n == 1:
            return np.matmul(a, b)
        if n == 2 and 0 not in q:  # one large product, of the lanes side by side
            wide = np.reshape(np.moveaxis(b, -2, 0), (q[-2], -1))
            return np.moveaxis(np.reshape(a @ wide, (p[0], *q[:-2], q[-1])), 0, -2)
        return a @ _lead(b, m, n)
    if n == 1:
        a, n = _row(a), 2
        y = _matmul_batch(size, batched, a, b)
        return y[..., 0, :] if m > 1 else y[..., 0]
    if m == 1:
        return np.matmul(_lead(a, n, 2), _column(_lead(b, 1, n - 1)))[..., 0]
    rank = max(n, m)
    return _lead(a, n, rank) @ _lead(b, m, rank)


def _lead(x, have, want):
    """A batch whose lanes have `have` axes, with more of length 1 behind the batch axis, up to `want`."""
    s = shape_of(x)
    return x if have >= want else np.reshape(x, (s[0], *(1,) * (want - have), *s[1:]))


def _normal(rng, *shapes):
    return tuple(rng.normal(size=s) for s in shapes)


def _matmul_samples(rng):
    shapes = [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((2, 2, 3), (3, 2)),
        ((2, 3), (2, 3, 2)),
        ((2, 2, 3), (3,)),
        ((3,), (2, 3, 2)),
        ((2, 1, 2, 3), (2, 3, 2)),
        ((3, 3), (3, 3)),
    ]
    rows = [(_normal(rng, *s), {}) for s in shapes]
    a, b, c, d = _normal(rng, (2, 3), (2, 3), (3, 2), (3, 2))
    return rows + [((a + 1j * b, c + 1j * d), {}), ((a, c + 1j * d), {})]


_matmul = bilinear(
    "matmul", operator.matmul, _left, _right, type=_matmul_type, batch=_matmul_batch, sample=_matmul_samples
)
# Operands of equal shapes and dtypes (vectors, square matrices) take the short way; there one tells the other's type.
_short = binary(
    _matmul,
    operator.matmul,
    ((False, False, True), (False, True, False)),
    (lambda g, node: _left(g, node[4], node[5]), lambda g, node: _right(g, node[4], node[5])),
)


@implements(np.matmul, np.linalg.matmul)
def matmul(x1, x2, /):
    """The matrix product x1 @ x2, with leading axes as a batch. As `numpy.matmul`."""
    return _short(as_array(x1), as_array(x2))


matmul.op = _matmul


# einsum. The op knows explicit subscripts only: `ij,jk->ik`, one letter an axis.

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # in this order NumPy takes whole numbers for letters
_LARGE = 50_000  # multiplications; from here on a product by BLAS repays the time to plan it


def _extents(specs, args):
    """The length of each letter's axis."""
    known: dict = {}
    for spec, a in zip(specs, args, strict=True):
        for letter, n in zip(spec, shape_of(a), strict=True):
            known[letter] = n if known.get(letter, 1) == 1 else known[letter]
    return known


def _split(subscripts):
    inputs, out = subscripts.split("->")
    return inputs.split(","), out


def _einsum_eval(*args, subscripts, optimize):
    if not optimize and len(args) > 1 and math.prod([np.size(a) for a in args]) > _LARGE:
        work = math.prod(_extents(_split(subscripts)[0], args).values())
        optimize = work > _LARGE and work > 4 * sum([np.size(a) for a in args])  # a sum, and not a product by entries
    return np.einsum(subscripts, *args, optimize=optimize)


def _einsum_type(*types, subscripts, optimize):
    specs, out = _split(subscripts)
    extents = _extents(specs, types)
    return Array(tuple(extents[c] for c in out), np.result_type(*(t.dtype for t in types)))


def _einsum_jvp(ts, y, *args, subscripts, optimize):
    t = None
    for i, ti in enumerate(ts):
        if ti is not None:
            part = bind(_einsum, *args[:i], ti, *args[i + 1 :], subscripts=subscripts, optimize=optimize)
            t = part if t is None else t + part
    return t


def _einsum_vjp(wants, g, _y, *args, subscripts, optimize):
    specs, out = _split(subscripts)
    row = []
    for i, want in enumerate(wants):
        if not want:
            row.append(None)
            continue
        others = [conj(a) for j, a in enumerate(args) if j != i]
        rest = [out] + [s for j, s in enumerate(specs) if j != i]
        letters = [c for c in dict.fromkeys(specs[i]) if any(c in s for s in rest)]
        r = bind(_einsum, g, *others, subscripts=f"{','.join(rest)}->{''.join(letters)}", optimize=optimize)
        row.append(_fit(r, letters, specs[i], typeof(args[i])))
    return tuple(row)


def _fit(r, letters, spec, kind):
    """A cotangent with one axis for each of `letters`, as one of an operand of this type and subscripts."""
    unique = list(dict.fromkeys(spec))
    want = [kind.shape[spec.index(c)] for c in unique]
    have = dict(zip(letters, shape_of(r), strict=True))
    shape = [have.get(c, 1) for c in unique]  # an axis that the operand alone has was summed: repeat
    r = unbroadcast(np.reshape(r, shape), Array(tuple(map(min, shape, want)), kind.dtype))
    if len(unique) == len(spec):
        return np.broadcast_to(r, kind.shape) if shape_of(r) != kind.shape else r
    # a letter twice in one operand takes a diagonal: zero beside it
    n = len(spec)
    first = [spec.index(c) == k for k, c in enumerate(spec)]
    r = np.reshape(r, [shape_of(r)[unique.index(c)] if f else 1 for c, f in zip(spec, first, strict=True)])
    on = np.True_
    for k, c in enumerate(spec):
        if not first[k]:
            i, j = (
                np.arange(kind.shape[m]).reshape([-1 if m == p else 1 for p in range(n)]) for m in (spec.index(c), k)
            )
            on = on & (i == j)
    return np.where(on, np.broadcast_to(r, kind.shape), 0)


def _einsum_batch(size, batched, *args, subscripts, optimize):
    specs, out = _split(subscripts)
    new = next((c for c in _LETTERS if c not in subscripts), None)
    if new is None:
        raise ValueError("too many subscripts in einsum")
    specs = [new + s if b else s for s, b in zip(specs, batched, strict=True)]
    return bind(_einsum, *args, subscripts=f"{','.join(specs)}->{new}{out}", optimize=optimize)


def _einsum_samples(rng):
    rows = [
        ("ij,jk->ik", (2, 3), (3, 2)),
        ("ii->i", (3, 3)),
        ("ii", (3, 3)),
        ("ij->", (2, 3)),
        ("i,j,k->jik", (2,), (3,), (2,)),
        ("iij,j->i", (2, 2, 3), (3,)),
        ("ij,ij->j", (1, 3), (2, 3)),
        ("ij,k->k", (2, 2), (3,)),
        (",i->i", (), (3,)),
    ]
    rows = [(_normal(rng, *shapes), s if "->" in s else s + "->") for s, *shapes in rows]
    a, b = (rng.normal(size=(2, 2)) + 1j * rng.normal(size=(2, 2)) for _ in range(2))
    return [(args, {"subscripts": s, "optimize": False}) for args, s in [*rows, ((a, b), "ij,jk->ki")]]


_einsum = Op(
    "einsum",
    _einsum_eval,
    kind="general",
    jvp=_einsum_jvp,
    vjp=_einsum_vjp,
    type=_einsum_type,
    batch=_einsum_batch,
    sample=_einsum_samples,
)


@implements(np.einsum)
def einsum(*operands, out=None, optimize=False, dtype=None, order="K", casting="safe"):
    """Products of operands summed over the letters that the output lacks, in any form `numpy.einsum` takes."""
    no_out("einsum", out)
    args, specs, result = _read(operands)
    key = (tuple(specs), result, tuple([len(shape_of(a)) for a in args]))
    subscripts = _read_before.get(key) or _explicit(args, specs, result)
    if subscripts is None:
        text = ",".join(specs) + ("" if result is None else f"->{result}")
        np.einsum(text, *[np.broadcast_to(0.0, shape_of(a)) for a in args])  # raises NumPy's own error
        raise ValueError(
            f"einsum subscripts {text} do not fit operands of shapes {', '.join(str(shape_of(a)) for a in args)}"
        )
    _read_before[key] = subscripts
    if dtype is not None:
        args = [as_dtype(a, dtype) for a in args]
    params = {
        "subscripts": subscripts,
        "optimize": optimize if isinstance(optimize, (bool, str)) else bool(len(optimize)),
    }
    if len(args) == 1:
        spec, kept = subscripts.split("->")
        if set(spec) == set(kept):  # nothing is summed: NumPy gives a view
            return look(_einsum, args[0], **params)
    return bind(_einsum, *args, **params)


einsum.op = _einsum
_read_before: dict = {}


def _read(operands):
    """The operands, the subscripts of each, and those of the output or None, of either form of call."""
    if not operands:
        np.einsum()  # raises
    if isinstance(operands[0], str):
        inputs, arrow, result = operands[0].replace(" ", "").partition("->")
        return [as_array(a) for a in operands[1:]], inputs.split(","), result if arrow else None

    def letters(subscripts):
        return "".join(["..." if c is Ellipsis else _LETTERS[operator.index(c)] for c in subscripts])

    n = len(operands) // 2
    args = [as_array(operands[2 * i]) for i in range(n)]
    return args, [letters(operands[2 * i + 1]) for i in range(n)], letters(operands[-1]) if len(operands) % 2 else None


def _explicit(args, specs, result):
    """One letter an axis and an explicit output; None where subscripts and operands do not fit."""
    if len(specs) != len(args):
        return None
    used = "".join(specs).replace("...", "")
    free = [c for c in _LETTERS if c not in used]
    hidden = [len(shape_of(a)) - len(s) + 3 if "..." in s else 0 for a, s in zip(args, specs, strict=True)]
    most = max(hidden)
    if min(hidden) < 0 or most > len(free):
        return None
    dots = "".join(free[:most])
    full = [s.replace("...", dots[most - n :], 1) for s, n in zip(specs, hidden, strict=True)]
    if result is None:
        result = dots + "".join(sorted(c for c in set(used) if used.count(c) == 1))
    else:
        if most and "..." not in result:
            return None
        result = result.replace("...", dots, 1)
    fits = all(len(s) == len(shape_of(a)) for s, a in zip(full, args, strict=True))
    return (
        f"{','.join(full)}->{result}"
        if fits and set(result) <= {*used, *dots} and len(set(result)) == len(result)
        else None
    )


# outer


_outer = bilinear(
    "outer",
    np.multiply.outer,
    lambda g, a, b: unbroadcast(np.matmul(_solid(g), conj(b)), a),
    lambda g, a, b: unbroadcast(np.matmul(conj(a), _solid(g)), b),
    type=lambda a, b: Array(a.shape + b.shape, np.result_type(a.dtype, b.dtype)),
    batch=lambda size, batched, a, b: np.multiply(_column(a), _row(b)),
    sample=lambda rng: [(_normal(rng, (3,), (2,)), {}), ((rng.normal(size=2) + 1j, rng.normal(size=2) * 1j), {})],
)


@implements(np.outer)
def outer(a, b, out=None):
    """The products of each entry of a with each of b; both are flattened. As `numpy.outer`."""
    no_out("outer", out)
    return bind(_outer, np.reshape(as_array(a), -1), np.reshape(as_array(b), -1))


@implements(np.linalg.outer)
def _linalg_outer(x1, x2, /):
    """The products of each entry of one vector with each of another. As `numpy.linalg.outer`."""
    x1, x2 = as_array(x1), as_array(x2)
    if len(shape_of(x1)) != 1 or len(shape_of(x2)) != 1:
        raise ValueError(
            f"Input arrays must be one-dimensional, but they are x1.ndim={len(shape_of(x1))} and x2.ndim={len(shape_of(x2))}."
        )
    return bind(_outer, x1, x2)


# Composed


@implements(np.dot)
def dot(a, b, out=None):
    """The product of vectors or matrices; else summed over a's last axis and b's last but one. As `numpy.dot`."""
    no_out("dot", out)
    a, b = as_array(a), as_array(b)
    p, q = shape_of(a), shape_of(b)
    n, m = len(p), len(q)
    if not n or not m:
        return np.multiply(a, b)
    last = max(m - 2, 0)
    if p[-1] != q[last]:
        shapes = " and ".join(str(s).replace(" ", "") for s in (p, q))
        raise ValueError(f"shapes {shapes} not aligned: {p[-1]} (dim {n - 1}) != {q[last]} (dim {last})")
    return _short(a, b) if m <= 2 or n == 1 else tensordot(a, b, (-1, -2))


@implements(np.inner)
def inner(a, b, /):
    """Products summed over the last axes of both. As `numpy.inner`."""
    a, b = as_array(a), as_array(b)
    if not shape_of(a) or not shape_of(b):
        return np.multiply(a, b)
    return _short(a, b) if len(shape_of(b)) == 1 else tensordot(a, b, (-1, -1))


@implements(np.vdot)
def vdot(a, b, /):
    """The sum of conj(a) * b over all entries. As `numpy.vdot`."""
    return _short(conj(np.reshape(as_array(a), -1)), np.reshape(as_array(b), -1))


@implements(np.vecdot, np.linalg.vecdot)
def vecdot(x1, x2, /, *, axis=-1):
    """The sum of conj(x1) * x2 along an axis. As `numpy.vecdot`."""
    x1, x2 = as_array(x1), as_array(x2)
    a, b = shape_of(x1), shape_of(x2)
    n, m = (s[axis_from_end(axis, len(s))] for s in (a, b))
    if n != m:
        raise ShapeError(f"vecdot of shapes {a} and {b} along axis {axis}: lengths {n} and {m}{at()}")
    if axis != -1:
        x1, x2 = np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1)
    products = np.multiply(conj(x1), x2)
    return np.sum(products, axis=-1, dtype=typeof(products).dtype)


def matvec(x1, x2, /):
    """Matrices times vectors, with leading axes as a batch. As `numpy.matvec`."""
    return np.matmul(as_array(x1), _column(as_array(x2)))[..., 0]


def vecmat(x1, x2, /):
    """Conjugated vectors times matrices, with leading axes as a batch. As `numpy.vecmat`."""
    return np.matmul(_row(conj(as_array(x1))), as_array(x2))[..., 0, :]


if hasattr(np, "matvec"):  # NumPy 2.2
    implements(np.matvec)(matvec)
    implements(np.vecmat)(vecmat)


@implements(np.tensordot, np.linalg.tensordot)
def tensordot(a, b, axes=2):
    """Products summed over axes of a and of b: the last and first `axes`, or the lists given. As `numpy.tensordot`."""
    a, b = as_array(a), as_array(b)
    p, q = shape_of(a), shape_of(b)
    n, m = len(p), len(q)
    try:
        first, second = axes
    except TypeError:
        first, second = range(-axes, 0), range(axes)
    first, second = ([i.__index__() for i in (x if hasattr(x, "__iter__") else (x,))] for x in (first, second))
    if len(first) != len(second) or any(p[i] != q[j] for i, j in zip(first, second, strict=True)):
        raise ValueError("shape-mismatch for sum")
    axes_from_end(tuple(first), n), axes_from_end(tuple(second), m)  # raise on duplicates
    first, second = [i % n for i in first], [j % m for j in second]
    free_a, free_b = [i for i in range(n) if i not in first], [j for j in range(m) if j not in second]
    inside = math.prod([p[i] for i in first])
    left, right = [p[i] for i in free_a], [q[j] for j in free_b]
    a = np.reshape(_ordered(a, free_a + first), (math.prod(left), inside))
    b = np.reshape(_ordered(b, second + free_b), (inside, math.prod(right)))
    return np.reshape(_short(a, b), (*left, *right))


def _ordered(x, axes):
    return x if axes == list(range(len(axes))) else np.transpose(x, axes)


@implements(np.kron)
def kron(a, b):
    """The Kronecker product: blocks of b, scaled by the entries of a. As `numpy.kron`."""
    a, b = as_array(a), as_array(b)
    n = max(len(shape_of(a)), len(shape_of(b)))
    p, q = ((1,) * (n - len(shape_of(x))) + tuple(shape_of(x)) for x in (a, b))
    a = np.reshape(a, [k for i in p for k in (i, 1)])
    b = np.reshape(b, [k for j in q for k in (1, j)])
    return np.reshape(np.multiply(a, b), [i * j for i, j in zip(p, q, strict=True)])


@implements(np.cross)
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    """The cross product of vectors of 3 (or 2) entries. As `numpy.cross`."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(as_array(a), axisa, -1), np.moveaxis(as_array(b), axisb, -1)
    n, m = shape_of(a)[-1], shape_of(b)[-1]
    if n not in (2, 3) or m not in (2, 3):
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    if n == m == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (
        np.concatenate([x, np.zeros((*shape_of(x)[:-1], 1), typeof(x).dtype)], -1) if k == 2 else x
        for x, k in ((a, n), (b, m))
    )
    y = np.roll(a, -1, -1) * np.roll(b, -2, -1) - np.roll(a, -2, -1) * np.roll(b, -1, -1)
    return np.moveaxis(y, -1, axisc)


@implements(np.linalg.cross)
def _linalg_cross(x1, x2, /, *, axis=-1):
    x1, x2 = as_array(x1), as_array(x2)
    if shape_of(x1)[axis] != 3 or shape_of(x2)[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors, but they are "
            f"{shape_of(x1)[axis]} and {shape_of(x2)[axis]} dimensional instead."
        )
    return cross(x1, x2, axis=axis)


@implements(np.trace)
def trace(a, offset=0, axis1=0, axis2=1, dtype=None, out=None):
    """The sum along a diagonal of two axes. As `numpy.trace`."""
    no_out("trace", out)
    return np.sum(np.diagonal(as_array(a), offset, axis1, axis2), axis=-1, dtype=dtype)


@implements(np.linalg.trace)
def _linalg_trace(x, /, *, offset=0, dtype=None):
    return trace(x, offset, -2, -1, dtype)


@implements(np.linalg.multi_dot)
def multi_dot(arrays, *, out=None):
    """The product of matrices, in the order of fewest multiplications. As `numpy.linalg.multi_dot`."""
    no_out("multi_dot", out)
    arrays = [as_array(a) for a in arrays]
    n = len(arrays)
    if n < 2:
        raise ValueError("Expecting at least two arrays.")
    first, last = len(shape_of(arrays[0])), len(shape_of(arrays[-1]))
    for i, a in enumerate(arrays):
        k = len(shape_of(a))
        if k != 2 and not (k == 1 and i in (0, n - 1)):
            raise np.linalg.LinAlgError(f"{k}-dimensional array given. Array must be two-dimensional")
    sizes = [
        1 if first == 1 else shape_of(arrays[0])[0],
        *(shape_of(a)[0] for a in arrays[1:]),
        1 if last == 1 else shape_of(arrays[-1])[1],
    ]
    best: dict = {(i, i + 1): (0, None) for i in range(n)}  # (cost, where to split) of the product of arrays[i:j]
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length
            best[i, j] = min(
                (best[i, k][0] + best[k, j][0] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j)
            )

    def product(i, j):
        k = best[i, j][1]
        return arrays[i] if k is None else _short(product(i, k), product(k, j))

    return product(0, n)


# np.multiply.outer(a, b) and its like; operators


def _ufunc_outer(ufunc):
    def outer_of(a, b, /):
        a, b = as_array(a), as_array(b)
        return ufunc(np.reshape(a, (*shape_of(a), *(1,) * len(shape_of(b)))), b)

    return outer_of


def _install():
    for ufunc in (
        np.add,
        np.subtract,
        np.multiply,
        np.divide,
        np.power,
        np.maximum,
        np.minimum,
        np.hypot,
        np.arctan2,
        np.logaddexp,
    ):
        UFUNC_METHODS[ufunc, "outer"] = _ufunc_outer(ufunc)
    Tensor.__matmul__ = matmul
    Tensor.__rmatmul__ = lambda b, a: matmul(a, b)
    Tensor.__imatmul__ = lambda a, b: update(a, matmul(a, b))
    Tensor.dot = dot


_install()
