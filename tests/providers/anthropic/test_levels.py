"""Which parameters end the prefixes of which part."""

import pytest

from promptcache.providers.anthropic.wire import outline

BODY = {
    "model": "claude-opus-5-5",
    "max_tokens": 100,
    "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    "system": "s",
    "messages": [{"role": "user", "content": "q"}],
}
SCHEMA = {"type": "json_schema", "schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        pytest.param({"model": "claude-opus-5"}, 0, id="model"),
        pytest.param({"speed": "fast"}, 0, id="speed"),
        pytest.param({"output_config": {"format": SCHEMA}}, 1, id="output format"),
        pytest.param({"system": "t"}, 1, id="system"),
        pytest.param({"tool_choice": {"type": "any"}}, 2, id="tool choice"),
        pytest.param(
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            2,
            id="parallel tool use",
        ),
        pytest.param({"thinking": {"type": "adaptive"}}, 2, id="thinking"),
        pytest.param({"output_config": {"effort": "low"}}, 2, id="effort"),
        pytest.param({"tool_choice": {"type": "auto"}}, 3, id="default tool choice"),
        pytest.param({"max_tokens": 7}, 3, id="max_tokens"),
        pytest.param({"stream": True}, 3, id="stream"),
        pytest.param({"metadata": {"user_id": "u"}}, 3, id="metadata"),
        pytest.param({"temperature": 0.5}, 3, id="temperature"),
    ],
)
def test_a_change(change, kept):
    """A changed parameter keeps the digests of the parts before it, and no other."""
    before = outline(BODY).blocks.digests
    after = outline({**BODY, **change}).blocks.digests

    assert [old == new for old, new in zip(before, after, strict=True)] == [
        position < kept for position in range(3)
    ]


def test_how_thinking_is_shown():
    """The display of thinking is not part of the prompt."""
    hidden = {**BODY, "thinking": {"type": "adaptive", "display": "omitted"}}
    shown = {**BODY, "thinking": {"type": "adaptive", "display": "summarized"}}

    assert outline(hidden).blocks.digests == outline(shown).blocks.digests


def test_without_a_system_prompt():
    """A format that would stand in the system prompt ends the messages' prefix."""
    bare = {key: BODY[key] for key in BODY if key != "system"}
    changed = {**bare, "output_config": {"format": SCHEMA}}
    tools, message = zip(
        outline(bare).blocks.digests, outline(changed).blocks.digests, strict=True
    )

    assert tools[0] == tools[1]
    assert message[0] != message[1]
