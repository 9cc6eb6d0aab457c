"""What the page shows beside the sums."""

import pytest

from promptcache.analysis.report.course import BINS, Course
from promptcache.receipts.entry import Entry
from promptcache.receipts.miss import Miss
from promptcache.receipts.receipt import Receipt
from promptcache.receipts.usage import Usage

HOUR = 3600.0


def course(*receipts):
    found = Course()
    for values in receipts:
        base = {"provider": "a", "model": "m", "at": 0.0, "policy": "auto"}
        found.add(Entry.of(Receipt(**{**base, **values})))
    return found


def spending(at, cost_usd=1.0, without_caching_usd=3.0):
    return {
        "at": at,
        "cost_usd": cost_usd,
        "without_caching_usd": without_caching_usd,
    }


def test_spans_cover_all_time_evenly():
    """Stretches have one length, and those without requests are there, too."""
    spans = course(spending(60), spending(70), spending(250)).spans(10)

    assert [(it.start, it.requests, it.cost_usd) for it in spans] == [
        (60, 2, 2.0),
        (120, 0, None),
        (180, 0, None),
        (240, 1, 1.0),
    ]


def test_spans_are_as_few_as_wanted():
    """The length is the least that makes no more than so many of them."""
    two_days = [spending(n * HOUR) for n in range(48)]
    spans = course(*two_days).spans(20)

    assert (spans[0].seconds, len(spans)) == (3 * HOUR, 16)
    assert sum(it.requests for it in spans) == 48
    assert sum(it.without_caching_usd for it in spans) == 144


def test_spans_are_bounded_while_they_are_counted():
    """Requests of many years take few stretches."""
    found = course(*(spending(n * 9e6) for n in range(5000)))

    assert len(found._spans) <= 400
    assert sum(it.requests for it in found.spans(50)) == 5000
    assert len(found.spans(50)) <= 50


def test_unknown_costs_are_no_zero():
    """A stretch of unknown costs has none, and one of some says that."""
    spans = course(
        spending(0, None, None), spending(60, None, 2.0), spending(60, 1.0, 2.0)
    ).spans(10)

    assert [(it.cost_usd, it.without_caching_usd, it.is_partial) for it in spans] == [
        (None, None, True),
        (1.0, 4.0, True),
    ]


def test_waits_of_hits_and_misses():
    """Requests that read something are apart from those that read nothing."""
    found = course(
        {"usage": Usage(9, 5), "first_token_s": 0.25},
        {"usage": Usage(9, 0), "first_token_s": 99.0},
        {"usage": Usage(9, None), "first_token_s": 1.0},
        {"usage": Usage(9, 5), "first_token_s": None},
        {"usage": Usage(9, 5), "first_token_s": 0.25, "requests": 2},
    )

    assert (found.hits.requests, found.misses.requests) == (1, 1)
    assert found.hits.bins[BINS.index(0.3)] == 1
    assert found.misses.bins[-1] == 1
    assert (found.hits.quantile(0.5), found.misses.quantile(0.95)) == (0.25, 99.0)


def test_where_prefixes_ended():
    """The last breakpoint of a request tells; what is read may be unknown."""
    found = course(
        {"usage": Usage(100, 80), "breakpoints": ("tools[1] 1h tools",)},
        {
            "usage": Usage(100, 50),
            "breakpoints": ("tools[1] 1h tools", "automatic 5m tail"),
        },
        {"usage": Usage(100, None), "breakpoints": ("system[0] 5m system",)},
        {"usage": Usage(100, 80)},
    )

    assert list(found.ends()) == [
        ("tools", 1, 0.8),
        ("system", 1, None),
        ("messages", 1, 0.5),
    ]


def test_dearest_misses():
    """The ten that cost most are kept, and of equals the first."""

    def missing(at, cost_usd, tokens=None):
        miss = Miss("expired", "clock", None, None, None, tokens, cost_usd)
        return {"at": at, "misses": (miss,)}

    found = course(
        *(missing(n, (n % 500) / 100) for n in range(1000)),
        missing(7000, None, 5),
        missing(8000, None, None),
    )

    by_tokens = course(missing(1, None, 5), missing(2, None, 9))

    assert [it.at for it in found.dearest()] == [
        *(499, 999, 498, 998, 497, 997),
        *(496, 996, 495, 995),
    ]
    assert [it.at for it in by_tokens.dearest()] == [2, 1]


def test_nothing_at_all():
    """Without receipts there is nothing to show."""
    found = course()

    assert (found.first, found.spans(9), list(found.ends()), found.dearest()) == (
        None,
        [],
        [],
        [],
    )


@pytest.mark.parametrize("times", [(5.0, 9.0, 7.0), (9.0, 5.0, 7.0), (7.0, 9.0, 5.0)])
def test_first_and_last(times):
    """Receipts of several files need not come in order."""
    found = course(*({"at": at} for at in times))

    assert (found.first, found.last) == (5.0, 9.0)
