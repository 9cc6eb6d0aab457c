"""How long a prefix can be found."""

import pytest

from promptcache.emulator import Settings
from promptcache.emulator.anthropic_cache import AnthropicCache

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize(
    ("marker", "gap", "found"),
    [
        pytest.param(MARK, 299.9, True, id="5m-within"),
        pytest.param(MARK, 300, False, id="5m-over"),
        pytest.param({**MARK, "ttl": "5m"}, 299.9, True, id="explicit-5m"),
        pytest.param(HOUR, 3599, True, id="1h-within"),
        pytest.param(HOUR, 3600, False, id="1h-over"),
    ],
)
def test_an_entry_lives_from_the_start_of_its_request(world, make, marker, gap, found):
    """A lifetime is counted from the start of the request that wrote the entry."""
    here = world()
    here.call(make(10, {10: marker}))
    here.now = gap

    assert (here.hit(make(10, {10: marker})) is not None) is found


def test_a_slow_response_uses_up_the_lifetime(world, make):
    """A response that begins 100 s late leaves 200 s to the next request."""
    here = world()
    verdict = here.judge(make(10, [10]))
    here.now = 100
    here.keep(verdict)
    here.now = 299
    within = here.judge(make(10, [10])).hit
    here.now = 300

    assert within is not None
    assert here.judge(make(10, [10])).hit is None


def test_an_entry_is_found_once_its_response_has_begun(world, make):
    """Of two requests at once both write; a third, later, reads."""
    here = world()
    first, second = here.judge(make(10, [10])), here.judge(make(10, [10]))
    here.keep(first)
    third = here.judge(make(10, [10]))

    assert first.usage == second.usage
    assert third.usage.read == first.usage.written_5m


def test_a_read_refreshes_by_the_entrys_own_ttl(world, make):
    """A read at 200 s keeps a 5m entry until 500 s, even if the marker says 1h."""
    here = world()
    here.call(make(10, {10: MARK}))
    here.now = 200
    here.call(make(10, {10: HOUR}))
    here.now = 499

    assert here.judge(make(10, [10])).hit is not None
    here.now = 500
    assert here.judge(make(10, [10])).hit is None


def test_a_read_of_an_hours_entry_gives_another_hour(world, make):
    """A read at 50 minutes keeps a 1h entry until 110, even if the marker says 5m."""
    here = world()
    here.call(make(10, {10: HOUR}))
    here.now = 3000
    here.call(make(10, {10: MARK}))
    here.now = 6599

    assert here.judge(make(10, [10])).hit is not None
    here.now = 6600
    assert here.judge(make(10, [10])).hit is None


@pytest.mark.parametrize(
    ("refreshes", "found"),
    [pytest.param(True, True, id="on"), pytest.param(False, False, id="off")],
)
def test_reading_a_longer_entry_keeps_the_shorter(world, make, refreshes, found):
    """An entry that a longer one was built on lives on with it, by setting."""
    here = world(refresh_earlier=refreshes, free_stamping=False)
    here.call(make(10, [6, 10]))
    here.now = 200
    here.call(make(10, [10]))
    here.now = 400

    assert (here.hit(make(6, [6])) is not None) is found


def test_an_independent_entry_is_not_refreshed(world, make):
    """A prefix that was written elsewhere dies while a longer one is read."""
    here = world(free_stamping=False)
    here.call(make(10, [10]))
    here.call(make(6, [6]))
    here.now = 200
    here.call(make(10, [10]))
    here.now = 400

    assert here.hit(make(6, [6])) is None


@pytest.mark.parametrize(
    ("stamps", "found"),
    [pytest.param(True, True, id="on"), pytest.param(False, False, id="off")],
)
def test_a_breakpoint_inside_of_what_is_read(world, make, stamps, found):
    """It becomes findable at no cost, by setting."""
    here = world(free_stamping=stamps)
    here.call(make(30, [30]))
    usage = here.call(make(30, [6, 30]))

    assert (usage.written_5m, usage.written_1h) == (0, 0)
    assert (here.hit(make(6, [6])) is not None) is found


