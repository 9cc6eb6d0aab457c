"""What a user can do about streams that are dropped, where the HTTP client hangs."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WAYS = ("read", "closed", "left", "collected", "dropped")


@pytest.mark.parametrize("sdk", ["anthropic", "openai", "openai-httpx2"])
def test_dropped_streams(sdk):
    """Reading, closing and collecting are safe; dropping is with httpcore2 only."""
    if sdk == "openai-httpx2" and find_spec("openai._httpx2") is None:
        pytest.skip("this openai takes no client of httpx2 beside its own")
    script = str(Path(__file__).with_name("dropping.py"))
    done = subprocess.run(
        [sys.executable, script, sdk],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    first, *said = done.stdout.splitlines()

    assert (done.returncode, done.stderr) == (0, "")
    assert first in {"guarded by httpcore", "guarded by httpcore2"}
    last = "waits for ever" if first.endswith("httpcore") else "fine"
    assert said == [*(f"{way}: fine" for way in WAYS[:-1]), f"{WAYS[-1]}: {last}"]
