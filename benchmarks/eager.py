"""Eager derivatives: what does one recorded operation cost in time and memory, and what does starting cost?

Peers run the same text where their NumPy-like namespace allows it. DESIGN section 6 has the goals.
"""

import gc
import time
import weakref

import numpy as np

from .harness import PEERS, adapters, complex_step, forget_peak, fresh, installed, plain, resident, spread

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
    calls["bare tape"] = lambda: Bare.grad(lambda x: chain(_Methods, x, plain_row), x0)
    # elementwise: one complex step gives all derivatives
    want = dict.fromkeys(calls, np.imag(chain(np, x0 + 1e-30j, plain_row)) * 1e30)
    calls["NumPy, forward only"] = lambda: chain(np, x0, plain_row)
    want["NumPy, forward only"] = chain(np, x0, plain_row)
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


# ---- starting ----


def run_import(bench):
    """Import time of each library over NumPy's: fresh processes in turns."""
    names = ["numpy", "adjoint", *(p for p in PEERS if installed(p))]
    rounds = 5 if bench.quick else 21
    program = (
        "import time; w, c = time.perf_counter(), time.process_time(); import {}; "
        "print([time.process_time() - c, time.perf_counter() - w])"
    )
    times = {name: [] for name in names}
    for k in range(-1, rounds):
        for name in names:
            if name in ("numpy", "adjoint") or k < 5:  # the slow ones need no more
                t = fresh(program.format(name))
                if k >= 0:  # the first writes the bytecode
                    times[name].append(t)
    rows = []
    for name in names:
        cpu, wall = np.array(times[name]).T
        rows.append({"name": name, "cpu": np.median(cpu), "wall": np.median(wall), "spread": spread(cpu)})
    rows.insert(0, rows.pop(1))
    bench.table("import: a fresh process", rows, unit="ms")
    own = np.array(times["adjoint"]) - np.array(times["numpy"])
    cpu, wall = np.median(own, axis=0) * 1e3
    bench.facts("import: adjoint over numpy, median of the paired differences", [
        ("CPU", f"{cpu:.1f} ms", cpu), ("wall", f"{wall:.1f} ms", wall)], [("CPU ms over NumPy", cpu, 20)])  # fmt: skip


def run_first(bench):
    """From an empty process to the first gradient: interpreter, import, record, walk back."""
    names = ["adjoint", *(p for p in PEERS if installed(p))]
    times = {name: [] for name in ("numpy alone", *names)}
    for k in range(-1, 3 if bench.quick else 9):
        for name in times:
            try:
                t = fresh("import numpy, time; print([time.process_time(), 0])" if name == "numpy alone" else
                          f"from benchmarks import eager; eager.first({name!r})")  # fmt: skip
            except Exception as error:
                if k < 0:
                    bench.fail(f"first gradient: {name}", error)
            else:
                if k >= 0:
                    times[name].append(t)
    rows = [{"name": name, "cpu": np.median([c for c, _ in t]), "wall": np.median([c + w for c, w in t]),
             "spread": spread([c for c, _ in t])} for name, t in times.items() if t]  # fmt: skip
    rows.sort(key=lambda row: row["name"] != "adjoint")
    bench.table("first gradient: a fresh process, from its start (wall: CPU and what was waited for)", rows, unit="ms")


def first(library):
    wall = time.perf_counter() - time.process_time()
    one = adapters(library)[0]
    x = np.linspace(0.1, 1.0, 4)
    g = one.value_and_grad(lambda x: one.xp.sum(one.xp.sin(x) * x))(one.array(x))[1][0]
    cpu, wall = time.process_time(), time.perf_counter() - time.process_time() - wall
    np.testing.assert_allclose(plain(g), np.sin(x) + x * np.cos(x))
    print([cpu, max(wall, 0.0)])


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


# ---- memory ----


def run_repeat(bench):
    """10^5 gradients with the garbage collector off: growth of resident memory, and what a collection then finds."""
    n = 5000 if bench.quick else 100000
    rows, goals = [], []
    cases = [("adjoint", p) for p in ("functional", "numpy", "imperative", "second", "vjp", "error")]
    for library, program in cases + [("torch", ""), ("autograd", ""), ("mygrad", "")]:
        if library != "adjoint" and not installed(library):
            continue
        count = n if program in ("functional", "numpy", "imperative") else n // 10
        name = f"{library}, {program}" if library == "adjoint" else library
        try:
            grown, garbage = fresh(f"from benchmarks import eager; eager.repeat({library!r}, {program!r}, {count})")
        except Exception as error:
            bench.fail(f"repeat: {name}", error)
            continue
        rows.append((name, f"{grown / 1024:8.0f} KiB grown in {count} calls, {garbage} objects in cycles", grown))
        if library == "adjoint":
            goals.append((f"{name}: KiB grown", grown / 1024, 512))
            goals.append((f"{name}: objects in cycles", garbage, 0))
    bench.facts("repeat: memory over repeated gradients, garbage collector off", rows, goals)


