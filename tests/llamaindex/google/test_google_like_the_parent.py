"""What others ask an LLM for, and what Python copies of it: as with the stock class."""

import copy
import logging
import pickle
from unittest.mock import MagicMock, patch

import pytest
from google.genai import types
from llama_index.core.llms import LLM, ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.llms.google_genai import GoogleGenAI
from llamaindex_google import IGNORED_HERE
from llamaindex_kit import TOOL

from llamaindex_promptcache import PromptCachedGoogleGenAI
from promptcache import AttachedError, Policy, PromptCache, default_cache
from promptcache.emulator import Fault

pytestmark = IGNORED_HERE

OPTION = "prompt_cache"

SURFACES = [
    pytest.param(lambda llm: llm.class_name(), id="class_name"),
    pytest.param(lambda llm: llm.metadata, id="metadata"),
    pytest.param(lambda llm: llm.to_dict(), id="to_dict"),
    pytest.param(lambda llm: llm.to_json(), id="to_json"),
    pytest.param(lambda llm: llm.model_dump(), id="model_dump"),
    pytest.param(lambda llm: list(type(llm).model_fields), id="model_fields"),
    pytest.param(lambda llm: llm._generation_config, id="generation_config"),
    pytest.param(lambda llm: llm._max_tokens, id="max_tokens"),
    pytest.param(
        lambda llm: llm._prepare_chat_with_tools([TOOL], user_msg="Hello"),
        id="_prepare_chat_with_tools",
    ),
    pytest.param(
        lambda llm: llm._prepare_chat_with_tools(
            [TOOL],
            ChatMessage("Hello"),
            [ChatMessage("Good day.")],
            False,
            False,
            True,
            "look_up",
        ),
        id="_prepare_chat_with_tools.by_position",
    ),
]


@pytest.fixture(params=["class", "twin"])
def ours(request, make_plain, make_cached, twin_of, cache):
    """Return an LLM that was made as a cached one, or became one."""
    if request.param == "twin":
        return twin_of(make_plain(), cache)
    return make_cached()


@pytest.mark.parametrize("surface", SURFACES)
def test_surface_is_the_stock_one(surface, plain, ours):
    """What others ask an LLM for is what a stock LLM answers."""
    assert surface(ours) == surface(plain)


def test_types(ours):
    """A cached LLM is one of the stock class to whoever asks."""
    assert type(ours) is PromptCachedGoogleGenAI
    assert isinstance(ours, GoogleGenAI)
    assert isinstance(ours, FunctionCallingLLM)
    assert isinstance(ours, LLM)


def test_nothing_is_written_down(ours):
    """The cache stands in nothing that is written of an LLM."""
    for text in (ours.to_json(), repr(ours), str(ours)):
        assert "prompt_cache" not in text
        assert "gemini_caches" not in text


@pytest.fixture
def surroundings(monkeypatch, emulator):
    """Set what makes a constructor without arguments succeed."""
    monkeypatch.setenv("GOOGLE_API_KEY", "ws-copied-key")
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", emulator.url)


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
    pytest.param(lambda llm: llm.model_copy(update={"max_retries": 1}), id="update"),
    pytest.param(copy.copy, id="copy"),
    pytest.param(copy.deepcopy, id="deepcopy"),
    pytest.param(lambda llm: llm.model_copy(deep=True), id="model_copy.deep"),
    pytest.param(lambda llm: pickle.loads(pickle.dumps(llm)), id="pickle"),
]


# A copy that the stock class fails at leaves a client that was never set up.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("do", COPIES)
def test_copies(do, plain, ours, caplog, surroundings):
    """A copy works where one of a stock LLM does, and fails where that fails."""
    caplog.set_level(logging.CRITICAL)

    assert attempted(do, ours) == attempted(do, plain)


