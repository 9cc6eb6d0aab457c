"""`prompt_cached(model)` on GPTs: the twin caches, the model stays as it was."""

import os
import subprocess
import sys
import textwrap

import openai
import pytest
from langchain.chat_models import init_chat_model
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    ConfigurableField,
    RunnableLambda,
    RunnableParallel,
)
from langchain_core.tools import tool
from langchain_openai import AzureChatOpenAI, ChatOpenAI, OpenAI
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import BaseModel, Field, SecretStr, model_validator
from typing_extensions import Self

from langchain_promptcache import (
    PromptCachedAzureChatOpenAI,
    PromptCachedChatOpenAI,
    prompt_cached,
)
from promptcache import OptionError, PromptCache, UnsupportedClientError
from promptcache.emulator import Fault

OPTION = "prompt_cache"
CLIENTS = ("root_client", "root_async_client", "client", "async_client")
TWINS = {
    ChatOpenAI: PromptCachedChatOpenAI,
    AzureChatOpenAI: PromptCachedAzureChatOpenAI,
}


class Engine(BaseModel):
    """An engine of the museum."""

    name: str


class MuseumChat(ChatOpenAI):
    """A model class of somebody else."""

    def greeting(self):
        return f"{self.model_name} of the museum"


class OtherMaker(BaseChatOpenAI):
    """A class of a maker whose API is like OpenAI's, as partner packages have."""

    api_key: SecretStr = Field(default=SecretStr("key"))
    api_base: str = "https://models.example/v1"

    @property
    def _llm_type(self):
        return "other-maker"

    @model_validator(mode="after")
    def validate_environment(self) -> Self:
        given = {"api_key": self.api_key.get_secret_value(), "base_url": self.api_base}
        self.root_client = openai.OpenAI(**given, http_client=self.http_client)
        self.client = self.root_client.chat.completions
        self.root_async_client = openai.AsyncOpenAI(
            **given, http_client=self.http_async_client
        )
        self.async_client = self.root_async_client.chat.completions
        return self

    def experimental(self):
        """Return a model of the maker's other server, as partner packages make it."""
        other = self.model_copy(update=dict.fromkeys(CLIENTS))
        return other.validate_environment()


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911."


@pytest.fixture
def is_cached(rows_of, is_planned):
    """Return a function that runs something and tells which requests were planned."""

    def planned(run):
        before = len(rows_of("plain"))
        run()
        return [is_planned(row.body) for row in rows_of("plain")[before:]]

    return planned


def owner_of(client):
    """Return the SDK's client that a client, or a part of one, calls through."""
    return client if isinstance(client, openai.OpenAI) else client._client


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
            max_tokens=ConfigurableField(id="max_tokens")
        ),
        id="configurable_fields",
    ),
    pytest.param(
        lambda model: model.configurable_fields(
            max_tokens=ConfigurableField(id="max_tokens")
        ).with_config(configurable={"max_tokens": 99}),
        id="configurable_fields.configured",
    ),
]


@pytest.mark.parametrize("holding", HOLDERS)
def test_models_are_found_in(holding, plain, cache, prompt, is_cached):
    """The twin of a runnable caches the models in it; the runnable itself does not."""
    holder = holding(plain)
    twin = prompt_cached(holder, cache)

    assert is_cached(lambda: twin.invoke(prompt())) == [True]
    assert is_cached(lambda: holder.invoke(prompt())) == [False]
    assert is_cached(lambda: plain.invoke(prompt())) == [False]


