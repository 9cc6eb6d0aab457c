"""Under which key a request goes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcache.options import CallOptions
from promptcache.outline import Blocks, Outline, Trail
from promptcache.planning.keys import cache_key
from promptcache.planning.past import NOTHING_KNOWN, Past
from promptcache.planning.slots import Rules

ROUTES = Rules(matching="prefix", takes_key=True, requests_per_minute=15)
PARTS = Rules(matching="marked", takes_key=True, tenant_key=True)
NOBODY = CallOptions()
LONGEST = 64


def outline(first="hello", head=b"head"):
    """Return a conversation that begins with `first`."""
    blocks = Blocks(b"root")
    blocks.add(b"system", 4, "text")
    for text in (first, "and then"):
        blocks.add(text.encode(), 4, "text")
    return Outline(
        blocks=blocks,
        length=3,
        tools_end=0,
        system_end=1,
        starts=(0, 1, 2),
        roles=("system", "user", "assistant"),
        markers={},
        head_key=head,
    )


def key(of=None, *, rules=ROUTES, past=NOTHING_KNOWN, options=NOBODY):
    return cache_key(of or outline(), rules=rules, past=past, options=options)


def test_a_head_has_one_key():
    """Conversations that begin alike go together, on every replica."""
    assert key() == key(outline(first="other"))
    assert key() == "promptcache-c68e43ece1698e102c4c973b940d53e3"
    assert key() != key(outline(head=b"another"))


@pytest.mark.parametrize(
    ("of", "rules"),
    [
        pytest.param(outline(head=b""), ROUTES, id="no-head"),
        pytest.param(outline(head=b""), PARTS, id="no-head-where-keys-part"),
        pytest.param(outline(), Rules(matching="prefix"), id="keys-not-taken"),
    ],
)
def test_some_requests_have_none(of, rules):
    """Without a head the provider finds by itself what requests share."""
    assert key(of, rules=rules) is None


def test_tenants_have_their_own():
    """Where keys part caches a tenant's is enough, elsewhere the head is in it too."""
    acme, other = CallOptions(tenant="acme"), CallOptions(tenant="other")

    assert len({key(), key(options=acme), key(options=other)}) == 3
    assert key(rules=PARTS, options=acme) != key(rules=PARTS, options=other)
    assert key(rules=PARTS, options=acme) == key(
        outline(head=b"another"), rules=PARTS, options=acme
    )
    assert key(options=acme) != key(outline(head=b"another"), options=acme)
    assert "acme" not in key(options=acme) + key(rules=PARTS, options=acme)


def test_a_request_that_goes_on_keeps_the_key():
    """What stands before it was written under that."""
    going_on = replace(outline(), trail=Trail(b"digest", 100, "theirs"))

    assert key(going_on) == "theirs"
    assert key(going_on, rules=PARTS, options=CallOptions(tenant="acme")) == "theirs"


def test_conversations_keep_their_shard():
    """By its first turn, or by its name."""
    past = Past(shards=8)
    named = CallOptions(conversation="42")
    keys = {key(outline(first=str(number)), past=past) for number in range(200)}
    spread = {
        key(past=past, options=CallOptions(conversation=str(number)))
        for number in range(200)
    }

    assert len(keys) == len(spread) == 8
    assert key(past=past, options=named) == key(
        outline(first="other"), past=past, options=named
    )


@given(st.text(min_size=1), st.sampled_from([1, 2, 4, 8, 16]))
def test_half_stay_when_shards_double(first, shards):
    """A conversation moves to the new half, or not at all."""
    before = key(outline(first=first), past=Past(shards=shards))
    after = key(outline(first=first), past=Past(shards=2 * shards))

    number = int((after or "").partition("-")[2].partition("-")[2] or 0)
    assert (after == before) == (number < shards)


@given(st.text(), st.text(), st.integers(1, 1024))
def test_keys_are_short(tenant, conversation, shards):
    """The provider takes 64 characters."""
    said = CallOptions(tenant=tenant or None, conversation=conversation or None)

    for rules in (ROUTES, PARTS):
        made = key(rules=rules, past=Past(shards=shards), options=said)
        assert made is not None
        assert len(made) <= LONGEST
        assert made.isascii()
