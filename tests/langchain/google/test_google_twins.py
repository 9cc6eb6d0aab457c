"""`prompt_cached(model)` on Geminis: the twin caches, the model stays as it was."""

import os
import subprocess
import sys
import textwrap

import pytest
from langchain.chat_models import init_chat_model
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnableParallel
from langchain_google_genai import ChatGoogleGenerativeAI, GoogleGenerativeAI
from langchain_kit import Engine, look_up
from pydantic import model_validator
from typing_extensions import Self

from langchain_promptcache import PromptCachedChatGoogleGenerativeAI, prompt_cached
from promptcache import OptionError, PromptCache, UnsupportedClientError
from promptcache.emulator import Fault

# What the SDK's own way of making a session is told of by aiohttp.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")

OPTION = "prompt_cache"


class MuseumChat(ChatGoogleGenerativeAI):
    """A model class of somebody else."""

    def greeting(self):
        return f"{self.model} of the museum"


@pytest.fixture
def kind():
    return "developer"


@pytest.fixture
def is_cached(rows_of, cache):
    """Return a function that runs something and tells which requests were planned."""

    def planned(run):
        before = len(rows_of("plain"))
        with cache.collect() as collected:
            run()
        sent = len(rows_of("plain")[before:])
        assert sent
        return len(collected) == sent

    return planned


HOLDERS = [
    pytest.param(lambda model: model, id="model"),
    pytest.param(lambda model: model.bind(temperature=0.5), id="bind"),
    pytest.param(lambda model: model.bind_tools([look_up]), id="bind_tools"),
    pytest.param(
        lambda model: model.with_structured_output(Engine, method="json_schema"),
        id="with_structured_output",
    ),
    pytest.param(
        lambda model: model.with_structured_output(
            Engine, method="function_calling", include_raw=True
        ),
        id="with_structured_output.include_raw",
    ),
    pytest.param(lambda model: model.with_config(tags=["museum"]), id="with_config"),
    pytest.param(
        lambda model: model.with_retry().with_config(tags=["a"]).bind(temperature=0.5),
        id="with_retry",
    ),
    pytest.param(lambda model: model.with_fallbacks([model]), id="with_fallbacks"),
    pytest.param(
        lambda model: RunnableLambda(list) | model | StrOutputParser(), id="sequence"
    ),
    pytest.param(lambda model: RunnableParallel(said=model), id="RunnableParallel"),
    pytest.param(
        lambda model: model.configurable_fields(
            max_output_tokens=ConfigurableField(id="max_tokens")
        ),
        id="configurable_fields",
    ),
    pytest.param(
        lambda model: model.configurable_fields(
            max_output_tokens=ConfigurableField(id="max_tokens")
        ).with_config(configurable={"max_tokens": 99}),
        id="configurable_fields.configured",
    ),
]


@pytest.mark.parametrize("holding", HOLDERS)
def test_models_are_found_in(holding, plain, cache, prompt, is_cached):
    """The twin of a runnable caches the models in it; the runnable itself does not."""
    holder = holding(plain)
    twin = prompt_cached(holder, cache)

    assert is_cached(lambda: twin.invoke(prompt()))
    assert not is_cached(lambda: holder.invoke(prompt()))
    assert not is_cached(lambda: plain.invoke(prompt()))


@pytest.mark.parametrize("kind", ["developer", "vertex"])
async def test_twin_does_as_its_model(plain, cache, prompt, rows_of, assert_settled):
    """A twin sends what its model sends, to the same place, with receipts."""
    twin = prompt_cached(plain, cache)
    for model in (plain, twin):
        with cache.collect() as collected:
            model.invoke(prompt())
            await model.ainvoke(prompt())
            list(model.stream(prompt()))
            [_ async for _ in model.astream(prompt())]
    rows = rows_of("plain")

    assert_settled(collected, rows[4:])
    assert [row.body for row in rows[:4]] == [row.body for row in rows[4:]]
    assert [row.path for row in rows[:4]] == [row.path for row in rows[4:]]


def test_model_stays_as_it_was(plain, cache):
    """A twin has a client of its own, on the model's connections."""
    before, fields = plain.client, dict(vars(plain))
    twin = prompt_cached(plain, cache)

    assert type(plain) is ChatGoogleGenerativeAI
    assert type(twin) is PromptCachedChatGoogleGenerativeAI
    assert vars(plain) == fields
    assert plain.client is before
    assert twin.client is not before
    assert isinstance(twin.client, type(before))
    assert twin.gemini_caches is True


def test_twice_is_once(plain, cache):
    """The twin of a twin is that twin, alone or inside something."""
    twin = prompt_cached(plain, cache)
    chain = twin | StrOutputParser()

    assert prompt_cached(twin) is twin
    assert prompt_cached(chain) is chain


@pytest.mark.parametrize("how", ["twin", "class"])
def test_other_cache_takes_over(how, plain, cached, cache, emulator, prompt):
    """A twin that is given another cache reports to that one, and to no other."""
    first = prompt_cached(plain, cache) if how == "twin" else cached
    first.invoke(prompt())
    listened = []
    other = PromptCache("auto", clock=emulator.clock, listeners=[listened.append])
    second = prompt_cached(first, other)
    with cache.collect() as before, other.collect() as after:
        answer = second.invoke(prompt())
        first.invoke(prompt())

    assert [one.id for one in before] != [one.id for one in after]
    assert len(before) == len(after) == len(listened) == 1
    assert answer.response_metadata[OPTION]["ids"] == [after[0].id]
    assert prompt_cached(second, cache).invoke(prompt()).response_metadata[OPTION]


