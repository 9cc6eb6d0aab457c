"""What it is all for: an agent's bill, by implicit caching alone."""

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.memory import ChatMemoryBuffer
from llamaindex_google import IGNORED_HERE
from llamaindex_kit import TOOL, calling

from promptcache import Receipt, Usage
from promptcache.receipts.prices import GenaiPrices

pytestmark = IGNORED_HERE

QUESTIONS = ("Who built the T 9?", "And the T 12?", "Which one is larger?")
ANSWERS = (
    *([calling(1)], [calling(2), calling(3)], [calling(4)], "Borsig built it."),
    *([calling(5)], [calling(6)], [calling(7)], [calling(8)], "Union built that one."),
    *([calling(9)], [calling(10), calling(11)], [calling(12)], "The T 12 is."),
)
THOUGHT = 'Thought: I need a tool.\nAction: look_up\nAction Input: {"name": "T 9"}'
SAID = "Thought: I can answer without using any more tools.\nAnswer: Borsig did."
THOUGHTS = (*(THOUGHT, THOUGHT, SAID), *(THOUGHT, SAID), *(THOUGHT, THOUGHT, SAID))


@pytest.fixture
def visit(emulator, head):
    """Return a function that leads a conversation, a minute a question."""

    async def lead(llm, kind=FunctionAgent, script=ANSWERS, **said):
        agent = kind(tools=[TOOL], llm=llm, system_prompt=head.content, **said)
        memory, answers = ChatMemoryBuffer.from_defaults(token_limit=100_000), []
        for answer in script:
            emulator.answers.push(answer)
        for question in QUESTIONS:
            output = await agent.run(question, memory=memory)
            answers.append(output.response.content)
            emulator.clock.advance(60)
        return answers

    return lead


def priced(rows):
    """Return what ledger rows cost, whatever we think of it."""
    prices, costs = GenaiPrices(), []
    for row in rows:
        usage = Usage(
            input_tokens=row.total_input_tokens,
            read_tokens=row.cache_read_input_tokens,
            output_tokens=row.output_tokens,
        )
        costs.append(prices.cost("google", row.model, usage))
    return sum(one.usd for one in costs)


def share_read(rows):
    total = sum(row.total_input_tokens for row in rows)
    return sum(row.cache_read_input_tokens for row in rows) / total


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "whole"])
async def test_agent_saves(
    streaming, visit, make_plain, cached, collecting, rows_of, assert_settled
):
    """An agent's 13 requests over three turns read most of their input."""
    expected = await visit(make_plain(), streaming=streaming)
    with collecting() as receipts:
        answers = await visit(cached, streaming=streaming)
    stock, rows = rows_of("plain"), rows_of("cached")

    assert answers == expected
    assert [row.body for row in rows] == [row.body for row in stock]
    assert len(rows) == len(ANSWERS) == 13
    assert_settled(receipts, rows)
    assert share_read(rows) >= 0.8
    assert Receipt.sum(receipts).cost_usd == pytest.approx(priced(rows), abs=1e-9)
    assert len({receipt.conversation for receipt in receipts}) == len(QUESTIONS)


async def test_reasoning_agent_saves(
    visit, cached, collecting, rows_of, assert_settled
):
    """So does one that thinks aloud instead of calling tools."""
    with collecting() as receipts:
        await visit(cached, ReActAgent, THOUGHTS)
    rows = rows_of("cached")

    assert len(rows) == len(THOUGHTS) == 8
    assert_settled(receipts, rows)
    assert share_read(rows) >= 0.7
