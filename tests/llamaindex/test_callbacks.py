"""The handler of LlamaIndex's older callback manager."""

import gc
import weakref

import pytest
from llama_index.core import Settings
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.core.prompts import ChatPromptTemplate
from llamaindex_kit import ENGINE_TEXT, IGNORED, QUESTION, Engine, Kit, run, workflow
from llamaindex_ways import LEAVING, WAYS, collected_by_python

from llamaindex_promptcache import PromptCacheCallbackHandler, PromptCacheHandler

pytestmark = IGNORED


@pytest.fixture
def handler(cache):
    return PromptCacheCallbackHandler(cache, insert=True)


@pytest.fixture
def managed(make_plain, handler):
    """Return a plain LLM whose manager has the handler."""
    return make_plain(callback_manager=CallbackManager([handler]))


@pytest.mark.parametrize("way", WAYS)
async def test_every_way(way, managed, plain, prompt, handler, kept, rows_of):
    """A call of an LLM with the manager is planned and counted, no other's is."""
    await way(plain, prompt())
    await way(managed, prompt())
    (call,) = handler.calls
    (event,) = kept
    theirs, ours = rows_of("plain")

    assert event.llm_span_id == call.span_id
    assert call.receipt.policy == "auto"
    assert call.receipt.usage.input_tokens == ours.total_input_tokens
    if "complete" not in way.__name__:
        assert "cache_control" in str(ours.body)
    assert "cache_control" not in str(theirs.body)
    assert handler.watch._open == {}


@pytest.mark.parametrize("way", WAYS)
async def test_watching(way, make_plain, plain, prompt, cache, rows_of):
    """Without `insert` nothing is changed."""
    handler = PromptCacheCallbackHandler(cache)
    llm = make_plain(callback_manager=CallbackManager([handler]))
    await way(plain, prompt())
    await way(llm, prompt())
    theirs, ours = rows_of("plain")

    assert ours.body == theirs.body
    assert handler.calls[0].receipt.policy == "off"
    assert handler.report().to_dict()["total"]["requests"] == 1


def test_structured_output(managed, head, handler, emulator):
    """Structured output, of which a manager is not told, is counted."""
    emulator.answers.push(ENGINE_TEXT)
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    managed.structured_predict(Engine, template, what="it")

    assert [call.method for call in handler.calls] == ["structured_predict"]


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, managed, prompt, handler, kept):
    """A stream that is not read to its end is settled, and its run closed."""
    await leave(managed, prompt())
    await collected_by_python(kept)

    assert len(handler.calls) == len(kept) == 1
    assert handler.watch._open == {}


@pytest.mark.parametrize("way", WAYS)
async def test_both_handlers(way, managed, prompt, cache, handler, kept):
    """Both handlers have a call once, with one event."""
    with PromptCacheHandler(cache) as other:
        await way(managed, prompt())

    assert handler.calls == other.calls
    assert len(handler.calls) == len(kept) == 1
    assert cache.report().to_dict()["total"]["requests"] == 1


async def test_agents(make_plain, head, handler, emulator):
    """The agent is known by the spans around."""
    manager = CallbackManager([handler])
    kit = Kit(lambda: make_plain(callback_manager=manager), head, None, {})
    handoff = {"to_agent": "clerk", "reason": "It is about an engine."}
    call = {"type": "tool_use", "id": "toolu_1", "name": "handoff", "input": handoff}
    for answer in (call, "In 1911."):
        emulator.answers.push(answer)
    await run(workflow(kit))

    assert [it.agent for it in handler.calls] == ["porter", "clerk"]
    assert {it.workflow for it in handler.calls} == {"AgentWorkflow"}


def test_settings(make_plain, handler, shelf, head, monkeypatch):
    """The manager of the settings reaches the LLM of the settings."""
    manager = CallbackManager([handler])
    monkeypatch.setattr(Settings, "_callback_manager", manager)
    monkeypatch.setattr(Settings, "_llm", make_plain())
    Kit(lambda: Settings.llm, head, shelf, {}).queries().query(QUESTION)

    assert [call.workflow for call in handler.calls] == ["RetrieverQueryEngine"]


def test_our_own_llm(make_cached, prompt, handler, kept):
    """An LLM that is cached already tells of itself."""
    llm = make_cached(callback_manager=CallbackManager([handler]))
    llm.chat(prompt())
    list(llm.stream_chat(prompt()))

    assert [it.llm for it in handler.calls] == ["PromptCachedAnthropic"] * 2
    assert len(kept) == 2


def test_no_error_leaves(managed, prompt, handler, monkeypatch):
    """Whatever goes wrong in a handler, the call goes on."""

    def fail(*args, **named):
        raise RuntimeError("It was told to fail.")

    for name in ("begin", "end", "hear", "is_watching"):
        monkeypatch.setattr(handler.watch, name, fail)

    assert managed.chat(prompt()).message.content
    assert list(managed.stream_chat(prompt()))
    assert handler.on_event_start(CBEventType.LLM, {}, "e") == "e"
    handler.on_event_end(CBEventType.LLM, object(), "e")
    handler.start_trace("t")
    handler.end_trace("t", {})


def test_without_spans(handler, plain, prompt, kept):
    """A call that has no span is known by the manager's events."""
    client = plain._client
    event_id = handler.on_event_start(CBEventType.LLM, {}, event_id="e1")
    client.messages.create(
        model=plain.model, max_tokens=9, messages=[{"role": "user", "content": "Hm"}]
    )
    handler.on_event_end(CBEventType.LLM, {EventPayload.RESPONSE: None}, event_id="e1")
    handler.on_event_start(CBEventType.LLM, {}, event_id="e2")
    shown = {"usage": {"prompt_tokens": 100, "completion_tokens": 9}}
    response = ChatResponse(message=ChatMessage("Borsig."), raw=shown)
    said = {EventPayload.RESPONSE: response}
    handler.on_event_end(CBEventType.LLM, said, event_id="e2")
    handler.on_event_start(CBEventType.RETRIEVE, {}, event_id="e3")
    handler.on_event_end(CBEventType.RETRIEVE, {}, event_id="e3")

    assert event_id == "e1"
    assert [it.span_id for it in handler.calls] == ["e1", "e2"]
    assert handler.calls[1].receipt.usage.input_tokens == 100
    assert handler.watch._open == {}


def test_let_go(cache, make_plain, prompt, kept):
    """A handler that nobody has any more is not told of anything."""
    handler = PromptCacheCallbackHandler(cache, insert=True)
    gone = weakref.ref(handler)
    del handler
    gc.collect()
    make_plain().chat(prompt())

    assert gone() is None
    assert kept == []


def test_dispatcher_that_was_emptied(managed, prompt, handler, monkeypatch):
    """Who replaces the dispatcher's handlers loses one call at most."""
    root = get_dispatcher()
    monkeypatch.setattr(root, "span_handlers", [])
    monkeypatch.setattr(root, "event_handlers", [])
    managed.chat(prompt())
    managed.chat(prompt())

    assert [it.method for it in handler.calls][-1] == "chat"
    assert len(handler.calls) == 2
