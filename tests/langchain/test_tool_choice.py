"""Agents that choose other tools for each call, over HTTP, as they are and remedied."""

import copy

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_model_call
from langchain_core.messages import (
    AIMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from langchain_promptcache import PromptCacheMiddleware, prompt_cached
from langchain_promptcache.kept_tools import KeptTools
from promptcache.emulator import Fault

SYSTEM = "You are a careful clerk of a railway museum. " * 180
CALLS = []


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    CALLS.append("look_up")
    return f"{name} was built in 1911."


@tool
def draw(name: str) -> str:
    """Draw an engine of the museum."""
    CALLS.append("draw")
    return f"A drawing of {name}."


@tool
def sell(name: str) -> str:
    """Sell an engine of the museum."""
    CALLS.append("sell")
    return f"{name} is sold."


ALL = [look_up, draw, sell]


def choosing(*choices):
    """Return a middleware that has each call choose among the agent's tools."""
    left = list(choices)

    @wrap_model_call
    def chosen(request, handler):
        names = left.pop(0)
        tools = [it for it in request.tools if it.name in names]
        return handler(request.override(tools=tools))

    return chosen


@pytest.fixture(params=["chat", "responses", "anthropic"])
def api(request):
    return request.param


@pytest.fixture
def model(api, emulator, make_plain):
    """Return a model of LangChain's own that calls by one of the APIs."""
    if api == "anthropic":
        return make_plain(model="claude-sonnet-5-5")
    return ChatOpenAI(
        model="gpt-6.1-sol",
        api_key="ws-plain-key",
        base_url=f"{emulator.url}/v1",
        max_retries=0,
        use_responses_api=api == "responses",
    )


@pytest.fixture
def asked(model, cache):
    """Return a function that asks an agent, which chooses tools for each call."""

    def ask(choices, questions, tools=ALL, **switches):
        middleware = [choosing(*choices), PromptCacheMiddleware(cache, **switches)]
        agent = create_agent(model, tools, system_prompt=SYSTEM, middleware=middleware)
        messages = []
        with cache.collect() as receipts:
            for question in questions:
                state = {"messages": [*messages, HumanMessage(question)]}
                messages = agent.invoke(state)["messages"]
        return messages, receipts

    return ask


def called(name, number=1):
    args = {"name": "T 1"}
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": args}


def offered(body):
    """Return the names of the tools that a body offers the model."""
    choice = body.get("tool_choice")
    if choice in ("none", {"type": "none"}):
        return []
    tools = body.get("tools") or []
    if isinstance(choice, dict) and choice["type"] == "allowed_tools":
        tools = choice.get("allowed_tools", choice)["tools"]
    return [it.get("function", it)["name"] for it in tools]


def sent(body):
    return [it.get("function", it)["name"] for it in body.get("tools") or []]


CHANGING = [{"look_up"}, {"draw"}, {"sell"}, {"look_up", "sell"}, {"draw", "sell"}]
QUESTIONS = [f"Question {number}, please? " * 40 for number in range(5)]


def test_the_prefix_is_read(asked, emulator, api):
    """With all tools kept each call reads the one before; as it is, none does."""
    _, kept = asked(CHANGING, QUESTIONS, keep_tools=ALL)
    bodies = [row.body for row in emulator.ledger]
    emulator.clock.advance(7_200)
    _, stock = asked(CHANGING, QUESTIONS)

    assert [it.usage.read_tokens for it in stock] == [0] * 5
    reads = [it.usage.read_tokens for it in kept]
    assert 0 == reads[0] < reads[1] < reads[2] < reads[3] < reads[4]
    assert [sent(body) for body in bodies] == [["draw", "look_up", "sell"]] * 5
    said = [[it for it in receipt.notes if it.startswith("kept")] for receipt in kept]
    can = "tool_choice: allowed_tools"
    can = "this API cannot forbid it" if api == "anthropic" else can
    counts = [3 - len(it) for it in CHANGING]
    assert said == [
        [f"kept {it} tools that are not to be called; {can}"] for it in counts
    ]
    if api != "anthropic":
        assert [set(offered(body)) for body in bodies] == CHANGING


def test_tools_that_come_to_rest(asked, emulator):
    """After tools that changed on every call, a head is written once seen again."""
    _, stock = asked(CHANGING, QUESTIONS)
    emulator.clock.advance(7_200)
    _, kept = asked(CHANGING, QUESTIONS, keep_tools=ALL)

    assert [it.usage.written_tokens for it in stock[2:]] == [0] * 3
    assert [bool(it.usage.written_tokens) for it in kept] == [False] + [True] * 4
    reads = [it.usage.read_tokens for it in kept]
    assert 0 == reads[0] == reads[1] < reads[2] < reads[3] < reads[4]


def test_tools_that_were_seen(asked, emulator):
    """Without a list, a call has the tools of the calls before it."""
    choices = [{"look_up"}, {"draw"}, {"look_up"}, {"draw"}]
    _, receipts = asked(choices, QUESTIONS[:4], keep_tools=True)

    assert [sent(row.body) for row in emulator.ledger] == [
        ["look_up"],
        ["draw", "look_up"],
        ["draw", "look_up"],
        ["draw", "look_up"],
    ]
    reads = [it.usage.read_tokens for it in receipts]
    assert reads[0] == reads[1] == 0 < reads[2] < reads[3]
    changes = [
        [it for it in receipt.notes if it.startswith("tools changed")]
        for receipt in receipts
    ]
    once = ["tools changed within the conversation: 1 new, 0 gone"]
    assert changes == [[], once, [], []]


def test_conversations_are_apart(model, cache, emulator):
    """A conversation is not sent what only another one has had."""
    middleware = [choosing({"sell"}, {"draw"})]
    middleware.append(PromptCacheMiddleware(cache, keep_tools=True))
    agent = create_agent(model, ALL, middleware=middleware)
    for _ in range(2):
        agent.invoke({"messages": [HumanMessage("And now?")]})

    assert [sent(row.body) for row in emulator.ledger] == [["sell"], ["draw"]]


def test_chosen_tools_work(asked, emulator):
    """A tool that was chosen is called, and the answer to it is the model's."""
    emulator.answers.push([called("draw")])
    emulator.answers.push("There it is.")
    messages, _ = asked([{"draw"}, {"draw"}], ["Draw T 1."], keep_tools=ALL)

    assert CALLS == ["draw"]
    assert messages[-1].text == "There it is."
    assert messages[-2].content == "A drawing of T 1."


def test_a_withheld_tool_is_not_run(asked, emulator):
    """A call of a tool that was not chosen is an error; others of the turn are made."""
    emulator.answers.push([called("sell", 1), called("draw", 2)])
    emulator.answers.push("I may not.")
    messages, _ = asked([{"draw"}, {"draw"}], ["Sell T 1."], keep_tools=ALL)

    assert CALLS == ["draw"]
    results = {it.name: it for it in messages if isinstance(it, ToolMessage)}
    assert results["sell"].status == "error"
    assert "not available now" in results["sell"].content
    assert results["draw"].status == "success"
    assert messages[-1].text == "I may not."


def test_only_a_withheld_tool_is_called(asked, emulator):
    """The model is asked again, and not the tool."""
    emulator.answers.push([called("sell")])
    emulator.answers.push("I may not.")
    messages, receipts = asked([{"draw"}, {"draw"}], ["Sell T 1."], keep_tools=ALL)

    assert CALLS == []
    assert len(receipts) == 2
    assert messages[-1].text == "I may not."


def test_no_tool_is_chosen(asked, emulator):
    """Where no tool may be called, every API can say so."""
    asked([{"draw"}, set()], QUESTIONS[:2], keep_tools=True)
    first, second = emulator.ledger

    assert sent(second.body) == sent(first.body) == ["draw"]
    assert offered(second.body) == []


def test_it_is_off_unless_asked(asked, emulator):
    """Without the switch a call has the tools that were chosen, and a note."""
    messages, receipts = asked(CHANGING[:2], QUESTIONS[:2])

    assert [sent(row.body) for row in emulator.ledger] == [["look_up"], ["draw"]]
    assert "tools changed within the conversation: 1 new, 1 gone" in receipts[1].notes
    assert not any("prompt_cache_tools" in it.response_metadata for it in messages)


@pytest.mark.parametrize("api", ["chat"], indirect=True)
@pytest.mark.parametrize("by", ["policy", "environment"])
def test_off(model, emulator, monkeypatch, by):
    """Nothing is kept where nothing is to be changed."""
    if by == "environment":
        monkeypatch.setattr("promptcache.switch._SWITCHED_OFF", True)
    caching = PromptCacheMiddleware("off" if by == "policy" else "auto", keep_tools=ALL)
    agent = create_agent(model, ALL, middleware=[choosing({"draw"}), caching])
    agent.invoke({"messages": [HumanMessage("Well?")]})

    assert [sent(row.body) for row in emulator.ledger] == [["draw"]]


@pytest.mark.parametrize("api", ["chat"], indirect=True)
async def test_async(model, cache, emulator):
    """It is the same when awaited."""
    emulator.answers.push([called("sell")])
    emulator.answers.push("I may not.")

    @wrap_model_call
    async def chosen(request, handler):
        return await handler(request.override(tools=[draw]))

    middleware = [chosen, PromptCacheMiddleware(cache, keep_tools=ALL)]
    agent = create_agent(model, ALL, middleware=middleware)
    state = await agent.ainvoke({"messages": [HumanMessage("Sell T 1.")]})

    assert CALLS == []
    assert state["messages"][-1].text == "I may not."
    assert [offered(row.body) for row in emulator.ledger] == [["draw"], ["draw"]]


def test_a_restart(model, cache, emulator):
    """What a conversation has had is known once it is seen again."""
    state = {"messages": []}
    for choices in ([{"sell"}, {"draw"}], [{"draw"}, {"sell"}, {"draw"}]):
        middleware = [choosing(*choices), PromptCacheMiddleware(cache, keep_tools=True)]
        agent = create_agent(model, ALL, middleware=middleware)
        for _ in choices:
            asked = [*copy.deepcopy(state["messages"]), HumanMessage("And now?")]
            state = agent.invoke({"messages": asked})

    assert [sent(row.body) for row in emulator.ledger] == [
        ["sell"],
        ["draw", "sell"],
        ["draw"],
        ["draw", "sell"],
        ["draw", "sell"],
    ]


@pytest.mark.parametrize("api", ["chat", "responses"], indirect=True)
def test_a_server_without_the_choice(asked, emulator, api):
    """A server that refuses `allowed_tools` is sent none; the tool is not run still."""
    del api
    text = "Unsupported value: 'tool_choice' does not support 'allowed_tools'."
    emulator.faults.push(Fault(status=400, message=text))
    emulator.answers.push([called("sell")])
    emulator.answers.push("I may not.")
    asked([{"draw"}, {"draw"}], ["Sell T 1."], keep_tools=ALL)

    assert CALLS == []
    bodies = [row.body for row in emulator.ledger]
    assert all("tool_choice" not in body for body in bodies[-2:])


DEFINED = {"name": "draw", "description": "Draw.", "input_schema": {"type": "object"}}
INLINE = {
    "anthropic": {
        "type": "tool_addition",
        "tool": {"type": "tool_definition", "definition": DEFINED},
    },
    "responses": {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "function", "name": "draw", "parameters": {}}],
    },
}


