"""Scaling: how does the time grow with the size n, the trip count T, the number of operations? And memory with T?

Each line of a table is one contender over three decades; the exponent is the slope of a straight line through the logarithms,
by least squares: 1 is linear, 0 is flat. A contender whose next size would take too long stops there.
"""

import sys
import time
from dataclasses import replace
from statistics import median

import numpy as np

from .contenders import CPP, EAGER, FAST, JIT, REWRITTEN, Refused, contenders, warm_up
from .harness import agree, forget_peak, fresh, installed, resident
from .program import close, flat, load, rebind

LONGEST = 1.0  # seconds: a call that takes longer is the last of its row
PATIENCE = 30.0  # seconds: a chain that would take longer to compile is not tried
LARGEST = 10_000  # operations of a graph: up to here compiling is to be linear
PEERS = ("JAX jit", "torch eager", "autograd", "CasADi")
WANTED = (JIT, FAST, CPP, EAGER, *PEERS, *(peer + REWRITTEN for peer in PEERS))


def exponent(sizes, times):
    """The slope of log(time) over log(size)."""
    if len(times) < 2:
        return None
    return float(np.polyfit(np.log(sizes[: len(times)]), np.log(times), 1)[0])


def last_decade(sizes, times):
    """The same over the last factor of ten: what a constant part at small sizes does not hide."""
    last = [(x, t) for x, t in zip(sizes, times, strict=False) if x >= sizes[len(times) - 1] / 11]
    return exponent(*zip(*last, strict=True))


# ---- array programs against n, loops against T ----


def run_arrays(bench):
    """Value and gradient against the number of elements or rows, 10^3 to 10^6."""
    sizes = [1000, 10000, 100000, 1000000] if bench.quick else [1000, 3162, 10000, 31623, 100000, 316228, 1000000]
    for file, columns in {"chain": (), "logsumexp": (), "logistic": (20,)}.items():
        program = load(file)[0]
        full = {n: (n, *columns) if columns else n for n in sizes}
        _grow(bench, program.name, "n", sizes, {n: (program, full[n]) for n in sizes}.get)


def run_loops(bench):
    """Value and gradient of a loop against its trip count, 10^2 to 10^5: the time of a call, and of compiling, which is to be flat."""
    sizes = [100, 1000, 10000, 100000] if bench.quick else [100, 316, 1000, 3162, 10000, 31623, 100000]
    _grow(bench, "Runge-Kutta", "T", sizes, _runge_kutta, flat_compile=True)
    rnn = load("rnn")[0]
    _grow(bench, "RNN, 32 hidden", "T", sizes, lambda steps: (rnn, (steps, 32, 16)), flat_compile=True)


def _runge_kutta(steps):
    """The program of runge_kutta.py for another number of steps: the same text, another STEPS."""
    program = load("runge_kutta")[0]
    file = sys.modules["benchmarks.programs.runge_kutta"]
    f, for_jax, in_casadi = (rebind(g, STEPS=steps) for g in (file.f, file.for_jax, file.in_casadi))
    # CasADi unrolls: 30 s for 10,000 steps
    return replace(program, f=f, rewrites={"jax": for_jax}, casadi=in_casadi if steps <= 1000 else None), steps


