"""Measures programs: every derivative is checked, then timed in turns; then all ratios in one table, losses first."""

import sys
import time
from statistics import geometric_mean, median

import numpy as np

from . import alone, apart, native
from .contenders import (
    CPP,
    EAGER,
    FAST,
    INTERPRETERS,
    JIT,
    PEERS,
    REWRITTEN,
    VALUE,
    Apart,
    Late,
    Refused,
    contenders,
    warm_up,
)
from .harness import paired, quarters, spread
from .program import close, flat, load, reference


def measure(bench, program, size, dtype="float64"):
    """One workload at one size: check, time, print, keep. Returns what the summary needs, or None if nobody runs it."""
    title, args = program.title(size, dtype), program.data(size, dtype)
    rtol = program.rtol if dtype == "float64" else 2e-4
    want, source = _reference(bench, program, args)
    if want is None:
        return None
    ready, first, refused, by_itself = {}, {}, {}, {}
    for row, build in contenders(program, args):
        if not bench.wanted(row):
            continue
        if isinstance(build, Apart) or (bench.as_written and isinstance(build, Late)):
            try:
                got, *by_itself[row] = apart.measure(program, size, dtype, row, bench.as_written or apart.SHORT)
                _check(got, want, rtol)
            except (apart.GaveUp, RuntimeError, AssertionError) as why:
                by_itself.pop(row, None)
                wrong = isinstance(why, AssertionError)
                refused[row] = ("WRONG: " if wrong else "") + _first_line(why)
                if wrong:
                    bench.fail(f"{title}: {row}", why)
            continue
        start, wall = time.process_time(), time.perf_counter()
        try:
            call = build()
            got = [np.array(a) for a in flat(call())]
            spent = time.process_time() - start, time.perf_counter() - wall
            if row == VALUE:
                close(got[0], want[0], rtol, "value")
            else:
                _check(got, want, rtol)
        except Refused as why:
            refused[row] = str(why)
        except AssertionError as error:
            refused[row] = "WRONG: " + _first_line(error)
            bench.fail(f"{title}: {row}", error)
        except Exception as error:
            refused[row] = f"{type(error).__name__}: {_first_line(error)}"
            if row in (JIT, EAGER, VALUE, CPP, FAST):
                bench.fail(f"{title}: {row}", error)
        else:
            ready[row], first[row] = call, spent
    if not ready:
        return None
    quick_calls = {row: getattr(call, "quick", call) for row, call in ready.items()}
    times = bench.turns(quick_calls)
    base = next(row for row in (JIT, EAGER, *times) if row in times)
    rows, out = [], {"title": title, "program": program, "base": base, "times": {}, "first": first, "equal": set()}
    for row, (cpu, wall) in times.items():
        low, ratio, high = quarters([x / y for x, y in zip(times[base][0], cpu, strict=False)])
        out["times"][row] = cpu
        if low <= 1 <= high and row != base:
            out["equal"].add(row)
        rows.append({
            "name": row, "cpu": median(cpu), "wall": median(wall), "spread": spread(cpu), "ratio": ratio,
            "ratio spread": (high - low) / ratio, "first call": first[row][0], "first call wall": first[row][1],
        })  # fmt: skip
        if hasattr(ready[row], "note") and (note := ready[row].note()):
            rows[-1]["note"] = note
            bench.fail(f"{title}: {row}", RuntimeError(note))
    for row, (spent, cpu, wall) in by_itself.items():
        out["times"][row], out["first"][row] = cpu, tuple(spent)
        rows.append({
            "name": row, "cpu": median(cpu), "wall": median(wall), "spread": spread(cpu), "apart": True,
            "ratio": median(times[base][0]) / median(cpu), "first call": spent[0], "first call wall": spent[1],
        })  # fmt: skip
    _kernels(bench, ready, times, rows, out)
    _print(title, rows, refused, base, source, out["equal"])
    refused = {row: _refusal(row, why) for row, why in refused.items()}
    bench.results.append({"title": title, "unit": "s", "rows": rows, "refused": refused, "goals": []})
    return out


def _check(got, want, rtol):
    if len(got) != len(want):
        raise AssertionError(f"{len(got)} results, not {len(want)}")
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        close(a, b, rtol, f"result {k}")


def _kernels(bench, ready, times, rows, out):
    """Where C++ takes microseconds: kernels with kernels too, without the calls from Python around them."""
    inside = alone.compare(ready, times, JIT, (CPP, FAST), 5 if bench.quick else 15)
    for row in rows:
        if row["name"] in inside:
            row["inside"] = median(inside[row["name"]])
            if JIT in inside and row["name"] != JIT:
                row["inside ratio"] = out.setdefault("alone", {})[row["name"]] = paired(
                    inside[JIT], inside[row["name"]]
                )


def _reference(bench, program, args):
    """From float64 data, by whoever passes the test without derivative code; (None, why) if nobody does."""
    order = [CPP, "JAX jit", "autograd", EAGER, "JAX jit" + REWRITTEN, "torch eager" + REWRITTEN]
    builders = dict(contenders(program, args.double()))
    try:
        return reference(program, args.double(), [(row, _Lazy(builders[row])) for row in order if row in builders])
    except Exception as error:
        bench.fail(f"{program.title(args.size)}: reference", error)
        return None, str(error)


class _Lazy:
    """Built when first called."""

    def __init__(self, build):
        self.build = build

    def __call__(self):
        return self.build()()


def _first_line(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines)[:160]


