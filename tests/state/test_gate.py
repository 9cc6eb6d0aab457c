"""The bound on what learning may cost, whatever is sent."""

from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from promptcache.planning.plan import plan
from promptcache.planning.policies import Policy
from promptcache.planning.slots import Rules
from promptcache.planning.terms import Terms
from promptcache.state.gate import ANSWERED_WITHIN, SHARE, Gate
from promptcache.state.history import History
from tests.support.block_judge import Judge, letters

RULES = Rules(minimum_tokens=0, lookback=20)
TERMS = Terms()
SIZES = {name: 40 * 4 ** "abcdef".index(name) for name in "abcdef"}
"""Bytes of a block by its letter: from 10 tokens to 10,240."""


@dataclass
class Sum:
    """What was billed, and what not caching would have cost."""

    bill: float = 0.0
    none: float = 0.0


class World:
    """Requests planned by a history, billed by the emulator's rules."""

    def __init__(self, allowance, reading):
        self.allowance = allowance
        self.history = History(allowance=allowance)
        self.judge = Judge(reading=reading)
        self.now, self.sums = 0.0, {}
        self.flying = []

    def begin(self, outline, tenant=None):
        past = self.history.past(outline, now=self.now, tenant=tenant)
        made = plan(outline, rules=RULES, policy=Policy.auto(), past=past)
        sent = self.history.record(
            outline, made, past, now=self.now, reach=RULES.lookback, tenant=tenant
        )
        self.flying.append((sent, tenant))

    def end(self, number, *, is_visible=True):
        """Have one of the requests in flight answered, and look at the bill."""
        sent, tenant = self.flying.pop(number % len(self.flying))
        outline = sent.outline
        # What others write at the same time may not be there yet.
        judge = self.judge if is_visible else Judge()
        told = judge.judge(outline, sent.entries, sent.now)
        self.history.settle(
            sent, tokens=outline.total_tokens, read=told.read, written=told.written
        )
        total = self.sums.setdefault(tenant, Sum())
        total.none += outline.total_tokens
        total.bill += outline.total_tokens + told.excess

        assert total.bill <= (1 + SHARE) * total.none + self.allowance + 1e-6


REQUEST = st.tuples(st.text("abcdef", min_size=1, max_size=8), st.integers(0, 3))
GAPS = st.sampled_from([0.0, 1.0, 250.0, 310.0, 1_000.0, 3_500.0, 4_000.0])
READINGS = pytest.mark.parametrize("reading", ["seg", "ent"])


def request_of(names, kind):
    """Return a request by its letters, of an agent, with tools, or of a chat."""
    head = min(kind, len(names))
    tools = int(kind > 1 and head > 0)
    return letters(names, sizes=SIZES.get, tools=tools, system=head - tools)


@READINGS
@settings(max_examples=150)
@given(
    st.lists(st.tuples(REQUEST, GAPS), min_size=1, max_size=40),
    st.sampled_from([0.0, 50.0, 1_000.0, 20_000.0]),
)
@example([(("f" * 8, 0), 310.0)] * 30, 1_000.0)
@example([((f"{'f' * 7}{it}", 2), 310.0) for it in "abcdef" * 5], 20_000.0)
def test_a_bound_at_every_moment(reading, requests, allowance):
    """Whatever is sent one after the other, the bill stays within it."""
    world = World(allowance, reading)
    for (names, kind), gap in requests:
        world.begin(request_of(names, kind))
        world.end(0)
        world.now += gap


@READINGS
@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(REQUEST, GAPS, st.integers(0, 9), st.booleans()),
        min_size=1,
        max_size=40,
    ),
    st.sampled_from([0.0, 50.0, 1_000.0, 20_000.0]),
)
def test_a_bound_with_requests_in_flight(reading, requests, allowance):
    """Also while many are planned before the first is answered, in any order."""
    world = World(allowance, reading)
    for (names, kind), gap, number, is_visible in requests:
        tenant = ("one", "other")[kind % 2]
        world.begin(request_of(names, kind), tenant)
        if number > 3:
            world.end(number, is_visible=is_visible)
        world.now += gap / 10
    while world.flying:
        world.end(0, is_visible=False)


@READINGS
def test_unique_tails(reading):
    """Long one-shot questions cost no more than they would without a cache."""
    world = World(20_000.0, reading)
    for number in range(300):
        world.begin(letters(f"h{number:04}", sizes=lambda _: 4_000, system=1))
        world.end(0)
        world.now += 20.0
    total = world.sums[None]

    assert total.bill < total.none


@READINGS
def test_it_opens_again(reading):
    """Where reading pays, what was spent before is no obstacle for ever."""
    world = World(3_000.0, reading)
    for number in range(100):
        world.begin(letters(f"f{number:04}", sizes=lambda _: 4_000, tools=1))
        world.end(0)
        world.now += 400.0
    names, before = "", Sum(**vars(world.sums[None]))
    for number in range(120):
        names += chr(200 + number)
        world.begin(letters(names, sizes=lambda _: 4_000, tools=1))
        world.end(0)
        world.now += 20.0
    total = world.sums[None]

    assert total.bill - before.bill < 0.5 * (total.none - before.none)


def test_room():
    """It is the allowance, a share of what was sent, less what was spent."""
    gate = Gate(1_000.0)
    assert gate.room("a", 500.0, now=0.0) == 1_005.0
    made = gate.plan("a", 300.0, now=0.0)
    assert gate.room("a", 500.0, now=0.0) == 705.0
    gate.settle(made, tokens=500.0, excess=-100.0)

    assert gate.room("a", 0.0, now=0.0) == 1_105.0
    assert gate.room("b", 0.0, now=0.0) == 1_000.0


def test_room_is_never_less_than_nothing():
    """What was overspent leaves none."""
    gate = Gate(0.0)
    gate.settle(gate.plan("a", 0.0, now=0.0), tokens=0.0, excess=10.0)

    assert gate.room("a", 100.0, now=0.0) == 0.0


def test_what_is_not_answered():
    """It is given back after an hour, once; an answer that comes later counts."""
    gate = Gate(1_000.0)
    made = gate.plan("a", 300.0, now=0.0)
    assert gate.room("a", 0.0, now=ANSWERED_WITHIN - 1) == 700.0
    assert gate.room("a", 0.0, now=ANSWERED_WITHIN) == 1_000.0
    gate.settle(made, tokens=0.0, excess=200.0)

    assert gate.room("a", 0.0, now=ANSWERED_WITHIN) == 800.0


def test_accounts_are_bounded(monkeypatch):
    """The account used least recently goes first."""
    monkeypatch.setattr("promptcache.state.gate.MAX_KEYS", 3)
    monkeypatch.setattr("promptcache.state.gate.MAX_UNANSWERED", 3)
    gate = Gate(1_000.0)
    for number in range(10):
        gate.plan(number, 100.0, now=0.0)

    assert [gate.room(it, 0.0, now=0.0) for it in (0, 6, 7, 9)] == [
        1_000.0,
        1_000.0,
        900.0,
        900.0,
    ]
    assert len(gate._accounts) == len(gate._unanswered) == 3
