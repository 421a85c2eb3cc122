"""Decompositions of matrices into factors: eigenvalues and eigenvectors, singular values and vectors, QR; and what is
made of them: condition number, rank, least squares.

Vectors that belong to equal values are not unique. Where two eigenvalues or singular values agree within rounding,
their vectors' part of a derivative is taken as 0: right where the result does not depend on the choice of vectors among
them. What would be lost so is NaN instead (see `repeated`). A result of values alone never divides by differences.
"""

import numpy as np

from ..core.errors import MissingRuleError
from ..core.errors import where as at
from ..core.op import bind
from ..core.op import shape as shape_of
from ..core.tensor import concrete, is_tensor, peek, untracked
from ..core.tuples import items, spread
from ..core.types import Array, Tuple, typeof
from .kinds import as_array, conj, general, implements, nondiff
from .linalg import (
    H,
    T,
    below,
    columns,
    diagonal_matrix,
    diagonal_of,
    fold,
    inexact,
    inv,
    is_complex,
    matrices,
    matrix_op,
    mirror,
    named,
    on_diagonal,
    parts,
    pinv,
    re,
    real_dtype,
    solve,
    solve_triangular,
)
from .repeated import doubtful, native, near, sealed, settle_op, share_op, tiny, unequal, weigh_op


def _safe_inverse(x, zero):
    return np.where(zero, 0, 1 / np.where(zero, 1, x))


def _gaps(w):
    """1 / (w_j - w_i) in row i and column j; 0 where they agree."""
    return _safe_inverse(w[..., None, :] - w[..., :, None], bind(near, w))


def _phase_value(d, size):
    d = np.imag(d)
    if np.any(np.abs(d) > 1e-3 * size + 1e-6):
        raise MissingRuleError(
            "the result depends on the phases of complex eigenvectors or singular vectors, which are arbitrary, and so "
            f"has no derivative{at()}; make it independent of them (abs, products like v @ v^H), or fix the phases"
        )
    return d


# The imaginary part of d, which must vanish: a cotangent of vectors along their phases. size: what it is measured by.
_phase = general(
    "phase",
    _phase_value,
    jvp=lambda ts, y, d, size: None if ts[0] is None else np.imag(ts[0]),
    vjp=lambda wants, g, _y, _d, _size: (g * 1j if wants[0] else None, None),
    batch=lambda size, batched, d, n: bind(_phase, d if batched[0] else spread(size, d), n),
    type=lambda d, size: Array(d.shape, real_dtype(d.dtype)),
    sample=lambda rng: [((rng.normal(size=3) + 1j * rng.normal(size=3), np.full(3, 1e9)), {})],
)


def _without_phase(x, *cotangents):
    """x less the imaginary part of its diagonal, which must vanish if the vectors' phases do not matter."""
    if not is_complex(x):
        return x
    size = sum(np.sum(np.abs(c), -2) for c in cotangents)
    return x - 1j * diagonal_matrix(bind(_phase, diagonal_of(x), size))


# a v = v w, Hermitian. With m = v^H da v: dw = diag(m), dv = v (m / (w_j - w_i)). The op gives w twice: first for those
# who use vectors too, where a derivative that would be lost is NaN; last for results of values alone, where it is a
# subgradient.


def _lengths(x):
    """The length of each column."""
    return np.sqrt(np.sum(np.real(x * np.conjugate(x)), -2))


def _plus(a, b):
    return b if a is None else a if b is None else a + b


def _void(x, rows):
    """x, with NaN on the diagonal in these rows."""
    return np.where(on_diagonal(x) & columns(rows), np.nan, x)


def _eigh_jvp(ts, y, _a, UPLO):
    w, v, _ = items(y)
    t = mirror(ts[0], UPLO == "L")
    m = H(v) @ t @ v
    same = bind(near, w)
    x = bind(sealed, v, _repeated(same))
    free = re(diagonal_of(H(x) @ t @ x))
    return re(bind(settle_op, m, same)), v @ (_gaps(w) * m), free


def _repeated(same):
    return np.sum(same, -1) > 1


