"""What is known of prefixes stays sound when some of them turn out to be lost."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from promptcache.state.paths import Lineage
from promptcache.state.prefixes import Prefixes
from promptcache.state.written import found, mark, rewrite
from tests.support.block_judge import letters


class Known:
    """A trie with marks, in which each request is noted and each loss, too."""

    def __init__(self):
        self.prefixes, self.now = Prefixes(10_000), 0.0

    def send(self, names, points):
        outline = letters(names)
        path = self.prefixes.path(outline)
        entries = tuple((point, "5m") for point in points)
        read = found(outline, path, entries, self.now, firmly=False, reach=20)
        grown = self.prefixes.grow(outline, path, self.now, Lineage())
        mark(grown, entries, read, self.now, firmly=False)

    def lose(self, names, points):
        path = self.prefixes.path(letters(names))
        rewrite(path, tuple((it, "5m") for it in points), self.now, firmly=False)

    def marks(self, names):
        return dict(self.prefixes.path(letters(names)).marks())


def test_an_entry_in_front_of_which_one_is_lost():
    """It is found again, and what is placed before it stands on nothing."""
    known = Known()
    known.send("ab", [0, 1])
    known.lose("a", [])
    known.send("ab", [0, 1])

    assert {at: it.built_on for at, it in known.marks("ab").items()} == {0: -1, 1: 0}
    known.send("ab", [0, 1])


# Every block, or none, or the last one alone, of one growing text.
STEPS = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.sampled_from(["all", "none", "last"]),
        st.booleans(),
        st.sampled_from([0.0, 100.0, 301.0]),
    ),
    max_size=12,
)


@settings(max_examples=500 if os.environ.get("FAULTS") == "all" else 150)
@given(STEPS)
def test_nothing_is_built_on_itself(steps):
    """Whatever is sent and lost: a chain of entries ends, always further in front."""
    known = Known()
    for length, kind, is_lost, gap in steps:
        names = "a" * length
        points = {"all": range(length), "none": (), "last": (length - 1,)}[kind]
        (known.lose if is_lost else known.send)(names, points)
        known.now += gap
        assert all(it.built_on < at for at, it in known.marks(names).items())
