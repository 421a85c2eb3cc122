"""How things are measured: contenders take turns in one process, each value is checked before it is timed.

The figure is the median process CPU time (all threads): other work on the machine disturbs it least. Wall time stands
beside it. The garbage collector stays on, as it is for users; what was alive before (libraries) is frozen.
"""

import gc
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles

import numpy as np

from . import native

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
SAVED = RESULTS / "saved.json"  # of this machine; what --compare compares with
PEERS = ("torch", "autograd", "jax", "mygrad")  # with an adapter, for eager code
NAMED = (*PEERS, "casadi", "numba", "mindspore")  # all that are to be compared with: whoever is not installed is named
HELPERS = ("llvmlite", "scipy")  # their versions are noted


# ---- libraries under one interface: an adapter has `xp` (its functions), `array` (data in) and `value_and_grad` ----


class Adapter:
    """One way to differentiate. value_and_grad(f, n)(*n arrays) -> (value, n gradients), natively."""

    def __init__(self, name, xp, array, value_and_grad):
        self.name = name
        self.xp = xp
        self.array = array
        self.value_and_grad = value_and_grad


def _float64(x):
    return np.array(x, dtype=np.float64)


def _adjoint():
    import adjoint as ad

    def functional(f, n=1):
        return ad.value_and_grad(f, argnums=tuple(range(n)))

    def imperative(f, n=1):
        leaves = []

        def run(*xs):
            if not leaves:
                leaves.extend(ad.tensor(x) for x in xs)
                for x in leaves:
                    x.attach_grad()
            y = f(*leaves)
            y.backward()
            return y, [x.grad for x in leaves]

        return run

    return [
        Adapter("adjoint", ad.numpy, _float64, functional),
        Adapter("adjoint, np. calls", np, _float64, functional),
        Adapter("adjoint, backward()", ad.numpy, _float64, imperative),
    ]


def _torch():
    import torch

    torch.set_num_threads(1)

    def value_and_grad(f, n=1):
        leaves = []

        def run(*xs):
            if not leaves:
                leaves.extend(x.requires_grad_() for x in xs)
            y = f(*leaves)
            return y, torch.autograd.grad(y, leaves)

        return run

    return [Adapter("torch", torch, lambda x: torch.tensor(x, dtype=torch.float64), value_and_grad)]


def _autograd():
    import autograd
    import autograd.numpy

    def value_and_grad(f, n=1):
        return autograd.value_and_grad(f, argnum=tuple(range(n)))

    return [Adapter("autograd", autograd.numpy, _float64, value_and_grad)]


def _jax():
    import jax

    jax.config.update("jax_enable_x64", True)

    def value_and_grad(f, n=1):
        g = jax.value_and_grad(f, argnums=tuple(range(n)))
        return lambda *xs: jax.block_until_ready(g(*xs))

    return [Adapter("jax", jax.numpy, jax.numpy.asarray, value_and_grad)]


def _mygrad():
    import mygrad

    def value_and_grad(f, n=1):
        leaves = []

        def run(*xs):
            if not leaves:
                leaves.extend(mygrad.tensor(x) for x in xs)
            y = f(*leaves)
            y.backward()
            return y.data, [x.grad for x in leaves]

        return run

    return [Adapter("mygrad", mygrad, _float64, value_and_grad)]


_MAKERS = {"adjoint": _adjoint, "torch": _torch, "autograd": _autograd, "jax": _jax, "mygrad": _mygrad}


def adapters(library):
    """The adapters of one library; none if it is not installed."""
    if library != "adjoint" and not installed(library):
        return []
    return _MAKERS[library]()


def installed(library):
    return version(library) is not None and importlib.util.find_spec(library) is not None


def version(library):
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def plain(x):
    """A library's result as NumPy's, for the checks."""
    if hasattr(x, "detach"):
        x = x.detach()
    return [plain(e) for e in x] if isinstance(x, (tuple, list)) else np.asarray(x)


# ---- references ----


