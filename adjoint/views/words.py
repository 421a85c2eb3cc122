"""The words for a record: expressions, values, partials, the table and its summary."""

import numpy as np

from ..traces.graph import Graph
from .record import UNKNOWN
from .text import brief, columns, cut, kind, kind_of


def expression(row, limit=48):
    """`multiply(%1, 2.0)`, or the name of an input."""
    if row.op is None:
        return row.name
    words = [f"%{i}" if i is not None else constant(v) for i, v in row.args if not isinstance(v, np.dtype)]
    words += [f"{k}={parameter(v)}" for k, v in row.params.items() if v is not None and v is not False]
    return cut(f"{row.name}({', '.join(words)})", limit)


def constant(v):
    if v is UNKNOWN:
        return repr(v)
    return brief(v, 20) if getattr(v, "size", 1) <= 4 else kind_of(v)


def parameter(v):
    return v.name if isinstance(v, Graph) else cut(repr(v), 24)


def value_text(row, limit=34):
    return "" if row.value is UNKNOWN else brief(row.value, limit)


def brief_partial(p, limit=28):
    return cut(p, limit) if type(p) is str else brief(p, limit)


def total_text(record, row, limit=34):
    if not record.what or row.node is None:
        return ""
    return "unused" if row.total is None else brief(row.total, limit)


def box(record, i):
    """The lines of text in the box of a row."""
    row = record.rows[i]
    lines = [f"%{i} = {expression(row, 40)}", value_text(row) or kind(row.type)]
    total = total_text(record, row)
    return [*lines, total if row.total is None else f"total {total}"] if total else lines


def table(record, limit=60):
    """The whole record as text."""
    rows = record.rows
    chosen = list(range(len(rows)))
    if limit is not None and len(rows) > limit:
        chosen = [*chosen[: limit // 2], *chosen[-(limit - limit // 2) :]]
    head = ("node", "type", "value", "local partials", "total" if record.what else "", "line")
    cells = []
    for i in chosen:
        row = rows[i]
        partials = [(p, v) for p, v in record.partials(row).items() if type(v) is not str or v]
        partials = ", ".join(f"d/d%{p} = {brief_partial(v)}" for p, v in partials)
        line = f"{row.where}  {row.source}" if row.source else row.where
        node = f"%{i} = {expression(row)}"
        cells.append((node, kind(row.type), value_text(row), partials, total_text(record, row), line))
    widths = [max(columns(row[c]) for row in [head, *cells]) for c in range(5)]

    def join(row):
        padded = [text + " " * (w - columns(text)) for text, w in zip(row, widths, strict=False) if w]
        return "  ".join([*padded, row[5]]).rstrip()

    lines = [f"{record.title}:", join(head), *map(join, cells)]
    if len(chosen) < len(rows):
        lines.insert(2 + limit // 2, f"... {len(rows) - len(chosen)} more nodes: .text(limit=None) prints all ...")
    lines.append(f"returns {', '.join(f'%{i}' for i in record.outputs) or 'a constant'}")
    return "\n".join([*lines, *summary(record)])


def summary(record):
    """What was counted, and what the columns mean."""
    rows = record.rows
    forward: dict = {}
    for row in rows:
        if row.op is not None and row.op.kind != "tuple":
            forward[row.name] = forward.get(row.name, 0) + 1
    lines = [f"forward: {counted(forward)}"] if forward else []
    if record.what:
        lines.append(f"backward: {counted(record.backward)}; it reads {record.read} bytes of forward values")
        lines.append(f"total: the derivative of {record.what} with respect to the node")
    return lines


def counted(counts):
    """`3 operations (2 multiply, 1 sin)`."""
    n = sum(counts.values())
    most = sorted(counts.items(), key=lambda item: -item[1])
    names = ", ".join(f"{k} {name}" for name, k in most[:6]) + (", ..." if len(most) > 6 else "")
    return f"{n} operation{'s' * (n != 1)}" + (f" ({names})" if n else "")
