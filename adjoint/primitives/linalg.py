"""Linear algebra: solving, inverses, determinants, Cholesky, pseudoinverse, least squares. Decompositions into factors
with vectors (eigenvalues, singular values, QR) are in `decompose`.

All ops work on stacks of matrices: leading axes are a batch. Formulas: M. Giles, "Collected matrix derivative results
for forward and reverse mode algorithmic differentiation" (2008), where no other source is named.
"""

import math
import operator

import numpy as np

from ..core.op import bind
from ..core.op import shape as shape_of
from ..core.tuples import Parts, items
from ..core.types import Array, Tuple, typeof
from .kinds import align, as_array, broadcast_like, conj, general, implements, unbroadcast

# What the rules are made of


def T(x):
    """The transpose of each matrix."""
    return np.swapaxes(x, -1, -2)


def H(x):
    """The conjugate transpose of each matrix."""
    return conj(np.swapaxes(x, -1, -2))


def re(x):
    """The real part."""
    return np.real(x) if is_complex(x) else x


def is_complex(x):
    return typeof(x).dtype.kind == "c"


def on_diagonal(x):
    """A mask of the diagonal of each matrix."""
    return np.eye(shape_of(x)[-2], shape_of(x)[-1], dtype=bool)


def below(x, k=-1):
    """A mask of what is on or below the k-th diagonal of each matrix."""
    return np.tri(shape_of(x)[-2], shape_of(x)[-1], k, dtype=bool)


def diagonal_of(x):
    """The diagonal of each matrix."""
    return np.diagonal(x, axis1=-2, axis2=-1)


def columns(x):
    """Numbers as a row, to scale the columns of each matrix."""
    return x[..., None, :]


def diagonal_matrix(x):
    """Matrices with these diagonals."""
    return np.where(np.eye(shape_of(x)[-1], dtype=bool), columns(x), 0)


def lift(x):
    """Numbers as matrices of one row and one column."""
    return np.reshape(x, (*shape_of(x), 1, 1))


def mirror(x, lower=True):
    """The Hermitian matrix that LAPACK reads from one triangle of x; the diagonal counts by its real part."""
    strict = below(x) if lower else ~below(x, 0)
    return np.where(strict, x, np.where(on_diagonal(x), re(x), H(x)))


def fold(g, lower=True):
    """The transpose of `mirror`: a cotangent of the Hermitian matrix as one of the triangle that was read."""
    strict = below(g) if lower else ~below(g, 0)
    return np.where(strict, g + H(g), np.where(on_diagonal(g), re(g), 0))


def named(f, *values):
    """A result of several arrays in the named tuple that f of NumPy returns."""
    if f not in _kinds:
        _kinds[f] = type(f(np.ones((1, 1))))
    return _kinds[f](*values)


_kinds: dict = {}


def parts(g, n):
    """The cotangents of a tuple's n elements."""
    return g.parts if type(g) is Parts else items(g)


def inexact(*types):
    """The dtype in which LAPACK computes."""
    dtype = np.result_type(*(t.dtype for t in types))
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def real_dtype(dtype):
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def same_type(a, **params):
    return Array(a.shape, inexact(a))


def matrices(*shapes, regular=2.0, complex=True):
    """Samples for ops of square matrices: real and complex, plain and stacked, away from singular ones."""

    def sample(rng):
        out = []
        for shape in shapes:
            for factor in (0, 1j) if complex else (0,):
                x = rng.normal(size=shape) + factor * rng.normal(size=shape) if factor else rng.normal(size=shape)
                out.append(((x + regular * np.eye(shape[-2], shape[-1]),), {}))
        return out

    return sample


def matrix_op(name, f, jvp, vjp, type=same_type, sample=None):
    """An op of one stack of matrices."""
    op = general(name, f, jvp, vjp, type=type, sample=sample or matrices((3, 3), (2, 2, 2)))
    op.batch = lambda size, batched, a, **params: bind(op, a, **params)
    return op


# a x = b


