"""`ad.blame` names the operation that made the first NaN, the user's line, and what came to nothing."""

import numpy as np
import pytest

import adjoint as ad
from adjoint.core import errors
from tests.messages.complains import complains

ZERO = np.array([4.0, 0.0, 1.0])


def line_of(f, offset):
    return f"test_nan.py:{f.__code__.co_firstlineno + offset}"


def overflow(x):
    e = np.exp(1000 * x)
    return (e / e.sum())[0]


def slope(x):
    y = np.sqrt(x)
    return y.sum()


def chosen(x):
    return np.where(x > 0, np.sqrt(x), 0.0).sum()


def written(x):
    y = x * 1.0
    y[0] = np.log(x[1])
    return (y * y).sum()


def test_forward():
    found = ad.blame(overflow)(np.ones(2))
    assert found
    assert (found.phase, found.op, found.where) == ("forward", "exp", line_of(overflow, 1))
    assert found.source == "e = np.exp(1000 * x)"
    assert found.args[0].tolist() == [1000.0, 1000.0] and found.value.tolist() == [np.inf, np.inf]
    assert found.index == (0,)
    text = str(found)
    assert text.startswith("exp made inf in the forward pass, test_nan.py:")
    assert "float64[2] = 1000.0 each" in text and "first at [0]: exp(1000.0) = inf" in text


def test_backward():
    found = ad.blame(slope)(ZERO)
    assert (found.phase, found.op, found.where) == ("backward", "sqrt", line_of(slope, 1))
    assert found.cotangent.tolist() == [1.0, 1.0, 1.0]
    assert found.bad.tolist() == [0.25, np.inf, 0.5] and found.index == (1,)
    assert "sqrt made inf in the backward pass" in str(found)
    assert "first at [1]: cotangent 1.0 back through sqrt(0.0) = inf" in str(found)


def test_a_strong_zero_is_told():
    found = ad.blame(chosen)(ZERO)
    assert not found and (found.phase, found.op, found.where, found.bad) == ("", "", "", None)
    (kept_out,) = found.suppressed
    assert (kept_out.op, kept_out.phase, kept_out.where) == ("sqrt", "backward", line_of(chosen, 1))
    assert "a cotangent of 0 stays 0" in str(found) and "gradients are finite" in str(found)
    with ad.config(ieee=True):  # nothing is kept out
        assert ad.blame(chosen)(ZERO).op == "sqrt"


def test_what_where_did_not_choose():
    found = ad.blame(lambda x: np.where(x > 0, np.log(x), 0.0).sum())(ZERO)
    assert not found
    assert [(e.op, e.phase) for e in found.suppressed] == [("log", "forward"), ("log", "backward")]
    assert "at [1]: log(0.0) = -inf" in str(found)


def test_nothing_to_tell():
    found = ad.blame(slope)(np.ones(3))
    assert not found and found.suppressed == [] and "finite" in repr(found)


def test_it_was_in_the_input():
    found = ad.blame(lambda p: p["w"].sum())({"w": np.array([[1.0, 2.0], [np.nan, 4.0]])})
    assert (found.phase, found.op, found.index) == ("input", "p['w']", (1, 0))
    assert str(found).startswith("p['w'] holds nan")


def test_it_was_a_constant():
    found = ad.blame(lambda x: (x * np.array([1.0, np.inf])).sum())(np.ones(2))
    assert (found.phase, found.op) == ("constant", "multiply")
    assert "multiply got inf as a constant" in str(found)


def test_a_constant_that_a_mask_takes_away_is_nobodys_fault():
    def attention(x):
        scores = np.where(np.tri(3, dtype=bool), x, -np.inf)
        e = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.log(e / e.sum(axis=1, keepdims=True))[2].sum()

    x = np.arange(9.0).reshape(3, 3)
    assert np.isfinite(ad.grad(attention)(x)).all()
    assert not ad.blame(attention)(x)


def test_a_forward_value_that_only_the_gradient_contains():
    found = ad.blame(ad.grad(lambda x: np.sum(np.sqrt(x) * x)))(ZERO)
    assert (found.op, found.phase) == ("divide", "forward")
    assert "the result does not contain it, a gradient does" in str(found)


