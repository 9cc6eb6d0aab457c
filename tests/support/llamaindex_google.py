"""What only Gemini has among the ways into an LLM of LlamaIndex."""

import asyncio
from base64 import b64decode
from functools import wraps

import llamaindex_ways
import pytest
from google.auth.credentials import Credentials
from google.genai import types
from llama_index.core.base.llms.types import ImageBlock, TextBlock
from llama_index.core.llms import ChatMessage
from llamaindex_kit import CALLED, ENGINE, IGNORED, QUESTION, TOOL, Engine, listed

from promptcache.emulator import Json

__all__ = [
    "ASYNC_GOOGLE",
    "CHATS",
    "COMPLETIONS",
    "IGNORED_HERE",
    "METHODS",
    "STREAMS",
    "SYNC_GOOGLE",
    "WAYS",
    "Anyone",
    "answered",
    "in_thread",
    "is_stream",
]

# The SDK says this of its own asynchronous client.
IGNORED_HERE = [
    *IGNORED,
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession"),
]

PIXEL = b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
THOUGHT = {"text": "The register may know.", "thought": True}
THINKING = types.GenerateContentConfig(
    max_output_tokens=256,
    thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_budget=512),
)
SEARCH = types.Tool(google_search=types.GoogleSearch())


class Anyone(Credentials):
    """Credentials that are valid already, with the emulator's name of a workspace."""

    def __init__(self, token):
        super().__init__()
        self.token = token

    def refresh(self, request):
        """Do nothing: they hold as they are."""


def answered(rows):
    """Return the rows of requests for an answer, without those of cached contents."""
    return [row for row in rows if "enerateContent" in row.path]


def in_thread(way):
    """Return a way whose call is made in a thread.

    Synchronous calls of `GoogleGenAI` fail where an event loop runs.
    """

    @wraps(way)
    async def asked(*args, **said):
        return await asyncio.to_thread(_finished, way(*args, **said))

    return asked


def _finished(coroutine):
    """Return what a coroutine returns that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError(coroutine)


def _adapted(ways):
    return [
        way
        if way.id.startswith("a")
        else pytest.param(in_thread(way.values[0]), id=way.id)
        for way in ways
    ]


CHATS = _adapted(llamaindex_ways.CHATS)
COMPLETIONS = _adapted(llamaindex_ways.COMPLETIONS)
STREAMS = [*CHATS[2:], *COMPLETIONS[2:]]
WAYS = [*CHATS, *COMPLETIONS]
METHODS = {way.values[0]: way.id for way in WAYS}
is_stream = llamaindex_ways.is_stream


def shown(kit):
    """Return a question about a picture, behind two turns of one role."""
    picture = [TextBlock(text="What is this?"), ImageBlock(image=PIXEL)]
    return [*kit.prompt, ChatMessage(role="user", blocks=picture)]


def thinking(kit):
    return kit.make(generation_config=THINKING)


def searching(kit):
    return kit.make(built_in_tool=SEARCH)


def follow_up(kit, response):
    """Return a conversation that goes on from an answer, thoughts and all."""
    return [*kit.prompt, response.message, ChatMessage("And when?")]


def said(response):
    """Return all that a message says, thoughts, calls and signatures."""
    return response.message.model_dump_json()


def talk_thinking(kit):
    llm = thinking(kit)
    first = llm.chat(kit.prompt)
    return [said(first), llm.chat(follow_up(kit, first))]


async def atalk_thinking(kit):
    llm = thinking(kit)
    *_, first = await listed(llm.astream_chat(kit.prompt))
    return [said(first), await llm.achat(follow_up(kit, first))]


def signed(number):
    """Return a call as Gemini makes it: with an id, and with a signature."""
    call = {"name": "look_up", "args": {"name": f"T {number}"}, "id": f"call-{number}"}
    return {"functionCall": call, "thoughtSignature": "c2lnbmVk"}


def call_and_answer(kit):
    """Return a conversation with two calls at once, and an answer to each."""
    asked = kit.llm.chat_with_tools([TOOL], chat_history=kit.prompt)
    history = [*kit.prompt, asked.message, *results(kit, asked)]
    return [said(asked), kit.llm.chat(history)]


async def acall_and_answer(kit):
    asked = await kit.llm.achat_with_tools([TOOL], chat_history=kit.prompt)
    history = [*kit.prompt, asked.message, *results(kit, asked)]
    return [said(asked), await kit.llm.achat(history)]


def results(kit, asked):
    return [
        ChatMessage(
            TOOL(**call.tool_kwargs).content,
            role="tool",
            additional_kwargs={"tool_call_id": call.tool_id},
        )
        for call in kit.llm.get_tool_calls_from_response(asked)
    ]


THOUGHTS = [[THOUGHT, "Borsig built it."], "In 1911."]
CALLS = [["Let me see.", signed(1), signed(2)], "They were built in 1911."]

SYNC_GOOGLE = [
    pytest.param(["A pixel."], lambda kit: kit.llm.chat(shown(kit)), id="chat.image"),
    pytest.param(
        ["A pixel."],
        lambda kit: list(kit.llm.stream_chat(shown(kit))),
        id="stream.image",
    ),
    pytest.param(THOUGHTS, talk_thinking, id="chat.thinking"),
    pytest.param(CALLS, call_and_answer, id="chat.parallel_calls"),
    pytest.param(
        ["It is a wagon."],
        lambda kit: searching(kit).chat(kit.prompt),
        id="chat.built_in_tool",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: kit.llm.structured_predict_without_function_calling(
            Engine, kit.template, what="it"
        ),
        id="structured_predict_without_function_calling",
    ),
    pytest.param(
        [CALLED],
        lambda kit: kit.structured(kit.caller).complete(kit.text).text,
        id="as_structured_llm.complete.function",
    ),
]

ASYNC_GOOGLE = [
    pytest.param(["A pixel."], lambda kit: kit.llm.achat(shown(kit)), id="achat.image"),
    pytest.param(THOUGHTS, atalk_thinking, id="achat.thinking"),
    pytest.param(CALLS, acall_and_answer, id="achat.parallel_calls"),
    pytest.param(
        ["It is a wagon."],
        lambda kit: listed(searching(kit).astream_chat(kit.prompt)),
        id="astream_chat.built_in_tool",
    ),
    pytest.param(
        ["I know.", QUESTION],
        lambda kit: kit.llm.apredict_and_call(
            [TOOL], chat_history=kit.prompt, error_on_no_tool_call=False
        ),
        id="apredict_and_call",
    ),
]
