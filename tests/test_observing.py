"""Receipts of calls that went past every client that we know."""

import pytest

from promptcache import CallOptions, PromptCache, Settled, Usage, observe
from promptcache.call import current_run_id


class Clock:
    """A clock that stands."""

    def now(self):
        return 100.0


def test_a_call_is_told_of():
    """The report, listeners and collectors have its receipt, under the call's id."""
    seen = []
    cache = PromptCache(clock=Clock(), listeners=[seen.append])
    cache.listen(lambda event: seen.append(event.context.run(current_run_id)))
    with cache.collect() as collected:
        receipt = observe(
            cache,
            Usage(1_000, 900, 0, 0, 0, 10),
            provider="anthropic",
            model="claude-sonnet-4-6",
            at=90.0,
            first_token=92.0,
            options=CallOptions(tenant="museum", conversation="visit"),
            message_id="msg_1",
            run_id="run-1",
        )

    assert collected == [receipt]
    assert isinstance(seen[0], Settled)
    assert seen[0].receipt is receipt
    assert seen[1] == "run-1"
    assert current_run_id() is None
    assert cache.report().to_dict()["total"]["requests"] == 1
    assert (receipt.policy, receipt.tenant) == ("off", "museum")
    assert (receipt.first_token_s, receipt.total_s) == (2.0, 10.0)
    expected = (100 * 3 + 900 * 0.3 + 10 * 15) / 1e6
    assert receipt.cost_usd == pytest.approx(expected)


def test_nothing_known():
    """What nobody tells is unknown."""
    cache = PromptCache(clock=Clock())
    receipt = observe(cache, Usage(), provider="unknown", model="", at=200.0)

    assert receipt.cost_usd is None
    assert receipt.first_token_s is None
    assert receipt.total_s == 0.0
    assert receipt.conversation is None
