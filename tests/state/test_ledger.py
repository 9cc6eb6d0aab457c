"""The books of the ways to write, by conversation and by kind of traffic."""

import pytest

from promptcache.planning.terms import Terms
from promptcache.planning.ways import PAUSES, PRIOR, PRIOR_TOKENS, WAYS
from promptcache.state import ledger as module
from promptcache.state.ledger import FADES, LONGEST, MANY_GAPS, Books, Ledger, Pace
from promptcache.state.paths import Lineage
from promptcache.state.prefixes import Prefixes
from tests.support.block_judge import letters

TERMS = Terms()
SHORT, LONG = WAYS.index("short"), WAYS.index("long")


class World:
    """A ledger, and conversations of which each has a lineage."""

    def __init__(self, *, root=b"m"):
        self.ledger, self.prefixes = Ledger(), Prefixes(100_000)
        self.root, self.now, self.lineages = root, 0.0, {}

    def send(self, names, *, size=4_000, root=None, talk=None):
        outline = letters(names, sizes=lambda _: size, root=root or self.root)
        lineage = self.lineages.setdefault(talk, Lineage())
        path = self.prefixes.path(outline)
        self.ledger.note(outline, path, lineage, TERMS, now=self.now)
        self.prefixes.grow(outline, path, self.now, lineage)
        return lineage

    def way(self, lineage=None, *, allowed=("none", "short", "long"), root=None):
        outline = letters("a", root=root or self.root)
        lineage = lineage or Lineage()
        return self.ledger.way(outline, lineage, allowed, now=self.now)

    def books(self):
        self.ledger._close(self.now)
        return self.ledger._kinds.get(self.root) or Books.usual()


@pytest.fixture
def world():
    return World()


def test_what_each_way_would_have_cost(world):
    """A conversation's books, by hand: 1,000 tokens a turn, the second one late."""
    lineage = world.send("a")
    assert lineage.bills[:3] == (1_000, 1_250, 2_000)
    world.now = 400.0
    world.send("ab")

    assert lineage.bills[:3] == (3_000, 1_250 + 2_500, 2_000 + 100 + 2_000)
    assert (lineage.turns, lineage.gaps, lineage.pauses) == (2, 1, 1)
    assert (lineage.tokens, lineage.size, lineage.used) == (3_000, 2_000, 400.0)


def test_nothing_counts_for_all_before_a_conversation_is_over(world):
    """It is when nothing of it can be alive any more."""
    usual = Books.usual()
    lineage = world.send("a")
    world.now = 3_599.0
    assert world.books() == usual
    world.send("ab")
    world.now = 7_198.0
    assert world.books() == usual
    world.now = 7_199.0

    books = world.books()
    assert books.tokens == FADES * PRIOR_TOKENS + 3_000
    assert (
        books.bills[SHORT]
        == FADES * PRIOR[SHORT] * PRIOR_TOKENS + (lineage.bills[SHORT])
    )
    assert not world.ledger._open


@pytest.mark.parametrize(
    ("gap", "way"), [pytest.param(60, "short"), pytest.param(1_000, "long")]
)
def test_it_follows_the_cheapest(world, gap, way):
    """Five minutes where requests come fast, an hour where they come slowly."""
    for talk in range(60):
        for turn in range(1, 12):
            world.send(f"{chr(300 + talk)}abcdefghijk"[:turn], size=400_000, talk=talk)
            world.now += gap
        world.now += 4_000

    assert world.way() == way
    assert world.way(root=b"other") == "long"


def test_a_conversation_has_its_say(world):
    """Against what is usual, once it has cost enough."""
    lineage, names = None, ""
    for turn in range(60):
        names += chr(300 + turn)
        lineage = world.send(names, size=200_000, talk="fast")
        world.now += 10

    assert world.way(lineage) == "short"
    assert world.way() == "long"


def test_only_what_is_allowed_is_taken(world):
    """What a provider lacks is not, however cheap it is; of equals the first is."""
    assert world.way(allowed=("none", "short")) == "short"
    assert world.way(allowed=("promote", "long")) == "promote"
    assert world.way(allowed=("long", "promote")) == "long"