def _print(title, rows, refused, base, source, equal):
    scale, unit = (1e6, "us") if min(r["cpu"] for r in rows) < 1e-2 else (1e3, "ms")
    print(f"\n{title}   (reference: {source})")
    print(f"  {'':<28}{'CPU ' + unit:>12}{'spread':>8}{'wall ' + unit:>12}{'first call ms':>15}   {base} / this")
    for row in rows:
        figures = f"{row['cpu'] * scale:12.3f}{row['spread']:8.0%}{row['wall'] * scale:12.3f}"
        figures += f"{row['first call'] * 1e3:15.1f}{row['ratio']:12.3f}"
        figures += "  equal" if row["name"] in equal else ""
        figures += f"   {row['note'][:90]}" if "note" in row else ""
        figures += f"   kernel alone {row['inside'] * 1e6:.3f} us" if "inside" in row else ""
        figures += f": {row['inside ratio']:.3f}" if "inside ratio" in row else ""
        figures += "   in a process of its own" if "apart" in row else ""
        print(f"  {row['name']:<28}{figures}")
    for row, why in refused.items():
        if row != VALUE or JIT not in refused:
            print(f"  {row:<28}{_refusal(row, why)}")


def _refusal(row, why):
    """What is shown in the place of a time."""
    text = why if why.startswith(("WRONG", "gave up")) else f"refused: {why}"
    return f"as written: {text}" if row in PEERS else text


# ---- all ratios in one table ----


def summary(bench, title, measured, goals):
    """Ratios of compiled code (else eager) to C++ and to the best peer, losses first, and the goals over all."""
    measured = [m for m in measured if m]
    if not measured:
        return
    lines = []
    for m in measured:
        times, base = m["times"], m["base"]
        line = {"title": m["title"], "base": base, "blas": m["program"].blas, "equals": sorted(m["equal"])}
        for row in (CPP, FAST):
            if row in times:
                line[row] = paired(times[base], times[row])
            if row in m.get("alone", {}):
                line[f"{row}, kernels"] = m["alone"][row]
        peers = [row for row in times if row.removesuffix(REWRITTEN) in PEERS]
        if peers:
            best = min(peers, key=lambda row: median(times[row]))
            line["best peer"], line["peer"] = best, paired(times[base], times[best])
            line["equal"] = best in m["equal"]
            asking = [row for row in peers if REWRITTEN not in row]
            if asking:
                written = min(asking, key=lambda row: median(times[row]))
                line["as written"], line["written"] = written, paired(times[base], times[written])
        slow = [row for row in peers if row.removesuffix(REWRITTEN) in INTERPRETERS]
        if slow:
            line["interpreted"] = paired(times[base], min((times[row] for row in slow), key=median))
        if VALUE in times and base == JIT:
            line["over value"] = paired(times[JIT], times[VALUE])
        first = {row: t[0] for row, t in m["first"].items()}
        jax = [t for row, t in first.items() if row.startswith("JAX")]
        if JIT in first:
            line["compile"] = first[JIT]
            if jax:
                line["compile/JAX"] = first[JIT] / min(jax)
        lines.append(line)
    lines.sort(key=lambda line: -max(line.get(FAST, 0), line.get("peer", 0)))
    print(f"\n{title}: losses first. Ratios of time; under 1: we are quicker")
    print(
        f"  {'':<34}{'/ C++ -O3':>10}{'/ fast':>9}{'kernels':>9}{'/ best peer':>13}  {'':<26}"
        f"{'grad/f':>8}{'compile s':>11}{'/ JAX':>8}"
    )
    for line in lines:
        text = "".join(
            _figure(line.get(key), width)
            for key, width in ((CPP, 10), (FAST, 9), (f"{FAST}, kernels", 9), ("peer", 13))
        )
        peer = line.get("best peer", "") + (" (equal)" if line.get("equal") else "")
        rest = "".join(_figure(line.get(k), w) for k, w in (("over value", 8), ("compile", 11), ("compile/JAX", 8)))
        mark = "" if line["base"] == JIT else f"  [{line['base']}]"
        print(f"  {line['title']:<34}{text}  {peer:<26}{rest}{mark}")
    entry = {"title": title, "rows": [], "summary": lines, "goals": []}
    compiled = [line for line in lines if line["base"] == JIT]
    if not compiled:
        print("  no compiled column: adjoint.jit is not there or runs none of these; goals are not judged")
    else:
        for what, number, most in goals(compiled):
            if number is not None:
                bench.goal(entry, what, number, most)
    bench.results.append(entry)


def _figure(number, width):
    return f"{number:{width}.3g}" if number is not None else " " * (width - 1) + "-"


def numbers(lines, key):
    return [line[key] for line in lines if key in line]


def middle(values):
    return median(values) if values else None


def worst(values):
    return max(values, default=None)


def geomean(values):
    return geometric_mean(values) if values else None


def head(name):
    """The module of a program: its docstring says what it is."""
    load(name)
    return sys.modules[f"benchmarks.programs.{name}"]


def run(bench, title, names, goals):
    """Measure the programs of these files at each of their sizes and dtypes, then print the table of all."""
    if native.compiler() is None:
        print("no C++ compiler: the references by hand are left out")
    warm_up()
    measured = []
    for program in (program for name in names for program in load(name)):
        for size in program.quick if bench.quick else program.sizes:
            for dtype in program.dtypes[:1] if bench.quick else program.dtypes:
                try:
                    measured.append(measure(bench, program, size, dtype))
                except Exception as error:  # the other tables are not to be lost with it
                    bench.fail(program.title(size, dtype), error)
    summary(bench, title, measured, goals)
