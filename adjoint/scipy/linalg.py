"""scipy.linalg's names. See adjoint.scipy. Functions of matrices, Sylvester's equation, and what NumPy has not.

All take stacks of matrices too. Formulas: N. J. Higham, "Functions of Matrices" (2008), chapters 2 and 3.
"""

import numpy as np
import scipy.linalg as _linalg

from ..core.errors import refused
from ..core.op import Op, bind, is_plain
from ..core.op import shape as shape_of
from ..core.types import Array, typeof
from ..numpy.names import ours as _ours
from ..numpy.names import stand_before
from ..primitives import linalg as _la
from ..primitives.kinds import align, as_array, broadcast_like, conj, general, unbroadcast
from ..primitives.linalg import H, T, inexact, matrices, matrix_op
from ..primitives.reduce import as_dtype

_of_numpy = _ours(np.linalg)
svdvals = lambda a, overwrite_a=False, check_finite=True: np.linalg.svdvals(as_array(a))  # its rule is loaded late
norm = _of_numpy["norm"]
kron = lambda a, b: np.kron(a, b)


def _matrix(a):
    a = as_array(a)
    return np.asarray(a) if is_plain(a) else a


def _structured(a, assume_a, lower):
    """The matrix that SciPy sees in a when it is told its structure: what is not read has no derivative."""
    if assume_a in (None, "gen", "general", "banded"):
        return a
    if assume_a in ("her", "hermitian", "pos", "positive definite") or typeof(a).dtype.kind != "c":
        if assume_a in ("sym", "symmetric", "her", "hermitian", "pos", "positive definite"):
            return _la.mirror(a, lower)
    elif assume_a in ("sym", "symmetric"):
        strict = _la.below(a) if lower else ~_la.below(a, 0)
        return np.where(strict | _la.on_diagonal(a), a, T(a))
    if assume_a not in _READ:
        raise ValueError(f"{assume_a} is not a recognized matrix structure")
    return np.where(_READ[assume_a](a), a, 0)


_READ = {
    "diagonal": _la.on_diagonal,
    "tridiagonal": lambda a: _la.below(a, 1) & ~_la.below(a, -2),
    "upper triangular": lambda a: ~_la.below(a),
    "lower triangular": lambda a: _la.below(a, 0),
}


def inv(a, overwrite_a=False, check_finite=True, *, assume_a=None, lower=False):
    """The inverse of a matrix. As `scipy.linalg.inv`."""
    return np.linalg.inv(_structured(_matrix(a), assume_a, lower))


def det(a, overwrite_a=False, check_finite=True):
    """The determinant of a matrix, in float64 at least. As `scipy.linalg.det`."""
    y = np.linalg.det(_matrix(a))
    return (
        np.astype(y, np.result_type(typeof(y).dtype, np.float64))
        if typeof(y).dtype.itemsize < 8 or typeof(y).dtype.char == "F"
        else y
    )


def _flip_if(a, transposed):
    return {0: lambda: a, "N": lambda: a, 1: lambda: T(a), "T": lambda: T(a), 2: lambda: H(a), "C": lambda: H(a)}[
        transposed
    ]()


def solve_triangular(a, b, trans=0, lower=False, unit_diagonal=False, overwrite_b=False, check_finite=True):
    """x of a x = b for a triangular a; only that triangle has a derivative. As `scipy.linalg.solve_triangular`.

    >>> solve_triangular([[2.0, 0.0], [1.0, 4.0]], [2.0, 5.0], lower=True)
    array([1., 1.])
    """
    a, b = _matrix(a), _matrix(b)
    if unit_diagonal:
        a = np.where(_la.on_diagonal(a), typeof(a).dtype.type(1), a)
    if trans not in (0, "N"):
        a, lower = _flip_if(a, trans), not lower
    if len(shape_of(b)) == 1:
        return _la.solve_triangular(a, b[:, None], lower=bool(lower))[:, 0]
    return _la.solve_triangular(a, b, lower=bool(lower))


