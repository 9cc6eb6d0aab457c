"""What the seam makes of requests through `google-generativeai`."""

import asyncio
import copy
import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import gemini_legacy as legacy
import pytest
from gemini_keeping import NoKeeper
from gemini_legacy import (
    ASYNC_WAYS,
    FORGIVEN,
    HEAD,
    LONG,
    MODEL,
    WAYS,
    agenerate,
    asked,
    astream,
    genai,
    generate,
    is_like,
    model_of,
    order,
    stream,
)
from google.ai import generativelanguage as glm
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.generativeai import client as configured

from promptcache import AttachedError, PromptCache, options
from promptcache.emulator import Fault
from promptcache.providers.gemini import seam_legacy, wire
from promptcache.providers.gemini.remote_legacy import LegacyRemote
from promptcache.providers.gemini.seam_legacy import generative_model
from promptcache.providers.gemini.streams_legacy import LegacyWatch
from promptcache.providers.gemini.wire_legacy import body_of, request_of
from promptcache.receipts.events import (
    BodyUnreadable,
    PlanningFailed,
    Settled,
    SteppedAside,
)
from promptcache.state.stores import Handle

pytestmark = pytest.mark.filterwarnings(FORGIVEN)

GONE = "CachedContent not found (or permission denied)"


@pytest.fixture(scope="module")
def address(server):
    with legacy.bridge(server.url) as address:
        yield address


@pytest.fixture(autouse=True)
def _configured(emulator, monkeypatch):
    made = []

    def remote(model):
        made.append(LegacyRemote(model))
        return made[-1]

    monkeypatch.setattr(seam_legacy, "LegacyRemote", remote)
    with legacy.as_before():
        legacy.configure(emulator.url)
        yield
    for it in made:
        it.close()


@pytest.fixture(params=["rest", "grpc"])
def transport(request):
    if request.param == "rest":
        yield "rest"
        return
    made = legacy.over_grpc(request.getfixturevalue("address"))
    yield "grpc"
    made.close()


@pytest.fixture
async def over_grpc(address):
    """Asynchronous requests go over gRPC: the SDK has nothing else."""
    made = legacy.over_grpc_asyncio(address)
    yield
    await made.close()


def receipts_of(events):
    return [event.receipt for event in events if isinstance(event, Settled)]


def named_in(row):
    return wire.named(row.body)


def same(model):
    return model


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("way", WAYS)
def test_every_way(way, cache, keeper, emulator, events):
    """No request sends along what its cached content has, and answers are the same."""
    order(emulator, way)
    stock = way(same)
    plain = asked(emulator)
    emulator.reset()
    order(emulator, way)
    answer = way(cache.attach)
    rows, receipts = asked(emulator), receipts_of(events)

    assert answer == stock
    assert len(rows) == len(receipts) == len(keeper.receipts) == len(plain)
    assert all(map(is_like, receipts, rows))
    for row, before in zip(rows, plain, strict=True):
        kept = {name: it for name, it in before.body.items() if name not in HEAD}
        assert row.body == {**kept, "cachedContent": named_in(row)}
    assert all(receipt.usage.read_tokens > 4000 for receipt in receipts)
    assert not [event for event in events if isinstance(event, PlanningFailed)]


@pytest.mark.usefixtures("over_grpc")
@pytest.mark.parametrize("way", ASYNC_WAYS)
async def test_every_asynchronous_way(way, cache, keeper, emulator, events):
    """The same holds for what is asynchronous."""
    order(emulator, way)
    stock = await way(same)
    emulator.reset()
    order(emulator, way)
    answer = await way(cache.attach)
    rows, receipts = asked(emulator), receipts_of(events)

    assert answer == stock
    assert len(rows) == len(receipts) == len(keeper.receipts) > 0
    assert all(map(is_like, receipts, rows))
    assert all(named_in(row) and not set(HEAD) & set(row.body) for row in rows)


