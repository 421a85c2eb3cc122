"""`ad.show`: the graph of a computation as text and as a picture, with values, local partials, totals and lines.

%0 = x               float64[3]  [1. 2. 3.]                      [2. 4. 6.]
%1 = square(%0)      float64[3]  [1. 4. 9.]  d/d%0 = [2. 4. 6.]  1.0 each     model.py:3  return np.sum(x ** 2)
"""

import html
import json
import time

from ..core.errors import DTypeError, defined
from ..core.tensor import is_tensor, typeof
from ..traces.graph import Graph
from ..transforms.derivatives import grad, hvp
from . import record as _record
from .text import cut
from .words import box, brief_partial, table


def show(x):
    """Show what was computed: `show(f)(*args)`, `show(tensor)`, or `show(graph)`. The result prints as text.

    show(f)(*args) runs f once and shows each operation: its type and value, its partial derivative in each argument,
    entry by entry, the total derivative of the result (of the sum of its entries) with respect to it, and your line.
    show(tensor) shows what a tensor from attached ones was computed from; call it before `backward` releases that.
    The result has .text(limit), .svg, .save("graph.svg"), .dot(), .mermaid(), .cost(), and is a picture in notebooks.

    >>> import numpy as np, adjoint as ad
    >>> for line in str(ad.show(lambda x: np.sin(x) * x)(2.0)).splitlines()[1:5]:
    ...     print(line[:80].rstrip())
    node                   type       value   local partials               total
    %0 = x                 float      2.0                                  0.077004
    %1 = sin(%0)           float64[]  0.9093  d/d%0 = -0.41615             2.0
    %2 = multiply(%1, %0)  float64[]  1.8186  d/d%1 = 2.0, d/d%0 = 0.9093  1.0
    """
    if isinstance(x, Graph):
        return Shown(_record.of_graph(x), str(x))
    if is_tensor(x):
        return Shown(_record.of_tensor(x))
    if not callable(x):
        raise DTypeError(f"show takes a function, a tensor or a captured graph, not {x!r:.60}; write ad.show(f)(x)")

    def shown(*args, **kwargs):
        return Shown(_record.of_function(x, args, kwargs))

    shown.__name__ = f"show_{getattr(x, '__name__', 'f')}"
    return shown


class Shown:
    """A graph to look at. `print(shown)`, `shown.svg`, `shown.save("graph.svg")`; `shown.rows` holds what is shown."""

    def __init__(self, record, text=None):
        self._record = record
        self._text = text
        self._svg = None

    @property
    def rows(self):
        """The nodes, oldest first: each has .name, .type, .value, .total, .where, .parents and .args."""
        return self._record.rows

    def text(self, limit=60):
        """The graph as a table; of more than `limit` nodes the first and the last (None: all of them)."""
        return self._text if self._text is not None else table(self._record, limit)

    def __str__(self):
        return self.text()

    __repr__ = __str__

    @property
    def svg(self):
        """The graph as a picture, in SVG."""
        if self._svg is None:
            from .svg import draw

            self._svg = draw(self._record)
        return self._svg

    def _repr_svg_(self):
        return self.svg

    def _repr_html_(self):
        text = html.escape(self.text())
        return (
            f'<div style="max-width:100%;overflow-x:auto">{self.svg}'
            f"<details><summary>as text</summary><pre>{text}</pre></details></div>"
        )

    def save(self, path):
        """Write it to a file; the name's end decides: .svg, .html, .txt, .dot or .mmd. Returns the path."""
        end = str(path).rpartition(".")[2].lower()
        writers = {
            "svg": lambda: self.svg,
            "html": lambda: (
                '<!DOCTYPE html>\n<meta charset="utf-8">\n'
                f"<title>{html.escape(self._record.title)}</title>\n{self._repr_html_()}\n"
            ),
            "txt": lambda: self.text(None) + "\n",
            "dot": self.dot,
            "mmd": self.mermaid,
        }
        if end not in writers:
            raise ValueError(f"a graph is saved as {', '.join('.' + e for e in writers)}, not as {path!r}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(writers[end]())
        return path

    def dot(self):
        """The graph in the language of Graphviz."""
        lines = ["digraph {", '  node [shape=box, fontname="monospace", fontsize=11]']
        for i, label, parents in self._boxes():
            text = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in label)
            lines.append(f'  n{i} [label="{text}"]')
            lines += [f"  n{p} -> n{i} [label={json.dumps(partial)}]" for p, partial in parents]
        return "\n".join([*lines, "}\n"])

    def mermaid(self):
        """The graph in the language of Mermaid, which GitHub and many editors draw."""

        def escape(text):
            for character, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
                text = text.replace(character, code)
            return text

        lines = ["flowchart TD"]
        for i, label, parents in self._boxes():
            lines.append(f'  n{i}["{"<br/>".join(map(escape, label))}"]')
            for p, partial in parents:
                lines.append(f'  n{p} -- "{escape(partial)}" --> n{i}' if partial else f"  n{p} --> n{i}")
        return "\n".join(lines) + "\n"

    def _boxes(self):
        """(index, lines of text, [(parent, its partial)]) of each row."""
        for i, row in enumerate(self.rows):
            partials = self._record.partials(row)
            yield i, box(self._record, i), [(p, brief_partial(partials.get(p, ""), 20)) for p in row.parents]

    def cost(self):
        """What derivatives cost here: operations and time of the function, its gradient, and a second derivative.

        Runs the function some more times. The result must be a scalar, the first input a float or an array.
        """
        if self._record.again is None:
            raise DTypeError("cost() needs the function: call it on ad.show(f)(x)")
        return Cost(*self._record.again)


class Cost:
    """Rows (what, operations, seconds): the function, its gradient, its Hessian times a vector."""

    def __init__(self, f, args, kwargs):
        along = _record.ones(typeof(args[0]))
        programs = [
            (f"{defined(f)}", f, args),
            ("gradient", grad(f), args),
            ("second derivative times a vector", hvp(f), (*args, along)),
        ]
        self.rows = []
        for what, program, row in programs:
            counts, _ = _record.count(program)(*row, **kwargs)
            self.rows.append((what, sum(counts.values()), _seconds(program, row, kwargs)))

    def __str__(self):
        _, n, s = self.rows[0]
        lines = [f"{'':34} {'operations':>10} {'':>7} {'time':>10}"]
        for what, count, seconds in self.rows:
            lines.append(
                f"{cut(what, 34):34} {count:10} {count / max(n, 1):6.1f}x {seconds * 1e6:7.1f} us {seconds / s:6.1f}x"
            )
        return "\n".join(lines)

    __repr__ = __str__


def _seconds(f, args, kwargs):
    """The best of some runs: about a tenth of a second of them, at most 1000."""
    best = total = 0.0
    n = 0
    while not n or (total < 0.1 and n < 1000):
        start = time.perf_counter()
        f(*args, **kwargs)
        last = time.perf_counter() - start
        best = min(best, last) if n else last
        total += last
        n += 1
    return best