@pytest.mark.parametrize("api", INLINE, indirect=True)
def test_tools_that_are_added_between_turns(api, model, cache, emulator):
    """A tool that comes in a message of its own leaves the head of the prompt read."""
    cached = prompt_cached(model, cache).bind_tools([look_up])
    talk = [SystemMessage(SYSTEM), HumanMessage("Tell me of T 1, please. " * 40)]
    for it in ("It was built in 1911.", "There it is."):
        emulator.answers.push(it)
    answer = cached.invoke(talk)
    added = SystemMessage([INLINE[api]])
    talk += [answer, HumanMessage("Draw it."), added]
    cached.invoke(talk)

    body = emulator.ledger[-1].body
    assert emulator.ledger[-1].cache_read_input_tokens > 1_900
    assert INLINE[api]["type"] in str(body.get("messages") or body.get("input"))
    assert sent(body) == ["look_up"]


def test_what_the_provider_runs_is_not_kept():
    """A tool that the provider runs cannot be refused, so it is sent when chosen."""
    kept = KeptTools()
    search = {"type": "web_search_20250305", "name": "web_search"}
    first = kept.call(Asked([look_up, search]))
    history = [AIMessage("Yes.", response_metadata={"prompt_cache_tools": first.new})]
    second = kept.call(Asked([draw], history))

    assert first.request.tools == [look_up, search]
    assert second.request.tools == [look_up, draw]
    assert second.withheld == {"look_up"}

    native = look_up.model_copy(update={"extras": {"provider_tool_definition": search}})
    third = kept.call(Asked([native]))
    assert third.new == {}
    assert third.request.tools == [native]


def test_another_tool_of_the_same_name():
    """The definition of this call is sent, once, whatever was sent before."""
    kept = KeptTools([draw])
    other = tool("draw", description="Draw by hand.")(lambda name: name)
    dict_tool = {"type": "function", "function": {"name": "draw", "parameters": {}}}

    assert kept.call(Asked([other])).request.tools == [other]
    found = kept.call(Asked([dict_tool]))
    assert found.request.tools == [dict_tool]
    assert found.withheld == set()


def test_definitions_are_bounded(monkeypatch):
    """A process that sees ever new tools forgets the oldest."""
    monkeypatch.setattr("langchain_promptcache.kept_tools._MAX_TOOLS", 2)
    kept = KeptTools()
    for it in ALL:
        first = kept.call(Asked([it]))
    history = [AIMessage("Yes.", response_metadata={"prompt_cache_tools": first.new})]

    assert len(kept._tools) == len(kept._digests) == 2
    assert kept.call(Asked([draw], history)).request.tools == [sell, draw]


class Asked:
    """What a middleware is given, as far as it is looked at."""

    def __init__(self, tools, messages=()):
        self.tools, self.messages = tools, list(messages)

    def override(self, tools):
        return Asked(tools, self.messages)
