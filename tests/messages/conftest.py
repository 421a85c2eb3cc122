"""After each error in this folder a derivative is taken: nothing may have been left behind.

The errors are those of the user's own text: that it is run again as a copy where it loses a derivative is off.
"""

import pytest

import adjoint as ad
from tests.messages.complains import clean


@pytest.fixture(autouse=True)
def _clean_afterwards():
    with ad.config(rewrite=False):
        yield
    clean()
