"""Benchmarks beside peer libraries, in one run: `python3 dev.py bench`. One file a question; ratios are what counts.

One thread everywhere, no object code from the disk. This must be said before NumPy is imported, hence here.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("ADJOINT_CACHE", "0")  # a first call compiles, as the peers' first calls do
