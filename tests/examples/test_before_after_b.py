"""Examples that compare: what they cost before, and after."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BILL = re.compile(
    r"(?P<label>before|after) +(?P<read>\d+) of (?P<sent>\d+) tokens read "
    r"in (?P<requests>\d+) requests, \$(?P<usd>\d+\.\d+)"
)
DEEP = ROOT / "examples" / "deepagents_agent.py"
WITHOUT = "import runpy, sys; sys.modules['deepagents'] = None; runpy.run_path({!r})"


def run(folder, *arguments):
    """Return what Python prints, without a key of a provider."""
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.parametrize(
    "example",
    [
        "anthropic_sdk",
        "contextual_retrieval",
        pytest.param(
            "deepagents_agent",
            marks=pytest.mark.skipif(
                find_spec("deepagents") is None, reason="deepagents needs Python 3.11"
            ),
        ),
        "openai_sdk",
    ],
)
def test_what_an_example_costs(example, tmp_path):
    """It is asked the same both times, and pays less for it after."""
    done = run(tmp_path, str(ROOT / "examples" / f"{example}.py"))

    bills = [BILL.fullmatch(line) for line in done.stdout.splitlines()]
    before, after = filter(None, bills)
    assert (before["label"], after["label"]) == ("before", "after")
    assert before["requests"] == after["requests"]
    # Labels that keep the runs apart are all that differs.
    assert int(after["sent"]) == pytest.approx(int(before["sent"]), rel=0.01)
    assert int(after["read"]) > int(before["read"])
    assert float(after["usd"]) < float(before["usd"])


def test_an_example_without_its_package(tmp_path):
    """It says what to install, and ends well."""
    done = run(tmp_path, "-c", WITHOUT.format(str(DEEP)))

    assert "pip install 'deepagents>=0.7'" in done.stdout
    assert done.stderr == ""