async def test_asynchronous_over_rest(cache):
    """The SDK cannot do that, attached or not."""
    for model in (model_of(), cache.attach(model_of())):
        with options(enabled=False), pytest.raises(TypeError, match="await"):
            await model.generate_content_async("hello")


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("way", WAYS)
def test_without_cached_contents(way, cache, emulator, events):
    """With `gemini_caches=False` requests are the SDK's own; receipts tell reads."""
    cache._holdings._keeper = NoKeeper()
    with options(gemini_caches=False):
        for _ in range(2):
            order(emulator, way)
            way(cache.attach)
    rows = asked(emulator)
    order(emulator, way)
    way(same)
    stock = asked(emulator)[len(rows) :]

    assert [row.body for row in rows[: len(stock)]] == [row.body for row in stock]
    assert all(map(is_like, receipts_of(events), rows))
    assert receipts_of(events)[-1].usage.read_tokens > 4000


def test_a_policy_that_is_off(emulator, events):
    """`off` sends what the SDK built and asks no keeper; receipts still come."""
    cache = PromptCache("off", clock=emulator.clock, listeners=[events.append])
    cache._holdings._keeper = NoKeeper()
    generate(cache.attach)
    generate(same)
    mine, stock = asked(emulator)

    assert mine.body == stock.body
    assert receipts_of(events)[0].policy == "off"


def test_the_model_that_was_passed_in(cache, keeper):
    """It stays as it is; the new one is of its kind and asks as it does."""

    class Mine(genai.GenerativeModel):
        pass

    plain = Mine(MODEL, system_instruction=LONG)
    before = dict(vars(plain))
    model = cache.attach(plain)
    model.generate_content("hello")
    model.count_tokens("hello")

    assert vars(plain) == before
    assert type(model) is Mine
    assert str(model) == str(plain)
    plain.generate_content("hello")
    assert len(keeper.placed) == 1


def test_a_client_of_the_models_own(cache, keeper, emulator):
    """What a model has been asked through before goes on, whatever is configured."""
    plain = model_of()
    plain.generate_content("hello")
    legacy.configure("http://127.0.0.1:1")
    model = cache.attach(plain)
    model.generate_content("hello")

    assert named_in(asked(emulator)[-1])


def test_attached_before(cache):
    """Once is enough, and one cache is."""
    model = cache.attach(model_of())

    assert cache.attach(model) is model
    with pytest.raises(AttachedError):
        PromptCache().attach(model)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies(cache, keeper, copied):
    """A copy of an attached model is attached as well."""
    model = copied(cache.attach(model_of()))
    model.generate_content("hello")

    assert len(keeper.placed) == 1


def test_what_is_none_of_ours(cache, keeper, emulator, events):
    """Counting passes untouched, with no receipt."""
    plain, model = model_of(), cache.attach(model_of())

    assert model.count_tokens("hello") == plain.count_tokens("hello")
    assert keeper.placed == []
    assert events == []


@pytest.mark.usefixtures("over_grpc")
async def test_counting_asynchronously(cache, keeper):
    """The same."""
    assert (await cache.attach(model_of()).count_tokens_async("hello")).total_tokens
    assert keeper.placed == []


def test_requests_of_another_form(cache, keeper):
    """Who calls the client with something else than the model does is not planned."""
    client = cache.attach(model_of())._client
    given = {"model": f"models/{MODEL}", "contents": [{"parts": [{"text": "hello"}]}]}

    assert client.generate_content(given).candidates
    assert list(client.stream_generate_content(given))
    assert keeper.placed == []


@pytest.mark.usefixtures("over_grpc")
async def test_asynchronous_requests_of_another_form(cache, keeper):
    """The same."""
    client = cache.attach(model_of())._async_client
    given = {"model": f"models/{MODEL}", "contents": [{"parts": [{"text": "hello"}]}]}

    assert (await client.generate_content(given)).candidates
    assert [it async for it in await client.stream_generate_content(given)]
    assert keeper.placed == []


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("way", [generate, stream])
def test_a_cached_content_that_is_gone(way, cache, keeper, emulator):
    """The whole request is sent once more, and the caller sees an answer."""
    way(cache.attach)
    emulator.clock.advance(601)
    answer = way(cache.attach)
    refused, full = emulator.ledger[-2:]

    assert answer
    assert refused.status == 403
    assert named_in(refused)
    assert set(full.body) >= {"systemInstruction"}
    assert named_in(full) is None
    assert keeper.placed[-1].attempts == 2
    assert keeper.refusals == [(403, GONE)]