def _eigh_vjp(wants, g, y, _a, UPLO):
    w, v, _ = items(y)
    gw, gv, free = parts(g, 3)
    same = bind(near, w)
    r = None
    if gv is not None:
        z = _without_phase(H(v) @ gv, gv)
        gw = _plus(gw, free)
        r = _void(_gaps(w) * z, doubtful(z, _lengths(gv), gw, same))
        free = None
    if gw is not None:
        r = _plus(bind(share_op, _as(gw, v), same), r)
    r = None if r is None else v @ r @ H(v)
    if free is not None:
        x = bind(sealed, v, bind(unequal, free, same))
        r = _plus(r, x @ bind(weigh_op, _as(free, v), same, w) @ H(x))
    return (None if r is None else fold(r, UPLO == "L"),)


def _as(g, v):
    # complex where the vectors are: what comes back to it has phases
    return g + 0j if is_complex(v) else g


def _eigh_value(a, UPLO):
    w, v = np.linalg.eigh(a, UPLO)
    return w, v, w.copy()


def _eigh_samples(rng):
    rows = matrices((3, 3), (2, 2, 2), complex=False)(rng)
    return [((a + T(a),), {"UPLO": uplo}) for ((a,), _), uplo in zip(rows, "LU", strict=True)]


_eigh = matrix_op(
    "eigh",
    _eigh_value,
    _eigh_jvp,
    _eigh_vjp,
    type=lambda a, UPLO: Tuple((w := Array(a.shape[:-1], real_dtype(inexact(a))), Array(a.shape, inexact(a)), w)),
    sample=_eigh_samples,
)


def _uplo(UPLO):
    UPLO = UPLO.upper()
    if UPLO not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return UPLO


@implements(np.linalg.eigh)
def eigh(a, UPLO="L"):
    """Eigenvalues and eigenvectors of each Hermitian matrix. It reads one triangle of a, and the gradient lies in that
    triangle. At repeated eigenvalues it is right for what depends on the space of their vectors, or on the values
    alike; else it is NaN: for one of the values, or for v @ diag(f(w)) @ v^H. Forward mode does not see whether vectors
    of equal values are told apart, and takes it that they are not. As `numpy.linalg.eigh`."""
    return named(np.linalg.eigh, *items(bind(_eigh, as_array(a), UPLO=_uplo(UPLO)))[:2])


@implements(np.linalg.eigvalsh)
def eigvalsh(a, UPLO="L"):
    """Eigenvalues of each Hermitian matrix. At repeated ones the first derivative is a subgradient, the second is NaN
    unless nothing was lost. As `numpy.linalg.eigvalsh`."""
    a = as_array(a)
    return items(bind(_eigh, a, UPLO=_uplo(UPLO)))[2] if is_tensor(a) else np.linalg.eigvalsh(a, UPLO)


# a v = v w. With m = v^-1 da v: dw = diag(m), dv = u - v c, u = v (m / (w_j - w_i)); c keeps what LAPACK fixes: columns
# of length 1, their largest element real.


def _largest_value(v):
    n = v.shape[-2]
    return np.arange(n)[:, None] == np.argmax(np.abs(v), -2)[..., None, :] if n else np.zeros(v.shape, bool)


_largest = native(nondiff("largest", _largest_value, elementwise=False, sample=matrices((3, 3), (2, 2, 2))).op)


def _eig_jvp(ts, y, _a):
    w, v = items(y)
    m = solve(v, ts[0] @ v)
    u = v @ (_gaps(w) * m)
    pick = bind(_largest, v)
    turn = np.sum(np.where(pick, np.imag(u), 0), -2) / np.sum(np.where(pick, np.real(v), 0), -2)
    return bind(settle_op, m, bind(near, w)), u - v * columns(np.sum(np.real(np.conjugate(v) * u), -2) + 1j * turn)


def _eig_vjp(wants, g, y, _a):
    w, v = items(y)
    gw, gv = parts(g, 2)
    vh = H(v)
    same = bind(near, w)
    m = None if gw is None else bind(share_op, gw, same)
    if gv is not None:
        pick = bind(_largest, v)
        along = np.sum(np.conjugate(v) * gv, -2)
        turn = np.imag(along) / np.sum(np.where(pick, np.real(v), 0), -2)
        gu = gv - v * columns(np.real(along)) - 1j * np.where(pick, columns(turn), 0)
        z = vh @ gu
        # vectors of equal values mix by any matrix, not only by rotations: all of z must vanish for them
        bad = doubtful(z, _lengths(gv), gw, same) | doubtful(1j * z, _lengths(gv), None, same)
        s = _void(conj(_gaps(w)) * z, bad)
        m = s if m is None else m + s
    if m is None:
        return (None,)
    r = solve(vh, m @ vh)
    return (r if is_complex(_a) else np.real(r),)