def repeat(library, program, n):
    x = np.linspace(0.5, 1.5, 10)
    if library == "adjoint":
        import adjoint as ad

        xp = np if program == "numpy" else ad.numpy
        gradient = lambda: ad.grad(lambda x: rosenbrock(xp, x))(x)
        calls = {
            "functional": gradient,
            "numpy": gradient,
            "imperative": _imperative(ad, x),
            "second": lambda: ad.hessian(lambda x: rosenbrock(xp, x))(x),
            "vjp": lambda: ad.vjp(lambda x: xp.sin(x) * x, x)[1](x),
            "error": lambda: _raises(ad, x),
        }
        call = calls[program]
    else:
        one = adapters(library)[0]
        g = one.value_and_grad(lambda x: rosenbrock(one.xp, x))
        a = one.array(x)
        call = lambda: g(a)
    for _ in range(200):
        call()
    gc.collect()
    gc.disable()
    before = resident() or 0
    for _ in range(n):
        call()
    grown = (resident() or 0) - before
    print([grown, gc.collect()])


def _imperative(ad, x):
    x = ad.tensor(x)
    x.attach_grad()
    return lambda: rosenbrock(ad.numpy, x).backward()


def _raises(ad, x):
    try:
        ad.grad(lambda x: ad.numpy.sin(x).sum() + ad.numpy.sum(x * np.ones(3)))(x)
    except ValueError:
        return
    raise AssertionError("no error")


def run_fan(bench):
    """x used in 1000 terms: peak memory in arrays of x's size, and time a term; its cotangents add up in one buffer."""
    terms = 100 if bench.quick else 1000
    rows, goals = [], []
    for library in ("adjoint", *PEERS):
        if library != "adjoint" and (library == "jax" or not installed(library)):
            continue
        try:
            forward, peak, cpu = fresh(f"from benchmarks import eager; eager.fan({library!r}, {terms})")
        except Exception as error:
            bench.fail(f"fan-in: {library}", error)
            continue
        text = f"after forward {forward:7.1f} arrays, at peak {peak:7.1f}; {cpu * 1e6:7.1f} us a term"
        rows.append((library, text, peak))
        if library == "adjoint":
            goals.append(("adjoint: arrays at peak", peak, 8))
    bench.facts(f"fan-in: y = sum of x * c over {terms} terms, 10^5 elements", rows, goals)


def fan(library, terms):
    one = adapters(library)[0]
    x0 = np.ones(100000)
    x = one.array(x0)
    marks = []

    def f(x):
        y = x * 0.5
        for i in range(1, terms):
            y = y + x * (i * 0.001)
        marks.append(resident() or 0)
        return y.sum()

    small = one.array(np.ones(2))
    one.value_and_grad(lambda x: (x * 0.5 + x).sum())(small)  # whatever is loaded at first use
    gc.collect()
    g = one.value_and_grad(f)
    base = resident() or 0
    forget_peak()
    start = time.process_time()
    got = plain(g(x)[1][0])
    cpu = time.process_time() - start
    peak = resident("VmHWM") or 0
    np.testing.assert_allclose(got, 0.5 + 0.001 * np.arange(1, terms).sum())
    print([(marks[0] - base) / x0.nbytes, (peak - base) / x0.nbytes, cpu / terms])


def run_kept(bench):
    """What the forward pass keeps alive: in the chain, sin and tanh need one array each, mul and add none."""
    cycles = 5 if bench.quick else CYCLES
    rows, goals = [], []
    for library in ("adjoint", *PEERS):
        if library != "adjoint" and (library == "jax" or not installed(library)):
            continue
        try:
            arrays = fresh(f"from benchmarks import eager; eager.kept({library!r}, {cycles})")
        except Exception as error:
            bench.fail(f"kept: {library}", error)
            continue
        rows.append((library, f"{arrays:6.1f} arrays after {4 * cycles} operations", arrays))
        if library == "adjoint":
            goals.append(("adjoint: arrays kept", arrays, 2 * cycles + 3))
    bench.facts("kept: arrays alive between forward and backward of the chain", rows, goals)
    rows, wrong = kept_by_op()
    goals = [("adjoint: ops that keep too much", wrong, 0)]
    bench.facts("kept: which values each op of adjoint keeps (y, and the arguments a, b)", rows, goals)


