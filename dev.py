#!/usr/bin/env python3
"""The developer's one tool: makes .venv beside this file when it is needed, then runs a command in it.

    python3 dev.py run              the book: every page, cell by cell, each value checked
    python3 dev.py test [args]      ruff, mypy, then pytest in parallel; args go to pytest
    python3 dev.py lint [args]      ruff alone
    python3 dev.py types [args]     mypy alone
    python3 dev.py bench [args]     the benchmarks, beside peer libraries, in .venv-bench
    python3 dev.py fuzz [args]      the laws over the full product of ops, dtypes, shapes and modes
    python3 dev.py docs [args]      the documentation, into docs/_build/html; args go to Sphinx
    python3 dev.py clean [--all]    remove caches and outputs; with --all the environments too

Needs Python 3.11 or newer and nothing else; uses uv where it is on the PATH, else venv and pip.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BENCH_VENV = ROOT / ".venv-bench"
OLDEST = (3, 11)
PEERS = [
    "torch==2.13.0", "autograd==1.9.1", "jax==0.10.2", "casadi==3.8.2", "mygrad==2.5.0", "numba==0.68.1",
    "mindspore==2.10.0",  # 0.8 GB to fetch
]  # fmt: skip


# ---- the environment ----


def find_python() -> tuple[str, tuple[int, int]]:
    """A Python that is new enough, and its version: the running one if it will do."""
    if sys.version_info >= OLDEST:
        return getattr(sys, "_base_executable", None) or sys.executable, sys.version_info[:2]
    for command in (["python3.13"], ["python3.12"], ["python3.11"], ["py", "-3"]):
        if shutil.which(command[0]):
            found = output(*command, "-c", "import sys; print(*sys.version_info[:2], sys.executable)")
            major, minor, path = found.split(maxsplit=2) if found else ("0", "0", "")
            if (int(major), int(minor)) >= OLDEST:
                return path, (int(major), int(minor))
    running = ".".join(map(str, sys.version_info[:3]))
    sys.exit(
        f"adjoint needs Python 3.11 or newer. This is Python {running}, and no newer one is on the PATH.\n"
        "Install one (python.org/downloads, or your system's packages), then run this again with it."
    )


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv(venv: Path, python: str, version: tuple[int, int]) -> None:
    """Make `venv` unless a working one with this version is there; a broken or half-made one is made anew."""
    # .unfinished stands from a venv's birth to its first complete install.
    needs = "import sys; print(*sys.version_info[:2])" + ("" if shutil.which("uv") else "; import pip")
    if not (venv / ".unfinished").exists() and output(python_of(venv), "-c", needs) == "{} {}".format(*version):
        return
    if venv.exists() or venv.is_symlink():
        say(f"{venv.name} is broken, unfinished or of another Python: making it anew")
        venv.unlink() if venv.is_symlink() else shutil.rmtree(venv)
    say(f"making {venv.name} with Python {version[0]}.{version[1]}")
    if shutil.which("uv"):
        status = run("uv", "venv", "--quiet", "--python", python, venv)
    elif output(python, "-c", "import venv, ensurepip; print('ok')") == "ok":
        status = run(python, "-m", "venv", venv)
    else:
        sys.exit(
            f"This Python ({python}) comes without venv, which is needed to make {venv.name}.\n"
            "On Debian or Ubuntu install it with\n\n    sudo apt install python3-venv\n\n"
            f"(or python{version[0]}.{version[1]}-venv, if this is not the system's own Python), then run this again."
        )
    if status:
        sys.exit(status)
    (venv / ".unfinished").touch()


def install(venv: Path, *what: str) -> int:
    if shutil.which("uv"):
        return run("uv", "pip", "install", "--quiet", "--python", python_of(venv), *what)
    return run(python_of(venv), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what)


def ready(venv: Path = VENV, extra: str = "dev", peers: tuple[str, ...] | list[str] = ()) -> Path:
    """The Python of `venv`, with adjoint[extra] installed in place; instant when nothing has changed.

    The stamp holds what was installed and, below it, the peers that could not be.
    """
    python, version = find_python()
    inputs = [(ROOT / "pyproject.toml").read_bytes(), repr((version, str(ROOT), extra, peers)).encode()]
    digest = hashlib.sha256(b"".join(inputs)).hexdigest()
    stamp = venv / f".stamp-{extra}"
    lines = stamp.read_text().split("\n") if stamp.exists() else [""]
    if lines[0] != digest or not python_of(venv).exists():
        make_venv(venv, python, version)
        say(f"installing adjoint[{extra}] into {venv.name}")
        if install(venv, "-e", f".[{extra}]"):
            sys.exit(f"dev.py: could not install adjoint[{extra}]; the reason stands above. Is there a network?")
        lines = [digest] + [peer for peer in peers if say(f"installing {peer}") or install(venv, peer)]
        run(python_of(venv), "-m", "compileall", "-q", "adjoint")  # as pip does with what it copies: imports are quick at once
        if (venv / ".unfinished").exists():
            (venv / ".unfinished").unlink()
        stamp.write_text("\n".join(lines))
    if lines[1:]:
        say(f"missing peers, which will not be measured: {', '.join(lines[1:])} (clean --all, then bench, tries again)")
    return python_of(venv)


# ---- running things ----


def say(text: str) -> None:
    print(f"dev.py: {text}", flush=True)


def run(*command, **env: str) -> int:
    """Run a command in the repository's root; its exit status."""
    try:
        return subprocess.call([str(word) for word in command], cwd=ROOT, env={**os.environ, **env})
    except KeyboardInterrupt:
        return 130