@pytest.mark.parametrize("do", COPIES[:3])
def test_copies_are_cached(do, ours, cache, prompt):
    """A copy serves the same cache."""
    twin = do(ours)

    assert type(twin) is type(ours)
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
def test_choice_is_pickled(
    choice, policy, make_cached, prompt, closing, caplog, surroundings
):
    """Another process has a cache of its own, of the same policy, and the options."""
    caplog.set_level(logging.CRITICAL)
    llm = make_cached(prompt_cache=choice, gemini_caches=False)
    there = closing(pickle.loads(pickle.dumps(llm)))
    answer = there.chat(prompt())

    assert there._choice.options == llm._choice.options
    assert there._choice.options.gemini_caches is False
    assert answer.additional_kwargs[OPTION]["policies"] == [policy]


def test_pickled_caches_are_shared(make_cached, closing, caplog, surroundings):
    """What is unpickled in a process learns together with all that is there."""
    caplog.set_level(logging.CRITICAL)
    llms = [make_cached(prompt_cache=None), make_cached()]
    there = [closing(pickle.loads(pickle.dumps(llm))) for llm in llms]

    assert {id(llm._choice.cache) for llm in there} == {id(default_cache())}


def test_made_from_a_dict(arguments, closing, cache):
    """`from_dict` makes an LLM as the constructor does."""
    given = {**arguments("cached"), "class_name": "GenAI"}
    llm = closing(PromptCachedGoogleGenAI.from_dict(given, prompt_cache=cache))

    assert llm._choice.cache is cache


def test_arguments_by_position(closing):
    """The parent's arguments may be given as to the parent."""
    llm = closing(PromptCachedGoogleGenAI("gemini-3.8-flash", "any", 0.5, 99, 1000))

    assert (llm.temperature, llm._max_tokens) == (0.5, 99)
    assert llm.metadata.context_window == 1000


def test_question_about_the_model(make_plain, make_cached, emulator):
    """The constructor asks its server about the model where the stock one does."""
    for make in (make_plain, make_cached):
        make(max_tokens=None).metadata  # noqa: B018 - nothing more may be asked for it
        make(context_window=None)
        make()
    asked = [(row.workspace, row.method, row.path) for row in emulator.ledger]

    assert len(asked) == 4
    assert [it[1:] for it in asked[:2]] == [it[1:] for it in asked[2:]]
    assert {it[1] for it in asked} == {"GET"}


def test_model_that_is_not_there(make_plain, make_cached, emulator):
    """Where that question is refused, construction fails in the same words."""
    said = []
    for make in (make_plain, make_cached):
        emulator.faults.push(Fault(status=404, message="No such model."))
        with pytest.raises(Exception, match="No such model") as info:
            make(max_tokens=None)
        said.append((type(info.value), str(info.value)))

    assert said[0] == said[1]


def test_configuration_of_the_caller(make_plain, make_cached, prompt, rows_of):
    """A configuration of the caller's is sent whole, and stays as it was."""
    config = types.GenerateContentConfig(
        temperature=0.25,
        top_k=7,
        max_output_tokens=99,
        response_modalities=["TEXT"],
        safety_settings=[
            types.SafetySetting(
                category="HARM_CATEGORY_HARASSMENT", threshold="BLOCK_NONE"
            )
        ],
    )
    before = config.model_dump_json()
    for make in (make_plain, make_cached):
        make(generation_config=config).chat(
            prompt(), generation_config={"stop_sequences": ["END"]}
        )
    (stock,), (ours,) = rows_of("plain"), rows_of("cached")

    assert ours.body == stock.body
    assert ours.body["generationConfig"]["stopSequences"] == ["END"]
    assert config.model_dump_json() == before


def test_mocked_client(arguments, cache):
    """What a test puts in a client's place is used as it is."""
    with patch("google.genai.Client", MagicMock()) as client:
        llm = PromptCachedGoogleGenAI(**arguments("cached"), prompt_cache=cache)

    assert llm._client is client.return_value
    assert llm.plain_clients == (client.return_value,)


async def test_one_client_serves_both_ways(cached, cache, prompt):
    """The client is attached once, with all that it has for asynchronous calls."""
    (plain,) = cached.plain_clients
    await cached.achat(prompt())

    assert cached._client is not plain
    assert cached._client is cache.attach(cached._client)
    with pytest.raises(AttachedError):
        PromptCache().attach(cached._client)
