"""What a request says besides its conversation."""

import pydantic
import pytest

from promptcache.outline import BYTES_PER_TOKEN
from promptcache.providers.openai import chat, facts, responses
from promptcache.providers.openai.parameters import HEAD_BYTES

HI = {"role": "user", "content": "hi"}
CHAT = {"model": "gpt-6.1-sol", "messages": [HI]}
RESPONSES = {"model": "gpt-6.1-sol", "input": [HI]}


class Answer(pydantic.BaseModel):
    word: str


def reading(api):
    """Return how a body of an API is read, and the least one."""
    return (chat.outline, CHAT) if api == "chat" else (responses.outline, RESPONSES)


@pytest.fixture(params=["chat", "responses"])
def outline(request):
    """Return a function from more fields to the outline of either API."""
    read, least = reading(request.param)
    return lambda **fields: read({**least, **fields})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param({}, {"service_tier": "auto"}, id="tier"),
        pytest.param({}, {"parallel_tool_calls": True}, id="parallel"),
        pytest.param({}, {"prompt_cache_key": None}, id="no-key"),
        pytest.param({}, {"tool_choice": "none"}, id="tool-choice"),
        pytest.param(
            {},
            {"metadata": {"a": "b"}, "user": "u", "store": True, "temperature": 1},
            id="what-no-prompt-has",
        ),
        pytest.param(
            {},
            {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
            id="options",
        ),
    ],
)
def test_what_parts_no_caches(outline, one, other):
    """These fields leave the prefix as it is."""
    assert outline(**one).blocks.digests == outline(**other).blocks.digests


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"model": "gpt-6-sol"}, id="model"),
        pytest.param({"service_tier": "flex"}, id="tier"),
        pytest.param({"parallel_tool_calls": False}, id="parallel"),
        pytest.param({"prompt_cache_key": "k"}, id="key"),
        pytest.param({"context_management": [{"type": "compaction"}]}, id="compaction"),
    ],
)
def test_what_parts_caches(outline, fields):
    """These fields, changed, make every prefix another one."""
    assert outline().blocks.root != outline(**fields).blocks.root


@pytest.mark.parametrize(
    ("api", "fields"),
    [
        pytest.param("chat", {"reasoning_effort": "high"}, id="chat-effort"),
        pytest.param("chat", {"verbosity": "low"}, id="chat-verbosity"),
        pytest.param(
            "chat", {"response_format": {"type": "json_object"}}, id="chat-format"
        ),
        pytest.param("chat", {"response_format": Answer}, id="chat-class"),
        pytest.param("responses", {"reasoning": {"effort": "high"}}, id="effort"),
        pytest.param("responses", {"text": {"verbosity": "low"}}, id="verbosity"),
        pytest.param(
            "responses", {"text": {"format": {"type": "json_object"}}}, id="format"
        ),
    ],
)
def test_what_parts_caches_by_api(api, fields):
    """Effort, verbosity and format stand where each API has them."""
    read, least = reading(api)

    assert read(least).blocks.root != read({**least, **fields}).blocks.root


def test_a_format_of_plain_text_is_none():
    """That is what is answered without one."""
    free = {"type": "text"}

    assert (
        chat.outline({**CHAT, "response_format": free}).blocks.root
        == chat.outline(CHAT).blocks.root
    )
    assert (
        responses.outline({**RESPONSES, "text": {"format": free}}).blocks.root
        == responses.outline(RESPONSES).blocks.root
    )


def test_tenants_and_apis_share_nothing():
    """Each has a root of its own."""
    roots = {
        read(body, tenant=tenant).blocks.root
        for read, body in ((chat.outline, CHAT), (responses.outline, RESPONSES))
        for tenant in (None, "a", "b")
    }

    assert len(roots) == 6


@pytest.mark.parametrize(
    ("fields", "forced"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param({"tool_choice": "auto"}, False, id="auto"),
        pytest.param({"tool_choice": "required"}, True, id="required"),
        pytest.param(
            {"tool_choice": {"type": "function", "name": "f"}}, True, id="tool"
        ),
        pytest.param(
            {"tool_choice": {"type": "allowed_tools", "mode": "auto"}},
            False,
            id="allowed",
        ),
        pytest.param(
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": []},
                }
            },
            True,
            id="allowed-and-required",
        ),
        pytest.param({"function_call": {"name": "f"}}, True, id="old-function"),
        pytest.param({"function_call": "auto"}, False, id="old-auto"),
    ],
)
def test_forced_answers(outline, fields, forced):
    """A named tool or a required one leaves the model no choice."""
    assert outline(**fields).forced is forced


