"""`adjoint book`: run the pages of book/, cell by cell, check each value, write the pictures.

A page is Markdown with cells: ```{code-cell} python, or ```python in pages that Sphinx shows without running them. What
is checked: that no cell raises; each `assert`; and what a cell shows, where it ends with lines `# -> ...` that say so.
All of a page runs in one namespace, under the page's own name and line numbers, so that an error points into the page.
Knows nothing of the package: pages import it themselves.
"""

import ast
import contextlib
import doctest
import io
import linecache
import os
import sys
import time
import traceback
import types
import warnings
from pathlib import Path

from .text import columns

LANGUAGES = ("en", "zh")


class PageError(Exception):
    """A page that is not written as pages are; the message names file and line."""


# Reading a page


class Cell:
    """One code cell: its source and where it starts; what it should show (None: anything) and where that stands."""

    def __init__(self, page, number, lines, start):
        self.page, self.number, self.start = page, number, start
        while lines and lines[0].startswith(":"):  # the cell's options, as `:tags: [...]`
            lines, self.start = lines[1:], self.start + 1
        first = next((i for i, line in enumerate(lines) if line.startswith("# ->")), None)
        self.expected = None
        self.expected_line = self.start
        if first is not None:
            self.expected_line += first
            rows = [lines[first][5:]]
            for i, line in enumerate(lines[first + 1 :], first + 1):
                if line.startswith("#    ") or line == "#":
                    rows.append(line[5:])
                elif line.strip():
                    raise PageError(f"{page.name}:{self.start + i}: `# ->` lines end a cell; this line follows them")
            self.expected = "\n".join(rows)
        self.lines = lines if first is None else lines[:first]
        self.source = "\n".join(self.lines).rstrip()
        # empty lines in front keep the page's line numbers in errors
        try:
            self.tree = ast.parse("\n" * (self.start - 1) + self.source, str(page.path))
        except SyntaxError as error:
            raise PageError(f"{page.name}:{error.lineno}: {error.msg}") from None


class Page:
    """A page: its name for messages (en/autodiff.md), and its parts: headings (level, text) and cells."""

    def __init__(self, path):
        self.path = Path(path)
        self.name = f"{self.path.parent.name}/{self.path.name}"
        self.parts: list = []
        self.cells: list = []
        fence, body, start = "", [], 0
        self.text = self.path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(self.text, 1):
            if fence:
                if line.strip() == fence:
                    if body[0].startswith("{code-cell}") or body[0] == "python":
                        self.cells.append(Cell(self, len(self.cells) + 1, body[1:], start + 1))
                        self.parts.append(self.cells[-1])
                    fence = ""
                else:
                    body.append(line)
            elif line.startswith("```"):
                fence = line[: len(line) - len(line.lstrip("`"))]
                body, start = [line[len(fence) :].strip()], number
            elif line.startswith("#"):
                text = line.lstrip("#")
                self.parts.append((len(line) - len(text), text.strip()))
        if fence:
            raise PageError(f"{self.name}:{start}: this cell is not closed")
        self._keep_code()

    def _keep_code(self):
        """Give Python the page as a file of code, empty lines for the rest: who asks for a function's text finds it."""
        code = ["\n"] * len(self.text)
        for cell in self.cells:
            code[cell.start - 1 : cell.start - 1 + len(cell.lines)] = [line + "\n" for line in cell.lines]
        linecache.cache[str(self.path)] = (sum(map(len, code)), None, code, str(self.path))

    def line(self, number):
        """The text of a line."""
        return self.text[number - 1]


def pages(folder, lang):
    """The pages of a language, by name."""
    found = sorted(Path(folder, lang).glob("*.md"))
    if not found:
        raise PageError(f"there are no pages in {Path(folder, lang)}; name the book's folder with --book")
    return [Page(path) for path in found]


# Running a cell


class Outcome:
    """What a cell did: text shown, checks as (line number, what went wrong or ''), pictures, whether it raised."""

    def __init__(self):
        self.text = ""
        self.checks: list = []
        self.pictures: list = []
        self.raised = False
        self.skipped = ""


