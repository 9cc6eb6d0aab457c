"""When recorded requests are sent."""

import pytest

from promptcache.analysis.replay.pacing import APART, laid
from promptcache.analysis.replay.traces import Asked, Session


def sessions(count=4, times=(0, 100, 1000)):
    return [
        Session(str(number), [Asked(at, {}) for at in times]) for number in range(count)
    ]


def test_sessions_come_one_after_the_other():
    """A session begins when nothing of the one before can be alive."""
    first, second, *_ = laid(sessions())

    assert [it.at for it in first.requests] == [0, 100, 1000]
    assert [it.at for it in second.requests] == [
        1000 + APART + at for at in (0, 100, 1000)
    ]


def test_a_machine_makes_no_long_pause():
    """What is longer than four minutes becomes one; all later requests come earlier."""
    (session,) = laid(sessions(1, (0, 240, 481, 500, 9000)), pace="machine")

    assert [it.at for it in session.requests] == [0, 240, 300, 319, 379]


def test_every_second_session_of_a_mix_is_a_machine():
    """The paces alternate, and nothing labels them unless that is asked for."""
    plain = list(laid(sessions(), mixed=True))
    keyed = list(laid(sessions(), mixed=True, by_tenant=True))

    spans = [it.requests[-1].at - it.requests[0].at for it in plain]
    assert spans == [1000, 160, 1000, 160]
    assert {it.tenant for session in plain for it in session.requests} == {None}
    assert [it.requests[0].tenant for it in keyed] == ["recorded", "machine"] * 2


@pytest.mark.parametrize(
    ("part", "names"), [("all", "0123"), ("even", "02"), ("odd", "13")]
)
def test_a_slice_takes_every_second_session(part, names):
    """Sessions are counted from 0, and those left out take no time."""
    taken = list(laid(sessions(), part=part))

    assert "".join(it.name for it in taken) == names
    assert taken[0].requests[0].at == 0
