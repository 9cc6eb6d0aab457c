"""Traces of a test, as files."""

import pytest
from recorded_traces import written


@pytest.fixture
def write(tmp_path):
    """Return what writes rows as JSON lines to a file, which it returns."""

    def wrote(rows, name="trace.jsonl"):
        return written(tmp_path / name, rows)

    return wrote
