"""When a ping is worth its reading."""

import pytest

from promptcache.planning.terms import Terms
from promptcache.planning.warming import (
    INTERVAL,
    KINDS,
    PINGS,
    PRIORS,
    STRENGTH,
    Silences,
    hazard,
    hazards,
    kind_of,
    price_of_silence,
    usual_pings,
    worth,
)


@pytest.mark.parametrize(
    ("read", "agent", "chat"),
    [
        pytest.param(0.1, 3, (0, 1), id="0.1"),
        pytest.param(0.05, 6, (1, 1), id="0.05"),
        pytest.param(0.025, 10, (2, 2), id="0.025"),
    ],
)
def test_usual_pings(read, agent, chat):
    """The cheaper a reading, the longer pings pay; an agent's user comes back later."""
    terms = Terms(read)

    assert usual_pings("end_turn", terms) == usual_pings("tool_use", terms) == agent
    assert (usual_pings("chat 0", terms), usual_pings("chat 3", terms)) == chat


def test_the_rule():
    """A ping pays from the break-even of a reading on."""
    terms = Terms(0.1)
    at = 0.1 / 1.15

    assert worth(1, (at + 0.001,), terms=terms) > 0
    assert worth(1, (at - 0.001,), terms=terms) < 0


def test_what_comes_later_counts():
    """A ping that does not pay itself may be the way to one that does."""
    terms = Terms(0.1)

    assert worth(1, (0.05, 0.0), terms=terms) < 0
    assert worth(1, (0.05, 0.9), terms=terms) > 0
    assert worth(2, (0.9, 0.0), terms=terms) < 0


def test_what_is_sent_beside_counts():
    """Text behind the last breakpoint is sent at the plain price each time."""
    terms = Terms(0.1)

    assert worth(1, (0.2,), terms=terms) > 0
    assert worth(1, (0.2,), terms=terms, rest=0.5) < 0


def test_nothing_past_an_hour():
    """A conversation that always comes back is pinged for an hour and no longer."""
    own = Silences()
    for _ in range(100 * STRENGTH):
        own.note(PINGS, 1.0)

    assert hazard(PINGS, "tool_use", None, own) > 0.99
    assert hazard(PINGS + 1, "tool_use", None, own) == 0.0
    assert worth(PINGS + 1, hazards("tool_use", None, own), terms=Terms()) < 0
    assert PINGS * INTERVAL <= 3600


def test_hazard():
    """Counts draw what is known of others towards what they show, by their number."""
    prior, own = PRIORS["end_turn"][0], Silences()
    for _ in range(STRENGTH):
        own.note(1, 0.5)
    own.note(2)

    assert hazard(1, "end_turn", None, None) == prior
    assert hazard(1, "end_turn", None, own) == pytest.approx((prior + 0.5) / 2)
    assert hazard(1, "end_turn", own, own) == pytest.approx((prior + 1.5) / 4)
    assert hazard(3, "end_turn", None, own) == pytest.approx(PRIORS["end_turn"][2])


def test_counts_fade():
    """What is halved keeps its chance and loses its weight."""
    own = Silences()
    for _ in range(8):
        own.note(1, 0.25)
    own.fade(0.5)

    assert (own.silent[1], own.returned[1]) == (4.0, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_priors(kind):
    """Every kind of silence has a chance for every ping."""
    assert len(PRIORS[kind]) == PINGS
    assert all(0 < chance < 1 for chance in PRIORS[kind])


@pytest.mark.parametrize(
    ("is_agent", "stop", "turns", "kind"),
    [
        pytest.param(True, "end_turn", 9, "end_turn", id="waits for its user"),
        pytest.param(True, "tool_use", 9, "tool_use", id="goes on by itself"),
        pytest.param(True, None, 9, "tool_use", id="not known"),
        pytest.param(False, "end_turn", 0, "chat 0", id="first question"),
        pytest.param(False, "end_turn", 9, "chat 3", id="long chat"),
    ],
)
def test_kinds(is_agent, stop, turns, kind):
    """Agents are told apart by why they stopped, chats by their length."""
    assert kind_of(is_agent=is_agent, stop=stop, turns=turns) == kind


@pytest.mark.parametrize(
    ("seconds", "pings"),
    [(200.0, 0), (300.0, 1), (600.0, 2), (1e4, 3), (float("inf"), 3)],
)
def test_price_of_silence(seconds, pings):
    """The books have every ping of a silence, also of one that never ends."""
    price, lives = price_of_silence(seconds, 1000.0, stop="end_turn", terms=Terms(0.1))

    assert price == pytest.approx(pings * 100.0)
    assert lives == pings * INTERVAL + 300


def test_what_lives_on_unasked_needs_no_ping():
    """A ping reads all, but saves only what would be lost."""
    terms = Terms(0.1)

    assert worth(1, (0.2,), terms=terms, lost=0.5) > 0
    assert worth(1, (0.2,), terms=terms, lost=0.4) < 0
