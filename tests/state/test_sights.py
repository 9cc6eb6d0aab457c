"""Parts of requests that wait to come again, and what they are counted under."""

import pytest

from promptcache.planning.past import Past
from promptcache.planning.terms import Terms
from promptcache.planning.writing import NAMES
from promptcache.state.paths import Lineage
from promptcache.state.prefixes import Prefixes
from promptcache.state.reuse import Reuse
from promptcache.state.sights import (
    chances_of,
    follow,
    keys_of,
    note,
    see,
    windows_of,
)
from tests.support.block_judge import letters


class World:
    def __init__(self):
        self.prefixes, self.reuse = Prefixes(10_000), Reuse((300.0, 3_600.0))

    def send(self, names, now=0.0, *, system=1, past=None, **fields):
        outline = letters(names, system=system, **fields)
        path = self.prefixes.path(outline)
        note(path, now)
        past = past or Past(shared=path.shared)
        keys = keys_of(outline, path, Lineage(), past.volatile)
        grown = self.prefixes.grow(outline, path, now, Lineage())
        see(self.reuse, keys, outline, grown, past, lineage=Lineage(), now=now)
        return grown

    def talk(self, *requests):
        """Send requests of one conversation: (its blocks, when)."""
        lineage = Lineage()
        for names, now in requests:
            outline = letters(names, system=1)
            path = self.prefixes.path(outline)
            keys = keys_of(outline, path, lineage, None)
            follow(lineage, path, self.reuse.windows, now)
            grown = self.prefixes.grow(outline, path, now, lineage)
            past = Past(shared=path.shared)
            see(self.reuse, keys, outline, grown, past, lineage=lineage, now=now)
            lineage.turns, lineage.used = lineage.turns + 1, now
        return lineage

    def waiting(self):
        """Return at which depth something waits, by its run."""
        return {
            depth: sight
            for run in self.prefixes._order
            for depth, sight in run.sights.items()
        }


@pytest.fixture
def world():
    return World()


def test_a_first_request(world):
    """Its head waits, the turns before the last one, and the last one."""
    world.send("habc", starts=(1, 3))

    assert sorted(world.waiting()) == [0, 2, 3]


def test_what_is_alive_does_not_wait(world):
    """It is no part that could be written."""
    world.send("habc", starts=(1, 3), past=Past(entry=2))

    assert sorted(world.waiting()) == [3]


@pytest.mark.parametrize(
    ("past", "depths"),
    [
        pytest.param(Past(volatile=1), [0, 2, 3], id="a-head-that-changes"),
        pytest.param(Past(unstable=3), [1, 2], id="a-tail-that-changes"),
    ],
)
def test_what_changes_does_not_wait(world, past, depths):
    """It will not be there again."""
    world.send("hvbc", system=2, starts=(2, 3), past=past)

    assert sorted(world.waiting()) == depths


def test_what_comes_again_is_told(world):
    """Everything up to where a request leaves what was sent has come again."""
    world.send("habc", starts=(1, 3))
    first = world.waiting()
    world.send("habx", 5.0, starts=(1, 3))

    assert {depth: sight.again for depth, sight in first.items()} == {
        0: 5.0,
        2: 5.0,
        3: None,
    }
    assert world.waiting()[0].begun == 5.0


def test_a_part_waits_once(world):
    """However often a request is sent, one sight waits at each of its places."""
    for now in range(50):
        world.send("habc", float(now), starts=(1, 3))

    assert len(world.waiting()) <= len(NAMES)


def test_parts_are_counted_by_where_they_stand():
    """The tenant and model first, then the head, then turns and size."""
    outline = letters("habc", system=1, starts=(1, 3))
    path = Prefixes(100).path(outline)
    keys = keys_of(outline, path, Lineage(turns=9), None)
    head = outline.blocks.digests[0]

    assert list(keys) == list(NAMES)
    for name in NAMES:
        assert keys[name][0][0] == outline.blocks.root
        assert keys[name][1][0] == head
    assert keys["last"][2] == (head, "chat", 3, 3)
    assert keys_of(outline, path, Lineage(), 0)["head"][1][0] == outline.blocks.root


def test_every_part_has_chances(world):
    """Also where nothing was counted."""
    outline = letters("habc", system=1)
    path, lineage = Prefixes(100).path(outline), Lineage()
    keys = keys_of(outline, path, lineage, None)

    assert set(
        chances_of(world.reuse, outline, path, keys, lineage, terms=Terms())
    ) == set(NAMES)


