"""`ad.blame`: where did this NaN come from? The first operation, forward or backward, that made a NaN or an infinity out of
finite numbers, with its values and your line.

The function is run once more by the recorder that `show` uses, and the way back is walked row by row with the ops' own
rules. Of several makers the first counts whose NaN or infinity is handed on to the result, or to a gradient. Those that
went nowhere are listed beside it: what `where` did not choose, and what a strong zero (see DESIGN: a cotangent of 0
stays 0, whatever it meets) kept out of the gradient.
"""

import numpy as np

from ..core.config import config
from ..core.errors import DTypeError, defined, where
from ..core.tensor import is_tensor
from ..core.types import Array
from . import record
from .text import brief, cut, kind_of, not_finite, source


def blame(f):
    """Find what made a NaN or an infinity: `blame(f)(*args)` for a function, `blame(y)` for a tensor before `y.backward()`.

    Runs f forward and the gradient of (the sum of) its result backward, and names the first operation whose inputs were
    finite and whose output was not, if that reached the result or a gradient. The result prints as text; it is true if
    something was found. Its fields: .phase ("forward", "backward", "input", or ""), .op, .where ("model.py:12"), .source,
    .args, .value, .cotangent, .bad (the array with the NaN or infinity), .index (of its first such entry), and
    .suppressed: the ones that came to nothing. If f raises after something was found, .error is what it raised.
    For tensors the lines are known only of what was computed under `ad.config(debug=1)`.

    >>> import numpy as np, adjoint as ad
    >>> found = ad.blame(lambda x: np.sum(np.sqrt(x)))(np.array([4.0, 0.0]))
    >>> found.op, found.phase, found.index
    ('sqrt', 'backward', (1,))
    >>> print(str(found).splitlines()[0])  # doctest: +ELLIPSIS
    sqrt made inf in the backward pass...
    """
    if is_tensor(f):
        rows = record.behind(f, "blame")
        return _find(rows, [len(rows) - 1], "tensor", None)
    if not callable(f):
        raise DTypeError(f"blame takes a function or a tensor, not {f!r:.60}{where()}; write ad.blame(f)(x)")

    def blamed(*args, **kwargs):
        with np.errstate(all="ignore"):
            rows, outputs, _, error = record.run(f, args, kwargs)
        found = _find(rows, outputs, defined(f), error)
        if error is not None and not found:
            raise error
        return found

    blamed.__name__ = f"blame_{getattr(f, '__name__', 'f')}"
    return blamed


