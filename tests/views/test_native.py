"""The list of ops with native code in docs/compiled.md is the one that `adjoint ops --native --markdown` writes."""

import re
from pathlib import Path

import pytest

pytest.importorskip("scipy")
pytest.importorskip("llvmlite")

from adjoint.cli import main
from adjoint.core.op import OPS
from adjoint.views import native

PAGE = Path(__file__).parent.parent.parent / "docs" / "compiled.md"


def test_the_page_is_up_to_date(capsys):
    main(["ops", "--native", "--markdown"])
    made = capsys.readouterr().out
    (have,) = re.findall(r"<!-- native -->\n(.*)<!-- /native -->", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert have == made, "write it anew: python scripts/write_native.py"


@pytest.mark.parametrize(
    "name, real, complex_",
    [
        ("exp", "native", None),
        ("mean", "composed", "composed"),
        ("eig", "called back", "called back"),
        ("qr", "native", "native"),
    ],
)
def test_states(name, real, complex_):
    assert native.state(OPS[name], "real") == real
    assert native.state(OPS[name], "complex") == complex_


def test_text(capsys):
    assert main(["ops", "--native"]) == 0
    assert "exp " in capsys.readouterr().out
