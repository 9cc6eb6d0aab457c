"""Every way into a GPT: the stock class and its cached twin do the same.

Each path runs twice, so that the second run reads what the first one wrote.
"""

import pytest
from langchain_core.messages import HumanMessage
from langchain_kit import (
    ENGINE,
    ENGINE_CALL,
    Kit,
    listed,
    look_up,
    with_structure,
)
from langchain_openai_bodies import without_ids
from langchain_paths import ASYNC, ECHO, SYNC, WITHOUT_MESSAGES
from langchain_results import bodies, receipted, shape, walked

from langchain_promptcache import prompt_cached
from promptcache.emulator import Json
from promptcache.receipts.events import Settled

# What LangChain's own class warns of, as it adds up the usage of several completions
# and writes down a parsed answer.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Unexpected type for token usage"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
]

WAYS = {
    "chat": "gpt-6.1-sol",
    "responses": "gpt-6.1-sol",
    "azure": "gpt-6.1-sol",
    "azure_responses": "gpt-6.1-sol",
    "earlier_chat": "gpt-5.2",
}
# The Responses API has no stop sequences.
WITHOUT_STOP = {"responses", "azure_responses"}


@pytest.fixture(params=WAYS)
def kind(request):
    return request.param


@pytest.fixture
def model_name(kind):
    return WAYS[kind]


def asked_in_json(kit):
    return [kit.head, HumanMessage("Which engine is it? Answer in JSON.")]


async def astreamed_structure(kit):
    chunks = await listed(
        with_structure(kit, include_raw=True).astream(asked_in_json(kit))
    )
    # Parts of one answer come in the order in which they are done.
    return {name: part for chunk in chunks for name, part in chunk.items()}


def streamed_headers(kit):
    return list(kit.make(include_response_headers=True).stream(kit.prompt))


OWN = [
    pytest.param(
        [Json(ENGINE)],
        lambda kit: with_structure(kit, method="json_mode").invoke(asked_in_json(kit)),
        id="json_mode",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: list(
            with_structure(kit, method="json_mode").stream(asked_in_json(kit))
        ),
        id="json_mode.stream",
    ),
    pytest.param(
        [Json(ENGINE)],
        lambda kit: with_structure(kit, strict=True, include_raw=True).invoke(
            kit.prompt
        ),
        id="json_schema.strict",
    ),
    pytest.param(
        [ENGINE_CALL],
        lambda kit: with_structure(
            kit, method="function_calling", strict=True, include_raw=True
        ).invoke(kit.prompt),
        id="function_calling.strict",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(include_response_headers=True).invoke(kit.prompt),
        id="include_response_headers",
    ),
    pytest.param(ECHO, streamed_headers, id="include_response_headers.stream"),
    pytest.param(
        ECHO,
        lambda kit: kit.make(output_version="v1").invoke(kit.prompt),
        id="output_version=v1",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.model.invoke(kit.prompt, service_tier="flex"),
        id="service_tier",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.model.bind_tools([look_up], tool_choice="none").invoke(
            kit.prompt
        ),
        id="tool_choice=none",
    ),
]

OWN_ASYNC = [
    pytest.param(
        [Json(ENGINE)],
        lambda kit: with_structure(kit, method="json_mode").ainvoke(asked_in_json(kit)),
        id="json_mode.ainvoke",
    ),
    pytest.param(
        [Json(ENGINE)],
        astreamed_structure,
        id="json_schema.astream",
    ),
    pytest.param(
        ECHO,
        lambda kit: listed(kit.make(include_response_headers=True).astream(kit.prompt)),
        id="include_response_headers.astream",
    ),
    pytest.param(
        ECHO,
        lambda kit: kit.make(include_response_headers=True).ainvoke(kit.prompt),
        id="include_response_headers.ainvoke",
    ),
]

WITHOUT = {*WITHOUT_MESSAGES, "json_mode", "json_mode.ainvoke", "json_mode.stream"}


@pytest.fixture
def kits(make_plain, make_cached, arguments, cache, head, kind):
    """Return what to walk a path with, stock and cached.

    The stock one is told to ask for the usage of streams, as ours does by itself.
    """
    provider = "azure_openai" if kind.startswith("azure") else "openai"

    def make(**changes):
        return make_plain(stream_usage=True, **changes)

    stock = Kit(
        make,
        lambda part: part,
        arguments("plain", stream_usage=True),
        head,
        provider,
    )
    ours = Kit(
        make_cached,
        lambda part: prompt_cached(part, cache),
        arguments("cached"),
        head,
        provider,
    )
    return stock, ours


@pytest.fixture
def path(request, kind):
    """Return the name of the path; it is skipped where an API has no such thing."""
    name = request.node.callspec.id
    name = name.replace(f"{kind}-", "").replace(f"-{kind}", "")
    if name == "stop" and kind in WITHOUT_STOP:
        pytest.skip(f"{name} is nothing that {kind} has")
    return name


@pytest.fixture
def check(rows_of, events, strip, assert_settled, is_planned, path):
    """Return a function that compares what a path did with what the stock one did."""

    def compare(receipts, expected, result):
        plain_rows, rows = rows_of("plain"), rows_of("cached")

        assert rows
        assert {row.status for row in (*rows, *plain_rows)} == {200}
        assert len(receipts) == len(rows) == len(plain_rows)
        assert [row.path for row in rows] == [row.path for row in plain_rows]
        assert all(is_planned(row.body) for row in rows)
        assert [type(event) for event in events] == [Settled] * len(rows)
        assert_settled(receipts, rows)
        assert {receipt.attempts for receipt in receipts} == {1}
        assert bodies(rows, strip) == bodies(plain_rows, strip)
        assert sum(row.cache_read_input_tokens for row in rows) > 0
        assert len(receipted(result)) == (0 if path in WITHOUT else len(rows))
        assert without_ids(shape(result)) == without_ids(shape(expected))

    return compare


@pytest.mark.parametrize(("answers", "walk"), [*SYNC, *OWN])
def test_sync_path(answers, walk, kits, emulator, cache, check):
    """A path plans and settles each request, and answers as the stock one does."""
    stock, ours = kits
    expected = [walked(walk, stock, answers, emulator) for _ in range(2)]
    with cache.collect() as collected:
        result = [walked(walk, ours, answers, emulator) for _ in range(2)]

    check(collected, expected, result)


@pytest.mark.parametrize(("answers", "walk"), [*ASYNC, *OWN_ASYNC])
async def test_async_path(answers, walk, kits, emulator, cache, check):
    """A path plans and settles each request, and answers as the stock one does."""
    stock, ours = kits
    expected = [await walked(walk, stock, answers, emulator) for _ in range(2)]
    with cache.collect() as collected:
        result = [await walked(walk, ours, answers, emulator) for _ in range(2)]

    check(collected, expected, result)
