"""Receipts from files: in order, streamed, and whatever else the files hold."""

import gzip

import pytest
from receipt_files import example, write

from promptcache.analysis.report.files import ReceiptFiles, UnreadableError
from promptcache.receipts.lines import to_line
from promptcache.receipts.receipt import Receipt


def line(at):
    return to_line(Receipt(provider="a", model="b", at=float(at), policy="auto"))


def put(path, *times):
    path.write_bytes(b"".join(map(line, times)))


def times(files):
    return [entry.at for entry in files]


def test_rotated_files_come_first(tmp_path):
    """A file is read after those that were rotated away, the oldest first."""
    path = tmp_path / "receipts.jsonl"
    put(path, 9)
    put(tmp_path / "receipts.jsonl.1", 7, 8)
    put(tmp_path / "receipts.jsonl.2", 5, 6)
    put(tmp_path / "receipts.jsonl.10", 3, 4)
    (tmp_path / "receipts.jsonl.11.gz").write_bytes(gzip.compress(line(1) + line(2)))
    put(tmp_path / "receipts.jsonl.lock", 0)
    put(tmp_path / "other.jsonl", 0)

    assert times(ReceiptFiles(path)) == [*range(1, 10)]
    assert times(ReceiptFiles(tmp_path / "receipts.jsonl.2")) == [5, 6]


def test_folder(tmp_path):
    """Of a folder all `*.jsonl` are read, with theirs, by name; nothing else."""
    put(tmp_path / "b.jsonl", 4)
    put(tmp_path / "b.jsonl.1", 3)
    put(tmp_path / "a.jsonl", 2)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(line(1)))
    put(tmp_path / "notes.txt", 0)
    (tmp_path / "folder.jsonl").mkdir()

    assert times(ReceiptFiles(tmp_path)) == [1, 2, 3, 4]


def test_packed_file(tmp_path):
    """A file that is packed is known by what it begins with."""
    path = tmp_path / "receipts"
    path.write_bytes(gzip.compress(line(1) + line(2)))

    assert times(ReceiptFiles(path)) == [1, 2]


def test_packed_file_that_ends_too_early(tmp_path):
    """What can be unpacked is read, and the rest counts as one damaged line."""
    path = tmp_path / "receipts.jsonl.gz"
    lines = list(map(to_line, example(400, days=2)))
    path.write_bytes(gzip.compress(b"".join(lines))[:-2000])
    files = ReceiptFiles(path)

    assert 0 < len(times(files)) < len(lines)
    assert files.damaged in {1, 2}


def test_damage_is_counted(tmp_path):
    """Damaged lines are left out and counted; empty ones are nothing."""
    path = tmp_path / "receipts.jsonl"
    half = line(3)[:30]
    path.write_bytes(line(1) + b"{\n\n  \n" + b"\xff\n" + line(2) + b"[]\n" + half)
    files = ReceiptFiles(path)

    assert (times(files), files.read, files.damaged) == ([1, 2], 2, 4)


def test_half_a_line_costs_itself_alone(tmp_path):
    """A receipt that another process wrote behind half a line is read."""
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(line(1)[:40] + line(2) + line(3))
    files = ReceiptFiles(path)

    assert (times(files), files.damaged) == ([2, 3], 1)


def test_endless_line(tmp_path):
    """A line without an end is read piece by piece, and never as a whole."""
    path = tmp_path / "receipts.jsonl"
    path.write_bytes(b"x" * (5 << 20) + b"\n" + line(1))
    files = ReceiptFiles(path)

    assert times(files) == [1]
    assert files.damaged > 1


def test_rotation_while_reading(tmp_path, monkeypatch):
    """A file that is renamed while others are opened is read once."""
    path = tmp_path / "receipts.jsonl"
    put(path, 2)
    put(tmp_path / "receipts.jsonl.1", 1)
    opened = type(path).open
    seen = []

    def rotating(self, *args, **kwargs):
        file = opened(self, *args, **kwargs)
        if not seen:
            seen.append(self)
            (tmp_path / "receipts.jsonl.1").rename(tmp_path / "receipts.jsonl.2")
            path.rename(tmp_path / "receipts.jsonl.1")
            put(path, 3)
        return file

    monkeypatch.setattr(type(path), "open", rotating)

    assert times(ReceiptFiles(path)) == [1, 2]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param("absent.jsonl", "There is no file", id="no file"),
        pytest.param("empty", "There is no \\*.jsonl file in", id="empty folder"),
    ],
)
def test_nothing_there(tmp_path, name, sentence):
    """What is not there is said in a sentence."""
    (tmp_path / "empty").mkdir()

    with pytest.raises(UnreadableError, match=f"{sentence} .*{name}.*\\.$"):
        list(ReceiptFiles(tmp_path / name))


def test_unreadable(tmp_path, monkeypatch):
    """A file that may not be read is named, with the system's reason."""
    path = write(tmp_path / "receipts.jsonl", [])

    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(path), "open", refuse)

    with pytest.raises(UnreadableError, match=r"jsonl cannot be read: Permission"):
        list(ReceiptFiles(path))
