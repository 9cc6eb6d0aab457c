"""The logging listener: levels and fields."""

import logging
from dataclasses import replace
from typing import get_args

import pytest

from promptcache.receipts.events import (
    BodyUnreadable,
    CacheCreated,
    CacheEnded,
    CacheExtended,
    CacheLost,
    CreateRefused,
    Event,
    LimitReached,
    MarkersChanged,
    ModelAssumed,
    PlanningFailed,
    RetriedUnplanned,
    Settled,
    SteppedAside,
    StoreFailed,
    UsageMissing,
)
from promptcache.receipts.logging import _CAUSES, LoggingListener
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage

RECEIPT = Receipt(
    provider="anthropic",
    model="claude-a",
    at=1.0,
    policy="auto",
    usage=Usage(100, 90, 5),
    cost_usd=0.5,
)


def test_answer_is_logged_at_debug(caplog):
    """A receipt is one readable line with all fields attached; unknown is `?`."""
    with caplog.at_level(logging.DEBUG, "promptcache"):
        LoggingListener()(Settled(RECEIPT))
    (record,) = caplog.records

    assert record.levelno == logging.DEBUG
    assert record.getMessage() == (
        "Settled: claude-a; read 90 (90%) and wrote 5 of 100 tokens; "
        "cost $0.500000, saved ?"
    )
    assert record.prompt_cache_event == "Settled"
    assert record.prompt_cache["read_tokens"] == 90


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(BodyUnreadable("p", None, "why"), id="unreadable"),
        pytest.param(PlanningFailed("p", "m", "KeyError", "at x"), id="failed"),
        pytest.param(MarkersChanged("p", "m", ("system[0]",)), id="markers"),
        pytest.param(RetriedUnplanned("p", "m", 400, "no"), id="retried"),
        pytest.param(ModelAssumed("p", "m"), id="assumed"),
        pytest.param(UsageMissing("p", "m", "why"), id="usage"),
        pytest.param(SteppedAside("p", "why"), id="aside"),
        pytest.param(CreateRefused("p", "m", "busy", "no"), id="refused"),
        pytest.param(CacheLost("p", "m", "cachedContents/1", 403), id="lost"),
        pytest.param(LimitReached("p", "m", "live_caches", 0.2), id="limit"),
    ],
)
def test_everything_else_is_a_warning(event, caplog):
    """An event that somebody should look at is logged as a warning with its fields."""
    LoggingListener()(event)
    (record,) = caplog.records

    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith(f"{type(event).__name__}: provider=p")
    assert record.prompt_cache["provider"] == "p"


REPEATED = [
    pytest.param(
        BodyUnreadable("p", "m", "why"), BodyUnreadable("p", "m", "other"), id="body"
    ),
    pytest.param(
        PlanningFailed("p", "m", "KeyError", "at x"),
        PlanningFailed("p", "m", "KeyError", "at y"),
        id="failed",
    ),
    pytest.param(
        MarkersChanged("p", "m", ("messages[4]",)),
        MarkersChanged("p", "n", ("messages[4]",)),
        id="markers",
    ),
    pytest.param(
        RetriedUnplanned("p", "m", 400, "request 1"),
        RetriedUnplanned("p", "m", 422, "request 1"),
        id="retried",
    ),
    pytest.param(ModelAssumed("p", "m"), ModelAssumed("p", "n"), id="assumed"),
    pytest.param(
        UsageMissing("p", "m", "why"), UsageMissing("p", "m", "other"), id="usage"
    ),
    pytest.param(SteppedAside("p", "why"), SteppedAside("p", "other"), id="aside"),
    pytest.param(
        CreateRefused("p", "m", "busy", "no"),
        CreateRefused("p", "m", "too_small", "no"),
        id="refused",
    ),
    pytest.param(
        CacheLost("p", "m", "n", 403), CacheLost("p", "m", "n", 404), id="lost"
    ),
    pytest.param(
        LimitReached("p", "m", "live_caches", 0.2),
        LimitReached("p", "m", "usd_per_hour", 0.2),
        id="limit",
    ),
    pytest.param(StoreFailed("reading: no"), StoreFailed("writing: no"), id="store"),
]
CHANGING = {
    MarkersChanged: {"dropped": ("messages[6]",)},
    RetriedUnplanned: {"message": "request 2"},
    CreateRefused: {"message": "never"},
    CacheLost: {"name": "another"},
    LimitReached: {"would_usd_per_hour": 0.3},
}
"""What may differ between two events of one cause."""