def run_cell(cell, namespace, out):
    """Run one cell in a namespace; pictures go to the folder `out`."""
    outcome = Outcome()
    shown = io.StringIO()
    value = None
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown), warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = _warned
            for i, node in enumerate(cell.tree.body):
                if isinstance(node, ast.Assert):
                    outcome.checks.append((node.lineno, _assertion(node, cell, namespace)))
                elif isinstance(node, ast.Expr) and i == len(cell.tree.body) - 1:
                    value = eval(_compiled(ast.Expression(node.value), cell, "eval"), namespace)
                    if value is not None:
                        print(repr(value))
                else:
                    outcome.checks += _statement(node, cell, namespace)
    except Exception as error:
        outcome.raised = True
        missing = _missing(error)
        if missing:
            outcome.skipped = f"{missing} is not installed"
        else:
            line, text = _where(error, cell)
            outcome.checks.append((line, text))
    outcome.text = shown.getvalue().rstrip("\n")
    if cell.expected is not None and not outcome.raised:
        wrong = "" if _agree(cell.expected, outcome.text) else _difference(cell.expected, outcome.text)
        outcome.checks.append((cell.expected_line, wrong))
    outcome.pictures = _pictures(cell, value, out)
    return outcome


def _warned(message, category, filename, lineno, file=None, line=None):
    print(f"{os.path.basename(filename)}:{lineno}: {category.__name__}: {message}")


def _compiled(tree, cell, mode):
    return compile(tree, str(cell.page.path), mode, optimize=0, dont_inherit=True)


def _assertion(node, cell, namespace):
    """Run an assert statement: '' if it holds, else what it compared."""
    try:
        exec(_compiled(ast.Module([node], []), cell, "exec"), namespace)
        return ""
    except AssertionError as error:
        rows = [f"does not hold: {ast.unparse(node.test)}"]
        if error.args:
            rows.append(f"  {error}")
        parts = []
        if isinstance(node.test, ast.Compare):
            parts = [node.test.left, *node.test.comparators]
        elif isinstance(node.test, ast.Call):
            parts = node.test.args
        for part in parts:
            if not isinstance(part, ast.Constant):
                with contextlib.suppress(Exception):
                    value = eval(_compiled(ast.Expression(part), cell, "eval"), namespace)
                    rows.append(f"  {ast.unparse(part)} is {value!r}")
        return "\n".join(rows)


def _statement(node, cell, namespace):
    """Run a statement: the checks in it, which are the asserts of a loop, `if`, `with` or `try`."""
    blocks = (ast.For, ast.While, ast.If, ast.With, ast.Try)
    parts = ast.walk(node) if isinstance(node, blocks) else ()
    inside = [part.lineno for part in parts if isinstance(part, ast.Assert)]
    try:
        exec(_compiled(ast.Module([node], []), cell, "exec"), namespace)
    except AssertionError as error:
        if not inside:
            raise
        line, text = _where(error, cell)
        return [(line, f"does not hold: {cell.page.line(line).strip()}" + (f"\n  {error}" if error.args else ""))]
    return [(line, "") for line in inside]


def _agree(expected, got):
    """The same text, up to blanks at the ends of lines; `...` stands for anything."""
    want = "\n".join(line.rstrip() for line in expected.splitlines()) + "\n"
    have = "\n".join(line.rstrip() for line in got.splitlines()) + "\n"
    flags = doctest.ELLIPSIS | doctest.DONT_ACCEPT_TRUE_FOR_1 | doctest.DONT_ACCEPT_BLANKLINE
    return doctest.OutputChecker().check_output(want, have, flags)


def _difference(expected, got):
    want = "\n  ".join(expected.splitlines())
    have = "\n  ".join(got.splitlines()) or "nothing"
    return f"the cell does not show what the page says\n  {want}\nbut\n  {have}"


