"""The debug ladder: each level says more than the one below, and nothing stays behind."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

import adjoint as ad
from adjoint.core.op import _observers
from adjoint.traces import capture, reverse
from adjoint.views.trace import LADDER


def said(capsys, level):
    with ad.config(debug=level):
        x = ad.tensor([1.0, 2.0]).attach_grad()
        (np.sin(x) * 3).sum().backward()
        ad.graph(lambda v: v + 1.0)(np.ones(2))
    return capsys.readouterr().err


def test_each_level_says_more(capsys):
    text = [said(capsys, level) for level in range(6)]
    assert text[0] == ""
    assert re.search(r"^test_trace.py:\d+ +sin$", text[1], re.M)
    assert "sin(float64[2]) -> float64[2]\n" in text[2]
    assert "-> float64[2] = [0.8415 0.9093]\n" in text[3] and "back" not in text[3]
    assert "back through multiply: 1.0 each -> 3.0 each" in text[4]
    assert "gradient float64[2] = [1.6209 -1.2484], written into its buffer" in text[4] and "captured" not in text[4]
    assert "captured" in text[5] and "add(%0, 1.0)" in text[5]
    lengths = [len(t) for t in text]
    assert lengths == sorted(lengths) and len(set(lengths)) == 6
    assert list(LADDER) == list(range(8))


def test_nothing_stays_behind(capsys):
    with pytest.raises(ZeroDivisionError), ad.config(debug=4), ad.config(debug=2):
        1 / 0
    assert (_observers, reverse.observers, capture.observers, reverse.SLOW) == ([], [], [], 0)
    assert reverse.BASE.lines is None
    ad.grad(np.sin)(1.0)
    assert capsys.readouterr().err == ""


def test_other_threads_stay_silent(capsys):
    import threading

    with ad.config(debug=1):
        thread = threading.Thread(target=lambda: ad.grad(np.cos)(1.0))
        thread.start()
        thread.join()
    assert capsys.readouterr().err == ""


def test_the_environment_variable():
    program = "import numpy as np, adjoint as ad; ad.grad(np.sin)(1.0)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "ADJOINT_DEBUG": "2"}
    )
    assert "sin(float) -> float64[]" in done.stderr
