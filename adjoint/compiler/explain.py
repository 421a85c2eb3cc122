"""Explain: what became of a compiled function, as text."""

import types

from . import passes
from .syntax import copies
from .syntax.source import NoSource


def explain(f, entry):
    """The rewritten Python, the passes, the graph, the loops and calls of the code, memory and time of one signature."""
    p = entry.program.compile()
    out = [f"{f!r} for {', '.join(map(str, (v.type for v in entry.graph.inputs)))}"]
    for g in [f.__wrapped__, *(value for _, value in entry.guards)]:
        text = _rewritten(g)
        if text is not None:
            out += ["rewritten Python", *(f"  {line}" for line in text.splitlines())]
    for source, t in entry.reads:
        out.append(f"reads {_source(source)}: {t}, at every call")
    for source, value in entry.guards:
        out.append(f"compiled for {_source(source)} = {value!r:.60}")
    if p.optimized is not None:
        out.append("passes")
        for r in passes.records(p.optimized):
            out.append(f"  {r.name}: {r.lines_before} -> {r.lines_after} lines, {r.seconds * 1e3:.1f} ms")
    out += ["graph", *(f"  {line}" for line in str(p.graph if p.optimized is None else p.optimized).splitlines())]
    out.append("native code" if p.native else "run by NumPy")
    out += [f"  {note}" for note in p.notes]
    if p.native:
        out.append(f"workspace: {p.workspace} bytes, kept between calls")
    out.append("time: " + ", ".join(f"{k} {v * 1e3:.1f} ms" for k, v in p.seconds.items()))
    return "\n".join(out)


def _rewritten(g):
    """The copy that is called for a user's function, or under a transform of it; None for anything else."""
    while not isinstance(g, types.FunctionType) or copies.is_library(g.__code__):
        g = getattr(g, "__wrapped__", None)
        if g is None:
            return None
    try:
        return copies.text(g)
    except NoSource:
        return None


def _source(source):
    kind, where, *name = source
    if kind == "cell":
        return "a closure's variable"
    if kind == "ref":
        return "an array"
    return f"{kind} {name[0]!r}" + (f" of a {type(where).__name__}" if kind in ("attr", "item") else "")
