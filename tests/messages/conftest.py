"""After each error in this folder a derivative is taken: nothing may have been left behind."""

import pytest

from tests.messages.complains import clean


@pytest.fixture(autouse=True)
def _clean_afterwards():
    yield
    clean()
