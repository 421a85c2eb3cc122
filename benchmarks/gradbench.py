TITLE = "GradBench"
PROGRAMS = (
    "gradbench_gmm",
    "gradbench_ba",
    "gradbench_lstm",
    "gradbench_kmeans",
    "gradbench_lse",
    "gradbench_llsq",
    "gradbench_ode",
)


def goals(lines):
    return []
