"""Automatic caching: the top-level `cache_control`."""

import pytest

from promptcache.emulator.rules.rejection import RejectedError

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def test_it_lands_on_the_last_block(world, make):
    """The prefix up to the last block is written, for five minutes by default."""
    verdict = world().judge(make(10, cache_control=MARK))

    assert verdict.breakpoints == ("messages.0.content.9",)
    assert verdict.usage.written_5m == 1011


def test_it_has_its_own_ttl(world, make):
    """The top-level marker may ask for an hour."""
    assert world().judge(make(10, cache_control=HOUR)).usage.written_1h == 1011


def test_it_walks_back_over_what_cannot_be_marked(world, make):
    """A trailing thinking block is passed over for the block before it."""
    body = make(10, cache_control=MARK)
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    body["messages"].append({"role": "assistant", "content": [thinking]})

    assert world().judge(body).breakpoints == ("messages.0.content.9",)


def test_it_walks_back_over_a_scoped_system_turn(world, make):
    """A turn-scoped system message is no target."""
    body = make(10, cache_control=MARK)
    scoped = {"role": "system", "content": "now", "clear_at": "next_user_message"}
    body["messages"].append(scoped)

    assert world().judge(body).breakpoints == ("messages.0.content.9",)


def test_the_same_ttl_on_the_last_block_is_a_no_op(world, make):
    """An explicit marker of the same lifetime on the last block takes its place."""
    body = make(10, [10])

    assert world().judge({**body, "cache_control": MARK}) == world().judge(body)


def test_four_explicit_with_the_last_on_the_last_block(world, make):
    """Both documented readings can be chosen; refusal is the default."""
    body = make(10, [7, 8, 9, 10], cache_control=MARK)

    assert len(world(automatic_with_four="no-op").judge(body).breakpoints) == 4
    with pytest.raises(RejectedError, match="no slots left"):
        world().judge(body)


@pytest.mark.parametrize(
    ("marks", "automatic", "message"),
    [
        pytest.param({10: HOUR}, MARK, "differs from the automatic", id="other-ttl"),
        pytest.param(
            dict.fromkeys((6, 7, 8, 9), MARK), MARK, "no slots left", id="no-slot"
        ),
        pytest.param({5: MARK}, HOUR, "^cache_control.ttl: a ttl='1h'", id="order"),
    ],
)
def test_refusals(world, make, marks, automatic, message):
    """It clashes with another lifetime, a full set and an earlier shorter one."""
    with pytest.raises(RejectedError, match=message):
        world().judge(make(10, marks, cache_control=automatic))


def test_legacy_bedrock_has_none(world, make):
    """The legacy Bedrock integration refuses the field."""
    with pytest.raises(RejectedError) as refused:
        world(host="bedrock").judge(make(10, cache_control=MARK))

    assert refused.value.message == "cache_control: Extra inputs are not permitted"


def test_null_is_absent(world, make):
    """`cache_control: null` asks for nothing."""
    assert world().judge(make(10, cache_control=None)).breakpoints == ()
