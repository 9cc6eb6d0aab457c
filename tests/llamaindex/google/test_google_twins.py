"""`prompt_cached(llm)`: the twin caches, the LLM stays as it was."""

import os
import pickle
import subprocess
import sys
import textwrap

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.llms.google_genai import GoogleGenAI
from llamaindex_google import IGNORED_HERE, WAYS
from llamaindex_kit import ENGINE, Engine

from llamaindex_promptcache import PromptCachedGoogleGenAI
from promptcache import OptionError, PromptCache
from promptcache.emulator import Json

pytestmark = IGNORED_HERE

IMPLICIT = {"gemini_caches": False}


class MuseumLLM(GoogleGenAI):
    """An LLM class of somebody else, which changes messages on their way."""

    def greeting(self):
        return f"{self.model} of the museum"

    @classmethod
    def class_name(cls):
        return "MuseumLLM"

    def chat(self, messages, **kwargs):
        return super().chat([*messages], **kwargs)

    def complete(self, prompt, formatted=False, **kwargs):
        return super().complete(f"{prompt}\n", **kwargs)


@pytest.fixture
def receipts_of(cache, collecting):
    """Return a function that counts the receipts of what it runs."""

    def counted(run, chosen=cache):
        with collecting(chosen) as receipts:
            run()
        return len(receipts)

    return counted


@pytest.fixture
def twin(plain, cache, twin_of):
    return twin_of(plain, cache)


@pytest.mark.parametrize("way", WAYS)
async def test_twin(way, plain, twin, prompt, collecting, rows_of, assert_settled):
    """The twin plans; the LLM that it was made from does not."""
    before = plain._client
    with collecting() as receipts:
        await way(twin, prompt())
    mine = rows_of("plain")
    with collecting() as none:
        await way(plain, prompt())

    assert type(twin) is PromptCachedGoogleGenAI
    assert type(plain) is GoogleGenAI
    assert plain._client is before
    assert_settled(receipts, mine)
    assert none == []


async def test_twin_shares_connections(plain, twin, prompt):
    """A twin has a client of its own on the connections that the LLM has."""
    await twin.achat(prompt())

    assert twin._client is not plain._client
    assert twin._client._api_client._httpx_client is (
        plain._client._api_client._httpx_client
    )
    assert twin.callback_manager is plain.callback_manager


@pytest.mark.parametrize("how", ["chat", "stream_chat"])
def test_structured_llm(how, plain, cache, prompt, emulator, twin_of, receipts_of):
    """The LLM inside a `StructuredLLM` is cached; the holder stays as it was."""
    holder = plain.as_structured_llm(Engine)
    twin = twin_of(holder, cache)

    def ask(llm):
        emulator.answers.push(Json(ENGINE))
        answer = getattr(llm, how)(prompt())
        return list(answer) if how == "stream_chat" else answer

    assert type(twin) is StructuredLLM
    assert type(twin.llm) is PromptCachedGoogleGenAI
    assert holder.llm is plain
    assert receipts_of(lambda: ask(twin)) == 1
    assert receipts_of(lambda: ask(holder)) == 0
    assert twin_of(twin) is twin


def test_derived_class(
    closing, arguments, cache, prompt, opened, twin_of, receipts_of, emulator
):
    """An LLM of a derived class keeps what that class adds, and its spans."""
    llm = closing(MuseumLLM(**arguments("plain")))
    twin = twin_of(llm, cache)

    assert isinstance(twin, MuseumLLM)
    assert isinstance(twin, PromptCachedGoogleGenAI)
    assert type(twin).__name__ == "PromptCachedMuseumLLM"
    assert type(twin_of(llm)) is type(twin)
    assert twin.greeting() == llm.greeting()
    assert twin.class_name() == llm.class_name()
    assert receipts_of(lambda: twin.chat(prompt())) == 1
    assert receipts_of(lambda: twin.complete("A")) == 1
    ours = list(opened.names)
    llm.chat(prompt())
    llm.complete("A")
    assert len(ours) == len(opened.names) - len(ours)
    assert emulator.ledger[1].body == emulator.ledger[3].body


def test_pickled_twin(closing, arguments, prompt, caplog, twin_of, monkeypatch, server):
    """A twin of a derived class is pickled as the LLM is, with its options."""
    caplog.set_level("CRITICAL")
    monkeypatch.setenv("GOOGLE_API_KEY", "ws-copied-key")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", server.url)
    llm = closing(MuseumLLM(**arguments("plain")))
    twin = twin_of(llm, {"tenant": "acme", **IMPLICIT})
    there = closing(pickle.loads(pickle.dumps(twin)))
    answer = there.chat(prompt())

    assert type(there) is type(twin)
    assert there._choice.options == twin._choice.options
    assert "prompt_cache" in answer.additional_kwargs


def test_twice_is_once(plain, cache, twin_of):
    """The twin of a twin is that twin, unless another cache is asked for."""
    twin = twin_of(plain, cache)
    again = twin_of(twin, cache)

    assert twin_of(twin) is twin
    assert again.plain_clients == twin.plain_clients == (plain._client,)


def test_twin_of_a_twin_with_another_cache(
    plain, twin, emulator, prompt, collecting, twin_of
):
    """Another cache makes another twin, and leaves the first one to its own."""
    other = PromptCache(store="memory:", clock=emulator.clock)
    second = twin_of(twin, other)
    with collecting() as receipts, collecting(other) as others:
        second.chat(prompt())
        twin.chat(prompt())

    assert len(receipts) == len(others) == 1


def test_options_of_a_twin(plain, twin_of):
    """`prompt_cache` may be all that the class takes, cached contents included."""
    twin = twin_of(plain, {"tenant": "acme", **IMPLICIT})

    assert twin._choice.options.gemini_caches is False
    assert twin._choice.options.tenant == "acme"
    with pytest.raises(OptionError, match="1h, 30m, 5m"):
        twin_of(plain, {"ttl": "12h"})


def test_components_keep_the_twin(twin, shelf):
    """What an LLM is given to holds on to the very one."""
    engine = RetrieverQueryEngine.from_args(shelf, llm=twin)

    assert FunctionAgent(tools=[], llm=twin).llm is twin
    assert twin.as_structured_llm(Engine).llm is twin
    assert engine._response_synthesizer._llm is twin


def test_switched_off(emulator):
    """`PROMPTCACHE=off` leaves everything as LlamaIndex has it."""
    code = f"""
        import llamaindex_promptcache as ours
        from llama_index.core.llms import ChatMessage
        from llama_index.llms.google_genai import GoogleGenAI

        given = dict(model="gemini-3.8-flash", api_key="ws-off-1", max_tokens=99,
                     context_window=999, http_options={{"base_url": {emulator.url!r}}})
        messages = [ChatMessage("You are a clerk. " * 2000, role="system"),
                    ChatMessage("Hello")]
        plain = GoogleGenAI(**given)
        assert ours.prompt_cached(plain) is plain
        llm = ours.PromptCachedGoogleGenAI(**given, prompt_cache={{"ttl": "1h"}})
        said = {{"prompt_cache": {{"tenant": "a"}}}}
        for one, more in ((plain, {{}}), (llm, said)):
            for _ in range(4):
                *_, last = one.stream_chat(messages, **more)
                for answer in (last, one.chat(messages, **more)):
                    assert "prompt_cache" not in answer.additional_kwargs
    """
    env = {**os.environ, "PROMPTCACHE": "off"}
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=env)
    bodies = [row.body for row in emulator.ledger]

    assert len(bodies) == 16
    assert all(body == bodies[0] for body in bodies)
