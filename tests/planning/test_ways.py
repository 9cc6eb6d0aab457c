"""Books of every way to write, against entries that are followed one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.planning.terms import Terms
from promptcache.planning.ways import (
    PINGS_EARN,
    PRIOR,
    PRIOR_TOKENS,
    WAYS,
    Sizes,
    bills,
    is_cheap_to_promote,
    way_of,
    ways_of,
)
from promptcache.ttl import TTL_SECONDS

READS = [0.025, 0.05, 0.1]
WRITE = {"5m": 1.25, "1h": 2.0}

sessions = st.lists(
    st.tuples(
        st.sampled_from([5, 60, 299, 300, 600, 3_599, 3_600, 9_000]),
        st.integers(0, 20_000),
    ),
    min_size=1,
    max_size=12,
)
"""Seconds since the request before, and what each adds."""


class Entries:
    """A prefix cache that keeps each entry by its own lifetime."""

    def __init__(self, read):
        self.read = read
        self.entries = {}
        """Lifetime and last use by size."""
        self.bill = 0.0

    def live(self, now):
        return {
            size: (ttl, used)
            for size, (ttl, used) in self.entries.items()
            if now - used < TTL_SECONDS[ttl]
        }

    def ask(self, size, ttl, now):
        self.entries = self.live(now)
        known = max(self.entries, default=0)
        self.entries = {it: (kept, now) for it, (kept, _) in self.entries.items()}
        self.bill += self.read * known + WRITE[ttl] * (size - known)
        if size > known:
            self.entries[size] = (ttl, now)


def study_says(added, read_now, held, *, pauses, gaps, read):
    """Whether to promote, in the words of the policy study."""
    rate = (0.045 * 20 + pauses) / (20 + gaps)
    kappa = 3 * (1.25 - read) * rate
    return added > 0 and (2.0 - 1.25) * added < kappa * (read_now - held)


@given(sessions, st.sampled_from(READS))
def test_bills(session, read):
    """Each way costs what it costs where entries are kept, read and dropped."""
    terms = Terms(read)
    caches = {way: Entries(read) for way in ("short", "long", "promote")}
    books, promoted = [0.0] * len(WAYS), 0.0
    plain = size = now = pauses = gaps = 0
    for number, (gap, more) in enumerate(session):
        before, now, size = size, now + gap, size + more
        if number:
            gaps += 1
            pauses += 300 < gap <= 3_600
        live = Sizes(
            size,
            before if number and gap < 300 else 0,
            before if number and gap < 3_600 else 0,
        )
        costs, promoted = bills(live, promoted, pauses=pauses, gaps=gaps, terms=terms)
        books = [sum(it) for it in zip(books, costs, strict=True)]
        plain += size
        caches["short"].ask(size, "5m", now)
        caches["long"].ask(size, "1h", now)
        kept = caches["promote"].live(now)
        known = max(kept, default=0)
        held = max((it for it, (ttl, _) in kept.items() if ttl == "1h"), default=0)
        promotes = known > 0 and study_says(
            size - known, known, held, pauses=pauses, gaps=gaps, read=read
        )
        caches["promote"].ask(size, "1h" if promotes else "5m", now)

    assert books[WAYS.index("none")] == plain
    assert books[WAYS.index("pings")] == books[WAYS.index("short")]
    for way, cache in caches.items():
        assert books[WAYS.index(way)] == pytest.approx(cache.bill), way


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from(READS),
)
def test_when_to_promote(added, known, share, pauses, more, read):
    """The rule is that of the policy study."""
    held, gaps = min(share, known), pauses + more
    found = is_cheap_to_promote(
        added, known - held, pauses=pauses, gaps=gaps, terms=Terms(read)
    )

    assert found == study_says(
        added, known, held, pauses=pauses, gaps=gaps, read=read
    ) or added * 0.75 == pytest.approx(3 * (1.25 - read) * (known - held))


@pytest.mark.parametrize(
    ("added", "unprotected", "pauses", "gaps", "expected"),
    [
        pytest.param(1_000, 10_000, 0, 0, True, id="a-little-protects-a-lot"),
        pytest.param(10_000, 10_000, 0, 0, False, id="as-much-as-it-protects"),
        pytest.param(10_000, 10_000, 10, 10, True, id="a-session-of-pauses"),
        pytest.param(1_000, 10_000, 0, 100, False, id="a-session-without"),
        pytest.param(1, 0, 10, 10, False, id="nothing-to-protect"),
        pytest.param(0, 10_000, 10, 10, False, id="nothing-to-write"),
    ],
)
def test_promoting(added, unprotected, pauses, gaps, expected):
    """A small addition is written for longer for what it protects."""
    found = is_cheap_to_promote(
        added, unprotected, pauses=pauses, gaps=gaps, terms=Terms()
    )

    assert found is expected


def test_one_lifetime_cannot_promote():
    """Neither is it found cheap, nor do the books differ from the short way's."""
    terms = Terms(0.1, "30m", None)
    sizes = Sizes(2_000, 1_000, 1_000)
    costs, promoted = bills(sizes, 0, pauses=9, gaps=9, terms=terms)

    assert not is_cheap_to_promote(1, 10**6, pauses=9, gaps=9, terms=terms)
    assert len({*costs[1:]}) == 1
    assert promoted == 0


