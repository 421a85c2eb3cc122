"""Curves: the derivatives drawn are the derivatives, and matplotlib stays optional."""

import subprocess
import sys

import numpy as np
import pytest

import adjoint as ad

pytest.importorskip("matplotlib").use("Agg")


def lines(ax):
    return {line.get_label(): line.get_xydata().T for line in ax.lines}


def test_sin_and_its_derivatives(tmp_path):
    ax = ad.plot(np.sin, -3, 3, orders=(0, 1, 2, 3), points=11, save=tmp_path / "sin.png")
    drawn = lines(ax)
    assert list(drawn) == ["sin", "sin'", "sin''", "sin^(3)"]
    x = np.linspace(-3, 3, 11)
    for (xs, ys), wanted in zip(drawn.values(), (np.sin(x), np.cos(x), -np.sin(x), -np.cos(x)), strict=True):
        np.testing.assert_allclose(xs, x)
        np.testing.assert_allclose(ys, wanted, atol=1e-14)
    assert (tmp_path / "sin.png").read_bytes().startswith(b"\x89PNG")


def test_a_function_with_control_flow_and_given_axes():
    from matplotlib.figure import Figure

    def f(x):
        if x < 0:
            return x * x
        while x < 4:
            x = x * 2
        return x

    ax = Figure().subplots()
    assert ad.plot(f, -1, 1, orders=1, points=4, ax=ax) is ax
    np.testing.assert_allclose(lines(ax)["f'"][1], [-2, -2 / 3, 16, 4])


def test_a_result_that_is_no_number():
    with pytest.raises(ValueError, match=r"one result.*\(2,\)"):
        ad.plot(lambda x: np.stack([x, x]), 0, 1, points=3)


def test_without_matplotlib():
    program = """
import sys
sys.modules["matplotlib"] = None
import adjoint as ad
try:
    ad.plot(abs, 0, 1)
except ImportError as error:
    assert isinstance(error, ad.AdjointError)
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert 'pip install "adjoint[plot]"' in done.stdout, done.stderr
