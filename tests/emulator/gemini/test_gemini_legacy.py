"""The SDK before the current one: numbers for enums, masks, arrays for streams."""

import json
import urllib.request
from datetime import datetime, timedelta, timezone

import pytest

from promptcache.emulator import ToolCall

pytest.importorskip(
    "google.generativeai", reason="google-generativeai is not installed"
)

# It asks its kit for something by an older name.
pytestmark = pytest.mark.filterwarnings(
    "ignore:The argument `including_default_value_fields`:DeprecationWarning"
)
MODEL = "models/gemini-2.5-flash"
TEXT = "x" * 4 * 2998


def get_weather(days: int) -> str:
    """Tell the weather."""
    return f"{days} days of rain"


@pytest.fixture
def caching(legacy):
    from google.generativeai import caching  # noqa: PLC0415

    del legacy
    return caching.CachedContent


def test_answers(legacy, emulator):
    """Usage, the finish reason and a call come in its own types."""
    model = legacy.GenerativeModel(MODEL, tools=[get_weather])
    said = model.generate_content("hello")
    called = model.generate_content("the weather of 3 days")
    part = called.candidates[0].content.parts[0]

    assert said.text == "Understood. This is the emulator's answer."
    assert said.candidates[0].finish_reason.name == "STOP"
    assert (part.function_call.name, dict(part.function_call.args)) == (
        "get_weather",
        {"days": 3},
    )
    assert emulator.ledger[0].body["tools"][0]["functionDeclarations"][0]["parameters"][
        "type"
    ] == (6)


def test_a_stream(legacy):
    """It is an array of chunks."""
    model = legacy.GenerativeModel(MODEL)
    model.generate_content(TEXT)
    chunks = list(model.generate_content(TEXT, stream=True))
    used = chunks[-1].usage_metadata

    assert len(chunks) == 3
    assert "".join(it.text for it in chunks) == (
        "Understood. This is the emulator's answer."
    )
    assert (used.prompt_token_count, used.cached_content_token_count) == (3000, 2944)


def test_counting(legacy):
    """It sends the whole request in a field of its own."""
    model = legacy.GenerativeModel(MODEL, system_instruction="s" * 40)

    assert model.count_tokens(TEXT).total_tokens == 3012


def test_what_a_model_can_do(legacy):
    """A model says whether it has cached contents."""
    told = legacy.get_model(MODEL)

    assert "createCachedContent" in told.supported_generation_methods


def test_a_cached_content(legacy, caching, emulator):
    """Created, found, listed, extended by its mask, used, deleted."""
    made = caching.create(
        model=MODEL,
        display_name="d",
        system_instruction="s",
        contents=[TEXT],
        tools=[get_weather],
        tool_config={"function_calling_config": "none"},
        ttl=timedelta(minutes=5),
    )
    begun, listed = made.create_time, [it.name for it in caching.list()]
    made.update(ttl=timedelta(minutes=10))
    by_ttl = made.expire_time
    until = datetime.fromtimestamp(int(emulator.clock.now()) + 900, timezone.utc)
    made.update(expire_time=until)
    model = legacy.GenerativeModel.from_cached_content(made.name)
    said = model.generate_content("the weather of 3 days")
    used = said.usage_metadata
    total = made.usage_metadata.total_token_count
    made.delete()

    assert listed == [made.name]
    assert by_ttl == begun + timedelta(minutes=10)
    assert made.expire_time == until
    assert used.cached_content_token_count == total
    assert said.text
    assert list(caching.list()) == []


def test_what_is_gone(legacy, caching):
    """A refusal has the status of the host."""
    from google.api_core import exceptions  # noqa: PLC0415

    del legacy
    with pytest.raises(exceptions.Forbidden, match="not found"):
        caching.get("cachedContents/none")


def test_names_and_numbers(legacy, emulator):
    """Answers have numbers for enums only where asked, and never inside of a call."""
    del legacy
    body = json.dumps({"contents": [{"parts": [{"text": TEXT}]}]}).encode()

    def told(query):
        emulator.answers.push(ToolCall("f", {"modality": "any"}))
        url = f"{emulator.url}/v1beta/{MODEL}:generateContent{query}"
        request = urllib.request.Request(url, body, {"x-goog-api-key": "k"})
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
        (chosen,), used = found["candidates"], found["usageMetadata"]
        args = chosen["content"]["parts"][0]["functionCall"]["args"]
        modality = used["promptTokensDetails"][0]["modality"]
        return chosen["finishReason"], modality, args["modality"]

    assert told("") == ("STOP", "TEXT", "any")
    assert told("?%24alt=json%3Benum-encoding%3Dint") == (1, 1, "any")
