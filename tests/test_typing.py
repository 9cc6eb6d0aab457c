"""A user's script passes strict type checkers."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = "tests/typing/api.py"
CHECKERS = {
    "mypy": ["mypy", "--strict", SCRIPT],
    "pyright": ["pyright", "--pythonpath", sys.executable, SCRIPT],
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", CHECKERS.values(), ids=CHECKERS.keys())
def test_script(command):
    """Both checkers accept the public names as users write them."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
