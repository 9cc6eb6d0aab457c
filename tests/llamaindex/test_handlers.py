"""What a handler makes of the calls of plain LLMs."""

import copy
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import ChatMessage, CustomLLM, LLMMetadata
from llama_index.core.llms.callbacks import llm_completion_callback
from llama_index.core.prompts import ChatPromptTemplate
from llamaindex_kit import ENGINE_TEXT, IGNORED, Engine, Kit, run, workflow
from llamaindex_ways import LEAVING, WAYS, collected_by_python, is_stream

from llamaindex_promptcache import PromptCacheHandler
from promptcache import OptionError, PromptCache, options
from promptcache.emulator import Fault

pytestmark = IGNORED


@pytest.fixture
def handler(cache):
    """Return a handler that plans, installed for this test."""
    with PromptCacheHandler(cache, insert=True) as made:
        yield made


@pytest.fixture
def watching(cache):
    """Return a handler that only watches, installed for this test."""
    with PromptCacheHandler(cache) as made:
        yield made


@pytest.mark.parametrize("way", WAYS)
async def test_event(way, plain, prompt, kept, opened, handler):
    """An event tells of each receipt, with the span of the LLM."""
    await way(plain, prompt())
    (event,) = kept
    (call,) = handler.calls

    assert event.receipt == call.receipt.as_dict()
    assert event.llm_span_id == call.span_id
    assert call.span_id in opened.names
    assert event.span_id == (None if is_stream(way) else call.span_id)
    assert (call.llm, call.method) == tuple(call.span_id[:-37].split("."))


async def test_event_of_a_stream_inside_a_span(plain, prompt, kept, handler):
    """A stream's event is that of the span its consumer runs in."""
    dispatcher = get_dispatcher("tests")

    @dispatcher.span
    def consume():
        return list(plain.stream_chat(prompt()))

    @dispatcher.span
    async def aconsume():
        return [chunk async for chunk in await plain.astream_chat(prompt())]

    consume()
    await aconsume()
    first, second = kept

    assert "consume-" in first.span_id
    assert "aconsume-" in second.span_id
    assert len({call.workflow for call in handler.calls}) == 1
    assert [call.parent_span_id for call in handler.calls] == [
        first.span_id,
        second.span_id,
    ]


@pytest.mark.parametrize("leave", LEAVING)
async def test_stream_left_early(leave, plain, prompt, rows_of, kept, handler):
    """A stream that is not read to its end is settled, and its run closed."""
    await leave(plain, prompt())
    await collected_by_python(kept)
    (call,) = handler.calls
    (event,) = kept
    (row,) = rows_of("plain")

    assert call.receipt.usage.input_tokens == row.total_input_tokens
    assert event.llm_span_id == call.span_id
    assert handler._watch._open == {}


def test_event_of_another_stream(plain, prompt, kept, handler):
    """What the garbage collector ends is told of as itself, whoever runs meanwhile."""
    dispatcher = get_dispatcher("tests")

    @dispatcher.span
    def somebody():
        gc.collect()

    gc.disable()
    try:
        stream = plain.stream_chat(prompt())
        next(stream)
        circle = [stream]
        circle.append(circle)
        del stream, circle
        assert kept == []
        somebody()
    finally:
        gc.enable()
    (left,) = kept

    assert left.span_id == left.llm_span_id == handler.calls[0].span_id


def test_unread_stream(plain, prompt, handler, emulator):
    """A stream that nobody reads leaves nothing behind."""
    stream = plain.stream_chat(prompt())
    assert len(handler._watch._open) == 1
    del stream
    gc.collect()

    assert handler._watch._open == {}
    assert len(emulator.ledger) == 1


def test_failed_call(plain, prompt, handler, emulator):
    """A call that fails has no receipt, and leaves nothing behind."""
    emulator.faults.push(Fault(status=400))
    with pytest.raises(Exception, match="told to fail"):
        plain.chat(prompt())

    assert handler.calls == ()
    assert handler._watch._open == {}
    plain.chat(prompt())
    assert len(handler.calls) == 1