@given(
    st.lists(st.floats(1, 1e9), min_size=len(WAYS), max_size=len(WAYS)),
    st.floats(1, 1e9),
    st.lists(st.floats(0, 1e8), min_size=len(WAYS), max_size=len(WAYS)),
    st.lists(st.sampled_from(WAYS), min_size=1, unique=True),
)
def test_the_cheapest_way(population, tokens, session, allowed):
    """Thirty million tokens as all sessions have them, and this session's own."""
    quiet = [way for way in allowed if way != "pings"] or ["short"]
    chosen = way_of(population, tokens, session, quiet)
    bill = {
        way: 3e7 * population[at] / tokens + session[at] for at, way in enumerate(WAYS)
    }

    assert chosen in quiet
    assert bill[chosen] == pytest.approx(min(bill[way] for way in quiet))
    assert way_of(population, tokens, session, [*quiet, "pings"]) in {chosen, "pings"}


@pytest.mark.parametrize(
    ("pings", "own", "is_over", "way"),
    [
        pytest.param(0.10, 9e6, True, "pings", id="cheaper-for-all"),
        pytest.param(0.17, 0.0, True, "long", id="not-cheaper-for-all"),
        pytest.param(0.10, 9e6, False, "long", id="dearer-here-and-no-other-is-over"),
        pytest.param(0.17, 0.0, False, "pings", id="cheaper-here"),
    ],
)
def test_who_tells_of_pings(pings, own, is_over, way):
    """All sessions tell whether they pay; before one is over, this one does."""
    tokens = 5e6 if is_over else PRIOR_TOKENS
    population = [tokens * share for share in (1, 0.2, 0.17, 0.18, pings)]

    assert way_of(population, tokens, (9e6, 9e6, 5e6, 9e6, own), WAYS) == way


@pytest.mark.parametrize(("share", "way"), [(0.999, "pings"), (1.001, "long")])
def test_pings_have_to_earn_their_sending(share, way):
    """At the price of another way, nothing is sent."""
    long = 0.17 * 5e6
    population = (5e6, 9e6, long, 9e6, share * long / PINGS_EARN)

    assert way_of(population, 5e6, [0.0] * len(WAYS), WAYS) == way


@pytest.mark.parametrize(
    ("terms", "asked", "first", "rest"),
    [
        pytest.param(Terms(), {}, "long", {"short", "none"}, id="both"),
        pytest.param(
            Terms(),
            {"promotes": True},
            "promote",
            {"long", "short", "none"},
            id="may-promote",
        ),
        pytest.param(
            Terms(), {"pings": True}, "long", {"short", "none", "pings"}, id="may-ping"
        ),
        pytest.param(
            Terms(0.1, "30m", None),
            {"promotes": True, "pings": True},
            "short",
            {"none"},
            id="one-lifetime-without-pings",
        ),
    ],
)
def test_the_ways_of_a_provider(terms, asked, first, rest):
    """What it lacks is not among them."""
    found = ways_of(terms, **{"promotes": False, "pings": False, **asked})

    assert found[0] == first
    assert {*found[1:]} == rest


def test_before_any_session():
    """An hour is the way of recorded sessions, until this one shows another."""
    known = [share * PRIOR_TOKENS for share in PRIOR]
    # A session without pauses, by its own books.
    machine = [3e7, 4.3e6, 5.2e6, 5.0e6, 5.0e6]
    nothing = [0.0] * len(WAYS)

    assert way_of(known, PRIOR_TOKENS, nothing) == "long"
    assert way_of(known, PRIOR_TOKENS, machine) == "short"
    assert way_of(known, PRIOR_TOKENS, nothing, ("none", "short")) == "short"


@pytest.mark.parametrize(
    ("live", "pinged", "kept", "cost"),
    [
        pytest.param(0, 8_000, 300, 300 + 800 + 2_500, id="kept-alive"),
        pytest.param(0, 0, 300, 300 + 12_500, id="dropped-all-the-same"),
        pytest.param(8_000, 0, 0, 800 + 2_500, id="no-silence"),
    ],
)
def test_pings(live, pinged, kept, cost):
    """What pings keep alive is read, at the price of the pings."""
    sizes = Sizes(10_000, live, max(live, pinged), pinged, kept)
    costs, _ = bills(sizes, 0, pauses=0, gaps=1, terms=Terms())

    assert costs[WAYS.index("pings")] == pytest.approx(cost)