def _solver(name, f, mask):
    """An op that solves a x = b for matrices b. mask: what of a is read.

    da x + a dx = db, so dx = a^-1 (db - da x); b' = a^-H x', a' = -b' x^H.
    """

    def jvp(ts, y, a, b, **params):
        ta, tb = ts
        r = tb
        if ta is not None:
            r = -(mask(ta, **params) @ y)
            r = r if tb is None else tb + r
        return broadcast_like(bind(op, a, r, **params), y)

    def vjp(wants, g, y, a, _b, **params):
        gb = bind(op, H(a), g, **_transposed(params))
        ga = unbroadcast(mask(-(gb @ H(y)), **params), a) if wants[0] else None
        return ga, unbroadcast(gb, _b) if wants[1] else None

    def batch(size, batched, a, b, **params):
        shape = shape_of(b)
        if not batched[0] and len(shape) == 3 and len(shape_of(a)) == 2:
            # one matrix, many right hand sides: they are the columns of one
            x = np.swapaxes(b, 0, 1).reshape(shape[1], shape[0] * shape[2])
            return np.swapaxes(bind(op, a, x, **params).reshape(shape[1], shape[0], shape[2]), 0, 1)
        return bind(op, *align(batched, (a, b)), **params)

    def type_rule(a, b, **params):
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return Array(lead + b.shape[-2:], inexact(a, b))

    sample = _solver_samples("lower" if name != "solve" else "")
    op = general(name, f, jvp, vjp, batch=batch, type=type_rule, sample=sample)
    return op


def _transposed(params):
    return {k: not v for k, v in params.items()}


def _solver_samples(flag):
    def sample(rng):
        out = []
        rows = (((3, 3), (3, 2), 0), ((2, 2, 2), (2, 1), 0), ((2, 2), (3, 2, 2), 1j), ((1, 2, 2), (2, 2, 1), 0))
        for sa, sb, i in rows:
            a = rng.normal(size=sa) + 3 * np.eye(sa[-1])
            b = rng.normal(size=sb)
            a, b = (a + i * rng.normal(size=sa), b + i * rng.normal(size=sb)) if i else (a, b)
            out.append(((a, b), {flag: len(out) % 2 == 0} if flag else {}))
        return out

    return sample


def _triangular(a, b, lower):
    """Solve with one triangle of a: by SciPy's routine where it is worth it, else by NumPy's general one."""
    if a.shape[-1] > 64 and a.ndim == b.ndim == 2:
        try:
            from scipy.linalg import solve_triangular as scipy_solve
        except ImportError:
            pass
        else:
            return scipy_solve(a, b, lower=lower, check_finite=False)
    if not lower:
        return np.linalg.solve(np.triu(a), b)
    # turned around, a lower triangle is an upper one, which elimination leaves as it is
    return np.linalg.solve(np.tril(a)[..., ::-1, ::-1], b[..., ::-1, :])[..., ::-1, :]


_solve = _solver("solve", np.linalg.solve, lambda x: x)
_solve_triangular = _solver("solve_triangular", _triangular, lambda x, lower: np.tril(x) if lower else np.triu(x))


def solve_triangular(a, b, lower=False):
    """x with a @ x = b, for matrices b (..., n, k), reading only one triangle of a."""
    return bind(_solve_triangular, a, b, lower=bool(lower))


@implements(np.linalg.solve)
def solve(a, b):
    """x with a @ x = b. a: (..., n, n); b: (n,), or (..., n, k). As `numpy.linalg.solve`."""
    a, b = as_array(a), as_array(b)
    if len(shape_of(b)) == 1:
        return bind(_solve, a, b[:, None])[..., 0]
    return bind(_solve, a, b)


# y = a^-1: dy = -y da y
_inv = matrix_op(
    "inv",
    np.linalg.inv,
    jvp=lambda ts, y, _a: -(y @ ts[0] @ y),
    vjp=lambda wants, g, y, _a: (-(H(y) @ g @ H(y)),),
)


