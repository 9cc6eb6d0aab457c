"""Examples that compare: what they cost without promptcache, and with it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BILL = re.compile(
    r"(?P<label>before|after) +(?P<read>\d+) of (?P<sent>\d+) tokens read.* "
    r"\$(?P<usd>\d+\.\d+)"
)
IN_FULL = (
    "coding_assistant",
    "langchain_openai_agent",
    "langchain_rag_chat",
    "llamaindex_openai_agent",
    "llamaindex_rag_chat",
    "support_chatbot",
)
"""Those whose prompts are sent whole both times."""
BY_NAME = ("gemini_resident_langchain", "gemini_resident_llamaindex")
"""Those whose requests name what the provider holds, which is more than was found."""


@pytest.mark.parametrize("example", [*IN_FULL, *BY_NAME])
def test_what_an_example_costs(example, tmp_path):
    """It says what was paid before and after, for the same, and after is less."""
    paths = filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])

    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{example}.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )

    bills = [BILL.fullmatch(line) for line in done.stdout.splitlines()]
    before, after = filter(None, bills)
    assert (before["label"], after["label"]) == ("before", "after")
    assert float(after["usd"]) < float(before["usd"])
    assert int(after["read"]) > int(before["read"])
    if example in IN_FULL:
        # Roles and labels of what was moved are all that may be added.
        assert int(after["sent"]) == pytest.approx(int(before["sent"]), rel=0.01)