def kept(library, cycles):
    one = adapters(library)[0]
    x0 = np.full(200000, 0.7)
    x = one.array(x0)
    one.value_and_grad(lambda x: (one.xp.tanh(one.xp.sin(x * 0.5)) + 0.1).sum())(one.array(np.ones(2)))
    marks = []

    def f(x):
        gc.collect()
        marks.append(resident() or 0)
        y = chain(one.xp, x, [1.1] * cycles).sum()
        marks.append(resident() or 0)
        return y

    one.value_and_grad(f)(x)
    print((marks[1] - marks[0]) / x0.nbytes)


def kept_by_op():
    """Which arrays live on when only the result of an op is held, by weak references: rows, and how many keep too much."""
    import adjoint as ad

    xp, constant = ad.numpy, np.full((5, 5), 0.3)
    # name: (program, what its backward pass needs of y, a, b)
    ops = {
        "add": (lambda a, b: a + b, ""),
        "subtract": (lambda a, b: a - b, ""),
        "multiply": (lambda a, b: a * b, "ab"),
        "multiply by 2.0": (lambda a, b: a * 2.0, ""),
        "multiply by a constant": (lambda a, b: a * constant, ""),
        "broadcast add": (lambda a, b: a + b[0], ""),
        "broadcast multiply": (lambda a, b: a * b[0], "ab"),
        "negative": (lambda a, b: -a, ""),
        "exp": (lambda a, b: xp.exp(a), "y"),
        "log": (lambda a, b: xp.log(a), "a"),
        "sqrt": (lambda a, b: xp.sqrt(a), "y"),
        "sin": (lambda a, b: xp.sin(a), "a"),
        "tanh": (lambda a, b: xp.tanh(a), "a"),
        "square": (lambda a, b: a**2, "a"),
        "maximum": (lambda a, b: xp.maximum(a, b), "ab"),
        "where": (lambda a, b: xp.where(constant > 0, a, b), ""),
        "sum": (lambda a, b: xp.sum(a, 0), ""),
        "mean": (lambda a, b: xp.mean(a, 0), ""),
        "max": (lambda a, b: xp.max(a, 0), "ya"),
        "reshape": (lambda a, b: xp.reshape(a, (-1,)), ""),
        "transpose": (lambda a, b: a.T, ""),
        "broadcast_to": (lambda a, b: xp.broadcast_to(a, (2, 5, 5)), ""),
        "concatenate": (lambda a, b: xp.concatenate([a, b]), ""),
        "stack": (lambda a, b: xp.stack([a, b]), ""),
        "a[1:]": (lambda a, b: a[1:], ""),
        "a[[0, 1]]": (lambda a, b: a[[0, 1]], ""),
        "matmul": (lambda a, b: a @ b, "ab"),
        "matmul by a constant": (lambda a, b: a @ constant, ""),
    }
    rows, wrong = [], 0
    for name, (f, needs) in ops.items():
        try:
            got = _held(ad, f)
        except Exception as error:
            rows.append((name, f"{type(error).__name__}: {error}"[:80], None))
            continue
        more = "".join(sorted(set(got) - set(needs)))
        wrong += bool(more)
        text = f"keeps {', '.join(got) or 'nothing'}" + (f"   of which {', '.join(more)} for nothing" if more else "")
        rows.append((name, text, len(got)))
    return rows, wrong


def _held(ad, f):
    held = []

    def program(x):
        values = {"a": x + 1.0, "b": x + 2.0}  # made here: nobody else holds them
        values["y"] = f(values["a"], values["b"])
        seen = {key: weakref.ref(_memory(t)) for key, t in values.items()}
        z = values["y"] + 0.0  # keeps nothing of y
        values.clear()
        held.append("".join(key for key in "yab" if seen[key]() is not None))
        return ad.numpy.sum(z)

    ad.grad(program)(np.full((5, 5), 0.5))
    return held[0]


def _memory(x):
    """The array that owns the memory behind a tensor."""
    while type(x) is not np.ndarray:
        x = x.value
    while type(x.base) is np.ndarray:
        x = x.base
    return x


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
        rows["torch"] = (torch, lambda f: lambda x: old.hessian(f, x), lambda f: lambda x: old.jacobian(f, x), torch.tensor)
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


WORKLOADS = {
    "chain": run_chain,
    "programs": run_programs,
    "import": run_import,
    "first": run_first,
    "long": run_long,
    "repeat": run_repeat,
    "fan": run_fan,
    "kept": run_kept,
}
