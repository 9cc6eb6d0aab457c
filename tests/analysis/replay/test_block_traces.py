"""Traces of digests, in the forms in which they are published and kept."""

import gzip
import json

import pytest
from recorded_traces import runs

from promptcache.analysis.replay.block_traces import read_claude_code, read_mooncake
from promptcache.analysis.replay.traces import UnreadableTraceError


def prefixes(sessions):
    return [
        [
            (asked.at, asked.total_tokens, asked.outline.blocks.digests)
            for asked in session.requests
        ]
        for session in sessions
    ]


def published(session):
    """Return a session in the form of its collectors: all ids of each request."""
    before, requests = [], []
    for request in session["requests"]:
        ids = before[: request["keep"]]
        for first, count in request["add"]:
            ids = [*ids, *range(first, first + count)]
        kept = {k: v for k, v in request.items() if k not in ("keep", "add")}
        requests.append({**kept, "hash_ids": ids, "type": "s"})
        before = ids
    return {**session, "requests": requests}


def test_both_forms_of_a_session_say_the_same(tmp_path, write):
    """Whole lists of ids, a file a session, and runs of them in lines, are alike."""
    sessions = [runs((0, 0, 40), (9, 36, 9), (20, 45, 2)), runs((0, 0, 30), (5, 30, 8))]
    folder = tmp_path / "published"
    folder.mkdir()
    for number, session in enumerate(sessions):
        (folder / f"trace_{number}.json").write_text(json.dumps(published(session)))

    read = prefixes(read_claude_code(write(sessions)))

    assert prefixes(read_claude_code(folder)) == read
    assert [len(ids) for _, _, ids in read[0]] == [40, 45, 47]
    assert read[0][0][2][:36] == read[0][1][2][:36]
    assert read[0][0][2][36:] != read[0][1][2][36:40]


def test_sessions_share_no_ids(write):
    """The same number in two sessions is another block, unless the scope is global."""
    session = runs((0, 0, 20))
    (one,), (two,) = prefixes(read_claude_code(write([session, session])))
    everywhere = {**session, "hash_id_scope": "global"}
    (a,), (b,) = prefixes(read_claude_code(write([everywhere, everywhere])))

    assert not set(one[2]) & set(two[2])
    assert a == b


def test_a_sub_agent_runs_inside_of_its_session(write):
    """Its times count from its own start, and its prompt goes on from its own."""
    session = runs((0, 0, 20), (100, 20, 4))
    inner = runs((0, 0, 18), (7, 18, 3))["requests"]
    agent = {"t": 30.5, "type": "subagent", "agent_id": "a1", "requests": inner}
    session["requests"].insert(1, agent)

    (read,) = read_claude_code(write([session]))

    assert [it.at for it in read.requests] == [0, 30.5, 37.5, 100]
    assert [it.outline.length for it in read.requests] == [20, 18, 21, 24]
    names = [it.conversation for it in read.requests]
    assert names == ["made-up", "made-up/a1", "made-up/a1", "made-up"]
    assert not read.requests[1].outline.has_answers


def test_the_parts_of_a_coding_session(write):
    """Tools, system prompt and the stable end are where the header says."""
    (read,) = read_claude_code(write([runs((0, 0, 40), (5, 40, 5))]))
    outline = read.requests[1].outline

    assert (outline.tools_end, outline.system_end) == (8, 16)
    assert outline.starts == (16, 42)
    assert outline.has_answers
    assert outline.total_tokens == 45 * 64


def test_a_service_is_one_session_of_whole_blocks(tmp_path):
    """The last block is left out where it is not full; ids are everybody's."""
    rows = [
        {"timestamp": 2500, "input_length": 1030, "hash_ids": [0, 1, 2]},
        {"timestamp": 0, "input_length": 1024, "hash_ids": [0, 5]},
    ]
    path = tmp_path / "service.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))

    (read,) = read_mooncake(tmp_path)

    assert read.is_service
    first, second = read.requests
    assert (first.at, second.at) == (0, 2.5)
    assert second.total_tokens == 1030
    assert second.outline.length == 2
    ours, theirs = first.outline.blocks.digests, second.outline.blocks.digests
    assert ours[0] == theirs[0]
    assert ours[1] != theirs[1]


@pytest.mark.parametrize(
    ("reader", "row"),
    [
        (read_claude_code, {"requests": []}),
        (read_claude_code, {"block_size": 64, "requests": [{"type": "n"}]}),
        (read_mooncake, {"timestamp": 0}),
        (read_mooncake, []),
    ],
)
def test_another_format_is_named(reader, row, write):
    """A file that holds something else is an error that says which line."""
    with pytest.raises(UnreadableTraceError, match=r"made|trace"):
        list(reader(write([row])))


def test_what_is_no_json_is_named(tmp_path):
    """A line that is torn is said, with its number."""
    path = tmp_path / "torn.jsonl"
    path.write_text('{"timestamp": 0, "input_length": 5, "hash_ids": []}\n{"ti')

    with pytest.raises(UnreadableTraceError, match="Line 2"):
        list(read_mooncake(path))


def test_a_folder_without_a_trace(tmp_path):
    """An empty folder and a missing file are said to be so."""
    with pytest.raises(UnreadableTraceError, match="no file"):
        list(read_mooncake(tmp_path))
    with pytest.raises(UnreadableTraceError, match="no file"):
        list(read_claude_code(tmp_path / "missing.jsonl"))
