"""LLMs that send through no SDK we know: what their answers show is read."""

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    CustomLLM,
    LLMMetadata,
    MockLLM,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from pydantic import BaseModel, Field

from llamaindex_promptcache import PromptCacheCallbackHandler, PromptCacheHandler
from llamaindex_promptcache.model_clients import provider_of
from llamaindex_promptcache.shown_usage import usage_in
from promptcache import Usage


class Foreign(CustomLLM):
    """An LLM whose answers show what it is told to show."""

    raw: Any = None
    extra: dict[str, Any] = Field(default_factory=dict)
    model: str = "gpt-5.2"

    @property
    def metadata(self):
        return LLMMetadata()

    def _answer(self, delta=None):
        message = ChatMessage("Borsig.", role="assistant", additional_kwargs=self.extra)
        return ChatResponse(message=message, raw=self.raw, delta=delta)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any):
        return self._answer()

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any):
        def parts():
            yield self._answer("Bor")
            yield self._answer("sig.")

        return parts()

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return CompletionResponse(text="Borsig.", raw=self.raw)

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        def parts():
            yield CompletionResponse(text="Borsig.", raw=self.raw)

        return parts()


class Details(BaseModel):
    """A part of a usage, as SDKs have it."""

    cached_tokens: int = 60


class Reported(BaseModel):
    """A usage as SDKs have it."""

    prompt_tokens: int = 100
    completion_tokens: int = 9
    prompt_tokens_details: Details = Details()


ANTHROPIC = {
    "input_tokens": 30,
    "cache_read_input_tokens": 60,
    "cache_creation_input_tokens": 10,
    "output_tokens": 9,
}
BEDROCK = {
    "inputTokens": 30,
    "outputTokens": 9,
    "totalTokens": 109,
    "cacheReadInputTokens": 60,
    "cacheWriteInputTokens": 10,
}
GEMINI = {
    "prompt_token_count": 100,
    "cached_content_token_count": 60,
    "candidates_token_count": 9,
}
CAMEL = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 9,
}

KNOWN = [
    pytest.param({"usage": ANTHROPIC}, {}, 10, id="anthropic"),
    pytest.param({"usage": BEDROCK}, {}, 10, id="bedrock"),
    pytest.param({"usage": Reported()}, {}, None, id="openai object"),
    pytest.param(SimpleNamespace(usage=Reported()), {}, None, id="raw object"),
    pytest.param({"usage_metadata": GEMINI}, {}, 0, id="gemini"),
    pytest.param({"usageMetadata": CAMEL}, {}, 0, id="gemini on the wire"),
    pytest.param(None, {"usage": ANTHROPIC}, 10, id="additional_kwargs"),
    pytest.param("text", {"usage": ANTHROPIC}, 10, id="raw text"),
]


@pytest.mark.parametrize(("raw", "extra", "written"), KNOWN)
@pytest.mark.parametrize("is_stream", [False, True], ids=["chat", "stream_chat"])
def test_known_names(raw, extra, written, is_stream, cache, kept):
    """A call has one receipt of what it shows, with its event and its price."""
    llm, asked = Foreign(raw=raw, extra=extra), [ChatMessage("Who built it?")]
    with PromptCacheHandler(cache) as handler, cache.collect() as collected:
        list(llm.stream_chat(asked)) if is_stream else llm.chat(asked)
    (call,) = handler.calls
    (event,) = kept

    usage = call.receipt.usage
    assert (usage.input_tokens, usage.read_tokens, usage.output_tokens) == (100, 60, 9)
    assert usage.written_tokens == written
    assert event.receipt == call.receipt.as_dict()
    assert event.llm_span_id == call.span_id
    assert collected == [call.receipt]
    assert cache.report().to_dict()["total"]["requests"] == 1
    assert call.receipt.model == "gpt-5.2"
    assert call.receipt.provider == "Foreign"
    assert handler._watch._open == {}


def test_ollama():
    """Counts that stand beside what else an answer has are found."""
    extra = {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109}
    message = ChatMessage("Borsig.", additional_kwargs={"tool_calls": []})
    response = ChatResponse(
        message=message, raw={"done": True}, additional_kwargs=extra
    )
    usage = usage_in(response)

    assert (usage.input_tokens, usage.output_tokens) == (100, 9)
    assert usage.read_tokens is None


