"""What is taken to be alive, against what the emulator's rules can read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.planning.terms import Terms
from promptcache.state.paths import Lineage
from promptcache.state.prefixes import Prefixes
from promptcache.state.written import alive, found, mark, premium, promise, rewrite
from tests.support.block_judge import Judge, letters

TERMS = Terms()


class Provider:
    """A trie with marks, and an emulated provider that sees the same requests."""

    def __init__(self, reading, lookback=20):
        self.prefixes, self.reading, self.lookback = Prefixes(10_000), reading, lookback
        self.judge = Judge(reading=reading, lookback=lookback)
        self.now = 0.0

    @property
    def firmly(self):
        return self.reading == "seg"

    def path(self, names):
        return self.prefixes.path(letters(names))

    def alive(self, names):
        return alive(self.path(names), self.now, TERMS, firmly=self.firmly)

    def send(self, names, points):
        """Send a request; return what it was to read, and what it read."""
        outline = letters(names)
        path = self.prefixes.path(outline)
        read = found(
            outline, path, points, self.now, firmly=self.firmly, reach=self.lookback
        )
        grown = self.prefixes.grow(outline, path, self.now, Lineage())
        mark(grown, points, read, self.now, firmly=self.firmly)
        told = self.judge.judge(outline, points, self.now)
        tokens = outline.blocks.tokens
        return (tokens[read] if read >= 0 else 0), told.read


READINGS = pytest.mark.parametrize("reading", ["seg", "ent"])


def points_in(length):
    """Return breakpoints of a request, the longer lifetimes first, as it must be."""
    at = st.sets(st.integers(0, length - 1), min_size=1, max_size=3)
    return st.tuples(at, st.integers(0, 3)).map(
        lambda it: tuple(
            (place, "1h" if number < it[1] else "5m")
            for number, place in enumerate(sorted(it[0]))
        )
    )


WORDS = st.text("ab", min_size=1, max_size=6)
REQUESTS = st.lists(
    st.tuples(
        WORDS.flatmap(lambda it: st.tuples(st.just(it), points_in(len(it)))),
        st.sampled_from([0.0, 100.0, 200.0, 299.0, 301.0, 1_500.0, 3_599.0, 3_601.0]),
    ),
    min_size=1,
    max_size=9,
)


@READINGS
@given(REQUESTS, st.sampled_from([1, 2, 20]))
def test_nothing_is_taken_to_be_alive_that_is_not(reading, requests, lookback):
    """Whatever is sent and when: what is counted on is read."""
    provider = Provider(reading, lookback)
    for (names, points), gap in requests:
        entry, held, _ = provider.alive(names)
        assert held <= entry <= provider.judge.deepest(letters(names), provider.now)

        expected, read = provider.send(names, points)
        assert expected <= read
        provider.now += gap


@READINGS
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from(["5m", "1h"]), st.integers(0, 5)),
        min_size=1,
        max_size=12,
    )
)
def test_a_conversation_that_grows(reading, steps):
    """Of one that only grows, all that can be read is known."""
    provider, names = Provider(reading), ""
    for more, ttl, gap in steps:
        names += "x" * more
        entry, *_ = provider.alive(names)
        assert entry == provider.judge.deepest(letters(names), provider.now)

        expected, read = provider.send(names, ((len(names) - 1, ttl),))
        assert expected == read
        provider.now += (0.0, 200.0, 299.0, 301.0, 2_000.0, 3_601.0)[gap]


@pytest.mark.parametrize(
    ("reading", "entry"), [pytest.param("ent", 2, id="ent"), pytest.param("seg", -1)]
)
def test_what_a_promoted_prefix_lives(reading, entry):
    """By its own lifetime in one reading, by its first segment's in the other."""
    provider = Provider(reading)
    provider.send("ab", ((1, "5m"),))
    provider.send("abc", ((2, "1h"),))
    provider.now = 600.0

    assert provider.alive("abcd")[0] == entry


def test_what_lives_long():
    """The deepest entry alive need not be the deepest that lives for an hour."""
    provider = Provider("ent")
    provider.send("ab", ((0, "1h"), (1, "5m")))

    assert provider.alive("abc") == (1, 0, False)
    provider.now = 400.0
    assert provider.alive("abc") == (0, 0, True)


def test_what_reading_does_not_touch_is_not_refreshed():
    """An entry lives on with what was built on it, not with what is beside it."""
    provider = Provider("seg")
    provider.send("abc", ((2, "5m"),))
    provider.now = 100.0
    provider.send("abc", ((0, "5m"), (2, "5m")))
    provider.now = 300.0
    provider.send("abc", ((2, "5m"),))
    provider.now = 450.0

    assert provider.alive("ax")[0] == provider.judge.deepest(letters("ax"), 450.0) == -1


def test_what_is_over_stays_over():
    """Reading what was built on an entry does not bring that back."""
    provider = Provider("ent")
    provider.send("ab", ((1, "5m"),))
    provider.send("abc", ((2, "1h"),))
    provider.now = 600.0
    assert provider.send("abc", ((2, "1h"),)) == (300, 300)

    assert provider.alive("abx")[0] == provider.judge.deepest(letters("abx"), 600) == -1


def test_what_was_lost_is_written_anew():
    """Nothing of the prefix is taken to be alive but what the request wrote."""
    provider = Provider("seg")
    provider.send("abcd", ((1, "1h"), (3, "5m")))
    provider.now = 10.0
    outline = letters("abcd")
    rewrite(provider.prefixes.path(outline), ((2, "5m"),), 10.0, firmly=True)

    assert provider.alive("abcd") == (2, -1, False)


@pytest.mark.parametrize(
    ("gap", "promised"),
    [
        pytest.param(300, -1, id="no-pause"),
        pytest.param(301, 2, id="pause"),
        pytest.param(3_499, 2, id="long-pause"),
        pytest.param(3_500, -1, id="too-near-the-end"),
    ],
)
def test_what_tells_whether_promoted_prefixes_are_kept(gap, promised):
    """A reading after more than five minutes, of what was written for less."""
    provider = Provider("ent")
    provider.send("ab", ((1, "5m"),))
    provider.send("abc", ((2, "1h"),))
    path = provider.path("abcd")

    assert promise(path, 2, float(gap), TERMS) == promised
    assert promise(path, -1, float(gap), TERMS) == -1


def test_what_was_written_long_at_once_tells_nothing():
    """It lives for an hour in either reading."""
    provider = Provider("ent")
    provider.send("abc", ((2, "1h"),))

    assert promise(provider.path("abcd"), 2, 600.0, TERMS) == -1


@given(WORDS.flatmap(lambda it: st.tuples(st.just(it), points_in(len(it)))))
def test_the_most_that_a_request_may_cost(request_and_points):
    """It is what an emulated provider bills where nothing is alive."""
    names, points = request_and_points
    outline = letters(names)
    told = Judge().judge(outline, points, 0.0)

    assert premium(outline, points, TERMS) == pytest.approx(told.excess)


def test_an_hour_behind_five_minutes():
    """All before the last breakpoint of an hour is written for an hour."""
    outline = letters("abcd")
    points = ((0, "5m"), (2, "1h"), (3, "5m"))

    assert premium(outline, points, TERMS) == 300 * 1.0 + 100 * 0.25
    assert premium(outline, points, TERMS, read=0) == 200 * 1.0 + 100 * 0.25
    assert premium(outline, points, TERMS, read=3) == 0
    assert premium(outline, (), TERMS) == 0
