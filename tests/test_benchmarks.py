"""The benchmarks' own machinery: fits, comparison with a saved table, time limits, the page. No library is measured here."""

import copy
import json
import sys

import numpy as np
import pytest

from benchmarks import apart, harness, page, scaling
from benchmarks.contenders import CPP, FAST, JIT
from benchmarks.harness import Bench, merged
from benchmarks.program import load, rebind


def a_run(ours=2.0e-6, cpp=1.0e-6):
    """Results as Bench keeps them: one program, and the table of all."""
    rows = [
        {"name": JIT, "cpu": ours, "wall": ours, "spread": 0.02, "ratio": 1.0},
        {"name": FAST, "cpu": cpp, "wall": cpp, "spread": 0.03, "ratio": ours / cpp},
    ]
    lines = [
        {"title": "slow 5", "base": JIT, FAST: 2.0, CPP: 1.5, "peer": 0.1, "best peer": "JAX jit"},
        {"title": "quick 5", "base": JIT, FAST: 0.5, CPP: 0.4, "peer": 1.5, "best peer": "CasADi", "equal": True},
    ]
    goal = {"what": "to C++ -ffast-math, worst", "value": 2.0, "at most": 1.5, "met": False}
    return [
        {"title": "slow 5", "rows": rows, "goals": [], "refused": {"JAX jit": "as written: refused: TypeError: no"}},
        {"title": "control flow", "rows": [], "summary": lines, "goals": [goal]},
    ]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    monkeypatch.setattr(harness, "SAVED", tmp_path / "saved.json")
    monkeypatch.setattr(harness, "ROOT", tmp_path)
    made = Bench(quick=True)
    made.results = a_run()
    return made


def test_exponent():
    sizes = [10, 100, 1000, 10000]
    assert scaling.exponent(sizes, [3.0 * n**1.5 for n in sizes]) == pytest.approx(1.5)
    bent = [1.0 + 1e-3 * n for n in sizes]  # a constant part, then linear
    assert scaling.exponent(sizes, bent) < 0.5
    assert scaling.last_decade(sizes, bent) == pytest.approx(np.log10(11.0 / 2.0))


def test_what_became_slower_is_told(bench, capsys):
    bench.finish("first", save=True)
    assert bench.finish("same", compare=True) == 0
    bench.results = a_run(ours=2.4e-6)
    assert bench.finish("slower", compare=True) == 1
    assert "SLOWER slow 5: adjoint jit 1.20 times" in capsys.readouterr().out


def test_a_slower_machine_is_not_a_slower_program(bench):
    bench.finish("first", save=True)
    bench.results = a_run(ours=4.0e-6, cpp=2.0e-6)
    assert bench.finish("all twice as slow", compare=True) == 0


def test_nothing_to_compare_with_is_not_green(bench, capsys):
    assert bench.finish("alone", compare=True) == 1
    bench.finish("first", save=True)
    for e in bench.results:
        e["title"] += ", another size"
    assert bench.finish("others", compare=True) == 1
    assert "none of these tables" in capsys.readouterr().out


def test_saving_a_part_keeps_the_rest():
    old = {"time": "Monday", "cpu": "a", "quick": False, "results": a_run()}
    new = {"time": "Tuesday", "cpu": "a", "quick": False, "results": a_run(ours=5.0)[:1]}
    both = merged(copy.deepcopy(old), copy.deepcopy(new))
    assert [(e["title"], e["time"]) for e in both["results"]] == [("slow 5", "Tuesday"), ("control flow", "Monday")]
    assert both["results"][0]["rows"][0]["cpu"] == 5.0
    assert len(merged(old, {**new, "cpu": "b"})["results"]) == 1  # another machine: nothing to keep


def test_rebinding_twice_keeps_both():
    load("runge_kutta")
    f = sys.modules["benchmarks.programs.runge_kutta"].f
    short = rebind(rebind(f, STEPS=1), np=np)
    p = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0])  # x' = x: one step is Taylor's polynomial of degree 4
    h = 0.01
    assert short(p) == pytest.approx(1 + h + h**2 / 2 + h**3 / 6 + h**4 / 24, rel=1e-15)


def test_time_limit():
    program = load("runge_kutta")[0]
    with pytest.raises(apart.GaveUp, match=r"gave up after 0\.05 s"):
        apart.measure(program, 1000, "float64", "JAX jit", limit=0.05)
    with pytest.raises(RuntimeError, match="no such row"):
        apart.measure(program, 1000, "float64", "no such row", limit=100)


def test_page(bench, tmp_path, monkeypatch):
    bench.info["versions"] = {"numpy": "2.4.6", "torch": "2.13.0+cpu", "mindspore": None}
    bench.missing = ["mindspore"]
    bench.finish("first", save=True)
    text = "by hand\n\n<!-- made: {} -->\n{}<!-- end -->\n\nmore by hand\n"
    (tmp_path / "speed.md").write_text("".join(text.format(name, "old\n") for name in page.REGIONS))
    for name, value in {"PAGE": tmp_path / "speed.md", "PLOTS": tmp_path / "plots", "ROOT": tmp_path,
                        "SAVED": tmp_path / "saved.json"}.items():  # fmt: skip
        monkeypatch.setattr(page, name, value)
    assert page.write() == 0
    made = (tmp_path / "speed.md").read_text()
    assert made.count("by hand") == 2 * len(page.REGIONS)
    assert "old\n" not in made and page.NOTHING in made
    assert "PyTorch 2.13.0" in made and "Not installed there, so not compared with: MindSpore" in made
    assert "* slow 5: 1.5 times C++ -O3, 2 times C++ -ffast-math\n" in made
    assert "* quick 5" not in made  # the peer's lead is within the spread
    assert "| slow 5 | **1.5** | **2** | - | 0.1 | JAX jit |" in made
    assert "| slow 5 | refused |" in made
    assert str(tmp_path) not in made
    assert (tmp_path / "plots" / "control.svg").read_text().count("quick 5") >= 1
    assert page.write([tmp_path / "saved.json"]) == 0
    assert (tmp_path / "speed.md").read_text() == made  # made again, the same


def test_goals_are_kept_as_they_are(bench):
    bench.goal(bench.results[0], "a number of NumPy's", np.float64(3.0), 2)
    bench.finish("first", save=True)
    kept = json.loads(harness.SAVED.read_text())["results"][0]["goals"]
    assert kept == [{"what": "a number of NumPy's", "value": 3.0, "at most": 2, "met": False}]
    assert kept[0]["met"] is False
