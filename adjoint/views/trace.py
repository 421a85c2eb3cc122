"""The debug ladder: `ADJOINT_DEBUG=3 python model.py`, or `with ad.config(debug=3): ...`, tells stderr what happens.

Each level prints what the lower ones print, and more. Nothing here runs while debug is 0.
"""

import sys

from ..core.config import config, on_change
from ..core.errors import user_line
from ..core.op import _observers
from ..traces import capture as _capture
from ..traces import reverse
from .text import brief, kind_of, not_finite

LADDER = {
    0: "silence",
    1: "each operation, with your line, and a mark where one makes a NaN or an infinity",
    2: "and the types of its arguments and result",
    3: "and its value",
    4: "and each step of a backward pass, and the gradients that reach inputs",
    5: "and each captured graph",
    6: "and what the compiler's passes change (no compiler yet)",
    7: "and the code that is generated (no compiler yet)",
}


class _Recent(dict):
    """The lines of the last operations on the imperative tape; older ones are forgotten."""

    LIMIT = 1000

    def __setitem__(self, serial, row):
        if len(self) >= self.LIMIT:
            del self[next(iter(self))]
        super().__setitem__(serial, row)


recent = _Recent()  # for `show`: serial of a node -> (op, the user's line, value), while debug was on


def _say(line, text):
    print(f"{line or '-':<20} {text}", file=sys.stderr)


def _operation(op, args, params, y):
    """One op that NumPy evaluated."""
    level = config.debug
    # packing tuples is no operation of the user's; strong_mul appears in derivative rules alone
    if not level or op.kind == "tuple" or (op.name == "strong_mul" and level < 4):
        return
    text = op.name
    if level >= 2:
        words = [kind_of(a) for a in args] + [f"{k}={v!r:.40}" for k, v in params.items() if v is not None]
        text += f"({', '.join(words)}) -> {kind_of(y)}"
    if level >= 3:
        text += f" = {brief(y, 60)}"
    _say(user_line(), text + _mark(args, y))


def _mark(given, made):
    """What is said where finite numbers gave a NaN or an infinity."""
    if not_finite(tuple(made) if type(made) is list else made) is None or any(not_finite(a) is not None for a in given):
        return ""
    return "    <- not finite, from finite numbers"


def _backward(node, g, back):
    """One step of a backward pass; back is None where a gradient reaches an input."""
    if config.debug < 4:
        return
    if back is None:
        mode = getattr(node[3], "mode", None)
        way = {"write": ", written into its buffer", "add": ", added to its buffer"}.get(mode, "")
        return _say(user_line(), f"    gradient {kind_of(g)} = {brief(g, 60)}{way}")
    op = node[5] if node[1] is reverse.general else reverse.FAST[node[1]][0]
    parts = [back] if type(node[2]) is list else [e for p, e in zip(node[2], back, strict=False) if p is not None]
    text = ", ".join("none" if e is None else brief(e, 40) for e in parts)
    _say(user_line(), f"    back through {op.name}: {brief(g, 40)} -> {text}{_mark([g], parts)}")


def _captured(graph):
    """One function that was captured."""
    if config.debug >= 5:
        _say(user_line(), "captured")
        print("    " + str(graph).replace("\n", "\n    "), file=sys.stderr)


_HOOKS = ((_observers, _operation), (reverse.observers, _backward), (_capture.observers, _captured))
_on = 0  # how many debug levels are in force, in any thread


def _changed(before, after):
    global _on
    change = bool(after["debug"]) - bool(before["debug"])
    if not change:
        return
    _on += change
    for hooks, hook in _HOOKS:
        if _on > 0 and hook not in hooks:
            hooks.append(hook)
        elif _on <= 0 and hook in hooks:
            hooks.remove(hook)
    reverse.BASE.lines = recent if _on > 0 else None


on_change(_changed)
