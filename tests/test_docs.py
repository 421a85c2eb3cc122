"""The documentation is true: its code runs and shows what it says, and what it lists is what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import adjoint as ad
from adjoint.core import errors

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md"))


@pytest.mark.parametrize("name", PAGES)
def test_the_code_on_a_page_runs(name, tmp_path):
    """In a process of its own: a page may register ops."""
    program = f"""
from adjoint.views.book import Page, run_page
report = run_page(Page({str(DOCS / name)!r}), {str(tmp_path)!r})
for line, what in report.failures:
    print(f"{name}:{{line}}: {{what}}")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, encoding="utf-8")
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr


def test_every_error_has_its_section():
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    there = {n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, errors.AdjointError)}
    shown = {n for n in there - {"AdjointError"} if not n.startswith("_")}
    assert set(re.findall(r"^## (\w+)$", text, re.M)) == shown


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"(?:autofunction|autoclass|autoexception|data)::\s+(?:adjoint\.)?(\w+)", text))
    listed |= set(re.findall(r"^## `adjoint\.(\w+)`$", text, re.M))
    assert set(ad.__all__) <= listed


def test_links_between_pages_lead_somewhere():
    for page in [*DOCS.glob("*.md"), *(ROOT / "book").glob("*/*.md"), ROOT / "README.md", ROOT / "README.zh.md"]:
        for target in re.findall(r"\]\(([\w./-]+\.md)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_page_of_the_book_is_in_the_contents():
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "book").glob("[a-z][a-z]/*.md"):
        assert page.relative_to(ROOT).with_suffix("").as_posix() in text
    for page in DOCS.glob("*.md"):
        assert page.stem == "index" or page.stem in text


def test_expectations_are_left_out_of_the_copies():
    text = "# -> kept\n\n```{code-cell} python\nx\n# -> 1\n#    2\n```\ntext\n\n```python\n1\n# -> 1\n```\n"
    source = (DOCS / "conf.py").read_text(encoding="utf-8")
    start = source.index("def without_expectations")
    namespace: dict = {}
    exec(source[start : source.index("def plain_text")], namespace)
    assert namespace["without_expectations"](text) == text.replace("# -> 1\n#    2\n", "")


def test_every_file_of_the_compiler_is_described():
    text = (DOCS / "how-it-works.md").read_text(encoding="utf-8")
    compiler = ROOT / "adjoint" / "compiler"
    for path in compiler.rglob("*.py"):
        if path.name != "__init__.py" and path.parent.name != "vecmath":
            assert f"`{path.name}`" in text, path.relative_to(ROOT)
