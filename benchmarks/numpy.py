"""NumPy's functions, one by one: what does the gradient cost over the function, at 10^5 elements, and what do peers pay?

Each row is sum(w * f(x)) for a constant w: the function in NumPy, and its value and gradient by us, by HIPS autograd and by JAX
without jit. A dash: the peer has no such function, no gradient of it, or another one.
"""

import numpy as np

from .harness import agree, paired, plain

N = 100_000
SIDE = 316  # SIDE * SIDE is about N
_rng = np.random.default_rng(0)

X = _rng.uniform(0.2, 0.9, N)
Y = _rng.uniform(0.2, 0.9, N)
Z = _rng.normal(size=N)
M = _rng.uniform(0.2, 0.9, (SIDE, SIDE))
Q = _rng.normal(size=(SIDE, SIDE))
ROW = _rng.uniform(0.2, 0.9, SIDE)
SPD = Q @ Q.T / SIDE + np.eye(SIDE)
NEAR_ONE = 1 + 1e-3 * Z
INDEX = _rng.integers(0, N, N)
MASK = Z > 0
ORDER = np.argsort(_rng.uniform(size=(SIDE, SIDE)), axis=1)
KERNEL = _rng.normal(size=50)
KNOTS = np.linspace(0, 1, 1000)
SMALL = _rng.normal(size=(100, 100)) / 10 + 2 * np.eye(100)
SYMMETRIC = (SMALL + SMALL.T) / 2 + np.diag(np.arange(100.0))


def _where(xp, x, y):
    return xp.where(x > 0.5, x * x, y)