def test_a_stamp_lives_as_long_as_what_was_read(world, make):
    """A 1h marker inside of a 5m prefix gets a 5m entry."""
    here = world()
    here.call(make(30, [30]))
    here.call(make(30, {6: HOUR, 30: MARK}))
    here.now = 301

    assert here.hit(make(6, [6])) is None


@pytest.mark.parametrize(
    ("reading", "read"),
    [pytest.param("ent", 1213, id="ent"), pytest.param("seg", 0, id="seg")],
)
def test_an_hour_on_top_of_five_minutes(world, make, reading, read):
    """After 20 minutes the whole prefix lives (ent) or is dead (seg)."""
    here = world(reading=reading)
    here.call(make(10, {10: MARK}))
    here.now = 60
    promoted = here.call(make(12, {12: HOUR}))
    here.now = 1260

    assert promoted.written_1h == 2 * 101
    assert here.call(make(12, {12: HOUR})).read == read


def test_a_read_keeps_every_segment_alive(world, make):
    """Under seg a read extends each segment by its own lifetime."""
    here = world(reading="seg", refresh_earlier=False)
    here.call(make(10, {10: MARK}))
    here.now = 60
    here.call(make(12, {12: HOUR}))
    here.now = 300
    here.call(make(12, {12: HOUR}))
    here.now = 599

    assert here.call(make(12, {12: HOUR})).read == 1213
    here.now = 899
    assert here.call(make(12, {12: HOUR})).read == 0


def test_a_stamp_dies_with_its_segment(world, make):
    """Under seg a free entry lives by the segment that its tokens were written in."""
    here = world(reading="seg")
    here.call(make(10, {10: MARK}))
    here.call(make(20, {20: HOUR}))
    here.call(make(20, {8: HOUR, 15: HOUR, 20: HOUR}))
    here.now = 299
    within = [here.judge(make(end, {end: HOUR})).hit for end in (8, 15)]
    here.now = 301

    assert within == ["messages.0.content.7", "messages.0.content.14"]
    assert [here.judge(make(end, {end: HOUR})).hit for end in (8, 15)] == [None, None]


@pytest.mark.parametrize(
    ("share", "now", "found"),
    [
        pytest.param(1.0, 149, True, id="first-half"),
        pytest.param(1.0, 150, False, id="second-half"),
        pytest.param(0.0, 299, True, id="off"),
    ],
)
def test_eviction(world, make, share, now, found):
    """The chosen share of entries is lost once half of the lifetime has passed."""
    here = world(eviction=share)
    here.call(make(10, [10]))
    here.now = now

    assert (here.hit(make(10, [10])) is not None) is found


def test_a_grace_period(world, make):
    """An expired entry can be read for as long as the setting says."""
    here = world(grace_seconds=10)
    here.call(make(10, [10]))
    here.now = 309

    assert here.hit(make(10, [10])) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"reading": "both"}, id="reading"),
        pytest.param({"host": "nowhere"}, id="host"),
        pytest.param({"lookback": 0}, id="lookback"),
        pytest.param({"eviction": 2.0}, id="eviction"),
    ],
)
def test_settings_are_closed_sets(wrong):
    """A setting outside of its choices is refused, naming them."""
    with pytest.raises(ValueError, match="allowed"):
        Settings(**wrong)


def test_dead_entries_are_dropped(make, monkeypatch):
    """A cache that has grown large forgets what nobody can read."""
    monkeypatch.setattr("promptcache.emulator.anthropic_cache.PRUNE_ABOVE", 3)
    cache = AnthropicCache(Settings())
    for number in range(6):
        body = make(10, [10], system=f"system {number}")
        verdict = cache.admit(body, workspace="w", now=number * 200)
        cache.commit(verdict, workspace="w", now=number * 200)

    assert len(cache._entries["w"]) == 3


def test_a_write_never_shortens_a_life(make):
    """A 5m write that overtakes a 1h write of the same prefix leaves it its hour."""
    cache = AnthropicCache(Settings())
    long = cache.admit(make(10, {10: HOUR}), workspace="w", now=0)
    short = cache.admit(make(10, {10: MARK}), workspace="w", now=1)
    cache.commit(long, workspace="w", now=2)
    cache.commit(short, workspace="w", now=2)

    assert cache.admit(make(10, [10]), workspace="w", now=3000).hit is not None