def test_retries(make_plain, prompt, handler, emulator):
    """A request that the SDK tries again has one receipt, which says so."""
    emulator.faults.push(Fault(status=529, retry_after=0.001))
    make_plain(max_retries=2).chat(prompt())
    (call,) = handler.calls

    assert (call.receipt.attempts, call.receipt.requests) == (2, 1)


def test_nested_calls(plain, prompt, handler, kept):
    """Of a completion that is a chat, the chat has the receipt."""
    plain.complete(prompt()[0].content)

    assert [call.method for call in handler.calls] == ["chat"]
    assert len(kept) == 1
    assert handler.report().to_dict()["total"]["requests"] == 1


def test_two_handlers(plain, prompt, cache, emulator, kept, rows_of):
    """Each handler has each call once; the event and the cache's report say it once."""
    other = PromptCache(clock=emulator.clock)
    with (
        PromptCacheHandler(other) as watching,
        PromptCacheHandler(cache, insert=True) as planning,
        PromptCacheHandler(cache) as third,
    ):
        plain.chat(prompt())
        list(plain.stream_chat(prompt()))

    assert len(kept) == 2
    for one in (watching, planning, third):
        assert [it.receipt.policy for it in one.calls] == ["auto", "auto"]
    assert cache.report().to_dict()["total"]["requests"] == 2
    assert other.report().to_dict()["total"]["requests"] == 0
    assert all("cache_control" in str(row.body) for row in rows_of("plain"))


@pytest.mark.parametrize("way", WAYS)
async def test_our_own_llm(way, cached, prompt, kept, watching, rows_of):
    """An LLM that is cached already is counted, and tells of itself."""
    await way(cached, prompt())
    (event,) = kept
    (call,) = watching.calls
    (row,) = rows_of("cached")

    assert event.receipt == call.receipt.as_dict()
    assert call.span_id == event.llm_span_id
    assert call.llm == "PromptCachedAnthropic"
    assert call.receipt.policy == "auto"
    assert call.receipt.usage.input_tokens == row.total_input_tokens


@pytest.mark.parametrize("leave", LEAVING)
async def test_our_own_stream_left_early(leave, cached, prompt, kept, watching):
    """The receipt of a dropped stream is that of its call."""
    with instrument_tags({"team": "a"}):
        await leave(cached, prompt())
    await collected_by_python(kept)
    (call,) = watching.calls

    assert call.span_id == kept[0].llm_span_id
    assert call.tags == ("team=a",)


def test_attached_client(plain, prompt, cache, kept, watching, rows_of):
    """A client that is attached plans itself; its calls are counted."""
    plain._client = cache.attach(plain._client)
    plain.chat(prompt())
    (call,) = watching.calls

    assert call.receipt.policy == "auto"
    assert len(kept) == 1
    assert "cache_control" in str(rows_of("plain")[0].body)


def test_nobody_else_is_told_of(plain, cached, prompt, kept, watching, rows_of):
    """Clients that are used outside of LlamaIndex are none of ours."""
    stream = plain.stream_chat(prompt())
    plain._client.messages.create(
        model=plain.model, max_tokens=9, messages=[{"role": "user", "content": "Hm"}]
    )
    list(stream)

    assert len(rows_of("plain")) == 2
    assert len(watching.calls) == len(kept) == 1


def test_uninstalled(plain, prompt, handler, rows_of, kept):
    """After it is uninstalled nothing is planned, counted or told."""
    stream = plain.stream_chat(prompt())
    next(stream)
    handler.uninstall()
    list(stream)
    plain.chat(prompt())
    root = get_dispatcher()

    assert handler.calls == ()
    assert kept == []
    assert "cache_control" not in str(rows_of("plain")[-1].body)
    assert not any(it is handler for it in (*root.span_handlers, *root.event_handlers))
    with handler:
        plain.chat(prompt())
    assert len(handler.calls) == 1


