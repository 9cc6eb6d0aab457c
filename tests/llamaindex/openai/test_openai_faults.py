"""What goes wrong on the way: the caller sees what a stock LLM would have shown."""

import openai
import pytest
from llama_index.core.query_engine import RetrieverQueryEngine
from llamaindex_kit import IGNORED
from llamaindex_ways import CHATS, COMPLETIONS, STREAMS, WAYS

from llamaindex_promptcache.errors import CallError
from promptcache import (
    OptionError,
    PlanningError,
    Policy,
    PromptCache,
    PromptCacheError,
    Receipt,
    options,
)
from promptcache.emulator import Emulator, Fault, OpenAISettings
from promptcache.receipts.events import RetriedUnplanned
from promptcache.state.history import History

pytestmark = IGNORED

OPTION = "prompt_cache"
OURS = {"prompt_cache_key", "prompt_cache_options", "stream_options"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """Let the SDK try again at once."""
    monkeypatch.setattr(
        openai._base_client.BaseClient,
        "_calculate_retry_timeout",
        lambda *args, **kwargs: 0.0,
    )


@pytest.fixture
def failed(plain, prompt, emulator):
    """Return a function that gives what a stock LLM raises for a fault."""

    async def by(fault, way):
        emulator.faults.push(fault)
        with pytest.raises(Exception) as info:  # noqa: PT011 - this is how it is found
            await way(plain, prompt())
        return info.value

    return by


@pytest.mark.parametrize("way", CHATS)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=400, message="max_tokens: too large"), id="400"),
        pytest.param(Fault(status=401), id="401"),
        pytest.param(Fault(status=429, retry_after=7), id="429"),
        pytest.param(Fault(status=500), id="500"),
        pytest.param(Fault(close=True), id="closed"),
    ],
)
async def test_failures(
    fault, way, cached, collecting, prompt, emulator, failed, opened
):
    """A failure is the stock one: its type, its words, one request, no receipt."""
    expected = await failed(fault, way)
    emulator.faults.push(fault)
    with collecting() as receipts, pytest.raises(type(expected)) as info:
        await way(cached, prompt())

    assert without_id(info.value) == without_id(expected)
    assert type(info.value.__cause__) is type(expected.__cause__)
    assert len(emulator.ledger) == 2
    assert receipts == []
    assert not opened.open


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    ("api", "fault"),
    [
        pytest.param("chat", Fault(after_events=3), id="chat.dropped"),
        pytest.param("responses", Fault(after_events=3), id="responses.dropped"),
        # The other API's stream goes on after such an event, or ends.
        pytest.param("chat", Fault(after_events=3, status=500), id="chat.error"),
    ],
)
async def test_broken_stream(
    fault, way, cached, collecting, prompt, emulator, failed, told
):
    """A stream that breaks raises what it raises in a stock LLM, and is settled."""
    expected = await failed(fault, way)
    stock = [type(event).__name__ for event in told]
    told.clear()
    emulator.faults.push(fault)
    with collecting() as receipts, pytest.raises(type(expected)) as info:
        await way(cached, prompt())
    (receipt,) = receipts
    ours = [type(event).__name__ for event in told]

    assert without_id(info.value) == without_id(expected)
    assert receipt.usage.input_tokens is None
    assert sorted(ours) == sorted([*stock, "PromptCacheEvent"])


REFUSED = [
    pytest.param("prompt_cache_breakpoint", id="breakpoint"),
    pytest.param("prompt_cache_options", id="options"),
    pytest.param("prompt_cache_key", id="key"),
]


@pytest.mark.parametrize("way", CHATS)
@pytest.mark.parametrize("field", REFUSED)
async def test_refused_fields(
    field, way, cached, collecting, prompt, emulator, events, strip
):
    """A provider that refuses a field of ours is asked once more without all of them.

    It is not asked again, and the receipts go on.
    """
    message = f"Unknown parameter: '{field}'."
    emulator.faults.push(Fault(status=400, message=message, match=field))
    with collecting() as receipts:
        answers = [await way(cached, prompt()) for _ in range(2)]
    refused, taken, later = emulator.ledger

    assert [refused.status, taken.status, later.status] == [400, 200, 200]
    assert not OURS & taken.body.keys()
    assert later.body == taken.body == without_usage(strip(refused.body))
    assert [receipt.attempts for receipt in receipts] == [2, 1]
    assert sum(isinstance(event, RetriedUnplanned) for event in events) == 1
    if not refused.stream or "responses" in refused.path:
        shown = [answer.additional_kwargs[OPTION] for answer in answers]
        assert [it["attempts"] for it in shown] == [2, 1]


@pytest.mark.parametrize("api", ["chat"])
@pytest.mark.parametrize("way", STREAMS)
async def test_refused_question(way, cached, prompt, emulator):
    """A server that does not know the question for the usage answers without it."""
    message = "Unknown parameter: 'stream_options'."
    fault = Fault(status=400, message=message, match="stream_options", times=9)
    emulator.faults.push(fault)
    for _ in range(2):
        assert (await way(cached, prompt())).raw is not None

    assert [row.status for row in emulator.ledger] == [400, 200, 200]
    assert not OURS & emulator.ledger[-1].body.keys()


