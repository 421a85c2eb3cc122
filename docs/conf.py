"""Sphinx's settings. The book's pages are copied from ../book before each build, and run during it."""

import os
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))  # this checkout, here and in the processes that run the pages
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))

from docutils import nodes  # noqa: E402
from docutils.utils.math.latex2mathml import tex2mathml  # noqa: E402

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

html_math_renderer = "mathml"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["page.css"]
html_show_copyright = False
html_title = f"adjoint {version}"


NOTEBOOK = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  name: python3
  display_name: Python 3
---
"""


def copy_book(app):
    """book/en and book/zh to docs/book, as notebooks, and without the lines that say what a cell shows: it shows it."""
    target = HERE / "book"
    shutil.rmtree(target, ignore_errors=True)
    for page in sorted((HERE.parent / "book").glob("[a-z][a-z]/*.md")):
        copy = target / page.relative_to(HERE.parent / "book")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(NOTEBOOK + without_expectations(page.read_text(encoding="utf-8")), encoding="utf-8")


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


def plain_text(app, what, name, obj, options, lines):
    """Docstrings are plain text: in `f(*args)` the star is a star, and begins no emphasis."""
    example = False
    for i, line in enumerate(lines):
        example = line.lstrip().startswith(">>>") or (example and bool(line.strip()))
        if not example:
            lines[i] = line.replace("*", "\\*")


def formula(as_block):
    """Formulas as MathML, which browsers show themselves: the pages ask no server for a script, and can be read offline."""

    def visit(translator, node):
        translator.body.append(tex2mathml(node.astext(), as_block=as_block))
        raise nodes.SkipNode

    return visit, None


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=formula(False), block_renderers=formula(True))
    app.connect("builder-inited", copy_book)
    app.connect("autodoc-process-docstring", plain_text)
