"""`prompt_cached(llm)`: the twin caches, the LLM stays as it was."""

import os
import pickle
import subprocess
import sys
import textwrap

import openai
import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import LLMMetadata
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llamaindex_kit import IGNORED, Engine
from llamaindex_ways import WAYS
from pydantic import Field

from promptcache import OptionError, Policy, PromptCache
from promptcache.emulator import Json

pytestmark = IGNORED

T9 = {"name": "T 9", "year": 1911}


class GatewayLLM(OpenAI):
    """An LLM class of somebody else, made as LlamaIndex's `OpenAILike` is."""

    context_window: int = Field(default=400_000)

    @property
    def metadata(self):
        return LLMMetadata(
            context_window=self.context_window,
            is_chat_model=True,
            is_function_calling_model=True,
            model_name=self.model,
        )

    @classmethod
    def class_name(cls):
        return "GatewayLLM"

    def greeting(self):
        return f"{self.model} behind the gateway"

    def chat(self, messages, **kwargs):
        return super().chat([*messages], **kwargs)

    def complete(self, prompt, formatted=False, **kwargs):
        return super().complete(f"{prompt}\n", **kwargs)


class GatewayResponses(OpenAIResponses):
    """Another one, on the other API."""

    def greeting(self):
        return f"{self.model} behind the gateway"


class DeployedLLM(OpenAI):
    """One with clients of another class, made as LlamaIndex's `AzureOpenAI` is."""

    def _get_client(self):
        if self._client is None:
            self._client = openai.AzureOpenAI(
                api_key=self.api_key,
                azure_endpoint=self.api_base,
                api_version="2025-01-01",
                max_retries=0,
            )
        return self._client


@pytest.fixture
def is_planned(rows_of):
    """Return a function that runs something and tells which requests were planned."""

    def planned(run):
        before = len(rows_of("plain"))
        run()
        rows = rows_of("plain")[before:]
        return ["prompt_cache_options" in row.body for row in rows]

    return planned


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_twin(
    used, plain, cached_class, stock_class, cache, prompt, is_planned, twin_of
):
    """The twin plans; the LLM that it was made from does not."""
    if used:
        plain.chat(prompt())
    before = plain._client, plain._aclient
    twin = twin_of(plain, cache)

    assert type(twin) is cached_class
    assert is_planned(lambda: twin.chat(prompt())) == [True]
    assert is_planned(lambda: list(twin.stream_chat(prompt()))) == [True]
    assert is_planned(lambda: twin.complete(prompt()[0].content)) == [True]
    assert is_planned(lambda: plain.chat(prompt())) == [False]
    assert type(plain) is stock_class
    if used:
        assert (plain._client, plain._aclient) == before


async def test_asynchronous_twin(plain, cache, prompt, rows_of, twin_of):
    """The same holds for asynchronous calls."""
    await twin_of(plain, cache).achat(prompt())
    await plain.achat(prompt())

    assert ["prompt_cache_key" in row.body for row in rows_of("plain")] == [True, False]


def test_twin_shares_connections(plain, cache, prompt, twin_of):
    """A twin has clients of its own on the connections that the LLM has made."""
    plain.chat(prompt())
    twin = twin_of(plain, cache)
    twin.chat(prompt())

    assert twin._client is not plain._client
    assert twin._client._client is plain._client._client
    assert twin.callback_manager is plain.callback_manager


@pytest.mark.parametrize("how", ["chat", "stream_chat"])
def test_structured_llm(how, api, plain, cache, prompt, emulator, is_planned, twin_of):
    """The LLM inside a `StructuredLLM` is cached; the holder stays as it was."""
    holder = plain.as_structured_llm(Engine)
    twin = twin_of(holder, cache)
    call = {"type": "tool_use", "id": "toolu_1", "name": "Engine", "input": T9}
    for _ in range(2):
        is_called = api == "responses" and how == "stream_chat"
        emulator.answers.push(call if is_called else Json(T9))

    def ask(llm):
        answer = getattr(llm, how)(prompt())
        return list(answer) if how == "stream_chat" else answer

    assert type(twin) is StructuredLLM
    assert holder.llm is plain
    assert is_planned(lambda: ask(twin)) == [True]
    assert is_planned(lambda: ask(holder)) == [False]
    assert twin_of(twin) is twin


KINDS = [("chat", GatewayLLM), ("responses", GatewayResponses)]


@pytest.mark.parametrize(("api", "kind"), KINDS)
def test_derived_class(
    kind, cached_class, closing, arguments, cache, prompt, is_planned, opened, twin_of
):
    """An LLM of a derived class keeps what that class adds, and its spans."""
    llm = closing(kind(**arguments("plain")))
    twin = twin_of(llm, cache)

    assert isinstance(twin, (kind, cached_class))
    assert type(twin).__name__ == f"PromptCached{kind.__name__}"
    assert type(twin_of(llm)) is type(twin)
    assert twin.greeting() == llm.greeting()
    assert twin.class_name() == llm.class_name()
    assert is_planned(lambda: twin.chat(prompt())) == [True]
    assert is_planned(lambda: twin.complete("A")) == [True]
    ours = list(opened.names)
    llm.chat(prompt())
    llm.complete("A")
    assert len(ours) == len(opened.names) - len(ours)


