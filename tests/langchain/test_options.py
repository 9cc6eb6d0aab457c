"""What a caller may say: to a model, a call, in a `with`, in LangChain's config."""

import asyncio
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool
from pydantic import BaseModel, ValidationError

from promptcache import OptionError, Policy, PromptCache, default_cache, options

OPTION = "prompt_cache"


class Engine(BaseModel):
    """An engine of the museum."""

    name: str


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911."


@pytest.fixture
def sent(last_row, markers):
    """Return a function that gives the lifetime of the newest request's head."""
    return lambda: markers(last_row().body).get("system[0]")


@pytest.mark.parametrize(
    ("choice", "policy", "expected"),
    [
        pytest.param(None, "auto", "5m", id="None"),
        pytest.param(True, "auto", "5m", id="True"),
        pytest.param(False, "off", None, id="False"),
        pytest.param("auto", "auto", "5m", id="auto"),
        pytest.param("off", "off", None, id="off"),
        pytest.param(Policy.off(), "off", None, id="Policy.off"),
        pytest.param(Policy.fixed(tail=None), "fixed", "1h", id="Policy.fixed"),
        pytest.param({}, "auto", "5m", id="empty"),
        pytest.param({"ttl": "1h"}, "auto", "1h", id="ttl"),
        pytest.param({"ttl": timedelta(hours=1)}, "auto", "1h", id="timedelta"),
        pytest.param({"enabled": False}, "off", None, id="enabled"),
        pytest.param({"policy": "off"}, "off", None, id="policy"),
        pytest.param(
            {"policy": Policy.fixed(tail=None), "ttl": "5m"},
            "fixed",
            "5m",
            id="policy_and_ttl",
        ),
    ],
)
def test_choice_of_a_model(choice, policy, expected, make_cached, prompt, sent):
    """What a model is given as `prompt_cache` decides what its requests carry."""
    answer = make_cached(prompt_cache=choice).invoke(prompt())

    assert sent() == expected
    assert answer.response_metadata[OPTION]["policies"] == [policy]


def test_models_without_a_choice_share_a_cache(make_cached):
    """Models that name no cache learn together, as do those of one policy."""
    one, two = make_cached(prompt_cache=None), make_cached(prompt_cache={"ttl": "1h"})
    three, four = make_cached(prompt_cache="off"), make_cached(prompt_cache="off")

    assert one._cache is two._cache is default_cache()
    assert three._cache is four._cache is not default_cache()


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        pytest.param(7, "a PromptCache, a Policy or its name", id="number"),
        pytest.param("always", "'auto', 'fixed', 'off'", id="policy"),
        pytest.param({"ttl": "2h"}, "5m, 30m, 1h, 12h", id="ttl"),
        pytest.param({"ttl": "30m"}, "allowed: 5m, 1h", id="ttl_of_others"),
        pytest.param({"ttl": timedelta(minutes=7)}, "5m, 30m, 1h", id="timedelta"),
        pytest.param({"tenat": "a"}, "tenant, conversation, ttl, enabled", id="name"),
        pytest.param({"tenant": ""}, "a non-empty string", id="tenant"),
        pytest.param({"tenant": 42}, "a non-empty string", id="tenant_number"),
        pytest.param({"enabled": "no"}, "True or False", id="enabled"),
        pytest.param(Policy.fixed(system="30m", tools=None), "5m, 1h", id="fixed"),
        pytest.param(PromptCache(Policy.fixed(tools="12h")), "5m, 1h", id="cache"),
        pytest.param({"policy": "never"}, "'auto', 'fixed', 'off'", id="dict_policy"),
    ],
)
def test_wrong_choice_of_a_model(choice, told, make_cached):
    """A choice that is not allowed is refused at construction, naming what is."""
    with pytest.raises(ValidationError, match=re.escape(told)):
        make_cached(prompt_cache=choice)


