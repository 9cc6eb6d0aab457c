"""What receipts tell of other policies."""

import pytest
from recorded_traces import written

from promptcache import Usage
from promptcache.analysis.replay.receipts import Receipts
from promptcache.analysis.replay.replaying import Replay
from promptcache.analysis.replay.scene import scene_of
from promptcache.analysis.replay.traces import UnreadableTraceError
from promptcache.receipts.lines import to_line
from promptcache.receipts.receipt import Receipt

START = 1.7e9


def receipt(at, total, read=0, written_5m=0, written_1h=0, name="42", **more):
    usage = Usage(
        input_tokens=total,
        read_tokens=read,
        written_tokens=written_5m + written_1h,
        written_5m_tokens=written_5m,
        written_1h_tokens=written_1h,
    )
    return Receipt(
        provider="anthropic",
        model="claude-sonnet-5-5",
        at=START + at,
        policy="auto",
        usage=usage,
        conversation=name,
        **more,
    )


def saved(tmp_path, *receipts, name="receipts.jsonl"):
    path = tmp_path / name
    path.write_bytes(b"".join(map(to_line, receipts)))
    return path


def rows(path, *policies):
    replay = Replay(
        path=path, form="receipts", scene=scene_of(None, 0.1), policies=policies
    )
    return {row.policy: row for row in replay.rows()}, replay.notes


def shared(path):
    """Return how many blocks each prompt shares with the one before it."""
    made = []
    for session in Receipts(path).sessions():
        before = []
        for asked in session.requests:
            digests = asked.outline.blocks.digests
            pairs = zip(before, digests, strict=False)
            made.append(sum(one == other for one, other in pairs))
            before = digests
    return made


def test_a_prompt_that_grows_begins_with_the_one_before(tmp_path):
    """A read that falls short only because the lifetime was over changes nothing."""
    path = saved(
        tmp_path,
        receipt(0, 6400, written_5m=6400),
        receipt(60, 7040, read=6400, written_5m=640),
        receipt(2000, 7680, written_5m=7680),
    )

    assert shared(path) == [0, 100, 110]


def test_a_prompt_that_changed_begins_with_what_was_read(tmp_path):
    """Within the lifetime, what was not read was not the same."""
    path = saved(
        tmp_path,
        receipt(0, 6400, written_5m=6400),
        receipt(60, 7040, read=640, written_5m=6400),
        receipt(120, 3200, read=320, written_5m=2880),
    )

    assert shared(path) == [0, 10, 5]


def test_a_head_that_was_read_at_once_is_everybodys(tmp_path):
    """Two conversations that begin with a read of one length share so much."""
    path = saved(
        tmp_path,
        receipt(0, 6400, read=640, written_5m=5760),
        receipt(10, 6400, read=640, written_5m=5760, name="43"),
        receipt(20, 6400, read=1280, written_5m=5120, name="44"),
    )

    first, second, third = (
        next(iter(it.requests)).outline.blocks.digests
        for it in Receipts(path).sessions()
    )

    assert first[:10] == second[:10]
    assert first[10] != second[10]
    assert third[0] != first[0]


def test_what_was_done_beside_what_could_have_been(tmp_path):
    """`recorded` is the bill of the receipts themselves."""
    path = saved(
        tmp_path,
        receipt(0, 6400, written_5m=6400),
        receipt(600, 6400, written_5m=6400),
        receipt(1200, 6400, written_5m=6400),
    )

    made, notes = rows(path)

    assert made["recorded"].bill == pytest.approx(1.25)
    assert made["recorded"].worse_share == 1
    assert made["1h"].bill == pytest.approx((2 + 0.1 + 0.1) / 3)
    assert made["5m"].bill == pytest.approx(1.25)
    assert "head" not in made
    assert not notes


def test_what_cannot_be_replayed_is_counted(tmp_path):
    """No conversation, no count or several requests: left out, and said."""
    path = saved(
        tmp_path,
        receipt(0, 6400, written_5m=6400),
        receipt(1, 6400, name=None),
        receipt(2, None),
        receipt(3, 6400, requests=2),
    )

    made, notes = rows(path, "recorded")

    assert made["recorded"].requests == 1
    (note,) = notes
    assert note.startswith("3 receipts were left out: they name no conversation")


def test_an_agent_is_known_by_its_tools(tmp_path):
    """A breakpoint on a tool says that there are tools."""
    path = saved(
        tmp_path,
        receipt(0, 6400, written_5m=6400, breakpoints=("tools[3] 5m tools",)),
        receipt(0, 6400, written_5m=6400, name="43"),
    )

    tools = [
        next(iter(it.requests)).outline.has_tools for it in Receipts(path).sessions()
    ]

    assert tools == [True, False]


def test_a_folder_with_files_that_were_rotated(tmp_path):
    """All files of a folder are read, and put in order by their times."""
    saved(tmp_path, receipt(60, 7040, read=6400, written_5m=640))
    saved(tmp_path, receipt(0, 6400, written_5m=6400), name="receipts.jsonl.1")

    assert shared(tmp_path) == [0, 100]


def test_no_receipts(tmp_path):
    """An empty folder and a missing file are said to be so."""
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(UnreadableTraceError, match="no file"):
            list(Receipts(path).sessions())


def test_lines_that_are_no_receipts_are_left_out(tmp_path):
    """What else stands in a file costs nothing but itself."""
    path = written(tmp_path / "odd.jsonl", [5, {"conversation": "1"}, []])
    receipts = Receipts(path)

    assert not list(receipts.sessions())
    assert receipts.left_out == 3
