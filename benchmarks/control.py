"""Control flow, compiled: loops and branches on data as written in Python, beside C++ by hand and the peers' rewrites."""

from .contenders import CPP, FAST
from .suite import numbers, worst

TITLE = "control flow"
PROGRAMS = (
    "runge_kutta", "newton", "chapter", "rnn", "lstm", "heat_loop", "kalman", "edit_distance", "escape", "bisection",
    "adaptive_ode", "nbody", "factor", "tree", "bouncing", "descent",
)  # fmt: skip


def goals(lines):
    """What is promised of loops: (what, number, at most)."""
    return [
        ("to C++ -O3, worst", worst(numbers(lines, CPP)), 1.2),
        ("to C++ -ffast-math, worst", worst(numbers(lines, FAST)), 1.5),
        ("to the best peer, worst", worst(numbers(lines, "peer")), 1.0),
        ("to peers that interpret the loop, worst", worst(numbers(lines, "interpreted")), 0.01),
        ("seconds to compile, worst", worst(numbers(lines, "compile")), 0.15),
    ]