def _complex_dtype(dtype):
    return dtype if dtype.kind == "c" else np.dtype(f"c{2 * dtype.itemsize}")


def _eig_value(a):
    w, v = np.linalg.eig(a)
    return w.astype(_complex_dtype(w.dtype), copy=False), v.astype(_complex_dtype(v.dtype), copy=False)


_eig = matrix_op(
    "eig",
    _eig_value,
    _eig_jvp,
    _eig_vjp,
    type=lambda a: Tuple((Array(a.shape[:-1], _complex_dtype(inexact(a))), Array(a.shape, _complex_dtype(inexact(a))))),
)


@implements(np.linalg.eig)
def eig(a):
    """Eigenvalues and eigenvectors of each square matrix. Those of a real one are real if all eigenvalues are known to
    be, else complex. At repeated eigenvalues the derivative is right or NaN, as that of `eigh`. As
    `numpy.linalg.eig`."""
    a = as_array(a)
    if not is_tensor(a):
        return np.linalg.eig(a)
    w, v = items(bind(_eig, a))
    if not is_complex(a):
        known, value = peek(w)
        if known and not np.any(value.imag):
            w, v = np.real(w), np.real(v)
    return named(np.linalg.eig, w, v)


@implements(np.linalg.eigvals)
def eigvals(a):
    """Eigenvalues of each square matrix. As `numpy.linalg.eigvals`."""
    a = as_array(a)
    return eig(a)[0] if is_tensor(a) else np.linalg.eigvals(a)


# a = u s v^H. With p = u^H da v: ds = diag(p), and du = u o + what leaves the space of u, dv likewise with q, where
#     o = (d + e) / 2,  q = (d - e) / 2,  d_ij = (p + p^H)_ij / (s_j - s_i),  e_ij = (p - p^H)_ij / (s_i + s_j).
# J. Townsend, "Differentiating the singular value decomposition" (2016), here with the two denominators apart; the
# diagonal of e is the phase of complex vectors, shared evenly. For full u and v, the further columns turn against the
# first: du2 = -u1 k^H where du1 = u1 o + u2 k. A singular value at 0 has a kink, as the absolute value has.


def _inverse_sums(s):
    zero = bind(tiny, s)
    return _safe_inverse(s[..., None, :] + s[..., :, None], zero[..., None, :] & zero[..., :, None])


def _thin(y):
    """u, s, v, without further columns; and these."""
    u, s, vh, _ = items(y)
    k = shape_of(s)[-1]
    v = H(vh)
    return u[..., :k], s, v[..., :k], u[..., k:], v[..., k:]


def _loose(s, a):
    """Which values count as equal, which are 0, and which pairs of vectors may turn against each other. Where a
    singular value is 0, its two vectors turn freely: a single one too, if there are phases or other places to go."""
    same, zero = bind(near, s), bind(tiny, s)
    eye = np.eye(shape_of(s)[-1], dtype=bool)
    free = is_complex(a) or shape_of(a)[-1] != shape_of(a)[-2]
    return same, zero, (same & ~eye) | (columns(zero) & eye) if free else same & ~eye


def _svd_jvp(ts, y, _a, full):
    u, s, v, u2, v2 = _thin(y)
    t = ts[0]
    tv, thu = t @ v, H(t) @ u
    p = H(u) @ tv
    even, odd = p + H(p), p - H(p)
    d = even * _gaps(s)
    e = odd * _inverse_sums(s)
    same, zero, _ = _loose(s, _a)
    r = columns(_safe_inverse(s, zero))
    du_out, dv_out = tv - u @ p, thu - v @ H(p)
    du = u @ (0.5 * (d + e)) + du_out * r
    dv = v @ (0.5 * (d - e)) + dv_out * r
    if full:
        du = np.concatenate([du, -u @ (H(tv * r) @ u2)], -1)
        dv = np.concatenate([dv, -v @ (H(thu * r) @ v2)], -1)
    # at 0: the parts that were left out
    odd = np.max(np.where(columns(zero) & same, np.abs(odd), 0), -2, initial=0)
    lost = np.maximum(odd, np.maximum(_lengths(du_out), _lengths(dv_out)))
    lost = zero & (lost > _half_digits(s) * (_lengths(tv) + _lengths(thu)))
    ds = np.where(lost, np.nan, re(bind(settle_op, 0.5 * even, same)))
    kink = zero | _repeated(same)
    free = re(diagonal_of(H(bind(sealed, u, kink)) @ t @ bind(sealed, v, kink)))
    # the kink at 0, where the tangent of a tangent stays NaN
    return du, ds, H(dv), free - np.where(s == 0, free, 0)


