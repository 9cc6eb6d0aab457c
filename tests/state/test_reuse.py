"""Counts of what came again, each in its time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.state import reuse as module
from promptcache.state.paths import Lineage, Run
from promptcache.state.reuse import MEMORY, Reuse

WINDOWS = (300.0, 3_600.0)
KEYS = (("all",), ("all", "special"))


class Seen:
    """Counts, and a run whose depths are waited for."""

    def __init__(self):
        self.reuse, self.run, self.depth = Reuse(WINDOWS), Run(None, 0, 1, Lineage()), 0

    def see(self, now, *, again=None, keys=KEYS):
        """Begin to wait for something; say when it is sent again."""
        self.depth += 1
        sight = self.reuse.see(keys, now, self.run, self.depth)
        if sight is not None:
            self.run.sights[self.depth] = sight
            sight.again = again
        return sight

    def counts(self, now, window=0, key=KEYS[0]):
        """Return how many came again by now, and of how many."""
        self.reuse.close(now)
        return tuple(self.reuse._counts.get((*key, window), (0, 0)))


@pytest.fixture
def seen():
    return Seen()


def test_only_what_had_its_time_is_counted(seen):
    """What came again at once waits as long as what did not."""
    seen.see(0.0, again=1.0)
    seen.see(100.0)

    assert seen.counts(299.0) == (0, 0)
    assert seen.counts(300.0) == (1, 1)
    assert seen.counts(400.0) == (1, 2)
    assert seen.counts(3_599.0, 1) == (0, 0)
    assert seen.counts(3_600.0, 1) == (1, 1)
    assert seen.counts(9_999.0, 1) == (1, 2)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1_000),
            st.none() | st.floats(0, 5_000),
        ),
        max_size=30,
    ),
    st.floats(0, 6_000),
)
def test_counts_are_those_of_all_whose_time_is_over(sights, now):
    """Whatever came again when: no more and no less than that."""
    seen = Seen()
    begun = sorted(sights, key=lambda it: it[0])
    for at, gap in begun:
        seen.see(at, again=None if gap is None else at + gap)
    for window, life in enumerate(WINDOWS):
        over = [
            at + gap - at < life if gap is not None else False
            for at, gap in begun
            if at + life <= now
        ]
        # Rounding may move a gap over the edge, as the code adds in another order.
        assert seen.counts(now, window)[1] == len(over)
        assert seen.counts(now, window)[0] == sum(over)


def test_each_key_is_counted_once(seen):
    """A sight that is told twice of one key is one of it."""
    seen.see(0.0, again=1.0, keys=(*KEYS, KEYS[0]))

    assert seen.counts(300.0) == (1, 1)
    assert seen.counts(300.0, key=KEYS[1]) == (1, 1)


def test_chances_are_those_of_the_special_as_it_grows(seen):
    """What is known of all stands in for what is not known of one."""
    before = seen.reuse.chance(KEYS, 0.5, 0)
    for _ in range(200):
        seen.see(0.0)
    for _ in range(8):
        seen.see(0.0, again=1.0, keys=(KEYS[0], ("all", "other")))
    seen.reuse.close(300.0)
    special, other, none = (
        seen.reuse.chance((KEYS[0], ("all", name)), 0.5, 0).mean
        for name in ("special", "other", "none")
    )

    assert (before.mean, seen.reuse.chance(KEYS, 0.5, 1).mean) == (0.5, 0.5)
    assert special < none < 0.1
    assert 0.4 < other < 0.6


def test_old_counts_fade(seen):
    """After a change, as many sights as are remembered tell of it."""
    for _ in range(4 * MEMORY):
        seen.see(0.0, again=1.0)
    came, total = seen.counts(300.0)
    assert came / total == pytest.approx(1.0)
    assert total <= MEMORY + 1
    for _ in range(2 * MEMORY):
        seen.see(300.0)
    came, total = seen.counts(600.0)

    assert came / total < 0.15


def test_few_are_waited_for_at_once(seen, monkeypatch):
    """New ones are left out, whatever they come to; who waits is waited for."""
    monkeypatch.setattr(module, "MAX_OPEN", 10)
    for number in range(100):
        assert (seen.see(0.0, again=1.0) is None) is (number >= 10)

    assert list(seen.reuse.waiting()) == [10, 0]
    assert seen.counts(300.0) == (10, 10)
    assert list(seen.reuse.waiting()) == [0, 10]
    for _ in range(10):
        seen.see(300.0)
    assert seen.counts(600.0) == (10, 20)
    assert list(seen.reuse.waiting()) == [0, 10]
    assert seen.counts(9_999.0, 1) == (10, 10)
    assert list(seen.reuse.waiting()) == [0, 0]


def test_a_busy_service_goes_on_learning(seen, monkeypatch):
    """However many sights there are, some of every time are counted."""
    monkeypatch.setattr(module, "MAX_OPEN", 50)
    for second in range(2_000):
        seen.reuse.close(float(second))
        for _ in range(5):
            seen.see(float(second), again=second + 1.0)

    assert seen.counts(2_000.0)[1] > 200


def test_who_is_counted_waits_no_more(seen):
    """A run keeps nothing of what had its time."""
    seen.see(0.0)
    seen.reuse.close(300.0)
    assert seen.run.sights
    seen.reuse.close(3_600.0)

    assert not seen.run.sights


def test_keys_are_kept_once_and_bounded(seen, monkeypatch):
    """Sights that are counted alike share what they are counted under."""
    monkeypatch.setattr(module, "MAX_COUNTS", 5)
    one = seen.see(0.0, keys=[("k", "x")])
    other = seen.see(0.0, keys=[("k", "x")])
    for number in range(50):
        seen.see(0.0, keys=[("k", number)])
    seen.reuse.close(9_999.0)

    assert one.keys is other.keys
    assert len(seen.reuse._keys) == len(seen.reuse._counts) == 5