@pytest.mark.parametrize(
    ("ends", "again", "short", "long"),
    [
        pytest.param(0, (0, 0), 0.4, 0.535, id="first-request"),
        pytest.param(1, (1, 1), 0.4, 0.535, id="one-is-no-pace"),
        pytest.param(2, (2, 2), 2.8 / 5, 3.07 / 5, id="two"),
        pytest.param(9, (9, 9), 9.8 / 12, 10.07 / 12, id="always-soon"),
        pytest.param(9, (0, 9), 0.8 / 12, 10.07 / 12, id="always-after-a-pause"),
    ],
)
def test_the_pace_of_a_conversation(world, ends, again, short, long):
    """It counts against what is usual of all, but for a head, which others have."""
    outline = letters("habc", system=1)
    path = Prefixes(100).path(outline)
    lineage = Lineage(windows=world.reuse.windows, ends=ends, again=again)
    keys = keys_of(outline, path, lineage, None)
    found = chances_of(world.reuse, outline, path, keys, lineage, terms=Terms())

    for name in ("turns", "last"):
        assert found[name].short.mean == pytest.approx(short, abs=1e-3)
        assert found[name].long.mean == pytest.approx(long, abs=1e-3)
    assert found["head"].short.mean == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("requests", "ends", "again"),
    [
        pytest.param([("ha", 0)], 0, (), id="one"),
        pytest.param(
            [("ha", 0), ("habc", 9), ("habcde", 99)], 2, (2, 2), id="that-grows"
        ),
        pytest.param(
            [("ha", 0), ("habc", 400), ("habcde", 500)], 2, (1, 2), id="with-a-pause"
        ),
        pytest.param(
            [("hta", 0), ("htb", 9), ("htc", 99)], 2, (0, 0), id="about-one-text"
        ),
    ],
)
def test_whether_its_end_comes_again(world, requests, ends, again):
    """Questions about one text share most of it, and the end of none comes again."""
    lineage = world.talk(*requests)

    assert (lineage.ends, tuple(lineage.again)) == (ends, again)


def test_another_lifetime_begins_anew(world):
    """A conversation that asks for one is not judged by the lifetimes before."""
    lineage = world.talk(("ha", 0), ("habc", 9), ("habcde", 99))
    outline = letters("habcdefg", system=1)
    path = world.prefixes.path(outline)
    reuse = Reuse((300.0, 1800.0, 7200.0))
    keys = keys_of(outline, path, lineage, None)
    terms = Terms(short="30m", long=None)
    unlike = chances_of(reuse, outline, path, keys, lineage, terms=terms)
    follow(lineage, path, reuse.windows, 500.0)

    fresh = chances_of(reuse, outline, path, keys, Lineage(), terms=terms)
    assert unlike == fresh
    assert (lineage.ends, lineage.again) == (1, (0, 1, 1))


def test_old_ends_fade(world):
    """A conversation that never ends is not bound to how it began."""
    lineage = world.talk(*[("h" + "abcdefgh"[: it % 8], it) for it in range(400)])

    assert lineage.ends <= 200


@pytest.mark.parametrize(
    ("goes_on", "short"), [pytest.param(True, 0.7 / 12), pytest.param(False, 0.35)]
)
def test_what_a_conversation_has_said_has_its_pace(world, goes_on, short):
    """What a request repeats of the one before it comes again as that one did."""
    lineage = world.talk(("habc", 0.0))
    lineage.windows, lineage.ends, lineage.again = world.reuse.windows, 9, (0, 9)
    lineage.end = 2 if goes_on else 9
    outline = letters("habcde", system=1)
    path = world.prefixes.path(outline)
    keys = keys_of(outline, path, lineage, None)
    found = chances_of(world.reuse, outline, path, keys, lineage, terms=Terms())

    assert found["seen"].short.mean == pytest.approx(short, abs=1e-3)


HALF_AN_HOUR = Terms(short="30m", long=None)


def test_five_minutes_tell_of_half_an_hour():
    """What has not come again early is taken for less likely to do so at all."""
    assert windows_of(Terms()) == (300.0, 3600.0)
    assert windows_of(HALF_AN_HOUR) == (300.0, 1800.0)
    reuse, likely = Reuse(windows_of(HALF_AN_HOUR)), []
    for number in range(12):
        now = 60.0 * number
        outline = letters(f"h{chr(97 + number)}", system=1)
        prefixes = Prefixes(100)
        path, lineage = prefixes.path(outline), Lineage()
        keys = keys_of(outline, path, lineage, None)
        reuse.close(now)
        found = chances_of(reuse, outline, path, keys, lineage, terms=HALF_AN_HOUR)
        assert found["last"].short == found["last"].long
        likely.append(found["last"].short.mean)
        grown = prefixes.grow(outline, path, now, lineage)
        see(reuse, keys, outline, grown, Past(), lineage=lineage, now=now)

    assert likely[:5] == [pytest.approx(0.535, abs=1e-3)] * 5
    assert sorted(likely[5:], reverse=True) == likely[5:]
    assert likely[-1] < 0.45
