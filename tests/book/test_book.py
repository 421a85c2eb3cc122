"""The book runs, in both languages; and the runner finds what is wrong in a page."""

import ast
import shutil
from pathlib import Path

import pytest

from adjoint.views import book

ROOT = Path(__file__).parent.parent.parent
BOOK = ROOT / "book"
PAGES = [(lang, path.name) for lang in book.LANGUAGES for path in sorted((BOOK / lang).glob("*.md"))]


@pytest.fixture(autouse=True)
def no_display(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    pytest.importorskip("matplotlib")


@pytest.mark.parametrize("lang, name", PAGES)
def test_page(lang, name, tmp_path):
    report = book.run_page(book.Page(BOOK / lang / name), tmp_path)
    assert not report.failures
    assert not report.skipped
    assert report.ran == len(report.page.cells) > 0
    assert report.checks > 0
    assert all(path.stat().st_size > 1000 for path in report.pictures)


def test_pictures_are_written(tmp_path):
    report = book.run_page(book.Page(BOOK / "en" / "02-exercises.md"), tmp_path)
    assert {path.suffix for path in report.pictures} == {".png", ".svg"}
    assert sorted(tmp_path.iterdir()) == sorted(report.pictures)


def test_both_languages_have_the_same_pages():
    assert [n for lang, n in PAGES if lang == "en"] == [n for lang, n in PAGES if lang == "zh"]


@pytest.mark.parametrize("name", sorted({name for _, name in PAGES}))
def test_both_languages_run_the_same_code(name):
    """The same statements, the same expected values, the same sections; comments are in the page's language."""
    en, zh = (book.Page(BOOK / lang / name) for lang in ("en", "zh"))
    assert len(en.cells) == len(zh.cells)
    for a, b in zip(en.cells, zh.cells):
        assert ast.dump(a.tree) == ast.dump(b.tree), f"{name}:{a.start} and :{b.start}"
        assert a.expected == b.expected, f"{name}:{a.start} and :{b.start}"
    sections = [[p[0] for p in page.parts if not isinstance(p, book.Cell)] for page in (en, zh)]
    assert sections[0] == sections[1]


# A copy with a fault in it


def write(tmp_path, text, lang="en"):
    (tmp_path / lang).mkdir(exist_ok=True)
    page = tmp_path / lang / "page.md"
    page.write_text("# A page\n\n```{code-cell} python\n" + text + "\n```\n", encoding="utf-8")
    return page


@pytest.mark.parametrize(
    "old, new, line",
    [
        ("assert np.allclose(a.grad, d / a)", "assert np.allclose(a.grad, 1.1 * d / a)", "does not hold"),
        ("value= 28)", "value= 29)", "does not show what the page says"),
        ("y = 2 * ops.dot(x, x)", "y = 2 * ops.dott(x, x)", "AttributeError"),
    ],
)
def test_a_planted_fault_is_found(tmp_path, capsys, old, new, line):
    shutil.copytree(BOOK / "en", tmp_path / "en")
    page = tmp_path / "en" / "01-autodiff.md"
    text = page.read_text(encoding="utf-8")
    assert old in text
    page.write_text(text.replace(old, new, 1), encoding="utf-8")
    for other in (tmp_path / "en").glob("0[23]*"):
        other.unlink()
    number = text[: text.index(old)].count("\n") + 1
    assert book.run("en", out=tmp_path / "out", book=tmp_path) == 1
    shown = capsys.readouterr().out
    failed = next(row for row in shown.splitlines() if "FAILED" in row)
    assert f"en/01-autodiff.md:{number}" in failed or "says" in failed
    assert line in failed


def test_a_good_page_exits_with_0(tmp_path, capsys):
    write(tmp_path, "print(1)\n2 + 2\n# -> 1\n#    4")
    assert book.run("en", book=tmp_path) == 0
    assert "All 1 checks hold." in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, what",
    [
        ("assert 1 == 2", "en/page.md:4: does not hold: 1 == 2"),
        ("x = 1\nassert x == 2, 'no'", "x is 1"),
        ("for i in [1]:\n    assert i == 2", "en/page.md:5: does not hold: assert i == 2"),
        ("print(1)\n# -> 2", "the cell does not show"),
        ("x = 1\n# -> 1", "nothing"),
        ("1 + 1\n# -> 2\n#    3", "the cell does not show"),
        ("1 / 0", "ZeroDivisionError"),
        ("def f():\n    raise KeyError('k')\nf()", "in f, line 5: raise KeyError('k')"),
        ("import warnings\nwarnings.warn('w')\n1\n# -> 1", "UserWarning"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, capsys, text, what):
    write(tmp_path, text)
    assert book.run("en", book=tmp_path) == 1
    assert what in capsys.readouterr().out


def test_three_dots_stand_for_anything(tmp_path, capsys):
    write(tmp_path, "print('a 12 b')\n# -> a ... b")
    assert book.run("en", book=tmp_path) == 0


def test_true_is_not_one(tmp_path, capsys):
    write(tmp_path, "1\n# -> True")
    assert book.run("en", book=tmp_path) == 1


def test_cells_after_an_error_do_not_run(tmp_path, capsys):
    write(tmp_path, "1 / 0\n```\n\n```{code-cell} python\nprint('ran')")
    assert book.run("en", book=tmp_path) == 1
    assert "1/2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "lang, text, what",
    [
        ("fr", "1", "no book in 'fr'"),
        ("zh", "1", "no pages"),
        ("en", "1\n# -> 1\nx = 2", "en/page.md:6: `# ->` lines end a cell"),
        ("en", "x = 1\n1 +", "en/page.md:5: invalid syntax"),
        ("en", "1\n```\n\n````{code-cell} python\n2", "en/page.md:7: this cell is not closed"),
    ],
)
def test_a_book_that_cannot_be_read_exits_with_2(tmp_path, capsys, lang, text, what):
    write(tmp_path, text)
    assert book.run(lang, book=tmp_path) == 2
    assert what in capsys.readouterr().err


def test_no_book_there(tmp_path, capsys):
    assert book.run(book=tmp_path / "nowhere") == 2
    assert "no folder" in capsys.readouterr().err


def test_without_matplotlib_a_picture_is_skipped(tmp_path, capsys, monkeypatch):
    write(tmp_path, "import matplotlib.nothing_of_this_name")
    assert book.run("en", book=tmp_path) == 0
    assert "SKIPPED" in capsys.readouterr().out


def test_the_backend_is_put_back(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "pdf")
    write(tmp_path, "import os\nos.environ['MPLBACKEND']\n# -> 'Agg'")
    assert book.run("en", book=tmp_path) == 0
    import os

    assert os.environ["MPLBACKEND"] == "pdf"
