"""`prompt_cached(llm)`: the twin caches, the LLM stays as it was."""

import os
import subprocess
import sys
import textwrap
from unittest.mock import MagicMock, patch

import anthropic
import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import LLM, MockLLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.llms.anthropic import Anthropic
from pydantic import BaseModel

from llamaindex_promptcache import PromptCachedAnthropic, prompt_cached
from promptcache import OptionError, Policy, PromptCache, UnsupportedClientError
from promptcache.emulator import Json

OPTION = "prompt_cache"


class Engine(BaseModel):
    """An engine of the museum."""

    name: str


class MuseumLLM(Anthropic):
    """An LLM class of somebody else."""

    def greeting(self):
        return f"{self.model} of the museum"

    def chat(self, messages, **kwargs):
        return super().chat([*messages], **kwargs)


@pytest.fixture
def is_cached(rows_of, markers):
    """Return a function that runs something and tells which requests were marked."""

    def marked(run):
        before = len(rows_of("plain"))
        run()
        return [bool(markers(row.body)) for row in rows_of("plain")[before:]]

    return marked


def test_twin(plain, cache, prompt, is_cached):
    """The twin plans; the LLM that it was made from does not."""
    before = plain._client, plain._aclient
    twin = prompt_cached(plain, cache)

    assert type(twin) is PromptCachedAnthropic
    assert is_cached(lambda: twin.chat(prompt())) == [True]
    assert is_cached(lambda: list(twin.stream_chat(prompt()))) == [True]
    assert is_cached(lambda: plain.chat(prompt())) == [False]
    assert (plain._client, plain._aclient) == before
    assert type(plain) is Anthropic


async def test_asynchronous_twin(plain, cache, prompt, rows_of, markers):
    """The same holds for asynchronous calls."""
    await prompt_cached(plain, cache).achat(prompt())
    await plain.achat(prompt())

    assert [bool(markers(row.body)) for row in rows_of("plain")] == [True, False]


def test_twin_shares_connections(plain, cache):
    """A twin has clients of its own on the connections of the LLM's."""
    twin = prompt_cached(plain, cache)

    assert twin._client is not plain._client
    assert twin._client._client is plain._client._client
    assert twin._aclient._client is plain._aclient._client
    assert twin.callback_manager is plain.callback_manager


@pytest.mark.filterwarnings("ignore:The 'output_format' parameter is deprecated")
def test_structured_llm(plain, cache, prompt, emulator, is_cached):
    """The LLM inside a `StructuredLLM` is cached; the holder stays as it was."""
    holder = plain.as_structured_llm(Engine)
    twin = prompt_cached(holder, cache)
    for _ in range(2):
        emulator.answers.push(Json({"name": "T 9"}))

    assert type(twin) is StructuredLLM
    assert holder.llm is plain
    assert is_cached(lambda: twin.chat(prompt())) == [True]
    assert is_cached(lambda: holder.chat(prompt())) == [False]
    assert prompt_cached(twin) is twin


def test_derived_class(closing, arguments, cache, prompt, is_cached, opened):
    """An LLM of a derived class keeps what that class adds."""
    llm = closing(MuseumLLM(**arguments("plain")))
    twin = prompt_cached(llm, cache)

    assert isinstance(twin, (MuseumLLM, PromptCachedAnthropic))
    assert type(twin).__name__ == "PromptCachedMuseumLLM"
    assert type(prompt_cached(llm)) is type(twin)
    assert twin.greeting() == llm.greeting()
    assert is_cached(lambda: twin.chat(prompt())) == [True]
    ours = list(opened.names)
    llm.chat(prompt())
    stock = opened.names[len(ours) :]
    assert len(ours) == len(stock)


def test_types(cached):
    """A cached LLM is an `Anthropic` to whoever asks."""
    assert isinstance(cached, (Anthropic, FunctionCallingLLM, LLM))


def test_twice_is_once(plain, cache, prompt, rows_of, collecting):
    """The twin of a twin is that twin, unless another cache is asked for."""
    twin = prompt_cached(plain, cache)
    again = prompt_cached(twin, cache)
    with collecting() as receipts:
        again.chat(prompt())

    assert prompt_cached(twin) is twin
    assert len(receipts) == len(rows_of("plain")) == 1


def test_twin_of_a_twin_with_another_cache(plain, cache, emulator, prompt, collecting):
    """Another cache makes another twin, and leaves the first one to its own."""
    other = PromptCache(clock=emulator.clock)
    twin = prompt_cached(plain, cache)
    second = prompt_cached(twin, other)
    with collecting() as receipts, collecting(other) as others:
        second.chat(prompt())
        twin.chat(prompt())

    assert len(receipts) == len(others) == 1
    assert [twin._choice.cache, second._choice.cache] == [cache, other]