def test_model_stays_as_it_was(plain, cache, stock_class):
    """A twin has clients of its own, on the model's connections."""
    before = [getattr(plain, name) for name in CLIENTS]
    twin = prompt_cached(plain, cache)

    assert type(plain) is stock_class
    assert type(twin) is TWINS[stock_class]
    assert OPTION not in plain.__dict__
    for client, name in zip(before, CLIENTS, strict=True):
        assert getattr(plain, name) is client
        assert getattr(twin, name) is not client
        assert type(getattr(twin, name)) is type(client)
    assert twin.root_client._client is plain.root_client._client
    assert twin.root_async_client._client is plain.root_async_client._client
    assert owner_of(twin.client) is twin.root_client
    assert twin.async_client._client is twin.root_async_client


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
    assert second.root_client._client is first.root_client._client
    assert prompt_cached(second, cache).invoke(prompt()).response_metadata[OPTION]


@pytest.mark.parametrize("kind", ["chat"])
def test_subclass(arguments, cache, prompt, is_cached):
    """A class derived from `ChatOpenAI` keeps its type, name and methods."""
    model = MuseumChat(**arguments("plain"))
    twin = prompt_cached(model, cache)
    again = prompt_cached(MuseumChat(**arguments("plain")), cache)

    assert isinstance(twin, MuseumChat)
    assert type(twin).__name__ == "PromptCachedMuseumChat"
    assert type(again) is type(twin)
    assert twin.greeting() == model.greeting()
    assert is_cached(lambda: twin.invoke(prompt())) == [True]


def test_subclass_of_the_cached_class(arguments, cached_class, cache, prompt):
    """A class derived from the cached one is cached, even one with its own client."""

    class Cached(cached_class):
        @model_validator(mode="after")
        def with_another_client(self) -> Self:
            self.root_client = self.root_client.with_options(timeout=7)
            self.client = self.root_client.chat.completions
            return self

    model = Cached(**arguments("plain"), prompt_cache=cache)

    assert prompt_cached(model) is model
    assert OPTION in model.invoke(prompt()).response_metadata
    assert model.root_client.timeout == 7


async def test_other_makers(pool, async_pool, emulator, events, prompt):
    """A class of another maker is cached; an unknown server gets a key, and no mark."""
    given = {"model": "gpt-6.1-sol", "stop": None}
    given |= {"http_client": pool, "http_async_client": async_pool}
    model = OtherMaker(**given, api_base=f"{emulator.url}/v1")
    server = emulator.url.removeprefix("http://")
    cache = PromptCache(
        clock=emulator.clock,
        listeners=[events.append],
        facts={server: {"host": "compatible"}},
    )
    twin = prompt_cached(model, cache)
    first, *rest = twin.stream(prompt())
    answers = [twin.invoke(prompt()), await twin.ainvoke(prompt()), sum(rest, first)]
    answers.append(twin.experimental().invoke(prompt()))
    model.invoke(prompt())
    *rows, stock = emulator.ledger

    assert type(twin).__name__ == "PromptCachedOtherMaker"
    assert isinstance(twin, OtherMaker)
    assert twin._llm_type == "other-maker"
    assert all(OPTION in answer.response_metadata for answer in answers)
    assert [isinstance(row.body["prompt_cache_key"], str) for row in rows] == [True] * 4
    assert all("prompt_cache_options" not in row.body for row in rows)
    assert rows[0].body["messages"] == stock.body["messages"]
    assert "prompt_cache_key" not in stock.body


@pytest.mark.parametrize("kind", ["responses"])
def test_options_of_a_twin(plain, prompt, rows_of):
    """A twin takes what a cached model takes as `prompt_cache`."""
    prompt_cached(plain, {"ttl": "12h"}).invoke(prompt())

    assert rows_of("plain")[0].body["prompt_cache_options"]["ttl"] == "12h"


def test_wrong_option_is_refused(plain, make_plain):
    """What is no option is refused, and so is a key that the API would refuse."""
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        prompt_cached(plain, {"ttl": "1h"})
    long = {"prompt_cache_key": "k" * 65}
    with pytest.raises(OptionError, match="at most 64 characters"):
        prompt_cached(make_plain(model_kwargs=long))
    with pytest.raises(OptionError, match="at most 64 characters"):
        prompt_cached(make_plain(extra_body=long) | StrOutputParser())
    with pytest.raises(OptionError, match="at most 64 characters"):
        prompt_cached(plain.bind(**long))