WRONG_OPTIONS = [
    pytest.param("auto", "a dict of tenant, conversation", id="policy"),
    pytest.param(Policy.off(), "a dict of tenant, conversation", id="Policy"),
    pytest.param({"policy": "off"}, "tenant, conversation, ttl, enabled", id="dict"),
    pytest.param({"ttl": "2h"}, "5m, 30m, 1h, 12h", id="ttl"),
    pytest.param({"ttl": "30m"}, "allowed: 5m, 1h", id="ttl_of_others"),
]


@pytest.mark.parametrize(("said", "told"), WRONG_OPTIONS)
async def test_wrong_option_of_a_call(said, told, cached, prompt, emulator):
    """A call with an option that is not allowed is refused before anything is sent."""
    with pytest.raises(OptionError, match=told):
        cached.invoke(prompt(), prompt_cache=said)
    with pytest.raises(OptionError, match=told):
        list(cached.stream(prompt(), prompt_cache=said))
    with pytest.raises(OptionError, match=told):
        await cached.ainvoke(prompt(), prompt_cache=said)

    assert emulator.ledger == []


@pytest.mark.parametrize(("said", "told"), WRONG_OPTIONS)
def test_wrong_option_of_a_binding(said, told, cached):
    """A binding with an option that is not allowed is refused at once."""
    with pytest.raises(OptionError, match=told):
        cached.bind(prompt_cache=said)
    with pytest.raises(OptionError, match=told):
        cached.bind_tools([look_up], prompt_cache=said)
    with pytest.raises(OptionError, match=told):
        cached.with_structured_output(Engine, prompt_cache=said)


CALLS = [
    pytest.param(lambda model, *args, **said: model.invoke(*args, **said), id="invoke"),
    pytest.param(
        lambda model, *args, **said: list(model.stream(*args, **said)), id="stream"
    ),
    pytest.param(
        lambda model, prompt, **said: model.batch([prompt], **said), id="batch"
    ),
    pytest.param(
        lambda model, prompt, **said: model.generate([prompt], **said), id="generate"
    ),
    pytest.param(
        lambda model, *args, **said: model.bind_tools([]).invoke(*args, **said),
        id="bind_tools",
    ),
]


@pytest.mark.parametrize("call", CALLS)
def test_options_of_a_call(call, cached, cache, prompt, sent, last_row):
    """A call's options reach its request and its receipt, but not the wire."""
    said = {"ttl": "1h", "tenant": "acme", "conversation": "42"}
    with cache.collect() as collected:
        call(cached, prompt(), prompt_cache=said)
        carried = sent()
        call(cached, prompt(), prompt_cache=False)
    with_options, without = collected

    assert carried == "1h"
    assert (with_options.tenant, with_options.conversation) == ("acme", "42")
    assert sent() is None
    assert without.policy == "off"
    assert OPTION not in last_row().body


async def test_options_of_an_asynchronous_call(cached, cache, prompt, sent):
    """The same holds for asynchronous calls and streams."""
    with cache.collect() as collected:
        await cached.ainvoke(prompt(), prompt_cache={"tenant": "a", "ttl": "1h"})
        assert sent() == "1h"
        stream = cached.astream(prompt(), prompt_cache={"tenant": "b"})
        assert [chunk async for chunk in stream]
        await cached.abatch([prompt()], prompt_cache=False)

    assert [receipt.tenant for receipt in collected] == ["a", "b", None]
    assert sent() is None


