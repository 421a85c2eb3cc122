"""Settings for every test: one BLAS thread a process, repeatable hypothesis runs, and the time of each suite."""

import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import settings

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")  # read when NumPy is imported, which is later; workers would fight for the cores

os.environ.setdefault("ADJOINT_CACHE", "0")  # tests neither read nor fill the user's folder of compiled code

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=25)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def no_disk_cache(monkeypatch):
    """Compiled code is neither read from the user's folder nor put there."""
    from adjoint.compiler.native import cache

    monkeypatch.setattr(cache, "folder", lambda: None)


_seconds: dict[str, float] = defaultdict(float)


def pytest_runtest_logreport(report):
    _seconds["/".join(Path(report.nodeid.split("::")[0]).parts[:2])] += report.duration


def pytest_terminal_summary(terminalreporter):
    """Print the time of each suite (a folder or a file directly under tests/), summed over the workers."""
    if not _seconds:
        return
    terminalreporter.section("time of each suite")
    for line in filter(None, os.environ.get("ADJOINT_DEV_REPORT", "").splitlines()):  # ruff and mypy, from dev.py
        terminalreporter.write_line(line)
    for suite, seconds in sorted(_seconds.items()):
        terminalreporter.write_line(f"{suite:<32} {seconds:7.1f} s")
