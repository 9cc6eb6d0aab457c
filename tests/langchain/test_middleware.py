"""Agents whose model calls are planned by a middleware."""

import copy

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import dynamic_prompt
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate

from langchain_promptcache import PromptCacheMiddleware, volatile
from promptcache import PromptCache, static
from promptcache.errors import OptionError

MODEL = "claude-sonnet-5-5"
SYSTEM = "You are a careful clerk of a railway museum. " * 180


def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911. " * 40


def answer(name: str) -> str:
    """Answer a visitor."""
    return name


def calling(number):
    args = {"name": f"T {number}"}
    return {
        "type": "tool_use",
        "id": f"toolu_{number}",
        "name": "look_up",
        "input": args,
    }


def notes_of(receipts):
    return [it for receipt in receipts for it in receipt.notes]


def read_of(receipts):
    return [it.usage.read_tokens for it in receipts]


@pytest.fixture
def middleware(cache):
    return PromptCacheMiddleware(cache)


@pytest.fixture
def dated():
    """Return a middleware whose instructions have another time on every call."""
    calls = []

    @dynamic_prompt
    def prompt(request):
        del request
        calls.append(1)
        return f"{SYSTEM}\n{volatile(f'It is minute {len(calls)} of this day.')}"

    return prompt


def run(agent, *questions):
    config = {"configurable": {"thread_id": "1"}}
    state = {"messages": []}
    for question in questions:
        asked = [*state["messages"], HumanMessage(question)]
        state = agent.invoke({"messages": asked}, config)
    return state["messages"]


async def arun(agent, *questions):
    state = {"messages": []}
    for question in questions:
        state = await agent.ainvoke(
            {"messages": [*state["messages"], HumanMessage(question)]}
        )
    return state["messages"]


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_an_agent(way, emulator, make_plain, middleware, dated, cache):
    """A plain model of an agent is planned for, and its history is read."""
    model = make_plain(model=MODEL)
    agent = create_agent(model, [look_up, answer], middleware=[dated, middleware])
    for it in ([calling(1)], "It was.", [calling(2)], "It was too."):
        emulator.answers.push(it)
    with cache.collect() as receipts:
        questions = ("What of T 1? " * 100, "What of T 2?")
        if way == "sync":
            messages = run(agent, *questions)
        else:
            messages = await arun(agent, *questions)

    assert len(receipts) == 4
    assert messages[-1].response_metadata["prompt_cache"]["breakpoints"]
    reads = read_of(receipts)
    assert 0 == reads[0] < reads[1] < reads[2] < reads[3]
    moved = [it for it in notes_of(receipts) if it.startswith("moved volatile text")]
    assert [it.rpartition(" ")[2] for it in moved] == [
        "system[1]",
        "messages[3].content[0]",
        "messages[5].content[0]",
        "messages[7].content[0]",
    ]
    assert "sonnet" in str(middleware.report())


def test_the_model_stays_as_it_is(make_plain, middleware):
    """The agent's own model is not touched, and its twin is made once."""
    model = make_plain(model=MODEL)
    before = copy.copy(model.__dict__)
    agent = create_agent(model, middleware=[middleware])
    for _ in range(2):
        run(agent, "Hello?")

    assert {name: model.__dict__[name] for name in before} == before
    assert len(middleware._twins) == 1


def test_twins_are_bounded(make_plain, middleware, monkeypatch):
    """A middleware that sees ever new models keeps some of their twins."""
    monkeypatch.setattr("langchain_promptcache.middleware._MAX_TWINS", 2)
    for _ in range(4):
        run(create_agent(make_plain(model=MODEL), middleware=[middleware]), "Hello?")

    assert len(middleware._twins) == 2


def test_a_model_that_is_cached_already(make_cached, cache):
    """A model with a cache of its own keeps it."""
    other = PromptCacheMiddleware(PromptCache())
    agent = create_agent(make_cached(model=MODEL), middleware=[other])
    with cache.collect() as receipts:
        run(agent, "Hello?")

    assert len(receipts) == 1
    assert other._twins == {}


def test_tools_in_one_order(emulator, make_plain, cache):
    """Tools are sent in one order, whatever order they were given in."""
    for tools in ([look_up, answer], [answer, look_up]):
        middleware = PromptCacheMiddleware(cache)
        agent = create_agent(make_plain(model=MODEL), tools, middleware=[middleware])
        run(agent, "Hello?")
    off = PromptCacheMiddleware(cache, stable_tools=False)
    agent = create_agent(make_plain(model=MODEL), [look_up, answer], middleware=[off])
    run(agent, "Hello?")

    sent = [[it["name"] for it in row.body["tools"]] for row in emulator.ledger]
    assert sent == [["answer", "look_up"], ["answer", "look_up"], ["look_up", "answer"]]


@pytest.mark.parametrize(
    ("replaces", "name"),
    [(True, "AnthropicPromptCachingMiddleware"), (False, "PromptCacheMiddleware")],
)
def test_name(replaces, name):
    """It bears the name of deepagents' own if it is to take its place."""
    assert PromptCacheMiddleware(replaces_builtin=replaces).name == name


def test_a_choice_that_is_none():
    """What `prompt_cached` would not take is refused at once."""
    with pytest.raises(OptionError):
        PromptCacheMiddleware(7)


def test_deepagents(emulator, make_plain, middleware, cache):
    """In deepagents it stands where their own stood, which marks nothing then."""
    deepagents = pytest.importorskip("deepagents", reason="it needs Python 3.11")
    model = make_plain(model=MODEL)
    agent = deepagents.create_deep_agent(
        model=model,
        tools=[look_up],
        system_prompt=f"{SYSTEM}\n{volatile('It is the 23rd of November today.')}",
        middleware=[middleware],
    )
    emulator.answers.push([calling(1)])
    emulator.answers.push("It was.")
    with cache.collect() as receipts:
        run(agent, "What of T 1?")

    assert len(receipts) == 2
    assert all("fixed" not in it for each in receipts for it in each.breakpoints)
    assert receipts[1].usage.read_tokens > 1_000
    assert any(it.startswith("moved volatile text") for it in notes_of(receipts))


def test_a_template_of_langchain(make_cached, make_plain, emulator, cache):
    """Texts in a template become blocks; a plain model sees an ordinary prompt."""
    prompt = ChatPromptTemplate.from_messages(
        [("system", "{rules}\n\n{documents}"), ("human", "{question}")]
    )
    said = {
        "rules": static(SYSTEM),
        "documents": static("The T 1 was built in 1911. " * 200),
        "question": "What of T 1?",
    }
    with cache.collect() as receipts:
        for make in (make_cached, make_plain):
            (prompt | make(model=MODEL)).invoke(said)
    split, plain = [row.body["system"] for row in emulator.ledger]

    assert plain == f"{said['rules']}\n\n{said['documents']}"
    assert [it["text"] for it in split] == [said["rules"], f"\n\n{said['documents']}"]
    assert receipts[0].notes[0] == "split system[0] into 2"
