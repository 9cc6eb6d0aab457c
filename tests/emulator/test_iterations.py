"""Answers for which the provider samples more than once."""

import itertools

import anthropic
import pytest

from promptcache.emulator import Emulator, Settings
from promptcache.emulator.rules.anthropic_iterations import bill_of
from promptcache.providers.anthropic import ANTHROPIC

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
MARKED = {"cache_control": MARK}
USE = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": "x"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "s",
    "content": [
        {
            "type": "web_search_result",
            "url": "https://example.com/",
            "title": "t",
            "encrypted_content": "e" * 2400,
        }
    ],
}
TEXT = {"type": "text", "text": "So it is."}
SUMMARY = {"type": "compaction", "content": "s" * 4000}
SEARCHED = [USE, FOUND, TEXT]
TOOL = {"type": "web_search_20250305", "name": "web_search"}


@pytest.fixture
def bill(world):
    """Return a function to the bill of an answer, and the judgment on its request."""

    def billed(body, content, **settings):
        here = world(**settings)
        verdict = here.judge(body)
        here.keep(verdict)
        return verdict, bill_of(
            body, content, verdict, here.entries, now=0.0, settings=here.settings
        )

    return billed


def rows(found):
    return [
        (each.kind, each.usage.read, each.usage.written_5m, each.usage.written_1h)
        for each in found.iterations
    ]


def test_a_plain_answer_is_one_sampling(bill, make):
    """Without server tools there is one iteration, billed as the request was."""
    verdict, found = bill(make(10, [10]), [TEXT])

    assert [each.usage for each in found.iterations] == [verdict.usage]
    assert (found.usage, found.started) == (verdict.usage, verdict.usage)
    assert found.written == ()


@pytest.mark.parametrize(
    ("marker", "first"),
    [
        pytest.param(MARK, (1011, 0), id="5m"),
        pytest.param(HOUR, (0, 1011), id="1h"),
    ],
)
def test_a_server_tool_writes_for_five_minutes(bill, make, marker, first):
    """The sampling after the result reads the request and writes to the result."""
    _, found = bill(make(10, {10: marker}), SEARCHED)
    written = found.iterations[1].usage.written_5m

    assert rows(found) == [("message", 0, *first), ("message", 1011, written, 0)]
    assert written > 600
    assert [entry.ttl for entry in found.written] == ["5m"]
    assert found.usage.read == 1011
    assert found.usage.written_5m == first[0] + written


def test_without_caching_nothing_is_written(bill, make):
    """A request without any `cache_control` gets no breakpoint."""
    _, found = bill(make(10), SEARCHED)

    assert rows(found) == [("message", 0, 0, 0)] * 2
    assert found.written == ()


def test_automatic_caching_is_caching(bill, make):
    """The top-level field counts as use of caching."""
    _, found = bill(make(10, cache_control=MARK), SEARCHED)

    assert len(found.written) == 1


@pytest.mark.parametrize(
    ("content", "reads"),
    [
        pytest.param([USE, FOUND, USE, FOUND, TEXT], 2, id="one-after-the-other"),
        pytest.param([USE, USE, FOUND, FOUND, TEXT], 1, id="both-at-once"),
        pytest.param([USE, FOUND], 1, id="nothing-follows"),
    ],
)
def test_several_results(bill, make, content, reads):
    """Each run of results is one more sampling, which reads what the last wrote."""
    _, found = bill(make(10, [10]), content)
    usages = [each.usage for each in found.iterations]

    assert len(usages) == 1 + reads
    for before, after in itertools.pairwise(usages):
        assert after.read == before.read + before.written_5m
    # Reads add up over the samplings, beyond what the context holds.
    assert found.usage.read == sum(usage.read for usage in usages)


def test_the_next_request_reads_the_result(world, make):
    """What was written at the result is read when the answer comes back."""
    here, body = world(), make(10, [10])
    verdict = here.judge(body)
    here.keep(verdict)
    found = bill_of(
        body, SEARCHED, verdict, here.entries, now=0.0, settings=here.settings
    )
    here.entries.update({entry.key: entry for entry in found.written})
    body["messages"] += [
        {"role": "assistant", "content": SEARCHED},
        {"role": "user", "content": [{**TEXT, "cache_control": MARK}]},
    ]

    assert here.hit(body) == "messages.1.content.1"


@pytest.mark.parametrize(
    ("marks", "takes_slot", "written"),
    [
        pytest.param([7, 8, 9, 10], False, 1, id="free"),
        pytest.param([7, 8, 9, 10], True, 0, id="none-left"),
        pytest.param([8, 9, 10], True, 1, id="one-left"),
    ],
)
def test_whether_it_needs_a_slot(bill, make, marks, takes_slot, written):
    """A setting says whether four markers leave room for it."""
    _, found = bill(make(10, marks), SEARCHED, server_tool_takes_slot=takes_slot)

    assert len(found.written) == written


def test_a_result_below_the_minimum(bill, make):
    """The minimum holds for this breakpoint too."""
    _, found = bill(make(1, [1]), [USE, {**FOUND, "content": []}, TEXT])

    assert found.written == ()