def test_the_first_of_several():
    def f(x):
        a = np.log(x)
        b = a - a
        return (b / 0.0).sum()

    found = ad.blame(f)(np.zeros(1))
    assert (found.op, found.where) == ("log", line_of(f, 1))


def test_f_raises_after_it():
    def f(x):
        y = np.log(x)
        if np.isinf(y[1]):
            raise ValueError("did not converge")
        return y.sum()

    found = ad.blame(f)(ZERO)
    assert (found.op, found.where) == ("log", line_of(f, 1))
    assert isinstance(found.error, ValueError) and "raised ValueError: did not converge" in str(found)
    with pytest.raises(ZeroDivisionError):
        ad.blame(lambda x: x / 0)(1.0)  # Python's own, and nothing before it


def test_derivatives_inside():
    """The function may itself be a derivative: the second derivative of x**1.5 at 0."""
    found = ad.blame(ad.grad(lambda x: x**1.5))(0.0)
    assert found.phase in ("forward", "backward") and found.op == "power"


def test_through_writes():
    found = ad.blame(written)(np.array([4.0, 0.0]))
    assert (found.op, found.where) == ("log", line_of(written, 2))


def test_imperative():
    x = ad.tensor([1.0, 0.0]).attach_grad()
    found = ad.blame((np.sqrt(x) * 2).sum())
    assert (found.op, found.phase, found.where) == ("sqrt", "backward", "")
    assert "ad.config(debug=1)" in str(found)


def test_imperative_with_lines(capsys):
    x = ad.tensor([1.0, 0.0]).attach_grad()
    with ad.config(debug=1), np.errstate(all="ignore"):
        y = np.log(x).sum()
    found = ad.blame(y)
    assert found.op == "log" and found.where.startswith("test_nan.py:")
    assert "ad.config(debug=1)" not in str(found)
    y.backward()
    with complains(errors.ReleasedError, "blame of a graph", "ad.blame(y) before y.backward()"):
        ad.blame(y)


def test_imperative_forward_value_is_computed_again():
    x = ad.tensor([1.0, 0.0]).attach_grad()
    with np.errstate(all="ignore"):
        found = ad.blame((np.log(x) + 1).sum())
    assert (found.op, found.phase) == ("log", "forward")


def test_a_constant_tensor_and_wrong_calls():
    assert not ad.blame(ad.tensor([1.0]))
    with complains(errors.DTypeError, "function or a tensor", "ad.blame(f)(x)"):
        ad.blame(3.0)


@pytest.mark.parametrize("x", [-1.0, 0.0, 1e-320, 1.0, 800.0, np.inf, np.nan])
@pytest.mark.parametrize(
    "f",
    [
        np.sqrt,
        np.log,
        np.tanh,
        lambda x: np.exp(x) / (1 + np.exp(x)),
        lambda x: np.where(x > 0, 1 / x, 0.0) * x,
        lambda x: np.sqrt(x * x),
        lambda x: np.linalg.norm(np.stack([x, x])),
        lambda x: np.maximum(np.log(x), -5.0),
        lambda x: x**0.5 * x**0.5,
        lambda x: np.arccos(np.cos(x)),
    ],
)
def test_blames_where_the_gradient_is_not_finite_and_only_there(f, x):
    with np.errstate(all="ignore"):
        x = np.float64(x)  # Python's own floats raise where NumPy's divide by zero
        y, g = ad.value_and_grad(f)(x)
    assert bool(ad.blame(f)(x)) == (not (np.isfinite(y) and np.isfinite(g)))


def test_complex_and_containers():
    def f(z):
        return {"a": np.log(z), "b": z * 2}

    found = ad.blame(f)(np.array([1j, 0.0]))
    assert found.op == "log" and found.made == "-inf"


def test_the_ladder_marks_it(capsys):
    with ad.config(debug=1), np.errstate(all="ignore"):
        ad.grad(overflow)(np.ones(2))
    marked = [line for line in capsys.readouterr().err.splitlines() if "<-" in line]
    assert len(marked) == 1 and " exp " in marked[0]


def test_show_of_a_function_that_writes():
    shown = ad.show(written)(np.array([4.0, 3.0]))
    assert "index_set" in str(shown)
    assert np.allclose(shown.rows[0].total, ad.grad(written)(np.array([4.0, 3.0])))
