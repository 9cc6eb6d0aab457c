"""Summaries of an agent's history: when they are made, and what they read."""

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from langchain_promptcache import PromptCachedSummarizationMiddleware

THREAD = {"configurable": {"thread_id": "visit"}}
SUMMARY = "Four engines were asked about."
QUESTION = "Which engine comes next, and what is it like? " * 30
# A few tokens that close a prompt are never in a prefix.
ALL = 0.99
ANSWER = "It is a tank engine with three coupled axles. " * 30


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return name


@pytest.fixture
def ways(emulator, head, make_cached, make_plain):
    """Return a class of visits, which make summaries in one way."""

    class Visit:
        def __init__(self, middleware, *, model=None, summarize=None, **arguments):
            self.model = model or make_cached()
            given = {"trigger": ("messages", 7), "keep": ("messages", 2), **arguments}
            self.agent = create_agent(
                self.model,
                [look_up],
                system_prompt=head.content,
                middleware=[middleware(summarize or self.model, **given)],
                checkpointer=InMemorySaver(),
            )

        def prepare(self, *answers):
            for answer in answers:
                emulator.answers.push(answer)

        def ask(self, number):
            asked = {"messages": [("user", f"{number}. {QUESTION}")]}
            return self.agent.invoke(asked, THREAD)["messages"]

        async def aask(self, number):
            asked = {"messages": [("user", f"{number}. {QUESTION}")]}
            return (await self.agent.ainvoke(asked, THREAD))["messages"]

        def ask_three(self):
            self.prepare(*[ANSWER] * 3)
            for number in range(3):
                self.ask(number)

    return Visit


def is_summarized(messages):
    return isinstance(messages[0], HumanMessage) and SUMMARY in messages[0].text


def test_live_history_waits(ways, emulator):
    """A history that is cached is left alone until the limit is reached."""
    visit = ways(PromptCachedSummarizationMiddleware)
    visit.ask_three()
    visit.prepare(ANSWER)

    messages = visit.ask(3)

    assert len(messages) == 8
    assert len(emulator.ledger) == 4


def test_cold_history_is_summarized(ways, emulator):
    """Once the cache has expired, a summary comes first, asked for as in LangChain."""
    visit = ways(PromptCachedSummarizationMiddleware)
    visit.ask_three()
    emulator.clock.advance(301)
    visit.prepare(SUMMARY, ANSWER)

    messages = visit.ask(3)

    assert is_summarized(messages)
    assert [it.type for it in messages] == ["human", "ai", "human", "ai"]
    assert len({it.id for it in messages}) == 4
    asked = emulator.ledger[-2].body
    assert "tools" not in asked
    assert "Messages to summarize" in str(asked["messages"])


def test_limit_forces_a_summary_that_reads(ways, emulator, rows_of):
    """At the limit it is made at once, behind the prompt that is cached."""
    visit = ways(PromptCachedSummarizationMiddleware, limit=("messages", 7))
    visit.ask_three()
    visit.prepare(SUMMARY, ANSWER)

    messages = visit.ask(3)

    before, asked, after = emulator.ledger[-3:]
    assert is_summarized(messages)
    assert len(messages) == 4
    assert asked.cache_read_input_tokens >= ALL * before.total_input_tokens
    assert texts(asked)[: len(texts(before))] == texts(before)
    assert asked.body["tools"][0]["name"] == "look_up"
    assert "except for the last 1" in str(asked.body["messages"][-1])
    assert f"3. {QUESTION}" not in str(asked.body)
    assert SUMMARY in str(after.body["messages"][0])
    assert after.cache_read_input_tokens > 0


def test_stock_reads_nothing(ways, emulator):
    """LangChain's own summary is a prompt of its own: nothing of it is read."""
    visit = ways(SummarizationMiddleware, trim_tokens_to_summarize=None)
    visit.ask_three()
    visit.prepare(SUMMARY, ANSWER)

    messages = visit.ask(3)

    assert is_summarized(messages)
    assert emulator.ledger[-2].cache_read_input_tokens == 0
    assert emulator.ledger[-2].total_input_tokens > 1_000


