"""A corpus of small ordinary programs: plain NumPy and plain Python, no word of adjoint. Each is a test in every mode.

`@program(*args)` gives the sample arguments, all of them to be differentiated. Options:

    branches   it decides on values: no vmap, no capture
    smooth     False where second derivatives do not exist or are taken elsewhere (default True)
    single     relative tolerance of the float32 run; None where rounding changes a decision
"""

import math
from collections import namedtuple

import numpy as np

PROGRAMS: list = []
RNG = np.random.default_rng(7)


class Program:
    def __init__(self, f, args, branches, smooth, single):
        self.f, self.args = f, args
        self.branches, self.smooth, self.single = branches, smooth, single
        self.name = f.__name__


def program(*args, branches=False, smooth=True, single=1e-3):
    def register(f):
        PROGRAMS.append(Program(f, args, branches, smooth, single))
        return f

    return register


# Control flow


@program(np.array([0.3, -1.2]), branches=True)
def chapter(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    return b.sum() if b.sum() > 0 else 100 * b.sum()


@program(np.array([0.9, 1.2]), branches=True)
def chapter_other_branch(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    return np.sum(b * b) if b.sum() < 0 else b.sum() * a[0]


@program(2.7, branches=True)
def newton_root(a):
    x = 1.0
    while abs(x * x - a) > 1e-13:
        x = 0.5 * (x + a / x)
    return x


@program(np.array([3.0, -2.0, 0.5]), branches=True)
def branches_that_differ(x):
    total = 0.0
    for i in range(3):
        if x[i] > 1:
            total = total + x[i] ** 3
        elif x[i] < 0:
            total = total + np.exp(x[i]) * x[0]
        else:
            total = total + np.sin(5 * x[i])
    return total


@program(np.array([0.4, 1.1, -0.7]), branches=True)
def early_return(x):
    if x[0] > 0.5:
        return np.sum(x)
    if x[1] > 1:
        return np.prod(x) + x[1] ** 2
    return np.sum(x**3)


def _power(x, n):
    if n == 0:
        return 1.0
    half = _power(x, n // 2)
    return half * half * (x if n % 2 else 1.0)


@program(np.array([1.1, 0.9]))
def recursion(x):
    return np.sum(_power(x, 5) - _power(x, 2))


def _integrate(f, a, b, whole, depth):
    middle = (a + b) / 2
    left, right = ((v - u) / 6 * (f(u) + 4 * f((u + v) / 2) + f(v)) for u, v in ((a, middle), (middle, b)))
    if depth == 0 or abs(left + right - whole) < 1e-9:
        return left + right
    return _integrate(f, a, middle, left, depth - 1) + _integrate(f, middle, b, right, depth - 1)


@program(np.array([0.2, 1.7]), branches=True, single=None)
def adaptive_quadrature(ab):
    f = lambda x: np.exp(-x * x) * np.cos(3 * x)
    return _integrate(f, ab[0], ab[1], 0.0, 8)


@program(np.array([0.2, -0.4, 0.3]), branches=True)
def sum_until(x):
    """A loop that is left in the middle, and one that is skipped over."""
    total, k = 0.0, 0
    while True:
        k += 1
        if k % 2 == 0:
            continue
        total = total + np.sum(np.sin(x * k)) ** 2
        if total > 1.5 or k > 20:
            break
    return total * x[1]


@program(0.6)
def power_series(x):
    """exp by its series: Python numbers alone."""
    term, total = 1.0, 1.0
    for k in range(1, 20):
        term = term * x / k
        total = total + term
    return total


@program(1.3, 0.4, branches=True)
def collatz_like(x, y):
    steps = 0
    while x < 100.0 and steps < 50:
        x = x * 3 + y if int(x) % 2 else x * 1.5 - y
        steps += 1
    return x * y


# Helpers, closures, containers

_WEIGHTS = RNG.normal(size=(3, 4))
_LABELS = np.array([0, 2, 1, 3, 2])
_DATA = RNG.normal(size=(5, 3))


@program(RNG.normal(size=3))
def closure_over_arrays(x):
    def layer(v):
        return np.tanh(v @ _WEIGHTS + x.sum())

    return np.sum(layer(x) * layer(2 * x))


@program(RNG.normal(size=4))
def comprehension_and_sum(x):
    return sum(v * v * (i + 1) for i, v in enumerate(x)) + max([len(x), 2]) * sum([np.sin(v) for v in x])


@program({"w": RNG.normal(size=(3, 2)), "b": RNG.normal(size=2), "scale": 0.7})
def dict_parameters(p):
    return np.sum(np.tanh(_DATA @ p["w"] + p["b"]) ** 2) * p["scale"]


State = namedtuple("State", "position velocity")


@program(State(np.array([1.0, 0.0]), np.array([0.1, 0.9])))
def named_tuple_orbit(state):
    """Kepler's problem by the leapfrog rule."""
    q, v = state.position, state.velocity
    h = 0.05
    for _ in range(8):
        v = v - h / 2 * q / np.sum(q * q) ** 1.5
        q = q + h * v
        v = v - h / 2 * q / np.sum(q * q) ** 1.5
    return 0.5 * np.dot(v, v) - 1 / np.sqrt(np.dot(q, q)) + q[0] * v[1]


@program([(RNG.normal(size=(3, 4)) / 2, np.zeros(4)), (RNG.normal(size=(4, 2)) / 2, np.ones(2) / 3)])
def list_of_layers(layers):
    h = _DATA
    for w, b in layers[:-1]:
        h = np.tanh(h @ w + b)
    w, b = layers[-1]
    return np.mean((h @ w + b) ** 2)


@program(np.array([0.5, 1.5]), 0.3)
def default_and_star_arguments(x, y, *rest, power=2):
    def mean(*terms):
        return sum(terms) / len(terms)

    return mean(np.sum(x**power), y, *rest, x[0] * y)


class Polynomial:
    def __init__(self, coefficients):
        self.coefficients = coefficients

    def __call__(self, x):
        total = 0.0 * x
        for c in self.coefficients:
            total = total * x + c
        return total


@program(np.array([1.0, -2.0, 0.5, 3.0]))
def horner_in_an_object(c):
    return np.sum(Polynomial(c)(np.array([-1.0, 0.3, 2.0])) ** 2)


@program(np.array([0.3, -0.8]))
def swapped_names(x):
    a, b = x
    for _ in range(4):
        a, b = b, a + 0.5 * np.sin(b)
    return a * b


# Differential equations, fixed points, sequences


@program(np.array([1.0, 0.5]), np.array([1.5, 1.0]))
def rk4_predator_prey(y, rates):
    def slope(y):
        return np.stack([rates[0] * y[0] - y[0] * y[1], y[0] * y[1] - rates[1] * y[1]])

    h = 0.1
    for _ in range(5):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y


@program(RNG.normal(size=(3, 3)) / 2, RNG.normal(size=(2, 3)) / 2, np.zeros(3))
def recurrent_network(w, u, h):
    inputs = np.array([[0.1, -0.3], [0.7, 0.2], [-0.5, 0.9], [0.0, 0.4]])
    for x in inputs:
        h = np.tanh(h @ w + x @ u)
    return np.sum(h * h)


@program(0.8, 0.3)
def kepler_equation(e, m):
    x = m
    for _ in range(12):
        x = x - (x - e * np.sin(x) - m) / (1 - e * np.cos(x))
    return np.cos(x)


@program(np.array([0.5, 0.2, 0.9]))
def running_sums(x):
    c = np.cumsum(np.exp(x))
    return np.sum(np.log(c) * np.arange(1.0, 4.0)) + np.prod(1 + x)


@program(np.array([[2.0, 0.3], [0.3, 1.0]]), single=3e-3)
def power_iteration(a):
    v = np.array([1.0, 0.5])
    for _ in range(30):
        v = a @ v
        v = v / np.linalg.norm(v)
    return v @ a @ v


@program(np.array([1.0, 2.0, 0.5, 1.5]))
def heat_step(u):
    for _ in range(3):
        u = u + 0.1 * (np.roll(u, 1) - 2 * u + np.roll(u, -1))
    return np.sum(u**3)


# Statistics and learning


@program(np.array([0.2, -0.5, 0.1]), 0.05)
def logistic_regression(w, b):
    y = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    z = _DATA @ w + b
    return np.mean(np.logaddexp(0, z) - y * z) + 0.01 * np.sum(w * w)


@program(RNG.normal(size=(3, 4)))
def softmax_cross_entropy(w):
    z = _DATA @ w
    z = z - np.max(z, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(logp[np.arange(5), _LABELS])


@program(np.array([[0.0, 0.0, 0.1], [1.0, -1.0, 0.5]]), smooth=True)
def k_means(centres):
    distances = np.sum((_DATA[:, None, :] - centres[None, :, :]) ** 2, axis=-1)
    return np.sum(np.min(distances, axis=1))


@program(RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2)))
def attention(q, k, v):
    scores = np.einsum("id,jd->ij", q, k) / np.sqrt(3.0)
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.sum(np.einsum("ij,jf->if", e / e.sum(-1, keepdims=True), v) ** 2)


@program(np.array([0.3, 1.2]), np.array([0.1, 0.4, 0.8, 1.3, 1.9]))
def gaussian_process(theta, x):
    """Minus the log-likelihood of a Gaussian process, by Cholesky."""
    y = np.array([0.2, 0.5, 0.4, -0.1, -0.6])
    d = x[:, None] - x[None, :]
    k = np.exp(theta[0]) * np.exp(-(d**2) / theta[1] ** 2) + 0.1 * np.eye(5)
    chol = np.linalg.cholesky(k)
    z = np.linalg.solve(chol, y)
    return 0.5 * z @ z + np.sum(np.log(np.diag(chol))) + 2.5 * math.log(2 * math.pi)


@program(np.array([0.3, -0.2]), np.array([0.4, 0.1]))
def normal_log_density(mean, log_scale):
    r = (np.array([[0.0, 1.0], [0.7, -0.4]]) - mean) / np.exp(log_scale)
    return -0.5 * np.sum(r * r) - 2 * np.sum(log_scale)


@program(RNG.normal(size=(4, 3)))
def batch_norm(x):
    z = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-3)
    return np.sum(z**3 * np.arange(3.0))


@program(np.array([0.5, -1.5, 2.5, 0.1]))
def huber(x):
    a = np.abs(x)
    return np.sum(np.where(a < 1, 0.5 * x * x, a - 0.5)) + np.sum(np.clip(x, -1.0, 1.0) ** 2)


@program(np.array([3.0, 1.0, 2.5, -0.5]))
def trimmed_mean(x):
    s = np.sort(x)
    return np.mean(s[1:-1] ** 2) + np.max(x) * np.min(x)


@program(RNG.normal(size=8), RNG.normal(size=3))
def convolution(signal, kernel):
    windows = np.stack([signal[i : i + 3] for i in range(6)])
    return np.sum(np.maximum(windows @ kernel, 0.1 * (windows @ kernel)))


@program(np.array([0.2, 0.5, 0.3]), np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]]))
def hidden_markov(start, transition):
    """The forward algorithm, scaled."""
    emission = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    alpha, log_p = start * emission[:, 0], 0.0
    for symbol in [1, 1, 0, 1]:
        total = np.sum(alpha)
        log_p = log_p + np.log(total)
        alpha = (alpha / total) @ transition * emission[:, symbol]
    return log_p + np.log(np.sum(alpha))


