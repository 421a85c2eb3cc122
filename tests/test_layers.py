"""Imports go one way: a folder of adjoint/ imports only from itself and from folders above it in LAYERS.

The list is the reading order of the package. Imports inside functions count; only the top `__init__` is exempt, because
it re-exports. Importing the top package itself would import everything, so only the command line may.
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "adjoint"
LAYERS = [
    "core", "traces", "primitives", "transforms", "compiler", "numpy", "scipy", "autograd", "ops", "views", "cli", "__main__",
]  # fmt: skip
MAY_IMPORT_TOP = {"cli", "__main__"}


def imported(tree: ast.AST, package: str):
    """Yield (line, absolute dotted name) of each import in a module of `package`, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # from ..core import x: drop level - 1 names from the package
                parts = package.split(".")
                base = ".".join(parts[: len(parts) - node.level + 1] + ([base] if base else []))
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports in `source`, the text of the module with that dotted name, that point down the list."""
    unit = module.split(".")[1]
    if unit not in LAYERS:
        return [f"{module}: {unit} is not in LAYERS"]
    package = module if is_package else module.rpartition(".")[0]
    found = []
    for line, name in imported(ast.parse(source), package):
        top, _, rest = name.partition(".")
        if top != "adjoint":
            continue
        target = rest.partition(".")[0]
        if target not in LAYERS:  # `import adjoint` or `from adjoint import grad`
            if unit not in MAY_IMPORT_TOP:
                found.append(f"{module}:{line} imports {name}: the top package, which imports everything")
        elif LAYERS.index(target) > LAYERS.index(unit):
            found.append(f"{module}:{line} imports {name}: {target} stands below {unit}")
    return found


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts == ("adjoint", "__init__"):
            continue
        is_package = parts[-1] == "__init__"
        yield path, ".".join(parts[:-1] if is_package else parts), is_package


def test_imports_go_one_way():
    files = list(modules())
    assert files
    found = [v for path, name, pack in files for v in violations(path.read_text(encoding="utf-8"), name, pack)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(
    "source, module, is_package",
    [
        ("from adjoint.traces import reverse", "adjoint.core.op", False),
        ("import adjoint.traces.reverse as r", "adjoint.core.op", False),
        ("from adjoint import numpy", "adjoint.core.op", False),
        ("from ..traces import reverse", "adjoint.core.op", False),
        ("from .. import traces", "adjoint.core.op", False),
        ("from ..traces.reverse import Tape", "adjoint.core", True),
        ("from ...primitives import kinds", "adjoint.traces.deep.file", False),
        ("def f():\n    from ..views import show", "adjoint.transforms.derivatives", False),
        ("if TYPE_CHECKING:\n    from ..compiler import jit", "adjoint.core.tensor", False),
        ("from .cli import main", "adjoint.ops", False),
        ("import importlib\nimportlib.import_module('adjoint.views')", "adjoint.core.op", False),
        ("import adjoint as ad", "adjoint.views.show", False),
        ("from adjoint import grad", "adjoint.transforms.check", False),
        ("from .. import grad", "adjoint.transforms.check", False),
        ("x = 1", "adjoint.newfolder.file", False),
    ],
)
def test_the_checker_sees_planted_faults(source, module, is_package):
    assert len(violations(source, module, is_package)) == 1


@pytest.mark.parametrize(
    "source, module, is_package",
    [
        ("import numpy as np\nfrom numpy.linalg import norm\nimport scipy.special", "adjoint.core.op", False),
        ("from . import types\nfrom .errors import E\nfrom ..core.op import bind", "adjoint.core.tensor", False),
        ("from .op import bind\nfrom . import tensor", "adjoint.core", True),
        ("from ..core import op\nfrom adjoint.traces import reverse", "adjoint.primitives.arithmetic", False),
        ("from .. import core, traces", "adjoint.transforms.derivatives", False),
        ("from . import numpy as anp\nfrom .core import op", "adjoint.ops", False),
        ("import adjoint\nfrom . import __version__", "adjoint.cli", False),
        ("import adjointly", "adjoint.core.op", False),
    ],
)
def test_the_checker_lets_good_imports_pass(source, module, is_package):
    assert violations(source, module, is_package) == []
