"""Examples that compare: what they cost before, and after."""

import re
from importlib.util import find_spec

import pytest
from running_examples import BY_NAME, COMPARING, COUNTED, EXAMPLES, run

BILL = re.compile(
    r"(?P<label>before|after) +(?P<read>\d+) of (?P<sent>\d+) tokens read"
    r"(?: in (?P<requests>\d+) requests,|.*) \$(?P<usd>\d+\.\d+)"
)
WITHOUT = "import runpy, sys; sys.modules['deepagents'] = None; runpy.run_path({!r})"


@pytest.mark.parametrize("example", COMPARING)
def test_what_an_example_costs(example, shown):
    """It says what was paid before and after, for the same, and after is less."""
    printed = shown(example)
    if example == "deepagents_agent" and find_spec("deepagents") is None:
        pytest.skip("deepagents needs Python 3.11")

    bills = [BILL.fullmatch(line) for line in printed.splitlines()]
    before, after = filter(None, bills)
    assert (before["label"], after["label"]) == ("before", "after")
    assert float(after["usd"]) < float(before["usd"])
    assert int(after["read"]) > int(before["read"])
    assert (before["requests"] is not None) is (example in COUNTED)
    assert before["requests"] == after["requests"]
    if example not in BY_NAME:
        # Roles and labels, of runs and of what was moved, are all that may differ.
        assert int(after["sent"]) == pytest.approx(int(before["sent"]), rel=0.01)


def test_an_example_without_its_package(tmp_path):
    """It says what to install, and ends well."""
    path = str(EXAMPLES["deepagents_agent"])
    done = run(tmp_path, "-c", WITHOUT.format(path))

    assert "pip install 'deepagents>=0.7'" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