@pytest.mark.parametrize("way", ["complete", "stream_complete"])
def test_completions(way, cache):
    """A completion shows its usage, too."""
    llm = Foreign(raw={"usage": Reported(), "model": "gpt-5.2-2026-01-01"})
    with PromptCacheHandler(cache, insert=True) as handler:
        result = getattr(llm, way)("Who built it?")
        if way.startswith("stream"):
            list(result)
    (call,) = handler.calls

    assert call.receipt.usage.read_tokens == 60
    assert call.receipt.model == "gpt-5.2-2026-01-01"


@pytest.mark.parametrize(
    "count", ["100", 1.5, -3, True, [], {}], ids=lambda it: type(it).__name__
)
def test_odd_counts(count, cache, caplog):
    """What is no count is unknown, said once in the log, and fails nothing."""
    shown = {"prompt_tokens": count, "completion_tokens": 9}
    with (
        caplog.at_level(logging.DEBUG, "promptcache"),
        PromptCacheHandler(cache) as handler,
    ):
        Foreign(raw={"usage": shown}).chat([ChatMessage("Hm")])
    (call,) = handler.calls

    assert call.receipt.usage.input_tokens is None
    assert call.receipt.usage.output_tokens == 9
    said = [it for it in caplog.records if "prompt_tokens" in it.getMessage()]
    assert len(said) == (0 if count == {} else 1)


@pytest.mark.parametrize(
    ("raw", "extra"),
    [
        pytest.param(None, {}, id="nothing"),
        pytest.param({"usage": None}, {"usage": "much"}, id="no usage"),
        pytest.param({"usage": {"tokens": 3}}, {}, id="unknown names"),
        pytest.param({"usage": {3: 4}}, {}, id="no names"),
        pytest.param(Reported, {}, id="a class"),
        pytest.param([1, 2], {"usage": [3]}, id="lists"),
    ],
)
def test_nothing_known(raw, extra, cache, kept):
    """Without names that are known there is no receipt, and no error."""
    with PromptCacheHandler(cache) as handler:
        Foreign(raw=raw, extra=extra).chat([ChatMessage("Hm")])
        list(Foreign(raw=raw, extra=extra).stream_chat([ChatMessage("Hm")]))
        MockLLM().complete("Hm")

    assert handler.calls == ()
    assert kept == []
    assert handler._watch._open == {}


class Angry:
    """Raises whatever it is asked for."""

    def __getattr__(self, name):
        raise RuntimeError(name)


def test_answer_that_cannot_be_read(cache, caplog):
    """An answer that raises costs its caller nothing."""
    with (
        caplog.at_level(logging.DEBUG, "promptcache"),
        PromptCacheHandler(cache) as handler,
    ):
        Foreign(raw=Angry()).chat([ChatMessage("Hm")])

    assert handler.calls == ()
    assert "was not read" in caplog.text


def test_both_handlers(cache, kept):
    """Both handlers have the call, and the cache counts it once."""
    callback = PromptCacheCallbackHandler(cache)
    llm = Foreign(
        raw={"usage": ANTHROPIC}, callback_manager=CallbackManager([callback])
    )
    with PromptCacheHandler(cache) as handler:
        llm.chat([ChatMessage("Hm")])
        list(llm.stream_chat([ChatMessage("Hm")]))

    assert handler.calls == callback.calls
    assert len(handler.calls) == len(kept) == 2
    assert cache.report().to_dict()["total"]["requests"] == 2


def test_providers():
    """LlamaIndex's packages are called by the names that prices know."""
    kinds = {
        name: type("Any", (), {"__module__": f"llama_index.llms.{name}.base"})()
        for name in ("bedrock_converse", "ollama", "google_genai")
    }

    assert {name: provider_of(it) for name, it in kinds.items()} == {
        "bedrock_converse": "aws",
        "ollama": "ollama",
        "google_genai": "google",
    }
    assert usage_in(None) is None
    assert usage_in(CompletionResponse(text="", raw={"usage": {}})) is None
    assert usage_in(SimpleNamespace(raw={"usage": BEDROCK})) == Usage(
        100, 60, 10, None, None, 9, 0, 0
    )
