"""What the tests of benchmarks share."""

import gc
import warnings

import pytest


@pytest.fixture(autouse=True, scope="module")
def connections_let_go():
    """Let go of what a benchmark has left open: its process would end here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
