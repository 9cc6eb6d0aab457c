"""Bodies of any shape."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from promptcache.emulator.replies import reply_to
from promptcache.emulator.rules.anthropic import judge
from promptcache.emulator.rules.anthropic_diagnostics import diagnosis, fingerprint
from promptcache.emulator.rules.rejection import RejectedError
from promptcache.emulator.rules.settings import Settings

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", " ", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "text", "name"]), inner, max_size=3)
    ),
    max_leaves=5,
)


def mostly(likely):
    """Return a strategy that is junk once in forty times."""
    return st.integers(0, 39).flatmap(lambda number: likely if number else JUNK)


MARKER = st.fixed_dictionaries(
    {"type": st.just("ephemeral")}, optional={"ttl": st.sampled_from(["5m", "1h"])}
)
MARKED = {"cache_control": mostly(MARKER)}
TEXT = st.fixed_dictionaries(
    {"type": st.just("text"), "text": st.sampled_from(["a", "b", "what is f of 3"])},
    optional=MARKED,
)
DOCUMENT = st.fixed_dictionaries(
    {"type": st.just("document"), "source": mostly(st.just({"type": "url"}))},
    optional={"citations": mostly(st.just({"enabled": True}))},
)
COMPACTION = st.fixed_dictionaries(
    {"type": st.just("compaction")},
    optional={"content": mostly(st.sampled_from(["s", None])), **MARKED},
)
THOUGHT = st.just({"type": "thinking", "thinking": "hm", "signature": "s"})
CALL = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": st.sampled_from("ab"),
        "name": st.just("f"),
        "input": mostly(st.just({"x": 1})),
    },
    optional={"caller": mostly(st.just({"type": "code_execution_x"})), **MARKED},
)
RESULT = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "tool_use_id": st.sampled_from("ab")},
    optional={"content": mostly(st.lists(TEXT, max_size=2)), **MARKED},
)
PLAIN = mostly(st.just("hello") | st.lists(mostly(TEXT | DOCUMENT), max_size=3))
ROLES = {
    "user": RESULT | TEXT,
    "assistant": CALL | TEXT | COMPACTION | THOUGHT,
    "system": TEXT,
}


def message(role):
    blocks = st.lists(mostly(ROLES[role]), min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {"role": st.just(role), "content": PLAIN | blocks},
        optional={"clear_at": mostly(st.just("next_user_message"))}
        if role == "system"
        else {},
    )


def turns(roles):
    return st.tuples(*(mostly(message(role)) for role in roles)).map(list)


TURNS = ["user"], ["user", "assistant", "user"], ["user", "system"], ["system", "user"]
TOOL = st.fixed_dictionaries(
    {"name": st.sampled_from("fg"), "input_schema": mostly(st.just({}))},
    optional={"defer_loading": st.booleans(), **MARKED},
)
EDIT = st.fixed_dictionaries(
    {"type": st.sampled_from(["clear_tool_uses_20250919", "clear_thinking_20251015"])},
    optional={
        "keep": mostly(st.sampled_from(["all", {"type": "tool_uses", "value": 0}])),
        "trigger": mostly(st.just({"type": "tool_uses", "value": 0})),
        "exclude_tools": mostly(st.just(["g"])),
    },
)
EDITS = st.fixed_dictionaries({"edits": mostly(st.lists(mostly(EDIT), max_size=2))})
BODY = st.fixed_dictionaries(
    {
        "model": mostly(st.sampled_from(["claude-opus-5-5", "claude-opus-4-1"])),
        "max_tokens": mostly(st.integers(0, 9)),
        "messages": mostly(st.sampled_from(TURNS).flatmap(turns)),
    },
    optional={
        "system": mostly(st.lists(TEXT, max_size=2)),
        "tools": mostly(st.lists(TOOL, max_size=2)),
        "tool_choice": mostly(st.sampled_from([{"type": "auto"}, {"type": "any"}])),
        "thinking": mostly(st.just({"type": "adaptive"})),
        "output_config": mostly(st.just({"effort": "low"})),
        "stop_sequences": mostly(st.just(["a"])),
        "context_management": mostly(EDITS),
        "diagnostics": mostly(st.just({"previous_message_id": "msg_1"})),
        **MARKED,
    },
)


@given(body=BODY)
def test_any_body_gets_a_verdict_or_a_refusal(body):
    """Whatever is sent, the rules answer, and the answer adds up."""
    settings = Settings(minimum_tokens=1)
    try:
        verdict = judge(body, {}, now=0, settings=settings)
    except RejectedError:
        return
    again = judge(
        body, {entry.key: entry for entry in verdict.written}, now=1, settings=settings
    )

    assert len(verdict.breakpoints) <= 4
    assert again.usage.total == verdict.usage.total
    assert again.usage.read == verdict.usage.total - verdict.usage.uncached
    assert diagnosis(fingerprint(body), fingerprint(body), settings) is None
    assert reply_to(body, None, itertools.repeat("toolu")).stop_reason