@pytest.mark.usefixtures("over_grpc")
@pytest.mark.parametrize("way", [agenerate, astream])
async def test_one_that_is_gone_asynchronously(way, cache, keeper, emulator):
    """The same, with the keeper's part beside the loop."""
    await way(cache.attach)
    emulator.clock.advance(601)

    assert await way(cache.attach)
    assert named_in(emulator.ledger[-1]) is None
    assert keeper.refusals == [(403, GONE)]


def listed_refusal(status, words):
    """Return what the provider answers to a stream that is no stream of events."""
    return Fault(
        status=status,
        match="streamGenerateContent",
        body=[{"error": {"code": status, "message": words}}],
    )


def test_a_refusal_that_the_sdk_cannot_read(cache, keeper, emulator):
    """Whether the cached content is gone is asked for, and the whole request sent."""
    stream(cache.attach)
    emulator.clock.advance(601)
    emulator.faults.push(listed_refusal(403, GONE))

    assert stream(cache.attach)
    assert named_in(emulator.ledger[-1]) is None
    assert keeper.refusals == [(403, GONE)]


@pytest.mark.parametrize("caches", [True, False])
def test_another_refusal_that_the_sdk_cannot_read(caches, cache, keeper, emulator):
    """Where it is there it was not that, and the caller sees the SDK's own error."""
    stream(cache.attach)
    emulator.faults.push(listed_refusal(429, "slow down"))
    with (
        options(gemini_caches=caches),
        pytest.raises(exceptions.BadRequest, match="Unknown error"),
    ):
        stream(cache.attach)

    assert keeper.refusals == []


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("status", [400, 429, 500])
@pytest.mark.parametrize("way", [generate, stream])
def test_errors_of_the_provider(way, status, cache, keeper, emulator, events):
    """An error that is about nothing of ours reaches the caller, with no receipt."""
    way(cache.attach)
    emulator.faults.push(Fault(status=status, match="enerateContent"))
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        way(cache.attach)

    assert caught.value.code == status
    assert len(receipts_of(events)) == 1
    assert len(keeper.refusals) == (status < 500)
    assert way(cache.attach)


QUICK = Retry(initial=0.001, predicate=lambda it: it.code == 503)


@pytest.mark.parametrize("patience", [{}, {"timeout": 20}, {"timeout": None}])
def test_attempts_are_counted(patience, cache, keeper, emulator, events):
    """What the SDK repeats is one request with one plan and one receipt."""
    emulator.faults.push(Fault(status=503, match="enerateContent", times=2))
    asking = {"retry": QUICK, **patience}
    cache.attach(model_of()).generate_content("hello", request_options=asking)
    (receipt,) = receipts_of(events)

    assert receipt.attempts == 3
    assert len(keeper.placed) == 1


@pytest.mark.parametrize(("given", "kept"), [({}, 600.0), ({"timeout": 7}, 7.0)])
def test_patience(given, kept, cache, keeper, monkeypatch):
    """The SDK's limit in time holds, or the caller's."""
    seen = []
    model = cache.attach(model_of())
    session = model._client.transport._session
    post = session.post

    def posted(*arguments, timeout=None, **fields):
        seen.append(timeout)
        return post(*arguments, timeout=timeout, **fields)

    monkeypatch.setattr(session, "post", posted)
    model.generate_content("hello", request_options=given)

    assert seen == [pytest.approx(kept, abs=1)]


