"""Receipts in a file: one line each, and never an error."""

import json
import logging
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

import pytest

from promptcache.receipts import jsonl
from promptcache.receipts.events import Settled, SteppedAside
from promptcache.receipts.jsonl import JsonlReceipts
from promptcache.receipts.lines import from_line, to_line
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.rotation import rotate
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


def times(*paths):
    read = (line for path in paths for line in path.read_bytes().splitlines())
    # Who opens a file while another process writes may begin a line that is not torn.
    return [from_line(line).at for line in read if line]


def test_receipt_is_one_flat_line(tmp_path):
    """A line holds the fields in dollars and seconds; what is unknown is left out."""
    path = tmp_path / "receipts.jsonl"
    with JsonlReceipts(path) as receipts:
        receipts(settled(1.5))
    (line,) = lines(path)

    assert line["time"] == "1970-01-01T00:00:01.500+00:00"
    assert (line["cost_usd"], line["first_token_s"]) == (0.25, 0.5)
    assert (line["input_tokens"], "read_tokens" in line) == (10, False)


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

    assert times(path) == [1.0, 2.0]


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

    assert sorted(times(path)) == list(range(300))


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


def test_half_a_line_spoils_no_other(tmp_path, caplog, monkeypatch):
    """After a line that was written in part, the next one starts afresh."""
    path = tmp_path / "receipts.jsonl"
    receipts = JsonlReceipts(path)
    whole = []

    class HalfFull(FileIO):
        def write(self, line):
            whole.append(line)
            return super().write(line if len(whole) > 1 else line[: len(line) // 2])

    monkeypatch.setattr(jsonl, "FileIO", HalfFull)
    for at in (1.0, 2.0, 3.0):
        receipts(settled(at))
    receipts.close()
    first, *others = path.read_bytes().splitlines()

    assert from_line(first) is None
    assert [from_line(line).at for line in others] == [2.0, 3.0]
    assert len(caplog.records) == 1


def test_half_a_line_of_a_killed_process_costs_itself(tmp_path):
    """Whoever opens a file that ends within a line begins a new one."""
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(to_line(settled(1.0).receipt) + b'{"time":"1970-01')
    with JsonlReceipts(path) as receipts:
        receipts(settled(2.0))
        receipts(settled(3.0))
    first, torn, *others = path.read_bytes().splitlines()

    assert (from_line(first).at, from_line(torn)) == (1.0, None)
    assert [from_line(line).at for line in others] == [2.0, 3.0]


def test_file_that_was_moved_is_left_behind(tmp_path):
    """What another program renamed or removed is begun anew."""
    path, moved = tmp_path / "receipts.jsonl", tmp_path / "moved"
    with JsonlReceipts(path) as receipts:
        receipts(settled(1.0))
        path.rename(moved)
        receipts(settled(2.0))
        path.unlink()
        receipts(settled(3.0))

    assert (times(moved), times(path)) == ([1.0], [3.0])


def test_file_that_another_process_began(tmp_path):
    """Where another one has rotated the file, the next line goes into the new one."""
    path = tmp_path / "receipts.jsonl"
    with JsonlReceipts(path) as receipts:
        receipts(settled(1.0))
        path.rename(tmp_path / "receipts.jsonl.1")
        path.write_bytes(to_line(settled(2.0).receipt))
        receipts(settled(3.0))

    assert times(path) == [2.0, 3.0]


LINE = len(to_line(settled(1.0).receipt))


def test_rotation_by_size(tmp_path):
    """A full file becomes `.1`, that one `.2`, and the oldest goes."""
    path = tmp_path / "receipts.jsonl"
    with JsonlReceipts(path, max_bytes=2 * LINE, keep=2) as receipts:
        for at in range(1, 10):
            receipts(settled(float(at)))
    older = [path.with_name(f"receipts.jsonl.{number}") for number in (1, 2)]

    assert [times(it) for it in (path, *older)] == [[9.0], [7.0, 8.0], [5.0, 6.0]]
    assert sorted(it.name for it in tmp_path.iterdir()) == [
        "receipts.jsonl",
        "receipts.jsonl.1",
        "receipts.jsonl.2",
        "receipts.jsonl.lock",
    ]
    assert {stat.S_IMODE(it.stat().st_mode) for it in tmp_path.iterdir()} == {0o600}


def test_line_longer_than_the_limit(tmp_path):
    """A receipt that is longer than a file may be has one of its own."""
    path = tmp_path / "receipts.jsonl"
    with JsonlReceipts(path, max_bytes=10, keep=9) as receipts:
        receipts(settled(1.0))
        receipts(settled(2.0))

    assert (times(path), times(tmp_path / "receipts.jsonl.1")) == ([2.0], [1.0])


def test_smaller_keep_deletes_what_is_too_old(tmp_path):
    """Files of an earlier, larger `keep` go with the next rotation."""
    path = tmp_path / "receipts.jsonl"
    for keep, number in ((4, 6), (1, 3)):
        with JsonlReceipts(path, max_bytes=LINE, keep=keep) as receipts:
            for at in range(number):
                receipts(settled(float(at)))
    kept = {it.name for it in tmp_path.iterdir() if it.suffix != ".lock"}

    assert kept == {"receipts.jsonl", "receipts.jsonl.1"}


def test_nobody_waits_for_a_rotation(tmp_path):
    """While another process holds the lock, the file grows on."""
    fcntl = pytest.importorskip("fcntl")
    path = tmp_path / "receipts.jsonl"
    with (
        (tmp_path / "receipts.jsonl.lock").open("w") as lock,
        JsonlReceipts(path, max_bytes=LINE, keep=1) as receipts,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        receipts(settled(1.0))
        receipts(settled(2.0))
        fcntl.flock(lock, fcntl.LOCK_UN)
        receipts(settled(3.0))

    assert times(tmp_path / "receipts.jsonl.1", path) == [1.0, 2.0, 3.0]


def test_who_comes_second_rotates_nothing(tmp_path):
    """A file that another process has just begun is left alone."""
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(to_line(settled(1.0).receipt))

    assert [rotate(path, limit=LINE, keep=1), rotate(path, limit=LINE - 1, keep=1)] == [
        False,
        True,
    ]


WRITER = """
import sys
from pathlib import Path
from promptcache.receipts.events import Settled
from promptcache.receipts.jsonl import JsonlReceipts
from promptcache.receipts.receipt import Receipt

path, start = sys.argv[1], int(sys.argv[2])
with JsonlReceipts(path, max_bytes=10_000, keep=500) as receipts:
    for turn in range(10):
        sys.stdin.readline()
        for at in range(start + 100 * turn, start + 100 * (turn + 1)):
            it = Receipt(provider="a", model="b", at=float(at), policy="auto")
            receipts(Settled(it))
        print(flush=True)
"""


def test_processes_share_a_file_that_rotates(tmp_path):
    """Of 3,000 lines of three processes none is lost, torn or there twice."""
    path = tmp_path / "receipts.jsonl"
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", WRITER, str(path), str(start)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            for start in (0, 1000, 2000)
        ]
        # They write in turns of 100 lines each, twice of what a file may have: whoever
        # finds it full first in a turn finds the lock free, however busy the machine.
        for _ in range(10):
            for it in processes:
                it.stdin.write(b"\n")
                it.stdin.flush()
            assert [it.stdout.readline() for it in processes] == [b"\n"] * 3
        assert [it.wait(60) for it in processes] == [0, 0, 0]
    files = [it for it in tmp_path.iterdir() if it.suffix != ".lock"]

    assert len(files) > 5
    found = times(*files)
    # A difference of whole lists would take pytest minutes to print.
    assert set(range(3000)) - set(found) == set()
    assert len(found) == 3000


@pytest.mark.parametrize("wrong", [{"keep": 0}, {"max_bytes": 0}])
def test_wrong_sizes(tmp_path, wrong):
    """What would keep nothing is refused when it is said."""
    with pytest.raises(ValueError, match="1 or more"):
        JsonlReceipts(tmp_path / "receipts.jsonl", **wrong)
