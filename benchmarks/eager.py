"""Eager derivatives: what does one recorded operation cost, in chains and in small real programs?

Peers run the same text where their NumPy-like namespace allows it. DESIGN section 6 has the goals.
"""

import time

import numpy as np

from .harness import complex_step, plain

# ---- the chain: forward and backward of 100 elementwise operations ----

CYCLES = 25


def factors(w):
    """What each cycle multiplies by: Python floats, a constant array now and then, x itself (None) now and then."""
    return [w if i % 5 == 2 else None if i % 5 == 4 else 1.1 for i in range(CYCLES)]


def chain(xp, x, row):
    y = x
    for c in row:
        y = y * (x if c is None else c)
        y = y + 0.1
        y = xp.sin(y)
        y = xp.tanh(y)
    return y


def chain_of_calls(xp, x, row):
    """The same with functions in the operators' place."""
    y = x
    for c in row:
        y = xp.multiply(y, x if c is None else c)
        y = xp.add(y, 0.1)
        y = xp.sin(y)
        y = xp.tanh(y)
    return y


class Bare:
    """The floor: a tape that knows four operations, one shape, no levels and no mistakes."""

    __slots__ = ("k", "v")
    rows: list = []

    def __init__(self, v, row):
        self.v = v
        self.k = len(Bare.rows)
        Bare.rows.append(row)

    def __mul__(a, b):
        if type(b) is Bare:
            return Bare(a.v * b.v, (Bare.both, a.k, b.k, a.v, b.v))
        return Bare(a.v * b, (Bare.times, a.k, b))

    def __add__(a, b):
        return Bare(a.v + b, (Bare.same, a.k))

    def sin(a):
        return Bare(np.sin(a.v), (Bare.cosine, a.k, a.v))

    def tanh(a):
        y = np.tanh(a.v)
        return Bare(y, (Bare.one_minus_square, a.k, y))

    @staticmethod
    def both(grads, g, row):
        _, i, k, a, b = row
        grads[k] = g * a if grads[k] is None else grads[k] + g * a
        return g * b

    times = staticmethod(lambda grads, g, row: g * row[2])
    same = staticmethod(lambda grads, g, row: g)
    cosine = staticmethod(lambda grads, g, row: g * np.cos(row[2]))
    one_minus_square = staticmethod(lambda grads, g, row: g * (1 - row[2] * row[2]))

    @staticmethod
    def grad(f, x):
        Bare.rows = []
        y = f(Bare(x, None))
        grads = [None] * len(Bare.rows)
        grads[y.k] = np.ones_like(x)
        for k in range(y.k, 0, -1):
            g = grads[k]
            if g is not None:
                row = Bare.rows[k]
                i = row[1]
                g = row[0](grads, g, row)
                grads[i] = g if grads[i] is None else grads[i] + g
        return grads[0]


class Handed:
    """An array of another library, to whom NumPy hands a ufunc's call, and who has nothing to do."""

    def __array_ufunc__(self, ufunc, method, *inputs):
        return self

    @staticmethod
    def chain():
        return 0.0 if chain_of_calls(np, Handed(), [1.1] * CYCLES) else None


def by_hand(x, row):
    """The chain and its derivative written in NumPy, as accurate as adjoint's: what the kernels alone cost."""
    kept, y = [], x
    for c in row:
        a = y
        y = y * (x if c is None else c)
        b = y = y + 0.1
        s = y = np.sin(y)
        y = np.tanh(y)
        kept.append((a, b, s, c))
    g, gx = np.ones_like(x), 0.0
    for a, b, s, c in reversed(kept):
        d = np.cosh(s)
        g = g / d / d * np.cos(b)
        if c is None:
            gx = gx + g * a
        g = g * (x if c is None else c)
    return g + gx


def run_chain(bench):
    """Forward and backward of a chain of 100 elementwise operations on 0-d, 4 and 1000 float64 elements."""
    for n in (0, 4, 1000):
        _chain(bench, n)


