"""What others ask an LLM for, and what Python copies of it: as with the stock class."""

import copy
import json
import logging
import pickle
from unittest.mock import MagicMock, patch

import httpx
import openai
import pytest
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llamaindex_kit import IGNORED, TOOL
from llamaindex_ways import WAYS, is_stream

from llamaindex_promptcache import (
    PromptCachedOpenAI,
    PromptCachedOpenAIResponses,
)
from promptcache import AttachedError, Policy, PromptCache, default_cache

pytestmark = IGNORED

OPTION = "prompt_cache"

SURFACES = [
    pytest.param(lambda llm: llm.class_name(), id="class_name"),
    pytest.param(lambda llm: llm.metadata, id="metadata"),
    pytest.param(lambda llm: llm.to_dict(), id="to_dict"),
    pytest.param(lambda llm: llm.to_json(), id="to_json"),
    pytest.param(lambda llm: llm.to_payload(), id="to_payload"),
    pytest.param(lambda llm: llm.model_dump(), id="model_dump"),
    pytest.param(lambda llm: list(type(llm).model_fields), id="model_fields"),
    pytest.param(lambda llm: llm._get_credential_kwargs(), id="credentials"),
    pytest.param(lambda llm: llm._get_model_kwargs(user="42"), id="_get_model_kwargs"),
    pytest.param(
        lambda llm: llm._prepare_chat_with_tools([TOOL], user_msg="Hello"),
        id="_prepare_chat_with_tools",
    ),
]


@pytest.fixture(params=["class", "twin"])
def ours(request, make_plain, make_cached, twin_of, cache):
    """Return an LLM that was made as a cached one, or became one."""
    if request.param == "twin":
        return twin_of(make_plain(api_key="any"), cache)
    return make_cached(api_key="any")


@pytest.fixture
def stock(make_plain):
    return make_plain(api_key="any")


@pytest.mark.parametrize("surface", SURFACES)
def test_surface_is_the_stock_one(surface, stock, ours):
    """What others ask an LLM for is what a stock LLM answers."""
    assert surface(ours) == surface(stock)


def test_types(ours, stock_class, cached_class):
    """A cached LLM is one of the stock class to whoever asks."""
    assert type(ours) is cached_class
    assert isinstance(ours, (stock_class, FunctionCallingLLM, LLM))


def test_nothing_is_written_down(ours):
    """The cache stands in nothing that is written of an LLM."""
    for text in (ours.to_json(), json.dumps(ours.to_payload()), repr(ours), str(ours)):
        assert "prompt_cache" not in text


def attempted(do, llm):
    """Return the type of the error, or of what was made."""
    try:
        made = do(llm)
    except Exception as error:  # noqa: BLE001 - its type is what is compared
        return type(error).__name__
    try:
        return made.chat([ChatMessage("Hello")]).message.content
    except Exception as error:  # noqa: BLE001
        return type(error).__name__


COPIES = [
    pytest.param(lambda llm: llm.model_copy(), id="model_copy"),
    pytest.param(lambda llm: llm.model_copy(update={"user": "42"}), id="update"),
    pytest.param(copy.copy, id="copy"),
    pytest.param(copy.deepcopy, id="deepcopy"),
    pytest.param(lambda llm: llm.model_copy(deep=True), id="model_copy.deep"),
    pytest.param(lambda llm: pickle.loads(pickle.dumps(llm)), id="pickle"),
]


# A copy that the stock class fails at leaves a client that was never set up.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("used", [False, True], ids=["fresh", "used"])
@pytest.mark.parametrize("do", COPIES)
def test_copies(do, used, stock, ours, caplog):
    """A copy works where one of a stock LLM does, and fails where that fails."""
    caplog.set_level(logging.CRITICAL)
    if used:
        for llm in (stock, ours):
            llm.chat([ChatMessage("Hello")])

    assert attempted(do, ours) == attempted(do, stock)


@pytest.mark.parametrize("do", COPIES[:3])
def test_copies_are_cached(do, ours, cache, prompt):
    """A copy serves the same cache."""
    twin = do(ours)

    assert type(twin) is type(ours)
    assert twin._choice.cache is cache
    assert OPTION in twin.chat(prompt()).additional_kwargs