def _half_digits(s):
    return float(np.finfo(typeof(s).dtype).eps) ** 0.5


def _svd_vjp(wants, g, y, _a, full):
    u, s, v, u2, v2 = _thin(y)
    gu, gs, gvh, free = parts(g, 4)
    same, zero, loose = _loose(s, _a)
    r = columns(_safe_inverse(s, zero))
    k = shape_of(s)[-1]
    gp = None
    out = None
    bad = None

    def vectors(g, x, x2):
        # what a cotangent of x asks of x^H dx and of the part of da that leaves the space of x; where that is lost
        g1 = g[..., :k]
        inside = H(x) @ g1
        outside = g1 - x @ inside
        size = _lengths(g1)
        lost = False
        if full:
            g2 = g[..., k:]
            outside = outside - x2 @ (H(g2) @ x)
            size = size + _lengths(H(g2) @ x)
            lost = H(x2) @ g2
            lost = np.max(np.abs(lost - H(lost)), (-2, -1), initial=0, keepdims=True)[..., 0]
            lost = lost > _half_digits(s) * np.max(_lengths(g2), -1, initial=0, keepdims=True)
        lost = lost | (zero & (_lengths(outside) > _half_digits(s) * size))
        return inside, outside * r, size, lost

    go = gq = 0
    size = 0
    cotangents = []
    if gu is not None:
        go, outside, size, bad = vectors(gu, u, u2)
        out = outside @ H(v)
        cotangents.append(gu[..., :k])
    if gvh is not None:
        gv = H(gvh)
        gq, outside, more, lost = vectors(gv, v, v2)
        outside = u @ H(outside)
        out = outside if out is None else out + outside
        size = size + more
        bad = lost if bad is None else bad | lost
        cotangents.append(gv[..., :k])
    if cotangents:
        gs = _plus(gs, free)
        free = None
        z = _without_phase(go + gq, *cotangents)
        gd = 0.5 * _gaps(s) * z
        ge = 0.5 * _inverse_sums(s) * (go - gq)
        bad = bad | doubtful(z, size, gs, same, loose)
        # at 0 the vectors of both sides turn each on its own
        bad = bad | doubtful(go - gq, size, None, same, loose & columns(zero))
        gp = _void(gd + H(gd) + ge - H(ge), bad)
    if gs is not None:
        gp = _plus(bind(share_op, _as(gs, v), same), gp)
    if gp is not None:
        out = _plus(u @ gp @ H(v), out)
    if free is not None:
        free = np.where(s == 0, 0, free)
        kink = zero | bind(unequal, free, same)
        x = bind(sealed, u, kink) @ bind(weigh_op, _as(free, v), same, s)
        out = _plus(x @ H(bind(sealed, v, kink)), out)
    return (out,)


def _svd_value(a, full):
    u, s, vh = np.linalg.svd(a, full)
    return u, s, vh, s.copy()


def _svd_type(a, full):
    m, n = a.shape[-2:]
    k = min(m, n)
    lead, dtype = a.shape[:-2], inexact(a)
    u = Array((*lead, m, m if full else k), dtype)
    vh = Array((*lead, n if full else k, n), dtype)
    s = Array((*lead, k), real_dtype(dtype))
    return Tuple((u, s, vh, s))


_svd = matrix_op(
    "svd",
    _svd_value,
    _svd_jvp,
    _svd_vjp,
    type=_svd_type,
    sample=lambda rng: [(args, {"full": False}) for args, _ in matrices((3, 3), (2, 3, 2), (2, 4), complex=False)(rng)],
)


