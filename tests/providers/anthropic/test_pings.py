"""The body of a ping: what is kept of what was sent, and what cannot be sent."""

import pytest

from promptcache.providers.anthropic.pings import can_repeat, repeated

SENT = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}


def test_repeated():
    """Only what makes an answer is another; what was sent is not written to."""
    sent = {**SENT, "stream": True, "diagnostics": {}, "thinking": {"type": "adaptive"}}

    assert repeated(sent) == {
        **SENT,
        "max_tokens": 0,
        "thinking": {"type": "adaptive"},
    }
    assert sent["max_tokens"] == 9


@pytest.mark.parametrize(
    ("fields", "can"),
    [
        pytest.param({}, True, id="plain"),
        pytest.param({"stream": True}, True, id="streamed"),
        pytest.param({"thinking": {"type": "adaptive"}}, True, id="adaptive"),
        pytest.param({"thinking": {"type": "enabled"}}, False, id="thinking"),
        pytest.param({"tool_choice": {"type": "auto"}}, True, id="free choice"),
        pytest.param({"tool_choice": {"type": "any"}}, False, id="some tool"),
        pytest.param({"tool_choice": {"type": "tool"}}, False, id="one tool"),
        pytest.param({"output_config": {"effort": "low"}}, True, id="effort"),
        pytest.param({"output_config": {"format": {}}}, False, id="format"),
        pytest.param({"output_format": {}}, False, id="former format"),
        pytest.param({"thinking": "enabled", "tool_choice": []}, True, id="odd"),
    ],
)
def test_can_repeat(fields, can):
    """What the provider refuses with `max_tokens: 0` is not asked."""
    assert can_repeat({**SENT, **fields}) is can
