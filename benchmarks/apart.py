"""A contender in a process of its own, with a time limit: for libraries that accept a program's text and unroll its loop.

The compiler of such a graph can take minutes and gigabytes; here it costs no more than the limit. What comes back is checked and
timed like all else, but not in turns with the others.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .harness import ROOT

LIMIT = 120  # seconds
SHORT = 60  # the same for a library that is measured so in every run
ROUNDS, TURN, MOST = 7, 0.02, 5.0  # rounds; seconds of one; seconds of all


class GaveUp(Exception):
    """The process was ended at its limit."""


def measure(program, size, dtype, row, limit=LIMIT):
    """(results, CPU and wall seconds of the first call, CPU seconds of each round, wall seconds of each round).

    Raises GaveUp, or RuntimeError with what the library said.
    """
    file = program.f.__module__.rpartition(".")[2]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "results.npz")
        text = f"from benchmarks import apart; apart.run({file!r}, {program.name!r}, {size!r}, {dtype!r}, {row!r}, {path!r})"
        child = subprocess.Popen(
            [sys.executable, "-c", text], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            out, err = child.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            raise GaveUp(f"gave up after {limit:g} s") from None
        finally:
            end(child)
        if child.returncode < 0:
            raise RuntimeError(f"the process dies: {signal.Signals(-child.returncode).name}")
        if child.returncode:
            raise RuntimeError((err.strip().splitlines() or [f"exit status {child.returncode}"])[-1])
        answer = json.loads(out.strip().splitlines()[-1])
        if "refused" in answer:
            raise RuntimeError(answer["refused"])
        with np.load(path) as data:
            results = [data[f"arr_{k}"] for k in range(len(data.files))]
    return results, answer["first"], answer["cpu"], answer["wall"]


def end(child):
    """End a process and what it started (a C++ compiler, say)."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(child.pid, signal.SIGKILL)  # its own session, made above: nobody else is in that group
        except ProcessLookupError:
            pass
    elif child.poll() is None:
        child.kill()
    child.communicate()


def run(file, name, size, dtype, row, path):
    """In the process: build, call, time; results to `path`, times as JSON to stdout."""
    from .contenders import OTHERS, REWRITTEN, contenders, warm_up
    from .program import flat, load

    program = next(p for p in load(file) if p.name == name)
    args = program.data(size, dtype)
    build = dict(contenders(program, args))[row]
    warm_up((OTHERS[row.removesuffix(REWRITTEN)],))
    cpu, wall = time.process_time(), time.perf_counter()
    try:
        call = getattr(build, "build", build)()
        results = [np.array(a) for a in flat(call())]
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        print(json.dumps({"refused": f"{type(error).__name__}: {' '.join(lines)[:160]}"}))
        return
    first = time.process_time() - cpu, time.perf_counter() - wall
    np.savez(path, *results)
    start = time.perf_counter()
    call()
    count = max(1, round(TURN / max(time.perf_counter() - start, 1e-7)))
    cpus, walls = [], []
    for _ in range(ROUNDS):
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count):
            call()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        cpus.append(cpu / count)
        walls.append(wall / count)
        if time.perf_counter() - start > MOST:
            break
    print(json.dumps({"first": first, "cpu": cpus, "wall": walls}))