@implements(np.linalg.svd)
def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
    """Singular values and vectors of each matrix, a = u @ diag(s) @ vh. At repeated singular values, and at 0, the
    derivative is right or NaN, as that of `eigh`; without vectors (compute_uv=False) as that of `svdvals`. As
    `numpy.linalg.svd`."""
    a = as_array(a)
    if not is_tensor(a):
        return np.linalg.svd(a, full_matrices, compute_uv, hermitian)
    if hermitian:
        return _svd_hermitian(a, compute_uv)
    m, n = shape_of(a)[-2:]
    u, s, vh, free = items(bind(_svd, a, full=bool(full_matrices and compute_uv and m != n)))
    return named(np.linalg.svd, u, s, vh) if compute_uv else free


def _svd_hermitian(a, compute_uv):
    w, v = eigh(a) if compute_uv else (eigvalsh(a), None)
    s = np.abs(w)
    order = np.flip(np.argsort(s, -1), -1)
    s = np.take_along_axis(s, order, -1)
    if not compute_uv:
        return s
    u = np.take_along_axis(v, columns(order), -1)
    sign = np.take_along_axis(np.sign(w), order, -1)
    return named(np.linalg.svd, u, s, H(u * columns(sign)))


@implements(np.linalg.svdvals)
def svdvals(x, /):
    """Singular values of each matrix. At repeated ones the first derivative is a subgradient (0 at 0), the second is
    NaN unless nothing was lost. As `numpy.linalg.svdvals`."""
    return svd(x, compute_uv=False)


# a = q r, tall and of full rank, the diagonal of r real: dq = q o + (1 - q q^H) da r^-1, dr = (m - o) r, with
# m = q^H da r^-1 and o its antihermitian part that has the same lower triangle. A wide a = [x z] has r = [r1, q^H z].
# S. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions" (2012); D. Roberts, L. Roberts,
# "QR and LQ decomposition matrix backpropagation algorithms" (2020).


def _divide(x, r):
    """x r^-1, for upper triangles r."""
    return H(solve_triangular(H(r), H(x), lower=True))


def _strictly_below(x):
    return np.where(below(x), x, 0)


def _qr_jvp(ts, y, a):
    q, r = items(y)
    t = ts[0]
    k = shape_of(q)[-1]
    r1 = r[..., :k]
    w = _divide(t[..., :k], r1)
    m = H(q) @ w
    o = _strictly_below(m)
    o = o - H(o)
    if is_complex(m):
        o = o + 1j * diagonal_matrix(np.imag(diagonal_of(m)))
    dq = w - q @ (m - o)
    dr = np.where(below(m), 0, (m - o) @ r1)
    if shape_of(t)[-1] > k:
        dr = np.concatenate([dr, H(dq) @ a[..., k:] + H(q) @ t[..., k:]], -1)
    return dq, dr


def _qr_vjp(wants, g, y, a):
    q, r = items(y)
    gq, gr = parts(g, 2)
    k = shape_of(q)[-1]
    wide = shape_of(r)[-1] > k
    if gq is None and gr is None:
        return (None,)
    if wide and gr is not None:
        z, gz = a[..., k:], gr[..., k:]
        gr = gr[..., :k]
        gq = z @ H(gz) if gq is None else gq + z @ H(gz)
    r1 = r[..., :k]
    m = 0
    if gr is not None:
        gr = np.where(below(gr), 0, gr)
        m = r1 @ H(gr)
    if gq is not None:
        m = m - H(gq) @ q
    m = _strictly_below(m) + H(_strictly_below(m)) + diagonal_matrix(re(diagonal_of(m)))
    x = q @ m
    x = H(solve_triangular(r1, H(x if gq is None else gq + x)))
    if wide:
        x = np.concatenate([x, q @ gz if gr is not None else np.zeros_like(a[..., k:])], -1)
    return (x,)


def _qr_type(a):
    m, n = a.shape[-2:]
    k = min(m, n)
    return Tuple((Array((*a.shape[:-2], m, k), inexact(a)), Array((*a.shape[:-2], k, n), inexact(a))))


_qr = matrix_op("qr", lambda a: tuple(np.linalg.qr(a)), _qr_jvp, _qr_vjp, type=_qr_type,
                sample=matrices((3, 3), (3, 2), (2, 2, 3)))  # fmt: skip