def _where(error, cell):
    """The line of the cell that raised, and the error with the page's part of its traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(cell.page.path)]
    if isinstance(error, SyntaxError) and error.filename == str(cell.page.path):
        return error.lineno or cell.start, f"{type(error).__name__}: {error.msg}"
    text = "".join(traceback.format_exception_only(error)).rstrip()
    inner = "".join(f"\n  in {f.name}, line {f.lineno}: {f.line}" for f in frames[1:])
    return (frames[0].lineno if frames else cell.start) or cell.start, text + inner


def _missing(error):
    """The optional package whose absence an error is about, or ''."""
    while error is not None:
        if isinstance(error, ModuleNotFoundError) and error.name:
            top = error.name.partition(".")[0]
            return top if top in ("matplotlib", "scipy") else ""
        error = error.__cause__
    return ""


def _pictures(cell, value, out):
    """Save the figures that the cell drew, and the graph that its last line shows. Returns the paths."""
    stem = f"{cell.page.path.stem}-{cell.number:02d}"
    found = []
    plt = sys.modules.get("matplotlib.pyplot")
    numbers = plt.get_fignums() if plt is not None else []
    for n, number in enumerate(numbers):
        path = Path(out, f"{stem}{chr(ord('a') + n) if n else ''}.png")
        _folder(path)
        plt.figure(number).savefig(path, dpi=110, bbox_inches="tight")
        found.append(path)
    if numbers:
        plt.close("all")
    draw = getattr(type(value), "_repr_svg_", None)
    if draw is not None:
        path = Path(out, f"{stem}.svg")
        _folder(path)
        path.write_text(draw(value), encoding="utf-8")
        found.append(path)
    return found


def _folder(path):
    path.parent.mkdir(parents=True, exist_ok=True)


# Running the book


class Report:
    """One page's result."""

    def __init__(self, page):
        self.page = page
        self.ran = self.checks = 0
        self.failures: list = []  # (line, what)
        self.skipped: list = []
        self.pictures: list = []
        self.seconds = 0.0


def run_page(page, out, say=lambda text="": None, look=None):
    """Run a page in a namespace of its own. `say` gets each line of the account."""
    look = look or Look(False)
    report = Report(page)
    module = types.ModuleType("__main__")
    module.__file__ = str(page.path)
    start = time.perf_counter()
    for part in page.parts:
        if not isinstance(part, Cell):
            look.heading(say, *part)
            continue
        outcome = run_cell(part, module.__dict__, out)
        report.ran += 1
        report.checks += len(outcome.checks)
        report.failures += [(line, what) for line, what in outcome.checks if what]
        report.pictures += outcome.pictures
        look.cell(say, part, outcome)
        if outcome.skipped:
            report.skipped.append(f"{page.name}:{part.start} {outcome.skipped}")
        elif outcome.raised:
            break  # what follows would only repeat it
    report.seconds = time.perf_counter() - start
    return report


def run(lang="all", out=None, book=None) -> int:
    """Run the book and print an account of it. Returns 0, 1 if anything is wrong, 2 if there is no book to run.

    lang: "en", "zh" or "all". out: the folder for pictures (default: _out in the book). book: the folder that holds
    en/ and zh/ (default: book/ beside the package, as in a clone).
    """
    look = Look(_colours())
    say = _say
    try:
        folder = _find(book)
        if lang != "all" and lang not in LANGUAGES:
            raise PageError(f"there is no book in {lang!r}; there is: {', '.join(LANGUAGES)}, all")
        chosen = [(code, pages(folder, code)) for code in (LANGUAGES if lang == "all" else (lang,))]
    except PageError as error:
        print(f"adjoint book: {error}", file=sys.stderr)
        return 2
    out = Path(out) if out is not None else folder / "_out"
    backend = os.environ.get("MPLBACKEND")
    os.environ["MPLBACKEND"] = "Agg"  # pictures go to files: no display is needed
    reports = []
    try:
        for code, rows in chosen:
            for page in rows:
                look.page(say, page)
                reports.append(run_page(page, out / code, say, look))
    finally:
        if backend is None:
            del os.environ["MPLBACKEND"]
        else:
            os.environ["MPLBACKEND"] = backend
    look.summary(say, reports, out)
    return 1 if any(r.failures for r in reports) else 0