def complex_step(f, xs):
    """Value and gradients of a real analytic function by complex step: exact to rounding, without derivative code."""
    xs = [np.asarray(x, dtype=np.float64) for x in xs]
    grads = []
    for k, x in enumerate(xs):
        rows = []
        for i in range(x.size):
            z = x.astype(np.complex128)
            z.flat[i] += 1e-30j
            rows.append(np.imag(f(*xs[:k], z, *xs[k + 1 :])) * 1e30)
        grads.append(np.stack(rows, axis=-1).reshape(*np.shape(rows[0]), *x.shape))
    return f(*xs), grads


def agree(got, want, rtol=1e-9):
    """Raise unless two nests of arrays agree."""
    if isinstance(want, (tuple, list)):
        if len(got) != len(want):
            raise AssertionError(f"{len(got)} results, not {len(want)}")
        for a, b in zip(got, want, strict=True):
            agree(a, b, rtol)
        return
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        raise AssertionError(f"shape {got.shape}, not {want.shape}")
    np.testing.assert_allclose(got, want, rtol=rtol, atol=rtol * (np.abs(want).max() if want.size else 0))


# ---- measuring ----


class Bench:
    """One run: measures, prints, collects, saves."""

    def __init__(self, quick=False, rows=(), as_written=None):
        self.quick = quick
        self.as_written = (
            as_written  # seconds for a peer that unrolls the program, in a process of its own; None: not tried
        )
        self.rows = tuple(rows)  # words: only contenders that have one of them in their name
        self.rounds = 5 if quick else 21
        self.batch = 0.004 if quick else 0.02  # seconds of one contender's turn
        self.most = 1.0 if quick else 6.0  # seconds for one contender in one table: slow ones get fewer rounds
        self.results = []
        self.failed = []
        self.missing = [p for p in NAMED if not installed(p)]
        self.started = time.perf_counter()
        self.info = {
            "time": time.strftime("%Y-%m-%d %H:%M:%S"),
            "quick": quick,
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "python": platform.python_version(),
            "versions": {p: version(p) for p in ("adjoint", "numpy", *NAMED, *HELPERS)},
            "compiler": native.compiler_version(),
        }
        self._cache: dict = {}
        versions = ", ".join(f"{p} {v or 'missing'}" for p, v in self.info["versions"].items())
        print("{cpu}, {cores} cores, load {load}; Python {python}; ".format(**self.info) + versions)
        print(f"C++: {self.info['compiler'] or 'no compiler'}")

    def wanted(self, row):
        """Is this contender to be measured? A quick look leaves out those that take many seconds each time."""
        if self.rows:
            return any(word in row for word in self.rows)
        return not (self.quick and row.startswith(("torch.compile", "MindSpore")))

    def adapters(self, *libraries):
        """The adapters of these libraries (default: all that are installed)."""
        found = []
        for library in libraries or ("adjoint", *PEERS):
            if library not in self._cache:
                try:
                    self._cache[library] = adapters(library)
                except Exception as error:
                    self.fail(f"import {library}", error)
                    self._cache[library] = []
            found += self._cache[library]
        return found

    def fail(self, what, error):
        line = f"{what}: {type(error).__name__}: {error}".strip().replace("\n", " ")[:300]
        self.failed.append(line)
        print(f"  FAILED {line}")

    def compare(self, title, contenders, want, per=1, rtol=1e-9, goals=(), unit="us"):
        """Check each contender's result, time them in turns, print and keep a table.

        contenders: {name: function without arguments}. want: the expected result, or {name: expected result} where
        they differ. per: operations a call. goals: rows (name, peer, at most this ratio).
        """
        ready = {}
        for name, call in contenders.items():
            try:
                agree(plain(call()), want[name] if isinstance(want, dict) else want, rtol)
            except Exception as error:
                self.fail(f"{title}: {name}", error)
            else:
                ready[name] = call
        times = self.turns(ready)
        first = next(iter(times), None)
        rows, goal_rows = [], []
        for name, (cpu, wall) in times.items():
            row = {"name": name, "cpu": median(cpu) / per, "wall": median(wall) / per, "spread": spread(cpu)}
            rows.append({**row, "ratio": paired(times[first][0], cpu)})
        for name, peer, most in goals:
            if name in times and peer in times:
                goal_rows.append((f"{name} / {peer}", paired(times[name][0], times[peer][0]), most))
        self.table(title, rows, goal_rows, unit)
        return {row["name"]: row["cpu"] for row in rows}

    def turns(self, contenders):
        """{name: (CPU seconds a call, wall seconds a call) of each round}."""
        counts, rounds = {}, {}
        for name, call in contenders.items():
            n, spent = 1, 0.0
            while True:
                start = time.perf_counter()
                for _ in range(n):
                    call()
                spent = time.perf_counter() - start
                if spent > self.batch / 2 or n >= 1 << 20:
                    break
                n = max(2 * n, int(n * self.batch / max(spent, 1e-7) / 2))
            counts[name] = max(1, round(n * self.batch / spent))
            a_round = (counts[name] + 1) * spent / n
            rounds[name] = min(self.rounds, max(3 if a_round < 2 * self.most else 2, int(self.most / a_round)))
        out = {name: ([], []) for name in contenders}
        order = list(contenders)
        gc.collect()
        gc.freeze()
        for k in range(max(rounds.values(), default=0)):
            order.append(order.pop(0))  # nobody always follows the same neighbour at the same time
            for name in order:
                if k >= rounds[name]:
                    continue
                call, n = contenders[name], counts[name]
                call()
                cpu, wall = time.process_time(), time.perf_counter()
                for _ in range(n):
                    call()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                out[name][0].append(cpu / n)
                out[name][1].append(wall / n)
        gc.unfreeze()
        return out

    def table(self, title, rows, goals=(), unit="us"):
        """Print rows {name, cpu, wall, spread} (seconds) with the ratio of the first row to each; keep them.

        goals: rows (what, number, at most).
        """
        if not rows:
            return
        scale = {"us": 1e6, "ms": 1e3, "s": 1}[unit]
        first = rows[0]["cpu"]
        print(f"\n{title}\n  {'':<28}{'CPU ' + unit:>10}{'spread':>8}{'wall ' + unit:>10}   {rows[0]['name']} / this")
        for row in rows:
            row.setdefault("ratio", first / row["cpu"])
            figures = f"{row['cpu'] * scale:10.3f}{row['spread']:8.0%}{row['wall'] * scale:10.3f}{row['ratio']:12.3f}"
            print(f"  {row['name']:<28}{figures}")
        entry = {"title": title, "unit": "s", "rows": rows, "goals": []}
        for what, number, most in goals:
            self.goal(entry, what, number, most)
        self.results.append(entry)

    def facts(self, title, rows, goals=()):
        """Print and keep rows (name, text, number); goals: rows (what, number, at most)."""
        print(f"\n{title}")
        for name, text, _ in rows:
            print(f"  {name:<28}{text}")
        entry = {"title": title, "rows": [{"name": n, "text": t, "value": v} for n, t, v in rows], "goals": []}
        for what, number, most in goals:
            self.goal(entry, what, number, most)
        self.results.append(entry)

    def goal(self, entry, what, number, most):
        met = bool(number <= most)
        entry["goals"].append({"what": what, "value": number, "at most": most, "met": met})
        print(f"  goal: {what} = {number:.3f}, at most {most:g}: {'met' if met else 'MISSED'}")

    def finish(self, name, save=False, compare=False, whole=True):
        """Write the results, compare, save; the exit status. whole: nothing was left out, so that saving starts anew."""
        goals = [g for entry in self.results for g in entry["goals"]]
        missed = [g for g in goals if not g["met"]]
        self.info["seconds"] = round(time.perf_counter() - self.started, 1)
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}.json"
        data = {**self.info, "missing": self.missing, "failed": self.failed, "results": self.results}
        path.write_text(json.dumps(data, indent=1, default=float) + "\n", encoding="utf-8")
        slower = self.compare_with(SAVED) if compare else 0
        if save:
            kept = data if whole or not SAVED.exists() else merged(json.loads(SAVED.read_text(encoding="utf-8")), data)
            SAVED.write_text(json.dumps(kept, indent=1, default=float) + "\n", encoding="utf-8")
        print(f"\n{len(goals) - len(missed)} of {len(goals)} goals met"
              + (f"; missed: {', '.join(g['what'] for g in missed)}" if missed else "")
              + (f"; peers missing: {', '.join(self.missing)}" if self.missing else "")
              + (f"; {len(self.failed)} failed" if self.failed else "")
              + f". {self.info['seconds']} s; saved {path.relative_to(ROOT)}")  # fmt: skip
        return 1 if self.failed or slower else 0

    def compare_with(self, path):
        """Print which of our rows became slower than the saved table's, by more than the spread; how many they are.

        The machine's own drift is taken out where other libraries or C++ stand in the same tables. To have nothing to compare
        with counts as one: a guard that sees nothing is not to be green.
        """
        if not path.exists():
            print(f"\nnothing to compare with: --save makes {path.name}")
            return 1
        saved = json.loads(path.read_text(encoding="utf-8"))
        if saved["cpu"] != self.info["cpu"]:
            print(f"\nthe saved table is of another machine: {saved['cpu']}")
        before = {
            entry["title"]: {row["name"]: row for row in entry["rows"] if "cpu" in row} for entry in saved["results"]
        }
        slower = quicker = same = 0
        print(f"\ncompared with the table of {saved['time']}:")
        for entry in self.results:
            pairs = [(row, before.get(entry["title"], {}).get(row["name"])) for row in entry["rows"] if "cpu" in row]
            pairs = [(new, old) for new, old in pairs if old]
            others = [new["cpu"] / old["cpu"] for new, old in pairs if not new["name"].startswith("adjoint")]
            drift = median(others) if others else 1.0
            for new, old in pairs:
                if not new["name"].startswith("adjoint"):
                    continue
                change, noise = new["cpu"] / old["cpu"] / drift, max(new["spread"], old["spread"], 0.05)
                slower += change > 1 + noise
                quicker += change < 1 / (1 + noise)
                same += 1 / (1 + noise) <= change <= 1 + noise
                if change > 1 + noise:
                    print(f"  SLOWER {entry['title']}: {new['name']} {change:.2f} times (spread {noise:.0%})")
        print(f"  {slower} slower, {quicker} quicker, {same} equal")
        if not slower + quicker + same:
            print("  none of these tables is among the saved ones")
            return 1
        return slower


