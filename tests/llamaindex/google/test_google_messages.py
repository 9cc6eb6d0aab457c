"""The caller's messages: read and never written to, with or without cache points.

LlamaIndex joins neighbors of one role, and lets the first of them grow by it.
"""

from types import SimpleNamespace

import pytest
from llama_index.core.base.llms.types import CachePoint, TextBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.types import PydanticProgramMode
from llama_index.llms.google_genai.utils import merge_neighboring_same_role_messages
from llamaindex_google import CHATS, IGNORED_HERE, in_thread
from llamaindex_kit import ENGINE, ENGINE_CALL, TOOL, Engine, listed
from pydantic import Field

from llamaindex_promptcache.llms.lent_messages import LentMessages, LentPrompt
from promptcache.emulator import Fault, Json

pytestmark = IGNORED_HERE

T9 = Engine(**ENGINE)
POINT = CachePoint(cache_control={"type": "ephemeral"})


@pytest.fixture
def crowd(head):
    """Return a function that makes a conversation with neighbors of one role."""
    return lambda: [
        head,
        ChatMessage("There is an engine.", additional_kwargs={"first": 1}),
        ChatMessage("It is a tank engine.", additional_kwargs={"second": 2}),
        ChatMessage("I see.", role="assistant"),
        ChatMessage("Go on.", role="assistant"),
        ChatMessage("What is a tender?"),
    ]


def written(messages):
    return [message.model_dump_json() for message in messages]


def test_what_llamaindex_does():
    """Without help, the first of two neighbors has the blocks of both from then on."""
    messages = [ChatMessage("One."), ChatMessage("Two.")]
    merge_neighboring_same_role_messages(messages)

    assert [block.text for block in messages[0].blocks] == ["One.", "Two."]


async def structured(llm, messages):
    return llm.structured_predict(Engine, ChatPromptTemplate(messages))


async def unstructured(llm, messages):
    return llm.structured_predict_without_function_calling(
        Engine, ChatPromptTemplate(messages)
    )


async def astructured(llm, messages):
    return await llm.astructured_predict(Engine, ChatPromptTemplate(messages))


async def structured_stream(llm, messages):
    return list(llm.stream_structured_predict(Engine, ChatPromptTemplate(messages)))


async def astructured_stream(llm, messages):
    prompt = ChatPromptTemplate(messages)
    return await listed(llm.astream_structured_predict(Engine, prompt))


async def held(llm, messages):
    return llm.as_structured_llm(Engine).chat(messages)


async def with_tools(llm, messages):
    return llm.chat_with_tools([TOOL], chat_history=messages)


STRUCTURED = [
    pytest.param(in_thread(structured), id="structured_predict"),
    pytest.param(in_thread(unstructured), id="without_function_calling"),
    pytest.param(astructured, id="astructured_predict"),
    pytest.param(in_thread(structured_stream), id="stream_structured_predict"),
    pytest.param(astructured_stream, id="astream_structured_predict"),
    pytest.param(in_thread(held), id="as_structured_llm"),
]
OTHERS = [*STRUCTURED, pytest.param(in_thread(with_tools), id="chat_with_tools")]
# The first calls none; LlamaIndex makes a synchronous call of the second, and fails.
NO_FUNCTION = ("without_function_calling", "astructured_predict")
BY_FUNCTION = [way for way in STRUCTURED if way.id not in NO_FUNCTION]
CALLING = {"pydantic_program_mode": PydanticProgramMode.FUNCTION}


@pytest.mark.parametrize("way", [*CHATS, *OTHERS])
async def test_messages_stay_as_they_are(way, plain, cached, crowd, rows_of, emulator):
    """The same messages make the same request however often, and do not grow by it."""
    messages = crowd()
    before = written(messages)
    for _ in range(3):
        emulator.answers.push(Json(ENGINE))
        await way(cached, messages)
    emulator.answers.push(Json(ENGINE))
    await way(plain, crowd())
    bodies = [row.body for row in rows_of("cached")]
    (stock,) = rows_of("plain")

    assert written(messages) == before
    assert bodies == [stock.body] * 3


@pytest.mark.parametrize("way", BY_FUNCTION)
async def test_messages_of_a_function(way, make_cached, crowd, rows_of, emulator):
    """Nor do they where structured output is made by a function."""
    llm, messages = make_cached(**CALLING), crowd()
    before = written(messages)
    for _ in range(2):
        emulator.answers.push(ENGINE_CALL)
        await way(llm, messages)
    first, second = (row.body for row in rows_of("cached"))

    assert written(messages) == before
    assert first == second