class Event:
    """One operation that made a NaN or an infinity, or let one in."""

    __slots__ = ("args", "bad", "cotangent", "file", "lineno", "note", "op", "phase", "row", "value", "where")

    def __init__(self, phase, i, row, bad, cotangent=None, note=""):
        self.phase = phase
        self.row = i
        self.op = row.name
        self.args = [v for _, v in row.args]
        self.value = row.value
        self.cotangent = cotangent
        self.bad = bad
        self.where, self.file, self.lineno = row.where, row.file, row.lineno
        self.note = note

    @property
    def source(self):
        """The text of the user's line, '' where it is not known."""
        return source(self.file, self.lineno)

    @property
    def index(self):
        """The index of the first entry that is not finite."""
        a = np.asarray(self.bad)
        return tuple(int(i) for i in np.unravel_index(int(np.argmin(np.isfinite(a))), a.shape))

    @property
    def made(self):
        """'nan', 'inf' or '-inf': the first entry that is not finite."""
        first = np.asarray(self.bad)[self.index]
        return "nan" if np.isnan(first) else f"{first.real:.0f}" if np.isinf(first.real) else "an infinity"

    def line(self):
        """What happened, in one line."""
        text = {
            "forward": f"{self.op} made {self.made} in the forward pass",
            "backward": f"{self.op} made {self.made} in the backward pass",
            "input": f"{self.op} holds {self.made}",
            "constant": f"{self.op} got {self.made} as a constant",
        }[self.phase]
        return f"{text}{', ' + self.where if self.where else ''}{self.note}"

    def entry(self):
        """The numbers at the first bad entry: `at [2]: log(0.0) = -inf`; '' where entries do not belong together."""
        at = self.index
        shape = np.shape(self.bad)
        if self.phase in ("input", "constant"):
            return f"at [{', '.join(map(str, at))}]" if at else ""
        numbers = []
        for a in self.args:
            if not _is_number(a):
                return ""
            try:
                a = np.broadcast_to(np.asarray(a), shape)[at]
            except ValueError:
                return ""
            numbers.append(brief(a, 24))
        text = f"{self.op}({', '.join(numbers)})"
        bad = brief(np.asarray(self.bad)[at], 24)
        if self.phase == "forward":
            text = f"{text} = {bad}"
        elif np.shape(self.cotangent) == shape:
            text = f"cotangent {brief(np.asarray(self.cotangent)[at], 24)} back through {text} = {bad}"
        else:
            return ""
        return f"at [{', '.join(map(str, at))}]: {text}" if at else text

    def details(self):
        """Values and types, a line each."""
        rows = [(f"argument {i}" if len(self.args) > 1 else "argument", a) for i, a in enumerate(self.args)]
        if self.phase in ("forward", "backward"):
            rows.append(("value", self.value))
        if self.phase == "backward":
            rows += [("cotangent", self.cotangent), ("gave", self.bad)]
        width = max((len(name) for name, _ in rows), default=0)
        return [f"  {name:<{width}}  {_typed(v)}" for name, v in rows]

    def __repr__(self):
        return self.line()


_FIELDS = ("phase", "op", "where", "file", "lineno", "source", "args", "value", "cotangent", "bad", "index", "made")


class Blame:
    """What `ad.blame` found. It prints as text, and is true if something was found."""

    def __init__(self, title, event, suppressed, error, hint):
        self.title = title
        self.event = event
        self.suppressed = suppressed
        self.error = error
        self.hint = hint

    def __bool__(self):
        return self.event is not None

    def __getattr__(self, name):
        if name not in _FIELDS:
            raise AttributeError(f"a Blame has no {name!r}; it has {', '.join(_FIELDS)}, suppressed and error")
        return getattr(self.event, name) if self.event is not None else "" if name in ("phase", "op", "where") else None

    def __str__(self):
        event = self.event
        if event is None:
            lines = [f"{self.title}: the result and the gradients are finite"]
        else:
            lines = [event.line()]
            if event.source:
                lines.append(f"    {cut(event.source, 100)}")
            lines += event.details()
            entry = event.entry()
            if entry:
                lines.append(f"  first {entry}")
        if self.error is not None:
            lines.append(f"  then {self.title} raised {type(self.error).__name__}: {cut(str(self.error), 100)}")
        if self.suppressed:
            lines.append("came to nothing:")
            lines += [f"  {e.line()}" + (f": {e.entry()}" if e.entry() else "") for e in self.suppressed[:8]]
            if len(self.suppressed) > 8:
                lines.append(f"  ... {len(self.suppressed) - 8} more in .suppressed")
        if self.hint and (event is not None or self.suppressed):
            lines.append(f"({self.hint})")
        return "\n".join(lines)

    __repr__ = __str__


def _is_number(x):
    return isinstance(x, (np.ndarray, np.generic, float, int, complex)) and not is_tensor(x)


def _typed(x):
    if x is record.UNKNOWN or x is None:
        return "? (not kept)"
    return f"{kind_of(x)} = {brief(x, 60)}"


