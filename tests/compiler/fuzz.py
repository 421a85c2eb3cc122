"""Random programs, compiled, against NumPy: `python -m tests.compiler.fuzz --graphs 1000`.

Several programs make one kernel, which saves compile time. A kernel runs on memory between forbidden pages (guarded.py), half of
them also with poisoned and guarded workspaces (adjoint/compiler/native/guard.py). Kernels run in a process of their own, so that
a crash is reported with its number; `--repeat NUMBER` runs one kernel here, then each of its programs alone.
"""

import argparse
import os
import subprocess
import sys
import time
import warnings

os.environ["ADJOINT_CACHE"] = "0"

import numpy as np

from adjoint.compiler.native import build
from adjoint.compiler.program import Program as Compiled
from adjoint.traces.capture import capture
from adjoint.traces.derive import floats, jvp_graph, whole_vjp
from tests.compiler import guarded
from tests.compiler.random_programs import draw

TOGETHER = 8  # programs a kernel
BATCH = 40  # kernels a process
QUICK = (0, 1)  # at (0, 0), which no graph of a user is compiled with, LLVM 22 ends the process on some kernels (SelectionDAG, 5037)


def programs_of(number):
    rng = np.random.default_rng([20, number])
    smooth = bool(rng.random() < 0.25)
    return [draw(rng, smooth) for _ in range(TOGETHER)], rng


def check(programs, rng, checks):
    """Compile these programs into one kernel and compare; a text about the first difference, or ""."""
    inputs = [x for p in programs for x in p.inputs]

    def together(*xs):
        xs = list(xs)
        out = []
        for p in programs:
            out += p(*xs[: len(p.inputs)])
            del xs[: len(p.inputs)]
        return out

    graph = capture(together, *inputs).verify()
    smooth = programs[0].smooth
    try:
        want = graph.run(*inputs)
    except ZeroDivisionError:  # of Python's numbers
        return "", 0.0
    if not any(v.type.weak for v in graph.inputs):  # NumPy makes NumPy's numbers of Python's, which a graph keeps
        for i, (a, b) in enumerate(zip(want, [y for p in programs for y in p.want], strict=True)):
            wrong = guarded.far(a, b, 1e-12) if smooth else guarded.differs(a, b)
            if wrong:
                return f"output {i}, before it is compiled: {wrong}", 0.0
    args = inputs
    if smooth:
        kind = rng.integers(0, 3)
        wants = tuple(floats(v.type) and not v.type.weak for v in graph.inputs)
        if kind and any(wants):
            gs = [
                np.asarray(rng.normal(size=v.type.shape)).astype(v.type.dtype)[()]
                for v in graph.outputs
                if floats(v.type)
            ]
            ts = [
                np.asarray(rng.normal(size=v.type.shape)).astype(v.type.dtype)[()]
                for v, w in zip(graph.inputs, wants)
                if w
            ]
            if kind == 1:
                graph, args = whole_vjp(graph, wants), [*gs, *inputs]
            else:
                graph, args = jvp_graph(graph, wants)[0], [*inputs, *ts]
        with np.errstate(all="ignore"):
            want = graph.run(*args)
        if not all(np.all(np.isfinite(y)) for y in want if np.asarray(y).dtype.kind == "f"):
            return "", 0.0
    compiled = Compiled(graph, checks).compile()
    if not compiled.native:
        return "not native: " + "; ".join(compiled.notes), 0.0
    runs = [("", guarded.call(compiled, args, rng))]
    if rng.random() < 0.2:
        runs.append((" through the builtin", compiled(*args)))
    for how, got in runs:
        for i, (a, b) in enumerate(zip(got, want, strict=True)):
            single = any(np.asarray(x).dtype == np.float32 for x in inputs)
            wrong = guarded.far(a, b, 2e-3 if single else 1e-8) if smooth else guarded.differs(a, b)
            if wrong:
                return f"output {i}{how}: {wrong}", compiled.seconds["LLVM"]
    return "", compiled.seconds["LLVM"]


def quickly(effort):
    """Let LLVM spend this much; most kernels are compiled with little, which takes a third of the time."""
    load = build.compile_object
    build.compile_object = lambda text, _=None: load(text, effort)
    return load


def kernel(number):
    programs, rng = programs_of(number)
    usual = quickly(build.USUAL if number % 4 == 0 else QUICK)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return check(programs, rng, checks=bool(rng.random() < 0.5))
        except Exception as error:
            return f"{type(error).__name__}: {error}", 0.0
        finally:
            build.compile_object = usual


def repeat(number):
    """One kernel, then its programs alone, each in a process of its own."""
    print(f"kernel {number}: {kernel(number)[0] or 'fine'}", flush=True)
    programs, _ = programs_of(number)
    for k, p in enumerate(programs):
        child = os.fork()
        if not child:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                try:
                    text = ""
                    for checks in (False, True):
                        for seed in range(4):
                            text = text or check([p], np.random.default_rng(seed), checks)[0]
                except Exception as error:
                    text = f"{type(error).__name__}: {error}"
                if text:
                    print(f"program {k}: {text}\n{p}", flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            print(f"program {k} ends the process: status {status}\n{p}", flush=True)


def work(first, count):
    for number in range(first, first + count):
        print(f"begin {number}", flush=True)
        text, _ = kernel(number)
        if text:
            print(f"WRONG {number} {text[:600]!r}", flush=True)
    print("end", flush=True)


def fuzz(graphs, first, seconds=None):
    """Returns (graphs run, failures, kernels that ended their process)."""
    start, number, failures, crashes = time.monotonic(), first, [], []
    last = first + -(-graphs // TOGETHER)
    while number < last and (seconds is None or time.monotonic() - start < seconds):
        count = min(BATCH, last - number)
        command = [sys.executable, "-m", "tests.compiler.fuzz", "--work", str(number), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        for line in lines:
            if line.startswith("WRONG"):
                failures.append(line)
                print(line, flush=True)
        if not lines or lines[-1] != "end":
            at = int(next((x for x in reversed(lines) if x.startswith("begin")), f"begin {number}").split()[1])
            crashes.append(at)
            print(f"CRASH {at}: the process ended with {done.returncode}\n{done.stderr[-2000:]}", flush=True)
            number = at + 1
        else:
            number += count
    return (number - first) * TOGETHER, failures, crashes


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.compiler.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first kernel")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--repeat", type=int, metavar="NUMBER", help="one kernel, by its number")
    parser.add_argument("--work", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.repeat is not None:
        return repeat(given.repeat)
    if given.work:
        return work(*given.work)
    graphs, failures, crashes = fuzz(given.graphs, given.first, given.seconds)
    print(f"fuzz of compiled graphs: {graphs} run, {len(failures)} kernels wrong, {len(crashes)} crashed")
    return 1 if failures or crashes else 0


if __name__ == "__main__":
    sys.exit(main())