def test_other_cache_leaves_the_choice(make_cached, emulator):
    """A model that leaves cached contents out does so in any cache."""
    cached = make_cached(gemini_caches=False)

    twin = prompt_cached(cached, PromptCache(clock=emulator.clock))
    assert twin.gemini_caches is False


def test_subclass(arguments, cache, prompt, is_cached):
    """A class derived from LangChain's keeps its type, name and methods."""
    model = MuseumChat(**arguments("plain"))
    twin = prompt_cached(model, cache)
    again = prompt_cached(MuseumChat(**arguments("plain")), cache)

    assert isinstance(twin, MuseumChat)
    assert type(twin).__name__ == "PromptCachedMuseumChat"
    assert type(again) is type(twin)
    assert twin.greeting() == model.greeting()
    assert is_cached(lambda: twin.invoke(prompt()))


def test_subclass_of_the_cached_class(arguments, plain, cache, prompt):
    """A class derived from the cached one is cached, even one with its own client."""
    given = plain.client

    class Cached(PromptCachedChatGoogleGenerativeAI):
        @model_validator(mode="after")
        def with_another_client(self) -> Self:
            self.client = given
            return self

    model = Cached(**arguments("cached"), prompt_cache=cache)

    assert prompt_cached(model) is model
    assert OPTION in model.invoke(prompt()).response_metadata
    assert model.plain_client() is given


def test_wrong_option_is_refused(plain):
    """What is no option of Gemini's is refused."""
    with pytest.raises(OptionError, match="allowed: 1h, 30m, 5m"):
        prompt_cached(plain, {"ttl": "24h"})
    with pytest.raises(OptionError, match="True or False"):
        prompt_cached(plain, {"gemini_caches": "no"})


def test_other_models_of_the_package(arguments, cache):
    """What is no chat model comes back itself, with one warning."""
    model = GoogleGenerativeAI(model="gemini-3.8-flash", google_api_key="k")
    with pytest.warns(UserWarning, match="ChatGoogleGenerativeAI"):
        twin = prompt_cached(model, cache)

    assert twin is model
    with pytest.raises(UnsupportedClientError, match="ChatGoogleGenerativeAI"):
        prompt_cached(model, cache, strict=True)


def test_fallbacks_are_cached_too(make_plain, cache, prompt, emulator, rows_of):
    """When the first model fails, the request of the second is planned as well."""
    emulator.faults.push(Fault(status=500))
    chain = make_plain().with_fallbacks([make_plain(max_tokens=99)])
    with cache.collect() as collected:
        answer = prompt_cached(chain, cache).invoke(prompt())

    assert [row.status for row in rows_of("plain")] == [500, 200]
    assert answer.response_metadata[OPTION]["ids"] == [one.id for one in collected]


@pytest.mark.parametrize(
    "deriving",
    [
        pytest.param(lambda model: model, id="model"),
        pytest.param(lambda model: model.bind_tools([look_up]), id="bind_tools"),
        pytest.param(
            lambda model: model.with_config(configurable={"max_tokens": 99}),
            id="with_config",
        ),
        pytest.param(
            lambda model: model.with_structured_output(Engine, method="json_schema"),
            id="with_structured_output",
        ),
        pytest.param(lambda model: model | StrOutputParser(), id="sequence"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", ["developer", "vertex"])
def test_configurable_model(deriving, when, arguments, cache, prompt, is_cached):
    """A configurable model is cached, whether it is derived from before or after."""
    model = init_chat_model(
        model_provider="google_genai",
        configurable_fields=("max_tokens",),
        **arguments("plain"),
    )
    derived = deriving(model) if when == "before" else model
    twin = prompt_cached(derived, cache)
    twin = deriving(twin) if when == "after" else twin

    assert is_cached(lambda: twin.invoke(prompt()))
    assert not is_cached(lambda: deriving(model).invoke(prompt()))


def test_models_by_name(arguments, cache, prompt, is_cached):
    """`init_chat_model` by a name with its provider is cached too."""
    given = arguments("plain")
    model = init_chat_model(f"google_genai:{given.pop('model')}", **given)
    twin = prompt_cached(model, cache)

    assert type(twin) is PromptCachedChatGoogleGenerativeAI
    assert is_cached(lambda: twin.invoke(prompt()))


def test_switched_off(emulator):
    """With `PROMPTCACHE=off` nothing is planned, attached or put on messages."""
    script = """
        import sys
        from langchain_core.messages import HumanMessage, SystemMessage
        from langchain_google_genai import ChatGoogleGenerativeAI
        from langchain_promptcache import (
            PromptCachedChatGoogleGenerativeAI as Cached, prompt_cached)

        arguments = {"model": "gemini-3.8-flash", "api_key": "ws-off-key",
                     "base_url": sys.argv[1]}
        prompt = [SystemMessage("You are a clerk. " * 2000), HumanMessage("Hello")]
        plain = ChatGoogleGenerativeAI(**arguments)
        assert prompt_cached(plain) is plain
        cached = Cached(**arguments, prompt_cache={"ttl": "1h"})
        answers = [plain.invoke(prompt), cached.invoke(prompt),
                   cached.bind(prompt_cache={"tenant": "a"}).invoke(prompt),
                   cached.invoke(prompt, prompt_cache=False)]
        answers += [*cached.stream(prompt)]
        assert not any("prompt_cache" in one.response_metadata for one in answers)
        assert vars(cached.client).keys() == vars(plain.client).keys()
        assert type(cached.client) is type(plain.client)
    """
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), emulator.url],
        env={**os.environ, "PROMPTCACHE": "off"},
        check=True,
        timeout=60,
    )
    bodies = [dict(row.body) for row in emulator.ledger]

    assert len(bodies) == 5
    assert all(body == bodies[0] for body in bodies)
