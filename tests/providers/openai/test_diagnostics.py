"""Asking OpenAI why a prefix was missed."""

import pydantic
import pytest

from promptcache.providers.openai import CHAT, RESPONSES
from promptcache.providers.openai.diagnostics import asked, told

BODY = {"model": "gpt-6.1-sol", "prompt_cache_options": {"mode": "explicit"}}


def test_a_planned_request_is_compared():
    """With the one before, and the body is not written to."""
    before = {**BODY, "prompt_cache_options": dict(BODY["prompt_cache_options"])}

    assert asked(BODY, "r1") == {
        "model": "gpt-6.1-sol",
        "prompt_cache_options": {"mode": "explicit", "comparison_response_id": "r1"},
    }
    assert before == BODY


@pytest.mark.parametrize(
    ("body", "previous"),
    [
        pytest.param(BODY, None, id="first-request"),
        pytest.param({"model": "gpt-5.2"}, "r1", id="no-options"),
        pytest.param({"prompt_cache_options": None}, "r1", id="null"),
        pytest.param(
            {"prompt_cache_options": {"comparison_response_id": "mine"}}, "r1", id="own"
        ),
    ],
)
def test_what_is_not_asked(body, previous):
    """The very same body."""
    assert asked(body, previous) is body


def test_who_is_asked():
    """Only the Responses API, on hosts that answer."""
    named = {"gateway.example": {"host": "openai"}}
    openai, azure = {"host": "openai"}, {"host": "azure"}
    gateway = {"host": "gateway.example"}

    for where, facts in ((openai, None), (gateway, named)):
        told = RESPONSES.asked(BODY, "r1", **where, overrides=facts)
        assert told == asked(BODY, "r1")
    for where in (azure, gateway):
        assert RESPONSES.asked(BODY, "r1", **where, overrides=None) is BODY
    assert CHAT.asked(BODY, "r1", **openai, overrides=None) is BODY


class Diagnosis(pydantic.BaseModel):
    type: str
    reason: str


@pytest.mark.parametrize(
    ("diagnosis", "expected"),
    [
        pytest.param(None, None, id="nothing"),
        pytest.param("odd", None, id="odd"),
        pytest.param({}, None, id="empty"),
        pytest.param({"type": "cache_hit"}, None, id="hit"),
        pytest.param(
            {
                "type": "cache_miss",
                "reason": "tools_changed",
                "cache_missed_tokens": 1200,
                "comparison_reusable_tokens": 0,
            },
            "tools_changed, about 1200 tokens",
            id="miss",
        ),
        pytest.param(
            {"type": "cache_miss", "reason": "input_changed"},
            "input_changed",
            id="no-count",
        ),
        pytest.param({"type": "cache_miss"}, None, id="no-reason"),
        pytest.param(
            {"type": "comparison_response_not_found"},
            "comparison_response_not_found",
            id="not-found",
        ),
        pytest.param({"type": "unavailable"}, "unavailable", id="unavailable"),
        pytest.param(
            Diagnosis(type="cache_miss", reason="model_changed"),
            "model_changed",
            id="object",
        ),
    ],
)
def test_the_reason(diagnosis, expected):
    """In a word and a number."""
    assert told(diagnosis) == expected
