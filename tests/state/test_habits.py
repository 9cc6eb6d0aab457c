"""Heads of which a part is another on every call."""

import pytest

from promptcache.state import habits as module
from promptcache.state.habits import Habits
from promptcache.state.paths import Lineage
from promptcache.state.prefixes import Prefixes
from tests.support.block_judge import letters


class World:
    def __init__(self, max_nodes=10_000):
        self.prefixes = Prefixes(max_nodes)
        self.habits = Habits(self.prefixes)

    def send(self, names, *, tools=0, system=2):
        """Send a request; return which block is expected to change."""
        outline = letters(names, tools=tools, system=system)
        changing = self.habits.volatile(outline)
        self.habits.count(outline)
        path = self.prefixes.path(outline)
        self.prefixes.grow(outline, path, 0.0, Lineage())
        return changing


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize(
    ("requests", "expected"),
    [
        pytest.param(["hax", "hbx", "hcx", "hdx"], [None, None, 1, 1], id="always"),
        pytest.param(["hax", "hax", "hbx", "hcx"], [None] * 4, id="once-the-same"),
        pytest.param(["hax", "hbx", "hax", "hcx"], [None] * 4, id="the-same-later"),
        pytest.param(["ahx", "bhx", "chx"], [None, None, 0], id="the-first-block"),
        pytest.param(["hax", "hbx", "hbx"], [None] * 3, id="known-by-now"),
    ],
)
def test_what_changes(world, requests, expected):
    """A habit takes two calls that differ, and none that did not."""
    assert [world.send(names) for names in requests] == expected


def test_tools_are_one_part(world):
    """Whichever of them changes, it is named by the last."""
    requests = ["abh", "cbh", "dbh"]

    assert [world.send(it, tools=2, system=1) for it in requests] == [None, None, 1]


def test_messages_have_no_habits(world):
    """What is said is new on every call, and nothing is wrong with that."""
    assert [world.send(f"hs{it}") for it in "abcd"] == [None] * 4


def test_what_is_sent_in_another_form_is_known(world):
    """A head of which a part was moved was seen all the same."""
    for names in ("hax", "hbx"):
        outline = letters(names, system=2)
        world.habits.count(outline)
        world.habits.know(outline)

    assert world.habits.volatile(letters("hcx", system=2)) == 1
    assert world.habits.volatile(letters("hbx", system=2)) is None


def test_heads_are_bounded(world, monkeypatch):
    """Those used least recently go first."""
    monkeypatch.setattr(module, "_MAX_HEADS", 10)
    for number in range(200):
        world.send(chr(200 + number) + "ax")

    assert len(world.habits._heads) == 10