async def test_async(ways, emulator):
    """An asynchronous agent does the same."""
    visit = ways(PromptCachedSummarizationMiddleware, limit=("messages", 7))
    visit.prepare(*[ANSWER] * 3, SUMMARY, ANSWER)
    for number in range(4):
        messages = await visit.aask(number)

    assert is_summarized(messages)
    assert emulator.ledger[-2].cache_read_input_tokens > 3_000


def test_goes_on_after_a_summary(ways, emulator):
    """What follows a summary is read again, as any conversation is."""
    visit = ways(PromptCachedSummarizationMiddleware, limit=("messages", 7))
    visit.ask_three()
    visit.prepare(SUMMARY, ANSWER, ANSWER)
    visit.ask(3)

    messages = visit.ask(4)

    assert len(messages) == 6
    last, before = emulator.ledger[-1], emulator.ledger[-2]
    assert last.cache_read_input_tokens >= ALL * before.total_input_tokens


def test_called_tool_instead(ways, emulator):
    """If the model calls a tool instead, the summary is asked for as in LangChain."""
    visit = ways(PromptCachedSummarizationMiddleware, limit=("messages", 7))
    visit.ask_three()
    call = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
    visit.prepare([{"type": "text", "text": "I look."}, call], SUMMARY, ANSWER)

    messages = visit.ask(3)

    assert is_summarized(messages)
    assert len(emulator.ledger) == 6


def test_another_model_summarizes(ways, emulator, make_cached):
    """Another model has nothing cached: it is asked as LangChain asks it."""
    small = make_cached(model="claude-haiku-4-5")
    visit = ways(
        PromptCachedSummarizationMiddleware, summarize=small, limit=("messages", 7)
    )
    visit.ask_three()
    visit.prepare(SUMMARY, ANSWER)

    assert is_summarized(visit.ask(3))
    assert emulator.ledger[-2].model == "claude-haiku-4-5"
    assert "tools" not in emulator.ledger[-2].body


def test_plain_model(ways, emulator, plain):
    """Without receipts nothing is known of the cache: a trigger is enough."""
    visit = ways(PromptCachedSummarizationMiddleware, model=plain)
    visit.ask_three()
    visit.prepare(SUMMARY, ANSWER)

    assert is_summarized(visit.ask(3))
    assert "tools" not in emulator.ledger[-2].body


@pytest.mark.parametrize(
    ("trigger", "limit"),
    [
        pytest.param(("tokens", 1000), [{"tokens": 2000}], id="tokens"),
        pytest.param(
            [("messages", 5), {"tokens": 10, "messages": 3}],
            [{"messages": 10}, {"tokens": 20, "messages": 6}],
            id="clauses",
        ),
        pytest.param(("fraction", 0.3), [{"fraction": 0.6}], id="fraction"),
        pytest.param(("fraction", 0.8), [{"fraction": 0.95}], id="window"),
        pytest.param(("fraction", 0.99), [{"fraction": 0.99}], id="beyond"),
        pytest.param(None, [], id="none"),
    ],
)
def test_limit(cached, trigger, limit):
    """Unless it is given, the limit is twice the trigger, within the window."""
    assert PromptCachedSummarizationMiddleware(cached, trigger=trigger).limit == limit


def test_is_internal(ways, emulator):
    """The summary is no answer of the agent's to those who watch its messages."""
    visit = ways(PromptCachedSummarizationMiddleware, limit=("messages", 7))
    visit.ask_three()
    visit.prepare(SUMMARY, "Done.")

    seen = [
        (chunk.text, told.get("lc_source"))
        for chunk, told in visit.agent.stream(
            {"messages": [("user", "3.")]}, THREAD, stream_mode="messages"
        )
        if isinstance(chunk, AIMessage) and chunk.text
    ]

    assert {source for text, source in seen if text in SUMMARY} == {"summarization"}
    assert {source for text, source in seen if text in "Done."} == {None}


def texts(row):
    """Return the texts of a request in their order."""
    found = []

    def look(value):
        if isinstance(value, list):
            for item in value:
                look(item)
        elif isinstance(value, dict):
            look(value.get("text") if "text" in value else value.get("content"))
        elif isinstance(value, str):
            found.append(value)

    look(row.body["system"])
    look(row.body["messages"])
    return found


def test_is_a_stand_in():
    """It is LangChain's middleware, for whoever looks for that."""
    assert issubclass(PromptCachedSummarizationMiddleware, SummarizationMiddleware)