def test_added_by_hand(plain, prompt, cache, kept):
    """It is both of the handlers that a dispatcher takes."""
    handler, root = PromptCacheHandler(cache), get_dispatcher()
    root.add_span_handler(handler)
    root.add_event_handler(handler)
    try:
        assert handler.install() is handler
        list(plain.stream_chat(prompt()))
    finally:
        handler.uninstall()

    assert len(handler.calls) == len(kept) == 1
    assert handler._watch._open == {}
    assert handler.class_name() == "PromptCacheHandler"


def test_switched_off(plain, prompt, handler, monkeypatch, rows_of):
    """The switch in the environment holds for handlers."""
    monkeypatch.setattr("llamaindex_promptcache.watching.is_switched_off", lambda: True)
    plain.chat(prompt())

    assert handler.calls == ()
    assert "cache_control" not in str(rows_of("plain")[0].body)


def test_nothing_is_written_to(plain, head, handler, emulator, kept):
    """LLMs, messages and templates are as they were."""
    messages = [head, ChatMessage("What is a tender?")]
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    state = _state(plain)
    before = copy.deepcopy((messages, template.message_templates))
    plain.chat(messages)
    list(plain.stream_chat(messages))
    emulator.answers.push(ENGINE_TEXT)
    plain.structured_predict(Engine, template, what="it")

    assert len(kept) == len(handler.calls) == 3
    assert (messages, template.message_templates) == before
    assert _state(plain) == state


def _state(llm):
    private = {name: id(it) for name, it in llm.__pydantic_private__.items()}
    return {name: id(it) for name, it in vars(llm).items()}, private, llm.to_dict()


@pytest.mark.parametrize("other", ["excluded", "switched off"])
def test_many_threads(other, plain, make_cached, head, handler, rows_of, emulator):
    """Of 64 threads with one template, exactly those that want are planned."""
    template = ChatPromptTemplate([head, ChatMessage("Describe {what}.")])
    excluded = make_cached(prompt_cache=False)
    before = copy.deepcopy(template.message_templates)
    start = threading.Barrier(64)

    def ask(number):
        start.wait()
        if number % 2 == 0:
            return plain.predict(template, what=f"planned {number}")
        if other == "excluded":
            return excluded.predict(template, what=f"left {number}")
        with options(enabled=False):
            return plain.predict(template, what=f"left {number}")

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(ask, range(64)))
    marked = {"cache_control" in str(row.body): [] for row in emulator.ledger}
    for row in emulator.ledger:
        marked["cache_control" in str(row.body)].append(str(row.body["messages"]))

    assert len(marked[True]) == len(marked[False]) == 32
    assert all("planned" in text for text in marked[True])
    assert all("left" in text for text in marked[False])
    assert [it.receipt.policy for it in handler.calls].count("auto") == 32
    assert len(handler.calls) == 64
    assert template.message_templates == before


async def test_agents(make_plain, head, handler, emulator, rows_of):
    """A report by agent, by workflow and by conversation."""
    kit = Kit(make_plain, head, None, {})
    handoff = {"to_agent": "clerk", "reason": "It is about an engine."}
    for answer in (_calling(1, "handoff", handoff), _calling(2, "look_up"), "In 1911."):
        emulator.answers.push(answer)
    await run(workflow(kit))
    kit.llm.chat(kit.prompt)

    assert _rows(handler, "agent") == {"porter": 1, "clerk": 2, None: 1}
    assert _rows(handler, "workflow") == {"AgentWorkflow": 3, None: 1}
    (run_id,) = set(_rows(handler, "conversation")) - {None}
    assert _rows(handler, "conversation") == {run_id: 3, None: 1}
    assert {it.receipt.conversation for it in handler.calls} == {run_id, None}
    steps = {it.step for it in handler.calls}
    assert steps == {"AgentWorkflow.run_agent_step", None}
    assert len(_rows(handler, "model")) == 1


