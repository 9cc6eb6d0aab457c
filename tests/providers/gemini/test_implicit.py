"""What the provider reads again unasked."""

import pytest

from promptcache.providers.gemini.implicit import Implicit

PREFIXES = [(b"head", 3000), (b"whole", 8000)]


def in_full(implicit, read, *, at, prefixes=PREFIXES):
    expected = implicit.expect(prefixes, minimum=4096, now=at)
    implicit.measure(expected, read, now=at)
    return expected


def test_without_a_measurement_there_is_no_luck():
    """What was sent a moment ago may be read; nobody knows."""
    implicit = Implicit()
    in_full(implicit, 0, at=0.0)

    expected = implicit.expect(PREFIXES, minimum=4096, now=10.0)
    assert (expected.shared, expected.age) == (8000, 10.0)
    assert expected.tokens == 0.0


@pytest.mark.parametrize("luck", [0.0, 0.5, 1.0])
def test_luck_is_measured(luck):
    """After some requests, what is expected is what was read."""
    implicit = Implicit()
    for n in range(40):
        read = 8000 if n % 2 < 2 * luck else 0
        in_full(implicit, read, at=n * 10.0)

    expected = implicit.expect(PREFIXES, minimum=4096, now=400.0)
    assert expected.tokens == pytest.approx(8000 * luck, rel=0.15, abs=10)


def test_luck_depends_on_the_time_since():
    """What is read within minutes may be gone after an hour."""
    implicit = Implicit()
    at = 0.0
    for n in range(60):
        is_soon = n % 2
        at += 10.0 if is_soon else 5000.0
        in_full(implicit, 8000 if is_soon else 0, at=at)

    soon = implicit.expect(PREFIXES, minimum=4096, now=at + 10.0)
    late = implicit.expect(PREFIXES, minimum=4096, now=at + 6000.0)
    assert soon.tokens > 6000
    assert late.tokens < 1000


def test_sizes_that_were_not_measured_are_like_the_others():
    """A conversation that grows does not begin to doubt at every power of two."""
    implicit = Implicit()
    for n in range(30):
        in_full(implicit, 8000, at=n * 10.0)
    longer = [*PREFIXES, (b"longer", 40_000)]
    in_full(implicit, 8000, at=300.0, prefixes=longer)

    assert implicit.expect(longer, minimum=4096, now=310.0).tokens > 30_000


def test_a_prefix_below_the_minimum_is_not_read():
    """The head is too short to be found."""
    implicit = Implicit()
    in_full(implicit, 0, at=0.0, prefixes=PREFIXES[:1])

    assert implicit.expect(PREFIXES[:1], minimum=4096, now=1.0).shared == 0


def test_what_was_never_sent_in_full_is_not_there():
    """It counts when the two ways are compared, and not for the next answer."""
    implicit = Implicit()
    for n in range(20):
        in_full(implicit, 8000, at=n * 10.0)
    other = [(b"other", 9000)]
    implicit.expect(other, minimum=4096, now=200.0)

    expected = implicit.expect(other, minimum=4096, now=210.0)
    assert expected.tokens > 7000
    assert expected.there == 0.0


def test_when_luck_counts_as_known():
    """After eight chances, or many requests in full without any."""
    chances, none = Implicit(), Implicit()
    for n in range(9):
        assert not chances.is_known
        in_full(chances, 0, at=n * 10.0)
    for n in range(64):
        assert not none.is_known
        in_full(none, 0, at=n * 10.0, prefixes=[(b"%d" % n, 8000)])

    assert chances.is_known
    assert none.is_known


def test_memory_is_bounded():
    """The prefix that came longest ago is forgotten first."""
    implicit = Implicit(max_prefixes=4)
    for n in range(10):
        in_full(implicit, 0, at=float(n), prefixes=[(b"%d" % n, 8000)])

    assert implicit.expect([(b"0", 8000)], minimum=4096, now=11.0).shared == 0
    assert implicit.expect([(b"9", 8000)], minimum=4096, now=11.0).shared == 8000