@pytest.fixture
def unhurried(monkeypatch):
    """Let LlamaIndex try again at once."""

    async def no_time(seconds):
        del seconds

    monkeypatch.setattr("tenacity.nap.time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("tenacity.asyncio._portable_async_sleep", no_time)


@pytest.mark.parametrize("way", CHATS[:2])
async def test_retries_of_llamaindex(
    way, make_cached, crowd, emulator, unhurried, collecting
):
    """It reads the messages again then, and finds them as they were."""
    emulator.faults.push(Fault(status=500, times=2))
    with collecting() as receipts:
        await way(make_cached(max_retries=3), crowd())
    first, *later = (row.body for row in emulator.ledger)

    assert [row.status for row in emulator.ledger] == [500, 500, 200]
    assert later == [first, first]
    assert [receipt.attempts for receipt in receipts] == [1]


def test_history_stays_as_it_is(plain, cached, prompt, rows_of):
    """A question that is asked with tools is not added to the caller's history."""
    ours, stock = prompt(), prompt()
    given = {"tools": [TOOL], "user_msg": "And a boiler?"}
    cached.chat_with_tools(**given, chat_history=ours)
    plain.chat_with_tools(**given, chat_history=stock)

    assert len(ours) == 2
    assert len(stock) == 3
    assert rows_of("cached")[0].body == rows_of("plain")[0].body


class Signed(ChatMessage):
    """A message of somebody else's class."""

    author: str = Field(default="the clerk")


def test_lent_messages():
    """What is lent is as long, of the same class, and new each time it is read."""
    mine = [Signed("One."), ChatMessage("Two."), ChatMessage("Three.")]
    lent = LentMessages(mine)
    first, again = lent[0], lent[0]
    first.blocks.append(TextBlock(text="more"))
    first.additional_kwargs["more"] = True

    assert (len(lent), list(lent), lent[1:]) == (3, mine, mine[1:])
    assert isinstance(again, Signed)
    assert again == mine[0] == Signed("One.")


def marked(messages):
    """Return the messages with a cache point behind each block, and one by itself."""
    own = ChatMessage(role="user", blocks=[POINT])
    return [
        *(
            ChatMessage(
                role=message.role,
                blocks=[it for block in message.blocks for it in (block, POINT)],
                additional_kwargs=message.additional_kwargs,
            )
            for message in messages[:-1]
        ),
        own,
        messages[-1],
    ]


@pytest.mark.parametrize("way", [*CHATS, *OTHERS])
async def test_cache_points(way, plain, cached, crowd, rows_of, emulator):
    """A cache point, which the stock class fails at, is left out of the request."""
    messages = marked(crowd())
    before = written(messages)
    emulator.answers.push(Json(ENGINE))
    await way(cached, messages)
    emulator.answers.push(Json(ENGINE))
    await way(plain, crowd())

    assert rows_of("cached")[0].body == rows_of("plain")[0].body
    assert written(messages) == before
    with pytest.raises(ValueError, match="CachePoint"):
        await way(plain, messages)


def test_cache_point_in_a_template(plain, cached, head, shelf, rows_of):
    """A query engine answers then, where it gave an empty answer."""
    blocks = [TextBlock(text="{context_str}"), POINT, TextBlock(text="{query_str}")]
    template = ChatPromptTemplate([head, ChatMessage(role="user", blocks=blocks)])

    def asked(llm):
        given = {"llm": llm, "text_qa_template": template}
        engine = RetrieverQueryEngine.from_args(shelf, **given)
        return engine.query("Who built it?").response

    assert asked(plain) == "Empty Response"
    assert asked(cached) == "Understood. This is the emulator's answer."
    assert len(rows_of("cached")) == 1
    assert rows_of("plain") == []


def test_message_that_says_something_else():
    """A message of cache points alone is left out, unless it carries other things."""
    call = {"name": "look_up", "args": {}}
    carrying = ChatMessage(
        role="assistant", blocks=[POINT], additional_kwargs={"tool_calls": [call]}
    )
    (kept,) = LentMessages([ChatMessage(role="user", blocks=[POINT]), carrying])

    assert (kept.blocks, kept.additional_kwargs) == ([], carrying.additional_kwargs)
    assert carrying.blocks == [POINT]


def test_lent_prompt():
    """A prompt that stands in for another one says the same of itself."""
    inner = PromptTemplate("Describe {what} by {when}.", metadata={"kind": "museum"})
    lent = LentPrompt.of(inner)
    partly = lent.partial_format(when="noon")

    assert lent.template_vars == inner.template_vars == ["what", "when"]
    assert lent.metadata == inner.metadata
    assert lent.get_template() == inner.get_template()
    assert lent.format(what="it", when="noon") == "Describe it by noon."
    assert partly.format_messages(what="it") == inner.format_messages(
        what="it", when="noon"
    )


def test_prompt_of_another_kind(cached, emulator):
    """What is no template at all, but makes messages, is used as it is."""
    emulator.answers.push(Json(ENGINE))
    prompt = SimpleNamespace(format_messages=lambda: [ChatMessage("Describe it.")])

    assert cached.structured_predict(Engine, prompt) == T9
