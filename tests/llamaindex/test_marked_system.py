"""A `CachePoint` of the user: on a system message, where LlamaIndex drops it, too."""

import pytest
from llama_index.core.base.llms.types import CacheControl, CachePoint, TextBlock
from llama_index.core.llms import ChatMessage
from llama_index.llms.anthropic.utils import messages_to_anthropic_messages

from llamaindex_promptcache.llms.marked_system import marked_system

HEAD = "You are a careful clerk of a railway museum. " * 180


def text(said):
    return TextBlock(text=said)


def point(ttl="5m"):
    return CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl))


def system(*blocks):
    return ChatMessage(role="system", blocks=list(blocks))


QUESTION = ChatMessage("What is a tender?")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([system(text("A")), QUESTION], None, id="none"),
        pytest.param([system(text("A"), point())], [("A", "5m")], id="end"),
        pytest.param(
            [system(text("A"), point("1h"), text("B"))],
            [("A", "1h"), ("\nB", None)],
            id="middle",
        ),
        pytest.param(
            [
                system(text("A"), point()),
                QUESTION,
                system(text("B"), text("C"), point()),
            ],
            [("A", "5m"), ("\nB\nC", "5m")],
            id="messages",
        ),
        pytest.param([system(point(), text("A"))], None, id="first"),
        pytest.param([system(text(" "), point(), text("A"))], None, id="blank"),
        pytest.param(
            [system(text("A"), point(), point("1h"), text("B"))],
            [("A", "5m"), ("\nB", None)],
            id="twice",
        ),
        pytest.param(
            [system(text(""), text("A"), point())], [("\nA", "5m")], id="empty_text"
        ),
        pytest.param(
            [ChatMessage(role="user", blocks=[text("A"), point()])], None, id="user"
        ),
    ],
)
def test_blocks(messages, expected):
    """Blocks end at the cache points, and say what LlamaIndex's string says."""
    blocks = marked_system(messages)
    stock = messages_to_anthropic_messages(
        [one for one in messages if one.role == "system"]
    )[1]

    if expected is None:
        assert blocks is None
        return
    found = [(it["text"], it.get("cache_control", {}).get("ttl")) for it in blocks]
    assert found == expected
    assert "".join(it["text"] for it in blocks) == stock


async def chatted(llm, messages, **kwargs):
    return llm.chat(messages, **kwargs)


async def achatted(llm, messages, **kwargs):
    return await llm.achat(messages, **kwargs)


async def streamed(llm, messages, **kwargs):
    return list(llm.stream_chat(messages, **kwargs))


async def astreamed(llm, messages, **kwargs):
    return [chunk async for chunk in await llm.astream_chat(messages, **kwargs)]


WAYS = [chatted, achatted, streamed, astreamed]


@pytest.mark.parametrize("way", WAYS)
async def test_point_on_a_system_message(way, cached, last_row, markers, told):
    """It is sent, the messages stay as they are, and no event repeats the text."""
    messages = [system(text(HEAD), point("1h"), text("Be brief.")), QUESTION]
    before = [message.model_dump_json() for message in messages]
    await way(cached, messages)
    await way(cached, messages)
    start = next(it for it in told if type(it).__name__ == "LLMChatStartEvent")

    assert markers(last_row().body)["system[0]"] == "1h"
    assert last_row().cache_read_input_tokens > 0
    assert [message.model_dump_json() for message in messages] == before
    assert start.additional_kwargs == {}


def test_stock_drops_it(plain, last_row, markers):
    """This is what is told in the documentation; if it fails, mend that."""
    plain.chat([system(text(HEAD), point()), QUESTION])

    assert markers(last_row().body) == {}


def test_point_on_a_user_message(cached, last_row, markers):
    """LlamaIndex sends it, and it stays where it is."""
    question = ChatMessage(role="user", blocks=[text(HEAD), point("1h"), text("Why?")])
    cached.chat([question])

    assert markers(last_row().body)["messages[0].content[0]"] == "1h"


def test_body_of_the_caller(cached, last_row):
    """What the caller adds to the body stays, and wins."""
    messages = [system(text(HEAD), point()), QUESTION]
    cached.chat(messages, extra_body={"metadata": {"user_id": "42"}})
    added = last_row().body
    cached.chat(messages, extra_body={"system": "Be brief."})

    assert added["metadata"] == {"user_id": "42"}
    assert added["system"][0]["cache_control"]
    assert "Be brief." in str(last_row().body["system"])
    assert HEAD not in str(last_row().body["system"])