def _find(rows, outputs, title, error):
    with np.errstate(all="ignore"):
        bad = []
        for row in rows:  # of a value that was not kept we suspect what we know of its parents
            inherited = next((bad[p] for p in row.parents if bad[p] is not None), None)
            bad.append(inherited if row.value is record.UNKNOWN else not_finite(row.value))
        # no result, for f raised: what it had reached last is the result
        ends = outputs if error is None else [i for i, b in enumerate(bad) if b is not None][-1:]
        event, suppressed = _forward(rows, bad, ends)
        if event is None and error is None:
            event, more, error = _backward(rows, outputs)
            if event is not None:  # did a forward value bring it in?
                i = event.row
                origin, _ = _forward(rows, bad, [i, *rows[i].parents])
                if origin is not None:
                    event = origin
                    event.note = "; the result does not contain it, a gradient does"
                    suppressed = [e for e in suppressed if e.row != origin.row]
            suppressed += more
    hint = "" if title != "tensor" or any(row.where for row in rows) else _HINT
    return Blame(title, event, suppressed, error, hint)


_HINT = "compute under `with ad.config(debug=1):` to have your lines named here"


def _forward(rows, bad, ends):
    """(the first row that brought what is not finite into the results, the rows whose like went nowhere)."""
    reaches = [False] * len(rows)
    for i in range(len(rows) - 1, -1, -1):
        if bad[i] is not None and (i in ends or reaches[i]):
            reaches[i] = True
            for p in rows[i].parents:
                reaches[p] = reaches[p] or bad[p] is not None
    event = None
    lost = []
    for i, row in enumerate(rows):
        if bad[i] is None or any(bad[p] is not None for p in row.parents):
            continue
        constant = next((v for j, v in row.args if j is None and not_finite(v) is not None), None)
        if row.op is None:
            e = Event("input", i, row, bad[i])
        elif constant is not None:
            e = Event("constant", i, row, not_finite(constant))
        else:
            e = Event("forward", i, row, bad[i])
        if not reaches[i]:
            e.note = "; the result does not contain it"
            lost.append(e)
        elif event is None:
            event = e
    return event, [e for e in lost if e.phase == "forward"]


def _backward(rows, outputs):
    """(the first step back that brought what is not finite into a gradient, the steps whose like went nowhere, the error
    of a step that then failed)."""
    found = {i: record.ones(rows[i].type) for i in outputs if rows[i].node is not None and _floats(rows[i].type)}
    serials = {row.node[0]: i for i, row in enumerate(rows) if row.node is not None}
    steps = []  # (row, parent, event where the step made it out of finite numbers): of cotangents that are not finite
    suppressed = []
    for i in range(len(rows) - 1, -1, -1):
        row = rows[i]
        if i not in found or row.node[1] is None:
            continue
        g = record.dense(found[i])
        clean = not_finite(g) is None
        op, wants, parents, y, args, params = record.opened(row.node)
        try:
            back = op.vjp(wants, g, y, *args, **params)
        except Exception as error:  # as decompositions do, where they meet a NaN
            event = next((e for _, _, e in steps if e is not None), None)
            if event is None:
                raise
            return event, suppressed, error
        plain = back
        if clean and not config.ieee:
            with config(ieee=True):
                plain = op.vjp(wants, g, y, *args, **params)
        for p, e, multiplied in zip(parents, back, plain, strict=False):
            if p is None or e is None:
                continue
            part, without = not_finite(e), not_finite(multiplied)
            j = serials[p[0]]
            if part is not None:
                steps.append((i, j, Event("backward", i, row, part, g) if clean else None))
            elif without is not None:
                suppressed.append(Event("backward", i, row, without, g, "; kept out: a cotangent of 0 stays 0"))
            found[j] = found[j] + e if j in found else e
    reaches = {
        i for i, row in enumerate(rows) if i in found and row.node[1] is None and not_finite(found[i]) is not None
    }
    for i, j, _ in reversed(steps):
        if j in reaches:
            reaches.add(i)
    event = next((e for _, j, e in steps if e is not None and j in reaches), None)
    lost = [e for _, j, e in steps if e is not None and j not in reaches]
    for e in lost:
        e.note = "; no gradient contains it"
    return event, suppressed + lost, None


def _floats(t):
    return type(t) is Array and t.dtype.kind in "fc"