def _grow(bench, name, letter, sizes, at, flat_compile=False):
    """One table: rows (contender), columns (size); `at(size)` gives the program and its size."""
    warm_up()
    times, compile_times, done = {}, {}, set()
    for size in sizes:
        program, full = at(size)
        args = program.data(full)
        want, ready = None, {}
        for row, build in contenders(program, args):
            if row not in WANTED or row in done or not bench.wanted(row):
                continue
            if row != JIT and size > sizes[0] and row not in times:
                continue  # it could not run the smallest
            spent = time.process_time()
            try:
                call = build()
                got = [np.array(a) for a in flat(call())]
                spent = time.process_time() - spent
                want = want or got
                for a, b in zip(got, want, strict=True):
                    close(a, b, max(program.rtol, 1e-7))
            except Refused:
                continue
            except Exception as error:
                if row in (JIT, EAGER, FAST, CPP):
                    bench.fail(f"{name} {size}: {row}", error)
                done.add(row)
                continue
            ready[row] = call
            compile_times.setdefault(row, []).append(spent)
            if note := getattr(call, "note", str)():
                bench.fail(f"{name} {size}: {row}", RuntimeError(note))
        quick = {row: getattr(call, "quick", call) for row, call in ready.items()}  # `ready` keeps their arrays
        for row, (cpu, _) in bench.turns(quick).items():
            times.setdefault(row, []).append(median(cpu))
            compile_times[row][-1] -= min(times[row][-1], compile_times[row][-1])
            if times[row][-1] * sizes[1] / sizes[0] > (5 if row in (JIT, FAST, CPP) else 1) * LONGEST:
                done.add(row)
    goals = []
    if flat_compile and JIT in times:
        flat_times = compile_times[JIT]
        goals.append((f"time to compile, exponent in {letter}", abs(exponent(sizes, flat_times)), 0.1))
        goals.append((f"seconds to compile at {letter} = {sizes[-1]:g}", flat_times[-1], 0.15))
    curves(bench, f"scaling: {name}", letter, sizes, times, goals)
    if flat_compile:
        compiled = {row: compile_times[row] for row in times if row == JIT or row.startswith("JAX")}
        curves(bench, f"scaling: {name}, time to compile", letter, sizes, compiled)


def curves(bench, title, letter, sizes, times, goals=()):
    """Print and keep lines: the time at each size, and the exponent; `sizes` may differ by row, as a dict."""
    rows, series = [], {}
    for row, values in times.items():
        xs = (sizes[row] if isinstance(sizes, dict) else sizes)[: len(values)]
        slope = exponent(xs, values)
        text = "  ".join(f"{x:g}: {_time(t)}" for x, t in zip(xs, values, strict=True))
        if slope is not None:
            text += f"   ~ {letter}^{slope:.2f}, last decade {letter}^{last_decade(xs, values):.2f}"
        rows.append((row, text, slope))
        series[row] = {"x": list(xs), "y": list(values)}
    bench.facts(title, rows, goals)
    bench.results[-1].update(letter=letter, series=series)


