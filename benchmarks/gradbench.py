"""GradBench (github.com/gradbench/gradbench): its workloads in one table, and a tool that speaks its protocol.

    python3 -m benchmarks.gradbench        reads requests, one JSON object a line, and answers likewise

`start`, `define`, `evaluate` and `analysis` are answered as that suite's own tools do. What is timed is the function on inputs that
are NumPy arrays already, the first call included; reading JSON, converting in and out are not. Without adjoint.jit
the eager gradient runs.
"""

import json
import sys
import time

from . import program  # noqa: F401 - the package's settings of threads must come before NumPy
from .contenders import FAST
from .program import load
from .suite import middle, numbers, worst

TITLE = "GradBench"
PROGRAMS = (
    "gradbench_gmm", "gradbench_ba", "gradbench_lstm", "gradbench_kmeans", "gradbench_lse", "gradbench_llsq",
    "gradbench_ode",
)  # fmt: skip


def goals(lines):
    """What is promised of GradBench's workloads: (what, number, at most)."""
    lse = [line for line in lines if "lse" in line["title"]]
    rest = [line for line in lines if line not in lse]
    return [
        ("to C++ -ffast-math, worst without lse", worst(numbers(rest, FAST)), 1.5),
        ("to C++ -ffast-math, median", middle(numbers(lines, FAST)), 1.5),
        ("to C++ -ffast-math on lse, worst", worst(numbers(lse, FAST)), 1.0),
        ("seconds to compile, worst", worst(numbers(lines, "compile")), 0.2),
    ]


# ---- the protocol ----