@pytest.mark.parametrize(
    "derive",
    [
        pytest.param(lambda model: model, id="model"),
        pytest.param(lambda model: model.bind(stop=["."]), id="bind"),
        pytest.param(lambda model: model.bind_tools([look_up]), id="bind_tools"),
        pytest.param(
            lambda model: model.with_structured_output(Engine, method="json_schema"),
            id="json_schema",
        ),
        pytest.param(
            lambda model: model.with_structured_output(
                Engine, method="function_calling", include_raw=True
            ),
            id="function_calling",
        ),
        pytest.param(lambda model: model.with_retry(), id="with_retry"),
        pytest.param(lambda model: model.with_config(tags=["a"]), id="with_config"),
        pytest.param(lambda model: model.with_fallbacks([model]), id="with_fallbacks"),
        pytest.param(lambda model: model | StrOutputParser(), id="sequence"),
        pytest.param(lambda model: model.bind(prompt_cache={"ttl": "1h"}), id="twice"),
    ],
)
def test_bound_options_survive(derive, cached, cache, prompt):
    """Options that were bound hold for whatever is derived from the binding."""
    bound = cached.bind(prompt_cache={"tenant": "acme"})
    with cache.collect() as collected:
        derive(bound).invoke(prompt())
        derive(cached).invoke(prompt())

    assert [receipt.tenant for receipt in collected] == ["acme", None]


@pytest.mark.parametrize(
    "derive",
    [
        pytest.param(lambda model, **said: model.bind(stop=["."], **said), id="bind"),
        pytest.param(
            lambda model, **said: model.bind_tools([look_up], **said), id="bind_tools"
        ),
        pytest.param(
            lambda model, **said: model.with_structured_output(Engine, **said),
            id="with_structured_output",
        ),
    ],
)
def test_options_among_other_arguments(derive, cached, cache, prompt, last_row):
    """Options may stand beside what LangChain itself binds."""
    with cache.collect() as collected:
        derive(cached, prompt_cache={"tenant": "acme"}).invoke(prompt())

    assert [receipt.tenant for receipt in collected] == ["acme"]
    assert OPTION not in last_row().body


def test_bound_false_is_off(cached, prompt, sent):
    """A model that is bound to False leaves its requests as they are."""
    off = cached.bind(prompt_cache=False)
    off.bind_tools([look_up]).invoke(prompt())
    assert sent() is None

    off.invoke(prompt(), prompt_cache=True)
    assert sent() == "5m"


# Each line is (call, with, binding, metadata) and who wins.
@pytest.mark.parametrize(
    ("call", "inside", "bound", "told", "expected"),
    [
        pytest.param("call", "with", "model", "told", "call", id="call"),
        pytest.param(None, "with", "model", "told", "with", id="with"),
        pytest.param(None, None, "model", "told", "model", id="model"),
        pytest.param(None, None, None, "told", "told", id="metadata"),
        pytest.param(None, None, None, None, None, id="nobody"),
    ],
)
def test_precedence(call, inside, bound, told, expected, cached, prompt, cache):
    """A call beats a `with`, that beats the model, and that beats the metadata."""
    model = (
        cached
        if bound is None
        else cached.bind(prompt_cache={"tenant": bound, "conversation": bound})
    )
    said = None if call is None else {"tenant": call, "conversation": call}
    metadata = {} if told is None else {"prompt_cache_tenant": told, "thread_id": told}
    with cache.collect() as collected, options(tenant=inside, conversation=inside):
        model.invoke(prompt(), {"metadata": metadata}, prompt_cache=said)
        list(model.stream(prompt(), {"metadata": metadata}, prompt_cache=said))

    identities = {(one.tenant, one.conversation) for one in collected}
    assert len(collected) == 2
    assert identities == {(expected, expected)}


def test_options_mix(cached, prompt, cache, sent):
    """What one place leaves open another one fills in."""
    model = cached.bind(prompt_cache={"tenant": "acme"})
    with cache.collect() as collected, options(ttl="1h"):
        model.invoke(prompt(), prompt_cache={"conversation": "42"})
    (receipt,) = collected

    assert (receipt.tenant, receipt.conversation) == ("acme", "42")
    assert sent() == "1h"


def test_with_ends(cached, prompt, sent):
    """Outside of its `with` an option holds no longer, even if a stream goes on."""
    with options(enabled=False):
        stream = cached.stream(prompt())
        next(stream)
    list(stream)
    assert sent() is None

    cached.invoke(prompt())
    assert sent() == "5m"


