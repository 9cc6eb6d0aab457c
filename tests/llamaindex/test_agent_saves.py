"""What it is all for: an agent's bill, with and without caching."""

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from promptcache import Receipt, Usage
from promptcache.receipts.prices import GenaiPrices

# Both come from LlamaIndex itself, for whoever uses agents.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated"),
    pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute"),
]

QUESTIONS = ("Who built the T 9?", "And the T 12?", "Which one is larger?")


def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911. " * 40


def measure(name: str) -> str:
    """Return the measures of an engine."""
    return f"{name} is 11.7 m long. " * 20


def call(number, name="look_up"):
    given = {"name": f"T {number}"}
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given}


ANSWERS = (
    *([call(1)], [call(2), call(3, "measure")], [call(4)], "Borsig built it."),
    *([call(5)], [call(6, "measure")], [call(7)], [call(8)], "Union built that one."),
    *([call(9)], [call(10, "measure"), call(11)], [call(12)], "The T 12 is."),
)


@pytest.fixture
def visit(emulator, head):
    """Return a function that leads a conversation, a minute a question."""

    async def lead(llm):
        tools = [FunctionTool.from_defaults(one) for one in (look_up, measure)]
        agent = FunctionAgent(tools=tools, llm=llm, system_prompt=head.content)
        memory, answers = ChatMemoryBuffer.from_defaults(token_limit=100_000), []
        for answer in ANSWERS:
            emulator.answers.push(answer)
        for question in QUESTIONS:
            output = await agent.run(question, memory=memory)
            answers.append(output.response.content)
            emulator.clock.advance(60)
        return answers

    return lead


def usage_of(row):
    return Usage(
        input_tokens=row.total_input_tokens,
        read_tokens=row.cache_read_input_tokens,
        written_tokens=row.cache_creation_input_tokens,
        written_5m_tokens=row.cache_creation_5m_input_tokens,
        written_1h_tokens=row.cache_creation_1h_input_tokens,
        output_tokens=row.output_tokens,
    )


def priced(rows):
    """Return what ledger rows cost, whatever we think of it."""
    prices = GenaiPrices()
    costs = [prices.cost("anthropic", row.model, usage_of(row)) for row in rows]
    return sum(one.usd for one in costs)


async def test_agent_saves(visit, plain, cached, collecting, rows_of, assert_settled):
    """An agent's 13 requests read most of their input and cost little."""
    expected = await visit(plain)
    with collecting() as receipts:
        answers = await visit(cached)
    stock, rows = rows_of("plain"), rows_of("cached")
    total = sum(row.total_input_tokens for row in rows)
    read = sum(row.cache_read_input_tokens for row in rows)

    assert answers == expected
    assert len(rows) == len(stock) == len(ANSWERS) == 13
    assert_settled(receipts, rows)
    assert read / total >= 0.7
    assert priced(rows) <= 0.4 * priced(stock)
    assert Receipt.sum(receipts).cost_usd == pytest.approx(priced(rows), abs=1e-7)
    assert Receipt.sum(receipts).without_caching_usd == pytest.approx(
        priced(stock), abs=1e-7
    )
    assert len({receipt.conversation for receipt in receipts}) == len(QUESTIONS)


async def test_second_conversation_starts_cheaper(visit, cached, rows_of):
    """What conversations share is read by the next one, from its first request on."""
    await visit(cached)
    before = len(rows_of("cached"))
    await visit(cached)
    first = rows_of("cached")[before]

    assert first.cache_read_input_tokens > 0.95 * first.total_input_tokens