def output(*command) -> str:
    """What a command prints, stripped; "" if it fails or is not there."""
    words = [str(word) for word in command]
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


# ---- the commands: each takes the rest of the command line, and returns an exit status ----


def book(*args: str) -> int:
    return run(ready(), "-m", "adjoint", "book", *args)


def lint(*args: str) -> int:
    return run(ready(), "-m", "ruff", "check", *(args or (".",)))


def types(*args: str) -> int:
    return run(ready(), "-m", "mypy", *(args or ("adjoint",)))


def test(*args: str) -> int:
    """All three run, whatever fails; pytest is the last, so that its summary is the last line."""
    python, report, failed = ready(), [], 0
    for name, check in (("ruff", lint), ("mypy", types)):
        start = time.perf_counter()
        status = check()
        failed = failed or status
        report.append(f"{name:<32} {time.perf_counter() - start:7.1f} s" + ("   FAILED" if status else ""))
    for line in report:
        say(line)
    status = run(python, "-m", "pytest", "-n", "auto", *args, ADJOINT_DEV_REPORT="\n".join(report))
    return status or failed


def bench(*args: str) -> int:
    if "--page" in args:  # draws, and measures nothing
        return run(ready(), "-m", "benchmarks", *args)
    return run(ready(BENCH_VENV, "jit", PEERS), "-m", "benchmarks", *args)


def fuzz(*args: str) -> int:
    return run(ready(), "-m", "tests.fuzz", *args)


def docs(*args: str) -> int:
    ready()
    return run(ready(extra="docs"), "-m", "sphinx", "-b", "html", *args, "docs", "docs/_build/html")


def clean(*args: str) -> int:
    if args not in ((), ("--all",)):
        sys.exit("usage: dev.py clean [--all]")
    outputs = [
        ROOT / "build",
        ROOT / "dist",
        ROOT / "docs/_build",
        ROOT / "docs/jupyter_execute",
        ROOT / "docs/book",
        ROOT / "book/_out",
    ]
    outputs += [ROOT / name for name in (".hypothesis", ".mypy_cache", ".pytest_cache", ".ruff_cache")]
    for folder in ("adjoint", "tests", "benchmarks", "book", "docs", "scripts"):
        outputs += (ROOT / folder).rglob("__pycache__")
    for path in [*outputs, ROOT / "__pycache__"] + ([VENV, BENCH_VENV] if args else []):
        if path.is_dir():
            shutil.rmtree(path)
            say(f"removed {path.relative_to(ROOT)}")
    return 0


COMMANDS = {
    "run": book, "test": test, "lint": lint, "types": types, "bench": bench, "fuzz": fuzz, "docs": docs, "clean": clean,
}  # fmt: skip


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print((__doc__ or "").strip())
        return 0
    if argv[0] not in COMMANDS:
        print(f"dev.py: no command {argv[0]!r}. There are: {', '.join(COMMANDS)}.", file=sys.stderr)
        return 2
    return COMMANDS[argv[0]](*argv[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