THREAD = {
    "configurable": {"thread_id": "42"},
    "metadata": {"prompt_cache_tenant": "acme"},
}


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda model, prompt: model.invoke(prompt, THREAD), id="invoke"),
        pytest.param(
            lambda model, prompt: list(model.stream(prompt, THREAD)), id="stream"
        ),
        pytest.param(
            lambda model, prompt: list(model.bind(stop=["."]).stream(prompt, THREAD)),
            id="bind.stream",
        ),
        pytest.param(
            lambda model, prompt: model.with_config(**THREAD).batch([prompt]),
            id="batch",
        ),
        pytest.param(
            lambda model, prompt: model.model_copy(update={"streaming": True}).invoke(
                prompt, THREAD
            ),
            id="streaming=True",
        ),
        pytest.param(
            lambda model, prompt: (model | StrOutputParser()).invoke(prompt, THREAD),
            id="sequence",
        ),
        pytest.param(
            lambda model, prompt: list(
                (model | StrOutputParser()).stream(prompt, THREAD)
            ),
            id="sequence.stream",
        ),
        pytest.param(
            lambda model, prompt: create_agent(model, [look_up]).invoke(
                {"messages": prompt}, THREAD
            ),
            id="agent",
        ),
        pytest.param(
            lambda model, prompt: list(
                create_agent(model, [look_up]).stream(
                    {"messages": prompt}, THREAD, stream_mode="messages"
                )
            ),
            id="agent.stream",
        ),
        pytest.param(
            lambda model, prompt: model.invoke(
                prompt,
                {"metadata": {"thread_id": "42", "prompt_cache_tenant": "acme"}},
            ),
            id="metadata",
        ),
        pytest.param(
            lambda model, prompt: list(
                model.model_copy(
                    update={"metadata": {"prompt_cache_tenant": "acme"}}
                ).stream(prompt, {"configurable": {"thread_id": 42}})
            ),
            id="model_metadata",
        ),
    ],
)
def test_identity_of_a_run(run, cached, cache, prompt, last_row):
    """LangChain's `thread_id` is the conversation, its metadata may name the tenant."""
    with cache.collect() as collected:
        run(cached, prompt())
    identities = {(one.tenant, one.conversation) for one in collected}

    assert identities == {("acme", "42")}
    assert not {name for name in last_row().body if name.startswith(OPTION)}


async def test_identity_of_an_asynchronous_run(cached, cache, prompt):
    """The same holds for asynchronous calls and streams."""
    with cache.collect() as collected:
        await cached.ainvoke(prompt(), THREAD)
        assert [chunk async for chunk in cached.astream(prompt(), THREAD)]
    identities = {(one.tenant, one.conversation) for one in collected}

    assert len(collected) == 2
    assert identities == {("acme", "42")}


@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="LangGraph's asynchronous nodes see no context in Python 3.10",
)
async def test_identity_of_an_asynchronous_agent(cached, cache, prompt):
    """The same holds for agents."""
    agent = create_agent(cached, [look_up])
    with cache.collect() as collected:
        await agent.ainvoke({"messages": prompt()}, THREAD)
        steps = agent.astream({"messages": prompt()}, THREAD, stream_mode="messages")
        assert [step async for step in steps]
    identities = {(one.tenant, one.conversation) for one in collected}

    assert len(collected) == 2
    assert identities == {("acme", "42")}


def test_threads_keep_their_own(cached, cache, prompt, bill, assert_settled, rows_of):
    """Sixty-four threads with tenants of their own get receipts of their own."""

    def ask(number):
        tenant = f"tenant-{number}"
        said = {"tenant": tenant} if number % 2 else None
        with cache.collect() as collected, options(tenant=tenant):
            answer = cached.invoke(prompt("Why? " * (number + 1)), prompt_cache=said)
        (receipt,) = collected
        assert answer.response_metadata[OPTION]["ids"] == [receipt.id]
        assert receipt.id == answer.response_metadata["id"]
        assert receipt.usage.input_tokens == answer.usage_metadata["input_tokens"]
        return receipt

    with ThreadPoolExecutor(64) as pool:
        receipts = list(pool.map(ask, range(64)))

    assert [one.tenant for one in receipts] == [f"tenant-{n}" for n in range(64)]
    assert_settled(receipts, rows_of("cached"))
    assert len({bill(receipt)[0] for receipt in receipts}) == 64