@pytest.mark.parametrize("way", WAYS)
async def test_model_that_llamaindex_does_not_know(
    way, closing, arguments, cache, prompt, rows_of, collecting, assert_settled, twin_of
):
    """A derived class that knows its window opens models of any name."""
    llm = closing(GatewayLLM(**arguments("plain", model="gpt-6.1-terra")))
    twin = twin_of(llm, cache)
    with collecting() as receipts:
        for _ in range(3):
            answer = await way(twin, prompt())

    assert answer.additional_kwargs["prompt_cache"]["facts"] == ["known"]
    assert_settled(receipts, rows_of("plain"))
    assert receipts[-1].usage.read_tokens > 0


def test_clients_of_another_class(closing, arguments, emulator, cache, prompt, twin_of):
    """What a derived class makes its clients by is what is attached."""
    given = arguments("plain", api_base=emulator.url)
    twin = twin_of(DeployedLLM(**given), cache)
    twin.chat(prompt())

    assert type(twin._client) is openai.AzureOpenAI
    assert emulator.ledger[-1].path.startswith("/openai/deployments/")
    assert "prompt_cache_key" in emulator.ledger[-1].body


@pytest.mark.parametrize("kind", [GatewayLLM, GatewayResponses])
def test_pickled_twin(kind, closing, arguments, prompt, is_planned, caplog, twin_of):
    """A twin of a derived class is pickled as the LLM is, with its options."""
    caplog.set_level("CRITICAL")
    llm = closing(kind(**arguments("plain")))
    twin = twin_of(llm, {"tenant": "acme"})
    there = closing(pickle.loads(pickle.dumps(twin)))

    assert type(there) is type(twin)
    assert there.model == llm.model
    assert there._choice.options.tenant == "acme"
    assert is_planned(lambda: there.chat(prompt())) == [True]


def test_twice_is_once(plain, cache, prompt, rows_of, collecting, twin_of):
    """The twin of a twin is that twin, unless another cache is asked for."""
    twin = twin_of(plain, cache)
    again = twin_of(twin, cache)
    with collecting() as receipts:
        again.chat(prompt())

    assert twin_of(twin) is twin
    assert len(receipts) == len(rows_of("plain")) == 1


@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
def test_twin_of_a_twin_with_another_cache(
    used, plain, cache, emulator, prompt, collecting, twin_of
):
    """Another cache makes another twin, and leaves the first one to its own."""
    other = PromptCache(clock=emulator.clock)
    twin = twin_of(plain, cache)
    if used:
        twin.chat(prompt())
    second = twin_of(twin, other)
    with collecting() as receipts, collecting(other) as others:
        second.chat(prompt())
        twin.chat(prompt())

    assert len(receipts) == len(others) == 1


def test_options_of_a_twin(plain, prompt, last_row, twin_of):
    """`prompt_cache` may be all that the class takes."""
    twin_of(plain, {"tenant": "acme"}).chat(prompt())
    assert "prompt_cache_key" in last_row().body
    twin_of(plain, Policy.off()).chat(prompt())

    assert "prompt_cache_key" not in last_row().body
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        twin_of(plain, {"ttl": "1h"})


def test_long_key_of_a_twin(make_plain, twin_of):
    """What would be refused is refused when the twin is made."""
    llm = make_plain(additional_kwargs={"prompt_cache_key": "k" * 65})
    with pytest.raises(OptionError, match="at most 64 characters"):
        twin_of(llm)


def test_components_keep_the_twin(plain, cache, shelf, twin_of):
    """What an LLM is given to holds on to the very one."""
    twin = twin_of(plain, cache)
    engine = RetrieverQueryEngine.from_args(shelf, llm=twin)

    assert FunctionAgent(tools=[], llm=twin).llm is twin
    assert twin.as_structured_llm(Engine).llm is twin
    assert engine._response_synthesizer._llm is twin


def test_switched_off(emulator):
    """`PROMPTCACHE=off` leaves everything as LlamaIndex has it."""
    code = f"""
        import llamaindex_promptcache as ours
        import llama_index.llms.openai as stock
        from llama_index.core.llms import ChatMessage

        given = dict(model="gpt-6.1-sol", api_key="ws-off-1",
                     api_base={emulator.url + "/v1"!r},
                     additional_kwargs={{"prompt_cache_key": "k" * 65}})
        messages = [ChatMessage("You are a clerk. " * 400, role="system"),
                    ChatMessage("Hello")]
        for name in ("OpenAI", "OpenAIResponses"):
            plain = getattr(stock, name)(**given)
            assert ours.prompt_cached(plain) is plain
            made = getattr(ours, "PromptCached" + name)
            llm = made(**given, prompt_cache={{"ttl": "30m"}})
            llm.additional_kwargs = plain.additional_kwargs = {{}}
            said = {{"prompt_cache": {{"tenant": "a"}}}}
            for one, more in ((plain, {{}}), (llm, said)):
                *_, last = one.stream_chat(messages, **more)
                for answer in (last, one.chat(messages, **more)):
                    assert "prompt_cache" not in answer.additional_kwargs
    """
    env = {**os.environ, "PROMPTCACHE": "off"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=env)
    bodies = [row.body for row in emulator.ledger]

    assert bodies[:2] == bodies[2:4]
    assert bodies[4:6] == bodies[6:]
    assert len(bodies) == 8
