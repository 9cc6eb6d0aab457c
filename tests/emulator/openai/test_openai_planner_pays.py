"""What OpenAI's planner saves and risks, against requests as a framework builds them.

Both are judged by the pure rules, each on a server of its own. The bill is in input
tokens: 1 for one that is neither read nor written, 0.1 for one read, 1.25 for one
written.
"""

import logging
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from openai_meeting import PROVIDERS, FakeClock, NoPrices, Server, bill, told
from openai_talks import Talk

from promptcache import PromptCache, options
from promptcache.providers import Request

MARKED = "gpt-5.6-sol"
MATCHED = "gpt-5.2"


@pytest.fixture(autouse=True)
def _quiet():
    logger = logging.getLogger("promptcache")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(level)


@dataclass
class Traffic:
    """Conversations of one kind, planned and not."""

    model: str
    turns: int
    tools: int = 0
    heads: int = 10
    rate: float = 4.6
    """Requests a minute, at random."""
    think: float = 80.0
    """Seconds between two requests of a conversation, about."""
    planned: Counter = field(default_factory=Counter)
    built: Counter = field(default_factory=Counter)
    excess: list = field(default_factory=list)
    """What each conversation paid more, in the tokens of its first request."""

    def __post_init__(self):
        self.rng = random.Random(20261122)
        self.clock = FakeClock()
        self.cache = PromptCache(strict=True, clock=self.clock, prices=NoPrices())
        self.ours, self.theirs = Server(), Server()
        self.number = 0

    def run(self, requests):
        going = []
        at_once = max(1, round(self.rate * self.think / 60))
        for _ in range(requests):
            while len(going) < at_once:
                going.append(self.begun())
            self.clock.time += self.rng.expovariate(self.rate / 60)
            talk = self.rng.choice(going)
            self.ask(talk)
            if len(talk.bills) == talk.turns:
                going.remove(talk)
                self.excess.append(sum(talk.bills) / talk.first)
        return self

    def begun(self):
        self.number += 1
        fixed = {"model": self.model, "host": "openai", "tools": self.tools}
        head = self.rng.randrange(self.heads)
        talk = Talk(self.rng, self.number, plain=True, head=head, **fixed)
        # A tenant's cache is its own, whatever that costs.
        talk.tenant = None
        talk.bills, talk.first = [], 0
        # Those that go on already are somewhere in between.
        first = self.number <= self.rate * self.think / 60
        talk.turns = self.rng.randint(1, self.turns) if first else self.turns
        return talk

    def ask(self, talk):
        talk.grow()
        body = talk.body()
        with options(conversation=talk.name):
            request = Request(PROVIDERS[talk.api], body, talk.host)
            prepared = self.cache.prepare(request)
        now = self.clock.time
        answered = self.ours.ask(talk.api, prepared.body, now)
        ours = self.count(self.planned, answered)
        theirs = self.count(self.built, self.theirs.ask(talk.api, body, now))
        self.cache.settle(prepared, told(talk.api, ours))
        assert ours.total == theirs.total
        talk.bills.append(bill(ours) - bill(theirs))
        talk.first = talk.first or ours.total

    def count(self, counts, answered):
        request, verdict, _ = answered
        used, prompt = verdict.usage, request.prompt
        head = 0 if prompt.initial is None else prompt.positions[prompt.initial].tokens
        beyond = any(entry.tokens > head for entry in verdict.written)
        counts["bill"] += bill(used)
        counts["read"] += used.read
        counts["written"] += used.written
        counts["total"] += used.total
        counts["beyond the head"] += beyond
        return used

    @property
    def ratio(self):
        return self.planned["bill"] / self.built["bill"]

    def share(self, counts):
        return counts["read"] / counts["total"]


@pytest.mark.parametrize(
    ("traffic", "most"),
    [
        pytest.param(Traffic(MARKED, turns=1), 0.4, id="questions"),
        pytest.param(Traffic(MARKED, turns=1, tools=6), 0.4, id="questions-with-tools"),
        pytest.param(Traffic(MARKED, turns=2), 0.6, id="short-chats"),
        pytest.param(Traffic(MARKED, turns=7), 0.9, id="chats"),
        pytest.param(Traffic(MARKED, turns=2, tools=6), 0.6, id="short-loops"),
        pytest.param(Traffic(MARKED, turns=7, tools=6), 0.9, id="loops"),
        pytest.param(Traffic(MARKED, turns=7, tools=6, heads=1), 1, id="one-agent"),
        pytest.param(Traffic(MATCHED, turns=1), 1, id="matched-questions"),
        pytest.param(Traffic(MATCHED, turns=7, tools=6), 1, id="matched-loops"),
    ],
)
def test_the_bill(traffic, most):
    """Of no kind of traffic is the bill above what it is in implicit mode.

    One conversation may pay more than in implicit mode: an end that was not written, as
    it seemed the last one, is paid once more. That is at most 0.9 of what it began
    with.
    """
    traffic.run(600)

    assert len(traffic.excess) >= 50
    assert traffic.ratio <= most
    assert max(traffic.excess) <= 0.9 + 1e-9


def test_questions_write_only_their_head():
    """What nobody will read again is not written; implicit mode writes all of it.

    Short questions are taken to come again until the first have not in half an hour.
    """
    traffic = Traffic(MARKED, turns=1).run(500)
    begun = traffic.planned["beyond the head"]
    traffic.run(200)

    assert 0 < traffic.planned["written"] < traffic.built["written"] / 20
    assert traffic.planned["beyond the head"] == begun < 200


@pytest.mark.parametrize(
    ("rate", "gained"),
    [
        pytest.param(6, -0.05, id="quiet"),
        pytest.param(15, -0.05, id="full"),
        pytest.param(60, 0.15, id="busy"),
    ],
)
def test_keys_keep_conversations_together(rate, gained):
    """More requests than a machine takes read more with several keys than with none.

    Keys are split at a guess, so that a rate near the limit may lose a little.
    """
    busy = {"turns": 8, "tools": 6, "heads": 1, "think": 60.0}
    traffic = Traffic(MATCHED, rate=rate, **busy).run(1200)

    assert traffic.share(traffic.planned) - traffic.share(traffic.built) >= gained
