"""Whether a provider keeps what was promoted, by what it has read."""

import pytest

from promptcache.state.readings import MAX_PLACES, MEMORY, RETRY_SECONDS, Readings

HERE = ("anthropic", "m", "host")


def told(*kept, at=0.0):
    readings = Readings()
    for it in kept:
        readings.note(HERE, kept=it, now=at)
    return readings


@pytest.mark.parametrize(
    ("kept", "trusts"),
    [
        pytest.param([], True, id="nothing-known"),
        pytest.param([True], True, id="kept"),
        pytest.param([False], False, id="lost-at-once"),
        pytest.param([True, False], True, id="one-of-each"),
        pytest.param([True, False, False], False, id="more-lost-than-kept"),
        pytest.param([True] * 3 + [False], True, id="one-of-four-lost"),
        pytest.param([True] * 3 + [False] * 2, False, id="two-of-five-lost"),
        pytest.param([True] * 9 + [False] * 3, True, id="a-quarter-lost"),
    ],
)
def test_what_readings_say(kept, trusts):
    """One that was lost is enough where none was kept; later it takes more."""
    assert told(*kept).trusts(HERE, now=1.0) is trusts


def test_places_are_apart():
    """Another host or model may keep what this one does not."""
    assert told(False).trusts(("anthropic", "m", "other"), now=1.0)


def test_it_is_tried_again_after_a_week():
    """Providers change; being wrong again costs one reading."""
    readings = told(False, at=100.0)

    assert not readings.trusts(HERE, now=100.0 + RETRY_SECONDS)
    assert readings.trusts(HERE, now=101.0 + RETRY_SECONDS)
    readings.note(HERE, kept=False, now=200.0 + RETRY_SECONDS)
    assert not readings.trusts(HERE, now=201.0 + RETRY_SECONDS)


def test_a_provider_that_changes():
    """However long it kept them, some that are lost in a row tell."""
    readings = told(*[True] * 10_000, *[False] * MEMORY)

    assert not readings.trusts(HERE, now=1.0)


def test_what_is_known_in_another_way():
    """It needs no reading, and no reading changes it."""
    readings = told(False)
    readings.know(HERE, keeps=True)

    assert readings.trusts(HERE, now=1.0)


def test_places_are_bounded():
    """The place where something was read least recently goes first."""
    readings = told(False)
    for number in range(MAX_PLACES):
        readings.know(number, keeps=True)
        readings.note(number, kept=True, now=0.0)
    readings.know("last", keeps=True)

    assert len(readings._counts) == len(readings._known) == MAX_PLACES
    assert readings.trusts(HERE, now=1.0)
