"""The logging listener: levels and fields."""

import logging
from dataclasses import replace

import pytest

from promptcache.receipts.events import (
    BodyUnreadable,
    CacheCreated,
    CacheEnded,
    CacheExtended,
    CacheLost,
    CreateRefused,
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
from promptcache.receipts.logging import LoggingListener
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