@implements(np.linalg.inv)
def inv(a):
    """The inverse of each matrix. As `numpy.linalg.inv`."""
    return bind(_inv, as_array(a))


# Determinants. d det(a) = tr(adj(a) da) holds for singular matrices too, and adj(a) is a polynomial. In the coordinates
# of a singular value decomposition, a = u s v^H, adj(a) = det(u v^H) v adj(s) u^H, and adj(s) is diagonal with the
# products of the other singular values.


def _others(s):
    """The product of the other elements, for each: without division."""
    before = np.ones_like(s)
    after = np.ones_like(s)
    np.cumprod(s[..., :-1], -1, out=before[..., 1:])
    np.cumprod(s[..., :0:-1], -1, out=after[..., -2::-1])
    return before * after


def _others_of_pairs(s):
    """The product of all elements but two, for each pair; 0 on the diagonal."""
    n = s.shape[-1]
    first = np.ones_like(s)
    last = np.ones_like(s)
    np.cumprod(s[..., :-1], -1, out=first[..., 1:])
    np.cumprod(s[..., :0:-1], -1, out=last[..., -2::-1])
    between = np.ones(s.shape + (n,), s.dtype)
    np.cumprod(np.where(below(between, 0), 1, s[..., None, :])[..., :-1], -1, out=between[..., 1:])
    p = np.where(below(between, 0), 0, first[..., :, None] * between * last[..., None, :])
    return p + T(p)


def _factors(a):
    u, s, vh = np.linalg.svd(a)
    return u, s, vh, (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]


def _adjugate_value(a):
    a = np.asarray(a, inexact(typeof(a)))
    with np.errstate(all="ignore"):
        try:
            # det(a) a^-1 is as accurate as det(a), and ten times quicker, while a is far from singular
            x = np.linalg.inv(a)
            y = np.linalg.det(a)[..., None, None] * x
            condition = np.abs(a).sum(-1).max(-1, initial=0) * np.abs(x).sum(-1).max(-1, initial=0)
            bad = ~(condition < np.finfo(a.dtype).eps ** -0.5)
        except np.linalg.LinAlgError:
            y = np.full_like(a, np.nan)
            bad = np.ones(a.shape[:-2], bool)
        bad &= np.isfinite(a).all((-2, -1))
        if bad.any():
            u, s, vh, c = _factors(a[bad])
            y[bad] = c * (H(vh) * _others(s)[..., None, :]) @ H(u)
    return y


def _adjugate_tangent_value(a, e):
    # the derivative of adj at the diagonal matrix s: a diagonal entry multiplies the products without it
    u, s, vh, c = _factors(a)
    p = _others_of_pairs(s)
    f = H(u) @ e @ H(vh)
    z = np.where(on_diagonal(f), p @ diagonal_of(f)[..., None], -p * f)
    return c * (H(vh) @ z @ H(u))


def _adjugate_second(a, e, f):
    # the second derivative of adj, for regular matrices: from adj(a) = det(a) x, x = a^-1, dx = -x da x
    x = inv(a)
    xe, xf = x @ e, x @ f
    te, tf = _trace(xe), _trace(xf)
    both = te * tf - _trace(xe @ xf)
    return lift(det(a)) * (both * x - te * (xf @ x) - tf * (xe @ x) + xf @ xe @ x + xe @ xf @ x)


def _trace(x):
    return lift(np.sum(diagonal_of(x), -1))


def _adjugate_tangent_jvp(ts, y, a, e):
    t = None if ts[1] is None else bind(_adjugate_tangent, a, ts[1])
    if ts[0] is not None:
        s = _adjugate_second(a, e, ts[0])
        t = s if t is None else t + s
    return broadcast_like(t, y)


def _adjugate_tangent_vjp(wants, g, _y, a, e):
    # tr(adj''(a; e, f) h) is symmetric in e, f and h
    ah = H(a)
    ga = unbroadcast(_adjugate_second(ah, H(e), g), a) if wants[0] else None
    return ga, unbroadcast(bind(_adjugate_tangent, ah, g), e) if wants[1] else None