@pytest.mark.parametrize(
    ("form", "forced"),
    [
        pytest.param({"type": "json_schema", "json_schema": {}}, True, id="schema"),
        pytest.param({"type": "json_object"}, True, id="object"),
        pytest.param({"type": "text"}, False, id="text"),
        pytest.param(Answer, True, id="class"),
        pytest.param(None, False, id="none"),
    ],
)
def test_forced_formats(form, forced):
    """So does a format that is no plain text."""
    assert chat.outline({**CHAT, "response_format": form}).forced is forced
    if form is not Answer:
        given = {**RESPONSES, "text": {"format": form}}

        assert responses.outline(given).forced is forced


@pytest.mark.parametrize(
    ("options", "mode", "ttl", "illegal"),
    [
        pytest.param(None, None, None, (), id="none"),
        pytest.param({}, None, None, (), id="empty"),
        pytest.param({"mode": None, "ttl": None}, None, None, (), id="nulls"),
        pytest.param(
            {"mode": "explicit", "ttl": "30m"}, "explicit", "30m", (), id="legal"
        ),
        pytest.param({"mode": "auto"}, None, None, ("mode",), id="mode"),
        pytest.param({"mode": ["x"], "ttl": {}}, None, None, ("mode", "ttl"), id="odd"),
        pytest.param({"ttl": "1h"}, None, None, ("ttl",), id="ttl"),
    ],
)
def test_the_callers_options(outline, options, mode, ttl, illegal):
    """Legal values are known, illegal ones are named."""
    made = outline(prompt_cache_options=options)

    assert (made.mode, made.automatic) == (mode, ttl)
    assert made.has_options is (options is not None)
    assert made.illegal_options == tuple(
        f"prompt_cache_options.{name}" for name in illegal
    )


def test_options_that_are_no_object(outline):
    """They are illegal as a whole."""
    made = outline(prompt_cache_options="explicit")

    assert made.illegal_options == ("prompt_cache_options",)


def test_twelve_hours_are_for_responses():
    """Chat Completions has no such request."""
    options = {"prompt_cache_options": {"ttl": "12h"}}
    made = chat.outline({**CHAT, **options})

    assert made.illegal_options == ("prompt_cache_options.ttl",)
    assert made.automatic is None
    assert responses.outline({**RESPONSES, **options}).automatic == "12h"


def test_warming():
    """A request that only writes is known as one."""
    options = {"prompt_cache_options": {"prewarm": True}}

    assert responses.outline({**RESPONSES, **options}).warms
    assert not responses.outline(RESPONSES).warms


def test_a_head_key_is_what_the_head_begins_with(outline):
    """Neither model, tenant nor conversation is part of it, nor what is far behind."""
    tool = {"type": "function", "name": "f", "description": "d" * HEAD_BYTES}
    key = outline(tools=[tool]).head_key

    assert outline().head_key == b""
    assert key == outline(tools=[tool], model="gpt-6-sol").head_key
    assert key == outline(tools=[tool, {**tool, "name": "g"}]).head_key
    assert key != outline(tools=[{**tool, "description": "e"}]).head_key


def test_a_head_key_of_texts():
    """It is that of the initial system messages, up to so many bytes."""

    def key(*texts):
        given = [{"role": "system", "content": text} for text in texts]
        return chat.outline({"messages": [*given, HI]}).head_key

    long = "s" * HEAD_BYTES

    assert key("a") != key("b")
    assert key("a", "b") != key("a")
    assert key(long + "a") == key(long + "b") == key(long, "c")
    assert key("") == key() == b""
    assert (
        key(long)
        == chat.outline(
            {"messages": [{"role": "developer", "content": long}]}, tenant="t"
        ).head_key
    )


def test_a_head_key_covers_the_shortest_cached_prefix():
    """Requests that can share a prefix have the same."""
    shortest = min(row.minimum_tokens for row in facts.MODELS.values())

    assert shortest * BYTES_PER_TOKEN == HEAD_BYTES
