"""Which ops compiled code does itself: each op is compiled on its samples, as text alone, and what calls NumPy is counted.

Needs SciPy, whose BLAS and LAPACK compiled code calls; not llvmlite, for no machine code is made.
"""

import numpy as np

from ..compiler import passes
from ..compiler.native.lowering import Kernel, lower
from ..core.op import OPS, bind
from ..core.tensor import is_tensor
from ..core.tuples import items
from ..core.types import Tuple, typeof
from ..traces.capture import capture

STATES = ("native", "composed", "partly", "called back")
MEANING = {
    "native": "code of its own",
    "composed": "made of other ops, which have",
    "partly": "depends on shapes or parameters",
    "called back": "NumPy or SciPy is called from the compiled code",
}


def state(op, kind):
    """How an op is done on its samples of this kind, "real" or "complex"; None where it has none."""
    found = set()
    for args, params in op.sample(np.random.default_rng(0)):
        places = [i for i, a in enumerate(args) if _number(a)]
        if ("c" in {typeof(args[i]).dtype.kind for i in places}) == (kind == "complex"):
            found.add(_of_case(op, args, params, places))
    if not found:
        return None
    if "called back" in found:
        return "called back" if len(found) == 1 else "partly"
    return "native" if "native" in found else "composed"


def _number(a):
    return isinstance(a, (np.ndarray, np.generic, bool, int, float, complex)) and typeof(a).dtype.kind in "biufc"


def _of_case(op, args, params, places):
    def f(*xs):
        row = list(args)
        for i, x in zip(places, xs):
            row[i] = x
        y = bind(op, *row, **params)
        return items(y) if is_tensor(y) and type(typeof(y)) is Tuple else y

    try:
        with np.errstate(all="ignore"):
            graph = passes.run(capture(f, *(args[i] for i in places)))
            kernel = Kernel(graph)
            lower(kernel)
    except Exception:  # it needs its arguments' values, or makes what no kernel returns: it is run by NumPy
        return "called back"
    if any(note.endswith("called back into NumPy") for note in kernel.notes):
        return "called back"
    return "native" if any(line.op.name == op.name for line in graph.lines) else "composed"


def table():
    """{op: (state on real samples, state on complex ones)}; None where there is no sample of that kind."""
    return {
        name: (state(op, "real"), state(op, "complex")) for name, op in sorted(OPS.items()) if op.sample is not None
    }


def _of_scipy(op):
    """Whether an op is there for SciPy's special functions."""
    import scipy.special

    made = {getattr(f, "__module__", "") or "" for f in (op.eval, op.sample, op.jvp, op.vjp, op.batch)}
    return hasattr(scipy.special, op.name) or any(
        ".scipy_" in m or m.endswith((".special", ".incomplete")) for m in made
    )


def markdown():
    """The section of docs/compiled.md. SciPy's functions that are called back are many, and not named."""
    rows = table()
    lines = []
    for place, kind in enumerate(("real", "complex")):
        groups = {s: [name for name, row in rows.items() if row[place] == s] for s in STATES}
        lines += [f"On {kind} numbers:", ""]
        for s, names in groups.items():
            rest = ""
            if s == "called back" and any(_of_scipy(OPS[n]) for n in names):
                names = [n for n in names if not _of_scipy(OPS[n])]
                rest = ", and the other functions of `scipy.special`"
            if names:
                lines.append(f"* **{s}** ({len(names)}), {MEANING[s]}: {', '.join(f'`{n}`' for n in names)}{rest}")
        lines.append("")
    return "\n".join(lines).strip() + "\n"


def text():
    """The same for a terminal."""
    rows = table()
    out = [f"{name:<24} {real or '-':<12} {complex_ or '-'}" for name, (real, complex_) in rows.items()]
    return "\n".join([f"{'op':<24} {'real':<12} complex", *out])
