"""Receipts in a file: one line each, and never an error."""

import json
import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from promptcache.receipts.events import Settled, SteppedAside
from promptcache.receipts.jsonl import JsonlReceipts
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage


def settled(at=0.0):
    return Settled(
        Receipt(
            provider="anthropic",
            model="claude-a",
            at=at,
            policy="auto",
            usage=Usage(10),
            cost_usd=0.25,
            first_token_s=0.5,
        )
    )


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_receipt_is_one_flat_line(tmp_path):
    """A line holds the fields in dollars and seconds; unknown is null."""
    path = tmp_path / "receipts.jsonl"
    with JsonlReceipts(path) as receipts:
        receipts(settled(1.5))
    (line,) = lines(path)

    assert line["time"] == "1970-01-01T00:00:01.500+00:00"
    assert (line["cost_usd"], line["first_token_s"]) == (0.25, 0.5)
    assert (line["input_tokens"], line["read_tokens"]) == (10, None)


def test_file_is_private_and_made_on_first_use(tmp_path):
    """Nothing is created before there is a receipt; then only the owner may read."""
    path = tmp_path / "receipts.jsonl"
    with JsonlReceipts(path) as receipts:
        receipts(SteppedAside("anthropic", "why"))
        created_early = path.exists()
        receipts(settled())

    assert not created_early
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_are_appended_after_closing(tmp_path):
    """Closing keeps the file, may be done twice, and a later receipt opens it again."""
    path = tmp_path / "receipts.jsonl"
    receipts = JsonlReceipts(path)
    for at in (1.0, 2.0):
        receipts(settled(at))
        receipts.close()
        receipts.close()

    assert [line["at"] for line in lines(path)] == [1.0, 2.0]


def test_file_is_closed_with_its_listener(tmp_path):
    """A listener that is dropped without `close` leaves no open file behind."""
    receipts = JsonlReceipts(tmp_path / "receipts.jsonl")
    receipts(settled())
    file = receipts._file
    del receipts

    assert file.closed


def test_threads_do_not_mix_their_lines(tmp_path):
    """Every receipt of many threads is a line of its own."""
    path = tmp_path / "receipts.jsonl"
    with JsonlReceipts(path) as receipts, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: receipts(settled(float(n))), range(300)))

    assert sorted(line["at"] for line in lines(path)) == list(range(300))


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(Path("missing", "receipts.jsonl"), id="missing folder"),
        pytest.param(
            Path("/dev/full"),
            id="full disk",
            marks=pytest.mark.skipif(
                not Path("/dev/full").exists(), reason="the system has no /dev/full"
            ),
        ),
    ],
)
def test_failure_is_logged_once(path, tmp_path, caplog):
    """A disk that does not take the line costs one warning and no call."""
    with (
        caplog.at_level(logging.WARNING, "promptcache"),
        JsonlReceipts(tmp_path / path) as receipts,
    ):
        receipts(settled())
        receipts(settled())

    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.records[0].getMessage()


class HalfFull:
    """A file that takes only half of the first line."""

    def __init__(self):
        self.content = b""

    def write(self, line):
        taken = line if self.content else line[: len(line) // 2]
        self.content += taken
        return len(taken)


def test_half_a_line_spoils_no_other(tmp_path, caplog):
    """After a line that was written in part, the next one starts afresh."""
    receipts = JsonlReceipts(tmp_path / "receipts.jsonl")
    receipts._file = file = HalfFull()

    receipts(settled(1.0))
    receipts(settled(2.0))
    receipts(settled(3.0))
    _, *whole = file.content.splitlines()

    assert [json.loads(line)["at"] for line in whole] == [2.0, 3.0]
    assert len(caplog.records) == 1