def _halves(xp, x):
    return xp.concatenate([x[: N // 2], 2.0 * x[N // 2 :]])


# name: (f(xp, *arguments), the arguments, all of which are differentiated)
FUNCTIONS = {
    "exp": (lambda xp, x: xp.exp(x), [X]),
    "log": (lambda xp, x: xp.log(x), [X]),
    "sqrt": (lambda xp, x: xp.sqrt(x), [X]),
    "sin": (lambda xp, x: xp.sin(x), [X]),
    "tanh": (lambda xp, x: xp.tanh(x), [X]),
    "arctan": (lambda xp, x: xp.arctan(x), [X]),
    "log1p": (lambda xp, x: xp.log1p(x), [X]),
    "expm1": (lambda xp, x: xp.expm1(x), [X]),
    "abs": (lambda xp, x: xp.abs(x), [Z]),
    "square": (lambda xp, x: xp.square(x), [Z]),
    "reciprocal": (lambda xp, x: xp.reciprocal(x), [X]),
    "sinc": (lambda xp, x: xp.sinc(x), [Z]),
    "x * y": (lambda xp, x, y: x * y, [X, Y]),
    "x / y": (lambda xp, x, y: x / y, [X, Y]),
    "x + row": (lambda xp, x, y: x + y, [M, ROW]),
    "x * column": (lambda xp, x, y: x * y[:, None], [M, ROW]),
    "x ** 3": (lambda xp, x: x**3, [Z]),
    "x ** y": (lambda xp, x, y: x**y, [X, Y]),
    "maximum": (lambda xp, x, y: xp.maximum(x, y), [X, Y]),
    "hypot": (lambda xp, x, y: xp.hypot(x, y), [X, Y]),
    "arctan2": (lambda xp, x, y: xp.arctan2(x, y), [X, Y]),
    "logaddexp": (lambda xp, x, y: xp.logaddexp(x, y), [X, Y]),
    "where": (_where, [X, Y]),
    "clip": (lambda xp, x: xp.clip(x, 0.3, 0.7), [X]),
    "sum": (lambda xp, x: xp.sum(x), [X]),
    "sum, axis 0": (lambda xp, x: xp.sum(x, axis=0), [M]),
    "mean, axis 1": (lambda xp, x: xp.mean(x, axis=1), [M]),
    "var": (lambda xp, x: xp.var(x), [X]),
    "std, axis 0": (lambda xp, x: xp.std(x, axis=0), [M]),
    "prod": (lambda xp, x: xp.prod(x), [NEAR_ONE]),
    "max": (lambda xp, x: xp.max(x), [X]),
    "max, axis 1": (lambda xp, x: xp.max(x, axis=1), [M]),
    "norm": (lambda xp, x: xp.linalg.norm(x), [X]),
    "norm, axis 1": (lambda xp, x: xp.linalg.norm(x, axis=1), [M]),
    "cumsum": (lambda xp, x: xp.cumsum(x), [X]),
    "cumprod": (lambda xp, x: xp.cumprod(x), [NEAR_ONE]),
    "diff": (lambda xp, x: xp.diff(x), [X]),
    "trapezoid": (lambda xp, x: xp.trapezoid(x), [X]),
    "transpose": (lambda xp, x: xp.transpose(x) * 2.0, [M]),
    "concatenate": (_halves, [X]),
    "stack": (lambda xp, x, y: xp.stack([x, y]), [X, Y]),
    "repeat": (lambda xp, x: xp.repeat(x, 3), [X]),
    "tile": (lambda xp, x: xp.tile(x, 3), [X]),
    "pad": (lambda xp, x: xp.pad(x, 5), [X]),
    "roll": (lambda xp, x: xp.roll(x, 7), [X]),
    "flip": (lambda xp, x: xp.flip(x), [X]),
    "x[::2]": (lambda xp, x: x[::2], [X]),
    "x[index]": (lambda xp, x: x[INDEX], [X]),
    "x[mask]": (lambda xp, x: x[MASK], [X]),
    "take, axis 1": (lambda xp, x: xp.take(x, INDEX[:SIDE] % SIDE, axis=1), [M]),
    "take_along_axis": (lambda xp, x: xp.take_along_axis(x, ORDER, axis=1), [M]),
    "sort": (lambda xp, x: xp.sort(x), [X]),
    "median": (lambda xp, x: xp.median(x), [X]),
    "dot": (lambda xp, x, y: xp.dot(x, y), [X, Y]),
    "matmul": (lambda xp, x, y: x @ y, [M, Q]),
    "outer": (lambda xp, x, y: xp.outer(x, y), [ROW, ROW + 1]),
    "einsum ij,ij->i": (lambda xp, x, y: xp.einsum("ij,ij->i", x, y), [M, Q]),
    "einsum ij,jk->ik": (lambda xp, x, y: xp.einsum("ij,jk->ik", x, y), [M, Q]),
    "tensordot": (lambda xp, x, y: xp.tensordot(x, y, axes=([0], [1])), [M, Q]),
    "interp": (lambda xp, x, y: xp.interp(x, KNOTS, y), [X, np.sin(KNOTS)]),
    "convolve": (lambda xp, x, y: xp.convolve(x, y, mode="valid"), [X, KERNEL]),
    "fft": (lambda xp, x: xp.abs(xp.fft.fft(x)), [X]),
    "solve": (lambda xp, x, y: xp.linalg.solve(x, y), [SPD, ROW]),
    "inv": (lambda xp, x: xp.linalg.inv(x), [SPD]),
    "slogdet": (lambda xp, x: xp.linalg.slogdet(x)[1], [SPD]),
    "cholesky": (lambda xp, x: xp.linalg.cholesky(x), [SPD]),
    "eigh": (lambda xp, x: xp.linalg.eigh(x)[1] ** 2, [SYMMETRIC]),
    "svd": (lambda xp, x: xp.linalg.svd(x, full_matrices=False)[1], [SMALL]),
}
PEERS = {"adjoint": "adjoint", "autograd": "autograd", "jax": "JAX eager"}


def functions(bench):
    """The gradient over the function, for 60 functions and more, against HIPS autograd and JAX without jit."""
    adapters = {name: bench.adapters(name)[:1] for name in PEERS}
    rows, worst = [], {name: [] for name in PEERS if name != "adjoint"}
    for name, (f, args) in FUNCTIONS.items():
        shape = np.shape(f(np, *args))
        w = np.random.default_rng(1).uniform(0.5, 1.5, shape)
        ready = {"NumPy": lambda f=f, args=args, w=w: np.sum(w * f(np, *args))}
        want = None
        for library, row in PEERS.items():
            for a in adapters[library]:
                run, xs = a.value_and_grad(_loss(f, a.xp, a.array(w)), len(args)), [a.array(x) for x in args]
                try:
                    got = plain(run(*xs))
                    want = want or got
                    agree(got, want, 1e-6)
                except Exception as error:
                    if library == "adjoint":
                        bench.fail(name, error)
                    continue
                ready[row] = lambda run=run, xs=xs: run(*xs)
        times = {row: cpu for row, (cpu, _) in bench.turns(ready).items()}
        if "adjoint" not in times:
            continue
        ratios = {row: paired(t, times["NumPy"]) for row, t in times.items()}
        against = {lib: paired(times["adjoint"], times[row]) for lib, row in PEERS.items() if row in times}
        for lib in worst:
            if lib in against:
                worst[lib].append((against[lib], name))
        cells = [f"{row} {ratios[row]:6.2f}" if row in ratios else f"{row}      -" for row in PEERS.values()]
        slower = [PEERS[lib] for lib in worst if against.get(lib, 0) > 1]
        mark = f"   slower than {', '.join(slower)}" if slower else ""
        text = f"NumPy {1e6 * np.median(times['NumPy']):8.0f} us; " + ", ".join(cells) + mark
        rows.append((name, text, ratios["adjoint"]))
    ours = sorted(number for _, _, number in rows)
    goals = []
    for lib, found in worst.items():
        if found:
            number, name = max(found)
            goals.append((f"adjoint / {PEERS[lib]}, worst of {len(found)} ({name})", number, 1.0))
    rows.append(("median", f"gradient over function {np.median(ours):.2f}", float(np.median(ours))))
    bench.facts(f"gradient over function, {N} elements, CPU time", rows, goals)


def _loss(f, xp, w):
    return lambda *xs: xp.sum(w * f(xp, *xs))


WORKLOADS = {"functions": functions}