def test_options_of_a_twin(plain, prompt, markers, last_row):
    """`prompt_cache` may be all that the class takes."""
    prompt_cached(plain, {"ttl": "1h"}).chat(prompt())
    hour = markers(last_row().body)
    prompt_cached(plain, Policy.off()).chat(prompt())

    assert hour["system[0]"] == "1h"
    assert markers(last_row().body) == {}
    with pytest.raises(OptionError, match="5m, 1h"):
        prompt_cached(plain, {"ttl": "12h"})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(MockLLM(), id="MockLLM"),
        pytest.param(MockLLM().as_structured_llm(Engine), id="structured"),
        pytest.param(object(), id="object"),
    ],
)
def test_what_cannot_be_cached(other):
    """Something else comes back as it is, with a warning that names what is not."""
    with pytest.warns(
        UserWarning, match="supported: Anthropic, OpenAI, OpenAIResponses and"
    ) as found:
        assert prompt_cached(other) is other
    with pytest.raises(UnsupportedClientError, match="cannot be cached"):
        prompt_cached(other, strict=True)

    assert len(found) == 1
    assert found[0].filename == __file__


@pytest.mark.filterwarnings("ignore:The `__fields.*` attribute is deprecated")
@pytest.mark.filterwarnings("ignore:Accessing the 'model_.*' attribute")
def test_components_keep_the_twin(plain, cache, shelf):
    """What an LLM is given to holds on to the very one."""
    twin = prompt_cached(plain, cache)
    engine = RetrieverQueryEngine.from_args(shelf, llm=twin)

    assert FunctionAgent(tools=[], llm=twin).llm is twin
    assert twin.as_structured_llm(Engine).llm is twin
    assert engine._response_synthesizer._llm is twin


def test_mocked_clients(arguments, cache):
    """What a test puts in a client's place is used as it is."""
    posing = MagicMock(spec=anthropic.AsyncAnthropic)
    with (
        patch.object(anthropic, "Anthropic", MagicMock()) as client,
        patch.object(anthropic, "AsyncAnthropic", MagicMock(return_value=posing)),
    ):
        llm = PromptCachedAnthropic(**arguments("cached"), prompt_cache=cache)

    assert llm._client is client.return_value
    assert llm._aclient is posing


@pytest.mark.parametrize(
    ("given", "host"),
    [
        pytest.param(
            {
                "model": "anthropic.claude-sonnet-4-20250514-v1:0",
                "aws_region": "us-east-1",
                "aws_access_key_id": "any",
                "aws_secret_access_key": "any",
            },
            anthropic.AnthropicBedrock,
            id="bedrock",
        ),
        pytest.param(
            {"model": "claude-sonnet-4", "region": "us-east5", "project_id": "any"},
            anthropic.AnthropicVertex,
            id="vertex",
        ),
    ],
)
def test_other_hosts(given, host, closing, cache):
    """Clients of other platforms are attached, too, and stay of their classes."""
    llm = closing(PromptCachedAnthropic(**given, prompt_cache=cache))
    plain, _ = llm.plain_clients

    assert type(llm._client) is type(plain) is host
    assert len(llm._client.middleware) == len(plain.middleware) + 1
    assert len(llm._aclient.middleware) == 1


def test_switched_off(emulator):
    """`PROMPTCACHE=off` leaves everything as LlamaIndex has it."""
    code = f"""
        from llama_index.core.base.llms.types import CacheControl, CachePoint, TextBlock
        from llama_index.core.llms import ChatMessage
        from llama_index.llms.anthropic import Anthropic
        from llamaindex_promptcache import PromptCachedAnthropic, prompt_cached

        given = dict(model="claude-sonnet-4-6", api_key="ws-off-1",
                     base_url={emulator.url!r})
        plain = Anthropic(**given)
        assert prompt_cached(plain) is plain
        llm = PromptCachedAnthropic(**given, prompt_cache={{"ttl": "1h"}})
        assert llm._client.middleware == plain._client.middleware
        mark = CachePoint(cache_control=CacheControl(type="ephemeral"))
        head = [TextBlock(text="You are a clerk. " * 400), mark]
        messages = [ChatMessage(role="system", blocks=head), ChatMessage("Hello")]
        answers = [one.chat(messages, **said) for one, said in
                   ((plain, {{}}), (llm, {{"prompt_cache": {{"tenant": "a"}}}}))]
        assert answers[0].additional_kwargs == answers[1].additional_kwargs == {{}}
    """
    env = {**os.environ, "PROMPTCACHE": "off"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=env)
    first, second = emulator.ledger

    assert first.body == second.body