@pytest.mark.parametrize("api", ["chat"])
def test_deep_copies_are_cached(ours, cache, prompt, twin_of):
    """So does a deep one, where the stock class has made no client to copy yet."""
    twin = twin_of(copy.deepcopy(ours))

    assert twin._choice.cache is cache
    assert OPTION in twin.chat(prompt()).additional_kwargs


@pytest.mark.parametrize(
    ("choice", "policy"),
    [
        pytest.param({"tenant": "acme", "policy": "off"}, "off", id="options"),
        pytest.param(False, "off", id="False"),
        pytest.param(PromptCache(Policy.off()), "off", id="off"),
        pytest.param({"ttl": "30m"}, "auto", id="ttl"),
    ],
)
def test_choice_is_pickled(choice, policy, make_cached, prompt, closing, caplog):
    """Another process has a cache of its own, of the same policy, and the options."""
    caplog.set_level(logging.CRITICAL)
    llm = make_cached(prompt_cache=choice)
    there = closing(pickle.loads(pickle.dumps(llm)))
    answer = there.chat(prompt())

    assert there._choice.options == llm._choice.options
    assert answer.additional_kwargs[OPTION]["policies"] == [policy]


def test_pickled_caches_are_shared(make_cached, closing, caplog):
    """What is unpickled in a process learns together with all that is there."""
    caplog.set_level(logging.CRITICAL)
    llms = [make_cached(prompt_cache=None), make_cached()]
    there = [closing(pickle.loads(pickle.dumps(llm))) for llm in llms]

    assert {id(llm._choice.cache) for llm in there} == {id(default_cache())}


def test_made_from_a_dict(cached, cached_class, arguments, closing, cache):
    """`from_dict` makes an LLM as the constructor does."""
    given = {**arguments("cached"), "class_name": cached.class_name()}
    llm = closing(cached_class.from_dict(given, prompt_cache=cache))

    assert llm._choice.cache is cache


def test_arguments_by_position(cached_class, closing):
    """The parent's arguments may be given as to the parent."""
    llm = closing(cached_class("gpt-4.1", 0.5, 99, api_key="any"))

    assert (llm.model, llm.temperature) == ("gpt-4.1", 0.5)


@pytest.mark.parametrize("api", ["chat"])
def test_client_is_kept(cached, prompt):
    """One client serves all calls, and is attached once."""
    assert cached._client is None
    cached.chat(prompt())
    client = cached._client
    cached.chat(prompt())

    assert cached._client is cached._get_client() is client


@pytest.fixture
async def pools():
    """Return connections for clients that LlamaIndex leaves open."""
    with httpx.Client() as pool:
        async with httpx.AsyncClient() as apool:
            yield {"http_client": pool, "async_http_client": apool}


@pytest.mark.parametrize("api", ["chat"])
@pytest.mark.parametrize("way", WAYS)
async def test_new_client_a_call(
    way, make_cached, pools, prompt, collecting, rows_of, assert_settled
):
    """With `reuse_client=False`, each call has a client of its own, and a receipt."""
    # It closes those of streams never, and those of other calls at once.
    llm = make_cached(reuse_client=False, **(pools if is_stream(way) else {}))
    with collecting() as receipts:
        for _ in range(2):
            await way(llm, prompt())

    assert llm._client is None
    assert llm._aclient is None
    assert len(receipts) == 2
    assert_settled(receipts, rows_of("cached"))


@pytest.mark.parametrize("api", ["chat"])
def test_new_client_is_closed(make_cached, prompt):
    """Where the stock class closes the client of a call, ours is closed, too."""
    with httpx.Client() as pool:
        make_cached(reuse_client=False, http_client=pool).chat(prompt())

        assert pool.is_closed


async def test_pools_of_the_caller(make_cached, prompt, rows_of):
    """Connections that the caller passes are the ones that are used."""
    with httpx.Client(headers={"x-emulator-conversation": "mine"}) as pool:
        async with httpx.AsyncClient() as apool:
            llm = make_cached(http_client=pool, async_http_client=apool)
            answers = [llm.chat(prompt()), await llm.achat(prompt())]
            clients = llm._client, llm._aclient

            assert [client._client for client in clients] == [pool, apool]

    assert all(OPTION in answer.additional_kwargs for answer in answers)
    assert len(rows_of("cached")) == 2


