"""The coverage page is the one that `adjoint coverage --markdown` writes, and nothing of NumPy falls through."""

import re
from pathlib import Path

import pytest

from adjoint.cli import main
from adjoint.views import coverage

PAGE = Path(__file__).parent.parent.parent / "docs" / "coverage.md"


@pytest.fixture(scope="module")
def groups():
    return coverage.table()


def test_nothing_of_numpy_falls_through(groups):
    uncovered = {g: [row[0] for row in rows if row[1] == "not covered"] for g, rows in groups.items() if "numpy" in g}
    assert {g: names for g, names in uncovered.items() if names} == {}


def test_each_name_is_once_and_has_a_state(groups):
    for rows in groups.values():
        assert len({name for name, _, _ in rows}) == len(rows)
        assert {state for _, state, _ in rows} <= set(coverage.STATES)


def test_what_is_refused_says_why(groups):
    assert [name for rows in groups.values() for name, state, text in rows if state == "refused" and not text] == []


@pytest.mark.parametrize(
    "name, state",
    [
        ("sin", "differentiable"), ("interp", "differentiable"), ("argmax", "no derivative"), ("floor", "no derivative"),
        ("arange", "refused"), ("eye", "creation"), ("copyto", "refused"), ("linalg.svd", "differentiable"),
        ("fft.rfft", "differentiable"), ("ndarray.tolist", "refused"), ("ndarray.clip", "differentiable"),
    ],
)  # fmt: skip
def test_state(groups, name, state):
    assert {n: s for rows in groups.values() for n, s, _ in rows}[name] == state


def test_the_page_is_up_to_date_in_its_names(groups):
    """Names by state; not the messages, nor what only one version of NumPy or SciPy has."""
    text = PAGE.read_text(encoding="utf-8")
    listed = {}
    for state, names in re.findall(r"^\*\*([a-z ]+)\*\* \(\d+\): (.*)$", text, re.M):
        listed |= dict.fromkeys(re.findall(r"`([^`]+)`", names), state)
    listed |= dict.fromkeys(re.findall(r"^\| `([^`]+)` \|", text, re.M), "refused")
    found = {name: state for rows in groups.values() for name, state, _ in rows}
    wrong = {n: (listed[n], s) for n, s in found.items() if n in listed and listed[n] != s}
    assert wrong == {}, "write it anew: adjoint coverage --markdown > docs/coverage.md"
    assert len(set(found) ^ set(listed)) < 40


def test_the_command_prints_it(capsys):
    assert main(["coverage"]) == 0
    out = capsys.readouterr().out
    assert "not covered" in out and re.search(r"^linalg.svd +differentiable", out, re.M)