def test_a_cached_content_of_the_callers_own(cache, emulator, events):
    """A request that names one is sent as it is, and has a receipt."""
    cache._holdings._keeper = NoKeeper()
    made = genai.caching.CachedContent.create(model=MODEL, system_instruction=LONG)
    model = cache.attach(genai.GenerativeModel.from_cached_content(made))
    model.generate_content("hello")
    (row,), (receipt,) = asked(emulator), receipts_of(events)

    assert named_in(row) == made.name
    assert is_like(receipt, row)
    assert receipt.usage.read_tokens > 4000


def handle_of(made, model=MODEL):
    return Handle(
        key=b"k" * 16,
        name=made.name,
        model=model,
        scope="developer/test",
        tokens=5000,
        created_at=0.0,
        expires_at=1.0,
        owner="test",
    )


@pytest.mark.parametrize("model", [MODEL, f"models/{MODEL}"])
def test_a_model_of_a_handle(model, cache, emulator, events):
    """A handle's model is known without asking for it."""
    made = genai.caching.CachedContent.create(model=MODEL, system_instruction=LONG)
    answer = generative_model(handle_of(made, model), cache).generate_content("hello")
    _, row = emulator.ledger

    assert answer.text
    assert named_in(row) == made.name
    assert is_like(receipts_of(events)[0], row)


def test_a_model_of_a_name(cache, emulator, events):
    """For a name alone the provider is asked."""
    made = genai.caching.CachedContent.create(model=MODEL, system_instruction=LONG)
    generative_model(made.name, cache).generate_content("hello")

    assert [row.method for row in emulator.ledger] == ["POST", "GET", "POST"]
    assert receipts_of(events)[0].usage.read_tokens > 4000


def test_what_the_sdk_forbids_beside_a_cached_content(cache, keeper, emulator):
    """A model keeps its instruction, while its requests name a cached content."""
    model = cache.attach(model_of())
    model.generate_content("hello")
    model.generate_content("hello", tools=[{"function_declarations": [legacy.LOOK_UP]}])

    assert all(map(named_in, asked(emulator)))
    assert len(keeper.held) == 2


def broken(prepared, remote):
    prepared.body = {"contents": []}
    raise ZeroDivisionError("words of the prompt")
    yield


def test_a_keeper_that_fails(cache, keeper, emulator, events, monkeypatch):
    """The request goes out as the SDK built it, with an event that quotes nothing."""
    monkeypatch.setattr(keeper, "place", broken)
    generate(cache.attach)
    failed, _ = events

    assert isinstance(failed, PlanningFailed)
    assert "words" not in failed.message
    assert "systemInstruction" in asked(emulator)[0].body


def test_a_body_that_the_sdk_cannot_express(
    cache, keeper, emulator, events, monkeypatch
):
    """The request goes out as the SDK built it."""

    def place(prepared, remote):
        prepared.body = {"contents": [{"said": "words of the prompt"}]}
        prepared.placement = keeper
        yield from ()

    monkeypatch.setattr(keeper, "place", place)

    assert generate(cache.attach)
    assert isinstance(events[0], PlanningFailed)
    assert "words" not in events[0].message
    assert "systemInstruction" in asked(emulator)[0].body


@pytest.mark.usefixtures("address")
def test_fields_that_the_sdk_does_not_know(cache, keeper, emulator, events):
    """What answers over gRPC hold besides is kept: no cached content is made of it."""
    unknown = glm.Content.deserialize(b"\xa2\x06\x05thing")
    unknown.role, unknown.parts = "model", [{"text": "b"}]
    history = [glm.Content(role="user", parts=[{"text": "a"}]), unknown]
    model = cache.attach(model_of())
    answer = model.generate_content([*history, {"role": "user", "parts": ["hello"]}])

    assert answer.text
    assert keeper.placed == []
    assert [type(event) for event in events] == [BodyUnreadable, Settled]
    assert "systemInstruction" in asked(emulator)[0].body


def test_numbers_that_json_does_not_have():
    """A request that cannot be spelled has no body."""
    call = glm.FunctionCall(name="f", args={"x": float("nan")})
    contents = [glm.Content(role="model", parts=[glm.Part(function_call=call)])]

    assert body_of(glm.GenerateContentRequest(contents=contents)) is None


