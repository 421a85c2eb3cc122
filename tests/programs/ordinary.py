"""Small functions as people write them, with plain numpy, math and scipy: how much of ordinary code is differentiated as it stands.

The groups follow a survey of what such code consists of: NumPy's functions, arrays that are made and filled, Python's scalars,
SciPy. Each function takes a vector and gives a number. No word of adjoint in them.
"""

import cmath
import functools
import itertools
import math
import operator
from collections import defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from math import exp, sqrt

import numpy as np
import scipy.fft
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
import scipy.sparse
import scipy.special
import scipy.stats
from numpy import array, linspace, zeros
from scipy.special import erf, gammaln, xlogy

X = np.array([0.7, 1.3, 0.4, 2.1])
ORDINARY: list = []


class Ordinary:
    def __init__(self, group, f, x):
        self.group, self.f, self.x, self.name = group, f, x, f.__name__


def of(group):
    def register(f=None, x=X):
        if f is None:
            return lambda f: register(f, x)
        ORDINARY.append(Ordinary(group, f, x))
        return f

    return register


numpy_ = of("numpy")
made = of("made and filled")
scalar = of("Python's scalars")
scipy_ = of("scipy")
objects = of("containers and objects")


# NumPy's functions


@numpy_
def chain(x):
    return np.sum(np.sin(x) * np.exp(-x) + np.log1p(x**2))


@numpy_
def quadratic_form(x):
    a = np.arange(16.0).reshape(4, 4) / 10 + np.eye(4)
    return x @ a @ x - np.dot(a[0], x)


