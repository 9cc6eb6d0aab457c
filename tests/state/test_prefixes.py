"""The trie of what was sent, against one that keeps a record for every block."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.outline import Blocks, Outline, Trail
from promptcache.state.paths import MAX_MARKS, MAX_TOUCHES, Lineage, Mark, Run
from promptcache.state.prefixes import RUN_NODES, Prefixes

ROOT = b"root"
UNSEEN = "-"
"""A block of a request that its prompt does not carry."""


def outline(names, *, root=ROOT, trail=None):
    """Return a request of blocks, a letter each."""
    blocks = Blocks(root)
    if trail is not None:
        blocks.add_trail(trail)
    for name in names:
        if name == UNSEEN:
            blocks.add_unseen(kind="tool", refusal="deferred")
        else:
            blocks.add(name.encode(), 4, "text")
    length = len(blocks.digests)
    return Outline(blocks, length, 0, 0, (0,), ("user",), {}, trail=trail)


class Sending:
    """A trie, and requests that it is told of."""

    def __init__(self, max_nodes=10_000):
        self.prefixes = Prefixes(max_nodes)

    def path(self, names):
        return self.prefixes.path(outline(names))

    def send(self, names, now=0.0, lineage=None):
        it = outline(names)
        path = self.prefixes.path(it)
        return self.prefixes.grow(it, path, now, lineage or Lineage())


@dataclass
class Slow:
    """The same with a record for every prefix, and without any bound."""

    used: dict = field(default_factory=dict)
    marked: dict = field(default_factory=dict)

    def send(self, names, now):
        for prefix in prefixes_of(names):
            self.used[prefix] = max(now, self.used.get(prefix, now))

    def shared(self, names):
        return self.last(names, lambda prefix: prefix in self.used)

    def deepest(self, names, since):
        return self.last(names, lambda prefix: self.used.get(prefix, -1.0) >= since)

    def last(self, names, suits):
        return max(
            (at for at, prefix in enumerate(prefixes_of(names)) if suits(prefix)),
            default=-1,
        )


def prefixes_of(names):
    """Return the prefix that ends with each block, as the prompt has it."""
    return [names[: at + 1].replace(UNSEEN, "") or None for at in range(len(names))]


WORDS = st.text("ab", min_size=0, max_size=7)
GAPPED = st.text("aab" + UNSEEN, min_size=0, max_size=7)
TIMES = st.floats(0, 100, allow_nan=False)


@given(
    st.lists(st.tuples(WORDS, TIMES), max_size=12),
    st.lists(st.tuples(WORDS, TIMES), max_size=6),
)
def test_it_tells_what_a_record_of_every_block_does(sent, asked):
    """What is shared, when each prefix was used last, and the deepest since a time."""
    trie, slow = Sending(), Slow()
    for names, now in sent:
        trie.send(names, now)
        slow.send(names, now)
    assert len(trie.prefixes) == len(slow.used)
    for names, since in asked:
        path = trie.path(names)

        assert path.shared == slow.shared(names)
        assert path.deepest(since) == slow.deepest(names, since)
        for run, covered in path.runs:
            for depth in range(run.start, covered):
                assert run.used(depth) == slow.used[names[: depth + 1]]


@given(
    st.lists(st.tuples(GAPPED, TIMES), max_size=12),
    st.lists(st.tuples(GAPPED, TIMES), max_size=6),
)
def test_blocks_that_the_prompt_does_not_carry(sent, asked):
    """Wherever they stand, what is told is told of the blocks around them."""
    trie, slow = Sending(), Slow()
    for names, now in sent:
        trie.send(names, now)
        slow.send(names, now)
    slow.used.pop(None, None)
    assert len(trie.prefixes) == len(slow.used)
    for names, since in asked:
        path = trie.path(names)

        assert path.shared == slow.shared(names)
        assert path.deepest(since) == slow.deepest(names, since)


@given(
    st.lists(st.tuples(GAPPED, st.integers(0, 6)), min_size=1, max_size=10),
    GAPPED,
)
def test_marks(sent, asked):
    """A mark is found by every request that has its prefix, at the block it ends at."""
    trie, slow = Sending(), Slow()
    for number, (names, at) in enumerate(sent):
        path = trie.send(names, 0.0)
        if at < len(names) and path.depths[at] >= 0:
            depth = path.depths[at]
            path.run_at(depth).mark(depth, Mark("5m", "5m", number, -1))
            slow.marked[prefixes_of(names)[at]] = number
    path, prefixes = trie.path(asked), prefixes_of(asked)
    expected = {
        at: slow.marked[prefix]
        for at, prefix in enumerate(prefixes)
        if prefix in slow.marked and prefix not in prefixes[at + 1 :]
    }

    assert {at: mark.used for at, mark in path.marks()} == expected
    assert [at for at, _ in path.marks()] == sorted(expected, reverse=True)


@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.text("abc", max_size=12), TIMES), max_size=30),
)
def test_what_goes_takes_what_grew_from_it_along(max_nodes, sent):
    """The bound is kept, and no run is left without the one that it grew from."""
    trie = Sending(max_nodes)
    for names, now in sent:
        trie.send(names, now)
        kept = trie.prefixes._order

        assert all(run.parent is None or run.parent in kept for run in kept)
        assert len(trie.prefixes) == sum(len(run.digests) for run in kept)
        assert len(trie.prefixes) <= max_nodes
        assert len(kept) <= 1 or trie.prefixes._size() <= max_nodes


@given(
    st.integers(1, 60),
    st.lists(st.text("ab" + UNSEEN, max_size=9), max_size=20),
    st.text("ab" + UNSEEN, max_size=9),
)
def test_what_is_told_when_much_is_forgotten(max_nodes, sent, asked):
    """It may be less than what was sent, but nothing that was not."""
    trie, slow = Sending(max_nodes), Slow()
    for names in sent:
        trie.send(names, 1.0)
        slow.send(names, 1.0)
    path = trie.path(asked)

    assert path.shared <= slow.shared(asked)
    assert path.deepest(1.0) <= slow.deepest(asked, 1.0)


def test_the_run_used_least_recently_goes_first():
    """What is used again stays, and what is shared stays longest."""
    trie = Sending(4 * (RUN_NODES + 2))
    for name in "xyz":
        trie.send(f"h{name}", 0.0)
    trie.send("hx", 1.0)
    for name in "uvw":
        trie.send(f"h{name}", 2.0)

    assert trie.path("h").shared == 0
    assert [trie.path(f"h{name}").shared for name in "yz"] == [0, 0]
    assert trie.path("hw").shared == 1


def test_a_conversation_that_grows_is_one_run():
    """However many turns it has."""
    trie = Sending()
    for length in range(1, 40):
        trie.send("abcdefghijklmnopqrstuvwxyzabcdefghijklmn"[:length], float(length))

    assert len(trie.prefixes._order) == 1
    (run,) = trie.prefixes._order
    assert len(run.touches) == 1


def test_a_request_of_more_blocks_than_are_remembered():
    """Its end is what is kept: what comes next has that."""
    trie = Sending(3)
    trie.send("abcdefgh")

    assert len(trie.prefixes) == 3
    assert trie.path("abcdefghi").shared == 7
    assert trie.path("ab").shared == -1


def test_what_a_provider_puts_before_a_request():
    """It is as deep as what was sent then, so marks of that are no blocks of this."""
    trie = Sending()
    first = outline("abcd")
    path = trie.send("abcd", 1.0)
    for depth in (1, 3):
        path.run_at(depth).mark(depth, Mark("30m", "30m", 1.0, -1))
    second = outline("ef", trail=Trail(first.blocks.digests[3], 4))
    known = trie.prefixes.path(second)

    assert known.shared == 0
    assert [at for at, _ in known.marks()] == [0]
    assert known.deepest(1.0) == 0
    grown = trie.prefixes.grow(second, known, 2.0, Lineage())
    assert grown.depths == [3, 4, 5]
    assert len(trie.prefixes._order) == 1
    assert trie.prefixes.path(second).shared == 2
    assert trie.path("abcd").deepest(2.0) == 3


def test_what_a_provider_puts_before_a_request_and_nobody_remembers():
    """It is a block like any other."""
    trie = Sending()
    asked = outline("ef", trail=Trail(b"gone", 4))
    path = trie.prefixes.path(asked)

    assert path.shared == -1
    trie.prefixes.grow(asked, path, 1.0, Lineage())
    assert trie.prefixes.path(asked).shared == 2


@pytest.mark.parametrize("length", [0, 1])
def test_short_requests(length):
    """A request may have no block at all."""
    trie = Sending()
    trie.send("a"[:length])

    assert trie.path("a"[:length]).shared == length - 1


def test_marks_of_a_run_are_bounded():
    """The oldest go first; one that is made again is young."""
    run = Run(None, 0, 1_000, Lineage())
    for depth in range(MAX_MARKS):
        run.mark(depth, Mark("5m", "5m", 0.0, -1))
    run.mark(0, Mark("5m", "5m", 1.0, -1))
    run.mark(MAX_MARKS, Mark("5m", "5m", 1.0, -1))

    assert len(run.marks) == MAX_MARKS
    assert 0 in run.marks
    assert 1 not in run.marks


@given(st.lists(st.tuples(st.integers(1, 500), TIMES), min_size=1, max_size=120))
def test_touches_of_a_run_are_bounded(touches):
    """What is forgotten counts as used earlier than it was, never as used later."""
    run = Run(None, 0, 500, Lineage())
    for end, when in touches:
        run.touch(end, when)

    assert len(run.touches) <= MAX_TOUCHES + 1
    for depth in (0, 100, 499):
        real = max((when for end, when in touches if end > depth), default=0.0)
        assert run.used(depth) <= real
    assert run.used(499) == max((at for end, at in touches if end == 500), default=0.0)