def _time(seconds):
    for scale, unit in ((1, "s"), (1e-3, "ms"), (1e-6, "us")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


# ---- compiling against the number of operations ----


def arithmetic(xp):
    return (lambda y: y * 1.01, lambda y: y + 0.1, lambda y: y * y, lambda y: y / 1.5, lambda y: 1.0 - y)


def functions(xp):
    return (lambda y: xp.sin(y), lambda y: y * 1.1, lambda y: y + 0.1, lambda y: xp.tanh(y))


def chain(xp, kind, k):
    """k operations one after the other, known when it is captured: no loop is left in what is compiled."""
    ops = kind(xp)
    steps = tuple(ops[i % len(ops)] for i in range(k))

    def f(x):
        y = x
        for op in steps:
            y = op(y)
        return xp.sum(y)

    return f


def run_depth(bench):
    """Time to compile value and gradient of a chain against the number of operations: linear, 1,000 in 300 ms."""
    counts = [10, 100, 1000] if bench.quick else [10, 32, 100, 316, 1000, 3162, 10000]
    warm_up(("jax", "adjoint"))
    for kind in (arithmetic, functions):
        name = kind.__name__
        sizes, times = {}, {}
        for row in (JIT, "JAX jit"):
            if not bench.wanted(row) or (row != JIT and not installed("jax")):
                continue
            for k in counts:
                try:
                    lines, seconds = _compile(row, kind, k)
                except Exception as error:
                    bench.fail(f"chain of {k}, {name}: {row}", error)
                    break
                if lines > LARGEST:
                    break
                sizes.setdefault(row, []).append(lines)
                times.setdefault(row, []).append(seconds)
                if seconds * counts[1] / counts[0] > PATIENCE:
                    break
        goals = []
        if JIT in times:
            ours = np.log(sizes[JIT]), np.log(times[JIT])
            at = float(np.exp(np.interp(np.log(1000), *ours)))
            goals = [
                (f"{name}: exponent in operations, last decade", last_decade(sizes[JIT], times[JIT]), 1.1),
                (f"{name}: seconds for 1,000 operations", at, 0.3),
            ]
        curves(bench, f"scaling: time to compile, chain of {name}", "operations", sizes, times, goals)


def _compile(row, kind, k):
    """(operations of the gradient's graph as captured, CPU seconds of the first call), checked along one direction."""
    import adjoint as ad

    x, v = np.linspace(0.1, 0.4, 100), np.cos(np.arange(100.0))
    start = time.process_time()
    if row == JIT:
        call = ad.jit(ad.value_and_grad(chain(np, kind, k)))
    else:
        import jax

        compiled = jax.jit(jax.value_and_grad(chain(jax.numpy, kind, k)))
        call = lambda x: jax.block_until_ready(compiled(x))
    value, grad = flat(call(x))
    seconds = time.process_time() - start
    z = chain(np, kind, k)(x + 1e-30j * v)
    agree([value, grad @ v], [np.real(z), np.imag(z) * 1e30], 1e-8)
    return len(ad.graph(ad.value_and_grad(chain(np, kind, k)))(x).lines), seconds


# ---- memory against T ----

STEPS, SIDE = 1000, 128
MIB = 2.0**20


def run_memory(bench):
    """The heat stencil, 1,000 steps of 128 x 128: memory of value and gradient, all states kept or the logarithmic schedule."""
    steps = 200 if bench.quick else STEPS
    states = steps * SIDE * SIDE * 8
    rows, found = [], {}
    cases = {f"{JIT}": "loop", f"{JIT}, checkpoint log": "log", f"{JIT}, scan": "scan", "JAX jit" + REWRITTEN: "jax"}
    for row, case in cases.items():
        if not bench.wanted(row) or (case == "jax" and not installed("jax")):
            continue
        try:
            peak, cpu = fresh(f"from benchmarks import scaling; scaling.heat({case!r}, {steps})")
        except Exception as error:
            bench.fail(f"memory: {row}", error)
            continue
        found[case] = peak, cpu
        rows.append((row, f"{peak / MIB:8.1f} MiB over before the first call, {_time(cpu)} a call", peak))
    goals = []
    for case in ("loop", "scan"):
        if case in found:
            goals.append((f"{case}: memory over that of all states", found[case][0] / states, 1.1))
            if "jax" in found:
                goals.append((f"{case}: memory over JAX's scan", found[case][0] / found["jax"][0], 1.0))
    if "log" in found:
        goals.append(("logarithmic: MiB", found["log"][0] / MIB, 5.0))
        if "loop" in found:
            goals.append(("logarithmic: time over that with all states", found["log"][1] / found["loop"][1], 2.5))
    rows.insert(0, ("all states", f"{states / MIB:8.1f} MiB", states))
    bench.facts(f"scaling: memory of the heat stencil, {steps} steps", rows, goals)


def heat(case, steps):
    """In a fresh process: peak memory of calls over what there was after compiling, and CPU seconds of one."""
    import adjoint as ad

    load("heat_loop")
    loop, scan = (sys.modules[f"benchmarks.programs.{name}"] for name in ("heat_loop", "heat_scan"))
    u, c = scan.make(SIDE)
    if case == "jax":
        import jax

        jax.config.update("jax_enable_x64", True)
        u = jax.numpy.asarray(u)
        compiled = jax.jit(jax.value_and_grad(scan.for_jax(steps), argnums=(0, 1))).lower(u, c).compile()
        call = lambda: jax.block_until_ready(compiled(u, c))
    else:
        diffuse = scan.diffuse if case == "scan" else loop.diffuse
        g = ad.jit(
            ad.value_and_grad(lambda u, c: diffuse(u, c, steps), argnums=(0, 1)),
            checkpoint="log" if case == "log" else None,
        ).compile(u, c)
        call = lambda: g(u, c)
    before = resident() or 0
    forget_peak()
    results = call()
    times = []
    for _ in range(5):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    peak = (resident("VmHWM") or 0) - before
    _check_heat(results, scan, u, c, steps)
    print([peak, median(times)])


def _check_heat(results, scan, u, c, steps):
    """The value, and the derivative along one direction by complex step."""
    value, gu, gc = flat(results)
    v = np.random.default_rng(5).normal(size=np.shape(u))
    z, w = np.asarray(u) + 1e-30j * v, c + 1e-30j
    for _ in range(steps):
        z = z + w * scan.laplacian(z)
    z = 0.5 * np.sum(z * z)
    agree([value, np.sum(gu * v) + gc], [z.real, z.imag * 1e30], 1e-8)


WORKLOADS = {"arrays": run_arrays, "loops": run_loops, "depth": run_depth, "stencil": run_memory}