def solve(a, b, lower=False, overwrite_a=False, overwrite_b=False, check_finite=True, assume_a=None, transposed=False):
    """x of a x = b. With assume_a "sym", "pos", "diagonal" ... only a part of a is read. As `scipy.linalg.solve`."""
    a, b = _matrix(a), _matrix(b)
    kind = np.result_type(typeof(a).dtype, typeof(b).dtype)
    kind = np.dtype({"e": "f", "g": "d", "G": "D"}.get(kind.char, kind.char if kind.kind in "fc" else "d"))
    a, b = as_dtype(a, kind), as_dtype(b, kind)  # one dtype for both: float32 beside whole numbers stays float32
    if assume_a in ("upper triangular", "lower triangular") and len(shape_of(a)) == 2:
        return solve_triangular(a, b, trans=int(transposed), lower=assume_a[0] == "l")
    a = _structured(a, assume_a, lower)
    if transposed:
        a = T(a)
    return np.linalg.solve(a, b[..., None])[..., 0] if len(shape_of(b)) == 1 else np.linalg.solve(a, b)


def cholesky(a, lower=False, overwrite_a=False, check_finite=True):
    """The triangular factor of a positive definite matrix; reads that triangle of a. As `scipy.linalg.cholesky`."""
    return np.linalg.cholesky(_la.mirror(_matrix(a), lower), upper=not lower)


def cho_factor(a, lower=False, overwrite_a=False, check_finite=True):
    """(factor, lower) for cho_solve; the other triangle is 0. As `scipy.linalg.cho_factor`."""
    return cholesky(a, lower=lower), lower


def cho_solve(c_and_lower, b, overwrite_b=False, check_finite=True):
    """x of a x = b from a Cholesky factor. As `scipy.linalg.cho_solve`.

    >>> import numpy as np
    >>> cho_solve(cho_factor(np.array([[4.0, 0.0], [0.0, 1.0]])), np.array([4.0, 3.0]))
    array([1., 3.])
    """
    c, lower = c_and_lower
    y = solve_triangular(c, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(c, y, trans=2 if lower else 0, lower=lower)


# NumPy's decompositions under SciPy's signatures; options that NumPy has not are refused


def eigh(a, b=None, *, lower=True, eigvals_only=False, overwrite_a=False, overwrite_b=False, type=1, check_finite=True,
         subset_by_index=None, subset_by_value=None, driver=None):  # fmt: skip
    """(eigenvalues, eigenvectors) of a Hermitian matrix. As `scipy.linalg.eigh`, of all of them, without b."""
    if b is not None or subset_by_index is not None or subset_by_value is not None:
        if is_plain(a, b):
            return _linalg.eigh(a, b, lower=lower, eigvals_only=eigvals_only, type=type, check_finite=check_finite,
                                subset_by_index=subset_by_index, subset_by_value=subset_by_value, driver=driver)  # fmt: skip
        raise refused("eigh has no derivative rule for b, subset_by_index or subset_by_value")
    side = "L" if lower else "U"
    return np.linalg.eigvalsh(_matrix(a), side) if eigvals_only else tuple(np.linalg.eigh(_matrix(a), side))


def eigvalsh(a, b=None, *, lower=True, **options):
    """The eigenvalues of a Hermitian matrix. As `scipy.linalg.eigvalsh`, of all of them, without b."""
    return eigh(a, b, lower=lower, eigvals_only=True, **options)


def eig(
    a,
    b=None,
    left=False,
    right=True,
    overwrite_a=False,
    overwrite_b=False,
    check_finite=True,
    homogeneous_eigvals=False,
):
    """Eigenvalues and right eigenvectors of a square matrix. As `scipy.linalg.eig`, without b and left eigenvectors."""
    if b is not None or left or homogeneous_eigvals:
        if is_plain(a, b):
            return _linalg.eig(a, b, left, right, check_finite=check_finite, homogeneous_eigvals=homogeneous_eigvals)
        raise refused("eig with b, left or homogeneous_eigvals has no derivative rule")
    if not right:
        return np.linalg.eigvals(_matrix(a)) + 0j  # SciPy's are complex, real ones too
    w, v = np.linalg.eig(_matrix(a))
    return w + 0j, v


def eigvals(a, b=None, overwrite_a=False, check_finite=True, homogeneous_eigvals=False):
    """Eigenvalues of a square matrix. As `scipy.linalg.eigvals`, without b."""
    return eig(a, b, right=False, homogeneous_eigvals=homogeneous_eigvals)


def svd(a, full_matrices=True, compute_uv=True, overwrite_a=False, check_finite=True, lapack_driver="gesdd"):
    """(U, singular values, V^H), or the singular values alone. As `scipy.linalg.svd`."""
    y = np.linalg.svd(_matrix(a), full_matrices, compute_uv)
    return tuple(y) if compute_uv else y


def pinv(a, *, atol=None, rtol=None, return_rank=False, check_finite=True):
    """The pseudoinverse of a matrix. As `scipy.linalg.pinv`, without atol and return_rank."""
    if atol is not None or return_rank:
        raise refused("pinv has no derivative rule for atol or return_rank")
    a = _matrix(a)
    if rtol is None:
        rtol = max(shape_of(a)[-2:]) * float(np.finfo(inexact(typeof(a))).eps)
    return np.linalg.pinv(a, rtol=rtol)


# Functions of a matrix: f([[A, E], [0, A]]) = [[f(A), L(A, E)], [0, f(A)]], L the derivative at A along E (3.6), and
# the adjoint of L(A, .) is L(A^H, .) for these functions, whose Taylor coefficients are real.


def _pair(a, e):
    zero = np.zeros(shape_of(a), typeof(a).dtype)
    return np.concatenate([np.concatenate([a, e], -1), np.concatenate([zero, a], -1)], -2)


def _along(op, a, e):
    n = shape_of(a)[-1]
    return bind(op, _pair(a, e))[..., :n, n:]


def _stacked(f):
    """f of one matrix, for a stack; real matrices have real results or an error."""

    def apply(a):
        a = np.asarray(a)
        if a.dtype.kind not in "fc":
            a = a.astype(np.float64)
        out = np.empty(a.shape, a.dtype)
        for i in np.ndindex(a.shape[:-2]):
            y = np.asarray(f(a[i]))
            if y.dtype.kind == "c" and a.dtype.kind == "f":
                if np.abs(y.imag).max(initial=0) > 1e-12 * max(1.0, np.abs(y).max(initial=0)):
                    raise ValueError("the result is complex for this real matrix: pass it as a complex one")
                y = y.real
            out[i] = y
        return out

    return apply


def _function_of_matrix(name, f, sample):
    op = matrix_op(
        name,
        f,
        lambda ts, y, a: broadcast_like(_along(op, a, ts[0]), y),
        lambda wants, g, _y, a: (_along(op, H(a), g),),
        sample=sample,
    )
    return op


def _positive(rng):
    return [((x @ H(x) + np.eye(2) + 0.3 * rng.normal(size=(2, 2)),), {}) for x in (rng.normal(size=(2, 2)),)]


_expm: Op = _function_of_matrix("expm", lambda a: _linalg.expm(a), matrices((3, 3), (2, 2, 2), regular=0.0))
_logm: Op = _function_of_matrix("logm", _stacked(lambda a: _linalg.logm(a)), _positive)


def expm(A):
    """The exponential of a matrix. As `scipy.linalg.expm`.

    >>> import numpy as np, adjoint as ad
    >>> ad.grad(lambda t: expm(t * np.array([[0.0, -1.0], [1.0, 0.0]]))[1, 0])(0.0)
    1.0
    """
    return bind(_expm, _matrix(A))


def logm(A):
    """The principal logarithm of a matrix. As `scipy.linalg.logm`; tensors: a real matrix with a real logarithm."""
    return _linalg.logm(A) if is_plain(A) else bind(_logm, A)


# Sylvester's equation a x + x b = q


def _sylvester_value(a, b, q):
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2])
    a, b, q = (np.broadcast_to(x, lead + x.shape[-2:]) for x in (a, b, q))
    out = np.empty(q.shape, np.result_type(a, b, q, np.float32))
    for i in np.ndindex(lead):
        out[i] = _linalg.solve_sylvester(a[i], b[i], q[i])
    return out


