"""What others ask an LLM for, and what Python copies of it: as with the stock class."""

import copy
import json
import logging
import pickle

import pytest
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from llamaindex_promptcache import PromptCachedAnthropic, prompt_cached
from promptcache import PromptCache


def look_up(name: str) -> str:
    """Look up an engine in the museum's register."""
    return name


TOOL = FunctionTool.from_defaults(look_up)

SURFACES = [
    pytest.param(lambda llm: llm.class_name(), id="class_name"),
    pytest.param(lambda llm: llm.metadata, id="metadata"),
    pytest.param(lambda llm: llm.to_dict(), id="to_dict"),
    pytest.param(lambda llm: llm.to_json(), id="to_json"),
    pytest.param(lambda llm: llm.to_payload(), id="to_payload"),
    pytest.param(lambda llm: llm.model_dump(), id="model_dump"),
    pytest.param(lambda llm: sorted(type(llm).model_fields), id="model_fields"),
    pytest.param(lambda llm: llm._model_kwargs, id="_model_kwargs"),
    pytest.param(lambda llm: llm._get_all_kwargs(stop=["."]), id="_get_all_kwargs"),
    pytest.param(
        lambda llm: llm._prepare_chat_with_tools([TOOL], user_msg="Hello"),
        id="_prepare_chat_with_tools",
    ),
    pytest.param(lambda llm: len(llm.tokenizer.encode("Hello")), id="tokenizer"),
]


@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("how", ["class", "twin"])
def test_surface_is_the_stock_one(surface, how, plain, cached, cache):
    """What others ask an LLM for is what a stock LLM answers."""
    llm = cached if how == "class" else prompt_cached(plain, cache)

    assert surface(llm) == surface(plain)


def test_counting_tokens_is_no_request(cached, collecting, emulator):
    """What is no message is neither planned nor settled."""
    with collecting() as receipts:
        cached.tokenizer.encode("Hello")

    assert receipts == []


@pytest.mark.parametrize("how", ["class", "twin"])
def test_nothing_is_written_down(how, plain, cached, cache):
    """Neither the cache nor the key stands in what is written of an LLM."""
    llm = cached if how == "class" else prompt_cached(plain, cache)

    for text in (llm.to_json(), json.dumps(llm.to_payload()), repr(llm), str(llm)):
        assert "prompt_cache" not in text
        assert "ws-" not in text


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
    pytest.param(lambda llm: llm.model_copy(update={"max_tokens": 99}), id="update"),
    pytest.param(copy.copy, id="copy"),
    pytest.param(copy.deepcopy, id="deepcopy"),
    pytest.param(lambda llm: llm.model_copy(deep=True), id="model_copy.deep"),
    pytest.param(lambda llm: pickle.loads(pickle.dumps(llm)), id="pickle"),
]


# A copy that the stock class fails at leaves a client that was never set up.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("do", COPIES)
@pytest.mark.parametrize("how", ["class", "twin"])
def test_copies(do, how, plain, cached, cache, caplog):
    """A copy works where one of a stock LLM does, and fails where that fails."""
    caplog.set_level(logging.CRITICAL)
    llm = cached if how == "class" else prompt_cached(plain, cache)

    assert attempted(do, llm) == attempted(do, plain)


@pytest.mark.parametrize("do", COPIES[:3])
def test_copies_are_cached(do, cached, cache, prompt):
    """A copy serves the same cache."""
    twin = do(cached)

    assert type(twin) is PromptCachedAnthropic
    assert twin._choice.cache is cache
    assert "prompt_cache" in twin.chat(prompt()).additional_kwargs


def test_made_from_a_dict(cached, arguments, emulator, closing):
    """`from_dict` makes an LLM as the constructor does."""
    cache = PromptCache(clock=emulator.clock)
    given = {**arguments("cached"), "class_name": cached.class_name()}
    llm = closing(PromptCachedAnthropic.from_dict(given, prompt_cache=cache))

    assert llm._choice.cache is cache


def test_arguments_by_position(closing):
    """The parent's arguments may be given as to the parent."""
    llm = closing(PromptCachedAnthropic("claude-sonnet-4-6", 0.5, 99, api_key="any"))

    assert (llm.model, llm.temperature, llm.max_tokens) == (
        "claude-sonnet-4-6",
        0.5,
        99,
    )