def _calling(number, name, args=None):
    given = args or {"name": "T 9"}
    return {"type": "tool_use", "id": f"toolu_{number}", "name": name, "input": given}


def _rows(handler, by):
    report = handler.report(by=by).to_dict()
    return {row[by]: row["requests"] for row in report["rows"]}


def test_tags(plain, prompt, handler):
    """The caller's tags are told apart, LlamaIndex's own are not."""
    tags = {"team": "a", "try": 2, "odd": object(), "llamaindex.step.input": "text"}
    with instrument_tags(tags):
        plain.chat(prompt())

    assert _rows(handler, "tag") == {"team=a": 1, "try=2": 1, "odd": 1}
    assert "text" not in str(handler.calls)


def test_wrong_arguments(handler):
    """What is not allowed is said."""
    with pytest.raises(OptionError, match="model, agent"):
        handler.report(by="color")
    with pytest.raises(OptionError):
        PromptCacheHandler(42)


def test_said_at_registration(plain, prompt, rows_of):
    """Options given to the handler hold for its calls."""
    said = {
        "policy": "fixed",
        "tenant": "acme",
        "prices": {"input": 1.0, "output": 2.0},
    }
    with PromptCacheHandler(said, insert=True) as handler:
        plain.chat(prompt())
    with PromptCacheHandler(said) as watching:
        plain.chat(prompt())
    with PromptCacheHandler(False, insert=True) as silent:
        plain.chat(prompt())
    first, second, third = rows_of("plain")

    assert handler.calls[0].receipt.tenant == "acme"
    assert watching.calls[0].receipt.tenant == "acme"
    assert "cache_control" in str(first.body)
    assert "cache_control" not in str((second.body, third.body))
    assert silent.calls[0].receipt.policy == "off"


def test_bounded(plain, handler, monkeypatch, cached):
    """However many calls, what is kept of them does not grow."""
    monkeypatch.setattr("llamaindex_promptcache.watching._MAX_OPEN", 3)
    streams = [plain.stream_chat([ChatMessage("What?")]) for _ in range(5)]

    assert len(handler._watch._open) == 3
    assert handler._watch._ended.maxlen == 1_000
    for stream in streams:
        list(stream)
    assert len(handler.calls) == 5


class Wrapper(CustomLLM):
    """An LLM that has another one answer, and shows what that showed."""

    inner: Any

    @property
    def metadata(self):
        return LLMMetadata()

    @llm_completion_callback()
    def complete(self, prompt, formatted=False, **kwargs):
        return self.inner.complete(prompt)

    @llm_completion_callback()
    def stream_complete(self, prompt, formatted=False, **kwargs):
        def late():
            yield from self.inner.stream_complete(prompt)

        return late()


@pytest.mark.parametrize("kind", ["plain", "cached"])
def test_llm_in_an_llm(kind, request, prompt, handler, kept):
    """What one LLM has another one answer is the other one's."""
    inner = request.getfixturevalue(kind)
    wrapper = Wrapper(inner=inner)
    wrapper.complete(prompt()[0].content)
    list(wrapper.stream_complete(prompt()[0].content))

    assert [call.llm for call in handler.calls] == [type(inner).__name__] * 2
    assert [call.method for call in handler.calls] == ["chat", "stream_chat"]
    assert len(kept) == 2
    assert handler._watch._open == {}


@pytest.mark.parametrize("kind", ["plain", "cached"])
def test_structured_llm(kind, request, head, emulator, handler, kept):
    """A structured LLM asks another one, which has the receipt."""
    emulator.answers.push(ENGINE_TEXT)
    structured = request.getfixturevalue(kind).as_structured_llm(Engine)
    structured.chat([head, ChatMessage("Describe it.")])

    assert [call.method for call in handler.calls] == ["structured_predict"]
    assert len(kept) == 1
