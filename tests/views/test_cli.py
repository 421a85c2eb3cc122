"""The command line, run in this process."""

import pytest

import adjoint as ad
from adjoint.cli import main


def test_help_and_version(capsys):
    assert main([]) == 0
    assert "doctor" in capsys.readouterr().out
    with pytest.raises(SystemExit) as done:
        main(["--version"])
    assert done.value.code == 0 and capsys.readouterr().out == f"adjoint {ad.__version__}\n"


def test_ops_lists_every_operation(capsys):
    from adjoint.core.op import OPS

    assert main(["ops"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line.split()[0]: line.split()[1:] for line in lines[1:-1]}
    assert set(OPS) <= set(table)
    assert table["sin"] == ["elementwise", "yes", "yes", "yes", "yes", "yes"]
    assert table["arctan2"][4] == "-" and table["floor"][1:3] == ["zero", "zero"]
    assert main(["ops", "--markdown"]) == 0
    assert "| `sin` | elementwise | yes |" in capsys.readouterr().out


def test_show(tmp_path, capsys):
    file = tmp_path / "model.py"
    file.write_text("import numpy as np\ndef f(x, v, n=2):\n    return (np.sin(x) * v).sum() * n\n")
    assert main(["show", f"{file}:f", "-2.0", "[1, 2]", "3"]) == 0
    out = capsys.readouterr().out
    assert "multiply(%2, %1)" in out and "model.py:3" in out
    assert main(["show", f"{file}:f", "2.0", "[1, 2]", "--save", str(tmp_path / "g.svg")]) == 0
    assert (tmp_path / "g.svg").read_text().startswith("<svg")
    for wrong in (["show", "f", "2"], ["show", f"{file}:g", "2"], ["show", "none.py:f"], ["show", f"{file}:f", "x"]):
        capsys.readouterr()
        assert main(wrong) == 2
        assert "adjoint show: " in capsys.readouterr().err


def test_debug_and_doctor(capsys):
    assert main(["debug"]) == 0
    out = capsys.readouterr().out
    assert "ADJOINT_GUARD" in out and "  4  and each step of a backward pass" in out
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "numpy" in out and "ok     a while loop" in out and "WRONG" not in out


def test_doctor_sees_a_wrong_derivative(monkeypatch, capsys):
    monkeypatch.setattr(ad, "grad", lambda f: lambda x: x * 0)
    assert main(["doctor"]) == 1
    assert "WRONG  a while loop: [ 0. -0.  0.] instead of [512. 512. 512.]" in capsys.readouterr().out


def test_book_is_handed_its_options(monkeypatch):
    from adjoint.views import book

    seen = {}
    monkeypatch.setattr(book, "run", lambda **options: seen.update(options) or 0)
    assert main(["book", "--lang", "en", "--out", "pictures"]) == 0
    assert seen == {"lang": "en", "out": "pictures", "book": None}
