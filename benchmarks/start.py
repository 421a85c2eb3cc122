"""Starting: what does `import adjoint` cost over NumPy, and when is the first gradient there?"""

import time

import numpy as np

from .harness import PEERS, adapters, fresh, installed, plain, spread


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
                          f"from benchmarks import start; start.first({name!r})")  # fmt: skip
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


WORKLOADS = {"import": run_import, "first": run_first}
