"""`prompt_cached(model)`: the twin caches, the model stays as it was."""

import os
import subprocess
import sys
import textwrap

import pytest
from langchain.chat_models import init_chat_model
from langchain_anthropic import ChatAnthropic
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    ConfigurableField,
    Runnable,
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)
from langchain_core.tools import BaseTool, tool
from pydantic import BaseModel

from langchain_promptcache import PromptCachedChatAnthropic, prompt_cached
from langchain_promptcache.chat_models import anthropic as adapter
from promptcache import OptionError, PromptCache, UnsupportedClientError
from promptcache.emulator import Fault

OPTION = "prompt_cache"


class Engine(BaseModel):
    """An engine of the museum."""

    name: str


class MuseumChat(ChatAnthropic):
    """A model class of somebody else."""

    def greeting(self):
        return f"{self.model} of the museum"


class Asking(BaseTool):
    """A tool that asks a model."""

    name: str = "ask"
    description: str = "Ask a model."
    model: ChatAnthropic

    def _run(self, question: str) -> str:
        return self.model.invoke(question).text


@tool
def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return f"{name} was built in 1911."


def middleware_of(client):
    return [type(entry).__name__ for entry in client.middleware]


@pytest.fixture
def is_cached(rows_of, markers):
    """Return a function that runs something and tells which requests were marked."""

    def marked(run):
        before = len(rows_of("plain"))
        run()
        return [bool(markers(row.body)) for row in rows_of("plain")[before:]]

    return marked