@numpy_
def log_sum_exp(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


@numpy_
def soft_max_entropy(x):
    e = np.exp(x - x.max())
    p = e / e.sum()
    return -np.sum(p * np.log(p))


@numpy_
def standardised(x):
    z = (x - x.mean()) / x.std(ddof=1)
    return np.sum(z**3) / len(z)


@numpy_
def solved(x):
    a = np.diag(x) + 0.1
    return np.sum(np.linalg.solve(a, np.ones(4)) ** 2)


@numpy_
def log_det(x):
    a = np.outer(x, x) + np.diag(np.exp(x))
    sign, value = np.linalg.slogdet(a)
    return sign * value


@numpy_
def cholesky_log_likelihood(x):
    d = np.abs(np.subtract.outer(np.arange(4.0), np.arange(4.0)))
    k = x[0] ** 2 * np.exp(-(d**2) / (2 * x[1] ** 2)) + x[2] * np.eye(4)
    c = np.linalg.cholesky(k)
    alpha = np.linalg.solve(c, np.array([1.0, -1.0, 0.5, 0.2]))
    return 0.5 * alpha @ alpha + np.sum(np.log(np.diag(c)))


@numpy_
def eigenvalues(x):
    w, v = np.linalg.eigh(np.outer(x, x) + np.diag(np.arange(4.0)))
    return np.sum(w[:2] * v[0, :2] ** 2)


@numpy_
def singular_values(x):
    return np.sum(np.sqrt(np.linalg.svd(x.reshape(2, 2), compute_uv=False)))


@numpy_
def inverse_trace(x):
    return np.trace(np.linalg.inv(np.diag(x) + np.ones((4, 4))))


@numpy_
def einsum_contraction(x):
    a = np.einsum("i,j->ij", x, np.sin(x))
    return np.einsum("ij,jk,ki->", a, a.T, a)


@numpy_
def joined(x):
    y = np.concatenate([x, x[::-1] ** 2, np.zeros(2)])
    return np.sum(np.hstack([y, x]) * np.arange(14)) + np.vstack([x, x * x]).prod(axis=0).sum()


@numpy_
def sorted_gaps(x):
    return np.sum(np.diff(np.sort(x)) ** 2) + x[np.argsort(x)[0]]


@numpy_
def cumulative(x):
    return np.sum(np.cumsum(x) ** 2) + np.cumprod(x)[-2]


@numpy_
def chosen(x):
    return np.sum(np.where(x > 1, x**2, np.sqrt(x))) + np.select([x < 0.5, x < 1], [x, 2 * x], x**3).sum()


@numpy_
def clipped(x):
    return np.sum(np.clip(x, 0.5, 1.5) ** 2 + np.maximum(x, 1.0) * np.minimum(x, 2.0))


@numpy_
def fourier_power(x):
    return np.sum(np.abs(np.fft.rfft(x)) ** 2 * np.arange(3)) + np.real(np.fft.ifft(x)[1])


@numpy_
def interpolated(x):
    return np.sum(np.interp(np.array([0.5, 1.5, 2.5]), np.arange(4.0), x))


@numpy_
def trapezoid_rule(x):
    return np.trapezoid(x**2, np.linspace(0, 1, 4)) + np.polyval(x, 0.3)


@numpy_
def convolved(x):
    return np.sum(np.convolve(x, [0.25, 0.5, 0.25], mode="same") ** 2) + np.correlate(x, x)[0]


@numpy_
def tensordot_outer_kron(x):
    return np.sum(np.tensordot(np.outer(x, x), x, axes=1)) + np.kron(x[:2], x[2:]).sum() + np.cross(x[:3], x[1:]).sum()


@numpy_
def norms(x):
    return np.linalg.norm(x) + np.linalg.norm(x, 1) + np.linalg.norm(x.reshape(2, 2)) + np.linalg.norm(x, np.inf)


@numpy_
def meshed(x):
    a, b = np.meshgrid(x[:2], x[2:])
    return np.sum(a * np.sin(b))


@numpy_
def tiled_rolled_padded(x):
    return np.sum(np.tile(x, 2) * np.roll(np.repeat(x, 2), 1)) + np.sum(np.pad(x, 1, mode="edge") ** 2)


@numpy_
def quantiles(x):
    return np.median(x) + np.percentile(x, 30) * np.quantile(x, 0.9)


@numpy_
def covariance(x):
    a = np.stack([x, x**2, np.sin(x)])
    return np.cov(a)[0, 1] + np.corrcoef(a)[0, 2]


@numpy_
def average_and_nan(x):
    y = np.where(x > 2, np.nan, x)
    return np.nansum(y**2) + np.nanmean(y) + np.average(x, weights=[1, 2, 3, 4])


@numpy_
def complex_inside(x):
    z = x * np.exp(1j * x)
    return np.sum(np.abs(z.sum()) ** 2) + np.angle(z[0]) + np.real(np.conj(z) @ z)


@numpy_
def outer_and_reduce(x):
    return np.logaddexp.reduce(x) + np.multiply.outer(x, x).sum() + np.add.reduce(x**3)


@numpy_
def apply_along(x):
    return np.sum(np.apply_along_axis(lambda r: r / r.sum(), 1, x.reshape(2, 2)) ** 2)


@numpy_
def piecewise_and_vectorize(x):
    y = np.piecewise(x, [x < 1, x >= 1], [lambda t: t**2, lambda t: 2 * t - 1])
    return y.sum() + np.vectorize(lambda t: t**3 if t > 1 else -t)(x).sum()


@numpy_
def matrix_power_and_triangles(x):
    a = x.reshape(2, 2)
    return np.linalg.matrix_power(a, 3).sum() + np.tril(a).sum() + np.linalg.det(a) + np.triu(np.outer(x, x), 1).sum()


@numpy_
def pairwise_distances(x):
    p = x.reshape(2, 2)
    d = np.sqrt(((p[:, None, :] - p[None, :, :]) ** 2).sum(-1) + 1e-3)
    return d.sum() + np.expand_dims(x, 1).squeeze().sum()


@numpy_
def swapped_and_split(x):
    a, b = np.split(x, 2)
    return np.sum(a * b) + np.sum(np.swapaxes(x.reshape(2, 1, 2), 0, 2) * np.moveaxis(x.reshape(1, 2, 2), 0, -1))


@numpy_
def block_of_blocks(x):
    a = x.reshape(2, 2)
    return np.sum(np.block([[a, a.T], [np.zeros((2, 2)), a @ a]]) ** 2)


@numpy_
def where_and_take(x):
    return np.take(x, [0, 2]).sum() * np.take_along_axis(x, np.array([1]), 0)[0] + x[[1, 1, 3]].sum()


@numpy_
def gradient_of_samples(x):
    return np.sum(np.gradient(x, 0.5) ** 2) + np.ediff1d(x).prod()


# Arrays that are made and filled


@made
def filled_in_a_loop(x):
    a = np.zeros(4)
    for i in range(4):
        a[i] = x[i] ** 2
    return a.sum()


@made
def array_of_values(x):
    a = np.array([x[0], x[1] * x[2], np.sin(x[3])])
    return a @ a


@made
def matrix_of_values(x):
    r = np.array([[np.cos(x[0]), -np.sin(x[0])], [np.sin(x[0]), np.cos(x[0])]])
    return np.sum(r @ x[1:3]) + np.asarray([x[0], 2.0])[0]


@made
def zeros_like_and_add(x):
    out = np.zeros_like(x)
    out += x**2
    out[1:] += x[:-1]
    out *= 2
    return np.sum(out * x)


@made
def empty_and_fill(x):
    a = np.empty((2, 2))
    a[0] = x[:2]
    a[1, :] = x[2:] * x[0]
    a[:, 0] -= 1
    return np.sum(a**2)


@made
def buffer_of_outside(x):
    _BUFFER[:] = 0
    _BUFFER[:4] = x
    return np.sum(_BUFFER**2)


_BUFFER = np.zeros(6)


@made
def default_buffer(x, work=np.ones(4)):  # noqa: B008
    work = work * 1.0
    work[2] = x[2]
    return np.sum(work * x)


@made
def imported_zeros(x):
    a = zeros(3)
    a[1] = x[0]
    return (a + array([x[1], 0.0, x[2]])).sum() * linspace(0, 1, 3)[1]


@made
def tridiagonal(x):
    n = len(x)
    a = np.zeros((n, n))
    for i in range(n):
        a[i, i] = 2 + x[i]
        if i > 0:
            a[i, i - 1] = -x[i - 1]
        if i < n - 1:
            a[i, i + 1] = -1
    return np.linalg.det(a)


@made
def recurrence(x):
    h = np.zeros(10)
    h[0], h[1] = x[0], x[1]
    for k in range(2, 10):
        h[k] = x[2] * h[k - 1] - 0.3 * h[k - 2]
    return h[-1]


@made
def finite_difference_heat(x):
    u = np.zeros(12)
    u[4:8] = x
    for _ in range(20):
        u[1:-1] += 0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.sum(u**2)


@made
def swapped_entries(x):
    a = x.copy()
    a[0], a[3] = a[3], a[0]
    a[[1, 2]] = a[[2, 1]]
    return a @ np.arange(4)


@made
def view_written(x):
    a = np.zeros((2, 4))
    row = a[0]
    row[1:3] = x[:2]
    a.T[3] = x[2]
    a.reshape(-1)[4] = x[3]
    return np.sum(a**2)


@made
def alias_added(x):
    b = x * 1.0
    a = b
    a += x[0]
    return np.sum(b**2)


@made
def masked_write(x):
    y = x.copy()
    y[y > 1] = 1 + np.log(y[y > 1])
    y[x < 0.5] *= 2
    return np.sum(y)


@made
def full_and_copyto(x):
    a = np.full(3, x[0])
    np.copyto(a[1:], x[1:3])
    b = np.eye(2) * x[3]
    np.fill_diagonal(b, x[0] * x[1])
    return a.sum() * b.sum()


@made
def accumulated_at(x):
    counts = np.zeros(3)
    np.add.at(counts, [0, 2, 2, 1], x)
    return np.sum(counts**2)


@made
def from_iterators(x):
    a = np.fromiter((v * v for v in x), float)
    b = np.array(list(map(math.sqrt, x)))
    return np.sum(a * b)


@made
def list_of_rows(x):
    rows = []
    for k in range(3):
        rows.append(x * k + np.sin(k * x))
    return np.sum(np.array(rows) ** 2) + np.mean(np.stack(rows, axis=1))


@made
def lu_by_hand(x):
    a = np.diag(x) + np.ones((4, 4)) * 0.5
    n = 4
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            a[i, k + 1 :] -= a[i, k] * a[k, k + 1 :]
    return np.prod(np.diag(a))


@made
def cholesky_by_hand(x):
    a = np.outer(x, x) + 2 * np.eye(4)
    c = np.zeros_like(a)
    for j in range(4):
        c[j, j] = np.sqrt(a[j, j] - np.sum(c[j, :j] ** 2))
        for i in range(j + 1, 4):
            c[i, j] = (a[i, j] - c[i, :j] @ c[j, :j]) / c[j, j]
    return np.sum(np.log(np.diag(c)))


@made
def dynamic_programme(x):
    n = len(x)
    best = np.full((n + 1, n + 1), np.inf)
    best[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            cost = (x[i - 1] - j * 0.5) ** 2
            best[i, j] = cost + min(best[i - 1, j], best[i, j - 1], best[i - 1, j - 1])
    return best[n, n]


@made
def histogram_by_hand(x):
    soft = np.zeros(5)
    for v in x:
        for b in range(5):
            soft[b] += np.exp(-((v - 0.5 * b) ** 2))
    return np.sum(soft**2)


@made
def out_argument(x):
    a = np.zeros(4)
    np.multiply(x, x, out=a)
    np.add(a, 1.0, out=a)
    return a.sum()


@made
def stencil_2d(x):
    u = np.zeros((5, 5))
    u[2, 1:5] = x
    for _ in range(3):
        new = u.copy()
        new[1:-1, 1:-1] = 0.25 * (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:])
        u = new
    return np.sum(u**2)


@made
def deleted_and_inserted(x):
    y = np.append(np.delete(x, 1), x[0] * x[1])
    return np.sum(np.insert(y, 2, x[3]) * np.arange(5))


@made
def flat_written(x):
    a = np.zeros((2, 2))
    a.flat[1] = x[0]
    a.flat = a.flat[:] + x
    return np.sum(a**2)


# Python's scalars


@scalar
def by_math(x):
    return math.sin(x[0]) * math.exp(x[1]) + math.log(x[2]) ** 2 + math.hypot(x[0], x[3])


@scalar
def by_imported_math(x):
    return sqrt(x[0] * x[1]) + exp(-x[2]) + math.atan2(x[0], x[3]) + math.pow(x[1], 1.5)


@scalar
def by_float(x):
    a = float(x[0])
    b = x[1].item()
    return a * b + float(x[2] ** 2) * int(x[3])


@scalar
def newton_root(x):
    y = x[0]
    while abs(y * y - x[1]) > 1e-12:
        y = 0.5 * (y + x[1] / y)
    return y * x[2]


@scalar
def bisected(x):
    low, high = 0.0, 4.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        if middle**3 + x[0] * middle < x[3] * 2:
            low = middle
        else:
            high = middle
    step = (low**3 + x[0] * low - x[3] * 2) / (3 * low**2 + x[0])
    return low - step


@scalar
def builtins_on_values(x):
    return max(x[0], x[1], 1.0) * min(x) + sum(x) + abs(x[2] - 1) + sum(v**2 for v in x) + sorted(x)[1]


@scalar
def powers_and_remainders(x):
    return x[0] ** 3 + 2 ** x[1] + x[3] % 0.8 + (x[3] // 0.8) * x[2] + divmod(x[3], 1.5)[1]


@scalar
def branches(x):
    if x[0] > x[1]:
        return x[0]
    elif x[2] < 0.5 and not x[3] < 1:
        return x[2] * x[3] ** 2
    return -x[0]


@scalar
def comprehension(x):
    y = [a * b for a, b in zip(x, x[1:])]  # noqa: RUF007  (as people write it)
    return sum(y) + math.fsum(v for v in x) + math.prod(x)


@scalar
def filtered_sums(x):
    rows = [x * k for k in (1.0, 2.0)]
    return sum(math.log(v) for v in x if v > 0.5 if v < 2) + np.sum(sum(r for r in rows if r[0] < 1))


@scalar
def filtered_list(x):
    big = [v for v in x if v > 1]
    return sum(big) / len(big)


@scalar
def horner(x):
    result = 0.0
    for c in reversed(x):
        result = result * 0.7 + c
    return result


@scalar
def series_to_convergence(x):
    term, total, n = 1.0, 1.0, 0
    while abs(term) > 1e-14:
        n += 1
        term *= x[0] / n
        total += term
    return total * x[1]


@scalar
def collatz_like(x):
    y, steps = x[3], 0
    while y < 100 and steps < 50:
        y = y * 3 if steps % 2 else y + x[0]
        steps += 1
    return y / steps


@scalar
def unpacked(x):
    a, b, *rest = x
    (c, d), e = rest, a * b
    return a * d - b * c + e


@scalar
def runge_kutta(x):
    def slope(t, y):
        return -x[0] * y + np.sin(x[1] * t)

    t, y, h = 0.0, x[2], 0.1
    for _ in range(10):
        k1 = slope(t, y)
        k2 = slope(t + h / 2, y + h / 2 * k1)
        k3 = slope(t + h / 2, y + h / 2 * k2)
        k4 = slope(t + h, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        t += h
    return y


@scalar
def recursive(x):
    def power(b, n):
        return 1.0 if n == 0 else power(b * b, n // 2) * (b if n % 2 else 1.0)

    def halve(y):
        return y if y < 0.5 else halve(y / 2) * x[0] + 0.1

    return power(x[0], 13) + halve(x[3] * 5)


@scalar
def black_scholes(x):
    s, k, t, v = x * np.array([100.0, 50.0, 1.0, 0.1])
    d = (math.log(s / k) + 0.5 * v**2 * t) / (v * math.sqrt(t))
    n = lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2)))
    return s * n(d) - k * n(d - v * math.sqrt(t))


@scalar
def golden_section(x):
    g = (math.sqrt(5) - 1) / 2
    a, b = 0.0, 3.0
    f = lambda t: (t - x[0]) ** 2 + 0.1 * t
    for _ in range(40):
        c, d = b - g * (b - a), a + g * (b - a)
        if f(c) < f(d):
            b = d
        else:
            a = c
    return f(x[1]) * x[2] + f(0.5)


@scalar
def gradient_descent(x):
    w = x[0]
    for _ in range(25):
        w -= 0.1 * (2 * (w - x[1]) + x[2] * math.cos(w))
    return w**2


@scalar
def asserted(x):
    assert np.all(x > 0), "positive"
    if x[0] < 0:
        raise ValueError(f"{x[0]} is negative")
    return math.log(x[0]) + x[1]


@scalar
def tried(x):
    try:
        y = math.sqrt(x[0] - 0.5)
    except ValueError:
        y = 0.0
    with np.errstate(all="ignore"):
        return y * x[1]


@scalar
def rounded_and_cast(x):
    return (
        round(float(x[3])) * x[0]
        + math.floor(x[3]) * x[1]
        + int(x[1] > 1) * x[2]
        + np.float64(x[2])
        + bool(x[0]) * x[3]
    )


@scalar
def complex_scalar(x):
    z = complex(x[0], x[1])
    return abs(z * z + 1) + cmath.exp(z).real


# Containers and objects


@objects
def dictionary(x):
    p = {"w": x[:2], "b": x[2]}
    p["b"] = p["b"] * x[3]
    return sum(np.sum(v) for v in p.values()) + np.dot(p["w"], p["w"]) * p.get("c", 2.0)


@objects
def defaults_and_counts(x):
    d = defaultdict(float)
    for k, v in zip("abab", x):
        d[k] += v * v
    return d["a"] * d["b"]


@objects
def queue(x):
    q = deque(x, maxlen=3)
    q.append(x[0] * x[1])
    return sum(v * k for k, v in enumerate(q))


Point = namedtuple("Point", "x y")


@objects
def named(x):
    p, q = Point(x[0], x[1]), Point(x[2], x[3])
    return (p.x - q.x) ** 2 + p.y * q.y + p._replace(x=q.y).x


@dataclass
class Layer:
    w: np.ndarray
    b: float
    seen: list = field(default_factory=list)

    def __call__(self, v):
        y = np.tanh(self.w * v + self.b)
        self.seen.append(y)
        return y


@objects
def layers(x):
    net = [Layer(x[:2], x[2]), Layer(x[2:], x[0])]
    v = np.array([0.5, -0.5])
    for layer in net:
        v = layer(v)
    return v.sum() + net[0].seen[0][0]


class Kalman:
    def __init__(self, q, r):
        self.q, self.r = q, r
        self.mean, self.var = 0.0, 1.0

    def update(self, z):
        self.var += self.q
        gain = self.var / (self.var + self.r)
        self.mean += gain * (z - self.mean)
        self.var *= 1 - gain
        return self

    @property
    def state(self):
        return self.mean + self.var


@objects
def filtered(x):
    f = Kalman(x[0], x[1])
    for z in (1.0, 1.2, 0.9, x[2], x[3]):
        f.update(z)
    return f.state


class Dual:
    def __init__(self, v):
        self.v = v

    def __add__(self, other):
        return Dual(self.v + other.v)

    def __mul__(self, other):
        return Dual(self.v * other.v)


@objects
def own_operators(x):
    return (Dual(x[0]) * Dual(x[1]) + Dual(x[2])).v


@objects
def by_functools(x):
    f = functools.partial(np.power, x[0])
    return functools.reduce(lambda a, b: a * b + 1, x) + f(2.0) + functools.reduce(operator.mul, x)


@objects
def by_itertools(x):
    pairs = sum(a * b for a, b in itertools.combinations(x, 2))
    running = list(itertools.accumulate(x))
    return pairs + running[-1] * running[1] + sum(itertools.chain(x[:2], [1.0]))


@objects
def closures(x):
    def scaled(k):
        return lambda v: k * v**2

    fs = [scaled(k) for k in x]
    return sum(f(v) for f, v in zip(fs, x[::-1]))


@objects
def generator_sum(x):
    def squares():
        for v in x:
            yield v * v

    return sum(squares())


@objects
def linear_congruence(x):
    state = {"seed": 7}

    def draw():
        state["seed"] = (state["seed"] * 1103 + 12345) % 65536
        return state["seed"] / 65536

    return sum(draw() * v for v in x)


@objects
def tree_of_tuples(x):
    tree = ("+", ("*", 0, 1), ("sin", 2))

    def value(node):
        if isinstance(node, int):
            return x[node]
        op, *args = node
        row = [value(a) for a in args]
        return {"+": sum, "*": math.prod, "sin": lambda r: np.sin(r[0])}[op](row)

    return value(tree)


@objects
def nelder_points(x):
    points = [x * k for k in (1.0, 0.5, 2.0)]
    points.sort(key=lambda p: float(np.sum((p - 1) ** 2)))
    best = points[0]
    return np.sum((best - 1) ** 2) + np.sum(points[-1])


@objects
def sets_and_strings(x):
    names = {"a", "b"}
    total = 0.0
    for k, v in zip("abcd", x):
        if k in names or k.upper() == "D":
            total += v**2
    return total


# SciPy


@scipy_
def special_functions(x):
    return np.sum(scipy.special.gammaln(x) + scipy.special.expit(x) * erf(x)) + gammaln(x[0]) * xlogy(x[1], x[2])


@scipy_
def bessel_and_beta(x):
    return np.sum(scipy.special.j0(x) + scipy.special.jv(2, x)) + scipy.special.beta(x[0], x[1])


@scipy_
def incomplete_gamma(x):
    return scipy.special.gammainc(2.0, x[0]) + scipy.special.betainc(1.5, 2.5, x[2]) + scipy.special.digamma(x[3])


@scipy_
def special_sums(x):
    return scipy.special.logsumexp(x) + np.sum(scipy.special.softmax(x)[:2]) + scipy.special.log_softmax(x)[1]


@scipy_
def normal_density(x):
    return np.sum(scipy.stats.norm.logpdf(x, loc=x[0], scale=x[1])) + scipy.stats.norm.cdf(x[2])


@scipy_
def several_densities(x):
    return (
        scipy.stats.gamma.logpdf(x[0], 2.0) + scipy.stats.beta.logpdf(x[2], 2.0, 3.0) + scipy.stats.expon.logpdf(x[1])
        + scipy.stats.t.logpdf(x[3], 5.0)
    )  # fmt: skip


@scipy_
def counted_events(x):
    return scipy.stats.poisson.logpmf(3, x[0]) + scipy.stats.binom.logpmf(2, 5, x[2])


@scipy_
def multivariate_density(x):
    return scipy.stats.multivariate_normal.logpdf(x[:2], np.zeros(2), np.eye(2) * x[3])


@scipy_
def moments(x):
    return scipy.stats.zscore(x)[0] + scipy.stats.skew(x) + scipy.stats.kurtosis(x) + scipy.stats.gmean(x)


@scipy_
def factorised(x):
    a = np.outer(x, x) + np.eye(4)
    return (
        np.sum(scipy.linalg.cho_solve(scipy.linalg.cho_factor(a), np.ones(4)))
        + scipy.linalg.cholesky(a, lower=True)[1, 0]
    )


@scipy_
def triangular(x):
    a = np.tril(np.outer(x, x)) + np.eye(4)
    return np.sum(scipy.linalg.solve_triangular(a, x, lower=True) ** 2) + scipy.linalg.det(a)


@scipy_
def solved_by_scipy(x):
    a = np.diag(x) + 0.2
    return np.sum(scipy.linalg.solve(a, np.arange(4.0))) + np.trace(scipy.linalg.inv(a))


@scipy_
def matrix_exponential(x):
    return np.sum(scipy.linalg.expm(x.reshape(2, 2)))


@scipy_
def matrix_root(x):
    a = np.outer(x[:2], x[:2]) + 2 * np.eye(2)
    return np.sum(scipy.linalg.sqrtm(a)) + np.sum(scipy.linalg.block_diag(a, x[2]))


@scipy_
def lyapunov(x):
    a = -np.diag(x) + 0.1
    return np.sum(scipy.linalg.solve_continuous_lyapunov(a, np.eye(4)))


@scipy_
def toeplitz_matrix(x):
    return np.sum(scipy.linalg.toeplitz(x) @ x) + np.sum(
        scipy.linalg.eigh(scipy.linalg.toeplitz(x), eigvals_only=True)[:1]
    )


@scipy_
def lu_by_scipy(x):
    return np.sum(scipy.linalg.lu_solve(scipy.linalg.lu_factor(np.diag(x) + 0.3), x))


@scipy_
def quadrature(x):
    return scipy.integrate.quad(lambda t: np.exp(-x[0] * t) * np.sin(x[1] * t), 0.0, 1.0)[0]


@scipy_
def quadrature_bound(x):
    return scipy.integrate.quad(lambda t: x[1] * t**2, 0.0, x[0])[0]


@scipy_
def simpson_rule(x):
    return scipy.integrate.simpson(x**2, dx=0.5) + scipy.integrate.trapezoid(x, np.arange(4.0))


@scipy_
def cumulative_rule(x):
    return np.sum(scipy.integrate.cumulative_trapezoid(x, dx=0.5) ** 2)


@scipy_
def initial_value(x):
    s = scipy.integrate.solve_ivp(
        lambda t, y: [-x[0] * y[0] + y[1], -y[1] * x[1]], (0.0, 1.0), [x[2], x[3]], rtol=1e-10, atol=1e-12
    )
    return s.y[0, -1] + s.y[1, -1]


@scipy_
def ode_integrated(x):
    return scipy.integrate.odeint(lambda y, t: -x[0] * y, x[1], [0.0, 0.5, 1.0], rtol=1e-11, atol=1e-12)[-1, 0]


@scipy_
def bracketed_root(x):
    return scipy.optimize.brentq(lambda t: t**3 + x[0] * t - x[1], 0.0, 5.0, xtol=1e-13)


@scipy_
def system_root(x):
    return np.sum(scipy.optimize.root(lambda z: z**3 + x[:2] * z - x[2:], np.ones(2), tol=1e-12).x)


@scipy_
def fixed_point(x):
    return scipy.optimize.fixed_point(lambda t: np.cos(x[0] * t), 0.7, xtol=1e-12)


@scipy_
def scalar_newton(x):
    return scipy.optimize.newton(lambda t: t**2 - x[0], 1.0, tol=1e-13)


@scipy_
def minimised(x):
    loss = lambda z: np.sum((z - x[:2]) ** 2) + x[2] * np.sum(z**4)
    slope = lambda z: 2 * (z - x[:2]) + 4 * x[2] * z**3  # so that SciPy's own answer is exact enough for differences
    return np.sum(scipy.optimize.minimize(loss, np.zeros(2), jac=slope, tol=1e-12).x ** 2)


@scipy_
def minimised_scalar(x):
    return scipy.optimize.minimize_scalar(lambda t: (t - x[0]) ** 2 + x[1] * t**4, bounds=(0, 2), method="bounded").fun


@scipy_
def least_squares_fit(x):
    t = np.array([0.0, 0.5, 1.0, 1.5])
    return scipy.optimize.least_squares(lambda p: p[0] + p[1] * t - x, np.zeros(2)).x @ np.array([1.0, 2.0])


@scipy_
def spline_value(x):
    return scipy.interpolate.CubicSpline(np.arange(4.0), x)(1.3) + 0.0


@scipy_
def linear_interpolator(x):
    return scipy.interpolate.interp1d(np.arange(4.0), x)(1.5) + 0.0


@scipy_
def filtered_signal(x):
    return np.sum(scipy.signal.lfilter([0.5, 0.5], [1.0, -0.2], x) ** 2)


@scipy_
def convolved_signal(x):
    return np.sum(scipy.signal.convolve(x, [1.0, 0.5, 0.25], mode="same") ** 2) + scipy.signal.fftconvolve(x, x)[2]


@scipy_
def smoothed(x):
    return np.sum(scipy.ndimage.gaussian_filter1d(x, 1.0) ** 2)


@scipy_
def uniform_filtered(x):
    return np.sum(scipy.ndimage.convolve1d(x, [0.2, 0.6, 0.2]) ** 2)


@scipy_
def transformed(x):
    return np.sum(np.abs(scipy.fft.fft(x)) ** 2 * np.arange(4)) + scipy.fft.dct(x)[1]


@scipy_
def rosenbrock(x):
    return scipy.optimize.rosen(x) + np.sum(scipy.optimize.rosen_der(x))


@scipy_
def sparse_product(x):
    a = scipy.sparse.csr_matrix(np.diag([1.0, 2.0, 3.0, 4.0]) + np.eye(4, k=1))
    return np.sum((a @ x) ** 2)


@scipy_
def distances(x):
    from scipy.spatial.distance import cdist

    return np.sum(cdist(x.reshape(2, 2), np.array([[0.0, 0.0], [1.0, 3.0]])))