_adjugate_tangent = general(
    "adjugate_tangent",
    _adjugate_tangent_value,
    _adjugate_tangent_jvp,
    _adjugate_tangent_vjp,
    batch=lambda size, batched, a, e: bind(_adjugate_tangent, *align(batched, (a, e))),
    type=lambda a, e: Array(np.broadcast_shapes(a.shape, e.shape), inexact(a, e)),
    sample=lambda rng: [((a, rng.normal(size=(3, 3))), {}) for (a,), _ in matrices((3, 3), (2, 3, 3), regular=3)(rng)],
)
_adjugate = matrix_op(
    "adjugate",
    _adjugate_value,
    jvp=lambda ts, y, a: bind(_adjugate_tangent, a, ts[0]),
    vjp=lambda wants, g, _y, a: (bind(_adjugate_tangent, H(a), g),),
)
_det = matrix_op(
    "det",
    np.linalg.det,
    jvp=lambda ts, y, a: np.sum(T(bind(_adjugate, a)) * ts[0], (-2, -1)),
    vjp=lambda wants, g, _y, a: (lift(g) * H(bind(_adjugate, a)),),
    type=lambda a: Array(a.shape[:-2], inexact(a)),
    sample=lambda rng: matrices((3, 3), (2, 2, 2), (1, 1))(rng) + [((np.diag([1.0, 2.0, 0.0]),), {})],
)


@implements(np.linalg.det)
def det(a):
    """The determinant of each matrix. The derivative is right for singular matrices too, and the second one; the third
    needs regular ones. As `numpy.linalg.det`."""
    return bind(_det, as_array(a))


# d log det(a) = tr(a^-1 da); its real part belongs to log |det|, its imaginary part turns the sign.


def _slogdet_jvp(ts, y, a):
    sign, _ = items(y)
    t = np.sum(T(inv(a)) * ts[0], (-2, -1))
    return (sign * (np.imag(t) * 1j), np.real(t)) if is_complex(a) else (None, t)


def _slogdet_vjp(wants, g, y, a):
    g_sign, g = parts(g, 2)
    if is_complex(a) and g_sign is not None:
        sign, _ = items(y)
        turn = np.imag(g_sign * np.conjugate(sign)) * 1j
        g = turn if g is None else g + turn
    return (None if g is None else lift(g) * H(inv(a)),)


_slogdet = matrix_op(
    "slogdet",
    lambda a: tuple(np.linalg.slogdet(a)),
    _slogdet_jvp,
    _slogdet_vjp,
    type=lambda a: Tuple((Array(a.shape[:-2], inexact(a)), Array(a.shape[:-2], real_dtype(inexact(a))))),
)


@implements(np.linalg.slogdet)
def slogdet(a):
    """Sign and log |det| of each matrix. The sign of a real one has no derivative. As `numpy.linalg.slogdet`."""
    return named(np.linalg.slogdet, *items(bind(_slogdet, as_array(a))))


# a = L L^H: dL = L P(L^-1 da L^-H), with P(x) the lower triangle of x, its diagonal halved.
# I. Murray, "Differentiation of the Cholesky decomposition" (2016).


def _half(x):
    return np.where(below(x), x, np.where(on_diagonal(x), 0.5 * x, 0))


def _cholesky_jvp(ts, y, _a):
    x = solve_triangular(y, mirror(ts[0]), lower=True)
    return y @ _half(H(solve_triangular(y, H(x), lower=True)))


def _cholesky_vjp(wants, g, y, _a):
    yh = H(y)
    x = solve_triangular(yh, _half(yh @ g))
    return (fold(H(solve_triangular(yh, H(x)))),)


def _cholesky_samples(rng):
    return [((a @ H(a) + np.eye(a.shape[-1]),), {}) for (a,), _ in matrices((3, 3), (2, 2, 2), regular=0)(rng)]


_cholesky = matrix_op("cholesky", np.linalg.cholesky, _cholesky_jvp, _cholesky_vjp, sample=_cholesky_samples)