def test_usage_on_the_wire(client, make, emulator):
    """An answer shows the sum, and its iterations."""
    emulator.answers.push(SEARCHED)
    usage = client.messages.create(**make(10, {10: HOUR}), tools=[TOOL]).usage
    first, second = usage.model_extra["iterations"]

    assert usage.cache_creation.ephemeral_1h_input_tokens > 1000
    assert usage.cache_creation.ephemeral_5m_input_tokens > 600
    assert usage.cache_read_input_tokens == second["cache_read_input_tokens"]
    assert first["cache_creation"]["ephemeral_5m_input_tokens"] == 0
    assert usage.output_tokens == first["output_tokens"] + second["output_tokens"]
    row = emulator.ledger[0]
    assert row.cache_read_input_tokens == usage.cache_read_input_tokens
    assert (
        row.cache_creation_5m_input_tokens
        == usage.cache_creation.ephemeral_5m_input_tokens
    )


def test_usage_in_a_stream(client, make, emulator):
    """The start has the first sampling, and the end is cumulative."""
    emulator.answers.push(SEARCHED)
    body = make(10, [10], tools=[TOOL], stream=True)

    with client.messages.create(**body) as stream:
        events = list(stream)

    start, end = events[0].message.usage, events[-2].usage
    assert start.cache_read_input_tokens == 0
    assert end.cache_read_input_tokens == start.cache_creation_input_tokens
    assert end.cache_creation_input_tokens > start.cache_creation_input_tokens


def test_the_server_keeps_what_the_answer_wrote(client, make, emulator):
    """The next request reads up to the result, over HTTP as well."""
    emulator.answers.push(SEARCHED)
    body = make(10, [10], tools=[TOOL])
    client.messages.create(**body)
    body["messages"] += [
        {"role": "assistant", "content": SEARCHED},
        {"role": "user", "content": [{**TEXT, **MARKED}]},
    ]
    client.messages.create(**body)

    assert emulator.ledger[-1].hit == "messages.1.content.1"


def test_a_compaction_is_not_in_the_totals(client, make, emulator):
    """It reads the prompt on its own bill, and the rest starts from the summary."""
    system = [{"type": "text", "text": "s" * 4000, **MARKED}]
    body = make(60, [60], system=system, max_tokens=4000)
    emulator.answers.push("first")
    emulator.answers.push([SUMMARY, "Let us go on."])
    client.beta.messages.create(**body)

    answer = client.beta.messages.create(**body)
    usage, (first, second) = answer.usage, answer.usage.iterations

    assert [first.type, second.type] == ["compaction", "message"]
    assert first.cache_read_input_tokens > 7000
    assert first.output_tokens > 900
    assert usage.cache_read_input_tokens == second.cache_read_input_tokens == 1001
    assert usage.output_tokens == second.output_tokens < 10
    assert answer.stop_reason == "end_turn"
    row = emulator.ledger[-1]
    assert row.cache_read_input_tokens == 1001 + first.cache_read_input_tokens
    assert row.output_tokens == first.output_tokens + second.output_tokens


def test_a_conversation_after_its_compaction(client, make, emulator):
    """The compaction block can be marked, and is read from then on."""
    emulator.answers.push([SUMMARY, "Let us go on."])
    body = make(60, [60])
    client.beta.messages.create(**body)
    body["messages"] += [
        {"role": "assistant", "content": [{**SUMMARY, **MARKED}, TEXT]},
        {"role": "user", "content": "And now?"},
    ]
    written = client.beta.messages.create(**body).usage
    read = client.beta.messages.create(**body).usage

    assert written.cache_creation_input_tokens > 1000
    assert read.cache_read_input_tokens == written.cache_creation_input_tokens


def test_compaction_on_demand(client, make, emulator):
    """`compaction` is answered with a summary, which is all that was sampled."""
    body = make(10, [10], extra_body={"compaction": {"type": "summarize"}})
    answer = client.beta.messages.create(**body, betas=["compact-2026-09-04"])
    with client.beta.messages.stream(**body, betas=["compact-2026-09-04"]) as stream:
        streamed = stream.get_final_message()

    assert answer.stop_reason == streamed.stop_reason == "compaction"
    assert answer.content[0].content == streamed.content[0].content
    assert [each.type for each in answer.usage.iterations] == ["compaction"]
    assert answer.usage.iterations[0].cache_creation_input_tokens == 1011
    assert answer.usage.cache_creation_input_tokens == 0
    assert emulator.ledger[-1].cache_read_input_tokens == 1011


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(SEARCHED, id="server-tool"),
        pytest.param([SUMMARY, TEXT], id="compaction"),
        pytest.param([SUMMARY], id="only-a-compaction"),
    ],
)
def test_our_receipts_read_such_usage(client, make, emulator, answer):
    """What a receipt sums up is what the ledger says was billed."""
    emulator.answers.push(answer)
    usage = client.beta.messages.create(**make(10, [10], max_tokens=4000)).usage
    found, row = ANTHROPIC.usage(usage.model_dump()), emulator.ledger[0]

    assert found.written_5m_tokens == found.written_tokens
    assert found.written_tokens == row.cache_creation_input_tokens
    assert found.read_tokens == row.cache_read_input_tokens
    assert found.input_tokens == row.total_input_tokens
    assert found.output_tokens == row.output_tokens


def test_the_setting_reaches_the_server(make):
    """The settings of an emulator hold for its answers."""
    written = []
    for takes_slot in (False, True):
        settings = Settings(server_tool_takes_slot=takes_slot)
        with (
            Emulator(settings=settings) as running,
            anthropic.Anthropic(base_url=running.url, api_key="any") as client,
        ):
            running.answers.push(SEARCHED)
            client.messages.create(**make(10, [7, 8, 9, 10]))
            written.append(running.ledger[0].cache_creation_5m_input_tokens)

    assert written[1] == 1011 < written[0]
