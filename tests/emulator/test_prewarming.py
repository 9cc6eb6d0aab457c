"""Pre-warming: requests of `max_tokens: 0`."""

import anthropic
import pytest

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
TOOL = {"name": "f", "input_schema": {"type": "object"}}
BUDGET = {"type": "enabled", "budget_tokens": 1024}
FORMAT = {"format": {"type": "json_schema", "schema": {"type": "object"}}}


def warmed(body):
    return {**body, "max_tokens": 0}


def test_it_writes_and_says_nothing(client, make):
    """Content is empty, the limit is why it stopped, and the write is billed."""
    message = client.messages.create(**warmed(make(10, {6: HOUR, 10: MARK})))
    usage = message.usage

    assert (message.content, message.stop_reason) == ([], "max_tokens")
    assert usage.cache_creation.ephemeral_1h_input_tokens == 607
    assert usage.cache_creation.ephemeral_5m_input_tokens == 404
    assert (usage.input_tokens, usage.output_tokens) == (4, 0)
    assert usage.service_tier == "standard"
    assert usage.model_extra["iterations"] == [
        {
            "type": "message",
            "input_tokens": 4,
            "cache_creation_input_tokens": 1011,
            "cache_read_input_tokens": 0,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 404,
                "ephemeral_1h_input_tokens": 607,
            },
            "output_tokens": 0,
        }
    ]


def test_the_real_request_reads_it(client, make):
    """What was pre-warmed up to a shared block is read by any question after it."""
    shared = {"system": [{"type": "text", "text": "s" * 4000, "cache_control": MARK}]}
    client.messages.create(**warmed(make(1, **shared)))
    body = make(2, **shared)

    assert client.messages.create(**body).usage.cache_read_input_tokens == 1001


def test_it_keeps_alive(client, make, emulator):
    """The same request again, in time, bills a read and makes it last."""
    body = make(10, [10])
    client.messages.create(**body)
    for _ in range(3):
        emulator.clock.advance(290)
        usage = client.messages.create(**warmed(body)).usage

        assert usage.cache_read_input_tokens == 1011
        assert usage.cache_creation_input_tokens == 0


def test_it_uses_up_no_answer(client, make, emulator):
    """The next real request gets the answer that was ordered."""
    emulator.answers.push("later")
    client.messages.create(**warmed(make(10, [10])))

    assert client.messages.create(**make(1)).content[0].text == "later"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"thinking": {"type": "adaptive"}}, id="adaptive-thinking"),
        pytest.param({"output_config": {"effort": "low"}}, id="effort"),
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "auto"}}, id="tools-at-will"
        ),
        pytest.param({"cache_control": MARK}, id="automatic"),
    ],
)
def test_what_goes_with_it(client, make, fields):
    """What asks for no particular answer is accepted."""
    assert client.messages.create(**warmed(make(10, **fields))).content == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "any"}},
            'tool_choice: type "tool" or "any" cannot be used',
            id="any-tool",
        ),
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
            'tool_choice: type "tool" or "any" cannot be used',
            id="named-tool",
        ),
        pytest.param({"stream": True}, "stream: cannot be true", id="stream"),
        pytest.param({"thinking": BUDGET}, 'thinking: type "enabled"', id="thinking"),
        pytest.param({"output_config": FORMAT}, "output_config.format", id="format"),
        pytest.param(
            {"extra_body": {"output_format": FORMAT["format"]}},
            "output_config.format",
            id="older-name-of-format",
        ),
    ],
)
def test_what_does_not(client, make, emulator, fields, message):
    """What needs an answer is refused, and nothing is written."""
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**warmed(make(10, [10], **fields)))

    assert message in raised.value.body["error"]["message"]
    assert raised.value.body["error"]["type"] == "invalid_request_error"
    assert emulator.ledger[0].cache_creation_input_tokens == 0
