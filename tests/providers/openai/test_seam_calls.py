"""Every way to call the SDK has a plan and a receipt, and is else as it was."""

import json
import logging

import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStream
from openai.lib.streaming.responses import ResponseStream
from openai.types.chat import ChatCompletion, ParsedChatCompletion
from openai.types.responses import Response
from openai_sdk import (
    ASYNC_WAYS,
    COMPLETION,
    LONG,
    MODEL,
    USAGE,
    WAYS,
    WITH_USAGE,
    answer,
    bodies,
    chat,
    create,
    is_like,
    is_planned,
    parse,
    raw,
    response,
    responses,
    responses_stream,
    standing_in,
    stream,
    streaming,
)

from promptcache import Policy, PromptCache, attach, options
from promptcache.errors import AttachedError, OptionError
from promptcache.providers.openai import CHAT, RESPONSES


@pytest.mark.parametrize("ask", WAYS)
def test_every_way_to_ask(client, cache, emulator, ask):
    """Each way sends one planned request and has one receipt, equal to the bill."""
    with cache.collect() as collected:
        ask(client)
        ask(client)
    first, second = emulator.ledger

    assert [
        is_like(*pair) for pair in zip(collected, emulator.ledger, strict=True)
    ] == [
        True,
        True,
    ]
    assert [receipt.attempts for receipt in collected] == [1, 1]
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 0
    assert all(is_planned(body) for body in bodies(emulator))


@pytest.mark.parametrize("ask", ASYNC_WAYS)
async def test_every_asynchronous_way_to_ask(async_client, cache, emulator, ask):
    """The same holds for the asynchronous client."""
    with cache.collect() as collected:
        await ask(async_client)
        await ask(async_client)
    first, second = emulator.ledger

    assert [
        is_like(*pair) for pair in zip(collected, emulator.ledger, strict=True)
    ] == [
        True,
        True,
    ]
    assert [receipt.attempts for receipt in collected] == [1, 1]
    assert first.cache_creation_input_tokens == second.cache_read_input_tokens > 0


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        pytest.param(create, ChatCompletion, id="create"),
        pytest.param(parse, ParsedChatCompletion, id="parse"),
        pytest.param(raw, ChatCompletion, id="raw"),
        pytest.param(streaming, ChatCompletion, id="streaming"),
        pytest.param(responses, Response, id="responses"),
        pytest.param(
            lambda client: client.chat.completions.create(**chat(stream=True)),
            openai.Stream,
            id="stream",
        ),
        pytest.param(
            lambda client: client.chat.completions.stream(**chat()).__enter__(),
            ChatCompletionStream,
            id="helper",
        ),
        pytest.param(
            lambda client: client.responses.stream(**response()).__enter__(),
            ResponseStream,
            id="responses-helper",
        ),
        pytest.param(
            lambda client: client.chat.completions.with_raw_response.create(**chat()),
            object,
            id="raw-itself",
        ),
    ],
)
def test_types_are_the_sdks_own(client, plain, ask, kind):
    """What the SDK would have returned is what is returned."""
    with_us, without_us = ask(client), ask(plain)

    assert type(with_us) is type(without_us)
    assert isinstance(with_us, kind)
    for given in (with_us, without_us):
        getattr(given, "close", lambda: None)()


async def test_asynchronous_types_are_the_sdks_own(async_client):
    """The same holds for the asynchronous client."""
    chunks = await async_client.chat.completions.create(**chat(stream=True))

    assert type(chunks) is openai.AsyncStream
    await chunks.close()


@pytest.mark.parametrize("ask", [stream, responses_stream])
def test_events_are_the_same(client, plain, ask):
    """A stream hands on the events that came, in their order."""
    ours = [(type(event), getattr(event, "type", None)) for event in ask(client)]

    assert ours == [(type(event), getattr(event, "type", None)) for event in ask(plain)]


@pytest.mark.parametrize(
    ("ask", "provider"),
    [
        pytest.param(create, CHAT, id="chat"),
        pytest.param(responses, RESPONSES, id="responses"),
    ],
)
def test_a_request_is_of_its_api(client, cache, monkeypatch, ask, provider):
    """Each path is planned as a request of its own API, on the host that is called."""
    seen = []
    prepare = cache.prepare
    monkeypatch.setattr(
        cache, "prepare", lambda request: seen.append(request) or prepare(request)
    )
    ask(client)
    (request,) = seen

    assert (request.provider, request.host, request.follows) == (
        provider,
        "local",
        None,
    )


