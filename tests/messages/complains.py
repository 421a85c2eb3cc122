"""What the tests of messages share: `complains`, a context in which one error with certain words must be raised."""

import contextlib
import os
import sys

import numpy as np
import pytest

import adjoint as ad

X = np.array([1.0, 2.0, 3.0])


class Caught:
    text = ""


@contextlib.contextmanager
def complains(cls, *parts, line=True):
    """The block must raise `cls` with all of `parts` in its text, notes included.

    line: the text must name a line of the test's file that the traceback passes (the innermost is the user's).
    """
    caught = Caught()
    file = sys._getframe(2).f_code.co_filename  # past contextlib
    try:
        yield caught
    except Exception as error:
        caught.text = text = "\n".join([str(error), *getattr(error, "__notes__", [])])
        assert isinstance(error, cls), f"{type(error).__name__} instead of {cls}: {text}"
        missing = [part for part in parts if part not in text]
        assert not missing, f"the text lacks {missing}:\n{text}"
        if line:
            lines = [f"{os.path.basename(file)}:{n}" for n in _lines(error, file)]
            assert any(f"{at})" in text or f"{at}\n" in text or text.endswith(at) for at in lines), \
                f"the text names none of {lines}:\n{text}"  # fmt: skip
        return
    pytest.fail(f"no {cls} was raised")


def _lines(error, file):
    found, tb = [], error.__traceback__
    while tb is not None:
        if tb.tb_frame.f_code.co_filename == file:
            found.append(tb.tb_lineno)
        tb = tb.tb_next
    return found


def clean():
    """A derivative taken right after an error is right: nothing was left behind."""
    assert ad.grad(lambda x: x * x)(3.0) == 6.0
    x = ad.tensor(X).attach_grad()
    np.sum(x * x).backward()
    assert np.array_equal(x.grad.numpy(), 2 * X)
    assert np.array_equal(ad.vmap(np.sin)(X), np.sin(X))
