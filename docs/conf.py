"""Sphinx's settings. The book's pages are copied from ../book before each build, and run during it."""

import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import adjoint  # noqa: E402

project = "adjoint"
author = "The adjoint developers"
release = version = adjoint.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = ["_build", "jupyter_execute"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 60
default_role = "py:obj"  # `name` in a docstring: a link where the name is documented, else code
autodoc_member_order = "bysource"
add_module_names = False

html_theme = "furo"
html_title = f"adjoint {version}"


def copy_book(app):
    """book/en and book/zh to docs/book, without the lines that say what a cell shows: here it shows it."""
    target = HERE / "book"
    shutil.rmtree(target, ignore_errors=True)
    for page in sorted((HERE.parent / "book").glob("[a-z][a-z]/*.md")):
        copy = target / page.relative_to(HERE.parent / "book")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(without_expectations(page.read_text(encoding="utf-8")), encoding="utf-8")


def without_expectations(text):
    """A page without the `# ->` lines, and those that continue them, at the ends of its cells."""
    kept, in_cell, dropping = [], False, False
    for line in text.splitlines():
        if line.startswith("```"):
            in_cell, dropping = line.startswith("```{code-cell}"), False
        dropping = dropping or (in_cell and line.startswith("# ->"))
        if not dropping:
            kept.append(line)
    return "\n".join(kept) + "\n"


def setup(app):
    app.connect("builder-inited", copy_book)