def _chain(bench, n):
    rng = np.random.default_rng(0)
    shape = (n,) if n else ()
    x0, w0 = rng.uniform(0.5, 1.0, shape), rng.uniform(0.9, 1.1, shape)
    plain_row = factors(w0[()])  # NumPy's 0-d results are scalars
    calls, want = {}, {}

    def program(body, xp, row):
        return (lambda x: body(xp, x, row).sum()) if n else (lambda x: body(xp, x, row))

    for one in bench.adapters():
        x, row = one.array(x0), factors(one.array(w0)) if one.name in ("torch", "jax") else plain_row
        calls[one.name] = gradient(one, program(chain, one.xp, row), x)
        if one.name in ("adjoint", "adjoint, np. calls"):
            name = "adjoint, functions" if one.name == "adjoint" else "adjoint, np. functions"
            calls[name] = gradient(one, program(chain_of_calls, one.xp, row), x)
    x_scalar = x0[()]
    calls["NumPy, by hand"] = lambda: by_hand(x_scalar, plain_row)
    calls["bare tape"] = lambda: Bare.grad(lambda x: chain(_Methods, x, plain_row), x0)
    # elementwise: one complex step gives all derivatives
    want = dict.fromkeys(calls, np.imag(chain(np, x0 + 1e-30j, plain_row)) * 1e30)
    calls["NumPy, forward only"] = lambda: chain(np, x0, plain_row)
    want["NumPy, forward only"] = chain(np, x0, plain_row)
    calls["NumPy handing on, forward only"], want["NumPy handing on, forward only"] = Handed.chain, 0.0
    bench.compare(
        f"chain: one of 100 operations (mul, add, sin, tanh), forward and backward, {n or '0-d: one'} float64",
        calls,
        want,
        per=4 * CYCLES,
        goals=[("adjoint", "torch", 0.25), ("adjoint", "autograd", 0.1), ("adjoint, np. calls", "adjoint", 1.3),
               ("adjoint, np. functions", "adjoint, functions", 1.3)],
    )  # fmt: skip


class _Methods:
    """A namespace whose functions are methods of their argument: for the bare tape."""

    sin = staticmethod(lambda x: x.sin())
    tanh = staticmethod(lambda x: x.tanh())


def gradient(one, f, *xs):
    """The gradient of f of one argument as a function without arguments, by the shortest way a library's user has."""
    if one.name in ("adjoint", "adjoint, np. calls"):
        import adjoint as ad

        g = ad.grad(f)
        return lambda: g(*xs)
    if one.name == "autograd":
        import autograd

        g = autograd.grad(f)
        return lambda: g(*xs)
    g = one.value_and_grad(f)
    return lambda: g(*xs)[1][0]


# ---- long chains ----


def run_long(bench):
    """Chains of 10^3, 10^4 and 10^5 operations: no recursion, and the time an operation does not grow."""
    sizes = (400, 4000, 40000) if bench.quick else (1000, 10000, 100000)
    rows, ratios = [], []
    for one in bench.adapters("adjoint", "torch", "autograd", "mygrad"):
        costs = []
        try:
            for n in sizes:
                costs.append(_long(one, n))
        except Exception as error:
            rows.append((one.name, f"{type(error).__name__} at {sizes[len(costs)]} operations", None))
            continue
        text = "   ".join(f"{n}: {c * 1e6:.2f} us" for n, c in zip(sizes, costs, strict=True))
        rows.append((one.name, f"{text}   growth {costs[-1] / costs[0]:.2f}", costs[-1]))
        if one.name == "adjoint":
            ratios.append(("adjoint: time an operation, longest over shortest", costs[-1] / costs[0], 1.5))
    bench.facts("long chain: CPU time an operation, forward and backward, 4 elements", rows, ratios)