def _sylvester_jvp(ts, x, a, b, q):
    ta, tb, r = ts
    for part in (None if ta is None else ta @ x, None if tb is None else x @ tb):
        if part is not None:
            r = -part if r is None else r - part
    return broadcast_like(bind(_sylvester, a, b, r), x)


def _sylvester_vjp(wants, g, x, a, b, _q):
    s = bind(_sylvester, H(a), H(b), g)
    return (
        unbroadcast(-(s @ H(x)), a) if wants[0] else None,
        unbroadcast(-(H(x) @ s), b) if wants[1] else None,
        unbroadcast(s, _q) if wants[2] else None,
    )


def _sylvester_type(a, b, q):
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2])
    return Array(lead + q.shape[-2:], inexact(a, b, q))


def _sylvester_samples(rng):
    def draw(i, *shape):
        return rng.normal(size=shape) + i * rng.normal(size=shape) if i else rng.normal(size=shape)

    return [
        ((draw(i, 3, 3) + 3 * np.eye(3), draw(i, *lead, 2, 2) + 3 * np.eye(2), draw(i, 3, 2)), {})
        for i, lead in ((0, ()), (1j, ()), (0, (2,)))
    ]


_sylvester: Op = general(
    "solve_sylvester", _sylvester_value, _sylvester_jvp, _sylvester_vjp, type=_sylvester_type,
    batch=lambda size, batched, *args: bind(_sylvester, *align(batched, args)), sample=_sylvester_samples,
)  # fmt: skip


