"""Requests that write a head before the first one reads it."""

import pytest

from promptcache.emulator.rules.openai import accepted, verdict_on
from promptcache.emulator.rules.openai_settings import OpenAISettings
from promptcache.errors import OptionError
from promptcache.planning.plan import plan
from promptcache.planning.policies import Policy
from promptcache.providers.openai import RESPONSES
from promptcache.providers.openai.prewarm import warming

WARM = {"prompt_cache_options": {"prewarm": True}}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param({"instructions": "i"}, WARM, id="instructions"),
        pytest.param({"input": "x"}, WARM, id="input"),
        pytest.param({"prompt": {"id": "p"}}, WARM, id="stored-prompt"),
        pytest.param({"input": "x", "prompt_cache_options": None}, WARM, id="null"),
        pytest.param(
            {"input": "x", "prompt_cache_options": {"ttl": "12h", "prewarm": False}},
            {"prompt_cache_options": {"ttl": "12h", "prewarm": True}},
            id="own-options",
        ),
    ],
)
def test_warming(request_, expected):
    """It is the caller's request with one option more."""
    given = {"model": "gpt-6.1-sol", **request_}
    before = dict(given)

    assert warming(given) == {**given, **expected}
    assert given == before


def test_an_unknown_model_may_be_warmed():
    """What it can do is not known."""
    assert warming({"model": "my-deployment", "input": "x"})["model"] == "my-deployment"


@pytest.mark.parametrize(
    ("request_", "match"),
    [
        pytest.param(
            {"model": "gpt-6.1-sol", "messages": []}, "responses.create", id="chat"
        ),
        pytest.param({"model": "gpt-5.2", "input": "x"}, "gpt-5.6", id="earlier-model"),
        pytest.param({"model": "gpt-6.1-sol"}, "instructions", id="nothing"),
        pytest.param({"model": "gpt-6.1-sol", "input": ""}, "instructions", id="empty"),
    ],
)
def test_what_cannot_be_warmed(request_, match):
    """The error says what can."""
    with pytest.raises(OptionError, match=match):
        warming(request_)


def test_no_error_tells_the_prompt():
    """Errors are logged, prompts are not."""
    secret = [{"role": "user", "content": "secret"}]
    with pytest.raises(OptionError) as raised:
        warming({"model": "gpt-6.1-sol", "messages": secret})

    assert "secret" not in str(raised.value)


def planned(body):
    rules, _ = RESPONSES.rules(body["model"], "openai", None)
    outline = RESPONSES.outline(body, host="openai", tenant=None)
    made = plan(outline, rules=rules, policy=Policy.auto())
    return RESPONSES.apply(body, outline, made)


def test_what_is_warmed_is_read():
    """The first conversation finds what every conversation begins with."""
    head = {"role": "developer", "content": "d" * 8000}
    request_ = {"model": "gpt-6.1-sol", "input": [head]}
    warm = planned(warming(request_))
    user = {"role": "user", "content": "hi"}
    first = planned({**request_, "input": [head, user]})
    settings = OpenAISettings()
    written = verdict_on(
        accepted("responses", warm, settings), {}, now=0, settings=settings
    )
    entries = {entry.key: entry for entry in written.written}
    found = verdict_on(
        accepted("responses", first, settings), entries, now=60, settings=settings
    )

    assert warm["prompt_cache_options"]["prewarm"] is True
    assert written.usage.written == found.usage.read > 2000