@implements(np.linalg.qr)
def qr(a, mode="reduced"):
    """Orthonormal q and upper triangular r with a = q @ r; modes "reduced" and "r", and "complete" where it is the
    same. As `numpy.linalg.qr`."""
    a = as_array(a)
    if not is_tensor(a):
        return np.linalg.qr(a, mode)
    m, n = shape_of(a)[-2:]
    if mode not in ("reduced", "r") and (mode != "complete" or m > n):
        if mode not in ("complete", "raw"):
            return np.linalg.qr(np.eye(2), mode)  # NumPy's own error, or its older names
        if a.trace is None:
            y = np.linalg.qr(a.value, mode)
            return named(np.linalg.qr, *map(untracked, y)) if mode == "complete" else tuple(map(untracked, y))
        raise MissingRuleError(
            f"np.linalg.qr(a, {mode!r}) of a tensor of shape {shape_of(a)} is not supported{at()}; use mode='reduced'"
        )
    q, r = items(bind(_qr, a))
    return r if mode == "r" else named(np.linalg.qr, q, r)


# Made of these


@implements(np.linalg.cond)
def cond(x, p=None):
    """The condition number of each matrix. As `numpy.linalg.cond`."""
    x = as_array(x)
    if 0 in shape_of(x):
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    with np.errstate(all="ignore"):
        if p is None or p in (2, -2):
            s = svdvals(x)
            y = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        else:
            y = np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(_inverse_or_nan(x), p, axis=(-2, -1))
        broken = np.any(np.isnan(x), axis=(-2, -1))
        return np.where(np.isnan(y) & ~broken, np.inf, y)


def _inverse_or_nan(x):
    """The inverse of each matrix; NaN for one that has none."""
    try:
        return inv(x)
    except np.linalg.LinAlgError:
        known, values = peek(x)

        def singular(m):
            try:
                return bool(np.isnan(np.linalg.inv(m)).any())
            except np.linalg.LinAlgError:
                return True

        n = shape_of(x)[-1]
        which = np.reshape([singular(m) for m in np.reshape(values, (-1, n, n))], (*shape_of(x)[:-2], 1, 1))
        return np.where(which, np.nan, inv(np.where(which, np.eye(n), x)))


_matrix_rank = nondiff("matrix_rank", np.linalg.matrix_rank, elementwise=False, sample=matrices((3, 3), (2, 2, 2))).op


@implements(np.linalg.matrix_rank)
def matrix_rank(A, tol=None, hermitian=False, *, rtol=None):
    """The rank of each matrix; it has no derivative. As `numpy.linalg.matrix_rank`."""
    tol, rtol = (concrete(t, "a tolerance of np.linalg.matrix_rank") for t in (tol, rtol))
    given = {"tol": tol, "hermitian": hermitian or None, "rtol": rtol}
    return bind(_matrix_rank, as_array(A), **{k: v for k, v in given.items() if v is not None})


@implements(np.linalg.lstsq)
def lstsq(a, b, rcond=None):
    """Least squares: (x, residuals, rank, singular values of a), for a matrix a of full rank. As
    `numpy.linalg.lstsq`."""
    a, b = as_array(a), as_array(b)
    if not is_tensor(a) and not is_tensor(b):
        return np.linalg.lstsq(a, b, rcond)
    m, n = shape_of(a)
    if shape_of(b)[0] != m:
        raise np.linalg.LinAlgError(f"Incompatible dimensions: {m} rows of a, {shape_of(b)[0]} of b")
    dtype = inexact(typeof(a), typeof(b))
    eps = float(np.finfo(dtype).eps)
    rtol = max(m, n) * eps if rcond is None else max(rcond, eps)
    rank = matrix_rank(a, rtol=rtol)
    known, r = peek(rank)
    if known and r < min(m, n):
        raise MissingRuleError(
            f"np.linalg.lstsq of a matrix of shape {(m, n)} and rank {r} has no derivative{at()}: the solution jumps "
            "with the rank; np.linalg.pinv(a, rtol) @ b has the derivative along matrices of this rank"
        )
    x = pinv(a, rtol=rtol) @ b
    residuals = np.zeros((0,), real_dtype(dtype))
    if m > n:
        r = b - a @ x
        residuals = np.sum(np.real(r * np.conjugate(r)), 0, keepdims=len(shape_of(b)) == 1)
    return x, residuals, np.astype(rank, np.int32), svdvals(a)
