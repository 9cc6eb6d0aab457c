"""What a request pays."""

import pytest

from promptcache.emulator.rules.anthropic_lookup import InputUsage

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
# One message opening, then 101 tokens per block.
BLOCK = 101


def test_positions_a_b_c(world, make):
    """Reading to A, B - A for an hour, C - B for five minutes, the rest uncached."""
    here = world()
    here.call(make(10, {10: HOUR}))

    usage = here.call(make(20, {10: HOUR, 14: HOUR, 18: MARK}))

    assert usage == InputUsage(
        uncached=2 * BLOCK + 4,
        read=1 + 10 * BLOCK,
        written_1h=4 * BLOCK,
        written_5m=4 * BLOCK,
    )


def test_an_hour_before_the_hit_is_not_billed(world, make):
    """B equals A when the only 1h breakpoint is inside of what is read."""
    here = world()
    here.call(make(10, {6: HOUR, 10: MARK}))

    usage = here.call(make(12, {6: HOUR, 12: MARK}))

    assert (usage.written_1h, usage.written_5m) == (0, 2 * BLOCK)


def test_nothing_is_cached_without_a_marker(world, make):
    """Caching is opt-in: without `cache_control` nothing is written or read."""
    here = world()
    here.call(make(10, [10]))

    assert here.call(make(10)) == InputUsage(uncached=1 + 10 * BLOCK + 4)


@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        pytest.param("claude-opus-5-5", 512, id="opus-5-5"),
        pytest.param("claude-sonnet-5", 1024, id="sonnet-5"),
        pytest.param("claude-haiku-4-5-20251001", 4096, id="haiku-4-5"),
        pytest.param("us.anthropic.claude-opus-4-7-v1:0", 2048, id="bedrock-spelling"),
        pytest.param("claude-sonnet-4-5@20250929", 1024, id="vertex-spelling"),
        pytest.param("claude-next-9", 4096, id="unknown-takes-the-highest"),
    ],
)
def test_the_minimum_is_per_model(world, make, model, minimum):
    """A prefix of exactly the minimum is cached; one token less is not, silently."""
    here = world()

    def written(tokens):
        body = make(1, [1], model=model)
        # The message opening and the block cost a token each.
        body["messages"][0]["content"][0]["text"] = "x" * 4 * (tokens - 2)
        return here.judge(body).usage.written_5m

    assert written(minimum - 1) == 0
    assert written(minimum) == minimum


def test_each_breakpoint_is_tested_alone(world, make):
    """A short early breakpoint is skipped while a later long one writes."""
    here = world()
    here.call(make(10, [2, 10]))

    assert here.hit(make(2, [2])) is None
    assert here.hit(make(10, [10])) == "messages.0.content.9"


@pytest.mark.parametrize(
    ("on", "frames"),
    [pytest.param(True, (4, 2), id="on"), pytest.param(False, (0, 0), id="off")],
)
def test_the_closing_frame(world, make, on, frames):
    """With a marker on the last block, 4 tokens stay uncached, or 2 after a prefill."""
    here = world(closing_frame=on)
    body = make(10, [10])
    prefilled = make(10)
    prefilled["messages"].append(
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "So", "cache_control": MARK}],
        }
    )

    found = tuple(here.judge(each).usage.uncached for each in (body, prefilled))

    assert found == frames


@pytest.mark.parametrize("reading", ["ent", "seg"])
def test_a_growing_conversation(world, make, reading):
    """Each turn reads all that the turn before sent, but its closing frame.

    read(n) = total(n - 1) - uncached(n - 1)
    """
    here = world(reading=reading)
    body = make(6, cache_control=MARK)
    last = here.call(body)

    for turn in range(8):
        here.now += 60
        body["messages"] += [
            {"role": "assistant", "content": f"Answer {turn}."},
            {"role": "user", "content": f"Question {turn}? " * 20},
        ]
        usage = here.call(body)

        assert usage.read == last.total - last.uncached
        assert usage.total == usage.read + usage.written_5m + usage.uncached
        last = usage


@pytest.mark.parametrize(
    ("rewrites", "written"),
    [pytest.param(False, 0, id="keeps"), pytest.param(True, 1011, id="rewrites")],
)
def test_a_longer_ttl_on_a_live_entry(world, make, rewrites, written):
    """Whether a 1h breakpoint on a live 5m entry writes it anew is a setting."""
    here = world(longer_ttl_rewrites=rewrites)
    here.call(make(10, {10: MARK}))

    assert here.call(make(10, {10: HOUR})).written_1h == written