# A model that exists already, made into something that holds it.
HOLDERS = [
    pytest.param(lambda model: model, id="model"),
    pytest.param(lambda model: model.bind(stop=["."]), id="bind"),
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
    pytest.param(lambda model: model.with_retry(), id="with_retry"),
    pytest.param(
        lambda model: model.with_retry().with_config(tags=["a"]).bind(stop=["."]),
        id="several",
    ),
    pytest.param(lambda model: model.with_fallbacks([model]), id="with_fallbacks"),
    pytest.param(lambda model: model | StrOutputParser(), id="sequence"),
    pytest.param(
        lambda model: RunnableLambda(list) | model | StrOutputParser() | str.upper,
        id="sequence.middle",
    ),
    pytest.param(lambda model: RunnableLambda(list) | model, id="sequence.last"),
    pytest.param(lambda model: RunnableParallel(said=model), id="RunnableParallel"),
    pytest.param(lambda model: RunnableLambda(list) | {"said": model}, id="dict"),
    pytest.param(
        lambda model: (
            RunnableLambda(lambda said: {"said": said})
            | RunnablePassthrough.assign(
                answer=RunnableLambda(lambda given: given["said"]) | model
            )
        ),
        id="assign",
    ),
    pytest.param(
        lambda model: RunnableBranch(
            (lambda said: not said, RunnableLambda(str)), (bool, model), str
        ),
        id="branch",
    ),
    pytest.param(
        lambda model: RunnableBranch((lambda said: not said, str), model),
        id="branch.default",
    ),
    pytest.param(
        lambda model: model.configurable_fields(
            max_tokens=ConfigurableField(id="max_tokens")
        ),
        id="configurable_fields",
    ),
    pytest.param(
        lambda model: model.configurable_alternatives(
            ConfigurableField(id="which"), other=model.bind(stop=["!"])
        ).with_config(configurable={"which": "other"}),
        id="configurable_alternatives",
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
    assert isinstance(twin, Runnable)


def test_model_stays_as_it_was(plain, cache):
    """A twin has a client of its own; that of the model has no middleware of ours."""
    twin = prompt_cached(plain, cache)

    assert type(plain) is ChatAnthropic
    assert type(twin) is PromptCachedChatAnthropic
    assert middleware_of(twin._client) == ["Seam"]
    assert middleware_of(twin._async_client) == ["Seam"]
    assert middleware_of(plain._client) == []
    assert middleware_of(plain._async_client) == []
    assert OPTION not in plain.__dict__


async def test_used_client_is_shared(plain, cache, prompt):
    """The twin of a model that was used already takes over its connection pool."""
    plain.invoke(prompt())
    await plain.ainvoke(prompt())
    twin = prompt_cached(plain, cache)

    assert twin._client._client is plain._client._client
    assert twin._async_client._client is plain._async_client._client
    assert middleware_of(plain._client) == []
    assert middleware_of(twin._client) == ["Seam"]


def test_own_client_is_kept(make_plain, cache, prompt, rows_of):
    """A client that the caller put in place serves the twin too."""
    model = make_plain()
    model.__dict__["_client"] = model._client.with_options(
        default_headers={"anthropic-version": "2023-06-01"}
    )
    prompt_cached(model, cache).invoke(prompt())

    assert rows_of("plain")[0].headers["anthropic-version"] == "2023-06-01"


def test_plain_client_is_never_in_reach(make_cached, monkeypatch):
    """While a client is being attached, other threads find none, not the plain one."""
    seen = []
    model = make_cached()
    attach = adapter.attach

    def attaching(client, cache):
        seen.append({"_client", "_async_client"} & model.__dict__.keys())
        return attach(client, cache)

    monkeypatch.setattr(adapter, "attach", attaching)
    assert middleware_of(model._client) == ["Seam"]
    model.__dict__.pop("_client")
    assert middleware_of(model._async_client) == ["Seam"]
    assert seen == [set(), set()]


def test_subclass(arguments, cache, prompt, is_cached):
    """A class derived from `ChatAnthropic` keeps its type, name and methods."""
    model = MuseumChat(**arguments("plain"))
    twin = prompt_cached(model, cache)
    again = prompt_cached(MuseumChat(**arguments("plain")), cache)

    assert isinstance(twin, MuseumChat)
    assert type(twin).__name__ == "PromptCachedMuseumChat"
    assert type(again) is type(twin)
    assert twin.greeting() == model.greeting()
    assert is_cached(lambda: twin.invoke(prompt())) == [True]


def test_subclass_of_the_cached_class(arguments, cache, prompt, is_cached):
    """A class derived from the cached one is cached already."""

    class Cached(PromptCachedChatAnthropic):
        pass

    model = Cached(**arguments("plain"), prompt_cache=cache)

    assert prompt_cached(model) is model
    assert is_cached(lambda: model.invoke(prompt())) == [True]


def test_twice_is_once(plain, cache):
    """The twin of a twin is that twin, alone or inside something."""
    twin = prompt_cached(plain, cache)
    chain = twin | StrOutputParser()

    assert prompt_cached(twin) is twin
    assert prompt_cached(chain) is chain


def test_other_cache_takes_over(plain, cache, emulator, prompt):
    """A twin that is given another cache reports to that one, and to no other."""
    first = prompt_cached(plain, cache)
    first.invoke(prompt())
    other = PromptCache("fixed", strict=True, clock=emulator.clock)
    second = prompt_cached(first, other)
    answer = second.invoke(prompt())

    assert answer.response_metadata[OPTION]["policies"] == ["fixed"]
    assert first.invoke(prompt()).response_metadata[OPTION]["policies"] == ["auto"]
    assert second._client._client is first._client._client
    assert middleware_of(second._client) == ["Seam"]


def test_options_of_a_twin(plain, prompt, rows_of, markers):
    """A twin takes what a cached model takes as `prompt_cache`."""
    prompt_cached(plain, {"ttl": "1h"}).invoke(prompt())

    assert markers(rows_of("plain")[0].body)["system[0]"] == "1h"


def test_wrong_option_is_refused(plain):
    """What is no option is refused, with what is."""
    with pytest.raises(OptionError, match="5m, 1h"):
        prompt_cached(plain, {"ttl": "12h"})


def test_fallbacks_are_cached_too(make_plain, cache, prompt, emulator, is_cached):
    """When the first model fails, the request of the second is marked as well."""
    emulator.faults.push(Fault(status=500))
    chain = make_plain().with_fallbacks([make_plain(max_tokens=99)])

    assert is_cached(lambda: prompt_cached(chain, cache).invoke(prompt())) == [
        True,
        True,
    ]


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
        pytest.param(
            lambda model: model.bind_tools([look_up]).with_config(
                configurable={"max_tokens": 99}
            ),
            id="bind_tools.with_config",
        ),
        pytest.param(lambda model: model.with_retry(), id="with_retry"),
        pytest.param(lambda model: model | StrOutputParser(), id="sequence"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_configurable_model(deriving, when, arguments, cache, prompt, is_cached):
    """A configurable model is cached, whether it is derived from before or after."""
    model = init_chat_model(
        model_provider="anthropic",
        configurable_fields=("max_tokens",),
        **arguments("plain"),
    )
    derived = deriving(model) if when == "before" else model
    twin = prompt_cached(derived, cache)
    twin = deriving(twin) if when == "after" else twin

    assert is_cached(lambda: twin.invoke(prompt())) == [True]
    assert is_cached(lambda: deriving(model).invoke(prompt())) == [False]


def test_configurable_model_keeps_options(arguments, cache, prompt):
    """Options that were bound to a configurable model survive `bind_tools`."""
    model = init_chat_model(
        model_provider="anthropic",
        configurable_fields=("max_tokens",),
        **arguments("plain"),
    )
    bound = prompt_cached(model, cache).bind(prompt_cache={"tenant": "acme"})
    with cache.collect() as collected:
        bound.bind_tools([look_up]).invoke(prompt())

    assert [receipt.tenant for receipt in collected] == ["acme"]


def test_tools_are_left_alone(plain, cache):
    """A tool in a sequence is the same object in the twin, even one with a model."""
    asking = Asking(model=plain)
    chain = plain | RunnableLambda(lambda said: said.content) | asking
    twin = prompt_cached(chain, cache)

    assert twin.steps[0] is not plain
    assert twin.steps[2] is asking
    assert asking.model is plain


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(FakeListChatModel(responses=["yes"]), id="chat_model"),
        pytest.param(FakeListLLM(responses=["yes"]), id="llm"),
        pytest.param(RunnableLambda(str), id="lambda"),
        pytest.param(StrOutputParser(), id="parser"),
    ],
)
def test_unsupported_model(model, cache):
    """What cannot be cached comes back itself, and one warning names what can."""
    with pytest.warns(UserWarning, match="supported: ChatAnthropic") as warned:
        twin = prompt_cached(model, cache)

    assert twin is model
    assert len(warned) == 1
    assert warned[0].filename == __file__
    with pytest.raises(UnsupportedClientError, match="supported: ChatAnthropic"):
        prompt_cached(model, cache, strict=True)


def test_partly_supported(plain, cache, prompt, is_cached):
    """What can be cached is, next to a model that cannot, which is warned about."""
    chain = plain.with_fallbacks([FakeListChatModel(responses=["yes"])])
    with pytest.warns(UserWarning, match="FakeListChatModel"):
        twin = prompt_cached(chain, cache)

    assert is_cached(lambda: twin.invoke(prompt())) == [True]


def test_switched_off(emulator):
    """With `PROMPTCACHE=off` nothing is planned, attached or put on messages."""
    script = """
        import sys
        from langchain_anthropic import ChatAnthropic
        from langchain_core.messages import HumanMessage, SystemMessage
        from langchain_promptcache import PromptCachedChatAnthropic, prompt_cached

        arguments = {"model": "claude-sonnet-4-6", "api_key": "ws-off-key",
                     "base_url": sys.argv[1]}
        prompt = [SystemMessage("You are a clerk. " * 500), HumanMessage("Hello")]
        plain = ChatAnthropic(**arguments)
        assert prompt_cached(plain) is plain
        cached = PromptCachedChatAnthropic(**arguments, prompt_cache={"ttl": "1h"})
        answers = [plain.invoke(prompt), cached.invoke(prompt),
                   cached.bind(prompt_cache={"tenant": "a"}).invoke(prompt),
                   cached.invoke(prompt, prompt_cache=False)]
        assert not any("prompt_cache" in one.response_metadata for one in answers)
        assert cached._client.middleware == plain._client.middleware
    """
    subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), emulator.url],
        env={**os.environ, "PROMPTCACHE": "off"},
        check=True,
        timeout=60,
    )
    bodies = [dict(row.body) for row in emulator.ledger]

    assert len(bodies) == 4
    assert all(body == bodies[0] for body in bodies)
    assert isinstance(bodies[0]["system"], str)