def _find(book):
    if book is not None:
        if not Path(book).is_dir():
            raise PageError(f"there is no folder {book}")
        return Path(book)
    beside = Path(__file__).resolve().parent.parent.parent / "book"
    for folder in (beside, Path.cwd() / "book"):
        if (folder / "en").is_dir():
            return folder
    raise PageError("the book does not come with the package; clone the repository, name its folder with --book DIR")


# What the account looks like


def _say(text=""):
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # a terminal that has no such characters
        code = sys.stdout.encoding or "ascii"
        print(text.encode(code, "replace").decode(code), flush=True)


def _colours():
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def pad(text, width):
    return text + " " * max(0, width - columns(text))


class Look:
    """The account of a run: colours where the terminal has them, plain text elsewhere."""

    def __init__(self, colours):
        codes = {"dim": "2", "bold": "1", "good": "32", "bad": "31;1", "code": "36", "head": "1;34"}
        self.paint = (lambda kind, text: f"\033[{codes[kind]}m{text}\033[0m") if colours else (lambda kind, text: text)

    def page(self, say, page):
        say()
        title = f" {page.name} "
        say(self.paint("head", f"═══{title}" + "═" * max(3, 85 - columns(title))))

    def heading(self, say, level, text):
        say()
        say(self.paint("bold", text))
        if level <= 2:
            say(self.paint("dim", "─" * columns(text)))

    def cell(self, say, cell, outcome):
        say()
        for i, line in enumerate(cell.source.splitlines()):
            mark = f"[{cell.number}]" if i == 0 else ""
            say(f"{self.paint('dim', f'{mark:>4} │')} {self.paint('code', line)}")
        for line in outcome.text.splitlines():
            say(f"       {line}")
        for path in outcome.pictures:
            say(f"       {self.paint('dim', 'picture')} {_short(path)}")
        if outcome.skipped:
            say(f"  {self.paint('bold', 'SKIPPED')} {cell.page.name}:{cell.start}: {outcome.skipped}")
        good = [line for line, what in outcome.checks if not what]
        if good:
            say(f"  {self.paint('good', 'OK')}   {cell.page.name}:{','.join(map(str, good))}")
        for line, what in outcome.checks:
            if what:
                rows = what.splitlines()
                say(f"  {self.paint('bad', 'FAILED')} {cell.page.name}:{line}: {rows[0]}")
                for row in rows[1:]:
                    say(f"         {row}")

    def summary(self, say, reports, out):
        counts = [(r.ran, len(r.page.cells), r.checks, len(r.failures), len(r.pictures), r.seconds) for r in reports]
        total = [sum(column) for column in zip(*counts)]
        rows = [(name, f"{c[0]}/{c[1]}", *map(str, c[2:5]), f"{c[5]:.1f}")
                for name, c in zip([*(r.page.name for r in reports), ""], [*counts, total])]  # fmt: skip
        head = ("page", "cells", "checks", "wrong", "pictures", "seconds")
        widths = [max(columns(row[i]) for row in [head, *rows]) for i in range(len(head))]

        def line(row):
            return "  ".join([pad(row[0], widths[0])] + [f"{text:>{w}}" for text, w in zip(row[1:], widths[1:])])

        say()
        say(self.paint("head", "═" * 89))
        say(self.paint("bold", line(head)))
        for r, row in zip([*reports, None], rows):
            wrong = r.failures if r is not None else total[3]
            say(self.paint("bad", line(row)) if wrong else line(row))
        say()
        if total[4]:
            say(f"The pictures are in {_short(out)}{os.sep}")
        for text in (text for r in reports for text in r.skipped):
            say(f"Skipped: {text}")
        for r in reports:
            for number, what in r.failures:
                say(f"{self.paint('bad', 'FAILED')} {r.page.name}:{number}: {what.splitlines()[0]}")
        if not total[3]:
            say(self.paint("good", f"All {total[2]} checks hold."))


def _short(path):
    """A path as seen from here, where that is shorter."""
    with contextlib.suppress(ValueError):
        return str(Path(path).resolve().relative_to(Path.cwd()))
    return str(path)
