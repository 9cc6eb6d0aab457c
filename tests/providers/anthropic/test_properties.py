"""What holds for every body that anyone may send."""

import copy
import json
from dataclasses import replace
from math import inf

from bodies import bodies, breakpoints, faults, messages, strip, unmarked
from hypothesis import given
from hypothesis import strategies as st

from promptcache.options import CallOptions
from promptcache.planning.chances import Chance
from promptcache.planning.past import Again, Past
from promptcache.planning.plan import plan
from promptcache.planning.policies import Policy
from promptcache.planning.ways import WAYS
from promptcache.planning.writing import NAMES
from promptcache.providers.anthropic import ANTHROPIC

POLICIES = (
    Policy.auto(),
    Policy.fixed(),
    Policy.fixed(tools=None, system="1h", history="1h", tail="1h"),
)

chance = st.builds(Chance, st.floats(0, 1), st.floats(0, 0.3))
chances = st.dictionaries(
    st.sampled_from(NAMES), st.builds(Again, short=chance, long=chance)
)
pasts = st.builds(
    Past,
    shared=st.integers(-1, 30),
    entry=st.integers(-1, 30),
    volatile=st.one_of(st.none(), st.integers(0, 8)),
    held=st.integers(-1, 30),
    is_firm=st.booleans(),
    chances=chances,
    way=st.sampled_from(WAYS),
    pauses=st.integers(0, 9),
    gaps=st.integers(0, 30),
    room=st.sampled_from([0.0, 100.0, 5_000.0, inf]),
    unstable=st.one_of(st.none(), st.integers(0, 30)),
    ends=st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["static", "document"])),
        max_size=3,
    ).map(tuple),
)

choices = st.fixed_dictionaries(
    {
        "policy": st.sampled_from(POLICIES),
        "host": st.sampled_from(["anthropic", "bedrock", "vertex"]),
        "ttl": st.sampled_from([None, "5m", "1h"]),
        # Small bodies reach every rule only where nothing is too short to cache.
        "minimum": st.sampled_from([0, 512]),
        "past": pasts,
    }
)


def clamped(past, outline):
    """Return a past that speaks of no block that a request does not have."""
    last = outline.length - 1
    entry = min(past.entry, past.shared, last)
    return replace(
        past,
        shared=min(past.shared, last),
        entry=entry,
        held=min(past.held, entry),
        volatile=past.volatile if (past.volatile or 0) < outline.system_end else None,
        unstable=past.unstable if (past.unstable or 0) < last else None,
        ends=tuple(it for it in past.ends if it[0] <= last),
    )


def planned(body, *, policy, host, ttl, past, minimum=512):
    """Return the body as it would be sent."""
    facts = {body["model"]: {"minimum_tokens": minimum}}
    rules, _ = ANTHROPIC.rules(body["model"], host, facts)
    outline = ANTHROPIC.outline(body, host=host, tenant=None)
    past = clamped(past, outline)
    said = CallOptions(ttl=ttl)
    made = plan(outline, rules=rules, policy=policy, past=past, options=said)
    return ANTHROPIC.apply(body, outline, made)


@given(bodies(), choices)
def test_only_markers_are_added(body, choice):
    """Stripping the markers gives the framework's body back."""
    assert strip(planned(body, **choice)) == strip(body)


@given(bodies(), choices)
def test_the_input_is_untouched(body, choice):
    """Planning writes to nothing that it was given."""
    before = copy.deepcopy(body)
    planned(body, **choice)

    assert json.dumps(body) == json.dumps(before)


@given(bodies(), choices)
def test_the_result_is_legal(body, choice):
    """Whatever the caller marked, the provider takes what is sent."""
    assert faults(planned(body, **choice)) == []


@given(bodies(), choices)
def test_automatic_caching_stays_off_hosts_without_it(body, choice):
    """A host that refuses top-level `cache_control` never gets it."""
    sent = planned(body, **{**choice, "host": "bedrock"})

    assert sent.get("cache_control") is None


@given(bodies(), choices)
def test_planning_a_planned_body_changes_nothing(body, choice):
    """A second planning finds everything in place."""
    once = planned(body, **choice)

    assert planned(once, **choice) == once


@given(bodies())
def test_legal_markers_stay(body):
    """A caller's marker that is legal beside the others keeps place and lifetime."""
    if faults(body):
        return
    sent = planned(body, policy=Policy.auto(), host="anthropic", ttl=None, past=Past())

    assert breakpoints(body).items() <= breakpoints(sent).items()
    assert sent.get("cache_control") == body.get("cache_control")


@given(bodies(), st.lists(messages(), min_size=1, max_size=3))
def test_a_longer_conversation_keeps_its_prefix(body, more):
    """What follows changes no digest and no size of what stands before."""
    longer = {**body, "messages": [*body["messages"], *more]}
    short = ANTHROPIC.outline(body, host="anthropic", tenant=None)
    long = ANTHROPIC.outline(longer, host="anthropic", tenant=None)

    assert long.blocks.digests[: short.length] == short.blocks.digests
    assert long.blocks.tokens[: short.length] == short.blocks.tokens


@given(bodies())
def test_markers_enter_no_digest(body):
    """A body and its stripped form have the same digests."""
    marked = ANTHROPIC.outline(body, host="anthropic", tenant=None)
    bare = ANTHROPIC.outline(unmarked(body), host="anthropic", tenant=None)

    assert marked.blocks.digests == bare.blocks.digests
