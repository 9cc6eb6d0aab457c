"""What the logger says of models and plans."""

import logging
import math
import threading

import pytest

from promptcache import Limits, MemoryStore, Policy, PromptCache, options
from promptcache.planlog import PlanLog, note_switched_off, note_unread
from promptcache.providers import Request, provider_named

SONNET, SOL, OLDER, FLASH = (
    "claude-sonnet-5-5",
    "gpt-6-sol",
    "gpt-5.5",
    "gemini-3.8-flash",
)
HOSTS = {"anthropic": "anthropic", "openai": "openai", "google": "developer"}


def asked(provider, model):
    """Return a request with a long prompt, as its provider spells it."""
    text = "word " * 4_000
    if provider == "google":
        body = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    else:
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
    return Request(
        provider_named(provider), body, HOSTS[provider], deployment=model or None
    )


def prepare(provider, model, *, policy="auto", **given):
    cache = PromptCache(policy, store=MemoryStore(), **given)
    cache.prepare(asked(provider, model))
    return cache


def lines(caplog, event):
    return [record for record in caplog.records if record.prompt_cache_event == event]


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "promptcache")
    return caplog


@pytest.mark.parametrize(
    ("provider", "model", "given", "said", "text"),
    [
        pytest.param(
            "anthropic",
            SONNET,
            {},
            {},
            "claude-sonnet-5-5 on anthropic: breakpoints placed, policy auto, "
            "minimum 512 tokens, lifetimes 5m 1h",
            id="lookback",
        ),
        pytest.param(
            "openai",
            SOL,
            {
                "policy": Policy.fixed(
                    tools="30m", system="30m", history=None, tail=None
                )
            },
            {},
            "gpt-6-sol on openai: breakpoints placed, cache key sent, policy fixed, "
            "minimum 1024 tokens, lifetimes 30m",
            id="marked",
        ),
        pytest.param(
            "openai",
            OLDER,
            {},
            {},
            "gpt-5.5 on openai: implicit caching only, cache key sent, policy auto, "
            "minimum 1024 tokens",
            id="prefix",
        ),
        pytest.param(
            "google",
            FLASH,
            {},
            {},
            "gemini-3.8-flash on developer: cached contents within limits 8 live, "
            "$0.10 an hour, policy auto, minimum 4096 tokens",
            id="contents",
        ),
        pytest.param(
            "google",
            FLASH,
            {"limits": Limits(live_caches=2, usd_per_hour=math.inf)},
            {},
            "gemini-3.8-flash on developer: cached contents within limits 2 live, "
            "any price, policy auto, minimum 4096 tokens",
            id="other limits",
        ),
        pytest.param(
            "google",
            FLASH,
            {},
            {"gemini_caches": False},
            "gemini-3.8-flash on developer: implicit caching only, by option, "
            "policy auto, minimum 4096 tokens",
            id="no contents by option",
        ),
        pytest.param(
            "google",
            "gemini-4-argon",
            {},
            {},
            "gemini-4-argon on developer: implicit caching only, no cached contents "
            "known for this model, policy auto, minimum 4096 tokens",
            id="no contents for the model",
        ),
        pytest.param(
            "anthropic",
            SONNET,
            {},
            {"enabled": False},
            "claude-sonnet-5-5 on anthropic: off by option",
            id="off by option",
        ),
        pytest.param(
            "anthropic",
            SONNET,
            {"policy": "off"},
            {},
            "claude-sonnet-5-5 on anthropic: off by policy",
            id="off by policy",
        ),
        pytest.param(
            "anthropic",
            "claude-nova-9",
            {},
            {},
            "claude-nova-9 on anthropic: breakpoints placed, policy auto, minimum 4096 "
            "tokens, lifetimes 5m 1h, by the most cautious rules, as this model is not "
            "known",
            id="assumed",
        ),
        pytest.param(
            "google",
            "",
            {"policy": "off"},
            {},
            "a model without a name on developer: off by policy",
            id="nameless",
        ),
    ],
)
def test_a_model_is_told_of(provider, model, given, said, text, log):
    """One line at INFO says what is active, and why or why not."""
    with options(**said):
        prepare(provider, model, **given)
    (record,) = lines(log, "ModelActive")

    assert (record.levelno, record.getMessage()) == (logging.INFO, text)
    assert record.prompt_cache["provider"] == provider
    assert record.prompt_cache["model"] == model


def test_a_model_is_told_of_once(log):
    """A further request of the same kind says nothing; another model does."""
    cache = prepare("anthropic", SONNET)
    for model in (SONNET, SONNET, "claude-opus-5-5"):
        cache.prepare(asked("anthropic", model))

    told = [record.prompt_cache["model"] for record in lines(log, "ModelActive")]
    assert told == [SONNET, "claude-opus-5-5"]