@implements(np.linalg.cholesky)
def cholesky(a, /, *, upper=False):
    """The triangular factor L of each positive definite matrix, a = L L^H. It reads one triangle of a, and the gradient
    lies in that triangle. As `numpy.linalg.cholesky`."""
    a = as_array(a)
    return H(bind(_cholesky, H(a))) if upper else bind(_cholesky, a)


# Pseudoinverse, for matrices of constant rank: G. Golub, V. Pereyra, "The differentiation of pseudo-inverses and
# nonlinear least squares problems whose variables separate" (1973).


def _pinv_jvp(ts, p, a, rtol=None):
    t = ts[0]
    ph, th = H(p), H(t)
    return -(p @ t @ p) + (p @ ph) @ (th - (th @ a) @ p) + (th - p @ (a @ th)) @ (ph @ p)


def _pinv_vjp(wants, g, p, a, rtol=None):
    ph, gh = H(p), H(g)
    return (-(ph @ g @ ph) + (gh - a @ (p @ gh)) @ (p @ ph) + (ph @ p) @ (gh - (gh @ p) @ a),)


_pinv = matrix_op(
    "pinv",
    lambda a, rtol=None: np.linalg.pinv(a) if rtol is None else np.linalg.pinv(a, rtol=rtol),
    _pinv_jvp,
    _pinv_vjp,
    type=lambda a, rtol=None: Array((*a.shape[:-2], a.shape[-1], a.shape[-2]), inexact(a)),
    sample=matrices((3, 3), (4, 2), (2, 2, 3)),
)


@implements(np.linalg.pinv)
def pinv(a, rcond=None, hermitian=False, *, rtol=np._NoValue):
    """The pseudoinverse of each matrix; its derivative is that along matrices of the same rank. As
    `numpy.linalg.pinv`."""
    a = as_array(a)
    if rtol is None:
        rtol = max(shape_of(a)[-2:]) * float(np.finfo(inexact(typeof(a))).eps)
    elif rtol is np._NoValue:
        rtol = rcond
    elif rcond is not None:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    return bind(_pinv, mirror(a) if hermitian else a, **({} if rtol is None else {"rtol": rtol}))


# Made of these


@implements(np.linalg.matrix_power)
def matrix_power(a, n):
    """Each square matrix to the integer power n. As `numpy.linalg.matrix_power`."""
    a = as_array(a)
    shape = shape_of(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise np.linalg.LinAlgError(f"matrix_power needs square matrices, not shape {shape}")
    try:
        n = operator.index(n)
    except TypeError as e:
        raise TypeError("exponent must be an integer") from e
    if n == 0:
        return np.broadcast_to(np.eye(shape[-1], dtype=typeof(a).dtype), shape).copy()
    if n < 0:
        a, n = inv(a), -n
    y = None
    while n:
        if n & 1:
            y = a if y is None else y @ a
        n >>= 1
        if n:
            a = a @ a
    return y


@implements(np.linalg.tensorsolve)
def tensorsolve(a, b, axes=None):
    """x with tensordot(a, x, x.ndim) = b. As `numpy.linalg.tensorsolve`."""
    a, b = as_array(a), as_array(b)
    n = len(shape_of(a))
    if axes is not None:
        a = np.transpose(a, [k for k in range(n) if k not in axes] + list(axes))
    rest = shape_of(a)[len(shape_of(b)) :]
    size = math.prod(rest)
    if math.prod(shape_of(a)) != size**2:
        raise np.linalg.LinAlgError(
            "Input arrays must satisfy the requirement             prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return np.reshape(solve(np.reshape(a, (size, size)), np.reshape(b, (size,))), rest)


@implements(np.linalg.tensorinv)
def tensorinv(a, ind=2):
    """The inverse of tensordot with a over its first `ind` axes. As `numpy.linalg.tensorinv`."""
    a = as_array(a)
    shape = shape_of(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    size = math.prod(shape[ind:])
    return np.reshape(inv(np.reshape(a, (size, -1))), shape[ind:] + shape[:ind])
