"""What history makes of pings: entries that live on, their cost, and their books."""

import pytest

from promptcache.analysis.replay.traces import BlockTrace
from promptcache.planning.plan import Breakpoint, Plan
from promptcache.planning.terms import Terms
from promptcache.state.history import History

TRACE = BlockTrace(64)
CHEAP = Terms(0.025)
TAIL = 30


LARGE = BlockTrace(6_400)


def asked(length=TAIL + 1, trace=TRACE):
    digests = [number.to_bytes(4, "big") for number in range(length)]
    return trace.outline(digests, root=b"", tools=2, system=2, answered=True)


def record(history, now, ttl="5m", *, more=0, trace=TRACE, **fields):
    outline = asked(TAIL + 1 + more, trace)
    past = history.past(outline, now=now, terms=CHEAP)
    for name, value in fields.items():
        object.__setattr__(past, name, value)
    plan = Plan((Breakpoint(TAIL + more, ttl, "tail"),))
    return past, history.record(outline, plan, past, now=now, terms=CHEAP)


@pytest.mark.parametrize(
    ("pinged", "entry"), [pytest.param(True, TAIL, id="pinged"), (False, -1)]
)
def test_a_prefix_lives_on(pinged, entry):
    """What a ping has read can be read for as long again."""
    history = History()
    _, sent = record(history, 1000.0)
    if pinged:
        history.warmed(sent, read=2000.0, written=0.0, now=1288.0)

    assert history.past(asked(), now=1500.0, terms=CHEAP).entry == entry


def test_the_gate_knows_the_cost():
    """What a ping costs is missing where something is to be written."""
    history = History(allowance=1e6)
    _, sent = record(history, 1000.0)
    before = history.past(asked(), now=1001.0, terms=CHEAP).room
    history.warmed(sent, read=2000.0, written=400.0, now=1288.0)
    after = history.past(asked(), now=1300.0, terms=CHEAP).room

    assert before - after == pytest.approx(0.025 * 2000 + 1.25 * 400)


@pytest.mark.parametrize(
    ("pings", "ttl", "fields", "allowed"),
    [
        pytest.param(True, "5m", {"way": "pings"}, True, id="by the books"),
        pytest.param(False, "5m", {"way": "pings"}, False, id="not allowed"),
        pytest.param(True, "5m", {"way": "short"}, False, id="another way"),
        pytest.param(
            True, "5m", {"way": "long", "entry": 9}, True, id="long, but not yet"
        ),
        pytest.param(
            True, "1h", {"way": "long", "entry": 9, "is_firm": True}, False, id="long"
        ),
    ],
)
def test_what_is_to_be_pinged(pings, ttl, fields, allowed):
    """Pings go by the books; what could not be written for long yet needs them too."""
    _, sent = record(History(pings=pings), 1000.0, ttl, **fields)

    assert sent.pings is allowed


def test_what_is_held():
    """What lives for the long lifetime is known, as it needs no ping."""
    assert record(History(), 1000.0, "1h")[1].held == TAIL
    assert record(History(), 1000.0, "5m")[1].held == -1


@pytest.mark.parametrize(
    ("pings", "gap", "way"),
    [
        pytest.param(True, 400.0, "pings", id="pauses that pings bridge"),
        pytest.param(False, 400.0, "long", id="not allowed"),
        pytest.param(True, 3500.0, "long", id="pauses that are too long for them"),
    ],
)
def test_the_books(pings, gap, way):
    """Where readings are cheap, pings are the cheapest way over pauses of minutes."""
    history = History(pings=pings)
    history.know(None, keeps=False)
    now = 1000.0
    for number in range(30):
        past, sent = record(history, now, more=30 * number, trace=LARGE)
        history.stopped(sent, "end_turn")
        now += gap
    assert past.way == way
