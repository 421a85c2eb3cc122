"""GradBench's lse: log(sum(exp(x))) by way of max x, at its sizes; the mathematics is that of logsumexp.py."""

from benchmarks.program import Program

from .logsumexp import f, make

PROGRAMS = [
    Program("gradbench lse", f, make, sizes=(2500, 80000, 1280000), quick=(2500,), native="logsumexp", check="complex")
]
