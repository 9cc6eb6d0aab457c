"""Whatever comes back, a call ends as the stock SDK's, and is settled without a word.

Bytes are cut anywhere; events are lost, doubled, out of order, of unknown types, or
hold what they should not.
"""

import logging

import pytest
from fuzz_streams import (
    MODES,
    Served,
    body_of,
    clients,
    outcome,
    recorded,
    spoiled,
    spoiled_answers,
)
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from promptcache import PromptCache
from promptcache.receipts.events import PlanningFailed, Settled

EXAMPLES = 40

pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class Aiohttp")


class Both:
    """A stock client and the same attached, with one server behind them."""

    def __init__(self, name, clock):
        self.name, self.served, self.events = name, Served(), []
        self.cache = PromptCache(listeners=[self.events.append], clock=clock)
        self.stock = clients(name, self.served)
        self.ours = [it and self.cache.attach(it) for it in self.stock]

    def check(self, mode, *, stream=True):
        """Compare what the two callers see, and look at what was settled."""
        body = body_of(self.name, stream=stream)
        place = mode == "async"
        expected = outcome(self.name, mode, self.stock[place], body)
        self.events.clear()
        self.served.asked = 0
        found = outcome(self.name, mode, self.ours[place], body)

        assert found == expected
        assert self.served.asked == 1
        assert [it for it in self.events if isinstance(it, PlanningFailed)] == []
        receipts = [it.receipt for it in self.events if isinstance(it, Settled)]
        # A stock call that fails may have done so before there was an answer.
        assert len(receipts) == 1 or (not receipts and len(expected[0]) == 1)
        for receipt in receipts:
            usage = receipt.usage
            counts = (usage.input_tokens, usage.read_tokens, usage.output_tokens)
            assert all(it is None or it >= 0 for it in counts)
        return receipts


@pytest.fixture
def both(request, emulator):
    made = Both(request.param, emulator.clock)
    yield made
    made.cache.close()


@pytest.fixture(autouse=True)
def quiet():
    """Log nothing: each example would add lines to what a failure shows."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


NAMES = pytest.mark.parametrize("both", MODES, indirect=True)


@NAMES
def test_streams(both, emulator):
    """A stream that is spoiled is handed on as it is, and settled once."""
    events, _ = recorded(both.name, emulator)
    both.served.kind = "text/event-stream"
    both.served.content = "".join(f"{it}\n\n" for it in events).encode()
    for mode in MODES[both.name]:
        (receipt,) = both.check(mode)
        assert receipt.usage.input_tokens, mode

    @fuzzed(EXAMPLES)
    @given(answer=spoiled(events), mode=st.sampled_from(MODES[both.name]))
    def check(answer, mode):
        both.served.content, both.served.cuts = answer
        both.check(mode)

    check()


@NAMES
def test_answers(both, emulator):
    """So is an answer in one piece."""
    _, whole = recorded(both.name, emulator)

    @fuzzed(EXAMPLES)
    @given(content=spoiled_answers(whole))
    def check(content):
        both.served.content = content
        both.check("whole", stream=False)

    check()