@pytest.fixture(scope="module")
def plain_server():
    with Emulator(openai=OpenAISettings(plain_chat=True)) as running:
        yield running


@pytest.mark.parametrize("api", ["chat"])
@pytest.mark.parametrize("model", ["gpt-6.1-sol", "gpt-5.2"])
@pytest.mark.parametrize("way", CHATS)
async def test_strict_server(way, make_cached, plain_server, prompt, collecting):
    """A server that refuses every newer field answers all that a stock LLM sends."""
    plain_server.reset()
    llm = make_cached(api_base=f"{plain_server.url}/v1")
    with collecting() as receipts:
        for _ in range(2):
            assert (await way(llm, prompt())).raw is not None
    refused, *taken = plain_server.ledger

    assert refused.status == 400
    assert [row.status for row in taken] == [200, 200]
    assert [receipt.attempts for receipt in receipts] == [2, 1]


@pytest.mark.parametrize("way", [*CHATS, *COMPLETIONS[1:3]])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, retry_after=7), id="429"),
        pytest.param(Fault(status=500, times=2), id="twice"),
        pytest.param(Fault(close=True), id="closed"),
    ],
)
async def test_retries(fault, way, make_cached, collecting, prompt, emulator):
    """All attempts of one request send one plan, and have one receipt."""
    emulator.faults.push(fault)
    with collecting() as receipts:
        answer = await way(make_cached(max_retries=2), prompt())
    bodies = [row.body for row in emulator.ledger]
    receipt = Receipt.from_metadata(answer.additional_kwargs[OPTION])

    assert len(bodies) == fault.times + 1
    assert all(body == bodies[0] for body in bodies)
    assert [receipt.attempts for receipt in receipts] == [fault.times + 1]
    assert receipt.attempts == fault.times + 1


async def test_retries_of_llamaindex(make_cached, collecting, prompt, emulator):
    """LlamaIndex tries again itself; what failed for good before has no receipt."""
    emulator.faults.push(Fault(status=429, retry_after=0, times=3))
    with collecting() as receipts:
        answer = make_cached(max_retries=2).chat(prompt())

    assert [row.status for row in emulator.ledger] == [429, 429, 429, 200]
    assert [receipt.attempts for receipt in receipts] == [1]
    assert answer.additional_kwargs[OPTION]["requests"] == 1


@pytest.mark.parametrize("way", WAYS)
async def test_dropped_usage(way, cached, prompt, emulator):
    """Where a gateway drops the cache's figures they are unknown, not zero."""
    emulator.faults.push(Fault(drop_usage=True))
    answer = await way(cached, prompt())

    assert answer.additional_kwargs[OPTION]["read_tokens"] is None
    assert answer.additional_kwargs[OPTION]["input_tokens"] > 0


@pytest.mark.parametrize("way", CHATS)
async def test_error_of_ours(way, make_cached, emulator, prompt, monkeypatch):
    """When planning fails, the request goes out as it was; a strict cache raises."""

    def failing(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(History, "past", failing)
    lenient = PromptCache(clock=emulator.clock)
    await way(make_cached(prompt_cache=lenient), prompt())

    assert not OURS & emulator.ledger[0].body.keys()
    with pytest.raises(PromptCacheError, match="ZeroDivisionError"):
        await way(make_cached(), prompt())
    assert len(emulator.ledger) == 1


WRONG = [
    pytest.param("auto", "a dict of tenant, conversation", id="policy"),
    pytest.param(Policy.off(), "a dict of tenant, conversation", id="Policy"),
    pytest.param({"policy": "off"}, "tenant, conversation, ttl, enabled", id="dict"),
    pytest.param({"ttl": "2h"}, "5m, 30m, 1h, 12h", id="ttl"),
    pytest.param({"ttl": "5m"}, "allowed: 30m, 12h, 24h", id="ttl_of_others"),
]


@pytest.mark.parametrize("way", [*CHATS, *COMPLETIONS[1:3]])
@pytest.mark.parametrize(("said", "words"), WRONG)
async def test_wrong_option_of_a_call(said, words, way, cached, prompt, emulator):
    """A wrong option is refused before anything is sent, by no `ValueError`."""
    with pytest.raises(CallError, match=words) as info:
        await way(cached, prompt(), prompt_cache=said)

    assert emulator.ledger == []
    assert not isinstance(info.value, (ValueError, TypeError))
    assert isinstance(info.value.__cause__, OptionError)


@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_refine_does_not_answer_for_us(streaming, cached, shelf, emulator):
    """An error of ours leaves a query engine as one, never as an empty response."""
    engine = RetrieverQueryEngine.from_args(shelf, llm=cached, streaming=streaming)
    # A lifetime that others have, asked for where only the strict cache can tell.
    with options(ttl="5m"), pytest.raises(PlanningError, match="allowed: 30m, 12h"):
        str(engine.query("Who built it?"))

    assert emulator.ledger == []


def without_id(error):
    """Return what an error says, but for the number of its request."""
    return str(error).partition("req_emulated_")[0]


def without_usage(body):
    return {name: body[name] for name in body if name != "stream_options"}
