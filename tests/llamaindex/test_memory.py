"""A memory that drops much at once, against those that drop a little each turn."""

import asyncio
from contextlib import suppress

import pytest
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import (
    ChatMemoryBuffer,
    InsertMethod,
    Memory,
    StaticMemoryBlock,
)
from llamaindex_google import IGNORED_HERE
from llamaindex_rag import ANSWER, read_share

from llamaindex_promptcache import stable_memory

# The connections of LlamaIndex's store are closed when they are collected.
pytestmark = [*IGNORED_HERE, pytest.mark.filterwarnings("ignore::ResourceWarning")]

LIMIT = 4_000
SYSTEM = "You are a careful clerk of a railway museum. " * 20
TURNS = 36
FULL = 14
"""Turns until every memory has been full."""


@pytest.fixture
def keep():
    """Return a function that takes memories whose stores are closed in the end."""
    made = []

    def take(memory):
        made.append(memory)
        return memory

    yield take
    for memory in made:
        with suppress(AttributeError):
            asyncio.run(memory.sql_store._async_engine.dispose())


def shares(make_llm, make_cache, emulator, provider, memory):
    """Return what was read on each turn, once the memory has been full."""
    emulator.reset()
    for number in range(TURNS):
        emulator.answers.push(f"{number}. {ANSWER}")
    engine = SimpleChatEngine.from_defaults(
        llm=make_llm(provider, prompt_cache=make_cache()),
        system_prompt=SYSTEM,
        memory=memory,
    )
    for turn in range(TURNS):
        engine.chat(f"Question {turn}: who built it, and why? " * 3)
        emulator.clock.advance(20)
    rows = [*emulator.ledger][FULL:]
    return [read_share([row]) for row in rows], read_share(rows)


@pytest.mark.parametrize("provider", ["anthropic", "openai", "openai-matched"])
def test_read_again(provider, make_llm, make_cache, emulator, keep):
    """A full buffer reads next to nothing, a full `stable_memory` most of all."""
    given = (make_llm, make_cache, emulator, provider)
    buffer = ChatMemoryBuffer.from_defaults(token_limit=int(0.7 * LIMIT))
    _, dropping = shares(*given, buffer)
    little = Memory.from_defaults(token_limit=LIMIT, token_flush_size=LIMIT // 10)
    _, flushing = shares(*given, keep(little))
    turns, stable = shares(*given, keep(stable_memory(LIMIT)))

    assert dropping < 0.1
    assert stable > 0.6
    assert stable > flushing + 0.1
    assert sorted(turns)[len(turns) // 2] > 0.7


def test_settings(keep):
    """The flush is 30 % of the limit, and what the caller says wins."""
    memory = keep(stable_memory(10_000))
    other = keep(stable_memory(10_000, token_flush_size=7, session_id="s"))
    tiny = keep(stable_memory(2))

    assert (memory.token_limit, memory.token_flush_size) == (10_000, 3_000)
    assert memory.insert_method is InsertMethod.USER
    assert (other.token_flush_size, other.session_id) == (7, "s")
    assert tiny.token_flush_size == 1


def test_blocks_come_last(keep):
    """What memory blocks add stands in the latest turn, not in the system prompt."""
    block = StaticMemoryBlock(name="facts", static_content="It is Monday.")
    history = [
        ChatMessage("Be brief.", role="system"),
        ChatMessage("Who?"),
        ChatMessage("He.", role="assistant"),
        ChatMessage("When?"),
    ]
    memory = keep(stable_memory(memory_blocks=[block], chat_history=history))
    got = memory.get()

    assert [message.content for message in got[:3]] == ["Be brief.", "Who?", "He."]
    assert "It is Monday." in got[3].content
    assert got[3].content.endswith("When?")
