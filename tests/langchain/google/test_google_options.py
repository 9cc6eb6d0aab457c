"""What a caller may say to a cached Gemini, and what is refused."""

import re
from datetime import timedelta

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_kit import Engine, look_up
from pydantic import ValidationError

from langchain_promptcache import prompt_cached
from promptcache import OptionError, Policy, PromptCache, default_cache, options

OPTION = "prompt_cache"

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


@pytest.fixture
def kind():
    return "developer"


@pytest.fixture
def implicit_only():
    """Say nothing around the calls: here the cache itself places nothing."""


class Listening(PromptCache):
    """A cache that keeps what each request was allowed to do, and places nothing."""

    def __init__(self, clock):
        super().__init__(strict=True, clock=clock)
        self.heard = []

    def place(self, prepared, remote):
        del remote
        self.heard.append(prepared.options.gemini_caches)
        yield from ()


@pytest.fixture
def listening(emulator):
    return Listening(emulator.clock)


@pytest.mark.parametrize(
    ("choice", "policy"),
    [
        pytest.param(None, "auto", id="None"),
        pytest.param(True, "auto", id="True"),
        pytest.param(False, "off", id="False"),
        pytest.param("off", "off", id="off"),
        pytest.param({"ttl": "1h"}, "auto", id="ttl"),
        pytest.param({"ttl": timedelta(hours=1)}, "auto", id="timedelta"),
        pytest.param({"enabled": False}, "off", id="enabled"),
        pytest.param({"policy": "off"}, "off", id="policy"),
        pytest.param({"gemini_caches": False}, "auto", id="gemini_caches"),
    ],
)
def test_choice_of_a_model(choice, policy, make_cached, prompt):
    """What a model is given as `prompt_cache` decides what its receipts name."""
    model = make_cached(prompt_cache=choice, gemini_caches=False)
    answer = model.invoke(prompt())

    assert answer.response_metadata[OPTION]["policies"] == [policy]


def test_models_without_a_choice_share_a_cache(make_cached):
    """Models that name no cache learn together."""
    one, two = make_cached(prompt_cache=None), make_cached(prompt_cache={"ttl": "1h"})

    assert one._cache is two._cache is default_cache()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"prompt_cache": {"ttl": "24h"}}, "1h, 30m, 5m", id="24h"),
        pytest.param(
            {"prompt_cache": PromptCache(Policy.fixed(tools="12h"))},
            "1h, 30m, 5m",
            id="fixed",
        ),
        pytest.param(
            {"prompt_cache": {"gemini_caches": 1}}, "True or False", id="option"
        ),
        pytest.param({"gemini_caches": "perhaps"}, "boolean", id="field"),
        pytest.param({"prompt_cache": 7}, "a PromptCache, a Policy", id="number"),
    ],
)
def test_wrong_choice_of_a_model(given, told, make_cached):
    """A choice that is not allowed is refused at construction, naming what is."""
    with pytest.raises(ValidationError, match=re.escape(told)):
        make_cached(**given)


async def test_wrong_option_of_a_call(cached, prompt, emulator):
    """A lifetime that Gemini lacks is refused before anything is sent or bound."""
    said = {"ttl": "12h"}
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        cached.invoke(prompt(), prompt_cache=said)
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        list(cached.stream(prompt(), prompt_cache=said))
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        await cached.ainvoke(prompt(), prompt_cache=said)
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        cached.bind(prompt_cache=said)
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        cached.bind_tools([look_up], prompt_cache=said)
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        cached.with_structured_output(Engine, prompt_cache=said)

    assert emulator.ledger == []


NO, YES = {"gemini_caches": False}, {"gemini_caches": True}


