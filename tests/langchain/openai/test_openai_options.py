"""What a caller may say to a cached GPT, and what is refused."""

import re
from datetime import timedelta

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tools import tool
from pydantic import BaseModel, ValidationError

from promptcache import OptionError, Policy, PromptCache, default_cache, options

OPTION = "prompt_cache"
LONG_KEY = "k" * 65


class Engine(BaseModel):
    """An engine of the museum."""

    name: str


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911."


@pytest.fixture
def sent(last_row):
    """Return a function that gives the lifetime that the newest request asks for."""
    return lambda: last_row().body.get("prompt_cache_options", {}).get("ttl")


@pytest.mark.parametrize("kind", ["responses"])
@pytest.mark.parametrize(
    ("choice", "policy", "expected"),
    [
        pytest.param(None, "auto", "30m", id="None"),
        pytest.param(True, "auto", "30m", id="True"),
        pytest.param(False, "off", None, id="False"),
        pytest.param("auto", "auto", "30m", id="auto"),
        pytest.param("off", "off", None, id="off"),
        pytest.param({"ttl": "12h"}, "auto", "12h", id="ttl"),
        pytest.param({"ttl": timedelta(hours=12)}, "auto", "12h", id="timedelta"),
        pytest.param({"enabled": False}, "off", None, id="enabled"),
        pytest.param({"policy": "off"}, "off", None, id="policy"),
        pytest.param(
            Policy.fixed(tools="30m", system="30m", history=None, tail="30m"),
            "fixed",
            "30m",
            id="fixed",
        ),
    ],
)
def test_choice_of_a_model(choice, policy, expected, make_cached, prompt, sent):
    """What a model is given as `prompt_cache` decides what its requests carry."""
    answer = make_cached(prompt_cache=choice).invoke(prompt())

    assert sent() == expected
    assert answer.response_metadata[OPTION]["policies"] == [policy]


@pytest.mark.parametrize("model_name", ["gpt-5.2"])
def test_longer_retention(make_cached, prompt, last_row):
    """A model that has no breakpoints may be asked to keep prefixes for a day."""
    make_cached().invoke(prompt())
    assert "prompt_cache_retention" not in last_row().body

    make_cached(prompt_cache={"ttl": "24h"}).invoke(prompt())
    assert last_row().body["prompt_cache_retention"] == "24h"
    assert "prompt_cache_options" not in last_row().body


@pytest.mark.parametrize("kind", ["chat"])
def test_models_without_a_choice_share_a_cache(make_cached):
    """Models that name no cache learn together."""
    one, two = make_cached(prompt_cache=None), make_cached(prompt_cache={"ttl": "12h"})

    assert one._cache is two._cache is default_cache()


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        pytest.param({"ttl": "1h"}, "allowed: 30m, 12h, 24h", id="1h"),
        pytest.param({"ttl": "5m"}, "allowed: 30m, 12h, 24h", id="5m"),
        pytest.param(PromptCache("fixed"), "allowed: 30m, 12h, 24h", id="fixed"),
        pytest.param({"stream_usage": 1}, "True or False", id="stream_usage"),
        pytest.param(7, "a PromptCache, a Policy or its name", id="number"),
    ],
)
def test_wrong_choice_of_a_model(choice, told, make_cached):
    """A choice that is not allowed is refused at construction, naming what is."""
    with pytest.raises(ValidationError, match=re.escape(told)):
        make_cached(prompt_cache=choice)


@pytest.mark.parametrize("kind", ["chat", "responses"])
async def test_wrong_option_of_a_call(cached, prompt, emulator):
    """A lifetime that OpenAI lacks is refused before anything is sent or bound."""
    said = {"ttl": "1h"}
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        cached.invoke(prompt(), prompt_cache=said)
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        list(cached.stream(prompt(), prompt_cache=said))
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        await cached.ainvoke(prompt(), prompt_cache=said)
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        cached.bind(prompt_cache=said)
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        cached.bind_tools([look_up], prompt_cache=said)
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        cached.with_structured_output(Engine, prompt_cache=said)

    assert emulator.ledger == []


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"model_kwargs": {"prompt_cache_key": LONG_KEY}}, id="kwargs"),
        pytest.param({"extra_body": {"prompt_cache_key": LONG_KEY}}, id="extra_body"),
        pytest.param(
            {"prompt_cache_key": LONG_KEY},
            id="argument",
            # LangChain itself says that it puts this under `model_kwargs`.
            marks=pytest.mark.filterwarnings("ignore:WARNING"),
        ),
    ],
)
def test_long_key_of_a_model(given, make_cached, make_plain):
    """A key that the API would refuse is refused where the model is made."""
    with pytest.raises(ValidationError, match="at most 64 characters"):
        make_cached(**given)

    assert make_plain(**given)


BINDINGS = [
    pytest.param(lambda model, **said: model.bind(**said), id="bind"),
    pytest.param(
        lambda model, **said: model.bind_tools([look_up], **said), id="bind_tools"
    ),
    pytest.param(
        lambda model, **said: model.with_structured_output(Engine, **said),
        id="with_structured_output",
    ),
    pytest.param(
        lambda model, **said: model.bind(extra_body=dict(said)), id="extra_body"
    ),
]


