"""numpy.poly*: polynomials by their coefficients, the highest power first. Compositions, differentiable in all numbers."""

import numpy as np

from ..core.op import is_plain
from ..core.op import shape as shape_of
from ..core.tensor import concrete, is_tensor
from ..core.types import typeof
from ..primitives.kinds import as_array, implements


def _line(p):
    return np.atleast_1d(as_array(p))


def _trimmed(p, name):
    """p without its leading zeros, of which NumPy keeps one where there is nothing else."""
    p = _line(p)
    places = np.flatnonzero(np.asarray(concrete(p, name)))
    return p[places[0] :] if len(places) else p[:0] if not shape_of(p)[0] else p[-1:]


@implements(np.vander)
def vander(x, N=None, increasing=False):
    """The powers of each x, the highest first, as rows. As `numpy.vander`."""
    x = as_array(x)
    if is_plain(x):
        return np.vander(x, N, increasing)
    if len(shape_of(x)) != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = shape_of(x)[0] if N is None else N
    x = np.astype(x, np.promote_types(typeof(x).dtype, int))
    if not n:
        return np.zeros((shape_of(x)[0], 0), typeof(x).dtype)
    columns = [np.ones(shape_of(x), typeof(x).dtype), x]
    while len(columns) < n:
        columns.append(columns[-1] * x)
    columns = columns[:n]
    return np.stack(columns if increasing else columns[::-1], axis=-1)


@implements(np.polyval)
def polyval(p, x):
    """The polynomial at x, by Horner's rule. As `numpy.polyval`."""
    p = as_array(p)
    if isinstance(x, np.poly1d) and not is_tensor(x):
        return np.polyval(np.asarray(concrete(p, "np.polyval at a polynomial")), x)
    x = as_array(x)
    y = np.zeros(shape_of(x), np.result_type(typeof(x).dtype))
    for i in range(shape_of(p)[0] if shape_of(p) else 0):
        y = y * x + p[i]
    return y


def _padded(p, n):
    k = n - shape_of(p)[0]
    return np.concatenate([np.zeros(k, typeof(p).dtype), p]) if k > 0 else p


@implements(np.polyadd)
def polyadd(a1, a2):
    """The sum of two polynomials. As `numpy.polyadd`."""
    a1, a2 = as_array(a1), as_array(a2)
    if is_plain(a1, a2):
        return np.polyadd(a1, a2)
    a1, a2 = _line(a1), _line(a2)
    n = max(shape_of(a1)[0], shape_of(a2)[0])
    return _padded(a1, n) + _padded(a2, n)


@implements(np.polysub)
def polysub(a1, a2):
    """The difference of two polynomials. As `numpy.polysub`."""
    a1, a2 = as_array(a1), as_array(a2)
    if is_plain(a1, a2):
        return np.polysub(a1, a2)
    a1, a2 = _line(a1), _line(a2)
    n = max(shape_of(a1)[0], shape_of(a2)[0])
    return _padded(a1, n) - _padded(a2, n)


@implements(np.polymul)
def polymul(a1, a2):
    """The product of two polynomials; leading zeros are dropped. As `numpy.polymul`."""
    a1, a2 = as_array(a1), as_array(a2)
    if is_plain(a1, a2):
        return np.polymul(a1, a2)
    return np.convolve(_trimmed(a1, "np.polymul"), _trimmed(a2, "np.polymul"))


@implements(np.polydiv)
def polydiv(u, v):
    """Quotient and remainder of two polynomials. As `numpy.polydiv`."""
    u, v = as_array(u), as_array(v)
    if is_plain(u, v):
        return np.polydiv(u, v)
    u, v = _line(u) + 0.0, _line(v) + 0.0
    m, n = shape_of(u)[0] - 1, shape_of(v)[0] - 1
    scale = 1.0 / v[0]
    quotient = []
    r = u
    for k in range(max(m - n + 1, 0)):
        d = scale * r[k]
        quotient.append(d)
        r = np.concatenate([r[:k], r[k : k + n + 1] - d * v, r[k + n + 1 :]])
    dtype = np.result_type(typeof(u).dtype, typeof(v).dtype)
    q = np.stack(quotient) if quotient else np.zeros(1, dtype)
    while shape_of(r)[0] > 1 and np.allclose(r[0], 0, rtol=1e-14):
        r = r[1:]
    return q, r


def _times(m, what):
    m = int(m)
    if m < 0:
        raise ValueError(f"Order of {what} must be positive (see {'polyint' if what == 'derivative' else 'polyder'})")
    return m


