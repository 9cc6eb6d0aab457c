"""Writing a head before the first request that reads it."""

import anthropic
import pytest

from promptcache import PromptCache
from promptcache.emulator import Emulator

HEAD = {
    "model": "claude-sonnet-5-5",
    "system": "You know all about look-back. " * 300,
    "tools": [{"name": "look", "input_schema": {"type": "object"}}],
}
SHARED = [
    {"role": "user", "content": "An example. " * 200},
    {"role": "assistant", "content": "An answer to it."},
]
CASES = [
    pytest.param([], ["system[0] 5m system"], id="head"),
    pytest.param(
        SHARED,
        ["system[0] 5m system", "messages[1].content[0] 5m stable"],
        id="shared messages",
    ),
]


@pytest.fixture
def emulator():
    with Emulator() as running:
        yield running


@pytest.fixture
def cache(emulator):
    return PromptCache(strict=True, clock=emulator.clock)


@pytest.mark.parametrize(("messages", "breakpoints"), CASES)
def test_the_next_request_reads(emulator, cache, messages, breakpoints):
    """What is written is all but the placeholder, and the first request reads it."""
    question = [*messages, {"role": "user", "content": "What is it?"}]
    with anthropic.Anthropic(base_url=emulator.url, api_key="k") as client:
        receipt = cache.prewarm(client, **HEAD, messages=messages)
        cache.attach(client).messages.create(**HEAD, messages=question, max_tokens=9)

    warm, real = emulator.ledger
    assert warm.output_tokens == 0
    assert list(receipt.breakpoints) == breakpoints
    assert receipt.usage.written_tokens == warm.cache_creation_input_tokens > 2000
    assert real.cache_read_input_tokens == receipt.usage.written_tokens


@pytest.mark.parametrize(("messages", "breakpoints"), CASES)
async def test_asynchronous_clients(emulator, cache, messages, breakpoints):
    """An asynchronous client writes the same."""
    async with anthropic.AsyncAnthropic(base_url=emulator.url, api_key="k") as client:
        receipt = await cache.aprewarm(client, **HEAD, messages=messages)

    assert list(receipt.breakpoints) == breakpoints
    assert receipt.usage.written_tokens > 2000


def test_any_request_with_no_tokens_to_answer(emulator, cache):
    """What a framework sends with `max_tokens=0` is planned as a pre-warming."""
    with (
        anthropic.Anthropic(base_url=emulator.url, api_key="k") as client,
        cache.collect() as receipts,
    ):
        cache.attach(client).messages.create(
            **HEAD, max_tokens=0, messages=[{"role": "user", "content": "."}]
        )

    assert receipts[0].breakpoints == ("system[0] 5m system",)
    assert any("only warms" in note for note in receipts[0].notes)