def _long(one, n):
    x0 = np.linspace(0.5, 1.0, 4)

    def f(x):
        y = x
        for _ in range(n // 2):
            y = y * 1.0001
            y = one.xp.sin(y)
        return y.sum()

    x = one.array(x0)
    z = x0 + 1e-30j
    for _ in range(n // 2):
        z = np.sin(z * 1.0001)
    want = np.imag(z) * 1e30
    g = one.value_and_grad(f)
    got = plain(g(x)[1][0])
    np.testing.assert_allclose(got, want, rtol=1e-7)
    best = np.inf
    for _ in range(max(3, 20000 // n)):
        start = time.process_time()
        g(x)
        best = min(best, time.process_time() - start)
    return best / n


# ---- small real programs ----


def rosenbrock(xp, x):
    a, b = x[:-1], x[1:]
    return xp.sum(100.0 * (b - a * a) ** 2 + (1.0 - a) ** 2)


def logistic(xp, data, labels, w):
    z = xp.matmul(data, w)
    return xp.mean(xp.log1p(xp.exp(-labels * z))) + 0.0005 * xp.sum(w * w)


def mlp(xp, data, onehot, w1, b1, w2, b2):
    z = xp.matmul(xp.tanh(xp.matmul(data, w1) + b1), w2) + b2
    return xp.mean(xp.log(xp.sum(xp.exp(z), 1)) - xp.sum(z * onehot, 1))


def doubling(xp, a):
    """The chapter's kind of program: how often the loop runs, and which branch is taken, the data decide."""
    b = a * 2
    while xp.sqrt(xp.sum(b * b)) < 1000:
        b = b * 2
    s = xp.sum(b)
    return s if s > 0 else 100 * s


def runge_kutta(xp, x, steps=50, h=0.05):
    """x'' = -sin x - 0.1 x' as two components."""

    def slope(p, v):
        return v, -xp.sin(p) - 0.1 * v

    p, v = x[0], x[1]
    for _ in range(steps):
        a1, b1 = slope(p, v)
        a2, b2 = slope(p + 0.5 * h * a1, v + 0.5 * h * b1)
        a3, b3 = slope(p + 0.5 * h * a2, v + 0.5 * h * b2)
        a4, b4 = slope(p + h * a3, v + h * b3)
        p = p + (a1 + 2 * a2 + 2 * a3 + a4) * (h / 6)
        v = v + (b1 + 2 * b2 + 2 * b3 + b4) * (h / 6)
    return p * p + v * v


def run_programs(bench):
    """Small real programs: logistic regression, a network, Rosenbrock, loops; a Hessian and a Jacobian."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(1000, 20))
    labels = np.sign(rng.normal(size=1000))
    batch, onehot = rng.normal(size=(32, 64)), np.eye(10)[rng.integers(0, 10, 32)]
    layers = [rng.normal(size=s) * 0.1 for s in ((64, 32), (32,), (32, 10), (10,))]
    cases = {
        "logistic regression, 1000 x 20": (logistic, [x, labels], [rng.normal(size=20) * 0.1]),
        "network 64-32-10, batch of 32": (mlp, [batch, onehot], layers),
        "Rosenbrock, 50 variables": (rosenbrock, [], [rng.uniform(0.5, 1.5, 50)]),
        "data-dependent loop, 4 elements": (doubling, [], [rng.normal(size=4)]),
        "Runge-Kutta, 50 steps": (runge_kutta, [], [np.array([1.0, 0.0])]),
    }
    for title, (f, data, xs) in cases.items():
        if f is doubling:
            value = f(np, *xs)
            want = [value, [np.full(4, value / xs[0].sum())]]  # piecewise linear and homogeneous
        else:
            want = list(complex_step(lambda *xs, f=f, data=data: f(np, *data, *xs), xs))
        calls = {}
        for one in bench.adapters():
            if one.name != "jax" or f is not runge_kutta:  # that takes a second a call
                calls[one.name] = _value_and_grad(one, f, data, xs)
        goals = [("adjoint", "torch", 1.0), ("adjoint", "autograd", 0.5)]
        bench.compare(f"program: {title}, value and gradient", calls, want, goals=goals)
    _second(bench, rng)


def _value_and_grad(one, f, data, xs):
    known, xs = [one.array(a) for a in data], [one.array(a) for a in xs]
    g = one.value_and_grad(lambda *xs: f(one.xp, *known, *xs), len(xs))
    return lambda: g(*xs)


def _applied(transform, f, xp, array, x, *known):
    """The transform of f as a function without arguments."""
    known = [array(a) for a in known]
    g, x = transform(lambda x: f(xp, *known, x)), array(x)
    return lambda: g(x)


def _second(bench, rng):
    import adjoint as ad

    x10, x20, m = rng.uniform(0.5, 1.5, 10), rng.normal(size=20), rng.normal(size=(20, 20)) * 0.2
    hessian = np.diag(np.r_[1200 * x10[:-1] ** 2 - 400 * x10[1:] + 2, 0] + np.r_[0, np.full(9, 200.0)])
    hessian -= np.diag(400 * x10[:-1], 1) + np.diag(400 * x10[:-1], -1)

    def layer(xp, m, x):
        return xp.tanh(xp.matmul(m, x)) * xp.sin(x)

    _, (jacobian,) = complex_step(lambda x: layer(np, m, x), [x20])
    rows = {
        "adjoint": (ad.numpy, ad.hessian, ad.jacobian, np.asarray),
        "adjoint, np. calls": (np, ad.hessian, ad.jacobian, np.asarray),
    }
    if bench.adapters("torch"):
        import torch

        old = torch.autograd.functional
        by_old = (lambda f: lambda x: old.hessian(f, x), lambda f: lambda x: old.jacobian(f, x))
        rows["torch"] = (torch, *by_old, torch.tensor)
        rows["torch.func"] = (torch, torch.func.hessian, torch.func.jacrev, torch.tensor)
    if bench.adapters("autograd"):
        import autograd

        rows["autograd"] = (autograd.numpy, autograd.hessian, autograd.jacobian, np.asarray)
    if bench.adapters("jax"):
        import jax

        rows["jax"] = (jax.numpy, jax.hessian, jax.jacrev, jax.numpy.asarray)
    hessians, jacobians = {}, {}
    for name, (xp, hess, jac, array) in rows.items():
        hessians[name] = _applied(hess, rosenbrock, xp, array, x10)
        jacobians[name] = _applied(jac, layer, xp, array, x20, m)
    goals = [("adjoint", "torch", 1.0), ("adjoint", "autograd", 0.5)]
    bench.compare("program: Hessian of Rosenbrock, 10 variables", hessians, hessian, goals=goals)
    bench.compare("program: Jacobian 20 x 20", jacobians, jacobian, goals=goals)


WORKLOADS = {"chain": run_chain, "long": run_long, "programs": run_programs}