@pytest.mark.parametrize(("event", "other"), REPEATED)
def test_a_cause_is_a_warning_once(event, other, caplog):
    """What comes again for the same reason is at DEBUG; another reason is news."""
    listener = LoggingListener()
    again = replace(event, **CHANGING.get(type(event), {}))
    with caplog.at_level(logging.DEBUG, "promptcache"):
        for it in (event, again, other, event):
            listener(it)

    warned, repeated = logging.WARNING, logging.DEBUG
    levels = [record.levelno for record in caplog.records]
    assert levels == [warned, repeated, warned, repeated]


def test_every_event_has_a_cause_or_a_level_of_its_own():
    """An event that is new here has to be placed, or it floods the log."""
    placed = {*_CAUSES, Settled, CacheCreated, CacheExtended, CacheEnded}

    assert placed == set(get_args(Event))


def test_causes_that_are_remembered_are_bounded(monkeypatch):
    """However many models come, what is remembered is bounded."""
    monkeypatch.setattr("promptcache.receipts.logging._MAX_CAUSES", 3)
    listener = LoggingListener()
    for number in range(9):
        listener(ModelAssumed("p", f"model-{number}"))

    assert [cause[2] for cause in listener._seen] == ["model-6", "model-7", "model-8"]


def test_what_nobody_heard_is_still_news(caplog):
    """A warning that was not listened to is not taken as told."""
    listener = LoggingListener()
    with caplog.at_level(logging.ERROR, "promptcache"):
        listener(ModelAssumed("p", "m"))
    listener(ModelAssumed("p", "m"))
    (record,) = caplog.records

    assert record.levelno == logging.WARNING


def test_failed_store_is_a_warning(caplog):
    """What a store could not do is logged as a warning."""
    LoggingListener()(StoreFailed("reading: no"))
    (record,) = caplog.records

    assert record.levelno == logging.WARNING
    assert record.getMessage() == "StoreFailed: what=reading: no"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(CacheCreated("p", "m", "n", 9, 60.0, 0.1), id="created"),
        pytest.param(CacheExtended("p", "m", "n", 60.0), id="extended"),
        pytest.param(CacheEnded("p", "m", "n", "expired", 9.0, 0.1), id="ended"),
    ],
)
def test_life_of_a_cache_is_logged_as_info(event, caplog):
    """What is created, extended and ended is told to those who listen for it."""
    with caplog.at_level(logging.INFO, "promptcache"):
        LoggingListener()(event)
    (record,) = caplog.records

    assert record.levelno == logging.INFO
    assert "provider=p, model=m, name=n" in record.getMessage()
    assert record.prompt_cache["name"] == "n"


def test_unknown_tokens_are_a_question_mark(caplog):
    """A count that was not reported is not logged as zero."""
    with caplog.at_level(logging.DEBUG, "promptcache"):
        LoggingListener()(Settled(replace(RECEIPT, usage=Usage(100))))

    assert "read ? and wrote ? of 100 tokens" in caplog.text


def test_disabled_level_costs_nothing(caplog):
    """Nothing is formatted for a level that nobody listens to."""
    with caplog.at_level(logging.INFO, "promptcache"):
        LoggingListener()(Settled(RECEIPT))

    assert caplog.records == []


def test_package_logger_has_a_null_handler():
    """Without a configured handler nothing is printed."""
    handlers = logging.getLogger("promptcache").handlers

    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)
