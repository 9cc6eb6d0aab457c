"""Every surface on the emulator, by class and by handler."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

for _package in (
    "langchain",
    "langchain_google_genai",
    "llama_index.llms.google_genai",
):
    pytest.importorskip(_package)

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "surfaces.py"
if not SCRIPT.exists():
    pytest.skip("the benchmarks are not in this copy", allow_module_level=True)

# The talks take a minute together.
pytestmark = pytest.mark.timeout(300)

KEYS = [
    "framework",
    "provider",
    "path",
    "how",
    "requests",
    "plans",
    "receipts",
    "receipt_equals_ledger",
    "bill",
    "ttft_s",
    "miss_reason",
]


@pytest.fixture(scope="module")
def every_row():
    """Return the rows of the command, in a process that ends with its connections."""
    command = [sys.executable, "-W", "ignore", str(SCRIPT), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(
    params=[
        (framework, provider)
        for framework in ("langchain", "llamaindex")
        for provider in ("anthropic", "openai", "google")
    ],
    ids="-".join,
)
def rows(request, every_row):
    """Return the rows of a framework and a provider."""
    surface = list(request.param)
    return [it for it in every_row if [it["framework"], it["provider"]] == surface]


def test_rows(rows):
    """There is a row for each way to call, by class and by handler."""
    surfaces = [(row["path"], row["how"]) for row in rows]
    paths = ["invoke", "stream", "async", "structured", "agent"]

    assert {tuple(row) for row in rows} == {tuple(KEYS)}
    assert surfaces == [(path, how) for path in paths for how in ("class", "handler")]


def test_one_plan_and_one_receipt_a_request(rows):
    """Nothing is left out and nothing is counted twice."""
    for row in rows:
        assert row["requests"] == row["plans"] == row["receipts"] > 0, row
        assert row["receipt_equals_ledger"], row


def test_handler_costs_what_the_class_costs(rows):
    """Planning by registration is planning."""
    for by_class, by_handler in zip(rows[::2], rows[1::2], strict=True):
        assert by_handler["bill"] == pytest.approx(by_class["bill"], rel=0.05)


def test_streams_tell_their_first_token(rows):
    """Wherever an answer is streamed, the time to its beginning is known."""
    for row in rows:
        assert row["ttft_s"] or row["path"] != "stream", row


def test_every_miss_has_a_reason(rows):
    """The first request is one, and so is the one that came too late."""
    for row in rows:
        reasons = row["miss_reason"].split()
        assert reasons[0] == "first_seen", row
        assert "expired" in reasons, row
        assert "?" not in reasons, row