@pytest.mark.parametrize(
    ("gaps", "more"),
    [
        pytest.param([], -PAUSES, id="nothing-seen"),
        pytest.param([False] * 50, -PAUSES, id="never-a-pause"),
        pytest.param([True], 20 * 1.9 / 21 - PAUSES, id="the-first-gap"),
        pytest.param([True] + [False] * 19, 20 * 1.9 / 40 - PAUSES, id="as-usual"),
        pytest.param([True] * 20, 20 * 20.9 / 40 - PAUSES, id="always"),
    ],
)
def test_the_pace_of_a_kind(gaps, more):
    """Nothing is insured before the first pause; from then on each counts."""
    pace = Pace()
    for is_pause in gaps:
        pace.note(is_pause=is_pause)

    assert pace.more == pytest.approx(more)


def test_a_pace_changes():
    """Of very many gaps older ones fade."""
    pace = Pace()
    for number in range(5 * MANY_GAPS):
        pace.note(is_pause=number < MANY_GAPS)

    assert pace.gaps <= MANY_GAPS + 1
    assert pace.pauses < MANY_GAPS / 20


def test_pauses_of_others_count(world):
    """A conversation expects those of its kind, and of its kind alone."""
    outline, other = letters("a", root=b"m"), letters("a", root=b"other")
    before = world.ledger.pauses(outline, Lineage(pauses=2))
    for turn in range(1, 4):
        world.send("abc"[:turn], talk="slow")
        world.now += 1_000
    after = world.ledger.pauses(outline, Lineage(pauses=2))

    assert before == world.ledger.pauses(other, Lineage(pauses=2)) == 2 - PAUSES
    assert after == pytest.approx(2 + 20 * 2.9 / 22 - PAUSES)


@pytest.mark.parametrize(
    ("gap", "promoted"),
    [
        pytest.param(289, False, id="never-a-pause"),
        pytest.param(301, True, id="a-pause"),
        pytest.param(3_601, False, id="too-long-for-any-lifetime"),
    ],
)
def test_nothing_is_promoted_before_a_pause(world, gap, promoted):
    """The books of a conversation insure it only where its kind has paused."""
    names = "".join(chr(300 + it) for it in range(42))
    for turn in range(40):
        world.send(names[: turn + 1], talk="one")
        world.now += 10
    world.now += gap
    world.send(names[:41], talk="one")
    lineage = world.send(names, talk="one")

    assert bool(lineage.promoted) is promoted


def test_old_books_fade(world):
    """What is long ago weighs less than what was just now."""
    for _ in range(1_000):
        world.ledger.add(b"m", Books(1.0, 1e6, (1e6, 3e5, 1e5, 1e5, 1e5)))
    assert world.books().tokens == pytest.approx(1e6 / (1 - FADES), rel=0.01)
    for _ in range(300):
        world.ledger.add(b"m", Books(1.0, 1e6, (1e6, 1e5, 3e5, 3e5, 3e5)))

    assert world.way() == "short"


def test_books_of_many_conversations_at_once():
    """They count as if they had come one by one, but for what each has faded."""
    one, many = Books.usual(), Books.usual()
    told = Books()
    for _ in range(5):
        one.add(Books(1.0, 100.0, (1.0,) * len(WAYS)))
        told.add(Books(1.0, 100.0, (1.0,) * len(WAYS)))
    many.add(told)

    assert many.tokens == pytest.approx(one.tokens, rel=1e-3)
    assert many.bills == pytest.approx(one.bills, rel=1e-3)


def test_a_conversation_that_never_ends(world):
    """It grows no further than some size, and its kind learns of it as it goes."""
    names = "abcdefgh"
    lineage = world.send(names, size=4_000_000)
    for _ in range(200):
        world.now += 60
        world.send(names, size=4_000_000)

    assert lineage.tokens <= LONGEST
    assert world.ledger._kinds[b"m"].tokens > 5 * PRIOR_TOKENS
    assert world.ledger._open
    assert len(world.ledger._open) == 1


def test_open_conversations_are_bounded(world, monkeypatch):
    """Those that are too many have books of their own all the same."""
    monkeypatch.setattr(module, "MAX_OPEN", 5)
    for talk in range(50):
        lineage = world.send(chr(300 + talk), talk=talk)

    assert lineage.bills[0] == 1_000
    assert len(world.ledger._open) == 5


def test_kinds_are_bounded(world, monkeypatch):
    """The kind of traffic that ended least recently goes first."""
    monkeypatch.setattr(module, "MAX_KINDS", 5)
    for talk in range(50):
        world.send("a", talk=talk, root=bytes([talk]))
        world.now += 1
    world.now = 9_999.0
    world.ledger._close(world.now)

    assert list(world.ledger._kinds) == [bytes([it]) for it in range(45, 50)]


def test_an_empty_request(world):
    """It costs nothing, and is no turn."""
    assert world.send("").turns == 0