@implements(np.polyder)
def polyder(p, m=1):
    """The coefficients of the m-th derivative. As `numpy.polyder`."""
    p = as_array(p)
    if is_plain(p):
        return np.polyder(p, m)
    for _ in range(_times(m, "derivative")):
        p = p[:-1] * np.arange(max(shape_of(p)[0] - 1, 0), 0, -1)
    return p


@implements(np.polyint)
def polyint(p, m=1, k=None):
    """The coefficients of the m-th integral, with integration constants k. As `numpy.polyint`."""
    p, k = as_array(p), as_array(k)
    if is_plain(p, k):
        return np.polyint(p, m, k)
    m = _times(m, "integral")
    k = np.zeros(m) if k is None else _line(k)
    if shape_of(k)[0] == 1 and m > 1:
        k = k[0] * np.ones(m)
    if shape_of(k)[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        p = np.concatenate([p / np.arange(shape_of(p)[0], 0, -1), k[i : i + 1]])
    return p


@implements(np.polyfit)
def polyfit(x, y, deg, rcond=None, full=False, w=None, cov=False):
    """The polynomial of least squares through (x, y); differentiable in x, y and w. As `numpy.polyfit`."""
    x, y, w = as_array(x), as_array(y), as_array(w)
    if is_plain(x, y, w):
        return np.polyfit(x, y, deg, rcond, full, w, cov)
    order = int(deg) + 1
    x, y = x + 0.0, y + 0.0
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if len(shape_of(x)) != 1 or not shape_of(x)[0]:
        raise TypeError("expected non-empty 1D vector for x")
    if not 1 <= len(shape_of(y)) <= 2 or shape_of(y)[0] != shape_of(x)[0]:
        raise TypeError("expected 1D or 2D array for y, of the length of x")
    rcond = shape_of(x)[0] * np.finfo(typeof(x).dtype).eps if rcond is None else rcond
    lhs, rhs = vander(x, order), y
    if w is not None:
        w = w + 0.0
        if shape_of(w) != shape_of(x):
            raise TypeError("expected w and y to have the same length")
        lhs = lhs * w[:, None]
        rhs = rhs * (w[:, None] if len(shape_of(y)) == 2 else w)
    scale = np.sqrt(np.sum(lhs * lhs, axis=0))
    lhs = lhs / scale
    c, residuals, rank, s = np.linalg.lstsq(lhs, rhs, rcond)
    c = (c.T / scale).T
    if full:
        return c, residuals, rank, s, rcond
    if cov:
        base = np.linalg.inv(lhs.T @ lhs) / (scale[:, None] * scale)
        factor = 1
        if cov != "unscaled":
            if shape_of(x)[0] <= order:
                raise ValueError("the number of data points must exceed order to scale the covariance matrix")
            factor = residuals / (shape_of(x)[0] - order)
        return c, base * factor if len(shape_of(y)) == 1 else base[:, :, None] * factor
    return c


@implements(np.roots)
def roots(p):
    """The roots, as eigenvalues of the companion matrix; not differentiable where two agree. As `numpy.roots`."""
    p = _line(p)
    if is_plain(p):
        return np.roots(p)
    if len(shape_of(p)) != 1:
        raise ValueError("Input must be a rank-1 array.")
    places = np.flatnonzero(np.asarray(concrete(p, "np.roots")))
    if not len(places):
        return np.array([])
    zeros = shape_of(p)[0] - int(places[-1]) - 1
    p = p[places[0] : places[-1] + 1]
    n = shape_of(p)[0]
    if n == 1:
        return np.zeros(zeros)
    top = np.reshape(-p[1:] / p[0], (1, n - 1))
    y = np.linalg.eigvals(np.concatenate([top, np.eye(n - 2, n - 1, dtype=typeof(top).dtype)]))
    return np.concatenate([y, np.zeros(zeros, typeof(y).dtype)]) if zeros else y


@implements(np.poly)
def poly(seq_of_zeros):
    """The coefficients of the polynomial with these roots, or a matrix's characteristic one. As `numpy.poly`."""
    r = _line(seq_of_zeros)
    if is_plain(r):
        return np.poly(r)
    if len(shape_of(r)) == 2 and shape_of(r)[0] == shape_of(r)[1] and shape_of(r)[0]:
        r = np.linalg.eigvals(r)
    elif len(shape_of(r)) != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    p = np.ones(1, typeof(r).dtype)
    for i in range(shape_of(r)[0]):
        p = np.concatenate([p, np.zeros(1, typeof(p).dtype)]) - np.concatenate([np.zeros(1, typeof(p).dtype), p * r[i]])
    if typeof(p).dtype.kind == "c":
        known = np.asarray(concrete(r, "np.poly"))
        if np.array_equal(np.sort(known), np.sort(known.conj())):
            p = np.real(p)
    return p