def test_the_client_that_was_passed_in(client, plain, cache, emulator):
    """The original client stays as it is, and shares its pool with ours."""
    assert client is not plain
    assert type(client) is type(plain)
    assert client._client is plain._client
    assert "request" not in vars(plain)
    with cache.collect() as collected:
        create(plain)
        create(plain.with_options(timeout=9))
    assert not any(is_planned(body) for body in bodies(emulator))
    assert collected == []


def test_attaching_twice(client, cache):
    """The same cache again changes nothing, and another one is an error."""
    assert cache.attach(client) is client
    assert attach(client, cache) is client
    derived = client.with_options(timeout=9)
    assert derived is not client
    assert cache.attach(derived) is derived
    with pytest.raises(AttachedError):
        PromptCache().attach(client)
    with pytest.raises(AttachedError):
        attach(client.copy())


def test_derived_clients_keep_what_they_are_given(client, emulator):
    """A copy is the SDK's own: with the changes that were asked for, and the pool."""
    derived = client.copy(max_retries=7).with_options(default_headers={"x-a": "b"})

    assert (derived.max_retries, derived.timeout) == (7, client.timeout)
    assert derived.default_headers["x-a"] == "b"
    assert derived._client is client._client


def test_a_policy_of_another_provider(plain):
    """A lifetime that OpenAI lacks is refused when a client is attached."""
    with pytest.raises(OptionError, match="30m, 12h, 24h"):
        PromptCache(Policy.fixed(tools="1h")).attach(plain)


def test_policy_off(plain, emulator):
    """A cache that is off sends what the caller built, and still writes a receipt."""
    cache = PromptCache("off")
    with cache.collect() as collected:
        create(cache.attach(plain))

    assert bodies(emulator) == [chat()]
    assert is_like(collected[0], emulator.ledger[0])


def test_other_endpoints_pass(cache, events):
    """What is no chat completion or response is sent as it is, without a receipt."""
    sent = []

    def note(request):
        sent.append(request.content)
        if request.url.path.endswith("embeddings"):
            found = [{"object": "embedding", "index": 0, "embedding": "AACAPw=="}]
            return answer({"object": "list", "data": found, "model": "m"})
        return answer({})

    client = standing_in(cache, note)
    client.embeddings.create(model="m", input="a" * 9000)
    client.responses.input_tokens.count(**response())
    client.post("/responses/compact", body=response(), cast_to=object)
    client.batches.create(
        completion_window="24h", endpoint="/v1/chat/completions", input_file_id="f"
    )
    client.responses.retrieve("r")
    client.chat.completions.list()
    client.get("/responses", cast_to=object)
    client.post("/completions", body=chat(), cast_to=object)

    assert len(sent) == 8
    assert not any(b"prompt_cache" in content for content in sent)
    assert json.loads(sent[1]) == response()
    assert events == []


def test_bodies_are_never_written_to(client, emulator):
    """What the caller holds is as it was, and the options of a request too."""
    body, extra = chat(), {"prompt_cache_options": {"mode": "explicit"}}
    kept = json.dumps([body, extra])
    client.chat.completions.create(**body, extra_body=extra)

    assert json.dumps([body, extra]) == kept
    assert is_planned(bodies(emulator)[0]["messages"])


def test_extra_body_is_part_of_the_body(client, cache, emulator):
    """What `extra_body` adds or replaces is planned with the rest."""
    said = {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}
    replaced = chat({"role": "user", "content": "other"})["messages"]
    with cache.collect() as collected:
        client.chat.completions.create(
            **chat(), extra_body={**said, "messages": replaced}
        )
    (sent,), (receipt,) = bodies(emulator), collected
    first, *_ = receipt.breakpoints

    assert sent["prompt_cache_options"] == said["prompt_cache_options"]
    assert sent["messages"][-1]["content"][0]["text"] == "other"
    assert sent["messages"][0]["content"][0]["prompt_cache_breakpoint"]
    assert first.startswith("system[0] 30m")


