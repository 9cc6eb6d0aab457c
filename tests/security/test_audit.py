"""An audit that could not look everything up is no clean one."""

import importlib.util
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "audit", Path(__file__).with_name("audit.py")
)
audit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(audit)

CLEAN = {"name": "one", "version": "1", "vulns": []}
SKIPPED = {"name": "one", "skip_reason": "Dependency not found"}
BAD = {"name": "Two_a", "version": "2", "vulns": [{"id": "PYSEC-1"}, {"id": "GHSA-2"}]}


@pytest.mark.parametrize(
    ("rows", "pins", "code", "said"),
    [
        pytest.param([CLEAN], ["one==1"], 0, "1 of 1 packages were", id="clean"),
        pytest.param([SKIPPED], ["one==1"], 2, "NOT AUDITED: 1 of 1", id="skipped"),
        pytest.param([], ["one==1"], 2, "NOT AUDITED: 1 of 1", id="left-out"),
        pytest.param([], [], 2, "0 of 0", id="nothing"),
        pytest.param(
            [SKIPPED, BAD],
            ["one==1", "two-a==2"],
            1,
            "VULNERABLE: two-a: PYSEC-1, GHSA-2",
            id="vulnerable",
        ),
    ],
)
def test_verdict(rows, pins, code, said):
    """What was skipped or left out is said, and fails."""
    lines, found = audit.verdict({"dependencies": rows}, pins)

    assert found == code
    assert said in "\n".join(lines)


def test_all_that_is_installed_is_wanted():
    """Every package of this environment but this project."""
    pins = audit.installed()

    assert any(it.startswith("pytest==") for it in pins)
    assert not any(it.startswith("promptcache==") for it in pins)
