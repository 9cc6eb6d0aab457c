"""What it is all for: an agent's bill, with and without caching."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from promptcache import Receipt
from promptcache.receipts.prices import GenaiPrices
from promptcache.receipts.usage import Usage

THREAD = {"configurable": {"thread_id": "visit"}}
QUESTIONS = ("Who built the T 9?", "And the T 12?", "Which one is larger?")


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911. " * 40


@tool
def measure(name: str) -> str:
    """Return the measures of an engine."""
    return f"{name} is 11.7 m long. " * 20


def call(number, name="look_up"):
    return {
        "type": "tool_use",
        "id": f"toolu_{number}",
        "name": name,
        "input": {"name": f"T {number}"},
    }


ANSWERS = (
    *([call(1)], [call(2), call(3, "measure")], [call(4)], "Borsig built it."),
    *([call(5)], [call(6, "measure")], [call(7)], [call(8)], "Union built that one."),
    *([call(9)], [call(10, "measure"), call(11)], [call(12)], "The T 12 is."),
)


@pytest.fixture
def visit(emulator, head):
    """Return a function that leads a conversation, a minute a question."""

    def lead(model):
        agent = create_agent(
            model,
            [look_up, measure],
            system_prompt=head.content,
            checkpointer=InMemorySaver(),
        )
        for answer in ANSWERS:
            emulator.answers.push(answer)
        for question in QUESTIONS:
            state = agent.invoke({"messages": [("user", question)]}, THREAD)
            emulator.clock.advance(60)
        return [one for one in state["messages"] if isinstance(one, AIMessage)]

    return lead


@pytest.fixture
def priced():
    """Return a function that gives the cost of ledger rows, whatever we think of it."""

    def cost(rows):
        prices = GenaiPrices()
        costs = [
            prices.cost("anthropic", row.model, usage_of(row), tier=None)
            for row in rows
        ]
        return sum(one.usd for one in costs)

    return cost


def usage_of(row):
    return Usage(
        input_tokens=row.total_input_tokens,
        read_tokens=row.cache_read_input_tokens,
        written_tokens=row.cache_creation_input_tokens,
        written_5m_tokens=row.cache_creation_5m_input_tokens,
        written_1h_tokens=row.cache_creation_1h_input_tokens,
        output_tokens=row.output_tokens,
    )


def test_agent_saves(visit, plain, cached, cache, rows_of, priced, assert_settled):
    """An agent that asks 13 times reads most of its input and costs little."""
    expected = visit(plain)
    with cache.collect() as collected:
        messages = visit(cached)
    stock, rows = rows_of("plain"), rows_of("cached")
    total = sum(row.total_input_tokens for row in rows)
    read = sum(row.cache_read_input_tokens for row in rows)
    receipt = Receipt.sum(
        Receipt.from_metadata(one.response_metadata["prompt_cache"]) for one in messages
    )

    assert [one.content for one in messages] == [one.content for one in expected]
    assert len(rows) == len(stock) == len(ANSWERS) == 13
    assert_settled(collected, rows)
    assert read / total > 0.7
    assert priced(rows) < 0.4 * priced(stock)
    assert receipt.requests == 13
    assert receipt.cost_usd == pytest.approx(priced(rows), abs=1e-7)
    assert receipt.without_caching_usd == pytest.approx(priced(stock), abs=1e-7)
    assert {one.conversation for one in collected} == {"visit"}


def test_second_conversation_starts_cheaper(visit, cached, rows_of):
    """What conversations share is read by the next one, from its first request on."""
    visit(cached)
    before = len(rows_of("cached"))
    visit(cached)
    first = rows_of("cached")[before]

    assert first.cache_read_input_tokens > 0.95 * first.total_input_tokens
