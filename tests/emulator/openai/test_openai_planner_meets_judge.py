"""OpenAI's planner provokes no refusal, and what it plans is read.

Both sides are written from the provider's documents and share no code. Conversations
are made at random, from a fixed seed, and judged by the pure rules, without HTTP.
`FUZZ` says how many times as many.
"""

import logging
import random
from collections import Counter

import pytest
from fuzzing import TIMES
from openai_meeting import PROVIDERS, FakeClock, NoPrices, Server, refusal, told
from openai_talks import CACHING, HOSTS, Talk, bare

from promptcache import PromptCache, options
from promptcache.emulator import OpenAISettings
from promptcache.providers import Request

REQUESTS = 10_000 * TIMES
TURNS = 7
AT_ONCE = 6
LISTS = ("messages", "input", "previous_response_id")


class Meeting:
    """A planner and a judge, and what came of their meeting."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.clock = FakeClock()
        self.cache = PromptCache(strict=True, clock=self.clock, prices=NoPrices())
        self.servers = {host: Server() for host in set(HOSTS)}
        self.servers["azure-ptu"] = Server(OpenAISettings(breakpoints=False))
        self.counts = Counter()
        self.provoked = []
        self.unread = []
        self.talks = 0

    def hold(self, *, requests):
        """Let conversations grow, some at a time, until so many were judged."""
        going = []
        while self.counts["requests"] < requests:
            while len(going) < AT_ONCE:
                self.talks += 1
                going.append(Conversation(self, Talk(self.rng, self.talks)))
            long = self.rng.random() < 0.01
            self.clock.time += 2000 if long else self.rng.choice([0.5, 2, 10, 40])
            one = self.rng.choice(going)
            if not one.goes_on():
                going.remove(one)


class Conversation:
    """One conversation, planned and judged turn by turn."""

    def __init__(self, meeting, talk):
        self.meeting = meeting
        self.talk = talk
        self.server = meeting.servers[talk.host]
        self.turns = meeting.rng.choice([1, TURNS, TURNS])
        self.last = None
        self.kept = []
        """What the provider keeps, if requests go on from answers."""
        self.id = None

    def goes_on(self):
        """Make a request; return whether there is to be another."""
        caching = self.meeting.rng.choice([0, 0, 0, 0, 1, 2, 6])
        self.talk.grow()
        whole = self.talk.body(caching=caching)
        said = whole
        if self.talk.follows and self.id is not None:
            self.kept += self.talk.answered
            new = whole["input"][len(self.kept) :]
            said = {**whole, "input": new, "previous_response_id": self.id}
        self.turns -= 1
        return self.ask(said, caching) and self.turns > 0

    def ask(self, body, caching):
        """Plan a request and judge it; return whether it was accepted."""
        meeting, talk, server = self.meeting, self.talk, self.server
        meeting.counts["requests"] += 1
        follows = body.get("previous_response_id")
        request = Request(PROVIDERS[talk.api], body, talk.host, follows)
        with options(tenant=talk.tenant, conversation=talk.name, ttl=talk.ttl):
            prepared = meeting.cache.prepare(request)
        sent = self.whole(prepared.body)
        refused = refusal(talk.api, sent, server.settings)
        self.compare_refusals(refused, self.whole(body), sent)
        if refused is not None:
            return False
        now = meeting.clock.time
        judged, verdict, where = server.ask(talk.api, sent, now)
        said = {name: body[name] for name in body if name not in (*LISTS, *CACHING)}
        this = (verdict, where, caching, said)
        if self.last is not None:
            self.compare_reading(judged, this, self.last, body)
        self.last = this
        self.settle(prepared, sent, told(talk.api, verdict.usage))
        return True

    def whole(self, body):
        """Return a body with what the provider keeps before it."""
        if "previous_response_id" not in body:
            return body
        return {**body, "input": [*self.kept, *body["input"]]}

    def settle(self, prepared, sent, usage):
        self.meeting.counts["answers"] += 1
        if self.talk.follows:
            given = sent["input"]
            is_text = isinstance(given, str)
            self.kept = [{"role": "user", "content": given}] if is_text else list(given)
            self.id = f"resp_{self.meeting.counts['answers']}"
        self.meeting.cache.settle(prepared, usage, message_id=self.id)

    def compare_refusals(self, refused, built, sent):
        """Take note of a refusal that the built body, or its bare form, has not met."""
        meeting, api = self.meeting, self.talk.api
        before = refusal(api, built, self.server.settings)
        naked = refusal(api, bare(built), self.server.settings)
        meeting.counts["legal"] += before is None
        meeting.counts["mended"] += before is not None and refused is None
        meeting.counts["refused"] += refused is not None
        # Whether an unknown model takes breakpoints is not known.
        mendable = naked is None and self.talk.model != "gpt-9"
        if refused is not None and (before is None or mendable):
            meeting.provoked.append((refused.message, built, sent))

    def compare_reading(self, judged, this, last, body):
        """Take note of whether a request reads what the last one left."""
        verdict, where, caching, said = this
        before, place, caching_before, said_before = last
        left = (*before.refreshed, *before.written)
        could = self.server.could_read(judged, left, self.meeting.clock.time)
        counts = self.meeting.counts
        counts["could read"] += could > 0
        if verdict.usage.read >= could:
            return
        causes = {
            "the caller marked this one": caching,
            "a key of the caller's": caching_before and where[0] != place[0],
            "the caller marked the last one": caching_before,
            "parameters changed": said != said_before,
        }
        cause = next((name for name, holds in causes.items() if holds), None)
        counts[f"unread: {cause}"] += 1
        if cause is None:
            self.meeting.unread.append((body, could, verdict, before))


@pytest.fixture(scope="module")
def meeting():
    logger = logging.getLogger("promptcache")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    held = Meeting(seed=20261122)
    held.hold(requests=REQUESTS)
    logger.setLevel(level)
    print(held.talks, "conversations:", dict(held.counts))  # noqa: T201  # with `-s`
    return held


def test_no_refusal_is_provoked(meeting):
    """What was legal stays so, and what the caller's breakpoints spoiled is mended."""
    counts = meeting.counts

    assert counts["requests"] >= REQUESTS
    assert counts["legal"] > REQUESTS / 2
    assert counts["mended"] > REQUESTS / 10
    assert meeting.provoked == []


def test_the_next_request_reads(meeting):
    """A conversation that goes on reads all that its last request left and that lives.

    That is promised where the parameters are the same and the caller said nothing of
    caching in either request: a breakpoint of the caller's may take the slot that ours
    needs, and what is under a key of the caller's is under no other.
    """
    counts = meeting.counts
    others = sum(counts[name] for name in counts if name.startswith("unread"))

    assert counts["could read"] > REQUESTS / 5
    assert others < counts["could read"] / 10
    assert meeting.unread == []
