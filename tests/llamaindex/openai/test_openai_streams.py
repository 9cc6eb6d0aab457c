"""The usage of streams: asked for, unless the caller wants it otherwise."""

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate
from llamaindex_kit import IGNORED, LOOK_UP, TOOL, Engine, calling
from llamaindex_ways import STREAMS, WAYS

from promptcache import Receipt, options
from promptcache.emulator import Json

pytestmark = IGNORED

OPTION = "prompt_cache"
ASKED = {"include_usage": True}
UNASKED = {"stream_options": {"include_usage": False}}


@pytest.fixture
def api():
    """Chat Completions alone has to be asked."""
    return "chat"


@pytest.mark.parametrize("way", WAYS)
async def test_streams_are_asked_for_their_usage(way, cached, prompt, last_row):
    """Only requests of streams carry the question, which the others must not."""
    answer = await way(cached, prompt())

    assert last_row().body.get("stream_options") == (
        ASKED if last_row().stream else None
    )
    receipt = Receipt.from_metadata(answer.additional_kwargs[OPTION])
    assert receipt.usage.input_tokens == last_row().total_input_tokens


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({OPTION: {"stream_usage": False}}, {}, id="llm"),
        pytest.param({}, {OPTION: {"stream_usage": False}}, id="call"),
        pytest.param({OPTION: False}, {}, id="off"),
        pytest.param({}, {OPTION: False}, id="off_for_the_call"),
    ],
)
async def test_switched_off(way, changes, said, make_cached, prompt, last_row):
    """Nothing is asked where the caller says so; then a receipt has no figures."""
    llm = make_cached(**changes)
    with llm._choice.cache.collect() as receipts:
        answer = await way(llm, prompt(), **said)

    assert "stream_options" not in last_row().body
    assert [receipt.usage.input_tokens for receipt in receipts] == [None]
    # It came after the last response, which is not held back for it.
    assert OPTION not in answer.additional_kwargs


@pytest.mark.parametrize("way", STREAMS)
async def test_word_of_the_caller(way, make_cached, prompt, last_row):
    """What the caller says of the usage himself is what is sent."""
    await way(make_cached(additional_kwargs=UNASKED), prompt())

    assert last_row().body["stream_options"] == {"include_usage": False}


@pytest.mark.parametrize("way", STREAMS)
async def test_call_may_ask_again(way, make_cached, prompt, last_row):
    """A call wins over its LLM."""
    llm = make_cached(prompt_cache={"stream_usage": False})
    answer = await way(llm, prompt(), prompt_cache={"stream_usage": True})

    assert last_row().body["stream_options"] == ASKED
    assert OPTION in answer.additional_kwargs


ANSWERS = [
    pytest.param("It is a wagon of coal and water.", id="text"),
    pytest.param(["Let me see.", calling(1), calling(2)], id="tools"),
]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_chunk_more(answer, plain, cached, prompt, emulator):
    """Of the chunk with the usage comes one response more, which says nothing new."""
    both = []
    for llm in (plain, cached):
        for _ in range(2):
            emulator.answers.push(answer)
        given = {"tools": [LOOK_UP]}
        both.append(list(llm.stream_chat(prompt(), **given)))
        stream = await llm.astream_chat(prompt(), **given)
        both.append([chunk async for chunk in stream])
    stock, astock, ours, aours = both

    for expected, found in ((stock, ours), (astock, aours)):
        *same, last = found
        assert [it.delta for it in same] == [it.delta for it in expected]
        assert last.delta == ""
        assert last.message.blocks == expected[-1].message.blocks
        assert last.message.additional_kwargs.keys() == (
            expected[-1].message.additional_kwargs.keys()
        )
        assert last.raw.usage.prompt_tokens > 0


def test_tokens_of_a_stream(plain, cached, head, emulator):
    """Who reads text alone reads the same."""
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    said = []
    for llm in (plain, cached):
        emulator.answers.push("It is a wagon of coal and water.")
        said.append("".join(llm.stream(template, what="it")))

    assert said[0] == said[1] == "It is a wagon of coal and water."


def test_structured_stream(plain, cached, head, emulator):
    """Structured output ends with the same object."""
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    ends = []
    for llm in (plain, cached):
        emulator.answers.push(Json({"name": "T 9", "year": 1911}))
        *_, last = llm.stream_structured_predict(Engine, template, what="it")
        ends.append(last)

    assert ends == [Engine(name="T 9", year=1911)] * 2


async def test_agent_that_streams(plain, cached, head, emulator):
    """An agent finds its calls in the last response, and the usage in its raw form."""
    said = []
    for llm in (plain, cached):
        for answer in ([calling(1), calling(2)], "It was built in 1911."):
            emulator.answers.push(answer)
        agent = FunctionAgent(tools=[TOOL], llm=llm, system_prompt=head.content)
        said.append(await agent.run("Who built it?"))
    stock, ours = said

    assert ours.response.content == stock.response.content == "It was built in 1911."
    assert len(ours.tool_calls) == len(stock.tool_calls) == 2
    assert ours.raw["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert stock.raw["usage"] is None


async def test_options_around(make_cached, prompt, last_row):
    """A `with` that switches caching off asks for nothing."""
    with options(enabled=False):
        list(make_cached().stream_chat(prompt()))

    assert "stream_options" not in last_row().body