@pytest.mark.parametrize(
    ("field", "choice", "around", "call", "expected"),
    [
        pytest.param(True, {}, {}, None, None, id="nothing"),
        pytest.param(False, {}, {}, None, False, id="field"),
        pytest.param(True, NO, {}, None, False, id="option"),
        pytest.param(False, YES, {}, None, True, id="option_over_field"),
        pytest.param(True, {}, NO, None, False, id="with"),
        pytest.param(False, NO, YES, None, True, id="with_over_model"),
        pytest.param(True, {}, {}, NO, False, id="call"),
        pytest.param(False, NO, NO, YES, True, id="call_over_all"),
    ],
)
async def test_who_may_leave_cached_contents_out(
    field, choice, around, call, expected, make_cached, listening, prompt
):
    """A call's word goes before that of a `with`, that before the model's."""
    model = make_cached(prompt_cache=listening, gemini_caches=field)
    model = model.bind(prompt_cache=choice) if choice else model
    said = {} if call is None else {"prompt_cache": call}
    with options(**around):
        model.invoke(prompt(), **said)
        list(model.stream(prompt(), **said))
        await model.ainvoke(prompt(), **said)
        [_ async for _ in model.astream(prompt(), **said)]

    assert listening.heard == [expected] * 4


@pytest.mark.parametrize(
    "derive",
    [
        pytest.param(lambda model: model.bind(temperature=0.5), id="bind"),
        pytest.param(lambda model: model.bind_tools([look_up]), id="bind_tools"),
        pytest.param(
            lambda model: model.with_structured_output(Engine), id="structured"
        ),
        pytest.param(lambda model: model | StrOutputParser(), id="sequence"),
        pytest.param(lambda model: model.with_retry(), id="with_retry"),
        pytest.param(lambda model: model.model_copy(), id="model_copy"),
        pytest.param(prompt_cached, id="prompt_cached"),
    ],
)
def test_field_holds_for_what_is_derived(derive, make_cached, listening, prompt):
    """What is made of a model that leaves cached contents out does so, too."""
    derive(make_cached(prompt_cache=listening, gemini_caches=False)).invoke(prompt())

    assert listening.heard == [False]


def test_field_changed_later(make_cached, listening, prompt):
    """The field is asked at each call, of a copy as well."""
    model = make_cached(prompt_cache=listening)
    model.invoke(prompt())
    model.model_copy(update=NO).invoke(prompt())
    model.gemini_caches = False
    model.invoke(prompt())

    assert listening.heard == [None, False, False]


def test_twin_with_options(plain, prompt):
    """A twin takes as `prompt_cache` what a cached model takes."""
    twin = prompt_cached(plain, NO)
    answer = twin.invoke(prompt())

    assert twin.gemini_caches is True
    assert answer.response_metadata[OPTION]["policies"] == ["auto"]
    assert twin._standing_options().gemini_caches is False


def test_options_reach_no_body(make_cached, plain, listening, prompt, rows_of):
    """What is said to us is taken off before LangChain and the SDK see it."""
    said = {"tenant": "acme", "conversation": "42", "ttl": "1h", **NO}
    cached = make_cached(prompt_cache=listening)
    cached.invoke(prompt(), prompt_cache=said)
    cached.bind(prompt_cache=said).invoke(prompt())
    list(cached.bind_tools([look_up], prompt_cache=said).stream(prompt()))
    cached.with_structured_output(Engine, "function_calling", prompt_cache=said).invoke(
        prompt()
    )
    plain.invoke(prompt())
    plain.invoke(prompt())
    list(plain.bind_tools([look_up]).stream(prompt()))
    plain.with_structured_output(Engine, "function_calling").invoke(prompt())

    assert listening.heard == [False] * 4
    assert [row.body for row in rows_of("cached")] == [
        row.body for row in rows_of("plain")
    ]


def test_identity_from_langchain(make_cached, listening, prompt):
    """Threads and tenants that LangChain names are those of the receipt."""
    config = {
        "configurable": {"thread_id": "visit"},
        "metadata": {"prompt_cache_tenant": "acme"},
    }
    model = make_cached(prompt_cache=listening)
    with listening.collect() as collected:
        model.invoke(prompt(), config)
        list(model.stream(prompt(), config))

    assert {one.conversation for one in collected} == {"visit"}
    assert {one.tenant for one in collected} == {"acme"}