def test_other_models_of_the_package(pool, cache):
    """What calls neither of the two APIs comes back itself, with one warning."""
    model = OpenAI(api_key="k", http_client=pool)
    with pytest.warns(UserWarning, match="supported: ChatAnthropic, ChatOpenAI"):
        twin = prompt_cached(model, cache)

    assert twin is model
    with pytest.raises(UnsupportedClientError, match="BaseChatOpenAI"):
        prompt_cached(model, cache, strict=True)


def test_fallbacks_are_cached_too(make_plain, cache, prompt, emulator, is_cached):
    """When the first model fails, the request of the second is planned as well."""
    emulator.faults.push(Fault(status=500))
    chain = make_plain().with_fallbacks([make_plain(max_tokens=99)])

    assert is_cached(lambda: prompt_cached(chain, cache).invoke(prompt())) == [
        True,
        True,
    ]


@pytest.mark.parametrize("kind", ["chat", "azure"])
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
def test_configurable_model(deriving, when, arguments, cache, prompt, is_cached, kind):
    """A configurable model is cached, whether it is derived from before or after."""
    model = init_chat_model(
        model_provider="azure_openai" if kind == "azure" else "openai",
        configurable_fields=("max_tokens",),
        **arguments("plain"),
    )
    derived = deriving(model) if when == "before" else model
    twin = prompt_cached(derived, cache)
    twin = deriving(twin) if when == "after" else twin

    assert is_cached(lambda: twin.invoke(prompt())) == [True]
    assert is_cached(lambda: deriving(model).invoke(prompt())) == [False]


@pytest.mark.parametrize("kind", ["chat"])
def test_models_by_name(arguments, cache, prompt, is_cached):
    """`init_chat_model` by a name with its provider is cached too."""
    given = arguments("plain")
    model = init_chat_model(f"openai:{given.pop('model')}", **given)
    twin = prompt_cached(model, cache)

    assert type(twin) is PromptCachedChatOpenAI
    assert is_cached(lambda: twin.invoke(prompt())) == [True]


def test_switched_off(emulator):
    """With `PROMPTCACHE=off` nothing is planned, attached or put on messages."""
    script = """
        import sys
        from langchain_core.messages import HumanMessage, SystemMessage
        from langchain_openai import ChatOpenAI
        from langchain_promptcache import PromptCachedChatOpenAI, prompt_cached

        arguments = {"model": "gpt-6.1-sol", "api_key": "ws-off-key",
                     "base_url": sys.argv[1] + "/v1"}
        prompt = [SystemMessage("You are a clerk. " * 500), HumanMessage("Hello")]
        plain = ChatOpenAI(**arguments)
        assert prompt_cached(plain) is plain
        cached = PromptCachedChatOpenAI(**arguments, prompt_cache={"ttl": "12h"})
        answers = [plain.invoke(prompt), cached.invoke(prompt),
                   cached.bind(prompt_cache={"tenant": "a"}).invoke(prompt),
                   cached.invoke(prompt, prompt_cache=False)]
        answers += [*cached.stream(prompt)]
        assert not any("prompt_cache" in one.response_metadata for one in answers)
        assert vars(cached.root_client).keys() == vars(plain.root_client).keys()
        long_key = {"prompt_cache_key": "k" * 65}
        PromptCachedChatOpenAI(**arguments, model_kwargs=long_key).bind(**long_key)
    """
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), emulator.url],
        env={**os.environ, "PROMPTCACHE": "off"},
        check=True,
        timeout=60,
    )
    *bodies, streamed = [dict(row.body) for row in emulator.ledger]

    assert len(bodies) == 4
    assert all(body == bodies[0] for body in bodies)
    assert streamed == {**bodies[0], "stream": True}