def solve_sylvester(a, b, q):
    """x of a x + x b = q. As `scipy.linalg.solve_sylvester`.

    >>> solve_sylvester([[1.0]], [[2.0]], [[6.0]])
    array([[2.]])
    """
    return bind(_sylvester, _matrix(a), _matrix(b), _matrix(q))


def solve_continuous_lyapunov(a, q):
    """x of a x + x a^H = q. As `scipy.linalg.solve_continuous_lyapunov`."""
    a = _matrix(a)
    return solve_sylvester(a, H(a), q)


def solve_discrete_lyapunov(a, q, method=None):
    """x of a x a^H - x + q = 0, by one linear system of n^2 unknowns. As `scipy.linalg.solve_discrete_lyapunov`."""
    a, q = _matrix(a), _matrix(q)
    n = shape_of(a)[-1]
    return np.reshape(np.linalg.solve(np.eye(n * n) - np.kron(a, conj(a)), np.reshape(q, (n * n,))), (n, n))


def _sqrtm_jvp(ts, y, a):
    return broadcast_like(bind(_sylvester, y, y, ts[0]), y)  # x dx + dx x = da


def _sqrtm_vjp(wants, g, y, _a):
    return (bind(_sylvester, H(y), H(y), g),)


_sqrtm: Op = matrix_op("sqrtm", _stacked(lambda a: _linalg.sqrtm(a)), _sqrtm_jvp, _sqrtm_vjp, sample=_positive)


def sqrtm(A):
    """The principal square root of a matrix. As `scipy.linalg.sqrtm`; tensors: a real matrix with a real root.

    >>> sqrtm([[4.0, 0.0], [0.0, 9.0]]).tolist()
    [[2.0, 0.0], [0.0, 3.0]]
    """
    return _linalg.sqrtm(A) if is_plain(A) else bind(_sqrtm, A)


# Special matrices


def block_diag(*arrs):
    """The matrix with these blocks on its diagonal. As `scipy.linalg.block_diag` (of matrices).

    >>> block_diag([[1.0]], [[2.0, 3.0]]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 2.0, 3.0]]
    """
    blocks = [np.atleast_2d(_matrix(a)) for a in (arrs or ([],))]
    if any(len(shape_of(b)) > 2 for b in blocks):
        raise ValueError("block_diag takes matrices; stacks of them are not supported")
    width = sum(shape_of(b)[1] for b in blocks)
    at, rows = 0, []
    for b in blocks:
        n, m = shape_of(b)
        kind = typeof(b).dtype
        rows.append(np.concatenate([np.zeros((n, at), kind), b, np.zeros((n, width - at - m), kind)], 1))
        at += m
    return np.concatenate(rows, 0)


def toeplitz(c, r=None):
    """The matrix of constant diagonals with first column c and first row r (conj(c)). As `scipy.linalg.toeplitz`."""
    c = np.reshape(_matrix(c), (-1,))
    r = conj(c) if r is None else np.reshape(_matrix(r), (-1,))
    n, m = shape_of(c)[0], shape_of(r)[0]
    return np.concatenate([np.flip(c), r[1:]])[n - 1 - np.arange(n)[:, None] + np.arange(m)]


def hankel(c, r=None):
    """The matrix of constant antidiagonals with first column c and last row r (zeros). As `scipy.linalg.hankel`."""
    c = np.reshape(_matrix(c), (-1,))
    r = np.zeros(shape_of(c), typeof(c).dtype) if r is None else np.reshape(_matrix(r), (-1,))
    n, m = shape_of(c)[0], shape_of(r)[0]
    return np.concatenate([c, r[1:]])[np.arange(n)[:, None] + np.arange(m)]


def circulant(c):
    """The matrix whose columns are c, rotated. As `scipy.linalg.circulant` (of one sequence)."""
    c = np.reshape(_matrix(c), (-1,))
    i = np.arange(shape_of(c)[0])
    return c[(i[:, None] - i) % len(i)]


# SciPy's signs of eigenvectors are others than NumPy's: those of plain arrays must not differ from those of tensors
stand_before(globals(), _linalg, but=("eigh", "eig", "svd"))


def __getattr__(name):
    return getattr(_linalg, name)
