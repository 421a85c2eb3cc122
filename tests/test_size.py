"""The base install stays small: it needs NumPy alone, and importing it loads nothing optional."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
OPTIONAL = ("scipy", "matplotlib", "llvmlite", "dask")


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_numpy_is_the_one_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == ["numpy>=2"]


def test_import_loads_nothing_optional():
    assert run(f"import sys, adjoint; print([m for m in {OPTIONAL} if m in sys.modules])") == "[]"


def test_works_where_nothing_optional_is_installed():
    program = f"""
import sys
sys.modules.update(dict.fromkeys({OPTIONAL}))  # None there makes an import raise ImportError
import numpy as np
import adjoint as ad
print(ad.grad(lambda x: np.sin(x).sum() + (x @ x))(np.zeros(2)).tolist())
"""
    assert run(program) == "[1.0, 1.0]"
