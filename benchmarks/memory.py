"""Memory: is it flat over many gradients, is fan-in added up in place, what does the forward pass keep?"""

import gc
import time
import weakref

import numpy as np

from .eager import CYCLES, chain, rosenbrock
from .harness import PEERS, adapters, forget_peak, fresh, installed, plain, resident


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
            grown, garbage = fresh(f"from benchmarks import memory; memory.repeat({library!r}, {program!r}, {count})")
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
            forward, peak, cpu = fresh(f"from benchmarks import memory; memory.fan({library!r}, {terms})")
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
            arrays = fresh(f"from benchmarks import memory; memory.kept({library!r}, {cycles})")
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
    """Which arrays live on when only an op's result is held, by weak references: rows, and how many keep too much."""
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


WORKLOADS = {"repeat": run_repeat, "fan": run_fan, "kept": run_kept}