def tools():
    """{(module, function): (input -> arguments, builder of the function, result -> output)}."""
    import numpy as np

    import adjoint as ad

    jit = getattr(ad, "jit", lambda f: f)
    module = {name: sys.modules[f"benchmarks.programs.{name}"] for name in PROGRAMS if load(name)}
    gmm, ba, lstm = module["gradbench_gmm"], module["gradbench_ba"], module["gradbench_lstm"]
    kmeans, lse, llsq, ode = (module[f"gradbench_{name}"] for name in ("kmeans", "lse", "llsq", "ode"))

    def array(data):
        return np.array(data, dtype=np.float64)

    def gmm_in(i):
        if i.get("m", 0) != 0 or i.get("gamma", 1.0) != 1.0:
            raise ValueError("the prior is written for m = 0, gamma = 1, which is all that the suite sends")
        return (*(array(i[key]) for key in ("alpha", "mu", "q", "l", "x")), gmm.where_in(int(i["d"])))

    def ba_in(i):
        n, m, p = int(i["n"]), int(i["m"]), int(i["p"])
        index = np.arange(p)
        return (
            np.tile(array(i["cam"]), (n, 1)), np.tile(array(i["x"]), (m, 1)), np.full(p, float(i["w"])),
            np.tile(array(i["feat"]), (p, 1)), index % n, index % m,
        )  # fmt: skip

    def ba_objective(cameras, points, w, features, which_camera, which_point):
        first, second = ba.errors(cameras[which_camera], points[which_point], w, features)
        return np.stack([first, second], axis=1), 1.0 - w * w

    def ba_jacobian():
        blocks = jit(ba.for_adjoint(ad))

        def sparse(cameras, points, w, features, which_camera, which_point):
            """The whole matrix in CSR: rows, columns, values."""
            block, weights = blocks(cameras, points, w, features, which_camera, which_point)
            n, m, p = len(cameras), len(points), len(w)
            cols = np.empty((p, 15), dtype=np.int64)
            cols[:, :11] = 11 * which_camera[:, None] + np.arange(11)
            cols[:, 11:14] = 11 * n + 3 * which_point[:, None] + np.arange(3)
            cols[:, 14] = 11 * n + 3 * m + np.arange(p)
            rows = np.concatenate([np.arange(0, 30 * p + 1, 15), 30 * p + 1 + np.arange(p)])
            columns = np.concatenate([np.repeat(cols, 2, axis=0).ravel(), cols[:, 14]])
            return rows, columns, np.concatenate([np.ravel(block), weights])

        return sparse

    def ends(a):
        """All that the suite wants to see of a long array."""
        return [*a[:30].tolist(), a[-1].item()]

    def ba_objective_out(result):
        errors, weights = result
        return {
            "reproj_error": {"elements": errors[0].tolist(), "repeated": len(errors)},
            "w_err": {"element": float(weights[0]), "repeated": len(weights)},
        }

    def lstm_in(i):
        return tuple(array(i[key]) for key in ("main_params", "extra_params", "state", "sequence"))

    def points_in(i):
        return array(i["centroids"]), array(i["points"])

    cache: dict = {}

    def sized(body, transform):
        def call(x, size):
            if (body, transform, size) not in cache:
                cache[body, transform, size] = jit(transform(lambda x: body(x, size)))
            return cache[body, transform, size](x)

        return call

    same = lambda f: f
    number, nested = float, lambda r: np.asarray(r).tolist()
    gmm_names = ("alpha", "mu", "q", "l")
    return {
        ("gmm", "objective"): (gmm_in, lambda: jit(gmm.f), number),
        ("gmm", "jacobian"): (
            gmm_in,
            lambda: jit(ad.grad(gmm.f, argnums=(0, 1, 2, 3))),
            lambda r: dict(zip(gmm_names, map(nested, r), strict=True)),
        ),
        ("ba", "objective"): (ba_in, lambda: jit(ba_objective), ba_objective_out),
        ("ba", "jacobian"): (
            ba_in,
            ba_jacobian,
            lambda r: {"rows": ends(r[0]), "cols": ends(r[1]), "vals": ends(r[2])},
        ),
        ("lstm", "objective"): (lstm_in, lambda: jit(lstm.f), number),
        ("lstm", "jacobian"): (
            lstm_in,
            lambda: jit(ad.grad(lstm.f, argnums=(0, 1))),
            lambda r: [v for part in r for v in np.ravel(part).tolist()],
        ),
        ("kmeans", "cost"): (points_in, lambda: jit(kmeans.f), number),
        ("kmeans", "dir"): (points_in, lambda: jit(kmeans.for_adjoint(ad)), nested),
        ("lse", "primal"): (lambda i: (array(i["x"]),), lambda: jit(lse.f), number),
        ("lse", "gradient"): (lambda i: (array(i["x"]),), lambda: jit(ad.grad(lse.f)), nested),
        ("llsq", "primal"): (lambda i: (array(i["x"]), int(i["n"])), lambda: sized(llsq.squares, same), number),
        ("llsq", "gradient"): (lambda i: (array(i["x"]), int(i["n"])), lambda: sized(llsq.squares, ad.grad), nested),
        ("ode", "primal"): (lambda i: (array(i["x"]), int(i["s"])), lambda: sized(ode.solve_all, same), nested),
        ("ode", "gradient"): (lambda i: (array(i["x"]), int(i["s"])), lambda: sized(ode.solve, ad.grad), nested),
    }


def answer(message, known, built):
    """The answer to one request."""
    kind = message["kind"]
    if kind == "start":
        return {"id": message["id"], "tool": "adjoint"}
    if kind == "define":
        return {"id": message["id"], "success": any(module == message["module"] for module, _ in known)}
    if kind != "evaluate":
        return {"id": message["id"]}
    name = message["module"], message["function"]
    if name not in known:
        return {"id": message["id"], "success": False, "error": f"no function {name[1]!r} in {name[0]!r}"}
    read, build, write = known[name]
    try:
        args, data = read(message["input"]), message["input"]
        if name not in built:
            built[name] = build()
        timings, start = [], time.perf_counter_ns()
        least, seconds = int(data.get("min_runs", 1)), float(data.get("min_seconds", 1.0))
        while len(timings) < least or time.perf_counter_ns() - start < seconds * 1e9:
            before = time.perf_counter_ns()
            result = built[name](*args)
            timings.append({"name": "evaluate", "nanoseconds": time.perf_counter_ns() - before})
        return {"id": message["id"], "success": True, "output": write(result), "timings": timings}
    except Exception as error:
        return {"id": message["id"], "success": False, "error": f"{type(error).__name__}: {error}"}


def serve(requests, replies):
    """Answer every line until the input ends."""
    known, built = tools(), {}
    for line in requests:
        if line.strip():
            replies.write(json.dumps(answer(json.loads(line), known, built)) + "\n")
            replies.flush()


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