def test_what_becomes_of_a_model_is_told(log):
    """A model that is switched off, or whose fields are refused, is told of anew."""
    cache = prepare("anthropic", SONNET)
    with options(enabled=False):
        cache.prepare(asked("anthropic", SONNET))
    refused = cache.prepare(asked("anthropic", SONNET))
    assert cache.refuse(refused, 400, "cache_control: extra inputs")
    cache.prepare(asked("anthropic", SONNET))

    told = [record.prompt_cache["active"] for record in lines(log, "ModelActive")]
    assert told[1:] == [
        "off by option",
        "off for now, as the provider refused our fields",
    ]


def test_models_that_are_remembered_are_bounded(monkeypatch, log):
    """However many names come, what is remembered is bounded."""
    monkeypatch.setattr("promptcache.planlog._MAX_TOLD", 2)
    cache = prepare("anthropic", SONNET)
    for number in range(5):
        cache.prepare(asked("anthropic", f"claude-opus-5-5-2026010{number}"))

    assert len(lines(log, "ModelActive")) == 2
    assert len(cache._planner._log._told) == 2


def test_threads_tell_of_a_model_once(log):
    """Requests of many threads make one line."""
    cache = PromptCache(store=MemoryStore())
    threads = [
        threading.Thread(target=cache.prepare, args=(asked("anthropic", SONNET),))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lines(log, "ModelActive")) == 1


def test_each_plan_is_told_at_debug(log):
    """A plan has its breakpoints and their reasons, and no word of a prompt."""
    log.set_level(logging.DEBUG, "promptcache")
    cache = PromptCache(Policy.fixed(history=None), store=MemoryStore())
    body = {
        "model": SONNET,
        "system": "secret " * 4_000,
        "messages": [{"role": "user", "content": "private " * 4_000}],
    }
    for _ in range(2):
        cache.prepare(Request(provider_named("anthropic"), body, "anthropic"))
    first, again = lines(log, "Planned")

    assert first.levelno == logging.DEBUG
    assert first.getMessage() == (
        "Planned: claude-sonnet-5-5: system[0] 1h system, messages[0].content[0] 5m "
        "tail"
    )
    assert again.prompt_cache["breakpoints"] == first.prompt_cache["breakpoints"]
    assert "secret" not in log.text
    assert "private" not in log.text


def test_a_plan_of_nothing_is_told_as_such(log):
    """Where nothing is placed, the line says so."""
    log.set_level(logging.DEBUG, "promptcache")
    prepare("anthropic", SONNET, policy="off")

    (record,) = lines(log, "Planned")
    assert record.getMessage() == "Planned: claude-sonnet-5-5: nothing placed"


def test_a_plan_tells_key_and_retention(log):
    """What a request names beside breakpoints is told, too."""
    log.set_level(logging.DEBUG, "promptcache")
    system = {"role": "system", "content": "rule " * 4_000}
    user = {"role": "user", "content": "What now?"}
    body = {"model": OLDER, "messages": [system, user]}
    with options(ttl="24h"):
        cache = PromptCache(store=MemoryStore())
        cache.prepare(Request(provider_named("openai"), body, "openai"))

    (record,) = lines(log, "Planned")
    assert record.prompt_cache["key"] in record.getMessage()
    assert "kept for 24h" in record.getMessage()


def test_nothing_is_made_for_nobody(caplog):
    """Where the level is not listened to, nothing is said or remembered."""
    caplog.set_level(logging.WARNING, "promptcache")
    cache = prepare("anthropic", SONNET)

    assert caplog.records == []
    assert cache._planner._log._told == set()


COUNTS = {"input_tokens": "12", "output_tokens": 3.5, "details": {"cached_tokens": -1}}


def test_counts_that_are_none_are_told_once_an_answer(log):
    """One line at DEBUG names the fields and their types, not what stood there."""
    log.set_level(logging.DEBUG, "promptcache")
    note_unread("openai", SOL, COUNTS)
    note_unread("openai", SOL, {"input_tokens": 5, "cached_tokens": None, "tier": "x"})
    note_unread("openai", SOL, None)
    (record,) = log.records

    assert record.getMessage() == (
        "UsageUnread: gpt-6-sol: input_tokens is str, output_tokens is float, "
        "cached_tokens is int"
    )
    assert record.prompt_cache["fields"]["input_tokens"] == "str"


def test_counts_are_not_looked_at_for_nobody(log):
    """Above DEBUG nothing is said of them."""
    note_unread("openai", SOL, COUNTS)

    assert log.records == []


def test_switched_off_is_told_once(log, monkeypatch):
    """With `PROMPTCACHE=off` a client that is attached is told of, the first time."""
    monkeypatch.setattr("promptcache.cache.is_switched_off", lambda: True)
    note_switched_off.cache_clear()
    client = object()
    try:
        assert [PromptCache().attach(client) for _ in range(2)] == [client] * 2
    finally:
        note_switched_off.cache_clear()

    (record,) = log.records
    assert record.getMessage().startswith("off by PROMPTCACHE=off")
    assert record.levelno == logging.INFO


def test_a_log_of_its_own():
    """Without limits of a cache, those that hold by default are told."""
    assert PlanLog()._limits == Limits()
