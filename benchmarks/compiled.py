"""Array programs, compiled: beside C++ by hand and the peers' compilers, one thread."""

from .contenders import FAST
from .suite import geomean, middle, numbers, worst

TITLE = "array programs"
PROGRAMS = (
    "tiny", "logistic", "rosenbrock", "logsumexp", "chain", "black_scholes", "mlp", "heat_scan", "softmax", "mixture",
    "gp", "convolution", "jacobian",
)  # fmt: skip


def goals(lines):
    """What is promised of array programs: (what, number, at most)."""
    free = [line for line in lines if not line["blas"]]
    blas = [line for line in lines if line["blas"]]
    over = [line["over value"] for line in lines if "over value" in line]
    return [
        ("to C++ -ffast-math, median", middle(numbers(lines, FAST)), 1.0),
        ("to C++ -ffast-math, worst", worst(numbers(lines, FAST)), 1.5),
        ("to the best peer, geometric mean without BLAS", geomean(numbers(free, "peer")), 0.2),
        ("to the best peer, worst without BLAS", worst(numbers(free, "peer")), 1.0),
        ("to the best peer, worst with BLAS", worst(numbers(blas, "peer")), 1.1),
        ("time to compile over JAX's, worst", worst(numbers(lines, "compile/JAX")), 1 / 3),
        ("gradient over function, worst", worst(over), 3.0),
        ("gradient over function, median", middle(over), 2.0),
    ]