# Vectors out, shapes, linear algebra


@program(np.array([0.5, 1.2]))
def polar_to_cartesian(p):
    return p[0] * np.array([1.0, 0.0]) * np.cos(p[1]) + p[0] * np.array([0.0, 1.0]) * np.sin(p[1])


@program(np.array([0.4, -0.3, 0.8]))
def rotation(angles):
    c, s = np.cos(angles), np.sin(angles)
    z = np.stack([np.stack([c[0], -s[0]]), np.stack([s[0], c[0]])])
    y = np.stack([np.stack([c[1], -s[1]]), np.stack([s[1], c[1]])])
    return (z @ y @ np.array([1.0, 2.0])) * c[2]


@program(RNG.normal(size=(2, 3)), RNG.normal(size=3))
def reshapes(a, b):
    x = np.concatenate([a.reshape(3, 2).T, b[None, :]], axis=0)
    return np.transpose(x, (1, 0)).ravel()[::2] * np.broadcast_to(b[1], (5,))


@program(np.array([[2.0, 0.5], [0.1, 1.5]]), np.array([1.0, -1.0]))
def linear_solve(a, b):
    x = np.linalg.solve(a, b)
    return x * np.linalg.det(a) + np.linalg.inv(a)[0]


@program(np.array([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]]), single=1e-2)
def spectrum(a):
    w, v = np.linalg.eigh((a + a.T) / 2)
    return np.sum(w**2 * np.arange(1.0, 4.0)) + np.sum(v[0] ** 4)


@program(np.array([1.0, 2.0, 4.0, 7.0]))
def finite_differences(x):
    return np.diff(x) ** 2 / x[1:] + x[np.array([0, 0, 2])] * x[x > 1.5]


@program(np.array([0.3, 0.8]), 1.7)
def complex_inside(x, w):
    """Real in, real out, complex numbers between: the gain of a filter."""
    z = np.exp(1j * w * np.arange(2))
    return np.abs(np.sum(x * z)) ** 2 + np.real(np.sum(x * z))


@program(np.array([0.1, 0.7, 0.4]), branches=True)
def bisection_then_newton(c):
    """Values steer a search; what is differentiated is the last step."""
    f = lambda t: t**3 + c[0] * t**2 + c[1] * t - c[2]
    lo, hi = 0.0, 1.0
    for _ in range(20):
        mid = (lo + hi) / 2
        if f(mid) > 0:
            hi = mid
        else:
            lo = mid
    t = lo
    for _ in range(3):
        t = t - f(t) / (3 * t**2 + 2 * c[0] * t + c[1])
    return t