@pytest.mark.parametrize("bind", BINDINGS)
@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_long_key_of_a_binding(bind, cached, prompt, last_row):
    """A key that the API would refuse is refused where it is bound."""
    with pytest.raises(OptionError, match="at most 64 characters") as info:
        bind(cached, prompt_cache_key=LONG_KEY)
    assert info.value.option == "prompt_cache_key"

    bind(cached, prompt_cache_key="k" * 64).invoke(prompt())
    assert last_row().body["prompt_cache_key"] == "k" * 64


@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_long_key_of_a_call(cached, plain, prompt, emulator, events):
    """A key that is too long for one call is the API's to refuse, as ever."""
    raised = []
    for model in (plain, cached):
        with pytest.raises(Exception, match="string too long") as info:
            model.invoke(prompt(), prompt_cache_key=LONG_KEY)
        raised.append(type(info.value))

    assert raised[0] is raised[1]
    assert [row.status for row in emulator.ledger] == [400, 400]
    assert events == []


def test_own_key_stays(cached, prompt, last_row):
    """The caller's key is the one that is sent."""
    cached.invoke(prompt(), prompt_cache_key="mine")

    assert last_row().body["prompt_cache_key"] == "mine"


@pytest.mark.parametrize("kind", ["responses"])
def test_own_options_stay(make_cached, prompt, last_row):
    """The caller's own options of a model are laid over ours."""
    make_cached(prompt_cache_options={"ttl": "12h"}).invoke(prompt())

    assert last_row().body["prompt_cache_options"]["ttl"] == "12h"


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
def test_options_of_a_call(call, cached, cache, prompt, last_row, is_planned):
    """A call's options reach its request and its receipt, but not the wire."""
    said = {"ttl": "12h", "tenant": "acme", "conversation": "42"}
    with cache.collect() as collected:
        call(cached, prompt(), prompt_cache=said)
        assert is_planned(last_row().body)
        call(cached, prompt(), prompt_cache=False)
    with_options, without = collected

    assert (with_options.tenant, with_options.conversation) == ("acme", "42")
    assert not is_planned(last_row().body)
    assert without.policy == "off"
    assert not {name for name in last_row().body if name.startswith(OPTION)}


@pytest.mark.parametrize("kind", ["chat", "responses"])
async def test_options_of_an_asynchronous_call(cached, cache, prompt):
    """The same holds for asynchronous calls and streams."""
    with cache.collect() as collected:
        await cached.ainvoke(prompt(), prompt_cache={"tenant": "a"})
        stream = cached.astream(prompt(), prompt_cache={"tenant": "b"})
        assert [chunk async for chunk in stream]
        await cached.abatch([prompt()], prompt_cache=False)

    assert [receipt.tenant for receipt in collected] == ["a", "b", None]
    assert [receipt.policy for receipt in collected] == ["auto", "auto", "off"]


@pytest.mark.parametrize(
    "derive",
    [
        pytest.param(lambda model: model.bind(temperature=0.5), id="bind"),
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
        pytest.param(lambda model: model.with_fallbacks([model]), id="with_fallbacks"),
        pytest.param(lambda model: model | StrOutputParser(), id="sequence"),
    ],
)
@pytest.mark.parametrize("kind", ["chat"])
def test_bound_options_survive(derive, cached, cache, prompt):
    """Options that were bound hold for whatever is derived from the binding."""
    bound = cached.bind(prompt_cache={"tenant": "acme"})
    with cache.collect() as collected:
        derive(bound).invoke(prompt())
        derive(cached).invoke(prompt())

    assert [receipt.tenant for receipt in collected] == ["acme", None]


@pytest.mark.parametrize("bind", BINDINGS[:3])
@pytest.mark.parametrize("kind", ["chat", "responses"])
def test_options_among_other_arguments(bind, cached, cache, prompt, last_row):
    """Options may stand beside what LangChain itself binds."""
    with cache.collect() as collected:
        bind(cached, prompt_cache={"tenant": "acme"}).invoke(prompt())

    assert [receipt.tenant for receipt in collected] == ["acme"]
    assert OPTION not in last_row().body


def test_tenants_have_caches_of_their_own(cached, prompt, emulator):
    """On models with breakpoints a tenant has a key, which parts the caches."""
    cached.invoke(prompt(), prompt_cache={"tenant": "a"})
    with options(tenant="b"):
        cached.invoke(prompt())
    cached.invoke(prompt(), {"metadata": {"prompt_cache_tenant": "a"}})
    first, second, third = emulator.ledger

    assert first.body["prompt_cache_key"] == third.body["prompt_cache_key"]
    assert first.body["prompt_cache_key"] != second.body["prompt_cache_key"]
    assert second.cache_read_input_tokens == 0
    assert third.cache_read_input_tokens > 0
    assert "acme" not in str(first.body)
