"""What it is all for: an agent's bill, with and without caching."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from promptcache import Receipt, Usage
from promptcache.receipts.prices import GenaiPrices

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
        "id": f"call_{number}",
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

    def lead(model, questions=QUESTIONS):
        agent = create_agent(
            model,
            [look_up, measure],
            system_prompt=head.content,
            checkpointer=InMemorySaver(),
        )
        for answer in ANSWERS:
            emulator.answers.push(answer)
        for question in questions:
            state = agent.invoke({"messages": [("user", question)]}, THREAD)
            emulator.clock.advance(60)
        return [one for one in state["messages"] if isinstance(one, AIMessage)]

    return lead


@pytest.fixture
def priced():
    """Return a function that gives the cost of ledger rows, whatever we think of it."""

    def cost(rows):
        prices = GenaiPrices()
        return sum(
            prices.cost("openai", row.model, usage_of(row), tier=None).usd
            for row in rows
        )

    return cost


def usage_of(row):
    return Usage(
        input_tokens=row.total_input_tokens,
        read_tokens=row.cache_read_input_tokens,
        written_tokens=row.cache_creation_input_tokens,
        written_30m_tokens=row.cache_creation_30m_input_tokens,
        written_12h_tokens=row.cache_creation_12h_input_tokens,
        written_5m_tokens=0,
        written_1h_tokens=0,
        output_tokens=row.output_tokens,
    )


def test_agent_saves(visit, plain, cached, cache, rows_of, priced, assert_settled):
    """An agent that asks 13 times reads at least 85 % of its input."""
    expected = visit(plain)
    with cache.collect() as collected:
        messages = visit(cached)
    stock, rows = rows_of("plain"), rows_of("cached")
    total = sum(row.total_input_tokens for row in rows)
    read = sum(row.cache_read_input_tokens for row in rows)
    receipt = Receipt.sum(
        Receipt.from_metadata(one.response_metadata["prompt_cache"]) for one in messages
    )

    assert [one.text for one in messages] == [one.text for one in expected]
    assert len(rows) == len(stock) == len(ANSWERS) == 13
    assert_settled(collected, rows)
    assert read / total >= 0.85
    assert priced(rows) <= priced(stock)
    assert receipt.requests == 13
    assert receipt.usage.read_tokens == read
    assert receipt.cost_usd == pytest.approx(priced(rows), abs=1e-7)
    assert {one.conversation for one in collected} == {"visit"}


def test_second_conversation_starts_cheaper(visit, plain, cached, rows_of, priced):
    """What conversations share is read by the next one; a stock model finds nothing."""
    begun = []
    for model, name in ((plain, "plain"), (cached, "cached")):
        for questions in (QUESTIONS, QUESTIONS[::-1]):
            visit(model, questions)
        begun.append(rows_of(name)[len(ANSWERS)])
    stock, ours = begun

    assert stock.cache_read_input_tokens == 0
    assert ours.cache_read_input_tokens > 0.95 * ours.total_input_tokens
    assert priced(rows_of("cached")) < priced(rows_of("plain"))