def alike(old, new):
    """Whether two runs had the same machine and versions."""
    return all(old.get(key) == new.get(key) for key in ("cpu", "python", "versions", "compiler"))


def merged(old, new):
    """Results of two runs: the tables of `new`, and those of `old` that it lacks if they are of the same machine and versions.

    The order is that of the old ones, then what is new. Each table says when it was measured.
    """
    for data in (old, new):
        for entry in data["results"]:
            entry.setdefault("time", data["time"])
    if not alike(old, new):
        return new
    titles = {entry["title"]: entry for entry in new["results"]}
    results = [titles.pop(entry["title"], entry) for entry in old["results"]]
    return {**new, "quick": old["quick"] or new["quick"], "results": results + list(titles.values())}


def paired(a, b):
    """The median of the rounds' ratios: what slows the machine for a while slows both."""
    return median(x / y for x, y in zip(a, b, strict=False))  # slow contenders have fewer rounds: the first ones


def quarters(numbers):
    """Lower quartile, median, upper quartile."""
    return quantiles(numbers, n=4) if len(numbers) > 1 else [numbers[0]] * 3


def spread(times):
    """The middle half's width over the median."""
    low, middle, high = quarters(times)
    return (high - low) / middle


def cpu_model():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


# ---- fresh processes, and their memory ----


def fresh(program, timeout=600, **env):
    """Run a program in a fresh Python; what it prints last is JSON, which is returned."""
    everything = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072", **env}
    everything.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody's import is timed without its bytecode
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=everything, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def resident(key="VmRSS"):
    """Resident memory of this process in bytes, now or (VmHWM) at its peak; None where the system does not say."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def forget_peak():
    """Let VmHWM start anew from here."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