def test_there_and_back():
    """What a request says is said again, bytes and numbers included."""
    request = model_of(
        tools=[{"function_declarations": [legacy.LOOK_UP]}],
        generation_config={"temperature": 0.1, "stop_sequences": ["x"]},
        safety_settings={"HARASSMENT": "BLOCK_NONE"},
    )._prepare_request(
        contents=[
            {"role": "user", "parts": ["a", {"mime_type": "a/b", "data": b"\xfb\xff"}]},
            {"role": "model", "parts": [{"function_call": {"name": "f", "args": {}}}]},
        ],
        tools=None,
        tool_config={"function_calling_config": {"mode": "ANY"}},
    )
    body = body_of(request)

    assert request_of(body, request.model) == request
    assert body["contents"][0]["parts"][1]["inlineData"]["data"] == "-_8="
    assert "model" not in body


def outline_of(prepared):
    outline = prepared.outline
    return outline.digest_before(outline.length), outline.roles, outline.total_tokens


CALL = {"name": "look_up", "args": {"query": "x", "n": 2, "share": 0.5}}
ANSWER = {"name": "look_up", "response": {"said": ["b", True, None, {"of": -3}]}}
IMAGE = {"mime_type": "image/png", "data": bytes(range(256))}
FILE = {"mime_type": "image/png", "file_uri": "https://files.example/a"}
CONTENTS = [
    {
        "role": "user",
        "parts": [{"text": "a"}, {"inline_data": IMAGE}, {"file_data": FILE}],
    },
    {"role": "model", "parts": [{"function_call": CALL}]},
    {"role": "user", "parts": [{"function_response": ANSWER}]},
    {"role": "user", "parts": [{"text": "hello"}]},
]
TOOLS = [{"function_declarations": [legacy.LOOK_UP]}]
CHOICE = {
    "function_calling_config": {"mode": "ANY", "allowed_function_names": ["look_up"]}
}


def test_digests_of_the_other_sdk(cache, keeper, emulator):
    """The same prompt is the same prefix, so one cached content serves both."""
    pytest.importorskip("google.genai", reason="google-genai is not installed")
    from gemini_sdk import client_of  # noqa: PLC0415

    client = cache.attach(client_of(emulator.url))
    config = {"system_instruction": LONG, "tools": TOOLS, "tool_config": CHOICE}
    client.models.generate_content(model=MODEL, contents=CONTENTS, config=config)
    client.close()
    model = cache.attach(model_of(tools=TOOLS))
    # The SDK writes to it.
    model.generate_content(CONTENTS, tool_config=dict(CHOICE))
    newer, older = keeper.placed

    assert outline_of(older) == outline_of(newer)
    assert older.request.model == newer.request.model
    assert len(keeper.held) == 1
    assert len({named_in(row) for row in asked(emulator)}) == 1


def told(cache, tools=(), **counts):
    """Return the usage that is read from an answer with these counts."""
    model = model_of(tools=list(tools) or None)
    request = model._prepare_request(contents="a", tools=None, tool_config=None)
    seam = seam_legacy.Seam(model, cache)
    call = seam._call(seam.client, "generate_content", request, {})
    prepared = cache.prepare(call.request)
    answer = glm.GenerateContentResponse(usage_metadata=counts)
    LegacyWatch(cache, prepared).see_whole(answer)
    usage = prepared.receipt.usage
    return usage.input_tokens, usage.read_tokens, usage.output_tokens


def test_thoughts(cache):
    """What the total has besides is thoughts; with other tools nobody knows."""
    counts = {
        "prompt_token_count": 100,
        "candidates_token_count": 10,
        "total_token_count": 150,
    }
    declared = {"function_declarations": [legacy.LOOK_UP]}
    exact = {**counts, "total_token_count": 110, "cached_content_token_count": 60}

    assert told(cache, **counts) == (100, 0, 50)
    assert told(cache, [declared], **counts) == (100, 0, 50)
    assert told(cache, ["code_execution"], **counts) == (100, 0, None)
    assert told(cache, ["code_execution"], **exact) == (100, 60, 10)
    assert told(cache) == (None, None, None)


