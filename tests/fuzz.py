"""The laws over the full product of ops, dtypes and shapes, as long as one likes: `python -m tests.fuzz --seconds 60`.

Each turn draws an op, a law, a dtype and fresh values; elementwise ops also random shapes, in the ranges their samples
have. A failure prints the words that repeat it (`--repeat op law dtype draw`), and the exit status is 1. `--compiled 1000` draws
random graphs instead, and compares compiled code with NumPy (tests/compiler/fuzz.py).
"""

import argparse
import collections
import sys
import time
import warnings

import numpy as np

from adjoint.core.op import OPS
from tests.compiler.fuzz import main as compiled_main
from tests.laws import harness
from tests.laws.harness import LAWS, WITHOUT_DERIVATIVE, Case, carries, differentiable, samples
from tests.laws.numbers import NoDifference

KNOWN = {
    # (op, law): what is wrong there, and not with us
    ("hyp2f1", "complex"): "SciPy's value is off by a tenth near exp(i pi / 3), where its series changes",
}


def ranges(op):
    """(lo, hi) of each floating argument over a few draws of the samples."""
    rows = [case.args for key in range(3) for case in samples(op, key)]
    out = []
    for column in zip(*rows):
        values = np.concatenate([np.ravel(np.real(x)) for x in column]) if all(map(carries, column)) else np.zeros(0)
        out.append((float(values.min()), float(values.max())) if values.size else None)
    return out


def broadcastable(rng, n):
    """n random shapes that broadcast together; sides 0 to 4."""
    full = tuple(int(rng.choice([0, 1, 2, 3, 4], p=[0.05, 0.2, 0.3, 0.25, 0.2])) for _ in range(rng.integers(0, 4)))
    rows = []
    for _ in range(n):
        cut = full[rng.integers(0, len(full) + 1) :]
        rows.append(tuple(1 if rng.random() < 0.2 else s for s in cut))
    return rows


def draw_case(op, rng, known={}):  # noqa: B006
    """A random case of an op: fresh values, and for elementwise ops fresh shapes."""
    cases = [c for c in samples(op, int(rng.integers(1 << 30))) if c.arrays]
    if not cases:
        return None
    case = cases[rng.integers(len(cases))]
    if op.kind == "elementwise" and len(case.active) == len(case.args) and not case.params and rng.random() < 0.7:
        bounds = known.get(op.name) or known.setdefault(op.name, ranges(op))
        if None not in bounds:
            shapes = broadcastable(rng, len(bounds))
            args = [np.asarray(rng.uniform(lo, hi, s))[()] for (lo, hi), s in zip(bounds, shapes)]
            return Case(op, args, {}, "", case.entry)
    return case


def turn(op, law, dtype, rng):
    """One check; returns whether there was something to check."""
    case = draw_case(op, rng)
    if case is None or (law not in WITHOUT_DERIVATIVE and not case.active):
        return False
    if (op.name, law) in KNOWN:
        return False
    if dtype is np.float32:
        case = case.cast(harness._single)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return LAWS[law](case, rng) is None
        except NoDifference:  # a random point fell on a kink
            return False
        except Exception as error:
            error.add_note(f"{case!r}, law {law}")
            raise


def legal(op):
    """(law, dtype) pairs: all laws in float64 (`single` compares float32 with it), the types in float32, complex."""
    rows = [(law, np.float64) for law, reason in harness.applies(op).items() if not reason and law != "complex"]
    rows.append(("types", np.float32))
    return rows + [("complex", np.complex128)] * differentiable(op)


def fuzz(seconds, seed, only=None):
    """Returns (turns, checks, failures)."""
    names = [n for n, op in OPS.items() if op.sample is not None and (only is None or n == only)]
    rows = [(n, law, dtype) for n in names for law, dtype in legal(OPS[n])]
    start, turns, checks, failures = time.perf_counter(), 0, 0, collections.Counter()
    order = np.random.default_rng(seed)
    while time.perf_counter() - start < seconds:
        for k in order.permutation(len(rows)):
            name, law, dtype = rows[k]
            turns += 1
            number = int(order.integers(1 << 31))
            try:
                checks += turn(OPS[name], law, dtype, np.random.default_rng(number))
            except Exception as error:
                place = (name, law, np.dtype(dtype).name)
                failures[place] += 1
                if failures[place] == 1:
                    text = "\n  ".join([str(error)[:600], *getattr(error, "__notes__", [])])
                    print(f"FAILED {' '.join(place)} {number}: {type(error).__name__}: {text}\n", flush=True)
            if time.perf_counter() - start > seconds:
                break
    return turns, checks, failures


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one op")
    parser.add_argument("--repeat", nargs=4, metavar=("OP", "LAW", "DTYPE", "DRAW"), help="one check that failed")
    parser.add_argument(
        "--compiled", type=int, metavar="GRAPHS", help="instead: random graphs, compiled, against NumPy"
    )
    given = parser.parse_args(argv)
    if given.compiled:
        return compiled_main(["--graphs", str(given.compiled), "--first", str(given.seed)])
    if given.repeat:
        name, law, dtype, number = given.repeat
        turn(OPS[name], law, np.dtype(dtype).type, np.random.default_rng(int(number)))
        print("no failure")
        return 0
    turns, checks, failures = fuzz(given.seconds, given.seed, given.only)
    count = f"{sum(failures.values())} failures in {len(failures)} places"
    print(f"fuzz: {turns} turns, {checks} checks of {len(OPS)} ops, {count}, seed {given.seed}, {given.seconds:g} s")
    for (name, law, dtype), n in failures.most_common():
        print(f"  {name} {law} {dtype}: {n}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
