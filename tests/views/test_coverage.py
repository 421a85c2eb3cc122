"""The coverage page is the one that `adjoint coverage --markdown` writes, and nothing of NumPy falls through."""

import re
from pathlib import Path

import numpy as np
import pytest

import adjoint as ad
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
        ("arange", "refused"), ("eye", "creation"), ("copyto", "differentiable"), ("linalg.svd", "differentiable"),
        ("fft.rfft", "differentiable"), ("ndarray.tolist", "refused"), ("ndarray.clip", "differentiable"),
    ],
)  # fmt: skip
def test_state(groups, name, state):
    assert {n: s for rows in groups.values() for n, s, _ in rows}[name] == state


def test_the_page_is_up_to_date_in_its_names(groups):
    """Names by state; not the messages, nor what only one version of NumPy or SciPy has."""
    text = PAGE.read_text(encoding="utf-8")
    listed = dict.fromkeys(
        re.findall(r"^\| `([^`]+)` \|.*\|.*\|.*\| [0-9]e[-+][0-9]+ [cd] \|$", text, re.M), "differentiable"
    )
    for state, names in re.findall(r"^\*\*([a-z ]+)\*\* \(\d+\): (.*)$", text, re.M):
        listed |= dict.fromkeys(re.findall(r"`([^`]+)`", names), state)
    listed = dict.fromkeys(re.findall(r"^\| `([^`]+)` \|", text, re.M), "refused") | listed
    found = {name: state for rows in groups.values() for name, state, _ in rows}
    wrong = {n: (listed[n], s) for n, s in found.items() if n in listed and listed[n] != s}
    assert wrong == {}, "write it anew: adjoint coverage --markdown > docs/coverage.md"
    assert len(set(found) ^ set(listed)) < 40


# What depends on the values has no batch: NumPy's answer has another length in each lane.
RAGGED = {
    "histogram_bin_edges", "intersect1d", "polydiv", "polymul", "roots", "setdiff1d", "setxor1d", "trim_zeros", "union1d", "unique",
    "unique_all", "unique_counts", "unique_inverse", "unique_values",
}  # fmt: skip


def test_each_derivative_is_right_in_each_mode():
    """The numbers of the page: reverse, forward, batch, second order, float32, complex."""
    wrong = {}
    for rows in coverage._rows().values():
        for name, state, _, call in rows:
            if state == "differentiable":
                found = coverage.measure(call, coverage._V, coverage._M)
                missing = set(coverage.MODES) - set(found.modes) - ({"batch"} if name in RAGGED else set())
                # itairy: SciPy's values are good to 1e-8, so are their differences
                if (
                    missing
                    or found.error > (1e-7 if name == "special.itairy" else 1e-8)
                    or "complex WRONG" in found.dtypes
                    or "float32" not in found.dtypes
                ):
                    wrong[name] = (sorted(missing), found)
    assert wrong == {}


def test_a_wrong_rule_is_seen():
    wrong = ad.custom_rule(np.sin, jvp=lambda ts, y, x: ts[0] * np.cos(x) * 1.001)
    found = coverage.measure(lambda x, m: wrong(x), coverage._V, coverage._M)
    assert found.error > 1e-4 and "float64" not in found.dtypes and "complex WRONG" in found.dtypes
    assert not {"reverse", "forward"} & set(found.modes)


def test_the_command_prints_it(capsys):
    assert main(["coverage"]) == 0
    out = capsys.readouterr().out
    assert "not covered" in out and re.search(r"^linalg.svd +differentiable", out, re.M)