async def test_clients_of_the_caller(make_cached, arguments, prompt, rows_of):
    """Clients that the caller passes stay as they are; copies of them are used."""
    given = {"api_key": "ws-mine-key", "base_url": arguments("any")["api_base"]}
    with openai.OpenAI(**given) as client:
        async with openai.AsyncOpenAI(**given) as aclient:
            llm = make_cached(openai_client=client, async_openai_client=aclient)
            llm.chat(prompt())
            await llm.achat(prompt())
            client.chat.completions.create(
                model="gpt-5.2", messages=[{"role": "user", "content": "Hello"}]
            )

            assert llm._client._client is client._client
            assert llm.plain_clients == (client, aclient)

    ours, ours_too, theirs = rows_of("mine")
    assert "prompt_cache_key" in ours.body
    assert "prompt_cache_key" in ours_too.body
    assert "prompt_cache_key" not in theirs.body


def test_client_of_another_cache(make_cached, emulator):
    """A client that serves another cache is refused at construction."""
    with openai.OpenAI(api_key="any", base_url=emulator.url) as client:
        attached = PromptCache().attach(client)
        with pytest.raises(AttachedError):
            make_cached(openai_client=attached)


def test_mocked_clients(api, arguments, cache):
    """What a test puts in a client's place is used as it is."""
    module = "base" if api == "chat" else "responses"
    name = f"llama_index.llms.openai.{module}.SyncOpenAI"
    with patch(name, MagicMock()) as client:
        kinds = {"chat": PromptCachedOpenAI, "responses": PromptCachedOpenAIResponses}
        llm = kinds[api](**arguments("cached"), prompt_cache=cache)
        if api == "chat":
            assert llm._get_client() is client.return_value

    assert llm._client is client.return_value


def test_unknown_model(make_plain, make_cached):
    """A model that LlamaIndex has no window for fails as ever, in the same words."""
    with pytest.raises(ValueError, match="Unknown model") as stock:
        _ = make_plain(model="gpt-6.1-terra").metadata
    with pytest.raises(ValueError, match="Unknown model") as ours:
        _ = make_cached(model="gpt-6.1-terra").metadata

    assert str(ours.value) == str(stock.value)


@pytest.mark.parametrize("api", ["responses"])
def test_window_of_an_unknown_model(make_cached, prompt, last_row):
    """Responses take a window for it, and go on."""
    llm = make_cached(model="gpt-6.1-terra", context_window=400_000)

    assert llm.metadata.context_window == 400_000
    assert OPTION in llm.chat(prompt()).additional_kwargs
    assert last_row().breakpoints


@pytest.mark.parametrize("api", ["chat"])
@pytest.mark.parametrize("streaming", [False, True], ids=["whole", "streaming"])
def test_completion_models_are_left_alone(streaming, make_plain, make_cached):
    """A request of the old completions API is sent as it was, and has no receipt."""
    sent, choice = [], {"index": 0, "text": "A wagon.", "finish_reason": "stop"}
    answer = {"id": "cmpl_1", "object": "text_completion", "created": 1, "model": "m"}
    text = json.dumps({**answer, "choices": [choice]})

    def answering(request):
        sent.append((request.url.path, request.content))
        if streaming:
            return httpx.Response(200, text=f"data: {text}\n\ndata: [DONE]\n\n")
        return httpx.Response(200, text=text)

    found = []
    for make in (make_plain, make_cached):
        with httpx.Client(transport=httpx.MockTransport(answering)) as pool:
            llm = make(model="gpt-3.5-turbo-instruct", max_tokens=9, http_client=pool)
            said = {OPTION: {"tenant": "a"}} if make is make_cached else {}
            if streaming:
                *_, last = llm.stream_complete("What is a tender?", **said)
            else:
                last = llm.complete("What is a tender?", **said)
            found.append((last.text, last.additional_kwargs))
            llm.chat([ChatMessage("What is a tender?")]) if not streaming else None

    half = len(sent) // 2
    assert {path for path, _ in sent} == {"/v1/completions"}
    assert sent[:half] == sent[half:]
    assert found[0] == found[1] == ("A wagon.", {})