async def test_tasks_keep_their_own(
    cached, cache, prompt, bill, assert_settled, rows_of
):
    """Two hundred tasks with tenants of their own get receipts of their own."""

    async def ask(number):
        said = {"conversation": f"talk-{number}"} if number % 2 else None
        with options(tenant=f"tenant-{number}"), cache.collect() as collected:
            stream = cached.astream(prompt("Why? " * (number + 1)), prompt_cache=said)
            found = [
                chunk.response_metadata[OPTION]["ids"]
                async for chunk in stream
                if OPTION in chunk.response_metadata
            ]
        (receipt,) = collected
        assert found == [[receipt.id]]
        return receipt

    with cache.collect() as all_of_them:
        receipts = await asyncio.gather(*map(ask, range(200)))

    assert [one.tenant for one in receipts] == [f"tenant-{n}" for n in range(200)]
    assert [one.conversation for one in receipts[:4]] == [
        None,
        "talk-1",
        None,
        "talk-3",
    ]
    assert len(all_of_them) == 200
    assert_settled(receipts, rows_of("cached"))
    assert len({bill(receipt)[0] for receipt in receipts}) == 200


def test_tenants_do_not_share(cached, cache, prompt):
    """What one tenant sent often says nothing about another one's request."""
    with cache.collect() as collected:
        for _ in range(3):
            cached.invoke(prompt(), prompt_cache={"tenant": "a"})
        cached.invoke(prompt(), prompt_cache={"tenant": "b"})
        cached.invoke(prompt())
    points = [receipt.breakpoints for receipt in collected]

    assert len(points[2]) == 2
    assert points[3] == points[4] == points[0]
    assert len(points[0]) == 1


@pytest.fixture
def llm_cache():
    """Keep whole answers, as LangChain does on request."""
    kept = InMemoryCache()
    set_llm_cache(kept)
    yield kept
    set_llm_cache(None)


def test_kept_answers(llm_cache, cached, cache, prompt, emulator):
    """LangChain's cache of answers ignores our options, and its hits cost nothing."""
    with cache.collect() as collected:
        first = cached.invoke(prompt(), prompt_cache={"tenant": "acme"})
        second = cached.invoke(prompt(), prompt_cache={"ttl": "1h"})
        third = cached.bind(prompt_cache=False).invoke(prompt())
        fourth = cached.invoke(prompt())

    assert len(emulator.ledger) == len(collected) == 1
    assert OPTION in first.response_metadata
    assert [OPTION in one.response_metadata for one in (second, third, fourth)] == [
        False
    ] * 3
    assert second.content == third.content == fourth.content == first.content


def test_kept_answers_of_other_requests(llm_cache, make_cached, prompt, emulator):
    """Another prompt, model or setting is another answer."""
    make_cached().invoke(prompt())
    make_cached().invoke(prompt("And a boiler?"))
    make_cached(max_tokens=99).invoke(prompt())
    make_cached(model="claude-opus-4-6").invoke(prompt())
    make_cached().invoke(prompt(), stop=["."])
    make_cached().invoke(prompt())

    assert len(emulator.ledger) == 5


def test_prompt_stays_the_callers(cached, head, last_row):
    """Neither the messages nor the lists in them are written to."""
    parts = [
        {"type": "text", "text": "Look at this."},
        {"type": "text", "text": "Why?"},
    ]
    messages = [head, HumanMessage(parts)]
    before = [message.model_copy(deep=True) for message in messages]
    for _ in range(3):
        cached.invoke(messages)

    assert messages == before
    assert parts == before[1].content
    assert "cache_control" in str(last_row().body)