# The SDK closes no stream.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("way", [stream, astream])
@pytest.mark.usefixtures("over_grpc")
async def test_a_stream_that_is_left(way, cache, keeper, events, emulator):
    """What is known of a stream that nobody reads to its end is settled."""
    model = cache.attach(model_of())
    if way is stream:
        answer = model.generate_content("hello", stream=True)
    else:
        answer = await model.generate_content_async("hello", stream=True)
    before = len(receipts_of(events))
    del answer
    gc.collect()
    for _ in range(3):
        await asyncio.sleep(0)

    assert before <= 1
    assert len(receipts_of(events)) == 1


def test_a_stream_that_breaks_off(cache, keeper, emulator, events):
    """Its error is the SDK's, and a receipt comes."""
    emulator.faults.push(Fault(match="streamGenerateContent", after_events=1))
    with pytest.raises(Exception, match=r"."):
        stream(cache.attach)

    assert len(receipts_of(events)) == 1


def test_a_stream_of_nothing():
    """It is one: waiting for a first chunk is no error."""
    assert list(seam_legacy._begun(lambda: iter(()))) == []


async def test_an_asynchronous_stream_of_nothing():
    """The same."""

    async def nothing():
        for chunk in ():
            yield chunk

    async def send():
        return nothing()

    assert [it async for it in await seam_legacy._async_begun(send)] == []


def test_threads_share_a_model(cache, keeper, emulator, events):
    """Many threads may ask through one model at once."""
    model = cache.attach(model_of())
    model.generate_content("hello")
    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: model.generate_content("a").text, range(24))
        )

    assert len(set(answers)) == 1
    assert len(receipts_of(events)) == 25
    assert all(map(named_in, asked(emulator)))


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("generativelanguage.googleapis.com", "developer"),
        ("https://gateway.example:8443", "gateway.example:8443"),
        ("gateway.example:8443", "gateway.example:8443"),
        ("http://127.0.0.1:8089", "developer"),
    ],
)
def test_hosts(url, host):
    """The platform is known by its server, or named by the caller's facts."""
    legacy.configure(url)
    cache = PromptCache(facts={"gateway.example:8443": {"host": "vertex"}})
    seam = seam_legacy.Seam(model_of(), cache)

    assert seam._host(seam.client) == host


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_an_sdk_that_differs(kind, cache, events, monkeypatch):
    """An SDK without what we rely on is left alone, which is told once."""

    def other(self, request=None, *, retry=None):
        pass

    monkeypatch.setattr(
        f"google.ai.generativelanguage.GenerativeService{kind}.stream_generate_content",
        other,
    )
    plain = model_of()
    with pytest.warns(UserWarning, match="another.*tested with google-gen") as told:
        assert cache.attach(plain) is plain
    (event,) = events

    assert len(told) == 1
    assert isinstance(event, SteppedAside)


def test_an_sdk_that_lacks_something(cache, monkeypatch):
    """The same where something is missing."""
    monkeypatch.delattr(configured, "get_default_generative_async_client")
    plain = model_of()
    with pytest.warns(UserWarning, match="no `get_default_generative_async_client`"):
        assert cache.attach(plain) is plain


def test_parts_of_the_sdk(cache):
    """What is no model has nothing to attach, and works as before."""
    session = model_of().start_chat()
    with pytest.warns(UserWarning, match="has no `ChatSession._client`"):
        assert cache.attach(session) is session


PACKAGES = ["promptcache", "langchain_promptcache", "llamaindex_promptcache"]


@pytest.mark.parametrize("package", PACKAGES)
def test_nobody_else_loads_the_sdk(package):
    """Its words on import are for those who import it."""
    pytest.importorskip(package)
    code = f"""
import sys, {package}
print([it for it in sys.modules if it.startswith("google.generativeai")])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"
    assert "FutureWarning" not in done.stderr