def test_extra_body_may_leave_a_field_out(client, emulator):
    """A field that `extra_body` omits is neither planned for nor sent."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    client.chat.completions.create(
        **chat(tools=[tool]), extra_body={"tools": openai.Omit(), "seed": 1}
    )
    (sent,) = bodies(emulator)

    assert "tools" not in sent
    assert sent["seed"] == 1
    assert is_planned(sent)


def test_a_body_of_extras_alone(client, emulator):
    """A request whose whole body is extra is planned as any other."""
    client.post(
        "/chat/completions", cast_to=ChatCompletion, options={"extra_json": chat()}
    )

    assert is_planned(bodies(emulator)[0])


def test_the_id_that_a_request_goes_on_from(client, cache, emulator, monkeypatch):
    """`previous_response_id` is told to the cache, and what it stands for is read."""
    seen = []
    prepare = cache.prepare
    monkeypatch.setattr(
        cache, "prepare", lambda request: seen.append(request) or prepare(request)
    )
    with cache.collect() as collected:
        first = responses(client)
        client.responses.create(
            model=MODEL, input="and then?", previous_response_id=first.id
        )

    assert [request.follows for request in seen] == [None, first.id]
    assert collected[0].id == first.id
    assert emulator.ledger[1].cache_read_input_tokens > 0
    assert is_like(collected[1], emulator.ledger[1])


def test_a_stream_that_tells_no_usage(client, cache, emulator):
    """A stream that was not asked for its usage has a receipt that knows none."""
    with cache.collect() as collected:
        chunks = list(client.chat.completions.create(**chat(stream=True)))
        settled = list(collected)
    (receipt,) = settled

    assert receipt.usage.input_tokens is None
    assert receipt.id == chunks[0].id
    assert "stream_options" not in bodies(emulator)[0]


def test_a_stream_is_asked_for_its_usage(client, cache, emulator):
    """With `stream_usage`, which frameworks set, it is asked for and comes."""
    with cache.collect() as collected, options(stream_usage=True):
        list(client.chat.completions.create(**chat(stream=True)))

    assert bodies(emulator)[0]["stream_options"] == WITH_USAGE["stream_options"]
    assert is_like(collected[0], emulator.ledger[0])


def test_the_sdk_may_log_its_requests(client, cache, caplog):
    """The SDK's own log of a request's options works with what we put there."""
    with caplog.at_level(logging.DEBUG, logger="openai"), cache.collect() as collected:
        create(client)

    assert len(collected) == 1
    assert caplog.records


def test_an_answers_own_fields(cache):
    """The receipt has the answer's id, model and tier."""
    settled = []
    settle = cache.settle
    cache.settle = lambda *args, **fields: (
        settled.append(fields) or settle(*args, **fields)
    )
    whole = {
        **COMPLETION,
        "model": f"{MODEL}-2026-11-01",
        "service_tier": "flex",
        "usage": USAGE,
    }
    with cache.collect() as collected:
        create(standing_in(cache, lambda _: answer(whole)))
    (receipt,) = collected

    assert settled[0] == {
        "model": f"{MODEL}-2026-11-01",
        "message_id": "c1",
        "tier": "flex",
        "diagnosis": None,
    }
    assert (receipt.id, receipt.model) == ("c1", f"{MODEL}-2026-11-01")
    assert (receipt.usage.read_tokens, receipt.usage.written_tokens) == (7, 11)


@pytest.mark.parametrize("ask", [responses, responses_stream])
def test_why_a_prefix_was_missed(plain, emulator, ask):
    """A cache that diagnoses asks the provider, and notes what it tells."""
    cache = PromptCache(clock=emulator.clock, diagnose=True)
    client = cache.attach(plain)
    # Under one key, whatever the head.
    said = options(tenant="acme", conversation="c")
    with cache.collect() as collected, said:
        client.responses.create(**response(tools=[TOOL]))
        ask(client)
    note, *_ = collected[1].notes

    assert note.startswith("missed: tools_changed")


TOOL = {
    "type": "function",
    "name": "f",
    "description": LONG,
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}


def test_prewarming(plain, cache, emulator):
    """A head is written by a request that generates nothing."""
    receipt = cache.prewarm(
        plain, model=MODEL, input=[{"role": "developer", "content": LONG}]
    )
    responses(cache.attach(plain))
    warmed, first = emulator.ledger

    assert is_like(receipt, warmed)
    assert warmed.output_tokens == 0
    assert warmed.cache_creation_input_tokens == first.cache_read_input_tokens > 0


async def test_prewarming_asynchronously(plain_async, cache, emulator):
    """The same holds for the asynchronous client."""
    receipt = await cache.aprewarm(plain_async, model=MODEL, instructions=LONG)

    assert is_like(receipt, emulator.ledger[0])
